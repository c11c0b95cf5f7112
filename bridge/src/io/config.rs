//! `relayer.toml`: where a relayer finds its node, its bitcoind, its keys and its data.
//!
//! ```toml
//! genesis = "genesis.json"         # what all operators agreed on; paths are relative to this file
//! node = "http://127.0.0.1:8545"
//! keystore = "operator.keystore"
//! data_dir = "relayer"
//!
//! [bitcoind]
//! url = "http://127.0.0.1:8332"
//! cookie_file = "/var/lib/bitcoind/.cookie"      # or: user = "...", password_file = "..."
//!
//! # fee_rate = 1                   # regtest alone, where bitcoind never estimates fees: sat/vB
//! # low_fee_rate = 2               # sat/vB at or below which vault outputs are joined
//! # log = "info"                   # what is logged; read again at SIGHUP
//! # health_listen = "127.0.0.1:9001"   # answers GET /metrics, /livez, /readyz and /health
//!
//! [limit]                          # what this member signs away at most, whatever the ledger says; by default as much as that lets go
//! window_sat = 1000000000
//! window_seconds = 3600
//!
//! [duty]                           # all optional; every relayer of a federation should have the same
//! window_s = 30
//! takeover_ms = 5000
//! ```
//! No secret is in it: the keystore is encrypted, passwords are in files of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A relayer's configuration. Unknown keys are refused: a misspelt one must not silently mean its default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What all operators of the network agreed on.
    pub genesis: PathBuf,
    /// URL of the operator's own sidechain node.
    pub node: String,
    /// The operator's own Bitcoin Core node.
    pub bitcoind: Bitcoind,
    /// The folder in which the relayer keeps its key shares and its promises.
    pub data_dir: PathBuf,
    /// The encrypted file with the relayer's account and encryption keys.
    pub keystore: PathBuf,
    /// How the relayers of the federation share the work.
    #[serde(default)]
    pub duty: Duty,
    /// How often node and bitcoind are asked for news, in milliseconds.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How long found deposits and withdrawals are collected before they are proposed together, in milliseconds.
    /// Longer saves fees, shorter saves time.
    #[serde(default = "default_batch_ms")]
    pub batch_ms: u64,
    /// Stands for bitcoind's estimate on regtest, where there is none: satoshis per virtual byte. Refused on other networks.
    #[serde(default)]
    pub fee_rate: Option<u32>,
    /// At or below so many satoshis per virtual byte, what can wait is done: vault outputs are joined. (Also below half of what is usual.)
    #[serde(default = "default_low_fee_rate")]
    pub low_fee_rate: u32,
    /// What this member signs away at most, whatever the ledger says. By default as much as the ledger lets go.
    #[serde(default)]
    pub limit: Option<OwnLimit>,
    /// Where the relayer tells how it is, to whoever asks: `GET /metrics`, `/livez`, `/readyz` and `/health`. Nowhere by default.
    #[serde(default)]
    pub health_listen: Option<SocketAddr>,
    /// What is logged, by who starts the logging.
    #[serde(default)]
    pub log: Option<String>,
}

/// The operator's own Bitcoin Core node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bitcoind {
    /// URL of its JSON-RPC, as in `http://127.0.0.1:8332`.
    pub url: String,
    /// bitcoind's `.cookie` file; read again whenever bitcoind restarted.
    pub cookie_file: Option<PathBuf>,
    /// RPC user; with `password_file`, instead of the cookie.
    pub user: Option<String>,
    /// A file with the password of `user` on its first line.
    pub password_file: Option<PathBuf>,
}

/// How relayers share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Duty {
    /// Seconds of block time that one relayer is on duty before the next one is.
    pub window_s: u64,
    /// How long work may wait before the next relayer in line does it too, in milliseconds.
    pub takeover_ms: u64,
}

/// What a member signs away at most: so much at once, and as much again in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLimit {
    pub window_sat: u64,
    pub window_seconds: u64,
}

/// How to log in to bitcoind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By the cookie in this file.
    Cookie(PathBuf),
    /// By user and password; the password is on the first line of the file.
    Password { user: String, password_file: PathBuf },
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}: {error}", path.display())]
    Malformed { path: PathBuf, error: Box<toml::de::Error> },
    #[error("{}: {reason}", path.display())]
    Invalid { path: PathBuf, reason: &'static str },
}

impl Default for Duty {
    fn default() -> Self {
        Self { window_s: 30, takeover_ms: 5_000 }
    }
}

impl Config {
    /// Reads a configuration; paths in it become relative to the file's folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not TOML, has unknown or missing keys, or values that cannot work.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), error: Box::new(error) })?;
        config.check().map_err(|reason| ConfigError::Invalid { path: path.to_owned(), reason })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for inner in [&mut config.genesis, &mut config.data_dir, &mut config.keystore] {
            *inner = folder.join(&*inner);
        }
        for inner in [&mut config.bitcoind.cookie_file, &mut config.bitcoind.password_file].into_iter().flatten() {
            *inner = folder.join(&*inner);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), &'static str> {
        self.bitcoind.login().ok_or("[bitcoind] wants either cookie_file, or user and password_file")?;
        match () {
            () if self.duty.window_s == 0 => Err("duty.window_s is 0, expected at least 1"),
            () if self.duty.takeover_ms == 0 => Err("duty.takeover_ms is 0, expected at least 1"),
            () if self.fee_rate == Some(0) => Err("fee_rate is 0, expected at least 1 sat/vB"),
            () if self.limit.is_some_and(|limit| limit.window_seconds == 0) => {
                Err("limit.window_seconds is 0, expected at least 1")
            }
            () if !(10..=60_000).contains(&self.poll_ms) => Err("poll_ms is out of bounds, expected 10 to 60000"),
            () => Ok(()),
        }
    }

    /// How often to ask for news.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

impl Bitcoind {
    /// The one way to log in that is configured; none when there is none, or two.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        match (&self.cookie_file, &self.user, &self.password_file) {
            (Some(file), None, None) => Some(Login::Cookie(file.clone())),
            (None, Some(user), Some(file)) => Some(Login::Password { user: user.clone(), password_file: file.clone() }),
            _ => None,
        }
    }
}

fn default_poll_ms() -> u64 {
    500
}

fn default_low_fee_rate() -> u32 {
    2
}

fn default_batch_ms() -> u64 {
    1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        genesis = "genesis.json"
        node = "http://127.0.0.1:8545"
        keystore = "relayer.keys"
        data_dir = "/var/lib/relayer"
        [bitcoind]
        url = "http://127.0.0.1:18443"
        cookie_file = "regtest/.cookie"
    "#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("relayer.toml");
        std::fs::write(&path, text).expect("written");
        let mut config = Config::load(&path)?;
        config.keystore = config.keystore.strip_prefix(folder.path()).expect("relative to the file").to_owned();
        Ok(config)
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = load(GOOD).expect("good");
        assert_eq!(config.keystore, Path::new("relayer.keys"));
        assert_eq!(config.data_dir, Path::new("/var/lib/relayer"));
        assert_eq!(config.duty, Duty::default());
        assert!(matches!(config.bitcoind.login(), Some(Login::Cookie(_))));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = load(&GOOD.replace("data_dir", "datadir")).expect_err("misspelt").to_string();
        assert!(error.contains("datadir") && error.contains("line 5"), "{error}");
        let error = load(&format!("{GOOD}\n[duty]\nwindow = 3\n")).expect_err("misspelt").to_string();
        assert!(error.contains("window"), "{error}");
    }

    #[test]
    fn exactly_one_way_to_log_in_is_wanted() {
        let both = load(&format!("{GOOD}\nuser = \"me\"\npassword_file = \"secret\"\n"));
        assert!(both.expect_err("two ways").to_string().contains("either cookie_file"));
        let none = load(&GOOD.replace("cookie_file = \"regtest/.cookie\"", ""));
        assert!(none.expect_err("no way").to_string().contains("either cookie_file"));
    }
}
