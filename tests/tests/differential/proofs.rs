//! Inclusion proofs: honest ones, and ones changed in every way that we know, are judged alike.

use bitcoin::Transaction;
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use mainchain::proof::{InclusionProof, strip};
use mainchain::{Checkpoint, Network};
use proptest::prelude::*;
use tests::evm::word;

use crate::blocks::{START, block, transaction};
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
            proof.coinbase_siblings.pop();
        }
        Change::Copy(level) => proof.index ^= 1 << level,
        Change::Swap => std::mem::swap(&mut proof.siblings, &mut proof.coinbase_siblings),
        Change::Trailing => raw.push(0),
        Change::Short => {
            raw.pop();
        }
        Change::Witness => *raw = encode::serialize(whole),
    }
}

/// One bit of all that is sent.
fn flip(bit: &prop::sample::Index, proof: &mut InclusionProof, raw: &mut [u8]) {
    let mut parts: Vec<&mut [u8]> = vec![raw, &mut proof.coinbase];
    parts.extend(proof.siblings.iter_mut().map(|hash| hash.as_mut_slice()));
    parts.extend(proof.coinbase_siblings.iter_mut().map(|hash| hash.as_mut_slice()));
    let mut bytes: Vec<&mut u8> = parts.into_iter().flatten().collect();
    let bit = bit.index(bytes.len() * 8);
    *bytes[bit / 8] ^= 1 << (bit % 8);
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
        let rust = proof.verify(&raw, block.header.merkle_root);
        let solidity = client.require_included(&raw, &proof);
        prop_assert_eq!(
            rust.as_ref().ok().map(|txid| word(txid.as_byte_array())),
            solidity.as_ref().ok().copied(),
            "Rust: {:?}, Solidity: {:?}", rust, solidity
        );
    }
}
