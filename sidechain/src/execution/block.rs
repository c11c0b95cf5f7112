//! The transactions of one block, run one after the other.

use alloy_consensus::{Eip658Value, Receipt as ConsensusReceipt, Transaction as _, proofs};
use alloy_primitives::{Address, B256, Bloom, Log, U256};
use alloy_rlp::Encodable as _;
use contracts::{Books, address::BRIDGE};
use revm::{Database as _, DatabaseCommit as _, state::EvmState};

use super::{
    error::BlockError,
    evm::{Evm, Mode, evm, inclusion_error, offer, transact, transaction_env},
    history::record_parent,
    lanes::Lanes,
    moved_precompiles::Placed,
    outcome::free_failure,
    rules::{Rules, check_free},
    supply::Supply,
};
use crate::{
    block::{Block, Header, Receipt, Transaction, TxEnvelope, check_kind, is_free},
    state::{CommitError, Overlay, StateReader, Working},
    stop::Stop,
};

/// A block that was executed here.
#[derive(Debug)]
pub struct Executed {
    /// keccak256 of its header.
    pub hash: B256,
    /// The block, its header complete.
    pub block: Block,
    /// The sender of each transaction, in the same order.
    pub senders: Vec<Address>,
    /// One for each transaction.
    pub receipts: Vec<Receipt>,
    /// Rows of the state that the block changes, before and after.
    pub overlay: Overlay,
}

/// What a block holds while it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// By its transactions.
    pub gas_used: u64,
    /// Accounts and slots that its transactions changed, each once: what the state root will cost.
    pub changes: u64,
}

/// The transactions of one block, one after the other.
pub struct Execution<'a, R: StateReader> {
    rules: &'a Rules,
    evm: Evm<'a, R>,
    made: Made,
    lanes: Lanes,
}

impl<'a, R: StateReader> Execution<'a, R> {
    /// Starts a block with a header from [`child_header`] on the parent's state.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn new(rules: &'a Rules, header: Header, mut working: Working<'a, R>) -> Result<Self, BlockError> {
        record_parent(&mut working, &header)?;
        let evm = evm(rules, &header, working, Placed::usual(), &Stop::never());
        Ok(Self { rules, evm, made: Made::new(header), lanes: Lanes::new(rules) })
    }

    /// Whether not even the smallest transaction fits any more.
    pub const fn is_full(&self) -> bool {
        self.lanes.is_full()
    }

    /// Runs a transaction and adds it to the block. On error nothing has changed.
    ///
    /// # Errors
    ///
    /// `Transaction` with the rule that keeps it out, `Supply`, `Stopped`, `Store`.
    pub fn include(&mut self, transaction: &Transaction, stop: &Stop) -> Result<(), BlockError> {
        let envelope = transaction.inner();
        let hash = *envelope.tx_hash();
        let index = self.made.transactions.len();
        let refuse = |error| BlockError::Transaction { index, hash, error };
        let bytes = envelope.length();
        check_kind(envelope, self.rules.chain_id).map_err(|error| refuse(error.into()))?;
        let free = is_free(envelope);
        let member = free.then(|| transaction.signer());
        self.lanes.check(member, envelope.gas_limit(), bytes).map_err(refuse)?;
        if free {
            check_free(self.rules, transaction).map_err(refuse)?;
        }

        self.evm.ctx.chain = stop.clone();
        let (result, state) = transact(&mut self.evm, transaction_env(transaction), Mode::of(transaction))
            .map_err(|error| inclusion_error(error, offer(&self.evm), refuse))?;
        if free && !result.is_success() {
            return Err(refuse(free_failure(&result)));
        }
        check_supply_after(&mut self.evm.ctx.journaled_state.database, &state)?;
        self.evm.ctx.journaled_state.database.commit(state);

        let (success, gas_used) = (result.is_success(), result.tx_gas_used());
        self.lanes.add(member, gas_used, bytes);
        self.made.add(transaction.clone(), success, gas_used, result.into_logs());
        Ok(())
    }

    /// What the block holds until now.
    pub const fn progress(&self) -> Progress {
        Progress { gas_used: self.made.header.gas_used, changes: self.evm.ctx.journaled_state.database.changes() }
    }

    /// Ends the block: checks the supply, computes roots and hash.
    ///
    /// # Errors
    ///
    /// `Supply`, `Stopped`, `Store`.
    pub fn finish(self, parent_root: B256, stop: &Stop) -> Result<Executed, BlockError> {
        let mut working = self.evm.ctx.journaled_state.database;
        check_supply(&mut working)?;
        Ok(self.made.finish(working, parent_root, stop)?)
    }
}

/// A block while it is made: what has run in it.
pub(super) struct Made {
    /// Its `gas_used` is that of the transactions until now; the roots come at the end.
    pub(super) header: Header,
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    receipts: Vec<Receipt>,
}

impl Made {
    pub(super) const fn new(header: Header) -> Self {
        Self { header, transactions: Vec::new(), senders: Vec::new(), receipts: Vec::new() }
    }

    /// Adds a transaction that has run.
    pub(super) fn add(&mut self, transaction: Transaction, success: bool, gas_used: u64, logs: Vec<Log>) {
        self.header.gas_used += gas_used;
        let (status, cumulative_gas_used) = (Eip658Value::Eip658(success), self.header.gas_used);
        let receipt = ConsensusReceipt { status, cumulative_gas_used, logs };
        let (envelope, sender) = transaction.into_parts();
        self.receipts.push(Receipt::from_typed(envelope.tx_type(), receipt.with_bloom()));
        self.transactions.push(envelope);
        self.senders.push(sender);
    }

    /// Ends the block with the state that it left behind: computes roots and hash. Whether the supply is covered is the caller's to check.
    ///
    /// # Errors
    ///
    /// `Stopped`, `Store`.
    pub(super) fn finish<R: StateReader>(
        self,
        working: Working<'_, R>,
        parent_root: B256,
        stop: &Stop,
    ) -> Result<Executed, CommitError> {
        let Self { mut header, transactions, senders, receipts } = self;
        let (state_root, overlay) = working.commit_block(parent_root, stop)?;
        header.state_root = state_root;
        stop.check()?;
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        header.receipts_root = proofs::calculate_receipt_root(&receipts);
        header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        Ok(Executed { hash: header.hash_slow(), block: Block { header, transactions }, senders, receipts, overlay })
    }
}

fn check_supply<R: StateReader>(working: &mut Working<'_, R>) -> Result<(), BlockError> {
    let balance = working.basic(BRIDGE)?.map_or(U256::ZERO, |bridge| bridge.balance);
    let mut slots = Books::slots();
    for slot in &mut slots {
        *slot = working.storage(BRIDGE, *slot)?;
    }
    covered(Supply::new(balance, slots))
}

/// The same after a transaction that is not committed yet. One that does not touch the Bridge changes nothing of it.
fn check_supply_after<R: StateReader>(working: &mut Working<'_, R>, state: &EvmState) -> Result<(), BlockError> {
    let Some(bridge) = state.get(&BRIDGE).filter(|bridge| bridge.is_touched()) else {
        return Ok(());
    };
    let mut slots = Books::slots();
    for slot in &mut slots {
        *slot = match bridge.storage.get(slot) {
            Some(changed) => changed.present_value,
            None => working.storage(BRIDGE, *slot)?,
        };
    }
    covered(Supply::new(bridge.info.balance, slots))
}

fn covered(supply: Supply) -> Result<(), BlockError> {
    if supply.is_covered() { Ok(()) } else { Err(BlockError::Supply(Box::new(supply))) }
}
