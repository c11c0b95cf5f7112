//! What a call did, and a failure in words.

use alloy_primitives::{Address, Bytes, Log};
use revm::context::result::{ExecutionResult, HaltReason, Output};

use super::error::InclusionError;

/// A halt for want of gas.
const OUT_OF_GAS: &str = "out of gas";

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

impl Outcome {
    /// Whether more gas might have helped.
    pub fn ran_out_of_gas(&self) -> bool {
        self.halt.as_deref() == Some(OUT_OF_GAS)
    }
}

/// Why a transaction of the free lane that did not succeed has no place in a block.
pub(super) fn free_failure(result: &ExecutionResult) -> InclusionError {
    let outcome = outcome(result.clone());
    InclusionError::FreeFailed { reason: failure(&outcome.halt, &outcome.output), output: outcome.output }
}

/// A failure for people: the halt, the revert's text, or its data.
pub(super) fn failure(halt: &Option<String>, output: &Bytes) -> String {
    match halt {
        Some(halt) => halt.clone(),
        None if output.is_empty() => "execution reverted".to_owned(),
        None => contracts::explain_revert(output).unwrap_or_else(|| format!("execution reverted with {output}")),
    }
}

pub(super) fn outcome(result: ExecutionResult) -> Outcome {
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
            halt: Some(in_geths_words(&reason)),
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
            created: None,
        },
    }
}

/// A halt in the words that clients look for (go-ethereum, core/vm/errors.go).
pub(super) fn in_geths_words(reason: &HaltReason) -> String {
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
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
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
