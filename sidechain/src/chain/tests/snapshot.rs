//! Copies of a state in parts: whole, whenever they are interrupted, and never anything but the truth.

use api::snapshot::Part;

use super::*;
use crate::{
    chain::snapshot::{FrozenRows, MAX_ACCOUNTS, MAX_CODES, PART_BYTES, Refused, Restore, RestoreError, Want, answer},
    state::store::{Batch, Entry},
};

/// The tables of a chain that stands still.
struct Still<'a>(&'a Memory);

impl StateReader for Still<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn block_hash(&self, _number: u64) -> Result<Option<B256>, StoreError> {
        Ok(None)
    }
}

impl FrozenRows for Still<'_> {
    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(table, from, limit)
    }
}

/// A chain with accounts, two contracts of the same code, and one that has many slots.
fn source() -> Chain<Memory> {
    let chain = chain();
    let [alice, bob] = [Key::new(1), Key::new(2)];
    let writers = [alice.address.create(0), alice.address.create(1)];
    next(&chain, vec![create(&alice, 0, &WRITER), create(&alice, 1, &WRITER), create(&bob, 0, &COUNTER)]);
    for block in 0..3u64 {
        let many = (0..30).map(|slot| write(&alice, 2 + block * 30 + slot, writers[0], block * 30 + slot, 1 + slot));
        next(&chain, many.collect());
    }
    let new = (1..40u8).map(|number| bob.transfer(CHAIN, u64::from(number), Address::repeat_byte(number), 7));
    let few = (0..3).map(|slot| write(&alice, 92 + slot, writers[1], slot, 9));
    next(&chain, new.chain(few).chain([call(&bob, 40, bob.address.create(0), Bytes::new())]).collect());
    chain
}

fn genesis_block() -> crate::execution::Executed {
    genesis().build_with_allocation(&allocation()).expect("the genesis is right")
}

fn ask(source: &Chain<Memory>, part: &Part, part_bytes: usize) -> Vec<u8> {
    let answered = answer(&Still(&source.store), source.head().number, part, part_bytes);
    answered.expect("in memory").expect("asked for what is there")
}

/// Copies until everything is there, and shows each part before it is taken. The copy begins anew from its store at each.
fn copy(
    source: &Chain<Memory>,
    part_bytes: usize,
    mut show: impl FnMut(&Restore, &Memory, &Part, Vec<u8>),
) -> (Restore, Memory) {
    let store = Memory::default();
    store.write(Restore::begin(source.head(), &[7; 100]).1).expect("in memory");
    loop {
        let mut restore = Restore::resume(&store).expect("in memory").expect("it was begun");
        let Want::Part(part) = restore.next(&store).expect("in memory") else { return (restore, store) };
        let answered = ask(source, &part, part_bytes);
        show(&restore, &store, &part, answered.clone());
        store.write(restore.take(&store, CHAIN, &part, &answered).expect("the truth")).expect("in memory");
    }
}

fn rows(store: &Memory, table: Table) -> Vec<Entry> {
    store.scan(table, &[], usize::MAX).expect("in memory")
}

const STATE: [Table; 5] = [Table::Account, Table::Slot, Table::Code, Table::AccountNode, Table::StorageNode];

#[test]
fn a_copied_state_is_the_state_and_the_chain_goes_on_from_it() {
    let source = source();
    for part_bytes in [1, 300, 2_000, PART_BYTES] {
        let mut parts = 0;
        let (restore, copied) = copy(&source, part_bytes, |_, _, _, _| parts += 1);
        println!("{part_bytes} bytes a part: {parts} parts");
        for table in STATE {
            assert_eq!(rows(&copied, table), rows(&source.store, table), "{table:?} with {part_bytes} bytes a part");
        }
        assert!(!Restore::is_complete(&copied).expect("in memory"));
        copied.write(restore.finish(&copied, &genesis_block()).expect("covered")).expect("in memory");
        assert!(Restore::is_complete(&copied).expect("in memory"));
        let chain = open(copied);
        assert_eq!((chain.head(), chain.head_hash()), (source.head(), source.head_hash()));
        let head = source.head().number;
        assert_eq!(chain.finality(head).expect("kept"), Some(vec![7; 100]));
        assert_eq!(chain.receipts(head).expect("kept"), source.receipts(head).expect("kept"));
        assert_eq!(chain.first_block(), head);
        let before = chain.stored(head - 1).expect_err("only its header is known");
        assert!(matches!(before, StoreError::Pruned { oldest, .. } if oldest == head), "{before}");
        assert!(chain.state_at(head - 1).is_err());
        assert_eq!(chain.block(source.genesis_block().hash()).expect("kept"), Some(source.genesis_block()));
    }
}

#[test]
fn what_follows_is_the_same_on_a_copy_as_on_the_chain_itself() {
    let source = source();
    let (restore, copied) = copy(&source, 2_000, |_, _, _, _| ());
    copied.write(restore.finish(&copied, &genesis_block()).expect("covered")).expect("in memory");
    let chain = open(copied);
    let alice = Key::new(1);
    let writer = alice.address.create(0);
    let transactions = vec![write(&alice, 95, writer, 3, 0), write(&alice, 96, writer, 1_000, 5)];
    let block = next(&source, transactions).block.clone();
    chain.finalize(&block).expect("it has all the state").expect("new");
    assert_eq!(chain.head_hash(), source.head_hash());
    assert_eq!(naive_root(&chain.store), chain.head().state_root);
}

#[test]
fn registrations_are_carried_over_from_the_chain_that_was_there() {
    let earlier = chain();
    let registration = |number: u8| Registration {
        terms: api::peg::Terms {
            recipient: Address::repeat_byte(number),
            reclaim_key: B256::repeat_byte(2),
            max_fee_sat: 3,
            claimant: Address::repeat_byte(2),
            data_hash: B256::repeat_byte(3),
            epoch: 1,
        },
        output_key: B256::repeat_byte(number),
    };
    for number in 1..=3 {
        earlier.register_deposit(&registration(number)).expect("there is room");
    }
    let (restore, copied) = copy(&source(), PART_BYTES, |_, _, _, _| ());
    Restore::carry(&earlier.store, &copied).expect("in memory");
    copied.write(restore.finish(&copied, &genesis_block()).expect("covered")).expect("in memory");
    let chain = open(copied);
    assert_eq!(chain.registrations(0, 10).expect("kept"), earlier.registrations(0, 10).expect("kept"));
    assert_eq!(chain.register_deposit(&registration(4)).expect("there is room"), (4, true), "their number goes on");
}

#[test]
fn a_state_with_more_coins_than_the_vault_is_not_taken_whoever_certified_it() {
    let source = source();
    let (restore, copied) = copy(&source, PART_BYTES, |_, _, _, _| ());
    let bridge = keccak256(contracts::Contract::Bridge.address());
    let mut rich = Still(&copied).account_by_hash(bridge).expect("in memory").expect("it is there");
    rich.balance -= U256::from(1);
    let mut batch = Batch::default();
    batch.put(Table::Account, bridge.to_vec(), crate::state::encode_account(&rich));
    copied.write(batch).expect("in memory");
    let refused = restore.finish(&copied, &genesis_block());
    assert!(matches!(refused, Err(RestoreError::NotCovered { .. })), "{refused:?}");
}

#[test]
fn a_question_for_too_much_or_for_what_is_not_there_is_not_answered() {
    let source = source();
    let number = source.head().number;
    let none = |part: Part| answer(&Still(&source.store), number, &part, PART_BYTES).expect("in memory").is_none();
    let (some, from) = (B256::repeat_byte(1), B256::ZERO);
    assert!(none(Part::Slots { accounts: Vec::new(), from }));
    assert!(none(Part::Slots { accounts: vec![some; MAX_ACCOUNTS + 1], from }));
    assert!(none(Part::Slots { accounts: vec![some], from }), "no such account");
    assert!(none(Part::Slots { accounts: vec![keccak256(Key::new(3).address)], from }), "it has no storage");
    assert!(none(Part::Codes { hashes: Vec::new() }));
    assert!(none(Part::Codes { hashes: vec![some; MAX_CODES + 1] }));
    assert!(none(Part::Codes { hashes: vec![some] }), "no such code");
}

/// Whether everything that a batch would write into the state is what the source has there.
fn is_true(batch: &Batch, source: &Chain<Memory>) -> bool {
    batch
        .writes
        .iter()
        .filter(|(table, ..)| *table != Table::Meta)
        .all(|(table, key, value)| source.store.get(*table, key).expect("in memory") == *value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_that_were_changed_on_the_way_write_nothing_false(
        part_bytes in 300usize..3_000,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255, any::<bool>()), 1..40),
    ) {
        let source = source();
        let mut refused = 0;
        copy(&source, part_bytes, |restore, store, part, answered| {
            for (at, bits, cut) in &changes {
                let mut told = answered.clone();
                let at = at.index(told.len());
                if *cut { told.truncate(at) } else { told[at] ^= bits }
                let mut restore = restore.clone();
                match restore.take(store, CHAIN, part, &told) {
                    Ok(batch) => assert!(is_true(&batch, &source), "{part:?}: byte {at} ^ {bits}"),
                    Err(RestoreError::Refused(_)) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        });
        prop_assert!(refused > 0);
    }
}

/// The lists of a range as they are on the wire: keys and values, proof, whether there is more.
type Lists = Vec<Vec<Vec<Bytes>>>;

fn lie(answered: &[u8], change: impl FnOnce(&mut Lists)) -> Vec<u8> {
    let mut lists = Lists::decode(&mut &answered[..]).expect("an answer");
    change(&mut lists);
    alloy_rlp::encode(lists)
}

#[test]
fn every_kind_of_liar_is_refused_at_once_and_by_name() {
    let source = source();
    let (mut seen, mut several, mut whole) = (0, 0, 0);
    copy(&source, 2_000, |restore, store, part, answered| {
        let refused = |told: Vec<u8>| match restore.clone().take(store, CHAIN, part, &told) {
            Err(RestoreError::Refused(refused)) => refused,
            other => panic!("{part:?} was taken: {other:?}"),
        };
        let told = |change: &dyn Fn(&mut Lists)| refused(lie(&answered, change));
        match part {
            Part::Accounts { .. } | Part::Slots { .. } => {
                let is_range = |refused: &Refused| matches!(refused, Refused::Range { .. });
                // Some contracts have one slot only: what leaves that out is told below.
                let has_several = Lists::decode(&mut &answered[..]).expect("an answer")[0][0].len() > 2;
                if has_several {
                    let omitted = told(&|lists| drop(lists[0][0].drain(2..4)));
                    assert!(is_range(&omitted), "a leaf is left out: {omitted}");
                    let reordered = told(&|lists| {
                        let pair: Vec<_> = lists[0][0].drain(..2).collect();
                        lists[0][0].splice(2..2, pair);
                    });
                    assert!(is_range(&reordered), "leaves are in another order: {reordered}");
                    several += 1;
                }
                let added = told(&|lists| {
                    let mut key = lists[0][0][0].to_vec();
                    key[31] ^= 1;
                    let leaf = [key.into(), lists[0][0][1].clone()];
                    lists[0][0].splice(2..2, leaf);
                });
                assert!(is_range(&added), "a leaf is added: {added}");
                let changed = told(&|lists| lists[0][0][1] = Bytes::from_static(&[5]));
                assert!(is_range(&changed), "a value is changed: {changed}");
                let empty = told(&|lists| (lists[0][0], lists[0][2]) = (Vec::new(), Vec::new()));
                assert!(is_range(&empty), "nothing is there, it is said: {empty}");
                let idle = told(&|lists| (lists[0][0], lists[0][2]) = (Vec::new(), vec![Bytes::new()]));
                assert!(matches!(idle, Refused::Malformed(_)), "there is more, but nothing now: {idle}");
                let nothing = refused(alloy_rlp::encode(Lists::new()));
                assert!(matches!(nothing, Refused::Count { got: 0, .. }), "{nothing}");
                let odd = told(&|lists| drop(lists[0][0].pop()));
                assert!(matches!(odd, Refused::Malformed(_)), "{odd}");
                seen += 1;
            }
            Part::Codes { .. } => {
                let mut codes = Vec::<Bytes>::decode(&mut &answered[..]).expect("an answer");
                codes[0] = [&codes[0][..], &[0]].concat().into();
                let wrong = refused(alloy_rlp::encode(&codes));
                assert!(matches!(wrong, Refused::Code { .. }), "other code: {wrong}");
                codes.resize(MAX_CODES + 1, Bytes::new());
                let many = refused(alloy_rlp::encode(&codes));
                assert!(matches!(many, Refused::Count { .. }), "{many}");
            }
            Part::Block {} => {
                let mut parts = Vec::<Bytes>::decode(&mut &answered[..]).expect("an answer");
                let truth = parts.clone();
                parts[0] = alloy_rlp::encode(source.genesis_block()).into();
                assert!(matches!(refused(alloy_rlp::encode(&parts)), Refused::Block { .. }));
                parts.clone_from(&truth);
                parts[1] = Bytes::from_static(&[0xc0]);
                assert!(matches!(refused(alloy_rlp::encode(&parts)), Refused::Receipts { .. }));
                parts.clone_from(&truth);
                parts[2] = Bytes::from_static(&[0xc0]);
                assert!(matches!(refused(alloy_rlp::encode(&parts)), Refused::Ancestors(_)));
                let mut headers = Vec::<Header>::decode(&mut &truth[2][..]).expect("headers");
                headers[1].timestamp += 1;
                parts[2] = alloy_rlp::encode(&headers).into();
                assert!(matches!(refused(alloy_rlp::encode(&parts)), Refused::Ancestors(_)));
                whole += 1;
            }
        }
    });
    assert!(seen > several && several > 5 && whole == 1, "{seen} ranges were lied about, {several} of several leaves");
}

#[test]
fn storage_of_an_account_that_is_cut_off_before_the_next_is_refused() {
    let source = source();
    let mut cut = 0;
    copy(&source, PART_BYTES, |restore, store, part, answered| {
        if let Part::Slots { accounts, .. } = part {
            assert!(accounts.len() > 2);
            let told = lie(&answered, |lists| lists[0][2] = vec![Bytes::new()]);
            let refused = restore.clone().take(store, CHAIN, part, &told);
            assert!(matches!(refused, Err(RestoreError::Refused(Refused::CutOff { .. }))), "{refused:?}");
            cut += 1;
        }
    });
    assert_eq!(cut, 1);
}
