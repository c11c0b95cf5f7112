//! Whether the disk is the reason.

use std::{io::ErrorKind, path::Path};

/// Written to see whether the disk is full: more than a file system gives to a file for nothing.
const PROBE_BYTES: usize = 1 << 20;

/// Whether nothing more can be written.
pub(super) fn is_full(data_dir: &Path) -> bool {
    let probe = data_dir.join("probe");
    let written = std::fs::write(&probe, vec![1; PROBE_BYTES]);
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
}
