//! Gathers facts from its own node: the logs of new blocks, and the answers to what [`crate::relay::ledger`] asks.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use bitcoin::hashes::Hash;
use bitcoin::{ScriptBuf, Txid, XOnlyPublicKey};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD, VAULT};
use contracts::bridge::IBridge as bridge;
use contracts::deposits::IDeposits as deposits;
use contracts::vault::IVault as vault;
use contracts::{BitcoinLightClient, Bridge, Deposits, Federation, Vault};

use super::error::RoundError;
use super::node::Node;
use crate::io::sidechain::Error;
use crate::peg::{self, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use crate::relay::ledger::{Answer, DepositState, Ledger, PAGE, Question, VaultState};
use crate::relay::reading::small;
use crate::relay::view::{Block, BlockHead, Head, Withdrawal};

/// The contracts whose logs are followed.
const FOLLOWED: [Address; 6] = [SIGNING_BOARD, BRIDGE, VAULT, DEPOSITS, FEDERATION, LIGHT_CLIENT];

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
            let mut info = self.node.info().await?;
            if (info.chain_id, info.network_id) != (self.chain_id, self.network_id) {
                let url = self.node.url().to_owned();
                let said = |chain_id: u64, network_id: B256| format!("chain {chain_id}, network {network_id}");
                let (got, want) = (said(info.chain_id, info.network_id), said(self.chain_id, self.network_id));
                return Err(RoundError::OtherNetwork { url, got, want });
            }
            // They never change, whatever a node says.
            info.parameters.clone_from(&self.ledger.view().info.parameters);
            let logs = self.node.logs(&FOLLOWED, *blocks.start(), *blocks.end()).await?;
            let head = Head { number: head.number, time_s: head.timestamp };
            for odd in self.ledger.apply(&logs, *blocks.end(), head, info) {
                tracing::error!("{odd}");
            }
        }
        self.ask().await
    }

    /// Asks what logs do not tell. Questions that are not answered stay questions.
    pub async fn ask(&mut self) -> Result<(), RoundError> {
        if !self.ledger.is_current() {
            return Ok(()); // What is asked may be over by the time that all is read.
        }
        while let Some(question) = self.ledger.question() {
            let answer = ask(&*self.node, question).await?;
            self.ledger.answer(answer);
        }
        Ok(())
    }
}

async fn ask<N: Node>(node: &N, question: Question) -> Result<Answer, Error> {
    Ok(match question {
        Question::Limits => Answer::Limits(node.call(BRIDGE, &Bridge::limitsCall {}).await?.into()),
        Question::Vault(number) => {
            Answer::Vault(number, vault_state(node.call(VAULT, &Vault::vaultTransactionCall { number }).await?))
        }
        Question::Final(number) => Answer::Final(number, node.call(VAULT, &Vault::isFinalCall { number }).await?),
        Question::BestAt(height) => {
            let hash = node.call(LIGHT_CLIENT, &BitcoinLightClient::hashAtCall { height }).await?;
            Answer::BestAt(height, BlockHead::from_slice(&hash[..8]))
        }
        Question::Withdrawal(id) => {
            let call = Bridge::withdrawalCall { id: U256::from(id) };
            Answer::Withdrawal(id, withdrawal(node.call(BRIDGE, &call).await?))
        }
        Question::Queued { after } => {
            let call = Bridge::queuedWithdrawalsCall { after_: U256::from(after), limit: U256::from(PAGE) };
            let page = node.call(BRIDGE, &call).await?;
            Answer::Queued { ids: ids(page._0), next: next(page._1) }
        }
        Question::Tied { after } => {
            let call = Bridge::tiedWithdrawalsCall { after_: U256::from(after), limit: U256::from(PAGE) };
            let page = node.call(BRIDGE, &call).await?;
            Answer::Tied { ids: ids(page._0), next: next(page._1) }
        }
        Question::Live { after } => {
            let page = node.call(VAULT, &Vault::liveOutputsCall { after_: after, limit: PAGE }).await?;
            Answer::Live { numbers: page.numbers, next: (page.next != 0).then_some(page.next) }
        }
        Question::Deposit(outpoint) => {
            let txid = B256::from(outpoint.txid.to_byte_array());
            let call = Deposits::depositCall { txid, vout: outpoint.vout };
            Answer::Deposit(outpoint, deposit_state(node.call(DEPOSITS, &call).await?))
        }
    })
}

fn ids(ids: Vec<U256>) -> Vec<u64> {
    ids.into_iter().map(small).collect()
}

fn next(next: U256) -> Option<u64> {
    (!next.is_zero()).then(|| small(next))
}

/// None for a number that was not given out.
fn vault_state(now: vault::VaultTransaction) -> Option<VaultState> {
    let status = vault_status(now.status)?;
    let settled_in = (now.height != 0).then_some(Block { height: now.height, head: now.blockHead });
    Some(VaultState {
        status,
        output: output_status(now.output),
        txid: Txid::from_byte_array(now.txid.0),
        change_sat: now.changeSat,
        spent_by: (now.spentBy != 0).then_some(now.spentBy),
        settled_in,
        epoch: now.epoch,
        rooted: now.rooted,
    })
}

/// The Vault's enumerations, in their order.
fn vault_status(status: u8) -> Option<VaultStatus> {
    let known = [None, Some(VaultStatus::Bound), Some(VaultStatus::Settled), Some(VaultStatus::Void)];
    known.get(usize::from(status)).copied().flatten()
}

fn output_status(status: u8) -> OutputStatus {
    let known = [
        OutputStatus::None,
        OutputStatus::Pending,
        OutputStatus::Live,
        OutputStatus::Spent,
        OutputStatus::Gone,
        OutputStatus::Void,
    ];
    known.get(usize::from(status)).copied().unwrap_or(OutputStatus::None)
}

/// None when it is not open.
fn withdrawal(now: bridge::Withdrawal) -> Option<Withdrawal> {
    let known = [None, Some(WithdrawalStatus::Queued), Some(WithdrawalStatus::Tied)];
    let status = known.get(usize::from(now.status)).copied().flatten()?;
    let tie = (status == WithdrawalStatus::Tied).then_some(now.tie);
    Some(Withdrawal {
        status,
        amount_sat: now.amountSat,
        max_fee_sat: now.maxFeeSat,
        asked_at: now.askedAt.to(),
        tie,
        script: ScriptBuf::from_bytes(now.script.to_vec()),
    })
}

/// None when the ledger does not know it.
fn deposit_state(now: deposits::Deposit) -> Option<DepositState> {
    let known = [
        None,
        Some(DepositStatus::Proven),
        Some(DepositStatus::Swept),
        Some(DepositStatus::Minted),
        Some(DepositStatus::Gone),
    ];
    let status = known.get(usize::from(now.status)).copied().flatten()?;
    Some(DepositState {
        status,
        recipient: now.recipient,
        amount_sat: now.amountSat,
        max_fee_sat: now.maxFeeSat,
        minted: now.minted,
        minted_sat: now.mintedSat,
        bound: now.bound,
        swept_by: (now.sweptBy != 0).then_some(now.sweptBy),
        block: Block { height: now.height, head: now.blockHead },
        epoch: now.epoch,
    })
}

/// The id of a vault transaction, by its number.
pub async fn txid_of<N: Node>(node: &N, number: u32) -> Result<Txid, Error> {
    let now = node.call(VAULT, &Vault::vaultTransactionCall { number }).await?;
    Ok(Txid::from_byte_array(now.txid.0))
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
