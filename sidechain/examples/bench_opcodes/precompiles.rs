//! Every precompile, on the inputs that take it longest for their price.

use alloy_primitives::{U256, hex, keccak256};

use sidechain::testing::precompiles::{P256_SIGNATURE, POINT_EVALUATION, RECOVERABLE_SIGNATURE};

use super::{Row, code::Loop, network::Network};

/// The generator of BLS12-381's first group, in the encoding of EIP-2537.
const G1: [u8; 128] = hex!(
    "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    "0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
);
/// That of the second.
const G2: [u8; 256] = hex!(
    "00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    "0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
    "000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"
);
/// The generator of bn254's second group.
const BN_G2: [u8; 128] = hex!(
    "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c21800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed"
    "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
);

pub fn measure(network: &Network) -> Vec<Row> {
    let mut rows: Vec<_> =
        inputs().into_iter().map(|(name, number, input)| network.measure(&calls(&name, number), &input)).collect();
    // There are many ways to call it: the slowest few say all.
    let mut modexp: Vec<_> = modular().into_iter().map(|(name, input)| (calls(&name, 5), input)).collect();
    modexp.sort_by_cached_key(|(program, input)| network.look(program, input).mgas_per_second);
    rows.extend(modexp.iter().take(10).map(|(program, input)| network.measure(program, input)));
    rows
}

/// STATICCALL with all of the input, which is in memory; its length is at the bottom of the stack.
fn calls(name: &str, number: u16) -> Loop {
    Loop::new(name, "", &format!("5f5f 82 5f 61{} 5a fa 50", hex::encode(number.to_be_bytes())))
}

fn inputs() -> Vec<(String, u16, Vec<u8>)> {
    let mut all = vec![
        ("ecrecover".to_owned(), 1, RECOVERABLE_SIGNATURE.to_vec()),
        ("ecrecover, no key".to_owned(), 1, [&RECOVERABLE_SIGNATURE[..64], &[0xff; 64]].concat()),
        ("p256verify".to_owned(), 0x100, P256_SIGNATURE.to_vec()),
        ("kzg point evaluation".to_owned(), 0xa, POINT_EVALUATION.to_vec()),
        ("bn254 add".to_owned(), 6, [bn_g1(), bn_g1()].concat()),
        ("bn254 multiply".to_owned(), 7, [bn_g1(), vec![0xff; 32]].concat()),
        ("bls12-381 g1 add".to_owned(), 0xb, [G1, G1].concat()),
        ("bls12-381 g2 add".to_owned(), 0xd, [G2, G2].concat()),
        ("bls12-381 fp to g1".to_owned(), 0x10, field(1)),
        ("bls12-381 fp2 to g2".to_owned(), 0x11, [field(1), field(2)].concat()),
    ];
    for bytes in [0, 32, 136, 1_024, 16_384] {
        for (number, name) in [(2, "sha256"), (3, "ripemd160"), (4, "identity")] {
            all.push((format!("{name}, {bytes} bytes"), number, vec![0xab; bytes]));
        }
    }
    for rounds in [0u32, 12, 1_000, 200_000] {
        all.push((format!("blake2f, {rounds} rounds"), 9, [&rounds.to_be_bytes()[..], &[0xab; 208], &[1]].concat()));
    }
    for pairs in [1, 2, 4, 16] {
        all.push((format!("bn254 pairing, {pairs}"), 8, [bn_g1(), BN_G2.to_vec()].concat().repeat(pairs)));
        all.push((format!("bls12-381 pairing, {pairs}"), 0xf, [&G1[..], &G2].concat().repeat(pairs)));
    }
    for points in [1, 2, 4, 16, 64, 128] {
        all.push((format!("bls12-381 g1 msm, {points}"), 0xc, msm(&G1, points)));
        all.push((format!("bls12-381 g2 msm, {points}"), 0xe, msm(&G2, points.min(100))));
    }
    all
}

fn bn_g1() -> Vec<u8> {
    [U256::from(1), U256::from(2)].iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

fn field(number: u64) -> Vec<u8> {
    [&[0; 17][..], &keccak256(number.to_be_bytes())[1..], &[7; 16]].concat()
}

/// A point with scalars that have many bits, all different.
fn msm(point: &[u8], points: u64) -> Vec<u8> {
    (0..points).flat_map(|number| [point, keccak256(number.to_be_bytes()).as_slice()].concat()).collect()
}

/// Many lengths and shapes of base, exponent and modulus.
fn modular() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for length in [1usize, 8, 16, 24, 32, 33, 40, 64, 96, 128, 256, 512, 1_024] {
        for exponent in [1usize, 2, 8, 31, 32, 33, 64, 128, 256, 1_024] {
            for (shape, last) in [("odd", 0xffu8), ("even", 0xfe), ("a multiple of 256", 0)] {
                let mut modulus = vec![0xff; length];
                *modulus.last_mut().expect("not empty") = last;
                if length == 1 && last == 0 {
                    continue;
                }
                let name = format!("modexp, {length} bytes, exponent of {exponent}, {shape}");
                all.push((name, modexp(&vec![0xfd; length], &vec![0xff; exponent], &modulus)));
            }
        }
    }
    all
}

fn modexp(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let length = |part: &[u8]| U256::from(part.len()).to_be_bytes::<32>();
    [&length(base)[..], &length(exponent), &length(modulus), base, exponent, modulus].concat()
}
