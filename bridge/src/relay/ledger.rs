//! The ledger, followed block by block: logs say what happened and whose state has changed, views say the new state, once.
//!
//! ```text
//!   logs of final blocks ---take---> what is open, the posts of the board, questions
//!   question() --> a view of a contract --> answer() --> the view for decisions
//!   after a start: logs again from the block before which nothing is open; what waits in the queues, page by page
//! ```
//! What is remembered is bounded by what is open: what is over is forgotten, and read again by views should a reorganisation open it again.
//! A deposit that nobody sweeps holds back where reading begins for half of its reclaim delay, and no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_primitives::B256;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Transaction, XOnlyPublicKey};
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::header::Height;

use super::deposit_tracker::TrackedDeposit;
use super::mailboxes::{Mailboxes, Subject};
use super::reading::{Change, OddLog, read};
use super::view::{
    Block, BlockHead, BlockLog, Deposit, DepositKey, Entry, Head, LedgerView, Output, Proposal, Proposed, Withdrawal,
};
use crate::board::Event;
use crate::peg::{self, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use crate::signing;

/// Blocks between two notes of how far the ledger was read.
const NOTE_EVERY: u64 = 500;
/// Blocks read at once after a start.
const MAX_BLOCKS: u64 = 5_000;
/// Blocks that are read again after a start at most for the sake of deposits that nobody sweeps.
const MOST_HELD_BACK: u64 = 500_000;
/// Blocks for which a final vault transaction is kept nevertheless, a day of Bitcoin: a reorganisation may be deeper than the ledger's bound,
/// and then it is handed to Bitcoin again, unsettled and settled as any other.
const KEPT_BLOCKS: u32 = 144;
/// Final vault transactions that are kept at most, the newest.
const MOST_KEPT: usize = 256;
/// Seconds in which a proposal is approved and bound (`APPROVAL_SECONDS` of the Vault).
pub const APPROVAL_S: u64 = 3_600;
/// Numbers that one view of a queue looks at.
pub const PAGE: u32 = 500;
/// Payments of which the ledger is asked in one round whether it knows them.
const DEPOSITS_ASKED_AT_ONCE: usize = 64;

/// Where reading begins after a start, as kept on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The block from which on logs are read.
    pub from: u64,
    /// No withdrawal up to this id is open.
    pub withdrawals: u64,
    /// No vault output up to this number is live, or may become so.
    pub outputs: u32,
}

/// A question to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Limits,
    Vault(u32),
    /// Is a settled vault transaction final?
    Final(u32),
    /// Which block has the light client at a height of its best chain?
    BestAt(Height),
    Withdrawal(u64),
    /// A page of each queue.
    Queued {
        after: u64,
    },
    Tied {
        after: u64,
    },
    Live {
        after: u32,
    },
    Deposit(OutPoint),
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Limits(peg::Limits),
    /// None when there is no such vault transaction.
    Vault(u32, Option<VaultState>),
    Final(u32, bool),
    BestAt(Height, BlockHead),
    /// None when it is not open.
    Withdrawal(u64, Option<Withdrawal>),
    Queued {
        ids: Vec<u64>,
        next: Option<u64>,
    },
    Tied {
        ids: Vec<u64>,
        next: Option<u64>,
    },
    Live {
        numbers: Vec<u32>,
        next: Option<u32>,
    },
    /// None when the ledger does not know it.
    Deposit(OutPoint, Option<DepositState>),
}

/// Where a vault transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultState {
    pub status: VaultStatus,
    pub output: OutputStatus,
    pub txid: bitcoin::Txid,
    pub change_sat: u64,
    pub spent_by: Option<u32>,
    pub settled_in: Option<Block>,
    pub epoch: u32,
    pub rooted: bool,
}

/// Where a deposit stands; what its output is made of, only logs and terms tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositState {
    pub status: DepositStatus,
    pub recipient: alloy_primitives::Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    pub minted: bool,
    pub minted_sat: u64,
    pub bound: bool,
    pub swept_by: Option<u32>,
    pub block: Block,
    pub epoch: u32,
}

/// The ledger, followed.
#[derive(Clone, Debug)]
pub struct Ledger {
    view: LedgerView,
    me: u16,
    /// The first block that is not read yet.
    next: u64,
    /// What is open is known from this block on.
    from: u64,
    pub mail: Mailboxes,
    /// The group keys that this member has confirmed, by epoch.
    confirmed: BTreeMap<u32, B256>,
    /// The members that have confirmed a key, by epoch.
    confirmers: BTreeMap<u32, BTreeSet<u16>>,
    /// The block that an open vault transaction was proposed in, or a deposit proven.
    proposed_in: BTreeMap<u32, u64>,
    proven_in: BTreeMap<OutPoint, u64>,
    asks: Asks,
    light_tip: BlockHash,
    /// The last id and number of which anything is known.
    last_withdrawal: u64,
    last_output: u32,
}

/// What is to be asked.
#[derive(Clone, Debug)]
struct Asks {
    limits: bool,
    vault: BTreeSet<u32>,
    finals: BTreeSet<u32>,
    withdrawals: BTreeSet<u64>,
    /// Payments to registered addresses, with the key of their output.
    deposits: BTreeMap<OutPoint, DepositKey>,
    queued: Option<u64>,
    tied: Option<u64>,
    live: Option<u32>,
}

impl Ledger {
    /// Member `me` starts to read where `cursor` says; `info` is the node's of now.
    #[must_use]
    pub fn new(me: u16, cursor: Cursor, info: peg::Info, recovery_leaf: [u8; 32]) -> Self {
        let mut mail = Mailboxes::new(info.network_id);
        // The first logs may have its posts.
        mail.open(Subject::Key(info.epoch));
        let view = LedgerView {
            head: Head::default(),
            info,
            limits: None,
            entries: Arc::default(),
            outputs: Arc::default(),
            deposits: Arc::default(),
            strangers: Arc::default(),
            withdrawals: Arc::default(),
            proposals: Arc::default(),
            best: Arc::default(),
            group_keys: BTreeMap::new(),
            recovery_leaf,
            signed: Arc::default(),
        };
        Self {
            view,
            me,
            next: cursor.from,
            from: cursor.from,
            mail,
            confirmed: BTreeMap::new(),
            confirmers: BTreeMap::new(),
            proposed_in: BTreeMap::new(),
            proven_in: BTreeMap::new(),
            asks: Asks::after(cursor),
            light_tip: BlockHash::all_zeros(),
            last_withdrawal: cursor.withdrawals,
            last_output: cursor.outputs,
        }
    }

    /// As it is after a start, with what never changes.
    #[must_use]
    pub fn from_the_start(&self, cursor: Cursor) -> Self {
        Self::new(self.me, cursor, self.view.info.clone(), self.view.recovery_leaf)
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> &LedgerView {
        &self.view
    }

    /// From where to read after a restart, when that has moved far enough since `noted` to be kept.
    #[must_use]
    pub fn noteworthy(&self, noted: Cursor) -> Option<Cursor> {
        (self.from >= noted.from + NOTE_EVERY && self.asks.queues_are_read()).then(|| self.cursor())
    }

    fn cursor(&self) -> Cursor {
        let paid = self.view.entries.values().flat_map(|entry| &entry.content.withdrawals).copied();
        let first =
            self.view.withdrawals.keys().copied().chain(paid).chain(self.asks.withdrawals.iter().copied()).min();
        let numbers = self.view.outputs.keys().chain(self.view.entries.keys()).copied();
        let spent = self.view.entries.values().flat_map(|entry| &entry.content.outputs).copied();
        let output = numbers.chain(spent).chain(self.asks.vault.iter().copied()).min();
        Cursor {
            from: self.from,
            withdrawals: first.map_or(self.last_withdrawal, |first| first.saturating_sub(1)),
            outputs: output.map_or(self.last_output, |first| first.saturating_sub(1)),
        }
    }

    /// The blocks to read next; none when the head is read.
    #[must_use]
    pub fn unread(&self, head: u64) -> Option<RangeInclusive<u64>> {
        (self.next <= head).then(|| self.next..=head.min(self.next + MAX_BLOCKS - 1))
    }

    /// Whether all blocks up to the node's head are read: only then what they say is not over.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.next > self.view.head.number
    }

    /// Takes in the logs of the blocks up to `last`, in order. `head` and `info` are the node's of now.
    pub fn apply(&mut self, logs: &[BlockLog], last: u64, head: Head, info: peg::Info) -> Vec<OddLog> {
        let mut odd = Vec::new();
        for log in logs {
            match read(log) {
                Ok(Some(change)) => self.take(log.block, change),
                Ok(None) => {}
                Err(log) => odd.push(log),
            }
        }
        self.view.head = head;
        self.view.info = info;
        self.next = last + 1;
        self.asks.limits = true;
        self.open_key();
        if self.is_current() {
            self.drop_lapsed();
            self.count_approvals();
        }
        let tip = self.view.light().hash;
        if tip != self.light_tip {
            self.light_tip = tip;
            self.ask_what_a_block_changes();
        }
        odd
    }

    fn open_key(&mut self) {
        let epoch = self.view.info.epoch;
        if self.view.key_is_active() {
            self.mail.close(Subject::Key(epoch));
        } else {
            self.mail.open(Subject::Key(epoch));
        }
    }

    fn drop_lapsed(&mut self) {
        let now = self.view.head.time_s;
        let is_lapsed = |proposal: &Proposal| now > proposal.opened_in.time_s + APPROVAL_S;
        let lapsed: Vec<u64> =
            self.view.proposals.iter().filter(|(_, proposal)| is_lapsed(proposal)).map(|(number, _)| *number).collect();
        lapsed.into_iter().for_each(|number| self.drop_proposal(number));
    }

    fn count_approvals(&mut self) {
        let (members, threshold) = (self.view.members(), self.view.info.threshold);
        for (number, proposal) in Arc::make_mut(&mut self.view.proposals) {
            let inputs = proposal.content.deposits.len() + proposal.content.outputs.len();
            let approvals = self.mail.read(Subject::Proposal(*number));
            if approvals.len() >= usize::from(threshold) {
                proposal.enough = signing::are_enough(approvals, inputs, members, threshold);
            }
        }
    }

    fn drop_proposal(&mut self, number: u64) {
        Arc::make_mut(&mut self.view.proposals).remove(&number);
        self.mail.close(Subject::Proposal(number));
    }

    /// What silently follows from a new block of Bitcoin.
    fn ask_what_a_block_changes(&mut self) {
        let (view, final_blocks) = (&self.view, self.view.info.parameters.final_blocks);
        let is_deep = |block: Block| view.info.bitcoin_tip.height + 1 >= block.height.saturating_add(final_blocks);
        let settled = |entry: &&Entry| !entry.is_final && entry.settled_in.is_some_and(is_deep);
        let finals = view.entries.iter().filter(|(_, entry)| settled(entry)).map(|(number, _)| *number);
        let unrooted = view.outputs.iter().filter(|(_, output)| !output.rooted && is_deep(output.block));
        self.asks.finals.extend(finals);
        self.asks.vault.extend(unrooted.map(|(number, _)| *number));
        // A tie ends in silence when what spent its output becomes final.
        let is_over = |withdrawal: &&Withdrawal| withdrawal.tie.is_some_and(|tie| !view.outputs.contains_key(&tie));
        let tied = view.withdrawals.iter().filter(|(_, withdrawal)| is_over(withdrawal)).map(|(id, _)| *id);
        self.asks.withdrawals.extend(tied);
    }

    fn take(&mut self, block: Head, change: Change) {
        match change {
            Change::Post { session, member, kind, payload } => {
                self.mail.post(Event { session, member, kind, payload, timestamp: block.time_s });
            }
            Change::KeyConfirmed { epoch, member, key } => {
                self.confirmers.entry(epoch).or_default().insert(member);
                if member == self.me {
                    self.confirmed.insert(epoch, key);
                }
            }
            Change::Proposed(number, proposal) => self.proposed(block, number, *proposal),
            Change::Approved { proposal, member } => self.approved(block, proposal, member),
            Change::Bound(number, entry) => self.bound(block, number, *entry),
            Change::Vault(number) => self.ask_with_inputs(number),
            Change::Proven(outpoint, deposit) => self.proven(block, outpoint, *deposit),
            Change::Minted { outpoint, minted_sat } => self.with_deposit(&outpoint, |deposit| {
                (deposit.minted, deposit.minted_sat, deposit.status) = (true, minted_sat, DepositStatus::Minted);
            }),
            Change::DepositGone(outpoint) => {
                self.with_deposit(&outpoint, |deposit| deposit.status = DepositStatus::Gone);
            }
            Change::Queued(id, withdrawal) => {
                self.last_withdrawal = self.last_withdrawal.max(id);
                Arc::make_mut(&mut self.view.withdrawals).insert(id, *withdrawal);
            }
            Change::Withdrawal(id) => drop(self.asks.withdrawals.insert(id)),
            Change::WithdrawalClosed(id) => drop(Arc::make_mut(&mut self.view.withdrawals).remove(&id)),
            Change::Reorganised { fork } => Arc::make_mut(&mut self.view.best).retain(|height, _| *height <= fork),
        }
    }

    fn with_deposit(&mut self, outpoint: &OutPoint, change: impl FnOnce(&mut Deposit)) {
        if let Some(deposit) = Arc::make_mut(&mut self.view.deposits).get_mut(outpoint) {
            change(deposit);
        }
    }

    fn proposed(&mut self, block: Head, number: u64, proposal: Proposal) {
        let same = |open: &Proposal| (open.member, open.place) == (proposal.member, proposal.place);
        let before: Vec<u64> =
            self.view.proposals.iter().filter(|(_, open)| same(open)).map(|(number, _)| *number).collect();
        before.into_iter().for_each(|number| self.drop_proposal(number));
        self.mail.open(Subject::Proposal(number));
        Arc::make_mut(&mut self.view.proposals).insert(number, Proposal { opened_in: block, ..proposal });
    }

    fn approved(&mut self, block: Head, proposal: u64, member: u16) {
        if let Some(open) = Arc::make_mut(&mut self.view.proposals).get_mut(&proposal) {
            open.approvals.insert(member);
            open.approved_at_s = block.time_s;
        }
    }

    fn bound(&mut self, block: Head, number: u32, entry: Entry) {
        let approvals = self.mail.close(Subject::Proposal(entry.proposal)).into();
        let open = Arc::make_mut(&mut self.view.proposals).remove(&entry.proposal);
        let proposed = open.as_ref().map(|open| Proposed {
            content_hash: open.content_hash,
            inputs: open.content.deposits.len() + open.content.outputs.len(),
            approvals,
        });
        self.mail.open(Subject::Signing(number));
        self.proposed_in.insert(number, open.map_or(block.number, |open| open.opened_in.number));
        self.last_output = self.last_output.max(number);
        for outpoint in &entry.content.deposits {
            self.with_deposit(outpoint, |deposit| deposit.bound = true);
        }
        self.asks.withdrawals.extend(&entry.content.withdrawals);
        self.asks.vault.insert(number);
        Arc::make_mut(&mut self.view.entries).insert(number, Entry { bound_in: block, proposed, ..entry });
    }

    /// Something settled, or is unsettled: its inputs are spent, or are back.
    fn ask_with_inputs(&mut self, number: u32) {
        self.asks.vault.insert(number);
        if let Some(entry) = self.view.entries.get(&number) {
            self.asks.vault.extend(&entry.content.outputs);
            self.asks.withdrawals.extend(&entry.content.withdrawals);
        }
    }

    fn proven(&mut self, block: Head, outpoint: OutPoint, deposit: Deposit) {
        Arc::make_mut(&mut self.view.strangers).remove(&outpoint);
        self.asks.deposits.remove(&outpoint);
        let known = Arc::make_mut(&mut self.view.deposits);
        match known.get_mut(&outpoint) {
            Some(known) => {
                (known.block, known.block_hash, known.key) = (deposit.block, deposit.block_hash, deposit.key)
            }
            None => {
                self.proven_in.insert(outpoint, block.number);
                // It may have been proven before, and be swept or minted.
                self.asks.deposits.insert(outpoint, deposit.key);
                known.insert(outpoint, deposit);
            }
        }
    }

    /// Payments to registered addresses that its own bitcoind has unspent: does the ledger know them?
    pub fn look_for(&mut self, tracked: &BTreeMap<OutPoint, TrackedDeposit>, peg: &Peg) {
        if self.view.strangers.iter().any(|outpoint| !tracked.contains_key(outpoint)) {
            Arc::make_mut(&mut self.view.strangers).retain(|outpoint| tracked.contains_key(outpoint));
        }
        let room = DEPOSITS_ASKED_AT_ONCE.saturating_sub(self.asks.deposits.len());
        let is_new = |outpoint: &OutPoint| {
            !self.view.deposits.contains_key(outpoint)
                && !self.view.strangers.contains(outpoint)
                && !self.asks.deposits.contains_key(outpoint)
        };
        let key = |terms: &DepositTerms| Some(deposit_key(terms, peg, self.view.group_keys.get(&terms.epoch)?));
        let new: Vec<(OutPoint, DepositKey)> = tracked
            .iter()
            .filter(|(outpoint, _)| is_new(outpoint))
            .filter_map(|(outpoint, deposit)| Some((*outpoint, key(&deposit.terms)?)))
            .take(room)
            .collect();
        self.asks.deposits.extend(new);
    }

    /// What to ask next; none when everything is known.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        self.asks
            .first()
            .or_else(|| self.heights().find(|height| !self.view.best.contains_key(height)).map(Question::BestAt))
    }

    /// Heights at which the light client's best chain matters.
    fn heights(&self) -> impl Iterator<Item = Height> + '_ {
        let tip = self.view.info.bitcoin_tip.height;
        let settled = self.view.entries.values().filter_map(|entry| Some(entry.settled_in?.height));
        let deposits = self.view.deposits.values().map(|deposit| deposit.block.height);
        let outputs = self.view.outputs.values().map(|output| output.block.height);
        settled.chain(deposits).chain(outputs).filter(move |height| *height <= tip)
    }

    /// Takes in the answer to [`Ledger::question`].
    pub fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Limits(limits) => (self.view.limits, self.asks.limits) = (Some(limits), false),
            Answer::Vault(number, state) => self.answer_vault(number, state),
            Answer::Final(number, is_final) => {
                self.asks.finals.remove(&number);
                if let Some(entry) = Arc::make_mut(&mut self.view.entries).get_mut(&number) {
                    entry.is_final = is_final;
                }
            }
            Answer::BestAt(height, head) => drop(Arc::make_mut(&mut self.view.best).insert(height, head)),
            Answer::Withdrawal(id, withdrawal) => self.answer_withdrawal(id, withdrawal),
            Answer::Queued { ids, next } => {
                self.asks.queued = next;
                self.ask_withdrawals(ids);
            }
            Answer::Tied { ids, next } => {
                self.asks.tied = next;
                self.ask_withdrawals(ids);
            }
            Answer::Live { numbers, next } => {
                self.asks.live = next;
                self.last_output = numbers.iter().copied().fold(self.last_output, u32::max);
                let known = &self.view.outputs;
                self.asks.vault.extend(numbers.into_iter().filter(|number| !known.contains_key(number)));
            }
            Answer::Deposit(outpoint, state) => self.answer_deposit(outpoint, state),
        }
    }

    fn ask_withdrawals(&mut self, ids: Vec<u64>) {
        self.last_withdrawal = ids.iter().copied().fold(self.last_withdrawal, u64::max);
        let known = &self.view.withdrawals;
        self.asks.withdrawals.extend(ids.into_iter().filter(|id| !known.contains_key(id)));
    }

    fn answer_withdrawal(&mut self, id: u64, withdrawal: Option<Withdrawal>) {
        self.asks.withdrawals.remove(&id);
        let open = Arc::make_mut(&mut self.view.withdrawals);
        match withdrawal {
            Some(withdrawal) => drop(open.insert(id, withdrawal)),
            None => drop(open.remove(&id)),
        }
    }

    fn answer_vault(&mut self, number: u32, state: Option<VaultState>) {
        self.asks.vault.remove(&number);
        let Some(state) = state else { return };
        let outputs = Arc::make_mut(&mut self.view.outputs);
        match (state.output, state.settled_in) {
            (OutputStatus::Live, Some(block)) => {
                let VaultState { txid, change_sat: amount_sat, epoch, rooted, .. } = state;
                outputs.insert(number, Output { txid, amount_sat, epoch, rooted, block });
            }
            _ => drop(outputs.remove(&number)),
        }
        let Some(entry) = Arc::make_mut(&mut self.view.entries).get_mut(&number) else { return };
        let VaultState { status, output, spent_by, settled_in, epoch, rooted, .. } = state;
        // In another block, it has to grow old again.
        if status != VaultStatus::Settled || settled_in != entry.settled_in {
            entry.is_final = false;
        }
        (entry.status, entry.output, entry.spent_by, entry.settled_in) = (status, output, spent_by, settled_in);
        (entry.epoch, entry.rooted) = (epoch, rooted);
        self.sweep(number);
    }

    /// Notes which deposits a settled vault transaction sweeps, and which one that is not settled swept no more.
    fn sweep(&mut self, number: u32) {
        let Some(entry) = self.view.entries.get(&number).filter(|entry| entry.is_sweep()) else { return };
        let is_settled = entry.status == VaultStatus::Settled;
        for outpoint in entry.content.deposits.clone() {
            self.with_deposit(&outpoint, |deposit| {
                if is_settled {
                    deposit.swept_by = Some(number);
                } else if deposit.swept_by == Some(number) {
                    deposit.swept_by = None;
                }
                deposit.status = deposit.status_by_parts();
            });
        }
    }

    fn answer_deposit(&mut self, outpoint: OutPoint, state: Option<DepositState>) {
        let Some(key) = self.asks.deposits.remove(&outpoint) else { return };
        let known = self.view.deposits.get(&outpoint);
        let Some(state) = state else {
            if known.is_none() {
                Arc::make_mut(&mut self.view.strangers).insert(outpoint);
            }
            return;
        };
        let deposit = Deposit {
            status: state.status,
            recipient: state.recipient,
            amount_sat: state.amount_sat,
            max_fee_sat: state.max_fee_sat,
            minted: state.minted,
            minted_sat: state.minted_sat,
            bound: state.bound,
            swept_by: state.swept_by,
            block: state.block,
            block_hash: known.filter(|known| known.block == state.block).and_then(|known| known.block_hash),
            epoch: state.epoch,
            key,
        };
        Arc::make_mut(&mut self.view.deposits).insert(outpoint, deposit);
    }

    /// Sets the keys in force and the signed vault transactions, which the logs alone do not tell.
    pub fn learn(&mut self, group_keys: &BTreeMap<u32, XOnlyPublicKey>, signed: &Arc<BTreeMap<u32, Arc<Transaction>>>) {
        self.view.group_keys.clone_from(group_keys);
        self.view.signed = Arc::clone(signed);
    }

    /// The group key that this member has confirmed for an epoch.
    #[must_use]
    pub fn confirmed(&self, epoch: u32) -> Option<B256> {
        self.confirmed.get(&epoch).copied()
    }

    /// The members that have confirmed a key of an epoch.
    #[must_use]
    pub fn confirmers(&self, epoch: u32) -> BTreeSet<u16> {
        self.confirmers.get(&epoch).cloned().unwrap_or_default()
    }

    /// Forgets what no reorganisation opens again that anybody reckons with; the vault transactions among it, with their proposals.
    pub fn forget_what_is_over(&mut self) -> Vec<(u32, u64)> {
        let over = self.over();
        for (number, _) in &over {
            Arc::make_mut(&mut self.view.entries).remove(number);
            self.proposed_in.remove(number);
            self.mail.close(Subject::Signing(*number));
        }
        self.forget_deposits();
        self.forget_heights();
        self.advance();
        over
    }

    /// Vault transactions that can never confirm, and those that are done for long.
    fn over(&self) -> Vec<(u32, u64)> {
        let view = &self.view;
        let is_minted = |outpoint: &OutPoint| {
            view.deposits.get(outpoint).is_none_or(|deposit| deposit.minted || deposit.status == DepositStatus::Gone)
        };
        let is_done = |entry: &Entry| entry.is_final && entry.content.deposits.iter().all(is_minted);
        let kept = view.info.parameters.final_blocks + KEPT_BLOCKS;
        let is_old = |entry: &Entry| view.settled_confirmations(entry).is_some_and(|depth| depth > kept);
        let done: Vec<u32> =
            view.entries.iter().filter(|(_, entry)| is_done(entry)).map(|(number, _)| *number).collect();
        let crowded_out = &done[..done.len().saturating_sub(MOST_KEPT)];
        let is_over = |number: u32, entry: &Entry| {
            entry.status == VaultStatus::Void
                || (is_done(entry) && (is_old(entry) || crowded_out.binary_search(&number).is_ok()))
        };
        let over = view.entries.iter().filter(|(number, entry)| is_over(**number, entry));
        over.map(|(number, entry)| (*number, entry.proposal)).collect()
    }

    fn forget_deposits(&mut self) {
        let view = &self.view;
        let most = 2 * u32::from(view.info.parameters.reclaim_delay) + view.info.parameters.final_blocks;
        let named: BTreeSet<&OutPoint> = view.entries.values().flat_map(|entry| &entry.content.deposits).collect();
        let is_over = |(outpoint, deposit): &(&OutPoint, &Deposit)| {
            let is_done = deposit.status == DepositStatus::Gone || (deposit.minted && deposit.swept_by.is_some());
            let is_old = view.confirmations(deposit.block).is_some_and(|age| age > most);
            !named.contains(outpoint) && (is_done || is_old)
        };
        let over: Vec<OutPoint> = view.deposits.iter().filter(is_over).map(|(outpoint, _)| *outpoint).collect();
        for outpoint in over {
            Arc::make_mut(&mut self.view.deposits).remove(&outpoint);
            self.proven_in.remove(&outpoint);
        }
    }

    fn forget_heights(&mut self) {
        let wanted: BTreeSet<Height> = self.heights().collect();
        if self.view.best.len() > wanted.len() {
            Arc::make_mut(&mut self.view.best).retain(|height, _| wanted.contains(height));
        }
    }

    /// Where reading would begin after a restart.
    fn advance(&mut self) {
        let view = &self.view;
        let half = u32::from(view.info.parameters.reclaim_delay) / 2;
        // A swept one is needed until its coins are made.
        let waits = |(outpoint, _): &(&OutPoint, &u64)| {
            view.deposits.get(outpoint).is_some_and(|deposit| match deposit.swept_by {
                Some(_) => !deposit.minted,
                None => view.confirmations(deposit.block).is_none_or(|age| age <= half),
            })
        };
        let deposits = self.proven_in.iter().filter(waits).map(|(_, block)| *block);
        let held = deposits.min().map(|block| block.max(self.next.saturating_sub(MOST_HELD_BACK)));
        let proposals = view.proposals.values().map(|proposal| proposal.opened_in.number);
        let open = self.proposed_in.values().copied().chain(proposals).chain(held).min();
        // While a key is made, its posts are needed from the first on.
        if view.key_is_active() {
            self.from = open.unwrap_or(self.next).max(self.from);
        }
    }
}

impl Deposit {
    fn status_by_parts(&self) -> DepositStatus {
        DepositStatus::of(self.status == DepositStatus::Gone, self.minted, self.swept_by.is_some())
    }
}

impl Asks {
    /// Everything, above what the cursor says is over.
    fn after(cursor: Cursor) -> Self {
        Self {
            limits: true,
            vault: BTreeSet::new(),
            finals: BTreeSet::new(),
            withdrawals: BTreeSet::new(),
            deposits: BTreeMap::new(),
            queued: Some(cursor.withdrawals),
            tied: Some(cursor.withdrawals),
            live: Some(cursor.outputs),
        }
    }

    fn queues_are_read(&self) -> bool {
        (self.queued, self.tied, self.live) == (None, None, None)
    }

    fn first(&self) -> Option<Question> {
        let limits = self.limits.then_some(Question::Limits);
        limits
            .or_else(|| self.vault.first().map(|number| Question::Vault(*number)))
            .or_else(|| self.finals.first().map(|number| Question::Final(*number)))
            .or_else(|| self.withdrawals.first().map(|id| Question::Withdrawal(*id)))
            .or_else(|| self.deposits.first_key_value().map(|(outpoint, _)| Question::Deposit(*outpoint)))
            .or_else(|| self.queued.map(|after| Question::Queued { after }))
            .or_else(|| self.tied.map(|after| Question::Tied { after }))
            .or_else(|| self.live.map(|after| Question::Live { after }))
    }
}

fn deposit_key(terms: &DepositTerms, peg: &Peg, group_key: &XOnlyPublicKey) -> DepositKey {
    let output = terms.output(peg, *group_key);
    DepositKey { output_key: output.output_key(), leaf_hash: output.merkle_root().to_byte_array() }
}

impl Withdrawal {
    /// Whether it is in the ledger's queue.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.status == WithdrawalStatus::Queued
    }
}

#[cfg(test)]
mod tests;
