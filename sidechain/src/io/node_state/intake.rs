//! The threads that take transactions in: one for batches of all kinds, one for what has to be run, and for what time does to
//! the pool.
//!
//! Free transactions are run in turns of their members, by the gas they ask for. A member that had as much run as blocks may take
//! of it waits, in order and in bounded room, until time has paid for it; the others go on meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, Bytes};
use tokio::sync::oneshot;

use super::admit::{Admission, AdmitError, Door, Step};
use crate::access;
use crate::block::Transaction;
use crate::io::clock::now_ms;
use crate::mempool::{FairQueue, NoRoom, Refused, Room};
use crate::panics::contain;

/// Transactions that wait to be checked, in bytes and a kilobyte for each: a tenth of a second's work for each source, and
/// half a second's for all.
const ROOM: Room = Room { all: 32 << 20, source: 8 << 20 };

/// Free ones that wait to be run, of one member and of all: 120 of those that ask for the most gas, or more smaller ones than the pool
/// takes; and that of fifteen members.
const TRIALS: Room = Room { all: 32 << 20, source: 2 << 20 };

/// Gas that counts as much as a byte in the turns of members: the most gas that a transaction may ask for takes a whole turn.
const GAS_OF_A_BYTE: u64 = 1 << 10;

/// A batch, in the same measure: a few hundred transactions. A user waits for one batch before its own.
const BATCH: usize = 512 << 10;

/// How often the pool is looked through for what is too old.
const TICK: Duration = Duration::from_millis(TICK_MS);
const TICK_MS: u64 = 1_000;

/// Who brought a transaction: none of them can keep the others from bringing theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A client of the JSON-RPC.
    Client(access::Source),
    /// A validator, by its key in the validators' network.
    Peer([u8; 32]),
}

/// One that waits, and who wants to know what becomes of it.
struct Item<T> {
    what: T,
    source: Source,
    answer: Option<oneshot::Sender<Admission>>,
}

impl<T> Item<T> {
    fn answer(self, admission: Admission) {
        match (self.answer, admission) {
            // Whoever asked may be gone.
            (Some(answer), admission) => drop(answer.send(admission)),
            // Usual: two nodes see the pool in different orders, or a block came first.
            (None, Err(error)) => tracing::debug!(source = ?self.source, reason = %error, "gossip not taken"),
            (None, Ok(_)) => {}
        }
    }
}

/// A queue that a thread waits at.
struct Line<S, T> {
    state: Mutex<Waiting<S, T>>,
    changed: Condvar,
}

struct Waiting<S, T> {
    queue: FairQueue<S, Item<T>>,
    /// Sources with something in the queue that must wait, and until when.
    resting: BTreeMap<S, Instant>,
    /// A block became final since the thread looked.
    new_head: bool,
    closed: bool,
}

/// What a thread was woken for.
struct Work<T> {
    batch: Vec<Item<T>>,
    new_head: bool,
}

impl<S: Ord + Clone, T> Line<S, T> {
    fn new(room: Room) -> Self {
        let state = Waiting { queue: FairQueue::new(room), resting: BTreeMap::new(), new_head: false, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<S, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, source: S, bytes: usize, item: Item<T>) {
        let mut state = self.lock();
        let out = if state.closed {
            vec![item]
        } else {
            state.queue.push(source, bytes, item).unwrap_or_else(|NoRoom(it)| vec![it])
        };
        drop(state);
        self.changed.notify_one();
        out.into_iter().for_each(|item| item.answer(Err(AdmitError::Busy)));
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Gives back something that must wait, as the first of its source; the source rests so long.
    fn put_back(&self, source: S, bytes: usize, item: Item<T>, rest: Duration) {
        let mut state = self.lock();
        state.queue.put_back(source.clone(), bytes, item);
        state.resting.insert(source, Instant::now() + rest);
    }

    /// Waits for work, or for a tick; `None` at the end.
    fn next(&self, most: usize) -> Option<Work<T>> {
        let mut state = self.lock();
        let tick = Instant::now() + TICK;
        loop {
            if state.closed {
                return None;
            }
            let now = Instant::now();
            let batch = state.take(most, now);
            if !batch.is_empty() || state.new_head || now >= tick {
                return Some(Work { batch, new_head: std::mem::take(&mut state.new_head) });
            }
            let until = state.resting.values().copied().fold(tick, Instant::min);
            let waited = self.changed.wait_timeout(state, until.saturating_duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<S: Ord + Clone, T> Waiting<S, T> {
    fn take(&mut self, most: usize, now: Instant) -> Vec<Item<T>> {
        self.resting.retain(|_, until| *until > now);
        self.queue.take_of(most, |source| !self.resting.contains_key(source))
    }
}

/// What the threads share. They hold it, and not the handle, so that they end with it.
struct Lines {
    door: Arc<Door>,
    batches: Line<Source, Bytes>,
    trials: Line<Address, Transaction>,
}

/// The handle: when the last one is dropped, the threads have ended. They are started by the first use.
pub(super) struct Intake {
    lines: Arc<Lines>,
    threads: OnceLock<Vec<JoinHandle<()>>>,
}

impl Intake {
    pub(super) fn new(door: Arc<Door>) -> Self {
        let lines = Lines { door, batches: Line::new(ROOM), trials: Line::new(TRIALS) };
        Self { lines: Arc::new(lines), threads: OnceLock::new() }
    }

    /// Starts the threads, if they do not run yet.
    pub(super) fn start(&self) {
        self.threads.get_or_init(|| {
            let thread = |name: &str, run: fn(&Lines)| {
                let lines = self.lines.clone();
                let thread = std::thread::Builder::new().name(name.into()).spawn(move || run(&lines));
                thread.expect("a node that gets no thread at its start cannot run")
            };
            vec![thread("admission", admit), thread("trials", try_out)]
        });
    }

    /// Queues a transaction; whoever waits at `answer` hears what becomes of it.
    pub(super) fn push(&self, source: Source, raw: Bytes, answer: Option<oneshot::Sender<Admission>>) {
        self.start();
        self.lines.batches.push(source, raw.len(), Item { what: raw, source, answer });
    }

    /// A block became final: free transactions that cannot succeed any more are to leave.
    pub(super) fn on_new_head(&self) {
        if self.threads.get().is_some() {
            self.lines.trials.lock().new_head = true;
            self.lines.trials.changed.notify_one();
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.lines.batches.close();
        self.lines.trials.close();
        for thread in self.threads.take().into_iter().flatten() {
            // A panic was logged where it happened.
            let _ = thread.join();
        }
    }
}

/// Takes batches until the end.
fn admit(lines: &Lines) {
    while let Some(Work { batch, .. }) = lines.batches.next(BATCH) {
        let raws: Vec<Bytes> = batch.iter().map(|item| item.what.clone()).collect();
        if raws.is_empty() {
            continue;
        }
        let steps = contain(|| lines.door.take(&raws, now_ms())).unwrap_or_else(|_| take_each(&lines.door, &raws));
        for (Item { source, answer, what: raw }, step) in batch.into_iter().zip(steps) {
            match step {
                Step::Done(admission) => Item { what: (), source, answer }.answer(admission),
                Step::Try(transaction) => {
                    let (member, bytes) = (transaction.signer(), turn(&transaction, raw.len()));
                    lines.trials.push(member, bytes, Item { what: *transaction, source, answer });
                }
            }
        }
    }
}

/// The same one by one, after something in a batch set off a panic: only that is given up.
fn take_each(door: &Door, raws: &[Bytes]) -> Vec<Step> {
    let one = |raw: &Bytes| {
        let taken = contain(|| door.take(std::slice::from_ref(raw), now_ms()).pop());
        taken
            .map_err(|panic| bug(&panic))
            .and_then(|step| step.ok_or(AdmitError::Bug))
            .unwrap_or_else(|error| Step::Done(Err(error)))
    };
    raws.iter().map(one).collect()
}

fn bug(panic: &str) -> AdmitError {
    tracing::error!(panic, "a bug, set off by a transaction: it is given up");
    AdmitError::Bug
}

/// Runs free transactions one by one, each member's in its turn; and lets the pool feel the time.
fn try_out(lines: &Lines) {
    let mut looked_ms = 0;
    while let Some(Work { batch, new_head }) = lines.trials.next(1) {
        if new_head {
            contain(|| lines.door.try_free_heads_again(now_ms())).unwrap_or_else(|panic| drop(bug(&panic)));
        }
        if now_ms().abs_diff(looked_ms) >= TICK_MS {
            looked_ms = now_ms();
            contain(|| expire(&lines.door, looked_ms)).unwrap_or_else(|panic| drop(bug(&panic)));
            lines.door.tidy_journal(looked_ms);
        }
        batch.into_iter().for_each(|item| try_one(lines, item));
    }
}

fn try_one(lines: &Lines, item: Item<Transaction>) {
    let taken = contain(|| lines.door.take_free(&item.what, now_ms())).unwrap_or_else(|panic| Err(bug(&panic)));
    match taken {
        // Its member brings more than blocks may take of it: it is run when that is paid for, and never lost for it.
        Err(AdmitError::Refused(Refused::TooManyTrials { sender, wait_ms })) => {
            let bytes = turn(&item.what, item.what.encode_2718_len());
            lines.trials.put_back(sender, bytes, item, Duration::from_millis(wait_ms));
        }
        taken => item.answer(taken),
    }
}

/// What a trial counts in its member's turns.
fn turn(transaction: &Transaction, bytes: usize) -> usize {
    bytes.max(usize::try_from(transaction.gas_limit() / GAS_OF_A_BYTE).unwrap_or(usize::MAX))
}

fn expire(door: &Door, now_ms: u64) {
    let dropped = door.pool().expire(now_ms);
    if !dropped.is_empty() {
        tracing::debug!(count = dropped.len(), "transactions expired");
    }
}
