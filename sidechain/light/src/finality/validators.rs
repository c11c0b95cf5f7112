//! Who may make a block final.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use blst::min_sig::PublicKey;

use super::{
    encoding::PUBLIC_KEY_BYTES,
    error::{FinalityError, MAX_VALIDATORS},
};

/// The validators of a network, and what their signatures mean there.
#[derive(Clone, Debug)]
pub struct Validators {
    /// In the order of their p2p keys.
    pub(super) keys: Vec<PublicKey>,
    pub(super) namespace: Vec<u8>,
}

impl Validators {
    /// The validators of this network (its id): for each its p2p key (ed25519) and its BLS key, in any order.
    ///
    /// # Errors
    ///
    /// `BadKey` (with the position in `members`), `DuplicateKey`, `BadValidatorCount`. Proofs of possession are not looked at here.
    pub fn new(
        network: B256,
        members: impl IntoIterator<Item = ([u8; 32], [u8; PUBLIC_KEY_BYTES])>,
    ) -> Result<Self, FinalityError> {
        let mut ordered = Vec::new();
        for (index, (p2p, key)) in members.into_iter().enumerate() {
            let point = PublicKey::key_validate(&key).map_err(|_| FinalityError::BadKey { index })?;
            ordered.push((p2p, key, point));
        }
        if ordered.is_empty() || ordered.len() > MAX_VALIDATORS {
            return Err(FinalityError::BadValidatorCount { got: ordered.len() });
        }
        let p2p: BTreeSet<_> = ordered.iter().map(|(p2p, _, _)| *p2p).collect();
        let bls: BTreeSet<_> = ordered.iter().map(|(_, key, _)| *key).collect();
        if p2p.len() != ordered.len() || bls.len() != ordered.len() {
            return Err(FinalityError::DuplicateKey);
        }
        ordered.sort_unstable_by_key(|(p2p, _, _)| *p2p);
        Ok(Self { keys: ordered.into_iter().map(|(_, _, point)| point).collect(), namespace: namespace(network) })
    }

    /// How many validators there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Signers that a certificate needs: all but f, where f = (n - 1) / 3 may be faulty.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.keys.len() - (self.keys.len() - 1) / 3
    }
}

/// What separates the votes of one network from those of all others, also of the same validators with the same chain id.
#[must_use]
pub fn namespace(network: B256) -> Vec<u8> {
    format!("causeway/{network:x}").into_bytes()
}
