//! How fast micropayments are: `cargo run --release -p causeway-payments --example bench_vouchers`.
//!
//! On one core, over 20,000 vouchers: a payee's whole decision (bounds, digest, signature by the signer's known key, books), beside the limit,
//! libsecp256k1's verification alone, and what recovering the key each time would manage; and ticks of a stream. Then on all cores, with both files on the disk
//! that holds the temporary folder. Each runs five times; the median counts. Prints one line a case: `name <tab> a second`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, keccak256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::journal::Ticket;
use payments::io::payee::{Answer, DurablePayee};
use payments::io::payer::{DurablePayer, Pledge};
use payments::payee::streams::StreamOffer;
use payments::payee::{Examined, Offer, Payee, Rules};
use payments::payer::limits::Limits;
use payments::stream::{MAX_TICKS, StreamMeter, StreamTerms, chain};
use payments::typed_data::Domain;
use payments::voucher::{SignedVoucher, Voucher};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey, ecdsa::Signature};

const VOUCHERS: u128 = 20_000;
const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const ID: B256 = B256::repeat_byte(7);
const AT: SeenAt = SeenAt { block: 1, unix_s: 0 };
/// Offers that a payee takes at once: 64 in flight on each of eight channels would be as many.
const BATCH: usize = 512;

fn main() {
    let domain = Domain::new(CHAIN_ID, CONTRACT);
    let secret = SecretKey::from_slice(&[7; 32]).expect("a number below the group's order");
    let vouchers: Vec<SignedVoucher> = (1..=VOUCHERS)
        .map(|total| Voucher { channel_id: ID, cumulative_amount: total }.sign(&domain, &secret))
        .collect();

    let limit = verifications(&domain, &secret, &vouchers);
    println!("limit on one core: libsecp256k1 verifies alone\t{limit}");
    let accepted = decisions(&domain, &secret, &vouchers);
    println!("vouchers taken on one core, signer's key known\t{accepted}");
    println!("the same, in thousandths of the limit\t{}", accepted * 1_000 / limit);
    let signer = Some(address_of(&secret));
    let recovered = rate(VOUCHERS, on_processor, || {
        vouchers.iter().for_each(|signed| assert_eq!(black_box(signed.signer(&domain)), Ok(signer)));
    });
    println!("vouchers checked on one core by recovering the key\t{recovered}");
    println!("ticks of streams taken on one core\t{}", ticks());

    let directory = tempfile::tempdir().expect("a temporary folder");
    let all = limit * std::thread::available_parallelism().map_or(1, |cores| cores.get() as u128);
    let unsigned = durable(directory.path(), domain, &secret, &vouchers, |answer| {
        answer.wait_unsigned().expect("the disk works");
    });
    println!("payments taken on all cores, on disk\t{unsigned}");
    let signed = durable(directory.path(), domain, &secret, &vouchers, |answer| {
        answer.wait().expect("the disk works");
    });
    println!("payments taken on all cores, on disk, with a signed receipt\t{signed}");
    println!("the same, in thousandths of the limit on all cores\t{}", signed * 1_000 / all);
    println!("ticks taken by two threads, on disk\t{}", durable_ticks(directory.path(), domain, &secret));
    println!("vouchers of a payer, on disk before they are signed\t{}", promises(directory.path(), domain, &secret));
}

fn verifications(domain: &Domain, secret: &SecretKey, vouchers: &[SignedVoucher]) -> u128 {
    let key = PublicKey::from_secret_key(SECP256K1, secret);
    let checks: Vec<_> = vouchers
        .iter()
        .map(|signed| {
            let message = Message::from_digest(signed.voucher.digest(domain).0);
            (message, Signature::from_compact(&signed.signature[..64]).expect("it was just signed"))
        })
        .collect();
    rate(VOUCHERS, on_processor, || {
        for (message, signature) in &checks {
            SECP256K1.verify_ecdsa(message, black_box(signature), &key).expect("it was just signed");
        }
    })
}

fn rules() -> Rules {
    let (payee, token) = (Address::repeat_byte(6), Address::ZERO);
    Rules { payee, token, least_deposit: 1, confirmations: 0, max_age_s: u64::MAX, splits: false }
}

fn channel(id: B256, secret: &SecretKey) -> Channel {
    Channel::opened(id, rules().payee, Address::ZERO, address_of(secret), u128::MAX)
}

fn offer(voucher: SignedVoucher) -> Offer {
    Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: 1, request: B256::ZERO }
}

fn decisions(domain: &Domain, secret: &SecretKey, vouchers: &[SignedVoucher]) -> u128 {
    rate(VOUCHERS, on_processor, || {
        let mut payee = Payee::new(*domain, rules());
        payee.observe(channel(ID, secret), AT).expect("it is worth it");
        for signed in vouchers {
            let Ok(Examined::Check(check)) = payee.examine(offer(signed.clone()), 0) else { panic!("it is new") };
            let _ = black_box(payee.accept(check.verify().expect("it was just signed"), 0).expect("they grow"));
        }
    })
}

fn ticks() -> u128 {
    let streams = 200;
    let ticks = chain(B256::repeat_byte(3), MAX_TICKS);
    let terms = StreamTerms { channel_id: ID, cumulative_amount: 0, tick_amount: 1, ticks: MAX_TICKS, root: ticks[0] };
    rate(streams * u128::from(MAX_TICKS), on_processor, || {
        for _ in 0..streams {
            let mut meter = StreamMeter::new(terms).expect("its last tick can be claimed");
            for (number, tick) in (1..).zip(&ticks[1..]) {
                black_box(meter.accept(number, *tick).expect("they follow each other"));
            }
        }
    })
}

fn durable(
    directory: &Path,
    domain: Domain,
    secret: &SecretKey,
    vouchers: &[SignedVoucher],
    wait: impl Fn(Answer),
) -> u128 {
    let path = directory.join("payee");
    rate(VOUCHERS, on_the_wall, || {
        // Nothing was taken yet, each time.
        let _ = std::fs::remove_dir_all(&path);
        let payee = DurablePayee::open(&path, domain, rules(), *secret).expect("a payee");
        payee.observe(channel(ID, secret), AT).expect("it is worth it");
        let mut before = Vec::new();
        for batch in vouchers.chunks(BATCH) {
            let answers = payee.accept_many(batch.iter().cloned().map(offer).collect(), 0);
            // While the disk takes these, the next are checked.
            before.drain(..).for_each(&wait);
            before.extend(answers.into_iter().map(|answer| answer.expect("they grow")));
        }
        before.drain(..).for_each(&wait);
    })
}

/// Two channels, on each a stream after the other, with 64 ticks in flight on each.
fn durable_ticks(directory: &Path, domain: Domain, secret: &SecretKey) -> u128 {
    const STREAMS: u8 = 100;
    let path = directory.join("ticks");
    let chains: Vec<_> = (0..STREAMS).map(|seed| chain(B256::repeat_byte(seed), MAX_TICKS)).collect();
    let stream = |id, seed: u8, ticks: &[B256]| {
        let cumulative_amount = u128::from(seed) * u128::from(MAX_TICKS);
        let terms = StreamTerms { channel_id: id, cumulative_amount, tick_amount: 1, ticks: MAX_TICKS, root: ticks[0] };
        StreamOffer { chain_id: CHAIN_ID, contract: CONTRACT, stream: terms.sign(&domain, secret) }
    };
    rate(2 * u128::from(STREAMS) * u128::from(MAX_TICKS), on_the_wall, || {
        let _ = std::fs::remove_dir_all(&path);
        let payee = DurablePayee::open(&path, domain, rules(), *secret).expect("a payee");
        let flow = |id: B256| {
            payee.observe(channel(id, secret), AT).expect("it is worth it");
            for (seed, ticks) in (0..).zip(&chains) {
                drop(payee.open_stream(&stream(id, seed, ticks), 0).expect("one at a time"));
                let numbered: Vec<_> = (1..).zip(&ticks[1..]).collect();
                for some in numbered.chunks(64) {
                    let take = |(number, tick): &(u32, &B256)| payee.tick(id, ticks[0], *number, **tick, 0);
                    let mut taken: Vec<Ticket> =
                        some.iter().map(|some| take(some).expect("they follow each other")).collect();
                    let last = taken.pop().expect("some ticks");
                    last.wait().expect("the disk works");
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| flow(B256::repeat_byte(1)));
            flow(B256::repeat_byte(2));
        });
    })
}

fn promises(directory: &Path, domain: Domain, secret: &SecretKey) -> u128 {
    let limits = Limits { period_s: 1, in_all: u128::MAX, each: u128::MAX, endpoints: BTreeMap::new() };
    let payer = DurablePayer::open(&directory.join("payer"), domain, limits).expect("a payer");
    payer.observe(channel(ID, secret), rules().payee).expect("a channel");
    let requests = AtomicU64::new(1);
    rate(VOUCHERS, on_the_wall, || {
        // 64 in flight, as long as there are more.
        for _ in 0..VOUCHERS / 64 {
            let some: Vec<_> =
                (0..64).map(|_| keccak256(requests.fetch_add(1, Ordering::Relaxed).to_be_bytes())).collect();
            let pledges: Vec<Pledge> = some
                .iter()
                .map(|request| payer.pay(ID, "page", 1, *request, secret, 0).expect("within the limits"))
                .collect();
            pledges.into_iter().for_each(|pledge| drop(black_box(pledge.wait().expect("the disk works"))));
            some.iter().for_each(|request| payer.give_up(ID, *request).expect("the disk works"));
        }
    })
}

/// The median of five.
fn rate(count: u128, clock: impl Fn() -> Option<Duration>, run: impl Fn()) -> u128 {
    let mut rates: Vec<u128> = (0..5)
        .map(|_| {
            let wall = Instant::now();
            let start = clock();
            run();
            let took = match (start, clock()) {
                (Some(start), Some(end)) => end.saturating_sub(start),
                _ => wall.elapsed(),
            };
            count * 1_000_000 / took.as_micros().max(1)
        })
        .collect();
    rates.sort_unstable();
    rates[2]
}

fn on_the_wall() -> Option<Duration> {
    None
}

/// Time of this thread on a processor, so that a busy machine measures the same: the first number of schedstat, in
/// nanoseconds (Linux, `Documentation/scheduler/sched-stats.rst`).
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
