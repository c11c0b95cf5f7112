//! Why a payment is not taken.

use alloy_primitives::{Address, B256};

use crate::account_signature::BadForm;
use crate::locked::LockRefused;
use crate::stream::TickRefused;

/// Each with what was seen and what was wanted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("voucher is for chain {got}, expected {want}")]
    WrongChain { got: u64, want: u64 },
    #[error("voucher is for the contract {got}, expected {want}")]
    WrongContract { got: Address, want: Address },
    /// Never shown to this payee, or forgotten since it ended.
    #[error("channel {id} is not known here")]
    UnknownChannel { id: B256 },
    #[error("channel {id} pays {got}, expected {want}")]
    WrongPayee { id: B256, got: Address, want: Address },
    #[error("channel {id} pays in the token {got}, expected {want}")]
    WrongToken { id: B256, got: Address, want: Address },
    #[error("channel {id} gives others a part")]
    Splits { id: B256 },
    #[error("channel {id} is closed")]
    Closed { id: B256 },
    #[error("the payer of channel {id} asked to close it")]
    Closing { id: B256 },
    /// Not worth a claim.
    #[error("channel {id} has {got} left, at least {least} are wanted")]
    Dust { id: B256, got: u128, least: u128 },
    #[error("{most} channels are known already, each with a payment")]
    TooManyChannels { most: usize },
    #[error("the chain was seen last at second {seen}, it is {now}")]
    Stale { seen: u64, now: u64 },
    /// Or the chain's.
    #[error("the clock here says {now}, the chain {seen}")]
    ClockBehind { seen: u64, now: u64 },
    #[error(transparent)]
    BadForm(#[from] BadForm),
    /// Falling or equal: a request was charged for it already.
    #[error("voucher's total {got} was charged already, the largest is {highest}")]
    Spent { got: u128, highest: u128 },
    /// The same voucher or the same key, with another request or a higher price.
    #[error("voucher's total {got} paid {paid} for another request, the price of this one is {price}")]
    PaidForAnother { got: u128, paid: u128, price: u128 },
    #[error("voucher's total {got} pays {pays}, the price is {price}")]
    BelowPrice { got: u128, pays: u128, price: u128 },
    #[error("voucher's total {got} is more than the channel's deposit of {deposit}")]
    BeyondDeposit { got: u128, deposit: u128 },
    #[error("{seen} of {want} blocks are on the deposit that voucher's total {got} needs")]
    Unconfirmed { got: u128, seen: u64, want: u64 },
    /// Never opened here, or overtaken and forgotten: open it again.
    #[error("channel {id} has no stream {root}")]
    UnknownStream { id: B256, root: B256 },
    #[error("{most} streams of channel {id} are open")]
    TooManyStreams { id: B256, most: usize },
    #[error(transparent)]
    Tick(#[from] TickRefused),
    #[error("voucher adds {got}, at least {least} is wanted")]
    SmallDelta { got: u128, least: u128 },
    #[error("{available} of what was paid is left, {want} is wanted")]
    Insufficient { available: u128, want: u128 },
    /// The payee would close it: try again when they are answered.
    #[error("requests of channel {id} are being answered")]
    InUse { id: B256 },
    /// Ticks paid for more than any voucher says: sign one for what was spent.
    #[error("channel {id} closes with a voucher: the best is of {got}, {spent} was spent")]
    ByStream { id: B256, got: u128, spent: u128 },
    #[error("signature is not of the channel's signer {signer}")]
    NotTheSigner { signer: Address },
    /// Its key did not sign, so its code has to be asked: see [`super::questions`].
    #[error("channel's signer {signer} is a contract, which was not asked")]
    NotAsked { signer: Address },
    #[error("channel's signer {signer} is asked {asked} questions already")]
    Busy { signer: Address, asked: usize },
    #[error("signature has {got} bytes, a contract's may have {most}")]
    LongSignature { got: usize, most: usize },
    /// There would be no time to claim it.
    #[error("lock expires at second {expiry}, not before {least} is wanted")]
    LockTooShort { expiry: u64, least: u64 },
    #[error("{most} locks of channel {id} are held")]
    TooManyLocks { id: B256, most: usize },
    /// Dropped when it expired, or never held.
    #[error("channel {id} has no lock {hash}")]
    UnknownLock { id: B256, hash: B256 },
    #[error("lock {hash} of channel {id} was opened already")]
    LockOpened { id: B256, hash: B256 },
    #[error(transparent)]
    Lock(#[from] LockRefused),
}

/// Who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The payer: another voucher, or another channel.
    Payer,
    /// Nobody: try again later.
    Retry,
    /// The payee's operator: its view of the chain, or its clock.
    Payee,
}

impl Refused {
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unconfirmed { .. }
            | Self::TooManyChannels { .. }
            | Self::TooManyStreams { .. }
            | Self::TooManyLocks { .. }
            | Self::InUse { .. }
            | Self::Busy { .. } => Fault::Retry,
            Self::Stale { .. } | Self::ClockBehind { .. } | Self::NotAsked { .. } => Fault::Payee,
            _ => Fault::Payer,
        }
    }
}
