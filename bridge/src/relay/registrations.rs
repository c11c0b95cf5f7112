//! Registered deposit terms, and the scripts that pay them: computed here, whatever the node says they are.

use std::collections::BTreeMap;

use bitcoin::{ScriptBuf, XOnlyPublicKey};
use mainchain::deposit::{DepositTerms, Peg};

use crate::peg;

/// Registrations asked for at once.
pub const PAGE: u32 = 500;

/// The registrations read so far.
#[derive(Clone, Debug, Default)]
pub struct Registrations {
    cursor: u64,
    /// Those whose group key is not known yet. A node takes none before the key is in force, so there are few.
    keyless: Vec<DepositTerms>,
}

impl Registrations {
    /// The cursor to ask for next.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Takes in a page; says whether there is more.
    pub fn add(&mut self, page: peg::Registrations) -> bool {
        let more = page.deposits.len() == PAGE as usize && page.next > self.cursor;
        self.cursor = page.next;
        // Terms that make no address are passed over: nobody can have paid it.
        self.keyless.extend(page.deposits.iter().flat_map(|registration| DepositTerms::try_from(&registration.terms)));
        more
    }

    /// The scripts of all terms whose group key is known by now; each comes out once.
    pub fn scripts(&mut self, peg: &Peg, group_keys: &BTreeMap<u32, XOnlyPublicKey>) -> Vec<(ScriptBuf, DepositTerms)> {
        let (known, keyless) =
            std::mem::take(&mut self.keyless).into_iter().partition(|terms| group_keys.contains_key(&terms.epoch));
        self.keyless = keyless;
        let known: Vec<DepositTerms> = known;
        known.into_iter().map(|terms| (terms.output(peg, group_keys[&terms.epoch]).script_pubkey(), terms)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use alloy_primitives::{Address, B256};

    use super::*;

    const PEG: Peg = Peg { chain_id: 51_717, bridge: [4; 20], delay: NonZeroU16::new(1_008).expect("not zero") };

    fn page(reclaim_key: B256, next: u64) -> peg::Registrations {
        let terms = peg::Terms { recipient: Address::repeat_byte(7), reclaim_key, max_fee_sat: 1_000, epoch: 1 };
        let registration =
            peg::Registration { cursor: next, terms, address: String::new(), output_key: B256::repeat_byte(9) };
        peg::Registrations { deposits: vec![registration], next }
    }

    #[test]
    fn a_registration_waits_for_its_key_and_its_script_is_computed_once() {
        let key = XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve");
        let mut registrations = Registrations::default();
        assert!(!registrations.add(page(B256::from(key.serialize()), 5)), "the page is not full");
        assert_eq!(registrations.cursor(), 5);
        assert_eq!(registrations.scripts(&PEG, &BTreeMap::new()), []);
        let keys = BTreeMap::from([(1, key)]);
        let scripts = registrations.scripts(&PEG, &keys);
        let [(script, terms)] = scripts.as_slice() else { panic!("{scripts:?}") };
        assert_eq!(*script, terms.output(&PEG, key).script_pubkey(), "whatever the node says it is");
        assert_eq!(registrations.scripts(&PEG, &keys), []);
    }

    #[test]
    fn terms_that_nobody_can_have_paid_are_passed_over() {
        let mut registrations = Registrations::default();
        registrations.add(page(B256::ZERO, 1));
        let key = XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve");
        assert_eq!(registrations.scripts(&PEG, &BTreeMap::from([(1, key)])), []);
    }
}
