//! What a payer signs in both protocols: EIP-3009's `TransferWithAuthorization` of the token WrappedBtc.
//!
//! The payer's key signs from, to, value, times and a nonce; whoever brings it to the token has it carried out, once. That is what makes one
//! authorization pay once, in whichever protocol and for whatever it was shown.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_sol_types::{SolEvent as _, SolValue as _};
use contracts::WrappedBtc;
use contracts::address::WRAPPED_BTC;
use payments::account_signature;
use payments::typed_data::{digest, separator};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::text::decimal;

/// The token's name and version in its EIP-712 domain (`contracts/src/WrappedBtc.sol`).
pub const TOKEN_NAME: &str = "Causeway Wrapped BTC";
pub const TOKEN_VERSION: &str = "1";
/// The token's decimals: its unit is a wei.
pub const TOKEN_DECIMALS: u8 = 18;

const TRANSFER_TYPE: &[u8] = b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

const RECEIPT_TYPE: &[u8] = b"ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

/// Half of the order of secp256k1: an s above it is the other form of the same signature (EIP-2), which the token refuses.
const HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff]);

/// The token on one chain: what is signed for it is worth nothing anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub chain_id: u64,
    pub contract: Address,
    separator: B256,
}

/// An authorization with its signature, as the token takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub authorization: Authorization,
    pub signature: Bytes,
}

/// A transfer that its payer agrees to. In JSON as x402 and MPP have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    pub from: Address,
    pub to: Address,
    /// In the token's smallest unit: wei.
    #[serde(with = "decimal")]
    pub value: U256,
    /// Unix seconds; carried out only after it.
    #[serde(with = "decimal")]
    pub valid_after: U256,
    /// Unix seconds; carried out only before it.
    #[serde(with = "decimal")]
    pub valid_before: U256,
    pub nonce: B256,
}

impl Token {
    /// The wrapped coin, at the address that it has on every network.
    #[must_use]
    pub fn wrapped_btc(chain_id: u64) -> Self {
        Self::at(chain_id, WRAPPED_BTC)
    }

    fn at(chain_id: u64, contract: Address) -> Self {
        Self { chain_id, contract, separator: separator(TOKEN_NAME, TOKEN_VERSION, chain_id, contract) }
    }

    /// What is signed (EIP-712).
    #[must_use]
    pub fn digest(&self, authorization: &Authorization) -> B256 {
        self.digest_as(TRANSFER_TYPE, authorization)
    }

    /// What is signed if nobody but its recipient is to bring it.
    #[must_use]
    pub fn receipt_digest(&self, authorization: &Authorization) -> B256 {
        self.digest_as(RECEIPT_TYPE, authorization)
    }

    fn digest_as(&self, kind: &[u8], authorization: &Authorization) -> B256 {
        let Authorization { from, to, value, valid_after, valid_before, nonce } = *authorization;
        let message = (keccak256(kind), from, to, value, valid_after, valid_before, nonce).abi_encode();
        digest(self.separator, keccak256(message))
    }

    /// The signature in the form that the token takes, if the payer's key made it.
    ///
    /// # Errors
    ///
    /// `MalformedSignature`, `HighS`, `WrongSigner`.
    pub fn check_signature(&self, authorization: &Authorization, signature: &[u8]) -> Result<Bytes, Refusal> {
        signed_by(self.digest(authorization), signature, authorization.from)
    }

    /// The same of an authorization that only its recipient brings.
    ///
    /// # Errors
    ///
    /// As [`Token::check_signature`].
    pub fn check_receipt_signature(&self, authorization: &Authorization, signature: &[u8]) -> Result<Bytes, Refusal> {
        signed_by(self.receipt_digest(authorization), signature, authorization.from)
    }
}

/// What transactions carried out. In one there may be many payments, and each is looked for alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedOut(BTreeSet<(Address, B256, Address, U256)>);

impl CarriedOut {
    /// What these logs of one transaction say: the token tells that a nonce was used, and next what that moved (`_moveAuthorized` in `WrappedBtc.sol`). A
    /// transfer elsewhere in the same transaction is another payment.
    #[must_use]
    pub fn read<'a>(logs: impl Iterator<Item = &'a Log> + Clone) -> Self {
        let is_of_token = |log: &Log| log.address == WRAPPED_BTC;
        let pairs = logs.clone().zip(logs.skip(1)).filter(|(used, moved)| is_of_token(used) && is_of_token(moved));
        let payment = |(used, moved): (&Log, &Log)| {
            let used = WrappedBtc::AuthorizationUsed::decode_log(used).ok()?;
            let moved = WrappedBtc::Transfer::decode_log(moved).ok()?;
            (used.authorizer == moved.from).then_some((moved.from, used.nonce, moved.to, moved.value))
        };
        Self(pairs.filter_map(payment).collect())
    }

    #[must_use]
    pub fn has(&self, terms: &Authorization) -> bool {
        self.0.contains(&(terms.from, terms.nonce, terms.to, terms.value))
    }
}

/// The signature in the form that contracts take, if this account's key made it.
///
/// # Errors
///
/// `MalformedSignature`, `HighS`, `WrongSigner`.
pub fn signed_by(digest: B256, signature: &[u8], want: Address) -> Result<Bytes, Refusal> {
    let malformed = || Refusal::MalformedSignature { bytes: signature.len() };
    let bytes: &[u8; 65] = signature.try_into().map_err(|_| malformed())?;
    // `@x402/evm` passes on the parity that some signers give instead of 27 or 28.
    let v = match bytes[64] {
        v @ (0 | 1) => v + 27,
        v @ (27 | 28) => v,
        _ => return Err(malformed()),
    };
    if U256::from_be_slice(&bytes[32..64]) > HALF_ORDER {
        return Err(Refusal::HighS);
    }
    let canonical = Bytes::from([&bytes[..64], &[v]].concat());
    match account_signature::signer(digest, &canonical) {
        Some(signer) if signer == want => Ok(canonical),
        Some(signer) => Err(Refusal::WrongSigner { got: signer, want }),
        None => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256, hex};
    use secp256k1::SecretKey;

    use super::*;
    use crate::testing::{authorization, payer, token};

    #[test]
    fn names_and_types_are_those_of_the_contract() {
        // The contract's own constants, as its tests freeze them.
        assert_eq!(keccak256(TRANSFER_TYPE), b256!("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"));
        assert_eq!(token().contract, address!("CA05000000000000000000000000000000000008"));
        let _ = WrappedBtc::DOMAIN_SEPARATORCall {};
    }

    #[test]
    fn a_payers_signature_is_taken_with_either_form_of_v() {
        let (authorization, signature) = (authorization(), payer().sign(&token(), &authorization()));
        assert_eq!(token().check_signature(&authorization, &signature), Ok(signature.clone()));
        let mut parity = signature.to_vec();
        parity[64] -= 27;
        assert_eq!(token().check_signature(&authorization, &parity), Ok(signature));
    }

    #[test]
    fn what_is_no_signature_of_the_payer_is_told_apart() {
        let (authorization, signature) = (authorization(), payer().sign(&token(), &authorization()));
        let check = |bytes: &[u8]| token().check_signature(&authorization, bytes);
        assert_eq!(check(&signature[..64]), Err(Refusal::MalformedSignature { bytes: 64 }));
        assert_eq!(check(&[]), Err(Refusal::MalformedSignature { bytes: 0 }));
        let mut wrong_v = signature.to_vec();
        wrong_v[64] = 29;
        assert_eq!(check(&wrong_v), Err(Refusal::MalformedSignature { bytes: 65 }));
        assert_eq!(check(&[&[0; 64][..], &[27]].concat()), Err(Refusal::MalformedSignature { bytes: 65 }));

        let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        assert_eq!(HALF_ORDER, U256::from_be_bytes(order.0) / U256::from(2));
        let s = U256::from_be_bytes(order.0) - U256::from_be_slice(&signature[32..64]);
        let high = [&signature[..32], &s.to_be_bytes::<32>(), &[55 - signature[64]]].concat();
        assert_eq!(check(&high), Err(Refusal::HighS));

        let stranger = SecretKey::from_slice(&[9; 32]).expect("a key");
        let forged = account_signature::sign(token().digest(&authorization), &stranger);
        assert!(matches!(check(&forged), Err(Refusal::WrongSigner { .. })));
        let elsewhere = payer().sign(&Token::wrapped_btc(1), &authorization);
        assert!(matches!(check(&elsewhere), Err(Refusal::WrongSigner { .. })));
        let other = Authorization { value: authorization.value + U256::from(1), ..authorization };
        assert!(matches!(token().check_signature(&other, &signature), Err(Refusal::WrongSigner { .. })));
    }

    /// The payer brings 1 wei under the nonce of 25 satoshis, and 25 satoshis under another nonce, in one transaction.
    #[test]
    fn what_one_authorization_moved_is_not_counted_for_another() {
        let (dear, other) = (authorization(), Authorization { nonce: B256::repeat_byte(8), ..authorization() });
        let cheap = Authorization { value: U256::from(1), ..dear };
        let logs = |terms: &Authorization| {
            let Authorization { from, to, value, nonce, .. } = *terms;
            let used = WrappedBtc::AuthorizationUsed { authorizer: from, nonce }.encode_log_data();
            let moved = WrappedBtc::Transfer { from, to, value }.encode_log_data();
            [used, moved].map(|data| Log { address: WRAPPED_BTC, data })
        };
        let both = [logs(&cheap), logs(&other)].concat();
        let both = CarriedOut::read(both.iter());
        assert!(both.has(&cheap) && both.has(&other) && !both.has(&dear));
        let forged = logs(&dear).map(|log| Log { address: PAYER_CONTRACT, ..log });
        assert!(!CarriedOut::read(forged.iter()).has(&dear) && !CarriedOut::default().has(&dear));
        assert!(CarriedOut::read(logs(&dear).iter()).has(&dear));
    }

    const PAYER_CONTRACT: Address = Address::repeat_byte(0x66);

    #[test]
    fn an_authorization_keeps_its_bytes() {
        // Frozen. The digest was computed apart by viem's hashTypedData.
        let digest = token().digest(&authorization());
        assert_eq!(hex::encode(digest), FROZEN_DIGEST);
        let json = serde_json::to_string(&authorization()).expect("text");
        let want = r#"{"from":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266","to":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","value":"250000000000","validAfter":"0","validBefore":"1775045100","nonce":"0x0707070707070707070707070707070707070707070707070707070707070707"}"#;
        assert_eq!(json, want);
        assert_eq!(serde_json::from_str::<Authorization>(&json).expect("the same"), authorization());
    }

    const FROZEN_DIGEST: &str = "b8de428688a2d4de6790230119a0de588c228bae5fa79698e63ed3da30abf7ea";
}
