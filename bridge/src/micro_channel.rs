//! Micropayments: vouchers of the contract MicroChannel, for payer and payee.
//!
//! ```text
//!   payer                                payee                           contract
//!   open(payee, deposit) ------------------------------------------------> channel
//!   voucher(total 10)  --off chain-->    check: key, growth, bounds
//!   voucher(total 25)  --off chain-->    check                            (nothing happens on chain)
//!                                        claim(the last voucher) --------> pays 25, once
//! ```
//! A voucher is an EIP-712 signature over (channel, total paid so far). Only the last one counts, so a payee keeps one
//! voucher, and losing one costs at most its addition.
//!
//! [`Verifier`] is the payee's side. It learns the payer's key from the first voucher and from then on verifies against
//! the key, which is faster than recovering it each time. Everything here is pure.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use secp256k1::ecdsa::{RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use serde::{Deserialize, Serialize};

use crate::account_signature::{self, join, recover};
use crate::keystore::address;

/// EIP-712 type of the domain.
const DOMAIN_TYPE: &[u8] =
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)";
const DOMAIN_NAME: &[u8] = b"Causeway MicroChannel";
const DOMAIN_VERSION: &[u8] = b"1";
/// EIP-712 type of a voucher.
const VOUCHER_TYPE: &[u8] = b"Voucher(uint256 channel,uint256 total)";

/// One deployment of the contract on one network, whose id is the salt: vouchers for it are worth nothing anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    separator: B256,
    voucher_type: B256,
}

/// A promise: all that was paid through the channel so far, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voucher {
    /// The channel's number in the contract.
    pub channel: U256,
    /// All that was paid through it so far, in wei.
    pub total: U256,
}

/// A voucher with the payer's signature: r, s (the lower form), v (27 or 28). The payer gives it to the payee.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedVoucher {
    #[serde(flatten)]
    pub voucher: Voucher,
    /// 65 bytes.
    pub signature: Bytes,
}

/// A channel of the contract, as far as vouchers depend on it. Amounts in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its number in the contract.
    pub id: U256,
    /// The account that opened it and signs its vouchers.
    pub payer: Address,
    /// Wei that the payer has put in; no voucher is worth more.
    pub deposit: U256,
    /// Wei that the payee has taken out.
    pub claimed: U256,
}

/// Why a voucher is not taken. The payer is at fault; ask for another voucher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("voucher is for channel {got}, expected {want}")]
    OtherChannel { got: U256, want: U256 },
    #[error("voucher's total {got} wei does not add to the {best} wei paid so far")]
    NoGrowth { got: U256, best: U256 },
    #[error("voucher's total {got} wei adds less than the {least} wei asked for to the {best} wei paid so far")]
    TooSmall { got: U256, best: U256, least: U256 },
    #[error("voucher's total {got} wei is more than the channel's deposit of {deposit} wei")]
    BeyondDeposit { got: U256, deposit: U256 },
    #[error(
        "signature has {got} bytes, or values out of range, expected r, the lower s, and v of 27 or 28 in 65 bytes"
    )]
    Malformed { got: usize },
    #[error("signature is not of the payer {payer}")]
    NotThePayer { payer: Address },
}

impl Domain {
    #[must_use]
    pub fn new(chain_id: u64, contract: Address, network: B256) -> Self {
        let mut encoded = [0; 6 * 32];
        encoded[..32].copy_from_slice(keccak256(DOMAIN_TYPE).as_slice());
        encoded[32..64].copy_from_slice(keccak256(DOMAIN_NAME).as_slice());
        encoded[64..96].copy_from_slice(keccak256(DOMAIN_VERSION).as_slice());
        encoded[96..128].copy_from_slice(&U256::from(chain_id).to_be_bytes::<32>());
        encoded[140..160].copy_from_slice(contract.as_slice());
        encoded[160..].copy_from_slice(network.as_slice());
        Self { separator: keccak256(encoded), voucher_type: keccak256(VOUCHER_TYPE) }
    }

    /// As the contract's `domainSeparator()`.
    #[must_use]
    pub fn separator(&self) -> B256 {
        self.separator
    }
}

impl Voucher {
    /// The digest that is signed (EIP-712), as the contract's `voucherDigest(channel, total)`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let mut encoded = [0; 3 * 32];
        encoded[..32].copy_from_slice(domain.voucher_type.as_slice());
        encoded[32..64].copy_from_slice(&self.channel.to_be_bytes::<32>());
        encoded[64..].copy_from_slice(&self.total.to_be_bytes::<32>());
        let mut message = [0; 2 + 2 * 32];
        message[..2].copy_from_slice(&[0x19, 0x01]);
        message[2..34].copy_from_slice(domain.separator.as_slice());
        message[34..].copy_from_slice(keccak256(encoded).as_slice());
        keccak256(message)
    }

    /// The payer's signature.
    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedVoucher {
        SignedVoucher { voucher: self, signature: account_signature::sign(self.digest(domain), secret) }
    }
}

impl SignedVoucher {
    /// The address that signed; the contract compares it with the channel's payer.
    ///
    /// # Errors
    ///
    /// [`Refused::Malformed`], also for a signature that leads to no key.
    pub fn signer(&self, domain: &Domain) -> Result<Address, Refused> {
        let (compact, v) = self.split()?;
        let key = recover(self.voucher.digest(domain), &compact, v).ok_or_else(|| self.malformed())?;
        Ok(address(&key))
    }

    /// The signature's r and s, and v as recovery id.
    fn split(&self) -> Result<([u8; 64], RecoveryId), Refused> {
        account_signature::split(&self.signature).ok_or_else(|| self.malformed())
    }

    fn malformed(&self) -> Refused {
        Refused::Malformed { got: self.signature.len() }
    }
}

/// The payee's side of one channel: checks the vouchers that come and keeps the best.
#[derive(Clone, Debug)]
pub struct Verifier {
    domain: Domain,
    channel: Channel,
    /// Smallest addition that is taken, in wei; bounds how many vouchers a payer can make the payee check for nothing.
    least: U256,
    key: Option<PublicKey>,
    best: Option<SignedVoucher>,
}

impl Verifier {
    /// For a channel as it is on the chain. Every voucher must add at least `least` wei, and at least one.
    #[must_use]
    pub fn new(domain: Domain, channel: Channel, least: U256) -> Self {
        Self { domain, channel, least: least.max(U256::ONE), key: None, best: None }
    }

    /// Checks a voucher and keeps it; returns the amount it adds, in wei.
    ///
    /// # Errors
    ///
    /// `Refused`: the voucher is worth nothing more than the one kept, which stays.
    pub fn accept(&mut self, signed: &SignedVoucher) -> Result<U256, Refused> {
        let added = self.check_bounds(&signed.voucher)?;
        self.check_signature(signed)?;
        self.best = Some(signed.clone());
        Ok(added)
    }

    /// The sum paid so far, in wei.
    #[must_use]
    pub fn total(&self) -> U256 {
        self.best.as_ref().map_or(self.channel.claimed, |best| best.voucher.total).max(self.channel.claimed)
    }

    /// The voucher to claim with, as the contract wants it.
    #[must_use]
    pub fn claim(&self) -> Option<SignedVoucher> {
        let best = self.best.as_ref()?;
        let (compact, _) = best.split().ok()?;
        let digest = best.voucher.digest(&self.domain);
        let ids = [0, 1].map(|id| RecoveryId::from_i32(id).expect("0 and 1 are recovery ids"));
        let id = ids.into_iter().find(|id| recover(digest, &compact, *id) == self.key)?;
        Some(SignedVoucher { voucher: best.voucher, signature: join(&compact, id) })
    }

    /// Learns that the payer added to the deposit, or that something was claimed.
    pub fn update(&mut self, deposit: U256, claimed: U256) {
        self.channel.deposit = deposit.max(self.channel.deposit);
        self.channel.claimed = claimed.max(self.channel.claimed);
    }

    fn check_bounds(&self, voucher: &Voucher) -> Result<U256, Refused> {
        let (got, best, deposit) = (voucher.total, self.total(), self.channel.deposit);
        if voucher.channel != self.channel.id {
            return Err(Refused::OtherChannel { got: voucher.channel, want: self.channel.id });
        }
        if got <= best {
            return Err(Refused::NoGrowth { got, best });
        }
        if got - best < self.least {
            return Err(Refused::TooSmall { got, best, least: self.least });
        }
        if got > deposit {
            return Err(Refused::BeyondDeposit { got, deposit });
        }
        Ok(got - best)
    }

    /// Whether the contract would find the payer by this signature. Its v is not looked at once the key is known, for that
    /// is what makes recovering slow: [`Verifier::claim`] finds the right one.
    fn check_signature(&mut self, signed: &SignedVoucher) -> Result<(), Refused> {
        let (compact, v) = signed.split()?;
        let digest = signed.voucher.digest(&self.domain);
        let refused = Refused::NotThePayer { payer: self.channel.payer };
        let key = match self.key {
            Some(key) => key,
            None => {
                recover(digest, &compact, v).filter(|key| address(key) == self.channel.payer).ok_or(refused.clone())?
            }
        };
        let signature = Signature::from_compact(&compact).map_err(|_| signed.malformed())?;
        // Also refuses the upper s, as the contract does.
        SECP256K1.verify_ecdsa(&Message::from_digest(digest.0), &signature, &key).map_err(|_| refused)?;
        self.key = Some(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256, hex};
    use proptest::prelude::*;

    use super::*;

    const CONTRACT: Address = address!("CA05000000000000000000000000000000000005");

    const NETWORK: B256 = B256::repeat_byte(1);

    fn domain() -> Domain {
        Domain::new(51717, CONTRACT, NETWORK)
    }

    /// The first development account of the mnemonic "test test ... junk".
    fn payer() -> SecretKey {
        let bytes = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        SecretKey::from_slice(bytes.as_slice()).unwrap()
    }

    fn voucher(total: u64) -> Voucher {
        Voucher { channel: U256::from(7), total: U256::from(total) }
    }

    fn signed(total: u64) -> SignedVoucher {
        voucher(total).sign(&domain(), &payer())
    }

    fn verifier() -> Verifier {
        let channel = Channel {
            id: U256::from(7),
            payer: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            deposit: U256::from(1_000),
            claimed: U256::from(10),
        };
        Verifier::new(domain(), channel, U256::from(5))
    }

    fn with_byte(signed: &SignedVoucher, index: usize, byte: u8) -> SignedVoucher {
        let mut signature = signed.signature.to_vec();
        signature[index] = byte;
        SignedVoucher { signature: signature.into(), ..signed.clone() }
    }

    #[test]
    fn vouchers_grow_within_the_deposit() {
        let mut verifier = verifier();
        assert_eq!(verifier.accept(&signed(30)), Ok(U256::from(20)));
        assert_eq!(verifier.accept(&signed(50)), Ok(U256::from(20)));
        assert!(matches!(verifier.accept(&signed(50)), Err(Refused::NoGrowth { .. })));
        assert!(matches!(verifier.accept(&signed(54)), Err(Refused::TooSmall { .. })));
        assert!(matches!(verifier.accept(&signed(1_001)), Err(Refused::BeyondDeposit { .. })));
        verifier.update(U256::from(2_000), U256::from(50));
        assert_eq!(verifier.accept(&signed(1_001)), Ok(U256::from(951)));
        assert_eq!(verifier.total(), U256::from(1_001));
    }

    #[test]
    fn only_the_payers_signature_for_this_channel_counts() {
        for known_key in [false, true] {
            let mut verifier = verifier();
            if known_key {
                verifier.accept(&signed(20)).unwrap();
            }
            let other = Voucher { channel: U256::from(8), ..voucher(100) };
            assert!(matches!(verifier.accept(&other.sign(&domain(), &payer())), Err(Refused::OtherChannel { .. })));
            let stranger = SecretKey::from_slice(&[1; 32]).unwrap();
            let elsewhere = Domain::new(1, CONTRACT, NETWORK);
            let other_network = Domain::new(51717, CONTRACT, B256::repeat_byte(2));
            for forged in [
                voucher(100).sign(&other_network, &payer()),
                voucher(100).sign(&domain(), &stranger),
                voucher(100).sign(&elsewhere, &payer()),
                with_byte(&signed(100), 5, 0),
            ] {
                assert_eq!(verifier.accept(&forged), Err(Refused::NotThePayer { payer: verifier.channel.payer }));
            }
            let malformed =
                [with_byte(&signed(100), 64, 0), SignedVoucher { signature: Bytes::from(vec![1; 64]), ..signed(100) }];
            for bad in malformed {
                assert!(matches!(verifier.accept(&bad), Err(Refused::Malformed { .. })));
            }
        }
    }

    #[test]
    fn the_upper_form_of_a_signature_is_refused_as_by_the_contract() {
        let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let low = signed(100);
        let mut signature = low.signature.to_vec();
        let s = U256::from_be_slice(&signature[32..64]);
        signature[32..64].copy_from_slice(&(U256::from_be_bytes(order.0) - s).to_be_bytes::<32>());
        signature[64] = 55 - signature[64];
        let high = SignedVoucher { signature: signature.into(), ..low };
        assert_eq!(high.signer(&domain()).unwrap(), verifier().channel.payer, "it is the payer's");
        assert!(matches!(verifier().accept(&high), Err(Refused::NotThePayer { .. })));
    }

    #[test]
    fn a_voucher_with_the_wrong_parity_is_claimed_with_the_right_one() {
        let mut verifier = verifier();
        verifier.accept(&signed(20)).unwrap();
        let right = signed(100);
        let wrong = with_byte(&right, 64, 55 - right.signature[64]);
        verifier.accept(&wrong).unwrap();
        assert_eq!(verifier.claim(), Some(right));
    }

    #[test]
    fn a_voucher_keeps_its_bytes() {
        // Frozen; domain and digest were computed apart in Python, with keccak written out, and are frozen in the contract's tests too.
        let signed = voucher(123_456_789).sign(&domain(), &payer());
        assert_eq!(domain().separator(), b256!("f9949fd66f9354bbd61188ce59d980a01bc50efdd972313c6b65aa107e6c471c"));
        assert_eq!(
            voucher(123_456_789).digest(&domain()),
            b256!("42e7b23ca26b96be8acbcb6e4fb14f9de2b38db59cdb3a4d09161f60b9c2e153")
        );
        assert_eq!(
            hex::encode(&signed.signature),
            "1ceb61cf5f4087a6c502b11486a0da0bf0d50b3002e93df01dfaf32a8fccff576d7ac6b7e72eba24df0a92a52644866b245acbed15ae7d9c58f414e49d961d1a1b"
        );
        let json = serde_json::to_string(&signed).unwrap();
        assert_eq!(serde_json::from_str::<SignedVoucher>(&json).unwrap(), signed);
    }

    proptest! {
        #[test]
        fn whoever_signs_is_found(secret in prop::array::uniform32(1u8..), channel: u64, total: u128) {
            let secret = SecretKey::from_slice(&secret).unwrap();
            let voucher = Voucher { channel: U256::from(channel), total: U256::from(total) };
            let signed = voucher.sign(&domain(), &secret);
            let address = address(&PublicKey::from_secret_key(SECP256K1, &secret));
            prop_assert_eq!(signed.signer(&domain()), Ok(address));
            let channel = Channel { id: voucher.channel, payer: address, deposit: U256::MAX, claimed: U256::ZERO };
            let accepted = Verifier::new(domain(), channel, U256::ZERO).accept(&signed);
            prop_assert_eq!(accepted.is_ok(), total > 0);
        }
    }
}
