//! The reason of a contract that refused a call.

use std::fmt;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::SolError;

use crate::foreign::shown;

/// The data a reverted call returned, with its meaning in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// As returned: a selector with its ABI-encoded arguments, or nothing.
    pub data: Bytes,
    /// A custom error of our contracts by name and arguments, a `require` text, or a panic.
    pub reason: String,
}

impl Revert {
    /// Reads revert data: never fails, unknown data is shown as hex.
    #[must_use]
    pub fn decode(data: Bytes) -> Self {
        let reason = shown(&reason(&data));
        Self { data, reason }
    }

    /// Whether it is the custom error `E`.
    #[must_use]
    pub fn is<E: SolError>(&self) -> bool {
        self.data.starts_with(&E::SELECTOR)
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn reason(data: &[u8]) -> String {
    if data.is_empty() {
        return "no reason given".to_owned();
    }
    contracts::explain_revert(data).unwrap_or_else(|| format!("0x{}", hex::encode(data)))
}
