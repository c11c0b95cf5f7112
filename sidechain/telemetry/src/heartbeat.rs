//! When each task of a service ran last: a task that hangs says nothing, and is missed by its silence.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exposition::{Page, Value};
use crate::verdict::Reason;

/// The last run of each task. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Arc<Mutex<BTreeMap<&'static str, Beat>>>);

#[derive(Clone, Copy, Debug)]
struct Beat {
    /// Unix milliseconds.
    at_ms: u64,
    /// Longer than it ever takes until the next one, in milliseconds.
    patience_ms: u64,
}

impl Heartbeats {
    /// A task runs now, and will again within `patience_ms`.
    pub fn beat(&self, task: &'static str, now_ms: u64, patience_ms: u64) {
        self.lock().insert(task, Beat { at_ms: now_ms, patience_ms });
    }

    /// All tasks have ended, and are not missed.
    pub fn ended(&self) {
        self.lock().clear();
    }

    /// The tasks that did not run again in time.
    #[must_use]
    pub fn missed(&self, now_ms: u64) -> Vec<Reason> {
        let beats = self.lock();
        let late = beats.iter().filter(|(_, beat)| now_ms.saturating_sub(beat.at_ms) > beat.patience_ms);
        late.map(|(task, beat)| {
            let (silent_s, most_s) = (now_ms.saturating_sub(beat.at_ms) / 1000, beat.patience_ms / 1000);
            Reason::new(
                "stuck",
                format!("the task {task} ran {silent_s} s ago for the last time, at most {most_s} s are expected"),
            )
        })
        .collect()
    }

    /// Writes them as `name`.
    pub fn write(&self, page: &mut Page, name: &str) {
        let beats = self.lock();
        let samples = beats.iter().map(|(task, beat)| (*task, Value::seconds(beat.at_ms)));
        page.gauges(name, "When a task ran last, in seconds since 1970.", "task", samples);
    }

    /// Held for moments.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Beat>> {
        // Plain values: a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_missed_after_its_own_time_and_not_once_all_have_ended() {
        let beats = Heartbeats::default();
        beats.beat("watch", 5_000, 30_000);
        beats.beat("sign", 5_000, 600_000);
        assert_eq!(beats.missed(35_000), []);
        let missed = beats.missed(36_000);
        assert_eq!(missed.len(), 1);
        assert!(missed[0].message.contains("watch ran 31 s ago"), "{missed:?}");
        assert_eq!(beats.missed(0), [], "a clock that was set back");
        let mut page = Page::default();
        beats.write(&mut page, "x_last_run_timestamp_seconds");
        assert!(page.finish().ends_with(
            "x_last_run_timestamp_seconds{task=\"sign\"} 5.000\nx_last_run_timestamp_seconds{task=\"watch\"} 5.000\n"
        ));
        beats.ended();
        assert_eq!(beats.missed(u64::MAX), []);
    }
}
