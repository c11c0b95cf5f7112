//! Checks a whole file of headers as it streams by: raw 80-byte headers, in order, one chain without forks.
//!
//! Memory is one [`Tip`], time is two hashes a header. Feed chunks of any size with [`Verifier::feed`], then ask for the
//! [`Summary`].

use bitcoin::block::Header;
use bitcoin::{BlockHash, Work};

use crate::header::{self, Difficulty, HeaderError, Height, StartError, Tip, UnixTime};
use crate::params::{Network, Params};

/// The place of a file's first header in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is the network's genesis block.
    Genesis,
    /// It is trusted apart from its own work. `period_time` is the time of the first block of its difficulty period, needed
    /// for the first retarget if the anchor is not that block itself.
    Anchor { height: Height, period_time: Option<UnixTime> },
}

/// Which header of a file is bad, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("no headers")]
    Empty,
    #[error("the {bytes} bytes after {headers} headers are not a whole one: a header has 80")]
    Incomplete { headers: u64, bytes: usize },
    #[error("header 0 (height 0) has hash {got}, which is not the genesis block of {network}, {want}")]
    NotGenesis { network: Network, got: BlockHash, want: BlockHash },
    #[error("header 0 (height {height}) cannot be the anchor: {error}")]
    BadAnchor { height: Height, error: StartError },
    #[error("header {index} (height {height}): {error}")]
    BadHeader { index: u64, height: Height, error: HeaderError },
}

/// The sum of a good file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Headers in the file.
    pub headers: u64,
    /// Hash of the last one.
    pub tip: BlockHash,
    /// Height of the last one.
    pub height: Height,
    /// Work of all headers in the file.
    pub work: Work,
}

/// Checks headers one after the other.
#[derive(Clone, Debug)]
pub struct Verifier {
    network: Network,
    params: Params,
    start: Start,
    now: UnixTime,
    chain: Option<Tip>,
    headers: u64,
    /// The beginning of a header whose end has not come yet.
    partial: Vec<u8>,
}

impl Verifier {
    /// Expects the headers of `network` from `start` on; none may be more than two hours after `now`.
    pub fn new(network: Network, start: Start, now: UnixTime) -> Self {
        Self::with_params(network, network.params(), start, now)
    }

    /// The same with other rules than the network's own, for synthetic chains.
    pub fn with_params(network: Network, params: Params, start: Start, now: UnixTime) -> Self {
        Self { network, params, start, now, chain: None, headers: 0, partial: Vec::with_capacity(80) }
    }

    /// Checks the next bytes of the file.
    ///
    /// # Errors
    ///
    /// The first bad header; what follows it must not be fed any more.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        if !self.partial.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(80 - self.partial.len()));
            self.partial.extend_from_slice(head);
            bytes = tail;
            let Ok(header) = <[u8; 80]>::try_from(self.partial.as_slice()) else {
                return Ok(());
            };
            self.partial.clear();
            self.check(&header)?;
        }
        let (headers, rest) = bytes.as_chunks::<80>();
        for header in headers {
            self.check(header)?;
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// It was empty, or ended inside a header.
    pub fn finish(&self) -> Result<Summary, FileError> {
        if !self.partial.is_empty() {
            return Err(FileError::Incomplete { headers: self.headers, bytes: self.partial.len() });
        }
        let tip = self.chain.ok_or(FileError::Empty)?;
        Ok(Summary { headers: self.headers, tip: tip.hash(), height: tip.height(), work: tip.work() })
    }

    fn check(&mut self, bytes: &[u8; 80]) -> Result<(), FileError> {
        let header = header::from_bytes(bytes);
        let tip = match &self.chain {
            None => self.first(&header)?,
            Some(tip) => {
                let hash = header::hash_bytes(bytes);
                tip.next(&self.params, &header, hash, self.now).map_err(|error| FileError::BadHeader {
                    index: self.headers,
                    height: tip.height() + 1,
                    error,
                })?
            }
        };
        self.chain = Some(tip);
        self.headers += 1;
        Ok(())
    }

    fn first(&self, header: &Header) -> Result<Tip, FileError> {
        let (height, period_time) = match self.start {
            Start::Anchor { height, period_time } => (height, period_time),
            Start::Genesis => {
                let (got, want) = (header.block_hash(), self.network.genesis().block_hash());
                if got != want {
                    return Err(FileError::NotGenesis { network: self.network, got, want });
                }
                (0, None)
            }
        };
        let bad = |error| FileError::BadAnchor { height, error };
        let own = Difficulty::from_bits(header.bits, &self.params);
        let own = own.ok_or(StartError::BadTarget { bits: header.bits }).map_err(bad)?;
        // The work of the file alone is asked for, so the chain's work starts with the first header's own.
        Tip::start(&self.params, header, height, own.work(), period_time).map_err(bad)
    }
}
