//! Vault transactions for tests, built as the ledger builds them.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut, Txid, XOnlyPublicKey, consensus};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::SpentOutput;
use super::draft::{assemble, deposit_order};
use super::facts::{Deposit, LedgerFacts, Output, Rules, Withdrawal};
use crate::peg::Content;
use crate::{threshold, vault};

pub(crate) fn outpoint(number: usize) -> OutPoint {
    OutPoint {
        txid: Txid::from_byte_array([u8::try_from(number % 256).expect("a byte"); 32]),
        vout: u32::try_from(number).expect("small"),
    }
}

pub(crate) fn group_key() -> XOnlyPublicKey {
    threshold::deal(1, 2, 3, &mut StdRng::seed_from_u64(1))[0].group_key()
}

/// The vault key of the examples.
pub(crate) fn vault_key() -> XOnlyPublicKey {
    vault::output_key(group_key(), &[7; 32])
}

/// A vault transaction over these inputs that pays these outputs, vault (unless there is no change) and anchor added.
pub(crate) fn built(
    inputs: &[(OutPoint, Amount)],
    change: Amount,
    paid: &[(ScriptBuf, Amount)],
) -> (Vec<u8>, Vec<SpentOutput>) {
    let outpoints: Vec<OutPoint> = inputs.iter().map(|(outpoint, _)| *outpoint).collect();
    let paid = paid.iter().map(|(script_pubkey, value)| TxOut { script_pubkey: script_pubkey.clone(), value: *value });
    let to_vault = TxOut { script_pubkey: vault::script(vault_key()), value: change };
    let change = (change > Amount::ZERO).then_some(to_vault);
    let transaction = assemble(&outpoints, change, &paid.collect::<Vec<_>>());
    let spent = |(position, (outpoint, amount)): (usize, &(OutPoint, Amount))| {
        let merkle_root = [u8::try_from(position % 256).expect("a byte"); 32];
        let output_key = vault::output_key(group_key(), &merkle_root);
        SpentOutput { outpoint: *outpoint, amount: *amount, output_key, merkle_root, epoch: 1 }
    };
    (consensus::serialize(&transaction), inputs.iter().enumerate().map(spent).collect())
}

pub(crate) fn p2wpkh() -> ScriptBuf {
    ScriptBuf::from_hex("0014751e76e8199196d454941c45d1b3a323f1433bd6").expect("hex")
}

/// Of the example.
pub(crate) const CHANGE: Amount = Amount::from_sat(120_000);

pub(crate) fn example() -> (Vec<u8>, Vec<SpentOutput>) {
    let [first, second, paid] = [100_000, 50_000, 29_000].map(Amount::from_sat);
    built(&[(outpoint(1), first), (outpoint(2), second)], CHANGE, &[(p2wpkh(), paid)])
}

// ------------------------------------------------------------------ a ledger

pub(crate) fn sat(sat: u64) -> Amount {
    Amount::from_sat(sat)
}

/// As in the contracts' tests (contracts/test/Peg.sol), with a fee for the reserve.
pub(crate) const RULES: Rules = Rules {
    peg_in_fee: Amount::from_sat(20),
    peg_out_fee: Amount::from_sat(50),
    useful: Amount::from_sat(5_000),
    min_rate: 1_000,
    max_rate: 1_000_000,
    max_inputs: 64,
    max_payouts: 250,
    window: Amount::from_sat(10_000_000_000),
    window_s: 86_400,
    reclaim_delay: 1_008,
};

/// A ledger with nothing but a reserve.
pub(crate) fn empty() -> LedgerFacts {
    LedgerFacts {
        rules: RULES,
        deposits: BTreeMap::new(),
        outputs: BTreeMap::new(),
        withdrawals: BTreeMap::new(),
        coming: Vec::new(),
        bound: BTreeSet::new(),
        reserve_sat: 1_000_000,
        credit: Amount::ZERO,
        cap_left: sat(100_000_000_000),
        window_left: RULES.window,
        epoch: 1,
        vault_key: vault_key(),
    }
}

/// Rooted live outputs of these amounts, numbered from 1, and withdrawals to P2WPKH of these amounts and maxima, with ids from 1.
pub(crate) fn ledger(outputs: &[u64], withdrawals: &[(u64, u64)]) -> LedgerFacts {
    let outputs = (1..).zip(outputs).map(|(number, amount)| (number, output(number, *amount))).collect();
    let withdrawals = (1..).zip(withdrawals).map(|(id, (amount, max))| (id, withdrawal(*amount, *max))).collect();
    LedgerFacts { outputs, withdrawals, ..empty() }
}

pub(crate) fn output(number: u32, amount_sat: u64) -> Output {
    let mut txid = [0xaa; 32];
    txid[..4].copy_from_slice(&number.to_le_bytes());
    Output {
        txid: Txid::from_byte_array(txid),
        amount: sat(amount_sat),
        epoch: 1,
        height: 1_000,
        is_rooted: true,
        in_use: false,
    }
}

pub(crate) fn withdrawal(amount_sat: u64, max_fee_sat: u64) -> Withdrawal {
    Withdrawal { amount: sat(amount_sat), max_fee: sat(max_fee_sat), script: p2wpkh(), tie: None, asked_at: 0 }
}

pub(crate) fn deposit(amount_sat: u64, max_fee_sat: u64) -> Deposit {
    Deposit {
        amount: sat(amount_sat),
        max_fee: sat(max_fee_sat),
        epoch: 1,
        was_bound: false,
        minted: None,
        for_reserve: false,
        height: 1_000,
        in_use: false,
    }
}

pub(crate) fn sweep(deposits: &[usize], rate: u64) -> Content {
    let mut deposits: Vec<OutPoint> = deposits.iter().copied().map(outpoint).collect();
    deposits.sort_by_key(deposit_order);
    Content { epoch: 1, rate, reserve_sat: 1_000_000, deposits, ..Content::default() }
}

pub(crate) fn payout(outputs: &[u32], withdrawals: &[u64], rate: u64) -> Content {
    let (outputs, withdrawals) = (outputs.to_vec(), withdrawals.to_vec());
    Content { epoch: 1, rate, reserve_sat: 1_000_000, outputs, withdrawals, ..Content::default() }
}
