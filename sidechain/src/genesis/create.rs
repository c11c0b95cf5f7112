//! Contracts that are there from the first block on.

use alloy_primitives::{Address, Bytes};

use crate::{
    execution::construct,
    state::{StateReader, Working},
};

/// Runs creation code at an address and leaves there what it returns.
///
/// # Errors
///
/// What the code says when it fails.
pub(super) fn create<'a, R: StateReader>(
    chain_id: u64,
    timestamp: u64,
    mut working: Working<'a, R>,
    address: Address,
    code: Bytes,
) -> Result<Working<'a, R>, String> {
    working.set_code(address, code).map_err(|error| error.to_string())?;
    let (mut working, runtime) = construct(chain_id, timestamp, working, address)?;
    working.set_code(address, runtime).map_err(|error| error.to_string())?;
    Ok(working)
}
