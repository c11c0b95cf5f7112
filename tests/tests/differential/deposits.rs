//! Deposits and vault transactions: addresses made in Rust are proven to the ledger, and what it writes is what Rust reads.

use alloy_primitives::{B256, Bytes};
use api::peg::Content;
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, SECP256K1, SecretKey};
use bitcoin::transaction::Version;
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Sequence, Transaction, Witness};
use contracts::Vault;
use contracts::address::BRIDGE;
use mainchain::deposit::DepositTerms;
use proptest::prelude::*;
use tests::evm::word;
use tests::ledger::{Ledger, parameters};

use crate::blocks::{LIMIT, START, block, block_on, hash, mine, transaction};

/// Gas of the largest transaction (EIP-7825).
const MAX_TRANSACTION_GAS: u64 = 1 << 24;
/// 1 sat/vB.
pub const RATE: u64 = 1_000;
/// For the reserve, so that a sweep may cost more than its deposits pay.
const RESERVE_SAT: u64 = 1_000_000;

pub fn terms(recipient: [u8; 20], owner: &Keypair) -> DepositTerms {
    DepositTerms {
        recipient,
        claimant: [0; 20],
        reclaim_key: owner.x_only_public_key().0,
        max_fee: Amount::from_sat(50_000),
        data_hash: [0; 32],
        epoch: 1,
    }
}

/// Pays an amount in satoshis to a script, in its output 0.
pub fn paying(amount: u64, to: ScriptBuf) -> Transaction {
    let mut payment = transaction(amount, 0);
    payment.output[0].script_pubkey = to;
    payment
}

pub fn sweep(payments: &[Transaction], rate: u64) -> Content {
    let mut deposits: Vec<_> = payments.iter().map(|payment| OutPoint::new(payment.compute_txid(), 0)).collect();
    deposits.sort_by_key(|outpoint| (outpoint.txid.to_byte_array(), outpoint.vout));
    Content { epoch: 1, rate, reserve_sat: u64::MAX, deposits, ..Content::default() }
}

pub fn read(bytes: &Bytes) -> Transaction {
    encode::deserialize(bytes).expect("one transaction")
}

/// From a full block (4,000 transactions, proofs of 12 levels): what it costs to prove each of 1 and of 64 deposits, to bind their sweep and
/// to settle it, which mints them all.
#[test]
fn the_largest_sweep_fits_a_transaction() {
    for count in [1, 64] {
        let Gas { prove, propose, bind, settle } = gas_of_a_sweep(count);
        println!(
            "{count} deposits: {prove} gas to prove one, {propose} to propose, {bind} to bind, {settle} to settle"
        );
        for gas in [prove, propose, bind, settle] {
            assert!(gas < MAX_TRANSACTION_GAS, "{gas}");
        }
    }
}

struct Gas {
    prove: u64,
    propose: u64,
    bind: u64,
    settle: u64,
}

fn gas_of_a_sweep(count: u8) -> Gas {
    let group = Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range");
    let mut ledger = Ledger::new(group, parameters());
    let reserve = terms(BRIDGE.into_array(), &group);
    let users = (0..count).map(|number| terms([0x10 + number; 20], &group));
    let terms: Vec<_> = std::iter::once(reserve).chain(users).collect();
    let payments = (0..).zip(&terms);
    let payments: Vec<_> =
        payments.map(|(number, terms)| paying(1_000_000 + number, ledger.output(terms).script_pubkey())).collect();
    let fillers = (0..4000 - payments.len() as u64).map(|salt| transaction(salt, 34));
    let block = block(payments.iter().cloned().chain(fillers).collect());
    ledger.submit(&[block.header], START).expect("valid");

    let mut prove = 0;
    for (payment, terms) in payments.iter().zip(&terms) {
        let (gas, _) = ledger.prove(payment, &block, terms).expect("it pays the address");
        prove = prove.max(gas);
    }
    let first = ledger.bind(&(&sweep(&payments[..1], RATE)).into()).expect("the reserve is exempt");
    let block = confirmed(&mut ledger, &first.event, &block, START + 1);
    ledger.settle(&first.event, &block).expect("confirmed");

    let bound = ledger.bind(&(&sweep(&payments[1..], RATE)).into()).expect("a sweep");
    assert_eq!(bound.event.content.deposits.len(), usize::from(count));
    let block = confirmed(&mut ledger, &bound.event, &block, START + 2);
    let settle = ledger.settle(&bound.event, &block).expect("confirmed");
    assert_eq!(ledger.books().unminted_sat, 0, "all are minted at once");
    Gas { prove, propose: bound.propose_gas, bind: bound.bind_gas, settle }
}

/// A full block that holds a vault transaction.
fn confirmed(ledger: &mut Ledger, bound: &Vault::Bound, parent: &Block, time: u32) -> Block {
    let others: Vec<_> = (0..3_998).map(|salt| transaction(salt, 34)).collect();
    let block = block_on(&parent.header, time, [vec![read(&bound.transaction)], others].concat());
    ledger.submit(&[block.header], time).expect("valid");
    block
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Addresses made in Rust are what the ledger expects, and the transaction that it writes is what rust-bitcoin reads.
    #[test]
    fn deposits_made_in_rust_are_swept_by_the_ledger(
        secret in prop::array::uniform32(1u8..), owner in prop::array::uniform32(1u8..),
        recipient in prop::array::uniform20(any::<u8>()), claimant in prop::array::uniform20(any::<u8>()),
        data_hash in prop::array::uniform32(any::<u8>()), delay in 2u16..,
        amounts in prop::collection::btree_set(100_000u64..1 << 40, 1..6), rate in 1_000u64..20_000,
    ) {
        let key = |bytes: &[u8; 32]| SecretKey::from_slice(bytes).map(|secret| Keypair::from_secret_key(SECP256K1, &secret));
        let (Ok(group), Ok(owner)) = (key(&secret), key(&owner)) else { return Ok(()) };
        prop_assume!(recipient != [0; 20]);
        let mut rules = parameters();
        rules.reclaimDelay = delay;
        let mut ledger = Ledger::new(group, rules);
        let reserve = terms(BRIDGE.into_array(), &owner);
        let user = DepositTerms { claimant, data_hash, ..terms(recipient, &owner) };
        let output = ledger.output(&user);
        let mut payments = vec![paying(RESERVE_SAT, ledger.output(&reserve).script_pubkey())];
        payments.extend(amounts.iter().map(|amount| paying(*amount, output.script_pubkey())));
        let block = block(payments.clone());
        ledger.submit(&[block.header], START).expect("a valid header");

        ledger.prove(&payments[0], &block, &reserve).map_err(TestCaseError::fail)?;
        for payment in &payments[1..] {
            let (_, proven) = ledger.prove(payment, &block, &user).map_err(TestCaseError::fail)?;
            prop_assert_eq!(proven.leafHash, B256::from(output.merkle_root().to_byte_array()));
            prop_assert_eq!(proven.outputKey, B256::from(output.output_key().serialize()));
            prop_assert_eq!(proven.txid, word(payment.compute_txid().as_byte_array()));
        }
        let bound = ledger.bind(&(&sweep(&payments, rate)).into()).map_err(TestCaseError::fail)?;
        is_the_sweep_of(&bound.event, &payments, rate)?;

        let transaction = read(&bound.event.transaction);
        let next = block_on(&block.header, START + 1, vec![transaction]);
        let last = mine(hash(&next.header), START + 2, LIMIT, 0, None);
        ledger.submit(&[next.header, last], START + 2).expect("valid");
        ledger.settle(&bound.event, &next).map_err(TestCaseError::fail)?;
        let books = ledger.books();
        prop_assert_eq!(books.vault_sat, bound.event.changeSat);
        let charge = (rate * 185).div_ceil(2_000);
        let minted: u64 = amounts.iter().map(|amount| amount - charge).sum();
        prop_assert!(books.covers(minted) && !books.covers(minted + 1), "{books:?}");
    }
}

/// rust-bitcoin reads in the ledger's event the transaction that spends the payments at this rate, anchor and all.
fn is_the_sweep_of(bound: &Vault::Bound, payments: &[Transaction], rate: u64) -> Result<(), TestCaseError> {
    let mut transaction = read(&bound.transaction);
    prop_assert_eq!(word(transaction.compute_txid().as_byte_array()), bound.txid);
    prop_assert_eq!(transaction.version, Version::non_standard(3));
    prop_assert_eq!(Content::from(bound.content.clone()).deposits, sweep(payments, rate).deposits);
    prop_assert_eq!(transaction.input.len(), payments.len());
    for (input, wanted) in transaction.input.iter_mut().zip(&sweep(payments, rate).deposits) {
        prop_assert_eq!(input.previous_output, *wanted);
        prop_assert_eq!(input.sequence, Sequence::ENABLE_RBF_NO_LOCKTIME);
        input.witness = Witness::from_slice(&[[0; 64]]);
    }
    let inputs: u64 = bound.amountsSat.iter().sum();
    prop_assert_eq!(inputs, payments.iter().map(|payment| payment.output[0].value.to_sat()).sum::<u64>());
    let [change, anchor] = &transaction.output[..] else {
        return Err(TestCaseError::fail("change and anchor"));
    };
    prop_assert_eq!(change.value.to_sat(), bound.changeSat);
    prop_assert_eq!((anchor.value.to_sat(), anchor.script_pubkey.as_bytes()), (240, &[0x51, 2, 0x4e, 0x73][..]));
    let fee_sat = inputs - change.value.to_sat() - 240;
    prop_assert_eq!(fee_sat, (rate * transaction.vsize() as u64).div_ceil(1_000));
    Ok(())
}
