//! Folders that are their owner's alone: names in them tell of keys, deposits and payments.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Makes a folder that is not there, and those above it, for their owner alone. One that is there stays as it is.
///
/// # Errors
///
/// Those of the disk.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_made_is_the_owners_alone_and_what_is_there_stays_as_it_is() {
        let there = tempfile::tempdir().expect("a temporary folder");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        fs::set_permissions(there.path(), fs::Permissions::from_mode(0o750)).expect("ours");
        let made = there.path().join("share/causeway");
        make_private_folder(&made).expect("made");
        make_private_folder(&made).expect("there");
        assert_eq!((mode(there.path()), mode(&there.path().join("share")), mode(&made)), (0o750, 0o700, 0o700));
    }
}
