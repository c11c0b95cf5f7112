//! Bitcoin's side: each vault output that the ledger counts, looked for on the auditor's own bitcoind.
//!
//! ```text
//!   live in the ledger --unspent on Bitcoin--------------------------------------> there
//!          \--spent by a bound vault transaction that has confirmed, not settled--> what came of it counts in its place
//!          \--else----------------------------------------------------------------> MISSING
//! ```
//! Both sides of a vault transaction balance, because Bitcoin checked it: so one that has confirmed is as good as the output it spent.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, TxOut, Txid};
use eyre::Result;
use light::reserves::Shown;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use super::sidechain::Ledger;

/// Vault transactions in a row that have confirmed and are not settled yet: each further one was made after the ledger knew of the last.
const MOST_MOVES: u32 = 10;

/// A vault output that the ledger counts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    pub number: u32,
    pub outpoint: OutPoint,
    pub amount_sat: u64,
    pub found: Found,
}

/// What bitcoind says of a vault output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", rename_all_fields = "camelCase")]
pub enum Found {
    Unspent {
        confirmations: u32,
    },
    /// Spent by a vault transaction that has confirmed and is not settled yet.
    Moved {
        number: u32,
        txid: Txid,
    },
    Missing,
}

/// Looks for each output that the ledger counts.
///
/// # Errors
///
/// bitcoind does not answer.
pub async fn find(bitcoin: &BitcoinRpc, ledger: &Ledger) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for (number, shown) in ledger.live() {
        let (outpoint, amount_sat) = (output_0(shown), shown.entry.change_sat);
        outputs.push(Output { number, outpoint, amount_sat, found: state(bitcoin, ledger, shown).await? });
    }
    Ok(outputs)
}

fn output_0(shown: &Shown) -> OutPoint {
    OutPoint::new(shown.entry.txid, 0)
}

async fn state(bitcoin: &BitcoinRpc, ledger: &Ledger, shown: &Shown) -> Result<Found> {
    if let Some(confirmations) = unspent(bitcoin, shown).await? {
        return Ok(Found::Unspent { confirmations });
    }
    let mut outpoints = BTreeSet::from([output_0(shown)]);
    for _ in 0..MOST_MOVES {
        let mut next = BTreeSet::new();
        for (number, spender) in outpoints.iter().flat_map(|outpoint| ledger.spenders(*outpoint)) {
            if has_confirmed(bitcoin, spender).await? {
                return Ok(Found::Moved { number, txid: spender.entry.txid });
            }
            next.insert(output_0(spender));
        }
        outpoints = next;
    }
    Ok(Found::Missing)
}

/// Confirmations of a vault transaction's output 0, while it is unspent and as it should be.
async fn unspent(bitcoin: &BitcoinRpc, shown: &Shown) -> Result<Option<u32>> {
    let coin = bitcoin.unspent(output_0(shown), false).await?;
    let right = coin.filter(|coin| {
        shown.change.as_ref() == Some(&TxOut { value: coin.value, script_pubkey: coin.script_pubkey.clone() })
    });
    Ok(right.map(|coin| coin.confirmations))
}

/// Whether a block has it: any of its outputs is there unspent. One of which all were spent by others is not found so; its own spender is.
async fn has_confirmed(bitcoin: &BitcoinRpc, shown: &Shown) -> Result<bool> {
    for vout in (0u32..).take(shown.transaction.output.len()) {
        if bitcoin.unspent(OutPoint::new(shown.entry.txid, vout), false).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
