//! The contracts that Ethereum's tools expect, used as the tools use them.

use alloy_primitives::b256;
use contracts::{
    alloy_sol_types::{SolValue, sol},
    standard::{BLOCK_HASH_HISTORY, CREATE2_FACTORY, ERC1820_REGISTRY, KEYLESS, MULTICALL3, SAFE_SINGLETON_FACTORY},
};

use super::*;

sol! {
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Result { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) external payable returns (Result[] returnData);
    function getBlockNumber() external view returns (uint256 blockNumber);
    function getManager(address account) external view returns (address);
}

fn ask<S: Store>(chain: &Chain<S>, to: Address, input: impl Into<Bytes>) -> Bytes {
    let call = Call { to: to.into(), input: input.into(), ..Call::default() };
    let outcome = chain.simulate(chain.head().number, &call, &Stop::never()).expect("the head's state is kept");
    assert!(outcome.success, "{outcome:?}");
    outcome.output
}

#[test]
fn their_code_is_that_of_other_chains() {
    let chain = chain();
    let state = chain.state_at(0).expect("kept");
    let hash = |address| state.account(address).expect("in memory").expect("deployed").code_hash;
    // As block explorers of Ethereum show them (EXTCODEHASH).
    assert_eq!(hash(MULTICALL3), b256!("d5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891"));
    assert_eq!(hash(CREATE2_FACTORY), b256!("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"));
    assert_eq!(hash(SAFE_SINGLETON_FACTORY), hash(CREATE2_FACTORY));
    assert!(KEYLESS.iter().all(|keyless| hash(keyless.address) != alloy_primitives::KECCAK256_EMPTY));
}

#[test]
fn the_create2_factories_deploy_to_the_address_that_everybody_can_compute() {
    let chain = chain();
    for (nonce, factory) in [CREATE2_FACTORY, SAFE_SINGLETON_FACTORY].into_iter().enumerate() {
        let salt = B256::repeat_byte(7);
        let deploy = call(&Key::new(1), nonce as u64, factory, [salt.as_slice(), &COUNTER].concat());
        next(&chain, vec![deploy]);
        let counter = factory.create2_from_code(salt, COUNTER);
        let state = chain.state_at(chain.head().number).expect("kept");
        assert_eq!(state.account(counter).expect("in memory").expect("deployed").code_hash, keccak256(&COUNTER[9..]));
    }
}

#[test]
fn multicall3_makes_many_calls_in_one() {
    let chain = chain();
    next(&chain, Vec::new());
    let number = Call3 { target: MULTICALL3, allowFailure: false, callData: getBlockNumberCall {}.abi_encode().into() };
    let answer = ask(&chain, MULTICALL3, aggregate3Call { calls: vec![number.clone(), number] }.abi_encode());
    let results = aggregate3Call::abi_decode_returns(&answer).expect("its own answer");
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| result.success && *result.returnData == U256::from(1).abi_encode()));
}

#[test]
fn the_registry_of_interfaces_answers() {
    let account = Key::new(1).address;
    let answer = ask(&chain(), ERC1820_REGISTRY, getManagerCall { account }.abi_encode());
    assert_eq!(getManagerCall::abi_decode_returns(&answer), Ok(account));
}

#[test]
fn contracts_read_the_hashes_of_earlier_blocks_from_the_state() {
    let chain = chain();
    let mut hashes = vec![chain.head_hash()];
    for _ in 0..5 {
        hashes.push(next(&chain, Vec::new()).hash);
    }
    // The head's own hash is not there yet; the next block writes it.
    for (number, hash) in hashes[..5].iter().enumerate() {
        assert_eq!(ask(&chain, BLOCK_HASH_HISTORY, U256::from(number).abi_encode())[..], hash[..]);
    }
}
