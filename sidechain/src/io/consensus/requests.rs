//! Which request for an old block is answered next: each peer in its turn, as fast as its budget fills.
//!
//! ```text
//! asked --> waits (a few of each peer) --> its turn: the peer's budget is not used up, and what it got before is on its way
//!               \ dropped, unread: too many of one peer, or its sender asks somebody else by now
//! ```
//!
//! A request is tiny and its answer is a whole block, so it is the answers that are counted. Nothing of one peer's requests decides
//! when another's are answered, except that they take turns.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use commonware_consensus::marshal::resolver::handler::Key;
use commonware_cryptography::{ed25519::PublicKey, keccak256::Digest};

use super::{network::MAX_BACKFILL_BYTES, parts::PART_BYTES};
use crate::rate::RateLimit;

/// Requests that a validator has under way, with all others together; and so those of one peer that wait here.
pub(super) const MAX_REQUESTS: usize = 32;

/// After this the sender of a request gives it up, and asks again.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a request waits: there must be time left for the answer.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(1500);

const _: () = assert!(MAX_WAIT.as_millis() < FETCH_TIMEOUT.as_millis(), "an answer comes while somebody waits for it");

/// Full blocks that a peer gets at once, after it was away.
pub(super) const BURST_BLOCKS: u64 = 16;

/// Full blocks a second that a peer gets for long: as many as the chain has, from each of those that it asks.
pub(super) const BLOCKS_PER_SECOND: u64 = 2;

/// What a request costs besides the bytes of its answer, for looking: one part of a message.
pub(super) const REQUEST_BYTES: u64 = PART_BYTES as u64;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The chain has all final blocks.
    Chain,
    /// The engine has those that are not final, with its own work to do.
    Engine,
}

/// A request for an old block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// By which its sender knows the answer.
    pub(super) id: u64,
    pub(super) key: Key<Digest>,
    pub(super) arrived_ms: u64,
}

/// Of one peer.
struct Peer {
    chain: VecDeque<Request>,
    engine: VecDeque<Request>,
    budget: RateLimit,
}

impl Default for Peer {
    fn default() -> Self {
        let block = MAX_BACKFILL_BYTES as u64;
        let budget = RateLimit::with_burst(60 * BLOCKS_PER_SECOND * block, BURST_BLOCKS * block);
        Self { chain: VecDeque::new(), engine: VecDeque::new(), budget }
    }
}

impl Peer {
    const fn waiting(&mut self, source: Source) -> &mut VecDeque<Request> {
        match source {
            Source::Chain => &mut self.chain,
            Source::Engine => &mut self.engine,
        }
    }
}

/// What all peers ask for. They are members of the network, so they are few.
#[derive(Default)]
pub(super) struct Requests {
    peers: BTreeMap<PublicKey, Peer>,
    /// Whose turn was last, of each source.
    last: [Option<PublicKey>; 2],
}

impl Requests {
    /// Takes a request, unless too many of its sender wait. Who asks again for the same has given up the earlier request.
    pub(super) fn ask(&mut self, peer: PublicKey, source: Source, request: Request) -> bool {
        let waiting = self.peers.entry(peer).or_default().waiting(source);
        if let Some(earlier) = waiting.iter_mut().find(|waits| waits.key == request.key) {
            *earlier = request;
            return true;
        }
        let has_room = waiting.len() < MAX_REQUESTS;
        if has_room {
            waiting.push_back(request);
        }
        has_room
    }

    /// The next request to answer, of a peer that `is_ready` for an answer. Those that waited too long are dropped.
    pub(super) fn next(
        &mut self,
        source: Source,
        now_ms: u64,
        is_ready: impl Fn(&PublicKey) -> bool,
    ) -> Option<(PublicKey, Request)> {
        let too_long = u64::try_from(MAX_WAIT.as_millis()).unwrap_or(u64::MAX);
        for peer in self.peers.values_mut() {
            peer.waiting(source).retain(|request| now_ms.saturating_sub(request.arrived_ms) <= too_long);
        }
        let last = self.last[source as usize].clone();
        let (before, after): (Vec<_>, Vec<_>) =
            self.peers.iter_mut().partition(|(peer, _)| last.as_ref().is_some_and(|last| *peer <= last));
        for (key, peer) in after.into_iter().chain(before) {
            if peer.budget.left(now_ms) > 0
                && is_ready(key)
                && let Some(request) = peer.waiting(source).pop_front()
            {
                peer.budget.spend(REQUEST_BYTES, now_ms);
                self.last[source as usize] = Some(key.clone());
                return Some((key.clone(), request));
            }
        }
        None
    }

    /// Charges a peer for an answer.
    pub(super) fn answered(&mut self, peer: &PublicKey, bytes: usize, now_ms: u64) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.budget.spend(bytes as u64, now_ms);
        }
    }

    /// Whether any request waits for a source.
    pub(super) fn are_waiting(&mut self, source: Source) -> bool {
        self.peers.values_mut().any(|peer| !peer.waiting(source).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use commonware_consensus::types::Height;
    use commonware_cryptography::{Signer as _, ed25519::PrivateKey};

    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    fn peer(seed: u64) -> PublicKey {
        PrivateKey::from_seed(seed).public_key()
    }

    fn request(height: u64, arrived_ms: u64) -> Request {
        Request { id: height, key: Key::Finalized { height: Height::new(height) }, arrived_ms }
    }

    #[test]
    fn who_floods_gets_its_burst_and_its_rate_and_another_all_that_it_asks_for() {
        let (mut requests, mut got) = (Requests::default(), [0; 2]);
        let (mut asked, seconds) = (0, 60);
        for ms in 0..1000 * seconds {
            let now_ms = START_MS + ms;
            if ms % 4 == 0 {
                requests.ask(peer(1), Source::Chain, request(ms, now_ms));
            }
            if ms % 1000 == 0 {
                asked += 1;
                assert!(requests.ask(peer(2), Source::Chain, request(ms, now_ms)));
            }
            // A block takes 50 ms to read.
            if ms % 50 == 0
                && let Some((who, _)) = requests.next(Source::Chain, now_ms, |_| true)
            {
                requests.answered(&who, MAX_BACKFILL_BYTES, now_ms);
                got[usize::from(who == peer(2))] += 1;
            }
        }
        println!("{got:?} blocks in {seconds} s");
        assert!((asked - 1..=asked).contains(&got[1]), "{got:?}");
        let most = BURST_BLOCKS + BLOCKS_PER_SECOND * seconds + 1;
        assert!((most * 9 / 10..=most).contains(&got[0]), "{got:?}");
    }

    #[test]
    fn small_blocks_cost_a_part_each() {
        let (mut requests, mut got) = (Requests::default(), 0);
        for ms in 0..20_000 {
            requests.ask(peer(1), Source::Chain, request(ms, START_MS + ms));
            if let Some((who, _)) = requests.next(Source::Chain, START_MS + ms, |_| true) {
                requests.answered(&who, 600, START_MS + ms);
                got += 1;
            }
        }
        let most = (BURST_BLOCKS + 20 * BLOCKS_PER_SECOND) * MAX_BACKFILL_BYTES as u64 / REQUEST_BYTES;
        assert!((most * 9 / 10..=most).contains(&got), "{got} of {most}");
    }

    #[test]
    fn of_one_peer_a_few_requests_wait_and_none_for_longer_than_its_sender() {
        let mut requests = Requests::default();
        let taken = (0..1000).filter(|height| requests.ask(peer(1), Source::Chain, request(*height, START_MS)));
        assert_eq!(taken.count(), MAX_REQUESTS);
        assert!(requests.ask(peer(2), Source::Chain, request(0, START_MS)), "another's are as many");
        assert!(requests.ask(peer(1), Source::Engine, request(0, START_MS)), "those for the engine are counted apart");
        // Asked again, and so the earlier is not answered.
        assert!(requests.ask(peer(1), Source::Chain, Request { id: 77, ..request(0, START_MS + 1) }));
        let first = requests.next(Source::Chain, START_MS + 1, |who| *who == peer(1)).expect("they wait");
        assert_eq!((first.0, first.1.id), (peer(1), 77));
        assert!(requests.next(Source::Chain, START_MS, |_| false).is_none(), "nobody takes an answer");
        assert!(requests.are_waiting(Source::Chain));
        assert!(requests.next(Source::Chain, START_MS + 1_501, |_| true).is_none());
        assert!(!requests.are_waiting(Source::Chain) && requests.are_waiting(Source::Engine));
    }
}
