//! Step "Peg out": coins are given back, and bitcoin arrives, paid by one signature of the federation.

use alloy_primitives::U256;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction};
use bridge::amount;
use bridge::peg::{Info, Version, WithdrawalStatus};
use eyre::{Result, ensure, eyre};

use super::amounts::PEG_OUT;
use super::network::Network;
use super::story::{PATIENCE, Story, wait};
use super::user::User;
use crate::user::charge::{present_of_withdrawal, rate_shown, usual_of_withdrawal};
use crate::user::peg_out::{queued, withdrawal};
use crate::user::withdrawal::paid_version;

/// What a peg-out did.
pub struct PaidOut {
    /// On Bitcoin.
    pub received: Amount,
    /// Wei that the request cost on the sidechain.
    pub gas: U256,
}

/// Takes [`PEG_OUT`] out to a new address, and looks at the payment as Bitcoin sees it.
pub async fn peg_out(network: &Network, user: &mut User, info: &Info, story: &mut Story) -> Result<PaidOut> {
    let payee = user.wallet.address()?;
    story.fact("to", &payee);
    let script = payee.script_pubkey();
    let max_fee = quoted(network, info, &script, story).await?;
    let (id, gas) = request(network, user, max_fee, &script, story).await?;
    let version = wait_until_paid(network, id, story).await?;
    let (transaction, received) = payment(network, &version, &script).await?;
    check_amounts(&version, max_fee, received)?;
    let (out, charge) = (amount::show(PEG_OUT), amount::show(Amount::from_sat(version.charge_sat)));
    let txid = transaction.compute_txid();
    story.fact("paid", format!("{} ({out} less {charge} for the payout) by {txid}", amount::show(received)));
    show_size(&transaction, story);
    show_signatures(&transaction, info, story)?;
    Ok(PaidOut { received, gas })
}

/// What it costs now, and the maximum that follows from it.
async fn quoted(network: &Network, info: &Info, script: &ScriptBuf, story: &mut Story) -> Result<Amount> {
    let now = present_of_withdrawal(&network.client, script.len(), &info.parameters).await?;
    let max_fee = usual_of_withdrawal(PEG_OUT, script.len(), now, &info.parameters)?;
    let (costs, most) = (amount::show(now.amount), amount::show(max_fee));
    story.fact("quote", format!("{costs} at {} sat/vB, whoever else is paid; at most {most}", rate_shown(now.rate)));
    Ok(max_fee)
}

/// Queues the withdrawal: its number, and the wei that it cost.
async fn request(
    network: &Network,
    user: &User,
    max_fee: Amount,
    script: &ScriptBuf,
    story: &mut Story,
) -> Result<(u64, U256)> {
    let (client, account) = (&network.client, &user.account);
    let before = client.balance(account.address()).await?;
    let call = withdrawal(PEG_OUT, max_fee, script);
    let (id, hash) = queued(&account.transact(client, &call, PATIENCE).await?, account.address(), &call)?;
    story.fact("queued", format!("withdrawal {id} by transaction {hash}"));
    Ok((id, before - amount::wei(PEG_OUT) - client.balance(account.address()).await?))
}

/// Follows the withdrawal into a vault transaction, and that into Bitcoin's chain, until the ledger says that it is paid; by which.
async fn wait_until_paid(network: &Network, id: u64, story: &mut Story) -> Result<Version> {
    let client = &network.client;
    let bound = wait("the federation binds a payout of the withdrawal", async || {
        Ok(client.withdrawal(id).await?.and_then(|withdrawal| withdrawal.versions.last().copied()))
    })
    .await?;
    story.fact(
        "bound",
        format!("vault transaction {} ({}), byte for byte, before anybody signs", bound.number, bound.txid),
    );
    network.confirm(bound.txid, story).await?;
    let paid = wait("the withdrawal is paid", async || {
        Ok(client.withdrawal(id).await?.filter(|withdrawal| withdrawal.status == WithdrawalStatus::Paid))
    })
    .await?;
    paid_version(&paid).copied().ok_or_else(|| eyre!("withdrawal {id} is paid, but by no transaction"))
}

/// The confirmed transaction that paid a withdrawal, and what it paid.
async fn payment(network: &Network, paid: &Version, script: &ScriptBuf) -> Result<(Transaction, Amount)> {
    let txid = paid.txid;
    let transaction =
        network.bitcoin.transaction(txid, None).await?.ok_or_else(|| eyre!("bitcoind does not know {txid}"))?;
    let mut outputs = transaction.output.iter();
    let vout = outputs
        .position(|output| output.script_pubkey == *script)
        .ok_or_else(|| eyre!("{txid} does not pay the address"))?;
    let outpoint = OutPoint::new(txid, u32::try_from(vout)?);
    let coin =
        network.bitcoin.unspent(outpoint, false).await?.ok_or_else(|| eyre!("{outpoint} is not an unspent output"))?;
    ensure!(coin.confirmations > 0, "{outpoint} is not confirmed");
    Ok((transaction, coin.value))
}

/// What arrived and what was charged is what left the account, and no more was charged than allowed.
fn check_amounts(paid: &Version, max_fee: Amount, received: Amount) -> Result<()> {
    let charge = Amount::from_sat(paid.charge_sat);
    ensure!(charge <= max_fee, "the withdrawal was charged {charge}, more than the {max_fee} it allowed");
    ensure!(received + charge == PEG_OUT, "{received} arrived and {charge} were charged: not {PEG_OUT} together");
    Ok(())
}

fn show_size(transaction: &Transaction, story: &mut Story) {
    let (size, inputs, outputs) = (transaction.vsize(), transaction.input.len(), transaction.output.len());
    story.fact("size", format!("{size} vB, {inputs} input(s), {outputs} outputs"));
}

/// Each input is spent by the one signature that the federation made together.
fn show_signatures(transaction: &Transaction, info: &Info, story: &mut Story) -> Result<()> {
    for input in &transaction.input {
        let witness: Vec<_> = input.witness.iter().collect();
        ensure!(
            witness.len() == 1 && witness[0].len() == 64,
            "input {} is not spent by one 64-byte signature",
            input.previous_output
        );
        let (signature, threshold, members) = (hex::encode(witness[0]), info.threshold, info.members.len());
        story.fact("signature", format!("{signature} (64 bytes: {threshold} of {members} signed as one)"));
    }
    Ok(())
}
