//! How far a deposit is: what it waits for as far as the node tells, and shown in lines.

use bitcoin::{Amount, OutPoint};
use bridge::amount::show;
use bridge::io::sidechain::Client;
use bridge::peg::{Deposit, DepositStatus, Parameters};
use contracts::{Bridge, address};
use eyre::{Result, bail};
use serde::Serialize;

use super::deposit_record::Record;
use super::deposit_waits::{Facts, Seen, Wait, newest_sweep, reclaimable_from, waits};
use super::mempool;
use super::outlook::Lookout;
use super::payment::{about, about_seconds};
use super::taken_back::is_taken_back;

/// A deposit, with what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    #[serde(flatten)]
    pub deposit: Deposit,
    pub waits_for: Vec<Wait>,
    /// Its owner took it back, as the user's own bitcoind has it: nothing is awaited any more.
    pub taken_back: bool,
    /// The first Bitcoin block in which its owner can take it back, unless it is swept.
    pub reclaimable_from: u32,
    /// About how many seconds until then, where blocks come by themselves; of those that nothing sweeps yet.
    pub reclaimable_in_s: Option<u64>,
    /// Coins that wait for its claimant in the bridge, of this or other deposits: its recipient's code refused some.
    pub claimable_sat: u64,
}

impl Progress {
    /// Its coins are there, or will never be.
    pub fn has_ended(&self) -> bool {
        self.taken_back || matches!(self.deposit.status, DepositStatus::Minted | DepositStatus::Gone)
    }
}

/// What deposits wait for. Of those with nothing to wait for, the node is asked nothing more.
///
/// # Errors
///
/// The node does not answer.
pub async fn progress(
    lookout: &mut Lookout<'_>,
    parameters: &Parameters,
    deposits: Vec<Deposit>,
) -> Result<Vec<Progress>> {
    let mut all = Vec::new();
    for mut deposit in deposits {
        if let Some(witness) = &mut lookout.witness {
            deposit = witness.deposit(lookout.client, deposit).await?;
        }
        let taken_back = is_taken_back(lookout.bitcoin.as_ref(), &deposit).await;
        let waits_for = match deposit.status {
            DepositStatus::Proven | DepositStatus::Swept if !taken_back => {
                let seen = seen(lookout, &deposit).await?;
                waits(&deposit, &Facts { outlook: lookout.look().await?, seen: &seen })
            }
            _ => Vec::new(),
        };
        let claimable_sat = claimable(lookout.client, &deposit).await?;
        let reclaimable_from = reclaimable_from(&deposit, parameters);
        let reclaimable_in_s = match deposit.status {
            DepositStatus::Proven if !taken_back => {
                let info = &lookout.look().await?.info;
                about_seconds(reclaimable_from.saturating_sub(info.bitcoin_tip.height), info.bitcoin_network)
            }
            _ => None,
        };
        all.push(Progress { deposit, waits_for, taken_back, reclaimable_from, reclaimable_in_s, claimable_sat });
    }
    Ok(all)
}

/// What a node tells of the deposits to an address is of that address, as far as the ledger keeps what it commits to.
///
/// # Errors
///
/// One is of other terms: the node shows somebody else's.
pub fn expect_of(client: &Client, record: &Record, deposits: &[Deposit]) -> Result<()> {
    let terms = |deposit: &Deposit| (deposit.recipient, deposit.claimant, deposit.max_fee_sat, deposit.epoch);
    let want = (record.recipient, record.claimant, record.max_fee_sat, record.epoch);
    match deposits.iter().find(|deposit| terms(deposit) != want) {
        Some(other) => bail!(
            "the node at {} shows {} as a payment to {}, and its terms are others: do not use this node",
            client.url(),
            OutPoint::new(other.txid, other.vout),
            record.address
        ),
        None => Ok(()),
    }
}

/// What else there is to know of a deposit that waits.
async fn seen(lookout: &mut Lookout<'_>, deposit: &Deposit) -> Result<Seen> {
    let sweep = newest_sweep(deposit, &lookout.look().await?.vault).cloned();
    let bitcoin = lookout.bitcoin.as_ref();
    let mut outpoints = vec![OutPoint::new(deposit.txid, deposit.vout)];
    let mut in_mempool = None;
    if let Some(sweep) = sweep {
        in_mempool = mempool::has(bitcoin, sweep.txid).await;
        outpoints = sweep.content.deposits;
    }
    let spenders = mempool::spenders(bitcoin, &outpoints).await;
    let settled = match deposit.swept_by {
        Some(number) => lookout.client.vault_transaction(number).await?,
        None => None,
    };
    let swept = settled.and_then(|vault| Some((vault.height?, vault.confirmations)));
    Ok(Seen { spenders, in_mempool, swept })
}

/// What waits for the claimant of a minted deposit.
async fn claimable(client: &Client, deposit: &Deposit) -> Result<u64> {
    if deposit.minted_sat.is_none() || deposit.recipient == address::BRIDGE {
        return Ok(0);
    }
    let account = claimant(deposit);
    Ok(client.call(address::BRIDGE, &Bridge::claimableCall { account }).await?)
}

/// Who can claim its coins.
fn claimant(deposit: &Deposit) -> alloy_primitives::Address {
    if deposit.claimant.is_zero() { deposit.recipient } else { deposit.claimant }
}

/// A deposit in lines: where it stands, and what it waits for. `address`: where it was paid, if that is known.
pub fn describe(progress: &Progress, address: Option<&str>) -> Vec<String> {
    let Progress { deposit, waits_for, taken_back, reclaimable_from, reclaimable_in_s, claimable_sat } = progress;
    let outpoint = OutPoint::new(deposit.txid, deposit.vout);
    if *taken_back {
        let gross = show(Amount::from_sat(deposit.amount_sat));
        return vec![format!(
            "{outpoint}: {gross} taken back: your bitcoind has it spent, and no sweep was ever bound"
        )];
    }
    let mut lines = vec![format!("{outpoint}: {}", stands(deposit))];
    lines.extend(waits_for.iter().map(|wait| format!("  waits      {}", wait.advice())));
    if deposit.status == DepositStatus::Proven && deposit.minted_sat.is_none() {
        let when = reclaimable_in_s.map(|seconds| format!(" (in {})", about(seconds))).unwrap_or_default();
        lines.push(format!(
            "  or else    its owner takes it back from block {reclaimable_from} on{when}: causeway reclaim {}",
            address.unwrap_or("ADDRESS")
        ));
    }
    if *claimable_sat > 0 {
        let coins = show(Amount::from_sat(*claimable_sat));
        lines.push(format!("  refused    {coins} wait in the bridge for {}: causeway claim", claimant(deposit)));
    }
    lines
}

fn stands(deposit: &Deposit) -> String {
    let gross = show(Amount::from_sat(deposit.amount_sat));
    let by = deposit.swept_by.map_or_else(
        || "no vault transaction at the moment".to_owned(),
        |number| format!("vault transaction {number}"),
    );
    let minted = deposit.minted_sat.map(|sat| (Amount::from_sat(sat), show(Amount::from_sat(sat))));
    match (deposit.status, minted) {
        (DepositStatus::Gone, None) => format!("{gross} can never be swept any more: something else spent it for good"),
        (DepositStatus::Gone, Some((_, net))) => {
            format!("{net} minted to {}, but {gross} can never be swept any more", deposit.recipient)
        }
        (_, Some((net, shown))) => {
            let charge = Amount::from_sat(deposit.amount_sat).checked_sub(net).unwrap_or_default();
            format!("{shown} minted to {} ({gross} less {}), swept by {by}", deposit.recipient, show(charge))
        }
        (DepositStatus::Swept, None) => format!("{gross} swept by {by}, for {}", deposit.recipient),
        (DepositStatus::Proven | DepositStatus::Minted, None) => {
            format!("{gross} proven in Bitcoin block {}, for {}", deposit.height, deposit.recipient)
        }
    }
}
