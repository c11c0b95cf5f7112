//! The shapes of the `peg_*` methods. Amounts are satoshis; heights and numbers are JSON integers; Bitcoin hashes are
//! displayed the usual reversed way, sidechain hashes, keys and bytes are `0x` hex.

use alloy_primitives::{Address, B256, Bytes};
use bitcoin::{BlockHash, Txid};
use serde::{Deserialize, Serialize};

/// `peg_getInfo`: what the bridge is, and where it stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub chain_id: u64,
    pub bitcoin_network: &'static str,
    pub contracts: Contracts,
    pub epoch: u32,
    pub group_key: Option<B256>,
    pub vault_key: Option<B256>,
    pub threshold: u16,
    pub members: Vec<Member>,
    pub reclaim_delay: u16,
    pub min_deposit_sat: u64,
    pub min_withdrawal_sat: u64,
    /// Satoshis per virtual byte.
    pub min_fee_rate: u32,
    pub max_fee_rate: u32,
    pub tiers: Vec<Tier>,
    pub bitcoin_tip: BitcoinTip,
    pub ledger: Ledger,
    pub head: Head,
    pub version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contracts {
    pub light_client: Address,
    pub federation: Address,
    pub signing_board: Address,
    pub bridge: Address,
    pub micro_channel: Address,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// FROST identifier, from 1.
    pub index: u16,
    pub name: String,
    pub account: Address,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    pub up_to_sat: u64,
    pub confirmations: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BitcoinTip {
    pub hash: BlockHash,
    pub height: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    pub vault_sat: u64,
    pub owed_sat: u64,
    pub held_sat: u64,
    pub deficit_sat: u64,
    pub supply_sat: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub number: u64,
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// What a deposit address commits to: the parameter of `peg_registerDeposit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    pub recipient: Address,
    /// X-only.
    pub reclaim_key: B256,
    pub max_fee_sat: u64,
    pub epoch: u32,
}

/// The answer of `peg_registerDeposit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub address: String,
    pub output_key: B256,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    pub cursor: u64,
    #[serde(flatten)]
    pub terms: Terms,
    pub address: String,
    pub output_key: B256,
}

/// A page of `peg_getRegisteredDeposits`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registrations {
    pub deposits: Vec<Registration>,
    /// The cursor to ask for next.
    pub next: u64,
}

/// `peg_getDeposit`: what the ledger knows of an address or outpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositReport {
    pub registered: bool,
    pub address: Option<String>,
    pub deposits: Vec<Deposit>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deposit {
    pub txid: Txid,
    pub vout: u32,
    pub amount_sat: u64,
    pub share_sat: u64,
    /// `sweeping` or `minted`.
    pub status: &'static str,
    pub number: u64,
    pub recipient: Address,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    pub id: u64,
    /// `queued`, `paying`, `paid` or `cancelled`.
    pub status: &'static str,
    pub owner: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    pub share_sat: u64,
    pub number: Option<u64>,
    pub txid: Option<Txid>,
    pub script: Bytes,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultTransaction {
    pub number: u64,
    /// `proposed`, `settled` or `unsettled`.
    pub status: &'static str,
    pub txid: Txid,
    pub fee_sat: u64,
    pub change_sat: u64,
    pub value_sat: u64,
    pub required_confirmations: u32,
    /// By the light client; 0 until it settled, or when its block left the best chain.
    pub confirmations: u32,
    pub block_hash: Option<BlockHash>,
    pub epoch: u32,
    /// Unsigned, without witness.
    pub transaction: Bytes,
    pub inputs: Vec<SpentOutput>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpentOutput {
    pub txid: Txid,
    pub vout: u32,
    pub amount_sat: u64,
    pub output_key: B256,
    pub merkle_root: B256,
    pub epoch: u32,
}

/// `peg_getFinality`: a block and the proof that it is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    pub number: u64,
    pub hash: B256,
    /// RLP.
    pub header: Bytes,
    /// The validators' signatures over `certified`.
    pub certificate: Bytes,
    pub certified: Certified,
    /// RLP headers after the block, up to and with `certified`.
    pub descendants: Vec<Bytes>,
}

/// The block a certificate signs: the asked one, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    pub number: u64,
    pub hash: B256,
}

/// `peg_getBlock`: a whole block for a follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedBlock {
    /// RLP.
    pub block: Bytes,
    /// `null` until a certificate for it, or for a later block, is there.
    pub finality: Option<Finality>,
}
