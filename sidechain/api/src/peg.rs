//! The shapes of the node's `peg_*` JSON-RPC (docs/rpc.md), once, for the node and for its clients.
//!
//! Amounts are satoshis, heights and numbers are JSON integers, Bitcoin hashes are displayed the usual reversed way
//! (as [`bitcoin::Txid`] does), sidechain hashes, keys and bytes are `0x` hex (hex without the prefix is accepted too).
//! Unknown fields are ignored, so that a newer node can say more.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use bitcoin::{BlockHash, OutPoint, Txid};
use contracts::address;
use mainchain::Network;
use mainchain::header::{Height, to_bytes};
use mainchain::proof::InclusionProof;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// `peg_getInfo`: what the bridge is, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub chain_id: u64,
    /// Hash of all that the operators agreed on: which network this is, whatever its chain id.
    #[schemars(with = "schema::Hash")]
    pub network_id: B256,
    #[schemars(with = "schema::BitcoinNetwork")]
    pub bitcoin_network: Network,
    pub contracts: Contracts,
    /// The federation's current key epoch, from 1.
    pub epoch: u32,
    /// X-only group key of the epoch; none until every member confirmed it.
    #[schemars(with = "Option<schema::Hash>")]
    pub group_key: Option<B256>,
    /// X-only taproot output key of the vault.
    #[schemars(with = "Option<schema::Hash>")]
    pub vault_key: Option<B256>,
    pub threshold: u16,
    pub members: Vec<Member>,
    /// The rules of the peg.
    pub parameters: Parameters,
    /// The best block that the contract BitcoinLightClient knows.
    pub bitcoin_tip: BitcoinTip,
    pub books: Books,
    pub head: Head,
    pub version: String,
}

/// Where the peg's contracts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contracts {
    #[schemars(with = "schema::Address")]
    pub light_client: Address,
    #[schemars(with = "schema::Address")]
    pub federation: Address,
    #[schemars(with = "schema::Address")]
    pub signing_board: Address,
    #[schemars(with = "schema::Address")]
    pub bridge: Address,
    #[schemars(with = "schema::Address")]
    pub vault: Address,
    #[schemars(with = "schema::Address")]
    pub deposits: Address,
    #[schemars(with = "schema::Address")]
    pub micro_channel: Address,
    #[schemars(with = "schema::Address")]
    pub wrapped_btc: Address,
}

impl Contracts {
    /// Where genesis puts them.
    pub const GENESIS: Self = Self {
        light_client: address::LIGHT_CLIENT,
        federation: address::FEDERATION,
        signing_board: address::SIGNING_BOARD,
        bridge: address::BRIDGE,
        vault: address::VAULT,
        deposits: address::DEPOSITS,
        micro_channel: address::MICRO_CHANNEL,
        wrapped_btc: address::WRAPPED_BTC,
    };
}

/// A member of the federation; its index is its FROST identifier, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub index: u16,
    pub name: String,
    #[schemars(with = "schema::Address")]
    pub account: Address,
}

/// The rules of the peg, which never change (docs/ledger.md). Rates are in satoshis per 1,000 virtual bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// Blocks after which a depositor can take an unswept deposit back.
    pub reclaim_delay: u16,
    /// Blocks that no reorganisation takes back: ends of ties and losses wait for it.
    pub final_blocks: u32,
    /// Blocks after which a theft that is shown stops first ties.
    pub alarm_blocks: u32,
    pub min_deposit_sat: u64,
    pub min_withdrawal_sat: u64,
    /// Of each deposit, for the reserve.
    pub peg_in_fee_sat: u64,
    /// Of each withdrawal, for the reserve.
    pub peg_out_fee_sat: u64,
    /// The rate that a new withdrawal's maximum must allow.
    pub floor_rate: u64,
    /// Bounds of a vault transaction's rate.
    pub min_rate: u64,
    pub max_rate: u64,
    /// From this much missing on, nothing is tied for the first time.
    pub stop_sat: u64,
    /// Change below it is not made.
    pub useful_sat: u64,
    /// The most that the peg holds.
    pub cap_sat: u64,
    /// First ties: at most this at once, and as much again in each window.
    pub window_sat: u64,
    pub window_seconds: u32,
    /// Seconds after which anyone may give a queued withdrawal back.
    pub refund_after: u32,
    /// Seconds that a pause lasts, and seconds after its end before the next one.
    pub pause_seconds: u32,
    pub pause_gap_seconds: u32,
    pub max_inputs: u16,
    pub max_payouts: u16,
    /// Ascending; the last has `final_blocks` and no upper end (`u64::MAX`).
    pub tiers: Vec<Tier>,
    /// Each of them may pause.
    #[schemars(with = "Vec<schema::Address>")]
    pub guardians: Vec<Address>,
}

/// Coins for deposits whose funding has `confirmations`, and not yet those of the next tier: at most so many satoshis within as
/// much work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    pub confirmations: u32,
    pub up_to_sat: u64,
}

/// A block of the main chain's best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BitcoinTip {
    #[schemars(with = "schema::BitcoinHash")]
    pub hash: BlockHash,
    pub height: Height,
    /// In its header, as its miner states it, in seconds since 1970.
    #[serde(default)]
    pub time: u64,
    /// From then to the timestamp of the sidechain's head: how far the light client may be behind; 0 when the miner's clock is ahead.
    #[serde(default)]
    pub lag_seconds: u64,
}

/// The peg's books. Always: supply + unclaimed + owed + reserve + unminted = vault + unswept + lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Books {
    /// In live vault outputs.
    pub vault_sat: u64,
    /// To withdrawals that are queued or tied.
    pub owed_sat: u64,
    /// Brought by swept deposits that are not minted yet.
    pub unminted_sat: u64,
    /// Minted for deposits that nothing settled sweeps at the moment, less what was covered.
    pub unswept_sat: u64,
    /// Minted for what is gone, less what was covered or recovered.
    pub lost_sat: u64,
    /// For what fees do not pay; negative while overdrawn.
    pub reserve_sat: i64,
    /// Coins that are somebody's and still in the Bridge.
    pub unclaimed_sat: u64,
    /// Cover in force for what is unswept.
    pub covered_sat: u64,
    /// Coins outside the Bridge.
    pub supply_sat: u64,
}

/// A finalized sidechain block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub number: u64,
    #[schemars(with = "schema::Hash")]
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// `peg_registerDeposit`'s parameter: what a deposit address commits to. The one shape that refuses unknown fields: money is
/// sent to the address, so a misspelt field must not be passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    #[schemars(with = "schema::Address")]
    pub recipient: Address,
    /// Who can fetch the coins should the recipient's code refuse them.
    #[schemars(with = "schema::Address")]
    pub claimant: Address,
    /// X-only key that can take the deposit back after the reclaim delay.
    #[schemars(with = "schema::Hash")]
    pub reclaim_key: B256,
    /// The most that this deposit pays for being swept.
    pub max_fee_sat: u64,
    /// Hash of data for the recipient; zero when there is none.
    #[schemars(with = "schema::Hash")]
    pub data_hash: B256,
    pub epoch: u32,
}

/// `peg_registerDeposit`'s second parameter: a payment to the address, in a block of Bitcoin. Merkle siblings, from the leaf
/// upwards, are in internal byte order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentProof {
    /// The transaction without witness.
    #[schemars(with = "schema::Bytes")]
    pub transaction: Bytes,
    /// Its output that pays the address.
    pub vout: u32,
    /// The 80 bytes of the block's header.
    #[schemars(with = "schema::Bytes")]
    pub header: Bytes,
    /// Position of the transaction in the block.
    pub index: u32,
    #[schemars(with = "Vec<schema::Hash>")]
    pub siblings: Vec<B256>,
    /// Mostly empty: the txid of the block's first transaction and its siblings, where the depth of the tree has to be shown.
    #[serde(default)]
    #[schemars(with = "Vec<schema::Hash>")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub address: String,
    #[schemars(with = "schema::Hash")]
    pub output_key: B256,
}

/// A registration as the node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Its place in the node's list.
    pub cursor: u64,
    #[serde(flatten)]
    pub terms: Terms,
    pub address: String,
    #[schemars(with = "schema::Hash")]
    pub output_key: B256,
    /// A payment to it that was proven, or is in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Outpoint>")]
    pub paid: Option<OutPoint>,
}

/// `peg_getRegisteredDeposits`: a page of registrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registrations {
    pub deposits: Vec<Registration>,
    /// The cursor to ask for next.
    pub next: u64,
}

/// `peg_getDeposit`: what the ledger knows of an address or outpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepositReport {
    /// Whether the node has a registration of the address; none when it does not know which address an outpoint paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// Of an outpoint as far as the node knows it, by the event of its proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub deposits: Vec<Deposit>,
    /// Where the next page begins; none when these are the last.
    #[serde(default)]
    pub next: Option<DepositPlace>,
    /// Of an address: the node knows only deposits that were proven after this block, because it copied the state of it.
    #[serde(default)]
    pub since_block: u64,
}

/// `peg_getDeposits`'s first parameter: whose deposits; everybody's when it names nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DepositsWanted {
    /// Who gets the coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub recipient: Option<Address>,
    /// Who may claim them should the recipient's code refuse them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub claimant: Option<Address>,
}

/// `peg_getDeposits`: the newest, or the newest before a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepositList {
    /// By their last proof, the newest first.
    pub deposits: Vec<ListedDeposit>,
    /// The place before which the others are; none when these are the last.
    pub next: Option<DepositPlace>,
    /// The node knows only deposits that were proven after this block, because it copied the state of it.
    pub since_block: u64,
}

/// A deposit with the address that it paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedDeposit {
    pub address: String,
    #[serde(flatten)]
    pub deposit: Deposit,
}

/// A place among the chain's logs from which on deposits are answered; the default is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DepositPlace {
    pub block: u64,
    pub log_index: u64,
}

/// A deposit in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deposit {
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    pub vout: u32,
    pub status: DepositStatus,
    #[schemars(with = "schema::Address")]
    pub recipient: Address,
    #[schemars(with = "schema::Address")]
    pub claimant: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    /// Coins that were made for it; `None` until then. They stay made whatever becomes of the deposit.
    pub minted_sat: Option<u64>,
    /// Whether it was in a bound vault transaction: what it is charged is fixed by its maximum from then on.
    pub bound: bool,
    /// The settled vault transaction that sweeps it.
    pub swept_by: Option<u32>,
    /// The block that holds its funding: height, and the first 8 bytes of the hash in internal byte order.
    pub height: Height,
    #[schemars(with = "schema::BlockHead")]
    pub block_head: FixedBytes<8>,
    /// Of that block, by the light client; 0 when it left the best chain.
    pub confirmations: u32,
    pub epoch: u32,
    /// Whether it was shown that its block left the best chain: until it is proven again it takes no place in the cap.
    pub has_left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DepositStatus {
    /// Shown to be in the best chain; nothing settled sweeps it.
    Proven,
    /// A settled vault transaction sweeps it; not deep enough for its coins.
    Swept,
    Minted,
    /// It can never be swept any more.
    Gone,
}

impl DepositStatus {
    /// By what the ledger has of it: whether it can never be swept any more, coins were made for it, a settled vault transaction sweeps it.
    #[must_use]
    pub const fn of(is_gone: bool, is_minted: bool, is_swept: bool) -> Self {
        match (is_gone, is_minted, is_swept) {
            (true, ..) => Self::Gone,
            (_, true, _) => Self::Minted,
            (_, _, true) => Self::Swept,
            _ => Self::Proven,
        }
    }
}

/// `peg_getWithdrawal`: a withdrawal in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    pub id: u64,
    pub status: WithdrawalStatus,
    #[schemars(with = "schema::Address")]
    pub owner: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    /// When it was asked for, in seconds since 1970.
    pub asked_at: u64,
    /// The vault output it is tied to.
    pub tie: Option<u32>,
    /// Bound vault transactions that pay it, the newest last; at most one of them confirms.
    pub versions: Vec<Version>,
    /// The one that settled.
    pub paid_by: Option<u32>,
    /// The script it is paid to.
    #[schemars(with = "schema::Bytes")]
    pub script: Bytes,
}

/// `peg_getWithdrawals`'s first parameter: whose withdrawals; everybody's when it names nothing. At most one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawalsWanted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub owner: Option<Address>,
    /// The output script that they pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Bytes>")]
    pub script: Option<Bytes>,
    /// Those that are queued or tied.
    #[serde(default)]
    pub open: bool,
}

/// `peg_getWithdrawals`: the newest, or the newest below an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalList {
    /// The newest first.
    pub withdrawals: Vec<Withdrawal>,
    /// The id below which the others are; none when these are the last.
    pub next: Option<u64>,
    /// Of an owner or a script: the node knows only those that were asked for after this block, because it copied the state of it.
    pub since_block: u64,
}

/// A bound vault transaction that pays a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub number: u32,
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    pub status: VaultStatus,
    /// What the withdrawal pays if this one confirms.
    pub charge_sat: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithdrawalStatus {
    Queued,
    Tied,
    Paid,
    Cancelled,
    Refunded,
}

/// `peg_getVaultTransaction`: a vault transaction in the ledger, and its output 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultTransaction {
    pub number: u32,
    pub status: VaultStatus,
    pub output: OutputStatus,
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    pub fee_sat: u64,
    /// Output 0, back to the vault; 0: there is no such output.
    pub change_sat: u64,
    /// The settled vault transaction that spends output 0.
    pub spent_by: Option<u32>,
    /// The block it settled in: height, and the first 8 bytes of the hash in internal byte order.
    pub height: Option<Height>,
    #[schemars(with = "Option<schema::BlockHead>")]
    pub block_head: Option<FixedBytes<8>>,
    /// Of that block, by the light client; 0 until it settled, or when that block left the best chain.
    pub confirmations: u32,
    pub epoch: u32,
    pub script_version: u8,
    /// Whether withdrawals may be tied to output 0 for the first time: another version of whatever spends it has an end.
    pub rooted: bool,
    /// The newest others that spend one of its inputs, the newest last; at most one of them all confirms.
    #[serde(default)]
    pub versions: Vec<VaultVersion>,
    /// What it was made of, without what was skipped: `settle`, `unsettle`, `mint` and `voidOutput` want exactly this.
    pub content: Content,
    /// Of its inputs, in their order: deposits, or vault outputs.
    pub amounts_sat: Vec<u64>,
    /// Unsigned, without witness.
    #[schemars(with = "schema::Bytes")]
    pub transaction: Bytes,
}

/// Another vault transaction over some of the same inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultVersion {
    pub number: u32,
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    pub status: VaultStatus,
}

/// `peg_getVaultTransactions`: the newest, or the newest below a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultTransactionList {
    /// The newest first.
    pub vault_transactions: Vec<VaultTransaction>,
    /// The number below which the others are; none when these are the last.
    pub next: Option<u32>,
    /// The node knows only those that were bound after this block, because it copied the state of it.
    pub since_block: u64,
}

/// A sweep has deposits; a payout has vault outputs and withdrawals; a consolidation has vault outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Of the keys of its inputs.
    pub epoch: u32,
    /// Satoshis per 1,000 virtual bytes.
    pub rate: u64,
    /// The most that the reserve adds.
    pub reserve_sat: u64,
    #[schemars(with = "Vec<schema::Outpoint>")]
    pub deposits: Vec<OutPoint>,
    /// Vault outputs, by number; ties are to the first.
    pub outputs: Vec<u32>,
    pub withdrawals: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VaultStatus {
    /// Its bytes are fixed; it counts as signed for ever.
    Bound,
    Settled,
    /// It can never confirm.
    Void,
}

/// Where a vault output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputStatus {
    /// There is no such output.
    None,
    /// Its transaction has not settled.
    Pending,
    /// It can be spent.
    Live,
    Spent,
    /// Something that is no vault transaction spent it for good.
    Gone,
    /// Its transaction can never confirm.
    Void,
}

/// `peg_getVault`: what the vault has to spend, and what waits for Bitcoin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vault {
    /// Live vault outputs, by number.
    pub outputs: Vec<LiveOutput>,
    /// Bound vault transactions that are not settled, and may be; the newest last.
    pub pending: Vec<Pending>,
    /// The least number of a vault output that was looked at: of older ones nothing is said.
    pub looked_from: u32,
}

/// A vault output that can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveOutput {
    pub number: u32,
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    pub amount_sat: u64,
    pub epoch: u32,
    /// Whether withdrawals may be tied to it for the first time.
    pub rooted: bool,
}

/// A bound vault transaction that waits for Bitcoin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    pub number: u32,
    #[schemars(with = "schema::BitcoinHash")]
    pub txid: Txid,
    /// When it was bound, in seconds since 1970.
    pub bound_at: u64,
    /// Output 0, back to the vault; 0: there is no such output.
    pub change_sat: u64,
    pub content: Content,
}

/// `peg_getLimits`: what bounds the peg now, and what stops payouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    pub cap_sat: u64,
    /// What the peg holds, and what bound sweeps will bring.
    pub cap_used_sat: u64,
    pub window_sat: u64,
    pub window_left_sat: u64,
    pub window_seconds: u32,
    /// In seconds since 1970; in the past: not paused.
    pub paused_until: u64,
    /// From when on a guardian may pause, in seconds since 1970.
    pub pause_allowed_from: u64,
    /// Number of the last pause, and members that voted to lift it.
    pub pause_number: u32,
    pub lift_votes: u16,
    /// Whether a theft that was shown stops first ties.
    pub alarmed: bool,
    /// Lost, unswept and overdrawn; from `stop_sat` on it stops first ties.
    pub missing_sat: u64,
    pub stop_sat: u64,
    /// Whether anything stops first ties now.
    pub stopped: bool,
    pub max_inputs: u16,
    pub max_payouts: u16,
    /// By tier: minted less deep than the next tier's confirmations, in the last two windows.
    pub tier_used_sat: Vec<u64>,
}

/// `peg_quote`: what a deposit and a withdrawal pay at a rate, exactly, whoever else is in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// Satoshis per 1,000 virtual bytes: the one that was asked for, or that of the last bound vault transaction.
    pub rate: u64,
    pub peg_in: PegInQuote,
    pub peg_out: PegOutQuote,
}

/// Of any deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PegInQuote {
    pub charge_sat: u64,
    pub min_amount_sat: u64,
}

/// Of a withdrawal to a script of the length that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PegOutQuote {
    pub charge_sat: u64,
    /// The least maximum that the ledger takes.
    pub floor_fee_sat: u64,
    pub min_amount_sat: u64,
}

/// `peg_subscribe` to a deposit: where it stands after a block that changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepositProgress {
    pub block: Head,
    /// Whether this is the last message: each of the deposits was minted, or is gone.
    pub ended: bool,
    /// The deposit address, where it is known.
    pub address: Option<String>,
    /// In the order of their last proofs; of an address the newest 16.
    pub deposits: Vec<Deposit>,
}

/// `peg_subscribe` to a withdrawal: where it stands after a block that changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalProgress {
    pub block: Head,
    /// Whether this is the last message: it was given back, or what paid it is final on Bitcoin.
    pub ended: bool,
    /// None: there is none of this number yet.
    pub withdrawal: Option<Withdrawal>,
    /// Of the block in which what paid it settled; 0 until then, and when that block left the best chain.
    pub confirmations: u32,
}

/// `peg_getFinality`: a block with the proof that it is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    pub number: u64,
    #[schemars(with = "schema::Hash")]
    pub hash: B256,
    /// RLP.
    #[schemars(with = "schema::Bytes")]
    pub header: Bytes,
    /// The validators' signatures over `certified`.
    #[schemars(with = "schema::Bytes")]
    pub certificate: Bytes,
    pub certified: Certified,
    /// RLP headers after the block, up to and with `certified`.
    #[schemars(with = "Vec<schema::Bytes>")]
    pub descendants: Vec<Bytes>,
}

/// `peg_getBlock`: a whole block for a follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FollowedBlock {
    /// RLP.
    #[schemars(with = "schema::Bytes")]
    pub block: Bytes,
    /// `null` until a certificate for it, or for a later block, is there.
    pub finality: Option<Finality>,
}

/// The block a certificate signs: the asked one, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certified {
    pub number: u64,
    #[schemars(with = "schema::Hash")]
    pub hash: B256,
}

#[cfg(test)]
mod tests;
