//! When a long-running command stops: Ctrl-C, SIGTERM, or the end of its parent.
//!
//! A parent process (`causeway dev`) writes the passphrase as the first line of the child's standard input and keeps the
//! pipe open: when the parent dies, even by kill -9, the pipe closes and the child stops.

use std::future::Future;
use std::io::BufRead as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StopArgs {
    /// Stop when standard input closes, so that no child outlives its parent
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl StopArgs {
    /// Ends when this process is to stop. To be called after the passphrase was read: it reads standard input to its end.
    pub fn stopped(self) -> impl Future<Output = ()> + Send + use<> {
        let parent = self.exit_with_parent.then(watch_parent);
        async move {
            let parent_ended = async {
                match parent {
                    Some(parent) => drop(parent.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = interrupted() => {}, () = parent_ended => {} }
        }
    }
}

/// Ends at the first Ctrl-C or SIGTERM.
async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("a process may listen to its own signals");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a process may listen to its own signals");
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}

/// Watches standard input from a thread of its own, because a blocking read cannot be cancelled; answers when it closes.
fn watch_parent() -> oneshot::Receiver<()> {
    let (closed, watcher) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while matches!(std::io::stdin().lock().read_line(&mut line), Ok(read) if read > 0) {
            line.clear();
        }
        let _ = closed.send(()); // Nobody listens any more: the process already stops.
    });
    watcher
}
