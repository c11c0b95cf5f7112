//! The header tree and which of its chains has the most work: the reference model of the contract BitcoinLightClient.
//!
//! `tests/tests/differential.rs` gives contract and model the same headers and compares their answers, and
//! `tests/tests/bitcoin.rs` compares the model with Bitcoin Core. Programs do not need a tree: a relayer asks its bitcoind
//! and the contract, and a file of headers is one chain, which [`crate::verify`] checks in the memory of one header.
//!
//! Pure: headers and the time go in, what left and what joined the best chain comes out as one value. A chain starts at
//! genesis or at a trusted [`Checkpoint`], and keeps the headers of the last [`HeaderChain::window`] heights with all their
//! forks: about 300 bytes a header, 3 MB with the default window, whatever the height of mainnet. What forks off below the
//! window is refused as `TooDeep`: to get there costs a window's work at a difficulty of today.
//!
//! ```text
//! best   0 - 1 - 2a - 3a            apply([2b, 3b, 4b]) ->
//! rival        \ 2b - 3b - 4b       Changes { disconnected: [3a, 2a], connected: [2b, 3b, 4b] }
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};

use bitcoin::block::Header;
use bitcoin::{BlockHash, Work};
use serde::{Deserialize, Serialize};

use crate::header::{self, Height, StartError, Tip, UnixTime};
use crate::params::{Network, PERIOD, Params};

pub use crate::header::HeaderError;

/// Heights kept below the tip: five difficulty periods, ten weeks on mainnet.
pub const DEFAULT_WINDOW: u32 = 5 * PERIOD;

/// A header that is trusted, with the facts that it does not show.
///
/// JSON, as in `genesis.json`: `{ "header": hex of 80 bytes, "height": n, "work": hex, "epochTime": seconds since 1970 }`, with `0x`
/// before the work and without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    #[serde(with = "hex_header")]
    pub header: Header,
    pub height: Height,
    /// Work of the whole chain up to and with this header.
    #[serde(with = "hex_work")]
    pub work: Work,
    /// Time of the first block of this header's difficulty period.
    pub epoch_time: UnixTime,
}

impl Checkpoint {
    /// The first block of `network`.
    pub fn genesis(network: Network) -> Self {
        let header = network.genesis();
        Self { header, height: 0, work: header.work(), epoch_time: header.time }
    }
}

/// A header at its height on the best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub height: Height,
    pub hash: BlockHash,
    pub header: Header,
}

/// The changes that one [`HeaderChain::apply`] made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Headers that were new, on the best chain or not.
    pub added: usize,
    /// Left the best chain, highest first.
    pub disconnected: Vec<Block>,
    /// Joined the best chain, lowest first.
    pub connected: Vec<Block>,
    /// At the end of what was sent: headers left out because the first of them is too far ahead of the clock. Try them later.
    pub too_new: usize,
}

impl Changes {
    /// The height of the last block that both chains share, if the best chain was reorganised.
    pub fn fork_height(&self) -> Option<Height> {
        self.disconnected.last().map(|block| block.height - 1)
    }

    pub fn is_empty(&self) -> bool {
        self.added == 0
    }
}

/// All headers known in the window, and the best chain among them.
#[derive(Clone, Debug)]
pub struct HeaderChain {
    params: Params,
    window: u32,
    nodes: HashMap<BlockHash, Node>,
    /// The best chain from `base` to the tip.
    best: VecDeque<BlockHash>,
    base: Height,
    /// All headers by height, best chain or not: the lowest are forgotten when the window moves.
    by_height: BTreeMap<Height, Vec<BlockHash>>,
}

#[derive(Clone, Debug)]
struct Node {
    header: Header,
    tip: Tip,
}

impl HeaderChain {
    /// A chain that starts at `network`'s first block.
    pub fn from_genesis(network: Network) -> Self {
        Self::from_checkpoint(network.params(), &Checkpoint::genesis(network))
            .expect("the genesis blocks of the networks keep their own rules, a test shows it")
    }

    /// A chain that starts at a trusted header.
    ///
    /// # Errors
    ///
    /// The header does not meet its own target, or cannot be a start (see [`StartError`]).
    pub fn from_checkpoint(params: Params, checkpoint: &Checkpoint) -> Result<Self, StartError> {
        let Checkpoint { header, height, work, epoch_time } = *checkpoint;
        let tip = Tip::start(&params, &header, height, work, Some(epoch_time))?;
        Ok(Self {
            params,
            window: DEFAULT_WINDOW,
            nodes: HashMap::from([(tip.hash(), Node { header, tip })]),
            best: VecDeque::from([tip.hash()]),
            base: height,
            by_height: BTreeMap::from([(height, vec![tip.hash()])]),
        })
    }

    /// Keeps `window` heights below the tip, at least one.
    #[must_use]
    pub fn with_window(mut self, window: u32) -> Self {
        self.window = window.max(1);
        self
    }

    pub fn window(&self) -> u32 {
        self.window
    }

    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Adds headers, each of them after its parent; known ones are passed over. From the first new one on that is too far ahead
    /// of the clock they are left out. Returns what left and what joined the best chain: that with the most work, of equals the
    /// one seen first.
    ///
    /// # Errors
    ///
    /// The first rule that the first bad header breaks: [`HeaderError::blames_sender`] and
    /// [`HeaderError::may_pass_later`] say what to do. `TooNew` only if no header before it was new. Nothing changes on error.
    pub fn apply(&mut self, headers: &[Header], now: UnixTime) -> Result<Changes, HeaderError> {
        let mut added = Vec::new();
        let mut too_new = 0;
        for (index, header) in headers.iter().enumerate() {
            match self.add(header, now) {
                Ok(hash) => added.extend(hash),
                Err(HeaderError::TooNew { .. }) if !added.is_empty() => {
                    too_new = headers.len() - index;
                    break;
                }
                Err(error) => {
                    for hash in added {
                        self.nodes.remove(&hash);
                    }
                    return Err(error);
                }
            }
        }
        let mut best = *self.tip();
        for hash in &added {
            let tip = self.nodes[hash].tip;
            self.by_height.entry(tip.height()).or_default().push(*hash);
            if tip.work() > best.work() {
                best = tip;
            }
        }
        let (disconnected, connected) = self.switch_to(best);
        self.forget_below(self.height().saturating_sub(self.window));
        Ok(Changes { added: added.len(), disconnected, connected, too_new })
    }

    /// Checks and keeps one header; `None` if it is known.
    fn add(&mut self, header: &Header, now: UnixTime) -> Result<Option<BlockHash>, HeaderError> {
        let hash = header::hash_bytes(&header::to_bytes(header));
        if self.nodes.contains_key(&hash) {
            return Ok(None);
        }
        let previous = header.prev_blockhash;
        let parent = self.nodes.get(&previous).ok_or(HeaderError::Unconnected { previous })?;
        let tip = parent.tip.next(&self.params, header, hash, now)?;
        self.nodes.insert(hash, Node { header: *header, tip });
        Ok(Some(hash))
    }

    /// Makes `tip` the end of the best chain; returns what left it and what joined it.
    fn switch_to(&mut self, tip: Tip) -> (Vec<Block>, Vec<Block>) {
        let mut connected = Vec::new();
        let mut hash = tip.hash();
        while !self.is_best(&hash) {
            let block = self.block(&hash);
            connected.push(block);
            hash = block.header.prev_blockhash;
        }
        connected.reverse();

        let fork = self.nodes[&hash].tip.height();
        let mut disconnected = Vec::new();
        if !connected.is_empty() {
            while self.height() > fork {
                let last = self.best.pop_back().expect("the best chain is as long as its height says");
                disconnected.push(self.block(&last));
            }
        }
        self.best.extend(connected.iter().map(|block| block.hash));
        (disconnected, connected)
    }

    /// Drops all headers below `height`, and forks that lost their root with them.
    fn forget_below(&mut self, height: Height) {
        if height <= self.base {
            return;
        }
        while self.base < height {
            self.best.pop_front();
            self.base += 1;
        }
        let kept = self.by_height.split_off(&height);
        for hash in std::mem::replace(&mut self.by_height, kept).into_values().flatten() {
            self.nodes.remove(&hash);
        }
        self.drop_rootless_forks();
    }

    /// A fork whose parent was forgotten could only grow back above the base without ever joining the best chain.
    fn drop_rootless_forks(&mut self) {
        let mut heights = self.by_height.range_mut(self.base..);
        let mut alive: Vec<BlockHash> = Vec::new();
        if let Some((_, hashes)) = heights.next() {
            let root = self.best[0];
            for hash in hashes.iter().filter(|hash| **hash != root) {
                self.nodes.remove(hash);
            }
            hashes.retain(|hash| *hash == root);
            alive.push(root);
        }
        for (_, hashes) in heights {
            if hashes.len() == 1 {
                // No fork at this height, so none above it has its root below.
                break;
            }
            let (keep, drop): (Vec<_>, Vec<_>) =
                hashes.iter().partition(|hash| alive.contains(&self.nodes[*hash].header.prev_blockhash));
            for hash in drop {
                self.nodes.remove(&hash);
            }
            *hashes = keep;
            alive.clone_from(hashes);
        }
    }

    /// The last header of the best chain.
    pub fn tip(&self) -> &Tip {
        let last =
            self.best.back().expect("a chain is never empty: it starts with one header and each switch ends in one");
        &self.nodes[last].tip
    }

    /// Height of the best chain.
    pub fn height(&self) -> Height {
        self.base + (self.best.len() as u32).saturating_sub(1)
    }

    /// The lowest height kept.
    pub fn base(&self) -> Height {
        self.base
    }

    /// Headers kept, on the best chain and off it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a chain has at least the header it started from.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A header by its hash, on the best chain or not, while it is kept.
    pub fn header(&self, hash: &BlockHash) -> Option<&Header> {
        self.nodes.get(hash).map(|node| &node.header)
    }

    /// What is known of the chain up to this header, on the best chain or not.
    pub fn tip_at(&self, hash: &BlockHash) -> Option<&Tip> {
        self.nodes.get(hash).map(|node| &node.tip)
    }

    /// The best chain's block hash at a height, if it is kept.
    pub fn hash_at(&self, height: Height) -> Option<BlockHash> {
        let index = height.checked_sub(self.base)?;
        self.best.get(index as usize).copied()
    }

    /// 1 for the tip; 0 for a header that is unknown or off the best chain.
    pub fn confirmations(&self, hash: &BlockHash) -> u32 {
        match self.nodes.get(hash) {
            Some(node) if self.is_best(hash) => self.height() - node.tip.height() + 1,
            _ => 0,
        }
    }

    /// How deep a block lies in the best chain by work: that of the blocks from it to the tip, both counted, divided by the work
    /// of one block at the target that its difficulty period asks for, rounded down; at most 2^32 - 1. Blocks of minimum
    /// difficulty count as about nothing. 0 for a header that is unknown or off the best chain.
    pub fn confirmations_in_work(&self, hash: &BlockHash) -> u32 {
        match self.nodes.get(hash) {
            Some(Node { tip, .. }) if self.is_best(hash) => {
                let work = self.tip().work() - tip.work() + tip.difficulty().work();
                u32::try_from(number(work) / number(tip.period().work())).unwrap_or(u32::MAX)
            }
            _ => 0,
        }
    }

    /// Up to `limit` headers of the best chain that come after the first of `known` (highest first) that is on it; what to
    /// send to someone who knows those. Empty if none is.
    pub fn after(&self, known: &[BlockHash], limit: usize) -> Vec<Header> {
        let Some(fork) = known.iter().find(|hash| self.is_best(hash)) else {
            return Vec::new();
        };
        let from = self.nodes[fork].tip.height() + 1 - self.base;
        self.best.iter().skip(from as usize).take(limit).map(|hash| self.nodes[hash].header).collect()
    }

    fn is_best(&self, hash: &BlockHash) -> bool {
        self.nodes.get(hash).is_some_and(|node| self.hash_at(node.tip.height()) == Some(*hash))
    }

    fn block(&self, hash: &BlockHash) -> Block {
        let node = &self.nodes[hash];
        Block { height: node.tip.height(), hash: *hash, header: node.header }
    }
}

/// Work as a number. 128 bits outlast any chain: Bitcoin's work took 16 years to 2^97.
fn number(work: Work) -> u128 {
    let bytes = work.to_be_bytes();
    let (high, low) = bytes.split_at(16);
    let low = u128::from_be_bytes(low.try_into().expect("16 of 32 bytes"));
    if high.iter().all(|byte| *byte == 0) { low } else { u128::MAX }
}

mod hex_header {
    use bitcoin::block::Header;
    use bitcoin::hex::{DisplayHex, FromHex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(header: &Header, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&crate::header::to_bytes(header).as_hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let bytes = <[u8; 80]>::from_hex(digits)
            .map_err(|error| D::Error::custom(format_args!("checkpoint header: {error}")))?;
        Ok(crate::header::from_bytes(&bytes))
    }
}

mod hex_work {
    use bitcoin::Work;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(work: &Work, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = format!("{work:064x}");
        let digits = digits.trim_start_matches('0');
        serializer.collect_str(&format_args!("0x{}", if digits.is_empty() { "0" } else { digits }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Work, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Without the prefix it could be meant as a decimal number.
        let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("work begins with 0x, in hex"))?;
        if digits.len() > 64 {
            return Err(D::Error::custom(format_args!("work has {} hex digits, expected at most 64", digits.len())));
        }
        Work::from_unprefixed_hex(digits).map_err(D::Error::custom)
    }
}
