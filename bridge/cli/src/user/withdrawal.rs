//! How far a withdrawal is: followed until it ends, and shown with what it waits for.

use std::time::{Duration, Instant};

use bitcoin::Amount;
use bridge::amount::show;
use bridge::io::sidechain::Client;
use bridge::peg::{Parameters, VaultStatus, Version, Withdrawal, WithdrawalStatus};
use eyre::{Result, bail, eyre};
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use super::mempool;
use super::outlook::Lookout;
use super::withdrawal_waits::{Facts, Wait, waits};
use crate::clock::time;
use crate::context::Context;
use crate::options::network::KnownNetwork;
use crate::options::sidechain::is_temporary;

/// How often the node is asked how far a withdrawal is.
const POLL: Duration = Duration::from_millis(500);
/// After so long without a change it is said that there was none.
const SILENCE: Duration = Duration::from_secs(60);

/// A withdrawal, with what it waits for as far as the node tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    #[serde(flatten)]
    pub withdrawal: Withdrawal,
    pub waits_for: Vec<Wait>,
    /// When anybody may give it back while it is queued, in seconds since 1970.
    pub refundable_from: u64,
}

/// What `--json` prints at each change, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename = "withdrawal")]
struct Changed<'a> {
    #[serde(flatten)]
    progress: &'a Progress,
}

/// The same when nothing has changed for a minute.
#[derive(Serialize)]
#[serde(tag = "event", rename = "waiting", rename_all = "camelCase")]
struct Waiting {
    id: u64,
    for_seconds: u64,
    waits_for: Vec<&'static str>,
}

/// The withdrawal, and what it waits for; none when there is no such id.
///
/// # Errors
///
/// The node does not answer.
pub async fn progress(lookout: &mut Lookout<'_>, parameters: &Parameters, id: u64) -> Result<Option<Progress>> {
    let Some(mut withdrawal) = lookout.client.withdrawal(id).await? else { return Ok(None) };
    if let Some(witness) = &mut lookout.witness {
        withdrawal = witness.withdrawal(lookout.client, withdrawal).await?;
    }
    let refundable_from = withdrawal.asked_at.saturating_add(parameters.refund_after.into());
    let waits_for = match withdrawal.status {
        WithdrawalStatus::Queued | WithdrawalStatus::Tied => {
            let newest = withdrawal.versions.iter().rev().find(|version| version.status != VaultStatus::Void);
            let in_mempool = match newest {
                Some(version) => mempool::has(lookout.bitcoin.as_ref(), version.txid).await,
                None => None,
            };
            let replaced = replaced(lookout.client, &withdrawal).await?;
            waits(&withdrawal, &Facts { outlook: lookout.look().await?, in_mempool, replaced })
        }
        WithdrawalStatus::Paid | WithdrawalStatus::Cancelled | WithdrawalStatus::Refunded => Vec::new(),
    };
    Ok(Some(Progress { withdrawal, waits_for, refundable_from }))
}

/// What settled spends the output that it is tied to without paying it, and its confirmations.
async fn replaced(client: &Client, withdrawal: &Withdrawal) -> Result<Option<(u32, u32)>> {
    let Some(tie) = withdrawal.tie.filter(|_| withdrawal.status == WithdrawalStatus::Tied) else { return Ok(None) };
    let by = client.vault_transaction(tie).await?.and_then(|output| output.spent_by);
    let Some(by) = by else { return Ok(None) };
    let settled = client.vault_transaction(by).await?;
    Ok(settled.map(|settled| (by, settled.confirmations)))
}

/// The withdrawal of that number.
///
/// # Errors
///
/// There is none.
pub async fn find(client: &Client, id: u64) -> Result<Withdrawal> {
    client.withdrawal(id).await?.ok_or_else(|| eyre!("there is no withdrawal {id}"))
}

/// Waits until a withdrawal is paid or given back, showing each change.
///
/// # Errors
///
/// The node does not know the withdrawal any more, or gives an answer that asking again does not mend.
pub async fn follow(network: &KnownNetwork, id: u64, bitcoin: Option<BitcoinRpc>, context: &Context) -> Result<()> {
    let (client, info) = (&network.client, &network.info);
    let (mut shown, began, mut spoke) = (None, Instant::now(), Instant::now());
    let mut lookout = Lookout::new(client, bitcoin, network.witness()?);
    loop {
        match progress(&mut lookout, &info.parameters, id).await {
            Ok(Some(progress)) => {
                let (news, ended) = (news(&progress), has_ended(progress.withdrawal.status));
                if shown.as_ref() != Some(&news) {
                    (shown, spoke) = (Some(news), Instant::now());
                    context.print(&Changed { progress: &progress }, || {
                        describe(&progress).iter().for_each(|line| println!("{line}"));
                    });
                }
                if ended {
                    return Ok(());
                }
                if spoke.elapsed() >= SILENCE {
                    show_waiting(&progress, began.elapsed(), context);
                    spoke = Instant::now();
                }
            }
            Ok(None) => {
                bail!("the node at {} does not know withdrawal {id} any more: it is not the node it was", client.url())
            }
            Err(error) if is_temporary(&error) => tracing::warn!("asking again: {error:#}"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Nothing has changed for a minute.
fn show_waiting(progress: &Progress, waited: Duration, context: &Context) {
    let (id, for_seconds) = (progress.withdrawal.id, waited.as_secs());
    let waits_for = progress.waits_for.iter().map(Wait::name).collect();
    context.print(&Waiting { id, for_seconds, waits_for }, || {
        let waited = humantime::format_duration(Duration::from_secs(for_seconds));
        let reason = progress.waits_for.first().map(|wait| wait.advice(id)).unwrap_or_default();
        println!("still waiting after {waited}: {reason}");
    });
}

/// Whether it can change no more, but for a reorganisation of Bitcoin.
pub fn has_ended(status: WithdrawalStatus) -> bool {
    !matches!(status, WithdrawalStatus::Queued | WithdrawalStatus::Tied)
}

/// What is worth another line: not each block that makes a window fuller.
pub fn news(progress: &Progress) -> (WithdrawalStatus, Vec<Version>, Vec<&'static str>) {
    let withdrawal = &progress.withdrawal;
    (withdrawal.status, withdrawal.versions.clone(), progress.waits_for.iter().map(Wait::name).collect())
}

/// A withdrawal in lines: where it stands, and what it waits for.
pub fn describe(progress: &Progress) -> Vec<String> {
    let Progress { withdrawal, waits_for, refundable_from } = progress;
    let stands = match waits_for.as_slice() {
        [Wait::Replaced { .. }] => {
            let (value, tie) = (show(Amount::from_sat(withdrawal.amount_sat)), withdrawal.tie.unwrap_or_default());
            format!("{value} tied to vault output {tie}, which was spent without paying it")
        }
        _ => stands(withdrawal),
    };
    let mut lines = vec![format!("Withdrawal {}: {stands}", withdrawal.id)];
    lines.extend(waits_for.iter().map(|wait| format!("  waits      {}", wait.advice(withdrawal.id))));
    if withdrawal.status == WithdrawalStatus::Queued {
        let from = time(*refundable_from);
        lines.push(format!(
            "  or else    take it back: causeway cancel {}; anyone can from {from} on (refund)",
            withdrawal.id
        ));
    }
    let others = withdrawal.versions.iter().rev().skip(1).filter(|version| version.status == VaultStatus::Bound);
    let is_replaced = waits_for.iter().any(|wait| matches!(wait, Wait::Replaced { .. }));
    if withdrawal.status == WithdrawalStatus::Tied && !is_replaced {
        lines.extend(others.map(|version| format!("  or         {}", of_version(withdrawal, version))));
    }
    lines
}

fn stands(withdrawal: &Withdrawal) -> String {
    let value = show(Amount::from_sat(withdrawal.amount_sat));
    match withdrawal.status {
        WithdrawalStatus::Queued => format!("{value} queued for the next payout"),
        WithdrawalStatus::Tied => match withdrawal.versions.last() {
            Some(version) => format!("paying {}", of_version(withdrawal, version)),
            None => format!("{value} tied to vault output {}", withdrawal.tie.unwrap_or_default()),
        },
        WithdrawalStatus::Paid => match paid_version(withdrawal) {
            Some(version) => format!("paid {}", of_version(withdrawal, version)),
            None => format!("paid by vault transaction {}", withdrawal.paid_by.unwrap_or_default()),
        },
        WithdrawalStatus::Cancelled => format!("cancelled, {value} went back to {}", withdrawal.owner),
        WithdrawalStatus::Refunded => format!("given back, {value} went to {}", withdrawal.owner),
    }
}

fn of_version(withdrawal: &Withdrawal, version: &Version) -> String {
    let net = Amount::from_sat(withdrawal.amount_sat.saturating_sub(version.charge_sat));
    let charge = Amount::from_sat(version.charge_sat);
    format!("{} by vault transaction {} ({}), which takes {}", show(net), version.number, version.txid, show(charge))
}

/// The version that settled.
pub fn paid_version(withdrawal: &Withdrawal) -> Option<&Version> {
    withdrawal.versions.iter().find(|version| Some(version.number) == withdrawal.paid_by)
}

/// Why a withdrawal that is not queued cannot be taken back.
pub fn why_not_queued(withdrawal: &Withdrawal) -> String {
    let id = withdrawal.id;
    match withdrawal.status {
        WithdrawalStatus::Queued => format!("withdrawal {id} is queued"),
        WithdrawalStatus::Tied => {
            let by = withdrawal.versions.last();
            let by = by.map_or_else(String::new, |version| {
                format!(" by vault transaction {} ({})", version.number, version.txid)
            });
            format!(
                "withdrawal {id} is being paid{by}: what is bound may be signed and confirm, so it cannot be taken back; if it waits for long, causeway raise {id} lets a dearer version take its place"
            )
        }
        WithdrawalStatus::Paid => format!("withdrawal {id} is paid"),
        WithdrawalStatus::Cancelled => format!("withdrawal {id} is cancelled already"),
        WithdrawalStatus::Refunded => format!("withdrawal {id} was given back already"),
    }
}
