//! Ticks: given in the order of their numbers, at a place of their own, each promised on disk before.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use payments::io::payer::OpenStream;
use payments::stream::MAX_TICKS;
use tokio::time::sleep;

use super::purse::PayersChain;
use super::session::{MOST_ANSWER_BYTES, MOST_TRIES, PAUSE, Session, unread};
use super::{FetchError, Page, now, problem};
use crate::io::http::read;
use crate::io::upstream::NoAnswer;
use crate::payer::payload;
use crate::payer::tally::Stop;

/// Ticks that go at once.
const MOST_TICKS_AT_ONCE: u128 = 256;

/// What a payee answers to ticks.
#[derive(serde::Deserialize)]
struct TicksTaken {
    ticks: u32,
}

impl<C: PayersChain> Session<C> {
    pub(super) async fn tick_up_to(&mut self, total: u128, page: &Page) -> Result<(), FetchError> {
        while self.standing().signed < total {
            if self.ticks.is_none() {
                self.begin_ticks(page).await?;
            }
            let Some(stream) = self.ticks.clone() else { continue };
            let terms = stream.signed.terms;
            let left = self.folder.payer.streaming(self.channel).map_or(0, |streaming| streaming.left());
            if left == 0 {
                self.ticks = None;
                continue;
            }
            let lacks = (total - self.standing().signed).div_ceil(terms.tick_amount.max(1));
            let count = u32::try_from(lacks.min(MOST_TICKS_AT_ONCE)).unwrap_or(1).min(left);
            let amount = terms.tick_amount.saturating_mul(count.into());
            if amount > self.purse.most.saturating_sub(self.tally.promised()) {
                return Err(Stop::Limit { promised: self.tally.promised(), most: self.purse.most }.into());
            }
            let ticks = self.folder.payer.give(&stream, count, now())?.given(&stream).await?;
            self.tally.promise(amount);
            let bytes: Vec<u8> = ticks.iter().flat_map(|tick| tick.tick.0).collect();
            self.send_ticks(&stream, bytes, page).await?;
        }
        Ok(())
    }

    /// Opens a stream. What an earlier command promised by ticks, and may not have arrived, the voucher with which this one asked covers.
    async fn begin_ticks(&mut self, page: &Page) -> Result<(), FetchError> {
        let (price, secret) = (self.demand.price.max(1), self.purse.signer.secret());
        let payer = &self.folder.payer;
        payer.end_stream(self.channel);
        let stream = payer.open_stream(self.channel, &self.endpoint(), price, MAX_TICKS, &secret)?.signed().await?;
        self.submit(Method::HEAD, &payload::stream(&stream.signed), page).await?;
        self.ticks = Some(stream);
        Ok(())
    }

    /// Posts ticks in the order of their numbers; the last one that the payee has.
    async fn send_ticks(&self, stream: &OpenStream, bytes: Vec<u8>, page: &Page) -> Result<u32, FetchError> {
        let (channel, root) = (self.channel, stream.signed.terms.root);
        let target = format!("/.well-known/causeway-ticks/{channel}/{root}");
        let mut parts = page.url.clone().into_parts();
        parts.path_and_query = target.parse().ok();
        let url = hyper::Uri::from_parts(parts).map_err(|error| unread(&error.to_string()))?;
        let (mut pause, mut tries) = (PAUSE, 1);
        loop {
            let mut request = Request::new(Full::new(Bytes::from(bytes.clone())));
            (*request.method_mut(), *request.uri_mut()) = (Method::POST, url.clone());
            let why = match self.upstream.ask(request).await {
                Ok(response) => {
                    let status = response.status();
                    let body =
                        read(response.into_body(), MOST_ANSWER_BYTES, self.upstream.patience).await.unwrap_or_default();
                    if status.is_success() {
                        let taken: TicksTaken =
                            serde_json::from_slice(&body).map_err(|error| unread(&error.to_string()))?;
                        return Ok(taken.ticks);
                    }
                    let problem = bridge::foreign::shown(&problem(&body));
                    if !status.is_server_error() && status != StatusCode::CONFLICT {
                        return Err(FetchError::Refused { problem });
                    }
                    FetchError::Refused { problem }
                }
                Err(error @ NoAnswer::TooSlow(_)) => return Err(error.into()),
                Err(error) => error.into(),
            };
            if tries == MOST_TRIES {
                return Err(why);
            }
            sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }
}
