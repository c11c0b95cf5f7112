//! Blocks are proposed, verified, made final, and refused.

use super::*;

#[test]
fn a_block_of_transfers_and_a_deployment_is_proposed_verified_and_final() {
    let (proposer, validator) = (chain(), chain());
    let [alice, bob] = [Key::new(1), Key::new(2)];
    let friend = Address::repeat_byte(0xf1);
    let transactions = vec![
        alice.transfer(CHAIN, 0, friend, 1_000),
        bob.transfer(CHAIN, 0, friend, 2_000),
        create(&alice, 1, &COUNTER),
        // Cannot stand in the block: skipped.
        bob.transfer(CHAIN, 7, friend, 1),
        call(&bob, 1, alice.address.create(1), Bytes::new()),
    ];
    let block = proposer
        .propose(proposer.head_hash(), NOW_MS, PROPOSER, transactions.into_iter(), &Stop::never())
        .expect("proposed");
    assert_eq!(block.transactions.len(), 4);
    validator.verify(&block, NOW_MS, &Stop::never()).expect("valid");
    for chain in [&proposer, &validator] {
        let finalized = chain.finalize(&block).expect("stored").expect("new");
        assert!(finalized.receipts.iter().all(|receipt| receipt.status()));
        assert_eq!(finalized.senders, [alice.address, bob.address, alice.address, bob.address]);
        assert!(chain.finalize(&block).expect("idempotent").is_none());
        assert_eq!(chain.head(), block.header);
        assert_eq!(balance(chain, 1, friend), U256::from(3_000));
        assert_eq!(balance(chain, 0, friend), U256::ZERO);
        assert_eq!(naive_root(&chain.store), block.header.state_root);
        let counter = chain.state_at(1).expect("kept").storage(alice.address.create(1), U256::ZERO).expect("in memory");
        assert_eq!(counter, U256::from(1));
    }
    assert_eq!(validator.receipts(1).expect("kept"), proposer.receipts(1).expect("kept"));
    let located = validator.transaction(*block.transactions[3].tx_hash()).expect("kept").expect("final");
    let transaction = located.stored.transaction(located.index).expect("it is there");
    assert_eq!((located.index, transaction.signer(), located.stored.hash), (3, bob.address, block.hash()));
}

#[test]
fn the_base_fee_goes_to_the_beneficiary_so_that_the_supply_stays() {
    let chain = chain();
    let total = |number| {
        let mut all: Vec<Address> = allocation().into_iter().map(|(address, _)| address).collect();
        all.extend([PROPOSER, contracts::address::BRIDGE, Address::repeat_byte(0xf1)]);
        all.into_iter().map(|address| balance(&chain, number, address)).sum::<U256>()
    };
    let finalized = next(&chain, vec![Key::new(1).transfer(CHAIN, 0, Address::repeat_byte(0xf1), 5)]);
    assert_eq!(finalized.block.header.gas_used, 21_000);
    assert_eq!(balance(&chain, 1, PROPOSER), U256::from(21_000 * (MIN_BASE_FEE + 1_000)));
    assert_eq!(total(0), total(1));
    assert_eq!(total(1), GENESIS_COINS_WEI);
}

// final 0 - 1a - 2a        pending
//        \  1b - 2b        becomes final
#[test]
fn blocks_stand_on_pending_parents_and_the_losing_branch_is_forgotten() {
    let chain = chain();
    let zero = chain.head_hash();
    let alice = Key::new(1);
    let propose = |parent, nonce, wei| {
        let transaction = alice.transfer(CHAIN, nonce, Address::repeat_byte(0xf1), wei);
        chain.propose(parent, NOW_MS, PROPOSER, std::iter::once(transaction), &Stop::never()).expect("known parent")
    };
    let a1 = propose(zero, 0, 1);
    let a2 = propose(a1.hash(), 1, 10);
    let b1 = propose(zero, 0, 100);
    let b2 = propose(b1.hash(), 1, 1_000);
    assert!([&a1, &a2, &b1, &b2].iter().all(|block| block.transactions.len() == 1));

    assert!(matches!(chain.finalize(&b2), Err(FinalizeError::Gap { got: 2, head: 0 })));
    chain.finalize(&b1).expect("stored").expect("new");
    assert!(matches!(chain.finalize(&a1), Err(FinalizeError::Conflict { number: 1, .. })));
    assert!(matches!(chain.verify(&a1, NOW_MS, &Stop::never()), Err(BlockError::Final { number: 1, head: 1 })));
    assert!(matches!(chain.finalize(&a2), Err(FinalizeError::Conflict { .. } | FinalizeError::Invalid { .. })));
    chain.finalize(&b2).expect("stored").expect("new");
    assert_eq!(balance(&chain, 2, Address::repeat_byte(0xf1)), U256::from(1_100));
    assert!(chain.tip().pending.is_empty());

    // Another node that only hears of final blocks ends with the same state.
    let other = self::chain();
    for block in [&b1, &b2] {
        other.finalize(block).expect("executed and stored").expect("new");
    }
    assert_eq!(other.head(), chain.head());
}

#[test]
fn a_header_that_says_something_else_than_execution_is_refused() {
    let chain = chain();
    let block = chain
        .propose(
            chain.head_hash(),
            NOW_MS,
            PROPOSER,
            std::iter::once(Key::new(1).transfer(CHAIN, 0, PROPOSER, 1)),
            &Stop::never(),
        )
        .expect("proposed");
    let other = self::chain();
    let field = |change: &dyn Fn(&mut Header)| {
        let mut block = block.clone();
        change(&mut block.header);
        let error = other.verify(&block, NOW_MS, &Stop::never()).expect_err("changed");
        assert!(is_fault(&error), "{error}");
        match error {
            BlockError::Header { field, .. } => field,
            error => panic!("{error}"),
        }
    };
    assert_eq!(field(&|header| header.state_root = B256::ZERO), "state_root");
    assert_eq!(field(&|header| header.receipts_root = B256::ZERO), "receipts_root");
    assert_eq!(field(&|header| header.gas_limit += 1), "gas_limit");
    assert_eq!(field(&|header| header.base_fee_per_gas = Some(7)), "base_fee_per_gas");
    assert_eq!(field(&|header| header.extra_data = Bytes::from_static(b"ad")), "extra_data");
    assert_eq!(field(&|header| header.mix_hash = B256::ZERO), "mix_hash");
    assert_eq!(field(&|header| header.nonce[0] = 1), "(other)");
    assert_eq!(field(&|header| header.blob_gas_used = Some(1)), "(other)");
    assert_eq!(field(&|header| header.requests_hash = None), "(other)");
    assert_eq!(field(&|header| header.parent_beacon_block_root = Some(header.parent_hash)), "(other)");
    assert_eq!(field(&|header| header.number = 9), "number");
    assert_eq!(field(&|header| header.timestamp = 5), "timestamp");
    let mut late = block.clone();
    late.header.timestamp += 1_000;
    let error = other.verify(&late, NOW_MS, &Stop::never()).expect_err("from the future");
    assert!(matches!(error, BlockError::Future { .. }) && !is_fault(&error));
    let mut orphan = block.clone();
    orphan.header.parent_hash = B256::ZERO;
    assert!(matches!(other.verify(&orphan, NOW_MS, &Stop::never()), Err(BlockError::UnknownParent { .. })));
    let mut double = block.clone();
    double.transactions.push(block.transactions[0].clone());
    assert!(matches!(
        other.verify(&double, NOW_MS, &Stop::never()),
        Err(BlockError::Transaction { index: 1, error: InclusionError::Nonce { got: 0, want: 1 }, .. })
    ));
    other.verify(&block, NOW_MS, &Stop::never()).expect("unchanged");
}

#[test]
fn a_chain_whose_time_ran_ahead_goes_on_and_its_time_stands_still_until_clocks_have_caught_up() {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let (chain, other) = (self::chain(), self::chain());
    let propose = |now_ms| {
        chain
            .propose(chain.head_hash(), now_ms, Address::ZERO, std::iter::empty(), &Stop::never())
            .expect("its own head")
    };
    // A quorum's clocks are wrong.
    let ahead = propose(NOW_MS + YEAR_MS);
    for chain in [&chain, &other] {
        chain.verify(&ahead, NOW_MS + YEAR_MS, &Stop::never()).expect("by such a clock");
        chain.finalize(&ahead).expect("stored");
    }
    // And right again.
    for _ in 0..3 {
        let block = propose(NOW_MS);
        assert_eq!(block.header.timestamp, ahead.header.timestamp);
        other.verify(&block, NOW_MS, &Stop::never()).expect("time stands still");
        let mut later = block.clone();
        later.header.timestamp += 1;
        assert!(matches!(other.verify(&later, NOW_MS, &Stop::never()), Err(BlockError::Future { .. })));
        for chain in [&chain, &other] {
            chain.finalize(&block).expect("stored");
        }
    }
    let caught_up = propose(NOW_MS + YEAR_MS + 1_000);
    assert_eq!(caught_up.header.timestamp, ahead.header.timestamp + 1);
    other.verify(&caught_up, NOW_MS + YEAR_MS + 1_000, &Stop::never()).expect("time goes on");
}

#[test]
fn a_block_survives_its_encoding() {
    let chain = chain();
    let alice = Key::new(1);
    let old = TxLegacy {
        chain_id: Some(CHAIN),
        gas_price: 2_000_000,
        gas_limit: 21_000,
        to: PROPOSER.into(),
        ..TxLegacy::default()
    };
    let lists = TxEip2930 {
        chain_id: CHAIN,
        nonce: 1,
        gas_price: 2_000_000,
        gas_limit: 30_000,
        to: PROPOSER.into(),
        ..TxEip2930::default()
    };
    let transactions = vec![alice.sign(old), alice.sign(lists), alice.transfer(CHAIN, 2, PROPOSER, 1)];
    let block = next(&chain, transactions).block.clone();
    assert_eq!(block.transactions.len(), 3);
    let bytes = alloy_rlp::encode(&block);
    assert_eq!(bytes.len(), block.length());
    assert_eq!(Block::decode(&mut &bytes[..]).expect("our own"), block);
    assert_eq!(chain.block(block.hash()).expect("kept"), Some(block));
    assert!(Block::decode(&mut &bytes[..bytes.len() - 1]).is_err());
    let mut other = chain.block(chain.head_hash()).expect("kept").expect("final");
    other.transactions.pop();
    assert!(Block::decode(&mut &alloy_rlp::encode(&other)[..]).is_err(), "other transactions under the same hash");
}

#[test]
fn transactions_of_other_chains_and_blobs_are_refused() {
    use alloy_eips::eip2718::Encodable2718;
    let raw = |transaction: Transaction| transaction.inner().encoded_2718();
    let decode = |raw: &[u8]| block::decode_transaction(raw, CHAIN);
    let alice = Key::new(1);
    let good = raw(alice.transfer(CHAIN, 0, PROPOSER, 1));
    assert_eq!(decode(&good).expect("good").signer(), alice.address);
    let foreign = decode(&raw(alice.transfer(1, 0, PROPOSER, 1))).expect_err("of chain 1");
    assert_eq!(foreign.to_string(), "invalid chain id for signer: have 1 want 51717");
    assert!(matches!(decode(&[3, 1, 2]), Err(block::TransactionError::Blob)));
    assert!(matches!(decode(&good[..50]), Err(block::TransactionError::Encoding(_))));
    assert!(decode(&[good, vec![0]].concat()).is_err());
}

#[test]
fn what_many_transactions_change_is_one_change_for_the_root() {
    let chain = chain();
    let writer = deployed(&chain, &Key::new(1), 0, &WRITER[9..]);
    let view = chain.view(chain.head_hash()).expect("the head");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let mut execution = Execution::new(&chain.rules, header, Working::new(&view, &chain.codes)).expect("in memory");
    let mut changes = |transaction: Transaction| {
        execution.include(&transaction, &Stop::never()).expect("valid");
        execution.progress().changes
    };
    let key = Key::new(2);
    let to = Address::repeat_byte(0xf1);
    // Sender, receiver, and who gets the fees.
    assert_eq!((0..20).map(|nonce| changes(key.transfer(CHAIN, nonce, to, 1))).collect::<Vec<_>>(), [3; 20]);
    // The contract and its slot.
    assert_eq!([(20, 1), (21, 2), (22, 1)].map(|(nonce, value)| changes(write(&key, nonce, writer, 7, value))), [5; 3]);
}

#[test]
fn a_proposer_skips_what_validators_would_refuse() {
    let chain = chain();
    let alice = Key::new(1);
    let any_chain = TxLegacy {
        chain_id: None,
        gas_price: 10_000_000,
        gas_limit: 21_000,
        to: PROPOSER.into(),
        ..TxLegacy::default()
    };
    let candidates =
        vec![alice.sign(any_chain), alice.transfer(1, 0, PROPOSER, 1), alice.transfer(CHAIN, 0, PROPOSER, 1)];
    let block =
        chain.propose(chain.head_hash(), NOW_MS, PROPOSER, candidates.into_iter(), &Stop::never()).expect("proposed");
    assert_eq!(block.transactions.len(), 1);
    self::chain().verify(&block, NOW_MS, &Stop::never()).expect("valid");
}

#[test]
fn a_block_has_at_most_four_mebibytes_of_transactions_whatever_their_gas() {
    let chain = chain();
    let key = Key::new(1);
    let large = |nonce| key.send(CHAIN, nonce, 5_000_000, Address::ZERO.into(), U256::ZERO, vec![0; 450_000].into());
    let finalized = next(&chain, (0..12).map(large).collect());
    assert_eq!(finalized.block.transactions.len(), 9, "9 * 450,000 bytes fit into 4 MiB");
    let mut fuller = finalized.block.clone();
    fuller.transactions.push(large(9).into_inner());
    match self::chain().verify(&fuller, NOW_MS, &Stop::never()) {
        Err(BlockError::Transaction { index: 9, error: InclusionError::BlockBytes { got, left }, .. }) => {
            assert!(left < got && got > 450_000);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_has_at_most_512_kibibytes_before_anything_in_it_is_read() {
    let raw = |bytes| block::decode_transaction(&vec![2; bytes], CHAIN).expect_err("not a transaction");
    assert_eq!(raw((512 << 10) + 1), block::TransactionError::Size { got: (512 << 10) + 1 });
    assert!(matches!(raw(512 << 10), block::TransactionError::Encoding(_)));
}
