//! What a relayer must not forget: small files, each replaced as a whole, in a folder that one process owns.
//!
//! A write is durable before it returns (temporary file, sync, rename, sync of the folder), so that what is said after it
//! may rely on it. Secrets (key shares, nonces) are encrypted with a key that the keystore's secret yields; the file's
//! name is authenticated with it, so that files cannot be exchanged.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bitcoin::hashes::{Hash, HashEngine, sha256};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use zeroize::Zeroizing;

/// Bytes of an XChaCha20 nonce, at the start of each encrypted file.
const NONCE_BYTES: usize = 24;
const LOCK: &str = "lock";

/// A relayer's data directory.
pub struct Store {
    folder: PathBuf,
    cipher: XChaCha20Poly1305,
    /// Held while the process lives; the system lets go of it when the process dies, however it dies.
    _lock: File,
}

/// What is wrong with the data directory. None of it heals by itself: the relayer stops.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is in use by another process: one relayer at a time may own it", folder.display())]
    Locked { folder: PathBuf },
    #[error("no space left to write {}: nothing was sent; free some space and start again", path.display())]
    Full { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} does not decrypt: it is damaged, or belongs to another keystore", path.display())]
    Damaged { path: PathBuf },
}

impl Store {
    /// Opens (and makes, if need be) a data directory. `secret` is high-entropy secret of the keystore; the encryption
    /// key is derived from it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process owns it.
    pub fn open(folder: &Path, secret: &[u8]) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(folder, error);
        fs::create_dir_all(folder).map_err(failed)?;
        restrict(folder).map_err(failed)?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(|error| StoreError::io(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    folder: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(&path, error)),
        }
        let key = data_key(secret);
        Ok(Self {
            folder: folder.to_owned(),
            cipher: XChaCha20Poly1305::new((&*key).into()),
            _lock: lock,
        })
    }

    /// Reads a file; none when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(&path, error)),
        }
    }

    /// Replaces a file; it is durable on return.
    ///
    /// # Errors
    ///
    /// When it could not be made durable; the old content is still there then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let temporary = self.folder.join(format!("{name}.new"));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| StoreError::io(&path, error))
    }

    /// Reads an encrypted file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when it does not decrypt.
    pub fn get_secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(bytes) = self.get(name)? else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged {
            path: self.folder.join(name),
        };
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let payload = Payload {
            msg: sealed,
            aad: name.as_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| damaged())?;
        Ok(Some(Zeroizing::new(opened)))
    }

    /// Replaces an encrypted file; it is durable on return.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    pub fn put_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::thread_rng().fill_bytes(&mut nonce);
        let payload = Payload {
            msg: bytes,
            aad: name.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .expect("XChaCha20-Poly1305 takes any message below 256 GiB");
        self.put(name, &[&nonce[..], &sealed].concat())
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io(&path, error)),
        }
    }
}

impl StoreError {
    fn io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, error },
        }
    }
}

/// The keystore's secret is uniformly random, so that one hash is a sound key derivation.
fn data_key(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut engine = sha256::Hash::engine();
    engine.input(b"causeway/relayer-data");
    engine.input(secret);
    Zeroizing::new(sha256::Hash::from_engine(engine).to_byte_array())
}

/// Nobody else on this machine has to see when files change.
#[cfg(unix)]
fn restrict(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Store {
        Store::open(folder, &[7; 32]).expect("free")
    }

    #[test]
    fn what_is_put_is_there_after_a_restart_and_a_secret_is_not_readable_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        store.put("plain", b"seen").expect("written");
        store.put_secret("share", b"secret share").expect("written");
        drop(store);
        let store = open(folder.path());
        assert_eq!(
            store.get("plain").expect("read").as_deref(),
            Some(&b"seen"[..])
        );
        assert_eq!(
            store
                .get_secret("share")
                .expect("read")
                .expect("there")
                .as_slice(),
            b"secret share"
        );
        let raw = store.get("share").expect("read").expect("there");
        assert!(!raw.windows(6).any(|window| window == b"secret"));
        store.remove("share").expect("removed");
        store.remove("share").expect("gone already");
        assert_eq!(store.get_secret("share").expect("read"), None);
    }

    #[test]
    fn a_second_process_is_refused_by_a_clear_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path());
        let error = Store::open(folder.path(), &[7; 32])
            .err()
            .expect("in use")
            .to_string();
        assert!(error.contains("in use by another process"), "{error}");
        drop(first);
        open(folder.path());
    }

    #[test]
    fn a_damaged_or_exchanged_secret_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        store.put_secret("a", b"one").expect("written");
        fs::copy(folder.path().join("a"), folder.path().join("b")).expect("copied");
        assert!(matches!(
            store.get_secret("b"),
            Err(StoreError::Damaged { .. })
        ));
        store.put("a", b"short").expect("written");
        assert!(matches!(
            store.get_secret("a"),
            Err(StoreError::Damaged { .. })
        ));
        store.put_secret("c", b"one").expect("written");
        drop(store);
        let other = Store::open(folder.path(), &[8; 32]).expect("free");
        assert!(matches!(
            other.get_secret("c"),
            Err(StoreError::Damaged { .. })
        ));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let error = StoreError::io(Path::new("share-1"), ErrorKind::StorageFull.into()).to_string();
        assert!(
            error.contains("no space left to write share-1: nothing was sent"),
            "{error}"
        );
    }
}
