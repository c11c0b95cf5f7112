//! The header of a block: what follows from its parent, and how it is compared with what execution made of it.

use alloy_consensus::constants::EMPTY_WITHDRAWALS;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256};

use super::{error::BlockError, rules::Rules};
use crate::block::{Header, next_base_fee};

/// The header of a block on `parent`, except for what its transactions decide: gas used, roots and bloom.
pub fn child_header(rules: &Rules, parent: &Header, parent_hash: B256, timestamp: u64, beneficiary: Address) -> Header {
    Header {
        parent_hash,
        beneficiary,
        number: parent.number + 1,
        gas_limit: rules.gas_limit,
        timestamp,
        mix_hash: parent_hash,
        base_fee_per_gas: Some(next_base_fee(parent)),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Compares a block's header with what execution made of it.
///
/// # Errors
///
/// `Header` with the first field that differs.
pub fn compare(got: &Header, want: &Header) -> Result<(), BlockError> {
    macro_rules! fields {
        ($($field:ident),*) => {
            $(if got.$field != want.$field {
                return Err(BlockError::Header {
                    field: stringify!($field),
                    got: format!("{:?}", got.$field),
                    want: format!("{:?}", want.$field),
                });
            })*
        };
    }
    // In the order in which a difference is best understood: what was run first, what follows from it later.
    fields!(parent_hash, number, timestamp, beneficiary, gas_limit, base_fee_per_gas, mix_hash, extra_data);
    fields!(transactions_root, gas_used, receipts_root, logs_bloom, state_root);
    if got != want {
        return Err(BlockError::Header { field: "(other)", got: format!("{got:?}"), want: format!("{want:?}") });
    }
    Ok(())
}
