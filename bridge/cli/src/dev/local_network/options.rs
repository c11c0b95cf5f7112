//! How a local network is to be: options of `causeway dev`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eyre::{Result, WrapErr, bail, eyre};

use super::layout::{Layout, PortChoice};
use crate::operator::genesis::default_threshold;
use crate::options::home::HomeArgs;
use crate::options::stop::StopArgs;

/// Where none are named.
const OPERATORS: u16 = 4;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Time between Bitcoin blocks; 0s mines only on demand
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub block_interval: Duration,
    /// Operators, each a validator and a relayer (first start only) [default: 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=16), value_name = "N")]
    operators: Option<u16>,
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
            self.require_same(&layout)?;
            return Ok((layout, false));
        }
        let operators = self.operators.unwrap_or(OPERATORS);
        let threshold = self.threshold.unwrap_or_else(|| default_threshold(operators));
        if threshold < 2 || threshold > operators {
            bail!("--threshold {threshold} of {operators} operators: expected 2 to {operators}");
        }
        if let Some(validators) = self.validators.filter(|validators| *validators > operators) {
            bail!("--validators {validators} of {operators} operators: expected 1 to {operators}");
        }
        Ok((Layout::new(folder, operators, self.validators, threshold, self.ports)?, true))
    }

    /// What was decided at the first start cannot be changed: who asks for something else hears of it.
    fn require_same(&self, layout: &Layout) -> Result<()> {
        let validators = layout.validators.unwrap_or(layout.operators);
        for (name, asked, there) in [
            ("operators", self.operators, layout.operators),
            ("validators", self.validators, validators),
            ("threshold", self.threshold, layout.threshold),
        ] {
            if let Some(asked) = asked.filter(|asked| *asked != there) {
                bail!(
                    "--{name} {asked}: the network in this folder has {there} since its first start; leave the option out, or begin another network with another --data-dir"
                );
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn a_network_that_is_there_is_not_started_as_another_one() {
        let folder = Path::new("network");
        let there = Layout::new(folder, 4, Some(1), 3, PortChoice::Usual).expect("a layout");
        let asked = |arguments: &[&str]| {
            let command = Command::parse_from([&["dev"], arguments].concat());
            command.options.require_same(&there).map_err(|error| error.to_string())
        };
        assert_eq!(asked(&[]), Ok(()));
        assert_eq!(asked(&["--operators", "4", "--validators", "1", "--threshold", "3"]), Ok(()));
        for (option, value) in [("--operators", "5"), ("--validators", "4"), ("--threshold", "2")] {
            let refused = asked(&[option, value]).expect_err("another one");
            assert!(refused.starts_with(&format!("{option} {value}: the network in this folder has")), "{refused}");
        }
    }
}
