//! A simulated Bitcoin: one best chain with real blocks of regtest, a mempool that checks amounts and key path signatures.
//! Each relayer has its own bitcoind, which fails by itself.

use mainchain::header::Height;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, SECP256K1, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, FeeRate, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness, transaction,
};
use bridge::io::clock::Clock;
use bridge::io::relayer::Bitcoind;
use bridge::relay::facts::Package;
use mainchain::Network;
use mainchain::io::rpc::{ChainInfo, RpcError, Unspent};

use super::faults::{Fault, Faults};

/// The patience of a real client.
const TIMEOUT: Duration = Duration::from_secs(15);
const URL: &str = "simulated";
/// What every bitcoind estimates at first.
const FEE_RATE: FeeRate = FeeRate::from_sat_per_kwu(500);
/// BIP125 and BIP431: what a replacement pays more than what it replaces, in satoshis per virtual byte of its own.
const INCREMENT_SAT_PER_VB: u64 = 1;

/// The version of transactions that no miner takes here.
const UNMINED: transaction::Version = transaction::Version(7);

/// The chain that all see. Clones are the same.
#[derive(Clone)]
pub struct Bitcoin {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

struct State {
    blocks: Vec<Block>,
    /// Blocks that left the best chain: a bitcoind keeps them.
    stale: Vec<Block>,
    /// Unspent outputs of the chain, with the height they are at.
    unspent: BTreeMap<OutPoint, (TxOut, u32)>,
    mempool: Vec<Transaction>,
    /// Payments so far: their inputs come from outside the simulation, and must differ.
    payments: u64,
    estimate: Option<FeeRate>,
    /// Miners leave out what pays less.
    least: FeeRate,
}

/// One relayer's bitcoind.
pub struct SimulatedBitcoind {
    pub bitcoin: Bitcoin,
    pub faults: Faults,
}

impl Bitcoin {
    /// Regtest's first block.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
        let state = State {
            blocks: vec![genesis],
            stale: Vec::new(),
            unspent: BTreeMap::new(),
            mempool: Vec::new(),
            payments: 0,
            estimate: Some(FEE_RATE),
            least: FeeRate::ZERO,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Pays to a script in the next block.
    pub fn pay(&self, script: ScriptBuf, amount: Amount) {
        let mut state = self.lock();
        state.payments += 1;
        let outside = Txid::hash(&state.payments.to_be_bytes());
        let payment = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![input(OutPoint { txid: outside, vout: 0 }, ScriptBuf::new())],
            output: vec![TxOut { value: amount, script_pubkey: script }],
        };
        state.mempool.push(payment);
    }

    /// Mines blocks with all that waits.
    pub fn mine(&self, count: u32) {
        let now = u32::try_from(self.clock.unix_ms() / 1000).expect("before 2106");
        (0..count).for_each(|_| self.lock().mine(now));
    }

    /// What every bitcoind estimates from now on.
    pub fn estimate(&self, rate: Option<FeeRate>) {
        self.lock().estimate = rate;
    }

    /// Miners leave out vault transactions that pay less.
    pub fn mine_only_above(&self, least: FeeRate) {
        self.lock().least = least;
    }

    /// Every mempool loses everything.
    pub fn lose_mempool(&self) {
        self.lock().mempool.clear();
    }

    /// Takes the last blocks out of the best chain, and mines a longer one without what was in them; payments from outside wait to be mined again, what
    /// the federation made is lost by the mempools.
    ///
    /// # Panics
    ///
    /// When there are not so many blocks.
    pub fn reorganise(&self, blocks: usize) {
        self.reorganise_with(blocks, |payment| payment);
    }

    /// The same; what paid to a script spends its inputs on something else.
    ///
    /// # Panics
    ///
    /// When there are not so many blocks.
    pub fn double_spend(&self, blocks: usize, script: &ScriptBuf) {
        let elsewhere = ScriptBuf::from_bytes([&[0x00, 0x14], &[0xee; 20][..]].concat());
        self.reorganise_with(blocks, |mut payment| {
            for output in payment.output.iter_mut().filter(|output| output.script_pubkey == *script) {
                output.script_pubkey.clone_from(&elsewhere);
            }
            payment
        });
    }

    /// The same; no mempool keeps anything of it.
    ///
    /// # Panics
    ///
    /// When there are not so many blocks.
    pub fn reorganise_and_forget(&self, blocks: usize) {
        self.reorganise(blocks);
        self.lose_mempool();
    }

    /// What else spends the unspent output of a script waits in every mempool, as a reclaim: no miner takes it.
    ///
    /// # Panics
    ///
    /// When nothing pays the script.
    pub fn contest(&self, script: &ScriptBuf) {
        let mut state = self.lock();
        let found = state.unspent.iter().find(|(_, (output, _))| output.script_pubkey == *script);
        let (outpoint, (output, _)) = found.expect("it is paid and unspent");
        let reclaim = Transaction {
            version: UNMINED,
            lock_time: LockTime::ZERO,
            input: vec![input(*outpoint, ScriptBuf::new())],
            output: vec![TxOut { value: Amount::from_sat(330), ..output.clone() }],
        };
        state.mempool.retain(|waits| !conflict(waits, &reclaim));
        state.mempool.push(reclaim);
    }

    fn reorganise_with(&self, blocks: usize, change: impl Fn(Transaction) -> Transaction) {
        let mut state = self.lock();
        let kept = state.blocks.len() - blocks;
        let gone = state.blocks.split_off(kept);
        let (mined, gone) = (std::mem::take(&mut state.blocks), gone);
        state.stale.extend(gone.iter().cloned());
        state.unspent.clear();
        for block in mined {
            state.connect(block);
        }
        state.mempool.clear();
        drop(state);
        let now = u32::try_from(self.clock.unix_ms() / 1000).expect("before 2106");
        (0..=blocks).for_each(|_| self.lock().mine(now + 1));
        let outside = gone.into_iter().flat_map(|block| block.txdata.into_iter().skip(1));
        let mut state = self.lock();
        let payments = outside.filter(|transaction| transaction.version != transaction::Version(3));
        state.mempool.extend(payments.map(change));
    }

    /// What was paid to a script in blocks.
    #[must_use]
    pub fn paid(&self, script: &ScriptBuf) -> Amount {
        let state = self.lock();
        let outputs = state.blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
        outputs.filter(|output| output.script_pubkey == *script).map(|output| output.value).sum()
    }

    /// Whether a transaction waits or is in a block.
    #[must_use]
    pub fn has_seen(&self, txid: Txid) -> bool {
        let state = self.lock();
        let mut seen = state.mempool.iter().chain(state.blocks.iter().flat_map(|block| &block.txdata));
        seen.any(|transaction| transaction.compute_txid() == txid)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tip(&self) -> (u32, &Block) {
        let height = u32::try_from(self.blocks.len() - 1).expect("a short chain");
        (height, self.blocks.last().expect("the first block"))
    }

    fn at(&self, height: Height) -> Option<&Block> {
        self.blocks.get(height as usize)
    }

    fn find(&self, hash: BlockHash) -> Option<&Block> {
        self.blocks.iter().rev().chain(&self.stale).find(|block| block.block_hash() == hash)
    }

    fn mine(&mut self, now: u32) {
        let (parent_height, parent) = self.tip();
        let height = parent_height + 1;
        let header = Header {
            version: Version::from_consensus(4),
            prev_blockhash: parent.block_hash(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: now.max(parent.header.time + 1),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut txdata = vec![coinbase(height)];
        let waiting = std::mem::take(&mut self.mempool);
        for transaction in waiting {
            if self.is_mined(&transaction, &txdata) { txdata.push(transaction) } else { self.mempool.push(transaction) }
        }
        let mut block = Block { header, txdata };
        block.header.merkle_root = block.compute_merkle_root().expect("it has a coinbase");
        let target = Target::from_compact(header.bits);
        while !target.is_met_by(block.block_hash()) {
            block.header.nonce += 1;
        }
        self.connect(block);
    }

    /// Whether a miner takes it: after what it spends, and for enough.
    fn is_mined(&self, transaction: &Transaction, before: &[Transaction]) -> bool {
        if transaction.version != transaction::Version(3) {
            return transaction.version != UNMINED;
        }
        let is_there = |input: &TxIn| {
            let outpoint = input.previous_output;
            self.unspent.contains_key(&outpoint) || before.iter().any(|parent| parent.compute_txid() == outpoint.txid)
        };
        let spent: Vec<TxOut> = transaction
            .input
            .iter()
            .filter_map(|input| Some(self.unspent.get(&input.previous_output)?.0.clone()))
            .collect();
        transaction.input.iter().all(is_there)
            && (spent.len() < transaction.input.len() || rate(transaction, &spent) >= self.least)
    }

    fn connect(&mut self, block: Block) {
        let height = u32::try_from(self.blocks.len()).expect("a short chain");
        for transaction in &block.txdata {
            let txid = transaction.compute_txid();
            transaction.input.iter().for_each(|input| drop(self.unspent.remove(&input.previous_output)));
            for (vout, output) in (0..).zip(&transaction.output) {
                self.unspent.insert(OutPoint { txid, vout }, (output.clone(), height));
            }
        }
        let spent: std::collections::BTreeSet<OutPoint> =
            block.txdata.iter().flat_map(|transaction| &transaction.input).map(|input| input.previous_output).collect();
        self.mempool.retain(|waits| !waits.input.iter().any(|input| spent.contains(&input.previous_output)));
        self.blocks.push(block);
    }

    fn fee(&self, transaction: &Transaction) -> Amount {
        let known = |input: &TxIn| self.confirmed(input.previous_output).map(|(output, _)| output.value.to_sat());
        let inputs: u64 = transaction.input.iter().filter_map(known).sum();
        let outputs: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        Amount::from_sat(inputs.saturating_sub(outputs))
    }

    /// An output that the mempool does not spend, with its confirmations.
    fn unspent_with_mempool(&self, outpoint: OutPoint) -> Option<(TxOut, u32)> {
        let spends =
            |transaction: &Transaction| transaction.input.iter().any(|input| input.previous_output == outpoint);
        if self.mempool.iter().any(spends) {
            return None;
        }
        self.confirmed(outpoint).or_else(|| {
            let parent = self.mempool.iter().find(|transaction| transaction.compute_txid() == outpoint.txid)?;
            Some((parent.output.get(outpoint.vout as usize)?.clone(), 0))
        })
    }

    fn confirmed(&self, outpoint: OutPoint) -> Option<(TxOut, u32)> {
        let (output, height) = self.unspent.get(&outpoint)?;
        Some((output.clone(), self.tip().0 + 1 - height))
    }

    fn accept(&mut self, signed: &Transaction) -> Result<Txid, String> {
        let txid = signed.compute_txid();
        if self.mempool.iter().any(|known| known.compute_txid() == txid) {
            return Ok(txid);
        }
        // A payment from outside that was in a block before.
        let mut stale = self.stale.iter().flat_map(|block| &block.txdata);
        if signed.version == transaction::Version::TWO && stale.any(|known| known.compute_txid() == txid) {
            let mined = self.blocks.iter().flat_map(|block| &block.txdata);
            if self.mempool.iter().chain(mined).any(|other| conflict(other, signed)) {
                return Err("bad-txns-inputs-missingorspent".to_owned());
            }
            self.mempool.push(signed.clone());
            return Ok(txid);
        }
        let rivals: Vec<Transaction> = self.mempool.iter().filter(|waits| conflict(waits, signed)).cloned().collect();
        self.mempool.retain(|waits| !conflict(waits, signed));
        let accepted = self.accept_instead(signed, &rivals);
        if accepted.is_err() {
            self.mempool.extend(rivals);
        }
        accepted.map(|()| txid)
    }

    fn accept_instead(&mut self, signed: &Transaction, rivals: &[Transaction]) -> Result<(), String> {
        let spent: Option<Vec<TxOut>> =
            signed.input.iter().map(|input| Some(self.unspent_with_mempool(input.previous_output)?.0)).collect();
        let spent = spent.ok_or("bad-txns-inputs-missingorspent")?;
        let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.value.to_sat()).sum::<u64>();
        if sum(&spent) <= sum(&signed.output) {
            return Err("min relay fee not met".to_owned());
        }
        let fee = sum(&spent) - sum(&signed.output);
        for rival in rivals {
            let known = |input: &TxIn| self.confirmed(input.previous_output).map(|(output, _)| output);
            let inputs: Vec<TxOut> = rival.input.iter().filter_map(known).collect();
            let replaced = sum(&inputs).saturating_sub(sum(&rival.output));
            if fee < replaced + INCREMENT_SAT_PER_VB * signed.vsize() as u64 {
                return Err("insufficient fee".to_owned());
            }
        }
        check_signatures(signed, &spent)?;
        self.mempool.push(signed.clone());
        Ok(())
    }
}

fn conflict(one: &Transaction, other: &Transaction) -> bool {
    one.input.iter().any(|input| other.input.iter().any(|others| others.previous_output == input.previous_output))
}

/// What a transaction pays for its size.
fn rate(transaction: &Transaction, spent: &[TxOut]) -> FeeRate {
    let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.value.to_sat()).sum::<u64>();
    let fee = sum(spent).saturating_sub(sum(&transaction.output));
    FeeRate::from_sat_per_kwu(fee * 1_000 / transaction.weight().to_wu())
}

/// BIP341 key path spends, as all vault transactions are.
fn check_signatures(signed: &Transaction, spent: &[TxOut]) -> Result<(), String> {
    let mut cache = SighashCache::new(signed);
    for (index, (input, output)) in signed.input.iter().zip(spent).enumerate() {
        let sighash = cache
            .taproot_key_spend_signature_hash(index, &Prevouts::All(spent), TapSighashType::Default)
            .map_err(|error| error.to_string())?;
        let key =
            XOnlyPublicKey::from_slice(&output.script_pubkey.as_bytes()[2..]).map_err(|error| error.to_string())?;
        let signature = input.witness.nth(0).and_then(|bytes| schnorr::Signature::from_slice(bytes).ok());
        let signature = signature.ok_or("an input is not signed")?;
        let verified = SECP256K1.verify_schnorr(&signature, &Message::from_digest(sighash.to_byte_array()), &key);
        verified.map_err(|error| format!("input {index}: {error}"))?;
    }
    Ok(())
}

fn coinbase(height: Height) -> Transaction {
    let script = bitcoin::script::Builder::new().push_int(i64::from(height)).push_int(7).into_script();
    Transaction {
        version: transaction::Version::ONE,
        lock_time: LockTime::ZERO,
        input: vec![input(OutPoint::null(), script)],
        output: vec![TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::from_bytes(vec![0x51]) }],
    }
}

fn input(previous_output: OutPoint, script_sig: ScriptBuf) -> TxIn {
    TxIn { previous_output, script_sig, sequence: Sequence::MAX, witness: Witness::new() }
}

impl SimulatedBitcoind {
    /// The chain, unless the call fails.
    async fn ask(&self, method: &'static str) -> Result<MutexGuard<'_, State>, RpcError> {
        match self.faults.of(method) {
            None => Ok(self.bitcoin.lock()),
            Some(Fault::Refuses) => {
                Err(RpcError::Unreachable { url: URL.to_owned(), reason: "connection refused".to_owned() })
            }
            Some(Fault::Errs) => Err(RpcError::Refused { method, code: -32603, reason: "internal error".to_owned() }),
            Some(Fault::Hangs) => {
                self.bitcoin.clock.sleep(TIMEOUT).await;
                Err(RpcError::Timeout { url: URL.to_owned(), method, after: TIMEOUT })
            }
        }
    }
}

impl Bitcoind for SimulatedBitcoind {
    fn url(&self) -> &str {
        URL
    }

    async fn chain_info(&self) -> Result<ChainInfo, RpcError> {
        let state = self.ask("getblockchaininfo").await?;
        let (height, block) = state.tip();
        let tip = block.block_hash();
        let network = Network::Regtest;
        Ok(ChainInfo { network, height, tip, headers: height, catching_up: false, pruned_below: None })
    }

    async fn block_hash(&self, height: Height) -> Result<Option<BlockHash>, RpcError> {
        Ok(self.ask("getblockhash").await?.at(height).map(Block::block_hash))
    }

    async fn block(&self, hash: BlockHash) -> Result<Option<Block>, RpcError> {
        Ok(self.ask("getblock").await?.find(hash).cloned())
    }

    async fn header(&self, hash: BlockHash) -> Result<Option<Header>, RpcError> {
        Ok(self.ask("getblockheader").await?.find(hash).map(|block| block.header))
    }

    async fn headers(&self, heights: Range<u32>) -> Result<Vec<Header>, RpcError> {
        let state = self.ask("getblockheader").await?;
        Ok(heights.map_while(|height| Some(state.at(height)?.header)).collect())
    }

    async fn unspent(&self, outpoint: OutPoint, mempool: bool) -> Result<Option<Unspent>, RpcError> {
        let state = self.ask("gettxout").await?;
        let found = if mempool { state.unspent_with_mempool(outpoint) } else { state.confirmed(outpoint) };
        Ok(found.map(|(output, confirmations)| Unspent {
            outpoint,
            value: output.value,
            script_pubkey: output.script_pubkey,
            confirmations,
            coinbase: false,
            tip: state.tip().1.block_hash(),
        }))
    }

    async fn is_in_mempool(&self, txid: Txid) -> Result<bool, RpcError> {
        let state = self.ask("getmempoolentry").await?;
        Ok(state.mempool.iter().any(|transaction| transaction.compute_txid() == txid))
    }

    async fn package(&self, txid: Txid) -> Result<Option<Package>, RpcError> {
        let state = self.ask("getmempoolentry").await?;
        let found = state.mempool.iter().find(|transaction| transaction.compute_txid() == txid);
        Ok(found.map(|transaction| {
            let (fee, vsize) = (state.fee(transaction), transaction.vsize() as u64);
            Package { fee, vsize, with_children: fee, vsize_with_children: vsize }
        }))
    }

    async fn spending(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, RpcError> {
        let state = self.ask("gettxspendingprevout").await?;
        let spends = |transaction: &&Transaction, outpoint: &OutPoint| {
            transaction.input.iter().any(|input| input.previous_output == *outpoint)
        };
        let by = |outpoint: &OutPoint| state.mempool.iter().find(|transaction| spends(transaction, outpoint));
        Ok(outpoints.iter().map(|outpoint| by(outpoint).map(Transaction::compute_txid)).collect())
    }

    async fn fee_rate(&self, _blocks: u16) -> Result<Option<FeeRate>, RpcError> {
        self.ask("estimatesmartfee").await.map(|state| state.estimate)
    }

    /// It has no index.
    async fn block_filters(&self, _heights: Range<u32>) -> Result<Vec<(BlockHash, Vec<u8>)>, RpcError> {
        self.ask("getblockfilter").await.map(|_| Vec::new())
    }

    async fn broadcast(&self, transaction: &Transaction) -> Result<Txid, RpcError> {
        let accepted = self.ask("sendrawtransaction").await?.accept(transaction);
        accepted.map_err(|reason| RpcError::Refused { method: "sendrawtransaction", code: -26, reason })
    }
}
