//! Files with keys: who can read them, whether they can be read, and what they are.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bridge::keystore::Keystore;
use sidechain::genesis::Genesis;

use super::check::{Check, Notes};
use crate::operator::own_keys::MadeFor;

/// Bits of those who are not the owner.
const OTHERS: u32 = 0o077;
/// Of these, what lets them put another file in the place of one.
const OTHERS_WRITE: u32 = 0o022;
/// Of a folder like /tmp: others write in it, and replace their own files alone.
const STICKY: u32 = 0o1000;
/// Folders below a home folder that are looked into, and files that are looked at: a user has a few dozen.
const MOST_DEPTH: usize = 4;
const MOST_FILES: usize = 2_000;
/// Bytes of the largest file that may be one with keys.
const MOST_BYTES: u64 = 100_000;

/// A service's keystore: of this kind, the owner's alone, and made for this network.
pub fn keystore(path: &Path, kind: &str, genesis: Option<&Genesis>, notes: Notes) -> Vec<Check> {
    let shown = path.display();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            let advice =
                "copy it from its backup, or let this user read it (chown); causeway keys operator makes new ones";
            return vec![notes.wrong("keystore", format!("{shown} cannot be read: {error}"), advice)];
        }
    };
    let keystore = match Keystore::parse(&text) {
        Ok(keystore) => keystore,
        Err(error) => {
            return vec![notes.wrong("keystore", format!("{shown}: {error}"), "copy it from its backup")];
        }
    };
    let folder = path.parent().and_then(|folder| replaceable(folder, notes));
    let mut checks: Vec<Check> = open_to_others(path, notes).into_iter().chain(folder).collect();
    if keystore.kind() != kind {
        let seen = format!("{shown} is a keystore of kind {}, wanted {kind}", keystore.kind());
        checks.push(notes.wrong("keystore", seen, "name the right file in the configuration"));
    } else if let Some(refused) = genesis.and_then(|genesis| not_made_for(&keystore, genesis)) {
        let advice =
            "compare the genesis file's hash with the one that the operators publish, and these keys with public.json";
        checks.push(notes.wrong("keystore", format!("{shown}: {refused}"), advice));
    }
    if checks.is_empty() {
        checks.push(notes.fine("keystore", format!("{shown}, kind {kind}, its owner's alone")));
    }
    checks
}

fn not_made_for(keystore: &Keystore, genesis: &Genesis) -> Option<String> {
    match MadeFor::of(keystore) {
        Ok(made_for) => made_for.check(genesis).err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Whether others can read a file; or whose it is, if this user is not its owner.
fn open_to_others(path: &Path, notes: Notes) -> Option<Check> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        let seen = format!("{} can be read or written by others (mode {:o})", path.display(), mode & 0o777);
        let advice = format!(
            "chmod 600 '{}'; if others were on this machine, its passphrase is all that protects it",
            path.display()
        );
        notes.wrong("keystore", seen, advice)
    })
}

fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// Whether others can put another file in the place of one in this folder.
fn replaceable(folder: &Path, notes: Notes) -> Option<Check> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mode = mode(folder).filter(|mode| mode & OTHERS_WRITE != 0 && mode & STICKY == 0)?;
    let seen = format!("others can replace files in the folder {} (mode {mode:o})", folder.display());
    let advice = format!("chmod go-w '{}', and see whether the files in it are still yours", folder.display());
    Some(notes.wrong("keystore", seen, advice))
}

/// Whether others can look into a folder with keys and records, or write there.
fn private(folder: &Path, notes: Notes) -> Option<Check> {
    if let Some(check) = replaceable(folder, notes) {
        return Some(check);
    }
    let mode = mode(folder).filter(|mode| mode & OTHERS != 0)?;
    let seen = format!(
        "others can look into the folder {} (mode {mode:o}): what is in it tells of your deposits and payments",
        folder.display()
    );
    Some(notes.doubtful("folder", seen, format!("chmod 700 '{}'", folder.display())))
}

/// A user's home folder, and all files with keys in it.
pub fn home(folder: &Path, notes: Notes) -> Vec<Check> {
    let mut files = Vec::new();
    find(folder, MOST_DEPTH, &mut files);
    let mut keys = 0_usize;
    let mut checks: Vec<Check> = private(folder, notes).into_iter().collect();
    for path in files.iter().filter(|path| has_keys(path)) {
        keys += 1;
        checks.extend(open_to_others(path, notes));
    }
    if checks.is_empty() {
        let seen = format!("{keys} file(s) with keys in {}, the owner's alone", folder.display());
        checks.push(notes.fine("keys", seen));
    }
    checks
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && depth > 0 {
            find(&entry.path(), depth - 1, found);
        } else if metadata.is_file() && metadata.size() <= MOST_BYTES && found.len() < MOST_FILES {
            found.push(entry.path());
        }
    }
}

/// A keystore, or a record with one in it.
fn has_keys(path: &Path) -> bool {
    let Ok(text) = fs::read(path) else { return false };
    let sealed = |value: &serde_json::Value| value.get("kind").is_some() && value.get("kdf").is_some();
    match serde_json::from_slice::<serde_json::Value>(&text) {
        Ok(value) => {
            Keystore::parse(&text).is_ok()
                || sealed(&value)
                || value.get("reclaimKeystore").is_some_and(|key| !key.is_null())
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::{Level, Whose};
    use crate::operator::keys::{NewOperator, OPERATOR_KEYSTORE, VALIDATOR_KEYSTORE, make_operator};
    use bridge::keystore::{OPERATOR, VALIDATOR};

    const NOTES: Notes = Notes(Whose::Relayer);

    #[test]
    fn a_keystore_that_others_can_read_or_that_is_another_or_none_is_wrong() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("ours");
        make_operator(folder.path(), &NewOperator::example("alice", 30_301), None, "correct horse").expect("made");
        let (operator, validator) = (folder.path().join(OPERATOR_KEYSTORE), folder.path().join(VALIDATOR_KEYSTORE));
        let told = |path: &Path, kind| keystore(path, kind, None, NOTES).remove(0);
        assert_eq!(told(&operator, OPERATOR).level, Level::Fine);
        assert!(told(&validator, OPERATOR).seen.contains("kind validator, wanted operator"));
        assert_eq!(told(&validator, VALIDATOR).level, Level::Fine);
        assert_eq!(home(folder.path(), NOTES)[0].level, Level::Fine);
        fs::set_permissions(&operator, fs::Permissions::from_mode(0o644)).expect("ours");
        let open = told(&operator, OPERATOR);
        assert!(open.level == Level::Wrong && open.advice.contains("chmod 600"), "{open:?}");
        assert_eq!(home(folder.path(), NOTES).iter().map(|check| check.level).collect::<Vec<_>>(), [Level::Wrong]);
        fs::set_permissions(&operator, fs::Permissions::from_mode(0o600)).expect("ours");
        // The folder: others see what is there, or can put another file in its place.
        let folder_with = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("ours");
            (home(folder.path(), NOTES).remove(0), told(&operator, OPERATOR))
        };
        let (seen, service) = folder_with(0o755);
        assert!(seen.level == Level::Doubtful && seen.advice.starts_with("chmod 700 '"), "{seen:?}");
        assert_eq!(service.level, Level::Fine, "a service's folder may be read: {service:?}");
        for mode in [0o770, 0o703] {
            let (seen, service) = folder_with(mode);
            assert!(seen.level == Level::Wrong && seen.advice.starts_with("chmod go-w '"), "{seen:?}");
            assert!(service.level == Level::Wrong && service.seen.contains("replace"), "{service:?}");
        }
        assert_eq!(folder_with(0o700).0.level, Level::Fine);
        fs::write(&operator, "{}").expect("written");
        assert_eq!(told(&operator, OPERATOR).level, Level::Wrong);
        assert!(told(&folder.path().join("none"), OPERATOR).seen.contains("cannot be read"));
    }
}
