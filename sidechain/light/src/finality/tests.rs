//! What a quorum makes final, and what is refused.

use alloy_consensus::Header;
use alloy_primitives::{B256, hex};
use blst::min_sig::SecretKey;
use proptest::prelude::*;

use super::{
    encoding::{Reader, write_varint},
    *,
};

fn secrets(count: u8) -> Vec<SecretKey> {
    (0..count).map(|i| SecretKey::key_gen(&[i + 1; 32], &[]).expect("32 bytes are enough")).collect()
}

/// The network of most tests.
const NETWORK: B256 = B256::repeat_byte(0x51);

/// Validator i has p2p key [i; 32], so that positions and bits agree.
fn validators(secrets: &[SecretKey]) -> Validators {
    let members = secrets.iter().enumerate().map(|(i, secret)| ([i as u8; 32], secret.sk_to_pk().compress()));
    Validators::new(NETWORK, members).expect("valid keys")
}

fn certify(secrets: &[SecretKey], signers: &[usize], hash: B256) -> Vec<u8> {
    super::certify(NETWORK, secrets, signers, 129, hash)
}

#[test]
fn a_quorum_makes_a_block_final_and_nothing_less_does() {
    let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
    let validators = validators(&secrets);
    for signers in [&[0, 1, 2][..], &[1, 2, 3], &[0, 1, 2, 3]] {
        let certificate = verify(&certify(&secrets, signers, hash), &validators, hash).expect("a quorum");
        assert_eq!((certificate.view, certificate.parent_view), (129, 128));
    }
    assert_eq!(
        verify(&certify(&secrets, &[0, 3], hash), &validators, hash),
        Err(FinalityError::NoQuorum { got: 2, want: 3 })
    );
    let other = B256::repeat_byte(8);
    assert_eq!(
        verify(&certify(&secrets, &[0, 1, 2], hash), &validators, other),
        Err(FinalityError::WrongBlock { got: hash, want: other })
    );
}

#[test]
fn a_changed_signer_set_or_block_breaks_the_signature() {
    let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
    let validators = validators(&secrets);
    let good = certify(&secrets, &[0, 1, 2], hash);
    let bitmap_at = good.len() - SIGNATURE_BYTES - 1;
    let mut other_signers = good.clone();
    other_signers[bitmap_at] = 0b1011;
    assert_eq!(verify(&other_signers, &validators, hash), Err(FinalityError::BadSignature));
    let mut one_more = good.clone();
    one_more[bitmap_at] = 0b1111;
    assert_eq!(verify(&one_more, &validators, hash), Err(FinalityError::BadSignature));
    let mut fifth = good.clone();
    fifth[bitmap_at] |= 0b1_0000;
    assert_eq!(verify(&fifth, &validators, hash), Err(FinalityError::UnknownSigner));
    let mut other_block = good.clone();
    other_block[5..37].copy_from_slice(&[9; 32]);
    assert_eq!(verify(&other_block, &validators, B256::repeat_byte(9)), Err(FinalityError::BadSignature));
    let mut other_round = good;
    other_round[1] = 0x82;
    assert_eq!(verify(&other_round, &validators, hash), Err(FinalityError::BadSignature));
}

#[test]
fn votes_of_another_network_of_the_same_validators_do_not_count() {
    let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
    let members = secrets.iter().enumerate().map(|(i, s)| ([i as u8; 32], s.sk_to_pk().compress()));
    let elsewhere = Validators::new(B256::repeat_byte(0x52), members).expect("valid keys");
    assert_eq!(verify(&certify(&secrets, &[0, 1, 2], hash), &elsewhere, hash), Err(FinalityError::BadSignature));
}

// 5 <- 6 <- 7, the certificate signs 7
#[test]
fn a_descendant_makes_its_ancestors_final() {
    let secrets = secrets(4);
    let validators = validators(&secrets);
    let child =
        |parent: &Header| Header { number: parent.number + 1, parent_hash: parent.hash_slow(), ..Header::default() };
    let five = Header { number: 5, ..Header::default() };
    let six = child(&five);
    let seven = child(&six);
    let certificate = certify(&secrets, &[0, 2, 3], seven.hash_slow());
    verify_linked(&five, &[six.clone(), seven.clone()], &certificate, &validators).expect("linked");
    verify_linked(&seven, &[], &certificate, &validators).expect("itself");
    assert!(matches!(
        verify_linked(&five, std::slice::from_ref(&seven), &certificate, &validators),
        Err(FinalityError::Unlinked { number: 7, .. })
    ));
    assert!(matches!(verify_linked(&five, &[six], &certificate, &validators), Err(FinalityError::WrongBlock { .. })));
}

#[test]
fn a_proof_of_possession_is_for_one_key() {
    let secrets = secrets(2);
    let proof = prove_possession(&secrets[0]);
    verify_possession(&secrets[0].sk_to_pk().compress(), &proof).expect("its own key");
    assert_eq!(verify_possession(&secrets[1].sk_to_pk().compress(), &proof), Err(FinalityError::BadPossession));
    assert_eq!(verify_possession(&[0; 96], &proof), Err(FinalityError::BadKey { index: 0 }));
}

#[test]
fn validators_are_distinct_and_valid() {
    let key = secrets(1)[0].sk_to_pk().compress();
    let other = secrets(2)[1].sk_to_pk().compress();
    let new = |members: &[([u8; 32], [u8; 96])]| Validators::new(NETWORK, members.to_vec()).map(|_| ());
    assert_eq!(new(&[([1; 32], key), ([2; 32], key)]), Err(FinalityError::DuplicateKey));
    assert_eq!(new(&[([1; 32], key), ([1; 32], other)]), Err(FinalityError::DuplicateKey));
    assert_eq!(new(&[([1; 32], key), ([2; 32], [1; 96])]), Err(FinalityError::BadKey { index: 1 }));
    assert_eq!(new(&[]), Err(FinalityError::BadValidatorCount { got: 0 }));
}

#[test]
fn the_quorum_is_all_but_a_third() {
    let quorums = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7)];
    for (count, quorum) in quorums {
        assert_eq!(validators(&secrets(count)).quorum(), quorum, "of {count}");
    }
}

/// Made by the engine among four validators with the BLS secrets 0x0101.., 0x0202.., 0x0303.., 0x0404.. (their p2p keys
/// are the ed25519 keys of the same seeds): block 3 of a simulated network, [`NETWORK`], signed by all but one.
const ENGINES_HASH: [u8; 32] = hex!("4835732fea3dff624ea7d50232d9b1b4386d91251e2516c4535d6338e65a253b");
const ENGINES_CERTIFICATE: &[u8] = &hex!(
    "000403" "4835732fea3dff624ea7d50232d9b1b4386d91251e2516c4535d6338e65a253b"
    "0000000000000004" "0b"
    "a45e9688ea4aee8ed981d4519fc5d4aa94de0f001de6bfeb0adcfdff7322cda582c0062a98f33258d10549aea955f506"
);
const ENGINES_P2P_KEYS: [[u8; 32]; 4] = [
    hex!("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"),
    hex!("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"),
    hex!("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"),
    hex!("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"),
];

#[test]
fn certificates_of_the_engine_stay_valid() {
    let members = (1..=4u8).map(|i| {
        let secret = SecretKey::from_bytes(&[i; 32]).expect("below the group's order");
        (ENGINES_P2P_KEYS[usize::from(i) - 1], secret.sk_to_pk().compress())
    });
    let validators = Validators::new(NETWORK, members).expect("valid keys");
    let hash = B256::from(ENGINES_HASH);
    let certificate = verify(ENGINES_CERTIFICATE, &validators, hash).expect("made by the engine");
    assert_eq!((certificate.epoch, certificate.view, certificate.parent_view), (0, 4, 3));
    assert_eq!(certificate.signers, [true, true, false, true]);
    assert_eq!(certificate.encode(), ENGINES_CERTIFICATE);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Certificate::decode(&bytes);
    }

    #[test]
    fn what_decodes_encodes_to_the_same(
        signers in proptest::collection::vec(any::<bool>(), 0..30), view in 1..u64::MAX,
    ) {
        let certificate = Certificate {
            epoch: 0,
            view,
            parent_view: view - 1,
            hash: B256::repeat_byte(3),
            signers,
            signature: [5; SIGNATURE_BYTES],
        };
        prop_assert_eq!(Certificate::decode(&certificate.encode()), Ok(certificate));
    }

    #[test]
    fn varints_are_read_as_written(value in any::<u64>()) {
        let mut bytes = Vec::new();
        write_varint(value, &mut bytes);
        let mut reader = Reader { bytes: &bytes, at: 0 };
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert_eq!(reader.at, bytes.len());
    }
}
