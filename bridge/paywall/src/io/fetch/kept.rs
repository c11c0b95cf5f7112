//! What a payer keeps of its channels with one payee, in a folder of its own: its promises ([`DurablePayer`]), and how each channel was opened.
//!
//! One process at a time has the folder. A channel is written down before its deposit is signed away, so that whatever happens then, it is found again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use files::{LockError, read_optional, write_atomic};
use payments::authorization::{Authorization, SignedAuthorization};
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
    /// The one that pays.
    pub current: Option<B256>,
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
    /// Until the payee said that it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
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
        let mut waited = Duration::ZERO;
        let payer = loop {
            match DurablePayer::open(path, domain, limits.clone()) {
                Err(OpenError::Lock(LockError::InUse(_))) if waited < patience => {
                    sleep(PAUSE).await;
                    waited += PAUSE;
                }
                opened => break opened?,
            }
        };
        let json = read_optional(&path.join(FILE))?;
        let channels = json.map(|json| serde_json::from_slice(&json)).transpose().map_err(io::Error::other)?;
        Ok(Self { path: path.to_owned(), payer, channels: channels.unwrap_or_default() })
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
        let kept = Kept { deposit: 1 << 100, spent: 3, counting: false, opening: Some(opening) };
        first.channels.known.insert(B256::repeat_byte(1), kept);
        first.channels.current = Some(B256::repeat_byte(1));
        assert_eq!(first.key(B256::repeat_byte(2), || "a".into()).expect("kept"), "a");
        assert!(matches!(open(folder.path(), Duration::from_millis(150)).await, Err(FetchError::Promises(_))));
        drop(first);
        let mut again = open(folder.path(), Duration::from_secs(5)).await.expect("free");
        assert_eq!(again.key(B256::repeat_byte(2), || "b".into()).expect("kept"), "a");
        assert_eq!(again.channels.known[&B256::repeat_byte(1)].deposit, 1 << 100);
        again.answered(B256::repeat_byte(2));
        assert_eq!(again.key(B256::repeat_byte(2), || "b".into()).expect("kept"), "b");
    }
}
