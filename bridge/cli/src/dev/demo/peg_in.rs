//! Step "Peg in": bitcoin is locked, and the coins appear.

use alloy_primitives::Address;
use bitcoin::{Amount, Txid};
use bridge::amount;
use bridge::peg::{Deposit, DepositStatus, Info};
use eyre::{Result, ensure, eyre};

use super::amounts::{MAX_FEE, PEG_IN};
use super::network::Network;
use super::story::{Story, wait};
use super::user::User;
use crate::dev::local_network::setup::PASSPHRASE;
use crate::user::deposit_record::{ReclaimKey, Record};
use crate::user::peg_in::uri;
use crate::user::registration::register;

/// Locks [`PEG_IN`] and waits for the coins; how much was minted.
pub async fn peg_in(network: &Network, user: &mut User, info: &Info, story: &mut Story) -> Result<Amount> {
    let record = new_address(network, user, info, story).await?;
    let txid = user.pay(network, record.output()?.script_pubkey(), PEG_IN).await?;
    story.fact("paid", format!("{} by {txid}, a plain P2TR output", amount::show(PEG_IN)));

    sweep(network, &record.address, story).await?;
    let deposit = wait("the coins are minted", async || {
        let report = network.client.deposit(&record.address).await?;
        Ok(report.deposits.into_iter().find(|deposit| deposit.status == DepositStatus::Minted))
    })
    .await?;
    check_terms(&deposit, txid)?;
    check_balance(network, user.account.address(), Amount::from_sat(deposit.share_sat), story).await
}

/// An address of the user that commits to the user's account, known to the relayers.
async fn new_address(network: &Network, user: &User, info: &Info, story: &mut Story) -> Result<Record> {
    let reclaim = ReclaimKey::fresh(PASSPHRASE)?;
    let to = user.account.address();
    let record = Record::new(info, mainchain::Network::Regtest, to, MAX_FEE, reclaim)?;
    user.records.keep(&record)?;
    register(&network.client, &record).await?;
    story.fact("address", &record.address);
    story.fact("link", uri(&record.address, Some(PEG_IN)));
    Ok(record)
}

/// Waits until a vault transaction sweeps the deposit, and until that is deep enough in Bitcoin's chain.
async fn sweep(network: &Network, address: &str, story: &mut Story) -> Result<()> {
    let deposit = wait("the federation sweeps the deposit", async || {
        Ok(network.client.deposit(address).await?.deposits.into_iter().next())
    })
    .await?;
    let vault = network
        .client
        .vault_transaction(deposit.number)
        .await?
        .ok_or_else(|| eyre!("the vault transaction of the deposit is not there"))?;
    story.fact("swept", format!("by vault transaction {} ({})", deposit.number, vault.txid));
    network.confirm(vault.txid, vault.required_confirmations, story).await
}

/// The ledger minted this payment, and took no more off than it may.
fn check_terms(deposit: &Deposit, txid: Txid) -> Result<()> {
    ensure!(
        deposit.txid == txid && deposit.amount_sat == PEG_IN.to_sat(),
        "the ledger minted another deposit: {deposit:?}"
    );
    ensure!(
        deposit.share_sat <= MAX_FEE.to_sat(),
        "the deposit was charged {} sat, more than the {MAX_FEE} it allowed",
        deposit.share_sat
    );
    Ok(())
}

/// The account has what was locked, less the deposit's share of the sweep's fee: that value.
async fn check_balance(network: &Network, to: Address, share: Amount, story: &mut Story) -> Result<Amount> {
    let minted = PEG_IN - share;
    let balance = network.client.balance(to).await?;
    ensure!(balance == amount::wei(minted), "the account has {balance} wei, expected {} wei", amount::wei(minted));
    let (locked, share) = (amount::show(PEG_IN), amount::show(share));
    story.fact("minted", format!("{} to {to} ({locked} less {share} for the sweep)", amount::show_wei(balance)));
    Ok(minted)
}
