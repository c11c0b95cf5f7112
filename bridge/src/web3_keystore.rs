//! An account's key as geth, MetaMask, cast and other Ethereum wallets keep it: the Web3 Secret Storage Definition, version 3.
//!
//! ```text
//!  passphrase ──scrypt or PBKDF2──▶ 32 bytes: [0..16] key of AES-128-CTR, [16..32] into the MAC
//!  MAC = Keccak-256([16..32] || ciphertext)      tells a wrong passphrase
//! ```
//! For taking accounts to other wallets and back. Keystores of this program ([`crate::keystore`]) cost a guess more and authenticate all that
//! they say; here the address beside the ciphertext is anybody's word, and is compared with the key once it is open.

use aes::Aes128;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{Address, keccak256};
use ctr::Ctr128BE;
use payments::account_signature::address;
use rand::{CryptoRng, RngCore};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The version that everybody writes.
const VERSION: u32 = 3;
const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";
/// What is derived from a passphrase.
const DERIVED: usize = 32;
/// geth's standard: 2^18 blocks of 1 KiB, so 256 MiB and about a second.
const LOG_N: u8 = 18;
const R: u32 = 8;
const P: u32 = 1;

/// What a file from elsewhere may ask of this machine: twice the memory that geth's standard takes, and some seconds of work.
const MOST_MEMORY: u64 = 512 * 1024 * 1024;
const MOST_WORK: u64 = 4 * MOST_MEMORY;
const MOST_ITERATIONS: u32 = 10_000_000;
/// Bytes of the longest salt that is read; everybody writes 32.
const MOST_SALT: usize = 256;

/// Why such a file cannot be opened. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Web3Error {
    #[error("this is not a Web3 keystore, or it is cut off ({0})")]
    NotAKeystore(String),
    #[error("Web3 keystore with {what} {got}, this program reads {want}")]
    Unsupported { what: &'static str, got: String, want: String },
    #[error("wrong passphrase, or the file is damaged: nothing in it tells which")]
    WrongPassphrase,
    #[error("the keystore opened, but what it holds is not a key of an account")]
    NotAKey,
    #[error("the keystore names the account {named}, and its key is that of {got}: the file was changed")]
    OtherAddress { named: Address, got: Address },
}

/// A file that is read and not opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Web3Keystore {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    // geth once wrote it in upper case.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    id: String,
    version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

/// Of either function; those of the other are absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct KdfParams {
    dklen: u32,
    salt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
}

impl Web3Keystore {
    /// Whether a file is meant to be one; then [`Web3Keystore::parse`] says what is wrong with it.
    pub fn is_meant(json: &[u8]) -> bool {
        let value: Option<serde_json::Value> = serde_json::from_slice(json).ok();
        value.is_some_and(|value| value.get("crypto").or_else(|| value.get("Crypto")).is_some())
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// `NotAKeystore`, or `Unsupported` for another version.
    pub fn parse(json: &[u8]) -> Result<Self, Web3Error> {
        let keystore: Self =
            serde_json::from_slice(json).map_err(|error| Web3Error::NotAKeystore(error.to_string()))?;
        if keystore.version != VERSION {
            return Err(unsupported("version", keystore.version, VERSION));
        }
        Ok(keystore)
    }

    /// The account that the file names; nobody vouches for it.
    pub fn address(&self) -> Option<Address> {
        self.address.as_ref()?.parse().ok()
    }

    /// Encrypts a key, as geth does.
    ///
    /// # Panics
    ///
    /// Never: the parameters are constants.
    pub fn seal<R: RngCore + CryptoRng>(key: &SecretKey, passphrase: &str, rng: &mut R) -> Self {
        Self::seal_with(key, passphrase, LOG_N, rng)
    }

    fn seal_with<G: RngCore + CryptoRng>(key: &SecretKey, passphrase: &str, log_n: u8, rng: &mut G) -> Self {
        let (mut salt, mut iv, mut id) = ([0; 32], [0; 16], [0; 16]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut iv);
        rng.fill_bytes(&mut id);
        let params = scrypt::Params::new(log_n, R, P, DERIVED).expect("within RFC 7914's bounds");
        let mut derived = Zeroizing::new([0; DERIVED]);
        scrypt::scrypt(passphrase.as_bytes(), &salt, &params, derived.as_mut_slice()).expect("a length that it has");
        let mut text = key.secret_bytes();
        crypt(&derived, &iv, &mut text);
        let kdfparams = KdfParams {
            dklen: DERIVED as u32,
            salt: hex::encode(salt),
            n: Some(1 << log_n),
            r: Some(R),
            p: Some(P),
            ..KdfParams::default()
        };
        let crypto = Crypto {
            cipher: CIPHER.to_owned(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            ciphertext: hex::encode(text),
            kdf: "scrypt".to_owned(),
            kdfparams,
            mac: hex::encode(mac(&derived, &text)),
        };
        let account = address(&PublicKey::from_secret_key(SECP256K1, key));
        Self { address: Some(format!("{account:x}")), crypto, id: random_uuid(id), version: VERSION }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers") + "\n"
    }

    /// The key.
    ///
    /// # Errors
    ///
    /// `WrongPassphrase`, `Unsupported` (also for more work or memory than a file may ask for), `NotAKey`, `OtherAddress`.
    pub fn open(&self, passphrase: &str) -> Result<SecretKey, Web3Error> {
        let crypto = &self.crypto;
        if crypto.cipher != CIPHER {
            return Err(unsupported("cipher", &crypto.cipher, CIPHER));
        }
        let iv = bytes("iv", &crypto.cipherparams.iv)?;
        let iv: [u8; 16] = iv.as_slice().try_into().map_err(|_| unsupported("iv of bytes", iv.len(), 16))?;
        let ciphertext = bytes("ciphertext", &crypto.ciphertext)?;
        if ciphertext.len() != 32 {
            return Err(unsupported("ciphertext of bytes", ciphertext.len(), 32));
        }
        let derived = self.derive(passphrase)?;
        // Public either way: who has the file has the MAC, and tries passphrases without this program.
        if bytes("mac", &crypto.mac)? != mac(&derived, &ciphertext) {
            return Err(Web3Error::WrongPassphrase);
        }
        let mut secret = Zeroizing::new(ciphertext);
        crypt(&derived, &iv, secret.as_mut_slice());
        let key = SecretKey::from_slice(&secret).map_err(|_| Web3Error::NotAKey)?;
        let got = address(&PublicKey::from_secret_key(SECP256K1, &key));
        match self.address() {
            Some(named) if named != got => Err(Web3Error::OtherAddress { named, got }),
            _ => Ok(key),
        }
    }

    fn derive(&self, passphrase: &str) -> Result<Zeroizing<[u8; DERIVED]>, Web3Error> {
        let params = &self.crypto.kdfparams;
        if params.dklen as usize != DERIVED {
            return Err(unsupported("dklen", params.dklen, DERIVED));
        }
        let salt = bytes("salt", &params.salt)?;
        if salt.len() > MOST_SALT {
            return Err(unsupported("salt of bytes", salt.len(), format!("at most {MOST_SALT}")));
        }
        let mut derived = Zeroizing::new([0; DERIVED]);
        match self.crypto.kdf.as_str() {
            "scrypt" => {
                let cost = params.scrypt()?;
                scrypt::scrypt(passphrase.as_bytes(), &salt, &cost, derived.as_mut_slice())
                    .map_err(|_| params.beyond())?;
            }
            "pbkdf2" => {
                let iterations = params.iterations()?;
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), &salt, iterations, derived.as_mut_slice());
            }
            other => return Err(unsupported("key derivation", other, "scrypt or pbkdf2")),
        }
        Ok(derived)
    }
}

impl KdfParams {
    /// What the file asks for, unless it is more than a file may ask for, or scrypt forbids it.
    fn scrypt(&self) -> Result<scrypt::Params, Web3Error> {
        let (Some(n), Some(r), Some(p)) = (self.n, self.r, self.p) else { return Err(self.beyond()) };
        let memory = n.checked_mul(u64::from(r)).and_then(|blocks| blocks.checked_mul(128));
        let memory = memory.filter(|memory| *memory <= MOST_MEMORY && n > 1 && n.is_power_of_two());
        let work = memory.and_then(|memory| memory.checked_mul(p.into())).filter(|work| *work <= MOST_WORK);
        work.ok_or_else(|| self.beyond())?;
        // RFC 7914: N is less than 2^(128 r / 8). The definition's own example breaks that; no wallet does.
        let log_n = u8::try_from(n.ilog2()).map_err(|_| self.beyond())?;
        scrypt::Params::new(log_n, r, p, DERIVED).map_err(|_| self.beyond())
    }

    fn iterations(&self) -> Result<u32, Web3Error> {
        if self.prf.as_deref().is_some_and(|prf| prf != PRF) {
            return Err(unsupported("prf", format!("{:?}", self.prf), PRF));
        }
        let most = 1..=MOST_ITERATIONS;
        self.c.filter(|c| most.contains(c)).ok_or_else(|| self.beyond())
    }

    fn beyond(&self) -> Web3Error {
        let got = format!("n {:?}, r {:?}, p {:?}, c {:?}", self.n, self.r, self.p, self.c);
        let want =
            format!("scrypt of up to {} MiB within RFC 7914, or up to {MOST_ITERATIONS} iterations", MOST_MEMORY >> 20);
        unsupported("key derivation", got, want)
    }
}

fn crypt(derived: &[u8; DERIVED], iv: &[u8; 16], text: &mut [u8]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    Ctr128BE::<Aes128>::new((&*key).into(), iv.into()).apply_keystream(text);
}

fn mac(derived: &[u8; DERIVED], ciphertext: &[u8]) -> Vec<u8> {
    let input = Zeroizing::new([&derived[16..], ciphertext].concat());
    keccak256(input.as_slice()).to_vec()
}

fn bytes(what: &'static str, text: &str) -> Result<Vec<u8>, Web3Error> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(text).map_err(|error| Web3Error::NotAKeystore(format!("{what}: {error}")))
}

fn unsupported(what: &'static str, got: impl ToString, want: impl ToString) -> Web3Error {
    // The file may come from anybody.
    let got: String = got.to_string().chars().take(100).collect();
    Web3Error::Unsupported { what, got, want: want.to_string() }
}

/// RFC 9562, version 4.
fn random_uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    /// "PBKDF2-SHA-256" of the Web3 Secret Storage Definition (ethereum.org).
    const DEFINITION: &str = r#"{
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144, "dklen": 32, "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3
    }"#;

    fn parse(json: &str) -> Web3Keystore {
        assert!(Web3Keystore::is_meant(json.as_bytes()));
        Web3Keystore::parse(json.as_bytes()).expect("a keystore")
    }

    #[test]
    fn the_definitions_example_opens_by_its_passphrase_alone() {
        let keystore = parse(DEFINITION);
        let key = keystore.open("testpassword").expect("its passphrase");
        assert_eq!(
            key.display_secret().to_string(),
            "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
        );
        assert_eq!(keystore.open("testpasswort"), Err(Web3Error::WrongPassphrase));
    }

    #[test]
    fn a_key_comes_back_from_scrypt_and_a_changed_file_does_not_open() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let key = SecretKey::new(&mut rng);
        let sealed = Web3Keystore::seal_with(&key, "correct horse", 10, &mut rng);
        let read = parse(&sealed.to_json());
        assert_eq!(read.open("correct horse"), Ok(key));
        assert_eq!(read.address(), Some(address(&PublicKey::from_secret_key(SECP256K1, &key))));
        let mut changed = read.clone();
        changed.address = Some(format!("{:x}", Address::ZERO));
        assert!(matches!(changed.open("correct horse"), Err(Web3Error::OtherAddress { .. })));
        let mut changed = read.clone();
        changed.crypto.ciphertext.replace_range(..2, if &changed.crypto.ciphertext[..2] == "00" { "01" } else { "00" });
        assert_eq!(changed.open("correct horse"), Err(Web3Error::WrongPassphrase));
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory_or_for_hours() {
        let scrypt = |n: u64, r: u32, p: u32| {
            let mut keystore = parse(DEFINITION);
            keystore.crypto.kdf = "scrypt".to_owned();
            let salt = keystore.crypto.kdfparams.salt;
            keystore.crypto.kdfparams =
                KdfParams { dklen: 32, salt, n: Some(n), r: Some(r), p: Some(p), ..KdfParams::default() };
            keystore.open("testpassword")
        };
        for (n, r, p) in [
            (1 << 63, 8, 1),
            (1 << 20, 8, 1),
            (u64::MAX, u32::MAX, u32::MAX),
            (1 << 18, 8, 100),
            (0, 8, 1),
            (1, 8, 1),
            (1000, 8, 1),
            (1024, 0, 1),
            (1024, 8, 0),
            (1 << 18, 1, 8),
        ] {
            assert!(matches!(scrypt(n, r, p), Err(Web3Error::Unsupported { .. })), "n {n}, r {r}, p {p}");
        }
        assert_eq!(scrypt(1024, 8, 1), Err(Web3Error::WrongPassphrase));
        for iterations in [0, u32::MAX] {
            let mut keystore = parse(DEFINITION);
            keystore.crypto.kdfparams.c = Some(iterations);
            assert!(matches!(keystore.open("testpassword"), Err(Web3Error::Unsupported { .. })), "{iterations}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        assert!(!Web3Keystore::is_meant(b"{\"version\": 1, \"kind\": \"account\"}"));
        assert!(matches!(Web3Keystore::parse(b"{}"), Err(Web3Error::NotAKeystore(_))));
        for (from, to) in [
            ("\"version\": 3", "\"version\": 1"),
            ("aes-128-ctr", "aes-128-cbc"),
            ("\"pbkdf2\"", "\"argon2\""),
            ("hmac-sha256", "hmac-sha512"),
            ("\"dklen\": 32", "\"dklen\": 16"),
            ("6087dab2", ""),
            ("5318b4d5", ""),
        ] {
            let json = DEFINITION.replace(from, to);
            let refused = Web3Keystore::parse(json.as_bytes()).and_then(|keystore| keystore.open("testpassword"));
            assert!(matches!(refused, Err(Web3Error::Unsupported { .. })), "{to}: {refused:?}");
        }
    }

    #[test]
    fn an_id_is_a_uuid() {
        assert_eq!(random_uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
