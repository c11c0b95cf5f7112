//! Coins for swept deposits that were not deep enough when their sweep settled: tried once they are, by the tiers. What the tiers have room for
//! is the ledger's to say, so a refusal is tried again with growing patience, each deposit by itself.

use super::action::{Action, offer};
use super::duty::{Duty, Offer, Task};
use super::view::{Block, Deposit, Entry, LedgerView};
use crate::peg::VaultStatus;

/// Deposits minted in one call: each pays out coins and may make an account.
const AT_ONCE: usize = 16;

/// The sweeps with deposits to mint.
#[must_use]
pub fn offers(ledger: &LedgerView, duty: &Duty) -> Vec<Offer<Action>> {
    let settled = ledger.entries.iter().filter(|(_, entry)| entry.status == VaultStatus::Settled && entry.is_sweep());
    settled.flat_map(|(number, entry)| of_sweep(ledger, duty, *number, entry)).collect()
}

fn of_sweep(ledger: &LedgerView, duty: &Duty, number: u32, entry: &Entry) -> Vec<Offer<Action>> {
    let Some(swept_in) = entry.settled_in.filter(|block| ledger.confirmations(*block).is_some_and(|depth| depth > 0))
    else {
        return Vec::new();
    };
    let is_ready = |deposit: &Deposit| {
        !deposit.minted && deposit.swept_by == Some(number) && is_deep_enough(ledger, deposit, swept_in)
    };
    let places = (0u32..).zip(&entry.content.deposits);
    let ready: Vec<u32> = places
        .filter(|(_, outpoint)| ledger.deposits.get(outpoint).is_some_and(is_ready))
        .map(|(place, _)| place)
        .collect();
    if ready.is_empty() {
        return Vec::new();
    }
    let together = Task::Mint(number, None);
    let mut offers =
        vec![offer(together, Action::Mint { number, which: ready.iter().copied().take(AT_ONCE).collect() })];
    if duty.times_failed(together) > 0 {
        let alone = |place| offer(Task::Mint(number, Some(place)), Action::Mint { number, which: vec![place] });
        offers.extend(ready.into_iter().map(alone));
    }
    offers
}

// docs/ledger.md, "Depth": of the funding; of the sweep where the funding's block has left. A sweep that came late must be final.
fn is_deep_enough(ledger: &LedgerView, deposit: &Deposit, swept_in: Block) -> bool {
    let parameters = &ledger.info.parameters;
    let depth_of_sweep = ledger.confirmations(swept_in).unwrap_or(0);
    let is_late = swept_in.height > deposit.block.height + u32::from(parameters.reclaim_delay) / 2;
    if is_late && depth_of_sweep < parameters.final_blocks {
        return false;
    }
    let depth = match ledger.confirmations(deposit.block) {
        None => return false,
        Some(0) => depth_of_sweep,
        Some(depth) => depth,
    };
    let fits = |tier: &crate::peg::Tier| depth >= tier.confirmations && deposit.amount_sat <= tier.up_to_sat;
    parameters.tiers.iter().any(fits)
}
