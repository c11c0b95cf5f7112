//! bitcoind looks through all coins that there are, for those that pay given scripts. On mainnet that takes minutes, and bitcoind says how far it is.

use std::pin::pin;
use std::time::Duration;

use bitcoin::ScriptBuf;
use mainchain::io::rpc::{BitcoinRpc, RpcError, Scan};
use serde::Deserialize;
use serde_json::json;

use crate::progress::Progress;

/// How often bitcoind is asked how far it is.
const ASK: Duration = Duration::from_secs(1);

/// How far it is, in percent.
#[derive(Deserialize)]
struct Status {
    progress: u64,
}

/// The coins that pay `scripts`.
///
/// # Errors
///
/// Those of bitcoind.
pub async fn scan(bitcoin: &BitcoinRpc, scripts: &[ScriptBuf]) -> Result<Scan, RpcError> {
    let progress = Progress::of_this_command();
    let mut work = pin!(bitcoin.scan(scripts));
    if !progress.is_seen() {
        return work.await;
    }
    loop {
        if let Ok(done) = tokio::time::timeout(ASK, &mut work).await {
            progress.clear();
            return done;
        }
        // None between two scans, when it waits for somebody else's.
        let status = bitcoin.call::<Option<Status>>("scantxoutset", json!(["status"])).await;
        match status {
            Ok(Some(Status { progress: percent })) => progress.of("bitcoind looks through all coins, %", percent, 100),
            Ok(None) => progress.about("bitcoind looks through all coins"),
            Err(error) => {
                progress.about(&format!("bitcoind looks through all coins, and does not say how far ({error})"))
            }
        }
    }
}
