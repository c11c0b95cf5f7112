//! What deposits were made of whose block has left the best chain: spent by something else, it ends them.

use std::collections::BTreeMap;

use bitcoin::{Block, BlockHash, OutPoint};

use super::view::{Deposit, LedgerView};

/// Deposits of which it is known at once: a reorganisation takes few.
const MOST: usize = 64;
/// Inputs that are watched of each.
const MOST_INPUTS: usize = 200;

/// The inputs of fundings, by deposit.
#[derive(Clone, Debug, Default)]
pub struct Fundings(BTreeMap<OutPoint, Vec<OutPoint>>);

impl Fundings {
    /// The next block that was left and holds the funding of a deposit; forgets those whose block is back, or that are over.
    pub fn next(&mut self, ledger: &LedgerView) -> Option<(OutPoint, BlockHash)> {
        let has_left = |deposit: &Deposit| deposit.is_sweepable() && ledger.confirmations(deposit.block) == Some(0);
        self.0.retain(|outpoint, _| ledger.deposits.get(outpoint).is_some_and(has_left));
        if self.0.len() >= MOST {
            return None;
        }
        let is_new = |(outpoint, deposit): &(&OutPoint, &Deposit)| has_left(deposit) && !self.0.contains_key(outpoint);
        ledger.deposits.iter().filter(is_new).find_map(|(outpoint, deposit)| Some((*outpoint, deposit.block_hash?)))
    }

    /// Takes in that block; none when bitcoind does not have it.
    pub fn answer(&mut self, outpoint: OutPoint, block: Option<&Block>) {
        let transactions = block.into_iter().flat_map(|block| &block.txdata);
        let funding = transactions.into_iter().find(|transaction| transaction.compute_txid() == outpoint.txid);
        let inputs = funding.into_iter().flat_map(|funding| &funding.input).map(|input| input.previous_output);
        self.0.insert(outpoint, inputs.take(MOST_INPUTS).collect());
    }

    /// All inputs.
    pub fn inputs(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.0.values().flatten().copied()
    }

    /// Those of one deposit's funding, with their places.
    pub fn inputs_of(&self, outpoint: &OutPoint) -> impl Iterator<Item = (u32, OutPoint)> + '_ {
        (0..).zip(self.0.get(outpoint).into_iter().flatten().copied())
    }
}
