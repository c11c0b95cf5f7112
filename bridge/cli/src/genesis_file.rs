//! The genesis file that all operators share, read.

use std::path::Path;

use eyre::{Result, WrapErr};
use sidechain::genesis::Genesis;

/// Reads a genesis file.
pub fn read_genesis(path: &Path) -> Result<Genesis> {
    let text =
        std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read the genesis file {}", path.display()))?;
    Genesis::from_json(&text).wrap_err_with(|| format!("{} is not a genesis file", path.display()))
}
