//! The precompiles that take longest for their gas, against KECCAK256 in the same run: none is slower. `make bench` has the table of
//! all, which needs an optimised build and a quiet machine.

use std::time::{Duration, Instant};

use super::*;

/// Enough to measure, and little enough to be repeated.
const GAS: u64 = 2_000_000;

/// Hash, r, s, x, y; of EIP-7951's vectors.
const P256: [u8; 160] = hex!(
    "4cee90eb86eaa050036147a12d49004b6b9c72bd725d39d4785011fe190f0b4da73bd4903f0ce3b639bbbf6e8e80d16931ff4bcf5993d58468e8fb19086e8cac"
    "36dbcd03009df8c59286b162af3bd7fcc0450c9aa81be5d10d312af6c66b1d604aebd3099c618202fcfe16ae7770b0c49ab5eadf74b754204a3bb6060e44eff3"
    "7618b065f9832de4ca6ca971a7a1adc826d0f7c00181a5fb2ddf79ae00b4e10e"
);
/// Of c-kzg-4844: versioned hash, z, y, commitment, proof.
const KZG: [u8; 192] = hex!(
    "01e798154708fe7789429634053cbf9f99b619f9f084048927333fce637f549b73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000"
    "1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e98f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca2"
    "5f26936857bc3a7c2539ea8ec3a952b7a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c"
);
/// Hash, v, r, s; of go-ethereum's vectors.
const RECOVER: [u8; 128] = hex!(
    "18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c000000000000000000000000000000000000000000000000000000000000001c"
    "73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75feeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549"
);

/// Runs until its gas is used: `body` again and again, with `input` in memory and its length on the stack.
fn endless(body: &[u8], input: &[u8]) -> Bytes {
    let length = u16::try_from(input.len()).expect("short").to_be_bytes();
    let offset = u16::try_from(12 + body.len() + 4).expect("short").to_be_bytes();
    let start = [&hex!("61")[..], &length, &hex!("61"), &offset, &hex!("5f39"), &hex!("61"), &length, &hex!("5b")];
    [&start.concat()[..], body, &hex!("61000b56"), input].concat().into()
}

/// STATICCALL of a precompile with all of the input.
fn precompile(number: u16, input: &[u8]) -> Bytes {
    endless(&[&hex!("5f5f825f61")[..], &number.to_be_bytes(), &hex!("5afa50")].concat(), input)
}

fn modexp() -> Vec<u8> {
    let lengths = [32u64, 8, 32].map(|length| U256::from(length).to_be_bytes::<32>()).concat();
    [&lengths[..], &[0xfd; 32], &[0xff; 8], &[0xff; 31], &[0xfe]].concat()
}

fn multiply() -> Vec<u8> {
    [U256::from(1), U256::from(2), U256::MAX].map(|word| word.to_be_bytes::<32>()).concat()
}

#[test]
fn no_precompile_is_slower_for_its_gas_than_keccak() {
    let chain = chain();
    // KECCAK256 of the whole input, POP.
    let keccak = endless(&hex!("805f2050"), &[0xab; 1_024]);
    let programs = [
        ("ecrecover", precompile(1, &RECOVER)),
        ("modexp", precompile(5, &modexp())),
        ("bn254 multiply", precompile(7, &multiply())),
        ("point evaluation", precompile(0xa, &KZG)),
        ("p256verify", precompile(0x100, &P256)),
    ];
    let time = |program: &Bytes| {
        let call = Call { to: TxKind::Create, input: program.clone(), gas: Some(GAS), ..Call::default() };
        let start = Instant::now();
        let outcome = chain.simulate(0, &call, &Stop::never()).expect("runs");
        assert!(outcome.gas_used == GAS, "it ends early: {outcome:?}");
        start.elapsed()
    };
    for (name, program) in programs {
        // In turns, and the fastest of some: the machine is not alone.
        let mut fastest = [Duration::MAX; 2];
        for _ in 0..8 {
            fastest = [fastest[0].min(time(&keccak)), fastest[1].min(time(&program))];
        }
        println!("{name}: {:?}, keccak {:?}", fastest[1], fastest[0]);
        assert!(fastest[1] <= fastest[0], "{name} takes {:?}, keccak {:?}", fastest[1], fastest[0]);
    }
}
