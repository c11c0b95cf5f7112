//! `causeway operator backup`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bridge::io::config::Config as RelayerConfig;
use bridge::io::relayer::KEY_FILES;
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, ensure, eyre};
use serde::Serialize;

use super::archive::Archive;
use crate::clock::now;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::operator::node::Config as NodeConfig;
use crate::progress::Progress;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's configuration
    #[arg(long, value_name = "FILE", required_unless_present = "relayer")]
    node: Option<PathBuf>,
    /// The relayer's configuration
    #[arg(long, value_name = "FILE")]
    relayer: Option<PathBuf>,
    /// Where to write the backup; there must be no such file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Tables and keys of a configuration that name a file of the operator's own.
const BITCOIND_FILES: [&str; 2] = ["cookie_file", "password_file"];

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "backedUp", rename_all = "camelCase")]
struct BackedUp<'a> {
    backup: &'a Path,
    network_id: String,
    files: Vec<&'a str>,
}

/// Writes the backup, and reads it again.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let node = args.node.as_deref().map(|path| NodeConfig::load(path).map(|config| (path, config))).transpose()?;
    let relayer =
        args.relayer.as_deref().map(|path| RelayerConfig::load(path).map(|config| (path, config))).transpose()?;
    let files = [node.as_ref().map(|(_, config)| &config.genesis), relayer.as_ref().map(|(_, config)| &config.genesis)];
    let mut files = files.into_iter().flatten();
    let genesis_file = files.next().ok_or_else(|| eyre!("nothing to back up: --node FILE, --relayer FILE"))?;
    let genesis = read_genesis(genesis_file)?;
    for other in files {
        let id = read_genesis(other)?.network_id();
        ensure!(
            id == genesis.network_id(),
            "{} and {} are of different networks",
            genesis_file.display(),
            other.display()
        );
    }
    let mut archive = Archive::new(genesis.network_id().to_string(), now()?);
    archive.add("genesis.json", &read(genesis_file)?);
    if let Some((path, config)) = &node {
        archive
            .add("node.toml", configuration(path, "validator.keystore", "node", config.keystore.is_some())?.as_bytes());
        if let Some(keystore) = &config.keystore {
            archive.add("validator.keystore", &read(keystore)?);
        }
    }
    if let Some((path, config)) = &relayer {
        archive.add("relayer.toml", configuration(path, "operator.keystore", "relayer", true)?.as_bytes());
        archive.add("operator.keystore", &read(&config.keystore)?);
        for (name, bytes) in shares(config, context)? {
            archive.add(&format!("relayer/{name}"), &bytes);
        }
    }
    write_new(&args.out, archive.to_json().as_bytes())?;
    let again = Archive::read(&read(&args.out)?).wrap_err_with(|| format!("{} reads back", args.out.display()))?;
    ensure!(again == archive, "{} does not read back as it was written: is the disk sound?", args.out.display());
    tell(args, &archive, relayer.is_some(), context)
}

fn tell(args: &Args, archive: &Archive, has_share: bool, context: &Context) -> Result<()> {
    let files: Vec<&str> = archive.names().collect();
    if context.json {
        let told = BackedUp { backup: &args.out, network_id: archive.network_id.clone(), files };
        println!("{}", serde_json::to_string(&told)?);
        return Ok(());
    }
    println!("{} holds, and reads back as written:", args.out.display());
    files.iter().for_each(|name| println!("  {name}"));
    println!("Keep it away from this machine, and the keystores' passphrase away from it: both are needed.");
    if !has_share {
        println!(
            "It has no share of the federation's key, because --relayer was not given: what it restores does not sign."
        );
    }
    println!(
        "Not in it, and never to be copied back: votes, nonces, the record of what was signed. They are made anew."
    );
    Ok(())
}

/// The member's shares of the keys in force. What is still being made is not one, and changes.
fn shares(config: &RelayerConfig, context: &Context) -> Result<Vec<(String, Vec<u8>)>> {
    let info = context.block_on(async {
        let client = Client::new(&config.node)?;
        let asked = Progress::new(context).during("asking the node which key is in force", client.info()).await;
        asked.wrap_err_with(|| {
            format!("the node at {} does not say which key is in force; start it, then back up", config.node)
        })
    })?;
    let in_force = info.group_key.is_some_and(|key| key != alloy_primitives::B256::ZERO);
    ensure!(in_force, "the federation has no key yet: back up once it has (causeway status says so)");
    let share = |epoch: u32| {
        let name = format!("{KEY_FILES}{epoch}");
        let bytes = read(&config.data_dir.join(&name))
            .wrap_err("there is no share of the key here: this relayer cannot sign")?;
        Ok((name, bytes))
    };
    (1..=info.epoch).map(share).collect()
}

/// A configuration as it is to be beside its files in a folder of its own; files of bitcoind's stay where they are.
fn configuration(path: &Path, keystore: &str, data_dir: &str, has_keystore: bool) -> Result<String> {
    let text = fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
    let mut table: toml::Table = toml::from_str(&text).wrap_err_with(|| format!("{} is no TOML", path.display()))?;
    table.insert("genesis".into(), "genesis.json".into());
    table.insert("data_dir".into(), data_dir.into());
    if has_keystore {
        table.insert("keystore".into(), keystore.into());
    }
    // It votes and signs where it is restored only after what the lost one may have done.
    table.remove("never_voted");
    let folder = path.canonicalize().ok().and_then(|path| path.parent().map(PathBuf::from)).unwrap_or_default();
    if let Some(bitcoind) = table.get_mut("bitcoind").and_then(toml::Value::as_table_mut) {
        for key in BITCOIND_FILES {
            let Some(named) = bitcoind.get(key).and_then(toml::Value::as_str) else { continue };
            let whole = folder.join(named).display().to_string();
            bitcoind.insert(key.into(), whole.into());
        }
    }
    Ok(toml::to_string(&table)?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).wrap_err_with(|| format!("cannot read {}", path.display()))
}

/// For its owner alone, and never over what is there.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file =
        opened.wrap_err_with(|| format!("cannot make {}; an older backup is not overwritten", path.display()))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.wrap_err_with(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_stands_beside_its_files_and_says_nothing_of_votes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("node.toml");
        let text = "genesis = \"/elsewhere/g.json\"\ndata_dir = \"../data\"\nkeystore = \"k\"\nnever_voted = true\np2p_listen = \"0.0.0.0:30301\"\n[bitcoind]\nurl = \"http://127.0.0.1:8332\"\ncookie_file = \"../.cookie\"\n";
        fs::write(&path, text).expect("written");
        let made = configuration(&path, "validator.keystore", "node", true).expect("TOML");
        let table: toml::Table = toml::from_str(&made).expect("TOML");
        assert_eq!(table["genesis"].as_str(), Some("genesis.json"));
        assert_eq!(
            (table["data_dir"].as_str(), table["keystore"].as_str()),
            (Some("node"), Some("validator.keystore"))
        );
        assert!(!table.contains_key("never_voted") && table["p2p_listen"].as_str() == Some("0.0.0.0:30301"));
        let cookie = table["bitcoind"]["cookie_file"].as_str().expect("a path");
        assert!(Path::new(cookie).is_absolute() && cookie.ends_with("/../.cookie"), "{cookie}");
    }
}
