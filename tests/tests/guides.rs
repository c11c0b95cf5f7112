//! What the guides tell readers to type works as it stands: each line of shell, and each file, on a network of its own. Only what a reader
//! types beside is put in: a passphrase, the yes to a question, and the words in capitals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::binary;
use tests::network::{Network, Options};
use tests::page::blocks;

/// Types a passphrase and a yes where `causeway` asks for them, lets no command wait for a payment that the next line makes, and keeps what is
/// shown for the words in capitals.
const READER: &str = r#"
set -eu
causeway() {
    words=()
    for word in "$@"; do
        [ "$word" = ME ] && word=$(cat me)
        [ "$word" = ADDRESS ] && word=$(cat address)
        words+=("$word")
    done
    case "$1 ${2:-}" in
        "keys account"|"peg-in "*|"peg-out "*) words+=(--passphrase-stdin) ;;
        "dev "*) case "$*" in *--data-dir*) ;; *) words+=(--data-dir "$NETWORK") ;; esac ;;
    esac
    case $1 in
        peg-in) words+=(--no-wait) ;;
        peg-out) words+=(--yes) ;;
    esac
    echo "\$ causeway $*" >&2
    # A reader types slower than a server starts.
    if [ "$1 ${2:-}" = "pay fetch" ]; then
        for _ in $(seq 150); do (exec 3<>/dev/tcp/127.0.0.1/8402) 2>/dev/null && break; sleep 0.2; done
    fi
    if [ "$1 ${2:-}" = "pay serve" ]; then exec "$CAUSEWAY" "${words[@]}"; fi
    echo 'lunar pocket anvil mustard tram' | "$CAUSEWAY" "${words[@]}" >shown || { cat shown; echo "FAILED: causeway $*" >&2; return 1; }
    cat shown
    grep -o '0x[0-9a-fA-F]\{40\}' shown >found || true
    if [ "$1 ${2:-}" = "keys account" ]; then head -1 found >me; fi
    sed -n 's/^Pay to *//p' shown >found
    if [ -s found ]; then cp found address; fi
}
cast() {
    words=()
    for word in "$@"; do [ "$word" = ME ] && word=$(cat me); words+=("$word"); done
    command cast "${words[@]}"
}
forge() {
    command forge "$@" >shown || { cat shown; return 1; }
    DEPLOYED=$(sed -n 's/^Deployed to: *//p' shown)
}
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
"#;

/// A page's blocks of shell, joined.
fn shell(page: &str) -> String {
    blocks(page).into_iter().filter(|(head, _)| head == "sh").map(|(_, text)| text).collect()
}

/// A page's blocks that have a file's name behind the language.
fn files(page: &str) -> Vec<(String, String)> {
    let named = blocks(page).into_iter().filter_map(|(head, text)| Some((head.split_once(' ')?.1.to_owned(), text)));
    named.collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a page's lines in a folder of its own, and gives what was shown.
fn read_and_type(network: &Network, page: &str, settings: &[(&str, String)]) -> String {
    let folder = network.home().join("reader");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(network.folder().join("genesis.json"), folder.join("genesis.json")).expect("copied");
    for (name, text) in files(page) {
        fs::write(folder.join(name), text).expect("written");
    }
    let (bitcoin, cookie) = network.bitcoin();
    let tools = root().join("tests/clients/node_modules");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("{READER}\n{}", before(page) + &shell(page))])
        .current_dir(&folder)
        .env("HOME", &folder)
        .env("PATH", format!("{}:{path}", tools.join(".bin").display()))
        .env("NODE_PATH", &tools)
        .env("CAUSEWAY", binary::path())
        .env("NETWORK", network.folder())
        .env("CAUSEWAY_RPC", network.rpc(1))
        .env("CAUSEWAY_BITCOIN", bitcoin)
        .env("CAUSEWAY_BITCOIN_COOKIE", cookie)
        .env("CAUSEWAY_HOME", folder.join("home"))
        .env_remove("XDG_DATA_HOME")
        .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = binary::end(command.spawn().expect("bash runs"), page);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{page}: {}\n{text}", output.status);
    text
}

/// What is there before a reader of the page begins.
fn before(page: &str) -> String {
    match page {
        // As on a machine on which Hardhat is installed, with a compiler that needs no download.
        "dapps.md" => format!(
            "ln -s '{0}/tests/clients/node_modules' node_modules\n\
             npx() {{ node_modules/.bin/\"$@\"; }}\n\
             cat >>hardhat.config.cjs <<'END'\n\
             const {{ subtask }} = require('hardhat/config');\n\
             const {{ TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD }} = require('hardhat/builtin-tasks/task-names');\n\
             subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async () => ({{ compilerPath: '{0}/contracts/node_modules/solc/soljson.js', isSolcJs: true, version: '0.8.35', longVersion: '0.8.35' }}));\n\
             END\n",
            root().canonicalize().expect("it is there").display()
        ),
        _ => String::new(),
    }
}

#[test]
fn an_owner_who_types_the_guide_has_bitcoin_in_and_out() {
    let network = Network::start(Options { block_interval: "1s", ..Options::default() });
    let shown = read_and_type(&network, "owners.md", &[]);
    for word in ["Pay to", "minted to", "paid 0.04", "All        ", "Bridge: ", "sidechain"] {
        assert!(shown.contains(word), "{word:?} is not shown: {shown}");
    }
}

#[test]
fn a_developer_who_types_the_guide_deploys_reads_the_peg_and_is_paid() {
    let network =
        Network::start(Options { block_interval: "1s", fund: true, validators: Some(1), ..Options::default() });
    let solc = root().join("contracts/solc.mjs").canonicalize().expect("it is there");
    let settings = [
        ("RPC", network.rpc(1)),
        ("KEY", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".to_owned()),
        ("FOUNDRY_SOLC", solc.display().to_string()),
        ("FOUNDRY_SRC", ".".to_owned()),
        ("FOUNDRY_OFFLINE", "true".to_owned()),
        ("FOUNDRY_EVM_VERSION", "prague".to_owned()),
        ("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1".to_owned()),
        ("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true".to_owned()),
    ];
    let shown = read_and_type(&network, "dapps.md", &settings);
    for word in ["Peg at 0x", "Bitcoin block", "contract Peg {"] {
        assert!(shown.contains(word), "{word:?} is not shown: {shown}");
    }
}

/// The screen of `causeway dev`: each line under "Try" works as it is printed.
#[test]
fn what_a_development_network_says_to_try_works() {
    let network = Network::start(Options { block_interval: "1s", fund: true, ..Options::default() });
    let log = || fs::read_to_string(network.home().join("dev.log")).expect("readable");
    let tried = network.until("the screen is shown", || {
        let tried = log().split_once("Try, in another terminal:\n")?.1.to_owned();
        tried.contains("causeway help").then_some(tried)
    });
    let lines: Vec<&str> = tried.lines().filter_map(|line| line.strip_prefix("  causeway ")).collect();
    assert!(lines.len() >= 7, "{tried}");
    let folder = network.home().join("reader");
    fs::create_dir_all(&folder).expect("a folder");
    for line in lines {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("{READER}\ncauseway {line}")])
            .current_dir(&folder)
            .env("HOME", &folder)
            .env("CAUSEWAY", binary::path())
            .env("NETWORK", network.folder())
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["CAUSEWAY_RPC", "CAUSEWAY_HOME", "CAUSEWAY_GENESIS", "CAUSEWAY_BITCOIN"] {
            command.env_remove(name);
        }
        let output = binary::end(command.spawn().expect("bash runs"), line);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "causeway {line}: {}\n{text}", output.status);
    }
}
