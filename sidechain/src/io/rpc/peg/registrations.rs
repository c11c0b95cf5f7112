//! Deposit registrations: what an address commits to, so that relayers find payments to it.
//!
//! A registration moves no money and is not needed to recover any: the same terms can be presented again at any time, to
//! any node. So the node only bounds how many it keeps and how fast they come.

use std::num::NonZeroU16;
use std::sync::Arc;

use alloy_primitives::B256;
use api::peg::{self, Registered, Terms};
use bitcoin::{Amount, XOnlyPublicKey};
use contracts::address::BRIDGE;
use jsonrpsee::RpcModule;
use mainchain::deposit::{DepositTerms, Peg};
use serde_json::json;

use super::super::method::{self, Arguments, on_worker, worker};
use super::super::reader::Reader;
use super::super::{context::Context as Node, error};
use super::ledger::address;
use crate::app::Registration;
use crate::io::{
    clock::now_ms,
    node_state::{Gossip, NodeState, RegisterError},
};

/// Registrations in one page.
const MAX_PAGE: u32 = 1_000;

/// Virtual bytes a deposit adds to its sweep (230 weight units), rounded up: a fee limit below their price at the lowest
/// rate could never be met.
const SWEEP_VBYTES: u64 = 58;

/// A fee limit of more than 1 BTC is a mistake.
const MAX_FEE_SAT: u64 = 100_000_000;

pub fn register(module: &mut RpcModule<Node>) -> method::Registered {
    module.register_async_method("peg_registerDeposit", |params, node, _| async move {
        let terms: Terms = Arguments::new(&params)?.next("terms")?;
        register_deposit(node, terms).await
    })?;
    worker(module, "peg_getRegisteredDeposits", |node, arguments| {
        let cursor = arguments.optional("cursor")?.unwrap_or(0);
        let limit: u32 = arguments.optional("limit")?.unwrap_or(100);
        page(node, cursor, limit)
    })
}

async fn register_deposit(node: Arc<Node>, terms: Terms) -> error::Result<Registered> {
    if let Some(upstream) = &node.state.upstream {
        upstream.request("peg_registerDeposit", vec![json!(terms)]).await.map_err(error::upstream)?;
    }
    let (registration, new) = on_worker(node.clone(), move |node| {
        let registration = node.state.registration(&terms).map_err(error::register)?;
        let known = node.chain().registration(registration.output_key).map_err(|error| error::store(&error))?;
        if known.is_some() {
            return Ok((registration, false));
        }
        admit(node)?;
        let new = node.state.register(&registration).map_err(error::register)?;
        Ok((registration, new))
    })
    .await?;
    let output_key = registration.output_key;
    if new && node.state.upstream.is_none() && node.state.gossip.try_send(Gossip::Registration(registration)).is_err() {
        tracing::warn!(%output_key, "gossip is full: the registration is kept by this validator only");
    }
    Ok(Registered { address: shown(&node, output_key), output_key })
}

/// Takes a place in this minute's registrations.
fn admit(node: &Node) -> error::Result<()> {
    if node.registrations().take(now_ms()) {
        return Ok(());
    }
    let limit = node.settings.max_registrations_per_minute;
    Err(error::limit(format!(
        "too many deposit registrations: this node takes {limit} a minute, try later or another node"
    )))
}

fn page(node: &Node, cursor: u64, limit: u32) -> error::Result<peg::Registrations> {
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let found = node.chain().registrations(cursor, limit).map_err(|error| error::store(&error))?;
    let next = found.last().map_or(cursor, |(cursor, _)| *cursor);
    let deposits = found.into_iter().map(|(cursor, registration)| peg::Registration {
        cursor,
        terms: Terms {
            recipient: registration.recipient,
            reclaim_key: registration.reclaim_key,
            max_fee_sat: registration.max_fee_sat,
            epoch: registration.epoch,
        },
        address: shown(node, registration.output_key),
        output_key: registration.output_key,
    });
    Ok(peg::Registrations { deposits: deposits.collect(), next })
}

fn shown(node: &Node, output_key: B256) -> String {
    address(output_key, node.bitcoin_network()).unwrap_or_default()
}

impl NodeState {
    /// The registration of terms, with the output key they make at the head. Keeps nothing.
    ///
    /// # Errors
    ///
    /// `Terms` says what is wrong with them.
    pub fn registration(&self, terms: &Terms) -> Result<Registration, RegisterError> {
        let refused = |reason: String| RegisterError::Terms(reason);
        let genesis = self.chain.genesis();
        if terms.recipient.is_zero() {
            return Err(refused("the recipient is the zero address".into()));
        }
        let reclaim_key = XOnlyPublicKey::from_slice(terms.reclaim_key.as_slice())
            .map_err(|_| refused(format!("reclaimKey {} is not an x-only public key", terms.reclaim_key)))?;
        let lowest = SWEEP_VBYTES * u64::from(genesis.bridge.min_fee_rate);
        if !(lowest..=MAX_FEE_SAT).contains(&terms.max_fee_sat) {
            return Err(refused(format!("maxFeeSat is {}, expected {lowest} to {MAX_FEE_SAT} sat", terms.max_fee_sat)));
        }
        let group_key = Reader::new(self)
            .group_key(terms.epoch)?
            .and_then(|key| XOnlyPublicKey::from_slice(key.as_slice()).ok())
            .ok_or_else(|| refused(format!("epoch {} has no group key yet", terms.epoch)))?;
        let delay = NonZeroU16::new(genesis.bridge.reclaim_delay)
            .ok_or_else(|| refused("the reclaim delay of this chain is zero".into()))?;
        let peg = Peg { chain_id: genesis.chain_id, bridge: BRIDGE.into_array(), delay };
        let deposit = DepositTerms {
            recipient: terms.recipient.into_array(),
            reclaim_key,
            max_fee: Amount::from_sat(terms.max_fee_sat),
            epoch: terms.epoch,
        };
        let output_key = B256::from(deposit.output(&peg, group_key).output_key().serialize());
        Ok(Registration {
            recipient: terms.recipient,
            reclaim_key: terms.reclaim_key,
            max_fee_sat: terms.max_fee_sat,
            epoch: terms.epoch,
            output_key,
        })
    }

    /// Keeps a registration, of a user or by gossip; answers whether it is new. Blocks.
    ///
    /// # Errors
    ///
    /// `Terms`, `OutputKey`: whoever sent it is at fault. `Store` with `Full`: no room.
    pub fn register(&self, registration: &Registration) -> Result<bool, RegisterError> {
        let want = self.registration(&Terms {
            recipient: registration.recipient,
            reclaim_key: registration.reclaim_key,
            max_fee_sat: registration.max_fee_sat,
            epoch: registration.epoch,
        })?;
        if want.output_key != registration.output_key {
            return Err(RegisterError::OutputKey { got: registration.output_key, want: want.output_key });
        }
        let (_, new) = self.chain.register_deposit(registration)?;
        Ok(new)
    }
}
