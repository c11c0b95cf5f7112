//! Clients as they come from npm, unmodified: viem, ethers and cast use a node as they use any Ethereum node.
//!
//! What is tested is what a client sees, so the node needs no consensus. The scripts in `tests/clients` run against any
//! network: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node viem.mjs`.

use std::path::Path;
use std::process::{Command, Stdio};

use alloy_primitives::keccak256;
use sidechain::testing::{Key, genesis, network};
use tests::binary;
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
fn a_block_is_final_by_the_genesis_file_without_code_of_ours() {
    run("final.mjs");
}

/// Runs a script of `tests/clients` against a fresh node, and shows what it wrote if it fails.
fn run(script: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    assert!(folder.join("node_modules").is_dir(), "the clients are not installed: run `make deps`");
    let node = LoneNode::start(&[Key::new(PAYER).address]);
    let secret = keccak256(PAYER.to_be_bytes());
    let client = Command::new("node")
        .arg(script)
        .current_dir(&folder)
        .env("CAUSEWAY_RPC", node.url())
        .env("CAUSEWAY_KEY", secret.to_string())
        .env("CAUSEWAY_GENESIS", serde_json::to_string(&genesis()).expect("a file of JSON"))
        .env("CAUSEWAY_NETWORK", network().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = binary::end(client.expect("node is installed"), script);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    println!("{text}");
}
