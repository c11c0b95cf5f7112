//! Making the key of an epoch together: a machine over the signing board.
//!
//! FROST's key generation (Pedersen's, with proofs of knowledge: <https://eprint.iacr.org/2020/852>, figure 1) needs a
//! broadcast channel that shows everybody the same; the board is one.
//!
//! ```text
//!  attempt a   round 1   every member posts the commitment to its polynomial, and a key for this attempt alone
//!              round 2   every member posts one package for each other, sealed to its two keys (seal)
//!              done      every member has its share and confirms the group key in the Federation contract
//!      a complaint ──▶ attempt a + 1, from the start
//! ```
//!
//! All n members take part: a key that lacks a member would lower what the federation withstands. The first valid post
//! of a member counts; a post that anybody can see to be wrong is ignored and its member named, who may post again. Only
//! the receiver of a package can see that it contradicts round 1: it complains. A member that lost its secrets complains
//! about itself. Both names are on the board, and the attempt is over for everybody.
//!
//! A key is in force only when all members have confirmed the same one. Until then a later attempt can replace it, so
//! shares of all finished attempts are kept: [`Dkg::share_of`] gives the one that came into force.
//!
//! The key for the attempt is wiped with the polynomial once the share is made: keystores that are stolen later, of however many
//! members, open no package on the board.
//!
//! Secrets are durable before the post that depends on them leaves, and a post is repeated word for word after a restart.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use bitcoin::XOnlyPublicKey;
use frost_secp256k1_tr::keys::dkg as frost;
use frost_secp256k1_tr::keys::dkg::{round1, round2};
use frost_secp256k1_tr::{Error as FrostError, Identifier};
use rand::{CryptoRng, RngCore};
use secp256k1::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::board::{self, AttemptId, Event, Fault, Kind, Outbox};
use crate::seal;
use crate::threshold::{KeyShare, identifier};

/// Attempts after which members stop by themselves: whoever makes so many fail has to be talked to, or removed.
pub const MAX_ATTEMPTS: u32 = 32;

/// Bytes of a round 2 package: one scalar, sealed.
const SEALED_LEN: usize = 32 + seal::OVERHEAD;

/// Bytes of the key for one attempt, at the end of a round 1 post.
const ONCE_LEN: usize = 33;

/// Most members, so that all sealed packages of one member fit one post.
pub const MAX_MEMBERS: u16 = 100;
const _: () = assert!(
    MAX_MEMBERS as usize * SEALED_LEN <= board::MAX_PAYLOAD
        && MAX_MEMBERS as usize * 33 + 128 + ONCE_LEN <= board::MAX_PAYLOAD
);

/// A request to the shell; `Done` carries the share of the attempt that was finished.
pub type Effect = board::Effect<KeyShare>;

/// Whose key is made; the same for all members except `me`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which network the key is made for: sessions on the board depend on it.
    pub network: B256,
    /// The epoch whose key is made.
    pub epoch: u32,
    /// Members needed to sign.
    pub threshold: u16,
    /// Encryption keys of the members 1 to n, in order.
    pub encryption_keys: Vec<PublicKey>,
    /// This member's index, 1 to n.
    pub me: u16,
}

/// Why a key generation cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkgError {
    /// FROST needs 2 <= t <= n; n is bounded by what fits a post.
    #[error("threshold {threshold} of {members} members, expected 2 <= threshold <= members <= {MAX_MEMBERS}")]
    Threshold {
        /// Members needed to sign, as configured.
        threshold: u16,
        /// Encryption keys configured: one for each member.
        members: usize,
    },
    /// `me` is not the index of a member, or the encryption secret does not belong to the published key.
    #[error("member {me}: {why}")]
    Me {
        /// This member's index.
        me: u16,
        /// The contradiction found.
        why: &'static str,
    },
    /// The persisted state cannot be read.
    #[error(
        "the stored key generation state is damaged ({0}); restore it, or delete it if the key is not in force yet"
    )]
    Damaged(String),
    /// The persisted state belongs to another key generation.
    #[error("the stored key generation state belongs to network {network}, epoch {epoch}, member {me}")]
    Foreign {
        /// Network in the stored state.
        network: B256,
        /// Epoch in the stored state.
        epoch: u32,
        /// Member in the stored state.
        me: u16,
    },
}

/// One epoch's key generation, as one member sees it.
#[derive(Debug)]
pub struct Dkg {
    config: Config,
    encryption_secret: SecretKey,
    attempt: Attempt,
    own: Own,
    outbox: Outbox,
}

/// The running attempt, derived from the board alone.
#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    round1: BTreeMap<u16, Round1>,
    /// Payloads with the right length, in order of posting.
    round2: BTreeMap<u16, Vec<u8>>,
    /// Whether this attempt's share was made, or found impossible to make.
    settled: bool,
    complaint: Option<u16>,
}

/// What a member posted in round 1.
#[derive(Clone, Debug)]
struct Round1 {
    package: round1::Package,
    /// Its key for this attempt.
    once: PublicKey,
    payload: Vec<u8>,
}

impl Dkg {
    /// Opens a key generation, with the state that was persisted last, if any.
    ///
    /// # Errors
    ///
    /// When the configuration makes no sense, or the stored state is damaged or foreign.
    pub fn new(config: Config, encryption_secret: SecretKey, stored: Option<&[u8]>) -> Result<Self, DkgError> {
        let members = config.encryption_keys.len();
        if config.threshold < 2 || usize::from(config.threshold) > members || members > usize::from(MAX_MEMBERS) {
            return Err(DkgError::Threshold { threshold: config.threshold, members });
        }
        let me = config.me;
        let position = usize::from(me).checked_sub(1).ok_or(DkgError::Me { me, why: "members count from 1" })?;
        let published =
            config.encryption_keys.get(position).ok_or(DkgError::Me { me, why: "there are not so many members" })?;
        if *published != PublicKey::from_secret_key(secp256k1::SECP256K1, &encryption_secret) {
            return Err(DkgError::Me { me, why: "its encryption key is not the one that is published" });
        }
        let own = stored.map_or_else(|| Ok(Own::new(&config)), |bytes| Own::from_bytes(bytes, &config))?;
        let attempt = Attempt::new(&config, 0);
        Ok(Self { config, encryption_secret, attempt, own, outbox: Outbox::default() })
    }

    /// The attempt that runs, from 0.
    pub fn attempt(&self) -> u32 {
        self.attempt.id.number
    }

    /// Members whose post the running attempt waits for; empty when it is complete.
    pub fn missing(&self) -> Vec<u16> {
        let members = 1..=self.members();
        let round1: Vec<u16> = members.clone().filter(|member| !self.attempt.round1.contains_key(member)).collect();
        if round1.is_empty() {
            members.filter(|member| !self.attempt.round2.contains_key(member)).collect()
        } else {
            round1
        }
    }

    /// The share of a finished attempt whose group key is this one: the one that came into force.
    pub fn share_of(&self, group_key: &XOnlyPublicKey) -> Option<KeyShare> {
        self.own
            .finished
            .values()
            .filter_map(|bytes| KeyShare::from_bytes(bytes).ok())
            .find(|share| share.group_key() == *group_key)
    }

    /// The share of the running attempt, if it is finished: the one to confirm.
    pub fn share(&self) -> Option<KeyShare> {
        self.own.finished.get(&self.attempt.id.number).and_then(|bytes| KeyShare::from_bytes(bytes).ok())
    }

    /// Reads new posts, in board order, and answers with effects to perform, in order.
    ///
    /// After a restart, `events` holds all posts from the start of the epoch's key generation. `now` is the time of the
    /// newest finalized block, in seconds.
    pub fn step<R: RngCore + CryptoRng>(&mut self, events: &[Event], now: u64, rng: &mut R) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in events {
            self.observe(event, &mut effects);
        }
        self.act(now, rng, &mut effects);
        effects
    }

    fn members(&self) -> u16 {
        u16::try_from(self.config.encryption_keys.len()).expect("at most MAX_MEMBERS")
    }

    fn observe(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        if event.session != self.attempt.id.session || event.member == 0 || event.member > self.members() {
            return;
        }
        match Kind::try_from(event.kind) {
            Ok(Kind::DkgRound1) => self.observe_round1(event, effects),
            Ok(Kind::DkgRound2) => self.observe_round2(event, effects),
            Ok(Kind::DkgComplaint) => self.observe_complaint(event, effects),
            _ => {}
        }
    }

    fn observe_round1(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        if self.attempt.round1.contains_key(&event.member) {
            return;
        }
        match check_round1(event, self.config.threshold) {
            Ok(round1) => drop(self.attempt.round1.insert(event.member, round1)),
            Err(fault) => effects.push(self.attempt.id.blame(event.member, fault)),
        }
    }

    fn observe_round2(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        // Round 2 depends on all of round 1, so an earlier post cannot be right.
        if self.attempt.round1.len() < usize::from(self.members()) || self.attempt.round2.contains_key(&event.member) {
            return;
        }
        let want = SEALED_LEN * (usize::from(self.members()) - 1);
        if event.payload.len() == want {
            self.attempt.round2.insert(event.member, event.payload.clone());
        } else {
            let why = format!("{} bytes, expected {want}", event.payload.len());
            effects.push(self.attempt.id.blame(event.member, Fault::Malformed { kind: event.kind, why }));
        }
    }

    fn observe_complaint(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        let accused = <[u8; 2]>::try_from(event.payload.as_slice()).map(u16::from_be_bytes);
        match accused {
            Ok(accused) if (1..=self.members()).contains(&accused) && self.attempt.id.number < MAX_ATTEMPTS => {
                let fault =
                    if accused == event.member { Fault::LostSecrets } else { Fault::Accused { by: event.member } };
                effects.push(self.attempt.id.blame(accused, fault));
                self.attempt = Attempt::new(&self.config, self.attempt.id.number + 1);
            }
            _ => {
                let why = "it does not name a member".to_owned();
                effects.push(self.attempt.id.blame(event.member, Fault::Malformed { kind: event.kind, why }));
            }
        }
    }

    fn act<R: RngCore + CryptoRng>(&mut self, now: u64, rng: &mut R, effects: &mut Vec<Effect>) {
        // A state of a later attempt means that the board has not been read to its end yet.
        if self.own.attempt.is_some_and(|own| own > self.attempt.id.number) || self.attempt.id.number >= MAX_ATTEMPTS {
            return;
        }
        if let Some(accused) = self.attempt.complaint {
            effects.extend(self.outbox.post(self.attempt.id, Kind::DkgComplaint, accused.to_be_bytes().to_vec(), now));
        } else if !self.attempt.round1.contains_key(&self.config.me) {
            self.act_round1(now, rng, effects);
        } else if self.attempt.round1.len() == usize::from(self.members()) {
            self.act_round2(now, rng, effects);
        }
    }

    fn act_round1<R: RngCore + CryptoRng>(&mut self, now: u64, rng: &mut R, effects: &mut Vec<Effect>) {
        if self.own.attempt != Some(self.attempt.id.number) {
            let me = identifier(self.config.me).expect("members count from 1");
            let (secret, package) =
                frost::part1(me, self.members(), self.config.threshold, &mut *rng).expect("the threshold was checked");
            let once = SecretKey::new(&mut *rng);
            let once_key = PublicKey::from_secret_key(secp256k1::SECP256K1, &once).serialize();
            let payload = [package.serialize().expect("a package always serializes"), once_key.to_vec()].concat();
            let secret = secret.serialize().expect("a package always serializes");
            self.own.begin(self.attempt.id.number, secret, &once, payload);
            effects.push(Effect::Persist(self.own.to_bytes()));
        }
        let payload = self.own.round1_payload.clone();
        effects.extend(self.outbox.post(self.attempt.id, Kind::DkgRound1, payload, now));
    }

    fn act_round2<R: RngCore + CryptoRng>(&mut self, now: u64, rng: &mut R, effects: &mut Vec<Effect>) {
        if self.attempt.settled {
            return;
        }
        // Finished before a restart: the shell may not have heard of it.
        if let Some(share) = self.share() {
            self.attempt.settled = true;
            effects.push(Effect::Done(share));
            return;
        }
        // This member's round 1 on the board is not of the stored secret: the state was lost or is an old copy.
        if self.own.attempt != Some(self.attempt.id.number) || !self.own_round1_is_on_board() {
            self.complain(self.config.me, now, effects);
            return;
        }
        if self.own.round2_payload.is_empty() {
            if let Err(error) = self.make_round2(rng) {
                // Every round 1 package was checked, so the stored secret does not fit them.
                return self.complain(culprit(&error).unwrap_or(self.config.me), now, effects);
            }
            effects.push(Effect::Persist(self.own.to_bytes()));
        }
        if !self.attempt.round2.contains_key(&self.config.me) {
            let payload = self.own.round2_payload.clone();
            effects.extend(self.outbox.post(self.attempt.id, Kind::DkgRound2, payload, now));
        }
        if self.attempt.round2.len() == usize::from(self.members()) {
            self.finish(now, effects);
        }
    }

    fn own_round1_is_on_board(&self) -> bool {
        let posted = self.attempt.round1.get(&self.config.me);
        posted.is_some_and(|round1| round1.payload == self.own.round1_payload)
    }

    fn make_round2<R: RngCore + CryptoRng>(&mut self, rng: &mut R) -> Result<(), FrostError> {
        let secret = round1::SecretPackage::deserialize(&self.own.secret)?;
        let (secret, packages) = frost::part2(secret, &self.others_round1())?;
        let mut payload = Vec::with_capacity(SEALED_LEN * packages.len());
        for receiver in self.others() {
            let package = &packages[&identifier(receiver).expect("members count from 1")];
            let scalar = Zeroizing::new(package.signing_share().serialize());
            let context = seal::Context { session: self.attempt.id.session, sender: self.config.me, receiver };
            let lasting = self.config.encryption_keys[usize::from(receiver) - 1];
            let keys = [lasting, self.attempt.round1[&receiver].once];
            payload.extend_from_slice(&seal::seal(&keys, &context, &scalar, rng));
        }
        self.own.advance(secret.serialize()?, payload);
        Ok(())
    }

    fn finish(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let packages = match self.open_packages() {
            Ok(packages) => packages,
            Err((sender, why)) => {
                effects.push(self.attempt.id.blame(sender, Fault::Package(why)));
                return self.complain(sender, now, effects);
            }
        };
        let made = round2::SecretPackage::deserialize(&self.own.secret)
            .and_then(|secret| frost::part3(&secret, &self.others_round1(), &packages));
        match made {
            Ok((key, public)) => {
                let share = KeyShare::new(self.config.epoch, self.config.me, key, public);
                self.own.finish(&share);
                self.attempt.settled = true;
                effects.push(Effect::Persist(self.own.to_bytes()));
                effects.push(Effect::Done(share));
            }
            Err(error) => {
                let culprit = culprit(&error).unwrap_or(self.config.me);
                effects.push(self.attempt.id.blame(culprit, Fault::Package(error.to_string())));
                self.complain(culprit, now, effects);
            }
        }
    }

    fn open_packages(&self) -> Result<BTreeMap<Identifier, round2::Package>, (u16, String)> {
        let once = SecretKey::from_slice(&self.own.once).map_err(|error| (self.config.me, error.to_string()))?;
        let keys = [self.encryption_secret, once];
        let open = |sender: u16| {
            let position =
                self.others_of(sender).position(|receiver| receiver == self.config.me).expect("another member");
            let sealed = &self.attempt.round2[&sender][position * SEALED_LEN..][..SEALED_LEN];
            let context = seal::Context { session: self.attempt.id.session, sender, receiver: self.config.me };
            let scalar = seal::open(&keys, &context, sealed).map_err(|error| (sender, error.to_string()))?;
            let share = frost_secp256k1_tr::keys::SigningShare::deserialize(&scalar)
                .map_err(|error| (sender, error.to_string()))?;
            Ok((identifier(sender).expect("members count from 1"), round2::Package::new(share)))
        };
        self.others().map(open).collect()
    }

    fn complain(&mut self, accused: u16, now: u64, effects: &mut Vec<Effect>) {
        self.attempt.complaint = Some(accused);
        effects.extend(self.outbox.post(self.attempt.id, Kind::DkgComplaint, accused.to_be_bytes().to_vec(), now));
    }

    fn others_round1(&self) -> BTreeMap<Identifier, round1::Package> {
        let package =
            |member| (identifier(member).expect("members count from 1"), self.attempt.round1[&member].package.clone());
        self.others().map(package).collect()
    }

    fn others(&self) -> impl Iterator<Item = u16> + use<> {
        self.others_of(self.config.me)
    }

    fn others_of(&self, member: u16) -> impl Iterator<Item = u16> + use<> {
        (1..=self.members()).filter(move |other| *other != member)
    }
}

impl Attempt {
    fn new(config: &Config, number: u32) -> Self {
        Self {
            id: AttemptId::new(board::Session::Keygen { epoch: config.epoch, attempt: number }, number, config.network),
            round1: BTreeMap::new(),
            round2: BTreeMap::new(),
            settled: false,
            complaint: None,
        }
    }
}

/// What everybody can check of a round 1 post: form, degree and proof of knowledge, and a key of the curve.
fn check_round1(event: &Event, threshold: u16) -> Result<Round1, Fault> {
    let malformed = |why: String| Fault::Malformed { kind: event.kind, why };
    let (bytes, once) = event
        .payload
        .split_last_chunk::<ONCE_LEN>()
        .ok_or_else(|| malformed(format!("{} bytes, a key alone has {ONCE_LEN}", event.payload.len())))?;
    let once = PublicKey::from_slice(once).map_err(|error| malformed(error.to_string()))?;
    let package = round1::Package::deserialize(bytes).map_err(|error| malformed(error.to_string()))?;
    // Encodings are unique: who sees that a post is right sees the same bytes as everybody.
    if package.serialize().ok().as_deref() != Some(bytes) {
        return Err(malformed("not the canonical encoding".to_owned()));
    }
    // The crate checks proofs only on the way into round 2, so a substitute goes that way with this package alone: a
    // polynomial of zeroes of another member in a group of two.
    let sender = identifier(event.member).expect("members count from 1");
    let substitute = identifier(if event.member == 1 { 2 } else { 1 }).expect("members count from 1");
    let zeroes =
        vec![<frost_secp256k1_tr::Secp256K1ScalarField as frost_secp256k1_tr::Field>::zero(); usize::from(threshold)];
    let secret = round1::SecretPackage::new(substitute, zeroes, package.commitment().clone(), threshold, 2);
    match frost::part2(secret, &BTreeMap::from([(sender, package.clone())])) {
        Ok(_) => Ok(Round1 { package, once, payload: event.payload.clone() }),
        Err(FrostError::InvalidProofOfKnowledge { .. }) => Err(Fault::Proof),
        Err(error) => Err(malformed(error.to_string())),
    }
}

fn culprit(error: &FrostError) -> Option<u16> {
    let bytes = error.culprits().first()?.serialize();
    Some(u16::from_be_bytes(bytes[bytes.len() - 2..].try_into().expect("two bytes")))
}

/// Secrets and promises of this member: the only part that cannot be read from the board. Stored as JSON.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Own {
    version: u32,
    #[zeroize(skip)]
    network: B256,
    epoch: u32,
    me: u16,
    /// The attempt whose secret is held.
    attempt: Option<u32>,
    /// Round 1 secret while `round2_payload` is empty, then that of round 2, then nothing.
    #[serde(with = "crate::hex_bytes")]
    secret: Vec<u8>,
    /// Secret of the key for this attempt, then nothing.
    #[serde(with = "crate::hex_bytes")]
    once: Vec<u8>,
    #[serde(with = "crate::hex_bytes")]
    round1_payload: Vec<u8>,
    #[serde(with = "crate::hex_bytes")]
    round2_payload: Vec<u8>,
    /// Shares of finished attempts.
    #[zeroize(skip)]
    finished: BTreeMap<u32, HexSecret>,
}

/// Secret bytes that are wiped when dropped.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct HexSecret(#[serde(with = "crate::hex_bytes")] Vec<u8>);

impl std::ops::Deref for HexSecret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("attempt", &self.attempt)
            .field("finished", &self.finished.len())
            .finish_non_exhaustive()
    }
}

impl Own {
    const VERSION: u32 = 3;

    fn new(config: &Config) -> Self {
        Self {
            version: Self::VERSION,
            network: config.network,
            epoch: config.epoch,
            me: config.me,
            attempt: None,
            secret: Vec::new(),
            once: Vec::new(),
            round1_payload: Vec::new(),
            round2_payload: Vec::new(),
            finished: BTreeMap::new(),
        }
    }

    fn begin(&mut self, attempt: u32, secret: Vec<u8>, once: &SecretKey, round1_payload: Vec<u8>) {
        self.secret.zeroize();
        self.once.zeroize();
        self.once = once.secret_bytes().to_vec();
        self.attempt = Some(attempt);
        self.secret = secret;
        self.round1_payload = round1_payload;
        self.round2_payload.clear();
    }

    fn advance(&mut self, secret: Vec<u8>, round2_payload: Vec<u8>) {
        self.secret.zeroize();
        self.secret = secret;
        self.round2_payload = round2_payload;
    }

    fn finish(&mut self, share: &KeyShare) {
        if let Some(attempt) = self.attempt {
            self.finished.insert(attempt, HexSecret(share.to_bytes().to_vec()));
        }
        // Polynomial and key are not needed any more: an attacker who comes later finds only the share.
        self.secret.zeroize();
        self.once.zeroize();
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("numbers and strings"))
    }

    fn from_bytes(bytes: &[u8], config: &Config) -> Result<Self, DkgError> {
        let damaged = |why: String| DkgError::Damaged(why);
        let own: Self = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if own.version != Self::VERSION {
            return Err(damaged(format!("version {}, expected {}", own.version, Self::VERSION)));
        }
        if (own.network, own.epoch, own.me) != (config.network, config.epoch, config.me) {
            return Err(DkgError::Foreign { network: own.network, epoch: own.epoch, me: own.me });
        }
        let finished = own.attempt.is_none_or(|attempt| own.finished.contains_key(&attempt));
        let secret_reads = if own.round2_payload.is_empty() {
            round1::SecretPackage::deserialize(&own.secret).map(drop)
        } else {
            round2::SecretPackage::deserialize(&own.secret).map(drop)
        };
        if !finished && let Err(error) = secret_reads {
            return Err(damaged(error.to_string()));
        }
        if !finished && let Err(error) = SecretKey::from_slice(&own.once) {
            return Err(damaged(error.to_string()));
        }
        own.finished
            .values()
            .try_for_each(|share| KeyShare::from_bytes(share).map(drop))
            .map_err(|error| damaged(error.to_string()))?;
        Ok(own)
    }
}

#[cfg(test)]
mod tests;
