//! What a deposit waits for, by the ledger's own rules for sweeping and minting (docs/ledger.md, "first binding", "depth"), as far as the
//! node and the user's own bitcoind tell. Pure: facts in, reasons out.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, Txid};
use bridge::amount::show;
use bridge::io::sidechain::WaitedFor;
use bridge::peg::{Deposit, DepositStatus, Limits, Parameters, Pending, Vault};
use mainchain::header::Height;
use serde::Serialize;

use super::alone::{Alone, sweep};
use super::charge::of_deposit;
use super::outlook::{Outlook, Rate};
use super::payment::{about, about_seconds};
use super::withdrawal_waits::{self, on_bitcoin, reserve_lacks, waits_for_member};

/// Confirmations within which a deposit is usually in a sweep; nothing is wrong before.
const SOON_BLOCKS: u32 = 2;

/// What a deposit can be waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// The block with its funding left Bitcoin's best chain.
    BlockLeft,
    /// Something that is no vault transaction spends it in the mempool of the user's bitcoind.
    Spent { by: Txid },
    /// Its maximum is less than what a sweep costs now.
    Maximum { max_fee_sat: u64, charge_sat: u64, rate: Rate },
    /// A sweep costs as much as it holds.
    TooSmall { charge_sat: u64, rate: Rate },
    /// The peg would hold more than it may.
    Cap { cap_sat: u64, used_sat: u64 },
    /// What it pays is less than a sweep of it alone costs, and the reserve has less than the rest.
    Reserve { need_sat: u64, reserve_sat: i64, rate: Rate },
    /// A proposal sweeps it, and too few members have approved that.
    Approvals { proposal: u64, approved_by: Vec<u16>, threshold: u16, for_seconds: u64 },
    /// A member keeps the others waiting.
    Member(WaitedFor),
    /// Nothing that can be seen stops it: the federation's next sweep. `for_blocks`: since it was paid.
    Sweep { for_blocks: u32, rate: Rate },
    /// A sweep of it is bound: Bitcoin has to confirm it.
    Bitcoin { number: u32, txid: Txid, pays: u64, in_mempool: Option<bool>, rate: Rate },
    /// That sweep cannot confirm while this transaction spends another deposit in it.
    Contested { number: u32, deposit: OutPoint, by: Txid },
    /// Its owner can take it back from this block on, which has come; it is swept all the same, if that is first.
    Reclaimable { from: Height },
    /// Its funding, or its sweep if that came late, is not deep enough for its coins; about how long that takes, where blocks come by themselves.
    Depth {
        confirmations: u32,
        required: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        about_seconds: Option<u64>,
    },
}

/// What decides besides the deposit itself.
pub struct Facts<'a> {
    pub outlook: &'a Outlook,
    pub seen: &'a Seen,
}

/// What else was asked about one deposit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What spends it, and the other deposits of its sweep, in the mempool of the user's bitcoind.
    pub spenders: BTreeMap<OutPoint, Txid>,
    /// Whether its newest sweep is in that mempool.
    pub in_mempool: Option<bool>,
    /// Of the sweep that settled: its height, and confirmations.
    pub swept: Option<(Height, u32)>,
}

/// Why there are no coins for the deposit yet; or, where its coins were made before a reorganisation, why nothing sweeps it.
pub fn waits(deposit: &Deposit, facts: &Facts<'_>) -> Vec<Wait> {
    match deposit.status {
        DepositStatus::Proven => of_proven(deposit, facts),
        DepositStatus::Minted if deposit.swept_by.is_none() => of_proven(deposit, facts),
        DepositStatus::Swept => vec![depth(deposit, facts)],
        DepositStatus::Minted | DepositStatus::Gone => Vec::new(),
    }
}

fn of_proven(deposit: &Deposit, facts: &Facts<'_>) -> Vec<Wait> {
    let outlook = facts.outlook;
    let mut waits = Vec::new();
    waits.extend((deposit.confirmations == 0).then_some(Wait::BlockLeft));
    let spender = facts.seen.spenders.get(&outpoint(deposit)).filter(|by| !is_vaults(**by, &outlook.vault));
    waits.extend(spender.map(|by| Wait::Spent { by: *by }));
    match newest_sweep(deposit, &outlook.vault) {
        Some(sweep) => waits.extend(of_bound(deposit, sweep, facts)),
        None if waits.is_empty() => waits.extend(of_unbound(deposit, outlook)),
        None => {}
    }
    let from = reclaimable_from(deposit, outlook.parameters());
    waits.extend((outlook.info.bitcoin_tip.height >= from).then_some(Wait::Reclaimable { from }));
    waits
}

fn of_bound(deposit: &Deposit, sweep: &Pending, facts: &Facts<'_>) -> Vec<Wait> {
    let outlook = facts.outlook;
    let (number, txid, pays, rate) = (sweep.number, sweep.txid, sweep.content.rate, outlook.rate);
    let mut waits = vec![Wait::Bitcoin { number, txid, pays, in_mempool: facts.seen.in_mempool, rate }];
    let others = sweep.content.deposits.iter().filter(|other| **other != outpoint(deposit));
    let contested = others.filter_map(|other| Some((*other, *facts.seen.spenders.get(other)?)));
    let contested = contested.filter(|(_, by)| !is_vaults(*by, &outlook.vault));
    waits.extend(contested.map(|(deposit, by)| Wait::Contested { number, deposit, by }));
    if pays < rate.sat_per_kvb {
        waits.extend(reserve(deposit, outlook));
    }
    waits.extend(outlook.waited_for.iter().cloned().map(Wait::Member));
    waits
}

fn of_unbound(deposit: &Deposit, outlook: &Outlook) -> Vec<Wait> {
    let mut waits = if deposit.bound { Vec::new() } else { of_first_binding(deposit, outlook) };
    if waits.is_empty() {
        waits.extend(reserve(deposit, outlook));
    }
    if waits.is_empty() {
        waits.extend(approvals(deposit, outlook));
        waits.extend(outlook.waited_for.iter().cloned().map(Wait::Member));
    }
    if waits.is_empty() {
        let for_blocks = outlook.info.bitcoin_tip.height.saturating_sub(deposit.height).saturating_add(1);
        waits.push(Wait::Sweep { for_blocks, rate: outlook.rate });
    }
    waits
}

fn of_first_binding(deposit: &Deposit, outlook: &Outlook) -> Vec<Wait> {
    let (limits, rate) = (&outlook.limits, outlook.rate);
    let charge_sat = of_deposit(rate.sat_per_kvb, outlook.parameters()).to_sat();
    let (max_fee_sat, cap_sat, used_sat) = (deposit.max_fee_sat, limits.cap_sat, limits.cap_used_sat);
    let poor = (charge_sat > max_fee_sat).then_some(Wait::Maximum { max_fee_sat, charge_sat, rate });
    let small = (charge_sat >= deposit.amount_sat).then_some(Wait::TooSmall { charge_sat, rate });
    let beyond = used_sat.saturating_add(deposit.amount_sat) > cap_sat;
    poor.into_iter().chain(small).chain(beyond.then_some(Wait::Cap { cap_sat, used_sat })).collect()
}

fn reserve(deposit: &Deposit, outlook: &Outlook) -> Option<Wait> {
    let rate = outlook.rate;
    match sweep(deposit, rate.sat_per_kvb, outlook) {
        Alone::Reserve { need_sat } => Some(Wait::Reserve { need_sat, reserve_sat: outlook.reserve_sat(), rate }),
        _ => None,
    }
}

fn approvals(deposit: &Deposit, outlook: &Outlook) -> Option<Wait> {
    let outpoint = outpoint(deposit);
    match withdrawal_waits::approvals(outlook, |proposal| proposal.content.deposits.contains(&outpoint))? {
        withdrawal_waits::Wait::Approvals { proposal, approved_by, threshold, for_seconds } => {
            Some(Wait::Approvals { proposal, approved_by, threshold, for_seconds })
        }
        _ => None,
    }
}

// docs/ledger.md, "depth": of the funding; of the sweep where the funding's block has left. A sweep that came late has to be final itself.
fn depth(deposit: &Deposit, Facts { outlook, seen }: &Facts<'_>) -> Wait {
    let parameters = outlook.parameters();
    let late = |(height, _): &(Height, u32)| {
        height.saturating_sub(deposit.height) > Height::from(parameters.reclaim_delay) / 2
    };
    let wait = |confirmations: u32, required: u32| {
        let left = required.saturating_sub(confirmations);
        Wait::Depth { confirmations, required, about_seconds: about_seconds(left, outlook.info.bitcoin_network) }
    };
    if let Some((_, confirmations)) = seen.swept.filter(late).filter(|(_, got)| *got < parameters.final_blocks) {
        return wait(confirmations, parameters.final_blocks);
    }
    let required = required(deposit.amount_sat, parameters, &outlook.limits);
    let of_sweep = seen.swept.map_or(0, |(_, confirmations)| confirmations);
    let confirmations = if deposit.confirmations == 0 { of_sweep } else { deposit.confirmations };
    wait(confirmations, required)
}

/// The newest bound vault transaction that sweeps it and may still confirm.
pub fn newest_sweep<'a>(deposit: &Deposit, vault: &'a Vault) -> Option<&'a Pending> {
    vault.pending.iter().rev().find(|pending| pending.content.deposits.contains(&outpoint(deposit)))
}

fn outpoint(deposit: &Deposit) -> OutPoint {
    OutPoint::new(deposit.txid, deposit.vout)
}

fn is_vaults(txid: Txid, vault: &Vault) -> bool {
    let known: BTreeSet<Txid> = vault.pending.iter().map(|pending| pending.txid).collect();
    known.contains(&txid)
}

/// The first block that can hold its owner's reclaim.
pub fn reclaimable_from(deposit: &Deposit, parameters: &Parameters) -> Height {
    deposit.height.saturating_add(parameters.reclaim_delay.into())
}

/// Confirmations of its funding at which an amount is minted, by what was minted lately below each tier's depth.
pub fn required(amount_sat: u64, parameters: &Parameters, limits: &Limits) -> u32 {
    let tiers = &parameters.tiers;
    let fits = |index: usize| {
        let used = limits.tier_used_sat.get(index).copied().unwrap_or_default();
        tiers[index].up_to_sat == u64::MAX || used.saturating_add(amount_sat) <= tiers[index].up_to_sat
    };
    // At a tier's depth the amount counts in this tier and all deeper ones.
    let first = (0..tiers.len()).find(|first| (*first..tiers.len()).all(fits));
    first.map_or(parameters.final_blocks, |first| tiers[first].confirmations)
}

impl Wait {
    /// One word, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BlockLeft => "blockLeft",
            Self::Spent { .. } => "spent",
            Self::Maximum { .. } => "maximum",
            Self::TooSmall { .. } => "tooSmall",
            Self::Cap { .. } => "cap",
            Self::Reserve { .. } => "reserve",
            Self::Approvals { .. } => "approvals",
            Self::Member(_) => "member",
            Self::Sweep { .. } => "sweep",
            Self::Bitcoin { .. } => "bitcoin",
            Self::Contested { .. } => "contested",
            Self::Reclaimable { .. } => "reclaimable",
            Self::Depth { .. } => "depth",
        }
    }

    /// For people.
    pub fn advice(&self) -> String {
        match self {
            Self::BlockLeft => "its block left Bitcoin's best chain: for another block with it".into(),
            Self::Spent { by } => {
                format!("your bitcoind sees {by} spend it, which is no sweep: it ends with whichever confirms")
            }
            Self::Cap { cap_sat, used_sat } => {
                format!("the peg holds {} of at most {}: for room", sat(*used_sat), sat(*cap_sat))
            }
            Self::Approvals { proposal, approved_by, threshold, for_seconds } => {
                let (proposal, threshold, for_seconds) = (*proposal, *threshold, *for_seconds);
                let approved_by = approved_by.clone();
                withdrawal_waits::Wait::Approvals { proposal, approved_by, threshold, for_seconds }.of_all()
            }
            Self::Member(waited_for) => waits_for_member(waited_for),
            Self::Sweep { for_blocks, .. } if *for_blocks <= SOON_BLOCKS => "for the federation's next sweep".into(),
            Self::Sweep { for_blocks, rate } => format!(
                "for the federation's next sweep: its block is {for_blocks} deep, and nothing in the ledger stops it at {}. Its operators know more",
                rate.shown()
            ),
            Self::Bitcoin { txid, pays, in_mempool, rate, .. } => {
                format!("its sweep is bound: {}", on_bitcoin(*txid, Some(*pays), *in_mempool, *rate))
            }
            Self::Contested { number, deposit, by } => format!(
                "vault transaction {number} cannot confirm while {by} spends its deposit {deposit}: for a sweep without that, or for {by} to fail"
            ),
            Self::Reclaimable { from } => {
                format!("its owner can take it back since block {from} (causeway reclaim), unless a sweep is first")
            }
            Self::Depth { confirmations, required, about_seconds } => {
                let time = about_seconds.map(|seconds| format!(", {} more", about(seconds))).unwrap_or_default();
                format!("for its coins: {confirmations} of {required} confirmations{time}")
            }
            priced => priced.price(),
        }
    }

    /// What has to do with fees, for people.
    fn price(&self) -> String {
        match self {
            Self::Maximum { max_fee_sat, charge_sat, rate } => format!(
                "its maximum is {}, which nobody can raise, and a sweep costs {} at {}: for a lower rate",
                sat(*max_fee_sat),
                sat(*charge_sat),
                rate.shown()
            ),
            Self::TooSmall { charge_sat, rate } => {
                format!("a sweep costs {} at {}, as much as it holds: for a lower rate", sat(*charge_sat), rate.shown())
            }
            Self::Reserve { need_sat, reserve_sat, rate } => format!(
                "{} For other deposits to share the sweep, a lower rate, or the reserve (anybody fills it: causeway peg-in --reserve)",
                reserve_lacks("sweep", *need_sat, *reserve_sat, *rate)
            ),
            other => other.name().into(),
        }
    }
}

fn sat(sat: u64) -> String {
    show(Amount::from_sat(sat))
}

#[cfg(test)]
mod tests;
