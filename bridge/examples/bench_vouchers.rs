//! How fast vouchers are checked, on one core: `cargo run -p causeway-bridge --example bench_vouchers`.
//!
//! A payee's work for each micropayment: bounds, EIP-712 digest, and the signature against the signer's known key. Beside it
//! the limit, libsecp256k1's verification alone, and what recovering the key each time would manage. Each runs over 20,000
//! vouchers five times; the median counts. Prints one line a case: `name <tab> vouchers a second`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use bridge::micro_channel::{Channel, Domain, SignedVoucher, Verifier, Voucher};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey, ecdsa::Signature};

const VOUCHERS: u128 = 20_000;

fn main() {
    let domain = Domain::new(51_717, Address::repeat_byte(5));
    let secret = SecretKey::from_slice(&[7; 32]).expect("a number below the group's order");
    let vouchers: Vec<SignedVoucher> = (1..=VOUCHERS)
        .map(|total| Voucher { channel_id: B256::ZERO, cumulative_amount: total }.sign(&domain, &secret))
        .collect();
    let signer = vouchers[0].signer(&domain).expect("it was just signed");
    let channel = Channel { id: B256::ZERO, signer, deposit: VOUCHERS, settled: 0 };

    report("vouchers checked with the signer's known key", || {
        let mut verifier = Verifier::new(domain, channel, 1);
        for signed in &vouchers {
            black_box(verifier.accept(signed)).expect("they grow");
        }
    });
    let key = PublicKey::from_secret_key(SECP256K1, &secret);
    let checks: Vec<_> = vouchers
        .iter()
        .map(|signed| {
            let message = Message::from_digest(signed.voucher.digest(&domain).0);
            (message, Signature::from_compact(&signed.signature[..64]).expect("it was just signed"))
        })
        .collect();
    report("limit: libsecp256k1 verifies alone", || {
        for (message, signature) in &checks {
            SECP256K1.verify_ecdsa(message, black_box(signature), &key).expect("it was just signed");
        }
    });
    report("recovering the key each time", || {
        for signed in &vouchers {
            assert_eq!(black_box(signed.signer(&domain)), Ok(signer));
        }
    });
}

fn report(name: &str, run: impl Fn()) {
    let mut rates: Vec<u128> = (0..5)
        .map(|_| {
            let wall = Instant::now();
            let start = on_processor();
            run();
            let took = match (start, on_processor()) {
                (Some(start), Some(end)) => end.saturating_sub(start),
                _ => wall.elapsed(),
            };
            VOUCHERS * 1_000_000 / took.as_micros().max(1)
        })
        .collect();
    rates.sort_unstable();
    println!("{name}\t{}", rates[2]);
}

/// Time of this thread on a processor, so that a busy machine measures the same: the first number of schedstat, in
/// nanoseconds (Linux, `Documentation/scheduler/sched-stats.rst`).
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
