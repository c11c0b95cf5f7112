//! Gathers facts from its own node: the logs of new blocks, and the answers to what [`crate::relay::ledger`] asks.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid, XOnlyPublicKey};
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD};
use contracts::{BitcoinLightClient, Bridge, Federation};

use super::error::RoundError;
use super::node::Node;
use crate::io::sidechain::Error;
use crate::peg::{self, VaultStatus};
use crate::plan::{QueuedWithdrawal, VaultOutput};
use crate::relay::ledger::{Answer, Head, Ledger, MAX_QUEUE, Question, small};

/// The ledger, and the node that tells it.
pub struct LedgerGatherer<N> {
    node: Arc<N>,
    chain_id: u64,
    network_id: B256,
    pub ledger: Ledger,
}

impl<N: Node> LedgerGatherer<N> {
    pub fn new(node: Arc<N>, ledger: Ledger) -> Self {
        let info = &ledger.view().info;
        Self { node, chain_id: info.chain_id, network_id: info.network_id, ledger }
    }

    /// Reads what is new.
    pub async fn follow(&mut self) -> Result<(), RoundError> {
        let head = self.node.head().await?;
        if let Some(blocks) = self.ledger.unread(head.number) {
            let info = self.node.info().await?;
            if (info.chain_id, info.network_id) != (self.chain_id, self.network_id) {
                let url = self.node.url().to_owned();
                let said = |chain_id: u64, network_id: B256| format!("chain {chain_id}, network {network_id}");
                let (got, want) = (said(info.chain_id, info.network_id), said(self.chain_id, self.network_id));
                return Err(RoundError::OtherNetwork { url, got, want });
            }
            let contracts = [SIGNING_BOARD, BRIDGE, FEDERATION];
            let logs = self.node.logs(&contracts, *blocks.start(), *blocks.end()).await?;
            let head = Head { number: head.number, time_s: head.timestamp };
            for odd in self.ledger.apply(&logs, *blocks.end(), head, info) {
                tracing::error!("{odd}");
            }
        }
        // Questions that are not answered stay questions.
        while let Some(question) = self.ledger.question() {
            let answer = ask(&*self.node, question).await?;
            self.ledger.answer(answer);
        }
        Ok(())
    }
}

async fn ask<N: Node>(node: &N, question: Question) -> Result<Answer, Error> {
    Ok(match question {
        Question::VaultTransaction(number) => {
            let call = Bridge::vaultTransactionCall { number: U256::from(number) };
            let now = node.call(BRIDGE, &call).await?;
            Answer::VaultTransaction {
                number,
                status: vault_status(now.status).unwrap_or(VaultStatus::Proposed),
                required_confirmations: now.requiredConfirmations,
                settled_in: (now.blockHash != B256::ZERO).then(|| BlockHash::from_byte_array(now.blockHash.0)),
            }
        }
        Question::Confirmations { number, block } => {
            let call = BitcoinLightClient::confirmationsCall { hash: B256::from(block.to_byte_array()) };
            Answer::Confirmations { number, confirmations: node.call(LIGHT_CLIENT, &call).await? }
        }
        Question::Queues => queues(node).await?,
        Question::Withdrawal(id) => Answer::Withdrawal(withdrawal(node, id).await?),
        Question::VaultOutput(number) => {
            let call = Bridge::vaultTransactionCall { number: U256::from(number) };
            let amount = Amount::from_sat(node.call(BRIDGE, &call).await?.changeSat);
            Answer::VaultOutput(VaultOutput { number, amount })
        }
    })
}

async fn queues<N: Node>(node: &N) -> Result<Answer, Error> {
    let limit = U256::from(MAX_QUEUE);
    let count = small(node.call(BRIDGE, &Bridge::vaultTransactionCountCall {}).await?);
    let withdrawals = node.call(BRIDGE, &Bridge::queuedWithdrawalsCall { limit }).await?;
    let vault_outputs = node.call(BRIDGE, &Bridge::availableVaultOutputsCall { limit }).await?;
    let numbers = |numbers: Vec<U256>| numbers.into_iter().map(small).collect();
    Ok(Answer::Queues { count, withdrawals: numbers(withdrawals), vault_outputs: numbers(vault_outputs) })
}

async fn withdrawal<N: Node>(node: &N, id: u64) -> Result<QueuedWithdrawal, Error> {
    let withdrawal = node.call(BRIDGE, &Bridge::withdrawalCall { id: U256::from(id) }).await?;
    Ok(QueuedWithdrawal {
        id,
        amount: Amount::from_sat(withdrawal.amountSat),
        max_fee: Amount::from_sat(withdrawal.maxFeeSat),
        script: ScriptBuf::from_bytes(withdrawal.script.to_vec()),
    })
}

/// The id under which the ledger has a vault transaction as not settled, asked for apart from its event.
pub async fn proposed_txid<N: Node>(node: &N, number: u64) -> Result<Option<Txid>, Error> {
    let now = node.call(BRIDGE, &Bridge::vaultTransactionCall { number: U256::from(number) }).await?;
    let open = matches!(vault_status(now.status), Some(VaultStatus::Proposed | VaultStatus::Unsettled));
    Ok(open.then(|| Txid::from_byte_array(now.txid.0)))
}

/// Whether the ledger knows a deposit, so that it cannot be swept again.
pub async fn knows_deposit<N: Node>(node: &N, outpoint: OutPoint) -> Result<bool, Error> {
    let txid = B256::from(outpoint.txid.to_byte_array());
    let deposit = node.call(BRIDGE, &Bridge::depositCall { txid, vout: outpoint.vout }).await?;
    Ok(deposit.status != 0)
}

/// The group key of an epoch; none until all members have confirmed it.
pub async fn group_key<N: Node>(node: &N, epoch: u32) -> Result<Option<XOnlyPublicKey>, Error> {
    let key = node.call(FEDERATION, &Federation::groupKeyCall { epoch_: epoch }).await?;
    Ok(XOnlyPublicKey::from_slice(key.as_slice()).ok())
}

/// The members as the contract has them, in order of their indices.
pub async fn members<N: Node>(node: &N) -> Result<Vec<contracts::IFederation::Member>, Error> {
    let count = node.call(FEDERATION, &Federation::memberCountCall {}).await?;
    let mut members = Vec::new();
    for index in 1..=count {
        members.push(node.call(FEDERATION, &Federation::memberCall { index }).await?);
    }
    Ok(members)
}

/// The member whose account this is.
pub fn index_of(info: &peg::Info, account: Address) -> Option<u16> {
    info.members.iter().find(|member| member.account == account).map(|member| member.index)
}

/// The Bridge's enumeration, in its order; none for a number that was not given out.
fn vault_status(status: u8) -> Option<VaultStatus> {
    [None, Some(VaultStatus::Proposed), Some(VaultStatus::Settled), Some(VaultStatus::Unsettled)]
        .get(usize::from(status))
        .copied()
        .flatten()
}
