//! Money that a request has for itself, and what is told of it.

use std::sync::Arc;

use alloy_primitives::B256;
use hyper::Response;
use hyper::header::HeaderName;
use payments::payee::Refused;
use payments::receipt::SignedReceipt;

use super::super::desk::now;
use super::super::passing::keep_private;
use super::state::Sessions;
use crate::io::http::{Body, value};
use crate::meter::{Meter, Unit};
use crate::mpp;
use crate::refusal::Refusal;
use crate::session::receipt::Standing;
use crate::text::base64url;

/// The payee's signed receipt for what was spent (`causeway-payments`).
const SIGNED_RECEIPT: HeaderName = HeaderName::from_static("causeway-receipt");

/// What is answered, and what it costs.
#[derive(Clone)]
pub struct Asked {
    pub standing: Standing,
    /// Of a unit, in wei.
    pub price: u128,
    pub meter: Option<Meter>,
    /// By its `Idempotency-Key`; zero without.
    pub name: B256,
    pub has_trailers: bool,
}

/// Money that one request has for itself until it is spent.
pub struct Reserved {
    sessions: Arc<Sessions>,
    pub id: B256,
    pub amount: u128,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.sessions.payee.release(self.id, self.amount);
            self.sessions.ring(self.id);
        }
    }
}

impl Reserved {
    /// For whoever has just shown a voucher that nobody else has, or opened a stream.
    ///
    /// # Errors
    ///
    /// There is not so much; a payer that lost what it kept is shown what it signed.
    pub fn take(sessions: &Arc<Sessions>, id: B256, amount: u128) -> Result<Self, Refusal> {
        if let Err(refused) = sessions.payee.reserve(id, amount, now()) {
            let last = sessions.payee.best_voucher(id).filter(|_| matches!(refused, Refused::Insufficient { .. }));
            return Err(match (sessions.short(id, &refused, amount), last) {
                (Refusal::Session(short), Some(last)) => short.showing(last).into(),
                (short, _) => short,
            });
        }
        Ok(Self { sessions: sessions.clone(), id, amount })
    }

    /// Spends so much, of which this may be a part: on disk when this returns.
    pub async fn spend(&mut self, amount: u128, name: B256) -> Result<SignedReceipt, SpendRefused> {
        let spent = self.sessions.payee.spend(self.id, self.amount, amount, name, now());
        let answer = spent.map_err(|error| match error {
            payments::io::payee::PayeeError::Refused(refused) => SpendRefused::Books(refused),
            error => SpendRefused::Other(self.sessions.refused(self.id, error)),
        })?;
        let left_over = self.amount > amount;
        self.amount = 0;
        self.sessions.count(|counters| counters.spent_wei = counters.spent_wei.saturating_add(amount));
        if left_over {
            self.sessions.ring(self.id);
        }
        answer.await.map_err(|_| SpendRefused::Other(Refusal::NotKept))
    }
}

/// Why nothing was spent.
pub enum SpendRefused {
    Books(Refused),
    Other(Refusal),
}

impl Asked {
    /// What must be there before the upstream is asked.
    pub fn least_cost(&self) -> u128 {
        self.meter.as_ref().map_or(self.price, |meter| meter.least_cost(self.price))
    }

    /// Whether it is paid for as it comes.
    pub fn is_streamed(&self) -> bool {
        matches!(self.meter.as_ref().map(|meter| &meter.unit), Some(Unit::Byte | Unit::Kilobyte | Unit::Event))
    }
}

/// An answer with where the channel stands now.
pub fn with_receipt(
    mut response: Response<Body>,
    sessions: &Sessions,
    asked: &Asked,
    units: Option<u64>,
    signed: Option<&SignedReceipt>,
) -> Response<Body> {
    let headers = response.headers_mut();
    keep_private(headers);
    if let Some(balance) = sessions.payee.balance(asked.standing.channel) {
        let receipt = asked.standing.receipt(&balance, units, None, now());
        headers.extend(value(&receipt.encode()).map(|value| (HeaderName::from_static(mpp::RECEIPT), value)));
    }
    if let Some(signed) = signed {
        let json = serde_json::to_vec(signed).expect("text and numbers always serialise");
        headers.extend(value(&base64url(&json)).map(|value| (SIGNED_RECEIPT, value)));
    }
    response
}
