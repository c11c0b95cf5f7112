//! A ledger and a bitcoind for tests, shortly after the key came into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, FixedBytes};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, Txid, XOnlyPublicKey};
use mainchain::deposit::DepositTerms;

use super::deposit_tracker::{Position, TrackedDeposit};
use super::facts::BitcoinView;
use super::fees::Rates;
use super::headers::Comparison;
use super::places::Place;
use super::view::{Block, Deposit, DepositKey, Entry, Head, LedgerView, Output, Proposal, Withdrawal};
use crate::peg::{self, Content, DepositStatus, OutputStatus, Tier, VaultStatus, WithdrawalStatus};
use crate::signing::Enough;
use crate::vault_tx::draft::assemble;

/// Blocks after which the recovery key can take a vault output, in tests.
pub(crate) const RECOVERY_DELAY: u32 = 26_280;

/// A block of a chain that both sides share.
pub(crate) fn position(height: u32) -> Position {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    Position { height, hash: BlockHash::from_byte_array(hash) }
}

/// The same as the ledger keeps it.
pub(crate) fn block(height: u32) -> Block {
    let hash = position(height).hash.to_byte_array();
    Block { height, head: FixedBytes::from_slice(&hash[..8]) }
}

fn key() -> XOnlyPublicKey {
    XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve")
}

/// The rules of a peg like mainnet's.
pub(crate) fn parameters() -> peg::Parameters {
    peg::Parameters {
        reclaim_delay: 1_008,
        final_blocks: 100,
        alarm_blocks: 6,
        min_deposit_sat: 10_000,
        min_withdrawal_sat: 10_000,
        peg_in_fee_sat: 50,
        peg_out_fee_sat: 100,
        floor_rate: 1_000,
        min_rate: 1_000,
        max_rate: 500_000,
        stop_sat: 1_000_000,
        useful_sat: 10_000,
        cap_sat: 100_000_000_000,
        window_sat: 10_000_000_000,
        window_seconds: 86_400,
        refund_after: 604_800,
        pause_seconds: 86_400,
        pause_gap_seconds: 86_400,
        max_inputs: 64,
        max_payouts: 220,
        tiers: vec![
            Tier { confirmations: 2, up_to_sat: 10_000_000 },
            Tier { confirmations: 6, up_to_sat: 100_000_000 },
            Tier { confirmations: 100, up_to_sat: u64::MAX },
        ],
        guardians: Vec::new(),
    }
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
        contracts: peg::Contracts::GENESIS,
        epoch: 1,
        group_key: Some(B256::repeat_byte(2)),
        vault_key: Some(B256::repeat_byte(2)),
        threshold: 3,
        members: (1..=4).map(member).collect(),
        parameters: parameters(),
        bitcoin_tip: peg::BitcoinTip { hash: light.hash, height: light.height, time: 0, lag_seconds: 0 },
        books: peg::Books { reserve_sat: 1_000_000, ..peg::Books::default() },
        head: peg::Head { number: 1, hash: B256::ZERO, timestamp: 0 },
        version: String::new(),
    }
}

/// Nothing is stopped, and there is room for everything.
pub(crate) fn limits() -> peg::Limits {
    let peg::Parameters { cap_sat, window_sat, window_seconds, stop_sat, max_inputs, max_payouts, .. } = parameters();
    peg::Limits {
        cap_sat,
        cap_used_sat: 0,
        window_sat,
        window_left_sat: window_sat,
        window_seconds,
        paused_until: 0,
        pause_allowed_from: 0,
        pause_number: 0,
        lift_votes: 0,
        alarmed: false,
        missing_sat: 0,
        stop_sat,
        stopped: false,
        max_inputs,
        max_payouts,
        tier_used_sat: vec![0, 0],
    }
}

/// An empty ledger whose light client has every block up to this height. The first member is on duty.
pub(crate) fn ledger(light_height: u32) -> LedgerView {
    LedgerView {
        head: Head { number: 1, time_s: 0 },
        info: info(light_height),
        limits: Some(limits()),
        entries: Arc::default(),
        outputs: Arc::default(),
        deposits: Arc::default(),
        strangers: Arc::default(),
        withdrawals: Arc::default(),
        proposals: Arc::default(),
        best: Arc::new((0..=light_height).map(|height| (height, block(height).head)).collect()),
        group_keys: BTreeMap::from([(1, key())]),
        recovery_leaf: [3; 32],
        signed: Arc::default(),
    }
}

/// A bitcoind at the light client's tip, with payments at these heights.
pub(crate) fn bitcoin(height: u32, payments: &[(OutPoint, u32)]) -> BitcoinView {
    let tip = position(height);
    BitcoinView {
        tracked: Arc::new(payments.iter().map(|(outpoint, height)| (*outpoint, payment(*height))).collect()),
        spends: Arc::default(),
        fundings: Arc::default(),
        comparison: Some(Comparison { light: tip, own: tip, fork: height, first_unknown: None }),
        headers: Vec::new(),
        places: BTreeMap::new(),
        lost: Default::default(),
        unconfirmed: Arc::default(),
        packages: BTreeMap::new(),
        rates: Some(Rates { now: 2_000, usual: 2_000 }),
        read: height,
    }
}

/// A payment of a million satoshis.
pub(crate) fn payment(height: u32) -> TrackedDeposit {
    let max_fee = Amount::from_sat(20_000);
    let terms = DepositTerms {
        recipient: [7; 20],
        claimant: [7; 20],
        reclaim_key: key(),
        max_fee,
        data_hash: [0; 32],
        epoch: 1,
    };
    TrackedDeposit { terms, amount: Amount::from_sat(1_000_000), height, coinbase: false }
}

/// An outpoint that tells itself apart by a number.
pub(crate) fn outpoint(number: u32) -> OutPoint {
    let mut txid = [9; 32];
    txid[..4].copy_from_slice(&number.to_be_bytes());
    OutPoint { txid: Txid::from_byte_array(txid), vout: 0 }
}

/// The same payment in the ledger, proven.
pub(crate) fn deposit(height: u32) -> Deposit {
    Deposit {
        status: DepositStatus::Proven,
        recipient: Address::repeat_byte(7),
        amount_sat: 1_000_000,
        max_fee_sat: 20_000,
        minted: false,
        minted_sat: 0,
        bound: false,
        swept_by: None,
        block: block(height),
        block_hash: Some(position(height).hash),
        epoch: 1,
        key: DepositKey { output_key: key(), leaf_hash: [4; 32] },
    }
}

/// A rooted vault output of so many satoshis.
pub(crate) fn output(number: u32, amount_sat: u64) -> Output {
    Output { txid: outpoint(100_000 + number).txid, amount_sat, epoch: 1, rooted: true, block: block(1) }
}

/// A withdrawal of 100,000 satoshis that waits.
pub(crate) fn withdrawal(max_fee_sat: u64) -> Withdrawal {
    let script = ScriptBuf::from_bytes([&[0x51, 0x20], &[6; 32][..]].concat());
    Withdrawal { status: WithdrawalStatus::Queued, amount_sat: 100_000, max_fee_sat, asked_at: 0, tie: None, script }
}

/// A bound vault transaction of this content, whose inputs are as the ledger has them.
pub(crate) fn entry(ledger: &LedgerView, content: Content) -> Entry {
    let outputs = content.outputs.iter().map(|number| ledger.outpoint(*number).expect("it is in the ledger"));
    let inputs: Vec<OutPoint> = content.deposits.iter().copied().chain(outputs).collect();
    let known = |outpoint: &OutPoint| ledger.deposits.get(outpoint).map_or(1_000_000, |deposit| deposit.amount_sat);
    let live = |number: &u32| ledger.outputs.get(number).map_or(1_000_000, |output| output.amount_sat);
    let amounts_sat: Vec<u64> = content.deposits.iter().map(known).chain(content.outputs.iter().map(live)).collect();
    let vsize = crate::vault_tx::layout::vsize(inputs.len(), [34, 4].into_iter());
    let change_sat = amounts_sat.iter().sum::<u64>() - crate::charges::cost(vsize, content.rate).to_sat();
    let change = bitcoin::TxOut { value: Amount::from_sat(change_sat), script_pubkey: crate::vault::script(key()) };
    let unsigned: Transaction = assemble(&inputs, Some(change), &[]);
    Entry {
        txid: unsigned.compute_txid(),
        amounts_sat,
        change_sat,
        transaction: bitcoin::consensus::serialize(&unsigned).into(),
        unsigned: unsigned.into(),
        bound_in: Head::default(),
        proposal: 1,
        proposed: None,
        status: VaultStatus::Bound,
        output: OutputStatus::Pending,
        spent_by: None,
        settled_in: None,
        is_final: false,
        epoch: 1,
        rooted: false,
        content,
    }
}

/// A content over vault outputs, or deposits.
pub(crate) fn content(rate: u64, deposits: &[OutPoint], outputs: &[u32], withdrawals: &[u64]) -> Content {
    let mut deposits = deposits.to_vec();
    deposits.sort_by_key(crate::vault_tx::draft::deposit_order);
    Content {
        epoch: 1,
        rate,
        reserve_sat: 10_000,
        deposits,
        outputs: outputs.to_vec(),
        withdrawals: withdrawals.to_vec(),
    }
}

/// An open proposal of a member.
pub(crate) fn proposal(member: u16, place: u8, content: Content, opened_at_s: u64) -> Proposal {
    Proposal {
        member,
        place,
        content_hash: B256::ZERO,
        content,
        opened_in: Head { number: 1, time_s: opened_at_s },
        approvals: Default::default(),
        approved_at_s: 0,
        enough: Enough::No,
    }
}

/// Adds bound vault transactions, signed, with where bitcoind sees each.
pub(crate) fn with_entries(ledger: &mut LedgerView, bitcoin: &mut BitcoinView, entries: &[(u32, Entry, Place)]) {
    for (number, entry, place) in entries {
        Arc::make_mut(&mut ledger.signed).insert(*number, Arc::clone(&entry.unsigned));
        Arc::make_mut(&mut ledger.entries).insert(*number, entry.clone());
        bitcoin.places.insert(*number, *place);
    }
}
