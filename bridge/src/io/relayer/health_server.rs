//! How a relayer is, for its operator's monitoring: `GET /metrics`, `/livez`, `/readyz` and `/health` on `health_listen`.
//!
//! Ready means that this member can do its part: its node answers and shows young blocks, its bitcoind answers and is in step, the clock is right,
//! the disk has room. That the others are away, that payouts are stopped or that nothing happens is no reason; `/health` tells that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use telemetry::exposition::{Page, Value};
use telemetry::io::machine::{Process, free_bytes};
use telemetry::io::server::{self, Service};
use telemetry::verdict::Reason;
use tokio::net::TcpListener;

use super::error::FatalError;
use super::health::{BitcoindState, PegState, State, Vitals, Work};
use crate::io::clock::Clock;

/// What a member cannot do its part without, of those that have troubles: by whom or what fails.
const NEEDED: [(&str, &str); 4] = [
    ("the sidechain node", "node"),
    ("the sidechain's head", "oldHead"),
    ("bitcoind", "bitcoind"),
    ("bitcoind's chain", "bitcoindLags"),
];

/// Room on the disk below which it is not ready, in bytes: its promises are small, but a full disk stops it.
const MIN_DISK: u64 = 64 << 20;

/// How far ahead of this clock the latest block may be stamped, in seconds: validators accept two.
const MAX_AHEAD_S: u64 = 5;

/// What is told.
pub struct Told {
    vitals: Vitals,
    clock: Clock,
    data_dir: PathBuf,
    process: Process,
}

/// Listens.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, FatalError> {
    let listener = server::listen(address).await;
    listener.map_err(|error| FatalError::Configuration(format!("health_listen {address}: {error}")))
}

/// Answers for as long as it is polled.
pub async fn serve(listener: TcpListener, told: Told) -> Result<(), FatalError> {
    server::serve(listener, Arc::new(told)).await;
    Ok(())
}

impl Told {
    pub fn new(vitals: Vitals, clock: Clock, data_dir: PathBuf) -> Self {
        Self { vitals, clock, data_dir, process: Process::of(env!("CARGO_PKG_VERSION")) }
    }

    fn unready_in(&self, state: &State) -> Vec<Reason> {
        let Some(work) = &state.work else {
            let told = state.troubles.values().next();
            return vec![Reason::new("starting", told.map_or("it has not read the ledger yet", String::as_str))];
        };
        let troubles = NEEDED.iter().filter_map(|(who, reason)| Some(Reason::new(reason, state.troubles.get(who)?)));
        let mut reasons: Vec<Reason> = troubles.collect();
        let ahead_s = work.tally.time_s.saturating_sub(self.clock.unix_ms() / 1000);
        if ahead_s > MAX_AHEAD_S {
            let message = format!("this machine's clock is {ahead_s} s behind the latest final block");
            reasons.push(Reason::new("clock", message));
        }
        match free_bytes(&self.data_dir) {
            Ok(free) if free < MIN_DISK => {
                let (free, want) = (free >> 20, MIN_DISK >> 20);
                reasons.push(Reason::new(
                    "disk",
                    format!("{free} MB are left on the disk, at least {want} MB are wanted"),
                ));
            }
            Ok(_) => {}
            Err(error) => reasons.push(Reason::new("disk", format!("{}: {error}", self.data_dir.display()))),
        }
        reasons
    }
}

impl Service for Told {
    fn metrics(&self) -> String {
        let (mut page, state) = (Page::default(), self.vitals.now());
        self.process.write(&mut page);
        self.vitals.beats.write(&mut page, "causeway_relayer_task_last_run_timestamp_seconds");
        page.gauge("causeway_relayer_ready", "Whether /readyz says so.", self.unready_in(&state).is_empty());
        let free = free_bytes(&self.data_dir).ok();
        page.known("causeway_relayer_disk_free_bytes", "Room that is left on the disk.", free);
        write_troubles(&mut page, &state);
        write_bitcoind(&mut page, state.bitcoind);
        if let Some(work) = &state.work {
            write_work(&mut page, work);
            let is_waited_for = state.waited_for.contains_key(&work.me);
            page.gauge("causeway_relayer_is_waited_for", "Whether the others wait for this member.", is_waited_for);
        }
        if let Some(peg) = &state.peg {
            write_peg(&mut page, peg);
        }
        page.finish()
    }

    fn stuck(&self) -> Vec<Reason> {
        self.vitals.beats.missed(self.clock.unix_ms())
    }

    fn unready(&self) -> Vec<Reason> {
        self.unready_in(&self.vitals.now())
    }

    fn other(&self, path: &str) -> Option<(bool, String)> {
        let state = self.vitals.now();
        (path == "/health").then(|| (state.troubles.is_empty(), health(&state)))
    }
}

fn health(state: &State) -> String {
    let waited_for: Vec<_> =
        state.waited_for.iter().map(|(member, what)| json!({ "member": member, "what": what })).collect();
    let ok = state.troubles.is_empty();
    let peg = state.peg.as_ref().map(peg);
    json!({ "ok": ok, "troubles": state.troubles, "waitedFor": waited_for, "peg": peg }).to_string() + "\n"
}

fn peg(peg: &PegState) -> serde_json::Value {
    json!({
        "stopped": peg.stopped,
        "pausedUntil": peg.paused_until,
        "alarmed": peg.alarmed,
        "missingSat": peg.missing_sat,
        "reserveSat": peg.reserve_sat,
        "waiting": peg.waiting,
        "oldestUnpaidS": peg.oldest_unpaid_s,
        "lateOutputs": peg.late_outputs,
    })
}

fn write_troubles(page: &mut Page, state: &State) {
    let help = "What this relayer waits for or does without.";
    page.gauge("causeway_relayer_troubles", help, state.troubles.len());
    let troubles = state.watched.iter().map(|who| (*who, state.troubles.contains_key(who).into()));
    page.gauges("causeway_relayer_trouble", "Whether something is wrong with it.", "with", troubles);
    let members = state.waited_for.keys().map(|member| (member.to_string(), 1u64.into()));
    page.gauges("causeway_relayer_waited_for", "Members that keep the others waiting.", "member", members);
}

fn write_bitcoind(page: &mut Page, bitcoind: Option<BitcoindState>) {
    page.gauge("causeway_relayer_bitcoind_up", "Whether this operator's bitcoind answers.", bitcoind.is_some());
    let Some(BitcoindState { height, headers, answer_ms }) = bitcoind else { return };
    page.gauge("causeway_relayer_bitcoind_height", "Height of its best block.", height);
    page.gauge("causeway_relayer_bitcoind_header_height", "Height of its best header.", headers);
    let name = "causeway_relayer_bitcoind_answer_seconds";
    page.gauge(name, "What its simplest answer took.", Value::seconds(answer_ms));
}

fn write_work(page: &mut Page, work: &Work) {
    let Work { me, tally, sessions, signed, in_flight, late_members } = work;
    page.gauge("causeway_relayer_member", "This member's number.", u32::from(*me));
    page.gauge("causeway_relayer_height", "The last block of the ledger that was read.", tally.height);
    let name = "causeway_relayer_head_timestamp_seconds";
    page.gauge(name, "Its time, in seconds since 1970.", tally.time_s);
    let name = "causeway_relayer_ledger_bitcoin_height";
    page.gauge(name, "Height of the best Bitcoin header that the ledger has.", tally.light_height);
    page.gauge("causeway_relayer_key_in_force", "Whether the federation has its key.", tally.has_key);
    let help = "Unspent outputs that pay a registered address, by this operator's bitcoind.";
    page.gauge("causeway_relayer_deposits_seen", help, tally.deposits_seen);
    let states = tally.deposits.iter().map(|(state, count)| (*state, (*count).into()));
    page.gauges("causeway_relayer_deposits", "Deposits in the ledger that are not over.", "state", states);
    let states = tally.vault_transactions.iter().map(|(state, count)| (*state, (*count).into()));
    page.gauges("causeway_relayer_vault_transactions", "Vault transactions that are not over.", "state", states);
    let help = "How long the oldest vault transaction that could confirm has waited since it was bound.";
    page.gauge("causeway_relayer_oldest_bound_seconds", help, tally.oldest_bound_s);
    page.gauge("causeway_relayer_proposals", "Open proposals.", tally.proposals);
    page.gauge("causeway_relayer_signing_sessions", "Vault transactions that are being signed.", *sessions);
    let help = "Transactions that this member has ever signed, by its log; it goes on after a restart.";
    page.counter("causeway_relayer_signed_transactions_total", help, *signed);
    page.gauge("causeway_relayer_transactions_in_flight", "Its own transactions to the ledger under way.", *in_flight);
    let help = "Members that kept the others waiting in their last signings.";
    page.gauge("causeway_relayer_late_members", help, *late_members);
}

fn write_peg(page: &mut Page, peg: &PegState) {
    let help = "Whether nothing is tied for the first time (pause, alarm, deficit).";
    page.gauge("causeway_peg_stopped", help, peg.stopped);
    page.gauge("causeway_peg_paused", "Whether a guardian has paused first ties.", peg.paused_until.is_some());
    page.gauge("causeway_peg_alarmed", "Whether a theft from the vault is shown.", peg.alarmed);
    page.gauge("causeway_peg_missing_sat", "Lost, unswept and overdrawn.", peg.missing_sat);
    page.gauge("causeway_peg_reserve_sat", "The reserve; negative while overdrawn.", peg.reserve_sat);
    page.gauge("causeway_peg_waiting_withdrawals", "Withdrawals that wait.", peg.waiting);
    let help = "How long the oldest of them has waited.";
    page.gauge("causeway_peg_oldest_unpaid_seconds", help, peg.oldest_unpaid_s.unwrap_or(0));
    let help = "Vault outputs older than half of the recovery delay.";
    page.gauge("causeway_peg_late_outputs", help, peg.late_outputs.len());
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::relay::tally::Tally;

    fn told(state: &State) -> Told {
        let vitals = Vitals::default();
        vitals.replace(state.clone());
        Told::new(vitals, Clock::system(), std::env::temp_dir())
    }

    fn ask(path: &str, state: &State) -> String {
        server::answer(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes(), &told(state))
    }

    #[test]
    fn health_and_metrics_name_what_is_wrong_and_who_is_waited_for() {
        let well = ask("/health", &State::default());
        assert!(well.starts_with("HTTP/1.1 200 OK\r\n") && well.contains(r#""ok":true"#), "{well}");
        let state = State {
            watched: BTreeSet::from(["bitcoind", "fee rate"]),
            troubles: BTreeMap::from([("bitcoind", "not reachable; waiting for it".to_owned())]),
            waited_for: BTreeMap::from([(3, "its part of the key of epoch 1 is missing".to_owned())]),
            peg: Some(PegState {
                stopped: true,
                oldest_unpaid_s: Some(77),
                late_outputs: vec![4],
                ..PegState::default()
            }),
            ..State::default()
        };
        let ill = ask("/health", &state);
        assert!(
            ill.starts_with("HTTP/1.1 503 ") && ill.contains("not reachable") && ill.contains(r#""member":3"#),
            "{ill}"
        );
        assert!(ill.contains(r#""stopped":true"#) && ill.contains(r#""oldestUnpaidS":77"#), "{ill}");
        let metrics = ask("/metrics", &state);
        for line in [
            "causeway_relayer_trouble{with=\"bitcoind\"} 1\n",
            "causeway_relayer_trouble{with=\"fee rate\"} 0\n",
            "causeway_relayer_waited_for{member=\"3\"} 1\n",
            "causeway_relayer_bitcoind_up 0\n",
            "causeway_peg_stopped 1\n",
            "causeway_peg_oldest_unpaid_seconds 77\n",
            "causeway_peg_late_outputs 1\n",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
    }

    #[test]
    fn a_member_is_ready_when_it_can_do_its_part_whatever_the_others_do() {
        let now_s = Clock::system().unix_ms() / 1000;
        let reasons = |state: &State| -> Vec<_> { told(state).unready().iter().map(|one| one.reason).collect() };
        assert_eq!(reasons(&State::default()), ["starting"]);
        let work = Work { tally: Tally { time_s: now_s, ..Tally::default() }, ..Work::default() };
        let mut state = State { work: Some(work), ..State::default() };
        state.troubles = BTreeMap::from([("payouts", "paused".to_owned()), ("fee rate", "none".to_owned())]);
        state.waited_for = BTreeMap::from([(3, "it has not approved".to_owned())]);
        assert_eq!(reasons(&state), [""; 0]);
        state.troubles.insert("bitcoind", "connection refused".to_owned());
        assert_eq!(reasons(&state), ["bitcoind"]);
        state.work.as_mut().expect("set").tally.time_s = now_s + 60;
        assert_eq!(reasons(&state), ["bitcoind", "clock"]);
    }

    #[test]
    fn a_task_that_hangs_is_told() {
        let told = told(&State::default());
        told.vitals.beats.beat("signing", 0, 1_000);
        assert_eq!(told.stuck()[0].reason, "stuck");
        told.vitals.pulse("signing", &Clock::system()).beat();
        assert_eq!(told.stuck(), []);
    }
}
