//! Whom the federation waits for, asked from a node: what it is told by the signing board, everybody can check.

use std::collections::BTreeSet;

use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::SolEvent;
use contracts::address::{FEDERATION, SIGNING_BOARD};
use contracts::{Federation, SigningBoard};
use serde::Serialize;

use super::client::Client;
use super::error::Error;
use crate::board::Event;
use crate::peg::Info;
use crate::waited_for::{by_key_generation, by_signers};

/// Blocks in which members' words about each other count: more than half an hour, at two blocks a second.
const RECENT_BLOCKS: u64 = 5_000;

/// A member that keeps the others waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitedFor {
    pub member: u16,
    pub name: String,
    /// What is missing, or who says so.
    pub what: String,
}

impl Client {
    /// The members that keep the others waiting: those whose part of a key is missing, while there is none; later those that the
    /// others name for being late in signing.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub async fn waited_for(&self, info: &Info) -> Result<Vec<WaitedFor>, Error> {
        let members = u16::try_from(info.members.len()).unwrap_or(u16::MAX);
        let head = info.head.number;
        let told: Vec<(u16, String)> = if info.group_key.is_some() {
            let board = self.board(head.saturating_sub(RECENT_BLOCKS), head).await?;
            let named = by_signers(&board, members, info.threshold).into_iter();
            named.map(|(member, by)| (member, format!("late in signing: {by} members say so"))).collect()
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
