//! A file that only grows: what was promised stays promised. Each record is durable before [`SealedLog::append`] returns, and is
//! sealed under its place in the file, so that none can be taken out, exchanged or moved without notice.
//!
//! ```text
//!  [length: u32, big endian][sealed record 0] [length][sealed record 1] ...
//! ```
//! A process that dies while it writes leaves a last record that is shorter than its length says. Nothing was promised by it: it is
//! cut off when the file is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::error::StoreError;
use crate::keystore::StorageKey;

/// Bytes of one record: a vault transaction has some 40,000.
const MAX_RECORD: u32 = 1 << 20;

const LENGTH: usize = size_of::<u32>();

/// What a log holds, in order.
pub type Records = Vec<Zeroizing<Vec<u8>>>;

/// An open log.
pub struct SealedLog {
    path: PathBuf,
    file: File,
    key: StorageKey,
    /// Records in the file.
    count: u64,
    /// Where the next one begins.
    end: u64,
}

impl SealedLog {
    /// Makes an empty one; there must be none.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn create(path: &Path, key: StorageKey) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(path, error);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        // Its name is durable with its folder.
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, key, count: 0, end: 0 })
    }

    /// Opens one, and reads all records.
    ///
    /// # Errors
    ///
    /// `Missing`, `Damaged`, or those of the disk.
    pub fn open(path: &Path, key: StorageKey) -> Result<(Self, Records), StoreError> {
        let failed = |error| StoreError::io(path, error);
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { path: path.to_owned() });
            }
            file => file.map_err(failed)?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let mut log = Self { path: path.to_owned(), file, key, count: 0, end: 0 };
        let mut records = Vec::new();
        while let Some(sealed) = log.next(&bytes)? {
            records.push(log.unseal(sealed)?);
            log.count += 1;
            log.end += (LENGTH + sealed.len()) as u64;
        }
        if log.end < bytes.len() as u64 {
            tracing::warn!(path = %path.display(), "cutting off a record whose writing was interrupted");
            log.file.set_len(log.end).and_then(|()| log.file.sync_all()).map_err(failed)?;
        }
        Ok((log, records))
    }

    /// The sealed record at the end of those read; none when the file ends there, or within it.
    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, StoreError> {
        let rest = usize::try_from(self.end).ok().and_then(|end| bytes.get(end..)).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if length > MAX_RECORD {
            return Err(StoreError::Damaged { path: self.path.clone() });
        }
        Ok(rest.get(..length as usize))
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let opened = self.key.open(&self.name(), sealed);
        opened.map_err(|_| StoreError::Damaged { path: self.path.clone() })
    }

    /// The next record's name.
    fn name(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{file}/{}", self.count)
    }

    /// Adds a record; it is durable on return.
    ///
    /// # Errors
    ///
    /// When it could not be made durable: then nothing that depends on it may be said.
    ///
    /// # Panics
    ///
    /// If it has more than a mebibyte.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let sealed = self.key.seal(&self.name(), record, &mut OsRng);
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length <= MAX_RECORD);
        let length = length.expect("a record of a bounded size");
        let bytes = [&length.to_be_bytes()[..], &sealed].concat();
        // What an earlier failure left is written over.
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| StoreError::io(&self.path, error))?;
        self.count += 1;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::OperatorKeys;

    struct World {
        folder: tempfile::TempDir,
        key: StorageKey,
    }

    impl World {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().expect("a folder"),
                key: OperatorKeys::generate(&mut OsRng).storage_key(),
            }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("signed.log")
        }

        fn with(records: &[&[u8]]) -> Self {
            let world = Self::new();
            let mut log = SealedLog::create(&world.path(), world.key.clone()).expect("fresh");
            records.iter().for_each(|record| log.append(record).expect("written"));
            world
        }

        fn read(&self) -> Result<Vec<Vec<u8>>, StoreError> {
            let (_, records) = SealedLog::open(&self.path(), self.key.clone())?;
            Ok(records.into_iter().map(|record| record.to_vec()).collect())
        }

        fn bytes(&self) -> Vec<u8> {
            std::fs::read(self.path()).expect("there")
        }
    }

    #[test]
    fn what_was_appended_is_read_in_order_and_nothing_of_it_can_be_seen_in_the_file() {
        let world = World::with(&[b"first promise", b"", b"third promise"]);
        assert_eq!(world.read().expect("sound"), [&b"first promise"[..], b"", b"third promise"]);
        assert!(!world.bytes().windows(7).any(|window| window == b"promise"));
        let (mut log, _) = SealedLog::open(&world.path(), world.key.clone()).expect("sound");
        log.append(b"fourth").expect("written");
        assert_eq!(world.read().expect("sound").len(), 4);
    }

    #[test]
    fn a_record_whose_writing_was_interrupted_is_cut_off_and_the_next_takes_its_place() {
        let whole = World::with(&[b"one", b"two"]).bytes().len();
        let first = World::with(&[b"one"]).bytes().len();
        for kept in first..whole {
            let world = World::with(&[b"one", b"two"]);
            std::fs::write(world.path(), &world.bytes()[..kept]).expect("ours");
            assert_eq!(world.read().expect("sound"), [b"one"], "{kept} of {whole} bytes");
            let (mut log, _) = SealedLog::open(&world.path(), world.key.clone()).expect("sound");
            log.append(b"other").expect("written");
            assert_eq!(world.read().expect("sound"), [&b"one"[..], b"other"]);
        }
    }

    #[test]
    fn a_record_that_was_changed_exchanged_or_taken_out_is_noticed() {
        let world = World::with(&[b"one", b"two"]);
        let good = world.bytes();
        let half = good.len() / 2;
        let exchanged = [&good[half..], &good[..half]].concat();
        let mut changed = good.clone();
        changed[half - 1] ^= 1;
        for bad in [changed, exchanged, good[half..].to_vec(), vec![0xff; 100]] {
            std::fs::write(world.path(), bad).expect("ours");
            assert!(matches!(world.read(), Err(StoreError::Damaged { .. })));
        }
        std::fs::write(world.path(), &good).expect("ours");
        let other = World { folder: world.folder, key: World::new().key };
        assert!(matches!(other.read(), Err(StoreError::Damaged { .. })), "another operator's");
    }

    #[test]
    fn one_that_is_missing_is_told_and_none_is_made_twice() {
        let world = World::new();
        assert!(matches!(world.read(), Err(StoreError::Missing { .. })));
        drop(SealedLog::create(&world.path(), world.key.clone()).expect("fresh"));
        assert!(matches!(SealedLog::create(&world.path(), world.key.clone()), Err(StoreError::Io { .. })));
    }
}
