//! A log says once what is wrong, and once when it is right again: with a peer, a quorum, a bitcoind and a node that are away for longer than anybody
//! asks for them once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::binary;
use tests::network::{Network, Options};
use tests::process::Process;
use tests::validators::Validators;

/// What the keystores of a development network are sealed with.
const PASSPHRASE: &str = "causeway-dev";
/// Twenty times as long as the time after which a node or a bitcoind is asked again, and longer than the node looks at itself six times.
const AWAY: Duration = Duration::from_secs(35);

/// Lines of one kind: with a level, and without time, fields and numbers.
fn counts(log: &str, level: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let is_of_kind = |word: &&str| !word.contains('=') && word.contains(char::is_alphabetic);
    for line in log.lines() {
        let Some((_, text)) = line.split_once(&format!(" {level} ")) else { continue };
        let kind: Vec<&str> = text.split(' ').filter(is_of_kind).collect();
        *counts.entry(kind.join(" ")).or_default() += 1;
    }
    counts
}

/// No trouble is told twice.
fn is_told_once(log: &str) {
    for level in ["WARN", "ERROR"] {
        let twice: Vec<_> = counts(log, level).into_iter().filter(|(_, count)| *count > 1).collect();
        assert!(twice.is_empty(), "told again and again: {twice:?} in\n{log}");
    }
}

fn says(log: &str, words: &str) -> usize {
    log.matches(words).count()
}

#[test]
fn a_validator_says_once_who_is_away_and_that_the_chain_stands_still_and_once_that_it_is_over() {
    let mut network = Validators::started(4);
    let before = network.log(0).len();
    let log = |network: &Validators| network.log(0)[before..].to_owned();
    network.kill(3);
    network
        .wait("it says who is away", |network| says(&log(network), "no connection to operator-4 at 127.0.0.1:") == 1);
    network.kill(2);
    network.wait("it says that the chain stands still", |network| log(network).contains("the head is "));
    std::thread::sleep(AWAY);
    is_told_once(&log(&network));
    network.start(2);
    network.start(3);
    for over in
        ["no longer: no connection to operator-3", "no longer: no connection to operator-4", "no longer: the head is "]
    {
        network.wait(over, |network| says(&log(network), over) == 1);
    }
    is_told_once(&log(&network));
}

/// A relayer of a network, in the place of the network's own.
struct Relayer {
    process: Process,
    log: PathBuf,
}

impl Relayer {
    fn start(network: &Network, index: usize) -> Self {
        network.kill(&format!("relayer-{index}"));
        let log = network.home().join("relayer.log");
        let config = network.folder().join(format!("operators/{index}/relayer.toml"));
        let arguments = [Path::new("relayer"), Path::new("--config"), &config, Path::new("--passphrase-stdin")];
        let mut command = binary::command(network.home(), arguments);
        let file = File::create(&log).expect("writable");
        command.stdin(Stdio::piped()).stdout(file.try_clone().expect("a file can be shared")).stderr(file);
        let mut process = Process::start(&mut command);
        writeln!(process.stdin(), "{PASSPHRASE}").expect("it reads its passphrase");
        Self { process, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

#[test]
fn a_relayer_says_once_that_bitcoind_or_its_node_is_away_and_once_that_it_is_back_and_stops_in_order() {
    let network = Network::start(Options { block_interval: "5s", ..Options::default() });
    let mut relayer = Relayer::start(&network, 1);
    network.until("it has its key", || relayer.log().contains("the federation's key is in force").then_some(()));
    let outages = [
        ("bitcoind", " WARN bitcoind at ", "bitcoind is back"),
        ("validator-1", " WARN the sidechain node at ", "the sidechain node is back"),
    ];
    for (name, away, back) in outages {
        let before = relayer.log().len();
        let log = || relayer.log()[before..].to_owned();
        network.kill(name);
        network.until(away, || (says(&log(), away) == 1).then_some(()));
        std::thread::sleep(AWAY);
        assert_eq!((says(&log(), away), says(&log(), back)), (1, 0), "{}", log());
        network.restart(name);
        network.until(back, || (says(&log(), back) == 1).then_some(()));
        is_told_once(&log());
    }
    // It read all that is open again meanwhile, as it does each minute.
    assert_eq!(says(&relayer.log(), "the federation's key is in force"), 1, "{}", relayer.log());
    assert_eq!(says(&relayer.log(), " is back"), outages.len(), "{}", relayer.log());

    let began = Instant::now();
    let sent = std::process::Command::new("kill").args(["-TERM", &relayer.process.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let status = network.until("it stops", || relayer.process.ended());
    assert_eq!(status.code(), Some(0), "{}", relayer.log());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(relayer.log().contains("relayer stopped"), "{}", relayer.log());
}
