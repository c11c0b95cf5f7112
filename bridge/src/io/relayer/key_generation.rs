//! Making the key of an epoch together, driven by the posts of final blocks.
//!
//! The machine decides ([`crate::dkg`]); here its effects are performed in order: what is to be kept is durable before the
//! next effect, and a failure to keep it stops the relayer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::B256;
use bitcoin::XOnlyPublicKey;
use contracts::Federation;
use contracts::address::FEDERATION;
use secp256k1::PublicKey;

use super::error::{FatalError, RoundError};
use super::gather_ledger::{group_key, members};
use super::member::{Member, Random};
use super::node::Node;
use crate::board::{Effect, Post};
use crate::dkg::{self, Dkg};
use crate::io::sidechain::Call;
use crate::relay::key_confirmation::KeyConfirmation;
use crate::relay::ledger::Ledger;
use crate::relay::mailboxes::Subject;
use crate::threshold::KeyShare;
use crate::vault;

/// What the names of files with shares, or with what becomes one, begin with.
pub const KEY_FILES: &str = "key-";

/// The keys in force, and the one that is being made.
pub struct KeyGeneration<N> {
    member: Arc<Member<N>>,
    /// Group keys in force, by epoch.
    pub group_keys: BTreeMap<u32, XOnlyPublicKey>,
    /// This member's shares of them.
    pub shares: BTreeMap<u32, KeyShare>,
    running: Option<Running>,
    /// What the log was told of an epoch: once each, however often all is read again.
    told: BTreeSet<(u32, Told)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Making,
    InForce,
    NoShare,
    OtherShare,
}

/// Milliseconds without a post after which those are named that it waits for: members start at different times.
const NAME_AFTER_MS: u64 = 10_000;

struct Running {
    epoch: u32,
    /// When something was posted, or confirmed, for the last time.
    moved_ms: u64,
    confirmers: usize,
    machine: Dkg,
    confirmation: KeyConfirmation,
}

impl<N: Node> KeyGeneration<N> {
    pub fn new(member: Arc<Member<N>>) -> Self {
        Self { member, group_keys: BTreeMap::new(), shares: BTreeMap::new(), running: None, told: BTreeSet::new() }
    }

    /// Forgets all but what was told: it is read again.
    pub fn begin_again(&mut self) {
        (self.group_keys, self.shares, self.running) = (BTreeMap::new(), BTreeMap::new(), None);
    }

    /// Learns of keys that came into force, and takes its shares of them out of the store.
    pub async fn learn(&mut self, epoch: u32) -> Result<(), RoundError> {
        for epoch in 1..=epoch {
            if self.group_keys.contains_key(&epoch) {
                continue;
            }
            if let Some(group_key) = group_key(&*self.member.node, epoch).await? {
                self.take_share(epoch, group_key).await?;
                self.group_keys.insert(epoch, group_key);
                self.running = None;
            }
        }
        Ok(())
    }

    async fn take_share(&mut self, epoch: u32, group_key: XOnlyPublicKey) -> Result<(), RoundError> {
        let Some(stored) = self.member.store.get_secret(&file(epoch))? else {
            if self.told.insert((epoch, Told::NoShare)) {
                tracing::error!(
                    epoch,
                    "the key is in force, but there is no share of it here: this relayer cannot sign"
                );
            }
            return Ok(());
        };
        let machine = self.open(epoch, Some(&stored)).await?;
        match machine.share_of(&group_key) {
            Some(share) => {
                if self.told.insert((epoch, Told::InForce)) {
                    tracing::info!(epoch, %group_key, member = self.member.me, "the federation's key is in force");
                }
                self.shares.insert(epoch, share);
            }
            None if self.told.insert((epoch, Told::OtherShare)) => {
                tracing::error!(epoch, "its share is of another key: this relayer cannot sign");
            }
            None => {}
        }
        Ok(())
    }

    async fn open(&self, epoch: u32, stored: Option<&[u8]>) -> Result<Dkg, RoundError> {
        let Member { network, threshold, me, encryption, node, .. } = &*self.member;
        let members = members(&**node).await?;
        let encryption_keys: Result<Vec<PublicKey>, _> =
            members.iter().map(|member| PublicKey::from_slice(&member.encryptionKey)).collect();
        let encryption_keys = encryption_keys.map_err(|error| FatalError::Federation(error.to_string()))?;
        let config = dkg::Config { network: *network, epoch, threshold: *threshold, encryption_keys, me: *me };
        let machine = Dkg::new(config, *encryption, stored);
        Ok(machine.map_err(|error| FatalError::Dkg(Box::new(error)))?)
    }

    /// Takes part in making a key; the posts to send.
    pub async fn step(
        &mut self,
        epoch: u32,
        ledger: &mut Ledger,
        random: &mut dyn Random,
    ) -> Result<Vec<Post>, RoundError> {
        if self.running.as_ref().is_none_or(|running| running.epoch != epoch) {
            let stored = self.member.store.get_secret(&file(epoch))?;
            let machine = self.open(epoch, stored.as_ref().map(|bytes| bytes.as_slice())).await?;
            if self.told.insert((epoch, Told::Making)) {
                tracing::info!(epoch, member = self.member.me, "making the federation's key together");
            }
            self.running = Some(Running {
                epoch,
                moved_ms: self.member.clock.ms(),
                confirmers: 0,
                machine,
                confirmation: KeyConfirmation::default(),
            });
        }
        let Some(running) = &mut self.running else {
            return Ok(Vec::new());
        };
        let events = ledger.mail.take(Subject::Key(epoch));
        let confirmers = ledger.confirmers(epoch).len();
        if !events.is_empty() || confirmers > running.confirmers {
            (running.moved_ms, running.confirmers) = (self.member.clock.ms(), confirmers);
        }
        let mut posts = Vec::new();
        for effect in running.machine.step(&events, ledger.view().head.time_s, &mut &mut *random) {
            match effect {
                Effect::Persist(state) => self.member.store.put_secret(&file(epoch), &state)?,
                Effect::Post(post) => posts.push(post),
                Effect::Blame(blame) => tracing::warn!(epoch, %blame, "a member broke the key generation"),
                Effect::Done(share) => {
                    tracing::info!(epoch, group_key = %share.group_key(), "the share of the key is made")
                }
            }
        }
        Ok(posts)
    }

    /// The members that the running key generation waits for, with what; none while it moves.
    #[must_use]
    pub fn waited_for(&self, ledger: &Ledger) -> BTreeMap<u16, String> {
        let waits = |running: &&Running| self.member.clock.ms().saturating_sub(running.moved_ms) >= NAME_AFTER_MS;
        let Some(running) = self.running.as_ref().filter(waits) else { return BTreeMap::new() };
        let (epoch, missing) = (running.epoch, running.machine.missing());
        let (what, missing) = if missing.is_empty() {
            let confirmers = ledger.confirmers(epoch);
            let members = 1..=ledger.view().members();
            ("confirmation", members.filter(|member| !confirmers.contains(member)).collect())
        } else {
            ("part", missing)
        };
        let text = format!("its {what} of the key of epoch {epoch} is missing");
        missing.into_iter().map(|member| (member, text.clone())).collect()
    }

    /// Tells the Federation contract which key came out.
    pub async fn confirm(&mut self, ledger: &Ledger) -> Result<(), RoundError> {
        let now_ms = self.member.clock.ms();
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let Some(share) = running.machine.share() else {
            return Ok(());
        };
        let group_key = share.group_key();
        let on_chain = B256::from(group_key.serialize());
        if !running.confirmation.is_owed(on_chain, ledger.confirmed(running.epoch), now_ms) {
            return Ok(());
        }
        let (x, y) = vault::coordinates(&vault::output_point(group_key, &self.member.recovery_leaf));
        let call = Federation::confirmKeyCall {
            network: self.member.network,
            epoch_: running.epoch,
            groupKey_: on_chain,
            vaultKeyX: x.into(),
            vaultKeyY: y.into(),
        };
        running.confirmation.sent(now_ms);
        match self.member.sender.send(&Call::new(FEDERATION, &call), None).await {
            Ok(_) => tracing::info!(epoch = running.epoch, %group_key, "confirmed the federation's key"),
            Err(error) if error.retry() => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "the key was not confirmed, it will be tried again"),
        }
        Ok(())
    }
}

fn file(epoch: u32) -> String {
    format!("{KEY_FILES}{epoch}")
}
