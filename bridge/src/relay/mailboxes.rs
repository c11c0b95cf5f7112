//! The posts of the signing board, by what they are about, until somebody takes them.
//!
//! ```text
//!   posts of final blocks --session known--> mailbox of a proposal (its approvals) --bound--> the first commitments of its vault transaction
//!                                            mailbox of a vault transaction, or of the key that is being made   --take--> its machine
//! ```
//! Sessions that nobody waits for are not kept: of attempts at a signature, those of the next few after the last in which anybody posted. So
//! a member that fills the board takes memory as its quota allows, and room from nobody but itself.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use crate::board::{self, Event};
use crate::dkg::MAX_ATTEMPTS;

/// Attempts at a signature whose posts are kept before one is begun.
const ATTEMPTS_AHEAD: u32 = 4;
/// Most posts of one member in one mailbox that nobody has taken: a member posts twice in an attempt, and repeats now and then.
const MOST_OF_A_MEMBER: usize = 1_024;

/// What posts are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The key of an epoch.
    Key(u32),
    /// An open proposal.
    Proposal(u64),
    /// A bound vault transaction.
    Signing(u32),
}

/// All mailboxes that are open.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    network: B256,
    /// With the attempt.
    sessions: BTreeMap<B256, (Subject, u32)>,
    boxes: BTreeMap<Subject, Mailbox>,
}

#[derive(Clone, Debug, Default)]
struct Mailbox {
    posts: Vec<Event>,
    /// The last attempt whose posts are kept.
    until: u32,
}

impl Mailboxes {
    #[must_use]
    pub fn new(network: B256) -> Self {
        Self { network, sessions: BTreeMap::new(), boxes: BTreeMap::new() }
    }

    /// Keeps posts about this from now on.
    pub fn open(&mut self, subject: Subject) {
        if self.boxes.contains_key(&subject) {
            return;
        }
        self.boxes.insert(subject, Mailbox::default());
        match subject {
            Subject::Key(_) => self.expect(subject, 0..=MAX_ATTEMPTS),
            Subject::Proposal(_) => self.expect(subject, 0..=0),
            Subject::Signing(_) => self.expect(subject, 1..=ATTEMPTS_AHEAD),
        }
    }

    /// What is there about a subject, untaken.
    #[must_use]
    pub fn read(&self, subject: Subject) -> &[Event] {
        self.boxes.get(&subject).map_or(&[], |mailbox| &mailbox.posts)
    }

    /// Nobody waits for posts about this any more; what was not taken.
    pub fn close(&mut self, subject: Subject) -> Vec<Event> {
        self.sessions.retain(|_, (of, _)| *of != subject);
        self.boxes.remove(&subject).map(|closed| closed.posts).unwrap_or_default()
    }

    /// A post of a final block.
    pub fn post(&mut self, event: Event) {
        let Some((subject, attempt)) = self.sessions.get(&event.session).copied() else { return };
        let Some(mailbox) = self.boxes.get_mut(&subject) else { return };
        if mailbox.posts.iter().filter(|post| post.member == event.member).count() < MOST_OF_A_MEMBER {
            mailbox.posts.push(event);
        }
        let (until, wanted) = (mailbox.until, attempt + ATTEMPTS_AHEAD);
        if matches!(subject, Subject::Signing(_)) && wanted > until {
            self.expect(subject, until + 1..=wanted);
        }
    }

    /// The posts since the last time; they are not kept any longer.
    pub fn take(&mut self, subject: Subject) -> Vec<Event> {
        self.boxes.get_mut(&subject).map(|mailbox| std::mem::take(&mut mailbox.posts)).unwrap_or_default()
    }

    /// Posts that nobody has taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.boxes.values().map(|mailbox| mailbox.posts.len()).sum()
    }

    fn expect(&mut self, subject: Subject, attempts: std::ops::RangeInclusive<u32>) {
        if let Some(mailbox) = self.boxes.get_mut(&subject) {
            mailbox.until = *attempts.end();
        }
        for attempt in attempts {
            self.sessions.insert(session(self.network, subject, attempt), (subject, attempt));
        }
    }
}

fn session(network: B256, subject: Subject, attempt: u32) -> B256 {
    match subject {
        Subject::Key(epoch) => board::keygen_session(network, epoch, attempt),
        Subject::Proposal(number) => board::proposal_session(network, number),
        Subject::Signing(number) => board::signing_session(network, number, attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: B256 = B256::repeat_byte(5);

    fn post(subject: Subject, attempt: u32, member: u16) -> Event {
        Event { session: session(NETWORK, subject, attempt), member, kind: 4, payload: Vec::new(), timestamp: 0 }
    }

    #[test]
    fn posts_wait_in_order_until_they_are_taken_or_nobody_waits_for_them() {
        let mut mail = Mailboxes::new(NETWORK);
        mail.open(Subject::Proposal(9));
        mail.post(post(Subject::Proposal(9), 0, 2));
        mail.post(post(Subject::Proposal(8), 0, 3));
        mail.post(post(Subject::Proposal(9), 0, 1));
        let members: Vec<u16> = mail.read(Subject::Proposal(9)).iter().map(|post| post.member).collect();
        assert_eq!(members, [2, 1], "and nothing of what nobody waits for");
        assert_eq!(mail.close(Subject::Proposal(9)).len(), 2);
        mail.post(post(Subject::Proposal(9), 0, 4));
        assert_eq!(mail.waiting(), 0, "the proposal is closed");
    }

    #[test]
    fn junk_of_one_member_takes_bounded_memory_and_no_room_from_others() {
        let mut mail = Mailboxes::new(NETWORK);
        mail.open(Subject::Signing(1));
        for _ in 0..10 * MOST_OF_A_MEMBER {
            mail.post(post(Subject::Signing(1), 1, 3));
        }
        // Far ahead of any attempt, and of vault transactions that are not there.
        (10..10_000).for_each(|attempt| mail.post(post(Subject::Signing(1), attempt, 3)));
        (2..10_000).for_each(|number| mail.post(post(Subject::Signing(number), 1, 3)));
        assert_eq!(mail.waiting(), MOST_OF_A_MEMBER);
        mail.post(post(Subject::Signing(1), 1, 2));
        mail.post(post(Subject::Signing(1), 2, 2));
        assert_eq!(mail.waiting(), MOST_OF_A_MEMBER + 2);
    }

    #[test]
    fn attempt_after_attempt_is_heard_while_somebody_posts_in_each() {
        let mut mail = Mailboxes::new(NETWORK);
        mail.open(Subject::Signing(1));
        (1..100).for_each(|attempt| mail.post(post(Subject::Signing(1), attempt, 2)));
        assert_eq!(mail.take(Subject::Signing(1)).len(), 99);
    }
}
