//! Words of go-ethereum for what is refused and what fails: clients look for them in messages, for no code tells these cases apart.
//!
//! What each place says beside them (addresses, numbers) is its own.

use revm::context::result::{HaltReason, InvalidTransaction};

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
// core/vm/errors.go
pub const MAX_INIT_CODE: &str = "max initcode size exceeded";
const OUT_OF_GAS: &str = "out of gas";

/// Why a transaction or a call cannot be started (core/error.go).
pub fn invalid(invalid: &InvalidTransaction) -> String {
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("{INSUFFICIENT_FUNDS}: have {balance} want {fee}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => FEE_CAP_TOO_LOW.to_owned(),
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => TIP_ABOVE_FEE_CAP.to_owned(),
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("{INTRINSIC_GAS}: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("{FLOOR_DATA_GAS}: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::CreateInitCodeSizeLimit => MAX_INIT_CODE.to_owned(),
        InvalidTransaction::RejectCallerWithCode => SENDER_NO_EOA.to_owned(),
        other => other.to_string(),
    }
}

/// Why an execution ended that neither returned nor reverted (core/vm/errors.go).
pub fn halt(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => OUT_OF_GAS.to_owned(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode".to_owned(),
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
        HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) | HaltReason::OverflowPayment => {
            reason.to_string()
        }
    }
}
