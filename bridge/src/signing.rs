//! Signing one vault transaction together: a machine over the signing board, robust against members that stop or lie.
//!
//! Signing goes by attempts, as in ROAST (<https://eprint.iacr.org/2022/550>), with the board in place of a coordinator:
//!
//! ```text
//!  attempt a   commitments  ──first t of those in good standing──▶   the set  ──all its shares──▶  signatures
//!                                                                      │
//!                          a bad share, or none within the deadline    ▼
//!  attempt a+1  the same, without the members at fault
//! ```
//!
//! Who is in the set, which attempt runs and who is left out follows from posts and block times alone, so that all
//! members agree. Posts of other attempts, of members left out, and second posts are ignored. Exclusions are lifted when
//! too few members would remain, or when the rest has not filled a set within the deadline: a member may have been slow,
//! not dead. With at most n - t members at fault for good, each failing attempt costs one of them its place, so signing ends.
//!
//! **Who kept others waiting before** is remembered by each member for itself, across sessions, and named with its commitments. Whoever
//! is named by more than n - t of those that committed, so by an honest one, is left out of the set, n - t members at most; and taken
//! after all when the others have not filled the set within the deadline. The names are on the board, so all members agree, and at most
//! n - t liars can leave nobody out.
//!
//! **Nonces are used once.** They are durable before their commitment leaves ([`Effect::Persist`], then
//! [`Effect::Post`]); signing replaces them by the finished shares in one durable step before the shares leave. After a
//! crash at any point the machine repeats what it said, word for word, or stays silent in this attempt.
//!
//! All inputs are signed in the same attempt: one post carries the commitments of all of them, one the shares.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use bitcoin::XOnlyPublicKey;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use rand::{CryptoRng, RngCore};
use secp256k1::schnorr;
use zeroize::Zeroizing;

use crate::board::{self, AttemptId, Event, Fault, Kind, Outbox, signing_session};
use crate::dkg;
use crate::threshold::{COMMITMENT_LEN, Commitment, InputKey, KeyShare, NONCES_LEN, Nonces, Share};

/// Seconds of block time the members of a set have for their shares. Every member must use the same: it decides which
/// attempt runs. Shares follow commitments within two blocks; ten seconds let a member restart in between.
pub const SHARE_DEADLINE_S: u64 = 10;

/// Most bytes of the names at the end of a post of commitments.
const MAX_NAMES: usize = 2 * (dkg::MAX_MEMBERS as usize + 1);

/// Most inputs of a transaction that fit one post of commitments; a vault transaction of 10,000 vB has fewer.
pub const MAX_INPUTS: usize = (board::MAX_PAYLOAD - MAX_NAMES) / COMMITMENT_LEN;

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
    pub number: u64,
    /// Time of the block that proposed it, in seconds.
    pub proposed_at: u64,
    /// [`SHARE_DEADLINE_S`], except in tests.
    pub share_deadline_s: u64,
    /// The inputs, in order.
    pub inputs: Vec<Input>,
}

/// The news since the last step.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Posts in finalized blocks, in board order, since the last step; posts of other sessions are ignored. After a
    /// restart, all of them since the transaction was proposed, in one step.
    pub events: &'a [Event],
    /// Time of the newest finalized block, in seconds.
    pub now: u64,
    /// Whether this member's policy agrees to the transaction. Without it the machine only watches.
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

/// Why a session cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// More inputs than one post carries, or none.
    #[error("{got} inputs, expected 1 to {MAX_INPUTS}")]
    Inputs {
        /// Inputs of the transaction.
        got: usize,
    },
    /// An input of an epoch of which this member has no key share.
    #[error("input {input} is locked to the key of epoch {epoch}, of which there is no share here")]
    NoShare {
        /// Position of the input, from 0.
        input: usize,
        /// The epoch whose key it is locked to.
        epoch: u32,
    },
    /// An input that the key share cannot spend.
    #[error("input {input} pays to {want}, the key share of its epoch makes {got}")]
    OutputKey {
        /// Position of the input.
        input: usize,
        /// Key of the output.
        want: String,
        /// Key that the share leads to.
        got: String,
    },
    /// Key shares of different members or sizes in one session.
    #[error("the key shares do not belong to the same federation: {0}")]
    Federation(&'static str),
    /// The persisted state cannot be read.
    #[error(
        "the stored signing state is damaged ({0}); restore it or delete it, and the member sits out attempts it has begun"
    )]
    Damaged(&'static str),
    /// The persisted state is about other messages.
    #[error("the stored signing state belongs to another transaction; it must not be used for this one")]
    Foreign,
}

/// One vault transaction's signing, as one member sees it.
#[derive(Debug)]
pub struct Session {
    config: Config,
    keys: Vec<InputKey>,
    me: u16,
    threshold: usize,
    members: u16,
    /// Hash of everything that is signed: the stored state is bound to it.
    digest: [u8; 32],
    attempt: Attempt,
    own: Own,
    outbox: Outbox,
    signatures: Option<Vec<schnorr::Signature>>,
}

/// The running attempt, derived from the board alone.
#[derive(Debug, Default)]
struct Attempt {
    id: AttemptId,
    started_at: u64,
    excluded: BTreeSet<u16>,
    /// Valid commitments, until the set is complete: then exactly the set.
    commitments: BTreeMap<u16, Vec<Commitment>>,
    /// Who committed, in board order, and whom each named.
    order: Vec<(u16, BTreeSet<u16>)>,
    /// When there were enough commitments, of members in good standing or not.
    enough_at: Option<u64>,
    /// When the set was completed.
    complete_at: Option<u64>,
    shares: BTreeMap<u16, Vec<Share>>,
}

/// Promises of this member: the only part that cannot be read from the board.
#[derive(Debug)]
enum Own {
    Nothing,
    /// Nonces of the attempt, one for each input.
    Committed {
        attempt: u32,
        nonces: Vec<Nonces>,
    },
    /// The shares of the attempt; its nonces are gone.
    Shared {
        attempt: u32,
        shares: Vec<Share>,
    },
}

impl Session {
    /// Opens a session, with the state that was persisted last, if any.
    ///
    /// `keys` holds a share for each epoch that an input is locked to.
    ///
    /// # Errors
    ///
    /// When a share is missing or does not fit, or the stored state is damaged or foreign.
    pub fn new(config: Config, keys: &BTreeMap<u32, KeyShare>, stored: Option<&[u8]>) -> Result<Self, SessionError> {
        if config.inputs.is_empty() || config.inputs.len() > MAX_INPUTS {
            return Err(SessionError::Inputs { got: config.inputs.len() });
        }
        let input_keys = config
            .inputs
            .iter()
            .enumerate()
            .map(|(input, wanted)| input_key(input, wanted, keys))
            .collect::<Result<Vec<_>, _>>()?;
        let share = federation(&config.inputs, keys)?;
        let digest = digest(&config);
        let own = stored.map_or(Ok(Own::Nothing), |bytes| Own::from_bytes(bytes, &digest, config.inputs.len()))?;
        let attempt = Attempt::new(&config, 0, config.proposed_at, BTreeSet::new());
        Ok(Self {
            keys: input_keys,
            me: share.index(),
            threshold: usize::from(share.threshold()),
            members: share.members(),
            digest,
            attempt,
            own,
            outbox: Outbox::default(),
            signatures: None,
            config,
        })
    }

    /// The attempt that runs, from 0.
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
            Some(_) => {
                let owes = |member: &&u16| !attempt.shares.contains_key(member);
                (Missing::Shares, attempt.commitments.keys().filter(owes).copied().collect())
            }
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
        let mut effects = Vec::new();
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
                self.complete(patience_ends, &BTreeSet::new());
            }
        }
        let Some(deadline) = self.attempt.complete_at.map(|at| at.saturating_add(self.config.share_deadline_s)) else {
            return;
        };
        if now < deadline {
            return;
        }
        let late: BTreeSet<u16> = self
            .attempt
            .commitments
            .keys()
            .filter(|member| !self.attempt.shares.contains_key(member))
            .copied()
            .collect();
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
        let decoded = board::split_names(&event.payload).and_then(|(commitments, named)| {
            Ok((decode(commitments, self.keys.len(), Commitment::from_bytes)?, named))
        });
        match decoded {
            Err(why) => effects.push(self.attempt.id.blame(event.member, Fault::Malformed { kind: event.kind, why })),
            Ok((commitments, named)) => {
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
            self.complete(now, &late);
        }
    }

    /// The first that committed make the set, but for those that are left out.
    fn complete(&mut self, at: u64, left_out: &BTreeSet<u16>) {
        let order = self.attempt.order.iter().map(|(member, _)| *member);
        let set: BTreeSet<u16> = order.filter(|member| !left_out.contains(member)).take(self.threshold).collect();
        self.attempt.commitments.retain(|member, _| set.contains(member));
        self.attempt.complete_at = Some(at);
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
        let enough = |excluded: &BTreeSet<u16>| usize::from(self.members) - excluded.len() >= self.threshold;
        let all: BTreeSet<u16> = self.attempt.excluded.union(&culprits).copied().collect();
        // Too few would remain: first forgive those of earlier attempts, then everybody.
        let excluded = [all, culprits].into_iter().find(enough).unwrap_or_default();
        self.attempt = Attempt::new(&self.config, self.attempt.id.number + 1, at, excluded);
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
                effects.push(Effect::Persist(self.own.to_bytes(&self.digest)));
            }
        }
        let Own::Committed { nonces, .. } = &self.own else {
            return;
        };
        let mut payload: Vec<u8> = nonces.iter().flat_map(|nonces| nonces.commitment().to_bytes()).collect();
        // More would not be left out.
        let may_miss = usize::from(self.members) - self.threshold;
        let named: BTreeSet<u16> =
            facts.late.iter().copied().filter(|member| *member != self.me).take(may_miss).collect();
        payload.extend(board::names(&named));
        effects.extend(self.outbox.post(self.attempt.id, Kind::Commitments, payload, now));
    }

    fn act_share(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let attempt = self.attempt.id.number;
        if !self.attempt.commitments.contains_key(&self.me) || self.attempt.shares.contains_key(&self.me) {
            return;
        }
        if let Own::Committed { attempt: own, nonces } = &self.own
            && *own == attempt
        {
            // Nonces that are not those on the board (a state restored from a copy) must not sign.
            let Some(shares) = self.sign(nonces) else {
                return;
            };
            self.own = Own::Shared { attempt, shares };
            effects.push(Effect::Persist(self.own.to_bytes(&self.digest)));
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
        nonces.iter().enumerate().map(sign).collect()
    }
}

impl Attempt {
    fn new(config: &Config, number: u32, started_at: u64, excluded: BTreeSet<u16>) -> Self {
        let id = AttemptId { number, session: signing_session(config.network, config.number, number) };
        Self { id, started_at, excluded, ..Self::default() }
    }

    fn set_of(&self, input: usize) -> BTreeMap<u16, Commitment> {
        self.commitments.iter().map(|(member, commitments)| (*member, commitments[input])).collect()
    }
}

/// Layout: version, tag, attempt (big endian), digest of the messages, then nonces or shares of all inputs.
const STATE_VERSION: u8 = 1;
const STATE_HEADER: usize = 1 + 1 + 4 + 32;
const COMMITTED: u8 = 1;
const SHARED: u8 = 2;

impl Own {
    fn attempt(&self) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Committed { attempt, .. } | Self::Shared { attempt, .. } => Some(*attempt),
        }
    }

    fn to_bytes(&self, digest: &[u8; 32]) -> Zeroizing<Vec<u8>> {
        let (what, attempt, count) = match self {
            Self::Nothing => return Zeroizing::new(Vec::new()),
            Self::Committed { attempt, nonces } => (COMMITTED, *attempt, nonces.len()),
            Self::Shared { attempt, shares } => (SHARED, *attempt, shares.len()),
        };
        // Reserved in full, so that growing leaves no copies of nonces behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(STATE_HEADER + count * NONCES_LEN));
        bytes.extend_from_slice(&[STATE_VERSION, what]);
        bytes.extend_from_slice(&attempt.to_be_bytes());
        bytes.extend_from_slice(digest);
        match self {
            Self::Nothing => {}
            Self::Committed { nonces, .. } => {
                nonces.iter().for_each(|nonces| bytes.extend_from_slice(nonces.to_bytes().as_slice()))
            }
            Self::Shared { shares, .. } => shares.iter().for_each(|share| bytes.extend_from_slice(&share.to_bytes())),
        }
        bytes
    }

    fn from_bytes(bytes: &[u8], digest: &[u8; 32], inputs: usize) -> Result<Self, SessionError> {
        let (header, body) = bytes.split_at_checked(STATE_HEADER).ok_or(SessionError::Damaged("too short"))?;
        if header[0] != STATE_VERSION {
            return Err(SessionError::Damaged("unknown version"));
        }
        if header[6..] != digest[..] {
            return Err(SessionError::Foreign);
        }
        let attempt = u32::from_be_bytes(header[2..6].try_into().expect("four bytes"));
        let damaged = |_| SessionError::Damaged("its numbers do not decode");
        match header[1] {
            COMMITTED => {
                Ok(Self::Committed { attempt, nonces: decode(body, inputs, Nonces::from_bytes).map_err(damaged)? })
            }
            SHARED => Ok(Self::Shared { attempt, shares: decode(body, inputs, Share::from_bytes).map_err(damaged)? }),
            _ => Err(SessionError::Damaged("unknown kind")),
        }
    }
}

/// Exactly `count` items of `N` bytes.
fn decode<T, E: std::fmt::Display, const N: usize>(
    bytes: &[u8],
    count: usize,
    item: impl Fn(&[u8; N]) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    if bytes.len() != count * N {
        return Err(format!("{} bytes, expected {} for {count} inputs", bytes.len(), count * N));
    }
    bytes
        .chunks_exact(N)
        .map(|chunk| item(chunk.try_into().expect("chunks of N")).map_err(|error| error.to_string()))
        .collect()
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
    for input in &config.inputs {
        engine.input(&input.epoch.to_be_bytes());
        engine.input(&input.merkle_root);
        engine.input(&input.sighash);
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

#[cfg(test)]
mod tests;
