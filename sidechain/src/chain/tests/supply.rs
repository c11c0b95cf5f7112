//! A block that would leave coins uncovered.

use contracts::{Books, address::BRIDGE};

use super::*;
use crate::execution::Supply;

// The Bridge's code is replaced by one that gives everything away.
#[test]
fn a_transaction_that_takes_uncovered_coins_out_of_the_bridge_is_refused() {
    let chain = chain();
    let view = chain.view(chain.head_hash()).expect("the head");
    let mut working = Working::new(&view, &chain.codes);
    working.set_code(BRIDGE, Bytes::from_static(&GIVER)).expect("in memory");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let mut execution = Execution::new(&chain.rules, header, working).expect("in memory");
    let theft = call(&Key::new(1), 0, BRIDGE, Bytes::new());
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
    let one_wei_less = balance(&chain, 0, BRIDGE) - U256::from(1);
    working.set_balance(BRIDGE, one_wei_less).expect("in memory");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let execution = Execution::new(&chain.rules, header, working).expect("in memory");
    let error = execution.finish(view.parent.state_root, &Stop::never()).expect_err("uncovered");
    assert!(matches!(error, BlockError::Supply(_)) && is_fault(&error), "{error}");
}

/// Whether a block may end with these books, of which each sum is in satoshi, and 10 coins outside the Bridge.
fn may_end_with(books: Books) -> bool {
    let chain = chain();
    let view = chain.view(chain.head_hash()).expect("the head");
    let mut working = Working::new(&view, &chain.codes);
    for (slot, value) in Books::slots().into_iter().zip(books.to_slots()) {
        working.set_storage(BRIDGE, slot, value).expect("in memory");
    }
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let execution = Execution::new(&chain.rules, header, working).expect("in memory");
    match execution.finish(view.parent.state_root, &Stop::never()) {
        Ok(_) => true,
        Err(BlockError::Supply(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_sum_of_the_books_stands_on_its_side_of_the_block_rule() {
    let coins = 10 * COIN_SAT;
    let even = Books { vault_sat: coins, ..Books::default() };
    assert!(may_end_with(even));
    let owing: [fn(&mut Books); 4] = [
        |books| books.owed_sat = 1,
        |books| books.unminted_sat = 1,
        |books| books.unclaimed_sat = 1,
        |books| books.reserve_sat = 1,
    ];
    let backing: [fn(&mut Books); 4] = [
        |books| books.vault_sat += 1,
        |books| books.unswept_sat = 1,
        |books| books.lost_sat = 1,
        |books| books.reserve_sat -= 1,
    ];
    for owe in owing {
        let mut books = even;
        owe(&mut books);
        assert!(!may_end_with(books), "{books:?}");
        for back in backing {
            let mut books = books;
            back(&mut books);
            assert!(may_end_with(books), "{books:?}");
        }
    }
    // What was covered is in no sum, so it covers nothing.
    assert!(!may_end_with(Books { owed_sat: 1, covered_sat: 1, ..even }));
}

#[test]
fn the_block_rule_is_exact_to_the_wei_and_for_the_greatest_sums() {
    let supply = |outside: U256, books: Books| Supply::new(GENESIS_COINS_WEI - outside, books.to_slots());
    let one = Books { vault_sat: 1, ..Books::default() };
    assert!(supply(wei(1), one).is_covered());
    assert!(!supply(wei(1) + U256::from(1), one).is_covered());
    assert!(!supply(wei(1), Books { owed_sat: 1, ..one }).is_covered());
    let greatest = Books {
        vault_sat: u64::MAX,
        unswept_sat: u64::MAX,
        lost_sat: u64::MAX,
        owed_sat: u64::MAX,
        unminted_sat: u64::MAX,
        unclaimed_sat: u64::MAX,
        ..Books::default()
    };
    assert!(supply(U256::ZERO, greatest).is_covered());
    assert!(!supply(U256::from(1), greatest).is_covered());
    assert!(supply(wei(1), Books { reserve_sat: -1, ..greatest }).is_covered());
    assert!(!supply(wei(2), Books { reserve_sat: -1, ..greatest }).is_covered());
    assert!(supply(GENESIS_COINS_WEI, Books { reserve_sat: i64::MIN, ..greatest }).is_covered());
    assert!(!supply(U256::ZERO, Books { reserve_sat: i64::MAX, ..greatest }).is_covered());
}
