//! `eth_subscribe` over WebSocket: new heads, logs, and transactions that enter the pool.
//!
//! A subscriber gets every block in order: one that is slow, or whose block was missed, gets it from the store. Each
//! subscription holds one message at a time, so a slow one holds little.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::FilterBlockOption;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::super::context::Context;
use super::super::heard::Heard;
use super::super::log_request::LogRequest;
use super::super::method::Arguments;
use super::super::outgoing::{Gone, Sink};
use super::super::shares::weight;
use super::super::{convert, error};
use super::logs::log_filter;
use crate::access::Client;
use crate::block::Transaction;
use crate::chain::LogFilter;

/// Work of the server to write a message to a WebSocket.
const COST_OF_A_MESSAGE: Duration = Duration::from_micros(10);

/// What a subscriber wants to hear of.
pub enum Wanted {
    Heads,
    Logs(LogFilter),
    Pending {
        full: bool,
    },
    /// The node is never syncing: the one answer is `false`.
    Syncing,
}

/// What is asked for, by its name.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    NewHeads,
    Logs,
    NewPendingTransactions,
    Syncing,
}

impl Wanted {
    /// Reads the parameters of `eth_subscribe`.
    pub fn parse(arguments: &mut Arguments, context: &Context) -> error::Result<Self> {
        match arguments.next("subscription")? {
            Kind::NewHeads => Ok(Self::Heads),
            Kind::Logs => {
                let mut asked: LogRequest = arguments.optional_object("filter")?.unwrap_or_default();
                let blocks = to_come(&std::mem::take(&mut asked.filter.block_option))?;
                let (from, to) = blocks.into_inner();
                log_filter(context, &asked).map(|filter| Self::Logs(LogFilter { from, to, ..filter }))
            }
            Kind::NewPendingTransactions => {
                Ok(Self::Pending { full: arguments.optional("full transactions")?.unwrap_or(false) })
            }
            Kind::Syncing => Ok(Self::Syncing),
        }
    }

    /// How many places it takes among its client's subscriptions.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Logs(filter) => weight(values(filter)),
            Self::Heads | Self::Pending { .. } | Self::Syncing => 1,
        }
    }
}

/// Of which blocks a subscriber hears, as in geth: those that come within the bounds that it names.
fn to_come(asked: &FilterBlockOption) -> error::Result<RangeInclusive<u64>> {
    let FilterBlockOption::Range { from_block, to_block } = asked else {
        return Err(error::invalid("a subscription is of blocks to come, not of one by its hash: use eth_getLogs"));
    };
    let number = |tag: &Option<BlockNumberOrTag>| tag.as_ref().and_then(BlockNumberOrTag::as_number);
    let (from, to) = (number(from_block).unwrap_or(0), number(to_block).unwrap_or(u64::MAX));
    if from > to {
        return Err(error::invalid(format!("invalid block range: fromBlock {from} is above toBlock {to}")));
    }
    Ok(from..=to)
}

/// Addresses and topics of a filter.
pub fn values(filter: &LogFilter) -> usize {
    filter.addresses.len() + filter.topics.iter().map(|wanted| wanted.len()).sum::<usize>()
}

/// Sends what is wanted from now on, until the client leaves or the node stops.
pub fn follow(sink: Sink, context: &Arc<Context>, client: Client, wanted: Wanted) -> BoxFuture<'static, ()> {
    // Listens before the subscriber hears of its subscription: nothing that happens afterwards is missed.
    let heard = Heard::new(context, client);
    let hashes = context.state.pending.subscribe();
    let context = context.clone();
    let following = async move {
        match wanted {
            Wanted::Heads => heads(sink, heard).await,
            Wanted::Logs(filter) => logs(sink, heard, filter).await,
            Wanted::Pending { full } => Pool { context, client, sink }.follow(hashes, full).await,
            Wanted::Syncing => sink.send(&false).await,
        }
    };
    // The client is gone: nobody to tell.
    following.map(|_: Result<(), Gone>| ()).boxed()
}

async fn heads(sink: Sink, mut heard: Heard) -> Result<(), Gone> {
    loop {
        let block = heard.block().await?;
        sink.send(&convert::header(block.block.header.clone(), block.hash)).await?;
    }
}

async fn logs(sink: Sink, mut heard: Heard, filter: LogFilter) -> Result<(), Gone> {
    loop {
        let block = heard.block().await?;
        if !(filter.from..=filter.to).contains(&block.block.number()) {
            continue;
        }
        let mut logs = convert::logs(&block, &filter);
        // One at a time: what a slow reader has not taken yet is not built yet, and the connection's thread serves others meanwhile.
        while let Some(message) = heard.charged(|| logs.next().map(|log| sink.message(&log))) {
            sink.send_message(message?).await?;
            tokio::task::yield_now().await;
        }
    }
}

/// Tells of transactions that enter the pool.
struct Pool {
    context: Arc<Context>,
    client: Client,
    sink: Sink,
}

impl Pool {
    async fn follow(&self, mut hashes: Receiver<B256>, full: bool) -> Result<(), Gone> {
        loop {
            match hashes.recv().await {
                // They come as fast as others send: a client hears of no more of them than it has work for.
                Ok(_) if self.context.shares.may_work(self.client).is_err() => {}
                Ok(hash) => self.tell(hash, full).await?,
                // Transactions of the pool are only a hint: a slow subscriber misses some.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Gone),
            }
        }
    }

    async fn tell(&self, hash: B256, full: bool) -> Result<(), Gone> {
        let begun = Instant::now();
        let message = match full.then(|| self.context.state.pool().get(hash).cloned()) {
            None => self.sink.message(&hash)?,
            Some(None) => return Ok(()),
            Some(Some(transaction)) => self.sink.message(&convert::pending(Transaction::clone(&transaction)))?,
        };
        self.context.shares.spend(self.client, begun.elapsed() + COST_OF_A_MESSAGE);
        self.sink.send_message(message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_to_subscribe_to_is_what_a_refusal_names() {
        for kind in ["newHeads", "logs", "newPendingTransactions", "syncing"] {
            serde_json::from_value::<Kind>(kind.into()).expect(kind);
        }
        let refused = serde_json::from_value::<Kind>("transactionReceipts".into()).expect_err("none").to_string();
        assert_eq!(refused.matches("transactionReceipts").count(), 1, "{refused}");
    }
}
