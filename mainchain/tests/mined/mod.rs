//! Chains made for tests: real proof of work, at targets that take a few hashes.
#![allow(dead_code)] // each test file uses its own part

use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, CompactTarget, Target, TxMerkleNode};
use mainchain::Params;
use mainchain::header::{hash_bytes, to_bytes};

/// A clock far after every header made here, unless a test says otherwise.
pub const NOW: u32 = u32::MAX - 3 * 60 * 60;

/// Retargets like mainnet, from a limit that two hashes meet.
pub const EASY: Params = Params {
    pow_limit_bits: 0x207f_ffff,
    no_retarget: false,
    min_difficulty: false,
    bip94: false,
    signed_blocks: false,
    versions: &[],
};

/// A header that meets the target it states; `salt` tells siblings apart.
pub fn mine(previous: BlockHash, time: u32, bits: CompactTarget, salt: u64) -> Header {
    let mut merkle_root = [0; 32];
    merkle_root[..8].copy_from_slice(&salt.to_le_bytes());
    let mut header = Header {
        version: Version::NO_SOFT_FORK_SIGNALLING,
        prev_blockhash: previous,
        merkle_root: TxMerkleNode::from_byte_array(merkle_root),
        time,
        bits,
        nonce: 0,
    };
    let target = Target::from_compact(bits);
    while !target.is_met_by(hash(&header)) {
        header.nonce += 1;
    }
    header
}

pub fn hash(header: &Header) -> BlockHash {
    hash_bytes(&to_bytes(header))
}

/// Mainnet's headers from 40,320, where a difficulty period begins, to 49,999: 80 bytes each, over four retargets.
pub const REAL_HEADERS: &[u8] = include_bytes!("../data/mainnet-headers-40320-49999.bin");
