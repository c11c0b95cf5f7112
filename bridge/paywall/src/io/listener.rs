//! Connections of clients, within bounds: how many, how large a head, how slow a reader.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::http::{Body, whole};
use crate::crowd::Crowd;

/// Bytes of a request's head. A payment has some 1,500; browsers' cookies are longer.
const MOST_HEAD_BYTES: usize = 32 << 10;
/// Fields of it.
const MOST_HEADERS: usize = 100;
/// Until a head has arrived; a connection on which nothing comes is closed then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that reads nothing of its answer for so long is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after an error of `accept`: mostly too many open files, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// When there is no place, one more is asked to go so often.
const ROOM_EVERY: Duration = Duration::from_millis(50);
/// How long those who are being served have when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Answers one request.
pub trait Answers: Send + Sync + 'static {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Connections that are open, each with what asks it to go.
struct Open {
    crowd: Crowd,
    ways_out: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A connection among the others. Whatever ends it takes it out.
struct Member {
    open: Arc<Mutex<Open>>,
    id: u64,
    asked_to_go: oneshot::Receiver<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.crowd.leave(self.id);
        open.ways_out.remove(&self.id);
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until `stopped` changes or its sender is gone, then lets those finish who are being served.
pub async fn serve<A: Answers>(
    listener: TcpListener,
    places: Arc<Semaphore>,
    answers: Arc<A>,
    mut stopped: watch::Receiver<()>,
) {
    let most = places.available_permits();
    let open = Arc::new(Mutex::new(Open { crowd: Crowd::new(most), ways_out: BTreeMap::new() }));
    loop {
        let accepted = async {
            let (stream, peer) = listener.accept().await?;
            if !lock(&open).crowd.is_welcome(peer.ip()) {
                return Ok(None);
            }
            let place = place(&places, &open).await;
            Ok::<_, io::Error>(Some((stream, peer, place)))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok(None) => tracing::debug!("an address has as many connections as it gets"),
            Ok(Some((stream, peer, place))) => {
                let (answers, stopped, member) = (answers.clone(), stopped.clone(), enter(&open, peer.ip()));
                tokio::spawn(async move {
                    let _place = place;
                    converse(stream, member, answers, stopped).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // All places are free again when all conversations are over.
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = timeout(LAST_WORDS, places.acquire_many(all)).await;
}

/// A place for one more: as long as there is none, those who say nothing are asked to go, one after the other.
async fn place(places: &Arc<Semaphore>, open: &Mutex<Open>) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return Some(place);
    }
    loop {
        {
            let mut open = lock(open);
            let goes = open.crowd.make_room().and_then(|id| open.ways_out.remove(&id));
            if let Some(goes) = goes {
                let _ = goes.send(()); // It may be gone already.
            }
        }
        if let Ok(place) = timeout(ROOM_EVERY, places.clone().acquire_owned()).await {
            return place.ok();
        }
    }
}

fn enter(open: &Arc<Mutex<Open>>, address: IpAddr) -> Member {
    let (go, asked_to_go) = oneshot::channel();
    let mut inside = lock(open);
    let id = inside.crowd.enter(address);
    inside.ways_out.insert(id, go);
    drop(inside);
    Member { open: open.clone(), id, asked_to_go }
}

async fn converse<A: Answers>(
    stream: TcpStream,
    mut member: Member,
    answers: Arc<A>,
    mut stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true); // If not, answers come a little later.
    let (open, id) = (member.open.clone(), member.id);
    let service = service_fn(move |request| {
        let (answers, open) = (answers.clone(), open.clone());
        async move {
            lock(&open).crowd.heard(id);
            let answer =
                if head_bytes(&request) > MOST_HEAD_BYTES { too_long() } else { answers.answer(request).await };
            lock(&open).crowd.answered(id);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_HEAD_BYTES);
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(Impatient::new(stream)), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        Ok(()) = &mut member.asked_to_go => {
            let was_heard = lock(&member.open).crowd.was_heard(id);
            if !was_heard {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Bytes of a head as it came, but for what is around its parts: hyper reads a little beyond its buffer's bound.
fn head_bytes(request: &Request<Incoming>) -> usize {
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    request.method().as_str().len() + target + fields.sum::<usize>()
}

fn too_long() -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A connection whose other end has to go on reading.
struct Impatient {
    stream: TcpStream,
    /// Runs while nothing can be written.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, patience: None }
    }

    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let patience =
            self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_TIMEOUT)));
        match patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
