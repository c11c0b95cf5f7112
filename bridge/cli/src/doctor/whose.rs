//! What there is to look at of each: a user's home, a node's configuration, a relayer's.

use std::path::{Path, PathBuf};

use bridge::io::config::Config as RelayerConfig;
use bridge::io::relayer::auth;
use bridge::io::sidechain::Client;
use bridge::keystore::{OPERATOR, VALIDATOR};
use mainchain::io::rpc::BitcoinRpc;
use sidechain::genesis::{Genesis, Member};

use super::bitcoind;
use super::check::{Check, Notes, Whose};
use super::files;
use super::machine::{Room, Taken, disk, port};
use super::sidechain::{genesis, node, peers, serves, tells_health};
use crate::operator::node::Config as NodeConfig;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::NetworkArgs;

/// A user: the home folder, the network that commands mean, its node, a bitcoind if there is one.
pub async fn user(network: &NetworkArgs, bitcoin: &BitcoinArgs) -> eyre::Result<Vec<Check>> {
    let notes = Notes(Whose::User);
    let home = network.home.folder()?;
    let mut checks = vec![disk(&home, Room::RECORDS, notes)];
    checks.extend(files::home(&home, notes));
    let known = match network.path(&home) {
        Some(path) => {
            let (known, check) = genesis(&path, notes);
            checks.push(check);
            known
        }
        None => {
            checks.push(notes.doubtful(
                "genesis",
                "no genesis file is known: commands that move coins of value refuse",
                "name the one that the network's operators publish, once: --genesis FILE",
            ));
            None
        }
    };
    for client in network.sidechain.each() {
        checks.extend(node(&client, known.as_ref(), notes, "--rpc URL, or CAUSEWAY_RPC").await);
    }
    let on = known.map_or(mainchain::Network::Regtest, |known| known.bitcoin.network);
    let rpc = bitcoin.rpc(on)?;
    let found = bitcoind::checks(&rpc, notes, "--bitcoin URL, --bitcoin-cookie FILE", None).await;
    let is_named = bitcoin.bitcoin.is_some() || bitcoin.bitcoin_cookie.is_some();
    // A user needs none: only the wallet, reclaim and the audit do.
    let answers = found.iter().any(|check| check.what != "bitcoind" && check.what != "cookie") || found.len() > 1;
    if is_named || answers {
        checks.extend(found);
    } else {
        checks.push(notes.fine("bitcoind", "none of this user's (wallet, reclaim and audit want one: --bitcoin URL)"));
    }
    Ok(checks)
}

/// A validator or follower by its configuration.
pub async fn of_node(path: &Path) -> Vec<Check> {
    let notes = Notes(Whose::Node);
    let config = match NodeConfig::load(path).and_then(|config| config.check().map(|()| config)) {
        Ok(config) => config,
        Err(error) => return vec![notes.wrong("config", format!("{error:#}"), "causeway help node shows one")],
    };
    let (known, check) = genesis(&config.genesis, notes);
    let mut checks =
        vec![notes.fine("config", path.display().to_string()), check, disk(&config.data_dir, Room::CHAIN, notes)];
    if let Some(keystore) = &config.keystore {
        checks.extend(files::keystore(keystore, VALIDATOR, known.as_ref(), notes));
    }
    let Some(known) = known else { return checks };
    let url = format!("http://{}", config.rpc_listen);
    let is_running = serves(&url, &known).await;
    let taken = if is_running { Taken::ByOurs } else { Taken::ByAnother };
    let ports = [
        ("rpc_listen", Some(config.rpc_listen)),
        ("rpc_private_listen", config.rpc_private_listen),
        ("p2p_listen", config.p2p_listen),
    ];
    checks.extend(ports.into_iter().filter_map(|(name, address)| Some(port(name, address?, taken, notes))));
    if is_running {
        if let Ok(client) = Client::new(&url) {
            checks.extend(node(&client, Some(&known), notes, "rpc_listen in node.toml").await);
        }
    } else {
        checks.push(notes.doubtful(
            "running",
            format!("no node of this network answers at {url}"),
            "start it: causeway node",
        ));
    }
    if let Some(follow) = &config.follow {
        match Client::new(follow) {
            Ok(client) => checks.extend(node(&client, Some(&known), notes, "follow in node.toml").await),
            Err(error) => checks.push(notes.wrong("sidechain", error.to_string(), "mend follow in node.toml")),
        }
    }
    if config.keystore.is_some() {
        checks.push(of_peers(&config, &known, notes).await);
    }
    if let Some(settings) = &config.bitcoind {
        checks.extend(of_bitcoind(settings, &known, notes, "[bitcoind] in node.toml", false).await);
    }
    checks
}

async fn of_peers(config: &NodeConfig, known: &Genesis, notes: Notes) -> Check {
    let own = config.keystore.as_ref().and_then(|path| crate::keystores::read(path).ok());
    let own = own.and_then(|keystore| keystore.public().get("validatorKey").cloned());
    let is_own = |member: &Member| own.as_ref() == Some(&member.validator_key.to_string());
    let address = |member: &Member| config.peers.get(&member.name).unwrap_or(&member.p2p_address).clone();
    peers(known, address, is_own, notes).await
}

/// A relayer by its configuration.
pub async fn of_relayer(path: &Path) -> Vec<Check> {
    let notes = Notes(Whose::Relayer);
    let config = match RelayerConfig::load(path) {
        Ok(config) => config,
        Err(error) => return vec![notes.wrong("config", error.to_string(), "causeway help relayer shows one")],
    };
    let (known, check) = genesis(&config.genesis, notes);
    let mut checks =
        vec![notes.fine("config", path.display().to_string()), check, disk(&config.data_dir, Room::RECORDS, notes)];
    checks.extend(files::keystore(&config.keystore, OPERATOR, known.as_ref(), notes));
    match Client::new(&config.node) {
        Ok(client) => checks.extend(node(&client, known.as_ref(), notes, "node in relayer.toml").await),
        Err(error) => checks.push(notes.wrong("sidechain", error.to_string(), "mend node in relayer.toml")),
    }
    if let Some(known) = &known {
        checks.extend(of_bitcoind(&config.bitcoind, known, notes, "[bitcoind] in relayer.toml", true).await);
    }
    if let Some(address) = config.health_listen {
        let taken = if tells_health(address).await { Taken::ByOurs } else { Taken::ByAnother };
        checks.push(port("health_listen", address, taken, notes));
    }
    checks
}

async fn of_bitcoind(
    settings: &bridge::io::config::Bitcoind,
    known: &Genesis,
    notes: Notes,
    setting: &str,
    is_relayers: bool,
) -> Vec<Check> {
    // Those that may still become deposits (bridge/src/relay/confirmations.rs).
    let reads = is_relayers.then(|| u32::from(known.bridge.reclaim_delay) / 2);
    match auth(settings) {
        Ok(auth) => {
            let bitcoin = BitcoinRpc::new(&settings.url, auth, known.bitcoin.network);
            bitcoind::checks(&bitcoin, notes, setting, reads).await
        }
        Err(error) => vec![notes.wrong("cookie", error.to_string(), format!("mend {setting}"))],
    }
}

/// A configuration that is where one usually is.
pub fn usual_place(name: &str) -> Option<PathBuf> {
    [Path::new("").join(name), Path::new("/etc/causeway").join(name)].into_iter().find(|path| path.is_file())
}
