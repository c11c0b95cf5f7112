//! When a validator that does not know how it voted may vote again.
//!
//! A validator whose journal of votes is gone must not vote in a round in which it may have voted: two different votes of one
//! round are what finality excludes. So it begins after a block that was proposed when it had long stopped:
//!
//! ```text
//!  rounds      ... v1 ... v2 (its last vote, at the latest)    F, proposed after this process began
//!  time        -------------|---- the journal is lost ----|----- margin -----|------->
//! ```
//! It was in round v2 when it stopped, so every round before v2 had its certificate then. A block proposed later is in round v2
//! or after it; if it is final, and this validator begins behind its round, it votes in no round up to v2 again. That the block
//! was proposed later is seen from its timestamp, which a quorum checked against their clocks; the margin covers how far clocks
//! may be apart.
//!
//! Whoever never voted, in a network that has no blocks yet, may begin at once. That there are none, a quorum (this validator
//! included) has to say. What cannot be told apart: a validator that lost its journal before the first block of a network was
//! final. And where the others cannot make blocks without this validator, only its operator can know that it never voted.

/// Time between this process's start and a block that was certainly proposed after it: how far clocks may be apart (two seconds,
/// which blocks are checked by, on both sides), and as much again and more, for it costs nothing but these seconds.
pub const MARGIN_MS: u64 = 10_000;

/// A block that is proved to be final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenHead {
    pub number: u64,
    /// Unix time, in seconds.
    pub timestamp: u64,
    /// Of this very block.
    pub certificate: Vec<u8>,
}

/// What a validator without a journal knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// Its own last block.
    pub own_head: u64,
    /// Other validators that said what their last block is, and proved it if they have any.
    pub announced: usize,
    /// Validators that make a quorum.
    pub quorum: usize,
    /// The latest block of any of them.
    pub best: Option<&'a ProvenHead>,
    /// When this process began, and now; Unix time.
    pub started_ms: u64,
    pub now_ms: u64,
}

/// Whether it may vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From the first round on: there are no blocks.
    FromGenesis,
    /// From behind this block's round.
    Behind(ProvenHead),
    /// Not yet.
    Wait(Wait),
}

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    #[error(
        "{got} other validators to say what their last block is, expected {want}: this one has no journal of its votes"
    )]
    Announcements { got: usize, want: usize },
    #[error(
        "a final block with a timestamp from {from_s} on: this validator's journal of votes is gone, and before that it may have voted"
    )]
    LaterBlock { from_s: u64 },
}

/// Decides it.
pub fn judge(known: &Known<'_>) -> Verdict {
    // Where the chain's time runs ahead of the clocks it stands still, and tells nothing of when a block was proposed.
    let latest_ms = known.now_ms.saturating_add(MARGIN_MS);
    let later = |best: &&ProvenHead| {
        let stamped_ms = best.timestamp.saturating_mul(1000);
        (known.started_ms.saturating_add(MARGIN_MS)..latest_ms).contains(&stamped_ms)
    };
    if let Some(best) = known.best.filter(later) {
        return Verdict::Behind(best.clone());
    }
    if known.own_head > 0 || known.best.is_some() {
        let from_s = known.started_ms.saturating_add(MARGIN_MS).div_ceil(1000);
        return Verdict::Wait(Wait::LaterBlock { from_s });
    }
    let (got, want) = (known.announced, known.quorum.saturating_sub(1));
    if got < want { Verdict::Wait(Wait::Announcements { got, want }) } else { Verdict::FromGenesis }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn head(number: u64, timestamp: u64) -> ProvenHead {
        ProvenHead { number, timestamp, certificate: vec![1] }
    }

    fn known(own_head: u64, announced: usize, best: Option<&ProvenHead>) -> Verdict {
        judge(&Known { own_head, announced, quorum: 3, best, started_ms: START, now_ms: START + 20_000 })
    }

    #[test]
    fn the_first_validators_of_a_network_begin_when_a_quorum_has_no_blocks() {
        assert_eq!(known(0, 1, None), Verdict::Wait(Wait::Announcements { got: 1, want: 2 }));
        assert_eq!(known(0, 2, None), Verdict::FromGenesis);
        let alone = Known { own_head: 0, announced: 0, quorum: 1, best: None, started_ms: START, now_ms: START };
        assert_eq!(judge(&alone), Verdict::FromGenesis, "nobody else is needed");
    }

    #[test]
    fn a_validator_that_lost_its_journal_waits_for_a_block_proposed_after_its_start() {
        let wait = Verdict::Wait(Wait::LaterBlock { from_s: 1_010 });
        assert_eq!(known(7, 3, None), wait, "its own chain says that there are blocks");
        let old = head(9, 1_009);
        assert_eq!(known(0, 3, Some(&old)), wait, "it may have voted in later rounds than this block's");
        assert_eq!(known(9, 0, Some(&old)), wait);
        let new = head(10, 1_010);
        assert_eq!(known(9, 0, Some(&new)), Verdict::Behind(new.clone()));
    }

    #[test]
    fn a_block_of_a_chain_whose_time_ran_ahead_says_nothing_of_when_it_was_proposed() {
        let ahead = head(10, 5_000);
        assert!(matches!(known(9, 3, Some(&ahead)), Verdict::Wait(Wait::LaterBlock { .. })));
    }

    #[test]
    fn one_validator_that_shows_a_block_outweighs_all_that_say_there_is_none() {
        let old = head(1, 3);
        assert!(matches!(known(0, 3, Some(&old)), Verdict::Wait(Wait::LaterBlock { .. })));
    }
}
