//! What a local network begins with, by real peg-ins: a reserve for the bridge, which every network needs first, and coins for the
//! developer accounts: ten addresses, one Bitcoin transaction that pays them all.

use std::time::{Duration, Instant};

use alloy_primitives::U256;
use bitcoin::Amount;
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, bail};

use super::control::Payment;
use super::network::Network;
use super::progress::Progress;
use crate::dev::accounts::{DEV_ACCOUNTS, DEV_FUNDS, dev_account};
use crate::options::sidechain::is_temporary;
use crate::user::deposit_record::{Receiver, ReclaimKey, Record};
use crate::user::registration::register;
use bridge::amount;

/// The bridge's reserve. It pays what charges do not; and the vault output that its sweep makes
/// is the first that withdrawals can be tied to.
const RESERVE: Amount = Amount::from_sat(1_000_000);
/// The most that a deposit's sweep may cost: generous, because regtest fees buy nothing.
const MAX_FEE: Amount = Amount::from_sat(50_000);
/// How long the whole peg-in may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(180);
/// Time between blocks while the accounts are funded: the relayers need a moment for each.
const BLOCK_PAUSE: Duration = Duration::from_millis(500);

/// Pays a deposit to the bridge's reserve, and mines until withdrawals can be paid behind it; does nothing at a later start.
pub async fn reserve(network: &mut Network, progress: &Progress) -> Result<()> {
    if network.marked("reserve")? {
        return Ok(());
    }
    progress.step(format!(
        "pegging {} in for the bridge's reserve, and waiting until that is final",
        amount::show(RESERVE)
    ));
    let client = network.client()?;
    if !network.marked("reserve-payment")? {
        pay(network, &client, &[(Receiver::RESERVE, RESERVE)]).await?;
        network.mark("reserve-payment")?;
    }
    let what = "the deposit to the reserve is not final, or not minted";
    let mut blocks = 1;
    mine_until(network, what, async |network| {
        if !is_there(&client).await? {
            return Ok(false);
        }
        let ready = client.vault().await?.outputs.iter().any(|output| output.rooted);
        // Once it is in the vault, only depth is missing.
        if blocks == 1 && !ready {
            blocks = client.info().await?.parameters.final_blocks;
            network.mine(blocks).await?;
        }
        Ok(ready)
    })
    .await?;
    network.mark("reserve")
}

async fn is_there(client: &Client) -> Result<bool> {
    Ok(client.info().await?.books.reserve_sat > 0)
}

/// Funds those developer accounts that never had anything; does nothing at a later start.
pub async fn developer_accounts(network: &mut Network, progress: &Progress) -> Result<()> {
    let client = network.client()?;
    let mut empty = Vec::new();
    for index in 0..DEV_ACCOUNTS {
        let address = dev_account(index).address();
        // An account that spent everything has a nonce: it is not funded twice.
        if client.balance(address).await?.is_zero() && client.nonce(address).await? == 0 {
            empty.push(address);
        }
    }
    if empty.is_empty() {
        return Ok(());
    }
    progress.step(format!(
        "funding {} developer accounts with {} each by peg-ins",
        empty.len(),
        amount::show(DEV_FUNDS)
    ));
    if !network.marked("funding")? {
        let funds: Vec<_> = empty.iter().map(|account| (Receiver::account(*account), DEV_FUNDS)).collect();
        pay(network, &client, &funds).await?;
        network.mark("funding")?;
    }
    mine_until(network, "the developer accounts' deposits are not all minted", async |_| {
        for account in &empty {
            if client.balance(*account).await? == U256::ZERO {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Deposits, each to an address of its own, by one payment.
async fn pay(network: &mut Network, client: &Client, deposits: &[(Receiver, Amount)]) -> Result<()> {
    let info = client.info().await?;
    let mut payments = Vec::new();
    let reclaim = ReclaimKey::fresh(super::setup::PASSPHRASE)?;
    for (to, value) in deposits {
        let record = Record::new(&info, info.bitcoin_network, *to, MAX_FEE, reclaim.clone())?;
        network.records().keep(&record)?;
        register(client, &record).await?;
        payments.push(Payment { address: record.address, amount_sat: value.to_sat() });
    }
    network.pay(&payments).await.wrap_err("the deposits cannot be paid").map(drop)
}

/// Mines a block now and then until it is `done`.
async fn mine_until(
    network: &mut Network,
    what: &str,
    mut done: impl AsyncFnMut(&mut Network) -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        network.mine(1).await?;
        tokio::time::sleep(BLOCK_PAUSE).await;
        network.expect_running()?;
        match done(network).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // On a busy machine.
            Err(error) if is_temporary(&error) => tracing::warn!("asking again: {error:#}"),
            Err(error) => return Err(error),
        }
        if start.elapsed() > PATIENCE {
            bail!("after {} s, {what}; the relayers' logs tell why: {}", PATIENCE.as_secs(), network.logs());
        }
    }
}
