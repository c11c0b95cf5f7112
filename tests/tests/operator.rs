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
            &["keys", "operator", "--json", "--name", name, "--p2p-address", &p2p, "--dir", &dir, "--passphrase-stdin"],
            PASSPHRASE,
        )
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
        assert_eq!(public["member"]["name"], name);
        let file: Value = serde_json::from_slice(&fs::read(operators.path(name).join("public.json")).expect("written"))
            .expect("JSON");
        assert_eq!(file, public);
    }
    secrets_are_only_in_keystores(&operators.path("alice"));
    operators.keys("alice", 31_001).fails_saying(&["validator.keystore exists and is not overwritten"]);

    let members = ["~/alice/public.json", "~/bob/public.json", "~/carol/public.json"];
    let twice = [&["genesis", "--out", "~/twice.json"], &members[..], &members[..1]].concat();
    operators.run(&twice, "").fails_saying(&["genesis:"]);
    assert!(!operators.path("twice.json").exists());

    let made = operators.run(&[&["genesis", "--json", "--out", "~/genesis.json"], &members[..]].concat(), "").json();
    assert_eq!((&made[0]["threshold"], &made[0]["members"]), (&3.into(), &3.into()));
    let shown = operators.run(&["genesis", "--json", "--show", "~/genesis.json"], "").json();
    assert_eq!(made, shown, "everybody sees the same block hash");
    let again = [&["genesis", "--out", "~/genesis.json"], &members[..]].concat();
    operators.run(&again, "").fails_saying(&["exists and is not overwritten"]);
}

/// Keystores say that they are encrypted, and what is in them is nowhere in plain.
fn secrets_are_only_in_keystores(folder: &Path) {
    let files: BTreeMap<_, _> = folder
        .read_dir()
        .expect("readable")
        .map(|entry| entry.expect("readable"))
        .map(|entry| (entry.file_name().into_string().expect("UTF-8"), fs::read_to_string(entry.path()).expect("text")))
        .collect();
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, ["operator.keystore", "public.json", "recovery.keystore", "validator.keystore"]);
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
            &["keys", "operator", "--name", "a", "--p2p-address", p2p, "--dir", "~/a", "--passphrase-stdin"],
            passphrase,
        )
    };
    keys("alice.example:30301", "short\n").fails_saying(&["5 characters", "at least 8"]);
    keys("alice.example", PASSPHRASE).fails_saying(&["alice.example", "HOST:PORT"]);
    assert!(!operators.path("a/validator.keystore").exists());
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_by_its_name() {
    let operators = Operators::new();
    fs::write(operators.path("relayer.toml"), "node = \"http://127.0.0.1:1\"\nkeystroe = \"x\"\n").expect("written");
    operators.run(&["relayer", "--config", "~/relayer.toml"], "").fails_saying(&["relayer.toml", "keystroe", "line 2"]);
}
