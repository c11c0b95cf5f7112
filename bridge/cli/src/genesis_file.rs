//! The genesis file that all operators share, read.

use std::path::Path;

use eyre::{Result, WrapErr, ensure};
use sidechain::genesis::Genesis;

/// Most bytes of the file: that of a hundred members has a tenth.
const MAX_BYTES: u64 = 1_000_000;

/// Reads a genesis file.
pub fn read_genesis(path: &Path) -> Result<Genesis> {
    let unreadable = || {
        format!(
            "cannot read the genesis file {}: a network's operators publish it, and `causeway dev` writes that of its own to causeway-dev/genesis.json",
            path.display()
        )
    };
    let size = std::fs::metadata(path).wrap_err_with(unreadable)?.len();
    ensure!(size <= MAX_BYTES, "{} has {size} bytes, a genesis file has at most {MAX_BYTES}", path.display());
    let text = std::fs::read_to_string(path).wrap_err_with(unreadable)?;
    Genesis::from_json(&text).wrap_err_with(|| {
        format!(
            "{} is not a genesis file: take the one that the network's operators publish, as `causeway genesis` wrote it",
            path.display()
        )
    })
}
