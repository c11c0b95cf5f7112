//! Telling the relayers of a deposit address: at first, again when the node let it go, and with a proof of what was paid.
//!
//! A node keeps a bounded list and lets the oldest go that nobody paid. The terms are in the user's own record, so nothing is
//! lost by it: whoever follows a deposit registers it again, and one that is paid can be proven, which a node always takes.

use bitcoin::{Amount, OutPoint};
use bridge::amount;
use bridge::foreign::shown;
use bridge::io::sidechain::Client;
use bridge::peg::{PaymentProof, Registered};
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::io::rpc::{BitcoinRpc, Unspent};
use mainchain::proof::{InclusionProof, strip};

use super::coins_scan::scan;
use super::deposit_record::Record;

/// Tells the node, and through it all relayers, about the address.
///
/// # Errors
///
/// The node refuses the address, or registered another one.
pub async fn register(client: &Client, record: &Record) -> Result<()> {
    let registered = client.register_deposit(&record.registration()).await;
    check(client, record, registered.wrap_err("the node does not register the deposit address")?)
}

/// Tells the node about payments to the address that a bitcoind has, with proofs; how much they are.
///
/// # Errors
///
/// There is no payment with a confirmation, the bitcoind does not answer, or the node refuses a proof.
pub async fn prove(client: &Client, bitcoin: &BitcoinRpc, record: &Record) -> Result<Vec<(OutPoint, Amount)>> {
    let scan = scan(bitcoin, &[record.output()?.script_pubkey()]).await?;
    if scan.unspents.is_empty() {
        bail!("the bitcoind at {} has no confirmed payment to {} that is not spent", bitcoin.url(), record.address);
    }
    let mut proven = Vec::new();
    for unspent in &scan.unspents {
        let proof = proof(bitcoin, scan.height, unspent).await?;
        let registered = client.register_paid_deposit(&record.registration(), &proof).await;
        check(
            client,
            record,
            registered.wrap_err_with(|| format!("the node does not take the proof of {}", unspent.outpoint))?,
        )?;
        proven.push((unspent.outpoint, unspent.value));
    }
    Ok(proven)
}

async fn proof(bitcoin: &BitcoinRpc, tip: u32, unspent: &Unspent) -> Result<PaymentProof> {
    let gone = || eyre!("Bitcoin's best chain changed while it was read: try again");
    let height = (tip + 1).checked_sub(unspent.confirmations).ok_or_else(gone)?;
    let hash = bitcoin.block_hash(height).await?.ok_or_else(gone)?;
    let block = bitcoin.block(hash).await?.ok_or_else(gone)?;
    let txid = unspent.outpoint.txid;
    let proof = InclusionProof::build(&block, txid).wrap_err_with(|| format!("{txid} cannot be proven"))?;
    let transaction = block.txdata.iter().find(|transaction| transaction.compute_txid() == txid).ok_or_else(gone)?;
    Ok(PaymentProof::new(strip(transaction), unspent.outpoint.vout, proof))
}

/// One line for people about what was proven.
pub fn describe(outpoint: OutPoint, value: Amount) -> String {
    format!(
        "{outpoint}: {} proven to the node; the federation proves it to the ledger and sweeps it",
        amount::show(value)
    )
}

fn check(client: &Client, record: &Record, registered: Registered) -> Result<()> {
    if registered.address != record.address {
        bail!(
            "the node at {} registered the address {}, computed here from its own answers is {}: do not pay either, and do not trust this node",
            client.url(),
            shown(&registered.address),
            record.address
        );
    }
    Ok(())
}
