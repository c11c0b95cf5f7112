//! Names of channels, and nonces that bind an authorization to one.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, keccak256};

use crate::typed_data::{Domain, hash_words, word};

static OPEN_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256("Open(bytes32 networkId,bytes32 channelId,address[] splitRecipients,uint16[] splitBps)")
});
static TOP_UP_TYPE: LazyLock<B256> =
    LazyLock::new(|| keccak256("TopUp(bytes32 networkId,bytes32 channelId,uint96 number)"));

/// What a channel's id is made of, beside the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub payer: Address,
    pub payee: Address,
    /// Zero: the coin.
    pub token: Address,
    pub salt: B256,
    /// Who signs vouchers; zero: the payer.
    pub authorized_signer: Address,
}

/// Who gets a part of what the payee is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub recipient: Address,
    /// Ten-thousandths.
    pub bps: u16,
}

impl Terms {
    /// As the contract's `computeChannelId`.
    #[must_use]
    pub fn channel_id(&self, domain: &Domain) -> B256 {
        hash_words(&[
            self.payer.into_word(),
            self.payee.into_word(),
            self.token.into_word(),
            self.salt,
            self.authorized_signer.into_word(),
            domain.contract().into_word(),
            word(domain.chain_id().into()),
        ])
    }
}

/// The nonce of an authorization (EIP-3009) that opens this channel on this network and nothing else; as the contract's `openNonce`.
#[must_use]
pub fn open_nonce(network: B256, channel: B256, splits: &[Split]) -> B256 {
    let recipients: Vec<u8> = splits.iter().flat_map(|split| split.recipient.into_word().0).collect();
    let bps: Vec<u8> = splits.iter().flat_map(|split| word(split.bps.into()).0).collect();
    hash_words(&[*OPEN_TYPE, network, channel, keccak256(recipients), keccak256(bps)])
}

/// The nonce of an authorization that tops this channel up; as the contract's `topUpNonce`. `number`: below 2^96, another one each time.
#[must_use]
pub fn top_up_nonce(network: B256, channel: B256, number: u128) -> B256 {
    let number = word(number & ((1 << 96) - 1));
    let mut nonce = hash_words(&[*TOP_UP_TYPE, network, channel, number]);
    nonce[20..].copy_from_slice(&number[20..]);
    nonce
}
