//! What a wallet's file tells without its passphrase: whose it is, and where its deposits can be taken back to. Nothing of it signs.
//!
//! ```text
//!  seed.json     account, and the public half of m/1008'/1'/0' -> reclaim keys of all deposits
//!  backup.json   that the owner showed to have the words, or a copy of the file, outside this machine
//! ```
//! Reclaim keys are derived without hardening, so that an address can be made where nobody types a passphrase. Whoever had the public half
//! and one secret reclaim key could compute the others (BIP32), never another key of the wallet: their secrets are used, and shown nowhere.
//!
//! Anybody who can write to the folder can change these files; a file that was changed does not open by its passphrase any more.

use std::path::{Path, PathBuf};

use alloy_primitives::Address as Account;
use bdk_wallet::KeychainKind;
use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::{SECP256K1, XOnlyPublicKey};
use files::{read_optional, write_atomic};
use mainchain::Network;
use mainchain::header::Height;
use serde::{Deserialize, Serialize};

use super::{ACCOUNT, BIRTHDAY, KEYCHAINS, NETWORK, RECLAIM, SEED_FILE, WalletError};
use crate::keystore::Keystore;

const BACKUP_FILE: &str = "backup.json";

/// A wallet, seen from outside.
#[derive(Clone, Debug)]
pub struct PublicWallet {
    folder: PathBuf,
    keystore: Keystore,
    account: Account,
    reclaim: Option<Xpub>,
}

/// How the owner showed that the wallet can be made again without this folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backup {
    /// Words were asked again.
    Words,
    /// An encrypted copy elsewhere was opened again.
    File,
}

/// That the backup was checked; of which wallet, as words can be exchanged in a folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    account: Account,
    by: Backup,
    /// In seconds since 1970.
    at: u64,
}

impl PublicWallet {
    /// The wallet in `folder`; none where there is none.
    ///
    /// # Errors
    ///
    /// `OtherNetwork`, a damaged file, or those of the disk.
    pub fn find(folder: &Path, network: Network) -> Result<Option<Self>, WalletError> {
        let path = folder.join(SEED_FILE);
        let Some(json) = read_optional(&path)? else { return Ok(None) };
        let keystore = Keystore::parse(&json).map_err(|error| WalletError::Keystore { path: path.clone(), error })?;
        let field = |name: &str| keystore.public().get(name).map(String::as_str);
        let got = field(NETWORK).unwrap_or_default().to_owned();
        if got != network.name() {
            return Err(WalletError::OtherNetwork { folder: folder.to_owned(), got, want: network });
        }
        let account = field(ACCOUNT).and_then(|text| text.parse().ok());
        let account = account.ok_or_else(|| WalletError::OtherKeys(path.clone()))?;
        let reclaim: Option<Result<Xpub, _>> = field(RECLAIM).map(str::parse);
        let reclaim = reclaim.transpose().map_err(|_| WalletError::OtherKeys(path))?;
        Ok(Some(Self { folder: folder.to_owned(), account, reclaim, keystore }))
    }

    /// The keystore file that opens by the wallet's passphrase.
    pub fn path(&self) -> PathBuf {
        self.folder.join(SEED_FILE)
    }

    /// What that file holds, sealed.
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// The account on the sidechain.
    pub fn account(&self) -> Account {
        self.account
    }

    /// How its Bitcoin addresses are made, with checksums (BIP380), and whether they are for change.
    pub fn descriptors(&self) -> Vec<(String, bool)> {
        let public = self.keystore.public();
        let of = |(keychain, name): (KeychainKind, &str)| {
            Some((public.get(name)?.clone(), keychain == KeychainKind::Internal))
        };
        KEYCHAINS.into_iter().filter_map(of).collect()
    }

    /// The block before which there are no payments to it.
    pub fn birthday(&self) -> Height {
        self.keystore.public().get(BIRTHDAY).and_then(|birthday| birthday.parse().ok()).unwrap_or(0)
    }

    /// The key that can take deposit `index` back.
    ///
    /// # Errors
    ///
    /// `NoReclaimKeys`: an earlier version made the file.
    ///
    /// # Panics
    ///
    /// If `index` is 2^31 or more.
    pub fn reclaim_key(&self, index: u32) -> Result<XOnlyPublicKey, WalletError> {
        let reclaim = self.reclaim.as_ref().ok_or_else(|| WalletError::NoReclaimKeys(self.folder.clone()))?;
        let child = ChildNumber::from_normal_idx(index).expect("an index below 2^31");
        let key = reclaim.derive_pub(SECP256K1, &[child]);
        Ok(key.expect("the chance that a child is not a key is below 2^-127").public_key.x_only_public_key().0)
    }

    /// How the backup was checked, if it was.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn backup(&self) -> Result<Option<Backup>, WalletError> {
        let json = read_optional(&self.folder.join(BACKUP_FILE))?;
        // One that cannot be read says nothing: the words are asked once more.
        let checked: Option<Checked> = json.and_then(|json| serde_json::from_slice(&json).ok());
        Ok(checked.filter(|checked| checked.account == self.account).map(|checked| checked.by))
    }

    /// The owner has a backup: addresses may be shown.
    ///
    /// # Errors
    ///
    /// `Unchecked`, `NoReclaimKeys`, or those of the disk.
    pub fn require_backup(&self) -> Result<(), WalletError> {
        self.backup()?.ok_or_else(|| WalletError::Unchecked(self.folder.clone()))?;
        self.reclaim_key(0).map(drop)
    }

    /// Notes that the backup was checked.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn note_backup(&self, by: Backup, at: u64) -> Result<(), WalletError> {
        let checked = Checked { account: self.account, by, at };
        let json = serde_json::to_vec_pretty(&checked).expect("text and numbers always serialise");
        Ok(write_atomic(&self.folder.join(BACKUP_FILE), &json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::wallet::{Seed, Wallet};
    use crate::keystore::KdfParams;

    const PASSPHRASE: &str = "correct horse";

    fn make(folder: &Path, seed: &Seed) -> PublicWallet {
        let quick = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let made = Wallet::create(folder, Network::Regtest, seed, 7, PASSPHRASE, quick, &mut rand::thread_rng());
        drop(made.expect("a wallet"));
        PublicWallet::find(folder, Network::Regtest).expect("readable").expect("there")
    }

    #[test]
    fn without_a_passphrase_it_tells_the_account_and_the_reclaim_keys_that_its_words_make() {
        let (seed, folder) = (Seed::generate(&mut rand::thread_rng()), tempfile::tempdir().expect("a folder"));
        assert!(PublicWallet::find(folder.path(), Network::Regtest).expect("readable").is_none());
        let wallet = make(folder.path(), &seed);
        assert_eq!((wallet.account(), wallet.birthday()), (seed.account_address(), 7));
        for index in [0, 1, 19, 2_147_483_647] {
            let secret = seed.reclaim_key(index).x_only_public_key().0;
            assert_eq!(wallet.reclaim_key(index).expect("derived"), secret);
        }
        assert!(matches!(PublicWallet::find(folder.path(), Network::Signet), Err(WalletError::OtherNetwork { .. })));
    }

    #[test]
    fn a_backup_that_was_checked_is_of_these_words_alone() {
        let (former, other) = (Seed::generate(&mut rand::thread_rng()), Seed::generate(&mut rand::thread_rng()));
        let folder = tempfile::tempdir().expect("a folder");
        let wallet = make(folder.path(), &former);
        let refused = wallet.require_backup().expect_err("not checked").to_string();
        assert!(refused.contains("causeway wallet check"), "{refused}");
        wallet.note_backup(Backup::Words, 1).expect("written");
        assert_eq!(wallet.backup().expect("readable"), Some(Backup::Words));
        wallet.require_backup().expect("checked");
        std::fs::remove_file(wallet.path()).expect("there");
        assert_eq!(make(folder.path(), &other).backup().expect("readable"), None);
        std::fs::write(folder.path().join(BACKUP_FILE), "rubbish").expect("written");
        assert_eq!(wallet.backup().expect("readable"), None);
    }

    #[test]
    fn a_file_of_an_earlier_version_gets_its_reclaim_keys_when_it_is_unlocked() {
        let (seed, folder) = (Seed::generate(&mut rand::thread_rng()), tempfile::tempdir().expect("a folder"));
        let made = make(folder.path(), &seed);
        let mut public = made.keystore().public().clone();
        public.remove(RECLAIM);
        let quick = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let words = seed.words().as_bytes();
        let old = Keystore::seal(made.keystore().kind(), public, words, PASSPHRASE, quick, &mut rand::thread_rng());
        std::fs::write(made.path(), old.expect("sealed").to_json()).expect("written");

        let find = || PublicWallet::find(folder.path(), Network::Regtest).expect("readable").expect("there");
        let refused = find().reclaim_key(0).expect_err("an earlier version's").to_string();
        assert!(refused.contains("causeway wallet check"), "{refused}");
        let mut wallet = Wallet::open(folder.path(), Network::Regtest).expect("opens");
        assert!(wallet.unlock("wrong horse").is_err());
        assert_eq!(wallet.unlock(PASSPHRASE).expect("its own").words(), seed.words());
        let upgraded = find();
        assert_eq!(upgraded.keystore().kdf(), quick);
        assert_eq!(upgraded.reclaim_key(3).expect("there"), seed.reclaim_key(3).x_only_public_key().0);
        assert_eq!(wallet.unlock(PASSPHRASE).expect("its own").words(), seed.words());
    }
}
