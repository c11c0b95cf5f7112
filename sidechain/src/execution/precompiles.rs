//! Ethereum's precompiles of fork Osaka, two of which would take long for their price.
//!
//! | precompile | Ethereum | here |
//! |---|---|---|
//! | P256VERIFY (0x100) | 6,900 gas | the same, computed by a library that is several times faster |
//! | point evaluation (0x0a) | 50,000 gas | 100,000 gas: two pairings and two decompressions, and this chain has no blobs to use it for |

use std::{collections::BTreeMap, sync::LazyLock};

use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use revm::{
    handler::EthPrecompiles,
    precompile::{
        EthPrecompileOutput, EthPrecompileResult, Precompile, PrecompileHalt, PrecompileId, PrecompileResult,
        Precompiles, call_eth_precompile, kzg_point_evaluation, secp256r1, u64_to_address,
    },
    primitives::{Address, B256, Bytes, hardfork::SpecId},
};

use crate::geth;

/// Gas of a point evaluation.
pub const POINT_EVALUATION_GAS: u64 = 100_000;

static PRECOMPILES: LazyLock<Precompiles> = LazyLock::new(|| {
    let mut all = Precompiles::osaka().clone();
    let p256 = u64_to_address(secp256r1::P256VERIFY_ADDRESS);
    all.extend([
        Precompile::new(PrecompileId::P256Verify, p256, |input, gas, reservoir| {
            run(p256_verify, input, gas, reservoir)
        }),
        Precompile::new(PrecompileId::KzgPointEvaluation, kzg_point_evaluation::ADDRESS, |input, gas, reservoir| {
            run(point_evaluation, input, gas, reservoir)
        }),
    ]);
    all
});

/// As the EVM gets them.
pub(super) fn precompiles() -> EthPrecompiles {
    EthPrecompiles { precompiles: &PRECOMPILES, spec: SpecId::OSAKA }
}

/// Whether one of them is at the address.
pub(super) fn is_precompile(address: &Address) -> bool {
    PRECOMPILES.contains(address)
}

/// All of them by the names that EIP-7910 gives them.
pub fn precompile_names() -> BTreeMap<String, Address> {
    PRECOMPILES.inner().iter().map(|(address, precompile)| (precompile.id().name().to_owned(), *address)).collect()
}

fn run(
    function: fn(&[u8], u64) -> EthPrecompileResult,
    input: &[u8],
    gas_limit: u64,
    reservoir: u64,
) -> PrecompileResult {
    Ok(call_eth_precompile(function, input, gas_limit, reservoir))
}

/// EIP-7951: hash, r, s, x and y, 32 bytes each; 1 as a word when the signature is good, and nothing otherwise.
fn p256_verify(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    let gas = secp256r1::P256VERIFY_BASE_GAS_FEE_OSAKA;
    if gas > gas_limit {
        return Err(PrecompileHalt::OutOfGas);
    }
    let output = if is_signed(input) { B256::with_last_byte(1).into() } else { Bytes::new() };
    Ok(EthPrecompileOutput::new(gas, output))
}

fn is_signed(input: &[u8]) -> bool {
    if input.len() != 160 {
        return false;
    }
    let (hash, rest) = input.split_at(32);
    let (signature, point) = rest.split_at(64);
    let Ok(digest) = Digest::import_less_safe(hash, &SHA256) else {
        return false;
    };
    // SEC 1: 4 in front of both coordinates.
    let key = [&[4], point].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify_digest(&digest, signature).is_ok()
}

/// EIP-4844's, at our price.
fn point_evaluation(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    if POINT_EVALUATION_GAS > gas_limit {
        return Err(PrecompileHalt::OutOfGas);
    }
    let output = kzg_point_evaluation::run(input, gas_limit).map_err(in_geths_words)?;
    Ok(EthPrecompileOutput::new(POINT_EVALUATION_GAS, output.bytes))
}

fn in_geths_words(halt: PrecompileHalt) -> PrecompileHalt {
    match halt {
        PrecompileHalt::BlobInvalidInputLength => PrecompileHalt::Other(geth::POINT_EVALUATION_LENGTH.into()),
        PrecompileHalt::BlobMismatchedVersion => PrecompileHalt::Other(geth::POINT_EVALUATION_VERSION.into()),
        PrecompileHalt::BlobVerifyKzgProofFailed => PrecompileHalt::Other(geth::POINT_EVALUATION_PROOF.into()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, hex, keccak256, uint};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::precompiles::{P256_SIGNATURE, POINT_EVALUATION};

    /// Order of the group, and the field's prime.
    const ORDER: U256 = uint!(0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551_U256);
    const PRIME: U256 = uint!(0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff_U256);

    /// `word` of the input (hash, r, s, x, y) replaced.
    fn with(word: usize, value: U256) -> Vec<u8> {
        let mut input = P256_SIGNATURE.to_vec();
        input[32 * word..32 * (word + 1)].copy_from_slice(&value.to_be_bytes::<32>());
        input
    }

    fn same(input: &[u8]) -> bool {
        let (ours, theirs) = (is_signed(input), secp256r1::verify_impl(input));
        assert_eq!(ours, theirs, "{}", hex::encode(input));
        ours
    }

    #[test]
    fn signatures_are_judged_as_by_the_library_that_ethereum_s_clients_use() {
        assert!(same(&P256_SIGNATURE));
        assert!(!same(&P256_SIGNATURE[..159]) && !same(&[&P256_SIGNATURE[..], &[0]].concat()) && !same(&[]));
        let s = U256::from_be_slice(&P256_SIGNATURE[64..96]);
        assert!(same(&with(2, ORDER - s)), "there is no rule about a low s");
        for word in 0..5 {
            for value in
                [U256::ZERO, U256::from(1), ORDER - U256::from(1), ORDER, PRIME - U256::from(1), PRIME, U256::MAX]
            {
                same(&with(word, value));
            }
        }
        // A hash and the same plus the order are the same number.
        let hash = U256::from_be_slice(&P256_SIGNATURE[..32]);
        same(&with(0, hash.wrapping_add(ORDER)));
        same(&[&P256_SIGNATURE[..96], &[0; 64]].concat());
    }

    proptest! {
        #[test]
        fn whatever_is_changed_is_judged_the_same(word in 0usize..5, seed: u64, bit in 0usize..1280) {
            same(&with(word, U256::from_be_bytes(keccak256(seed.to_be_bytes()).0)));
            let mut flipped = P256_SIGNATURE;
            flipped[bit / 8] ^= 1 << (bit % 8);
            same(&flipped);
        }
    }

    #[test]
    fn a_point_evaluation_costs_twice_ethereum_s_price_and_says_the_same() {
        let input = POINT_EVALUATION;
        let ours = point_evaluation(&input, POINT_EVALUATION_GAS).expect("a good proof");
        let theirs = kzg_point_evaluation::run(&input, kzg_point_evaluation::GAS_COST).expect("a good proof");
        assert_eq!((ours.gas_used, ours.bytes), (2 * theirs.gas_used, theirs.bytes));
        assert_eq!(point_evaluation(&input, POINT_EVALUATION_GAS - 1), Err(PrecompileHalt::OutOfGas));
    }

    /// What a point evaluation says by two implementations that have no code in common.
    fn evaluated(z: U256, y: U256, commitment: &[u8; 48], proof: &[u8; 48]) -> bool {
        let (z, y) = (z.to_be_bytes::<32>(), y.to_be_bytes::<32>());
        let hash = kzg_point_evaluation::kzg_to_versioned_hash(commitment);
        let input = [hash.as_slice(), &z, &y, commitment, proof].concat();
        let ours = point_evaluation(&input, POINT_EVALUATION_GAS).is_ok();
        let theirs = kzg_point_evaluation::arkworks::verify_kzg_proof(commitment, &z, &y, proof);
        assert_eq!(ours, theirs, "{}", hex::encode(input));
        ours
    }

    #[test]
    fn points_are_evaluated_as_by_another_library() {
        /// Order of the group of points (EIP-4844's `BLS_MODULUS`).
        const MODULUS: U256 = uint!(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001_U256);
        let word = |at: usize| U256::from_be_slice(&POINT_EVALUATION[at..at + 32]);
        let point = |at: usize| -> [u8; 48] { POINT_EVALUATION[at..at + 48].try_into().expect("48 bytes") };
        let (z, y, commitment, proof) = (word(32), word(64), point(96), point(144));
        assert!(evaluated(z, y, &commitment, &proof));
        for other in [U256::ZERO, U256::from(1), MODULUS - U256::from(2), MODULUS, MODULUS + U256::from(1), U256::MAX] {
            assert!(!evaluated(other, y, &commitment, &proof));
            assert!(!evaluated(z, other, &commitment, &proof));
        }
        assert!(!evaluated(z, y, &proof, &commitment));
        for bit in [0, 1, 2, 3, 9, 100, 383] {
            let mut flipped = proof;
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(!evaluated(z, y, &commitment, &flipped));
            flipped = commitment;
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(!evaluated(z, y, &flipped, &proof));
        }
        // A constant polynomial: everywhere its constant, which the point at infinity proves.
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert!(evaluated(U256::ZERO, U256::ZERO, &infinity, &infinity));
        assert!(evaluated(z, U256::ZERO, &infinity, &infinity));
        assert!(!evaluated(z, U256::from(1), &infinity, &infinity));
        let generator =
            hex!("97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb");
        assert!(evaluated(z, U256::from(1), &generator, &infinity));
        assert!(!evaluated(z, U256::from(2), &generator, &infinity));
        // On the curve, and not in the group.
        let mut outside = [0; 48];
        (outside[0], outside[47]) = (0x80, 4);
        assert!(!evaluated(z, y, &outside, &proof) && !evaluated(z, y, &commitment, &outside));
    }

    #[test]
    fn the_others_are_ethereum_s() {
        let (ours, theirs) = (&*PRECOMPILES, Precompiles::osaka());
        assert_eq!(ours.addresses_set(), theirs.addresses_set());
        assert_eq!(ours.len(), theirs.len());
    }
}
