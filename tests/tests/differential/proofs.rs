//! Inclusion proofs: honest ones, and ones changed in every way that we know, are judged alike.

use bitcoin::block::Header;
use bitcoin::consensus::encode;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Transaction, TxMerkleNode};
use mainchain::header::{from_bytes, to_bytes};
use mainchain::proof::{InclusionProof, strip};
use mainchain::{Checkpoint, Network};
use proptest::prelude::*;
use tests::evm::word;

use crate::blocks::{LIMIT, START, block, mine, transaction};
use crate::light_client::LightClient;

/// What is done to an honest proof before both judge it.
#[derive(Clone, Debug)]
enum Change {
    None,
    Bit(prop::sample::Index),
    Index(u32),
    Drop,
    DropBoth,
    /// The other place under the parent at this level.
    Copy(u32),
    Swap,
    Trailing,
    Short,
    Witness,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => Just(Change::None),
        4 => any::<prop::sample::Index>().prop_map(Change::Bit),
        3 => (0u32..80).prop_map(Change::Index),
        1 => Just(Change::Drop),
        1 => Just(Change::DropBoth),
        3 => (0u32..4).prop_map(Change::Copy),
        1 => Just(Change::Swap),
        1 => Just(Change::Trailing),
        1 => Just(Change::Short),
        1 => Just(Change::Witness),
    ]
}

fn apply(change: &Change, proof: &mut InclusionProof, raw: &mut Vec<u8>, whole: &Transaction) {
    match change {
        Change::None => {}
        Change::Bit(bit) => flip(bit, proof, raw),
        Change::Index(index) => proof.index = *index,
        Change::Drop => {
            proof.siblings.pop();
        }
        Change::DropBoth => {
            proof.siblings.pop();
            proof.leftmost.pop();
        }
        Change::Copy(level) => proof.index ^= 1 << level,
        Change::Swap => std::mem::swap(&mut proof.siblings, &mut proof.leftmost),
        Change::Trailing => raw.push(0),
        Change::Short => {
            raw.pop();
        }
        Change::Witness => *raw = encode::serialize(whole),
    }
}

/// One bit of all that is sent.
fn flip(bit: &prop::sample::Index, proof: &mut InclusionProof, raw: &mut [u8]) {
    let mut header = to_bytes(&proof.header);
    let mut parts: Vec<&mut [u8]> = vec![raw, &mut header];
    parts.extend(proof.siblings.iter_mut().map(|hash| hash.as_mut_slice()));
    parts.extend(proof.leftmost.iter_mut().map(|hash| hash.as_mut_slice()));
    let mut bytes: Vec<&mut u8> = parts.into_iter().flatten().collect();
    let bit = bit.index(bytes.len() * 8);
    *bytes[bit / 8] ^= 1 << (bit % 8);
    proof.header = from_bytes(&header);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn random_proofs_are_judged_alike(
        others in 0u64..70,
        // Often the last: on odd levels its copy is its sibling.
        index: prop::sample::Index,
        last in any::<bool>(),
        // Scripts of 4 bytes make transactions of 64.
        script_bytes in prop_oneof![5 => 3usize..40, 1 => Just(4usize)],
        changes in prop::collection::vec(change(), 1..3),
    ) {
        let block = block((0..others).map(|salt| transaction(salt, script_bytes)).collect());
        let index = if last { block.txdata.len() - 1 } else { index.index(block.txdata.len()) };
        let whole = &block.txdata[index];
        let mut raw = strip(whole);
        let built = InclusionProof::build(&block, whole.compute_txid());
        prop_assert_eq!(built.is_err(), raw.len() == 64);
        // For what cannot be proven: the coinbase's proof, at its place.
        let mut proof = built.unwrap_or_else(|_| {
            InclusionProof::build(&block, block.txdata[0].compute_txid()).expect("not of 64 bytes")
        });
        for change in &changes {
            apply(change, &mut proof, &mut raw, whole);
        }

        let mut client = LightClient::new(&Network::Regtest.params(), &Checkpoint::genesis(Network::Regtest));
        client.submit(&[block.header], START).expect("a valid header");
        judge_alike(&mut client, &proof, &raw, &block.header)?;
    }

    /// Branches through nodes that could be a transaction of 64 bytes, with and without the depth shown, rightly and wrongly.
    #[test]
    fn random_branches_through_ambiguous_nodes_are_judged_alike(
        depth in 1usize..7, place: u32, seed: u64, level: prop::sample::Index, script in 0u8..=4,
        shown in prop_oneof![2 => Just(Shown::No), 3 => Just(Shown::Rightly), 1 => Just(Shown::TooLong), 1 => Just(Shown::AsZeros)],
    ) {
        let (proof, raw) = ambiguous(depth, place, seed, level.index(depth), script, shown);
        let header = proof.header;
        let mut client = LightClient::new(&Network::Regtest.params(), &Checkpoint::genesis(Network::Regtest));
        client.submit(&[header], START).expect("a valid header");
        let accepted = judge_alike(&mut client, &proof, &raw, &header)?;
        if shown == Shown::Rightly {
            prop_assert!(accepted);
        }
    }
}

/// Whether both accept it: a proof under the one header that the light client knows.
fn judge_alike(
    client: &mut LightClient,
    proof: &InclusionProof,
    raw: &[u8],
    known: &Header,
) -> Result<bool, TestCaseError> {
    let rust = if proof.header == *known {
        proof.verify(raw).map_err(|error| error.to_string())
    } else {
        Err("unknown".into())
    };
    let solidity = client.require_included(raw, proof);
    prop_assert_eq!(
        rust.as_ref().ok().map(|txid| word(txid.as_byte_array())),
        solidity.as_ref().ok().copied(),
        "Rust: {:?}, Solidity: {:?}",
        rust,
        solidity
    );
    Ok(rust.is_ok())
}

/// What a proof says about the depth of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    No,
    Rightly,
    TooLong,
    /// With a first node that ends in 27 zeros, as half of a coinbase does.
    AsZeros,
}

/// A branch of made-up nodes. Where the transaction is on the left at `level`, the two nodes there could be a transaction, with
/// `script` bytes in its input.
fn ambiguous(depth: usize, place: u32, seed: u64, level: usize, script: u8, shown: Shown) -> (InclusionProof, Vec<u8>) {
    let index = place % (1 << depth);
    let node = |number: u64| sha256d::Hash::hash(&[seed.to_le_bytes(), number.to_le_bytes()].concat()).to_byte_array();
    let mut siblings: Vec<[u8; 32]> = (0..depth as u64).map(node).collect();
    let count = 32 - index.leading_zeros() as usize;
    let mut leftmost: Vec<[u8; 32]> = (100..100 + count as u64).map(node).collect();
    if let Some(first) = leftmost.first_mut() {
        if shown == Shown::AsZeros {
            first[5..].fill(0);
        }
        siblings[count - 1] = leftmost[1..].iter().fold(leftmost[0], |left, right| parent(&left, right));
    }
    match shown {
        Shown::No => leftmost.clear(),
        Shown::TooLong => leftmost.push(node(200)),
        Shown::Rightly | Shown::AsZeros => {}
    }
    let on_the_left = index >> level & 1 == 0;
    if on_the_left {
        let outputs = 14 + usize::from(script);
        siblings[level][9] = script;
        siblings[level][outputs] = 1;
        siblings[level][outputs + 7] = 7;
        siblings[level][outputs + 8] = 0;
        siblings[level][outputs + 9] = 4 - script;
    }
    let climb = |whole: &Transaction, levels: usize| {
        let leaf = whole.compute_txid().to_byte_array();
        siblings[..levels].iter().enumerate().fold(leaf, |node, (level, sibling)| {
            if index >> level & 1 == 1 { parent(sibling, &node) } else { parent(&node, sibling) }
        })
    };
    let fits = |whole: &Transaction| !on_the_left || climb(whole, level)[4] == 1;
    let whole = (0..).map(|salt| transaction(salt, 34)).find(fits).expect("one in 256");
    let root = TxMerkleNode::from_byte_array(climb(&whole, depth));
    let header = mine(Network::Regtest.genesis().block_hash(), START, LIMIT, 0, Some(root));
    (InclusionProof { header, index, siblings, leftmost }, strip(&whole))
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256d::Hash::hash(&[*left, *right].concat()).to_byte_array()
}
