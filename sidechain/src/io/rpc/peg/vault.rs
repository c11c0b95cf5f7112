//! `peg_getVault`: what the vault has to spend, and what waits for Bitcoin. One answer of one block, so that whoever asks why nothing is paid need not
//! put it together from many.

use alloy_primitives::B256;
use api::peg::{self, OutputStatus, VaultStatus};
use bitcoin::Txid;
use bitcoin::hashes::Hash as _;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use crate::chain::Chain;
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, bound_in};

/// Numbers of the newest vault outputs among which live ones are looked for, in steps that one call of a contract can do. A vault has some tens; what is older than so many transactions
/// was refreshed since.
const OUTPUTS_BACK: u32 = 2_000;
const STEP: u32 = 500;
/// Live outputs that are answered at most: the newest.
const MAX_OUTPUTS: usize = 256;
/// The newest vault transactions that are looked at. What is older settled, or another version did.
const PENDING_BACK: u32 = 64;

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getVault", |context, arguments| vault(context, arguments.stop()))
}

fn vault(context: &Context, stop: &Stop) -> error::Result<peg::Vault> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let count = contracts.vault_transaction_count().map_err(error::simulate)?;
    let outputs = outputs(&contracts, count)?;
    let first = count.saturating_sub(PENDING_BACK).saturating_add(1);
    let pending = (first..=count).map(|number| pending(context, &contracts, number, stop));
    let pending = pending.filter_map(Result::transpose).collect::<error::Result<_>>()?;
    Ok(peg::Vault { outputs, pending, looked_from: count.saturating_sub(OUTPUTS_BACK).saturating_add(1) })
}

fn outputs(contracts: &PegContracts<'_, Chain<NodeStore>>, count: u32) -> error::Result<Vec<peg::LiveOutput>> {
    let mut numbers = Vec::new();
    let mut after = count.saturating_sub(OUTPUTS_BACK);
    while after < count {
        numbers.extend(contracts.live_outputs(after, STEP).map_err(error::simulate)?);
        after = after.saturating_add(STEP);
    }
    let newest = &numbers[numbers.len().saturating_sub(MAX_OUTPUTS)..];
    let output = |number: &u32| {
        let made = contracts.vault_transaction(*number).map_err(error::simulate)?;
        let txid = Txid::from_byte_array(made.txid.0);
        let (amount_sat, epoch, rooted) = (made.changeSat, made.epoch, made.rooted);
        Ok(peg::LiveOutput { number: *number, txid, amount_sat, epoch, rooted })
    };
    newest.iter().map(output).collect()
}

/// None: it is settled or void, another one took its place, or it was bound before this node's history begins.
fn pending(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    number: u32,
    stop: &Stop,
) -> error::Result<Option<peg::Pending>> {
    let made = contracts.vault_transaction(number).map_err(error::simulate)?;
    if made.status != VaultStatus::Bound as u8 + 1 {
        return Ok(None);
    }
    let event = bound_in(context.chain(), number, contracts.header.number, stop).map_err(error::simulate)?;
    let Some((block, event)) = event else { return Ok(None) };
    let content: peg::Content = event.content.into();
    if is_spent_by_another(contracts, &content)? {
        return Ok(None);
    }
    let header = context.chain().header(block).map_err(|error| error::store(&error))?;
    Ok(Some(peg::Pending {
        number,
        txid: Txid::from_byte_array(made.txid.0),
        bound_at: header.map_or(0, |header| header.timestamp),
        change_sat: made.changeSat,
        content,
    }))
}

/// Whether something that settled spends one of its inputs, so that it confirms only if that leaves the best chain.
fn is_spent_by_another(contracts: &PegContracts<'_, NodeStore>, content: &peg::Content) -> error::Result<bool> {
    for output in &content.outputs {
        let made = contracts.vault_transaction(*output).map_err(error::simulate)?;
        if ![OutputStatus::Pending as u8, OutputStatus::Live as u8].contains(&made.output) {
            return Ok(true);
        }
    }
    for outpoint in &content.deposits {
        let txid = B256::from(outpoint.txid.to_byte_array());
        if contracts.deposit(txid, outpoint.vout).map_err(error::simulate)?.sweptBy != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
