//! Runs a node in the role that its configuration gives it.

use std::future::Future;

use files::DirectoryLock;

use futures::FutureExt as _;

use super::{
    config::{AskBitcoin, NodeConfig},
    error::NodeError,
    far_behind, follower, members,
    monitoring::Monitoring,
    validator::Validator,
};
use crate::{
    genesis::{Genesis, MAX_GENESIS_AHEAD_S},
    io::{clock::now_ms, keys::ValidatorKeys},
};

fn check_timestamp(genesis_s: u64, now_s: u64) -> Result<(), NodeError> {
    let ahead_s = genesis_s.saturating_sub(now_s);
    if ahead_s > MAX_GENESIS_AHEAD_S { Err(NodeError::FromTheFuture { ahead_s }) } else { Ok(()) }
}

/// Runs a node until `shutdown` resolves; then everything is on disk and closed. Blocks the calling thread, which must not be
/// one of an async runtime: the node brings its own. A validator compares its clock with Bitcoin's if it may ask.
///
/// # Errors
///
/// See [`NodeError`].
pub fn run(
    config: NodeConfig,
    genesis: Genesis,
    keys: Option<ValidatorKeys>,
    bitcoin: Option<AskBitcoin>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let _lock = DirectoryLock::acquire(&config.data_dir)?;
    check_timestamp(genesis.timestamp, now_ms() / 1000)?;
    let validators = members::validators(&genesis)?;
    if keys.is_some() == config.follow.is_some() {
        return Err(NodeError::NoRole);
    }
    // Asked twice: while the node catches up, and while it works.
    let shutdown = shutdown.shared();
    let certifiers = members::finality_keys(genesis.network_id(), &validators)?;
    let monitoring = Monitoring::start(config.metrics_listen)?;
    far_behind::catch_up(&config, &genesis, certifiers, &monitoring, shutdown.clone())?;
    match (keys, config.follow.clone()) {
        (Some(keys), None) => Validator::open(config, genesis, keys, validators)?.run(bitcoin, monitoring, shutdown),
        (None, Some(url)) => follower::run(config, genesis, url, &validators, monitoring, shutdown),
        _ => Err(NodeError::NoRole),
    }
}
