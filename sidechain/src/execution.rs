//! Running transactions: what a block may hold, what it does to the state, and the header that follows.
//!
//! Ethereum's rules of fork Osaka, unmodified, but for:
//! - the base fee is not burnt but paid to the block's beneficiary with the tip, so that only the Bridge changes the supply;
//! - the free lane: members of the federation call the peg's contracts at gas price 0. Such a transaction runs with base
//!   fee 0, sends no value, and must succeed; its gas and bytes are bounded per block;
//! - no blobs (EIP-4844), no withdrawals, no requests. The contracts of EIP-2935, 4788, 7002 and 7251 are not deployed, so
//!   their system calls do nothing (as those EIPs say for an address without code);
//! - the supply invariant holds after every block.
//!
//! `prevrandao` is the hash of the parent: on this chain it is no source of randomness.

use std::{collections::BTreeSet, marker::PhantomData};

use alloy_consensus::{
    Eip658Value, Receipt as ConsensusReceipt, Transaction as _, constants::EMPTY_WITHDRAWALS, proofs,
};
use alloy_eips::{eip2930::AccessList, eip7685::EMPTY_REQUESTS_HASH, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, TxKind, U256};
use alloy_rlp::Encodable as _;
use contracts::{
    Ledger,
    coin::{GENESIS_COINS_WEI, wei},
};
use revm::{
    Context, Database, DatabaseCommit as _, MainBuilder as _,
    context::{
        Block as _, BlockEnv, CfgEnv, ContextTr as _, Journal, JournalTr as _, Transaction as _, TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, Output},
    },
    context_interface::{block::BlobExcessGasAndPrice, journaled_state::account::JournaledAccountTr as _},
    handler::{EvmTr as _, FrameResult, Handler, MainnetContext, MainnetEvm, evm::FrameTr, pre_execution},
    interpreter::InitialAndFloorGas,
    primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId},
    state::EvmState,
};

use crate::{
    genesis::Genesis,
    state::{Overlay, StateReader, Working},
    store::StoreError,
    types::{
        Block, Header, MAX_BLOCK_BYTES, MAX_FREE_BYTES, Receipt, Transaction, TransactionError, TxEnvelope, check_kind,
        is_free, next_base_fee,
    },
};

/// Why a block is not valid.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The parent is neither final nor executed here. Verify the ancestors first, or wait for them.
    #[error("parent {parent} of block {number} is not known")]
    UnknownParent {
        /// Number of the block.
        number: u64,
        /// Hash of the parent.
        parent: B256,
    },
    /// The block conflicts with a final one: its number is at or below the head. Ignore it.
    #[error("block {number} is not above the final block {head}")]
    Final {
        /// Number of the block.
        number: u64,
        /// Last final block.
        head: u64,
    },
    /// A header field is not what the rules make it. The proposer is at fault.
    #[error("header field {field} is {got}, expected {want}")]
    Header {
        /// Name of the field.
        field: &'static str,
        /// Value seen.
        got: String,
        /// Value wanted.
        want: String,
    },
    /// The clock of the proposer runs ahead, or that of this node behind. Try again later.
    #[error("timestamp {got} is ahead of the clock, at most {want}")]
    Future {
        /// Timestamp seen, in seconds.
        got: u64,
        /// Highest accepted at this moment, in seconds.
        want: u64,
    },
    /// A transaction cannot stand where it stands. The proposer is at fault.
    #[error("transaction {index} ({hash}): {error}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// Its hash.
        hash: B256,
        /// The broken rule.
        error: InclusionError,
    },
    /// The peg would not be covered. A bug in the contracts or worse: nobody may accept such a block.
    #[error("supply invariant broken: {0}")]
    Supply(Box<Supply>),
    /// This node's store failed; says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BlockError {
    /// Whether the proposer broke a rule, so that this block will never be valid.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Header { .. } | Self::Transaction { .. } | Self::Supply { .. })
    }
}

/// Why a transaction cannot be in a block at this place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// Encoding, signature, type or chain id.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The EVM's rules: nonce, balance, fees, intrinsic gas.
    #[error("{0}")]
    Invalid(String),
    /// The nonce of the sender's account is another one.
    #[error("nonce {got}, expected {want}")]
    Nonce {
        /// Nonce of the transaction.
        got: u64,
        /// Nonce of the account.
        want: u64,
    },
    /// Too little gas is left in the block.
    #[error("gas limit {got} above the {left} left in the block")]
    BlockGas {
        /// Gas limit of the transaction.
        got: u64,
        /// Left in the block, or in its free lane.
        left: u64,
    },
    /// Too few bytes are left in the block.
    #[error("size {got} above the {left} bytes left in the block")]
    BlockBytes {
        /// Size of the transaction.
        got: usize,
        /// Left in the block, or in its free lane.
        left: usize,
    },
    /// Not allowed in the free lane.
    #[error("gas price 0 is only for members of the federation who call the peg's contracts without value: {0}")]
    NotFree(&'static str),
    /// A free transaction must succeed.
    #[error("a transaction with gas price 0 must succeed: {reason}")]
    FreeFailed {
        /// Revert reason or halt.
        reason: String,
        /// Data returned by the revert.
        output: Bytes,
    },
}

/// A call that is tried without being sent (`eth_call`, `eth_estimateGas`).
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Sender; no signature is asked for.
    pub from: Address,
    /// Contract or account called, or `Create`.
    pub to: TxKind,
    /// Wei sent along; the sender must have it.
    pub value: U256,
    /// Call data or creation code.
    pub input: Bytes,
    /// Gas limit; default and maximum is the block's.
    pub gas: Option<u64>,
    /// Wei per gas; with 0 the sender need not be able to pay for gas.
    pub gas_price: u128,
    /// EIP-2930.
    pub access_list: AccessList,
    /// EIP-7702.
    pub authorizations: Vec<SignedAuthorization>,
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it neither reverted nor halted.
    pub success: bool,
    /// Why it halted (out of gas, invalid opcode), if so; `None` for success and revert.
    pub halt: Option<String>,
    /// Gas after refunds.
    pub gas_used: u64,
    /// Data returned or revert data.
    pub output: Bytes,
    /// Logs emitted.
    pub logs: Vec<Log>,
    /// Address of the contract created, if one was.
    pub created: Option<Address>,
}

/// What the blocks of one network may do; from genesis.
#[derive(Clone, Debug)]
pub struct Rules {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas of a block.
    pub gas_limit: u64,
    /// Accounts that may use the free lane.
    pub members: BTreeSet<Address>,
}

impl Rules {
    /// The rules that a genesis file sets.
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            chain_id: genesis.chain_id,
            gas_limit: genesis.block.gas_limit,
            members: genesis.federation.members.iter().map(|member| member.account).collect(),
        }
    }

    /// Gas of free transactions in one block: half of it, so that paying users always find room.
    pub const fn free_gas(&self) -> u64 {
        self.gas_limit / 2
    }
}

/// Contracts that may be called in the free lane.
pub const FREE_CONTRACTS: [Address; 4] = [
    contracts::address::LIGHT_CLIENT,
    contracts::address::FEDERATION,
    contracts::address::SIGNING_BOARD,
    contracts::address::BRIDGE,
];

/// A block that was executed here.
#[derive(Debug)]
pub struct Executed {
    /// Hash of the block.
    pub hash: B256,
    /// The block, its header complete.
    pub block: Block,
    /// The sender of each transaction.
    pub senders: Vec<Address>,
    /// One for each transaction.
    pub receipts: Vec<Receipt>,
    /// What it changes.
    pub overlay: Overlay,
}

/// The header of a block on `parent`, but for what its transactions decide: gas used, roots and bloom.
pub fn child_header(rules: &Rules, parent: &Header, parent_hash: B256, timestamp: u64, beneficiary: Address) -> Header {
    Header {
        parent_hash,
        beneficiary,
        number: parent.number + 1,
        gas_limit: rules.gas_limit,
        timestamp,
        mix_hash: parent_hash,
        base_fee_per_gas: Some(next_base_fee(parent)),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Compares a block's header with what execution made of it.
///
/// # Errors
///
/// `Header` with the first field that differs.
pub fn compare(got: &Header, want: &Header) -> Result<(), BlockError> {
    macro_rules! fields {
        ($($field:ident),*) => {
            $(if got.$field != want.$field {
                return Err(BlockError::Header {
                    field: stringify!($field),
                    got: format!("{:?}", got.$field),
                    want: format!("{:?}", want.$field),
                });
            })*
        };
    }
    // In the order in which a difference is best understood: what was run first, what follows from it later.
    fields!(parent_hash, number, timestamp, beneficiary, gas_limit, base_fee_per_gas, mix_hash, extra_data);
    fields!(transactions_root, gas_used, receipts_root, logs_bloom, state_root);
    if got != want {
        return Err(BlockError::Header { field: "(other)", got: format!("{got:?}"), want: format!("{want:?}") });
    }
    Ok(())
}

type Evm<'a, R> = MainnetEvm<MainnetContext<Working<'a, R>>>;
type EvmError = EVMError<StoreError, InvalidTransaction>;

/// The transactions of one block, one after the other.
pub struct Execution<'a, R: StateReader> {
    rules: &'a Rules,
    evm: Evm<'a, R>,
    header: Header,
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    receipts: Vec<Receipt>,
    bytes: usize,
    free_gas: u64,
    free_bytes: usize,
}

impl<'a, R: StateReader> Execution<'a, R> {
    /// Starts a block with a header from [`child_header`] on the parent's state.
    pub fn new(rules: &'a Rules, header: Header, working: Working<'a, R>) -> Self {
        let evm = evm(rules, &header, working);
        Self {
            rules,
            evm,
            header,
            transactions: Vec::new(),
            senders: Vec::new(),
            receipts: Vec::new(),
            bytes: 0,
            free_gas: 0,
            free_bytes: 0,
        }
    }

    /// Whether not even the smallest transaction fits any more.
    pub const fn is_full(&self) -> bool {
        self.header.gas_limit - self.header.gas_used < 21_000 || self.bytes + 100 > MAX_BLOCK_BYTES
    }

    /// Runs a transaction and adds it to the block. On error nothing has changed.
    ///
    /// # Errors
    ///
    /// `Transaction` with the rule that keeps it out, `Supply`, `Store`.
    pub fn include(&mut self, transaction: &Transaction) -> Result<(), BlockError> {
        let envelope = transaction.inner();
        let hash = *envelope.tx_hash();
        let index = self.transactions.len();
        let refuse = |error| BlockError::Transaction { index, hash, error };
        let bytes = envelope.length();
        check_kind(envelope, self.rules.chain_id).map_err(|error| refuse(error.into()))?;
        self.check_room(envelope, bytes).map_err(refuse)?;
        let free = is_free(envelope);
        if free {
            check_free(self.rules, transaction).map_err(refuse)?;
        }

        let base_fee = if free { 0 } else { self.header.base_fee_per_gas.unwrap_or_default() };
        self.evm.ctx.block.basefee = base_fee;
        let (result, state) = transact(&mut self.evm, transaction_env(transaction), Mode::Block)
            .map_err(|error| inclusion_error(error, refuse))?;
        if free && !result.is_success() {
            return Err(refuse(free_failure(&result)));
        }
        check_supply_after(&mut self.evm.ctx.journaled_state.database, &state)?;
        self.evm.ctx.journaled_state.database.commit(state);

        let gas_used = result.tx_gas_used();
        self.header.gas_used += gas_used;
        self.bytes += bytes;
        if free {
            self.free_gas += gas_used;
            self.free_bytes += bytes;
        }
        let receipt = ConsensusReceipt {
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: self.header.gas_used,
            logs: result.into_logs(),
        };
        self.receipts.push(Receipt::from_typed(envelope.tx_type(), receipt.with_bloom()));
        self.transactions.push(envelope.clone());
        self.senders.push(transaction.signer());
        Ok(())
    }

    /// Ends the block: checks the supply, computes roots and hash.
    ///
    /// # Errors
    ///
    /// `Supply`, `Store`.
    pub fn finish(self, parent_root: B256) -> Result<Executed, BlockError> {
        let Self { evm, mut header, transactions, senders, receipts, .. } = self;
        let mut working = evm.ctx.journaled_state.database;
        check_supply(&mut working)?;
        let (state_root, overlay) = working.commit_block(parent_root)?;
        header.state_root = state_root;
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        header.receipts_root = proofs::calculate_receipt_root(&receipts);
        header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        Ok(Executed { hash: header.hash_slow(), block: Block { header, transactions }, senders, receipts, overlay })
    }

    fn check_room(&self, envelope: &TxEnvelope, bytes: usize) -> Result<(), InclusionError> {
        let mut gas_left = self.header.gas_limit - self.header.gas_used;
        let mut bytes_left = MAX_BLOCK_BYTES - self.bytes;
        if is_free(envelope) {
            gas_left = gas_left.min(self.rules.free_gas().saturating_sub(self.free_gas));
            bytes_left = bytes_left.min(MAX_FREE_BYTES - self.free_bytes);
        }
        if envelope.gas_limit() > gas_left {
            return Err(InclusionError::BlockGas { got: envelope.gas_limit(), left: gas_left });
        }
        if bytes > bytes_left {
            return Err(InclusionError::BlockBytes { got: bytes, left: bytes_left });
        }
        Ok(())
    }
}

/// Whether a transaction with gas price 0 may use the free lane, apart from its success.
///
/// # Errors
///
/// `NotFree`.
pub fn check_free(rules: &Rules, transaction: &Transaction) -> Result<(), InclusionError> {
    let refuse = |reason| Err(InclusionError::NotFree(reason));
    if !rules.members.contains(&transaction.signer()) {
        return refuse("the sender is not a member");
    }
    if !transaction.to().is_some_and(|to| FREE_CONTRACTS.contains(&to)) {
        return refuse("the receiver is not a contract of the peg");
    }
    if !transaction.value().is_zero() {
        return refuse("it sends value");
    }
    Ok(())
}

/// Runs a call on a block's state and in its environment, changing nothing. `header` is of the block whose state `working`
/// starts from.
///
/// # Errors
///
/// `Transaction` when the call cannot even start; `Store`.
pub fn simulate<R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'_, R>,
    call: &Call,
) -> Result<Outcome, BlockError> {
    let mut evm = evm(rules, header, working);
    evm.ctx.cfg.tx_gas_limit_cap = Some(u64::MAX);
    evm.ctx.cfg.tx_chain_id_check = false;
    // As geth does: who offers nothing for gas sees no base fee.
    if call.gas_price == 0 {
        evm.ctx.block.basefee = 0;
    }
    let env = TxEnv {
        tx_type: if call.authorizations.is_empty() { 1 } else { 4 },
        caller: call.from,
        gas_limit: call.gas.unwrap_or(header.gas_limit).min(header.gas_limit),
        gas_price: call.gas_price,
        kind: call.to,
        value: call.value,
        data: call.input.clone(),
        nonce: 0,
        chain_id: Some(rules.chain_id),
        access_list: call.access_list.clone(),
        gas_priority_fee: None,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: call.authorizations.iter().cloned().map(Either::Left).collect(),
    };
    let refuse = |error| BlockError::Transaction { index: 0, hash: B256::ZERO, error };
    let (result, _) = transact(&mut evm, env, Mode::Call).map_err(|error| inclusion_error(error, refuse))?;
    Ok(outcome(result))
}

/// Runs a free-lane transaction as it would run in the next block, except that its nonce may lie ahead.
///
/// # Errors
///
/// `Transaction` with what keeps it out of a block.
pub fn try_free<R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'_, R>,
    transaction: &Transaction,
) -> Result<Outcome, BlockError> {
    let refuse = |error| BlockError::Transaction { index: 0, hash: *transaction.inner().tx_hash(), error };
    check_free(rules, transaction).map_err(refuse)?;
    let left = rules.free_gas();
    if transaction.gas_limit() > left {
        return Err(refuse(InclusionError::BlockGas { got: transaction.gas_limit(), left }));
    }
    let mut evm = evm(rules, header, working);
    evm.ctx.block.basefee = 0;
    let (result, _) =
        transact(&mut evm, transaction_env(transaction), Mode::Call).map_err(|error| inclusion_error(error, refuse))?;
    if !result.is_success() {
        return Err(refuse(free_failure(&result)));
    }
    Ok(outcome(result))
}

/// Runs code that stands at an address, as genesis runs constructors; returns what it returns. Only the account itself is
/// changed.
///
/// # Errors
///
/// What the constructor says when it fails.
pub fn construct<R: StateReader>(
    chain_id: u64,
    timestamp: u64,
    working: Working<'_, R>,
    address: Address,
) -> Result<(Working<'_, R>, Bytes), String> {
    let rules = Rules { chain_id, gas_limit: u64::MAX, members: BTreeSet::new() };
    let header = Header { timestamp, gas_limit: u64::MAX, base_fee_per_gas: Some(0), ..Header::default() };
    let mut evm = evm(&rules, &header, working);
    evm.ctx.cfg.tx_gas_limit_cap = Some(u64::MAX);
    let env =
        TxEnv { kind: TxKind::Call(address), gas_limit: CONSTRUCTOR_GAS, chain_id: Some(chain_id), ..TxEnv::default() };
    let (result, mut state) = transact(&mut evm, env, Mode::Call).map_err(|error| error.to_string())?;
    let outcome = outcome(result);
    if !outcome.success {
        return Err(failure(&outcome.halt, &outcome.output));
    }
    state.retain(|changed, _| *changed == address);
    let mut working = evm.ctx.journaled_state.database;
    working.commit(state);
    Ok((working, outcome.output))
}

/// Gas of a constructor at genesis: more than any needs, and little enough that a loop ends.
const CONSTRUCTOR_GAS: u64 = 1_000_000_000;

/// What the supply invariant is about, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Coins outside the Bridge.
    pub supply: U256,
    /// Settled vault outputs.
    pub vault: U256,
    /// Queued and paying withdrawals.
    pub owed: U256,
    /// Fees held.
    pub held: U256,
    /// Recorded deficit.
    pub deficit: U256,
}

impl Supply {
    /// From the Bridge's balance and its slot 0: vault, owed, held and deficit in sat, 64 bits each from the low end.
    pub fn new(balance: U256, ledger: U256) -> Self {
        let ledger = Ledger::from_slot(ledger);
        Self {
            // There are 21 million coins, so the Bridge cannot hold more.
            supply: GENESIS_COINS_WEI.saturating_sub(balance),
            vault: wei(ledger.vault_sat),
            owed: wei(ledger.owed_sat),
            held: wei(ledger.held_sat),
            deficit: wei(ledger.deficit_sat),
        }
    }

    /// Design 6: coins outside the Bridge + withdrawals owed + fees held <= vault outputs + recorded deficits.
    pub fn is_covered(&self) -> bool {
        self.supply + self.owed + self.held <= self.vault + self.deficit
    }

    fn check(self) -> Result<(), BlockError> {
        if self.is_covered() { Ok(()) } else { Err(BlockError::Supply(Box::new(self))) }
    }
}

impl std::fmt::Display for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { supply, vault, owed, held, deficit } = self;
        write!(f, "supply {supply} + owed {owed} + held {held} > vault {vault} + deficit {deficit} (wei)")
    }
}

fn check_supply<R: StateReader>(working: &mut Working<'_, R>) -> Result<(), BlockError> {
    let balance = working.basic(contracts::address::BRIDGE)?.map_or(U256::ZERO, |bridge| bridge.balance);
    let ledger = working.storage(contracts::address::BRIDGE, Ledger::SLOT)?;
    Supply::new(balance, ledger).check()
}

/// The same after a transaction that is not committed yet.
fn check_supply_after<R: StateReader>(working: &mut Working<'_, R>, state: &EvmState) -> Result<(), BlockError> {
    let Some(bridge) = state.get(&contracts::address::BRIDGE).filter(|bridge| bridge.is_touched()) else {
        return Ok(());
    };
    let ledger = match bridge.storage.get(&Ledger::SLOT) {
        Some(slot) => slot.present_value,
        None => working.storage(contracts::address::BRIDGE, Ledger::SLOT)?,
    };
    Supply::new(bridge.info.balance, ledger).check()
}

fn evm<'a, R: StateReader>(rules: &Rules, header: &Header, working: Working<'a, R>) -> Evm<'a, R> {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.chain_id = rules.chain_id;
    let block = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE)),
        slot_num: 0,
    };
    let context: MainnetContext<Working<'a, R>> =
        Context::<BlockEnv, TxEnv, CfgEnv, Working<'a, R>, Journal<Working<'a, R>>, ()>::new(working, SpecId::OSAKA);
    context.with_cfg(cfg).with_block(block).build_mainnet()
}

fn transaction_env(transaction: &Transaction) -> TxEnv {
    let envelope = transaction.inner();
    let authorizations = envelope.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: envelope.tx_type().into(),
        caller: transaction.signer(),
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

fn transact<R: StateReader>(
    evm: &mut Evm<'_, R>,
    env: TxEnv,
    mode: Mode,
) -> Result<(ExecutionResult, EvmState), EvmError> {
    evm.ctx.tx = env;
    let result = Peg { mode, evm: PhantomData }.run(evm);
    let state = evm.ctx.journaled_state.finalize();
    Ok((result?, state))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All of Ethereum's rules.
    Block,
    /// Any account may be the sender, contracts too, with any nonce.
    Call,
}

/// The mainnet handler but for the base fee, and the checks that calls are spared.
struct Peg<'a, R> {
    mode: Mode,
    evm: PhantomData<Working<'a, R>>,
}

impl<'a, R: StateReader> Handler for Peg<'a, R> {
    type Evm = Evm<'a, R>;
    type Error = EvmError;
    type HaltReason = HaltReason;

    fn validate_against_state_and_deduct_caller(
        &self,
        evm: &mut Self::Evm,
        _init_and_floor_gas: &mut InitialAndFloorGas,
    ) -> Result<(), Self::Error> {
        if self.mode == Mode::Block {
            return pre_execution::validate_against_state_and_deduct_caller(evm.ctx());
        }
        let (block, transaction, cfg, journal, _, _) = evm.ctx().all_mut();
        let mut caller = journal.load_account_with_code_mut(transaction.caller())?.data;
        let balance = pre_execution::calculate_caller_fee(*caller.balance(), transaction, block, cfg)?;
        caller.set_balance(balance);
        if transaction.kind().is_call() {
            caller.bump_nonce();
        }
        Ok(())
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as revm::handler::EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Self::Error> {
        let result: &FrameResult = result;
        let (block, transaction, _, journal, _, _) = evm.ctx().all_mut();
        let price = transaction.effective_gas_price(u128::from(block.basefee()));
        if price > 0 {
            let fee = U256::from(price) * U256::from(result.gas().used());
            journal.load_account_mut(block.beneficiary())?.incr_balance(fee);
        }
        Ok(())
    }
}

fn inclusion_error(error: EvmError, refuse: impl FnOnce(InclusionError) -> BlockError) -> BlockError {
    match error {
        EVMError::Database(error) => BlockError::Store(error),
        EVMError::Transaction(
            InvalidTransaction::NonceTooHigh { tx, state } | InvalidTransaction::NonceTooLow { tx, state },
        ) => refuse(InclusionError::Nonce { got: tx, want: state }),
        EVMError::Transaction(error) => refuse(InclusionError::Invalid(error.to_string())),
        error => refuse(InclusionError::Invalid(error.to_string())),
    }
}

fn free_failure(result: &ExecutionResult) -> InclusionError {
    let outcome = outcome(result.clone());
    InclusionError::FreeFailed { reason: failure(&outcome.halt, &outcome.output), output: outcome.output }
}

/// A failure for people: the halt, the revert's text, or its data.
fn failure(halt: &Option<String>, output: &Bytes) -> String {
    match halt {
        Some(halt) => halt.clone(),
        None if output.is_empty() => "execution reverted".to_owned(),
        None => contracts::explain_revert(output).unwrap_or_else(|| format!("execution reverted with {output}")),
    }
}

fn outcome(result: ExecutionResult) -> Outcome {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            let created = match &output {
                Output::Create(_, address) => *address,
                Output::Call(_) => None,
            };
            Outcome { success: true, halt: None, gas_used, output: output.into_data(), logs, created }
        }
        ExecutionResult::Revert { output, .. } => {
            Outcome { success: false, halt: None, gas_used, output, logs: Vec::new(), created: None }
        }
        ExecutionResult::Halt { reason, .. } => Outcome {
            success: false,
            halt: Some(format!("{reason:?}")),
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
            created: None,
        },
    }
}
