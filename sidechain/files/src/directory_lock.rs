//! One process for each data directory.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::make_private_folder;

/// A data directory that this process has for itself, until this is dropped or the process ends, also by a kill.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "the lock is the open file")] File);

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It cannot be made or locked.
    #[error("cannot use the data directory {}: {error}", path.display())]
    Io {
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}

impl DirectoryLock {
    /// Makes the directory when it is missing, and takes it.
    ///
    /// # Errors
    ///
    /// `InUse`: end the other process first. `Io`: no rights, or the disk is full or damaged.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let failed = |error| LockError::Io { path: directory.to_owned(), error };
        make_private_folder(directory).map_err(failed)?;
        let file = File::create(directory.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once_until_it_is_let_go() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join("made");
        let lock = DirectoryLock::acquire(&directory).expect("free");
        let error = DirectoryLock::acquire(&directory).expect_err("held");
        assert!(matches!(&error, LockError::InUse(held) if *held == directory), "{error}");
        drop(lock);
        DirectoryLock::acquire(&directory).expect("free again");
    }
}
