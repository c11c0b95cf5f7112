//! Sizes and fixed parts of a vault transaction.

use bitcoin::Amount;

/// Largest vault transaction, in virtual bytes: the limit of version 3 transactions (BIP431, rule 4).
pub const MAX_VSIZE: u64 = 10_000;
/// Value of the pay-to-anchor output: Bitcoin Core's dust limit for it (`GetDustThreshold`, policy/policy.cpp).
pub const ANCHOR: Amount = Amount::from_sat(240);
/// Script of the pay-to-anchor output.
pub const ANCHOR_SCRIPT: [u8; 4] = [0x51, 0x02, 0x4e, 0x73];
/// Bytes of the vault output's script, `5120<key>`.
pub const VAULT_SCRIPT_LEN: usize = 34;

/// Virtual size of a signed vault transaction with these output scripts (all of them, vault and anchor included).
pub fn vsize(inputs: usize, output_scripts: impl Iterator<Item = usize>) -> u64 {
    let (mut outputs, mut output_bytes) = (0, 0);
    for script in output_scripts {
        outputs += 1;
        output_bytes += output_size(script);
    }
    vsize_of(inputs, outputs, output_bytes)
}

/// Bytes of an output with a script of so many bytes.
#[must_use]
pub fn output_size(script: usize) -> u64 {
    8 + compact_size(script) + script as u64
}

/// Virtual size of a signed vault transaction, of which the outputs take `output_bytes`.
#[must_use]
pub fn vsize_of(inputs: usize, outputs: usize, output_bytes: u64) -> u64 {
    let stripped = 4 + compact_size(inputs) + 41 * inputs as u64 + compact_size(outputs) + output_bytes + 4;
    // Marker and flag, then for each input: one item of 64 bytes.
    let weight = 4 * stripped + 2 + 66 * inputs as u64;
    weight.div_ceil(4)
}

fn compact_size(value: usize) -> u64 {
    match value {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        _ => 5,
    }
}
