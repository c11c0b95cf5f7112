//! What taking a transaction into the pool costs: `cargo run --release -p causeway-sidechain --features testing --example bench_admission`.
//! Prints `name<tab>microseconds of processor a transaction`, kernel included; asserts nothing about time.

use std::{error::Error, sync::Arc};

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, Bytes};
use futures::{StreamExt as _, stream};
use sidechain::{
    access,
    chain::{Chain, Retention},
    io::{
        clock::now_ms,
        db::Database,
        node_state::{NodeState, Source},
    },
    mempool::{Limits, Mempool},
    testing::{Key, genesis},
};
use tokio::sync::{Semaphore, mpsc};

const SENDERS: u64 = 4_000;
const EACH: u64 = 5;
/// Requests that clients have under way.
const AT_ONCE: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let keys: Vec<_> = (0..SENDERS).map(Key::new).collect();
    let allocation: Vec<_> = keys.iter().map(|key| (key.address, 100_000_000)).collect();
    let chain_id = genesis().chain_id;
    let transfer = |nonce, key: &Key| key.transfer(chain_id, nonce, Address::repeat_byte(1), 1).encoded_2718().into();
    let transfers: Vec<Bytes> = (0..EACH).flat_map(|nonce| keys.iter().map(move |key| transfer(nonce, key))).collect();
    let runtime = tokio::runtime::Runtime::new()?;

    let directory = tempfile::tempdir()?;
    for (name, batched) in [("one by one, each on a blocking worker", false), ("in batches, by the node's queue", true)]
    {
        let database = Database::open(&directory.path().join(name))?;
        let chain = Chain::open_with(genesis(), database, Retention::default(), &allocation)?;
        let state = NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), mpsc::channel(1).0, None);
        let before = processor_us()?;
        if batched {
            runtime.block_on(in_batches(&state, &transfers));
        } else {
            runtime.block_on(one_by_one(&state, &transfers));
        }
        let spent = processor_us()? - before;
        assert_eq!(state.pool().len(), transfers.len());
        println!("{name}\t{}", spent / transfers.len() as u64);
    }
    Ok(())
}

async fn one_by_one(state: &NodeState, transfers: &[Bytes]) {
    let workers = Arc::new(Semaphore::new(2 * std::thread::available_parallelism().map_or(2, usize::from)));
    let sending = stream::iter(transfers.iter().cloned()).map(|raw| {
        let (state, workers) = (state.clone(), workers.clone());
        async move {
            let permit = workers.acquire_owned().await.expect("never closed");
            let admit = move || {
                let admitted = state.admit(&raw, now_ms());
                drop(permit);
                admitted
            };
            tokio::task::spawn_blocking(admit).await.expect("no panic").expect("taken")
        }
    });
    sending.buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
}

async fn in_batches(state: &NodeState, transfers: &[Bytes]) {
    let sending = stream::iter(transfers.iter().cloned().enumerate()).map(|(index, raw)| {
        let state = state.clone();
        async move { state.submit(Source::Client(access::Source::V6(index as u64 % 64)), raw).await.expect("taken") }
    });
    sending.buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
}

/// Microseconds that this process has used, in user and kernel mode, by Linux's count of hundredths of a second.
fn processor_us() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no name")?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64, Box<dyn Error>> { Ok(fields.next().ok_or("too short")?.parse()?) };
    Ok((ticks()? + ticks()?) * 10_000)
}
