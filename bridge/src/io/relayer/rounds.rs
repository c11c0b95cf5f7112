//! The federation's rounds: key generation and signing, driven by the posts of final blocks.
//!
//! The machines decide ([`crate::dkg`], [`crate::signing`]); here their effects are performed in order: what is to be
//! kept is durable before the next effect, and a failure to keep it stops the relayer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use bitcoin::{FeeRate, Transaction, TxOut, XOnlyPublicKey, consensus};
use contracts::address::{FEDERATION, SIGNING_BOARD};
use contracts::{Federation, SigningBoard};
use rand::rngs::OsRng;
use secp256k1::{PublicKey, SecretKey, schnorr};

use super::bitcoin::Bitcoin;
use super::ledger::{Entry, Ledger};
use super::store::Store;
use super::tx_sender::TxSender;
use super::{FatalError, RoundError};
use crate::board::{Effect, Post};
use crate::dkg::{self, Dkg};
use crate::io::sidechain::{Call, Error};
use crate::policy::{self, FeeBounds, Refusal, Signed};
use crate::signing::{self, Session};
use crate::threshold::KeyShare;
use crate::vault;

/// How long a post that could not be sent is tried again; after that its session repeats it.
const POST_FOR: Duration = Duration::from_secs(5);

const SIGNED: &str = "signed.json";

/// What a member has begun and promised.
pub struct Rounds {
    chain_id: u64,
    me: u16,
    threshold: u16,
    encryption: SecretKey,
    recovery_leaf: [u8; 32],
    /// Group keys in force, by epoch.
    pub group_keys: BTreeMap<u32, XOnlyPublicKey>,
    shares: BTreeMap<u32, KeyShare>,
    dkg: Option<KeyGeneration>,
    sessions: BTreeMap<u64, Signing>,
    /// Signed vault transactions, by number.
    pub complete: BTreeMap<u64, Transaction>,
    signed: Signed,
    unsent: Vec<(Instant, Post)>,
}

struct KeyGeneration {
    epoch: u32,
    machine: Dkg,
    read: usize,
    /// When the key was last sent for confirmation.
    confirmed_at: Option<Instant>,
}

struct Signing {
    machine: Session,
    read: usize,
    approved: bool,
    refusal: Option<Refusal>,
}

impl Rounds {
    pub fn open(
        store: &Store,
        ledger: &Ledger,
        me: u16,
        encryption: SecretKey,
        recovery_leaf: [u8; 32],
    ) -> Result<Self, FatalError> {
        let signed = match store.get(SIGNED)? {
            None => Signed::default(),
            Some(bytes) => Signed::from_bytes(&bytes).map_err(|error| FatalError::Record(error.to_string()))?,
        };
        Ok(Self {
            chain_id: ledger.info.chain_id,
            me,
            threshold: ledger.info.threshold,
            encryption,
            recovery_leaf,
            group_keys: BTreeMap::new(),
            shares: BTreeMap::new(),
            dkg: None,
            sessions: BTreeMap::new(),
            complete: BTreeMap::new(),
            signed,
            unsent: Vec::new(),
        })
    }

    /// Learns of keys that came into force, and takes its shares of them out of the store.
    pub async fn learn_keys(&mut self, store: &Store, ledger: &Ledger) -> Result<(), RoundError> {
        for epoch in 1..=ledger.info.epoch {
            if self.group_keys.contains_key(&epoch) {
                continue;
            }
            let Some(group_key) = ledger.group_key(epoch).await? else {
                continue;
            };
            self.group_keys.insert(epoch, group_key);
            let Some(stored) = store.get_secret(&dkg_file(epoch))? else {
                tracing::error!(
                    epoch,
                    "the key is in force, but there is no share of it here: this relayer cannot sign"
                );
                continue;
            };
            let machine = Dkg::new(self.dkg_config(ledger, epoch).await?, self.encryption, Some(&stored))
                .map_err(|error| FatalError::Dkg(Box::new(error)))?;
            match machine.share_of(&group_key) {
                Some(share) => {
                    tracing::info!(epoch, group_key = %group_key, member = self.me, "the federation's key is in force");
                    self.shares.insert(epoch, share);
                }
                None => tracing::error!(epoch, "its share is of another key: this relayer cannot sign"),
            }
            self.dkg = None;
        }
        Ok(())
    }

    async fn dkg_config(&self, ledger: &Ledger, epoch: u32) -> Result<dkg::Config, RoundError> {
        let members = ledger.members().await?;
        let encryption_keys: Result<Vec<PublicKey>, _> =
            members.iter().map(|member| PublicKey::from_slice(&member.encryptionKey)).collect();
        let encryption_keys = encryption_keys.map_err(|error| FatalError::Federation(error.to_string()))?;
        Ok(dkg::Config { chain_id: self.chain_id, epoch, threshold: self.threshold, encryption_keys, me: self.me })
    }

    /// Takes part in making a key.
    pub async fn run_dkg(
        &mut self,
        epoch: u32,
        store: &Store,
        ledger: &Ledger,
        sender: &mut TxSender,
    ) -> Result<(), RoundError> {
        if self.dkg.as_ref().is_none_or(|dkg| dkg.epoch != epoch) {
            let stored = store.get_secret(&dkg_file(epoch))?;
            let config = self.dkg_config(ledger, epoch).await?;
            let machine = Dkg::new(config, self.encryption, stored.as_ref().map(|bytes| bytes.as_slice()))
                .map_err(|error| FatalError::Dkg(Box::new(error)))?;
            tracing::info!(epoch, member = self.me, "making the federation's key together");
            self.dkg = Some(KeyGeneration { epoch, machine, read: 0, confirmed_at: None });
        }
        let Some(dkg) = &mut self.dkg else {
            return Ok(());
        };
        let events = ledger.posts_after(dkg.read);
        dkg.read = ledger.posts_len();
        for effect in dkg.machine.step(&events, ledger.head.timestamp, &mut OsRng) {
            match effect {
                Effect::Persist(state) => store.put_secret(&dkg_file(epoch), &state)?,
                Effect::Post(post) => self.unsent.push((Instant::now(), post)),
                Effect::Blame(blame) => {
                    tracing::warn!(epoch, %blame, "a member broke the key generation")
                }
                Effect::Done(share) => {
                    tracing::info!(epoch, group_key = %share.group_key(), "the share of the key is made")
                }
            }
        }
        self.send_posts(sender).await?;
        self.confirm_key(ledger, sender).await
    }

    /// Tells the Federation contract which key came out.
    async fn confirm_key(&mut self, ledger: &Ledger, sender: &mut TxSender) -> Result<(), RoundError> {
        let Some(dkg) = &mut self.dkg else {
            return Ok(());
        };
        let Some(share) = dkg.machine.share() else {
            return Ok(());
        };
        let group_key = share.group_key();
        let on_chain = B256::from(group_key.serialize());
        let sent_lately = dkg.confirmed_at.is_some_and(|at| at.elapsed() < POST_FOR);
        if ledger.confirmed.get(&dkg.epoch) == Some(&on_chain) || sent_lately {
            return Ok(());
        }
        let (x, y) = vault::coordinates(&vault::output_point(group_key, &self.recovery_leaf));
        let call = Federation::confirmKeyCall {
            epoch_: dkg.epoch,
            groupKey_: on_chain,
            vaultKeyX: x.into(),
            vaultKeyY: y.into(),
        };
        dkg.confirmed_at = Some(Instant::now());
        match sender.send(&Call::new(FEDERATION, &call), None).await {
            Ok(_) => {
                tracing::info!(epoch = dkg.epoch, %group_key, "confirmed the federation's key")
            }
            Err(error) if error.retry() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the key was not confirmed, it will be tried again")
            }
        }
        Ok(())
    }

    /// Takes part in signing a vault transaction. `bitcoin` is none while bitcoind does not answer; then only what was
    /// approved before goes on.
    pub async fn run_signing(
        &mut self,
        number: u64,
        store: &Store,
        ledger: &Ledger,
        bitcoin: Option<(&Bitcoin, FeeRate)>,
        sender: &mut TxSender,
    ) -> Result<(), RoundError> {
        let Some(entry) = ledger.open.get(&number) else {
            return Ok(());
        };
        if !self.open_session(number, entry, store)? {
            return Ok(());
        }
        self.approve(number, entry, store, ledger, bitcoin).await?;
        let Some(signing) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        let events = ledger.posts_after(signing.read);
        signing.read = ledger.posts_len();
        let facts = signing::Facts { events: &events, now: ledger.head.timestamp, may_sign: signing.approved };
        for effect in signing.machine.step(facts, &mut OsRng) {
            match effect {
                Effect::Persist(state) => store.put_secret(&session_file(number), &state)?,
                Effect::Post(post) => self.unsent.push((Instant::now(), post)),
                Effect::Blame(blame) => {
                    tracing::warn!(number, %blame, "a member broke the signing")
                }
                Effect::Done(signatures) => keep(&mut self.complete, number, entry, &signatures, store)?,
            }
        }
        self.send_posts(sender).await
    }

    /// Opens the session of a vault transaction; false when this member cannot take part.
    fn open_session(&mut self, number: u64, entry: &Entry, store: &Store) -> Result<bool, FatalError> {
        if self.sessions.contains_key(&number) {
            return Ok(true);
        }
        let inputs = entry.transaction.signing_inputs();
        if inputs.iter().any(|input| !self.shares.contains_key(&input.epoch)) {
            return Ok(false); // Said when the key came into force.
        }
        let config = signing::Config {
            chain_id: self.chain_id,
            number,
            proposed_at: entry.proposed_at,
            share_deadline_s: signing::SHARE_DEADLINE_S,
            inputs,
        };
        let stored = store.get_secret(&session_file(number))?;
        let machine = Session::new(config, &self.shares, stored.as_ref().map(|bytes| bytes.as_slice()))
            .map_err(|error| FatalError::Session(Box::new(error)))?;
        self.sessions.insert(number, Signing { machine, read: 0, approved: false, refusal: None });
        Ok(true)
    }

    /// Asks its policy, until it agrees. The promise not to sign anything that conflicts is durable before the first
    /// commitment can leave.
    async fn approve(
        &mut self,
        number: u64,
        entry: &Entry,
        store: &Store,
        ledger: &Ledger,
        bitcoin: Option<(&Bitcoin, FeeRate)>,
    ) -> Result<(), RoundError> {
        let Some(signing) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        let Some((bitcoin, fee_rate)) = bitcoin else {
            return Ok(());
        };
        if signing.approved || signing.refusal.as_ref().is_some_and(|refusal| !refusal.may_pass()) {
            return Ok(());
        }
        let own_outputs = own_outputs(entry, bitcoin).await?;
        let facts = policy::Facts {
            vault_tx: &entry.transaction,
            block_final: entry.proposed_in <= ledger.head.number,
            ledger_txid: ledger.proposed_txid(number).await?,
            group_keys: &self.group_keys,
            own_outputs: &own_outputs,
            fee_bounds: FeeBounds::around(fee_rate),
        };
        let verdict =
            policy::approve(&facts, &self.signed).and_then(|()| self.signed.insert(entry.transaction.unsigned()));
        match verdict {
            Ok(new) => {
                if new {
                    store.put(SIGNED, &self.signed.to_bytes())?;
                }
                signing.approved = true;
                signing.refusal = None;
            }
            Err(refusal) => {
                if signing.refusal.as_ref() != Some(&refusal) {
                    tracing::warn!(number, %refusal, "not signing");
                }
                signing.refusal = Some(refusal);
            }
        }
        Ok(())
    }

    /// Sends what waits to be posted, in order.
    async fn send_posts(&mut self, sender: &mut TxSender) -> Result<(), RoundError> {
        self.unsent.retain(|(since, _)| since.elapsed() < POST_FOR);
        while let Some((_, post)) = self.unsent.first() {
            let call = SigningBoard::postCall {
                session: post.session,
                kind: post.kind as u8,
                payload: post.payload.clone().into(),
            };
            match sender.send(&Call::new(SIGNING_BOARD, &call), None).await {
                Ok(_) => {}
                Err(error) if error.retry() => return Err(error.into()),
                Err(error @ Error::Refused { .. }) => {
                    tracing::debug!(%error, "a post was refused, it will be sent again");
                    return Ok(());
                }
                Err(error) => tracing::warn!(%error, "a post was refused"),
            }
            self.unsent.remove(0);
        }
        Ok(())
    }

    /// Takes a signed transaction of an earlier life out of the store.
    pub fn recall(&mut self, number: u64, entry: &Entry, store: &Store) -> Result<(), FatalError> {
        if self.complete.contains_key(&number) {
            return Ok(());
        }
        let Some(bytes) = store.get(&complete_file(number))? else {
            return Ok(());
        };
        match consensus::deserialize::<Transaction>(&bytes) {
            Ok(transaction) if transaction.compute_txid() == entry.transaction.txid() => {
                self.complete.insert(number, transaction);
            }
            // The board still has what it takes to make it again.
            _ => store.remove(&complete_file(number))?,
        }
        Ok(())
    }

    /// Forgets what is settled for good, but never what was signed.
    pub fn forget(&mut self, numbers: &[u64], store: &Store) -> Result<(), FatalError> {
        for number in numbers {
            self.sessions.remove(number);
            self.complete.remove(number);
            store.remove(&session_file(*number))?;
            store.remove(&complete_file(*number))?;
        }
        Ok(())
    }
}

/// Every input, as its own bitcoind has it unspent in its best chain.
async fn own_outputs(entry: &Entry, bitcoin: &Bitcoin) -> Result<Vec<Option<TxOut>>, RoundError> {
    let mut outputs = Vec::new();
    for input in entry.transaction.inputs() {
        let unspent = bitcoin.rpc().unspent(input.outpoint, false).await?;
        outputs.push(unspent.map(|unspent| TxOut { value: unspent.value, script_pubkey: unspent.script_pubkey }));
    }
    Ok(outputs)
}

fn keep(
    complete: &mut BTreeMap<u64, Transaction>,
    number: u64,
    entry: &Entry,
    signatures: &[schnorr::Signature],
    store: &Store,
) -> Result<(), FatalError> {
    match entry.transaction.attach(signatures) {
        Ok(transaction) => {
            store.put(&complete_file(number), &consensus::serialize(&transaction))?;
            tracing::info!(number, txid = %entry.transaction.txid(), inputs = signatures.len(), "the vault transaction is signed");
            complete.insert(number, transaction);
        }
        // The machine verified each; should it happen nevertheless, Bitcoin would only refuse the transaction.
        Err(error) => {
            tracing::error!(number, %error, "signatures do not fit the vault transaction")
        }
    }
    Ok(())
}

fn dkg_file(epoch: u32) -> String {
    format!("key-{epoch}")
}

fn session_file(number: u64) -> String {
    format!("signing-{number}")
}

fn complete_file(number: u64) -> String {
    format!("vault-transaction-{number}")
}
