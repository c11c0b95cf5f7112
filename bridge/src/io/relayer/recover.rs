//! After a restore: this member's record of what it signed is made anew from the ledger, before it takes part in anything.
//!
//! A restore brings back the share of the key and nothing that changes: no nonces, and no old record of signatures, which would not know the newest.
//! It leaves a mark ([`RESTORED`]) instead; while that is there, no task runs. What is read is proven ([`crate::policy::recovery`] says why it is enough).
//! A process that dies meanwhile begins again.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;
use light::facts::{Facts, Wanted};

use super::error::{FatalError, RoundError};
use super::gather_ledger::txid_of;
use super::member::Member;
use super::node::Node;
use super::promises::SIGNED;
use crate::policy::Signed;
use crate::policy::recovery::{LedgerWindow, MARGIN_S, Tied, is_late_enough, taken};

/// The mark that a restore leaves in a data directory.
pub const RESTORED: &str = "restored.json";

/// Withdrawals that are proven at once.
const WITHDRAWALS_AT_ONCE: u64 = 300;
/// Vault transactions that are proven at once.
const OUTPUTS_AT_ONCE: usize = 400;
/// Ties in one record.
const TIES_AT_ONCE: usize = 10_000;

/// Makes the record, if there is the mark. `started_s` is when this process began, in seconds since 1970.
///
/// # Errors
///
/// `TooEarly`, and whatever the node does not answer or prove: to be tried again.
pub async fn recover<N: Node>(member: &Member<N>, started_s: u64) -> Result<(), RoundError> {
    if member.store.get(RESTORED)?.is_none() {
        return Ok(());
    }
    let first = prove(member, &Wanted { last_withdrawal: true, ..Wanted::default() }).await?;
    let block_s = first.header.header.timestamp;
    if !is_late_enough(block_s, started_s) {
        return Err(RoundError::TooEarly { got_s: block_s, want_s: started_s.saturating_add(MARGIN_S) });
    }
    let tied = tied(member, first.last_withdrawal.unwrap_or_default()).await?;
    let now_s = member.clock.unix_ms() / 1000;
    let parameters = &member.parameters;
    let window = LedgerWindow {
        window_sat: parameters.window_sat,
        window_s: parameters.window_seconds.into(),
        limits: first.limits,
    };
    let mut counted = taken(&member.limit, &window, &tied, now_s);
    tracing::info!(
        withdrawals = tied.len(),
        "a restored member: its record of what it may have signed is made anew from the ledger; what the lost one signed is in it"
    );
    member.store.create_log(SIGNED)?;
    let ties: Vec<(u64, OutPoint)> = tied.iter().map(|tied| (tied.withdrawal, tied.outpoint)).collect();
    let mut parts = ties.chunks(TIES_AT_ONCE);
    let mut part = parts.next().unwrap_or_default();
    loop {
        let record = Signed::recovered((now_s, std::mem::take(&mut counted)), part);
        member.store.append(SIGNED, &record)?;
        match parts.next() {
            Some(next) => part = next,
            None => break,
        }
    }
    Ok(member.store.remove(RESTORED)?)
}

async fn prove<N: Node>(member: &Member<N>, wanted: &Wanted) -> Result<Facts, RoundError> {
    Ok(member.node.proven(&member.validators, wanted).await?)
}

/// All withdrawals that were ever tied, with the vault output of their last tie.
async fn tied<N: Node>(member: &Member<N>, last: u64) -> Result<Vec<Tied>, RoundError> {
    let mut found = Vec::new();
    let mut from = 1;
    while from <= last {
        let to = last.min(from + WITHDRAWALS_AT_ONCE - 1);
        let facts = prove(member, &Wanted { withdrawals: (from..=to).collect(), ..Wanted::default() }).await?;
        let withdrawals = facts.withdrawals.into_iter().filter_map(|(id, found)| Some((id, found?)));
        found.extend(withdrawals.filter_map(|(id, found)| Some((id, found.tie?, found.amount_sat, found.is_open()))));
        from = to + 1;
    }
    let numbers: BTreeSet<u32> = found.iter().map(|(_, tie, ..)| *tie).collect();
    let outpoints = outpoints(member, &numbers.into_iter().collect::<Vec<_>>()).await?;
    let tied = found.into_iter().map(|(withdrawal, tie, amount_sat, is_open)| {
        outpoints.get(&tie).map(|outpoint| Tied { withdrawal, outpoint: *outpoint, amount_sat, is_open })
    });
    tied.collect::<Option<_>>().ok_or_else(|| FatalError::Record("a tie's output is not proven".to_owned()).into())
}

/// The vault outputs of these numbers: their ids are the node's word, and then proven.
async fn outpoints<N: Node>(member: &Member<N>, numbers: &[u32]) -> Result<BTreeMap<u32, OutPoint>, RoundError> {
    let mut outpoints = BTreeMap::new();
    for part in numbers.chunks(OUTPUTS_AT_ONCE) {
        let mut txids = BTreeMap::new();
        for number in part {
            txids.insert(*number, txid_of(&*member.node, *number).await?);
        }
        let facts = prove(member, &Wanted { vault: txids.values().copied().collect(), ..Wanted::default() }).await?;
        for (number, txid) in txids {
            let found = facts.vault_transaction(number, txid);
            let found = found.ok_or_else(|| RoundError::Unproven { url: member.node.url().to_owned(), number })?;
            outpoints.insert(number, OutPoint { txid: found.txid, vout: 0 });
        }
    }
    Ok(outpoints)
}
