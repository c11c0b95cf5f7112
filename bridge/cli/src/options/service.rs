//! What the long-running commands share: the passphrase of their keys, and when to stop.
//!
//! A parent process (`causeway dev`) writes the passphrase as the first line of the child's standard input and keeps the
//! pipe open: when the parent dies, even by kill -9, the pipe closes and the child stops.

use std::future::Future;
use std::io::BufRead;

use eyre::{Result, WrapErr, bail};
use zeroize::Zeroizing;

/// Where the passphrase comes from, and when to stop.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServiceArgs {
    /// Read the passphrase from the first line of standard input instead of asking for it
    #[arg(long)]
    pub passphrase_stdin: bool,
    /// Stop when standard input closes, so that no child outlives its parent
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}

impl ServiceArgs {
    /// The passphrase of `what`, from standard input or asked at the terminal. Call it once, before [`ServiceArgs::stop`].
    ///
    /// # Errors
    ///
    /// When there is neither a line nor a terminal.
    pub fn passphrase(&self, what: &str) -> Result<Zeroizing<String>> {
        if self.passphrase_stdin { first_line() } else { ask(&format!("Passphrase of {what}: ")) }
    }

    /// Ends when this process is to stop: Ctrl-C, SIGTERM, or the parent's end.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let parent = self.exit_with_parent.then(parent_gone);
        async move {
            let parent = async {
                match parent {
                    Some(gone) => drop(gone.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = interrupted() => {}, () = parent => {} }
        }
    }
}

/// Asks for a secret at the terminal, without showing it.
pub fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .wrap_err("no terminal to ask for the passphrase: give it with --passphrase-stdin")
}

/// Ends at the first Ctrl-C or SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a process may listen to its own signals");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a process may listen to its own signals");
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}

fn first_line() -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().read_line(&mut line).wrap_err("reading the passphrase from standard input")?;
    if read == 0 {
        bail!("standard input is empty: --passphrase-stdin wants the passphrase as its first line");
    }
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Watches standard input from a thread of its own, because a blocking read cannot be cancelled.
fn parent_gone() -> tokio::sync::oneshot::Receiver<()> {
    let (gone, waiting) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while matches!(std::io::stdin().lock().read_line(&mut line), Ok(read) if read > 0) {
            line.clear();
        }
        let _ = gone.send(()); // Nobody listens any more: the process already stops.
    });
    waiting
}
