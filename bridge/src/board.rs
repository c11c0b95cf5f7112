//! The signing board as the key generation and signing machines see it: an ordered, public list of posts.
//!
//! The SigningBoard contract orders posts, takes them for open sessions alone, and counts approvals: every member reads the same posts in the
//! same order with the same block times, so machines that decide from the board alone agree without talking to each other. This
//! module owns what both machines share: kinds of posts, sessions, and the effects a shell has to perform.
//!
//! Every shell is the same few lines: give the machine the new posts, then perform its effects in order. A
//! [`Effect::Persist`] must be durable before the next effect is performed, and a failure to persist is fatal: what
//! follows it may never be unsaid.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U256, keccak256};
use contracts::alloy_sol_types::SolValue;
use zeroize::Zeroizing;

/// Most bytes in one post; the SigningBoard contract refuses more.
pub const MAX_PAYLOAD: usize = 16_384;

/// Seconds of block time after which a post that is still not on the board is sent again. Blocks come every half
/// second to two seconds, so an included post has been seen long before.
pub const RESEND_AFTER_S: u64 = 6;

/// The subject of a post; the contract carries its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Approves a proposal: one pair of nonce commitments for each input that its content names, then as [`Kind::Commitments`].
    Approval = 0,
    /// A member's commitment to its secret polynomial, with a proof of knowledge.
    DkgRound1 = 1,
    /// All encrypted round 2 packages of one member.
    DkgRound2 = 2,
    /// One pair of nonce commitments for each input, and the members that kept the sender waiting lately ([`names`]).
    Commitments = 3,
    /// One signature share for each input.
    Shares = 4,
    /// A member cannot finish this attempt of the key generation and says who is to blame (itself, if it lost its secrets).
    DkgComplaint = 5,
}

impl TryFrom<u8> for Kind {
    type Error = u8;

    fn try_from(kind: u8) -> Result<Self, u8> {
        [Self::Approval, Self::DkgRound1, Self::DkgRound2, Self::Commitments, Self::Shares, Self::DkgComplaint]
            .into_iter()
            .find(|known| *known as u8 == kind)
            .ok_or(kind)
    }
}

/// A post that is on the board, in a finalized block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which session it belongs to: [`Session::id`].
    pub session: B256,
    /// Who posted it, 1 to n: the contract checked the sender.
    pub member: u16,
    /// The number of its [`Kind`]; numbers this version does not know are ignored.
    pub kind: u8,
    /// At most [`MAX_PAYLOAD`] bytes, not to be trusted.
    pub payload: Vec<u8>,
    /// Time of the block it is in, in seconds.
    pub timestamp: u64,
}

/// A post to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where to post it: which call of the board.
    pub to: Session,
    /// The id of that session.
    pub session: B256,
    /// Carried by the contract as its number.
    pub kind: Kind,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

/// A request of a machine to its shell; requests are performed in order. `T` is the result that the machine works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T> {
    /// Replace the machine's durable state by these bytes (secret: encrypt them), and sync, before going on.
    Persist(Zeroizing<Vec<u8>>),
    /// Post this. To post it twice is harmless.
    Post(Post),
    /// A member broke the protocol; for the operators' eyes.
    Blame(Blame),
    /// The work is done. Told once by every machine that is opened, so again after a restart.
    Done(T),
}

/// Who is at fault, and how it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The member at fault.
    pub member: u16,
    /// The attempt in which it happened.
    pub attempt: u32,
    /// How it broke the protocol.
    pub fault: Fault,
}

impl std::fmt::Display for Blame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "member {} in attempt {}: {}", self.member, self.attempt, self.fault)
    }
}

/// How a member broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The post does not have the form of its kind.
    #[error("malformed post of kind {kind}: {why}")]
    Malformed {
        /// The number of the post's [`Kind`].
        kind: u8,
        /// The first error found in its payload.
        why: String,
    },
    /// A round 1 package whose sender does not know the secret it commits to.
    #[error("the proof of knowledge in its round 1 package is wrong")]
    Proof,
    /// A round 2 package that contradicts its round 1 package; only its receiver can see that.
    #[error("its round 2 package for this member is wrong: {0}")]
    Package(String),
    /// Another member says so; nobody else can check it.
    #[error("member {by} complains about its packages")]
    Accused {
        /// The complaining member, 1 to n.
        by: u16,
    },
    /// It says itself that it cannot go on.
    #[error("it lost the secrets of this attempt and asks for another")]
    LostSecrets,
    /// A signature share that does not verify.
    #[error("its signature share for input {input} is wrong")]
    Share {
        /// Position of the input in the transaction, from 0.
        input: usize,
    },
    /// No shares before the deadline.
    #[error("it committed, but did not deliver its shares in time")]
    Late,
}

/// Where a post belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Session {
    /// `approve`: for the proposal's content, by its hash.
    Proposal { proposal: u64, content: B256 },
    /// `postSigning`: an attempt at signing a bound vault transaction, from 1. The proposal's session has the commitments of the first.
    Signing { number: u32, attempt: u32 },
    /// `postKeygen`: an attempt at making an epoch's key, from 0.
    Keygen { epoch: u32, attempt: u32 },
}

impl Session {
    /// As `SigningBoard` computes it: `keccak256(abi.encode(network, bytes32(subject), number, attempt))`.
    #[must_use]
    pub fn id(self, network: B256) -> B256 {
        match self {
            Self::Proposal { proposal, .. } => proposal_session(network, proposal),
            Self::Signing { number, attempt } => signing_session(network, number, attempt),
            Self::Keygen { epoch, attempt } => keygen_session(network, epoch, attempt),
        }
    }
}

/// Session of a proposal's approvals.
#[must_use]
pub fn proposal_session(network: B256, proposal: u64) -> B256 {
    session(network, b"proposal", proposal, 0)
}

/// Session of one attempt to sign a vault transaction.
#[must_use]
pub fn signing_session(network: B256, number: u32, attempt: u32) -> B256 {
    session(network, b"signing", number.into(), attempt)
}

/// Session of one attempt to make the key of an epoch.
#[must_use]
pub fn keygen_session(network: B256, epoch: u32, attempt: u32) -> B256 {
    session(network, b"keygen", epoch.into(), attempt)
}

fn session(network: B256, subject: &[u8], number: u64, attempt: u32) -> B256 {
    keccak256((network, B256::right_padding_from(subject), U256::from(number), U256::from(attempt)).abi_encode())
}

/// One attempt at a key or a signature, as its posts and blames name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptId {
    /// Its number in blames.
    pub number: u32,
    /// Where its posts belong.
    pub to: Session,
    /// The id of that session.
    pub session: B256,
}

impl AttemptId {
    pub(crate) fn new(to: Session, number: u32, network: B256) -> Self {
        Self { number, to, session: to.id(network) }
    }

    /// Says that `member` is at fault.
    pub(crate) fn blame<T>(self, member: u16, fault: Fault) -> Effect<T> {
        Effect::Blame(Blame { member, attempt: self.number, fault })
    }
}

/// The end of a post of commitments: two bytes for each member that is named, and two for their number.
pub fn names(members: &BTreeSet<u16>) -> Vec<u8> {
    let count = u16::try_from(members.len()).expect("members are numbered by u16");
    members.iter().copied().chain([count]).flat_map(u16::to_be_bytes).collect()
}

/// Splits the names off a post of commitments.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn split_names(payload: &[u8]) -> Result<(&[u8], BTreeSet<u16>), String> {
    let (rest, count) = payload.split_last_chunk().ok_or("it is empty")?;
    let count = usize::from(u16::from_be_bytes(*count));
    let at = rest.len().checked_sub(2 * count).ok_or_else(|| format!("{count} names in {} bytes", rest.len()))?;
    let (rest, names) = rest.split_at(at);
    let names = names.chunks_exact(2).map(|name| u16::from_be_bytes(name.try_into().expect("two bytes")));
    Ok((rest, names.collect()))
}

/// The members that so many of the others name that at least one of those is honest: at most `members - threshold` of them, those that
/// most name first. Who names whom, in any order, each once.
pub fn left_out<'a>(
    named: impl Iterator<Item = (u16, &'a BTreeSet<u16>)>,
    members: u16,
    threshold: usize,
) -> BTreeSet<u16> {
    let may_miss = usize::from(members).saturating_sub(threshold);
    let mut by: BTreeMap<u16, usize> = BTreeMap::new();
    for (namer, names) in named {
        names.iter().filter(|name| **name != namer).for_each(|name| *by.entry(*name).or_default() += 1);
    }
    let mut late: Vec<(usize, u16)> = by.into_iter().map(|(member, count)| (count, member)).collect();
    late.retain(|(count, _)| *count > may_miss);
    late.sort_by_key(|(count, member)| (std::cmp::Reverse(*count), *member));
    late.into_iter().take(may_miss).map(|(_, member)| member).collect()
}

/// When a member last sent each of its posts in this life of the process, so that it is not sent with every block until
/// it is seen.
#[derive(Debug, Default)]
pub(crate) struct Outbox(BTreeMap<(u32, Kind), u64>);

impl Outbox {
    /// The post, unless it was sent less than [`RESEND_AFTER_S`] before `now` (block time, in seconds).
    pub(crate) fn post<T>(&mut self, attempt: AttemptId, kind: Kind, payload: Vec<u8>, now: u64) -> Option<Effect<T>> {
        let sent = self.0.get(&(attempt.number, kind));
        if sent.is_some_and(|sent| now < sent.saturating_add(RESEND_AFTER_S)) {
            return None;
        }
        self.0.insert((attempt.number, kind), now);
        Some(Effect::Post(Post { to: attempt.to, session: attempt.session, kind, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_the_ids_of_the_contract() {
        let network = B256::repeat_byte(7);
        let by_hand = |subject: &str, number: u8, attempt: u8| {
            let mut words = [[0_u8; 32]; 4];
            words[0] = [7; 32];
            words[1][..subject.len()].copy_from_slice(subject.as_bytes());
            (words[2][31], words[3][31]) = (number, attempt);
            keccak256(words.concat())
        };
        let proposal = Session::Proposal { proposal: 9, content: B256::ZERO };
        assert_eq!(proposal.id(network), by_hand("proposal", 9, 0));
        assert_eq!(Session::Signing { number: 3, attempt: 2 }.id(network), by_hand("signing", 3, 2));
        assert_eq!(Session::Keygen { epoch: 1, attempt: 0 }.id(network), by_hand("keygen", 1, 0));
    }
}
