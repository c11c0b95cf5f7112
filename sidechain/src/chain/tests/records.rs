//! What is kept beside blocks: logs, certificates, registrations.

use api::peg::Terms;

use super::*;

#[test]
fn logs_are_found_by_block_address_and_topic() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER), create(&alice, 1, &COUNTER)]);
    let [one, two] = [0, 1].map(|nonce| alice.address.create(nonce));
    next(&chain, vec![call(&alice, 2, one, Bytes::new()), call(&alice, 3, two, Bytes::new())]);
    next(&chain, Vec::new());
    next(&chain, vec![call(&alice, 4, two, Bytes::new())]);
    let topic = B256::with_last_byte(42);
    let find = |from, to, addresses: &[Address], topics: &[B256]| {
        let addresses = addresses.iter().copied().collect();
        let mut filter = LogFilter { from, to, addresses, ..LogFilter::default() };
        filter.topics[0] = topics.iter().copied().collect();
        let found = chain.logs(&filter, &LogLimits::default(), &Stop::never()).expect("few");
        found.into_iter().map(|entry| (entry.block_number, entry.log_index, entry.log.address)).collect::<Vec<_>>()
    };
    assert_eq!(find(0, 9, &[], &[]), [(2, 0, one), (2, 1, two), (4, 0, two)]);
    assert_eq!(find(0, 9, &[two], &[topic]), [(2, 1, two), (4, 0, two)]);
    assert_eq!(find(3, 9, &[one, two], &[topic, B256::ZERO]), [(4, 0, two)]);
    assert_eq!(find(0, 3, &[one], &[]), [(2, 0, one)]);
    assert!(find(0, 9, &[], &[B256::ZERO]).is_empty());
    let all = LogFilter { to: 9, ..LogFilter::default() };
    let two = LogLimits { logs: 2, ..LogLimits::default() };
    assert!(matches!(chain.logs(&all, &two, &Stop::never()), Err(LogsError::TooMuch { limit: 2, from: 0, until: 3 })));
}

fn registration(number: u8) -> Registration {
    let key = B256::repeat_byte(number);
    let terms = Terms {
        recipient: Address::repeat_byte(number),
        claimant: Address::repeat_byte(number + 1),
        data_hash: key,
        reclaim_key: key,
        max_fee_sat: 1_000,
        epoch: 1,
    };
    Registration { terms, output_key: B256::repeat_byte(0xf0 + number) }
}

#[test]
fn a_registration_is_stored_as_exactly_these_bytes() {
    let store = Arc::new(Memory::default());
    open(store.clone()).register_deposit(&registration(1)).expect("room");
    let row = store.get(Table::Registration, &1u64.to_be_bytes()).expect("in memory").expect("kept");
    let (fee, epoch) = ([0, 0, 0, 0, 0, 0, 0x03, 0xe8], [0, 0, 0, 1]);
    let wanted = [&[1; 20][..], &[2; 20], &[1; 32], &fee, &[1; 32], &epoch, &[0xf1; 32]];
    assert_eq!(row, [wanted.concat(), vec![0]].concat(), "and who brought it");
    assert_eq!(Registration::from_bytes(&row), None);
}

/// Counts batches.
#[derive(Default)]
struct Counting(Memory, std::sync::atomic::AtomicUsize);

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<crate::state::store::Entry>, StoreError> {
        self.0.seek(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<crate::state::store::Entry>, StoreError> {
        self.0.scan(table, from, limit)
    }

    fn scan_back(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<crate::state::store::Entry>, StoreError> {
        self.0.scan_back(table, from, limit)
    }

    fn write(&self, batch: crate::state::store::Batch) -> Result<(), StoreError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.0.write(batch)
    }
}

#[test]
fn a_block_and_its_certificate_are_one_write_and_what_was_kept_ahead_moves_in_it() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let writes = || store.1.load(std::sync::atomic::Ordering::SeqCst);
    let propose = |nonce| {
        let transfer = Key::new(1).transfer(CHAIN, nonce, PROPOSER, 1);
        chain.propose(chain.head_hash(), NOW_MS, PROPOSER, std::iter::once(transfer), &Stop::never()).expect("proposed")
    };
    let before = writes();
    let first = propose(0);
    chain.finalize_certified(&first, Some(b"one")).expect("stored").expect("new");
    assert_eq!(writes(), before + 1);
    assert_eq!(chain.finality(1).expect("in memory"), Some(b"one".to_vec()));

    let second = propose(1);
    let (hash, rlp) = (second.hash(), alloy_rlp::encode(&second));
    let block = Ahead { number: 2, hash, block: Some(rlp), certificate: None };
    chain
        .keep_ahead(&[block, Ahead { number: 2, hash, block: None, certificate: Some(b"two".to_vec()) }])
        .expect("kept");
    assert_eq!(chain.final_block(2).expect("in memory").as_ref(), Some(&second));
    assert_eq!(chain.final_certificate(2).expect("in memory"), Some(b"two".to_vec()));
    assert_eq!(
        (chain.header(2).expect("in memory"), chain.finality(2).expect("in memory")),
        (None, None),
        "not executed"
    );
    assert_eq!(chain.kept_ahead(2, 10).expect("in memory").len(), 1);
    let before = writes();
    chain.finalize(&second).expect("stored").expect("new");
    assert_eq!(writes(), before + 1);
    assert_eq!(store.scan(Table::Ahead, &[], 9).expect("in memory"), [], "it is kept once");
    assert_eq!(chain.final_block(2).expect("in memory"), Some(second));
    assert_eq!(chain.finality(2).expect("in memory"), Some(b"two".to_vec()));
    // Late, twice, or of a block that is final: nothing is kept ahead again.
    let late = Ahead { number: 2, hash, block: Some(vec![1]), certificate: Some(b"other".to_vec()) };
    chain.keep_ahead(&[late]).expect("ignored");
    assert_eq!(chain.kept_ahead(0, 10).expect("in memory"), []);
    assert_eq!(chain.finality(2).expect("in memory"), Some(b"two".to_vec()));
}

#[test]
fn certificates_and_registrations_are_kept() {
    let store = Arc::new(Memory::default());
    let chain = open(store.clone());
    chain.put_finality(3, b"three").expect("in memory");
    chain.put_finality(7, b"seven").expect("in memory");
    assert_eq!(chain.finality(3).expect("in memory"), Some(b"three".to_vec()));
    assert_eq!(chain.finality(4).expect("in memory"), None);
    assert_eq!(chain.finality_at_or_after(4).expect("in memory"), Some((7, b"seven".to_vec())));
    assert_eq!(chain.finality_at_or_after(8).expect("in memory"), None);

    assert_eq!(chain.register_deposit(&registration(1)).expect("room"), (1, true));
    assert_eq!(chain.register_deposit(&registration(2)).expect("room"), (2, true));
    assert_eq!(chain.register_deposit(&registration(1)).expect("room"), (1, false));
    let again = open(store);
    assert_eq!(again.registrations(0, 10).expect("kept"), [(1, registration(1)), (2, registration(2))]);
    assert_eq!(again.registrations(1, 10).expect("kept"), [(2, registration(2))]);
    assert_eq!(again.registration(registration(2).output_key).expect("kept"), Some((2, registration(2))));
    assert_eq!(again.register_deposit(&registration(3)).expect("room"), (3, true));
}
