//! How the parts of a snapshot are encoded: RLP, strictly.

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Decodable, Encodable};

use crate::{
    block::{Block, Header, Receipt},
    state::trie::range::{LAST_KEY, Leaf},
};

/// Why bytes are not the encoding of a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the answer is not RLP of a part: {0}")]
    Rlp(alloy_rlp::Error),
    #[error("the answer has {0} bytes behind its end")]
    Trailing(usize),
    #[error("a key has {0} bytes, expected 32")]
    Key(usize),
    #[error("a range has {0} lists, expected keys and values, proof, and whether there is more")]
    Lists(usize),
    #[error("a key has no value")]
    Odd,
    #[error("there is said to be more, but nothing is shown")]
    NoProgress,
}

/// Some leaves in order, from where they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub leaves: Vec<Leaf>,
    /// Whether there are, perhaps, more behind them.
    pub more: bool,
    /// Nodes on the ways to both ends.
    pub proof: Vec<Bytes>,
}

impl Range {
    /// The last key that it speaks of.
    pub fn end(&self) -> B256 {
        if self.more { self.leaves.last().map_or(LAST_KEY, |leaf| leaf.0) } else { LAST_KEY }
    }

    /// `[[key, value, key, value...], [proof...], [] or [anything when there is more]]`
    fn to_lists(&self) -> Vec<Vec<Bytes>> {
        let leaves = self.leaves.iter();
        let leaves = leaves.flat_map(|(key, value)| [Bytes::copy_from_slice(key.as_slice()), value.clone().into()]);
        let more = self.more.then(|| Bytes::from_static(&[1]));
        vec![leaves.collect(), self.proof.clone(), more.into_iter().collect()]
    }

    fn from_lists(lists: Vec<Vec<Bytes>>) -> Result<Self, Malformed> {
        let [leaves, proof, more] = <[_; 3]>::try_from(lists).map_err(|lists| Malformed::Lists(lists.len()))?;
        let (pairs, odd) = leaves.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(Malformed::Odd);
        }
        let leaf = |[key, value]: &[Bytes; 2]| {
            let key = B256::try_from(key.as_ref()).map_err(|_| Malformed::Key(key.len()))?;
            Ok((key, value.to_vec()))
        };
        let leaves = pairs.iter().map(leaf).collect::<Result<Vec<_>, _>>()?;
        match !more.is_empty() {
            true if leaves.is_empty() => Err(Malformed::NoProgress),
            more => Ok(Self { leaves, more, proof }),
        }
    }
}

/// A block with what only its chain knows of it: its receipts, and the headers before it, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeBlock {
    pub block: Block,
    pub receipts: Vec<Receipt>,
    pub ancestors: Vec<Header>,
}

pub fn encode_ranges(ranges: &[Range]) -> Vec<u8> {
    alloy_rlp::encode(ranges.iter().map(Range::to_lists).collect::<Vec<_>>())
}

pub fn decode_ranges(bytes: &[u8]) -> Result<Vec<Range>, Malformed> {
    exact::<Vec<Vec<Vec<Bytes>>>>(bytes)?.into_iter().map(Range::from_lists).collect()
}

pub fn encode_codes(codes: &Vec<Bytes>) -> Vec<u8> {
    alloy_rlp::encode(codes)
}

pub fn decode_codes(bytes: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    exact(bytes)
}

pub fn encode_block(whole: &WholeBlock) -> Vec<u8> {
    let mut receipts = Vec::new();
    whole.receipts.encode(&mut receipts);
    let mut ancestors = Vec::new();
    whole.ancestors.encode(&mut ancestors);
    alloy_rlp::encode(vec![Bytes::from(alloy_rlp::encode(&whole.block)), receipts.into(), ancestors.into()])
}

pub fn decode_block(bytes: &[u8]) -> Result<WholeBlock, Malformed> {
    let parts = exact::<Vec<Bytes>>(bytes)?;
    let [block, receipts, ancestors] =
        <[Bytes; 3]>::try_from(parts).map_err(|parts: Vec<Bytes>| Malformed::Lists(parts.len()))?;
    Ok(WholeBlock { block: exact(&block)?, receipts: exact(&receipts)?, ancestors: exact(&ancestors)? })
}

fn exact<T: Decodable>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut rest = bytes;
    let value = T::decode(&mut rest).map_err(Malformed::Rlp)?;
    if rest.is_empty() { Ok(value) } else { Err(Malformed::Trailing(rest.len())) }
}
