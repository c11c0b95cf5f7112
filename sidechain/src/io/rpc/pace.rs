//! The pace that a connection must keep, so that nobody holds one, or what is waiting to be sent over it, for nothing.
//!
//! ```text
//!   Idle --first byte--> Receiving --whole request--> Working --answer written--> Idle
//!   idle_timeout         receive_timeout              the request's own deadline
//!   Socket: from the upgrade on; every byte counts, and pings ask for some
//!   Ended: it waited for its client, and made way for another
//! ```
//! Who does not read has `patience`, and earns more by reading.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::settings::Settings;

/// Bytes that a client must read to earn a second.
const BYTES_A_SECOND: u64 = 8 << 10;

/// What is lost with a connection, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It waits for its client, idle or with half a request.
    Waiting,
    /// A WebSocket that never subscribed.
    Quiet,
    /// One that did.
    Listening,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle(Instant),
    Receiving(Instant),
    Working,
    Socket(Socket),
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    /// When something arrived last.
    heard: Instant,
    /// When something was asked last.
    asked: Instant,
    subscribed: bool,
}

/// What a connection waits for, as those who answer on it tell.
#[derive(Debug)]
pub struct Pace {
    receive_timeout: Duration,
    idle_timeout: Duration,
    patience: Duration,
    phase: Mutex<Phase>,
    ended: Notify,
}

impl Pace {
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            receive_timeout: settings.receive_timeout,
            idle_timeout: settings.idle_timeout,
            patience: settings.patience,
            phase: Mutex::new(Phase::Idle(Instant::now())),
            ended: Notify::new(),
        })
    }

    /// A request is there.
    pub fn working(&self) {
        self.set(Phase::Working);
    }

    /// An answer was written.
    pub fn idle(&self) {
        self.set(Phase::Idle(Instant::now()));
    }

    /// The connection is a WebSocket from now on.
    pub fn socket(&self) {
        let now = Instant::now();
        self.set(Phase::Socket(Socket { heard: now, asked: now, subscribed: false }));
    }

    /// Something was asked over the WebSocket.
    pub fn asked(&self) {
        self.change(|socket| socket.asked = Instant::now());
    }

    /// Something was subscribed to over the WebSocket.
    pub fn subscribed(&self) {
        self.change(|socket| socket.subscribed = true);
    }

    /// What would be lost with the connection, and since when nothing was asked; none while it works. Never less than before, and of
    /// the same never earlier.
    pub fn standing(&self) -> Option<(Loss, Instant)> {
        match self.phase() {
            Phase::Idle(since) | Phase::Receiving(since) => Some((Loss::Waiting, since)),
            Phase::Socket(Socket { asked, subscribed: false, .. }) => Some((Loss::Quiet, asked)),
            Phase::Socket(Socket { asked, subscribed: true, .. }) => Some((Loss::Listening, asked)),
            Phase::Working | Phase::Ended => None,
        }
    }

    #[cfg(test)]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase(), Phase::Ended)
    }

    /// The connection is given up.
    pub fn end(&self) {
        self.set(Phase::Ended);
        self.ended.notify_one();
    }

    /// Resolves when the connection is given up.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn change(&self, change: impl FnOnce(&mut Socket)) {
        if let Phase::Socket(socket) = &mut *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            change(socket);
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something arrived; returns whether that is too late.
    fn received(&self) -> bool {
        let now = Instant::now();
        match self.phase() {
            Phase::Idle(_) => self.set(Phase::Receiving(now)),
            Phase::Socket(_) => self.change(|socket| socket.heard = now),
            Phase::Receiving(since) => return now > since + self.receive_timeout,
            Phase::Working => {}
            Phase::Ended => return true,
        }
        false
    }

    /// When something must have arrived.
    fn deadline(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Idle(since) | Phase::Socket(Socket { heard: since, .. }) => Some(since + self.idle_timeout),
            Phase::Receiving(since) => Some(since + self.receive_timeout),
            Phase::Working | Phase::Ended => None,
        }
    }
}

/// A connection that keeps its pace, or fails with `TimedOut`.
#[derive(Debug)]
pub struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    /// Since when a write waits for the client to read.
    blocked: Option<Instant>,
    /// How long the next may.
    patience: Duration,
}

impl<S> Paced<S> {
    pub fn new(stream: S, pace: Arc<Pace>) -> Self {
        let patience = pace.patience;
        let now = Instant::now();
        let (reading, writing) = (Box::pin(sleep_until(now)), Box::pin(sleep_until(now)));
        Self { stream, pace, reading, writing, blocked: None, patience }
    }

    /// After a write that took `written` bytes, or waits.
    fn wrote(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match written {
            Poll::Ready(Ok(count)) => {
                let waited = self.blocked.take().map_or(Duration::ZERO, |since| now - since);
                let earned = Duration::from_millis(count as u64 * 1_000 / BYTES_A_SECOND);
                self.patience = (self.patience.saturating_sub(waited) + earned).min(self.pace.patience);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                let since = *self.blocked.get_or_insert(now);
                expire(&mut self.writing, since + self.patience, context)
            }
        }
    }
}

/// Pending until `at`, then an error.
fn expire<T>(timer: &mut Pin<Box<Sleep>>, at: Instant, context: &mut Context<'_>) -> Poll<io::Result<T>> {
    if timer.deadline() != at {
        timer.as_mut().reset(at);
    }
    ready!(timer.as_mut().poll(context));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before && this.pace.received() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => match this.pace.deadline() {
                Some(at) => expire(&mut this.reading, at, context),
                None => Poll::Pending,
            },
            ready => ready,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
