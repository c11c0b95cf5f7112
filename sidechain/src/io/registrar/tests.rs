//! A bug of ours while registrations are written.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, B256};
use api::peg::Terms;

use super::*;
use crate::{
    chain::{Origin, Registration},
    state::store::{Batch, Entry, Memory, Table},
    testing::genesis,
};

/// A store in memory; to write is a bug for a while.
#[derive(Default)]
struct Broken {
    memory: Memory,
    breaks: AtomicBool,
}

impl Store for Broken {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(table, key)
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.memory.seek(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.memory.scan(table, from, limit)
    }

    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.memory.scan_back(table, from, limit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        assert!(!self.breaks.load(Ordering::Relaxed), "a bug");
        self.memory.write(batch)
    }
}

#[test]
fn a_panic_while_registrations_are_written_is_called_a_bug_and_not_a_damaged_disk() {
    let store = Arc::new(Broken::default());
    let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
    let output_key = B256::repeat_byte(1);
    let terms = Terms {
        recipient: Address::repeat_byte(1),
        claimant: Address::ZERO,
        data_hash: B256::ZERO,
        reclaim_key: B256::repeat_byte(2),
        max_fee_sat: 1,
        epoch: 1,
    };
    let arrival = Arrival {
        output_key,
        registration: Some(Registration { terms, output_key }),
        origin: Origin::USERS,
        payment: None,
    };
    let registrar = Registrar::default();
    let answer = |breaks| {
        store.breaks.store(breaks, Ordering::Relaxed);
        let answered = registrar.enqueue(arrival.clone()).expect("there is room");
        registrar.write(&chain, 1_700_000_000_000);
        answered.blocking_recv().expect("answered")
    };
    let error = answer(true).expect_err("it was not kept");
    assert!(matches!(error, StoreError::Bug { .. }), "{error}");
    assert_eq!(error.to_string(), "a bug while keeping registrations: a bug");
    assert!(answer(false).is_ok(), "the next write goes on");
}
