//! A block that would leave coins uncovered.

use super::*;

// The Bridge's code is replaced by one that gives everything away.
#[test]
fn a_transaction_that_takes_uncovered_coins_out_of_the_bridge_is_refused() {
    let chain = chain();
    let view = chain.view(chain.head_hash()).expect("the head");
    let mut working = Working::new(&view, &chain.codes);
    working.set_code(contracts::address::BRIDGE, Bytes::from_static(&GIVER)).expect("in memory");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let mut execution = Execution::new(&chain.rules, header, working).expect("in memory");
    let theft = call(&Key::new(1), 0, contracts::address::BRIDGE, Bytes::new());
    assert!(matches!(execution.include(&theft, &Stop::never()), Err(BlockError::Supply(_))));
    // Nothing of it stays: the nonce is still free.
    execution.include(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1), &Stop::never()).expect("unchanged");
    let executed = execution.finish(view.parent.state_root, &Stop::never()).expect("covered");
    assert_eq!(executed.block.transactions.len(), 1);
}

#[test]
fn a_block_that_ends_uncovered_is_refused() {
    let chain = chain();
    let view = chain.view(chain.head_hash()).expect("the head");
    let mut working = Working::new(&view, &chain.codes);
    let one_wei_less = balance(&chain, 0, contracts::address::BRIDGE) - U256::from(1);
    working.set_balance(contracts::address::BRIDGE, one_wei_less).expect("in memory");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let execution = Execution::new(&chain.rules, header, working).expect("in memory");
    let error = execution.finish(view.parent.state_root, &Stop::never()).expect_err("uncovered");
    assert!(matches!(error, BlockError::Supply(_)) && is_fault(&error), "{error}");
}
