//! Both sides at a glance: `causeway wallet balance` and `causeway wallet history`.
//!
//! Bitcoin's side is the wallet's own view of the blocks. The sidechain's is what a node tells: coins are proven where the network is known by its
//! genesis file; which deposits and withdrawals there are, is the node's word. Without a node the first is shown alone, and the reason.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::{Client, proven};
use bridge::io::wallet::Wallet;
use bridge::peg::{Deposit, DepositList, DepositStatus, Withdrawal, WithdrawalList, WithdrawalStatus};
use contracts::{WrappedBtc, address};
use eyre::{Result, ensure};
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;
use serde_json::json;

use super::common::Common;
use crate::clock::time;
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::NetworkArgs;

/// Deposits and withdrawals that are asked for: the newest, as many as a node answers at once.
const NEWEST: u32 = 100;

#[derive(Debug, clap::Args)]
pub struct Look {
    /// As of the last sync, without asking bitcoind or a node
    #[arg(long)]
    offline: bool,
    /// regtest, testnet4 or signet
    #[arg(long = "network", value_name = "NET", default_value = "regtest")]
    bitcoin_network: Network,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What the wallet's account has on the sidechain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sidechain {
    account: Address,
    coin_wei: U256,
    wrapped_wei: U256,
    /// Deposits in the ledger without coins yet.
    coming_sat: u64,
    /// Withdrawals that are not paid yet.
    leaving_sat: u64,
    /// Whether the coins are proven by the genesis file's validators.
    proven: bool,
    #[serde(skip)]
    deposits: Vec<Deposit>,
    #[serde(skip)]
    withdrawals: Vec<Withdrawal>,
}

/// With the times of the Bitcoin blocks that hold its deposits.
type OtherSide = (Sidechain, BTreeMap<u32, u64>);

/// One line of the history.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// In seconds since 1970; of the block, or of when it was seen or asked for.
    time: Option<u64>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(tag = "side", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum What {
    Bitcoin {
        txid: bitcoin::Txid,
        height: Option<u32>,
        sent_sat: u64,
        received_sat: u64,
    },
    Deposit {
        txid: bitcoin::Txid,
        vout: u32,
        height: u32,
        status: DepositStatus,
        amount_sat: u64,
        minted_sat: Option<u64>,
    },
    Withdrawal {
        id: u64,
        status: WithdrawalStatus,
        amount_sat: u64,
    },
}

/// Shows what the wallet has.
///
/// # Errors
///
/// There is no wallet, or bitcoind does not answer.
pub fn balance(args: &Look, context: &Context) -> Result<()> {
    let (wallet, sidechain) = args.open(context)?;
    let balance = wallet.balance();
    let pending = balance.trusted_pending + balance.untrusted_pending;
    let (sidechain, why) = match sidechain {
        Ok((sidechain, _)) => (Some(sidechain), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let object = json!({
        "confirmedSat": balance.confirmed.to_sat(),
        "pendingSat": pending.to_sat(),
        "immatureSat": balance.immature.to_sat(),
        "spendableSat": balance.trusted_spendable().to_sat(),
        "height": wallet.height(),
        "sidechain": sidechain,
        "sidechainError": why,
    });
    context.print(&object, || {
        println!("Bitcoin     {} confirmed, as of block {}", amount::show(balance.confirmed), wallet.height());
        show_unless_zero("  pending   ", pending);
        show_unless_zero("  immature  ", balance.immature);
        match (&sidechain, &why) {
            (Some(sidechain), _) => show_sidechain(sidechain),
            (None, why) => println!("Sidechain   not asked: {}", why.as_deref().unwrap_or_default()),
        }
    });
    Ok(())
}

fn show_unless_zero(name: &str, amount: Amount) {
    if amount > Amount::ZERO {
        println!("{name}{}", amount::show(amount));
    }
}

fn show_sidechain(sidechain: &Sidechain) {
    let whose = if sidechain.proven { "proven by the validators" } else { "the node's word" };
    println!("Sidechain   {} at {}, {whose}", amount::show_wei(sidechain.coin_wei), sidechain.account);
    if !sidechain.wrapped_wei.is_zero() {
        println!("  wrapped   {}", amount::show_wei(sidechain.wrapped_wei));
    }
    show_unless_zero("  coming    ", Amount::from_sat(sidechain.coming_sat));
    show_unless_zero("  leaving   ", Amount::from_sat(sidechain.leaving_sat));
}

/// Shows what came and went, newest first.
///
/// # Errors
///
/// As [`balance`].
pub fn history(args: &Look, context: &Context) -> Result<()> {
    let (wallet, sidechain) = args.open(context)?;
    let mut entries: Vec<Entry> = wallet.history().iter().map(of_bitcoin).collect();
    match sidechain {
        Ok((sidechain, times)) => {
            entries.extend(sidechain.deposits.iter().map(|deposit| of_deposit(deposit, &times)));
            entries.extend(sidechain.withdrawals.iter().map(of_withdrawal));
        }
        Err(error) => eprintln!("Bitcoin alone: the sidechain was not asked ({error:#})"),
    }
    // What has no time yet is the newest.
    entries.sort_by_key(|entry| Reverse(entry.time.unwrap_or(u64::MAX)));
    context.print(&entries, || entries.iter().for_each(show_entry));
    Ok(())
}

fn of_bitcoin(movement: &bridge::io::wallet::Movement) -> Entry {
    let (sent_sat, received_sat) = (movement.sent.to_sat(), movement.received.to_sat());
    Entry {
        time: movement.time,
        what: What::Bitcoin { txid: movement.txid, height: movement.height, sent_sat, received_sat },
    }
}

fn of_deposit(deposit: &Deposit, times: &BTreeMap<u32, u64>) -> Entry {
    let Deposit { txid, vout, height, status, amount_sat, minted_sat, .. } = *deposit;
    Entry {
        time: times.get(&height).copied(),
        what: What::Deposit { txid, vout, height, status, amount_sat, minted_sat },
    }
}

fn of_withdrawal(withdrawal: &Withdrawal) -> Entry {
    let Withdrawal { id, status, amount_sat, asked_at, .. } = *withdrawal;
    Entry { time: Some(asked_at), what: What::Withdrawal { id, status, amount_sat } }
}

fn show_entry(entry: &Entry) {
    let when = entry.time.map_or("pending".to_owned(), time);
    let sat = |sat| amount::show(Amount::from_sat(sat));
    match &entry.what {
        What::Bitcoin { txid, sent_sat, received_sat, .. } => match received_sat.checked_sub(*sent_sat) {
            Some(gain) => println!("{when:<20}  bitcoin     +{:<18} {txid}", sat(gain)),
            None => println!("{when:<20}  bitcoin     -{:<18} {txid}", sat(sent_sat - received_sat)),
        },
        What::Deposit { txid, vout, status, amount_sat, minted_sat, .. } => {
            let (sat, status) = (sat(minted_sat.unwrap_or(*amount_sat)), format!("{status:?}").to_lowercase());
            println!("{when:<20}  deposit     +{sat:<18} {txid}:{vout} {status}");
        }
        What::Withdrawal { id, status, amount_sat } => {
            let status = format!("{status:?}").to_lowercase();
            println!("{when:<20}  withdrawal  -{:<18} number {id} {status}", sat(*amount_sat));
        }
    }
}

impl Look {
    fn common(&self) -> Common {
        Common { network: self.bitcoin_network, bitcoin: self.bitcoin.clone(), home: self.network.home.clone() }
    }

    /// The wallet, synced unless it is to be looked at as it is; and the other side, or why not, with the times of the deposits' blocks.
    fn open(&self, context: &Context) -> Result<(Wallet, Result<OtherSide>)> {
        let common = self.common();
        let mut wallet = common.open()?;
        if self.offline {
            return Ok((wallet, Err(eyre::eyre!("--offline"))));
        }
        let account = common.public()?.account();
        context.block_on(async {
            let bitcoin = common.sync(&mut wallet, context).await?;
            Ok((wallet, self.sidechain(account, &bitcoin).await))
        })
    }

    async fn sidechain(&self, account: Address, bitcoin: &BitcoinRpc) -> Result<OtherSide> {
        let network = self.network.connect_to_pay().await?;
        ensure!(
            network.bitcoin == self.bitcoin_network,
            "the sidechain is one of {}, the wallet one of {} (--genesis names another)",
            network.bitcoin,
            self.bitcoin_network
        );
        let (client, header) = (&network.client, network.final_header().await?);
        let (coin_wei, wrapped_wei) = match &header {
            Some(header) => (
                proven::coins(client, header, account).await?.1,
                proven::wrapped_balance(client, header, account).await?,
            ),
            None => {
                let wrapped = client.call(address::WRAPPED_BTC, &WrappedBtc::balanceOfCall { account }).await?;
                (client.balance(account).await?, wrapped)
            }
        };
        let (deposits, withdrawals) = newest(client, account).await?;
        let coming = deposits.iter().filter(|deposit| {
            deposit.minted_sat.is_none() && matches!(deposit.status, DepositStatus::Proven | DepositStatus::Swept)
        });
        let leaving = withdrawals
            .iter()
            .filter(|withdrawal| matches!(withdrawal.status, WithdrawalStatus::Queued | WithdrawalStatus::Tied));
        let sidechain = Sidechain {
            account,
            coin_wei,
            wrapped_wei,
            coming_sat: coming.map(|deposit| deposit.amount_sat).fold(0, u64::saturating_add),
            leaving_sat: leaving.map(|withdrawal| withdrawal.amount_sat).fold(0, u64::saturating_add),
            proven: header.is_some(),
            deposits,
            withdrawals,
        };
        let times = times(bitcoin, &sidechain.deposits).await?;
        Ok((sidechain, times))
    }
}

/// The newest deposits to an account and withdrawals of it, as the node tells; of others it is not asked, and none are shown.
async fn newest(client: &Client, account: Address) -> Result<(Vec<Deposit>, Vec<Withdrawal>)> {
    let wanted = vec![json!({ "recipient": account }), json!(null), json!(NEWEST)];
    let deposits: DepositList = client.request("peg_getDeposits", wanted).await?;
    let wanted = vec![json!({ "owner": account }), json!(null), json!(NEWEST)];
    let withdrawals: WithdrawalList = client.request("peg_getWithdrawals", wanted).await?;
    let deposits = deposits.deposits.into_iter().map(|listed| listed.deposit);
    let own_deposits = deposits.filter(|deposit| deposit.recipient == account).take(NEWEST as usize).collect();
    let withdrawals = withdrawals.withdrawals.into_iter();
    let own_withdrawals = withdrawals.filter(|withdrawal| withdrawal.owner == account).take(NEWEST as usize).collect();
    Ok((own_deposits, own_withdrawals))
}

/// When the blocks came that hold deposits, as their miners say.
async fn times(bitcoin: &BitcoinRpc, deposits: &[Deposit]) -> Result<BTreeMap<u32, u64>> {
    let mut times = BTreeMap::new();
    for deposit in deposits {
        if !times.contains_key(&deposit.height)
            && let Some(hash) = bitcoin.block_hash(deposit.height).await?
            && let Some(header) = bitcoin.header(hash).await?
        {
            times.insert(deposit.height, header.time.into());
        }
    }
    Ok(times)
}
