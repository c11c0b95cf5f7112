//! Coins that came to and went from an account on the sidechain, block by block: payments, what its own transactions cost, and what contracts gave.
//!
//! The blocks are found by [`Search`]; a block's transactions and receipts are then read, and what they do not tell is the rest of the difference in
//! the account's balance. So each wei is in one line, and nothing has to be believed that the balance does not show. Where the network is known by
//! its genesis file, all of it is proven.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::{Block, Log, Transaction, TransactionReceipt};
use alloy_sol_types::{SolCall as _, SolEvent as _};
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::{Client, Error, Fees};
use contracts::{Bridge, Deposits, address};
use eyre::{Result, WrapErr, ensure, eyre};
use serde::Serialize;

use super::account_blocks::{Changed, End, Search, Standing};
use crate::progress::Progress;

/// Questions for what the account had after a block. A movement takes about ten, and thirty on a chain of a billion blocks.
const MOST_QUESTIONS: u32 = 1_000;

/// Coins that moved, in one transaction or by contracts in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub block: u64,
    /// Of the block, in seconds since 1970.
    pub time: u64,
    pub how: How,
    pub sent: U256,
    pub received: U256,
    /// What the account's own transaction cost.
    pub fee: U256,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    Paid {
        transaction: B256,
        from: Address,
        to: Option<Address>,
        /// What it asked the bridge for, if it did.
        asked: Option<Asked>,
    },
    /// Within others' transactions, or within an own one beside what it sent: coins of a withdrawal that was cancelled, of a channel, of a claim.
    /// `returned`: withdrawals, of anybody, whose coins went back in this block.
    Contracts { returned: Vec<u64> },
}

/// A call of the bridge that moves no coins by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "call", rename_all = "camelCase")]
pub enum Asked {
    /// A higher maximum of a withdrawal.
    Raise {
        id: u64,
    },
    Cancel {
        id: u64,
    },
    Refund {
        id: u64,
    },
    Claim,
}

impl Asked {
    fn of(transaction: &Transaction) -> Option<Self> {
        if transaction.to() != Some(address::BRIDGE) {
            return None;
        }
        let input = transaction.input();
        let raise = Bridge::raiseCall::abi_decode(input).map(|call| Self::Raise { id: call.id.saturating_to() });
        let cancel = Bridge::cancelCall::abi_decode(input).map(|call| Self::Cancel { id: call.id.saturating_to() });
        let refund = Bridge::refundCall::abi_decode(input).map(|call| Self::Refund { id: call.id.saturating_to() });
        let claim = Bridge::claimCall::abi_decode(input).map(|_| Self::Claim);
        raise.or(cancel).or(refund).or(claim).ok()
    }
}

/// The newest of them, and how far was looked.
#[derive(Debug)]
pub struct Transfers {
    pub list: Vec<Transfer>,
    /// All behind this block are listed.
    pub behind: u64,
    /// When that block came, in seconds since 1970.
    pub since: u64,
    /// Why no older ones are listed; none: there are as many as were asked for.
    pub end: Option<End>,
    /// The account lends code from a contract: others may have moved its coins, and moved them back.
    pub lends_code: bool,
}

/// The newest movements of an account, at least `count` if there are so many.
///
/// # Errors
///
/// The node does not answer, or contradicts itself.
pub async fn newest(client: &Client, account: Address, count: usize, progress: &Progress) -> Result<Transfers> {
    let head = client.block_number().await?;
    let unknown = || eyre!("the node does not tell what {account} has after its newest block, {head}");
    let now = standing(client, account, head).await?.ok_or_else(unknown)?;
    let lends_code = !client.code(account).await?.is_empty();
    let mut search = Search::new(head, now, MOST_QUESTIONS);
    let mut ask = async |block| {
        progress.about(&format!("looking for payments on the sidechain, at block {block}"));
        standing(client, account, block).await
    };
    let mut list = Vec::new();
    while list.len() < count
        && let Some(changed) = search.next(&mut ask).await?
    {
        list.extend(in_block(client, account, &changed).await?);
    }
    progress.clear();
    let behind = search.reached();
    let since = client.block(behind).await?.map(|block| block.timestamp).unwrap_or_default();
    let end = search.end().filter(|_| list.len() < count);
    Ok(Transfers { list, behind, since, end, lends_code })
}

/// What an account had after a block; none where the node keeps no state of it.
async fn standing(client: &Client, account: Address, block: u64) -> Result<Option<Standing>> {
    let tag = U64::from(block);
    let params = || vec![serde_json::json!(account), serde_json::json!(tag)];
    let (balance, nonce): (Result<U256, Error>, Result<U64, Error>) =
        tokio::join!(client.request("eth_getBalance", params()), client.request("eth_getTransactionCount", params()));
    match (balance, nonce) {
        (Ok(balance), Ok(nonce)) => Ok(Some(Standing { nonce: nonce.to(), balance })),
        // As it says of state that it has removed, or never had.
        (Err(Error::Refused { .. }), _) | (_, Err(Error::Refused { .. })) => Ok(None),
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    }
}

async fn in_block(client: &Client, account: Address, changed: &Changed) -> Result<Vec<Transfer>> {
    let (number, tag) = (changed.block, serde_json::json!(U64::from(changed.block)));
    let block: Option<Block> = client.request("eth_getBlockByNumber", vec![tag.clone(), true.into()]).await?;
    let block = block.ok_or_else(|| eyre!("the node does not show block {number}"))?;
    let receipts: Option<Vec<TransactionReceipt>> = client.request("eth_getBlockReceipts", vec![tag]).await?;
    let receipts = receipts.ok_or_else(|| eyre!("the node does not show the receipts of block {number}"))?;
    let transactions: Vec<Transaction> = block.transactions.into_transactions().collect();
    of_block(account, changed, block.header.timestamp, &transactions, &receipts)
        .wrap_err_with(|| format!("block {number} as the node shows it"))
}

/// What a block moved of an account: the newest first.
fn of_block(
    account: Address,
    changed: &Changed,
    time: u64,
    transactions: &[Transaction],
    receipts: &[TransactionReceipt],
) -> Result<Vec<Transfer>> {
    ensure!(
        transactions.len() == receipts.len(),
        "{} transactions and {} receipts: each has one",
        transactions.len(),
        receipts.len()
    );
    let (mut plus, mut minus, mut list) = (changed.before.balance, U256::ZERO, Vec::new());
    for (transaction, receipt) in transactions.iter().zip(receipts) {
        ensure!(*transaction.inner.tx_hash() == receipt.transaction_hash, "receipts of other transactions");
        let Some(transfer) = of_transaction(account, changed.block, time, transaction, receipt) else { continue };
        plus = plus.saturating_add(transfer.received);
        minus = minus.saturating_add(transfer.sent).saturating_add(transfer.fee);
        // A withdrawal is a line of its own.
        if !is_withdrawal(transaction) {
            list.push(transfer);
        }
    }
    let (expected, got) = (plus.saturating_sub(minus), changed.after.balance);
    let gain = got.saturating_sub(expected);
    // A deposit is a line of its own, too.
    let received = gain.saturating_sub(minted(account, receipts).min(gain));
    let sent = expected.saturating_sub(got);
    if !received.is_zero() || !sent.is_zero() {
        list.push(Transfer {
            block: changed.block,
            time,
            how: How::Contracts { returned: returned(receipts) },
            sent,
            received,
            fee: U256::ZERO,
        });
    }
    list.reverse();
    Ok(list)
}

/// What a transaction of an account, or one to it, moved by itself.
fn of_transaction(
    account: Address,
    block: u64,
    time: u64,
    transaction: &Transaction,
    receipt: &TransactionReceipt,
) -> Option<Transfer> {
    let (from, to) = (transaction.inner.signer(), transaction.to());
    let (is_from, is_to) = (from == account, to == Some(account));
    if !is_from && !is_to {
        return None;
    }
    let value = if receipt.inner.status() { transaction.value() } else { U256::ZERO };
    let of = |is: bool, wei: U256| if is { wei } else { U256::ZERO };
    let (sent, received) = (of(is_from, value), of(is_to, value));
    // Its receipt names a price in the free lane too, where nothing is charged.
    let is_charged = is_from && Fees::of(&*transaction.inner) != Fees::FREE;
    let fee = of(is_charged, U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.effective_gas_price)));
    let asked = Asked::of(transaction).filter(|_| is_from);
    let how = How::Paid { transaction: receipt.transaction_hash, from, to, asked };
    let is_seen = is_from || !received.is_zero();
    is_seen.then_some(Transfer { block, time, how, sent, received, fee })
}

fn is_withdrawal(transaction: &Transaction) -> bool {
    transaction.to() == Some(address::BRIDGE) && transaction.input().starts_with(&Bridge::withdrawCall::SELECTOR)
}

/// Withdrawals whose coins went back to their owners.
fn returned(receipts: &[TransactionReceipt]) -> Vec<u64> {
    let logs = receipts.iter().flat_map(|receipt| receipt.inner.logs());
    let bridges = logs.filter(|log| log.inner.address == address::BRIDGE);
    let id = |log: &Log| {
        let cancelled = Bridge::WithdrawalCancelled::decode_log(&log.inner).map(|event| event.id);
        let id = cancelled.or_else(|_| Bridge::WithdrawalRefunded::decode_log(&log.inner).map(|event| event.id));
        id.ok().map(|id| id.saturating_to())
    };
    bridges.filter_map(id).collect()
}

/// Coins that were made for an account for its deposits.
fn minted(account: Address, receipts: &[TransactionReceipt]) -> U256 {
    let logs = receipts.iter().flat_map(|receipt| receipt.inner.logs());
    let minted = logs.filter(|log| log.inner.address == address::DEPOSITS);
    let minted = minted.filter_map(|log| Deposits::DepositMinted::decode_log(&log.inner).ok());
    let own = minted.filter(|event| event.recipient == account);
    own.map(|event| amount::wei(Amount::from_sat(event.mintedSat))).fold(U256::ZERO, U256::saturating_add)
}
