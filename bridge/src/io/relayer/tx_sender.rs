//! How a relayer's transactions reach the sidechain, in order and without gas (the free lane of the mempool).
//!
//! What was sent, and the nonce of the next one, is in [`crate::relay::outgoing`]. Whoever sends estimates first and then
//! waits for its turn, so that a call that takes long delays no other, and nonces reach the node in order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;

use super::node::Node;
use crate::io::clock::Clock;
use crate::io::sidechain::{Account, Call, Error, Fees, MAX_GAS};
use crate::relay::duty::Task;
use crate::relay::outgoing::{Outgoing, gas_limit};

/// A federation member's account.
pub struct TxSender<N> {
    node: Arc<N>,
    account: Account,
    chain_id: u64,
    clock: Clock,
    outgoing: Mutex<Outgoing>,
    turn: tokio::sync::Mutex<()>,
}

impl<N: Node> TxSender<N> {
    pub fn new(node: Arc<N>, account: Account, chain_id: u64, clock: Clock) -> Self {
        Self { node, account, chain_id, clock, outgoing: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Learns what became of the transactions under way.
    pub async fn refresh(&self) -> Result<(), Error> {
        if self.outgoing().is_empty() {
            return Ok(());
        }
        let included = self.node.nonce(self.account.address()).await?;
        self.outgoing().included(included);
        let questions = self.outgoing().questions();
        for hash in questions {
            if !self.node.knows(hash).await? {
                self.outgoing().forgotten(hash);
            }
        }
        Ok(())
    }

    /// The work that is under way.
    pub fn in_flight(&self) -> BTreeSet<Task> {
        self.outgoing().in_flight(self.clock.ms())
    }

    /// Sends a transaction behind those under way.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] when it would fail at the head; it is not sent then.
    pub async fn send(&self, call: &Call, task: Option<Task>) -> Result<B256, Error> {
        let gas = self.node.estimate_gas(self.account.address(), call, Fees::FREE).await?;
        let _turn = self.turn.lock().await;
        let included = self.node.nonce(self.account.address()).await?;
        let nonce = self.outgoing().next_nonce(included, self.clock.ms());
        let pending = self.account.sign(self.chain_id, nonce, gas_limit(gas, MAX_GAS), Fees::FREE, call);
        self.node.send_raw(&pending.raw).await?;
        self.outgoing().sent(nonce, pending.hash, task, self.clock.ms());
        Ok(pending.hash)
    }

    /// Held only for moments.
    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
