//! `causeway pay` as payer and payee type it, against a node.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, U256, b256, hex};
use alloy_sol_types::SolValue as _;
use bridge::io::sidechain::{Account, Call, Client};
use contracts::address::{BRIDGE, MICRO_CHANNEL, WRAPPED_BTC};
use contracts::{WrappedBtc, coin};
use serde_json::Value;
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::process::Process;
use tests::relay::Relay;
use tests::waiting::Patience;

#[path = "pay/claims.rs"]
mod claims;
#[path = "pay/invoice.rs"]
mod invoice;

/// How long a watchtower may take that looks five times a second, on a machine that is busy.
const A_ROUND: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(50));

/// How long three blocks may take, which come five times a second, and the five seconds that a payee of regtest has beside.
const BOTH_DELAYS: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(50));

/// An address of regtest.
const PAYOUT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Developer account 0 pays, 1 is paid, over one node.
struct Payments {
    node: LoneNode,
}

impl Payments {
    fn new() -> Self {
        Self { node: LoneNode::start(&[DEVELOPER_0, DEVELOPER_1]) }
    }

    fn pay(&self, account: u32, words: &[&str], input: &str) -> Finished {
        let account = account.to_string();
        let mut all = [&["--json", "pay"], words].concat();
        if !matches!(words[0], "status" | "list") && !words.contains(&"--no-account") {
            all.extend(["--dev-account", &account]);
        }
        all.retain(|word| *word != "--no-account");
        self.node.causeway(&all, input)
    }

    /// The payer's account, without a command.
    fn transact(&self, call: &Call) -> Option<Address> {
        let key = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let account = Account::from_secret(&key.0).expect("a key");
        let client = Client::new(&self.node.url()).expect("a URL");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let receipt = runtime.block_on(account.transact(&client, call, Duration::from_secs(60)));
        receipt.expect("it is included").contract_address
    }

    fn deploy(&self, code: Vec<u8>) -> Address {
        self.transact(&Call { to: None, value: U256::ZERO, input: code.into() }).expect("a contract")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.node.home().join(name)
    }

    /// The event it prints.
    fn done(&self, account: u32, words: &[&str], input: &str) -> Value {
        let finished = self.pay(account, words, input);
        assert_eq!(finished.code, Some(0), "{words:?}: {}", finished.stderr);
        serde_json::from_str(finished.stdout.trim()).expect("one line of JSON")
    }

    fn refused(&self, account: u32, words: &[&str], input: &str) -> String {
        let finished = self.pay(account, words, input);
        assert_eq!(finished.code, Some(1), "{words:?}: {}", finished.stdout);
        finished.stderr
    }

    fn open(&self) -> String {
        let payee = DEVELOPER_1.to_string();
        let opened = self.done(0, &["open", "--payee", &payee, "--amount", "100000 sat"], "");
        assert_eq!(opened["event"], "opened");
        assert_eq!(opened["deposit"], wei(100_000));
        opened["channel"].as_str().expect("an id").to_owned()
    }
}

/// Satoshis as the commands print wei in JSON: in digits, since a number would lose some.
fn wei(sat: u64) -> String {
    coin::wei(sat).to_string()
}

/// What a watchtower says that is not claimed, in the coin.
fn unclaimed(event: &Value) -> String {
    let first = &event["unclaimed"][0];
    if first["token"].as_str() == Some(&Address::ZERO.to_string()) {
        first["amount"].as_str().unwrap_or_default().to_owned()
    } else {
        String::new()
    }
}

#[test]
fn a_payee_cashes_in_the_last_voucher_of_many() {
    let payments = Payments::new();
    let (first, second) = (payments.open(), payments.open());
    let mut vouchers = String::new();
    for (channel, total) in [(&first, "10 sat"), (&second, "7 sat"), (&first, "25 sat")] {
        let voucher = payments.done(0, &["voucher", channel, "--total", total], "");
        vouchers += &format!("{voucher}\n");
    }
    // Promised by the payee itself: worth nothing, and left out.
    let forged = payments.refused(1, &["voucher", &first, "--total", "99 sat"], "");
    assert!(forged.contains("is paid by"), "{forged}");

    let claimed = payments.done(1, &["claim", "-"], &vouchers);
    assert_eq!(claimed["amount"], wei(32));
    let mut channels = [&first, &second];
    channels.sort();
    assert_eq!(claimed["channels"], serde_json::json!(channels));
    let status = payments.done(1, &["status", &first], "");
    assert_eq!((&status["state"], &status["claimed"]), (&Value::from("open"), &Value::from(wei(25))));
    let again = payments.refused(1, &["claim", "-"], &vouchers);
    assert!(again.contains("no voucher is worth anything"), "{again}");

    let more = payments.done(0, &["voucher", &first, "--total", "40 sat"], "").to_string();
    let silent = payments.refused(1, &["close", &first], "");
    assert!(silent.contains("--forfeit") && silent.contains("0.00099975 BTC"), "{silent}");
    let others = payments.refused(1, &["close", &second, "--voucher", "-"], &more);
    assert!(others.contains("no voucher is for channel"), "{others}");
    let closed = payments.done(1, &["close", &first, "--voucher", "-"], &more);
    assert_eq!(closed["refund"], wei(100_000 - 40));
    let given_up = payments.done(1, &["close", &second, "--forfeit"], "");
    assert_eq!(given_up["refund"], wei(100_000 - 7));
    let late = payments.refused(0, &["voucher", &first, "--total", "50 sat"], "");
    assert!(late.contains("is closed"), "{late}");
}

#[test]
fn a_payee_gives_back_nothing_that_it_received_without_saying_so() {
    let payments = Payments::new();
    let channel = payments.open();
    let [small, large] =
        ["10 sat", "900 sat"].map(|total| payments.done(0, &["voucher", &channel, "--total", total], "").to_string());
    payments.done(1, &["receive", "-"], &large);
    let refused = payments.refused(1, &["close", &channel, "--voucher", "-"], &small);
    assert!(refused.contains("you received 0.000009 BTC") && refused.contains("vouchers.jsonl"), "{refused}");
    let closed = payments.done(1, &["close", &channel, "--voucher", "-"], &large);
    assert_eq!(closed["refund"], wei(100_000 - 900));
    let other = payments.open();
    let voucher = payments.done(0, &["voucher", &other, "--total", "500 sat"], "").to_string();
    payments.done(1, &["receive", "-"], &voucher);
    let given = payments.done(1, &["close", &other, "--forfeit"], "");
    assert_eq!(given["refund"], wei(100_000), "it was said");
}

#[test]
fn a_payer_takes_the_rest_back_after_the_delays() {
    let payments = Payments::new();
    let channel = payments.open();
    let closing = payments.done(0, &["close", &channel], "");
    assert_eq!(closing["event"], "closing");
    let closed = BOTH_DELAYS.until("the channel is closed", String::new, || {
        let finished = payments.pay(0, &["close", &channel], "");
        if finished.code == Some(0) {
            return Some(finished.stdout);
        }
        assert!(finished.stderr.contains("until then the payee may claim"), "{}", finished.stderr);
        None
    });
    assert!(closed.contains(&wei(100_000)), "{closed}");
}

#[test]
fn coins_are_wrapped_and_unwrapped() {
    let payments = Payments::new();
    let wrapped = payments.done(0, &["wrap", "1000 sat"], "");
    assert_eq!((&wrapped["event"], &wrapped["amount"]), (&"wrapped".into(), &wei(1_000).into()));
    assert_eq!(wrapped["token"].as_str().map(str::to_lowercase), Some(WRAPPED_BTC.to_string().to_lowercase()));
    let more = payments.refused(0, &["unwrap", "1001 sat"], "");
    assert!(more.contains("has 0.00001 BTC of wrapped coins"), "{more}");
    let others = payments.refused(1, &["unwrap", "1 sat"], "");
    assert!(others.contains("has 0 BTC of wrapped coins"), "{others}");
    let part = payments.done(0, &["unwrap", "400 sat"], "");
    assert_eq!((&part["event"], &part["amount"]), (&"unwrapped".into(), &wei(400).into()));
    let gone = payments.refused(0, &["unwrap", "601 sat"], "");
    assert!(gone.contains("has 0.000006 BTC"), "{gone}");
    let nowhere = payments.refused(0, &["unwrap", "100 sat", "--to", PAYOUT, "--max-fee", "99 sat"], "");
    assert!(nowhere.contains("below the smallest withdrawal"), "{nowhere}");
    // Half a satoshi comes along.
    let half = U256::from(coin::WEI_PER_SAT / 2);
    payments.transact(&Call::new(WRAPPED_BTC, &WrappedBtc::depositCall {}).with_value(half));
    let all = payments.done(0, &["unwrap", "--all"], "");
    assert_eq!(all["amount"], (coin::wei(600) + half).to_string());
    let none = payments.refused(0, &["unwrap", "--all"], "");
    assert!(none.contains("has no wrapped coins"), "{none}");
    let nothing = payments.refused(0, &["wrap", "0 sat"], "");
    assert!(nothing.contains("nothing to wrap"), "{nothing}");
}

#[test]
fn tokens_become_a_withdrawal_to_bitcoin_in_one_transaction() {
    let payments = Payments::new();
    payments.done(0, &["wrap", "5000 sat"], "");
    let words = ["unwrap", "4000 sat", "--to", PAYOUT, "--max-fee", "1000 sat", "--no-wait"];
    let queued = payments.done(0, &words, "");
    assert_eq!((&queued["event"], &queued["amount"]), (&"unwrapped".into(), &wei(4_000).into()));
    assert_eq!(queued["withdrawal"], 1);
    // Its owner, though the token asked for it.
    let cancelled = payments.node.causeway(&["--json", "cancel", "1", "--dev-account", "0"], "");
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    let gone = payments.refused(0, &["unwrap", "1001 sat"], "");
    assert!(gone.contains("has 0.00001 BTC of wrapped coins"), "{gone}");
    // Without a word of the maximum there is a sensible one, as for `peg-out`.
    payments.done(0, &["wrap", "99000 sat"], "");
    let usual = payments.pay(0, &["unwrap", "80000 sat", "--to", PAYOUT, "--no-wait"], "");
    assert_eq!((usual.code, &usual.json()[0]["withdrawal"]), (Some(0), &2.into()), "{usual}");
    assert!(usual.stderr.contains("Quote"), "{usual}");
}

/// It waits until it is killed, for nobody pays out here; what it told.
fn unwrap_interrupted(payments: &Payments, words: &[&str], until: &str) -> String {
    let url = payments.node.url();
    let fixed = ["pay", "unwrap", "--to", PAYOUT, "--dev-account", "0", "--yes", "--rpc", &url];
    binary::interrupted(&payments.node.home(), [&fixed[..], words].concat(), until)
}

#[test]
fn a_withdrawal_of_tokens_that_was_interrupted_while_it_waited_is_gone_on_with_and_not_made_twice() {
    let payments = Payments::new();
    payments.done(0, &["wrap", "60000 sat"], "");
    unwrap_interrupted(&payments, &["20000 sat"], "Withdrawal 1 queued");
    let again = unwrap_interrupted(&payments, &["20000 sat"], "going on with it");
    assert!(again.contains("Withdrawal 1 of yours is the same") && !again.contains("Quote"), "{again}");
    // Coins are not tokens: of these nothing was withdrawn yet.
    let coins = ["--json", "peg-out", "--amount", "20000 sat", "--to", PAYOUT, "--no-wait", "--dev-account", "0"];
    assert_eq!(payments.node.causeway(&coins, "").json()[0]["id"], 2);
    unwrap_interrupted(&payments, &["20000 sat", "--again"], "Withdrawal 3 queued");
    // The rest is another withdrawal; once nothing is left, all of it is under way.
    unwrap_interrupted(&payments, &["--all"], "Withdrawal 4 queued");
    unwrap_interrupted(&payments, &["--all"], "going on with it");
    payments.node.causeway(&["status", "5"], "").fails_saying(&["there is no withdrawal 5"]);
}

/// A token of the kind of Tether's: it answers nothing, has no authorizations, and changes an allowance only from or to nothing. Its maker has a million of it.
/// By solc 0.8.35 of:
///
/// ```solidity
/// contract Plain {
///     mapping(address => uint256) public balanceOf;
///     mapping(address => mapping(address => uint256)) public allowance;
///     constructor() { balanceOf[msg.sender] = 1_000_000; }
///     function approve(address spender, uint256 value) external {
///         require(value == 0 || allowance[msg.sender][spender] == 0, "to or from nothing");
///         allowance[msg.sender][spender] = value;
///     }
///     function transfer(address to, uint256 value) external { balanceOf[msg.sender] -= value; balanceOf[to] += value; }
///     function transferFrom(address from, address to, uint256 value) external {
///         allowance[from][msg.sender] -= value; balanceOf[from] -= value; balanceOf[to] += value;
///     }
/// }
/// ```
const PLAIN: &str = "6080604052348015600e575f5ffd5b50335f908152602081905260409020620f4240905561037f806100305f395ff3fe608060405234801561000f575f5ffd5b5060043610610055575f35\
    60e01c8063095ea7b31461005957806323b872dd1461006e57806370a0823114610081578063a9059cbb146100b2578063dd62ed3e146100c5575b5f5ffd5b61006c61006736600461028c\
    565b6100ef565b005b61006c61007c3660046102b4565b61018a565b6100a061008f3660046102ee565b5f6020819052908152604090205481565b60405190815260200160405180910390\
    f35b61006c6100c036600461028c565b61021e565b6100a06100d336600461030e565b600160209081525f928352604080842090915290825290205481565b80158061011c5750335f9081\
    526001602090815260408083206001600160a01b0386168452909152902054155b6101615760405162461bcd60e51b8152602060048201526012602482015271746f206f722066726f6d20\
    6e6f7468696e6760701b604482015260640160405180910390fd5b335f9081526001602090815260408083206001600160a01b039590951683529390529190912055565b6001600160a01b\
    0383165f908152600160209081526040808320338452909152812080548392906101bc908490610353565b90915550506001600160a01b0383165f90815260208190526040812080548392\
    906101e8908490610353565b90915550506001600160a01b0382165f908152602081905260408120805483929061021490849061036c565b9091555050505050565b335f90815260208190\
    5260408120805483929061023c908490610353565b90915550506001600160a01b0382165f908152602081905260408120805483929061026890849061036c565b90915550505050565b80\
    356001600160a01b0381168114610287575f5ffd5b919050565b5f5f6040838503121561029d575f5ffd5b6102a683610271565b946020939093013593505050565b5f5f5f606084860312\
    156102c6575f5ffd5b6102cf84610271565b92506102dd60208501610271565b929592945050506040919091013590565b5f602082840312156102fe575f5ffd5b61030782610271565b93\
    92505050565b5f5f6040838503121561031f575f5ffd5b61032883610271565b915061033660208401610271565b90509250929050565b634e487b7160e01b5f52601160045260245ffd5b\
    818103818111156103665761036661033f565b92915050565b808201808211156103665761036661033f56";

#[test]
fn a_channel_in_wrapped_coins_is_opened_by_one_signature_and_pays_in_them() {
    let payments = Payments::new();
    payments.done(0, &["wrap", "1000 sat"], "");
    let payee = DEVELOPER_1.to_string();
    let open = ["open", "--payee", &payee, "--token", "wrapped", "--amount"];
    let poor = payments.refused(0, &[&open[..], &["1001 sat"]].concat(), "");
    assert!(poor.contains("has 0.00001 BTC"), "{poor}");
    let opened = payments.done(0, &[&open[..], &["600 sat"]].concat(), "");
    assert_eq!((&opened["deposit"], &opened["payer"]), (&wei(600).into(), &checksummed(DEVELOPER_0)));
    let channel = opened["channel"].as_str().expect("an id");
    let voucher = payments.done(0, &["voucher", channel, "--total", "250 sat"], "").to_string();
    let claimed = payments.done(1, &["claim", "-"], &voucher);
    assert_eq!(claimed["amount"], wei(250));
    payments.done(1, &["unwrap", "250 sat"], "");
    let rest = payments.refused(0, &["unwrap", "401 sat"], "");
    assert!(rest.contains("has 0.000004 BTC of wrapped coins"), "{rest}");
}

#[test]
fn a_channel_in_any_token_is_opened_by_what_the_token_has_authorization_or_approval() {
    let payments = Payments::new();
    let plain = payments.deploy(hex::decode(PLAIN).expect("hex"));
    // Another wrapped coin, which has authorizations.
    let code = [WrappedBtc::BYTECODE.to_vec(), (BRIDGE, MICRO_CHANNEL).abi_encode()].concat();
    let signing = payments.deploy(code);
    let deposit = WrappedBtc::depositCall {};
    payments.transact(&Call::new(signing, &deposit).with_value(U256::from(1_000_000)));
    let payee = DEVELOPER_1.to_string();
    for token in [plain, signing] {
        let token = token.to_string();
        let open = ["open", "--payee", &payee, "--token", &token, "--units"];
        let poor = payments.refused(0, &[&open[..], &["1000001"]].concat(), "");
        assert!(poor.contains("has 1000000 units"), "{poor}");
        let opened = payments.done(0, &[&open[..], &["400000"]].concat(), "");
        assert_eq!(
            (&opened["deposit"], &opened["token"]),
            (&"400000".into(), &checksummed(token.parse().expect("an address")))
        );
        let channel = opened["channel"].as_str().expect("an id");
        let sat = payments.refused(0, &["voucher", channel, "--total", "250 sat"], "");
        assert!(sat.contains("by --units"), "{sat}");
        let voucher = payments.done(0, &["voucher", channel, "--units", "150000"], "").to_string();
        let claimed = payments.done(1, &["claim", "-"], &voucher);
        assert_eq!((&claimed["amount"], &claimed["token"]), (&"150000".into(), &opened["token"]));
        let status = payments.done(1, &["status", channel], "");
        assert_eq!((&status["claimed"], &status["state"]), (&"150000".into(), &"open".into()));
    }
    let in_sat =
        payments.refused(0, &["open", "--payee", &payee, "--token", &plain.to_string(), "--amount", "1 sat"], "");
    assert!(in_sat.contains("by --units"), "{in_sat}");
}

#[test]
fn channels_and_the_keys_of_their_vouchers_are_found_again_by_seed_and_chain_alone() {
    let payments = Payments::new();
    payments.open();
    let (payer, payee) = (DEVELOPER_0.to_string(), DEVELOPER_1.to_string());
    let seed = payments.file("payments.seed").display().to_string();
    let open = ["open", "--payee", &payee, "--amount", "500 sat", "--seed", &seed];
    let opened = [0, 1].map(|number| {
        let opened = payments.done(0, &open, "");
        assert_eq!(opened["number"], number);
        assert_ne!(opened["signer"], opened["payer"]);
        opened
    });
    let listed = payments.done(0, &["list", &payer, "--seed", &seed], "");
    let found = |name: &str| {
        listed["channels"].as_array().expect("a list").iter().map(|one| one[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("channel"), opened.each_ref().map(|opened| opened["channel"].clone()));
    assert_eq!(found("signer"), opened.each_ref().map(|opened| opened["signer"].clone()));
    assert_eq!(found("number"), [0, 1]);
    let all = payments.done(1, &["list", &payee, "--payee"], "");
    assert_eq!(all["channels"].as_array().map(Vec::len), Some(3));

    // The account's own key signs nothing here, the seed's does, and another seed's does not.
    let channel = opened[1]["channel"].as_str().expect("an id");
    let own = payments.refused(0, &["voucher", channel, "--total", "7 sat"], "");
    assert!(own.contains("is paid by"), "{own}");
    let voucher = payments.done(0, &["voucher", channel, "--total", "7 sat", "--seed", &seed, "--no-account"], "");
    let claimed = payments.done(1, &["claim", "-"], &voucher.to_string());
    assert_eq!(claimed["amount"], wei(7));
    let other = payments.file("other.seed");
    std::fs::write(&other, "07".repeat(32)).expect("written");
    let other = other.display().to_string();
    let none = payments.refused(0, &["voucher", channel, "--total", "8 sat", "--seed", &other, "--no-account"], "");
    assert!(none.contains("is not of the seed"), "{none}");
}

#[test]
fn a_command_that_ended_before_the_channel_of_its_seed_was_seen_opens_no_second_one() {
    let payments = Payments::new();
    let relay = Relay::before(&payments.node.url(), |method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            let answer = answer.as_object_mut().expect("an answer");
            answer.remove("result");
            answer.insert("error".into(), serde_json::json!({ "code": -32_000, "message": "the node is starting" }));
        }
    });
    let (payer, payee) = (DEVELOPER_0.to_string(), DEVELOPER_1.to_string());
    let seed = payments.file("payments.seed").display().to_string();
    let open = ["open", "--payee", &payee, "--amount", "500 sat", "--seed", &seed];
    std::fs::create_dir_all(payments.node.home()).expect("a folder");
    let by_relay = [&["pay"], &open[..], &["--dev-account", "0", "--rpc", &relay.url]].concat();
    binary::run(&payments.node.home(), by_relay, "").fails_saying(&["The same command"]);
    let number_of = |opened: &Value| opened["number"].clone();
    A_ROUND.until("it is in a block", String::new, || {
        let listed = payments.done(0, &["list", &payer], "");
        listed["channels"].as_array().filter(|all| !all.is_empty()).map(Vec::len)
    });
    assert_eq!(number_of(&payments.done(0, &open, "")), 0, "it goes on");
    assert_eq!(number_of(&payments.done(0, &open, "")), 1, "and the next is another");
    let listed = payments.done(0, &["list", &payer], "");
    assert_eq!(listed["channels"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_watchtower_claims_when_a_payer_starts_to_close_though_its_node_was_away_and_vouchers_came_later() {
    let payments = Payments::new();
    let channel = payments.open();
    let voucher = |total: &str| payments.done(0, &["voucher", &channel, "--total", total], "").to_string() + "\n";
    let (file, told) = (payments.file("vouchers.json"), payments.file("told.json"));
    std::fs::write(&file, voucher("10 sat")).expect("written");

    let away = Arc::new(AtomicBool::new(false));
    let is_away = away.clone();
    let relay = Relay::before(&payments.node.url(), move |_, _, answer| {
        if is_away.load(Ordering::SeqCst) {
            let answer = answer.as_object_mut().expect("an answer");
            answer.remove("result");
            answer.insert("error".into(), serde_json::json!({ "code": -32_000, "message": "the node is starting" }));
        }
    });
    let words = [
        "--json",
        "pay",
        "watch",
        &file.display().to_string(),
        "--every",
        "200ms",
        "--dev-account",
        "1",
        "--rpc",
        &relay.url,
    ]
    .map(str::to_owned);
    let mut command = binary::command(&payments.node.home(), words);
    let mut tower = Process::start(command.stdout(File::create(&told).expect("a file")));
    let until = |what: &str, looked_for: &dyn Fn(&Value) -> bool| {
        let events = || std::fs::read_to_string(&told).expect("it is there");
        A_ROUND.until(what, events, || {
            let text = events();
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).find(|event: &Value| looked_for(event))
        })
    };
    until("it watches", &|event| event["event"] == "watching" && unclaimed(event) == wei(10));
    let mut more = OpenOptions::new().append(true).open(&file).expect("the file");
    more.write_all(voucher("35 sat").as_bytes()).expect("written");
    until("it reads what came later", &|event| unclaimed(event) == wei(35));

    away.store(true, Ordering::SeqCst);
    until("it says that its node is away", &|event| event["event"] == "failed");
    payments.done(0, &["close", &channel], "");
    away.store(false, Ordering::SeqCst);
    let claimed = until("it claims", &|event| event["event"] == "claimed");
    assert_eq!((&claimed["amount"], &claimed["channels"][0]), (&wei(35).into(), &channel.as_str().into()));
    assert_eq!(tower.ended(), None, "it watches on");
    let status = payments.done(1, &["status", &channel], "");
    assert_eq!((&status["state"], &status["claimed"]), (&"closing".into(), &wei(35).into()));
}

#[test]
fn what_is_signed_in_all_and_what_is_sent_by_amounts_are_one_promise() {
    let payments = Payments::new();
    let channel = payments.open();
    let total = |voucher: &Value| voucher["cumulativeAmount"].as_str().expect("digits").to_owned();
    let signed = payments.done(0, &["voucher", &channel, "--total", "250 sat"], "");
    assert_eq!(total(&signed), wei(250));
    let sent = payments.done(0, &["send", &channel, "100 sat"], "");
    assert_eq!(total(&sent), wei(350), "added to it");
    let less = payments.refused(0, &["voucher", &channel, "--total", "349 sat"], "");
    assert!(less.contains("350 sat are promised") && less.contains("a larger total"), "{less}");
    assert_eq!(payments.done(0, &["voucher", &channel, "--total", "350 sat"], ""), sent, "the same again");
}

#[test]
fn a_watchtower_looks_often_enough_for_its_networks_delay() {
    let payments = Payments::new();
    let channel = payments.open();
    let (file, told) = (payments.file("vouchers.json"), payments.file("told.txt"));
    let voucher = payments.done(0, &["voucher", &channel, "--total", "10 sat"], "");
    std::fs::write(&file, format!("{voucher}\n")).expect("written");
    let (path, rpc) = (file.display().to_string(), payments.node.url());
    let words = ["pay", "watch", &path, "--every", "30days", "--dev-account", "1", "--rpc", &rpc].map(str::to_owned);
    let mut command = binary::command(&payments.node.home(), words);
    let _tower = Process::start(command.stderr(File::create(&told).expect("a file")));
    let text = || std::fs::read_to_string(&told).expect("it is there");
    let said = A_ROUND.until("it says how often it looks", text, || text().lines().next().map(str::to_owned));
    let delay: u64 = said.rsplit_once("after ").and_then(|(_, s)| s.strip_suffix(" s")?.parse().ok()).expect("seconds");
    assert!(said.starts_with(&format!("looking every {}ms, not every 30days", delay * 100)), "a tenth of it: {said}");
}

/// An address as JSON has it.
fn checksummed(account: Address) -> Value {
    serde_json::json!(account)
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let payments = Payments::new();
    let channel = payments.open();
    let none = format!("0x{}", "09".repeat(32));
    let cases: [(&[&str], &str); 5] = [
        (&["voucher", &channel, "--total", "100001 sat"], "the channel's deposit is"),
        (&["voucher", &none, "--total", "1 sat"], "there is no channel"),
        (&["claim", "nowhere.json"], "cannot read vouchers from"),
        (&["status", &none], "there is no channel"),
        (&["close", &channel, "--forfeit"], "you are the payer"),
    ];
    for (words, wanted) in cases {
        let error = payments.refused(0, words, "");
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
    let error = payments.refused(1, &["claim", "-"], "{\"channel\":1}");
    assert!(error.contains("line 1 is not a voucher"), "{error}");
    let stranger = payments.refused(2, &["close", &channel], "");
    assert!(stranger.contains("is between"), "{stranger}");
}
