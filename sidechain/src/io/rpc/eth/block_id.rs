//! Which block a client means (EIP-1898).

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};

use super::super::{context::Context, error, method::Arguments};
use crate::chain::Preview;

/// A block that can be read.
#[derive(Clone)]
pub enum Place {
    Final(u64),
    Pending(Arc<Preview>),
}

/// The block that is meant (EIP-1898).
///
/// # Errors
///
/// `-32000` for a block that is not there.
pub fn place(context: &Context, arguments: &Arguments, id: BlockId) -> error::Result<Place> {
    match &arguments.pending {
        Some(preview) if id.is_pending() => Ok(Place::Pending(preview.clone())),
        _ => number(context, id).map(Place::Final),
    }
}

/// The number of a final block (EIP-1898).
///
/// # Errors
///
/// `-32000` for a block that is not there.
pub fn number(context: &Context, id: BlockId) -> error::Result<u64> {
    let head = context.chain().head().number;
    match id {
        BlockId::Number(tag) => match number_of_tag(tag, head) {
            number if number <= head => Ok(number),
            number => Err(error::no_block(format_args!("block {number}, the head is {head}"))),
        },
        BlockId::Hash(hash) => {
            let known = context.chain().number_of(hash.block_hash).map_err(|error| error::store(&error))?;
            known.ok_or_else(|| error::no_block(format_args!("block {}", hash.block_hash)))
        }
    }
}

/// A tag's number at a `head`, which is read once for each request: a block that becomes final meanwhile is not beyond it.
/// The head is final, so latest, safe and finalized are one; and so is pending, where only final blocks are answered.
pub fn number_of_tag(tag: BlockNumberOrTag, head: u64) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Latest | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized | BlockNumberOrTag::Pending => {
            head
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_never_beyond_the_head_that_the_request_has_seen() {
        for tag in
            [BlockNumberOrTag::Latest, BlockNumberOrTag::Safe, BlockNumberOrTag::Finalized, BlockNumberOrTag::Pending]
        {
            assert_eq!(number_of_tag(tag, 5), 5);
        }
        assert_eq!(
            (number_of_tag(BlockNumberOrTag::Earliest, 5), number_of_tag(BlockNumberOrTag::Number(7), 5)),
            (0, 7)
        );
    }
}
