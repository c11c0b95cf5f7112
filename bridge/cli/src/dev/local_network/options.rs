//! How a local network is to be: options of `causeway dev`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eyre::{Result, WrapErr, bail, eyre};

use super::layout::{Layout, PortChoice};
use crate::operator::genesis::default_threshold;
use crate::options::home::HomeArgs;
use crate::options::stop::StopArgs;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Time between Bitcoin blocks; 0s mines only on demand
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub block_interval: Duration,
    /// Operators, each a validator and a relayer (first start only)
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16), value_name = "N")]
    operators: u16,
    /// Operators with a validator; 1 is the fastest, for those who only write contracts (first start only) [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=16), value_name = "N")]
    validators: Option<u16>,
    /// Relayers that must sign together (first start only) [default: more than two thirds]
    #[arg(long, value_name = "N")]
    threshold: Option<u16>,
    /// `usual` (18443, 8545, ...), `free`, or the first port of a block (first start only)
    #[arg(long, default_value = "usual", value_name = "PORTS")]
    ports: PortChoice,
    /// Do not fund the developer accounts
    #[arg(long)]
    pub no_fund: bool,
    /// The bitcoind to run [default: one on PATH, or the one that `make bitcoind` built]
    #[arg(long, env = "BITCOIND_EXE", value_name = "FILE")]
    bitcoind: Option<PathBuf>,
    #[command(flatten)]
    pub stop: StopArgs,
    #[command(flatten)]
    pub home: HomeArgs,
}

impl Options {
    /// The layout of the folder, and whether this is its first start.
    pub fn layout(&self, folder: &Path) -> Result<(Layout, bool)> {
        if let Some(layout) = Layout::load(folder)? {
            return Ok((layout, false));
        }
        let threshold = self.threshold.unwrap_or_else(|| default_threshold(self.operators));
        if threshold < 2 || threshold > self.operators {
            bail!("--threshold {threshold} of {} operators: expected 2 to {}", self.operators, self.operators);
        }
        if let Some(validators) = self.validators.filter(|validators| *validators > self.operators) {
            bail!("--validators {validators} of {} operators: expected 1 to {}", self.operators, self.operators);
        }
        Ok((Layout::new(folder, self.operators, self.validators, threshold, self.ports)?, true))
    }

    /// The bitcoind to run: named, on PATH, or built by `make bitcoind`.
    pub fn bitcoind(&self) -> Result<PathBuf> {
        if let Some(path) = &self.bitcoind {
            return path.canonicalize().wrap_err_with(|| format!("there is no bitcoind at {}", path.display()));
        }
        let built = built_folder()?;
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let folders = built.into_iter().chain(std::env::split_paths(&on_path).collect::<Vec<_>>());
        folders.map(|folder| folder.join("bitcoind")).find(|path| path.is_file()).ok_or_else(|| {
            eyre!("no bitcoind found: run `make bitcoind` (it builds one), install Bitcoin Core 28 or later, or name it by --bitcoind or BITCOIND_EXE")
        })
    }
}

/// Where `make bitcoind` puts what it builds: target/bitcoin/bin, beside target/debug/causeway.
fn built_folder() -> Result<Option<PathBuf>> {
    let executable = std::env::current_exe().wrap_err("cannot tell where this program is")?;
    Ok(executable.ancestors().nth(2).map(|target| target.join("bitcoin/bin")))
}
