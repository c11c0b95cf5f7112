//! What was signed and whose end is not known: kept in the home folder before it is sent, so that a second identical command goes on
//! with it instead of paying twice.

use std::path::{Path, PathBuf};

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, Keccak256, hex};
use bridge::io::sidechain::{Call, Fees, Pending};
use eyre::{Result, WrapErr};
use files::{read_optional, write_atomic, write_new};
use serde::{Deserialize, Serialize};

/// Requests of one account on one network.
pub struct Requests {
    folder: PathBuf,
    network: B256,
    chain_id: u64,
    account: Address,
}

/// A signed transaction on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    hash: B256,
    sender: Address,
    pub nonce: u64,
    max_fee: u128,
    priority_fee: u128,
    raw: alloy_primitives::Bytes,
}

impl Request {
    pub fn new(pending: &Pending, fees: Fees) -> Self {
        Self {
            hash: pending.hash,
            sender: pending.sender,
            nonce: pending.nonce,
            max_fee: fees.max_fee,
            priority_fee: fees.priority_fee,
            raw: pending.raw.clone(),
        }
    }

    /// What it does.
    fn call(&self) -> Option<Call> {
        let signed = TxEnvelope::decode_2718(&mut self.raw.as_ref()).ok()?;
        Some(Call { to: signed.to(), value: signed.value(), input: signed.input().clone() })
    }

    /// Whether it pays its maximum whatever the block's base fee is, as what empties an account does ([`super::whole`]) and nothing else.
    pub const fn empties(&self) -> bool {
        self.max_fee == self.priority_fee
    }

    pub fn pending(&self) -> Pending {
        Pending { hash: self.hash, sender: self.sender, nonce: self.nonce, raw: self.raw.clone() }
    }

    /// Fees with which a pool lets another transaction replace this one: an eighth more, at least what is usual now. Any that pays replaces a
    /// free one.
    pub fn outbid(&self, usual: Fees) -> Fees {
        if (Fees { max_fee: self.max_fee, priority_fee: self.priority_fee }) == Fees::FREE {
            return usual;
        }
        let more = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        Fees {
            max_fee: usual.max_fee.max(more(self.max_fee)),
            priority_fee: usual.priority_fee.max(more(self.priority_fee)),
        }
    }
}

impl Requests {
    pub fn new(home: &Path, network: B256, chain_id: u64, account: Address) -> Self {
        Self { folder: home.join("requests"), network, chain_id, account }
    }

    /// The request for this very call whose end is not known.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn find(&self, call: &Call) -> Result<Option<Request>> {
        let path = self.path(call);
        let Some(json) = read_optional(&path)? else { return Ok(None) };
        let request = serde_json::from_slice(&json).wrap_err_with(|| format!("{} is not a request", path.display()))?;
        Ok(Some(request))
    }

    /// A request of this account and network that `wanted` is true of, if there is one, and its call.
    ///
    /// # Errors
    ///
    /// The folder, or what is in it, cannot be read.
    pub fn search(&self, wanted: impl Fn(&Call, &Request) -> bool) -> Result<Option<(Call, Request)>> {
        let unreadable = || format!("cannot read {}", self.folder.display());
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            entries => entries.wrap_err_with(unreadable)?,
        };
        for entry in entries {
            let path = entry.wrap_err_with(unreadable)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Some(json) = read_optional(&path)? else { continue };
            let request: Request =
                serde_json::from_slice(&json).wrap_err_with(|| format!("{} is not a request", path.display()))?;
            // A file's name says whose it is, and on which network.
            if let Some(call) = request.call().filter(|call| self.path(call) == path && wanted(call, &request)) {
                return Ok(Some((call, request)));
            }
        }
        Ok(None)
    }

    /// Keeps a request; in place of `earlier` if there is one. When this returns, it is on disk.
    ///
    /// # Errors
    ///
    /// Another process keeps one for the same call, or those of the disk.
    pub fn keep(&self, call: &Call, request: &Request, earlier: bool) -> Result<()> {
        let (path, json) = (self.path(call), serde_json::to_vec(request).expect("text and numbers always serialise"));
        files::make_private_folder(&self.folder).wrap_err_with(|| format!("cannot use {}", self.folder.display()))?;
        if earlier {
            return Ok(write_atomic(&path, &json)?);
        }
        eyre::ensure!(write_new(&path, &json)?, "another process sends the same just now: nothing was sent here");
        Ok(())
    }

    /// Forgets a request that is done.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn forget(&self, call: &Call) -> Result<()> {
        let path = self.path(call);
        match std::fs::remove_file(&path) {
            // Another command that waited for the same was first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.wrap_err_with(|| {
                format!("it is done, but {} cannot be removed: do so before you ask for the same again", path.display())
            }),
        }
    }

    /// One name for each network, account and call.
    fn path(&self, call: &Call) -> PathBuf {
        let mut name = Keccak256::new();
        name.update(self.network);
        name.update(self.chain_id.to_be_bytes());
        name.update(self.account);
        name.update(call.to.unwrap_or_default());
        name.update(call.value.to_be_bytes::<32>());
        name.update(&call.input);
        self.folder.join(format!("{}.json", hex::encode(name.finalize())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    fn request(nonce: u64) -> Request {
        let pending =
            Pending { hash: B256::repeat_byte(1), sender: Address::repeat_byte(2), nonce, raw: vec![3; 4].into() };
        Request::new(&pending, Fees { max_fee: 800, priority_fee: 80 })
    }

    #[test]
    fn a_request_is_found_by_the_same_call_of_the_same_account_on_the_same_network_alone() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let of = |network, account| {
            Requests::new(home.path(), B256::repeat_byte(network), 51_717, Address::repeat_byte(account))
        };
        let call = Call::transfer(Address::repeat_byte(9), U256::from(7));
        let requests = of(1, 1);
        assert_eq!(requests.find(&call).expect("readable"), None);
        requests.keep(&call, &request(5), false).expect("kept");
        assert_eq!(requests.find(&call).expect("readable"), Some(request(5)));
        assert!(of(2, 1).find(&call).expect("readable").is_none());
        assert!(of(1, 2).find(&call).expect("readable").is_none());
        let other = Call::transfer(Address::repeat_byte(9), U256::from(8));
        assert!(requests.find(&other).expect("readable").is_none());
        // Two processes at once: the second is told, and sends nothing.
        assert!(requests.keep(&call, &request(6), false).is_err());
        requests.keep(&call, &request(6), true).expect("replaced on purpose");
        requests.forget(&call).expect("removed");
        assert_eq!(requests.find(&call).expect("readable"), None);
    }

    #[test]
    fn a_request_is_found_by_what_it_does_among_those_of_the_same_account_and_network() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let of = |network| Requests::new(home.path(), B256::repeat_byte(network), 51_717, Address::repeat_byte(1));
        let account = crate::dev::accounts::dev_account(0);
        let fees = Fees { max_fee: 800, priority_fee: 80 };
        for value in [7, 8] {
            let call = Call::transfer(Address::repeat_byte(9), U256::from(value));
            let signed = account.sign(51_717, value, 21_000, fees, &call);
            of(1).keep(&call, &Request::new(&signed, fees), false).expect("kept");
        }
        let worth = |value: u64| move |call: &Call, _: &Request| call.value == U256::from(value);
        let found = of(1).search(worth(8)).expect("readable").map(|(call, _)| call);
        assert_eq!(found, Some(Call::transfer(Address::repeat_byte(9), U256::from(8))));
        assert_eq!(of(1).search(worth(9)).expect("readable"), None);
        assert_eq!(of(2).search(worth(8)).expect("readable"), None, "another network's");
    }

    #[test]
    fn what_empties_an_account_is_told_from_what_just_pays() {
        let of = |max_fee, priority_fee| Request::new(&request(1).pending(), Fees { max_fee, priority_fee });
        assert!(of(800, 800).empties());
        assert!(!of(800, 80).empties());
    }

    #[test]
    fn a_replacement_pays_an_eighth_more_or_what_is_usual() {
        let cheap = request(1).outbid(Fees { max_fee: 1, priority_fee: 1 });
        assert_eq!((cheap.max_fee, cheap.priority_fee), (901, 91));
        let free = Request::new(&request(1).pending(), Fees::FREE);
        assert_eq!(free.outbid(Fees { max_fee: 7, priority_fee: 1 }), Fees { max_fee: 7, priority_fee: 1 });
        let dear = request(1).outbid(Fees { max_fee: 5_000, priority_fee: 500 });
        assert_eq!((dear.max_fee, dear.priority_fee), (5_000, 500));
    }
}
