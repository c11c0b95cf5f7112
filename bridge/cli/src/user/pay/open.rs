//! `causeway pay open`: a deposit is locked for a payee.

use std::time::Duration;

use alloy_primitives::Address;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::MicroChannel;
use eyre::{Result, WrapErr, ensure};

use super::channel::emitted;
use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::{INCLUSION, SidechainArgs};

/// Lock a deposit for a payee
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// Who can claim it
    #[arg(long, value_name = "ADDRESS")]
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
    sidechain: SidechainArgs,
}

/// Opens a channel.
///
/// # Errors
///
/// The account does not open or has too little, `--close-delay` is too long, or the channel is not opened.
pub async fn open(args: OpenArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let account = args.account.open(&info)?;
    let balance = client.balance(account.address()).await?;
    ensure!(
        balance > amount::wei(args.amount),
        "{} has {}, not enough for a deposit of {} and gas",
        account.address(),
        amount::show_wei(balance),
        amount::show(args.amount)
    );
    let call = MicroChannel::openCall {
        payee: args.payee,
        closeDelaySeconds: u32::try_from(args.close_delay.as_secs()).wrap_err("--close-delay is too long")?,
        closeDelayBlocks: args.close_blocks,
    };
    let call = Call::new(info.contracts.micro_channel, &call).with_value(amount::wei(args.amount));
    let receipt = account.transact(&client, &call, INCLUSION).await.wrap_err("the channel is not opened")?;
    let opened: MicroChannel::Opened = emitted(&receipt)?;
    let event = Event::Opened {
        channel: opened.id.to(),
        payer: opened.payer,
        payee: opened.payee,
        deposit: opened.amount.to_string(),
        transaction: receipt.transaction_hash,
    };
    context.print(&event, || {
        println!("Channel {} open: up to {} for {}", opened.id, amount::show(args.amount), opened.payee);
    });
    Ok(())
}
