//! One of four validators does what it likes, and its signatures are right. The others live on, and make blocks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use commonware_codec::{Encode as _, EncodeSize as _};
use commonware_consensus::{
    marshal::resolver::handler::Key as BackfillKey,
    simplex::types::{Finalize, Notarize, Nullify, Proposal, Vote},
    types::{Epoch, Height, Round, View},
};
use commonware_cryptography::keccak256::Digest;
use commonware_p2p::{Recipients, Sender as _};
use commonware_runtime::{Clock as _, Runner as _, deterministic};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    chain::{Real, START, Twist},
    muted::{Muted, Passes},
    network::{CHAIN_ID, Network, Runtime, Sender},
};
use crate::{
    block::Block,
    io::consensus::{Application as _, Pacing, network::MAX_MESSAGE_BYTES, payload::Payload, scheme::Scheme},
    testing::Key,
};

const QUICK: Pacing = Pacing { interval: Duration::from_millis(100), heartbeat: Duration::from_millis(300) };

fn simulate<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(Runtime) -> F) {
    let config = deterministic::Config::default()
        .with_seed(seed)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(START))
        .with_timeout(Some(Duration::from_secs(3600)));
    deterministic::Runner::new(config).start(run);
}

/// All chains are the same as far as they go.
fn check_prefixes(ledgers: &[Arc<Real>]) {
    let lowest = ledgers.iter().map(|ledger| ledger.head()).min().expect("some");
    for number in 0..=lowest {
        assert!(ledgers.iter().all(|ledger| ledger.hash(number) == ledgers[0].hash(number)), "block {number}");
    }
}

type Change = (&'static str, Box<dyn Fn(&mut Block) + Send + Sync>);

/// Every field of a header at its extremes.
fn extremes() -> Vec<Change> {
    macro_rules! changes {
        ($($field:ident: $($value:expr),+;)*) => {
            vec![$($((
                concat!(stringify!($field), " = ", stringify!($value)),
                Box::new(|block: &mut Block| block.header.$field = $value) as Box<dyn Fn(&mut Block) + Send + Sync>,
            )),+),*]
        };
    }
    let ones = B256::repeat_byte(0xff);
    let mut changes: Vec<Change> = changes! {
        timestamp: 0, 1, u64::MAX, u64::MAX / 1000, u64::MAX / 1000 + 1, START + 100_000, i64::MAX as u64;
        number: 0, 1, u64::MAX, u64::MAX - 1;
        gas_limit: 0, 1, u64::MAX;
        gas_used: 0, 1, u64::MAX;
        base_fee_per_gas: None, Some(0), Some(1), Some(u64::MAX);
        blob_gas_used: None, Some(1), Some(u64::MAX);
        excess_blob_gas: None, Some(1), Some(u64::MAX);
        difficulty: U256::from(1), U256::MAX;
        beneficiary: Address::ZERO, Address::repeat_byte(0xff);
        extra_data: Bytes::from_static(&[1]), Bytes::from(vec![0xff; 1000]), Bytes::from(vec![0xff; 100_000]);
        logs_bloom: Bloom::repeat_byte(0xff);
        nonce: B64::repeat_byte(0xff);
        parent_hash: B256::ZERO;
        ommers_hash: B256::ZERO;
        state_root: B256::ZERO;
        receipts_root: B256::ZERO;
        transactions_root: B256::ZERO;
        mix_hash: B256::ZERO;
        withdrawals_root: None, Some(B256::ZERO);
        parent_beacon_block_root: None;
        requests_hash: None, Some(B256::ZERO);
    };
    changes.push(("parent_hash = ones", Box::new(move |block| block.header.parent_hash = ones)));
    changes.push((
        "all hashes = ones",
        Box::new(move |block| {
            let header = std::mem::take(&mut block.header);
            block.header =
                Header { state_root: ones, receipts_root: ones, ommers_hash: ones, mix_hash: ones, ..header };
        }),
    ));
    changes.push(("an empty header", Box::new(|block| block.header = Header::default())));
    changes
}

#[test]
fn a_leader_that_sends_any_extreme_in_any_field_costs_only_its_own_rounds() {
    simulate(11, |runtime| async move {
        let all = extremes().len() as u64;
        let twist: Twist = Box::new(|nth, mut block| {
            let changes = extremes();
            if let Some((_, change)) = changes.get(nth as usize) {
                change(&mut block);
            }
            block
        });
        let ledgers = vec![
            Real::new(None, vec![]),
            Real::new(Some(twist), vec![]),
            Real::new(None, vec![]),
            Real::new(None, vec![]),
        ];
        // Nobody is cut off for what it sends, so that everything arrives.
        let mut network = Network::of(runtime, ledgers, false, false).await;
        network.pacing = QUICK;
        for i in 0..4 {
            network.start(i).await;
        }
        let (mut before, mut waited) = (0, 0);
        while network.ledgers[1].built.load(Ordering::Relaxed) < all {
            network.sleep(20).await;
            waited += 20;
            let heads = network.heads();
            let built = network.ledgers[1].built.load(Ordering::Relaxed);
            assert!([0, 2, 3].iter().all(|i| heads[*i] > before), "{heads:?} after {built} blocks and {waited} s");
            before = heads[0];
        }
        println!("{all} blocks with extremes in {waited} s, {before} final");
        // It is honest from then on, and is heard again.
        network.sleep(20).await;
        let heads = network.heads();
        assert!(heads.iter().all(|head| *head > before + 10), "{heads:?}");
        check_prefixes(&network.ledgers);
    });
}

/// Messages of every kind at their extremes, with the right signatures where there are any; and damaged ones.
fn messages(scheme: &Scheme, rng: &mut StdRng) -> [Vec<Vec<u8>>; 5] {
    let numbers = [0, 1, 2, 40, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    let pick = |rng: &mut StdRng| numbers[rng.gen_range(0..numbers.len())];
    let digest = |rng: &mut StdRng| Digest(rng.r#gen());
    let round = |rng: &mut StdRng| {
        let epoch = if rng.gen_bool(0.7) { 0 } else { pick(rng) };
        Round::new(Epoch::new(epoch), View::new(pick(rng)))
    };
    let mut votes = Vec::new();
    for _ in 0..12 {
        let round = round(rng);
        let proposal = Proposal::new(round, View::new(pick(rng)), digest(rng));
        let vote = match rng.gen_range(0..3) {
            0 => Notarize::sign(scheme, proposal).map(Vote::Notarize),
            1 => Nullify::sign::<Digest>(scheme, round).map(Vote::Nullify),
            _ => Finalize::sign(scheme, proposal).map(Vote::Finalize),
        };
        votes.push(vote.expect("a signer").encode().to_vec());
    }
    let certificates = votes.clone();
    let framed = |rng: &mut StdRng, tag: u8, body: &[u8]| [&pick(rng).to_be_bytes()[..], &[tag], body].concat();
    let mut resolver = Vec::new();
    for vote in &votes[..6] {
        let view = pick(rng);
        resolver.push(framed(rng, 0, &view.to_be_bytes()));
        resolver.push(framed(rng, 1, &[&[vote.len() as u8], &vote[..]].concat()));
        resolver.push(framed(rng, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
        resolver.push(framed(rng, 2, &[]));
    }
    let whole = |body: Vec<u8>| [&[0, 0, 0, 9, 0, 0, 0, 1][..], &body].concat();
    let mut blocks = Vec::new();
    for (_, change) in extremes() {
        let mut block = Block { header: Header::default(), transactions: Vec::new() };
        change(&mut block);
        let payload = Payload::new(block);
        if payload.encode_size() < MAX_MESSAGE_BYTES / 2 {
            blocks.push(whole(payload.encode().to_vec()));
        }
    }
    for length in [0, 1, 600, u32::MAX] {
        blocks.push(whole([&length.to_be_bytes()[..], &vec![0xf9; 600]].concat()));
    }
    for head in [[0; 8], [0xff; 8], [0, 0, 0, 1, 0, 0, 0, 2], [0, 0, 0, 1, 0, 1, 0, 2], [0, 0, 0, 1, 0, 0, 0xff, 0xff]]
    {
        blocks.push([&head[..], &vec![7; MAX_MESSAGE_BYTES - 8]].concat());
    }
    let mut backfill = Vec::new();
    for _ in 0..8 {
        let key: BackfillKey<Digest> = match rng.gen_range(0..3) {
            0 => BackfillKey::Block(digest(rng)),
            1 => BackfillKey::Finalized { height: Height::new(pick(rng)) },
            _ => BackfillKey::Notarized { round: round(rng) },
        };
        backfill.push(whole(framed(rng, 0, &key.encode())));
        backfill.push(whole(framed(rng, 1, &[0x80, 0x80, 0x80, 0x80, 0x10, 1, 2])));
        backfill.push(whole(framed(rng, 2, &[])));
    }
    let mut all = [votes, certificates, resolver, blocks, backfill];
    for messages in &mut all {
        let damaged: Vec<_> = messages.iter().map(|message| damage(message, rng)).collect();
        messages.extend(damaged);
        // The network carries no larger ones.
        messages.iter_mut().for_each(|message| message.truncate(MAX_MESSAGE_BYTES));
        messages.extend([vec![], vec![0], vec![0xff; 9], vec![0xff; MAX_MESSAGE_BYTES], vec![0; MAX_MESSAGE_BYTES]]);
    }
    all
}

/// A message that is cut off, longer, or has a few other bytes.
fn damage(message: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut damaged = message.to_vec();
    match rng.gen_range(0..3) {
        0 => damaged.truncate(rng.gen_range(0..=message.len())),
        1 => damaged.push(rng.r#gen()),
        _ => (0..3).for_each(|_| {
            let at = rng.gen_range(0..damaged.len());
            damaged[at] = [0, 1, 0x7f, 0x80, 0xff][rng.gen_range(0..5)];
        }),
    }
    damaged
}

#[test]
fn a_validator_that_sends_any_extreme_on_any_channel_stops_nobody() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    simulate(seed, |runtime| async move {
        let mut rng = StdRng::seed_from_u64(seed);
        let ledgers = (0..4).map(|_| Real::new(None, vec![])).collect();
        let mut network = Network::of(runtime, ledgers, false, false).await;
        network.pacing = QUICK;
        for i in [0, 2, 3] {
            network.start(i).await;
        }
        let scheme = network.signer(1);
        let channels = network.channels(1).await;
        let mut senders: Vec<Sender> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        network.sleep(5).await;
        let (before, mut sent) = (network.heads(), 0);
        for _ in 0..10 {
            for (sender, messages) in senders.iter_mut().zip(messages(&scheme, &mut rng)) {
                for message in messages {
                    sent += sender.send(Recipients::All, message, true).len();
                    network.runtime.sleep(Duration::from_millis(15)).await;
                }
            }
        }
        println!("{sent} messages arrived in {:?}", network.runtime.current());
        assert!(sent > 3_000, "{sent} of them were let through");
        network.sleep(10).await;
        let heads = network.heads();
        assert!([0, 2, 3].iter().all(|i| heads[*i] > before[*i] + 40), "{before:?} {heads:?}");
        check_prefixes(&[0, 2, 3].map(|i| network.ledgers[i].clone()));
    });
}

/// Votes to finalize, in the encoding of the engine.
const FINALIZE: u8 = 2;

// Validator 3 is down; 2 sends and hears no vote to finalize for long. Blocks follow each other, and none is final.
#[test]
fn a_chain_without_finality_for_hundreds_of_blocks_goes_on_and_becomes_final() {
    simulate(5, |runtime| async move {
        let transfers: Vec<_> =
            (0..300).map(|nonce| Key::new(1).transfer(CHAIN_ID, nonce, Address::repeat_byte(0xf1), 1)).collect();
        let ledgers = (0..4).map(|_| Real::new(None, transfers.clone())).collect();
        let mut network = Network::of(runtime, ledgers, false, true).await;
        network.pacing = QUICK;
        let withholds = Arc::new(AtomicBool::new(true));
        for i in [0, 1] {
            network.start(i).await;
        }
        let channels = network.channels(2).await.map(|(sender, receiver)| {
            let withholds = withholds.clone();
            let passes: Passes =
                Arc::new(move |message| !withholds.load(Ordering::Relaxed) || message.first() != Some(&FINALIZE));
            (Muted { inner: sender, passes: passes.clone() }, Muted { inner: receiver, passes })
        });
        let [votes, certificates, rest @ ..] = channels;
        let rest = rest.map(|(sender, receiver)| {
            let passes: Passes = Arc::new(|_| true);
            (Muted { passes: passes.clone(), ..sender }, Muted { passes, ..receiver })
        });
        let [resolver, blocks, backfill] = rest;
        network.start_over(2, [votes, certificates, resolver, blocks, backfill]);

        let highest = |network: &Network<Real>| network.ledgers[0].highest.load(Ordering::Relaxed);
        let mut waited = 0;
        while highest(&network) < 200 {
            network.sleep(10).await;
            waited += 10;
            assert!(waited < 1000, "stands at block {}", highest(&network));
        }
        assert_eq!(network.heads(), [0; 4], "nothing is final");
        // One of those who are left crashes, and executes all of it again.
        network.kill(1).await;
        network.sleep(1).await;
        let reopened = Real::reopened(network.ledgers.remove(1));
        network.ledgers.insert(1, reopened);
        network.start(1).await;
        let then = highest(&network);
        network.sleep(60).await;
        let now = highest(&network);
        println!("{then} blocks after {waited} s without finality, {now} a minute after a crash");
        assert!(now > then + 30, "{then} {now}");
        assert_eq!(network.heads(), [0; 4], "nothing is final");

        withholds.store(false, Ordering::Relaxed);
        network.sleep(20).await;
        let heads = network.heads();
        assert!(heads[..3].iter().all(|head| *head >= now), "{heads:?}");
        network.start(3).await;
        network.sleep(60).await;
        let heads = network.heads();
        assert!(heads.iter().all(|head| *head > now + 50), "{heads:?}");
        check_prefixes(&network.ledgers);
        assert_eq!(network.ledgers[0].final_transactions(), 300);
    });
}
