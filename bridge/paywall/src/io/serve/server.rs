//! Starts and stops a paywall, and looks after it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bridge::io::sidechain::{Account, Client};
use hyper::Uri;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::desk::Desk;
use super::metrics::Metrics;
use super::respond::Respond;
use crate::io::chain::Chain;
use crate::io::journal::Journal;
use crate::io::listener;
use crate::io::upstream::Upstream;
use crate::price_list::PriceList;
use crate::till::Till;

/// Connections at a time; more wait in the system's queue. Each holds a request's body and an answer of a mebibyte at the most.
const MOST_CONNECTIONS: usize = 512;
/// Connections for metrics.
const MOST_WATCHERS: usize = 8;
/// How often what is old is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(300);
/// How long the chain may take to answer for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(30);

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
    /// Whether it verifies and settles for resource servers of the same payee.
    pub is_facilitator: bool,
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
    stop: watch::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

/// Starts one.
///
/// # Errors
///
/// An address is taken, the folder is in use or damaged, or the chain does not answer.
pub async fn start(settings: Settings) -> std::io::Result<Paywall> {
    let chain = Chain::follow(settings.client, settings.account, settings.till.token);
    if timeout(FIRST_LOOK, chain.seen()).await.is_err() {
        return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the sidechain node does not answer"));
    }
    let listener = taken(settings.listener)?;
    let address = listener.local_addr()?;
    let watched = settings.metrics.map(taken).transpose()?;
    let metrics = watched.as_ref().map(TcpListener::local_addr).transpose()?;
    let (journal, records) = Journal::open(&settings.folder)?;
    let desk = Desk::open(journal, records, chain);
    let upstream = Upstream::new(settings.upstream_patience)?;
    let respond = Respond {
        desk: desk.clone(),
        upstream,
        base: settings.upstream,
        prices: settings.prices,
        till: settings.till,
        is_facilitator: settings.is_facilitator,
        most_body_bytes: settings.most_body_bytes,
    };
    let (stop, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    if let Some(watched) = watched {
        let metrics = Metrics { desk: desk.clone(), places: places.clone(), most: MOST_CONNECTIONS };
        tokio::spawn(listener::serve(
            watched,
            Arc::new(Semaphore::new(MOST_WATCHERS)),
            Arc::new(metrics),
            stopped.clone(),
        ));
    }
    tokio::spawn(tidy(Arc::downgrade(&desk), stopped.clone()));
    let served = tokio::spawn(listener::serve(listener, places, Arc::new(respond), stopped));
    Ok(Paywall { address, metrics, desk, stop, served })
}

impl Paywall {
    /// Why it can go on no longer; does not end as long as it can.
    pub async fn broken(&self) -> String {
        self.desk.broken().await
    }

    /// Lets those finish who are being served.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.served.await; // A panic was told by its own task.
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

async fn tidy(desk: std::sync::Weak<Desk>, mut stopped: watch::Receiver<()>) {
    let mut ticks = interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let Some(desk) = desk.upgrade() else { return };
        desk.tidy();
    }
}
