//! Approving proposals: the policy is asked, and the first commitments of a signing are the answer.
//!
//! The nonces are durable before their commitments leave. A proposal's number never comes back and is bound at most once, so they meet one
//! transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{OutPoint, TxOut};
use light::facts::Facts;

use super::bitcoind::Bitcoind;
use super::error::FatalError;
use super::evidence::{Evidence, Gathering, Inquiry};
use super::member::{Member, Random};
use super::node::Node;
use super::promises::Promises;
use crate::board::{Effect, Post};
use crate::policy::{self, FeeBounds, proven};
use crate::relay::approval::{Approval, News};
use crate::relay::drafting::{InUse, ledger_facts, spent_outputs};
use crate::relay::facts::BitcoinView;
use crate::relay::proposers::Proposers;
use crate::relay::proposing::conditions;
use crate::relay::versions::Waiting;
use crate::relay::view::{LedgerView, Proposal};
use crate::signing;
use crate::threshold::KeyShare;
use crate::vault_tx::facts::LedgerFacts;

/// The proposals that this member may approve.
pub struct Approving<N, B> {
    member: Arc<Member<N>>,
    bitcoind: Arc<B>,
    open: BTreeMap<u64, Open>,
    proposers: Proposers,
    waiting: Waiting,
    gathering: Gathering<u64>,
    /// Whether what an earlier life left was looked through.
    is_tidy: bool,
}

struct Open {
    machine: signing::Approval,
    policy: Approval,
}

/// What the names of the files begin with that hold nonces.
const STATE_FILES: &str = "signing-";

/// The durable state of a proposal's approval, and then of its signing.
pub fn state_file(proposal: u64) -> String {
    format!("{STATE_FILES}{proposal}")
}

impl<N: Node, B: Bitcoind> Approving<N, B> {
    pub fn new(member: Arc<Member<N>>, bitcoind: Arc<B>) -> Self {
        let (open, proposers, waiting) = (BTreeMap::new(), Proposers::default(), Waiting::default());
        Self { member, bitcoind, open, proposers, waiting, gathering: Gathering::new(), is_tidy: false }
    }

    /// Knows nothing of what is open but what is in the store, as after a start.
    pub fn begin_again(&mut self) {
        self.open.clear();
        self.gathering = Gathering::new();
    }

    /// Looks at who proposes what comes to something, and at what waits for how long.
    pub fn look(&mut self, ledger: &LedgerView, bitcoin: Option<&BitcoinView>) {
        self.proposers.look(ledger, self.member.me);
        if let Some(bitcoin) = bitcoin {
            self.waiting.look(ledger, bitcoin);
        }
    }

    /// Takes part in approving a proposal; the posts to send.
    pub fn step(
        &mut self,
        number: u64,
        ledger: &LedgerView,
        shares: &BTreeMap<u32, KeyShare>,
        promises: &Promises<N>,
        random: &mut dyn Random,
    ) -> Result<Vec<Post>, FatalError> {
        let Some(proposal) = ledger.proposals.get(&number) else { return Ok(Vec::new()) };
        let now = ledger.head.time_s;
        let on_board = proposal.approvals.contains(&self.member.me);
        if on_board || !self.proposers.may_propose(proposal.member, now) || !self.open(number, proposal, shares)? {
            return Ok(Vec::new());
        }
        self.gather(number, proposal, ledger, promises);
        let Some(open) = self.open.get_mut(&number).filter(|open| open.policy.is_given()) else {
            return Ok(Vec::new());
        };
        let late = promises.late(now);
        let facts = signing::ApprovalFacts { now, is_on_board: on_board, late: &late };
        let mut posts = Vec::new();
        for effect in open.machine.step(facts, &mut &mut *random) {
            match effect {
                Effect::Persist(state) => self.member.store.put_secret(&state_file(number), &state)?,
                Effect::Post(post) => posts.push(post),
                Effect::Blame(_) | Effect::Done(()) => {}
            }
        }
        Ok(posts)
    }

    /// False when this member has no share of the key.
    fn open(&mut self, number: u64, proposal: &Proposal, shares: &BTreeMap<u32, KeyShare>) -> Result<bool, FatalError> {
        if self.open.contains_key(&number) {
            return Ok(true);
        }
        let Some(share) = shares.get(&proposal.content.epoch) else { return Ok(false) };
        let config = signing::ApprovalConfig {
            network: self.member.network,
            proposal: number,
            content: proposal.content_hash,
            inputs: proposal.content.deposits.len() + proposal.content.outputs.len(),
        };
        let stored = self.member.store.get_secret(&state_file(number))?;
        let machine = signing::Approval::new(config, share, stored.as_ref().map(|bytes| bytes.as_slice()));
        let machine = match machine {
            Ok(machine) => machine,
            Err(error @ signing::SessionError::Damaged(_)) => return Err(FatalError::Session(Box::new(error))),
            Err(error) => {
                tracing::warn!(proposal = number, %error, "not approving");
                return Ok(false);
            }
        };
        self.open.insert(number, Open { machine, policy: Approval::default() });
        Ok(true)
    }

    /// Begins to ask for the policy's facts, when it is to be asked.
    fn gather(&mut self, number: u64, proposal: &Proposal, ledger: &LedgerView, promises: &Promises<N>) {
        let Some(inputs) = spent_outputs(ledger, &proposal.content) else { return };
        if !self.open.get_mut(&number).is_some_and(|open| open.policy.ask()) {
            return;
        }
        let inputs: Vec<OutPoint> = inputs.into_iter().map(|input| input.outpoint).collect();
        let wanted = proven::wanted_of_proposal(number, &proposal.content, &inputs, ledger.info.epoch);
        let inquiry = Inquiry { inputs, wanted, doubted: promises.doubted() };
        self.gathering.begin(number, inquiry, &self.member, &self.bitcoind);
    }

    /// Waits for what was asked; never ends while nothing is asked.
    pub async fn gathered(&mut self) -> (u64, Option<Evidence>) {
        self.gathering.next().await
    }

    /// Asks its policy; whether it agrees.
    pub fn decide(
        &mut self,
        (number, evidence): (u64, Option<Evidence>),
        ledger: &LedgerView,
        bitcoin: Option<&BitcoinView>,
        promises: &mut Promises<N>,
    ) -> bool {
        let Some(open) = self.open.get_mut(&number) else { return false };
        let judged = evidence.and_then(|evidence| {
            promises.have_ended(&evidence.ended);
            let verdict = verdict(&self.member, number, &evidence, (ledger, bitcoin?), &self.waiting, promises)?;
            Some((verdict, evidence.own_outputs))
        });
        let Some((verdict, own_outputs)) = judged else {
            open.policy.unanswered();
            return false;
        };
        promises.note(&verdict);
        if verdict.is_ok() {
            promises.seen.insert(number, own_outputs);
        }
        match open.policy.decided(verdict) {
            Some(News::Refused(refusal)) => tracing::warn!(proposal = number, %refusal, "not approving"),
            Some(News::Over) => tracing::info!(proposal = number, "no longer: not approving"),
            None => {}
        }
        open.policy.is_given()
    }

    /// Forgets proposals that are closed, with their nonces, but for those that were bound.
    pub fn forget(&mut self, ledger: &LedgerView, promises: &mut Promises<N>) -> Result<(), FatalError> {
        if !std::mem::replace(&mut self.is_tidy, true) {
            self.forget_earlier(ledger)?;
        }
        let is_bound = |number: u64| ledger.entries.values().any(|entry| entry.proposal == number);
        promises.seen.retain(|number, _| ledger.proposals.contains_key(number) || is_bound(*number));
        let closed: Vec<u64> =
            self.open.keys().filter(|number| !ledger.proposals.contains_key(number)).copied().collect();
        for number in closed {
            if self.open.remove(&number).is_some_and(|open| open.policy.is_refused()) {
                tracing::info!(proposal = number, "no longer: not approving; the proposal is closed");
            }
            if !is_bound(number) {
                self.member.store.remove(&state_file(number))?;
            }
        }
        Ok(())
    }
    /// Removes the nonces of proposals that were closed while this relayer was away. A number never comes back.
    fn forget_earlier(&self, ledger: &LedgerView) -> Result<(), FatalError> {
        let is_known = |number: u64| {
            ledger.proposals.contains_key(&number) || ledger.entries.values().any(|entry| entry.proposal == number)
        };
        for name in self.member.store.names(STATE_FILES)? {
            let number = name.strip_prefix(STATE_FILES).and_then(|number| number.parse().ok());
            if number.is_some_and(|number| !is_known(number)) {
                self.member.store.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// None while a fact is missing.
fn verdict<N>(
    member: &Member<N>,
    number: u64,
    evidence: &Evidence,
    (ledger, bitcoin): (&LedgerView, &BitcoinView),
    waiting: &Waiting,
    promises: &Promises<N>,
) -> Option<Result<(), policy::Refusal>> {
    let proposal = ledger.proposals.get(&number)?;
    let inputs = spent_outputs(ledger, &proposal.content)?;
    let on = conditions(ledger, bitcoin, member.recovery_delay, member.low_rate)?;
    // Another version pays the same withdrawals.
    let in_use = InUse { withdrawals: BTreeSet::new(), ..InUse::by_bound(ledger, Some(bitcoin)) };
    let told = ledger_facts(ledger, &in_use)?;
    let now_s = member.clock.unix_ms() / 1_000;
    let facts = match proven_facts(told, (number, proposal), ledger, (&evidence.facts, now_s)) {
        Ok(facts) => facts,
        Err(refusal) => return Some(Err(refusal)),
    };
    let own_outputs: Vec<Option<TxOut>> =
        inputs.iter().map(|input| evidence.own_outputs.get(&input.outpoint).cloned()).collect();
    let proposed = policy::Proposed {
        content: &proposal.content,
        is_final: proposal.opened_in.number <= ledger.head.number,
        ledger: &facts,
        bound_rates: &in_use.rates,
        before: waiting.before(&proposal.content, ledger, bitcoin),
        inputs: &inputs,
        group_keys: &ledger.group_keys,
        own_outputs: &own_outputs,
        fee_bounds: FeeBounds::around(on.rate),
        conditions: &on,
        ended: &promises.ended,
    };
    Some(policy::approve(&proposed, &promises.signed))
}

/// What its node told, with all that the proposal names as it is proven under a young header.
fn proven_facts(
    told: LedgerFacts,
    (number, proposal): (u64, &Proposal),
    ledger: &LedgerView,
    (facts, now_s): (&Facts, u64),
) -> Result<LedgerFacts, policy::Refusal> {
    proven::require_young(facts, now_s)?;
    let epoch = proposal.content.epoch;
    let group_key = ledger.group_keys.get(&epoch);
    let group_key = group_key.ok_or_else(|| policy::Refusal::NotProven(format!("the group key of epoch {epoch}")))?;
    proven::require_group_key(epoch, *group_key, facts)?;
    proven::proposal_facts(told, (number, &proposal.content), facts)
}
