//! Transactions of any content, from the account that sends settlements: each once, whatever becomes of its first sending.

use std::time::Duration;

use alloy_rpc_types_eth::TransactionReceipt;
use bridge::io::sidechain::{Account, Call, Error, Pending};
use tokio::time::sleep;

use super::{Chain, LEAST_SETTLEMENTS, MOST_NONCES, PATIENCE, down, is_of_the_nonce, raised};
use crate::refusal::Refusal;

/// Between two tries when the node says what makes no sense.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// Something is wrong here: nothing was sent.
    Here(Refusal),
    /// It would fail, so it was not sent.
    WouldFail(String),
    /// It was sent and failed.
    Failed(String),
}

/// Makes durable what is about to be sent.
pub trait Keep: Sync {
    fn keep(&self, pending: &Pending) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Nothing has to be known of it after a start.
struct Forgotten;

impl Keep for Forgotten {
    async fn keep(&self, _: &Pending) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Chain {
    /// Gas that a call needs, with some more for what changes until it is carried out.
    ///
    /// # Errors
    ///
    /// `Here` with `ChainDown` or `NoGas`, `WouldFail`.
    pub async fn gas_of(&self, call: &Call) -> Result<u64, Undone> {
        let head = self.head().map_err(Undone::Here)?;
        match self.client.estimate_gas(self.account.address(), call, head.fees).await {
            Ok(gas) if head.balance < head.fees.cost(gas.saturating_mul(LEAST_SETTLEMENTS)) => {
                Err(Undone::Here(Refusal::NoGas))
            }
            Ok(gas) => Ok(Account::gas_limit(gas)),
            Err(Error::Reverted { revert, .. }) => Err(Undone::WouldFail(revert.reason)),
            // In geth's words: so few coins that not even a try is paid for.
            Err(Error::Refused { message, .. }) if message.contains("gas required exceeds allowance") => {
                Err(Undone::Here(Refusal::NoGas))
            }
            Err(error) => Err(Undone::Here(down(&error))),
        }
    }

    /// Sends a call and waits until it is final. Whoever stops waiting stops nothing that was sent.
    ///
    /// # Errors
    ///
    /// `Here`, `Failed`.
    pub async fn carry_out(&self, call: &Call, gas: u64) -> Result<TransactionReceipt, Undone> {
        let mut sent = vec![self.dispatch(call, gas, &Forgotten).await?];
        loop {
            let last = &sent[sent.len() - 1];
            match self.client.wait(last, PATIENCE).await {
                Ok(receipt) => return Ok(receipt),
                Err(Error::Failed { revert, .. }) => return Err(Undone::Failed(revert.reason)),
                // Its nonce was taken by an earlier offer for the same call, or by a stranger's transaction.
                Err(Error::Replaced { .. }) => match self.receipt_of_any(&sent).await {
                    Some(receipt) if receipt.inner.status() => return Ok(receipt),
                    Some(_) => return Err(Undone::Failed("it was carried out and failed".to_owned())),
                    None => sent = vec![self.dispatch(call, gas, &Forgotten).await?],
                },
                Err(Error::NotIncluded { .. }) => {
                    if let Some(more) = self.outbid_call(call, gas, last.nonce, sent.len()) {
                        if let Err(error) = self.client.send_raw(&more.raw).await {
                            tracing::debug!(%error, "no more is taken for a transaction");
                        } else {
                            sent.push(more);
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a transaction is waited for once more");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Sends a call under the next nonce. `keep` has made durable what is sent before it ends.
    ///
    /// # Errors
    ///
    /// `Here` with `Busy`: a node has it, and says what makes no sense. All others: it will not be carried out.
    pub async fn dispatch(&self, call: &Call, gas: u64, keep: &impl Keep) -> Result<Pending, Undone> {
        let mut next = self.next_nonce.lock().await;
        for _ in 0..MOST_NONCES {
            let fees = self.head().map_err(Undone::Here)?.fees;
            let nonce = match *next {
                Some(nonce) => nonce,
                None => {
                    let asked = self.client.pending_nonce(self.account.address()).await;
                    asked.map_err(|error| Undone::Here(down(&error)))?
                }
            };
            let pending = self.account.sign(self.token.chain_id, nonce, gas, fees, call);
            keep.keep(&pending).await.map_err(Undone::Here)?;
            match self.client.send_raw(&pending.raw).await {
                // Whether a request without an answer arrived is found out by whoever waits: it is sent again then.
                Ok(_) | Err(Error::Down { .. } | Error::Malformed { .. }) => {
                    *next = Some(nonce + 1);
                    return Ok(pending);
                }
                Err(Error::Refused { message, .. }) if is_of_the_nonce(&message) => {
                    // A node that has it all the same is not given it again.
                    if self.client.knows(pending.hash).await.is_ok_and(|is_known| is_known) {
                        *next = Some(nonce + 1);
                        return Ok(pending);
                    }
                    tracing::warn!(nonce, %message, "the account sends from elsewhere, too: its next nonce is looked up");
                    *next = None;
                }
                Err(Error::Refused { message, .. }) if message.contains("insufficient funds") => {
                    return Err(Undone::Here(Refusal::NoGas));
                }
                Err(error) => return Err(Undone::WouldFail(error.to_string())),
            }
        }
        Err(Undone::Here(Refusal::Busy))
    }

    pub(super) fn outbid_call(&self, call: &Call, gas: u64, nonce: u64, tries: usize) -> Option<Pending> {
        let fees = raised(self.head().ok()?.fees, u32::try_from(tries).unwrap_or(u32::MAX));
        Some(self.account.sign(self.token.chain_id, nonce, gas, fees, call))
    }

    async fn receipt_of_any(&self, sent: &[Pending]) -> Option<TransactionReceipt> {
        for pending in sent {
            if let Ok(Some(receipt)) = self.client.receipt(pending.hash).await {
                return Some(receipt);
            }
        }
        None
    }
}
