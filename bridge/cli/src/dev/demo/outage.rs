//! Steps "Kill" and "Bring back": an operator's processes die, and catch up later.

use bridge::io::sidechain::Client;
use eyre::{Result, ensure};

use super::network::Network;
use super::story::{Story, wait};
use crate::dev::local_network::control::Request;

/// The operator whose validator and relayer are killed: not the one whose node the demo asks.
pub const KILLED_OPERATOR: u16 = 4;

/// Kills the operator's processes as `kill -9` does.
pub async fn kill_operator(network: &Network, story: &mut Story) -> Result<()> {
    for name in processes() {
        network.control.ask::<()>(&Request::Kill { name: name.clone() }).await?;
        story.fact("killed", name);
    }
    Ok(())
}

/// Starts them again, and waits until the validator has caught up.
pub async fn restart_operator(network: &Network, story: &mut Story) -> Result<()> {
    for name in processes() {
        network.control.ask::<()>(&Request::Start { name }).await?;
    }
    let head = network.client.head().await?;
    let restarted = Client::new(&network.status.rpc[usize::from(KILLED_OPERATOR) - 1])?;
    let block =
        wait("the validator catches up", async || Ok(restarted.block(head.number).await.ok().flatten())).await?;
    ensure!(
        block.hash == head.hash,
        "the restarted validator has block {} as {}, the others as {}",
        head.number,
        block.hash,
        head.hash
    );
    story.fact("caught up", format!("block {} is {} on both", head.number, head.hash));
    Ok(())
}

fn processes() -> [String; 2] {
    [format!("validator-{KILLED_OPERATOR}"), format!("relayer-{KILLED_OPERATOR}")]
}
