//! What waits to be written to a WebSocket: bounded by how much it, and its client, may leave unread.

use std::time::Duration;

use jsonrpsee::types::{ErrorObjectOwned, Id};
use serde::Serialize;
use tokio::sync::mpsc;

use super::error;
use super::reply::{failure, json};
use super::shares::Limit;
use super::unread::{Unread, UnreadBytes};

/// Time between two looks whether the client has read something.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a message costs beside its own bytes.
const MESSAGE_OVERHEAD: usize = 256;

/// The connection is gone.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

/// What is written to a WebSocket.
#[derive(Debug)]
pub enum Message {
    Text(String),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// Nothing after it.
    Close,
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Pong(payload) => payload.len(),
            Self::Close => 0,
        }
    }
}

/// What waits to be written.
#[derive(Clone)]
pub struct Outgoing {
    queue: mpsc::UnboundedSender<(Message, Option<UnreadBytes>)>,
    unread: Unread,
}

impl Outgoing {
    /// A queue, and the end that is written from.
    pub fn new(unread: Unread) -> (Self, mpsc::UnboundedReceiver<(Message, Option<UnreadBytes>)>) {
        let (queue, messages) = mpsc::unbounded_channel();
        (Self { queue, unread }, messages)
    }

    /// What is counted as unread of this WebSocket.
    pub fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Queues a text, when the client has read enough.
    pub async fn send(&self, text: String) -> Result<(), Gone> {
        self.queue_when_there_is_room(Message::Text(text)).await
    }

    /// Queues the answer to a ping, when the client has read enough.
    pub async fn pong(&self, payload: Vec<u8>) -> Result<(), Gone> {
        self.queue_when_there_is_room(Message::Pong(payload)).await
    }

    /// Queues the end of the connection.
    pub fn close(&self) {
        // Closed already when nobody writes any more.
        let _ = self.queue.send((Message::Close, None));
    }

    async fn queue_when_there_is_room(&self, message: Message) -> Result<(), Gone> {
        loop {
            match self.hold(&message) {
                Ok(hold) => return self.put(message, hold),
                Err(_) if self.queue.is_closed() => return Err(Gone),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Queues an answer. A large one does not wait in memory for a client that does not read: an error takes its place.
    pub async fn answer(&self, text: String) -> Result<(), Gone> {
        let message = Message::Text(text);
        match self.hold(&message) {
            Ok(hold) => self.put(message, hold),
            Err(limit) => {
                drop(message);
                self.send(failure(&Id::Null, &error::limit(limit.to_string()))).await
            }
        }
    }

    fn put(&self, message: Message, hold: UnreadBytes) -> Result<(), Gone> {
        self.queue.send((message, Some(hold))).map_err(|_| Gone)
    }

    fn hold(&self, message: &Message) -> Result<UnreadBytes, Limit> {
        self.unread.hold((message.bytes() + MESSAGE_OVERHEAD) as u64)
    }
}

/// Where a subscription's messages go.
pub struct Sink {
    id: String,
    /// The method as which they come.
    method: &'static str,
    outgoing: Outgoing,
}

impl Sink {
    /// Of the subscription `id`.
    pub fn new(id: String, method: &'static str, outgoing: Outgoing) -> Self {
        Self { id, method, outgoing }
    }

    /// Sends a message, when the client has read enough of those before.
    pub async fn send<T: Serialize>(&self, message: &T) -> Result<(), Gone> {
        self.send_message(self.message(message)?).await
    }

    /// The text of a message.
    pub fn message<T: Serialize>(&self, message: &T) -> Result<String, Gone> {
        let result = serde_json::to_string(message).map_err(|_| Gone)?;
        Ok(self.text("result", &result))
    }

    /// Says why nothing more comes.
    pub async fn fail(&self, error: &ErrorObjectOwned) -> Result<(), Gone> {
        self.send_message(self.text("error", &json(error))).await
    }

    fn text(&self, name: &str, value: &str) -> String {
        let Self { id, method, .. } = self;
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"subscription":"{id}","{name}":{value}}}}}"#)
    }

    /// Sends the text of a message, as [`Self::send`].
    pub async fn send_message(&self, text: String) -> Result<(), Gone> {
        self.outgoing.send(text).await
    }
}
