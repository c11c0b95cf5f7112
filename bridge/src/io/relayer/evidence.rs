//! The facts that a policy wants besides the ledger's logs, asked in tasks of their own: while one hangs, all else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::{OutPoint, TxOut, Txid};
use tokio::task::JoinSet;

use super::bitcoind::Bitcoind;
use super::error::RoundError;
use super::gather_ledger::{bound_txid, ended};
use super::node::Node;

/// What was found out about one proposal, or bound vault transaction.
pub struct Evidence {
    /// Those of the inputs that its own bitcoind has unspent in its best chain.
    pub own_outputs: BTreeMap<OutPoint, TxOut>,
    /// The id under which the ledger has it as bound.
    pub ledger_txid: Option<Txid>,
    /// Those of the doubted outputs that have ended.
    pub ended: Vec<OutPoint>,
}

/// What is to be found out.
pub struct Inquiry {
    pub inputs: Vec<OutPoint>,
    /// Of a bound one.
    pub number: Option<u32>,
    pub doubted: Vec<OutPoint>,
}

/// Inquiries under way, by what they are about.
pub struct Gathering<K>(JoinSet<(K, Option<Evidence>)>);

impl<K: Copy + std::fmt::Debug + Send + 'static> Gathering<K> {
    pub fn new() -> Self {
        Self(JoinSet::new())
    }

    /// Begins to ask.
    pub fn begin<N: Node, B: Bitcoind>(&mut self, about: K, inquiry: Inquiry, node: &Arc<N>, bitcoind: &Arc<B>) {
        let (node, bitcoind) = (Arc::clone(node), Arc::clone(bitcoind));
        self.0.spawn(async move {
            let evidence = find_out(&*node, &*bitcoind, inquiry).await;
            let evidence =
                evidence.inspect_err(|error| tracing::debug!(?about, %error, "its inputs are not known yet"));
            (about, evidence.ok())
        });
    }

    /// Waits for the next answer; none when nobody answered. Never ends while nothing is asked.
    pub async fn next(&mut self) -> (K, Option<Evidence>) {
        match self.0.join_next().await {
            Some(Ok(gathered)) => gathered,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }
}

async fn find_out<N: Node, B: Bitcoind>(node: &N, bitcoind: &B, inquiry: Inquiry) -> Result<Evidence, RoundError> {
    let mut own_outputs = BTreeMap::new();
    for outpoint in inquiry.inputs {
        if let Some(unspent) = bitcoind.unspent(outpoint, false).await? {
            own_outputs.insert(outpoint, TxOut { value: unspent.value, script_pubkey: unspent.script_pubkey });
        }
    }
    let ledger_txid = match inquiry.number {
        Some(number) => bound_txid(node, number).await?,
        None => None,
    };
    Ok(Evidence { own_outputs, ledger_txid, ended: ended(node, &inquiry.doubted).await? })
}
