//! A merchant's checkout as it is typed, against a node, and against a whole network with Bitcoin.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, U256, hex};
use bridge::io::sidechain::{Account, Call, Client};
use contracts::address::WRAPPED_BTC;
use contracts::{WrappedBtc, coin};
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, DEVELOPER_1, RECIPIENT, REGTEST_ADDRESS};
use tests::lone_node::LoneNode;
use tests::network::{Network, Options};
use tests::process::Process;
use tests::waiting::Patience;

/// Blocks of the timelock on regtest.
const RECLAIM_DELAY: u32 = 1_008;

const PATIENCE: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(100));
/// How long a transaction may take here.
const INCLUSION: Duration = Duration::from_secs(60);
/// The secrets of developer accounts 0 and 1, as every developer tool shows them.
const SECRETS: [[u8; 32]; 2] = [
    hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
];

/// A payer at a node, who is developer account `payer`.
struct Payer {
    client: Client,
    account: Account,
    runtime: tokio::runtime::Runtime,
}

impl Payer {
    fn at(url: &str, payer: usize) -> Self {
        Self {
            client: Client::new(url).expect("a URL"),
            account: Account::from_secret(&SECRETS[payer]).expect("a key"),
            runtime: tokio::runtime::Runtime::new().expect("threads"),
        }
    }

    /// Has a call final, and gives the time of its block.
    fn send(&self, call: &Call) -> u64 {
        self.runtime.block_on(async {
            let receipt = self.account.transact(&self.client, call, INCLUSION).await.expect("it is carried out");
            let block = self.client.block(receipt.block_number.expect("final")).await.expect("the node answers");
            block.expect("it is there").timestamp
        })
    }

    /// Pays by the invoice's link for coins, so many wei.
    fn pay_wei(&self, invoice: &Value, wei: U256) -> u64 {
        let link = text(&invoice["links"]["coin"]);
        let account = link.strip_prefix("ethereum:").and_then(|rest| rest.split_once('@')).expect("EIP-681").0;
        self.send(&Call::transfer(account.parse().expect("an address"), wei))
    }

    fn pay(&self, invoice: &Value, sat: u64) -> u64 {
        self.pay_wei(invoice, coin::wei(sat))
    }

    /// Pays by its link for tokens.
    fn pay_tokens(&self, invoice: &Value) {
        let link = text(&invoice["links"]["token"]);
        let (target, arguments) = link.split_once('?').expect("EIP-681 with arguments");
        assert_eq!(target, format!("ethereum:{WRAPPED_BTC}@51717/transfer"));
        let (to, value) = arguments.split_once('&').expect("two");
        let to = to.strip_prefix("address=").expect("an address").parse().expect("an address");
        let value = value.strip_prefix("uint256=").expect("wei").parse().expect("wei");
        let wrap = Call::new(WRAPPED_BTC, &WrappedBtc::depositCall {}).with_value(value);
        self.send(&wrap);
        self.send(&Call::new(WRAPPED_BTC, &WrappedBtc::transferCall { to, value }));
    }

    fn balance(&self, account: Address) -> U256 {
        self.runtime.block_on(self.client.balance(account)).expect("the node answers")
    }

    fn tokens(&self, account: Address) -> U256 {
        let call = WrappedBtc::balanceOfCall { account };
        self.runtime.block_on(self.client.call(WRAPPED_BTC, &call)).expect("the node answers")
    }
}

/// A merchant with developer account 1, over one node.
struct Shop {
    node: LoneNode,
    payer: Payer,
}

impl Shop {
    fn open() -> Self {
        let node = LoneNode::start(&[DEVELOPER_0, DEVELOPER_1]);
        let payer = Payer::at(&node.url(), 0);
        Self { node, payer }
    }

    fn run(&self, words: &[&str]) -> Finished {
        self.node.causeway(&[&["--json", "pay"], words].concat(), "")
    }

    /// Makes an invoice and does not wait.
    fn ask(&self, amount: &str, reference: &str, more: &[&str]) -> Value {
        let words = ["invoice", amount, "--reference", reference, "--no-wait", "--dev-account", "1"];
        self.run(&[&words, more].concat()).json().remove(0)
    }

    /// Waits for it to its end.
    fn wait(&self, amount: &str, reference: &str) -> Finished {
        self.run(&["invoice", amount, "--reference", reference, "--dev-account", "1"])
    }

    fn list(&self) -> Vec<Value> {
        self.run(&["invoices"]).json()
    }

    /// Starts to wait; its output goes to a file.
    fn start_waiting(&self, amount: &str, reference: &str, out: &Path) -> Process {
        let url = self.node.url();
        let words = ["--json", "pay", "invoice", amount, "--reference", reference, "--dev-account", "1", "--rpc", &url];
        let mut command = binary::command(&self.node.home(), words);
        command.stdout(std::fs::File::create(out).expect("writable")).stderr(Stdio::null());
        Process::start(&mut command)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn last(finished: &Finished) -> Value {
    let line = finished.stdout.lines().last().unwrap_or_else(|| panic!("nothing is shown: {finished}"));
    serde_json::from_str(line).expect("JSON")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn an_invoice_is_paid_by_all_that_comes_to_its_own_account_and_by_nothing_else() {
    let shop = Shop::open();
    let (one, other) = (shop.ask("1000 sat", "order-1", &[]), shop.ask("1000 sat", "order-2", &[]));
    assert_eq!((&one["state"], &one["event"]), (&"open".into(), &"invoice".into()));
    assert_ne!(one["account"], other["account"], "of the same amount to the same merchant");
    let wrong = shop.run(&["invoice", "2000 sat", "--reference", "order-1", "--no-wait", "--dev-account", "1"]);
    wrong.fails_saying(&["order-1 is of 0.00001 BTC, not of 0.00002 BTC"]);
    assert_eq!(shop.ask("1000 sat", "order-1", &[])["account"], one["account"], "the same invoice");
    let another = ["invoice", "1000 sat", "--reference", "order-1", "--no-wait", "--dev-account", "0"];
    shop.run(&another).fails_saying(&["another merchant's order"]);
    let longer =
        ["invoice", "1000 sat", "--reference", "order-1", "--no-wait", "--expires", "2h", "--dev-account", "1"];
    shop.run(&longer).fails_saying(&["was made for 3600 s"]);

    // All but one wei, and that to the other.
    shop.payer.pay_wei(&one, coin::wei(1_000) - U256::ONE);
    shop.payer.pay_wei(&other, U256::ONE);
    // And straight to the merchant, which is no payment of any.
    shop.payer.send(&Call::transfer(DEVELOPER_1, coin::wei(1_000)));
    let states: Vec<Value> = shop.list().into_iter().map(|invoice| invoice["state"].clone()).collect();
    assert_eq!(states, ["partial", "partial"]);
    shop.payer.pay_wei(&one, U256::ONE);
    let paid = last(&shop.wait("1000 sat", "order-1"));
    assert_eq!((&paid["state"], &paid["receivedWei"]), (&"paid".into(), &coin::wei(1_000).to_string().into()));
    assert_eq!(shop.list()[1]["state"], "partial", "one payment is of one invoice");
}

#[test]
fn a_wait_that_is_killed_loses_nothing_and_the_same_reference_goes_on() {
    let shop = Shop::open();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("first.out");
    let mut waiting = shop.start_waiting("5000 sat", "order-1", &out);
    let shown = PATIENCE.until("an invoice is shown", String::new, || lines(&out).first().cloned());
    waiting.kill();
    shop.payer.pay(&shown, 2_000);
    let mut again = shop.start_waiting("5000 sat", "order-1", &folder.path().join("second.out"));
    let partial = || lines(&folder.path().join("second.out")).pop().filter(|line| line["state"] == "partial");
    PATIENCE.until("a part is seen", String::new, partial);
    again.kill();
    shop.payer.pay(&shown, 3_000);
    let finished = shop.wait("5000 sat", "order-1");
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!((&last(&finished)["state"], &last(&finished)["account"]), (&"paid".into(), &shown["account"]));

    // A second payment of the same: told, and not lost.
    shop.payer.pay(&shown, 5_000);
    let seen = shop.list().remove(0);
    assert_eq!((&seen["state"], &seen["excessWei"]), (&"overpaid".into(), &coin::wei(5_000).to_string().into()));
}

#[test]
fn what_was_paid_in_coins_and_tokens_is_collected_and_counted_once() {
    let shop = Shop::open();
    let to = RECIPIENT.to_string();
    let coins = shop.ask("100000 sat", "coins", &["--to", &to]);
    let tokens = shop.ask("70000 sat", "tokens", &["--to", &to]);
    shop.payer.pay(&coins, 100_000);
    shop.payer.pay_tokens(&tokens);
    for (amount, reference) in [("100000 sat", "coins"), ("70000 sat", "tokens")] {
        let finished = shop.wait(amount, reference);
        assert_eq!((finished.code, &last(&finished)["state"]), (Some(0), &"paid".into()), "{finished}");
    }
    let collected = shop.run(&["collect", "--dev-account", "1"]).json();
    assert_eq!(collected.len(), 2, "{collected:?}");
    assert_eq!(shop.payer.tokens(RECIPIENT), coin::wei(70_000));
    let got = shop.payer.balance(RECIPIENT);
    assert!(got > coin::wei(99_900) && got < coin::wei(100_000), "{got}: all but the gas");
    assert!(shop.run(&["collect", "--dev-account", "1"]).json().is_empty(), "nothing is left");
    for invoice in shop.list() {
        assert_eq!((&invoice["state"], &invoice["excessWei"]), (&"paid".into(), &"0".into()), "{invoice}");
    }
    // Who pays once more, after all was taken, is seen and can be collected from.
    shop.payer.pay(&coins, 100_000);
    let again = shop.list().remove(0);
    assert_eq!((&again["state"], &again["excessWei"]), (&"overpaid".into(), &coin::wei(100_000).to_string().into()));
    assert_eq!(shop.run(&["collect", "coins", "--dev-account", "1"]).json().len(), 1);
    shop.run(&["collect", "coins", "--dev-account", "0"]).fails_saying(&["is of account", "you are"]);
}

/// At moments that the seed chooses: whatever was on its way is found again, taken once and counted once.
#[test]
fn collecting_that_is_killed_at_any_moment_takes_all_once() {
    const EACH_SAT: u64 = 100_000;
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let shop = Shop::open();
    let to = RECIPIENT.to_string();
    let references = ["coins-1", "tokens-1", "coins-2", "tokens-2"];
    for reference in references {
        let invoice = shop.ask("100000 sat", reference, &["--to", &to]);
        if reference.starts_with("coins") {
            shop.payer.pay(&invoice, EACH_SAT)
        } else {
            shop.payer.pay_tokens(&invoice);
            0
        };
        assert_eq!(shop.wait("100000 sat", reference).code, Some(0));
    }
    let url = shop.node.url();
    for _ in 0..12 {
        let mut command = binary::command(&shop.node.home(), ["pay", "collect", "--dev-account", "1", "--rpc", &url]);
        let mut collecting = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        std::thread::sleep(Duration::from_millis(random.gen_range(20..700)));
        collecting.kill();
    }
    let finished = shop.run(&["collect", "--dev-account", "1"]);
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(shop.payer.tokens(RECIPIENT), coin::wei(2 * EACH_SAT));
    let got = shop.payer.balance(RECIPIENT);
    assert!(got > coin::wei(2 * EACH_SAT - 200) && got < coin::wei(2 * EACH_SAT), "{got}: all but the gas");
    for invoice in shop.list() {
        let counted = (&invoice["state"], &invoice["receivedWei"], &invoice["excessWei"]);
        assert_eq!(counted, (&"paid".into(), &coin::wei(EACH_SAT).to_string().into(), &"0".into()), "{invoice}");
    }
    assert!(shop.run(&["collect", "--dev-account", "1"]).json().is_empty(), "nothing is left");
}

#[test]
fn an_order_whose_file_was_lost_is_paid_by_what_comes_then_and_collected_again() {
    let shop = Shop::open();
    for _ in 0..2 {
        let invoice = shop.ask("100000 sat", "order-1", &[]);
        assert_ne!(invoice["state"], "paid", "what was collected counts for nothing: {invoice}");
        shop.payer.pay(&invoice, 100_000);
        // What a collection could not take, less than its gas, is there still.
        let finished = shop.wait("100000 sat", "order-1");
        assert_eq!(finished.code, Some(0), "{finished}");
        assert_eq!(shop.run(&["collect", "--dev-account", "1"]).json().len(), 1);
        std::fs::remove_dir_all(shop.node.home().join(".local/share/causeway/invoices")).expect("its folder");
    }
}

#[test]
fn what_comes_too_late_is_told_and_what_came_in_time_counts_though_nobody_looked() {
    let shop = Shop::open();
    let unpaid = shop.run(&["invoice", "1000 sat", "--reference", "unpaid", "--expires", "1s", "--dev-account", "1"]);
    unpaid.ends_with(3, &["expired, and was not paid in full"]);
    let late = last(&unpaid);
    assert_eq!(late["state"], "expired");
    shop.payer.pay(&late, 1_000);
    shop.wait("1000 sat", "unpaid").ends_with(4, &["after it had expired"]);

    let in_time = shop.ask("1000 sat", "in-time", &["--expires", "8s"]);
    let paid_at = shop.payer.pay(&in_time, 1_000);
    let expires = in_time["expiresAt"].as_u64().expect("a time");
    assert!(paid_at <= expires, "paid at {paid_at}, open until {expires}: this machine is too slow for this test");
    std::thread::sleep(Duration::from_secs(10));
    let finished = shop.wait("1000 sat", "in-time");
    assert_eq!((finished.code, &last(&finished)["state"]), (Some(0), &"paid".into()), "{finished}");
}

/// A signature, and the body that it is of.
type Posts = Arc<Mutex<Vec<(String, Value)>>>;

/// Takes posts, the first with an error.
fn receiver() -> (String, Posts) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
    let url = format!("http://{}/paid", listener.local_addr().expect("it is bound"));
    let posts = Posts::default();
    let taken = posts.clone();
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let mut client = client.expect("a client");
            let (mut bytes, mut length) = (vec![0; 65_536], 0);
            while !String::from_utf8_lossy(&bytes[..length]).ends_with("]}") {
                length += client.read(&mut bytes[length..]).expect("a post");
            }
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
            let signature = head.lines().find_map(|line| line.strip_prefix("causeway-signature: "));
            let body = serde_json::from_str(body).expect("JSON");
            taken.lock().expect("no panic").push((signature.expect("signed").to_owned(), body));
            let answer = if number == 0 { "503 Service Unavailable" } else { "204 No Content" };
            let _ = write!(client, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (url, posts)
}

#[test]
fn a_webhook_is_told_of_a_payment_again_under_one_id_and_the_table_runs_nothing() {
    let shop = Shop::open();
    let (url, posts) = receiver();
    std::fs::create_dir_all(shop.node.home()).expect("writable");
    let secret = shop.node.home().join("webhook.secret");
    std::fs::write(&secret, "a secret of a test, long enough\n").expect("writable");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let hook = ["--webhook", &url, "--webhook-secret", secret.to_str().expect("UTF-8")];
    let memo = ["--memo", "=HYPERLINK(\"http://evil.example\";\"tea\")"];
    let invoice = shop.ask("1000 sat", "order-1", &[&hook[..], &memo].concat());
    shop.payer.pay(&invoice, 1_000);
    let finished = shop.wait("1000 sat", "order-1");
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(!finished.stderr.contains("a secret of a test"));
    let posts = posts.lock().expect("no panic").clone();
    assert_eq!(posts.len(), 2, "{posts:?}");
    let told = |post: &(String, Value)| post.1["params"][0].clone();
    assert_eq!(
        (told(&posts[0])["type"].clone(), told(&posts[0])["id"].clone()),
        ("invoice.paid".into(), told(&posts[1])["id"].clone())
    );
    assert_eq!(told(&posts[1])["invoice"]["reference"], "order-1");
    assert!(posts.iter().all(|(signature, _)| signature.starts_with("t=") && signature.contains(",v1=")));

    let table = shop.node.home().join("table.csv");
    let listed = shop.run(&["invoices", "--csv", table.to_str().expect("UTF-8")]).json().remove(0);
    assert_eq!(listed["undelivered"], Value::Null);
    let table = std::fs::read_to_string(&table).expect("written");
    assert!(
        table.contains(
            "\"order-1\",\"'=HYPERLINK(\"\"http://evil.example\"\";\"\"tea\"\")\",\"paid\",\"1000\",\"1000\""
        ),
        "{table}"
    );
    // A copy of the public half of the merchant's keys makes invoices, and needs no secret.
    let public = shop.run(&["invoice", "1 sat", "--reference", "order-2", "--no-wait"]);
    assert_eq!(public.json()[0]["state"], "open");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_shown() {
    let shop = Shop::open();
    shop.run(&["invoice", "1 sat", "--no-wait"]).fails_saying(&["whose invoice?", "--keystore"]);
    shop.run(&["invoice", "0 sat", "--dev-account", "1"]).fails_saying(&["nobody can pay 0 sat"]);
    let bridge = contracts::address::BRIDGE.to_string();
    shop.run(&["invoice", "1 sat", "--to", &bridge, "--dev-account", "1"]).fails_saying(&["nobody can spend from"]);
    shop.run(&["invoice", "1 sat", "--reference", "../x y", "--dev-account", "1"]).is_misused_saying(&["--reference"]);
    shop.run(&["invoice", "1 sat", "--memo", "a\nb", "--dev-account", "1"]).is_misused_saying(&["--memo"]);
    shop.run(&["invoice", "1 sat", "--webhook", "http://127.0.0.1:1", "--dev-account", "1"])
        .is_misused_saying(&["--webhook-secret"]);
    assert!(shop.list().is_empty());
}

/// bitcoind, four validators, four relayers; the genesis file is known, so that what is paid is proven.
#[test]
fn an_invoice_is_paid_from_bitcoin_and_another_in_coins_on_a_whole_network() {
    let network = Network::start(Options { block_interval: "0s", ..Options::default() });
    let genesis = network.folder().join("genesis.json").display().to_string();
    let from_bitcoin = ["--json", "pay", "invoice", "0.3 BTC", "--reference", "from-bitcoin", "--dev-account", "1"];
    let (mut waiting, events) = network.spawn("from-bitcoin", &[&from_bitcoin[..], &["--genesis", &genesis]].concat());
    let shown = network.until("an invoice is shown", || events().into_iter().next());
    let address = text(&shown["bitcoinAddress"]);
    assert_eq!(shown["links"]["bitcoin"], format!("bitcoin:{address}?amount=0.3"));
    network.pay(&address, 30_000_000);
    network.mine_until("the payment is on its way", || {
        events().iter().any(|line| line["state"] == "confirming").then_some(())
    });
    let ended = network.mine_until("the invoice is paid", || waiting.ended());
    let last = events().pop().expect("lines");
    assert!(ended.success() && last["state"] == "paid", "{last}");
    let payer = Payer::at(&network.rpc(1), 1);
    let minted = payer.balance(DEVELOPER_1);
    assert!(minted > coin::wei(29_900_000) && minted <= coin::wei(30_000_000), "{minted}: the merchant's at once");

    // The merchant buys something, and the seller's account is proven to have the coins.
    let small =
        ["--json", "pay", "invoice", "100000 sat", "--reference", "in-coins", "--no-bitcoin", "--dev-account", "0"];
    let small = [&small[..], &["--genesis", &genesis]].concat();
    let (mut waiting, events) = network.spawn("in-coins", &small);
    let shown = network.until("an invoice is shown", || events().into_iter().next());
    assert_eq!(shown["links"].get("bitcoin"), None);
    payer.pay(&shown, 100_000);
    assert!(network.until("the invoice is paid", || waiting.ended()).success());
    let collect = ["--json", "pay", "collect", "--dev-account", "0", "--genesis", &genesis];
    assert_eq!(network.causeway(&collect).json().len(), 1);
    assert!(payer.balance(DEVELOPER_0) > coin::wei(99_900));
    nobody_looked(&network, &genesis);
    never_swept(&network, &genesis);
}

/// Its coins are made while the invoice is open, and only later somebody asks.
fn nobody_looked(network: &Network, genesis: &str) {
    let words = ["--json", "pay", "invoice", "0.25 BTC", "--reference", "unseen", "--no-wait", "--genesis", genesis];
    let more = ["--expires", "40s", "--dev-account", "1"];
    let shown = network.causeway(&[&words[..], &more].concat()).json().remove(0);
    let address = text(&shown["bitcoinAddress"]);
    network.pay(&address, 25_000_000);
    network.mine_until("its coins are made", || {
        let status = network.causeway(&["--json", "status", &address, "--genesis", genesis]);
        status.stdout.contains("\"status\":\"minted\"").then_some(())
    });
    let expires = shown["expiresAt"].as_u64().expect("a time");
    let now = || bridge::io::clock::now().expect("after 1970");
    assert!(now() < expires, "this machine is too slow for this test");
    network.until("the invoice has expired", || (now() > expires + 3).then_some(()));
    let all = network.causeway(&["--json", "pay", "invoices", "--genesis", genesis]).json();
    let invoice = all.iter().find(|invoice| invoice["reference"] == "unseen").expect("it is listed");
    assert_eq!(invoice["state"], "paid", "{invoice}");
}

/// The merchant's key takes it back on Bitcoin: it was kept nowhere.
fn never_swept(network: &Network, genesis: &str) {
    (1..=4).for_each(|index| network.kill(&format!("relayer-{index}")));
    let words = ["--json", "pay", "invoice", "0.2 BTC", "--reference", "unswept", "--no-wait", "--genesis", genesis];
    let shown = network.causeway(&[&words[..], &["--dev-account", "1"]].concat()).json().remove(0);
    let address = text(&shown["bitcoinAddress"]);
    network.pay(&address, 20_000_000);
    network.mine(RECLAIM_DELAY);
    let reclaim = ["reclaim", "--json", &address, "--to", REGTEST_ADDRESS, "--fee-rate", "5"];
    network.causeway(&reclaim).fails_saying(&["name the merchant's --keystore"]);
    network.causeway(&[&reclaim[..], &["--dev-account", "0"]].concat()).fails_saying(&["is of account"]);
    let reclaimed = network.causeway(&[&reclaim[..], &["--dev-account", "1"]].concat()).json().remove(0);
    assert!(reclaimed["amountSat"].as_u64().is_some_and(|sat| sat > 19_990_000), "{reclaimed}");
}
