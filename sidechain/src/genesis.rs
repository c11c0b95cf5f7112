//! The first block: what all operators of a network agree on before it starts, and the state it makes.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// The content of `genesis.json`. Two nodes are on one network if and only if this makes the same genesis block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Time of the first block, in seconds since 1970.
    pub timestamp: u64,
    /// The bitcoin network, and the block its light client starts from.
    pub bitcoin: Bitcoin,
    /// Validators and relayers.
    pub federation: Federation,
    /// The rules of the peg.
    pub bridge: Bridge,
    /// The rules of sidechain blocks.
    pub block: BlockRules,
}

/// See [`Genesis::bitcoin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bitcoin {
    /// Which network's rules hold.
    pub network: BitcoinNetwork,
    /// First header the light client knows.
    pub checkpoint: Checkpoint,
}

/// A bitcoin network, by the name Bitcoin Core and this project use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BitcoinNetwork {
    /// The real one.
    Mainnet,
    /// BIP 94.
    Testnet4,
    /// BIP 325, the default signet.
    Signet,
    /// Local.
    Regtest,
}

/// A bitcoin header that is trusted without its ancestors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// The 80 bytes of the header, as hex.
    #[serde(with = "plain_hex")]
    pub header: Bytes,
    /// Its height.
    pub height: u32,
    /// Work of the chain up to and with it, as hex.
    pub work: U256,
    /// Time of the first block of its difficulty period.
    pub epoch_time: u32,
}

/// See [`Genesis::federation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federation {
    /// Members that must sign together to move bitcoin of the vault.
    pub threshold: u16,
    /// Each is one validator and one relayer; the index of a member is its position + 1.
    pub members: Vec<Member>,
    /// Who can take the vault's bitcoin after a long time without a threshold.
    pub recovery: Recovery,
}

/// An operator: the public parts of its keys, and where to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// For people.
    pub name: String,
    /// The relayer's account on the sidechain.
    pub account: Address,
    /// secp256k1 public key, 33 bytes compressed: receives encrypted DKG packages.
    pub encryption_key: Bytes,
    /// BLS12-381 public key of the validator (MinSig: 96 bytes in G2).
    pub validator_key: Bytes,
    /// Proof of possession of `validator_key`.
    pub validator_proof: Bytes,
    /// ed25519 public key of the validator's connections.
    pub p2p_key: B256,
    /// "host:port" of the validator.
    pub p2p_address: String,
}

/// See [`Federation::recovery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Keys that must sign together.
    pub threshold: u16,
    /// Bitcoin blocks a vault output must be old.
    pub delay: u16,
    /// x-only keys.
    pub keys: Vec<B256>,
}

/// See [`Genesis::bridge`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bridge {
    /// Bitcoin blocks after which a depositor can take an unswept deposit back.
    pub reclaim_delay: u16,
    /// Smallest deposit.
    pub min_deposit_sat: u64,
    /// Smallest withdrawal.
    pub min_withdrawal_sat: u64,
    /// Lowest fee rate of a vault transaction, in sat per vB.
    pub min_fee_rate: u32,
    /// Highest fee rate of a vault transaction, in sat per vB.
    pub max_fee_rate: u32,
    /// Confirmations by value, ascending; the last holds for all above: `u64::MAX`.
    pub tiers: Vec<Tier>,
}

/// How deep a vault transaction must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// Values up to and with this.
    pub up_to_sat: u64,
    /// Confirmations wanted.
    pub confirmations: u32,
}

/// See [`Genesis::block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockRules {
    /// Gas of a block.
    pub gas_limit: u64,
    /// Time between blocks under load, in milliseconds.
    pub interval_ms: u64,
    /// Time after which an empty block is made, in milliseconds.
    pub heartbeat_ms: u64,
}

/// What a genesis file says wrong, and what it should say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("genesis: {0}")]
pub struct GenesisError(pub String);

mod plain_hex {
    use alloy_primitives::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text))
            .map(Bytes::from)
            .map_err(D::Error::custom)
    }
}
