//! Accounts that change in unusual ways: delegation, and destruction at creation.

use super::*;

#[test]
fn an_account_that_delegates_by_eip_7702_runs_the_code_and_its_state_is_hashed() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER)]);
    let counter = alice.address.create(0);
    let bob = Key::new(2);
    let authorization = bob.authorize(CHAIN, 0, counter);
    let delegate = alice.sign(TxEip7702 {
        chain_id: CHAIN,
        nonce: 1,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000,
        to: bob.address,
        authorization_list: vec![authorization],
        ..TxEip7702::default()
    });
    let finalized = next(&chain, vec![delegate, call(&alice, 2, bob.address, Bytes::new())]);
    assert_eq!(finalized.receipts.len(), 2);
    let state = chain.state_at(2).expect("kept");
    assert_eq!(state.storage(bob.address, U256::ZERO).expect("in memory"), U256::from(2));
    assert_eq!(state.storage(counter, U256::ZERO).expect("in memory"), U256::ZERO);
    let account = state.account(bob.address).expect("in memory").expect("it exists");
    assert_eq!(account.nonce, 1);
    let code = state.code(account.code_hash).expect("in memory").expect("kept");
    assert_eq!(code[..], [&hex!("ef0100")[..], counter.as_slice()].concat());
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

// Made and destroyed in one transaction: init code that ends in SELFDESTRUCT after it wrote a slot.
#[test]
fn a_contract_that_destroys_itself_in_its_constructor_leaves_nothing() {
    let chain = chain();
    let alice = Key::new(1);
    let code = hex!("60015f55" "33ff");
    let address = alice.address.create(0);
    // Coins that were there before go to the caller.
    next(&chain, vec![Key::new(2).transfer(CHAIN, 0, address, 5)]);
    let finalized = next(&chain, vec![create(&alice, 0, &code)]);
    assert!(finalized.receipts[0].status());
    assert_eq!(chain.state_at(2).expect("kept").account(address).expect("in memory"), None);
    assert_eq!(
        chain.state_at(1).expect("kept").account(address).expect("in memory").map(|account| account.balance),
        Some(U256::from(5))
    );
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}
