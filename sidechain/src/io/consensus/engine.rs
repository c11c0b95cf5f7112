//! The engine put together: votes (simplex), storage and order of final blocks (marshal), new blocks and backfill.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use commonware_codec::{Copying, Decode as _};
use commonware_consensus::{
    CertifiableAutomaton, Relay, Reporter,
    marshal::{
        self,
        resolver::{handler, p2p as resolver},
        standard::{Inline, Standard},
    },
    simplex::{
        self, Plan,
        config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy},
        elector::RoundRobin,
        types::{Activity, Context, Finalization},
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible as _, Sha256, Signer as _,
    certificate::{ConstantProvider, Membership, Scheme as _, Verifier as _},
    ed25519::PublicKey,
    keccak256::Digest,
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use commonware_utils::{NZDuration, NZU64, NZUsize};
use rand_core::CryptoRng;
use tokio::sync::mpsc;
use tracing::warn;

use super::{
    adapter::Adapter,
    application::{Application, Pacing, Validator},
    archive::{Archive, BlockArchive, CertificateArchive, Files},
    blocks,
    catch_up::CatchUp,
    counting::Counting,
    delivery::{Delivery, deliver},
    error::ConsensusError,
    network::{Channels, MAILBOX_SIZE},
    payload::Payload,
    requests::{FETCH_TIMEOUT, MAX_REQUESTS},
    scheme::{self, Scheme},
    serving,
};
use crate::io::keys::ValidatorKeys;

/// Rounds whose votes are kept behind the last final one, for validators that lag.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(256);

/// Rounds whose blocks the engine keeps in files of its own behind the last final one, besides all that are not final. What is final
/// it reads from the chain. A validator that lags further asks for final blocks.
const CACHE_RETENTION: ViewDelta = ViewDelta::new(32);

/// Blocks in one of these files; files are removed whole.
const CACHE_SECTION: NonZeroU64 = NZU64!(32);

/// The folder of the journal of votes.
pub const VOTES: &str = "votes";

/// Final blocks on their way to the application.
const MAX_PENDING_BLOCKS: usize = 16;

/// The parameters of an engine.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Names the network in every signature.
    pub network: B256,
    /// All validators of the network, this one among them.
    pub validators: &'a [Validator],
    /// Of this validator.
    pub keys: &'a ValidatorKeys,
    /// How fast blocks are made.
    pub pacing: Pacing,
    /// Prefix of the engine's files in the runtime's storage: empty, except where several validators share one runtime.
    pub partition: String,
    /// Certificate of a final block, unless its own files say something later: the engine votes only in rounds after that block's.
    pub votes_floor: Option<&'a [u8]>,
}

/// Runs the engine until its context is stopped, or something fatal happens.
///
/// # Errors
///
/// `BadKey`, `DuplicateKey`, `NotValidator`, `Archive` before anything is voted on; `Commit` and `Stopped` later.
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
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    let scheme = scheme::signer(setup.network, setup.validators, setup.keys)?;
    let me = setup.keys.p2p().public_key();
    let beneficiary = fee_account(setup.validators, &me)?;
    let files = Files::new(setup.partition);
    let genesis = Payload::new(application.genesis());
    let votes_floor = votes_floor(setup.votes_floor, &genesis)?;

    let (carried, blocks) = blocks::start(&runtime, channels.blocks, blocker.clone());
    let archive = Archive::open(runtime.child("archive"), application.clone()).await?;
    let (serving, channel) = serving::start(&runtime, archive.clone(), channels.backfill);
    let backfill = backfill(&runtime, me, peers, blocker.clone(), channel);
    let (marshal, mailbox) = open_marshal(&runtime, &application, archive, &scheme, genesis, &files).await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let final_tip = Arc::default();
    let catch_up = CatchUp::new(application.clone(), Arc::clone(&final_tip), setup.pacing.round_timeout());
    let catching_up = catch_up.clone().run(runtime.child("catch_up"));
    let deliver_to = Delivery { blocks: sender, tip: Arc::clone(&final_tip) };
    let marshal = marshal.start(deliver_to, blocks, backfill);
    let delivery = deliver(runtime.child("delivery"), application.clone(), mailbox.clone(), receiver);

    let own = scheme.me().map(|own: Membership| own.index()).ok_or(ConsensusError::NotValidator)?;
    let adapter = Adapter::new(application.clone(), setup.pacing, beneficiary, final_tip, catch_up);
    let automaton = Inline::new(runtime.child("automaton"), adapter, mailbox, one_epoch());
    let reporter = Counting::new(automaton.clone(), application, own);
    let config = vote_config(scheme, blocker, (automaton, reporter), setup.pacing, votes_floor, &files);
    let votes = simplex::Engine::new(runtime.child("votes"), config);
    let votes = votes.start(channels.votes, channels.certificates, channels.resolver);

    tokio::select! {
        delivered = delivery => delivered.map_err(ConsensusError::Commit)?,
        () = catching_up => {}
        _ = carried => {}
        _ = serving => {}
        _ = marshal => {}
        _ = votes => {}
    }
    Err(ConsensusError::Stopped)
}

type Marshal<E, A> = marshal::core::Actor<
    E,
    Standard<Payload>,
    ConstantProvider<Scheme, Epoch>,
    CertificateArchive<E, A>,
    BlockArchive<E, A>,
    FixedEpocher,
    Sequential,
>;

/// Opens what stores and orders final blocks. It continues where the application's state is: when it delivered more than the state
/// has, because the state is an older copy or was lost, it starts anew from there and fetches the rest from peers.
async fn open_marshal<E, A>(
    runtime: &E,
    application: &Arc<A>,
    archive: Archive<E, A>,
    scheme: &Scheme,
    genesis: Payload,
    files: &Files,
) -> Result<(Marshal<E, A>, marshal::core::Mailbox<Scheme, Standard<Payload>>), ConsensusError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics + Sync,
    A: Application,
{
    let open = async |label: &'static str, start| {
        let (certificates, blocks) = (CertificateArchive(archive.clone()), BlockArchive(archive.clone()));
        let config = marshal_config(scheme.clone(), start, files);
        Marshal::init(runtime.child(label), certificates, blocks, config).await
    };
    let digest = genesis.digest();
    let first = || marshal::Start::Genesis(Digested::precomputed(genesis.clone(), digest));
    // Where the chain began with a copied state, nothing before it can be delivered. What was delivered later than that wins.
    let start = match application.first_block() {
        0 => first(),
        _ => archive.newest_certificate().await?.map_or_else(first, marshal::Start::Floor),
    };
    let (marshal, mailbox, floor) = open("marshal", start).await;
    let (delivered, head) = (floor.processed().map_or(0, |processed| processed.height().get()), application.head());
    if delivered <= head {
        return Ok((marshal, mailbox));
    }
    warn!(head, delivered, "the state is older than what was delivered: the rest is fetched from the other validators");
    drop((marshal, mailbox));
    let progress = format!("{}-application-metadata", files.name("marshal"));
    runtime
        .remove(&progress, None)
        .await
        .map_err(|error| ConsensusError::Archive { archive: progress.clone(), reason: error.to_string() })?;
    let start = archive.newest_certificate().await?.map_or_else(first, marshal::Start::Floor);
    let (marshal, mailbox, _) = open("marshal_again", start).await;
    Ok((marshal, mailbox))
}

/// Where the fees of this validator's blocks go.
fn fee_account(validators: &[Validator], me: &PublicKey) -> Result<Address, ConsensusError> {
    let validator = validators.iter().find(|validator| validator.p2p_key[..] == *me.as_ref());
    validator.map(|validator| validator.account).ok_or(ConsensusError::NotValidator)
}

/// A certificate that the node keeps, as the engine knows it.
fn finalization(certificate: &[u8]) -> Result<Finalization<Scheme, Digest>, ConsensusError> {
    Finalization::decode_cfg(Copying(certificate), &Scheme::certificate_codec_config_unbounded())
        .map_err(|error| ConsensusError::Floor(error.to_string()))
}

fn votes_floor(floor: Option<&[u8]>, genesis: &Payload) -> Result<Floor<Scheme, Digest>, ConsensusError> {
    Ok(match floor {
        Some(certificate) => Floor::Finalized(finalization(certificate)?),
        None => Floor::Genesis(genesis.digest()),
    })
}

/// Membership does not change.
fn one_epoch() -> FixedEpocher {
    FixedEpocher::new(NonZeroU64::MAX)
}

/// Fetches from peers the blocks that the broadcast did not bring.
fn backfill<E, P, B, S, R>(
    runtime: &E,
    me: PublicKey,
    peers: P,
    blocker: B,
    channel: (S, R),
) -> (handler::Receiver<Digest>, resolver::Mailbox<Digest, PublicKey>)
where
    E: Clock + CryptoRng + Spawner + Metrics,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let config = resolver::Config {
        public_key: me,
        peer_provider: peers,
        blocker,
        mailbox_size: MAILBOX_SIZE,
        fetch_timeout: NZDuration!(FETCH_TIMEOUT),
        fetch_retry_delay: Duration::from_millis(100),
        priority_requests: false,
        priority_responses: false,
    };
    resolver::init(runtime.child("backfill"), config, channel)
}

type MarshalConfig =
    marshal::Config<ConstantProvider<Scheme, Epoch>, FixedEpocher, Sequential, Payload, Digested<Payload>>;

/// How final blocks are ordered.
fn marshal_config(
    scheme: Scheme,
    start: marshal::Start<Scheme, Digest, Digested<Payload>>,
    files: &Files,
) -> MarshalConfig {
    marshal::Config {
        provider: ConstantProvider::new(scheme),
        epocher: one_epoch(),
        start,
        partition_prefix: files.name("marshal"),
        mailbox_size: MAILBOX_SIZE,
        view_retention: CACHE_RETENTION,
        prunable_items_per_section: CACHE_SECTION,
        page_cache: files.page_cache.clone(),
        replay_buffer: NZUsize!(1 << 20),
        key_write_buffer: NZUsize!(1 << 16),
        value_write_buffer: NZUsize!(1 << 18),
        block_codec_config: (),
        max_repair: NZUsize!(MAX_REQUESTS),
        max_pending_acks: NZUsize!(MAX_PENDING_BLOCKS),
        strategy: Sequential,
    }
}

type VoteConfig<B, A, R> = simplex::Config<Scheme, RoundRobin<Sha256>, B, Digest, A, A, R, Sequential>;

/// How rounds are led, voted on and skipped.
fn vote_config<B, A, R>(
    scheme: Scheme,
    blocker: B,
    (automaton, reporter): (A, R),
    pacing: Pacing,
    floor: Floor<Scheme, Digest>,
    files: &Files,
) -> VoteConfig<B, A, R>
where
    B: Blocker<PublicKey = PublicKey>,
    A: CertifiableAutomaton<Context = Context<Digest, PublicKey>, Digest = Digest>
        + Relay<Digest = Digest, PublicKey = PublicKey, Plan = Plan<PublicKey>>,
    R: Reporter<Activity = Activity<Scheme, Digest>>,
{
    let (leader_timeout, certification_timeout) = (pacing.leader_timeout(), pacing.round_timeout());
    simplex::Config {
        scheme,
        elector: RoundRobin::default(),
        blocker,
        automaton: automaton.clone(),
        relay: automaton,
        reporter,
        track_historical_votes: false,
        strategy: Sequential,
        partition: files.name(VOTES),
        mailbox_size: MAILBOX_SIZE,
        epoch: Epoch::zero(),
        floor,
        replay_buffer: NZUsize!(1 << 20),
        write_buffer: NZUsize!(1 << 18),
        page_cache: files.page_cache.clone(),
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
    }
}
