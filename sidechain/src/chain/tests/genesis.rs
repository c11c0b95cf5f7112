//! What the chain is after its genesis block.

use super::*;

#[test]
fn the_contracts_of_genesis_answer_what_genesis_says() {
    let chain = chain();
    let ask = |to: Address, input: Vec<u8>| {
        let call = Call { to: to.into(), input: input.into(), ..Call::default() };
        let outcome = chain.simulate(0, &call, &Stop::never()).expect("block 0 has state");
        assert!(outcome.success, "{outcome:?}");
        outcome.output
    };
    let count = ask(contracts::address::FEDERATION, contracts::Federation::memberCountCall {}.abi_encode());
    assert_eq!(U256::from_be_slice(&count), U256::from(4));
    let tip = ask(contracts::address::LIGHT_CLIENT, contracts::BitcoinLightClient::tipCall {}.abi_encode());
    let tip = contracts::BitcoinLightClient::tipCall::abi_decode_returns(&tip).expect("as declared");
    assert_eq!(tip.height, 0);
    let rules = ask(contracts::address::BRIDGE, contracts::Bridge::parametersCall {}.abi_encode());
    let rules = contracts::Bridge::parametersCall::abi_decode_returns(&rules).expect("as declared");
    assert_eq!((rules.reclaimDelay, rules.minDepositSat), (1008, 10_000));
    let supply = GENESIS_COINS_WEI - wei(10 * COIN_SAT);
    assert_eq!(balance(&chain, 0, contracts::address::BRIDGE), supply);
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

#[test]
fn data_of_another_genesis_is_refused() {
    let store = Arc::new(Memory::default());
    Chain::open(genesis(), store.clone()).expect("fresh");
    let mut other = genesis();
    other.chain_id += 1;
    assert!(matches!(Chain::open(other, store.clone()), Err(OpenError::OtherGenesis { .. })));
    Chain::open(genesis(), store).expect("the same");
}
