//! Whether the disk is the reason.

use std::{io::ErrorKind, path::Path};

use telemetry::io::machine::free_bytes;

/// Written to see whether the disk is full: more than a file system gives to a file for nothing.
const PROBE_BYTES: usize = 1 << 20;

/// Room below which the disk is what failed a write: what ends frees some, the database's log first.
const LITTLE: u64 = 64 << 20;

/// Whether a write that failed did so for want of room.
pub(super) fn is_to_blame(data_dir: &Path) -> bool {
    is_full(data_dir) || free_bytes(data_dir).is_ok_and(|free| free < LITTLE)
}

/// Whether nothing more can be written.
pub(super) fn is_full(data_dir: &Path) -> bool {
    let probe = data_dir.join("probe");
    let written = std::fs::write(&probe, vec![1; PROBE_BYTES]);
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
}
