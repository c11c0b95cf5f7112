//! The sidechain's side: everything in the ledger that the audit counts, by proofs in the state of one final header.
//!
//! A node supplies bytes and proofs, and hints of what to ask for: whatever it leaves out or invents does not add up to what is proven.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U256};
use bitcoin::OutPoint;
use bridge::io::sidechain::{Client, proven};
use bridge::peg::VaultTransaction;
use contracts::Bridge;
use contracts::address::BRIDGE;
use eyre::{Result, WrapErr, ensure};
use light::facts::{Facts, Wanted};
use light::finality::Validators;
use light::ledger::{Deposit, Withdrawal};
use light::receipt::{About, Receipt, VERSION};
use light::reserves::{self, Shown};

use super::failure::Lie;
use crate::clock::now;
use crate::progress::Progress;

/// Ids asked for at once.
const PAGE: u64 = 500;

/// What is proven, with which anybody can check the same.
pub struct Ledger {
    pub facts: Facts,
    /// Every vault transaction that was ever bound, by number.
    pub vault: BTreeMap<u32, Shown>,
    /// The withdrawals that are not paid yet, by id: all of them, unless the header is old.
    pub open: BTreeMap<u64, Withdrawal>,
    /// Deposits that settled vault transactions sweep, and whose coins were not made yet: all of them.
    pub unminted: BTreeMap<OutPoint, Deposit>,
    pub receipt: Receipt,
}

impl Ledger {
    /// Reads and checks everything in the state after the node's latest block. If that is older than `max_age_s`, what the node has open now is not what was
    /// open then, and its not adding up is no lie.
    ///
    /// # Errors
    ///
    /// The node does not answer, or what it shows is not what is proven.
    pub async fn read(
        client: &Client,
        genesis: B256,
        validators: &Validators,
        max_age_s: u64,
        progress: &Progress,
    ) -> Result<Self> {
        let (finality, header) = proven::finality(client, "latest", validators).await?;
        let is_old = now()?.saturating_sub(header.header.timestamp) > max_age_s;
        let asked = Wanted { last_withdrawal: true, ..Wanted::default() };
        let facts = proven::facts(client, &header, &asked).await?;
        let (count, last_withdrawal) = (facts.vault_count, facts.last_withdrawal.unwrap_or_default());
        let told = told(client, count, progress).await?;
        progress.about("proving what the ledger says");
        let transactions = told.iter().map(|told| told.transaction.clone()).collect();
        let about = About::Reserves { transactions, epochs: told.iter().map(|told| told.epoch).collect() };
        let (facts, proofs) = proven::facts_with_proofs(client, &header, &about.wanted()).await?;
        let About::Reserves { transactions, .. } = &about else { unreachable!("made above") };
        let vault = reserves::vault_transactions(&facts, transactions)
            .wrap_err_with(|| format!("the node at {} does not show the vault as the ledger has it", client.url()))?;
        let receipt = Receipt { version: VERSION, genesis, finality, about, proofs };
        let open = open_withdrawals(client, &facts, last_withdrawal, is_old).await?;
        let unminted = unminted_deposits(client, &facts, &vault).await?;
        Ok(Self { facts, vault, open, unminted, receipt })
    }

    /// Vault transactions whose output 0 the books count.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Shown)> {
        self.vault.iter().filter(|(_, shown)| shown.entry.is_live()).map(|(number, shown)| (*number, shown))
    }
}

/// So many vault transactions, as the node has them.
async fn told(client: &Client, count: u32, progress: &Progress) -> Result<Vec<VaultTransaction>> {
    let mut all = Vec::new();
    for number in 1..=count {
        progress.of("reading vault transactions", u64::from(number - 1), u64::from(count));
        let told = client.vault_transaction(number).await?;
        let told = told.ok_or_else(|| {
            Lie(format!("the node at {} hides vault transaction {number}: the ledger proves {count}", client.url()))
        })?;
        all.push(told);
    }
    Ok(all)
}

/// Deposits that a settled vault transaction sweeps by its bytes, and that have no coins yet by their proven entries.
async fn unminted_deposits(
    client: &Client,
    facts: &Facts,
    vault: &BTreeMap<u32, Shown>,
) -> Result<BTreeMap<OutPoint, Deposit>> {
    if facts.books.unminted_sat == 0 {
        return Ok(BTreeMap::new());
    }
    let settled = vault.values().filter(|shown| shown.entry.is_settled);
    let deposits = settled.flat_map(|shown| &shown.transaction.input).map(|input| input.previous_output);
    let wanted = Wanted { deposits: deposits.collect(), ..Wanted::default() };
    let proven = proven::facts(client, &facts.header, &wanted).await?.deposits;
    let waits = |deposit: &Deposit| deposit.swept_by.is_some() && deposit.minted_sat.is_none();
    let waiting = proven.into_iter().filter_map(|(outpoint, found)| Some((outpoint, found.filter(waits)?)));
    Ok(waiting.collect())
}

/// The open withdrawals that the node names: proven, and as much as the ledger owes.
async fn open_withdrawals(
    client: &Client,
    facts: &Facts,
    last: u64,
    is_old: bool,
) -> Result<BTreeMap<u64, Withdrawal>> {
    let wanted = Wanted { withdrawals: named(client, last).await?, ..Wanted::default() };
    let proven = proven::facts(client, &facts.header, &wanted).await?.withdrawals;
    let open = |(id, withdrawal): (u64, Option<Withdrawal>)| Some((id, withdrawal.filter(Withdrawal::is_open)?));
    let open: BTreeMap<u64, Withdrawal> = proven.into_iter().filter_map(open).collect();
    let got = open.values().fold(0, |sum: u64, withdrawal| sum.saturating_add(withdrawal.amount_sat));
    let want = facts.books.owed_sat;
    ensure!(
        got == want || is_old,
        Lie(format!(
            "the node at {} names open withdrawals of {got} sat, the ledger proves {want} sat: it hides some (or one ended in between: try again)",
            client.url()
        ))
    );
    Ok(open)
}

/// The ids of open withdrawals, by the node's word: of those that were ever asked for, whose last is proven.
async fn named(client: &Client, last: u64) -> Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    for after in (0..last).step_by(usize::try_from(PAGE).expect("it is small")) {
        for is_tied in [false, true] {
            let page = page(client, is_tied, after).await?;
            let range = U256::from(after)..=U256::from(after.saturating_add(PAGE));
            let is_of_page = |id: &U256| range.contains(id) && *id != U256::from(after);
            ensure!(
                u64::try_from(page.len()).is_ok_and(|count| count <= PAGE) && page.iter().all(is_of_page),
                Lie(format!(
                    "the node at {} names {} withdrawals from {after} on which are not the {PAGE} after that",
                    client.url(),
                    page.len()
                ))
            );
            // What was asked for since that header is not in it.
            ids.extend(page.into_iter().map(|id| id.saturating_to::<u64>()).filter(|id| *id <= last));
        }
    }
    Ok(ids)
}

async fn page(client: &Client, is_tied: bool, after: u64) -> Result<Vec<U256>> {
    let (after, limit) = (U256::from(after), U256::from(PAGE));
    if is_tied {
        return Ok(client.call(BRIDGE, &Bridge::tiedWithdrawalsCall { after_: after, limit }).await?._0);
    }
    Ok(client.call(BRIDGE, &Bridge::queuedWithdrawalsCall { after_: after, limit }).await?._0)
}
