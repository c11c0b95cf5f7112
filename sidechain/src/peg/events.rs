//! What the ledger logged, looked up exactly: by the index of logs, at a cost that grows with what is answered, and not with the chain.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::address::{BRIDGE, DEPOSITS, VAULT};
use contracts::alloy_sol_types::SolEvent;
use contracts::{Bridge, Deposits, IVault, Vault};

use crate::chain::{Chain, LogFilter, LogLimits, LogPage, LogPlace, Named, SimulateError, Subject};
use crate::execution::Stop;
use crate::state::store::Store;

/// Deposits to one address that are answered at once. An address is for one payment; of more, the next page has the others.
pub const MAX_DEPOSITS: usize = 1_000;

/// Vault transactions that pay one withdrawal that are answered: the newest.
pub const MAX_VERSIONS: usize = 16;

/// Some of the deposits to an address, and where the others begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositPage {
    pub outpoints: Vec<OutPoint>,
    /// `None`: there are no more.
    pub next: Option<LogPlace>,
}

/// Outpoints of the deposits to an output key that the ledger has, in the order in which they were proven, from a place in the
/// chain's logs on; at most [`MAX_DEPOSITS`]. One that was proven again, since its block left the best chain, is there once a page.
/// Blocks up to `head`.
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
    let (events, next) = logged::<Deposits::DepositProven, S>(chain, DEPOSITS, output_key, range, stop)?;
    let mut outpoints = Vec::with_capacity(events.len());
    let mut seen = BTreeSet::new();
    for (_, event) in events {
        let outpoint = OutPoint::new(Txid::from_byte_array(event.txid.0), event.vout);
        if seen.insert(outpoint) {
            outpoints.push(outpoint);
        }
    }
    Ok(DepositPage { outpoints, next })
}

/// The event that fixed a vault transaction, which alone holds its content and its bytes. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn bound<S: Store>(
    chain: &Chain<S>,
    number: u32,
    head: u64,
    stop: &Stop,
) -> Result<Option<Vault::Bound>, SimulateError> {
    Ok(bound_in(chain, number, head, stop)?.map(|(_, event)| event))
}

/// As [`bound`], with the number of the block that has it.
///
/// # Errors
///
/// As [`bound`].
pub fn bound_in<S: Store>(
    chain: &Chain<S>,
    number: u32,
    head: u64,
    stop: &Stop,
) -> Result<Option<(u64, Vault::Bound)>, SimulateError> {
    let range = Range { from: LogPlace::default(), head, most: 1 };
    let (events, _) = logged::<Vault::Bound, S>(chain, VAULT, U256::from(number).into(), range, stop)?;
    Ok(events.into_iter().next())
}

/// The output key of the address that a deposit paid, by the event of its newest proof; none if that was before this node's history begins.
/// Blocks up to `head`.
///
/// # Errors
///
/// As [`bound`].
pub fn paid_key<S: Store>(
    chain: &Chain<S>,
    outpoint: OutPoint,
    head: u64,
    stop: &Stop,
) -> Result<Option<B256>, SimulateError> {
    let (txid, vout) = (B256::from(outpoint.txid.to_byte_array()), outpoint.vout);
    let is_it = |event: &Deposits::DepositProven| event.txid == txid && event.vout == vout;
    let range = Newest { before: whole(head), most: 1 };
    let (found, _) = newest(chain, Subject::Ledger(Named::Funding(txid, vout)), range, is_it, stop)?;
    Ok(found.first().map(|event| event.outputKey))
}

/// The events of the newest vault transactions that pay a withdrawal, at most [`MAX_VERSIONS`], the newest last. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn ties<S: Store>(
    chain: &Chain<S>,
    id: u64,
    head: u64,
    stop: &Stop,
) -> Result<Vec<Bridge::WithdrawalTied>, SimulateError> {
    let id = U256::from(id);
    let of_it = Subject::EmitterAndTopic(BRIDGE, 1, id.into());
    let range = Newest { before: whole(head), most: MAX_VERSIONS };
    let (mut ties, _) = newest(chain, of_it, range, |event: &Bridge::WithdrawalTied| event.id == id, stop)?;
    ties.reverse();
    Ok(ties)
}

/// Numbers of the newest vault transactions that spend one of these inputs, at most [`MAX_VERSIONS`], the newest last: versions of each other, of
/// which one confirms. Blocks up to `head`.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn spenders<S: Store>(
    chain: &Chain<S>,
    content: &IVault::Content,
    head: u64,
    stop: &Stop,
) -> Result<Vec<u32>, SimulateError> {
    let deposits = content.deposits.iter().map(|spent| Named::SpentDeposit(spent.txid, spent.vout));
    let inputs = deposits.chain(content.outputs.iter().map(|output| Named::SpentOutput(*output)));
    let mut numbers = BTreeSet::new();
    for input in inputs {
        let range = Newest { before: whole(head), most: MAX_VERSIONS };
        let (bound, _) = newest(chain, Subject::Ledger(input), range, |_: &Vault::Bound| true, stop)?;
        numbers.extend(bound.into_iter().map(|event| event.number));
    }
    let older = numbers.len().saturating_sub(MAX_VERSIONS);
    Ok(numbers.into_iter().skip(older).collect())
}

/// Whose deposits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepositsOf {
    Anyone,
    /// To the deposit address with this output key.
    Address(B256),
    /// Who gets the coins.
    Recipient(Address),
    /// Who may claim them: the recipient where the terms name none.
    Claimant(Address),
}

/// Events with the place before which the others are.
pub type NewestEvents<E> = (Vec<E>, Option<LogPlace>);

/// The events of the newest proofs of deposits, the newest first. One that was proven again may be there twice.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn newest_deposits<S: Store>(
    chain: &Chain<S>,
    of: DepositsOf,
    range: Newest,
    stop: &Stop,
) -> Result<NewestEvents<Deposits::DepositProven>, SimulateError> {
    let subject = match of {
        DepositsOf::Anyone => Subject::EmitterAndTopic(DEPOSITS, 0, Deposits::DepositProven::SIGNATURE_HASH),
        DepositsOf::Address(key) => Subject::EmitterAndTopic(DEPOSITS, 1, key),
        DepositsOf::Recipient(account) => Subject::EmitterAndTopic(DEPOSITS, 2, account.into_word()),
        DepositsOf::Claimant(account) => Subject::Ledger(Named::Claimant(account)),
    };
    newest(chain, subject, range, |_: &Deposits::DepositProven| true, stop)
}

/// The place behind the logs of the block in which a withdrawal was asked for; none if that was before this node's history begins. Blocks up to
/// `head`.
///
/// # Errors
///
/// As [`bound`].
pub fn asked_in<S: Store>(
    chain: &Chain<S>,
    id: u64,
    head: u64,
    stop: &Stop,
) -> Result<Option<LogPlace>, SimulateError> {
    let range = Range { from: LogPlace::default(), head, most: 1 };
    let (events, _) = logged::<Bridge::WithdrawalQueued, S>(chain, BRIDGE, U256::from(id).into(), range, stop)?;
    Ok(events.first().map(|(block, _)| whole(*block)))
}

/// Whose withdrawals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithdrawalsOf {
    Owner(Address),
    /// To an output script.
    Script(Bytes),
}

/// The events of the newest withdrawals with lower ids than `below`, the newest first.
///
/// # Errors
///
/// When the store fails; `Stopped`.
pub fn newest_withdrawals<S: Store>(
    chain: &Chain<S>,
    of: &WithdrawalsOf,
    below: U256,
    range: Newest,
    stop: &Stop,
) -> Result<NewestEvents<Bridge::WithdrawalQueued>, SimulateError> {
    let named = match of {
        WithdrawalsOf::Owner(account) => Named::Owner(*account),
        WithdrawalsOf::Script(script) => Named::Script(script),
    };
    newest(chain, Subject::Ledger(named), range, |event: &Bridge::WithdrawalQueued| event.id < below, stop)
}

/// Which logs, the newest first: those before a place, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    pub before: LogPlace,
    pub most: usize,
}

/// The place behind all logs of blocks up to `head`.
#[must_use]
pub const fn whole(head: u64) -> LogPlace {
    LogPlace { block: head, log_index: u64::MAX }
}

/// The newest events of a list that are wanted, the newest first.
fn newest<E: SolEvent, S: Store>(
    chain: &Chain<S>,
    subject: Subject<'_>,
    range: Newest,
    wanted: impl Fn(&E) -> bool,
    stop: &Stop,
) -> Result<NewestEvents<E>, SimulateError> {
    let event = |log: &Log| E::decode_log(log).ok().map(|log| log.data).filter(&wanted);
    let limits = LogLimits { logs: range.most, ..LogLimits::default() };
    let page = chain.newest_logs(subject, range.before, |log| event(log).is_some(), &limits, stop)?;
    if stop.is_stopped() {
        return Err(SimulateError::Stopped);
    }
    Ok((page.logs.iter().filter_map(|entry| event(&entry.log)).collect(), page.next))
}

/// Which logs: from a place on, up to a block, and how many.
struct Range {
    from: LogPlace,
    head: u64,
    most: usize,
}

/// Events with the numbers of their blocks, and where the others begin.
type Events<E> = (Vec<(u64, E)>, Option<LogPlace>);

/// The first events of one kind in a range, of one contract and with a first parameter.
fn logged<E: SolEvent, S: Store>(
    chain: &Chain<S>,
    emitter: Address,
    parameter: B256,
    range: Range,
    stop: &Stop,
) -> Result<Events<E>, SimulateError> {
    let topics = [[E::SIGNATURE_HASH].into(), [parameter].into(), [].into(), [].into()];
    let Range { from, head, most } = range;
    if from.block > head {
        return Ok((Vec::new(), None));
    }
    let filter = LogFilter { from: from.block, to: head, addresses: [emitter].into(), topics, ..LogFilter::default() };
    let limits = LogLimits { logs: most, ..LogLimits::default() };
    let LogPage { logs, mut next, .. } = chain.log_page(&filter, from.log_index, &limits, stop)?;
    if stop.is_stopped() {
        return Err(SimulateError::Stopped);
    }
    // A block's logs come together, however many they are: the rest is for the next page.
    if let Some(first_left) = logs.get(most) {
        next = Some(LogPlace { block: first_left.block_number, log_index: first_left.log_index });
    }
    let events =
        logs.iter().take(most).filter_map(|entry| Some((entry.block_number, E::decode_log(&entry.log).ok()?.data)));
    Ok((events.collect(), next))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::IDeposits;

    use super::*;
    use crate::chain::fabricated;
    use crate::state::store::Memory;
    use crate::testing::genesis;

    fn proven(output_key: B256, txid: u8) -> Deposits::DepositProven {
        let terms = IDeposits::Terms {
            recipient: Address::ZERO,
            claimant: Address::ZERO,
            reclaimKey: B256::ZERO,
            maxFeeSat: 1,
            dataHash: B256::ZERO,
            epoch: 1,
        };
        Deposits::DepositProven {
            outputKey: output_key,
            recipient: Address::ZERO,
            txid: B256::repeat_byte(txid),
            vout: 7,
            amountSat: 1,
            leafHash: B256::ZERO,
            terms,
            blockHash: B256::ZERO,
            height: 1,
        }
    }

    fn tied(id: u64, number: u32) -> Bridge::WithdrawalTied {
        Bridge::WithdrawalTied { id: U256::from(id), output: 1, number, chargeSat: 79 }
    }

    fn at(emitter: Address, event: &impl SolEvent) -> Log {
        Log { address: emitter, data: event.encode_log_data() }
    }

    #[test]
    fn deposits_and_bound_transactions_are_those_of_the_ledger_alone() {
        let store = Arc::new(Memory::default());
        let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
        let (key, other) = (B256::repeat_byte(0xaa), B256::repeat_byte(0xbb));
        let content = IVault::Content {
            epoch: 1,
            rate: 1_000,
            reserveSat: 0,
            deposits: Vec::new(),
            outputs: vec![1],
            withdrawals: vec![2],
        };
        let fixed = Vault::Bound {
            number: 5,
            txid: B256::ZERO,
            proposal: 7,
            content,
            changeSat: 1,
            amountsSat: vec![3],
            transaction: vec![1, 2, 3].into(),
        };
        let forged = Vault::Bound { transaction: vec![4].into(), ..fixed.clone() };
        let settled = Vault::Settled { number: 5, txid: B256::ZERO, blockHash: B256::ZERO, height: 1 };
        let blocks = [
            vec![at(BRIDGE, &forged), at(DEPOSITS, &proven(key, 1)), at(VAULT, &proven(key, 9))],
            vec![at(VAULT, &settled), at(DEPOSITS, &proven(other, 2)), at(DEPOSITS, &proven(key, 1))],
            vec![at(VAULT, &fixed), at(DEPOSITS, &proven(key, 3))],
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
        assert_eq!(found(key, 3), [(1, 7), (3, 7)], "one that was proven again is there once");
        assert_eq!(found(key, 2), [(1, 7)]);
        assert_eq!(found(other, 3), [(2, 7)]);
        assert_eq!(found(B256::ZERO, 3), []);
        assert_eq!(bound(&chain, 5, 3, &Stop::never()).expect("in memory"), Some(fixed));
        assert_eq!(bound(&chain, 5, 2, &Stop::never()).expect("in memory"), None);
        assert_eq!(bound(&chain, 6, 3, &Stop::never()).expect("in memory"), None);
    }

    #[test]
    fn of_many_versions_of_a_withdrawal_the_newest_sixteen_are_answered() {
        let store = Arc::new(Memory::default());
        let chain = Chain::open(genesis(), store.clone()).expect("the genesis is right");
        let stop = Stop::default();
        for block in 1..=3 {
            let logs = (0..700).flat_map(|at_| [at(BRIDGE, &tied(4, 700 * block + at_)), at(BRIDGE, &tied(5, at_))]);
            fabricated::write(&store, &fabricated::block(block.into(), vec![logs.collect()])).expect("in memory");
        }
        let newest = |head| {
            let ties = ties(&chain, 4, head, &stop).expect("in memory");
            ties.into_iter().map(|tie| tie.number).collect::<Vec<_>>()
        };
        assert_eq!(newest(3), (2_784..2_800).collect::<Vec<_>>(), "the newest last");
        assert_eq!(newest(1), (1_384..1_400).collect::<Vec<_>>());
        assert!(newest(0).is_empty());
        stop.stop();
        assert!(matches!(ties(&chain, 4, 3, &stop), Err(SimulateError::Stopped)));
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
                logs.push(at(DEPOSITS, &Deposits::DepositProven { vout: number, ..proven(key, 1) }));
                logs.push(at(DEPOSITS, &proven(B256::repeat_byte(0xbb), 2)));
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
