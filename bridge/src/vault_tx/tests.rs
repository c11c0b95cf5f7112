//! Vault transactions against the vectors of BIP341 and against rust-bitcoin's own sizes.

use super::example::{CHANGE, built, example, group_key, outpoint, p2wpkh};
use super::*;
use crate::threshold;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// From BIP341, `bip-0341/wallet-test-vectors.json` (<https://github.com/bitcoin/bips>), as Bitcoin Core carries it.
const BIP341: &str = include_str!("../../tests/data/bip341-wallet-test-vectors.json");

fn vectors() -> serde_json::Value {
    serde_json::from_str(BIP341).expect("the vectors are JSON")
}

fn bytes32(value: &serde_json::Value) -> [u8; 32] {
    hex::decode(value.as_str().expect("text")).expect("hex").try_into().expect("32 bytes")
}

#[test]
fn output_keys_are_those_of_bip341() {
    let mut checked = 0;
    for vector in vectors()["scriptPubKey"].as_array().expect("a list") {
        let root = &vector["intermediary"]["merkleRoot"];
        if root.is_null() {
            continue;
        }
        let internal = XOnlyPublicKey::from_slice(&bytes32(&vector["given"]["internalPubkey"])).expect("a key");
        let output = vault::output_key(internal, &bytes32(root));
        assert_eq!(output.serialize(), bytes32(&vector["intermediary"]["tweakedPubkey"]));
        assert_eq!(vault::script(output).to_hex_string(), vector["expected"]["scriptPubKey"]);
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn the_default_sighash_is_that_of_bip341() {
    let case = &vectors()["keyPathSpending"][0];
    let raw = hex::decode(case["given"]["rawUnsignedTx"].as_str().expect("text")).expect("hex");
    let unsigned: Transaction = consensus::deserialize(&raw).expect("a transaction");
    let prevout = |utxo: &serde_json::Value| TxOut {
        value: Amount::from_sat(utxo["amountSats"].as_u64().expect("a number")),
        script_pubkey: ScriptBuf::from_hex(utxo["scriptPubKey"].as_str().expect("text")).expect("hex"),
    };
    let prevouts: Vec<TxOut> = case["given"]["utxosSpent"].as_array().expect("a list").iter().map(prevout).collect();
    let sighashes = key_path_sighashes(&unsigned, &prevouts);
    let of_type_default = |input: &&serde_json::Value| input["given"]["hashType"] == 0;
    let inputs: Vec<_> = case["inputSpending"].as_array().expect("a list").iter().filter(of_type_default).collect();
    assert_eq!(inputs.len(), 1);
    for input in inputs {
        let index = usize::try_from(input["given"]["txinIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(sighashes[index], bytes32(&input["intermediary"]["sigHash"]));
    }
}

#[test]
fn a_vault_transaction_is_signed_and_completed() {
    let (raw, inputs) = example();
    let vault_tx = VaultTransaction::parse(&raw, inputs, CHANGE).expect("a vault transaction");
    assert_eq!(vault_tx.fee(), Amount::from_sat(150_000 - 120_000 - 29_000) - ANCHOR);
    assert_eq!(check_keys(vault_tx.inputs(), &BTreeMap::from([(1, group_key())])), Ok(()));

    let mut rng = StdRng::seed_from_u64(1);
    let shares = threshold::deal(1, 2, 3, &mut rng);
    let sign = |input: &signing::Input| {
        let keys: Vec<_> = shares[..2].iter().map(|share| share.for_input(&input.merkle_root)).collect();
        let nonces: Vec<_> =
            keys.iter().map(|key| key.commit(&mut StdRng::seed_from_u64(u64::from(key.index())))).collect();
        let set = keys.iter().zip(&nonces).map(|(key, nonces)| (key.index(), nonces.commitment())).collect();
        let parts = keys
            .iter()
            .zip(&nonces)
            .map(|(key, nonces)| (key.index(), key.sign(&input.sighash, &set, nonces).expect("a share")))
            .collect();
        keys[0].aggregate(&input.sighash, &set, &parts).expect("a signature")
    };
    let mut signatures: Vec<_> = vault_tx.signing_inputs().iter().map(sign).collect();
    let signed = vault_tx.attach(&signatures).expect("valid signatures");
    assert_eq!(signed.compute_txid(), vault_tx.txid());
    assert_eq!(signed.vsize() as u64, vault_tx.vsize());
    assert!(signed.input.iter().all(|input| input.witness.len() == 1 && input.witness[0].len() == 64));

    signatures.swap(0, 1);
    assert_eq!(vault_tx.attach(&signatures), Err(VaultTxError::Signature { input: 0 }));
    assert_eq!(vault_tx.attach(&[]), Err(VaultTxError::Signature { input: 0 }));
}

#[test]
fn anything_but_a_vault_transaction_over_these_inputs_is_refused() {
    let (raw, inputs) = example();
    let refused = |change: &dyn Fn(&mut Transaction, &mut Vec<SpentOutput>)| {
        let (mut transaction, mut inputs) =
            (consensus::deserialize::<Transaction>(&raw).expect("sound"), inputs.clone());
        change(&mut transaction, &mut inputs);
        VaultTransaction::parse(&consensus::serialize(&transaction), inputs, CHANGE)
            .expect_err("not a vault transaction")
            .to_string()
    };
    assert!(refused(&|tx, _| tx.version = transaction::Version(2)).contains("version"));
    assert!(
        refused(&|tx, _| tx.lock_time = absolute::LockTime::from_height(1).expect("a height")).contains("locktime")
    );
    assert!(refused(&|_, inputs| inputs.truncate(1)).contains("number of inputs"));
    assert!(refused(&|_, inputs| inputs.swap(0, 1)).contains("outpoint of input 0"));
    assert!(refused(&|tx, _| tx.input[1].sequence = Sequence::MAX).contains("sequence of input 1"));
    assert!(refused(&|tx, _| tx.input[0].witness = Witness::from_slice(&[[1]])).contains("witness"));
    assert!(refused(&|tx, _| tx.output[0].script_pubkey = p2wpkh()).contains("output 0"));
    assert!(refused(&|tx, _| tx.output[0].value = Amount::from_sat(329)).contains("output 0"));
    let one_less = CHANGE - Amount::ONE_SAT;
    assert!(refused(&|tx, _| tx.output[0].value = one_less).contains("value of output 0"));
    assert!(refused(&|tx, _| tx.output.truncate(2)).contains("script of the last output"));
    assert!(refused(&|tx, _| tx.output[2].value = Amount::from_sat(0)).contains("value of the last output"));
    assert!(refused(&|tx, _| tx.output[1].value = Amount::from_sat(40_000)).contains("outputs of"));
    assert!(VaultTransaction::parse(&[&raw[..], &[0]].concat(), inputs.clone(), CHANGE).is_err(), "trailing bytes");

    let mut foreign = inputs;
    foreign[1].merkle_root = [9; 32];
    let vault_tx = VaultTransaction::parse(&raw, foreign, CHANGE).expect("the layout is right");
    assert!(matches!(
        check_keys(vault_tx.inputs(), &BTreeMap::from([(1, group_key())])),
        Err(VaultTxError::OutputKey { input: 1, .. })
    ));
    assert_eq!(check_keys(vault_tx.inputs(), &BTreeMap::new()), Err(VaultTxError::Epoch { input: 0, epoch: 1 }));
}

#[test]
fn a_vault_transaction_without_change_pays_withdrawals_from_output_0_on() {
    let paid = (p2wpkh(), Amount::from_sat(99_000));
    let (raw, inputs) = built(&[(outpoint(1), Amount::from_sat(100_000))], Amount::ZERO, &[paid]);
    let vault_tx = VaultTransaction::parse(&raw, inputs.clone(), Amount::ZERO).expect("a vault transaction");
    assert_eq!((vault_tx.payouts().len(), vault_tx.change()), (1, Amount::ZERO));
    assert_eq!(vault_tx.payouts()[0].script_pubkey, p2wpkh());
    let (with_change, both) = example();
    let of_example = VaultTransaction::parse(&with_change, both, CHANGE).expect("a vault transaction");
    assert_eq!(of_example.payouts().len(), 1);
    assert!(VaultTransaction::parse(&raw, inputs, Amount::from_sat(99_000)).is_err(), "no vault output");
}
