//! Errors as geth words and numbers them, because that is what clients look for.

use alloy_primitives::{B256, Bytes, hex};
use std::{fmt::Display, time::Duration};

use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{METHOD_NOT_FOUND_CODE, OVERSIZED_RESPONSE_CODE, OVERSIZED_RESPONSE_MSG};

use crate::chain::{LogsError, SimulateError, TraceError};
use crate::execution::{InclusionError, MoveError, Outcome, SimulationError};
use crate::geth;
use crate::io::node_state::{AdmitError, UpstreamError};
use crate::peg::RegisterError;
use crate::state::store::StoreError;

/// Anything that went wrong with a well-formed request.
const SERVER: i32 = -32000;
/// EIP-1474: something of the peg that is asked for is not there.
const NOT_FOUND: i32 = -32001;
/// EIP-1474: more asked for than is given.
const LIMIT: i32 = -32005;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL: i32 = -32603;
/// EIP-7966: a transaction is in no block within the time; or it cannot be in one yet. The error's data are its hash.
const NOT_IN_TIME: i32 = 4;
const UNREADY: i32 = 5;
/// More is asked for than a simulation may do (ethereum/execution-apis, src/eth/execute.yaml).
const SIMULATION_LIMIT: i32 = -38026;
/// The call reverted; the error's data are the revert data.
const REVERTED: i32 = 3;

pub type Result<T> = std::result::Result<T, ErrorObjectOwned>;

pub fn server(message: impl Into<String>) -> ErrorObjectOwned {
    plain(SERVER, message)
}

pub fn not_found(message: impl Into<String>) -> ErrorObjectOwned {
    plain(NOT_FOUND, message)
}

/// A block that a method of Ethereum needs is not there: in the words that clients look for to try again, and by geth's number, which the cases of
/// ethereum/execution-apis have (`ethSimulate-empty-with-block-num-set-plus1`, `calltracer-invalid-block`).
pub fn no_block(which: impl Display) -> ErrorObjectOwned {
    server(format!("header not found: {which}"))
}

pub fn limit(message: impl Into<String>) -> ErrorObjectOwned {
    plain(LIMIT, message)
}

/// The request is not answered in time: it waited too long for a thread, or ran too long on one.
pub fn deadline(deadline: Duration) -> ErrorObjectOwned {
    let seconds = deadline.as_secs();
    limit(format!("no answer within {seconds} s, so the request was stopped: ask for less, or later"))
}

/// An answer of more bytes than one may have.
pub fn answer_too_large(most: u32) -> ErrorObjectOwned {
    let data = format!("Exceeded max limit of {most}");
    ErrorObjectOwned::owned(OVERSIZED_RESPONSE_CODE, OVERSIZED_RESPONSE_MSG, Some(data))
}

/// A subscription over plain HTTP, in geth's words.
pub fn no_socket() -> ErrorObjectOwned {
    plain(METHOD_NOT_FOUND_CODE, "notifications not supported: subscriptions need a WebSocket")
}

/// A transaction that was sent is in no block yet.
pub fn not_in_time(hash: B256, waited: Duration) -> ErrorObjectOwned {
    let message = format!("the transaction was added to the mempool but wasn't processed in {waited:?}");
    ErrorObjectOwned::owned(NOT_IN_TIME, message, Some(hash))
}

/// A transaction that was sent waits for one with an earlier nonce.
pub fn unready(hash: B256) -> ErrorObjectOwned {
    let message = "the transaction was added to the mempool but wasn't processed due to a missing nonce";
    ErrorObjectOwned::owned(UNREADY, message, Some(hash))
}

/// Signing, where there are no keys.
pub fn no_keys() -> ErrorObjectOwned {
    let message = "this node holds no keys and signs nothing: sign in a wallet, and send by eth_sendRawTransaction";
    plain(METHOD_NOT_FOUND_CODE, message)
}

/// What simulators of a chain can and a chain cannot.
pub fn not_a_simulator(method: &str) -> ErrorObjectOwned {
    let method: String = method.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!(
        "{method} does not exist here: blocks come by the consensus of validators, as on every network of Causeway, so time, mining, balances, \
         snapshots and impersonation cannot be set"
    );
    plain(METHOD_NOT_FOUND_CODE, message)
}

/// A method that the operator keeps for the private server.
pub fn withheld(method: &str) -> ErrorObjectOwned {
    let message = format!("this node answers {method} to its operator only (rpc_private_methods in its node.toml)");
    plain(METHOD_NOT_FOUND_CODE, message)
}

pub fn invalid(message: impl Into<String>) -> ErrorObjectOwned {
    plain(INVALID_PARAMS, message)
}

/// A parameter that cannot be read, by its position and name.
pub fn argument(position: usize, name: &str, error: &serde_json::Error) -> ErrorObjectOwned {
    invalid(format!("invalid argument {position}: {name}: {}", reason(error)))
}

/// Why JSON is not what it should be. Where, in lines and columns, means nothing to who did not write it as a text.
pub fn reason(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    reason.strip_suffix(&place).unwrap_or(&reason).to_owned()
}

/// What was pruned, with the block from which on it is there. If the store failed, the log has the reason and the user learns only
/// that it failed.
pub fn store(error: &StoreError) -> ErrorObjectOwned {
    if let StoreError::Pruned { .. } = error {
        return server(error.to_string());
    }
    if let StoreError::Bug { .. } = error {
        tracing::error!(%error, "internal error");
        return plain(INTERNAL, "internal error");
    }
    tracing::error!(%error, "cannot read the store");
    plain(INTERNAL, "the node cannot read its store")
}

/// A light node has no proof of what the method answers.
pub fn unproven(method: &str) -> ErrorObjectOwned {
    let method: String = method.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!(
        "a light node does not answer {method}: no proof shows it (or there is no such method). Ask a node that follows the chain (`follow` without `light`)"
    );
    plain(METHOD_NOT_FOUND_CODE, message)
}

pub fn logs(error: LogsError) -> ErrorObjectOwned {
    match error {
        LogsError::Store(error) => store(&error),
        error @ LogsError::Stopped => server(error.to_string()),
        error @ (LogsError::TooMuch { .. } | LogsError::Block { .. }) => limit(error.to_string()),
    }
}

pub fn simulate(error: SimulateError) -> ErrorObjectOwned {
    match error {
        SimulateError::Store(error) => store(&error),
        error @ SimulateError::UnknownBlock { .. } => no_block(error),
        SimulateError::Failed(outcome) => failed(&outcome),
        SimulateError::Invalid(error) => inclusion(&error),
        error @ (SimulateError::Allowance(_) | SimulateError::NoEstimate { .. } | SimulateError::Funds) => {
            server(error.to_string())
        }
        error @ SimulateError::Stopped => limit(error.to_string()),
    }
}

/// Why a call with so much gas was not tried.
pub fn call(error: SimulateError, gas: Option<u64>) -> ErrorObjectOwned {
    match (error, gas) {
        (SimulateError::Invalid(InclusionError::Invalid(why)), Some(gas)) => server(geth::call_refused(&why, gas)),
        (error, _) => simulate(error),
    }
}

/// More blocks or gas than a simulation may have.
pub fn too_much_to_simulate(message: impl Into<String>) -> ErrorObjectOwned {
    plain(SIMULATION_LIMIT, message)
}

/// Why a precompile cannot answer elsewhere, by the specification's numbers, and geth's where it has none.
pub fn moved(error: MoveError) -> ErrorObjectOwned {
    let code = match error {
        MoveError::ToItself(_) => -38022,
        MoveError::NoPrecompile(_) | MoveError::Overridden(_) => SERVER,
    };
    plain(code, error.to_string())
}

/// Why a simulation has no result, by the specification's numbers (ethereum/execution-apis, src/eth/execute.yaml).
pub fn simulation(error: SimulationError) -> ErrorObjectOwned {
    let message = error.to_string();
    let code = match error {
        SimulationError::Store(error) => return store(&error),
        SimulationError::Stopped => return limit(message),
        SimulationError::TooManyBlocks { .. } | SimulationError::TooMuchGas { .. } => SIMULATION_LIMIT,
        SimulationError::NonceTooLow { .. } => -38010,
        SimulationError::NonceTooHigh { .. } => -38011,
        SimulationError::FeeTooLow(_) => -38012,
        SimulationError::IntrinsicGas { .. } => -38013,
        SimulationError::Funds { .. } => -38014,
        SimulationError::BlockGas { .. } => -38015,
        SimulationError::Number { .. } => -38020,
        SimulationError::Time { .. } | SimulationError::EndOfTime { .. } => -38021,
        SimulationError::InitCode => -38025,
        SimulationError::Invalid(_) => SERVER,
    };
    plain(code, message)
}

pub fn trace(error: TraceError) -> ErrorObjectOwned {
    match error {
        TraceError::Simulate(SimulateError::Invalid(error)) => server(geth::trace_refused(&error.to_string())),
        TraceError::Simulate(error) => simulate(error),
        TraceError::Exceeded(error) => limit(format!(
            "{error}, which is the most: trace one transaction alone, set limit, leave out memory, stack or storage, or take callTracer with onlyTopCall"
        )),
        TraceError::Tracer(error) => invalid(error.to_string()),
        error @ (TraceError::Genesis | TraceError::Index { .. }) => server(error.to_string()),
    }
}

pub fn admit(error: AdmitError) -> ErrorObjectOwned {
    match error {
        AdmitError::Store(error) => store(&error),
        AdmitError::Simulate(error) => simulate(error),
        error @ (AdmitError::Busy | AdmitError::Copying) => limit(error.to_string()),
        error => server(error.to_string()),
    }
}

pub fn register(error: RegisterError) -> ErrorObjectOwned {
    match error {
        RegisterError::Simulate(error) => simulate(error),
        error @ (RegisterError::Terms(_) | RegisterError::OutputKey { .. } | RegisterError::Payment(_)) => {
            invalid(error.to_string())
        }
    }
}

/// The followed node's error as it is; or `-32000`, which says that it does not answer.
pub fn upstream(error: UpstreamError) -> ErrorObjectOwned {
    match error {
        UpstreamError::Refused(error) => error,
        error @ UpstreamError::NoAnswer { .. } => server(error.to_string()),
    }
}

fn inclusion(error: &InclusionError) -> ErrorObjectOwned {
    match error {
        InclusionError::FreeFailed { output, .. } if !output.is_empty() => {
            reverted(format!("execution reverted: {error}"), output)
        }
        error => server(error.to_string()),
    }
}

/// A call that did not succeed, in geth's words for a revert or a halt.
pub fn failed(outcome: &Outcome) -> ErrorObjectOwned {
    match &outcome.halt {
        Some(halt) => server(halt.to_string()),
        None => {
            let reason = contracts::explain_revert(&outcome.output);
            let message =
                reason.map_or("execution reverted".to_owned(), |reason| format!("execution reverted: {reason}"));
            reverted(message, &outcome.output)
        }
    }
}

fn reverted(message: String, output: &Bytes) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(REVERTED, message, Some(hex::encode_prefixed(output)))
}

fn plain(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}
