//! `causeway pay invoices`: all invoices and where they stand; as a table too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bitcoin::Amount;
use bridge::amount::{show, show_wei};
use eyre::{Result, WrapErr};
use files::write_atomic;

use super::csv;
use super::look::Looker;
use super::record::{Arrival, Invoice};
use super::store::Store;
use super::view::{View, stands};
use super::webhook::Courier;
use crate::clock::{now, time};
use crate::context::Context;
use crate::options::network::{KnownNetwork, NetworkArgs};

/// For how long after the expiry an invoice is looked at without `--all`: who pays late does it soon.
const LOOKED_AT_S: u64 = 7 * 86_400;

/// List invoices and where they stand, and tell webhooks what they were not told yet
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay invoices
  causeway pay invoices --csv invoices.csv --all")]
pub struct InvoicesArgs {
    /// Write a table for spreadsheets
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Look also at invoices that expired more than a week ago
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Lists invoices.
///
/// # Errors
///
/// The node does not answer or proves nothing, an invoice is damaged, or the table cannot be written.
pub async fn list(args: InvoicesArgs, context: &Context) -> Result<()> {
    let network = args.network.connect_to_pay().await?;
    let store = Store::new(&network.home, network.network_id);
    let invoices = renewed(&network, &store, args.all).await?;
    for invoice in &invoices {
        context.print(&View::of(invoice), || show_one(invoice));
    }
    if invoices.is_empty() && !context.json {
        println!("There is no invoice");
    }
    match &args.csv {
        Some(path) => write_table(path, &invoices),
        None => Ok(()),
    }
}

/// All invoices, after a look at those to which something may still come.
///
/// # Errors
///
/// The node does not answer or proves nothing, or those of the disk.
pub async fn renewed(network: &KnownNetwork, store: &Store, is_all: bool) -> Result<Vec<Invoice>> {
    let (mut looker, now) = (Looker::new(network)?, now()?);
    let mut silent = BTreeSet::new();
    let mut renewed = Vec::new();
    for mut invoice in store.all()? {
        let is_young = invoice.expires_at.saturating_add(LOOKED_AT_S) >= now;
        if is_all || is_young || !invoice.state().has_ended() {
            let facts = looker.look(&invoice).await?;
            invoice = store.update(&invoice.reference, |kept| {
                let _ = kept.apply(&facts);
                true
            })?;
        }
        renewed.push(deliver(store, invoice, &mut silent).await?);
    }
    Ok(renewed)
}

/// One try each, and none of a receiver that was `silent` before: one that is down holds nobody up. Without its secret the list is still good.
async fn deliver(store: &Store, mut invoice: Invoice, silent: &mut BTreeSet<String>) -> Result<Invoice> {
    let url = invoice.webhook.as_ref().map(|hook| hook.url.clone()).unwrap_or_default();
    if invoice.undelivered().next().is_none() || silent.contains(&url) {
        return Ok(invoice);
    }
    match Courier::of(&invoice) {
        Ok(Some(mut courier)) => {
            let mut left = invoice.undelivered().count();
            while left > 0 {
                invoice = courier.step(store, invoice).await?;
                let now = invoice.undelivered().count();
                if now == left {
                    silent.insert(url);
                    break;
                }
                left = now;
            }
            Ok(invoice)
        }
        Ok(None) => Ok(invoice),
        Err(error) => {
            tracing::warn!("the webhook of {} is not told: {error:#}", invoice.reference);
            Ok(invoice)
        }
    }
}

fn show_one(invoice: &Invoice) {
    println!("{}  {}  {}", invoice.reference, show(invoice.amount()), stands(invoice));
    if let Some(memo) = &invoice.terms.memo {
        println!("  for        {memo}");
    }
    let left = invoice.uncollected_wei();
    if !left.is_zero() {
        println!("  collect    {} at {}", show_wei(left), invoice.terms.account);
    }
    let untold = invoice.undelivered().count();
    if untold > 0 {
        println!("  webhook    {untold} not taken yet");
    }
}

fn write_table(path: &Path, invoices: &[Invoice]) -> Result<()> {
    let head = [
        "reference",
        "memo",
        "state",
        "amount_sat",
        "received_sat",
        "coming_sat",
        "excess_sat",
        "created",
        "expires",
        "paid",
        "to",
        "account",
        "bitcoin_address",
        "bitcoin_payments",
        "peg_in_fee_sat",
    ];
    let mut table = csv::line(&head);
    for invoice in invoices {
        table += &csv::line(&row(invoice));
    }
    write_atomic(path, table.as_bytes()).wrap_err("the table is not written")
}

fn row(invoice: &Invoice) -> Vec<String> {
    let (terms, done) = (&invoice.terms, invoice.final_wei());
    let payments = invoice.seen.deposits.iter().map(|arrival| arrival.outpoint.to_string());
    let fee = |arrival: &Arrival| Some(arrival.amount_sat.saturating_sub(arrival.minted_sat?));
    let fees = invoice.seen.deposits.iter().filter_map(fee).sum::<u64>();
    vec![
        invoice.reference.clone(),
        terms.memo.clone().unwrap_or_default(),
        invoice.state().name().to_owned(),
        terms.amount_sat.to_string(),
        satoshis(done),
        satoshis(invoice.coming_wei()),
        satoshis(done.saturating_sub(invoice.amount_wei())),
        time(invoice.created_at),
        time(invoice.expires_at),
        invoice.seen.paid_at.map(time).unwrap_or_default(),
        terms.to.to_string(),
        terms.account.to_string(),
        terms.bitcoin_address.clone().unwrap_or_default(),
        payments.collect::<Vec<_>>().join(" "),
        fees.to_string(),
    ]
}

/// Whole satoshis, and what is below one as decimals: a table's sum is right.
fn satoshis(wei: alloy_primitives::U256) -> String {
    let one = bridge::amount::wei(Amount::from_sat(1));
    let (whole, rest) = wei.div_rem(one);
    if rest.is_zero() {
        return whole.to_string();
    }
    let decimals = format!("{rest:0>10}");
    format!("{whole}.{}", decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::pay::invoice::record::tests::{invoice, wei};

    #[test]
    fn a_table_has_a_line_for_each_invoice_and_a_memo_that_is_a_formula_is_text() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut one = invoice();
        one.terms.memo = Some("=HYPERLINK(\"http://evil.example\")".into());
        one.seen.coin_wei = wei(7) + alloy_primitives::U256::from(50);
        let path = folder.path().join("table.csv");
        write_table(&path, &[one, invoice()]).expect("written");
        let table = std::fs::read_to_string(&path).expect("text");
        assert_eq!(table.lines().count(), 3);
        assert!(
            table.contains("\"'=HYPERLINK(\"\"http://evil.example\"\")\",\"partial\",\"1000\",\"7.000000005\""),
            "{table}"
        );
    }
}
