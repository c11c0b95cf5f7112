//! A directory that one process uses at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

/// The file in the directory whose lock (flock) is held.
const LOCK: &str = "lock";

/// A directory held by this process until the value is dropped; a crash lets it go too.
#[derive(Debug)]
pub struct DirectoryLock {
    /// Closing it lets go.
    _file: File,
}

/// Why a directory cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process uses it")]
    Held,
    /// The file system refuses; the message names the file.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl DirectoryLock {
    /// Holds `directory`, which is made if it is missing, for this process.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] at once when another process has it, or those of the file system.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        fs::create_dir_all(directory).map_err(|error| named(directory, &error))?;
        let path = directory.join(LOCK);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| named(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(error)) => Err(named(&path, &error).into()),
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot lock {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once_until_it_is_let_go() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join("made");
        let lock = DirectoryLock::take(&directory).expect("free");
        assert!(matches!(DirectoryLock::take(&directory), Err(LockError::Held)));
        drop(lock);
        DirectoryLock::take(&directory).expect("free again");
    }
}
