//! Performs owed actions. The outcome of each goes back to the machine, which decides what follows from it.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, Transaction, Txid, consensus};
use contracts::address::{BRIDGE, DEPOSITS, LIGHT_CLIENT, VAULT};
use contracts::{BitcoinLightClient, Bridge, Deposits, Vault, vault};
use mainchain::deposit::Peg;
use mainchain::header::Height;
use mainchain::io::rpc::RpcError;
use mainchain::proof::{self, InclusionProof};

use super::bitcoind::Bitcoind;
use super::calls::{deposit_proof, deposits_content, vault_proof};
use super::node::Node;
use super::tx_sender::TxSender;
use crate::io::sidechain::Call;
use crate::peg::Content;
use crate::relay::action::{Action, Killed};
use crate::relay::duty::{Kind, Task};
use crate::relay::facts::BitcoinView;
use crate::relay::machine::Outcome;
use crate::relay::spends::Spend;
use crate::relay::view::LedgerView;

/// Whom it acts on.
pub struct Performer<N, B> {
    pub bitcoind: Arc<B>,
    pub sender: Arc<TxSender<N>>,
    pub peg: Peg,
}

/// The facts that an action was decided from.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    pub ledger: &'a LedgerView,
    pub bitcoin: Option<&'a BitcoinView>,
}

/// Why an action did not come to its end.
enum Unfinished {
    /// A reorganisation came in between.
    Gone,
    Bitcoin(RpcError),
}

/// A transaction of a block, without witness, with the proof that it is in it.
struct Proven {
    transaction: alloy_primitives::Bytes,
    proof: InclusionProof,
}

impl<N: Node, B: Bitcoind> Performer<N, B> {
    /// Does it.
    pub async fn perform(&self, task: Task, action: &Action, grounds: Grounds<'_>) -> Outcome {
        let performed = match action {
            Action::SubmitHeaders => self.submit_headers(task, grounds).await,
            Action::Broadcast { number } => self.broadcast(*number, grounds.ledger).await,
            Action::Settle { number, block } => self.settle(task, *number, *block, grounds.ledger).await,
            Action::Unsettle { number } => self.unsettle(task, *number, grounds.ledger).await,
            Action::Bind { proposal } => self.bind(task, *proposal, grounds.ledger).await,
            Action::Propose { kind, content } => Ok(self.propose(task, *kind, content).await),
            Action::Prove { outpoint } => self.prove(task, *outpoint, grounds).await,
            Action::Mint { number, which } => self.mint(task, *number, which, grounds.ledger).await,
            Action::Void { number, input } => self.void(task, *number, *input, grounds.ledger).await,
            Action::Resubmit { outpoint } => self.resubmit(*outpoint, grounds).await,
            Action::Left { outpoint } => Ok(self.left(task, *outpoint).await),
            Action::DepositGone { outpoint, killed } => self.deposit_gone(task, *outpoint, *killed, grounds).await,
            Action::OutputGone { number, spend } => self.output_gone(task, *number, *spend).await,
            Action::Alarm { number, spend } => self.alarm(task, *number, *spend).await,
            Action::Refund { id } => Ok(self.send(task, BRIDGE, &Bridge::refundCall { id: U256::from(*id) }).await),
        };
        performed.unwrap_or_else(|error| error.outcome(task))
    }

    async fn submit_headers(&self, task: Task, grounds: Grounds<'_>) -> Result<Outcome, Unfinished> {
        let bitcoin = grounds.bitcoin.ok_or(Unfinished::Gone)?;
        let headers: Vec<u8> = bitcoin.headers.iter().flat_map(consensus::serialize).collect();
        let outcome = self.send(task, LIGHT_CLIENT, &BitcoinLightClient::submitCall { headers: headers.into() }).await;
        if outcome == Outcome::Sent {
            let left = bitcoin.comparison.map_or(0, |comparison| comparison.ahead());
            tracing::debug!(count = bitcoin.headers.len(), left, "submitted headers");
        }
        Ok(outcome)
    }

    async fn broadcast(&self, number: u32, ledger: &LedgerView) -> Result<Outcome, Unfinished> {
        let transaction = ledger.signed.get(&number).ok_or(Unfinished::Gone)?;
        let txid = self.bitcoind.broadcast(transaction).await?;
        tracing::info!(number, %txid, "broadcast the vault transaction");
        Ok(Outcome::Sent)
    }

    async fn settle(
        &self,
        task: Task,
        number: u32,
        hash: BlockHash,
        ledger: &LedgerView,
    ) -> Result<Outcome, Unfinished> {
        let entry = ledger.entries.get(&number).ok_or(Unfinished::Gone)?;
        let Proven { transaction, proof } = self.proven(hash, entry.txid).await?;
        let (content, inclusion) = (vault::IVault::Content::from(&entry.content), vault_proof(proof));
        let outcome = self.send(task, VAULT, &Vault::settleCall { number, content, transaction, inclusion }).await;
        if outcome == Outcome::Sent {
            tracing::info!(number, txid = %entry.txid, block = %hash, "settling the vault transaction");
        }
        Ok(outcome)
    }

    async fn unsettle(&self, task: Task, number: u32, ledger: &LedgerView) -> Result<Outcome, Unfinished> {
        let content = content_of(number, ledger)?;
        let outcome = self.send(task, VAULT, &Vault::unsettleCall { number, content }).await;
        if outcome == Outcome::Sent {
            tracing::warn!(number, "the block of a settled vault transaction left the best chain: unsettling it");
        }
        Ok(outcome)
    }

    async fn bind(&self, task: Task, proposal: u64, ledger: &LedgerView) -> Result<Outcome, Unfinished> {
        let open = ledger.proposals.get(&proposal).ok_or(Unfinished::Gone)?;
        let content = (&open.content).into();
        let outcome = self.send(task, VAULT, &Vault::bindCall { proposal, content }).await;
        if outcome == Outcome::Sent {
            tracing::info!(proposal, member = open.member, "binding an approved proposal");
        }
        Ok(outcome)
    }

    async fn propose(&self, task: Task, kind: Kind, content: &Content) -> Outcome {
        let network = B256::from(self.peg.network_id);
        let call = Vault::proposeCall { network, place: kind.place(), content: content.into() };
        let outcome = self.send(task, VAULT, &call).await;
        if outcome == Outcome::Sent {
            let Content { rate, deposits, outputs, withdrawals, .. } = content;
            let (deposits, outputs, withdrawals) = (deposits.len(), outputs.len(), withdrawals.len());
            tracing::info!(?kind, deposits, outputs, withdrawals, rate, "proposed a vault transaction");
        }
        outcome
    }

    async fn prove(&self, task: Task, outpoint: OutPoint, grounds: Grounds<'_>) -> Result<Outcome, Unfinished> {
        let bitcoin = grounds.bitcoin.ok_or(Unfinished::Gone)?;
        let deposit = bitcoin.tracked.get(&outpoint).ok_or(Unfinished::Gone)?;
        let group_key = grounds.ledger.group_keys.get(&deposit.terms.epoch).ok_or(Unfinished::Gone)?;
        let Proven { transaction, proof } = self.proven(self.hash_at(deposit.height).await?, outpoint.txid).await?;
        let call = Deposits::proveCall {
            transaction,
            vout: outpoint.vout,
            terms: crate::peg::Terms::from(&deposit.terms).into(),
            outputKeyY: deposit.terms.output(&self.peg, *group_key).output_key_y().into(),
            inclusion: deposit_proof(proof),
        };
        let outcome = self.send(task, DEPOSITS, &call).await;
        if outcome == Outcome::Sent {
            tracing::info!(%outpoint, amount_sat = deposit.amount.to_sat(), "proving a deposit");
        }
        Ok(outcome)
    }

    async fn mint(&self, task: Task, number: u32, which: &[u32], ledger: &LedgerView) -> Result<Outcome, Unfinished> {
        let content = deposits_content(&ledger.entries.get(&number).ok_or(Unfinished::Gone)?.content);
        let which = which.iter().map(|place| U256::from(*place)).collect();
        Ok(self.send(task, DEPOSITS, &Deposits::mintCall { number, content, which }).await)
    }

    async fn void(&self, task: Task, number: u32, input: u32, ledger: &LedgerView) -> Result<Outcome, Unfinished> {
        let (content, input) = (content_of(number, ledger)?, U256::from(input));
        let outcome = self.send(task, VAULT, &Vault::voidOutputCall { number, content, input }).await;
        if outcome == Outcome::Sent {
            tracing::info!(number, "a vault transaction can never confirm");
        }
        Ok(outcome)
    }

    async fn resubmit(&self, outpoint: OutPoint, grounds: Grounds<'_>) -> Result<Outcome, Unfinished> {
        let bitcoin = grounds.bitcoin.ok_or(Unfinished::Gone)?;
        let made_by = bitcoin.fundings.made_by(&outpoint);
        let (funding, ancestors) = made_by.split_last().ok_or(Unfinished::Gone)?;
        for ancestor in ancestors {
            // One that is in the chain already is refused: what matters is the last.
            if let Err(error) = self.bitcoind.broadcast(ancestor).await {
                tracing::debug!(%outpoint, %error, "bitcoind does not take an ancestor of a deposit's funding");
            }
        }
        self.bitcoind.broadcast(funding).await?;
        tracing::info!(%outpoint, "a deposit's funding was lost in a reorganisation: it is in the mempool again");
        Ok(Outcome::Sent)
    }

    async fn left(&self, task: Task, outpoint: OutPoint) -> Outcome {
        let (txid, vout) = (B256::from(outpoint.txid.to_byte_array()), outpoint.vout);
        self.send(task, DEPOSITS, &Deposits::leftCall { txid, vout }).await
    }

    async fn deposit_gone(
        &self,
        task: Task,
        outpoint: OutPoint,
        killed: Killed,
        grounds: Grounds<'_>,
    ) -> Result<Outcome, Unfinished> {
        let (path, input, spend) = match killed {
            Killed::Spent(spend) => (Vec::new(), 0, spend),
            Killed::Ancestor { ancestor, input, spend } => {
                let bitcoin = grounds.bitcoin.ok_or(Unfinished::Gone)?;
                let path = bitcoin.fundings.path(&outpoint, ancestor);
                if path.is_empty() {
                    return Err(Unfinished::Gone);
                }
                (path.into_iter().map(|made| proof::strip(made).into()).collect(), input, spend)
            }
        };
        let Proven { transaction: killer, proof } = self.proven(spend.block.hash, spend.by).await?;
        let call = Deposits::goneCall {
            txid: B256::from(outpoint.txid.to_byte_array()),
            vout: outpoint.vout,
            path,
            input: U256::from(input),
            killer,
            inclusion: deposit_proof(proof),
        };
        let outcome = self.send(task, DEPOSITS, &call).await;
        if outcome == Outcome::Sent {
            tracing::warn!(%outpoint, by = %spend.by, "a deposit can never be swept: something else spent it");
        }
        Ok(outcome)
    }

    async fn output_gone(&self, task: Task, number: u32, spend: Spend) -> Result<Outcome, Unfinished> {
        let Proven { transaction: killer, proof } = self.proven(spend.block.hash, spend.by).await?;
        let outcome = self.send(task, VAULT, &Vault::goneCall { number, killer, inclusion: vault_proof(proof) }).await;
        if outcome == Outcome::Sent {
            tracing::error!(number, by = %spend.by, "a vault output is lost: something that is no vault transaction spent it");
        }
        Ok(outcome)
    }

    async fn alarm(&self, task: Task, number: u32, spend: Spend) -> Result<Outcome, Unfinished> {
        let Proven { transaction: killer, proof } = self.proven(spend.block.hash, spend.by).await?;
        let outcome = self.send(task, VAULT, &Vault::alarmCall { number, killer, inclusion: vault_proof(proof) }).await;
        if outcome == Outcome::Sent {
            tracing::error!(number, by = %spend.by, "something that is no vault transaction spends a vault output: alarm");
        }
        Ok(outcome)
    }

    async fn hash_at(&self, height: Height) -> Result<BlockHash, Unfinished> {
        self.bitcoind.block_hash(height).await?.ok_or(Unfinished::Gone)
    }

    async fn proven(&self, hash: BlockHash, txid: Txid) -> Result<Proven, Unfinished> {
        let block = self.bitcoind.block(hash).await?.ok_or(Unfinished::Gone)?;
        let (transaction, proof) = prove(&block, txid).ok_or(Unfinished::Gone)?;
        Ok(Proven { transaction: proof::strip(&transaction).into(), proof })
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

fn content_of(number: u32, ledger: &LedgerView) -> Result<vault::IVault::Content, Unfinished> {
    Ok((&ledger.entries.get(&number).ok_or(Unfinished::Gone)?.content).into())
}

/// A transaction of a block with the proof that it is in it; none if it is not.
fn prove(block: &Block, txid: Txid) -> Option<(Transaction, InclusionProof)> {
    let transaction = block.txdata.iter().find(|transaction| transaction.compute_txid() == txid)?;
    match InclusionProof::build(block, txid) {
        Ok(proof) => Some((transaction.clone(), proof)),
        Err(error) => {
            tracing::warn!(%txid, block = %block.block_hash(), %error, "no proof can be made of a transaction");
            None
        }
    }
}
