//! What a holder is shown as done is proven first: coins that were made for a deposit, and withdrawals that the ledger has as paid.

use std::time::{Duration, Instant};

use bitcoin::OutPoint;
use bridge::io::sidechain::Client;
use bridge::io::sidechain::proven::{self, ProvenError};
use bridge::peg::{Deposit, Withdrawal};
use eyre::{Result, bail, ensure};
use light::facts::{Facts, Wanted};
use light::finality::Validators;
use sidechain::genesis::Genesis;

use crate::clock::now;

/// The oldest that a node's latest final header may be, in seconds.
const MAX_AGE_S: u64 = 300;
/// How long a node may take to prove what it says: its latest certificate may be of the block before.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// Checks what a node says by the validators' keys.
#[derive(Clone, Debug)]
pub struct Witness {
    validators: Validators,
}

impl Witness {
    /// By the network's genesis file.
    ///
    /// # Errors
    ///
    /// Its keys are none.
    pub fn of(genesis: &Genesis) -> Result<Self> {
        Ok(Self { validators: genesis.validators()? })
    }

    /// The coins of a deposit were made, and are as many.
    ///
    /// # Errors
    ///
    /// The node does not prove it.
    pub async fn minted(&self, client: &Client, told: &Deposit) -> Result<()> {
        let outpoint = OutPoint::new(told.txid, told.vout);
        let wanted = Wanted { deposits: [outpoint].into(), ..Wanted::default() };
        let is_so = |facts: &Facts| {
            let found = facts.deposits.get(&outpoint).and_then(Option::as_ref);
            found.is_some_and(|found| found.minted_sat == told.minted_sat && found.recipient == told.recipient)
        };
        self.require(client, &wanted, is_so, &format!("the coins of {outpoint} were made")).await
    }

    /// The ledger has a withdrawal as paid, by the vault transaction that the node names.
    ///
    /// # Errors
    ///
    /// The node does not prove it.
    pub async fn paid(&self, client: &Client, told: &Withdrawal) -> Result<()> {
        let wanted = Wanted { withdrawals: [told.id].into(), ..Wanted::default() };
        let is_so = |facts: &Facts| {
            let found = facts.withdrawals.get(&told.id).and_then(Option::as_ref);
            found.is_some_and(|found| found.paid_by.is_some() && found.paid_by == told.paid_by)
        };
        self.require(client, &wanted, is_so, &format!("withdrawal {} is paid", told.id)).await
    }

    async fn require(
        &self,
        client: &Client,
        wanted: &Wanted,
        is_so: impl Fn(&Facts) -> bool,
        what: &str,
    ) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if is_so(&self.facts(client, wanted).await?) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the node at {} says that {what}, and does not prove it: do not use this node", client.url());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn facts(&self, client: &Client, wanted: &Wanted) -> Result<Facts> {
        let header = proven::latest(client, &self.validators).await.map_err(plain)?;
        let age_s = now()?.saturating_sub(header.header.timestamp);
        ensure!(
            age_s <= MAX_AGE_S,
            "the latest final block that the node at {} shows is {age_s} s old: the chain stands still, or the node hides what is newer",
            client.url()
        );
        proven::facts(client, &header, wanted).await.map_err(plain)
    }
}

/// A node that does not answer is asked again by those who wait, whatever it was asked for.
fn plain(error: ProvenError) -> eyre::Report {
    match error {
        ProvenError::Node(error) => error.into(),
        error => error.into(),
    }
}
