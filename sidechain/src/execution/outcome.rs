//! What a call did, and a failure in words.

use core::fmt;

use alloy_primitives::{Address, Bytes, Log};
use revm::{
    context::result::{ExecutionResult, HaltReason, Output},
    interpreter::InstructionResult,
};

use super::error::InclusionError;
use crate::geth;

/// Why an execution ended that neither returned nor reverted. Shown in geth's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    reason: HaltReason,
    /// What ended it, where there is no such opcode.
    opcode: Option<u8>,
}

impl From<HaltReason> for Halt {
    fn from(reason: HaltReason) -> Self {
        Self { reason, opcode: None }
    }
}

impl Halt {
    /// The same, where it is known which opcode was the last.
    #[must_use]
    pub(super) fn at(self, opcode: impl Into<Option<u8>>) -> Self {
        Self { opcode: opcode.into(), ..self }
    }

    /// Whether more gas might have helped.
    #[must_use]
    pub const fn is_out_of_gas(&self) -> bool {
        matches!(self.reason, HaltReason::OutOfGas(_))
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&geth::halt(&self.reason, self.opcode))
    }
}

/// Whether a frame ended at an opcode that there is not.
pub(super) const fn is_undefined(ended: InstructionResult) -> bool {
    matches!(ended, InstructionResult::OpcodeNotFound | InstructionResult::NotActivated)
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it neither reverted nor halted.
    pub success: bool,
    /// Why it halted (out of gas, invalid opcode), if so; `None` for success and revert.
    pub halt: Option<Halt>,
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
        self.halt.as_ref().is_some_and(Halt::is_out_of_gas)
    }
}

/// Why a transaction of the free lane that did not succeed has no place in a block.
pub(super) fn free_failure(result: &ExecutionResult<Halt>) -> InclusionError {
    let outcome = outcome(result.clone());
    InclusionError::FreeFailed { reason: failure(&outcome.halt, &outcome.output), output: outcome.output }
}

/// A failure for people: the halt, the revert's text, or its data.
pub(super) fn failure(halt: &Option<Halt>, output: &Bytes) -> String {
    match halt {
        Some(halt) => halt.to_string(),
        None if output.is_empty() => "execution reverted".to_owned(),
        None => contracts::explain_revert(output).unwrap_or_else(|| format!("execution reverted with {output}")),
    }
}

pub(super) fn outcome(result: ExecutionResult<Halt>) -> Outcome {
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
            halt: Some(reason),
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
            created: None,
        },
    }
}
