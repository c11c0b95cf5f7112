//! State at old blocks: reads, proofs and calls, against a naive model.

use super::*;

/// What a random block does.
#[derive(Clone, Debug)]
enum Action {
    Transfer { from: u64, to: u8, wei: u64 },
    Write { from: u64, slot: u64, value: u64 },
    Count { from: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (1..5u64, 0..6u8, 1..1000u64).prop_map(|(from, to, wei)| Action::Transfer { from, to, wei }),
        (1..5u64, 0..8u64, 0..3u64).prop_map(|(from, slot, value)| Action::Write { from, slot, value }),
        (1..5u64).prop_map(|from| Action::Count { from }),
    ]
}

fn receiver(to: u8) -> Address {
    Address::repeat_byte(0x70 + to)
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    balances: BTreeMap<Address, u64>,
    slots: BTreeMap<u64, u64>,
    count: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reads_and_proofs_at_every_old_block_equal_a_naive_model(blocks in prop::collection::vec(prop::collection::vec(action(), 0..6), 1..8)) {
        let store = Arc::new(Memory::default());
        let chain = open(store.clone());
        let deployer = Key::new(9);
        next(&chain, vec![create(&deployer, 0, &WRITER), create(&deployer, 1, &COUNTER)]);
        let (writer, counter) = (deployer.address.create(0), deployer.address.create(1));
        let mut nonces = BTreeMap::<u64, u64>::new();
        let mut models = vec![Model::default(), Model::default()];
        for actions in &blocks {
            let mut model = models.last().expect("not empty").clone();
            let transactions: Vec<_> = actions.iter().map(|action| {
                let (Action::Transfer { from, .. } | Action::Write { from, .. } | Action::Count { from }) = action;
                let nonce = nonces.entry(*from).or_default();
                *nonce += 1;
                let (key, nonce) = (Key::new(*from), *nonce - 1);
                match action {
                    Action::Transfer { to, wei, .. } => {
                        *model.balances.entry(receiver(*to)).or_default() += wei;
                        key.transfer(CHAIN, nonce, receiver(*to), *wei)
                    }
                    Action::Write { slot, value, .. } => {
                        model.slots.insert(*slot, *value);
                        write(&key, nonce, writer, *slot, *value)
                    }
                    Action::Count { .. } => {
                        model.count += 1;
                        call(&key, nonce, counter, Bytes::new())
                    }
                }
            }).collect();
            let count = transactions.len();
            prop_assert_eq!(next(&chain, transactions).block.transactions.len(), count);
            prop_assert_eq!(naive_root(&store), chain.head().state_root);
            models.push(model);
        }
        // The same data opened again reads the same.
        let again = open(store);
        prop_assert_eq!(again.head(), chain.head());
        for (number, model) in (0u64..).zip(&models) {
            let state = again.state_at(number).expect("kept");
            let root = again.header(number).expect("kept").expect("final").state_root;
            for to in 0..6 {
                let want = U256::from(model.balances.get(&receiver(to)).copied().unwrap_or_default());
                prop_assert_eq!(balance(&again, number, receiver(to)), want);
                let proof = state.proof(receiver(to), &[]).expect("in the window");
                let leaf = proof.account.map(alloy_rlp::encode);
                let key = Nibbles::unpack(keccak256(receiver(to)));
                prop_assert!(verify_proof(root, key, leaf, &proof.proof).is_ok());
            }
            let slots: Vec<U256> = (0..8u64).map(U256::from).collect();
            let proof = state.proof(writer, &slots).expect("in the window");
            prop_assert!(verify_proof(root, Nibbles::unpack(keccak256(writer)), proof.account.map(alloy_rlp::encode), &proof.proof).is_ok());
            let storage_root = proof.account.map_or(alloy_trie::EMPTY_ROOT_HASH, |account| account.storage_root);
            for (slot, proof) in (0u64..).zip(&proof.storage) {
                let want = U256::from(model.slots.get(&slot).copied().unwrap_or_default());
                prop_assert_eq!(proof.value, want);
                prop_assert_eq!(state.storage(writer, U256::from(slot)).expect("in memory"), want);
                let leaf = (!want.is_zero()).then(|| alloy_rlp::encode(want));
                prop_assert!(verify_proof(storage_root, Nibbles::unpack(slot_hash(U256::from(slot))), leaf, &proof.proof).is_ok());
            }
            prop_assert_eq!(state.storage(counter, U256::ZERO).expect("in memory"), U256::from(model.count));
        }
    }
}

#[test]
fn outside_the_window_old_state_is_an_error_and_inside_it_still_reads() {
    let retention = Retention { state_blocks: Some(5), proof_blocks: Some(2), body_blocks: None };
    let store = Arc::new(Memory::default());
    let chain = Chain::open_with(genesis(), store.clone(), retention, &allocation()).expect("right");
    for nonce in 0..10 {
        next(&chain, vec![Key::new(1).transfer(CHAIN, nonce, PROPOSER, 1)]);
    }
    let reward = U256::from(21_000 * (MIN_BASE_FEE + 1_000) + 1);
    for number in 5..=10u64 {
        assert_eq!(balance(&chain, number, PROPOSER), reward * U256::from(number));
    }
    let pruned = |error, at, since| matches!(error, SimulateError::Store(StoreError::Pruned { number, oldest, .. }) if (number, oldest) == (at, since));
    assert!(pruned(chain.state_at(4).err().expect("pruned"), 4, 5));
    assert!(matches!(chain.state_at(11), Err(SimulateError::UnknownBlock { number: 11, head: 10 })));
    for number in 8..=10u64 {
        let proof = chain.state_at(number).expect("kept").proof(PROPOSER, &[]).expect("in the window");
        let root = chain.header(number).expect("kept").expect("final").state_root;
        let leaf = proof.account.map(alloy_rlp::encode);
        verify_proof(root, Nibbles::unpack(keccak256(PROPOSER)), leaf, &proof.proof).expect("the proof of that block");
    }
    let old = chain.state_at(7).expect("kept").proof(PROPOSER, &[]);
    assert!(pruned(old.expect_err("pruned"), 7, 8));
    // What was pruned is gone from the store too.
    let oldest = |table, place: fn(&[u8]) -> &[u8]| {
        let rows = store.scan(table, &[], usize::MAX).expect("in memory");
        rows.iter().map(|(key, _)| u64::from_be_bytes(place(key).try_into().expect("8 bytes"))).min()
    };
    for (table, number) in [(Table::StateUndo, 6), (Table::NodeUndo, 9)] {
        assert_eq!(oldest(table, |key| &key[..8]), Some(number));
    }
    for (table, number) in [(Table::StateIndex, 6), (Table::NodeIndex, 9)] {
        assert_eq!(oldest(table, |key| &key[key.len() - 8..]), Some(number));
    }
}

#[test]
fn calls_are_tried_at_old_blocks_and_gas_is_estimated() {
    let chain = chain();
    let alice = Key::new(1);
    next(&chain, vec![create(&alice, 0, &COUNTER)]);
    let counter = alice.address.create(0);
    next(&chain, vec![call(&alice, 1, counter, Bytes::new())]);
    let ask = Call { from: Address::repeat_byte(5), to: counter.into(), ..Call::default() };
    let second = chain.simulate(2, &ask, &Stop::never()).expect("runs");
    assert_eq!(U256::from_be_slice(&second.logs[0].data.data), uint!(2_U256));
    let first = chain.simulate(1, &ask, &Stop::never()).expect("runs");
    assert_eq!(U256::from_be_slice(&first.logs[0].data.data), uint!(1_U256));
    assert!(first.gas_used > second.gas_used, "the slot was new");
    // Nothing was changed.
    assert_eq!(chain.simulate(2, &ask, &Stop::never()).expect("runs"), second);

    let gas = chain.estimate_gas(&Trial::after(2), &ask, &Stop::never()).expect("succeeds");
    assert!(chain.simulate(2, &Call { gas: Some(gas), ..ask.clone() }, &Stop::never()).expect("runs").success);
    assert!(gas >= second.gas_used && gas * 100 <= second.gas_used * 102, "{gas} for {}", second.gas_used);
    let transfer = Call { from: alice.address, to: PROPOSER.into(), value: U256::from(1), ..Call::default() };
    assert_eq!(chain.estimate_gas(&Trial::after(2), &transfer, &Stop::never()).expect("succeeds"), 21_000);
    let deploy =
        Call { from: alice.address, to: TxKind::Create, input: Bytes::from_static(&COUNTER), ..Call::default() };
    let gas = chain.estimate_gas(&Trial::after(2), &deploy, &Stop::never()).expect("succeeds");
    assert!((53_000..80_000).contains(&gas), "{gas}");
    // A poor sender cannot send value, and a contract may call.
    let poor = Call { from: Address::repeat_byte(5), to: PROPOSER.into(), value: U256::from(1), ..Call::default() };
    assert!(matches!(chain.simulate(2, &poor, &Stop::never()), Err(SimulateError::Invalid(_))));
    assert!(
        chain
            .simulate(2, &Call { from: counter, to: PROPOSER.into(), ..Call::default() }, &Stop::never())
            .expect("runs")
            .success
    );
    let reverts =
        Call { to: contracts::address::BRIDGE.into(), input: Bytes::from_static(&[1, 2, 3, 4]), ..Call::default() };
    assert!(!chain.simulate(2, &reverts, &Stop::never()).expect("runs").success);
    assert!(matches!(chain.estimate_gas(&Trial::after(2), &reverts, &Stop::never()), Err(SimulateError::Failed(_))));
}

#[test]
fn an_overlay_answers_only_for_what_it_changed() {
    let overlay = Overlay::default();
    assert_eq!(overlay.get(Table::Account, &[1]), None);
    assert_eq!(overlay.get(Table::Code, &[1; 32]), None);
    assert_eq!(overlay.get(Table::Header, &[1]), None);
}
