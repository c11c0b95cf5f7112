//! The bar that is on the screen, and lines that are written beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;

/// At most one: a command does one thing after another.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Notes which bar is on the screen; none: it is gone.
pub fn has(bar: Option<ProgressBar>) {
    *on_screen() = bar;
}

/// Writes a line, for which the bar makes room if there is one.
pub fn aside(write: impl FnOnce()) {
    let bar = on_screen().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn on_screen() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}
