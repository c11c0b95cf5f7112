//! Every step as geth's struct logger shows it, written as JSON while the code runs: nothing is kept besides.
//!
//! A step is written in two parts, since its costs and the slot that it read are known only after it. Calls are charged before they begin, so no other step comes
//! between the two.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_rpc_types_trace::geth::GethDefaultTracingOptions;
use revm::{
    Inspector,
    bytecode::opcode::{SLOAD, SSTORE},
    context::result::ExecutionResult,
    context_interface::JournalTr as _,
    interpreter::{
        InstructionResult, Interpreter, SuccessOrHalt,
        interpreter_types::{InputsTr as _, Jumps as _, LoopControl as _, ReturnData as _},
    },
};

use super::super::{environment::Environment, outcome::Halt};
use crate::geth;
use crate::state::StateReader;

/// The steps until now.
#[derive(Debug)]
pub struct StructLogs {
    options: GethDefaultTracingOptions,
    /// The answer until now: JSON without its end.
    json: String,
    written: u64,
    /// The step whose first part was written.
    open: Option<Step>,
    /// What each contract read and wrote until now, as geth shows it.
    slots: HashMap<Address, BTreeMap<B256, B256>>,
    /// By depth: what is refunded in this frame and those above it.
    refunds: Vec<i64>,
}

#[derive(Debug)]
struct Step {
    gas: u64,
    opcode: u8,
    contract: Address,
    /// The two topmost values on the stack.
    top: [Option<U256>; 2],
}

impl StructLogs {
    pub(super) fn new(options: GethDefaultTracingOptions) -> Self {
        // As geth: 0 is no limit.
        let options = GethDefaultTracingOptions { limit: options.limit.filter(|limit| *limit > 0), ..options };
        let (slots, refunds) = (HashMap::new(), Vec::new());
        Self { options, json: r#"{"structLogs":["#.to_owned(), written: 0, open: None, slots, refunds }
    }

    /// Bytes until now.
    pub(super) const fn len(&self) -> usize {
        self.json.len()
    }

    /// The whole answer.
    pub fn finish<H>(mut self, result: &ExecutionResult<H>) -> String {
        let (failed, gas) = (!result.is_success(), result.tx_gas_used());
        let output = result.output().cloned().unwrap_or_default();
        self.write(format_args!(r#"],"gas":{gas},"failed":{failed},"returnValue":"{output}"}}"#));
        self.json
    }

    /// The part that is known before the step.
    fn before(&mut self, interpreter: &Interpreter, depth: usize) -> Step {
        let (pc, opcode, gas) = (interpreter.bytecode.pc(), interpreter.bytecode.opcode(), interpreter.gas.remaining());
        let stack = interpreter.stack.data();
        let comma = if self.written > 0 { "," } else { "" };
        self.write(format_args!(r#"{comma}{{"pc":{pc},"op":"{}","gas":{gas},"depth":{depth}"#, geth::opcode(opcode)));
        let refund = self.refund(depth, interpreter.gas.refunded());
        if refund > 0 {
            self.write(format_args!(r#","refund":{refund}"#));
        }
        if self.options.is_stack_enabled() {
            self.list("stack", stack.iter().map(|value| format!("{value:#x}")));
        }
        if self.options.is_memory_enabled() {
            let memory = interpreter.memory.context_memory();
            self.list("memory", memory.chunks(32).map(hex::encode_prefixed));
        }
        let returned: &Bytes = interpreter.return_data.buffer();
        if self.options.is_return_data_enabled() && !returned.is_empty() {
            self.write(format_args!(r#","returnData":"{returned}""#));
        }
        let top = [1, 2].map(|back| stack.len().checked_sub(back).map(|index| stack[index]));
        Step { gas, opcode, contract: interpreter.input.target_address(), top }
    }

    /// The part that is known after the step.
    fn after(&mut self, step: &Step, interpreter: &mut Interpreter) {
        let cost = step.gas.saturating_sub(interpreter.gas.remaining());
        self.write(format_args!(r#","gasCost":{cost}"#));
        let error = interpreter.bytecode.instruction_result().and_then(|result| error(result, step.opcode));
        match error {
            Some(error) => self.write(format_args!(r#","error":"{error}""#)),
            None if self.options.is_storage_enabled() => self.storage(step, interpreter.stack.data().last()),
            None => {}
        }
        self.json.push('}');
        self.written += 1;
    }

    /// What the contract read and wrote until now; shown where it reads or writes.
    fn storage(&mut self, step: &Step, on_top: Option<&U256>) {
        let value = match step.opcode {
            SLOAD => on_top.copied(),
            SSTORE => step.top[1],
            _ => return,
        };
        let (Some(slot), Some(value)) = (step.top[0], value) else { return };
        let slots = self.slots.entry(step.contract).or_default();
        slots.insert(slot.into(), value.into());
        let json = &mut self.json;
        json.push_str(r#","storage":{"#);
        for (index, (slot, value)) in slots.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a string never fails.
            let _ = write!(json, r#"{comma}"{slot}":"{value}""#);
        }
        json.push('}');
    }

    /// geth counts refunds for the whole transaction, the EVM here for each frame.
    fn refund(&mut self, depth: usize, of_frame: i64) -> i64 {
        let above = depth.checked_sub(2).and_then(|index| self.refunds.get(index)).copied().unwrap_or_default();
        self.refunds.resize(depth, above);
        if let Some(last) = self.refunds.last_mut() {
            *last = above + of_frame;
        }
        above + of_frame
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        self.write(format_args!(r#","{name}":["#));
        for (index, value) in values.enumerate() {
            let comma = if index > 0 { "," } else { "" };
            self.write(format_args!(r#"{comma}"{value}""#));
        }
        self.json.push(']');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = self.json.write_fmt(text);
    }
}

impl<R: StateReader> Inspector<Environment<'_, R>> for StructLogs {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut Environment<'_, R>) {
        if self.options.limit.is_none_or(|limit| self.written < limit) {
            self.open = Some(self.before(interpreter, context.journaled_state.depth()));
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut Environment<'_, R>) {
        if let Some(step) = self.open.take() {
            self.after(&step, interpreter);
        }
    }
}

/// Why a step failed; a revert is none, as for geth.
fn error(result: InstructionResult, opcode: u8) -> Option<String> {
    match SuccessOrHalt::<Halt>::from(result) {
        SuccessOrHalt::Halt(halt) => Some(halt.at(opcode).to_string()),
        _ => None,
    }
}
