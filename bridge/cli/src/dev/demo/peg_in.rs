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
use crate::user::deposit_record::{Receiver, ReclaimKey, Record};
use crate::user::deposit_waits::required;
use crate::user::peg_in::uri;
use crate::user::registration::register;

/// Locks [`PEG_IN`] and waits for the coins; how much was minted.
pub async fn peg_in(network: &Network, user: &mut User, info: &Info, story: &mut Story) -> Result<Amount> {
    let record = new_address(network, user, info, story).await?;
    let txid = user.pay(network, record.output()?.script_pubkey(), PEG_IN).await?;
    story.fact("paid", format!("{} by {txid}, a plain P2TR output", amount::show(PEG_IN)));

    let proven = deposit(network, &record, "the federation proves the payment", |_| true).await?;
    show_proof(network, info, &proven, story).await?;
    let swept = deposit(network, &record, "the federation sweeps it", |deposit| deposit.swept_by.is_some()).await?;
    show_sweep(network, &swept, story).await?;
    let is_minted = |deposit: &Deposit| deposit.status == DepositStatus::Minted;
    let minted = deposit(network, &record, "the coins are minted", is_minted).await?;
    check_terms(&minted, txid)?;
    check_balance(network, user.account.address(), &minted, story).await
}

/// An address of the user that commits to the user's account, known to the relayers.
async fn new_address(network: &Network, user: &User, info: &Info, story: &mut Story) -> Result<Record> {
    let reclaim = ReclaimKey::fresh(PASSPHRASE)?;
    let to = user.account.address();
    let record = Record::new(info, mainchain::Network::Regtest, Receiver::account(to), MAX_FEE, reclaim)?;
    user.records.keep(&record)?;
    register(&network.client, &record).await?;
    story.fact("address", &record.address);
    story.fact("link", uri(&record.address, Some(PEG_IN)));
    Ok(record)
}

/// The deposit in the ledger, once it is as `wanted`.
async fn deposit(network: &Network, record: &Record, what: &str, wanted: impl Fn(&Deposit) -> bool) -> Result<Deposit> {
    wait(what, async || {
        Ok(network.client.deposit(&record.address).await?.deposits.into_iter().find(|deposit| wanted(deposit)))
    })
    .await
}

/// Where the payment is, and how deep it has to be for its coins.
async fn show_proof(network: &Network, info: &Info, proven: &Deposit, story: &mut Story) -> Result<()> {
    let limits = network.client.limits().await?;
    let required = required(PEG_IN.to_sat(), &info.parameters, &limits);
    let height = proven.height;
    story.fact("proven", format!("in Bitcoin block {height}; so much at stake wants {required} confirmations"));
    Ok(())
}

async fn show_sweep(network: &Network, deposit: &Deposit, story: &mut Story) -> Result<()> {
    let number = deposit.swept_by.unwrap_or_default();
    let vault = network.client.vault_transaction(number).await?;
    let vault = vault.ok_or_else(|| eyre!("the vault transaction of the deposit is not there"))?;
    story.fact("swept", format!("by vault transaction {number} ({}), which Bitcoin has confirmed", vault.txid));
    Ok(())
}

/// The ledger minted this payment, and took no more off than it may.
fn check_terms(deposit: &Deposit, txid: Txid) -> Result<()> {
    ensure!(
        deposit.txid == txid && deposit.amount_sat == PEG_IN.to_sat(),
        "the ledger minted another deposit: {deposit:?}"
    );
    let charge = charge(deposit)?;
    ensure!(charge <= MAX_FEE, "the deposit was charged {charge}, more than the {MAX_FEE} it allowed");
    Ok(())
}

fn charge(deposit: &Deposit) -> Result<Amount> {
    let minted = Amount::from_sat(deposit.minted_sat.unwrap_or_default());
    PEG_IN.checked_sub(minted).ok_or_else(|| eyre!("{minted} were minted for {PEG_IN}"))
}

/// The account has what was locked, less the deposit's charge: that value.
async fn check_balance(network: &Network, to: Address, deposit: &Deposit, story: &mut Story) -> Result<Amount> {
    let charge = charge(deposit)?;
    let minted = PEG_IN - charge;
    let balance = network.client.balance(to).await?;
    ensure!(balance == amount::wei(minted), "the account has {balance} wei, expected {} wei", amount::wei(minted));
    let (locked, charge) = (amount::show(PEG_IN), amount::show(charge));
    story.fact("minted", format!("{} to {to} ({locked} less {charge} for the sweep)", amount::show_wei(balance)));
    Ok(minted)
}
