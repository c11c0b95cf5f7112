//! Each reason not to sign, from facts that differ from good ones in one place.

use super::*;
use crate::vault_tx::ANCHOR;
use crate::vault_tx::example::{built, group_key, outpoint};
use bitcoin::Amount;
use bitcoin::hashes::Hash as _;

/// One input of 100,000 sat that goes back to the vault at this fee.
fn vault_tx(fee_sat: u64) -> VaultTransaction {
    let value = Amount::from_sat(100_000);
    let (raw, spent) = built(&[(outpoint(1), value)], value - ANCHOR - Amount::from_sat(fee_sat), &[]);
    VaultTransaction::parse(&raw, spent).expect("a vault transaction")
}

fn decide(change: impl FnOnce(&mut Facts<'_>), signed: &Signed) -> Result<(), Refusal> {
    let vault_tx = vault_tx(300);
    let group_keys = BTreeMap::from([(1, group_key())]);
    let own_outputs: Vec<_> = vault_tx.prevouts().into_iter().map(Some).collect();
    let mut facts = Facts {
        ledger_txid: Some(vault_tx.txid()),
        vault_tx: &vault_tx,
        block_final: true,
        group_keys: &group_keys,
        own_outputs: &own_outputs,
        fee_bounds: FeeBounds::around(FeeRate::from_sat_per_vb_u32(2)),
    };
    change(&mut facts);
    approve(&facts, signed)
}

#[test]
fn good_facts_are_approved_also_again_after_signing() {
    let mut signed = Signed::default();
    assert_eq!(decide(|_| (), &signed), Ok(()));
    assert!(signed.insert(vault_tx(300).unsigned()).expect("no conflict").is_some(), "to be persisted");
    assert_eq!(decide(|_| (), &signed), Ok(()));
    assert_eq!(signed.insert(vault_tx(300).unsigned()), Ok(None), "nothing new to persist");
}

#[test]
fn each_wrong_fact_is_refused_for_its_own_reason() {
    let signed = Signed::default();
    assert_eq!(decide(|facts| facts.block_final = false, &signed), Err(Refusal::NotFinal));
    assert!(matches!(
        decide(|facts| facts.ledger_txid = None, &signed),
        Err(Refusal::NotInLedger { ledger: None, .. })
    ));
    let other_txid = Some(Txid::all_zeros());
    assert!(matches!(decide(|facts| facts.ledger_txid = other_txid, &signed), Err(Refusal::NotInLedger { .. })));
    let no_keys: &'static BTreeMap<u32, XOnlyPublicKey> = Box::leak(Box::default());
    let unknown = decide(|facts| facts.group_keys = no_keys, &signed);
    assert!(matches!(unknown, Err(Refusal::Key(VaultTxError::Epoch { .. }))));
}

#[test]
fn an_input_must_be_what_the_own_bitcoind_has_unspent() {
    let signed = Signed::default();
    let gone = decide(|facts| facts.own_outputs = &[None], &signed).expect_err("spent, or not known");
    assert!(matches!(gone, Refusal::UnknownOutput { input: 0, .. }) && gone.may_pass());
    let short = decide(|facts| facts.own_outputs = &[], &signed);
    assert!(matches!(short, Err(Refusal::UnknownOutput { .. })));
    let other = vec![Some(TxOut { value: Amount::from_sat(99_999), ..vault_tx(300).prevouts().swap_remove(0) })].leak();
    let other = decide(|facts| facts.own_outputs = other, &signed).expect_err("another value");
    assert!(matches!(other, Refusal::OtherOutput { got_sat: 99_999, want_sat: 100_000, .. }) && !other.may_pass());
}

#[test]
fn a_fee_outside_the_own_bounds_waits() {
    let bounds = FeeBounds { low_sat_per_kvb: 3_000, high_sat_per_kvb: 9_000 };
    let refusal = decide(|facts| facts.fee_bounds = bounds, &Signed::default()).expect_err("about 2.4 sat/vB");
    assert!(matches!(refusal, Refusal::Fee { .. }) && refusal.may_pass());
    assert_eq!(FeeBounds::around(FeeRate::from_sat_per_vb_u32(1)).low_sat_per_kvb, 1_000);
}

#[test]
fn two_transactions_that_spend_the_same_are_never_both_signed() {
    let mut signed = Signed::default();
    let record = signed.insert(vault_tx(200).unsigned()).expect("the first").expect("to be persisted");
    let refusal = decide(|_| (), &signed).expect_err("the second");
    assert_eq!(
        refusal,
        Refusal::Conflict { outpoint: vault_tx(200).inputs()[0].outpoint, signed: vault_tx(200).txid() }
    );
    assert!(!refusal.may_pass());

    assert_eq!(Signed::replay([record.as_slice()]).expect("its own record"), signed);
    let (other_version, cut) = ([&[9], &record[1..]].concat(), &record[..record.len() - 1]);
    for bad in [&other_version[..], cut, &[]] {
        let error = Signed::replay([record.as_slice(), bad]).expect_err("not a record");
        assert_eq!(error.position, 1);
    }
}
