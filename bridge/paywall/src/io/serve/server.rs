//! Starts and stops a paywall, and looks after it.

use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use alloy_primitives::U256;
use bridge::amount::show_sat;
use bridge::io::sidechain::{Account, Client};
use contracts::coin::WEI_PER_SAT;
use hyper::Uri;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::batch::{self, Channels, ClaimSettings};
use super::bodies::Bodies;
use super::cross_origin::CrossOrigin;
use super::desk::Desk;
use super::metrics::Metrics;
use super::passing::Passing;
use super::respond::Respond;
use super::session::{self, SessionSettings, Sessions};
use super::settling;
use crate::access::Access;
use crate::io::chain::Chain;
use crate::io::journal::Journal;
use crate::io::listener;
use crate::io::upstream::Upstream;
use crate::origins::Origins;
use crate::price_list::{Loophole, PriceList};
use crate::till::Till;

/// Connections at a time; more wait in the system's queue. Each holds an answer of a mebibyte at the most; the bodies of all requests have a bound of their own.
const MOST_CONNECTIONS: usize = 512;
/// Connections for metrics.
const MOST_WATCHERS: usize = 8;
/// How often what is old is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(300);
/// How long the chain may take to answer for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// How long the last claim may take when a paywall stops.
const LAST_CLAIM: Duration = Duration::from_secs(20);
/// Prices of which it is told that they lose money.
const MOST_TOLD: usize = 16;
/// Below the folder of payments: the journal of channels.
const CHANNELS: &str = "channels";

/// What a paywall is started with.
pub struct Settings {
    pub listener: std::net::TcpListener,
    /// For Prometheus.
    pub metrics: Option<std::net::TcpListener>,
    pub upstream: Uri,
    /// For the head of an upstream's answer, and for each further part of it.
    pub upstream_patience: Duration,
    pub prices: PriceList,
    pub till: Till,
    /// Whose web pages may pay.
    pub origins: Origins,
    /// When vouchers of channels are claimed (`till.batch`).
    pub claims: ClaimSettings,
    /// Who may have it verify and settle for resource servers of the same payee.
    pub facilitator: Option<Access>,
    /// None: nothing is paid by sessions.
    pub sessions: Option<SessionSettings>,
    /// Whether pages are sold for less than their settlement costs.
    pub is_at_a_loss: bool,
    /// Bytes of a request's body.
    pub most_body_bytes: usize,
    /// Where the journal is.
    pub folder: PathBuf,
    /// Who sends settlements, and pays for their gas.
    pub account: Account,
    pub client: Client,
}

/// A running paywall. Dropping it stops it.
pub struct Paywall {
    pub address: SocketAddr,
    pub metrics: Option<SocketAddr>,
    desk: Arc<Desk>,
    channels: Option<Arc<Channels>>,
    sessions: Option<Arc<Sessions>>,
    stop: watch::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

/// Starts one.
///
/// # Errors
///
/// An address is taken, the folder is in use or damaged, or the chain does not answer.
pub async fn start(settings: Settings) -> std::io::Result<Paywall> {
    let key = settings.account.secret();
    let chain = Chain::follow(settings.client, settings.account, settings.till.token);
    if timeout(FIRST_LOOK, chain.seen()).await.is_err() {
        return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the sidechain node does not answer"));
    }
    tell_loopholes(&settings.prices);
    if let Ok(head) = chain.head() {
        tell_losses(&settings.prices, head.settlement_cost());
    }
    let listener = taken(settings.listener)?;
    let address = listener.local_addr()?;
    let watched = settings.metrics.map(taken).transpose()?;
    let metrics = watched.as_ref().map(TcpListener::local_addr).transpose()?;
    let (journal, records) = Journal::open(&settings.folder)?;
    let desk = Desk::open(journal, records, chain);
    settling::start(&desk);
    let (mut till, claims) = (settings.till, settings.claims);
    let channels = channels(&mut till, &desk, &settings.folder, claims).await?;
    let upstream = Upstream::new(settings.upstream_patience)?;
    let till = Arc::new(till);
    let passing = Arc::new(Passing { upstream, base: settings.upstream });
    let sessions = match settings.sessions {
        Some(sessions) => {
            let parts = (desk.clone(), passing.clone(), till.clone());
            Some(session::open(&settings.folder, key, parts, sessions).await?)
        }
        None => None,
    };
    let respond = Respond {
        desk: desk.clone(),
        channels: channels.clone(),
        passing,
        prices: settings.prices,
        till,
        facilitator: settings.facilitator,
        sessions: sessions.clone(),
        most_body_bytes: settings.most_body_bytes,
        bodies: Bodies::default(),
        is_at_a_loss: settings.is_at_a_loss,
    };
    let (stop, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    if let Some(watched) = watched {
        let (desk, channels, places) = (desk.clone(), channels.clone(), places.clone());
        let sessions = sessions.clone();
        let metrics = Metrics { desk, channels, sessions, places, most: MOST_CONNECTIONS };
        tokio::spawn(listener::serve(
            watched,
            Arc::new(Semaphore::new(MOST_WATCHERS)),
            Arc::new(metrics),
            stopped.clone(),
        ));
    }
    tokio::spawn(tidy(Arc::downgrade(&desk), channels.as_ref().map(Arc::downgrade), stopped.clone()));
    let answers = CrossOrigin { origins: settings.origins, inner: Arc::new(respond) };
    let served = tokio::spawn(listener::serve(listener, places, Arc::new(answers), stopped));
    Ok(Paywall { address, metrics, desk, channels, sessions, stop, served })
}

fn tell_loopholes(prices: &PriceList) {
    for Loophole { dear, cheap, path } in prices.loopholes() {
        tracing::warn!(
            "{path} has the price of {cheap}: if the upstream takes it for {dear}, as servers do that ignore case, a slash or a full stop, that is cheaper than its price"
        );
    }
}

fn tell_losses(prices: &PriceList, cost: U256) {
    // Of gas the satoshi is near enough.
    let gas = show_sat(cost - cost % U256::from(WEI_PER_SAT));
    for entry in prices.below(cost).take(MOST_TOLD) {
        let price = show_sat(entry.amount);
        tracing::warn!(
            "{entry} costs {price}, and a transaction for it some {gas} of gas now: by itself it is sold only --at-a-loss"
        );
    }
    let more = prices.below(cost).count().saturating_sub(MOST_TOLD);
    if more > 0 {
        tracing::warn!("so do {more} others");
    }
}

/// Channels, if they are wanted and this chain has their contract.
async fn channels(
    till: &mut Till,
    desk: &Arc<Desk>,
    folder: &Path,
    claims: ClaimSettings,
) -> std::io::Result<Option<Arc<Channels>>> {
    let Some(terms) = till.batch else { return Ok(None) };
    let is_there = desk.chain.has_channels().await.map_err(std::io::Error::other)?;
    if !is_there {
        tracing::warn!("this chain has not the contracts of batch-settlement: it is not offered");
        till.batch = None;
        return Ok(None);
    }
    let channels = Channels::open(&folder.join(CHANNELS), desk.clone(), terms, claims)?;
    batch::start(&channels).await;
    Ok(Some(channels))
}

impl Paywall {
    /// Why it can go on no longer; does not end as long as it can.
    pub async fn broken(&self) -> String {
        let channels = async {
            match &self.channels {
                Some(channels) => channels.broken().await,
                None => pending().await,
            }
        };
        let sessions = async {
            match &self.sessions {
                Some(sessions) => sessions.payee.broken().await.to_string(),
                None => pending().await,
            }
        };
        tokio::select! {
            why = self.desk.broken() => why,
            why = channels => why,
            why = sessions => why,
        }
    }

    /// Lets those finish who are being served, and claims what is worth its gas.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.served.await; // A panic was told by its own task.
        if let Some(channels) = &self.channels
            && timeout(LAST_CLAIM, channels.claim_due(0, 0)).await.is_err()
        {
            tracing::warn!("what channels owe is not claimed yet: it is on disk, and claimed after the next start");
        }
    }
}

/// Listens at an address.
///
/// # Errors
///
/// It is taken, or not this machine's.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let named =
        |error: std::io::Error| std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    std::net::TcpListener::bind(address).map_err(named)
}

fn taken(listener: std::net::TcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn tidy(desk: Weak<Desk>, channels: Option<Weak<Channels>>, mut stopped: watch::Receiver<()>) {
    let mut ticks = interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let Some(desk) = desk.upgrade() else { return };
        desk.tidy();
        if let Some(channels) = channels.as_ref().and_then(Weak::upgrade) {
            channels.tidy();
        }
    }
}
