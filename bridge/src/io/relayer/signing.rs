//! Signing bound vault transactions together, driven by the posts of final blocks.
//!
//! The machines decide ([`crate::signing`], [`crate::policy`]); here their effects are performed in order: what is to be
//! kept is durable before the next effect, and a failure to keep it stops the relayer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, TxOut, XOnlyPublicKey, consensus};
use light::facts::Facts;
use secp256k1::schnorr;

use super::approving::state_file;
use super::bitcoind::Bitcoind;
use super::error::FatalError;
use super::evidence::{Evidence, Gathering, Inquiry};
use super::member::{Member, Random};
use super::node::Node;
use super::promises::Promises;
use crate::board::{Effect, Post};
use crate::policy::proven::{self, ProvenBound};
use crate::policy::{self, FeeBounds, Refusal};
use crate::relay::approval::{Approval, News};
use crate::relay::drafting::spent_outputs;
use crate::relay::facts::BitcoinView;
use crate::relay::ledger::Ledger;
use crate::relay::mailboxes::Subject;
use crate::relay::view::{Entry, LedgerView};
use crate::signing::{self, Session, SessionError};
use crate::threshold::KeyShare;
use crate::vault;
use crate::vault_tx::facts::Rules;
use crate::vault_tx::{VaultTransaction, VaultTxError};

/// Signed vault transactions, by number.
pub type Complete = Arc<BTreeMap<u32, Arc<Transaction>>>;

/// The sessions that this member takes part in.
pub struct Signing<N, B> {
    member: Arc<Member<N>>,
    bitcoind: Arc<B>,
    sessions: BTreeMap<u32, Open>,
    pub complete: Complete,
    /// Those that were looked for in the store.
    recalled: BTreeSet<u32>,
    /// Those that cannot be signed: told once.
    odd: BTreeSet<u32>,
    gathering: Gathering<u32>,
}

/// A session of one vault transaction.
struct Open {
    machine: Session,
    transaction: VaultTransaction,
    policy: Approval,
}

/// Why what is told of a bound vault transaction leads to no signature, whatever the policy says.
#[derive(Debug, thiserror::Error)]
enum Odd {
    #[error("nobody has proposed it, as far as the logs tell")]
    Unproposed,
    #[error("it is no vault transaction: {0}")]
    Transaction(VaultTxError),
    #[error(transparent)]
    Session(SessionError),
}

impl<N: Node, B: Bitcoind> Signing<N, B> {
    pub fn new(member: Arc<Member<N>>, bitcoind: Arc<B>) -> Self {
        Self {
            member,
            bitcoind,
            sessions: BTreeMap::new(),
            complete: Complete::default(),
            recalled: BTreeSet::new(),
            odd: BTreeSet::new(),
            gathering: Gathering::new(),
        }
    }

    /// Knows nothing of what is open but what is in the store, as after a start.
    pub fn begin_again(&mut self) {
        self.sessions.clear();
        self.recalled.clear();
        self.gathering = Gathering::new();
    }

    /// Takes part in signing a vault transaction; the posts to send.
    pub fn step(
        &mut self,
        number: u32,
        ledger: &mut Ledger,
        shares: &BTreeMap<u32, KeyShare>,
        promises: &mut Promises<N>,
        random: &mut dyn Random,
    ) -> Result<Vec<Post>, FatalError> {
        let Some(entry) = ledger.view().entries.get(&number).cloned() else { return Ok(Vec::new()) };
        match self.open_session(number, &entry, ledger.view(), shares)? {
            Ok(true) => {}
            Ok(false) => return Ok(Vec::new()),
            Err(odd) => {
                promises.contradicted();
                if self.odd.insert(number) {
                    tracing::error!(number, %odd, "what the ledger has bound cannot be signed");
                }
                return Ok(Vec::new());
            }
        }
        self.gather(number, &entry, promises);
        let Some(open) = self.sessions.get_mut(&number) else { return Ok(Vec::new()) };
        let events = ledger.mail.take(Subject::Signing(number));
        let now = ledger.view().head.time_s;
        let late = promises.late(now);
        let facts = signing::Facts { events: &events, now, may_sign: open.policy.is_given(), late: &late };
        let mut posts = Vec::new();
        for effect in open.machine.step(facts, &mut &mut *random) {
            match effect {
                Effect::Persist(state) => self.member.store.put_secret(&state_file(entry.proposal), &state)?,
                Effect::Post(post) => posts.push(post),
                Effect::Blame(blame) => promises.blame(number, &blame, now)?,
                Effect::Done(signatures) => {
                    promises.in_time(number, &open.machine.committed())?;
                    let transaction = attach(&self.member, number, &open.transaction, &signatures)?;
                    let complete = Arc::make_mut(&mut self.complete);
                    complete.extend(transaction.map(|transaction| (number, Arc::new(transaction))));
                }
            }
        }
        Ok(posts)
    }

    /// How many vault transactions are being signed.
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The members that others wait for in open sessions, with what they are waited for.
    #[must_use]
    pub fn waited_for(&self, now_s: u64) -> BTreeMap<u16, String> {
        let missing = |(number, open): (&u32, &Open)| {
            let (missing, members) = open.machine.missing(now_s)?;
            let what = match missing {
                signing::Missing::Commitments => "commitments",
                signing::Missing::Shares => "signature shares",
            };
            let text = format!("its {what} for vault transaction {number} are missing");
            Some(members.into_iter().map(move |member| (member, text.clone())))
        };
        self.sessions.iter().filter_map(missing).flatten().collect()
    }

    /// Opens the session of a vault transaction; false when this member cannot take part. What is told of it may be no vault transaction at all.
    fn open_session(
        &mut self,
        number: u32,
        entry: &Entry,
        ledger: &LedgerView,
        shares: &BTreeMap<u32, KeyShare>,
    ) -> Result<Result<bool, Odd>, FatalError> {
        if self.sessions.contains_key(&number) {
            return Ok(Ok(true));
        }
        let Some(proposed) = &entry.proposed else { return Ok(Err(Odd::Unproposed)) };
        let Some(inputs) = spent_outputs(ledger, &entry.content) else { return Ok(Ok(false)) };
        if inputs.iter().any(|input| !shares.contains_key(&input.epoch)) {
            return Ok(Ok(false)); // Said when the key came into force.
        }
        let change = Amount::from_sat(entry.change_sat);
        let transaction = match VaultTransaction::parse(&entry.transaction, inputs, change) {
            Ok(transaction) => transaction,
            Err(error) => return Ok(Err(Odd::Transaction(error))),
        };
        let config = signing::Config {
            network: self.member.network,
            number,
            proposal: entry.proposal,
            content: proposed.content_hash,
            named_inputs: proposed.inputs,
            bound_at: entry.bound_in.time_s,
            share_deadline_s: signing::SHARE_DEADLINE_S,
            approvals: proposed.approvals.to_vec(),
            inputs: transaction.signing_inputs(),
        };
        let stored = self.member.store.get_secret(&state_file(entry.proposal))?;
        match Session::new(config, shares, stored.as_ref().map(|bytes| bytes.as_slice())) {
            Ok(machine) => {
                self.sessions.insert(number, Open { machine, transaction, policy: Approval::default() });
                Ok(Ok(true))
            }
            Err(error @ SessionError::Damaged(_)) => Err(FatalError::Session(Box::new(error))),
            Err(error) => Ok(Err(Odd::Session(error))),
        }
    }

    /// Begins to ask for the policy's facts, when it is to be asked.
    fn gather(&mut self, number: u32, entry: &Entry, promises: &Promises<N>) {
        if self.sessions.get_mut(&number).is_some_and(|open| open.policy.ask()) {
            let seen = promises.seen.get(&entry.proposal);
            let is_new = |outpoint: &OutPoint| seen.is_none_or(|seen| !seen.contains_key(outpoint));
            let inputs = entry.outpoints().filter(is_new).collect();
            let wanted = proven::wanted_of_bound(entry.txid, &entry.content, entry.epoch);
            let inquiry = Inquiry { inputs, wanted, doubted: promises.doubted() };
            self.gathering.begin(number, inquiry, &self.member, &self.bitcoind);
        }
    }

    /// Waits for what was asked; never ends while nothing is asked.
    pub async fn gathered(&mut self) -> (u32, Option<Evidence>) {
        self.gathering.next().await
    }

    /// Asks its policy; whether it agrees. The promise not to sign anything that could confirm besides is durable before a share can leave.
    pub fn decide(
        &mut self,
        (number, evidence): (u32, Option<Evidence>),
        ledger: &LedgerView,
        bitcoin: Option<&BitcoinView>,
        promises: &mut Promises<N>,
    ) -> Result<bool, FatalError> {
        let (Some(open), Some(entry)) = (self.sessions.get_mut(&number), ledger.entries.get(&number)) else {
            return Ok(false);
        };
        let verdict = match evidence {
            Some(evidence) => {
                promises.have_ended(&evidence.ended);
                verdict(&self.member, (number, entry, &open.transaction), &evidence, ledger, bitcoin, promises)?
            }
            None => None,
        };
        let Some(verdict) = verdict else {
            open.policy.unanswered();
            return Ok(false);
        };
        promises.note(&verdict);
        match open.policy.decided(verdict) {
            Some(News::Refused(refusal)) => tracing::warn!(number, %refusal, "not signing"),
            Some(News::Over) => tracing::info!(number, "no longer: not signing"),
            None => {}
        }
        Ok(open.policy.is_given())
    }

    /// Takes signed transactions of an earlier life out of the store.
    pub fn recall(&mut self, entries: &BTreeMap<u32, Entry>) -> Result<(), FatalError> {
        for (number, entry) in entries {
            if self.recalled.contains(number) {
                continue;
            }
            let stored = self.member.store.get(&complete_file(*number))?;
            self.recalled.insert(*number);
            let Some(bytes) = stored else {
                continue;
            };
            match consensus::deserialize::<Transaction>(&bytes) {
                Ok(transaction) if transaction.compute_txid() == entry.txid => {
                    Arc::make_mut(&mut self.complete).insert(*number, Arc::new(transaction));
                }
                // The board still has what it takes to make it again.
                _ => self.member.store.remove(&complete_file(*number))?,
            }
        }
        Ok(())
    }

    /// Forgets vault transactions that are over, with the proposals that they were, but never the record of what was signed.
    pub fn forget(&mut self, over: &[(u32, u64)]) -> Result<(), FatalError> {
        for (number, proposal) in over {
            if self.sessions.remove(number).is_some_and(|open| open.policy.is_refused()) {
                tracing::info!(number, "no longer: not signing; it needs no signature of this member any more");
            }
            self.recalled.remove(number);
            self.odd.remove(number);
            Arc::make_mut(&mut self.complete).remove(number);
            self.member.store.remove(&state_file(*proposal))?;
            self.member.store.remove(&complete_file(*number))?;
        }
        Ok(())
    }
}

/// None while a fact is missing.
fn verdict<N: Node>(
    member: &Member<N>,
    (number, entry, transaction): (u32, &Entry, &VaultTransaction),
    evidence: &Evidence,
    ledger: &LedgerView,
    bitcoin: Option<&BitcoinView>,
    promises: &mut Promises<N>,
) -> Result<Option<Result<(), Refusal>>, FatalError> {
    let Some(group_key) = ledger.group_keys.get(&entry.epoch) else { return Ok(None) };
    let approved = |proposed: &crate::relay::view::Proposed| {
        proposed.approvals.iter().any(|approval| approval.member == member.me)
    };
    let fee_bounds = if entry.proposed.as_ref().is_some_and(approved) {
        None
    } else {
        let Some(rates) = bitcoin.and_then(|bitcoin| bitcoin.rates) else { return Ok(None) };
        Some(FeeBounds::around(rates.now))
    };
    let vault_key = vault::output_key(*group_key, &member.recovery_leaf);
    let proven = match proven_bound(member, (number, entry), (*group_key, vault_key), &evidence.facts) {
        Ok(proven) => proven,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let ended = promises.ended.clone();
    let seen = promises.seen.get(&entry.proposal);
    let own_output = |outpoint: OutPoint| {
        let found = evidence.own_outputs.get(&outpoint);
        found.or_else(|| seen.and_then(|seen| seen.get(&outpoint))).cloned()
    };
    let own_outputs: Vec<Option<TxOut>> = entry.outpoints().map(own_output).collect();
    let bound = policy::Bound {
        content: &entry.content,
        transaction,
        is_final: entry.bound_in.number <= ledger.head.number,
        ledger_txid: Some(proven.txid),
        withdrawals: &proven.withdrawals,
        rules: &Rules::from(&member.parameters),
        vault_key,
        group_keys: &ledger.group_keys,
        own_outputs: &own_outputs,
        fee_bounds,
        ended: &ended,
    };
    match policy::sign(&bound, &promises.signed) {
        Ok(()) => promises.promise(&bound).map(Some),
        Err(refusal) => Ok(Some(Err(refusal))),
    }
}

/// What is proven of what was bound, under a young header.
fn proven_bound<N>(
    member: &Member<N>,
    (number, entry): (u32, &Entry),
    (group_key, vault_key): (XOnlyPublicKey, XOnlyPublicKey),
    facts: &Facts,
) -> Result<ProvenBound, Refusal> {
    proven::require_young(facts, member.clock.unix_ms() / 1_000)?;
    proven::require_group_key(entry.epoch, group_key, facts)?;
    proven::bound_facts((number, entry.txid, &entry.content), (entry.epoch, vault_key), facts)
}

/// The signed transaction, kept; none when the signatures do not fit.
fn attach<N>(
    member: &Member<N>,
    number: u32,
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

fn complete_file(number: u32) -> String {
    format!("vault-transaction-{number}")
}
