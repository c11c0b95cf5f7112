//! Lists from their newest log downwards: as a naive search finds them, and at a cost that the length of the chain does not change.

use bitcoin::{OutPoint, Txid, hashes::Hash as _};
use contracts::{
    Bridge, Deposits, IDeposits, IVault, Vault,
    address::{BRIDGE, DEPOSITS, VAULT},
    alloy_sol_types::SolEvent,
};

use super::{counting::Counting, *};
use crate::peg::{
    DepositsOf, Newest, WithdrawalsOf, asked_in, bound, deposits_to, newest_deposits, newest_withdrawals, paid_key,
    spenders, ties, whole,
};

fn at(emitter: Address, event: &impl SolEvent) -> Log {
    Log { address: emitter, data: event.encode_log_data() }
}

/// A deposit whose address, recipient, claimant and txid are of a number.
fn proven(of: u64) -> Log {
    let (account, word) = (account(of), B256::from(U256::from(of)));
    let terms = IDeposits::Terms {
        recipient: account,
        claimant: Address::ZERO,
        reclaimKey: B256::ZERO,
        maxFeeSat: 1,
        dataHash: B256::ZERO,
        epoch: 1,
    };
    let event = Deposits::DepositProven {
        outputKey: word,
        recipient: account,
        txid: word,
        vout: 7,
        amountSat: 1,
        leafHash: B256::ZERO,
        terms,
        blockHash: B256::ZERO,
        height: 1,
    };
    at(DEPOSITS, &event)
}

/// A withdrawal, the vault transaction that pays it, and its tie, all of a number.
fn paid(of: u64) -> [Log; 3] {
    let number = u32::try_from(of).expect("few");
    let queued = Bridge::WithdrawalQueued {
        id: U256::from(of),
        owner: account(of),
        amountSat: 9,
        maxFeeSat: 5,
        script: script(of),
    };
    let content = IVault::Content {
        epoch: 1,
        rate: 1_000,
        reserveSat: 0,
        deposits: Vec::new(),
        outputs: vec![number],
        withdrawals: vec![of],
    };
    let bound = Vault::Bound {
        number,
        txid: B256::ZERO,
        proposal: 7,
        content,
        changeSat: 1,
        amountsSat: vec![3],
        transaction: Bytes::new(),
    };
    let tied = Bridge::WithdrawalTied { id: U256::from(of), output: number, number, chargeSat: 79 };
    [at(BRIDGE, &queued), at(VAULT, &bound), at(BRIDGE, &tied)]
}

fn account(of: u64) -> Address {
    Address::left_padding_from(&of.to_be_bytes())
}

fn script(of: u64) -> Bytes {
    [&[0x00, 0x14][..], account(of).as_slice()].concat().into()
}

/// The ledger's life in so many blocks, in each of them a deposit and a withdrawal of its number.
fn history(blocks: u64) -> (Arc<Counting>, Chain<Arc<Counting>>) {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    for number in 1..=blocks {
        let logs = vec![vec![proven(number)], paid(number).to_vec()];
        fabricated::write(&store, &fabricated::block(number, logs)).expect("in memory");
    }
    (store, chain)
}

/// Rows that each look-up reads in a chain of so many blocks: of what is in block 20, and of the newest.
fn costs(blocks: u64) -> Vec<(&'static str, u64)> {
    let (store, chain) = history(blocks);
    let (stop, page) = (Stop::never(), Newest { before: whole(blocks), most: 10 });
    let outpoint = OutPoint::new(Txid::from_byte_array(U256::from(20).to_be_bytes()), 7);
    let content = IVault::Content {
        epoch: 1,
        rate: 0,
        reserveSat: 0,
        deposits: Vec::new(),
        outputs: vec![20],
        withdrawals: Vec::new(),
    };
    let mut costs = Vec::new();
    let mut count = |what, found: usize, want: usize| {
        assert_eq!(found, want, "{what}");
        costs.push((what, store.take_rows().values().sum()));
    };
    store.take_rows();
    let key = paid_key(&chain, outpoint, blocks, &stop).expect("in memory");
    count("the address of an outpoint", key.map_or(0, |_| 1), 1);
    let address = B256::from(U256::from(20));
    let to = deposits_to(&chain, address, LogPlace::default(), blocks, &stop).expect("in memory").outpoints;
    count("deposits to an address", to.len(), 1);
    for (what, of, want) in [
        ("deposits of a recipient", DepositsOf::Recipient(account(20)), 1),
        ("deposits of a claimant", DepositsOf::Claimant(account(20)), 1),
        ("the newest deposits", DepositsOf::Anyone, 10),
        ("deposits of nobody", DepositsOf::Recipient(Address::repeat_byte(0xff)), 0),
    ] {
        count(what, newest_deposits(&chain, of, page, &stop).expect("in memory").0.len(), want);
    }
    for (what, of) in [
        ("withdrawals of an owner", WithdrawalsOf::Owner(account(20))),
        ("withdrawals to a script", WithdrawalsOf::Script(script(20))),
    ] {
        count(what, newest_withdrawals(&chain, &of, U256::MAX, page, &stop).expect("in memory").0.len(), 1);
    }
    count("the block of a withdrawal", asked_in(&chain, 20, blocks, &stop).expect("in memory").map_or(0, |_| 1), 1);
    count("versions of a withdrawal", ties(&chain, 20, blocks, &stop).expect("in memory").len(), 1);
    count("a vault transaction", bound(&chain, 20, blocks, &stop).expect("in memory").map_or(0, |_| 1), 1);
    count("versions of a vault transaction", spenders(&chain, &content, blocks, &stop).expect("in memory").len(), 1);
    costs
}

#[test]
fn what_is_asked_of_the_ledger_costs_the_same_in_a_chain_a_hundred_times_as_long() {
    let (short, long) = (costs(100), costs(10_000));
    println!("{long:?}");
    assert_eq!(short, long);
    assert!(long.iter().all(|(_, rows)| *rows <= 60), "{long:?}");
}

#[test]
fn pages_from_the_newest_downwards_are_the_deposits_in_reverse_each_once() {
    let (_, chain) = history(57);
    let (mut found, mut before) = (Vec::new(), Some(whole(50)));
    while let Some(place) = before {
        let page = Newest { before: place, most: 7 };
        let (events, next) = newest_deposits(&chain, DepositsOf::Anyone, page, &Stop::never()).expect("in memory");
        assert!(events.len() == 7 || next.is_none(), "{} and {next:?}", events.len());
        found.extend(events.iter().map(|event| U256::from_be_bytes(event.txid.0).to::<u64>()));
        before = next;
    }
    assert_eq!(found, (1..=50).rev().collect::<Vec<_>>());
    let stop = Stop::default();
    stop.stop();
    let page = Newest { before: whole(50), most: 7 };
    assert!(matches!(newest_deposits(&chain, DepositsOf::Anyone, page, &stop), Err(SimulateError::Stopped)));
}

proptest! {
    #[test]
    fn pages_of_a_list_are_what_a_naive_search_finds_in_reverse(
        blocks in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<(u8, u8)>(), 0..4), 0..4), 1..24),
        most in 1usize..9,
        rows in 1u64..40,
    ) {
        let store = Arc::new(Memory::default());
        let chain = open(store.clone());
        let log = |(emitter, topic): &(u8, u8)| {
            Log::new_unchecked(Address::repeat_byte(emitter % 2), vec![B256::repeat_byte(topic % 3)], Bytes::new())
        };
        let blocks: Vec<Vec<Vec<Log>>> =
            blocks.iter().map(|block| block.iter().map(|logs| logs.iter().map(log).collect()).collect()).collect();
        for (number, logs) in (0u64..).zip(&blocks) {
            fabricated::write(&store, &fabricated::block(number, logs.clone())).expect("in memory");
        }
        let (emitter, topic) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let is_of = |log: &Log| log.address == emitter && log.topics()[0] == topic;
        let numbered = (0u64..).zip(&blocks).flat_map(|(block, logs)| {
            (0u64..).zip(logs.iter().flatten()).map(move |(log_index, log)| (LogPlace { block, log_index }, log))
        });
        let mut wanted: Vec<LogPlace> = numbered.filter(|(_, log)| is_of(log)).map(|(place, _)| place).collect();
        wanted.reverse();
        let limits = LogLimits { logs: most, rows, ..LogLimits::default() };
        let (mut found, mut before) = (Vec::new(), whole(blocks.len() as u64));
        loop {
            let subject = Subject::EmitterAndTopic(emitter, 0, topic);
            let page = chain.newest_logs(subject, before, is_of, &limits, &Stop::never()).expect("in memory");
            prop_assert!(page.logs.len() <= most);
            found.extend(page.logs.iter().map(LogEntry::place));
            let Some(next) = page.next else { break };
            prop_assert!(next < before);
            before = next;
        }
        prop_assert_eq!(found, wanted);
    }
}
