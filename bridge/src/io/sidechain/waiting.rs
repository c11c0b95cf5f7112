//! Whom the federation waits for, asked from a node: what it is told by the signing board, everybody can check.

use std::collections::{BTreeMap, BTreeSet};

use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::SolEvent;
use contracts::address::{FEDERATION, SIGNING_BOARD, VAULT};
use contracts::vault::Vault::{Approved, Bound, Proposed};
use contracts::{Federation, SigningBoard};
use serde::Serialize;

use super::client::Client;
use super::error::Error;
use crate::board::{Event, Kind, signing_session};
use crate::peg::{Content, Info, Pending};
use crate::waited_for::{Gathering, REMEMBERED_S, by_gatherings, by_key_generation, by_signers};

/// Blocks in which members' words about each other count: more than half an hour, at two blocks a second.
const RECENT_BLOCKS: u64 = 5_000;

/// Attempts at signing one vault transaction that are looked at.
const MAX_ATTEMPTS: u32 = 64;

/// A member that keeps the others waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitedFor {
    pub member: u16,
    pub name: String,
    /// What is missing, or who says so.
    pub what: String,
}

/// A proposal of a member, as the ledger logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub number: u64,
    pub member: u16,
    pub content: Content,
    /// Members that approved it.
    pub approvals: BTreeSet<u16>,
    /// In seconds since 1970.
    pub opened_at: u64,
    /// Whether a vault transaction was made of it.
    pub bound: bool,
}

impl Proposal {
    /// Where its approvals gather.
    fn gathering(&self, now: u64) -> Gathering {
        let what = format!("has not approved proposal {}", self.number);
        Gathering { what, there: self.approvals.clone(), age_s: now.saturating_sub(self.opened_at) }
    }
}

impl Client {
    /// The members that keep the others waiting: those whose part of a key is missing, while there is none; later those that the
    /// others name for being late in signing, and those that do not approve what most others do.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub async fn waited_for(
        &self,
        info: &Info,
        proposals: &[Proposal],
        pending: &[Pending],
    ) -> Result<Vec<WaitedFor>, Error> {
        let members = u16::try_from(info.members.len()).unwrap_or(u16::MAX);
        let head = info.head.number;
        let told: BTreeMap<u16, String> = if info.group_key.is_some() {
            let board = self.board(head.saturating_sub(RECENT_BLOCKS), head).await?;
            let named = by_signers(&board, members, info.threshold).into_iter();
            let mut told: BTreeMap<u16, String> =
                named.map(|(member, by)| (member, format!("late in signing: {by} members say so"))).collect();
            let mut gatherings = attempts(&board, info, pending);
            let proposed = unanswered(proposals).map(|proposal| proposal.gathering(info.head.timestamp));
            gatherings.extend(proposed.filter(|gathering| gathering.age_s <= REMEMBERED_S));
            told.extend(by_gatherings(&gatherings, members, info.threshold));
            told
        } else {
            let board = self.board(0, head).await?;
            let confirmed = self.confirmers(info.epoch, head).await?;
            let (step, missing) = by_key_generation(&board, info.network_id, info.epoch, members, &confirmed);
            missing.into_iter().map(|member| (member, format!("{step} is missing"))).collect()
        };
        let name =
            |index: u16| info.members.iter().find(|member| member.index == index).map(|member| member.name.clone());
        let waited_for =
            |(member, what): (u16, String)| WaitedFor { member, name: name(member).unwrap_or_default(), what };
        Ok(told.into_iter().map(waited_for).collect())
    }

    /// What members proposed within the last half hour or so, the newest last.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub async fn proposals(&self, info: &Info) -> Result<Vec<Proposal>, Error> {
        let head = info.head.number;
        let kinds = vec![Proposed::SIGNATURE_HASH, Approved::SIGNATURE_HASH, Bound::SIGNATURE_HASH];
        let filter = Filter::new().address(VAULT).event_signature(kinds);
        let logs = self.logs(&filter, head.saturating_sub(RECENT_BLOCKS), head).await?;
        let mut proposals = Vec::new();
        logs.iter().for_each(|log| take(&mut proposals, log));
        Ok(proposals)
    }

    async fn board(&self, from: u64, to: u64) -> Result<Vec<Event>, Error> {
        let logs = self.logs(&Filter::new().address(SIGNING_BOARD), from, to).await?;
        let event = |log: &Log| {
            let posted = SigningBoard::Posted::decode_log(&log.inner).ok()?.data;
            let SigningBoard::Posted { session, member, kind, payload } = posted;
            let timestamp = log.block_timestamp.unwrap_or_default();
            Some(Event { session, member, kind, payload: payload.to_vec(), timestamp })
        };
        Ok(logs.iter().filter_map(event).collect())
    }

    async fn confirmers(&self, epoch: u32, to: u64) -> Result<BTreeSet<u16>, Error> {
        let logs = self.logs(&Filter::new().address(FEDERATION), 0, to).await?;
        let confirmed = logs.iter().filter_map(|log| Federation::KeyConfirmed::decode_log(&log.inner).ok());
        Ok(confirmed.filter(|confirmed| confirmed.epoch == epoch).map(|confirmed| confirmed.member).collect())
    }
}

/// Takes one log of the ledger in: they come in their order.
fn take(proposals: &mut Vec<Proposal>, log: &Log) {
    if let Ok(Proposed { proposal, member, content, .. }) = Proposed::decode_log(&log.inner).map(|log| log.data) {
        let opened_at = log.block_timestamp.unwrap_or_default();
        let (content, approvals) = (Content::from(content), BTreeSet::new());
        proposals.push(Proposal { number: proposal, member, content, approvals, opened_at, bound: false });
        return;
    }
    let approved = Approved::decode_log(&log.inner).map(|log| (log.data.proposal, Some(log.data.member)));
    let event = approved.or_else(|_| Bound::decode_log(&log.inner).map(|log| (log.data.proposal, None)));
    let Ok((number, approver)) = event else { return };
    let Some(proposal) = proposals.iter_mut().rev().find(|proposal| proposal.number == number) else { return };
    proposal.approvals.extend(approver);
    proposal.bound |= approver.is_none();
}

/// Those that came after the last one that was bound: while something is, the federation works.
fn unanswered(proposals: &[Proposal]) -> impl Iterator<Item = &Proposal> {
    let after = proposals.iter().rposition(|proposal| proposal.bound).map_or(0, |last| last + 1);
    proposals[after..].iter()
}

/// Attempts after the first at signing what waits, by their commitments. Those of the first are the approvals, which were enough.
fn attempts(board: &[Event], info: &Info, pending: &[Pending]) -> Vec<Gathering> {
    let now = info.head.timestamp;
    let mut gatherings = Vec::new();
    for vault in pending {
        for attempt in 2..=MAX_ATTEMPTS {
            let session = signing_session(info.network_id, vault.number, attempt);
            let posts = board.iter().filter(|event| event.session == session && event.kind == Kind::Commitments as u8);
            let Some(since) = posts.clone().map(|event| event.timestamp).min() else { break };
            let there = posts.map(|event| event.member).collect();
            let what = format!("has not committed to sign vault transaction {}", vault.number);
            gatherings.push(Gathering { what, there, age_s: now.saturating_sub(since) });
        }
    }
    gatherings
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, LogData};

    fn log(event: LogData, at: u64) -> Log {
        let inner = alloy_primitives::Log { address: VAULT, data: event };
        Log { inner, block_timestamp: Some(at), ..Log::default() }
    }

    fn proposed(proposal: u64, at: u64) -> Log {
        let content = (&Content { epoch: 1, rate: 2_000, ..Content::default() }).into();
        log(Proposed { proposal, member: 1, contentHash: B256::ZERO, content }.encode_log_data(), at)
    }

    #[test]
    fn what_was_proposed_since_something_was_bound_is_unanswered() {
        let approved = |proposal, member| log(Approved { proposal, member }.encode_log_data(), 0);
        let bound = Bound {
            number: 1,
            txid: B256::ZERO,
            proposal: 5,
            content: (&Content::default()).into(),
            changeSat: 0,
            amountsSat: Vec::new(),
            transaction: Vec::new().into(),
        };
        let logs = [
            proposed(4, 10),
            approved(4, 1),
            proposed(5, 20),
            approved(5, 2),
            log(bound.encode_log_data(), 30),
            proposed(6, 40),
            approved(6, 1),
            approved(6, 3),
        ];
        let mut proposals = Vec::new();
        logs.iter().for_each(|log| take(&mut proposals, log));
        let bound: Vec<bool> = proposals.iter().map(|proposal| proposal.bound).collect();
        assert_eq!(bound, [false, true, false]);
        let left: Vec<&Proposal> = unanswered(&proposals).collect();
        assert_eq!((left.len(), left[0].number, left[0].opened_at), (1, 6, 40));
        assert_eq!(left[0].gathering(65).age_s, 25);
        assert_eq!(left[0].approvals, BTreeSet::from([1, 3]));
    }
}
