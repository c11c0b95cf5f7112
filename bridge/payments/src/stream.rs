//! Streams: one signature, then 32 bytes a payment. A secret is revealed backwards, hash by hash.
//!
//! ```text
//!   root = h(h(h(seed)))      signed, with what a tick is worth
//!   tick 1 = h(h(seed))       h(tick 1) is the root
//!   tick 2 = h(seed)          h(tick 2) is tick 1
//!   tick 3 = seed             the last
//! ```

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, FixedBytesSliceExt as _, keccak256};
use secp256k1::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account_signature::{self, BadForm};
use crate::typed_data::{Domain, digest, hash_words, word};

/// Ticks that one claim takes (`MAX_TICKS` in `MicroChannel.sol`). A stream has no more of them, or the last could not be claimed.
pub const MAX_TICKS: u32 = 1_024;

static STREAM_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256("Stream(bytes32 channelId,uint128 cumulativeAmount,uint128 tickAmount,uint32 ticks,bytes32 root)")
});

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamTerms {
    pub channel_id: B256,
    /// All that is paid before the first tick.
    #[serde(with = "crate::decimal")]
    pub cumulative_amount: u128,
    /// What each adds.
    #[serde(with = "crate::decimal")]
    pub tick_amount: u128,
    /// The most there are.
    pub ticks: u32,
    /// The first tick's hash.
    pub root: B256,
}

/// A stream with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedStream {
    #[serde(flatten)]
    pub terms: StreamTerms,
    /// 65 bytes.
    pub signature: Bytes,
}

/// Why a tick pays nothing, or a stream is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TickRefused {
    #[error("tick {got} of a stream of {most}")]
    BeyondTheLast { got: u32, most: u32 },
    #[error("tick {got} does not follow tick {latest}")]
    NotNew { got: u32, latest: u32 },
    #[error("tick {got} does not hash to tick {latest}")]
    WrongTick { got: u32, latest: u32 },
    #[error("the stream's total exceeds 2^128 - 1")]
    TooLarge,
}

/// The payee's side of one stream: the last tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamMeter {
    terms: StreamTerms,
    latest: u32,
    tick: B256,
}

impl StreamTerms {
    /// The digest that is signed (EIP-712), as the contract's `getStreamDigest`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let hash = hash_words(&[
            *STREAM_TYPE,
            self.channel_id,
            word(self.cumulative_amount),
            word(self.tick_amount),
            word(self.ticks.into()),
            self.root,
        ]);
        digest(domain.separator(), hash)
    }

    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedStream {
        SignedStream { terms: self, signature: account_signature::sign(self.digest(domain), secret) }
    }

    /// The total that is paid with so many ticks; none if it is no total.
    #[must_use]
    pub fn total(&self, ticks: u32) -> Option<u128> {
        self.tick_amount.checked_mul(ticks.into())?.checked_add(self.cumulative_amount)
    }
}

impl SignedStream {
    /// The account that signed it; the contract compares it with the channel's signer. None if no account did.
    ///
    /// # Errors
    ///
    /// [`BadForm`]: the contract would not take such a signature.
    pub fn signer(&self, domain: &Domain) -> Result<Option<Address>, BadForm> {
        account_signature::signer_of(self.terms.digest(domain), &self.signature)
    }

    /// As the contract wants it: with the v that leads to the signer. None if it is not the signer's.
    #[must_use]
    pub fn claimable(&self, domain: &Domain, signer: Address) -> Option<Self> {
        let signature = account_signature::claimable(self.terms.digest(domain), &self.signature, signer)?;
        Some(Self { terms: self.terms, signature })
    }
}

/// The last tick of a stream with these terms (their root does not count), from the key that signs the channel: whoever has that key needs to keep no tick. Terms that
/// differ in anything have another one.
#[must_use]
pub fn chain_seed(terms: &StreamTerms, domain: &Domain, secret: &SecretKey) -> B256 {
    let words = [
        keccak256("causeway payments, seed of a stream"),
        domain.separator(),
        terms.channel_id,
        word(terms.cumulative_amount),
        word(terms.tick_amount),
        word(terms.ticks.into()),
    ];
    let key = Zeroizing::new(secret.secret_bytes());
    let input = Zeroizing::new([key.as_slice(), words.as_flattened()].concat());
    // Keccak needs no HMAC: its hash of secret and message is a random function of the message (Keccak submission, 4.1.2).
    keccak256(input.as_slice())
}

/// The payer's ticks: the root first, then tick 1, tick 2 and so on, down to the seed.
#[must_use]
pub fn chain(seed: B256, ticks: u32) -> Vec<B256> {
    let mut chain = vec![seed];
    for _ in 0..ticks.min(MAX_TICKS) {
        let last = chain.last().expect("it begins with the seed");
        chain.push(keccak256(last));
    }
    chain.reverse();
    chain
}

impl StreamMeter {
    /// For a stream whose signature was checked.
    ///
    /// # Errors
    ///
    /// `BeyondTheLast`, `TooLarge`: no claim could be made of its last tick.
    pub fn new(terms: StreamTerms) -> Result<Self, TickRefused> {
        if terms.ticks > MAX_TICKS {
            return Err(TickRefused::BeyondTheLast { got: terms.ticks, most: MAX_TICKS });
        }
        terms.total(terms.ticks).ok_or(TickRefused::TooLarge)?;
        Ok(Self { terms, latest: 0, tick: terms.root })
    }

    /// As it was when so many ticks had been taken, and this was the last: from a file of our own.
    ///
    /// # Errors
    ///
    /// As [`StreamMeter::new`].
    pub fn resumed(terms: StreamTerms, latest: u32, tick: B256) -> Result<Self, TickRefused> {
        if latest > terms.ticks {
            return Err(TickRefused::BeyondTheLast { got: latest, most: terms.ticks });
        }
        Ok(Self { latest, tick, ..Self::new(terms)? })
    }

    #[must_use]
    pub fn terms(&self) -> &StreamTerms {
        &self.terms
    }

    /// Takes the tick with this number; returns what it adds to the total. Ticks between may have been lost: one pays for them too.
    ///
    /// # Errors
    ///
    /// [`TickRefused`]: the payer is at fault; what was paid stays. No more than [`MAX_TICKS`] hashes are computed for a stream in all, and as many
    /// for each wrong tick.
    pub fn accept(&mut self, number: u32, tick: B256) -> Result<u128, TickRefused> {
        let latest = self.latest;
        if number <= latest {
            return Err(TickRefused::NotNew { got: number, latest });
        }
        if number > self.terms.ticks {
            return Err(TickRefused::BeyondTheLast { got: number, most: self.terms.ticks });
        }
        let hashed = (latest..number).fold(tick, |tick, _| keccak256(tick));
        if hashed != self.tick {
            return Err(TickRefused::WrongTick { got: number, latest });
        }
        (self.latest, self.tick) = (number, tick);
        Ok(self.terms.tick_amount * u128::from(number - latest))
    }

    /// What to claim with: how many ticks, and the last one.
    #[must_use]
    pub fn latest(&self) -> (u32, B256) {
        (self.latest, self.tick)
    }

    /// All that was paid.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.terms.total(self.latest).expect("the last tick's total was looked at, and this is no later one")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(ticks: u32, root: B256) -> StreamTerms {
        StreamTerms { channel_id: B256::repeat_byte(1), cumulative_amount: 100, tick_amount: 7, ticks, root }
    }

    #[test]
    fn a_tick_pays_for_itself_and_for_those_that_were_lost_before_it_but_never_twice() {
        let ticks = chain(B256::repeat_byte(9), 10);
        let mut meter = StreamMeter::new(terms(10, ticks[0])).unwrap();
        assert_eq!(meter.accept(1, ticks[1]), Ok(7));
        assert_eq!(meter.accept(4, ticks[4]), Ok(21));
        assert_eq!(meter.accept(4, ticks[4]), Err(TickRefused::NotNew { got: 4, latest: 4 }));
        assert_eq!(meter.accept(5, ticks[6]), Err(TickRefused::WrongTick { got: 5, latest: 4 }));
        assert_eq!(meter.accept(11, ticks[10]), Err(TickRefused::BeyondTheLast { got: 11, most: 10 }));
        assert_eq!((meter.latest(), meter.total()), ((4, ticks[4]), 128));
    }

    #[test]
    fn a_stream_whose_last_tick_could_not_be_claimed_is_not_taken() {
        let long = StreamMeter::new(terms(MAX_TICKS + 1, B256::ZERO));
        assert_eq!(long, Err(TickRefused::BeyondTheLast { got: 1_025, most: 1_024 }));
        let large = StreamTerms { tick_amount: u128::MAX / 2, ..terms(3, B256::ZERO) };
        assert_eq!(StreamMeter::new(large), Err(TickRefused::TooLarge));
    }

    proptest! {
        // The model: a tick is right if hashing it as the contract does, number times, gives the root.
        #[test]
        fn the_meter_takes_exactly_what_the_contract_would_pay(numbers in prop::collection::vec((1u32..24, 0usize..24), 1..40)) {
            let ticks = chain(B256::repeat_byte(9), 20);
            let mut meter = StreamMeter::new(terms(20, ticks[0])).unwrap();
            let mut best = 0;
            for (number, shown) in numbers {
                let tick = ticks.get(shown).copied().unwrap_or_default();
                let pays = number <= 20 && (0..number).fold(tick, |tick, _| keccak256(tick)) == ticks[0];
                prop_assert_eq!(meter.accept(number, tick).is_ok(), pays && number > best);
                if pays { best = best.max(number); }
                prop_assert_eq!(meter.total(), 100 + 7 * u128::from(best));
            }
        }
    }
}
