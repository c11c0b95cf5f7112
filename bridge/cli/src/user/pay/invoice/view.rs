//! An invoice as it is shown: to scripts, receivers of webhooks, and people.

use alloy_primitives::{Address, U256};
use bridge::amount::{show, show_wei};
use serde::Serialize;

use super::link;
use super::record::{Arrival, Invoice};
use super::state::State;
use crate::clock::time;

/// In JSON. Wei are decimal text, since numbers would lose some.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View<'a> {
    pub reference: &'a str,
    pub state: State,
    pub amount_sat: u64,
    pub amount_wei: String,
    /// Final.
    pub received_wei: String,
    /// On Bitcoin, and not deep enough.
    pub coming_wei: String,
    pub missing_wei: String,
    pub excess_wei: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memo: Option<&'a str>,
    pub to: Address,
    pub account: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitcoin_address: Option<&'a str>,
    pub links: Links,
    pub created_at: u64,
    pub expires_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub deposits: &'a [Arrival],
    /// Of what came to the account, what is still there.
    pub uncollected_wei: String,
    /// Changes that no receiver of webhooks has taken yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub undelivered: usize,
}

/// Where a wallet pays: the whole amount, whatever part of it came already.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    pub coin: String,
    pub token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitcoin: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Links {
    pub fn of(invoice: &Invoice) -> Self {
        let terms = &invoice.terms;
        let (account, chain, wei) = (terms.account, terms.chain_id, invoice.amount_wei());
        let bitcoin = terms.bitcoin_address.as_deref();
        Self {
            coin: link::coin(account, chain, wei),
            token: link::token(account, chain, wei),
            bitcoin: bitcoin.map(|address| link::bitcoin(address, invoice.amount(), terms.memo.as_deref())),
        }
    }
}

impl<'a> View<'a> {
    pub fn of(invoice: &'a Invoice) -> Self {
        let (terms, want, done) = (&invoice.terms, invoice.amount_wei(), invoice.final_wei());
        Self {
            reference: &invoice.reference,
            state: invoice.state(),
            amount_sat: terms.amount_sat,
            amount_wei: want.to_string(),
            received_wei: done.to_string(),
            coming_wei: invoice.coming_wei().to_string(),
            missing_wei: want.saturating_sub(done).to_string(),
            excess_wei: done.saturating_sub(want).to_string(),
            memo: terms.memo.as_deref(),
            to: terms.to,
            account: terms.account,
            bitcoin_address: terms.bitcoin_address.as_deref(),
            links: Links::of(invoice),
            created_at: invoice.created_at,
            expires_at: invoice.expires_at,
            paid_at: invoice.seen.paid_at,
            deposits: &invoice.seen.deposits,
            uncollected_wei: invoice.uncollected_wei().to_string(),
            undelivered: invoice.undelivered().count(),
        }
    }
}

/// Where it stands, in a sentence.
pub fn stands(invoice: &Invoice) -> String {
    let (want, done, coming) = (invoice.amount_wei(), invoice.final_wei(), invoice.coming_wei());
    let came =
        |wei: U256| if wei.is_zero() { String::new() } else { format!(", {} on its way from Bitcoin", show_wei(wei)) };
    match invoice.state() {
        State::Open => format!("open until {}: nothing came yet", time(invoice.expires_at)),
        State::Partial => format!(
            "{} of {} came{}; {} are missing until {}",
            show_wei(done),
            show(invoice.amount()),
            came(coming),
            show_wei(want.saturating_sub(done + coming)),
            time(invoice.expires_at)
        ),
        State::Confirming => format!("{} final{}: waits for confirmations", show_wei(done), came(coming)),
        State::Paid => format!("paid: {} are final", show_wei(done)),
        State::Overpaid => format!("paid: {} are final, {} more than asked for", show_wei(done), show_wei(done - want)),
        State::PaidLate => {
            format!("{} are final, but not all of it came before {}", show_wei(done), time(invoice.expires_at))
        }
        State::Expired => format!("expired at {}: nothing came", time(invoice.expires_at)),
        State::Underpaid => format!(
            "expired at {}: {} of {} came{}",
            time(invoice.expires_at),
            show_wei(done),
            show(invoice.amount()),
            came(coming)
        ),
    }
}
