use super::*;
use crate::execution::Progress;

/// Offers all of them.
struct All(std::vec::IntoIter<Transaction>);

impl Offers for All {
    fn next(&mut self, _: Progress) -> Option<(Transaction, Stop)> {
        self.0.next().map(|transaction| (transaction, Stop::never()))
    }

    fn left_out(&mut self, _: &Transaction) {}

    fn skipped(&mut self, _: &Transaction, _: &BlockError) {}
}

fn preview(chain: &Chain<Memory>, transactions: Vec<Transaction>) -> Arc<Preview> {
    Arc::new(chain.preview(NOW_MS, &mut All(transactions.into_iter()), &Stop::never()).expect("in memory"))
}

// 0 - 1 - 2 - 3       final: another slot than the preview's, and the same with another value
//      \
//       preview
#[test]
fn a_preview_reads_as_it_was_made_whatever_becomes_final() {
    let chain = chain();
    let (alice, bob) = (Key::new(1), Key::new(2));
    let writer = deployed(&chain, &alice, 0, &WRITER[9..]);
    let made = preview(&chain, vec![write(&alice, 1, writer, 1, 7)]);
    assert_eq!((made.header().number, made.header().parent_hash), (2, chain.head_hash()));
    assert_eq!(made.block.receipts.len(), 1);
    let slots = |made: &Arc<Preview>| {
        let state = chain.state_in(made.clone()).expect("kept");
        [1, 2, 3].map(|slot| state.storage(writer, U256::from(slot)).expect("in memory"))
    };
    let seven = [U256::from(7), U256::ZERO, U256::ZERO];
    assert_eq!(slots(&made), seven);
    next(&chain, vec![write(&bob, 0, writer, 2, 8), write(&bob, 1, writer, 1, 9)]);
    next(&chain, vec![write(&bob, 2, writer, 3, 10)]);
    assert_eq!(slots(&made), seven, "nothing of other blocks is in it");
    let read = Call { from: bob.address, to: writer.into(), ..Call::default() };
    let trial = Trial { setting: Setting::In(made), ..Trial::next(NOW_MS) };
    assert!(chain.try_call(&trial, &read, &Stop::never()).expect("it runs").success);
    // It was never kept: nobody can build on it, and the next is of the new head.
    let again = preview(&chain, vec![write(&alice, 1, writer, 1, 7)]);
    assert_eq!(again.header().number, 4);
    assert!(!chain.is_usable(again.block.hash));
    assert_eq!(slots(&again), [U256::from(7), U256::from(8), U256::from(10)]);
}

// What it says is what a block of the same transactions says.
#[test]
fn a_preview_has_the_roots_of_the_block_that_it_foretells() {
    let chain = chain();
    let sent = || (1..=5).map(|key| Key::new(key).transfer(CHAIN, 0, Address::repeat_byte(7), 5)).collect::<Vec<_>>();
    // The first block's beneficiary is nobody's.
    next(&chain, Vec::new());
    let made = preview(&chain, sent());
    let finalized = next(&chain, sent());
    assert_eq!(made.block.hash, finalized.hash);
    assert_eq!(made.block.receipts, finalized.receipts);
}
