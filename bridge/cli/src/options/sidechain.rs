//! `--rpc`: the sidechain node to ask.

use std::time::Duration;

use bridge::io::sidechain::{Client, Error};
use bridge::peg;
use eyre::{Result, WrapErr};

/// How long a transaction may take to be final. Blocks take about a second.
pub const INCLUSION: Duration = Duration::from_secs(60);

/// The sidechain node to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct SidechainArgs {
    /// JSON-RPC of a sidechain node
    #[arg(long, env = "CAUSEWAY_RPC", default_value = "http://127.0.0.1:8545", value_name = "URL")]
    pub rpc: String,
}

/// Whether a failure is a node's that can answer the same question later.
pub fn is_temporary(error: &eyre::Report) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::retry)
}

impl SidechainArgs {
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.rpc).wrap_err("--rpc wants the URL of a sidechain node, e.g. http://127.0.0.1:8545")
    }

    /// The client, and what the node says of the bridge.
    pub async fn connect(&self) -> Result<(Client, peg::Info)> {
        let client = self.client()?;
        let info = client.info().await.wrap_err_with(|| {
            format!(
                "no answer from the sidechain; is a node running at {}? (--rpc, or CAUSEWAY_RPC, names another)",
                self.rpc
            )
        })?;
        Ok((client, info))
    }
}
