//! What an operator's monitoring sees of real nodes and relayers: every metric that an alert or the dashboard names is there, a quiet network wakes
//! nobody, and what is broken is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::http::{self, Answer};
use tests::network::{Network, Options};
use tests::prometheus::{Prometheus, hurried, promtool};
use tests::validators::Validators;
use tests::waiting::Patience;
use tests::{page, port};

/// Minutes of a quiet network are seconds here.
const QUIET: Duration = Duration::from_secs(60);

/// The addresses on the page.
const NODE: &str = "127.0.0.1:9101";
const RELAYER: &str = "127.0.0.1:9102";

/// A network whose nodes and relayers tell how they are.
struct Watched {
    network: Network,
    /// URLs by operator.
    nodes: Vec<String>,
    relayers: Vec<String>,
}

impl Watched {
    fn start() -> Self {
        let network = Network::start(Options { block_interval: "5s", ..Options::default() });
        let (mut nodes, mut relayers) = (Vec::new(), Vec::new());
        for index in 1..=network.operators() {
            let folder = network.folder().join(format!("operators/{index}"));
            let (node, relayer) = (format!("127.0.0.1:{}", port::free()), format!("127.0.0.1:{}", port::free()));
            edit(&folder.join("node.toml"), |text| text + &shown("toml", "# node.toml", &node, &relayer));
            edit(&folder.join("relayer.toml"), |text| shown("toml", "# relayer.toml", &node, &relayer) + &text);
            for name in [format!("relayer-{index}"), format!("validator-{index}")] {
                network.kill(&name);
            }
            for name in [format!("validator-{index}"), format!("relayer-{index}")] {
                network.restart(&name);
            }
            nodes.push(format!("http://{node}"));
            relayers.push(format!("http://{relayer}"));
        }
        let watched = Self { network, nodes, relayers };
        for url in watched.nodes.iter().chain(&watched.relayers) {
            watched.until_ready(url);
        }
        watched
    }

    fn until_ready(&self, url: &str) {
        self.network.until("it is ready", || (get(url, "/readyz")?.status == 200).then_some(()));
    }

    /// All metrics of the first operator's node and relayer.
    fn pages(&self) -> [String; 2] {
        [&self.nodes[0], &self.relayers[0]].map(|url| get(url, "/metrics").expect("it answers").body)
    }
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).expect("written by the network");
    fs::write(path, change(text)).expect("writable");
}

/// A block of docs/operators.md, with these addresses in the place of its own.
fn shown(language: &str, words: &str, node: &str, relayer: &str) -> String {
    let block = page::block("operators.md", language, words);
    assert!(block.contains(NODE) || block.contains(RELAYER), "{block}");
    block.replace(NODE, node).replace(RELAYER, relayer)
}

/// None while nobody listens.
fn get(url: &str, path: &str) -> Option<Answer> {
    std::net::TcpStream::connect(url.strip_prefix("http://").expect("a URL")).ok()?;
    Some(http::send(url, "GET", path, &[], b"")).filter(|answer| answer.status != 0)
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bridge/cli/operator").join(name)
}

fn rules() -> String {
    fs::read_to_string(file("alerts.yml")).expect("in the repository")
}

/// The metrics that expressions name.
fn named(expressions: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expressions.split(|c| !word(c)).filter(|word| word.contains('_'));
    words.filter(|word| word.starts_with("causeway_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// Of the dashboard.
fn expressions(panels: &Value, found: &mut String) {
    match panels {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                *found += expression;
                found.push('\n');
            }
            fields.values().for_each(|item| expressions(item, found));
        }
        _ => {}
    }
}

#[test]
fn a_quiet_network_wakes_nobody_and_what_breaks_is_told() {
    let watched = Watched::start();
    every_metric_that_is_named_is_there(&watched);
    the_page_s_commands_answer(&watched);
    let hosts = |urls: &[String]| urls.concat().replacen("http://", "", 1).replace("http://", "\", \"");
    let jobs = shown("yaml", "scrape_configs", &hosts(&watched.nodes), &hosts(&watched.relayers));
    let jobs = jobs.replace("/usr/share/causeway/alerts.yml", "rules.yml");
    let prometheus = Prometheus::start(&watched.network.home().join("prometheus"), &hurried(&rules()), &jobs);

    let began = Instant::now();
    let mut fired = BTreeSet::new();
    while began.elapsed() < QUIET {
        fired.extend(prometheus.firing());
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(fired.is_empty(), "{fired:?} on a quiet network: {}", prometheus.api("/api/v1/alerts"));
    every_rule_was_evaluated(&prometheus);

    a_bitcoind_that_is_away_is_told(&watched, &prometheus);
    watched.network.kill("validator-4");
    until_firing(&watched, &prometheus, "CausewayNodeDown");
    for url in &watched.nodes[..3] {
        assert_eq!(get(url, "/readyz").map(|answer| answer.status), Some(200), "three of four are enough");
    }
}

/// As an operator types them.
fn the_page_s_commands_answer(watched: &Watched) {
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let lines = shown("sh", "/readyz", &host(&watched.nodes[0]), &host(&watched.relayers[0]));
    for line in lines.lines() {
        let said = std::process::Command::new("bash").args(["-c", line]).output().expect("bash runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let is_right = if line.ends_with("/metrics") {
            text.contains("\ncauseway_relayer_ready 1\n")
        } else {
            text.contains("\"ready\"")
        };
        assert!(said.status.success() && is_right, "{line}: {} {text}", said.status);
    }
}

fn every_metric_that_is_named_is_there(watched: &Watched) {
    let dashboard = fs::read_to_string(file("dashboard.json")).expect("in the repository");
    let mut all = String::new();
    expressions(&serde_json::from_str(&dashboard).expect("JSON"), &mut all);
    let rules = rules();
    let lines = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.for_each(|line| all = format!("{all}{line}\n"));
    let names = named(&all);
    assert!(names.len() > 40, "{names:?}");
    let pages = watched.pages();
    for page in &pages {
        let complaints = promtool(&["check", "metrics"], page);
        assert_eq!(complaints.as_deref().map(str::trim), Ok(""), "promtool check metrics");
    }
    let whole = pages.concat();
    let is_there = |name: &&String| {
        let sample = |line: &str| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([' ', '{']));
        // One that has a sample for each member that is waited for has none now.
        !whole.lines().any(sample) && !whole.contains(&format!("# TYPE {name} "))
    };
    let missing: Vec<_> = names.iter().filter(is_there).collect();
    assert!(missing.is_empty(), "{missing:?} in {whole}");
}

fn every_rule_was_evaluated(prometheus: &Prometheus) {
    let groups = prometheus.api("/api/v1/rules")["groups"].clone();
    let rules = groups.as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().cloned());
    let rules: Vec<Value> = rules.flatten().collect();
    assert!(rules.len() >= 20, "{} rules", rules.len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

fn a_bitcoind_that_is_away_is_told(watched: &Watched, prometheus: &Prometheus) {
    let relayer = &watched.relayers[0];
    watched.network.kill("bitcoind");
    let answer =
        watched.network.until("it is not ready", || get(relayer, "/readyz").filter(|answer| answer.status == 503));
    assert_eq!(answer.body.lines().count(), 1, "{answer:?}");
    let told = answer.json();
    assert_eq!((&told["status"], &told["reasons"][0]["reason"]), (&"not ready".into(), &"bitcoind".into()), "{told}");
    assert_eq!(get(relayer, "/livez").map(|answer| answer.status), Some(200), "a restart would not help");
    assert_eq!(get(&watched.nodes[0], "/readyz").map(|answer| answer.status), Some(200), "a node does without");
    until_firing(watched, prometheus, "CausewayRelayerBitcoindDown");
    watched.network.restart("bitcoind");
    watched.until_ready(relayer);
    watched.network.until("no alert fires any more", || prometheus.firing().is_empty().then_some(()));
}

fn until_firing(watched: &Watched, prometheus: &Prometheus, alert: &str) {
    watched.network.until(alert, || prometheus.firing().iter().any(|firing| firing == alert).then_some(()));
}

#[test]
fn the_page_s_configuration_of_prometheus_is_sound_with_the_rules_that_come_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("prometheus.yml");
    let rules = file("alerts.yml").canonicalize().expect("in the repository").display().to_string();
    let shown = page::block("operators.md", "yaml", "scrape_configs");
    assert!(shown.contains("/usr/share/causeway/alerts.yml"), "where the package puts it");
    fs::write(&config, shown.replace("/usr/share/causeway/alerts.yml", &rules)).expect("writable");
    let said = promtool(&["check", "config", &config.display().to_string()], "").expect("sound");
    assert!(said.contains("1 rule files found") && said.contains("rules found"), "{said}");
}

#[test]
fn the_rules_are_sound_and_each_names_its_reason_and_a_heading_of_the_runbook() {
    promtool(&["check", "rules", &file("alerts.yml").display().to_string()], "").expect("sound");
    let rules = rules();
    let count = |what: &str| rules.lines().filter(|line| line.trim_start().starts_with(what)).count();
    let alerts = count("- alert: ");
    assert!(alerts >= 20);
    for field in ["summary: ", "reason: ", "runbook: docs/runbook.md#"] {
        assert_eq!(count(field), alerts, "{field}");
    }
    let runbook = fs::read_to_string(file("../../../docs/runbook.md")).expect("in the repository");
    let headings: BTreeSet<String> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let linked = rules.lines().filter_map(|line| line.trim_start().strip_prefix("runbook: docs/runbook.md#"));
    for heading in linked {
        assert!(headings.contains(heading), "the runbook has no {heading}: {headings:?}");
    }
}

/// As GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// As `systemctl reload` does it.
fn hang_up(process: u32) {
    let sent = std::process::Command::new("kill").args(["-HUP", &process.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn the_log_s_filter_is_read_again_without_a_restart_and_a_node_stops_in_order() {
    let mut network = Validators::new(4);
    network.configure(0, "log = \"warn\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n");
    (0..4).for_each(|index| network.start(index));
    let until = |network: &Validators, what: &str, holds: &dyn Fn(&Validators) -> bool| {
        let patience = Patience::new(Duration::from_secs(60), Duration::from_millis(100));
        patience.until(what, || network.log(0), || holds(network).then_some(()));
    };
    until(&network, "it makes blocks", &|network| network.head(0) >= 2);
    assert!(!network.log(0).contains("block final"), "{}", network.log(0));
    edit(&network.config(0), |text| text.replace("log = \"warn\"", "log = \"info,sidechain=debug,commonware=warn\""));
    hang_up(network.process(0));
    until(&network, "it logs blocks", &|network| network.log(0).contains("block final"));
    edit(&network.config(0), |text| text.replace("log = \"info,sidechain=debug,commonware=warn\"", "log = \"=,=\""));
    hang_up(network.process(0));
    until(&network, "it says what is wrong", &|network| {
        network.log(0).contains("the log's filter stays: log = \"=,=\"")
    });
    let began = Instant::now();
    assert_eq!(network.stop(0).code(), Some(0), "{}", network.log(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(network.log(0).contains("stopping"), "{}", network.log(0));
}
