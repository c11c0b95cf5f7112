//! Waiting for what happens outside of a test. Every wait has a bound, and one in vain fails the test with what was awaited,
//! for how long, and whatever the caller shows to explain it.

use std::thread;
use std::time::{Duration, Instant};

/// How long to wait, and how long to pause between two looks.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    longest: Duration,
    pause: Duration,
}

/// A wait that has begun.
#[derive(Debug)]
pub struct Wait<'a> {
    what: &'a str,
    patience: Patience,
    start: Instant,
}

impl Patience {
    #[must_use]
    pub const fn new(longest: Duration, pause: Duration) -> Self {
        Self { longest, pause }
    }

    /// Begins to wait until `what`.
    #[must_use]
    pub fn begin(self, what: &str) -> Wait<'_> {
        Wait { what, patience: self, start: Instant::now() }
    }

    /// Looks again and again, until there is something.
    ///
    /// # Panics
    ///
    /// When there is nothing in time; what `shown` gives is in the message.
    pub fn until<T>(self, what: &str, shown: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
        let wait = self.begin(what);
        loop {
            if let Some(found) = look() {
                return found;
            }
            wait.pause(&shown);
        }
    }

    /// As [`Patience::until`], for a look that waits for an answer itself.
    ///
    /// # Panics
    ///
    /// When there is nothing in time.
    pub async fn until_async<T>(self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let wait = self.begin(what);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            wait.pause_async(String::new).await;
        }
    }
}

impl Wait<'_> {
    /// Sleeps until it is time to look again.
    ///
    /// # Panics
    ///
    /// When there is no time left.
    pub fn pause(&self, shown: impl FnOnce() -> String) {
        self.require_time_left(shown);
        thread::sleep(self.patience.pause);
    }

    /// As [`Wait::pause`], without blocking the thread.
    ///
    /// # Panics
    ///
    /// When there is no time left.
    pub async fn pause_async(&self, shown: impl FnOnce() -> String) {
        self.require_time_left(shown);
        tokio::time::sleep(self.patience.pause).await;
    }

    fn require_time_left(&self, shown: impl FnOnce() -> String) {
        let longest = self.patience.longest;
        assert!(self.start.elapsed() < longest, "waited {} s until {}\n{}", longest.as_secs(), self.what, shown());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience::new(Duration::from_millis(20), Duration::from_millis(1));

    #[test]
    fn what_comes_in_time_is_returned() {
        let mut looks = 0;
        let found = SHORT.until("the third look", String::new, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "until pigs fly\nthey have no wings")]
    fn what_never_comes_fails_with_words() {
        SHORT.until("pigs fly", || "they have no wings".into(), || None::<()>);
    }

    #[tokio::test]
    #[should_panic(expected = "until an answer")]
    async fn an_answer_that_never_comes_fails_with_words_too() {
        SHORT.until_async("an answer", async || None::<()>).await;
    }
}
