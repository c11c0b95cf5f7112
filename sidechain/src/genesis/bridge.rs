//! The rules of the peg in `genesis.json`: the parameters of the contract Bridge (docs/ledger.md), with values that a network begins with,
//! and what is checked of them. The constructors refuse what contradicts itself; here is refused, in words, also what would make a
//! peg that nobody can use, or that one guardian, one miner or one fee spike can stop.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use contracts::IBridge;
use mainchain::Network;
use serde::{Deserialize, Serialize};

use super::error::{GenesisError, wrong};

/// Blocks that no reorganisation takes back, at least, off regtest: as many as Bitcoin itself waits before a block's reward is spent.
pub const MIN_FINAL_BLOCKS: u32 = 100;

/// Seconds that a withdrawal waits at least before others may give it back, off regtest: a proposal lives for an hour, and a fee spike
/// for longer.
pub const MIN_REFUND_AFTER_S: u32 = 86_400;

/// All bitcoin there can be.
const MAX_MONEY_SAT: u64 = 2_100_000_000_000_000;

/// The lowest rate that Bitcoin Core relays (`DEFAULT_MIN_RELAY_TX_FEE`, since version 30): 0.1 sat/vB.
const LEAST_RATE: u64 = 100;

/// 10,000 sat/vB, ten times what was ever usual. Bridge takes a hundred times as much.
const MOST_RATE: u64 = 10_000_000;

/// A sweep of so many deposits settles and mints in one transaction of 2^24 gas whatever its recipients do: some 87,000 gas each, and 50,000
/// for its delivery.
const MOST_INPUTS: u16 = 100;

/// Of so many payouts, to any script, a vault transaction has less than the 10,000 vB that one of version 3 may have (BIP431).
const MOST_PAYOUTS: u16 = 220;

/// Each is looked at whenever coins are made.
const MOST_TIERS: usize = 16;

const MOST_GUARDIANS: usize = 100;

/// 30 days: a window that nobody sees the end of would be a second cap, and a pause of that length no pause.
const MOST_SECONDS: u32 = 30 * 86_400;

/// What a deposit that is swept alone costs beyond its charge, up to 5 sat/vB: 31.5 vB and the anchor. So the reserve does not
/// fall at ordinary rates, whoever comes alone.
const PEG_IN_FEE_SAT: u64 = 400;

/// What a withdrawal that is paid alone costs beyond its charge, up to 4 sat/vB: 90 vB and the anchor.
const PEG_OUT_FEE_SAT: u64 = 600;

/// Change that is left to miners is the reserve's.
const MOST_USEFUL_SAT: u64 = 100_000;

/// Length of the scripts that a withdrawal may pay to, and the least amount that Bitcoin Core relays to each: P2PKH, P2SH, P2WPKH, P2TR and
/// P2WSH, the longest witness program (`OutputScript.sol`).
const SCRIPTS: [(u64, u64); 5] = [(25, 546), (23, 540), (22, 294), (34, 330), (42, 354)];

/// The rules of the peg. Amounts are in satoshi, rates in satoshi per 1,000 virtual bytes, blocks those of Bitcoin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bridge {
    /// Blocks after which a depositor can take an unswept deposit back: at least twice `final_blocks`.
    pub reclaim_delay: u16,
    /// Blocks that no reorganisation takes back. Ends of ties and losses wait for it, and so does the first withdrawal that a fresh output
    /// pays; off regtest [`MIN_FINAL_BLOCKS`] or more.
    pub final_blocks: u32,
    /// Blocks after which a theft that is shown stops first ties; at most `final_blocks`.
    pub alarm_blocks: u32,
    /// Smallest deposit that is taken: more than it pays for its sweep at `min_rate`.
    pub min_deposit_sat: u64,
    /// Smallest withdrawal that is queued: enough for the charge at `floor_rate` and an output that is relayed, to any script.
    pub min_withdrawal_sat: u64,
    /// For the reserve, of each deposit.
    pub peg_in_fee_sat: u64,
    /// For the reserve, of each withdrawal.
    pub peg_out_fee_sat: u64,
    /// The rate that a new withdrawal's maximum must allow; within the next two.
    pub floor_rate: u64,
    /// Lowest rate of a vault transaction.
    pub min_rate: u64,
    /// Highest rate of a vault transaction.
    pub max_rate: u64,
    /// From this much missing on (lost, unswept and overdrawn), nothing is tied for the first time; at least 1.
    pub stop_sat: u64,
    /// Change below it is not made: it goes to the miners.
    pub useful_sat: u64,
    /// The most that the peg holds: deposits beyond it are not swept.
    pub cap_sat: u64,
    /// Payout window: first ties take at most this at once; and as much again in each window's time. No withdrawal is larger.
    pub window_sat: u64,
    /// Seconds in which the window refills.
    pub window_seconds: u32,
    /// Seconds after which anyone may give a queued withdrawal back; off regtest [`MIN_REFUND_AFTER_S`] or more.
    pub refund_after: u32,
    /// Seconds that a guardian's pause lasts.
    pub pause_seconds: u32,
    /// Seconds between the end of a pause and the next: at least as many as a pause lasts.
    pub pause_gap_seconds: u32,
    /// Most inputs of a vault transaction.
    pub max_inputs: u16,
    /// Most payouts of a vault transaction.
    pub max_payouts: u16,
    /// Coins by depth, ascending in both fields; the last has `final_blocks` and no upper end: `u64::MAX`.
    pub tiers: Vec<Tier>,
    /// Each of them may pause; none, or up to 100.
    pub guardians: Vec<Address>,
}

/// Coins for deposits whose funding has so many confirmations, and not yet those of the next tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// Of the deposit's funding, in work; at least 1.
    pub confirmations: u32,
    /// The most that is minted below the next tier's confirmations within as much work as these take.
    pub up_to_sat: u64,
}

impl From<&Bridge> for api::peg::Parameters {
    /// What `peg_getInfo` of an honest node says.
    fn from(bridge: &Bridge) -> Self {
        bridge.parameters().into()
    }
}

impl Bridge {
    /// What a network begins with that says nothing else. On regtest, where blocks cost nothing, ten of them are final, so that a local network
    /// shows a withdrawal soon.
    pub fn defaults(network: Network, guardians: Vec<Address>) -> Self {
        let regtest = network == Network::Regtest;
        let final_blocks = if regtest { 10 } else { MIN_FINAL_BLOCKS };
        Self {
            reclaim_delay: 1_008,
            final_blocks,
            alarm_blocks: 2,
            min_deposit_sat: 1_000 + PEG_IN_FEE_SAT,
            min_withdrawal_sat: 1_000 + PEG_OUT_FEE_SAT,
            peg_in_fee_sat: PEG_IN_FEE_SAT,
            peg_out_fee_sat: PEG_OUT_FEE_SAT,
            floor_rate: 1_000,
            min_rate: 1_000,
            max_rate: 1_000_000,
            stop_sat: 10_000_000,
            useful_sat: 1_000,
            cap_sat: if regtest { MAX_MONEY_SAT } else { 10_000_000_000 },
            window_sat: if regtest { 100_000_000_000 } else { 1_000_000_000 },
            window_seconds: 3_600,
            refund_after: 604_800,
            pause_seconds: 86_400,
            pause_gap_seconds: 86_400,
            max_inputs: 64,
            max_payouts: 200,
            tiers: tiers(regtest, final_blocks),
            guardians,
        }
    }

    /// As the contract's constructor takes them.
    pub(crate) fn parameters(&self) -> IBridge::Parameters {
        let tier = |tier: &Tier| IBridge::Tier { confirmations: tier.confirmations, upToSat: tier.up_to_sat };
        IBridge::Parameters {
            reclaimDelay: self.reclaim_delay,
            finalBlocks: self.final_blocks,
            alarmBlocks: self.alarm_blocks,
            minDepositSat: self.min_deposit_sat,
            minWithdrawalSat: self.min_withdrawal_sat,
            pegInFeeSat: self.peg_in_fee_sat,
            pegOutFeeSat: self.peg_out_fee_sat,
            floorRate: self.floor_rate,
            minRate: self.min_rate,
            maxRate: self.max_rate,
            stopSat: self.stop_sat,
            usefulSat: self.useful_sat,
            capSat: self.cap_sat,
            windowSat: self.window_sat,
            windowSeconds: self.window_seconds,
            refundAfter: self.refund_after,
            pauseSeconds: self.pause_seconds,
            pauseGapSeconds: self.pause_gap_seconds,
            maxInputs: self.max_inputs,
            maxPayouts: self.max_payouts,
            tiers: self.tiers.iter().map(tier).collect(),
            guardians: self.guardians.clone(),
        }
    }

    pub(super) fn check(&self, network: Network) -> Result<(), GenesisError> {
        self.check_depths(network)?;
        self.check_tiers()?;
        self.check_rates()?;
        self.check_least_amounts()?;
        self.check_limits()?;
        self.check_times(network)?;
        self.check_guardians()
    }

    fn check_depths(&self, network: Network) -> Result<(), GenesisError> {
        let Self { reclaim_delay, final_blocks, alarm_blocks, .. } = *self;
        let least = if network == Network::Regtest { 1 } else { MIN_FINAL_BLOCKS };
        if final_blocks < least {
            return wrong(format!("bridge.finalBlocks is {final_blocks}, expected {least} or more on {network}"));
        }
        if !(1..=final_blocks).contains(&alarm_blocks) {
            return wrong(format!("bridge.alarmBlocks is {alarm_blocks}, expected 1 to finalBlocks ({final_blocks})"));
        }
        // A sweep within half of the delay is not asked how deep it is (docs/ledger.md, "Depth"): it is final before the owner can take the deposit
        // back. Bridge alone asks for 2.
        let least = 2 * u64::from(final_blocks);
        if u64::from(reclaim_delay) < least {
            return wrong(format!(
                "bridge.reclaimDelay is {reclaim_delay}, expected {least} or more: twice finalBlocks, else a depositor could have the coins and take the deposit back"
            ));
        }
        Ok(())
    }

    fn check_tiers(&self) -> Result<(), GenesisError> {
        let Self { tiers, final_blocks, .. } = self;
        let (Some(first), Some(last)) = (tiers.first(), tiers.last()) else {
            return wrong("bridge.tiers is empty, expected at least one");
        };
        if tiers.len() > MOST_TIERS {
            return wrong(format!("bridge.tiers has {}, expected at most {MOST_TIERS}", tiers.len()));
        }
        if first.confirmations == 0 {
            return wrong("bridge.tiers: confirmations must be at least 1");
        }
        if !tiers.is_sorted_by(|a, b| a.up_to_sat < b.up_to_sat && a.confirmations < b.confirmations) {
            return wrong("bridge.tiers: confirmations and upToSat must both ascend");
        }
        if last.up_to_sat != u64::MAX || last.confirmations != *final_blocks {
            let Tier { confirmations, up_to_sat } = last;
            return wrong(format!(
                "bridge.tiers: the last has {confirmations} confirmations and upToSat {up_to_sat}, expected finalBlocks ({final_blocks}) and {}",
                u64::MAX
            ));
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), GenesisError> {
        let Self { floor_rate, min_rate, max_rate, .. } = *self;
        if min_rate < LEAST_RATE || min_rate > max_rate || max_rate > MOST_RATE {
            return wrong(format!(
                "bridge: minRate {min_rate} and maxRate {max_rate}, expected {LEAST_RATE} to {MOST_RATE} sat per 1,000 vB, ascending"
            ));
        }
        if !(min_rate..=max_rate).contains(&floor_rate) {
            return wrong(format!(
                "bridge.floorRate is {floor_rate}, expected minRate to maxRate ({min_rate} to {max_rate}): what is queued must be payable"
            ));
        }
        Ok(())
    }

    fn check_least_amounts(&self) -> Result<(), GenesisError> {
        let dust_sat = mainchain::P2TR_DUST.to_sat();
        let least = dust_sat.max(self.least_deposit_charge_sat().saturating_add(1));
        if !(least..=self.cap_sat).contains(&self.min_deposit_sat) {
            return wrong(format!(
                "bridge.minDepositSat is {}, expected {least} (dust, or what a sweep costs at minRate) to capSat ({})",
                self.min_deposit_sat, self.cap_sat
            ));
        }
        let least = SCRIPTS.map(|(length, dust)| self.floor_fee_sat(length).saturating_add(dust));
        let least = least.into_iter().max().unwrap_or_default();
        if !(least..=self.window_sat).contains(&self.min_withdrawal_sat) {
            return wrong(format!(
                "bridge.minWithdrawalSat is {}, expected {least} (the charge at floorRate and dust, for any script) to windowSat ({})",
                self.min_withdrawal_sat, self.window_sat
            ));
        }
        Ok(())
    }

    /// What a deposit pays for its sweep at the lowest rate (`Charges.sol`): 92.5 vB and the reserve's part.
    pub(crate) fn least_deposit_charge_sat(&self) -> u64 {
        self.min_rate.saturating_mul(185).div_ceil(2_000).saturating_add(self.peg_in_fee_sat)
    }

    /// The least maximum of a withdrawal to a script of this length (`Charges.sol`).
    pub(crate) fn floor_fee_sat(&self, script_length: u64) -> u64 {
        self.floor_rate.saturating_mul(9 + script_length + 35).div_ceil(1_000).saturating_add(self.peg_out_fee_sat)
    }

    fn check_limits(&self) -> Result<(), GenesisError> {
        let dust_sat = mainchain::P2TR_DUST.to_sat();
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            wrong(format!("bridge.{name} is {value}, expected {least} to {most}"))
        };
        within("stopSat", self.stop_sat, 1, MAX_MONEY_SAT)?;
        within("usefulSat", self.useful_sat, dust_sat, MOST_USEFUL_SAT)?;
        within("capSat", self.cap_sat, 1, MAX_MONEY_SAT)?;
        within("windowSat", self.window_sat, 1, MAX_MONEY_SAT)?;
        within("maxInputs", self.max_inputs.into(), 1, MOST_INPUTS.into())?;
        within("maxPayouts", self.max_payouts.into(), 1, MOST_PAYOUTS.into())
    }

    fn check_times(&self, network: Network) -> Result<(), GenesisError> {
        let Self { window_seconds, refund_after, pause_seconds, pause_gap_seconds, .. } = *self;
        if !(1..=MOST_SECONDS).contains(&window_seconds) {
            return wrong(format!("bridge.windowSeconds is {window_seconds}, expected 1 to {MOST_SECONDS}"));
        }
        let least = if network == Network::Regtest { 1 } else { MIN_REFUND_AFTER_S };
        if refund_after < least {
            return wrong(format!(
                "bridge.refundAfter is {refund_after} seconds, expected {least} or more on {network}: strangers could give every withdrawal back before it is paid"
            ));
        }
        if !(1..=MOST_SECONDS).contains(&pause_seconds) {
            return wrong(format!("bridge.pauseSeconds is {pause_seconds}, expected 1 to {MOST_SECONDS}"));
        }
        if pause_gap_seconds < pause_seconds {
            return wrong(format!(
                "bridge.pauseGapSeconds is {pause_gap_seconds}, expected pauseSeconds ({pause_seconds}) or more: else one guardian stops payouts most of the time"
            ));
        }
        Ok(())
    }

    fn check_guardians(&self) -> Result<(), GenesisError> {
        let count = self.guardians.len();
        if count > MOST_GUARDIANS {
            return wrong(format!("bridge.guardians has {count}, expected at most {MOST_GUARDIANS}"));
        }
        if self.guardians.iter().any(|guardian| guardian.is_zero()) {
            return wrong("bridge.guardians: the zero address is nobody's");
        }
        if self.guardians.iter().collect::<BTreeSet<_>>().len() != count {
            return wrong("bridge.guardians: one is named twice");
        }
        Ok(())
    }
}

fn tiers(regtest: bool, final_blocks: u32) -> Vec<Tier> {
    let tier = |confirmations, up_to_sat| Tier { confirmations, up_to_sat };
    let last = tier(final_blocks, u64::MAX);
    match regtest {
        true => vec![tier(1, 50_000_000), tier(3, 500_000_000), tier(6, 5_000_000_000), last],
        false => vec![tier(2, 10_000_000), tier(6, 100_000_000), tier(30, 1_000_000_000), last],
    }
}
