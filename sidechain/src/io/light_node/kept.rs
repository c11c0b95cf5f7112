//! The newest final header on disk: so that a node cannot show an older one after a restart.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::peg::Finality;
use files::{DirectoryLock, LockError, read_optional, write_atomic};
use light::FinalHeader;
use light::finality::Validators;

use super::fault::OpenError;

/// Time between two writes: a header that is some seconds old serves as well.
const INTERVAL: Duration = Duration::from_secs(10);

/// A folder with one file, which several processes may share.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    written: Mutex<Option<Instant>>,
}

impl Kept {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, written: Mutex::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("head.json")
    }

    /// What was kept, checked again as if a node showed it.
    pub(super) fn read(&self, validators: &Validators) -> Result<Option<FinalHeader>, OpenError> {
        let wrong = |reason: String| OpenError::Kept { path: self.file().display().to_string(), reason };
        let Some(bytes) = read_optional(&self.file())? else { return Ok(None) };
        let kept: Finality = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        FinalHeader::verify(&kept, validators).map(Some).map_err(|error| wrong(error.to_string()))
    }

    /// Keeps a header, unless one was kept a moment ago, or another process keeps one now or has kept a newer one.
    pub(super) fn write(&self, header: &Finality, validators: &Validators) -> Result<(), OpenError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some_and(|written| written.elapsed() < INTERVAL) {
            return Ok(());
        }
        let _lock = match DirectoryLock::acquire(&self.folder.join("writing")) {
            Ok(lock) => lock,
            Err(LockError::InUse(_)) => return Ok(()),
            Err(LockError::Io { error, .. }) => return Err(error.into()),
        };
        if self.read(validators)?.is_none_or(|kept| kept.header.number < header.number) {
            let json = serde_json::to_vec(header).map_err(std::io::Error::other)?;
            write_atomic(&self.file(), &json)?;
        }
        *written = Some(Instant::now());
        Ok(())
    }
}
