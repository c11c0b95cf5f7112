//! Threads that read the store and execute for clients: their own, so that nothing else of the node waits for them.
//!
//! ```text
//!  Short: reads of one thing    Long: executions, ranges of blocks, proofs,     Longest: what did not end
//!                               for a moment                                    in its moment, until its deadline
//!            \                           |                                     /
//!             threads of its own each; the client whose work took least time so far goes first,
//!             and of the long ones none ever has all threads
//! ```
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
}

/// What a thread does for one request.
type Job = Box<dyn FnOnce() + Send>;

/// The threads of a server. Dropping it ends them when their current work ends.
#[derive(Debug)]
pub struct Workers {
    short: Arc<Queue>,
    long: Arc<Queue>,
    longest: Arc<Queue>,
}

impl Workers {
    /// Starts the threads; there are `long` of each kind that runs for long. `started` runs first in each of them.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(short: usize, long: usize, started: fn()) -> std::io::Result<Self> {
        let workers = Self { short: Queue::new(short), long: Queue::new(long), longest: Queue::new(long) };
        for (lane, name) in [(Lane::Short, "rpc-short"), (Lane::Long, "rpc-long"), (Lane::Longest, "rpc-longest")] {
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
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.short.close();
        self.long.close();
        self.longest.close();
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

#[derive(Default)]
struct Waiting {
    closed: bool,
    clients: BTreeMap<Source, Line>,
    /// What the one that was chosen last had used: a newcomer starts there, not with an advantage from the past.
    floor: Duration,
}

/// One client's jobs.
struct Line {
    limited: bool,
    jobs: VecDeque<Job>,
    running: usize,
    /// Time that its jobs took while it was in the table.
    used: Duration,
}

/// Counted for a job before it is known how long it takes.
const NOMINAL: Duration = Duration::from_micros(500);

impl Queue {
    fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self { threads: threads.max(1), waiting: Mutex::default(), changed: Condvar::new() })
    }

    fn push(&self, client: Client, job: Job) {
        let mut waiting = self.lock();
        let floor = waiting.floor;
        let line = waiting.clients.entry(client.source).or_insert_with(|| Line {
            limited: client.limited,
            jobs: VecDeque::new(),
            running: 0,
            used: floor,
        });
        line.limited = client.limited;
        line.jobs.push_back(job);
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
        let mut waiting = self.lock();
        if let Some(line) = waiting.clients.get_mut(&source) {
            line.running -= 1;
            line.used += took.saturating_sub(NOMINAL);
            if line.running == 0 && line.jobs.is_empty() {
                waiting.clients.remove(&source);
            }
        }
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
    /// The next job of the client that used least.
    fn take(&mut self, threads: usize) -> Option<(Source, Job)> {
        let most = |line: &Line| if line.limited { threads.saturating_sub(1).max(1) } else { threads };
        let ready = self.clients.iter_mut().filter(|(_, line)| !line.jobs.is_empty() && line.running < most(line));
        let (source, line) = ready.min_by_key(|(_, line)| line.used)?;
        let job = line.jobs.pop_front()?;
        line.running += 1;
        self.floor = self.floor.max(line.used);
        line.used += NOMINAL;
        Some((*source, job))
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

    #[test]
    fn the_table_of_clients_is_empty_when_nothing_waits() {
        let workers = workers(2);
        let (done, answers) = mpsc::channel();
        for number in 0..1_000 {
            let done = done.clone();
            workers.submit(Lane::Short, client(number), move || {
                let _ = done.send(());
            });
        }
        assert_eq!(answers.iter().take(1_000).count(), 1_000);
        for _ in 0..1_000 {
            if workers.short.lock().clients.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("clients stay in the table");
    }
}
