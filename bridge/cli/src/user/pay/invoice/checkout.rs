//! What the payer is shown, and what the merchant sees while waiting.

use std::time::Duration;

use eyre::Result;
use serde::Serialize;

use super::look::Looker;
use super::record::Invoice;
use super::state::State;
use super::store::Store;
use super::view::{Links, View, stands};
use super::webhook::Courier;
use crate::context::Context;
use crate::exit::{EXPIRED, Exit, PAID_LATE};
use crate::user::peg_in::qr;
use bridge::amount;

/// How often the node is asked. Blocks come about once a second.
const POLL: Duration = Duration::from_secs(1);

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum Line<'a> {
    Invoice(View<'a>),
    Changed(View<'a>),
}

/// Shows an invoice to be paid.
pub fn show(invoice: &Invoice, context: &Context) {
    context.print(&Line::Invoice(View::of(invoice)), || {
        let links = Links::of(invoice);
        let codes = [("Coin on the sidechain", Some(&links.coin)), ("Bitcoin", links.bitcoin.as_ref())];
        for (name, link) in codes {
            let Some(link) = link else { continue };
            if let (Some(code), false) = (qr(link), invoice.state().has_ended()) {
                println!("{name}:\n{code}");
            }
        }
        println!("Invoice     {}", invoice.reference);
        println!("Amount      {}", amount::show(invoice.amount()));
        if let Some(memo) = &invoice.terms.memo {
            println!("For         {memo}");
        }
        println!("Coin        {}", links.coin);
        println!("Token       {}", links.token);
        if let Some(bitcoin) = &links.bitcoin {
            println!("Bitcoin     {bitcoin}");
        }
        println!("Goes to     {}", invoice.terms.to);
        println!("It is       {}", stands(invoice));
    });
}

/// Waits until the invoice is paid or over, showing each change; then until the webhook has taken what is new, within its bound of tries.
///
/// # Errors
///
/// It was not paid in full in time, or what was seen cannot be kept.
pub async fn wait(looker: &mut Looker<'_>, store: &Store, mut invoice: Invoice, context: &Context) -> Result<()> {
    let mut courier = Courier::of(&invoice)?;
    if !context.json && !invoice.state().has_ended() {
        println!("\nWaiting for a payment: it shows here once it is final");
        println!(
            "(Ctrl-C stops waiting, nothing is lost: the same command with --reference {} goes on)",
            invoice.reference
        );
    }
    let mut trouble = None;
    while !invoice.state().has_ended() {
        tokio::time::sleep(POLL).await;
        match looker.look(&invoice).await {
            Ok(facts) => {
                trouble = None;
                let mut is_new = false;
                invoice = store.update(&invoice.reference, |kept| {
                    is_new = kept.apply(&facts);
                    is_new
                })?;
                // The last block alone is nothing to write down each second, but what follows starts there.
                (invoice.seen.block, invoice.seen.block_time) = (facts.block, facts.block_time);
                if is_new {
                    context.print(&Line::Changed(View::of(&invoice)), || println!("{}", stands(&invoice)));
                }
            }
            // A node that lies or is silent confirms nothing; one that is right again goes on.
            Err(error) => tell_once(&mut trouble, &error),
        }
        if let Some(courier) = &mut courier {
            invoice = courier.step(store, invoice).await?;
        }
    }
    if let Some(courier) = &mut courier {
        invoice = courier.finish(store, invoice).await?;
    }
    verdict(invoice.state())
}

fn tell_once(trouble: &mut Option<String>, error: &eyre::Report) {
    let words = format!("{error:#}");
    if trouble.as_ref() != Some(&words) {
        tracing::warn!("asking again: {words}");
        *trouble = Some(words);
    }
}

/// How the process ends.
fn verdict(state: State) -> Result<()> {
    match state {
        State::Expired | State::Underpaid => {
            Err(Exit { way: &EXPIRED, words: "the invoice expired, and was not paid in full" }.into())
        }
        State::PaidLate => {
            Err(Exit { way: &PAID_LATE, words: "the invoice was paid in full after it had expired" }.into())
        }
        State::Open | State::Partial | State::Confirming | State::Paid | State::Overpaid => Ok(()),
    }
}
