//! The command line refuses bad input with an error that says what was seen, what was wanted, and what to do; nothing is
//! left behind. None of these needs a network.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, MAINNET_ADDRESS, REGTEST_ADDRESS};

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn causeway(arguments: &[&str]) -> Finished {
    binary::run(home().path(), arguments, "")
}

#[test]
fn the_help_names_every_command_and_each_has_an_example() {
    let help = causeway(&["--help"]);
    assert_eq!(help.code, Some(0), "{help}");
    let commands = [
        "peg-in",
        "peg-out",
        "status",
        "raise",
        "cancel",
        "refund",
        "claim",
        "bump",
        "reclaim",
        "register",
        "wallet",
        "pay",
        "audit",
        "keys",
        "genesis",
        "node",
        "relayer",
        "pause",
        "lift",
        "dev",
        "demo",
        "headers",
        "doctor",
        "help",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command} is not in the help");
        let own = causeway(&[command, "--help"]);
        assert_eq!(own.code, Some(0), "{own}");
        assert!(own.stdout.contains("Example"), "causeway {command} --help has no example");
    }
}

#[test]
fn help_by_words_is_what_the_option_shows_and_a_wrong_word_is_told_the_right_one() {
    for words in [&["peg-in"][..], &["pay", "open"], &["keys", "operator"], &["dev", "mine"], &[]] {
        let by_words = causeway(&[&["help"], words].concat());
        let by_option = causeway(&[words, &["--help"]].concat());
        assert_eq!((by_words.code, &by_words.stdout), (Some(0), &by_option.stdout), "{words:?}: {by_words}");
    }
    assert_eq!(causeway(&["wallet", "help", "create"]).stdout, causeway(&["wallet", "create", "--help"]).stdout);
    causeway(&["wallet", "help", "crate"]).is_misused_saying(&["unrecognized subcommand", "'create'"]);
    causeway(&["help", "stats"]).is_misused_saying(&["unrecognized subcommand", "'status'"]);
    causeway(&["help", "pay", "opne"]).is_misused_saying(&["unrecognized subcommand", "'open'"]);
    causeway(&["pegin"]).is_misused_saying(&["'peg-in'"]);
    causeway(&["status", "--jsn"]).is_misused_saying(&["'--json'"]);
    let codes = causeway(&["help", "exit-codes"]);
    assert!(codes.stdout.contains("a satoshi is missing") && codes.stdout.contains("\"error\""), "{codes}");
}

#[test]
fn usage_lines_name_what_must_be_given_and_nothing_that_the_environment_gives() {
    let home = home();
    let usages: [(&[&str], &str); 5] = [
        (&["status", "--bogus"], "Usage: causeway status [OPTIONS] [ID]\n"),
        (&["bump", "--bogus"], "Usage: causeway bump [OPTIONS] <TXID>\n"),
        (&["reclaim"], "Usage: causeway reclaim [OPTIONS] --to <ADDRESS> <ADDRESS>\n"),
        (&["audit", "--bogus"], "Usage: causeway audit [OPTIONS]\n"),
        (&["pay", "list", "--bogus"], "Usage: causeway pay list [OPTIONS] <ADDRESS>\n"),
    ];
    for (arguments, usage) in usages {
        let mut command = binary::command(home.path(), arguments);
        command.env("CAUSEWAY_RPC", NOBODY).env("CAUSEWAY_GENESIS", "genesis.json").env("CAUSEWAY_BITCOIN", NOBODY);
        let refused = Finished::from(command.output().expect("the binary starts"));
        assert!(refused.code == Some(2) && refused.stderr.contains(usage), "{refused}");
        let help = [&arguments[..1], &["--help"]].concat();
        let help = if arguments[0] == "pay" { vec!["pay", "list", "--help"] } else { help };
        assert!(causeway(&help).stdout.contains(usage), "{help:?}");
    }
}

#[test]
fn whatever_stops_a_command_is_one_object_under_json() {
    let down = causeway(&["status", "--json", "--rpc", NOBODY]);
    assert_eq!((down.code, down.stdout.as_str()), (Some(1), ""), "{down}");
    let error = down.json_error();
    assert_eq!((&error["code"], &error["help"]), (&"node".into(), &"causeway help status".into()), "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(NOBODY)), "{error}");
    let home = home();
    let file = home.path().join("genesis.json");
    fs::write(&file, "{}").expect("written");
    let file = file.to_str().expect("UTF-8");
    let failures: [(&[&str], i32, &str); 22] = [
        (&["--json", "stats"], 2, "usage"),
        (&["peg-out", "--amount", "5", "--json"], 2, "usage"),
        (&["--json"], 2, "usage"),
        (&["help", "nothing", "--json"], 2, "usage"),
        (&["pay", "nothing", "--json"], 2, "usage"),
        (&["reclaim", REGTEST_ADDRESS, "--to", REGTEST_ADDRESS, "--json"], 1, "failed"),
        (&["genesis", "--show", file, "--json"], 1, "failed"),
        (&["bump", "7", "--json"], 2, "usage"),
        (&["raise", "7", "--json"], 2, "usage"),
        (&["cancel", "-1", "--json"], 2, "usage"),
        (&["refund", "seven", "--json"], 2, "usage"),
        (&["claim", "--keystore", "none", "--json"], 1, "failed"),
        (&["register", "nothing", "--json"], 1, "failed"),
        (&["receipt", "x", "y", "--json"], 2, "usage"),
        (&["wallet", "--json"], 2, "usage"),
        (&["wallet", "address", "--json"], 1, "failed"),
        (&["wallet", "create", "--json", "--bitcoin", NOBODY, "--bitcoin-cookie", file], 1, "bitcoin"),
        (&["node", "--config", "none", "--json"], 1, "failed"),
        (&["relayer", "--config", "none", "--json"], 1, "failed"),
        (&["doctor", "--node", "none", "--json"], 3, "unwell"),
        (&["completions", "tcsh", "--json"], 2, "usage"),
        (&["status", "--log", "[[[", "--json"], 1, "failed"),
    ];
    for (arguments, status, code) in failures {
        let failed = causeway(arguments);
        // The doctor tells what it found, too.
        let is_told = failed.stdout.is_empty() || code == "unwell";
        assert!(failed.code == Some(status) && is_told, "{arguments:?}: {failed}");
        assert_eq!(failed.json_error()["code"], code, "{failed}");
    }
}

#[test]
fn what_nobody_reads_any_more_ends_without_a_word() {
    let commands: [&[&str]; 6] = [
        &["help", "peg-in"],
        &["help"],
        &["help", "exit-codes"],
        &["completions", "bash"],
        &["peg-in", "--help"],
        &["man", "pages", "--json"],
    ];
    let home = home();
    for arguments in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = binary::command(home.path(), arguments);
        command.current_dir(home.path()).stdout(writer).stderr(std::process::Stdio::piped());
        let ended = Finished::from(binary::end(command.spawn().expect("the binary starts"), "causeway"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(141), ""), "{arguments:?}: {ended}");
    }
}

#[test]
fn completions_know_every_command_in_every_shell_and_bash_can_read_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = causeway(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{script}");
        for word in ["peg-out", "completions", "max-fee"] {
            assert!(script.stdout.contains(word), "{shell} does not complete {word}");
        }
    }
    let home = home();
    let script = home.path().join("causeway.bash");
    fs::write(&script, causeway(&["completions", "bash"]).stdout).expect("written");
    let completed = std::process::Command::new("bash")
        .arg("-c")
        .arg("source \"$0\"; COMP_WORDS=(causeway peg-o); COMP_CWORD=1; _causeway causeway peg-o causeway; echo \"${COMPREPLY[@]}\"")
        .arg(&script)
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "peg-out", "{completed:?}");
    causeway(&["completions", "tcsh"]).is_misused_saying(&["bash, elvish, fish, powershell, zsh"]);
}

#[test]
fn every_command_has_a_man_page() {
    let home = home();
    let folder = home.path().join("man/man1");
    let written = causeway(&["man", folder.to_str().expect("UTF-8"), "--json"]);
    let pages = written.json().remove(0)["pages"].as_array().cloned().expect("names");
    assert!(pages.len() > 40, "{pages:?}");
    for (page, said) in [
        ("causeway.1", "two-way peg"),
        ("causeway-peg-in.1", "A Bitcoin address to pay"),
        ("causeway-pay-open.1", "causeway-pay-open"),
        ("causeway-dev-mine.1", "Mine Bitcoin blocks"),
    ] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
        let text = fs::read_to_string(folder.join(page)).expect("written").replace("\\-", "-");
        assert!(text.starts_with(".ie") || text.starts_with(".TH"), "{page} is no man page: {text}");
        assert!(text.contains(said), "{page}: {text}");
    }
    let file = home.path().join("file");
    fs::write(&file, "").expect("written");
    causeway(&["man", file.to_str().expect("UTF-8")]).fails_saying(&["file"]);
}

#[test]
fn an_amount_needs_a_unit() {
    for bad in ["5", "0.1", "1 coin", "0.5 sat", "0.000000001 BTC"] {
        let refused = causeway(&["peg-out", "--amount", bad, "--to", REGTEST_ADDRESS, "--max-fee", "1000 sat"]);
        refused.is_misused_saying(&["--amount", bad]);
    }
}

#[test]
fn a_bad_recipient_or_id_is_refused_before_anything_is_asked() {
    causeway(&["peg-in", "--to", "0x1234"]).is_misused_saying(&["--to"]);
    causeway(&["peg-out", "--amount", "1 BTC", "--max-fee", "1 sat", "--to", "bcrt1nonsense"])
        .is_misused_saying(&["--to"]);
    causeway(&["peg-out", "--amount", "1 BTC", "--max-fee", "1 sat", "--script", "zz"])
        .is_misused_saying(&["--script"]);
    causeway(&["peg-in"]).fails_saying(&["who gets the coins?", "--to", "causeway wallet create"]);
    let to = DEVELOPER_0.to_string();
    causeway(&["peg-in", "--to", &to, "--reserve"]).is_misused_saying(&["--reserve"]);
    causeway(&["peg-in", "--to", &to, "--claimant", "0x1234"]).is_misused_saying(&["--claimant"]);
    causeway(&["raise", "7"]).is_misused_saying(&["--max-fee"]);
    causeway(&["claim", "--to", "me"]).is_misused_saying(&["--to"]);
    causeway(&["lift", "first"]).is_misused_saying(&["first", "a pause has a number"]);
    for command in ["cancel", "refund"] {
        causeway(&[command, "x"]).is_misused_saying(&["a withdrawal has a number"]);
    }
    causeway(&["raise", "x", "--max-fee", "9 sat"]).is_misused_saying(&["a withdrawal has a number"]);
    causeway(&["bump", "zz"]).is_misused_saying(&["64 hex digits"]);
    causeway(&["status", "nonsense"]).is_misused_saying(&["txid:vout", "vault:NUMBER"]);
}

#[test]
fn a_sidechain_node_that_is_down_is_named_with_what_to_do() {
    let to = DEVELOPER_0.to_string();
    let tries: [&[&str]; 8] = [
        &["status"],
        &["peg-in", "--to", &to],
        &["cancel", "1", "--dev-account", "0"],
        &["raise", "1", "--max-fee", "9 sat", "--dev-account", "0"],
        &["refund", "1", "--dev-account", "0"],
        &["claim", "--dev-account", "0"],
        &["pause", "--dev-account", "0"],
        &["lift", "--dev-account", "0"],
    ];
    for arguments in tries {
        let arguments = [arguments, &["--rpc", NOBODY]].concat();
        causeway(&arguments).fails_saying(&[NOBODY, "--rpc", "CAUSEWAY_RPC"]);
    }
}

/// A node that takes connections and says nothing for a while.
fn silent_node() -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let node = std::thread::spawn(move || {
        let held = listener.accept().expect("somebody asks");
        std::thread::sleep(Duration::from_secs(3));
        drop(held);
    });
    (url, node)
}

/// Runs a command whose terminal is a pseudo-terminal; what is on it.
fn at_a_terminal(arguments: &[&str]) -> String {
    const TERMINAL: &str = "import pty, sys; pty.spawn(sys.argv[1:])";
    let home = home();
    let command = binary::command(home.path(), arguments);
    let program = command.get_program().to_owned();
    let mut terminal = std::process::Command::new("python3");
    terminal.args(["-c", TERMINAL]).arg(program).args(arguments).env("HOME", home.path());
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        terminal.env_remove(name);
    }
    let child = terminal.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Finished::from(binary::end(child.expect("python3 runs"), "python3")).stdout
}

#[test]
fn long_work_says_at_a_terminal_what_it_is_and_nothing_to_scripts() {
    const TOLD: &str = "asking the sidechain's nodes";
    let ask = |url: &str| ["status", "1", "--trust-node", "--rpc", url].map(str::to_owned);
    let with = |run: &dyn Fn(&[&str]) -> String, more: &[&str]| {
        let (url, node) = silent_node();
        let arguments = ask(&url);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let shown = run(&arguments);
        node.join().expect("it said nothing");
        assert!(shown.contains(&url), "its error names the node: {shown}");
        shown
    };
    let (terminal, pipe) =
        (&at_a_terminal as &dyn Fn(&[&str]) -> String, |arguments: &[&str]| causeway(arguments).to_string());
    assert!(with(terminal, &[]).contains(TOLD));
    assert!(!with(terminal, &["--json"]).contains(TOLD));
    assert!(!with(&pipe, &[]).contains(TOLD));
}

/// What somebody meets who has nothing yet, or names the wrong thing: each says what to do next.
#[test]
fn the_first_errors_say_what_to_do() {
    let folder = home();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let nowhere = folder.path().join("nowhere").display().to_string();
    let nonsense = file("nonsense.json", "{}");
    causeway(&["status"]).fails_saying(&[
        "http://127.0.0.1:8545",
        "CAUSEWAY_RPC",
        "`causeway dev` runs a whole network there",
    ]);
    for arguments in [&["genesis", "--show"][..], &["status", "--genesis"]] {
        let named = |path: &str| causeway(&[arguments, &[path]].concat());
        named(&nowhere).fails_saying(&[
            "cannot read the genesis file",
            &nowhere,
            "operators publish it",
            "causeway-dev/genesis.json",
        ]);
        named(&nonsense).fails_saying(&[&nonsense, "is not a genesis file", "operators publish", "causeway genesis"]);
    }
    let pay_out = ["peg-out", "--amount", "0.1 BTC", "--to", REGTEST_ADDRESS];
    causeway(&pay_out).fails_saying(&["which account?", "causeway wallet create", "--keystore", "--dev-account"]);
    let signed = causeway(&[&pay_out[..], &["--keystore", &nowhere]].concat());
    signed.fails_saying(&["cannot read the keystore", &nowhere, "causeway keys account --out"]);
    let unnamed = causeway(&[&pay_out[..], &["--keystore", &nonsense]].concat());
    unnamed.fails_saying(&["which network?", "--genesis FILE", "operators publish"]);
    for command in ["address", "balance", "history", "check", "sync"] {
        let missing = causeway(&["wallet", command]);
        missing.fails_saying(&["there is no wallet", "causeway wallet create", "causeway wallet restore", "--home"]);
    }
    causeway(&["wallet", "create", "--bitcoin", NOBODY]).fails_saying(&["bitcoind", NOBODY, "--birthday HEIGHT"]);
    let to = DEVELOPER_0.to_string();
    causeway(&["wallet", "send", "--to", &to, "--amount", "5"]).is_misused_saying(&["has no unit", "0.1 BTC"]);
    let nothing = causeway(&[]);
    assert!(format!("{nothing}").contains("peg-in     A Bitcoin address to pay"), "{nothing}");
}

#[test]
fn a_wallet_pays_no_address_of_another_network_and_says_when_neither_side_answers() {
    let folder = home();
    let words = "lunar pocket anvil mustard tram\nlegal winner thank year wave sausage worth useful legal winner thank yellow\n";
    let run = |arguments: &[&str], input: &str| binary::run(folder.path(), [&["wallet"], arguments].concat(), input);
    assert_eq!(run(&["restore", "--passphrase-stdin"], words).code, Some(0));
    let astray = ["send", "--to", MAINNET_ADDRESS, "--amount", "1 BTC", "--passphrase-stdin"];
    run(&astray, words).fails_saying(&[MAINNET_ADDRESS, "not an address of regtest", "ask the payee", "--network"]);
    let wrong = ["send", "--to", REGTEST_ADDRESS, "--amount", "1 BTC", "--passphrase-stdin", "--bitcoin", NOBODY];
    run(&wrong, "another\n").fails_saying(&["wrong passphrase", "nobody can reset it"]);
    let nobody = ["--bitcoin", NOBODY, "--rpc", NOBODY];
    for look in ["balance", "history"] {
        run(&[&[look][..], &nobody].concat(), "").fails_saying(&["neither side answers", "--offline", "--bitcoin"]);
        assert_eq!(run(&[look, "--offline"], "").code, Some(0));
    }
}

/// A reader who copies an example finds the file by the name under which a command writes it.
#[test]
fn files_are_called_in_examples_as_commands_write_them() {
    let folder = home();
    let pages = folder.path().join("man");
    let made = causeway(&["man", pages.to_str().expect("UTF-8")]);
    assert_eq!(made.code, Some(0), "{made}");
    let mut named = 0;
    for page in fs::read_dir(&pages).expect("pages").flatten() {
        let text = fs::read_to_string(page.path()).expect("text").replace('\\', "");
        for after in text.split("--keystore ").skip(1) {
            let file = after.split(|c: char| c.is_whitespace() || c == '`').next().unwrap_or_default();
            if file.chars().all(|c| c.is_ascii_lowercase() || c == '.' || c == '/') && file.contains('.') {
                assert!(file.ends_with(".keystore"), "{}: {file}", page.path().display());
                named += 1;
            }
        }
        assert!(!text.contains("~/.causeway"), "{}: the home folder is another", page.path().display());
    }
    assert!(named >= 8, "{named} examples");
}

#[test]
fn a_deposit_that_was_never_made_here_cannot_be_reclaimed() {
    causeway(&["reclaim", REGTEST_ADDRESS, "--to", REGTEST_ADDRESS]).fails_saying(&[
        "no record of",
        "peg-in",
        "--home",
    ]);
}

#[test]
fn a_node_refuses_a_configuration_it_does_not_understand() {
    let home = home();
    let path = home.path().join("node.toml");
    let config = path.to_str().expect("UTF-8");
    let run = |text: &str| {
        fs::write(&path, text).expect("written");
        binary::run(home.path(), ["node", "--config", config], "")
    };
    run("genesis = \"g.json\"\ndatadir = \"d\"\n").fails_saying(&["node.toml", "datadir", "line 2"]);
    run("genesis = \"g.json\"\ndata_dir = \"d\"\n").fails_saying(&["neither a validator", "follow"]);
    run("genesis = \"g.json\"\ndata_dir = \"d\"\nfollow = \"http://127.0.0.1:1\"\n").fails_saying(&["g.json"]);
    fs::write(home.path().join("g.json"), "{\"chainId\": 1}").expect("written");
    run("genesis = \"g.json\"\ndata_dir = \"d\"\nfollow = \"http://127.0.0.1:1\"\n")
        .fails_saying(&["g.json is not a genesis file"]);
}

#[test]
fn a_control_command_without_a_network_says_so() {
    let home = home();
    let folder = home.path().to_str().expect("UTF-8");
    for command in [&["status"][..], &["mine", "1"], &["kill", "relayer-1"], &["stop"]] {
        let arguments = [&["dev", "--data-dir", folder], command].concat();
        binary::run(home.path(), &arguments, "").fails_saying(&["no network runs in"]);
    }
}

#[test]
fn a_development_network_says_which_bitcoind_it_cannot_find() {
    let home = home();
    let folder = home.path().join("net");
    let arguments =
        ["dev", "--data-dir", folder.to_str().expect("UTF-8"), "--ports", "free", "--bitcoind", "/nowhere/bitcoind"];
    binary::run(home.path(), arguments, "").fails_saying(&["/nowhere/bitcoind"]);
}

#[test]
fn a_local_network_that_cannot_be_leaves_no_folder() {
    let home = home();
    let folder = home.path().join("network");
    let no_bitcoind = home.path().join("nothing");
    let (folder_name, no_bitcoind) = (folder.to_str().expect("UTF-8"), no_bitcoind.to_str().expect("UTF-8"));
    let wrong: [(&[&str], &str); 5] = [
        (&["--operators", "3", "--validators", "4"], "--validators 4 of 3 operators: expected 1 to 3"),
        (&["--threshold", "1"], "--threshold 1 of 4 operators: expected 2 to 4"),
        (&["--threshold", "5"], "--threshold 5 of 4 operators: expected 2 to 4"),
        (&["--ports", "65530"], "--ports 65530 leaves too few ports"),
        (&["--bitcoind", no_bitcoind], "there is no bitcoind at"),
    ];
    for (arguments, said) in wrong {
        let arguments = [&["dev", "--data-dir", folder_name], arguments].concat();
        binary::run(home.path(), &arguments, "").fails_saying(&[said]);
        assert!(!folder.exists(), "{arguments:?}");
    }
    let refused = binary::run(home.path(), ["dev", "--data-dir", folder_name, "--operators", "17"], "");
    refused.is_misused_saying(&["--operators"]);
    assert!(!folder.exists());
}
