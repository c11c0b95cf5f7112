//! A command that withdraws, given again: it goes on with what is under way instead of withdrawing twice.

use alloy_primitives::Address;
use bitcoin::{Amount, ScriptBuf};
use eyre::Result;

use super::withdrawal::has_ended;
use super::withdrawal_record::{Source, WithdrawnRecords};
use crate::options::network::KnownNetwork;

/// Own withdrawals, the newest first, among which one that is under way is looked for.
const MOST_LOOKED_AT: usize = 32;

/// What a command would withdraw.
pub struct Wanted<'a> {
    pub owner: Address,
    pub script: &'a ScriptBuf,
    /// None: whatever was withdrawn, for a command that takes all and finds nothing left.
    pub amount: Option<Amount>,
    pub from: Source,
}

/// Number of a withdrawal that an earlier command queued for the same and that has not ended: that command was interrupted while it waited. Says so.
///
/// # Errors
///
/// Records cannot be read, or the node does not answer.
pub async fn under_way(network: &KnownNetwork, wanted: &Wanted<'_>) -> Result<Option<u64>> {
    let records = WithdrawnRecords::in_home(&network.home, network.network_id);
    let (ids, _) = records.newest(MOST_LOOKED_AT)?;
    for id in ids {
        if records.get(id)?.is_none_or(|kept| kept.from != wanted.from) {
            continue;
        }
        let Some(known) = network.client.withdrawal(id).await? else { continue };
        let is_same = known.owner == wanted.owner
            && *known.script == *wanted.script.as_bytes()
            && wanted.amount.is_none_or(|amount| known.amount_sat == amount.to_sat());
        if is_same && !has_ended(known.status) {
            eprintln!(
                "Withdrawal {id} of yours is the same and under way: going on with it, nothing new is signed (--again queues another)"
            );
            return Ok(Some(id));
        }
    }
    Ok(None)
}
