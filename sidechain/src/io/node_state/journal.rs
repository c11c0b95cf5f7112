//! What waits in the pool, in a file: a process that ends, by a signal, a crash or `kill -9`, loses none of it.
//!
//! ```text
//! taken into the pool --> added to the file --> its user hears the hash
//!                              |
//!          more than half of it has left the pool --> written anew beside it, and renamed over it
//! ```
//! The file is never waited for: it is written to the system's memory, which outlives the process. What a loss of power takes of it, the other
//! validators have. A disk that fails costs the file and nothing else: it is written anew, from the pool, as soon as that works.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::Transaction;
use crate::mempool::Status;
use crate::mempool::journal::{MAGIC, RECORD_BYTES, append};

/// The file is written anew when it is so much larger than twice what waits. About a second of the greatest load, and so little that an idle node
/// starts at once.
pub(super) const SLACK_BYTES: u64 = 4 << 20;

/// The file's largest size: twice a full pool, and what may come until the next look. Beyond it nothing is added until it is written anew; and no
/// more is read.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// What may come while the file is written anew; if it is more, that begins again.
const MAX_MEANWHILE: usize = 32 << 20;

/// Time after a failure until the next try, in milliseconds.
pub(super) const RETRY_MS: u64 = 10_000;

/// A transaction that waits, and when it came in Unix milliseconds.
pub(super) type Waiting = (Arc<Transaction>, u64);

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    state: Mutex<State>,
    errors: AtomicU64,
    /// Errors since it was written last: the first is told, and how many there were once it is over.
    failing: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// None after a failure, until the file is written anew.
    pub(super) file: Option<File>,
    bytes: u64,
    /// Somebody writes it anew.
    pub(super) rewriting: bool,
    /// What came since that began; none when it was too much.
    meanwhile: Option<Vec<u8>>,
    not_before_ms: u64,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), errors: AtomicU64::new(0), failing: AtomicU64::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked, the file is then written anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it could not be written.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Adds what came into the pool.
    pub(super) fn add(&self, fresh: &[Arc<Transaction>], now_ms: u64) {
        let mut records = Vec::new();
        fresh.iter().for_each(|transaction| append(&mut records, now_ms, transaction));
        if records.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.meanwhile = state.meanwhile.take().filter(|all| all.len() + records.len() <= MAX_MEANWHILE);
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.extend(&records);
        }
        if state.bytes + records.len() as u64 > MAX_BYTES {
            state.file = None;
        }
        let Some(file) = &mut state.file else { return };
        match file.write_all(&records) {
            Ok(()) => state.bytes += records.len() as u64,
            Err(error) => {
                state.file = None;
                drop(state);
                self.complain(&error);
            }
        }
    }

    /// Whether it is time to write it anew, when so much waits; whoever is told so has to.
    pub(super) fn begin(&self, status: Status, now_ms: u64) -> bool {
        let mut state = self.lock();
        let live = (status.bytes + (status.executable + status.queued) * RECORD_BYTES) as u64;
        let is_due = state.file.is_none() || state.bytes > 2 * live + SLACK_BYTES;
        if state.rewriting || !is_due || now_ms < state.not_before_ms {
            return false;
        }
        state.rewriting = true;
        state.meanwhile = Some(Vec::new());
        true
    }

    /// Writes it anew: what waited after [`Self::begin`], and what came since.
    pub(super) fn rewrite(&self, waiting: &[Waiting], now_ms: u64) {
        let temporary = self.path.with_extension("new");
        let written = write_new(&temporary, waiting).and_then(|file| self.replace(file, &temporary));
        if written.is_err() {
            // What could not be finished is of no use; while it goes, nobody else begins.
            let _ = fs::remove_file(temporary);
        }
        let mut state = self.lock();
        (state.rewriting, state.meanwhile) = (false, None);
        if written.is_ok() {
            let failed = self.failing.swap(0, Ordering::Relaxed);
            if failed > 0 {
                tracing::info!(path = %self.path.display(), failed, "what waits in the pool is kept for the next start again");
            }
        }
        if let Err(error) = written {
            state.not_before_ms = now_ms.saturating_add(RETRY_MS);
            drop(state);
            self.complain(&error);
        }
    }

    /// Nothing is added meanwhile: it takes what the system's memory takes.
    fn replace(&self, mut file: File, temporary: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let too_much = || io::Error::other("more came than the disk takes");
        let meanwhile = state.meanwhile.take().ok_or_else(too_much)?;
        file.write_all(&meanwhile)?;
        fs::rename(temporary, &self.path)?;
        state.bytes = file.metadata()?.len();
        state.file = Some(file);
        Ok(())
    }

    fn complain(&self, error: &io::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if self.failing.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(path = %self.path.display(), %error, "what waits in the pool is not kept for the next start; it is tried again");
        }
    }
}

/// A file with what waits, on disk: an older one is not given up for one that a loss of power empties.
fn write_new(path: &Path, waiting: &[Waiting]) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(MAGIC)?;
    let mut record = Vec::new();
    for (transaction, arrived_ms) in waiting {
        record.clear();
        append(&mut record, *arrived_ms, transaction);
        out.write_all(&record)?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    Ok(file)
}
