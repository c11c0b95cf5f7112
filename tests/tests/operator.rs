//! What an operator types to join a network: keys, the genesis file, and the errors of files that are wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::hex;
use bridge::keystore::Keystore;
use serde_json::Value;
use tempfile::TempDir;
use tests::binary::{self, Finished};

const PASSPHRASE: &str = "correct horse battery\n";

struct Operators {
    home: TempDir,
}

impl Operators {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Finished {
        let words = arguments.iter().map(|word| word.replace("~", &self.home.path().display().to_string()));
        binary::run(self.home.path(), words.collect::<Vec<_>>(), input)
    }

    fn keys(&self, name: &str, port: u16) -> Finished {
        let (dir, p2p) = (format!("~/{name}"), format!("127.0.0.1:{port}"));
        self.run(
            &[
                "keys",
                "operator",
                "--json",
                "--network",
                "regtest",
                "--name",
                name,
                "--p2p-address",
                &p2p,
                "--dir",
                &dir,
                "--passphrase-stdin",
            ],
            PASSPHRASE,
        )
    }

    /// A relayer's configuration beside its keys. Neither its node nor its bitcoind is there.
    fn configure_relayer(&self, name: &str) -> String {
        let path = self.path(name).join("relayer.toml");
        let text = "genesis = \"../genesis.json\"\nnode = \"http://127.0.0.1:1\"\ndata_dir = \"relayer\"\nkeystore = \"operator.keystore\"\n[bitcoind]\nurl = \"http://127.0.0.1:1\"\ncookie_file = \"cookie\"\n";
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// Writes another genesis file than the one that was made, as whoever collects the public parts could.
    fn forge(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path("genesis.json");
        let mut file: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
        change(&mut file);
        fs::write(&path, file.to_string()).expect("written");
    }

    /// A validator's configuration beside its keys.
    fn configure(&self, name: &str) -> String {
        let path = self.path(name).join("node.toml");
        let text = "genesis = \"../genesis.json\"\ndata_dir = \"node\"\nkeystore = \"validator.keystore\"\nrpc_listen = \"127.0.0.1:0\"\np2p_listen = \"127.0.0.1:0\"\n";
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

#[test]
fn operators_make_their_own_keys_and_all_start_from_one_genesis_file() {
    let operators = Operators::new();
    for (port, name) in (31_001..).zip(["alice", "bob", "carol"]) {
        let public = operators.keys(name, port).json().remove(0);
        assert_eq!(public["operator"]["member"]["name"], name);
        let file: Value = serde_json::from_slice(&fs::read(operators.path(name).join("public.json")).expect("written"))
            .expect("JSON");
        assert_eq!(file, public);
    }
    secrets_are_only_in_keystores(&operators.path("alice"));
    operators.keys("alice", 31_001).fails_saying(&["validator.keystore exists and is not overwritten"]);

    let members = ["~/alice/public.json", "~/bob/public.json", "~/carol/public.json"];
    let twice = [&["genesis", "--out", "~/twice.json"], &members[..], &members[..1]].concat();
    operators.run(&twice, "").fails_saying(&["the recovery key of alice is another operator's too"]);
    assert!(!operators.path("twice.json").exists());

    let made = operators.run(&[&["genesis", "--json", "--out", "~/genesis.json"], &members[..]].concat(), "").json();
    assert_eq!((&made[0]["threshold"], &made[0]["members"]), (&3.into(), &3.into()));
    let shown = operators.run(&["genesis", "--json", "--show", "~/genesis.json"], "").json();
    assert_eq!(made, shown, "everybody sees the same block hash");
    let again = [&["genesis", "--out", "~/genesis.json"], &members[..]].concat();
    operators.run(&again, "").fails_saying(&["exists and is not overwritten"]);
}

/// The file is made anew by whoever collects the parts, with a key of its own in the place of another's, or a recovery that is its own.
#[test]
fn no_operator_starts_with_a_genesis_file_in_which_the_recovery_is_somebody_else_s() {
    let operators = Operators::new();
    for (port, name) in (31_001..).zip(["alice", "bob", "mallory"]) {
        operators.keys(name, port);
    }
    let parts = ["~/alice/public.json", "~/bob/public.json"];
    let make = [&["genesis", "--out", "~/genesis.json"], &parts[..]].concat();
    assert_eq!(operators.run(&make, "").code, Some(0));
    let right = fs::read(operators.path("genesis.json")).expect("readable");
    let (node, relayer) = (operators.configure("alice"), operators.configure_relayer("alice"));
    let refused = |what: &str| {
        let node = ["node", "--config", &node, "--passphrase-stdin"];
        operators.run(&node, PASSPHRASE).fails_saying(&["genesis.json", what]);
        let relayer = ["relayer", "--config", &relayer, "--passphrase-stdin"];
        operators.run(&relayer, PASSPHRASE).fails_saying(&["genesis.json", what]);
        let verify = ["genesis", "verify", "~/genesis.json", "--mine", "~/alice/public.json"];
        operators.run(&verify, "").fails_saying(&["genesis.json", what]);
        fs::write(operators.path("genesis.json"), &right).expect("written");
    };
    let mallory: Value =
        serde_json::from_slice(&fs::read(operators.path("mallory/public.json")).expect("made")).expect("JSON");
    let (member, recovery) = (&mallory["operator"]["member"], &mallory["operator"]["recoveryKey"]);
    operators.forge(|file| file["federation"]["recovery"]["keys"][0] = recovery.clone());
    refused("recovery key");
    operators.forge(|file| file["federation"]["members"][0] = member.clone());
    refused("this operator is not in it");
    operators.forge(|file| {
        file["federation"]["recovery"] = serde_json::json!({ "threshold": 1, "delay": 1, "keys": [recovery] });
    });
    refused("1 recovery keys could take what needs 2 members");
    operators.forge(|file| file["chainId"] = 51_718.into());
    refused("chain id 51718");
}

#[test]
fn a_public_part_that_was_changed_on_its_way_makes_no_genesis() {
    let operators = Operators::new();
    operators.keys("alice", 31_001);
    operators.keys("bob", 31_002);
    let path = operators.path("bob/public.json");
    let mut part: Value = serde_json::from_slice(&fs::read(&path).expect("made")).expect("JSON");
    let alice: Value =
        serde_json::from_slice(&fs::read(operators.path("alice/public.json")).expect("made")).expect("JSON");
    part["operator"]["recoveryKey"] = alice["operator"]["recoveryKey"].clone();
    fs::write(&path, part.to_string()).expect("written");
    let make = ["genesis", "--out", "~/genesis.json", "~/alice/public.json", "~/bob/public.json"];
    operators.run(&make, "").fails_saying(&["bob/public.json", "is not signed by its account"]);
    assert!(!operators.path("genesis.json").exists());
}

#[test]
fn a_genesis_file_is_shown_in_words_and_its_hash_is_the_last_line() {
    let operators = Operators::new();
    operators.keys("alice", 31_001);
    operators.keys("bob", 31_002);
    let make = ["genesis", "--json", "--out", "~/genesis.json", "~/alice/public.json", "~/bob/public.json"];
    let made = operators.run(&make, "").json().remove(0);
    let shown = operators.run(&["genesis", "--show", "~/genesis.json"], "");
    assert_eq!(shown.stdout.lines().last(), made["hash"].as_str());
    for said in [
        "any 2 of these 2 keys",
        "52560 blocks (about 365 days)",
        "alice",
        "127.0.0.1:31001",
        "1 to 1000 sat/vB",
        "1008 blocks (about 7 days)",
        "the peg holds at most",
        "each of these guardians can begin one",
    ] {
        assert!(shown.stdout.contains(said), "{said} in {}", shown.stdout);
    }
    // A name that draws on the terminal makes no file that is shown.
    operators.forge(|file| file["federation"]["members"][0]["name"] = "\u{1b}[2Jalice".into());
    let refused = operators.run(&["genesis", "--show", "~/genesis.json"], "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("printable ASCII") && !refused.stderr.contains('\u{1b}'), "{refused}");
}

#[test]
fn operators_agree_on_other_rules_of_the_peg_by_options_or_a_file() {
    let operators = Operators::new();
    operators.keys("alice", 31_001);
    operators.keys("bob", 31_002);
    let guardian = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let make = |out: &str, more: &[&str]| {
        let parts = ["~/alice/public.json", "~/bob/public.json"];
        operators.run(&[&["genesis", "--out", out], more, &parts].concat(), "")
    };
    let rules = operators.path("rules.json");
    fs::write(&rules, r#"{"refundAfter": 100000, "pegOutFeeSat": 7}"#).expect("written");
    let more = ["--cap", "3 BTC", "--window", "2 BTC", "--guardian", guardian, "--rules", "~/rules.json"];
    let made = make("~/genesis.json", &more);
    assert_eq!(made.code, Some(0), "{made}");
    for said in
        ["at most 3 BTC", "at most 2 BTC at once", guardian, "1day 3h 46m 40s", "0.00000007 BTC of each withdrawal"]
    {
        assert!(made.stdout.contains(said), "{said} in {}", made.stdout);
    }
    let file: Value = serde_json::from_slice(&fs::read(operators.path("genesis.json")).expect("made")).expect("JSON");
    assert_eq!(file["bridge"]["guardians"].as_array().map(Vec::len), Some(1));
    // What is no rule, or makes a peg that nobody can use, makes no file.
    fs::write(&rules, r#"{"refundAfters": 100000}"#).expect("written");
    make("~/other.json", &more).fails_saying(&["rules.json", "refundAfters", "refundAfter"]);
    make("~/other.json", &["--reclaim-delay", "1"]).fails_saying(&["reclaimDelay"]);
    assert!(!operators.path("other.json").exists());
}

#[test]
fn keys_are_made_for_a_chain_id_that_somebody_chose_and_no_other_chain_has() {
    let operators = Operators::new();
    let keys = |more: &[&str]| {
        let all =
            ["keys", "operator", "--name", "a", "--p2p-address", "a.example:1", "--dir", "~/a", "--passphrase-stdin"];
        operators.run(&[&all[..], more].concat(), PASSPHRASE)
    };
    for missing in [&[][..], &["--network", "mainnet"], &["--chain-id", "51718"]] {
        assert_eq!(keys(missing).code, Some(2), "{missing:?}");
    }
    keys(&["--network", "mainnet", "--chain-id", "1"]).fails_saying(&["that of Ethereum"]);
    keys(&["--network", "mainnet", "--chain-id", "51717"]).fails_saying(&["every network on regtest"]);
    assert!(!operators.path("a").exists());
}

/// Keystores say that they are encrypted, and what is in them is nowhere in plain.
fn secrets_are_only_in_keystores(folder: &Path) {
    let files: BTreeMap<_, _> = files_below(folder)
        .into_iter()
        .map(|path| (path.strip_prefix(folder).expect("below").display().to_string(), path))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("text")))
        .collect();
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, ["operator.keystore", "public.json", "recovery/recovery.keystore", "validator.keystore"]);
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".keystore")) {
        assert!(text.contains("argon2id"), "{name} is not encrypted: {text}");
        let keystore = Keystore::parse(text.as_bytes()).expect("made by causeway keys");
        let secrets = keystore.open(keystore.kind(), PASSPHRASE.trim_end()).expect("its passphrase");
        for secret in secrets.chunks_exact(32).map(hex::encode) {
            let shown: Vec<_> = files.iter().filter(|(_, text)| text.contains(&secret)).map(|(name, _)| name).collect();
            assert!(shown.is_empty(), "a secret of {name} is in plain in {shown:?}");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().expect("readable").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Whoever has the operator's disk and passphrase has no recovery key, so a threshold of such thefts does not take the vault by it.
#[test]
fn off_regtest_the_recovery_key_is_made_apart_and_no_other_passphrase_opens_it() {
    const APART: &str = "lunar pocket anvil mustard tram\n";
    let operators = Operators::new();
    let keys = |dir: &str, more: &[&str]| {
        let network = ["--network", "testnet4", "--chain-id", "51718", "--passphrase-stdin"];
        let who = ["keys", "operator", "--json", "--name", "alice", "--p2p-address", "a.example:1", "--dir", dir];
        operators.run(&[&who[..], &network, more].concat(), PASSPHRASE)
    };
    keys("~/alice", &[]).fails_saying(&[
        "--recovery-key",
        "causeway keys recovery --dir",
        "another machine",
        "testnet4",
    ]);
    assert!(!operators.path("alice").exists(), "nothing was made");

    let recovery = |dir: &str, passphrase: &str| {
        operators.run(&["keys", "recovery", "--json", "--dir", dir, "--passphrase-stdin"], passphrase)
    };
    recovery("~/apart", "password1234\n").fails_saying(&["too weak"]);
    assert!(!operators.path("apart").exists(), "nothing was made");
    let made = recovery("~/apart", APART).json().remove(0);
    let key = made["recoveryKey"].as_str().expect("a key");
    recovery("~/apart", APART).fails_saying(&["recovery.keystore exists and is not overwritten"]);
    keys("~/apart", &["--recovery-key", key]).fails_saying(&["recovery.keystore exists"]);

    let public = keys("~/alice", &["--recovery-key", key]).json().remove(0);
    assert_eq!(public["operator"]["recoveryKey"].as_str(), Some(format!("0x{key}").as_str()));
    let names: Vec<_> = files_below(&operators.path("alice"));
    assert!(names.iter().all(|path| !path.display().to_string().contains("recovery")), "{names:?}");
    recovery("~/alice", APART).fails_saying(&["a folder of its own"]);

    let keystore = fs::read(operators.path("apart/recovery.keystore")).expect("made");
    let keystore = Keystore::parse(&keystore).expect("made by causeway keys");
    assert_eq!(keystore.public()["recoveryKey"], key);
    assert!(keystore.open("recovery", PASSPHRASE.trim_end()).is_err(), "the operator's passphrase is not its own");
    assert_eq!(keystore.open("recovery", APART.trim_end()).expect("its own").len(), 32);
}

#[test]
fn a_wrong_passphrase_and_a_corrupt_keystore_are_told_apart() {
    let operators = Operators::new();
    operators.keys("alice", 31_001);
    let alone = ["genesis", "--out", "~/genesis.json", "~/alice/public.json"];
    operators.run(&alone, "").fails_saying(&["at least 2 who sign together"]);
    operators.keys("bob", 31_002);
    let made = operators.run(&[&alone[..], &["~/bob/public.json"]].concat(), "");
    assert_eq!(made.code, Some(0), "{made}");
    let config = operators.configure("alice");
    let node = ["node", "--config", &config, "--passphrase-stdin"];
    operators.run(&node, "battery staple\n").fails_saying(&["validator.keystore", "wrong passphrase", "try again"]);
    operators.run(&node, "").fails_saying(&["standard input is empty"]);

    let keystore = operators.path("alice/validator.keystore");
    let whole = fs::read_to_string(&keystore).expect("readable");
    let at = whole.find("ciphertext\": \"").expect("a ciphertext") + 16;
    let flipped = if whole.as_bytes()[at] == b'0' { "1" } else { "0" };
    fs::write(&keystore, [&whole[..at], flipped, &whole[at + 1..]].concat()).expect("written");
    operators.run(&node, PASSPHRASE).fails_saying(&["validator.keystore", "corrupt", "backup"]);
    fs::write(&keystore, &whole[..whole.len() / 2]).expect("written");
    operators.run(&node, PASSPHRASE).fails_saying(&["validator.keystore"]);
    fs::remove_file(&keystore).expect("there");
    operators.run(&node, PASSPHRASE).fails_saying(&["cannot read the keystore", "validator.keystore"]);
}

#[test]
fn weak_passphrases_and_addresses_without_ports_are_refused() {
    let operators = Operators::new();
    let keys = |p2p: &str, passphrase: &str| {
        operators.run(
            &[
                "keys",
                "operator",
                "--network",
                "regtest",
                "--name",
                "a",
                "--p2p-address",
                p2p,
                "--dir",
                "~/a",
                "--passphrase-stdin",
            ],
            passphrase,
        )
    };
    keys("alice.example:30301", "short\n").fails_saying(&["5 characters", "at least 8"]);
    keys("alice.example", PASSPHRASE).fails_saying(&["alice.example", "HOST:PORT"]);
    assert!(!operators.path("a/validator.keystore").exists());

    let weak = |arguments: &[&str]| {
        let refused = operators.run(&[arguments, &["--passphrase-stdin"]].concat(), "password1234\n");
        refused.fails_saying(&["too weak", "guesses", "words drawn"]);
        assert!(!refused.stderr.contains("password1234"), "{refused}");
    };
    weak(&["keys", "account", "--out", "~/me.keystore"]);
    weak(&["wallet", "create", "--birthday", "0", "--home", "~/home"]);
    let key = "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9";
    let operator = ["--name", "a", "--p2p-address", "a.example:1", "--dir", "~/a", "--recovery-key", key];
    weak(&[&["keys", "operator", "--network", "testnet4", "--chain-id", "51718"][..], &operator].concat());
    assert!(files_below(operators.home.path()).is_empty(), "nothing was made");
}

/// A crash of a node would write the keys of its validator to the disk, and any process of the same user could read them while it runs.
#[cfg(target_os = "linux")]
#[test]
fn no_process_that_holds_keys_can_be_dumped_or_read() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let operators = Operators::new();
    operators.keys("alice", 31_001);
    operators.keys("bob", 31_002);
    let make = ["genesis", "--out", "~/genesis.json", "~/alice/public.json", "~/bob/public.json"];
    assert_eq!(operators.run(&make, "").code, Some(0));
    let (node, relayer) = (operators.configure("alice"), operators.configure_relayer("alice"));
    let home = operators.home.path();
    // What belongs to the superuser belongs to the superuser anyway: then the processes are somebody else's.
    let own = fs::metadata("/proc/self").expect("Linux").uid();
    let user = if own == 0 { 65_534 } else { own };
    if own == 0 {
        let folders = [home.to_owned(), home.join("alice"), home.join("alice/recovery")];
        folders.into_iter().chain(files_below(home)).for_each(|path| chown(path, Some(user), None).expect("ours"));
    }
    let start = |command: &mut Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).uid(user);
        command.spawn().expect("it starts")
    };
    let facts = |id: u32| {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or_default();
        let core: Vec<_> = core.split_whitespace().take(2).map(str::to_owned).collect();
        (core == ["0", "0"], fs::metadata(format!("/proc/{id}/mem")).map(|of| of.uid()).ok())
    };

    // Any other program belongs to its user, which is how a debugger is let in.
    let mut other = start(Command::new("sleep").arg("60"));
    assert_eq!(facts(other.id()).1, Some(user));
    other.kill().expect("ours");
    other.wait().expect("ours");

    let commands: [&[&str]; 4] = [
        &["node", "--config", &node],
        &["relayer", "--config", &relayer],
        &["keys", "account", "--out", "me.keystore"],
        &["wallet", "restore"],
    ];
    for arguments in commands {
        // It waits for its passphrase.
        let mut child = start(&mut binary::command(home, [arguments, &["--passphrase-stdin"]].concat()));
        let until = Instant::now() + Duration::from_secs(30);
        while facts(child.id()) != (true, Some(0)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (found, ended) = (facts(child.id()), child.try_wait().expect("ours"));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!((found, ended), ((true, Some(0)), None), "{arguments:?}");
    }
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_by_its_name() {
    let operators = Operators::new();
    fs::write(operators.path("relayer.toml"), "node = \"http://127.0.0.1:1\"\nkeystroe = \"x\"\n").expect("written");
    operators.run(&["relayer", "--config", "~/relayer.toml"], "").fails_saying(&["relayer.toml", "keystroe", "line 2"]);
}

/// The bill of materials of a release.
#[test]
fn the_bill_of_materials_names_what_is_compiled_in_and_not_what_only_tests_need() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/sbom");
    let made = std::process::Command::new(script).output().expect("node is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bom: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bom["components"].as_array().expect("a list");
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    let rocksdb = named("rocksdb").expect("compiled in");
    assert_eq!(rocksdb["hashes"][0]["content"].as_str().map(str::len), Some(64), "{rocksdb}");
    assert!(
        rocksdb["licenses"][0]["expression"].is_string()
            && rocksdb["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/rocksdb@"))
    );
    assert!(named("proptest").is_none(), "only tests need it");
    let references: Vec<_> = components.iter().map(|component| component["bom-ref"].as_str()).collect();
    for dependency in bom["dependencies"].as_array().expect("a list") {
        for below in dependency["dependsOn"].as_array().expect("a list") {
            assert!(references.contains(&below.as_str()), "{below}");
        }
    }
}
