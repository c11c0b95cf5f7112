//! Streams that are paid through a channel.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use super::taken::Signature;
use crate::stream::{SignedStream, StreamMeter, StreamTerms, TickRefused};

/// Streams that are kept of one channel: whoever watches more at once opens another channel.
pub const MAX_STREAMS: usize = 8;

/// A stream that was taken, with its last tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub(super) meter: StreamMeter,
    pub(super) signature: Signature,
}

/// The streams of a channel, by their roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows(BTreeMap<B256, Flow>);

impl Flow {
    pub(super) fn new(terms: StreamTerms, signature: Signature) -> Result<Self, TickRefused> {
        Ok(Self { meter: StreamMeter::new(terms)?, signature })
    }

    pub(super) fn signed(&self) -> SignedStream {
        SignedStream { terms: *self.meter.terms(), signature: self.signature.clone() }
    }
}

impl Flows {
    pub(super) fn get(&self, root: B256) -> Option<&Flow> {
        self.0.get(&root)
    }

    pub(super) fn get_mut(&mut self, root: B256) -> Option<&mut Flow> {
        self.0.get_mut(&root)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.0.values()
    }

    /// The one that is worth most, if any tick of it came.
    pub(super) fn best(&self) -> Option<&Flow> {
        self.0.values().filter(|flow| flow.meter.latest().0 > 0).max_by_key(|flow| flow.meter.total())
    }

    /// Whether one more, which begins at `base`, can be kept beside what is worth `best` in all: there is room, or one that is worth nothing more gives way.
    pub(super) fn has_room(&self, best: u128, base: u128) -> bool {
        self.0.len() < MAX_STREAMS || self.worthless(best, base).is_some()
    }

    /// One that is kept already goes on where it was.
    pub(super) fn insert(&mut self, flow: Flow, best: u128) {
        let terms = *flow.meter.terms();
        if self.0.contains_key(&terms.root) {
            return;
        }
        if self.0.len() >= MAX_STREAMS
            && let Some(root) = self.worthless(best, terms.cumulative_amount)
        {
            self.0.remove(&root);
        }
        self.0.insert(terms.root, flow);
    }

    /// One that holds nothing to claim and has been overtaken: even its last tick is worth no more than the best, or its payer promised more since then, as a
    /// stream says that begins further on. The best itself is never one, though nothing can follow its last tick.
    fn worthless(&self, best: u128, base: u128) -> Option<B256> {
        let overtaken = |flow: &&Flow| {
            let (terms, total) = (flow.meter.terms(), flow.meter.total());
            let holds_nothing = flow.meter.latest().0 == 0 || total < best;
            holds_nothing && (total < base || terms.total(terms.ticks).is_none_or(|last| last <= best))
        };
        self.0.values().find(overtaken).map(|flow| flow.meter.terms().root)
    }
}
