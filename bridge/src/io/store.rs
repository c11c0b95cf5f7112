//! What a relayer must not forget: small files, each replaced as a whole, in a folder that one process owns.
//!
//! A write is durable before it returns, so that what is said after it may rely on it. Secrets (key shares, nonces) are
//! sealed with the operator's storage key under the file's name.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::OsRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::keystore::StorageKey;
pub use error::StoreError;
use files::{DirectoryLock, LockError};
use files::{read_optional, write_atomic};
pub use sealed_log::Records;
use sealed_log::SealedLog;

mod error;
mod sealed_log;

/// A relayer's data directory.
pub struct Store {
    folder: PathBuf,
    key: StorageKey,
    /// Those that were opened, by name.
    logs: Mutex<BTreeMap<String, SealedLog>>,
    /// Writes until the process is killed; see [`Store::crash_after`].
    crash_after: Option<AtomicU32>,
    /// Held while the process lives; the system lets go of it when the process dies, however it dies.
    _lock: DirectoryLock,
}

impl Store {
    /// Opens (and makes, if need be) a data directory.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process owns it.
    pub fn open(folder: &Path, key: StorageKey) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(folder, error);
        fs::create_dir_all(folder).map_err(failed)?;
        restrict(folder).map_err(failed)?;
        let lock = DirectoryLock::acquire(folder).map_err(|error| match error {
            LockError::InUse(folder) => StoreError::Locked { folder },
            LockError::Io { error, .. } => failed(error),
        })?;
        Ok(Self { folder: folder.to_owned(), key, logs: Mutex::default(), crash_after: None, _lock: lock })
    }

    /// For tests of recovery: the process dies, as by kill -9, right after so many durable writes.
    #[must_use]
    pub fn crash_after(self, writes: Option<u32>) -> Self {
        Self { crash_after: writes.map(AtomicU32::new), ..self }
    }

    /// Reads a file; none when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder.join(name);
        read_optional(&path).map_err(|error| StoreError::io(&path, error))
    }

    /// Replaces a file; it is durable on return.
    ///
    /// # Errors
    ///
    /// When it could not be made durable; the old content is still there then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        write_atomic(&path, bytes).map_err(|error| StoreError::io(&path, error))?;
        self.count_down(name);
        Ok(())
    }

    /// The names of its files that begin so.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>, StoreError> {
        let failed = |error| StoreError::io(&self.folder, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.to_str().filter(|name| name.starts_with(beginning)).map(str::to_owned));
        }
        Ok(names)
    }

    /// Reads a file as JSON; none when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not what was written.
    pub fn get_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.get(name)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| StoreError::Malformed { path: self.folder.join(name), error: error.to_string() })
    }

    /// Replaces a file of numbers and hashes by JSON; it is durable on return.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    pub fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        self.put(name, &serde_json::to_vec(value).expect("numbers and hashes always serialise"))
    }

    /// Reads a sealed file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when it does not open.
    pub fn get_secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(sealed) = self.get(name)? else {
            return Ok(None);
        };
        let opened = self.key.open(name, &sealed);
        opened.map(Some).map_err(|_| StoreError::Damaged { path: self.folder.join(name) })
    }

    /// Replaces a sealed file; it is durable on return.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    pub fn put_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(name, &self.key.seal(name, bytes, &mut OsRng))
    }

    /// Opens a log of sealed records, and reads them all. One is made where nothing needs it yet: while there is no file whose name
    /// begins with `needed_by`.
    ///
    /// # Errors
    ///
    /// `Missing`; `Damaged`, when it is not what was written; those of the disk.
    pub fn open_log(&self, name: &str, needed_by: &str) -> Result<Records, StoreError> {
        let path = self.folder.join(name);
        let (log, records) = match SealedLog::open(&path, self.key.clone()) {
            Err(StoreError::Missing { .. }) if !self.has_any(needed_by)? => {
                (SealedLog::create(&path, self.key.clone())?, Records::new())
            }
            opened => opened?,
        };
        self.logs().insert(name.to_owned(), log);
        Ok(records)
    }

    /// Makes a log of sealed records, in the place of one that is there. To be called only where nothing was promised by that.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn create_log(&self, name: &str) -> Result<(), StoreError> {
        self.logs().remove(name);
        self.remove(name)?;
        let log = SealedLog::create(&self.folder.join(name), self.key.clone())?;
        self.logs().insert(name.to_owned(), log);
        Ok(())
    }

    /// Adds a record to a log that was opened; it is durable on return.
    ///
    /// # Errors
    ///
    /// `Missing`, if it was not opened; when it could not be made durable: then nothing that depends on it may be said.
    pub fn append(&self, name: &str, record: &[u8]) -> Result<(), StoreError> {
        let mut logs = self.logs();
        let log = logs.get_mut(name).ok_or_else(|| StoreError::Missing { path: self.folder.join(name) })?;
        log.append(record)?;
        drop(logs);
        self.count_down(name);
        Ok(())
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<String, SealedLog>> {
        // What a panic interrupts is a write, and the next one is at the same place.
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a file whose name begins so.
    fn has_any(&self, prefix: &str) -> Result<bool, StoreError> {
        let entries = fs::read_dir(&self.folder).map_err(|error| StoreError::io(&self.folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| StoreError::io(&self.folder, error))?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(&path, error)),
            _ => Ok(()),
        }
    }

    fn count_down(&self, name: &str) {
        if let Some(left) = &self.crash_after
            && left.fetch_sub(1, Ordering::Relaxed) <= 1
        {
            tracing::warn!(name, "crashing after this write, as asked for");
            std::process::abort();
        }
    }
}

/// Nobody else on this machine has to see when files change.
fn restrict(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::OperatorKeys;

    fn key() -> StorageKey {
        OperatorKeys::generate(&mut OsRng).storage_key()
    }

    #[test]
    fn what_is_put_is_there_after_a_restart_and_a_secret_is_not_readable_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = key();
        let store = Store::open(folder.path(), key.clone()).expect("free");
        store.put("plain", b"seen").expect("written");
        store.put_secret("share", b"secret share").expect("written");
        drop(store);
        let store = Store::open(folder.path(), key).expect("free");
        assert_eq!(store.get("plain").expect("read").as_deref(), Some(&b"seen"[..]));
        assert_eq!(store.get_secret("share").expect("read").expect("there").as_slice(), b"secret share");
        let raw = store.get("share").expect("read").expect("there");
        assert!(!raw.windows(6).any(|window| window == b"secret"));
        store.remove("share").expect("removed");
        store.remove("share").expect("gone already");
        assert_eq!(store.get_secret("share").expect("read"), None);
    }

    #[test]
    fn a_second_process_is_refused_by_a_clear_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Store::open(folder.path(), key()).expect("free");
        let error = Store::open(folder.path(), key()).err().expect("in use").to_string();
        assert!(error.contains("in use by another process"), "{error}");
        drop(first);
        Store::open(folder.path(), key()).expect("free again");
    }

    #[test]
    fn a_damaged_or_exchanged_secret_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), key()).expect("free");
        store.put_secret("a", b"one").expect("written");
        fs::copy(folder.path().join("a"), folder.path().join("b")).expect("copied");
        assert!(matches!(store.get_secret("b"), Err(StoreError::Damaged { .. })));
        store.put("c", b"short").expect("written");
        assert!(matches!(store.get_secret("c"), Err(StoreError::Damaged { .. })));
        drop(store);
        let other = Store::open(folder.path(), key()).expect("free");
        assert!(matches!(other.get_secret("a"), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_log_is_made_while_nothing_needs_it_and_must_be_there_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), key()).expect("free");
        assert!(matches!(store.append("signed.log", b"early"), Err(StoreError::Missing { .. })));
        assert!(store.open_log("signed.log", "key-").expect("made").is_empty());
        store.append("signed.log", b"one").expect("written");
        store.put_secret("key-1", b"a share").expect("written");
        assert_eq!(store.open_log("signed.log", "key-").expect("there")[0].as_slice(), b"one");
        fs::remove_file(folder.path().join("signed.log")).expect("there");
        let error = store.open_log("signed.log", "key-").expect_err("it is needed").to_string();
        assert!(
            error.contains("signed.log, which says what this member has promised")
                && error.contains("never bring one back"),
            "{error}"
        );
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let error = StoreError::io(Path::new("share-1"), ErrorKind::StorageFull.into()).to_string();
        assert!(error.contains("no space left on the disk of share-1: nothing was sent"), "{error}");
    }
}
