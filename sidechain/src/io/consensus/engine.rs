//! The engine put together: votes (simplex), storage and order of final blocks (marshal), broadcast and backfill.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use commonware_broadcast::buffered;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::{
    marshal::{
        self,
        core::Actor as Marshal,
        resolver::p2p as resolver,
        standard::{Inline, Standard},
    },
    simplex::{
        self,
        config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy},
        elector::RoundRobin,
        scheme::bls12381_multisig,
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible as _, Sha256,
    bls12381::primitives::{
        group::Private,
        variant::{MinSig, Variant},
    },
    certificate::{ConstantProvider, Verifier as _},
    ed25519::PublicKey,
};
use commonware_p2p::{Blocker, Provider};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Clock, Metrics, Spawner, Storage,
    buffer::paged::{CacheRef, page_size},
};
use commonware_storage::archive::immutable;
use commonware_utils::{NZDuration, NZU64, NZUsize, TryFromIterator as _, ordered::BiMap};
use rand_core::CryptoRng;
use tokio::sync::mpsc;

use super::{
    Application, Pacing, Validator,
    adapter::{Adapter, Delivery, deliver},
    network::{Channels, MAILBOX_SIZE},
    payload::Payload,
};
use crate::{finality, io::keys::ValidatorKeys};

/// Who signs, and how signatures become a certificate.
pub(super) type Scheme = bls12381_multisig::Scheme<PublicKey, MinSig>;

/// What building, spreading and checking a block may take on top of the time a leader waits for work.
const LEADER_MARGIN: Duration = Duration::from_millis(1500);

/// Time for the votes of a round, after its leader's time.
const VOTE_MARGIN: Duration = Duration::from_millis(1500);

/// Rounds whose votes are kept behind the last final one, for validators that lag.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(256);

/// Final blocks on their way to the application.
const MAX_PENDING_BLOCKS: usize = 16;

/// Final blocks fetched at the same time by a validator that is behind.
const MAX_REPAIR: usize = 32;

/// Why the engine did not start, or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    #[error("validator {index} has a key that is not a valid point")]
    BadKey { index: usize },
    #[error("two validators have the same key")]
    DuplicateKey,
    #[error("the keys of this node are not those of a validator in the genesis file")]
    NotValidator,
    #[error("cannot commit a final block: {0}")]
    Commit(String),
    #[error("the consensus engine stopped")]
    Stopped,
}

/// What an engine is started with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Names the chain in every signature.
    pub chain_id: u64,
    /// All validators of the network, this one among them.
    pub validators: &'a [Validator],
    /// Of this validator.
    pub keys: &'a ValidatorKeys,
    /// How fast blocks are made.
    pub pacing: Pacing,
    /// Prefix of the engine's files in the runtime's storage: empty, but where several validators share one runtime.
    pub partition: String,
}

/// Runs the engine until its context is stopped, or something fatal happens.
///
/// # Errors
///
/// `BadKey`, `DuplicateKey`, `NotValidator` before anything is started; `Commit` and `Stopped` later.
pub async fn start<E, A, S, R, P, B>(
    runtime: E,
    setup: Setup<'_>,
    application: Arc<A>,
    channels: Channels<S, R>,
    peers: P,
    blocker: B,
) -> Result<(), ConsensusError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    A: Application,
    S: commonware_p2p::Sender<PublicKey = PublicKey>,
    R: commonware_p2p::Receiver<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    let Setup { chain_id, validators, keys, pacing, partition } = setup;
    let scheme = scheme(chain_id, validators, keys)?;
    let me = commonware_cryptography::Signer::public_key(&keys.p2p());
    let beneficiary = validators
        .iter()
        .find(|validator| validator.p2p_key[..] == *me.as_ref())
        .ok_or(ConsensusError::NotValidator)?
        .account;

    // Blocks are spread by their proposer, and fetched from peers when that failed.
    let (broadcast, buffer) = buffered::Engine::new(
        runtime.child("broadcast"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX_SIZE,
            deque_size: 16,
            priority: true,
            codec_config: (),
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    let broadcast = broadcast.start(channels.blocks);
    let backfill = resolver::init(
        runtime.child("backfill"),
        resolver::Config {
            public_key: me,
            peer_provider: peers,
            blocker: blocker.clone(),
            mailbox_size: MAILBOX_SIZE,
            fetch_timeout: NZDuration!(Duration::from_secs(2)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );

    // Pages that align with the file system's; 8 MiB in all.
    let page_cache = CacheRef::new(page_size(4096), NZUsize!(2048));
    let genesis = Payload::new(application.genesis());
    let genesis_digest = genesis.digest();
    let finalizations = immutable::Archive::init(
        runtime.child("finalizations"),
        archive(format!("{partition}finalizations"), &page_cache, Scheme::certificate_codec_config_unbounded()),
    )
    .await
    .expect("the consensus archive can be opened; the disk is damaged or full otherwise");
    let blocks =
        immutable::Archive::init(runtime.child("blocks"), archive(format!("{partition}blocks"), &page_cache, ()))
            .await
            .expect("the consensus archive can be opened; the disk is damaged or full otherwise");
    let epocher = FixedEpocher::new(NonZeroU64::MAX); // one epoch: membership does not change
    let (marshal, mailbox, _) = Marshal::<_, Standard<Payload>, _, _, _, _, _>::init(
        runtime.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: ConstantProvider::<Scheme, Epoch>::new(scheme.clone()),
            epocher: epocher.clone(),
            start: marshal::Start::Genesis(Digested::precomputed(genesis, genesis_digest)),
            partition_prefix: format!("{partition}marshal"),
            mailbox_size: MAILBOX_SIZE,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: NZU64!(1024),
            page_cache: page_cache.clone(),
            replay_buffer: NZUsize!(1 << 20),
            key_write_buffer: NZUsize!(1 << 16),
            value_write_buffer: NZUsize!(1 << 18),
            block_codec_config: (),
            max_repair: NZUsize!(MAX_REPAIR),
            max_pending_acks: NZUsize!(MAX_PENDING_BLOCKS),
            strategy: Sequential,
        },
    )
    .await;
    let (sender, receiver) = mpsc::unbounded_channel();
    let marshal = marshal.start(Delivery(sender), buffer, backfill);
    let delivery = deliver(runtime.child("delivery"), application.clone(), mailbox.clone(), receiver);

    let adapter = Adapter::new(application, pacing, beneficiary);
    let automaton = Inline::new(runtime.child("automaton"), adapter, mailbox, epocher);
    let leader_timeout = pacing.heartbeat + LEADER_MARGIN;
    let certification_timeout = leader_timeout + VOTE_MARGIN;
    let votes = simplex::Engine::new(
        runtime.child("votes"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker,
            automaton: automaton.clone(),
            relay: automaton.clone(),
            reporter: automaton,
            track_historical_votes: false,
            strategy: Sequential,
            partition: format!("{partition}votes"),
            mailbox_size: MAILBOX_SIZE,
            epoch: Epoch::zero(),
            floor: Floor::Genesis(genesis_digest),
            replay_buffer: NZUsize!(1 << 20),
            write_buffer: NZUsize!(1 << 18),
            page_cache,
            leader_timeout,
            certification_timeout,
            timeout_retry: Duration::from_secs(1),
            view_retention: VIEW_RETENTION,
            // A validator that is dead costs its first round a timeout; after that its rounds are skipped at once.
            skip: SkipPolicy::Enabled {
                timeout: certification_timeout + Duration::from_millis(500),
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            forward: ForwardPolicy::SilentVoters,
        },
    )
    .start(channels.votes, channels.certificates, channels.resolver);

    tokio::select! {
        delivered = delivery => delivered.map_err(ConsensusError::Commit)?,
        _ = broadcast => {}
        _ = marshal => {}
        _ = votes => {}
    }
    Err(ConsensusError::Stopped)
}

/// The validators' keys as the engine wants them. Their proofs of possession were checked with the genesis file.
fn scheme(chain_id: u64, validators: &[Validator], keys: &ValidatorKeys) -> Result<Scheme, ConsensusError> {
    let mut participants = Vec::with_capacity(validators.len());
    for (index, validator) in validators.iter().enumerate() {
        let bad = |_| ConsensusError::BadKey { index };
        let p2p = PublicKey::decode(Copying(&validator.p2p_key)).map_err(bad)?;
        let bls = <MinSig as Variant>::Public::decode(Copying(&validator.validator_key)).map_err(bad)?;
        participants.push((p2p, bls));
    }
    let participants = BiMap::try_from_iter(participants).map_err(|_| ConsensusError::DuplicateKey)?;
    let secret = Private::decode(Copying(keys.bls_bytes())).map_err(|_| ConsensusError::NotValidator)?;
    Scheme::signer(&finality::namespace(chain_id), participants, secret).ok_or(ConsensusError::NotValidator)
}

/// Where final blocks or their certificates are kept for peers that are behind.
fn archive<C>(name: String, page_cache: &CacheRef, codec_config: C) -> immutable::Config<C> {
    immutable::Config {
        metadata_partition: format!("{name}-metadata"),
        freezer_table_partition: format!("{name}-table"),
        freezer_table_initial_size: 1 << 14,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 1 << 12,
        freezer_key_partition: format!("{name}-keys"),
        freezer_key_page_cache: page_cache.clone(),
        freezer_value_partition: format!("{name}-values"),
        freezer_value_target_size: 1 << 28,
        freezer_value_compression: Some(3),
        ordinal_partition: format!("{name}-ordinal"),
        items_per_section: NZU64!(1 << 16),
        freezer_key_write_buffer: NZUsize!(1 << 16),
        freezer_value_write_buffer: NZUsize!(1 << 18),
        ordinal_write_buffer: NZUsize!(1 << 16),
        replay_buffer: NZUsize!(1 << 20),
        codec_config,
    }
}
