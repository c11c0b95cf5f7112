//! The time of Bitcoin's best block, as a validator's own bitcoind has it: what the validator's clock is compared with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bridge::io::config::Bitcoind;
use bridge::io::relayer::auth;
use eyre::{Result, WrapErr};
use mainchain::Network;
use mainchain::io::rpc::{BitcoinRpc, RpcError};
use sidechain::io::node::AskBitcoin;

/// Asks this bitcoind. On regtest blocks come when somebody wants them, and say nothing of time.
pub fn ask(bitcoind: &Bitcoind, network: Network) -> Result<Option<AskBitcoin>> {
    if network == Network::Regtest {
        return Ok(None);
    }
    let auth = auth(bitcoind).wrap_err("[bitcoind] in node.toml")?;
    let bitcoin = Arc::new(BitcoinRpc::new(&bitcoind.url, auth, network));
    // How often it failed since it answered last.
    let failed = Arc::new(AtomicU64::new(0));
    Ok(Some(Box::new(move || {
        let (bitcoin, failed) = (bitcoin.clone(), failed.clone());
        Box::pin(async move {
            match best_block(&bitcoin).await {
                Ok(block) => {
                    let failed = failed.swap(0, Ordering::Relaxed);
                    if failed > 0 {
                        tracing::info!(failed, "the clock is compared with Bitcoin's best block again");
                    }
                    block
                }
                Err(error) => {
                    if failed.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!(%error, "cannot compare the clock with Bitcoin's best block; it is tried again");
                    }
                    None
                }
            }
        })
    })))
}

/// Its time; none from a node that knows of more blocks than it has, or knows nobody to hear of them from.
async fn best_block(bitcoin: &BitcoinRpc) -> Result<Option<u64>, RpcError> {
    let info = bitcoin.chain_info().await?;
    if info.height < info.headers || bitcoin.connections().await? == 0 {
        return Ok(None);
    }
    Ok(bitcoin.header(info.tip).await?.map(|header| header.time.into()))
}
