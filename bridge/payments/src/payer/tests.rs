//! The payer: stories, and payer and payee against each other.

use std::convert::Infallible;

use alloy_primitives::keccak256;
use proptest::prelude::*;

use super::*;
use crate::account_signature::address_of;
use crate::channel::{Closing, SeenAt};
use crate::merkle::Tree;
use crate::payee::{Accepted, Examined, Offer, Payee, Rules};
use crate::receipt::sign_tree;

const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const ID: B256 = B256::repeat_byte(7);
const NOW: u64 = 1_700_000_000;

fn domain() -> Domain {
    Domain::new(CHAIN_ID, CONTRACT)
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

fn payee_key() -> SecretKey {
    key(2)
}

fn channel(deposit: u128, settled: u128) -> Channel {
    Channel { settled, ..Channel::opened(ID, address_of(&payee_key()), Address::ZERO, address_of(&key(1)), deposit) }
}

fn limits() -> Limits {
    Limits { period_s: 1_000, in_all: 10_000, each: 10_000, endpoints: BTreeMap::new() }
}

fn payer(deposit: u128) -> Payer {
    let mut payer = Payer::new(domain(), limits());
    payer.observe(channel(deposit, 0), address_of(&payee_key())).unwrap();
    payer
}

fn request(name: &str) -> B256 {
    keccak256(name)
}

fn voucher(planned: Planned) -> SignedVoucher {
    planned.kept(|_| Ok::<(), Infallible>(())).unwrap().sign(&domain(), &key(1))
}

fn plan(payer: &mut Payer, price: u128, name: &str) -> Result<SignedVoucher, PayRefused> {
    payer.plan(ID, "api", price, request(name), NOW).map(voucher)
}

fn payee(deposit: u128) -> Payee {
    let payee = address_of(&payee_key());
    let rules =
        Rules { payee, token: Address::ZERO, least_deposit: 0, confirmations: 0, max_age_s: 600, splits: false };
    let mut machine = Payee::new(domain(), rules);
    machine.observe(channel(deposit, 0), SeenAt { block: 1, unix_s: NOW }).unwrap();
    machine
}

/// The payee's answer to a request.
fn ask(payee: &mut Payee, voucher: SignedVoucher, price: u128, name: &str) -> SignedReceipt {
    let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price, request: request(name) };
    let receipt = match payee.examine(offer, NOW).unwrap() {
        Examined::Known(receipt) => receipt,
        Examined::Check(check) => match payee.accept(check.verify().unwrap(), NOW).unwrap() {
            Accepted::New(taken) => taken.receipt,
            Accepted::Known(receipt) => receipt,
        },
    };
    receipt.sign(&domain(), &payee_key())
}

#[test]
fn totals_grow_with_every_request_and_one_that_was_not_answered_is_sent_again_as_it_was() {
    let mut payer = payer(100);
    let first = plan(&mut payer, 10, "a").unwrap();
    let second = plan(&mut payer, 20, "b").unwrap();
    assert_eq!((first.voucher.cumulative_amount, second.voucher.cumulative_amount), (10, 30));
    assert_eq!(plan(&mut payer, 10, "a"), Ok(first));
    assert!(matches!(plan(&mut payer, 11, "a"), Err(PayRefused::OtherRequest { got: 11, want: 10, .. })));
    assert_eq!(plan(&mut payer, 71, "c"), Err(PayRefused::BeyondDeposit { got: 101, deposit: 100 }));
    assert_eq!(plan(&mut payer, 0, "c"), Err(PayRefused::Price { price: 0 }));
    assert_eq!(payer.plan(ID, "api", 1, B256::ZERO, NOW), Err(PayRefused::NoKey));
    let closing = Some(Closing { from_unix_s: 0, from_block: 0 });
    payer.observe(Channel { closing, ..channel(100, 0) }, Address::ZERO).unwrap();
    assert_eq!(plan(&mut payer, 10, "c"), Err(PayRefused::Closing { id: ID }));
}

#[test]
fn what_was_promised_can_be_said_again_or_less_and_nothing_more() {
    let mut payer = payer(100);
    let voucher = plan(&mut payer, 30, "a").unwrap();
    assert_eq!(payer.again(ID, 30, &key(1)), Some(voucher));
    assert_eq!(payer.again(ID, 12, &key(1)).map(|less| less.voucher.cumulative_amount), Some(12));
    assert_eq!(payer.again(ID, 31, &key(1)), None);
    assert_eq!(payer.standing(ID).unwrap().signed, 30);
}

#[test]
fn a_plan_that_could_not_be_written_down_is_never_signed() {
    let mut payer = payer(100);
    let planned = payer.plan(ID, "api", 10, request("a"), NOW).unwrap();
    assert_eq!(planned.kept(|_| Err("the disk is full")), Err("the disk is full"));
    assert_eq!(plan(&mut payer, 10, "b").unwrap().voucher.cumulative_amount, 20, "nor is its total used again");
}

#[test]
fn requests_that_nobody_answers_have_a_bound_and_can_be_given_up() {
    let mut payer = payer(10_000);
    for number in 0..MAX_UNANSWERED {
        plan(&mut payer, 1, &number.to_string()).unwrap();
    }
    assert_eq!(plan(&mut payer, 1, "x"), Err(PayRefused::TooManyUnanswered { id: ID, most: MAX_UNANSWERED }));
    assert!(payer.give_up(ID, request("0")).is_some() && payer.give_up(ID, request("0")).is_none());
    assert!(plan(&mut payer, 1, "x").is_ok());
}

#[test]
fn a_receipt_counts_only_if_it_is_the_payees_and_over_what_was_promised() {
    let (mut payer, mut payee) = (payer(100), payee(100));
    let voucher = plan(&mut payer, 10, "a").unwrap();
    let right = ask(&mut payee, voucher, 10, "a");
    let forged = right.receipt.sign(&domain(), &key(9));
    assert!(matches!(payer.answer(forged), Err(EvidenceRefused::NotThePayee { .. })));
    let dear = crate::receipt::Receipt { price: 11, ..right.receipt }.sign(&domain(), &payee_key());
    assert_eq!(payer.answer(dear), Err(EvidenceRefused::Overcharged { got: 11, want: 10 }));
    let other = crate::receipt::Receipt { cumulative_amount: 9, ..right.receipt }.sign(&domain(), &payee_key());
    assert_eq!(payer.answer(other), Err(EvidenceRefused::OtherTotal { got: 9, want: 10 }));
    assert_eq!(payer.answer(right.clone()), Ok(Record::Answered(right.clone())));
    assert_eq!(payer.unanswered(ID).count(), 0);
    assert!(matches!(payer.answer(right), Err(EvidenceRefused::NotAsked { .. })));
}

#[test]
fn receipts_under_one_signature_each_answer_their_own_request() {
    let (mut payer, mut payee) = (payer(100), payee(100));
    let vouchers = ["a", "b", "c"].map(|name| (name, plan(&mut payer, 10, name).unwrap()));
    let receipts = vouchers.map(|(name, voucher)| ask(&mut payee, voucher, 10, name).receipt);
    let tree = Tree::of(receipts.iter().map(|receipt| receipt.leaf()).collect()).unwrap();
    let signature = sign_tree(&tree, &domain(), &payee_key());
    let signed = |index: usize, path| SignedReceipt { receipt: receipts[index], path, signature: signature.clone() };
    let wrong = payer.answer(signed(0, tree.path(1)));
    assert!(matches!(wrong, Err(EvidenceRefused::NotThePayee { .. })), "{wrong:?}");
    let mut file = Vec::new();
    for index in 0..3 {
        file.push(payer.answer(signed(index, tree.path(index))).unwrap());
    }
    assert_eq!(payer.unanswered(ID).count(), 0);
    assert!(file.iter().all(|record| Record::decode(&record.encode()).as_ref() == Some(record)));
}

#[test]
fn a_payee_that_claims_more_than_it_confirmed_is_shown_by_its_last_receipt() {
    let (mut payer, mut payee) = (payer(100), payee(100));
    let voucher = plan(&mut payer, 10, "a").unwrap();
    payer.answer(ask(&mut payee, voucher, 10, "a")).unwrap();
    plan(&mut payer, 20, "b").unwrap();
    plan(&mut payer, 5, "c").unwrap();
    payer.give_up(ID, request("c")).unwrap();
    let settle = |payer: &mut Payer, settled| payer.observe(channel(100, settled), address_of(&payee_key())).unwrap();
    settle(&mut payer, 35);
    assert_eq!(payer.overclaim(ID), Some(0), "it may have taken what it did not answer");
    // The answer to b comes: it was charged 10 for it, and 35 were settled.
    let cheap = crate::receipt::Receipt {
        cumulative_amount: 30,
        price: 10,
        charged: 20,
        highest: 35,
        request: request("b"),
        ..payer.standing(ID).unwrap().receipt.as_ref().unwrap().receipt
    };
    payer.answer(cheap.sign(&domain(), &payee_key())).unwrap();
    assert_eq!(payer.overclaim(ID), Some(10));
}

#[test]
fn a_lost_file_is_made_good_by_the_chain_by_a_receipt_or_by_a_voucher_of_our_own() {
    let (mut payer_before, mut payee) = (payer(100), payee(100));
    let voucher = plan(&mut payer_before, 10, "a").unwrap();
    let receipt = ask(&mut payee, voucher, 10, "a");
    let last = plan(&mut payer_before, 30, "b").unwrap();

    let mut by_chain = Payer::new(domain(), limits());
    by_chain.observe(channel(100, 25), address_of(&payee_key())).unwrap();
    assert_eq!(plan(&mut by_chain, 1, "c").unwrap().voucher.cumulative_amount, 26);

    let mut by_receipt = payer(100);
    by_receipt.recover(receipt).unwrap();
    assert_eq!(plan(&mut by_receipt, 1, "c").unwrap().voucher.cumulative_amount, 11);

    let mut by_voucher = payer(100);
    by_voucher.recall(&last).unwrap();
    assert_eq!(plan(&mut by_voucher, 1, "c").unwrap().voucher.cumulative_amount, 41);
    let forged = Voucher { channel_id: ID, cumulative_amount: 99 }.sign(&domain(), &key(9));
    assert!(matches!(by_voucher.recall(&forged), Err(EvidenceRefused::NotOurs { .. })));
}

#[derive(Clone, Debug)]
enum Step {
    Plan {
        price: u128,
        name: u8,
    },
    /// A request arrives, and its answer comes back or is lost.
    Arrive {
        index: usize,
        answered: bool,
    },
    GiveUp {
        index: usize,
    },
    /// The payer is killed, and reads its file: as it was appended, or written anew.
    Restart {
        anew: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u128..9, 0u8..40).prop_map(|(price, name)| Step::Plan { price, name }),
        4 => (0usize..20, any::<bool>()).prop_map(|(index, answered)| Step::Arrive { index, answered }),
        1 => (0usize..20).prop_map(|index| Step::GiveUp { index }),
        1 => any::<bool>().prop_map(|anew| Step::Restart { anew }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // However requests overtake each other, are lost or sent again, and however often the payer is killed: the payee takes each exactly once, no total is
    // signed twice, and the limit holds.
    #[test]
    fn a_payee_takes_every_request_of_a_payer_once(steps in prop::collection::vec(step(), 1..80)) {
        let (mut payer, mut payee) = (payer(150), payee(150));
        let mut file: Vec<Record> = Vec::new();
        // What was ever signed: total to request.
        let mut signed: BTreeMap<u128, (B256, u128)> = BTreeMap::new();
        let mut taken: BTreeMap<B256, u128> = BTreeMap::new();
        let mut answered: BTreeMap<B256, ()> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Plan { price, name } => {
                    let name = request(&name.to_string());
                    // Whoever has an answer does not ask again.
                    if answered.contains_key(&name) { continue; }
                    let Ok(planned) = payer.plan(ID, "api", price, name, NOW) else { continue };
                    let promise = planned.kept(|record| { file.push(record.clone()); Ok::<(), Infallible>(()) }).unwrap();
                    let before = signed.insert(promise.payment().total, (name, price));
                    prop_assert!(before.is_none_or(|before| before == (name, price)), "a total was signed for two");
                }
                Step::Arrive { index, answered: comes } => {
                    let Some(payment) = payer.unanswered(ID).nth(index).cloned() else { continue };
                    let voucher = payer.plan(ID, "api", payment.price, payment.request, NOW).map(voucher).unwrap();
                    let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: payment.price, request: payment.request };
                    let receipt = match payee.examine(offer, NOW).unwrap() {
                        Examined::Known(receipt) => receipt,
                        Examined::Check(check) => match payee.accept(check.verify().unwrap(), NOW).unwrap() {
                            Accepted::New(new) => {
                                prop_assert_eq!(taken.insert(payment.request, payment.price), None);
                                new.receipt
                            }
                            Accepted::Known(receipt) => receipt,
                        },
                    };
                    let sum: u128 = taken.values().sum();
                    prop_assert!(receipt.charged <= sum);
                    if comes && receipt.cumulative_amount == payment.total {
                        file.push(payer.answer(receipt.sign(&domain(), &payee_key())).unwrap());
                        answered.insert(payment.request, ());
                    }
                }
                Step::GiveUp { index } => {
                    let Some(payment) = payer.unanswered(ID).nth(index).cloned() else { continue };
                    file.extend(payer.give_up(ID, payment.request));
                    answered.insert(payment.request, ());
                }
                Step::Restart { anew } => {
                    if anew { file = payer.records(); }
                    let mut next = Payer::new(domain(), limits());
                    file.iter().map(|record| Record::decode(&record.encode()).unwrap()).for_each(|record| next.replay(record));
                    next.observe(channel(150, 0), address_of(&payee_key())).unwrap();
                    prop_assert_eq!(&next.channels, &payer.channels);
                    prop_assert_eq!(&next.spent, &payer.spent);
                    payer = next;
                }
            }
        }
        let charged: u128 = taken.values().sum();
        prop_assert!(charged <= payer.standing(ID).unwrap().signed);
    }
}
