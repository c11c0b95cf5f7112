//! Files that survive a crash: written whole or not at all, and on disk when the call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Replaces `path` by `bytes`, readable by the owner only (mode 0600).
///
/// A temporary file beside it is written, synced and renamed over it, then the directory is synced: after a crash the
/// file holds the old bytes or the new ones, and once this returns, the new ones.
///
/// # Errors
///
/// Those of the file system (a full disk, for example); the old bytes then stay. The message names the file.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or_else(|| named(io::ErrorKind::InvalidInput.into()))?.to_owned();
    name.push(".tmp");
    let temporary = directory.join(name);
    let written = write_synced(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| {
        // What could not be finished is of no use; if it cannot be removed either, the next write replaces it.
        let _ = fs::remove_file(&temporary);
        named(error)
    })
}

/// Writes a file that must not exist yet, as [`write_atomic`] does; false, and nothing changed, when there is one already.
///
/// # Errors
///
/// As [`write_atomic`].
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or_else(|| named(io::ErrorKind::InvalidInput.into()))?.to_owned();
    // A process of its own, and a name of its own: of two that write the same file, the first to link it wins.
    name.push(format!(".{}.new", std::process::id()));
    let temporary = directory.join(name);
    let written = write_synced(&temporary, bytes)
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        })
        .and_then(|new| File::open(directory)?.sync_all().map(|()| new));
    let _ = fs::remove_file(&temporary); // What is left of it is of no use, and the next write replaces it.
    written.map_err(named)
}

/// The bytes of a file, or none if there is no such file.
///
/// # Errors
///
/// Those of the file system; the message names the file.
pub fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a crash may have another mode: start afresh.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_is_for_its_owner_only() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("state");
        assert_eq!(read_optional(&path).expect("readable"), None);
        write_atomic(&path, b"old").expect("writable");
        write_atomic(&path, b"new").expect("writable");
        assert_eq!(read_optional(&path).expect("readable").as_deref(), Some(b"new".as_slice()));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_new_file_replaces_none() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("state");
        assert!(write_new(&path, b"first").expect("writable"));
        assert!(!write_new(&path, b"second").expect("writable"));
        assert_eq!(fs::read(&path).expect("there"), b"first");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_keeps_the_old_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("missing").join("state");
        let error = write_atomic(&path, b"new").expect_err("there is no such directory");
        assert!(error.to_string().contains("missing/state"), "{error}");
    }
}
