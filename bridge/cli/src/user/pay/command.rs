//! `causeway pay`: its steps.

use eyre::Result;

use super::claim::{self, ClaimArgs};
use super::close::{self, CloseArgs};
use super::invoice::collect::{self, CollectArgs};
use super::invoice::command::{self as invoice, InvoiceArgs};
use super::invoice::list::{self as invoices, InvoicesArgs};
use super::open::{self, OpenArgs};
use super::status::{self, StatusArgs};
use super::unwrap::{self, UnwrapArgs};
use super::voucher::{self, VoucherArgs};
use super::wrap::{self, WrapArgs};
use crate::context::Context;

/// Micropayments: open a channel, give vouchers, claim, close; wrap coins as tokens
///
/// A channel holds a deposit of the payer for one payee. A voucher is a signed promise of everything paid so far: only the
/// last one counts, and it costs nothing until it is claimed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay open --payee 0x7099... --amount '100000 sat' --dev-account 0
  causeway pay voucher 0x6b62... --total '250 sat' --dev-account 0 > voucher.json
  causeway pay claim voucher.json --dev-account 1
  causeway pay close 0x6b62... --voucher voucher.json --dev-account 1
  causeway pay wrap '100000 sat' --dev-account 0
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
    Close(CloseArgs),
    Status(StatusArgs),
    Wrap(WrapArgs),
    Unwrap(UnwrapArgs),
    Invoice(InvoiceArgs),
    Invoices(InvoicesArgs),
    Collect(CollectArgs),
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
            Step::Wrap(args) => wrap::wrap(args, context).await,
            Step::Unwrap(args) => unwrap::unwrap(args, context).await,
            Step::Invoice(args) => invoice::invoice(args, context).await,
            Step::Invoices(args) => invoices::list(args, context).await,
            Step::Collect(args) => collect::collect(args, context).await,
        }
    })
}
