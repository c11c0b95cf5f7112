//! The payee: stories, and a naive model.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Bytes, keccak256};
use proptest::prelude::*;
use secp256k1::SecretKey;

use super::claims::{Claim, ClaimRules, Due, Reason};
use super::locks::{CLAIM_MARGIN_S, LockCheck, LockOffer, OPEN_MARGIN_S};
use super::streams::StreamOffer;
use super::*;
use crate::account_signature::{BadForm, address_of};
use crate::channel::Closing;
use crate::locked::{LockRefused, LockedVoucher};
use crate::stream::{SignedStream, StreamTerms, TickRefused, chain};
use crate::voucher::Voucher;

const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const PAYEE: Address = Address::repeat_byte(6);
const ID: B256 = B256::repeat_byte(7);
const NOW: u64 = 1_700_000_000;
const AT: SeenAt = SeenAt { block: 10, unix_s: NOW };

fn domain() -> Domain {
    Domain::new(CHAIN_ID, CONTRACT)
}

fn payer() -> SecretKey {
    SecretKey::from_slice(&[9; 32]).unwrap()
}

fn rules() -> Rules {
    let token = Address::ZERO;
    Rules { payee: PAYEE, token, least_deposit: 100, confirmations: 0, max_age_s: 600, splits: false }
}

fn channel(deposit: u128) -> Channel {
    Channel::opened(ID, PAYEE, Address::ZERO, address_of(&payer()), deposit)
}

fn payee(deposit: u128) -> Payee {
    let mut payee = Payee::new(domain(), rules());
    payee.observe(channel(deposit), AT).unwrap();
    payee
}

fn signed(total: u128, secret: &SecretKey) -> SignedVoucher {
    Voucher { channel_id: ID, cumulative_amount: total }.sign(&domain(), secret)
}

fn offer(total: u128, price: u128, key: &str) -> Offer {
    let request = if key.is_empty() { B256::ZERO } else { keccak256(key) };
    Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher: signed(total, &payer()), price, request }
}

/// All three steps; whether it was new.
fn pay_at(payee: &mut Payee, offer: Offer, now: u64) -> Result<(bool, Receipt), Refused> {
    match payee.examine(offer, now)? {
        Examined::Known(receipt) => Ok((false, receipt)),
        Examined::Check(check) => Ok(match payee.accept(check.verify()?, now)? {
            Accepted::New(taken) => (true, taken.receipt),
            Accepted::Known(receipt) => (false, receipt),
        }),
    }
}

fn pay(payee: &mut Payee, offer: Offer) -> Result<(bool, Receipt), Refused> {
    pay_at(payee, offer, NOW)
}

#[test]
fn a_voucher_buys_a_receipt_that_says_what_was_charged_so_far() {
    let mut payee = payee(1_000);
    let (_, first) = pay(&mut payee, offer(30, 10, "a")).unwrap();
    let want = Receipt {
        channel_id: ID,
        cumulative_amount: 30,
        price: 10,
        charged: 10,
        highest: 30,
        accepted_at: NOW,
        request: keccak256("a"),
    };
    assert_eq!(first, want);
    // Overtaken by the first.
    let (_, second) = pay(&mut payee, offer(20, 20, "b")).unwrap();
    assert_eq!((second.charged, second.highest), (30, 30));
}

#[test]
fn the_same_voucher_or_the_same_key_gets_the_same_receipt_and_is_charged_for_once() {
    let mut payee = payee(1_000);
    let first = pay(&mut payee, offer(30, 10, "a")).unwrap();
    assert!(first.0);
    let again = (false, first.1);
    assert_eq!(pay(&mut payee, offer(30, 10, "a")), Ok(again), "the same request");
    assert_eq!(pay(&mut payee, offer(30, 10, "")), Ok(again), "the same voucher");
    assert_eq!(pay(&mut payee, offer(40, 10, "a")), Ok(again), "the same key with another voucher");
    assert_eq!(pay(&mut payee, offer(40, 10, "b")).unwrap().1.charged, 20, "which was not charged for");
    // What paid for one request pays for no other, and for no dearer one.
    let another = |price| Err(Refused::PaidForAnother { got: 30, paid: 10, price });
    assert_eq!(pay(&mut payee, offer(30, 10, "c")), another(10));
    assert_eq!(pay(&mut payee, offer(30, 11, "")), another(11));
    assert_eq!(pay(&mut payee, offer(50, 11, "a")), another(11));
    // Somebody else with the key, or with the total.
    let stranger = SecretKey::from_slice(&[1; 32]).unwrap();
    let of_stranger = |total, key| Offer { voucher: signed(total, &stranger), ..offer(total, 10, key) };
    assert!(matches!(pay(&mut payee, of_stranger(50, "a")), Err(Refused::NotTheSigner { .. })));
    assert_eq!(pay(&mut payee, of_stranger(30, "")), Err(Refused::Spent { got: 30, highest: 40 }));
}

#[test]
fn two_requests_with_one_voucher_at_the_same_time_are_charged_for_once() {
    let mut payee = payee(1_000);
    let checks = [(); 2].map(|()| payee.examine(offer(30, 10, "a"), NOW).unwrap());
    let [first, second] = checks.map(|examined| match examined {
        Examined::Check(check) => payee.accept(check.verify().unwrap(), NOW).unwrap(),
        Examined::Known(_) => panic!("neither was taken when both were looked at"),
    });
    let Accepted::New(taken) = first else { panic!("it is the first") };
    assert_eq!(second, Accepted::Known(taken.receipt));
}

#[test]
fn each_bad_voucher_is_refused_by_its_own_name_and_most_before_the_curve() {
    let mut payee = payee(1_000);
    pay(&mut payee, offer(100, 10, "")).unwrap();
    let with = |change: &dyn Fn(&mut Offer)| {
        let mut changed = offer(200, 10, "");
        change(&mut changed);
        changed
    };
    let bytes = |change: &dyn Fn(&mut Vec<u8>)| {
        with(&|offer| {
            let mut signature = offer.voucher.signature.to_vec();
            change(&mut signature);
            offer.voucher.signature = signature.into();
        })
    };
    let other = B256::repeat_byte(8);
    let signer = address_of(&payer());
    let early = [
        (with(&|o| o.chain_id = 1), Refused::WrongChain { got: 1, want: CHAIN_ID }),
        (with(&|o| o.contract = PAYEE), Refused::WrongContract { got: PAYEE, want: CONTRACT }),
        (with(&|o| o.voucher.voucher.channel_id = other), Refused::UnknownChannel { id: other }),
        (bytes(&|b| b.truncate(64)), Refused::BadForm(BadForm::Length { got: 64 })),
        (bytes(&|b| b[32] |= 0x80), Refused::BadForm(BadForm::UpperS)),
        (bytes(&|b| b[64] = 0), Refused::BadForm(BadForm::Recovery { got: 0 })),
        (offer(95, 10, ""), Refused::Spent { got: 95, highest: 100 }),
        (offer(105, 10, ""), Refused::BelowPrice { got: 105, pays: 5, price: 10 }),
        (offer(1_001, 10, ""), Refused::BeyondDeposit { got: 1_001, deposit: 1_000 }),
    ];
    for (bad, want) in early {
        assert_eq!(payee.examine(bad, NOW), Err(want));
    }
    let equal = bytes(&|b| b[40] ^= 1);
    assert_eq!(pay(&mut payee, equal), Err(Refused::NotTheSigner { signer }));
    assert_eq!(pay(&mut payee, offer(200, 10, "")).unwrap().1.charged, 20, "nothing of it was charged");
}

#[test]
fn channels_that_are_not_worth_it_are_not_taken() {
    let mut payee = Payee::new(domain(), rules());
    let closing = Some(Closing { from_unix_s: NOW + 60, from_block: 20 });
    let other = Address::repeat_byte(1);
    for (bad, want) in [
        (Channel { payee: other, ..channel(1_000) }, Refused::WrongPayee { id: ID, got: other, want: PAYEE }),
        (Channel { token: other, ..channel(1_000) }, Refused::WrongToken { id: ID, got: other, want: Address::ZERO }),
        (Channel { has_splits: true, ..channel(1_000) }, Refused::Splits { id: ID }),
        (Channel { finalized: true, ..channel(1_000) }, Refused::Closed { id: ID }),
        (Channel { closing, ..channel(1_000) }, Refused::Closing { id: ID }),
        (Channel { settled: 901, ..channel(1_000) }, Refused::Dust { id: ID, got: 99, least: 100 }),
    ] {
        assert_eq!(payee.observe(bad, AT), Err(want));
    }
    assert_eq!(payee.accounts().count(), 0);
}

#[test]
fn a_payer_who_starts_to_close_pays_no_more_and_its_voucher_is_due_first() {
    let mut payee = payee(1_000);
    let rules = ClaimRules { cost: 5, worth: 500, wait_s: 3_600 };
    pay(&mut payee, offer(100, 10, "")).unwrap();
    assert_eq!(payee.due(&rules, NOW), []);
    let closing = Closing { from_unix_s: NOW + 60, from_block: 20 };
    let asked = Channel { closing: Some(closing), ..channel(1_000) };
    payee.observe(asked, SeenAt { block: 11, unix_s: NOW }).unwrap();
    assert_eq!(pay(&mut payee, offer(200, 10, "")), Err(Refused::Closing { id: ID }));
    let due = payee.due(&rules, NOW);
    assert_eq!((due.len(), due[0].amount, due[0].reason, due[0].before), (1, 100, Reason::Closing, Some(closing)));
    assert_eq!(due[0].claim, Claim::Voucher(signed(100, &payer())));
    // It tops up instead; an older state does not count.
    payee.observe(channel(2_000), SeenAt { block: 12, unix_s: NOW }).unwrap();
    payee.observe(asked, SeenAt { block: 11, unix_s: NOW }).unwrap();
    assert!(pay(&mut payee, offer(1_500, 10, "")).is_ok());
}

#[test]
fn a_claim_is_due_by_value_or_by_time_until_it_is_settled() {
    let mut payee = payee(1_000);
    let rules = ClaimRules { cost: 5, worth: 500, wait_s: 60 };
    pay(&mut payee, offer(100, 10, "")).unwrap();
    pay_at(&mut payee, offer(110, 10, ""), NOW + 59).unwrap();
    assert_eq!(payee.due(&rules, NOW + 59), []);
    assert_eq!(payee.due(&rules, NOW + 60)[0].reason, Reason::Waited);
    payee.observe(Channel { settled: 110, ..channel(1_000) }, SeenAt { block: 11, unix_s: NOW + 61 }).unwrap();
    assert_eq!(payee.due(&rules, NOW + 1_000), []);
    pay_at(&mut payee, offer(700, 500, ""), NOW + 61).unwrap();
    let due = payee.due(&rules, NOW + 61);
    assert_eq!((due[0].amount, due[0].reason), (590, Reason::Worth));
}

#[test]
fn a_voucher_with_the_wrong_parity_is_claimed_with_the_right_one() {
    let mut payee = payee(1_000);
    pay(&mut payee, offer(20, 10, "")).unwrap();
    let mut wrong = offer(100, 10, "");
    let mut signature = wrong.voucher.signature.to_vec();
    signature[64] = 55 - signature[64];
    wrong.voucher.signature = signature.into();
    pay(&mut payee, wrong).unwrap();
    let due = payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW);
    assert_eq!(due[0].claim, Claim::Voucher(signed(100, &payer())));
}

#[test]
fn a_deposit_counts_when_enough_blocks_are_on_it() {
    let mut payee = Payee::new(domain(), Rules { confirmations: 3, ..rules() });
    let at = |block| SeenAt { block, unix_s: NOW };
    payee.observe(channel(1_000), at(10)).unwrap();
    payee.advance(at(12));
    assert_eq!(pay(&mut payee, offer(10, 10, "")), Err(Refused::Unconfirmed { got: 10, seen: 2, want: 3 }));
    payee.advance(at(13));
    assert!(pay(&mut payee, offer(10, 10, "")).is_ok());
    // Each block adds a little: the first addition is not kept waiting by the others.
    for (block, deposit) in [(14, 2_000), (15, 3_000), (16, 4_000)] {
        payee.observe(channel(deposit), at(block)).unwrap();
    }
    assert!(pay(&mut payee, offer(1_000, 10, "")).is_ok());
    assert!(matches!(pay(&mut payee, offer(2_000, 10, "")), Err(Refused::Unconfirmed { .. })));
    payee.observe(channel(4_000), at(17)).unwrap();
    assert!(pay(&mut payee, offer(2_000, 10, "")).is_ok());
    payee.observe(channel(4_000), at(20)).unwrap();
    assert!(pay(&mut payee, offer(4_000, 10, "")).is_ok());
}

#[test]
fn nothing_is_taken_while_the_chain_is_not_heard_of_or_by_a_clock_that_is_behind() {
    let mut payee = payee(1_000);
    let late = pay_at(&mut payee, offer(10, 10, ""), NOW + 601);
    assert_eq!(late, Err(Refused::Stale { seen: NOW, now: NOW + 601 }));
    let early = pay_at(&mut payee, offer(10, 10, ""), NOW - 61);
    assert_eq!(early, Err(Refused::ClockBehind { seen: NOW, now: NOW - 61 }));
    assert_eq!((late.unwrap_err().fault(), early.unwrap_err().fault()), (Fault::Payee, Fault::Payee));
    payee.advance(SeenAt { block: 11, unix_s: NOW + 590 });
    assert!(pay_at(&mut payee, offer(10, 10, ""), NOW + 601).is_ok());
}

#[test]
fn channels_that_never_paid_give_way_to_new_ones_and_those_that_paid_stay() {
    let mut payee = payee(1_000);
    pay(&mut payee, offer(10, 10, "")).unwrap();
    let with_id = |number: u128| Channel { id: crate::typed_data::word(number), ..channel(1_000) };
    for number in 0..MAX_CHANNELS as u128 + 10 {
        payee.observe(with_id(number), AT).unwrap();
    }
    assert_eq!(payee.accounts().count(), MAX_CHANNELS);
    assert!(pay(&mut payee, offer(20, 10, "")).is_ok());
}

#[test]
fn what_is_remembered_has_a_bound_and_what_was_forgotten_is_not_charged_again() {
    let mut payee = payee(1_000_000);
    payee.remembered = ROOM;
    for number in 1..=100 {
        pay(&mut payee, offer(10 * number, 10, &number.to_string())).unwrap();
    }
    assert_eq!(payee.account(ID).unwrap().taken.len(), LEAST_REMEMBERED);
    assert_eq!(pay(&mut payee, offer(10, 10, "1")), Err(Refused::Spent { got: 10, highest: 1_000 }));
    assert!(!pay(&mut payee, offer(1_000, 10, "100")).unwrap().0);
    payee.remembered = LEAST_REMEMBERED;
    payee.observe(Channel { finalized: true, ..channel(1_000) }, SeenAt { block: 11, unix_s: NOW }).unwrap();
    assert_eq!(payee.remembered, 0);
}

#[test]
fn a_channel_that_ended_is_forgotten() {
    let mut payee = payee(1_000);
    pay(&mut payee, offer(10, 10, "")).unwrap();
    let ended = payee.observe(Channel { finalized: true, ..channel(1_000) }, SeenAt { block: 11, unix_s: NOW });
    assert_eq!(ended, Ok(vec![Record::Ended { id: ID }]));
    assert_eq!(pay(&mut payee, offer(20, 10, "")), Err(Refused::UnknownChannel { id: ID }));
}

#[test]
fn records_come_back_from_their_bytes_and_other_bytes_are_none() {
    let mut payee = payee(1_000);
    for total in [30, 90, 60] {
        pay(&mut payee, offer(total, 10, "")).unwrap();
    }
    let account = payee.account(ID).unwrap();
    let mut records = Record::all_of(ID, account);
    records.push(hold(&mut payee.clone(), &lock_offer(200, 50)).unwrap());
    records.extend([Record::Admitted { id: ID, settled: 4 }, Record::Ended { id: ID }]);
    records.push(Record::Taken(account.taken.iter().next().unwrap().clone()));
    for record in records {
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record.clone()));
        assert_eq!(Record::decode(&[&bytes[..], &[0]].concat()), None);
        if !matches!(record, Record::Kept { .. }) {
            assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), None);
        }
    }
    assert_eq!((Record::decode(&[]), Record::decode(&[99])), (None, None));
}

fn stream(base: u128, ticks: &[B256]) -> SignedStream {
    let count = u32::try_from(ticks.len() - 1).unwrap();
    let terms = StreamTerms { channel_id: ID, cumulative_amount: base, tick_amount: 5, ticks: count, root: ticks[0] };
    terms.sign(&domain(), &payer())
}

fn open(payee: &mut Payee, stream: SignedStream) -> Result<Record, Refused> {
    let offer = StreamOffer { chain_id: CHAIN_ID, contract: CONTRACT, stream };
    let verified = payee.examine_stream(&offer, NOW)?.verify()?;
    payee.accept_stream(verified)
}

#[test]
fn ticks_pay_beside_vouchers_and_no_unit_is_charged_for_twice() {
    let mut payee = payee(1_000);
    let ticks = chain(B256::repeat_byte(3), 20);
    let of_ticks = stream(100, &ticks);
    pay(&mut payee, offer(100, 10, "")).unwrap();
    open(&mut payee, of_ticks.clone()).unwrap();
    let tick = |payee: &mut Payee, number: u32| {
        payee.tick(ID, ticks[0], number, ticks[number as usize], NOW).map(|taken| taken.amount)
    };
    assert_eq!(tick(&mut payee, 1), Ok(5));
    assert_eq!(tick(&mut payee, 3), Ok(10), "and the lost one before");
    assert_eq!(tick(&mut payee, 3), Err(Refused::Tick(TickRefused::NotNew { got: 3, latest: 3 })));
    let due = payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW);
    let want = Claim::Stream { stream: of_ticks.clone(), ticks: 3, tick: ticks[3] };
    assert_eq!((&due[0].claim, due[0].amount), (&want, 115));
    // A voucher above leaves room below, and one within what a tick was to pay for makes that tick worthless.
    pay(&mut payee, offer(150, 10, "")).unwrap();
    assert_eq!(tick(&mut payee, 4), Ok(5));
    pay(&mut payee, offer(123, 1, "")).unwrap();
    assert_eq!(tick(&mut payee, 5), Err(Refused::BelowPrice { got: 125, pays: 2, price: 5 }));
    assert_eq!(payee.account(ID).unwrap().charged, 10 + 20 + 10 + 1);
    assert!(matches!(payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW)[0].claim, Claim::Voucher(_)));
    // Opened again it goes on where it was, and another root is another stream.
    open(&mut payee, of_ticks).unwrap();
    assert!(matches!(tick(&mut payee, 4), Err(Refused::Tick(TickRefused::NotNew { .. }))));
    let unknown = payee.tick(ID, ticks[1], 1, ticks[2], NOW);
    assert_eq!(unknown, Err(Refused::UnknownStream { id: ID, root: ticks[1] }));
}

#[test]
fn a_stream_is_refused_by_name_and_their_number_has_a_bound() {
    let mut payee = payee(1_000);
    let seeded = |seed| chain(B256::repeat_byte(seed), 20);
    let forged = StreamTerms { tick_amount: 6, ..stream(0, &seeded(1)).terms };
    let forged = SignedStream { terms: forged, ..stream(0, &seeded(1)) };
    assert_eq!(open(&mut payee, forged), Err(Refused::NotTheSigner { signer: address_of(&payer()) }));
    let beyond = open(&mut payee, stream(996, &seeded(1)));
    assert_eq!(beyond, Err(Refused::BeyondDeposit { got: 1_001, deposit: 1_000 }));
    for seed in 1..=8 {
        open(&mut payee, stream(100, &seeded(seed))).unwrap();
    }
    assert_eq!(open(&mut payee, stream(100, &seeded(9))), Err(Refused::TooManyStreams { id: ID, most: 8 }));
    // All of them were overtaken: one gives way.
    pay(&mut payee, offer(300, 10, "")).unwrap();
    open(&mut payee, stream(300, &seeded(9))).unwrap();
}

#[test]
fn a_stream_that_ended_is_claimed_however_many_are_opened_after_it_and_also_when_it_is_opened_again() {
    let mut payee = payee(1_000);
    let seeded = |seed: u8| chain(B256::repeat_byte(seed), 2);
    let claimed = |payee: &Payee| payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW)[0].claim.clone();
    for seed in 1..=20 {
        let ticks = seeded(seed);
        let base = 10 * u128::from(seed - 1);
        open(&mut payee, stream(base, &ticks)).unwrap();
        assert_eq!(payee.tick(ID, ticks[0], 2, ticks[2], NOW).unwrap().amount, 10);
        let want = Claim::Stream { stream: stream(base, &ticks), ticks: 2, tick: ticks[2] };
        assert_eq!(claimed(&payee), want);
        // Again, and others of the same payer that may never get a tick.
        open(&mut payee, stream(base, &ticks)).unwrap();
        (100..110).for_each(|other| drop(open(&mut payee, stream(base, &seeded(other + seed)))));
        assert_eq!(claimed(&payee), want);
        let again = payee.tick(ID, ticks[0], 2, ticks[2], NOW);
        assert_eq!(again, Err(Refused::Tick(TickRefused::NotNew { got: 2, latest: 2 })));
    }
    assert_eq!(payee.account(ID).unwrap().charged, 200);
}

#[test]
fn streams_come_back_from_the_file_with_their_ticks_as_appended_and_as_written_anew() {
    let mut payee = payee(1_000);
    let ticks = chain(B256::repeat_byte(3), 20);
    let mut file = vec![Record::Admitted { id: ID, settled: 0 }, open(&mut payee, stream(0, &ticks)).unwrap()];
    for number in [1, 2, 5] {
        file.push(payee.tick(ID, ticks[0], number, ticks[number as usize], NOW).unwrap().record);
    }
    // What was written already may come once more behind what was written anew.
    let anew: Vec<Record> =
        Record::all_of(ID, payee.account(ID).unwrap()).into_iter().chain(file[1..].to_vec()).collect();
    for file in [file, anew] {
        let mut next = Payee::new(domain(), rules());
        file.into_iter().map(|record| Record::decode(&record.encode()).unwrap()).for_each(|record| next.replay(record));
        next.observe(channel(1_000), AT).unwrap();
        let (got, want) = (next.account(ID).unwrap(), payee.account(ID).unwrap());
        assert_eq!((&got.flows, &got.free, got.charged), (&want.flows, &want.free, want.charged));
        assert_eq!(next.tick(ID, ticks[0], 6, ticks[6], NOW).unwrap().amount, 5);
    }
}

const SECRET: B256 = B256::repeat_byte(8);
const EXPIRY: u64 = NOW + 7_200;

fn sha256(secret: B256) -> B256 {
    use secp256k1::hashes::{Hash as _, sha256};
    B256::from(sha256::Hash::hash(secret.as_slice()).to_byte_array())
}

fn lock_offer(base: u128, locked: u128) -> LockOffer {
    let voucher = LockedVoucher {
        channel_id: ID,
        cumulative_amount: base,
        locked_amount: locked,
        sha256_hash: sha256(SECRET),
        lock_expiry: EXPIRY,
    };
    let voucher = voucher.sign(&domain(), &payer());
    LockOffer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: 50, request: keccak256("lock") }
}

fn hold(payee: &mut Payee, offer: &LockOffer) -> Result<Record, Refused> {
    let verified = payee.examine_lock(offer, NOW)?.verify()?;
    payee.accept_lock(verified, offer.price, NOW)
}

fn open_lock(payee: &mut Payee, offer: &LockOffer, now: u64) -> Result<(Receipt, Option<Record>), Refused> {
    let opened = payee.open_lock(ID, offer.voucher.voucher.sha256_hash, SECRET, now)?;
    Ok((opened.receipt, opened.record))
}

fn due(payee: &Payee, now: u64) -> Vec<Due> {
    payee.due(&ClaimRules { cost: 0, worth: 1_000, wait_s: 100_000 }, now)
}

#[test]
fn a_lock_is_paid_when_its_secret_is_there_and_not_before_and_claimed_before_it_expires() {
    let mut payee = payee(1_000);
    let offer = lock_offer(100, 50);
    hold(&mut payee, &offer).unwrap();
    let account = payee.account(ID).unwrap();
    assert_eq!((account.charged, account.highest(), account.unclaimed()), (0, 0, 0));
    let wrong = payee.open_lock(ID, offer.voucher.voucher.sha256_hash, B256::ZERO, NOW);
    assert!(matches!(wrong, Err(Refused::Lock(LockRefused::WrongSecret { .. }))));
    let (receipt, _) = open_lock(&mut payee, &offer, NOW).unwrap();
    let request = keccak256("lock");
    assert_eq!((receipt.cumulative_amount, receipt.price, receipt.charged, receipt.request), (150, 50, 50, request));
    assert_eq!(open_lock(&mut payee, &offer, NOW).unwrap(), (receipt, None), "the same receipt again");
    assert_eq!(due(&payee, EXPIRY - CLAIM_MARGIN_S - 1), []);
    let claims = due(&payee, EXPIRY - CLAIM_MARGIN_S);
    let before = Some(Closing { from_unix_s: EXPIRY, from_block: 0 });
    let want = Claim::Locked { voucher: offer.voucher, preimage: SECRET };
    assert_eq!((&claims[0].claim, claims[0].reason, claims[0].before), (&want, Reason::LockExpires, before));
    assert_eq!(due(&payee, EXPIRY), [], "it is worth nothing any more");
}

#[test]
fn a_secret_that_comes_too_late_for_a_claim_opens_nothing() {
    let mut payee = payee(1_000);
    let offer = lock_offer(100, 50);
    hold(&mut payee, &offer).unwrap();
    let late = Refused::LockTooShort { expiry: EXPIRY, least: EXPIRY + 1 };
    assert_eq!(open_lock(&mut payee, &offer, EXPIRY + 1 - OPEN_MARGIN_S), Err(late));
    assert_eq!(payee.account(ID).unwrap().charged, 0);
    assert!(open_lock(&mut payee, &offer, EXPIRY - OPEN_MARGIN_S).is_ok());
}

#[test]
fn channels_that_take_much_gas_are_claimed_apart_and_only_if_they_are_worth_it() {
    let rules = Rules { least_deposit: 0, splits: true, ..rules() };
    let mut payee = Payee::new(domain(), rules);
    for number in 0..30 {
        let id = B256::with_last_byte(number);
        let heavy = Channel { id, has_splits: number < 25, ..channel(1_000) };
        payee.observe(heavy, AT).unwrap();
        let total = 900 - u128::from(number);
        let voucher = Voucher { channel_id: id, cumulative_amount: total }.sign(&domain(), &payer());
        pay(&mut payee, Offer { voucher, ..offer(0, total, "") }).unwrap();
    }
    let heavy = claim_gas::of(&Channel { has_splits: true, ..channel(0) }, true);
    let due = payee.due(&ClaimRules { cost: 1, worth: 1, wait_s: 0 }, NOW);
    assert_eq!(due.len() as u64, claim_gas::MOST_GAS / heavy, "they fill a transaction and no more");
    let due = payee.due(&ClaimRules { cost: 40, worth: 1, wait_s: 0 }, NOW);
    assert_eq!(due.len(), 5, "one that costs 33 times as much is to be worth as much more");
}

#[test]
fn a_plain_voucher_in_place_of_an_opened_lock_is_claimed_instead() {
    let mut payee = payee(1_000);
    let lock = lock_offer(100, 50);
    hold(&mut payee, &lock).unwrap();
    open_lock(&mut payee, &lock, NOW).unwrap();
    pay(&mut payee, offer(160, 10, "")).unwrap();
    assert_eq!(due(&payee, EXPIRY - 1), [], "no hurry: the voucher covers it");
    assert!(matches!(payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW)[0].claim, Claim::Voucher(_)));
}

#[test]
fn what_a_lock_holds_pays_for_nothing_else_until_the_chain_says_that_it_expired() {
    let mut payee = payee(1_000);
    let lock = lock_offer(100, 50);
    hold(&mut payee, &lock).unwrap();
    assert_eq!(pay(&mut payee, offer(150, 10, "")), Err(Refused::Spent { got: 150, highest: 0 }));
    assert!(pay(&mut payee, offer(100, 10, "")).is_ok(), "below it there is room");
    assert_eq!(payee.advance(SeenAt { block: 11, unix_s: EXPIRY - 1 }), []);
    let hash = lock.voucher.voucher.sha256_hash;
    assert_eq!(payee.advance(SeenAt { block: 12, unix_s: EXPIRY }), [Record::Dropped { id: ID, hash }]);
    assert_eq!(open_lock(&mut payee, &lock, EXPIRY), Err(Refused::UnknownLock { id: ID, hash }));
    assert!(pay_at(&mut payee, offer(150, 50, ""), EXPIRY).is_ok());
    assert_eq!(payee.account(ID).unwrap().charged, 60);
}

#[test]
fn a_payer_pays_on_beside_a_lock_by_another_one_on_the_same_hash() {
    let mut payee = payee(1_000);
    hold(&mut payee, &lock_offer(100, 50)).unwrap();
    hold(&mut payee, &lock_offer(110, 50)).unwrap();
    pay(&mut payee, offer(110, 10, "")).unwrap();
    assert_eq!(hold(&mut payee, &lock_offer(105, 50)), Err(Refused::BelowPrice { got: 155, pays: 45, price: 50 }));
    let (receipt, _) = open_lock(&mut payee, &lock_offer(110, 50), NOW).unwrap();
    assert_eq!((receipt.cumulative_amount, receipt.charged), (160, 60));
    let hash = lock_offer(0, 0).voucher.voucher.sha256_hash;
    assert_eq!(hold(&mut payee, &lock_offer(300, 50)), Err(Refused::LockOpened { id: ID, hash }));
}

#[test]
fn a_lock_is_refused_by_name_and_their_number_has_a_bound() {
    let mut payee = payee(1_000);
    assert_eq!(hold(&mut payee, &lock_offer(100, 49)), Err(Refused::BelowPrice { got: 149, pays: 49, price: 50 }));
    assert_eq!(hold(&mut payee, &lock_offer(951, 50)), Err(Refused::BeyondDeposit { got: 1_001, deposit: 1_000 }));
    let most = lock_offer(u128::MAX, 50);
    assert_eq!(hold(&mut payee, &most), Err(Refused::BeyondDeposit { got: u128::MAX, deposit: 1_000 }));
    let again = |change: fn(&mut LockedVoucher)| {
        let mut offer = lock_offer(100, 50);
        change(&mut offer.voucher.voucher);
        offer.voucher = offer.voucher.voucher.sign(&domain(), &payer());
        offer
    };
    let short = again(|voucher| voucher.lock_expiry = NOW + CLAIM_MARGIN_S - 1);
    let least = NOW + CLAIM_MARGIN_S;
    assert_eq!(hold(&mut payee, &short), Err(Refused::LockTooShort { expiry: least - 1, least }));
    let mut forged = lock_offer(100, 50);
    forged.voucher.voucher.locked_amount = 60;
    assert_eq!(hold(&mut payee, &forged), Err(Refused::NotTheSigner { signer: address_of(&payer()) }));
    for number in 0..8u8 {
        let mut other = lock_offer(50 * u128::from(number), 50);
        other.voucher.voucher.sha256_hash = B256::repeat_byte(number);
        other.voucher = other.voucher.voucher.sign(&domain(), &payer());
        hold(&mut payee, &other).unwrap();
    }
    assert_eq!(hold(&mut payee, &lock_offer(500, 50)), Err(Refused::TooManyLocks { id: ID, most: 8 }));
    // Once one was opened, and a plain voucher or a claim on chain is worth as much, another has its place.
    let mut payee = self::payee(1_000);
    for number in 0..20u128 {
        let secret = crate::typed_data::word(number);
        let mut offer = lock_offer(40 * number, 40);
        offer.price = 40;
        offer.voucher.voucher.sha256_hash = sha256(secret);
        offer.voucher = offer.voucher.voucher.sign(&domain(), &payer());
        hold(&mut payee, &offer).unwrap();
        let _ = payee.open_lock(ID, sha256(secret), secret, NOW).unwrap();
        let settled = Channel { settled: 40 * (number + 1), ..channel(1_000) };
        payee.observe(settled, SeenAt { block: 11, unix_s: NOW }).unwrap();
    }
    assert_eq!(payee.account(ID).unwrap().charged, 800);
}

#[test]
fn locks_come_back_from_the_file_as_appended_and_as_written_anew() {
    for opens in [false, true] {
        let mut payee = payee(1_000);
        let mut file = vec![Record::Admitted { id: ID, settled: 0 }];
        file.push(hold(&mut payee, &lock_offer(100, 50)).unwrap());
        file.push(hold(&mut payee, &lock_offer(110, 50)).unwrap());
        pay(&mut payee, offer(110, 10, "")).unwrap();
        file.push(Record::Taken(payee.account(ID).unwrap().taken.iter().next().unwrap().clone()));
        if opens {
            file.extend(open_lock(&mut payee, &lock_offer(110, 50), NOW).unwrap().1);
        } else {
            file.extend(payee.advance(SeenAt { block: 12, unix_s: EXPIRY }));
            pay_at(&mut payee, offer(160, 50, ""), EXPIRY).unwrap();
            file.push(Record::Taken(payee.account(ID).unwrap().taken.iter().last().unwrap().clone()));
        }
        let anew = Record::all_of(ID, payee.account(ID).unwrap());
        // What was written already may come once more behind what was written anew, from any record on.
        let tails = (1..file.len()).map(|from| anew.iter().chain(&file[from..]).cloned().collect());
        for file in tails.chain([file.clone()]).collect::<Vec<Vec<Record>>>() {
            let mut next = Payee::new(domain(), rules());
            let decoded = file.iter().map(|record| Record::decode(&record.encode()).unwrap());
            decoded.for_each(|record| next.replay(record));
            let (got, want) = (next.account(ID).unwrap(), payee.account(ID).unwrap());
            assert_eq!((&got.locks, &got.free, got.charged), (&want.locks, &want.free, want.charged), "{file:?}");
        }
    }
}

#[test]
fn a_contract_that_signs_is_asked_unless_its_key_signed_and_nothing_is_taken_that_it_denies() {
    let mut payee = Payee::new(domain(), rules());
    let contract = Channel { signer: Address::repeat_byte(0xcc), signer_has_code: true, ..channel(1_000) };
    payee.observe(contract, AT).unwrap();
    let wallet = |total, signature: &'static [u8]| {
        let voucher = Voucher { channel_id: ID, cumulative_amount: total };
        let voucher = SignedVoucher { voucher, signature: Bytes::from_static(signature) };
        Offer { voucher, ..offer(total, 10, "") }
    };
    let check = |payee: &Payee, offer| match payee.examine(offer, NOW).unwrap() {
        Examined::Check(check) => *check,
        Examined::Known(_) => panic!("it is new"),
    };
    let signer = contract.signer;
    let first = check(&payee, wallet(100, b"any bytes that it understands"));
    let question = first.question().unwrap();
    assert_eq!((question.signer, &question.signature[..9]), (signer, &b"any bytes"[..]));
    assert_eq!(question.digest, Voucher { channel_id: ID, cumulative_amount: 100 }.digest(&domain()));
    assert_eq!(first.clone().verify(), Err(Refused::NotAsked { signer }));
    assert_eq!(first.clone().answered(false), Err(Refused::NotTheSigner { signer }));
    let Accepted::New(taken) = payee.accept(first.answered(true).unwrap(), NOW).unwrap() else { panic!("it is new") };
    assert_eq!(Record::decode(&Record::Taken(taken.clone()).encode()), Some(Record::Taken(taken)));
    let due = payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, NOW);
    let want = wallet(100, b"any bytes that it understands").voucher;
    assert_eq!(due[0].claim, Claim::Voucher(want), "claimed as it came");
    let long = payee.examine(wallet(200, &[7; 1_025]), NOW);
    assert_eq!(long, Err(Refused::LongSignature { got: 1_025, most: 1_024 }));
    // An account whose key signs although it has code (EIP-7702) needs no question.
    payee.observe(Channel { signer_has_code: true, ..channel(1_000) }, SeenAt { block: 11, unix_s: NOW }).unwrap();
    assert_eq!(check(&payee, offer(300, 10, "")).question(), None);
    assert!(pay(&mut payee, offer(300, 10, "")).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Pay {
        total: u128,
        price: u128,
        key: u8,
    },
    Deposit(u128),
    Settle(u128),
    /// Reads its file: as it was appended, or written anew.
    Restart {
        anew: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let pay = (1u128..90, 1u128..12, 0u8..12).prop_map(|(total, price, key)| Step::Pay { total, price, key });
    let chain = prop_oneof![(60u128..90).prop_map(Step::Deposit), (0u128..60).prop_map(Step::Settle)];
    prop_oneof![8 => pay, 1 => chain, 1 => any::<bool>().prop_map(|anew| Step::Restart { anew })]
}

/// Single units, one map for each way in which a request may be known.
#[derive(Default)]
struct Model {
    charged: BTreeSet<u128>,
    by_total: BTreeMap<u128, Receipt>,
    by_key: BTreeMap<u8, Receipt>,
    deposit: u128,
}

impl Model {
    /// The receipt of before, or whether it pays.
    fn expect(&self, total: u128, price: u128, key: u8) -> Result<Option<Receipt>, ()> {
        let known = self.by_total.get(&total).or(self.by_key.get(&key).filter(|_| key > 0));
        let pays =
            total <= self.deposit && price <= total && (0..price).all(|below| !self.charged.contains(&(total - below)));
        match known {
            Some(receipt) if receipt.price < price => Err(()),
            Some(receipt) if key > 0 && self.by_key.get(&key) != Some(receipt) => Err(()),
            Some(receipt) => Ok(Some(*receipt)),
            None if pays => Ok(None),
            None => Err(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_does_as_the_model_whatever_comes_and_also_when_it_starts_again(steps in prop::collection::vec(step(), 1..80)) {
        let mut chain = channel(60);
        let rules = Rules { least_deposit: 0, ..rules() };
        let mut payee = Payee::new(domain(), rules);
        let mut file: Vec<Record> = payee.observe(chain, AT).unwrap();
        let mut model = Model { deposit: 60, ..Model::default() };
        for step in steps {
            match step {
                Step::Deposit(deposit) => chain.deposit = chain.deposit.max(deposit),
                Step::Settle(settled) => {
                    // No more than the largest voucher.
                    let most = model.by_total.last_key_value().map_or(0, |(total, _)| *total);
                    chain.settled = chain.settled.max(settled.min(most));
                }
                Step::Restart { anew } => {
                    if anew {
                        file = payee.accounts().flat_map(|(id, account)| Record::all_of(id, account)).collect();
                    }
                    payee = Payee::new(domain(), rules);
                    // What was in the file already may be written once more: it changes nothing.
                    let tail: Vec<Record> = file.iter().rev().take(3).rev().filter(|r| matches!(r, Record::Taken(_))).cloned().collect();
                    let all = file.iter().cloned().chain(tail);
                    all.map(|record| Record::decode(&record.encode()).unwrap()).for_each(|record| payee.replay(record));
                }
                Step::Pay { total, price, key } => {
                    let name = if key == 0 { String::new() } else { key.to_string() };
                    let got = pay(&mut payee, offer(total, price, &name));
                    match model.expect(total, price, key) {
                        Ok(Some(receipt)) => prop_assert_eq!(got, Ok((false, receipt))),
                        Err(()) => prop_assert!(got.is_err()),
                        Ok(None) => {
                            let (new, receipt) = got.unwrap();
                            prop_assert!(new);
                            model.charged.extend((0..price).map(|below| total - below));
                            model.by_total.insert(total, receipt);
                            if key > 0 { model.by_key.insert(key, receipt); }
                            prop_assert_eq!(receipt.charged, model.charged.len() as u128);
                            prop_assert!(receipt.charged <= receipt.highest, "all that was charged is held");
                            let account = payee.account(ID).unwrap();
                            file.push(Record::Taken(account.taken.iter().last().unwrap().clone()));
                        }
                    }
                }
            }
            model.deposit = chain.deposit;
            payee.observe(chain, AT).unwrap();
            let best = model.by_total.last_key_value().map(|(total, _)| *total);
            prop_assert_eq!(payee.account(ID).unwrap().best.as_ref().map(|(total, _)| *total), best);
        }
    }
}

#[derive(Clone, Debug)]
enum LockStep {
    Pay {
        total: u128,
        price: u128,
    },
    Hold {
        base: u128,
        locked: u128,
        secret: u8,
    },
    Open {
        secret: u8,
    },
    /// The chain goes on by ten minutes.
    Advance,
    Restart {
        anew: bool,
    },
}

fn lock_step() -> impl Strategy<Value = LockStep> {
    prop_oneof![
        4 => (1u128..60, 1u128..12).prop_map(|(total, price)| LockStep::Pay { total, price }),
        4 => (0u128..50, 1u128..12, 0u8..4).prop_map(|(base, locked, secret)| LockStep::Hold { base, locked, secret }),
        2 => (0u8..4).prop_map(|secret| LockStep::Open { secret }),
        2 => Just(LockStep::Advance),
        1 => any::<bool>().prop_map(|anew| LockStep::Restart { anew }),
    ]
}

/// Single units: charged, or held for a lock; and each lock's expiry and whether it was opened.
#[derive(Default)]
struct LockModel {
    charged: BTreeSet<u128>,
    held: BTreeMap<u128, u8>,
    locks: BTreeMap<u8, (u64, bool)>,
    paid: BTreeSet<u128>,
}

impl LockModel {
    fn is_free(&self, above: u128, up_to: u128, own: Option<u8>) -> bool {
        let free = |unit| !self.charged.contains(&unit) && self.held.get(&unit).is_none_or(|by| Some(*by) == own);
        (above + 1..=up_to).all(free)
    }

    fn release(&mut self, secret: u8) {
        self.held.retain(|_, by| *by != secret);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn each_unit_is_charged_held_or_free_whatever_locks_and_vouchers_come(steps in prop::collection::vec(lock_step(), 1..80)) {
        let rules = Rules { least_deposit: 0, ..rules() };
        let mut payee = Payee::new(domain(), rules);
        let mut file = payee.observe(channel(60), AT).unwrap();
        let (mut model, mut at) = (LockModel::default(), AT);
        let secret_of = |secret: u8| B256::repeat_byte(secret + 1);
        for step in steps {
            let now = at.unix_s;
            match step {
                LockStep::Pay { total, price } => {
                    if model.paid.contains(&total) { continue; }
                    let pays = price <= total && model.is_free(total - price, total, None);
                    let got = pay_at(&mut payee, offer(total, price, ""), now);
                    prop_assert_eq!(got.is_ok(), pays, "{:?}", got);
                    if pays {
                        model.charged.extend(total - price + 1..=total);
                        model.paid.insert(total);
                        file.push(Record::Taken(payee.account(ID).unwrap().taken.iter().last().unwrap().clone()));
                    }
                }
                LockStep::Hold { base, locked, secret } => {
                    let voucher = LockedVoucher {
                        channel_id: ID,
                        cumulative_amount: base,
                        locked_amount: locked,
                        sha256_hash: sha256(secret_of(secret)),
                        lock_expiry: now + CLAIM_MARGIN_S + 900,
                    };
                    let voucher = voucher.sign(&domain(), &payer());
                    let request = B256::ZERO;
                    let offer = LockOffer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: 1, request };
                    let was_opened = model.locks.get(&secret).is_some_and(|(_, opened)| *opened);
                    let holds = !was_opened && base + locked <= 60 && model.is_free(base, base + locked, Some(secret));
                    let got = payee.examine_lock(&offer, now).and_then(LockCheck::verify);
                    let got = got.and_then(|verified| payee.accept_lock(verified, 1, now));
                    prop_assert_eq!(got.is_ok(), holds, "{:?}", got);
                    if holds {
                        file.push(got.unwrap());
                        model.release(secret);
                        model.held.extend((base + 1..=base + locked).map(|unit| (unit, secret)));
                        model.locks.insert(secret, (now + CLAIM_MARGIN_S + 900, false));
                    }
                    // What was opened and is worth nothing more may have been forgotten, with its hash.
                    let kept: BTreeSet<B256> = payee.account(ID).unwrap().locks.iter().map(|lock| lock.voucher.sha256_hash).collect();
                    model.locks.retain(|secret, (_, opened)| !*opened || kept.contains(&sha256(secret_of(*secret))));
                }
                LockStep::Open { secret } => {
                    let got = payee.open_lock(ID, sha256(secret_of(secret)), secret_of(secret), now);
                    let Some((expiry, opened)) = model.locks.get_mut(&secret) else {
                        prop_assert!(got.is_err());
                        continue;
                    };
                    prop_assert!(*opened || now < *expiry);
                    if !*opened && now + OPEN_MARGIN_S > *expiry {
                        let least = now + OPEN_MARGIN_S;
                        prop_assert_eq!(got, Err(Refused::LockTooShort { expiry: *expiry, least }));
                        continue;
                    }
                    let got = got.unwrap();
                    prop_assert_eq!(got.record.is_some(), !*opened);
                    *opened = true;
                    let units: Vec<u128> = model.held.iter().filter(|(_, by)| **by == secret).map(|(unit, _)| *unit).collect();
                    model.charged.extend(units);
                    model.release(secret);
                    file.extend(got.record);
                }
                LockStep::Advance => {
                    at = SeenAt { block: at.block + 1, unix_s: at.unix_s + 600 };
                    let dropped = payee.advance(at);
                    let expired: Vec<u8> = model.locks.iter().filter(|(_, (expiry, opened))| !opened && *expiry <= at.unix_s).map(|(secret, _)| *secret).collect();
                    prop_assert_eq!(dropped.len(), expired.len());
                    file.extend(dropped);
                    for secret in expired {
                        model.locks.remove(&secret);
                        model.release(secret);
                    }
                }
                LockStep::Restart { anew } => {
                    if anew {
                        let tail: Vec<Record> = file.iter().rev().take(4).rev().filter(|record| !matches!(record, Record::Admitted { .. } | Record::Kept { .. } | Record::KeptLock(_) | Record::Remembered(_))).cloned().collect();
                        file = Record::all_of(ID, payee.account(ID).unwrap());
                        file.extend(tail);
                    }
                    let before = payee.account(ID).unwrap().clone();
                    payee = Payee::new(domain(), rules);
                    file.iter().map(|record| Record::decode(&record.encode()).unwrap()).for_each(|record| payee.replay(record));
                    payee.observe(channel(60), at).unwrap();
                    let after = payee.account(ID).unwrap();
                    prop_assert_eq!((&after.free, after.charged), (&before.free, before.charged));
                    // Locks that were opened and overtaken may be gone, or there again: they are worth nothing.
                    let best = before.best_beside_locks();
                    let needed = |account: &Account| -> BTreeSet<B256> {
                        let needed = account.locks.iter().filter(|lock| lock.opened.is_none() || lock.total() > best);
                        needed.map(|lock| lock.voucher.sha256_hash).collect()
                    };
                    prop_assert_eq!(needed(after), needed(&before));
                    for secret in 0..4 {
                        let hash = sha256(secret_of(secret));
                        match after.locks.iter().find(|lock| lock.voucher.sha256_hash == hash) {
                            Some(lock) => { model.locks.entry(secret).or_insert((lock.voucher.lock_expiry, true)); }
                            None => { model.locks.remove(&secret); }
                        }
                    }
                }
            }
            prop_assert_eq!(payee.account(ID).unwrap().charged, model.charged.len() as u128);
        }
    }
}
