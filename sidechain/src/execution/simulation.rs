//! Blocks of calls that are tried one after the other (`eth_simulateV1`), as nobody will ever make them: without signatures, with other accounts and
//! headers than there are, and, unless it is asked for, without fees and nonces.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256, address};
use revm::{
    Database as _, DatabaseCommit as _,
    context::result::{EVMError, ExecutionResult, InvalidTransaction},
    primitives::eip7708::ETH_TRANSFER_LOG_ADDRESS,
};

use super::{
    block::{Executed, Made},
    evm::{Evm, EvmError, Mode, Refusal, evm, offer, transact, transaction_env},
    history::record_parent,
    moved_precompiles::Placed,
    outcome::{Halt, Outcome, outcome},
    overrides::Overrides,
    rules::{Rules, check_free},
};
use crate::{
    block::{Header, Transaction, TxEnvelope, is_free},
    geth::{self, Offer},
    limits::MAX_TRANSACTION_GAS,
    state::{CommitError, StateReader, Working, store::StoreError},
    stop::{Stop, Stopped},
};

/// Who is said to have logged a transfer of coins (ethereum/execution-apis, its notes on eth_simulate).
const TRANSFERS: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// Gas of the smallest transaction.
const LEAST_GAS: u64 = 21_000;

/// A call as whoever tries it says it. What is left out follows from where it runs.
#[derive(Clone, Debug)]
pub struct Intent {
    pub from: Address,
    pub to: TxKind,
    /// Wei.
    pub value: U256,
    pub input: Bytes,
    /// All that is left in the block, if nothing is said.
    pub gas: Option<u64>,
    /// The sender's next, if nothing is said.
    pub nonce: Option<u64>,
    pub price: Price,
    pub access_list: Option<AccessList>,
    pub authorizations: Vec<SignedAuthorization>,
}

/// What a call offers, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    Legacy(u128),
    Dynamic { most: u128, tip: u128 },
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its logs are those that are shown: with transfers of coins, if they are asked for.
    pub outcome: Outcome,
    /// Gas before refunds.
    pub most_gas: u64,
}

/// Why a simulation has no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("{}: address {from}, tx: {got} state: {want}", geth::NONCE_TOO_LOW)]
    NonceTooLow { from: Address, got: u64, want: u64 },
    #[error("{}: address {from}, tx: {got} state: {want}", geth::NONCE_TOO_HIGH)]
    NonceTooHigh { from: Address, got: u64, want: u64 },
    #[error("{}", .0.fee_cap_too_low())]
    FeeTooLow(Offer),
    #[error("{}: have {have}, want {want}", geth::INTRINSIC_GAS)]
    IntrinsicGas { have: u64, want: u64 },
    #[error("{}: address {from} have {have} want {want}", geth::INSUFFICIENT_FUNDS)]
    Funds { from: Address, have: U256, want: U256 },
    #[error("{}: {got} is asked for, {left} is left", geth::BLOCK_GAS)]
    BlockGas { got: u64, left: u64 },
    #[error("{}", geth::MAX_INIT_CODE)]
    InitCode,
    /// Any other rule that keeps a call from starting.
    #[error("{0}")]
    Invalid(String),
    #[error("block numbers must be in order: {got} <= {parent}")]
    Number { got: u64, parent: u64 },
    #[error("block timestamps must be in order: {got} < {parent}")]
    Time { got: u64, parent: u64 },
    #[error("block timestamps must be in order: none is after {parent}")]
    EndOfTime { parent: u64 },
    #[error("too many blocks: at most {most}, those that fill gaps included")]
    TooManyBlocks { most: u64 },
    #[error("too much gas: all calls of a simulation together get {most}")]
    TooMuchGas { most: u64 },
    /// Stopped from outside; says nothing about the calls.
    #[error("execution was stopped before its end")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Stopped> for SimulationError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<CommitError> for SimulationError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stopped(stopped) => stopped.into(),
            CommitError::Store(error) => error.into(),
        }
    }
}

/// What holds for all blocks of a simulation, and what is left of its gas.
#[derive(Clone, Debug)]
pub struct Simulation<'a> {
    pub rules: &'a Rules,
    /// Whether nonces and fees are as in a block. Senders may be contracts nevertheless.
    pub validates: bool,
    /// Whether transfers of coins are among the logs.
    pub shows_transfers: bool,
    /// Gas of all calls together; and how much of it is left.
    pub most_gas: u64,
    pub gas_left: u64,
}

impl Simulation<'_> {
    /// Runs calls as the transactions of a block with this header on the state of `working`.
    ///
    /// # Errors
    ///
    /// The first call that cannot be in the block ends the simulation; one that reverts does not.
    pub fn block<R: StateReader>(
        &mut self,
        header: Header,
        parent_root: B256,
        mut working: Working<'_, R>,
        (overrides, calls): (&Overrides, &[Intent]),
        stop: &Stop,
    ) -> Result<(Executed, Vec<Tried>), SimulationError> {
        overrides.apply(&mut working)?;
        record_parent(&mut working, &header)?;
        let mut evm = evm(self.rules, &header, working, Placed::moved(&overrides.precompiles), stop);
        if !self.validates {
            evm.ctx.cfg.tx_gas_limit_cap = Some(u64::MAX);
        }
        evm.ctx.cfg.amsterdam_eip7708_disabled = !self.shows_transfers;
        let mut made = Made::new(header);
        let mut tried = Vec::with_capacity(calls.len());
        for call in calls {
            stop.check()?;
            tried.push(self.call(&mut evm, &mut made, call)?);
        }
        Ok((made.finish(evm.ctx.journaled_state.database, parent_root, stop)?, tried))
    }

    fn call<R: StateReader>(
        &mut self,
        evm: &mut Evm<'_, R>,
        made: &mut Made,
        call: &Intent,
    ) -> Result<Tried, SimulationError> {
        let gas = self.gas(call, made)?;
        let nonce = match call.nonce {
            Some(nonce) => nonce,
            None => evm.ctx.journaled_state.database.basic(call.from)?.map_or(0, |account| account.nonce),
        };
        let transaction = call.transaction(self.rules.chain_id, nonce, gas);
        let base_fee = made.header.base_fee_per_gas.unwrap_or_default();
        // As geth does: who offers nothing for gas sees no base fee.
        evm.ctx.block.basefee = if !self.validates && call.price.most() == 0 { 0 } else { base_fee };
        let mode = self.mode(&transaction)?;
        let ran = transact(evm, transaction_env(&transaction), mode);
        let (result, state) = ran.map_err(|error| refusal(error, offer(evm)))?;
        evm.ctx.journaled_state.database.commit(state);
        self.gas_left = self.gas_left.saturating_sub(result.tx_gas_used());
        Ok(add(made, transaction, result))
    }

    /// Who may send a call, and who is charged. What is free in a block is free here; what asks for that and may not is in no block.
    fn mode(&self, transaction: &Transaction) -> Result<Mode, SimulationError> {
        let usual = if self.validates { Mode::AnySender } else { Mode::Call };
        if !is_free(transaction.inner()) {
            return Ok(usual);
        }
        match check_free(self.rules, transaction) {
            Ok(()) if self.validates => Ok(Mode::Free),
            Ok(()) => Ok(Mode::FreeCall),
            Err(error) if self.validates => Err(SimulationError::Invalid(error.to_string())),
            // Charged that price as any.
            Err(_) => Ok(usual),
        }
    }

    /// A call's gas: what it asks for, or all that is left.
    fn gas(&self, call: &Intent, made: &Made) -> Result<u64, SimulationError> {
        if self.gas_left < LEAST_GAS {
            return Err(SimulationError::TooMuchGas { most: self.most_gas });
        }
        let left = made.header.gas_limit.saturating_sub(made.header.gas_used);
        let most = if self.validates { MAX_TRANSACTION_GAS } else { u64::MAX };
        match call.gas {
            Some(got) if got > left => Err(SimulationError::BlockGas { got, left }),
            Some(gas) => Ok(gas.min(self.gas_left)),
            None => Ok(left.min(self.gas_left).min(most)),
        }
    }
}

impl Price {
    const fn most(self) -> u128 {
        match self {
            Self::Legacy(price) => price,
            Self::Dynamic { most, .. } => most,
        }
    }
}

impl Intent {
    /// As a transaction that nobody signed.
    fn transaction(&self, chain_id: u64, nonce: u64, gas_limit: u64) -> Transaction {
        let Self { from, to, value, ref input, price, .. } = *self;
        let input = input.clone();
        let access_list = self.access_list.clone().unwrap_or_default();
        let envelope = match (price, to) {
            (Price::Dynamic { most, tip }, TxKind::Call(to)) if !self.authorizations.is_empty() => {
                unsigned(TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: most,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list,
                    authorization_list: self.authorizations.clone(),
                    input,
                })
            }
            (Price::Dynamic { most, tip }, to) => unsigned(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: most,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list,
                input,
            }),
            (Price::Legacy(gas_price), to) if self.access_list.is_some() => {
                unsigned(TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input })
            }
            (Price::Legacy(gas_price), to) => {
                unsigned(TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to, value, input })
            }
        };
        Transaction::new_unchecked(envelope, from)
    }
}

fn unsigned<T: SignableTransaction<Signature>>(transaction: T) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    transaction.into_signed(Signature::new(U256::ZERO, U256::ZERO, false)).into()
}

/// Adds a call that ran to its block; what is told of it.
fn add(made: &mut Made, transaction: Transaction, result: ExecutionResult<Halt>) -> Tried {
    let most_gas = result.gas().total_gas_spent().max(result.tx_gas_used());
    let mut outcome = outcome(result);
    // No receipt has those of transfers.
    let logs = outcome.logs.iter().filter(|log| log.address != ETH_TRANSFER_LOG_ADDRESS).cloned().collect();
    made.add(transaction, outcome.success, outcome.gas_used, logs);
    outcome.logs.iter_mut().for_each(show_transfer);
    Tried { outcome, most_gas }
}

fn show_transfer(log: &mut Log) {
    if log.address == ETH_TRANSFER_LOG_ADDRESS {
        log.address = TRANSFERS;
    }
}

/// Why a call has no place in its block.
fn refusal(error: EvmError, offer: Offer) -> SimulationError {
    let from = offer.from;
    let invalid = match error {
        EVMError::Database(error) => return SimulationError::Store(error),
        EVMError::Transaction(Refusal::Stopped) => return SimulationError::Stopped,
        EVMError::Transaction(Refusal::Invalid(invalid)) => invalid,
        other => return SimulationError::Invalid(other.to_string()),
    };
    match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => SimulationError::NonceTooLow { from, got: tx, want: state },
        InvalidTransaction::NonceTooHigh { tx, state } => SimulationError::NonceTooHigh { from, got: tx, want: state },
        InvalidTransaction::GasPriceLessThanBasefee => SimulationError::FeeTooLow(offer),
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            SimulationError::IntrinsicGas { have: gas_limit, want: initial_gas }
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            SimulationError::IntrinsicGas { have: gas_limit, want: gas_floor }
        }
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            SimulationError::Funds { from, have: *balance, want: *fee }
        }
        InvalidTransaction::CreateInitCodeSizeLimit => SimulationError::InitCode,
        other => SimulationError::Invalid(geth::invalid(&other, &offer)),
    }
}
