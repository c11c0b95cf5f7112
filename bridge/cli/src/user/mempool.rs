//! What a user's own bitcoind sees of what waits: a bitcoind that is there is asked, one that is not is done without.

use std::collections::BTreeMap;

use bitcoin::{OutPoint, Txid};
use eyre::Result;
use mainchain::io::rpc::BitcoinRpc;
use serde::Deserialize;
use serde_json::json;

/// Whether a transaction is in its mempool; none without a bitcoind that answers.
pub async fn has(bitcoin: Option<&BitcoinRpc>, txid: Txid) -> Option<bool> {
    let answer = bitcoin?.mempool_entry(txid).await;
    answer.inspect_err(|error| tracing::warn!("bitcoind is done without: {error}")).ok().map(|entry| entry.is_some())
}

/// What spends these outpoints in its mempool; nothing without a bitcoind that answers.
pub async fn spenders(bitcoin: Option<&BitcoinRpc>, outpoints: &[OutPoint]) -> BTreeMap<OutPoint, Txid> {
    let Some(bitcoin) = bitcoin.filter(|_| !outpoints.is_empty()) else { return BTreeMap::new() };
    ask(bitcoin, outpoints).await.unwrap_or_else(|error| {
        tracing::warn!("bitcoind is done without: {error:#}");
        BTreeMap::new()
    })
}

async fn ask(bitcoin: &BitcoinRpc, outpoints: &[OutPoint]) -> Result<BTreeMap<OutPoint, Txid>> {
    #[derive(Deserialize)]
    struct Spent {
        txid: Txid,
        vout: u32,
        spendingtxid: Option<Txid>,
    }
    let asked: Vec<_> =
        outpoints.iter().map(|outpoint| json!({ "txid": outpoint.txid, "vout": outpoint.vout })).collect();
    let answers: Vec<Spent> = bitcoin.call("gettxspendingprevout", json!([asked])).await?;
    Ok(answers
        .into_iter()
        .filter_map(|spent| Some((OutPoint::new(spent.txid, spent.vout), spent.spendingtxid?)))
        .collect())
}
