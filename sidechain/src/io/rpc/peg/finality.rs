//! Proofs that blocks are final, for followers and for everybody who does not trust this node.

use alloy_primitives::Bytes;
use api::peg::{Certified, Finality, FollowedBlock};

use super::super::method::{Methods, Registered, worker};
use super::super::{context::Context, error, eth};
use crate::block::Header;

/// Blocks between a block and the certificate that makes it final. Certificates are kept for nearly every block; more
/// between two is a hole in this node's store.
const MAX_DESCENDANTS: u64 = 256;

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "peg_getFinality", |context, arguments| {
        let block = arguments.block()?;
        let number = eth::number(context, block).map_err(|error| error::not_found(error.message()))?;
        finality(context, number)?.ok_or_else(|| error::not_found(format!("no certificate for block {number} yet")))
    })?;
    worker(methods, "peg_getBlock", |context, arguments| followed_block(context, arguments.next("number")?))
}

/// The proof that a block is final; `None` until a certificate for it, or a later one, is here.
fn finality(context: &Context, number: u64) -> error::Result<Option<Finality>> {
    let certificate = context.chain().finality_at_or_after(number).map_err(|error| error::store(&error))?;
    let Some((certified, certificate)) = certificate else {
        return Ok(None);
    };
    if certified - number > MAX_DESCENDANTS {
        return Err(error::server(format!("the next certificate after block {number} is for block {certified}")));
    }
    let headers = headers(context, number, certified)?;
    let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
        return Ok(None);
    };
    Ok(Some(Finality {
        number,
        hash: first.hash_slow(),
        header: alloy_rlp::encode(first).into(),
        certificate: Bytes::from(certificate),
        certified: Certified { number: certified, hash: last.hash_slow() },
        descendants: headers[1..].iter().map(|header| alloy_rlp::encode(header).into()).collect(),
    }))
}

fn headers(context: &Context, first: u64, last: u64) -> error::Result<Vec<Header>> {
    let headers = (first..=last).map(|number| match context.chain().header(number) {
        Ok(Some(header)) => Ok(header),
        Ok(None) => Err(error::not_found(format!("block {number} not found"))),
        Err(error) => Err(error::store(&error)),
    });
    headers.collect()
}

/// A block with the proof that it is final, as far as there is one; `None` when it is not there yet.
fn followed_block(context: &Context, number: u64) -> error::Result<Option<FollowedBlock>> {
    let stored = context.chain().stored(number).map_err(|error| error::store(&error))?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    Ok(Some(FollowedBlock { block: alloy_rlp::encode(&stored.block).into(), finality: finality(context, number)? }))
}
