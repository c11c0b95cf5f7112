//! What is kept, for how long, and what happens when that is changed.

use super::*;
use crate::state::store;
use contracts::address::SIGNING_BOARD;

/// Opens what is there with another choice of what is kept.
fn open_keeping(store: &Arc<Memory>, retention: Retention) -> Chain<Arc<Memory>> {
    Chain::open_with(genesis(), store.clone(), retention, &allocation()).expect("the genesis is right")
}

fn pay(chain: &Chain<Arc<Memory>>, nonce: u64) -> Arc<Finalized> {
    next(chain, vec![Key::new(1).transfer(CHAIN, nonce, Address::repeat_byte(0xf1), 1)])
}

fn rows(store: &Memory, table: Table) -> usize {
    store.scan(table, &[], usize::MAX).expect("in memory").len()
}

fn pruned<T>(result: Result<T, impl Into<SimulateError>>) -> Option<u64> {
    match result.err().map(Into::into) {
        Some(SimulateError::Store(StoreError::Pruned { oldest, .. })) => Some(oldest),
        _ => None,
    }
}

#[test]
fn a_window_that_shrinks_is_swept_and_one_that_grows_keeps_from_now_on() {
    let store = Arc::new(Memory::default());
    let all = open_keeping(&store, Retention::ARCHIVE);
    (0..20).for_each(|nonce| drop(pay(&all, nonce)));
    assert_eq!(balance(&all, 1, Address::repeat_byte(0xf1)), U256::from(1));
    let few = open_keeping(&store, Retention { state_blocks: Some(4), proof_blocks: Some(2), body_blocks: None });
    // Until the next block nothing is gone.
    assert_eq!(balance(&few, 1, Address::repeat_byte(0xf1)), U256::from(1));
    pay(&few, 20);
    assert_eq!(pruned(few.state_at(16)), Some(17));
    assert_eq!(balance(&few, 17, Address::repeat_byte(0xf1)), U256::from(17));
    assert_eq!(pruned(few.state_at(18).expect("kept").proof(PROPOSER, &[])), Some(19));
    pay(&few, 21);
    for (table, first) in [(Table::StateIndex, 19), (Table::NodeIndex, 21)] {
        let left = store.scan(table, &[], usize::MAX).expect("in memory");
        assert!(
            left.iter().all(|(key, _)| key[key.len() - 8..] >= u64::to_be_bytes(first)[..]),
            "swept at once: {table:?}"
        );
    }
    let more = open_keeping(&store, Retention { state_blocks: Some(100), proof_blocks: Some(100), body_blocks: None });
    (22..40).for_each(|nonce| drop(pay(&more, nonce)));
    assert_eq!(pruned(more.state_at(17)), Some(18), "what is gone does not come back");
    for number in 18..=40 {
        assert_eq!(balance(&more, number, Address::repeat_byte(0xf1)), U256::from(number));
    }
    let (number, proofs) = (25, more.state_at(25).expect("kept").proof(PROPOSER, &[]).expect("kept from then on"));
    let root = more.header(number).expect("kept").expect("final").state_root;
    let leaf = proofs.account.map(alloy_rlp::encode);
    verify_proof(root, Nibbles::unpack(keccak256(PROPOSER)), leaf, &proofs.proof).expect("the proof of that block");
}

/// What an earlier version executed by other rules would be read as something that it was not.
#[test]
fn a_folder_that_another_version_wrote_is_refused_and_left_as_it_is() {
    let store = Arc::new(Memory::default());
    pay(&open_keeping(&store, Retention::default()), 0);
    let mut older = store::Batch::default();
    older.put(Table::Meta, "format", 4u32.to_be_bytes());
    store.write(older).expect("in memory");
    let refused = Chain::open_with(genesis(), store.clone(), Retention::default(), &allocation());
    let said = refused.err().expect("another version's").to_string();
    assert!(said.contains("has format 4, this version reads 5: use the version") && said.contains("empty"), "{said}");
    assert_eq!(rows(&store, Table::Header), 2);
}

// A reader that began before its state was pruned gets an error, and never another block's state.
#[test]
fn state_that_is_pruned_while_it_is_read_is_an_error() {
    let store = Arc::new(Memory::default());
    let retention = Retention { state_blocks: Some(3), proof_blocks: Some(3), body_blocks: None };
    let chain = open_keeping(&store, retention);
    (0..3).for_each(|nonce| drop(pay(&chain, nonce)));
    let state = chain.state_at(1).expect("kept");
    assert_eq!(
        state.account(Address::repeat_byte(0xf1)).expect("kept").map(|account| account.balance),
        Some(U256::from(1))
    );
    (3..9).for_each(|nonce| drop(pay(&chain, nonce)));
    assert_eq!(pruned(state.account(Address::repeat_byte(0xf1))), Some(6));
    assert_eq!(pruned(state.proof(PROPOSER, &[])), Some(6));
}

#[test]
fn old_transactions_and_receipts_go_but_headers_certificates_and_what_the_peg_needs_stay() {
    let store = Arc::new(Memory::default());
    let chain = open_keeping(&store, Retention { body_blocks: Some(5), ..Retention::default() });
    let first = pay(&chain, 0);
    let post = testing::post(0, Bytes::new());
    let posted = next(&chain, vec![member(1).free(CHAIN, 0, 200_000, SIGNING_BOARD, post)]);
    (1..11).for_each(|nonce| drop(pay(&chain, nonce)));
    chain.put_finality(1, b"certificate").expect("in memory");
    assert!(matches!(chain.stored(6), Err(StoreError::Pruned { number: 6, oldest: 7, .. })));
    assert!(matches!(chain.receipts(1), Err(StoreError::Pruned { .. })));
    assert_eq!(chain.header(1).expect("kept").expect("kept"), first.block.header);
    assert_eq!(chain.number_of(first.hash).expect("kept"), Some(1));
    assert_eq!(chain.finality(1).expect("kept"), Some(b"certificate".to_vec()));
    assert!(chain.transaction(*first.block.transactions[0].tx_hash()).expect("in memory").is_none());
    assert_eq!(chain.stored(0).expect("kept").expect("kept").block, chain.genesis_block());
    assert_eq!(chain.stored(7).expect("kept").expect("kept").block.transactions.len(), 1);
    let of_the_peg = chain.stored(2).expect("kept").expect("kept");
    assert_eq!((&of_the_peg.block, chain.receipts(2).expect("kept")), (&posted.block, Some(posted.receipts.clone())));
    assert!(chain.transaction(*posted.block.transactions[0].tx_hash()).expect("in memory").is_some());
    assert_eq!(
        (rows(&store, Table::Body), rows(&store, Table::TransactionHash)),
        (8, 7),
        "genesis, the post, the last six"
    );
    // Its logs' index goes with a block, except the post's; what was paid in it too.
    assert!(rows(&store, Table::LogIndex) > 0 && rows(&store, Table::Fees) == 8);
    assert!(matches!(chain.fees(6, 1), Err(StoreError::Pruned { oldest: 7, .. })));
    // Logs of the peg are found from the first block on; others are not said to be none.
    let wanted = |addresses: &[Address]| {
        let addresses = addresses.iter().copied().collect();
        LogFilter { from: 0, to: 12, addresses, ..LogFilter::default() }
    };
    let logs = |filter| chain.logs(&filter, &LogLimits::default(), &Stop::never());
    assert_eq!(logs(wanted(&[SIGNING_BOARD])).expect("kept").len(), 1);
    assert!(matches!(logs(wanted(&[])), Err(LogsError::Store(StoreError::Pruned { oldest: 7, .. }))));
    // A window that was shortened behind a restart goes on where it was.
    drop(chain);
    let chain = open_keeping(&store, Retention { body_blocks: Some(2), ..Retention::default() });
    pay(&chain, 11);
    assert_eq!(rows(&store, Table::Body), 5, "genesis, the post, the last three");
}
