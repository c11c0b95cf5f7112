//! Telling the relayers of a deposit address: at first, again when the node let it go, and with a proof of what was paid.
//!
//! A node keeps a bounded list and lets the oldest go that nobody paid. The terms are in the user's own record, so nothing is
//! lost by it: whoever follows a deposit registers it again, and one that is paid can be proven, which a node always takes.

use std::cmp::Reverse;

use bitcoin::{Amount, OutPoint};
use bridge::amount;
use bridge::foreign::shown;
use bridge::io::sidechain::{Client, Error};
use bridge::peg::{PaymentProof, Registered};
use eyre::{Report, Result, WrapErr, bail, eyre};
use mainchain::io::rpc::{BitcoinRpc, Scan, Unspent};
use mainchain::proof::{InclusionProof, strip};
use serde::Serialize;

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

/// Why a node does not take an address of one's own, in its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unregistered {
    reason: String,
}

impl Unregistered {
    /// What the node said, if it answered: the address may be as it should, and the node's list full.
    ///
    /// # Errors
    ///
    /// It did not refuse: it does not answer, or it is not to be trusted.
    pub fn by(error: Report) -> Result<Self> {
        match error.downcast_ref::<Error>() {
            Some(refused @ Error::Refused { .. }) => Ok(Self { reason: refused.to_string() }),
            _ => Err(error),
        }
    }

    /// In lines.
    pub fn describe(&self, address: &str) -> Vec<String> {
        vec![
            format!("NOT REGISTERED: do not pay {address}"),
            format!("  because    {}", self.reason),
            format!(
                "  to try     causeway register {address}; what was paid is proven by causeway status {address} --prove, or taken back by causeway reclaim {address}"
            ),
        ]
    }
}

/// What became of the payments to an address that a bitcoind has.
#[derive(Debug, Default)]
pub struct Shown {
    /// The node took the proof, the dearest first.
    pub taken: Vec<(OutPoint, Amount)>,
    /// Too small for the bridge: the node was not asked.
    pub small: Vec<(OutPoint, Amount)>,
    /// The node did not take it, with its words.
    pub refused: Vec<(OutPoint, Error)>,
}

/// Tells the node about payments to the address that a bitcoind has, with proofs, the dearest first: anybody can send dust, and what is less
/// than `least` keeps nothing else from being proven. With what bitcoind has.
///
/// # Errors
///
/// There is no payment with a confirmation, the bitcoind does not answer, or the node takes no proof.
pub async fn prove(client: &Client, bitcoin: &BitcoinRpc, record: &Record, least: Amount) -> Result<(Shown, Scan)> {
    let scan = scan(bitcoin, &[record.output()?.script_pubkey()]).await?;
    if scan.unspents.is_empty() {
        bail!("the bitcoind at {} has no confirmed payment to {} that is not spent", bitcoin.url(), record.address);
    }
    let mut unspents: Vec<&Unspent> = scan.unspents.iter().collect();
    unspents.sort_by_key(|unspent| Reverse(unspent.value));
    let mut shown = Shown::default();
    for unspent in unspents {
        if unspent.value < least {
            shown.small.push((unspent.outpoint, unspent.value));
            continue;
        }
        let proof = proof(bitcoin, scan.height, unspent).await?;
        match client.register_paid_deposit(&record.registration(), &proof).await {
            Ok(registered) => {
                check(client, record, registered)?;
                shown.taken.push((unspent.outpoint, unspent.value));
            }
            Err(error) => {
                let is_about_this_one = matches!(error, Error::Refused { .. });
                shown.refused.push((unspent.outpoint, error));
                if !is_about_this_one {
                    break;
                }
            }
        }
    }
    shown.require_any(record, least)?;
    Ok((shown, scan))
}

impl Shown {
    fn require_any(&self, record: &Record, least: Amount) -> Result<()> {
        match (self.taken.first(), self.refused.first()) {
            (Some(_), _) => Ok(()),
            (None, Some((outpoint, error))) => {
                Err(Report::from(error.clone()).wrap_err(format!("the node does not take the proof of {outpoint}")))
            }
            (None, None) => bail!(
                "each payment to {} is below the smallest deposit, {}, and the bridge never takes it; `causeway reclaim {}` does after its timelock",
                record.address,
                amount::show(least),
                record.address
            ),
        }
    }

    /// What there is to say to people, a line each.
    pub fn describe(&self, least: Amount) -> Vec<String> {
        let taken = self.taken.iter().map(|(outpoint, value)| describe(*outpoint, *value));
        let refused = self.refused.iter().map(|(outpoint, error)| format!("{outpoint}: not proven, {error}"));
        let sum: Amount = self.small.iter().map(|(_, value)| *value).sum();
        let small = (!self.small.is_empty()).then(|| {
            format!(
                "{} payment(s) of {} together are not proven: each is below the smallest deposit, {}, and the bridge never takes it",
                self.small.len(),
                amount::show(sum),
                amount::show(least)
            )
        });
        taken.chain(refused).chain(small).collect()
    }
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
fn describe(outpoint: OutPoint, value: Amount) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::Txid;
    use bitcoin::hashes::Hash as _;

    fn refused() -> Error {
        Error::Refused { method: "peg_registerDeposit", code: -32602, message: "maxFeeSat is 300".into() }
    }

    #[test]
    fn an_address_that_a_node_refuses_is_told_with_the_way_back_and_one_that_is_not_answered_for_is_not() {
        let wrapped = Report::from(refused()).wrap_err("the node does not register the deposit address");
        let told = Unregistered::by(wrapped).expect("refused").describe("bcrt1q").join("\n");
        for words in ["do not pay bcrt1q", "maxFeeSat is 300", "causeway reclaim bcrt1q"] {
            assert!(told.contains(words), "{told}");
        }
        let down = Error::Down { url: "http://node".into(), reason: "refused".into() };
        assert!(Unregistered::by(Report::from(down)).is_err());
        assert!(Unregistered::by(eyre!("the node registered another address")).is_err());
    }

    #[test]
    fn what_is_not_proven_beside_what_is_is_told_and_dust_is_counted() {
        let at = |vout| OutPoint::new(Txid::all_zeros(), vout);
        let small = (2..5).map(|vout| (at(vout), Amount::from_sat(600))).collect();
        let taken = vec![(at(0), Amount::from_sat(2_000_000))];
        let shown = Shown { taken, small, refused: vec![(at(1), refused())] };
        let told = shown.describe(Amount::from_sat(1_400));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("0.02 BTC proven") && told[1].contains("not proven, the node refused"), "{told:?}");
        assert!(told[2].starts_with("3 payment(s) of 0.000018 BTC together"), "{told:?}");
    }
}
