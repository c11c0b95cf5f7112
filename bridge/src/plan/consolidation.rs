//! Vault outputs that are moved within the vault: before their recovery delay ends, out of an old epoch, or because they are too many. The reserve pays.
//!
//! ```text
//!  age of an output   0 ──────── 3/8 ──────── 7/16 ──────── 1/2 ────────────▶ recovery delay
//!                                refreshed    refreshed     late: alarm       the recovery key can take it
//!                                when cheap   at any rate
//! ```

use std::collections::BTreeMap;

use super::coins::{Coin, Coins, in_order};
use super::conditions::{Conditions, FEWEST_OUTPUTS, MOST_OUTPUTS};
use super::proposal::propose;
use super::queue::queue;
use super::starving::{Reach, sums, with_what_comes};
use crate::peg::Content;
use crate::vault_tx::facts::{LedgerFacts, Output};

/// Outputs that are left after joining: in the middle between the fewest and the most, so that it is not done again soon.
const OUTPUTS_LEFT: usize = usize::midpoint(FEWEST_OUTPUTS, MOST_OUTPUTS);

/// Why outputs are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Half of the recovery delay is near.
    Age,
    /// The group key in force is another one.
    Epoch,
    /// A large withdrawal is overdue, and wants more outputs than a payout may spend.
    Large,
    TooMany,
}

/// The next consolidation or refresh; or none.
#[must_use]
pub fn consolidation(ledger: &LedgerFacts, on: &Conditions) -> Option<Content> {
    [Reason::Age, Reason::Epoch, Reason::Large, Reason::TooMany].into_iter().find_map(|reason| {
        let (epoch, coins) = moved(reason, ledger, on)?;
        let least = if reason <= Reason::Epoch { 1 } else { 2 };
        // As many as the reserve can pay for.
        let counts = std::iter::successors(Some(coins.len()), |count| Some(count / 2));
        counts.take_while(|count| *count >= least).find_map(|count| {
            let outputs = in_order(coins[..count].to_vec());
            let content = Content { epoch, rate: on.rate(&ledger.rules), outputs, ..Content::default() };
            Some(propose(content, ledger)?.content)
        })
    })
}

/// Whether a consolidation that another member proposes is one that this one sees a reason for too. More is allowed than it would propose itself, since two members see
/// the tip and the queues at different times.
#[must_use]
pub fn is_wanted(content: &Content, ledger: &LedgerFacts, on: &Conditions) -> bool {
    let output = |number: &u32| ledger.outputs.get(number);
    let old = |output: &Output| age(output, on) >= of_delay(on, 1, 4);
    // All of them: an old one is no excuse to move the young.
    let ages = content.outputs.iter().all(|number| output(number).is_some_and(old));
    let is_usual = on.rate(&ledger.rules) >= content.rate / 2 && content.rate <= on.usual_rate.max(on.low_rate);
    let is_old_epoch = content.epoch != ledger.epoch;
    let many = is_usual && useful(ledger) > OUTPUTS_LEFT;
    ages || is_old_epoch || many || large(ledger, on).is_some()
}

/// Outputs past half of the recovery delay: somebody has to look.
#[must_use]
pub fn late_outputs(ledger: &LedgerFacts, on: &Conditions) -> Vec<u32> {
    let late = |(_, output): &(&u32, &Output)| age(output, on) >= of_delay(on, 1, 2);
    ledger.outputs.iter().filter(late).map(|(number, _)| *number).collect()
}

/// Which outputs, of which epoch, those first that want it most.
fn moved(reason: Reason, ledger: &LedgerFacts, on: &Conditions) -> Option<(u32, Vec<Coin>)> {
    let (epoch, mut coins) = match reason {
        Reason::Age => by_age(ledger, on)?,
        Reason::Epoch => of_old_epoch(ledger)?,
        Reason::Large => (ledger.epoch, large(ledger, on)?),
        Reason::TooMany => (ledger.epoch, too_many(ledger, on)?),
    };
    coins.truncate(on.most_inputs(&ledger.rules));
    Some((epoch, coins))
}

fn by_age(ledger: &LedgerFacts, on: &Conditions) -> Option<(u32, Vec<Coin>)> {
    let limit = if on.is_cheap(&ledger.rules) { of_delay(on, 3, 8) } else { of_delay(on, 7, 16) };
    let mut due: Vec<(u32, u32)> = Vec::new();
    for (number, output) in ledger.outputs.iter().filter(|(_, output)| !output.in_use && age(output, on) >= limit) {
        due.push((output.height, *number));
    }
    due.sort_unstable();
    let epoch = ledger.outputs.get(&due.first()?.1)?.epoch;
    let coins = Coins::free(ledger, epoch);
    let coin = |(_, number): &(u32, u32)| coins.iter().find(|coin| coin.number == *number).copied();
    let mut due: Vec<Coin> = due.iter().filter_map(coin).collect();
    // Joined only as far as enough are left.
    due.truncate(spare(ledger).max(1));
    Some((epoch, due))
}

fn of_old_epoch(ledger: &LedgerFacts) -> Option<(u32, Vec<Coin>)> {
    let mut old: BTreeMap<u32, Vec<Coin>> = BTreeMap::new();
    for epoch in ledger.outputs.values().map(|output| output.epoch).filter(|epoch| *epoch != ledger.epoch) {
        old.entry(epoch).or_insert_with(|| Coins::free(ledger, epoch).iter().copied().collect());
    }
    old.into_iter().find(|(_, coins)| !coins.is_empty())
}

/// The largest, if a withdrawal is overdue that all outputs can pay, and not so many as a payout may spend.
fn large(ledger: &LedgerFacts, on: &Conditions) -> Option<Vec<Coin>> {
    let free = Coins::free(ledger, ledger.epoch);
    let all = with_what_comes(ledger, &free);
    let most = on.most_inputs(&ledger.rules);
    let (within, whole) = (Reach::new(sums(&all, most), ledger, on), sums(&all, all.len()));
    let is_large = |sat: u64, bytes: u64| within.fewest(1, sat, 1, bytes).is_none() && whole.last() > Some(&sat);
    let overdue = |asked_at: u64| on.is_overdue(asked_at);
    let is_there = queue(ledger, on).iter().any(|one| overdue(one.asked_at) && is_large(one.paid_sat, one.bytes));
    (is_there && free.len() > 1).then(|| free.iter().copied().collect())
}

/// The smallest that are worth an input, so many that enough are left.
fn too_many(ledger: &LedgerFacts, on: &Conditions) -> Option<Vec<Coin>> {
    let useful = useful(ledger);
    if useful <= MOST_OUTPUTS || !on.is_cheap(&ledger.rules) {
        return None;
    }
    let coins = Coins::free(ledger, ledger.epoch);
    let worth_sat = on.rate(&ledger.rules).saturating_mul(INPUT_VBYTES) / 1_000;
    let mut smallest: Vec<Coin> = coins.iter().filter(|coin| coin.sat > worth_sat).copied().collect();
    smallest.reverse();
    smallest.truncate(useful - OUTPUTS_LEFT + 1);
    Some(smallest)
}

/// Of an input with its signature, rounded up.
const INPUT_VBYTES: u64 = 58;

/// Live outputs of the epoch in force that a payout can be made from, in use or not.
fn useful(ledger: &LedgerFacts) -> usize {
    let is_useful = |output: &&Output| output.epoch == ledger.epoch && output.amount >= ledger.rules.useful;
    ledger.outputs.values().filter(is_useful).count()
}

/// How many may become one.
fn spare(ledger: &LedgerFacts) -> usize {
    (useful(ledger) + 1).saturating_sub(FEWEST_OUTPUTS)
}

fn age(output: &Output, on: &Conditions) -> u32 {
    on.tip.saturating_sub(output.height)
}

fn of_delay(on: &Conditions, part: u64, whole: u64) -> u32 {
    u32::try_from(u64::from(on.recovery_delay) * part / whole).unwrap_or(u32::MAX)
}
