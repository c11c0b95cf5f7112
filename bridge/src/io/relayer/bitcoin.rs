//! What its own bitcoind says: the best chain, the deposits in it, the headers that the light client lacks.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::B256;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, ScriptBuf, Txid};
use contracts::BitcoinLightClient::{hashAtCall, headerCall};
use contracts::address::LIGHT_CLIENT;
use mainchain::io::rpc::{BitcoinRpc, ChainInfo, RpcError, Scan};
use tokio::task::JoinHandle;

use super::RoundError;
use crate::deposit_tracker::{DepositTracker, Position, Scanned};
use crate::io::sidechain::{Client, Error};

/// Headers in one transaction: about 60 times 100,000 gas, well below what a transaction may use (EIP-7825: 2^24).
const HEADERS_PER_TRANSACTION: u32 = 60;
/// Blocks before bitcoind's tip that are read at the start: a vault transaction that was mined shortly before is found
/// in its block, and a reorganisation shortly after the start can be undone.
const REWIND_BLOCKS: u32 = 12;
/// Blocks that bitcoind may lack of those it has headers of without anybody being told.
const LAG_BLOCKS: u32 = 6;
/// Blocks read in one go, so that the rest of the relayer's work does not wait for long.
const BLOCKS_AT_ONCE: u32 = 20;
/// How long to wait for a scan before going on with other work: on regtest it takes milliseconds, on mainnet minutes.
const SCAN_PATIENCE: Duration = Duration::from_millis(100);

/// Its own bitcoind, followed block by block.
pub struct Bitcoin {
    rpc: BitcoinRpc,
    tracker: DepositTracker,
    info: ChainInfo,
    scan: Option<RunningScan>,
}

struct RunningScan {
    scripts: Vec<ScriptBuf>,
    result: JoinHandle<Result<Scan, RpcError>>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Mempool,
    Block(Position),
}

/// What the light client lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Height up to which both best chains are the same.
    pub fork: u32,
    /// How many headers of bitcoind's best chain it lacks; zero when that has no more work.
    pub count: u32,
    /// The first of them, as many as one transaction carries.
    pub headers: Vec<Header>,
}

impl Bitcoin {
    /// Starts shortly before bitcoind's tip.
    pub async fn start(rpc: BitcoinRpc) -> Result<Self, RpcError> {
        let info = rpc.chain_info().await?;
        let position = start_position(&rpc, &info).await?;
        Ok(Self { rpc, tracker: DepositTracker::new(position), info, scan: None })
    }

    pub fn rpc(&self) -> &BitcoinRpc {
        &self.rpc
    }

    pub fn tracker(&mut self) -> &mut DepositTracker {
        &mut self.tracker
    }

    /// The last block that was read.
    pub fn position(&self) -> Position {
        self.tracker.position()
    }

    /// What bitcoind said last of its chain.
    pub fn info(&self) -> &ChainInfo {
        &self.info
    }

    /// Follows the best chain. False when there is more to read.
    pub async fn follow(&mut self) -> Result<bool, RpcError> {
        self.info = self.rpc.chain_info().await?;
        if self.position().hash != self.info.tip {
            self.leave_stale_blocks().await?;
            self.read_blocks().await?;
        }
        let done = self.position().height >= self.info.height;
        if done {
            self.scan().await;
        }
        Ok(done)
    }

    async fn leave_stale_blocks(&mut self) -> Result<(), RpcError> {
        loop {
            let position = self.position();
            if self.rpc.block_hash(position.height).await? == Some(position.hash) {
                return Ok(());
            }
            if !self.tracker.disconnect() {
                let start = start_position(&self.rpc, &self.info).await?;
                self.tracker.restart(start);
                return Ok(());
            }
        }
    }

    async fn read_blocks(&mut self) -> Result<(), RpcError> {
        for _ in 0..BLOCKS_AT_ONCE {
            let Some(hash) = self.rpc.block_hash(self.position().height + 1).await? else {
                return Ok(());
            };
            let Some(block) = self.rpc.block(hash).await? else {
                return Ok(());
            };
            // A reorganisation came in between: the next round sees it.
            if self.tracker.connect(&block).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks for older outputs of addresses that were registered since the last scan.
    async fn scan(&mut self) {
        if self.scan.is_none() {
            let scripts = self.tracker.unscanned();
            if scripts.is_empty() {
                return;
            }
            let (rpc, wanted) = (self.rpc.clone(), scripts.clone());
            let result = tokio::spawn(async move { rpc.scan(&wanted).await });
            self.scan = Some(RunningScan { scripts, result });
        }
        let Some(running) = &mut self.scan else {
            return;
        };
        let Ok(result) = tokio::time::timeout(SCAN_PATIENCE, &mut running.result).await else {
            return;
        };
        let scripts = self.scan.take().map(|running| running.scripts).unwrap_or_default();
        match result {
            Ok(Ok(scan)) => {
                let at = Position { height: scan.height, hash: scan.tip };
                let unspents: Vec<Scanned> = scan.unspents.iter().map(|unspent| scanned(&scan, unspent)).collect();
                let of_use = self.tracker.scanned(at, &scripts, &unspents);
                tracing::debug!(
                    addresses = scripts.len(),
                    found = unspents.len(),
                    of_use,
                    "scanned the unspent outputs"
                );
            }
            // Another scan may be running, or bitcoind may have gone: what is not scanned is scanned next time.
            Ok(Err(error)) => tracing::debug!(%error, "scan failed, it will be repeated"),
            Err(error) => tracing::debug!(%error, "scan failed, it will be repeated"),
        }
    }

    /// Which transactions to look for in blocks.
    pub fn track(&mut self, txids: BTreeSet<Txid>) {
        self.tracker.track(txids);
    }

    /// Where a vault transaction is.
    pub async fn place(&self, txid: Txid) -> Result<Place, RpcError> {
        if let Some(block) = self.tracker.mined(&txid) {
            return Ok(Place::Block(block));
        }
        match self.rpc.unspent(OutPoint { txid, vout: 0 }, true).await? {
            Some(output) if output.confirmations > 0 => {
                let height = (self.info.height + 1).saturating_sub(output.confirmations);
                let hash = self.rpc.block_hash(height).await?;
                Ok(hash.map_or(Place::Nowhere, |hash| Place::Block(Position { height, hash })))
            }
            Some(_) => Ok(Place::Mempool),
            // Its vault output may be spent already: by the next vault transaction, before a reorganisation.
            None if self.rpc.mempool_entry(txid).await?.is_some() => Ok(Place::Mempool),
            None => Ok(Place::Nowhere),
        }
    }

    /// The block of the best chain at a height, whole.
    pub async fn block_at(&self, height: u32) -> Result<Option<Block>, RpcError> {
        match self.rpc.block_hash(height).await? {
            Some(hash) => self.rpc.block(hash).await,
            None => Ok(None),
        }
    }

    /// Compares the light client's best chain with bitcoind's.
    pub async fn ahead_of(&self, light: Position, client: &Client) -> Result<Ahead, RoundError> {
        let tip = Position { height: self.info.height, hash: self.info.tip };
        let fork = if tip == light { light.height } else { self.fork(light, client).await? };
        let level = Ahead { fork, ..Ahead::default() };
        if fork == tip.height || knows(client, tip.hash).await? {
            return Ok(level);
        }
        // bitcoind lags behind the light client, and is on a branch with less work.
        if tip.height <= light.height && self.rpc.header(light.hash).await?.is_none() {
            return Ok(level);
        }
        let start = self.first_unknown(fork + 1, tip.height, client).await?;
        let end = tip.height.min(start + HEADERS_PER_TRANSACTION - 1);
        let headers = self.rpc.headers(start..end + 1).await?;
        Ok(Ahead { fork, count: tip.height + 1 - start, headers })
    }

    /// Whether bitcoind has headers of blocks that it lacks, so that its tip is old.
    pub fn is_catching_up(&self) -> bool {
        self.info.headers > self.info.height + LAG_BLOCKS
    }

    /// The highest block that both best chains hold.
    async fn fork(&self, light: Position, client: &Client) -> Result<u32, RoundError> {
        let mut high = light.height.min(self.info.height);
        if self.agrees_at(high, client).await? == Some(true) {
            return Ok(high);
        }
        // `high` differs; go down in growing steps to a block that is the same, then halve the gap.
        let mut step = 1;
        let mut low = loop {
            let height = high.checked_sub(step).ok_or(RoundError::NoCommonBlock)?;
            match self.agrees_at(height, client).await? {
                Some(true) => break height,
                Some(false) => high = height,
                // Below the light client's first block.
                None if step == 1 => return Err(RoundError::NoCommonBlock),
                None => {
                    step = 1;
                    continue;
                }
            }
            step *= 2;
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.agrees_at(middle, client).await? {
                Some(true) => low = middle,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Whether both best chains hold the same block at a height; none when the light client holds none there.
    async fn agrees_at(&self, height: u32, client: &Client) -> Result<Option<bool>, RoundError> {
        let theirs = client.call(LIGHT_CLIENT, &hashAtCall { height }).await?;
        if theirs == B256::ZERO {
            return Ok(None);
        }
        let ours = self.rpc.block_hash(height).await?;
        Ok(Some(ours == Some(BlockHash::from_byte_array(theirs.0))))
    }

    /// The first block of a branch that the light client does not know: it may hold a part of it already.
    async fn first_unknown(&self, from: u32, to: u32, client: &Client) -> Result<u32, RoundError> {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            let known = match self.rpc.block_hash(middle).await? {
                Some(hash) => knows(client, hash).await?,
                None => false,
            };
            if known {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

async fn start_position(rpc: &BitcoinRpc, info: &ChainInfo) -> Result<Position, RpcError> {
    let height = info.height.saturating_sub(REWIND_BLOCKS);
    let hash = rpc.block_hash(height).await?.unwrap_or(info.tip);
    Ok(Position { height: if hash == info.tip { info.height } else { height }, hash })
}

fn scanned(scan: &Scan, unspent: &mainchain::io::rpc::Unspent) -> Scanned {
    Scanned {
        outpoint: unspent.outpoint,
        script: unspent.script_pubkey.clone(),
        amount: unspent.value,
        height: (scan.height + 1).saturating_sub(unspent.confirmations),
        coinbase: unspent.coinbase,
    }
}

/// Whether the light client knows a block, on its best chain or not.
async fn knows(client: &Client, hash: BlockHash) -> Result<bool, Error> {
    let hash = B256::from(hash.to_byte_array());
    match client.call(LIGHT_CLIENT, &headerCall { hash }).await {
        Ok(_) => Ok(true),
        Err(Error::Reverted { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
