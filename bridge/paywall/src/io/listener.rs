//! Connections of clients, within bounds: how many, how large a head, how slow a reader.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::http::Body;

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
/// How long those who are being served have when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Answers one request.
pub trait Answers: Send + Sync + 'static {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves until `stopped` changes or its sender is gone, then lets those finish who are being served.
pub async fn serve<A: Answers>(
    listener: TcpListener,
    places: Arc<Semaphore>,
    answers: Arc<A>,
    mut stopped: watch::Receiver<()>,
) {
    let all = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        match stream {
            Ok((stream, _)) => {
                let (answers, stopped) = (answers.clone(), stopped.clone());
                tokio::spawn(async move {
                    let _place = place;
                    converse(stream, answers, stopped).await;
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
    let _ = timeout(LAST_WORDS, places.acquire_many(all)).await;
}

async fn converse<A: Answers>(stream: TcpStream, answers: Arc<A>, mut stopped: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true); // If not, answers come a little later.
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.answer(request).await) }
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
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
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
