//! Which logs are wanted.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

use super::retention::PEG;

/// Which logs are wanted: blocks from..=to; an empty set matches everything.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// First block, inclusive.
    pub from: u64,
    /// Last block, inclusive.
    pub to: u64,
    /// Emitters; any of them.
    pub addresses: BTreeSet<Address>,
    /// For each position, any of these.
    pub topics: [BTreeSet<B256>; 4],
    /// Topics that a log has at least: as many as the client named, those among them that may be any.
    pub least_topics: usize,
}

impl LogFilter {
    /// Whether a log matches, whatever its block.
    pub fn matches(&self, log: &Log) -> bool {
        log.topics().len() >= self.least_topics
            && (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.iter().enumerate().all(|(position, wanted)| {
                wanted.is_empty() || log.topics().get(position).is_some_and(|topic| wanted.contains(topic))
            })
    }

    /// Whether only logs of the peg's contracts are wanted, which are never pruned.
    pub(super) fn is_about_the_peg(&self) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(|address| PEG.contains(address))
    }

    /// Whether a block with this bloom may hold a matching log.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |raw: &[u8]| bloom.contains_input(BloomInput::Raw(raw));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self.topics.iter().all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }
}
