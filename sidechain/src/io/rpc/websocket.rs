//! WebSockets: requests as over HTTP, and subscriptions.
//!
//! ```text
//!   frames -> a message -> wait for a place -> answer it, beside others -> outgoing -> write
//!                          (max_requests_per_socket)    subscriptions ----^
//! ```
//! A client that does not read fills its share of outgoing bytes; then its requests wait, then nothing more is read from it,
//! and at the end of its patience the connection is cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::hex;
use futures::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming as IncomingBody;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use jsonrpsee::types::{ErrorObjectOwned, Id};
use rand::RngCore as _;
use soketto::Sender;
use soketto::handshake::http::{Server as Handshake, is_upgrade_request};
use tokio::io::{Empty, Join, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::connection::{Connection, Server, requester};
use super::context::Context;
use super::dispatch::{Incoming, Subscriber};
use super::frames::{Arrived, Bounds, Frames};
use super::method::{Answer, Arguments, Namespace, to_json};
use super::outgoing::{Message, Outgoing, Sink};
use super::pace::Pace;
use super::reply::{Reply, Text, failure, refused, text};
use super::shares::{Hold, Resource};
use super::unread::{Unread, UnreadBytes};
use super::{eth, peg};
use crate::access::Client;

/// Time between pings: several fit into the time after which a silent connection is closed.
const PING_INTERVAL: Duration = Duration::from_secs(30);

type Stream = TokioIo<hyper::upgrade::Upgraded>;
/// What is written to: what comes is read by [`Frames`].
type Writer = Sender<Compat<Join<Empty, WriteHalf<Stream>>>>;

pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    is_upgrade_request(request)
}

/// Answers an upgrade, and serves the WebSocket from then on.
pub fn upgrade(connection: Arc<Connection>, request: Request<IncomingBody>) -> Reply {
    let client = requester(&connection, &request);
    let Server { context, sockets, .. } = &connection.server;
    let place = context.shares.hold(client, Resource::Sockets, 1);
    let place = match place.or_else(|limit| sockets.displace(&context.shares, client, Resource::Sockets, limit)) {
        Ok(place) => place,
        Err(limit) => return refused(&limit, &connection),
    };
    let mut handshake = Handshake::new();
    match handshake.receive_request(&request) {
        Ok(answer) => {
            connection.pace.socket();
            let place = sockets.enter(client.limited, connection.pace.clone(), place);
            tokio::spawn(async move {
                let _place = place;
                match hyper::upgrade::on(request).await {
                    Ok(upgraded) => serve(&connection, client, handshake, TokioIo::new(upgraded)).await,
                    Err(error) => tracing::debug!(%error, "no upgrade to a WebSocket"),
                }
            });
            answer.map(|()| Text::empty())
        }
        Err(error) => {
            let kind = HeaderValue::from_static("text/plain");
            text(hyper::StatusCode::BAD_REQUEST, kind, &format!("{error}\n"), &connection)
        }
    }
}

async fn serve(connection: &Connection, client: Client, handshake: Handshake, stream: Stream) {
    let Context { settings, shares, .. } = &*connection.server.context;
    let (reader, writer) = tokio::io::split(stream);
    let (sender, _) = handshake.into_builder(tokio::io::join(tokio::io::empty(), writer).compat()).finish();
    let bounds = Bounds { bytes: settings.max_message_bytes as usize, time: settings.receive_timeout };
    let frames = Frames::new(reader, shares.clone(), client, bounds);
    let unread = Unread::new(shares.clone(), client, settings.max_unread_per_socket);
    let (outgoing, messages) = Outgoing::new(unread);
    let (server, pace) = (connection.server.clone(), connection.pace.clone());
    let shared = Arc::new(Shared { server, client, pace, outgoing, subscriptions: Mutex::default() });
    tokio::select! {
        () = write(sender, messages) => {}
        () = read(frames, shared) => {}
        () = connection.pace.ended() => {}
        () = connection.server.stopped() => {}
    }
}

/// Writes what is to be sent, and a ping from time to time, until the client is gone or reads too slowly.
async fn write(mut sender: Writer, mut messages: mpsc::UnboundedReceiver<(Message, Option<UnreadBytes>)>) {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        let sent = tokio::select! {
            message = messages.recv() => match message {
                Some((Message::Close, _)) | None => {
                    // Whoever closes may be gone already.
                    let _ = sender.close().await;
                    return;
                }
                Some((Message::Text(text), _hold)) => send(&mut sender, text).await,
                Some((Message::Pong(payload), _hold)) => pong(&mut sender, &payload).await,
            },
            _ = pings.tick() => ping(&mut sender).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send(sender: &mut Writer, text: String) -> Result<(), soketto::connection::Error> {
    sender.send_text_owned(text).await?;
    sender.flush().await
}

async fn ping(sender: &mut Writer) -> Result<(), soketto::connection::Error> {
    let nothing: &[u8] = &[];
    sender.send_ping(nothing.try_into().expect("nothing is short enough")).await?;
    sender.flush().await
}

async fn pong(sender: &mut Writer, payload: &[u8]) -> Result<(), soketto::connection::Error> {
    // One longer than a ping may be does not arrive.
    let Ok(payload) = payload.try_into() else { return Ok(()) };
    sender.send_pong(payload).await?;
    sender.flush().await
}

/// Reads messages and answers them, each beside others; ends with the connection, and ends what it started.
async fn read(mut frames: Frames<ReadHalf<Stream>>, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.server.context.settings.max_requests_per_socket));
    let mut answering = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while answering.try_join_next().is_some() {}
        let taken = match frames.receive().await {
            Ok(Arrived::Message(message, held)) => {
                shared.pace.asked();
                let shared = shared.clone();
                answering.spawn(async move {
                    shared.answer(&message, held).await;
                    drop(place);
                });
                Ok(())
            }
            Ok(Arrived::Refused(error)) => shared.outgoing.send(failure(&Id::Null, &error)).await,
            Ok(Arrived::Ping(payload)) => shared.outgoing.pong(payload).await,
            Ok(Arrived::Pong) => Ok(()),
            Ok(Arrived::Close) => {
                shared.outgoing.close();
                // Who writes says goodbye, and ends the connection.
                std::future::pending().await
            }
            Err(ended) => {
                tracing::debug!(%ended, "a WebSocket ended");
                return;
            }
        };
        if taken.is_err() {
            return;
        }
    }
}

/// What a WebSocket's tasks share.
struct Shared {
    server: Server,
    client: Client,
    pace: Arc<Pace>,
    outgoing: Outgoing,
    subscriptions: Mutex<BTreeMap<String, Subscription>>,
}

impl Shared {
    async fn answer(self: &Arc<Self>, message: &[u8], bytes: Hold) {
        let socket = Socket { shared: self.clone(), to_begin: Mutex::default() };
        let answer = match self.server.context.shares.hold(self.client, Resource::Requests, 1) {
            Ok(place) => {
                let held = Arc::new(vec![place, bytes]);
                let unread = self.outgoing.unread();
                let incoming =
                    Incoming { server: &self.server, client: self.client, unread, held, socket: Some(&socket) };
                incoming.answer(message).await
            }
            Err(limit) => Some(failure(&Id::Null, &limit.into())),
        };
        if let Some(answer) = answer
            && self.outgoing.answer(answer).await.is_err()
        {
            return;
        }
        // After the answer with their ids.
        for begin in socket.to_begin().drain(..) {
            let _ = begin.send(());
        }
    }

    fn subscriptions(&self) -> MutexGuard<'_, BTreeMap<String, Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when it is dropped, and gives its place back.
struct Subscription {
    task: AbortHandle,
    _place: Hold,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A WebSocket, as one message that came over it sees it.
struct Socket {
    shared: Arc<Shared>,
    /// Subscriptions that this message made.
    to_begin: Mutex<Vec<oneshot::Sender<()>>>,
}

/// What sends a subscription's messages, and the places that it takes.
type Following = (u64, Box<dyn FnOnce(Sink) -> BoxFuture<'static, ()>>);

impl Subscriber for Socket {
    /// Its messages come after the answer.
    fn subscribe(&self, namespace: Namespace, mut arguments: Arguments) -> Answer {
        let context = &self.shared.server.context;
        let client = self.shared.client;
        let (weight, follow) = following(context, client, namespace, &mut arguments)?;
        let place = context.shares.hold(client, Resource::Subscriptions, weight)?;
        let id = new_id();
        let following = follow(Sink::new(id.clone(), namespace.messages(), self.shared.outgoing.clone()));
        let (begin, begun) = oneshot::channel();
        let (shared, ending) = (Arc::downgrade(&self.shared), id.clone());
        // Held while it is entered, so that its end comes after that.
        let mut subscriptions = self.shared.subscriptions();
        let task = tokio::spawn(async move {
            if begun.await.is_ok() {
                following.await;
            }
            if let Some(shared) = shared.upgrade() {
                shared.subscriptions().remove(&ending);
            }
        });
        self.shared.pace.subscribed();
        subscriptions.insert(id.clone(), Subscription { task: task.abort_handle(), _place: place });
        drop(subscriptions);
        self.to_begin().push(begin);
        to_json(&id, context.settings.max_response_bytes)
    }

    fn unsubscribe(&self, arguments: &mut Arguments) -> Answer {
        let id: String = arguments.next("subscription id")?;
        Ok(self.shared.subscriptions().remove(&id).is_some().to_string())
    }
}

fn following(
    context: &Arc<Context>,
    client: Client,
    namespace: Namespace,
    arguments: &mut Arguments,
) -> Result<Following, ErrorObjectOwned> {
    let context = context.clone();
    Ok(match namespace {
        Namespace::Eth => {
            let wanted = eth::Wanted::parse(arguments, &context)?;
            (wanted.weight(), Box::new(move |sink| eth::follow(sink, &context, client, wanted)))
        }
        Namespace::Peg => {
            let wanted = peg::Wanted::parse(arguments, &context)?;
            (1, Box::new(move |sink| peg::follow(sink, &context, client, wanted)))
        }
    })
}

/// A subscription id as Ethereum's clients expect it: hex, not to be guessed.
fn new_id() -> String {
    let mut bytes = [0; 16];
    rand::thread_rng().fill_bytes(&mut bytes);
    hex::encode_prefixed(bytes)
}

impl Socket {
    fn to_begin(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.to_begin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
