//! What miners and payers can do on a live Bitcoin while relayers work: a version that was replaced is mined all the same, a funding is spent
//! twice by a reorganisation, rates jump, a mempool is full. Relayers in this process, a real bitcoind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, U256};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::key::TweakedPublicKey;
use bitcoin::secp256k1::{Keypair, Message, SECP256K1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, BlockHash, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Witness, consensus,
};
use bridge::relay::view::BlockLog;
use contracts::address::{BRIDGE, DEPOSITS};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::coin::wei;
use contracts::{Bridge, Deposits};
use mainchain::io::rpc::Auth;
use serde_json::{Value, json};
use sidechain::testing::Key;
use tests::bitcoind::Bitcoind;
use tests::federation::Federation;
use tests::known::REGTEST_ADDRESS;
use tests::relay::Relay;
use tests::user::User;

const DEPOSIT: Amount = Amount::from_sat(1_000_000);
const WITHDRAWAL_SAT: u64 = 400_000;
/// What payments here pay the miners.
const FEE: Amount = Amount::from_sat(10_000);
/// `IBridge.WithdrawalStatus`.
const QUEUED: u8 = 1;
const PAID: u8 = 3;
/// A miner takes nothing for less than what competes with this, in satoshis.
const UNWANTED: i64 = -100_000_000;

/// How soon a payout is settled, replaced or shown dead, and how long relayers have between two blocks here.
const WITHIN_BLOCKS: u32 = 6;
const BETWEEN_BLOCKS: Duration = Duration::from_secs(5);

/// What fills a mempool of 5 MB.
const FILLERS: u32 = 60;
const FILLER_BYTES: u32 = 95_000;
const FILLER_PAYS: Amount = Amount::from_sat(2_000_000);

/// A network that works on a real bitcoind, with somebody who pays.
struct Peg {
    federation: Federation,
    user: User,
    /// What bitcoind estimates, in sat/vB.
    estimate: Arc<AtomicU64>,
}

impl Peg {
    /// With its key and a reserve.
    async fn open(bitcoind: &Bitcoind) -> Self {
        let user = User::with_rewards(bitcoind, 5).await;
        let estimate = Arc::new(AtomicU64::new(10));
        let relay = estimating(bitcoind, &estimate);
        let logins = std::array::from_fn(|_| (relay.url.clone(), Auth::Cookie(bitcoind.cookie())));
        let mut peg = Self { federation: Federation::started(logins), user, estimate };
        peg.federation.until_key().await;
        peg.fill_reserve().await;
        peg
    }

    /// A deposit to a reserve that has nothing.
    async fn fill_reserve(&mut self) {
        let script = self.federation.register(BRIDGE);
        self.user.pay(&script, DEPOSIT).await;
        self.federation.until_reserve(|| mine(&self.user)).await;
        self.user.sync().await;
    }

    /// Somebody gets coins, which can be withdrawn.
    async fn owner(&mut self, number: u64) -> Key {
        let owner = Key::new(number);
        let script = self.federation.register(owner.address);
        self.user.pay(&script, DEPOSIT).await;
        self.until_minted(owner.address).await;
        self.user.mine(self.federation.sidechain.info().parameters.final_blocks).await;
        self.user.sync().await;
        owner
    }

    async fn until_minted(&self, account: Address) {
        self.federation.until_minted(account, || mine(&self.user)).await;
    }

    /// Asks for a payout; the script that it is to pay.
    async fn withdraw(&self, owner: &Key, sat: u64, max_fee_sat: u64, number: u8) -> ScriptBuf {
        let script = ScriptBuf::from_bytes([&[0x00, 20][..], &[number; 20]].concat());
        let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: max_fee_sat };
        let sidechain = &self.federation.sidechain;
        let count = || sidechain.view(BRIDGE, &Bridge::withdrawalCountCall {});
        let before = count();
        sidechain.send(owner, BRIDGE, wei(sat), call.abi_encode().into());
        self.federation.until("it is asked for", async || (count() > before).then_some(())).await;
        script
    }

    fn withdrawal(&self, id: u64) -> u8 {
        self.federation.sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: U256::from(id) }).status
    }

    async fn until_paid(&self, id: u64) {
        let paid = async || {
            mine(&self.user).await;
            (self.withdrawal(id) == PAID).then_some(())
        };
        self.federation.until("it is paid", paid).await;
    }

    async fn mempool(&self) -> Vec<Transaction> {
        let waiting = self.user.rpc.mempool().await.expect("it answers");
        self.user.rpc.mempool_transactions(&waiting).await.expect("it answers")
    }

    /// What waits and pays a script.
    async fn paying(&self, script: &ScriptBuf) -> Option<Transaction> {
        let pays = |transaction: &Transaction| transaction.output.iter().any(|output| output.script_pubkey == *script);
        self.mempool().await.into_iter().find(pays)
    }

    /// What waits and spends an outpoint.
    async fn spending(&self, outpoint: OutPoint) -> Option<Transaction> {
        let spends =
            |transaction: &Transaction| transaction.input.iter().any(|input| input.previous_output == outpoint);
        self.mempool().await.into_iter().find(spends)
    }

    /// No miner takes it.
    async fn unwanted(&self, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        self.user.rpc.call::<Value>("prioritisetransaction", json!([txid, 0, UNWANTED])).await.expect("it answers");
    }

    /// A miner makes a block of this alone, whatever waits.
    async fn mine_alone(&self, transaction: &Transaction) {
        let raw = consensus::encode::serialize_hex(transaction);
        self.user.rpc.call::<Value>("generateblock", json!([REGTEST_ADDRESS, [raw]])).await.expect("it is valid");
    }

    /// The chain from this block on is replaced by one that begins with a transaction alone, and is longer.
    async fn replace(&self, first: BlockHash, by: &Transaction) {
        let confirmations = self.user.rpc.confirmations(first).await.expect("it answers");
        self.user.rpc.call::<Value>("invalidateblock", json!([first])).await.expect("it answers");
        self.mine_alone(by).await;
        self.user.mine(confirmations + 1).await;
    }

    /// Waits until the ledger knows that a deposit can never be swept: what it lost by it.
    async fn until_gone(&self) -> u64 {
        let sidechain = &self.federation.sidechain;
        let lost = |log: &BlockLog| Deposits::DepositGone::decode_log(&log.log).ok().map(|gone| gone.lostSat);
        let gone = async || {
            mine(&self.user).await;
            sidechain.logs(&[DEPOSITS], 0, sidechain.head()).iter().find_map(lost)
        };
        self.federation.until("it is gone", gone).await
    }

    fn require_balance(&self) {
        let books = self.federation.sidechain.books();
        let sum = |amounts: &[u64]| amounts.iter().copied().map(i128::from).sum::<i128>();
        let owed = sum(&[books.supply_sat, books.unclaimed_sat, books.owed_sat, books.unminted_sat])
            + i128::from(books.reserve_sat);
        assert_eq!(owed, sum(&[books.vault_sat, books.unswept_sat, books.lost_sat]), "{books:?}");
    }
}

fn estimating(bitcoind: &Bitcoind, estimate: &Arc<AtomicU64>) -> Relay {
    let estimate = Arc::clone(estimate);
    Relay::before(&bitcoind.url(), move |method, _, answer| {
        if method == "estimatesmartfee" {
            let rate: f64 = format!("0.{:05}", estimate.load(Ordering::Relaxed)).parse().expect("in BTC for 1,000 vB");
            answer["result"] = json!({ "feerate": rate, "blocks": 3 });
        }
    })
}

async fn mine(user: &User) {
    user.mine(1).await;
}

fn somebody(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// A coin that its owner can spend twice.
struct Coin {
    key: Keypair,
    outpoint: OutPoint,
    output: TxOut,
}

impl Coin {
    /// In the chain.
    async fn new(peg: &mut Peg, value: Amount) -> Self {
        let key = Keypair::from_seckey_slice(SECP256K1, &[43; 32]).expect("in range");
        let tweaked = TweakedPublicKey::dangerous_assume_tweaked(key.x_only_public_key().0);
        let output = TxOut { value, script_pubkey: ScriptBuf::new_p2tr_tweaked(tweaked) };
        let (transaction, vout) = peg.user.pay(&output.script_pubkey, value).await;
        mine(&peg.user).await;
        peg.user.sync().await;
        Self { key, outpoint: OutPoint { txid: transaction.compute_txid(), vout }, output }
    }

    /// As so many coins of a like value.
    async fn split(&self, peg: &Peg, count: u32, value: Amount) -> Vec<Self> {
        let output = TxOut { value, ..self.output.clone() };
        let split = self.spend(vec![output.clone(); count as usize]);
        let txid = peg.user.rpc.broadcast(&split).await.expect("it pays enough");
        mine(&peg.user).await;
        let coin = |vout| Self { key: self.key, outpoint: OutPoint { txid, vout }, output: output.clone() };
        (0..count).map(coin).collect()
    }

    fn spend(&self, output: Vec<TxOut>) -> Transaction {
        let input = TxIn {
            previous_output: self.outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let mut spend = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output };
        let sighash = SighashCache::new(&spend)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&[&self.output]), TapSighashType::Default)
            .expect("one input");
        let signature = SECP256K1.sign_schnorr(&Message::from_digest(sighash.to_byte_array()), &self.key);
        spend.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
        spend
    }
}

/// Two deposits of a block, of whom somebody(1) can spend the coin of the first twice.
struct Twice {
    block: BlockHash,
    first: OutPoint,
    rival: Transaction,
}

impl Twice {
    async fn deposited(peg: &mut Peg, other: Address) -> Self {
        let coin = Coin::new(peg, DEPOSIT + FEE).await;
        let script = peg.federation.register(somebody(1));
        let honest = coin.spend(vec![TxOut { value: DEPOSIT, script_pubkey: script }]);
        let elsewhere = ScriptBuf::from_bytes([&[0x00, 20][..], &[0xee; 20]].concat());
        let rival = coin.spend(vec![TxOut { value: DEPOSIT, script_pubkey: elsewhere }]);
        peg.user.rpc.broadcast(&honest).await.expect("it pays enough");
        let script = peg.federation.register(other);
        peg.user.pay(&script, DEPOSIT).await;
        let block = peg.user.mine(1).await[0];
        Self { block, first: OutPoint::new(honest.compute_txid(), 0), rival }
    }
}

// 10 sat/vB - payout, unwanted - 40 sat/vB - another version replaces it - a miner who kept the first mines that
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_mined_after_it_was_replaced_settles_and_nothing_is_paid_twice() {
    let bitcoind = Bitcoind::start().await;
    let mut peg = Peg::open(&bitcoind).await;
    let owner = peg.owner(1).await;
    let script = peg.withdraw(&owner, WITHDRAWAL_SAT, 10_000, 0xaa).await;
    let first = peg.federation.until("it is broadcast", async || peg.paying(&script).await).await;
    peg.unwanted(&first).await;
    peg.estimate.store(40, Ordering::Relaxed);
    peg.user.mine(3).await;
    let another = async || peg.paying(&script).await.filter(|waits| waits.compute_txid() != first.compute_txid());
    let second = peg.federation.until("another version is broadcast", another).await;
    assert_eq!(first.input[0].previous_output, second.input[0].previous_output, "they exclude each other");

    peg.mine_alone(&first).await;
    assert!(peg.paying(&script).await.is_none(), "no second payout waits");
    peg.until_paid(1).await;
    peg.user.mine(3).await;
    let change = OutPoint::new(first.compute_txid(), 0);
    assert!(peg.user.rpc.unspent(change, false).await.expect("it answers").is_some(), "its change is the vault's");
    assert!(peg.paying(&script).await.is_none(), "no second payout waits");
    peg.require_balance();
}

// best    ... [deposits 1 and 2]    the sweep waits      rival   ... [what spends the funding of 1] - [2] - ...
#[tokio::test(flavor = "multi_thread")]
async fn a_funding_that_is_spent_twice_before_its_sweep_settled_costs_nothing_and_stops_no_other() {
    let bitcoind = Bitcoind::start().await;
    let mut peg = Peg::open(&bitcoind).await;
    let twice = Twice::deposited(&mut peg, somebody(2)).await;
    peg.federation.until("it is swept", async || peg.spending(twice.first).await).await;
    peg.replace(twice.block, &twice.rival).await;
    peg.until_minted(somebody(2)).await;
    assert_eq!(peg.until_gone().await, 0);
    assert!(peg.federation.sidechain.balance(somebody(1)).is_zero(), "there is nothing behind it");
    assert_eq!(peg.federation.sidechain.books().lost_sat, 0);
    peg.require_balance();
}

// best    ... [deposits 1 and 2] - [sweep]: minted       rival   ... [what spends the funding of 1] - [2] - ...
#[tokio::test(flavor = "multi_thread")]
async fn a_funding_that_is_spent_twice_after_its_coins_were_minted_costs_exactly_these() {
    let bitcoind = Bitcoind::start().await;
    let mut peg = Peg::open(&bitcoind).await;
    let honest = Key::new(2);
    let twice = Twice::deposited(&mut peg, honest.address).await;
    peg.until_minted(somebody(1)).await;
    peg.until_minted(honest.address).await;
    let balance = peg.federation.sidechain.balance(somebody(1));
    peg.replace(twice.block, &twice.rival).await;
    let lost_sat = peg.until_gone().await;
    assert_eq!(wei(lost_sat), balance, "what was minted for it");
    let sidechain = peg.federation.sidechain.clone();
    assert!(sidechain.books().lost_sat < lost_sat, "the reserve pays first: {:?}", sidechain.books());
    let swept = async || {
        mine(&peg.user).await;
        (sidechain.books().unswept_sat == 0).then_some(())
    };
    peg.federation.until("the other is swept again", swept).await;
    peg.require_balance();
    // What one payout costs beyond what its withdrawal is charged comes from there.
    peg.user.sync().await;
    peg.fill_reserve().await;
    peg.withdraw(&honest, WITHDRAWAL_SAT, 10_000, 0xbb).await;
    peg.until_paid(1).await;
    assert_eq!(sidechain.balance(somebody(1)), balance, "coins stay");
    peg.require_balance();
}

// best    ... [deposit] - [sweep]: minted, final - ...       rival   ... [deposit] - longer, of blocks without the sweep, which the mempool forgot
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_deeper_than_what_counts_as_final_costs_nothing_while_nobody_spends_twice() {
    let bitcoind = Bitcoind::start().await;
    let mut peg = Peg::open(&bitcoind).await;
    let owner = Key::new(1);
    let script = peg.federation.register(owner.address);
    let (funding, vout) = peg.user.pay(&script, DEPOSIT).await;
    mine(&peg.user).await;
    let deposit = OutPoint { txid: funding.compute_txid(), vout };
    let sweep = peg.federation.until("it is swept", async || peg.spending(deposit).await).await.compute_txid();
    let block = peg.user.mine(1).await[0];
    peg.until_minted(owner.address).await;
    let sidechain = peg.federation.sidechain.clone();
    // A mempool takes back what was in the last ten blocks.
    let depth = sidechain.info().parameters.final_blocks + 12;
    peg.user.mine(depth).await;
    let tip = peg.user.rpc.best_tip().await.expect("it answers").0;
    let known = async || (sidechain.info().bitcoin_tip.height == tip).then_some(());
    peg.federation.until("the ledger knows that it is final", known).await;
    // A round of each relayer.
    tokio::time::sleep(BETWEEN_BLOCKS).await;

    peg.user.rpc.call::<Value>("invalidateblock", json!([block])).await.expect("it answers");
    assert_eq!(peg.user.rpc.mempool_entry(sweep).await.expect("it answers"), None, "the mempool forgot it");
    for _ in 0..=depth + 1 {
        let made = json!([REGTEST_ADDRESS, []]);
        peg.user.rpc.call::<Value>("generateblock", made).await.expect("it mines");
    }
    let is_back = async || {
        mine(&peg.user).await;
        let confirmations = peg.user.rpc.unspent(OutPoint::new(sweep, 0), false).await.expect("it answers");
        confirmations.filter(|output| output.confirmations > sidechain.info().parameters.final_blocks)
    };
    peg.federation.until("the sweep is in the best chain again", is_back).await;
    peg.withdraw(&owner, WITHDRAWAL_SAT, 10_000, 0xaa).await;
    peg.until_paid(1).await;
    assert_eq!(sidechain.books().lost_sat, 0);
    peg.require_balance();
}

// 10 sat/vB: payouts to one who pays little and to one who pays much wait - 200 sat/vB, and nothing cheaper is mined
#[tokio::test(flavor = "multi_thread")]
async fn after_a_jump_to_200_sat_per_vb_every_payout_is_settled_or_replaced_within_six_blocks() {
    let bitcoind = Bitcoind::start().await;
    let mut peg = Peg::open(&bitcoind).await;
    let (poor, rich) = (peg.owner(1).await, peg.owner(2).await);
    let to_poor = peg.withdraw(&poor, WITHDRAWAL_SAT, 1_500, 0xaa).await;
    let to_rich = peg.withdraw(&rich, WITHDRAWAL_SAT, 60_000, 0xbb).await;
    let mut cheap = Vec::new();
    for script in [&to_poor, &to_rich] {
        let waits = peg.federation.until("it is broadcast", async || peg.paying(script).await).await;
        peg.unwanted(&waits).await;
        cheap.push(waits.compute_txid());
    }
    peg.estimate.store(200, Ordering::Relaxed);
    let mut blocks = 0;
    while peg.withdrawal(2) != PAID {
        assert!(blocks < WITHIN_BLOCKS, "who can pay waits after {blocks} blocks");
        tokio::time::sleep(BETWEEN_BLOCKS).await;
        mine(&peg.user).await;
        blocks += 1;
    }
    let waiting = peg.user.rpc.mempool().await.expect("it answers");
    assert!(cheap.iter().all(|txid| !waiting.contains(txid)), "{waiting:?} has one of {cheap:?}");
    assert!([QUEUED, PAID].contains(&peg.withdrawal(1)), "{}", peg.withdrawal(1));
    peg.require_balance();
}

/// More than a mempool of 5 MB holds, of transactions that pay about 20 sat/vB.
async fn fillers(peg: &mut Peg) -> Vec<Transaction> {
    let coin = Coin::new(peg, FILLER_PAYS * u64::from(FILLERS) + DEPOSIT).await;
    let data = [&[0x6a, 0x4e][..], &FILLER_BYTES.to_le_bytes(), &vec![0; FILLER_BYTES as usize]].concat();
    let filler = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(data) };
    let coins = coin.split(peg, FILLERS, FILLER_PAYS).await;
    coins.iter().map(|coin| coin.spend(vec![filler.clone()])).collect()
}

// 10 sat/vB: a payout - the mempool fills with what pays 20, and forgets it - 40 sat/vB: another version is taken and mined
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_a_full_mempool_forgot_is_replaced_by_one_that_it_takes() {
    let bitcoind = Bitcoind::start_with(&["-acceptnonstdtxn=0", "-maxmempool=5"]).await;
    let mut peg = Peg::open(&bitcoind).await;
    let owner = peg.owner(1).await;
    let fillers = fillers(&mut peg).await;
    let script = peg.withdraw(&owner, WITHDRAWAL_SAT, 10_000, 0xaa).await;
    let first = peg.federation.until("it is broadcast", async || peg.paying(&script).await).await;
    let first = first.compute_txid();
    for filler in &fillers {
        // The last ones are refused: it is full.
        let _ = peg.user.rpc.broadcast(filler).await;
    }
    assert_eq!(peg.user.rpc.mempool_entry(first).await.expect("it answers"), None, "the mempool has no room for it");
    peg.estimate.store(40, Ordering::Relaxed);
    let second = peg.federation.until("another is broadcast", async || peg.paying(&script).await).await;
    assert_ne!(second.compute_txid(), first);
    peg.until_paid(1).await;
    peg.require_balance();
}
