//! Channels of a payer from one seed: a key for each, and the salt by which it is found again on the chain.
//!
//! The payer's account opens a channel and names the derived key as its `authorizedSigner`, so the process that pays has no key that moves anything but what is in its
//! channels. Whoever has the seed and the account's `ChannelOpened` events has all channels and their keys again ([`Seed::find`]).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, FixedBytesSliceExt as _, keccak256};
use secp256k1::SecretKey;
use zeroize::Zeroizing;

use crate::account_signature::address_of;
use crate::terms::Terms;
use crate::typed_data::word;

/// Numbers without a channel after which no more are looked for: openings that failed.
const GAP: u32 = 100;

/// The secret behind all channels.
pub struct Seed(Zeroizing<[u8; 32]>);

/// One channel's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelKey {
    pub number: u32,
    /// Public, and random to whoever has not the seed.
    pub salt: B256,
    /// Signs its vouchers.
    pub signer: SecretKey,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The channel with this number of this payer on this network.
    #[must_use]
    pub fn channel(&self, network: B256, payer: Address, number: u32) -> ChannelKey {
        let derive = |purpose: &[u8], attempt: u128| {
            let place = [network, payer.into_word(), word(number.into()), word(attempt), keccak256(purpose)];
            let input = Zeroizing::new([self.0.as_slice(), place.as_flattened()].concat());
            // Keccak needs no HMAC: its hash of secret and message is a random function of the message (Keccak submission, 4.1.2).
            keccak256(input.as_slice())
        };
        let keys = (0..).map(|attempt| derive(b"causeway payments, key of a channel", attempt));
        let signer = keys.flat_map(|key| SecretKey::from_slice(key.as_slice())).next();
        let signer = signer.expect("one number in 2^128 is no key, so the first is");
        ChannelKey { number, salt: derive(b"causeway payments, salt of a channel", 0), signer }
    }

    /// Which of a payer's opened channels are of this seed, by number. The next one to open has the number after the last.
    #[must_use]
    pub fn find(&self, network: B256, payer: Address, opened: &[Terms]) -> BTreeMap<u32, (ChannelKey, Terms)> {
        let mut by_salt = BTreeMap::new();
        for terms in opened.iter().filter(|terms| terms.payer == payer) {
            by_salt.entry(terms.salt).or_insert_with(Vec::new).push(*terms);
        }
        let (mut found, mut number) = (BTreeMap::new(), 0);
        while number <= found.last_key_value().map_or(0, |(last, _)| last + 1) + GAP {
            let key = self.channel(network, payer, number);
            let ours = by_salt.get(&key.salt).into_iter().flatten();
            let terms = ours.copied().find(|terms| terms.authorized_signer == address_of(&key.signer));
            found.extend(terms.map(|terms| (number, (key, terms))));
            number += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    const NETWORK: B256 = B256::repeat_byte(1);
    const PAYER: Address = Address::repeat_byte(2);

    fn opened(key: &ChannelKey) -> Terms {
        let payee = Address::repeat_byte(3);
        let authorized_signer = address_of(&key.signer);
        Terms { payer: PAYER, payee, token: Address::ZERO, salt: key.salt, authorized_signer }
    }

    #[test]
    fn all_channels_are_found_again_by_seed_and_chain_and_nobody_elses() {
        let seed = Seed::new([5; 32]);
        let keys = [0, 1, 7, 90].map(|number| seed.channel(NETWORK, PAYER, number));
        let mut events: Vec<Terms> = keys.iter().map(opened).collect();
        events.push(opened(&Seed::new([6; 32]).channel(NETWORK, PAYER, 2)));
        events.push(Terms { payer: Address::repeat_byte(9), ..opened(&seed.channel(NETWORK, PAYER, 3)) });
        let found = seed.find(NETWORK, PAYER, &events);
        let want = keys.map(|key| (key.number, (key, opened(&key))));
        assert_eq!(found, BTreeMap::from(want));
    }

    #[test]
    fn another_network_payer_or_number_has_another_key_and_salt() {
        let seed = Seed::new([5; 32]);
        let base = seed.channel(NETWORK, PAYER, 0);
        let others = [(B256::ZERO, PAYER, 0), (NETWORK, Address::ZERO, 0), (NETWORK, PAYER, 1)]
            .map(|(n, p, i)| seed.channel(n, p, i));
        assert!(others.iter().all(|other| other.salt != base.salt && other.signer != base.signer));
    }

    #[test]
    fn keys_keep_their_bytes() {
        // Frozen: whoever has a seed needs the same keys from every later version. Computed apart, by a Keccak in Python.
        let key = Seed::new([5; 32]).channel(NETWORK, PAYER, 7);
        assert_eq!(key.salt, b256!("e6888cbf8b2f1da111433ae36894a5ac3ef14d97a9ca432c4f0f7fe8d102b164"));
        assert_eq!(
            key.signer.secret_bytes(),
            b256!("4b05b8fe51f1b03cccd038777cafac02aaa88a57ada4309a8f8a99d86e698c3d").0
        );
    }
}
