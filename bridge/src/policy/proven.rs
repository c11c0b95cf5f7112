//! What an approval or a signature rests on, taken from proofs: a node that lies can delay, and nothing else.
//!
//! A member's node tells it what happens. Before it commits to anything, whatever a content names is proven under a final header, and replaces
//! what the node told; what is not named bounds or delays only.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid, XOnlyPublicKey};
use contracts::IVault;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolValue as _;
use light::facts::{Facts, Wanted};
use light::ledger;

use super::refusal::Refusal;
use crate::peg::Content;
use crate::vault_tx::facts::{Deposit, LedgerFacts, Output, Withdrawal};

/// The oldest header that facts may be of, in seconds: a chain that is up makes several in that time.
pub const MAX_AGE_S: u64 = 60;

/// What has to be proven before a proposal is approved.
#[must_use]
pub fn wanted_of_proposal(number: u64, content: &Content, inputs: &[OutPoint], epoch: u32) -> Wanted {
    let mut wanted = named(content);
    wanted.vault.extend(inputs.iter().map(|input| input.txid));
    wanted.proposals.insert(number);
    wanted.epochs.insert(epoch);
    wanted
}

/// What has to be proven before a bound vault transaction is signed.
#[must_use]
pub fn wanted_of_bound(txid: Txid, content: &Content, epoch: u32) -> Wanted {
    let mut wanted = named(content);
    wanted.vault.insert(txid);
    wanted.epochs.insert(epoch);
    wanted
}

fn named(content: &Content) -> Wanted {
    Wanted {
        withdrawals: content.withdrawals.iter().copied().collect(),
        deposits: content.deposits.iter().copied().collect(),
        epochs: [content.epoch].into(),
        ..Wanted::default()
    }
}

/// The hash that stands for a content in the ledger.
#[must_use]
pub fn content_hash(content: &Content) -> B256 {
    keccak256(IVault::Content::from(content).abi_encode())
}

/// Whether the header that facts are of is young enough.
///
/// # Errors
///
/// [`Refusal::OldHeader`]: the chain stands still, or the node hides what is newer.
pub fn require_young(facts: &Facts, now_s: u64) -> Result<(), Refusal> {
    let age_s = now_s.saturating_sub(facts.header.header.timestamp);
    if age_s <= MAX_AGE_S { Ok(()) } else { Err(Refusal::OldHeader { age_s }) }
}

/// The ledger's facts, with all that the content names as it is proven.
///
/// # Errors
///
/// The proposal is not there, or something that it names is not as the node told.
pub fn proposal_facts(
    told: LedgerFacts,
    (number, content): (u64, &Content),
    proven: &Facts,
) -> Result<LedgerFacts, Refusal> {
    let opened = proven.proposals.get(&number).copied().flatten();
    let is_open = opened.is_some_and(|opened| opened.content == content_hash(content));
    require(is_open, || format!("proposal {number} with this content"))?;
    let mut facts = told;
    for outpoint in &content.deposits {
        let told = facts.deposits.remove(outpoint);
        let found = proven.deposits.get(outpoint).cloned().flatten().and_then(|found| deposit(&found));
        if let Some(found) = found {
            let in_use = told.is_some_and(|told| told.in_use);
            facts.deposits.extend(told.map(|_| (*outpoint, Deposit { in_use, ..found })));
        }
    }
    for number in &content.outputs {
        let told = facts.outputs.remove(number);
        let live = |told: Output| {
            let found = proven.vault_transaction(*number, told.txid).filter(|found| found.is_live())?;
            Some((*number, output(found, &told)))
        };
        facts.outputs.extend(told.and_then(live));
    }
    for id in &content.withdrawals {
        let told = facts.withdrawals.remove(id);
        let found = proven.withdrawals.get(id).cloned().flatten().filter(ledger::Withdrawal::is_open);
        if let Some((told, found)) = told.zip(found) {
            let tie = told.tie.filter(|tie| found.tie == Some(*tie));
            facts.withdrawals.insert(*id, Withdrawal { tie, ..withdrawal(&found) });
        }
    }
    facts.reserve_sat = proven.books.reserve_sat;
    facts.window_left = facts.window_left.min(window_left(&facts, proven));
    let vault_key = proven.keys.get(&facts.epoch).map(|keys| keys.vault);
    require(vault_key == Some(key_bytes(facts.vault_key)), || format!("the vault key of epoch {}", facts.epoch))?;
    Ok(facts)
}

/// What may be tied for the first time in the state of the header: it has grown since the ledger wrote it.
fn window_left(facts: &LedgerFacts, proven: &Facts) -> Amount {
    let (limits, now) = (&proven.limits, proven.header.header.timestamp);
    if limits.paused_until > now {
        return Amount::ZERO;
    }
    let window = u128::from(facts.rules.window.to_sat());
    let since = u128::from(now.saturating_sub(limits.window_since));
    let grown = window * since / u128::from(facts.rules.window_s.max(1));
    let left = (u128::from(limits.window_left_sat) + grown).min(window);
    Amount::from_sat(u64::try_from(left).unwrap_or(u64::MAX))
}

/// None: it cannot be swept.
fn deposit(found: &ledger::Deposit) -> Option<Deposit> {
    let can_be_swept = found.swept_by.is_none() && !found.is_gone;
    can_be_swept.then(|| Deposit {
        amount: Amount::from_sat(found.amount_sat),
        max_fee: Amount::from_sat(found.max_fee_sat),
        epoch: found.epoch,
        was_bound: found.was_bound,
        minted: found.minted_sat.map(Amount::from_sat),
        for_reserve: found.recipient == BRIDGE,
        height: found.height,
        in_use: false,
    })
}

/// Whether it is rooted, and what else spends it, the ledger or a planner asks.
fn output(found: &ledger::VaultTransaction, told: &Output) -> Output {
    Output {
        txid: found.txid,
        amount: Amount::from_sat(found.change_sat),
        epoch: found.epoch,
        height: found.height,
        is_rooted: told.is_rooted,
        in_use: told.in_use,
    }
}

fn withdrawal(found: &ledger::Withdrawal) -> Withdrawal {
    Withdrawal {
        amount: Amount::from_sat(found.amount_sat),
        max_fee: Amount::from_sat(found.max_fee_sat),
        script: ScriptBuf::from_bytes(found.script.to_vec()),
        tie: found.tie,
        asked_at: found.asked_at,
    }
}

/// What is proven of a bound vault transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenBound {
    /// The id under which the ledger has it as bound.
    pub txid: Txid,
    /// The open withdrawals that it pays, with their ties.
    pub withdrawals: BTreeMap<u64, Withdrawal>,
}

/// What is proven of the vault transaction `number` with this txid, bound with `content`.
///
/// # Errors
///
/// The ledger has it with another content, or as settled or void; or the keys are others.
pub fn bound_facts(
    (number, txid, content): (u32, Txid, &Content),
    (epoch, vault_key): (u32, XOnlyPublicKey),
    proven: &Facts,
) -> Result<ProvenBound, Refusal> {
    let entry = proven.vault_transaction(number, txid);
    let is_bound = |entry: &&ledger::VaultTransaction| !entry.is_settled && !entry.is_void;
    let entry = entry.filter(is_bound).filter(|entry| entry.content == content_hash(content));
    let entry = entry.ok_or_else(|| Refusal::NotProven(format!("vault transaction {number} with this content")))?;
    let key = proven.keys.get(&epoch).map(|keys| keys.vault);
    require(key == Some(key_bytes(vault_key)), || format!("the vault key of epoch {epoch}"))?;
    let open = |id: &u64| {
        let found = proven.withdrawals.get(id).cloned().flatten().filter(ledger::Withdrawal::is_open)?;
        Some((*id, withdrawal(&found)))
    };
    Ok(ProvenBound { txid: entry.txid, withdrawals: content.withdrawals.iter().filter_map(open).collect() })
}

/// The group key of the inputs' epoch, as it is proven.
///
/// # Errors
///
/// It is not what the node told.
pub fn require_group_key(epoch: u32, told: XOnlyPublicKey, proven: &Facts) -> Result<(), Refusal> {
    let key = proven.keys.get(&epoch).map(|keys| keys.group);
    require(key == Some(key_bytes(told)), || format!("the group key of epoch {epoch}"))
}

fn key_bytes(key: XOnlyPublicKey) -> B256 {
    B256::from(key.serialize())
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::NotProven(what())) }
}

/// Whether a vault output has ended for good: spent by something that is no vault transaction, never to exist, or spent by a vault transaction that
/// is as deep as nothing is taken back. `depth` is that one's, by the member's own bitcoind: none if it is not in the best chain there.
#[must_use]
pub fn has_ended(outpoint: OutPoint, found: &ledger::VaultTransaction, depth: Option<u32>, final_blocks: u32) -> bool {
    let is_it = found.output() == Some(outpoint);
    let is_spent = found.spent_by.is_some() && depth.is_some_and(|depth| depth >= final_blocks);
    is_it && (found.is_gone || found.is_void || is_spent)
}

#[cfg(test)]
mod tests;
