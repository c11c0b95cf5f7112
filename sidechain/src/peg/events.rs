//! What the Bridge logged, looked up exactly: by the index of logs, from block 0 on, at a cost that does not grow with the chain.

use alloy_primitives::{B256, U256};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolEvent;

use crate::chain::{Chain, LogEntry, LogFilter, LogLimits};
use crate::execution::Stop;
use crate::state::store::{Store, StoreError};

/// Deposits to one address that are answered, the first ones. An address is for one payment; of more, each is found by its
/// outpoint.
pub const MAX_DEPOSITS: usize = 1_000;

/// Outpoints of the deposits to an output key that the ledger has, in the order in which their sweeps were proposed, at
/// most [`MAX_DEPOSITS`]. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails.
pub fn deposits_to<S: Store>(chain: &Chain<S>, output_key: B256, head: u64) -> Result<Vec<OutPoint>, StoreError> {
    let logs = logged::<Bridge::DepositSweeping, S>(chain, output_key, head, MAX_DEPOSITS)?;
    let events = logs.iter().filter_map(|entry| Bridge::DepositSweeping::decode_log(&entry.log).ok());
    Ok(events.map(|event| OutPoint::new(Txid::from_byte_array(event.txid.0), event.vout)).collect())
}

/// The event of a vault transaction's proposal, which alone holds the whole transaction. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails.
pub fn proposal<S: Store>(
    chain: &Chain<S>,
    number: u64,
    head: u64,
) -> Result<Option<Bridge::VaultTransactionProposed>, StoreError> {
    let logs = logged::<Bridge::VaultTransactionProposed, S>(chain, U256::from(number).into(), head, 1)?;
    let event = logs.first().and_then(|entry| Bridge::VaultTransactionProposed::decode_log(&entry.log).ok());
    Ok(event.map(|event| event.data))
}

/// The first logs of the Bridge of one kind, with a first parameter. Only the Bridge can lengthen what is read for it, so
/// there is nothing to stop.
fn logged<E: SolEvent, S: Store>(
    chain: &Chain<S>,
    parameter: B256,
    head: u64,
    most: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let topics = [[E::SIGNATURE_HASH].into(), [parameter].into(), [].into(), [].into()];
    let filter = LogFilter { from: 0, to: head, addresses: [BRIDGE].into(), topics };
    let limits = LogLimits { logs: most, ..LogLimits::default() };
    let mut logs = chain.log_page(&filter, 0, &limits, &Stop::never())?.logs;
    logs.truncate(most);
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alloy_primitives::{Address, Log};

    use super::*;
    use crate::chain::fabricated;
    use crate::state::store::Memory;
    use crate::testing::genesis;

    fn sweeping(output_key: B256, txid: u8) -> Bridge::DepositSweeping {
        Bridge::DepositSweeping {
            outputKey: output_key,
            recipient: Address::ZERO,
            txid: B256::repeat_byte(txid),
            vout: 7,
            amountSat: 1,
            shareSat: 1,
            number: U256::from(5),
        }
    }

    fn at(emitter: Address, event: &impl SolEvent) -> Log {
        Log { address: emitter, data: event.encode_log_data() }
    }

    #[test]
    fn deposits_and_proposals_are_those_of_the_bridge_alone() {
        let store = Arc::new(Memory::default());
        let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
        let (key, other) = (B256::repeat_byte(0xaa), B256::repeat_byte(0xbb));
        let proposed = Bridge::VaultTransactionProposed {
            number: U256::from(5),
            txid: B256::ZERO,
            proposer: Address::ZERO,
            feeSat: 1,
            transaction: vec![1, 2, 3].into(),
            inputs: Vec::new(),
        };
        let forged = Bridge::VaultTransactionProposed { transaction: vec![4].into(), ..proposed.clone() };
        let settled =
            Bridge::VaultTransactionSettled { number: U256::from(5), txid: B256::ZERO, blockHash: B256::ZERO };
        let blocks = [
            vec![at(Address::ZERO, &forged), at(BRIDGE, &sweeping(key, 1)), at(Address::ZERO, &sweeping(key, 9))],
            vec![at(BRIDGE, &settled), at(BRIDGE, &sweeping(other, 2))],
            vec![at(BRIDGE, &proposed), at(BRIDGE, &sweeping(key, 3))],
        ];
        for (number, logs) in (1..).zip(blocks) {
            let executed = fabricated::block(number, logs.into_iter().map(|log| vec![log]).collect());
            fabricated::write(&store, &executed).expect("in memory");
        }
        let found = |key, head| {
            let outpoints = deposits_to(&chain, key, head).expect("in memory");
            outpoints.iter().map(|outpoint| (outpoint.txid.to_byte_array()[0], outpoint.vout)).collect::<Vec<_>>()
        };
        assert_eq!(found(key, 3), [(1, 7), (3, 7)]);
        assert_eq!(found(key, 2), [(1, 7)]);
        assert_eq!(found(other, 3), [(2, 7)]);
        assert_eq!(found(B256::ZERO, 3), []);
        assert_eq!(proposal(&chain, 5, 3).expect("in memory"), Some(proposed));
        assert_eq!(proposal(&chain, 5, 2).expect("in memory"), None);
        assert_eq!(proposal(&chain, 6, 3).expect("in memory"), None);
    }

    #[test]
    fn many_deposits_to_one_address_are_answered_up_to_the_bound() {
        let store = Arc::new(Memory::default());
        let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
        let key = B256::repeat_byte(0xaa);
        for number in 1..=3 {
            let logs = vec![vec![at(BRIDGE, &sweeping(key, 1)); 400]];
            fabricated::write(&store, &fabricated::block(number, logs)).expect("in memory");
        }
        assert_eq!(deposits_to(&chain, key, 2).expect("in memory").len(), 800);
        assert_eq!(deposits_to(&chain, key, 3).expect("in memory").len(), 800);
    }
}
