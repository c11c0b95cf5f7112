//! Both sides at a glance: `causeway wallet balance`, and what `causeway wallet history` lists.
//!
//! Bitcoin's side is the wallet's own view of the blocks. The sidechain's is what a node tells: coins are proven where the network is known by its
//! genesis file; which deposits and withdrawals there are, is the node's word. Without one of the two the other is shown alone, and the reason.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use bitcoin::{Amount, OutPoint};
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
use super::transfers::{self, Transfers};
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::NetworkArgs;
use crate::progress::Progress;
use crate::user::taken_back::is_taken_back;

/// Deposits and withdrawals that are asked for: the newest, as many as a node answers at once.
pub const NEWEST: u32 = 100;

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
pub struct Sidechain {
    account: Address,
    #[serde(serialize_with = "amount::digits")]
    coin_wei: U256,
    #[serde(serialize_with = "amount::digits")]
    wrapped_wei: U256,
    /// Deposits in the ledger without coins yet.
    coming_sat: u64,
    /// Withdrawals that are not paid yet.
    leaving_sat: u64,
    /// Whether the coins are proven by the genesis file's validators.
    proven: bool,
    #[serde(skip)]
    pub deposits: Vec<Deposit>,
    #[serde(skip)]
    pub withdrawals: Vec<Withdrawal>,
}

/// The sidechain, and what belongs to a list of what moved there.
#[derive(Debug)]
pub struct OtherSide {
    pub sidechain: Sidechain,
    /// Of the Bitcoin blocks that hold its deposits, if a bitcoind could be asked; in seconds since 1970.
    pub times: BTreeMap<u32, u64>,
    /// Deposits that are spent by what is no sweep, as that bitcoind has it.
    pub taken_back: BTreeSet<OutPoint>,
    /// None: not asked for.
    pub transfers: Option<Transfers>,
}

/// Both sides, or why one of them could not be asked.
pub struct Seen {
    /// Synced, or as it was at the last sync.
    pub wallet: Wallet,
    /// Why it is as it was.
    pub bitcoin_error: Option<eyre::Report>,
    pub sidechain: Result<OtherSide>,
}

/// Shows what the wallet has.
///
/// # Errors
///
/// There is no wallet, or neither side answers.
pub fn balance(args: &Look, context: &Context) -> Result<()> {
    let Seen { wallet, bitcoin_error, sidechain } = args.see(None, context)?;
    let balance = wallet.balance();
    let pending = balance.trusted_pending + balance.untrusted_pending;
    let (sidechain, why) = match sidechain {
        Ok(other) => (Some(other.sidechain), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let old = bitcoin_error.map(|error| format!("{error:#}"));
    let object = json!({
        "confirmedSat": balance.confirmed.to_sat(),
        "pendingSat": pending.to_sat(),
        "immatureSat": balance.immature.to_sat(),
        "spendableSat": balance.trusted_spendable().to_sat(),
        "height": wallet.height(),
        "bitcoinError": old,
        "sidechain": sidechain,
        "sidechainError": why,
    });
    context.print(&object, || {
        println!("Bitcoin     {} confirmed, as of block {}", amount::show(balance.confirmed), wallet.height());
        if let Some(old) = &old {
            println!("  not asked {old}");
        }
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

impl Look {
    fn common(&self) -> Common {
        Common { network: self.bitcoin_network, bitcoin: self.bitcoin.clone(), home: self.network.home.clone() }
    }

    /// The wallet, synced unless it is to be looked at as it is, and the other side, with the newest `moved` movements if they are wanted.
    ///
    /// # Errors
    ///
    /// There is no wallet, or neither side answers.
    pub fn see(&self, moved: Option<usize>, context: &Context) -> Result<Seen> {
        let common = self.common();
        let mut wallet = common.open()?;
        if self.offline {
            return Ok(Seen { wallet, bitcoin_error: None, sidechain: Err(eyre::eyre!("--offline")) });
        }
        let public = common.public()?;
        public.require_backup()?; // The account is an address, too.
        let account = public.account();
        let progress = Progress::new(context);
        context.block_on(async {
            let synced = common.sync(&mut wallet, context).await;
            let sidechain = self.sidechain(account, synced.as_ref().ok(), moved, &progress).await;
            progress.clear();
            match (synced, sidechain) {
                (Err(error), Err(other)) => Err(error.wrap_err(format!(
                    "neither side answers (--offline shows what the wallet knows); the sidechain: {other:#}"
                ))),
                (synced, sidechain) => Ok(Seen { wallet, bitcoin_error: synced.err(), sidechain }),
            }
        })
    }

    async fn sidechain(
        &self,
        account: Address,
        bitcoin: Option<&BitcoinRpc>,
        moved: Option<usize>,
        progress: &Progress,
    ) -> Result<OtherSide> {
        progress.about("asking the sidechain");
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
        let mut taken_back = BTreeSet::new();
        for deposit in &deposits {
            if is_taken_back(bitcoin, deposit).await {
                taken_back.insert(outpoint(deposit));
            }
        }
        let coming = deposits.iter().filter(|deposit| !taken_back.contains(&outpoint(deposit))).filter(|deposit| {
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
        let times = match bitcoin {
            Some(bitcoin) => times(bitcoin, &sidechain.deposits).await?,
            None => BTreeMap::new(),
        };
        let transfers = match moved {
            Some(count) => Some(transfers::newest(client, account, count, progress).await?),
            None => None,
        };
        Ok(OtherSide { sidechain, times, taken_back, transfers })
    }
}

/// Where a deposit is on Bitcoin.
pub fn outpoint(deposit: &Deposit) -> OutPoint {
    OutPoint::new(deposit.txid, deposit.vout)
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
