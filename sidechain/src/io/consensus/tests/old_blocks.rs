//! Old blocks, as large as they may be, for validators that were away; and one that asks for them without end.

use std::{sync::atomic::Ordering, time::Duration};

use commonware_codec::Encode as _;
use commonware_consensus::{marshal::resolver::handler::Key, types::Height};
use commonware_cryptography::keccak256::Digest;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _};

use super::{
    super::{
        Application as _,
        requests::{BLOCKS_PER_SECOND, BURST_BLOCKS},
    },
    network::Network,
    simulate,
};
use crate::limits::MAX_BLOCK_BYTES;

/// Makes full blocks final.
async fn grow(network: &Network, blocks: u64) {
    let from = network.heads().into_iter().max().expect("some");
    for nonce in from.. {
        let head = network.heads().into_iter().max().expect("some");
        if head >= from + blocks {
            return;
        }
        network.ledgers.iter().for_each(|ledger| ledger.submit_large(nonce, MAX_BLOCK_BYTES - 1000));
        while network.heads().into_iter().max() == Some(head) {
            network.runtime.sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Asks all others for old blocks, as often as the rate allows, and counts the bytes that come.
async fn flood(network: &Network, index: usize, blocks: u64) -> Handle<usize> {
    let [.., (mut sender, mut receiver)] = network.channels(index).await;
    network.runtime.child("flood").spawn(move |runtime| async move {
        let mut bytes = 0;
        let until = runtime.current() + Duration::from_secs(20);
        for id in 1u64.. {
            let key: Key<Digest> = Key::Finalized { height: Height::new(1 + id % blocks) };
            // Message, position and count of a single part; then the request.
            let part = [&[0, 0, 0, 9, 0, 0, 0, 1][..], &id.to_be_bytes(), &[0], &key.encode()].concat();
            let _ = sender.send(Recipients::All, part, false);
            let pause = runtime.sleep(Duration::from_millis(3));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    arrived = receiver.recv() => bytes += arrived.map_or(0, |(_, part)| part.len()),
                }
            }
            if runtime.current() >= until {
                break;
            }
        }
        bytes
    })
}

#[test]
fn who_asks_for_old_blocks_without_end_has_few_of_them_read_and_sent() {
    simulate(31, |runtime| async move {
        let mut network = Network::new(runtime, 4, false, |_| None).await;
        for i in 0..3 {
            network.start(i).await;
        }
        grow(&network, 6).await;
        network.sleep(2).await;
        let reads = |network: &Network, i: usize| network.ledgers[i].reads.load(Ordering::Relaxed);
        let (before, then) = (network.heads(), [0, 1, 2].map(|i| reads(&network, i)));
        let bytes = flood(&network, 3, 6).await.await.expect("it floods");
        let read = [0, 1, 2].map(|i| reads(&network, i) - then[i]);
        println!("{read:?} blocks read, {} MiB sent by three in 20 s", bytes >> 20);
        let most = BURST_BLOCKS + 20 * BLOCKS_PER_SECOND + 2;
        // Their engines read the new ones, too.
        assert!(read.iter().all(|read| *read <= 2 * most), "{read:?} of {most}");
        assert!(bytes > 30 * MAX_BLOCK_BYTES, "an honest one would have its burst");
        assert!(bytes as u64 <= 3 * most * (MAX_BLOCK_BYTES + (512 << 10)) as u64, "{bytes}");
        assert!(network.heads()[0] >= before[0] + 5, "{before:?} {:?}", network.heads());
        network.check();
    });
}

/// Seconds that a validator takes for 30 full blocks that it missed; and how many blocks the others read meanwhile.
fn catches_up(floods: bool) -> (u128, u64) {
    let (result, took) = std::sync::mpsc::channel();
    simulate(32, |runtime| async move {
        let mut network = Network::new(runtime, 4, false, |_| None).await;
        for i in [0, 1, 3] {
            network.start(i).await;
        }
        grow(&network, 30).await;
        network.kill(3).await;
        let flooding = if floods { Some(flood(&network, 3, 30).await) } else { None };
        network.sleep(3).await;
        let reads = |network: &Network| -> u64 {
            network.ledgers[..2].iter().map(|ledger| ledger.reads.load(Ordering::Relaxed)).sum()
        };
        let (begun, before) = (network.runtime.current(), reads(&network));
        network.start(2).await;
        while network.ledgers[2].head() < 30 {
            network.runtime.sleep(Duration::from_millis(50)).await;
        }
        let passed = network.runtime.current().duration_since(begun).expect("time passes");
        result.send((passed.as_millis(), reads(&network) - before)).expect("it is waited for");
        drop(flooding);
        network.check();
    });
    took.recv().expect("it was measured")
}

#[test]
fn a_validator_that_missed_thirty_full_blocks_catches_up_while_another_floods() {
    let (quiet, reads) = catches_up(false);
    println!("{quiet} ms, {reads} blocks read");
    let (flooded, _) = catches_up(true);
    println!("{flooded} ms while another floods");
    assert!(reads <= 45, "{reads}: each block about once");
    assert!(flooded <= 2 * quiet + 2_000, "{flooded} ms instead of {quiet} ms");
}
