//! Which actions are owed: a view of sidechain, Bitcoin and this relayer goes in, actions come out.
//!
//! ```text
//!   vault transaction, as the ledger and bitcoind see it             owed
//!   proposed or unsettled, unknown to bitcoind, unsigned             Sign          every member
//!   proposed or unsettled, unknown to bitcoind, signed               Broadcast     duty
//!   proposed or unsettled, deep enough in the light client's chain   Settle        duty
//!   settled in a block that left the best chain                      Unsettle      duty
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::BlockHash;

use super::duty::{Duty, Offer, Task, Turn};
use super::vault_transactions::Progress;
use crate::plan::{Available, Plan, plan};

/// Everything that a decision depends on.
#[derive(Clone, Debug)]
pub struct View {
    /// Milliseconds of a clock that never goes back: how long work has waited.
    pub clock_ms: u64,
    /// Time of the last final sidechain block, in unix seconds: whose turn it is.
    pub block_time_s: u64,
    /// This relayer, 1 to `members`.
    pub me: u16,
    pub members: u16,
    pub key: KeyState,
    /// The light client's best block.
    pub light_tip: BlockHash,
    /// Headers of bitcoind's best chain that the light client lacks; zero when its chain has no more work, or when it does
    /// not answer.
    pub headers_ahead: u32,
    /// What a vault transaction could be made of.
    pub available: Available,
    /// Vault transactions proposed so far.
    pub vault_transactions: u64,
    /// Those of them that are not settled for good, by number.
    pub open: BTreeMap<u64, Progress>,
    /// What was sent and is neither included nor given up yet.
    pub in_flight: BTreeSet<Task>,
}

/// Where the key of the current epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Not every member has confirmed it.
    Missing { epoch: u32 },
    /// It is active, so deposits can be swept to it.
    Active,
}

/// Work that one relayer does for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring the light client to bitcoind's best chain.
    SubmitHeaders,
    /// Put a vault transaction into the ledger.
    Propose(Plan),
    /// Hand a signed vault transaction to Bitcoin.
    Broadcast { number: u64 },
    /// Prove to the ledger that a vault transaction is in this block, deep enough.
    Settle { number: u64, block: BlockHash },
    /// Show the ledger that a settled vault transaction's block left the best chain.
    Unsettle { number: u64 },
}

/// Work that every member takes part in, at once: it is not a matter of duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Make the key of an epoch together.
    MakeKey { epoch: u32 },
    /// Sign a vault transaction together.
    Sign { number: u64 },
}

/// The actions that this relayer owes now, the most urgent first.
pub fn owed(duty: &mut Duty, view: &View) -> Vec<(Task, Action)> {
    let turn = Turn { clock_ms: view.clock_ms, block_time_s: view.block_time_s, me: view.me, members: view.members };
    let offers = waiting(view, duty.schedule().batch_ms);
    duty.due(turn, &view.in_flight, offers)
}

/// All work that waits for whoever is on duty.
fn waiting(view: &View, batch_ms: u64) -> Vec<Offer<Action>> {
    let mut offers = Vec::new();
    // The light client comes first: settlement waits for its headers.
    if view.headers_ahead > 0 {
        offers.push(Offer { task: Task::Headers(view.light_tip), patience_ms: 0, work: Action::SubmitHeaders });
    }
    offers.extend(view.open.iter().filter_map(|(number, progress)| for_vault_transaction(*number, progress)));
    // No proposal before the key is there: its change would have nowhere to go.
    if view.key == KeyState::Active
        && let Some(plan) = plan(&view.available)
    {
        let task = Task::Proposal(view.vault_transactions);
        offers.push(Offer { task, patience_ms: batch_ms, work: Action::Propose(plan) });
    }
    offers
}

/// What this member takes part in now.
#[must_use]
pub fn parts(key: KeyState, open: &BTreeMap<u64, Progress>) -> Vec<Part> {
    let mut parts = Vec::new();
    if let KeyState::Missing { epoch } = key {
        parts.push(Part::MakeKey { epoch });
    }
    let unsigned = |(_, progress): &(&u64, &Progress)| progress.wants_signatures();
    parts.extend(open.iter().filter(unsigned).map(|(number, _)| Part::Sign { number: *number }));
    parts
}

/// What a vault transaction needs from whoever is on duty.
fn for_vault_transaction(number: u64, progress: &Progress) -> Option<Offer<Action>> {
    let (task, work) = if progress.wants_broadcast() {
        (Task::Broadcast(number), Action::Broadcast { number })
    } else if let Some(block) = progress.provable_block() {
        (Task::Settle(number), Action::Settle { number, block })
    } else if progress.is_dropped() {
        (Task::Unsettle(number), Action::Unsettle { number })
    } else {
        return None;
    };
    Some(Offer { task, patience_ms: 0, work })
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use bitcoin::{Amount, FeeRate, OutPoint};
    use proptest::prelude::*;

    use super::*;
    use crate::peg::VaultStatus;
    use crate::plan::ReadyDeposit;
    use crate::relay::duty::{DutySchedule, on_duty};
    use crate::relay::vault_transactions::Seen;

    const SCHEDULE: DutySchedule = DutySchedule { window_s: 30, takeover_ms: 2_000, batch_ms: 500 };
    const MEMBERS: u16 = 4;

    fn hash(byte: u8) -> BlockHash {
        BlockHash::from_byte_array([byte; 32])
    }

    /// Nothing to do: the first member is on duty at time 0.
    fn idle(me: u16) -> View {
        View {
            clock_ms: 0,
            block_time_s: 0,
            me,
            members: MEMBERS,
            key: KeyState::Active,
            light_tip: hash(1),
            headers_ahead: 0,
            available: Available {
                min_fee_rate: FeeRate::from_sat_per_vb_u32(1),
                max_fee_rate: FeeRate::from_sat_per_vb_u32(500),
                ..Available::default()
            },
            vault_transactions: 0,
            open: BTreeMap::new(),
            in_flight: BTreeSet::new(),
        }
    }

    fn one_deposit() -> Available {
        let deposit = ReadyDeposit {
            outpoint: OutPoint::null(),
            amount: Amount::from_sat(100_000),
            max_fee: Amount::from_sat(10_000),
        };
        Available { deposits: vec![deposit], ..idle(1).available }
    }

    fn with(number: u64, progress: Progress, view: View) -> View {
        View { open: BTreeMap::from([(number, progress)]), ..view }
    }

    const PROPOSED: Progress = Progress {
        status: VaultStatus::Proposed,
        required_confirmations: 2,
        settled_confirmations: 0,
        signed: false,
        seen: Seen::Nowhere,
    };

    /// What one relayer does, on duty or not.
    #[derive(Debug, PartialEq)]
    enum Does {
        For(Action),
        With(Part),
    }

    fn looks(duty: &mut Duty, view: &View) -> Vec<Does> {
        let actions = owed(duty, view).into_iter().map(|(_, action)| Does::For(action));
        actions.chain(parts(view.key, &view.open).into_iter().map(Does::With)).collect()
    }

    fn decide(view: &View) -> Vec<Does> {
        looks(&mut Duty::new(SCHEDULE), view)
    }

    /// What a relayer does that has seen the same facts for so long.
    fn decide_after(wait_ms: u64, view: &View) -> Vec<Does> {
        let mut duty = Duty::new(SCHEDULE);
        owed(&mut duty, view);
        looks(&mut duty, &View { clock_ms: view.clock_ms + wait_ms, ..view.clone() })
    }

    #[test]
    fn nothing_is_owed_when_nothing_happened() {
        assert_eq!(decide(&idle(1)), []);
    }

    #[test]
    fn the_relayer_on_duty_acts_at_once_and_the_others_wait_for_their_place_in_line() {
        let behind = |me| View { headers_ahead: 3, ..idle(me) };
        assert_eq!(decide(&behind(1)), [Does::For(Action::SubmitHeaders)]);
        for me in 2..=MEMBERS {
            let patience = SCHEDULE.takeover_ms * u64::from(me - 1);
            assert_eq!(decide_after(patience - 1, &behind(me)), [], "member {me}");
            assert_eq!(decide_after(patience, &behind(me)), [Does::For(Action::SubmitHeaders)], "member {me}");
        }
    }

    #[test]
    fn duty_goes_round_with_block_time() {
        let duty: Vec<u16> = (0..5).map(|window| on_duty(&SCHEDULE, window * SCHEDULE.window_s, MEMBERS)).collect();
        assert_eq!(duty, [1, 2, 3, 4, 1]);
        let later = View { headers_ahead: 1, block_time_s: 59, ..idle(2) };
        assert_eq!(decide(&later), [Does::For(Action::SubmitHeaders)]);
    }

    #[test]
    fn progress_starts_the_wait_anew() {
        let mut duty = Duty::new(SCHEDULE);
        let first = View { headers_ahead: 60, ..idle(2) };
        owed(&mut duty, &first);
        // The relayer on duty submitted: the tip moved, so the second in line goes on waiting.
        let moved = View { clock_ms: SCHEDULE.takeover_ms, light_tip: hash(2), headers_ahead: 30, ..first };
        assert_eq!(owed(&mut duty, &moved), []);
    }

    #[test]
    fn what_is_in_flight_is_not_sent_again() {
        let sent = View { headers_ahead: 1, in_flight: BTreeSet::from([Task::Headers(hash(1))]), ..idle(1) };
        assert_eq!(decide(&sent), []);
    }

    #[test]
    fn a_proposal_waits_for_the_key_and_for_its_batch() {
        let ready = View { available: one_deposit(), ..idle(1) };
        let plan = plan(&one_deposit()).expect("it pays its way");
        assert_eq!(decide(&ready), []);
        assert_eq!(decide_after(SCHEDULE.batch_ms, &ready), [Does::For(Action::Propose(plan))]);
        let keyless = View { key: KeyState::Missing { epoch: 1 }, ..ready };
        assert_eq!(decide_after(SCHEDULE.batch_ms, &keyless), [Does::With(Part::MakeKey { epoch: 1 })]);
    }

    #[test]
    fn every_member_signs_at_once_until_the_signatures_are_there_or_bitcoin_has_seen_them() {
        for me in 1..=MEMBERS {
            assert_eq!(decide(&with(7, PROPOSED, idle(me))), [Does::With(Part::Sign { number: 7 })]);
        }
        let signed = Progress { signed: true, ..PROPOSED };
        assert_eq!(decide(&with(7, signed, idle(1))), [Does::For(Action::Broadcast { number: 7 })]);
        let seen = Progress { seen: Seen::Mempool, ..PROPOSED };
        assert_eq!(decide(&with(7, seen, idle(1))), []);
    }

    #[test]
    fn without_bitcoind_signing_goes_on_and_nothing_else() {
        let blind = Progress { seen: Seen::Unknown, ..PROPOSED };
        assert_eq!(decide(&with(7, blind, idle(1))), [Does::With(Part::Sign { number: 7 })]);
        let signed = Progress { signed: true, ..blind };
        assert_eq!(decide(&with(7, signed, idle(1))), []);
    }

    // light client   0 - 1 - 2[vault tx] - 3        required: 2
    #[test]
    fn a_vault_transaction_settles_when_the_light_client_sees_it_deep_enough() {
        let at =
            |confirmations| Progress { signed: true, seen: Seen::Block { hash: hash(9), confirmations }, ..PROPOSED };
        assert_eq!(decide(&with(7, at(0), idle(1))), []);
        assert_eq!(decide(&with(7, at(1), idle(1))), []);
        assert_eq!(decide(&with(7, at(2), idle(1))), [Does::For(Action::Settle { number: 7, block: hash(9) })]);
    }

    // best    0 - 1 - 2a[vault tx] - 3a
    // rival        \ 2b - 3b - 4b                   the vault transaction is back in the mempool
    #[test]
    fn a_reorg_unsettles_a_vault_transaction_and_it_settles_again_where_it_is_mined() {
        let settled = Progress { status: VaultStatus::Settled, settled_confirmations: 2, signed: true, ..PROPOSED };
        assert_eq!(decide(&with(7, settled, idle(1))), []);
        let dropped = Progress { settled_confirmations: 0, seen: Seen::Mempool, ..settled };
        assert_eq!(decide(&with(7, dropped, idle(1))), [Does::For(Action::Unsettle { number: 7 })]);
        // Mined again, and deep enough: to show the new block is all it takes.
        let moved = Progress { seen: Seen::Block { hash: hash(4), confirmations: 2 }, ..dropped };
        assert_eq!(decide(&with(7, moved, idle(1))), [Does::For(Action::Settle { number: 7, block: hash(4) })]);
        let unsettled = Progress { status: VaultStatus::Unsettled, ..dropped };
        assert_eq!(decide(&with(7, unsettled, idle(1))), []);
        let forgotten = Progress { seen: Seen::Nowhere, ..unsettled };
        assert_eq!(decide(&with(7, forgotten, idle(1))), [Does::For(Action::Broadcast { number: 7 })]);
        let again = Progress { seen: Seen::Block { hash: hash(3), confirmations: 2 }, ..unsettled };
        assert_eq!(decide(&with(7, again, idle(1))), [Does::For(Action::Settle { number: 7, block: hash(3) })]);
    }

    fn any_progress() -> impl Strategy<Value = Progress> {
        let status = prop_oneof![Just(VaultStatus::Proposed), Just(VaultStatus::Settled), Just(VaultStatus::Unsettled)];
        let seen = prop_oneof![
            Just(Seen::Unknown),
            Just(Seen::Nowhere),
            Just(Seen::Mempool),
            (0u32..5).prop_map(|confirmations| Seen::Block { hash: hash(5), confirmations }),
        ];
        (status, 1u32..4, 0u32..5, any::<bool>(), seen).prop_map(|(status, required, settled, signed, seen)| Progress {
            status,
            required_confirmations: required,
            settled_confirmations: settled,
            signed,
            seen,
        })
    }

    fn any_view() -> impl Strategy<Value = View> {
        let open = prop::collection::btree_map(1u64..9, any_progress(), 0..5);
        (any::<u32>(), 1u16..=MEMBERS, any::<bool>(), 0u32..3, any::<bool>(), open).prop_map(
            |(time, me, key, headers_ahead, proposal, open)| View {
                block_time_s: u64::from(time),
                me,
                key: if key { KeyState::Active } else { KeyState::Missing { epoch: 1 } },
                headers_ahead,
                available: if proposal { one_deposit() } else { idle(me).available },
                vault_transactions: 9,
                open,
                ..idle(me)
            },
        )
    }

    proptest! {
        // After a crash the machine has forgotten everything: once it has waited its turn, it owes the same.
        #[test]
        fn the_same_facts_owe_the_same_actions_after_a_crash(view in any_view()) {
            let patience = SCHEDULE.takeover_ms * u64::from(MEMBERS) + SCHEDULE.batch_ms;
            let before = decide_after(patience, &view);
            let restarted = View { clock_ms: 77_000, ..view };
            prop_assert_eq!(before, decide_after(patience, &restarted));
        }

        // One dead relayer never stops the job: whatever somebody on duty would do, each other one does too, in time.
        #[test]
        fn whoever_is_alive_does_in_time_what_the_relayer_on_duty_would_do(view in any_view()) {
            let patience = SCHEDULE.takeover_ms * u64::from(MEMBERS) + SCHEDULE.batch_ms;
            let duty = View { me: on_duty(&SCHEDULE, view.block_time_s, MEMBERS), ..view.clone() };
            prop_assert_eq!(decide_after(SCHEDULE.batch_ms, &duty), decide_after(patience, &view));
        }

        // A vault transaction never gets two orders at once.
        #[test]
        fn a_vault_transaction_has_one_owed_action_at_most(view in any_view()) {
            let does = decide_after(1_000_000, &view);
            for number in view.open.keys() {
                let orders = does.iter().filter(|does| matches!(does,
                    Does::With(Part::Sign { number: n }) | Does::For(Action::Broadcast { number: n } | Action::Unsettle { number: n }
                    | Action::Settle { number: n, .. }) if n == number)).count();
                prop_assert!(orders <= 1, "{does:?}");
            }
        }
    }
}
