//! What bounds the peg now, and what a deposit and a withdrawal pay: as the contracts compute it.

use api::peg;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use crate::chain::{Chain, SimulateError};
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, USUAL_LENGTH, at_rate, bound, check_length, check_rate};

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getLimits", |context, arguments| {
        let contracts = PegContracts::at_head(context.chain(), arguments.stop());
        contracts.limits().map(peg::Limits::from).map_err(error::simulate)
    })?;
    long(methods, "peg_quote", |context, arguments| {
        let script_length = arguments.optional("scriptLength")?.unwrap_or(USUAL_LENGTH);
        let rate = arguments.optional("rate")?;
        quote(context, script_length, rate, arguments.stop())
    })
}

fn quote(context: &Context, script_length: u64, rate: Option<u64>, stop: &Stop) -> error::Result<peg::Quote> {
    check_length(script_length).map_err(error::invalid)?;
    let contracts = PegContracts::at_head(context.chain(), stop);
    let rate = self::rate(context, &contracts, rate, stop)?;
    at_rate(&context.chain().genesis().bridge, &contracts, script_length, rate).map_err(error::simulate)
}

/// The rate that was asked for, if a vault transaction may have it; else that of the last one that was bound; else the lowest.
fn rate(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    asked: Option<u64>,
    stop: &Stop,
) -> error::Result<u64> {
    let bridge = &context.chain().genesis().bridge;
    match asked {
        Some(rate) => check_rate(bridge, rate).map_err(error::invalid),
        None => Ok(last_rate(context, contracts, stop).map_err(error::simulate)?.unwrap_or(bridge.min_rate)),
    }
}

/// None: nothing was bound, or before the block of which this node copied the state.
fn last_rate(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    stop: &Stop,
) -> Result<Option<u64>, SimulateError> {
    let number = contracts.vault_transaction_count()?;
    if number == 0 {
        return Ok(None);
    }
    let event = bound(context.chain(), number, contracts.header.number, stop)?;
    Ok(event.map(|event| event.content.rate))
}
