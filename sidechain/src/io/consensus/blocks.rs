//! New blocks on their way between validators: a block is read when the engine asks for it, and not when somebody sends it.
//!
//! ```text
//! peers ~~ channel ~~> header hashed, bytes kept ---- asked for ----> body read and compared with the header ---> engine
//!                      (a few blocks a peer)    by a leader's vote     (a thread that may block)
//! ```
//!
//! The engine asks for a block when the leader of a round has named it in a vote, or when it is the ancestor of one. Anything
//! else that a validator sends costs the others the hash of a header, and the memory of a few blocks at most.
//!
//! A header says what its body is, so whoever sends a header with another body is not honest, and is blocked.

use std::future::Future;

use alloy_primitives::B256;
use commonware_codec::DecodeExt as _;
use commonware_consensus::{
    marshal::{core::Buffer, standard::Standard},
    types::Round,
};
use commonware_cryptography::{Digested, Digestible as _, ed25519::PublicKey, keccak256::Digest};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Handle, IoBuf, Metrics, Spawner, iobuf::EncodeExt as _};
use commonware_utils::channel::oneshot;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc;
use tracing::debug;

use super::{arrivals::Arrivals, blocking::contained, payload::Payload};

/// Blocks whose bodies are read at the same time. Each takes a thread.
const MAX_READING: usize = 2;

/// What the engine wants of the blocks that are on their way.
enum Command {
    Find { hash: B256, answer: oneshot::Sender<Option<Digested<Payload>>> },
    Await { hash: B256, answer: oneshot::Sender<Digested<Payload>> },
    Send { block: Digested<Payload>, recipients: Recipients<PublicKey> },
}

/// The blocks that are on their way, as the engine sees them.
#[derive(Clone)]
pub(super) struct Blocks(mpsc::UnboundedSender<Command>);

impl Blocks {
    fn wait(&self, hash: B256) -> oneshot::Receiver<Digested<Payload>> {
        let (answer, block) = oneshot::channel();
        // Closed when the node stops.
        let _ = self.0.send(Command::Await { hash, answer });
        block
    }
}

impl Buffer<Standard<Payload>> for Blocks {
    type PublicKey = PublicKey;

    async fn find_by_digest(&self, digest: Digest) -> Option<Digested<Payload>> {
        let (answer, found) = oneshot::channel();
        let _ = self.0.send(Command::Find { hash: B256::new(digest.0), answer });
        found.await.ok().flatten()
    }

    async fn find_by_commitment(&self, commitment: Digest) -> Option<Digested<Payload>> {
        self.find_by_digest(commitment).await
    }

    fn subscribe_by_digest(&self, digest: Digest) -> Option<oneshot::Receiver<Digested<Payload>>> {
        Some(self.wait(B256::new(digest.0)))
    }

    fn subscribe_by_commitment(&self, commitment: Digest) -> Option<oneshot::Receiver<Digested<Payload>>> {
        Some(self.wait(B256::new(commitment.0)))
    }

    fn send(&self, _: Round, block: Digested<Payload>, recipients: Recipients<PublicKey>) {
        let _ = self.0.send(Command::Send { block, recipients });
    }
}

/// Takes, keeps, reads and sends blocks until the network or the engine ends.
pub(super) fn start<E, S, R, B>(runtime: &E, (sender, receiver): (S, R), blocker: B) -> (Handle<()>, Blocks)
where
    E: Clock + Spawner + Metrics,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    // The engine asks for the blocks of the rounds that it is in; nobody else sends commands.
    let (commands, asked) = mpsc::unbounded_channel();
    let carrier = Carrier { sender, blocker, arrivals: Arrivals::default() };
    let handle = runtime.child("blocks").spawn(move |runtime| carrier.run(runtime, receiver, asked));
    (handle, Blocks(commands))
}

/// A body that was read: whose it was, and what it is.
type Read = (B256, PublicKey, Option<Payload>);

struct Carrier<S, B> {
    sender: S,
    blocker: B,
    arrivals: Arrivals,
}

impl<S, B> Carrier<S, B>
where
    S: Sender<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    async fn run<E>(
        mut self,
        runtime: E,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
        mut asked: mpsc::UnboundedReceiver<Command>,
    ) where
        E: Clock + Spawner + Metrics,
    {
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < MAX_READING
                && let Some((hash, peer, bytes)) = self.arrivals.next_to_read()
            {
                reading.push(read(&runtime, hash, peer, bytes));
            }
            tokio::select! {
                command = asked.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(read) = reading.next() => self.take(read),
                arrived = receiver.recv() => match arrived {
                    Ok((peer, bytes)) => self.arrive(peer, bytes),
                    Err(_) => return,
                },
            }
            self.arrivals.forget_who_left();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Find { hash, answer } => self.arrivals.find(hash, answer),
            Command::Await { hash, answer } => self.arrivals.wait(hash, answer),
            Command::Send { block, recipients } => {
                let reached = self.sender.send(recipients, block.inner().encode_iobufs(), true);
                debug!(block = %block.digest(), peers = reached.len(), "block sent");
                self.arrivals.take(block);
            }
        }
    }

    fn arrive(&mut self, peer: PublicKey, bytes: IoBuf) {
        let length = bytes.len();
        if self.arrivals.arrive(peer.clone(), bytes).is_err() {
            commonware_p2p::block!(self.blocker, peer, bytes = length, "a validator sent what is not a block");
        }
    }

    fn take(&mut self, (hash, peer, payload): Read) {
        match payload {
            Some(payload) => {
                let digest = payload.digest();
                self.arrivals.take(Digested::precomputed(payload, digest));
            }
            None => {
                commonware_p2p::block!(self.blocker, peer, %hash, "a block is not what its header says");
                self.arrivals.refuse(hash);
            }
        }
    }
}

/// Reads a block on a thread that may block.
fn read<E: Spawner + Metrics>(
    runtime: &E,
    hash: B256,
    peer: PublicKey,
    bytes: IoBuf,
) -> impl Future<Output = Read> + use<E> {
    let runtime = runtime.child("reading");
    async move {
        let read = contained(&runtime, "read", move || Payload::decode(bytes).ok()).await;
        (hash, peer, read.flatten())
    }
}
