//! What reading costs: rows counted by the store.

use super::{counting::Counting, *};
use crate::{chain::receipts, state::store::Batch};

#[test]
fn a_block_is_decoded_for_its_first_receipt_alone() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let alice = Key::new(1);
    let transfers = (0..3).map(|nonce| alice.transfer(CHAIN, nonce, PROPOSER, 1)).collect();
    let hashes: Vec<_> =
        next(&chain, transfers).block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect();
    let receipt = |chain: &Chain<_>, hash| {
        let located = chain.transaction(hash).expect("in memory").expect("final");
        let finalized = chain.with_receipts(located.stored).expect("in memory");
        finalized.receipts[located.index].clone()
    };
    store.take_rows();
    let of_a_new_block: Vec<_> = hashes.iter().map(|hash| receipt(&chain, *hash)).collect();
    let look_ups = BTreeMap::from([(Table::TransactionHash, 3)]);
    assert_eq!(store.take_rows(), look_ups, "what was executed here is not decoded at all");

    let again = open(store.clone());
    store.take_rows();
    let first = receipt(&again, hashes[0]);
    let read = store.take_rows();
    assert!(read[&Table::Body] == 1 && read[&Table::Receipts] == 1, "{read:?}");
    let others = [receipt(&again, hashes[1]), receipt(&again, hashes[2]), receipt(&again, hashes[0])];
    assert_eq!(store.take_rows(), look_ups);
    assert_eq!(of_a_new_block, [first, others[0].clone(), others[1].clone()]);

    let mut crowded = open(store.clone());
    // Others push out at once what was decoded.
    crowded.blocks = crate::chain::shared::Shared::new(0);
    store.take_rows();
    receipt(&crowded, hashes[2]);
    assert_eq!(store.take_rows()[&Table::Body], 1, "not once for the transaction and once for its receipt");
}

#[test]
fn fees_of_many_blocks_are_read_without_a_block() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    for number in 1..=1_100 {
        fabricated::write(&store, &fabricated::block(number, vec![Vec::new(); 2])).expect("in memory");
    }
    store.take_rows();
    let fees = chain.fees(77, 1_024).expect("in memory");
    assert_eq!(store.take_rows(), BTreeMap::from([(Table::Fees, 1_024)]));
    assert_eq!((fees.len(), fees[0].number, fees[1_023].number), (1_024, 77, 1_100));
    assert!(fees.iter().all(|fees| fees.gas_used == 100_000 && fees.gas_limit == 60_000_000));
}

#[test]
fn what_a_block_paid_is_kept_as_its_transactions_say() {
    let chain = chain();
    let [alice, bob] = [Key::new(1), Key::new(2)];
    let deploy = create(&alice, 0, &COUNTER);
    let finalized =
        next(&chain, vec![deploy, bob.transfer(CHAIN, 0, PROPOSER, 1), alice.transfer(CHAIN, 1, PROPOSER, 1)]);
    let fees = chain.fees(1, 5).expect("in memory");
    let header = &finalized.block.header;
    let want = BlockFees {
        number: 1,
        base_fee: header.base_fee_per_gas.expect("since London"),
        gas_used: header.gas_used,
        gas_limit: header.gas_limit,
        tips: vec![(1_000, header.gas_used)],
    };
    assert_eq!(fees, [want]);
    assert_eq!(fees[0].next_base_fee(), block::next_base_fee(header));
}

#[test]
fn of_a_block_that_is_removed_no_row_is_left_and_its_neighbours_stay() {
    let store = Memory::default();
    let log = |number: u64, bytes| {
        let topics = vec![B256::with_last_byte(1), B256::left_padding_from(&number.to_be_bytes())];
        Log::new_unchecked(Address::with_last_byte(1), topics, Bytes::from(vec![0xab; bytes]))
    };
    let write = |number| {
        // Several rows of receipts, and transactions without logs.
        let logs = (0..9).map(|index| vec![log(index, 5_000); usize::from(index % 3 != 0)]);
        let mut batch = Batch::default();
        receipts::receipts_batch(&mut batch, &fabricated::block(number, logs.collect()));
        store.write(batch).expect("in memory");
    };
    let tables = [Table::Receipts, Table::LogIndex, Table::Fees];
    let rows = || tables.map(|table| store.scan(table, &[], usize::MAX).expect("in memory"));
    write(6);
    write(8);
    let before = rows();
    write(7);
    assert_eq!(receipts::stored_receipts(&store, 7).expect("in memory").len(), 9);
    assert!(rows().iter().zip(&before).all(|(with, without)| with.len() > without.len()));
    let mut batch = Batch::default();
    receipts::remove_receipts(&store, &mut batch, 7).expect("in memory");
    store.write(batch).expect("in memory");
    assert_eq!(rows(), before);
}
