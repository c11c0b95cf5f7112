//! What bounds the peg now, and what a deposit and a withdrawal pay: as the contracts compute it.

use api::peg;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use crate::chain::SimulateError;
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, bound};

/// Of the scripts that a withdrawal may pay to: P2WPKH is the shortest, a witness program of 40 bytes the longest.
const SCRIPT_LENGTHS: std::ops::RangeInclusive<u64> = 22..=42;

/// Of a taproot output.
const USUAL_LENGTH: u64 = 34;

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
    if !SCRIPT_LENGTHS.contains(&script_length) {
        let (least, most) = (SCRIPT_LENGTHS.start(), SCRIPT_LENGTHS.end());
        return Err(error::invalid(format!("scriptLength is {script_length}, expected {least} to {most} bytes")));
    }
    let contracts = PegContracts::at_head(context.chain(), stop);
    let rate = self::rate(context, &contracts, rate, stop)?;
    at_rate(context, &contracts, script_length, rate).map_err(error::simulate)
}

fn at_rate(
    context: &Context,
    contracts: &PegContracts<'_, NodeStore>,
    script_length: u64,
    rate: u64,
) -> Result<peg::Quote, SimulateError> {
    let bridge = &context.chain().genesis().bridge;
    let charge_in = contracts.deposit_charge(rate)?;
    let charge_out = contracts.withdrawal_charge(script_length, rate)?;
    let floor_fee = contracts.floor_fee(script_length)?;
    Ok(peg::Quote {
        rate,
        peg_in: peg::PegInQuote {
            charge_sat: charge_in,
            // Something is left of it.
            min_amount_sat: bridge.min_deposit_sat.max(charge_in.saturating_add(1)),
        },
        peg_out: peg::PegOutQuote {
            charge_sat: charge_out,
            floor_fee_sat: floor_fee,
            min_amount_sat: bridge
                .min_withdrawal_sat
                .max(charge_out.max(floor_fee).saturating_add(dust_sat(script_length))),
        },
    })
}

/// The rate that was asked for, if a vault transaction may have it; else that of the last one that was bound; else the lowest.
fn rate(
    context: &Context,
    contracts: &PegContracts<'_, NodeStore>,
    asked: Option<u64>,
    stop: &Stop,
) -> error::Result<u64> {
    let bridge = &context.chain().genesis().bridge;
    let (least, most) = (bridge.min_rate, bridge.max_rate);
    match asked {
        Some(rate) if (least..=most).contains(&rate) => Ok(rate),
        Some(rate) => {
            Err(error::invalid(format!("rate is {rate}, expected {least} to {most} satoshis per 1,000 virtual bytes")))
        }
        None => Ok(last_rate(context, contracts, stop).map_err(error::simulate)?.unwrap_or(least)),
    }
}

/// None: nothing was bound, or before the block of which this node copied the state.
fn last_rate(
    context: &Context,
    contracts: &PegContracts<'_, NodeStore>,
    stop: &Stop,
) -> Result<Option<u64>, SimulateError> {
    let number = contracts.vault_transaction_count()?;
    if number == 0 {
        return Ok(None);
    }
    let event = bound(context.chain(), number, contracts.header.number, stop)?;
    Ok(event.map(|event| event.content.rate))
}

/// The least amount that is relayed to a script of this length; where there are several of that length, to the one that needs most.
/// Bitcoin Core, GetDustThreshold: 3 sat/vB for the output and for the input that spends it, which is longer without a witness.
const fn dust_sat(script_length: u64) -> u64 {
    let input = if matches!(script_length, 23 | 25) { 148 } else { 67 };
    3 * (9 + script_length + input)
}
