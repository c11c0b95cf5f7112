//! What this member has promised by its signatures, and what it remembers of the others: durable before anything leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{OutPoint, TxOut};

use super::error::FatalError;
use super::key_generation::KEY_FILES;
use super::member::Member;
use super::node::Node;
use crate::board::Blame;
use crate::policy::{Bound, Refusal, Signed};
use crate::relay::latecomers::Latecomers;

pub const SIGNED: &str = "signed.log";
const LATE: &str = "late.json";

/// One member's promises.
pub struct Promises<N> {
    member: Arc<Member<N>>,
    pub signed: Signed,
    late: Latecomers,
    /// Vault outputs that were seen finally ended.
    pub ended: BTreeSet<OutPoint>,
    /// What its own bitcoind had unspent when it approved a proposal: enough to sign what becomes of it, whatever bitcoind does meanwhile.
    pub seen: BTreeMap<u64, BTreeMap<OutPoint, TxOut>>,
    /// Those that stand in the way of a signature, while they have not ended: to be asked about.
    doubted: BTreeSet<OutPoint>,
    /// Its node told something that it does not prove.
    is_contradicted: bool,
}

impl<N: Node> Promises<N> {
    /// What was signed. Once there is a key the log must be there: without it this member does not know what it promised.
    pub fn open(member: Arc<Member<N>>) -> Result<Self, FatalError> {
        let records = member.store.open_log(SIGNED, KEY_FILES)?;
        let signed = Signed::replay(records.iter().map(|record| record.as_slice()), member.limit);
        let signed = signed.map_err(|error| FatalError::Record(error.to_string()))?;
        let late = member.store.get_json(LATE)?.unwrap_or_default();
        Ok(Self {
            member,
            signed,
            late,
            ended: BTreeSet::new(),
            seen: BTreeMap::new(),
            doubted: BTreeSet::new(),
            is_contradicted: false,
        })
    }

    /// Promises to pay withdrawals by this vault transaction, and by nothing that could confirm besides it.
    pub fn promise(&mut self, bound: &Bound<'_>) -> Result<Result<(), Refusal>, FatalError> {
        let ties = match bound.ties() {
            Ok(ties) => ties,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let now_s = self.member.clock.unix_ms() / 1_000;
        match self.signed.insert(&ties, bound.transaction.unsigned(), &self.ended, now_s) {
            Ok(Some(record)) => self.member.store.append(SIGNED, &record)?,
            Ok(None) => {}
            Err(refusal) => return Ok(Err(refusal)),
        }
        Ok(Ok(()))
    }

    /// What is to be asked before a refusal can pass.
    pub fn note(&mut self, verdict: &Result<(), Refusal>) {
        match verdict {
            Err(Refusal::PaidElsewhere { outpoint, .. }) => drop(self.doubted.insert(*outpoint)),
            Err(Refusal::NotProven(_)) => self.contradicted(),
            _ => {}
        }
    }

    /// What its node told cannot be.
    pub fn contradicted(&mut self) {
        self.is_contradicted = true;
    }

    /// Whether that happened since this was asked for the last time.
    pub fn take_contradicted(&mut self) -> bool {
        std::mem::take(&mut self.is_contradicted)
    }

    /// The outputs to ask about.
    pub fn doubted(&self) -> Vec<OutPoint> {
        self.doubted.iter().copied().collect()
    }

    /// They have ended for good.
    pub fn have_ended(&mut self, outpoints: &[OutPoint]) {
        self.ended.extend(outpoints);
        self.doubted.retain(|outpoint| !outpoints.contains(outpoint));
    }

    /// Those to leave out, by this member.
    pub fn late(&self, now_s: u64) -> Vec<u16> {
        self.late.named(now_s)
    }

    /// A member was at fault in signing vault transaction `number`.
    pub fn blame(&mut self, number: u32, blame: &Blame, now_s: u64) -> Result<(), FatalError> {
        if self.late.late(blame.member, number.into(), blame.attempt, now_s) {
            tracing::warn!(number, %blame, "a member broke the signing, or kept it waiting");
            self.member.store.put_json(LATE, &self.late)?;
        }
        Ok(())
    }

    /// These members did their part in signing vault transaction `number`.
    pub fn in_time(&mut self, number: u32, members: &[u16]) -> Result<(), FatalError> {
        if self.late.in_time(members, number.into()) {
            self.member.store.put_json(LATE, &self.late)?;
        }
        Ok(())
    }

    /// The members that kept others waiting before.
    pub fn remembered(&self) -> BTreeMap<u16, String> {
        let text = |times: u32| format!("it was late, or at fault, in {times} of its last signing rounds");
        self.late.remembered().into_iter().map(|(member, times)| (member, text(times))).collect()
    }
}
