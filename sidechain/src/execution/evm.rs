//! The EVM by Ethereum's rules, with the base fee paid to the block's beneficiary.

use std::marker::PhantomData;

use alloy_consensus::Transaction as _;
use alloy_primitives::U256;
use revm::{
    Context, MainBuilder as _,
    context::{
        self, Block as _, BlockEnv, CfgEnv, ContextTr as _, JournalTr, Transaction as _, TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    },
    context_interface::{block::BlobExcessGasAndPrice, journaled_state::account::JournaledAccountTr as _},
    handler::{EthFrame, EvmTr as _, FrameResult, Handler, ItemOrResult, evm::FrameTr, post_execution, pre_execution},
    inspector::{InspectorEvmTr as _, InspectorHandler},
    interpreter::{
        InitialAndFloorGas,
        interpreter::EthInterpreter,
        interpreter_action::FrameInit,
        interpreter_types::{Jumps as _, LegacyBytecode as _},
    },
    primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId},
    state::EvmState,
};

use super::{
    environment::Environment,
    error::{BlockError, InclusionError},
    instructions::{Instructions, look_for_stop},
    moved_precompiles::Placed,
    outcome::{Halt, is_undefined},
    recorder::Recorder,
    rules::Rules,
};
use crate::{
    block::{Header, Transaction, is_free},
    geth::{self, Offer},
    state::{StateReader, Working, store::StoreError},
    stop::Stop,
};

/// `I` looks on, if anybody does.
pub(super) type Evm<'a, R, I = ()> =
    context::Evm<Environment<'a, R>, I, Instructions<'a, R>, Placed, EthFrame<EthInterpreter>>;
pub(super) type EvmError = EVMError<StoreError, Refusal>;

/// Why a transaction has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It cannot be started.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// Its execution was stopped from outside.
    #[error("stopped")]
    Stopped,
}

/// An EVM in the environment of a block, with these precompiles, until `stop`.
pub(super) fn evm<'a, R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'a, R>,
    precompiles: Placed,
    stop: &Stop,
) -> Evm<'a, R> {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.chain_id = rules.chain_id;
    // No transfer is a log, unless whoever tries calls wants it so.
    cfg.amsterdam_eip7708_disabled = true;
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
    let context: Environment<'a, R> = Context::new(working, SpecId::OSAKA);
    let context = context.with_cfg(cfg).with_block(block).with_chain(stop.clone());
    let mut evm = context.build_mainnet().with_precompiles(precompiles);
    look_for_stop(&mut evm.instruction);
    evm
}

pub(super) fn transaction_env(transaction: &Transaction) -> TxEnv {
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

pub(super) fn transact<R: StateReader, I>(
    evm: &mut Evm<'_, R, I>,
    env: TxEnv,
    mode: Mode,
) -> Result<(ExecutionResult<Halt>, EvmState), EvmError> {
    evm.ctx.tx = env;
    let mut peg = Peg { mode, undefined: None, evm: PhantomData };
    let result = peg.run(evm);
    let state = evm.ctx.journaled_state.finalize();
    Ok((peg.with_opcode(result?), state))
}

/// The same while somebody looks on. `Stopped` too when that one has seen enough.
pub(super) fn inspect<R: StateReader>(
    evm: &mut Evm<'_, R, Recorder>,
    env: TxEnv,
    mode: Mode,
) -> Result<(ExecutionResult<Halt>, EvmState), EvmError> {
    evm.ctx.tx = env;
    let mut peg = Peg { mode, undefined: None, evm: PhantomData };
    let result = peg.inspect_run(evm);
    let state = evm.ctx.journaled_state.finalize();
    Ok((peg.with_opcode(result?), state))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of Ethereum's rules.
    Block,
    /// The same, but nobody is charged for gas, and nobody gets it. The base fee and the price that contracts see are as if.
    Free,
    /// Any account may be the sender, contracts too, with any nonce.
    Call,
    /// The same, and nobody is charged.
    FreeCall,
    /// Any account may be the sender, contracts too, with its next nonce.
    AnySender,
}

impl Mode {
    const fn is_free(self) -> bool {
        matches!(self, Self::Free | Self::FreeCall)
    }

    /// How a block runs a transaction.
    pub(super) fn of(transaction: &Transaction) -> Self {
        if is_free(transaction.inner()) { Self::Free } else { Self::Block }
    }
}

/// The mainnet handler except for the base fee, the free lane, and the checks that calls are spared.
struct Peg<'a, R, I> {
    mode: Mode,
    /// The opcode that ended the last frame which one ended that there is not.
    undefined: Option<u8>,
    evm: PhantomData<(Working<'a, R>, I)>,
}

impl<'a, R: StateReader, I> Peg<'a, R, I> {
    /// Remembers the opcode, if a frame that has just ended did so because there is none.
    fn note_end(&mut self, evm: &mut Evm<'a, R, I>, ended: &FrameResult) {
        if is_undefined(ended.interpreter_result().result) {
            let code = &evm.frame_stack.get().interpreter.bytecode;
            // The counter stands behind it.
            self.undefined = code.pc().checked_sub(1).and_then(|pc| code.bytecode_slice().get(pc)).copied();
        }
    }

    fn with_opcode(&self, ran: ExecutionResult) -> ExecutionResult<Halt> {
        // The outermost frame is the last that ends.
        ran.map_haltreason(|reason| {
            let is_undefined = matches!(reason, HaltReason::OpcodeNotFound | HaltReason::NotActivated);
            Halt::from(reason).at(self.undefined.filter(|_| is_undefined))
        })
    }
}

impl<'a, R: StateReader, I> Handler for Peg<'a, R, I> {
    type Evm = Evm<'a, R, I>;
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
        if !matches!(self.mode, Mode::Call | Mode::FreeCall) {
            // EIP-3607: contracts send nothing.
            let any_sender = self.mode == Mode::AnySender;
            let (info, nonce) = (&caller.account().info, transaction.nonce());
            pre_execution::validate_account_nonce_and_code(info, nonce, any_sender, cfg.disable_nonce_check)?;
        }
        if !self.mode.is_free() {
            let balance = pre_execution::calculate_caller_fee(*caller.balance(), transaction, block, cfg)?;
            caller.set_balance(balance);
        }
        if transaction.kind().is_call() {
            caller.bump_nonce();
        }
        Ok(())
    }

    fn reimburse_caller(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as revm::handler::EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Self::Error> {
        // What was never taken is not given back.
        if self.mode.is_free() {
            return Ok(());
        }
        Ok(post_execution::reimburse_caller(evm.ctx(), result.gas(), U256::ZERO)?)
    }

    /// The loop over frames, which looks whether the execution was stopped before each call, creation and precompile.
    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Self::Error> {
        check_stop(evm)?;
        if !evm.ctx.cfg.amsterdam_eip7708_disabled {
            log_transfers(&mut evm.ctx.journaled_state);
        }
        if let ItemOrResult::Result(result) = evm.frame_init(first)? {
            return Ok(result);
        }
        loop {
            let step = evm.frame_run()?;
            check_stop(evm)?;
            let result = match step {
                ItemOrResult::Item(call) => match evm.frame_init(call)? {
                    ItemOrResult::Item(_) => continue,
                    ItemOrResult::Result(result) => result,
                },
                ItemOrResult::Result(result) => {
                    self.note_end(evm, &result);
                    result
                }
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as revm::handler::EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Self::Error> {
        if self.mode.is_free() {
            return Ok(());
        }
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

/// Lets the journal, and nothing else, be of the fork in which transfers of coins are logs (EIP-7708). It has nothing more of that fork, but for one
/// thing: what destroys itself in favour of itself keeps its coins.
fn log_transfers(journal: &mut impl JournalTr) {
    journal.set_spec_id(SpecId::AMSTERDAM);
    journal.set_eip7708_config(false, true);
}

impl<R: StateReader> InspectorHandler for Peg<'_, R, Recorder> {
    type IT = EthInterpreter;

    /// The same loop while somebody looks on.
    fn inspect_run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Self::Error> {
        check_recorder(evm)?;
        if let ItemOrResult::Result(result) = evm.inspect_frame_init(first)? {
            return Ok(result);
        }
        loop {
            let step = evm.inspect_frame_run()?;
            check_recorder(evm)?;
            let result = match step {
                ItemOrResult::Item(call) => match evm.inspect_frame_init(call)? {
                    ItemOrResult::Item(_) => continue,
                    ItemOrResult::Result(result) => result,
                },
                ItemOrResult::Result(result) => {
                    self.note_end(evm, &result);
                    result
                }
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }
}

fn check_recorder<R: StateReader>(evm: &Evm<'_, R, Recorder>) -> Result<(), EvmError> {
    if evm.inspector.exceeded().is_some() { Err(EVMError::Transaction(Refusal::Stopped)) } else { check_stop(evm) }
}

fn check_stop<R: StateReader, I>(evm: &Evm<'_, R, I>) -> Result<(), EvmError> {
    if evm.ctx.chain.is_stopped() { Err(EVMError::Transaction(Refusal::Stopped)) } else { Ok(()) }
}

/// What the last transaction offered, and who.
pub(super) fn offer<R: StateReader, I>(evm: &Evm<'_, R, I>) -> Offer {
    let (sent, base_fee) = (&evm.ctx.tx, evm.ctx.block.basefee);
    let tip = sent.gas_priority_fee.unwrap_or(sent.gas_price);
    Offer { from: sent.caller, most: sent.gas_price, tip, base_fee }
}

pub(super) fn inclusion_error(
    error: EvmError,
    offer: Offer,
    refuse: impl FnOnce(InclusionError) -> BlockError,
) -> BlockError {
    match error {
        EVMError::Database(error) => BlockError::Store(error),
        EVMError::Transaction(Refusal::Stopped) => BlockError::Stopped,
        EVMError::Transaction(Refusal::Invalid(
            InvalidTransaction::NonceTooHigh { tx, state } | InvalidTransaction::NonceTooLow { tx, state },
        )) => refuse(InclusionError::Nonce { got: tx, want: state }),
        EVMError::Transaction(Refusal::Invalid(error)) => {
            refuse(InclusionError::Invalid(geth::invalid(&error, &offer)))
        }
        EVMError::Header(error) => refuse(InclusionError::Invalid(error.to_string())),
        EVMError::Custom(error) => refuse(InclusionError::Invalid(error)),
        EVMError::CustomAny(error) => refuse(InclusionError::Invalid(error.to_string())),
    }
}
