//! Simulated time: it stands still while anything runs, then jumps to the next moment that somebody waits for.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bridge::io::clock::Time;

/// Turns of the scheduler in a row without a new wait after which nothing runs any more: a wake-up passes through fewer
/// tasks than this before one of them waits.
const IDLE_TURNS: u32 = 50;

/// The time of one simulation. Clones are the same.
#[derive(Clone)]
pub struct SimulatedTime(Arc<Mutex<State>>);

struct State {
    started_unix_ms: u64,
    now_ms: u64,
    /// Who waits, by moment and in order of coming; the waker is there once it was polled.
    waiting: BTreeMap<(u64, u64), Option<Waker>>,
    /// Waits begun so far: tells them apart, and that something ran.
    begun: u64,
}

/// One wait; it is given up when it is dropped.
struct Sleep {
    time: SimulatedTime,
    key: (u64, u64),
}

impl SimulatedTime {
    /// A time that begins at `started_unix_ms`.
    #[must_use]
    pub fn new(started_unix_ms: u64) -> Self {
        let state = State { started_unix_ms, now_ms: 0, waiting: BTreeMap::new(), begun: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Runs a future to its end on a runtime of one thread, and lets time pass whenever nothing else is to do.
    pub async fn drive<T>(self, story: impl Future<Output = T>) -> T {
        let mut story = pin!(story);
        loop {
            let done = poll_fn(|context| match story.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => Poll::Ready(None),
            });
            if let Some(done) = done.await {
                return done;
            }
            if self.let_everything_run().await {
                self.advance();
            }
        }
    }

    /// Whether nothing runs any more; otherwise the story may go on.
    async fn let_everything_run(&self) -> bool {
        let begun = self.lock().begun;
        for _ in 0..IDLE_TURNS {
            tokio::task::yield_now().await;
            if self.lock().begun != begun {
                return false;
            }
        }
        true
    }

    fn advance(&self) {
        let mut state = self.lock();
        let Some((&(at_ms, _), _)) = state.waiting.first_key_value() else {
            panic!("nobody waits for anything: the simulation stands still");
        };
        state.now_ms = state.now_ms.max(at_ms);
        // One after the other, in order, so that a seed gives one story.
        let (_, waker) = state.waiting.pop_first().expect("there is a first one");
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Time for SimulatedTime {
    fn ms(&self) -> u64 {
        self.lock().now_ms
    }

    fn unix_ms(&self) -> u64 {
        let state = self.lock();
        state.started_unix_ms + state.now_ms
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.lock();
        let until_ms = state.now_ms + u64::try_from(time.as_millis()).expect("a short time");
        state.begun += 1;
        let key = (until_ms, state.begun);
        state.waiting.insert(key, None);
        Box::pin(Sleep { time: self.clone(), key })
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()> {
        match self.time.lock().waiting.get_mut(&self.key) {
            Some(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.lock().waiting.remove(&self.key);
    }
}
