//! Calls of contracts from the account that sends settlements, in its one order of nonces.

use std::time::Duration;

use alloy_primitives::U256;
use alloy_rpc_types_eth::{Filter, Log, TransactionReceipt};
use bridge::io::sidechain::{Account, Call};
use tokio::time::timeout;

use super::Chain;
use super::outgoing::Undone;
use crate::refusal::Refusal;

/// How long a transaction is waited for, more being offered for it each half minute.
const MOST_PATIENCE: Duration = Duration::from_secs(600);

/// Why a call has no receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// The contract refuses, in these words: nothing was sent.
    Refuses(String),
    /// It was sent and failed, which cost its gas.
    Failed(String),
    /// Nothing was sent, or what was sent may still be included.
    Not(Refusal),
}

impl From<Undone> for NotDone {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Here(refusal) => Self::Not(refusal),
            Undone::WouldFail(words) => Self::Refuses(words),
            Undone::Failed(words) => Self::Failed(words),
        }
    }
}

impl Chain {
    /// What so much gas may cost now, in wei.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub fn cost(&self, gas: u64) -> Result<u128, Refusal> {
        Ok(self.head()?.fees.cost(gas).saturating_to())
    }

    /// What so much gas costs as a rule: offered is twice what a block asks for.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub fn usual_cost(&self, gas: u64) -> Result<u128, Refusal> {
        Ok(self.cost(gas)? / 2)
    }

    /// Sends a call that would succeed, and waits until it is final.
    ///
    /// # Errors
    ///
    /// `NotDone`.
    pub async fn transact(&self, call: &Call, most_gas: u64) -> Result<TransactionReceipt, NotDone> {
        let gas = self.gas_of(call).await?;
        if gas > Account::gas_limit(most_gas) {
            return Err(NotDone::Refuses(format!("it takes {gas} gas, {most_gas} are given for it")));
        }
        let done = timeout(MOST_PATIENCE, self.carry_out(call, gas.min(most_gas))).await;
        Ok(done.map_err(|_| NotDone::Not(Refusal::NotFinal))??)
    }

    /// A transaction's receipt; none while it is not final.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn receipt(&self, hash: alloy_primitives::B256) -> Result<Option<TransactionReceipt>, Refusal> {
        self.client.receipt(hash).await.map_err(|error| super::down(&error))
    }

    /// Logs of these blocks.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn logs(&self, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, Refusal> {
        self.client.logs(filter, from, to).await.map_err(|error| super::down(&error))
    }

    /// Wei with which the account pays for gas.
    #[must_use]
    pub fn gas_balance(&self) -> Option<U256> {
        self.head().ok().map(|head| head.balance)
    }
}
