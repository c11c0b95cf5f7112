//! What can be said of a transaction without any state: a transaction refused here could never be in a block.

use alloy_consensus::Transaction as _;
use revm::context_interface::cfg::gas::{InitialAndFloorGas, calculate_initial_tx_gas};
use revm::primitives::{eip3860::MAX_INITCODE_SIZE, hardfork::SpecId};

use crate::{block::TxEnvelope, geth, limits::MAX_TRANSACTION_GAS};

/// Why a transaction can never be in a block. Its sender is at fault. The wording is geth's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inadmissible {
    #[error("exceeds block gas limit: gas {got}, limit {limit}")]
    BlockGasLimit { got: u64, limit: u64 },
    /// EIP-7825.
    #[error("transaction gas limit too high: cap {MAX_TRANSACTION_GAS}, tx {got}")]
    GasCap { got: u64 },
    #[error("{}: gas {got}, minimum needed {wanted}", geth::INTRINSIC_GAS)]
    IntrinsicGas { got: u64, wanted: u64 },
    /// EIP-7623: calldata has a price floor.
    #[error("{}: gas {got}, minimum needed {wanted}", geth::FLOOR_DATA_GAS)]
    FloorGas { got: u64, wanted: u64 },
    /// EIP-3860.
    #[error("{}: code size {got}, limit {MAX_INITCODE_SIZE}", geth::MAX_INIT_CODE)]
    InitCode { got: usize },
    #[error("{}: {tip} > {max_fee}", geth::TIP_ABOVE_FEE_CAP)]
    TipAboveMaxFee { tip: u128, max_fee: u128 },
    /// EIP-7702.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizations,
    /// EIP-2681.
    #[error("nonce has max value: {got}")]
    MaxNonce { got: u64 },
}

/// The chain's limits that a transaction is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionRules {
    /// Gas of a block.
    pub block_gas_limit: u64,
}

impl AdmissionRules {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// `Inadmissible`: no block can ever hold the transaction.
    pub fn check(&self, transaction: &TxEnvelope) -> Result<(), Inadmissible> {
        let gas = transaction.gas_limit();
        if gas > MAX_TRANSACTION_GAS {
            return Err(Inadmissible::GasCap { got: gas });
        }
        if gas > self.block_gas_limit {
            return Err(Inadmissible::BlockGasLimit { got: gas, limit: self.block_gas_limit });
        }
        if transaction.nonce() == u64::MAX {
            return Err(Inadmissible::MaxNonce { got: u64::MAX });
        }
        let (tip, max_fee) = (transaction.priority_fee_or_price(), transaction.max_fee_per_gas());
        if tip > max_fee {
            return Err(Inadmissible::TipAboveMaxFee { tip, max_fee });
        }
        if transaction.is_create() && transaction.input().len() > MAX_INITCODE_SIZE {
            return Err(Inadmissible::InitCode { got: transaction.input().len() });
        }
        if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(Inadmissible::EmptyAuthorizations);
        }
        check_gas(gas, &initial_gas(transaction))
    }
}

fn check_gas(got: u64, needed: &InitialAndFloorGas) -> Result<(), Inadmissible> {
    let (intrinsic, floor) = (needed.initial_total_gas(), needed.floor_gas());
    if got < intrinsic {
        return Err(Inadmissible::IntrinsicGas { got, wanted: intrinsic });
    }
    if got < floor {
        return Err(Inadmissible::FloorGas { got, wanted: floor });
    }
    Ok(())
}

fn initial_gas(transaction: &TxEnvelope) -> InitialAndFloorGas {
    let (accounts, slots) = transaction
        .access_list()
        .map_or((0, 0), |list| (list.len(), list.iter().map(|item| item.storage_keys.len()).sum::<usize>()));
    calculate_initial_tx_gas(
        SpecId::OSAKA,
        transaction.input(),
        transaction.is_create(),
        accounts as u64,
        slots as u64,
        transaction.authorization_list().map_or(0, <[_]>::len) as u64,
        None,
    )
}
