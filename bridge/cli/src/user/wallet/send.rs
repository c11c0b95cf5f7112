//! `causeway wallet send`: to a Bitcoin address from the wallet's coins there, to an account from those on the sidechain.

use std::str::FromStr;

use alloy_primitives::Address as Account;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Amount};
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::address;
use eyre::{Result, WrapErr, ensure, eyre};
use mainchain::Network;
use serde_json::json;

use super::common::Common;
use crate::clock::now;
use crate::context::Context;
use crate::keystores::open_account;
use crate::options;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::fee_rate::FeeRateArgs;
use crate::options::network::NetworkArgs;
use crate::options::passphrase::PassphraseArgs;
use crate::options::spending::SpendingArgs;
use crate::user::spending::{Spender, agree};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to pay
    #[arg(long, value_name = "ADDRESS")]
    to: Payee,
    /// How much, e.g. '0.1 BTC' or '10000000 sat'
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "all")]
    amount: Option<Amount>,
    /// Everything the wallet has on the payee's side, less the fee: of an account exactly to the wei
    #[arg(long, conflicts_with = "amount")]
    all: bool,
    #[command(flatten)]
    fee_rate: FeeRateArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// regtest, testnet4 or signet
    #[arg(long = "network", value_name = "NET", default_value = "regtest")]
    bitcoin_network: Network,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// An address of either side; they cannot be taken for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Payee {
    Bitcoin(Address<NetworkUnchecked>),
    Sidechain(Account),
}

impl FromStr for Payee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("0x") {
            return options::address::parse(text).map(Self::Sidechain).map_err(|error| error.to_string());
        }
        let address = text.parse().map(Self::Bitcoin);
        address.map_err(|error| format!("neither a Bitcoin address ({error}) nor an account on the sidechain (0x...)"))
    }
}

/// Pays.
///
/// # Errors
///
/// The wallet does not open or has too little, or nobody agrees to what it costs.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    match &args.to {
        Payee::Bitcoin(to) => on_bitcoin(args, to, context),
        Payee::Sidechain(to) => context.block_on(on_sidechain(args, *to, context)),
    }
}

fn on_bitcoin(args: &Args, to: &Address<NetworkUnchecked>, context: &Context) -> Result<()> {
    let network = args.bitcoin_network;
    let to = to
        .clone()
        .require_network(network.bitcoin())
        .map_err(|_| {
            let to = to.clone().assume_checked();
            eyre!("{to} is not an address of {network}, on which this wallet is: ask the payee for one that is, or name another wallet by --network")
        })?;
    let common = args.common();
    let mut wallet = common.open()?;
    let passphrase = args.passphrase.ask("the wallet")?;
    let seed = wallet.unlock(&passphrase)?;
    let sent = context.block_on(async {
        let bitcoin = common.sync(&mut wallet, context).await?;
        let fee_rate = args.fee_rate.choose(&bitcoin).await?;
        let prepared = wallet.prepare(&seed, to.script_pubkey(), args.amount, fee_rate);
        let (transaction, sent) = prepared.wrap_err("nothing was sent")?;
        args.fee_rate.check_fee(sent.fee, sent.amount)?;
        agree(
            &[
                format!("What       send bitcoin, on {network}"),
                format!("To         {to}"),
                format!("Amount     {}", amount::show(sent.amount)),
                format!("Fee        {}, at {} sat/vB", amount::show(sent.fee), fee_rate.to_sat_per_vb_ceil()),
            ],
            args.spending.yes,
        )?;
        let submitted = wallet.submit(&bitcoin, transaction, args.fee_rate.bound(fee_rate), now()?).await;
        submitted.wrap_err("nothing was sent")?;
        Ok(sent)
    })?;
    let object = json!({ "txid": sent.txid, "amountSat": sent.amount.to_sat(), "feeSat": sent.fee.to_sat() });
    context.print(&object, || {
        println!("Sent {} to {to}", amount::show(sent.amount));
        println!("txid  {}", sent.txid);
        println!("fee   {}", amount::show(sent.fee));
    });
    Ok(())
}

async fn on_sidechain(args: &Args, to: Account, context: &Context) -> Result<()> {
    ensure!(!to.is_zero(), "--to is the zero address: nobody could ever use the coins");
    ensure!(
        ![address::BRIDGE, address::VAULT, address::DEPOSITS, address::WRAPPED_BTC].contains(&to),
        "--to is a contract of the bridge, {to}: coins that are just sent there are nobody's (to pay out: causeway peg-out; to wrap: causeway pay wrap)"
    );
    let wallet = args.common().public()?;
    wallet.require_backup()?;
    let network = args.network.connect_to_sign().await?;
    ensure!(
        network.bitcoin == args.bitcoin_network,
        "the sidechain is one of {}, the wallet one of {} (--genesis names another)",
        network.bitcoin,
        args.bitcoin_network
    );
    let account = open_account(&wallet.path(), &args.passphrase.ask("your wallet")?)?;
    ensure!(to != account.address(), "--to is the wallet's own account: the coins are there already");
    let mut spender = Spender::of(&network, account, to, false, args.spending);
    let call = match args.amount {
        Some(value) => Call::transfer(to, amount::wei(value)),
        None => spender.everything(to).await?,
    };
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to send").await?;
    }
    let sent = spender.transact(&call, |receipt| {
        ensure!(receipt.to == Some(to), "the node's receipt is of a transaction to {:?}", receipt.to);
        Ok(receipt.transaction_hash)
    });
    let hash = sent.await.wrap_err("the coins are not sent")?;
    let sat = args.amount.map(Amount::to_sat);
    let left = spender.balance().await;
    let left = left.wrap_err_with(|| format!("the coins are sent ({hash}), and what is left is not known"))?;
    let object = json!({ "transaction": hash, "to": to, "amountSat": sat, "amountWei": call.value.to_string(), "leftWei": left.to_string() });
    context.print(&object, || {
        println!("Sent {} to {to} (transaction {hash})", amount::show_wei(call.value));
        println!("left  {}", amount::show_wei(left));
    });
    Ok(())
}

impl Args {
    fn common(&self) -> Common {
        Common { network: self.bitcoin_network, bitcoin: self.bitcoin.clone(), home: self.network.home.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_is_paid_follows_from_the_address() {
        assert!(matches!("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".parse(), Ok(Payee::Bitcoin(_))));
        let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(account.parse(), Ok(Payee::Sidechain(account.parse().expect("an address"))));
        for wrong in
            ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92265", "0x12", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081", ""]
        {
            assert!(wrong.parse::<Payee>().is_err(), "{wrong}");
        }
    }
}
