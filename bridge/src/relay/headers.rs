//! Which headers the light client lacks: the search for the last block that both best chains hold.
//!
//! The search asks instead of calling: [`HeaderSearch::next`] says what it wants to know, [`HeaderSearch::answer`] takes it
//! in. It goes down from the lower tip in growing steps, then halves the gap, so that a fork n blocks deep takes about
//! 2 log n questions.
//!
//! ```text
//!   light client   0 - 1 - 2 - 3a                        fork 2
//!   bitcoind               \ - 3b - 4b - 5b              lacks 3b, 4b, 5b; from 4b on if it holds 3b aside
//! ```

use bitcoin::BlockHash;
use bitcoin::block::Header;
use mainchain::header::Height;

use super::deposit_tracker::Position;

/// Headers in one transaction: at most 100 times 65,000 gas, well below what a transaction may use (EIP-7825: 2^24).
pub const HEADERS_PER_TRANSACTION: u32 = 100;

/// Milliseconds after which headers that are still lacking are looked for again.
const COMPARE_AGAIN_MS: u64 = 2_000;

/// How two best chains differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The light client's best block when it was made.
    pub light: Position,
    /// bitcoind's best block when it was made.
    pub own: Position,
    /// Height up to which both best chains are the same.
    pub fork: u32,
    /// Height of the first header of bitcoind's best chain that the light client lacks; none when that chain has no more
    /// work than its own.
    pub first_unknown: Option<u32>,
}

/// What the search wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which block has each best chain at this height?
    HashesAt(u32),
    /// Does the light client know bitcoind's block at this height, on its best chain or not?
    LightKnows(u32),
    /// Does bitcoind know the light client's best block, on its best chain or not?
    OwnKnowsLightTip,
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None where a chain holds no block at that height.
    Hashes {
        light: Option<BlockHash>,
        own: Option<BlockHash>,
    },
    Known(bool),
}

/// Where the search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Ask(Question),
    Found(Comparison),
    /// Not even the light client's first block: bitcoind is on another network.
    NothingInCommon,
}

/// The search. Made anew whenever one of both tips has moved.
#[derive(Clone, Copy, Debug)]
pub struct HeaderSearch {
    light: Position,
    own: Position,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Are both the same at the lower of both tips?
    Top {
        height: Height,
    },
    /// Both differ at `high`; the block `step` below is looked at.
    Descending {
        high: u32,
        step: u32,
    },
    /// Both are the same at `low` and differ at `high`.
    Halving {
        low: u32,
        high: u32,
    },
    /// Does the light client hold bitcoind's tip aside?
    OwnTip {
        fork: u32,
    },
    /// bitcoind's chain is not longer: does it know the light client's, or does it lag?
    LightTip {
        fork: u32,
    },
    /// The first unknown header is between both heights.
    FirstUnknown {
        fork: u32,
        low: u32,
        high: u32,
    },
    Found(Comparison),
    NothingInCommon,
}

impl HeaderSearch {
    #[must_use]
    pub fn new(light: Position, own: Position) -> Self {
        let search = Self { light, own, state: State::Top { height: light.height.min(own.height) } };
        if light == own { search.forked_at(light.height) } else { search }
    }

    /// What to ask, or what was found.
    #[must_use]
    pub fn next(&self) -> Next {
        Next::Ask(match self.state {
            State::Top { height } => Question::HashesAt(height),
            State::Descending { high, step } => Question::HashesAt(high - step),
            State::Halving { low, high } => Question::HashesAt(middle(low, high)),
            State::OwnTip { .. } => Question::LightKnows(self.own.height),
            State::LightTip { .. } => Question::OwnKnowsLightTip,
            State::FirstUnknown { low, high, .. } => Question::LightKnows(middle(low, high)),
            State::Found(comparison) => return Next::Found(comparison),
            State::NothingInCommon => return Next::NothingInCommon,
        })
    }

    /// Goes on with the answer to [`HeaderSearch::next`]; an answer to another question changes nothing.
    #[must_use]
    pub fn answer(self, answer: Answer) -> Self {
        match answer {
            Answer::Hashes { light, own } => self.compared(light.map(|light| own == Some(light))),
            Answer::Known(known) => self.looked_up(known),
        }
    }

    /// `same` is none where the light client holds no block.
    fn compared(self, same: Option<bool>) -> Self {
        match (self.state, same) {
            (State::Top { height }, Some(true)) => self.forked_at(height),
            (State::Top { height }, _) => self.descend(height, 1),
            (State::Descending { high, step }, Some(true)) => self.halve(high - step, high),
            (State::Descending { high, step }, Some(false)) => self.descend(high - step, step * 2),
            // Below the light client's first block: there is nothing in common, or the steps were too long.
            (State::Descending { step: 1, .. }, None) => Self { state: State::NothingInCommon, ..self },
            (State::Descending { high, .. }, None) => self.descend(high, 1),
            (State::Halving { low, high }, Some(true)) => self.halve(middle(low, high), high),
            (State::Halving { low, high }, _) => self.halve(low, middle(low, high)),
            _ => self,
        }
    }

    fn looked_up(self, known: bool) -> Self {
        match self.state {
            State::OwnTip { fork } if known => self.found(fork, None),
            State::OwnTip { fork } if self.own.height <= self.light.height => {
                Self { state: State::LightTip { fork }, ..self }
            }
            State::OwnTip { fork } => self.find_unknown(fork, fork + 1, self.own.height),
            // bitcoind lags behind the light client, and is on a branch with less work.
            State::LightTip { fork } if !known => self.found(fork, None),
            State::LightTip { fork } => self.find_unknown(fork, fork + 1, self.own.height),
            State::FirstUnknown { fork, low, high } if known => self.find_unknown(fork, middle(low, high) + 1, high),
            State::FirstUnknown { fork, low, high } => self.find_unknown(fork, low, middle(low, high)),
            _ => self,
        }
    }

    fn descend(self, high: u32, step: u32) -> Self {
        // No chain goes below height 0.
        let state = if high == 0 { State::NothingInCommon } else { State::Descending { high, step: step.min(high) } };
        Self { state, ..self }
    }

    fn halve(self, low: u32, high: u32) -> Self {
        if high - low > 1 { Self { state: State::Halving { low, high }, ..self } } else { self.forked_at(low) }
    }

    fn forked_at(self, fork: u32) -> Self {
        if fork == self.own.height { self.found(fork, None) } else { Self { state: State::OwnTip { fork }, ..self } }
    }

    fn find_unknown(self, fork: u32, low: u32, high: u32) -> Self {
        if low < high {
            Self { state: State::FirstUnknown { fork, low, high }, ..self }
        } else {
            self.found(fork, Some(low))
        }
    }

    fn found(self, fork: u32, first_unknown: Option<u32>) -> Self {
        let comparison = Comparison { light: self.light, own: self.own, fork, first_unknown };
        Self { state: State::Found(comparison), ..self }
    }
}

impl Comparison {
    /// How many headers the light client lacks.
    #[must_use]
    pub fn ahead(&self) -> u32 {
        self.first_unknown.map_or(0, |first| self.own.height + 1 - first)
    }

    /// The heights of the headers that the next transaction carries.
    #[must_use]
    pub fn next_heights(&self) -> std::ops::Range<u32> {
        let end = self.own.height + 1;
        let start = self.first_unknown.unwrap_or(end);
        start..end.min(start.saturating_add(HEADERS_PER_TRANSACTION))
    }
}

/// The last comparison, with the headers that it found to be lacking.
#[derive(Clone, Debug, Default)]
pub struct LastComparison {
    made: Option<(Comparison, u64)>,
    headers: Vec<Header>,
}

impl LastComparison {
    /// Whether to compare anew: a tip has moved, or headers have been lacking for a while. The light client may hold some of
    /// them by now on a branch that has not become its best.
    #[must_use]
    pub fn is_stale(&self, light: Position, own: Position, clock_ms: u64) -> bool {
        self.made.is_none_or(|(comparison, at)| {
            let is_old = clock_ms.saturating_sub(at) > COMPARE_AGAIN_MS;
            (comparison.light, comparison.own) != (light, own) || (is_old && comparison.ahead() > 0)
        })
    }

    pub fn set(&mut self, comparison: Comparison, headers: Vec<Header>, clock_ms: u64) {
        self.made = Some((comparison, clock_ms));
        self.headers = headers;
    }

    #[must_use]
    pub fn comparison(&self) -> Option<Comparison> {
        self.made.map(|(comparison, _)| comparison)
    }

    /// The headers at [`Comparison::next_heights`].
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }
}

fn middle(low: u32, high: u32) -> u32 {
    low + (high - low) / 2
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    use super::*;

    /// A chain of numbered blocks from `first` on.
    #[derive(Clone, Debug)]
    struct Chain {
        first: u32,
        hashes: Vec<BlockHash>,
    }

    impl Chain {
        fn at(&self, height: Height) -> Option<BlockHash> {
            self.hashes.get(height.checked_sub(self.first)? as usize).copied()
        }

        fn tip(&self) -> Position {
            let height = self.first + u32::try_from(self.hashes.len()).expect("short") - 1;
            Position { height, hash: *self.hashes.last().expect("not empty") }
        }
    }

    fn hash(height: Height, branch: u8) -> BlockHash {
        let mut bytes = [branch; 32];
        bytes[..4].copy_from_slice(&height.to_be_bytes());
        BlockHash::from_byte_array(bytes)
    }

    /// Both chains hold the blocks up to `fork`; the light client starts at `first`.
    fn chains(first: u32, fork: u32, light: u32, own: u32) -> (Chain, Chain) {
        let branch = |from: u32, length: u32, branch| {
            (from..=fork).map(|height| hash(height, 0)).chain((1..=length).map(move |up| hash(fork + up, branch)))
        };
        let light = Chain { first, hashes: branch(first, light, 1).collect() };
        (light, Chain { first: 0, hashes: branch(0, own, 2).collect() })
    }

    /// Runs a search; what it found, and how often it asked. `aside` blocks of bitcoind's branch are known to the light
    /// client; bitcoind knows the light client's branch if `knows_light`.
    fn search(light: &Chain, own: &Chain, aside: u32, fork: u32, knows_light: bool) -> (Next, u32) {
        let mut search = HeaderSearch::new(light.tip(), own.tip());
        for asked in 0..200 {
            let answer = match search.next() {
                Next::Ask(Question::HashesAt(height)) => {
                    Answer::Hashes { light: light.at(height), own: own.at(height) }
                }
                Next::Ask(Question::LightKnows(height)) => Answer::Known(height <= fork + aside),
                Next::Ask(Question::OwnKnowsLightTip) => Answer::Known(knows_light),
                done => return (done, asked),
            };
            search = search.answer(answer);
        }
        panic!("it never ends: {search:?}");
    }

    #[test]
    fn equal_chains_take_no_question_and_a_chain_on_top_takes_two() {
        let (light, own) = chains(0, 10, 0, 0);
        assert!(matches!(search(&light, &own, 0, 10, true), (Next::Found(Comparison { first_unknown: None, .. }), 0)));
        let (light, own) = chains(0, 10, 0, 1);
        let (found, asked) = search(&light, &own, 0, 10, true);
        assert!(matches!(found, Next::Found(Comparison { fork: 10, first_unknown: Some(11), .. })), "{found:?}");
        assert_eq!(asked, 2);
    }

    #[test]
    fn another_network_has_nothing_in_common() {
        let light = Chain { first: 5, hashes: (5..9).map(|height| hash(height, 1)).collect() };
        let own = Chain { first: 0, hashes: (0..20).map(|height| hash(height, 2)).collect() };
        assert_eq!(search(&light, &own, 0, 0, true).0, Next::NothingInCommon);
    }

    #[test]
    fn headers_that_stay_lacking_are_looked_for_again() {
        let (light, own) = chains(0, 10, 0, 1);
        let Next::Found(comparison) = search(&light, &own, 0, 10, true).0 else { panic!("they have much in common") };
        let mut last = LastComparison::default();
        assert!(last.is_stale(light.tip(), own.tip(), 0));
        last.set(comparison, Vec::new(), 0);
        assert!(!last.is_stale(light.tip(), own.tip(), COMPARE_AGAIN_MS));
        assert!(last.is_stale(light.tip(), own.tip(), COMPARE_AGAIN_MS + 1));
        assert!(last.is_stale(own.tip(), own.tip(), 0));
    }

    proptest! {
        // light   first - ... - fork - a - a                bitcoind   0 - ... - fork - b - b - b
        #[test]
        fn the_search_finds_the_fork_and_the_first_header_that_is_lacking(
            first in 0u32..50, below in 0u32..300, light in 0u32..60, own in 0u32..200, aside in 0u32..200, knows: bool
        ) {
            let fork = first + below;
            let (light_chain, own_chain) = chains(first, fork, light, own);
            let aside = aside.min(own);
            let (found, asked) = search(&light_chain, &own_chain, aside, fork, knows);
            let Next::Found(comparison) = found else { return Err(TestCaseError::fail(format!("{found:?}"))) };
            prop_assert_eq!(comparison.fork, fork);
            let lags = own <= light && !knows && light > 0;
            let want = (aside < own && !lags).then_some(fork + aside + 1);
            prop_assert_eq!(comparison.first_unknown, want);
            prop_assert!(asked <= 50, "{} questions", asked);
        }
    }
}
