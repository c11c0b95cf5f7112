//! How a node is, for its operator's monitoring: metrics, whether it lives, whether it is ready.
//!
//! It is asked by a thread of its own, from the process's first moment on, also while a snapshot is copied and no chain is open.
//! Ready means: in step with the chain, in touch with enough of the others, the clock right, room on the disk. A bitcoind that is away makes a node
//! not unready: it serves and votes without.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetry::exposition::{Page, Value};
use telemetry::heartbeat::Heartbeats;
use telemetry::io::machine::Process;
use telemetry::io::server::{Service, spawn};
use telemetry::verdict::Reason;

use super::error::NodeError;
use crate::counters::Vote;
use crate::io::{clock::now_ms, node_state::NodeState};
use crate::peg::PegContracts;
use crate::standing::{Facts, Ill};
use crate::stop::Stop;

/// How much longer than usual a task may take before it is missed: a machine may be busy, or asleep for a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked. It forgets the node when it is dropped, so that the chain can be closed.
pub(super) struct Monitoring(Arc<Watched>);

struct Watched {
    process: Process,
    beats: Heartbeats,
    /// None while no chain is open.
    state: Mutex<Option<NodeState>>,
}

impl Monitoring {
    /// Listens, if it has an address for it.
    ///
    /// # Errors
    ///
    /// `Listen`.
    pub(super) fn start(address: Option<SocketAddr>) -> Result<Self, NodeError> {
        let monitoring = Self::none();
        if let Some(address) = address {
            spawn(address, monitoring.0.clone()).map_err(|error| NodeError::Listen { address, error })?;
        }
        Ok(monitoring)
    }

    /// Nobody asks.
    pub(super) fn none() -> Self {
        let process = Process::of(env!("CARGO_PKG_VERSION"));
        Self(Arc::new(Watched { process, beats: Heartbeats::default(), state: Mutex::default() }))
    }

    /// From now on this is the node.
    pub(super) fn watch(&self, state: &NodeState) {
        *self.0.state() = Some(state.clone());
    }

    /// There is no node for now, and nothing of it runs: to open a chain, or to check a copied one, takes as long as it takes.
    pub(super) fn forget(&self) {
        *self.0.state() = None;
        self.0.beats.ended();
    }

    /// A task runs now, and again after `interval`.
    pub(super) fn beat(&self, task: &'static str, interval: Duration) {
        let patience = u64::try_from((interval + PATIENCE).as_millis()).unwrap_or(u64::MAX);
        self.0.beats.beat(task, now_ms(), patience);
    }
}

impl Drop for Monitoring {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Watched {
    /// Held for moments.
    fn state(&self) -> MutexGuard<'_, Option<NodeState>> {
        // A handle: a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self) -> Option<NodeState> {
        self.state().clone()
    }
}

impl Service for Watched {
    fn metrics(&self) -> String {
        let mut page = Page::default();
        self.process.write(&mut page);
        let name = "causeway_node_task_last_run_timestamp_seconds";
        self.beats.write(&mut page, name);
        let node = self.node();
        let is_ready = node.as_ref().is_some_and(|node| ills(node).is_empty());
        page.gauge("causeway_node_ready", "Whether /readyz says so.", is_ready);
        if let Some(node) = node {
            write_chain(&mut page, &node);
            write_standing(&mut page, &node);
            write_work(&mut page, &node);
        }
        page.finish()
    }

    fn stuck(&self) -> Vec<Reason> {
        self.beats.missed(now_ms())
    }

    fn unready(&self) -> Vec<Reason> {
        match self.node() {
            None => vec![Reason::new("starting", "no chain is open yet")],
            Some(node) => ills(&node).iter().map(|ill| Reason::new(ill.name(), ill.to_string())).collect(),
        }
    }
}

fn ills(node: &NodeState) -> Vec<Ill> {
    let (head, heartbeat_ms) = (node.chain.head(), node.chain.genesis().block.heartbeat_ms);
    Facts::ills(&node.facts(), &head, heartbeat_ms, now_ms())
}

fn write_chain(page: &mut Page, node: &NodeState) {
    let head = node.chain.head();
    let highest = node.facts().highest.max(head.number);
    page.gauge("causeway_node_height", "Number of the last final block here.", head.number);
    let time = "causeway_node_head_timestamp_seconds";
    page.gauge(time, "Time of the last final block here, in seconds since 1970.", head.timestamp);
    page.gauge("causeway_node_highest_height", "Number of the last block known to be final anywhere.", highest);
    let heartbeat = Value::seconds(node.chain.genesis().block.heartbeat_ms);
    page.gauge("causeway_node_heartbeat_seconds", "Time after which a block comes although it is empty.", heartbeat);
    // What cannot be read for a moment is left out: the block's state may just have been pruned.
    let stop = Stop::default();
    let contracts = PegContracts::at_head(&*node.chain, &stop);
    let Ok((tip, height)) = contracts.bitcoin_tip() else { return };
    let name = "causeway_node_bitcoin_header_height";
    page.gauge(name, "Height of the best Bitcoin header that the ledger has.", height);
    let name = "causeway_node_bitcoin_header_timestamp_seconds";
    page.known(name, "Its time, in seconds since 1970.", contracts.bitcoin_time(tip).ok());
}

fn write_standing(page: &mut Page, node: &NodeState) {
    let now_ms = now_ms();
    let wrong: Vec<&'static str> = ills(node).iter().map(Ill::name).collect();
    let reasons = Ill::NAMES.map(|name| (name, wrong.contains(&name).into()));
    page.gauges("causeway_node_unready", "What keeps this node from being ready.", "reason", reasons);
    let facts = node.facts().clone();
    page.gauge("causeway_node_peers", "Validators, or followed nodes, that this node is in touch with.", facts.peers);
    page.gauge("causeway_node_needed_peers", "How many of them it needs.", facts.needed_peers);
    page.gauge("causeway_node_is_validator", "Whether this node votes.", facts.proposer.is_some());
    page.known("causeway_node_disk_free_bytes", "Room that is left on the disk.", facts.disk_free);
    page.gauge("causeway_node_disk_full", "Whether a write failed for want of room.", facts.disk_full);
    let offset = facts.clocks.offset_ms(now_ms).map(|ahead_ms| Value::seconds(ahead_ms.saturating_neg()));
    let help = "How far this clock is ahead of the median of the other validators'.";
    page.known("causeway_node_clock_offset_seconds", help, offset);
    let name = "causeway_node_bitcoind_block_timestamp_seconds";
    let help =
        "Time of the best block of this operator's bitcoind, in seconds since 1970; missing while it does not say.";
    page.known(name, help, facts.clocks.bitcoin_s());
}

fn write_work(page: &mut Page, node: &NodeState) {
    let pool = node.pool().status();
    page.gauge("causeway_node_pool_transactions", "Transactions that wait.", pool.executable + pool.queued);
    page.gauge("causeway_node_pool_bytes", "Bytes of them.", pool.bytes);
    let name = "causeway_node_pool_journal_errors_total";
    page.counter(name, "Times that what waits could not be kept for the next start.", node.journal_errors());
    let counters = &node.counters;
    let votes = counters.votes();
    page.gauge("causeway_node_round", "The latest round of the engine that was heard of.", votes.round);
    let cast = Vote::ALL.map(|(vote, name)| (name, votes.cast[vote as usize].into()));
    page.counters("causeway_node_votes_total", "Votes of this validator.", "kind", cast);
    page.counter("causeway_node_rounds_final_total", "Rounds whose block became final.", votes.rounds_final);
    let help = "Of these, rounds without a vote of this validator.";
    page.counter("causeway_node_votes_missed_total", help, votes.missed);
    let (count, time) = counters.checked.sum();
    let help = "Time to execute a block of another validator before the vote.";
    page.summary("causeway_node_block_execution_seconds", help, count, time);
    let (count, time) = counters.committed.sum();
    page.summary("causeway_node_block_commit_seconds", "Time to make a block final here.", count, time);
    let requests = counters.requests().map(|(how, count)| (how, count.into()));
    page.counters(
        "causeway_node_rpc_requests_total",
        "Requests of the JSON-RPC, by how they are answered.",
        "answered",
        requests,
    );
    let limits = counters.limits().map(|(limit, count)| (limit, count.into()));
    let help = "Times that a client of the JSON-RPC came to a limit.";
    page.counters("causeway_node_rpc_limits_reached_total", help, "limit", limits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_no_chain_yet_lives_and_is_not_ready() {
        let monitoring = Monitoring::none();
        assert_eq!(monitoring.0.stuck(), []);
        assert_eq!(monitoring.0.unready()[0].reason, "starting");
        assert!(monitoring.0.metrics().contains("\ncauseway_node_ready 0\n"));
        monitoring.beat("main", Duration::from_secs(1));
        assert_eq!(monitoring.0.stuck(), []);
        assert!(monitoring.0.metrics().contains("causeway_node_task_last_run_timestamp_seconds{task=\"main\"} "));
    }
}
