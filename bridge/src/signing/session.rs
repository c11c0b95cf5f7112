//! The session of a bound vault transaction, as one member sees it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use bitcoin::XOnlyPublicKey;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use rand::{CryptoRng, RngCore};
use secp256k1::schnorr;

use super::approval::{ApprovalConfig, Approvals};
use super::attempt::Attempt;
use super::commitments::{self, Committed, MAX_INPUTS, decode};
use super::error::SessionError;
use super::own::{Digests, Own};
use crate::board::{self, Event, Fault, Kind, Outbox};
use crate::threshold::{Commitment, InputKey, KeyShare, Nonces, Share};

/// Seconds of block time the members of a set have for their shares. Every member must use the same: it decides which
/// attempt runs. Shares follow commitments within two blocks; ten seconds let a member restart in between.
pub const SHARE_DEADLINE_S: u64 = 10;

/// A request to the shell; `Done` carries one signature for each input, in order.
pub type Effect = board::Effect<Vec<schnorr::Signature>>;

/// An input to sign; [`crate::vault_tx`] makes it from a checked vault transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// BIP341 hash to sign (key path, default sighash type).
    pub sighash: [u8; 32],
    /// Epoch of the group key it is locked to.
    pub epoch: u32,
    /// Root of the output's script tree: the deposit leaf's or the recovery leaf's hash.
    pub merkle_root: [u8; 32],
    /// The key the output pays to.
    pub output_key: XOnlyPublicKey,
}

/// The transaction that a session signs; the same for all members.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network whose vault it spends from.
    pub network: B256,
    /// Number of the vault transaction.
    pub number: u32,
    /// The proposal that it was bound from, and the hash of what that named.
    pub proposal: u64,
    pub content: B256,
    /// Inputs that the proposal named: as many as an approval has commitments for.
    pub named_inputs: usize,
    /// Every post of the proposal's session, in board order; the ledger takes none after the binding.
    pub approvals: Vec<Event>,
    /// Time of the block that bound it, in seconds.
    pub bound_at: u64,
    /// [`SHARE_DEADLINE_S`], except in tests.
    pub share_deadline_s: u64,
    /// The inputs, in order.
    pub inputs: Vec<Input>,
}

impl Config {
    fn approval(&self) -> ApprovalConfig {
        let &Self { network, proposal, content, named_inputs, .. } = self;
        ApprovalConfig { network, proposal, content, inputs: named_inputs }
    }
}

/// The news since the last step.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Posts in finalized blocks, in board order, since the last step; posts of other sessions are ignored. After a
    /// restart, all of them since the transaction was bound, in one step.
    pub events: &'a [Event],
    /// Time of the newest finalized block, in seconds.
    pub now: u64,
    /// Whether this member's policy agrees to what was bound, and the record of that is durable. Without it the machine only watches.
    pub may_sign: bool,
    /// Members that kept this one waiting in other sessions, the worst first.
    pub late: &'a [u16],
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Commitments,
    Shares,
}

/// One vault transaction's signing, as one member sees it.
#[derive(Debug)]
pub struct Session {
    config: Config,
    keys: Vec<InputKey>,
    me: u16,
    threshold: usize,
    members: u16,
    /// The stored state is bound to them.
    digests: Digests,
    attempt: Attempt,
    /// Faults that were seen in the approvals.
    faults: Vec<Effect>,
    own: Own,
    outbox: Outbox,
    signatures: Option<Vec<schnorr::Signature>>,
}

impl Session {
    /// Opens a session, with the state that was persisted last, by itself or by the approval, if any.
    ///
    /// `keys` holds a share for each epoch that an input is locked to.
    ///
    /// # Errors
    ///
    /// When a share is missing or does not fit, or the stored state is damaged or foreign.
    pub fn new(config: Config, keys: &BTreeMap<u32, KeyShare>, stored: Option<&[u8]>) -> Result<Self, SessionError> {
        let (inputs, named) = (config.inputs.len(), config.named_inputs);
        if inputs == 0 || inputs > named || named > MAX_INPUTS {
            return Err(SessionError::Inputs { got: inputs });
        }
        let wanted = config.inputs.iter().enumerate();
        let input_keys = wanted.map(|(input, wanted)| input_key(input, wanted, keys)).collect::<Result<Vec<_>, _>>()?;
        let share = federation(&config.inputs, keys)?;
        let digests = Digests { proposal: config.approval().digest(), messages: digest(&config) };
        let own = stored.map_or(Ok(Own::Nothing), |bytes| Own::of_session(bytes, &digests, named, inputs))?;
        let (attempt, faults) = begin(&config, share);
        Ok(Self {
            keys: input_keys,
            me: share.index(),
            threshold: share.threshold().into(),
            members: share.members(),
            digests,
            attempt,
            faults,
            own,
            outbox: Outbox::default(),
            signatures: None,
            config,
        })
    }

    /// The attempt that runs, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.id.number
    }

    /// Members of the running attempt's set, or those that have committed so far.
    pub fn committed(&self) -> Vec<u16> {
        self.attempt.commitments.keys().copied().collect()
    }

    /// Whom all wait for, once the running attempt has taken longer than it should; empty before, and when it is done.
    pub fn missing(&self, now: u64) -> Option<(Missing, Vec<u16>)> {
        let attempt = &self.attempt;
        let since = attempt.complete_at.unwrap_or(attempt.started_at);
        if self.signatures.is_some() || now < since.saturating_add(self.config.share_deadline_s / 2) {
            return None;
        }
        Some(match attempt.complete_at {
            None => {
                let has_committed = |member: &u16| attempt.commitments.contains_key(member);
                (Missing::Commitments, (1..=self.members).filter(|member| !has_committed(member)).collect())
            }
            Some(_) => (Missing::Shares, attempt.owing().into_iter().collect()),
        })
    }

    /// The signatures, when there are enough shares.
    pub fn signatures(&self) -> Option<&[schnorr::Signature]> {
        self.signatures.as_deref()
    }

    /// Reads the news and answers with effects to perform, in order.
    pub fn step<R: RngCore + CryptoRng>(&mut self, facts: Facts<'_>, rng: &mut R) -> Vec<Effect> {
        if self.signatures.is_some() {
            return Vec::new();
        }
        let mut effects = std::mem::take(&mut self.faults);
        for event in facts.events {
            self.pass_time(event.timestamp, &mut effects);
            self.observe(event, &mut effects);
            if self.signatures.is_some() {
                return effects;
            }
        }
        self.pass_time(facts.now, &mut effects);
        if facts.may_sign {
            self.act(&facts, rng, &mut effects);
        }
        effects
    }

    // ROAST: who keeps the others waiting is not asked again, so a set of the willing is found.
    fn pass_time(&mut self, now: u64, effects: &mut Vec<Effect>) {
        // The others have not filled the set: whoever was late before gets another chance.
        if let Some(enough_at) = self.attempt.enough_at.filter(|_| self.attempt.complete_at.is_none()) {
            let patience_ends = enough_at.saturating_add(self.config.share_deadline_s);
            if now >= patience_ends {
                self.attempt.complete(patience_ends, &BTreeSet::new(), self.threshold);
            }
        }
        let Some(deadline) = self.attempt.complete_at.map(|at| at.saturating_add(self.config.share_deadline_s)) else {
            return;
        };
        if now < deadline {
            return;
        }
        let late = self.attempt.owing();
        for member in &late {
            effects.push(self.attempt.id.blame(*member, Fault::Late));
        }
        self.next_attempt(deadline, late);
    }

    fn observe(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        if event.session != self.attempt.id.session || event.member == 0 || event.member > self.members {
            return;
        }
        match Kind::try_from(event.kind) {
            Ok(Kind::Commitments) => self.observe_commitments(event, effects),
            Ok(Kind::Shares) => self.observe_shares(event, effects),
            _ => {}
        }
    }

    fn observe_commitments(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        let attempt = &self.attempt;
        if attempt.complete_at.is_some()
            || attempt.commitments.contains_key(&event.member)
            || self.is_excluded(event.member, event.timestamp)
        {
            return;
        }
        match commitments::read(&event.payload, self.keys.len()) {
            Err(why) => effects.push(self.attempt.id.blame(event.member, Fault::Malformed { kind: event.kind, why })),
            Ok(Committed { commitments, named }) => {
                self.attempt.commitments.insert(event.member, commitments);
                self.attempt.order.push((event.member, named));
                self.complete_if_enough(event.timestamp);
            }
        }
    }

    fn complete_if_enough(&mut self, now: u64) {
        let committed = self.attempt.order.len();
        if committed < self.threshold {
            return;
        }
        self.attempt.enough_at.get_or_insert(now);
        let late =
            board::left_out(self.attempt.order.iter().map(|(by, named)| (*by, named)), self.members, self.threshold);
        if self.attempt.order.iter().filter(|(member, _)| !late.contains(member)).count() >= self.threshold {
            self.attempt.complete(now, &late, self.threshold);
        }
    }

    fn observe_shares(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        let attempt = &self.attempt;
        if attempt.complete_at.is_none()
            || !attempt.commitments.contains_key(&event.member)
            || attempt.shares.contains_key(&event.member)
        {
            return;
        }
        match self.check_shares(event) {
            // A bad share can be named at once: no need to wait for the deadline.
            Err(fault) => {
                effects.push(self.attempt.id.blame(event.member, fault));
                self.next_attempt(event.timestamp, BTreeSet::from([event.member]));
            }
            Ok(shares) => {
                self.attempt.shares.insert(event.member, shares);
                if self.attempt.shares.len() == self.threshold {
                    self.finish(effects);
                }
            }
        }
    }

    fn check_shares(&self, event: &Event) -> Result<Vec<Share>, Fault> {
        let shares = decode(&event.payload, self.keys.len(), Share::from_bytes)
            .map_err(|why| Fault::Malformed { kind: event.kind, why })?;
        let wrong = shares.iter().enumerate().find(|(input, share)| {
            let set = self.attempt.set_of(*input);
            !self.keys[*input].share_is_valid(&self.config.inputs[*input].sighash, &set, event.member, share)
        });
        match wrong {
            Some((input, _)) => Err(Fault::Share { input }),
            None => Ok(shares),
        }
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        let signatures = (0..self.keys.len())
            .map(|input| {
                let shares = self.attempt.shares.iter().map(|(member, shares)| (*member, shares[input])).collect();
                self.keys[input]
                    .aggregate(&self.config.inputs[input].sighash, &self.attempt.set_of(input), &shares)
                    .expect("shares that all verify add up to a signature that verifies")
            })
            .collect::<Vec<_>>();
        effects.push(Effect::Done(signatures.clone()));
        self.signatures = Some(signatures);
    }

    fn next_attempt(&mut self, at: u64, culprits: BTreeSet<u16>) {
        let all: BTreeSet<u16> = self.attempt.excluded.union(&culprits).copied().collect();
        // Too few would remain: first forgive those of earlier attempts, then everybody.
        let enough = |excluded: &BTreeSet<u16>| usize::from(self.members) - excluded.len() >= self.threshold;
        let excluded = [all, culprits].into_iter().find(enough).unwrap_or_default();
        let next = self.attempt.id.number.saturating_add(1);
        self.attempt = Attempt::new(self.config.network, self.config.number, next, at, excluded);
    }

    /// Exclusions end when the others have not filled a set within the deadline.
    fn is_excluded(&self, member: u16, now: u64) -> bool {
        let lifted = now >= self.attempt.started_at.saturating_add(self.config.share_deadline_s);
        !lifted && self.attempt.excluded.contains(&member)
    }

    fn act<R: RngCore + CryptoRng>(&mut self, facts: &Facts<'_>, rng: &mut R, effects: &mut Vec<Effect>) {
        if self.signatures.is_some() {
            return;
        }
        match self.attempt.complete_at {
            None => self.act_commit(facts, rng, effects),
            Some(_) => self.act_share(facts.now, effects),
        }
    }

    fn act_commit<R: RngCore + CryptoRng>(&mut self, facts: &Facts<'_>, rng: &mut R, effects: &mut Vec<Effect>) {
        let now = facts.now;
        let attempt = self.attempt.id.number;
        // A state of a later attempt means that the board has not been read to its end yet.
        if self.own.attempt().is_some_and(|own| own > attempt)
            || self.attempt.commitments.contains_key(&self.me)
            || self.is_excluded(self.me, now)
        {
            return;
        }
        match &self.own {
            Own::Committed { attempt: own, .. } if *own == attempt => {}
            Own::Shared { attempt: own, .. } if *own == attempt => return,
            _ => {
                let nonces = self.keys.iter().map(|key| key.commit(rng)).collect();
                self.own = Own::Committed { attempt, nonces };
                effects.push(Effect::Persist(self.own.to_bytes(&self.digests)));
            }
        }
        let Own::Committed { nonces, .. } = &self.own else {
            return;
        };
        let may_miss = usize::from(self.members) - self.threshold;
        let payload = commitments::payload(nonces, facts.late, self.me, may_miss);
        effects.extend(self.outbox.post(self.attempt.id, Kind::Commitments, payload, now));
    }

    fn act_share(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let attempt = self.attempt.id.number;
        if !self.attempt.commitments.contains_key(&self.me) || self.attempt.shares.contains_key(&self.me) {
            return;
        }
        if let Some(nonces) = self.own.nonces_of(attempt) {
            // Nonces that are not those on the board (a state restored from a copy) must not sign.
            let Some(shares) = self.sign(nonces) else {
                return;
            };
            self.own = Own::Shared { attempt, shares };
            effects.push(Effect::Persist(self.own.to_bytes(&self.digests)));
        }
        let Own::Shared { attempt: own, shares } = &self.own else {
            return;
        };
        if *own == attempt {
            let payload = shares.iter().flat_map(Share::to_bytes).collect();
            effects.extend(self.outbox.post(self.attempt.id, Kind::Shares, payload, now));
        }
    }

    fn sign(&self, nonces: &[Nonces]) -> Option<Vec<Share>> {
        let own: Vec<Commitment> = nonces.iter().map(Nonces::commitment).collect();
        if self.attempt.commitments.get(&self.me) != Some(&own) {
            return None;
        }
        let sign = |(input, nonces): (usize, &Nonces)| {
            self.keys[input].sign(&self.config.inputs[input].sighash, &self.attempt.set_of(input), nonces).ok()
        };
        // An approval's have one for each input that the content named: what was skipped leaves the last ones over.
        nonces.iter().take(self.keys.len()).enumerate().map(sign).collect()
    }
}

/// The first attempt, by the approvals; the second, where those that carry commitments are too few.
fn begin(config: &Config, share: &KeyShare) -> (Attempt, Vec<Effect>) {
    let approvals = Approvals::read(&config.approvals, config.named_inputs, share.members());
    let malformed = approvals.malformed.clone();
    let culprits: BTreeSet<u16> = malformed.keys().copied().collect();
    let set = approvals.into_set(share.members(), share.threshold().into());
    let (network, number, at) = (config.network, config.number, config.bound_at);
    let enough = usize::from(share.members()) - culprits.len() >= usize::from(share.threshold());
    let excluded = if enough { culprits } else { BTreeSet::new() };
    let first = Attempt::new(network, number, 1, at, BTreeSet::new()).id;
    let malformed = malformed.into_iter();
    let faults =
        malformed.map(|(member, why)| first.blame(member, Fault::Malformed { kind: Kind::Approval as u8, why }));
    let attempt = match set {
        Some(set) => Attempt::first(network, number, at, set),
        None => Attempt::new(network, number, 2, at, excluded),
    };
    (attempt, faults.collect())
}

fn input_key(input: usize, wanted: &Input, keys: &BTreeMap<u32, KeyShare>) -> Result<InputKey, SessionError> {
    let share = keys.get(&wanted.epoch).ok_or(SessionError::NoShare { input, epoch: wanted.epoch })?;
    let key = share.for_input(&wanted.merkle_root);
    if key.output_key() == wanted.output_key {
        Ok(key)
    } else {
        Err(SessionError::OutputKey { input, want: wanted.output_key.to_string(), got: key.output_key().to_string() })
    }
}

/// The share that speaks for all: the same member, threshold and size in every epoch that is spent from.
fn federation<'a>(inputs: &[Input], keys: &'a BTreeMap<u32, KeyShare>) -> Result<&'a KeyShare, SessionError> {
    let mut shares = inputs.iter().filter_map(|input| keys.get(&input.epoch));
    let first = shares.next().ok_or(SessionError::Federation("there is none"))?;
    let same = |other: &KeyShare| {
        (other.index(), other.threshold(), other.members()) == (first.index(), first.threshold(), first.members())
    };
    if shares.all(same) {
        Ok(first)
    } else {
        Err(SessionError::Federation("member, threshold or size differ between epochs"))
    }
}

fn digest(config: &Config) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(b"causeway/signing-state");
    engine.input(config.network.as_slice());
    engine.input(&config.number.to_be_bytes());
    engine.input(&config.proposal.to_be_bytes());
    for input in &config.inputs {
        engine.input(&input.epoch.to_be_bytes());
        engine.input(&input.merkle_root);
        engine.input(&input.sighash);
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}
