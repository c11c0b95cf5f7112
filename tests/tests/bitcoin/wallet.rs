//! The wallet of `causeway wallet`: receives, pays, survives a reorganisation, and comes back from its words.

use bitcoin::{Amount, BlockHash};
use bridge::io::wallet::public::PublicWallet;
use bridge::io::wallet::{Seed, Wallet, WalletError};
use mainchain::Network;
use serde_json::{Value, json};
use tests::bitcoind::Bitcoind;
use tests::known::DEVELOPER_0;
use tests::user::{PASSPHRASE, QUICK, User};

use crate::spending::rate;

#[tokio::test]
async fn the_wallet_receives_pays_and_survives_a_reorganisation() {
    let bitcoind = Bitcoind::start().await;
    let mut rich = User::with_rewards(&bitcoind, 3).await;
    let mut poor = User::with_rewards(&bitcoind, 0).await;
    assert_eq!(rich.wallet.balance().confirmed, Amount::from_int_btc(150));

    let script = poor.address().script_pubkey();
    assert!(script.is_p2tr());
    let dear = rich.wallet.prepare(&rich.seed, script.clone(), Some(Amount::from_int_btc(1)), rate(1_500));
    let (rpc, (dear, _)) = (rich.rpc.clone(), dear.expect("it has enough"));
    let refused =
        rich.wallet.submit(&rpc, dear, rate(1_000), 0).await.expect_err("above the bound that bitcoind was given");
    assert!(refused.to_string().contains("exceeds maximum"), "{refused}");
    let (payment, _) = rich.pay(&script, Amount::from_int_btc(1)).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().untrusted_pending, Amount::from_int_btc(1), "seen in the mempool");
    let blocks = rich.mine(2).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().confirmed, Amount::from_int_btc(1));
    assert_eq!(poor.wallet.history()[0].txid, payment.compute_txid());

    reorganise(&mut rich, &mut poor, blocks[0]).await;
    everything_can_be_spent(&mut rich, &mut poor).await;
}

/// The payment's blocks are replaced by empty ones: it is unconfirmed again, until it is mined again.
async fn reorganise(rich: &mut User, poor: &mut User, first: BlockHash) {
    let _: Option<()> = poor.rpc.call("invalidateblock", json!([first])).await.expect("regtest");
    let miner = rich.address().to_string();
    for _ in 0..3 {
        let empty = poor.rpc.call::<Value>("generateblock", json!([miner, []]));
        empty.await.expect("regtest mines");
    }
    poor.sync().await;
    assert_eq!(poor.wallet.height(), poor.rpc.best_tip().await.expect("answers").0);
    assert_eq!(poor.wallet.balance().confirmed, Amount::ZERO);
    assert_eq!(poor.wallet.balance().untrusted_pending, Amount::from_int_btc(1));
    rich.mine(1).await;
    poor.sync().await;
    assert_eq!(poor.wallet.balance().confirmed, Amount::from_int_btc(1));
}

/// Everything it has, to somebody else; then there is nothing left.
async fn everything_can_be_spent(rich: &mut User, poor: &mut User) {
    let script = poor.address().script_pubkey();
    rich.sync().await;
    rich.pay(&script, Amount::from_int_btc(2)).await;
    rich.mine(1).await;
    poor.sync().await;
    let rpc = poor.rpc.clone();
    let to = rich.address().script_pubkey();
    let sent = poor.wallet.send(&rpc, &poor.seed, to.clone(), None, rate(5), 0).await.expect("all of it");
    assert_eq!(sent.amount + sent.fee, Amount::from_int_btc(3));
    let error = poor.wallet.send(&rpc, &poor.seed, to.clone(), Some(Amount::from_sat(5_000)), rate(5), 0).await;
    assert!(matches!(error, Err(WalletError::TooLittle { .. })), "{error:?}");
    let error = rich.wallet.send(&rpc, &rich.seed, to, Some(Amount::from_sat(329)), rate(5), 0).await;
    assert!(matches!(error, Err(WalletError::Dust { .. })), "{error:?}");
}

#[tokio::test]
async fn a_wallet_is_restored_from_its_words_and_opens_only_where_it_should() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 2).await;
    let (folder, words) = (user.folder().to_owned(), user.seed.words().to_owned());
    let open = |network| Wallet::open(&folder, network);

    assert!(matches!(open(Network::Regtest), Err(WalletError::Locked(_))), "a second process");
    let balance = user.wallet.balance();
    let address = user.address();
    let (mut wallet, rpc, _keep) = user.into_parts();
    assert!(wallet.unlock("wrong horse").is_err());
    assert_eq!(wallet.unlock(PASSPHRASE).expect("its own passphrase").words(), words);
    drop(wallet);

    let mut again = open(Network::Regtest).expect("nobody uses it");
    assert_eq!(again.balance(), balance);
    assert_ne!(again.address().expect("an address"), address, "addresses are not used twice");
    drop(again);
    let other = open(Network::Signet).expect_err("a regtest wallet");
    assert!(matches!(other, WalletError::OtherNetwork { .. }), "{other}");
    let words_in_file = std::fs::read_to_string(folder.join("seed.json")).expect("readable");
    // One word alone may stand there by chance: "public" is in the list of words, and in the file.
    let listed: Vec<&str> = words.split(' ').collect();
    for pair in listed.windows(2) {
        assert!(!words_in_file.contains(&pair.join(" ")), "encrypted at rest");
    }

    // What it saw of the chain can be deleted; a damaged file says so.
    std::fs::write(folder.join("chain.db"), "rubbish").expect("writable");
    let damaged = open(Network::Regtest).expect_err("rubbish");
    assert!(damaged.to_string().contains("delete it"), "{damaged}");
    std::fs::remove_file(folder.join("chain.db")).expect("there");
    let mut fresh = open(Network::Regtest).expect("the seed is there");
    assert_eq!(fresh.balance().total(), Amount::ZERO);
    fresh.sync(&rpc, 0, |_| {}).await.expect("reads all blocks");
    assert_eq!(fresh.balance(), balance);

    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let (seed, mut rng) = (Seed::parse(&words.to_uppercase()).expect("the words"), rand::thread_rng());
    let make = |network, rng: &mut _| Wallet::create(elsewhere.path(), network, &seed, 0, PASSPHRASE, QUICK, rng);
    assert!(matches!(make(Network::Mainnet, &mut rng), Err(WalletError::Mainnet)));
    let mut restored = make(Network::Regtest, &mut rng).expect("an empty folder");
    restored.sync(&rpc, 0, |_| {}).await.expect("reads all blocks");
    assert_eq!((restored.balance(), restored.account()), (balance, fresh.account()));
    drop(restored);
    assert!(matches!(make(Network::Regtest, &mut rng), Err(WalletError::Exists(_))));
    assert!(matches!(Seed::parse("test test test"), Err(WalletError::BadMnemonic(_))));
}

/// What other wallets derive from the same words.
#[test]
fn a_seeds_keys_are_the_standards() {
    let about = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let seed = Seed::parse(about).expect("a valid mnemonic");
    // The account that every Ethereum tool derives from the developers' mnemonic.
    let dev = Seed::parse("test test test test test test test test test test test junk").expect("valid");
    assert_eq!(dev.account_address(), DEVELOPER_0);
    assert_eq!(seed.account_address().to_string(), "0x9858EfFD232B4033E47d90003D41EC34EcaEda94");
    // Our own path: frozen, as deposits depend on it.
    assert_eq!(
        seed.reclaim_key(0).x_only_public_key().0.to_string(),
        "6bb8d0144cd5aaa28ab64291a790751a131379bd2175b5f637e96be4896dd3d3"
    );
    assert_ne!(seed.reclaim_key(0), seed.reclaim_key(1));
    assert!(!format!("{seed:?}").contains("abandon"));
}

#[tokio::test]
async fn bitcoin_core_makes_the_same_addresses_from_the_exported_descriptors() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 0).await;
    let public = PublicWallet::find(user.folder(), Network::Regtest).expect("readable").expect("there");
    let (receive, change) = match public.descriptors().as_slice() {
        [(receive, false), (change, true)] => (receive.clone(), change.clone()),
        other => panic!("{other:?}"),
    };
    // Core takes them by their checksums, finds no secret in them, and derives the wallet's addresses in their order.
    for descriptor in [&receive, &change] {
        let info: Value = user.rpc.call("getdescriptorinfo", json!([descriptor])).await.expect("an answer");
        let facts = (&info["descriptor"], &info["hasprivatekeys"], &info["isrange"]);
        assert_eq!(facts, (&descriptor.as_str().into(), &false.into(), &true.into()), "{info}");
    }
    let derived: Vec<String> = user.rpc.call("deriveaddresses", json!([receive, [0, 2]])).await.expect("addresses");
    assert_eq!(derived, [(); 3].map(|()| user.address().to_string()));
}
