//! The ledger, the signing board and the federation's keys, as the logs of final blocks tell them.
//!
//! Logs say what happened, and whose state has changed; the new state is asked for ([`Ledger::question`]), once. After a start
//! the logs are read again from the block before which nothing is open.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_primitives::{B256, Log};
use alloy_sol_types::SolEvent;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Transaction, Txid, XOnlyPublicKey};
use contracts::address::{BRIDGE, FEDERATION, SIGNING_BOARD};
use contracts::{Bridge, Federation, IBridge, SigningBoard, U256};

use super::confirmations::is_settled_for_good;
use super::deposit_tracker::Position;
use crate::board::Event;
use crate::peg::{self, VaultStatus};
use crate::plan::{QueuedWithdrawal, VaultOutput};
use crate::vault_tx::{SpentOutput, VaultTransaction, VaultTxError};

/// Most withdrawals and vault outputs taken into one decision: more than fit one vault transaction.
pub const MAX_QUEUE: u64 = 150;

/// Blocks between two notes of how far the ledger was read.
const NOTE_EVERY: u64 = 500;
/// Blocks read at once after a start.
const MAX_BLOCKS: u64 = 5_000;

/// The ledger as decisions see it.
#[derive(Clone, Debug)]
pub struct LedgerView {
    /// The last block that was read.
    pub head: Head,
    /// What the bridge is, and where it stands, after that block.
    pub info: peg::Info,
    /// Most deposits in one proposal.
    pub max_deposits: usize,
    /// Vault transactions that are not settled for good, by number.
    pub open: BTreeMap<u64, Entry>,
    /// Vault transactions proposed so far.
    pub count: u64,
    /// Withdrawals that wait, oldest first.
    pub withdrawals: Vec<QueuedWithdrawal>,
    /// Settled vault outputs that nothing spends.
    pub vault_outputs: Vec<VaultOutput>,
    /// Group keys in force, by epoch.
    pub group_keys: BTreeMap<u32, XOnlyPublicKey>,
    /// Vault transactions with their signatures, as far as they are known here.
    pub signed: BTreeMap<u64, Arc<Transaction>>,
}

/// A final block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub number: u64,
    /// Unix seconds.
    pub time_s: u64,
}

/// A vault transaction in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub transaction: VaultTransaction,
    /// The block that proposed it.
    pub proposed_in: Head,
    pub status: VaultStatus,
    pub required_confirmations: u32,
    /// The block it settled in.
    pub settled_in: Option<BlockHash>,
    /// Confirmations of that block by the light client; zero when it left the best chain.
    pub settled_confirmations: u32,
}

/// A log and the block it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLog {
    pub block: Head,
    pub log: Log,
}

/// A question to the node, because a log said that the answer has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where does a vault transaction stand?
    VaultTransaction(u64),
    /// How many confirmations has the block that a vault transaction settled in?
    Confirmations {
        number: u64,
        block: BlockHash,
    },
    /// Which withdrawals and vault outputs wait, at most [`MAX_QUEUE`] of each?
    Queues,
    Withdrawal(u64),
    /// What is the value of a vault transaction's output 0?
    VaultOutput(u64),
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    VaultTransaction { number: u64, status: VaultStatus, required_confirmations: u32, settled_in: Option<BlockHash> },
    Confirmations { number: u64, confirmations: u32 },
    Queues { count: u64, withdrawals: Vec<u64>, vault_outputs: Vec<u64> },
    Withdrawal(QueuedWithdrawal),
    VaultOutput(VaultOutput),
}

/// A proposal in the ledger that is not signed: it should not be there.
#[derive(Debug, thiserror::Error)]
pub enum NotSignable {
    #[error("the ledger proposes vault transaction {number}, which is not one: {error}; it is not signed")]
    Layout { number: u64, error: VaultTxError },
    #[error("the ledger's vault transaction {number} spends what is not an output; it is not signed")]
    Inputs { number: u64 },
}

/// The ledger, followed block by block.
#[derive(Clone, Debug)]
pub struct Ledger {
    view: LedgerView,
    me: u16,
    /// The first block that is not read yet.
    next: u64,
    /// Posts and open vault transactions are known from this block on.
    from: u64,
    /// The board, in order, with the number of each post's block.
    posts: Vec<(u64, Event)>,
    /// Posts that were forgotten before the first of `posts`.
    forgotten: usize,
    /// The group keys that this member has confirmed, by epoch.
    confirmed: BTreeMap<u32, B256>,
    /// The members that have confirmed a key, by epoch.
    confirmers: BTreeMap<u32, BTreeSet<u16>>,
    /// Vault transactions whose state has changed.
    stale: BTreeSet<u64>,
    /// Vault transactions whose confirmations may have changed.
    unconfirmed: BTreeSet<u64>,
    light_tip: BlockHash,
    queues: Queues,
}

/// Withdrawals and vault outputs that wait, while they are asked for.
#[derive(Clone, Debug, Default)]
struct Queues {
    stale: bool,
    withdrawals: Queue<QueuedWithdrawal>,
    vault_outputs: Queue<VaultOutput>,
}

#[derive(Clone, Debug)]
struct Queue<T> {
    order: Vec<u64>,
    known: BTreeMap<u64, T>,
}

impl Ledger {
    /// Member `me` starts to read at block `from`; `info` is the node's of now.
    #[must_use]
    pub fn new(me: u16, from: u64, info: peg::Info, max_deposits: usize) -> Self {
        let view = LedgerView {
            head: Head::default(),
            info,
            max_deposits,
            open: BTreeMap::new(),
            count: 0,
            withdrawals: Vec::new(),
            vault_outputs: Vec::new(),
            group_keys: BTreeMap::new(),
            signed: BTreeMap::new(),
        };
        Self {
            view,
            me,
            next: from,
            from,
            posts: Vec::new(),
            forgotten: 0,
            confirmed: BTreeMap::new(),
            confirmers: BTreeMap::new(),
            stale: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            light_tip: BlockHash::all_zeros(),
            queues: Queues { stale: true, ..Queues::default() },
        }
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> &LedgerView {
        &self.view
    }

    /// Posts and open vault transactions are known from this block on.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.from
    }

    /// From where to read after a restart, when that has moved far enough since `noted` to be kept.
    #[must_use]
    pub fn noteworthy(&self, noted: u64) -> Option<u64> {
        (self.from >= noted + NOTE_EVERY).then_some(self.from)
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
    pub fn apply(&mut self, logs: &[BlockLog], last: u64, head: Head, info: peg::Info) -> Vec<NotSignable> {
        let odd = logs.iter().filter_map(|log| self.take(log)).collect();
        self.view.head = head;
        self.view.info = info;
        self.next = last + 1;
        // A new best chain can confirm or drop what is settled.
        let tip = self.view.light().hash;
        if tip != self.light_tip {
            let settled = self.view.open.iter().filter(|(_, entry)| entry.status == VaultStatus::Settled);
            self.unconfirmed.extend(settled.map(|(number, _)| *number));
            self.light_tip = tip;
        }
        odd
    }

    fn take(&mut self, log: &BlockLog) -> Option<NotSignable> {
        match log.log.address {
            SIGNING_BOARD => self.take_post(log),
            FEDERATION => self.take_confirmation(&log.log),
            BRIDGE => {
                self.queues.stale = true;
                let odd = self.take_proposal(log).err();
                let changed = vault_transaction_of(&log.log).filter(|number| self.view.open.contains_key(number));
                self.stale.extend(changed);
                return odd;
            }
            _ => {}
        }
        None
    }

    fn take_post(&mut self, log: &BlockLog) {
        if let Ok(post) = SigningBoard::Posted::decode_log(&log.log) {
            let SigningBoard::Posted { session, member, kind, payload } = post.data;
            let timestamp = log.block.time_s;
            self.posts.push((log.block.number, Event { session, member, kind, payload: payload.to_vec(), timestamp }));
        }
    }

    fn take_confirmation(&mut self, log: &Log) {
        if let Ok(confirmed) = Federation::KeyConfirmed::decode_log(log) {
            self.confirmers.entry(confirmed.epoch).or_default().insert(confirmed.member);
            if confirmed.member == self.me {
                self.confirmed.insert(confirmed.epoch, confirmed.groupKey);
            }
        }
    }

    fn take_proposal(&mut self, log: &BlockLog) -> Result<(), NotSignable> {
        let Ok(proposed) = Bridge::VaultTransactionProposed::decode_log(&log.log) else {
            return Ok(());
        };
        let number = small(proposed.number);
        let inputs: Option<Vec<SpentOutput>> = proposed.inputs.iter().map(spent_output).collect();
        let inputs = inputs.ok_or(NotSignable::Inputs { number })?;
        let transaction = VaultTransaction::parse(&proposed.transaction, inputs)
            .map_err(|error| NotSignable::Layout { number, error })?;
        let entry = Entry {
            transaction,
            proposed_in: log.block,
            status: VaultStatus::Proposed,
            required_confirmations: u32::MAX,
            settled_in: None,
            settled_confirmations: 0,
        };
        self.view.open.insert(number, entry);
        Ok(())
    }

    /// What to ask next; none when everything is known.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        if let Some(number) = self.stale.first() {
            return Some(Question::VaultTransaction(*number));
        }
        if let Some(question) = self.unconfirmed.iter().find_map(|number| self.confirmations_question(*number)) {
            return Some(question);
        }
        let Queues { stale, withdrawals, vault_outputs } = &self.queues;
        if *stale {
            return Some(Question::Queues);
        }
        let withdrawal = withdrawals.missing().map(Question::Withdrawal);
        withdrawal.or_else(|| vault_outputs.missing().map(Question::VaultOutput))
    }

    fn confirmations_question(&self, number: u64) -> Option<Question> {
        let block = self.view.open.get(&number)?.settled_in?;
        Some(Question::Confirmations { number, block })
    }

    /// Takes in an answer of the node at its head.
    pub fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::VaultTransaction { number, status, required_confirmations, settled_in } => {
                self.stale.remove(&number);
                if let Some(entry) = self.view.open.get_mut(&number) {
                    (entry.status, entry.settled_in) = (status, settled_in);
                    entry.required_confirmations = required_confirmations;
                }
                if status == VaultStatus::Settled {
                    self.unconfirmed.insert(number);
                }
            }
            Answer::Confirmations { number, confirmations } => {
                self.unconfirmed.remove(&number);
                if let Some(entry) = self.view.open.get_mut(&number) {
                    entry.settled_confirmations = confirmations;
                }
            }
            Answer::Queues { count, withdrawals, vault_outputs } => {
                self.view.count = count;
                self.queues.stale = false;
                self.queues.withdrawals.set(withdrawals);
                self.queues.vault_outputs.set(vault_outputs);
            }
            Answer::Withdrawal(withdrawal) => {
                self.queues.withdrawals.known.insert(withdrawal.id, withdrawal);
            }
            Answer::VaultOutput(output) => {
                self.queues.vault_outputs.known.insert(output.number, output);
            }
        }
        if let (Some(withdrawals), Some(outputs)) = (self.queues.withdrawals.all(), self.queues.vault_outputs.all()) {
            (self.view.withdrawals, self.view.vault_outputs) = (withdrawals, outputs);
        }
    }

    /// Sets the keys in force and the signed vault transactions, which the logs alone do not tell.
    pub fn learn(&mut self, group_keys: &BTreeMap<u32, XOnlyPublicKey>, signed: &BTreeMap<u64, Arc<Transaction>>) {
        self.view.group_keys.clone_from(group_keys);
        self.view.signed.clone_from(signed);
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

    /// How many posts there are, counted from the first block that was read.
    #[must_use]
    pub fn posts_len(&self) -> usize {
        self.forgotten + self.posts.len()
    }

    /// The posts after the first `read`.
    #[must_use]
    pub fn posts_after(&self, read: usize) -> Vec<Event> {
        let skip = read.saturating_sub(self.forgotten);
        self.posts.iter().skip(skip).map(|(_, event)| event.clone()).collect()
    }

    /// Forgets vault transactions that are settled for good, and the posts before the first that is still open; no posts while
    /// a key is being made.
    /// Returns the numbers that were forgotten.
    pub fn forget_what_is_over(&mut self) -> Vec<u64> {
        let is_over = |entry: &Entry| {
            entry.status == VaultStatus::Settled
                && is_settled_for_good(entry.settled_confirmations, entry.required_confirmations)
        };
        let over: Vec<u64> =
            self.view.open.iter().filter(|(_, entry)| is_over(entry)).map(|(number, _)| *number).collect();
        for number in &over {
            self.view.open.remove(number);
            self.unconfirmed.remove(number);
        }
        if self.view.key_is_active() {
            let open = self.view.open.values().map(|entry| entry.proposed_in.number);
            self.from = open.min().unwrap_or(self.next);
            let old = self.posts.partition_point(|(block, _)| *block < self.from);
            self.posts.drain(..old);
            self.forgotten += old;
        }
        over
    }
}

impl LedgerView {
    /// The light client's best block.
    #[must_use]
    pub fn light(&self) -> Position {
        Position { height: self.info.bitcoin_tip.height, hash: self.info.bitcoin_tip.hash }
    }

    /// Whether the key of the current epoch is in force.
    #[must_use]
    pub fn key_is_active(&self) -> bool {
        self.info.group_key.is_some_and(|key| key != B256::ZERO)
    }

    #[must_use]
    pub fn members(&self) -> u16 {
        u16::try_from(self.info.members.len()).unwrap_or(u16::MAX)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { order: Vec::new(), known: BTreeMap::new() }
    }
}

impl<T: Clone> Queue<T> {
    fn set(&mut self, order: Vec<u64>) {
        self.known.retain(|number, _| order.contains(number));
        self.order = order;
    }

    fn missing(&self) -> Option<u64> {
        self.order.iter().find(|number| !self.known.contains_key(number)).copied()
    }

    /// None while one of them is missing.
    fn all(&self) -> Option<Vec<T>> {
        self.order.iter().map(|number| self.known.get(number).cloned()).collect()
    }
}

/// A number of the ledger's: it counts by ones.
#[must_use]
pub fn small(number: U256) -> u64 {
    number.saturating_to()
}

fn spent_output(spent: &IBridge::SpentOutput) -> Option<SpentOutput> {
    Some(SpentOutput {
        outpoint: OutPoint { txid: Txid::from_byte_array(spent.txid.0), vout: spent.vout },
        amount: Amount::from_sat(spent.amountSat),
        output_key: XOnlyPublicKey::from_slice(spent.outputKey.as_slice()).ok()?,
        merkle_root: spent.merkleRoot.0,
        epoch: spent.epoch,
    })
}

/// The vault transaction whose state a log of the Bridge says has changed.
fn vault_transaction_of(log: &Log) -> Option<u64> {
    let number = match *log.topics().first()? {
        Bridge::VaultTransactionProposed::SIGNATURE_HASH => {
            Bridge::VaultTransactionProposed::decode_log(log).ok()?.number
        }
        Bridge::VaultTransactionSettled::SIGNATURE_HASH => {
            Bridge::VaultTransactionSettled::decode_log(log).ok()?.number
        }
        Bridge::VaultTransactionUnsettled::SIGNATURE_HASH => {
            Bridge::VaultTransactionUnsettled::decode_log(log).ok()?.number
        }
        _ => return None,
    };
    Some(small(number))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;

    use mainchain::header::Height;

    use super::*;
    use crate::relay::example;
    use crate::vault_tx;

    const ME: u16 = 2;

    fn log(block: u64, address: alloy_primitives::Address, event: &impl SolEvent) -> BlockLog {
        BlockLog { block: head(block), log: Log { address, data: event.encode_log_data() } }
    }

    fn head(number: u64) -> Head {
        Head { number, time_s: 100 + number }
    }

    /// The event of a proposal that spends two outputs.
    fn proposed(number: u64) -> Bridge::VaultTransactionProposed {
        let (transaction, inputs) = vault_tx::example::example();
        let spent = |input: &SpentOutput| IBridge::SpentOutput {
            txid: B256::from(input.outpoint.txid.to_byte_array()),
            vout: input.outpoint.vout,
            amountSat: input.amount.to_sat(),
            outputKey: B256::from(input.output_key.serialize()),
            merkleRoot: B256::from(input.merkle_root),
            epoch: input.epoch,
        };
        Bridge::VaultTransactionProposed {
            number: U256::from(number),
            txid: B256::ZERO,
            proposer: alloy_primitives::Address::ZERO,
            feeSat: 760,
            transaction: Bytes::from(transaction),
            inputs: inputs.iter().map(spent).collect(),
        }
    }

    fn read(ledger: &mut Ledger, logs: &[BlockLog], to: u64, light_height: Height) -> Vec<NotSignable> {
        assert_eq!(ledger.unread(to).map(|blocks| *blocks.end()), Some(to));
        ledger.apply(logs, to, head(to), example::info(light_height))
    }

    fn settled(number: u64, confirmations: u32) -> [Answer; 2] {
        let settled_in = Some(example::position(5).hash);
        let status = VaultStatus::Settled;
        [
            Answer::VaultTransaction { number, status, required_confirmations: 2, settled_in },
            Answer::Confirmations { number, confirmations },
        ]
    }

    fn no_queues(ledger: &mut Ledger) {
        ledger.answer(Answer::Queues { count: 1, withdrawals: Vec::new(), vault_outputs: Vec::new() });
    }

    /// A ledger that has read a proposal of number 7 in block 3, and asked nothing yet.
    fn with_proposal() -> Ledger {
        let mut ledger = Ledger::new(ME, 0, example::info(5), 24);
        let odd = read(&mut ledger, &[log(3, BRIDGE, &proposed(7))], 4, 5);
        assert!(odd.is_empty(), "{odd:?}");
        ledger
    }

    #[test]
    fn a_proposal_is_known_by_its_log_and_its_state_is_asked_for_once() {
        let mut ledger = with_proposal();
        assert!(ledger.is_current());
        assert_eq!(ledger.question(), Some(Question::VaultTransaction(7)));
        let [stands, confirmed] = settled(7, 2);
        ledger.answer(stands);
        let block = example::position(5).hash;
        assert_eq!(ledger.question(), Some(Question::Confirmations { number: 7, block }));
        ledger.answer(confirmed);
        assert_eq!(ledger.question(), Some(Question::Queues));
        no_queues(&mut ledger);
        assert_eq!(ledger.question(), None);
        let entry = &ledger.view().open[&7];
        assert_eq!((entry.proposed_in, entry.status, entry.settled_confirmations), (head(3), VaultStatus::Settled, 2));
    }

    #[test]
    fn a_new_tip_of_the_light_client_asks_for_confirmations_anew() {
        let mut ledger = with_proposal();
        settled(7, 2).into_iter().for_each(|answer| ledger.answer(answer));
        no_queues(&mut ledger);
        read(&mut ledger, &[], 5, 5);
        assert_eq!(ledger.question(), None);
        read(&mut ledger, &[], 6, 6);
        assert!(matches!(ledger.question(), Some(Question::Confirmations { number: 7, .. })));
    }

    #[test]
    fn what_waits_is_asked_for_once_and_shown_when_all_of_it_is_known() {
        let mut ledger = with_proposal();
        ledger.answer(Answer::VaultTransaction {
            number: 7,
            status: VaultStatus::Proposed,
            required_confirmations: 2,
            settled_in: None,
        });
        let withdrawal = |id| QueuedWithdrawal {
            id,
            amount: Amount::from_sat(50_000),
            max_fee: Amount::from_sat(1_000),
            script: bitcoin::ScriptBuf::new(),
        };
        ledger.answer(Answer::Queues { count: 7, withdrawals: vec![4, 5], vault_outputs: Vec::new() });
        assert_eq!(ledger.question(), Some(Question::Withdrawal(4)));
        ledger.answer(Answer::Withdrawal(withdrawal(4)));
        assert_eq!(ledger.view().withdrawals, []);
        ledger.answer(Answer::Withdrawal(withdrawal(5)));
        assert_eq!(ledger.view().withdrawals, [withdrawal(4), withdrawal(5)]);
        // Paid meanwhile: the other one is known already.
        ledger.answer(Answer::Queues { count: 8, withdrawals: vec![5], vault_outputs: Vec::new() });
        assert_eq!(ledger.question(), None);
        assert_eq!(ledger.view().withdrawals, [withdrawal(5)]);
    }

    #[test]
    fn what_is_settled_for_good_is_forgotten_with_the_posts_before_it() {
        let mut ledger = with_proposal();
        let post = SigningBoard::Posted { session: B256::ZERO, member: 1, kind: 3, payload: Bytes::new() };
        read(&mut ledger, &[log(5, SIGNING_BOARD, &post)], 6, 5);
        settled(7, crate::relay::confirmations::SETTLED_FOR_GOOD - 1)
            .into_iter()
            .for_each(|answer| ledger.answer(answer));
        assert_eq!(ledger.forget_what_is_over(), [0; 0]);
        assert_eq!((ledger.from(), ledger.posts_after(0).len()), (3, 1));
        ledger
            .answer(Answer::Confirmations { number: 7, confirmations: crate::relay::confirmations::SETTLED_FOR_GOOD });
        assert_eq!(ledger.forget_what_is_over(), [7]);
        assert_eq!((ledger.from(), ledger.posts_after(0).len(), ledger.posts_len()), (7, 0, 1));
    }

    #[test]
    fn a_proposal_that_is_not_a_vault_transaction_is_told_and_not_signed() {
        let mut ledger = Ledger::new(ME, 0, example::info(5), 24);
        let odd = Bridge::VaultTransactionProposed { transaction: Bytes::from(vec![1, 2, 3]), ..proposed(7) };
        let odd = read(&mut ledger, &[log(3, BRIDGE, &odd)], 4, 5);
        assert!(matches!(odd.as_slice(), [NotSignable::Layout { number: 7, .. }]), "{odd:?}");
        assert!(ledger.view().open.is_empty());
    }

    #[test]
    fn only_its_own_confirmation_of_a_key_counts() {
        let mut ledger = Ledger::new(ME, 0, example::info(5), 24);
        let confirmed = |member, key| Federation::KeyConfirmed { epoch: 1, member, groupKey: B256::repeat_byte(key) };
        let logs = [log(1, FEDERATION, &confirmed(1, 8)), log(1, FEDERATION, &confirmed(ME, 9))];
        read(&mut ledger, &logs, 1, 5);
        assert_eq!(ledger.confirmed(1), Some(B256::repeat_byte(9)));
    }
}
