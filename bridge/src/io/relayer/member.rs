//! This member, as both kinds of rounds (key generation and signing) need it.

use std::sync::Arc;

use alloy_primitives::B256;
use light::finality::Validators;
use secp256k1::SecretKey;

use super::tx_sender::TxSender;
use crate::io::clock::Clock;
use crate::io::store::Store;
use crate::peg::Parameters;
use crate::policy::Limit;

/// A member of the federation, its node, and its store.
pub struct Member<N> {
    pub network: B256,
    /// Its index, from 1.
    pub me: u16,
    pub threshold: u16,
    /// What others encrypt to it with.
    pub encryption: SecretKey,
    pub recovery_leaf: [u8; 32],
    /// Whose signatures make a block final.
    pub validators: Validators,
    /// The ledger's rules, by the genesis file.
    pub parameters: Parameters,
    /// What it signs away within a time at most.
    pub limit: Limit,
    /// Blocks after which the recovery key can take a vault output.
    pub recovery_delay: u32,
    /// A rate that is always low, in satoshis per 1,000 vB.
    pub low_rate: u64,
    pub clock: Clock,
    pub store: Arc<Store>,
    pub node: Arc<N>,
    pub sender: Arc<TxSender<N>>,
}

/// Randomness for secrets: the operating system's, but in simulations.
pub trait Random: rand::RngCore + rand::CryptoRng + Send {}

impl<R: rand::RngCore + rand::CryptoRng + Send> Random for R {}
