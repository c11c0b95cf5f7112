use super::*;
use crate::user::outlook::tests::{NOW, outlook, output, pending, proposal, txid};
use alloy_primitives::Address;
use bridge::peg::{Content, Version};

fn withdrawal() -> Withdrawal {
    Withdrawal {
        id: 7,
        status: WithdrawalStatus::Queued,
        owner: Address::repeat_byte(1),
        amount_sat: 100_000_000,
        max_fee_sat: 5_000,
        asked_at: NOW - 59,
        tie: None,
        versions: Vec::new(),
        paid_by: None,
        script: vec![0x51; 34].into(),
    }
}

/// Tied to output 1, of which vault transaction 2 spends at 2 sat/vB.
fn tied(outlook: &mut Outlook) -> Withdrawal {
    let content = Content { epoch: 1, rate: 2_000, outputs: vec![1], withdrawals: vec![7], ..Content::default() };
    outlook.vault.pending.push(pending(2, content));
    let version = Version { number: 2, txid: txid(2), status: VaultStatus::Bound, charge_sat: 406 };
    Withdrawal { status: WithdrawalStatus::Tied, tie: Some(1), versions: vec![version], ..withdrawal() }
}

fn told(withdrawal: &Withdrawal, outlook: &Outlook) -> Vec<Wait> {
    waits(withdrawal, &Facts { outlook, in_mempool: None, replaced: None })
}

fn names(withdrawal: &Withdrawal, outlook: &Outlook) -> Vec<&'static str> {
    told(withdrawal, outlook).iter().map(Wait::name).collect()
}

fn advice(withdrawal: &Withdrawal, outlook: &Outlook) -> String {
    told(withdrawal, outlook).iter().map(|wait| wait.advice(7)).collect::<Vec<_>>().join("\n")
}

/// At 20 sat/vB a lone payout takes some thousand satoshis from the reserve.
fn at_20(reserve_sat: i64) -> Outlook {
    let mut outlook = outlook();
    outlook.rate.sat_per_kvb = 20_000;
    outlook.info.books.reserve_sat = reserve_sat;
    outlook
}

#[test]
fn a_withdrawal_that_nothing_stops_waits_for_the_next_payout_and_after_a_minute_says_what_that_is_judged_by() {
    let wait = told(&withdrawal(), &outlook());
    assert_eq!(wait, [Wait::Payout { for_seconds: 59, rate: outlook().rate }]);
    assert_eq!(wait[0].advice(7), "for the federation's next payout");
    let old = advice(&Withdrawal { asked_at: NOW - 600, ..withdrawal() }, &outlook());
    assert!(old.contains("waited 10m") && old.contains("2 sat/vB (your bitcoind's estimate)"), "{old}");
}

#[test]
fn whoever_was_left_out_of_the_version_that_was_mined_is_told_so_and_until_when() {
    let mut outlook = outlook();
    let withdrawal = tied(&mut outlook);
    let wait = waits(&withdrawal, &Facts { outlook: &outlook, in_mempool: Some(false), replaced: Some((3, 4)) });
    assert_eq!(wait, [Wait::Replaced { by: 3, confirmations: 4, final_blocks: outlook.parameters().final_blocks }]);
    assert!(wait[0].advice(7).starts_with("vault transaction 3 was mined in the place of what pays it"), "{wait:?}");
}

#[test]
fn a_fee_spike_that_only_ones_own_bitcoind_sees_makes_the_maximum_too_low() {
    let mut outlook = outlook();
    assert_eq!(names(&withdrawal(), &outlook), ["payout"]);
    outlook.rate.sat_per_kvb = 80_000;
    let said = advice(&withdrawal(), &outlook);
    let charge = of_withdrawal(34, 80_000, outlook.parameters()).to_sat();
    assert!(said.contains(&format!("causeway raise 7 --max-fee '{charge} sat'")), "{said}");
    assert!(said.contains("80 sat/vB (your bitcoind's estimate)") && said.contains("0.00005 BTC"), "{said}");
}

#[test]
fn a_lone_payout_that_the_reserve_cannot_pay_waits_for_the_reserve_with_what_it_needs_and_has() {
    assert_eq!(names(&withdrawal(), &at_20(1_000_000)), ["payout"], "a full one pays");
    // The least that is enough, by the ledger's own rule.
    let need = match told(&withdrawal(), &at_20(i64::MIN / 2)).as_slice() {
        [Wait::Reserve { need_sat, .. }] => *need_sat,
        other => panic!("{other:?}"),
    };
    assert!((300..4_000).contains(&need), "{need}");
    let said = advice(&withdrawal(), &at_20(i64::MIN / 2));
    assert!(said.contains("causeway peg-in --reserve") && said.contains("20 sat/vB"), "{said}");
    // Who pays more than a payout costs needs none: a tie is not asked for twice.
    let poor = Withdrawal { max_fee_sat: 1_000, ..withdrawal() };
    assert_eq!(names(&poor, &at_20(i64::MIN / 2)), ["maximum"], "its own fault is told alone");
}

#[test]
fn a_payout_that_needs_what_is_on_its_way_back_waits_for_those_vault_transactions() {
    let mut outlook = outlook();
    outlook.vault.outputs.push(output(2, 1_000));
    let content = Content { epoch: 1, rate: 2_000, outputs: vec![1], withdrawals: vec![6], ..Content::default() };
    outlook.vault.pending.push(pending(3, content));
    assert_eq!(told(&withdrawal(), &outlook), [Wait::Coins { free_sat: 1_000, pending: vec![3] }]);
    let said = advice(&withdrawal(), &outlook);
    assert!(said.contains("0.00001 BTC") && said.contains("vault transactions [3]"), "{said}");
    outlook.vault.pending.clear();
    outlook.vault.outputs.remove(0);
    assert_eq!(told(&withdrawal(), &outlook), [Wait::Coins { free_sat: 1_000, pending: vec![] }]);
}

#[test]
fn several_small_vault_outputs_pay_a_large_withdrawal_together() {
    let mut outlook = outlook();
    outlook.vault.outputs = (1..=4).map(|number| output(number, 40_000_000)).collect();
    assert_eq!(names(&withdrawal(), &outlook), ["payout"]);
    outlook.vault.outputs.truncate(2);
    assert_eq!(names(&withdrawal(), &outlook), ["coins"]);
}

#[test]
fn a_young_networks_first_withdrawal_waits_until_a_vault_output_is_final() {
    let mut outlook = outlook();
    outlook.vault.outputs[0].rooted = false;
    assert_eq!(told(&withdrawal(), &outlook), [Wait::Root { final_blocks: 100 }]);
}

#[test]
fn a_proposal_that_too_few_approve_is_told_with_who_has_and_who_is_waited_for() {
    let mut outlook = outlook();
    let content = Content { withdrawals: vec![7], ..Content::default() };
    outlook.proposals.push(proposal(5, &[1, 2], content.clone()));
    let what = "has not approved proposal 5 (2 of 3 have)".to_owned();
    outlook.waited_for = vec![WaitedFor { member: 3, name: "carol".into(), what }];
    assert_eq!(names(&withdrawal(), &outlook), ["approvals", "member"]);
    let said = advice(&withdrawal(), &outlook);
    assert!(said.contains("proposal 5: 2 of 3 members have in 40s ([1, 2])"), "{said}");
    assert!(said.contains("for member 3 (carol): has not approved proposal 5"), "{said}");
    outlook.proposals.push(proposal(6, &[1, 2, 4], content));
    outlook.waited_for.clear();
    assert_eq!(names(&withdrawal(), &outlook), ["payout"], "the newest has enough");
}

#[test]
fn each_reason_of_the_ledger_is_named_with_what_can_be_done() {
    let mut all = outlook();
    all.limits.paused_until = NOW + 1;
    assert_eq!(told(&withdrawal(), &all), [Wait::Pause { until: NOW + 1 }]);
    all.limits.alarmed = true;
    all.limits.missing_sat = 1_000;
    all.limits.window_left_sat = 40_000_000;
    all.rate.sat_per_kvb = 80_000;
    assert_eq!(names(&withdrawal(), &all), ["pause", "alarm", "deficit", "maximum", "window"]);
    assert!(told(&withdrawal(), &all).contains(&Wait::Deficit { missing_sat: 1_000, stop_sat: 1_000 }));
    assert!(told(&withdrawal(), &all).contains(&Wait::Window { left_sat: 40_000_000, about_seconds: 301 }));
}

#[test]
fn a_tied_one_waits_for_bitcoin_by_its_newest_version_and_for_nothing_that_stops_first_ties() {
    let mut outlook = outlook();
    let tied = tied(&mut outlook);
    outlook.limits.paused_until = NOW + 1;
    outlook.limits.window_left_sat = 0;
    let rate = outlook.rate;
    let bitcoin = Wait::Bitcoin { txid: txid(2), pays: Some(2_000), in_mempool: None, rate };
    assert_eq!(told(&tied, &outlook), [bitcoin]);
    assert!(advice(&tied, &outlook).contains(&format!("causeway bump {}", txid(2))));
    // Bound since the last look, and its coins with it.
    (outlook.vault.pending, outlook.vault.outputs) = (Vec::new(), Vec::new());
    assert_eq!(names(&tied, &outlook), ["bitcoin"]);
    let paid = Withdrawal { status: WithdrawalStatus::Paid, ..tied };
    assert_eq!(told(&paid, &outlook), []);
}

#[test]
fn a_tied_one_that_a_spike_overtook_says_what_its_next_version_lacks() {
    let mut outlook = at_20(0);
    let tied = tied(&mut outlook);
    assert_eq!(names(&tied, &outlook), ["bitcoin", "reserve"]);
    let said = advice(&tied, &outlook);
    assert!(said.contains("pays 2 sat/vB where 20 sat/vB (your bitcoind's estimate) is wanted"), "{said}");
    outlook.info.books.reserve_sat = 1_000_000;
    assert_eq!(names(&tied, &outlook), ["bitcoin"], "the reserve pays the next version");
    outlook.rate.sat_per_kvb = 200_000;
    assert_eq!(names(&tied, &outlook)[..2], ["bitcoin", "maximum"]);
}

#[test]
fn a_version_that_ones_own_bitcoind_does_not_have_is_being_signed_or_was_dropped() {
    let mut outlook = outlook();
    let tied = tied(&mut outlook);
    let said = waits(&tied, &Facts { outlook: &outlook, in_mempool: Some(false), replaced: None })[0].advice(7);
    assert!(said.contains("Your bitcoind does not have it"), "{said}");
}

/// Scripts read it.
#[test]
fn reasons_are_frozen_in_json() {
    let rate = outlook().rate;
    let member = WaitedFor { member: 3, name: "carol".into(), what: "late".into() };
    let all = [
        Wait::Pause { until: 1 },
        Wait::Alarm,
        Wait::Deficit { missing_sat: 1, stop_sat: 2 },
        Wait::Window { left_sat: 1, about_seconds: 2 },
        Wait::Maximum { max_fee_sat: 1, charge_sat: 2, rate },
        Wait::Reserve { need_sat: 1, reserve_sat: -2, rate },
        Wait::Coins { free_sat: 1, pending: vec![2] },
        Wait::Root { final_blocks: 4 },
        Wait::Approvals { proposal: 1, approved_by: vec![2], threshold: 3, for_seconds: 4 },
        Wait::Member(member),
        Wait::Payout { for_seconds: 1, rate },
        Wait::Replaced { by: 1, confirmations: 2, final_blocks: 3 },
        Wait::Bitcoin { txid: txid(1), pays: Some(1), in_mempool: None, rate },
    ];
    let rate = serde_json::json!({ "satPerKvb": 2_000, "toldBy": "bitcoind" });
    let json = serde_json::json!([
        { "reason": "pause", "until": 1 },
        { "reason": "alarm" },
        { "reason": "deficit", "missingSat": 1, "stopSat": 2 },
        { "reason": "window", "leftSat": 1, "aboutSeconds": 2 },
        { "reason": "maximum", "maxFeeSat": 1, "chargeSat": 2, "rate": rate },
        { "reason": "reserve", "needSat": 1, "reserveSat": -2, "rate": rate },
        { "reason": "coins", "freeSat": 1, "pending": [2] },
        { "reason": "root", "finalBlocks": 4 },
        { "reason": "approvals", "proposal": 1, "approvedBy": [2], "threshold": 3, "forSeconds": 4 },
        { "reason": "member", "member": 3, "name": "carol", "what": "late" },
        { "reason": "payout", "forSeconds": 1, "rate": rate },
        { "reason": "replaced", "by": 1, "confirmations": 2, "finalBlocks": 3 },
        { "reason": "bitcoin", "txid": txid(1), "pays": 1, "inMempool": null, "rate": rate }
    ]);
    assert_eq!(serde_json::to_value(&all).expect("numbers"), json);
    let tagged = json.as_array().expect("a list").iter().map(|reason| reason["reason"].as_str());
    assert!(tagged.eq(all.iter().map(|wait| Some(wait.name()))));
}
