//! Deposits that their owner took back: the ledger learns late or never that one is gone, one's own bitcoind has it in a block.

use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint};
use bridge::peg::{Deposit, DepositStatus};
use mainchain::io::rpc::{BitcoinRpc, RpcError};

/// Whether something that is no sweep spent a deposit, as one's own bitcoind has it; a bitcoind that does not answer is done without.
pub async fn is_taken_back(bitcoin: Option<&BitcoinRpc>, deposit: &Deposit) -> bool {
    let Some(bitcoin) = bitcoin.filter(|_| may_be(deposit)) else { return false };
    is_spent(bitcoin, deposit).await.unwrap_or_else(|error| {
        tracing::warn!("bitcoind is done without: {error}");
        false
    })
}

/// Where a sweep was ever bound, that may have spent it.
fn may_be(deposit: &Deposit) -> bool {
    deposit.status == DepositStatus::Proven && !deposit.bound
}

async fn is_spent(bitcoin: &BitcoinRpc, deposit: &Deposit) -> Result<bool, RpcError> {
    // A bitcoind that does not have the block, or has another, cannot know.
    let block = bitcoin.block_hash(deposit.height).await?;
    if !block.is_some_and(|hash| is_its_block(hash, deposit)) {
        return Ok(false);
    }
    Ok(bitcoin.unspent(OutPoint::new(deposit.txid, deposit.vout), false).await?.is_none())
}

fn is_its_block(hash: BlockHash, deposit: &Deposit) -> bool {
    hash.to_byte_array()[..deposit.block_head.len()] == deposit.block_head[..]
}
