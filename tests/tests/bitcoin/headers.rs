//! Headers of a real node: followed through a reorganisation, and verified from a file by the command line.

use mainchain::{HeaderChain, HeaderError, Network};
use tests::binary;
use tests::bitcoind::Bitcoind;
use tests::user::User;

// node   0 - 1 - ... - 20 - 21 - 22
//                         \ 21b - 22b - 23b
#[tokio::test]
async fn the_header_chain_follows_a_real_node_through_a_reorganisation() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 0).await;
    let rpc = bitcoind.rpc();
    let mut chain = HeaderChain::from_genesis(Network::Regtest);
    let now = u32::MAX - 10_000;

    let first = user.mine(22).await;
    let headers = rpc.headers(1..1000).await.expect("answers");
    assert_eq!(headers.len(), 22, "as many as there are");
    chain.apply(&headers, now).expect("a real chain");
    assert_eq!((chain.height(), chain.tip().hash()), (22, first[21]));
    assert_eq!(rpc.best_tip().await, Ok((22, first[21])));

    let invalid: Option<()> =
        rpc.call("invalidateblock", serde_json::json!([first[20]])).await.expect("regtest allows it");
    assert_eq!(invalid, None);
    assert_eq!(rpc.confirmations(first[20]).await, Ok(0));
    // To somebody else, as the same blocks again would be the invalid ones.
    let somebody = user.address();
    let second = rpc.generate(3, &somebody).await.expect("regtest mines");
    let rival = rpc.headers(21..24).await.expect("answers");
    let changes = chain.apply(&rival, now).expect("a real chain");
    assert_eq!(changes.disconnected.iter().map(|block| block.hash).collect::<Vec<_>>(), [first[21], first[20]]);
    assert_eq!(changes.connected.iter().map(|block| block.hash).collect::<Vec<_>>(), second);
    assert_eq!(rpc.header(second[0]).await, Ok(Some(rival[0])));
    assert_eq!((chain.confirmations(&second[0]), rpc.confirmations(second[0]).await), (3, Ok(3)));

    // Node and chain refuse the same header.
    let mut block = rpc.block(second[2]).await.expect("answers").expect("the tip");
    block.header.time = rival[0].time - 100_000;
    while !block.header.target().is_met_by(block.block_hash()) {
        block.header.nonce += 1;
    }
    assert!(matches!(chain.apply(&[block.header], now), Err(HeaderError::TooOld { .. })));
    let refused = rpc.submit_block(&block).await.expect_err("too old");
    assert!(refused.to_string().contains("time-too-old"), "{refused}");
    assert_eq!(rpc.header(block.block_hash()).await, Ok(None));
}

#[tokio::test]
async fn the_command_line_verifies_a_real_nodes_headers_and_names_the_bad_one() {
    let bitcoind = Bitcoind::start().await;
    let user = User::with_rewards(&bitcoind, 0).await;
    user.mine(30).await;
    let headers = user.rpc.headers(0..31).await.expect("answers");
    let bytes: Vec<u8> = headers.iter().flat_map(mainchain::header::to_bytes).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path.display().to_string()
    };
    let verify =
        |arguments: &[&str]| binary::run(folder.path(), [&["headers", "verify", "--network"], arguments].concat(), "");

    let good = file("good", &bytes);
    let summary = &verify(&["regtest", &good, "--json"]).json()[0];
    assert_eq!(summary["height"], 30);
    assert_eq!(summary["tip"], headers[30].block_hash().to_string());
    assert_eq!(summary["workAdded"], format!("{:064x}", 31 * 2));
    let anchored = file("anchored", &bytes[20 * 80..]);
    let summary = &verify(&["regtest", "--anchor-height", "20", &anchored, "--json"]).json()[0];
    assert_eq!((&summary["height"], &summary["headers"]), (&30.into(), &11.into()));

    verify(&["mainnet", &good]).fails_saying(&["header 0 (height 0)", "not the genesis block of mainnet"]);
    verify(&["regtest", &anchored]).fails_saying(&["header 0 (height 0)", "genesis block of regtest"]);
    let mut bad = bytes.clone();
    bad[7 * 80 + 72] ^= 1; // its bits
    verify(&["regtest", &file("bad", &bad)]).fails_saying(&["header 7 (height 7)", "target", "expected 0x207fffff"]);
    verify(&["regtest", &file("cut", &bytes[..1000])]).fails_saying(&["40 bytes after 12 headers"]);
    verify(&["regtest", &file("empty", &[])]).fails_saying(&["no headers"]);
    verify(&["testnet3", &good]).is_misused_saying(&["unknown bitcoin network"]);
    verify(&["regtest", &good, "--epoch-time", "5"]).is_misused_saying(&["--anchor-height"]);
}
