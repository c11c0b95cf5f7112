//! Performing what is owed.

use std::time::Instant;

use ::bitcoin::hashes::Hash;
use ::bitcoin::{Block, BlockHash, OutPoint, Transaction, Txid, consensus};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use contracts::address::{BRIDGE, LIGHT_CLIENT};
use contracts::{BitcoinLightClient, Bridge, IBridge};
use mainchain::deposit::DepositTerms;
use mainchain::proof::{self, InclusionProof};

use super::{Relayer, RoundError};
use crate::io::sidechain::{Call, Error};
use crate::plan::Plan;
use crate::relay::{Action, Task};

impl Relayer {
    pub(super) async fn perform(&mut self, action: Action, bitcoin_is_there: bool) -> Result<(), RoundError> {
        let (store, ledger) = (&self.store, &self.ledger);
        match action {
            Action::RunDkg { epoch } => self.rounds.run_dkg(epoch, store, ledger, &mut self.sender).await,
            Action::RunSigning { number } => {
                let fee_rate = self.fee.1;
                let bitcoin = self.bitcoin.as_ref().filter(|_| bitcoin_is_there).map(|bitcoin| (bitcoin, fee_rate));
                self.rounds.run_signing(number, store, ledger, bitcoin, &mut self.sender).await
            }
            Action::SubmitHeaders => self.submit_headers().await,
            Action::Propose(plan) => self.propose(plan).await,
            Action::Broadcast { number } => self.broadcast(number).await,
            Action::Settle { number, block } => self.settle(number, block).await,
            Action::Unsettle { number } => {
                let call = Bridge::unsettleCall { number: U256::from(number) };
                if self.send(Task::Unsettle(number), BRIDGE, &call).await?.is_ok() {
                    tracing::warn!(
                        number,
                        "the block of a settled vault transaction left the best chain: unsettling it"
                    );
                }
                Ok(())
            }
        }
    }

    /// Sends a transaction for a task. A refusal is not an error: another relayer may have been first, or the facts have
    /// changed; the task rests for a while.
    async fn send<C: SolCall>(
        &mut self,
        task: Task,
        to: alloy_primitives::Address,
        call: &C,
    ) -> Result<Result<(), Error>, RoundError> {
        match self.sender.send(&Call::new(to, call), Some(task)).await {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.retry() => Err(error.into()),
            Err(error) => {
                tracing::debug!(?task, %error, "refused");
                self.held.insert(task, Instant::now());
                Ok(Err(error))
            }
        }
    }

    async fn submit_headers(&mut self) -> Result<(), RoundError> {
        let ahead = &self.ahead.1;
        let count = ahead.headers.len();
        let left = ahead.count;
        let headers: Vec<u8> = ahead.headers.iter().flat_map(consensus::serialize).collect();
        let task = Task::Headers(self.ledger.light().hash);
        match self.send(task, LIGHT_CLIENT, &BitcoinLightClient::submitCall { headers: headers.into() }).await? {
            Ok(()) => tracing::debug!(count, left, "submitted headers"),
            // What is ahead was compared with an older state perhaps: compare again.
            Err(_) => self.ahead.0 = None,
        }
        Ok(())
    }

    async fn propose(&mut self, plan: Plan) -> Result<(), RoundError> {
        let task = Task::Proposal(self.ledger.count);
        let mut deposits = Vec::new();
        for outpoint in &plan.deposits {
            let Some(proof) = self.deposit_proof(*outpoint).await? else {
                self.held.insert(task, Instant::now());
                return Ok(()); // A reorganisation came in between.
            };
            deposits.push(proof);
        }
        let proposal = IBridge::Proposal {
            deposits,
            vaultInputs: plan.vault_inputs.iter().copied().map(U256::from).collect(),
            withdrawals: plan.withdrawals.iter().copied().map(U256::from).collect(),
            feeSat: plan.fee.to_sat(),
        };
        match self.send(task, BRIDGE, &Bridge::proposeCall { proposal }).await? {
            Ok(()) => tracing::info!(
                deposits = plan.deposits.len(),
                withdrawals = plan.withdrawals.len(),
                vault_inputs = plan.vault_inputs.len(),
                fee_sat = plan.fee.to_sat(),
                "proposed a vault transaction"
            ),
            Err(error) => self.find_refused(&plan, &error).await?,
        }
        Ok(())
    }

    /// One deposit that the ledger refuses must not stop the others: they are proposed one by one, and what is refused
    /// alone is left out for a while.
    async fn find_refused(&mut self, plan: &Plan, error: &Error) -> Result<(), RoundError> {
        if error.revert().is_none() {
            return Ok(());
        }
        for outpoint in &plan.deposits {
            // Another relayer was first: nothing is wrong with it.
            if self.ledger.knows_deposit(*outpoint).await? {
                self.known_deposits.insert(*outpoint);
                return Ok(());
            }
        }
        match plan.deposits.as_slice() {
            [] => tracing::warn!(%error, "the ledger refuses a proposal"),
            [alone] if plan.withdrawals.is_empty() => {
                tracing::warn!(deposit = %alone, %error, "the ledger refuses a deposit");
                self.quarantine.insert(*alone, Instant::now());
            }
            _ => {
                tracing::warn!(%error, "the ledger refuses a proposal; proposing its deposits one by one");
                self.one_by_one = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// The proof of a deposit; none when it is not where it was found.
    async fn deposit_proof(&mut self, outpoint: OutPoint) -> Result<Option<IBridge::DepositProof>, RoundError> {
        let Some(bitcoin) = &mut self.bitcoin else {
            return Ok(None);
        };
        let Some(found) = bitcoin.tracker().found().find(|(known, _)| **known == outpoint).map(|(_, found)| *found)
        else {
            return Ok(None);
        };
        let Some(block) = bitcoin.block_at(found.height).await? else {
            return Ok(None);
        };
        let Some((transaction, inclusion)) = prove(&block, outpoint.txid) else {
            return Ok(None);
        };
        let Some(group_key) = self.rounds.group_keys.get(&found.terms.epoch) else {
            return Ok(None);
        };
        let output = found.terms.output(&self.peg, *group_key);
        Ok(Some(IBridge::DepositProof {
            transaction: proof::strip(&transaction).into(),
            vout: outpoint.vout,
            terms: terms(&found.terms),
            outputKeyY: output.output_key_y().into(),
            inclusion,
        }))
    }

    async fn broadcast(&mut self, number: u64) -> Result<(), RoundError> {
        let task = Task::Broadcast(number);
        let (Some(bitcoin), Some(transaction)) = (&self.bitcoin, self.rounds.complete.get(&number)) else {
            return Ok(());
        };
        let answer = bitcoin.rpc().broadcast(transaction).await;
        self.held.insert(task, Instant::now());
        match answer {
            Ok(txid) => tracing::info!(number, %txid, "broadcast the vault transaction"),
            Err(error) if error.retry() => return Err(error.into()),
            Err(error) => self.say_once(format!("bitcoind does not take vault transaction {number}: {error}")),
        }
        Ok(())
    }

    async fn settle(&mut self, number: u64, hash: BlockHash) -> Result<(), RoundError> {
        let task = Task::Settle(number);
        let (Some(bitcoin), Some(entry)) = (&self.bitcoin, self.ledger.open.get(&number)) else {
            return Ok(());
        };
        let txid = entry.transaction.txid();
        let proven = bitcoin.rpc().block(hash).await?.and_then(|block| prove(&block, txid));
        let Some((transaction, inclusion)) = proven else {
            self.held.insert(task, Instant::now());
            return Ok(()); // A reorganisation came in between.
        };
        let call = Bridge::settleCall {
            number: U256::from(number),
            transaction: proof::strip(&transaction).into(),
            inclusion,
        };
        if self.send(task, BRIDGE, &call).await?.is_ok() {
            tracing::info!(number, %txid, block = %hash, "settling the vault transaction");
        }
        Ok(())
    }

    fn say_once(&mut self, text: String) {
        if self.said.insert(text.clone()) {
            tracing::warn!("{text}");
        }
    }
}

/// A transaction of a block with the proof that it is in it; none if it is not.
fn prove(block: &Block, txid: Txid) -> Option<(Transaction, contracts::bridge::IBitcoinLightClient::InclusionProof)> {
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
        contracts::bridge::IBitcoinLightClient::InclusionProof {
            blockHash: B256::from(proof.block_hash.to_byte_array()),
            index: proof.index,
            siblings: proof.siblings.into_iter().map(B256::from).collect(),
            coinbase: proof.coinbase.into(),
            coinbaseSiblings: proof.coinbase_siblings.into_iter().map(B256::from).collect(),
        },
    ))
}

fn terms(terms: &DepositTerms) -> IBridge::DepositTerms {
    IBridge::DepositTerms {
        recipient: terms.recipient.into(),
        reclaimKey: B256::from(terms.reclaim_key.serialize()),
        maxFeeSat: terms.max_fee.to_sat(),
        epoch: terms.epoch,
    }
}
