use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolEvent;
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, SIGNING_BOARD, VAULT};
use contracts::{Bridge, Deposits, Federation, SigningBoard, Vault, deposits, vault};

use super::*;
use crate::board;
use crate::peg::Content;
use crate::relay::example;

const ME: u16 = 2;

fn head(number: u64) -> Head {
    Head { number, time_s: 100 + number }
}

fn log(block: u64, address: Address, event: &impl SolEvent) -> BlockLog {
    BlockLog { block: head(block), log: alloy_primitives::Log { address, data: event.encode_log_data() } }
}

fn start() -> Ledger {
    Ledger::new(ME, Cursor::default(), example::info(100), [3; 32])
}

/// Reads to a block, and answers what follows by a node that has these vault transactions.
fn read(ledger: &mut Ledger, logs: &[BlockLog], to: u64, light: u32, vault: &BTreeMap<u32, VaultState>) {
    let odd = ledger.apply(logs, to, head(to), example::info(light));
    assert!(odd.is_empty(), "{odd:?}");
    answer(ledger, vault);
}

fn answer(ledger: &mut Ledger, vault: &BTreeMap<u32, VaultState>) {
    for _ in 0..1_000 {
        let Some(question) = ledger.question() else { return };
        ledger.answer(match question {
            Question::Limits => Answer::Limits(example::limits()),
            Question::Vault(number) => Answer::Vault(number, vault.get(&number).copied()),
            Question::Final(number) => Answer::Final(number, true),
            Question::BestAt(height) => Answer::BestAt(height, example::block(height).head),
            Question::Withdrawal(id) => Answer::Withdrawal(id, None),
            Question::Queued { .. } => Answer::Queued { ids: Vec::new(), next: None },
            Question::Tied { .. } => Answer::Tied { ids: Vec::new(), next: None },
            Question::Live { .. } => Answer::Live { numbers: Vec::new(), next: None },
            Question::Deposit(outpoint) => Answer::Deposit(outpoint, None),
        });
    }
    panic!("questions without end: {:?}", ledger.question());
}

/// What a proposal of this number is made at: member 1's place 0.
fn proposal_number(generation: u64) -> u64 {
    generation << 24 | 1 << 8
}

fn sweep(outpoint: OutPoint) -> Content {
    example::content(2_000, &[outpoint], &[], &[])
}

fn proposed(generation: u64, content: &Content) -> Vault::Proposed {
    Vault::Proposed {
        proposal: proposal_number(generation),
        member: 1,
        contentHash: crate::policy::proven::content_hash(content),
        content: content.into(),
    }
}

fn bound(number: u32, generation: u64, content: &Content) -> (Vault::Bound, Entry) {
    let entry = example::entry(&example::ledger(100), content.clone());
    let event = Vault::Bound {
        number,
        txid: B256::from(entry.txid.to_byte_array()),
        proposal: proposal_number(generation),
        content: vault::IVault::Content::from(content),
        changeSat: entry.change_sat,
        amountsSat: entry.amounts_sat.clone(),
        transaction: Bytes::from(entry.transaction.to_vec()),
    };
    (event, entry)
}

fn proven(outpoint: OutPoint, height: u32) -> Deposits::DepositProven {
    Deposits::DepositProven {
        outputKey: B256::repeat_byte(2),
        recipient: Address::repeat_byte(7),
        txid: B256::from(outpoint.txid.to_byte_array()),
        vout: outpoint.vout,
        amountSat: 1_000_000,
        leafHash: B256::repeat_byte(4),
        terms: deposits::IDeposits::Terms {
            recipient: Address::repeat_byte(7),
            claimant: Address::repeat_byte(7),
            reclaimKey: B256::repeat_byte(2),
            maxFeeSat: 20_000,
            dataHash: B256::ZERO,
            epoch: 1,
        },
        blockHash: B256::from(example::position(height).hash.to_byte_array()),
        height,
    }
}

fn state(entry: &Entry, status: VaultStatus, settled_in: Option<u32>) -> VaultState {
    let output = if status == VaultStatus::Settled { OutputStatus::Live } else { OutputStatus::Pending };
    VaultState {
        status,
        output,
        txid: entry.txid,
        change_sat: entry.change_sat,
        spent_by: None,
        settled_in: settled_in.map(example::block),
        epoch: 1,
        rooted: false,
    }
}

fn post(session: B256, member: u16) -> SigningBoard::Posted {
    SigningBoard::Posted { session, member, kind: 0, payload: Bytes::from_static(&[1]) }
}

fn network() -> B256 {
    example::info(1).network_id
}

// proposed - approved by two - bound - settled in block 101 - final, and minted
#[test]
fn a_vault_transaction_is_followed_from_its_proposal_to_where_nothing_can_happen_to_it() {
    let mut ledger = start();
    let outpoint = example::outpoint(1);
    let content = sweep(outpoint);
    let session = board::proposal_session(network(), proposal_number(1));
    let logs = [
        log(1, DEPOSITS, &proven(outpoint, 100)),
        log(2, VAULT, &proposed(1, &content)),
        log(3, SIGNING_BOARD, &post(session, 3)),
        log(3, VAULT, &Vault::Approved { proposal: proposal_number(1), member: 3 }),
    ];
    read(&mut ledger, &logs, 4, 100, &BTreeMap::new());
    let open = &ledger.view().proposals[&proposal_number(1)];
    assert_eq!((open.member, open.place, open.approvals.len(), open.opened_in), (1, 0, 1, head(2)));
    assert_eq!(ledger.view().deposits[&outpoint].status, DepositStatus::Proven);

    let (event, entry) = bound(1, 1, &content);
    let waits = BTreeMap::from([(1, state(&entry, VaultStatus::Bound, None))]);
    read(&mut ledger, &[log(5, VAULT, &event)], 5, 100, &waits);
    let bound = &ledger.view().entries[&1];
    let approvals = &bound.proposed.as_ref().expect("it was seen").approvals;
    assert_eq!((approvals.len(), approvals[0].member, bound.bound_in), (1, 3, head(5)));
    assert!(ledger.view().proposals.is_empty() && ledger.view().deposits[&outpoint].bound);

    let settled = Vault::Settled { number: 1, txid: B256::ZERO, blockHash: B256::ZERO, height: 101 };
    let is = BTreeMap::from([(1, state(&entry, VaultStatus::Settled, Some(101)))]);
    read(&mut ledger, &[log(6, VAULT, &settled)], 6, 101, &is);
    assert_eq!(ledger.view().settled_confirmations(&ledger.view().entries[&1]), Some(1));
    assert_eq!(ledger.view().deposits[&outpoint].swept_by, Some(1));
    assert!(ledger.view().outputs.contains_key(&1));
    assert_eq!(ledger.forget_what_is_over(), []);
    assert_eq!(ledger.from, 1, "its deposit and its proposal are read again after a start, until its coins are made");

    read(&mut ledger, &[], 7, 201, &is);
    assert_eq!(ledger.forget_what_is_over(), [], "its deposit is not minted");
    let txid = B256::from(outpoint.txid.to_byte_array());
    let minted = Deposits::DepositMinted { recipient: Address::ZERO, txid, vout: 0, mintedSat: 999_000, number: 1 };
    read(&mut ledger, &[log(8, DEPOSITS, &minted)], 8, 200 + KEPT_BLOCKS, &is);
    assert_eq!(ledger.forget_what_is_over(), [], "a reorganisation may be deeper than what counts as final");
    read(&mut ledger, &[], 9, 201 + KEPT_BLOCKS, &is);
    assert_eq!(ledger.forget_what_is_over(), [(1, proposal_number(1))]);
    assert!(ledger.view().deposits.is_empty() && ledger.view().entries.is_empty());
    assert_eq!((ledger.from, ledger.view().outputs.len()), (10, 1), "its output lives on");
}

#[test]
fn of_what_is_final_as_much_is_kept_as_fits_the_newest_first() {
    let mut ledger = start();
    let numbers = 1..=u32::try_from(MOST_KEPT).expect("few") + 3;
    let (mut logs, mut is) = (Vec::new(), BTreeMap::new());
    for number in numbers.clone() {
        let (event, entry) = bound(number, number.into(), &sweep(example::outpoint(number)));
        is.insert(number, state(&entry, VaultStatus::Settled, Some(101)));
        logs.push(log(3, VAULT, &event));
    }
    read(&mut ledger, &logs, 4, 101, &is);
    assert_eq!(ledger.forget_what_is_over(), []);
    read(&mut ledger, &[], 5, 201, &is);
    let over: Vec<u32> = ledger.forget_what_is_over().into_iter().map(|(number, _)| number).collect();
    assert_eq!(over, [1, 2, 3]);
    assert!(ledger.view().entries.keys().copied().eq(numbers.skip(3)));
}

// best    ... 100 - 101[settled here]       then 101 leaves the best chain
#[test]
fn a_reorganisation_asks_anew_where_everything_above_the_fork_is() {
    let mut ledger = start();
    let content = sweep(example::outpoint(1));
    let (event, entry) = bound(1, 1, &content);
    let is = BTreeMap::from([(1, state(&entry, VaultStatus::Settled, Some(101)))]);
    read(&mut ledger, &[log(2, VAULT, &proposed(1, &content)), log(3, VAULT, &event)], 4, 101, &is);
    assert_eq!(ledger.view().settled_confirmations(&ledger.view().entries[&1]), Some(1));
    let reorganised =
        contracts::BitcoinLightClient::Reorganised { oldTip: B256::ZERO, newTip: B256::ZERO, forkHeight: 100 };
    let logs = [log(5, contracts::address::LIGHT_CLIENT, &reorganised)];
    assert!(ledger.apply(&logs, 5, head(5), example::info(102)).is_empty());
    assert_eq!(ledger.view().settled_confirmations(&ledger.view().entries[&1]), None, "nothing is known of it");
    while let Some(question) = ledger.question() {
        match question {
            Question::BestAt(height) => ledger.answer(Answer::BestAt(height, BlockHead::repeat_byte(0xee))),
            _ => ledger.answer(Answer::Limits(example::limits())),
        }
    }
    assert_eq!(ledger.view().settled_confirmations(&ledger.view().entries[&1]), Some(0), "it has left");
}

#[test]
fn a_deposit_that_nobody_sweeps_holds_back_where_reading_begins_for_half_of_its_delay_and_no_longer() {
    let mut ledger = start();
    read(&mut ledger, &[log(3, DEPOSITS, &proven(example::outpoint(1), 100))], 1_000, 100, &BTreeMap::new());
    let half = u32::from(example::parameters().reclaim_delay) / 2;
    ledger.forget_what_is_over();
    assert_eq!(ledger.from, 3);
    read(&mut ledger, &[], 1_001, 99 + half, &BTreeMap::new());
    ledger.forget_what_is_over();
    assert_eq!(ledger.from, 3);
    read(&mut ledger, &[], 1_002, 100 + half, &BTreeMap::new());
    ledger.forget_what_is_over();
    assert_eq!(ledger.from, 1_003);
    assert_eq!(ledger.view().deposits.len(), 1, "it is known while it can matter");
    read(&mut ledger, &[], 1_003, 100 + 2 * 1_008 + 100, &BTreeMap::new());
    ledger.forget_what_is_over();
    assert!(ledger.view().deposits.is_empty(), "and not for ever");
}

#[test]
fn ten_thousand_proposals_of_a_member_leave_one_at_each_of_its_places() {
    let mut ledger = start();
    let content = sweep(example::outpoint(1));
    let logs: Vec<BlockLog> = (1..10_000).map(|generation| log(2, VAULT, &proposed(generation, &content))).collect();
    read(&mut ledger, &logs, 4, 100, &BTreeMap::new());
    assert_eq!(ledger.view().proposals.keys().copied().collect::<Vec<_>>(), [proposal_number(9_999)]);
    let late = 4 + APPROVAL_S;
    read(&mut ledger, &[], late, 100, &BTreeMap::new());
    assert!(ledger.view().proposals.is_empty(), "it has lapsed");
    ledger.forget_what_is_over();
    assert_eq!(ledger.from, late + 1);
}

#[test]
fn withdrawals_are_known_by_their_logs_and_asked_about_once_when_their_state_has_changed() {
    let mut ledger = start();
    let queued = |id: u64| Bridge::WithdrawalQueued {
        id: U256::from(id),
        owner: Address::ZERO,
        amountSat: 100_000,
        maxFeeSat: 1_000,
        script: Bytes::from_static(&[0x51]),
    };
    let logs: Vec<BlockLog> = (1..=3).map(|id| log(1, BRIDGE, &queued(id))).collect();
    read(&mut ledger, &logs, 1, 100, &BTreeMap::new());
    assert_eq!(ledger.view().withdrawals.len(), 3);
    assert_eq!(ledger.view().withdrawals[&1].asked_at, 101);
    let tied = Bridge::WithdrawalTied { id: U256::from(2), output: 1, number: 1, chargeSat: 500 };
    let cancelled = Bridge::WithdrawalCancelled { id: U256::from(3) };
    let logs = [log(2, BRIDGE, &tied), log(2, BRIDGE, &cancelled)];
    assert!(ledger.apply(&logs, 2, head(2), example::info(100)).is_empty());
    assert_eq!(ledger.question(), Some(Question::Limits));
    ledger.answer(Answer::Limits(example::limits()));
    assert_eq!(ledger.question(), Some(Question::Withdrawal(2)));
    let now = Withdrawal { status: WithdrawalStatus::Tied, tie: Some(1), ..example::withdrawal(1_000) };
    ledger.answer(Answer::Withdrawal(2, Some(now)));
    assert_eq!(ledger.question(), None);
    assert_eq!(ledger.view().withdrawals.keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_payment_that_the_ledger_does_not_know_is_asked_about_once_and_a_proof_of_it_is_news() {
    let mut ledger = start();
    read(&mut ledger, &[], 1, 100, &BTreeMap::new());
    ledger.learn(&example::ledger(1).group_keys, &Arc::default());
    let (outpoint, peg) = (example::outpoint(1), peg());
    let tracked = BTreeMap::from([(outpoint, example::payment(100))]);
    ledger.look_for(&tracked, &peg);
    assert_eq!(ledger.question(), Some(Question::Deposit(outpoint)));
    answer(&mut ledger, &BTreeMap::new());
    assert!(ledger.view().strangers.contains(&outpoint));
    ledger.look_for(&tracked, &peg);
    assert_eq!(ledger.question(), None);
    read(&mut ledger, &[log(2, DEPOSITS, &proven(outpoint, 100))], 2, 100, &BTreeMap::new());
    assert!(ledger.view().strangers.is_empty() && ledger.view().deposits.contains_key(&outpoint));
}

fn peg() -> Peg {
    Peg { network_id: [5; 32], bridge: BRIDGE.into_array(), delay: std::num::NonZeroU16::MIN }
}

#[test]
fn what_is_bound_and_no_transaction_is_told_and_not_signed() {
    let mut ledger = start();
    let (event, _) = bound(1, 1, &sweep(example::outpoint(1)));
    let odd = Vault::Bound { transaction: Bytes::from_static(&[1, 2, 3]), ..event.clone() };
    let other = Vault::Bound { txid: B256::ZERO, ..event };
    let told = ledger.apply(&[log(1, VAULT, &odd), log(1, VAULT, &other)], 1, head(1), example::info(100));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(ledger.view().entries.is_empty());
}

#[test]
fn only_its_own_confirmation_of_a_key_counts() {
    let mut ledger = start();
    let confirmed = |member, key| Federation::KeyConfirmed { epoch: 1, member, groupKey: B256::repeat_byte(key) };
    let logs = [log(1, FEDERATION, &confirmed(1, 8)), log(1, FEDERATION, &confirmed(ME, 9))];
    read(&mut ledger, &logs, 1, 100, &BTreeMap::new());
    assert_eq!(ledger.confirmed(1), Some(B256::repeat_byte(9)));
    assert_eq!(ledger.confirmers(1), BTreeSet::from([1, ME]));
}

#[test]
fn a_proposal_whose_content_is_not_the_one_of_its_hash_is_odd() {
    let mut ledger = start();
    let mut other = proposed(1, &sweep(example::outpoint(1)));
    other.contentHash = B256::repeat_byte(8);
    let told = ledger.apply(&[log(1, VAULT, &other)], 1, head(1), example::info(100));
    assert!(matches!(told[..], [OddLog::OtherContent { .. }]), "{told:?}");
    assert!(ledger.view().proposals.is_empty());
}
