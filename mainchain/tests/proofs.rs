//! Inclusion proofs: random blocks' proofs are accepted, and every known attack on merkle branches is refused.

mod mined;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::consensus::encode;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness,
};
use mainchain::Network;
use mainchain::proof::{BuildError, InclusionProof, MAX_DEPTH, ProofError, could_be_transaction, strip};
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
            assert_eq!(proof.verify(&transaction), Ok(block.txdata[index].compute_txid()));
            // No other index leads to the same root, not even that of a repeated last node.
            for other in (0..1 << proof.siblings.len()).filter(|other| *other != proof.index) {
                let proof = InclusionProof { index: other, ..proof.clone() };
                assert!(proof.verify(&transaction).is_err(), "{index} of {others} at {other}");
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
    let header = Header {
        version: BlockVersion::ONE,
        prev_blockhash: "000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250".parse().expect("hex"),
        merkle_root: TxMerkleNode::from_byte_array(root),
        time: 1_293_623_863,
        bits: CompactTarget::from_consensus(0x1b04_864c),
        nonce: 274_148_111,
    };
    let proof = InclusionProof { header, index: 0, siblings: vec![b, parent(c, d)], leftmost: vec![] };
    assert_eq!(proof.block_hash().to_string(), "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506");
    assert_eq!(proof.verify(&coinbase).map(|txid| txid.to_string()), Ok(txids[0].into()));
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
    assert_eq!(proof.verify(&strip(&ambiguous)), Err(ProofError::Ambiguous));
}

/// The right half of 64 bytes that could be a transaction, with `script` bytes of input script.
fn ground(script: u8) -> [u8; 32] {
    let mut right = [9; 32];
    right[9] = script;
    let outputs = 14 + usize::from(script);
    (right[outputs], right[outputs + 7], right[outputs + 8], right[outputs + 9]) = (1, 7, 0, 4 - script);
    right
}

/// A transaction whose txid makes a left half that fits.
fn fitting() -> Transaction {
    (0..).map(transaction).find(|made| made.compute_txid().to_byte_array()[4] == 1).expect("one in 256")
}

/// A header with a root of any two nodes.
fn header_over(left: [u8; 32], right: [u8; 32]) -> Header {
    Header { merkle_root: TxMerkleNode::from_byte_array(parent(left, right)), ..block_of(0).header }
}

// root - coinbase
//      \ transaction of 64 bytes: the hash of a forged transaction, and 32 bytes more
#[test]
fn a_transaction_forged_below_a_64_byte_one_is_refused() {
    for script in 0..=4 {
        let (forged, right) = (fitting(), ground(script));
        let node = parent(forged.compute_txid().to_byte_array(), right);
        let first = coinbase().compute_txid().to_byte_array();
        let header = header_over(first, node);
        let proof = InclusionProof { header, index: 0b10, siblings: vec![right, first], leftmost: vec![] };
        assert_eq!(proof.verify(&strip(&forged)), Err(ProofError::AmbiguousNode { level: 0 }));

        // Nor does any branch of the first transaction go as deep.
        let shallow = InclusionProof { leftmost: vec![first], ..proof.clone() };
        assert_eq!(shallow.verify(&strip(&forged)), Err(ProofError::WrongDepth { got: 1, want: 2 }));
        let elsewhere = InclusionProof { leftmost: vec![first, right], ..proof };
        assert!(matches!(elsewhere.verify(&strip(&forged)), Err(ProofError::LeftmostMismatch { .. })));
    }
}

#[test]
fn half_of_a_64_byte_coinbase_is_no_hash_that_shows_a_depth() {
    let mut coinbase = coinbase();
    coinbase.input[0].script_sig = ScriptBuf::from(vec![3, 1, 2, 3]);
    coinbase.output[0].script_pubkey = ScriptBuf::new();
    let bytes = strip(&coinbase);
    let (low, high) = bytes.split_at(32);
    let [low, high] = [low, high].map(|half| <[u8; 32]>::try_from(half).expect("64 bytes"));
    let (forged, right) = (fitting(), ground(0));
    let first = coinbase.compute_txid().to_byte_array();
    assert_eq!(parent(low, high), first);
    let header = header_over(first, parent(forged.compute_txid().to_byte_array(), right));
    let proof = InclusionProof { header, index: 0b10, siblings: vec![right, first], leftmost: vec![low, high] };
    assert_eq!(proof.verify(&strip(&forged)), Err(ProofError::NotATransaction));
}

#[test]
fn an_inner_node_presented_as_a_transaction_is_refused() {
    let block = block_of(7);
    let (mut proof, transaction) = prove(&block, 3);
    let node: Vec<u8> =
        [2, 3].iter().flat_map(|place: &usize| block.txdata[*place].compute_txid().to_byte_array()).collect();
    proof.siblings.remove(0);
    proof.index = 1;
    assert_eq!(proof.verify(&node), Err(ProofError::Ambiguous));
    // The transaction itself is deeper.
    assert!(matches!(proof.verify(&transaction), Err(ProofError::WrongRoot { .. })));
}

// root - node - coinbase
//      |      \ transaction           the miner chose transactions so that root's two halves look like a transaction
//      \ ground
#[test]
fn no_miner_makes_a_block_unprovable() {
    let second = transaction(2);
    let (first, left) = (0..)
        .map(|extra: u32| {
            let mut first = coinbase();
            first.input[0].script_sig = ScriptBuf::from(extra.to_le_bytes().to_vec());
            let node = parent(first.compute_txid().to_byte_array(), second.compute_txid().to_byte_array());
            (first, node)
        })
        .find(|(_, node)| node[4] == 1)
        .expect("one in 256");
    let first_txid = first.compute_txid().to_byte_array();
    let header = header_over(left, ground(2));
    let proof = InclusionProof { header, index: 1, siblings: vec![first_txid, ground(2)], leftmost: vec![] };
    assert_eq!(proof.verify(&strip(&second)), Err(ProofError::AmbiguousNode { level: 1 }));
    let shown = InclusionProof { leftmost: vec![first_txid], ..proof.clone() };
    assert_eq!(shown.verify(&strip(&second)), Ok(second.compute_txid()));

    // The first transaction's own branch shows the depth.
    let siblings = vec![second.compute_txid().to_byte_array(), ground(2)];
    let of_first = InclusionProof { index: 0, siblings, ..proof };
    assert_eq!(of_first.verify(&strip(&first)), Ok(first.compute_txid()));
    let needless = InclusionProof { leftmost: vec![first_txid], ..of_first };
    assert_eq!(needless.verify(&strip(&first)), Err(ProofError::WrongDepth { got: 1, want: 0 }));
}

#[test]
fn a_proof_may_show_the_depth_where_it_need_not() {
    let block = block_of(40);
    for index in 1..block.txdata.len() {
        let (proof, transaction) = prove(&block, index);
        assert!(proof.leftmost.is_empty(), "no node of this block looks like a transaction");
        let shown = with_depth(&block, proof);
        assert_eq!(shown.verify(&transaction), Ok(block.txdata[index].compute_txid()));
        let mut wrong = shown.clone();
        wrong.leftmost[0][0] ^= 1;
        assert!(matches!(wrong.verify(&transaction), Err(ProofError::LeftmostMismatch { .. })));
    }
}

/// The proof with as much of the first transaction's branch as it takes.
fn with_depth(block: &Block, proof: InclusionProof) -> InclusionProof {
    let (first, _) = prove(block, 0);
    let txid = block.txdata[0].compute_txid().to_byte_array();
    let nodes = 32 - proof.index.leading_zeros() as usize;
    InclusionProof { leftmost: [vec![txid], first.siblings].concat()[..nodes].to_vec(), ..proof }
}

/// A coinbase of 420 kB has no part in a proof.
#[test]
fn a_block_with_a_coinbase_of_420_kb_is_proven_like_any_other() {
    let mut giant = coinbase();
    giant.output[0].script_pubkey = ScriptBuf::from(vec![0x51; 420_000]);
    let block = block(vec![giant, transaction(1), transaction(2)]);
    let (proof, transaction) = prove(&block, 2);
    assert!(serde_json::to_vec(&proof).expect("JSON").len() < 2_000);
    assert_eq!(proof.verify(&transaction), Ok(block.txdata[2].compute_txid()));
}

proptest! {
    /// One input, one output, scripts of 4 bytes together: all that Bitcoin allows in 64 bytes.
    #[test]
    fn every_transaction_of_64_bytes_is_known_as_one(
        version: i32, txid: [u8; 32], vout: u32, sequence: u32, value in 0u64..=2_100_000_000_000_000, lock: u32,
        script: [u8; 4], split in 0usize..=4,
    ) {
        let input = TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array(txid), vout),
            script_sig: ScriptBuf::from(script[..split].to_vec()),
            sequence: Sequence(sequence),
            witness: Witness::new(),
        };
        let output = TxOut { value: Amount::from_sat(value), script_pubkey: ScriptBuf::from(script[split..].to_vec()) };
        let made = Transaction {
            version: Version(version), lock_time: LockTime::from_consensus(lock), input: vec![input], output: vec![output],
        };
        let bytes = strip(&made);
        let (left, right) = bytes.split_at(32);
        prop_assert!(could_be_transaction(left.try_into().expect("half"), right.try_into().expect("half")));
    }

    /// What it knows as one is one, but for the amount, which may be a little above all bitcoin.
    #[test]
    fn what_is_known_as_a_transaction_of_64_bytes_reads_as_one(mut left: [u8; 32], mut right: [u8; 32], script in 0u8..=4) {
        let fits = ground(script);
        left[4] = 1;
        right[9] = script;
        right[14 + usize::from(script)..24 + usize::from(script)].copy_from_slice(&fits[14 + usize::from(script)..24 + usize::from(script)]);
        prop_assert!(could_be_transaction(&left, &right));
        let read: Transaction = encode::deserialize(&[left, right].concat()).expect("a transaction");
        prop_assert_eq!((read.input.len(), read.output.len()), (1, 1));
    }
}

// CVE-2012-2459: three leaves a b c hash as a b c c
#[test]
fn the_copy_of_a_last_leaf_is_refused() {
    let block = block_of(2);
    let (proof, transaction) = prove(&block, 2);
    let own = block.txdata[2].compute_txid().to_byte_array();
    assert_eq!(proof.siblings[0], own, "the honest proof meets its own copy on the right");
    assert!(proof.verify(&transaction).is_ok());
    let copy = InclusionProof { index: 3, ..proof };
    assert_eq!(copy.verify(&transaction), Err(ProofError::Duplicated { level: 0 }));

    // One level up: six leaves hash as if there were eight.
    let block = self::block_of(5);
    let (proof, transaction) = prove(&block, 4);
    let copy = InclusionProof { index: 6, ..proof };
    assert_eq!(copy.verify(&transaction), Err(ProofError::Duplicated { level: 1 }));
}

#[test]
fn what_is_not_exactly_one_stripped_transaction_is_refused() {
    let block = block_of(3);
    let (proof, good) = prove(&block, 2);
    let bad = |bytes: &[u8]| matches!(proof.verify(bytes), Err(ProofError::BadTransaction(_)));
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
    assert_eq!(proof.verify(&too_large), Err(ProofError::TooLarge { bytes: 1_000_001 }));
}

#[test]
fn indices_and_depths_are_bounded() {
    let block = block_of(3);
    let (proof, transaction) = prove(&block, 2);
    let beyond = InclusionProof { index: 2 + 4, ..proof.clone() };
    assert_eq!(beyond.verify(&transaction), Err(ProofError::IndexOutside { index: 6, depth: 2 }));
    let deep = vec![[1; 32]; MAX_DEPTH + 1];
    let deep = InclusionProof { siblings: deep, ..proof };
    assert_eq!(deep.verify(&transaction), Err(ProofError::TooDeep { depth: MAX_DEPTH + 1 }));
}

proptest! {
    #[test]
    fn random_blocks_proofs_are_accepted(others in 0u64..600, index: prop::sample::Index) {
        let block = block_of(others);
        let index = index.index(block.txdata.len());
        let (proof, transaction) = prove(&block, index);
        prop_assert_eq!(proof.verify(&transaction), Ok(block.txdata[index].compute_txid()));
        let json = serde_json::to_string(&proof).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<InclusionProof>(&json).expect("own JSON"), proof);
    }

    #[test]
    fn a_proof_with_any_bit_changed_is_refused(others in 1u64..40, index: prop::sample::Index, bit: prop::sample::Index, shown: bool) {
        let block = block_of(others);
        let (proof, mut transaction) = prove(&block, 1 + index.index(block.txdata.len() - 1));
        let mut proof = if shown { with_depth(&block, proof) } else { proof };
        let mut root = proof.header.merkle_root.to_byte_array();
        let mut parts: Vec<&mut [u8]> = vec![&mut transaction, &mut root];
        parts.extend(proof.siblings.iter_mut().map(|hash| hash.as_mut_slice()));
        parts.extend(proof.leftmost.iter_mut().map(|hash| hash.as_mut_slice()));
        let mut bit = bit.index(parts.iter().map(|part| part.len() * 8).sum());
        for part in parts {
            if bit < part.len() * 8 {
                part[bit / 8] ^= 1 << (bit % 8);
                break;
            }
            bit -= part.len() * 8;
        }
        proof.header.merkle_root = TxMerkleNode::from_byte_array(root);
        prop_assert!(proof.verify(&transaction).is_err());
    }
}
