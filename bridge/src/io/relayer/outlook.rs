//! How the peg stands, by this relayer's own node, for its operator's monitoring: what stops payouts, what is late.

use super::health::{Health, PegState, Vitals, Work};
use crate::plan::late_outputs;
use crate::relay::drafting::{InUse, ledger_facts};
use crate::relay::facts::BitcoinView;
use crate::relay::proposing::at_rate;
use crate::relay::view::{LedgerView, Withdrawal};

/// What is told, and what was.
pub struct Outlook {
    vitals: Vitals,
    recovery_delay: u32,
    alarm: Health,
    refresh: Health,
    payouts: Health,
}

impl Outlook {
    pub fn new(vitals: &Vitals, recovery_delay: u32) -> Self {
        Self {
            vitals: vitals.clone(),
            recovery_delay,
            alarm: Health::new(vitals, "the vault", "no theft from the vault is shown any more"),
            refresh: Health::new(
                vitals,
                "the vault's refresh",
                "all vault outputs are younger than half of the recovery delay",
            ),
            payouts: Health::new(vitals, "payouts", "withdrawals are tied again"),
        }
    }

    /// Tells how the peg stands now.
    pub fn tell(&mut self, ledger: &LedgerView, bitcoin: Option<&BitcoinView>) {
        let Some(limits) = &ledger.limits else { return };
        let now_s = ledger.head.time_s;
        let late = self.late(ledger, bitcoin);
        let oldest = ledger.withdrawals.values().map(|withdrawal: &Withdrawal| withdrawal.asked_at).min();
        let state = PegState {
            stopped: limits.stopped,
            paused_until: (limits.paused_until > now_s).then_some(limits.paused_until),
            alarmed: limits.alarmed,
            missing_sat: limits.missing_sat,
            reserve_sat: ledger.info.books.reserve_sat,
            waiting: ledger.withdrawals.len(),
            oldest_unpaid_s: oldest.map(|asked_at| now_s.saturating_sub(asked_at)),
            late_outputs: late.clone(),
        };
        if limits.alarmed {
            let text = "something that is no vault transaction spends a vault output: nothing is tied while that is in the best chain";
            self.alarm.note("alarm", text.to_owned());
        } else {
            self.alarm.recovered();
        }
        if late.is_empty() {
            self.refresh.recovered();
        } else {
            let text =
                format!("vault outputs {late:?} are older than half of the recovery delay, and not refreshed yet");
            self.refresh.note("late", text);
        }
        self.tell_stop(&state, limits.stop_sat);
        self.vitals.peg(state);
    }

    /// Tells what this relayer works on now.
    pub fn tell_work(&self, work: Work) {
        self.vitals.work(work);
    }

    fn tell_stop(&mut self, state: &PegState, stop_sat: u64) {
        if state.missing_sat >= stop_sat {
            let text = format!("{} sat are missing: nothing is tied until they are covered", state.missing_sat);
            self.payouts.note("deficit", text);
        } else if let Some(until) = state.paused_until {
            self.payouts.note("pause", format!("a guardian has paused first ties until {until} (seconds since 1970)"));
        } else {
            self.payouts.recovered();
        }
    }

    fn late(&self, ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Vec<u32> {
        let rate = bitcoin.and_then(|bitcoin| bitcoin.rates).map_or(0, |rates| rates.now);
        let on = at_rate(ledger, rate, rate, self.recovery_delay, 0);
        ledger_facts(ledger, &InUse::default()).map(|facts| late_outputs(&facts, &on)).unwrap_or_default()
    }
}
