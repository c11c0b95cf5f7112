//! Promises of this member: the only part of signing that cannot be read from the board.
//!
//! ```text
//!  nothing ──approves──▶ approved ──signs──▶ shared(1) ──the next attempt──▶ committed(2) ──signs──▶ shared(2) ──▶ ...
//! ```
//! Each step replaces the one before, whole and durably, so nonces and the shares made with them are never both on the disk.

use zeroize::Zeroizing;

use super::commitments::decode;
use super::error::SessionError;
use crate::threshold::{NONCES_LEN, Nonces, SHARE_LEN, Share};

#[derive(Debug)]
pub(super) enum Own {
    Nothing,
    /// Nonces of a proposal, one for each input that its content names.
    Approved {
        nonces: Vec<Nonces>,
    },
    /// Nonces of an attempt behind the first, one for each input.
    Committed {
        attempt: u32,
        nonces: Vec<Nonces>,
    },
    /// The shares of the attempt; its nonces are gone.
    Shared {
        attempt: u32,
        shares: Vec<Share>,
    },
}

/// What a state is bound to: hash of the approved proposal, and of all that is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digests {
    pub proposal: [u8; 32],
    pub messages: [u8; 32],
}

/// Layout: version, tag, attempt (big endian), digest, then nonces or shares.
const STATE_VERSION: u8 = 2;
const STATE_HEADER: usize = 1 + 1 + 4 + 32;
const APPROVED: u8 = 1;
const COMMITTED: u8 = 2;
const SHARED: u8 = 3;

impl Own {
    pub(super) fn attempt(&self) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Approved { .. } => Some(1),
            Self::Committed { attempt, .. } | Self::Shared { attempt, .. } => Some(*attempt),
        }
    }

    /// The nonces with which to sign this attempt, if there are.
    pub(super) fn nonces_of(&self, wanted: u32) -> Option<&[Nonces]> {
        match self {
            Self::Approved { nonces } if wanted == 1 => Some(nonces),
            Self::Committed { attempt, nonces } if *attempt == wanted => Some(nonces),
            _ => None,
        }
    }

    /// To be kept, sealed.
    pub(super) fn to_bytes(&self, digests: &Digests) -> Zeroizing<Vec<u8>> {
        let (tag, attempt, digest) = match self {
            Self::Nothing => return Zeroizing::new(Vec::new()),
            Self::Approved { .. } => (APPROVED, 1, &digests.proposal),
            Self::Committed { attempt, .. } => (COMMITTED, *attempt, &digests.messages),
            Self::Shared { attempt, .. } => (SHARED, *attempt, &digests.messages),
        };
        // Reserved in full, so that growing leaves no copies of nonces behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(STATE_HEADER + self.body_len()));
        bytes.extend_from_slice(&[STATE_VERSION, tag]);
        bytes.extend_from_slice(&attempt.to_be_bytes());
        bytes.extend_from_slice(digest);
        match self {
            Self::Nothing => {}
            Self::Approved { nonces } | Self::Committed { nonces, .. } => {
                nonces.iter().for_each(|nonces| bytes.extend_from_slice(nonces.to_bytes().as_slice()));
            }
            Self::Shared { shares, .. } => shares.iter().for_each(|share| bytes.extend_from_slice(&share.to_bytes())),
        }
        bytes
    }

    fn body_len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Approved { nonces } | Self::Committed { nonces, .. } => nonces.len() * NONCES_LEN,
            Self::Shared { shares, .. } => shares.len() * SHARE_LEN,
        }
    }

    /// The state of a session: of its approval, or of its own.
    pub(super) fn of_session(
        bytes: &[u8],
        digests: &Digests,
        named: usize,
        inputs: usize,
    ) -> Result<Self, SessionError> {
        let state = State::read(bytes)?;
        let attempt = state.attempt;
        match state.tag {
            APPROVED => state.approved(&digests.proposal, named),
            COMMITTED => {
                let body = state.body_of(&digests.messages)?;
                Ok(Self::Committed { attempt, nonces: decode(body, inputs, Nonces::from_bytes).map_err(damaged)? })
            }
            SHARED => {
                let body = state.body_of(&digests.messages)?;
                Ok(Self::Shared { attempt, shares: decode(body, inputs, Share::from_bytes).map_err(damaged)? })
            }
            _ => Err(SessionError::Damaged("unknown kind")),
        }
    }

    /// The state of an approval; none once its transaction was bound and signed for.
    pub(super) fn of_approval(bytes: &[u8], proposal: &[u8; 32], named: usize) -> Result<Option<Self>, SessionError> {
        let state = State::read(bytes)?;
        match state.tag {
            APPROVED => state.approved(proposal, named).map(Some),
            COMMITTED | SHARED => Ok(None),
            _ => Err(SessionError::Damaged("unknown kind")),
        }
    }
}

/// Stored bytes, taken apart.
struct State<'a> {
    tag: u8,
    attempt: u32,
    digest: &'a [u8],
    body: &'a [u8],
}

impl<'a> State<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, SessionError> {
        let (header, body) = bytes.split_at_checked(STATE_HEADER).ok_or(SessionError::Damaged("too short"))?;
        if header[0] != STATE_VERSION {
            return Err(SessionError::Damaged("unknown version"));
        }
        let attempt = u32::from_be_bytes(header[2..6].try_into().expect("four bytes"));
        Ok(Self { tag: header[1], attempt, digest: &header[6..], body })
    }

    fn body_of(&self, digest: &[u8; 32]) -> Result<&'a [u8], SessionError> {
        if self.digest == digest { Ok(self.body) } else { Err(SessionError::Foreign) }
    }

    fn approved(&self, proposal: &[u8; 32], named: usize) -> Result<Own, SessionError> {
        let body = self.body_of(proposal)?;
        Ok(Own::Approved { nonces: decode(body, named, Nonces::from_bytes).map_err(damaged)? })
    }
}

fn damaged(_: String) -> SessionError {
    SessionError::Damaged("its numbers do not decode")
}
