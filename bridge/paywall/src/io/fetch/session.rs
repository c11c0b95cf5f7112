//! A payer that pays by a channel: opens one with a payee, gives it vouchers or ticks as answers come, closes it.
//!
//! ```text
//!   begin    402: what a unit costs; the channel with this payee, or a deposit for a new one
//!   answer   a voucher for what is asked, until there is an answer
//!   pass     a streamed answer: passed on event by event, and paid for as it comes
//!   need     a channel that is used up is topped up ([`super::adding`])
//!   close    the rest comes back
//! ```
//! What is signed was promised before, on disk ([`super::kept`]); how much that may be, decides [`crate::payer::tally`].

use std::io;
use std::pin::pin;
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use bitcoin::hashes::{Hash as _, sha256};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use payments::io::payer::{OpenStream, PayerError};
use payments::payer::PayRefused;
use payments::receipt::SignedReceipt;
use payments::voucher::SignedVoucher;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::kept::{FOLDER_PATIENCE, Folder, Kept, SENT, origin};
use super::purse::{PayersChain, SessionPurse, demand};
use super::{FetchError, Fetched, Page, now, problem, random};
use crate::io::http::{Unread, read};
use crate::io::upstream::{NoAnswer, Upstream};
use crate::mpp;
use crate::payer::demand::SessionDemand;
use crate::payer::payload;
use crate::payer::tally::{Standing, Stop, Tally};
use crate::session::refused::LAST_VOUCHER;
use crate::sse::Events;
use crate::text::{base64url, decoded};

/// How often a request is sent with a payment: the first may find a challenge that expired, or a payee that wants more than was thought, or whose chain takes time.
pub(super) const MOST_TRIES: u32 = 5;
/// Before the second time; twice as long each further time.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
/// The payee's signed receipt for what was spent.
const SIGNED_RECEIPT: &str = "causeway-receipt";
/// How long the end of an answer may take that came as far as it may be paid for: it may be whole.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer to a voucher or to ticks.
pub(super) const MOST_ANSWER_BYTES: usize = 64 << 10;

/// What an answer without payment leads to.
pub enum Begun<C> {
    /// It costs nothing.
    Free(Response<Incoming>),
    Asked(Box<Session<C>>),
}

/// A payer with its channel to one payee.
pub struct Session<C> {
    pub(super) purse: SessionPurse,
    pub(super) chain: C,
    pub(super) upstream: Upstream,
    pub(super) folder: Folder,
    pub(super) demand: SessionDemand,
    pub(super) channel: B256,
    pub(super) deposit: u128,
    /// As the payee says.
    is_open: bool,
    /// Why nothing was added to it, and what had been delivered then.
    pub(super) not_added: Option<(String, u128)>,
    pub(super) tally: Tally,
    pub(super) ticks: Option<OpenStream>,
    /// What the payee said last.
    receipt: Option<Value>,
}

/// How a streamed answer ended.
#[derive(Debug)]
pub enum Ended {
    Whole,
    /// Nothing more was promised.
    Stopped(Stop),
    /// By whoever reads it.
    Interrupted,
}

impl<C: PayersChain> Session<C> {
    /// Asks for a page without paying, and reads what it would cost. `chain` is asked before a deposit is signed away.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; `Unpayable` if the server offers no session that this payer can answer.
    pub async fn begin(purse: SessionPurse, page: &Page, patience: Duration, chain: C) -> Result<Begun<C>, FetchError> {
        let upstream = Upstream::new(patience)?;
        let response = ask_first(&upstream, page).await?;
        if response.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(Begun::Free(response));
        }
        let demand = demand(&response, &purse)?;
        let path = purse.folder.join(format!("{:x}", demand.payee));
        let mut folder = Folder::open(&path, purse.domain, FOLDER_PATIENCE).await?;
        let channel = purse.channel_with(&mut folder, &demand, &origin(&page.url), &chain).await?;
        // What was not answered when this ended before stays promised; nobody waits for it.
        let waiting = folder.payer.unanswered(channel).into_iter().filter(|payment| payment.endpoint != SENT);
        for payment in waiting {
            folder.payer.give_up(channel, payment.request)?;
        }
        let deposit = folder.channels.known[&channel].deposit;
        let limits = purse.limits(&demand);
        let signed = folder.payer.standing(channel).map_or(0, |standing| standing.signed);
        let kept = folder.channels.known.get_mut(&channel).expect("it is known");
        // What a process that was killed had promised, it may have been given.
        let uncounted = if kept.counting { signed.saturating_sub(kept.spent) } else { 0 };
        let tally = Tally::new(demand.measure.clone(), demand.price, kept.spent, limits).after_a_kill(uncounted);
        kept.counting = true;
        folder.keep()?;
        Ok(Begun::Asked(Box::new(Self {
            purse,
            chain,
            upstream,
            folder,
            demand,
            channel,
            deposit,
            is_open: false,
            not_added: None,
            tally,
            ticks: None,
            receipt: None,
        })))
    }

    #[must_use]
    pub fn demand(&self) -> &SessionDemand {
        &self.demand
    }

    #[must_use]
    pub fn channel(&self) -> B256 {
        self.channel
    }

    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the payee said last of the channel: not signed, and believed for nothing.
    #[must_use]
    pub fn receipt(&self) -> Option<&Value> {
        self.receipt.as_ref()
    }

    /// All that was promised, and the deposit.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let signed = self.folder.payer.standing(self.channel).map_or(0, |standing| standing.signed);
        Standing { signed, deposit: self.deposit }
    }

    // ------------------------------------------------------------------ answers

    /// The page's answer, paid for as far as the payee wants before it begins.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn answer(&mut self, page: &Page) -> Result<Response<Incoming>, FetchError> {
        let name =
            keccak256(sha256::Hash::hash(&[format!("{} {}\n", page.method, page.url).as_bytes(), &page.body].concat()));
        let key = self.folder.key(name, || base64url(random().as_slice()))?;
        let cost = self.tally.cost_before();
        let mut required = cost.saturating_add(self.demand.price);
        let (mut pause, mut tries) = (PAUSE, 1);
        loop {
            let voucher = self.promise(required, page).await?;
            let payload = self.payload(&voucher);
            let asked = self.ask(page, page.method.clone(), &payload, Some(&key)).await;
            let is_last = tries == MOST_TRIES;
            let response = match asked {
                Err(error) if is_last || is_silent(&error) => return Err(error),
                Err(_) => None,
                Ok(response) if response.status().is_success() || response.status().is_redirection() => {
                    self.folder.answered(name);
                    self.took(&response)?;
                    return Ok(response);
                }
                Ok(response) if is_pages_own(&response) => {
                    let answered = Fetched::read(response, page, self.upstream.patience).await?;
                    return Err(FetchError::NotCharged(Box::new(answered)));
                }
                Ok(response) => Some(response),
            };
            if let Some(response) = response {
                let refused = self.refused(response).await?;
                if is_last || !refused.may_go_on {
                    return Err(refused.into_error());
                }
                required = refused.required.unwrap_or(required);
                if refused.is_new {
                    // It said what it wants.
                    tries += 1;
                    continue;
                }
            }
            sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }

    /// The whole of an answer; of a streamed one, its events. One that is paid for by its bytes is paid for as they come. If more would have to be promised
    /// for it than may be, what came, and why not more.
    ///
    /// # Errors
    ///
    /// It is too long, or breaks off.
    pub async fn body(
        &mut self,
        response: Response<Incoming>,
        page: &Page,
    ) -> Result<(Vec<u8>, Option<Stop>), FetchError> {
        if is_event_stream(&response) || self.demand.measure.is_of_bytes() {
            let mut bytes = Vec::new();
            let mut take = |part: &[u8]| {
                bytes.extend_from_slice(part);
                if bytes.len() > page.most_bytes { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
            };
            return match self.pass(response, page, &mut take, std::future::pending()).await {
                Ok(Ended::Stopped(stop)) => Ok((bytes, Some(stop))),
                Ok(_) => Ok((bytes, None)),
                Err(FetchError::NotKept(_)) => Err(FetchError::TooLarge(page.most_bytes)),
                Err(error) => Err(error),
            };
        }
        let body = read(response.into_body(), page.most_bytes, self.upstream.patience).await;
        let body = body.map_err(|unread| match unread {
            Unread::TooLarge => FetchError::TooLarge(page.most_bytes),
            Unread::TooSlow | Unread::Broken => FetchError::BrokenOff,
        })?;
        self.tally.deliver(1, body.len() as u64);
        self.settle()?;
        Ok((body, None))
    }

    /// Passes a streamed answer on and pays for it as it comes, until it ends, `stopped` does, or no more is promised.
    ///
    /// # Errors
    ///
    /// It breaks off or is silent for too long; or `show` fails. What was promised is kept.
    pub async fn pass(
        &mut self,
        response: Response<Incoming>,
        page: &Page,
        show: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        stopped: impl Future<Output = ()>,
    ) -> Result<Ended, FetchError> {
        let is_stream = is_event_stream(&response);
        let mut body = response.into_body();
        let mut stopped = pin!(stopped);
        let mut events = Events::default();
        let mut used_up = None;
        let ended = loop {
            let patience = if used_up.is_some() { END_PATIENCE } else { self.upstream.patience };
            let frame = tokio::select! {
                frame = timeout(patience, body.frame()) => frame,
                () = &mut stopped => break Ok(Ended::Interrupted),
            };
            let data = match (frame, used_up.take()) {
                (Ok(None), _) => break Ok(Ended::Whole),
                (Ok(Some(Ok(frame))), _) => frame.into_data().unwrap_or_default(),
                (_, Some(stop)) => break Ok(Ended::Stopped(stop)),
                (_, None) => break Err(FetchError::BrokenOff),
            };
            let taken = if is_stream {
                self.take(&mut events, &data, page, show).await
            } else {
                self.tally.deliver(0, data.len() as u64);
                show(&data).map_err(FetchError::NotKept)
            };
            let supplied = match taken {
                Ok(()) => self.supply(page).await,
                Err(error) => Err(error),
            };
            match supplied {
                Err(FetchError::Stopped(stop)) => break Ok(Ended::Stopped(stop)),
                Err(error) => break Err(error),
                Ok(stop) => used_up = stop,
            }
        };
        self.settle()?;
        if let (Ok(Ended::Whole), Some(rest)) = (&ended, events.rest()) {
            show(&rest.bytes)?;
        }
        ended
    }

    async fn take(
        &mut self,
        events: &mut Events,
        data: &[u8],
        page: &Page,
        show: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), FetchError> {
        for event in events.push(data)? {
            match event.name.as_str() {
                "payment-need-voucher" => {
                    let said: Value = serde_json::from_str(&event.data).unwrap_or_default();
                    let required = number(&said, "requiredCumulative")
                        .ok_or_else(|| unread("an event that asks for no number"))?;
                    let total = self.need(required, page).await?;
                    self.give(total, page).await?;
                }
                "payment-receipt" => self.receipt = serde_json::from_str(&event.data).ok(),
                _ => {
                    self.tally.deliver(event.is_one().into(), event.bytes.len() as u64);
                    show(&event.bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Promises what keeps the answer coming; why it comes no further, if it cannot.
    async fn supply(&mut self, page: &Page) -> Result<Option<Stop>, FetchError> {
        if self.tally.step() == 0 && !self.purse.supplies {
            return Ok(None);
        }
        self.add_ahead(page).await?;
        loop {
            if let Some(total) = self.tally.supply(self.standing()) {
                self.give(total, page).await?;
            }
            match self.tally.is_used_up(self.standing()) {
                Some(Stop::Deposit { .. }) if self.add(page).await? => {}
                stop => return Ok(stop),
            }
        }
    }

    /// Gives the payee this total, on a connection of its own.
    ///
    /// # Errors
    ///
    /// [`FetchError`]. What was promised is kept, and is given again.
    pub async fn give(&mut self, total: u128, page: &Page) -> Result<(), FetchError> {
        if self.purse.by_ticks && total > self.standing().signed {
            match self.tick_up_to(total, page).await {
                // Less than a tick is left of the deposit: a voucher gives it.
                Err(FetchError::Payer(PayerError::Refused(PayRefused::BeyondDeposit { .. }))) => {}
                ticked => return ticked,
            }
        }
        let voucher = self.promise_total(total).await?;
        self.submit(Method::HEAD, &payload::voucher(&voucher, false), page).await
    }

    /// Sends a payload that wants no page; a challenge that expired is asked for anew.
    pub(super) async fn submit(&mut self, method: Method, payload: &Value, page: &Page) -> Result<(), FetchError> {
        self.submit_within(MOST_TRIES, method, payload, page).await
    }

    pub(super) async fn submit_within(
        &mut self,
        most_tries: u32,
        method: Method,
        payload: &Value,
        page: &Page,
    ) -> Result<(), FetchError> {
        let (mut pause, mut tries) = (PAUSE, 1);
        loop {
            let is_last = tries == most_tries;
            match self.ask(page, method.clone(), payload, None).await {
                Err(error) if is_last || is_silent(&error) => return Err(error),
                Err(_) => {}
                Ok(response) if response.status().is_success() => return self.took(&response),
                Ok(response) => {
                    let refused = self.refused(response).await?;
                    if is_last || !refused.may_go_on {
                        return Err(refused.into_error());
                    }
                }
            }
            sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }

    /// Has the payee close the channel; the transaction, as it says. All that was not spent comes back.
    ///
    /// # Errors
    ///
    /// [`FetchError`]: the channel stays.
    pub async fn close(&mut self, page: &Page) -> Result<Option<String>, FetchError> {
        let Standing { signed, deposit } = self.standing();
        // Less than was promised gives the payee nothing new.
        let total = self.kept().spent.min(signed);
        let voucher = self.folder.payer.again(self.channel, total, &self.purse.signer.secret());
        let voucher = voucher.expect("it is no more than was promised");
        // By the page's own method: it is answered with words.
        let closed = self.submit(page.method.clone(), &payload::voucher(&voucher, true), page).await;
        match closed {
            // What was claimed everybody can read: that it is the payer who closes is shown by a unit more.
            Err(FetchError::Refused { .. }) if signed < deposit => {
                let voucher = self.promise_total(signed + 1).await?;
                self.submit(page.method.clone(), &payload::voucher(&voucher, true), page).await?;
            }
            closed => drop(closed?),
        }
        self.folder.channels.forget(self.channel);
        self.folder.keep()?;
        let reference = self.receipt.as_ref().and_then(|receipt| receipt["reference"].as_str());
        Ok(reference.map(bridge::foreign::shown))
    }

    // ------------------------------------------------------------------ promises

    /// A voucher of at least this total: a new one as far as it has to be, the last one where that covers it.
    async fn promise(&mut self, required: u128, page: &Page) -> Result<SignedVoucher, FetchError> {
        let signed = self.standing().signed;
        let total = if required <= signed {
            signed
        } else {
            match self.need(required, page).await {
                Err(FetchError::Stopped(stop)) => return Err(self.stopped(stop)),
                needed => needed?,
            }
        };
        self.promise_total(total).await
    }

    pub(super) async fn promise_total(&mut self, total: u128) -> Result<SignedVoucher, FetchError> {
        let (Standing { signed, deposit }, secret) = (self.standing(), self.purse.signer.secret());
        let wanted = total.saturating_sub(signed);
        if wanted == 0 {
            let voucher = self.folder.payer.again(self.channel, signed, &secret);
            return Ok(voucher.expect("it was promised"));
        }
        let least = self.demand.least_delta.min(deposit.saturating_sub(signed));
        let amount = wanted.max(least);
        let free = self.purse.most.saturating_sub(self.tally.promised());
        if amount > free {
            return Err(Stop::Limit { promised: self.tally.promised(), most: self.purse.most }.into());
        }
        // The stream of ticks, if there is one, ends with it.
        self.ticks = None;
        let (request, payer) = (random(), &self.folder.payer);
        let voucher = payer.pay(self.channel, &self.endpoint(), amount, request, &secret, now())?.await?;
        // No signed receipt is waited for: a payee of sessions gives the draft's.
        payer.give_up(self.channel, request)?;
        self.tally.promise(amount);
        Ok(voucher)
    }

    // ------------------------------------------------------------------ the payee's words

    fn took(&mut self, response: &Response<Incoming>) -> Result<(), FetchError> {
        let header = response.headers().get(mpp::RECEIPT).and_then(|value| value.to_str().ok());
        let receipt: Option<Value> = header.and_then(decoded).and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(said) = receipt.as_ref().and_then(|receipt| number(receipt, "spent"))
            && self.tally.is_untouched()
        {
            let standing = self.standing();
            self.tally.begin(said, standing)?;
        }
        self.receipt = receipt.or(self.receipt.take());
        self.keep_signed(response);
        self.is_open = true;
        Ok(())
    }

    /// Keeps the payee's signed receipt, if it gives one: what it claims beyond it can be shown to others. One over more than was promised is no receipt of ours.
    fn keep_signed(&self, response: &Response<Incoming>) {
        let header = response.headers().get(SIGNED_RECEIPT).and_then(|value| value.to_str().ok());
        let json = header.and_then(decoded);
        let Some(signed) = json.and_then(|json| serde_json::from_slice::<SignedReceipt>(&json).ok()) else { return };
        if signed.receipt.channel_id == self.channel
            && signed.receipt.highest <= self.standing().signed
            && let Err(error) = self.folder.payer.recover(signed)
        {
            tracing::warn!(%error, "the payee's receipt is not kept");
        }
    }

    /// Writes down what was delivered for the channel.
    fn settle(&mut self) -> Result<(), FetchError> {
        let signed = self.standing().signed;
        let said = self.receipt.as_ref().and_then(|receipt| number(receipt, "spent")).unwrap_or(0);
        let spent = self.tally.cost().unwrap_or(said).min(signed);
        let kept = self.folder.channels.known.get_mut(&self.channel).expect("it is known");
        kept.spent = kept.spent.max(spent);
        kept.counting = false;
        Ok(self.folder.keep()?)
    }

    pub(super) async fn refused(&mut self, response: Response<Incoming>) -> Result<Refused, FetchError> {
        let status = response.status();
        let again = if status == StatusCode::PAYMENT_REQUIRED { demand(&response, &self.purse).ok() } else { None };
        let body = read(response.into_body(), MOST_ANSWER_BYTES, self.upstream.patience).await.unwrap_or_default();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.recall(&said)?;
        let required = number(&said, "requiredCumulative");
        let is_new = again.is_some();
        if let Some(again) = again.filter(|again| again.payee == self.demand.payee) {
            self.demand = again;
        }
        let waits = status == StatusCode::CONFLICT || status.is_server_error();
        Ok(Refused {
            status,
            problem: bridge::foreign::shown(&problem(&body)),
            required,
            may_go_on: waits || is_new,
            is_new,
        })
    }

    /// Learns what was signed before the folder was lost, if the payee shows it.
    fn recall(&mut self, said: &Value) -> Result<(), FetchError> {
        let Ok(shown) = serde_json::from_value::<SignedVoucher>(said[LAST_VOUCHER].clone()) else { return Ok(()) };
        let (id, total) = (shown.voucher.channel_id, shown.voucher.cumulative_amount);
        if id != self.channel || total <= self.standing().signed {
            return Ok(());
        }
        match self.folder.payer.recall(&shown) {
            Ok(()) => {
                tracing::info!(channel = %id, total, "the server shows what was signed before: that is promised already");
                self.tally.remember(total);
                Ok(())
            }
            Err(PayerError::Evidence(error)) => {
                tracing::warn!(channel = %id, %error, "the server shows a voucher that is none of ours");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn ask(
        &self,
        page: &Page,
        method: Method,
        payload: &Value,
        key: Option<&str>,
    ) -> Result<Response<Incoming>, FetchError> {
        let source = mpp::source(self.purse.chain_id, self.purse.account.address());
        let value = payload::credential(&self.demand.challenge, payload, &source);
        let field = if self.demand.challenge.header.is_some() { mpp::PAYMENT_AUTHORIZATION } else { "authorization" };
        Ok(self.upstream.ask(request(page, method, Some((field, &value)), key)).await?)
    }

    fn payload(&self, voucher: &SignedVoucher) -> Value {
        let kept = self.kept();
        match &kept.opening {
            Some(opening) if !self.is_open && opening.valid_before > now() => {
                payload::open(&opening.deposit(kept.deposit), opening.salt, None, voucher)
            }
            _ => payload::voucher(voucher, false),
        }
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.folder.channels.known[&self.channel]
    }

    /// Limits of the payer's file are by payee, so one name does.
    pub(super) fn endpoint(&self) -> String {
        format!("{:x}", self.demand.payee)
    }
}

/// Why a payment was not taken.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    problem: String,
    /// The total that it wants.
    required: Option<u128>,
    pub(super) may_go_on: bool,
    /// It named a challenge to answer.
    is_new: bool,
}

impl Refused {
    pub(super) fn into_error(self) -> FetchError {
        let Self { status, problem, .. } = self;
        if status.is_server_error() || status == StatusCode::CONFLICT {
            return FetchError::NotServed { status, problem };
        }
        // The answer to HEAD has no words.
        let problem =
            if problem.is_empty() { format!("it answered {status}") } else { format!("{problem} ({status})") };
        FetchError::Refused { problem }
    }
}

fn request(page: &Page, method: Method, paid: Option<(&str, &str)>, key: Option<&str>) -> Request<Full<Bytes>> {
    let body = if method == Method::HEAD { Vec::new() } else { page.body.clone() };
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = page.url.clone();
    *request.headers_mut() = page.headers.clone();
    let mut set = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            request.headers_mut().insert(name, value);
        }
    };
    set("accept-payment", "evm/session");
    if let Some((field, value)) = paid {
        set(field, value);
    }
    if let Some(key) = key {
        set("idempotency-key", key);
    }
    request
}

/// Without payment; a server that is just being started is waited for.
async fn ask_first(upstream: &Upstream, page: &Page) -> Result<Response<Incoming>, FetchError> {
    let (mut pause, mut tries) = (PAUSE, 1);
    loop {
        match upstream.ask(request(page, page.method.clone(), None, None)).await {
            Err(NoAnswer::Unreached(_) | NoAnswer::Failed(_)) if tries < MOST_TRIES => {}
            answered => return Ok(answered?),
        }
        sleep(pause).await;
        (pause, tries) = (pause * 2, tries + 1);
    }
}

/// A page that there is not, or that wants something else than money: passed on as it came, and not charged. What a paywall refuses has words of its own (RFC 9457).
fn is_pages_own(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status().is_client_error()
        && response.status() != StatusCode::PAYMENT_REQUIRED
        && !kind.trim_start().to_ascii_lowercase().starts_with("application/problem+json")
}

/// Whether an answer comes event by event.
#[must_use]
pub fn is_event_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// It had its time: another try takes as long again. One that cannot be reached may be back in a moment.
pub(super) fn is_silent(error: &FetchError) -> bool {
    matches!(error, FetchError::NoAnswer(NoAnswer::TooSlow(_)))
}

fn number(said: &Value, member: &str) -> Option<u128> {
    said[member].as_str()?.parse().ok()
}

pub(super) fn unread(why: &str) -> FetchError {
    FetchError::Refused { problem: format!("it answered with what cannot be read: {}", bridge::foreign::shown(why)) }
}
