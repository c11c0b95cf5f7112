//! Entries as Solidity packs them. That the contracts write them so is shown by `tests/tests/differential/ledger.rs`.

use super::*;

/// A word of bytes written from its low end: pairs of a width in bytes and a value.
fn packed(parts: &[(usize, U256)]) -> U256 {
    let mut shift = 0;
    parts.iter().fold(U256::ZERO, |word, (width, value)| {
        let placed = *value << shift;
        shift += 8 * width;
        word | placed
    })
}

fn number(value: u64) -> U256 {
    U256::from(value)
}

#[test]
fn a_withdrawal_to_a_taproot_script_is_read_as_it_was_asked_for() {
    let owner = Address::repeat_byte(0xaa);
    let low = |address: Address| U256::from_be_bytes(address.into_word().0);
    let program = U256::from_be_bytes([0x77; 32]);
    let slots = [
        packed(&[(20, low(owner)), (1, number(4)), (1, number(32)), (8, number(0))]),
        packed(&[(4, number(3)), (4, number(9)), (8, number(50_000)), (8, number(700)), (5, number(1_700_000_000))]),
        program,
    ];
    let script = [&[0x51, 32][..], &[0x77; 32]].concat();
    let want = Withdrawal {
        owner,
        amount_sat: 50_000,
        max_fee_sat: 700,
        asked_at: 1_700_000_000,
        tie: Some(3),
        paid_by: Some(9),
        given_back: None,
        script: script.into(),
    };
    assert_eq!(Withdrawal::read(&slots), Ok(Some(want)));
    assert_eq!(Withdrawal::read(&[U256::ZERO; 3]), Ok(None));
    assert_eq!(Withdrawal::read(&slots[..2]), Err(NotAnEntry::SlotCount { got: 2, want: 3 }));
    let closed = |reason: u64| [slots[0], slots[1] | (number(reason) << 232), slots[2]];
    let given_back = |reason| Withdrawal::read(&closed(reason)).map(|found| found.and_then(|found| found.given_back));
    assert_eq!(given_back(4), Ok(Some(GivenBack::Cancelled)));
    assert_eq!(given_back(5), Ok(Some(GivenBack::Refunded)));
    assert_eq!(given_back(3), Err(NotAnEntry::Closed(3)));
}

#[test]
fn entries_of_nobody_are_none_and_too_few_slots_an_error() {
    let txid = Txid::from_byte_array([1; 32]);
    assert_eq!(Deposit::read(&[U256::ZERO; 3]), Ok(None));
    assert_eq!(VaultTransaction::read(txid, &[U256::ZERO; 2]), Ok(None));
    assert_eq!(Deposit::read(&[]), Err(NotAnEntry::SlotCount { got: 0, want: 3 }));
    assert_eq!(VaultTransaction::read(txid, &[U256::MAX; 3]), Err(NotAnEntry::SlotCount { got: 3, want: 2 }));
    assert_eq!(books(&[U256::ZERO]), Err(NotAnEntry::SlotCount { got: 1, want: 2 }));
    assert_eq!(books(&[U256::ZERO; 2]), Ok(Books::default()));
}

#[test]
fn two_outpoints_of_one_transaction_have_their_own_slots() {
    let outpoint = |vout| OutPoint { txid: Txid::from_byte_array([1; 32]), vout };
    let [first, second, third] = deposit_slots(outpoint(0));
    assert_eq!((second, third), (first + U256::ONE, first + U256::from(2)));
    assert_ne!(first, deposit_slots(outpoint(1))[0]);
}

proptest::proptest! {
    #[test]
    fn no_slots_make_a_reader_panic(words: [[u8; 32]; 3]) {
        let slots = words.map(|word| U256::from_be_bytes(word));
        let txid = Txid::from_byte_array([1; 32]);
        let _ = (Withdrawal::read(&slots), Deposit::read(&slots), VaultTransaction::read(txid, &slots[..2]), books(&slots[..2]));
    }
}
