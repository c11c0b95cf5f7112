//! Registered deposit terms, and the scripts that pay them: computed here, whatever the node says they are.
//!
//! ```text
//!   the node's list   1 . . 4 5 . 7 8 9 ...        "." was let go, or was registered again and has a later place
//!   reviewed ------------^            ^---- read
//! ```
//! New ones are read as they come. Once there are many, the list is read again from the beginning, two pages for each page of new ones:
//! what is not in it any more is forgotten. So there are never more than half as many again as the node keeps.

use std::collections::BTreeMap;

use bitcoin::{ScriptBuf, XOnlyPublicKey};
use mainchain::deposit::{DepositTerms, Peg};

use crate::peg;

/// Registrations asked for at once.
pub const PAGE: u32 = 500;

/// As many are kept without another look at the list: some dozen megabytes.
const REVIEWED_FROM: usize = 100_000;

/// Pages that are read again for each page of new ones.
const REVIEWS: usize = 2;

/// The registrations read so far.
#[derive(Clone, Debug)]
pub struct Registrations {
    cursor: u64,
    /// By their place in the node's list.
    kept: BTreeMap<u64, ScriptBuf>,
    /// Those whose group key is not known yet. A node takes none before the key is in force, so there are few.
    keyless: Vec<(u64, DepositTerms)>,
    /// Up to where the list was read again.
    reviewed: u64,
    reviewed_from: usize,
}

/// An address to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub script: ScriptBuf,
    pub terms: DepositTerms,
    /// Its place in the node's list.
    pub cursor: u64,
}

impl Default for Registrations {
    fn default() -> Self {
        Self::reviewed_from(REVIEWED_FROM)
    }
}

impl Registrations {
    fn reviewed_from(many: usize) -> Self {
        Self { cursor: 0, kept: BTreeMap::new(), keyless: Vec::new(), reviewed: 0, reviewed_from: many }
    }

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
        let terms = page.deposits.iter().flat_map(|registration| {
            DepositTerms::try_from(&registration.terms).map(|terms| (registration.cursor, terms))
        });
        self.keyless.extend(terms);
        more
    }

    /// The addresses of all terms whose group key is known by now; each comes out once.
    pub fn addresses(&mut self, peg: &Peg, group_keys: &BTreeMap<u32, XOnlyPublicKey>) -> Vec<Registered> {
        let (known, keyless): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.keyless).into_iter().partition(|(_, terms)| group_keys.contains_key(&terms.epoch));
        self.keyless = keyless;
        let registered = |(cursor, terms): (u64, DepositTerms)| {
            let script = terms.output(peg, group_keys[&terms.epoch]).script_pubkey();
            Registered { script, terms, cursor }
        };
        let registered: Vec<_> = known.into_iter().map(registered).collect();
        self.kept.extend(registered.iter().map(|registered| (registered.cursor, registered.script.clone())));
        registered
    }

    /// How many pages of the list are to be read again now, each after [`Self::reviewed`].
    #[must_use]
    pub fn reviews(&self) -> usize {
        if self.kept.len() >= self.reviewed_from { REVIEWS } else { 0 }
    }

    /// The cursor after which the list is read again.
    #[must_use]
    pub fn reviewed(&self) -> u64 {
        self.reviewed
    }

    /// Takes in a page that was read again; the addresses that are not in it any more, with the places that they had.
    pub fn review(&mut self, page: &peg::Registrations) -> Vec<(ScriptBuf, u64)> {
        let after = self.reviewed.saturating_add(1);
        let is_last = page.deposits.len() < PAGE as usize || page.next <= self.reviewed;
        // What was read is read again, and no more: a later one may have come since.
        let until = if is_last { self.cursor } else { page.next.min(self.cursor) };
        self.reviewed = if until == self.cursor { 0 } else { until };
        if after > until {
            return Vec::new();
        }
        let mut gone: BTreeMap<u64, ScriptBuf> =
            self.kept.range(after..=until).map(|(cursor, script)| (*cursor, script.clone())).collect();
        page.deposits.iter().for_each(|registration| drop(gone.remove(&registration.cursor)));
        gone.keys().for_each(|cursor| drop(self.kept.remove(cursor)));
        self.keyless.retain(|(cursor, _)| !gone.contains_key(cursor));
        gone.into_iter().map(|(cursor, script)| (script, cursor)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroU16;

    use alloy_primitives::{Address, B256, U256};

    use super::*;

    const PEG: Peg = Peg { network_id: [5; 32], bridge: [4; 20], delay: NonZeroU16::new(1_008).expect("not zero") };

    fn key() -> XOnlyPublicKey {
        XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve")
    }

    fn registration(cursor: u64, reclaim_key: B256) -> peg::Registration {
        let recipient = Address::from_word(U256::from(cursor).into());
        let (claimant, data_hash) = (recipient, B256::ZERO);
        let terms = peg::Terms { recipient, claimant, reclaim_key, max_fee_sat: 1_000, data_hash, epoch: 1 };
        peg::Registration { cursor, terms, address: String::new(), output_key: B256::repeat_byte(9), paid: None }
    }

    fn page(reclaim_key: B256, next: u64) -> peg::Registrations {
        peg::Registrations { deposits: vec![registration(next, reclaim_key)], next }
    }

    #[test]
    fn a_registration_waits_for_its_key_and_its_script_is_computed_once() {
        let mut registrations = Registrations::default();
        assert!(!registrations.add(page(B256::from(key().serialize()), 5)), "the page is not full");
        assert_eq!(registrations.cursor(), 5);
        assert_eq!(registrations.addresses(&PEG, &BTreeMap::new()), []);
        let keys = BTreeMap::from([(1, key())]);
        let addresses = registrations.addresses(&PEG, &keys);
        let [Registered { script, terms, cursor: 5 }] = addresses.as_slice() else { panic!("{addresses:?}") };
        assert_eq!(*script, terms.output(&PEG, key()).script_pubkey(), "whatever the node says it is");
        assert_eq!(registrations.addresses(&PEG, &keys), []);
    }

    #[test]
    fn terms_that_nobody_can_have_paid_are_passed_over() {
        let mut registrations = Registrations::default();
        registrations.add(page(B256::ZERO, 1));
        assert_eq!(registrations.addresses(&PEG, &BTreeMap::from([(1, key())])), []);
    }

    /// A node that keeps so many registrations: the oldest go.
    struct List {
        kept: BTreeSet<u64>,
        room: usize,
        last: u64,
    }

    impl List {
        fn register(&mut self, count: u64) {
            self.kept.extend(self.last + 1..=self.last + count);
            self.last += count;
            while self.kept.len() > self.room {
                self.kept.pop_first();
            }
        }

        fn page(&self, after: u64) -> peg::Registrations {
            let found: Vec<u64> = self.kept.range(after + 1..).take(PAGE as usize).copied().collect();
            let reclaim_key = B256::from(key().serialize());
            let deposits = found.iter().map(|cursor| registration(*cursor, reclaim_key)).collect();
            peg::Registrations { deposits, next: found.last().copied().unwrap_or(after) }
        }
    }

    /// One round of a relayer; what it forgot.
    fn round(registrations: &mut Registrations, list: &List) -> Vec<u64> {
        let keys = BTreeMap::from([(1, key())]);
        let mut forgotten = Vec::new();
        loop {
            let more = registrations.add(list.page(registrations.cursor()));
            registrations.addresses(&PEG, &keys);
            for _ in 0..registrations.reviews() {
                let page = list.page(registrations.reviewed());
                forgotten.extend(registrations.review(&page).into_iter().map(|(_, cursor)| cursor));
            }
            if !more {
                return forgotten;
            }
        }
    }

    #[test]
    fn what_the_node_lets_go_is_forgotten_and_what_it_keeps_is_not_however_fast_they_come() {
        let mut list = List { kept: BTreeSet::new(), room: 4_000, last: 0 };
        let mut registrations = Registrations::reviewed_from(1_000);
        let mut most = 0;
        for round_number in 0..60 {
            list.register(if round_number < 40 { 700 } else { 0 });
            // One that was registered again in between has another place.
            list.kept.remove(&(list.last - 3));
            let forgotten = round(&mut registrations, &list);
            assert!(forgotten.iter().all(|cursor| !list.kept.contains(cursor)), "{forgotten:?}");
            most = most.max(registrations.kept.len());
        }
        assert!(most <= list.room * 3 / 2 + 4 * PAGE as usize, "{most} are kept");
        assert_eq!(registrations.kept.keys().copied().collect::<BTreeSet<_>>(), list.kept, "after some quiet rounds");
        // A list that is lost is forgotten as a whole.
        list.kept.clear();
        (0..20).for_each(|_| drop(round(&mut registrations, &list)));
        assert!(registrations.kept.len() < 1_000, "fewer than what is looked through: {}", registrations.kept.len());
    }
}
