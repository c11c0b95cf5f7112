//! The ledger's structs as the node and its clients write them: conversions to and from the contracts' encodings.

use alloy_primitives::B256;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::{IBridge, IVault};

use crate::peg::{Content, Limits, Parameters, Tier};

impl From<&Content> for IVault::Content {
    fn from(content: &Content) -> Self {
        let Content { epoch, rate, reserve_sat, deposits, outputs, withdrawals } = content;
        let outpoint = |outpoint: &OutPoint| IVault::Outpoint {
            txid: B256::from(outpoint.txid.to_byte_array()),
            vout: outpoint.vout,
        };
        Self {
            epoch: *epoch,
            rate: *rate,
            reserveSat: *reserve_sat,
            deposits: deposits.iter().map(outpoint).collect(),
            outputs: outputs.clone(),
            withdrawals: withdrawals.clone(),
        }
    }
}

impl From<IVault::Content> for Content {
    fn from(content: IVault::Content) -> Self {
        let IVault::Content { epoch, rate, reserveSat, deposits, outputs, withdrawals } = content;
        let outpoint =
            |outpoint: IVault::Outpoint| OutPoint { txid: Txid::from_byte_array(outpoint.txid.0), vout: outpoint.vout };
        let deposits = deposits.into_iter().map(outpoint).collect();
        Self { epoch, rate, reserve_sat: reserveSat, deposits, outputs, withdrawals }
    }
}

impl From<IBridge::Parameters> for Parameters {
    fn from(parameters: IBridge::Parameters) -> Self {
        Self {
            reclaim_delay: parameters.reclaimDelay,
            final_blocks: parameters.finalBlocks,
            alarm_blocks: parameters.alarmBlocks,
            min_deposit_sat: parameters.minDepositSat,
            min_withdrawal_sat: parameters.minWithdrawalSat,
            peg_in_fee_sat: parameters.pegInFeeSat,
            peg_out_fee_sat: parameters.pegOutFeeSat,
            floor_rate: parameters.floorRate,
            min_rate: parameters.minRate,
            max_rate: parameters.maxRate,
            stop_sat: parameters.stopSat,
            useful_sat: parameters.usefulSat,
            cap_sat: parameters.capSat,
            window_sat: parameters.windowSat,
            window_seconds: parameters.windowSeconds,
            refund_after: parameters.refundAfter,
            pause_seconds: parameters.pauseSeconds,
            pause_gap_seconds: parameters.pauseGapSeconds,
            max_inputs: parameters.maxInputs,
            max_payouts: parameters.maxPayouts,
            tiers: parameters.tiers.into_iter().map(Tier::from).collect(),
            guardians: parameters.guardians,
        }
    }
}

impl From<IBridge::Tier> for Tier {
    fn from(tier: IBridge::Tier) -> Self {
        Self { confirmations: tier.confirmations, up_to_sat: tier.upToSat }
    }
}

impl From<IBridge::Limits> for Limits {
    fn from(limits: IBridge::Limits) -> Self {
        Self {
            cap_sat: limits.capSat,
            cap_used_sat: limits.capUsedSat,
            window_sat: limits.windowSat,
            window_left_sat: limits.windowLeftSat,
            window_seconds: limits.windowSeconds,
            paused_until: limits.pausedUntil.to(),
            pause_allowed_from: limits.pauseAllowedFrom.to(),
            pause_number: limits.pauseNumber,
            lift_votes: limits.liftVotes,
            alarmed: limits.alarmed,
            missing_sat: limits.missingSat,
            stop_sat: limits.stopSat,
            stopped: limits.stopped,
            max_inputs: limits.maxInputs,
            max_payouts: limits.maxPayouts,
            tier_used_sat: limits.tierUsedSat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_keeps_its_values_on_its_way_through_the_contracts() {
        let content = Content {
            epoch: 1,
            rate: 2_000,
            reserve_sat: 3,
            deposits: vec![OutPoint { txid: Txid::from_byte_array([4; 32]), vout: 5 }],
            outputs: vec![6, 7],
            withdrawals: vec![8, 9],
        };
        assert_eq!(Content::from(IVault::Content::from(&content)), content);
    }
}
