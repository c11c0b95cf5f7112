//! Logs by the index: as a naive search finds them, and at a bounded cost whatever others log.

use std::collections::BTreeSet;

use super::{counting::Counting, *};

/// Few of each, so that random filters match.
fn address(index: u8) -> Address {
    Address::repeat_byte(index % 4)
}

fn topic(index: u8) -> B256 {
    B256::repeat_byte(index % 5)
}

fn log(emitter: Address, topics: Vec<B256>, bytes: usize) -> Log {
    Log::new_unchecked(emitter, topics, vec![0xab; bytes].into())
}

fn any_log() -> impl Strategy<Value = Log> {
    let bytes = prop_oneof![4 => 0usize..40, 1 => 5_000usize..20_000];
    (any::<u8>(), prop::collection::vec(any::<u8>(), 0..=4), bytes)
        .prop_map(|(emitter, topics, bytes)| log(address(emitter), topics.into_iter().map(topic).collect(), bytes))
}

fn any_filter(blocks: u64) -> impl Strategy<Value = LogFilter> {
    let some = || prop::collection::btree_set(any::<u8>(), 0..3);
    let places = (0..blocks, 0..blocks);
    (some(), [some(), some(), some(), some()], places, 0usize..4).prop_map(
        |(addresses, topics, (one, other), least_topics)| LogFilter {
            from: one.min(other),
            to: one.max(other),
            addresses: addresses.into_iter().map(address).collect(),
            topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
            least_topics,
        },
    )
}

fn any_limits() -> impl Strategy<Value = LogLimits> {
    (1usize..30, 1usize..40_000, 1u64..2_000, 1u64..200_000).prop_map(|(logs, answer_bytes, rows, bytes)| LogLimits {
        logs,
        answer_bytes,
        rows,
        bytes,
    })
}

/// All logs of some blocks in order, with (block, log index).
fn naive<'a>(blocks: &'a [Vec<Vec<Log>>], filter: &'a LogFilter) -> impl Iterator<Item = (u64, u64, Log)> + 'a {
    let numbered = (0u64..).zip(blocks).filter(|(number, _)| (filter.from..=filter.to).contains(number));
    let all = numbered
        .flat_map(|(number, logs)| (0u64..).zip(logs.iter().flatten()).map(move |(index, log)| (number, index, log)));
    all.filter(|(.., log)| filter.matches(log)).map(|(number, index, log)| (number, index, log.clone()))
}

fn found(logs: &[LogEntry]) -> impl Iterator<Item = (u64, u64, Log)> + '_ {
    logs.iter().map(|entry| (entry.block_number, entry.log_index, entry.log.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn pages_together_are_what_a_naive_search_finds(
        blocks in prop::collection::vec(prop::collection::vec(prop::collection::vec(any_log(), 0..4), 0..6), 1..24),
        filters in prop::collection::vec(any_filter(26), 1..12),
        limits in any_limits(),
        in_memory in any::<bool>(),
    ) {
        let store = Arc::new(Memory::default());
        let chain = open(store.clone());
        for (number, logs) in (0u64..).zip(&blocks) {
            fabricated::write(&store, &fabricated::block(number, logs.clone())).expect("in memory");
        }
        if in_memory {
            (0..blocks.len() as u64).for_each(|number| drop(chain.finalized(number)));
        }
        for filter in filters {
            let wanted: Vec<_> = naive(&blocks, &filter).collect();
            let (mut logs, mut place) = (Vec::new(), LogPlace { block: filter.from, log_index: 0 });
            loop {
                let rest = LogFilter { from: place.block, ..filter.clone() };
                let page = chain.log_page(&rest, place.log_index, &limits, &Stop::never()).expect("in memory");
                logs.extend(found(&page.logs));
                let Some(next) = page.next else { break };
                prop_assert!(next > place, "{:?} follows {:?}", next, place);
                place = next;
            }
            prop_assert_eq!(&logs, &wanted);
            match chain.logs(&filter, &limits, &Stop::never()) {
                Ok(logs) => prop_assert_eq!(found(&logs).collect::<Vec<_>>(), wanted),
                Err(LogsError::TooMuch { from, until, .. }) => {
                    prop_assert!(from == filter.from && until < filter.to);
                    let fewer = LogFilter { to: until, ..filter.clone() };
                    let logs = chain.logs(&fewer, &limits, &Stop::never()).expect("the range that was promised to work");
                    prop_assert_eq!(found(&logs).collect::<Vec<_>>(), naive(&blocks, &fewer).collect::<Vec<_>>());
                }
                Err(LogsError::Block { number }) => {
                    prop_assert_eq!(number, filter.from);
                    let alone = LogFilter { to: number, ..filter.clone() };
                    let bytes = naive(&blocks, &alone).map(|(.., log)| LOG_BYTES + 32 * log.topics().len() + log.data.data.len());
                    prop_assert!(bytes.sum::<usize>() > limits.answer_bytes);
                }
                Err(error @ (LogsError::Stopped | LogsError::Store(_))) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_log_has_its_place_whether_it_is_read_from_memory_or_from_its_row() {
    let store = Arc::new(Memory::default());
    let chain = open(store.clone());
    let large = log(address(1), vec![topic(1)], 20_000);
    let logs = vec![vec![large.clone(); 2], Vec::new(), vec![large.clone()], vec![large; 3]];
    let executed = fabricated::block(7, logs);
    fabricated::write(&store, &executed).expect("in memory");
    let filter = LogFilter { from: 7, to: 7, addresses: [address(1)].into(), ..LogFilter::default() };
    let rows = chain.logs(&filter, &LogLimits::default(), &Stop::never()).expect("few");
    chain.finalized(7).expect("in memory").expect("written");
    assert_eq!(chain.logs(&filter, &LogLimits::default(), &Stop::never()).expect("few"), rows);
    let places: Vec<_> = rows.iter().map(|entry| (entry.transaction_index, entry.log_index)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (2, 2), (3, 3), (3, 4), (3, 5)]);
    assert!(rows.iter().all(|entry| {
        let transaction = &executed.block.transactions[entry.transaction_index as usize];
        (entry.block_hash, entry.block_timestamp, entry.transaction_hash) == (executed.hash, 7, *transaction.tx_hash())
    }));
}

/// An attacker's contract and the topics that its victim looks for.
const ATTACKER: Address = Address::repeat_byte(0xee);
const VICTIM: Address = Address::repeat_byte(0x11);

fn exact() -> LogFilter {
    let topics = [[B256::repeat_byte(1)].into(), [B256::repeat_byte(2)].into(), [].into(), [].into()];
    LogFilter { from: 0, to: u64::MAX, addresses: [VICTIM].into(), topics, ..LogFilter::default() }
}

#[test]
fn an_exact_look_up_reads_few_rows_in_a_long_chain_in_which_others_log_the_same_words() {
    const BLOCKS: u64 = 100_000;
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    // The index of a chain in which the attacker logs the victim's words in every block, and the victim something else.
    let forged = log(ATTACKER, vec![B256::repeat_byte(1), B256::repeat_byte(2)], 0);
    let other = log(VICTIM, vec![B256::repeat_byte(1), B256::repeat_byte(3)], 0);
    let receipts = fabricated::block(0, vec![vec![forged.clone()], vec![other]]).receipts;
    let mut batch = Default::default();
    (0..BLOCKS).for_each(|number| index_batch(&mut batch, number, &receipts));
    store.write(batch).expect("in memory");
    let wanted = log(VICTIM, vec![B256::repeat_byte(1), B256::repeat_byte(2)], 100);
    let logs = [vec![vec![forged]; 1_000], vec![vec![wanted.clone()]]].concat();
    fabricated::write(&store, &fabricated::block(BLOCKS - 10, logs)).expect("in memory");
    store.take_rows();
    let logs = chain.logs(&exact(), &LogLimits::default(), &Stop::never()).expect("one");
    assert_eq!(found(&logs).collect::<Vec<_>>(), [(BLOCKS - 10, 1_000, wanted)]);
    let read = store.take_rows();
    assert!(read[&Table::LogIndex] <= 32, "{read:?}");
    assert_eq!((read[&Table::Receipts], read.get(&Table::Body)), (1, None), "one row of the block's: {read:?}");
}

#[test]
fn blocks_that_saturate_their_blooms_are_not_read() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    for number in 0..10u64 {
        let random = |index: u64| keccak256([number.to_be_bytes(), index.to_be_bytes()].concat());
        let token = |index: u64| log(ATTACKER, (0u64..4).map(|place| random(4 * index + place)).collect(), 0);
        let executed = fabricated::block(
            number,
            (0..200).map(|group| (0..10).map(|one| token(10 * group + one)).collect()).collect(),
        );
        assert!(exact().may_match(&executed.block.header.logs_bloom), "the bloom says nothing");
        fabricated::write(&store, &executed).expect("in memory");
    }
    store.take_rows();
    assert_eq!(chain.logs(&exact(), &LogLimits::default(), &Stop::never()).expect("none"), []);
    let read = store.take_rows();
    assert!(read.len() == 1 && read[&Table::LogIndex] <= 16, "{read:?}");
}

#[test]
fn as_many_values_as_a_filter_may_have_are_walked_within_the_bounds_and_get_on() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    // Everything that is asked for is in every block, but never in one transaction.
    let words: Vec<_> = (0..1_000u64).map(|word| B256::from(U256::from(word))).collect();
    let receipts = |number: usize| {
        let topic = |place: usize| words[(number + 7 * place) % 1_000];
        let logs = (0..4).map(|place| {
            vec![log(ATTACKER, (0..4).map(|other| if other == place { topic(other) } else { B256::ZERO }).collect(), 0)]
        });
        fabricated::block(0, logs.collect()).receipts
    };
    let mut batch = Default::default();
    (0..3_000).for_each(|number| index_batch(&mut batch, number as u64, &receipts(number)));
    store.write(batch).expect("in memory");
    let all: BTreeSet<_> = words[1..].iter().copied().collect();
    let mut filter = LogFilter {
        from: 0,
        to: u64::MAX,
        addresses: BTreeSet::new(),
        topics: [all.clone(), all.clone(), all.clone(), all],
        ..LogFilter::default()
    };
    let limits = LogLimits { rows: 100_000, ..LogLimits::default() };
    store.take_rows();
    let mut pages = 0;
    loop {
        let page = chain.log_page(&filter, 0, &limits, &Stop::never()).expect("in memory");
        let read = store.take_rows();
        // What the bounds allow, and the last look of each list.
        assert!(read[&Table::LogIndex] <= limits.rows + 4_000 && read.len() == 1, "{read:?}");
        pages += 1;
        let Some(next) = page.next else { break };
        assert!(next.block > filter.from);
        filter.from = next.block;
    }
    assert!(pages > 1, "the bounds were reached");
}

#[test]
fn a_range_without_end_costs_nothing_where_nothing_is() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    fabricated::write(&store, &fabricated::block(5, vec![vec![log(ATTACKER, Vec::new(), 0)]; 3])).expect("in memory");
    store.take_rows();
    let everything = LogFilter { from: 6, to: u64::MAX, ..LogFilter::default() };
    assert_eq!(chain.logs(&everything, &LogLimits::default(), &Stop::never()).expect("none"), []);
    let upwards = LogFilter { from: u64::MAX, to: u64::MAX, ..LogFilter::default() };
    assert_eq!(chain.logs(&upwards, &LogLimits::default(), &Stop::never()).expect("none"), []);
    let read = store.take_rows();
    assert!(read[&Table::LogIndex] <= 4, "{read:?}");
}

#[test]
fn the_dearest_index_is_a_byte_for_ten_gas() {
    // Four new topics in each log, as many as a full block of 60 million gas can pay for at 1,875 gas a log.
    let logs = 1_000u64;
    let token = |index: u64| {
        log(ATTACKER, (0u64..4).map(|place| keccak256([index, place].map(u64::to_be_bytes).concat())).collect(), 0)
    };
    let executed = fabricated::block(1, vec![(0..logs).map(token).collect()]);
    let mut batch = Default::default();
    index_batch(&mut batch, 1, &executed.receipts);
    let rows = batch.writes.len() as u64;
    let bytes: usize = batch.writes.iter().map(|(_, key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
    assert_eq!(rows, 8 * logs + 2);
    assert!(bytes as u64 * 10 <= logs * 1_875, "{bytes} bytes for {} gas", logs * 1_875);
}

#[test]
fn a_search_that_is_stopped_says_so_or_how_far_it_got() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let large = || vec![vec![log(VICTIM, Vec::new(), 20_000)]];
    (0..300).for_each(|number| fabricated::write(&store, &fabricated::block(number, large())).expect("in memory"));
    let filter = LogFilter { from: 0, to: 299, addresses: [VICTIM].into(), ..LogFilter::default() };
    let limits = LogLimits { answer_bytes: usize::MAX, ..LogLimits::default() };
    let stopped = Stop::default();
    stopped.stop();
    assert!(matches!(chain.logs(&filter, &limits, &stopped), Err(LogsError::Stopped)));
    let soon = Stop::default();
    store.stop_after(100, &soon);
    let error = chain.logs(&filter, &limits, &soon).expect_err("stopped on the way");
    let LogsError::TooMuch { from: 0, until, .. } = error else { panic!("{error}") };
    assert!((10..100).contains(&until), "{until}");
}
