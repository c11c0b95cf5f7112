//! The `peg` namespace: the bridge as its users, relayers, followers and auditors see it.
//!
//! All but registrations is read from the contracts at the head; nothing here is remembered by the server.

mod ledger;
mod registrations;


use alloy_eips::BlockId;
use alloy_primitives::Bytes;
use api::peg::{self, Certified, Finality, FollowedBlock};
use bitcoin::hashes::Hash;
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT, MICRO_CHANNEL, SIGNING_BOARD};
use jsonrpsee::RpcModule;

use super::method::{self, worker};
use super::reader::Reader;
use super::{context::Context as Node, error, eth};
use crate::app::SimulateError;

/// Blocks between a block and the certificate that makes it final. Certificates are kept for nearly every block; more
/// between two is a hole in this node's store.
const MAX_DESCENDANTS: u64 = 256;

pub fn register(module: &mut RpcModule<Node>) -> method::Registered {
    worker(module, "peg_getInfo", |node, _| info(node).map_err(error::simulate))?;
    worker(module, "peg_getFinality", |node, arguments| {
        let number = eth::number(node, arguments.optional("block")?.unwrap_or(BlockId::latest()))?;
        finality(node, number)?.ok_or_else(|| error::not_found(format!("no certificate for block {number} yet")))
    })?;
    worker(module, "peg_getBlock", |node, arguments| followed_block(node, arguments.next("number")?))?;
    ledger::register(module)?;
    registrations::register(module)
}

fn info(node: &Node) -> Result<peg::Info, SimulateError> {
    let genesis = node.chain().genesis();
    let reader = Reader::new(&node.state);
    let (parameters, epoch) = (reader.parameters()?, reader.epoch()?);
    let (tip, height) = reader.bitcoin_tip()?;
    let books = reader.books()?;
    Ok(peg::Info {
        chain_id: genesis.chain_id,
        bitcoin_network: node.bitcoin_network().name().to_owned(),
        contracts: peg::Contracts {
            light_client: LIGHT_CLIENT,
            federation: FEDERATION,
            signing_board: SIGNING_BOARD,
            bridge: BRIDGE,
            micro_channel: MICRO_CHANNEL,
        },
        epoch,
        group_key: reader.group_key(epoch)?,
        vault_key: reader.vault_key(epoch)?,
        threshold: reader.threshold()?,
        members: (1..)
            .zip(reader.members()?)
            .map(|(index, member)| peg::Member { index, name: member.name, account: member.account })
            .collect(),
        reclaim_delay: parameters.reclaimDelay,
        min_deposit_sat: parameters.minDepositSat,
        min_withdrawal_sat: parameters.minWithdrawalSat,
        min_fee_rate: parameters.minFeeRate,
        max_fee_rate: parameters.maxFeeRate,
        tiers: parameters
            .tiers
            .iter()
            .map(|tier| peg::Tier { up_to_sat: tier.upToSat, confirmations: tier.confirmations })
            .collect(),
        bitcoin_tip: peg::BitcoinTip { hash: bitcoin::BlockHash::from_byte_array(tip.0), height },
        ledger: peg::Ledger {
            vault_sat: books.ledger.vault_sat,
            owed_sat: books.ledger.owed_sat,
            held_sat: books.ledger.held_sat,
            deficit_sat: books.ledger.deficit_sat,
            supply_sat: books.supply_sat,
        },
        head: peg::Head {
            number: reader.header.number,
            hash: reader.header.hash_slow(),
            timestamp: reader.header.timestamp,
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The proof that a block is final; `None` until a certificate for it, or a later one, is here.
fn finality(node: &Node, number: u64) -> error::Result<Option<Finality>> {
    let chain = node.chain();
    let certificate = chain.finality_at_or_after(number).map_err(|error| error::store(&error))?;
    let Some((certified, certificate)) = certificate else {
        return Ok(None);
    };
    if certified - number > MAX_DESCENDANTS {
        return Err(error::server(format!("the next certificate after block {number} is for block {certified}")));
    }
    let headers = (number..=certified).map(|number| match chain.header(number) {
        Ok(Some(header)) => Ok(header),
        Ok(None) => Err(error::not_found(format!("block {number} not found"))),
        Err(error) => Err(error::store(&error)),
    });
    let headers: Vec<_> = headers.collect::<error::Result<_>>()?;
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

fn followed_block(node: &Node, number: u64) -> error::Result<Option<FollowedBlock>> {
    let stored = node.chain().stored(number).map_err(|error| error::store(&error))?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    Ok(Some(FollowedBlock { block: alloy_rlp::encode(&stored.block).into(), finality: finality(node, number)? }))
}
