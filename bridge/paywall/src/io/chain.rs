//! The chain: whether a payment would be carried out, sending it, and waiting until it is final.
//!
//! One account sends all settlements. Its nonces are handed out here, one after the other, so that many can be on their way at once.

pub mod bundle;
pub mod calls;
pub mod channels;
pub mod outgoing;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::SolEvent as _;
use bridge::io::sidechain::{Account, Client, Error, Fees};
use contracts::WrappedBtc;
use contracts::address::WRAPPED_BTC;
use tokio::sync::{Mutex, OnceCell, watch};
use tokio::time::sleep;

use self::token::{carried_out, transfer};
use crate::authorization::{Authorization, Signed, Token};
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
/// How often a nonce is looked up anew for one transaction.
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
    /// Whether this chain has the contract by which many payments go together.
    has_multicall: OnceCell<bool>,
    head: watch::Receiver<Option<Head>>,
}

/// What the chain says of an authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Paid, by this transaction. Who brought it does not matter: an authorization can be brought by anybody, and pays the payee.
    Paid(B256),
    /// It can still be carried out, as far as its nonce goes.
    Unused,
    /// It will never be carried out: it was cancelled, or something else was paid under its nonce.
    Never,
}

impl Chain {
    /// Looks at the chain from now on, for as long as this is kept.
    #[must_use]
    pub fn follow(client: Client, account: Account, token: Token) -> Arc<Self> {
        let (sender, head) = watch::channel(None);
        let own = account.address();
        let chain = Arc::new(Self {
            client,
            account,
            token,
            next_nonce: Mutex::default(),
            has_multicall: OnceCell::new(),
            head,
        });
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
    pub async fn check(&self, payment: &Signed, promised: U256) -> Result<(), Refusal> {
        let head = self.head()?;
        if head.balance < head.fees.cost(GAS.saturating_mul(LEAST_SETTLEMENTS)) {
            return Err(Refusal::NoGas);
        }
        let Authorization { from: payer, value, .. } = payment.authorization;
        let asked = WrappedBtc::balanceOfCall { account: payer };
        let balance = self.client.call(WRAPPED_BTC, &asked);
        let call = transfer(payment);
        let trial = self.client.call_from(Some(self.account.address()), WRAPPED_BTC, &call);
        let (balance, trial) = tokio::join!(balance, trial);
        let free = balance.map_err(|error| down(&error))?.saturating_sub(promised);
        match trial {
            Err(Error::Reverted { revert, .. }) => Err(refused(&revert.reason, payer, free, value)),
            Err(error) => Err(down(&error)),
            Ok(_) if free < value => Err(Refusal::Unfunded { payer, balance: free, want: value }),
            Ok(_) => Ok(()),
        }
    }

    /// The transaction that carried it out within the last blocks, and the time of its block; none if none did.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn brought(&self, terms: &Authorization) -> Result<Option<(B256, u64)>, Refusal> {
        let Fate::Paid(transaction) = self.fate(terms).await? else { return Ok(None) };
        let receipt = self.client.receipt(transaction).await.map_err(|error| down(&error))?;
        let Some(number) = receipt.and_then(|receipt| receipt.block_number) else { return Err(Refusal::ChainDown) };
        let block = self.client.block(number).await.map_err(|error| down(&error))?;
        block.map(|block| Some((transaction, block.timestamp))).ok_or(Refusal::ChainDown)
    }

    /// What became of it, in the last final state.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn fate(&self, terms: &Authorization) -> Result<Fate, Refusal> {
        let Authorization { from, nonce, .. } = *terms;
        let used = WrappedBtc::authorizationStateCall { authorizer: from, nonce };
        if !self.client.call(WRAPPED_BTC, &used).await.map_err(|error| down(&error))? {
            return Ok(Fate::Unused);
        }
        let filter = Filter::new()
            .address(WRAPPED_BTC)
            .event_signature(WrappedBtc::AuthorizationUsed::SIGNATURE_HASH)
            .topic1(from.into_word())
            .topic2(nonce);
        let head = self.client.block_number().await.map_err(|error| down(&error))?;
        let logs = self.client.logs(&filter, head.saturating_sub(RECENT_BLOCKS), head).await;
        for hash in logs.map_err(|error| down(&error))?.iter().filter_map(|log| log.transaction_hash) {
            let receipt = self.client.receipt(hash).await.map_err(|error| down(&error))?;
            if receipt.is_some_and(|receipt| carried_out(&receipt).has(terms)) {
                return Ok(Fate::Paid(hash));
            }
        }
        Ok(Fate::Never)
    }
}

async fn look(client: &Client, own: Address) -> Result<Head, Error> {
    let (head, fees, balance) = tokio::join!(client.head(), client.fees(), client.balance(own));
    Ok(Head { timestamp: head?.timestamp, fees: fees?, balance: balance?, seen: Instant::now() })
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
