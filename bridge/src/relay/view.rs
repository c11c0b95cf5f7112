//! The ledger as decisions see it: what is open in it after a final block, with the facts that the logs alone tell.
//!
//! Maps are shared with whoever decides, so that a round in which nothing changes copies nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, FixedBytes, Log};
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Transaction, Txid, XOnlyPublicKey};
use mainchain::header::Height;

use super::deposit_tracker::Position;
use crate::board::Event;
use crate::peg::{self, Content, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use crate::signing::Enough;

/// The ledger after a final block.
#[derive(Clone, Debug)]
pub struct LedgerView {
    /// The last block that was read.
    pub head: Head,
    /// What the bridge is, and where it stands, after that block.
    pub info: peg::Info,
    /// What bounds it; none before the first answer.
    pub limits: Option<peg::Limits>,
    /// Bound vault transactions that are not over, by number.
    pub entries: Arc<BTreeMap<u32, Entry>>,
    /// Live vault outputs, by number.
    pub outputs: Arc<BTreeMap<u32, Output>>,
    /// Deposits that are not over.
    pub deposits: Arc<BTreeMap<OutPoint, Deposit>>,
    /// Payments of which the ledger has said that it does not know them.
    pub strangers: Arc<BTreeSet<OutPoint>>,
    /// Withdrawals that are queued or tied, by id.
    pub withdrawals: Arc<BTreeMap<u64, Withdrawal>>,
    /// Open proposals, by number.
    pub proposals: Arc<BTreeMap<u64, Proposal>>,
    /// The light client's best chain, where something of the above is in it.
    pub best: Arc<BTreeMap<Height, BlockHead>>,
    /// Group keys in force, by epoch.
    pub group_keys: BTreeMap<u32, XOnlyPublicKey>,
    /// Root of a vault output's script tree.
    pub recovery_leaf: [u8; 32],
    /// Vault transactions with their signatures, as far as they are known here.
    pub signed: Arc<BTreeMap<u32, Arc<Transaction>>>,
}

/// The first 8 bytes of a block's hash, in internal byte order.
pub type BlockHead = FixedBytes<8>;

/// A final block of the sidechain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub number: u64,
    /// Unix seconds.
    pub time_s: u64,
}

/// A log and the block it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLog {
    pub block: Head,
    pub log: Log,
}

/// A block of Bitcoin, as the ledger keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub height: Height,
    pub head: BlockHead,
}

/// A bound vault transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub txid: Txid,
    /// What it was made of, without what was skipped.
    pub content: Content,
    /// Of its inputs, in their order.
    pub amounts_sat: Vec<u64>,
    /// Output 0, back to the vault; 0: there is none.
    pub change_sat: u64,
    /// As the ledger wrote it: unsigned, without witness.
    pub transaction: Arc<[u8]>,
    /// The same, read.
    pub unsigned: Arc<Transaction>,
    pub bound_in: Head,
    pub proposal: u64,
    /// What was proposed; none when that was not seen, as it cannot be.
    pub proposed: Option<Proposed>,
    pub status: VaultStatus,
    pub output: OutputStatus,
    /// The settled vault transaction that spends output 0.
    pub spent_by: Option<u32>,
    pub settled_in: Option<Block>,
    /// The ledger says that no reorganisation takes its block.
    pub is_final: bool,
    /// Epoch of output 0.
    pub epoch: u32,
    /// Whether withdrawals may be tied to output 0 for the first time, should it be live.
    pub rooted: bool,
}

/// A live vault output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub txid: Txid,
    pub amount_sat: u64,
    pub epoch: u32,
    pub rooted: bool,
    /// Its transaction's block.
    pub block: Block,
}

/// A deposit in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub status: DepositStatus,
    pub recipient: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    pub minted: bool,
    /// Coins that were made for it.
    pub minted_sat: u64,
    /// Whether it was in a bound sweep before.
    pub bound: bool,
    /// The settled vault transaction that sweeps it.
    pub swept_by: Option<u32>,
    /// The block it was shown in last.
    pub block: Block,
    /// The hash of that block, where it is known from a log.
    pub block_hash: Option<BlockHash>,
    pub epoch: u32,
    /// What its output pays, and the root of the script tree: what it takes to sign for it.
    pub key: DepositKey,
}

/// The taproot output of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositKey {
    pub output_key: XOnlyPublicKey,
    pub leaf_hash: [u8; 32],
}

/// A withdrawal that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Queued or tied.
    pub status: WithdrawalStatus,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    /// Unix seconds.
    pub asked_at: u64,
    /// The vault output it is tied to; none while it is queued.
    pub tie: Option<u32>,
    pub script: ScriptBuf,
}

/// A member's open proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub member: u16,
    /// Of the member's places, from 0.
    pub place: u8,
    pub content_hash: B256,
    pub content: Content,
    pub opened_in: Head,
    /// Members that approved, and when the last did.
    pub approvals: BTreeSet<u16>,
    pub approved_at_s: u64,
    /// Whether they are enough to bind it.
    pub enough: Enough,
}

/// What a bound vault transaction was proposed as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    pub content_hash: B256,
    /// Inputs that it named; each approval has commitments for as many.
    pub inputs: usize,
    /// The posts that approved it, in order.
    pub approvals: Arc<[Event]>,
}

impl LedgerView {
    /// The light client's best block.
    #[must_use]
    pub fn light(&self) -> Position {
        Position { height: self.info.bitcoin_tip.height, hash: self.info.bitcoin_tip.hash }
    }

    /// Whether the key of the current epoch is in force.
    #[must_use]
    pub fn key_is_active(&self) -> bool {
        self.info.group_key.is_some_and(|key| key != B256::ZERO)
    }

    #[must_use]
    pub fn members(&self) -> u16 {
        u16::try_from(self.info.members.len()).unwrap_or(u16::MAX)
    }

    /// Confirmations of a block by the light client; none while that is being asked for. Zero: it left the best chain.
    #[must_use]
    pub fn confirmations(&self, block: Block) -> Option<u32> {
        let tip = self.info.bitcoin_tip.height;
        if block.height > tip {
            return Some(0);
        }
        let head = self.best.get(&block.height)?;
        Some(if *head == block.head { tip + 1 - block.height } else { 0 })
    }

    /// Confirmations of the block that a vault transaction settled in; none when it is not settled, or while that is being asked for.
    #[must_use]
    pub fn settled_confirmations(&self, entry: &Entry) -> Option<u32> {
        if entry.status != VaultStatus::Settled { None } else { self.confirmations(entry.settled_in?) }
    }

    /// Whether nothing else settled spends what a bound vault transaction spends, so that it may confirm.
    #[must_use]
    pub fn may_confirm(&self, entry: &Entry) -> bool {
        let is_free = |output: &u32| {
            let parent = self.entries.get(output);
            self.outputs.contains_key(output) || parent.is_some_and(|parent| parent.output == OutputStatus::Pending)
        };
        let is_unswept = |outpoint: &OutPoint| self.deposits.get(outpoint).is_none_or(Deposit::is_sweepable);
        entry.status == VaultStatus::Bound
            && entry.content.outputs.iter().all(is_free)
            && entry.content.deposits.iter().all(is_unswept)
    }

    /// Whether first ties are stopped; also while that is not known.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.limits.as_ref().is_none_or(|limits| limits.stopped)
    }

    /// The vault outputs, or deposits, that a vault transaction spends.
    #[must_use]
    pub fn outpoint(&self, output: u32) -> Option<OutPoint> {
        let txid = self.outputs.get(&output).map(|output| output.txid);
        let txid = txid.or_else(|| self.entries.get(&output).map(|entry| entry.txid))?;
        Some(OutPoint { txid, vout: 0 })
    }
}

impl Entry {
    /// What it spends on Bitcoin.
    pub fn outpoints(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.unsigned.input.iter().map(|input| input.previous_output)
    }

    #[must_use]
    pub fn is_sweep(&self) -> bool {
        !self.content.deposits.is_empty()
    }
}

impl Deposit {
    /// Whether nothing settled sweeps it, and something can.
    #[must_use]
    pub fn is_sweepable(&self) -> bool {
        self.swept_by.is_none() && self.status != DepositStatus::Gone
    }
}
