//! What a hostile sender may try with the pool, each as a test.

use alloy_consensus::Transaction as _;
use alloy_primitives::U256;

use super::{tests::*, *};
use crate::limits::MIN_BASE_FEE;

fn delegated(nonce: u64, balance: u128) -> Account {
    Account { nonce, balance: U256::from(balance), code: Code::Delegation }
}

fn authorizing(sketch: &Sketch, authorities: &[u8]) -> Arrival {
    Arrival { authorities: authorities.iter().map(|byte| address(*byte)).collect(), ..arrival(sketch, rich(0)) }
}

const BUDGET: FreeBudget =
    FreeBudget { gas: 8 * GAS, member_gas: 4 * GAS, bytes: 1 << 20, member_bytes: 1 << 19, member_count: 3 };

fn offered(pool: &Mempool) -> Vec<(u8, u64)> {
    let mut order = pool.order(MIN_BASE_FEE, BUDGET);
    let next = std::iter::from_fn(|| order.next(pool, |_| false));
    next.map(|transaction| (transaction.signer()[0], transaction.nonce())).collect()
}

#[test]
fn a_delegated_account_has_one_transaction_and_it_is_its_next() {
    let mut pool = Mempool::new(Limits::default());
    let account = delegated(5, u128::MAX);
    let gapped = pool.add(arrival(&Sketch::new(1, 6, FEE), account), 0);
    assert_eq!(gapped, Err(Refused::DelegatedGap { next: 5, got: 6 }));
    pool.add(arrival(&Sketch::new(1, 5, FEE), account), 0).unwrap();
    let second = pool.add(arrival(&Sketch::new(1, 6, FEE), account), 0);
    assert_eq!(second, Err(Refused::DelegatedFull { sender: address(1) }));
    // It can be replaced as any other.
    pool.add(arrival(&Sketch::new(1, 5, 2 * FEE), account), 0).unwrap();
    assert_eq!(pool.len(), 1);
}

#[test]
fn an_account_that_is_called_empty_leaves_nothing_in_the_pool() {
    let mut pool = Mempool::new(Limits::default());
    let account = delegated(5, FEE * u128::from(GAS));
    pool.add(arrival(&Sketch::new(1, 5, FEE), account), 0).unwrap();
    // Its nonce is the same, for it sent nothing.
    let hash = alloy_primitives::keccak256(address(1));
    assert_eq!(pool.senders_among([&hash, &alloy_primitives::B256::ZERO]), [address(1)]);
    assert_eq!(finalize(&mut pool, 1, delegated(5, 0), 0).len(), 1);
    assert!(pool.is_empty() && pool.senders_among([&hash]).is_empty());
}

#[test]
fn an_account_that_becomes_delegated_keeps_its_next_transaction() {
    let mut pool = Mempool::new(Limits::default());
    for nonce in 0..4 {
        add(&mut pool, &Sketch::new(1, nonce, FEE), 0).unwrap();
    }
    assert_eq!(finalize(&mut pool, 1, delegated(1, u128::MAX), 0).len(), 2);
    assert_eq!(order(&pool, MIN_BASE_FEE), [(address(1), 1)]);
}

#[test]
fn an_account_with_a_pending_authorization_is_bounded_likewise() {
    let mut pool = Mempool::new(Limits::default());
    for nonce in 0..2 {
        add(&mut pool, &Sketch::new(1, nonce, FEE), 0).unwrap();
    }
    let reserved = pool.add(authorizing(&Sketch::new(9, 0, FEE), &[1]), 0);
    assert_eq!(reserved, Err(Refused::AuthorityReserved { authority: address(1) }));
    pool.add(authorizing(&Sketch::new(9, 0, FEE), &[2, 3]), 0).unwrap();
    add(&mut pool, &Sketch::new(2, 0, FEE), 0).unwrap();
    assert_eq!(add(&mut pool, &Sketch::new(2, 1, FEE), 0), Err(Refused::DelegatedFull { sender: address(2) }));
    assert_eq!(add(&mut pool, &Sketch::new(3, 1, FEE), 0), Err(Refused::DelegatedGap { next: 0, got: 1 }));
    // Once the authorization has left, they are as others are.
    pool.remove(*Sketch::new(9, 0, FEE).build().tx_hash()).unwrap();
    add(&mut pool, &Sketch::new(2, 1, FEE), 0).unwrap();
    add(&mut pool, &Sketch::new(3, 1, FEE), 0).unwrap();
}

#[test]
fn a_sender_that_delegates_itself_has_nothing_else() {
    let mut pool = Mempool::new(Limits::default());
    pool.add(authorizing(&Sketch::new(1, 0, FEE), &[1]), 0).unwrap();
    assert_eq!(add(&mut pool, &Sketch::new(1, 1, FEE), 0), Err(Refused::DelegatedFull { sender: address(1) }));
    // A better paid one with the same authorization replaces it.
    pool.add(authorizing(&Sketch::new(1, 0, 2 * FEE), &[1]), 0).unwrap();
    add(&mut pool, &Sketch::new(2, 0, FEE), 0).unwrap();
    let second = pool.add(authorizing(&Sketch::new(2, 1, FEE), &[2]), 0);
    assert_eq!(second, Err(Refused::AuthorityReserved { authority: address(2) }));
}

#[test]
fn a_contract_sends_nothing() {
    let mut pool = Mempool::new(Limits::default());
    let account = Account { code: Code::Contract, ..rich(0) };
    let refused = pool.add(arrival(&Sketch::new(1, 0, FEE), account), 0);
    assert_eq!(refused, Err(Refused::SenderIsContract { sender: address(1) }));
}

#[test]
fn dear_ones_behind_one_that_no_block_takes_displace_nothing() {
    let mut pool = Mempool::new(Limits { count: 3, ..Limits::default() });
    pool.on_finalized(4 * MIN_BASE_FEE, [], [], 0);
    for (sender, price) in [(1, 5), (2, 6), (3, 7)] {
        add(&mut pool, &Sketch { tip: FEE, ..Sketch::new(sender, 0, price * FEE) }, 0).unwrap();
    }
    // The first of the hostile sender pays less than the base fee: it is never mined, nor is what follows it.
    let cheap = add(&mut pool, &Sketch::new(9, 0, FEE), 0);
    assert_eq!(cheap, Err(Refused::Full { cheapest: 5 * FEE }));
    // A balance that lasts for one that is let in first, and then for dear ones behind it.
    let mut pool = Mempool::new(Limits { count: 3, ..Limits::default() });
    pool.on_finalized(4 * MIN_BASE_FEE, [], [], 0);
    add(&mut pool, &Sketch::new(9, 0, FEE), 0).unwrap();
    for sender in [1, 2] {
        add(&mut pool, &Sketch { tip: FEE, ..Sketch::new(sender, 0, 5 * FEE) }, 0).unwrap();
    }
    assert_eq!(add(&mut pool, &Sketch::new(9, 1, 1_000 * FEE), 0), Err(Refused::Full { cheapest: 5 * FEE }));
    // The next of the others displaces the one that nobody takes.
    let added = add(&mut pool, &Sketch { tip: FEE, ..Sketch::new(3, 0, 5 * FEE) }, 0).unwrap();
    assert_eq!(added.evicted.len(), 1);
    assert_eq!(order(&pool, 4 * MIN_BASE_FEE), [(address(1), 0), (address(2), 0), (address(3), 0)]);
}

#[test]
fn a_high_maximum_without_a_tip_displaces_nobody_who_tips() {
    let mut pool = Mempool::new(Limits { count: 1, ..Limits::default() });
    pool.on_finalized(MIN_BASE_FEE, [], [], 0);
    add(&mut pool, &Sketch { tip: FEE, ..Sketch::new(1, 0, 2 * FEE) }, 0).unwrap();
    let untipped = Sketch { tip: 0, ..Sketch::new(2, 0, 1_000_000 * FEE) };
    assert_eq!(add(&mut pool, &untipped, 0), Err(Refused::Full { cheapest: 2 * FEE }));
    // And is displaced by whoever does.
    let mut pool = Mempool::new(Limits { count: 1, ..Limits::default() });
    pool.on_finalized(MIN_BASE_FEE, [], [], 0);
    add(&mut pool, &untipped, 0).unwrap();
    assert_eq!(add(&mut pool, &Sketch { tip: 1, ..Sketch::new(1, 0, 2 * FEE) }, 0).unwrap().evicted.len(), 1);
}

#[test]
fn one_balance_funds_one_account_at_a_time() {
    // The balance goes from account to account in final blocks; what it paid for before is dropped each time.
    let mut pool = Mempool::new(Limits::default());
    let balance = |wei: u128, nonce| Account { nonce, balance: U256::from(wei), code: Code::Nothing };
    let all = FEE * u128::from(GAS) * 3;
    for sender in 1..50 {
        for nonce in 0..3 {
            pool.add(arrival(&Sketch::new(sender, nonce, FEE), balance(all, 0)), 0).unwrap();
        }
        finalize(&mut pool, sender, balance(0, 1), 0);
        assert!(pool.is_empty(), "{sender}");
    }
}

#[test]
fn what_waits_behind_a_gap_waits_for_minutes_and_not_for_hours() {
    let mut pool = Mempool::new(Limits::default());
    add(&mut pool, &Sketch::new(1, 0, FEE), 0).unwrap();
    for nonce in [2, 3] {
        add(&mut pool, &Sketch::new(1, nonce, FEE), 0).unwrap();
    }
    let (queued_ms, lifetime_ms) = (pool.limits().queued_lifetime_ms, pool.limits().lifetime_ms);
    assert!(pool.expire(queued_ms - 1).is_empty());
    assert_eq!(pool.expire(queued_ms).len(), 2);
    // No block became final; the clock alone drops the last.
    assert!(pool.expire(lifetime_ms - 1).is_empty());
    assert_eq!(pool.expire(lifetime_ms).len(), 1);
}

#[test]
fn a_storm_of_retries_is_passed_on_ever_more_seldom() {
    let mut pool = Mempool::new(Limits { retry_after_ms: 100, ..Limits::default() });
    add(&mut pool, &Sketch::new(1, 0, FEE), 0).unwrap();
    let hash = *Sketch::new(1, 0, FEE).build().tx_hash();
    let passed_on: Vec<u64> = (0..1_000).filter(|now_ms| pool.on_retry(hash, *now_ms)).collect();
    assert_eq!(passed_on, [100, 300, 700]);
    assert!(!pool.on_retry(alloy_primitives::B256::ZERO, 10_000), "one that does not wait here");
}

#[test]
fn what_fails_in_blocks_leaves() {
    let mut pool = Mempool::new(Limits::default());
    let hashes: Vec<_> = (1..=2)
        .map(|sender| {
            add(&mut pool, &Sketch::new(sender, 0, FEE), 0).unwrap();
            *Sketch::new(sender, 0, FEE).build().tx_hash()
        })
        .collect();
    assert!(pool.on_failure(hashes[0], true), "on a final parent, at once");
    assert!(!pool.on_failure(hashes[1], false) && !pool.on_failure(hashes[1], false));
    assert!(pool.on_failure(hashes[1], false), "on others, the third time");
    assert!(pool.is_empty() && !pool.has_work(0, |_| false));
}

#[test]
fn one_member_that_fills_its_quota_is_offered_no_more_and_next_time_last() {
    let mut pool = Mempool::new(Limits::default());
    for nonce in 0..20 {
        add(&mut pool, &Sketch::free(1, nonce), 0).unwrap();
    }
    for sender in [2, 3] {
        add(&mut pool, &Sketch::free(sender, 0), 0).unwrap();
    }
    add(&mut pool, &Sketch::new(7, 0, FEE), 0).unwrap();
    // In turns, by what was offered; then whoever pays, however many free ones are left.
    assert_eq!(offered(&pool), [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2), (7, 0)]);
    // What it used counts for the blocks after it, and what failed as well.
    pool.on_finalized(MIN_BASE_FEE, [(address(1), 3 * GAS)], [(address(1), rich(3))], 0);
    assert_eq!(offered(&pool), [(2, 0), (3, 0), (1, 3), (1, 4), (1, 5), (7, 0)]);
    (0..9).for_each(|_| pool.on_finalized(MIN_BASE_FEE, [], [], 0).clear());
    pool.on_failure(*Sketch::free(2, 0).build().tx_hash(), true);
    add(&mut pool, &Sketch::free(2, 0), 0).unwrap();
    assert_eq!(offered(&pool)[..2], [(3, 0), (1, 3)]);
}

#[test]
fn trials_of_one_member_are_bounded_by_what_blocks_may_take_of_it() {
    // 50 million gas in a block, two blocks a second.
    let mut pool = Mempool::new(Limits::default().for_lane(50_000_000, 500));
    assert_eq!(pool.limits().trials.gas_per_s, 100_000_000);
    let most = pool.limits().trials.at_once;
    assert!(most >= 2 * 50_000_000, "what two blocks take, at once");
    assert_eq!(pool.begin_trial(address(1), most, 0), Ok(()));
    // Its transactions that wait are tried on new heads all the same, within a bound.
    assert!(pool.begin_repeated_trial(address(1), 1_000_000, 0));
    assert_eq!((0..1_000).filter(|_| pool.begin_repeated_trial(address(1), 16_000_000, 0)).count(), 4);
    let refused = pool.begin_trial(address(1), 50_000_000, 0);
    assert_eq!(refused, Err(Refused::TooManyTrials { sender: address(1), wait_ms: 501 }));
    assert_eq!(pool.begin_trial(address(1), 50_000_000, 500), Ok(()), "what one block takes, a block later");
    assert_eq!(pool.begin_trial(address(2), most, 500), Ok(()), "another member");
    pool.end_trial(address(1), 40_000_000);
    assert_eq!(pool.begin_trial(address(1), 40_000_000, 500), Ok(()), "what succeeded owes what it used");
}

#[test]
fn what_is_in_a_block_already_is_no_work() {
    let mut pool = Mempool::new(Limits::default());
    add(&mut pool, &Sketch::new(1, 0, 2 * FEE), 0).unwrap();
    add(&mut pool, &Sketch::new(1, 1, FEE), 0).unwrap();
    let first = *Sketch::new(1, 0, 2 * FEE).build().tx_hash();
    assert!(pool.has_work(MIN_BASE_FEE, |_| false));
    assert!(pool.has_work(MIN_BASE_FEE, |hash| hash == first));
    assert!(!pool.has_work(2 * MIN_BASE_FEE, |hash| hash == first), "the second cannot pay");
    assert!(!pool.has_work(MIN_BASE_FEE, |_| true));
    assert!(!pool.has_work(3 * MIN_BASE_FEE, |_| false));
    add(&mut pool, &Sketch::free(2, 1), 0).unwrap();
    assert!(!pool.has_work(3 * MIN_BASE_FEE, |_| false), "a free one behind a gap");
    add(&mut pool, &Sketch::free(2, 0), 0).unwrap();
    assert!(pool.has_work(3 * MIN_BASE_FEE, |_| false));
}
