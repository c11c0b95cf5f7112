//! A payee with its file and many requests at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};

use alloy_primitives::{Address, B256, keccak256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{Answer, ContractSigners, DurablePayee, PayeeError, Unanswered};
use payments::payee::questions::Question;
use payments::payee::{Offer, Refused, Rules};
use payments::typed_data::Domain;
use payments::voucher::{SignedVoucher, Voucher};
use secp256k1::SecretKey;

const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const ID: B256 = B256::repeat_byte(7);
const PRICE: u128 = 10;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).expect("a key")
}

fn domain() -> Domain {
    Domain::new(CHAIN_ID, CONTRACT)
}

fn payee(directory: &std::path::Path) -> DurablePayee {
    let (payee, token) = (address_of(&key(2)), Address::ZERO);
    let rules = Rules { payee, token, least_deposit: 0, confirmations: 0, max_age_s: 600, splits: false };
    let payee = DurablePayee::open(directory, domain(), rules, key(2)).expect("a payee");
    let channel = Channel::opened(ID, address_of(&key(2)), token, address_of(&key(1)), 1_000_000);
    payee.observe(channel, SeenAt { block: 1, unix_s: 0 }).expect("it is taken");
    payee
}

fn offer(number: u128) -> Offer {
    let voucher = Voucher { channel_id: ID, cumulative_amount: PRICE * number }.sign(&domain(), &key(1));
    Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: PRICE, request: keccak256(number.to_be_bytes()) }
}

#[test]
fn sixty_four_in_flight_on_one_channel_are_each_taken_once_in_whatever_order_and_share_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let payee = Arc::new(payee(directory.path()));
    // Each thread has every 64th number, and sends each request twice, as after a lost answer. None is a round ahead of another: a payer has no more in flight.
    let round_ends = Arc::new(Barrier::new(64));
    let threads: Vec<_> = (1..=64_u128)
        .map(|first| {
            let (payee, round_ends) = (payee.clone(), round_ends.clone());
            std::thread::spawn(move || {
                let ask = |number| payee.accept(offer(number), 0).and_then(Answer::wait);
                let in_round = |round: u128| {
                    let number = first + 64 * round;
                    let both = [ask(number), ask(number)];
                    round_ends.wait();
                    both.map(Result::unwrap)
                };
                (0..20).map(in_round).collect::<Vec<_>>()
            })
        })
        .collect();
    let receipts: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(receipts.iter().all(|[first, again]| first.receipt == again.receipt), "the second is the first");
    let signer = Some(address_of(&key(2)));
    assert!(
        receipts.iter().flatten().all(|signed| signed.signer(&domain()) == signer),
        "each is shown by its own path"
    );
    let charged: BTreeSet<u128> = receipts.iter().map(|[first, _]| first.receipt.charged).collect();
    let want: BTreeSet<u128> = (1..=1_280).map(|number| PRICE * number).collect();
    assert_eq!(charged, want, "each was charged once");
    assert!(payee.syncs() < 1_280, "{} syncs for 1,280 payments", payee.syncs());
    assert!(payee.signatures() < 1_280, "{} signatures for 2,560 receipts", payee.signatures());
}

#[test]
fn what_goes_to_disk_together_is_signed_once_and_what_nobody_asks_for_is_not_signed() {
    let directory = tempfile::tempdir().unwrap();
    let payee = payee(directory.path());
    let answers: Vec<_> =
        payee.accept_many((1..=2_000).map(offer).collect(), 0).into_iter().map(Result::unwrap).collect();
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for (index, answer) in answers.into_iter().enumerate() {
        if index % 2 == 0 { wanted.push(answer) } else { unwanted.push(answer) }
    }
    drop(unwanted);
    let last = wanted.pop().unwrap().wait().unwrap();
    let signed: Vec<_> = wanted.into_iter().map(|answer| answer.wait().unwrap()).chain([last]).collect();
    let signer = Some(address_of(&key(2)));
    assert!(signed.iter().all(|signed| signed.signer(&domain()) == signer && signed.path.len() <= 10));
    assert!(payee.signatures() <= 2, "{} signatures for 1,000 receipts", payee.signatures());
    // Alone it is a tree of one.
    let alone = payee.accept(offer(3_000), 0).and_then(Answer::wait).unwrap();
    assert_eq!((alone.path.len(), alone.signer(&domain())), (0, signer));
    let moved = payments::receipt::SignedReceipt { path: signed[0].path.clone(), ..alone };
    assert_ne!(moved.signer(&domain()), signer, "a path is of one leaf");
}

#[test]
fn a_batch_on_all_cores_is_answered_in_its_order_and_its_bad_ones_alone_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let payee = payee(directory.path());
    let mut offers: Vec<_> = (1..=100).map(offer).collect();
    offers[30].voucher.signature = offers[31].voucher.signature.clone();
    offers[60].chain_id = 1;
    let answers = payee.accept_many(offers, 0);
    for (index, answer) in answers.into_iter().enumerate() {
        let total = PRICE * (index as u128 + 1);
        match (index, answer) {
            (30, Err(PayeeError::Refused(Refused::NotTheSigner { .. })))
            | (60, Err(PayeeError::Refused(Refused::WrongChain { .. }))) => {}
            (_, Ok(answer)) => assert_eq!(answer.wait().unwrap().receipt.cumulative_amount, total),
            (_, Err(error)) => panic!("{index}: {error}"),
        }
    }
    drop(payee);
    // The next process answers the same, and takes what was refused for its signature.
    let payee = self::payee(directory.path());
    let charged = |number| payee.accept(offer(number), 0).and_then(Answer::wait).unwrap().receipt.charged;
    assert_eq!([charged(1), charged(100), charged(31)], [PRICE, PRICE * 98, PRICE * 99]);
}

#[test]
fn a_directory_has_one_payee() {
    let directory = tempfile::tempdir().unwrap();
    let _first = payee(directory.path());
    let rules = Rules {
        payee: Address::ZERO,
        token: Address::ZERO,
        least_deposit: 0,
        confirmations: 0,
        max_age_s: 0,
        splits: false,
    };
    let second = DurablePayee::open(directory.path(), domain(), rules, key(2));
    assert!(second.is_err());
}

/// A wallet contract that needs long for its answer.
struct Slow {
    asked: AtomicUsize,
    answers: AtomicBool,
}

impl ContractSigners for Slow {
    async fn is_valid(&self, question: &Question) -> Result<bool, Unanswered> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if self.answers.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(question.signature[..] == *b"mine")
    }
}

#[test]
fn while_a_contract_is_asked_for_its_signature_others_are_served_and_it_is_asked_once() {
    let directory = tempfile::tempdir().unwrap();
    let payee = payee(directory.path());
    let other = B256::repeat_byte(8);
    let channel = Channel {
        id: other,
        payee: address_of(&key(2)),
        token: Address::ZERO,
        signer: Address::repeat_byte(0xcc),
        signer_has_code: true,
        deposit: 1_000_000,
        settled: 0,
        has_splits: false,
        closing: None,
        finalized: false,
    };
    payee.observe(channel, SeenAt { block: 1, unix_s: 0 }).unwrap();
    let signed = |total, signature: &'static [u8]| {
        let voucher = Voucher { channel_id: other, cumulative_amount: total };
        let voucher = SignedVoucher { voucher, signature: signature.into() };
        Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: PRICE, request: B256::ZERO }
    };
    let chain = Slow { asked: AtomicUsize::new(0), answers: AtomicBool::new(false) };
    let mut context = Context::from_waker(Waker::noop());
    let mut asking: Vec<_> =
        (1..=8).map(|number| Box::pin(payee.accept_asking(signed(10 * number, b"mine"), 0, &chain))).collect();
    assert!(asking.iter_mut().all(|asking| asking.as_mut().poll(&mut context).is_pending()));
    let ninth = Box::pin(payee.accept_asking(signed(90, b"mine"), 0, &chain)).as_mut().poll(&mut context);
    assert!(matches!(ninth, Poll::Ready(Err(PayeeError::Refused(Refused::Busy { asked: 8, .. })))));
    payee.accept(offer(1), 0).and_then(Answer::wait).expect("others wait for none of it");
    // One is given up: there is room again.
    drop(asking.pop());
    asking.push(Box::pin(payee.accept_asking(signed(80, b"forged"), 0, &chain)));
    assert!(asking[7].as_mut().poll(&mut context).is_pending());
    chain.answers.store(true, Ordering::SeqCst);
    let mut ends = asking.iter_mut().map(|asking| match asking.as_mut().poll(&mut context) {
        Poll::Ready(end) => end,
        Poll::Pending => panic!("it was answered"),
    });
    for number in 1..=7 {
        let receipt = ends.next().unwrap().and_then(Answer::wait).unwrap().receipt;
        assert_eq!((receipt.cumulative_amount, receipt.charged), (10 * number, 10 * number));
    }
    assert!(matches!(ends.next(), Some(Err(PayeeError::Refused(Refused::NotTheSigner { .. })))));
    let asked = chain.asked.load(Ordering::SeqCst);
    let again = Box::pin(payee.accept_asking(signed(80, b"forged"), 0, &chain)).as_mut().poll(&mut context);
    assert!(matches!(again, Poll::Ready(Err(PayeeError::Refused(Refused::NotTheSigner { .. })))));
    assert_eq!(chain.asked.load(Ordering::SeqCst), asked, "the answer is known");
}
