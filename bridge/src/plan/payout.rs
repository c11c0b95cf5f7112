//! Which withdrawals are paid next, and from which vault outputs.

use super::coins::Coins;
use super::conditions::Conditions;
use super::proposal::propose;
use super::queue::{Candidate, queue};
use super::starving::{Kept, Reach, kept};
use super::tied_again::tied_again;
use crate::peg::Content;
use crate::vault_tx::facts::LedgerFacts;

/// Gas of binding a payout, in any case and for each withdrawal (docs/ledger.md, "Gas").
const GAS: u64 = 300_000;
const GAS_EACH: u64 = 22_000;
/// The smallest output that many withdrawals have: amount, length, and a script of 22 bytes (P2WPKH).
const SMALLEST_OUTPUT: u64 = 31;

/// The next payout; or none. First what is tied to an output that nothing is about to spend, then who was never tied.
#[must_use]
pub fn payout(ledger: &LedgerFacts, on: &Conditions) -> Option<Content> {
    let most = ledger.rules.max_payouts.min(on.budget.payouts).min(on.by_gas(GAS, GAS_EACH));
    tied_again(ledger, on, most).or_else(|| first_ties(ledger, on, most))
}

fn first_ties(ledger: &LedgerFacts, on: &Conditions, most: usize) -> Option<Content> {
    let queue = queue(ledger, on);
    let free = Coins::free(ledger, ledger.epoch);
    let inputs = on.most_inputs(&ledger.rules);
    let kept = kept(ledger, on, &queue, &free);
    // Who is overdue may take what is there to the end, if the reserve can pay what is over; at last one output alone, where it can pay little.
    [(inputs, true), (inputs, false), (inputs.min(1), false)].into_iter().find_map(|(inputs, to_the_end)| {
        let reach = Reach::new(free.best_sums(inputs), ledger, on);
        let mut batch = Batch::new(ledger, on, reach, kept, to_the_end);
        for candidate in &queue {
            if batch.is_full(most) {
                break;
            }
            batch.add(candidate);
        }
        Some(propose(batch.content(&free)?, ledger)?.content)
    })
}

/// Withdrawals that are paid together.
struct Batch<'a> {
    ledger: &'a LedgerFacts,
    on: &'a Conditions,
    reach: Reach<'a>,
    kept: Option<Kept>,
    /// Whether who is overdue leaves no useful change.
    to_the_end: bool,
    ids: Vec<u64>,
    /// Left of the payout window.
    window_sat: u64,
    gross_sat: u64,
    paid_sat: u64,
    /// Of payouts.
    output_bytes: u64,
    inputs: usize,
}

impl<'a> Batch<'a> {
    fn new(
        ledger: &'a LedgerFacts,
        on: &'a Conditions,
        reach: Reach<'a>,
        kept: Option<Kept>,
        to_the_end: bool,
    ) -> Self {
        let window_sat = ledger.window_left.to_sat();
        let (ids, inputs) = (Vec::new(), 1);
        Self {
            ledger,
            on,
            reach,
            kept,
            to_the_end,
            ids,
            window_sat,
            gross_sat: 0,
            paid_sat: 0,
            output_bytes: 0,
            inputs,
        }
    }

    fn is_full(&self, most: usize) -> bool {
        let smallest = self.output_bytes + SMALLEST_OUTPUT;
        self.ids.len() >= most || !self.reach.fits(self.inputs, self.ids.len() + 1, smallest)
    }

    /// Takes it if it fits. Who does not fit holds up nobody behind it.
    fn add(&mut self, candidate: &Candidate) {
        let Some(window_sat) = self.window_sat.checked_sub(candidate.sat) else { return };
        if self.kept.is_some_and(|kept| !kept.allows(candidate, self.gross_sat, window_sat)) {
            return;
        }
        let output_bytes = self.output_bytes + candidate.bytes;
        let paid_sat = self.paid_sat.saturating_add(candidate.paid_sat);
        let to_the_end = self.to_the_end && self.on.is_overdue(candidate.asked_at);
        let change_sat = if to_the_end { 0 } else { self.ledger.rules.useful.to_sat() };
        let out_sat = paid_sat.saturating_add(change_sat);
        let Some(inputs) = self.reach.fewest(self.inputs, out_sat, self.ids.len() + 1, output_bytes) else { return };
        (self.window_sat, self.output_bytes, self.paid_sat, self.inputs) = (window_sat, output_bytes, paid_sat, inputs);
        self.gross_sat = self.gross_sat.saturating_add(candidate.sat);
        self.ids.push(candidate.id);
    }

    fn content(self, free: &Coins) -> Option<Content> {
        if self.ids.is_empty() {
            return None;
        }
        let cost_sat = self.reach.cost_sat(self.inputs, self.ids.len(), self.output_bytes);
        let out_sat = self.paid_sat.saturating_add(cost_sat);
        let useful_sat = out_sat.saturating_add(self.ledger.rules.useful.to_sat());
        let want_sat = if self.reach.best_sat(self.inputs) >= useful_sat { useful_sat } else { out_sat };
        let outputs = free.choose(self.inputs, want_sat);
        let rate = self.on.rate(&self.ledger.rules);
        Some(Content { epoch: self.ledger.epoch, rate, outputs, withdrawals: self.ids, ..Content::default() })
    }
}
