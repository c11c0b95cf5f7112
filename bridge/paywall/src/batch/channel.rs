//! What payers sign for a channel, and what its id is: EIP-712 in the domain of x402's contract.

use alloy_primitives::aliases::U40;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue as _;
use contracts::standard::{X402_AUTHORIZED_DEPOSITS, X402_BATCH_SETTLEMENT};
use payments::authorization::Authorization;
use payments::typed_data::{digest, separator};
use serde::{Deserialize, Serialize};

use crate::authorization::{TOKEN_NAME, TOKEN_VERSION, Token};

use super::contract::{ChannelConfig, Voucher, VoucherClaim};

const NAME: &str = "x402 Batch Settlement";
const VERSION: &str = "1";
const CONFIG_TYPE: &[u8] = b"ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)";
const VOUCHER_TYPE: &[u8] = b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)";

const REFUND_TYPE: &[u8] = b"Refund(bytes32 channelId,uint256 nonce,uint128 amount)";

/// Bounds of a delay in seconds: the contract's.
pub const LEAST_DELAY_S: u64 = 15 * 60;
pub const MOST_DELAY_S: u64 = 30 * 24 * 60 * 60;

/// The contract on one chain: what is signed for it is worth nothing anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(B256);

/// What a channel is, for ever. In JSON as x402 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    pub payer: Address,
    /// The key that signs vouchers; zero: whoever the payer's account asks.
    pub payer_authorizer: Address,
    pub receiver: Address,
    /// Who may claim and refund.
    pub receiver_authorizer: Address,
    pub token: Address,
    /// Seconds between the payer's announcement that it takes its rest back, and when it can.
    pub withdraw_delay: u64,
    pub salt: B256,
}

impl Domain {
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self(separator(NAME, VERSION, chain_id, X402_BATCH_SETTLEMENT))
    }

    /// The digest of a promise: of all that was ever paid through the channel, no more than this can be claimed.
    #[must_use]
    pub fn voucher(self, channel: B256, max_claimable: u128) -> B256 {
        digest(self.0, keccak256((keccak256(VOUCHER_TYPE), channel, U256::from(max_claimable)).abi_encode()))
    }

    /// The digest by which a receiver authorizer gives something back.
    #[must_use]
    pub fn refund(self, channel: B256, nonce: U256, amount: u128) -> B256 {
        digest(self.0, keccak256((keccak256(REFUND_TYPE), channel, nonce, U256::from(amount)).abi_encode()))
    }
}

impl Config {
    #[must_use]
    pub fn id(&self, domain: Domain) -> B256 {
        digest(domain.0, keccak256((keccak256(CONFIG_TYPE), self.contract()).abi_encode()))
    }

    /// As the contract takes it. Delays are within its bounds before anything is done with one.
    #[must_use]
    pub fn contract(&self) -> ChannelConfig {
        ChannelConfig {
            payer: self.payer,
            payerAuthorizer: self.payer_authorizer,
            receiver: self.receiver,
            receiverAuthorizer: self.receiver_authorizer,
            token: self.token,
            withdrawDelay: U40::saturating_from(self.withdraw_delay),
            salt: self.salt,
        }
    }

    /// A row of a claim.
    #[must_use]
    pub fn claim(&self, max_claimable: u128, signature: Bytes, total: u128) -> VoucherClaim {
        let voucher = Voucher { channel: self.contract(), maxClaimableAmount: max_claimable };
        VoucherClaim { voucher, signature, totalClaimed: total }
    }
}

/// A deposit that a payer agrees to: seconds of Unix time, both excluded, and what makes it different from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositTerms {
    pub amount: u128,
    pub valid_after: u64,
    pub valid_before: u64,
    pub salt: B256,
}

impl DepositTerms {
    /// What its payer signs: that the collector may fetch it, with a nonce that names the channel, so that whoever brings it fills this channel.
    #[must_use]
    pub fn digest(&self, token: &Token, channel: B256, payer: Address) -> B256 {
        let Self { amount: value, valid_after, valid_before, salt } = *self;
        let nonce = keccak256((channel, salt).abi_encode());
        let to = X402_AUTHORIZED_DEPOSITS;
        let domain = separator(TOKEN_NAME, TOKEN_VERSION, token.chain_id, token.contract);
        Authorization { from: payer, to, value, valid_after, valid_before, nonce }.digest(domain)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn ids_and_digests_are_those_of_the_public_client() {
        // Frozen: made by @x402/evm 2.27 (`computeChannelId`) and viem (`hashTypedData`) for chain 51717.
        let config = Config {
            payer: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            payer_authorizer: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            receiver: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            receiver_authorizer: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            token: address!("cA05000000000000000000000000000000000008"),
            withdraw_delay: 86_400,
            salt: B256::ZERO,
        };
        let id = config.id(Domain::new(51_717));
        assert_eq!(id, b256!("b5f47a1f7ccc174005ef274c418d0450a8f780f414b85e072c4f292ebfed9f9e"));
        assert_eq!(
            Domain::new(51_717).voucher(id, 250_000_000_000),
            b256!("ab03b7826840aff4184ffce8989c6be415717c5deb22aa2886f7d03b3a17c3da")
        );
    }
}
