//! `peg_getVault`: what the vault has to spend, and what waits for Bitcoin. One answer of one block, so that whoever asks why nothing is paid need not
//! put it together from many.

use api::peg;
use contracts::IVault;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use crate::chain::Chain;
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, bound_in, is_spent_by_another, looked_from, outputs, txid, unsettled};

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getVault", |context, arguments| vault(context, arguments.stop()))
}

fn vault(context: &Context, stop: &Stop) -> error::Result<peg::Vault> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let count = contracts.vault_transaction_count().map_err(error::simulate)?;
    let unsettled = unsettled(&contracts, count).map_err(error::simulate)?;
    let pending = unsettled.into_iter().map(|(number, made)| pending(context, &contracts, number, &made, stop));
    let pending = pending.filter_map(Result::transpose).collect::<error::Result<_>>()?;
    let outputs = outputs(&contracts, count).map_err(error::simulate)?;
    Ok(peg::Vault { outputs, pending, looked_from: looked_from(count) })
}

/// None: another one took its place, or it was bound before this node's history begins.
fn pending(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    number: u32,
    made: &IVault::VaultTransaction,
    stop: &Stop,
) -> error::Result<Option<peg::Pending>> {
    let event = bound_in(context.chain(), number, contracts.header.number, stop).map_err(error::simulate)?;
    let Some((block, event)) = event else { return Ok(None) };
    let content: peg::Content = event.content.into();
    if is_spent_by_another(contracts, &content).map_err(error::simulate)? {
        return Ok(None);
    }
    let header = context.chain().header(block).map_err(|error| error::store(&error))?;
    Ok(Some(peg::Pending {
        number,
        txid: txid(made.txid),
        bound_at: header.map_or(0, |header| header.timestamp),
        change_sat: made.changeSat,
        content,
    }))
}
