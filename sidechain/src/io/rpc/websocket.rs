//! WebSockets: requests as over HTTP, and subscriptions.
//!
//! ```text
//!   read a message -> wait for a place -> answer it, beside others -> outgoing -> write
//!                     (max_requests_per_socket)    subscriptions ----^
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
use jsonrpsee::types::error::{OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use rand::RngCore as _;
use soketto::handshake::http::{Server as Handshake, is_upgrade_request};
use soketto::{Receiver, Sender};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::connection::{Connection, Server, requester};
use super::context::Context;
use super::dispatch::{Incoming, Subscriber};
use super::method::{Answer, Arguments, Namespace, to_json};
use super::outgoing::{Outgoing, Sink};
use super::reply::{Reply, Text, failure, refused, text};
use super::shares::{Hold, Resource};
use super::{eth, peg};
use crate::access::Client;

/// Time between pings: several fit into the time after which a silent connection is closed.
const PING_INTERVAL: Duration = Duration::from_secs(30);

type Stream = Compat<TokioIo<hyper::upgrade::Upgraded>>;

pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    is_upgrade_request(request)
}

/// Answers an upgrade, and serves the WebSocket from then on.
pub fn upgrade(connection: Arc<Connection>, request: Request<IncomingBody>) -> Reply {
    let client = requester(&connection, &request);
    let place = match connection.server.context.shares.hold(client, Resource::Sockets, 1) {
        Ok(place) => place,
        Err(limit) => return refused(&limit, &connection),
    };
    let mut handshake = Handshake::new();
    match handshake.receive_request(&request) {
        Ok(answer) => {
            connection.pace.socket();
            tokio::spawn(async move {
                let _place = place;
                match hyper::upgrade::on(request).await {
                    Ok(upgraded) => serve(&connection, client, handshake, TokioIo::new(upgraded).compat()).await,
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
    let context = &connection.server.context;
    let mut builder = handshake.into_builder(stream);
    builder.set_max_message_size(context.settings.max_message_bytes as usize);
    let (sender, receiver) = builder.finish();
    let (outgoing, messages) = Outgoing::new(context.shares.clone(), client);
    let server = connection.server.clone();
    let shared = Arc::new(Shared { server, client, outgoing, subscriptions: Mutex::default() });
    tokio::select! {
        () = write(sender, messages) => {}
        () = read(receiver, shared) => {}
        () = connection.server.stopped() => {}
    }
}

/// Writes what is to be sent, and a ping from time to time, until the client is gone or reads too slowly.
async fn write(mut sender: Sender<Stream>, mut messages: mpsc::UnboundedReceiver<(String, Hold)>) {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        let sent = tokio::select! {
            message = messages.recv() => match message {
                Some((text, _hold)) => send(&mut sender, text).await,
                None => return,
            },
            _ = pings.tick() => ping(&mut sender).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send(sender: &mut Sender<Stream>, text: String) -> Result<(), soketto::connection::Error> {
    sender.send_text_owned(text).await?;
    sender.flush().await
}

async fn ping(sender: &mut Sender<Stream>) -> Result<(), soketto::connection::Error> {
    let nothing: &[u8] = &[];
    sender.send_ping(nothing.try_into().expect("nothing is short enough")).await?;
    sender.flush().await
}

/// Reads messages and answers them, each beside others; ends with the connection, and ends what it started.
async fn read(mut receiver: Receiver<Stream>, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.server.context.settings.max_requests_per_socket));
    let mut answering = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while answering.try_join_next().is_some() {}
        let mut message = Vec::new();
        let received = receiver.receive(&mut message).await.map(|received| received.is_data());
        let shared = shared.clone();
        match received {
            Ok(false) => {}
            Ok(true) => drop(answering.spawn(async move {
                shared.answer(&message).await;
                drop(place);
            })),
            Err(soketto::connection::Error::MessageTooLarge { maximum, .. }) => {
                let data = format!("Exceeded max limit of {maximum}");
                let error = ErrorObjectOwned::owned(OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG, Some(data));
                if shared.outgoing.send(failure(&Id::Null, &error)).await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// What a WebSocket's tasks share.
struct Shared {
    server: Server,
    client: Client,
    outgoing: Outgoing,
    subscriptions: Mutex<BTreeMap<String, Subscription>>,
}

impl Shared {
    async fn answer(self: &Arc<Self>, message: &[u8]) {
        let socket = Socket { shared: self.clone(), to_begin: Mutex::default() };
        let answer = match self.hold(message.len()) {
            Ok(held) => {
                let incoming = Incoming { server: &self.server, client: self.client, held, socket: Some(&socket) };
                incoming.answer(message).await
            }
            Err(limit) => Some(failure(&Id::Null, &limit)),
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

    fn hold(&self, bytes: usize) -> Result<Arc<Vec<Hold>>, ErrorObjectOwned> {
        let shares = &self.server.context.shares;
        let place = shares.hold(self.client, Resource::Requests, 1)?;
        let bytes = shares.hold(self.client, Resource::IncomingBytes, bytes as u64)?;
        Ok(Arc::new(vec![place, bytes]))
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
