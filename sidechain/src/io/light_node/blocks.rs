//! Whole blocks, transactions in them and their receipts: checked by the roots of a final header.

use std::sync::Arc;

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes, U64, keccak256};
use alloy_rpc_types_eth::{Block as RpcBlock, Transaction as RpcTransaction, TransactionReceipt};
use api::peg::FollowedBlock;
use light::FinalHeader;
use serde_json::{Value, json};

use super::fault::{Fault, Told, Unproven};
use super::node::{LightNode, locked};
use crate::block::{Block, Receipt, decode_transaction, recover};
use crate::chain::{Finalized, Stored};
use crate::io::rpc::convert;

/// Blocks that are kept in memory, of at most some MiB each.
const MAX_BLOCKS: usize = 8;

impl LightNode {
    /// The block of a header.
    pub(super) async fn block(&self, header: &FinalHeader) -> Result<Arc<Stored>, Unproven> {
        if let Some(known) = locked(&self.blocks).iter().find(|block| block.hash == header.hash) {
            return Ok(known.clone());
        }
        if header.header.number == 0 {
            let block = Block { header: header.header.clone(), transactions: Vec::new() };
            return Ok(Arc::new(Stored { block, hash: header.hash, senders: Vec::new() }));
        }
        let number = header.header.number;
        let check = |answer: Option<FollowedBlock>| {
            let answer = answer.ok_or_else(|| format!("does not have block {number}, which is final"))?;
            self.stored(&answer.block, header).map_err(|why| format!("shows another block {number}: {why}"))
        };
        let stored = Arc::new(self.upstream.ask("peg_getBlock", vec![json!(number)], check).await?);
        let mut blocks = locked(&self.blocks);
        blocks.push_front(stored.clone());
        blocks.truncate(MAX_BLOCKS);
        Ok(stored)
    }

    /// A block whose header is the one that is final. Decoding compares the transactions with it.
    fn stored(&self, raw: &Bytes, header: &FinalHeader) -> Result<Stored, String> {
        let block: Block = alloy_rlp::decode_exact(raw).map_err(|error| error.to_string())?;
        let hash = block.hash();
        if hash != header.hash {
            return Err(format!("its hash is {hash}, that of the final one is {}", header.hash));
        }
        let sender = |envelope: &_| recover(Clone::clone(envelope), self.rules.chain_id).map(|made| made.signer());
        let senders = block.transactions.iter().map(sender).collect::<Result<_, _>>();
        Ok(Stored { senders: senders.map_err(|error| error.to_string())?, block, hash })
    }

    /// A block as Ethereum's JSON; none above the head.
    pub(super) async fn rpc_block(&self, header: &FinalHeader, full: bool) -> Result<RpcBlock, Unproven> {
        Ok(convert::block(&*self.block(header).await?, full))
    }

    /// All receipts of a block.
    pub(super) async fn receipts(&self, header: &FinalHeader) -> Result<Vec<TransactionReceipt>, Unproven> {
        Ok(convert::receipts(&self.finalized(self.block(header).await?, header).await?))
    }

    async fn finalized(&self, stored: Arc<Stored>, header: &FinalHeader) -> Result<Finalized, Unproven> {
        let number = header.header.number;
        let check = |answer: Option<Vec<TransactionReceipt>>| {
            let told = answer.unwrap_or_default().into_iter();
            let receipts: Vec<Receipt> = told.map(|told| told.inner.map_logs(|log| log.inner)).collect();
            let got = calculate_receipt_root(&receipts);
            let want = header.header.receipts_root;
            if got != want || receipts.len() != stored.block.transactions.len() {
                return Err(format!(
                    "shows wrong receipts of block {number}: their root is {got}, its header has {want}"
                ));
            }
            Ok(receipts)
        };
        let receipts = self.upstream.ask("eth_getBlockReceipts", vec![json!(U64::from(number))], check).await?;
        Ok(Finalized { stored: stored.clone(), receipts: Arc::new(receipts) })
    }

    /// The receipt of a transaction; none when no node shows it in a block.
    pub(super) async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, Unproven> {
        let Some((stored, index, header)) = self.locate(hash).await? else { return Ok(None) };
        Ok(convert::receipt(&self.finalized(stored, &header).await?, index))
    }

    /// A transaction in a block, or waiting in the pool of one of the nodes; none when no node knows it.
    pub(super) async fn transaction(&self, hash: B256) -> Result<Option<RpcTransaction>, Unproven> {
        if let Some((stored, index, _)) = self.locate(hash).await? {
            return Ok(convert::transaction(&stored, index));
        }
        let check = |raw: Option<Bytes>| match raw {
            Some(raw) if keccak256(&raw) != hash => Err(format!("shows another transaction than {hash}")),
            raw => Ok(raw),
        };
        let raw = self.upstream.find("eth_getRawTransactionByHash", vec![json!(hash)], check).await?;
        let waiting = raw.and_then(|raw| decode_transaction(&raw, self.rules.chain_id).ok());
        Ok(waiting.map(convert::pending))
    }

    /// Where a transaction is: the first node that shows it in a block is enough, for the block has it or has it not. So a node that
    /// keeps it back hides nothing that another one shows.
    async fn locate(&self, hash: B256) -> Result<Option<(Arc<Stored>, usize, Arc<FinalHeader>)>, Unproven> {
        let mut told = Told::default();
        let mut answered = false;
        for source in self.upstream.order().concat() {
            match self.located_by(source, hash).await? {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => answered = true,
                Err(fault) => self.upstream.blame(source, fault, &mut told),
            }
        }
        if answered { Ok(None) } else { Err(told.into_error()) }
    }

    #[allow(clippy::type_complexity)] // Once, and for the loop above.
    async fn located_by(
        &self,
        source: usize,
        hash: B256,
    ) -> Result<Result<Option<(Arc<Stored>, usize, Arc<FinalHeader>)>, Fault>, Unproven> {
        let number = |answer: Value| Ok(answer["blockNumber"].as_str().and_then(|text| text.parse::<U64>().ok()));
        let number = match self.upstream.ask_one(source, "eth_getTransactionByHash", vec![json!(hash)], number).await {
            Ok(Some(number)) => number.to::<u64>(),
            Ok(None) => return Ok(Ok(None)),
            Err(fault) => return Ok(Err(fault)),
        };
        let header = match self.header_of(BlockId::number(number)).await {
            Ok(header) => header,
            // It may be a block ahead of all that others show: then it is not final yet, as far as anybody knows.
            Err(Unproven::Refused(_)) => return Ok(Ok(None)),
            Err(down) => return Err(down),
        };
        let stored = self.block(&header).await?;
        let index = stored.block.transactions.iter().position(|transaction| *transaction.tx_hash() == hash);
        Ok(match index {
            Some(index) => Ok(Some((stored, index, header))),
            None => {
                Err(Fault::Lie(format!("says that transaction {hash} is in block {number}, which does not have it")))
            }
        })
    }
}
