//! What a log of the peg's contracts says, in the relayer's terms.

use alloy_primitives::{B256, Log, U256};
use alloy_sol_types::SolEvent;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Transaction, Txid, XOnlyPublicKey, consensus};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD, VAULT};
use contracts::{BitcoinLightClient, Bridge, Deposits, Federation, SigningBoard, Vault};
use mainchain::header::Height;

use super::view::{Block, BlockHead, BlockLog, Deposit, DepositKey, Entry, Head, Proposal, Withdrawal};
use crate::peg::{Content, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use crate::policy::proven;
use crate::signing::Enough;

/// A change of the ledger, of the board, or of the light client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Post {
        session: B256,
        member: u16,
        kind: u8,
        payload: Vec<u8>,
    },
    KeyConfirmed {
        epoch: u32,
        member: u16,
        key: B256,
    },
    Proposed(u64, Box<Proposal>),
    Approved {
        proposal: u64,
        member: u16,
    },
    Bound(u32, Box<Entry>),
    /// The state of a vault transaction, and of what it spends, is another.
    Vault(u32),
    /// For the first time, or in another block than before.
    Proven(OutPoint, Box<Deposit>),
    Minted {
        outpoint: OutPoint,
        minted_sat: u64,
    },
    DepositGone(OutPoint),
    Queued(u64, Box<Withdrawal>),
    /// The state of a withdrawal is another.
    Withdrawal(u64),
    WithdrawalClosed(u64),
    /// The light client's best chain is another above this height.
    Reorganised {
        fork: Height,
    },
}

/// What the ledger does not write: a fault of the contracts, or the node's.
#[derive(Debug, thiserror::Error)]
pub enum OddLog {
    #[error("the ledger's vault transaction {number} is not one: {reason}; it is not signed")]
    NotATransaction { number: u32, reason: String },
    #[error("the content of proposal {number} is not the one of its hash; it is not approved")]
    OtherContent { number: u64 },
}

/// What a log says; none when it is about nothing that a relayer does.
///
/// # Errors
///
/// A bound vault transaction that is no transaction, or a proposal of another content than it says.
pub fn read(log: &BlockLog) -> Result<Option<Change>, OddLog> {
    Ok(match log.log.address {
        SIGNING_BOARD => post(&log.log),
        FEDERATION => confirmation(&log.log),
        VAULT => return vault(log),
        DEPOSITS => deposit(&log.log),
        BRIDGE => withdrawal(log),
        LIGHT_CLIENT => decode::<BitcoinLightClient::Reorganised>(&log.log)
            .map(|reorganised| Change::Reorganised { fork: reorganised.forkHeight }),
        _ => None,
    })
}

fn decode<E: SolEvent>(log: &Log) -> Option<E> {
    (log.topics().first() == Some(&E::SIGNATURE_HASH)).then(|| E::decode_log(log).ok())?.map(|log| log.data)
}

fn post(log: &Log) -> Option<Change> {
    let SigningBoard::Posted { session, member, kind, payload } = decode(log)?;
    Some(Change::Post { session, member, kind, payload: payload.to_vec() })
}

fn confirmation(log: &Log) -> Option<Change> {
    let Federation::KeyConfirmed { epoch, member, groupKey: key } = decode(log)?;
    Some(Change::KeyConfirmed { epoch, member, key })
}

fn vault(log: &BlockLog) -> Result<Option<Change>, OddLog> {
    let log = &log.log;
    if let Some(bound) = decode::<Vault::Bound>(log) {
        return self::bound(bound).map(Some);
    }
    if let Some(proposed) = decode::<Vault::Proposed>(log) {
        return self::proposed(proposed).map(Some);
    }
    let approved = decode(log).map(|Vault::Approved { proposal, member }| Change::Approved { proposal, member });
    Ok(approved.or_else(|| changed_vault_transaction(log).map(Change::Vault)))
}

fn changed_vault_transaction(log: &Log) -> Option<u32> {
    decode(log)
        .map(|Vault::Settled { number, .. }| number)
        .or_else(|| decode(log).map(|Vault::Unsettled { number, .. }| number))
        .or_else(|| decode(log).map(|Vault::Voided { number }| number))
        .or_else(|| decode(log).map(|Vault::OutputGone { number, .. }| number))
}

fn proposed(proposed: Vault::Proposed) -> Result<Change, OddLog> {
    let Vault::Proposed { proposal, member, contentHash: content_hash, content } = proposed;
    let content = Content::from(content);
    if proven::content_hash(&content) != content_hash {
        return Err(OddLog::OtherContent { number: proposal });
    }
    let open = Proposal {
        member,
        // docs/ledger.md: a proposal's number ends with the member's place.
        place: proposal.to_be_bytes()[7],
        content_hash,
        content,
        opened_in: Head::default(),
        approvals: Default::default(),
        approved_at_s: 0,
        enough: Enough::No,
    };
    Ok(Change::Proposed(proposal, Box::new(open)))
}

fn bound(bound: Vault::Bound) -> Result<Change, OddLog> {
    let Vault::Bound { number, txid, proposal, content, changeSat, amountsSat, transaction } = bound;
    let bad = |reason: String| OddLog::NotATransaction { number, reason };
    let unsigned: Transaction =
        consensus::deserialize(&transaction).map_err(|error| bad(format!("it does not decode: {error}")))?;
    let txid = Txid::from_byte_array(txid.0);
    if unsigned.compute_txid() != txid {
        return Err(bad(format!("its id is {}, the log says {txid}", unsigned.compute_txid())));
    }
    let entry = Entry {
        txid,
        content: Content::from(content),
        amounts_sat: amountsSat,
        change_sat: changeSat,
        transaction: transaction.to_vec().into(),
        unsigned: unsigned.into(),
        bound_in: Head::default(),
        proposal,
        proposed: None,
        status: VaultStatus::Bound,
        output: if changeSat == 0 { OutputStatus::None } else { OutputStatus::Pending },
        spent_by: None,
        settled_in: None,
        is_final: false,
        epoch: 0,
        rooted: false,
    };
    Ok(Change::Bound(number, Box::new(entry)))
}

fn deposit(log: &Log) -> Option<Change> {
    if let Some(proven) = decode::<Deposits::DepositProven>(log) {
        return self::proven(proven);
    }
    let minted = decode(log).map(|Deposits::DepositMinted { txid, vout, mintedSat: minted_sat, .. }| Change::Minted {
        outpoint: outpoint(txid, vout),
        minted_sat,
    });
    let gone = || decode(log).map(|Deposits::DepositGone { txid, vout, .. }| Change::DepositGone(outpoint(txid, vout)));
    minted.or_else(gone)
}

fn proven(proven: Deposits::DepositProven) -> Option<Change> {
    let Deposits::DepositProven { outputKey, recipient, txid, vout, amountSat, leafHash, terms, blockHash, height } =
        proven;
    let key = DepositKey { output_key: XOnlyPublicKey::from_slice(outputKey.as_slice()).ok()?, leaf_hash: leafHash.0 };
    let deposit = Deposit {
        status: DepositStatus::Proven,
        recipient,
        amount_sat: amountSat,
        max_fee_sat: terms.maxFeeSat,
        minted: false,
        minted_sat: 0,
        bound: false,
        swept_by: None,
        block: Block { height, head: head(blockHash) },
        block_hash: Some(BlockHash::from_byte_array(blockHash.0)),
        epoch: terms.epoch,
        key,
    };
    Some(Change::Proven(outpoint(txid, vout), Box::new(deposit)))
}

fn withdrawal(log: &BlockLog) -> Option<Change> {
    let (block, log) = (log.block, &log.log);
    if let Some(Bridge::WithdrawalQueued { id, amountSat, maxFeeSat, script, .. }) = decode(log) {
        let withdrawal = Withdrawal {
            status: WithdrawalStatus::Queued,
            amount_sat: amountSat,
            max_fee_sat: maxFeeSat,
            asked_at: block.time_s,
            tie: None,
            script: ScriptBuf::from_bytes(script.to_vec()),
        };
        return Some(Change::Queued(small(id), Box::new(withdrawal)));
    }
    let closed = decode(log)
        .map(|Bridge::WithdrawalCancelled { id }| id)
        .or_else(|| decode(log).map(|Bridge::WithdrawalRefunded { id }| id))
        .or_else(|| decode(log).map(|Bridge::WithdrawalPaid { id, .. }| id));
    closed.map(|id| Change::WithdrawalClosed(small(id))).or_else(|| {
        let changed = decode(log)
            .map(|Bridge::MaximumRaised { id, .. }| id)
            .or_else(|| decode(log).map(|Bridge::WithdrawalTied { id, .. }| id))
            .or_else(|| decode(log).map(|Bridge::TieEnded { id, .. }| id))
            .or_else(|| decode(log).map(|Bridge::WithdrawalUnpaid { id, .. }| id));
        changed.map(|id| Change::Withdrawal(small(id)))
    })
}

fn outpoint(txid: B256, vout: u32) -> OutPoint {
    OutPoint { txid: Txid::from_byte_array(txid.0), vout }
}

fn head(hash: B256) -> BlockHead {
    BlockHead::from_slice(&hash[..8])
}

/// A number of the ledger's: it counts by ones.
#[must_use]
pub fn small(number: U256) -> u64 {
    number.saturating_to()
}
