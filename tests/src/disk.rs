//! How much disk something takes.

use std::{fs, path::Path};

/// Bytes of all files below a folder. Files that go away meanwhile do not count.
#[must_use]
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| if metadata.is_dir() { bytes_below(&path) } else { metadata.len() })
        .sum()
}
