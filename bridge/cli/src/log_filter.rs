//! What is logged, and how that changes while a service runs: by `log` in its configuration, read again at SIGHUP.
//!
//! ```text
//!   start     --log or CAUSEWAY_LOG, else `log` in the configuration, else the default
//!   SIGHUP    `log` in the configuration, else what the start had: a file that is wrong changes nothing, and is told
//! ```
//! Only who may send this process a signal, and whoever writes its configuration, decides it: nobody by the network.

use std::path::Path;
use std::sync::OnceLock;

use eyre::{Result, WrapErr, eyre};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::terminal::{Replace, is_logged_to};

/// Of services. The engine tells every round at info; what matters of it the node tells itself.
pub const OF_SERVICES: &str = "info,commonware=warn";
/// Of other commands.
pub const OF_COMMANDS: &str = "warn";

static REPLACE: OnceLock<Replace> = OnceLock::new();
/// What the command line says, if it does.
static GIVEN: OnceLock<String> = OnceLock::new();

/// The filter to start with; `given` on the command line or in the environment.
///
/// # Errors
///
/// It is no filter.
pub fn at_start(given: Option<&str>, is_service: bool) -> Result<EnvFilter> {
    if let Some(given) = given {
        let _ = GIVEN.set(given.to_owned()); // Once: the process has one command line.
    }
    let default = if is_service { OF_SERVICES } else { OF_COMMANDS };
    EnvFilter::try_new(given.unwrap_or(default)).wrap_err("--log is not a filter; examples: info, bridge=debug,warn")
}

/// Keeps how the filter in use is replaced. To be called once, by who starts the logging.
pub fn keep(replace: Replace) {
    let _ = REPLACE.set(replace);
}

/// Applies what a service's configuration says of its log, unless the command line says it.
///
/// # Errors
///
/// `log` in the configuration is no filter.
pub fn apply(log: Option<&str>) -> Result<()> {
    match log.filter(|_| GIVEN.get().is_none()) {
        Some(log) => use_filter(log),
        None => Ok(()),
    }
}

/// Reads `log` in this configuration again at each SIGHUP, until the process ends. Not where a person looks at the log: closing a terminal
/// is to end what was started in it.
///
/// # Errors
///
/// The system gives no thread.
pub fn follow(configuration: &Path) -> Result<()> {
    if is_logged_to() {
        return Ok(());
    }
    let configuration = configuration.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut hangups = {
        let _entered = runtime.enter();
        signal(SignalKind::hangup())?
    };
    let listen = move || {
        while runtime.block_on(hangups.recv()).is_some() {
            match read(&configuration).and_then(|log| use_filter(&log).map(|()| log)) {
                // Also where the new filter hides it: whoever asked for it looks.
                Ok(log) => tracing::warn!(log, "the log's filter is read again"),
                Err(error) => tracing::warn!("the log's filter stays: {error:#}"),
            }
        }
    };
    std::thread::Builder::new().name("log-filter".to_owned()).spawn(listen)?;
    Ok(())
}

fn use_filter(log: &str) -> Result<()> {
    let filter = EnvFilter::try_new(log)
        .wrap_err_with(|| format!("log = {log:?} is not a filter; examples: \"info\", \"bridge=debug,warn\""))?;
    let replace = REPLACE.get().ok_or_else(|| eyre!("logging has not begun"))?;
    Ok(replace(filter)?)
}

/// `log` in a configuration; what the start had where there is none.
fn read(configuration: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(configuration).wrap_err_with(|| format!("cannot read {}", configuration.display()))?;
    let table: toml::Table = toml::from_str(&text).wrap_err_with(|| configuration.display().to_string())?;
    let log = table.get("log").map(|log| log.as_str().ok_or_else(|| eyre!("log is no text"))).transpose()?;
    Ok(log.map(str::to_owned).or_else(|| GIVEN.get().cloned()).unwrap_or_else(|| OF_SERVICES.to_owned()))
}
