//! Against a real bitcoind: its headers, blocks and refusals, every script template under default policy, the reclaim of a
//! deposit, and the wallet.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, Message, SECP256K1, SecretKey, XOnlyPublicKey};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TaprootMerkleBranch};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, FeeRate, OutPoint, PubkeyHash, ScriptBuf, ScriptHash, Sequence, Transaction, TxIn, TxOut, Txid,
    WPubkeyHash, WScriptHash, Witness, WitnessProgram, WitnessVersion,
};
use bridge::io::wallet::{Seed, Wallet, WalletError};
use bridge::threshold::{self, KeyShare};
use bridge::vault;
use bridge::vault_tx::{ANCHOR, ANCHOR_SCRIPT, SpentOutput, VaultTransaction};
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::header::HeaderError;
use mainchain::io::rpc::{Auth, BitcoinRpc, RpcError};
use mainchain::proof::{self, InclusionProof};
use mainchain::recovery::Recovery;
use mainchain::{HeaderChain, Network};
use tests::binary;
use tests::bitcoind::{Bitcoind, Holder, PASSPHRASE, QUICK, free_port};

fn key(byte: u8) -> Keypair {
    Keypair::from_secret_key(SECP256K1, &SecretKey::from_slice(&[byte; 32]).expect("in range"))
}

fn x_only(byte: u8) -> XOnlyPublicKey {
    key(byte).x_only_public_key().0
}

fn rate(sat_per_vb: u32) -> FeeRate {
    FeeRate::from_sat_per_vb_u32(sat_per_vb)
}

/// Nobody's key: the federation that never sweeps.
const ABSENT_GROUP: u8 = 77;

fn peg(delay: u16) -> Peg {
    Peg { chain_id: 51_717, bridge: [4; 20], delay: NonZeroU16::new(delay).expect("not 0") }
}

fn terms(reclaim_key: XOnlyPublicKey) -> DepositTerms {
    DepositTerms { recipient: [0x11; 20], reclaim_key, max_fee: Amount::from_sat(20_000), epoch: 1 }
}

/// Whether the mempool would take it, and why not.
async fn verdict(rpc: &BitcoinRpc, transaction: &Transaction) -> Result<u64, String> {
    let answer = rpc.test_accept(std::slice::from_ref(transaction)).await.expect("bitcoind answers");
    assert_eq!(answer[0].txid, transaction.compute_txid());
    answer[0].verdict.clone().map(|accepted| accepted.vsize)
}

async fn mined(holder: &Holder, transaction: &Transaction) {
    let txid = holder.rpc.broadcast(transaction).await.expect("accepted");
    assert_eq!(txid, transaction.compute_txid());
    let block = holder.mine(1).await[0];
    assert!(holder.rpc.transaction(txid, Some(block)).await.expect("answers").is_some(), "{txid} is in the block");
}

// ------------------------------------------------------------------ script templates

#[tokio::test]
async fn a_deposit_is_reclaimed_by_its_owner_after_the_timelock_and_not_before() {
    let bitcoind = Bitcoind::start().await;
    let mut holder = Holder::with_rewards(&bitcoind, 2).await;
    // 12 is pushed by one opcode, 144 needs two bytes.
    for (index, delay) in [(0, 12), (1, 144)] {
        let owner = holder.seed.reclaim_key(index);
        let output = terms(owner.x_only_public_key().0).output(&peg(delay), x_only(ABSENT_GROUP));
        let amount = Amount::from_sat(1_000_000);
        let (payment, vout) = holder.pay(&output.script_pubkey(), amount).await;
        let coin = (OutPoint::new(payment.compute_txid(), vout), amount);
        let home = holder.address().script_pubkey();
        let reclaim = output.reclaim(&[coin], home.clone(), rate(2), &owner).expect("worth it");

        holder.mine(u32::from(delay) - 1).await;
        assert_eq!(verdict(&holder.rpc, &reclaim).await, Err("non-BIP68-final".into()), "one block early");
        holder.mine(1).await;
        let vsize = verdict(&holder.rpc, &reclaim).await.expect("the timelock is over");
        assert_eq!(vsize, reclaim.vsize() as u64);

        // Nobody else: another key's signature in the owner's place.
        let mut theft = reclaim.clone();
        theft.input[0].witness = output.reclaim_witness(&[7; 64]);
        let refused = verdict(&holder.rpc, &theft).await.expect_err("not the owner's signature");
        assert!(refused.contains("Invalid Schnorr signature"), "{refused}");

        holder.sync().await;
        let before = holder.wallet.balance().confirmed;
        mined(&holder, &reclaim).await;
        holder.sync().await;
        assert_eq!(holder.wallet.balance().confirmed - before, reclaim.output[0].value);
        let scan = holder.rpc.scan(&[output.script_pubkey(), home]).await.expect("answers");
        assert_eq!(scan.unspents.len(), 1);
        assert_eq!((scan.unspents[0].value, scan.unspents[0].confirmations), (reclaim.output[0].value, 1));
    }
}

#[tokio::test]
async fn the_deposits_key_path_is_open_to_a_single_key() {
    let bitcoind = Bitcoind::start().await;
    let mut holder = Holder::with_rewards(&bitcoind, 1).await;
    let output = terms(x_only(2)).output(&peg(1008), x_only(ABSENT_GROUP));
    let amount = Amount::from_sat(100_000);
    let (payment, vout) = holder.pay(&output.script_pubkey(), amount).await;
    holder.mine(1).await;
    let spent = TxOut { value: amount, script_pubkey: output.script_pubkey() };
    let mut sweep = spend(&[OutPoint::new(payment.compute_txid(), vout)], Sequence::ENABLE_RBF_NO_LOCKTIME);
    sweep.output.push(TxOut { value: Amount::from_sat(99_000), script_pubkey: holder.address().script_pubkey() });
    let sighash = SighashCache::new(&sweep)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&[spent]), TapSighashType::Default)
        .expect("one input");
    let tweaked =
        bitcoin::key::TapTweak::tap_tweak(key(ABSENT_GROUP), SECP256K1, Some(output.merkle_root())).to_keypair();
    let signature = SECP256K1.sign_schnorr(&Message::from(sighash), &tweaked);
    sweep.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
    mined(&holder, &sweep).await;
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

struct Federation {
    shares: Vec<KeyShare>,
    recovery: Recovery,
}

impl Federation {
    fn new() -> Self {
        let recovery = Recovery { threshold: 2, delay: 20, keys: vec![x_only(21), x_only(22), x_only(23)] };
        Self { shares: threshold::deal(1, 3, 4, &mut rand::thread_rng()), recovery }
    }

    fn group_key(&self) -> XOnlyPublicKey {
        self.shares[0].group_key()
    }

    fn recovery_root(&self) -> [u8; 32] {
        self.recovery.leaf_hash().expect("a sound policy").to_byte_array()
    }

    fn vault_key(&self) -> XOnlyPublicKey {
        vault::output_key(self.group_key(), &self.recovery_root())
    }

    /// Signatures of members 1, 3 and 4.
    fn sign(&self, transaction: &VaultTransaction) -> Transaction {
        let mut rng = rand::thread_rng();
        let signatures: Vec<_> = transaction
            .signing_inputs()
            .iter()
            .map(|input| {
                let signers = [0, 2, 3].map(|member| self.shares[member].for_input(&input.merkle_root));
                let nonces: Vec<_> = signers.iter().map(|signer| (signer.index(), signer.commit(&mut rng))).collect();
                let set = nonces.iter().map(|(member, nonces)| (*member, nonces.commitment())).collect();
                let shares: BTreeMap<_, _> = signers
                    .iter()
                    .zip(&nonces)
                    .map(|(signer, (member, nonces))| {
                        (*member, signer.sign(&input.sighash, &set, nonces).expect("three of four"))
                    })
                    .collect();
                signers[0].aggregate(&input.sighash, &set, &shares).expect("honest shares")
            })
            .collect();
        transaction.attach(&signatures).expect("valid signatures")
    }
}

fn spend(outpoints: &[OutPoint], sequence: Sequence) -> Transaction {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        script_sig: ScriptBuf::new(),
        sequence,
        witness: Witness::new(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: outpoints.iter().map(input).collect(),
        output: Vec::new(),
    }
}

// deposit --\                      /--> vault --(recovery leaf, 20 blocks later)--> holder
//            >-- vault transaction ----> withdrawals to every kind of script
// vault ----/                      \--> anchor --(child)--> holder
#[tokio::test]
async fn the_federations_templates_are_standard() {
    let bitcoind = Bitcoind::start().await;
    let mut holder = Holder::with_rewards(&bitcoind, 3).await;
    let federation = Federation::new();

    let deposit = terms(x_only(2)).output(&peg(1008), federation.group_key());
    let vault_script = vault::script(federation.vault_key());
    let mut inputs = Vec::new();
    for (script, output_key, merkle_root) in [
        (deposit.script_pubkey(), deposit.output_key(), deposit.merkle_root().to_byte_array()),
        (vault_script.clone(), federation.vault_key(), federation.recovery_root()),
    ] {
        let amount = Amount::from_sat(10_000_000);
        let (payment, vout) = holder.pay(&script, amount).await;
        let outpoint = OutPoint::new(payment.compute_txid(), vout);
        inputs.push(SpentOutput { outpoint, amount, output_key, merkle_root, epoch: 1 });
        holder.mine(1).await;
    }

    // The vault transaction: version 3, deposits and vault outputs in, vault, withdrawals and anchor out.
    let outpoints: Vec<_> = inputs.iter().map(|input| input.outpoint).collect();
    let mut unsigned = spend(&outpoints, Sequence::ENABLE_RBF_NO_LOCKTIME);
    unsigned.version = Version(3);
    unsigned.output.push(TxOut { value: Amount::from_sat(15_000_000), script_pubkey: vault_script.clone() });
    for script in withdrawal_scripts() {
        unsigned.output.push(TxOut { value: Amount::from_sat(600_000), script_pubkey: script });
    }
    let anchor = ScriptBuf::from(ANCHOR_SCRIPT.to_vec());
    unsigned.output.push(TxOut { value: ANCHOR, script_pubkey: anchor.clone() });
    let vault_tx = VaultTransaction::parse(&bitcoin::consensus::serialize(&unsigned), inputs).expect("the layout");
    vault_tx.check_keys(&BTreeMap::from([(1, federation.group_key())])).expect("its own keys");
    let signed = federation.sign(&vault_tx);
    assert_eq!(verdict(&holder.rpc, &signed).await, Ok(vault_tx.vsize()), "the size is known before signing");
    for input in &signed.input {
        assert_eq!(input.witness.iter().map(<[u8]>::len).collect::<Vec<_>>(), [64], "one signature an input");
    }

    // Anybody bumps its fee by a child that spends the anchor and something of their own.
    holder.sync().await;
    let anchor_at = OutPoint::new(signed.compute_txid(), signed.output.len() as u32 - 1);
    let child = anchor_child(&mut holder, anchor_at).await;
    let package = [signed.clone(), child];
    let verdicts = holder.rpc.test_accept(&package).await.expect("answers");
    for accepted in &verdicts {
        accepted.verdict.as_ref().expect("parent and child are accepted");
    }

    // The proof of it, from the real block.
    holder.rpc.broadcast(&signed).await.expect("accepted");
    holder.rpc.broadcast(&signed).await.expect("sent already: no error");
    let entry = holder.rpc.mempool_entry(signed.compute_txid()).await.expect("answers").expect("is there");
    assert_eq!((entry.vsize, entry.fee), (vault_tx.vsize(), vault_tx.fee()));
    holder.rpc.broadcast(&package[1]).await.expect("the child too");
    let hash = holder.mine(1).await[0];
    holder.rpc.broadcast(&signed).await.expect("confirmed already: no error");
    let block = holder.rpc.block(hash).await.expect("answers").expect("just mined");
    for transaction in &block.txdata {
        let proof = InclusionProof::build(&block, transaction.compute_txid()).expect("is in the block");
        let proven = proof.verify(&proof::strip(transaction), block.header.merkle_root);
        assert_eq!(proven, Ok(transaction.compute_txid()));
    }

    // The federation is gone: two of three recovery keys take the vault output, after the delay.
    let outpoint = OutPoint::new(signed.compute_txid(), 0);
    let recovered = recover(&federation, outpoint, signed.output[0].value, holder.address().script_pubkey());
    holder.mine(18).await;
    assert_eq!(verdict(&holder.rpc, &recovered).await, Err("non-BIP68-final".into()));
    holder.mine(1).await;
    verdict(&holder.rpc, &recovered).await.expect("the delay is over");
    mined(&holder, &recovered).await;
}

/// Spends the anchor and a coin of the holder, at a high fee, in a version 3 transaction.
async fn anchor_child(holder: &mut Holder, anchor: OutPoint) -> Transaction {
    // A coin under a bare key, so that the test can sign for it without the wallet.
    let (coin_key, amount) = (key(31), Amount::from_sat(50_000));
    let script = ScriptBuf::new_p2tr(SECP256K1, coin_key.x_only_public_key().0, None);
    let (payment, vout) = holder.pay(&script, amount).await;
    holder.mine(1).await;
    let coin = OutPoint::new(payment.compute_txid(), vout);
    let mut child = spend(&[anchor, coin], Sequence::ENABLE_RBF_NO_LOCKTIME);
    child.version = Version(3);
    child.output.push(TxOut { value: Amount::from_sat(30_000), script_pubkey: holder.address().script_pubkey() });
    let spent = [
        TxOut { value: ANCHOR, script_pubkey: ScriptBuf::from(ANCHOR_SCRIPT.to_vec()) },
        TxOut { value: amount, script_pubkey: script },
    ];
    let sighash = SighashCache::new(&child)
        .taproot_key_spend_signature_hash(1, &Prevouts::All(&spent), TapSighashType::Default)
        .expect("two inputs");
    let tweaked = bitcoin::key::TapTweak::tap_tweak(coin_key, SECP256K1, None).to_keypair();
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

// ------------------------------------------------------------------ headers

// node   0 - 1 - ... - 20 - 21 - 22
//                         \ 21b - 22b - 23b
#[tokio::test]
async fn the_header_chain_follows_a_real_node_through_a_reorganisation() {
    let bitcoind = Bitcoind::start().await;
    let mut holder = Holder::with_rewards(&bitcoind, 0).await;
    let rpc = bitcoind.rpc();
    let mut chain = HeaderChain::from_genesis(Network::Regtest);
    let now = u32::MAX - 10_000;

    let first = holder.mine(22).await;
    let headers = rpc.headers(1..1000).await.expect("answers");
    assert_eq!(headers.len(), 22, "as many as there are");
    chain.apply(&headers, now).expect("a real chain");
    assert_eq!((chain.height(), chain.tip().hash()), (22, first[21]));
    assert_eq!(rpc.best_tip().await, Ok((22, first[21])));

    let invalid: Option<()> =
        rpc.call("invalidateblock", serde_json::json!([first[20]])).await.expect("regtest allows it");
    assert_eq!(invalid, None);
    assert_eq!(rpc.confirmations(first[20]).await, Ok(0));
    // To somebody else, as the same blocks again would be the invalid ones.
    let somebody = holder.address();
    let second = rpc.generate(3, &somebody).await.expect("regtest mines");
    let rival = rpc.headers(21..24).await.expect("answers");
    let changes = chain.apply(&rival, now).expect("a real chain");
    assert_eq!(changes.disconnected.iter().map(|block| block.hash).collect::<Vec<_>>(), [first[21], first[20]]);
    assert_eq!(changes.connected.iter().map(|block| block.hash).collect::<Vec<_>>(), second);
    assert_eq!(rpc.header(second[0]).await, Ok(Some(rival[0])));
    assert_eq!((chain.confirmations(&second[0]), rpc.confirmations(second[0]).await), (3, Ok(3)));

    // Node and chain refuse the same header.
    let mut block = rpc.block(second[2]).await.expect("answers").expect("the tip");
    block.header.time = rival[0].time - 100_000;
    while !block.header.target().is_met_by(block.block_hash()) {
        block.header.nonce += 1;
    }
    assert!(matches!(chain.apply(&[block.header], now), Err(HeaderError::TooOld { .. })));
    let refused = rpc.submit_block(&block).await.expect_err("too old");
    assert!(refused.to_string().contains("time-too-old"), "{refused}");
    assert_eq!(rpc.header(block.block_hash()).await, Ok(None));
}

#[tokio::test]
async fn the_command_line_verifies_a_real_nodes_headers_and_names_the_bad_one() {
    let bitcoind = Bitcoind::start().await;
    let holder = Holder::with_rewards(&bitcoind, 0).await;
    holder.mine(30).await;
    let headers = holder.rpc.headers(0..31).await.expect("answers");
    let bytes: Vec<u8> = headers.iter().flat_map(mainchain::header::to_bytes).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path.display().to_string()
    };
    let verify =
        |arguments: &[&str]| binary::run(folder.path(), [&["headers", "verify", "--network"], arguments].concat(), "");

    let good = file("good", &bytes);
    let summary = &verify(&["regtest", &good, "--json"]).json()[0];
    assert_eq!(summary["height"], 30);
    assert_eq!(summary["tip"], headers[30].block_hash().to_string());
    assert_eq!(summary["workAdded"], format!("{:064x}", 31 * 2));
    let anchored = file("anchored", &bytes[20 * 80..]);
    let summary = &verify(&["regtest", "--anchor-height", "20", &anchored, "--json"]).json()[0];
    assert_eq!((&summary["height"], &summary["headers"]), (&30.into(), &11.into()));

    verify(&["mainnet", &good]).fails_saying(&["header 0 (height 0)", "not the genesis block of mainnet"]);
    verify(&["regtest", &anchored]).fails_saying(&["header 0 (height 0)", "genesis block of regtest"]);
    let mut bad = bytes.clone();
    bad[7 * 80 + 72] ^= 1; // its bits
    verify(&["regtest", &file("bad", &bad)]).fails_saying(&["header 7 (height 7)", "target", "expected 0x207fffff"]);
    verify(&["regtest", &file("cut", &bytes[..1000])]).fails_saying(&["40 bytes after 12 headers"]);
    verify(&["regtest", &file("empty", &[])]).fails_saying(&["no headers"]);
    verify(&["testnet3", &good]).is_misused_saying(&["unknown bitcoin network"]);
    verify(&["regtest", &good, "--epoch-time", "5"]).is_misused_saying(&["--anchor-height"]);
}

// ------------------------------------------------------------------ what goes wrong with a node

#[tokio::test]
async fn each_trouble_with_a_node_has_its_error() {
    let mut bitcoind = Bitcoind::start().await;
    let (url, cookie) = (bitcoind.url(), bitcoind.cookie());

    let other = BitcoinRpc::new(&url, Auth::Cookie(cookie.clone()), Network::Testnet4);
    let error = other.chain_info().await.expect_err("it is a regtest node");
    assert_eq!(error.to_string(), format!("bitcoind at {url} is on regtest, expected testnet4"));
    assert!(!error.retry());

    let wrong = Auth::UserPassword { user: "nobody".into(), password: "nothing".into() };
    let error = BitcoinRpc::new(&url, wrong, Network::Regtest).chain_info().await.expect_err("no such user");
    assert_eq!(error, RpcError::Unauthorized { url: url.clone() });
    assert!(!error.retry());

    let missing = Auth::Cookie("/nonexistent/.cookie".into());
    let error = BitcoinRpc::new(&url, missing, Network::Regtest).chain_info().await.expect_err("no cookie");
    assert!(matches!(error, RpcError::NoCookie { .. }) && error.retry(), "{error}");

    let rpc = bitcoind.rpc();
    let nothing = spend(&[OutPoint::new(Txid::from_byte_array([9; 32]), 0)], Sequence::MAX);
    let nothing = Transaction {
        output: vec![TxOut { value: Amount::from_sat(1_000), script_pubkey: withdrawal_scripts().remove(4) }],
        ..nothing
    };
    let error = rpc.broadcast(&nothing).await.expect_err("spends nothing that exists");
    assert_eq!(error.code(), Some(-25), "{error}");
    assert!(!error.retry());
    assert_eq!(verdict(&rpc, &nothing).await, Err("missing-inputs".into()));
    let unknown = rpc.call::<String>("nosuchmethod", serde_json::json!([])).await.expect_err("no such method");
    assert_eq!(unknown.code(), Some(-32601));

    assert_eq!(rpc.block_hash(1).await, Ok(None));
    assert_eq!(rpc.block(bitcoin::BlockHash::all_zeros()).await, Ok(None));
    assert_eq!(rpc.transaction(nothing.compute_txid(), None).await, Ok(None));
    assert_eq!(rpc.unspent(OutPoint::null(), true).await, Ok(None));
    assert_eq!(rpc.fee_rate(6, rate(3)).await, Ok(rate(3)), "regtest has no estimate");

    bitcoind.kill();
    let error = rpc.chain_info().await.expect_err("it is gone");
    assert!(matches!(error, RpcError::Unreachable { .. }) && error.retry(), "{error}");

    // One that reads its chain first, and one with too much to do: as bitcoind answers then.
    let warming = r#"{"result":null,"error":{"code":-28,"message":"Loading block index..."},"id":1}"#;
    let error = answered("500 Internal Server Error", warming).await;
    assert!(matches!(&error, RpcError::Starting { reason, .. } if reason == "Loading block index..."), "{error}");
    assert!(error.retry());
    let error = answered("503 Service Unavailable", "Work queue depth exceeded").await;
    assert!(matches!(&error, RpcError::Busy { .. }) && error.retry(), "{error}");

    // Something listens, but never answers.
    let port = free_port();
    let _silent = std::net::TcpListener::bind(("127.0.0.1", port)).expect("just freed");
    let silent = BitcoinRpc::new(format!("http://127.0.0.1:{port}"), Auth::None, Network::Regtest);
    let wait = std::time::Duration::from_millis(300);
    let error = silent.call_within::<String>("uptime", serde_json::json!([]), wait).await.expect_err("silence");
    assert!(matches!(error, RpcError::Timeout { .. }) && error.retry(), "{error}");
}

/// What a call makes of this answer over HTTP.
async fn answered(status: &str, body: &str) -> RpcError {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request");
        stream.write_all(answer.as_bytes()).expect("listened to");
    });
    let rpc = BitcoinRpc::new(format!("127.0.0.1:{port}"), Auth::None, Network::Regtest);
    let error = rpc.chain_info().await.expect_err("no answer to use");
    server.join().expect("it answered");
    error
}

// ------------------------------------------------------------------ the wallet

#[tokio::test]
async fn the_wallet_receives_pays_and_survives_a_reorganisation() {
    let bitcoind = Bitcoind::start().await;
    let mut rich = Holder::with_rewards(&bitcoind, 3).await;
    let mut poor = Holder::with_rewards(&bitcoind, 0).await;
    assert_eq!(rich.wallet.balance().confirmed, Amount::from_int_btc(150));

    let script = poor.address().script_pubkey();
    assert!(script.is_p2tr());
    let (payment, _) = rich.pay(&script, Amount::from_int_btc(1)).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().untrusted_pending, Amount::from_int_btc(1), "seen in the mempool");
    let blocks = rich.mine(2).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().confirmed, Amount::from_int_btc(1));
    assert_eq!(poor.wallet.history()[0].txid, payment.compute_txid());

    // Both blocks are replaced by empty ones: the payment is unconfirmed again, until it is mined again.
    let _: Option<()> = poor.rpc.call("invalidateblock", serde_json::json!([blocks[0]])).await.expect("regtest");
    let miner = rich.address().to_string();
    for _ in 0..3 {
        let empty = poor.rpc.call::<serde_json::Value>("generateblock", serde_json::json!([miner, []]));
        empty.await.expect("regtest mines");
    }
    poor.sync().await;
    assert_eq!(poor.wallet.height(), poor.rpc.best_tip().await.expect("answers").0);
    assert_eq!(poor.wallet.balance().confirmed, Amount::ZERO);
    assert_eq!(poor.wallet.balance().untrusted_pending, Amount::from_int_btc(1));
    rich.mine(1).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().confirmed, Amount::from_int_btc(1));

    // Everything it has, to somebody else; then there is nothing left.
    let script = poor.address().script_pubkey();
    rich.sync().await;
    rich.pay(&script, Amount::from_int_btc(2)).await;
    rich.mine(1).await;
    poor.sync().await;
    let rpc = poor.rpc.clone();
    let to = rich.address().script_pubkey();
    let sent = poor.wallet.send(&rpc, &poor.seed, to.clone(), None, rate(5), 0).await.expect("all of it");
    assert_eq!(sent.amount + sent.fee, Amount::from_int_btc(3));
    let error = poor.wallet.send(&rpc, &poor.seed, to.clone(), Some(Amount::from_sat(5_000)), rate(5), 0).await;
    assert!(matches!(error, Err(WalletError::TooLittle { .. })), "{error:?}");
    let error = rich.wallet.send(&rpc, &rich.seed, to, Some(Amount::from_sat(329)), rate(5), 0).await;
    assert!(matches!(error, Err(WalletError::Dust { .. })), "{error:?}");
}

#[tokio::test]
async fn a_wallet_is_restored_from_its_words_and_opens_only_where_it_should() {
    let bitcoind = Bitcoind::start().await;
    let mut holder = Holder::with_rewards(&bitcoind, 2).await;
    let (folder, words) = (holder.folder().to_owned(), holder.seed.words().to_owned());
    let open = |network| Wallet::open(&folder, network);

    assert!(matches!(open(Network::Regtest), Err(WalletError::Locked(_))), "a second process");
    let balance = holder.wallet.balance();
    let address = holder.address();
    let (wallet, rpc, _keep) = holder.into_parts();
    assert!(wallet.unlock("wrong horse").is_err());
    assert_eq!(wallet.unlock(PASSPHRASE).expect("its own passphrase").words(), words);
    drop(wallet);

    let mut again = open(Network::Regtest).expect("nobody uses it");
    assert_eq!(again.balance(), balance);
    assert_ne!(again.address().expect("an address"), address, "addresses are not used twice");
    drop(again);
    let other = open(Network::Signet).expect_err("a regtest wallet");
    assert!(matches!(other, WalletError::OtherNetwork { .. }), "{other}");
    let words_in_file = std::fs::read_to_string(folder.join("seed.json")).expect("readable");
    assert!(
        words.split(' ').filter(|word| word.len() > 5).all(|word| !words_in_file.contains(word)),
        "encrypted at rest"
    );

    // What it saw of the chain can be deleted; a damaged file says so.
    std::fs::write(folder.join("chain.db"), "rubbish").expect("writable");
    let damaged = open(Network::Regtest).expect_err("rubbish");
    assert!(damaged.to_string().contains("delete it"), "{damaged}");
    std::fs::remove_file(folder.join("chain.db")).expect("there");
    let mut fresh = open(Network::Regtest).expect("the seed is there");
    assert_eq!(fresh.balance().total(), Amount::ZERO);
    fresh.sync(&rpc, 0, |_| {}).await.expect("reads all blocks");
    assert_eq!(fresh.balance(), balance);

    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let (seed, mut rng) = (Seed::parse(&words.to_uppercase()).expect("the words"), rand::thread_rng());
    let make = |network, rng: &mut _| Wallet::create(elsewhere.path(), network, &seed, 0, PASSPHRASE, QUICK, rng);
    assert!(matches!(make(Network::Mainnet, &mut rng), Err(WalletError::Mainnet)));
    let mut restored = make(Network::Regtest, &mut rng).expect("an empty folder");
    restored.sync(&rpc, 0, |_| {}).await.expect("reads all blocks");
    assert_eq!((restored.balance(), restored.account()), (balance, fresh.account()));
    drop(restored);
    assert!(matches!(make(Network::Regtest, &mut rng), Err(WalletError::Exists(_))));
    assert!(matches!(Seed::parse("test test test"), Err(WalletError::BadMnemonic(_))));
}

/// What other wallets derive from the same words.
#[test]
fn a_seeds_keys_are_the_standards() {
    let about = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let seed = Seed::parse(about).expect("a valid mnemonic");
    // The account that every Ethereum tool derives from the developers' mnemonic.
    let dev = Seed::parse("test test test test test test test test test test test junk").expect("valid");
    assert_eq!(dev.account_address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    assert_eq!(seed.account_address().to_string(), "0x9858EfFD232B4033E47d90003D41EC34EcaEda94");
    // Our own path: frozen, as deposits depend on it.
    assert_eq!(
        seed.reclaim_key(0).x_only_public_key().0.to_string(),
        "6bb8d0144cd5aaa28ab64291a790751a131379bd2175b5f637e96be4896dd3d3"
    );
    assert_ne!(seed.reclaim_key(0), seed.reclaim_key(1));
    assert!(!format!("{seed:?}").contains("abandon"));
}
