//! A user's own record of deposit addresses: what each commits to, and the key that takes an unswept deposit back.
//!
//! One file an address, written and synced before the address is shown, so that whoever pays it can always take the money
//! back, with no server's memory and no sidechain at all. The key that takes it back is encrypted under the user's
//! passphrase.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use bitcoin::Amount;
use bitcoin::secp256k1::{Keypair, SECP256K1, SecretKey, XOnlyPublicKey};
use bridge::keystore::{KdfParams, Keystore};
use bridge::peg;
use contracts::address;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::write_new;
use mainchain::Network;
use mainchain::deposit::{DepositOutput, DepositTerms, Peg};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What the reclaim key's keystore calls itself.
const RECLAIM_KIND: &str = "reclaim key";

/// What an address commits to, and everything it takes to take the deposit back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The Bitcoin address that is paid.
    pub address: String,
    /// The Bitcoin network it is of.
    pub network: Network,
    /// The sidechain's: hash of all that its operators agreed on.
    pub network_id: B256,
    /// The contract Bridge.
    pub bridge: Address,
    /// Who gets the coins on the sidechain.
    pub recipient: Address,
    /// Who can fetch them there should the recipient's code refuse them.
    pub claimant: Address,
    /// Who can take an unswept deposit back; x-only.
    pub reclaim_key: B256,
    /// Its secret, encrypted; none when it is the wallet's, or the user has a key of their own.
    pub reclaim_keystore: Option<Keystore>,
    /// Which of the wallet's reclaim keys it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_index: Option<u32>,
    /// The most that the sweep may cost each deposit.
    pub max_fee_sat: u64,
    /// Hash of data for the recipient; zero: none.
    pub data_hash: B256,
    /// The federation's, whose key it is.
    pub epoch: u32,
    /// The federation's key of that epoch; x-only.
    pub group_key: B256,
    /// Bitcoin blocks after which an unswept deposit can be taken back.
    pub reclaim_delay: NonZeroU16,
}

/// Who gets the coins on the sidechain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub recipient: Address,
    /// Who can fetch them should the recipient's code refuse them.
    pub claimant: Address,
}

impl Receiver {
    /// An account that takes what it is sent.
    pub fn account(recipient: Address) -> Self {
        Self { recipient, claimant: recipient }
    }

    /// The bridge's reserve, which pays what charges do not: nobody gets coins for it.
    pub const RESERVE: Self = Self { recipient: address::BRIDGE, claimant: Address::ZERO };
}

/// A folder of records.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

impl Record {
    /// A new address, computed here from the federation's key: whatever the node answers is compared with it.
    ///
    /// # Errors
    ///
    /// The federation has no key yet, or the node says what cannot be.
    pub fn new(
        info: &peg::Info,
        network: Network,
        to: Receiver,
        max_fee: Amount,
        reclaim_key: ReclaimKey,
    ) -> Result<Self> {
        Self::with_data(info, network, to, max_fee, reclaim_key, B256::ZERO)
    }

    /// The same with the hash of data for the recipient.
    ///
    /// # Errors
    ///
    /// As [`Record::new`].
    pub fn with_data(
        info: &peg::Info,
        network: Network,
        to: Receiver,
        max_fee: Amount,
        reclaim_key: ReclaimKey,
        data_hash: B256,
    ) -> Result<Self> {
        let reclaim_delay = NonZeroU16::new(info.parameters.reclaim_delay)
            .ok_or_else(|| eyre!("the node says that deposits can never be reclaimed (delay 0)"))?;
        let mut record = Self {
            address: String::new(),
            network,
            network_id: info.network_id,
            bridge: info.contracts.bridge,
            recipient: to.recipient,
            claimant: to.claimant,
            reclaim_key: B256::from(reclaim_key.public().serialize()),
            reclaim_index: reclaim_key.index(),
            reclaim_keystore: reclaim_key.keystore(),
            max_fee_sat: max_fee.to_sat(),
            data_hash,
            epoch: info.epoch,
            group_key: group_key(info)?,
            reclaim_delay,
        };
        record.address = record.output()?.address(network).to_string();
        Ok(record)
    }

    /// What the depositor commits to with the address.
    ///
    /// # Errors
    ///
    /// The record is damaged.
    pub fn terms(&self) -> Result<DepositTerms> {
        DepositTerms::try_from(&self.registration()).wrap_err("the reclaim key is not a point of the curve")
    }

    /// What the node is told of the address.
    pub fn registration(&self) -> peg::Terms {
        peg::Terms {
            recipient: self.recipient,
            claimant: self.claimant,
            reclaim_key: self.reclaim_key,
            max_fee_sat: self.max_fee_sat,
            data_hash: self.data_hash,
            epoch: self.epoch,
        }
    }

    /// The output that the address pays.
    ///
    /// # Errors
    ///
    /// The record is damaged.
    pub fn output(&self) -> Result<DepositOutput> {
        let peg = Peg { network_id: self.network_id.0, bridge: self.bridge.into_array(), delay: self.reclaim_delay };
        let group_key = x_only(self.group_key).wrap_err("the federation's key is not a point of the curve")?;
        Ok(self.terms()?.output(&peg, group_key))
    }

    /// The keystore of the key that takes the deposit back.
    ///
    /// # Errors
    ///
    /// The user has that key elsewhere, or the record is damaged.
    pub fn reclaim_keystore(&self) -> Result<Keystore> {
        let keystore = self.reclaim_keystore.as_ref().ok_or_else(|| {
            eyre!("the record of {} has no reclaim key: the address was made with your own --reclaim-key (sign with that key), or for an invoice (name the merchant's --keystore)", self.address)
        })?;
        Keystore::parse(keystore.to_json().as_bytes())
            .wrap_err_with(|| format!("the reclaim key in the record of {}", self.address))
    }
}

/// Opens the key that takes a deposit back.
///
/// # Errors
///
/// A wrong passphrase, or the record is damaged.
pub fn open_reclaim_key(keystore: &Keystore, passphrase: &str) -> Result<Keypair> {
    let secret = keystore.open(RECLAIM_KIND, passphrase)?;
    let secret = SecretKey::from_slice(&secret).wrap_err("the record's reclaim key is not a key")?;
    Ok(Keypair::from_secret_key(SECP256K1, &secret))
}

/// The federation's key, x-only.
///
/// # Errors
///
/// There is none yet.
pub fn group_key(info: &peg::Info) -> Result<B256> {
    info.group_key.ok_or_else(|| {
        eyre!(
            "the federation has no key yet: its {} members are still making it; try again in a moment",
            info.members.len()
        )
    })
}

/// Who can take an unswept deposit back.
#[derive(Clone)]
pub enum ReclaimKey {
    /// A fresh key, kept encrypted in the record.
    Sealed { key: XOnlyPublicKey, keystore: Box<Keystore> },
    /// One of the wallet's, whose words make it again.
    Wallet { key: XOnlyPublicKey, index: u32 },
    /// The user's own key, kept elsewhere.
    Own(XOnlyPublicKey),
}

impl ReclaimKey {
    /// A fresh key, encrypted under `passphrase`.
    ///
    /// # Errors
    ///
    /// Those of the encryption.
    pub fn fresh(passphrase: &str) -> Result<Self> {
        let rng = &mut rand::thread_rng();
        let mut pair = Keypair::new(SECP256K1, rng);
        let key = pair.x_only_public_key().0;
        let public = BTreeMap::from([("reclaimKey".to_owned(), key.to_string())]);
        let secret = Zeroizing::new(pair.secret_bytes());
        pair.non_secure_erase();
        let keystore = Keystore::seal(RECLAIM_KIND, public, secret.as_slice(), passphrase, KdfParams::default(), rng)?;
        Ok(Self::Sealed { key, keystore: Box::new(keystore) })
    }

    fn public(&self) -> XOnlyPublicKey {
        let (Self::Sealed { key, .. } | Self::Wallet { key, .. } | Self::Own(key)) = self;
        *key
    }

    fn keystore(self) -> Option<Keystore> {
        match self {
            Self::Sealed { keystore, .. } => Some(*keystore),
            Self::Wallet { .. } | Self::Own(_) => None,
        }
    }

    fn index(&self) -> Option<u32> {
        match self {
            Self::Wallet { index, .. } => Some(*index),
            Self::Sealed { .. } | Self::Own(_) => None,
        }
    }
}

impl Records {
    /// Those of the user whose folder is `home`.
    pub fn in_home(home: &Path) -> Self {
        Self { folder: home.join("deposits") }
    }

    /// Keeps a record. When this returns, one of the address is on disk; where it is. One that is there already stays as it is: it
    /// may have the only secret that takes the deposit back.
    ///
    /// # Errors
    ///
    /// Those of the disk, or what is there is no record of this address.
    pub fn keep(&self, record: &Record) -> Result<PathBuf> {
        let path = self.path(&record.address);
        let json = serde_json::to_vec_pretty(record).expect("text and numbers always serialise");
        let written = files::make_private_folder(&self.folder).and_then(|()| write_new(&path, &json));
        let new = written.wrap_err_with(|| format!("cannot keep the record of the address at {}; the address is not shown, because without the record it could not be reclaimed", path.display()))?;
        if !new {
            let kept = self.find(&record.address)?;
            let (reclaim_keystore, reclaim_index) = (record.reclaim_keystore.clone(), record.reclaim_index);
            let same = Record { reclaim_keystore, reclaim_index, ..kept.clone() } == *record;
            ensure!(
                same,
                "{} is the record of another address than {}: it is not replaced",
                path.display(),
                kept.address
            );
        }
        Ok(path)
    }

    /// Whether there is a record of an address, readable or not.
    pub fn has(&self, address: &str) -> bool {
        self.path(address).exists()
    }

    /// Removes the record of an address that nobody was shown and no node took.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn remove(&self, record: &Record) -> Result<()> {
        let path = self.path(&record.address);
        fs::remove_file(&path).wrap_err_with(|| format!("cannot remove {}", path.display()))
    }

    /// All of them that can be read; of the others a warning tells.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn all(&self) -> Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {}", self.folder.display())),
        };
        let mut records = Vec::new();
        for path in
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|of| of == "json"))
        {
            let text = fs::read_to_string(&path).map_err(eyre::Report::from);
            match text.and_then(|text| read(&text)) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!("{} is left out: {error:#}", path.display()),
            }
        }
        Ok(records)
    }

    /// The record of an address.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or it is not a record.
    pub fn find(&self, address: &str) -> Result<Record> {
        let path = self.path(address);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "no record of {address} in {}; `causeway peg-in` keeps one there for each address it makes (--home names another folder)",
                self.folder.display()
            ),
            Err(error) => {
                return Err(error).wrap_err_with(|| format!("cannot read {}", path.display()));
            }
        };
        read(&text).wrap_err_with(|| path.display().to_string())
    }

    /// Those of a network, the newest first; and how many there are besides these `most`. One that cannot be read is told, and hides no other.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn newest(&self, network_id: B256, most: usize) -> Result<(Vec<Record>, usize)> {
        let mut found = Vec::new();
        for path in newest_files(&self.folder)? {
            match fs::read_to_string(&path).map_err(eyre::Report::from).and_then(|text| read(&text)) {
                Ok(record) if record.network_id == network_id => found.push(record),
                Ok(_) => {}
                Err(error) => tracing::warn!("{} is left out: {error:#}", path.display()),
            }
        }
        let others = found.len().saturating_sub(most);
        found.truncate(most);
        Ok((found, others))
    }

    fn path(&self, address: &str) -> PathBuf {
        // An address is letters and digits; anything else must not become a path.
        let name: String = address.chars().filter(char::is_ascii_alphanumeric).collect();
        self.folder.join(format!("{name}.json"))
    }
}

/// The records in a folder, the newest first; none where no folder is.
///
/// # Errors
///
/// The folder cannot be read.
pub fn newest_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {}", folder.display())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.wrap_err_with(|| format!("cannot read {}", folder.display()))?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            files.push((std::cmp::Reverse(written), path));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// A record, whose parts make exactly the address that it is of: whatever is done with it is done to that address.
fn read(text: &str) -> Result<Record> {
    let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).wrap_err("not a deposit record")?;
    ensure!(
        fields.contains_key("claimant") || !fields.contains_key("recipient"),
        "the record names no claimant: it is of an address that an earlier version of causeway made, which commits to less. That version's `causeway reclaim` takes what was paid to it back; this one must not be used with it"
    );
    let record: Record = serde_json::from_str(text).wrap_err("not a deposit record")?;
    let made = record.output()?.address(record.network).to_string();
    ensure!(made == record.address, "the record is damaged: its parts make the address {made}, not {}", record.address);
    Ok(record)
}

fn x_only(key: B256) -> Result<XOnlyPublicKey> {
    XOnlyPublicKey::from_slice(key.as_slice()).wrap_err_with(|| format!("{key} is not an x-only public key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(keystore: Option<Keystore>) -> Record {
        let key = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("the generator");
        let mut record = Record {
            address: String::new(),
            network: Network::Regtest,
            network_id: B256::repeat_byte(7),
            bridge: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            claimant: Address::repeat_byte(3),
            reclaim_key: key,
            reclaim_keystore: keystore,
            reclaim_index: None,
            max_fee_sat: 5_000,
            data_hash: B256::ZERO,
            epoch: 1,
            group_key: key,
            reclaim_delay: NonZeroU16::new(1008).expect("not zero"),
        };
        record.address = record.output().expect("keys").address(Network::Regtest).to_string();
        record
    }

    fn json(record: &Record) -> serde_json::Value {
        serde_json::to_value(record).expect("text and numbers")
    }

    #[test]
    fn an_address_commits_to_everything_that_the_record_keeps_of_the_terms() {
        let right = record(None);
        assert_eq!(read(&json(&right).to_string()).expect("a record"), right);
        let changes = [
            ("networkId", serde_json::json!(B256::repeat_byte(8))),
            ("bridge", serde_json::json!(Address::repeat_byte(8))),
            ("recipient", serde_json::json!(Address::repeat_byte(8))),
            ("claimant", serde_json::json!(Address::repeat_byte(8))),
            ("maxFeeSat", serde_json::json!(5_001)),
            ("dataHash", serde_json::json!(B256::repeat_byte(8))),
            ("reclaimDelay", serde_json::json!(1_009)),
            ("network", serde_json::json!("testnet4")),
        ];
        for (field, value) in changes {
            let mut other = json(&right);
            other[field] = value;
            let refused = format!("{:#}", read(&other.to_string()).expect_err(field));
            assert!(refused.contains("damaged"), "{field}: {refused}");
        }
    }

    #[test]
    fn a_record_of_an_earlier_version_is_refused_with_a_sentence() {
        let mut old = json(&record(None));
        let fields = old.as_object_mut().expect("an object");
        fields.remove("claimant");
        fields.remove("dataHash");
        let refused = format!("{:#}", read(&old.to_string()).expect_err("old"));
        assert!(refused.contains("an earlier version of causeway") && refused.contains("reclaim"), "{refused}");
        let refused = format!("{:#}", read("{}").expect_err("nothing"));
        assert!(refused.contains("not a deposit record"), "{refused}");
    }

    #[test]
    fn the_newest_records_of_a_network_are_found_and_a_broken_one_hides_no_other() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let records = Records::in_home(home.path());
        let network = B256::repeat_byte(7);
        assert_eq!(records.newest(network, 5).expect("none yet"), (vec![], 0));
        let mine = record(None);
        records.keep(&mine).expect("kept");
        fs::write(home.path().join("deposits/broken.json"), "{").expect("written");
        fs::write(home.path().join("deposits/notes.txt"), "mine").expect("written");
        assert_eq!(records.newest(network, 5).expect("read"), (vec![mine], 0));
        assert_eq!(records.newest(network, 0).expect("read"), (vec![], 1));
        assert_eq!(records.newest(B256::ZERO, 5).expect("read"), (vec![], 0), "another network's");
    }

    #[test]
    fn no_record_is_replaced_and_no_reclaim_key_is_lost() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let records = Records::in_home(home.path());
        let quick = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let rng = &mut rand::thread_rng();
        let keystore = Keystore::seal(RECLAIM_KIND, BTreeMap::new(), &[5; 32], "correct horse", quick, rng);
        let with_secret = record(Some(keystore.expect("sealed")));
        records.keep(&with_secret).expect("kept");
        // The same key, now called one's own, makes the same address.
        records.keep(&record(None)).expect("it is there");
        assert_eq!(records.find(&with_secret.address).expect("kept"), with_secret);
        let other = Record { recipient: Address::repeat_byte(9), ..record(None) };
        assert!(records.keep(&other).expect_err("another's").to_string().contains("not replaced"));
        assert_eq!(records.find(&with_secret.address).expect("kept"), with_secret);
    }
}
