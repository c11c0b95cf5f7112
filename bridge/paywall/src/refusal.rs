//! Why a request is not served, each with its own problem document (RFC 9457).
//!
//! `type` is one of the problem types that MPP's core draft lists, so that its clients know what to do; `code` is our own, one for each cause;
//! x402's clients read [`Refusal::x402_reason`] in their own header.

use alloy_primitives::{Address, U256};
use serde_json::{Value, json};

use crate::batch::refusal::Flaw;
use crate::session::refused::SessionRefused;
use crate::words::Words;

/// Where MPP's core draft (draft-httpauth-payment-02, "Error Codes") has its problem types.
const PROBLEMS: &str = "https://paymentauth.org/problems/";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    // ---- the request
    #[error("this resource costs {amount} wei of the token {token}")]
    PaymentRequired { amount: U256, token: Address },
    #[error("no price is set for this path")]
    NotListed,
    #[error("the path can be read in two ways: {0}")]
    AmbiguousPath(&'static str),
    #[error("the request's body is longer than the {most} bytes that are taken")]
    BodyTooLarge { most: usize },
    #[error("the request's body did not arrive in time")]
    BodyTooSlow,

    // ---- what it is paid with
    #[error("two payments in one request: send one")]
    TwoPayments,
    #[error("the payment cannot be read: {0}")]
    Malformed(String),
    #[error("the credential cannot be read: {0}")]
    MalformedCredential(String),
    #[error("{got} is not accepted here: {want} is")]
    Unsupported { got: String, want: &'static str },
    #[error("the payment is for chain {got}, this one is {want}")]
    OtherChain { got: String, want: u64 },
    #[error("the payment is in the token {got}, asked for is {want}")]
    OtherToken { got: String, want: Address },
    #[error("the payment is to {got}, the payee is {want}")]
    OtherRecipient { got: Address, want: Address },
    #[error("{got} wei are paid, the price is {want}")]
    TooLittle { got: U256, want: U256 },
    #[error("{got} wei are paid, the price is {want}: exactly that is taken")]
    TooMuch { got: U256, want: U256 },

    // ---- the challenge that it answers
    #[error(
        "what this payment answers was never issued here: repeat a challenge, or x402's `accepted`, whole and as it came"
    )]
    NeverIssued,
    #[error("this challenge was issued for another request")]
    OtherRequest,
    #[error("the body is not the one for which this challenge was issued")]
    OtherBody,
    #[error("the price has changed since this challenge was issued")]
    PriceChanged,
    #[error("this challenge expired at {at}, it is {now} (Unix seconds)")]
    ChallengeExpired { at: u64, now: u64 },
    #[error("the authorization's nonce is not that of the challenge: keccak256(id, realm)")]
    OtherNonce,

    // ---- its times
    #[error("the authorization is valid until {until}, it is {now} (Unix seconds), and to settle takes {margin} s")]
    Expired { until: U256, now: u64, margin: u64 },
    #[error("the authorization is valid after {after}, it is {now} (Unix seconds)")]
    NotYetValid { after: U256, now: u64 },

    // ---- its signature
    #[error("the signature has {bytes} bytes and is none of an account: 65 with v of 27, 28, 0 or 1 are wanted")]
    MalformedSignature { bytes: usize },
    #[error("the signature has the upper form of s: the lower one is wanted (EIP-2)")]
    HighS,
    #[error("the signature is of {got}, the payer is {want}")]
    WrongSigner { got: Address, want: Address },

    // ---- whether it pays
    #[error("this authorization has paid already")]
    Replayed,
    #[error("this payment is being used for another request at this moment: its answer comes first")]
    InProgress,
    #[error("{payer} has {balance} wei of the token that are not promised yet, the price is {want}")]
    Unfunded { payer: Address, balance: U256, want: U256 },
    #[error("the token refuses the authorization: {0}")]
    TokenRefuses(String),

    #[error("payments of {payer} were sent and failed, three within an hour: the next is taken in {wait_s} s")]
    FailedBefore { payer: Address, wait_s: u64 },

    // ---- a session
    #[error("{}", .0.why)]
    Session(Box<SessionRefused>),

    // ---- what is wrong here
    #[error("this server's clock and the chain's are {apart_s} s apart: no time can be checked")]
    ClockWrong { apart_s: u64 },
    #[error("the chain cannot be reached, so nothing can be settled")]
    ChainDown,
    #[error("the payee's account cannot pay for gas")]
    NoGas,
    #[error("the amount is {amount} wei, and to settle less than {least} costs more than it brings at this moment")]
    BelowCost { amount: U256, least: U256 },
    #[error("as many payments as can be settled at a time are being settled")]
    Busy,
    #[error("as many bytes of requests are kept as can be: send it again, and without a pause")]
    TooManyBodies,
    #[error("the payment is sent and not final yet: ask again with the same payment")]
    NotFinal,
    #[error("the payment cannot be kept on disk, so nothing was sent")]
    NotKept,
    #[error(
        "the payment is settled, but the upstream failed ({why}): ask again with the same payment, nothing more is charged"
    )]
    UpstreamFailed { why: String },
    #[error(
        "the payment is settled, but the upstream failed for it eight times: it is asked again in {wait_s} s, when the same payment is shown; nothing more is charged"
    )]
    Failing { wait_s: u64 },
    #[error("the upstream failed ({why}): nothing was charged")]
    SessionUpstreamFailed { why: String },
    #[error("the upstream failed: {why}")]
    FreeUpstreamFailed { why: String },

    // ---- what is wrong with a channel of x402's scheme `batch-settlement`, or what is brought for one
    #[error(transparent)]
    Batch(Box<Flaw>),
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        Self::Batch(Box::new(flaw))
    }
}

impl From<SessionRefused> for Refusal {
    fn from(refused: SessionRefused) -> Self {
        Self::Session(Box::new(refused))
    }
}

impl Refusal {
    #[must_use]
    pub fn status(&self) -> u16 {
        self.words().status
    }

    /// One for each cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.words().code
    }

    /// As x402's clients and resource servers know it (`invalidReason`, `errorReason`).
    #[must_use]
    pub fn x402_reason(&self) -> &'static str {
        self.words().x402
    }

    /// After how many seconds another try makes sense.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::InProgress | Self::Busy | Self::TooManyBodies | Self::NotFinal | Self::UpstreamFailed { .. } => {
                Some(1)
            }
            Self::ChainDown | Self::NoGas | Self::NotKept | Self::ClockWrong { .. } => Some(10),
            // A base fee falls by an eighth with each block that is not full.
            Self::BelowCost { .. } => Some(60),
            Self::FailedBefore { wait_s, .. } | Self::Failing { wait_s } => Some(*wait_s),
            Self::Batch(flaw) => flaw.retry_after_s(),
            Self::Session(refused) => refused.retry_after_s(),
            _ => None,
        }
    }

    /// Whether a fresh demand for payment goes with it. Where the payment may already be made, none does: a client would pay twice.
    #[must_use]
    pub fn asks_anew(&self) -> bool {
        self.status() == 402
    }

    /// The problem document (RFC 9457).
    #[must_use]
    pub fn problem(&self) -> Value {
        let Words { status, kind, code, title, .. } = self.words();
        let mut problem = json!({
            "type": format!("{PROBLEMS}{kind}"),
            "title": title,
            "status": status,
            "detail": self.to_string(),
            "code": code,
        });
        if let (Self::Session(refused), Value::Object(members)) = (self, &mut problem) {
            members.extend(refused.members());
        }
        problem
    }

    fn words(&self) -> Words {
        if let Self::Batch(flaw) = self {
            return flaw.words();
        }
        let (status, kind, code, title, x402) = match self {
            Self::PaymentRequired { .. } => {
                (402, "payment-required", "payment-required", "Payment Required", "payment_required")
            }
            Self::NotListed => (404, "bad-request", "not-listed", "Not Found", "invalid_payment_requirements"),
            Self::AmbiguousPath(_) => (400, "bad-request", "ambiguous-path", "Ambiguous Path", "invalid_request"),
            Self::BodyTooLarge { .. } => (413, "bad-request", "body-too-large", "Body Too Large", "invalid_request"),
            Self::BodyTooSlow => (408, "bad-request", "body-too-slow", "Body Too Slow", "invalid_request"),
            Self::TwoPayments => (400, "bad-request", "two-payments", "Two Payments", "invalid_payload"),
            Self::Malformed(_) => {
                (402, "malformed-credential", "malformed-payment", "Malformed Payment", "invalid_payload")
            }
            Self::MalformedCredential(_) => {
                (400, "malformed-credential", "malformed-credential", "Malformed Credential", "invalid_payload")
            }
            Self::Session(refused) => {
                let (status, kind, code, title) = refused.words();
                return Words { status, kind, code, title, x402: "invalid_payload" };
            }
            Self::Unsupported { .. } => {
                (400, "method-unsupported", "unsupported", "Unsupported Payment", "unsupported_scheme")
            }
            Self::FailedBefore { .. } => {
                (429, "verification-failed", "failed-before", "Payments Failed Before", "invalid_transaction_state")
            }
            _ => return self.words_of_a_payment(),
        };
        Words { status, kind, code, title, x402 }
    }

    fn words_of_a_payment(&self) -> Words {
        const FAILED: &str = "verification-failed";
        const CHALLENGE: &str = "invalid-challenge";
        let (kind, code, title, x402) = match self {
            Self::OtherChain { .. } => (FAILED, "other-chain", "Other Chain", "invalid_network"),
            Self::OtherToken { .. } => (FAILED, "other-token", "Other Token", "invalid_exact_evm_asset_mismatch"),
            Self::OtherRecipient { .. } => {
                (FAILED, "other-recipient", "Other Recipient", "invalid_exact_evm_payload_recipient_mismatch")
            }
            Self::TooLittle { .. } => (
                "payment-insufficient",
                "too-little",
                "Too Little",
                "invalid_exact_evm_payload_authorization_value_mismatch",
            ),
            Self::TooMuch { .. } => {
                (FAILED, "too-much", "Too Much", "invalid_exact_evm_payload_authorization_value_mismatch")
            }
            Self::NeverIssued => (CHALLENGE, "never-issued", "Challenge Never Issued", "invalid_payload"),
            Self::OtherRequest => (CHALLENGE, "other-request", "Challenge Of Another Request", "invalid_payload"),
            Self::OtherBody => (CHALLENGE, "other-body", "Challenge Of Another Body", "invalid_payload"),
            Self::PriceChanged => (CHALLENGE, "price-changed", "Price Changed", "invalid_payment_requirements"),
            Self::ChallengeExpired { .. } => {
                ("payment-expired", "challenge-expired", "Challenge Expired", "payment_expired")
            }
            Self::OtherNonce => (FAILED, "other-nonce", "Nonce Of Another Challenge", "invalid_payload"),
            Self::Expired { .. } => (
                "payment-expired",
                "expired",
                "Authorization Expired",
                "invalid_exact_evm_payload_authorization_valid_before",
            ),
            Self::NotYetValid { .. } => (
                FAILED,
                "not-yet-valid",
                "Authorization Not Yet Valid",
                "invalid_exact_evm_payload_authorization_valid_after",
            ),
            Self::MalformedSignature { .. } => {
                (FAILED, "malformed-signature", "Malformed Signature", "invalid_exact_evm_payload_signature")
            }
            Self::HighS => (FAILED, "high-s", "Malleated Signature", "invalid_exact_evm_payload_signature"),
            Self::WrongSigner { .. } => (FAILED, "wrong-signer", "Wrong Signer", "invalid_exact_evm_payload_signature"),
            Self::Replayed => (CHALLENGE, "replayed", "Paid Already", "invalid_exact_evm_nonce_already_used"),
            Self::Unfunded { .. } => (FAILED, "unfunded", "Insufficient Funds", "insufficient_funds"),
            Self::TokenRefuses(_) => (FAILED, "token-refuses", "Refused By The Token", "invalid_transaction_state"),
            _ => return self.words_of_a_server(),
        };
        Words { status: 402, kind, code, title, x402 }
    }

    fn words_of_a_server(&self) -> Words {
        let (status, code, title) = match self {
            Self::InProgress => (409, "in-progress", "Payment In Progress"),
            Self::ClockWrong { .. } => (503, "clock-wrong", "Clock Wrong"),
            Self::ChainDown => (503, "chain-down", "Chain Not Reached"),
            Self::NoGas => (503, "no-gas", "Payee Cannot Pay For Gas"),
            Self::BelowCost { .. } => (503, "below-cost", "Below The Cost Of Settling"),
            Self::Busy => (503, "busy", "Too Many Payments"),
            Self::TooManyBodies => (503, "too-many-bodies", "Too Many Bodies"),
            Self::Failing { .. } => (503, "upstream-failing", "Upstream Fails"),
            Self::NotFinal => (503, "not-final", "Payment Not Final"),
            Self::NotKept => (503, "not-kept", "Payment Not Kept"),
            _ => (502, "upstream-failed", "Upstream Failed"),
        };
        Words { status, kind: "internal-payment-error", code, title, x402: "unexpected_settle_error" }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<Refusal> {
        use Refusal::*;
        let (a, u) = (Address::ZERO, U256::from(1));
        vec![
            PaymentRequired { amount: u, token: a },
            NotListed,
            AmbiguousPath("x"),
            BodyTooLarge { most: 1 },
            BodyTooSlow,
            TwoPayments,
            Malformed("x".into()),
            Unsupported { got: "x".into(), want: "y" },
            OtherChain { got: "x".into(), want: 1 },
            OtherToken { got: "x".into(), want: a },
            OtherRecipient { got: a, want: a },
            TooLittle { got: u, want: u },
            TooMuch { got: u, want: u },
            NeverIssued,
            OtherRequest,
            OtherBody,
            PriceChanged,
            ChallengeExpired { at: 1, now: 2 },
            OtherNonce,
            Expired { until: u, now: 1, margin: 1 },
            NotYetValid { after: u, now: 1 },
            MalformedSignature { bytes: 1 },
            HighS,
            WrongSigner { got: a, want: a },
            Replayed,
            InProgress,
            Unfunded { payer: a, balance: u, want: u },
            TokenRefuses("x".into()),
            FailedBefore { payer: a, wait_s: 1 },
            ClockWrong { apart_s: 1 },
            ChainDown,
            NoGas,
            BelowCost { amount: u, least: u },
            Busy,
            TooManyBodies,
            NotFinal,
            NotKept,
            UpstreamFailed { why: "x".into() },
            Failing { wait_s: 1 },
        ]
    }

    #[test]
    fn each_cause_has_a_problem_document_of_its_own() {
        let codes: BTreeSet<_> = all().iter().map(Refusal::code).collect();
        assert_eq!(codes.len(), all().len());
        for refusal in all() {
            let problem = refusal.problem();
            assert_eq!(problem["status"], refusal.status());
            assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with(PROBLEMS)), "{problem}");
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        }
    }

    #[test]
    fn nobody_whose_payment_may_have_been_made_is_asked_to_pay_anew() {
        let upstream = Refusal::UpstreamFailed { why: "x".into() };
        for refusal in [Refusal::NotFinal, Refusal::InProgress, upstream, Refusal::Failing { wait_s: 1 }] {
            assert!(!refusal.asks_anew() && refusal.retry_after_s().is_some(), "{refusal}");
        }
    }
}
