//! Answers that are paid for as they come: event by event, or byte by byte.
//!
//! ```text
//!   upstream --part--> events, whole --> as many as the money is good for are spent (on disk), then given
//!                          ^                    |  none: `payment-need-voucher`, and nothing is read of the upstream
//!                          +---- more money ----+
//!                                               |  none comes: `payment-receipt`, the end
//! ```
//! At most one part of the upstream's answer is held back, and one event. Bytes that are no events are given as far as the money goes; if the rest is not paid for, the answer
//! breaks off, so that nobody takes it for whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER};
use payments::payee::Refused;
use payments::payee::sessions::Balance;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::desk::now;
use super::super::passing::clean;
use super::spend::{Asked, Reserved, SpendRefused, with_receipt};
use super::state::{Bell, Sessions, lock};
use crate::io::http::{Body, Failure, rest, value};
use crate::meter::{Meter, Unit};
use crate::mpp;
use crate::refusal::Refusal;
use crate::session::receipt::NeedVoucher;
use crate::session::refused::{SessionRefused, Why};
use crate::sse::{Event, Events, event};

/// A place among the metered answers, and the bell of its channel.
pub struct Place {
    sessions: Arc<Sessions>,
    id: B256,
    payer: Address,
    rings: Arc<Notify>,
}

impl Sessions {
    pub(super) fn begin_metered(self: &Arc<Self>, id: B256) -> Result<Place, Refusal> {
        let payer = self.who(id).ok_or_else(|| SessionRefused::new(id, Why::NotFound))?.payer;
        if !lock(&self.metered).enter(payer) {
            return Err(SessionRefused::new(id, Why::TooManyAnswers).into());
        }
        let mut bells = self.bells();
        let bell = bells.entry(id).or_insert_with(|| Bell { rings: Arc::new(Notify::new()), answers: 0 });
        bell.answers += 1;
        Ok(Place { sessions: self.clone(), id, payer, rings: bell.rings.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.sessions.metered).leave(self.payer);
        let mut bells = self.sessions.bells();
        if let Some(bell) = bells.get_mut(&self.id) {
            bell.answers -= 1;
            if bell.answers == 0 {
                bells.remove(&self.id);
            }
        }
    }
}

/// Passes an answer on as it is paid for.
///
/// # Errors
///
/// It cannot be metered.
pub fn pass_on(
    response: Response<Incoming>,
    asked: Asked,
    reserved: Reserved,
    place: Place,
) -> Result<Response<Body>, Refusal> {
    let sessions = place.sessions.clone();
    let patience = sessions.passing.patience();
    let is_good = response.status().is_success() || response.status().is_redirection();
    let (mut parts, body) = clean(response);
    if !is_good {
        return Ok(Response::from_parts(parts, rest(Vec::new(), body, patience)));
    }
    let is_events = is_events(&parts.headers);
    if is_events && parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let why = "its events are compressed, though that was not asked for".to_owned();
        return Err(Refusal::SessionUpstreamFailed { why });
    }
    // It may end earlier, and events of ours come between.
    parts.headers.remove(CONTENT_LENGTH);
    let (sender, receiver) = mpsc::channel(1);
    let meter = asked.meter.clone().unwrap_or(Meter { unit: Unit::Event, at_least: 1 });
    let ends_with_trailers = asked.has_trailers && !is_events;
    if ends_with_trailers {
        parts.headers.insert(TRAILER, HeaderValue::from_static(mpp::RECEIPT));
    }
    sessions.desk.count(|counters| counters.paid("session", alloy_primitives::U256::ZERO));
    let pump = Pump {
        meter,
        reserved,
        place,
        patience: sessions.settings.patience,
        upstream_patience: patience,
        count: 0,
        charged: 0,
        last: sessions.payee.balance(asked.standing.channel),
        ends_with_trailers,
        sender,
        asked: asked.clone(),
    };
    let parts_of =
        futures::stream::unfold(
            receiver,
            |mut receiver| async move { receiver.recv().await.map(|part| (part, receiver)) },
        );
    let response = Response::from_parts(parts, StreamBody::new(parts_of).boxed_unsync());
    let response = with_receipt(response, &sessions, &asked, Some(0), None);
    tokio::spawn(pump.run(body, is_events));
    Ok(response)
}

fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// One answer on its way.
struct Pump {
    asked: Asked,
    meter: Meter,
    reserved: Reserved,
    place: Place,
    patience: Duration,
    upstream_patience: Duration,
    /// Of what is metered, what was given.
    count: u64,
    charged: u128,
    last: Option<Balance>,
    ends_with_trailers: bool,
    sender: mpsc::Sender<Result<Frame<Bytes>, Failure>>,
}

/// Why no more is given.
enum End {
    /// Nobody reads any more.
    Gone,
    /// Nobody pays any more.
    Unpaid,
    Failed(Failure),
}

/// Something to be given as a whole.
struct Piece {
    bytes: Vec<u8>,
    measure: u64,
}

impl Pump {
    async fn run(mut self, body: Incoming, is_events: bool) {
        let given = if is_events { self.give_events(body).await } else { self.give_bytes(body).await };
        let sender = self.sender.clone();
        match given {
            Ok(()) => self.tell_end(is_events).await,
            Err(End::Unpaid) if is_events => self.tell_end(true).await,
            Err(End::Unpaid) => {
                let _ = sender.send(Err("the rest is not paid for".into())).await; // Whoever left needs not be told.
            }
            Err(End::Failed(failure)) => {
                let _ = sender.send(Err(failure)).await; // The same.
            }
            Err(End::Gone) => {}
        }
    }

    async fn give_events(&mut self, mut body: Incoming) -> Result<(), End> {
        let mut events = Events::default();
        while let Some(data) = self.next(&mut body).await? {
            let whole = events.push(&data).map_err(|error| End::Failed(error.into()))?;
            // An upstream that asks for money, or gives receipts, does so in this paywall's name.
            let passed = whole.into_iter().filter(|event| !event.is_of_seller());
            let mut pieces: VecDeque<Piece> = passed.map(|event| self.piece(event)).collect();
            while !pieces.is_empty() {
                self.give_some(&mut pieces).await?;
            }
        }
        let mut rest: VecDeque<Piece> = events.rest().map(|event| self.piece(event)).into_iter().collect();
        while !rest.is_empty() {
            self.give_some(&mut rest).await?;
        }
        Ok(())
    }

    fn piece(&self, event: Event) -> Piece {
        let measure = if self.meter.unit == Unit::Event {
            u64::from(event.is_one())
        } else {
            u64::try_from(event.bytes.len()).unwrap_or(u64::MAX)
        };
        Piece { bytes: event.bytes, measure }
    }

    /// Gives as many pieces as the money is good for, or waits until it is good for the first.
    async fn give_some(&mut self, pieces: &mut VecDeque<Piece>) -> Result<(), End> {
        let money = self.money()?;
        let (mut bytes, mut more) = (Vec::new(), 0u64);
        while let Some(piece) = pieces.front() {
            if self.cost_of(more.saturating_add(piece.measure)) > money {
                break;
            }
            more = more.saturating_add(piece.measure);
            bytes.extend(pieces.pop_front().map(|piece| piece.bytes).unwrap_or_default());
        }
        if !bytes.is_empty() {
            if self.spend(more).await? {
                return self.send(bytes).await;
            }
            // Another answer was faster: what is there is looked at anew.
            pieces.push_front(Piece { bytes, measure: more });
            return Ok(());
        }
        match pieces.front() {
            Some(piece) => self.wait_for(self.cost_of(piece.measure), true).await,
            None => Ok(()),
        }
    }

    async fn give_bytes(&mut self, mut body: Incoming) -> Result<(), End> {
        let by_event = self.meter.unit == Unit::Event;
        if by_event {
            // An answer that has no events counts as one.
            while !self.spend(1).await? {
                self.wait_for(self.cost_of(1), false).await?;
            }
        }
        while let Some(mut data) = self.next(&mut body).await? {
            while !by_event && !data.is_empty() {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let money = self.money()?;
                let more = self.meter.affordable(self.asked.price, self.count, self.charged, money, length);
                if more == 0 {
                    self.wait_for(self.cost_of(1), false).await?;
                } else if self.spend(more).await? {
                    let given = data.split_to(usize::try_from(more).unwrap_or(usize::MAX).min(data.len()));
                    self.send(given).await?;
                }
            }
            if !data.is_empty() {
                self.send(data).await?;
            }
        }
        Ok(())
    }

    /// What so much more costs.
    fn cost_of(&self, more: u64) -> u128 {
        self.meter.cost(self.asked.price, self.count.saturating_add(more)).saturating_sub(self.charged)
    }

    /// What can be spent now.
    fn money(&mut self) -> Result<u128, End> {
        self.sessions().can_claim().map_err(|refusal| End::Failed(refusal.to_string().into()))?;
        let balance = self.sessions().payee.balance(self.asked.standing.channel).ok_or(End::Unpaid)?;
        self.last = Some(balance);
        Ok(balance.available.saturating_add(self.reserved.amount))
    }

    /// Spends what so much more costs: on disk when this returns. False: it is not there any more.
    async fn spend(&mut self, more: u64) -> Result<bool, End> {
        let cost = self.cost_of(more);
        if cost > 0 {
            match self.reserved.spend(cost, B256::ZERO).await {
                Ok(_) => {}
                Err(SpendRefused::Books(Refused::Insufficient { .. })) => return Ok(false),
                Err(SpendRefused::Books(_)) => return Err(End::Unpaid),
                Err(SpendRefused::Other(refusal)) => return Err(End::Failed(refusal.to_string().into())),
            }
        }
        self.count = self.count.saturating_add(more);
        self.charged = self.charged.saturating_add(cost);
        Ok(true)
    }

    /// Until so much can be spent; for as long as there is patience.
    async fn wait_for(&mut self, cost: u128, is_events: bool) -> Result<(), End> {
        let until = Instant::now() + self.patience;
        let rings = self.place.rings.clone();
        let mut told = None;
        self.sessions().count(|counters| counters.paused += 1);
        loop {
            let rung = rings.notified();
            tokio::pin!(rung);
            // What comes from now on is heard.
            rung.as_mut().enable();
            if self.money()? >= cost {
                return Ok(());
            }
            if let (true, Some(balance)) = (is_events, self.last) {
                let least = self.sessions().channels().least_delta;
                let cost = cost.saturating_sub(self.reserved.amount);
                let need = NeedVoucher::new(self.asked.standing.channel, &balance, cost, least);
                if told.replace(need) != Some(need) {
                    let data = serde_json::to_string(&need).expect("text and numbers always serialise");
                    self.send(event("payment-need-voucher", &data)).await?;
                }
            }
            tokio::select! {
                () = rung => {}
                () = sleep_until(until) => return Err(End::Unpaid),
                () = self.sender.closed() => return Err(End::Gone),
            }
        }
    }

    async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, End> {
        loop {
            let frame = tokio::select! {
                frame = timeout(self.upstream_patience, body.frame()) => frame,
                () = self.sender.closed() => return Err(End::Gone),
            };
            match frame {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => return Err(End::Failed(error.into())),
                Err(elapsed) => return Err(End::Failed(elapsed.into())),
            }
        }
    }

    async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), End> {
        self.sender.send(Ok(Frame::data(bytes.into()))).await.map_err(|_| End::Gone)
    }

    /// The receipt of the whole answer.
    async fn tell_end(mut self, is_events: bool) {
        let _ = self.money(); // A channel that was closed meanwhile has what was seen last.
        let Some(balance) = self.last else { return };
        let units = self.meter.units(self.count);
        let receipt = self.asked.standing.receipt(&balance, Some(units), None, now());
        let frame = if is_events {
            Frame::data(Bytes::from(event("payment-receipt", &receipt.json())))
        } else if self.ends_with_trailers {
            let mut trailers = HeaderMap::new();
            trailers.extend(value(&receipt.encode()).map(|value| (HeaderName::from_static(mpp::RECEIPT), value)));
            Frame::trailers(trailers)
        } else {
            return;
        };
        let _ = self.sender.send(Ok(frame)).await; // Whoever left needs no receipt.
    }

    fn sessions(&self) -> Arc<Sessions> {
        self.place.sessions.clone()
    }
}
