//! The running attempt, derived from the board alone.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;

use super::commitments::Committed;
use crate::board::{AttemptId, Session};
use crate::threshold::{Commitment, Share};

#[derive(Debug)]
pub(super) struct Attempt {
    pub id: AttemptId,
    pub started_at: u64,
    pub excluded: BTreeSet<u16>,
    /// Valid commitments, until the set is complete: then exactly the set.
    pub commitments: BTreeMap<u16, Vec<Commitment>>,
    /// Who committed, in board order, and whom each named.
    pub order: Vec<(u16, BTreeSet<u16>)>,
    /// When there were enough commitments, of members in good standing or not.
    pub enough_at: Option<u64>,
    /// When the set was completed.
    pub complete_at: Option<u64>,
    pub shares: BTreeMap<u16, Vec<Share>>,
}

impl Attempt {
    pub(super) fn new(network: B256, number: u32, attempt: u32, started_at: u64, excluded: BTreeSet<u16>) -> Self {
        Self {
            id: AttemptId::new(Session::Signing { number, attempt }, attempt, network),
            started_at,
            excluded,
            commitments: BTreeMap::new(),
            order: Vec::new(),
            enough_at: None,
            complete_at: None,
            shares: BTreeMap::new(),
        }
    }

    /// The first, with the set that the approvals made.
    pub(super) fn first(network: B256, number: u32, bound_at: u64, set: BTreeMap<u16, Committed>) -> Self {
        let commitments = set.into_iter().map(|(member, committed)| (member, committed.commitments)).collect();
        let first = Self::new(network, number, 1, bound_at, BTreeSet::new());
        Self { commitments, enough_at: Some(bound_at), complete_at: Some(bound_at), ..first }
    }

    /// The first that committed make the set, but for those that are left out.
    pub(super) fn complete(&mut self, at: u64, left_out: &BTreeSet<u16>, threshold: usize) {
        let order = self.order.iter().map(|(member, _)| *member);
        let set: BTreeSet<u16> = order.filter(|member| !left_out.contains(member)).take(threshold).collect();
        self.commitments.retain(|member, _| set.contains(member));
        self.complete_at = Some(at);
    }

    /// Members of the set that have not posted their shares.
    pub(super) fn owing(&self) -> BTreeSet<u16> {
        self.commitments.keys().filter(|member| !self.shares.contains_key(member)).copied().collect()
    }

    /// Input i takes commitment i.
    pub(super) fn set_of(&self, input: usize) -> BTreeMap<u16, Commitment> {
        let of_input = |(member, commitments): (&u16, &Vec<Commitment>)| Some((*member, *commitments.get(input)?));
        self.commitments.iter().filter_map(of_input).collect()
    }
}
