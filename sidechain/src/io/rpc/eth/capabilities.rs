//! What a node has and by which rules it runs, for tools that compare nodes: `eth_config` (EIP-7910) and `eth_capabilities`
//! (ethereum/execution-apis, src/eth/capabilities.yaml).

use alloy_primitives::{Address, B256, U64, hex};
use contracts::standard::BLOCK_HASH_HISTORY;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::error;
use super::super::method::{Methods, Registered, inline};
use crate::execution::precompile_names;

/// Of Prague (EIP-7691). Nothing depends on it: no blob is taken, so the fee stays.
const BLOB_FEE_UPDATE_FRACTION: u64 = 5_007_716;

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_config", |context, _| Ok(config(context)))?;
    inline(methods, "eth_coinbase", |context, _| coinbase(context))?;
    inline(methods, "eth_capabilities", |context, _| Ok(capabilities(context)))
}

/// One fork from block 0 on, and none to come.
fn config(context: &Context) -> Value {
    let genesis = context.chain().genesis_block().hash();
    json!({
        "current": {
            "activationTime": 0,
            "blobSchedule": { "baseFeeUpdateFraction": BLOB_FEE_UPDATE_FRACTION, "max": 0, "target": 0 },
            "chainId": U64::from(context.chain().genesis().chain_id),
            "forkId": hex::encode_prefixed(fork_hash(genesis).to_be_bytes()),
            "precompiles": precompile_names(),
            "systemContracts": { "HISTORY_STORAGE_ADDRESS": BLOCK_HASH_HISTORY },
        },
        "next": null,
        "last": null,
    })
}

/// EIP-2124's checksum of a chain whose forks all began with its genesis block: CRC-32 (IEEE) of that block's hash.
fn fork_hash(genesis: B256) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !genesis.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn coinbase(context: &Context) -> error::Result<Address> {
    let proposer = context.state.facts().proposer;
    proposer.ok_or_else(|| error::server("this node makes no blocks, so no account gets fees for any"))
}

fn capabilities(context: &Context) -> Value {
    let chain = context.chain();
    let (head, hash) = (chain.head().number, chain.head_hash());
    let oldest = chain.oldest();
    let kept = |oldest: u64, blocks: Option<u64>| {
        let mut kept = json!({ "disabled": false, "oldestBlock": U64::from(oldest) });
        if let Some(blocks) = blocks {
            kept["deleteStrategy"] = json!({ "type": "window", "retentionBlocks": U64::from(blocks) });
        }
        kept
    };
    let retention = chain.retention();
    let bodies = kept(oldest.bodies, retention.body_blocks);
    json!({
        "head": { "number": U64::from(head), "hash": hash },
        "state": kept(oldest.states, retention.state_blocks),
        "tx": bodies,
        "logs": bodies,
        "receipts": bodies,
        "blocks": bodies,
        "stateproofs": kept(oldest.proofs, retention.proof_blocks),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // EIP-2124, test cases: Ethereum's genesis hash and the checksum of Frontier.
    #[test]
    fn the_fork_hash_is_that_of_eip_2124() {
        let mainnet = B256::new(hex!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"));
        assert_eq!(fork_hash(mainnet), 0xfc64_ec04);
    }
}
