//! Invoices on disk: one file each, named by a hash of the merchant's reference, so that one reference is one invoice whoever asks and
//! however often.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, hex, keccak256};
use bitcoin::secp256k1::Keypair;
use bridge::io::sidechain::Account;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::{DirectoryLock, LockError, write_atomic, write_new};

use super::record::Invoice;
use super::till::{Drawer, Place};
use crate::user::deposit_record::Record;

/// Invoices that may be open at once: each is looked at by `causeway pay invoices`, at some milliseconds each.
const MAX_OPEN: usize = 1_000;
/// Bytes of the longest file that is read: many times one with all the deposits that it may have.
const MAX_BYTES: u64 = 256 * 1024;
/// How long another process may hold the folder; it does for a write.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// The invoices of a user on one network.
pub struct Store {
    folder: PathBuf,
}

impl Store {
    pub fn new(home: &Path, network_id: B256) -> Self {
        Self { folder: home.join("invoices").join(hex::encode(network_id)) }
    }

    /// The invoice of a reference.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged.
    pub fn find(&self, reference: &str) -> Result<Option<Invoice>> {
        let found = read(&self.path(reference))?;
        let is_it = found.as_ref().is_none_or(|invoice| invoice.reference == reference);
        ensure!(is_it, "{} is the invoice of another reference", self.path(reference).display());
        Ok(found)
    }

    /// Keeps a new invoice, and returns the one that is there now: another process may have been first.
    ///
    /// # Errors
    ///
    /// Too many are open, or those of the disk.
    pub fn add(&self, invoice: &Invoice) -> Result<Invoice> {
        let _lock = self.lock()?;
        if let Some(first) = self.find(&invoice.reference)? {
            return Ok(first);
        }
        let open = self.all()?.iter().filter(|invoice| !invoice.state().has_ended()).count();
        ensure!(
            open < MAX_OPEN,
            "{open} invoices are open, no more than {MAX_OPEN} may be: `causeway pay invoices` looks which have expired"
        );
        let path = self.path(&invoice.reference);
        let written = write_new(&path, &json(invoice));
        ensure!(
            written.wrap_err("the invoice is not shown, because it could not be kept")?,
            "{} appeared meanwhile",
            path.display()
        );
        Ok(invoice.clone())
    }

    /// Changes an invoice; what it is then. Written only if `change` says that something is new.
    ///
    /// # Errors
    ///
    /// There is none, or those of the disk.
    pub fn update(&self, reference: &str, change: impl FnOnce(&mut Invoice) -> bool) -> Result<Invoice> {
        let _lock = self.lock()?;
        let mut invoice = self.find(reference)?.ok_or_else(|| eyre!("there is no invoice {reference}"))?;
        if change(&mut invoice) {
            write_atomic(&self.path(reference), &json(&invoice))?;
        }
        Ok(invoice)
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    ///
    /// One cannot be read, or is damaged: it is better told than left out.
    pub fn all(&self) -> Result<Vec<Invoice>> {
        let mut all = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {}", self.folder.display())),
        };
        for entry in entries {
            let path = entry.wrap_err("cannot list the invoices")?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                all.extend(read(&path)?);
            }
        }
        all.sort_by(|a, b| (a.created_at, &a.reference).cmp(&(b.created_at, &b.reference)));
        Ok(all)
    }

    fn lock(&self) -> Result<DirectoryLock> {
        let until = Instant::now() + PATIENCE;
        loop {
            match DirectoryLock::acquire(&self.folder) {
                Err(LockError::InUse(_)) if Instant::now() < until => std::thread::sleep(PAUSE),
                taken => return Ok(taken?),
            }
        }
    }

    fn path(&self, reference: &str) -> PathBuf {
        self.folder.join(format!("{}.json", hex::encode(keccak256(reference))))
    }
}

fn json(invoice: &Invoice) -> Vec<u8> {
    serde_json::to_vec_pretty(invoice).expect("text and numbers always serialise")
}

fn read(path: &Path) -> Result<Option<Invoice>> {
    let cannot = || format!("cannot read the invoice {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).wrap_err_with(cannot),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).wrap_err_with(cannot)?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "{} is longer than {MAX_BYTES} bytes: it is no invoice", path.display());
    serde_json::from_slice(&bytes).map(Some).wrap_err_with(|| format!("the invoice {} is damaged", path.display()))
}

/// The key that reclaims a payment to an invoice's Bitcoin address: derived from the merchant's, kept nowhere.
///
/// # Errors
///
/// No invoice of this user has the address, or it is another merchant's.
pub fn reclaim_key(home: &Path, record: &Record, merchant: &Account) -> Result<Keypair> {
    let all = Store::new(home, record.network_id).all()?;
    let invoice = all.iter().find(|invoice| invoice.terms.bitcoin_address.as_deref() == Some(&record.address));
    let Some(invoice) = invoice else {
        bail!(
            "the record of {} has no reclaim key, and no invoice has this address: sign with the key that it was made with",
            record.address
        )
    };
    let key = Drawer::of(merchant).reclaim_key(Place::of(record.network_id, &invoice.reference));
    ensure!(
        key.x_only_public_key().0.serialize() == record.reclaim_key.0,
        "the invoice {} is of account {}, this is {}",
        invoice.reference,
        invoice.terms.owner,
        merchant.address()
    );
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::pay::invoice::record::tests::invoice;

    #[test]
    fn a_reference_is_one_invoice_however_many_ask_at_once() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (path, network) = (home.path().to_owned(), B256::repeat_byte(1));
        let asking: Vec<_> = (1..=8_u64)
            .map(|amount| {
                let store = Store::new(&path, network);
                let mut one = invoice();
                one.terms.amount_sat = amount;
                std::thread::spawn(move || store.add(&one).expect("kept").terms.amount_sat)
            })
            .collect();
        let got: Vec<u64> = asking.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert!(got.iter().all(|amount| *amount == got[0]), "{got:?}");
        assert_eq!(Store::new(&path, network).all().expect("readable").len(), 1);
        assert!(
            Store::new(&path, B256::repeat_byte(2)).find("order-1").expect("readable").is_none(),
            "another network's"
        );
    }

    #[test]
    fn open_invoices_are_bounded_and_those_that_ended_take_no_place() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(home.path(), B256::repeat_byte(1));
        fs::create_dir_all(&store.folder).expect("writable");
        for number in 0..MAX_OPEN {
            let one = Invoice { reference: format!("order-{number}"), ..invoice() };
            fs::write(store.path(&one.reference), json(&one)).expect("writable");
        }
        let more = Invoice { reference: "more".into(), ..invoice() };
        let refused = store.add(&more).expect_err("too many").to_string();
        assert!(refused.contains("1000 invoices are open"), "{refused}");
        store
            .update("order-7", |one| {
                one.seen.is_expiry_known = true;
                true
            })
            .expect("kept");
        assert_eq!(store.add(&more).expect("there is room").reference, "more");
    }

    #[test]
    fn a_file_that_is_too_long_or_damaged_is_told() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(home.path(), B256::repeat_byte(1));
        store.add(&invoice()).expect("kept");
        fs::write(store.path("order-1"), vec![b' '; MAX_BYTES as usize + 1]).expect("writable");
        assert!(store.all().expect_err("too long").to_string().contains("longer than"));
        fs::write(store.path("order-1"), "{}").expect("writable");
        assert!(store.find("order-1").expect_err("damaged").to_string().contains("is damaged"));
    }
}
