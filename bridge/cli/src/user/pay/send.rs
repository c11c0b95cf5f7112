//! `causeway pay send`: an amount over a channel.

use std::time::Duration;

use alloy_primitives::B256;
use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, bail, ensure};
use paywall::io::fetch::sent::{Sent, promise_by_hand};
use paywall::io::fetch::session::{Begun, Session};
use paywall::io::fetch::{Page, check_encrypted};
use paywall::io::http::{HeaderMap, Method, Uri};

use super::by_session::{BySession, OnChain};
use super::channel::shown_amount;
use super::event::Event;
use super::token;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;

/// Bytes of what a payee answers.
const MOST_BYTES: usize = 64 << 10;

/// Give a payee an amount over a channel
///
/// With --to it is brought to the payee (`causeway pay receive --listen`), who signs a receipt. Without it is printed what `causeway pay receive`
/// takes from a file. What was promised and not answered is given again by the same command, and not a second time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay send 0x6b62... '250 sat' --to http://127.0.0.1:8403 --dev-account 0
  causeway pay send 0x6b62... '250 sat' --seed payments.seed > voucher.json")]
pub struct SendArgs {
    /// The channel's id
    #[arg(value_name = "CHANNEL")]
    channel: B256,
    /// How much
    #[arg(value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    /// Where the payee takes it
    #[arg(long, value_name = "URL")]
    to: Option<Uri>,
    /// Sign by the channel's key of this seed, instead of an account
    #[arg(long, value_name = "FILE")]
    seed: Option<std::path::PathBuf>,
    /// Seconds that the payee may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Pay over a connection that is not encrypted
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Sends an amount.
///
/// # Errors
///
/// The channel is another's or closed or has too little left, or the payee does not answer or refuses.
pub async fn send(args: SendArgs, context: &Context) -> Result<()> {
    if let (Some(url), false) = (&args.to, args.insecure) {
        check_encrypted(url)?;
    }
    let by = BySession {
        deposit: None,
        channel: Some(args.channel),
        seed: args.seed.clone(),
        ahead: None,
        another_payee: false,
        close: false,
    };
    let network = by.connect(&args.network, &args.account).await?;
    let purse = by.purse(&network, &args.account, args.amount).await?;
    let token = purse.token;
    let wanted = token::units(token, Some(args.amount), None)?;
    ensure!(wanted > 0, "an amount of nothing makes no payment");
    let Some(payee) = purse.channel.map(|channel| channel.payee) else { bail!("no channel is named") };
    let Some(url) = args.to.clone() else {
        return Ok(promise_by_hand(&purse, wanted, |sent| {
            let line = serde_json::to_string(&sent.voucher).expect("our own types always serialise");
            println!("{line}");
            if sent.is_again {
                eprintln!("It was promised before, and this is the same voucher");
            }
            Ok(())
        })
        .await?);
    };
    let page = Page { url, method: Method::GET, headers: HeaderMap::new(), body: Vec::new(), most_bytes: MOST_BYTES };
    let chain = OnChain { network: &network, own: purse.account.address() };
    let Begun::Asked(mut session) = Session::begin(purse, &page, Duration::from_secs(args.timeout), chain).await?
    else {
        bail!("the server asks for nothing, so it takes nothing: wanted is where `causeway pay receive --listen` is");
    };
    for sent in session.send(&page, wanted).await? {
        let Sent { voucher, amount, is_again, receipt } = sent;
        let total = voucher.voucher.cumulative_amount;
        let has_receipt = receipt.is_some();
        let event = Event::Sent {
            channel: args.channel,
            payee,
            amount: amount.to_string(),
            total: total.to_string(),
            again: is_again,
            voucher,
            receipt,
        };
        context.print(&event, || {
            let (amount, total) = (shown_amount(token, amount), shown_amount(token, total));
            let again = if is_again { ", which was promised before and not answered" } else { "" };
            let receipt = if has_receipt { "its receipt is kept" } else { "it gave no signed receipt" };
            println!("Sent {amount}{again} to {payee}: {total} in all over channel {}; {receipt}", args.channel);
        });
    }
    Ok(())
}
