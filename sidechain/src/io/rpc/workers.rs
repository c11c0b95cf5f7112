//! Threads that read the store and execute for clients: their own, so that nothing else of the node waits for them.
//!
//! ```text
//!  Short: reads of one thing    Long: executions, ranges of blocks, proofs,     Longest: what did not end
//!                               for a moment                                    in its moment, until its deadline
//!            \                           |                                     /
//!             threads of its own each; the client whose work took least time so far goes first,
//!             and of the long ones none ever has all threads
//! ```
//! The pending block has a thread of its own besides, and one alone, so that nobody waits for it behind others' executions.
//!
//! A client that floods the queue waits behind itself: another's first request goes to the next thread that is free, and a
//! long request never takes a thread that shorter ones need. Every request has a deadline, so every thread becomes free.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::access::{Client, Source};

/// How long a request may take a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Reads of one thing: well below a millisecond.
    Short,
    /// Anything that runs contracts or walks over blocks, for a moment.
    Long,
    /// What needs more than a moment.
    Longest,
    /// Making the pending block: one at a time, whatever else runs.
    Preview,
}

/// What a thread does for one request.
type Job = Box<dyn FnOnce() + Send>;

/// The threads of a server. Dropping it ends them when their current work ends.
#[derive(Debug)]
pub struct Workers {
    short: Arc<Queue>,
    long: Arc<Queue>,
    longest: Arc<Queue>,
    preview: Arc<Queue>,
}

impl Workers {
    /// Starts the threads; there are `long` of each kind that runs for long. `started` runs first in each of them.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(short: usize, long: usize, started: fn()) -> std::io::Result<Self> {
        let workers = Self {
            short: Queue::new(short),
            long: Queue::new(long),
            longest: Queue::new(long),
            preview: Queue::new(1),
        };
        let lanes = [
            (Lane::Short, "rpc-short"),
            (Lane::Long, "rpc-long"),
            (Lane::Longest, "rpc-longest"),
            (Lane::Preview, "rpc-preview"),
        ];
        for (lane, name) in lanes {
            let queue = workers.queue(lane);
            for _ in 0..queue.threads {
                let queue = queue.clone();
                let thread = std::thread::Builder::new().name(name.to_owned());
                thread.spawn(move || {
                    started();
                    queue.work();
                })?;
            }
        }
        Ok(workers)
    }

    /// Runs something when it is its client's turn. How much waits is the caller's to bound.
    pub fn submit(&self, lane: Lane, client: Client, job: impl FnOnce() + Send + 'static) {
        self.queue(lane).push(client, Box::new(job));
    }

    fn queue(&self, lane: Lane) -> &Arc<Queue> {
        match lane {
            Lane::Short => &self.short,
            Lane::Long => &self.long,
            Lane::Longest => &self.longest,
            Lane::Preview => &self.preview,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.short.close();
        self.long.close();
        self.longest.close();
        self.preview.close();
    }
}

struct Queue {
    threads: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// The lines of all clients that wait.
///
/// Time is counted for each client, and what it used lately counts against it: of those that wait the one with the least goes first, and
/// of equals the one that came first. A client that used nothing for a while is [`CREDIT`] below those that are served.
#[derive(Default)]
struct Waiting {
    closed: bool,
    clients: BTreeMap<Source, Line>,
    /// What clients used of which nothing waits or runs, as far as it is above where anybody starts.
    remembered: BTreeMap<Source, Duration>,
    /// What the one that was chosen last had used, the highest so far.
    served: Duration,
    /// Arrivals so far.
    arrivals: u64,
}

/// One client's jobs.
struct Line {
    limited: bool,
    jobs: VecDeque<Job>,
    running: usize,
    /// Time that its jobs took, above where it started.
    used: Duration,
    /// When its first job that waits came, among all.
    arrived: u64,
}

/// Counted for a job before it is known how long it takes.
const NOMINAL: Duration = Duration::from_micros(500);

/// What a client may be below those that are served: more counts for nothing, or one that slept for a day would have a day's advantage.
const CREDIT: Duration = Duration::from_secs(2);

/// Clients that are remembered although nothing of them waits, 100 bytes each; then those that used least are forgotten.
const MAX_REMEMBERED: usize = 16_384;

impl Queue {
    fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self { threads: threads.max(1), waiting: Mutex::default(), changed: Condvar::new() })
    }

    fn push(&self, client: Client, job: Job) {
        self.lock().push(client, job);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some((source, job)) = self.next() {
            let begun = Instant::now();
            // A panic is answered by the future that waits for the job.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a request panicked");
            }
            self.done(source, begun.elapsed());
        }
    }

    /// Waits for a job; none when the server ends.
    fn next(&self) -> Option<(Source, Job)> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(found) = waiting.take(self.threads) {
                return Some(found);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, source: Source, took: Duration) {
        self.lock().done(source, took);
        // A client that had all it may have can go on.
        self.changed.notify_one();
    }

    fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.clients.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing of a client runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Where somebody starts who used nothing for a while.
    fn floor(&self) -> Duration {
        self.served.saturating_sub(CREDIT)
    }

    fn push(&mut self, client: Client, job: Job) {
        let (floor, arrived) = (self.floor(), self.arrivals);
        self.arrivals += 1;
        let remembered = &mut self.remembered;
        let line = self.clients.entry(client.source).or_insert_with(|| Line {
            limited: client.limited,
            jobs: VecDeque::new(),
            running: 0,
            used: remembered.remove(&client.source).unwrap_or_default().max(floor),
            arrived,
        });
        line.limited = client.limited;
        line.jobs.push_back(job);
    }

    /// The next job of the client that used least.
    fn take(&mut self, threads: usize) -> Option<(Source, Job)> {
        let most = |line: &Line| if line.limited { threads.saturating_sub(1).max(1) } else { threads };
        let ready = self.clients.iter_mut().filter(|(_, line)| !line.jobs.is_empty() && line.running < most(line));
        let (source, line) = ready.min_by_key(|(_, line)| (line.used, line.arrived))?;
        let job = line.jobs.pop_front()?;
        line.running += 1;
        self.served = self.served.max(line.used);
        line.used += NOMINAL;
        // Behind those who have as much and have not had a turn.
        (line.arrived, self.arrivals) = (self.arrivals, self.arrivals + 1);
        Some((*source, job))
    }

    fn done(&mut self, source: Source, took: Duration) {
        let Some(line) = self.clients.get_mut(&source) else { return };
        line.running -= 1;
        line.used += took.saturating_sub(NOMINAL);
        if line.running > 0 || !line.jobs.is_empty() {
            return;
        }
        let used = line.used;
        self.clients.remove(&source);
        if used > self.floor() {
            self.remembered.insert(source, used);
        }
        if self.remembered.len() > MAX_REMEMBERED {
            self.forget();
        }
    }

    /// Forgets those for whom it makes no difference any more, or else the half that used less.
    fn forget(&mut self) {
        let floor = self.floor();
        self.remembered.retain(|_, used| *used > floor);
        let mut all: Vec<Duration> = self.remembered.values().copied().collect();
        if all.len() > MAX_REMEMBERED {
            let middle = all.len() / 2;
            let median = *all.select_nth_unstable(middle).1;
            self.remembered.retain(|_, used| *used > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn client(number: u32) -> Client {
        Client { source: Source::V4(number.into()), limited: true }
    }

    fn workers(threads: usize) -> Workers {
        Workers::start(threads, threads, || ()).unwrap()
    }

    // one thread; client 1 queues 100 jobs of 2 ms, then client 2 one
    #[test]
    fn a_newcomer_does_not_wait_behind_anothers_queue() {
        let workers = workers(1);
        let (done, order) = mpsc::channel();
        for _ in 0..100 {
            let done = done.clone();
            workers.submit(Lane::Long, client(1), move || {
                std::thread::sleep(Duration::from_millis(2));
                let _ = done.send(1);
            });
        }
        std::thread::sleep(Duration::from_millis(10));
        let done_by_two = done.clone();
        workers.submit(Lane::Long, client(2), move || {
            let _ = done_by_two.send(2);
        });
        let order: Vec<_> = order.iter().take(101).collect();
        assert!(order[..20].contains(&2), "{order:?}");
    }

    #[test]
    fn one_client_never_has_all_long_threads_and_none_of_the_short_ones() {
        let workers = workers(2);
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        for _ in 0..10 {
            let blocked = blocked.clone();
            workers.submit(Lane::Long, client(1), move || {
                let _ = blocked.lock().unwrap().recv();
            });
        }
        let (done, answers) = mpsc::channel();
        for lane in [Lane::Long, Lane::Short] {
            let done = done.clone();
            workers.submit(lane, client(2), move || {
                let _ = done.send(lane);
            });
        }
        for _ in 0..2 {
            answers.recv_timeout(Duration::from_secs(10)).expect("both are answered while the other's requests run");
        }
        drop(release);
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let workers = workers(1);
        let (done, answers) = mpsc::channel();
        workers.submit(Lane::Short, client(1), || panic!("a request that fails"));
        workers.submit(Lane::Short, client(1), move || {
            let _ = done.send(());
        });
        answers.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    /// A queue by itself, with one thread that takes a job when the test says so.
    #[derive(Default)]
    struct Turns(Waiting);

    impl Turns {
        fn asks(&mut self, number: u32) {
            self.0.push(client(number), Box::new(|| ()));
        }

        /// Whose turn it is; its job takes so long.
        fn serves(&mut self, took: Duration) -> Option<Source> {
            let (source, _) = self.0.take(1)?;
            self.0.done(source, took);
            Some(source)
        }
    }

    // Thirty addresses ask again as soon as they are answered; an address asks for the first time.
    #[test]
    fn whoever_used_nothing_goes_before_all_that_did_whatever_their_addresses_are() {
        for newcomer in [0, 1_000] {
            let mut turns = Turns::default();
            (1..=30).for_each(|number| turns.asks(number));
            for _ in 0..200 {
                let Some(Source::V4(served)) = turns.serves(Duration::from_millis(100)) else {
                    panic!("somebody waits")
                };
                turns.asks(served.into());
            }
            turns.asks(newcomer);
            assert_eq!(turns.serves(Duration::ZERO), Some(client(newcomer).source), "its address is {newcomer}");
        }
    }

    #[test]
    fn those_who_ask_alike_are_served_alike() {
        let mut turns = Turns::default();
        (0..30).for_each(|number| turns.asks(number));
        let mut served = BTreeMap::<Source, u32>::new();
        for _ in 0..300 {
            let source = turns.serves(Duration::from_millis(100)).expect("somebody waits");
            *served.entry(source).or_default() += 1;
            let Source::V4(number) = source else { panic!("they have IPv4") };
            turns.asks(number.into());
        }
        assert!(served.len() == 30 && served.values().all(|count| *count == 10), "{served:?}");
    }

    #[test]
    fn who_asked_for_nothing_for_long_has_no_more_advantage_than_a_little() {
        let mut turns = Turns::default();
        turns.asks(7);
        turns.serves(Duration::ZERO);
        for _ in 0..1_000 {
            turns.asks(1);
            turns.serves(Duration::from_millis(100));
        }
        // Both ask for all there is: for some turns the one that rested, then both in turn.
        (0..100).for_each(|_| turns.asks(1));
        (0..100).for_each(|_| turns.asks(7));
        let first = (0..100).take_while(|_| turns.serves(Duration::from_millis(100)) == Some(client(7).source)).count();
        assert!((15..=25).contains(&first), "{first} turns of 100 ms");
    }

    #[test]
    fn the_table_of_clients_is_bounded_and_those_who_wait_are_never_forgotten() {
        let mut turns = Turns::default();
        turns.asks(u32::MAX);
        for number in 0..3 * MAX_REMEMBERED as u32 {
            turns.asks(number);
            turns.serves(Duration::from_millis(1));
            assert!(turns.0.clients.len() + turns.0.remembered.len() <= MAX_REMEMBERED + 2);
        }
        let waits = |turns: &Turns| turns.0.clients.values().map(|line| line.jobs.len()).sum::<usize>();
        while waits(&turns) > 0 {
            turns.serves(Duration::from_millis(1));
        }
        assert!(turns.serves(Duration::ZERO).is_none());
    }
}
