//! Clients as they come from npm and PyPI, unmodified: viem, ethers, Foundry, hardhat with OpenZeppelin's contracts and web3.py use a node as they use any
//! Ethereum node.
//!
//! What is tested is what a client sees, so the node needs no consensus. The scripts in `tests/clients` run against any
//! network: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node viem.mjs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, Bytes, U256, keccak256};
use contracts::BitcoinLightClient;
use contracts::address::LIGHT_CLIENT;
use contracts::alloy_sol_types::SolCall as _;
use sidechain::testing::{Key, genesis, member, network};
use tests::binary;
use tests::known::DEVELOPER_0;
use tests::lone_node::LoneNode;

/// The account that pays.
const PAYER: u64 = 1;

#[test]
fn viem_needs_no_change() {
    run("viem.mjs");
}

#[test]
fn ethers_needs_no_change() {
    run("ethers.mjs");
}

#[test]
fn cast_needs_no_change() {
    run("cast.mjs");
}

#[test]
fn forge_needs_no_change() {
    run("forge.mjs");
}

#[test]
fn hardhat_and_openzeppelin_s_contracts_need_no_change() {
    run("hardhat.mjs");
}

#[test]
fn web3_py_needs_no_change() {
    run_by(&folder().join("web3/bin/python"), "web3_client.py");
}

#[test]
fn blocks_with_free_calls_are_forked_walked_and_run_again() {
    run("free.mjs");
    run_by(&folder().join("web3/bin/python"), "free.py");
}

#[test]
fn a_block_is_final_by_the_genesis_file_without_code_of_ours() {
    run("final.mjs");
}

#[test]
fn what_payers_and_payees_sign_is_what_viem_computes() {
    run("vectors.mjs");
}

#[test]
fn a_page_pays_the_rust_payee_with_many_requests_in_flight() {
    run("payments.mjs");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// An example of the payments crate, which cargo builds with the tests.
fn payee() -> PathBuf {
    let own = std::env::current_exe().expect("a running program knows where it is");
    own.ancestors().nth(2).expect("target/debug/deps/test").join("examples/payee_by_lines")
}

fn run(script: &str) {
    run_by(Path::new("node"), script);
}

/// Runs a script of `tests/clients` against a fresh node, and shows what it wrote if it fails.
fn run_by(program: &Path, script: &str) {
    let is_installed = ["node_modules", "web3/installed", "../../bridge/payments/web/node_modules"]
        .iter()
        .all(|made| folder().join(made).exists());
    assert!(is_installed, "the clients are not installed: run `make deps`");
    let node = LoneNode::for_developers(&[Key::new(PAYER).address, DEVELOPER_0, member(2).address]);
    let secret = keccak256(PAYER.to_be_bytes());
    let client = Command::new(program)
        .arg(script)
        .current_dir(folder())
        .env("CAUSEWAY_RPC", node.url())
        .env("PAYEE", payee())
        .env("CAUSEWAY_KEY", secret.to_string())
        .env("CAUSEWAY_GENESIS", serde_json::to_string(&genesis()).expect("a file of JSON"))
        .env("CAUSEWAY_NETWORK", network().to_string())
        .env("CAUSEWAY_SENT", serde_json::to_string(&sent()).expect("a list of bytes"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = binary::end(client.expect("it is installed"), script);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    println!("{text}");
}

/// Transactions to be sent together, five times: a member brings a header of Bitcoin free of charge, another one pays for bringing the next, which has no
/// place without the first, and a user sends coins.
fn sent() -> Vec<[Bytes; 3]> {
    let chain_id = genesis().chain_id;
    let mut headers = bitcoin_headers().into_iter();
    let mut submit = || {
        let header = headers.next().expect("there are enough");
        Bytes::from(BitcoinLightClient::submitCall { headers: header.into() }.abi_encode())
    };
    let entry = |nonce| {
        let free = member(1).free(chain_id, nonce, 1_000_000, LIGHT_CLIENT, submit());
        let next = member(2).send(chain_id, nonce, 1_000_000, LIGHT_CLIENT.into(), U256::ZERO, submit());
        let user = Key::new(PAYER).transfer(chain_id, nonce, Address::repeat_byte(0xf1), 1);
        [free, next, user].map(|signed| signed.encoded_2718().into())
    };
    (0..5).map(entry).collect()
}

/// Blocks 1 to 10 of a Bitcoin of the test's own.
fn bitcoin_headers() -> Vec<Vec<u8>> {
    let mut parent = bitcoin::constants::genesis_block(bitcoin::Network::Regtest).header;
    let mut next = || {
        let (prev_blockhash, time) = (parent.block_hash(), parent.time + 600);
        parent = bitcoin::block::Header { prev_blockhash, time, nonce: 0, ..parent };
        while parent.validate_pow(parent.target()).is_err() {
            parent.nonce += 1;
        }
        bitcoin::consensus::serialize(&parent)
    };
    (0..10).map(|_| next()).collect()
}
