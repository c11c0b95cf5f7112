//! Whether this machine's clock can be believed, by what other clocks show. Readings in, verdict out.
//!
//! A block is stamped by its proposer's clock and checked against the voters': a quorum whose clocks run a year ahead would make
//! a block final that every honest clock refuses for a year, and a validator whose clock is off by a minute fails in every round
//! without knowing why. So a validator that has reason to doubt its clock neither proposes nor votes.
//!
//! ```text
//!  another validator    its clock, once a second; what the message took makes it look late, so the latest reading counts
//!  the validators       the median of them: no third of them can move it beyond what an honest one shows
//!  Bitcoin              the time of the best block, as this operator's bitcoind has it: coarse, but nobody's of the federation
//! ```

use std::collections::{BTreeMap, VecDeque};

/// How far this clock may be behind the others': as far as a block's stamp may be ahead of a voter's clock.
const MAX_BEHIND_MS: i64 = crate::chain::MAX_CLOCK_DRIFT_MS.cast_signed();

/// How far it may be ahead of them. Messages that were long on their way look just like it, so it is more.
const MAX_AHEAD_MS: i64 = 5_000;

/// Time for which a reading counts.
const FRESH_MS: u64 = 30_000;

/// Readings of one validator that are kept: one a second.
const MAX_READINGS: usize = 32;

/// A block of Bitcoin is at most two hours ahead of the clocks of those who relay it (Bitcoin Core, `MAX_FUTURE_BLOCK_TIME`).
pub const MAX_BITCOIN_AHEAD_S: u64 = 2 * 60 * 60;

/// Time without a block of Bitcoin beyond which it is the clock that is wrong: at one in ten minutes, that is 144 missing ones.
const MAX_BITCOIN_QUIET_S: u64 = 24 * 60 * 60;

/// What other clocks showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// By the validators' p2p keys, oldest first.
    peers: BTreeMap<[u8; 32], VecDeque<Reading>>,
    /// Time of Bitcoin's best block, while a bitcoind that is up to date says so. Unix seconds.
    bitcoin_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    /// Theirs minus ours.
    ahead_ms: i64,
    /// Ours.
    at_ms: u64,
}

/// Why this clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("this machine's clock is {} behind the median of {peers} other validators", seconds(*.ahead_ms))]
    Behind { ahead_ms: i64, peers: usize },
    #[error("this machine's clock is {} ahead of the median of {peers} other validators", seconds(*.ahead_ms))]
    Ahead { ahead_ms: i64, peers: usize },
    #[error(
        "this machine's clock is {by_s} s behind Bitcoin's best block, which its miner may have stamped two hours ahead at most"
    )]
    BehindBitcoin { by_s: u64 },
    #[error("by this machine's clock Bitcoin has had no block for {by_s} s")]
    AheadOfBitcoin { by_s: u64 },
}

fn seconds(ahead_ms: i64) -> String {
    let ms = ahead_ms.unsigned_abs();
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

impl Clocks {
    /// Takes note of what a validator's clock showed, when ours showed `now_ms` (both Unix time).
    pub fn hear(&mut self, peer: [u8; 32], theirs_ms: u64, now_ms: u64) {
        let difference = i128::from(theirs_ms) - i128::from(now_ms);
        let ahead_ms = i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX });
        let readings = self.peers.entry(peer).or_default();
        readings.retain(|reading| is_fresh(reading, now_ms));
        if readings.len() == MAX_READINGS {
            readings.pop_front();
        }
        readings.push_back(Reading { ahead_ms, at_ms: now_ms });
    }

    /// Takes note of the time of Bitcoin's best block; `None` when bitcoind does not answer, or is not up to date itself.
    pub const fn hear_bitcoin(&mut self, best_block_s: Option<u64>) {
        self.bitcoin_s = best_block_s;
    }

    /// Whether to doubt a clock that shows `now_ms`. Fewer than `needed` validators say nothing.
    pub fn doubt(&self, needed: usize, now_ms: u64) -> Option<Doubt> {
        self.doubt_of_bitcoin(now_ms / 1000).or_else(|| self.doubt_of_peers(needed, now_ms))
    }

    /// How far the median of the other validators' clocks is ahead of ours, in milliseconds; none while none was heard.
    pub fn offset_ms(&self, now_ms: u64) -> Option<i64> {
        self.median(now_ms).map(|(ahead_ms, _)| ahead_ms)
    }

    /// Time of Bitcoin's best block by this operator's bitcoind; none while that does not say.
    pub const fn bitcoin_s(&self) -> Option<u64> {
        self.bitcoin_s
    }

    fn doubt_of_peers(&self, needed: usize, now_ms: u64) -> Option<Doubt> {
        let (ahead_ms, peers) = self.median(now_ms).filter(|(_, peers)| *peers >= needed)?;
        match ahead_ms {
            ..0 if ahead_ms < -MAX_AHEAD_MS => Some(Doubt::Ahead { ahead_ms, peers }),
            _ if ahead_ms > MAX_BEHIND_MS => Some(Doubt::Behind { ahead_ms, peers }),
            _ => None,
        }
    }

    /// How far the others' clocks are ahead, and how many there are of them.
    fn median(&self, now_ms: u64) -> Option<(i64, usize)> {
        let latest = |readings: &VecDeque<Reading>| {
            readings.iter().filter(|reading| is_fresh(reading, now_ms)).map(|reading| reading.ahead_ms).max()
        };
        let mut all: Vec<i64> = self.peers.values().filter_map(latest).collect();
        let peers = all.len();
        if peers == 0 {
            return None;
        }
        all.sort_unstable();
        // Of two in the middle the one that doubts less.
        let middle = [all[(peers - 1) / 2], all[peers / 2]];
        middle.into_iter().min_by_key(|ahead_ms| ahead_ms.unsigned_abs()).map(|ahead_ms| (ahead_ms, peers))
    }

    fn doubt_of_bitcoin(&self, now_s: u64) -> Option<Doubt> {
        let best_s = self.bitcoin_s?;
        let (behind_s, ahead_s) = (best_s.saturating_sub(now_s), now_s.saturating_sub(best_s));
        match (behind_s > MAX_BITCOIN_AHEAD_S, ahead_s > MAX_BITCOIN_QUIET_S) {
            (true, _) => Some(Doubt::BehindBitcoin { by_s: behind_s }),
            (_, true) => Some(Doubt::AheadOfBitcoin { by_s: ahead_s }),
            _ => None,
        }
    }
}

/// Also not from a future that this clock was set back from.
const fn is_fresh(reading: &Reading, now_ms: u64) -> bool {
    reading.at_ms.abs_diff(now_ms) < FRESH_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const YEAR_MS: u64 = 365 * 86_400_000;

    fn clocks(theirs: &[i64]) -> Clocks {
        let mut clocks = Clocks::default();
        for (peer, ahead_ms) in (0..).zip(theirs) {
            clocks.hear([peer; 32], NOW.saturating_add_signed(*ahead_ms), NOW);
        }
        clocks
    }

    #[test]
    fn a_clock_that_is_off_by_a_minute_is_doubted_in_words() {
        let doubt = clocks(&[60_000, 60_300, 60_150]).doubt(2, NOW).expect("all others are ahead");
        assert_eq!(doubt.to_string(), "this machine's clock is 60.1 s behind the median of 3 other validators");
        let doubt = clocks(&[-60_000, -60_300, -60_150]).doubt(2, NOW).expect("all others are behind");
        assert_eq!(doubt.to_string(), "this machine's clock is 60.1 s ahead of the median of 3 other validators");
        assert_eq!(clocks(&[-5_100, -4_900, 2_000]).doubt(2, NOW), None);
    }

    #[test]
    fn no_liar_makes_an_honest_validator_doubt_its_clock() {
        for lie in [i64::MIN, -YEAR_MS.cast_signed(), YEAR_MS.cast_signed(), i64::MAX] {
            assert_eq!(clocks(&[3, lie, 5]).doubt(2, NOW), None);
            assert_eq!(clocks(&[3, lie]).doubt(2, NOW), None, "one of the three is away");
        }
    }

    proptest! {
        #[test]
        fn less_than_half_of_the_others_move_the_verdict_nowhere(
            honest in prop::collection::vec(-MAX_AHEAD_MS..=MAX_BEHIND_MS, 1..8),
            lies in prop::collection::vec(any::<i64>(), 0..8),
        ) {
            let lies = &lies[..lies.len().min(honest.len() - 1)];
            prop_assert_eq!(clocks(&[&honest[..], lies].concat()).doubt(0, NOW), None);
        }
    }

    #[test]
    fn what_a_message_took_is_not_held_against_a_clock() {
        let mut clocks = Clocks::default();
        for second in 0..20 {
            let now_ms = NOW + 1_000 * second;
            // A machine under load reads nearly all of them seconds late.
            let late_ms = if second == 3 { 50 } else { 6_000 };
            (0..3).for_each(|peer| clocks.hear([peer; 32], now_ms - late_ms, now_ms));
        }
        assert_eq!(clocks.doubt(2, NOW + 20_000), None);
        assert!(clocks.doubt(2, NOW + 40_000).is_some(), "that one is too old by now, and it may be the clock");
    }

    #[test]
    fn too_few_and_old_readings_say_nothing() {
        let two = clocks(&[60_000, 60_000]);
        assert_eq!(two.doubt(3, NOW), None);
        assert!(two.doubt(2, NOW).is_some());
        assert_eq!(two.doubt(2, NOW + FRESH_MS), None);
        assert_eq!(two.doubt(2, NOW - FRESH_MS), None, "the clock was set back");
        assert_eq!(Clocks::default().doubt(0, NOW), None, "alone");
    }

    #[test]
    fn a_quorum_a_year_ahead_is_stopped_by_bitcoin() {
        let mut all = clocks(&[0, 0, 0]);
        all.hear_bitcoin(Some((NOW - YEAR_MS) / 1000));
        assert!(matches!(all.doubt(2, NOW), Some(Doubt::AheadOfBitcoin { .. })));
        all.hear_bitcoin(Some(NOW / 1000 + MAX_BITCOIN_AHEAD_S + 1));
        assert!(matches!(all.doubt(2, NOW), Some(Doubt::BehindBitcoin { by_s: 7_201 })));
        for usual in [NOW / 1000 + MAX_BITCOIN_AHEAD_S, NOW / 1000, NOW / 1000 - MAX_BITCOIN_QUIET_S] {
            all.hear_bitcoin(Some(usual));
            assert_eq!(all.doubt(2, NOW), None);
        }
        all.hear_bitcoin(None);
        assert_eq!(all.doubt(2, NOW), None, "a bitcoind that is not up to date says nothing");
    }

    #[test]
    fn what_is_kept_of_a_validator_is_bounded() {
        let mut clocks = Clocks::default();
        (0..10_000).for_each(|n| clocks.hear([1; 32], NOW, NOW + n % 10));
        assert_eq!(clocks.peers[&[1; 32]].len(), MAX_READINGS);
    }
}
