//! Gathers facts from its own bitcoind: the best chain, the deposits in it, where vault transactions are, fees, and how
//! its chain differs from the light client's.
//!
//! The machines choose the questions (`relay::{following, past, spends, headers, places, registrations, fees}`); this module
//! asks them, and joins the answers to one [`BitcoinView`]. A part whose question fails keeps its last answer, says so once, and
//! stops no other; only a bitcoind that does not answer at all leaves the relayer without a view.

use mainchain::header::Height;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::B256;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, Txid};
use contracts::BitcoinLightClient::{hashAtCall, headerCall};
use contracts::address::LIGHT_CLIENT;
use mainchain::deposit::Peg;
use mainchain::io::rpc::{ChainInfo, RpcError, Unspent};

use super::bitcoin_part::Part;
use super::bitcoind::Bitcoind;
use super::error::RoundError;
use super::health::{BitcoindState, Health, Vitals};
use super::node::Node;
use crate::io::clock::Clock;
use crate::io::sidechain::Error;
use crate::relay::deposit_tracker::{Output, Position};
use crate::relay::ends;
use crate::relay::facts::{BitcoinView, Package};
use crate::relay::fees::{self, FeeEstimate};
use crate::relay::following::{self, ChainFollower, lag};
use crate::relay::fundings::Fundings;
use crate::relay::headers::{self, HeaderSearch, LastComparison, Next};
use crate::relay::places::{Place, PlaceQuestion, PlaceSearch};
use crate::relay::registrations::{self, Registered, Registrations};
use crate::relay::settlement;
use crate::relay::view::{Entry, LedgerView};

/// Pages of registrations read in one round: computing a thousand addresses takes some dozen milliseconds.
const PAGES_A_ROUND: usize = 2;
/// Older blocks read in one round, where there are no filters. As many take a tenth of a second on mainnet.
const OLDER_BLOCKS_A_ROUND: usize = 4;
/// Outputs asked for in one round.
const HINTS_A_ROUND: usize = 32;
/// Milliseconds between two looks at what spends deposits in the mempool.
const MEMPOOL_EVERY_MS: u64 = 2_000;
/// Deposits asked about in one question.
const SPENDS_AT_ONCE: usize = 1_000;
/// Milliseconds within which a bitcoind answers the cheapest question; one that takes longer is told to be slow.
const SLOW_MS: u64 = 2_000;

/// Its own bitcoind, and the machines that it is asked for.
pub struct BitcoinGatherer<N, B> {
    node: Arc<N>,
    bitcoind: Arc<B>,
    clock: Clock,
    facts: Followed,
    parts: Parts,
    vitals: Vitals,
}

/// What is known of bitcoind's chain.
struct Followed {
    peg: Peg,
    follower: ChainFollower,
    registrations: Registrations,
    /// Whether the node's list was read to its end: until then the past is not looked through, so that it is once for all.
    is_list_read: bool,
    fees: FeeEstimate,
    compared: LastComparison,
    fundings: Arc<Fundings>,
    lost: BTreeSet<OutPoint>,
    places: BTreeMap<u32, Place>,
    packages: BTreeMap<u32, Package>,
    unconfirmed: Arc<BTreeMap<OutPoint, Txid>>,
    /// When the mempool was asked for what spends deposits.
    looked_ms: Option<u64>,
}

/// The parts of a round, each with its own troubles.
struct Parts {
    registrations: Part,
    blocks: Part,
    past: Part,
    spends: Part,
    fees: Part,
    headers: Part,
    places: Part,
    mempool: Part,
    lag: Health,
    speed: Health,
    pruned: Health,
    estimate: Health,
}

impl<N: Node, B: Bitcoind> BitcoinGatherer<N, B> {
    /// `resume` is the last block that was read in an earlier life.
    pub fn new(
        node: Arc<N>,
        bitcoind: Arc<B>,
        clock: Clock,
        peg: Peg,
        (fees, resume): (FeeEstimate, Option<Height>),
        vitals: &Vitals,
    ) -> Self {
        // A deposit is swept up to half of its reclaim delay.
        let follower = ChainFollower::new(u32::from(peg.delay.get()) / 2, resume);
        let facts = Followed {
            peg,
            follower,
            registrations: Registrations::default(),
            is_list_read: false,
            fees,
            compared: LastComparison::default(),
            fundings: Arc::default(),
            lost: BTreeSet::new(),
            places: BTreeMap::new(),
            packages: BTreeMap::new(),
            unconfirmed: Arc::default(),
            looked_ms: None,
        };
        let parts = Parts::new(vitals);
        Self { node, bitcoind, clock, facts, parts, vitals: vitals.clone() }
    }

    /// One round of questions.
    ///
    /// # Errors
    ///
    /// When bitcoind as a whole cannot be asked, or is of another network.
    pub async fn gather(&mut self, ledger: &LedgerView) -> Result<BitcoinView, RoundError> {
        let asked_ms = self.clock.ms();
        let info = self.bitcoind.chain_info().await.inspect_err(|_| self.vitals.bitcoind(None))?;
        let answer_ms = self.clock.ms().saturating_sub(asked_ms);
        let state = BitcoindState { height: info.height, headers: info.headers, answer_ms };
        self.vitals.bitcoind(Some(state));
        let own = Position { height: info.height, hash: info.tip };
        self.parts.tell(&*self.bitcoind, &info, ledger.light().height, answer_ms);
        let Self { node, bitcoind, clock, facts, parts, .. } = self;
        let (node, bitcoind, clock) = (&**node, &**bitcoind, &*clock);
        parts.registrations.run(clock, facts.read_registrations(node, ledger)).await?;
        parts.blocks.run(clock, facts.follow(bitcoind, ledger, own)).await?;
        parts.spends.run(clock, facts.find_spends(bitcoind, ledger)).await?;
        parts.past.run(clock, facts.look_back(bitcoind)).await?;
        parts.fees.run(clock, facts.estimate_fee(bitcoind, clock.ms())).await?;
        parts.headers.run(clock, facts.compare(node, bitcoind, (ledger.light(), own), clock.ms())).await?;
        parts.places.run(clock, facts.find_places(bitcoind, ledger, own.height)).await?;
        parts.mempool.run(clock, facts.find_unconfirmed(bitcoind, ledger, clock.ms())).await?;
        parts.tell_lacking(bitcoind, facts, clock.ms());
        Ok(facts.view(clock.ms()))
    }
}

impl Followed {
    fn view(&self, clock_ms: u64) -> BitcoinView {
        BitcoinView {
            tracked: Arc::clone(self.follower.tracker().tracked()),
            comparison: self.compared.comparison(),
            headers: self.compared.headers().to_vec(),
            spends: Arc::clone(self.follower.spends()),
            fundings: Arc::clone(&self.fundings),
            lost: self.lost.clone(),
            places: self.places.clone(),
            packages: self.packages.clone(),
            unconfirmed: Arc::clone(&self.unconfirmed),
            rates: self.fees.rates(clock_ms),
            read: self.follower.tracker().position().height,
        }
    }

    /// Looks for payments to registered addresses from now on, and no longer to those that the node has let go.
    async fn read_registrations<N: Node>(&mut self, node: &N, ledger: &LedgerView) -> Result<(), RoundError> {
        for _ in 0..PAGES_A_ROUND {
            let page = node.registered_deposits(self.registrations.cursor(), registrations::PAGE).await?;
            let paid: Vec<OutPoint> = page.deposits.iter().filter_map(|registration| registration.paid).collect();
            let more = self.registrations.add(page);
            for Registered { script, terms, cursor } in self.registrations.addresses(&self.peg, &ledger.group_keys) {
                self.follower.register(script, terms, cursor);
            }
            paid.into_iter().for_each(|outpoint| self.follower.tracker_mut().hint(outpoint));
            for _ in 0..self.registrations.reviews() {
                let page = node.registered_deposits(self.registrations.reviewed(), registrations::PAGE).await?;
                let gone = self.registrations.review(&page);
                self.follower.tracker_mut().forget(&gone);
            }
            if !more {
                self.is_list_read = true;
                break;
            }
        }
        Ok(())
    }

    async fn follow<B: Bitcoind>(
        &mut self,
        bitcoind: &B,
        ledger: &LedgerView,
        own: Position,
    ) -> Result<(), RoundError> {
        let open = ledger.entries.values().map(|entry| entry.txid);
        self.follower.tracker_mut().track(open.collect());
        self.follower.watch(ends::watched(ledger, &self.fundings));
        self.follower.begin(own);
        while let Some(question) = self.follower.question() {
            match question {
                following::Question::HashAt(height) => self.follower.answer_hash(bitcoind.block_hash(height).await?),
                following::Question::BlockAt(height) => {
                    let block = match bitcoind.block_hash(height).await? {
                        Some(hash) => bitcoind.block(hash).await,
                        None => Ok(None),
                    };
                    if let Err(RpcError::NoBlock { .. }) = block {
                        self.follower.block_is_gone();
                    }
                    self.follower.answer_block(block?.as_ref());
                }
            }
        }
        Ok(())
    }

    /// Looks for what spends outputs that came to matter after the blocks were read; and for what deposits were made of whose block has
    /// left the best chain.
    async fn find_spends<B: Bitcoind>(&mut self, bitcoind: &B, ledger: &LedgerView) -> Result<(), RoundError> {
        for _ in 0..OLDER_BLOCKS_A_ROUND {
            let Some(position) = self.follower.spend_to_read() else { break };
            let block = there(bitcoind.block(position.hash).await)?;
            self.follower.answer_spend(position, block.as_ref());
        }
        self.trace_fundings(bitcoind, ledger).await
    }

    /// Reads what deposits were made of in blocks that were left, and whether the mempool lost it.
    async fn trace_fundings<B: Bitcoind>(&mut self, bitcoind: &B, ledger: &LedgerView) -> Result<(), RoundError> {
        for _ in 0..OLDER_BLOCKS_A_ROUND {
            let Some((outpoint, at)) = Arc::make_mut(&mut self.fundings).next(ledger) else { break };
            let block = there(bitcoind.block(at.hash).await)?;
            let before = bitcoind.block_hash(at.height.saturating_sub(1)).await?;
            let is_in_chain = block.as_ref().is_some_and(|block| before == Some(block.header.prev_blockhash));
            Arc::make_mut(&mut self.fundings).answer(outpoint, at, block.as_ref(), is_in_chain);
        }
        self.lost.clear();
        for outpoint in self.fundings.known() {
            let is_there = bitcoind.unspent(outpoint, false).await?.is_some();
            if !is_there && !bitcoind.is_in_mempool(outpoint.txid).await? {
                self.lost.insert(outpoint);
            }
        }
        Ok(())
    }

    /// Looks for payments that came before their addresses: some steps each round, so that nothing else waits for it.
    async fn look_back<B: Bitcoind>(&mut self, bitcoind: &B) -> Result<(), RoundError> {
        if !self.follower.is_at_tip() || !self.is_list_read {
            return Ok(());
        }
        if !self.read_filters(bitcoind).await? {
            self.read_older(bitcoind).await?;
        }
        for _ in 0..OLDER_BLOCKS_A_ROUND {
            let Some(Position { height, hash }) = self.follower.match_to_read() else { break };
            let block = there(bitcoind.block(hash).await)?;
            self.follower.answer_match(height, block.as_ref());
        }
        for outpoint in self.follower.tracker().hints(HINTS_A_ROUND) {
            let unspent = bitcoind.unspent(outpoint, false).await?;
            self.follower.answer_hint(outpoint, unspent.map(output));
        }
        Ok(())
    }

    /// Reads filters of older blocks; false when bitcoind has none.
    async fn read_filters<B: Bitcoind>(&mut self, bitcoind: &B) -> Result<bool, RpcError> {
        let heights = self.follower.older();
        if heights.is_empty() {
            return Ok(true);
        }
        let filters = bitcoind.block_filters(heights.clone()).await?;
        let is_whole = filters.len() == heights.len();
        let taken = heights.zip(filters).rev().all(|(height, (hash, filter))| {
            let block = Position { height, hash };
            self.follower.answer_filter(block, &filter)
        });
        Ok(is_whole && taken)
    }

    /// The same by the blocks themselves.
    async fn read_older<B: Bitcoind>(&mut self, bitcoind: &B) -> Result<(), RpcError> {
        for height in self.follower.older().rev().take(OLDER_BLOCKS_A_ROUND) {
            let Some(hash) = bitcoind.block_hash(height).await? else { break };
            let block = there(bitcoind.block(hash).await)?;
            self.follower.answer_older(height, block.as_ref());
            if block.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn estimate_fee<B: Bitcoind>(&mut self, bitcoind: &B, clock_ms: u64) -> Result<(), RoundError> {
        if self.fees.is_stale(clock_ms) {
            self.fees.renew(bitcoind.fee_rate(fees::CONFIRM_WITHIN).await?, clock_ms);
        }
        Ok(())
    }

    /// Compares both best chains, when one of them has moved.
    async fn compare<N: Node, B: Bitcoind>(
        &mut self,
        node: &N,
        bitcoind: &B,
        (light, own): (Position, Position),
        clock_ms: u64,
    ) -> Result<(), RoundError> {
        if !self.compared.is_stale(light, own, clock_ms) {
            return Ok(());
        }
        let mut search = HeaderSearch::new(light, own);
        let comparison = loop {
            match search.next() {
                Next::Ask(question) => search = search.answer(ask(node, bitcoind, question, light).await?),
                Next::Found(comparison) => break comparison,
                Next::NothingInCommon => return Err(RoundError::NoCommonBlock),
            }
        };
        let headers = bitcoind.headers(comparison.next_heights()).await?;
        self.compared.set(comparison, headers, clock_ms);
        Ok(())
    }

    /// Places the vault transactions that may confirm. Where one is stays unknown when bitcoind does not say, and of no other for that.
    async fn find_places<B: Bitcoind>(
        &mut self,
        bitcoind: &B,
        ledger: &LedgerView,
        tip_height: Height,
    ) -> Result<(), RoundError> {
        self.places.clear();
        self.packages.clear();
        let mut odd = None;
        for (number, entry) in ledger.entries.iter().filter(|(_, entry)| settlement::wants_place(ledger, entry)) {
            match self.find_place(bitcoind, (*number, entry), tip_height).await {
                Err(error) if !error.retry() => odd = odd.or(Some(error)),
                found => found?,
            }
        }
        odd.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn find_place<B: Bitcoind>(
        &mut self,
        bitcoind: &B,
        (number, entry): (u32, &Entry),
        tip_height: Height,
    ) -> Result<(), RpcError> {
        let place = self.place(bitcoind, entry, tip_height).await?;
        self.places.insert(number, place);
        if place == Place::Mempool {
            let package = bitcoind.package(entry.txid).await?;
            self.packages.extend(package.map(|package| (number, package)));
        }
        Ok(())
    }

    /// What spends deposits in the mempool.
    async fn find_unconfirmed<B: Bitcoind>(
        &mut self,
        bitcoind: &B,
        ledger: &LedgerView,
        clock_ms: u64,
    ) -> Result<(), RoundError> {
        if self.looked_ms.is_some_and(|looked_ms| clock_ms.saturating_sub(looked_ms) < MEMPOOL_EVERY_MS) {
            return Ok(());
        }
        self.looked_ms = Some(clock_ms);
        let sweepable = ledger.deposits.iter().filter(|(_, deposit)| deposit.is_sweepable());
        let deposits: Vec<OutPoint> = sweepable.map(|(outpoint, _)| *outpoint).collect();
        let mut found = BTreeMap::new();
        for some in deposits.chunks(SPENDS_AT_ONCE) {
            let by = bitcoind.spending(some).await?;
            found.extend(some.iter().zip(by).filter_map(|(outpoint, by)| Some((*outpoint, by?))));
        }
        self.unconfirmed = Arc::new(found);
        Ok(())
    }

    async fn place<B: Bitcoind>(&self, bitcoind: &B, entry: &Entry, tip_height: Height) -> Result<Place, RpcError> {
        let txid = entry.txid;
        let mut search = PlaceSearch::new(self.follower.tracker().mined(&txid));
        let confirmations = async |vout: u32| {
            let output = bitcoind.unspent(OutPoint { txid, vout }, true).await?;
            Ok::<_, RpcError>(output.map(|output| output.confirmations))
        };
        loop {
            search = match search {
                PlaceSearch::Found(place) => return Ok(place),
                PlaceSearch::Ask(PlaceQuestion::OutputConfirmations) => {
                    PlaceSearch::output(confirmations(0).await?, tip_height)
                }
                PlaceSearch::Ask(PlaceQuestion::AnchorConfirmations) => {
                    let anchor = u32::try_from(entry.unsigned.output.len()).unwrap_or(u32::MAX).saturating_sub(1);
                    PlaceSearch::anchor(confirmations(anchor).await?, tip_height)
                }
                PlaceSearch::Ask(PlaceQuestion::HashAt(height)) => {
                    PlaceSearch::hash_at(height, bitcoind.block_hash(height).await?)
                }
                PlaceSearch::Ask(PlaceQuestion::InMempool) => {
                    PlaceSearch::in_mempool(bitcoind.is_in_mempool(txid).await?)
                }
            };
        }
    }
}

impl Parts {
    fn new(vitals: &Vitals) -> Self {
        let part = |who, recovery| Part::new(vitals, who, recovery);
        let health = |who, recovery| Health::new(vitals, who, recovery);
        Self {
            registrations: part("registrations", "registered addresses are read again"),
            blocks: part("blocks", "bitcoind's blocks are read again"),
            past: part("older blocks", "bitcoind's older blocks are read again"),
            spends: part("spent outputs", "bitcoind's blocks are looked through for spent outputs again"),
            fees: part("fee estimates", "bitcoind answers about fees again"),
            headers: part("headers", "bitcoind's headers are compared again"),
            places: part("vault transactions", "bitcoind answers about vault transactions again"),
            mempool: part("unconfirmed spends", "bitcoind says again what spends deposits in its mempool"),
            lag: health("bitcoind's chain", "bitcoind's chain is up to date again"),
            speed: health("bitcoind's speed", "bitcoind answers in time again"),
            pruned: health("pruned blocks", "bitcoind has all blocks that matter"),
            estimate: health("fee rate", "bitcoind estimates fees"),
        }
    }

    /// Tells what the answer says about bitcoind itself.
    fn tell(&mut self, bitcoind: &impl Bitcoind, info: &ChainInfo, light_height: Height, took_ms: u64) {
        let url = bitcoind.url();
        match lag(info.height, info.headers, light_height) {
            Some(lag) => self.lag.failed("lag", &format!("bitcoind at {url} lags: {lag}")),
            None => self.lag.recovered(),
        }
        if took_ms > SLOW_MS {
            let text = format!("bitcoind at {url} is slow: its simplest answer took {took_ms} ms");
            self.speed.note("slow", text + ", and all that depends on it takes as much longer");
        } else {
            self.speed.recovered();
        }
    }

    /// Tells what bitcoind lacks.
    fn tell_lacking(&mut self, bitcoind: &impl Bitcoind, facts: &Followed, clock_ms: u64) {
        let url = bitcoind.url();
        match facts.follower.lacks() {
            Some(gone) => self.pruned.note(
                "pruned",
                format!(
                    "bitcoind at {url} does not have blocks {} to {} any more (it is pruned): of payments in them to addresses that \
                     this relayer did not know then it learns by proofs alone (`causeway status ADDRESS --prove`); a larger -prune \
                     keeps them",
                    gone.start,
                    gone.end - 1
                ),
            ),
            None => self.pruned.recovered(),
        }
        match facts.fees.rate(clock_ms) {
            None => {
                let text = format!(
                    "bitcoind at {url} has no fee estimate, and nothing is proposed or approved without one (on regtest: fee_rate in relayer.toml)"
                );
                self.estimate.failed("no estimate", &text);
            }
            Some(_) => self.estimate.recovered(),
        }
    }
}

async fn ask<N: Node, B: Bitcoind>(
    node: &N,
    bitcoind: &B,
    question: headers::Question,
    light: Position,
) -> Result<headers::Answer, RoundError> {
    Ok(match question {
        headers::Question::HashesAt(height) => {
            let hash = node.call(LIGHT_CLIENT, &hashAtCall { height }).await?;
            let light = (hash != B256::ZERO).then(|| BlockHash::from_byte_array(hash.0));
            headers::Answer::Hashes { light, own: bitcoind.block_hash(height).await? }
        }
        headers::Question::LightKnows(height) => headers::Answer::Known(match bitcoind.block_hash(height).await? {
            Some(hash) => light_client_knows(node, hash).await?,
            None => false,
        }),
        headers::Question::OwnKnowsLightTip => headers::Answer::Known(bitcoind.header(light.hash).await?.is_some()),
    })
}

/// Whether the light client knows a block, on its best chain or not.
async fn light_client_knows<N: Node>(node: &N, hash: BlockHash) -> Result<bool, Error> {
    let hash = B256::from(hash.to_byte_array());
    match node.call(LIGHT_CLIENT, &headerCall { hash }).await {
        Ok(_) => Ok(true),
        Err(Error::Reverted { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A block, or none when bitcoind has deleted it.
fn there(block: Result<Option<Block>, RpcError>) -> Result<Option<Block>, RpcError> {
    match block {
        Err(RpcError::NoBlock { .. }) => Ok(None),
        block => block,
    }
}

fn output(unspent: Unspent) -> Output {
    Output {
        script: unspent.script_pubkey,
        amount: unspent.value,
        confirmations: unspent.confirmations,
        coinbase: unspent.coinbase,
        tip: unspent.tip,
    }
}

#[cfg(test)]
mod tests;
