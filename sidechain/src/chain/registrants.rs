//! Who brings registrations of deposit addresses, and how old theirs are.

use std::collections::BTreeMap;

/// Who brought a registration. Each origin has its own part of the room: whoever has most loses its oldest first, so that
/// one validator that floods the others takes from itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(pub(super) u8);

impl Origin {
    /// Users of this node.
    pub const USERS: Self = Self(0);

    /// Another validator, by its key. Two may share an origin: there are fifteen.
    pub fn peer(key: &[u8]) -> Self {
        Self(1 + key.first().copied().unwrap_or_default() % 15)
    }
}

/// Where to look for the oldest registration of each origin: what is before has gone. Kept from batch to batch, for what was deleted
/// is still in the way of who looks from the beginning until the store is compacted.
pub(super) type Oldest = BTreeMap<Origin, u64>;
