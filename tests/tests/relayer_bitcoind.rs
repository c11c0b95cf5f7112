//! What a bitcoind can do to its relayer without breaking: it prunes, dies and comes back, is slow, knows no fees, and has seen a payment
//! before its address was known. Relayers in this process, a real bitcoind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use bitcoin::bip158::BlockFilter;
use bitcoin::key::Keypair;
use bitcoin::secp256k1::SECP256K1;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction, Txid};
use bridge::relay::view::BlockLog;
use contracts::address::{BRIDGE, DEPOSITS};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::coin::wei;
use contracts::{Bridge, Deposits};
use mainchain::deposit::{DepositOutput, DepositTerms, Peg};
use mainchain::io::rpc::{Auth, RpcError};
use serde_json::{Value, json};
use sidechain::testing::Key;
use tests::bitcoind::Bitcoind;
use tests::federation::Federation;
use tests::known::REGTEST_ADDRESS;
use tests::relay::Relay;
use tests::user::User;

const DEPOSIT: Amount = Amount::from_sat(1_000_000);
/// `IBridge.WithdrawalStatus`.
const PAID: u8 = 3;

fn somebody(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// All four operators share one bitcoind.
fn shared(bitcoind: &Bitcoind) -> [(String, Auth); 4] {
    std::array::from_fn(|_| bitcoind.login())
}

async fn mine(user: &User) {
    user.mine(1).await;
}

/// A network begins with its key, and a deposit to the reserve.
async fn open(federation: &Federation, user: &mut User) {
    federation.until_key().await;
    let script = federation.register(BRIDGE);
    user.pay(&script, DEPOSIT).await;
    federation.until_reserve(|| mine(user)).await;
    user.sync().await;
}

/// Pays to an address that nobody has registered yet, `blocks` blocks ago.
async fn paid_before(federation: &Federation, user: &mut User, to: Address, blocks: u32) {
    let (registration, script) = federation.deposit_address(to);
    user.pay(&script, DEPOSIT).await;
    user.mine(blocks).await;
    user.sync().await;
    federation.sidechain.register(&registration);
}

/// Whether a trouble of this name is told.
fn has(health: &Value, trouble: &str) -> bool {
    !health["troubles"][trouble].is_null()
}

async fn finds_payments_of_the_past(arguments: &[&str]) {
    let bitcoind = Bitcoind::start_with(arguments).await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let mut federation = Federation::started(shared(&bitcoind));
    open(&federation, &mut user).await;
    // A relayer that was there when the block came, and knew no address.
    paid_before(&federation, &mut user, somebody(1), 40).await;
    federation.until_minted(somebody(1), || mine(&user)).await;
    // Relayers that were not there at all: registered while they run, and before they start.
    for operator in 0..4 {
        federation.kill(operator).await;
    }
    paid_before(&federation, &mut user, somebody(2), 40).await;
    let (registration, script) = federation.deposit_address(somebody(3));
    user.pay(&script, DEPOSIT).await;
    user.mine(30).await;
    user.sync().await;
    (0..4).for_each(|operator| federation.start(operator));
    federation.until_minted(somebody(2), || mine(&user)).await;
    federation.sidechain.register(&registration);
    federation.until_minted(somebody(3), || mine(&user)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_before_its_registration_is_found_by_blocks_alone() {
    finds_payments_of_the_past(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_before_its_registration_is_found_by_block_filters() {
    finds_payments_of_the_past(&["-blockfilterindex=1"]).await;
}

#[tokio::test]
async fn the_filters_of_a_bitcoind_are_those_of_its_blocks_and_one_without_an_index_has_none() {
    let bitcoind = Bitcoind::start_with(&["-blockfilterindex=1"]).await;
    let user = User::with_rewards(&bitcoind, 1).await;
    let filters = user.rpc.block_filters(1..11).await.expect("it has an index");
    assert_eq!(filters.len(), 10);
    for (hash, filter) in filters {
        let block = user.rpc.block(hash).await.expect("it answers").expect("it has it");
        // No input spends anything in these.
        let want = BlockFilter::new_script_filter(&block, |_| Ok(ScriptBuf::new())).expect("only coinbases");
        assert_eq!(filter, want.content);
    }
    assert_eq!(user.rpc.block_filters(95..200).await.expect("it answers").len(), 101 + 1 - 95, "as many as there are");
    let without = Bitcoind::start().await;
    assert_eq!(without.rpc().block_filters(0..1).await, Ok(Vec::new()));
}

// 0 - ... - 250[pruned] - ... - 603           half the reclaim delay is 504 blocks
#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_bitcoind_is_enough_and_the_blocks_that_it_lacks_are_told() {
    let bitcoind = Bitcoind::start_with(&["-prune=1", "-fastprune"]).await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    for _ in 0..10 {
        user.mine(50).await;
    }
    user.sync().await;
    // It deletes whole files of some 250 blocks, and keeps the last 288.
    let pruned: i64 = user.rpc.call("pruneblockchain", json!([315])).await.expect("it prunes");
    let info = user.rpc.chain_info().await.expect("it answers");
    assert!(pruned > 110 && info.pruned_below.is_some_and(|below| below > 110), "{pruned}, {info:?}");
    let gone = user.rpc.block_hash(20).await.expect("it answers").expect("the chain is longer");
    assert!(matches!(user.rpc.block(gone).await, Err(RpcError::NoBlock { .. })));

    let federation = Federation::started(shared(&bitcoind));
    open(&federation, &mut user).await;
    let script = federation.register(somebody(1));
    user.pay(&script, DEPOSIT).await;
    mine(&user).await;
    federation.until_minted(somebody(1), || mine(&user)).await;
    let health = federation.until_health(0, "it tells what is pruned", |health| has(health, "pruned blocks")).await;
    let told = health["troubles"]["pruned blocks"].as_str().unwrap_or_default();
    assert!(told.contains("does not have blocks ") && told.contains("-prune"), "{told}");
    paid_before(&federation, &mut user, somebody(2), 20).await;
    federation.until_minted(somebody(2), || mine(&user)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bitcoind_that_is_killed_and_started_again_is_waited_for_and_told() {
    let mut bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let federation = Federation::started(shared(&bitcoind));
    open(&federation, &mut user).await;
    let script = federation.register(somebody(1));
    federation.until_health(0, "it is well", |health| health["ok"] == true).await;
    // Writes what it has in memory: kill -9 takes the rest.
    user.rpc.call::<Value>("gettxoutsetinfo", json!([])).await.expect("it answers");
    bitcoind.kill();
    let health = federation.until_health(0, "it is told", |health| has(health, "bitcoind")).await;
    assert_eq!(health["ok"], false);
    assert!(health["troubles"]["bitcoind"].as_str().is_some_and(|text| text.contains("waiting for it")), "{health}");
    bitcoind.start_again().await;
    federation.until_health(0, "it is back", |health| health["ok"] == true).await;
    user.pay(&script, DEPOSIT).await;
    mine(&user).await;
    federation.until_minted(somebody(1), || mine(&user)).await;
}

// One member is away, so the one whose bitcoind is slow is needed for every signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bitcoind_is_told_and_delays_nothing_for_good() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let slow = Relay::before(&bitcoind.url(), |_, _, _| std::thread::sleep(Duration::from_millis(2_200)));
    let mut logins = shared(&bitcoind);
    logins[1] = (slow.url.clone(), Auth::Cookie(bitcoind.cookie()));
    let mut federation = Federation::started(logins);
    open(&federation, &mut user).await;
    federation.kill(3).await;
    let script = federation.register(somebody(1));
    user.pay(&script, DEPOSIT).await;
    mine(&user).await;
    let start = Instant::now();
    federation.until_minted(somebody(1), || mine(&user)).await;
    eprintln!("minted after {} s", start.elapsed().as_secs());
    let health = federation.until_health(1, "it is told", |health| has(health, "bitcoind's speed")).await;
    assert!(health["troubles"]["bitcoind's speed"].as_str().is_some_and(|text| text.contains("is slow")), "{health}");
    assert!(!has(&health, "bitcoind"), "it answers: {health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_generation_says_who_is_missing() {
    let bitcoind = Bitcoind::start().await;
    let mut federation = Federation::new(shared(&bitcoind));
    [0, 1, 3].into_iter().for_each(|operator| federation.start(operator));
    let names_the_third = |health: &Value| health["waitedFor"][0]["member"] == 3;
    let health = federation.until_health(0, "the third is named", names_the_third).await;
    assert_eq!(health["waitedFor"].as_array().map(Vec::len), Some(1), "{health}");
    federation.start(2);
    federation.until_key().await;
    federation.until_health(0, "nobody is waited for", |health| health["waitedFor"] == json!([])).await;
}

/// What a real bitcoind estimates, through somebody in between: 10 sat/vB, then 40.
fn estimating(bitcoind: &Bitcoind, is_dear: &Arc<AtomicBool>) -> Relay {
    let is_dear = Arc::clone(is_dear);
    Relay::before(&bitcoind.url(), move |method, _, answer| {
        if method == "estimatesmartfee" {
            let rate = if is_dear.load(Ordering::Relaxed) { 0.000_4 } else { 0.000_1 };
            answer["result"] = json!({ "feerate": rate, "blocks": 3 });
        }
    })
}

/// The transaction in the mempool that pays a script.
async fn payout(user: &User, script: &ScriptBuf) -> Option<Txid> {
    let waiting = user.rpc.mempool().await.expect("it answers");
    let transactions = user.rpc.mempool_transactions(&waiting).await.expect("it answers");
    let pays = |transaction: &Transaction| transaction.output.iter().any(|output| output.script_pubkey == *script);
    transactions.iter().find(|transaction| pays(transaction)).map(Transaction::compute_txid)
}

// estimate 10 sat/vB - payout, which no miner takes - three blocks - 40 sat/vB: the mempool of a real bitcoind takes the second version
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_no_miner_takes_is_replaced_by_a_dearer_version_in_a_real_mempool() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let is_dear = Arc::new(AtomicBool::new(false));
    let relay = estimating(&bitcoind, &is_dear);
    let federation = Federation::started(std::array::from_fn(|_| (relay.url.clone(), Auth::Cookie(bitcoind.cookie()))));
    open(&federation, &mut user).await;
    let owner = Key::new(1);
    let script = federation.register(owner.address);
    user.pay(&script, DEPOSIT).await;
    federation.until_minted(owner.address, || mine(&user)).await;
    user.mine(federation.sidechain.info().parameters.final_blocks).await;

    let script = user.address().script_pubkey();
    let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: 10_000 };
    federation.sidechain.send(&owner, BRIDGE, wei(400_000), call.abi_encode().into());
    let first = federation.until("it is broadcast", async || payout(&user, &script).await).await;
    // No miner takes it for so little.
    user.rpc.call::<Value>("prioritisetransaction", json!([first, 0, -100_000_000])).await.expect("it answers");
    is_dear.store(true, Ordering::Relaxed);
    user.mine(3).await;
    let is_another = async || payout(&user, &script).await.filter(|txid| *txid != first);
    let second = federation.until("another version is broadcast", is_another).await;
    assert_eq!(user.rpc.mempool_entry(first).await.expect("it answers"), None, "{second} replaces it");
    let status = || federation.sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: U256::from(1) }).status;
    federation
        .until("it is paid", async || {
            mine(&user).await;
            (status() == PAID).then_some(())
        })
        .await;
}

/// How many deposits the ledger knows.
fn proven(federation: &Federation) -> usize {
    let logs = federation.sidechain.logs(&[DEPOSITS], 0, federation.sidechain.head());
    let is_proven = |log: &BlockLog| log.log.topics().first() == Some(&Deposits::DepositProven::SIGNATURE_HASH);
    logs.iter().filter(|log| is_proven(log)).count()
}

/// Three deposits, which nobody sweeps while there is no estimate, until their owners can reclaim them: the address of the first, and what pays each.
async fn old_deposits(federation: &Federation, user: &mut User, knows: &AtomicBool) -> (DepositOutput, Vec<OutPoint>) {
    knows.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(35)).await;
    let mut paid = Vec::new();
    let mut first = None;
    for number in 1..=3 {
        let (registration, script) = federation.deposit_address(somebody(number));
        federation.sidechain.register(&registration);
        first = first.or_else(|| DepositTerms::try_from(&registration.terms).ok());
        let (transaction, vout) = user.pay(&script, DEPOSIT).await;
        paid.push(OutPoint { txid: transaction.compute_txid(), vout });
    }
    // Of one block, so that their reclaim is near for all of them or for none, whenever they are swept.
    mine(user).await;
    user.sync().await;
    let known = async || (proven(federation) >= 4).then_some(());
    federation.until("they are proven", known).await;
    let info = federation.sidechain.info();
    let delay = info.parameters.reclaim_delay;
    for _ in 0..=delay / 100 {
        user.mine(100).await;
    }
    let peg =
        Peg { network_id: info.network_id.0, bridge: BRIDGE.into_array(), delay: delay.try_into().expect("some") };
    let key = info.group_key.expect("a key");
    let key = bitcoin::XOnlyPublicKey::from_slice(key.as_slice()).expect("the contract checked it");
    (first.expect("terms").output(&peg, key), paid)
}

/// Three old deposits that one sweep in the mempool spends, which the owner of the first can reclaim.
struct Late {
    federation: Federation,
    user: User,
    paid: Vec<OutPoint>,
    reclaim: Transaction,
}

impl Late {
    async fn swept_together(bitcoind: &Bitcoind) -> Self {
        let mut user = User::with_rewards(bitcoind, 5).await;
        let knows = Arc::new(AtomicBool::new(true));
        let is_known = Arc::clone(&knows);
        let relay = Relay::before(&bitcoind.url(), move |method, _, answer| {
            if method == "estimatesmartfee" {
                let is_known = is_known.load(Ordering::Relaxed);
                answer["result"] =
                    if is_known { json!({ "feerate": 0.000_1, "blocks": 3 }) } else { json!({ "blocks": 3 }) };
            }
        });
        let logins = std::array::from_fn(|_| (relay.url.clone(), Auth::Cookie(bitcoind.cookie())));
        let mut federation = Federation::new(logins);
        federation.fee_rate = None;
        (0..4).for_each(|operator| federation.start(operator));
        open(&federation, &mut user).await;
        let (address, paid) = old_deposits(&federation, &mut user, &knows).await;
        knows.store(true, Ordering::Relaxed);
        // The generator's secret is one.
        let mut secret = [0; 32];
        secret[31] = 1;
        let key = Keypair::from_seckey_slice(SECP256K1, &secret).expect("a key");
        let to = ScriptBuf::from_bytes([&[0x00, 0x14], &[0xee; 20][..]].concat());
        let rate = FeeRate::from_sat_per_vb_u32(200);
        let reclaim = address.reclaim(&[(paid[0], DEPOSIT)], to, rate, &key).expect("it is its owner's");
        let late = Self { federation, user, paid, reclaim };
        let sweep = async || late.spent_by().await.into_iter().collect::<Option<Vec<Txid>>>();
        let by = late.federation.until("all are swept", sweep).await;
        assert_eq!((by[0], by[0]), (by[1], by[2]), "together");
        late
    }

    /// What spends each deposit in the mempool.
    async fn spent_by(&self) -> Vec<Option<Txid>> {
        self.user.rpc.spending(&self.paid).await.expect("it answers")
    }

    async fn until_the_others_are_minted(&self) {
        for number in [2, 3] {
            self.federation.until_minted(somebody(number), || mine(&self.user)).await;
        }
        assert!(self.federation.sidechain.balance(somebody(1)).is_zero(), "it was taken back");
    }
}

// sweep of 1, 2 and 3 in the mempool - the owner of 1 replaces it by a reclaim - 2 and 3 are swept without a block in between
#[tokio::test(flavor = "multi_thread")]
async fn a_reclaim_that_takes_the_place_of_a_sweep_and_is_not_mined_holds_up_no_other_deposit() {
    let bitcoind = Bitcoind::start().await;
    let late = Late::swept_together(&bitcoind).await;
    let reclaim = late.user.rpc.broadcast(&late.reclaim).await.expect("it pays more");
    let others = async || {
        let by = late.spent_by().await;
        (by[0] == Some(reclaim) && by[1].is_some() && by[1] == by[2]).then_some(())
    };
    late.federation.until("the others are swept without it", others).await;
    late.until_the_others_are_minted().await;
}

// sweep of 1, 2 and 3 in the mempool - a miner takes the reclaim of 1, which no mempool has, into a block instead
#[tokio::test(flavor = "multi_thread")]
async fn a_reclaim_that_a_miner_prefers_to_a_sweep_ends_that_deposit_and_holds_up_no_other() {
    let bitcoind = Bitcoind::start().await;
    let late = Late::swept_together(&bitcoind).await;
    let raw = bitcoin::consensus::encode::serialize_hex(&late.reclaim);
    late.user.rpc.call::<Value>("generateblock", json!([REGTEST_ADDRESS, [raw]])).await.expect("it is valid");
    late.until_the_others_are_minted().await;
    let sidechain = &late.federation.sidechain;
    let gone = async || {
        mine(&late.user).await;
        let logs = sidechain.logs(&[DEPOSITS], 0, sidechain.head());
        let is_gone = |log: &BlockLog| log.log.topics().first() == Some(&Deposits::DepositGone::SIGNATURE_HASH);
        logs.iter().any(is_gone).then_some(())
    };
    late.federation.until("the ledger knows that it is gone", gone).await;
    assert_eq!(sidechain.books().lost_sat, 0, "no coins were made for it");
}
