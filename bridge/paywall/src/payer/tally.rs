//! What came of an answer, what it cost, and how much more is promised for it.
//!
//! ```text
//!   |------- before -------|---- delivered ----|-- ahead --|
//!   0                                                      ^ no total beyond is signed, whatever the payee asks for
//! ```
//! Events and bytes are counted here, so a payee that asks for more than it delivered gets no more than `ahead` of it. What only the payee can count (tokens of a
//! model) is paid as it says, within the limit.

use bridge::foreign::shown;

use crate::text::sat;

/// Bytes of a kilobyte.
const KILOBYTE: u128 = 1_000;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    Request,
    Event,
    Byte,
    Kilobyte,
    /// By the payee alone.
    Told(String),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    measure: Measure,
    /// Of a unit.
    price: u128,
    /// What all answers before it cost.
    before: u128,
    events: u64,
    bytes: u64,
    limits: Limits,
    /// What may have been delivered before and was not counted: by a process that was killed. Until the payee said what was spent.
    uncounted: u128,
    /// For this answer, so far.
    promised: u128,
}

/// How far a payer goes, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one answer.
    pub most: u128,
    /// Beyond what was delivered, if the payee asks.
    pub ahead: u128,
    /// Beyond what was delivered, unasked: no more than `ahead`.
    pub step: u128,
}

/// Where a channel stands, as its payer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// All that was promised.
    pub signed: u128,
    pub deposit: u128,
}

/// Why no more is promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("the limit of {} for this answer is reached: {} are promised", sat(*.most), sat(*.promised))]
    Limit { promised: u128, most: u128 },
    #[error("the channel's deposit of {} is used up", sat(*.deposit))]
    Deposit { deposit: u128 },
    #[error(
        "the server asks for {} in all, by what it delivered it is {}: it gets no more (--ahead says how far it is trusted, by one who lost what was kept of the channel, too)",
        sat(*.asked),
        sat(*.cost)
    )]
    AsksTooMuch { asked: u128, cost: u128 },
}

impl Measure {
    #[must_use]
    pub fn of(unit_type: &str) -> Self {
        match unit_type {
            "request" => Self::Request,
            "event" => Self::Event,
            "byte" => Self::Byte,
            "kilobyte" => Self::Kilobyte,
            other => Self::Told(shown(other)),
        }
    }

    /// Whether an answer of any kind is paid for as it comes, and cannot say that it needs more.
    #[must_use]
    pub fn is_of_bytes(&self) -> bool {
        matches!(self, Self::Byte | Self::Kilobyte)
    }

    /// As people read it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
            Self::Byte => "byte",
            Self::Kilobyte => "kilobyte",
            Self::Told(name) => name,
        }
    }
}

impl Tally {
    #[must_use]
    pub fn new(measure: Measure, price: u128, before: u128, limits: Limits) -> Self {
        Self { measure, price, before, events: 0, bytes: 0, limits, uncounted: 0, promised: 0 }
    }

    /// After one that was killed: so much more may have been delivered before.
    #[must_use]
    pub fn after_a_kill(self, uncounted: u128) -> Self {
        Self { uncounted, ..self }
    }

    /// The payee showed that more had been promised in all than was known, which it may have given for. What was promised for this answer so far is a
    /// part of that, and added nothing.
    pub fn remember(&mut self, signed: u128) {
        self.uncounted = self.uncounted.max(signed.saturating_sub(self.before));
        self.promised = 0;
    }

    /// Counts what was delivered.
    pub fn deliver(&mut self, events: u64, bytes: u64) {
        self.events = self.events.saturating_add(events);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts what was promised.
    pub fn promise(&mut self, amount: u128) {
        self.promised = self.promised.saturating_add(amount);
    }

    #[must_use]
    pub fn promised(&self) -> u128 {
        self.promised
    }

    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing came yet.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.events == 0 && self.bytes == 0
    }

    /// What all answers before it cost.
    #[must_use]
    pub fn cost_before(&self) -> u128 {
        self.before
    }

    /// What all cost, this answer included, by our own count; none where that cannot be counted.
    #[must_use]
    pub fn cost(&self) -> Option<u128> {
        let price = self.price;
        let cost = match self.measure {
            Measure::Request => price,
            Measure::Event => price.saturating_mul(self.events.into()),
            Measure::Byte => price.saturating_mul(self.bytes.into()),
            Measure::Kilobyte => price.saturating_mul(self.bytes.into()).div_ceil(KILOBYTE),
            Measure::Told(_) => return None,
        };
        Some(self.before.saturating_add(cost))
    }

    /// What the payee says that was spent before this answer, where it is near enough to what we know: of an answer that broke off some may have been on its way.
    ///
    /// # Errors
    ///
    /// `AsksTooMuch`.
    pub fn begin(&mut self, said: u128, standing: Standing) -> Result<(), Stop> {
        // A page was charged for when its answer begins.
        let is_page = self.measure == Measure::Request && said <= standing.signed;
        let said = if is_page { said.saturating_sub(self.price) } else { said };
        if said > standing.signed || said > self.before.saturating_add(self.limits.ahead.max(self.uncounted)) {
            return if matches!(self.measure, Measure::Told(_)) && said <= standing.signed {
                self.before = said;
                Ok(())
            } else {
                Err(Stop::AsksTooMuch { asked: said, cost: self.before })
            };
        }
        self.before = self.before.max(said);
        self.uncounted = 0;
        Ok(())
    }

    /// The total to promise for a payee that needs `required`: as far ahead as is allowed, so that it seldom has to wait.
    ///
    /// # Errors
    ///
    /// [`Stop`].
    pub fn need(&self, required: u128, standing: Standing) -> Result<u128, Stop> {
        let Standing { signed, deposit } = standing;
        if let Some(cost) = self.cost()
            && required > cost.saturating_add(self.uncounted).saturating_add(self.limits.ahead)
        {
            return Err(Stop::AsksTooMuch { asked: required, cost });
        }
        let free = self.limits.most.saturating_sub(self.promised);
        let highest = signed.saturating_add(free).min(deposit);
        // The limit before the deposit: to that may be added.
        if required > signed.saturating_add(free) {
            return Err(Stop::Limit { promised: self.promised, most: self.limits.most });
        }
        if required > deposit {
            return Err(Stop::Deposit { deposit });
        }
        let wanted = self.cost().unwrap_or(required).saturating_add(self.limits.step);
        Ok(required.max(wanted.min(highest)).max(signed))
    }

    /// Why a payee that is paid by its bytes can give no more: all that was promised has come, and the next byte costs more than may be promised. Such an answer cannot ask.
    #[must_use]
    pub fn is_used_up(&self, standing: Standing) -> Option<Stop> {
        if !self.measure.is_of_bytes() {
            return None;
        }
        let Standing { signed, deposit } = standing;
        let next = Self { bytes: self.bytes.saturating_add(1), ..self.clone() }.cost()?;
        let free = self.limits.most.saturating_sub(self.promised);
        if next > signed.saturating_add(free) {
            return Some(Stop::Limit { promised: self.promised, most: self.limits.most });
        }
        (next > deposit).then_some(Stop::Deposit { deposit })
    }

    /// How much is promised unasked.
    #[must_use]
    pub fn step(&self) -> u128 {
        self.limits.step
    }

    /// Whether the deposit, and not the limit, keeps a payee from being supplied.
    #[must_use]
    pub fn outgrows(&self, standing: Standing) -> bool {
        let supplied = self.supply(Standing { deposit: u128::MAX, ..standing });
        supplied.is_some_and(|total| total > standing.deposit)
    }

    /// The total that keeps a payee supplied: none if enough is promised, or no more is allowed.
    #[must_use]
    pub fn supply(&self, standing: Standing) -> Option<u128> {
        let cost = self.cost()?;
        let Standing { signed, deposit } = standing;
        // Half of it is left: so that what is given goes in few parts.
        if signed.saturating_sub(cost) > self.limits.step / 2 {
            return None;
        }
        let free = self.limits.most.saturating_sub(self.promised);
        let wanted = cost.saturating_add(self.limits.step).min(deposit).min(signed.saturating_add(free));
        (wanted > signed).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(measure: Measure) -> Tally {
        Tally::new(measure, 10, 100, Limits { most: 200, ahead: 30, step: 30 })
    }

    fn standing(signed: u128) -> Standing {
        Standing { signed, deposit: 1_000 }
    }

    #[test]
    fn a_payee_gets_what_it_delivered_and_a_little_ahead_whatever_it_asks_for() {
        let mut tally = tally(Measure::Event);
        assert_eq!(tally.need(110, standing(100)), Ok(130));
        assert_eq!(tally.need(131, standing(100)), Err(Stop::AsksTooMuch { asked: 131, cost: 100 }));
        tally.deliver(5, 999);
        assert_eq!(tally.need(151, standing(150)), Ok(180));
        assert_eq!(tally.need(181, standing(150)), Err(Stop::AsksTooMuch { asked: 181, cost: 150 }));
    }

    #[test]
    fn what_cannot_be_counted_is_paid_as_the_payee_says_within_the_limit() {
        let mut tally = tally(Measure::of("llm_token"));
        assert_eq!((tally.cost(), tally.need(250, standing(100))), (None, Ok(280)));
        tally.promise(180);
        assert_eq!(tally.need(300, standing(280)), Ok(300), "the limit ends what is given ahead");
        assert_eq!(tally.need(301, standing(280)), Err(Stop::Limit { promised: 180, most: 200 }));
        assert_eq!(tally.supply(standing(280)), None);
    }

    #[test]
    fn a_deposit_that_is_used_up_is_said() {
        let tally = Tally::new(Measure::of("x"), 10, 100, Limits { most: u128::MAX, ahead: 0, step: 0 });
        let standing = Standing { signed: 100, deposit: 105 };
        assert_eq!(tally.need(105, standing), Ok(105));
        assert_eq!(tally.need(106, standing), Err(Stop::Deposit { deposit: 105 }));
    }

    #[test]
    fn a_deposit_is_outgrown_when_what_is_promised_ahead_passes_it_and_the_limit_is_said_before_it() {
        let mut tally = tally(Measure::Event);
        let at = |signed| Standing { signed, deposit: 140 };
        assert!(!tally.outgrows(at(130)));
        tally.deliver(2, 0);
        assert!(tally.outgrows(at(130)), "150 would keep it supplied");
        tally.promise(195);
        assert!(!tally.outgrows(at(130)), "no more than 135 may be promised");
        let told = Tally::new(Measure::of("token"), 10, 100, Limits { most: 200, ahead: 0, step: 0 });
        assert_eq!(told.need(301, at(100)), Err(Stop::Limit { promised: 0, most: 200 }), "whatever the deposit");
        assert_eq!(told.need(300, at(100)), Err(Stop::Deposit { deposit: 140 }));
    }

    #[test]
    fn what_was_on_its_way_when_an_answer_broke_off_is_granted_and_no_more() {
        let mut ours = tally(Measure::Event);
        assert_eq!(ours.begin(130, standing(200)), Ok(()));
        assert_eq!(ours.cost(), Some(130));
        assert_eq!(ours.begin(161, standing(200)), Err(Stop::AsksTooMuch { asked: 161, cost: 130 }));
        assert_eq!(ours.begin(90, standing(200)), Ok(()), "less than we know changes nothing");
        let mut page = tally(Measure::Request);
        assert_eq!((page.begin(110, standing(110)), page.cost()), (Ok(()), Some(110)), "this page included");
        let mut told = tally(Measure::of("token"));
        assert_eq!(told.begin(200, standing(200)), Ok(()));
        assert!(told.begin(201, standing(200)).is_err(), "never more than was promised");
    }

    #[test]
    fn what_a_killed_process_did_not_count_is_granted_once() {
        let mut tally = tally(Measure::Event).after_a_kill(80);
        assert_eq!(tally.need(210, standing(180)), Ok(210));
        assert_eq!((tally.begin(180, standing(180)), tally.cost()), (Ok(()), Some(180)));
        assert_eq!(tally.need(211, standing(180)), Err(Stop::AsksTooMuch { asked: 211, cost: 180 }));
    }

    #[test]
    fn what_was_promised_and_forgotten_is_granted_when_it_is_shown() {
        let mut tally = Tally::new(Measure::Request, 25, 0, Limits { most: 30, ahead: 0, step: 0 });
        assert_eq!(tally.need(100, standing(25)), Err(Stop::AsksTooMuch { asked: 100, cost: 25 }));
        tally.promise(25);
        tally.remember(75);
        assert_eq!(tally.need(100, standing(75)), Ok(100), "the limit is for what is promised anew");
        assert_eq!(tally.need(101, standing(75)), Err(Stop::AsksTooMuch { asked: 101, cost: 25 }));
    }

    #[test]
    fn a_payee_is_supplied_when_half_of_what_is_ahead_is_used() {
        let mut tally = tally(Measure::Event);
        assert_eq!(tally.supply(standing(130)), None);
        tally.deliver(2, 0);
        assert_eq!(tally.supply(standing(130)), Some(150));
        tally.promise(195);
        assert_eq!(tally.supply(standing(130)), Some(135), "as far as the limit goes");
        tally.promise(5);
        assert_eq!(tally.supply(standing(130)), None);
    }

    #[test]
    fn an_answer_of_bytes_is_used_up_when_its_next_byte_may_not_be_paid() {
        let mut tally = Tally::new(Measure::Kilobyte, 10, 100, Limits { most: 50, ahead: 30, step: 30 });
        let at = |signed, deposit| Standing { signed, deposit };
        tally.deliver(0, 4_900);
        assert_eq!(tally.is_used_up(at(100, 1_000)), None, "fifty may be promised");
        tally.promise(50);
        assert_eq!(tally.is_used_up(at(150, 1_000)), None, "a hundred bytes are to come");
        tally.deliver(0, 100);
        assert_eq!(tally.is_used_up(at(150, 1_000)), Some(Stop::Limit { promised: 50, most: 50 }));
        let mut small = Tally::new(Measure::Byte, 10, 0, Limits { most: 500, ahead: 30, step: 30 });
        small.deliver(0, 10);
        assert_eq!(small.is_used_up(at(100, 100)), Some(Stop::Deposit { deposit: 100 }));
        let mut events = Tally::new(Measure::Event, 10, 0, Limits { most: 0, ahead: 0, step: 0 });
        events.deliver(9, 900);
        assert_eq!(events.is_used_up(at(90, 90)), None, "those ask");
    }

    proptest! {
        // However a payee asks: what is promised stays within the limit, the deposit, and what was delivered and is given ahead.
        #[test]
        fn no_asking_goes_beyond_any_bound(asked in prop::collection::vec((0u128..400, 0u64..3), 1..60)) {
            let mut tally = tally(Measure::Event);
            let mut at = Standing { signed: 100, deposit: 280 };
            for (required, events) in asked {
                tally.deliver(events, 0);
                let total = tally.need(required, at).ok().or_else(|| tally.supply(at));
                if let Some(total) = total {
                    prop_assert!(total >= at.signed);
                    tally.promise(total - at.signed);
                    at.signed = total;
                }
                prop_assert!(tally.promised() <= 200 && at.signed <= 280);
                prop_assert!(at.signed <= tally.cost().unwrap() + 30 || at.signed == 100);
            }
        }
    }
}
