//! Which snapshots a node keeps for others, and for how long. Each costs disk: what changed since is kept twice.

/// Kept in any case: the newest, and the one before it, which somebody may just have begun to copy.
const NEWEST: usize = 2;

/// Kept at all.
const MOST: usize = 4;

/// An older one is kept while somebody reads it: a slow line needs longer than the time between two.
const IDLE_MS: u64 = 10 * 60 * 1000;

/// But no longer than this: nobody can make a node keep old state for ever.
const OLDEST_MS: u64 = 6 * 60 * 60 * 1000;

/// Snapshots by number, oldest first.
#[derive(Debug)]
pub struct Shelf<T> {
    kept: Vec<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    number: u64,
    taken_ms: u64,
    used_ms: u64,
    snapshot: T,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { kept: Vec::new() }
    }
}

impl<T> Shelf<T> {
    /// Adds the snapshot of a block later than all before, and returns those that are no longer kept. `now_ms` is any clock's.
    #[must_use]
    pub fn add(&mut self, number: u64, snapshot: T, now_ms: u64) -> Vec<T> {
        self.kept.push(Kept { number, taken_ms: now_ms, used_ms: now_ms, snapshot });
        self.expire(now_ms)
    }

    /// The snapshot of a block, marked as used.
    pub fn get(&mut self, number: u64, now_ms: u64) -> Option<&T> {
        let kept = self.kept.iter_mut().find(|kept| kept.number == number)?;
        kept.used_ms = now_ms;
        Some(&kept.snapshot)
    }

    /// Their blocks, oldest first.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|kept| kept.number)
    }

    fn expire(&mut self, now_ms: u64) -> Vec<T> {
        let count = self.kept.len();
        let since = |then: u64| now_ms.saturating_sub(then);
        let stays = |place: usize, kept: &Kept<T>| {
            let behind = count - place;
            behind <= NEWEST || (behind <= MOST && since(kept.used_ms) < IDLE_MS && since(kept.taken_ms) < OLDEST_MS)
        };
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.kept.drain(..).enumerate().partition(|(place, kept)| stays(*place, kept));
        self.kept = kept.into_iter().map(|(_, kept)| kept).collect();
        gone.into_iter().map(|(_, kept)| kept.snapshot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shelf: &Shelf<u64>) -> Vec<u64> {
        shelf.numbers().collect()
    }

    #[test]
    fn the_two_newest_are_kept_and_older_ones_while_somebody_reads_them() {
        let mut shelf = Shelf::default();
        assert!(shelf.add(1, 1, 0).is_empty());
        assert!(shelf.add(2, 2, 1_000).is_empty());
        assert!(shelf.add(3, 3, 2_000).is_empty(), "1 was taken just now");
        assert_eq!(shelf.get(1, IDLE_MS), Some(&1));
        assert!(shelf.add(4, 4, IDLE_MS + 500).is_empty(), "1 is read, 2 was taken not quite ten minutes ago");
        assert_eq!(shelf.add(5, 5, IDLE_MS + 600), [1], "four are the most, whoever reads them");
        assert_eq!(shelf.add(6, 6, 2 * IDLE_MS + 3_000), [2, 3, 4], "nobody reads them");
        assert_eq!(numbers(&shelf), [5, 6]);
        assert_eq!(shelf.get(4, 0), None);
    }

    #[test]
    fn nobody_makes_a_node_keep_old_state_for_ever() {
        let mut shelf = Shelf::default();
        let half = OLDEST_MS / 2;
        for (number, now) in [(0, 0), (1, 0), (2, half)] {
            shelf.get(0, now);
            assert!(shelf.add(number, number, now).is_empty());
        }
        shelf.get(0, 2 * half);
        assert_eq!(shelf.add(3, 3, 2 * half), [0, 1], "0 was read just now, but is six hours old");
    }
}
