//! What a payer keeps of its channels with one payee, in a folder of its own: its promises ([`DurablePayer`]), and how each channel was opened, and for which server.
//!
//! A server names its payee itself, so another server may name the same: a liar, or one whose books are apart. A channel therefore pays the server that it was opened for. A file of
//! an older version does not say which that was: its channels pay no server unless they are named.
//!
//! One process at a time has the folder. A channel is written down before its deposit is signed away, so that whatever happens then, it is found again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use files::{DirectoryLock, LockError, read_optional, write_atomic};
use hyper::Uri;
use payments::authorization::{Authorization, SignedAuthorization};
use payments::channel::Channel;
use payments::io::journal::OpenError;
use payments::io::payer::DurablePayer;
use payments::payer::limits::Limits;
use payments::typed_data::Domain;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::FetchError;
use crate::text::decimal_u128;

const FILE: &str = "channels.json";
/// Names of requests that were paid and not answered.
const MOST_KEYS: usize = 100;
/// The endpoint of amounts that were sent by themselves.
pub const SENT: &str = "sent";
/// In a payer's folder: held by the process that opens a channel.
const OPENING: &str = "opening";
/// How long another process of the same payer may have a folder.
pub const FOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries for a folder that another process has.
const PAUSE: Duration = Duration::from_millis(100);

/// The folder, and what is in it.
pub struct Folder {
    path: PathBuf,
    pub payer: DurablePayer,
    pub channels: Channels,
}

/// All channels with one payee.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Channels {
    /// The one that pays each server, by its origin.
    servers: BTreeMap<String, B256>,
    pub known: BTreeMap<B256, Kept>,
    /// Idempotency keys of requests, by their hashes.
    keys: BTreeMap<B256, String>,
}

/// One channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    #[serde(with = "decimal_u128")]
    pub deposit: u128,
    /// What was delivered for it cost so much: by our own count, or as the payee says where that cannot be counted.
    #[serde(with = "decimal_u128")]
    pub spent: u128,
    /// An answer is being counted; still so at the start, it was not counted to its end.
    #[serde(default)]
    pub counting: bool,
    /// Until the chain has it, whatever the payee says: else it could have one deposit after another signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
    /// How often the chain had what was added to it by our signature: the number of the next one.
    #[serde(default)]
    pub top_ups: u32,
    /// Until the chain has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adding: Option<Adding>,
}

/// A deposit that was signed for, to be added to an open channel. Whatever is signed under one number, the token carries one of it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adding {
    #[serde(with = "decimal_u128")]
    pub amount: u128,
    /// With it.
    #[serde(with = "decimal_u128")]
    pub deposit: u128,
    pub valid_before: u64,
}

/// A deposit that was signed for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opening {
    pub payer: Address,
    pub escrow: Address,
    pub salt: B256,
    pub valid_before: u64,
    pub nonce: B256,
    pub signature: Bytes,
}

impl Kept {
    /// As the chain has it.
    #[must_use]
    pub fn of(deposit: u128, settled: u128) -> Self {
        Self { deposit, spent: settled, counting: false, opening: None, top_ups: 0, adding: None }
    }

    /// Learns what the chain has.
    pub fn learn(&mut self, deposit: u128, settled: u128) {
        (self.deposit, self.spent, self.opening) = (deposit, self.spent.max(settled), None);
        if self.adding.is_some_and(|adding| adding.deposit <= deposit) {
            (self.adding, self.top_ups) = (None, self.top_ups.saturating_add(1));
        }
    }
}

impl Channels {
    /// The channel that pays a server.
    #[must_use]
    pub fn of(&self, origin: &str) -> Option<B256> {
        self.servers.get(origin).copied().filter(|id| self.known.contains_key(id))
    }

    /// Those that pay no server unless they are named: an older version kept them, or a person named them before.
    pub fn of_nobody(&self) -> impl Iterator<Item = B256> {
        self.known.keys().copied().filter(|id| !self.servers.values().any(|of| of == id))
    }

    /// A new one for a server.
    pub fn open(&mut self, origin: &str, id: B256, kept: Kept) {
        self.known.insert(id, kept);
        self.servers.insert(origin.to_owned(), id);
    }

    pub fn forget(&mut self, id: B256) {
        self.known.remove(&id);
        self.servers.retain(|_, of| *of != id);
    }
}

/// Whoever has this is the only process that opens channels of this payer.
///
/// # Errors
///
/// Another one has it for too long, or those of the disk.
pub async fn alone(folder: &Path) -> io::Result<DirectoryLock> {
    let acquire = || DirectoryLock::acquire(&folder.join(OPENING));
    let locked = with_patience(FOLDER_PATIENCE, acquire, |error| matches!(error, LockError::InUse(_))).await;
    locked.map_err(io::Error::other)
}

/// Tries again for a while, as long as another process has it.
async fn with_patience<T, E>(
    patience: Duration,
    open: impl Fn() -> Result<T, E>,
    is_in_use: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut waited = Duration::ZERO;
    loop {
        match open() {
            Err(error) if is_in_use(&error) && waited < patience => {
                sleep(PAUSE).await;
                waited += PAUSE;
            }
            opened => return opened,
        }
    }
}

/// The channels that pay a server to other payees than this one, as they were written last. Their folders may be in use: they are only read.
///
/// # Errors
///
/// Those of the disk.
pub fn others(folder: &Path, payee: Address, origin: &str) -> io::Result<Vec<(Address, B256, Kept)>> {
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some(other) = name.parse().ok().filter(|other| *other != payee) else { continue };
        let Some(json) = read_optional(&entry.path().join(FILE))? else { continue };
        let channels: Channels = serde_json::from_slice(&json).map_err(io::Error::other)?;
        others.extend(channels.of(origin).map(|id| (other, id, channels.known[&id].clone())));
    }
    Ok(others)
}

/// Scheme, host and port of a URL (RFC 6454, section 4).
#[must_use]
pub fn origin(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http").to_ascii_lowercase();
    let usual = if scheme == "https" { 443 } else { 80 };
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    format!("{scheme}://{host}:{}", url.port_u16().unwrap_or(usual))
}

impl Opening {
    /// As it was signed.
    #[must_use]
    pub fn deposit(&self, value: u128) -> SignedAuthorization {
        let Self { payer: from, escrow: to, valid_before, nonce, .. } = *self;
        let authorization = Authorization { from, to, value, valid_after: 0, valid_before, nonce };
        SignedAuthorization { authorization, signature: self.signature.clone() }
    }
}

impl Folder {
    /// Takes it, with patience for another process that has it.
    ///
    /// # Errors
    ///
    /// It stays taken, or those of the disk.
    pub async fn open(path: &Path, domain: Domain, patience: Duration) -> Result<Self, FetchError> {
        // A command's limits are its own; what one payee gets in all, deposits bound.
        let limits = Limits { period_s: 86_400, in_all: u128::MAX, each: u128::MAX, endpoints: BTreeMap::new() };
        let open = || DurablePayer::open(path, domain, limits.clone());
        let is_in_use = |error: &OpenError| matches!(error, OpenError::Lock(LockError::InUse(_)));
        let payer = with_patience(patience, open, is_in_use).await?;
        let json = read_optional(&path.join(FILE))?;
        let channels = json.map(|json| serde_json::from_slice(&json)).transpose().map_err(io::Error::other)?;
        Ok(Self { path: path.to_owned(), payer, channels: channels.unwrap_or_default() })
    }

    /// Learns what the chain says of a channel.
    ///
    /// # Errors
    ///
    /// There are too many of them, or those of the disk.
    pub(super) fn know(&mut self, channel: Channel) -> Result<(), FetchError> {
        self.payer.observe(channel, channel.payee)?;
        let kept = Kept::of(channel.deposit, channel.settled);
        self.channels.known.entry(channel.id).or_insert(kept).learn(channel.deposit, channel.settled);
        Ok(())
    }

    /// # Errors
    ///
    /// Those of the disk.
    pub fn keep(&self) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(&self.channels).expect("text and numbers always serialise");
        write_atomic(&self.path.join(FILE), &json)
    }

    /// The key of a request that is about to be paid: the same until it was answered.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn key(&mut self, request: B256, fresh: impl FnOnce() -> String) -> io::Result<String> {
        if let Some(key) = self.channels.keys.get(&request) {
            return Ok(key.clone());
        }
        if self.channels.keys.len() >= MOST_KEYS {
            self.channels.keys.pop_first();
        }
        let key = fresh();
        self.channels.keys.insert(request, key.clone());
        self.keep()?;
        Ok(key)
    }

    /// It was answered.
    pub fn answered(&mut self, request: B256) {
        self.channels.keys.remove(&request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(path: &Path, patience: Duration) -> Result<Folder, FetchError> {
        Folder::open(path, Domain::new(1, Address::ZERO), patience).await
    }

    #[tokio::test]
    async fn a_channel_and_the_key_of_a_request_are_there_again_and_one_process_has_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = open(folder.path(), Duration::ZERO).await.expect("free");
        let opening = Opening {
            payer: Address::ZERO,
            escrow: Address::ZERO,
            salt: B256::ZERO,
            valid_before: 7,
            nonce: B256::ZERO,
            signature: Bytes::new(),
        };
        let kept = Kept { opening: Some(opening), ..Kept::of(1 << 100, 3) };
        first.channels.open("https://a.example:443", B256::repeat_byte(1), kept);
        first.keep().expect("kept");
        assert_eq!(first.key(B256::repeat_byte(2), || "a".into()).expect("kept"), "a");
        assert!(matches!(open(folder.path(), Duration::from_millis(150)).await, Err(FetchError::Promises(_))));
        drop(first);
        let mut again = open(folder.path(), Duration::from_secs(5)).await.expect("free");
        assert_eq!(again.key(B256::repeat_byte(2), || "b".into()).expect("kept"), "a");
        assert_eq!(again.channels.known[&B256::repeat_byte(1)].deposit, 1 << 100);
        assert_eq!(again.channels.of("https://a.example:443"), Some(B256::repeat_byte(1)));
        again.answered(B256::repeat_byte(2));
        assert_eq!(again.key(B256::repeat_byte(2), || "b".into()).expect("kept"), "b");
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port_however_they_are_written() {
        let of = |url: &str| origin(&url.parse().expect("a URL"));
        assert_eq!(of("https://Api.Example.com/a?b"), "https://api.example.com:443");
        assert_eq!(of("https://api.example.com:443/"), of("HTTPS://api.example.com/x"));
        assert_eq!(of("http://[::1]/x"), "http://[::1]:80");
        for other in ["http://api.example.com/", "https://api.example.com:8443/", "https://api.example.com.evil.org/"] {
            assert_ne!(of(other), of("https://api.example.com/"), "{other}");
        }
    }

    #[test]
    fn a_channel_pays_the_server_that_it_was_opened_for_and_one_of_an_older_file_none() {
        let (old, new) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let json = format!(r#"{{"current":"{old}","known":{{"{old}":{{"deposit":"7","spent":"3"}}}},"keys":{{}}}}"#);
        let mut channels: Channels = serde_json::from_str(&json).expect("an older file");
        assert_eq!((channels.of("http://a:80"), channels.known[&old].spent), (None, 3));
        channels.open("http://a:80", new, Kept::of(5, 0));
        assert_eq!((channels.of("http://a:80"), channels.of("http://b:80")), (Some(new), None));
        assert_eq!(channels.of_nobody().collect::<Vec<_>>(), [old]);
        channels.forget(new);
        assert_eq!(channels.of("http://a:80"), None);
    }

    #[test]
    fn what_is_added_has_one_number_until_the_chain_has_it() {
        let adding = Adding { amount: 50, deposit: 150, valid_before: 9 };
        let mut kept = Kept { adding: Some(adding), ..Kept::of(100, 0) };
        // Somebody else added a little.
        kept.learn(101, 7);
        assert_eq!((kept.adding, kept.top_ups, kept.deposit, kept.spent), (Some(adding), 0, 101, 7));
        kept.learn(151, 3);
        assert_eq!((kept.adding, kept.top_ups, kept.deposit, kept.spent), (None, 1, 151, 7));
        kept.learn(151, 7);
        assert_eq!(kept.top_ups, 1);
    }
}
