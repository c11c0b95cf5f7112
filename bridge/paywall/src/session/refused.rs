//! Why a session does not pay for a request: the draft's problem types, with codes of our own.

use alloy_primitives::{Address, B256};
use payments::payee;
use payments::payee::sessions::Balance;
use payments::voucher::SignedVoucher;
use serde_json::{Map, Value, json};

use crate::text::sat;

/// In a problem document: the payer's own last voucher. Not of the draft.
pub const LAST_VOUCHER: &str = "lastVoucher";

/// A refusal, with where the channel stands if its payer may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRefused {
    pub channel: Option<B256>,
    pub why: Why,
    pub standing: Option<(Balance, u128)>,
    /// The payer's own last voucher, for one that lost what it kept.
    pub last: Option<SignedVoucher>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("the channel's payer starts to take its money back: open another one, or top it up")]
    Closing,
    #[error("there is no such channel in the last final state")]
    NotFound,
    #[error("the channel is closed")]
    Finalized,
    #[error("the channel's id is {got}, its terms make {want}")]
    OtherId { got: B256, want: B256 },
    #[error("the channel pays {got}, the payee is {want}")]
    OtherPayee { got: Address, want: Address },
    #[error("the channel pays in the token {got}, asked for is {want}")]
    OtherToken { got: Address, want: Address },
    #[error("the channel gives others a part, which is not taken here")]
    Splits,
    #[error("{} are locked, at least {} are wanted", sat(*.got), sat(*.least))]
    SmallDeposit { got: u128, least: u128 },
    #[error("the transaction did not do that to this channel")]
    OtherTransaction,
    #[error("the credential's source is {got}, the channel's payer is {want}")]
    OtherSource { got: Address, want: Address },
    #[error(
        "with a nonce that is not the channel's own (openNonce, topUpNonce) only a channel whose payer signs its vouchers is opened: MicroChannel refuses another signer"
    )]
    Unbound,
    #[error("the voucher is not signed by the channel's signer")]
    OtherSigner,
    #[error("the voucher's signature has not the form of one: 65 bytes, the lower s, v of 27 or 28")]
    BadSignature,
    #[error("the voucher's total {} is more than the channel's deposit of {}", sat(*.got), sat(*.deposit))]
    BeyondDeposit { got: u128, deposit: u128 },
    #[error("the voucher adds {}, at least {} is wanted", sat(*.got), sat(*.least))]
    SmallDelta { got: u128, least: u128 },
    #[error("{} of what was paid are left, {} are wanted", sat(*.available), sat(*.want))]
    Insufficient { available: u128, want: u128 },
    #[error("this voucher was brought to the chain, where everybody can read it: sign a larger one")]
    Published,
    #[error("the channel has no such stream: open it again")]
    NoStream,
    #[error("as many streams of the channel are open as may be")]
    TooManyStreams,
    #[error("tick refused: {0}")]
    Tick(String),
    #[error("requests of this channel are being answered")]
    InUse,
    #[error("{} were spent, to close it costs {} of gas: ask the contract (requestClose)", sat(*.spent), sat(*.cost))]
    CloseTooDear { spent: u128, cost: u128 },
    #[error("ticks paid for {}, the best voucher says {}: sign one for what was spent", sat(*.spent), sat(*.got))]
    ByStream { got: u128, spent: u128 },
    #[error("as many channels are being opened, or are known, as can be")]
    TooMany,
    #[error(
        "channels of this payer that were opened here have not yet paid for the gas of it: pay by one of them, or open one by yourself"
    )]
    UnpaidOpenings,
    #[error("as many answers of this payer as may wait are waiting")]
    TooManyAnswers,
    #[error("this is paid for by the unit: only a session pays for it")]
    MeteredOnly,
    #[error("sessions do not pay here")]
    NoSessions,
    #[error("the chain was not heard of for too long, or this server's clock is wrong")]
    Stale,
    #[error("the contract refuses: {0}")]
    ContractRefuses(String),
}

impl SessionRefused {
    #[must_use]
    pub fn new(channel: B256, why: Why) -> Self {
        Self { channel: Some(channel), why, standing: None, last: None }
    }

    /// Of no channel.
    #[must_use]
    pub fn of(why: Why) -> Self {
        Self { channel: None, why, standing: None, last: None }
    }

    /// From what the payee's books refuse.
    #[must_use]
    pub fn from_books(channel: B256, refused: &payee::Refused) -> Self {
        use payee::Refused as Books;
        let why = match *refused {
            Books::UnknownChannel { .. } => Why::NotFound,
            Books::Closed { .. } => Why::Finalized,
            Books::Closing { .. } => Why::Closing,
            Books::WrongPayee { got, want, .. } => Why::OtherPayee { got, want },
            Books::WrongToken { got, want, .. } => Why::OtherToken { got, want },
            Books::Splits { .. } => Why::Splits,
            Books::Dust { got, least, .. } => Why::SmallDeposit { got, least },
            Books::TooManyChannels { .. } | Books::Busy { .. } | Books::TooManyLocks { .. } => Why::TooMany,
            Books::BadForm(_) | Books::LongSignature { .. } => Why::BadSignature,
            Books::NotTheSigner { .. } | Books::NotAsked { .. } => Why::OtherSigner,
            Books::BeyondDeposit { got, deposit } => Why::BeyondDeposit { got, deposit },
            Books::SmallDelta { got, least } => Why::SmallDelta { got, least },
            Books::Insufficient { available, want } => Why::Insufficient { available, want },
            Books::UnknownStream { .. } => Why::NoStream,
            Books::TooManyStreams { .. } => Why::TooManyStreams,
            Books::InUse { .. } => Why::InUse,
            Books::ByStream { got, spent, .. } => Why::ByStream { got, spent },
            Books::Stale { .. } | Books::ClockBehind { .. } | Books::Unconfirmed { .. } => Why::Stale,
            ref other => Why::Tick(other.to_string()),
        };
        Self::new(channel, why)
    }

    /// With where the channel stands, and the total that the next voucher needs.
    #[must_use]
    pub fn standing(self, balance: Balance, required: u128) -> Self {
        Self { standing: Some((balance, required)), ..self }
    }

    /// With the channel's last voucher. To be shown to whoever signs for the channel and to nobody else: it spends what was paid ahead.
    #[must_use]
    pub fn showing(self, last: SignedVoucher) -> Self {
        Self { last: Some(last), ..self }
    }

    /// Members of the problem document.
    #[must_use]
    pub fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        if let Some(channel) = self.channel {
            members.insert("channelId".to_owned(), json!(channel));
        }
        if let Some((balance, required)) = self.standing {
            for (name, amount) in [
                ("requiredCumulative", required),
                ("acceptedCumulative", balance.accepted),
                ("spent", balance.spent),
                ("deposit", balance.deposit),
            ] {
                members.insert(name.to_owned(), json!(amount.to_string()));
            }
        }
        if let Some(last) = &self.last {
            members.insert(LAST_VOUCHER.to_owned(), json!(last));
        }
        members
    }

    /// Status, problem type, own code, title.
    #[must_use]
    pub fn words(&self) -> (u16, &'static str, &'static str, &'static str) {
        const FAILED: &str = "verification-failed";
        match self.why {
            Why::NotFound => (410, "session/channel-not-found", "channel-not-found", "Channel Not Found"),
            Why::Finalized => (410, "session/channel-finalized", "channel-finalized", "Channel Finalized"),
            Why::Closing => (402, FAILED, "channel-closing", "Channel Closing"),
            Why::OtherId { .. } => (402, FAILED, "other-channel-id", "Other Channel"),
            Why::OtherPayee { .. } => (402, FAILED, "channel-other-payee", "Other Payee"),
            Why::OtherToken { .. } => (402, FAILED, "channel-other-token", "Other Token"),
            Why::Splits => (402, FAILED, "channel-splits", "Channel With Splits"),
            Why::SmallDeposit { .. } => (402, "payment-insufficient", "deposit-too-small", "Deposit Too Small"),
            Why::OtherTransaction => (402, FAILED, "other-transaction", "Other Transaction"),
            Why::OtherSource { .. } => (402, FAILED, "other-source", "Other Source"),
            Why::Unbound => (402, FAILED, "unbound-authorization", "Unbound Authorization"),
            Why::OtherSigner => (402, "session/signer-mismatch", "signer-mismatch", "Signer Mismatch"),
            Why::BadSignature => (402, "session/invalid-signature", "invalid-signature", "Invalid Signature"),
            Why::BeyondDeposit { .. } => {
                (402, "session/amount-exceeds-deposit", "amount-exceeds-deposit", "Amount Exceeds Deposit")
            }
            Why::SmallDelta { .. } => (402, "session/delta-too-small", "delta-too-small", "Delta Too Small"),
            Why::Insufficient { .. } => {
                (402, "session/insufficient-balance", "insufficient-balance", "Insufficient Balance")
            }
            Why::Published => (402, "session/insufficient-balance", "voucher-published", "Voucher Published"),
            Why::NoStream => (410, FAILED, "no-such-stream", "No Such Stream"),
            Why::TooManyStreams => (429, FAILED, "too-many-streams", "Too Many Streams"),
            Why::Tick(_) => (400, FAILED, "wrong-tick", "Wrong Tick"),
            Why::InUse => (409, FAILED, "channel-in-use", "Channel In Use"),
            Why::CloseTooDear { .. } => (403, FAILED, "close-too-dear", "Close Too Dear"),
            Why::ByStream { .. } => (402, "session/insufficient-balance", "voucher-below-ticks", "Voucher Below Ticks"),
            Why::TooMany => (503, "internal-payment-error", "too-many-channels", "Too Many Channels"),
            Why::UnpaidOpenings => (429, FAILED, "unpaid-openings", "Openings Not Paid For"),
            Why::TooManyAnswers => (429, FAILED, "too-many-answers", "Too Many Answers"),
            Why::MeteredOnly => (402, "method-unsupported", "session-only", "Paid By Sessions Only"),
            Why::NoSessions => (400, "method-unsupported", "no-sessions", "No Sessions"),
            Why::Stale => (503, "internal-payment-error", "chain-stale", "Chain Not Heard Of"),
            Why::ContractRefuses(_) => (402, FAILED, "contract-refuses", "Refused By The Contract"),
        }
    }

    /// After how many seconds another try makes sense.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self.why {
            Why::InUse | Why::TooManyAnswers | Why::TooMany => Some(1),
            Why::Stale => Some(10),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use payments::payee::prepaid::Public;

    use super::*;

    #[test]
    fn what_lacks_is_told_in_numbers() {
        let balance = Balance { accepted: 10, spent: 8, available: 2, deposit: 50, public: Public::default() };
        let why = Why::Insufficient { available: 2, want: 5 };
        let refused = SessionRefused::new(B256::repeat_byte(7), why).standing(balance, 13);
        let members = refused.members();
        assert_eq!((&members["requiredCumulative"], &members["deposit"]), (&json!("13"), &json!("50")));
        assert_eq!(refused.words().1, "session/insufficient-balance");
    }
}
