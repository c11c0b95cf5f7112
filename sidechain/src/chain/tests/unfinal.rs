//! Nothing becomes final for long: the chain goes on, in bounded memory, and all of it becomes final in the end.

use super::*;

/// More than any number of blocks that anything here keeps.
const HUNDREDS: u64 = 400;

/// Proposes one block after the other on `parent`, each offered a transfer of its own, from `nonce` on.
fn grow(chain: &Chain<Memory>, mut parent: B256, key: &Key, nonce: u64, blocks: u64) -> Vec<Block> {
    let transfer = |nonce| std::iter::once(key.transfer(CHAIN, nonce, Address::repeat_byte(0xf1), 1));
    (nonce..nonce + blocks)
        .map(|nonce| {
            let block = chain.propose(parent, NOW_MS, PROPOSER, transfer(nonce), &Stop::never()).expect("usable");
            parent = block.hash();
            block
        })
        .collect()
}

// final 0 - 1 - 2 - 3 - ... - 400        one proposes, the other checks; then all of it becomes final
#[test]
fn a_chain_of_hundreds_is_built_and_checked_and_becomes_final() {
    let (proposer, validator) = (chain(), chain());
    let blocks = grow(&proposer, proposer.head_hash(), &Key::new(1), 0, HUNDREDS);
    for block in &blocks {
        validator.verify(block, NOW_MS, &Stop::never()).expect("valid");
        assert!(validator.is_usable(block.hash()));
        assert!(validator.tip().pending.len() < 100, "the oldest are in the trunk");
    }
    // While it becomes final it grows on.
    let (first, rest) = blocks.split_at(blocks.len() / 2);
    first.iter().for_each(|block| assert!(validator.finalize(block).expect("stored").is_some()));
    let more = grow(&proposer, blocks[blocks.len() - 1].hash(), &Key::new(2), 0, 10);
    more.iter().for_each(|block| validator.verify(block, NOW_MS, &Stop::never()).expect("valid"));
    for block in rest.iter().chain(&more) {
        assert!(validator.finalize(block).expect("stored").is_some());
        assert_eq!(validator.head_hash(), block.hash());
    }
    assert_eq!(naive_root(&validator.store), more[9].header.state_root);
    assert!(validator.tip().pending.is_empty());
}

#[test]
fn only_so_many_blocks_hold_transactions_before_more_is_final_and_the_empty_ones_go_on() {
    let chain = chain();
    let blocks = grow(&chain, chain.head_hash(), &Key::new(1), 0, HUNDREDS);
    let holding = blocks.iter().take_while(|block| !block.transactions.is_empty()).count();
    assert_eq!(holding, 64, "four full blocks, and the smallest counts as a sixteenth of one");
    assert!(blocks[holding..].iter().all(|block| block.transactions.is_empty()));
    let last = blocks[blocks.len() - 1].hash();
    assert!(!chain.has_room_above(last));
    assert_eq!(chain.room_to_vote(last, 0), Room::Enough, "it may not have heard what is final");
    // The first final block makes room for one.
    chain.finalize(&blocks[0]).expect("stored").expect("new");
    assert!(chain.has_room_above(last));
    let next = grow(&chain, last, &Key::new(1), 64, 2);
    assert_eq!(next.iter().map(|block| block.transactions.len()).collect::<Vec<_>>(), [1, 0]);
}

// written 0 - 1 - ... - 198 final - 199 - 200        one writes what is final at once, the disk of the other stands still
#[test]
fn a_voter_whose_disk_is_behind_counts_from_what_is_final_and_waits_before_its_memory_is_full() {
    let (proposer, voter) = (chain(), chain());
    let mut room = Vec::new();
    let mut parent = proposer.head_hash();
    let mut blocks = Vec::new();
    for number in 1..=200 {
        let block = grow(&proposer, parent, &Key::new(1), number - 1, 1).remove(0);
        assert_eq!(block.transactions.len(), 1, "who writes at once has room at {number}");
        let last_final = number.saturating_sub(3);
        room.push(voter.room_to_vote(parent, last_final));
        assert_eq!(voter.room_to_vote(parent, 0) == Room::TooMuchUnfinal, number > 128, "as if nothing were final");
        voter.verify(&block, NOW_MS, &Stop::never()).expect("valid");
        parent = block.hash();
        blocks.push(block);
        if number > 2 {
            proposer.finalize(&blocks[number as usize - 3]).expect("stored").expect("new");
        }
    }
    // 64 of these blocks hold as much as four full ones.
    assert!(room[..192].iter().all(|room| *room == Room::Enough), "{room:?}");
    assert!(room[192..].iter().all(|room| *room == Room::DiskBehind), "{room:?}");
    // The disk follows: there is room for as many more.
    blocks[..9].iter().for_each(|block| assert!(voter.finalize(block).expect("stored").is_some()));
    assert_eq!(voter.room_to_vote(parent, 197), Room::Enough);
    // What hangs on nothing known gets no vote.
    assert_eq!(voter.room_to_vote(B256::repeat_byte(9), 197), Room::TooMuchUnfinal);
}

#[test]
fn a_transaction_is_known_to_be_pending_however_far_back_it_is() {
    let chain = chain();
    let blocks = grow(&chain, chain.head_hash(), &Key::new(1), 0, HUNDREDS);
    let (tip, pending) = chain.usable(blocks[blocks.len() - 1].hash()).expect("usable");
    assert_eq!(tip, blocks[blocks.len() - 1].header);
    let sent: std::collections::BTreeSet<_> =
        blocks.iter().flat_map(|block| &block.transactions).map(|sent| *sent.tx_hash()).collect();
    assert_eq!(pending, sent);
}

// final 0 - 1a - ... - 200a        was long in the lead
//        \  1b - ... - 150b        becomes final
#[test]
fn a_rival_of_a_long_chain_is_executed_again_and_becomes_final() {
    let (a, b) = (chain(), chain());
    let lead = grow(&a, a.head_hash(), &Key::new(1), 0, 200);
    let rival = grow(&b, b.head_hash(), &Key::new(2), 0, 150);
    rival.iter().for_each(|block| a.verify(block, NOW_MS, &Stop::never()).expect("valid"));
    for block in &rival[..70] {
        assert!(a.finalize(block).expect("stored").is_some());
    }
    assert!(lead.iter().all(|block| !a.is_usable(block.hash())));
    assert!(rival[69..].iter().any(|block| a.is_usable(block.hash())));
    for block in &rival[70..] {
        assert!(a.finalize(block).expect("stored").is_some());
    }
    assert_eq!(naive_root(&a.store), rival[149].header.state_root);
}

/// Storage that is written in full blocks, as much of it as fits.
#[test]
fn full_blocks_that_wait_for_finality_take_bounded_memory() {
    let chain = chain();
    // sstore(i, 1) for i from the first word of the call data on, until there is no gas left for another.
    const FILLER: [u8; 30] = hex!("60148060095f395ff3" "5f355b60018155600101620088b85a116002570000");
    let key = Key::new(1);
    let setup = next(&chain, vec![create(&key, 0, &FILLER)]);
    assert!(setup.receipts[0].status());
    let filler = key.address.create(0);
    let mut parent = chain.head_hash();
    let mut holding = 0;
    let fills = chain.rules().gas_limit >> 24;
    for block in 0..20u64 {
        let fill = |n: u64| {
            let nonce = 1 + fills * block + n;
            let input = U256::from(nonce << 32).to_be_bytes::<32>();
            key.send(CHAIN, nonce, 1 << 24, filler.into(), U256::ZERO, input.into())
        };
        let executed = chain.propose(parent, NOW_MS, PROPOSER, (0..fills).map(fill), &Stop::never()).expect("usable");
        holding += usize::from(!executed.transactions.is_empty());
        parent = executed.hash();
    }
    let bytes = chain.tip().pending.bytes();
    println!("{holding} blocks of {} gas wait in {bytes} bytes", chain.rules().gas_limit);
    assert!((4..=5).contains(&holding), "{holding}");
    assert!(bytes < 300 << 20, "{bytes} bytes");
}
