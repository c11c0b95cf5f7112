//! `causeway pay wrap`: coins become tokens of WrappedBtc, one for one.

use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::{WrappedBtc, address};
use eyre::{Result, WrapErr, ensure};

use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Turn coins into tokens (ERC-20), for clients and contracts that know tokens only
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay wrap '100000 sat' --dev-account 0")]
pub struct WrapArgs {
    /// How much of your coins
    #[arg(value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Wraps coins.
///
/// # Errors
///
/// The account does not open or has too little, or the node does not answer.
pub async fn wrap(args: WrapArgs, context: &Context) -> Result<()> {
    ensure!(args.amount > Amount::ZERO, "there is nothing to wrap in 0 sat");
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let call = Call::new(address::WRAPPED_BTC, &WrappedBtc::depositCall {}).with_value(amount::wei(args.amount));
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to wrap").await?;
    }
    let own = spender.account.address();
    let wrapped = |receipt: &TransactionReceipt| {
        let made: WrappedBtc::Deposit = emitted(receipt, address::WRAPPED_BTC)?;
        ensure!(made.to == own && made.value == call.value, "other coins were wrapped than was asked for");
        Ok(receipt.transaction_hash)
    };
    let transaction = spender.transact(&call, wrapped).await.wrap_err("the coins are not wrapped")?;
    let event = Event::Wrapped { owner: own, amount: call.value.to_string(), token: address::WRAPPED_BTC, transaction };
    context.print(&event, || {
        println!(
            "Wrapped {}: tokens of {} (transaction {transaction})",
            amount::show(args.amount),
            address::WRAPPED_BTC
        )
    });
    Ok(())
}
