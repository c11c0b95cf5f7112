//! A payer, a payee and an authorization for tests.

use alloy_primitives::{Address, B256, Bytes, U256, address, b256};
use payments::account_signature;
use secp256k1::SecretKey;

use crate::authorization::{Authorization, Token};
use crate::mpp::Secret;
use crate::till::{DEFAULT_LIFETIME_S, Till};

/// Developer account 0, whose key everybody knows.
pub struct Payer(SecretKey);

impl Payer {
    pub fn secret(&self) -> SecretKey {
        self.0
    }

    pub fn sign(&self, token: &Token, authorization: &Authorization) -> Bytes {
        account_signature::sign(token.digest(authorization), &self.0)
    }
}

pub const PAYER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub const PAYEE: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
/// The time of tests: 12:05 on the first of April 2026, less five minutes.
pub const NOW: u64 = 1_775_044_800;

pub fn payer() -> Payer {
    let bytes = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    Payer(SecretKey::from_slice(bytes.as_slice()).expect("a key"))
}

pub fn token() -> Token {
    Token::wrapped_btc(51_717)
}

/// 25 satoshis.
pub fn amount() -> U256 {
    U256::from(250_000_000_000u64)
}

/// A till that takes no payments by channels.
pub fn till() -> Till {
    Till {
        token: token(),
        payee: PAYEE,
        realm: "api.example.com".into(),
        public_url: "https://api.example.com".into(),
        secret: Secret::derive(&[3; 32]),
        lifetime_s: DEFAULT_LIFETIME_S,
        batch: None,
    }
}

pub fn authorization() -> Authorization {
    Authorization {
        from: PAYER,
        to: PAYEE,
        value: amount(),
        valid_after: U256::ZERO,
        valid_before: U256::from(NOW + 300),
        nonce: B256::repeat_byte(7),
    }
}
