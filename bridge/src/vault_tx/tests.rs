//! Vault transactions against real vectors, against rust-bitcoin's own sizes, and plans against a naive check.

use super::*;
use crate::threshold;
use proptest::prelude::*;
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

fn outpoint(number: usize) -> OutPoint {
    OutPoint {
        txid: Txid::from_byte_array([u8::try_from(number % 256).expect("a byte"); 32]),
        vout: u32::try_from(number).expect("small"),
    }
}

fn group_key() -> XOnlyPublicKey {
    threshold::deal(1, 2, 3, &mut StdRng::seed_from_u64(1))[0].group_key()
}

fn vault_script() -> ScriptBuf {
    vault::script(vault::output_key(group_key(), &[7; 32]))
}

/// A vault transaction over these inputs that pays these outputs, vault and anchor added.
fn built(inputs: &[(OutPoint, u64)], change_sat: u64, paid: &[(ScriptBuf, u64)]) -> (Vec<u8>, Vec<SpentOutput>) {
    let output = |script_pubkey: ScriptBuf, sat| TxOut { script_pubkey, value: Amount::from_sat(sat) };
    let input = |(previous_output, _): &(OutPoint, u64)| bitcoin::TxIn {
        previous_output: *previous_output,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..bitcoin::TxIn::default()
    };
    let mut outputs = vec![output(vault_script(), change_sat)];
    outputs.extend(paid.iter().map(|(script, sat)| output(script.clone(), *sat)));
    outputs.push(output(ScriptBuf::from_bytes(ANCHOR_SCRIPT.to_vec()), ANCHOR_SAT));
    let transaction = Transaction {
        version: transaction::Version(3),
        lock_time: absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: outputs,
    };
    let spent = |(position, (outpoint, amount_sat)): (usize, &(OutPoint, u64))| {
        let merkle_root = [u8::try_from(position % 256).expect("a byte"); 32];
        let output_key = vault::output_key(group_key(), &merkle_root);
        SpentOutput { outpoint: *outpoint, amount_sat: *amount_sat, output_key, merkle_root, epoch: 1 }
    };
    (consensus::serialize(&transaction), inputs.iter().enumerate().map(spent).collect())
}

fn p2wpkh() -> ScriptBuf {
    ScriptBuf::from_hex("0014751e76e8199196d454941c45d1b3a323f1433bd6").expect("hex")
}

fn example() -> (Vec<u8>, Vec<SpentOutput>) {
    built(&[(outpoint(1), 100_000), (outpoint(2), 50_000)], 120_000, &[(p2wpkh(), 29_000)])
}

#[test]
fn a_vault_transaction_is_signed_and_completed() {
    let (raw, inputs) = example();
    let vault_tx = VaultTransaction::parse(&raw, inputs).expect("a vault transaction");
    assert_eq!(vault_tx.fee_sat(), 150_000 - 120_000 - 29_000 - ANCHOR_SAT);
    assert_eq!(vault_tx.check_keys(&BTreeMap::from([(1, group_key())])), Ok(()));

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
        VaultTransaction::parse(&consensus::serialize(&transaction), inputs)
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
    assert!(refused(&|tx, _| tx.output.truncate(2)).contains("script of the last output"));
    assert!(refused(&|tx, _| tx.output[2].value = Amount::from_sat(0)).contains("value of the last output"));
    assert!(refused(&|tx, _| tx.output[1].value = Amount::from_sat(40_000)).contains("outputs of"));
    assert!(VaultTransaction::parse(&[&raw[..], &[0]].concat(), inputs.clone()).is_err(), "trailing bytes");

    let mut foreign = inputs;
    foreign[1].merkle_root = [9; 32];
    let vault_tx = VaultTransaction::parse(&raw, foreign).expect("the layout is right");
    assert!(matches!(
        vault_tx.check_keys(&BTreeMap::from([(1, group_key())])),
        Err(VaultTxError::OutputKey { input: 1, .. })
    ));
    assert_eq!(vault_tx.check_keys(&BTreeMap::new()), Err(VaultTxError::Epoch { input: 0, epoch: 1 }));
}

fn script(kind: u8) -> ScriptBuf {
    // The lengths of P2WPKH, P2SH, P2PKH, P2WSH and P2TR, and of the longest witness program.
    ScriptBuf::from_bytes(vec![0; [22, 23, 25, 34, 34, 42][usize::from(kind) % 6]])
}

prop_compose! {
    fn any_available()(
        deposits in prop::collection::vec((10_000u64..1_000_000, 200u64..50_000), 0..40),
        withdrawals in prop::collection::vec((10_000u64..1_000_000, 200u64..50_000, any::<u8>()), 0..150),
        outputs in prop::collection::vec(330u64..3_000_000, 0..12),
        fee_rate_sat_per_kvb in 0u64..100_000,
        min_fee_rate in 1u32..5,
        in_flight in any::<bool>(),
    ) -> Available {
        let deposit = |(number, (amount_sat, max_fee_sat))| ReadyDeposit { outpoint: outpoint(number), amount_sat, max_fee_sat };
        let withdrawal = |(id, (amount_sat, max_fee_sat, kind)): (usize, (u64, u64, u8))| QueuedWithdrawal {
            id: id as u64 + 1,
            amount_sat,
            max_fee_sat: max_fee_sat.min(amount_sat - DUST_SAT),
            script: script(kind),
        };
        Available {
            deposits: deposits.into_iter().enumerate().map(deposit).collect(),
            withdrawals: withdrawals.into_iter().enumerate().map(withdrawal).collect(),
            vault_outputs: (1..).zip(outputs).map(|(number, amount_sat)| VaultOutput { number, amount_sat }).collect(),
            in_flight,
            fee_rate_sat_per_kvb,
            min_fee_rate,
            max_fee_rate: 50,
        }
    }
}

proptest! {
    /// The transaction of the plan, built as the ledger builds it, adds up, fits, and charges nobody too much.
    #[test]
    fn every_plan_is_one_the_ledger_accepts(available in any_available()) {
        let Some(plan) = plan(&available) else { return Ok(()) };
        prop_assert!(!plan.deposits.is_empty() || !plan.withdrawals.is_empty());
        let deposits: Vec<_> = available.deposits.iter().filter(|deposit| plan.deposits.contains(&deposit.outpoint)).collect();
        let withdrawals: Vec<_> = available.withdrawals.iter().filter(|withdrawal| plan.withdrawals.contains(&withdrawal.id)).collect();
        let amount_of = |number: &u64| available.vault_outputs.iter().find(|output| output.number == *number).expect("available").amount_sat;
        prop_assert_eq!(plan.deposits.len() + plan.withdrawals.len(), plan.shares_sat.len());
        prop_assert_eq!(plan.shares_sat.iter().sum::<u64>(), plan.fee_sat + ANCHOR_SAT);

        let (deposit_shares, withdrawal_shares) = plan.shares_sat.split_at(deposits.len());
        for (deposit, share) in deposits.iter().zip(deposit_shares) {
            prop_assert!(*share <= deposit.max_fee_sat && *share < deposit.amount_sat);
        }
        let mut paid = Vec::new();
        for (withdrawal, share) in withdrawals.iter().zip(withdrawal_shares) {
            prop_assert!(*share <= withdrawal.max_fee_sat);
            paid.push((withdrawal.script.clone(), withdrawal.amount_sat - share));
        }
        let inputs: Vec<(OutPoint, u64)> = deposits
            .iter()
            .map(|deposit| (deposit.outpoint, deposit.amount_sat))
            .chain(plan.vault_inputs.iter().map(|number| (outpoint(1000 + *number as usize), amount_of(number))))
            .collect();
        let (raw, spent) = built(&inputs, plan.change_sat, &paid);
        let vault_tx = VaultTransaction::parse(&raw, spent).expect("a vault transaction");
        prop_assert_eq!(vault_tx.fee_sat(), plan.fee_sat);

        let mut signed = vault_tx.unsigned().clone();
        signed.input.iter_mut().for_each(|input| input.witness = Witness::from_slice(&[[0; 64]]));
        let vsize = signed.vsize() as u64;
        prop_assert_eq!(vault_tx.vsize(), vsize);
        prop_assert!(vsize <= MAX_VSIZE);
        prop_assert!((u64::from(available.min_fee_rate) * vsize..=50 * vsize).contains(&plan.fee_sat));
    }

    /// Shares sum up to the cost, and each is its part rounded down, or one satoshi more.
    #[test]
    fn shares_are_exact(cost_sat in 0u64..10_000_000, weights in prop::collection::vec(1u64..1000, 1..200)) {
        let shares = shares(cost_sat, &weights);
        prop_assert_eq!(shares.iter().sum::<u64>(), cost_sat);
        let total = u128::from(weights.iter().sum::<u64>());
        for (share, weight) in shares.iter().zip(&weights) {
            let (part, share) = (u128::from(cost_sat) * u128::from(*weight), u128::from(*share));
            prop_assert!(share * total <= part + total && part < (share + 1) * total);
        }
    }
}

fn queued(id: u64, amount_sat: u64, max_fee_sat: u64) -> QueuedWithdrawal {
    QueuedWithdrawal { id, amount_sat, max_fee_sat, script: p2wpkh() }
}

fn available(vault: &[u64], withdrawals: Vec<QueuedWithdrawal>) -> Available {
    Available {
        withdrawals,
        vault_outputs: (1..)
            .zip(vault)
            .map(|(number, amount_sat)| VaultOutput { number, amount_sat: *amount_sat })
            .collect(),
        fee_rate_sat_per_kvb: 2_000,
        min_fee_rate: 1,
        max_fee_rate: 500,
        ..Available::default()
    }
}

#[test]
fn nothing_to_do_is_no_plan() {
    assert_eq!(plan(&available(&[100_000], vec![])), None);
}

#[test]
fn who_would_pay_more_than_its_max_fee_is_left_out() {
    let plan =
        plan(&available(&[500_000], vec![queued(1, 100_000, 50), queued(2, 100_000, 5_000)])).expect("one is left");
    assert_eq!(plan.withdrawals, [2]);
}

#[test]
fn a_withdrawal_that_does_not_fit_waits_for_value_in_flight_or_makes_room() {
    let mut both = available(&[50_000], vec![queued(1, 100_000, 5_000), queued(2, 20_000, 5_000)]);
    assert_eq!(plan(&both).expect("the small one").withdrawals, [2]);
    both.in_flight = true;
    assert_eq!(plan(&both), None);
}

#[test]
fn withdrawals_take_the_fewest_vault_outputs_and_many_outputs_are_joined() {
    let few = plan(&available(&[10_000, 90_000, 60_000], vec![queued(1, 100_000, 5_000)])).expect("funded");
    assert_eq!(few.vault_inputs, [2, 3]);
    let many =
        plan(&available(&[10_000, 90_000, 60_000, 70_000, 20_000], vec![queued(1, 50_000, 5_000)])).expect("funded");
    assert_eq!(many.vault_inputs, [2, 1], "the largest, and the smallest to join it");
}

#[test]
fn a_deposit_alone_is_swept_without_touching_the_vault() {
    let mut one = available(&[100_000], vec![]);
    one.deposits = vec![ReadyDeposit { outpoint: outpoint(1), amount_sat: 50_000, max_fee_sat: 5_000 }];
    let plan = plan(&one).expect("swept");
    // One input, vault and anchor: 4 + 1 + 41 + 1 + 43 + 13 + 4 bytes without witness, 4 times that and 68 for the witness.
    assert_eq!(plan.fee_sat, 2 * (4 * 107 + 68u64).div_ceil(4));
    assert_eq!((plan.vault_inputs.len(), plan.change_sat), (0, 50_000 - plan.fee_sat - ANCHOR_SAT));
}

#[test]
fn a_refresh_is_paid_by_the_reserve_or_not_made() {
    let outputs = [VaultOutput { number: 3, amount_sat: 70_000 }, VaultOutput { number: 5, amount_sat: 30_000 }];
    let plan = plan_refresh(&outputs, 1_000, &available(&[], vec![])).expect("covered");
    assert_eq!(plan.vault_inputs, [3, 5]);
    assert_eq!(plan.change_sat, 100_000 - plan.fee_sat - ANCHOR_SAT);
    assert_eq!(plan_refresh(&outputs, plan.fee_sat + ANCHOR_SAT - 1, &available(&[], vec![])), None);
}
