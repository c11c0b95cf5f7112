//! `eth_subscribe` over WebSocket: new heads, logs, and transactions that enter the pool.
//!
//! A subscriber gets every block in order: one that is slow, or whose block was missed, gets it from the store.

use std::sync::Arc;

use alloy_primitives::{B256, hex};
use alloy_rpc_types_eth::Filter;
use alloy_rpc_types_eth::pubsub::SubscriptionKind;
use jsonrpsee::core::SubscriptionError;
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::server::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};
use jsonrpsee::types::SubscriptionId;
use jsonrpsee::{Extensions, RpcModule};
use rand::RngCore;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::super::context::Context;
use super::super::method::{Arguments, Registered, on_worker};
use super::super::{convert, error};
use super::logs::log_filter;
use crate::chain::{Finalized, LogFilter};

/// Subscription ids as Ethereum's clients expect them: hex, not to be guessed.
#[derive(Clone, Copy, Debug)]
pub struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let mut bytes = [0; 16];
        rand::thread_rng().fill_bytes(&mut bytes);
        SubscriptionId::Str(hex::encode_prefixed(bytes).into())
    }
}

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, context, _: Extensions| async move {
            match Wanted::parse(&params, &context) {
                Ok(wanted) => subscribe(pending, context, wanted).await,
                Err(error) => {
                    pending.reject(error).await;
                    Ok(())
                }
            }
        },
    )?;
    Ok(())
}

enum Wanted {
    Heads,
    Logs(LogFilter),
    Pending {
        full: bool,
    },
    /// The node is never syncing: the one answer is `false`.
    Syncing,
}

impl Wanted {
    fn parse(params: &jsonrpsee::types::Params<'_>, context: &Context) -> error::Result<Self> {
        let mut arguments = Arguments::new(params)?;
        match arguments.next("subscription")? {
            SubscriptionKind::NewHeads => Ok(Self::Heads),
            SubscriptionKind::Logs => {
                // As in geth, a block range is for polling; here it is the blocks to come.
                let filter: Filter = arguments.optional("filter")?.unwrap_or_default();
                let filter = Filter { block_option: Default::default(), ..filter };
                log_filter(context, &filter).map(Self::Logs)
            }
            SubscriptionKind::NewPendingTransactions => {
                Ok(Self::Pending { full: arguments.optional("full transactions")?.unwrap_or(false) })
            }
            SubscriptionKind::Syncing => Ok(Self::Syncing),
            SubscriptionKind::TransactionReceipts => {
                Err(error::invalid("transactionReceipts is not supported, use newHeads"))
            }
        }
    }
}

async fn subscribe(
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
    wanted: Wanted,
) -> Result<(), SubscriptionError> {
    // Listen first: nothing that happens after the answer is missed.
    let blocks = context.state.finalized.subscribe();
    let hashes = context.state.pending.subscribe();
    let next = context.chain().head().number + 1;
    let sink = pending.accept().await?;
    match wanted {
        Wanted::Heads => {
            follow(sink, context, blocks, next, |finalized| {
                vec![convert::header(finalized.block.header.clone(), finalized.hash)]
            })
            .await
        }
        Wanted::Logs(filter) => {
            follow(sink, context, blocks, next, move |finalized| convert::logs(finalized, &filter)).await
        }
        Wanted::Pending { full } => follow_pool(sink, context, hashes, full).await,
        Wanted::Syncing => {
            send(&sink, &false).await?;
            sink.closed().await;
            Ok(())
        }
    }
}

/// Sends what `messages` makes of each block from `next` on, until the client leaves or the node stops.
async fn follow<T: Serialize>(
    sink: SubscriptionSink,
    context: Arc<Context>,
    mut blocks: Receiver<Arc<Finalized>>,
    mut next: u64,
    messages: impl Fn(&Finalized) -> Vec<T>,
) -> Result<(), SubscriptionError> {
    loop {
        let heard = tokio::select! {
            () = sink.closed() => return Ok(()),
            heard = blocks.recv() => heard,
        };
        let last = match &heard {
            Ok(finalized) => finalized.block.number(),
            Err(RecvError::Lagged(_)) => context.chain().head().number,
            Err(RecvError::Closed) => return Ok(()),
        };
        while next <= last {
            let finalized = match &heard {
                Ok(finalized) if finalized.block.number() == next => finalized.clone(),
                _ => load(context.clone(), next).await?,
            };
            for message in messages(&finalized) {
                send(&sink, &message).await?;
            }
            next += 1;
        }
    }
}

async fn follow_pool(
    sink: SubscriptionSink,
    context: Arc<Context>,
    mut hashes: Receiver<B256>,
    full: bool,
) -> Result<(), SubscriptionError> {
    loop {
        let heard = tokio::select! {
            () = sink.closed() => return Ok(()),
            heard = hashes.recv() => heard,
        };
        match heard {
            Ok(hash) if full => {
                let transaction = context.state.pool().get(hash).cloned();
                if let Some(transaction) = transaction {
                    send(&sink, &convert::pending(transaction)).await?;
                }
            }
            Ok(hash) => send(&sink, &hash).await?,
            // Transactions of the pool are only a hint: a slow subscriber misses some.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn send<T: Serialize>(sink: &SubscriptionSink, message: &T) -> Result<(), SubscriptionError> {
    let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), message)?;
    sink.send(message).await.map_err(Into::into)
}

/// A final block from the store, in the form in which it was sent when it became final.
async fn load(context: Arc<Context>, number: u64) -> Result<Arc<Finalized>, SubscriptionError> {
    let loaded = on_worker(context, move |context| {
        let finalized = context.chain().finalized(number).map_err(|error| error::store(&error))?;
        finalized.map(Arc::new).ok_or_else(|| error::not_found(format!("block {number} not found")))
    });
    loaded.await.map_err(|error| error.message().to_owned().into())
}
