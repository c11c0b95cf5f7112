//! Checks the terms that a deposit address commits to against this chain: recipient, limit of fees, and the federation's key.

use std::num::NonZeroU16;

use alloy_primitives::B256;
use api::peg::Terms;
use bitcoin::XOnlyPublicKey;
use contracts::address::BRIDGE;
use mainchain::deposit::{DEPOSIT_WEIGHT, DepositTerms, Peg};

use super::contracts::PegContracts;
use crate::chain::{Chain, Registration, RegistrationError, SimulateError};
use crate::state::store::Store;

/// Virtual bytes a deposit adds to its sweep, rounded up: a fee limit below their price at the lowest rate could never be met.
const SWEEP_VBYTES: u64 = DEPOSIT_WEIGHT.to_vbytes_ceil();

/// A fee limit of more than 1 BTC is a mistake.
const MAX_FEE_SAT: u64 = 100_000_000;

/// Why a deposit registration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The terms make no deposit address.
    #[error("{0}")]
    Terms(String),
    /// The output key is not the one the terms make on this chain.
    #[error("output key {got} does not belong to the terms, expected {want}")]
    OutputKey {
        /// The key that came with the terms, x-only.
        got: B256,
        /// The key that the terms make, x-only.
        want: B256,
    },
    /// The federation's key could not be read.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The store failed or has no room.
    #[error(transparent)]
    Keep(#[from] RegistrationError),
}

/// The registration of terms, with the output key that they make at the head. Keeps nothing.
///
/// # Errors
///
/// `Terms`, with the reason. `Simulate`: the federation's key could not be read.
pub fn registration<S: Store>(chain: &Chain<S>, terms: &Terms) -> Result<Registration, RegisterError> {
    let genesis = chain.genesis();
    let deposit = check(terms, u64::from(genesis.bridge.min_fee_rate))?;
    let group_key = group_key(chain, terms.epoch)?;
    let delay = NonZeroU16::new(genesis.bridge.reclaim_delay)
        .ok_or_else(|| RegisterError::Terms("the reclaim delay of this chain is zero".into()))?;
    let peg = Peg { chain_id: genesis.chain_id, bridge: BRIDGE.into_array(), delay };
    let output_key = B256::from(deposit.output(&peg, group_key).output_key().serialize());
    Ok(Registration { terms: *terms, output_key })
}

/// Keeps a registration, and returns whether it is new.
///
/// # Errors
///
/// `Terms`, `OutputKey`: whoever sent it is at fault. `Keep` with `TooMany`: no room.
pub fn register<S: Store>(chain: &Chain<S>, registration: &Registration) -> Result<bool, RegisterError> {
    let want = self::registration(chain, &registration.terms)?;
    if want.output_key != registration.output_key {
        return Err(RegisterError::OutputKey { got: registration.output_key, want: want.output_key });
    }
    let (_, new) = chain.register_deposit(registration)?;
    Ok(new)
}

/// Checks the terms by themselves, and reads them. `min_fee_rate` is in satoshis per virtual byte.
fn check(terms: &Terms, min_fee_rate: u64) -> Result<DepositTerms, RegisterError> {
    if terms.recipient.is_zero() {
        return Err(RegisterError::Terms("the recipient is the zero address".into()));
    }
    let deposit = DepositTerms::try_from(terms)
        .map_err(|_| RegisterError::Terms(format!("reclaimKey {} is not an x-only public key", terms.reclaim_key)))?;
    let lowest = SWEEP_VBYTES * min_fee_rate;
    if !(lowest..=MAX_FEE_SAT).contains(&terms.max_fee_sat) {
        let got = terms.max_fee_sat;
        return Err(RegisterError::Terms(format!("maxFeeSat is {got}, expected {lowest} to {MAX_FEE_SAT} sat")));
    }
    Ok(deposit)
}

fn group_key<S: Store>(chain: &Chain<S>, epoch: u32) -> Result<XOnlyPublicKey, RegisterError> {
    let key = PegContracts::at_head(chain).group_key(epoch)?;
    key.and_then(|key| XOnlyPublicKey::from_slice(key.as_slice()).ok())
        .ok_or_else(|| RegisterError::Terms(format!("epoch {epoch} has no group key yet")))
}
