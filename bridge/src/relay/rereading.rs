//! When what is open is read once more, as after a start: what a node left out or told wrongly is put right soon after it tells the truth.

/// Between two readings without any doubt, at least.
const EVERY_MS: u64 = 60_000;
/// A reading takes this part of the time at most, however much is open.
const MOST_OF_TIME: u64 = 20;
/// After a first doubt.
const FIRST_MS: u64 = 10_000;

/// The moment of the next reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rereading {
    due_ms: u64,
    /// Whatever is doubted.
    not_before_ms: u64,
    is_doubted: bool,
    patience_ms: u64,
    /// When the reading that goes on began.
    began_ms: Option<u64>,
}

impl Rereading {
    /// All was read now.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            due_ms: now_ms + EVERY_MS,
            not_before_ms: now_ms,
            is_doubted: false,
            patience_ms: FIRST_MS,
            began_ms: None,
        }
    }

    /// The node contradicted itself, or what it proves.
    pub fn doubt(&mut self, now_ms: u64) {
        if !self.is_doubted {
            self.is_doubted = true;
            self.due_ms = self.due_ms.min((now_ms + self.patience_ms).max(self.not_before_ms));
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
        self.began_ms.is_none() && now_ms >= self.due_ms
    }

    /// A reading begins. Whoever doubts again and again waits twice as long each time.
    pub fn begin(&mut self, now_ms: u64) {
        self.patience_ms = if self.is_doubted { (2 * self.patience_ms).min(EVERY_MS) } else { FIRST_MS };
        (self.is_doubted, self.began_ms) = (false, Some(now_ms));
    }

    /// It has ended, or failed.
    pub fn end(&mut self, now_ms: u64) {
        let took_ms = self.began_ms.take().map_or(0, |began_ms| now_ms.saturating_sub(began_ms));
        let pause_ms = if self.is_doubted { self.patience_ms } else { EVERY_MS };
        self.not_before_ms = now_ms + MOST_OF_TIME * took_ms;
        self.due_ms = (now_ms + pause_ms).max(self.not_before_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads at once whatever is due from `from_ms` on; the moments.
    fn read(rereading: &mut Rereading, from_ms: u64, until_ms: u64, took_ms: u64, is_doubted: bool) -> Vec<u64> {
        let (mut readings, mut now_ms) = (Vec::new(), from_ms);
        while now_ms < until_ms {
            if is_doubted {
                rereading.doubt(now_ms);
            }
            if rereading.is_due(now_ms) {
                rereading.begin(now_ms);
                readings.push(now_ms);
                now_ms += took_ms;
                rereading.end(now_ms);
            }
            now_ms += 1_000;
        }
        readings
    }

    #[test]
    fn without_a_doubt_it_is_read_again_each_minute() {
        let readings = read(&mut Rereading::new(5_000), 5_000, 600_000, 0, false);
        assert_eq!(readings.len(), 9, "{readings:?}");
        assert!(readings.windows(2).all(|two| two[1] - two[0] == EVERY_MS), "{readings:?}");
    }

    #[test]
    fn what_takes_long_is_read_less_often() {
        let readings = read(&mut Rereading::new(0), 0, 2_000_000, 10_000, true);
        assert!(readings.windows(2).all(|two| two[1] - two[0] >= 10_000 * (MOST_OF_TIME + 1)), "{readings:?}");
    }

    #[test]
    fn a_liar_who_is_doubted_all_the_time_is_asked_twice_as_late_each_time_up_to_a_minute() {
        let readings = read(&mut Rereading::new(0), 0, 1_000_000, 0, true);
        let pauses: Vec<u64> = readings.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(readings[0], FIRST_MS);
        assert_eq!(&pauses[..4], &[21_000, 41_000, 60_000, 60_000], "a doubt a second after each reading");
    }

    #[test]
    fn a_doubt_after_a_quiet_time_is_looked_into_soon() {
        let mut rereading = Rereading::new(0);
        read(&mut rereading, 0, 300_000, 0, true);
        let quiet = read(&mut rereading, 300_000, 600_000, 0, false);
        let now_ms = quiet.last().expect("some") + 1_000;
        rereading.doubt(now_ms);
        assert!(rereading.is_due(now_ms + FIRST_MS) && !rereading.is_due(now_ms + FIRST_MS - 1));
    }
}
