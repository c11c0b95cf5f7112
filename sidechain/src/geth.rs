//! Words of go-ethereum for what is refused and what fails: clients look for them in messages, for no code tells these cases apart.
//!
//! What each place says beside them (addresses, numbers) is its own.

use alloy_primitives::Address;
use revm::{
    bytecode::opcode::OpCode,
    context::result::{HaltReason, InvalidTransaction},
};

// core/error.go, core/txpool/errors.go
pub const ALREADY_KNOWN: &str = "already known";
pub const NONCE_TOO_LOW: &str = "nonce too low";
pub const NONCE_TOO_HIGH: &str = "nonce too high";
pub const INSUFFICIENT_FUNDS: &str = "insufficient funds for gas * price + value";
pub const INSUFFICIENT_FUNDS_FOR_TRANSFER: &str = "insufficient funds for transfer";
pub const INTRINSIC_GAS: &str = "intrinsic gas too low";
pub const FLOOR_DATA_GAS: &str = "insufficient gas for floor data gas cost";
pub const FEE_CAP_TOO_LOW: &str = "max fee per gas less than block base fee";
pub const TIP_ABOVE_FEE_CAP: &str = "max priority fee per gas higher than max fee per gas";
pub const SENDER_NO_EOA: &str = "sender not an eoa";
pub const UNDERPRICED: &str = "transaction underpriced";
pub const REPLACE_UNDERPRICED: &str = "replacement transaction underpriced";
pub const OVERSIZED: &str = "oversized data";
pub const POOL_FULL: &str = "txpool is full";
pub const IN_FLIGHT_LIMIT: &str = "in-flight transaction limit reached for delegated accounts";
pub const OUT_OF_ORDER: &str = "gapped-nonce tx from delegated accounts";
pub const AUTHORITY_RESERVED: &str = "authority already reserved";
pub const BLOCK_GAS: &str = "block gas limit reached";
#[cfg(feature = "io")]
pub const NO_AUTHORIZATIONS: &str = "EIP-7702 transaction with empty auth list";
#[cfg(feature = "io")]
pub const AUTHORIZATIONS_CREATE: &str = "EIP-7702 transaction cannot be used to create contract";
// core/vm/errors.go
pub const EXECUTION_REVERTED: &str = "execution reverted";
pub const MAX_INIT_CODE: &str = "max initcode size exceeded";
const OUT_OF_GAS: &str = "out of gas";
// core/vm/contracts.go, of point evaluation
pub const POINT_EVALUATION_LENGTH: &str = "invalid input length";
pub const POINT_EVALUATION_VERSION: &str = "mismatched versioned hash";
pub const POINT_EVALUATION_PROOF: &str = "error verifying kzg proof";

/// Who sends a transaction or a call, what it offers in wei per gas, and what the block wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub from: Address,
    pub most: u128,
    pub tip: u128,
    pub base_fee: u64,
}

impl Offer {
    /// It is less than the base fee.
    pub fn fee_cap_too_low(&self) -> String {
        let Self { from, most, base_fee, .. } = self;
        format!("{FEE_CAP_TOO_LOW}: address {from}, maxFeePerGas: {most}, baseFee: {base_fee}")
    }

    /// Its tip is more than all of it.
    pub fn tip_above_fee_cap(&self) -> String {
        let Self { from, most, tip, .. } = self;
        format!("{TIP_ABOVE_FEE_CAP}: address {from}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {most}")
    }
}

/// Why a transaction or a call cannot be started (core/state_transition.go).
pub fn invalid(invalid: &InvalidTransaction, offer: &Offer) -> String {
    let from = offer.from;
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("{INSUFFICIENT_FUNDS}: address {from} have {balance} want {fee}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => offer.fee_cap_too_low(),
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => offer.tip_above_fee_cap(),
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("{INTRINSIC_GAS}: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("{FLOOR_DATA_GAS}: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::CreateInitCodeSizeLimit => MAX_INIT_CODE.to_owned(),
        InvalidTransaction::RejectCallerWithCode => format!("{SENDER_NO_EOA}: address {from}"),
        other => other.to_string(),
    }
}

/// Why a transaction of a sender cannot be started, where no number tells more (core/state_transition.go).
#[cfg(feature = "io")]
pub fn of_sender(why: &str, from: Address) -> String {
    format!("{why} (sender {from})")
}

/// Why a call was not tried (internal/ethapi/api.go).
#[cfg(feature = "io")]
pub fn call_refused(why: &str, gas: u64) -> String {
    format!("err: {why} (supplied gas {gas})")
}

/// Why there is no estimate (eth/gasestimator/gasestimator.go).
pub fn estimate_refused(why: &str, gas: u64) -> String {
    format!("failed with {gas} gas: {why}")
}

/// It needs more gas than it may have, or than its sender can pay (eth/gasestimator/gasestimator.go).
pub fn allowance_exceeded(gas: u64) -> String {
    format!("gas required exceeds allowance ({gas})")
}

/// Why there is no trace (eth/tracers/api.go).
#[cfg(feature = "io")]
pub fn trace_refused(why: &str) -> String {
    format!("tracing failed: {why}")
}

/// An opcode by its name (core/vm/opcodes.go).
pub fn opcode(opcode: u8) -> String {
    OpCode::new(opcode).map_or_else(|| format!("opcode {opcode:#x} not defined"), |opcode| opcode.as_str().to_owned())
}

/// An opcode that there is not ended an execution.
pub fn undefined_opcode(opcode: u8) -> String {
    format!("invalid opcode: {}", self::opcode(opcode))
}

/// What Parity calls the end of a call that failed (eth/tracers/native/call_flat.go); what it has no word for, as it is.
pub fn in_parity_words(error: &str) -> &str {
    match error {
        EXECUTION_REVERTED => "Reverted",
        "max code size exceeded" | "gas uint64 overflow" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "return data out of bounds" => "Out of bounds",
        "precompiled failed" | POINT_EVALUATION_LENGTH => "Built-in failed",
        other if other.starts_with(OUT_OF_GAS) => "Out of gas",
        other if other.starts_with("invalid opcode") => "Bad instruction",
        other if other.starts_with("stack underflow") => "Stack underflow",
        other if other.starts_with("stack limit reached") => "Out of stack",
        other => other,
    }
}

/// Why an execution ended that neither returned nor reverted (core/vm/errors.go); at which opcode, where there is none, if that is known.
pub fn halt(reason: &HaltReason, at: Option<u8>) -> String {
    match reason {
        HaltReason::OutOfGas(_) => OUT_OF_GAS.to_owned(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => {
            at.map_or_else(|| "invalid opcode".to_owned(), undefined_opcode)
        }
        HaltReason::InvalidJump => "invalid jump destination".to_owned(),
        HaltReason::StackUnderflow => "stack underflow".to_owned(),
        HaltReason::StackOverflow => "stack limit reached 1024".to_owned(),
        HaltReason::OutOfOffset => "return data out of bounds".to_owned(),
        HaltReason::CreateCollision => "contract address collision".to_owned(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".to_owned(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => MAX_INIT_CODE.to_owned(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection".to_owned()
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer".to_owned(),
        HaltReason::CallTooDeep => "max call depth exceeded".to_owned(),
        HaltReason::PrecompileErrorWithContext(why) => why.clone(),
        HaltReason::PrecompileError | HaltReason::OverflowPayment => reason.to_string(),
    }
}
