//! The EVM by Ethereum's rules, with the base fee paid to the block's beneficiary.

use std::marker::PhantomData;

use alloy_consensus::Transaction as _;
use alloy_primitives::U256;
use revm::{
    Context, MainBuilder as _,
    context::{
        Block as _, BlockEnv, CfgEnv, ContextTr as _, Journal, JournalTr as _, Transaction as _, TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    },
    context_interface::{block::BlobExcessGasAndPrice, journaled_state::account::JournaledAccountTr as _},
    handler::{EvmTr as _, FrameResult, Handler, MainnetContext, MainnetEvm, evm::FrameTr, pre_execution},
    interpreter::InitialAndFloorGas,
    primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId},
    state::EvmState,
};

use super::{
    error::{BlockError, InclusionError},
    rules::Rules,
};
use crate::{
    block::{Header, Transaction},
    state::{StateReader, Working, store::StoreError},
};

pub(super) type Evm<'a, R> = MainnetEvm<MainnetContext<Working<'a, R>>>;
pub(super) type EvmError = EVMError<StoreError, InvalidTransaction>;

/// An EVM in the environment of a block.
pub(super) fn evm<'a, R: StateReader>(rules: &Rules, header: &Header, working: Working<'a, R>) -> Evm<'a, R> {
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

pub(super) fn transact<R: StateReader>(
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
pub(super) enum Mode {
    /// All of Ethereum's rules.
    Block,
    /// Any account may be the sender, contracts too, with any nonce.
    Call,
}

/// The mainnet handler except for the base fee, and the checks that calls are spared.
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

pub(super) fn inclusion_error(error: EvmError, refuse: impl FnOnce(InclusionError) -> BlockError) -> BlockError {
    match error {
        EVMError::Database(error) => BlockError::Store(error),
        EVMError::Transaction(
            InvalidTransaction::NonceTooHigh { tx, state } | InvalidTransaction::NonceTooLow { tx, state },
        ) => refuse(InclusionError::Nonce { got: tx, want: state }),
        EVMError::Transaction(error) => refuse(InclusionError::Invalid(error.to_string())),
        error => refuse(InclusionError::Invalid(error.to_string())),
    }
}
