//! Signing vault transactions together, driven by the posts of final blocks.
//!
//! The machines decide ([`crate::signing`], [`crate::policy`]); here their effects are performed in order: what is to be
//! kept is durable before the next effect, and a failure to keep it stops the relayer.
//!
//! The policy's questions to bitcoind are asked in tasks of their own ([`Evidence`]): while one hangs, all other
//! sessions go on, and so does this one once it was approved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{FeeRate, Transaction, TxOut, Txid, consensus};
use secp256k1::schnorr;
use tokio::task::JoinSet;

use super::bitcoind::Bitcoind;
use super::error::{FatalError, RoundError};
use super::gather_ledger::proposed_txid;
use super::key_generation::KEY_FILES;
use super::member::{Member, Random};
use super::node::Node;
use crate::board::{Effect, Post};
use crate::policy::{self, FeeBounds, Signed};
use crate::relay::approval::Approval;
use crate::relay::latecomers::Latecomers;
use crate::relay::ledger::{Entry, Ledger, LedgerView};
use crate::signing::{self, Session};
use crate::threshold::KeyShare;
use crate::vault_tx::VaultTransaction;

const SIGNED: &str = "signed.log";
const LATE: &str = "late.json";

/// The sessions that this member takes part in, and its promises.
pub struct Signing<N, B> {
    member: Arc<Member<N>>,
    bitcoind: Arc<B>,
    sessions: BTreeMap<u64, Open>,
    /// Signed vault transactions, by number.
    pub complete: BTreeMap<u64, Arc<Transaction>>,
    /// Those that were looked for in the store.
    recalled: BTreeSet<u64>,
    signed: Signed,
    late: Latecomers,
    gathering: JoinSet<(u64, Option<Evidence>)>,
}

/// A session of one vault transaction.
struct Open {
    machine: Session,
    read: usize,
    approval: Approval,
}

/// The facts that the policy wants besides the ledger's logs.
pub struct Evidence {
    /// The id under which the ledger has it as not settled.
    ledger_txid: Option<Txid>,
    /// Every input, as its own bitcoind has it unspent in its best chain.
    own_outputs: Vec<Option<TxOut>>,
}

impl<N: Node, B: Bitcoind> Signing<N, B> {
    pub fn open(member: Arc<Member<N>>, bitcoind: Arc<B>) -> Result<Self, FatalError> {
        let signed = recall_signed(&member)?;
        let late = member.store.get_json(LATE)?.unwrap_or_default();
        Ok(Self {
            member,
            bitcoind,
            late,
            sessions: BTreeMap::new(),
            complete: BTreeMap::new(),
            recalled: BTreeSet::new(),
            signed,
            gathering: JoinSet::new(),
        })
    }

    /// Takes part in signing a vault transaction; the posts to send. `fee_rate` is none while bitcoind does not
    /// answer; then only what was approved before goes on.
    pub fn step(
        &mut self,
        number: u64,
        ledger: &Ledger,
        shares: &BTreeMap<u32, KeyShare>,
        fee_rate: Option<FeeRate>,
        random: &mut dyn Random,
    ) -> Result<Vec<Post>, FatalError> {
        let Some(entry) = ledger.view().open.get(&number) else {
            return Ok(Vec::new());
        };
        if !self.open_session(number, entry, shares)? {
            return Ok(Vec::new());
        }
        if fee_rate.is_some() {
            self.gather(number, &entry.transaction);
        }
        let Some(open) = self.sessions.get_mut(&number) else {
            return Ok(Vec::new());
        };
        let events = ledger.posts_after(open.read);
        open.read = ledger.posts_len();
        let now = ledger.view().head.time_s;
        let late = self.late.named(now);
        let facts = signing::Facts { events: &events, now, may_sign: open.approval.is_given(), late: &late };
        let mut posts = Vec::new();
        for effect in open.machine.step(facts, &mut &mut *random) {
            match effect {
                Effect::Persist(state) => self.member.store.put_secret(&session_file(number), &state)?,
                Effect::Post(post) => posts.push(post),
                Effect::Blame(blame) => {
                    if self.late.late(blame.member, number, blame.attempt, now) {
                        tracing::warn!(number, %blame, "a member broke the signing, or kept it waiting");
                        self.member.store.put_json(LATE, &self.late)?;
                    }
                }
                Effect::Done(signatures) => {
                    if self.late.in_time(&open.machine.committed(), number) {
                        self.member.store.put_json(LATE, &self.late)?;
                    }
                    let transaction = attach(&self.member, number, &entry.transaction, &signatures)?;
                    self.complete.extend(transaction.map(|transaction| (number, Arc::new(transaction))));
                }
            }
        }
        Ok(posts)
    }

    /// The members that others wait for, with what they are waited for: in open sessions, and from before.
    #[must_use]
    pub fn waited_for(&self, now_s: u64) -> BTreeMap<u16, String> {
        let before = self.late.remembered().into_iter().map(|(member, times)| {
            let text = format!("it was late, or at fault, in {times} of its last signing rounds");
            (member, text)
        });
        let sessions = self.sessions.iter().filter_map(|(number, open)| Some((number, open.machine.missing(now_s)?)));
        let now = sessions.flat_map(|(number, (missing, members))| {
            let what = match missing {
                signing::Missing::Commitments => "commitments",
                signing::Missing::Shares => "signature shares",
            };
            members
                .into_iter()
                .map(move |member| (member, format!("its {what} for vault transaction {number} are missing")))
        });
        before.chain(now).collect()
    }

    /// Opens the session of a vault transaction; false when this member cannot take part.
    fn open_session(
        &mut self,
        number: u64,
        entry: &Entry,
        shares: &BTreeMap<u32, KeyShare>,
    ) -> Result<bool, FatalError> {
        if self.sessions.contains_key(&number) {
            return Ok(true);
        }
        let inputs = entry.transaction.signing_inputs();
        if inputs.iter().any(|input| !shares.contains_key(&input.epoch)) {
            return Ok(false); // Said when the key came into force.
        }
        let config = signing::Config {
            network: self.member.network,
            number,
            proposed_at: entry.proposed_in.time_s,
            share_deadline_s: signing::SHARE_DEADLINE_S,
            inputs,
        };
        let stored = self.member.store.get_secret(&session_file(number))?;
        let machine = Session::new(config, shares, stored.as_ref().map(|bytes| bytes.as_slice()))
            .map_err(|error| FatalError::Session(Box::new(error)))?;
        self.sessions.insert(number, Open { machine, read: 0, approval: Approval::default() });
        Ok(true)
    }

    /// Begins to ask for the policy's facts, when it is to be asked.
    fn gather(&mut self, number: u64, transaction: &VaultTransaction) {
        if !self.sessions.get_mut(&number).is_some_and(|open| open.approval.ask()) {
            return;
        }
        let (node, bitcoind) = (Arc::clone(&self.member.node), Arc::clone(&self.bitcoind));
        let outpoints = transaction.inputs().iter().map(|input| input.outpoint).collect();
        self.gathering.spawn(async move {
            let evidence = evidence(&*node, &*bitcoind, number, outpoints).await;
            let evidence =
                evidence.inspect_err(|error| tracing::debug!(number, %error, "its inputs are not known yet"));
            (number, evidence.ok())
        });
    }

    /// Waits for what was asked; never ends while nothing is asked.
    pub async fn gathered(&mut self) -> (u64, Option<Evidence>) {
        match self.gathering.join_next().await {
            Some(Ok(gathered)) => gathered,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// Asks its policy; whether it agrees. The promise not to sign anything that conflicts is durable before the first commitment can leave.
    pub fn approve(
        &mut self,
        (number, evidence): (u64, Option<Evidence>),
        ledger: &LedgerView,
        fee_rate: Option<FeeRate>,
    ) -> Result<bool, FatalError> {
        let (Some(open), Some(entry)) = (self.sessions.get_mut(&number), ledger.open.get(&number)) else {
            return Ok(false);
        };
        let (Some(evidence), Some(fee_rate)) = (evidence, fee_rate) else {
            open.approval.unanswered();
            return Ok(false);
        };
        let facts = policy::Facts {
            vault_tx: &entry.transaction,
            block_final: entry.proposed_in.number <= ledger.head.number,
            ledger_txid: evidence.ledger_txid,
            group_keys: &ledger.group_keys,
            own_outputs: &evidence.own_outputs,
            fee_bounds: FeeBounds::around(fee_rate),
        };
        let verdict =
            policy::approve(&facts, &self.signed).and_then(|()| self.signed.insert(entry.transaction.unsigned()));
        if let Ok(Some(record)) = &verdict {
            self.member.store.append(SIGNED, record)?;
        }
        if let Some(refusal) = open.approval.decided(verdict.map(|_| ())) {
            tracing::warn!(number, %refusal, "not signing");
        }
        Ok(open.approval.is_given())
    }

    /// Takes signed transactions of an earlier life out of the store.
    pub fn recall(&mut self, open: &BTreeMap<u64, Entry>) -> Result<(), FatalError> {
        for (number, entry) in open {
            if self.recalled.contains(number) {
                continue;
            }
            let stored = self.member.store.get(&complete_file(*number))?;
            self.recalled.insert(*number);
            let Some(bytes) = stored else {
                continue;
            };
            match consensus::deserialize::<Transaction>(&bytes) {
                Ok(transaction) if transaction.compute_txid() == entry.transaction.txid() => {
                    self.complete.insert(*number, Arc::new(transaction));
                }
                // The board still has what it takes to make it again.
                _ => self.member.store.remove(&complete_file(*number))?,
            }
        }
        Ok(())
    }

    /// Forgets vault transactions that are settled for good, but never the record of what was signed.
    pub fn forget(&mut self, numbers: &[u64]) -> Result<(), FatalError> {
        for number in numbers {
            self.sessions.remove(number);
            self.recalled.remove(number);
            self.complete.remove(number);
            self.member.store.remove(&session_file(*number))?;
            self.member.store.remove(&complete_file(*number))?;
        }
        Ok(())
    }
}

/// What was signed. Once there is a key the log must be there: without it this member does not know what it promised.
fn recall_signed<N>(member: &Member<N>) -> Result<Signed, FatalError> {
    let records = member.store.open_log(SIGNED, KEY_FILES)?;
    let signed = Signed::replay(records.iter().map(|record| record.as_slice()));
    signed.map_err(|error| FatalError::Record(error.to_string()))
}

async fn evidence<N: Node, B: Bitcoind>(
    node: &N,
    bitcoind: &B,
    number: u64,
    outpoints: Vec<bitcoin::OutPoint>,
) -> Result<Evidence, RoundError> {
    let mut own_outputs = Vec::new();
    for outpoint in outpoints {
        let unspent = bitcoind.unspent(outpoint, false).await?;
        own_outputs.push(unspent.map(|unspent| TxOut { value: unspent.value, script_pubkey: unspent.script_pubkey }));
    }
    Ok(Evidence { ledger_txid: proposed_txid(node, number).await?, own_outputs })
}

/// The signed transaction, kept; none when the signatures do not fit.
fn attach<N>(
    member: &Member<N>,
    number: u64,
    transaction: &VaultTransaction,
    signatures: &[schnorr::Signature],
) -> Result<Option<Transaction>, FatalError> {
    match transaction.attach(signatures) {
        Ok(signed) => {
            member.store.put(&complete_file(number), &consensus::serialize(&signed))?;
            tracing::info!(number, txid = %transaction.txid(), inputs = signatures.len(), "the vault transaction is signed");
            Ok(Some(signed))
        }
        // The machine verified each; should it happen nevertheless, Bitcoin would only refuse the transaction.
        Err(error) => {
            tracing::error!(number, %error, "signatures do not fit the vault transaction");
            Ok(None)
        }
    }
}

fn session_file(number: u64) -> String {
    format!("signing-{number}")
}

fn complete_file(number: u64) -> String {
    format!("vault-transaction-{number}")
}
