//! What is typed after `causeway audit`.

use std::path::PathBuf;
use std::time::Duration;

use crate::options::both_chains::BothChainsArgs;

/// Every satoshi on the sidechain matched with an output on Bitcoin
///
/// Trusts the genesis file and your own bitcoind, and nothing else: each amount says by what it is proven. Exit status 3 if a satoshi is
/// missing, on Bitcoin or by the bridge's own books; 4 if nothing is, and something is late; and if it could not be done, 5 where the sidechain's
/// node is not to be believed, 6 where it does not answer, 7 where bitcoind does not, and 1 for another reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway audit --genesis genesis.json --rpc http://127.0.0.1:8545 --bitcoin http://127.0.0.1:8332
  causeway audit --genesis genesis.json --receipt today.json     and then anywhere: causeway verify today.json --genesis genesis.json
  causeway audit --genesis genesis.json --watch --prometheus /var/lib/node_exporter/causeway.prom --webhook https://alarm.example/causeway")]
pub struct Args {
    #[command(flatten)]
    pub chains: BothChainsArgs,
    #[command(flatten)]
    pub rules: Rules,
    /// Audit again at each block, and every ten seconds, until a satoshi is missing. What makes an audit fail is told, and ends nothing
    #[arg(long)]
    pub watch: bool,
    /// Post the report there when a satoshi is missing (a JSON-RPC notification `causeway_audit`), and go on with --watch
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// With --watch and --webhook: post also that no audit could be done for so long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub alarm_after: Duration,
    /// Write the report as gauges of Prometheus (for node_exporter's textfile collector)
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// Write what proves the report: `causeway verify` checks it offline
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub receipt: Option<PathBuf>,
}

/// When something counts as too old, or late.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rules {
    /// The oldest that the node's latest final block may be: beyond that, it counts as late
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub max_age: Duration,
    /// A withdrawal that waits for longer is late
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
    /// The longest that one audit may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            deadline: Duration::from_secs(7_200),
            timeout: Duration::from_secs(600),
        }
    }
}
