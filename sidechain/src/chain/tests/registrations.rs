//! The list of deposit registrations: bounded, fair to whoever brings some, and kind to what is paid.

use std::cell::Cell;

use api::peg::Terms;

use super::*;

fn registration(number: u64) -> Registration {
    let output_key = B256::from(U256::from(number));
    let recipient = Address::from_word(output_key);
    Registration {
        terms: Terms {
            recipient,
            claimant: Address::ZERO,
            data_hash: B256::ZERO,
            reclaim_key: output_key,
            max_fee_sat: 1,
            epoch: 1,
        },
        output_key,
    }
}

fn payment(number: u64) -> Payment {
    Payment { txid: B256::from(U256::from(number)), vout: 0 }
}

fn arrival(number: u64, origin: Origin, paid: bool) -> Arrival {
    let registration = registration(number);
    let output_key = registration.output_key;
    Arrival { output_key, registration: Some(registration), origin, payment: paid.then(|| payment(number)) }
}

/// A list with room for a few.
struct List {
    chain: Chain<Arc<Memory>>,
    room: u64,
    now_ms: u64,
    /// Payments below it are minted.
    minted: Cell<u64>,
}

impl List {
    fn new(room: u64) -> Self {
        Self { chain: open(Arc::new(Memory::default())), room, now_ms: NOW_MS, minted: Cell::new(0) }
    }

    fn take(&self, arrivals: &[Arrival]) -> Vec<Kept> {
        let minted = |payment: &Payment| U256::from_be_bytes(payment.txid.0) < U256::from(self.minted.get());
        self.chain.register_deposits(arrivals, self.now_ms, self.room, &minted).expect("in memory")
    }

    fn one(&self, number: u64, origin: Origin, paid: bool) -> Kept {
        self.take(&[arrival(number, origin, paid)])[0]
    }

    fn kept(&self) -> Vec<u64> {
        let rows = self.chain.registrations(0, 10_000).expect("in memory");
        rows.iter().map(|(_, row)| U256::from_be_bytes(row.output_key.0).to()).collect()
    }
}

#[test]
fn a_full_list_takes_new_ones_and_lets_the_oldest_go() {
    let list = List::new(3);
    for number in 1..=10 {
        assert_eq!(list.one(number, Origin::USERS, false), Kept::New);
    }
    assert_eq!(list.kept(), [8, 9, 10]);
    assert_eq!(list.one(1, Origin::USERS, false), Kept::New, "whoever was let go comes back");
    // In one batch too.
    let many: Vec<_> = (20..30).map(|number| arrival(number, Origin::USERS, false)).collect();
    list.take(&many);
    assert!(list.kept().len() <= 3, "{:?}", list.kept());
}

/// A store keeps what was deleted in the way of whoever looks from the beginning: with a million gone, each batch took milliseconds.
#[test]
fn nobody_looks_again_at_what_a_full_list_let_go() {
    let store = Arc::new(counting::Counting::default());
    let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
    let take = |number| {
        let arrivals = [arrival(number, Origin::USERS, false)];
        chain.register_deposits(&arrivals, NOW_MS, 3, &|_| false).expect("in memory")
    };
    for number in 1..=500 {
        assert_eq!(take(number), [Kept::New]);
    }
    let sought = store.last_sought(Table::RegistrationAge).expect("the list is full");
    let from = u64::from_be_bytes(sought[1..].try_into().expect("a cursor"));
    assert_eq!(from, 497, "500 were taken and 3 are kept: the one that went last was the 497th");
}

#[test]
fn one_that_is_paid_stays_until_it_is_minted() {
    let list = List::new(4);
    list.one(1, Origin::USERS, true);
    list.one(2, Origin::USERS, true);
    for number in 10..30 {
        list.one(number, Origin::USERS, false);
    }
    let kept = list.kept();
    assert!(kept.contains(&1) && kept.contains(&2) && kept.len() == 4, "{kept:?}");
    list.minted.set(2);
    for number in 30..50 {
        list.one(number, Origin::USERS, false);
    }
    let kept = list.kept();
    assert!(!kept.contains(&1) && kept.contains(&2), "{kept:?}");
}

#[test]
fn a_proof_is_taken_when_everything_kept_is_paid_too() {
    let list = List::new(3);
    for number in 1..=3 {
        assert_eq!(list.one(number, Origin::USERS, true), Kept::New);
    }
    assert_eq!(list.one(4, Origin::USERS, false), Kept::No, "one without a payment has to wait");
    assert_eq!(list.one(5, Origin::USERS, true), Kept::New);
    assert!(list.kept().contains(&5) && list.kept().len() == 3, "{:?}", list.kept());
}

#[test]
fn a_payment_that_is_never_swept_does_not_keep_its_place_for_ever() {
    let mut list = List::new(2);
    list.one(1, Origin::USERS, true);
    list.one(2, Origin::USERS, true);
    list.now_ms += 31 * 24 * 3_600_000;
    assert_eq!(list.one(3, Origin::USERS, false), Kept::New);
    assert_eq!(list.one(4, Origin::USERS, false), Kept::New);
    assert_eq!(list.kept(), [3, 4]);
}

#[test]
fn a_validator_that_floods_the_others_takes_from_itself() {
    let list = List::new(10);
    let (one, other) = (Origin::peer(&[1]), Origin::peer(&[2]));
    for number in 1..=3 {
        list.one(number, Origin::USERS, false);
        list.one(10 + number, one, false);
    }
    for number in 100..1_100 {
        assert_eq!(list.one(number, other, false), Kept::New);
    }
    let kept = list.kept();
    assert!([1, 2, 3, 11, 12, 13].iter().all(|number| kept.contains(number)) && kept.len() == 10, "{kept:?}");
}

#[test]
fn a_payment_seen_later_marks_what_is_registered_and_nothing_else() {
    let list = List::new(3);
    list.one(1, Origin::USERS, false);
    let seen = |number| Arrival { registration: None, ..arrival(number, Origin::USERS, true) };
    assert_eq!(list.take(&[seen(1), seen(1), seen(2)]), [Kept::Paid, Kept::Known, Kept::No]);
    for number in 10..20 {
        list.one(number, Origin::USERS, false);
    }
    assert!(list.kept().contains(&1) && !list.kept().contains(&2), "{:?}", list.kept());
}

#[test]
fn one_that_is_asked_for_again_is_young_again() {
    let list = List::new(4);
    for number in 1..=4 {
        list.one(number, Origin::USERS, false);
    }
    assert_eq!(list.one(1, Origin::USERS, false), Kept::Known);
    list.one(5, Origin::USERS, false);
    assert_eq!(list.kept(), [3, 4, 1, 5]);
}

proptest! {
    /// Whatever arrives, the list is never longer than its room, its order is that of cursors, and the three tables agree.
    #[test]
    fn the_list_stays_whole(steps in proptest::collection::vec((1u64..30, 0u8..4, any::<bool>(), 0u64..30), 1..120), room in 1u64..8) {
        let list = List::new(room);
        for (number, origin, paid, minted) in steps {
            list.minted.set(minted);
            let origin = if origin == 0 { Origin::USERS } else { Origin::peer(&[origin]) };
            list.one(number, origin, paid);
            let rows = list.chain.registrations(0, 1_000).expect("in memory");
            prop_assert!(rows.len() as u64 <= room);
            for (cursor, row) in &rows {
                let found = list.chain.registration(row.output_key).expect("in memory");
                prop_assert_eq!(found, Some((*cursor, row.clone())));
            }
            let ages = list.chain.store.scan(Table::RegistrationAge, &[], 1_000).expect("in memory");
            let keys = list.chain.store.scan(Table::RegistrationKey, &[], 1_000).expect("in memory");
            prop_assert_eq!((ages.len(), keys.len()), (rows.len(), rows.len()));
        }
    }
}
