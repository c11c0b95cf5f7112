//! What a node's answers prove, and what they do not.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer};
use api::peg::{Certified, Finality};
use blst::min_sig::SecretKey;

use crate::federation::{FederationKeys, key_slots};
use crate::finality::{FinalityError, Validators, certify};
use crate::{FinalHeader, HeaderError, ProofError};

const NETWORK: B256 = B256::repeat_byte(0x51);
const ADDRESS: Address = Address::repeat_byte(7);

fn secrets() -> Vec<SecretKey> {
    (1..=4).map(|i| SecretKey::key_gen(&[i; 32], &[]).expect("32 bytes are enough")).collect()
}

fn validators() -> Validators {
    let members = secrets().into_iter().enumerate();
    let members = members.map(|(i, secret)| ([i as u8; 32], secret.sk_to_pk().compress()));
    Validators::new(NETWORK, members).expect("valid keys")
}

/// What a node answers that shows `header` as final by itself.
fn answer(header: &Header, signers: &[usize]) -> Finality {
    let hash = header.hash_slow();
    Finality {
        number: header.number,
        hash,
        header: alloy_rlp::encode(header).into(),
        certificate: certify(NETWORK, &secrets(), signers, 9, hash).into(),
        certified: Certified { number: header.number, hash },
        descendants: Vec::new(),
    }
}

/// Root of a trie with these values, and the proof of one key.
fn trie(values: &[(B256, Vec<u8>)], key: B256) -> (B256, Vec<Bytes>) {
    let key = Nibbles::unpack(keccak256(key_bytes(&key)));
    let mut leaves: Vec<_> = values.iter().map(|(k, v)| (Nibbles::unpack(keccak256(key_bytes(k))), v)).collect();
    leaves.sort();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![key]));
    for (path, value) in leaves {
        builder.add_leaf(path, value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

/// Addresses are padded to words in these tests, so that one function makes both tries.
fn key_bytes(word: &B256) -> &[u8] {
    if word[..12] == [0; 12] && word[12..] == ADDRESS[..] { &word[12..] } else { &word[..] }
}

/// A final header and a node's answer about [`ADDRESS`], whose slots 1 and 2 hold 10 and nothing.
fn proven() -> (FinalHeader, EIP1186AccountProofResponse) {
    let slot = |number: u64| B256::from(U256::from(number));
    let storage = [(slot(1), alloy_rlp::encode(U256::from(10))), (slot(3), alloy_rlp::encode(U256::from(30)))];
    let (storage_root, first) = trie(&storage, slot(1));
    let (_, second) = trie(&storage, slot(2));
    let account = TrieAccount { nonce: 1, balance: U256::from(5), storage_root, code_hash: B256::repeat_byte(0xcc) };
    let other = TrieAccount { storage_root: EMPTY_ROOT_HASH, ..account };
    let accounts =
        [(ADDRESS.into_word(), alloy_rlp::encode(account)), (B256::repeat_byte(9), alloy_rlp::encode(other))];
    let (state_root, account_proof) = trie(&accounts, ADDRESS.into_word());
    let header = Header { number: 3, state_root, ..Header::default() };
    let header = FinalHeader::verify(&answer(&header, &[0, 1, 3]), &validators()).expect("a quorum signed it");
    let proof =
        |number, value, proof| EIP1186StorageProof { key: slot(number).into(), value: U256::from(value), proof };
    let answer = EIP1186AccountProofResponse {
        address: ADDRESS,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: storage_root,
        account_proof,
        storage_proof: vec![proof(1, 10, first), proof(2, 0, second)],
    };
    (header, answer)
}

#[test]
fn a_header_is_final_by_its_quorum() {
    let header = Header { number: 3, ..Header::default() };
    let proven = FinalHeader::verify(&answer(&header, &[0, 1, 3]), &validators()).expect("a quorum signed it");
    assert_eq!((proven.hash, proven.signers, proven.validators), (header.hash_slow(), 3, 4));
    let refused = FinalHeader::verify(&answer(&header, &[0, 1]), &validators());
    assert_eq!(refused, Err(HeaderError::Finality(FinalityError::NoQuorum { got: 2, want: 3 })));
    let mut trailing = answer(&header, &[0, 1, 3]);
    trailing.header = [trailing.header.as_ref(), &[0, 0]].concat().into();
    assert_eq!(FinalHeader::verify(&trailing, &validators()), Err(HeaderError::TrailingBytes { extra: 2 }));
    let mut nothing = answer(&header, &[0, 1, 3]);
    nothing.header = Bytes::new();
    assert!(matches!(FinalHeader::verify(&nothing, &validators()), Err(HeaderError::Encoding(_))));
}

#[test]
fn an_account_and_its_slots_are_proved_present_and_absent() {
    let (header, answer) = proven();
    let account = header.verify_account(&answer, ADDRESS, &[U256::from(1), U256::from(2)]).expect("proved");
    assert_eq!((account.balance, account.slots), (U256::from(5), vec![U256::from(10), U256::ZERO]));
}

#[test]
fn what_the_proof_does_not_say_is_refused() {
    let (header, honest) = proven();
    let slots = [U256::from(1), U256::from(2)];
    let refused = |change: &dyn Fn(&mut EIP1186AccountProofResponse)| {
        let mut answer = honest.clone();
        change(&mut answer);
        header.verify_account(&answer, ADDRESS, &slots).expect_err("changed")
    };
    assert!(matches!(refused(&|answer| answer.balance += U256::from(1)), ProofError::Trie(_)));
    assert!(matches!(refused(&|answer| answer.storage_hash = EMPTY_ROOT_HASH), ProofError::Trie(_)));
    assert!(matches!(refused(&|answer| answer.storage_proof[0].value = U256::from(11)), ProofError::Trie(_)));
    assert!(matches!(refused(&|answer| answer.storage_proof[0].value = U256::ZERO), ProofError::Trie(_)));
    assert!(matches!(refused(&|answer| answer.storage_proof[1].value = U256::from(1)), ProofError::Trie(_)));
    assert!(matches!(refused(&|answer| answer.storage_proof.swap(0, 1)), ProofError::Trie(_)));
    let one_less = refused(&|answer| drop(answer.storage_proof.pop()));
    assert_eq!(one_less, ProofError::WrongSlotCount { got: 1, want: 2 });
    let elsewhere = header.verify_account(&honest, Address::repeat_byte(8), &slots);
    assert!(matches!(elsewhere, Err(ProofError::Trie(_))));
}

#[test]
fn the_federations_keys_are_two_neighbouring_slots() {
    let [group, vault] = key_slots(1);
    assert_eq!(vault, group + U256::from(1));
    assert_ne!(group, key_slots(2)[0]);
    let (header, answer) = proven();
    let account = header.verify_account(&answer, ADDRESS, &[U256::from(1), U256::from(2)]).expect("proved");
    let keys = FederationKeys { group: B256::with_last_byte(10), vault: B256::ZERO };
    assert_eq!(FederationKeys::of(&account), Some(keys));
}

#[test]
fn an_account_that_is_not_there_is_proven_by_its_absence_and_one_that_is_there_is_not_denied() {
    let (header, answer) = proven();
    let nobody = Address::repeat_byte(8);
    let empty = EIP1186AccountProofResponse {
        address: nobody,
        balance: U256::ZERO,
        nonce: 0,
        code_hash: alloy_trie::KECCAK_EMPTY,
        storage_hash: EMPTY_ROOT_HASH,
        storage_proof: Vec::new(),
        ..answer.clone()
    };
    let slots = [U256::from(1), U256::from(2)];
    let told = header.verify_state(&answer, ADDRESS, &slots).expect("it is there");
    assert_eq!((told.0.map(|account| account.nonce), told.1), (Some(1), vec![U256::from(10), U256::ZERO]));
    assert!(header.verify_state(&empty, ADDRESS, &slots).is_err(), "it is there");
    assert!(header.verify_state(&answer, nobody, &slots).is_err(), "another's account");
    // Of two accounts, the path of a third ends in the branch that both share, or in a leaf of one of them.
    let other = B256::repeat_byte(9);
    let account = TrieAccount { nonce: 7, ..TrieAccount::default() };
    let (state_root, account_proof) = trie(&[(other, alloy_rlp::encode(account))], ADDRESS.into_word());
    let header = Header { number: 4, state_root, ..Header::default() };
    let header = FinalHeader::verify(&self::answer(&header, &[0, 1, 3]), &validators()).expect("signed");
    let absent = EIP1186AccountProofResponse { account_proof, ..empty };
    assert_eq!(header.verify_state(&absent, ADDRESS, &slots), Ok((None, vec![U256::ZERO; 2])));
    let richer = EIP1186AccountProofResponse { balance: U256::from(5), ..absent.clone() };
    assert!(header.verify_state(&richer, ADDRESS, &[]).is_err(), "it has nothing");
}
