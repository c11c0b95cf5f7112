//! What a deposit and a withdrawal pay, as the contracts compute it.

use api::peg;

use super::contracts::{PegContracts, States};
use crate::chain::SimulateError;
use crate::genesis::Bridge;

/// Of the scripts that a withdrawal may pay to: P2WPKH is the shortest, a witness program of 40 bytes the longest.
const SCRIPT_LENGTHS: std::ops::RangeInclusive<u64> = 22..=42;

/// Of a taproot output.
pub const USUAL_LENGTH: u64 = 34;

/// A script of this length can be paid.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_length(script_length: u64) -> Result<u64, String> {
    let (least, most) = (SCRIPT_LENGTHS.start(), SCRIPT_LENGTHS.end());
    let wrong = || format!("scriptLength is {script_length}, expected {least} to {most} bytes");
    if SCRIPT_LENGTHS.contains(&script_length) { Ok(script_length) } else { Err(wrong()) }
}

/// A vault transaction may have this rate.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_rate(bridge: &Bridge, rate: u64) -> Result<u64, String> {
    let (least, most) = (bridge.min_rate, bridge.max_rate);
    let wrong = || format!("rate is {rate}, expected {least} to {most} satoshis per 1,000 virtual bytes");
    if (least..=most).contains(&rate) { Ok(rate) } else { Err(wrong()) }
}

/// What `peg_quote` answers at a rate.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn at_rate<C: States>(
    bridge: &Bridge,
    contracts: &PegContracts<'_, C>,
    script_length: u64,
    rate: u64,
) -> Result<peg::Quote, SimulateError> {
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

/// The least amount that is relayed to a script of this length; where there are several of that length, to the one that needs most.
/// Bitcoin Core, GetDustThreshold: 3 sat/vB for the output and for the input that spends it, which is longer without a witness.
const fn dust_sat(script_length: u64) -> u64 {
    let input = if matches!(script_length, 23 | 25) { 148 } else { 67 };
    3 * (9 + script_length + input)
}
