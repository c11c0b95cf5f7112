//! The output scripts that the ledger pays, as it keeps them in two words (contracts/src/bridge/OutputScript.sol).

use alloy_primitives::{B256, Bytes, FixedBytes};

const KEY_HASH: u8 = 1;
const SCRIPT_HASH: u8 = 2;
/// And the version added, 0 to 16.
const WITNESS: u8 = 3;

/// A script taken apart: what it pays to, up to 40 bytes, apart from its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub kind: u8,
    /// Bytes of the program.
    pub length: u8,
    /// Its first 32 bytes, and those behind.
    pub program: B256,
    pub tail: FixedBytes<8>,
}

/// Two words that are no script of the ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an output script of kind {kind} with {length} bytes, which the ledger never writes")]
pub struct NotAScript {
    pub kind: u8,
    pub length: u8,
}

impl Packed {
    /// The script again.
    pub(crate) fn script(&self) -> Result<Bytes, NotAScript> {
        let Self { kind, length, program, tail } = self;
        let program = [program.as_slice(), tail.as_slice()].concat();
        let wrong = NotAScript { kind: *kind, length: *length };
        let program = program.get(..usize::from(*length)).ok_or(wrong)?;
        let script = match (*kind, *length) {
            (KEY_HASH, 20) => [&[0x76, 0xa9, 0x14], program, &[0x88, 0xac]].concat(),
            (SCRIPT_HASH, 20) => [&[0xa9, 0x14], program, &[0x87]].concat(),
            (WITNESS, 2..=40) => [&[0x00, *length], program].concat(),
            (kind, 2..=40) if (WITNESS + 1..=WITNESS + 16).contains(&kind) => {
                [&[0x50 + kind - WITNESS, *length], program].concat()
            }
            _ => return Err(wrong),
        };
        Ok(script.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kind: u8, length: u8) -> Packed {
        Packed { kind, length, program: B256::repeat_byte(0x11), tail: FixedBytes::repeat_byte(0x22) }
    }

    fn hex(packed: Packed) -> Option<String> {
        packed.script().ok().map(|script| script.to_string())
    }

    #[test]
    fn each_template_is_put_together_again() {
        let (twenty, all) = ("11".repeat(20), "11".repeat(32));
        assert_eq!(hex(packed(KEY_HASH, 20)), Some(format!("0x76a914{twenty}88ac")));
        assert_eq!(hex(packed(SCRIPT_HASH, 20)), Some(format!("0xa914{twenty}87")));
        assert_eq!(hex(packed(WITNESS, 20)), Some(format!("0x0014{twenty}")));
        assert_eq!(hex(packed(WITNESS + 1, 32)), Some(format!("0x5120{all}")));
        assert_eq!(hex(packed(WITNESS + 16, 40)), Some(format!("0x6028{all}{}", "22".repeat(8))));
    }

    #[test]
    fn what_the_ledger_never_writes_is_no_script() {
        for (kind, length) in [(0, 20), (KEY_HASH, 32), (WITNESS, 41), (WITNESS + 1, 1), (WITNESS + 17, 32)] {
            assert_eq!(packed(kind, length).script(), Err(NotAScript { kind, length }));
        }
    }
}
