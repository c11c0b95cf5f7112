//! Micropayments: vouchers of the contract MicroChannel, for payer and payee.
//!
//! ```text
//!   payer                                payee                           contract
//!   open(payee, deposit) ------------------------------------------------> channel
//!   voucher(total 10)  --off chain-->    check: key, growth, bounds
//!   voucher(total 25)  --off chain-->    check                            (nothing happens on chain)
//!                                        claim(the last voucher) --------> pays 25, once
//! ```
//! A voucher is an EIP-712 signature over (channel, total paid so far), as the public draft "EVM Session" (draft-evm-session-00) has it.
//! Only the last one counts, so a payee keeps one voucher, and losing one costs at most its addition.
//!
//! [`Verifier`] is the payee's side. It learns the signer's key from the first voucher and from then on verifies against
//! the key, which is faster than recovering it each time. Everything here is pure.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use secp256k1::ecdsa::{RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use serde::{Deserialize, Serialize};

use crate::account_signature::{self, join, recover};
use crate::keystore::address;

/// EIP-712 type of the domain.
const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const DOMAIN_NAME: &[u8] = b"EVM Payment Channel";
const DOMAIN_VERSION: &[u8] = b"1";
/// EIP-712 type of a voucher.
const VOUCHER_TYPE: &[u8] = b"Voucher(bytes32 channelId,uint128 cumulativeAmount)";

/// One deployment of the contract on one chain: vouchers for it are worth nothing anywhere else. What keeps networks with the same chain id apart is
/// the channel: `openOnNetwork` opens it on one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    chain_id: u64,
    contract: Address,
    separator: B256,
    voucher_type: B256,
}

/// What a channel's id is made of, beside the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub payer: Address,
    pub payee: Address,
    /// Zero: the coin.
    pub token: Address,
    pub salt: B256,
    /// Who signs vouchers; zero: the payer.
    pub authorized_signer: Address,
}

/// A promise: all that was paid through the channel so far. In JSON as in the draft's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voucher {
    pub channel_id: B256,
    /// All that was paid through it so far, in the token's smallest unit.
    #[serde(with = "decimal")]
    pub cumulative_amount: u128,
}

/// A voucher with its signature: r, s (the lower form), v (27 or 28). The payer gives it to the payee.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedVoucher {
    #[serde(flatten)]
    pub voucher: Voucher,
    /// 65 bytes.
    pub signature: Bytes,
}

/// A channel of the contract, as far as vouchers depend on it. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: B256,
    /// The account that signs its vouchers: the payer, or whom it named.
    pub signer: Address,
    /// What the payer has put in; no voucher is worth more.
    pub deposit: u128,
    /// What the payee was paid.
    pub settled: u128,
}

/// Why a voucher is not taken. The payer is at fault; ask for another voucher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("voucher is for channel {got}, expected {want}")]
    OtherChannel { got: B256, want: B256 },
    #[error("voucher's total {got} does not add to the {best} paid so far")]
    NoGrowth { got: u128, best: u128 },
    #[error("voucher's total {got} adds less than the {least} asked for to the {best} paid so far")]
    TooSmall { got: u128, best: u128, least: u128 },
    #[error("voucher's total {got} is more than the channel's deposit of {deposit}")]
    BeyondDeposit { got: u128, deposit: u128 },
    #[error(
        "signature has {got} bytes, or values out of range, expected r, the lower s, and v of 27 or 28 in 65 bytes"
    )]
    Malformed { got: usize },
    #[error("signature is not of the channel's signer {signer}")]
    NotTheSigner { signer: Address },
}

impl Domain {
    #[must_use]
    pub fn new(chain_id: u64, contract: Address) -> Self {
        let mut encoded = [0; 5 * 32];
        encoded[..32].copy_from_slice(keccak256(DOMAIN_TYPE).as_slice());
        encoded[32..64].copy_from_slice(keccak256(DOMAIN_NAME).as_slice());
        encoded[64..96].copy_from_slice(keccak256(DOMAIN_VERSION).as_slice());
        encoded[96..128].copy_from_slice(&U256::from(chain_id).to_be_bytes::<32>());
        encoded[140..].copy_from_slice(contract.as_slice());
        Self { chain_id, contract, separator: keccak256(encoded), voucher_type: keccak256(VOUCHER_TYPE) }
    }

    /// As the contract's `domainSeparator()`.
    #[must_use]
    pub fn separator(&self) -> B256 {
        self.separator
    }
}

impl Terms {
    /// As the contract's `computeChannelId`.
    #[must_use]
    pub fn channel_id(&self, domain: &Domain) -> B256 {
        let words = [
            self.payer.into_word(),
            self.payee.into_word(),
            self.token.into_word(),
            self.salt,
            self.authorized_signer.into_word(),
            domain.contract.into_word(),
            U256::from(domain.chain_id).into(),
        ];
        keccak256(words.map(|word| word.0).concat())
    }
}

impl Voucher {
    /// The digest that is signed (EIP-712), as the contract's `getVoucherDigest`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let mut encoded = [0; 3 * 32];
        encoded[..32].copy_from_slice(domain.voucher_type.as_slice());
        encoded[32..64].copy_from_slice(self.channel_id.as_slice());
        encoded[80..].copy_from_slice(&self.cumulative_amount.to_be_bytes());
        let mut message = [0; 2 + 2 * 32];
        message[..2].copy_from_slice(&[0x19, 0x01]);
        message[2..34].copy_from_slice(domain.separator.as_slice());
        message[34..].copy_from_slice(keccak256(encoded).as_slice());
        keccak256(message)
    }

    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedVoucher {
        SignedVoucher { voucher: self, signature: account_signature::sign(self.digest(domain), secret) }
    }
}

impl SignedVoucher {
    /// The address that signed; the contract compares it with the channel's signer.
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

/// Amounts in JSON, as the draft writes them: decimal digits in quotes.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let amount =
            text.parse().map_err(|_| D::Error::custom("an amount is a whole number below 2^128, in quotes"))?;
        // One way to write each: no sign, no zeros in front.
        if u128::to_string(&amount) == text { Ok(amount) } else { Err(D::Error::custom("an amount is digits alone")) }
    }
}

/// The payee's side of one channel: checks the vouchers that come and keeps the best.
#[derive(Clone, Debug)]
pub struct Verifier {
    domain: Domain,
    channel: Channel,
    /// Smallest addition that is taken; bounds how many vouchers a payer can make the payee check for nothing.
    least: u128,
    key: Option<PublicKey>,
    best: Option<SignedVoucher>,
}

impl Verifier {
    /// For a channel as it is on the chain. Every voucher must add at least `least`, and at least one.
    #[must_use]
    pub fn new(domain: Domain, channel: Channel, least: u128) -> Self {
        Self { domain, channel, least: least.max(1), key: None, best: None }
    }

    /// Checks a voucher and keeps it; returns the amount it adds.
    ///
    /// # Errors
    ///
    /// `Refused`: the voucher is worth nothing more than the one kept, which stays.
    pub fn accept(&mut self, signed: &SignedVoucher) -> Result<u128, Refused> {
        let added = self.check_bounds(&signed.voucher)?;
        self.check_signature(signed)?;
        self.best = Some(signed.clone());
        Ok(added)
    }

    /// The sum paid so far.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.best.as_ref().map_or(self.channel.settled, |best| best.voucher.cumulative_amount).max(self.channel.settled)
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

    /// Learns that the payer added to the deposit, or that something was settled.
    pub fn update(&mut self, deposit: u128, settled: u128) {
        self.channel.deposit = deposit.max(self.channel.deposit);
        self.channel.settled = settled.max(self.channel.settled);
    }

    fn check_bounds(&self, voucher: &Voucher) -> Result<u128, Refused> {
        let (got, best, deposit) = (voucher.cumulative_amount, self.total(), self.channel.deposit);
        if voucher.channel_id != self.channel.id {
            return Err(Refused::OtherChannel { got: voucher.channel_id, want: self.channel.id });
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

    /// Whether the contract would find the signer by this signature. Its v is not looked at once the key is known, for that
    /// is what makes recovering slow: [`Verifier::claim`] finds the right one.
    fn check_signature(&mut self, signed: &SignedVoucher) -> Result<(), Refused> {
        let (compact, v) = signed.split()?;
        let digest = signed.voucher.digest(&self.domain);
        let refused = Refused::NotTheSigner { signer: self.channel.signer };
        let key = match self.key {
            Some(key) => key,
            None => {
                recover(digest, &compact, v).filter(|key| address(key) == self.channel.signer).ok_or(refused.clone())?
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

    const ID: B256 = B256::repeat_byte(7);

    fn domain() -> Domain {
        Domain::new(51717, CONTRACT)
    }

    /// The first development account of the mnemonic "test test ... junk".
    fn payer() -> SecretKey {
        let bytes = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        SecretKey::from_slice(bytes.as_slice()).unwrap()
    }

    fn voucher(total: u128) -> Voucher {
        Voucher { channel_id: ID, cumulative_amount: total }
    }

    fn signed(total: u128) -> SignedVoucher {
        voucher(total).sign(&domain(), &payer())
    }

    fn verifier() -> Verifier {
        let channel = Channel {
            id: ID,
            signer: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            deposit: 1_000,
            settled: 10,
        };
        Verifier::new(domain(), channel, 5)
    }

    fn with_byte(signed: &SignedVoucher, index: usize, byte: u8) -> SignedVoucher {
        let mut signature = signed.signature.to_vec();
        signature[index] = byte;
        SignedVoucher { signature: signature.into(), ..signed.clone() }
    }

    #[test]
    fn vouchers_grow_within_the_deposit() {
        let mut verifier = verifier();
        assert_eq!(verifier.accept(&signed(30)), Ok(20));
        assert_eq!(verifier.accept(&signed(50)), Ok(20));
        assert!(matches!(verifier.accept(&signed(50)), Err(Refused::NoGrowth { .. })));
        assert!(matches!(verifier.accept(&signed(54)), Err(Refused::TooSmall { .. })));
        assert!(matches!(verifier.accept(&signed(1_001)), Err(Refused::BeyondDeposit { .. })));
        verifier.update(2_000, 50);
        assert_eq!(verifier.accept(&signed(1_001)), Ok(951));
        assert_eq!(verifier.total(), 1_001);
    }

    #[test]
    fn only_the_signers_signature_for_this_channel_counts() {
        for known_key in [false, true] {
            let mut verifier = verifier();
            if known_key {
                verifier.accept(&signed(20)).unwrap();
            }
            let other = Voucher { channel_id: B256::repeat_byte(8), ..voucher(100) };
            assert!(matches!(verifier.accept(&other.sign(&domain(), &payer())), Err(Refused::OtherChannel { .. })));
            let stranger = SecretKey::from_slice(&[1; 32]).unwrap();
            let elsewhere = Domain::new(1, CONTRACT);
            let other_contract = Domain::new(51717, Address::repeat_byte(2));
            for forged in [
                voucher(100).sign(&other_contract, &payer()),
                voucher(100).sign(&domain(), &stranger),
                voucher(100).sign(&elsewhere, &payer()),
                with_byte(&signed(100), 5, 0),
            ] {
                assert_eq!(verifier.accept(&forged), Err(Refused::NotTheSigner { signer: verifier.channel.signer }));
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
        assert_eq!(high.signer(&domain()).unwrap(), verifier().channel.signer, "it is the payer's");
        assert!(matches!(verifier().accept(&high), Err(Refused::NotTheSigner { .. })));
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
        // Frozen; id, domain and digest were computed apart by npm's js-sha3, the signature by Foundry's cast; all but the signature are frozen in the contract's tests too.
        let terms = Terms {
            payer: address!("00000000000000000000000000000000000000A1"),
            payee: address!("00000000000000000000000000000000000000B2"),
            token: Address::ZERO,
            salt: keccak256("salt"),
            authorized_signer: Address::ZERO,
        };
        let id = terms.channel_id(&domain());
        assert_eq!(id, b256!("6b62fb90efb02ddf8d7fe5d1b9cbb5ec690ee84d63ff1954a549d02d249e74e6"));
        assert_eq!(domain().separator(), b256!("f6b70e2b390ea2585e4dcb023488c7f90fe8a0427368f143c352cd79af18803c"));
        let voucher = Voucher { channel_id: id, cumulative_amount: 1_000_000_000_000 };
        assert_eq!(
            voucher.digest(&domain()),
            b256!("f469f6f460d0192d51b6c7d843cae4ab5941d9057d06af07e58eaef43bb688fa")
        );
        let signed = voucher.sign(&domain(), &payer());
        assert_eq!(
            hex::encode(&signed.signature),
            "8da5e9e427e6769a38ed64b41f72858dce39d0a067bc43fe61a077eca12d7a9b69edbbe0973cebebf409f32bf54678177c14c6cd2eec8232909d7afb9f99821b1b"
        );
        let json = serde_json::to_string(&signed).unwrap();
        assert_eq!(
            json,
            format!(r#"{{"channelId":"{id}","cumulativeAmount":"1000000000000","signature":"{}"}}"#, signed.signature)
        );
        assert_eq!(serde_json::from_str::<SignedVoucher>(&json).unwrap(), signed);
    }

    #[test]
    fn an_amount_is_written_in_one_way() {
        for text in ["1000", "\"01000\"", "\"+1000\"", "\"\"", "\"340282366920938463463374607431768211456\""] {
            let json = format!(r#"{{"channelId":"{ID}","cumulativeAmount":{text}}}"#);
            assert!(serde_json::from_str::<Voucher>(&json).is_err(), "{text}");
        }
        let most = format!(r#"{{"channelId":"{ID}","cumulativeAmount":"340282366920938463463374607431768211455"}}"#);
        assert_eq!(serde_json::from_str::<Voucher>(&most).unwrap().cumulative_amount, u128::MAX);
    }

    proptest! {
        #[test]
        fn whoever_signs_is_found(secret in prop::array::uniform32(1u8..), id: [u8; 32], total: u128) {
            let secret = SecretKey::from_slice(&secret).unwrap();
            let voucher = Voucher { channel_id: id.into(), cumulative_amount: total };
            let signed = voucher.sign(&domain(), &secret);
            let address = address(&PublicKey::from_secret_key(SECP256K1, &secret));
            prop_assert_eq!(signed.signer(&domain()), Ok(address));
            let channel = Channel { id: voucher.channel_id, signer: address, deposit: u128::MAX, settled: 0 };
            let accepted = Verifier::new(domain(), channel, 0).accept(&signed);
            prop_assert_eq!(accepted.is_ok(), total > 0);
        }
    }
}
