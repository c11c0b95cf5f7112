//! `causeway pay open`: a deposit is locked for a payee.

use std::time::Duration;

use alloy_primitives::Address;
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure};

use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Lock a deposit for a payee
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// Who can claim it
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    payee: Address,
    /// The deposit: the most that can be paid through the channel
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    /// Time the payee has left to claim after you ask to close
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = humantime::parse_duration)]
    close_delay: Duration,
    /// Blocks the payee has left as well, so that a chain that stands still robs nobody
    #[arg(long, value_name = "N", default_value_t = 1000)]
    close_blocks: u32,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Opens a channel.
///
/// # Errors
///
/// The account does not open or has too little, `--close-delay` is too long, or the channel is not opened.
pub async fn open(args: OpenArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let call = MicroChannel::openCall {
        payee: args.payee,
        closeDelaySeconds: u32::try_from(args.close_delay.as_secs()).wrap_err("--close-delay is too long")?,
        closeDelayBlocks: args.close_blocks,
    };
    let call = Call::new(address::MICRO_CHANNEL, &call).with_value(amount::wei(args.amount));
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to deposit").await?;
    }
    let own = spender.account.address();
    let opened = |receipt: &TransactionReceipt| {
        let opened: MicroChannel::Opened = emitted(receipt, address::MICRO_CHANNEL)?;
        let right = opened.payer == own && opened.payee == args.payee && opened.amount == call.value;
        ensure!(right, "another channel was opened than was asked for");
        Ok((opened, receipt.transaction_hash))
    };
    let (opened, transaction) = spender.transact(&call, opened).await.wrap_err("the channel is not opened")?;
    let event = Event::Opened {
        channel: opened.id.to(),
        payer: opened.payer,
        payee: opened.payee,
        deposit: opened.amount.to_string(),
        transaction,
    };
    context.print(&event, || {
        println!("Channel {} open: up to {} for {}", opened.id, amount::show(args.amount), opened.payee);
    });
    Ok(())
}
