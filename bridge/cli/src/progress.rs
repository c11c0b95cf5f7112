//! How far long work is: a bar with an estimate, for people at a terminal alone. Scripts, files and `--json` see none of it.

use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;
use crate::screen;

/// How often a bar without a number shows that it is alive.
const TICK: Duration = Duration::from_millis(120);
/// What is done sooner shows no bar.
const SOON: Duration = Duration::from_secs(1);

/// Whether somebody looks at what the command of this process does; set once, at its start.
static WATCHED: OnceLock<bool> = OnceLock::new();

/// Notes whether somebody sits at a terminal and did not ask for JSON.
pub fn watch(context: &Context, is_service: bool) {
    // A second command in one process would say the same.
    let _ = WATCHED.set(!is_service && is_seen(context));
}

fn is_seen(context: &Context) -> bool {
    !context.json && std::io::stderr().is_terminal()
}

/// A bar on standard error while there is something to show, or never one.
#[derive(Clone, Debug)]
pub struct Progress {
    is_seen: bool,
    bar: Arc<Mutex<Option<Shown>>>,
}

/// What is on the screen until this is gone, however the work ends.
#[derive(Debug)]
struct Shown {
    /// With which it was made.
    template: &'static str,
    bar: ProgressBar,
    /// What is done, how many were done when it was first shown, and when that was.
    since: Option<(String, u64, Instant)>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        screen::has(None);
        self.bar.finish_and_clear();
    }
}

impl Progress {
    /// Nothing is shown.
    pub fn hidden() -> Self {
        Self { is_seen: false, bar: Arc::default() }
    }

    /// Shown where somebody sits at a terminal and did not ask for JSON.
    pub fn new(context: &Context) -> Self {
        Self { is_seen: is_seen(context), bar: Arc::default() }
    }

    /// The same where no [`Context`] is at hand.
    pub fn of_this_command() -> Self {
        Self { is_seen: WATCHED.get().copied().unwrap_or_default(), bar: Arc::default() }
    }

    /// Whether anybody sees it: what a bar alone needs to know is not asked for otherwise.
    pub const fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Waits for work of which nobody knows how long it takes, and says what it is once it takes longer than a moment.
    pub async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        if !self.is_seen {
            return work.await;
        }
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(SOON, &mut work).await {
            return done;
        }
        self.about(what);
        let done = work.await;
        self.clear();
        done
    }

    /// So many of so many are done; the estimate follows from how long those took that were done since it is shown. What was done before,
    /// as most blocks of a chain, says nothing about that.
    pub fn of(&self, what: &str, done: u64, total: u64) {
        if total == 0 {
            return self.about(what);
        }
        self.show("{msg} {bar:30} {pos}/{len}{prefix}", what, |shown| {
            let is_same = |(same, first, _): &(String, u64, Instant)| same == what && *first <= done;
            let since = shown.since.take().filter(is_same).unwrap_or_else(|| (what.to_owned(), done, Instant::now()));
            let left = left(done - since.1, total.saturating_sub(done), since.2.elapsed());
            shown.since = Some(since);
            shown.bar.set_prefix(left.map(|left| format!(", about {} more", HumanDuration(left))).unwrap_or_default());
            shown.bar.set_length(total);
            shown.bar.set_position(done);
        });
    }

    /// So many of so many are done, and how long the rest takes is known from elsewhere, as for blocks of Bitcoin.
    pub fn waiting(&self, what: &str, done: u64, total: u64, estimate: Option<String>) {
        let estimate = estimate.unwrap_or_else(|| "until somebody mines".to_owned());
        self.show("{spinner} {bar:30} {pos}/{len} {msg} ({elapsed})", &format!("{what}, {estimate}"), |shown| {
            shown.bar.set_length(total);
            shown.bar.set_position(done);
        });
    }

    /// Something is being done, and nobody knows how long it takes.
    pub fn about(&self, what: &str) {
        self.show("{spinner} {msg} ({elapsed})", what, |_| {});
    }

    fn show(&self, template: &'static str, what: &str, update: impl FnOnce(&mut Shown)) {
        if !self.is_seen {
            return;
        }
        let mut shown = self.bar();
        if shown.as_ref().is_some_and(|last| last.template != template) {
            shown.take();
        }
        let message = bridge::foreign::lines(what).replace('\n', " ");
        if let Some(shown) = shown.as_mut() {
            shown.bar.set_message(message);
            return update(shown);
        }
        // It is drawn once it says something: none of none would be a full bar.
        let style = ProgressStyle::with_template(template).expect("a valid template");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
        let mut fresh = Shown { template, bar, since: None };
        fresh.bar.set_message(message);
        update(&mut fresh);
        fresh.bar.set_draw_target(ProgressDrawTarget::stderr());
        fresh.bar.enable_steady_tick(TICK);
        screen::has(Some(fresh.bar.clone()));
        *shown = Some(fresh);
    }

    /// Nothing is left of it on the screen: it is done, or something else is to be printed.
    pub fn clear(&self) {
        self.bar().take();
    }

    fn bar(&self) -> MutexGuard<'_, Option<Shown>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the rest takes, if as many as were `done` took that long; none before there is anything to judge by.
fn left(done: u64, rest: u64, took: Duration) -> Option<Duration> {
    let done = u32::try_from(done).ok().filter(|done| *done > 0 && took >= SOON)?;
    let each = took / done;
    Some(each.saturating_mul(u32::try_from(rest).unwrap_or(u32::MAX)).max(SOON)).filter(|_| rest > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::LogFormat;

    #[test]
    fn whoever_is_no_terminal_or_wants_json_sees_no_bar() {
        // Tests have no terminal; with one, JSON hides it all the same.
        let context = Context { json: true, log_format: LogFormat::Human };
        let progress = Progress::new(&context);
        progress.of("reading", 1, 2);
        progress.waiting("confirmations", 1, 6, Some("about 50m more".to_owned()));
        progress.about("proving");
        assert!(progress.bar().is_none());
    }

    #[test]
    fn the_estimate_is_judged_by_what_was_done_since_it_is_shown() {
        let second = Duration::from_secs(1);
        assert_eq!(left(0, 100, 5 * second), None, "nothing was done");
        assert_eq!(left(1_000, 100, second / 100), None, "it has just begun");
        assert_eq!(left(10, 100, 5 * second), Some(50 * second));
        assert_eq!(left(1_000, 1, 5 * second), Some(second), "never none");
        assert_eq!(left(10, 0, 5 * second), None);
        let progress = Progress { is_seen: true, bar: Arc::default() };
        // Most of a chain was read long ago.
        progress.of("reading blocks", 900_000, 900_100);
        let shown = |progress: &Progress| progress.bar().as_ref().map(|shown| (shown.bar.prefix(), shown.bar.length()));
        assert_eq!(shown(&progress), Some((String::new(), Some(900_100))));
        let began = Instant::now() - 5 * second;
        progress.bar().as_mut().expect("shown").since = Some(("reading blocks".to_owned(), 900_000, began));
        progress.of("reading blocks", 900_010, 900_100);
        assert_eq!(shown(&progress).map(|shown| shown.0), Some(", about 45 seconds more".to_owned()));
        // Something else is measured anew, and what has no end yet has no bar.
        progress.of("reading outputs", 0, 3);
        assert_eq!(shown(&progress).map(|shown| shown.0), Some(String::new()));
        progress.of("reading outputs", 0, 0);
        assert_eq!(progress.bar().as_ref().map(|shown| shown.bar.length()), Some(None));
    }

    #[test]
    fn what_takes_a_moment_shows_no_bar_and_what_takes_longer_says_what_it_is() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let progress = Progress { is_seen: true, bar: Arc::default() };
            let shown = || progress.bar().as_ref().map(|shown| shown.bar.message());
            assert_eq!(progress.during("asking", async { shown() }).await, None);
            let long = progress.during("asking", async {
                tokio::time::sleep(SOON + SOON / 2).await;
                shown()
            });
            assert_eq!(long.await, Some("asking".to_owned()));
            assert_eq!(shown(), None);
        });
    }

    #[test]
    fn a_bar_is_made_anew_for_another_kind_of_work_and_nothing_is_left_of_it() {
        let progress = Progress { is_seen: true, bar: Arc::default() };
        progress.of("reading", 1, 2);
        progress.of("reading\n\u{1b}[2J", 2, 2);
        let message = progress.bar().as_ref().map(|shown| (shown.bar.position(), shown.bar.message()));
        assert!(message.as_ref().is_some_and(|(at, text)| *at == 2 && !text.contains('\u{1b}')), "{message:?}");
        progress.about("proving");
        assert_eq!(progress.bar().as_ref().map(|shown| shown.bar.message()), Some("proving".to_owned()));
        progress.clear();
        assert!(progress.bar().is_none());
    }
}
