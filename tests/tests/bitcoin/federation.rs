//! The federation's templates: a vault transaction signed by three of four, raised by a child of its anchor, proven from
//! its block, and recovered when the federation is gone.

use std::collections::BTreeMap;

use bitcoin::hashes::Hash;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Message, SECP256K1, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TaprootMerkleBranch};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, PubkeyHash, ScriptBuf, ScriptHash, Sequence, Transaction, TxOut, WPubkeyHash, WScriptHash,
    Witness, WitnessProgram, WitnessVersion,
};
use bridge::threshold::{self, KeyShare};
use bridge::vault;
use bridge::vault_tx::{ANCHOR, ANCHOR_SCRIPT, SpentOutput, VaultTransaction, check_keys};
use mainchain::proof::{self, InclusionProof};
use mainchain::recovery::Recovery;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tests::bitcoind::Bitcoind;
use tests::user::User;

use crate::deposits::{peg, terms};
use crate::spending::{key, mined, spend, verdict, x_only};

// deposit --\                      /--> vault --(recovery leaf, 20 blocks later)--> user
//            >-- vault transaction ----> withdrawals to every kind of script
// vault ----/                      \--> anchor --(child)--> user
#[tokio::test]
async fn the_federations_templates_are_standard() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let mut federation = Federation::new();

    let inputs = paid_inputs(&mut user, &federation).await;
    let vault_tx = vault_transaction(&federation, inputs);
    let signed = federation.sign(&vault_tx);
    assert_eq!(verdict(&user.rpc, &signed).await, Ok(vault_tx.vsize()), "the size is known before signing");
    for input in &signed.input {
        assert_eq!(input.witness.iter().map(<[u8]>::len).collect::<Vec<_>>(), [64], "one signature an input");
    }
    let child = anybody_raises_its_fee(&mut user, &signed).await;
    it_confirms_and_is_proven(&user, &vault_tx, &signed, &child).await;
    recovery_keys_take_the_vault_output_after_the_delay(&mut user, &federation, &signed).await;
}

/// A deposit and a vault output, each in a block.
async fn paid_inputs(user: &mut User, federation: &Federation) -> Vec<SpentOutput> {
    let deposit = terms(x_only(2)).output(&peg(1008), federation.group_key());
    let vault_script = vault::script(federation.vault_key());
    let mut inputs = Vec::new();
    for (script, output_key, merkle_root) in [
        (deposit.script_pubkey(), deposit.output_key(), deposit.merkle_root().to_byte_array()),
        (vault_script, federation.vault_key(), federation.recovery_root()),
    ] {
        let amount = Amount::from_sat(10_000_000);
        let (payment, vout) = user.pay(&script, amount).await;
        let outpoint = OutPoint::new(payment.compute_txid(), vout);
        inputs.push(SpentOutput { outpoint, amount, output_key, merkle_root, epoch: 1 });
        user.mine(1).await;
    }
    inputs
}

/// Version 3, deposits and vault outputs in; vault, withdrawals and anchor out.
fn vault_transaction(federation: &Federation, inputs: Vec<SpentOutput>) -> VaultTransaction {
    let outpoints: Vec<_> = inputs.iter().map(|input| input.outpoint).collect();
    let mut unsigned = spend(&outpoints, Sequence::ENABLE_RBF_NO_LOCKTIME);
    unsigned.version = Version(3);
    let output = |value, script_pubkey| TxOut { value, script_pubkey };
    let change = Amount::from_sat(15_000_000);
    unsigned.output.push(output(change, vault::script(federation.vault_key())));
    unsigned.output.extend(withdrawal_scripts().into_iter().map(|script| output(Amount::from_sat(600_000), script)));
    unsigned.output.push(output(ANCHOR, ScriptBuf::from(ANCHOR_SCRIPT.to_vec())));
    let vault_tx =
        VaultTransaction::parse(&bitcoin::consensus::serialize(&unsigned), inputs, change).expect("the layout");
    check_keys(vault_tx.inputs(), &BTreeMap::from([(1, federation.group_key())])).expect("its own keys");
    vault_tx
}

/// By a child that spends the anchor and something of their own.
async fn anybody_raises_its_fee(user: &mut User, signed: &Transaction) -> Transaction {
    user.sync().await;
    let anchor_at = OutPoint::new(signed.compute_txid(), signed.output.len() as u32 - 1);
    let child = anchor_child(user, anchor_at).await;
    let verdicts = user.rpc.test_accept(&[signed.clone(), child.clone()]).await.expect("answers");
    assert_eq!(verdicts.len(), 2);
    for accepted in &verdicts {
        accepted.verdict.as_ref().expect("parent and child are accepted");
    }
    child
}

/// The proof of it is built from the real block.
async fn it_confirms_and_is_proven(
    user: &User,
    vault_tx: &VaultTransaction,
    signed: &Transaction,
    child: &Transaction,
) {
    user.rpc.broadcast(signed).await.expect("accepted");
    user.rpc.broadcast(signed).await.expect("sent already: no error");
    let entry = user.rpc.mempool_entry(signed.compute_txid()).await.expect("answers").expect("is there");
    assert_eq!((entry.vsize, entry.fee), (vault_tx.vsize(), vault_tx.fee()));
    user.rpc.broadcast(child).await.expect("the child too");
    let hash = user.mine(1).await[0];
    user.rpc.broadcast(signed).await.expect("confirmed already: no error");
    let block = user.rpc.block(hash).await.expect("answers").expect("just mined");
    for txid in [signed, child].map(Transaction::compute_txid) {
        assert!(block.txdata.iter().any(|transaction| transaction.compute_txid() == txid), "{txid} is in the block");
    }
    for transaction in &block.txdata {
        let proof = InclusionProof::build(&block, transaction.compute_txid()).expect("is in the block");
        let proven = proof.verify(&proof::strip(transaction));
        assert_eq!(proven, Ok(transaction.compute_txid()));
    }
}

/// The federation is gone: two of three recovery keys are enough.
async fn recovery_keys_take_the_vault_output_after_the_delay(
    user: &mut User,
    federation: &Federation,
    signed: &Transaction,
) {
    let outpoint = OutPoint::new(signed.compute_txid(), 0);
    let recovered = recover(federation, outpoint, signed.output[0].value, user.address().script_pubkey());
    user.mine(18).await;
    assert_eq!(verdict(&user.rpc, &recovered).await, Err("non-BIP68-final".into()));
    user.mine(1).await;
    verdict(&user.rpc, &recovered).await.expect("the delay is over");
    mined(user, &recovered).await;
}

/// Every kind of script that a withdrawal may go to.
fn withdrawal_scripts() -> Vec<ScriptBuf> {
    let program = |version, bytes: &[u8]| {
        ScriptBuf::new_witness_program(&WitnessProgram::new(version, bytes).expect("2 to 40 bytes"))
    };
    vec![
        ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array([1; 20])),
        ScriptBuf::new_p2sh(&ScriptHash::from_byte_array([2; 20])),
        ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([3; 20])),
        ScriptBuf::new_p2wsh(&WScriptHash::from_byte_array([4; 32])),
        ScriptBuf::new_p2tr(SECP256K1, x_only(5), None),
        program(WitnessVersion::V2, &[6; 2]),
        program(WitnessVersion::V9, &[7; 33]),
        program(WitnessVersion::V16, &[8; 40]),
    ]
}

/// Four members, of whom three sign, and a recovery policy of two keys of three after 20 blocks.
pub struct Federation {
    shares: Vec<KeyShare>,
    recovery: Recovery,
    rng: StdRng,
}

impl Federation {
    /// Other keys and nonces at each run: both parities of both. The seed that repeats a failed run is printed.
    pub fn new() -> Self {
        let seed: u64 = rand::random();
        println!("the federation's keys and nonces are those of seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let recovery = Recovery { threshold: 2, delay: 20, keys: vec![x_only(21), x_only(22), x_only(23)] };
        Self { shares: threshold::deal(1, 3, 4, &mut rng), recovery, rng }
    }

    pub fn group_key(&self) -> XOnlyPublicKey {
        self.shares[0].group_key()
    }

    pub fn recovery_root(&self) -> [u8; 32] {
        self.recovery.leaf_hash().expect("a sound policy").to_byte_array()
    }

    pub fn vault_key(&self) -> XOnlyPublicKey {
        vault::output_key(self.group_key(), &self.recovery_root())
    }

    /// Signatures of members 1, 3 and 4.
    pub fn sign(&mut self, transaction: &VaultTransaction) -> Transaction {
        let inputs = transaction.signing_inputs();
        let signatures: Vec<_> =
            inputs.iter().map(|input| self.sign_input(&input.sighash, &input.merkle_root)).collect();
        transaction.attach(&signatures).expect("valid signatures")
    }

    fn sign_input(&mut self, sighash: &[u8; 32], merkle_root: &[u8; 32]) -> schnorr::Signature {
        let signers = [0, 2, 3].map(|member: usize| self.shares[member].for_input(merkle_root));
        let nonces: Vec<_> = signers.iter().map(|signer| (signer.index(), signer.commit(&mut self.rng))).collect();
        let set = nonces.iter().map(|(member, nonces)| (*member, nonces.commitment())).collect();
        let shares: BTreeMap<_, _> = signers
            .iter()
            .zip(&nonces)
            .map(|(signer, (member, nonces))| (*member, signer.sign(sighash, &set, nonces).expect("three of four")))
            .collect();
        signers[0].aggregate(sighash, &set, &shares).expect("honest shares")
    }
}

/// Spends the anchor and a coin of the user, at a high fee, in a version 3 transaction.
async fn anchor_child(user: &mut User, anchor: OutPoint) -> Transaction {
    // A coin under a bare key, so that the test can sign for it without the wallet.
    let (coin_key, amount) = (key(31), Amount::from_sat(50_000));
    let script = ScriptBuf::new_p2tr(SECP256K1, coin_key.x_only_public_key().0, None);
    let (payment, vout) = user.pay(&script, amount).await;
    user.mine(1).await;
    let coin = OutPoint::new(payment.compute_txid(), vout);
    let mut child = spend(&[anchor, coin], Sequence::ENABLE_RBF_NO_LOCKTIME);
    child.version = Version(3);
    child.output.push(TxOut { value: Amount::from_sat(30_000), script_pubkey: user.address().script_pubkey() });
    let spent = [
        TxOut { value: ANCHOR, script_pubkey: ScriptBuf::from(ANCHOR_SCRIPT.to_vec()) },
        TxOut { value: amount, script_pubkey: script },
    ];
    let sighash = SighashCache::new(&child)
        .taproot_key_spend_signature_hash(1, &Prevouts::All(&spent), TapSighashType::Default)
        .expect("two inputs");
    let tweaked = coin_key.tap_tweak(SECP256K1, None).to_keypair();
    child.input[1].witness = Witness::from_slice(&[SECP256K1.sign_schnorr(&Message::from(sighash), &tweaked).as_ref()]);
    child
}

/// Spends a vault output by its recovery leaf with keys 21 and 23 of the three.
fn recover(federation: &Federation, outpoint: OutPoint, value: Amount, to: ScriptBuf) -> Transaction {
    let script = federation.recovery.script().expect("a sound policy");
    let leaf = TapLeafHash::from_script(&script, LeafVersion::TapScript);
    let mut transaction = spend(&[outpoint], Sequence::from_height(federation.recovery.delay));
    transaction.output.push(TxOut { value: value - Amount::from_sat(1_000), script_pubkey: to });
    let spent = TxOut { value, script_pubkey: vault::script(federation.vault_key()) };
    let sighash = SighashCache::new(&transaction)
        .taproot_script_spend_signature_hash(0, &Prevouts::All(&[spent]), leaf, TapSighashType::Default)
        .expect("one input");
    let sign = |byte| SECP256K1.sign_schnorr(&Message::from(sighash), &key(byte)).as_ref().to_vec();
    let output = vault::output_point(federation.group_key(), &federation.recovery_root());
    let control = ControlBlock {
        leaf_version: LeafVersion::TapScript,
        output_key_parity: output.x_only_public_key().1,
        internal_key: federation.group_key(),
        merkle_branch: TaprootMerkleBranch::default(),
    };
    // The script checks the first key first, so its signature is on top: last but the script.
    let witness = [sign(23), vec![], sign(21), script.into_bytes(), control.serialize()];
    transaction.input[0].witness = Witness::from_slice(&witness);
    transaction
}
