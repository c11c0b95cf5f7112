//! Gathers facts from its own node: the logs of new blocks, and the answers to what [`crate::relay::ledger`] asks.

use std::collections::BTreeSet;
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
use crate::relay::ledger::{Answer, Cursor, DepositState, Ledger, PAGE, Question, VaultState};
use crate::relay::reading::{OddLog, small};
use crate::relay::view::{Block, BlockHead, Head, Withdrawal};

/// The contracts whose logs are followed.
const FOLLOWED: [Address; 6] = [SIGNING_BOARD, BRIDGE, VAULT, DEPOSITS, FEDERATION, LIGHT_CLIENT];

/// Oddities that are remembered so that they are not told again.
const MOST_TOLD: usize = 1_000;

/// The ledger, and the node that tells it.
pub struct LedgerGatherer<N> {
    source: Source<N>,
    pub ledger: Ledger,
    /// What is open, while it is read once more.
    again: Option<Ledger>,
    /// The node told something that cannot be.
    is_odd: bool,
    told: BTreeSet<String>,
}

/// The node, and the network that it has to be of.
struct Source<N> {
    node: Arc<N>,
    chain_id: u64,
    network_id: B256,
}

impl<N: Node> LedgerGatherer<N> {
    pub fn new(node: Arc<N>, ledger: Ledger) -> Self {
        let info = &ledger.view().info;
        let source = Source { node, chain_id: info.chain_id, network_id: info.network_id };
        Self { source, ledger, again: None, is_odd: false, told: BTreeSet::new() }
    }

    /// Reads what is new.
    pub async fn follow(&mut self) -> Result<(), RoundError> {
        let head = self.source.node.head().await?;
        let head = Head { number: head.number, time_s: head.timestamp };
        let odd = self.source.read(&mut self.ledger, head).await?;
        self.tell(odd);
        self.ask().await
    }

    /// Asks what logs do not tell. Questions that are not answered stay questions.
    pub async fn ask(&mut self) -> Result<(), RoundError> {
        self.source.ask(&mut self.ledger).await
    }

    /// Begins to read once more, beside what goes on, from where a restart would.
    pub fn begin_again(&mut self, cursor: Cursor) {
        self.again = Some(self.ledger.from_the_start(cursor));
    }

    /// Reads on what is read once more. True when that is as far as the ledger, and has taken its place.
    pub async fn follow_again(&mut self) -> Result<bool, RoundError> {
        let Some(mut again) = self.again.take() else { return Ok(false) };
        let odd = self.source.read(&mut again, self.ledger.view().head).await?;
        self.tell(odd);
        self.source.ask(&mut again).await?;
        if again.is_current() {
            self.ledger = again;
            return Ok(true);
        }
        self.again = Some(again);
        Ok(false)
    }

    /// Whether its node told something that cannot be since this was asked for the last time.
    pub fn take_odd(&mut self) -> bool {
        std::mem::take(&mut self.is_odd)
    }

    fn tell(&mut self, odd: Vec<OddLog>) {
        self.is_odd |= !odd.is_empty();
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        for odd in odd.into_iter().map(|odd| odd.to_string()) {
            if !self.told.contains(&odd) {
                tracing::error!("{odd}");
                self.told.insert(odd);
            }
        }
    }
}

impl<N: Node> Source<N> {
    /// Takes the next blocks up to `head` into a ledger; what in them is no vault transaction.
    async fn read(&self, ledger: &mut Ledger, head: Head) -> Result<Vec<OddLog>, RoundError> {
        let Some(blocks) = ledger.unread(head.number) else { return Ok(Vec::new()) };
        let mut info = self.node.info().await?;
        if (info.chain_id, info.network_id) != (self.chain_id, self.network_id) {
            let url = self.node.url().to_owned();
            let said = |chain_id: u64, network_id: B256| format!("chain {chain_id}, network {network_id}");
            let (got, want) = (said(info.chain_id, info.network_id), said(self.chain_id, self.network_id));
            return Err(RoundError::OtherNetwork { url, got, want });
        }
        // They never change, whatever a node says.
        info.parameters.clone_from(&ledger.view().info.parameters);
        let logs = self.node.logs(&FOLLOWED, *blocks.start(), *blocks.end()).await?;
        Ok(ledger.apply(&logs, *blocks.end(), head, info))
    }

    async fn ask(&self, ledger: &mut Ledger) -> Result<(), RoundError> {
        if !ledger.is_current() {
            return Ok(()); // What is asked may be over by the time that all is read.
        }
        while let Some(question) = ledger.question() {
            let answer = ask(&*self.node, question).await?;
            ledger.answer(answer);
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
