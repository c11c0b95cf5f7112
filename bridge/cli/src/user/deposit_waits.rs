//! What a deposit waits for, by the ledger's own rules for sweeping and minting (docs/ledger.md, "first binding", "depth"), as far as the
//! node tells. Pure: facts in, reasons out.

use bitcoin::Amount;
use bridge::amount::show;
use bridge::peg::{Deposit, DepositStatus, Limits, Parameters};
use mainchain::header::Height;
use serde::Serialize;

use super::charge::{Charge, rate_shown};

/// What a deposit can be waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// The block with its funding left Bitcoin's best chain.
    BlockLeft,
    /// Its maximum is less than what a sweep costs now.
    Maximum { max_fee_sat: u64, charge_sat: u64, rate: u64 },
    /// A sweep costs as much as it holds.
    TooSmall { charge_sat: u64, rate: u64 },
    /// The peg would hold more than it may.
    Cap { cap_sat: u64, used_sat: u64 },
    /// So near to its timelock that nobody sweeps it: its owner can take it back from this block on.
    TooOld { reclaimable_from: Height },
    /// Nothing stops it: the federation's next sweep.
    Sweep,
    /// A sweep of it is bound: Bitcoin has to confirm it.
    Bitcoin,
    /// Its funding is not deep enough for its coins.
    Depth { confirmations: u32, required: u32 },
}

/// What decides besides the deposit itself.
pub struct Facts<'a> {
    pub parameters: &'a Parameters,
    pub limits: &'a Limits,
    /// What it would pay now.
    pub charge: Charge,
    /// Height of Bitcoin's best chain, as the ledger has it.
    pub tip: Height,
}

/// Why there are no coins for the deposit yet.
pub fn waits(deposit: &Deposit, facts: &Facts<'_>) -> Vec<Wait> {
    match deposit.status {
        DepositStatus::Proven if deposit.minted_sat.is_none() => of_proven(deposit, facts),
        DepositStatus::Swept => {
            let required = required(deposit.amount_sat, facts.parameters, facts.limits);
            vec![Wait::Depth { confirmations: deposit.confirmations, required }]
        }
        DepositStatus::Proven | DepositStatus::Minted | DepositStatus::Gone => Vec::new(),
    }
}

fn of_proven(deposit: &Deposit, facts: &Facts<'_>) -> Vec<Wait> {
    let mut waits = Vec::new();
    waits.extend((deposit.confirmations == 0).then_some(Wait::BlockLeft));
    waits.extend(too_old(deposit, facts));
    if !deposit.bound {
        waits.extend(of_first_binding(deposit, facts));
    }
    if waits.is_empty() {
        waits.push(if deposit.bound { Wait::Bitcoin } else { Wait::Sweep });
    }
    waits
}

fn of_first_binding(deposit: &Deposit, Facts { limits, charge, .. }: &Facts<'_>) -> Vec<Wait> {
    let (charge_sat, rate) = (charge.amount.to_sat(), charge.rate);
    let (max_fee_sat, cap_sat, used_sat) = (deposit.max_fee_sat, limits.cap_sat, limits.cap_used_sat);
    let poor = (charge_sat > max_fee_sat).then_some(Wait::Maximum { max_fee_sat, charge_sat, rate });
    let small = (charge_sat >= deposit.amount_sat).then_some(Wait::TooSmall { charge_sat, rate });
    let beyond = used_sat.saturating_add(deposit.amount_sat) > cap_sat;
    poor.into_iter().chain(small).chain(beyond.then_some(Wait::Cap { cap_sat, used_sat })).collect()
}

/// Older than half of the delay, its owner could take it back before its sweep is final.
fn too_old(deposit: &Deposit, facts: &Facts<'_>) -> Option<Wait> {
    let delay = Height::from(facts.parameters.reclaim_delay);
    let is_old = facts.tip.saturating_sub(deposit.height) > delay / 2;
    is_old.then_some(Wait::TooOld { reclaimable_from: reclaimable_from(deposit, facts.parameters) })
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
            Self::Maximum { .. } => "maximum",
            Self::TooSmall { .. } => "tooSmall",
            Self::Cap { .. } => "cap",
            Self::TooOld { .. } => "tooOld",
            Self::Sweep => "sweep",
            Self::Bitcoin => "bitcoin",
            Self::Depth { .. } => "depth",
        }
    }

    /// For people.
    pub fn advice(&self) -> String {
        let sat = |sat: u64| show(Amount::from_sat(sat));
        match self {
            Self::BlockLeft => "its block left Bitcoin's best chain: for another block with it".into(),
            Self::Maximum { max_fee_sat, charge_sat, rate } => format!(
                "at {} sat/vB a sweep costs {}, and its maximum is {}, which nobody can raise: for a lower rate",
                rate_shown(*rate),
                sat(*charge_sat),
                sat(*max_fee_sat)
            ),
            Self::TooSmall { charge_sat, rate } => {
                format!(
                    "at {} sat/vB a sweep costs {}, as much as it holds: for a lower rate",
                    rate_shown(*rate),
                    sat(*charge_sat)
                )
            }
            Self::Cap { cap_sat, used_sat } => {
                format!("the peg holds {} of at most {}: for room", sat(*used_sat), sat(*cap_sat))
            }
            Self::TooOld { reclaimable_from } => {
                format!(
                    "too near to its timelock to be swept: take it back from block {reclaimable_from} on (causeway reclaim)"
                )
            }
            Self::Sweep => "for the federation's next sweep".into(),
            Self::Bitcoin => "for a Bitcoin block with its sweep, which is bound".into(),
            Self::Depth { confirmations, required } => {
                format!("for its coins: {confirmations} of {required} confirmations")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::charge::tests::parameters;
    use super::*;
    use alloy_primitives::{Address, FixedBytes};
    use bitcoin::Txid;
    use bitcoin::hashes::Hash as _;

    fn deposit() -> Deposit {
        Deposit {
            txid: Txid::all_zeros(),
            vout: 0,
            status: DepositStatus::Proven,
            recipient: Address::repeat_byte(1),
            claimant: Address::repeat_byte(1),
            amount_sat: 1_000_000,
            max_fee_sat: 5_000,
            minted_sat: None,
            bound: false,
            swept_by: None,
            height: 500,
            block_head: FixedBytes::ZERO,
            confirmations: 1,
            epoch: 1,
            has_left: false,
        }
    }

    fn limits() -> Limits {
        serde_json::from_value(serde_json::json!({
            "capSat": 100_000_000, "capUsedSat": 0, "windowSat": 1, "windowLeftSat": 1, "windowSeconds": 1, "pausedUntil": 0,
            "pauseAllowedFrom": 0, "pauseNumber": 0, "liftVotes": 0, "alarmed": true, "missingSat": 9, "stopSat": 1, "stopped": true,
            "maxInputs": 1, "maxPayouts": 1, "tierUsedSat": [0, 0]
        }))
        .expect("all of its fields")
    }

    fn told(deposit: &Deposit, limits: &Limits, charge_sat: u64, tip: Height) -> Vec<Wait> {
        let charge = Charge { rate: 2_000, amount: Amount::from_sat(charge_sat) };
        waits(deposit, &Facts { parameters: &parameters(), limits, charge, tip })
    }

    #[test]
    fn what_stops_payouts_stops_no_sweep() {
        assert_eq!(told(&deposit(), &limits(), 5_000, 500), [Wait::Sweep]);
    }

    #[test]
    fn each_reason_not_to_sweep_is_named() {
        let poor = told(&deposit(), &limits(), 5_001, 500);
        assert_eq!(poor, [Wait::Maximum { max_fee_sat: 5_000, charge_sat: 5_001, rate: 2_000 }]);
        let small = Deposit { amount_sat: 4_000, ..deposit() };
        assert_eq!(told(&small, &limits(), 4_000, 500), [Wait::TooSmall { charge_sat: 4_000, rate: 2_000 }]);
        let full = Limits { cap_used_sat: 99_000_001, ..limits() };
        assert_eq!(told(&deposit(), &full, 0, 500), [Wait::Cap { cap_sat: 100_000_000, used_sat: 99_000_001 }]);
        let left = Deposit { confirmations: 0, ..deposit() };
        assert_eq!(told(&left, &limits(), 0, 500), [Wait::BlockLeft]);
        assert_eq!(told(&deposit(), &limits(), 0, 500 + 504), [Wait::Sweep]);
        assert_eq!(told(&deposit(), &limits(), 0, 500 + 505), [Wait::TooOld { reclaimable_from: 1_508 }]);
    }

    /// Scripts read it.
    #[test]
    fn reasons_are_frozen_in_json() {
        let maximum = Wait::Maximum { max_fee_sat: 1, charge_sat: 2, rate: 3 };
        let (small, cap) = (Wait::TooSmall { charge_sat: 1, rate: 2 }, Wait::Cap { cap_sat: 1, used_sat: 2 });
        let (old, depth) = (Wait::TooOld { reclaimable_from: 1 }, Wait::Depth { confirmations: 1, required: 2 });
        let all = [Wait::BlockLeft, maximum, small, cap, old, Wait::Sweep, Wait::Bitcoin, depth];
        let json = serde_json::json!([
            { "reason": "blockLeft" },
            { "reason": "maximum", "maxFeeSat": 1, "chargeSat": 2, "rate": 3 },
            { "reason": "tooSmall", "chargeSat": 1, "rate": 2 },
            { "reason": "cap", "capSat": 1, "usedSat": 2 },
            { "reason": "tooOld", "reclaimableFrom": 1 },
            { "reason": "sweep" },
            { "reason": "bitcoin" },
            { "reason": "depth", "confirmations": 1, "required": 2 }
        ]);
        assert_eq!(serde_json::to_value(&all).expect("numbers"), json);
        let tagged = json.as_array().expect("a list").iter().map(|reason| reason["reason"].as_str());
        assert!(tagged.eq(all.iter().map(|wait| Some(wait.name()))));
    }

    #[test]
    fn what_was_bound_before_is_asked_for_no_charge_and_no_room_again() {
        let bound = Deposit { bound: true, ..deposit() };
        let full = Limits { cap_used_sat: u64::MAX, ..limits() };
        assert_eq!(told(&bound, &full, 1_000_000, 500), [Wait::Bitcoin]);
    }

    // Tiers of the test's parameters: 0.5 BTC below 6 confirmations, 5 BTC below 100.
    #[test]
    fn coins_wait_for_the_depth_that_their_amount_asks_for_by_what_was_minted_lately() {
        let with = |used: [u64; 2]| Limits { tier_used_sat: used.to_vec(), ..limits() };
        let at = |amount: u64, used| required(amount, &parameters(), &with(used));
        assert_eq!(at(50_000_000, [0, 0]), 2);
        assert_eq!(at(50_000_001, [0, 0]), 6);
        assert_eq!(at(1, [50_000_000, 50_000_000]), 6);
        assert_eq!(at(1, [0, 500_000_000]), 100);
        assert_eq!(at(500_000_001, [0, 0]), 100);
        let swept = Deposit { status: DepositStatus::Swept, confirmations: 1, ..deposit() };
        assert_eq!(told(&swept, &with([0, 0]), 0, 500), [Wait::Depth { confirmations: 1, required: 2 }]);
    }
}
