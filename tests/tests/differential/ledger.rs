//! What a proof of storage says of the ledger's entries is what its views answer: the contracts write them so.

use alloy_primitives::{B256, Bytes, U256};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, SECP256K1};
use bitcoin::{Block, OutPoint, Transaction, Txid};
use contracts::address::{BRIDGE, DEPOSITS, VAULT};
use contracts::{Books, Bridge, Deposits, IVault, Vault};
use light::ledger::{
    Deposit, GivenBack, VaultTransaction, Withdrawal, books, deposit_slots, vault_transaction_slots,
    vault_transaction_txid_slot, withdrawal_slots,
};
use tests::ledger::{Ledger, parameters};

use crate::blocks::{START, block, block_on};
use crate::deposits::{RATE, paying, read, sweep, terms};

const AMOUNT_SAT: u64 = 1_000_000;

fn proven_books(ledger: &mut Ledger) -> Books {
    books(&ledger.evm.storage(BRIDGE, &Books::slots())).expect("two slots")
}

fn withdrawal(ledger: &mut Ledger, id: u64) -> Option<Withdrawal> {
    Withdrawal::read(&ledger.evm.storage(BRIDGE, &withdrawal_slots(id))).expect("the ledger wrote it")
}

fn deposit(ledger: &mut Ledger, outpoint: OutPoint) -> Option<Deposit> {
    Deposit::read(&ledger.evm.storage(DEPOSITS, &deposit_slots(outpoint))).expect("three slots")
}

fn vault_transaction(ledger: &mut Ledger, number: u32) -> Option<VaultTransaction> {
    let txid =
        Txid::from_byte_array(ledger.evm.storage(VAULT, &[vault_transaction_txid_slot(number)])[0].to_be_bytes());
    VaultTransaction::read(txid, &ledger.evm.storage(VAULT, &vault_transaction_slots(txid))).expect("two slots")
}

/// A ledger with one vault output of a deposit to the reserve; the block that holds it, and the deposit.
fn begun() -> (Ledger, Block, OutPoint) {
    let group = Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range");
    let mut ledger = Ledger::new(group, parameters());
    let reserve = terms(BRIDGE.into_array(), &group);
    let payment = paying(AMOUNT_SAT, ledger.output(&reserve).script_pubkey());
    let funding = block(vec![payment.clone()]);
    ledger.submit(&[funding.header], START).expect("valid");
    ledger.prove(&payment, &funding, &reserve).expect("it pays the address");
    let bound = ledger.bind(&(&sweep(std::slice::from_ref(&payment), RATE)).into()).expect("the reserve is exempt");
    let swept = confirmed(&mut ledger, &bound.event, &funding, 1);
    (ledger, swept, OutPoint::new(payment.compute_txid(), 0))
}

/// The next block, with a vault transaction that settles in it, and one more on top, so that it is final.
fn confirmed(ledger: &mut Ledger, bound: &Vault::Bound, parent: &Block, time: u32) -> Block {
    let transaction: Transaction = read(&bound.transaction);
    let holding = block_on(&parent.header, START + 2 * time, vec![transaction]);
    let last = block_on(&holding.header, START + 2 * time + 1, Vec::new());
    ledger.submit(&[holding.header, last.header], START + 2 * time + 1).expect("valid");
    ledger.settle(bound, &holding).expect("confirmed");
    last
}

#[test]
fn a_deposit_and_the_transaction_that_swept_it_are_read_as_the_views_answer_them() {
    let (mut ledger, _, outpoint) = begun();
    let txid = B256::from(outpoint.txid.to_byte_array());
    let view = ledger.evm.ask(DEPOSITS, &Deposits::depositCall { txid, vout: 0 });
    let want = Deposit {
        recipient: view.recipient,
        claimant: view.claimant,
        amount_sat: view.amountSat,
        max_fee_sat: view.maxFeeSat,
        was_bound: view.bound,
        minted_sat: view.minted.then_some(view.mintedSat),
        swept_by: Some(view.sweptBy),
        is_gone: false,
        height: view.height,
        block_head: view.blockHead,
        epoch: view.epoch,
    };
    assert_eq!((want.amount_sat, want.swept_by, view.minted), (AMOUNT_SAT, Some(1), true));
    assert_eq!(deposit(&mut ledger, outpoint), Some(want));
    assert_eq!(deposit(&mut ledger, OutPoint { vout: 1, ..outpoint }), None);

    let view = ledger.evm.ask(VAULT, &Vault::vaultTransactionCall { number: 1 });
    let found = vault_transaction(&mut ledger, 1).expect("it is bound");
    let want = VaultTransaction {
        number: 1,
        content: view.content,
        change_sat: view.changeSat,
        spent_by: None,
        is_settled: true,
        is_gone: false,
        is_void: false,
        height: view.height,
        block_head: view.blockHead,
        epoch: view.epoch,
        script_version: view.scriptVersion,
        txid: found.txid,
    };
    assert_eq!(found.txid.to_byte_array(), view.txid.0);
    assert!(view.changeSat > 0 && view.height == 2);
    assert_eq!(found, want);
    assert_eq!(vault_transaction(&mut ledger, 2), None);
    assert_eq!(proven_books(&mut ledger), ledger.books());
}

#[test]
fn withdrawals_to_every_kind_of_script_are_read_as_they_were_asked_for() {
    let (mut ledger, last, _) = begun();
    let program = |length: usize| (1..=length).map(|byte| byte as u8).collect::<Vec<_>>();
    let scripts = [
        [&[0x76, 0xa9, 0x14][..], &program(20), &[0x88, 0xac]].concat(),
        [&[0xa9, 0x14][..], &program(20), &[0x87]].concat(),
        [&[0x00, 20][..], &program(20)].concat(),
        [&[0x00, 32][..], &program(32)].concat(),
        [&[0x51, 32][..], &program(32)].concat(),
        [&[0x60, 40][..], &program(40)].concat(),
    ];
    let ids: Vec<u64> = scripts
        .iter()
        .map(|script| ledger.withdraw(Bytes::copy_from_slice(script), 20_000, 5_000).expect("it is relayed"))
        .collect();
    for (id, script) in ids.iter().zip(&scripts) {
        let view = ledger.evm.ask(BRIDGE, &Bridge::withdrawalCall { id: U256::from(*id) });
        let want = Withdrawal {
            owner: view.owner,
            amount_sat: 20_000,
            max_fee_sat: 5_000,
            asked_at: view.askedAt.to(),
            tie: None,
            paid_by: None,
            given_back: None,
            script: Bytes::copy_from_slice(script),
        };
        assert_eq!(withdrawal(&mut ledger, *id), Some(want));
    }
    assert_eq!(withdrawal(&mut ledger, 99), None);

    let owner = withdrawal(&mut ledger, 1).expect("asked for").owner;
    ledger.evm.call(owner, BRIDGE, &Bridge::cancelCall { id: U256::from(1) }).expect("it is queued");
    assert_eq!(withdrawal(&mut ledger, 1).expect("asked for").given_back, Some(GivenBack::Cancelled));

    let content = IVault::Content {
        epoch: 1,
        rate: RATE,
        reserveSat: u64::MAX,
        deposits: Vec::new(),
        outputs: vec![1],
        withdrawals: ids[1..].to_vec(),
    };
    let bound = ledger.bind(&content).expect("output 1 is final");
    assert_eq!(withdrawal(&mut ledger, 2).map(|found| (found.tie, found.paid_by)), Some((Some(1), None)));
    confirmed(&mut ledger, &bound.event, &last, 2);
    assert_eq!(withdrawal(&mut ledger, 2).map(|found| (found.tie, found.paid_by)), Some((Some(1), Some(2))));
    assert_eq!(vault_transaction(&mut ledger, 1).expect("bound").spent_by, Some(2));
    assert_eq!(proven_books(&mut ledger), ledger.books());
}
