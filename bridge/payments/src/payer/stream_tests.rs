//! The payer's streams: stories, and payer and payee against each other and against a set of single units.

use std::collections::BTreeSet;
use std::convert::Infallible;

use alloy_primitives::{b256, keccak256};
use proptest::prelude::*;

use super::streams::{StreamPromise, Tick, TicksPromise};
use super::*;
use crate::account_signature::address_of;
use crate::channel::SeenAt;
use crate::payee::streams::StreamOffer;
use crate::payee::{Accepted, Examined, Offer, Payee, Refused, Rules};
use crate::stream::{MAX_TICKS, SignedStream, StreamTerms, TickRefused, chain_seed};

const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const ID: B256 = B256::repeat_byte(7);
const NOW: u64 = 1_700_000_000;
const DEPOSIT: u128 = 400;
const LIMIT: u128 = 300;

fn domain() -> Domain {
    Domain::new(CHAIN_ID, CONTRACT)
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

fn channel(deposit: u128, settled: u128) -> Channel {
    Channel { settled, ..Channel::opened(ID, address_of(&key(2)), Address::ZERO, address_of(&key(1)), deposit) }
}

fn payer(deposit: u128) -> Payer {
    let limits = Limits { period_s: 1_000, in_all: LIMIT, each: LIMIT, endpoints: BTreeMap::new() };
    let mut payer = Payer::new(domain(), limits);
    payer.observe(channel(deposit, 0), address_of(&key(2))).unwrap();
    payer
}

fn payee(deposit: u128) -> Payee {
    let payee = address_of(&key(2));
    let rules =
        Rules { payee, token: Address::ZERO, least_deposit: 0, confirmations: 0, max_age_s: 600, splits: false };
    let mut machine = Payee::new(domain(), rules);
    machine.observe(channel(deposit, 0), SeenAt { block: 1, unix_s: NOW }).unwrap();
    machine
}

/// A payer with all that its file says.
struct Kept {
    payer: Payer,
    file: Vec<Record>,
    /// How many records the file had when it was written anew.
    anew: usize,
}

impl Kept {
    fn new() -> Self {
        Self { payer: payer(DEPOSIT), file: Vec::new(), anew: 0 }
    }

    fn stream(&mut self, tick_amount: u128, most: u32) -> Result<StreamPromise, PayRefused> {
        let planned = self.payer.plan_stream(ID, "api", tick_amount, most, &key(1))?;
        Ok(planned.kept(write(&mut self.file)).unwrap())
    }

    fn ticks(&mut self, root: B256, count: u32) -> Result<TicksPromise, PayRefused> {
        let planned = self.payer.plan_ticks(ID, root, count, NOW)?;
        Ok(planned.kept(write(&mut self.file)).unwrap())
    }

    fn voucher(&mut self, price: u128, name: u32) -> Result<SignedVoucher, PayRefused> {
        let planned = self.payer.plan(ID, "api", price, keccak256(name.to_be_bytes()), NOW)?;
        let promise = planned.kept(write(&mut self.file)).unwrap();
        Ok(promise.sign(&domain(), &key(1)))
    }

    /// Killed, and started again: from the file as it was appended to, or as it was written anew, with what was appended meanwhile behind it once more.
    fn restart(&mut self, anew: bool, again: usize) {
        if anew {
            let appended = self.file.len() - self.anew;
            let behind = self.file.split_off(self.file.len() - again.min(appended));
            self.file = self.payer.records();
            self.anew = self.file.len();
            self.file.extend(behind);
        }
        let mut next = payer(DEPOSIT);
        next.channels.clear();
        let bytes = self.file.iter().map(Record::encode);
        bytes.map(|bytes| Record::decode(&bytes).unwrap()).for_each(|record| next.replay(record));
        next.observe(channel(DEPOSIT, 0), address_of(&key(2))).unwrap();
        assert_eq!(next.channels, self.payer.channels);
        assert_eq!(next.spent, self.payer.spent);
        self.payer = next;
    }
}

/// A disk that never fails.
fn write(file: &mut Vec<Record>) -> impl FnOnce(&Record) -> Result<(), Infallible> {
    |record| {
        file.push(record.clone());
        Ok(())
    }
}

fn open(payee: &mut Payee, stream: SignedStream) -> Result<(), Refused> {
    let offer = StreamOffer { chain_id: CHAIN_ID, contract: CONTRACT, stream };
    let verified = payee.examine_stream(&offer, NOW)?.verify()?;
    payee.accept_stream(verified).map(|_| ())
}

#[test]
fn a_payee_takes_every_tick_and_a_restart_goes_on_with_the_same_stream() {
    let (mut kept, mut payee) = (Kept::new(), payee(DEPOSIT));
    let promise = kept.stream(5, 100).unwrap();
    let (signed, chain) = (promise.sign(&domain(), &key(1)), promise.chain(&domain(), &key(1)));
    let root = signed.terms.root;
    open(&mut payee, signed.clone()).unwrap();
    assert_eq!(signed.terms.ticks, 80, "no more than the deposit covers");
    let given = kept.ticks(root, 3).unwrap().reveal(&chain);
    assert_eq!(given.iter().map(|tick| tick.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(kept.ticks(root, 1).unwrap().reveal(&chain[1..]).is_empty(), "nothing of another stream");
    kept.restart(false, 0);
    let again = kept.stream(5, 100).unwrap();
    assert_eq!((again.sign(&domain(), &key(1)), again.streaming().given), (signed, 4));
    let tick = Tick { number: 4, tick: chain[4] };
    assert_eq!(payee.tick(ID, root, tick.number, tick.tick, NOW).unwrap().amount, 20, "for those that were lost, too");
    assert_eq!(kept.payer.standing(ID).unwrap().signed, 20);
}

#[test]
fn a_voucher_takes_the_place_of_a_stream_and_the_next_stream_begins_behind_it() {
    let mut kept = Kept::new();
    let first = kept.stream(5, 10).unwrap().streaming().terms;
    let _ = kept.ticks(first.root, 2).unwrap();
    assert_eq!(kept.voucher(7, 1).unwrap().voucher.cumulative_amount, 17);
    assert_eq!(kept.ticks(first.root, 1), Err(PayRefused::UnknownStream { id: ID, root: first.root }));
    let second = kept.stream(5, 10).unwrap().streaming().terms;
    assert_eq!(second.cumulative_amount, 17);
    assert_ne!(second.root, first.root);
}

#[test]
fn a_stream_that_is_ended_is_followed_by_one_that_begins_behind_it_also_after_a_restart() {
    let mut kept = Kept::new();
    let first = kept.stream(5, 10).unwrap().streaming().terms;
    let _ = kept.ticks(first.root, 3).unwrap();
    kept.payer.end_stream(ID);
    let second = kept.stream(5, 10).unwrap().streaming().terms;
    assert_eq!((second.cumulative_amount, second.root == first.root), (15, false));
    kept.restart(false, 0);
    assert_eq!(kept.payer.streaming(ID).map(|streaming| streaming.terms), Some(second));
}

#[test]
fn streams_and_vouchers_take_turns_for_as_long_as_there_is_a_deposit() {
    let (mut kept, mut payee) = (Kept::new(), payee(DEPOSIT));
    for name in 0..30 {
        let stream = kept.stream(5, 20).unwrap();
        let (signed, chain) = (stream.sign(&domain(), &key(1)), stream.chain(&domain(), &key(1)));
        let root = signed.terms.root;
        // The one before has ticks left, but its place was taken: it does not keep this one out.
        open(&mut payee, signed).unwrap();
        for tick in kept.ticks(root, 1).unwrap().reveal(&chain) {
            assert_eq!(payee.tick(ID, root, tick.number, tick.tick, NOW).unwrap().amount, 5);
        }
        let voucher = kept.voucher(3, name).unwrap();
        let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: 3, request: B256::ZERO };
        let Examined::Check(check) = payee.examine(offer, NOW).unwrap() else { panic!("it is new") };
        let _ = payee.accept(check.verify().unwrap(), NOW).unwrap();
    }
    assert_eq!(kept.payer.standing(ID).unwrap().signed, 240);
}

#[test]
fn ticks_have_the_limits_that_vouchers_have() {
    let mut kept = Kept::new();
    assert_eq!(kept.stream(0, 10), Err(PayRefused::Price { price: 0 }));
    let got = kept.stream(401, 10);
    assert_eq!(got, Err(PayRefused::BeyondDeposit { got: 401, deposit: 400 }));
    let root = kept.stream(50, MAX_TICKS).unwrap().streaming().terms.root;
    assert_eq!(kept.ticks(root, 0), Err(PayRefused::TooManyTicks { root, got: 0, left: 8 }));
    assert_eq!(kept.ticks(root, 9), Err(PayRefused::TooManyTicks { root, got: 9, left: 8 }));
    let over = OverLimit::Endpoint { endpoint: "api".into(), got: 350, limit: LIMIT };
    assert_eq!(kept.ticks(root, 7), Err(PayRefused::OverLimit(over)));
    let _ = kept.ticks(root, 6).unwrap();
    kept.restart(true, 0);
    assert!(matches!(kept.ticks(root, 1), Err(PayRefused::OverLimit(_))), "also after a start");
    let closing = Some(crate::channel::Closing { from_unix_s: 0, from_block: 0 });
    kept.payer.observe(Channel { closing, ..channel(DEPOSIT, 0) }, Address::ZERO).unwrap();
    assert_eq!(kept.ticks(root, 1), Err(PayRefused::Closing { id: ID }));
}

#[test]
fn a_lost_file_is_made_good_by_a_tick_of_our_own_that_the_payee_shows() {
    let mut before = Kept::new();
    let promise = before.stream(5, 10).unwrap();
    let chain = promise.chain(&domain(), &key(1));
    let root = promise.streaming().terms.root;
    let _ = before.ticks(root, 4).unwrap();

    let mut lost = Kept::new();
    assert_eq!(lost.stream(5, 10).unwrap().streaming().terms.root, root, "the same words, the same stream");
    let forged = lost.payer.recall_tick(ID, Tick { number: 5, tick: chain[4] }, NOW);
    assert_eq!(forged, Err(EvidenceRefused::Tick(TickRefused::WrongTick { got: 5, latest: 0 })));
    let shown = Tick { number: 4, tick: chain[4] };
    lost.file.extend(lost.payer.recall_tick(ID, shown, NOW).unwrap());
    assert_eq!(lost.payer.recall_tick(ID, shown, NOW), Ok(None));
    assert_eq!(lost.ticks(root, 1).unwrap().reveal(&chain)[0].number, 5);
    lost.restart(false, 0);
}

#[test]
fn a_stream_with_other_words_has_another_chain_also_when_the_file_was_lost() {
    let terms = StreamTerms { channel_id: ID, cumulative_amount: 0, tick_amount: 5, ticks: 10, root: B256::ZERO };
    let seed = |terms: StreamTerms| chain_seed(&terms, &domain(), &key(1));
    let others = [
        StreamTerms { channel_id: B256::ZERO, ..terms },
        StreamTerms { cumulative_amount: 1, ..terms },
        StreamTerms { tick_amount: 500, ..terms },
        StreamTerms { ticks: 11, ..terms },
    ];
    assert!(others.iter().all(|other| seed(*other) != seed(terms)));
    assert_ne!(chain_seed(&terms, &domain(), &key(2)), seed(terms));
    assert_ne!(chain_seed(&terms, &Domain::new(1, CONTRACT), &key(1)), seed(terms));
    assert_eq!(seed(StreamTerms { root: B256::repeat_byte(1), ..terms }), seed(terms));
    // Frozen: whoever has the key needs the same chain from every later version. Computed apart, by viem.
    assert_eq!(seed(terms), b256!("bb6fc3f065e98c1a4fb88282e42f8615e89f3db5e0040c02894ae1082f57e506"));
}

#[derive(Clone, Debug)]
enum Step {
    Voucher {
        price: u128,
    },
    Stream {
        tick_amount: u128,
        most: u32,
    },
    Ticks {
        count: u32,
    },
    /// Something that was given arrives: not always the oldest first.
    Arrive {
        index: usize,
    },
    Restart {
        anew: bool,
        again: usize,
    },
}

#[derive(Clone, Debug)]
enum Given {
    Voucher(SignedVoucher, u128, u32),
    Tick(B256, Tick),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u128..9).prop_map(|price| Step::Voucher { price }),
        2 => (1u128..6, 1u32..12).prop_map(|(tick_amount, most)| Step::Stream { tick_amount, most }),
        5 => (1u32..4).prop_map(|count| Step::Ticks { count }),
        6 => (0usize..12).prop_map(|index| Step::Arrive { index }),
        1 => (any::<bool>(), 0usize..6).prop_map(|(anew, again)| Step::Restart { anew, again }),
    ]
}

/// Takes units that nobody promised before.
fn promise(promised: &mut BTreeSet<u128>, total: u128, price: u128) -> bool {
    (total - price + 1..=total).all(|unit| promised.insert(unit))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    // The model: the set of units that were promised. However vouchers and ticks overtake each other and however often the payer is killed, no unit is promised twice, no
    // more are than the limit, the payee refuses none but ticks that a later one paid for, and what it charged was promised.
    #[test]
    fn no_unit_is_promised_twice_and_a_payee_takes_whatever_was_given(steps in prop::collection::vec(step(), 1..120)) {
        let (mut kept, mut payee) = (Kept::new(), payee(DEPOSIT));
        let (mut promised, mut way, mut charged) = (BTreeSet::new(), Vec::new(), 0);
        let mut root = B256::ZERO;
        let mut chain = Vec::new();
        for (name, step) in (0u32..).zip(steps) {
            match step {
                Step::Voucher { price } => {
                    let Ok(signed) = kept.voucher(price, name) else { continue };
                    prop_assert!(promise(&mut promised, signed.voucher.cumulative_amount, price));
                    way.push(Given::Voucher(signed, price, name));
                }
                Step::Stream { tick_amount, most } => {
                    let Ok(stream) = kept.stream(tick_amount, most) else { continue };
                    (root, chain) = (stream.streaming().terms.root, stream.chain(&domain(), &key(1)));
                    // Opened at once: ticks of a stream that the payee does not know wait at the payer.
                    match open(&mut payee, stream.sign(&domain(), &key(1))) {
                        Ok(()) | Err(Refused::TooManyStreams { .. }) => {}
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                }
                Step::Ticks { count } => {
                    let Ok(ticks) = kept.ticks(root, count) else { continue };
                    let terms = kept.payer.streaming(ID).unwrap().terms;
                    for tick in ticks.reveal(&chain) {
                        prop_assert!(promise(&mut promised, terms.total(tick.number).unwrap(), terms.tick_amount));
                        way.push(Given::Tick(root, tick));
                    }
                }
                Step::Arrive { index } => {
                    if index >= way.len() { continue; }
                    match way.remove(index) {
                        Given::Tick(root, tick) => match payee.tick(ID, root, tick.number, tick.tick, NOW) {
                            Ok(taken) => charged += taken.amount,
                            Err(Refused::Tick(TickRefused::NotNew { .. }) | Refused::UnknownStream { .. }) => {}
                            Err(error) => prop_assert!(false, "{error}"),
                        },
                        Given::Voucher(voucher, price, name) => {
                            let request = keccak256(name.to_be_bytes());
                            let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price, request };
                            let Examined::Check(check) = payee.examine(offer, NOW).unwrap() else { continue };
                            let Accepted::New(_) = payee.accept(check.verify().unwrap(), NOW).unwrap() else { continue };
                            charged += price;
                        }
                    }
                }
                Step::Restart { anew, again } => kept.restart(anew, again),
            }
            let signed = kept.payer.standing(ID).unwrap().signed;
            prop_assert_eq!(promised.len() as u128, signed, "every unit below was promised, and none above");
            prop_assert!(signed <= LIMIT && charged <= signed);
        }
    }
}
