//! Ranges of random tries: what is right is taken, and every lie about them is refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::state::trie::tests::{Stored, key as near};

type Model = BTreeMap<B256, Vec<u8>>;

fn stored(model: &Model) -> (B256, Stored) {
    let mut stored = Stored::default();
    let updates: Vec<_> = model.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
    (stored.apply(EMPTY_ROOT_HASH, &updates), stored)
}

fn within(model: &Model, from: B256, to: B256) -> Vec<Leaf> {
    if from > to {
        return Vec::new();
    }
    model.range(from..=to).map(|(key, value)| (*key, value.clone())).collect()
}

/// Keys that share long prefixes, and keys from everywhere.
fn key() -> impl Strategy<Value = B256> {
    let ends = prop_oneof![Just(B256::ZERO), Just(LAST_KEY)];
    prop_oneof![6 => near(), 3 => any::<[u8; 32]>().prop_map(B256::from), 1 => ends]
}

fn model() -> impl Strategy<Value = Model> {
    prop::collection::btree_map(key(), prop::collection::vec(1u8..255, 1..40), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_leaves_of_any_range_are_taken(model in model(), a in key(), b in key()) {
        let (from, to) = (a.min(b), a.max(b));
        let (root, stored) = stored(&model);
        let proof = prove_range(&stored, from, to).expect("all nodes are there");
        let nodes = verify_range(root, (from, to), &within(&model, from, to), &proof);
        for (path, rlp) in nodes.expect("the truth") {
            prop_assert_eq!(stored.0.get(&path), Some(&rlp), "{:?}", path);
        }
    }

    #[test]
    fn a_trie_is_copied_node_by_node_from_its_ranges(model in model(), step in 1usize..9) {
        let (root, stored) = stored(&model);
        let (mut copied, mut from) = (BTreeMap::new(), B256::ZERO);
        loop {
            let mut leaves = within(&model, from, LAST_KEY);
            leaves.truncate(step);
            let to = match leaves.last() {
                Some((last, _)) if leaves.len() == step && *last < LAST_KEY => *last,
                _ => LAST_KEY,
            };
            let proof = prove_range(&stored, from, to).expect("all nodes are there");
            copied.extend(verify_range(root, (from, to), &leaves, &proof).expect("the truth"));
            if to == LAST_KEY {
                break;
            }
            from = next(to);
        }
        prop_assert_eq!(copied, stored.0);
    }

    #[test]
    fn any_other_leaves_are_refused(
        model in model(),
        a in key(),
        b in key(),
        other in key(),
        value in prop::collection::vec(1u8..255, 1..40),
        at in any::<prop::sample::Index>(),
        lie in 0u8..6,
    ) {
        let (from, to) = (a.min(b), a.max(b));
        let (root, stored) = stored(&model);
        let proof = prove_range(&stored, from, to).expect("all nodes are there");
        let truth = within(&model, from, to);
        let mut told = truth.clone();
        match lie {
            0 if !told.is_empty() => { told.remove(at.index(truth.len())); }
            1 if !told.is_empty() => told[at.index(truth.len())].1 = value,
            2 if !told.is_empty() => told[at.index(truth.len())].0 = other,
            3 if told.len() > 1 => told.swap(0, at.index(truth.len())),
            4 => told.clear(),
            _ => { told.push((other, value)); told.sort(); }
        }
        let told_well = verify_range(root, (from, to), &told, &proof).is_ok();
        prop_assert_eq!(told_well, told == truth, "lie {}", lie);
        // The proof of everything does not help either.
        let all: Vec<_> = model.keys().flat_map(|key| prove(&stored, *key).expect("all nodes are there")).collect();
        prop_assert_eq!(verify_range(root, (from, to), &told, &all).is_ok(), told == truth, "lie {}", lie);
    }

    #[test]
    fn a_proof_that_lacks_a_node_or_has_another_is_refused(model in model(), a in key(), b in key(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (from, to) = (a.min(b), a.max(b));
        let (root, stored) = stored(&model);
        let mut proof = prove_range(&stored, from, to).expect("all nodes are there");
        prop_assume!(!proof.is_empty());
        let leaves = within(&model, from, to);
        let at = at.index(proof.len());
        let mut changed = proof[at].to_vec();
        changed[0] ^= 1 << bit;
        proof[at] = changed.into();
        let told = verify_range(root, (from, to), &leaves, &proof);
        // A node that is not needed may be missing: below an end where the trie has no such key.
        if let Ok(nodes) = told {
            for (path, rlp) in nodes {
                prop_assert_eq!(stored.0.get(&path), Some(&rlp));
            }
        }
    }
}

fn next(key: B256) -> B256 {
    let value = alloy_primitives::U256::from_be_bytes(key.0) + alloy_primitives::U256::from(1);
    B256::from(value)
}

fn three() -> (B256, Stored, Vec<Leaf>) {
    let model: Model = (1u8..=3).map(|number| (B256::repeat_byte(number << 4), vec![number; 40])).collect();
    let (root, stored) = stored(&model);
    let leaves = within(&model, B256::ZERO, LAST_KEY);
    (root, stored, leaves)
}

#[test]
fn each_kind_of_lie_has_its_name() {
    let (root, stored, leaves) = three();
    let all = (B256::ZERO, LAST_KEY);
    assert!(verify_range(root, all, &leaves, &[]).is_ok(), "the whole needs no proof");
    let swapped = [leaves[1].clone(), leaves[0].clone(), leaves[2].clone()];
    assert!(matches!(verify_range(root, all, &swapped, &[]), Err(RangeError::Order { .. })));
    let twice = [leaves[0].clone(), leaves[0].clone()];
    assert!(matches!(verify_range(root, all, &twice, &[]), Err(RangeError::Order { .. })));
    assert!(matches!(verify_range(root, all, &leaves[..2], &[]), Err(RangeError::Changed(_))));
    assert!(matches!(verify_range(root, all, &[], &[]), Err(RangeError::Omitted(_))));
    assert!(matches!(verify_range(EMPTY_ROOT_HASH, all, &leaves, &[]), Err(RangeError::Added(_))));

    let from = leaves[1].0;
    let proof = prove_range(&stored, from, LAST_KEY).expect("all nodes are there");
    assert!(verify_range(root, (from, LAST_KEY), &leaves[1..], &proof).is_ok());
    let unproven = verify_range(root, (from, LAST_KEY), &leaves[1..], &[]);
    assert!(matches!(unproven, Err(RangeError::Unproven { .. })));
    assert!(matches!(verify_range(root, (from, LAST_KEY), &leaves, &proof), Err(RangeError::Outside { .. })));
    // Nothing is left of the trie here, it is said.
    assert!(matches!(verify_range(root, (from, LAST_KEY), &[], &proof), Err(RangeError::Omitted(_))));
    let behind = B256::repeat_byte(0x40);
    let proof = prove_range(&stored, behind, LAST_KEY).expect("all nodes are there");
    assert!(verify_range(root, (behind, LAST_KEY), &[], &proof).is_ok(), "here it is true");
}
