//! The shapes of the node's `peg_*` JSON-RPC (docs/rpc.md), once, for the node and for its clients.
//!
//! Amounts are satoshis, heights and numbers are JSON integers, Bitcoin hashes are displayed the usual reversed way
//! (as [`bitcoin::Txid`] does), sidechain hashes, keys and bytes are `0x` hex (hex without the prefix is accepted too).
//! Unknown fields are ignored, so that a newer node can say more.

use alloy_primitives::{Address, B256, Bytes};
use bitcoin::{BlockHash, OutPoint, Txid};
use contracts::address;
use mainchain::Network;
use mainchain::header::{Height, to_bytes};
use mainchain::proof::InclusionProof;
use serde::{Deserialize, Serialize};

/// `peg_getInfo`: what the bridge is, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub chain_id: u64,
    /// Hash of all that the operators agreed on: which network this is, whatever its chain id.
    pub network_id: B256,
    pub bitcoin_network: Network,
    pub contracts: Contracts,
    /// The federation's current key epoch, from 1.
    pub epoch: u32,
    /// X-only group key of the epoch; none until every member confirmed it.
    pub group_key: Option<B256>,
    /// X-only taproot output key of the vault.
    pub vault_key: Option<B256>,
    pub threshold: u16,
    pub members: Vec<Member>,
    /// Blocks after which a depositor can take an unswept deposit back.
    pub reclaim_delay: u16,
    pub min_deposit_sat: u64,
    pub min_withdrawal_sat: u64,
    /// Satoshis per virtual byte.
    pub min_fee_rate: u32,
    /// Satoshis per virtual byte.
    pub max_fee_rate: u32,
    pub tiers: Vec<Tier>,
    /// The best block that the contract BitcoinLightClient knows.
    pub bitcoin_tip: BitcoinTip,
    pub ledger: Ledger,
    pub head: Head,
    pub version: String,
}

/// Where the peg's contracts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contracts {
    pub light_client: Address,
    pub federation: Address,
    pub signing_board: Address,
    pub bridge: Address,
    pub micro_channel: Address,
}

impl Contracts {
    /// Where genesis puts them.
    pub const GENESIS: Self = Self {
        light_client: address::LIGHT_CLIENT,
        federation: address::FEDERATION,
        signing_board: address::SIGNING_BOARD,
        bridge: address::BRIDGE,
        micro_channel: address::MICRO_CHANNEL,
    };
}

/// A member of the federation; its index is its FROST identifier, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub index: u16,
    pub name: String,
    pub account: Address,
}

/// Transactions that move up to `up_to_sat` need `confirmations` to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    pub up_to_sat: u64,
    pub confirmations: u32,
}

/// A block of the main chain's best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BitcoinTip {
    pub hash: BlockHash,
    pub height: Height,
}

/// The bridge's ledger. Invariant: supply + owed + held <= vault + deficit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    pub vault_sat: u64,
    pub owed_sat: u64,
    pub held_sat: u64,
    pub deficit_sat: u64,
    pub supply_sat: u64,
}

/// A finalized sidechain block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub number: u64,
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// `peg_registerDeposit`'s parameter: what a deposit address commits to. The one shape that refuses unknown fields: money is
/// sent to the address, so a misspelt field must not be passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    pub recipient: Address,
    /// X-only key that can take the deposit back after the reclaim delay.
    pub reclaim_key: B256,
    /// Most that the sweep may cost this deposit.
    pub max_fee_sat: u64,
    pub epoch: u32,
}

/// `peg_registerDeposit`'s second parameter: a payment to the address, in a block of Bitcoin. Merkle siblings, from the leaf
/// upwards, are in internal byte order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentProof {
    /// The transaction without witness.
    pub transaction: Bytes,
    /// Its output that pays the address.
    pub vout: u32,
    /// The 80 bytes of the block's header.
    pub header: Bytes,
    /// Position of the transaction in the block.
    pub index: u32,
    pub siblings: Vec<B256>,
    /// Mostly empty: the txid of the block's first transaction and its siblings, where the depth of the tree has to be shown.
    #[serde(default)]
    pub leftmost: Vec<B256>,
}

impl PaymentProof {
    /// Of output `vout` of a transaction without witness.
    #[must_use]
    pub fn new(transaction: Vec<u8>, vout: u32, proof: InclusionProof) -> Self {
        let branch = |hashes: Vec<[u8; 32]>| hashes.into_iter().map(B256::from).collect();
        Self {
            transaction: transaction.into(),
            vout,
            header: to_bytes(&proof.header).into(),
            index: proof.index,
            siblings: branch(proof.siblings),
            leftmost: branch(proof.leftmost),
        }
    }
}

/// `peg_registerDeposit`'s answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub address: String,
    pub output_key: B256,
}

/// A registration as the node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Its place in the node's list.
    pub cursor: u64,
    #[serde(flatten)]
    pub terms: Terms,
    pub address: String,
    pub output_key: B256,
    /// A payment to it that was proven, or is in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<OutPoint>,
}

/// `peg_getRegisteredDeposits`: a page of registrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registrations {
    pub deposits: Vec<Registration>,
    /// The cursor to ask for next.
    pub next: u64,
}

/// `peg_getDeposit`: what the ledger knows of an address or outpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositReport {
    pub registered: bool,
    #[serde(default)]
    pub address: Option<String>,
    pub deposits: Vec<Deposit>,
    /// Where the next page begins; none when these are the last.
    #[serde(default)]
    pub next: Option<DepositPlace>,
    /// Of an address: the node knows only deposits whose sweeps were proposed after this block, because it copied the state of it.
    #[serde(default)]
    pub since_block: u64,
}

/// A place among the chain's logs from which on deposits are answered; the default is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DepositPlace {
    pub block: u64,
    pub log_index: u64,
}

/// A deposit in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deposit {
    pub txid: Txid,
    pub vout: u32,
    pub amount_sat: u64,
    /// Its part of the sweep's cost.
    pub share_sat: u64,
    pub status: DepositStatus,
    /// The vault transaction that sweeps it.
    pub number: u64,
    pub recipient: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DepositStatus {
    Sweeping,
    Minted,
}

/// `peg_getWithdrawal`: a withdrawal in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    pub id: u64,
    pub status: WithdrawalStatus,
    pub owner: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    pub share_sat: u64,
    /// The vault transaction that pays it.
    pub number: Option<u64>,
    pub txid: Option<Txid>,
    /// The script it is paid to.
    pub script: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithdrawalStatus {
    Queued,
    Paying,
    Paid,
    Cancelled,
}

/// `peg_getVaultTransaction`: a vault transaction in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultTransaction {
    pub number: u64,
    pub status: VaultStatus,
    pub txid: Txid,
    pub fee_sat: u64,
    /// Output 0, back to the vault.
    pub change_sat: u64,
    /// Deposits and withdrawals: decides the depth.
    pub value_sat: u64,
    pub required_confirmations: u32,
    /// Confirmations of the block it settled in, by the light client; 0 until it settled, or when that block left the best chain.
    pub confirmations: u32,
    /// The block it settled in.
    pub block_hash: Option<BlockHash>,
    pub epoch: u32,
    /// Unsigned, without witness.
    pub transaction: Bytes,
    pub inputs: Vec<SpentOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultStatus {
    Proposed,
    Settled,
    Unsettled,
}

/// An output a vault transaction spends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpentOutput {
    pub txid: Txid,
    pub vout: u32,
    pub amount_sat: u64,
    /// X-only taproot output key.
    pub output_key: B256,
    /// Root of its taproot tree: the hash of its one leaf.
    pub merkle_root: B256,
    pub epoch: u32,
}

/// `peg_getFinality`: a block with the proof that it is final.
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

/// `peg_getBlock`: a whole block for a follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedBlock {
    /// RLP.
    pub block: Bytes,
    /// `null` until a certificate for it, or for a later block, is there.
    pub finality: Option<Finality>,
}

/// The block a certificate signs: the asked one, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certified {
    pub number: u64,
    pub hash: B256,
}

#[cfg(test)]
mod tests;
