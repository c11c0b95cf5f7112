//! The recovery leaf of the vault output: what happens if the federation is gone for good.
//!
//! A vault output is P2TR(group key, one leaf). The federation spends it by the key path; the leaf lets k of m recovery
//! keys spend it once the output is `delay` blocks old, so coins outlive a federation that lost its shares. Vault
//! outputs are refreshed before the delay has passed, so the leaf is never spendable while the federation lives.
//!
//! Genesis puts only the leaf's hash into the Federation contract; members, auditors and owners of recovery keys compute
//! the same script from the genesis file.

use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CHECKSIGADD, OP_CSV, OP_DROP, OP_NUMEQUAL};
use bitcoin::script::Builder;
use bitcoin::taproot::LeafVersion;
use bitcoin::{ScriptBuf, TapLeafHash, XOnlyPublicKey};

/// Most recovery keys in one leaf. Each costs 34 bytes of script and 65 of witness; 15 keeps the spend standard and small.
pub const MAX_RECOVERY_KEYS: usize = 15;

/// Who may take the vault when the federation does not come back, and after how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Signatures needed, 1 to the number of keys.
    pub threshold: u16,
    /// Age of a vault output in blocks before the leaf can spend it (BIP68, BIP112).
    pub delay: u16,
    /// The recovery keys, in the order of the script.
    pub keys: Vec<XOnlyPublicKey>,
}

/// Why a recovery policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// No key, or more than fit.
    #[error("{got} recovery keys, expected 1 to {MAX_RECOVERY_KEYS}")]
    Keys {
        /// Recovery keys in the policy.
        got: usize,
    },
    /// A threshold that no set of keys meets, or none at all.
    #[error("recovery threshold {got}, expected 1 to {keys}")]
    Threshold {
        /// Signatures that the policy asks for.
        got: u16,
        /// Recovery keys in the policy.
        keys: usize,
    },
    /// A delay of zero would let the recovery keys spend at once.
    #[error("recovery delay of 0 blocks, expected at least 1")]
    NoDelay,
    /// The owner of the key would count twice.
    #[error("recovery key {0} is listed twice")]
    Duplicate(XOnlyPublicKey),
}

impl Recovery {
    /// The leaf script `<delay> CSV DROP <key 1> CHECKSIG <key 2> CHECKSIGADD ... <threshold> NUMEQUAL` (BIP342).
    ///
    /// # Errors
    ///
    /// When the policy could never be met, or could be met too easily.
    pub fn script(&self) -> Result<ScriptBuf, RecoveryError> {
        self.check()?;
        let opening = Builder::new().push_int(self.delay.into()).push_opcode(OP_CSV).push_opcode(OP_DROP);
        let signatures = self.keys.iter().enumerate().fold(opening, |script, (position, key)| {
            let check = if position == 0 { OP_CHECKSIG } else { OP_CHECKSIGADD };
            script.push_x_only_key(key).push_opcode(check)
        });
        Ok(signatures.push_int(self.threshold.into()).push_opcode(OP_NUMEQUAL).into_script())
    }

    /// The tapleaf hash of [`Recovery::script`], which is also the merkle root of the vault output's tree (BIP341).
    ///
    /// # Errors
    ///
    /// As [`Recovery::script`].
    pub fn leaf_hash(&self) -> Result<TapLeafHash, RecoveryError> {
        Ok(TapLeafHash::from_script(&self.script()?, LeafVersion::TapScript))
    }

    fn check(&self) -> Result<(), RecoveryError> {
        let keys = self.keys.len();
        if keys == 0 || keys > MAX_RECOVERY_KEYS {
            return Err(RecoveryError::Keys { got: keys });
        }
        if self.threshold == 0 || usize::from(self.threshold) > keys {
            return Err(RecoveryError::Threshold { got: self.threshold, keys });
        }
        if self.delay == 0 {
            return Err(RecoveryError::NoDelay);
        }
        match self.keys.iter().enumerate().find(|(position, key)| self.keys[..*position].contains(key)) {
            Some((_, key)) => Err(RecoveryError::Duplicate(*key)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> XOnlyPublicKey {
        let secret = bitcoin::secp256k1::SecretKey::from_slice(&[byte; 32]).expect("small nonzero scalars are keys");
        secret.x_only_public_key(&bitcoin::secp256k1::Secp256k1::new()).0
    }

    fn recovery(threshold: u16, delay: u16, keys: &[u8]) -> Recovery {
        Recovery { threshold, delay, keys: keys.iter().map(|&byte| key(byte)).collect() }
    }

    #[test]
    fn the_script_reads_as_the_design_says() {
        let script = recovery(2, 4320, &[1, 2, 3]).script().expect("a sound policy");
        let shown = script.to_asm_string();
        let expected = format!(
            "OP_PUSHBYTES_2 e010 OP_CSV OP_DROP OP_PUSHBYTES_32 {} OP_CHECKSIG OP_PUSHBYTES_32 {} OP_CHECKSIGADD \
             OP_PUSHBYTES_32 {} OP_CHECKSIGADD OP_PUSHNUM_2 OP_NUMEQUAL",
            key(1),
            key(2),
            key(3)
        );
        assert_eq!(shown, expected);
    }

    #[test]
    // Computed apart, with hashlib and the curve formulas in Python.
    fn the_leaf_hash_never_changes() {
        let hash = recovery(2, 4320, &[1, 2, 3]).leaf_hash().expect("a sound policy");
        assert_eq!(hash.to_string(), "fe125a609b14aa7e6d43dd81d374add73a9720edb52b648bfdae51fa6907a4ad");
    }

    #[test]
    fn a_policy_that_cannot_be_met_or_is_met_too_easily_is_refused() {
        assert_eq!(recovery(1, 10, &[]).script(), Err(RecoveryError::Keys { got: 0 }));
        assert_eq!(recovery(3, 10, &[1, 2]).script(), Err(RecoveryError::Threshold { got: 3, keys: 2 }));
        assert_eq!(recovery(0, 10, &[1, 2]).script(), Err(RecoveryError::Threshold { got: 0, keys: 2 }));
        assert_eq!(recovery(1, 0, &[1]).script(), Err(RecoveryError::NoDelay));
        assert_eq!(recovery(1, 10, &[1, 2, 1]).script(), Err(RecoveryError::Duplicate(key(1))));
    }
}
