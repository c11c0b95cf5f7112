//! `causeway pay collect`: what came to the accounts of invoices goes to the merchant.

use alloy_primitives::U256;
use bridge::amount::show_wei;
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use super::list::renewed;
use super::record::Invoice;
use super::store::Store;
use super::till::{Drawer, Place};
use super::{look::Looker, sweep, text};
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Bring what came to the accounts of your invoices to you
///
/// Coins pay their own gas; tokens are moved by an authorization that your account brings and pays the gas of. What costs more than it is
/// worth stays where it is, until more comes. What was paid from Bitcoin is yours already.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay collect --keystore merchant.keystore
  causeway pay collect order-17 order-18 --keystore merchant.keystore --yes --passphrase-stdin < passphrase")]
pub struct CollectArgs {
    /// References of invoices [default: all of yours]
    #[arg(value_name = "REF", value_parser = text::reference)]
    references: Vec<String>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename = "collected", rename_all = "camelCase")]
struct Line<'a> {
    reference: &'a str,
    to: alloy_primitives::Address,
    coin_wei: String,
    token_wei: String,
}

/// Who collects.
struct Collector<'a> {
    network: &'a KnownNetwork,
    store: &'a Store,
    drawer: Drawer,
    merchant: Spender<'a>,
    spending: SpendingArgs,
    is_worthless: bool,
}

/// Collects.
///
/// # Errors
///
/// The account does not open, an invoice is another merchant's, the node does not answer, or a transaction is not final in time: the
/// same command goes on.
pub async fn collect(args: CollectArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let store = Store::new(&network.home, network.network_id);
    let merchant = Spender::open(&network, &args.account, args.spending)?;
    let collector = Collector {
        drawer: Drawer::of(&merchant.account),
        network: &network,
        store: &store,
        merchant,
        spending: args.spending,
        is_worthless: args.account.dev_account.is_some(),
    };
    let mut is_any = false;
    for invoice in collector.chosen(&args.references).await? {
        let (coin, token) =
            collector.take(&invoice).await.wrap_err_with(|| format!("invoice {}", invoice.reference))?;
        if coin + token == U256::ZERO {
            continue;
        }
        is_any = true;
        let to = invoice.terms.to;
        let (coin_wei, token_wei) = (coin.to_string(), token.to_string());
        context.print(&Line { reference: &invoice.reference, to, coin_wei, token_wei }, || {
            println!("{}: {} to {to}, and {} in tokens", invoice.reference, show_wei(coin), show_wei(token));
        });
    }
    if !is_any && !context.json {
        println!("Nothing to collect");
    }
    Ok(())
}

impl Collector<'_> {
    /// The merchant's invoices, looked at: those that are named, or all.
    async fn chosen(&self, references: &[String]) -> Result<Vec<Invoice>> {
        let own = self.merchant.account.address();
        if references.is_empty() {
            let all = renewed(self.network, self.store, true).await?;
            return Ok(all.into_iter().filter(|invoice| invoice.terms.owner == own).collect());
        }
        let mut chosen = Vec::new();
        let mut looker = Looker::new(self.network)?;
        for reference in references {
            let invoice = self.store.find(reference)?;
            let Some(invoice) = invoice else { eyre::bail!("there is no invoice {reference}") };
            ensure!(
                invoice.terms.owner == own,
                "the invoice {reference} is of account {}, you are {own}",
                invoice.terms.owner
            );
            let facts = looker.look(&invoice).await?;
            chosen.push(self.store.update(reference, |kept| {
                let _ = kept.apply(&facts);
                true
            })?);
        }
        Ok(chosen)
    }

    /// Coins and tokens that went.
    async fn take(&self, invoice: &Invoice) -> Result<(U256, U256)> {
        let key = self.drawer.account(Place::of(self.network.network_id, &invoice.reference));
        ensure!(
            key.address() == invoice.terms.account,
            "its account {} is not the one that your key makes, {}: its file was changed",
            invoice.terms.account,
            key.address()
        );
        // Coins first: the merchant may need them for the gas of what follows.
        let spender = Spender::of(self.network, key.clone(), invoice.terms.to, self.is_worthless, self.spending);
        let coins = sweep::coins(&spender, self.store, invoice).await?;
        let tokens = invoice.seen.token_wei.saturating_sub(invoice.moved_token_wei);
        if tokens > U256::ZERO {
            sweep::tokens(&self.merchant, &key, self.store, invoice, tokens).await?;
        }
        Ok((coins.unwrap_or_default(), tokens))
    }
}
