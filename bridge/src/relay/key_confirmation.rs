//! When this member tells the Federation contract which key came out of the key generation.

use alloy_primitives::B256;

use super::posts::POST_FOR_MS;

/// What was sent of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyConfirmation {
    sent_ms: Option<u64>,
}

impl KeyConfirmation {
    /// Whether it is owed now: the contract has another key of this member or none, and it was not sent lately.
    #[must_use]
    pub fn is_owed(&self, key: B256, on_chain: Option<B256>, clock_ms: u64) -> bool {
        let sent_lately = self.sent_ms.is_some_and(|at| clock_ms.saturating_sub(at) < POST_FOR_MS);
        on_chain != Some(key) && !sent_lately
    }

    /// It is being sent.
    pub fn sent(&mut self, clock_ms: u64) {
        self.sent_ms = Some(clock_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_confirmed_again_until_the_contract_has_it() {
        let (key, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut confirmation = KeyConfirmation::default();
        assert!(confirmation.is_owed(key, None, 0) && confirmation.is_owed(key, Some(other), 0));
        assert!(!confirmation.is_owed(key, Some(key), 0));
        confirmation.sent(1_000);
        assert!(!confirmation.is_owed(key, None, 1_000 + POST_FOR_MS - 1), "it was sent lately");
        assert!(confirmation.is_owed(key, None, 1_000 + POST_FOR_MS));
    }
}
