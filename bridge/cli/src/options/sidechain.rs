//! `--rpc`: the sidechain nodes to ask, and whether they are believed.
//!
//! ```text
//!   --own-node, or no genesis file known     asked directly
//!   else, one or several                     a light node in this process asks them, and believes none
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::io::sidechain::{Answers, Awaited, Client, Error};
use bridge::peg;
use eyre::{Result, WrapErr, bail};
use jsonrpsee::core::client::Error as RpcError;
use serde_json::Value;
use sidechain::genesis::Genesis;
use sidechain::io::light_node::{LightNode, Unproven, Word};

/// How long a transaction may take to be final. Blocks take about a second.
pub const INCLUSION: Duration = Duration::from_secs(60);

/// Where a node of this machine answers, and that of `causeway dev`.
const USUAL: &str = "http://127.0.0.1:8545";

/// In the home folder: what light nodes keep, by network.
const LIGHT: &str = "light";

/// The sidechain nodes to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct SidechainArgs {
    /// JSON-RPC of a sidechain node, or of several, with commas between. Where the genesis file is known, they have to prove what they
    /// say, and stand in for each other
    #[arg(long, env = "CAUSEWAY_RPC", default_value = USUAL, value_name = "URL[,URL...]")]
    pub rpc: String,
    /// The node is yours, and you are sure of it: it is asked directly, and need not prove what it says
    #[arg(long)]
    pub own_node: bool,
}

/// Whether a failure is a node's that can answer the same question later.
pub fn is_temporary(error: &eyre::Report) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::retry)
}

impl SidechainArgs {
    /// A client for questions whose answers are checked by whoever asks them, or that move nothing.
    ///
    /// # Errors
    ///
    /// The URL is none, or several are named and no genesis file is known.
    pub fn client(&self, genesis: Option<&Genesis>) -> Result<Client> {
        match (self.urls().as_slice(), genesis) {
            ([url], _) => direct(url),
            (urls, Some(genesis)) if !self.own_node => light(genesis, urls, None),
            _ => bail!(
                "one node is asked directly: several are asked where the network's genesis file is known (--genesis), and without --own-node"
            ),
        }
    }

    /// A client that proves what it can, unless the one node is the user's own: `genesis` says by whose signatures, and in `home` it is kept
    /// how far the chain was.
    ///
    /// # Errors
    ///
    /// As [`SidechainArgs::client`], or the folder cannot be read.
    fn proving_client(&self, genesis: Option<&Genesis>, home: &Path) -> Result<Client> {
        match genesis {
            Some(genesis) if !self.is_own() => light(genesis, &self.urls(), Some(home)),
            _ => self.client(genesis),
        }
    }

    /// The client, and what is known of the bridge: proven where the genesis file is known and the node is not the user's own.
    ///
    /// # Errors
    ///
    /// No node answers, or proves what it says.
    pub async fn connect(&self, genesis: Option<&Genesis>, home: &Path) -> Result<(Client, peg::Info)> {
        let client = self.proving_client(genesis, home)?;
        let info = client.info().await;
        if let (Err(Error::Refused { .. }), true, false) = (&info, genesis.is_some(), self.is_own()) {
            return Err(info.expect_err("matched").into());
        }
        let info = info.wrap_err_with(|| {
            let here =
                if self.rpc == USUAL { "; to try it out, `causeway dev` runs a whole network there" } else { "" };
            format!(
                "no answer from the sidechain; is a node running at {}? (--rpc, or CAUSEWAY_RPC, names another{here})",
                self.rpc
            )
        })?;
        Ok((client, info))
    }

    /// Each of the nodes by itself, asked directly.
    pub fn each(&self) -> Vec<Client> {
        self.urls().iter().filter_map(|url| direct(url).ok()).collect()
    }

    fn urls(&self) -> Vec<String> {
        self.rpc.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect()
    }

    /// Whether the one node is said to be the user's.
    pub fn is_own(&self) -> bool {
        self.own_node && self.urls().len() == 1
    }
}

fn direct(url: &str) -> Result<Client> {
    Client::new(url).wrap_err("--rpc wants the URL of a sidechain node, e.g. http://127.0.0.1:8545")
}

/// A light node in this process.
fn light(genesis: &Genesis, urls: &[String], home: Option<&Path>) -> Result<Client> {
    let urls: Vec<String> =
        urls.iter().map(|url| url.strip_prefix("ws").map_or(url.clone(), |rest| format!("http{rest}"))).collect();
    let folder = home.map(|home| home.join(LIGHT).join(format!("{:x}", genesis.network_id())));
    let node =
        LightNode::open(genesis.clone(), &urls, folder, Word::PassedOn).wrap_err("no light node can be started")?;
    let shown = node.urls();
    Ok(Client::here(Arc::new(Light(node)), shown))
}

#[derive(Debug)]
struct Light(Arc<LightNode>);

impl Answers for Light {
    fn answer<'a>(&'a self, method: &'static str, params: Vec<Value>) -> Awaited<'a> {
        Box::pin(async move {
            self.0.answer(method, params).await.map_err(|error| match error {
                Unproven::Refused(refusal) => RpcError::Call(refusal),
                Unproven::Down(words) => RpcError::Custom(words),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_asked_directly_only_if_its_user_says_that_it_is_theirs() {
        let args = |rpc: &str, own_node| SidechainArgs { rpc: rpc.to_owned(), own_node };
        assert!(!args("http://127.0.0.1:8545", false).is_own(), "anybody can be behind a port of this machine");
        assert!(args("http://127.0.0.1:8545", true).is_own());
        assert!(args("http://node.example", true).is_own());
        assert!(!args("http://127.0.0.1:1,http://127.0.0.1:2", true).is_own());
        let error = args("http://127.0.0.1:1,http://127.0.0.1:2", false).client(None).expect_err("two");
        assert!(error.to_string().contains("--genesis"), "{error}");
    }
}
