//! The developer accounts' coins, by real peg-ins: ten addresses, one Bitcoin transaction that pays them all.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use bitcoin::Amount;
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, bail};

use super::control::Payment;
use super::network::Network;
use super::progress::Progress;
use crate::dev::accounts::{DEV_ACCOUNTS, DEV_FUNDS, dev_account};
use crate::user::deposit_record::{ReclaimKey, Record};
use crate::user::registration::register;
use bridge::amount;

/// The most that a deposit's sweep may cost: generous, because regtest fees buy nothing.
const MAX_FEE: Amount = Amount::from_sat(50_000);
/// How long the whole peg-in may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(180);
/// Time between blocks while the accounts are funded: the relayers need a moment for each.
const BLOCK_PAUSE: Duration = Duration::from_millis(500);

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
        pay(network, &client, &empty).await?;
        network.mark("funding")?;
    }
    minted(network, &client, &empty).await
}

async fn pay(network: &mut Network, client: &Client, accounts: &[Address]) -> Result<()> {
    let info = client.info().await?;
    let mut payments = Vec::new();
    let reclaim = ReclaimKey::fresh(super::setup::PASSPHRASE)?;
    for account in accounts {
        let record = Record::new(&info, info.bitcoin_network, *account, MAX_FEE, reclaim.clone())?;
        network.records().keep(&record)?;
        register(client, &record).await?;
        payments.push(Payment { address: record.address, amount_sat: DEV_FUNDS.to_sat() });
    }
    network.pay(&payments).await.wrap_err("the deposits cannot be paid").map(drop)
}

/// Mines until all of them have coins.
async fn minted(network: &mut Network, client: &Client, accounts: &[Address]) -> Result<()> {
    let start = Instant::now();
    loop {
        network.mine(1).await?;
        tokio::time::sleep(BLOCK_PAUSE).await;
        network.expect_running()?;
        let mut waiting = 0;
        for account in accounts {
            waiting += u32::from(client.balance(*account).await? == U256::ZERO);
        }
        if waiting == 0 {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "after {} s, {waiting} of the developer accounts' deposits are not minted; the relayers' logs tell why: {}",
                PATIENCE.as_secs(),
                network.logs()
            );
        }
    }
}
