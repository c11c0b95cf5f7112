//! The server: it accepts connections, and gives each to HTTP, on threads of its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

use super::connection::{Connection, Server};
use super::method::{Methods, NoSuchMethod};
use super::pace::{Pace, Paced};
use super::shares::{Hold, Limit, Resource};
use super::{
    context::Context, debug, eth, http, modules, net, openrpc, ots, peg, priority, reply, settings::Settings, txpool,
};
use crate::access::Client;
use crate::chain::Finalized;
use crate::io::{clock::now_ms, node_state::NodeState};

/// Threads that read and write connections, parse requests and answer what is in memory.
const NETWORK_THREADS: usize = 2;

/// Bytes of a request's head, and of what is read at once.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Time that running requests get when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Pause after an error of `accept`: mostly too many open files, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time between two rounds of what nobody asks for.
const TENDING: Duration = Duration::from_millis(200);

/// A running server. Dropping it stops it too.
pub struct Running {
    /// Where it listens; the port is known also when 0 was asked for.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Closed when the last connection is.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
    runtime: Option<Runtime>,
    context: Weak<Context>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    /// Stops the server: running requests are answered, connections close.
    pub async fn stop(&self) {
        // Nobody listens when all has ended.
        let _ = self.stop.send(true);
        let _ = self.ended.lock().await.recv().await;
        // What still runs on a worker's thread sees that it is to stop.
        while self.context.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the methods see.
    #[cfg(test)]
    pub(super) fn context(&self) -> Arc<Context> {
        self.context.upgrade().expect("the server runs")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts the server, with a runtime and threads of its own.
///
/// # Errors
///
/// When the address is taken or not of this machine, or the system gives no threads.
pub fn serve(state: NodeState, settings: Settings) -> std::io::Result<Running> {
    let socket = bind(settings.listen)?;
    let methods = methods(&settings.private_methods).map_err(std::io::Error::other)?;
    let context = Arc::new(Context::new(state, settings)?);
    let runtime = runtime(&context.settings)?;
    let listening = {
        let _entered = runtime.enter();
        socket.listen(BACKLOG).and_then(|listener| Ok((listener.local_addr()?, listener)))
    };
    let (address, listener) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            // To drop it would block, which its caller's runtime forbids.
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let (stop, stopped) = watch::channel(false);
    let (alive, ended) = mpsc::channel(1);
    let server = Server::new(context, methods, stopped, alive);
    let context = Arc::downgrade(&server.context);
    runtime.spawn(tend(server.clone()));
    let blocks = server.context.state.finalized.subscribe();
    runtime.spawn(tell_of_blocks(server.clone(), blocks));
    runtime.spawn(accept(server, listener));
    Ok(Running { address, stop, ended: ended.into(), runtime: Some(runtime), context })
}

/// Connections that may wait to be accepted: when many come at once, those of others wait for a moment and are not lost.
const BACKLOG: u32 = 4_096;

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the standard library does, so that a node can start again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Does what nobody asks for: gives back the places of filters that expired, and writes registrations that came by gossip.
async fn tend(server: Server) {
    let mut ticks = tokio::time::interval(TENDING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = server.stopped() => return,
        }
        server.context.filters().expire(Instant::now());
        if server.context.state.registrar.waiting() > 0 {
            let context = server.context.clone();
            let written = tokio::task::spawn_blocking(move || {
                context.state.registrar.write(context.chain(), now_ms());
            });
            // A panic was told already.
            let _ = written.await;
        }
    }
}

/// Tells those who wait for receipts what each block holds.
async fn tell_of_blocks(server: Server, mut blocks: broadcast::Receiver<Arc<Finalized>>) {
    let awaited = &server.context.awaited;
    loop {
        let block = tokio::select! {
            block = blocks.recv() => block,
            () = server.stopped() => return,
        };
        match block {
            Ok(block) => awaited.on_block(&block),
            Err(RecvError::Lagged(_)) => awaited.on_gap(),
            Err(RecvError::Closed) => return,
        }
    }
}

fn runtime(settings: &Settings) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(NETWORK_THREADS).thread_name("rpc-net").enable_all();
    if settings.give_way {
        builder.on_thread_start(priority::give_way);
    }
    builder.build()
}

/// Names of methods and of namespaces that only the private server answers, from a configuration.
///
/// # Errors
///
/// The first of which there is nothing: one that is misspelt must not be answered to everybody.
pub fn private_methods(names: Vec<String>) -> Result<BTreeSet<String>, NoSuchMethod> {
    let mut methods = described();
    names.iter().try_for_each(|name| methods.withhold(name))?;
    Ok(names.into_iter().collect())
}

/// All methods but those that are the private server's. Two of the same name would be a mistake in this crate.
///
/// # Errors
///
/// As [`private_methods`].
pub fn methods(private: &BTreeSet<String>) -> Result<Methods, NoSuchMethod> {
    let mut methods = described();
    private.iter().try_for_each(|name| methods.withhold(name))?;
    let registered = modules::register(&mut methods).and_then(|()| openrpc::register(&mut methods));
    registered.expect("every method has a name of its own");
    Ok(methods)
}

/// All but those that tell what there is.
fn described() -> Methods {
    let mut methods = Methods::default();
    let registered = eth::register(&mut methods)
        .and_then(|()| net::register(&mut methods))
        .and_then(|()| txpool::register(&mut methods))
        .and_then(|()| debug::register(&mut methods))
        .and_then(|()| ots::register(&mut methods))
        .and_then(|()| peg::register(&mut methods));
    registered.expect("every method has a name of its own");
    methods
}

async fn accept(server: Server, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => return,
        };
        match accepted {
            Ok((stream, address)) => admit(&server, stream, address.ip()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(server: &Server, stream: TcpStream, peer: IpAddr) {
    let client = server.context.settings.access.peer(peer);
    match place(server, client) {
        Ok(place) => {
            tokio::spawn(converse(server.clone(), stream, peer, place));
        }
        // One try: whoever has too many connections is not waited for.
        Err(limit) => drop(stream.try_write(reply::refusal(&limit).as_bytes())),
    }
}

/// A place for a connection: a free one, or that of one which is cheap to lose, unless the client has as many as one may.
fn place(server: &Server, client: Client) -> Result<Hold, Limit> {
    let (shares, kind) = (&server.context.shares, Resource::Connections);
    shares.hold(client, kind, 1).or_else(|limit| server.connections.displace(shares, client, kind, limit))
}

async fn converse(server: Server, stream: TcpStream, peer: IpAddr, place: Hold) {
    // A connection that is closed already says so when it is used.
    let _ = stream.set_nodelay(true);
    let pace = Pace::new(&server.context.settings);
    let io = TokioIo::new(Paced::new(stream, pace.clone()));
    let limited = server.context.settings.access.peer(peer).limited;
    let place = server.connections.enter(limited, pace.clone(), place);
    let connection = Arc::new(Connection { server: server.clone(), peer, pace: pace.clone(), _place: place });
    let service = service_fn(move |request| http::answer(connection.clone(), request));
    let serving = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).serve_connection(io, service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = pace.ended() => Ok(()),
        () = server.stopped() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}
