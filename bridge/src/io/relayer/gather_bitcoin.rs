//! Gathers facts from its own bitcoind: the best chain, the deposits in it, where vault transactions are, fees, and how
//! its chain differs from the light client's.
//!
//! The machines choose the questions (`relay::{following, headers, vault_transactions, registrations, fees}`); this module asks
//! them, and joins the answers to one [`BitcoinView`].

use mainchain::header::Height;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::B256;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use contracts::BitcoinLightClient::{hashAtCall, headerCall};
use contracts::address::LIGHT_CLIENT;
use mainchain::deposit::Peg;
use mainchain::io::rpc::{ChainInfo, RpcError, Scan, Unspent};
use tokio::task::JoinHandle;

use super::bitcoind::Bitcoind;
use super::error::RoundError;
use super::health::Health;
use super::node::Node;
use crate::io::clock::Clock;
use crate::io::sidechain::Error;
use crate::peg::VaultStatus;
use crate::relay::deposit_tracker::{Position, Scanned};
use crate::relay::facts::BitcoinView;
use crate::relay::fees::{self, FeeEstimate};
use crate::relay::following::{self, ChainFollower};
use crate::relay::headers::{self, HeaderSearch, LastComparison, Next};
use crate::relay::ledger::LedgerView;
use crate::relay::registrations::{self, Registered, Registrations};
use crate::relay::vault_transactions::{Place, PlaceQuestion, PlaceSearch};

/// How long to wait for a scan before going on with other work: on regtest it takes milliseconds, on mainnet minutes.
const SCAN_PATIENCE: Duration = Duration::from_millis(100);

/// Its own bitcoind, and the machines that it is asked for.
pub struct BitcoinGatherer<N, B> {
    node: Arc<N>,
    bitcoind: Arc<B>,
    clock: Clock,
    peg: Peg,
    follower: ChainFollower,
    registrations: Registrations,
    scan: Option<RunningScan>,
    fees: FeeEstimate,
    compared: LastComparison,
    lag: Health,
}

struct RunningScan {
    scripts: Vec<ScriptBuf>,
    result: JoinHandle<Result<Scan, RpcError>>,
}

impl<N: Node, B: Bitcoind> BitcoinGatherer<N, B> {
    pub fn new(node: Arc<N>, bitcoind: Arc<B>, clock: Clock, peg: Peg) -> Self {
        Self {
            node,
            bitcoind,
            clock,
            peg,
            follower: ChainFollower::default(),
            registrations: Registrations::default(),
            scan: None,
            fees: FeeEstimate::default(),
            compared: LastComparison::default(),
            lag: Health::new("bitcoind's chain"),
        }
    }

    /// One round of questions.
    pub async fn gather(&mut self, ledger: &LedgerView) -> Result<BitcoinView, RoundError> {
        self.read_registrations(ledger).await?;
        let info = self.bitcoind.chain_info().await?;
        self.follow(ledger, &info).await?;
        self.warn_of_lag(&info);
        self.estimate_fee(ledger.info.min_fee_rate).await?;
        self.compare(ledger.light(), Position { height: info.height, hash: info.tip }).await?;
        Ok(BitcoinView {
            tracked: self.follower.tracker().tracked().clone(),
            comparison: self.compared.comparison(),
            headers: self.compared.headers().to_vec(),
            places: self.places(ledger, info.height).await?,
            fee_rate: self.fees.rate().unwrap_or(fees::fallback(ledger.info.min_fee_rate)),
        })
    }

    /// Looks for payments to registered addresses from now on, and no longer to those that the node has let go.
    async fn read_registrations(&mut self, ledger: &LedgerView) -> Result<(), RoundError> {
        loop {
            let page = self.node.registered_deposits(self.registrations.cursor(), registrations::PAGE).await?;
            let more = self.registrations.add(page);
            for Registered { script, terms, cursor } in self.registrations.addresses(&self.peg, &ledger.group_keys) {
                self.follower.tracker().register(script, terms, cursor);
            }
            for _ in 0..self.registrations.reviews() {
                let page = self.node.registered_deposits(self.registrations.reviewed(), registrations::PAGE).await?;
                let gone = self.registrations.review(&page);
                self.follower.tracker().forget(&gone);
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn follow(&mut self, ledger: &LedgerView, info: &ChainInfo) -> Result<(), RpcError> {
        let open = ledger.open.values().map(|entry| entry.transaction.txid());
        self.follower.tracker().track(open.collect());
        self.follower.begin(Position { height: info.height, hash: info.tip });
        while let Some(question) = self.follower.question() {
            match question {
                following::Question::HashAt(height) => {
                    self.follower.answer_hash(self.bitcoind.block_hash(height).await?);
                }
                following::Question::BlockAt(height) => {
                    let block = match self.bitcoind.block_hash(height).await? {
                        Some(hash) => self.bitcoind.block(hash).await?,
                        None => None,
                    };
                    self.follower.answer_block(block.as_ref());
                }
            }
        }
        if self.follower.is_at_tip() {
            self.scan().await;
        }
        Ok(())
    }

    /// Looks for older outputs of addresses that were registered since the last scan.
    async fn scan(&mut self) {
        if self.scan.is_none() {
            let scripts = self.follower.tracker().unscanned();
            if scripts.is_empty() {
                return;
            }
            let (bitcoind, wanted) = (Arc::clone(&self.bitcoind), scripts.clone());
            let result = tokio::spawn(async move { bitcoind.scan(&wanted).await });
            self.scan = Some(RunningScan { scripts, result });
        }
        let Some(running) = &mut self.scan else {
            return;
        };
        let Some(result) = self.clock.within(SCAN_PATIENCE, &mut running.result).await else {
            return;
        };
        let scripts = self.scan.take().map(|running| running.scripts).unwrap_or_default();
        match result {
            Ok(Ok(scan)) => self.take_scan(&scripts, &scan),
            // Another scan may be running, or bitcoind may have gone: scripts that are not scanned for stay wanted.
            Ok(Err(error)) => tracing::debug!(%error, "scan failed, it will be repeated"),
            Err(error) => tracing::debug!(%error, "scan failed, it will be repeated"),
        }
    }

    fn take_scan(&mut self, scripts: &[ScriptBuf], scan: &Scan) {
        let at = Position { height: scan.height, hash: scan.tip };
        let unspents: Vec<Scanned> = scan.unspents.iter().map(|unspent| scanned(scan, unspent)).collect();
        let of_use = self.follower.tracker().scanned(at, scripts, &unspents);
        tracing::debug!(addresses = scripts.len(), found = unspents.len(), of_use, "scanned the unspent outputs");
    }

    fn warn_of_lag(&mut self, info: &ChainInfo) {
        if following::is_lagging(info.headers, info.height) {
            let url = self.bitcoind.url();
            self.lag.failed(&format!("bitcoind at {url} lags: it has headers of blocks that it lacks"));
        } else {
            self.lag.recovered();
        }
    }

    async fn estimate_fee(&mut self, min_fee_rate: u32) -> Result<(), RpcError> {
        if self.fees.is_stale(self.clock.ms()) {
            let rate = self.bitcoind.fee_rate(fees::CONFIRM_WITHIN, fees::fallback(min_fee_rate)).await?;
            self.fees.renew(rate, self.clock.ms());
        }
        Ok(())
    }

    /// Compares both best chains, when one of them has moved.
    async fn compare(&mut self, light: Position, own: Position) -> Result<(), RoundError> {
        if !self.compared.is_stale(light, own, self.clock.ms()) {
            return Ok(());
        }
        let mut search = HeaderSearch::new(light, own);
        let comparison = loop {
            match search.next() {
                Next::Ask(question) => search = search.answer(self.ask(question, light).await?),
                Next::Found(comparison) => break comparison,
                Next::NothingInCommon => return Err(RoundError::NoCommonBlock),
            }
        };
        let headers = self.bitcoind.headers(comparison.next_heights()).await?;
        self.compared.set(comparison, headers, self.clock.ms());
        Ok(())
    }

    async fn ask(&self, question: headers::Question, light: Position) -> Result<headers::Answer, RoundError> {
        Ok(match question {
            headers::Question::HashesAt(height) => {
                let hash = self.node.call(LIGHT_CLIENT, &hashAtCall { height }).await?;
                let light = (hash != B256::ZERO).then(|| BlockHash::from_byte_array(hash.0));
                headers::Answer::Hashes { light, own: self.bitcoind.block_hash(height).await? }
            }
            headers::Question::LightKnows(height) => {
                headers::Answer::Known(match self.bitcoind.block_hash(height).await? {
                    Some(hash) => self.light_client_knows(hash).await?,
                    None => false,
                })
            }
            headers::Question::OwnKnowsLightTip => {
                headers::Answer::Known(self.bitcoind.header(light.hash).await?.is_some())
            }
        })
    }

    /// Whether the light client knows a block, on its best chain or not.
    async fn light_client_knows(&self, hash: BlockHash) -> Result<bool, Error> {
        let hash = B256::from(hash.to_byte_array());
        match self.node.call(LIGHT_CLIENT, &headerCall { hash }).await {
            Ok(_) => Ok(true),
            Err(Error::Reverted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn places(&mut self, ledger: &LedgerView, tip_height: Height) -> Result<BTreeMap<u64, Place>, RpcError> {
        let mut places = BTreeMap::new();
        for (number, entry) in ledger.open.iter().filter(|(_, entry)| entry.status != VaultStatus::Settled) {
            places.insert(*number, self.place(entry.transaction.txid(), tip_height).await?);
        }
        Ok(places)
    }

    async fn place(&mut self, txid: Txid, tip_height: Height) -> Result<Place, RpcError> {
        let mut search = PlaceSearch::new(self.follower.tracker().mined(&txid));
        loop {
            search = match search {
                PlaceSearch::Found(place) => return Ok(place),
                PlaceSearch::Ask(PlaceQuestion::OutputConfirmations) => {
                    let output = self.bitcoind.unspent(OutPoint { txid, vout: 0 }, true).await?;
                    PlaceSearch::output(output.map(|output| output.confirmations), tip_height)
                }
                PlaceSearch::Ask(PlaceQuestion::HashAt(height)) => {
                    PlaceSearch::hash_at(height, self.bitcoind.block_hash(height).await?)
                }
                PlaceSearch::Ask(PlaceQuestion::InMempool) => {
                    PlaceSearch::in_mempool(self.bitcoind.is_in_mempool(txid).await?)
                }
            };
        }
    }
}

fn scanned(scan: &Scan, unspent: &Unspent) -> Scanned {
    Scanned {
        outpoint: unspent.outpoint,
        script: unspent.script_pubkey.clone(),
        amount: unspent.value,
        height: (scan.height + 1).saturating_sub(unspent.confirmations),
        coinbase: unspent.coinbase,
    }
}
