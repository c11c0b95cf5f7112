//! What this member ever signed: the records of a sealed log that only grows.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, Transaction, Txid, consensus};

use super::limit::{Left, Limit};
use super::refusal::Refusal;

/// The outputs from which each withdrawal was to be paid, by what was signed.
///
/// Kept as a log, of one record for each transaction: the version of its form, when it was signed (seconds since 1970) and how many satoshis it paid by ties that were
/// new, the number of withdrawals, for each its id and the outpoint it is tied to, then the transaction without signatures (consensus encoding). Numbers are big
/// endian, txids as they are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    transactions: BTreeSet<Txid>,
    ties: BTreeMap<u64, BTreeSet<OutPoint>>,
    limit: Limit,
    left: Left,
}

/// A withdrawal that is paid, and what it spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    pub withdrawal: u64,
    pub outpoint: OutPoint,
    pub amount: Amount,
}

/// The form of a record.
const RECORD_VERSION: u8 = 3;
/// The form of a record that a member made anew after it lost its own: ties alone.
const RECOVERED_VERSION: u8 = 4;
/// Time and amount.
const HEAD_LEN: usize = 8 + 8;
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
    /// Nothing yet.
    #[must_use]
    pub fn nothing(limit: Limit) -> Self {
        Self { transactions: BTreeSet::new(), ties: BTreeMap::new(), limit, left: Left::all(&limit) }
    }

    /// What the records of a log say.
    ///
    /// # Errors
    ///
    /// The first that cannot be read.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>, limit: Limit) -> Result<Self, BadRecord> {
        let mut signed = Self::nothing(limit);
        for (position, record) in records.into_iter().enumerate() {
            let Record { at_s, paid, ties, txid } = read(record).map_err(|reason| BadRecord { position, reason })?;
            // What is in the log was signed, whether or not it should have been.
            signed.tie(&ties);
            signed.transactions.extend(txid);
            signed.left = signed.left.after(paid, at_s, &limit);
        }
        Ok(signed)
    }

    /// How many transactions were ever signed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.transactions.len()
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

    /// Remembers that a transaction is signed now which pays these withdrawals; the record to append to the log before anything leaves, unless it is there.
    ///
    /// # Errors
    ///
    /// As [`Signed::check`], and [`Refusal::OwnLimit`]; then nothing changes.
    pub fn insert(
        &mut self,
        ties: &[Tie],
        transaction: &Transaction,
        ended: &BTreeSet<OutPoint>,
        now_s: u64,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let ids: Vec<u64> = ties.iter().map(|tie| tie.withdrawal).collect();
        self.check(&ids, transaction, ended)?;
        let paid = self.newly_paid(ties);
        let left = self.left.take(paid, now_s, &self.limit)?;
        let ties: Vec<(u64, OutPoint)> = ties.iter().map(|tie| (tie.withdrawal, tie.outpoint)).collect();
        if !self.remember(transaction.compute_txid(), &ties) {
            return Ok(None);
        }
        self.left = left;
        Ok(Some(write((now_s, paid), &ties, transaction)))
    }

    /// What ties pay that were not signed for before: versions over the same outputs pay once.
    fn newly_paid(&self, ties: &[Tie]) -> Amount {
        let is_new = |tie: &&Tie| !self.ties.get(&tie.withdrawal).is_some_and(|known| known.contains(&tie.outpoint));
        let sum = ties.iter().filter(is_new).fold(0, |sum: u64, tie| sum.saturating_add(tie.amount.to_sat()));
        Amount::from_sat(sum)
    }

    /// Whether that was new.
    fn remember(&mut self, txid: Txid, ties: &[(u64, OutPoint)]) -> bool {
        self.tie(ties);
        self.transactions.insert(txid)
    }

    fn tie(&mut self, ties: &[(u64, OutPoint)]) {
        for (id, outpoint) in ties {
            self.ties.entry(*id).or_default().insert(*outpoint);
        }
    }

    /// A record of what a member may have signed that lost its own ([`super::recovery`]): these ties, and so much of its limit at that time.
    #[must_use]
    pub fn recovered((at_s, taken): (u64, Amount), ties: &[(u64, OutPoint)]) -> Vec<u8> {
        head(RECOVERED_VERSION, (at_s, taken), ties)
    }
}

/// What a record says.
struct Record {
    at_s: u64,
    paid: Amount,
    ties: Vec<(u64, OutPoint)>,
    /// None in a record that was made anew.
    txid: Option<Txid>,
}

fn write(paid: (u64, Amount), ties: &[(u64, OutPoint)], transaction: &Transaction) -> Vec<u8> {
    let mut record = head(RECORD_VERSION, paid, ties);
    record.extend_from_slice(&consensus::serialize(transaction));
    record
}

fn head(version: u8, (at_s, paid): (u64, Amount), ties: &[(u64, OutPoint)]) -> Vec<u8> {
    let count = u32::try_from(ties.len()).expect("a transaction of 10,000 vB pays some hundred withdrawals");
    let mut record = vec![version];
    record.extend_from_slice(&at_s.to_be_bytes());
    record.extend_from_slice(&paid.to_sat().to_be_bytes());
    record.extend_from_slice(&count.to_be_bytes());
    for (id, outpoint) in ties {
        record.extend_from_slice(&id.to_be_bytes());
        record.extend_from_slice(outpoint.txid.as_byte_array());
        record.extend_from_slice(&outpoint.vout.to_be_bytes());
    }
    record
}

fn read(record: &[u8]) -> Result<Record, String> {
    let (version, rest) = match record.split_first() {
        Some((version @ &(RECORD_VERSION | RECOVERED_VERSION), rest)) => (*version, rest),
        version => return Err(format!("version {:?}", version.map(|(version, _)| version))),
    };
    let (head, rest) = rest.split_first_chunk::<HEAD_LEN>().ok_or("it is cut")?;
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    let (at_s, paid) = (number(&head[..8]), Amount::from_sat(number(&head[8..])));
    let (count, rest) = rest.split_first_chunk().ok_or("it is cut")?;
    let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|error| error.to_string())?;
    let cut = count.checked_mul(TIE_LEN).and_then(|at| rest.split_at_checked(at));
    let (ties, transaction) = cut.ok_or_else(|| format!("{count} ties in {} bytes", rest.len()))?;
    let ties = ties.chunks_exact(TIE_LEN).map(tie).collect();
    if version == RECOVERED_VERSION {
        return if transaction.is_empty() {
            Ok(Record { at_s, paid, ties, txid: None })
        } else {
            Err("it is too long".to_owned())
        };
    }
    let transaction: Transaction = consensus::deserialize(transaction).map_err(|error| error.to_string())?;
    Ok(Record { at_s, paid, ties, txid: Some(transaction.compute_txid()) })
}

fn tie(bytes: &[u8]) -> (u64, OutPoint) {
    let (id, rest) = bytes.split_at(8);
    let (txid, vout) = rest.split_at(32);
    let txid = Txid::from_byte_array(txid.try_into().expect("32 bytes"));
    let vout = u32::from_be_bytes(vout.try_into().expect("four bytes"));
    (u64::from_be_bytes(id.try_into().expect("eight bytes")), OutPoint { txid, vout })
}
