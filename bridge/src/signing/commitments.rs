//! A post of commitments: one pair for each input, then whom the sender names ([`board::names`]).

use std::collections::BTreeSet;

use crate::board;
use crate::dkg::MAX_MEMBERS;
use crate::threshold::{COMMITMENT_LEN, Commitment, Nonces};

/// Most bytes of the names at the end of a post of commitments.
const MAX_NAMES: usize = 2 * (MAX_MEMBERS as usize + 1);

/// Most inputs of a transaction that fit one post of commitments; a vault transaction of 10,000 vB has fewer.
pub const MAX_INPUTS: usize = (board::MAX_PAYLOAD - MAX_NAMES) / COMMITMENT_LEN;

/// Commitments of a member, and whom it named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub commitments: Vec<Commitment>,
    pub named: BTreeSet<u16>,
}

/// What to post for these nonces; of those that were late at most so many are named as may be missing, since more would not be left out.
pub(super) fn payload(nonces: &[Nonces], late: &[u16], me: u16, may_miss: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = nonces.iter().flat_map(|nonces| nonces.commitment().to_bytes()).collect();
    let named: BTreeSet<u16> = late.iter().copied().filter(|member| *member != me).take(may_miss).collect();
    payload.extend(board::names(&named));
    payload
}

/// Reads a post of commitments for exactly so many inputs.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn read(payload: &[u8], inputs: usize) -> Result<Committed, String> {
    let (commitments, named) = board::split_names(payload)?;
    Ok(Committed { commitments: decode(commitments, inputs, Commitment::from_bytes)?, named })
}

/// Exactly `count` items of `N` bytes.
pub(super) fn decode<T, E: std::fmt::Display, const N: usize>(
    bytes: &[u8],
    count: usize,
    item: impl Fn(&[u8; N]) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    if Some(bytes.len()) != count.checked_mul(N) {
        return Err(format!("{} bytes, expected {count} times {N}", bytes.len()));
    }
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| item(chunk).map_err(|error| error.to_string())).collect()
}
