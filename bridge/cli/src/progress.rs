//! How far long work is: a bar with an estimate, for people at a terminal alone. Scripts, files and `--json` see none of it.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;

/// How often a bar without a number shows that it is alive.
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error while there is something to show, or never one.
#[derive(Clone, Debug)]
pub struct Progress {
    is_seen: bool,
    /// With the template that it was made with.
    bar: Arc<Mutex<Option<(&'static str, ProgressBar)>>>,
}

impl Progress {
    /// Nothing is shown.
    pub fn hidden() -> Self {
        Self { is_seen: false, bar: Arc::default() }
    }

    /// Shown where somebody sits at a terminal and did not ask for JSON.
    pub fn new(context: &Context) -> Self {
        Self { is_seen: !context.json && std::io::stderr().is_terminal(), bar: Arc::default() }
    }

    /// So many of so many are done; the estimate follows from how long the last ones took.
    pub fn of(&self, what: &str, done: u64, total: u64) {
        self.show("{msg} {bar:30} {pos}/{len}, {eta} more", what, |bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
    }

    /// So many of so many are done, and how long the rest takes is known from elsewhere, as for blocks of Bitcoin.
    pub fn waiting(&self, what: &str, done: u64, total: u64, estimate: Option<String>) {
        let estimate = estimate.unwrap_or_else(|| "until somebody mines".to_owned());
        self.show("{spinner} {bar:30} {pos}/{len} {msg} ({elapsed})", &format!("{what}, {estimate}"), |bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
    }

    /// Something is being done, and nobody knows how long it takes.
    pub fn about(&self, what: &str) {
        self.show("{spinner} {msg} ({elapsed})", what, |_| {});
    }

    fn show(&self, template: &'static str, what: &str, update: impl FnOnce(&ProgressBar)) {
        if !self.is_seen {
            return;
        }
        let mut shown = self.bar();
        if shown.as_ref().is_some_and(|(last, _)| *last != template) {
            clear(&mut shown);
        }
        let (_, bar) = shown.get_or_insert_with(|| {
            let style = ProgressStyle::with_template(template).expect("a valid template");
            let bar = ProgressBar::new(0).with_style(style);
            bar.enable_steady_tick(TICK);
            (template, bar)
        });
        bar.set_message(bridge::foreign::lines(what).replace('\n', " "));
        update(bar);
    }

    /// Nothing is left of it on the screen: it is done, or something else is to be printed.
    pub fn clear(&self) {
        clear(&mut self.bar());
    }

    fn bar(&self) -> MutexGuard<'_, Option<(&'static str, ProgressBar)>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clear(shown: &mut Option<(&'static str, ProgressBar)>) {
    if let Some((_, bar)) = shown.take() {
        bar.finish_and_clear();
    }
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
    fn a_bar_is_made_anew_for_another_kind_of_work_and_nothing_is_left_of_it() {
        let progress = Progress { is_seen: true, bar: Arc::default() };
        progress.of("reading", 1, 2);
        progress.of("reading\n\u{1b}[2J", 2, 2);
        let message = progress.bar().as_ref().map(|(_, bar)| (bar.position(), bar.message()));
        assert!(message.as_ref().is_some_and(|(at, text)| *at == 2 && !text.contains('\u{1b}')), "{message:?}");
        progress.about("proving");
        assert_eq!(progress.bar().as_ref().map(|(_, bar)| bar.message()), Some("proving".to_owned()));
        progress.clear();
        assert!(progress.bar().is_none());
    }
}
