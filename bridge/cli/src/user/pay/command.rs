//! `causeway pay`: its steps.

use eyre::Result;

use super::claim::{self, ClaimArgs};
use super::close::{self, CloseArgs};
use super::fetch::{self, FetchArgs};
use super::invoice::collect::{self, CollectArgs};
use super::invoice::command::{self as invoice, InvoiceArgs};
use super::invoice::list::{self as invoices, InvoicesArgs};
use super::list::{self, ListArgs};
use super::open::{self, OpenArgs};
use super::receive::{self, ReceiveArgs};
use super::send::{self, SendArgs};
use super::serve::{self, ServeArgs};
use super::status::{self, StatusArgs};
use super::stream::{self, StreamArgs};
use super::unwrap::{self, UnwrapArgs};
use super::voucher::{self, VoucherArgs};
use super::watch::{self, WatchArgs};
use super::wrap::{self, WrapArgs};
use crate::context::Context;

/// Micropayments: open a channel, give vouchers, claim, watch, close; wrap coins as tokens; sell and buy by HTTP request
///
/// A channel holds a deposit of the payer for one payee. A voucher is a signed promise of everything paid so far: only the
/// last one counts, and it costs nothing until it is claimed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay open --payee 0x7099... --amount '100000 sat' --dev-account 0
  causeway pay voucher 0x6b62... --total '250 sat' --dev-account 0 > voucher.json
  causeway pay claim voucher.json --dev-account 1
  causeway pay close 0x6b62... --voucher voucher.json --dev-account 1
  causeway pay watch vouchers.jsonl --yes --keystore payee.keystore
  causeway pay list 0xf39F...
  causeway pay wrap '100000 sat' --dev-account 0
  causeway pay serve --upstream http://127.0.0.1:3000 --price '/weather=25 sat' --dev-account 1
  causeway pay fetch http://127.0.0.1:8402/weather --max '100 sat' --dev-account 0
  causeway pay stream http://127.0.0.1:8402/tokens --max '500 sat' --deposit '10000 sat' --dev-account 0
  causeway pay send 0x6b62... '250 sat' --to http://127.0.0.1:8403 --dev-account 0
  causeway pay receive --listen 127.0.0.1:8403 --dev-account 1
  causeway pay invoice '25000 sat' --reference order-17 --dev-account 1
  causeway pay collect --dev-account 1")]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    Open(OpenArgs),
    Voucher(VoucherArgs),
    Claim(ClaimArgs),
    Watch(WatchArgs),
    Close(CloseArgs),
    Status(StatusArgs),
    List(ListArgs),
    Wrap(WrapArgs),
    Unwrap(UnwrapArgs),
    Serve(ServeArgs),
    Fetch(FetchArgs),
    Stream(StreamArgs),
    Send(SendArgs),
    Receive(ReceiveArgs),
    Invoice(InvoiceArgs),
    Invoices(InvoicesArgs),
    Collect(CollectArgs),
}

impl Args {
    /// Whether it runs until it is stopped.
    pub fn is_service(&self) -> bool {
        match &self.step {
            Step::Serve(_) | Step::Watch(_) => true,
            Step::Receive(args) => args.is_service(),
            _ => false,
        }
    }
}

/// Runs `causeway pay`.
///
/// # Errors
///
/// The node does not answer, the account does not open, or the contract would refuse the step.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        match args.step {
            Step::Open(args) => open::open(args, context).await,
            Step::Voucher(args) => voucher::voucher(args).await,
            Step::Claim(args) => claim::claim(args, context).await,
            Step::Close(args) => close::close(args, context).await,
            Step::Status(args) => status::status(args, context).await,
            Step::Watch(args) => watch::watch(args, context).await,
            Step::List(args) => list::list(args, context).await,
            Step::Wrap(args) => wrap::wrap(args, context).await,
            Step::Unwrap(args) => unwrap::unwrap(args, context).await,
            Step::Serve(args) => serve::serve(args, context).await,
            Step::Fetch(args) => fetch::run(args, context).await,
            Step::Stream(args) => stream::stream(args, context).await,
            Step::Send(args) => send::send(args, context).await,
            Step::Receive(args) => receive::receive(args, context).await,
            Step::Invoice(args) => invoice::invoice(args, context).await,
            Step::Invoices(args) => invoices::list(args, context).await,
            Step::Collect(args) => collect::collect(args, context).await,
        }
    })
}
