//! What threshold signing costs, on one core: `cargo run -p causeway-bridge --example bench_signing`.
//!
//! The same code as the relayer's, for one input: a member's commitment, its share, the check of another's share, and the
//! aggregation with libsecp256k1's verification. Each is the median of many runs. Prints one line a case:
//! `name <tab> microseconds`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bridge::threshold::{Commitment, InputKey, Nonces, Share, deal};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const RUNS: usize = 201;
const SIGHASH: [u8; 32] = [7; 32];

fn main() {
    for (threshold, members) in [(3, 4), (11, 15)] {
        measure(threshold, members);
    }
}

fn measure(threshold: u16, members: u16) {
    let mut rng = StdRng::seed_from_u64(1);
    let keys: Vec<InputKey> = deal(1, threshold, members, &mut rng)[..usize::from(threshold)]
        .iter()
        .map(|share| share.for_input(&[3; 32]))
        .collect();
    let nonces: Vec<Nonces> = keys.iter().map(|key| key.commit(&mut rng)).collect();
    let set: BTreeMap<u16, Commitment> =
        keys.iter().zip(&nonces).map(|(key, nonces)| (key.index(), nonces.commitment())).collect();
    let sign = |position: usize| keys[position].sign(&SIGHASH, &set, &nonces[position]).expect("own nonces");
    let shares: BTreeMap<u16, Share> =
        (0..keys.len()).map(|position| (keys[position].index(), sign(position))).collect();

    let report = |what: &str, work: &mut dyn FnMut()| {
        println!("FROST {threshold}-of-{members}: {what}\t{}", median(work).as_micros());
    };
    report("commitment of a member", &mut || {
        drop(black_box(keys[0].commit(&mut rng)));
    });
    report("share of a member", &mut || {
        black_box(sign(0));
    });
    report("check of a share", &mut || {
        assert!(keys[0].share_is_valid(&SIGHASH, &set, 2, &shares[&2]));
    });
    report("aggregation, verified", &mut || {
        black_box(keys[0].aggregate(&SIGHASH, &set, &shares).expect("valid shares"));
    });
}

fn median(work: &mut dyn FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}
