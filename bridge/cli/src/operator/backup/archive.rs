//! The file of a backup: named files with their hashes, as JSON. All secrets in it are encrypted, as they are on the machine.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use bitcoin::hashes::{Hash as _, sha256};
use eyre::{Result, WrapErr, bail, ensure};
use serde::{Deserialize, Serialize};

/// What the file begins with, so that nothing else is taken for it.
const FORMAT: &str = "causeway operator backup 1";
/// Bytes of a backup at most: keystores and shares have some kilobytes, a genesis file of many operators some hundred.
pub const MOST_BYTES: u64 = 64 << 20;

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Archive {
    format: String,
    /// Hash of all that the operators agreed on.
    pub network_id: String,
    /// In seconds since 1970.
    pub made_at: u64,
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sha256: String,
    hex: String,
}

impl Archive {
    pub fn new(network_id: String, made_at: u64) -> Self {
        Self { format: FORMAT.to_owned(), network_id, made_at, files: BTreeMap::new() }
    }

    /// Adds a file; `name` is a relative path with `/`.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        let file = File { sha256: sha256::Hash::hash(bytes).to_string(), hex: hex::encode(bytes) };
        self.files.insert(name.to_owned(), file);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A file's bytes; none when it is not in it.
    ///
    /// # Errors
    ///
    /// They are damaged.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.files.get(name) else { return Ok(None) };
        let bytes = hex::decode(&file.hex).wrap_err_with(|| format!("{name} in the backup is damaged"))?;
        let got = sha256::Hash::hash(&bytes).to_string();
        ensure!(
            got == file.sha256,
            "{name} in the backup is damaged: its SHA-256 is {got}, {} was written",
            file.sha256
        );
        Ok(Some(bytes))
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings always serialise") + "\n"
    }

    /// Reads one, and all its files.
    ///
    /// # Errors
    ///
    /// It is no backup, of another version, or damaged; or a name would leave the folder that it is restored to.
    pub fn read(text: &[u8]) -> Result<Self> {
        let archive: Self = serde_json::from_slice(text).wrap_err("this is no backup of causeway's, or it is cut")?;
        if archive.format != FORMAT {
            bail!("this is \"{}\", expected \"{FORMAT}\"", archive.format);
        }
        for name in archive.names() {
            let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            ensure!(
                is_plain && !name.is_empty(),
                "the backup names a file {name:?}, which leaves its folder: do not use it"
            );
            archive.get(name)?;
        }
        Ok(archive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_reads_back_as_it_was_and_one_that_is_damaged_is_named() {
        let mut archive = Archive::new("0x05".into(), 7);
        archive.add("relayer/key-1", b"sealed");
        let json = archive.to_json();
        assert_eq!(Archive::read(json.as_bytes()).expect("whole"), archive);
        assert_eq!(archive.get("relayer/key-1").expect("whole").as_deref(), Some(&b"sealed"[..]));
        let error = |text: &str| format!("{:#}", Archive::read(text.as_bytes()).expect_err("bad"));
        assert!(error(&json[..json.len() / 2]).contains("it is cut"));
        assert!(
            error(&json.replace(&hex::encode("sealed"), &hex::encode("seared")))
                .contains("relayer/key-1 in the backup is damaged")
        );
        assert!(error(&json.replace("backup 1", "backup 2")).contains("expected \"causeway operator backup 1\""));
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for name in ["../x", "/etc/x", "a/../../x", ""] {
            let mut archive = Archive::new(String::new(), 0);
            archive.add(name, b"");
            let error = Archive::read(archive.to_json().as_bytes()).expect_err(name);
            assert!(error.to_string().contains("leaves its folder"), "{error}");
        }
    }
}
