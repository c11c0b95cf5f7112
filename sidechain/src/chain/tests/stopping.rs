//! A running execution is ended from outside: it has no result, and leaves nothing behind.

use std::{thread, time::Duration};

use super::{counting::Counting, *};

/// JUMPDEST, then to it.
const JUMPS: [u8; 3] = hex!("5b5f56");
/// The same by JUMPI.
const JUMPS_IF_ONE: [u8; 5] = hex!("5b60015f57");
/// Calls itself with all gas, in a loop.
const CALLS_ITSELF: [u8; 12] = hex!("5b5f5f5f5f5f305af1505f56");
/// Calls the identity precompile without data, in a loop.
const CALLS_PRECOMPILE: [u8; 12] = hex!("5b5f5f5f5f60045afa505f56");
/// A thousand times: the balance of another account. No jump.
fn reads_balances() -> Vec<u8> {
    [&hex!("5a3150")[..]; 1_000].concat()
}

#[test]
fn whatever_lasts_can_be_stopped() {
    for code in [&JUMPS[..], &JUMPS_IF_ONE, &CALLS_ITSELF, &CALLS_PRECOMPILE] {
        let chain = chain();
        let contract = deployed(&chain, &Key::new(1), 0, code);
        let stop = Stop::default();
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                stop.stop();
            });
            chain.simulate(1, &Call { to: contract.into(), ..Call::default() }, &stop)
        });
        // Without the stop it would end without gas, as an outcome.
        assert!(matches!(outcome, Err(SimulateError::Stopped)), "{}: {outcome:?}", hex::encode(code));
    }
}

#[test]
fn code_that_reads_the_store_without_a_jump_is_stopped_at_the_next_read() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let contract = deployed(&chain, &Key::new(1), 0, &reads_balances());
    let ask = Call { to: contract.into(), ..Call::default() };
    let before = store.reads();
    assert!(chain.simulate(1, &ask, &Stop::never()).expect("runs").success);
    assert!(store.reads() - before >= 1_000, "each balance is read");

    let stop = Stop::default();
    let before = store.reads();
    store.stop_after(100, &stop);
    assert!(matches!(chain.simulate(1, &ask, &stop), Err(SimulateError::Stopped)));
    assert_eq!(store.reads() - before, 100);
}

#[test]
fn what_was_stopped_is_neither_kept_nor_blamed() {
    let (proposer, validator) = (chain(), chain());
    let stopped = Stop::default();
    stopped.stop();
    let transfer = Key::new(1).transfer(CHAIN, 0, PROPOSER, 1);
    let propose =
        |stop: &Stop| proposer.propose(proposer.head_hash(), NOW_MS, PROPOSER, std::iter::once(transfer.clone()), stop);
    assert!(matches!(propose(&stopped), Err(ProposeError::Block(BlockError::Stopped))));
    assert!(proposer.tip().pending.is_empty());
    let block = propose(&Stop::never()).expect("proposed");
    assert_eq!(block.transactions.len(), 1);

    let error = validator.verify(&block, NOW_MS, &stopped).expect_err("stopped");
    assert!(matches!(error, BlockError::Stopped) && !is_fault(&error));
    assert!(validator.tip().pending.is_empty());
    validator.verify(&block, NOW_MS, &Stop::never()).expect("valid");
    // What is known already needs no execution.
    validator.verify(&block, NOW_MS, &stopped).expect("known");
}

// The transactions are through; what is left are the trie's nodes, each read from the store.
#[test]
fn the_roots_of_a_block_are_not_computed_to_the_end_when_nobody_waits_for_them() {
    // sstore(n, 1) for n from the first word of the call data on, until there is no gas left for another.
    const FILLER: [u8; 30] = hex!("60148060095f395ff3" "5f355b60018155600101620088b85a116002570000");
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let key = Key::new(1);
    next(&chain, vec![create(&key, 0, &FILLER)]);
    let filler = key.address.create(0);
    let fill = |nonce: u64| {
        let input = U256::from(nonce << 32).to_be_bytes::<32>();
        key.send(CHAIN, nonce, 5_000_000, filler.into(), U256::ZERO, input.into())
    };
    next(&chain, vec![fill(1)]);
    let view = chain.view(chain.head_hash()).expect("the head");
    let finish = |stop_after: Option<u64>| {
        let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
        let mut execution = Execution::new(&chain.rules, header, Working::new(&view, &chain.codes)).expect("in memory");
        execution.include(&fill(2), &Stop::never()).expect("valid");
        let (stop, before) = (Stop::default(), store.reads());
        if let Some(reads) = stop_after {
            store.stop_after(reads, &stop);
        }
        (execution.finish(view.parent.state_root, &stop), store.reads() - before)
    };
    let (whole, all) = finish(None);
    assert!(whole.is_ok() && all > 100, "{all} reads");
    let (stopped, reads) = finish(Some(all / 2));
    assert!(matches!(stopped, Err(BlockError::Stopped)), "{stopped:?}");
    // One more key may be on its way down the trie.
    assert!(reads < all / 2 + 16, "{reads} of {all}");
    assert!(chain.tip().pending.is_empty());
}

#[test]
fn a_transaction_that_was_stopped_halfway_leaves_the_block_as_it_was() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let contract = deployed(&chain, &Key::new(1), 0, &reads_balances());
    let view = chain.view(chain.head_hash()).expect("the head");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let mut execution = Execution::new(&chain.rules, header, Working::new(&view, &chain.codes)).expect("in memory");
    let (alice, stop) = (Key::new(1), Stop::default());
    store.stop_after(100, &stop);
    let long = alice.send(CHAIN, 1, 5_000_000, contract.into(), U256::from(5), Bytes::new());
    assert!(matches!(execution.include(&long, &stop), Err(BlockError::Stopped)));
    execution.include(&alice.transfer(CHAIN, 1, PROPOSER, 1), &Stop::never()).expect("the nonce is still free");
    let executed = execution.finish(view.parent.state_root, &Stop::never()).expect("covered");

    let block = chain.propose(
        chain.head_hash(),
        chain.head().timestamp * 1000,
        PROPOSER,
        std::iter::once(alice.transfer(CHAIN, 1, PROPOSER, 1)),
        &Stop::never(),
    );
    assert_eq!(executed.hash, block.expect("proposed").hash(), "as if it had never been tried");
}
