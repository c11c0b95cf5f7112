//! `genesis.json`: what all operators of a network agree on before it starts, and what is checked of it.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes};
use bitcoin::{
    CompactTarget, Target,
    hashes::Hash as _,
    secp256k1::{PublicKey, XOnlyPublicKey},
};
use light::finality::{self, Validators};
use mainchain::{Checkpoint, Network, params::PERIOD, recovery};
use serde::{Deserialize, Serialize};

use super::{
    bridge::Bridge,
    chain_ids,
    error::{GenesisError, wrong},
    text,
};
use crate::{execution::Rules, limits::MAX_TRANSACTION_GAS};

/// Most members. 50 validators is what the design aims at; the rest is room.
pub const MAX_MEMBERS: usize = 100;

/// Blocks that the recovery keys wait at least, off regtest: a month, in which members who see what is going on can move the coins.
pub const MIN_RECOVERY_DELAY: u16 = 4_320;

/// How far a file's timestamp may be ahead of a node's clock, in seconds: the first block has it, and none may be before.
pub const MAX_GENESIS_AHEAD_S: u64 = 60;

/// Difficulty of block 500,000 of mainnet; none after it was easier. A checkpoint that costs nothing to make up is none.
const LEAST_MAINNET_DIFFICULTY: u32 = 0x1800_9645;

/// The content of `genesis.json`. Two nodes are on one network if and only if this is the same: see [`Self::network_id`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// Chain id in transactions (EIP-155): 1 to 2^63 - 37, and no other chain's.
    pub chain_id: u64,
    /// Time of the first block, in seconds since 1970.
    pub timestamp: u64,
    pub bitcoin: Bitcoin,
    pub federation: Federation,
    pub bridge: Bridge,
    pub block: BlockRules,
}

/// The Bitcoin network that the peg is with, and where its light client starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bitcoin {
    pub network: Network,
    /// First header the light client knows.
    pub checkpoint: Checkpoint,
}

/// The validators and relayers, and what the vault's keys need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federation {
    /// Members that must sign together to move bitcoin of the vault.
    pub threshold: u16,
    /// Each is one validator and one relayer; the index of a member is its position + 1.
    pub members: Vec<Member>,
    /// How many of them make blocks: the first ones. Left out, and on every network but regtest: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<u16>,
    pub recovery: Recovery,
}

/// An operator: the public parts of its keys, and where to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// 1 to 64 bytes of printable ASCII, shown to people; no two members have the same.
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

/// Who can take the vault's bitcoin after a long time without a threshold of members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Number of `keys` that must sign together: not fewer than members sign together.
    pub threshold: u16,
    /// Confirmations, in Bitcoin blocks, that a vault output needs before it can be recovered (BIP 112);
    /// [`MIN_RECOVERY_DELAY`] or more, on regtest any.
    pub delay: u16,
    /// x-only secp256k1 keys of those who can recover.
    pub keys: Vec<B256>,
}

/// The rules of sidechain blocks.
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

impl Genesis {
    /// A genesis for a local network on regtest with the default rules.
    pub fn dev(timestamp: u64, federation: Federation) -> Self {
        let accounts = federation.members.iter().map(|member| member.account).collect();
        Self {
            chain_id: chain_ids::DEV_CHAIN_ID,
            timestamp,
            bitcoin: Bitcoin::start_of(Network::Regtest),
            federation,
            bridge: Bridge::defaults(Network::Regtest, accounts),
            block: BlockRules::dev(),
        }
    }

    /// Reads and checks a genesis file.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what it should be.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let genesis: Self = serde_json::from_str(text).map_err(|error| GenesisError(error.to_string()))?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("every field is text, number or list")
    }

    /// Checks all that can be checked without running the contracts' constructors.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what it should be.
    pub fn check(&self) -> Result<(), GenesisError> {
        let network = self.bitcoin.network;
        chain_ids::check_chain_id(self.chain_id, network)?;
        self.bitcoin.check()?;
        self.federation.check(network)?;
        self.bridge.check(network)?;
        self.block.check()
    }

    /// What blocks of this network may do.
    pub fn rules(&self) -> Rules {
        Rules {
            chain_id: self.chain_id,
            gas_limit: self.block.gas_limit,
            members: self.federation.members.iter().map(|member| member.account).collect(),
        }
    }

    /// The validators whose certificates make this network's blocks final.
    ///
    /// # Errors
    ///
    /// When their keys cannot be used, which [`Self::check`] finds too.
    pub fn validators(&self) -> Result<Validators, GenesisError> {
        let members = self.federation.validators().iter().map(|member| {
            let key = fixed(&format!("member {}: validatorKey", member.name), &member.validator_key)?;
            Ok((member.p2p_key.0, key))
        });
        Validators::new(self.network_id(), members.collect::<Result<Vec<_>, GenesisError>>()?)
            .map_err(|error| GenesisError(format!("the validators cannot be used: {error}")))
    }
}

impl Bitcoin {
    /// From the network's first block.
    pub fn start_of(network: Network) -> Self {
        Self { network, checkpoint: Checkpoint::genesis(network) }
    }

    fn check(&self) -> Result<(), GenesisError> {
        let Checkpoint { header, height, work, epoch_time } = self.checkpoint;
        if header.validate_pow(header.target()).is_err() {
            return wrong(format!("bitcoin.checkpoint: header {} has no proof of work", header.block_hash()));
        }
        if work < header.work() {
            return wrong(format!("bitcoin.checkpoint: work {work:x} is less than that of its own header"));
        }
        if height % PERIOD == 0 && epoch_time != header.time {
            let time = header.time;
            return wrong(format!(
                "bitcoin.checkpoint: epochTime {epoch_time}, but height {height} starts a period at {time}"
            ));
        }
        if self.network == Network::Mainnet
            && height != 0
            && (height < 500_000
                || header.target() > Target::from_compact(CompactTarget::from_consensus(LEAST_MAINNET_DIFFICULTY)))
        {
            return wrong(format!(
                "bitcoin.checkpoint: height {height} with difficulty bits {:x}; every block of mainnet from 500000 on is at least as hard as that one ({:x}), and a light client starts behind it",
                header.bits.to_consensus(),
                LEAST_MAINNET_DIFFICULTY
            ));
        }
        if height == 0 && work != header.work() {
            return wrong(format!("bitcoin.checkpoint: work {work:x}, but block 0 has {:x}", header.work()));
        }
        let (got, want) = (header.block_hash(), self.network.genesis().block_hash());
        if height == 0 && got != want {
            return wrong(format!("bitcoin.checkpoint: block 0 of {} is {want}, got {got}", self.network));
        }
        Ok(())
    }
}

impl Federation {
    /// The members that make blocks.
    pub fn validators(&self) -> &[Member] {
        let count = self.validators.map_or(self.members.len(), usize::from);
        &self.members[..count.min(self.members.len())]
    }

    fn check(&self, network: Network) -> Result<(), GenesisError> {
        let count = self.members.len();
        if count == 0 || count > MAX_MEMBERS {
            return wrong(format!("federation has {count} members, expected 1 to {MAX_MEMBERS}"));
        }
        if self.threshold == 0 || usize::from(self.threshold) > count {
            return wrong(format!("federation threshold {}, expected 1 to {count}", self.threshold));
        }
        // Regtest may be of one.
        if network != Network::Regtest && 2 * usize::from(self.threshold) <= count {
            return wrong(format!(
                "federation threshold {} of {count} members: expected a majority, else two groups could each sign without the other",
                self.threshold
            ));
        }
        self.check_validators(network)?;
        self.members.iter().try_for_each(Member::check)?;
        distinct("account", self.members.iter().map(|member| member.account.to_vec()))?;
        distinct("encryptionKey", self.members.iter().map(|member| member.encryption_key.to_vec()))?;
        distinct("validatorKey", self.members.iter().map(|member| member.validator_key.to_vec()))?;
        distinct("p2pKey", self.members.iter().map(|member| member.p2p_key.to_vec()))?;
        distinct("name", self.members.iter().map(|member| member.name.clone().into_bytes()))?;
        self.recovery_leaf()?;
        self.recovery.check(self.threshold, network)?;
        if self.recovery.keys.len() != count {
            return wrong(format!(
                "federation.recovery: {} keys, expected one of each of the {count} members: any more would be somebody else's",
                self.recovery.keys.len()
            ));
        }
        Ok(())
    }

    /// Elsewhere than on regtest what signs is as safe as what orders only when all do both.
    fn check_validators(&self, network: Network) -> Result<(), GenesisError> {
        let (count, Some(validators)) = (self.members.len(), self.validators) else { return Ok(()) };
        if network != Network::Regtest {
            return wrong(format!(
                "federation.validators {validators}: all members are validators on {network}; leave it out"
            ));
        }
        if validators == 0 || usize::from(validators) > count {
            return wrong(format!("federation.validators {validators}, expected 1 to {count}"));
        }
        Ok(())
    }

    /// Hash of the vault's recovery leaf, which the contract Federation keeps.
    ///
    /// # Errors
    ///
    /// When the recovery policy is wrong.
    pub fn recovery_leaf(&self) -> Result<B256, GenesisError> {
        let Recovery { threshold, delay, keys } = &self.recovery;
        let keys = keys
            .iter()
            .map(|key| XOnlyPublicKey::from_slice(key.as_slice()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| GenesisError(format!("federation.recovery.keys: {error}")))?;
        let policy = recovery::Recovery { threshold: *threshold, delay: *delay, keys };
        let leaf = policy.leaf_hash().map_err(|error| GenesisError(format!("federation.recovery: {error}")))?;
        Ok(B256::from(leaf.to_byte_array()))
    }
}

impl Member {
    fn check(&self) -> Result<(), GenesisError> {
        let name = &self.name;
        text::check_name(name)?;
        if self.account.is_zero() {
            return wrong(format!("member {name}: account is zero"));
        }
        if PublicKey::from_slice(&self.encryption_key).is_err() || self.encryption_key.len() != 33 {
            return wrong(format!("member {name}: encryptionKey is not a compressed secp256k1 key"));
        }
        let key = fixed(&format!("member {name}: validatorKey"), &self.validator_key)?;
        let proof = fixed(&format!("member {name}: validatorProof"), &self.validator_proof)?;
        // Aggregated signatures are sound only among keys whose holders have proved that they know them.
        if let Err(error) = finality::verify_possession(&key, &proof) {
            return wrong(format!(
                "member {name}: validatorKey and validatorProof: {error}; ask the operator for its public part again"
            ));
        }
        text::check_address(&self.p2p_address)
            .map_err(|GenesisError(why)| GenesisError(format!("member {name}: {why}")))
    }
}

impl Recovery {
    /// Whoever made the file could otherwise write itself a way to the vault that is easier than the members'.
    fn check(&self, signers: u16, network: Network) -> Result<(), GenesisError> {
        let Self { threshold, delay, .. } = *self;
        if threshold < signers {
            return wrong(format!(
                "federation.recovery: {threshold} recovery keys could take what needs {signers} members, expected a threshold of {signers} or more"
            ));
        }
        if network != Network::Regtest && delay < MIN_RECOVERY_DELAY {
            return wrong(format!(
                "federation.recovery: a delay of {delay} blocks, expected {MIN_RECOVERY_DELAY} or more on {network}"
            ));
        }
        Ok(())
    }
}

impl BlockRules {
    /// The defaults of a local network.
    pub const fn dev() -> Self {
        Self { gas_limit: 200_000_000, interval_ms: 500, heartbeat_ms: 2_000 }
    }

    fn check(&self) -> Result<(), GenesisError> {
        let Self { gas_limit, interval_ms, heartbeat_ms } = *self;
        // Half of a block is the free lane's, and the largest transaction must fit into it.
        let (low, high) = (2 * MAX_TRANSACTION_GAS, 1_000_000_000);
        if !(low..=high).contains(&gas_limit) {
            return wrong(format!("block.gasLimit {gas_limit}, expected {low} to {high}"));
        }
        if interval_ms == 0 || interval_ms > heartbeat_ms {
            return wrong(format!("block: intervalMs {interval_ms}, expected 1 to heartbeatMs ({heartbeat_ms})"));
        }
        Ok(())
    }
}

pub(super) fn fixed<const N: usize>(what: &str, bytes: &[u8]) -> Result<[u8; N], GenesisError> {
    bytes.try_into().map_err(|_| GenesisError(format!("{what} has {} bytes, expected {N}", bytes.len())))
}

fn distinct(what: &str, values: impl Iterator<Item = Vec<u8>>) -> Result<(), GenesisError> {
    let mut seen = BTreeSet::new();
    for (position, value) in values.enumerate() {
        if !seen.insert(value) {
            return wrong(format!("federation.members: {what} of member {} is another member's too", position + 1));
        }
    }
    Ok(())
}
