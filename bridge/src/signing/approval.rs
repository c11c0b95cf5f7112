//! Approving a proposal: the member's commitments for what `bind` makes of it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use rand::{CryptoRng, RngCore};

use super::commitments::{self, Committed, MAX_INPUTS};
use super::error::SessionError;
use super::own::{Digests, Own};
use crate::board::{self, AttemptId, Effect, Event, Kind, Outbox};
use crate::threshold::KeyShare;

/// What is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalConfig {
    pub network: B256,
    pub proposal: u64,
    /// Hash of its content.
    pub content: B256,
    /// Inputs that its content names.
    pub inputs: usize,
}

impl ApprovalConfig {
    /// What the kept nonces are bound to.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut engine = sha256::Hash::engine();
        engine.input(b"causeway/approval-state");
        engine.input(self.network.as_slice());
        engine.input(&self.proposal.to_be_bytes());
        engine.input(self.content.as_slice());
        sha256::Hash::from_engine(engine).to_byte_array()
    }

    fn session(&self) -> board::Session {
        board::Session::Proposal { proposal: self.proposal, content: self.content }
    }
}

/// The news since the last step.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalFacts<'a> {
    /// Time of the newest finalized block, in seconds.
    pub now: u64,
    /// Whether the board has an approval of this member.
    pub is_on_board: bool,
    /// Members that kept this one waiting in other sessions, the worst first.
    pub late: &'a [u16],
}

/// One proposal's approval by this member. It is stepped only while the member's policy agrees.
#[derive(Debug)]
pub struct Approval {
    config: ApprovalConfig,
    share: KeyShare,
    /// None once its transaction was bound and signed for.
    own: Option<Own>,
    outbox: Outbox,
}

impl Approval {
    /// Opens it with the share of the content's epoch, and the state that was persisted last, if any.
    ///
    /// # Errors
    ///
    /// When the content names too many inputs, or the stored state is damaged or foreign.
    pub fn new(config: ApprovalConfig, share: &KeyShare, stored: Option<&[u8]>) -> Result<Self, SessionError> {
        if config.inputs == 0 || config.inputs > MAX_INPUTS {
            return Err(SessionError::Inputs { got: config.inputs });
        }
        let read = |bytes: &[u8]| Own::of_approval(bytes, &config.digest(), config.inputs);
        let own = stored.map_or(Ok(Some(Own::Nothing)), read)?;
        Ok(Self { config, share: share.clone(), own, outbox: Outbox::default() })
    }

    /// Answers with effects to perform, in order.
    pub fn step<T, R: RngCore + CryptoRng>(&mut self, facts: ApprovalFacts<'_>, rng: &mut R) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        if facts.is_on_board {
            return effects;
        }
        if matches!(self.own, Some(Own::Nothing)) {
            let own = Own::Approved { nonces: (0..self.config.inputs).map(|_| self.share.commit(rng)).collect() };
            let proposal = self.config.digest();
            effects.push(Effect::Persist(own.to_bytes(&Digests { proposal, messages: proposal })));
            self.own = Some(own);
        }
        if let Some(Own::Approved { nonces }) = &self.own {
            let may_miss = usize::from(self.share.members() - self.share.threshold());
            let payload = commitments::payload(nonces, facts.late, self.share.index(), may_miss);
            let id = AttemptId::new(self.config.session(), 1, self.config.network);
            effects.extend(self.outbox.post(id, Kind::Approval, payload, facts.now));
        }
        effects
    }
}

/// Whether those that approved make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    No,
    /// Only with members that kept others waiting before: another approval is worth a few seconds.
    WithLatecomers,
    Yes,
}

/// Whether to bind: by the posts of the proposal's session, for a content that names so many inputs.
#[must_use]
pub fn are_enough(approvals: &[Event], inputs: usize, members: u16, threshold: u16) -> Enough {
    let Approvals { order, .. } = Approvals::read(approvals, inputs, members);
    let threshold = usize::from(threshold);
    let late = late(&order, members, threshold);
    let in_good_standing = order.iter().filter(|(member, _)| !late.contains(member)).count();
    match (in_good_standing >= threshold, order.len() >= threshold) {
        (true, _) => Enough::Yes,
        (false, true) => Enough::WithLatecomers,
        (false, false) => Enough::No,
    }
}

/// Approvals in board order, the first of each member.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    order: Vec<(u16, Committed)>,
    /// Those without commitments, and why.
    pub malformed: BTreeMap<u16, String>,
}

impl Approvals {
    pub(super) fn read(approvals: &[Event], inputs: usize, members: u16) -> Self {
        let mut read = Self::default();
        let mut seen = BTreeSet::new();
        let counts = |event: &&Event| event.kind == Kind::Approval as u8 && (1..=members).contains(&event.member);
        for event in approvals.iter().filter(counts) {
            if !seen.insert(event.member) {
                continue;
            }
            match commitments::read(&event.payload, inputs) {
                Ok(committed) => read.order.push((event.member, committed)),
                Err(why) => drop(read.malformed.insert(event.member, why)),
            }
        }
        read
    }

    /// The set of the first attempt: the first in good standing, then, where they are too few, those that were late before. None if all are too few.
    pub(super) fn into_set(self, members: u16, threshold: usize) -> Option<BTreeMap<u16, Committed>> {
        let late = late(&self.order, members, threshold);
        let (behind, first): (Vec<_>, Vec<_>) = self.order.into_iter().partition(|(member, _)| late.contains(member));
        let set: BTreeMap<u16, Committed> = first.into_iter().chain(behind).take(threshold).collect();
        (set.len() == threshold).then_some(set)
    }
}

fn late(order: &[(u16, Committed)], members: u16, threshold: usize) -> BTreeSet<u16> {
    board::left_out(order.iter().map(|(by, committed)| (*by, &committed.named)), members, threshold)
}
