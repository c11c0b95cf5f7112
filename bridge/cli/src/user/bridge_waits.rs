//! What the bridge can do for everybody now, and what it cannot, and why (docs/ledger.md, "first ties"). Pure.

use bitcoin::Amount;
use bridge::amount::show;
use bridge::peg::{Pending, Withdrawal, WithdrawalStatus};
use serde::Serialize;

use super::alone::free;
use super::charge::{of_withdrawal, rate_shown};
use super::outlook::{Outlook, Rate};
use super::withdrawal_waits::{Wait, approvals, lacks, stops};

/// What can be paid now, and what stops more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Now {
    /// The largest withdrawal that a payout could begin with; 0 while nothing is tied for the first time.
    pub payable_sat: u64,
    /// In vault outputs that no vault transaction is about to spend.
    pub free_sat: u64,
    pub free_outputs: usize,
    /// What stops first ties, or those of lone withdrawals of the usual kind.
    pub stopped_by: Vec<Wait>,
    pub rate: Rate,
}

/// By what everybody can see.
pub fn now(outlook: &Outlook) -> Now {
    let free = free(outlook);
    let free_sat = free.iter().map(|output| output.amount_sat).sum();
    let mut stopped_by = stops(outlook);
    let unanswered = approvals(outlook, |_| true);
    let is_stopped = !stopped_by.is_empty() || unanswered.as_ref().is_some_and(|wait| is_honest(wait, outlook));
    stopped_by.extend(unanswered);
    stopped_by.extend(lacks(&lone(outlook), outlook));
    let is_rooted = free.iter().any(|output| output.rooted);
    let most = free.iter().take(outlook.parameters().max_inputs.into()).map(|output| output.amount_sat).sum::<u64>();
    let payable_sat = if is_stopped || !is_rooted { 0 } else { most.min(outlook.limits.window_left_sat) };
    Now { payable_sat, free_sat, free_outputs: free.len(), stopped_by, rate: outlook.rate }
}

/// Whether more members approved a proposal than could all be lying: then it is the others who are missing, and not the proposal that is bad.
fn is_honest(unanswered: &Wait, outlook: &Outlook) -> bool {
    let may_lie = outlook.info.members.len().saturating_sub(outlook.info.threshold.into());
    matches!(unanswered, Wait::Approvals { approved_by, .. } if approved_by.len() > may_lie)
}

/// A small withdrawal to a P2TR output that agrees to any fee.
fn lone(outlook: &Outlook) -> Withdrawal {
    const P2TR: usize = 34;
    let parameters = outlook.parameters();
    let max_fee = of_withdrawal(P2TR, outlook.rate.sat_per_kvb, parameters);
    let amount_sat = max_fee.to_sat().saturating_add(parameters.min_withdrawal_sat);
    Withdrawal {
        id: 1,
        status: WithdrawalStatus::Queued,
        owner: alloy_primitives::Address::ZERO,
        amount_sat,
        max_fee_sat: max_fee.to_sat(),
        asked_at: outlook.now(),
        tie: None,
        versions: Vec::new(),
        paid_by: None,
        script: vec![0x51; P2TR].into(),
    }
}

/// A vault transaction on its way, in a line.
pub fn on_the_way(pending: &Pending, now: u64) -> String {
    let content = &pending.content;
    let what = match (content.deposits.len(), content.withdrawals.len()) {
        (0, 0) => format!("moves vault outputs {:?}", content.outputs),
        (0, payouts) => format!("pays {} from vault outputs {:?}", counted(payouts, "withdrawal"), content.outputs),
        (deposits, _) => format!("sweeps {}", counted(deposits, "deposit")),
    };
    let age = std::time::Duration::from_secs(now.saturating_sub(pending.bound_at));
    format!(
        "vault transaction {} {what} at {} sat/vB, bound {} ago ({})",
        pending.number,
        rate_shown(content.rate),
        humantime::format_duration(age),
        pending.txid
    )
}

/// What can be paid, for people.
pub fn payable(now: &Now) -> String {
    let sat = |sat| show(Amount::from_sat(sat));
    let outputs = counted(now.free_outputs, "free vault output");
    format!("{} at once now; {} in {outputs}", sat(now.payable_sat), sat(now.free_sat))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Why no more, for people.
pub fn stopped(wait: &Wait) -> String {
    match wait {
        Wait::Reserve { need_sat, reserve_sat, rate } => format!(
            "the reserve has {}, and a withdrawal that is paid alone takes {} from it at {}: such wait for others to share the payout, a lower rate, or the reserve (causeway peg-in --reserve)",
            bridge::amount::show_signed(*reserve_sat),
            show(Amount::from_sat(*need_sat)),
            rate.shown()
        ),
        other => other.of_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::outlook::tests::{NOW, outlook, output, pending, proposal, txid};
    use bridge::peg::Content;

    fn payout_of(outputs: Vec<u32>) -> Content {
        Content { epoch: 1, rate: 2_000, outputs, withdrawals: vec![1, 2], ..Content::default() }
    }

    #[test]
    fn what_can_be_paid_at_once_is_what_window_and_free_coins_allow() {
        let mut outlook = outlook();
        let told = now(&outlook);
        assert_eq!((told.payable_sat, told.free_sat, told.free_outputs), (200_000_000, 1_000_000_000, 1));
        assert!(told.stopped_by.is_empty(), "{told:?}");
        assert_eq!(payable(&told), "2 BTC at once now; 10 BTC in 1 free vault output");
        outlook.vault.outputs[0].amount_sat = 5_000_000;
        assert_eq!(now(&outlook).payable_sat, 5_000_000);
    }

    #[test]
    fn nothing_can_be_paid_while_anything_stops_first_ties_or_all_coins_are_on_their_way() {
        let mut paused = outlook();
        paused.limits.paused_until = NOW + 1;
        assert_eq!((now(&paused).payable_sat, now(&paused).stopped_by[0].name()), (0, "pause"));
        let mut alarmed = outlook();
        alarmed.limits.alarmed = true;
        assert_eq!((now(&alarmed).payable_sat, now(&alarmed).stopped_by[0].name()), (0, "alarm"));
        let mut short = outlook();
        short.limits.missing_sat = 1_000;
        assert_eq!((now(&short).payable_sat, now(&short).stopped_by[0].name()), (0, "deficit"));
        let mut busy = outlook();
        busy.vault.pending.push(pending(2, payout_of(vec![1])));
        let told = now(&busy);
        assert_eq!((told.payable_sat, told.stopped_by), (0, vec![Wait::Coins { free_sat: 0, pending: vec![2] }]));
        let mut young = outlook();
        young.vault.outputs[0].rooted = false;
        assert_eq!((now(&young).payable_sat, now(&young).stopped_by[0].name()), (0, "root"));
        let mut empty = outlook();
        empty.vault.outputs.clear();
        assert_eq!((now(&empty).payable_sat, now(&empty).free_outputs), (0, 0));
    }

    #[test]
    fn nothing_can_be_paid_while_too_few_members_approve_and_junk_of_one_member_alone_stops_nothing() {
        let mut dead = outlook();
        dead.proposals.push(proposal(5, &[1, 2], payout_of(vec![1])));
        assert_eq!((now(&dead).payable_sat, now(&dead).stopped_by[0].name()), (0, "approvals"));
        dead.proposals[0].approvals.remove(&2);
        assert_eq!((now(&dead).payable_sat, now(&dead).stopped_by[0].name()), (200_000_000, "approvals"));
        dead.proposals.push(proposal(6, &[1, 2, 3], payout_of(vec![1])));
        assert_eq!((now(&dead).payable_sat, now(&dead).stopped_by.len()), (200_000_000, 0), "the federation works");
    }

    #[test]
    fn a_reserve_that_is_used_up_is_told_before_anybody_waits_for_it() {
        let mut outlook = outlook();
        outlook.rate.sat_per_kvb = 20_000;
        outlook.info.books.reserve_sat = i64::MIN / 2;
        let told = now(&outlook);
        assert_eq!(told.stopped_by.iter().map(Wait::name).collect::<Vec<_>>(), ["reserve"]);
        assert!(stopped(&told.stopped_by[0]).contains("causeway peg-in --reserve"), "{told:?}");
        assert_eq!(told.payable_sat, 200_000_000, "several that share a payout may need none");
    }

    #[test]
    fn what_is_on_its_way_is_told_with_its_rate_and_age() {
        let told = on_the_way(&pending(2, payout_of(vec![1])), NOW);
        let txid = txid(2);
        let want = "vault transaction 2 pays 2 withdrawals from vault outputs [1] at 2 sat/vB, bound 1m ago";
        assert_eq!(told, format!("{want} ({txid})"));
        let outputs = vec![output(1, 1).number, 4];
        let moved = on_the_way(&pending(3, Content { withdrawals: vec![], ..payout_of(outputs) }), NOW);
        assert!(moved.contains("moves vault outputs [1, 4]"), "{moved}");
    }
}
