//! A follower: the RPC over a chain that is copied from another node, and checked.

use std::{future::Future, sync::Arc};

use tokio::sync::mpsc;
use tracing::info;

use super::{
    commit::commit,
    config::NodeConfig,
    error::NodeError,
    members::finality_keys,
    monitoring::Monitoring,
    services::{log_end, open_chain, serve, show_life, stop, tell_troubles, watch_disk},
};
use crate::{
    block::Block,
    genesis::Genesis,
    io::{
        clock::now_ms,
        consensus,
        follower::{self, FollowError},
        node_state::NodeState,
        snapshots::Snapshots,
        upstream::UpstreamClient,
    },
    mempool::{Limits, Mempool},
};

/// Follows the node at `url` until `shutdown` resolves.
pub(super) fn run(
    config: NodeConfig,
    genesis: Genesis,
    url: String,
    validators: &[consensus::Validator],
    monitoring: Monitoring,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let validators = finality_keys(genesis.network_id(), validators)?;
    let chain = open_chain(&config, genesis)?;
    let upstream =
        UpstreamClient::new(&url).map_err(|error| FollowError::Url { url: url.clone(), reason: error.to_string() })?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::Runtime)?;
    runtime.block_on(async move {
        // Transactions of users go upstream; this node gossips nothing.
        let (gossip, _) = mpsc::channel(1);
        let state = NodeState::new(chain, Mempool::new(Limits::default()), gossip, Some(Arc::new(upstream)));
        let state = state.with_snapshots(Snapshots::new(config.sync.offer_every));
        state.keep_pool_in(config.pool_file(), now_ms());
        state.facts().needed_peers = 1;
        monitoring.watch(&state);
        let rpc = serve(&config, &state)?;
        info!(head = state.chain.head().number, rpc = %rpc.public.address, upstream = url, "follower started");
        let chain = state.chain.clone();
        let standing = state.clone();
        let heard = move |head: Option<u64>| {
            standing.facts().peers = usize::from(head.is_some());
            let own = standing.chain.head().number;
            head.into_iter().for_each(|head| standing.facts().hear(head, own));
        };
        let watched = state.clone();
        let commit = move |block: &Block, certificate: Option<&[u8]>| commit(&state, block, certificate, now_ms());
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            never = watch_disk(&watched, &config.data_dir, &monitoring) => match never {},
            never = show_life(&monitoring) => match never {},
            never = tell_troubles(&watched) => match never {},
            ended = follower::follow(&url, chain, validators, heard, commit) => ended.map_err(NodeError::from),
        };
        log_end(&ended);
        stop(&rpc).await;
        ended
    })
}
