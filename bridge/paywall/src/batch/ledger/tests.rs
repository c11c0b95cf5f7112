use alloy_primitives::Address;
use proptest::prelude::*;

use super::*;

const PRICE: u128 = 25;
const LEAST: u128 = 100;
const NOW: u64 = 1_775_044_800;
const RULES: ClaimRules = ClaimRules { cost: 10, worth: 200, wait_s: 3_600 };

fn channel(number: u8) -> B256 {
    B256::repeat_byte(number)
}

fn config() -> Config {
    Config {
        payer: Address::repeat_byte(1),
        payer_authorizer: Address::repeat_byte(2),
        receiver: Address::repeat_byte(3),
        receiver_authorizer: Address::repeat_byte(4),
        token: Address::repeat_byte(5),
        withdraw_delay: 86_400,
        salt: B256::ZERO,
    }
}

fn mirror(balance: u128, claimed: u128) -> Mirror {
    Mirror { balance, claimed, ..Mirror::default() }
}

fn voucher(max: u128) -> Voucher {
    Voucher { max, signature: Bytes::from(max.to_be_bytes()) }
}

/// A ledger with channel 1, which has so much.
fn ledger(balance: u128) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.open(channel(1), &config(), mirror(balance, 0), LEAST, NOW).expect("it is large enough");
    ledger
}

fn seen(ledger: &mut Ledger, mirror: Mirror) {
    let look = ledger.look();
    ledger.seen(channel(1), mirror, look);
}

/// Pays for a page, and says what that changed on disk.
fn pay(ledger: &mut Ledger, max: u128) -> Result<Record, Refusal> {
    ledger.check(channel(1), max, PRICE, 0, NOW)?;
    Ok(ledger.charge(channel(1), &voucher(max), PRICE, NOW, None).expect("known"))
}

fn code(result: Result<impl Sized, Refusal>) -> &'static str {
    result.err().map_or("none", |refusal| refusal.code())
}

#[test]
fn one_request_has_a_channel_in_hand_and_others_do_not_wait() {
    let mut ledger = ledger(1_000);
    ledger.hold(channel(1)).expect("free");
    assert_eq!(code(ledger.hold(channel(1))), "channel-busy");
    ledger.hold(channel(2)).expect("another, known or not");
    ledger.let_go(channel(1));
    ledger.hold(channel(1)).expect("free again");
}

#[test]
fn each_voucher_is_for_the_price_more_than_was_charged() {
    let mut ledger = ledger(100);
    for max in [25, 50, 75, 100] {
        for wrong in [0, max - PRICE, max - 1, max + 1, max + PRICE, u128::MAX] {
            assert_eq!(code(pay(&mut ledger, wrong)), "other-total", "{wrong} instead of {max}");
        }
        pay(&mut ledger, max).expect("right");
    }
    assert_eq!(code(pay(&mut ledger, 125)), "over-balance");
    ledger.check(channel(1), 125, PRICE, 25, NOW).expect("with what comes with it");
}

#[test]
fn who_signs_for_another_total_is_told_what_it_signed_last() {
    let mut ledger = ledger(100);
    pay(&mut ledger, 25).expect("right");
    let Err(Refusal::Batch(flaw)) = pay(&mut ledger, 25) else { panic!("it was charged already") };
    let told = flaw.correction().expect("a correction");
    assert_eq!(told.channel_state["chargedCumulativeAmount"], "25");
    assert_eq!(told.voucher_state.as_ref().expect("a voucher")["signedMaxClaimable"], "25");
}

#[test]
fn what_a_payer_takes_back_pays_for_nothing_though_it_has_not_taken_it_yet() {
    let mut ledger = ledger(100);
    pay(&mut ledger, 25).expect("right");
    let closing = Mirror { withdrawal: 60, withdrawal_at: NOW, ..mirror(100, 0) };
    seen(&mut ledger, closing);
    assert_eq!(code(pay(&mut ledger, 50)), "channel-closing");
    seen(&mut ledger, Mirror { withdrawal: 50, ..closing });
    pay(&mut ledger, 50).expect("the rest pays");
}

#[test]
fn dust_is_no_channel_but_who_has_paid_once_is_large_enough() {
    let mut ledger = Ledger::default();
    assert_eq!(code(ledger.open(channel(1), &config(), mirror(0, 0), LEAST, NOW)), "no-channel");
    assert_eq!(code(ledger.open(channel(1), &config(), mirror(99, 0), LEAST, NOW)), "channel-too-small");
    let locked = Mirror { withdrawal: 60, withdrawal_at: NOW, ..mirror(100, 0) };
    assert_eq!(code(ledger.open(channel(1), &config(), locked, LEAST, NOW)), "channel-too-small");
    ledger.open(channel(1), &config(), mirror(60, 25), LEAST, NOW).expect("it has paid");
    assert_eq!(ledger.find(channel(1)).expect("known").charged, 25, "the baseline is what was claimed");
}

#[test]
fn a_channel_that_owes_is_claimed_by_value_by_time_and_before_its_payer_takes_its_money() {
    let mut ledger = ledger(1_000);
    let reason = |ledger: &Ledger, now| ledger.due(&RULES, now, 9).first().map(|row| (row.reason, row.total));
    pay(&mut ledger, 25).expect("right");
    assert_eq!(reason(&ledger, NOW), None);
    assert_eq!(reason(&ledger, NOW + 3_600), Some((Reason::Waited, 25)));
    seen(&mut ledger, Mirror { withdrawal: 975, withdrawal_at: NOW, ..mirror(1_000, 0) });
    assert_eq!(reason(&ledger, NOW), Some((Reason::Closing, 25)));
    seen(&mut ledger, mirror(1_000, 25));
    assert_eq!(reason(&ledger, NOW + 3_600), None, "nothing is owed");
    for max in (50..=225).step_by(25) {
        pay(&mut ledger, max).expect("right");
    }
    assert_eq!(reason(&ledger, NOW), Some((Reason::Worth, 225)));
    ledger.postpone(channel(1), NOW);
    assert_eq!(reason(&ledger, NOW), None);
    assert_eq!(reason(&ledger, NOW + 60), Some((Reason::Worth, 225)));
    // The payer was faster: what is left is claimed.
    seen(&mut ledger, mirror(200, 25));
    assert_eq!(ledger.row(channel(1)).map(|row| (row.total, row.amount)), Some((200, 175)));
}

#[test]
fn of_two_looks_the_later_counts_whichever_ends_first() {
    let mut ledger = ledger(1_000);
    let (first, second) = (ledger.look(), ledger.look());
    ledger.seen(channel(1), mirror(400, 0), second);
    ledger.seen(channel(1), mirror(1_000, 0), first);
    assert_eq!(ledger.find(channel(1)).and_then(|known| known.mirror), Some(mirror(400, 0)));
}

#[test]
fn what_fails_often_is_asked_for_again_only_after_a_while() {
    let mut ledger = ledger(1_000);
    for _ in 0..MOST_FAILURES {
        ledger.check(channel(1), 25, PRICE, 0, NOW).expect("right");
        ledger.failed(channel(1), NOW);
    }
    assert_eq!(code(ledger.check(channel(1), 25, PRICE, 0, NOW)), "channel-failing");
    ledger.check(channel(1), 25, PRICE, 0, NOW + FAILURES_WITHIN_S).expect("later");
}

#[test]
fn no_channel_has_gas_spent_for_it_that_it_does_not_pay_for() {
    let mut ledger = ledger(1_000);
    ledger.check_gas(channel(1), 0, false).expect("the first deposit");
    ledger.spent(channel(1), 16).expect("known");
    assert_eq!(code(ledger.check_gas(channel(1), 0, false)), "gas-not-paid");
    assert_eq!(code(ledger.check_gas(channel(1), 13, true)), "refund-gas-not-paid");
    pay(&mut ledger, 25).expect("right");
    ledger.check_gas(channel(1), 0, false).expect("25 were paid");
    assert_eq!(code(ledger.check_gas(channel(1), 13, true)), "refund-gas-not-paid");
    pay(&mut ledger, 50).expect("right");
    ledger.check_gas(channel(1), 13, true).expect("50 were paid");
}

#[test]
fn a_retry_with_its_key_gets_its_answer_again_and_no_other_does() {
    let mut ledger = ledger(1_000);
    let asked = |purpose, key| Some(Asked { purpose: B256::repeat_byte(purpose), key: B256::repeat_byte(key) });
    assert!(ledger.charge(channel(1), &voucher(25), PRICE, NOW, asked(1, 1)).is_some());
    for (max, other) in [(25, None), (25, asked(2, 1)), (25, asked(1, 2)), (50, asked(1, 1))] {
        assert!(!ledger.repeats(channel(1), &voucher(max), other));
    }
    let repeated = (0..20).filter(|_| ledger.repeats(channel(1), &voucher(25), asked(1, 1))).count();
    assert_eq!(repeated, 8);
    pay(&mut ledger, 50).expect("right");
    assert!(!ledger.repeats(channel(1), &voucher(25), asked(1, 1)), "the next voucher ends it");
}

#[test]
fn who_reads_a_voucher_on_the_chain_gets_no_answer_that_is_kept() {
    let mut ledger = ledger(1_000);
    let asked = Some(Asked { purpose: B256::repeat_byte(1), key: B256::repeat_byte(1) });
    assert!(ledger.charge(channel(1), &voucher(25), PRICE, NOW, asked).is_some());
    assert!(ledger.repeats(channel(1), &voucher(25), asked));
    seen(&mut ledger, mirror(1_000, 25));
    assert!(!ledger.repeats(channel(1), &voucher(25), asked));
    // Nor is told a voucher that is not there.
    pay(&mut ledger, 50).expect("right");
    let told = |ledger: &mut Ledger, shown| match ledger.check(channel(1), shown, PRICE, 0, NOW) {
        Err(Refusal::Batch(flaw)) => flaw.correction().expect("a channel that is known").voucher_state.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(!told(&mut ledger, 25));
    assert!(told(&mut ledger, 30), "who lost its state signs more than the chain says");
}

#[test]
fn when_there_are_many_those_that_owe_nothing_make_room_and_no_other() {
    let mut ledger = Ledger::default();
    let id = |number: u64| B256::from(U256::from(number));
    for number in 0..MOST_CHANNELS as u64 {
        ledger.open(id(number), &config(), mirror(1_000, 0), LEAST, NOW + number).expect("there is room");
        assert!(ledger.charge(id(number), &voucher(25), PRICE, NOW + number, None).is_some());
    }
    assert_eq!(code(ledger.open(id(u64::MAX), &config(), mirror(1_000, 0), LEAST, NOW)), "busy");
    for number in [7, 9] {
        let look = ledger.look();
        ledger.seen(id(number), mirror(1_000, 25), look);
    }
    ledger.hold(id(7)).expect("free");
    ledger.open(id(u64::MAX), &config(), mirror(1_000, 0), LEAST, NOW).expect("one made room");
    assert!(ledger.knows(id(7)) && !ledger.knows(id(9)), "what a request has in hand stays");
    assert!(ledger.close(id(u64::MAX)).is_some(), "it owes nothing");
    assert!(ledger.close(id(1)).is_none(), "it owes");
}

/// What can happen to a channel.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pay { more: u128 },
    Deposit { amount: u128 },
    Initiate { amount: u128 },
    Finalize,
    Claim,
    Look,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..60u128).prop_map(|more| Step::Pay { more }),
        1 => (1..300u128).prop_map(|amount| Step::Deposit { amount }),
        1 => (1..300u128).prop_map(|amount| Step::Initiate { amount }),
        1 => Just(Step::Finalize),
        2 => Just(Step::Claim),
        2 => Just(Step::Look),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    /// The contract beside the ledger, by its rules. A payer does whatever it likes, but a withdrawal is finalised only after what was due was claimed, as the
    /// delay makes it be.
    #[test]
    fn all_that_was_charged_is_claimed_whatever_the_payer_does(steps in steps()) {
        let mut ledger = ledger(500);
        let (mut chain, mut charged, mut disk) = (mirror(500, 0), 0u128, ledger.records());
        let claim = |ledger: &mut Ledger, chain: &mut Mirror| {
            for row in ledger.due(&ClaimRules { cost: 0, worth: 0, wait_s: 0 }, NOW + 120, 9) {
                assert!(row.total <= row.voucher.max && row.total <= chain.balance && row.total > chain.claimed);
                chain.claimed = row.total;
            }
        };
        for step in steps {
            match step {
                Step::Pay { more } => {
                    let max = charged + more;
                    let paid = pay(&mut ledger, max);
                    if let Ok(record) = paid {
                        prop_assert_eq!(more, PRICE);
                        charged = max;
                        disk.push(record);
                    }
                }
                Step::Deposit { amount } => chain.balance += amount,
                Step::Initiate { amount } if chain.withdrawal_at == 0 && amount <= chain.balance - chain.claimed => {
                    (chain.withdrawal, chain.withdrawal_at) = (amount, NOW);
                    seen(&mut ledger, chain);
                }
                Step::Initiate { .. } => {}
                Step::Finalize if chain.withdrawal_at != 0 => {
                    seen(&mut ledger, chain);
                    claim(&mut ledger, &mut chain);
                    let taken = chain.withdrawal.min(chain.balance - chain.claimed);
                    (chain.balance, chain.withdrawal, chain.withdrawal_at) = (chain.balance - taken, 0, 0);
                    seen(&mut ledger, chain);
                }
                Step::Finalize => {}
                Step::Claim => {
                    seen(&mut ledger, chain);
                    claim(&mut ledger, &mut chain);
                    seen(&mut ledger, chain);
                }
                Step::Look => seen(&mut ledger, chain),
                Step::Restart => {
                    ledger = Ledger::replay(disk.clone());
                    prop_assert_eq!(ledger.unread(9).len(), usize::from(charged > 0));
                    disk = ledger.records();
                    prop_assert_eq!(&Ledger::replay(disk.clone()).records(), &disk);
                    seen(&mut ledger, chain);
                }
            }
            prop_assert_eq!(ledger.find(channel(1)).expect("known").charged, charged);
        }
        seen(&mut ledger, chain);
        claim(&mut ledger, &mut chain);
        prop_assert_eq!(chain.claimed, charged, "all of it");
    }
}
