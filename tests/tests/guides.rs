//! What the guides tell readers to type works as it stands: each line of shell, and each file, on a network of its own. Only what a reader
//! types beside is put in: a passphrase, the yes to a question, and the words in capitals. The owners' guide is typed at a terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::binary;
use tests::known::DEVELOPER_1;
use tests::network::{Network, Options};
use tests::page::blocks;

/// Types a passphrase and a yes where `causeway` asks for them, lets no command wait for a payment that the next line makes, and keeps what is
/// shown for the words in capitals.
const READER: &str = r#"
set -eu
causeway() {
    words=()
    for word in "$@"; do
        [ "$word" = ADDRESS ] && word=$(cat address)
        words+=("$word")
    done
    case "$1 ${2:-}" in
        "peg-in "*|"peg-out "*) words+=(--passphrase-stdin) ;;
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
    sed -n 's/^Pay to *//p' shown >found
    if [ -s found ]; then cp found address; fi
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

/// A reader's folder, with the genesis file and the page's files in it.
fn desk(network: &Network, page: &str) -> PathBuf {
    let folder = network.home().join("reader");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(network.folder().join("genesis.json"), folder.join("genesis.json")).expect("copied");
    for (name, text) in files(page) {
        fs::write(folder.join(name), text).expect("written");
    }
    folder
}

/// What a reader sits at: a folder, and the network.
fn seated(program: &str, network: &Network, folder: &Path) -> Command {
    let (bitcoin, cookie) = network.bitcoin();
    let tools = root().join("tests/clients/node_modules");
    let path = std::env::var("PATH").unwrap_or_default();
    let built = binary::path();
    let built = built.parent().expect("in a folder").display();
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("PATH", format!("{built}:{}:{path}", tools.join(".bin").display()))
        .env("NODE_PATH", &tools)
        .env("CAUSEWAY_RPC", network.rpc(1))
        .env("CAUSEWAY_BITCOIN", bitcoin)
        .env("CAUSEWAY_BITCOIN_COOKIE", cookie)
        .env("CAUSEWAY_HOME", folder.join("home"))
        .env_remove("XDG_DATA_HOME");
    command
}

/// Types a page's lines at a terminal and answers what is asked there; what was shown, and how often which prompt was answered.
fn type_at_a_terminal(network: &Network, page: &str) -> (String, Value) {
    let folder = desk(network, page);
    let settings = json!({
        "passphrase": "lunar pocket anvil mustard tram",
        "friend": DEVELOPER_1,
        "network": network.folder(),
    });
    let (file, lines) = (network.home().join("typist.json"), network.home().join("lines"));
    fs::write(&file, settings.to_string()).expect("written");
    fs::write(&lines, shell(page)).expect("written");
    let typist = root().join("tests/clients/typist.py").canonicalize().expect("it is there");
    let mut command = seated("python3", network, &folder);
    command.arg(typist).arg(&file).stdin(fs::File::open(&lines).expect("readable"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = binary::end(command.spawn().expect("python3 runs"), page);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{page}: {}\n{text}\n{errors}", output.status);
    let answered = text.lines().last().unwrap_or_default();
    let answered = serde_json::from_str(answered).unwrap_or_else(|error| panic!("{error}: {text}"));
    (text.into_owned(), answered)
}

/// Runs a page's lines in a folder of its own, and gives what was shown.
fn read_and_type(network: &Network, page: &str, settings: &[(&str, String)]) -> String {
    let folder = desk(network, page);
    let mut command = seated("bash", network, &folder);
    command
        .args(["-c", &format!("{READER}\n{}", before(page) + &shell(page))])
        .env("CAUSEWAY", binary::path())
        .env("NETWORK", network.folder())
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
    let (shown, answered) = type_at_a_terminal(&network, "owners.md");
    let words = [
        "Write these words down",
        "These words make the wallet again",
        "Pay to",
        "minted to",
        "Gas        at most",
        "paid 0.049",
        "paid 0.039",
        "All        ",
        "Bridge: ",
        "deposit addresses found",
        "proven by the validators",
        // Of an account that was emptied.
        "left  0 BTC",
    ];
    for word in words {
        assert!(shown.contains(word), "{word:?} is not shown: {shown}");
    }
    // Each was asked for at the terminal: by the wallet that was made, by its check, and by the one that was made again.
    let asked = |what: &str| answered[what].as_u64().unwrap_or_default();
    assert_eq!((asked("some words"), asked("all words"), asked("the same again")), (1, 2, 3), "{shown}");
    assert!(asked("yes") >= 4 && asked("passphrase") >= 7, "{answered}: {shown}");
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
