//! The ceremony of a genesis file against a real bitcoind: a checkpoint that is not on its chain is found.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::binary::{self, Finished};
use tests::bitcoind::Bitcoind;
use tests::user::User;

const PASSPHRASE: &str = "correct horse battery\n";

/// Runs `causeway` in a folder, `~` being that folder.
fn run(home: &Path, arguments: &[&str]) -> Finished {
    let words = arguments.iter().map(|word| word.replace('~', &home.display().to_string()));
    binary::run(home, words.collect::<Vec<_>>(), PASSPHRASE)
}

#[tokio::test]
async fn a_genesis_file_is_compared_with_one_s_own_bitcoind() {
    let bitcoind = Bitcoind::start().await;
    User::with_rewards(&bitcoind, 0).await.mine(200).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path();
    for name in ["alice", "bob"] {
        let (dir, p2p, apart) = (format!("~/{name}"), format!("{name}.example:30301"), format!("~/{name}-recovery"));
        let recovery =
            run(home, &["keys", "recovery", "--json", "--dir", &apart, "--passphrase-stdin"]).json().remove(0);
        let key = ["--passphrase-stdin", "--recovery-key", recovery["recoveryKey"].as_str().expect("a key")];
        let keys = ["keys", "operator", "--network", "regtest", "--name", name, "--p2p-address", &p2p, "--dir", &dir];
        assert_eq!(run(home, &[&keys[..], &key[..]].concat()).code, Some(0));
    }
    let (url, cookie) = (bitcoind.url(), bitcoind.cookie().display().to_string());
    let own = ["--bitcoin", url.as_str(), "--bitcoin-cookie", cookie.as_str()];
    let parts = ["--checkpoint-height", "40", "--out", "~/genesis.json", "~/alice/public.json", "~/bob/public.json"];
    let made = run(home, &[&["genesis"], &parts[..], &own].concat());
    assert_eq!(made.code, Some(0), "{made}");

    let verify =
        || run(home, &[&["genesis", "verify", "~/genesis.json", "--mine", "~/alice/public.json"], &own[..]].concat());
    let verified = verify();
    assert_eq!(verified.code, Some(0), "{verified}");
    assert_eq!(verified.stdout.lines().last(), made.stdout.lines().last(), "the hash");

    let path = home.join("genesis.json");
    let right: Value = serde_json::from_slice(&fs::read(&path).expect("made")).expect("JSON");
    let forged = |change: &dyn Fn(&mut Value), what: &str| {
        let mut file = right.clone();
        change(&mut file["bitcoin"]["checkpoint"]);
        fs::write(&path, file.to_string()).expect("written");
        verify().fails_saying(&["the checkpoint at height", "is false", what]);
    };
    // Another block than the one of that height, as one of the least difficulty would be on mainnet.
    forged(&|checkpoint| checkpoint["height"] = 41.into(), "its block is");
    // More work than there is: no true chain would ever have the most. A false time freezes the light client at the next retarget.
    forged(&|checkpoint| checkpoint["work"] = "0xffffffff".into(), "its work is");
    let time = right["bitcoin"]["checkpoint"]["epochTime"].as_u64().expect("a time");
    forged(&|checkpoint| checkpoint["epochTime"] = (time + 1).into(), "its start of the difficulty period is");
    // A block that a reorganisation could leave behind.
    forged_height_is_too_shallow(&right, &path, &verify);
}

fn forged_height_is_too_shallow(right: &Value, path: &Path, verify: &dyn Fn() -> Finished) {
    let mut file = right.clone();
    file["bitcoin"]["checkpoint"]["height"] = 199.into();
    fs::write(path, file.to_string()).expect("written");
    verify().fails_saying(&["less than 144 blocks deep"]);
}
