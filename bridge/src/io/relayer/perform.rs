//! Performs owed actions. The outcome of each goes back to the machine, which decides what follows from it.

use mainchain::header::{Height, to_bytes};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use bitcoin::{Block, BlockHash, OutPoint, Transaction, Txid, consensus};
use contracts::address::{BRIDGE, LIGHT_CLIENT};
use contracts::bridge::IBitcoinLightClient;
use contracts::{BitcoinLightClient, Bridge, IBridge};
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::io::rpc::RpcError;
use mainchain::proof::{self, InclusionProof};

use super::bitcoind::Bitcoind;
use super::node::Node;
use super::tx_sender::TxSender;
use crate::io::sidechain::Call;
use crate::plan::Plan;
use crate::relay::deposit_tracker::TrackedDeposit;
use crate::relay::duty::Task;
use crate::relay::facts::BitcoinView;
use crate::relay::ledger::LedgerView;
use crate::relay::machine::Outcome;
use crate::relay::owed::Action;

/// Whom it acts on.
pub struct Performer<N, B> {
    pub bitcoind: Arc<B>,
    pub sender: Arc<TxSender<N>>,
    pub peg: Peg,
}

/// Why an action did not come to its end.
enum Unfinished {
    /// A reorganisation came in between.
    Gone,
    Bitcoin(RpcError),
}

impl<N: Node, B: Bitcoind> Performer<N, B> {
    /// Does it, with the facts that it was decided from.
    pub async fn perform(
        &self,
        task: Task,
        action: &Action,
        ledger: &LedgerView,
        bitcoin: Option<&BitcoinView>,
    ) -> Outcome {
        let bitcoin = bitcoin.ok_or(Unfinished::Gone);
        let performed = match action {
            Action::Unsettle { number } => Ok(self.unsettle(task, *number).await),
            Action::Broadcast { number } => Ok(self.broadcast(*number, ledger).await),
            Action::Settle { number, block } => self.settle(task, *number, *block, ledger).await,
            Action::SubmitHeaders => match bitcoin {
                Ok(bitcoin) => Ok(self.submit_headers(task, bitcoin).await),
                Err(error) => Err(error),
            },
            Action::Propose(plan) => match bitcoin {
                Ok(bitcoin) => self.propose(task, plan, ledger, bitcoin).await,
                Err(error) => Err(error),
            },
        };
        performed.unwrap_or_else(|error| error.outcome(task))
    }

    async fn submit_headers(&self, task: Task, bitcoin: &BitcoinView) -> Outcome {
        let headers: Vec<u8> = bitcoin.headers.iter().flat_map(consensus::serialize).collect();
        let outcome = self.send(task, LIGHT_CLIENT, &BitcoinLightClient::submitCall { headers: headers.into() }).await;
        if outcome == Outcome::Sent {
            let left = bitcoin.comparison.map_or(0, |comparison| comparison.ahead());
            tracing::debug!(count = bitcoin.headers.len(), left, "submitted headers");
        }
        outcome
    }

    async fn propose(
        &self,
        task: Task,
        plan: &Plan,
        ledger: &LedgerView,
        bitcoin: &BitcoinView,
    ) -> Result<Outcome, Unfinished> {
        let proposal = IBridge::Proposal {
            network: B256::from(self.peg.network_id),
            deposits: self.prove_deposits(&plan.deposits, ledger, bitcoin).await?,
            vaultInputs: plan.vault_inputs.iter().copied().map(U256::from).collect(),
            withdrawals: plan.withdrawals.iter().copied().map(U256::from).collect(),
            feeSat: plan.fee.to_sat(),
        };
        let outcome = self.send(task, BRIDGE, &Bridge::proposeCall { proposal }).await;
        if outcome == Outcome::Sent {
            tracing::info!(
                deposits = plan.deposits.len(),
                withdrawals = plan.withdrawals.len(),
                vault_inputs = plan.vault_inputs.len(),
                fee_sat = plan.fee.to_sat(),
                "proposed a vault transaction"
            );
        }
        Ok(outcome)
    }

    /// The proofs of deposits, each block fetched once.
    async fn prove_deposits(
        &self,
        outpoints: &[OutPoint],
        ledger: &LedgerView,
        bitcoin: &BitcoinView,
    ) -> Result<Vec<IBridge::DepositProof>, Unfinished> {
        let deposit = |outpoint: &OutPoint| bitcoin.tracked.get(outpoint).ok_or(Unfinished::Gone);
        let mut blocks = BTreeMap::new();
        for outpoint in outpoints {
            if let Entry::Vacant(vacant) = blocks.entry(deposit(outpoint)?.height) {
                let block = self.block_at(*vacant.key()).await?;
                vacant.insert(block);
            }
        }
        let prove = |outpoint: &OutPoint| {
            let deposit = deposit(outpoint)?;
            self.deposit_proof(*outpoint, deposit, &blocks[&deposit.height], ledger).ok_or(Unfinished::Gone)
        };
        outpoints.iter().map(prove).collect()
    }

    async fn block_at(&self, height: Height) -> Result<Block, Unfinished> {
        let hash = self.bitcoind.block_hash(height).await?.ok_or(Unfinished::Gone)?;
        self.bitcoind.block(hash).await?.ok_or(Unfinished::Gone)
    }

    /// None when the deposit is not where it was found.
    fn deposit_proof(
        &self,
        outpoint: OutPoint,
        deposit: &TrackedDeposit,
        block: &Block,
        ledger: &LedgerView,
    ) -> Option<IBridge::DepositProof> {
        let (transaction, inclusion) = prove(block, outpoint.txid)?;
        let group_key = ledger.group_keys.get(&deposit.terms.epoch)?;
        let output = deposit.terms.output(&self.peg, *group_key);
        Some(IBridge::DepositProof {
            transaction: proof::strip(&transaction).into(),
            vout: outpoint.vout,
            terms: terms(&deposit.terms),
            outputKeyY: output.output_key_y().into(),
            inclusion,
        })
    }

    async fn broadcast(&self, number: u64, ledger: &LedgerView) -> Outcome {
        let Some(transaction) = ledger.signed.get(&number) else {
            return Outcome::Gone;
        };
        match self.bitcoind.broadcast(transaction).await {
            Ok(txid) => {
                tracing::info!(number, %txid, "broadcast the vault transaction");
                Outcome::Sent
            }
            Err(error) if error.retry() => Outcome::Unanswered,
            Err(error) => Outcome::Refused { reason: error.to_string() },
        }
    }

    async fn settle(
        &self,
        task: Task,
        number: u64,
        hash: BlockHash,
        ledger: &LedgerView,
    ) -> Result<Outcome, Unfinished> {
        let txid = ledger.open.get(&number).ok_or(Unfinished::Gone)?.transaction.txid();
        let block = self.bitcoind.block(hash).await?.ok_or(Unfinished::Gone)?;
        let (transaction, inclusion) = prove(&block, txid).ok_or(Unfinished::Gone)?;
        let call = Bridge::settleCall {
            number: U256::from(number),
            transaction: proof::strip(&transaction).into(),
            inclusion,
        };
        let outcome = self.send(task, BRIDGE, &call).await;
        if outcome == Outcome::Sent {
            tracing::info!(number, %txid, block = %hash, "settling the vault transaction");
        }
        Ok(outcome)
    }

    async fn unsettle(&self, task: Task, number: u64) -> Outcome {
        let outcome = self.send(task, BRIDGE, &Bridge::unsettleCall { number: U256::from(number) }).await;
        if outcome == Outcome::Sent {
            tracing::warn!(number, "the block of a settled vault transaction left the best chain: unsettling it");
        }
        outcome
    }

    /// Sends a transaction for a task. A refusal is not an error: another relayer may have been first, or the facts have
    /// changed.
    async fn send<C: SolCall>(&self, task: Task, to: Address, call: &C) -> Outcome {
        let call = Call::new(to, call);
        match self.sender.send(&call, Some(task)).await {
            Ok(_) => Outcome::Sent,
            Err(error) if error.retry() => Outcome::Unanswered,
            Err(error) => {
                tracing::debug!(?task, %error, "refused");
                let reason = error.to_string();
                if error.revert().is_some() { Outcome::Reverted { reason } } else { Outcome::Refused { reason } }
            }
        }
    }
}

impl Unfinished {
    fn outcome(self, task: Task) -> Outcome {
        match self {
            Self::Gone => Outcome::Gone,
            Self::Bitcoin(error) if error.retry() => {
                tracing::debug!(?task, %error, "bitcoind did not answer");
                Outcome::Unanswered
            }
            // As a block that a pruned one has deleted.
            Self::Bitcoin(error) => Outcome::Refused { reason: error.to_string() },
        }
    }
}

impl From<RpcError> for Unfinished {
    fn from(error: RpcError) -> Self {
        Self::Bitcoin(error)
    }
}

/// A transaction of a block with the proof that it is in it; none if it is not.
fn prove(block: &Block, txid: Txid) -> Option<(Transaction, IBitcoinLightClient::InclusionProof)> {
    let transaction = block.txdata.iter().find(|transaction| transaction.compute_txid() == txid)?;
    let proof = match InclusionProof::build(block, txid) {
        Ok(proof) => proof,
        Err(error) => {
            tracing::warn!(%txid, block = %block.block_hash(), %error, "no proof can be made of a transaction");
            return None;
        }
    };
    Some((
        transaction.clone(),
        IBitcoinLightClient::InclusionProof {
            header: to_bytes(&proof.header).into(),
            index: proof.index,
            siblings: proof.siblings.into_iter().map(B256::from).collect(),
            leftmost: proof.leftmost.into_iter().map(B256::from).collect(),
        },
    ))
}

fn terms(terms: &DepositTerms) -> IBridge::DepositTerms {
    crate::peg::Terms::from(terms).into()
}
