//! A chain that executes nothing, for the engine to order.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use alloy_consensus::{Header, SignableTransaction as _, TxEnvelope, TxLegacy, proofs::calculate_transaction_root};
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use alloy_rlp::Decodable as _;
use commonware_utils::sync::Mutex;
use tokio::sync::Notify;

use super::super::{Application, FinalBlocks, Verdict};
use crate::{
    block::Block,
    chain::{Ahead, Room},
    execution::Stop,
    testing::unsigned_transaction,
};

/// A chain without state. It survives the crashes of its engine, as a disk would.
#[derive(Default)]
pub struct Ledger {
    known: Mutex<BTreeMap<B256, Block>>,
    /// Final blocks with their certificates, from number 0.
    pub last: Mutex<Vec<(Block, Option<Vec<u8>>)>>,
    /// Final blocks and certificates above the last.
    pub ahead: Mutex<BTreeMap<u64, Ahead>>,
    waiting: Mutex<Vec<TxEnvelope>>,
    arrived: Notify,
    full: AtomicBool,
    /// Whether its clock is wrong.
    pub in_doubt: AtomicBool,
    /// Blocks that it built.
    pub proposed: AtomicU64,
    /// How often a final block was read.
    pub reads: AtomicU64,
    /// Blocks whose first transaction has this nonce are refused.
    refuses: Option<u64>,
}

impl Ledger {
    pub fn new(refuses: Option<u64>) -> Arc<Self> {
        let ledger = Self { refuses, ..Self::default() };
        let genesis = ledger.genesis();
        ledger.known.lock().insert(genesis.hash(), genesis.clone());
        ledger.last.lock().push((genesis, None));
        Arc::new(ledger)
    }

    /// A copy that was made when there were so many final blocks.
    pub fn older(&self, blocks: usize) -> Arc<Self> {
        let older = Self::new(self.refuses);
        let last = self.last.lock()[..blocks].to_vec();
        older.known.lock().extend(last.iter().map(|(block, _)| (block.hash(), block.clone())));
        *older.last.lock() = last;
        older
    }

    /// While the disk is full, commits fail.
    pub fn fill_up(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub fn submit(&self, nonce: u64) {
        self.waiting.lock().push(unsigned_transaction(nonce));
        self.arrived.notify_waiters();
    }

    /// A transaction of so many bytes, one for each nonce.
    pub fn submit_large(&self, nonce: u64, bytes: usize) {
        let signature = Signature::new(U256::from(1), U256::from(2), false);
        let input = Bytes::from(vec![0x5a; bytes]);
        self.waiting.lock().push(TxLegacy { nonce, input, ..TxLegacy::default() }.into_signed(signature).into());
        self.arrived.notify_waiters();
    }

    pub fn hashes(&self) -> Vec<B256> {
        self.last.lock().iter().map(|(block, _)| block.hash()).collect()
    }
}

impl FinalBlocks for Ledger {
    fn keep(&self, kept: Vec<Ahead>) -> Result<(), String> {
        for ahead in kept {
            if let Some((_, certificate)) = self.last.lock().get_mut(ahead.number as usize) {
                *certificate = certificate.take().or(ahead.certificate);
                continue;
            }
            let mut all = self.ahead.lock();
            let row = all.entry(ahead.number).or_insert(Ahead { block: None, certificate: None, ..ahead.clone() });
            row.block = row.block.take().or(ahead.block);
            row.certificate = row.certificate.take().or(ahead.certificate);
        }
        Ok(())
    }

    fn first_block(&self) -> u64 {
        0
    }

    fn kept(&self, from: u64, limit: usize) -> Result<Vec<Ahead>, String> {
        Ok(self.ahead.lock().range(from..).take(limit).map(|(_, ahead)| ahead.clone()).collect())
    }

    fn final_block(&self, number: u64) -> Result<Option<Block>, String> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some((block, _)) = self.last.lock().get(number as usize) {
            return Ok(Some(block.clone()));
        }
        let ahead = self.ahead.lock().get(&number).and_then(|ahead| ahead.block.clone());
        Ok(ahead.map(|rlp| Block::decode(&mut &rlp[..]).expect("encoded by us")))
    }

    fn number_of(&self, hash: B256) -> Result<Option<u64>, String> {
        Ok(self.hashes().iter().position(|known| *known == hash).map(|number| number as u64))
    }

    fn certificate(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        let own = self.last.lock().get(number as usize).and_then(|(_, certificate)| certificate.clone());
        Ok(own.or_else(|| self.ahead.lock().get(&number).and_then(|ahead| ahead.certificate.clone())))
    }

    fn certified(&self, from: u64, limit: usize) -> Result<Vec<u64>, String> {
        let last = self.last.lock();
        let certified = last.iter().filter(|(_, certificate)| certificate.is_some());
        Ok(certified.map(|(block, _)| block.number()).filter(|number| *number >= from).take(limit).collect())
    }
}

impl Application for Ledger {
    fn doubts_clock(&self, _now_ms: u64) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    fn genesis(&self) -> Block {
        let transactions_root = calculate_transaction_root::<TxEnvelope>(&[]);
        Block { header: Header { transactions_root, ..Header::default() }, transactions: Vec::new() }
    }

    fn head(&self) -> u64 {
        self.last.lock().len() as u64 - 1
    }

    fn knows(&self, hash: B256) -> bool {
        self.known.lock().contains_key(&hash)
    }

    fn is_final(&self, hash: B256) -> bool {
        self.last.lock().iter().any(|(block, _)| block.hash() == hash)
    }

    fn room_for(&self, _: &Block, _: u64) -> Room {
        Room::Enough
    }

    fn has_work(&self, _: B256) -> bool {
        !self.waiting.lock().is_empty()
    }

    fn work_arrived(&self) -> impl Future<Output = ()> + Send {
        self.arrived.notified()
    }

    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address, _: &Stop) -> Result<Block, String> {
        self.proposed.fetch_add(1, Ordering::Relaxed);
        let mut known = self.known.lock();
        let parent = known.get(&parent).ok_or("unknown parent")?.clone();
        let taken: Vec<_> = parent.transactions.clone();
        let waiting = self.waiting.lock();
        let transactions: Vec<_> = waiting.iter().filter(|t| !taken.contains(t)).cloned().collect();
        let header = Header {
            parent_hash: parent.hash(),
            number: parent.header.number + 1,
            timestamp: (now_ms / 1000).max(parent.header.timestamp),
            transactions_root: calculate_transaction_root(&transactions),
            beneficiary,
            ..Header::default()
        };
        let block = Block { header, transactions };
        known.insert(block.hash(), block.clone());
        Ok(block)
    }

    fn check(&self, block: &Block, now_ms: u64, _: &Stop) -> Verdict {
        if block.header.timestamp > now_ms / 1000 + 1 {
            return Verdict::NotYet { until_ms: (block.header.timestamp - 1).saturating_mul(1000) };
        }
        let nonce = block.transactions.first().map(alloy_consensus::Transaction::nonce);
        if nonce.is_some() && nonce == self.refuses {
            return Verdict::Invalid("refused".into());
        }
        let mut known = self.known.lock();
        assert!(known.contains_key(&block.header.parent_hash), "parents are checked first");
        known.insert(block.hash(), block.clone());
        Verdict::Valid
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>, _: u64) -> Result<(), String> {
        if self.full.load(Ordering::SeqCst) {
            return Err("the disk is full".to_owned());
        }
        let mut last = self.last.lock();
        if block.header.number < last.len() as u64 {
            assert_eq!(last[block.header.number as usize].0, *block, "finality is for ever");
            return Ok(());
        }
        assert_eq!(block.header.number, last.len() as u64, "blocks come in order");
        assert_eq!(block.header.parent_hash, last[last.len() - 1].0.hash());
        let ahead = self.ahead.lock().remove(&block.header.number).and_then(|ahead| ahead.certificate);
        last.push((block.clone(), certificate.map(<[u8]>::to_vec).or(ahead)));
        self.known.lock().insert(block.hash(), block.clone());
        self.waiting.lock().retain(|transaction| !block.transactions.contains(transaction));
        Ok(())
    }
}
