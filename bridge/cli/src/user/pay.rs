//! `causeway pay`: micropayments through the contract MicroChannel.
//!
//! ```text
//!   payer: open -> voucher, voucher, ...                            -> close (after the delays: the rest comes back)
//!   payee:         (checks each) -> claim FILE, any time before that -> close (gives the rest back at once)
//! ```
//! Vouchers are lines of JSON, so that they travel by whatever joins payer and payee.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use bitcoin::Amount;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::micro_channel::{Channel, Domain, SignedVoucher, Verifier, Voucher};
use bridge::peg::Info;
use contracts::{IMicroChannel, MicroChannel};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::sidechain::SidechainArgs;
use crate::user::peg_out::{show_wei, wei};
use bridge::amount;

/// How long a transaction may take to be final. Blocks take about a second.
const INCLUSION: Duration = Duration::from_secs(60);

/// Vouchers claimed by one transaction: each takes about 50,000 gas of the 2^24 that a transaction may use.
const MAX_CLAIMS: usize = 200;

/// Micropayments: open a channel, give vouchers, claim, close
///
/// A channel holds a deposit of the payer for one payee. A voucher is a signed promise of everything paid so far: only the
/// last one counts, and it costs nothing until it is claimed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay open --payee 0x7099... --amount '100000 sat' --dev-account 0
  causeway pay voucher 1 --total '250 sat' --dev-account 0 > voucher.json
  causeway pay claim voucher.json --dev-account 1
  causeway pay close 1 --dev-account 0")]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    Open(OpenArgs),
    Voucher(VoucherArgs),
    Claim(ClaimArgs),
    Close(CloseArgs),
    Status(StatusArgs),
}

/// Lock a deposit for a payee
#[derive(Debug, clap::Args)]
struct OpenArgs {
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

/// Sign what was paid so far; prints the voucher for the payee
#[derive(Debug, clap::Args)]
struct VoucherArgs {
    /// The channel's number
    channel: u64,
    /// Everything paid through the channel so far, this payment included
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    total: Amount,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// Check vouchers and cash in the last of each channel, in one transaction; anyone may, it is the payee who is paid
#[derive(Debug, clap::Args)]
struct ClaimArgs {
    /// Vouchers, one a line, in any order; `-` is standard input
    #[arg(value_name = "FILE")]
    vouchers: PathBuf,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// Close a channel: as payee at once; as payer first ask, then, when the delays have passed, take the rest
#[derive(Debug, clap::Args)]
struct CloseArgs {
    /// The channel's number
    channel: u64,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// Where a channel stands
#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The channel's number
    channel: u64,
    #[command(flatten)]
    sidechain: SidechainArgs,
}

/// What `--json` prints. Amounts in wei, as decimal text.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event {
    Opened {
        channel: u64,
        payer: Address,
        payee: Address,
        deposit: String,
        transaction: B256,
    },
    Claimed {
        channels: Vec<u64>,
        amount: String,
        gas_used: u64,
        transaction: B256,
    },
    Closing {
        channel: u64,
        closable_at: u64,
        closable_at_block: u64,
        transaction: B256,
    },
    Closed {
        channel: u64,
        refund: String,
        transaction: B256,
    },
    Status {
        channel: u64,
        payer: Address,
        payee: Address,
        deposit: String,
        claimed: String,
        state: State,
        closable_at: u64,
        closable_at_block: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Closing,
    Closed,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        match args.step {
            Step::Open(args) => open(args, context).await,
            Step::Voucher(args) => voucher(args).await,
            Step::Claim(args) => claim(args, context).await,
            Step::Close(args) => close(args, context).await,
            Step::Status(args) => status(args, context).await,
        }
    })
}

async fn open(args: OpenArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let account = args.account.open(&info)?;
    let balance = client.balance(account.address()).await?;
    ensure!(
        balance > wei(args.amount),
        "{} has {}, not enough for a deposit of {} and gas",
        account.address(),
        show_wei(balance),
        amount::show(args.amount)
    );
    let call = MicroChannel::openCall {
        payee: args.payee,
        closeDelaySeconds: u32::try_from(args.close_delay.as_secs()).wrap_err("--close-delay is too long")?,
        closeDelayBlocks: args.close_blocks,
    };
    let call = Call::new(info.contracts.micro_channel, &call).with_value(wei(args.amount));
    let receipt = account.transact(&client, &call, INCLUSION).await.wrap_err("the channel is not opened")?;
    let opened: MicroChannel::Opened = event(&receipt)?;
    let told = Event::Opened {
        channel: opened.id.to(),
        payer: opened.payer,
        payee: opened.payee,
        deposit: opened.amount.to_string(),
        transaction: receipt.transaction_hash,
    };
    context.print(&told, || {
        println!("Channel {} open: up to {} for {}", opened.id, amount::show(args.amount), opened.payee);
    });
    Ok(())
}

/// Always prints one line of JSON: that is what the payee wants.
async fn voucher(args: VoucherArgs) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let account = args.account.open(&info)?;
    let channel = channel(&client, &info, args.channel).await?;
    let (id, total) = (args.channel, wei(args.total));
    ensure!(
        account.address() == channel.payer,
        "channel {id} is paid by {}, you are {}",
        channel.payer,
        account.address()
    );
    ensure!(!channel.closed, "channel {id} is closed");
    let (claimed, deposit) = (U256::from(channel.claimed), U256::from(channel.deposit));
    ensure!(total > claimed, "{} were claimed already: a voucher says everything paid so far", show_wei(claimed));
    ensure!(total <= deposit, "the channel's deposit is {}", show_wei(deposit));
    let voucher = Voucher { channel: U256::from(id), total };
    let signed = voucher.sign(&domain(&info), &account.secret());
    println!("{}", serde_json::to_string(&signed).expect("our own types always serialise"));
    Ok(())
}

async fn claim(args: ClaimArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let best = best_of(&client, &info, read_vouchers(&args.vouchers)?).await?;
    ensure!(best.len() <= MAX_CLAIMS, "vouchers of {} channels: claim at most {MAX_CLAIMS} at a time", best.len());
    let account = args.account.open(&info)?;
    let told = cash_in(&client, &info, &account, &best).await?;
    context.print(&told, || {
        if let Event::Claimed { channels, gas_used, transaction, .. } = &told {
            println!(
                "Claimed {} of channels {channels:?} for {gas_used} gas (transaction {transaction})",
                show_wei(amount_of(&told))
            );
        }
    });
    Ok(())
}

/// The last voucher of each channel, checked as the contract will check it.
async fn best_of(client: &Client, info: &Info, vouchers: Vec<SignedVoucher>) -> Result<Vec<SignedVoucher>> {
    let mut channels: BTreeMap<U256, Vec<SignedVoucher>> = BTreeMap::new();
    for signed in vouchers {
        channels.entry(signed.voucher.channel).or_default().push(signed);
    }
    let mut best = Vec::new();
    for (id, mut vouchers) in channels {
        let number = u64::try_from(id).map_err(|_| eyre!("there is no channel {id}"))?;
        let channel = channel(client, info, number).await?;
        ensure!(!channel.closed, "channel {id} is closed");
        let known = Channel {
            id,
            payer: channel.payer,
            deposit: U256::from(channel.deposit),
            claimed: U256::from(channel.claimed),
        };
        let mut verifier = Verifier::new(domain(info), known, U256::ONE);
        vouchers.sort_by_key(|signed| signed.voucher.total);
        for signed in vouchers {
            if let Err(refused) = verifier.accept(&signed) {
                tracing::warn!(channel = %id, total = %signed.voucher.total, %refused, "voucher left out");
            }
        }
        best.extend(verifier.claim());
    }
    ensure!(
        !best.is_empty(),
        "no voucher is worth anything: see the warnings above, or the channels' state by `causeway pay status`"
    );
    Ok(best)
}

async fn cash_in(client: &Client, info: &Info, account: &Account, best: &[SignedVoucher]) -> Result<Event> {
    let call = MicroChannel::claimManyCall {
        vouchers: best
            .iter()
            .map(|signed| IMicroChannel::Voucher { channel: signed.voucher.channel, total: signed.voucher.total })
            .collect(),
        signatures: best.iter().map(|signed| signed.signature.clone()).collect(),
    };
    let call = Call::new(info.contracts.micro_channel, &call);
    let receipt = account.transact(client, &call, INCLUSION).await.wrap_err("the vouchers are not claimed")?;
    let claimed = receipt.inner.logs().iter().filter_map(|log| MicroChannel::Claimed::decode_log(&log.inner).ok());
    let amount: U256 = claimed.map(|claimed| claimed.amount).sum();
    Ok(Event::Claimed {
        channels: best.iter().map(|signed| signed.voucher.channel.saturating_to()).collect(),
        amount: amount.to_string(),
        gas_used: receipt.gas_used,
        transaction: receipt.transaction_hash,
    })
}

fn amount_of(event: &Event) -> U256 {
    match event {
        Event::Claimed { amount, .. } => amount.parse().unwrap_or_default(),
        _ => U256::ZERO,
    }
}

async fn close(args: CloseArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let id = args.channel;
    let channel = channel(&client, &info, id).await?;
    ensure!(!channel.closed, "channel {id} is closed already");
    let account = args.account.open(&info)?;
    let contract = info.contracts.micro_channel;
    let number = U256::from(id);
    let call = match account.address() {
        own if own == channel.payee => Call::new(contract, &MicroChannel::closeCall { id: number }),
        own if own != channel.payer => {
            bail!("channel {id} is between {} and {}, you are {own}", channel.payer, channel.payee)
        }
        _ if channel.closableAtBlock == 0 => {
            return ask_to_close(&client, &info, &account, id, context).await;
        }
        _ => {
            let head = client.head().await?;
            ensure!(
                head.timestamp >= channel.closableAt && head.number >= channel.closableAtBlock,
                "channel {id} can be closed in {} and {} blocks: until then the payee may claim",
                humantime::format_duration(Duration::from_secs(channel.closableAt.saturating_sub(head.timestamp))),
                channel.closableAtBlock.saturating_sub(head.number)
            );
            Call::new(contract, &MicroChannel::withdrawCall { id: number })
        }
    };
    let receipt = account.transact(&client, &call, INCLUSION).await.wrap_err("the channel is not closed")?;
    let closed: MicroChannel::Closed = event(&receipt)?;
    let told = Event::Closed { channel: id, refund: closed.refund.to_string(), transaction: receipt.transaction_hash };
    context
        .print(&told, || println!("Channel {id} closed: {} went back to {}", show_wei(closed.refund), channel.payer));
    Ok(())
}

async fn ask_to_close(client: &Client, info: &Info, account: &Account, id: u64, context: &Context) -> Result<()> {
    let call = Call::new(info.contracts.micro_channel, &MicroChannel::requestCloseCall { id: U256::from(id) });
    let receipt = account.transact(client, &call, INCLUSION).await.wrap_err("the channel is not closing")?;
    let closing: MicroChannel::CloseRequested = event(&receipt)?;
    let told = Event::Closing {
        channel: id,
        closable_at: closing.closableAt,
        closable_at_block: closing.closableAtBlock,
        transaction: receipt.transaction_hash,
    };
    let at = std::time::UNIX_EPOCH + Duration::from_secs(closing.closableAt);
    context.print(&told, || {
        println!(
            "Channel {id} closing: the payee may claim until {} and block {}; then run this command again",
            humantime::format_rfc3339_seconds(at),
            closing.closableAtBlock
        );
    });
    Ok(())
}

async fn status(args: StatusArgs, context: &Context) -> Result<()> {
    let (client, info) = args.sidechain.connect().await?;
    let channel = channel(&client, &info, args.channel).await?;
    let state = match (channel.closed, channel.closableAtBlock) {
        (true, _) => State::Closed,
        (false, 0) => State::Open,
        (false, _) => State::Closing,
    };
    let told = Event::Status {
        channel: args.channel,
        payer: channel.payer,
        payee: channel.payee,
        deposit: channel.deposit.to_string(),
        claimed: channel.claimed.to_string(),
        state,
        closable_at: channel.closableAt,
        closable_at_block: channel.closableAtBlock,
    };
    context.print(&told, || {
        let (claimed, deposit) = (show_wei(U256::from(channel.claimed)), show_wei(U256::from(channel.deposit)));
        println!("Channel {} {}", args.channel, format!("{state:?}").to_lowercase());
        println!("  from     {}\n  to       {}", channel.payer, channel.payee);
        println!("  claimed  {claimed} of {deposit}");
    });
    Ok(())
}

async fn channel(client: &Client, info: &Info, id: u64) -> Result<IMicroChannel::Channel> {
    let call = MicroChannel::channelCall { id: U256::from(id) };
    client.call(info.contracts.micro_channel, &call).await.wrap_err_with(|| format!("cannot read channel {id}"))
}

fn domain(info: &Info) -> Domain {
    Domain::new(info.chain_id, info.contracts.micro_channel)
}

/// The event that a transaction must have emitted.
fn event<E: SolEvent>(receipt: &alloy_rpc_types_eth::TransactionReceipt) -> Result<E> {
    let found = receipt.inner.logs().iter().find_map(|log| E::decode_log(&log.inner).ok());
    let found = found
        .ok_or_else(|| eyre!("transaction {} succeeded, but did not do what it should", receipt.transaction_hash))?;
    Ok(found.data)
}

fn read_vouchers(path: &PathBuf) -> Result<Vec<SignedVoucher>> {
    let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file =
            std::fs::File::open(path).wrap_err_with(|| format!("cannot read vouchers from {}", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut vouchers = Vec::new();
    for (number, line) in (1..).zip(input.lines()) {
        let line = line.wrap_err("cannot read vouchers")?;
        if !line.trim().is_empty() {
            vouchers.push(serde_json::from_str(&line).wrap_err_with(|| format!("line {number} is not a voucher"))?);
        }
    }
    Ok(vouchers)
}
