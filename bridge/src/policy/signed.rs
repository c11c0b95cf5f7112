//! What this member ever signed: the records of a sealed log that only grows.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, Transaction, Txid, consensus};

use super::refusal::Refusal;

/// The outputs from which each withdrawal was to be paid, by what was signed.
///
/// Kept as a log, of one record for each transaction: the version of its form, the number of withdrawals, for each its id and the outpoint it is tied to, then the transaction
/// without signatures (consensus encoding). Numbers are big endian, txids as they are hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    transactions: BTreeSet<Txid>,
    ties: BTreeMap<u64, BTreeSet<OutPoint>>,
}

/// The form of a record.
const RECORD_VERSION: u8 = 2;
/// Id, txid, output.
const TIE_LEN: usize = 8 + 32 + 4;

/// A record that this version did not write: the member must not sign, since it does not know what it signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position} is not a transaction with its ties: {reason}")]
pub struct BadRecord {
    /// From 0.
    pub position: usize,
    /// Why.
    pub reason: String,
}

impl Signed {
    /// What the records of a log say.
    ///
    /// # Errors
    ///
    /// The first that cannot be read.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadRecord> {
        let mut signed = Self::default();
        for (position, record) in records.into_iter().enumerate() {
            let (ties, txid) = read(record).map_err(|reason| BadRecord { position, reason })?;
            // What is in the log was signed, whether or not it should have been.
            signed.remember(txid, &ties);
        }
        Ok(signed)
    }

    /// Whether a transaction that pays these withdrawals may be signed.
    ///
    /// # Errors
    ///
    /// [`Refusal::PaidElsewhere`]: one was to be paid from an output that the transaction does not spend, and that has not ended.
    pub fn check(
        &self,
        withdrawals: &[u64],
        transaction: &Transaction,
        ended: &BTreeSet<OutPoint>,
    ) -> Result<(), Refusal> {
        let spent: BTreeSet<OutPoint> = transaction.input.iter().map(|input| input.previous_output).collect();
        let alive = |outpoint: &&OutPoint| !spent.contains(*outpoint) && !ended.contains(*outpoint);
        let elsewhere = withdrawals.iter().find_map(|id| {
            let outpoint = *self.ties.get(id)?.iter().find(alive)?;
            Some(Refusal::PaidElsewhere { withdrawal: *id, outpoint })
        });
        elsewhere.map_or(Ok(()), Err)
    }

    /// Remembers that a transaction is signed which pays these withdrawals, each tied to this outpoint; the record to append to the log before anything leaves, unless it
    /// is there.
    ///
    /// # Errors
    ///
    /// As [`Signed::check`]; then nothing changes.
    pub fn insert(
        &mut self,
        ties: &[(u64, OutPoint)],
        transaction: &Transaction,
        ended: &BTreeSet<OutPoint>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let ids: Vec<u64> = ties.iter().map(|(id, _)| *id).collect();
        self.check(&ids, transaction, ended)?;
        let is_new = self.remember(transaction.compute_txid(), ties);
        Ok(is_new.then(|| write(ties, transaction)))
    }

    /// Whether that was new.
    fn remember(&mut self, txid: Txid, ties: &[(u64, OutPoint)]) -> bool {
        for (id, outpoint) in ties {
            self.ties.entry(*id).or_default().insert(*outpoint);
        }
        self.transactions.insert(txid)
    }
}

fn write(ties: &[(u64, OutPoint)], transaction: &Transaction) -> Vec<u8> {
    let count = u32::try_from(ties.len()).expect("a transaction of 10,000 vB pays some hundred withdrawals");
    let mut record = vec![RECORD_VERSION];
    record.extend_from_slice(&count.to_be_bytes());
    for (id, outpoint) in ties {
        record.extend_from_slice(&id.to_be_bytes());
        record.extend_from_slice(outpoint.txid.as_byte_array());
        record.extend_from_slice(&outpoint.vout.to_be_bytes());
    }
    record.extend_from_slice(&consensus::serialize(transaction));
    record
}

fn read(record: &[u8]) -> Result<(Vec<(u64, OutPoint)>, Txid), String> {
    let rest = match record.split_first() {
        Some((&RECORD_VERSION, rest)) => rest,
        version => return Err(format!("version {:?}", version.map(|(version, _)| version))),
    };
    let (count, rest) = rest.split_first_chunk().ok_or("it is cut")?;
    let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|error| error.to_string())?;
    let cut = count.checked_mul(TIE_LEN).and_then(|at| rest.split_at_checked(at));
    let (ties, transaction) = cut.ok_or_else(|| format!("{count} ties in {} bytes", rest.len()))?;
    let transaction: Transaction = consensus::deserialize(transaction).map_err(|error| error.to_string())?;
    Ok((ties.chunks_exact(TIE_LEN).map(tie).collect(), transaction.compute_txid()))
}

fn tie(bytes: &[u8]) -> (u64, OutPoint) {
    let (id, rest) = bytes.split_at(8);
    let (txid, vout) = rest.split_at(32);
    let txid = Txid::from_byte_array(txid.try_into().expect("32 bytes"));
    let vout = u32::from_be_bytes(vout.try_into().expect("four bytes"));
    (u64::from_be_bytes(id.try_into().expect("eight bytes")), OutPoint { txid, vout })
}
