//! The sidechain: the genesis file, the node that is asked, the other validators.

use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::time::Duration;

use bridge::foreign::shown;
use bridge::io::sidechain::{Client, Error};
use sidechain::genesis::{Genesis, Member};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::check::{Check, Notes};
use super::machine::{judge_clock, now};
use crate::genesis_file::read_genesis;

/// How long another machine may take to take a connection.
const REACH: Duration = Duration::from_secs(3);
const THIS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The genesis file, and what there is to say of it.
pub fn genesis(path: &Path, notes: Notes) -> (Option<Genesis>, Check) {
    match read_genesis(path) {
        Ok(genesis) => {
            let seen = format!(
                "{}: network {}, chain id {}, bitcoin {}",
                path.display(),
                genesis.network_id(),
                genesis.chain_id,
                genesis.bitcoin.network
            );
            (Some(genesis), notes.fine("genesis", seen))
        }
        Err(error) => {
            let advice = "get it from the operators anew, and compare its hash (causeway genesis --show)";
            (None, notes.wrong("genesis", format!("{error:#}"), advice))
        }
    }
}

/// A node: answers, is of the network, is not old. `setting` says where to name another.
pub async fn node(client: &Client, genesis: Option<&Genesis>, notes: Notes, setting: &str) -> Vec<Check> {
    let url = client.url();
    let info = match client.info().await {
        Ok(info) => info,
        Err(error @ Error::Down { .. }) => {
            return vec![notes.wrong(
                "sidechain",
                error.to_string(),
                format!("start the node, or name another: {setting}"),
            )];
        }
        Err(error) => {
            let advice = format!("it is no node of Causeway, or of another version: name another, {setting}");
            return vec![notes.wrong("sidechain", error.to_string(), advice)];
        }
    };
    if let Some(genesis) = genesis.filter(|genesis| genesis.network_id() != info.network_id) {
        let seen = format!(
            "the node at {url} is of network {}, the genesis file makes {}",
            info.network_id,
            genesis.network_id()
        );
        let advice =
            format!("one of both is of another network: name the right genesis file, or another node, {setting}");
        return vec![notes.wrong("genesis", seen, advice)];
    }
    let mut checks = vec![
        notes
            .fine("sidechain", format!("{url}, block {}, Bitcoin block {}", info.head.number, info.bitcoin_tip.height)),
        judge_clock(now(), info.head.timestamp, notes),
    ];
    if info.version != THIS_VERSION {
        let seen = format!("the node at {url} is of version {}, this is {THIS_VERSION}", shown(&info.version));
        checks.push(notes.doubtful("version", seen, "use the same version of both"));
    }
    checks
}

/// Whether a node of the network serves JSON-RPC there.
pub async fn serves(url: &str, genesis: &Genesis) -> bool {
    let Ok(client) = Client::new(url) else { return false };
    client.info().await.is_ok_and(|info| info.network_id == genesis.network_id())
}

/// Whether a relayer tells there how it is.
pub async fn tells_health(address: std::net::SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.take(65_536).read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).contains("\"troubles\""))
    };
    timeout(REACH, ask).await.ok().flatten().unwrap_or(false)
}

/// The other validators: whether they take connections. `address` says where each is, `is_own` which is this one.
pub async fn peers(
    genesis: &Genesis,
    address: impl Fn(&Member) -> String,
    is_own: impl Fn(&Member) -> bool,
    notes: Notes,
) -> Check {
    let validators = genesis.federation.validators();
    let others: Vec<&Member> = validators.iter().filter(|member| !is_own(member)).collect();
    let reaches = others.iter().map(|member| {
        let address = address(member);
        async move { reach(&address).await.err().map(|reason| format!("{} at {address} ({reason})", member.name)) }
    });
    let missing: Vec<String> = join_all(reaches).await.into_iter().flatten().collect();
    judge_peers(validators.len(), others.len(), &missing, notes)
}

/// One after the other would take as long as all that are away together.
async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pending.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn reach(address: &str) -> Result<(), String> {
    let name = address.to_owned();
    let resolved = tokio::task::spawn_blocking(move || name.to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await;
    let addresses = resolved.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    match timeout(REACH, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", REACH.as_secs())),
    }
}

fn judge_peers(validators: usize, others: usize, missing: &[String], notes: Notes) -> Check {
    const ADVICE: &str = "ask their operators; look at this machine's firewall and at the names";
    let there = others - missing.len();
    let seen = format!("{there} of {others} other validators take connections");
    // This one and those that are there, against more than two thirds.
    let quorum = validators * 2 / 3 + 1;
    match missing {
        [] => notes.fine("peers", seen),
        missing if there + 1 < quorum => {
            let seen = format!("{seen}, too few for blocks; not {}", missing.join(", "));
            notes.wrong("peers", seen, ADVICE)
        }
        missing => notes.doubtful("peers", format!("{seen}; not {}", missing.join(", ")), ADVICE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::{Level, Whose};

    #[test]
    fn so_many_validators_that_no_block_can_be_made_is_wrong_and_fewer_doubtful() {
        let level = |missing: usize| {
            let missing = vec!["bob at bob:1 (refused)".to_owned(); missing];
            judge_peers(4, 3, &missing, Notes(Whose::Node)).level
        };
        assert_eq!((level(0), level(1), level(2)), (Level::Fine, Level::Doubtful, Level::Wrong));
    }
}
