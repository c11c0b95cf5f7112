//! What the Bridge logged, looked up exactly: by the index of logs, from block 0 on, at a cost that does not grow with the chain.

use alloy_primitives::{B256, U256};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolEvent;

use crate::chain::{Chain, LogFilter, LogLimits, LogPage, LogPlace, SimulateError};
use crate::execution::Stop;
use crate::state::store::Store;

/// Deposits to one address that are answered at once. An address is for one payment; of more, the next page has the others.
pub const MAX_DEPOSITS: usize = 1_000;

/// Some of the deposits to an address, and where the others begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositPage {
    pub outpoints: Vec<OutPoint>,
    /// `None`: there are no more.
    pub next: Option<LogPlace>,
}

/// Outpoints of the deposits to an output key that the ledger has, in the order in which their sweeps were proposed, from a place in
/// the chain's logs on; at most [`MAX_DEPOSITS`]. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn deposits_to<S: Store>(
    chain: &Chain<S>,
    output_key: B256,
    from: LogPlace,
    head: u64,
    stop: &Stop,
) -> Result<DepositPage, SimulateError> {
    let range = Range { from, head, most: MAX_DEPOSITS };
    let LogPage { logs, next, .. } = logged::<Bridge::DepositSweeping, S>(chain, output_key, range, stop)?;
    let events = logs.iter().filter_map(|entry| Bridge::DepositSweeping::decode_log(&entry.log).ok());
    let outpoints = events.map(|event| OutPoint::new(Txid::from_byte_array(event.txid.0), event.vout)).collect();
    Ok(DepositPage { outpoints, next })
}

/// The event of a vault transaction's proposal, which alone holds the whole transaction. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn proposal<S: Store>(
    chain: &Chain<S>,
    number: u64,
    head: u64,
    stop: &Stop,
) -> Result<Option<Bridge::VaultTransactionProposed>, SimulateError> {
    let range = Range { from: LogPlace::default(), head, most: 1 };
    let page = logged::<Bridge::VaultTransactionProposed, S>(chain, U256::from(number).into(), range, stop)?;
    let event = page.logs.first().and_then(|entry| Bridge::VaultTransactionProposed::decode_log(&entry.log).ok());
    Ok(event.map(|event| event.data))
}

/// Which logs: from a place on, up to a block, and how many.
struct Range {
    from: LogPlace,
    head: u64,
    most: usize,
}

/// The first logs of the Bridge of one kind in a range, with a first parameter.
fn logged<E: SolEvent, S: Store>(
    chain: &Chain<S>,
    parameter: B256,
    range: Range,
    stop: &Stop,
) -> Result<LogPage, SimulateError> {
    let Range { from, head, most } = range;
    if from.block > head {
        return Ok(LogPage::default());
    }
    let topics = [[E::SIGNATURE_HASH].into(), [parameter].into(), [].into(), [].into()];
    let filter = LogFilter { from: from.block, to: head, addresses: [BRIDGE].into(), topics };
    let limits = LogLimits { logs: most, ..LogLimits::default() };
    let mut page = chain.log_page(&filter, from.log_index, &limits, stop)?;
    if stop.is_stopped() {
        return Err(SimulateError::Stopped);
    }
    // A block's logs come together, however many they are: the rest is for the next page.
    if let Some(first_left) = page.logs.get(most) {
        page.next = Some(LogPlace { block: first_left.block_number, log_index: first_left.log_index });
        page.logs.truncate(most);
    }
    Ok(page)
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
            let page = deposits_to(&chain, key, LogPlace::default(), head, &Stop::never()).expect("in memory");
            assert_eq!(page.next, None);
            page.outpoints.iter().map(|outpoint| (outpoint.txid.to_byte_array()[0], outpoint.vout)).collect::<Vec<_>>()
        };
        assert_eq!(found(key, 3), [(1, 7), (3, 7)]);
        assert_eq!(found(key, 2), [(1, 7)]);
        assert_eq!(found(other, 3), [(2, 7)]);
        assert_eq!(found(B256::ZERO, 3), []);
        assert_eq!(proposal(&chain, 5, 3, &Stop::never()).expect("in memory"), Some(proposed));
        assert_eq!(proposal(&chain, 5, 2, &Stop::never()).expect("in memory"), None);
        assert_eq!(proposal(&chain, 6, 3, &Stop::never()).expect("in memory"), None);
    }

    #[test]
    fn many_deposits_to_one_address_are_answered_page_by_page() {
        let store = Arc::new(Memory::default());
        let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
        let (key, stop) = (B256::repeat_byte(0xaa), Stop::default());
        let mut number = 0u32;
        for block in 1..=4 {
            // The last alone has more than a page.
            let count = if block == 4 { 2_500 } else { 400 };
            let mut logs = Vec::new();
            for _ in 0..count {
                logs.push(at(BRIDGE, &Bridge::DepositSweeping { vout: number, ..sweeping(key, 1) }));
                logs.push(at(BRIDGE, &sweeping(B256::repeat_byte(0xbb), 2)));
                number += 1;
            }
            fabricated::write(&store, &fabricated::block(block, vec![logs])).expect("in memory");
        }
        let (mut found, mut pages, mut from) = (Vec::new(), 0, Some(LogPlace::default()));
        while let Some(place) = from {
            let page = deposits_to(&chain, key, place, 4, &stop).expect("in memory");
            assert!(page.outpoints.len() <= MAX_DEPOSITS && pages < 10, "{pages}");
            found.extend(page.outpoints.iter().map(|outpoint| outpoint.vout));
            (pages, from) = (pages + 1, page.next);
        }
        assert_eq!(found, (0..number).collect::<Vec<_>>(), "each once, and in order");
        let beyond = deposits_to(&chain, key, LogPlace { block: 5, log_index: 0 }, 4, &stop).expect("in memory");
        assert_eq!(beyond, DepositPage { outpoints: Vec::new(), next: None });
        stop.stop();
        let stopped = deposits_to(&chain, key, LogPlace::default(), 4, &stop);
        assert!(matches!(stopped, Err(SimulateError::Stopped)));
    }
}
