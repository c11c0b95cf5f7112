//! Inclusion proofs: random blocks' proofs are accepted, and every known attack on merkle branches is refused.

mod mined;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness,
};
use mainchain::Network;
use mainchain::proof::{BuildError, InclusionProof, MAX_DEPTH, ProofError, strip};
use mined::mine;
use proptest::prelude::*;

fn transaction(salt: u64) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), 1),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[salt as u8; 64]]),
        }],
        output: vec![TxOut { value: Amount::from_sat(salt), script_pubkey: ScriptBuf::from(vec![0x51; 34]) }],
    }
}

fn coinbase() -> Transaction {
    let mut coinbase = transaction(5_000_000_000);
    coinbase.input[0].previous_output = OutPoint::null();
    coinbase.input[0].script_sig = ScriptBuf::from(vec![1, 1, 0]);
    coinbase.input[0].witness = Witness::from_slice(&[[0; 32]]);
    coinbase
}

/// A transaction of exactly 64 bytes: bytes that are also two hashes.
fn of_64_bytes() -> Transaction {
    let mut transaction = transaction(1);
    transaction.output[0].script_pubkey = ScriptBuf::from(vec![0x51; 4]);
    assert_eq!(strip(&transaction).len(), 64);
    transaction
}

fn block(txdata: Vec<Transaction>) -> Block {
    let genesis = Network::Regtest.genesis();
    let header = mine(genesis.block_hash(), genesis.time + 600, CompactTarget::from_consensus(0x207f_ffff), 0);
    let mut block = Block { header, txdata };
    block.header.merkle_root = block.compute_merkle_root().expect("has transactions");
    block
}

/// A block of a coinbase and `others` more.
fn block_of(others: u64) -> Block {
    block([coinbase()].into_iter().chain((0..others).map(transaction)).collect())
}

fn prove(block: &Block, index: usize) -> (InclusionProof, Vec<u8>) {
    let proof = InclusionProof::build(block, block.txdata[index].compute_txid()).expect("is in the block");
    (proof, strip(&block.txdata[index]))
}

fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    sha256d::Hash::hash(&[left, right].concat()).to_byte_array()
}

#[test]
fn every_transaction_of_every_small_block_can_be_proven_once() {
    for others in 0..40 {
        let block = block_of(others);
        for index in 0..block.txdata.len() {
            let (proof, transaction) = prove(&block, index);
            assert_eq!(proof.index as usize, index);
            assert_eq!(proof.verify(&transaction, block.header.merkle_root), Ok(block.txdata[index].compute_txid()));
            // No other index leads to the same root, not even that of a repeated last node.
            for other in (0..1 << proof.siblings.len()).filter(|other| *other != proof.index) {
                let proof = InclusionProof { index: other, ..proof.clone() };
                assert!(
                    proof.verify(&transaction, block.header.merkle_root).is_err(),
                    "{index} of {others} at {other}"
                );
            }
        }
    }
}

/// Mainnet block 100,000: four transactions, root f3e94742...
#[test]
fn a_real_block_is_proven() {
    let txids = [
        "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
        "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
        "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
        "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
    ];
    let [a, b, c, d] = txids.map(|txid| txid.parse::<Txid>().expect("hex").to_byte_array());
    let root = parent(parent(a, b), parent(c, d));
    assert_eq!(
        TxMerkleNode::from_byte_array(root).to_string(),
        "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"
    );
    // Its coinbase, whole: 135 bytes.
    let coinbase = concat!(
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff08044c86041b020602ffffffff",
        "0100f2052a010000004341041b0e8c2567c12536aa13357b79a073dc4444acb83c4ec7a0e2f99dd7457516c5817242da796924ca4e",
        "99947d087fedf9ce467cb9f7c6287078f801df276fdf84ac00000000",
    );
    let coinbase: Vec<u8> = bitcoin::hex::FromHex::from_hex(coinbase).expect("hex");
    let siblings = vec![b, parent(c, d)];
    let proof = InclusionProof {
        block_hash: "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506".parse().expect("hex"),
        index: 0,
        siblings: siblings.clone(),
        coinbase: coinbase.clone(),
        coinbase_siblings: siblings,
    };
    assert_eq!(
        proof.verify(&coinbase, TxMerkleNode::from_byte_array(root)).map(|txid| txid.to_string()),
        Ok(txids[0].into())
    );
}

#[test]
fn what_is_not_in_the_block_has_no_proof() {
    let mut block = block_of(5);
    let absent = transaction(99).compute_txid();
    let hash = block.block_hash();
    assert_eq!(InclusionProof::build(&block, absent), Err(BuildError::Absent { txid: absent, block: hash }));
    let txid = block.txdata[1].compute_txid();
    block.txdata.swap(1, 2);
    assert_eq!(InclusionProof::build(&block, txid), Err(BuildError::BadBlock { block: hash }));
}

// 64 bytes as a leaf      a transaction in the block is presented as it is
// 64 bytes as a node      it is presented as two hashes, the right one of a forged transaction
#[test]
fn a_64_byte_transaction_is_refused() {
    let ambiguous = of_64_bytes();
    let block = block(vec![coinbase(), ambiguous.clone(), transaction(2)]);
    let txid = ambiguous.compute_txid();
    assert_eq!(InclusionProof::build(&block, txid), Err(BuildError::Ambiguous { txid }));

    let (mut proof, _) = prove(&block, 2);
    proof.index = 1;
    proof.siblings = vec![block.txdata[0].compute_txid().to_byte_array(), proof.siblings[1]];
    let last = block.txdata[2].compute_txid().to_byte_array();
    proof.siblings[1] = parent(last, last);
    assert_eq!(proof.verify(&strip(&ambiguous), block.header.merkle_root), Err(ProofError::Ambiguous));

    // As a coinbase it is refused too.
    let proof = InclusionProof { coinbase: strip(&ambiguous), ..proof };
    assert_eq!(proof.verify(&strip(&block.txdata[2]), block.header.merkle_root), Err(ProofError::Ambiguous));
}

#[test]
fn a_transaction_forged_below_a_64_byte_one_is_refused_for_its_depth() {
    // The attacker chose the last 32 of the 64 bytes to be the hash of a forged transaction; here they just are.
    let forged = transaction(21_000_000 * 100_000_000);
    let left = [9; 32];
    let right = forged.compute_txid().to_byte_array();
    let node = parent(left, right);
    let coinbase = coinbase();
    let root = TxMerkleNode::from_byte_array(parent(coinbase.compute_txid().to_byte_array(), node));
    let proof = InclusionProof {
        block_hash: Network::Regtest.genesis().block_hash(),
        index: 0b11,
        siblings: vec![left, coinbase.compute_txid().to_byte_array()],
        coinbase: strip(&coinbase),
        coinbase_siblings: vec![node],
    };
    assert_eq!(proof.verify(&strip(&forged), root), Err(ProofError::WrongDepth { got: 2, want: 1 }));

    // A coinbase branch of the depth that the forgery needs leads elsewhere.
    let proof = InclusionProof { coinbase_siblings: vec![node, node], ..proof };
    assert!(matches!(proof.verify(&strip(&forged), root), Err(ProofError::WrongCoinbaseRoot { .. })));
}

#[test]
fn an_inner_node_presented_as_a_transaction_is_refused_for_its_depth() {
    let block = block_of(7);
    let (mut proof, transaction) = prove(&block, 3);
    proof.siblings.remove(0);
    assert_eq!(proof.verify(&transaction, block.header.merkle_root), Err(ProofError::WrongDepth { got: 2, want: 3 }));
    proof.coinbase_siblings.remove(0);
    assert!(matches!(
        proof.verify(&transaction, block.header.merkle_root),
        Err(ProofError::IndexOutside { .. } | ProofError::WrongCoinbaseRoot { .. })
    ));
}

// CVE-2012-2459: three leaves a b c hash as a b c c
#[test]
fn the_copy_of_a_last_leaf_is_refused() {
    let block = block_of(2);
    let (proof, transaction) = prove(&block, 2);
    let own = block.txdata[2].compute_txid().to_byte_array();
    assert_eq!(proof.siblings[0], own, "the honest proof meets its own copy on the right");
    assert!(proof.verify(&transaction, block.header.merkle_root).is_ok());
    let copy = InclusionProof { index: 3, ..proof };
    assert_eq!(copy.verify(&transaction, block.header.merkle_root), Err(ProofError::Duplicated { level: 0 }));

    // One level up: six leaves hash as if there were eight.
    let block = self::block_of(5);
    let (proof, transaction) = prove(&block, 4);
    let copy = InclusionProof { index: 6, ..proof };
    assert_eq!(copy.verify(&transaction, block.header.merkle_root), Err(ProofError::Duplicated { level: 1 }));
}

#[test]
fn a_coinbase_branch_that_repeats_the_root_is_refused() {
    // Not a tree Bitcoin makes: the coinbase alone, hashed with itself to look one level deeper.
    let coinbase = coinbase();
    let leaf = coinbase.compute_txid().to_byte_array();
    let proof = InclusionProof {
        block_hash: Network::Regtest.genesis().block_hash(),
        index: 0,
        siblings: vec![leaf],
        coinbase: strip(&coinbase),
        coinbase_siblings: vec![leaf],
    };
    let root = TxMerkleNode::from_byte_array(parent(leaf, leaf));
    assert_eq!(proof.verify(&strip(&coinbase), root), Err(ProofError::Duplicated { level: 0 }));
}

#[test]
fn what_is_not_exactly_one_stripped_transaction_is_refused() {
    let block = block_of(3);
    let (proof, good) = prove(&block, 2);
    let root = block.header.merkle_root;
    let bad = |bytes: &[u8]| matches!(proof.verify(bytes, root), Err(ProofError::BadTransaction(_)));
    assert!(bad(&[&good[..], &[0]].concat()), "a trailing byte");
    assert!(bad(&good[..good.len() - 1]), "a byte short");
    assert!(bad(&encode::serialize(&block.txdata[2])), "with its witness");
    assert!(bad(&[]));
    // The number of inputs in three bytes where one does.
    let long = [&good[..4], &[0xfd, 1, 0], &good[5..]].concat();
    assert!(bad(&long), "not the shortest encoding");
    // Neither is the one of an empty witness.
    let mut empty_witness = good.clone();
    empty_witness.splice(4..4, [0, 1]);
    empty_witness.splice(empty_witness.len() - 4..empty_witness.len() - 4, [0]);
    assert!(bad(&empty_witness), "with an empty witness");
    let too_large = vec![0; 1_000_001];
    assert_eq!(proof.verify(&too_large, root), Err(ProofError::TooLarge { bytes: 1_000_001 }));
    let not_coinbase = InclusionProof { coinbase: good.clone(), ..proof.clone() };
    assert_eq!(not_coinbase.verify(&good, root), Err(ProofError::BadCoinbase));
}

#[test]
fn indices_and_depths_are_bounded() {
    let block = block_of(3);
    let (proof, transaction) = prove(&block, 2);
    let root = block.header.merkle_root;
    let beyond = InclusionProof { index: 2 + 4, ..proof.clone() };
    assert_eq!(beyond.verify(&transaction, root), Err(ProofError::IndexOutside { index: 6, depth: 2 }));
    let deep = vec![[1; 32]; MAX_DEPTH + 1];
    let deep = InclusionProof { siblings: deep.clone(), coinbase_siblings: deep, ..proof };
    assert_eq!(deep.verify(&transaction, root), Err(ProofError::TooDeep { depth: MAX_DEPTH + 1 }));
}

proptest! {
    #[test]
    fn random_blocks_proofs_are_accepted(others in 0u64..600, index: prop::sample::Index) {
        let block = block_of(others);
        let index = index.index(block.txdata.len());
        let (proof, transaction) = prove(&block, index);
        prop_assert_eq!(proof.verify(&transaction, block.header.merkle_root), Ok(block.txdata[index].compute_txid()));
        let json = serde_json::to_string(&proof).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<InclusionProof>(&json).expect("own JSON"), proof);
    }

    #[test]
    fn a_proof_with_any_bit_changed_is_refused(others in 1u64..40, index: prop::sample::Index, bit: prop::sample::Index) {
        let block = block_of(others);
        let (mut proof, mut transaction) = prove(&block, index.index(block.txdata.len()));
        let mut parts: Vec<&mut [u8]> = vec![&mut transaction, &mut proof.coinbase];
        parts.extend(proof.siblings.iter_mut().map(|hash| hash.as_mut_slice()));
        parts.extend(proof.coinbase_siblings.iter_mut().map(|hash| hash.as_mut_slice()));
        let mut bit = bit.index(parts.iter().map(|part| part.len() * 8).sum());
        for part in parts {
            if bit < part.len() * 8 {
                part[bit / 8] ^= 1 << (bit % 8);
                break;
            }
            bit -= part.len() * 8;
        }
        prop_assert!(proof.verify(&transaction, block.header.merkle_root).is_err());
    }
}
