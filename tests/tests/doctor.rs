//! `causeway doctor` finds real faults, one after the other, on a real network, and says what to do about each.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::binary::{self, Finished};
use tests::bitcoind::{Bitcoind, executable};
use tests::known::REGTEST_ADDRESS;
use tests::network::{Network, Options};
use tests::port;
use tests::process::Process;
use tests::waiting::Patience;

const PATIENCE: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(300));

/// What was found wrong or doubtful: level, what, and all that is said of it.
fn found(doctor: &Finished) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(doctor.stdout.lines().next().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {doctor}"));
    let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().expect("a list").clone();
    // How much room there is on the disk is this machine's affair.
    let is_room = |check: &Value| check["what"] == "disk" && check["level"] == "doubtful";
    let bad = checks.into_iter().filter(|check| check["level"] != "fine" && !is_room(check));
    bad.map(|check| {
        (text(&check, "level"), text(&check, "what"), text(&check, "seen") + ": " + &text(&check, "advice"))
    })
    .collect()
}

/// It ends with the status that says so, finds exactly one thing wrong, and says these words about it.
fn finds(doctor: &Finished, what: &str, words: &[&str]) {
    assert_eq!(doctor.code, Some(3), "{doctor}");
    assert_eq!(doctor.json_error()["code"], "unwell", "{doctor}");
    let wrong: Vec<_> = found(doctor).into_iter().filter(|(level, ..)| level == "wrong").collect();
    assert_eq!(wrong.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), [what], "{doctor}");
    for word in words {
        assert!(wrong[0].2.contains(word), "it does not say {word:?}: {doctor}");
    }
}

/// An operator of the network, with copies of its configuration to break.
struct Operator<'a> {
    network: &'a Network,
    folder: std::path::PathBuf,
}

impl Operator<'_> {
    fn of(&self, node: &str, relayer: &str) -> Finished {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let arguments = ["doctor", "--json", "--node", &path(node), "--relayer", &path(relayer)];
        binary::run(self.network.home(), arguments, "")
    }

    /// Writes a configuration with one thing replaced; its name.
    fn broken(&self, name: &str, from: &str, to: &str) -> String {
        let text = fs::read_to_string(self.folder.join(name)).expect("readable");
        assert!(text.contains(from), "{from} is not in {text}");
        let broken = format!("broken-{name}");
        fs::write(self.folder.join(&broken), text.replace(from, to)).expect("written");
        broken
    }
}

#[test]
fn an_operators_faults_are_found_one_by_one() {
    let network = Network::start(Options { operators: 4, ..Options::default() });
    let operator = Operator { network: &network, folder: network.folder().join("operators/1") };
    let well = operator.of("node.toml", "relayer.toml");
    assert_eq!(well.code, Some(0), "{well}");
    assert_eq!(found(&well), [], "{well}");
    let human = binary::run(
        network.home(),
        ["doctor", "--relayer", &operator.folder.join("relayer.toml").display().to_string()],
        "",
    );
    assert!(
        human.stdout.lines().all(|line| line.starts_with("fine      relayer  ") || line.contains("  disk  ")),
        "{human}"
    );

    // The keystore of a relayer that everybody on the machine can copy.
    let keystore = operator.folder.join("operator.keystore");
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o644)).expect("ours");
    finds(&operator.of("node.toml", "relayer.toml"), "keystore", &["mode 644", "chmod 600", "operator.keystore"]);
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o600)).expect("ours");
    let other = operator.broken("relayer.toml", "operator.keystore", "validator.keystore");
    finds(&operator.of("node.toml", &other), "keystore", &["kind validator, wanted operator"]);

    // A disk on which nothing can be written.
    let full = operator.broken("relayer.toml", "data_dir = \"", "data_dir = \"/proc/");
    finds(&operator.of("node.toml", &full), "disk", &["/proc/", "make room"]);

    // A cookie that is not this bitcoind's, and one that is not there.
    let cookie = "../../bitcoin/regtest/.cookie";
    let junk = network.home().join("cookie");
    fs::write(&junk, "__cookie__:00").expect("written");
    let wrong = operator.broken("relayer.toml", cookie, &junk.display().to_string());
    finds(&operator.of("node.toml", &wrong), "cookie", &["refuses", "data directory", "relayer.toml"]);
    let none = operator.broken("relayer.toml", cookie, "/nowhere/.cookie");
    finds(&operator.of("node.toml", &none), "cookie", &["/nowhere/.cookie", "start bitcoind"]);

    // A configuration with a key that means nothing.
    let misspelt = operator.broken("node.toml", "data_dir", "datadir");
    finds(&operator.of(&misspelt, "relayer.toml"), "config", &["datadir", "causeway help node"]);

    // Two of four validators away: too few for blocks. The relayer's node is this operator's own, and stands still.
    network.kill("validator-3");
    network.kill("validator-4");
    finds(&operator.of("node.toml", "relayer.toml"), "peers", &["1 of 3 other validators", "too few"]);
    network.restart("validator-3");
    network.restart("validator-4");
    PATIENCE.until("they take connections again", String::new, || {
        (operator.of("node.toml", "relayer.toml").code == Some(0)).then_some(())
    });

    // The node is down, and something else took its port.
    let rpc = network.rpc(1);
    network.kill("validator-1");
    let down = operator.of("node.toml", "relayer.toml");
    finds(&down, "sidechain", &["does not answer", "start the node"]);
    let listener =
        PATIENCE.until("the port is free", String::new, || TcpListener::bind(rpc.strip_prefix("http://")?).ok());
    let taken = operator.of("node.toml", "relayer.toml");
    let wrong: Vec<_> = found(&taken).into_iter().filter(|(level, ..)| level == "wrong").collect();
    assert!(
        wrong.iter().any(|(_, what, said)| what == "port" && said.contains("taken") && said.contains("ss -ltnp")),
        "{taken}"
    );
    drop(listener);
    network.restart("validator-1");

    network.kill("bitcoind");
    let off = PATIENCE.until("the node answers", String::new, || {
        let doctor = operator.of("node.toml", "relayer.toml");
        let wrong = found(&doctor).iter().filter(|(level, ..)| level == "wrong").count();
        (wrong == 1).then_some(doctor)
    });
    finds(&off, "bitcoind", &["start it", "relayer.toml"]);
}

#[test]
fn a_users_faults_are_found_too() {
    let network = Network::start(Options { operators: 2, threshold: 2, ..Options::default() });
    let genesis = network.folder().join("genesis.json");
    let doctor =
        |genesis: &Path| network.causeway(&["doctor", "--json", "--genesis", genesis.to_str().expect("UTF-8")]);
    let well = doctor(&genesis);
    assert_eq!((well.code, found(&well)), (Some(0), vec![]), "{well}");

    let text = fs::read_to_string(&genesis).expect("readable");
    let mut other: Value = serde_json::from_str(&text).expect("JSON");
    other["timestamp"] = (other["timestamp"].as_u64().expect("a number") - 1).into();
    let wrong = network.home().join("other.json");
    fs::write(&wrong, other.to_string()).expect("written");
    finds(&doctor(&wrong), "genesis", &["is of network", "the genesis file makes"]);
    finds(&doctor(&network.home().join("none.json")), "genesis", &["cannot read", "from the operators"]);
    let down = network.causeway(&["doctor", "--json", "--rpc", "http://127.0.0.1:1"]);
    finds(&down, "sidechain", &["does not answer", "--rpc"]);

    // A record with the key that takes a deposit back, open to others.
    let peg_in = ["peg-in", "--no-wait", "--to", &tests::known::DEVELOPER_0.to_string(), "--passphrase-stdin"];
    let home = network.home().join("user");
    let (rpc, folder) = (network.rpc(1), home.to_str().expect("UTF-8"));
    let made =
        binary::run(network.home(), [&peg_in[..], &["--rpc", &rpc, "--home", folder]].concat(), "correct horse\n");
    assert_eq!(made.code, Some(0), "{made}");
    let record = fs::read_dir(home.join("deposits")).expect("made").flatten().next().expect("a record").path();
    fs::set_permissions(&record, fs::Permissions::from_mode(0o640)).expect("ours");
    finds(&doctor(&genesis), "keystore", &["mode 640", "chmod 600"]);
    fs::set_permissions(&record, fs::Permissions::from_mode(0o600)).expect("ours");
    // The folder was made for its owner alone.
    let in_home = || binary::run(network.home(), ["doctor", "--json", "--rpc", &rpc, "--home", folder], "");
    let of_folder = |doctor: &Finished| {
        let of_folder = found(doctor).into_iter().filter(|(_, what, _)| what == "folder");
        of_folder.map(|(level, _, said)| (level, said)).collect::<Vec<_>>()
    };
    assert_eq!(of_folder(&in_home()), []);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("ours");
    let seen = of_folder(&in_home());
    assert!(seen.len() == 1 && seen[0].0 == "doubtful" && seen[0].1.contains("chmod 700"), "{seen:?}");
}

#[tokio::test]
async fn a_bitcoind_that_is_pruned_or_on_another_network_is_told() {
    let network = Network::start(Options { operators: 2, threshold: 2, ..Options::default() });
    let operator = Operator { network: &network, folder: network.folder().join("operators/1") };
    let (url, cookie) = (network.bitcoin().0, "../../bitcoin/regtest/.cookie");
    let other = |with_url: &str, with_cookie: &str| {
        let named = operator.broken("relayer.toml", &url, with_url);
        fs::copy(operator.folder.join(&named), operator.folder.join("other.toml")).expect("copied");
        let named = operator.broken("other.toml", cookie, with_cookie);
        operator.of("node.toml", &named)
    };
    let pruned = Bitcoind::start_with(&["-prune=1", "-fastprune"]).await;
    let nobody: bitcoin::Address<_> = REGTEST_ADDRESS.parse().expect("an address");
    pruned.rpc().generate(1_200, &nobody.assume_checked()).await.expect("regtest mines");
    let _height: u64 = pruned.rpc().call("pruneblockchain", serde_json::json!([1_100])).await.expect("pruned");
    let told = other(&pruned.url(), &pruned.cookie().display().to_string());
    let found = found(&told);
    assert_eq!((told.code, found.len()), (Some(0), 1), "{told}");
    assert!(found[0].1 == "pruned" && found[0].2.contains("wanted 504"), "{told}");

    let (folder, rpc) = (TempDir::new().expect("a folder"), port::free());
    let mut command = Command::new(executable());
    command.arg(format!("-datadir={}", folder.path().display())).arg(format!("-rpcport={rpc}"));
    command.args(["-signet", "-connect=0", "-listen=0", "-dnsseed=0"]);
    let _signet = Process::start(command.stdout(std::process::Stdio::null()));
    let (with_url, with_cookie) = (format!("http://127.0.0.1:{rpc}"), folder.path().join("signet/.cookie"));
    let told = PATIENCE.until("bitcoind answers", String::new, || {
        let told = other(&with_url, &with_cookie.display().to_string());
        told.stdout.contains("is on signet").then_some(told)
    });
    finds(&told, "bitcoind", &["is on signet, this network's bitcoin is on regtest", "relayer.toml"]);
}
