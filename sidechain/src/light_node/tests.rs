//! What a light node keeps, and what it refuses.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use contracts::standard::BLOCK_HASH_HISTORY;
use light::FinalHeader;

use super::*;
use crate::block::Header;
use crate::execution::{Call, Stop};
use crate::state::{Account, CodeCache, StateReader as _};
use crate::testing::genesis;

fn header(number: u64, extra: u8) -> FinalHeader {
    let header = Header { number, extra_data: vec![extra].into(), gas_limit: 30_000_000, ..Header::default() };
    FinalHeader { hash: header.hash_slow(), header, signers: 3, validators: 4 }
}

// 5 - 7 - 9      what nodes show, in this order; then 7 again, and another 9
#[test]
fn the_newest_header_only_goes_forward_and_a_rollback_is_refused_by_name() {
    let mut heads = Heads::new(header(5, 0));
    assert_eq!(heads.take(header(7, 0)), Ok(Taken::Newer));
    assert_eq!(heads.take(header(9, 0)), Ok(Taken::Newer));
    assert_eq!(heads.take(header(9, 0)), Ok(Taken::Known));
    let refused = heads.take(header(7, 0)).expect_err("it is older");
    assert_eq!(refused, NotTaken::Older { got: 7, kept: 9 });
    assert!(refused.to_string().contains("hides what is newer"), "{refused}");
    let refused = heads.take(header(9, 1)).expect_err("another block of that height");
    assert_eq!(refused, NotTaken::Fork { number: 9, got: header(9, 1).hash, kept: header(9, 0).hash });
    assert!(refused.to_string().contains("a third of the validators signed both"), "{refused}");
    assert_eq!(heads.newest().hash, header(9, 0).hash, "nothing changed");
}

#[test]
fn a_block_that_somebody_asked_for_cannot_be_another_one_later() {
    let mut heads = Heads::new(header(9, 0));
    heads.remember(header(3, 0)).expect("the first of that height");
    assert_eq!(heads.at(3).map(|kept| kept.hash), Some(header(3, 0).hash));
    assert_eq!(heads.of(header(3, 0).hash).map(|kept| kept.header.number), Some(3));
    assert!(matches!(heads.remember(header(3, 1)), Err(NotTaken::Fork { number: 3, .. })));
    assert_eq!(heads.newest().header.number, 9);
}

#[test]
fn of_ten_thousand_headers_256_are_kept_and_the_newest_is_among_them() {
    let mut heads = Heads::new(header(0, 0));
    for number in 1..=10_000 {
        heads.take(header(number, 0)).expect("newer");
    }
    let kept = (0..=10_000).filter(|number| heads.at(*number).is_some()).count();
    assert_eq!((kept, heads.newest().header.number), (RECENT, 10_000));
    assert!(heads.at(10_000).is_some());
    heads.remember(header(1, 0)).expect("an old one");
    assert!(heads.at(10_000).is_some(), "an old one takes no new one's place");
}

#[test]
fn a_node_that_fails_is_left_out_for_a_time_that_doubles_and_others_are_asked() {
    let mut sources = Sources::new(&["http://a".to_owned(), "http://b".to_owned()]);
    let order = |sources: &Sources, now_ms| sources.order(now_ms).concat();
    assert_eq!(sources.order(0), [vec![0, 1], vec![]]);
    let pauses: Vec<u64> = (0..12).map(|_| sources.fault(0, false, 0)).collect();
    assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
    assert_eq!(pauses[11], 300_000, "five minutes at most");
    assert_eq!(sources.order(1), [vec![1], vec![0]], "the other one is asked first");
    assert_eq!(sources.order(300_000), [vec![0, 1], vec![]], "nobody is left out for good");
    sources.fault(1, false, 10);
    assert_eq!(order(&sources, 20), [1, 0], "when all are left out, the one first that waits least");
    sources.holds(0);
    assert_eq!(sources.fault(0, false, 0), 1_000, "who answered again begins anew");
}

#[test]
fn honest_answers_make_no_lie_good() {
    let mut sources = Sources::new(&["http://a".to_owned()]);
    let pauses = [0, 0, 0].map(|now_ms| {
        sources.holds(0);
        sources.fault(0, true, now_ms)
    });
    assert_eq!(pauses, [1_000, 2_000, 4_000]);
}

#[test]
fn code_is_kept_within_its_bytes_and_what_was_used_last_stays() {
    let mut codes = Codes::new(100);
    let code = |byte: u8| Bytes::from(vec![byte; 40]);
    for byte in [1, 2] {
        codes.put(keccak256(code(byte)), code(byte));
    }
    assert_eq!(codes.get(keccak256(code(1))), Some(code(1)), "used after 2");
    codes.put(keccak256(code(3)), code(3));
    assert_eq!(codes.bytes(), 80);
    assert_eq!(codes.get(keccak256(code(2))), None, "used least recently");
    assert!(codes.get(keccak256(code(1))).is_some() && codes.get(keccak256(code(3))).is_some());
    codes.put(B256::repeat_byte(9), vec![0; 1_000].into());
    assert_eq!(codes.bytes(), 1_000, "one that is too large alone is kept alone");
}

#[test]
fn of_one_state_a_bounded_number_of_slots_is_kept() {
    let mut rows = Rows::default();
    let slots: Vec<U256> = (0..1_000).map(U256::from).collect();
    for account in 0..60 {
        rows.put(Address::repeat_byte(account), None, &slots, &slots);
    }
    let kept = (0..60).filter(|account| rows.slot(Address::repeat_byte(*account), U256::ZERO).is_some()).count();
    assert!(kept <= 50, "{kept}");
    assert_eq!(rows.slot(Address::repeat_byte(59), U256::from(7)), Some(U256::from(7)), "the last are there");
}

/// A contract that returns what slot 5 holds, and the hash of block 3.
const CODE: [u8; 19] = [
    0x60, 5, 0x54, 0x60, 0, 0x52, // mstore(0, sload(5))
    0x60, 3, 0x40, 0x60, 32, 0x52, // mstore(32, blockhash(3))
    0x60, 64, 0x60, 0, 0xf3, // return(0, 64)
    0, 0,
];
const CONTRACT: Address = Address::repeat_byte(0xc0);

#[test]
fn a_call_says_what_it_lacks_until_nothing_is_missing_and_then_answers() {
    let (rows, codes) = (Arc::<Mutex<Rows>>::default(), Arc::new(Mutex::new(Codes::new(1_000))));
    let header = Arc::new(header(9, 0));
    let view = View::new(header, genesis().rules(), rows.clone(), codes.clone(), Arc::<CodeCache>::default());
    let call = Call { to: TxKind::Call(CONTRACT), ..Call::default() };
    let run = || (view.call(&call, &Stop::never()), view.missing());
    let put = |address, account, slots: &[(u64, u64)]| {
        let (slots, values): (Vec<_>, Vec<_>) =
            slots.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).unzip();
        rows.lock().expect("nobody panics").put(address, account, &slots, &values);
    };
    let account = |code_hash, storage_root| Some(Account { nonce: 1, code_hash, storage_root, ..Account::default() });

    let (_, missing) = run();
    assert!(missing.accounts.contains_key(&CONTRACT), "{missing:?}");
    for address in missing.accounts.keys().filter(|address| **address != CONTRACT) {
        put(*address, None, &[]);
    }
    put(CONTRACT, account(keccak256(CODE), B256::repeat_byte(1)), &[]);
    let (answer, missing) = run();
    assert!(answer.is_err(), "there is no code to run");
    assert_eq!(missing.codes, [keccak256(CODE)].into());
    codes.lock().expect("nobody panics").put(keccak256(CODE), CODE.to_vec().into());

    let (_, missing) = run();
    assert_eq!(missing.accounts.get(&CONTRACT), Some(&[U256::from(5)].into()));
    assert_eq!(missing.accounts.get(&BLOCK_HASH_HISTORY), Some(&[U256::from(3)].into()), "all at once");
    assert_eq!(missing.len(), 4);
    put(CONTRACT, account(keccak256(CODE), B256::repeat_byte(1)), &[(5, 77)]);
    put(BLOCK_HASH_HISTORY, account(B256::ZERO, B256::repeat_byte(2)), &[(3, 33)]);

    let (answer, missing) = run();
    assert!(missing.is_empty(), "{missing:?}");
    let output = answer.expect("it runs").output;
    assert_eq!(output, [U256::from(77), U256::from(33)].map(|word| word.to_be_bytes::<32>()).concat());
    assert_eq!(view.block_hash(8).expect("the parent"), Some(view.header().parent_hash));
    assert_eq!(view.block_hash(10).expect("later"), None);
}
