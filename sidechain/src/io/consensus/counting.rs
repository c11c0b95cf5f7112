//! Tells the application of this validator's votes and of final rounds, on their way to who orders blocks.

use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_consensus::{
    Reporter,
    simplex::types::{Activity, Attributable as _},
};
use commonware_cryptography::keccak256::Digest;
use commonware_utils::Participant;

use super::{application::Application, scheme::Scheme};
use crate::counters::{RoundEvent, Vote};

/// A reporter before the engine's own.
pub(super) struct Counting<R, A> {
    inner: R,
    application: Arc<A>,
    me: Participant,
}

impl<R: Clone, A> Clone for Counting<R, A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), application: self.application.clone(), me: self.me }
    }
}

impl<R, A> Counting<R, A> {
    /// `me` is this validator's place among them.
    pub(super) fn new(inner: R, application: Arc<A>, me: Participant) -> Self {
        Self { inner, application, me }
    }

    fn event(&self, activity: &Activity<Scheme, Digest>) -> Option<RoundEvent> {
        let (signer, round, vote) = match activity {
            Activity::Notarize(vote) => (vote.signer(), vote.proposal.round, Vote::Notarize),
            Activity::Nullify(vote) => (vote.signer(), vote.round, Vote::Nullify),
            Activity::Finalize(vote) => (vote.signer(), vote.proposal.round, Vote::Finalize),
            Activity::Finalization(block) => {
                return Some(RoundEvent::Final { round: block.proposal.round.view().get() });
            }
            _ => return None,
        };
        (signer == self.me).then(|| RoundEvent::Voted { round: round.view().get(), vote })
    }
}

impl<R, A> Reporter for Counting<R, A>
where
    R: Reporter<Activity = Activity<Scheme, Digest>>,
    A: Application,
{
    type Activity = R::Activity;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(event) = self.event(&activity) {
            self.application.note(event);
        }
        self.inner.report(activity)
    }
}
