//! `causeway relayer`: the federation's side of an operator, until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use bridge::io::config::Config;
use bridge::io::relayer::{self, Identity, TestHooks, Work};
use bridge::keystore::{Keystore, OperatorKeys};
use bridge::peg::Parameters;
use eyre::{Result, WrapErr};

use super::own_keys::{self, MadeFor};
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::log_filter;
use crate::options::passphrase::PassphraseArgs;
use crate::options::stop::StopArgs;

/// Watch Bitcoin, prove deposits, sign payouts
///
/// Needs the operator's own node and own bitcoind; either may be down for a while, the relayer waits and goes on. It stops
/// by Ctrl-C or SIGTERM, and may be killed at any time: what it has promised is on disk before it is said.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway relayer --config relayer.toml

relayer.toml:
  genesis = \"genesis.json\"               # what all operators agreed on; paths are relative to this file
  node = \"http://127.0.0.1:8546\"           # rpc_private_listen of node.toml
  keystore = \"operator.keystore\"
  data_dir = \"relayer\"
  # health_listen = \"127.0.0.1:9001\"     # /metrics for Prometheus, /livez, /readyz, /health
  # log = \"info\"                         # what is logged; read again at SIGHUP
  # low_fee_rate = 2                      # sat/vB at or below which vault outputs are joined
  # fee_rate = 1                          # regtest alone, where bitcoind never estimates: sat/vB
  # [limit]                             # what it signs away at most, whatever the ledger says; by default as much as that lets go
  # window_sat = 1000000000
  # window_seconds = 3600
  [bitcoind]
  url = \"http://127.0.0.1:8332\"
  cookie_file = \"/var/lib/bitcoind/.cookie\"     # or: user = \"...\", password_file = \"...\"")]
pub struct Args {
    /// The relayer's configuration
    #[arg(long, value_name = "FILE", default_value = "relayer.toml")]
    config: PathBuf,
    /// Serve /metrics for Prometheus, /livez, /readyz and /health here, in place of `health_listen`; not to be reached from outside
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    stop: StopArgs,
    /// For tests of recovery: die right after so many durable writes
    #[arg(long, hide = true, value_name = "WRITES")]
    crash_after_writes: Option<u32>,
}

/// Runs `causeway relayer`.
///
/// # Errors
///
/// The configuration or the keystore cannot be read, the passphrase is wrong, or the relayer had to stop.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let mut config = Config::load(&args.config)?;
    log_filter::apply(config.log.as_deref())?;
    log_filter::follow(&args.config)?;
    config.health_listen = args.metrics.or(config.health_listen);
    let genesis = read_genesis(&config.genesis)?;
    let file = config.keystore.display().to_string();
    let json = std::fs::read(&config.keystore).wrap_err_with(|| format!("reading the keystore {file}"))?;
    let keystore = Keystore::parse(&json).wrap_err_with(|| file.clone())?;
    let passphrase = args.passphrase.ask(&file)?;
    let keys = OperatorKeys::open(&keystore, &passphrase).wrap_err(file)?;
    own_keys::check_relayer(&genesis, &keys, &MadeFor::of(&keystore)?)
        .wrap_err_with(|| config.genesis.display().to_string())?;
    let identity =
        Identity { chain_id: genesis.chain_id, network_id: genesis.network_id(), genesis: genesis.build()?.hash };
    let work = Work {
        identity,
        validators: genesis.validators()?,
        parameters: Parameters::from(&genesis.bridge),
        recovery_leaf: genesis.federation.recovery_leaf()?.0,
        recovery_delay: genesis.federation.recovery.delay,
    };
    let hooks = TestHooks { crash_after_writes: args.crash_after_writes };
    context.block_on(async {
        relayer::run(&config, work, &keys, hooks, args.stop.stopped()).await?;
        Ok(())
    })
}
