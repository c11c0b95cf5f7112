//! What a withdrawal waits for, by the ledger's own rules for tying one (docs/ledger.md, "first ties"), as far as the node tells.
//! Pure: facts in, reasons out, the one that matters most first.

use std::time::Duration;

use bitcoin::{Amount, Txid};
use bridge::amount::{show, show_signed};
use bridge::foreign;
use bridge::io::sidechain::{Proposal, WaitedFor};
use bridge::peg::{Limits, Pending, VaultStatus, Withdrawal, WithdrawalStatus};
use bridge::relay::proposers::APPROVED_WITHIN_S;
use serde::Serialize;

use super::alone::{Alone, payout};
use super::charge::{of_withdrawal, rate_shown};
use super::outlook::{Outlook, Rate};
use crate::clock::time;

/// Seconds within which a payout is usually bound; nothing is wrong before.
const USUALLY_S: u64 = 60;

/// What a withdrawal can be waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// A guardian paused first ties, until then (seconds since 1970).
    Pause { until: u64 },
    /// A shown theft stops first ties.
    Alarm,
    /// So much is missing that first ties are stopped.
    Deficit { missing_sat: u64, stop_sat: u64 },
    /// The payout window has too little left; it has enough in about so many seconds, if nobody else takes it.
    Window { left_sat: u64, about_seconds: u64 },
    /// Its maximum is less than what a payout costs now.
    Maximum { max_fee_sat: u64, charge_sat: u64, rate: Rate },
    /// What it pays is less than a payout of it alone costs, and the reserve has less than the rest.
    Reserve { need_sat: u64, reserve_sat: i64, rate: Rate },
    /// The vault outputs that are free hold too little; the others come back by these vault transactions.
    Coins { free_sat: u64, pending: Vec<u32> },
    /// No vault output is final yet, or spends one that is: none can be tied to for the first time.
    Root { final_blocks: u32 },
    /// A proposal pays it, and too few members have approved that.
    Approvals { proposal: u64, approved_by: Vec<u16>, threshold: u16, for_seconds: u64 },
    /// A member keeps the others waiting.
    Member(WaitedFor),
    /// Nothing that can be seen stops it: the federation's next payout.
    Payout { for_seconds: u64, rate: Rate },
    /// What it is tied to was spent without it: it is queued again once that is final.
    Replaced { by: u32, confirmations: u32, final_blocks: u32 },
    /// Bound: Bitcoin has to confirm it. `pays` is its rate, if it is known; `in_mempool` what the user's bitcoind says.
    Bitcoin { txid: Txid, pays: Option<u64>, in_mempool: Option<bool>, rate: Rate },
}

/// What decides besides the withdrawal itself.
pub struct Facts<'a> {
    pub outlook: &'a Outlook,
    /// Whether the newest version is in the mempool of the user's bitcoind.
    pub in_mempool: Option<bool>,
    /// What settled spends the output that it is tied to, and its confirmations.
    pub replaced: Option<(u32, u32)>,
}

/// Why nothing has paid the withdrawal yet.
pub fn waits(withdrawal: &Withdrawal, facts: &Facts<'_>) -> Vec<Wait> {
    match withdrawal.status {
        WithdrawalStatus::Queued => of_queued(withdrawal, facts.outlook),
        WithdrawalStatus::Tied => of_tied(withdrawal, facts),
        WithdrawalStatus::Paid | WithdrawalStatus::Cancelled | WithdrawalStatus::Refunded => Vec::new(),
    }
}

fn of_queued(withdrawal: &Withdrawal, outlook: &Outlook) -> Vec<Wait> {
    let mut waits = stops(outlook);
    let poor = too_poor(withdrawal, outlook);
    let coins = if poor.is_none() { lacks(withdrawal, outlook) } else { None };
    waits.extend(poor);
    waits.extend(window(withdrawal.amount_sat, &outlook.limits));
    waits.extend(coins);
    if waits.is_empty() {
        waits.extend(approvals(outlook, |proposal| proposal.content.withdrawals.contains(&withdrawal.id)));
        waits.extend(outlook.waited_for.iter().cloned().map(Wait::Member));
    }
    if waits.is_empty() {
        let for_seconds = outlook.now().saturating_sub(withdrawal.asked_at);
        waits.push(Wait::Payout { for_seconds, rate: outlook.rate });
    }
    waits
}

/// What stops all first ties.
pub fn stops(outlook: &Outlook) -> Vec<Wait> {
    let limits = &outlook.limits;
    let (until, missing_sat, stop_sat) = (limits.paused_until, limits.missing_sat, limits.stop_sat);
    let pause = (until > outlook.now()).then_some(Wait::Pause { until });
    let alarm = limits.alarmed.then_some(Wait::Alarm);
    let deficit = (missing_sat >= stop_sat).then_some(Wait::Deficit { missing_sat, stop_sat });
    pause.into_iter().chain(alarm).chain(deficit).collect()
}

fn window(amount_sat: u64, limits: &Limits) -> Option<Wait> {
    let lacks = amount_sat.checked_sub(limits.window_left_sat).filter(|lacks| *lacks > 0)?;
    let about_seconds = u128::from(lacks) * u128::from(limits.window_seconds) / u128::from(limits.window_sat.max(1));
    let about_seconds = u64::try_from(about_seconds).unwrap_or(u64::MAX).saturating_add(1);
    Some(Wait::Window { left_sat: limits.window_left_sat, about_seconds })
}

/// What a payout of it alone lacks. Together with others it may lack less.
pub fn lacks(withdrawal: &Withdrawal, outlook: &Outlook) -> Option<Wait> {
    let rate = outlook.rate;
    match payout(withdrawal, rate.sat_per_kvb, outlook) {
        Alone::Reserve { need_sat } => Some(Wait::Reserve { need_sat, reserve_sat: outlook.reserve_sat(), rate }),
        Alone::Coins { free_sat } => {
            let brings = outlook.vault.pending.iter().filter(|vault| vault.change_sat > 0);
            Some(Wait::Coins { free_sat, pending: brings.map(|vault| vault.number).collect() })
        }
        Alone::Root => Some(Wait::Root { final_blocks: outlook.parameters().final_blocks }),
        Alone::Made | Alone::Refused => None,
    }
}

/// The newest proposal of what is asked about that is late, if too few have approved it, nor a newer one.
pub fn approvals(outlook: &Outlook, is_of_it: impl Fn(&Proposal) -> bool) -> Option<Wait> {
    let threshold = outlook.info.threshold;
    let age = |proposal: &Proposal| outlook.now().saturating_sub(proposal.opened_at);
    let has_enough = |proposal: &Proposal| proposal.bound || proposal.approvals.len() >= usize::from(threshold);
    let newest = outlook.proposals.iter().rev().filter(|proposal| is_of_it(proposal));
    let mut unanswered = newest.take_while(|proposal| !has_enough(proposal));
    let late = unanswered.find(|proposal| age(proposal) >= APPROVED_WITHIN_S)?;
    Some(Wait::Approvals {
        proposal: late.number,
        approved_by: late.approvals.iter().copied().collect(),
        threshold,
        for_seconds: age(late),
    })
}

/// A version that is bound keeps its charge; only the next, dearer one could be better off with a higher maximum, or a fuller reserve.
fn of_tied(withdrawal: &Withdrawal, Facts { outlook, in_mempool, replaced }: &Facts<'_>) -> Vec<Wait> {
    if let Some((by, confirmations)) = *replaced {
        return vec![Wait::Replaced { by, confirmations, final_blocks: outlook.parameters().final_blocks }];
    }
    let newest = withdrawal.versions.iter().rev().find(|version| version.status != VaultStatus::Void);
    let pays = newest.and_then(|version| {
        let is_it = |vault: &&Pending| vault.number == version.number;
        outlook.vault.pending.iter().find(is_it).map(|vault| vault.content.rate)
    });
    let rate = outlook.rate;
    let bitcoin = newest.map(|version| Wait::Bitcoin { txid: version.txid, pays, in_mempool: *in_mempool, rate });
    let mut waits: Vec<Wait> = bitcoin.into_iter().collect();
    // What was bound since the last look is not known yet.
    if pays.is_some_and(|pays| pays < rate.sat_per_kvb) {
        waits.extend(too_poor(withdrawal, outlook));
        // Coins it has: those of the output that it is tied to.
        waits.extend(lacks(withdrawal, outlook).filter(|lack| matches!(lack, Wait::Reserve { .. })));
    }
    waits.extend(outlook.waited_for.iter().cloned().map(Wait::Member));
    waits
}

fn too_poor(withdrawal: &Withdrawal, outlook: &Outlook) -> Option<Wait> {
    let rate = outlook.rate;
    let charge = of_withdrawal(withdrawal.script.len(), rate.sat_per_kvb, outlook.parameters());
    let (max_fee_sat, charge_sat) = (withdrawal.max_fee_sat, charge.to_sat());
    (max_fee_sat < charge_sat).then_some(Wait::Maximum { max_fee_sat, charge_sat, rate })
}

impl Wait {
    /// One word, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Alarm => "alarm",
            Self::Deficit { .. } => "deficit",
            Self::Window { .. } => "window",
            Self::Maximum { .. } => "maximum",
            Self::Reserve { .. } => "reserve",
            Self::Coins { .. } => "coins",
            Self::Root { .. } => "root",
            Self::Approvals { .. } => "approvals",
            Self::Member(_) => "member",
            Self::Payout { .. } => "payout",
            Self::Replaced { .. } => "replaced",
            Self::Bitcoin { .. } => "bitcoin",
        }
    }

    /// For people, with what they can do about withdrawal `id`.
    pub fn advice(&self, id: u64) -> String {
        match self {
            Self::Maximum { max_fee_sat, charge_sat, rate } => format!(
                "its maximum is {}, and it costs {} at {}: causeway raise {id} --max-fee '{charge_sat} sat', or wait for a lower rate",
                sat(*max_fee_sat),
                sat(*charge_sat),
                rate.shown()
            ),
            Self::Window { left_sat, about_seconds } => format!(
                "the payout window has {} left; enough in about {} if nobody else takes it",
                sat(*left_sat),
                duration(*about_seconds)
            ),
            Self::Reserve { need_sat, reserve_sat, rate } => format!(
                "{} For others to share the payout, a lower rate, or the reserve (anybody fills it: causeway peg-in --reserve)",
                reserve_lacks("payout", *need_sat, *reserve_sat, *rate)
            ),
            Self::Payout { for_seconds, rate } => next_turn("payout", *for_seconds, *rate),
            Self::Replaced { by, confirmations, final_blocks } => format!(
                "vault transaction {by} was mined in the place of what pays it: it is queued again once that is final, {confirmations} of {final_blocks} confirmations (then a higher maximum is of use: causeway raise {id})"
            ),
            Self::Bitcoin { txid, pays, in_mempool, rate } => on_bitcoin(*txid, *pays, *in_mempool, *rate),
            other => other.of_all(),
        }
    }

    /// For people: what stops others as well.
    pub fn of_all(&self) -> String {
        match self {
            Self::Pause { until } => format!("payouts are paused by a guardian until {}", time(*until)),
            Self::Alarm => "something that is no vault transaction spends a vault output: payouts stand still".into(),
            Self::Deficit { missing_sat, stop_sat } => format!(
                "{} are missing, and from {} on payouts stand still until that is covered",
                sat(*missing_sat),
                sat(*stop_sat)
            ),
            Self::Coins { free_sat, pending } if pending.is_empty() => {
                format!("the vault's free outputs hold {}: for deposits", sat(*free_sat))
            }
            Self::Coins { free_sat, pending } => format!(
                "the vault's free outputs hold {}; the rest comes back by vault transactions {pending:?}: for a Bitcoin block with them",
                sat(*free_sat)
            ),
            Self::Root { final_blocks } => {
                format!("no vault output is {final_blocks} blocks deep yet: for Bitcoin blocks")
            }
            Self::Approvals { proposal, approved_by, threshold, for_seconds } => format!(
                "for approvals of proposal {proposal}: {} of {threshold} members have in {} ({approved_by:?})",
                approved_by.len(),
                duration(*for_seconds)
            ),
            Self::Member(waited_for) => waits_for_member(waited_for),
            other => other.name().into(),
        }
    }
}

/// What the reserve would have to add, for people.
pub fn reserve_lacks(what: &str, need_sat: u64, reserve_sat: i64, rate: Rate) -> String {
    format!(
        "a {what} of it alone takes {} from the reserve at {}, and the reserve has {}.",
        sat(need_sat),
        rate.shown(),
        show_signed(reserve_sat)
    )
}

/// A member, for people.
pub fn waits_for_member(WaitedFor { member, name, what }: &WaitedFor) -> String {
    format!("for member {member} ({}): {what}", foreign::shown(name))
}

/// What nothing that can be seen stops, for people: after a while with what it is judged by.
pub fn next_turn(what: &str, for_seconds: u64, rate: Rate) -> String {
    if for_seconds < USUALLY_S {
        return format!("for the federation's next {what}");
    }
    format!(
        "for the federation's next {what}: it has waited {}, and nothing in the ledger stops it at {}. Its operators know more",
        duration(for_seconds),
        rate.shown()
    )
}

/// What is bound and not confirmed, for people.
pub fn on_bitcoin(txid: Txid, pays: Option<u64>, in_mempool: Option<bool>, rate: Rate) -> String {
    let mut text = format!("for a Bitcoin block with {txid}");
    if let Some(pays) = pays {
        text += &format!(", which pays {} sat/vB", rate_shown(pays));
        if pays < rate.sat_per_kvb {
            text += &format!(" where {} is wanted", rate.shown());
        }
    }
    match in_mempool {
        Some(false) => {
            text += ". Your bitcoind does not have it: it is being signed, or was dropped for paying too little"
        }
        Some(true) | None => text += &format!(" (causeway bump {txid} pays for it)"),
    }
    text
}

fn sat(sat: u64) -> String {
    show(Amount::from_sat(sat))
}

fn duration(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests;
