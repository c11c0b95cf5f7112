//! Receipts of a real network (tests/data/receipts): each shows what it did on the day that it was written, and nothing when anything in it is another.
//!
//! `genesis.json` and the receipts are of a local network (`causeway dev`): `causeway receipt` of a deposit and of withdrawal 1, `causeway audit --receipt`.

use std::path::{Path, PathBuf};

use light::finality::{Validators, verify};
use light::receipt::{Receipt, Shown, What};
use proptest::prelude::*;
use serde_json::Value;
use sidechain::genesis::Genesis;

const NAMES: [&str; 3] = ["deposit", "withdrawal", "reserves"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/receipts")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).expect("it is in the repository")
}

fn genesis() -> (alloy_primitives::B256, Validators) {
    let genesis = Genesis::from_json(&text("genesis")).expect("a genesis file");
    (genesis.build().expect("it can be built").hash, genesis.validators().expect("its keys are valid"))
}

fn shown(receipt: &str) -> Option<Shown> {
    let receipt: Receipt = serde_json::from_str(receipt).ok()?;
    let (hash, validators) = genesis();
    receipt.verify(hash, &validators).ok()
}

#[test]
fn each_receipt_shows_what_was_final() {
    match shown(&text("deposit")).expect("it shows something").what {
        What::Deposit { deposit, paid, .. } => {
            assert_eq!(paid.output.value.to_sat(), 1_000_000_000);
            assert_eq!(deposit.amount_sat, 1_000_000_000);
            assert!(deposit.minted_sat.is_some_and(|minted| minted < deposit.amount_sat));
        }
        other => panic!("{other:?}"),
    }
    match shown(&text("withdrawal")).expect("it shows something").what {
        What::Withdrawal { id, withdrawal, paid, .. } => {
            assert_eq!((id, withdrawal.amount_sat), (1, 10_000_000));
            assert_eq!(paid.output.script_pubkey.as_bytes(), &withdrawal.script[..]);
        }
        other => panic!("{other:?}"),
    }
    match shown(&text("reserves")).expect("it shows something").what {
        What::Reserves { books, sums, outputs, .. } => {
            assert!(sums.balanced && sums.covered);
            assert_eq!(outputs.values().map(|(_, sat)| sat).sum::<u64>(), books.vault_sat);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_receipt_of_another_network_shows_nothing() {
    let receipt: Receipt = serde_json::from_str(&text("deposit")).expect("a receipt");
    let (hash, validators) = genesis();
    let other = Genesis { chain_id: 1, ..Genesis::from_json(&text("genesis")).expect("a genesis file") };
    let validators_of_other = other.validators().expect("its keys are valid");
    assert!(receipt.verify(hash, &validators).is_ok());
    assert!(receipt.verify(hash, &validators_of_other).is_err(), "votes are separated by network");
    assert!(receipt.verify(alloy_primitives::B256::ZERO, &validators).is_err());
}

/// All values of a JSON text that are hex or numbers, by their paths.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found))
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{path}/{i}"), found));
        }
        Value::String(_) | Value::Number(_) => found.push(path.to_owned()),
        Value::Bool(_) | Value::Null => {}
    }
}

/// Another value of the same form.
fn changed(value: &Value, roll: usize) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_u64().unwrap_or_default() ^ (1 << (roll % 40))),
        Value::String(text) => {
            let mut bytes = text.clone().into_bytes();
            let Some(at) = bytes.len().checked_sub(1).map(|last| last.min(2 + roll % bytes.len())) else {
                return Value::from("0");
            };
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            Value::from(String::from_utf8_lossy(&bytes).into_owned())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_changed_in_a_receipt_it_shows_nothing_else(name in 0usize..3, leaf: usize, roll: usize) {
        let honest = text(NAMES[name]);
        let mut receipt: Value = serde_json::from_str(&honest).expect("JSON");
        let mut paths = Vec::new();
        leaves(&receipt, "", &mut paths);
        let path = &paths[leaf % paths.len()];
        let value = receipt.pointer_mut(path).expect("it was found");
        *value = changed(value, roll);
        let got = shown(&receipt.to_string());
        prop_assert!(got.is_none(), "{} of the {} can be changed", path, NAMES[name]);
    }

    #[test]
    fn no_bytes_break_the_reader_of_receipts(name in 0usize..3, at: usize, byte: u8, cut: usize) {
        let mut bytes = text(NAMES[name]).into_bytes();
        let (at, cut) = (at % bytes.len(), bytes.len() - cut % 3);
        bytes[at] = byte;
        bytes.truncate(cut);
        let _ = std::str::from_utf8(&bytes).ok().and_then(shown);
    }

    #[test]
    fn no_bytes_break_the_reader_of_certificates(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (hash, validators) = genesis();
        prop_assert!(verify(&bytes, &validators, hash).is_err());
    }
}
