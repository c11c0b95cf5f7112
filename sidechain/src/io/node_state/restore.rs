//! What waits, across the end of a process: taken up from the file at a start, and kept there from then on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, Bytes};

use super::admit::{AdmitError, Checked, Door, Prepared};
use super::journal::{Journal, MAX_BYTES, Waiting};
use crate::mempool::journal::{Record, Records};
use crate::panics::contain;

/// Records that are checked at once at a start, on all cores; and bytes of them.
const AT_ONCE: usize = 1_024;
const BYTES_AT_ONCE: usize = 8 << 20;

/// What waited when the last process ended, by place: of several for one place the last alone. The one before was replaced, perhaps because its sender
/// took it back.
#[derive(Default)]
struct Restored {
    /// With its position in the file, and when it came.
    places: BTreeMap<(Address, u64), (usize, u64, Box<Checked>)>,
    /// Records.
    read: usize,
}

impl Door {
    /// Takes up what waited in a file, and keeps there from now on what waits. What was written is checked like what a stranger sends.
    pub(super) fn keep_in(&self, path: PathBuf, now_ms: u64) {
        let mut restored = Restored::default();
        if let Err(error) = self.read(&path, &mut restored) {
            tracing::error!(path = %path.display(), %error, "transactions that waited cannot be read");
        }
        let read = restored.read;
        let taken = self.take_up(restored, now_ms);
        if read > 0 {
            tracing::info!(read, taken, "transactions that waited before the start are in the pool again");
        }
        let journal = self.journal.get_or_init(|| Journal::new(path).into());
        if journal.begin(self.pool().status(), now_ms) {
            journal.rewrite(&self.waiting(), now_ms);
        }
    }

    fn read(&self, path: &Path, restored: &mut Restored) -> io::Result<()> {
        let about = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            about => about?,
        };
        // To open a pipe is to wait for whoever writes into it.
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        tracing::info!(path = %path.display(), bytes = about.len(), "reading the transactions that waited");
        let file = File::open(path)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for record in Records::new(BufReader::with_capacity(1 << 20, file), MAX_BYTES) {
            match record {
                Ok(record) => {
                    bytes += record.raw.len();
                    batch.push(record);
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "some that waited are lost"),
            }
            if batch.len() == AT_ONCE || bytes >= BYTES_AT_ONCE {
                self.check(std::mem::take(&mut batch), restored);
                bytes = 0;
            }
        }
        self.check(batch, restored);
        Ok(())
    }

    /// Checks records and keeps those that may still get into a block.
    fn check(&self, records: Vec<Record>, restored: &mut Restored) {
        let raws: Vec<Bytes> = records.iter().map(|record| record.raw.clone()).collect();
        // Whatever sets off a bug must not keep the node from starting, today and at each start to come.
        let one = |raw: &Bytes| contain(|| self.prepare(std::slice::from_ref(raw)).pop()).ok().flatten();
        let bug = |raw: &Bytes| one(raw).unwrap_or(Prepared::Refused(AdmitError::Bug));
        let prepared = contain(|| self.prepare(&raws)).unwrap_or_else(|_| raws.iter().map(bug).collect());
        for (Record { arrived_ms, .. }, prepared) in records.into_iter().zip(prepared) {
            restored.read += 1;
            let Prepared::Paid(checked) = prepared else { continue };
            let (sender, nonce) = (checked.arrival.transaction.signer(), checked.arrival.transaction.nonce());
            if nonce >= checked.arrival.account.nonce {
                restored.places.insert((sender, nonce), (restored.read, arrived_ms, checked));
            }
        }
    }

    /// Puts them into the pool in the order in which they came; how many it took.
    fn take_up(&self, restored: Restored, now_ms: u64) -> usize {
        let mut waited: Vec<_> = restored.places.into_values().collect();
        waited.sort_by_key(|(order, ..)| *order);
        let mut fresh = Vec::new();
        let mut pool = self.pool();
        for (_, arrived_ms, checked) in waited {
            // A clock that was ahead gives nobody more time.
            self.put(&mut pool, *checked, arrived_ms.min(now_ms), &mut fresh);
        }
        pool.expire(now_ms);
        let taken = pool.len();
        drop(pool);
        self.announce(&fresh);
        taken
    }

    fn waiting(&self) -> Vec<Waiting> {
        self.pool().waiting().map(|(transaction, arrived_ms)| (transaction.clone(), arrived_ms)).collect()
    }

    /// Writes the file anew, in a thread of its own, when most of it has left the pool.
    pub(super) fn tidy_journal(&self, now_ms: u64) {
        let Some(journal) = self.journal.get() else { return };
        if !journal.begin(self.pool().status(), now_ms) {
            return;
        }
        let (waiting, writer) = (self.waiting(), journal.clone());
        let thread = std::thread::Builder::new().name("journal".into());
        if thread.spawn(move || writer.rewrite(&waiting, now_ms)).is_err() {
            journal.lock().rewriting = false;
        }
    }
}

#[cfg(test)]
mod tests;
