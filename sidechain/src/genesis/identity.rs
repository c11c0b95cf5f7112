//! Which network this is: one hash over all that its operators agreed on.
//!
//! It goes into the first header and into the contracts' constructors, and from there into whatever is signed or posted on the
//! network (docs/adr/0023). It depends on the whole file and on nothing else, so two networks of the same operators with the same
//! chain id have two.

use alloy_primitives::{B256, keccak256};

use super::file::Genesis;

/// In front of the file's content, so that the hash is of nothing else.
const DOMAIN: &[u8] = b"causeway/network\n";

impl Genesis {
    /// The network's id: keccak256 of [`DOMAIN`] and the file's content as JSON without spaces, its fields in the order of
    /// [`Genesis`]. What is left out is in no other file's content there, so nothing can be changed without another id.
    pub fn network_id(&self) -> B256 {
        let content = serde_json::to_vec(self).expect("every field is text, number or list");
        keccak256([DOMAIN, &content].concat())
    }
}
