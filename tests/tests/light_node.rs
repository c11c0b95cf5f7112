//! A light node against nodes that lie: what it answers is proven, and each lie is refused by its name, or another node is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use bridge::io::sidechain::{Account, Call, Client, Fees, Pending};
use bridge::keystore::Keystore;
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT};
use serde_json::{Value, json};
use sidechain::io::light_node::{LightNode, Unproven, Word, serve};
use sidechain::origins::Origins;
use sidechain::testing::genesis;
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, REGTEST_ADDRESS};
use tests::lone_node::LoneNode;
use tests::relay::Relay;
use tests::user::{PASSPHRASE, QUICK};
use tests::validators::Validators;
use tests::waiting::Patience;
use tokio::runtime::Runtime;

const SOON: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(100));
/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:1";
/// Creation code of a contract of one byte: STOP.
const CREATION: [u8; 12] = [0x60, 0x01, 0x60, 0x0c, 0x60, 0x00, 0x39, 0x60, 0x01, 0x60, 0x00, 0xf3];

/// A node with blocks, somebody with a coin, and a runtime to ask in.
struct World {
    node: LoneNode,
    account: Account,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let account = Account::random();
        let node = LoneNode::start(&[account.address(), DEVELOPER_0]);
        let world = Self { node, account, runtime: Runtime::new().expect("threads") };
        let direct = Client::new(&world.node.url()).expect("a URL");
        SOON.until("there are blocks", String::new, || {
            world.runtime.block_on(direct.block_number()).ok().filter(|number| *number > 2)
        });
        world
    }

    /// The node seen through somebody who changes what `method` answers.
    fn liar(&self, method: &'static str, change: impl Fn(&Value, &mut Value) + Send + Sync + 'static) -> Relay {
        Relay::before(&self.node.url(), move |asked, parameters, answer| {
            if asked == method {
                change(parameters, &mut answer["result"]);
            }
        })
    }

    fn light(&self, urls: &[&str]) -> Arc<LightNode> {
        light(urls, None)
    }

    fn ask(&self, light: &Arc<LightNode>, method: &str, params: Value) -> Result<Value, Unproven> {
        let Value::Array(params) = params else { panic!("parameters are a list") };
        self.runtime.block_on(light.answer(method, params))
    }

    /// What a light node answers that asks the node alone.
    fn proven(&self, method: &str, params: Value) -> Value {
        self.ask(&self.light(&[&self.node.url()]), method, params).expect("the node is honest")
    }

    /// Asked alone, the liar is refused by these words; beside an honest node it changes nothing.
    fn refuses(&self, liar: &Relay, method: &str, params: Value, words: &[&str]) {
        let refused = self.ask(&self.light(&[&liar.url]), method, params.clone()).expect_err("it lies").to_string();
        for word in words.iter().copied().chain([liar.url.as_str()]) {
            assert!(refused.contains(word), "{method}: {word:?} is not said: {refused}");
        }
        let both = self.light(&[&liar.url, &self.node.url()]);
        let answer = self.ask(&both, method, params.clone()).expect("the other node is asked");
        // What depends on the head has another one by now.
        if method != "peg_getInfo" {
            assert_eq!(answer, self.proven(method, params), "{method}");
        }
    }

    fn send(&self, light: &Arc<LightNode>, nonce: u64, call: &Call) -> Pending {
        let fees = Fees { max_fee: 10_000_000, priority_fee: 1_000 };
        let gas = if call.to.is_some() { 21_000 } else { 5_000_000 };
        let pending = self.account.sign(genesis().chain_id, nonce, gas, fees, call);
        let hash = self.ask(light, "eth_sendRawTransaction", json!([pending.raw])).expect("a good transaction");
        assert_eq!(hash, json!(pending.hash));
        pending
    }

    fn receipt(&self, light: &Arc<LightNode>, hash: B256) -> Value {
        SOON.until("it is included", String::new, || {
            let receipt = self.ask(light, "eth_getTransactionReceipt", json!([hash])).expect("no lie");
            receipt.is_object().then_some(receipt)
        })
    }
}

fn light(urls: &[&str], folder: Option<&Path>) -> Arc<LightNode> {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    LightNode::open(genesis(), &urls, folder.map(Path::to_owned), Word::Refused).expect("the genesis is right")
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries.map(|path| if path.is_dir() { bytes_in(&path) } else { path.metadata().expect("readable").len() }).sum()
}

#[test]
fn it_starts_in_seconds_from_the_genesis_file_and_keeps_less_than_a_megabyte() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let start = Instant::now();
    let light = light(&[&world.node.url()], Some(folder.path()));
    let balance = world.ask(&light, "eth_getBalance", json!([world.account.address(), "latest"])).expect("proven");
    let took = start.elapsed();
    assert_eq!(balance, json!(U256::from(10).pow(U256::from(18))));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let info = world.ask(&light, "peg_getInfo", json!([])).expect("proven");
    assert_eq!(info["networkId"], json!(genesis().network_id()));
    let bytes = bytes_in(folder.path());
    assert!((1..1 << 20).contains(&bytes), "{bytes}");
    println!("the first proven balance after {took:?}, {bytes} bytes on disk");
}

// Four validators, one of which dies; the light node asked that one first.
#[test]
fn a_light_node_of_a_real_network_starts_in_seconds_and_goes_on_when_a_node_that_it_asks_dies() {
    let mut network = Validators::started(4);
    let urls = format!("{},{}", network.url(0), network.url(1));
    let start = Instant::now();
    let light = network.follow_with(&urls, "light = true\n");
    network.wait("it proves a head", |network| network.head(light) >= 2);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    network.post_until_final(0, light, &[light, 2]);
    network.kill(0);
    let posted = network.post_until_final(1, light, &[light, 1, 2]);
    let receipts = [light, 1].map(|node| network.run(network.client(node).receipt(posted.hash)).expect("it answers"));
    assert_eq!(receipts[0], receipts[1]);
    let before = network.head(light);
    assert!(network.stop(light).success(), "{}", network.log(light));
    let bytes = bytes_in(&network.data(light));
    assert!((1..1 << 20).contains(&bytes), "{bytes}");
    network.start(light);
    network.wait("it goes on", |network| network.head(light) >= before);
    println!("the first head after {took:?}, {bytes} bytes on disk");
}

// The same questions to the node and to the light node that asks it. What the head decides is asked for until both had the same.
#[test]
fn it_answers_what_the_node_answers() {
    let world = World::new();
    let light = world.light(&[&world.node.url()]);
    let sent = world.send(&light, 0, &Call::transfer(DEVELOPER_0, U256::from(7)));
    let receipt = world.receipt(&light, sent.hash);
    let block = receipt["blockNumber"].clone();
    let me = world.account.address();
    let limits = bytes_of_call(&contracts::Bridge::limitsCall {});
    let epoch = bytes_of_call(&contracts::Federation::epochCall {});
    let direct = Client::new(&world.node.url()).expect("a URL");
    for (method, params) in [
        ("eth_chainId", json!([])),
        ("net_version", json!([])),
        ("eth_getTransactionReceipt", json!([sent.hash])),
        ("eth_getTransactionByHash", json!([sent.hash])),
        ("eth_getTransactionByHash", json!([B256::repeat_byte(9)])),
        ("eth_getBlockByNumber", json!([block, false])),
        ("eth_getBlockByNumber", json!([block, true])),
        ("eth_getBlockByNumber", json!(["0xffffff", false])),
        ("eth_getBlockByHash", json!([receipt["blockHash"], true])),
        ("eth_getBlockByHash", json!([B256::repeat_byte(9), true])),
        ("eth_getBlockReceipts", json!([block])),
        ("eth_getBalance", json!([me, block])),
        ("eth_getBalance", json!([Address::repeat_byte(0x77), block])),
        ("eth_getTransactionCount", json!([me, "latest"])),
        ("eth_getCode", json!([BRIDGE, "latest"])),
        ("eth_getCode", json!([me, "latest"])),
        ("eth_getStorageAt", json!([FEDERATION, "0x0", block])),
        ("eth_getProof", json!([BRIDGE, ["0x1", "0x2"], block])),
        ("eth_call", json!([{ "to": BRIDGE, "input": limits }, block])),
        ("eth_call", json!([{ "to": FEDERATION, "input": epoch }, block])),
        ("peg_getLimits", json!([])),
        ("peg_quote", json!([34, 5_000])),
        ("peg_quote", json!([])),
        ("peg_getBlock", json!([block.as_str().map(|text| u64::from_str_radix(&text[2..], 16).expect("hex"))])),
    ] {
        let Value::Array(list) = params.clone() else { panic!("a list") };
        let told: Value = world.runtime.block_on(direct.request(method, list)).expect("the node answers");
        assert_eq!(world.ask(&light, method, params.clone()).expect("proven"), told, "{method} {params}");
    }
    for (method, params) in [("eth_getLogs", json!([{}])), ("debug_traceCall", json!([])), ("eth_subscribe", json!([]))]
    {
        let refused = world.ask(&light, method, params).expect_err("no proof shows it").to_string();
        assert!(refused.contains("no proof shows it") && refused.contains(method), "{refused}");
    }
}

fn bytes_of_call(call: &impl alloy_sol_types::SolCall) -> Bytes {
    call.abi_encode().into()
}

// What is missing is asked for together, and within one block only once.
#[test]
fn the_peg_is_described_by_some_tens_of_questions_and_the_next_time_by_none() {
    let world = World::new();
    let relay = world.liar("", |_, _| ());
    let light = world.light(&[&relay.url]);
    let asked = || relay.asked("eth_getProof").values().sum::<u64>();
    world.ask(&light, "eth_getBalance", json!([DEVELOPER_0])).expect("proven");
    let before = asked();
    world.ask(&light, "peg_getInfo", json!([])).expect("proven");
    let first = asked() - before;
    assert!(first <= 60, "{first}");
    let block = world.ask(&light, "eth_blockNumber", json!([])).expect("proven");
    let call =
        json!([{ "to": LIGHT_CLIENT, "input": bytes_of_call(&contracts::BitcoinLightClient::tipCall {}) }, block]);
    world.ask(&light, "eth_call", call.clone()).expect("proven");
    let before = asked();
    world.ask(&light, "eth_call", call).expect("proven");
    assert_eq!(asked(), before, "it is known");
    assert!(relay.asked("eth_getCode").is_empty(), "the code is the genesis file's");
    println!("{first} questions for proofs");
}

#[test]
fn each_lie_about_the_state_is_refused_by_name_and_another_node_is_asked() {
    let world = World::new();
    let me = world.account.address();
    let richer = world.liar("eth_getProof", |_, proof| proof["balance"] = json!("0xffffffffffffffffffff"));
    world.refuses(&richer, "eth_getBalance", json!([me]), &["does not prove what it says of"]);
    let absent = world.liar("eth_getProof", |_, proof| {
        (proof["balance"], proof["nonce"]) = (json!("0x0"), json!("0x0"));
    });
    world.refuses(&absent, "eth_getBalance", json!([me]), &["does not prove what it says of"]);
    let slot = world.liar("eth_getProof", |_, proof| {
        if proof["storageProof"][0].is_object() {
            proof["storageProof"][0]["value"] = json!("0x7");
        }
    });
    let tip = json!([{ "to": LIGHT_CLIENT, "input": bytes_of_call(&contracts::BitcoinLightClient::tipCall {}) }]);
    world.refuses(&slot, "eth_call", tip, &["does not prove what it says of"]);
    world.refuses(&slot, "peg_getLimits", json!([]), &["does not prove what it says of"]);
    world.refuses(&slot, "peg_getInfo", json!([]), &["does not prove what it says of"]);
    let fewer = world.liar("eth_getProof", |_, proof| drop(proof["storageProof"].as_array_mut().and_then(Vec::pop)));
    world.refuses(&fewer, "eth_getStorageAt", json!([FEDERATION, "0x0"]), &["0 slots were proved, 1 asked for"]);
    let dear = world.liar("eth_estimateGas", |_, gas| *gas = json!("0x7fffffffffff"));
    world.refuses(&dear, "eth_estimateGas", json!([{ "to": me }]), &["a transaction may have"]);
    let waiting = world.liar("eth_getTransactionCount", |_, count| *count = json!("0x7fffffffffff"));
    let nonce = world.ask(&world.light(&[&waiting.url]), "eth_getTransactionCount", json!([me, "pending"]));
    assert_eq!(nonce.expect("bounded"), json!("0x1000"), "no more than a node keeps");
}

/// Creation code that keeps i + 1 in each slot i below `slots`, and leaves `code`.
fn creation(slots: u8, code: &[u8]) -> Bytes {
    const PUSH1: u8 = 0x60;
    const PUSH2: u8 = 0x61;
    let mut creation: Vec<u8> = (0..slots).flat_map(|slot| [PUSH1, slot + 1, PUSH1, slot, 0x55]).collect();
    let [length, offset] = [code.len(), creation.len() + 15].map(|number| (number as u16).to_be_bytes());
    creation.extend([PUSH2, length[0], length[1], PUSH2, offset[0], offset[1], PUSH1, 0, 0x39]); // CODECOPY
    creation.extend([PUSH2, length[0], length[1], PUSH1, 0, 0xf3]); // RETURN
    creation.extend(code);
    creation.into()
}

#[test]
fn what_a_call_reads_is_bounded_in_depth_and_number_and_refused_beyond_by_name() {
    let world = World::new();
    let light = world.light(&[&world.node.url()]);
    // The slot that the slot says that the slot says ..., so many times.
    let chain = |times: usize| [&[0x60, 0][..], &vec![0x54; times], &[0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3]].concat();
    // Slots 9,000 to 1, each read and forgotten.
    let many = [0x61, 0x23, 0x28, 0x5b, 0x80, 0x54, 0x50, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 3, 0x57, 0x00];
    let codes = [(80, chain(60)), (80, chain(75)), (1, many.to_vec())];
    let contracts: Vec<Value> = (0..)
        .zip(codes)
        .map(|(nonce, (slots, code))| {
            let sent = world.send(&light, nonce, &Call { to: None, value: U256::ZERO, input: creation(slots, &code) });
            let receipt = world.receipt(&light, sent.hash);
            assert_eq!(receipt["status"], "0x1", "{receipt}");
            receipt["contractAddress"].clone()
        })
        .collect();
    let call = |contract: &Value| {
        let head = world.ask(&light, "eth_blockNumber", json!([])).expect("proven");
        world.ask(&light, "eth_call", json!([{ "to": contract }, head]))
    };
    assert_eq!(call(&contracts[0]).expect("deep, and not too deep"), json!(B256::from(U256::from(60))));
    let refused = call(&contracts[1]).expect_err("too deep").to_string();
    assert!(refused.contains("depends on what it reads, more than 64 times"), "{refused}");
    let refused = call(&contracts[2]).expect_err("too many").to_string();
    assert!(refused.contains("reads more than 8192 accounts and slots"), "{refused}");
}

#[test]
fn each_lie_about_blocks_receipts_and_code_is_refused_by_name_and_another_node_is_asked() {
    let world = World::new();
    let honest = world.light(&[&world.node.url()]);
    let sent = world.send(&honest, 0, &Call { to: None, value: U256::ZERO, input: CREATION.to_vec().into() });
    let receipt = world.receipt(&honest, sent.hash);
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let (contract, block) = (receipt["contractAddress"].clone(), receipt["blockNumber"].clone());
    let other_code = world.liar("eth_getCode", |_, code| *code = json!("0xfe"));
    world.refuses(&other_code, "eth_getCode", json!([contract]), &["shows code of", "the state proves"]);

    let failed = world.liar("eth_getBlockReceipts", |_, receipts| receipts[0]["status"] = json!("0x0"));
    world.refuses(&failed, "eth_getTransactionReceipt", json!([sent.hash]), &["shows wrong receipts of block"]);
    let none = world.liar("eth_getBlockReceipts", |_, receipts| *receipts = json!([]));
    world.refuses(&none, "eth_getTransactionReceipt", json!([sent.hash]), &["shows wrong receipts of block"]);
    let elsewhere = world.liar("eth_getTransactionByHash", |_, found| found["blockNumber"] = json!("0x1"));
    world.refuses(
        &elsewhere,
        "eth_getTransactionReceipt",
        json!([sent.hash]),
        &["is in block 1, which does not have it"],
    );
    let empty = world.liar("peg_getBlock", |_, answer| answer["block"] = json!("0xc0"));
    world.refuses(&empty, "eth_getBlockByNumber", json!([block, true]), &["shows another block"]);
    let first = world.proven("peg_getBlock", json!([1]));
    let other = world.liar("peg_getBlock", move |_, answer| answer["block"] = first["block"].clone());
    world.refuses(&other, "eth_getBlockByNumber", json!([block, true]), &["shows another block", "its hash is"]);

    // One that keeps the transaction back hides nothing.
    let silent = world.liar("eth_getTransactionByHash", |_, found| *found = Value::Null);
    let both = world.light(&[&silent.url, &world.node.url()]);
    let shown = world.ask(&both, "eth_getTransactionReceipt", json!([sent.hash])).expect("the other shows it");
    assert_eq!(shown, receipt);
    let keeps = Relay::before_keeping(&world.node.url(), "eth_sendRawTransaction", |_, _, _| ());
    let both = world.light(&[&keeps.url, &world.node.url()]);
    let sent = world.send(&both, 1, &Call::transfer(DEVELOPER_0, U256::from(7)));
    world.receipt(&both, sent.hash);
}

#[test]
fn headers_are_signed_by_the_networks_own_validators_and_never_go_back_after_a_restart_either() {
    let world = World::new();
    let unsigned = world.liar("peg_getFinality", |_, finality| finality["certificate"] = json!("0x00"));
    world.refuses(&unsigned, "eth_getBalance", json!([DEVELOPER_0]), &["does not prove that its block"]);
    let richer = world.liar("peg_getFinality", |_, finality| {
        let header = finality["header"].as_str().expect("hex").to_owned();
        finality["header"] =
            json!(format!("{}{}", &header[..header.len() - 1], if header.ends_with('0') { 1 } else { 0 }));
    });
    world.refuses(&richer, "eth_getBalance", json!([DEVELOPER_0]), &["does not prove that its block"]);
    // Another network, with validators of its own.
    let mut other = genesis();
    other.timestamp += 1;
    let other = LightNode::open(other, &[world.node.url()], None, Word::Refused).expect("right");
    let refused = world.ask(&other, "eth_blockNumber", json!([])).expect_err("not its validators").to_string();
    assert!(refused.contains("does not prove that its block") && refused.contains(&world.node.url()), "{refused}");

    let folder = tempfile::tempdir().expect("a folder");
    let old = world.proven("peg_getFinality", json!([]));
    let before = old["number"].as_u64().expect("a number");
    SOON.until("there are newer blocks", String::new, || {
        let head = world.proven("peg_getFinality", json!([]))["number"].as_u64();
        head.filter(|head| *head > before + 2)
    });
    let kept = light(&[&world.node.url()], Some(folder.path()));
    let head = world.ask(&kept, "eth_blockNumber", json!([])).expect("proven");
    drop(kept);
    let stale = world.liar("peg_getFinality", move |_, finality| *finality = old.clone());
    let fresh = light(&[&stale.url], None);
    assert_eq!(world.ask(&fresh, "eth_blockNumber", json!([])).expect("it was final"), json!(format!("{before:#x}")));
    let restarted = light(&[&stale.url], Some(folder.path()));
    let refused = world.ask(&restarted, "eth_blockNumber", json!([])).expect_err("it was further").to_string();
    for word in [&format!("shows block {before}"), "hides what is newer", &stale.url] {
        assert!(refused.contains(word), "{word:?}: {refused}");
    }
    let both = light(&[&stale.url, &world.node.url()], Some(folder.path()));
    let again = world.ask(&both, "eth_blockNumber", json!([])).expect("the other node");
    let number = |value: &Value| u64::from_str_radix(&value.as_str().expect("hex")[2..], 16).expect("hex");
    assert!(number(&again) >= number(&head), "{again} {head}");
    std::fs::write(folder.path().join("head.json"), "{}").expect("written");
    let damaged = LightNode::open(genesis(), &[world.node.url()], Some(folder.path().to_owned()), Word::Refused);
    assert!(damaged.expect_err("nobody knows how far it was").to_string().contains("head.json"));
}

#[test]
fn a_node_that_is_away_or_keeps_back_is_told_and_another_one_is_asked() {
    let world = World::new();
    let refused = world.ask(&world.light(&[DEAD]), "eth_blockNumber", json!([])).expect_err("nobody is there");
    assert!(matches!(&refused, Unproven::Down(words) if words.contains(DEAD)), "{refused}");
    let keeps = Relay::before_keeping(&world.node.url(), "eth_getProof", |_, _, _| ());
    let light = world.light(&[DEAD, &keeps.url, &world.node.url()]);
    let balance = world.ask(&light, "eth_getBalance", json!([world.account.address()])).expect("the third");
    assert_eq!(balance, json!(U256::from(10).pow(U256::from(18))));
    for _ in 0..20 {
        world.ask(&light, "eth_getBalance", json!([DEVELOPER_0])).expect("the third");
    }
    let asked: u64 = keeps.asked("eth_getProof").values().sum();
    assert!(asked < 10, "it is left out for a while, asked {asked} times");
}

// A wallet's library sees an ordinary node.
#[test]
fn clients_of_ethereum_are_served_at_an_address_of_this_machine_only() {
    let world = World::new();
    let light = world.light(&[&world.node.url()]);
    let server = world.runtime.block_on(serve(light.clone(), ([127, 0, 0, 1], 0).into(), Origins::None)).expect("free");
    let client = Client::new(&format!("http://{}", server.address)).expect("a URL");
    world.runtime.block_on(async {
        let me = world.account.address();
        assert_eq!(client.chain_id().await.expect("answered"), genesis().chain_id);
        assert_eq!(client.balance(me).await.expect("proven"), U256::from(10).pow(U256::from(18)));
        assert!(client.limits().await.expect("proven").cap_sat > 0);
        let receipt = world.account.transact(&client, &Call::transfer(DEVELOPER_0, U256::from(7)), SOON_S).await;
        let receipt = receipt.expect("included");
        assert_eq!(client.receipt(receipt.transaction_hash).await.expect("proven"), Some(receipt));
        let refused = client.call(BRIDGE, &contracts::Bridge::cancelCall { id: U256::from(99) }).await;
        assert!(refused.expect_err("there is none").revert().is_some());
    });
    let (status, text) = get_health(server.address);
    assert!(status.contains("200") && text.contains("\"head\":"), "{status} {text}");
    let public = world.runtime.block_on(serve(light, ([0, 0, 0, 0], 0).into(), Origins::None));
    assert!(public.expect_err("everybody").to_string().contains("its own machine only"));
}

fn get_health(address: std::net::SocketAddr) -> (String, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET /health HTTP/1.1\r\nHost: light\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

const SOON_S: Duration = Duration::from_secs(60);

/// Somebody who has keys and the genesis file, and no node.
struct Holder {
    world: World,
}

impl Holder {
    fn new() -> Self {
        let world = World::new();
        std::fs::create_dir_all(world.node.home()).expect("a folder");
        let secret = world.account.secret().secret_bytes();
        let sealed = Keystore::seal("account", BTreeMap::new(), &secret, PASSPHRASE, QUICK, &mut rand::thread_rng());
        std::fs::write(world.node.home().join("me.keystore"), sealed.expect("sealed").to_json()).expect("written");
        std::fs::write(world.node.home().join("network.json"), genesis().to_json()).expect("written");
        Self { world }
    }

    /// A command that asks these nodes, which are nobody's.
    fn run(&self, urls: &[&str], command: &[&str]) -> Finished {
        let rpc = urls.join(",");
        binary::run(&self.world.node.home(), [command, &["--rpc", &rpc]].concat(), &format!("{PASSPHRASE}\n"))
    }

    fn peg_out(&self, urls: &[&str]) -> Finished {
        let home = self.world.node.home();
        let (keystore, genesis) = (home.join("me.keystore"), home.join("network.json"));
        let (keystore, genesis) = (keystore.display().to_string(), genesis.display().to_string());
        let keys = ["--keystore", &keystore, "--passphrase-stdin", "--yes", "--genesis", &genesis];
        self.run(urls, &[&PEG_OUT[..], &keys].concat())
    }
}

const PEG_OUT: [&str; 9] =
    ["peg-out", "--no-wait", "--json", "--amount", "0.3 BTC", "--max-fee", "5000 sat", "--to", REGTEST_ADDRESS];

#[test]
fn commands_believe_none_of_the_nodes_they_are_given_and_remember_how_far_the_chain_was() {
    let holder = Holder::new();
    let world = &holder.world;
    let node = world.node.url();
    let forged = world.liar("eth_getProof", |_, proof| proof["balance"] = json!("0xffffffffffffffffffffffff"));
    let refused = holder.peg_out(&[&forged.url, DEAD]);
    refused.fails_saying(&["does not prove what it says of", &forged.url]);
    assert!(forged.asked("eth_sendRawTransaction").is_empty(), "something was sent");
    let old = world.proven("peg_getFinality", json!([]));
    // The rules of the peg, as another node tells them: they are read from the state instead.
    let other_rules = world.liar("peg_getInfo", |_, info| info["parameters"]["minWithdrawalSat"] = json!(1_234));
    let done = holder.peg_out(&[&other_rules.url, &forged.url, &node]);
    assert_eq!(done.json()[0]["id"], 1, "{done}");
    assert!(other_rules.asked("peg_getInfo").is_empty(), "nobody asks for it");

    // A withdrawal that a node calls paid is queued, as the state says.
    let paid = world.liar("peg_getWithdrawal", |_, told| {
        (told["status"], told["paidBy"], told["amountSat"]) = (json!("paid"), json!(1), json!(1));
    });
    let status = holder.run(&[&paid.url, DEAD], &["status", "1", "--json"]).json().remove(0);
    assert_eq!((&status["status"], &status["amountSat"]), (&json!("queued"), &json!(30_000_000)), "{status}");
    let info = holder.run(&[&node, DEAD], &["status", "bridge", "--json"]).json().remove(0);
    assert_eq!(info["chainId"], json!(genesis().chain_id), "{info}");

    let folder = world.node.home().join(".local/share/causeway/light").join(format!("{:x}", genesis().network_id()));
    let bytes = bytes_in(&folder);
    assert!((1..1 << 20).contains(&bytes), "{bytes}");
    let stale = Mutex::new(old);
    let stale = world.liar("peg_getFinality", move |_, finality| {
        *finality = stale.lock().expect("nobody panics").clone();
    });
    holder.run(&[&stale.url, DEAD], &["status", "bridge"]).fails_saying(&["hides what is newer", &stale.url]);
    // One node of one's own is asked directly, and contradicts nothing that the genesis file says. The coins of this network's accounts are in its
    // first block, so that is told as the genesis file makes it.
    let first = json!(genesis().build().expect("a genesis").hash);
    let own = Relay::before(&other_rules.url, move |method, parameters, answer| {
        if method == "eth_getBlockByNumber" && parameters[0] == "0x0" {
            answer["result"]["hash"] = first.clone();
        }
    });
    holder
        .run(&[&own.url], &["status", "bridge", "--own-node"])
        .fails_saying(&["says that the rule minWithdrawalSat is 1234", &own.url]);
    assert_eq!(other_rules.asked("peg_getInfo").len(), 1, "it is asked");
}
