//! What the chain is after its genesis block.

use mainchain::Network;

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
    assert_eq!(rules, genesis().bridge.parameters());
    let supply = GENESIS_COINS_WEI - wei(10 * COIN_SAT);
    assert_eq!(balance(&chain, 0, contracts::address::BRIDGE), supply);
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

/// Genesis refuses least amounts that cannot be paid; it has to count as the contracts do.
#[test]
fn the_least_amounts_that_genesis_asks_for_are_what_the_contracts_charge() {
    for (rate, fee_sat) in [(100, 0), (1_000, 7), (1_001, 1), (999_999, 300)] {
        let mut genesis = genesis();
        let bridge = &mut genesis.bridge;
        (bridge.min_rate, bridge.floor_rate, bridge.max_rate) = (rate, rate, 1_000_000);
        (bridge.peg_in_fee_sat, bridge.peg_out_fee_sat) = (fee_sat, fee_sat);
        (bridge.min_deposit_sat, bridge.min_withdrawal_sat) = (1_000_000, 1_000_000);
        let bridge = bridge.clone();
        let chain = Chain::open(genesis, Memory::default()).expect("the genesis is right");
        let stop = Stop::never();
        let contracts = crate::peg::PegContracts::at_head(&chain, &stop);
        assert_eq!(contracts.deposit_charge(rate).expect("in memory"), bridge.least_deposit_charge_sat());
        for length in [22, 23, 25, 34, 42] {
            assert_eq!(contracts.floor_fee(length).expect("in memory"), bridge.floor_fee_sat(length), "{length}");
        }
    }
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

/// Blocks of signet are valid by a signature that headers do not show.
#[test]
fn the_light_client_of_signet_takes_headers_from_members_only() {
    let answer = |network, from: Address| {
        let chain = Chain::open(testing::genesis_on(network), Arc::new(Memory::default())).expect("fresh");
        let input = contracts::BitcoinLightClient::submitCall { headers: Bytes::new() }.abi_encode().into();
        let call = Call { from, to: contracts::address::LIGHT_CLIENT.into(), input, ..Call::default() };
        let outcome = chain.simulate(0, &call, &Stop::never()).expect("block 0 has state");
        contracts::explain_revert(&outcome.output).expect("no headers are none to take")
    };
    let (stranger, member) = (Address::repeat_byte(0x57), member(2).address);
    assert!(answer(Network::Signet, stranger).starts_with("NotAMember"));
    for (network, from) in [(Network::Signet, member), (Network::Regtest, stranger), (Network::Mainnet, stranger)] {
        assert!(answer(network, from).starts_with("BadLength"), "{network}");
    }
}
