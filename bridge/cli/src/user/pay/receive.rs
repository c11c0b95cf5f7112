//! `causeway pay receive`: takes amounts that payers choose, over channels.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use bitcoin::Amount;
use bridge::amount;
use contracts::address;
use eyre::{Result, WrapErr, bail, ensure};
use payments::channel::SeenAt;
use payments::io::payee::DurablePayee;
use payments::payee::Rules;
use paywall::io::receive::{Channels, Looked, Received, Receiver, start};
use paywall::io::serve::bind;
use paywall::receive::Offering;

use super::channel::{domain, find, for_vouchers, shown_amount};
use super::event::Event;
use super::token;
use super::voucher_file::VoucherFile;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::stop::StopArgs;

/// In the home folder: what was received, by network and account.
const FOLDER: &str = "received";
const VOUCHERS: &str = "vouchers.jsonl";
/// Seconds since the chain was heard of until nothing is taken any more.
const MOST_AGE_S: u64 = 60;

/// Take amounts that payers choose, over channels: as a server, or from a file
///
/// Each is kept on disk before its receipt is given, in the books and as a voucher in a file: `causeway pay claim` cashes that in, and `causeway pay watch`
/// claims when a payer starts to close. A channel pays one server: what it was given elsewhere, this one counts as its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay receive --listen 127.0.0.1:8403 --dev-account 1
  causeway pay receive voucher.json --dev-account 1
  causeway pay watch ~/.local/share/causeway/received/*/vouchers.jsonl --yes --keystore payee.keystore")]
pub struct ReceiveArgs {
    /// Vouchers, one a line (`causeway pay send` without --to); `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "listen", conflicts_with = "listen")]
    vouchers: Option<PathBuf>,
    /// Serve here, by HTTP, until it is stopped: payers come by `causeway pay send --to`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What is taken: `coin` or `wrapped`
    #[arg(long, value_name = "TOKEN", default_value = "coin", value_parser = token::parse)]
    token: Address,
    /// The least that a channel must have left when it is first seen: so much that a claim is worth it
    #[arg(long, value_name = "AMOUNT", default_value = "10 sat", value_parser = amount::parse)]
    least: Amount,
    /// Where vouchers are kept [default: in the home folder]
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    stop: StopArgs,
}

impl ReceiveArgs {
    /// Whether it runs until it is stopped.
    pub fn is_service(&self) -> bool {
        self.listen.is_some()
    }
}

/// The chain, as the network's members prove it.
struct Proven {
    network: Arc<KnownNetwork>,
}

impl Channels for Proven {
    async fn look(&self, id: B256) -> Result<Option<Looked>, String> {
        let text = |error: eyre::Report| format!("{error:#}");
        let header = self.network.final_header().await.map_err(text)?;
        let at = match &header {
            Some(header) => SeenAt { block: header.header.number, unix_s: header.header.timestamp },
            None => {
                let head = self.network.client.head().await.map_err(|error| error.to_string())?;
                SeenAt { block: head.number, unix_s: head.timestamp }
            }
        };
        let Some(seen) = find(&self.network, header.as_ref(), id).await.map_err(text)? else { return Ok(None) };
        Ok(Some(Looked { channel: for_vouchers(&self.network, id, &seen), payer: seen.payer, at }))
    }
}

/// Takes what comes.
///
/// # Errors
///
/// The account does not open, another process receives for it, an address is taken, or a voucher of the file is not taken.
pub async fn receive(args: ReceiveArgs, context: &Context) -> Result<()> {
    ensure!(
        token::is_bitcoin(args.token),
        "taken are `coin` and `wrapped`; vouchers in other tokens are claimed as they are"
    );
    let network = Arc::new(args.network.connect(&args.account).await?);
    let account = args.account.open(&network.home, network.bitcoin)?;
    let payee = account.address();
    let folder = folder(&network, payee, args.token);
    let rules = Rules {
        payee,
        token: args.token,
        least_deposit: amount::wei(args.least).saturating_to(),
        confirmations: 0,
        max_age_s: MOST_AGE_S,
        splits: true,
    };
    let books = DurablePayee::open(&folder, domain(&network), rules, account.secret());
    let books =
        books.wrap_err("what was received cannot be kept (is another `pay receive` of this account running?)")?;
    let kept = args.keep.clone().unwrap_or_else(|| folder.join(VOUCHERS));
    let listener = args.listen.map(bind).transpose()?;
    let realm = match &listener {
        Some(listener) => listener.local_addr()?.to_string(),
        None => "file".to_owned(),
    };
    let offering =
        Offering { chain_id: network.chain_id, escrow: address::MICRO_CHANNEL, token: args.token, payee, realm };
    let chain = Proven { network: network.clone() };
    let receiver = Receiver::open(books, chain, offering, &kept).await?;
    let Some(listener) = listener else {
        let file = args.vouchers.as_deref().expect("clap wants a file or an address");
        return take_all(&receiver, file, context).await;
    };
    let shown = context.clone();
    let receiving = start(receiver, listener, move |received| tell(received, &shown))?;
    let (address, vouchers) = (receiving.address.to_string(), kept.display().to_string());
    context.print(&Event::Receiving { address: address.clone(), payee, vouchers: vouchers.clone() }, || {
        println!("Receiving at {address} for {payee}; vouchers are kept in {vouchers}");
        println!(
            "A payer can take back what is not claimed: `causeway pay watch {vouchers}` claims when one begins to"
        );
    });
    args.stop.stopped().await;
    receiving.stop().await;
    Ok(())
}

/// Where an account's vouchers of a token are.
fn folder(network: &KnownNetwork, payee: Address, token: Address) -> PathBuf {
    let kind = if token == address::WRAPPED_BTC { "wrapped" } else { "coin" };
    network.home.join(FOLDER).join(format!("{:x}-{payee:x}-{kind}", network.id))
}

/// The highest total that this home received for a channel, and the file with its voucher; none where none was received.
///
/// # Errors
///
/// The file is damaged.
pub fn received(
    network: &KnownNetwork,
    payee: Address,
    channel: B256,
    token: Address,
) -> Result<Option<(u128, PathBuf)>> {
    let file = folder(network, payee, token).join(VOUCHERS);
    if !file.exists() {
        return Ok(None);
    }
    let of_channel = VoucherFile::read(&file)?.all()?.into_iter().filter(|signed| signed.voucher.channel_id == channel);
    Ok(of_channel.map(|signed| signed.voucher.cumulative_amount).max().map(|total| (total, file)))
}

async fn take_all<C: Channels>(receiver: &Receiver<C>, file: &std::path::Path, context: &Context) -> Result<()> {
    let read = VoucherFile::read(file)?;
    let mut refused = read.warn_of_faults(0);
    ensure!(refused > 0 || !read.vouchers.is_empty(), "{} has no voucher", file.display());
    for voucher in read.vouchers {
        let (id, total) = (voucher.voucher.channel_id, voucher.voucher.cumulative_amount);
        match receiver.take(voucher, B256::ZERO).await {
            Ok(received) => tell(&received, context),
            Err(problem) => {
                refused += 1;
                let total = shown_amount(receiver.offering.token, total);
                eprintln!(
                    "Not taken: the voucher of channel {id} over {total} in all: {} ({})",
                    problem.detail, problem.code
                );
            }
        }
    }
    if refused > 0 {
        bail!("{refused} voucher(s) were not taken");
    }
    Ok(())
}

fn tell(received: &Received, context: &Context) {
    let Received { payer, token, amount, receipt, is_again } = received;
    let said = &receipt.receipt;
    let event = Event::Received {
        channel: said.channel_id,
        payer: *payer,
        token: *token,
        amount: amount.to_string(),
        total: said.cumulative_amount.to_string(),
        again: *is_again,
        receipt: receipt.clone(),
    };
    context.print(&event, || {
        let (amount, total) = (shown_amount(*token, *amount), shown_amount(*token, said.cumulative_amount));
        let again = if *is_again { " (received before)" } else { "" };
        println!("Received {amount}{again} from {payer}: {total} in all over channel {}", said.channel_id);
    });
}
