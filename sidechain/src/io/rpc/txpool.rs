//! The `txpool` namespace: what waits for a block.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use alloy_rpc_types_eth::Transaction as RpcTransaction;
use serde::Serialize;
use serde_json::json;

use super::method::{Methods, Registered, inline, long, worker};
use super::{context::Context, convert, error};
use crate::block::{Transaction, gas_price};

/// Transactions one `txpool_content` answers: beyond it, ask for one sender.
const MAX_CONTENT: usize = 5_000;

/// By sender (checksummed) and nonce (decimal), as geth nests them.
type Nested<T> = BTreeMap<String, BTreeMap<String, T>>;

#[derive(Clone, Debug, Serialize)]
struct Content<T> {
    pending: T,
    queued: T,
}

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "txpool_status", |context, _| {
        let status = context.state.pool().status();
        Ok(json!({ "pending": U64::from(status.executable), "queued": U64::from(status.queued) }))
    })?;
    long(methods, "txpool_content", |context, _| nested(context, convert::pending))?;
    long(methods, "txpool_inspect", |context, _| nested(context, summary))?;
    worker(methods, "txpool_contentFrom", |context, arguments| {
        let sender: Address = arguments.hex("address")?;
        let all: Vec<_> = context.state.pool().content_from(sender).map(shared).collect();
        let of = |wanted: bool| -> BTreeMap<String, RpcTransaction> {
            let chosen = all.iter().filter(|(executable, _)| *executable == wanted);
            chosen
                .map(|(_, transaction)| {
                    (transaction.nonce().to_string(), convert::pending(Transaction::clone(transaction)))
                })
                .collect()
        };
        Ok(Content { pending: of(true), queued: of(false) })
    })
}

fn nested<T>(context: &Context, show: impl Fn(Transaction) -> T) -> error::Result<Content<Nested<T>>> {
    let pool = context.state.pool();
    if pool.len() > MAX_CONTENT {
        let count = pool.len();
        return Err(error::limit(format!(
            "the pool has {count} transactions: ask for a sender's by txpool_contentFrom"
        )));
    }
    // Nothing is copied under the lock, however large the transactions are: this thread may have to give way while it holds it.
    let all: Vec<_> = pool.content().map(shared).collect();
    drop(pool);
    let mut content = Content { pending: Nested::new(), queued: Nested::new() };
    for (executable, transaction) in all {
        let class = if executable { &mut content.pending } else { &mut content.queued };
        let nonce = transaction.nonce().to_string();
        class
            .entry(transaction.signer().to_string())
            .or_default()
            .insert(nonce, show(Transaction::clone(&transaction)));
    }
    Ok(content)
}

fn shared((executable, transaction): (bool, &Arc<Transaction>)) -> (bool, Arc<Transaction>) {
    (executable, Arc::clone(transaction))
}

/// geth's one line for people.
fn summary(transaction: Transaction) -> String {
    let to = transaction.to().map_or("contract creation".to_owned(), |to| to.to_string());
    format!(
        "{to}: {} wei + {} gas × {} wei",
        transaction.value(),
        transaction.gas_limit(),
        gas_price(&transaction, None)
    )
}
