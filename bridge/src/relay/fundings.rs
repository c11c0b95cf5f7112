//! What deposits were made of whose block has left the best chain: spent by something else, it ends them; and whoever lost it from its mempool gets it again.
//!
//! ```text
//!   0 - 1 - 2a - 3a[parent] - 4a[funding]      read from 4a back to 2a: all that left with the funding, and what that was made of
//!         \ 2b - 3b - 4b - 5b                  what spends any of it here ends the deposit
//! ```
//! A bitcoind keeps blocks that were left, unless it is pruned, or never saw them: then nothing is known of such a deposit here, and another member shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{Block, OutPoint, Transaction, Txid};

use super::deposit_tracker::Position;
use super::view::{Deposit, LedgerView};

/// Deposits of which it is known at once: a reorganisation takes few.
const MOST: usize = 64;
/// Inputs that are watched of each.
const MOST_INPUTS: usize = 200;
/// Blocks that are read of each: nobody has seen a longer reorganisation.
const MOST_BLOCKS: u32 = 144;
/// Virtual bytes that are kept of each: as much as a mempool takes for one transaction.
const MOST_VBYTES: usize = 100_000;

/// What made each deposit.
#[derive(Clone, Debug, Default)]
pub struct Fundings(BTreeMap<OutPoint, Lineage>);

/// A deposit's funding, and its ancestors that left the best chain with it.
#[derive(Clone, Debug, Default)]
struct Lineage {
    /// The funding first, each before what it spends.
    made_by: Vec<Arc<Transaction>>,
    /// Those that may be in older blocks.
    wanted: BTreeSet<Txid>,
    /// The next block to read; none: all are read.
    next: Option<Position>,
    blocks: u32,
    vbytes: usize,
}

impl Fundings {
    /// The next block that was left and may hold the funding of a deposit, or an ancestor of it; forgets those whose block is back, or that are over.
    pub fn next(&mut self, ledger: &LedgerView) -> Option<(OutPoint, Position)> {
        let has_left = |deposit: &Deposit| deposit.is_sweepable() && ledger.confirmations(deposit.block) == Some(0);
        self.0.retain(|outpoint, _| ledger.deposits.get(outpoint).is_some_and(has_left));
        let is_new = |(outpoint, deposit): &(&OutPoint, &Deposit)| has_left(deposit) && !self.0.contains_key(outpoint);
        let first = |(outpoint, deposit): (&OutPoint, &Deposit)| {
            Some((*outpoint, Position { height: deposit.block.height, hash: deposit.block_hash? }))
        };
        let fresh = || ledger.deposits.iter().filter(is_new).find_map(first);
        let begun = || self.0.iter().find_map(|(outpoint, lineage)| Some((*outpoint, lineage.next?)));
        if self.0.len() < MOST { fresh().or_else(begun) } else { begun() }
    }

    /// Takes in that block; none when bitcoind does not have it. `parent_is_in_chain`: the block before it is in the best chain.
    pub fn answer(&mut self, outpoint: OutPoint, at: Position, block: Option<&Block>, parent_is_in_chain: bool) {
        let lineage = self.0.entry(outpoint).or_insert_with(|| Lineage::of(outpoint.txid));
        lineage.blocks += 1;
        lineage.next = None;
        let Some(block) = block else { return };
        lineage.read(block);
        let parent = Position { height: at.height.saturating_sub(1), hash: block.header.prev_blockhash };
        let is_read = parent_is_in_chain || lineage.wanted.is_empty() || lineage.blocks >= MOST_BLOCKS;
        lineage.next = (!is_read).then_some(parent);
    }

    /// All inputs.
    pub fn inputs(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.0.values().flat_map(|lineage| lineage.inputs().map(|(.., outpoint)| outpoint))
    }

    /// What was spent for a deposit: by which of its ancestors, or by its funding, at which place.
    pub fn inputs_of(&self, outpoint: &OutPoint) -> impl Iterator<Item = (Txid, u32, OutPoint)> + '_ {
        self.0.get(outpoint).into_iter().flat_map(Lineage::inputs)
    }

    /// From one of them to the funding, each spending an output of the one before; empty if it is none of them.
    #[must_use]
    pub fn path(&self, outpoint: &OutPoint, ancestor: Txid) -> Vec<&Transaction> {
        let Some(Lineage { made_by, .. }) = self.0.get(outpoint) else { return Vec::new() };
        let mut path: Vec<&Transaction> = Vec::new();
        let mut looked_for = ancestor;
        for transaction in made_by.iter().rev() {
            let spends = transaction.input.iter().any(|input| input.previous_output.txid == looked_for);
            if if path.is_empty() { transaction.compute_txid() == ancestor } else { spends } {
                looked_for = transaction.compute_txid();
                path.push(transaction);
            }
        }
        path
    }

    /// What is to be handed to Bitcoin again, parents first; empty while it is not all known.
    #[must_use]
    pub fn made_by(&self, outpoint: &OutPoint) -> Vec<&Transaction> {
        let whole = self.0.get(outpoint).filter(|lineage| lineage.next.is_none());
        whole.into_iter().flat_map(|lineage| lineage.made_by.iter().rev().map(|made| &**made)).collect()
    }

    /// Whether a transaction made a deposit.
    #[must_use]
    pub fn is_of(&self, outpoint: &OutPoint, txid: Txid) -> bool {
        self.0.get(outpoint).is_some_and(|lineage| lineage.made_by.iter().any(|made| made.compute_txid() == txid))
    }

    /// The deposits whose funding is known.
    pub fn known(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.0.iter().filter(|(_, lineage)| !lineage.made_by.is_empty()).map(|(outpoint, _)| *outpoint)
    }
}

impl Lineage {
    fn of(funding: Txid) -> Self {
        Self { wanted: BTreeSet::from([funding]), ..Self::default() }
    }

    /// In a block what spends another comes after it.
    fn read(&mut self, block: &Block) {
        for transaction in block.txdata.iter().rev() {
            if self.wanted.is_empty() {
                return;
            }
            if !self.wanted.remove(&transaction.compute_txid()) {
                continue;
            }
            self.vbytes = self.vbytes.saturating_add(transaction.vsize());
            if self.vbytes > MOST_VBYTES {
                return self.wanted.clear();
            }
            self.wanted.extend(transaction.input.iter().map(|input| input.previous_output.txid));
            self.made_by.push(Arc::new(transaction.clone()));
        }
    }

    fn inputs(&self) -> impl Iterator<Item = (Txid, u32, OutPoint)> + '_ {
        let of_one = |transaction: &Arc<Transaction>| {
            let txid = transaction.compute_txid();
            let outpoints: Vec<OutPoint> = transaction.input.iter().map(|input| input.previous_output).collect();
            (0..).zip(outpoints).map(move |(place, outpoint)| (txid, place, outpoint))
        };
        self.made_by.iter().flat_map(of_one).take(MOST_INPUTS)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use bitcoin::{BlockHash, TxIn, TxOut};

    use super::*;
    use crate::relay::example::{self, outpoint, position};

    fn spending(spent: &[OutPoint], value: u64) -> Transaction {
        let input = |outpoint: &OutPoint| TxIn { previous_output: *outpoint, ..Default::default() };
        Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: spent.iter().map(input).collect(),
            output: vec![TxOut { value: bitcoin::Amount::from_sat(value), script_pubkey: Default::default() }],
        }
    }

    fn output(transaction: &Transaction) -> OutPoint {
        OutPoint { txid: transaction.compute_txid(), vout: 0 }
    }

    fn block(transactions: &[&Transaction]) -> Block {
        let header = bitcoin::block::Header {
            version: bitcoin::block::Version::ONE,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: bitcoin::TxMerkleNode::all_zeros(),
            time: 0,
            bits: bitcoin::CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        Block { header, txdata: transactions.iter().map(|transaction| (*transaction).clone()).collect() }
    }

    // 148 - 149a[oldest] - 150a[other, parent, funding]       both a-blocks have left
    #[test]
    fn ancestors_that_left_with_a_funding_are_found_in_the_blocks_before_it() {
        let oldest = spending(&[outpoint(1)], 1);
        let other = spending(&[outpoint(2)], 2);
        let parent = spending(&[outpoint(3), output(&oldest)], 3);
        let funding = spending(&[output(&parent)], 4);
        let deposit = output(&funding);
        let mut ledger = example::ledger(200);
        let left = crate::relay::view::Deposit {
            block: crate::relay::view::Block { height: 150, head: Default::default() },
            ..example::deposit(150)
        };
        ledger.deposits = std::sync::Arc::new(BTreeMap::from([(deposit, left)]));
        let mut fundings = Fundings::default();
        let (of, at) = fundings.next(&ledger).expect("its block has left");
        assert_eq!((of, at), (deposit, position(150)));
        fundings.answer(of, at, Some(&block(&[&other, &parent, &funding])), false);
        assert!(fundings.made_by(&deposit).is_empty(), "not all is known yet");
        let (of, at) = fundings.next(&ledger).expect("the block before it");
        assert_eq!(at.height, 149);
        fundings.answer(of, at, Some(&block(&[&oldest])), true);
        assert_eq!(fundings.next(&ledger), None, "148 is in the best chain");
        assert_eq!(fundings.made_by(&deposit), [&oldest, &parent, &funding]);
        assert_eq!(fundings.path(&deposit, oldest.compute_txid()), [&oldest, &parent, &funding]);
        assert_eq!(fundings.path(&deposit, funding.compute_txid()), [&funding]);
        assert!(fundings.path(&deposit, other.compute_txid()).is_empty());
        let inputs: BTreeSet<OutPoint> = fundings.inputs().collect();
        assert!(inputs.contains(&outpoint(1)) && inputs.contains(&outpoint(3)) && !inputs.contains(&outpoint(2)));
        // It is back, or swept.
        ledger.deposits = Default::default();
        assert_eq!((fundings.next(&ledger), fundings.inputs().count()), (None, 0));
    }

    #[test]
    fn what_is_kept_of_a_funding_is_bounded() {
        let mut large = spending(&[outpoint(1)], 1);
        large.output[0].script_pubkey = bitcoin::ScriptBuf::from_bytes(vec![0x6a; 2 * MOST_VBYTES]);
        let funding = spending(&[output(&large)], 2);
        let mut lineage = Lineage::of(funding.compute_txid());
        lineage.read(&block(&[&large, &funding]));
        assert_eq!((lineage.made_by.len(), lineage.wanted.len()), (1, 0));
    }
}
