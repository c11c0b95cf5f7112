//! Who is left out where the reserve cannot pay for all that is tied to an output: in a fee spike those who let too little be charged would hold that output, and all that others want of it, until
//! rates fall.
//!
//! ```text
//!   pays its whole charge      stays
//!   pays less                  stays while the reserve pays, who lacks least first
//!   was never tied             joins where it pays its whole charge, and there is something that it would wait for otherwise
//! ```
//! Who is left out loses nothing: its tie ends when what is made here is final, and then it is queued again.

use super::conditions::Conditions;
use super::more_outputs::with_more_outputs;
use crate::charges;
use crate::peg::Content;
use crate::vault_tx::draft::Built;
use crate::vault_tx::facts::{LedgerFacts, Withdrawal};
use crate::vault_tx::layout::output_size;

/// A withdrawal is tied for the first time to an output that a bound vault transaction spends only by what pays so many times its rate: should that be mined nevertheless, the withdrawal waits until
/// it is final.
const TIMES_DEARER: u64 = 2;
/// Virtual bytes of a payout besides its outputs: one input, change, anchor, and what every transaction has.
const FRAME_VBYTES: u64 = 125;

/// Whether it cannot pay its whole charge at a rate.
#[must_use]
pub fn is_poor(withdrawal: &Withdrawal, rate: u64, ledger: &LedgerFacts) -> bool {
    lacks(withdrawal, rate, ledger) > 0
}

/// Whether a withdrawal may be tied for the first time to an output that bound vault transactions of at most this rate spend, by one of another rate.
#[must_use]
pub fn may_join(rate: u64, bound_rate: u64) -> bool {
    rate >= bound_rate.saturating_mul(TIMES_DEARER)
}

/// The content with as many of its withdrawals as the reserve pays for, and others that help; none if all can pay, or nothing helps. `bound_rate` is of what is bound over its first output.
pub(super) fn without_the_poor(
    content: &Content,
    bound_rate: u64,
    ledger: &LedgerFacts,
    on: &Conditions,
) -> Option<Built> {
    let lacks = |id: &u64| ledger.withdrawals.get(id).map_or(0, |withdrawal| lacks(withdrawal, content.rate, ledger));
    let (mut poor, paying): (Vec<u64>, Vec<u64>) = content.withdrawals.iter().partition(|id| lacks(id) > 0);
    if poor.is_empty() {
        return None;
    }
    poor.sort_by_key(|id| (lacks(id), *id));
    // Others join beside all that are tied, if there is room; or else in the place of the poor.
    [&content.withdrawals, &paying].into_iter().find_map(|beside| {
        let joining =
            if may_join(content.rate, bound_rate) { joining(content, beside, ledger, on) } else { Vec::new() };
        let made = |kept: usize| {
            let mut withdrawals: Vec<u64> = paying.iter().chain(&joining).chain(&poor[..kept]).copied().collect();
            withdrawals.sort_unstable();
            if withdrawals.is_empty() || withdrawals.len() > most(ledger, on) {
                return None;
            }
            with_more_outputs(&Content { withdrawals, ..content.clone() }, ledger, on)
        };
        // What the reserve adds is least with those who pay for their own output; what others leave unpaid is least with none.
        let begin = worth_keeping(&poor, content.rate, ledger);
        as_many_as_can_be(poor.len(), begin, made).or_else(|| as_many_as_can_be(poor.len(), 0, made))
    })
}

fn lacks(withdrawal: &Withdrawal, rate: u64, ledger: &LedgerFacts) -> u64 {
    withdrawal.whole_charge(rate, &ledger.rules).to_sat().saturating_sub(withdrawal.max_fee.to_sat())
}

fn most(ledger: &LedgerFacts, on: &Conditions) -> usize {
    ledger.rules.max_payouts.min(on.budget.payouts)
}

/// How many of the poor pay at least for their own output: with fewer the reserve pays more.
fn worth_keeping(poor: &[u64], rate: u64, ledger: &LedgerFacts) -> usize {
    let pays_for_itself = |id: &&u64| {
        let withdrawal = &ledger.withdrawals[id];
        withdrawal.max_fee.to_sat() >= cost_of_output(withdrawal, rate)
    };
    poor.iter().take_while(pays_for_itself).count()
}

/// What its output adds to the cost, in satoshis.
fn cost_of_output(withdrawal: &Withdrawal, rate: u64) -> u64 {
    let whole = charges::cost(output_size(withdrawal.script.len()), rate).to_sat();
    whole.saturating_sub(charges::cost(0, rate).to_sat())
}

/// From `best` on each further one is harder; and fewer are harder, too.
fn as_many_as_can_be(all: usize, best: usize, made: impl Fn(usize) -> Option<Built>) -> Option<Built> {
    let mut found = made(best)?;
    let (mut fits, mut too_many) = (best, all + 1);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        match made(middle) {
            Some(built) => (found, fits) = (built, middle),
            None => too_many = middle,
        }
    }
    Some(found)
}

/// Withdrawals that were never tied, pay their whole charge and fit beside these, the oldest first.
fn joining(content: &Content, beside: &[u64], ledger: &LedgerFacts, on: &Conditions) -> Vec<u64> {
    let first = content.outputs.first().and_then(|number| ledger.outputs.get(number));
    if content.epoch != ledger.epoch || !first.is_some_and(|first| first.is_rooted) {
        return Vec::new();
    }
    let charge = |withdrawal: &Withdrawal| withdrawal.whole_charge(content.rate, &ledger.rules);
    // What one takes of the outputs: what it is paid, and its output's part of the fee.
    let takes = |withdrawal: &Withdrawal| {
        let paid = withdrawal.amount.to_sat().saturating_sub(charge(withdrawal).min(withdrawal.max_fee).to_sat());
        paid.saturating_add(cost_of_output(withdrawal, content.rate))
    };
    let spent = content.outputs.iter().filter_map(|number| ledger.outputs.get(number));
    let inputs_sat: u64 = spent.fold(0, |sum, output| sum.saturating_add(output.amount.to_sat()));
    let taken_sat = beside.iter().filter_map(|id| ledger.withdrawals.get(id)).map(takes).fold(0, u64::saturating_add);
    let frame_sat = charges::cost(FRAME_VBYTES, content.rate).to_sat().saturating_add(ledger.rules.useful.to_sat());
    let mut room_sat = inputs_sat.saturating_sub(taken_sat).saturating_sub(frame_sat);
    let mut window_sat = ledger.window_left.to_sat();
    let mut ids = Vec::new();
    for (id, withdrawal) in ledger.withdrawals.iter().filter(|(_, withdrawal)| withdrawal.tie.is_none()) {
        let pays = charge(withdrawal) <= withdrawal.max_fee && charge(withdrawal) < withdrawal.amount;
        let left = (room_sat.checked_sub(takes(withdrawal)), window_sat.checked_sub(withdrawal.amount.to_sat()));
        if let (true, (Some(room), Some(window))) = (pays && beside.len() + ids.len() < most(ledger, on), left) {
            (room_sat, window_sat) = (room, window);
            ids.push(*id);
        }
    }
    ids
}
