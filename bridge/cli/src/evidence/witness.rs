//! What a holder is shown of a deposit or a withdrawal is proven first, as far as the ledger keeps it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bitcoin::{OutPoint, Transaction, consensus};
use bridge::io::sidechain::Client;
use bridge::io::sidechain::proven::{self, ProvenError};
use bridge::peg::{Deposit, VaultStatus, VaultTransaction, Version, Withdrawal, WithdrawalStatus};
use bridge::policy::proven::content_hash;
use eyre::{Result, bail};
use light::FinalHeader;
use light::facts::{Facts, Wanted};
use light::finality::Validators;
use light::ledger;
use sidechain::genesis::Genesis;

use crate::clock::now;

/// The oldest that a node's latest final header may be, in seconds.
const MAX_AGE_S: u64 = 300;
/// How long a node may take to prove what it says: its latest certificate may be of the block before.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Versions of a withdrawal that are proven, the newest.
const MOST_VERSIONS: usize = 16;
/// Entries that are remembered as proven.
const MOST_PROVEN: usize = 1_000;

/// Checks what a node says by the validators' keys.
#[derive(Clone, Debug)]
pub struct Witness {
    validators: Validators,
    /// What was proven last, so that what has not changed is not proven again.
    deposits: BTreeMap<OutPoint, Deposit>,
    withdrawals: BTreeMap<u64, Withdrawal>,
}

impl Witness {
    /// By the network's genesis file.
    ///
    /// # Errors
    ///
    /// Its keys are none.
    pub fn of(genesis: &Genesis) -> Result<Self> {
        Ok(Self { validators: genesis.validators()?, deposits: BTreeMap::new(), withdrawals: BTreeMap::new() })
    }

    /// A deposit as the ledger has it: what was told, or what the node says after another look. Its confirmations stay the node's word.
    ///
    /// # Errors
    ///
    /// The node does not prove what it says.
    pub async fn deposit(&mut self, client: &Client, mut told: Deposit) -> Result<Deposit> {
        let outpoint = OutPoint::new(told.txid, told.vout);
        let wanted = Wanted { deposits: [outpoint].into(), ..Wanted::default() };
        let until = Instant::now() + PATIENCE;
        while self.deposits.get(&outpoint) != Some(&entry(&told)) {
            let facts = self.facts(client, &wanted).await?;
            if facts.deposits.get(&outpoint).and_then(Option::as_ref).is_some_and(|found| is_deposit(found, &told)) {
                make_room(&mut self.deposits);
                self.deposits.insert(outpoint, entry(&told));
                break;
            }
            let now = client.deposit(&outpoint.to_string()).await?.deposits.into_iter();
            told = now.last().filter(|now| (now.txid, now.vout) == (outpoint.txid, outpoint.vout)).unwrap_or(told);
            give_up_after(until, client, &format!("deposit {outpoint} is {}", word(told.status))).await?;
        }
        Ok(told)
    }

    /// A withdrawal as the ledger has it, as [`Witness::deposit`], with what the newest versions that pay it let it pay. That there are no others stays
    /// the node's word.
    ///
    /// # Errors
    ///
    /// The node does not prove what it says.
    pub async fn withdrawal(&mut self, client: &Client, mut told: Withdrawal) -> Result<Withdrawal> {
        let until = Instant::now() + PATIENCE;
        while self.withdrawals.get(&told.id) != Some(&told) {
            let mut versions = Vec::new();
            for version in newest(&told) {
                versions.extend(client.vault_transaction(version.number).await?.map(|made| (*version, made)));
            }
            let vault = versions.iter().map(|(version, _)| version.txid).collect();
            let wanted = Wanted { withdrawals: [told.id].into(), vault, ..Wanted::default() };
            let facts = self.facts(client, &wanted).await?;
            let is_so = versions.len() == newest(&told).len()
                && versions.iter().all(|(version, made)| is_version(&facts, &told, version, made));
            if is_so && is_withdrawal(&facts, &told) {
                make_room(&mut self.withdrawals);
                self.withdrawals.insert(told.id, told.clone());
                break;
            }
            told = client.withdrawal(told.id).await?.filter(|now| now.id == told.id).unwrap_or(told);
            give_up_after(until, client, &format!("withdrawal {} is {}", told.id, word(told.status))).await?;
        }
        Ok(told)
    }

    async fn facts(&self, client: &Client, wanted: &Wanted) -> Result<Facts> {
        let header = young(proven::latest(client, &self.validators).await.map_err(plain)?, client)?;
        proven::facts(client, &header, wanted).await.map_err(plain)
    }
}

/// The newest final header that a node shows, unless it is too old to tell what is so now.
///
/// # Errors
///
/// It is; or the clock of this machine is before 1970.
pub fn young(header: FinalHeader, client: &Client) -> Result<FinalHeader> {
    match old(header.header.timestamp, client)? {
        Some(old) => bail!(old),
        None => Ok(header),
    }
}

/// What to say of the newest block that a node shows when that is too old to tell what is so now.
///
/// # Errors
///
/// The clock of this machine is before 1970.
pub fn old(timestamp: u64, client: &Client) -> Result<Option<String>> {
    let age_s = now()?.saturating_sub(timestamp);
    let told = || {
        format!(
            "the latest final block that the node at {} shows is {age_s} s old: the chain stands still, or the node hides what is newer",
            client.url()
        )
    };
    Ok((age_s > MAX_AGE_S).then(told))
}

/// A node that does not answer is asked again by those who wait, whatever it was asked for.
pub fn plain(error: ProvenError) -> eyre::Report {
    match error {
        ProvenError::Node(error) => error.into(),
        error => error.into(),
    }
}

/// A status as the node names it.
fn word(status: impl std::fmt::Debug) -> String {
    format!("{status:?}").to_lowercase()
}

fn make_room<K: Ord, V>(proven: &mut BTreeMap<K, V>) {
    if proven.len() >= MOST_PROVEN {
        proven.clear();
    }
}

/// Waits a moment, since a certificate may be of the block before.
async fn give_up_after(until: Instant, client: &Client, what: &str) -> Result<()> {
    if Instant::now() > until {
        bail!("the node at {} says that {what}, and does not prove it: do not use this node", client.url());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// What the ledger keeps of it; the rest follows from the tip of the light client.
fn entry(told: &Deposit) -> Deposit {
    Deposit { confirmations: 0, has_left: false, ..told.clone() }
}

fn is_deposit(found: &ledger::Deposit, told: &Deposit) -> bool {
    let proven = Deposit {
        status: found.status(),
        recipient: found.recipient,
        claimant: found.claimant,
        amount_sat: found.amount_sat,
        max_fee_sat: found.max_fee_sat,
        minted_sat: found.minted_sat,
        bound: found.was_bound,
        swept_by: found.swept_by,
        height: found.height,
        block_head: found.block_head,
        epoch: found.epoch,
        ..entry(told)
    };
    proven == entry(told)
}

/// The newest versions, and the one that is said to have paid it.
fn newest(told: &Withdrawal) -> Vec<&Version> {
    let counts = |(place, version): &(usize, &Version)| {
        place + MOST_VERSIONS >= told.versions.len() || Some(version.number) == told.paid_by
    };
    told.versions.iter().enumerate().filter(counts).map(|(_, version)| version).collect()
}

/// A vault transaction that the ledger has bound pays the withdrawal so much less.
fn is_version(facts: &Facts, told: &Withdrawal, version: &Version, made: &VaultTransaction) -> bool {
    let Some(entry) = facts.vault_transaction(version.number, version.txid) else { return false };
    let Ok(transaction) = consensus::deserialize::<Transaction>(&made.transaction) else { return false };
    if transaction.compute_txid() != version.txid || content_hash(&made.content) != entry.content {
        return false;
    }
    let status = match (entry.is_void, entry.is_settled) {
        (true, _) => VaultStatus::Void,
        (false, true) => VaultStatus::Settled,
        (false, false) => VaultStatus::Bound,
    };
    let place = made.content.withdrawals.iter().position(|id| *id == told.id);
    let output = place.and_then(|place| transaction.output.get(place + usize::from(entry.change_sat != 0)));
    let charge_sat = output.and_then(|output| told.amount_sat.checked_sub(output.value.to_sat()));
    (version.status, Some(version.charge_sat)) == (status, charge_sat)
}

fn is_withdrawal(facts: &Facts, told: &Withdrawal) -> bool {
    let Some(found) = facts.withdrawals.get(&told.id).and_then(Option::as_ref) else { return false };
    let proven = Withdrawal {
        id: told.id,
        // Whether the tie holds follows from the vault output.
        status: found.status(told.status == WithdrawalStatus::Tied),
        owner: found.owner,
        amount_sat: found.amount_sat,
        max_fee_sat: found.max_fee_sat,
        asked_at: found.asked_at,
        tie: found.tie.filter(|_| told.tie.is_some()),
        versions: told.versions.clone(),
        paid_by: found.paid_by,
        script: found.script.clone(),
    };
    let has_paid = |version: &Version| Some(version.number) == told.paid_by && version.status == VaultStatus::Settled;
    proven == *told && (told.paid_by.is_none() || told.versions.iter().any(has_paid))
}
