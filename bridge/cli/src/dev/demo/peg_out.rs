//! Step "Peg out": coins are given back, and bitcoin arrives, paid by one signature of the federation.

use alloy_primitives::U256;
use bitcoin::{Address, Amount, OutPoint, ScriptBuf, Transaction};
use bridge::amount;
use bridge::peg::{Info, Withdrawal, WithdrawalStatus};
use eyre::{Result, ensure, eyre};

use super::amounts::{MAX_FEE, PEG_OUT};
use super::network::Network;
use super::story::{PATIENCE, Story, wait};
use super::user::User;
use crate::user::peg_out::{queued, withdrawal};

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
    let (id, gas) = request(network, user, &payee, story).await?;
    let paid = wait_until_paid(network, id, story).await?;
    let (transaction, received) = payment(network, &paid, &payee.script_pubkey()).await?;
    check_amounts(&paid, received)?;
    let (out, share) = (amount::show(PEG_OUT), amount::show(Amount::from_sat(paid.share_sat)));
    let txid = transaction.compute_txid();
    story.fact("paid", format!("{} ({out} less {share} for the payout) by {txid}", amount::show(received)));
    show_size(&transaction, story);
    show_signatures(&transaction, info, story)?;
    Ok(PaidOut { received, gas })
}

/// Queues the withdrawal: its number, and the wei that it cost.
async fn request(network: &Network, user: &User, payee: &Address, story: &mut Story) -> Result<(u64, U256)> {
    let (client, account) = (&network.client, &user.account);
    let before = client.balance(account.address()).await?;
    let call = withdrawal(PEG_OUT, MAX_FEE, &payee.script_pubkey());
    let (id, hash) = queued(&account.transact(client, &call, PATIENCE).await?, account.address(), &call)?;
    story.fact("queued", format!("withdrawal {id} by transaction {hash}"));
    Ok((id, before - amount::wei(PEG_OUT) - client.balance(account.address()).await?))
}

/// Follows the withdrawal into a vault transaction, and that into Bitcoin's chain, until the ledger says that it is paid.
async fn wait_until_paid(network: &Network, id: u64, story: &mut Story) -> Result<Withdrawal> {
    let client = &network.client;
    let vault = wait("the federation pays the withdrawal", async || {
        match client.withdrawal(id).await?.and_then(|withdrawal| withdrawal.number) {
            Some(number) => Ok(client.vault_transaction(number).await?),
            None => Ok(None),
        }
    })
    .await?;
    story.fact("paying", format!("by vault transaction {} ({})", vault.number, vault.txid));
    network.confirm(vault.txid, vault.required_confirmations, story).await?;
    wait("the withdrawal is paid", async || {
        Ok(client.withdrawal(id).await?.filter(|withdrawal| withdrawal.status == WithdrawalStatus::Paid))
    })
    .await
}

/// The confirmed transaction that paid a withdrawal, and what it paid.
async fn payment(network: &Network, paid: &Withdrawal, script: &ScriptBuf) -> Result<(Transaction, Amount)> {
    let txid = paid.txid.ok_or_else(|| eyre!("withdrawal {} is paid, but by no transaction", paid.id))?;
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
fn check_amounts(paid: &Withdrawal, received: Amount) -> Result<()> {
    ensure!(
        paid.share_sat <= MAX_FEE.to_sat(),
        "the withdrawal was charged {} sat, more than the {MAX_FEE} it allowed",
        paid.share_sat
    );
    ensure!(
        received + Amount::from_sat(paid.share_sat) == PEG_OUT,
        "{received} arrived and {} sat were charged: not {PEG_OUT} together",
        paid.share_sat
    );
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
