//! What a round costs, and what of it fails alone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes};
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::{
    Amount, CompactTarget, FeeRate, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness, XOnlyPublicKey,
    transaction,
};
use mainchain::Network;
use mainchain::deposit::DepositTerms;

use super::*;
use crate::io::sidechain::proven::ProvenError;
use crate::io::sidechain::{Block as SidechainBlock, Call, Fees};
use crate::peg;
use crate::relay::duty::DutySchedule;
use crate::relay::example;
use crate::relay::facts::Facts;
use crate::relay::machine::Machine;
use crate::relay::view::BlockLog;
use light::facts::{self, Wanted};
use light::finality::Validators;

const PEG: Peg = Peg { network_id: [5; 32], bridge: [4; 20], delay: NonZeroU16::new(1_008).expect("not zero") };

fn key() -> XOnlyPublicKey {
    XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve")
}

fn terms(number: u64) -> DepositTerms {
    let mut recipient = [0; 20];
    recipient[12..].copy_from_slice(&number.to_be_bytes());
    DepositTerms {
        recipient,
        claimant: recipient,
        reclaim_key: key(),
        max_fee: Amount::from_sat(20_000),
        data_hash: [0; 32],
        epoch: 1,
    }
}

/// A node with so many registrations.
struct ListingNode(Vec<peg::Registration>);

impl ListingNode {
    fn new(count: u64) -> Self {
        let registration = |cursor| peg::Registration {
            cursor,
            terms: (&terms(cursor)).into(),
            address: String::new(),
            output_key: B256::ZERO,
            paid: None,
        };
        Self((1..=count).map(registration).collect())
    }
}

/// A bitcoind with a chain, whose calls are counted, and fail by method.
struct ScriptedBitcoind {
    blocks: Vec<Block>,
    unspent: BTreeMap<OutPoint, (TxOut, u32)>,
    calls: Mutex<Vec<&'static str>>,
    failing: Mutex<BTreeSet<&'static str>>,
    /// What it cannot be asked about.
    odd: BTreeSet<Txid>,
}

/// A payment to each script.
fn payment(number: u32, scripts: &[bitcoin::ScriptBuf]) -> Transaction {
    let input = TxIn {
        previous_output: OutPoint { vout: number, ..OutPoint::null() },
        script_sig: bitcoin::ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let output = |script_pubkey: &bitcoin::ScriptBuf| TxOut {
        value: Amount::from_sat(1_000_000),
        script_pubkey: script_pubkey.clone(),
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: scripts.iter().map(output).collect(),
    }
}

impl ScriptedBitcoind {
    /// So many blocks, of which those from `paying_from` pay these scripts, in equal parts.
    fn new(count: u32, paying_from: u32, scripts: &[bitcoin::ScriptBuf]) -> Self {
        let mut bitcoind = Self {
            blocks: Vec::new(),
            unspent: BTreeMap::new(),
            calls: Mutex::default(),
            failing: Mutex::default(),
            odd: BTreeSet::new(),
        };
        let each = scripts.len().div_ceil((count - paying_from) as usize).max(1);
        let mut parts = scripts.chunks(each);
        for height in 0..count {
            let paid = if height < paying_from { None } else { parts.next() };
            bitcoind.mine(paid.unwrap_or_default());
        }
        bitcoind
    }

    fn mine(&mut self, paid: &[bitcoin::ScriptBuf]) {
        let height = u32::try_from(self.blocks.len()).expect("short");
        let transaction = payment(height, paid);
        let header = Header {
            version: Version::ONE,
            prev_blockhash: self.blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash),
            merkle_root: TxMerkleNode::all_zeros(),
            time: height,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let txid = transaction.compute_txid();
        let outputs = (0..).zip(&transaction.output);
        self.unspent.extend(outputs.map(|(vout, output)| (OutPoint { txid, vout }, (output.clone(), height))));
        self.blocks.push(Block { header, txdata: vec![transaction] });
    }

    fn tip(&self) -> Position {
        let hash = self.blocks.last().expect("a first block").block_hash();
        Position { height: u32::try_from(self.blocks.len()).expect("short") - 1, hash }
    }

    fn ask(&self, method: &'static str) -> Result<(), RpcError> {
        self.calls.lock().expect("no panic").push(method);
        if self.failing.lock().expect("no panic").contains(method) { Err(internal_error(method)) } else { Ok(()) }
    }

    fn fail(&self, methods: &[&'static str]) {
        *self.failing.lock().expect("no panic") = methods.iter().copied().collect();
    }

    /// The calls since the last time.
    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }
}

impl Bitcoind for ScriptedBitcoind {
    fn url(&self) -> &str {
        "scripted"
    }

    async fn chain_info(&self) -> Result<ChainInfo, RpcError> {
        self.ask("getblockchaininfo")?;
        let Position { height, hash: tip } = self.tip();
        let network = Network::Regtest;
        Ok(ChainInfo { network, height, tip, headers: height, catching_up: false, pruned_below: None })
    }

    async fn block_hash(&self, height: Height) -> Result<Option<BlockHash>, RpcError> {
        self.ask("getblockhash")?;
        Ok(self.blocks.get(height as usize).map(Block::block_hash))
    }

    async fn block(&self, hash: BlockHash) -> Result<Option<Block>, RpcError> {
        self.ask("getblock")?;
        Ok(self.blocks.iter().rev().find(|block| block.block_hash() == hash).cloned())
    }

    async fn header(&self, hash: BlockHash) -> Result<Option<Header>, RpcError> {
        self.ask("getblockheader")?;
        Ok(self.blocks.iter().find(|block| block.block_hash() == hash).map(|block| block.header))
    }

    async fn headers(&self, heights: Range<u32>) -> Result<Vec<Header>, RpcError> {
        self.ask("getblockheader")?;
        Ok(heights.map_while(|height| Some(self.blocks.get(height as usize)?.header)).collect())
    }

    async fn unspent(&self, outpoint: OutPoint, _mempool: bool) -> Result<Option<Unspent>, RpcError> {
        self.ask("gettxout")?;
        let tip = self.tip();
        Ok(self.unspent.get(&outpoint).map(|(output, height)| Unspent {
            outpoint,
            value: output.value,
            script_pubkey: output.script_pubkey.clone(),
            confirmations: tip.height + 1 - height,
            coinbase: false,
            tip: tip.hash,
        }))
    }

    async fn is_in_mempool(&self, txid: Txid) -> Result<bool, RpcError> {
        self.ask("getmempoolentry")?;
        if self.odd.contains(&txid) { Err(internal_error("getmempoolentry")) } else { Ok(false) }
    }

    async fn package(&self, _txid: Txid) -> Result<Option<Package>, RpcError> {
        self.ask("getmempoolentry").map(|()| None)
    }

    async fn spending(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, RpcError> {
        self.ask("gettxspendingprevout").map(|()| vec![None; outpoints.len()])
    }

    async fn fee_rate(&self, _blocks: u16) -> Result<Option<FeeRate>, RpcError> {
        self.ask("estimatesmartfee").map(|()| Some(FeeRate::from_sat_per_vb_u32(2)))
    }

    async fn block_filters(&self, _heights: Range<u32>) -> Result<Vec<(BlockHash, Vec<u8>)>, RpcError> {
        self.ask("getblockfilter").map(|()| Vec::new())
    }

    async fn broadcast(&self, transaction: &Transaction) -> Result<Txid, RpcError> {
        Ok(transaction.compute_txid())
    }
}

fn internal_error(method: &'static str) -> RpcError {
    RpcError::Refused { method, code: -32_603, reason: "internal error".to_owned() }
}

/// Only its list is asked for.
fn unasked<T: Send, E: From<Error> + Send>() -> impl Future<Output = Result<T, E>> + Send {
    std::future::ready(Err(Error::Malformed { method: "none", reason: "this node only lists".to_owned() }.into()))
}

impl Node for ListingNode {
    fn url(&self) -> &str {
        "listing"
    }

    async fn registered_deposits(&self, cursor: u64, limit: u32) -> Result<peg::Registrations, Error> {
        let from = usize::try_from(cursor).expect("small").min(self.0.len());
        let deposits: Vec<_> = self.0[from..].iter().take(limit as usize).cloned().collect();
        let next = deposits.last().map_or(cursor, |registration| registration.cursor);
        Ok(peg::Registrations { deposits, next })
    }

    fn info(&self) -> impl Future<Output = Result<peg::Info, Error>> + Send {
        unasked()
    }

    fn head(&self) -> impl Future<Output = Result<SidechainBlock, Error>> + Send {
        unasked()
    }

    fn proven(
        &self,
        _validators: &Validators,
        _wanted: &Wanted,
    ) -> impl Future<Output = Result<facts::Facts, ProvenError>> + Send {
        unasked()
    }

    fn block(&self, _number: u64) -> impl Future<Output = Result<Option<SidechainBlock>, Error>> + Send {
        unasked()
    }

    fn logs(
        &self,
        _contracts: &[Address],
        _from: u64,
        _to: u64,
    ) -> impl Future<Output = Result<Vec<BlockLog>, Error>> + Send {
        unasked()
    }

    fn call_encoded(&self, _to: Address, _input: Bytes) -> impl Future<Output = Result<Bytes, Error>> + Send {
        unasked()
    }

    fn nonce(&self, _account: Address) -> impl Future<Output = Result<u64, Error>> + Send {
        unasked()
    }

    fn knows(&self, _hash: B256) -> impl Future<Output = Result<bool, Error>> + Send {
        unasked()
    }

    fn estimate_gas(
        &self,
        _from: Address,
        _call: &Call,
        _fees: Fees,
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        unasked()
    }

    fn send_raw(&self, _transaction: &Bytes) -> impl Future<Output = Result<B256, Error>> + Send {
        unasked()
    }
}

/// The ledger of a light client at bitcoind's tip.
fn ledger(tip: Position) -> LedgerView {
    let mut ledger = example::ledger(tip.height);
    ledger.info.bitcoin_tip = peg::BitcoinTip { hash: tip.hash, height: tip.height, time: 0, lag_seconds: 0 };
    ledger.group_keys = BTreeMap::from([(1, key())]);
    ledger
}

fn gatherer(node: ListingNode, bitcoind: &Arc<ScriptedBitcoind>) -> BitcoinGatherer<ListingNode, ScriptedBitcoind> {
    let fees = FeeEstimate::new(None, Network::Regtest).expect("nothing is configured");
    BitcoinGatherer::new(Arc::new(node), Arc::clone(bitcoind), Clock::system(), PEG, (fees, None), &Vitals::default())
}

fn scripts(numbers: Range<u64>) -> Vec<bitcoin::ScriptBuf> {
    numbers.map(|number| terms(number).output(&PEG, key()).script_pubkey()).collect()
}

/// A whole round, from the questions to bitcoind to the decisions.
async fn round(
    gatherer: &mut BitcoinGatherer<ListingNode, ScriptedBitcoind>,
    machine: &mut Machine,
    ledger: &LedgerView,
) -> (usize, Duration) {
    let start = Instant::now();
    let view = gatherer.gather(ledger).await.expect("bitcoind answers");
    let in_flight = BTreeSet::new();
    // The ledger has said that it knows none of them.
    let ledger = LedgerView { strangers: Arc::new(view.tracked.keys().copied().collect()), ..ledger.clone() };
    machine.decide(&Facts { clock_ms: 0, ledger: &ledger, bitcoin: Some(&view), in_flight: &in_flight });
    (view.tracked.len(), start.elapsed())
}

// 0 - ... - 399 - 400[100 deposits] - ... - 409[100 deposits] - ... - 600      the relayer starts at 600
#[tokio::test]
async fn ten_thousand_registrations_and_a_thousand_waiting_deposits_leave_a_round_under_200_ms() {
    let mut bitcoind = ScriptedBitcoind::new(410, 400, &scripts(1..1_001));
    (410..601).for_each(|_| bitcoind.mine(&[]));
    let (tip, bitcoind) = (bitcoind.tip(), Arc::new(bitcoind));
    let mut gatherer = gatherer(ListingNode::new(10_000), &bitcoind);
    let mut machine = Machine::new(1, DutySchedule { window_s: 30, takeover_ms: 2_000, batch_ms: 0 }, 26_280, 1_000);
    let ledger = ledger(tip);
    let (mut rounds, mut longest, mut most_calls) = (0, Duration::ZERO, 0);
    // All is found, and the past was looked through.
    loop {
        let (found, took) = round(&mut gatherer, &mut machine, &ledger).await;
        (rounds, longest) = (rounds + 1, longest.max(took));
        most_calls = most_calls.max(bitcoind.calls().len());
        if found == 1_000 && gatherer.facts.follower.older().is_empty() {
            break;
        }
        assert!(rounds < 400, "{found} of 1,000 are found after {rounds} rounds");
    }
    let mut quiet = Vec::new();
    for _ in 0..21 {
        quiet.push(round(&mut gatherer, &mut machine, &ledger).await.1);
        let calls = bitcoind.calls();
        assert_eq!(calls, ["getblockchaininfo"], "nothing is new");
    }
    quiet.sort_unstable();
    eprintln!(
        "{rounds} rounds to catch up, the longest {} ms and {most_calls} calls; then {:.1} ms a round",
        longest.as_millis(),
        quiet[10].as_secs_f64() * 1e3
    );
    assert!(most_calls <= 120, "{most_calls} calls in one round");
    assert!(quiet[10] < Duration::from_millis(200) && longest < Duration::from_secs(2), "{longest:?}, {quiet:?}");
}

#[tokio::test]
async fn an_error_stays_with_the_question_that_had_it() {
    let scripts = scripts(1..4);
    let bitcoind = Arc::new(ScriptedBitcoind::new(50, 48, &scripts[..1]));
    let ledger = ledger(bitcoind.tip());
    let mut gatherer = gatherer(ListingNode::new(3), &bitcoind);
    bitcoind.fail(&["estimatesmartfee", "getblockfilter", "getblockheader"]);
    let view = gatherer.gather(&ledger).await.expect("it goes on");
    assert_eq!(view.tracked.len(), 1, "blocks are followed");
    assert!(view.rates.is_none() && view.comparison.is_none());
    let failing = |gatherer: &BitcoinGatherer<_, _>| {
        let _: &BitcoinGatherer<ListingNode, ScriptedBitcoind> = gatherer;
        gatherer.vitals.now().troubles.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(failing(&gatherer), ["fee estimates", "fee rate", "headers", "older blocks"]);
    bitcoind.fail(&["getblock"]);
    let view = gatherer.gather(&ledger).await.expect("it goes on");
    assert!(view.rates.is_some() && view.comparison.is_some());
    bitcoind.fail(&[]);
    gatherer.gather(&ledger).await.expect("it goes on");
    assert_eq!(failing(&gatherer), [""; 0]);
}

#[tokio::test]
async fn an_odd_answer_about_one_vault_transaction_hides_no_other() {
    let mut bitcoind = ScriptedBitcoind::new(50, 48, &[]);
    let mut ledger = ledger(bitcoind.tip());
    for number in 1..=3 {
        let entry = example::entry(&ledger, example::content(2_000, &[example::outpoint(number)], &[], &[]));
        bitcoind.odd.extend((number == 2).then_some(entry.txid));
        Arc::make_mut(&mut ledger.entries).insert(number, entry);
    }
    let mut gatherer = gatherer(ListingNode::new(0), &Arc::new(bitcoind));
    let view = gatherer.gather(&ledger).await.expect("it goes on");
    assert_eq!(view.places, BTreeMap::from([(1, Place::Nowhere), (3, Place::Nowhere)]));
    assert!(gatherer.vitals.now().troubles.contains_key("vault transactions"), "it is told");
}

#[tokio::test]
async fn a_payment_that_the_node_names_by_its_outpoint_is_found_however_old_it_is() {
    let script = scripts(1..2);
    let mut bitcoind = ScriptedBitcoind::new(2, 1, &script);
    (2..1_200).for_each(|_| bitcoind.mine(&[]));
    let (outpoint, tip) = (*bitcoind.unspent.keys().next().expect("one is paid"), bitcoind.tip());
    let bitcoind = Arc::new(bitcoind);
    let mut node = ListingNode::new(1);
    node.0[0].paid = Some(outpoint);
    let mut gatherer = gatherer(node, &bitcoind);
    let view = gatherer.gather(&ledger(tip)).await.expect("bitcoind answers");
    assert_eq!(view.tracked.get(&outpoint).map(|deposit| deposit.height), Some(1));
}
