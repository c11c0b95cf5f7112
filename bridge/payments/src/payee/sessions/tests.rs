//! Sessions: stories, and a naive model.

use alloy_primitives::{Address, Bytes, keccak256};
use proptest::prelude::*;
use secp256k1::SecretKey;

use super::*;
use crate::account_signature::address_of;
use crate::channel::{Channel, Closing, SeenAt};
use crate::payee::claims::Reason;
use crate::payee::prepaid::MOST_PAID;
use crate::payee::streams::StreamOffer;
use crate::payee::{Rules, claims};
use crate::stream::{SignedStream, StreamTerms, chain};
use crate::typed_data::Domain;
use crate::voucher::Voucher;

const CONTRACT: Address = Address::repeat_byte(5);
const PAYEE: Address = Address::repeat_byte(6);
const ID: B256 = B256::repeat_byte(7);
const NOW: u64 = 1_700_000_000;
const AT: SeenAt = SeenAt { block: 10, unix_s: NOW };
const NONE: B256 = B256::ZERO;

fn domain() -> Domain {
    Domain::new(51_717, CONTRACT)
}

fn payer() -> SecretKey {
    SecretKey::from_slice(&[9; 32]).unwrap()
}

fn channel(deposit: u128) -> Channel {
    Channel::opened(ID, PAYEE, Address::ZERO, address_of(&payer()), deposit)
}

fn payee(deposit: u128) -> Payee {
    let token = Address::ZERO;
    let rules = Rules { payee: PAYEE, token, least_deposit: 100, confirmations: 0, max_age_s: 600, splits: false };
    let mut payee = Payee::new(domain(), rules);
    payee.observe(channel(deposit), AT).unwrap();
    payee
}

fn signed(total: u128) -> SignedVoucher {
    Voucher { channel_id: ID, cumulative_amount: total }.sign(&domain(), &payer())
}

fn credit(payee: &mut Payee, voucher: &SignedVoucher, least: u128) -> Result<Option<Record>, Refused> {
    let verified = payee.examine_credit(voucher, least, NOW)?.verify()?;
    payee.accept_credit(verified, NOW)
}

fn spend(payee: &mut Payee, amount: u128, request: B256) {
    drop(payee.spend(ID, 0, amount, request, NOW).unwrap());
}

fn standing(payee: &Payee) -> (u128, u128, u128) {
    let balance = payee.balance(ID).unwrap();
    (balance.accepted, balance.spent, balance.available)
}

fn stream(cumulative_amount: u128, tick_amount: u128, ticks: u32) -> (SignedStream, Vec<B256>) {
    let hashes = chain(B256::repeat_byte(3), ticks);
    let terms = StreamTerms { channel_id: ID, cumulative_amount, tick_amount, ticks, root: hashes[0] };
    (terms.sign(&domain(), &payer()), hashes)
}

fn open_stream(payee: &mut Payee, stream: &SignedStream) -> Record {
    let offer = StreamOffer { chain_id: 51_717, contract: CONTRACT, stream: stream.clone() };
    let verified = payee.examine_stream(&offer, NOW).unwrap().verify().unwrap();
    payee.accept_stream(verified).unwrap()
}

#[test]
fn what_was_paid_ahead_is_spent_by_requests_and_nothing_more() {
    let mut payee = payee(1_000);
    assert!(credit(&mut payee, &signed(50), 0).unwrap().is_some());
    assert_eq!(standing(&payee), (50, 0, 50));
    payee.reserve(ID, 30, NOW).unwrap();
    assert_eq!(payee.reserve(ID, 21, NOW), Err(Refused::Insufficient { available: 20, want: 21 }));
    let spent = payee.spend(ID, 30, 30, NONE, NOW).unwrap();
    assert_eq!((spent.receipt.charged, spent.receipt.highest), (30, 50));
    assert_eq!(standing(&payee), (50, 30, 20));
    assert_eq!(payee.spend(ID, 0, 21, NONE, NOW), Err(Refused::Insufficient { available: 20, want: 21 }));
    payee.reserve(ID, 20, NOW).unwrap();
    payee.release(ID, 20);
    assert_eq!(standing(&payee), (50, 30, 20), "what was not given costs nothing");
}

#[test]
fn falling_totals_change_nothing_but_have_to_be_signed_all_the_same() {
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(50), 0).unwrap();
    for total in [50, 20, 0] {
        assert_eq!(credit(&mut payee, &signed(total), 0), Ok(None), "{total}");
    }
    let stranger = SecretKey::from_slice(&[8; 32]).unwrap();
    let forged = Voucher { channel_id: ID, cumulative_amount: 20 }.sign(&domain(), &stranger);
    assert_eq!(credit(&mut payee, &forged, 0), Err(Refused::NotTheSigner { signer: address_of(&payer()) }));
    let elsewhere = Voucher { channel_id: ID, cumulative_amount: 60 }.sign(&Domain::new(1, CONTRACT), &payer());
    assert!(matches!(credit(&mut payee, &elsewhere, 0), Err(Refused::NotTheSigner { .. })));
    assert_eq!(credit(&mut payee, &signed(1_001), 0), Err(Refused::BeyondDeposit { got: 1_001, deposit: 1_000 }));
    assert_eq!(credit(&mut payee, &signed(59), 10), Err(Refused::SmallDelta { got: 9, least: 10 }));
    assert!(credit(&mut payee, &signed(995), 10).unwrap().is_some());
    assert!(credit(&mut payee, &signed(1_000), 10).unwrap().is_some(), "the rest may be small");
    assert_eq!(standing(&payee), (1_000, 0, 1_000));
}

#[test]
fn what_is_paid_ahead_is_claimed_by_what_is_spent_of_it() {
    let rules = claims::ClaimRules { cost: 10, worth: 100, wait_s: 60 };
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(900), 0).unwrap();
    assert_eq!(payee.due(&rules, NOW + 60), [], "nothing was given for it");
    spend(&mut payee, 99, NONE);
    assert_eq!(payee.due(&rules, NOW + 59), []);
    assert_eq!(payee.due(&rules, NOW + 60)[0].reason, Reason::Waited);
    spend(&mut payee, 1, NONE);
    assert_eq!((payee.due(&rules, NOW)[0].reason, payee.due(&rules, NOW)[0].amount), (Reason::Worth, 900));
}

/// A claim would make public the only voucher by which its payer can show that it asks for something.
#[test]
fn who_paid_all_of_a_deposit_ahead_is_left_to_spend_it() {
    let rules = claims::ClaimRules { cost: 10, worth: 100, wait_s: 60 };
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(1_000), 0).unwrap();
    spend(&mut payee, 999, NONE);
    assert_eq!(payee.due(&rules, NOW + 60 * claims::PATIENCE - 1), []);
    assert_eq!(payee.due(&rules, NOW + 60 * claims::PATIENCE)[0].reason, Reason::Worth, "it does not come back");
    spend(&mut payee, 1, NONE);
    assert_eq!(payee.due(&rules, NOW)[0].amount, 1_000);
    let closing = Some(Closing { from_unix_s: NOW + 60, from_block: 99 });
    let mut payee = self::payee(1_000);
    credit(&mut payee, &signed(1_000), 0).unwrap();
    payee.observe(Channel { closing, ..channel(1_000) }, SeenAt { block: 11, ..AT }).unwrap();
    assert_eq!(payee.due(&rules, NOW)[0].reason, Reason::Closing, "it is its payer who ends it");
}

#[test]
fn a_channel_that_closes_takes_and_gives_nothing() {
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(50), 0).unwrap();
    let closing = Some(Closing { from_unix_s: NOW + 60, from_block: 99 });
    payee.observe(Channel { closing, ..channel(1_000) }, SeenAt { block: 11, ..AT }).unwrap();
    assert_eq!(credit(&mut payee, &signed(60), 0), Err(Refused::Closing { id: ID }));
    assert_eq!(payee.reserve(ID, 1, NOW), Err(Refused::Closing { id: ID }));
    assert_eq!(credit(&mut payee, &signed(50), 0), Ok(None), "the same again is told what it was told before");
    let rules = claims::ClaimRules { cost: 0, worth: u128::MAX, wait_s: u64::MAX };
    assert_eq!(payee.due(&rules, NOW)[0].amount, 50);
}

#[test]
fn ticks_pay_ahead_as_vouchers_do_each_by_one_hash() {
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(50), 0).unwrap();
    let (stream, ticks) = stream(50, 5, 10);
    open_stream(&mut payee, &stream);
    assert_eq!(standing(&payee), (50, 0, 50));
    let taken = payee.credit_ticks(ID, ticks[0], &ticks[1..4], NOW).unwrap();
    assert_eq!((taken.latest, taken.refused, standing(&payee)), (3, None, (65, 0, 65)));
    assert!(taken.record.is_some());
    let again = payee.credit_ticks(ID, ticks[0], &ticks[3..6], NOW).unwrap();
    assert_eq!((again.latest, standing(&payee).0), (5, 75), "the last one may come again in front");
    let wrong = payee.credit_ticks(ID, ticks[0], &[ticks[6], B256::ZERO, ticks[7]], NOW).unwrap();
    assert_eq!(wrong.latest, 6);
    assert!(matches!(wrong.refused, Some(Refused::Tick(TickRefused::WrongTick { .. }))), "{wrong:?}");
    let skipped = payee.credit_ticks(ID, ticks[0], &ticks[8..9], NOW).unwrap();
    assert_eq!((skipped.latest, skipped.record), (6, None));
    spend(&mut payee, 80, NONE);
    assert_eq!(standing(&payee), (80, 80, 0));
    assert_eq!(payee.end(ID, &signed(50)), Err(Refused::ByStream { id: ID, got: 50, spent: 80 }));
    credit(&mut payee, &signed(81), 0).unwrap();
    assert!(payee.end(ID, &signed(80)).unwrap().is_some(), "the payer's last word covers what was spent");
}

#[test]
fn ticks_beyond_the_deposit_are_left_out() {
    let mut payee = payee(100);
    let (stream, ticks) = stream(0, 30, 10);
    open_stream(&mut payee, &stream);
    let taken = payee.credit_ticks(ID, ticks[0], &ticks[1..], NOW).unwrap();
    assert_eq!((taken.latest, taken.refused), (3, Some(Refused::BeyondDeposit { got: 120, deposit: 100 })));
}

#[test]
fn a_channel_ends_with_the_payers_last_word_if_it_covers_what_was_spent() {
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(50), 0).unwrap();
    spend(&mut payee, 30, NONE);
    payee.reserve(ID, 5, NOW).unwrap();
    assert_eq!(payee.end(ID, &signed(30)), Err(Refused::InUse { id: ID }));
    payee.release(ID, 5);
    let total = |voucher: Option<SignedVoucher>| voucher.map(|voucher| voucher.voucher.cumulative_amount);
    assert_eq!(total(payee.end(ID, &signed(29)).unwrap()), Some(50));
    payee.go_on(ID);
    assert_eq!(total(payee.end(ID, &signed(30)).unwrap()), Some(30));
    assert_eq!(payee.reserve(ID, 1, NOW), Err(Refused::Closing { id: ID }));
    assert_eq!(payee.spend(ID, 0, 1, NONE, NOW), Err(Refused::Closing { id: ID }));
}

#[test]
fn what_was_brought_to_the_chain_is_known_to_be_public_also_after_a_start() {
    let mut payee = payee(1_000);
    credit(&mut payee, &signed(90), 0).unwrap();
    let mut file = vec![Record::Admitted { id: ID, settled: 0 }];
    file.extend([50, 90].map(|total| payee.publish(ID, total).unwrap()));
    let public =
        |payee: &Payee| (0..=100).filter(|total| payee.balance(ID).unwrap().public.has(*total)).collect::<Vec<_>>();
    // What was on its way when 90 was claimed was not claimed itself.
    let want: Vec<u128> = (0..=50).chain([90]).collect();
    assert_eq!(public(&payee), want);
    let anew = Record::all_of(ID, payee.account(ID).unwrap());
    for file in [file, anew] {
        let mut next = Payee::new(domain(), payee.rules);
        file.into_iter().map(|record| Record::decode(&record.encode()).unwrap()).for_each(|record| next.replay(record));
        next.observe(channel(1_000), AT).unwrap();
        assert_eq!(public(&next), want);
    }
    // The chain has what was claimed, and nothing else is learned from that; of what others claimed nobody knows by how many vouchers.
    for (settled, want) in [(90, want), (95, (0..=95).collect())] {
        let seen = SeenAt { block: 11 + u64::try_from(settled).unwrap(), ..AT };
        payee.observe(Channel { settled, ..channel(1_000) }, seen).unwrap();
        assert_eq!(public(&payee), want);
    }
}

#[test]
fn a_request_that_was_paid_is_known_by_its_name_and_of_many_the_last() {
    let mut payee = payee(10_000);
    credit(&mut payee, &signed(1_000), 0).unwrap();
    let name = |number: usize| keccak256(number.to_be_bytes());
    for number in 0..=MOST_PAID {
        spend(&mut payee, 1, name(number));
    }
    assert!(!payee.is_paid(ID, name(0)) && payee.is_paid(ID, name(1)) && payee.is_paid(ID, name(MOST_PAID)));
    assert!(!payee.is_paid(ID, NONE));
}

/// What a payer and its requests do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Credit(u128),
    Tick,
    Spend(u128),
    Named(u128, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u128..400).prop_map(Step::Credit),
        Just(Step::Tick),
        (0u128..60).prop_map(Step::Spend),
        (0u128..60, 0u8..4).prop_map(|(amount, name)| Step::Named(amount, name)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    // The model: two numbers.
    #[test]
    fn accepted_and_spent_are_as_in_the_draft_and_the_file_says_so_twice_over(steps in steps(), cut in 0usize..60) {
        let mut payee = payee(300);
        let (stream, ticks) = stream(0, 7, 40);
        let mut records = vec![Record::Admitted { id: ID, settled: 0 }, open_stream(&mut payee, &stream)];
        let (mut accepted, mut spent, mut ticked) = (0u128, 0u128, 0usize);
        for step in steps {
            match step {
                Step::Credit(total) => {
                    let taken = credit(&mut payee, &signed(total), 0);
                    prop_assert_eq!(taken.is_err(), total > accepted && total > 300);
                    accepted = if total <= 300 { accepted.max(total) } else { accepted };
                    records.extend(taken.ok().flatten());
                }
                Step::Tick if ticked < 40 => {
                    records.extend(payee.credit_ticks(ID, ticks[0], &[ticks[ticked + 1]], NOW).unwrap().record);
                    ticked += 1;
                    accepted = accepted.max(7 * ticked as u128);
                }
                Step::Tick => {}
                Step::Spend(amount) | Step::Named(amount, _) => {
                    let name = if let Step::Named(_, name) = step { keccak256([name]) } else { NONE };
                    let result = payee.spend(ID, 0, amount, name, NOW);
                    prop_assert_eq!(result.is_ok(), amount <= accepted - spent);
                    spent += if result.is_ok() { amount } else { 0 };
                    records.extend(result.map(|spent| spent.record));
                }
            }
            prop_assert_eq!(standing(&payee), (accepted, spent, accepted - spent));
        }
        for record in &records {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
        }
        // Written anew at some moment, with what was appended meanwhile in it twice.
        let mut read = Payee::new(domain(), payee.rules);
        let cut = cut.min(records.len());
        records.iter().for_each(|record| read.replay(record.clone()));
        let kept = Record::all_of(ID, read.account(ID).unwrap());
        kept.into_iter().chain(records[cut..].iter().cloned()).for_each(|record| read.replay(record));
        read.observe(channel(300), AT).unwrap();
        prop_assert_eq!(standing(&read), (accepted, spent, accepted - spent));
    }
}

#[test]
fn a_signature_in_the_other_form_is_none() {
    let mut payee = payee(1_000);
    let mut high = signed(50).signature.to_vec();
    high[32] = 0xff;
    for signature in [high, signed(50).signature[..64].to_vec()] {
        let voucher = SignedVoucher { signature: Bytes::from(signature), ..signed(50) };
        assert!(matches!(credit(&mut payee, &voucher, 0), Err(Refused::BadForm(_))));
    }
}
