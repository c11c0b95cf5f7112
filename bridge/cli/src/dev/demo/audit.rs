//! Step "Audit": the user has what is left, and every satoshi on the sidechain is on Bitcoin.

use std::time::Duration;

use alloy_primitives::U256;
use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, ensure};

use super::amounts::INITIAL_FUNDS;
use super::network::Network;
use super::story::Story;
use super::user::User;
use crate::audit::command as audit;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::both_chains::BothChainsArgs;
use crate::options::sidechain::SidechainArgs;

/// The user's account has `expected_wei`, and the wallet what never left it and the `received` bitcoin.
pub async fn check_user(
    network: &Network,
    user: &mut User,
    expected_wei: U256,
    received: Amount,
    story: &mut Story,
) -> Result<()> {
    let left = network.client.balance(user.account.address()).await?;
    ensure!(left == expected_wei, "the user has {left} wei left, expected {expected_wei}");
    story.fact(
        "user",
        format!("{} on the sidechain, {} back on Bitcoin", amount::show_wei(left), amount::show(received)),
    );
    user.sync(network).await?;
    let (has, expected) = (user.wallet.balance().confirmed, INITIAL_FUNDS - user.paid + received);
    ensure!(has == expected, "the user's wallet has {has}, expected {expected}");
    Ok(())
}

/// `causeway audit` of this network.
pub async fn run_audit(network: &Network, story: &mut Story) -> Result<()> {
    let args = audit::Args {
        chains: BothChainsArgs {
            genesis: network.status.genesis.clone(),
            sidechain: SidechainArgs { rpc: network.status.rpc[0].clone(), own_node: true },
            bitcoin: BitcoinArgs {
                bitcoin: Some(network.status.bitcoin.clone()),
                bitcoin_cookie: Some(network.status.bitcoin_cookie.clone()),
                bitcoin_user: None,
                bitcoin_password_file: None,
            },
        },
        rules: audit::Rules::default(),
        watch: false,
        webhook: None,
        alarm_after: Duration::MAX,
        prometheus: None,
        receipt: None,
    };
    let report = audit::audit(&args).await?;
    report.lines().iter().for_each(|line| println!("{line}"));
    audit::judge(&report)?;
    story.fact("audit", "exit status 0");
    Ok(())
}
