//! What the chain says of channels of `batch-settlement`.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::{Filter, TransactionReceipt};
use alloy_sol_types::SolEvent as _;
use bridge::io::sidechain::Error;
use contracts::WrappedBtc;
use contracts::address::WRAPPED_BTC;
use contracts::standard::{X402_AUTHORIZED_DEPOSITS, X402_BATCH_SETTLEMENT};

use super::{Chain, down};
use crate::batch::contract::BatchSettlement;
use crate::batch::ledger::Mirror;
use crate::refusal::Refusal;

impl Chain {
    /// Whether this chain has the contracts.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn has_channels(&self) -> Result<bool, Refusal> {
        let (settlement, collector) =
            tokio::join!(self.client.code(X402_BATCH_SETTLEMENT), self.client.code(X402_AUTHORIZED_DEPOSITS));
        let is_there = |code: Result<alloy_primitives::Bytes, Error>| code.map(|code| !code.is_empty());
        Ok(is_there(settlement).map_err(|error| down(&error))? && is_there(collector).map_err(|error| down(&error))?)
    }

    /// A channel as it is now. Its parts may be of blocks that follow each other: whoever follows [`Chain::channels_in`] reads it again then.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn channel(&self, channel: B256) -> Result<Mirror, Refusal> {
        let balances = BatchSettlement::channelsCall { channelId: channel };
        let withdrawal = BatchSettlement::pendingWithdrawalsCall { channelId: channel };
        let nonce = BatchSettlement::refundNonceCall { channelId: channel };
        let read = tokio::try_join!(
            self.client.call(X402_BATCH_SETTLEMENT, &balances),
            self.client.call(X402_BATCH_SETTLEMENT, &withdrawal),
            self.client.call(X402_BATCH_SETTLEMENT, &nonce),
        );
        let (balances, withdrawal, refund_nonce) = read.map_err(|error| down(&error))?;
        Ok(Mirror {
            balance: balances.balance,
            claimed: balances.totalClaimed,
            withdrawal: withdrawal.amount,
            withdrawal_at: withdrawal.initiatedAt.to(),
            refund_nonce,
        })
    }

    /// Channels to which something happened in these blocks. Others' are among them.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn channels_in(&self, from: u64, to: u64) -> Result<BTreeSet<B256>, Refusal> {
        let filter = Filter::new().address(X402_BATCH_SETTLEMENT);
        let logs = self.client.logs(&filter, from, to).await.map_err(|error| down(&error))?;
        // The first topic of each event but `Settled` is a channel's id.
        Ok(logs.iter().filter_map(|log| log.topics().get(1).copied()).collect())
    }

    /// What was claimed for a payee in the token, and is not paid to it yet.
    ///
    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn unsettled(&self, receiver: Address) -> Result<u128, Refusal> {
        let call = BatchSettlement::receiversCall { receiver, token: self.token.contract };
        let sums = self.client.call(X402_BATCH_SETTLEMENT, &call).await.map_err(|error| down(&error))?;
        Ok(sums.totalClaimed.saturating_sub(sums.totalSettled))
    }

    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn height(&self) -> Result<u64, Refusal> {
        self.client.block_number().await.map_err(|error| down(&error))
    }

    /// # Errors
    ///
    /// `ChainDown`.
    pub async fn tokens_of(&self, account: Address) -> Result<U256, Refusal> {
        self.client.call(WRAPPED_BTC, &WrappedBtc::balanceOfCall { account }).await.map_err(|error| down(&error))
    }
}

/// What a transaction gave back of a channel.
pub fn refunded(receipt: &TransactionReceipt, channel: B256) -> u128 {
    let logs = receipt.inner.logs().iter().filter(|log| log.inner.address == X402_BATCH_SETTLEMENT);
    let refunded = logs.filter_map(|log| BatchSettlement::Refunded::decode_log(&log.inner).ok());
    refunded.filter(|event| event.channelId == channel).map(|event| event.amount).fold(0, u128::saturating_add)
}

/// Wei that a transaction cost.
pub fn cost(receipt: &TransactionReceipt) -> u128 {
    u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price)
}
