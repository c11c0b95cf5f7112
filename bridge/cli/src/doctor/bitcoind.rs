//! A bitcoind: reachable, let in, on the right network, new enough, caught up, with the blocks that are needed.

use mainchain::Network;
use mainchain::io::rpc::{BitcoinRpc, RpcError};
use serde::Deserialize;
use serde_json::json;

use super::check::{Check, Notes};
use super::machine::{judge_bitcoins_time, now};

/// Bitcoin Core 28: the first that takes packages with pay-to-anchor outputs, which children of vault transactions are.
const LEAST_VERSION: u64 = 280_000;
/// Blocks that a node which has caught up may be behind the best header it knows.
const USUAL_LAG: u32 = 3;
/// As the federation's relayers ask for an estimate.
const WITHIN: u16 = bridge::relay::fees::CONFIRM_WITHIN;

#[derive(Deserialize)]
struct Chain {
    chain: String,
    blocks: u32,
    headers: u32,
    initialblockdownload: bool,
    pruned: bool,
    pruneheight: Option<u32>,
    bestblockhash: bitcoin::BlockHash,
}

#[derive(Deserialize)]
struct Node {
    version: u64,
    connections: u32,
}

/// Looks at it. `setting` says where to name another; `reads` how many of the newest blocks a relayer reads, if it serves one.
pub async fn checks(bitcoin: &BitcoinRpc, notes: Notes, setting: &str, reads: Option<u32>) -> Vec<Check> {
    let chain: Chain = match bitcoin.call("getblockchaininfo", json!([])).await {
        Ok(chain) => chain,
        Err(error) => return vec![unusable(&error, notes, setting)],
    };
    let (url, network) = (bitcoin.url(), bitcoin.network());
    if chain.chain.parse::<Network>().ok() != Some(network) {
        let seen = format!("bitcoind at {url} is on {}, this network's bitcoin is on {network}", chain.chain);
        return vec![notes.wrong("bitcoind", seen, format!("start one on {network}, or name it: {setting}"))];
    }
    let mut checks = vec![lag(&chain, url, network, notes)];
    checks.extend(pruned(&chain, notes, reads));
    match bitcoin.call::<Node>("getnetworkinfo", json!([])).await {
        Ok(node) => checks.extend(of_node(&node, network, notes)),
        Err(error) => checks.push(unusable(&error, notes, setting)),
    }
    if network != Network::Regtest {
        checks.extend(time(bitcoin, &chain, notes).await);
        if reads.is_some() {
            checks.extend(estimate(bitcoin, notes).await);
        }
    }
    checks
}

fn unusable(error: &RpcError, notes: Notes, setting: &str) -> Check {
    let seen = error.to_string();
    match error {
        RpcError::NoCookie { .. } => notes.wrong(
            "cookie",
            seen,
            format!("start bitcoind (it writes the file), let this user read it, or name the right one: {setting}"),
        ),
        RpcError::Unauthorized { .. } => notes.wrong(
            "cookie",
            seen,
            format!("it is another bitcoind's, or from before its last start: name the file in that one's data directory, {setting}"),
        ),
        RpcError::Unreachable { .. } => {
            notes.wrong("bitcoind", seen, format!("start it (server=1 in bitcoin.conf), or name another: {setting}"))
        }
        RpcError::Starting { .. } | RpcError::Busy { .. } | RpcError::Timeout { .. } => {
            notes.doubtful("bitcoind", seen, "wait, and ask again: it reads its chain first")
        }
        _ => notes.wrong("bitcoind", seen, format!("it is no usable Bitcoin Core: name another, {setting}")),
    }
}

fn lag(chain: &Chain, url: &str, network: Network, notes: Notes) -> Check {
    let Chain { blocks, headers, .. } = chain;
    let is_behind = headers.saturating_sub(*blocks) > USUAL_LAG;
    // On regtest a node counts as catching up until somebody mines.
    if is_behind || (chain.initialblockdownload && network != Network::Regtest) {
        let seen = format!("bitcoind at {url} has {blocks} of {headers} blocks");
        return notes.doubtful("lag", seen, "it catches up: wait; until then it knows nothing of newer payments");
    }
    notes.fine("bitcoind", format!("at {url}, on {network}, block {blocks}"))
}

fn pruned(chain: &Chain, notes: Notes, reads: Option<u32>) -> Option<Check> {
    let below = chain.pruned.then(|| chain.pruneheight.unwrap_or_default())?;
    let kept = (chain.blocks + 1).saturating_sub(below);
    let seen = format!("bitcoind is pruned, it has the newest {kept} blocks");
    Some(match reads.filter(|reads| below > 0 && kept < *reads) {
        Some(reads) => notes.doubtful(
            "pruned",
            format!("{seen}, wanted {reads}"),
            "payments that came before their address was registered are not found in what is gone, and fundings that a reorganisation takes are not handed in again: a larger prune=, or prune=0, and -reindex",
        ),
        None => notes.fine("pruned", seen),
    })
}

fn of_node(node: &Node, network: Network, notes: Notes) -> Vec<Check> {
    let shown = format!("{}.{}", node.version / 10_000, node.version / 100 % 100);
    let version = if node.version < LEAST_VERSION {
        notes.wrong("version", format!("Bitcoin Core {shown}, wanted 28.0 or later"), "install a newer one")
    } else {
        notes.fine("version", format!("Bitcoin Core {shown}"))
    };
    let alone = (node.connections == 0 && network != Network::Regtest).then(|| {
        notes.doubtful(
            "alone",
            "bitcoind has no connections: it hears of no blocks, and nobody hears of what is broadcast",
            "look at its network (bitcoin-cli getnetworkinfo), addnode=, and the firewall",
        )
    });
    std::iter::once(version).chain(alone).collect()
}

async fn time(bitcoin: &BitcoinRpc, chain: &Chain, notes: Notes) -> Option<Check> {
    let header = bitcoin.header(chain.bestblockhash).await.ok().flatten()?;
    Some(judge_bitcoins_time(now(), header.time.into(), notes))
}

async fn estimate(bitcoin: &BitcoinRpc, notes: Notes) -> Option<Check> {
    let estimate = bitcoin.fee_rate(WITHIN).await.ok()?;
    estimate.is_none().then(|| {
        notes.doubtful(
            "fees",
            "bitcoind has no estimate: this relayer proposes and approves nothing",
            "it has one some hours after its start, if it sees the mempool: not with blocksonly=1",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::{Level, Whose};

    const NOTES: Notes = Notes(Whose::Relayer);

    fn chain(blocks: u32, headers: u32) -> Chain {
        Chain {
            chain: "main".into(),
            blocks,
            headers,
            initialblockdownload: false,
            pruned: false,
            pruneheight: None,
            bestblockhash: bitcoin::hashes::Hash::all_zeros(),
        }
    }

    #[test]
    fn a_bitcoind_that_catches_up_is_doubtful_and_one_at_the_tip_is_fine() {
        let level = |chain: &Chain| lag(chain, "http://b", Network::Mainnet, NOTES).level;
        assert_eq!(level(&chain(100, 102)), Level::Fine);
        assert_eq!(level(&chain(100, 900)), Level::Doubtful);
        let early = Chain { initialblockdownload: true, ..chain(5, 5) };
        assert_eq!(level(&early), Level::Doubtful);
        assert_eq!(lag(&early, "http://b", Network::Regtest, NOTES).level, Level::Fine);
    }

    #[test]
    fn a_bitcoind_that_deleted_what_a_relayer_reads_is_doubtful() {
        let level = |below, reads| {
            let chain = Chain { pruned: true, pruneheight: Some(below), ..chain(1_000, 1_000) };
            pruned(&chain, NOTES, reads).map(|check| check.level)
        };
        assert_eq!(pruned(&chain(9, 9), NOTES, Some(504)), None);
        assert_eq!((level(0, Some(5_000)), level(497, Some(504))), (Some(Level::Fine), Some(Level::Fine)));
        assert_eq!((level(498, Some(504)), level(900, None)), (Some(Level::Doubtful), Some(Level::Fine)));
    }

    #[test]
    fn an_old_bitcoind_is_wrong_and_a_lonely_one_doubtful() {
        let told = of_node(&Node { version: 270_200, connections: 0 }, Network::Testnet4, NOTES);
        assert_eq!(told.iter().map(|check| check.level).collect::<Vec<_>>(), [Level::Wrong, Level::Doubtful]);
        assert!(told[0].seen.contains("27.2"), "{told:?}");
        assert_eq!(of_node(&Node { version: 310_000, connections: 0 }, Network::Regtest, NOTES).len(), 1);
    }
}
