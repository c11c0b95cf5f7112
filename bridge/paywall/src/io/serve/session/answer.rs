//! One request that a session pays for, from its credential to its answer.

use std::sync::Arc;

use alloy_primitives::{Address, B256, FixedBytesSliceExt as _, keccak256};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use payments::io::journal::Ticket;
use payments::io::payee::PayeeError;
use payments::payee::Refused;
use payments::payee::streams::StreamOffer;
use payments::receipt::SignedReceipt;
use tokio::time::timeout;

use super::super::desk::now;
use super::super::passing::{Paid, Passing, Whole, answered, clean, key};
use super::spend::{Asked, Reserved, SpendRefused, with_receipt};
use super::state::{Sessions, lock};
use super::{fund, metered};
use crate::answers::{Answer, MOST_BYTES};
use crate::book::Id;
use crate::io::http::{Body, Failure, rest, value, whole};
use crate::meter::Unit;
use crate::mpp;
use crate::price_list::Entry;
use crate::refusal::Refusal;
use crate::session::credential::{Credential, Proof, Steps};
use crate::session::receipt::{NeedVoucher, SessionReceipt, Standing};
use crate::session::refused::{SessionRefused, Why};

/// How many units an answer has, as its upstream counts them: a field of its head, or behind its body.
pub const UNITS: HeaderName = HeaderName::from_static("causeway-units");
/// Requests of which that is known.
const MOST_AGAIN: usize = 4_096;

/// A request that nobody else with its name answers at the moment.
struct InHand {
    sessions: Arc<Sessions>,
    of: (B256, B256),
}

/// What a credential did.
struct Taken {
    ticket: Ticket,
    /// Whether it shows that its payer asks for something.
    buys: bool,
}

impl Drop for InHand {
    fn drop(&mut self) {
        lock(&self.sessions.in_hand).remove(&self.of);
    }
}

/// Serves a request by its credential.
///
/// # Errors
///
/// Whatever keeps it from being paid, or the upstream from answering.
pub async fn serve(
    sessions: &Arc<Sessions>,
    request: Whole,
    entry: &Entry,
    credential: Credential,
) -> Result<Response<Body>, Refusal> {
    let till = &sessions.till;
    till.check_session(&credential.challenge, sessions.channels(), entry, now())?;
    let (source, steps) = (credential.source(till.token.chain_id)?, credential.steps()?);
    let standing = Standing {
        channel: steps.channel,
        challenge_id: credential.challenge.id.clone(),
        chain_id: till.token.chain_id,
    };
    if steps.is_close
        && let Some(receipt) = fund::closed_before(sessions, steps.channel)
    {
        return Ok(told(&receipt));
    }
    let taken = take(sessions, &steps, source).await?;
    if let (true, Proof::Voucher(voucher)) = (steps.is_close, &steps.proof) {
        if !taken.buys {
            // Else whoever reads a claim could close the channel of its payer.
            return Err(published(sessions, steps.channel, 0));
        }
        return fund::close(sessions, voucher, &standing).await.map(|receipt| told(&receipt));
    }
    let price: u128 = entry.amount.saturating_to();
    let id = steps.channel;
    let balance = || sessions.payee.balance(id).ok_or_else(|| Refusal::from(SessionRefused::new(id, Why::NotFound)));
    let only_told = matches!(steps.proof, Proof::None) || (matches!(steps.proof, Proof::Stream(_)) && !taken.buys);
    if request.parts.method == Method::HEAD || only_told {
        taken.ticket.await.map_err(|_| Refusal::NotKept)?;
        return Ok(told(&standing.receipt(&balance()?, None, None, now())));
    }
    let has_trailers = request.parts.headers.get("te").is_some_and(|te| {
        te.to_str().is_ok_and(|te| te.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    let key = key(&request.parts.headers);
    let name = key.map_or(B256::ZERO, |key| keccak256([id, key, request.asked.purpose()].as_flattened()));
    let asked = Asked { standing, price, meter: entry.meter.clone(), name, has_trailers };
    if !taken.buys {
        return Err(published(sessions, id, asked.least_cost()));
    }
    sessions.can_claim()?;
    // A client that leaves does not end what the upstream was asked for: it is paid all the same.
    let sessions = sessions.clone();
    let answer = tokio::spawn(async move { answer(&sessions, request, asked).await });
    answer.await.map_err(|_| Refusal::UpstreamFailed { why: "its answer was not passed on".to_owned() })?
}

/// A voucher that everybody can read proves nothing: whoever signs asks by a larger one.
fn published(sessions: &Sessions, id: B256, cost: u128) -> Refusal {
    let Some(balance) = sessions.payee.balance(id) else { return SessionRefused::new(id, Why::NotFound).into() };
    let need = NeedVoucher::new(id, &balance, cost, sessions.channels().least_delta);
    let why = if balance.available < cost {
        Why::Insufficient { available: balance.available, want: cost }
    } else {
        Why::Published
    };
    SessionRefused::new(id, why).standing(balance, need.required_cumulative).into()
}

/// Does what a credential asks for, but for serving its request.
async fn take(sessions: &Arc<Sessions>, steps: &Steps, source: Option<Address>) -> Result<Taken, Refusal> {
    let id = steps.channel;
    if let Some(funding) = &steps.funding {
        fund::fund(sessions, steps, funding.clone(), source).await?;
    } else {
        sessions.find(id).await?;
    }
    let refused = |error: PayeeError| sessions.refused(id, error);
    match &steps.proof {
        Proof::None => {
            sessions.ring(id);
            Ok(Taken { ticket: sessions.payee.durable(), buys: false })
        }
        Proof::Voucher(voucher) => {
            let (ticket, is_new) =
                sessions.payee.credit(voucher, sessions.settings.channels.least_delta, now()).map_err(refused)?;
            if is_new {
                sessions.count(|counters| counters.vouchers += 1);
                sessions.ring(id);
            }
            let total = voucher.voucher.cumulative_amount;
            Ok(Taken { ticket, buys: sessions.payee.balance(id).is_some_and(|balance| !balance.public.has(total)) })
        }
        Proof::Stream(stream) => {
            let is_new = !sessions.payee.has_stream(id, stream.terms.root);
            let domain = &sessions.settings.channels.domain;
            let offer =
                StreamOffer { chain_id: domain.chain_id(), contract: domain.contract(), stream: stream.clone() };
            let ticket = sessions.payee.open_stream(&offer, now()).map_err(refused)?;
            // Of one that is open its terms may be public by a claim.
            Ok(Taken { ticket, buys: is_new })
        }
    }
}

async fn answer(sessions: &Arc<Sessions>, request: Whole, asked: Asked) -> Result<Response<Body>, Refusal> {
    let id = asked.standing.channel;
    if asked.is_streamed() {
        let place = sessions.begin_metered(id)?;
        let reserved = Reserved::take(sessions, id, asked.least_cost())?;
        let response = ask(sessions, request, id).await?;
        return metered::pass_on(response, asked, reserved, place);
    }
    let _in_hand = if asked.name.is_zero() { None } else { Some(in_hand(sessions, id, asked.name)?) };
    let answer_id = Id { payer: Address::ZERO, nonce: asked.name };
    let kept = sessions.desk.answers().find(answer_id).cloned();
    match (sessions.payee.is_paid(id, asked.name), kept) {
        (true, Some(kept)) => {
            sessions.desk.count(|counters| counters.repeated());
            return Ok(with_receipt(answered(kept), sessions, &asked, None, None));
        }
        (true, None) => again(sessions, asked.name)?,
        (false, Some(held)) if held.owed > 0 => return pay_rest(sessions, &asked, answer_id, held).await,
        (false, _) => {}
    }
    let is_paid = sessions.payee.is_paid(id, asked.name);
    let mut reserved = Reserved::take(sessions, id, if is_paid { 0 } else { asked.least_cost() })?;
    let response = ask(sessions, request, id).await?;
    let is_good = response.status().is_success() || response.status().is_redirection();
    let (parts, body) = clean(response);
    let begun = begin(body, sessions.passing.patience()).await.map_err(failed)?;
    if !is_good {
        return Ok(Response::from_parts(parts, begun.into_body(&sessions.passing)));
    }
    let (cost, units) = cost(&asked, &parts.headers, &begun)?;
    let keep = |owed| {
        if let (false, Begun::Whole(bytes, _)) = (asked.name.is_zero(), &begun) {
            let headers =
                parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let answer =
                Answer { status: parts.status.as_u16(), headers: headers.collect(), body: bytes.clone(), owed };
            sessions.desk.answers().keep(answer_id, answer, now());
        }
    };
    let receipt = match is_paid {
        true => None,
        false => match charge(sessions, &mut reserved, cost, asked.name).await {
            Ok(receipt) => Some(receipt),
            Err(Uncharged { refusal, spent }) => {
                if spent > 0 {
                    keep(cost - spent);
                }
                return Err(refusal);
            }
        },
    };
    if receipt.is_some() {
        sessions.desk.count(|counters| counters.paid("session", alloy_primitives::U256::from(cost)));
    }
    keep(0);
    let response = Response::from_parts(parts, begun.into_body(&sessions.passing));
    Ok(with_receipt(response, sessions, &asked, Some(units), receipt.as_ref()))
}

/// An answer that cost more than there was.
struct Uncharged {
    refusal: Refusal,
    /// What was spent for it all the same.
    spent: u128,
}

/// Spends what an answer costs. If that is more than there is, what was reserved for it is spent, for the upstream has done its work; the rest is owed.
async fn charge(
    sessions: &Arc<Sessions>,
    reserved: &mut Reserved,
    cost: u128,
    name: B256,
) -> Result<SignedReceipt, Uncharged> {
    let (id, least) = (reserved.id, reserved.amount);
    let refused = match reserved.spend(cost, name).await {
        Ok(receipt) => return Ok(receipt),
        Err(SpendRefused::Other(refusal)) => return Err(Uncharged { refusal, spent: 0 }),
        Err(SpendRefused::Books(refused)) => refused,
    };
    let is_short = matches!(refused, Refused::Insufficient { .. });
    let spent = if is_short && reserved.spend(least, B256::ZERO).await.is_ok() { least.min(cost) } else { 0 };
    Err(Uncharged { refusal: sessions.short(id, &refused, cost - spent), spent })
}

/// Gives an answer that was held back until all of it is paid.
async fn pay_rest(
    sessions: &Arc<Sessions>,
    asked: &Asked,
    answer_id: Id,
    held: Answer,
) -> Result<Response<Body>, Refusal> {
    let id = asked.standing.channel;
    let mut reserved = Reserved::take(sessions, id, held.owed)?;
    let receipt = reserved.spend(held.owed, asked.name).await.map_err(|refused| match refused {
        SpendRefused::Other(refusal) => refusal,
        SpendRefused::Books(refused) => sessions.short(id, &refused, held.owed),
    })?;
    sessions.desk.answers().paid(answer_id);
    sessions.desk.count(|counters| counters.paid("session", alloy_primitives::U256::from(held.owed)));
    Ok(with_receipt(answered(held), sessions, asked, None, Some(&receipt)))
}

/// What an answer costs, and its units.
fn cost(asked: &Asked, headers: &HeaderMap, begun: &Begun) -> Result<(u128, u64), Refusal> {
    let Some(meter) = asked.meter.as_ref().filter(|meter| matches!(meter.unit, Unit::Counted(_))) else {
        return Ok((asked.price, 1));
    };
    let counted = |headers: &HeaderMap| headers.get(UNITS).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let behind = if let Begun::Whole(_, trailers) = begun { trailers.as_ref() } else { None };
    let units: Option<u64> = counted(headers).or_else(|| counted(behind?));
    let units = units.ok_or_else(|| failed(format!("it names no number of units in {UNITS}").into()))?;
    Ok((meter.cost(asked.price, units), units))
}

async fn ask(sessions: &Arc<Sessions>, mut request: Whole, id: B256) -> Result<Response<Incoming>, Refusal> {
    // What is counted is what the upstream wrote.
    request.parts.headers.remove(ACCEPT_ENCODING);
    let paid = sessions.who(id).map(|known| Paid { payer: known.payer, by: id });
    let asked = sessions.passing.pass_on(request, paid).await;
    asked.map_err(|why| Refusal::SessionUpstreamFailed { why: why.to_string() })
}

fn failed(error: Failure) -> Refusal {
    Refusal::SessionUpstreamFailed { why: error.to_string() }
}

fn in_hand(sessions: &Arc<Sessions>, id: B256, name: B256) -> Result<InHand, Refusal> {
    let of = (id, name);
    if lock(&sessions.in_hand).insert(of) {
        Ok(InHand { sessions: sessions.clone(), of })
    } else {
        Err(Refusal::InProgress)
    }
}

/// A request that was paid, and whose answer is not kept: it was too long, or the process began anew. It is given once more.
fn again(sessions: &Sessions, name: B256) -> Result<(), Refusal> {
    let mut again = lock(&sessions.again);
    // When there are many, nobody makes room: else who asks for many could ask for each of them anew.
    if again.len() >= MOST_AGAIN || !again.insert(name) { Err(Refusal::Replayed) } else { Ok(()) }
}

/// An answer as far as it was read.
enum Begun {
    Whole(Vec<u8>, Option<HeaderMap>),
    Part(Vec<u8>, Incoming),
}

impl Begun {
    fn into_body(self, passing: &Passing) -> Body {
        match self {
            Self::Whole(bytes, _) => whole(bytes),
            Self::Part(bytes, body) => rest(bytes, body, passing.patience()),
        }
    }
}

/// Reads a body until it ends, with what is behind it, or is longer than is kept.
async fn begin(mut body: Incoming, patience: std::time::Duration) -> Result<Begun, Failure> {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while bytes.len() <= MOST_BYTES {
        let Some(frame) = timeout(patience, body.frame()).await? else { return Ok(Begun::Whole(bytes, trailers)) };
        match frame?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Begun::Part(bytes, body))
}

/// A receipt, and nothing else.
fn told(receipt: &SessionReceipt) -> Response<Body> {
    let mut response = Response::new(whole(receipt.json()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(value(&receipt.encode()).map(|value| (HeaderName::from_static(mpp::RECEIPT), value)));
    response
}
