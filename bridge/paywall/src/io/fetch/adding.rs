//! A deposit that is used up: as much again is added to the channel as it was opened with, which the payee brings to the chain.
//!
//! ```text
//!   need          the total that the payee wants: within the person's limit for the answer, whatever the deposit
//!   written down  how much, under a number that stays the same until the chain has it
//!   shown         to the payee, signed: again, as long as it is valid
//!   looked at     by the chain, not by the payee's word
//! ```
//! Whatever a payee makes of what it was shown, one number adds once. So all that is locked is what was promised, and one deposit beside it.

use std::time::Duration;

use bridge::channel_calls::top_up_authorization;
use hyper::Method;
use payments::authorization::SignedAuthorization;
use payments::typed_data::separator;
use tokio::time::{Instant, sleep};

use super::kept::Adding;
use super::purse::{AUTHORIZED_S, PayersChain};
use super::session::Session;
use super::{FetchError, Page, now};
use crate::authorization::{TOKEN_NAME, TOKEN_VERSION};
use crate::payer::payload;
use crate::payer::tally::Stop;

/// How long our node may be behind the payee's.
const BEHIND: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often it is shown: the first may find a challenge that expired. An answer waits meanwhile.
const MOST_TRIES: u32 = 2;
/// Seconds that must be left of what was signed before, or it is signed anew.
const LEAST_LEFT_S: u64 = 60;

impl<C: PayersChain> Session<C> {
    /// The total to promise for a payee that needs `required`; a channel that has too little is topped up.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; `Stopped` where no more may be promised, or nothing more is added.
    pub(super) async fn need(&mut self, required: u128, page: &Page) -> Result<u128, FetchError> {
        loop {
            match self.tally.need(required, self.standing()) {
                Err(stop @ Stop::Deposit { .. }) => {
                    if !self.add(page).await? {
                        return Err(stop.into());
                    }
                }
                needed => return Ok(needed?),
            }
        }
    }

    /// Adds to a channel before it is used up, so that an answer does not wait for it. If the payee does not want that yet, it is tried again a little later.
    pub(super) async fn add_ahead(&mut self, page: &Page) -> Result<(), FetchError> {
        let cost = self.tally.cost().unwrap_or(0);
        let again_from = self.not_added.as_ref().map_or(0, |(_, at)| at.saturating_add(self.tally.step() / 2));
        if self.tally.outgrows(self.standing()) && cost >= again_from {
            self.add(page).await?;
        }
        Ok(())
    }

    /// Adds a deposit; whether it did. Why it did not, is kept.
    pub(super) async fn add(&mut self, page: &Page) -> Result<bool, FetchError> {
        let why = match self.add_now(page).await {
            Ok(added) => {
                self.not_added = None;
                return Ok(added);
            }
            Err(
                FetchError::Refused { problem } | FetchError::NotServed { problem, .. } | FetchError::NotPaid(problem),
            ) => problem,
            Err(FetchError::NoAnswer(why)) => why.to_string(),
            Err(error) => return Err(error),
        };
        tracing::warn!(channel = %self.channel, why, "nothing is added to the channel");
        self.not_added = Some((why, self.tally.cost().unwrap_or(0)));
        Ok(false)
    }

    async fn add_now(&mut self, page: &Page) -> Result<bool, FetchError> {
        let Some(amount) = self.purse.deposit.filter(|amount| *amount > 0 && self.demand.opens) else {
            return Ok(false);
        };
        if self.has_more().await? {
            return Ok(true);
        }
        let valid = |adding: &Adding| adding.valid_before > now().saturating_add(LEAST_LEFT_S);
        let adding = match self.kept().adding.filter(valid) {
            Some(adding) => adding,
            None => self.plan_adding(amount).await?,
        };
        let signed = self.sign_adding(adding);
        self.submit_within(MOST_TRIES, Method::HEAD, &payload::top_up(self.channel, &signed), page).await?;
        self.see(adding.deposit).await?;
        tracing::info!(channel = %self.channel, deposit = self.deposit, "the channel is topped up");
        Ok(true)
    }

    /// Whether the chain has more than was known. No deposit is signed for a channel that it has not.
    async fn has_more(&mut self) -> Result<bool, FetchError> {
        let Some(channel) = self.chain.look(self.channel).await? else {
            return Err(FetchError::NotPaid("the chain does not have the channel".to_owned()));
        };
        if channel.finalized || channel.closing.is_some() {
            return Err(FetchError::NotPaid("the channel is closing".to_owned()));
        }
        self.folder.know(channel)?;
        let has_more = channel.deposit > self.deposit;
        self.deposit = channel.deposit;
        Ok(has_more)
    }

    async fn plan_adding(&mut self, amount: u128) -> Result<Adding, FetchError> {
        self.chain.agree(self.demand.payee, amount).await?;
        let deposit = self.deposit.saturating_add(amount);
        let adding = Adding { amount, deposit, valid_before: now().saturating_add(AUTHORIZED_S) };
        self.folder.channels.known.get_mut(&self.channel).expect("it is known").adding = Some(adding);
        self.folder.keep()?;
        Ok(adding)
    }

    fn sign_adding(&self, adding: Adding) -> SignedAuthorization {
        let purse = &self.purse;
        let (number, whose) = (self.kept().top_ups.into(), (purse.account.address(), self.channel));
        let separator = separator(TOKEN_NAME, TOKEN_VERSION, purse.chain_id, purse.token);
        top_up_authorization(purse.network, &purse.domain, whose, adding.amount, number, adding.valid_before)
            .sign(separator, &purse.account.secret())
    }

    /// Waits until the chain has so large a deposit.
    async fn see(&mut self, deposit: u128) -> Result<(), FetchError> {
        let until = Instant::now() + BEHIND;
        loop {
            if let Some(channel) = self.chain.look(self.channel).await?.filter(|channel| channel.deposit >= deposit) {
                self.folder.know(channel)?;
                self.folder.keep()?;
                self.deposit = channel.deposit;
                return Ok(());
            }
            if Instant::now() > until {
                return Err(FetchError::NotPaid(
                    "the server says that it did, and the chain does not have it".to_owned(),
                ));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Why nothing was added to a channel that is used up, if it was tried.
    #[must_use]
    pub fn why_not_added(&self) -> Option<&str> {
        self.not_added.as_ref().map(|(why, _)| why.as_str())
    }

    /// With the reason why nothing was added, where that is it.
    #[must_use]
    pub fn stopped(&self, stop: Stop) -> FetchError {
        match (stop, self.why_not_added()) {
            (Stop::Deposit { deposit }, Some(why)) => FetchError::NotAdded { deposit, why: why.to_owned() },
            (stop, _) => stop.into(),
        }
    }
}
