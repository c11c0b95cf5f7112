//! Old blocks for validators that missed them: each peer within its budget, in turn, off the engine's own loop.
//!
//! ```text
//!            answers to what the engine asked for
//! network ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~> engine
//!         ~~ requests ~~> Requests --(final)------> chain, one block at a time --> network
//!                            \------(not final)---------> engine, one request at a time --> network
//! ```
//!
//! The engine would answer every request within the loop in which it orders blocks, as many as come. So it hears no request for a
//! final block, and of those for others one at a time.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::SystemTime};

use alloy_primitives::bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_consensus::marshal::resolver::handler::Key;
use commonware_cryptography::{ed25519::PublicKey, keccak256::Digest};
use commonware_p2p::{CheckedSender, LimitedSender, Message, Receiver, Recipients};
use commonware_runtime::{Clock, Handle, IoBuf, IoBufs, Metrics, Spawner};
use commonware_storage::archive::Identifier;
use commonware_utils::{channel::oneshot, sync::Mutex};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use super::{
    application::Application,
    archive::{Archive, ArchiveError},
    network::MAX_BACKFILL_BYTES,
    parts::{PartReceiver, PartSender},
    requests::{MAX_WAIT, Request, Requests, Source},
};
use crate::io::clock::unix_ms;

/// Kinds of messages, after their number (8, big endian): a request for a key, an answer with its length, word that there is none.
const REQUEST: u8 = 0;
const ANSWER: u8 = 1;
const NONE: u8 = 2;

/// After how long a peer that could not be answered is looked at again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// What waits, and the one request that is with the engine.
#[derive(Default)]
struct Desk {
    requests: Mutex<Requests>,
    arrived: Notify,
    with_engine: Mutex<Option<(PublicKey, u64, oneshot::Sender<usize>)>>,
}

impl Desk {
    fn ask(&self, peer: PublicKey, source: Source, request: Request) {
        let key = request.key;
        if self.requests.lock().ask(peer.clone(), source, request) {
            self.arrived.notify_waiters();
        } else {
            debug!(?peer, %key, "a request for an old block is dropped: too many wait");
        }
    }

    /// The size of the engine's answer to a request, once it is sent.
    fn expect(&self, peer: PublicKey, id: u64) -> oneshot::Receiver<usize> {
        let (answered, bytes) = oneshot::channel();
        *self.with_engine.lock() = Some((peer, id, answered));
        bytes
    }

    fn answered(&self, peers: &[PublicKey], id: u64, bytes: usize) {
        let mut with_engine = self.with_engine.lock();
        if let Some((.., answered)) = with_engine.take_if(|(peer, asked, _)| *asked == id && peers.contains(peer)) {
            // Whoever is gone waited too long.
            let _ = answered.send(bytes);
        }
    }
}

/// The channel as the engine has it: where its answers go, and the requests that are left to it.
pub(super) type ForEngine<E, S, R> = (Answers<S>, Heard<E, R>);

/// Serves old blocks over a channel until the network ends, and gives the engine the rest of it.
pub(super) fn start<E, A, S, R>(
    runtime: &E,
    archive: Archive<E, A>,
    (sender, receiver): (PartSender<S>, PartReceiver<R>),
) -> (Handle<()>, ForEngine<E, S, R>)
where
    E: Clock + Spawner + Metrics,
    A: Application,
    S: LimitedSender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let desk = Arc::<Desk>::default();
    // One request is on its way to the engine.
    let (for_engine, asked) = mpsc::channel(1);
    let heard = Heard { clock: runtime.child("heard"), inner: receiver, desk: desk.clone(), for_engine: asked };
    let answers = Answers { inner: sender.clone(), desk: desk.clone() };
    let serving = runtime.child("serving").spawn(move |runtime| async move {
        let server = Server { runtime, archive, sender, desk, for_engine };
        tokio::select! {
            () = server.serve_from_chain() => {}
            () = server.ask_engine() => {}
        }
    });
    (serving, (answers, heard))
}

struct Server<E, A, S: LimitedSender> {
    runtime: E,
    archive: Archive<E, A>,
    sender: PartSender<S>,
    desk: Arc<Desk>,
    for_engine: mpsc::Sender<Message<PublicKey>>,
}

impl<E, A, S> Server<E, A, S>
where
    E: Clock + Spawner + Metrics,
    A: Application,
    S: LimitedSender<PublicKey = PublicKey>,
{
    fn now_ms(&self) -> u64 {
        unix_ms(self.runtime.current())
    }

    async fn serve_from_chain(&self) {
        loop {
            let (peer, request) = self.next(Source::Chain).await;
            match self.read(&request.key).await {
                Ok(Some(told)) => self.answer(peer, (request.id, ANSWER, bytes::Bytes::from(told)).encode()),
                Ok(None) if matches!(request.key, Key::Finalized { .. }) => {
                    self.answer(peer, (request.id, NONE).encode());
                }
                Ok(None) => self.desk.ask(peer, Source::Engine, request),
                Err(error) => warn!(%error, "cannot read an old block for another validator"),
            }
        }
    }

    /// What is asked for, if it is final.
    async fn read(&self, key: &Key<Digest>) -> Result<Option<Vec<u8>>, ArchiveError> {
        match key {
            Key::Finalized { height } => self.archive.told(height.get(), true).await,
            Key::Block(digest) => match self.archive.height(Identifier::Key(digest)).await? {
                Some(height) => self.archive.told(height, false).await,
                None => Ok(None),
            },
            Key::Notarized { .. } => Ok(None),
        }
    }

    fn answer(&self, peer: PublicKey, message: bytes::Bytes) {
        self.desk.requests.lock().answered(&peer, message.len(), self.now_ms());
        // Its sender asks again when there was no room.
        self.sender.enqueue(peer, IoBuf::from(message));
    }

    async fn ask_engine(&self) {
        loop {
            let (peer, request) = self.next(Source::Engine).await;
            let answered = self.desk.expect(peer.clone(), request.id);
            let message = IoBuf::from((request.id, REQUEST, request.key).encode());
            if self.for_engine.send((peer.clone(), message)).await.is_err() {
                return;
            }
            tokio::select! {
                bytes = answered => {
                    self.desk.requests.lock().answered(&peer, bytes.unwrap_or_default(), self.now_ms());
                }
                () = self.runtime.sleep(MAX_WAIT) => {}
            }
        }
    }

    /// The next request for a source, as soon as it is one's turn.
    async fn next(&self, source: Source) -> (PublicKey, Request) {
        loop {
            let arrived = self.desk.arrived.notified();
            let (next, are_waiting) = {
                let mut requests = self.desk.requests.lock();
                let next = requests.next(source, self.now_ms(), |peer| self.takes_more(source, peer));
                (next, requests.are_waiting(source))
            };
            match next {
                Some(next) => return next,
                None if are_waiting => tokio::select! {
                    () = arrived => {}
                    () = self.runtime.sleep(PAUSE) => {}
                },
                None => arrived.await,
            }
        }
    }

    /// Whether there is room for an answer to a peer after what waits for it: one block is read while another is on its way.
    fn takes_more(&self, source: Source, peer: &PublicKey) -> bool {
        let waiting = self.sender.waiting_for(peer);
        match source {
            Source::Chain => waiting <= MAX_BACKFILL_BYTES,
            Source::Engine => waiting == 0,
        }
    }
}

/// Number and kind of a message.
fn head(message: &[u8]) -> Option<(u64, u8)> {
    let (id, rest) = message.split_first_chunk()?;
    Some((u64::from_be_bytes(*id), *rest.first()?))
}

/// What the engine hears: answers to its own requests, and those requests that it alone can answer.
pub(super) struct Heard<E, R: Receiver> {
    clock: E,
    inner: PartReceiver<R>,
    desk: Arc<Desk>,
    for_engine: mpsc::Receiver<Message<PublicKey>>,
}

impl<E, R: Receiver> fmt::Debug for Heard<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heard")
    }
}

impl<E: Clock, R: Receiver<PublicKey = PublicKey>> Heard<E, R> {
    /// Takes a message if it is a request. One for what is not a key is nobody's.
    fn take(&self, peer: &PublicKey, message: &IoBuf) -> bool {
        let Some((id, REQUEST)) = head(message.as_ref()) else { return false };
        let key = message.as_ref().get(9..).unwrap_or_default();
        if let Ok(key) = Key::decode(Copying(key)) {
            let source = match key {
                Key::Notarized { .. } => Source::Engine,
                Key::Block(_) | Key::Finalized { .. } => Source::Chain,
            };
            let arrived_ms = unix_ms(self.clock.current());
            self.desk.ask(peer.clone(), source, Request { id, key, arrived_ms });
        }
        true
    }
}

impl<E: Clock, R: Receiver<PublicKey = PublicKey>> Receiver for Heard<E, R> {
    type Error = R::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, R::Error> {
        loop {
            let (peer, message) = tokio::select! {
                Some(request) = self.for_engine.recv() => return Ok(request),
                arrived = self.inner.recv() => arrived?,
            };
            if !self.take(&peer, &message) {
                return Ok((peer, message));
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

/// What the engine says: its own requests, and answers.
#[derive(Clone)]
pub(super) struct Answers<S: LimitedSender> {
    inner: PartSender<S>,
    desk: Arc<Desk>,
}

impl<S: LimitedSender> fmt::Debug for Answers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl<S: LimitedSender<PublicKey = PublicKey>> LimitedSender for Answers<S> {
    type PublicKey = PublicKey;
    type Checked<'a> = CheckedAnswers<'a, S>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        Ok(CheckedAnswers { inner: self.inner.check(recipients)?, desk: &self.desk })
    }
}

/// An answer for a peer that may be sent to now.
pub(super) struct CheckedAnswers<'a, S: LimitedSender + 'a> {
    inner: <PartSender<S> as LimitedSender>::Checked<'a>,
    desk: &'a Desk,
}

impl<S: LimitedSender<PublicKey = PublicKey>> CheckedSender for CheckedAnswers<'_, S> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into().coalesce();
        if let Some((id, ANSWER | NONE)) = head(message.as_ref()) {
            self.desk.answered(&self.inner.recipients(), id, message.len());
        }
        self.inner.send(message, priority)
    }
}
