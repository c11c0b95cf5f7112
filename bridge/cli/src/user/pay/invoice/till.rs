//! The keys of invoices: derived from the merchant's account, so that whoever has its key has them all, and no server that only makes
//! invoices needs it.
//!
//! ```text
//!   account's key ─HMAC─▶ master ─public half─▶ kept in HOME/invoices/tills    m/0/<reference>  account that is paid
//!                                                                              m/1/<reference>  key that reclaims a deposit
//! ```
//! Derivation is BIP32's, not hardened, with a path that is a hash of the reference. Whoever had one derived secret key and the public half could
//! compute the merchant's derivation key (never its account key): derived secrets are therefore used here and shown nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, keccak256};
use bitcoin::NetworkKind;
use bitcoin::bip32::{ChildNumber, Xpriv, Xpub};
use bitcoin::hashes::{Hash as _, HashEngine as _, Hmac, HmacEngine, sha256};
use bitcoin::secp256k1::{Keypair, PublicKey, SECP256K1, SecretKey};
use bridge::io::sidechain::Account;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::{read_optional, write_new};
use payments::account_signature::address;
use serde::{Deserialize, Serialize};

use crate::dev::accounts::dev_account;
use crate::keystores;
use crate::options::account::AccountArgs;
use crate::options::home::has_wallet;

/// What the derivation is for: no other use of the account's key makes the same keys.
const PURPOSE: &[u8] = b"causeway invoices 1";

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Use {
    Account = 0,
    Reclaim = 1,
}

/// The public half: makes accounts to be paid at, spends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Till {
    /// The merchant's account.
    pub owner: Address,
    key: Xpub,
}

/// The secret half.
pub struct Drawer {
    pub owner: Address,
    key: Xpriv,
}

impl Drop for Drawer {
    fn drop(&mut self) {
        self.key.private_key.non_secure_erase();
    }
}

/// Which invoice on which network, as a path of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place([u32; 4]);

impl Place {
    pub fn of(network: B256, reference: &str) -> Self {
        let hash = keccak256([network.as_slice(), reference.as_bytes()].concat());
        let word = |at: usize| {
            let bytes = [hash[4 * at], hash[4 * at + 1], hash[4 * at + 2], hash[4 * at + 3]];
            u32::from_be_bytes(bytes) & 0x7fff_ffff
        };
        Self([word(0), word(1), word(2), word(3)])
    }

    fn path(self, for_use: Use) -> Vec<ChildNumber> {
        let steps = [&[for_use as u32][..], &self.0].concat();
        steps.into_iter().map(|step| ChildNumber::Normal { index: step }).collect()
    }
}

impl Till {
    /// The account that is paid.
    pub fn account(&self, place: Place) -> Address {
        address(&self.derived(place, Use::Account))
    }

    /// The key that takes an unswept deposit back.
    pub fn reclaim_key(&self, place: Place) -> PublicKey {
        self.derived(place, Use::Reclaim)
    }

    fn derived(&self, place: Place, for_use: Use) -> PublicKey {
        self.key.derive_pub(SECP256K1, &place.path(for_use)).expect("indices below 2^31 derive").public_key
    }
}

impl Drawer {
    pub fn of(account: &Account) -> Self {
        let mut engine = HmacEngine::<sha256::Hash>::new(PURPOSE);
        let mut secret = account.secret();
        engine.input(&secret.secret_bytes());
        secret.non_secure_erase();
        let seed = Hmac::<sha256::Hash>::from_engine(engine);
        let key = Xpriv::new_master(NetworkKind::Main, seed.as_byte_array()).expect("32 bytes of seed are enough");
        Self { owner: account.address(), key }
    }

    pub fn till(&self) -> Till {
        Till { owner: self.owner, key: Xpub::from_priv(SECP256K1, &self.key) }
    }

    /// The account that was paid.
    pub fn account(&self, place: Place) -> Account {
        Account::from_key(self.derived(place, Use::Account))
    }

    /// The key that takes an unswept deposit back.
    pub fn reclaim_key(&self, place: Place) -> Keypair {
        Keypair::from_secret_key(SECP256K1, &self.derived(place, Use::Reclaim))
    }

    fn derived(&self, place: Place, for_use: Use) -> SecretKey {
        self.key.derive_priv(SECP256K1, &place.path(for_use)).expect("indices below 2^31 derive").private_key
    }
}

/// The till of the account that the arguments name; the passphrase is asked for once, when it is made.
///
/// # Errors
///
/// The account does not open, or no account is named and there is not exactly one till.
pub fn of_merchant(home: &Path, account: &AccountArgs, bitcoin: mainchain::Network) -> Result<Till> {
    let folder = folder(home);
    if let Some(kept) = named(account)?.map(|owner| read(&folder, owner)).transpose()?.flatten() {
        return Ok(kept);
    }
    if !account.is_named() && (folder.exists() || !has_wallet(home)) {
        return only(&folder);
    }
    let till = Drawer::of(&account.open(home, bitcoin)?).till();
    let json = serde_json::to_vec_pretty(&till).expect("text always serialises");
    files::make_private_folder(&folder)
        .and_then(|()| write_new(&path(&folder, till.owner), &json))
        .wrap_err("cannot keep the public half of the keys of invoices")?;
    match read(&folder, till.owner)? {
        Some(kept) if kept == till => Ok(till),
        _ => bail!("{} is not what this account makes: it was changed; remove it", path(&folder, till.owner).display()),
    }
}

/// Who it is, as far as the arguments tell without a passphrase.
pub fn named(account: &AccountArgs) -> Result<Option<Address>> {
    if let Some(number) = account.dev_account {
        return Ok(Some(dev_account(number).address()));
    }
    let Some(path) = &account.keystore else { return Ok(None) };
    keystores::named_account(path)
}

/// Of a folder with one till alone.
fn only(folder: &Path) -> Result<Till> {
    let none = || {
        eyre!(
            "whose invoice? --keystore FILE (made by `causeway keys`; asked for its passphrase once), or --dev-account 0 on a development network"
        )
    };
    let entries: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|path| is_json(path)).collect(),
        Err(_) => return Err(none()),
    };
    match entries.as_slice() {
        [] => Err(none()),
        [one] => parse(one)?.ok_or_else(none),
        _ => bail!("there are {} merchants here: name one by --keystore or --dev-account", entries.len()),
    }
}

fn read(folder: &Path, owner: Address) -> Result<Option<Till>> {
    let till = parse(&path(folder, owner))?;
    ensure!(till.as_ref().is_none_or(|till| till.owner == owner), "the till of {owner} is another's: it was changed");
    Ok(till)
}

fn parse(path: &Path) -> Result<Option<Till>> {
    let Some(json) = read_optional(path)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).wrap_err_with(|| format!("{} is damaged", path.display()))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn folder(home: &Path) -> PathBuf {
    home.join("invoices").join("tills")
}

fn path(folder: &Path, owner: Address) -> PathBuf {
    folder.join(format!("{owner:x}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_half_makes_the_accounts_that_the_secret_half_spends_from() {
        let merchant = crate::dev::accounts::dev_account(0);
        let drawer = Drawer::of(&merchant);
        let till = drawer.till();
        let place = |network: u8, reference| Place::of(B256::repeat_byte(network), reference);
        let one = place(1, "order-1");
        assert_eq!(till.account(one), drawer.account(one).address());
        assert_eq!(till.reclaim_key(one), drawer.reclaim_key(one).public_key());
        let all = [
            till.account(one),
            till.account(place(1, "order-2")),
            till.account(place(2, "order-1")),
            merchant.address(),
        ];
        for (at, account) in all.iter().enumerate() {
            assert!(!all[..at].contains(account), "{account} twice");
        }
        // Frozen, and computed by viem's HDKey: whoever lost every file but the account's key finds what was paid by the reference alone.
        assert_eq!(till.account(one).to_string(), "0x87673789098C5C17756E59407292eE4ffE6C0476");
    }

    #[test]
    fn a_till_is_written_without_secrets_and_reads_back() {
        let till = Drawer::of(&crate::dev::accounts::dev_account(0)).till();
        let json = serde_json::to_string(&till).expect("text");
        assert!(json.contains("xpub") && !json.contains("xprv"), "{json}");
        assert_eq!(serde_json::from_str::<Till>(&json).expect("a till"), till);
    }
}
