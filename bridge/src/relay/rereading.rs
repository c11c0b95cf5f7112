//! When what is open is read once more, as after a start: what a node left out or told wrongly is put right as soon as it tells the truth.

/// Between two readings without any doubt.
const EVERY_MS: u64 = 600_000;
/// After a first doubt.
const FIRST_MS: u64 = 10_000;

/// The moment of the next reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rereading {
    due_ms: u64,
    is_doubted: bool,
    patience_ms: u64,
}

impl Rereading {
    /// All was read now.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { due_ms: now_ms + EVERY_MS, is_doubted: false, patience_ms: FIRST_MS }
    }

    /// The node contradicted itself, or what it proves.
    pub fn doubt(&mut self, now_ms: u64) {
        if !self.is_doubted {
            self.is_doubted = true;
            self.due_ms = self.due_ms.min(now_ms + self.patience_ms);
        }
    }

    /// Whether there is a doubt that no reading has taken up yet.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.is_doubted
    }

    /// Whether to begin to read.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.due_ms
    }

    /// A reading begins. Whoever doubts again and again waits twice as long each time, so that no liar keeps a relayer busy.
    pub fn begin(&mut self, now_ms: u64) {
        self.patience_ms = if self.is_doubted { (2 * self.patience_ms).min(EVERY_MS) } else { FIRST_MS };
        self.is_doubted = false;
        self.due_ms = now_ms + EVERY_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_doubt_it_is_read_again_at_long_intervals() {
        let mut rereading = Rereading::new(5);
        assert!(!rereading.is_due(5 + EVERY_MS - 1) && rereading.is_due(5 + EVERY_MS));
        rereading.begin(1_000_000);
        assert!(!rereading.is_due(1_000_000 + EVERY_MS - 1) && rereading.is_due(1_000_000 + EVERY_MS));
    }

    #[test]
    fn a_liar_who_is_doubted_all_the_time_makes_no_more_readings_than_none_in_the_long_run() {
        let (mut rereading, mut readings) = (Rereading::new(0), Vec::new());
        for now_ms in (0..100 * EVERY_MS).step_by(1_000) {
            rereading.doubt(now_ms);
            if rereading.is_due(now_ms) {
                rereading.begin(now_ms);
                readings.push(now_ms);
            }
        }
        assert_eq!(readings[0], FIRST_MS, "the first time soon");
        assert!(readings.windows(3).all(|times| times[2] - times[1] + 2_000 >= times[1] - times[0]), "{readings:?}");
        assert!(readings.len() <= 107, "{} readings", readings.len());
    }

    #[test]
    fn a_doubt_after_a_quiet_time_is_looked_into_soon() {
        let mut rereading = Rereading::new(0);
        for now_ms in (0..20 * EVERY_MS).step_by(1_000) {
            rereading.doubt(now_ms);
            if rereading.is_due(now_ms) {
                rereading.begin(now_ms);
            }
        }
        let mut now_ms = 20 * EVERY_MS;
        for _ in 0..2 {
            now_ms += EVERY_MS;
            assert!(rereading.is_due(now_ms));
            rereading.begin(now_ms);
        }
        rereading.doubt(now_ms);
        assert!(rereading.is_due(now_ms + FIRST_MS) && !rereading.is_due(now_ms + FIRST_MS - 1));
    }
}
