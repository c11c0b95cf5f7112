//! Secrets at rest.
//!
//! ```text
//!  passphrase ──argon2id──▶ key ──XChaCha20-Poly1305──▶ keystore file (JSON, public part readable)
//!                                   operator: relayer account, encryption key;  validator: consensus and network key
//!  encryption key ──HKDF──▶ storage key ──XChaCha20-Poly1305──▶ state files: key share, DKG secrets, nonces
//! ```
//!
//! The passphrase protects one small file; what changes while the relayer runs is sealed with a key from that file, since
//! argon2id takes a good part of a second by design. A checksum over the file tells a damaged file from a wrong
//! passphrase; it is over public and encrypted bytes only, so it helps nobody to guess.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use bitcoin::hashes::{Hash as _, sha256};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use payments::account_signature::address;
use rand::{CryptoRng, RngCore};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::hkdf_sha256;

/// Version of the file format.
const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20poly1305";
/// Kind of the file with a relayer's keys.
pub const OPERATOR: &str = "operator";
/// Kind of the file with a validator's keys.
pub const VALIDATOR: &str = "validator";

/// Why secrets cannot be opened. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not the JSON of a keystore.
    #[error("this is not a keystore file, or it is cut off ({0}); check the path, or restore the file from a backup")]
    NotAKeystore(String),
    /// Written by another version, or by something else.
    #[error("keystore with {what} {got}, this program reads {want}; use the version that wrote it")]
    Unsupported {
        /// The part that differs.
        what: &'static str,
        /// Its value in the file.
        got: String,
        /// The value that this program reads.
        want: String,
    },
    /// Another kind of keys.
    #[error("this file holds {got} keys, {want} keys are needed here; check the path")]
    Kind {
        /// Kind of the file.
        got: String,
        /// Kind that is needed.
        want: String,
    },
    /// The file changed since it was written.
    #[error(
        "the keystore file is corrupt (its checksum does not match); restore it from a backup, no passphrase will open it"
    )]
    Corrupt,
    /// The file is whole, the passphrase is not its own.
    #[error("wrong passphrase; the file itself is intact, so try again (nobody can reset it)")]
    WrongPassphrase,
    /// Opened, but the content is not of the kind that the file says.
    #[error("the keystore opened, but its content is not {0}")]
    Content(&'static str),
    /// A state file that does not open with the operator's key.
    #[error("the file is corrupt or belongs to another operator's keys; restore it from a backup of this operator")]
    Storage,
}

/// Cost of guessing a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KdfParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory (argon2's t).
    pub passes: u32,
    /// Degree of parallelism (argon2's p).
    pub lanes: u32,
}

impl Default for KdfParams {
    /// The second recommendation of RFC 9106 (64 MiB, 3 passes), with one lane: about 0.2 s.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl KdfParams {
    /// Most memory a file may ask for: a file from elsewhere must not be able to exhaust the machine.
    const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    const MAX_PASSES: u32 = 64;

    fn key(&self, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        let unsupported = |_| KeystoreError::Unsupported {
            what: "argon2 parameters",
            got: format!("{self:?}"),
            want: "less".to_owned(),
        };
        if self.memory_kib > Self::MAX_MEMORY_KIB || self.passes > Self::MAX_PASSES {
            return Err(unsupported(argon2::Error::MemoryTooMuch));
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(unsupported)?;
        let mut key = Zeroizing::new([0; 32]);
        // The key is made of the last of these blocks, so they are wiped as it is.
        let mut blocks = Zeroizing::new(vec![Block::default(); params.block_count()]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase.as_bytes(), salt, key.as_mut_slice(), blocks.as_mut_slice())
            .map_err(unsupported)?;
        Ok(key)
    }
}

/// A keystore file, read but not opened: everything public in it can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Keystore {
    version: u32,
    kind: String,
    public: BTreeMap<String, String>,
    kdf: Kdf,
    cipher: Cipher,
    #[serde(with = "crate::hex_bytes")]
    ciphertext: Vec<u8>,
    #[serde(with = "crate::hex_bytes")]
    checksum: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: KdfParams,
    #[serde(with = "crate::hex_bytes")]
    salt: [u8; 16],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    #[serde(with = "crate::hex_bytes")]
    nonce: [u8; 24],
}

impl Keystore {
    /// Encrypts `secret` under a passphrase; `public` stays readable and is authenticated.
    ///
    /// # Errors
    ///
    /// When argon2 refuses the parameters.
    pub fn seal<R: RngCore + CryptoRng>(
        kind: &str,
        public: BTreeMap<String, String>,
        secret: &[u8],
        passphrase: &str,
        params: KdfParams,
        rng: &mut R,
    ) -> Result<Self, KeystoreError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let mut keystore = Self {
            version: VERSION,
            kind: kind.to_owned(),
            public,
            kdf: Kdf { name: KDF.to_owned(), params, salt },
            cipher: Cipher { name: CIPHER.to_owned(), nonce },
            ciphertext: Vec::new(),
            checksum: [0; 32],
        };
        let key = params.key(passphrase, &salt)?;
        keystore.ciphertext = XChaCha20Poly1305::new(Key::from_slice(key.as_slice()))
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: secret, aad: &keystore.header() })
            .expect("XChaCha20-Poly1305 takes any message below 256 GiB");
        keystore.checksum = keystore.compute_checksum();
        Ok(keystore)
    }

    /// Reads a keystore file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// [`KeystoreError::NotAKeystore`], [`KeystoreError::Unsupported`] for another version, [`KeystoreError::Corrupt`].
    pub fn parse(json: &[u8]) -> Result<Self, KeystoreError> {
        let keystore: Self =
            serde_json::from_slice(json).map_err(|error| KeystoreError::NotAKeystore(error.to_string()))?;
        supported("version", &keystore.version, &VERSION)?;
        supported("key derivation", &keystore.kdf.name.as_str(), &KDF)?;
        supported("cipher", &keystore.cipher.name.as_str(), &CIPHER)?;
        if keystore.checksum == keystore.compute_checksum() { Ok(keystore) } else { Err(KeystoreError::Corrupt) }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers") + "\n"
    }

    /// The secret, decrypted; wiped from memory when dropped.
    ///
    /// # Errors
    ///
    /// [`KeystoreError::WrongPassphrase`]; [`KeystoreError::Kind`] when it holds something else.
    pub fn open(&self, kind: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        if self.kind != kind {
            return Err(KeystoreError::Kind { got: self.kind.clone(), want: kind.to_owned() });
        }
        let key = self.kdf.params.key(passphrase, &self.kdf.salt)?;
        XChaCha20Poly1305::new(Key::from_slice(key.as_slice()))
            .decrypt(XNonce::from_slice(&self.cipher.nonce), Payload { msg: &self.ciphertext, aad: &self.header() })
            .map(Zeroizing::new)
            .map_err(|_| KeystoreError::WrongPassphrase)
    }

    /// What a guess at the passphrase costs.
    pub fn kdf(&self) -> KdfParams {
        self.kdf.params
    }

    /// The kind of keys that the file says it holds.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The readable part. Anybody could have changed it until [`Keystore::open`] has succeeded.
    pub fn public(&self) -> &BTreeMap<String, String> {
        &self.public
    }

    /// Everything but ciphertext and checksum, with lengths, so that no two headers share their bytes.
    fn header(&self) -> Vec<u8> {
        let params = self.kdf.params;
        let numbers = [self.version, params.memory_kib, params.passes, params.lanes];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        let texts = [&self.kind, &self.kdf.name, &self.cipher.name].into_iter();
        for text in texts.chain(self.public.iter().flat_map(|(name, value)| [name, value])) {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.kdf.salt);
        bytes.extend_from_slice(&self.cipher.nonce);
        bytes
    }

    fn compute_checksum(&self) -> [u8; 32] {
        sha256::Hash::hash(&[self.header(), self.ciphertext.clone()].concat()).to_byte_array()
    }
}

fn supported<T: PartialEq + ToString>(what: &'static str, got: &T, want: &T) -> Result<(), KeystoreError> {
    if got == want {
        Ok(())
    } else {
        Err(KeystoreError::Unsupported { what, got: got.to_string(), want: want.to_string() })
    }
}

/// The keys of a relayer: the account it sends with, and the key others encrypt to.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorKeys {
    account: SecretKey,
    encryption: SecretKey,
}

impl std::fmt::Debug for OperatorKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorKeys").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for OperatorKeys {
    fn drop(&mut self) {
        self.account.non_secure_erase();
        self.encryption.non_secure_erase();
    }
}

impl OperatorKeys {
    /// Fresh keys.
    pub fn generate<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self { account: SecretKey::new(rng), encryption: SecretKey::new(rng) }
    }

    /// From the two secrets.
    pub fn new(account: SecretKey, encryption: SecretKey) -> Self {
        Self { account, encryption }
    }

    /// Signs the relayer's transactions on the sidechain.
    pub fn account(&self) -> &SecretKey {
        &self.account
    }

    /// The secret that opens messages sealed to this member ([`crate::seal`]).
    pub fn encryption(&self) -> &SecretKey {
        &self.encryption
    }

    /// Address of the account.
    pub fn address(&self) -> Address {
        address(&PublicKey::from_secret_key(SECP256K1, &self.account))
    }

    /// The key that others seal messages to.
    pub fn encryption_key(&self) -> PublicKey {
        PublicKey::from_secret_key(SECP256K1, &self.encryption)
    }

    /// Encrypts them into a keystore file; `more` is readable beside their public parts, and authenticated.
    ///
    /// # Errors
    ///
    /// When argon2 refuses the parameters.
    pub fn seal<R: RngCore + CryptoRng>(
        &self,
        more: BTreeMap<String, String>,
        passphrase: &str,
        params: KdfParams,
        rng: &mut R,
    ) -> Result<Keystore, KeystoreError> {
        let mut secret = Zeroizing::new([0; 64]);
        secret[..32].copy_from_slice(self.account.as_ref());
        secret[32..].copy_from_slice(self.encryption.as_ref());
        let mut public = more;
        public.insert("account".to_owned(), self.address().to_string());
        public.insert("encryptionKey".to_owned(), self.encryption_key().to_string());
        Keystore::seal(OPERATOR, public, secret.as_slice(), passphrase, params, rng)
    }

    /// Opens a keystore file.
    ///
    /// # Errors
    ///
    /// As [`Keystore::open`].
    pub fn open(keystore: &Keystore, passphrase: &str) -> Result<Self, KeystoreError> {
        let secret = keystore.open(OPERATOR, passphrase)?;
        let key = |bytes: Option<&[u8]>| bytes.and_then(|bytes| SecretKey::from_slice(bytes).ok());
        match (secret.len(), key(secret.get(..32)), key(secret.get(32..))) {
            (64, Some(account), Some(encryption)) => Ok(Self { account, encryption }),
            _ => Err(KeystoreError::Content("two secp256k1 keys")),
        }
    }

    /// The key that seals this operator's state files.
    pub fn storage_key(&self) -> StorageKey {
        let secret = Zeroizing::new(self.encryption.secret_bytes());
        StorageKey(hkdf_sha256(b"causeway/storage", secret.as_slice(), b"state files, version 1"))
    }
}

/// Seals the files that change while the relayer runs.
#[derive(Clone)]
pub struct StorageKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StorageKey")
    }
}

/// First bytes of a sealed state file, with the version of its layout: magic, nonce, ciphertext and tag.
const STATE_MAGIC: &[u8; 8] = b"CWSTATE1";

impl StorageKey {
    /// Encrypts a state file. It opens under no other `name` than its own (for example `signing/12`).
    ///
    /// # Panics
    ///
    /// Never for a file that fits memory.
    pub fn seal<R: RngCore + CryptoRng>(&self, name: &str, plain: &[u8], rng: &mut R) -> Vec<u8> {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let sealed = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: name.as_bytes() })
            .expect("XChaCha20-Poly1305 takes any message below 256 GiB");
        [STATE_MAGIC.as_slice(), &nonce, &sealed].concat()
    }

    /// Opens what [`StorageKey::seal`] made under the same name.
    ///
    /// # Errors
    ///
    /// When it is damaged, has another name, or was sealed with other keys.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let rest = sealed.strip_prefix(STATE_MAGIC).ok_or(KeystoreError::Storage)?;
        let (nonce, ciphertext) = rest.split_at_checked(24).ok_or(KeystoreError::Storage)?;
        self.cipher()
            .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: name.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| KeystoreError::Storage)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    /// Weak on purpose: tests are not about argon2's cost.
    const FAST: KdfParams = KdfParams { memory_kib: 8, passes: 1, lanes: 1 };

    fn sealed() -> (OperatorKeys, Keystore) {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let keys = OperatorKeys::generate(&mut rng);
        let keystore = keys.seal(BTreeMap::new(), "correct horse", FAST, &mut rng).expect("sound parameters");
        (keys, keystore)
    }

    #[test]
    fn keys_come_back_with_their_passphrase() {
        let (keys, keystore) = sealed();
        let read = Keystore::parse(keystore.to_json().as_bytes()).expect("whole");
        assert_eq!(read.public()["account"], keys.address().to_string());
        assert_eq!(OperatorKeys::open(&read, "correct horse").expect("opens"), keys);
    }

    #[test]
    fn a_wrong_passphrase_is_told_from_a_corrupt_file() {
        let (_, keystore) = sealed();
        assert_eq!(OperatorKeys::open(&keystore, "wrong horse"), Err(KeystoreError::WrongPassphrase));

        let json = keystore.to_json();
        let position = json.find("ciphertext").expect("a field") + 20;
        let mut corrupt = json.clone().into_bytes();
        corrupt[position] = if corrupt[position] == b'0' { b'1' } else { b'0' };
        assert_eq!(Keystore::parse(&corrupt), Err(KeystoreError::Corrupt));
        assert!(matches!(Keystore::parse(&json.as_bytes()[..json.len() / 2]), Err(KeystoreError::NotAKeystore(_))));
        assert!(matches!(keystore.open(VALIDATOR, "correct horse"), Err(KeystoreError::Kind { .. })));
    }

    // Whoever recomputes the checksum still cannot change the public part unseen.
    #[test]
    fn the_public_part_is_authenticated() {
        let (_, mut keystore) = sealed();
        keystore.public.insert("account".to_owned(), Address::ZERO.to_string());
        keystore.checksum = keystore.compute_checksum();
        let read = Keystore::parse(keystore.to_json().as_bytes()).expect("its checksum matches");
        assert_eq!(OperatorKeys::open(&read, "correct horse"), Err(KeystoreError::WrongPassphrase));
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory() {
        let (_, mut keystore) = sealed();
        keystore.kdf.params.memory_kib = u32::MAX;
        assert!(matches!(keystore.open(OPERATOR, "correct horse"), Err(KeystoreError::Unsupported { .. })));
    }

    #[test]
    fn a_state_file_opens_under_its_name_with_its_key_only() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let key = OperatorKeys::generate(&mut rng).storage_key();
        let sealed = key.seal("signing/1", b"nonces", &mut rng);
        assert_eq!(key.open("signing/1", &sealed).expect("opens").as_slice(), b"nonces");
        assert_eq!(key.open("signing/2", &sealed), Err(KeystoreError::Storage));
        assert_eq!(
            OperatorKeys::generate(&mut rng).storage_key().open("signing/1", &sealed),
            Err(KeystoreError::Storage)
        );
        assert_eq!(key.open("signing/1", &sealed[..20]), Err(KeystoreError::Storage));
    }

    // Account and address 0 of the mnemonic `test test ... junk`, as every Ethereum tool shows them.
    #[test]
    fn an_address_is_that_of_ethereum() {
        let secret: SecretKey =
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".parse().expect("a key");
        let keys = OperatorKeys::new(secret, secret);
        assert_eq!(keys.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }
}
