//! What a withdrawal waits for, by the ledger's own rules for tying one (docs/ledger.md, "first ties"), as far as the node tells.
//! Pure: facts in, reasons out, the one that matters most first.

use std::time::Duration;

use bitcoin::{Amount, Txid};
use bridge::amount::show;
use bridge::peg::{Limits, VaultStatus, Withdrawal, WithdrawalStatus};
use serde::Serialize;

use super::charge::{Charge, rate_shown};
use crate::clock::time;

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
    Maximum { max_fee_sat: u64, charge_sat: u64, rate: u64 },
    /// No vault output is final yet, or spends one that is: none can be tied to for the first time.
    Root { final_blocks: u32 },
    /// Nothing stops it: the federation's next payout.
    Payout,
    /// Bound: Bitcoin has to confirm it.
    Bitcoin { txid: Txid },
}

/// What decides besides the withdrawal itself.
pub struct Facts<'a> {
    pub limits: &'a Limits,
    /// What it would pay now.
    pub charge: Charge,
    /// Depth that is missing, if no vault output can be tied to for the first time.
    pub unrooted: Option<u32>,
    /// Time of the last block, in seconds since 1970.
    pub now: u64,
}

/// Why nothing has paid the withdrawal yet.
pub fn waits(withdrawal: &Withdrawal, facts: &Facts<'_>) -> Vec<Wait> {
    match withdrawal.status {
        WithdrawalStatus::Queued => of_queued(withdrawal, facts),
        WithdrawalStatus::Tied => of_tied(withdrawal, facts),
        WithdrawalStatus::Paid | WithdrawalStatus::Cancelled | WithdrawalStatus::Refunded => Vec::new(),
    }
}

fn of_queued(withdrawal: &Withdrawal, Facts { limits, charge, unrooted, now }: &Facts<'_>) -> Vec<Wait> {
    let mut waits = Vec::new();
    waits.extend((limits.paused_until > *now).then_some(Wait::Pause { until: limits.paused_until }));
    waits.extend(limits.alarmed.then_some(Wait::Alarm));
    let (missing_sat, stop_sat) = (limits.missing_sat, limits.stop_sat);
    waits.extend((missing_sat >= stop_sat).then_some(Wait::Deficit { missing_sat, stop_sat }));
    waits.extend(too_poor(withdrawal, charge));
    if let Some(lacks) = withdrawal.amount_sat.checked_sub(limits.window_left_sat).filter(|lacks| *lacks > 0) {
        let about_seconds =
            u128::from(lacks) * u128::from(limits.window_seconds) / u128::from(limits.window_sat.max(1));
        let about_seconds = u64::try_from(about_seconds).unwrap_or(u64::MAX).saturating_add(1);
        waits.push(Wait::Window { left_sat: limits.window_left_sat, about_seconds });
    }
    waits.extend(unrooted.map(|final_blocks| Wait::Root { final_blocks }));
    if waits.is_empty() {
        waits.push(Wait::Payout);
    }
    waits
}

/// A version that is bound keeps its charge; only the next, dearer one could be better off with a higher maximum.
fn of_tied(withdrawal: &Withdrawal, Facts { charge, .. }: &Facts<'_>) -> Vec<Wait> {
    let newest = withdrawal.versions.iter().rev().find(|version| version.status != VaultStatus::Void);
    let bitcoin = newest.map(|version| Wait::Bitcoin { txid: version.txid });
    bitcoin.into_iter().chain(too_poor(withdrawal, charge)).collect()
}

fn too_poor(withdrawal: &Withdrawal, charge: &Charge) -> Option<Wait> {
    let (max_fee_sat, charge_sat, rate) = (withdrawal.max_fee_sat, charge.amount.to_sat(), charge.rate);
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
            Self::Root { .. } => "root",
            Self::Payout => "payout",
            Self::Bitcoin { .. } => "bitcoin",
        }
    }

    /// For people, with what they can do.
    pub fn advice(&self, id: u64) -> String {
        let sat = |sat: u64| show(Amount::from_sat(sat));
        match self {
            Self::Pause { until } => format!("payouts are paused by a guardian until {}", time(*until)),
            Self::Alarm => "something that is no vault transaction spends a vault output: payouts stand still".into(),
            Self::Deficit { missing_sat, stop_sat } => {
                format!(
                    "{} are missing, and from {} on payouts stand still until that is covered",
                    sat(*missing_sat),
                    sat(*stop_sat)
                )
            }
            Self::Window { left_sat, about_seconds } => {
                let about = humantime::format_duration(Duration::from_secs(*about_seconds));
                format!(
                    "the payout window has {} left; enough in about {about} if nobody else takes it",
                    sat(*left_sat)
                )
            }
            Self::Maximum { max_fee_sat, charge_sat, rate } => format!(
                "at {} sat/vB it costs {}, and its maximum is {}: causeway raise {id} --max-fee '{charge_sat} sat', or wait for a lower rate",
                rate_shown(*rate),
                sat(*charge_sat),
                sat(*max_fee_sat)
            ),
            Self::Root { final_blocks } => {
                format!("no vault output is {final_blocks} blocks deep yet: for Bitcoin blocks")
            }
            Self::Payout => "for the federation's next payout".into(),
            Self::Bitcoin { txid } => format!("for a Bitcoin block with {txid} (causeway bump {txid} pays for it)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use bitcoin::hashes::Hash as _;
    use bridge::peg::Version;

    const NOW: u64 = 1_700_000_000;

    fn withdrawal() -> Withdrawal {
        Withdrawal {
            id: 7,
            status: WithdrawalStatus::Queued,
            owner: Address::repeat_byte(1),
            amount_sat: 100_000_000,
            max_fee_sat: 5_000,
            asked_at: NOW - 60,
            tie: None,
            versions: Vec::new(),
            paid_by: None,
            script: vec![0x51; 34].into(),
        }
    }

    fn limits() -> Limits {
        Limits {
            cap_sat: 10_000_000_000,
            cap_used_sat: 0,
            window_sat: 200_000_000,
            window_left_sat: 200_000_000,
            window_seconds: 1_000,
            paused_until: NOW,
            pause_allowed_from: 0,
            pause_number: 0,
            lift_votes: 0,
            alarmed: false,
            missing_sat: 0,
            stop_sat: 1_000,
            stopped: false,
            max_inputs: 64,
            max_payouts: 220,
            tier_used_sat: Vec::new(),
        }
    }

    fn told(withdrawal: &Withdrawal, limits: &Limits, charge_sat: u64) -> Vec<Wait> {
        let charge = Charge { rate: 2_000, amount: Amount::from_sat(charge_sat) };
        waits(withdrawal, &Facts { limits, charge, unrooted: None, now: NOW })
    }

    #[test]
    fn a_withdrawal_that_nothing_stops_waits_for_the_next_payout() {
        assert_eq!(told(&withdrawal(), &limits(), 5_000), [Wait::Payout]);
    }

    #[test]
    fn a_young_networks_first_withdrawal_waits_until_a_vault_output_is_final() {
        let (limits, charge) = (limits(), Charge { rate: 1_000, amount: Amount::from_sat(78) });
        let facts = Facts { limits: &limits, charge, unrooted: Some(10), now: NOW };
        assert_eq!(waits(&withdrawal(), &facts), [Wait::Root { final_blocks: 10 }]);
    }

    #[test]
    fn each_reason_of_the_ledger_is_named_with_what_can_be_done() {
        let paused = Limits { paused_until: NOW + 1, ..limits() };
        assert_eq!(told(&withdrawal(), &paused, 0), [Wait::Pause { until: NOW + 1 }]);
        assert_eq!(told(&withdrawal(), &Limits { alarmed: true, ..limits() }, 0), [Wait::Alarm]);
        let short = Limits { missing_sat: 1_000, ..limits() };
        assert_eq!(told(&withdrawal(), &short, 0), [Wait::Deficit { missing_sat: 1_000, stop_sat: 1_000 }]);
        let narrow = Limits { window_left_sat: 40_000_000, ..limits() };
        assert_eq!(told(&withdrawal(), &narrow, 0), [Wait::Window { left_sat: 40_000_000, about_seconds: 301 }]);
        let poor = told(&withdrawal(), &limits(), 5_001);
        assert_eq!(poor, [Wait::Maximum { max_fee_sat: 5_000, charge_sat: 5_001, rate: 2_000 }]);
        assert!(poor[0].advice(7).contains("causeway raise 7 --max-fee '5001 sat'"), "{}", poor[0].advice(7));
        let all = Limits { paused_until: NOW + 1, alarmed: true, missing_sat: 1_000, window_left_sat: 0, ..limits() };
        let names: Vec<_> = told(&withdrawal(), &all, 5_001).iter().map(Wait::name).collect();
        assert_eq!(names, ["pause", "alarm", "deficit", "maximum", "window"]);
    }

    /// Scripts read it.
    #[test]
    fn reasons_are_frozen_in_json() {
        let window = Wait::Window { left_sat: 1, about_seconds: 2 };
        let maximum = Wait::Maximum { max_fee_sat: 1, charge_sat: 2, rate: 3 };
        let all =
            [Wait::Pause { until: 1 }, Wait::Alarm, window, maximum, Wait::Root { final_blocks: 4 }, Wait::Payout];
        let json = serde_json::json!([
            { "reason": "pause", "until": 1 },
            { "reason": "alarm" },
            { "reason": "window", "leftSat": 1, "aboutSeconds": 2 },
            { "reason": "maximum", "maxFeeSat": 1, "chargeSat": 2, "rate": 3 },
            { "reason": "root", "finalBlocks": 4 },
            { "reason": "payout" }
        ]);
        assert_eq!(serde_json::to_value(&all).expect("numbers"), json);
        let tagged = json.as_array().expect("a list").iter().map(|reason| reason["reason"].as_str());
        assert!(tagged.eq(all.iter().map(|wait| Some(wait.name()))));
    }

    #[test]
    fn a_tied_one_waits_for_bitcoin_by_its_newest_version_and_for_nothing_that_stops_first_ties() {
        let version = |number: u32, status| Version {
            number,
            txid: Txid::from_byte_array([u8::try_from(number).unwrap_or_default(); 32]),
            status,
            charge_sat: 100,
        };
        let versions =
            vec![version(1, VaultStatus::Bound), version(2, VaultStatus::Bound), version(3, VaultStatus::Void)];
        let txid = versions[1].txid;
        let tied = Withdrawal { status: WithdrawalStatus::Tied, tie: Some(1), versions, ..withdrawal() };
        let all = Limits { paused_until: NOW + 1, alarmed: true, missing_sat: 1_000, window_left_sat: 0, ..limits() };
        assert_eq!(told(&tied, &all, 0), [Wait::Bitcoin { txid }]);
        assert_eq!(told(&tied, &all, 6_000).len(), 2);
        let paid = Withdrawal { status: WithdrawalStatus::Paid, ..tied };
        assert_eq!(told(&paid, &all, 6_000), []);
    }
}
