//! The chain: whether a payment would be carried out, sending it, and waiting until it is final.
//!
//! One account sends all settlements. Its nonces are handed out here, one after the other, so that many can be on their way at once.

pub mod calls;
pub mod channels;
pub mod outgoing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{Filter, TransactionReceipt};
use alloy_sol_types::SolEvent as _;
use bridge::io::sidechain::{Account, Call, Client, Error, Fees, Pending};
use contracts::WrappedBtc;
use contracts::address::WRAPPED_BTC;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use crate::authorization::{Authorization, Token};
use crate::book::Sent;
use crate::clock::Clock;
use crate::refusal::Refusal;

/// How often the chain is looked at: its blocks come every half second to two seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so long without an answer the chain counts as down.
const MOST_SILENT: Duration = Duration::from_secs(15);
/// Gas of one settlement: 66,600, and some more while the payee has no tokens yet (`contracts/README.md`).
const GAS: u64 = 150_000;
/// Gas that one settlement uses.
const USED_GAS: u64 = 67_000;
/// Settlements for which the account must have coins, or none is begun.
const LEAST_SETTLEMENTS: u64 = 4;
/// How long a transaction is waited for before more is offered for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a nonce is looked up anew for one settlement.
const MOST_NONCES: u32 = 4;
/// Blocks in which it is looked for who brought an authorization.
const RECENT_BLOCKS: u64 = 5_000;

/// What is known of the chain now.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Unix seconds.
    pub timestamp: u64,
    pub fees: Fees,
    /// Wei of the account that sends.
    pub balance: U256,
    seen: Instant,
}

impl Head {
    /// Wei that a settlement costs now: the base fee, of which twice as much is offered, and the tip.
    #[must_use]
    pub fn settlement_cost(&self) -> U256 {
        let Fees { max_fee, priority_fee } = self.fees;
        let base_fee = max_fee.saturating_sub(priority_fee) / 2;
        U256::from(base_fee.saturating_add(priority_fee)) * U256::from(USED_GAS)
    }
}

/// The token on one chain, and the account that brings authorizations to it.
pub struct Chain {
    client: Client,
    account: Account,
    token: Token,
    /// None: to be asked for.
    next_nonce: Mutex<Option<u64>>,
    head: watch::Receiver<Option<Head>>,
}

/// Makes durable what is about to be sent.
pub trait Keep: Sync {
    fn keep(&self, sent: &Sent) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// What became of an authorization that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Paid, by this transaction.
    Paid(B256),
    /// It will never be carried out.
    Never,
    /// Its transaction has no place any more: it is to be sent anew.
    Lost,
    /// It waits longer than usual: more is to be offered.
    Waits,
}

impl Chain {
    /// Looks at the chain from now on, for as long as this is kept.
    #[must_use]
    pub fn follow(client: Client, account: Account, token: Token) -> Arc<Self> {
        let (sender, head) = watch::channel(None);
        let own = account.address();
        let chain = Arc::new(Self { client, account, token, next_nonce: Mutex::new(None), head });
        let weak = Arc::downgrade(&chain);
        tokio::spawn(async move {
            while let Some(client) = weak.upgrade().map(|chain| chain.client.clone()) {
                match look(&client, own).await {
                    Ok(head) => drop(sender.send_replace(Some(head))),
                    Err(error) => tracing::warn!(%error, "the chain does not answer"),
                }
                sleep(LOOK_EVERY).await;
            }
        });
        chain
    }

    /// Until the chain answered once.
    pub async fn seen(&self) {
        let _ = self.head.clone().wait_for(Option::is_some).await; // An end of its sender is seen by all that follows.
    }

    /// # Errors
    ///
    /// `ChainDown`.
    pub fn head(&self) -> Result<Head, Refusal> {
        let head = *self.head.borrow();
        head.filter(|head| head.seen.elapsed() < MOST_SILENT).ok_or(Refusal::ChainDown)
    }

    /// # Errors
    ///
    /// `ChainDown`.
    pub fn clock(&self, wall: u64) -> Result<Clock, Refusal> {
        Ok(Clock { wall, block: self.head()?.timestamp })
    }

    #[must_use]
    pub fn sender(&self) -> Address {
        self.account.address()
    }

    /// That the token would carry it out now, and that its payer has so much beside what it promised already.
    ///
    /// # Errors
    ///
    /// `ChainDown`, `NoGas`, `Unfunded`, `Replayed`, `TokenRefuses`.
    pub async fn check(&self, authorization: &Authorization, signature: &Bytes, promised: U256) -> Result<(), Refusal> {
        let head = self.head()?;
        if head.balance < head.fees.cost(GAS.saturating_mul(LEAST_SETTLEMENTS)) {
            return Err(Refusal::NoGas);
        }
        let payer = authorization.from;
        let asked = WrappedBtc::balanceOfCall { account: payer };
        let balance = self.client.call(WRAPPED_BTC, &asked);
        let call = transfer(authorization, signature);
        let trial = self.client.call_from(Some(self.account.address()), WRAPPED_BTC, &call);
        let (balance, trial) = tokio::join!(balance, trial);
        let free = balance.map_err(|error| down(&error))?.saturating_sub(promised);
        match trial {
            Err(Error::Reverted { revert, .. }) => Err(refused(&revert.reason, payer, free, authorization.value)),
            Err(error) => Err(down(&error)),
            Ok(_) if free < authorization.value => {
                Err(Refusal::Unfunded { payer, balance: free, want: authorization.value })
            }
            Ok(_) => Ok(()),
        }
    }

    /// Sends it. `keep` has made durable what is sent before it ends.
    ///
    /// # Errors
    ///
    /// `ChainDown`, `NoGas`, `NotKept`, `TokenRefuses`: nothing was sent.
    pub async fn send(
        &self,
        authorization: &Authorization,
        signature: &Bytes,
        keep: &impl Keep,
    ) -> Result<Sent, Refusal> {
        let mut next = self.next_nonce.lock().await;
        for _ in 0..MOST_NONCES {
            let fees = self.head()?.fees;
            let nonce = match *next {
                Some(nonce) => nonce,
                None => self.client.pending_nonce(self.account.address()).await.map_err(|error| down(&error))?,
            };
            let sent = self.sign(authorization, signature, nonce, fees);
            keep.keep(&sent).await?;
            match self.client.send_raw(&sent.raw).await {
                // Whether a request without an answer arrived is found out by whoever waits: it is sent again then.
                Ok(_) | Err(Error::Down { .. } | Error::Malformed { .. }) => {
                    *next = Some(nonce + 1);
                    return Ok(sent);
                }
                Err(Error::Refused { message, .. }) if is_of_the_nonce(&message) => {
                    tracing::warn!(nonce, %message, "the account sends from elsewhere, too: its next nonce is looked up");
                    *next = None;
                }
                Err(Error::Refused { message, .. }) if message.contains("insufficient funds") => {
                    return Err(Refusal::NoGas);
                }
                Err(error) => return Err(Refusal::TokenRefuses(error.to_string())),
            }
        }
        Err(Refusal::Busy)
    }

    /// What was sent, with more offered for it: it takes the place of the first.
    #[must_use]
    pub fn outbid(&self, sent: &Sent, tries: u32) -> Option<Sent> {
        let fees = raised(self.head().ok()?.fees, tries);
        Some(self.sign(&sent.authorization, &sent.signature, sent.sender_nonce, fees))
    }

    /// Sends once more what has a place already.
    pub async fn send_again(&self, sent: &Sent) {
        if let Err(error) = self.client.send_raw(&sent.raw).await {
            tracing::debug!(%error, "a settlement is not sent again");
        }
    }

    fn sign(&self, authorization: &Authorization, signature: &Bytes, nonce: u64, fees: Fees) -> Sent {
        let call = Call::new(WRAPPED_BTC, &transfer(authorization, signature));
        let pending = self.account.sign(self.token.chain_id, nonce, GAS, fees, &call);
        Sent {
            authorization: *authorization,
            signature: signature.clone(),
            transaction: pending.hash,
            sender: pending.sender,
            sender_nonce: nonce,
            raw: pending.raw,
        }
    }

    /// What becomes of it. Who brought it does not matter: an authorization can be brought by anybody, and pays the payee.
    pub async fn wait(&self, sent: &Sent) -> End {
        let terms = &sent.authorization;
        let pending =
            Pending { hash: sent.transaction, sender: sent.sender, nonce: sent.sender_nonce, raw: sent.raw.clone() };
        match self.client.wait(&pending, PATIENCE).await {
            Ok(receipt) if is_carried_out(terms, &receipt) => End::Paid(receipt.transaction_hash),
            Err(Error::NotIncluded { .. }) => End::Waits,
            Err(Error::Down { .. } | Error::Lagging { .. }) => End::Waits,
            Err(Error::Replaced { .. }) => self.brought_by(terms).await.unwrap_or(End::Lost),
            other => {
                tracing::debug!(?other, "a settlement did not go as it should");
                self.brought_by(terms).await.unwrap_or(End::Never)
            }
        }
    }

    /// The transaction that carried it out within the last blocks, and the time of its block; none if none did.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn brought(&self, terms: &Authorization) -> Result<Option<(B256, u64)>, Refusal> {
        let transaction = match self.brought_by(terms).await {
            Some(End::Paid(transaction)) => transaction,
            Some(End::Waits) => return Err(Refusal::ChainDown),
            _ => return Ok(None),
        };
        let receipt = self.client.receipt(transaction).await.map_err(|error| down(&error))?;
        let Some(number) = receipt.and_then(|receipt| receipt.block_number) else { return Err(Refusal::ChainDown) };
        let block = self.client.block(number).await.map_err(|error| down(&error))?;
        block.map(|block| Some((transaction, block.timestamp))).ok_or(Refusal::ChainDown)
    }

    /// Whoever brought it, if somebody did; none if nobody did, or it was cancelled.
    async fn brought_by(&self, terms: &Authorization) -> Option<End> {
        let Authorization { from, nonce, .. } = *terms;
        let used = self.client.call(WRAPPED_BTC, &WrappedBtc::authorizationStateCall { authorizer: from, nonce }).await;
        match used {
            Ok(false) => return None,
            Ok(true) => {}
            Err(_) => return Some(End::Waits),
        }
        let filter = Filter::new()
            .address(WRAPPED_BTC)
            .event_signature(WrappedBtc::AuthorizationUsed::SIGNATURE_HASH)
            .topic1(from.into_word())
            .topic2(nonce);
        let Ok(head) = self.client.block_number().await else { return Some(End::Waits) };
        let Ok(logs) = self.client.logs(&filter, head.saturating_sub(RECENT_BLOCKS), head).await else {
            return Some(End::Waits);
        };
        for hash in logs.iter().filter_map(|log| log.transaction_hash) {
            match self.client.receipt(hash).await {
                Ok(Some(receipt)) if is_carried_out(terms, &receipt) => return Some(End::Paid(hash)),
                Ok(_) => {}
                Err(_) => return Some(End::Waits),
            }
        }
        Some(End::Never)
    }
}

fn is_carried_out(terms: &Authorization, receipt: &TransactionReceipt) -> bool {
    receipt.inner.status() && terms.is_carried_out(receipt.inner.logs().iter().map(|log| &log.inner))
}

async fn look(client: &Client, own: Address) -> Result<Head, Error> {
    let (head, fees, balance) = tokio::join!(client.head(), client.fees(), client.balance(own));
    Ok(Head { timestamp: head?.timestamp, fees: fees?, balance: balance?, seen: Instant::now() })
}

fn transfer(authorization: &Authorization, signature: &Bytes) -> WrappedBtc::transferWithAuthorization_0Call {
    let Authorization { from, to, value, valid_after, valid_before, nonce } = *authorization;
    WrappedBtc::transferWithAuthorization_0Call {
        from,
        to,
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
        signature: signature.clone(),
    }
}

/// The token's words (`contracts/src/WrappedBtc.sol`) as refusals.
fn refused(words: &str, payer: Address, balance: U256, want: U256) -> Refusal {
    if words.contains("used or canceled") {
        Refusal::Replayed
    } else if words.contains("exceeds balance") {
        Refusal::Unfunded { payer, balance, want }
    } else {
        Refusal::TokenRefuses(words.to_owned())
    }
}

/// An eighth more each time, and a little: what a pool wants for a place.
fn raised(fees: Fees, times: u32) -> Fees {
    let more = |fee: u128| (0..times.min(16)).fold(fee, |fee, _| fee.saturating_add(fee / 8).saturating_add(1));
    Fees { max_fee: more(fees.max_fee), priority_fee: more(fees.priority_fee) }
}

fn down(error: &Error) -> Refusal {
    tracing::warn!(%error, "the chain cannot be asked");
    Refusal::ChainDown
}

fn is_of_the_nonce(message: &str) -> bool {
    ["nonce too low", "replacement transaction", "already known"].iter().any(|words| message.contains(words))
}
