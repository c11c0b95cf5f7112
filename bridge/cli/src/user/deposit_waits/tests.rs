use super::*;
use crate::user::charge::tests::parameters;
use crate::user::outlook::tests::{outlook, pending, proposal, txid};
use alloy_primitives::{Address, FixedBytes};
use bridge::peg::Content;

fn deposit() -> Deposit {
    Deposit {
        txid: txid(90),
        vout: 0,
        status: DepositStatus::Proven,
        recipient: Address::repeat_byte(1),
        claimant: Address::repeat_byte(1),
        amount_sat: 1_000_000,
        max_fee_sat: 5_000,
        minted_sat: None,
        bound: false,
        swept_by: None,
        height: 500,
        block_head: FixedBytes::ZERO,
        confirmations: 1,
        epoch: 1,
        has_left: false,
    }
}

fn at_20(reserve_sat: i64) -> Outlook {
    let mut outlook = outlook();
    outlook.rate.sat_per_kvb = 20_000;
    outlook.info.books.reserve_sat = reserve_sat;
    outlook
}

/// A sweep of it and of another one, by vault transaction 3 at 2 sat/vB.
fn bound(outlook: &mut Outlook) -> (Deposit, OutPoint) {
    let other = OutPoint::new(txid(91), 1);
    let deposits = vec![OutPoint::new(txid(90), 0), other];
    outlook.vault.pending.push(pending(3, Content { epoch: 1, rate: 2_000, deposits, ..Content::default() }));
    (Deposit { bound: true, ..deposit() }, other)
}

fn told(deposit: &Deposit, outlook: &Outlook) -> Vec<Wait> {
    waits(deposit, &Facts { outlook, seen: &Seen::default() })
}

fn names(waits: &[Wait]) -> Vec<&'static str> {
    waits.iter().map(Wait::name).collect()
}

#[test]
fn what_stops_payouts_stops_no_sweep() {
    let mut outlook = outlook();
    outlook.limits.alarmed = true;
    outlook.limits.missing_sat = u64::MAX;
    let wait = told(&deposit(), &outlook);
    assert_eq!(wait, [Wait::Sweep { for_blocks: 1, rate: outlook.rate }]);
    assert_eq!(wait[0].advice(), "for the federation's next sweep");
}

#[test]
fn each_reason_not_to_sweep_is_named() {
    let mut dear = outlook();
    dear.rate.sat_per_kvb = 80_000;
    let charge_sat = of_deposit(80_000, dear.parameters()).to_sat();
    assert_eq!(told(&deposit(), &dear), [Wait::Maximum { max_fee_sat: 5_000, charge_sat, rate: dear.rate }]);
    let small = Deposit { amount_sat: 300, ..deposit() };
    assert_eq!(names(&told(&small, &outlook())), ["tooSmall"]);
    let mut full = outlook();
    full.limits.cap_sat = 100_000_000;
    full.limits.cap_used_sat = 99_000_001;
    assert_eq!(told(&deposit(), &full), [Wait::Cap { cap_sat: 100_000_000, used_sat: 99_000_001 }]);
    let left = Deposit { confirmations: 0, ..deposit() };
    assert_eq!(told(&left, &outlook()), [Wait::BlockLeft]);
}

#[test]
fn a_lone_sweep_that_the_reserve_cannot_pay_waits_for_the_reserve_with_what_it_needs_and_has() {
    assert_eq!(names(&told(&deposit(), &at_20(1_000_000))), ["sweep"], "a full one pays");
    let wait = told(&deposit(), &at_20(i64::MIN / 2));
    let Wait::Reserve { need_sat, .. } = wait[0] else { panic!("{wait:?}") };
    assert!((300..4_000).contains(&need_sat), "{need_sat}");
    assert!(wait[0].advice().contains("causeway peg-in --reserve"), "{}", wait[0].advice());
    let reserves = Deposit { recipient: contracts::address::BRIDGE, ..deposit() };
    assert_eq!(names(&told(&reserves, &at_20(i64::MIN / 2))), ["sweep"], "what is for the reserve asks it for nothing");
}

#[test]
fn a_deposit_is_swept_until_its_owner_takes_it_back_however_near_that_is() {
    let mut outlook = outlook();
    for tip in [500 + 505, 500 + 1_007] {
        outlook.info.bitcoin_tip.height = tip;
        assert_eq!(names(&told(&deposit(), &outlook)), ["sweep"], "{tip}");
    }
    outlook.info.bitcoin_tip.height = 500 + 1_008;
    assert_eq!(names(&told(&deposit(), &outlook)), ["sweep", "reclaimable"]);
    assert!(told(&deposit(), &outlook)[1].advice().contains("since block 1508"));
}

#[test]
fn what_was_bound_before_is_asked_for_no_charge_and_no_room_again() {
    let mut outlook = at_20(1_000_000_000);
    let (bound, _) = bound(&mut outlook);
    outlook.limits.cap_used_sat = u64::MAX;
    outlook.rate.sat_per_kvb = 200_000;
    let wait = told(&bound, &outlook);
    assert_eq!(names(&wait), ["bitcoin"]);
    let said = wait[0].advice();
    assert!(said.contains(&format!("causeway bump {}", txid(3))) && said.contains("2 sat/vB where 200"), "{said}");
    outlook.vault.pending.clear();
    assert_eq!(names(&told(&bound, &outlook)), ["sweep"], "nothing that sweeps it can confirm: another will");
}

#[test]
fn a_sweep_that_another_deposits_owner_contests_says_so_and_by_what() {
    let mut outlook = outlook();
    let (bound, other) = bound(&mut outlook);
    let mut seen = Seen { spenders: BTreeMap::from([(other, txid(66))]), in_mempool: Some(false), swept: None };
    let wait = waits(&bound, &Facts { outlook: &outlook, seen: &seen });
    assert_eq!(names(&wait), ["bitcoin", "contested"]);
    let said = wait[1].advice();
    assert!(said.contains(&txid(66).to_string()) && said.contains(&other.to_string()), "{said}");
    // Its own sweep spends both: nobody contests anything.
    seen.spenders = BTreeMap::from([(other, txid(3)), (OutPoint::new(txid(90), 0), txid(3))]);
    assert_eq!(names(&waits(&bound, &Facts { outlook: &outlook, seen: &seen })), ["bitcoin"]);
    seen.spenders = BTreeMap::from([(OutPoint::new(txid(90), 0), txid(66))]);
    let wait = waits(&bound, &Facts { outlook: &outlook, seen: &seen });
    assert_eq!(wait[0], Wait::Spent { by: txid(66) });
}

#[test]
fn a_sweep_that_too_few_approve_says_who_has_and_who_is_waited_for() {
    let mut outlook = outlook();
    let deposits = vec![OutPoint::new(txid(90), 0)];
    outlook.proposals.push(proposal(5, &[1, 2], Content { deposits, ..Content::default() }));
    outlook.waited_for = vec![WaitedFor { member: 4, name: "dave".into(), what: "has not approved it".into() }];
    let wait = told(&deposit(), &outlook);
    assert_eq!(names(&wait), ["approvals", "member"]);
    assert!(wait[0].advice().contains("2 of 3 members"), "{}", wait[0].advice());
}

// Tiers of the test's parameters: 0.5 BTC below 6 confirmations, 5 BTC below 100.
#[test]
fn coins_wait_for_the_depth_that_their_amount_asks_for_by_what_was_minted_lately() {
    let with = |used: [u64; 2]| Limits { tier_used_sat: used.to_vec(), ..outlook().limits };
    let at = |amount: u64, used| required(amount, &parameters(), &with(used));
    assert_eq!(at(50_000_000, [0, 0]), 2);
    assert_eq!(at(50_000_001, [0, 0]), 6);
    assert_eq!(at(1, [50_000_000, 50_000_000]), 6);
    assert_eq!(at(1, [0, 500_000_000]), 100);
    assert_eq!(at(500_000_001, [0, 0]), 100);
}

#[test]
fn a_late_sweep_has_to_be_final_and_one_whose_funding_left_counts_for_it() {
    let outlook = outlook();
    let swept = Deposit { status: DepositStatus::Swept, confirmations: 1, ..deposit() };
    let depth = |deposit: &Deposit, swept| {
        let seen = Seen { swept: Some(swept), ..Seen::default() };
        waits(deposit, &Facts { outlook: &outlook, seen: &seen })
    };
    assert_eq!(depth(&swept, (501, 1)), [Wait::Depth { confirmations: 1, required: 2, about_seconds: None }]);
    let deep = Deposit { confirmations: 510, ..swept.clone() };
    assert_eq!(depth(&deep, (1_005, 5)), [Wait::Depth { confirmations: 5, required: 100, about_seconds: None }]);
    let left = Deposit { confirmations: 0, ..swept };
    assert_eq!(depth(&left, (501, 1)), [Wait::Depth { confirmations: 1, required: 2, about_seconds: None }]);
}

/// Scripts read it.
#[test]
fn reasons_are_frozen_in_json() {
    let (rate, outpoint) = (outlook().rate, OutPoint::new(txid(1), 2));
    let all = [
        Wait::BlockLeft,
        Wait::Spent { by: txid(1) },
        Wait::Maximum { max_fee_sat: 1, charge_sat: 2, rate },
        Wait::TooSmall { charge_sat: 1, rate },
        Wait::Cap { cap_sat: 1, used_sat: 2 },
        Wait::Reserve { need_sat: 1, reserve_sat: -2, rate },
        Wait::Approvals { proposal: 1, approved_by: vec![2], threshold: 3, for_seconds: 4 },
        Wait::Member(WaitedFor { member: 3, name: "carol".into(), what: "late".into() }),
        Wait::Sweep { for_blocks: 1, rate },
        Wait::Bitcoin { number: 1, txid: txid(1), pays: 2, in_mempool: Some(true), rate },
        Wait::Contested { number: 1, deposit: outpoint, by: txid(1) },
        Wait::Reclaimable { from: 1 },
        Wait::Depth { confirmations: 1, required: 2, about_seconds: None },
    ];
    let rate = serde_json::json!({ "satPerKvb": 2_000, "toldBy": "bitcoind" });
    let json = serde_json::json!([
        { "reason": "blockLeft" },
        { "reason": "spent", "by": txid(1) },
        { "reason": "maximum", "maxFeeSat": 1, "chargeSat": 2, "rate": rate },
        { "reason": "tooSmall", "chargeSat": 1, "rate": rate },
        { "reason": "cap", "capSat": 1, "usedSat": 2 },
        { "reason": "reserve", "needSat": 1, "reserveSat": -2, "rate": rate },
        { "reason": "approvals", "proposal": 1, "approvedBy": [2], "threshold": 3, "forSeconds": 4 },
        { "reason": "member", "member": 3, "name": "carol", "what": "late" },
        { "reason": "sweep", "forBlocks": 1, "rate": rate },
        { "reason": "bitcoin", "number": 1, "txid": txid(1), "pays": 2, "inMempool": true, "rate": rate },
        { "reason": "contested", "number": 1, "deposit": outpoint, "by": txid(1) },
        { "reason": "reclaimable", "from": 1 },
        { "reason": "depth", "confirmations": 1, "required": 2 }
    ]);
    assert_eq!(serde_json::to_value(&all).expect("numbers"), json);
    let tagged = json.as_array().expect("a list").iter().map(|reason| reason["reason"].as_str());
    assert!(tagged.eq(all.iter().map(|wait| Some(wait.name()))));
}

#[test]
fn a_minted_deposit_that_a_reorganisation_left_unswept_says_what_sweeps_it_again() {
    let mut outlook = outlook();
    let (swept, _) = bound(&mut outlook);
    let minted = Deposit { status: DepositStatus::Minted, minted_sat: Some(999_000), confirmations: 0, ..swept };
    assert_eq!(names(&told(&minted, &outlook)), ["blockLeft", "bitcoin"]);
    let whole = Deposit { swept_by: Some(3), confirmations: 9, ..minted };
    assert_eq!(told(&whole, &outlook), []);
}

#[test]
fn whoever_can_take_a_deposit_back_is_told_by_which_address() {
    use crate::user::deposit::{Progress, describe};
    let progress = Progress {
        taken_back: false,
        deposit: deposit(),
        waits_for: Vec::new(),
        reclaimable_from: 1508,
        reclaimable_in_s: None,
        claimable_sat: 0,
    };
    let told = |address| describe(&progress, address).pop().expect("a line");
    assert!(told(Some("bcrt1q")).ends_with("from block 1508 on: causeway reclaim bcrt1q"), "{}", told(Some("bcrt1q")));
    assert!(told(None).ends_with("causeway reclaim ADDRESS"), "{}", told(None));
}
