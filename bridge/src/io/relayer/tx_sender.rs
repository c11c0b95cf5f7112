//! The sender of free transactions: how a relayer's transactions reach the sidechain, in order and without gas.
//!
//! A free transaction that would fail is dropped by whoever proposes a block, so a nonce can stay open while later ones
//! wait behind it. The sender asks the node what became of each ([`TxSender::refresh`]) and gives an open nonce to the next
//! transaction it sends; what was dropped is owed again and comes back by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use alloy_primitives::B256;

use crate::io::sidechain::{Account, Call, Client, Error, Fees, MAX_GAS};
use crate::relay::Task;

/// After so long a transaction that is still waiting is sent anew, behind an open nonce perhaps. Blocks come every half
/// second to two seconds.
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);

/// Transactions that may wait at once: more is a sign that something is stuck.
const MAX_WAITING: usize = 16;

/// A federation member's transactions under way.
pub struct TxSender {
    client: Client,
    account: Account,
    chain_id: u64,
    waiting: BTreeMap<u64, Sent>,
}

struct Sent {
    hash: B256,
    /// None for posts to the board, which their sessions repeat by themselves.
    task: Option<Task>,
    at: Instant,
}

impl TxSender {
    pub fn new(client: Client, account: Account, chain_id: u64) -> Self {
        Self { client, account, chain_id, waiting: BTreeMap::new() }
    }

    /// Learns what became of the transactions under way.
    pub async fn refresh(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let included = self.client.nonce(self.account.address()).await?;
        self.waiting.retain(|nonce, _| *nonce >= included);
        let hashes: Vec<(u64, B256)> = self.waiting.iter().map(|(nonce, sent)| (*nonce, sent.hash)).collect();
        for (nonce, hash) in hashes {
            if !self.client.knows(hash).await? {
                self.waiting.remove(&nonce);
            }
        }
        Ok(())
    }

    /// The work that is under way.
    pub fn in_flight(&self) -> BTreeSet<Task> {
        self.waiting.values().filter(|sent| sent.at.elapsed() < GIVE_UP_AFTER).filter_map(|sent| sent.task).collect()
    }

    /// Sends a transaction behind those under way.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] when it would fail at the head; it is not sent then.
    pub async fn send(&mut self, call: &Call, task: Option<Task>) -> Result<B256, Error> {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.retain(|_, sent| sent.at.elapsed() < GIVE_UP_AFTER);
        }
        let included = self.client.nonce(self.account.address()).await?;
        let nonce =
            (included..).find(|nonce| !self.waiting.contains_key(nonce)).expect("fewer wait than there are nonces");
        let gas = self.client.estimate_gas(self.account.address(), call, Fees::FREE).await?;
        let pending = self.account.sign(self.chain_id, nonce, gas_limit(gas), Fees::FREE, call);
        self.client.send_raw(&pending.raw).await?;
        self.waiting.insert(nonce, Sent { hash: pending.hash, task, at: Instant::now() });
        Ok(pending.hash)
    }
}

/// The gas limit for an estimate. What a free transaction costs can grow before it is included (the last member to
/// confirm a key also activates it), and gas that is not used costs nothing here.
fn gas_limit(estimate: u64) -> u64 {
    (estimate + estimate / 2 + 250_000).min(MAX_GAS.max(estimate))
}
