//! Why a data directory cannot be used.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is wrong with the data directory. None of it heals by itself: the relayer stops.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is in use by another process: one relayer at a time may own it", folder.display())]
    Locked { folder: PathBuf },
    #[error("no space left on the disk of {}: nothing was sent; free some space and start again", path.display())]
    Full { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("there is no {}, which says what this member has promised; an old copy does not say the newest: never bring one back, restore the member by `causeway operator restore` (docs/operators.md)", path.display())]
    Missing { path: PathBuf },
    #[error("{} is damaged, or was sealed by another operator's keys; restore it from a backup of this operator", path.display())]
    Damaged { path: PathBuf },
    #[error("{} is damaged: {error}", path.display())]
    Malformed { path: PathBuf, error: String },
}

impl StoreError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, error },
        }
    }
}
