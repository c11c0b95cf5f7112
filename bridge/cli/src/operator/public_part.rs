//! `public.json`: what the others need of an operator, signed by its account.
//!
//! It travels through the hands of whoever collects the parts. The signature covers all of it, with the network and the chain id that
//! it is for, so a part that was changed on the way, or that was given for another network, makes no genesis file.

use std::fs;
use std::path::Path;

use alloy_primitives::{B256, Bytes, keccak256};
use bridge::keystore::OperatorKeys;
use eyre::{Result, WrapErr, ensure};
use mainchain::Network;
use payments::account_signature;
use serde::{Deserialize, Serialize};
use sidechain::genesis::Member;

/// In front of what is signed. No transaction begins with 0x19 (EIP-191).
const DOMAIN: &[u8] = b"\x19Causeway operator's public part\n";

/// Most bytes of the file; ten times what it has.
const MAX_BYTES: u64 = 16_384;

/// An operator's part of a network, and its account's signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicPart {
    pub operator: Operator,
    /// By `operator.member.account`: 65 bytes.
    pub signature: Bytes,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operator {
    /// The Bitcoin network of the peg that the keys are for.
    pub network: Network,
    /// The sidechain's, by EIP-155.
    pub chain_id: u64,
    /// Its place in the genesis file.
    pub member: Member,
    /// What can spend the vault after a long timelock, with enough of the others' ones; x-only.
    pub recovery_key: B256,
}

impl Operator {
    /// The part that its account signed. `keys` are of `self.member.account`.
    pub fn sign(self, keys: &OperatorKeys) -> PublicPart {
        let signature = account_signature::sign(self.digest(), keys.account());
        PublicPart { operator: self, signature }
    }

    /// keccak256 of [`DOMAIN`] and the content as JSON without spaces.
    fn digest(&self) -> B256 {
        let content = serde_json::to_vec(self).expect("every field is text or number");
        keccak256([DOMAIN, &content].concat())
    }
}

impl PublicPart {
    /// Reads an operator's `public.json`, and checks its signature.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a public part, or was changed after its account signed it.
    pub fn read(path: &Path) -> Result<Self> {
        let size = fs::metadata(path).wrap_err_with(|| format!("cannot read {}", path.display()))?.len();
        ensure!(size <= MAX_BYTES, "{} has {size} bytes, a public part has less than {MAX_BYTES}", path.display());
        let text = fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        let part: Self = serde_json::from_str(&text)
            .wrap_err_with(|| format!("{} is not an operator's public part", path.display()))?;
        part.check().wrap_err_with(|| path.display().to_string())?;
        Ok(part)
    }

    /// Whether its account signed all of it.
    ///
    /// # Errors
    ///
    /// It did not.
    pub fn check(&self) -> Result<()> {
        let account = self.operator.member.account;
        let signer = account_signature::signer(self.operator.digest(), &self.signature);
        ensure!(
            signer == Some(account),
            "the public part is not signed by its account {account}: it was changed on the way; ask the operator for it again"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::operator::keys::{NewOperator, PUBLIC_FILE, make_operator};

    /// Whoever collects the parts changes one in any place: the recovery key, the account, the network.
    #[test]
    fn no_byte_of_a_public_part_can_be_changed_on_its_way() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let new = NewOperator::example("alice", 30_301);
        let part = make_operator(folder.path(), &new, None, "correct horse").expect("made");
        let path = folder.path().join(PUBLIC_FILE);
        assert_eq!(PublicPart::read(&path).expect("its own file"), part);
        let whole = fs::read_to_string(&path).expect("readable");
        let file: Value = serde_json::from_str(&whole).expect("JSON");
        let leaves = ["network", "chainId", "recoveryKey"].map(|name| format!("/operator/{name}"));
        let member = file["operator"]["member"].as_object().expect("fields");
        let of_member = member.keys().map(|name| format!("/operator/member/{name}"));
        for leaf in leaves.into_iter().chain(of_member).chain(["/signature".to_owned()]) {
            let mut changed = file.clone();
            let value = changed.pointer_mut(&leaf).expect("a field");
            *value = match value.take() {
                Value::String(text) if leaf == "/operator/network" => text.replace("regtest", "signet").into(),
                Value::String(text) => {
                    let last = if text.ends_with('1') { "2" } else { "1" };
                    format!("{}{last}", &text[..text.len() - 1]).into()
                }
                number => (number.as_u64().expect("a number") + 1).into(),
            };
            fs::write(&path, changed.to_string()).expect("written");
            let error = format!("{:#}", PublicPart::read(&path).expect_err(&leaf));
            assert!(error.contains("is not signed by its account"), "{leaf}: {error}");
        }
    }

    #[test]
    fn a_part_without_a_signature_or_without_end_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let part =
            make_operator(folder.path(), &NewOperator::example("alice", 30_301), None, "correct horse").expect("made");
        let path = folder.path().join(PUBLIC_FILE);
        fs::write(&path, serde_json::to_string(&part.operator).expect("JSON")).expect("written");
        assert!(PublicPart::read(&path).is_err(), "unsigned");
        fs::write(&path, " ".repeat(20_000)).expect("written");
        assert!(format!("{:#}", PublicPart::read(&path).expect_err("too long")).contains("20000 bytes"));
    }
}
