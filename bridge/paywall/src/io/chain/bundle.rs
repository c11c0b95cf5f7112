//! Payments that go to the chain together: one transaction, in which Multicall3 calls the token once for each.
//!
//! ```text
//!   one    ->  token.transferWithAuthorization(...)                              67,000 gas
//!   many   ->  Multicall3.aggregate3([(token, may fail, transfer...), ...])      some 50,000 gas each
//! ```
//! Each call may fail by itself: what became of a payment is what the token logged of it, not what became of the transaction. No call can take another's
//! gas: every signature is a key's (`Token::check_signature`), so the token calls no code of a payer, and a call's gas has a bound.

use alloy_primitives::{B256, Bytes, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::{SolCall as _, sol};
use bridge::io::sidechain::{Call, Error, Pending};
use contracts::address::WRAPPED_BTC;
use contracts::standard::MULTICALL3;

use super::outgoing::{Keep, Undone};
use super::token::{carried_out, transfer};
use super::{Chain, GAS, PATIENCE, down};
use crate::authorization::{CarriedOut, Signed};
use crate::refusal::Refusal;

/// Payments in one transaction: some 5 million gas of the 16.7 million that it may use (EIP-7825), and 60 kB of the 512 KiB that a pool takes.
pub const MOST_TOGETHER: usize = 100;
/// Gas of Multicall3's own work and of a transaction.
const GAS_OF_ALL: u64 = 60_000;
/// Gas of each payment that goes with others: some 50,000, and 20,000 more for a payee that has no tokens yet.
const GAS_OF_EACH: u64 = 90_000;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Call3 { address target; bool allowFailure; bytes callData; }

    interface Multicall3 {
        function aggregate3(Call3[] calls) external payable returns ((bool, bytes)[] results);
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It is final. What it carried out.
    Final(CarriedOut, B256),
    /// It is final, and failed as a whole.
    Failed,
    /// Another one has its nonce.
    Gone,
    /// It waits longer than usual: more is to be offered.
    Still,
    /// Nobody knows now.
    Unknown,
}

impl Waited {
    #[must_use]
    pub fn of(receipt: &TransactionReceipt) -> Self {
        if receipt.inner.status() { Self::Final(carried_out(receipt), receipt.transaction_hash) } else { Self::Failed }
    }
}

impl Chain {
    /// How many payments may go together now: the account has coins for their gas, and the contract is there.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn most_together(&self) -> Result<usize, Refusal> {
        let head = self.head()?;
        let has_contract = self.has_multicall.get_or_try_init(async || {
            let code = self.client.code(MULTICALL3).await;
            code.map(|code| !code.is_empty()).map_err(|error| down(&error))
        });
        if !*has_contract.await? {
            return Ok(1);
        }
        let affordable = head.balance / head.fees.cost(GAS_OF_EACH).max(U256::from(1));
        Ok(usize::try_from(affordable).unwrap_or(usize::MAX).clamp(1, MOST_TOGETHER))
    }

    /// Sends payments in one transaction. `keep` has made durable what is sent before it ends.
    ///
    /// # Errors
    ///
    /// `Here` with `Busy`: a node has it, and says what makes no sense. All others: it will not be carried out.
    pub async fn send_together(&self, payments: &[Signed], keep: &impl Keep) -> Result<Pending, Undone> {
        let (call, gas) = together(payments);
        self.dispatch(&call, gas, keep).await
    }

    /// The same payments under the nonce of a transaction that was sent, with more offered for them: it takes the place of the first.
    #[must_use]
    pub fn again(&self, payments: &[Signed], nonce: u64, tries: usize) -> Option<Pending> {
        let (call, gas) = together(payments);
        self.outbid_call(&call, gas, nonce, tries)
    }

    /// Hands what has its place already to the node once more.
    pub async fn send_again(&self, pending: &Pending) {
        if let Err(error) = self.client.send_raw(&pending.raw).await {
            tracing::debug!(%error, "a settlement is not sent again");
        }
    }

    /// What becomes of a transaction with payments.
    pub async fn wait(&self, pending: &Pending) -> Waited {
        match self.client.wait(pending, PATIENCE).await {
            Ok(receipt) => Waited::of(&receipt),
            Err(Error::Failed { .. }) => Waited::Failed,
            Err(Error::Replaced { .. }) => Waited::Gone,
            Err(Error::NotIncluded { .. }) => Waited::Still,
            Err(error) => {
                tracing::debug!(%error, "a settlement is waited for once more");
                Waited::Unknown
            }
        }
    }
}

/// The call that brings payments to the token, and the most gas that it may use.
fn together(payments: &[Signed]) -> (Call, u64) {
    if let [payment] = payments {
        return (Call::new(WRAPPED_BTC, &transfer(payment)), GAS);
    }
    let calls = payments.iter().map(|payment| Call3 {
        target: WRAPPED_BTC,
        allowFailure: true,
        callData: Bytes::from(transfer(payment).abi_encode()),
    });
    let count = u64::try_from(payments.len()).unwrap_or(u64::MAX);
    let gas = GAS_OF_ALL.saturating_add(GAS_OF_EACH.saturating_mul(count));
    (Call::new(MULTICALL3, &Multicall3::aggregate3Call { calls: calls.collect() }), gas)
}

const _: () = assert!(GAS_OF_ALL + GAS_OF_EACH * MOST_TOGETHER as u64 <= bridge::io::sidechain::MAX_GAS);
