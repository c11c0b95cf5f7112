//! Keys, a genesis and transactions for tests and benchmarks. Everything is made from small numbers, so all of it repeats.

pub mod precompiles;

use std::sync::OnceLock;

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use api::free_lane;
use contracts::{SigningBoard, alloy_sol_types::SolCall as _};
use light::finality;
use mainchain::Network;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

use crate::{
    block::{Transaction, TxEnvelope},
    genesis::{Bitcoin, Bridge, Federation, Genesis, Member, Recovery},
};

/// An account with its key.
#[derive(Clone, Debug)]
pub struct Key {
    secret: SecretKey,
    pub address: Address,
}

impl Key {
    /// The key of a number.
    pub fn new(number: u64) -> Self {
        let seed = keccak256(number.to_be_bytes());
        let secret = SecretKey::from_slice(seed.as_slice()).expect("a hash is below the group's order");
        let address =
            Address::from_raw_public_key(&PublicKey::from_secret_key(SECP256K1, &secret).serialize_uncompressed()[1..]);
        Self { secret, address }
    }

    /// The compressed public key.
    pub fn public(&self) -> [u8; 33] {
        PublicKey::from_secret_key(SECP256K1, &self.secret).serialize()
    }

    /// Signs any type of transaction.
    pub fn sign<T>(&self, transaction: T) -> Transaction
    where
        T: SignableTransaction<Signature>,
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.signature(transaction.signature_hash());
        Transaction::new_unchecked(transaction.into_signed(signature).into(), self.address)
    }

    /// Lets this account run the code of a contract (EIP-7702).
    pub fn authorize(&self, chain_id: u64, nonce: u64, contract: Address) -> SignedAuthorization {
        let chain_id = U256::from(chain_id);
        let authorization = Authorization { chain_id, address: contract, nonce };
        let signature = self.signature(authorization.signature_hash());
        authorization.into_signed(signature)
    }

    /// Signs a hash.
    pub fn signature(&self, hash: B256) -> Signature {
        let signature = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(hash.0), &self.secret);
        let (recovery, bytes) = signature.serialize_compact();
        Signature::from_bytes_and_parity(&bytes, recovery.to_i32() == 1)
    }

    /// An EIP-1559 transaction that pays up to 10 times the lowest base fee.
    pub fn send(
        &self,
        chain_id: u64,
        nonce: u64,
        gas_limit: u64,
        to: TxKind,
        value: U256,
        input: Bytes,
    ) -> Transaction {
        self.sign(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: 10_000_000,
            max_priority_fee_per_gas: 1_000,
            to,
            value,
            access_list: Default::default(),
            input,
        })
    }

    /// A transfer of wei.
    pub fn transfer(&self, chain_id: u64, nonce: u64, to: Address, wei: u64) -> Transaction {
        self.send(chain_id, nonce, 21_000, to.into(), U256::from(wei), Bytes::new())
    }

    /// A call in the free lane.
    pub fn free(&self, chain_id: u64, nonce: u64, gas_limit: u64, to: Address, input: Bytes) -> Transaction {
        self.sign(free_call(chain_id, nonce, gas_limit, to, input))
    }
}

/// A call in the free lane, to be signed.
pub fn free_call(chain_id: u64, nonce: u64, gas_limit: u64, to: Address, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: free_lane::MAX_FEE_PER_GAS,
        max_priority_fee_per_gas: free_lane::MAX_PRIORITY_FEE_PER_GAS,
        to: to.into(),
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    }
}

/// A transaction that no account signed, for tests that execute nothing. Another one for each nonce.
pub fn unsigned_transaction(nonce: u64) -> TxEnvelope {
    let signature = Signature::new(U256::from(1), U256::from(2), false);
    TxLegacy { nonce, ..TxLegacy::default() }.into_signed(signature).into()
}

/// The key of a member of [`genesis`], by its index from 1.
pub fn member(index: u16) -> Key {
    Key::new(1_000_000 + u64::from(index))
}

/// The consensus key of a member of [`genesis`], by its index from 1.
pub fn validator(index: u16) -> blst::min_sig::SecretKey {
    let seed = keccak256((4_000_000 + u64::from(index)).to_be_bytes());
    blst::min_sig::SecretKey::key_gen(seed.as_slice(), &[]).expect("32 bytes are enough")
}

/// A federation of four on regtest.
pub fn genesis() -> Genesis {
    let members = (1..=4u16).map(|index| Member {
        name: format!("operator {index}"),
        account: member(index).address,
        encryption_key: Key::new(2_000_000 + u64::from(index)).public().into(),
        validator_key: validator(index).sk_to_pk().compress().into(),
        validator_proof: finality::prove_possession(&validator(index)).into(),
        p2p_key: B256::with_last_byte(u8::try_from(index).expect("four members")),
        p2p_address: format!("127.0.0.1:{}", 30_000 + index),
    });
    let recovery_keys = (1..=4u64).map(|index| B256::from_slice(&Key::new(3_000_000 + index).public()[1..]));
    let recovery = Recovery { threshold: 3, delay: 52_560, keys: recovery_keys.collect() };
    Genesis::dev(1_700_000_000, Federation { threshold: 3, members: members.collect(), validators: None, recovery })
}

/// The same federation on another network of Bitcoin, with what a network there begins with.
pub fn genesis_on(network: Network) -> Genesis {
    let bridge = Bridge::defaults(network, vec![member(1).address]);
    Genesis { chain_id: 51_718, bitcoin: Bitcoin::start_of(network), bridge, ..genesis() }
}

/// The network that [`genesis`] makes.
pub fn network() -> B256 {
    static ID: OnceLock<B256> = OnceLock::new();
    *ID.get_or_init(|| genesis().network_id())
}

/// A member's post on the signing board of that network, as the input of a call: of an attempt at making the first key, while no key is in
/// force.
pub fn post(attempt: u32, payload: impl Into<Bytes>) -> Bytes {
    post_on(network(), attempt, payload)
}

/// The same for another network.
pub fn post_on(network: B256, attempt: u32, payload: impl Into<Bytes>) -> Bytes {
    let payload = payload.into();
    SigningBoard::postKeygenCall { network, epoch: 1, attempt, kind: 1, payload }.abi_encode().into()
}

/// An account that nobody has a key for, the same for the same number. Their hashes lie scattered.
pub fn stranger(number: u64) -> Address {
    Address::from_word(keccak256(number.to_le_bytes()))
}
