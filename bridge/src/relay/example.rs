//! A ledger and a bitcoind for tests, shortly after the key came into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, FeeRate, OutPoint, XOnlyPublicKey};
use mainchain::deposit::DepositTerms;

use super::deposit_tracker::{Position, TrackedDeposit};
use super::facts::BitcoinView;
use super::headers::Comparison;
use super::ledger::{Head, LedgerView};
use crate::peg;

/// A block of a chain that both sides share.
pub(crate) fn position(height: u32) -> Position {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    Position { height, hash: BlockHash::from_byte_array(hash) }
}

/// What a node says whose light client is at this height, of a federation of four.
pub(crate) fn info(light_height: u32) -> peg::Info {
    let light = position(light_height);
    let member =
        |index: u16| peg::Member { index, name: format!("operator {index}"), account: Address::repeat_byte(1) };
    peg::Info {
        chain_id: 51_717,
        network_id: B256::repeat_byte(5),
        bitcoin_network: mainchain::Network::Regtest,
        contracts: peg::Contracts {
            light_client: Address::ZERO,
            federation: Address::ZERO,
            signing_board: Address::ZERO,
            bridge: Address::ZERO,
            micro_channel: Address::ZERO,
        },
        epoch: 1,
        group_key: Some(B256::repeat_byte(1)),
        vault_key: Some(B256::repeat_byte(2)),
        threshold: 3,
        members: (1..=4).map(member).collect(),
        reclaim_delay: 1_008,
        min_deposit_sat: 10_000,
        min_withdrawal_sat: 10_000,
        min_fee_rate: 1,
        max_fee_rate: 500,
        tiers: Vec::new(),
        bitcoin_tip: peg::BitcoinTip { hash: light.hash, height: light.height },
        ledger: peg::Ledger::default(),
        head: peg::Head { number: 1, hash: B256::ZERO, timestamp: 0 },
        version: String::new(),
    }
}

/// An empty ledger. The first member is on duty.
pub(crate) fn ledger(light_height: u32) -> LedgerView {
    LedgerView {
        head: Head { number: 1, time_s: 0 },
        info: info(light_height),
        max_deposits: 24,
        open: BTreeMap::new(),
        count: 0,
        withdrawals: Vec::new(),
        vault_outputs: Vec::new(),
        group_keys: BTreeMap::new(),
        signed: BTreeMap::new(),
    }
}

/// A bitcoind at the light client's tip, with deposits at these heights.
pub(crate) fn bitcoin(height: u32, deposits: &[(OutPoint, u32)]) -> BitcoinView {
    let tip = position(height);
    BitcoinView {
        tracked: Arc::new(deposits.iter().map(|(outpoint, height)| (*outpoint, deposit(*height))).collect()),
        comparison: Some(Comparison { light: tip, own: tip, fork: height, first_unknown: None }),
        headers: Vec::new(),
        places: BTreeMap::new(),
        fee_rate: Some(FeeRate::from_sat_per_vb_u32(2)),
    }
}

/// A deposit of a million satoshis.
pub(crate) fn deposit(height: u32) -> TrackedDeposit {
    let reclaim_key = XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve");
    let max_fee = Amount::from_sat(20_000);
    let terms = DepositTerms { recipient: [7; 20], reclaim_key, max_fee, epoch: 1 };
    TrackedDeposit { terms, amount: Amount::from_sat(1_000_000), height, coinbase: false }
}
