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
use eyre::{Result, WrapErr, ensure, eyre};
use light::facts::{Facts, Wanted};
use light::finality::Validators;
use light::ledger::{Deposit, Withdrawal};
use light::receipt::{About, Receipt, VERSION};
use light::reserves::{self, Shown};

/// Ids asked for at once.
const PAGE: u64 = 500;

/// What is proven, with which anybody can check the same.
pub struct Ledger {
    pub facts: Facts,
    /// Every vault transaction that was ever bound, by number.
    pub vault: BTreeMap<u32, Shown>,
    /// The withdrawals that are not paid yet, by id: all of them.
    pub open: BTreeMap<u64, Withdrawal>,
    /// Deposits that settled vault transactions sweep, and whose coins were not made yet: all of them.
    pub unminted: BTreeMap<OutPoint, Deposit>,
    pub receipt: Receipt,
}

impl Ledger {
    /// Reads and checks everything in the state after the node's latest block.
    ///
    /// # Errors
    ///
    /// The node does not answer, or what it shows is not what is proven.
    pub async fn read(client: &Client, genesis: B256, validators: &Validators) -> Result<Self> {
        let (finality, header) = proven::finality(client, "latest", validators).await?;
        let count = proven::facts(client, &header, &Wanted::default()).await?.vault_count;
        let told = told(client, count).await?;
        let transactions = told.iter().map(|told| told.transaction.clone()).collect();
        let about = About::Reserves { transactions, epochs: told.iter().map(|told| told.epoch).collect() };
        let (facts, proofs) = proven::facts_with_proofs(client, &header, &about.wanted()).await?;
        let About::Reserves { transactions, .. } = &about else { unreachable!("made above") };
        let vault = reserves::vault_transactions(&facts, transactions)
            .wrap_err_with(|| format!("the node at {} does not show the vault as the ledger has it", client.url()))?;
        let receipt = Receipt { version: VERSION, genesis, finality, about, proofs };
        let open = open_withdrawals(client, &facts).await?;
        let unminted = unminted_deposits(client, &facts, &vault).await?;
        Ok(Self { facts, vault, open, unminted, receipt })
    }

    /// Vault transactions whose output 0 the books count.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Shown)> {
        self.vault.iter().filter(|(_, shown)| shown.entry.is_live()).map(|(number, shown)| (*number, shown))
    }
}

/// So many vault transactions, as the node has them.
async fn told(client: &Client, count: u32) -> Result<Vec<VaultTransaction>> {
    let mut all = Vec::new();
    for number in 1..=count {
        let told = client.vault_transaction(number).await?;
        let told = told.ok_or_else(|| {
            eyre!("the node at {} hides vault transaction {number}: the ledger proves {count}", client.url())
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
async fn open_withdrawals(client: &Client, facts: &Facts) -> Result<BTreeMap<u64, Withdrawal>> {
    let wanted = Wanted { withdrawals: named(client).await?, ..Wanted::default() };
    let proven = proven::facts(client, &facts.header, &wanted).await?.withdrawals;
    let open = |(id, withdrawal): (u64, Option<Withdrawal>)| Some((id, withdrawal.filter(Withdrawal::is_open)?));
    let open: BTreeMap<u64, Withdrawal> = proven.into_iter().filter_map(open).collect();
    let got = open.values().fold(0, |sum: u64, withdrawal| sum.saturating_add(withdrawal.amount_sat));
    let want = facts.books.owed_sat;
    ensure!(
        got == want,
        "the node at {} names open withdrawals of {got} sat, the ledger proves {want} sat: it hides some (or one ended in between: try again)",
        client.url()
    );
    Ok(open)
}

/// The ids of open withdrawals, by the node's word.
async fn named(client: &Client) -> Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    for is_tied in [false, true] {
        let mut after = U256::ZERO;
        loop {
            let (page, next) = page(client, is_tied, after).await?;
            ids.extend(page.into_iter().map(|id| id.saturating_to::<u64>()));
            if next <= after {
                break;
            }
            after = next;
        }
    }
    Ok(ids)
}

async fn page(client: &Client, is_tied: bool, after: U256) -> Result<(Vec<U256>, U256)> {
    let limit = U256::from(PAGE);
    if is_tied {
        let page = client.call(BRIDGE, &Bridge::tiedWithdrawalsCall { after_: after, limit }).await?;
        return Ok((page._0, page._1));
    }
    let page = client.call(BRIDGE, &Bridge::queuedWithdrawalsCall { after_: after, limit }).await?;
    Ok((page._0, page._1))
}
