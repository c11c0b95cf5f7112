//! Ethereum's instructions, of which some look first whether the execution was stopped.

use revm::{
    bytecode::opcode,
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult, instruction_table,
        interpreter::EthInterpreter,
    },
};

use super::environment::Environment;
use crate::state::StateReader;

macro_rules! looking {
    ($instructions:ident, $reader:ident: $($name:ident),*) => {
        $($instructions.instruction_table_mut()[opcode::$name as usize] =
            Instruction::new(look_then::<{ opcode::$name }, $reader>);)*
    };
}

/// Lets these instructions look. Calls and creations need none: the loop over frames looks for them.
///
/// Without a jump or a call, code ends after at most as many instructions as it is long (49,152 bytes, EIP-3860). So all that
/// lasts is in a loop, or reads the store, or works on memory of any length.
pub(super) fn look_for_stop<R: StateReader>(instructions: &mut Instructions<'_, R>) {
    looking!(instructions, R: JUMP, JUMPI);
    looking!(instructions, R: SLOAD, SSTORE, BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH, BLOCKHASH, SELFDESTRUCT);
    looking!(instructions, R: KECCAK256, CALLDATACOPY, CODECOPY, RETURNDATACOPY, MCOPY, LOG0, LOG1, LOG2, LOG3, LOG4);
}

pub(super) type Instructions<'a, R> = EthInstructions<EthInterpreter, Environment<'a, R>>;

/// The instruction, unless the execution was stopped. That ends the frame with a result that contracts never see.
fn look_then<'a, const OPCODE: u8, R: StateReader>(
    context: InstructionContext<'_, Environment<'a, R>, EthInterpreter>,
) -> InstructionExecResult {
    if context.host.chain.is_stopped() {
        return Err(InstructionResult::FatalExternalError);
    }
    const { instruction_table::<EthInterpreter, Environment<'a, R>>()[OPCODE as usize] }.execute(context)
}
