//! Channels that are opened or filled at the payee's cost, until what was bought by them has paid for it.
//!
//! ```text
//!   begun --> opened, not yet paid for --> paid for           its payer may have one more
//!     |              |
//!     |              +-------------------> over before that   counts as a settlement that failed
//!     +--> failed, or nothing was sent
//! ```
//! An opening counts like a settlement of its payer ([`crate::payers`]), from its beginning until it has paid for itself: four at first, one more for each that did, and
//! none for an hour after three that did not. What has landed has bought nothing yet, and nothing that an upstream fails to give is bought.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};

use crate::payers::{Outcome, Payers, Turn};
use crate::refusal::Refusal;

/// Openings that are remembered, at 200 bytes or so each. The oldest makes room: to push one out others have to be opened and funded.
const MOST: usize = 100_000;

/// Openings of all payers.
#[derive(Debug, Default)]
pub struct Openings {
    payers: Payers,
    unpaid: BTreeMap<B256, Unpaid>,
}

/// One that has not yet paid for itself.
#[derive(Clone, Copy, Debug)]
struct Unpaid {
    payer: Address,
    gas_wei: u128,
    since: u64,
}

/// How a channel stands that was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What was bought by it, in wei.
    pub bought: u128,
    /// Its payer takes its money back, or has it.
    pub is_over: bool,
}

/// As many openings of a payer are not paid for as may be, or it left too many before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds until the next may be tried; none: when some have paid for themselves.
    pub wait_s: Option<u64>,
}

impl Openings {
    /// Begins one: to be followed by [`Self::opened`] or [`Self::ended`].
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub fn begin(&mut self, payer: Address, now: u64) -> Result<(), TooMany> {
        match self.payers.turn(payer, false, now) {
            Turn::Begin => Ok(()),
            // Nobody waits for it: others may buy something in a year, or never.
            Turn::Wait => {
                self.payers.gives_up(payer);
                Err(TooMany { wait_s: None })
            }
            Turn::Refuse(Refusal::FailedBefore { wait_s, .. }) => Err(TooMany { wait_s: Some(wait_s) }),
            Turn::Refuse(_) => Err(TooMany { wait_s: None }),
        }
    }

    /// One that was begun is done, for so much gas.
    pub fn opened(&mut self, channel: B256, payer: Address, gas_wei: u128, now: u64) {
        if let Some(before) = self.unpaid.insert(channel, Unpaid { payer, gas_wei, since: now }) {
            self.payers.ended(before.payer, Outcome::Unknown, now);
        }
        if self.unpaid.len() > MOST
            && let Some(oldest) = self.unpaid.iter().min_by_key(|(_, unpaid)| unpaid.since).map(|(id, _)| *id)
        {
            self.end(oldest, Outcome::Unknown, now);
        }
    }

    /// One that an earlier process did: it counts whatever its payer has beside.
    pub fn recall(&mut self, channel: B256, payer: Address, gas_wei: u128, now: u64) {
        self.payers.recall(payer, now);
        self.opened(channel, payer, gas_wei, now);
    }

    /// One that was begun is not done.
    pub fn ended(&mut self, payer: Address, outcome: Outcome, now: u64) {
        self.payers.ended(payer, outcome, now);
    }

    /// Those of a payer that have not yet paid for themselves.
    #[must_use]
    pub fn unpaid_of(&self, payer: Address) -> Vec<B256> {
        self.unpaid.iter().filter(|(_, unpaid)| unpaid.payer == payer).map(|(channel, _)| *channel).collect()
    }

    /// Sees whether one has paid for itself, or will not any more.
    pub fn look(&mut self, channel: B256, standing: Standing, now: u64) {
        let Some(unpaid) = self.unpaid.get(&channel) else { return };
        if standing.bought >= unpaid.gas_wei {
            self.end(channel, Outcome::Paid, now);
        } else if standing.is_over {
            self.end(channel, Outcome::Failed, now);
        }
    }

    fn end(&mut self, channel: B256, outcome: Outcome, now: u64) {
        if let Some(unpaid) = self.unpaid.remove(&channel) {
            self.payers.ended(unpaid.payer, outcome, now);
        }
    }

    /// Forgets payers who were not here for long.
    pub fn expire(&mut self, now: u64) {
        self.payers.expire(now);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    const NOW: u64 = 1_775_044_800;
    const GAS: u128 = 13;
    const PAYER: Address = Address::repeat_byte(1);

    fn channel(number: usize) -> B256 {
        B256::from(U256::from(number))
    }

    fn open(openings: &mut Openings, number: usize) -> Result<(), TooMany> {
        openings.begin(PAYER, NOW)?;
        openings.opened(channel(number), PAYER, GAS, NOW);
        Ok(())
    }

    fn bought(bought: u128) -> Standing {
        Standing { bought, is_over: false }
    }

    #[test]
    fn four_are_open_at_first_and_one_more_for_each_that_paid_for_itself() {
        let mut openings = Openings::default();
        let opened = (0..100).filter(|number| open(&mut openings, *number).is_ok()).count();
        assert_eq!((opened, openings.unpaid_of(PAYER).len()), (4, 4));
        openings.look(channel(0), bought(GAS - 1), NOW);
        assert_eq!(open(&mut openings, 4), Err(TooMany { wait_s: None }), "nearly is not paid for");
        openings.look(channel(0), bought(GAS), NOW);
        assert_eq!((open(&mut openings, 4), open(&mut openings, 5)), (Ok(()), Ok(())));
        assert!(open(&mut openings, 6).is_err());
        assert!(openings.begin(Address::repeat_byte(2), NOW).is_ok(), "nobody else");
    }

    #[test]
    fn whoever_leaves_three_before_they_paid_opens_none_for_an_hour() {
        let mut openings = Openings::default();
        let left = Standing { bought: 2, is_over: true };
        for number in 0..3 {
            open(&mut openings, number).expect("it is trusted");
            openings.look(channel(number), left, NOW);
        }
        assert_eq!(open(&mut openings, 3), Err(TooMany { wait_s: Some(3_600) }));
        openings.expire(NOW + 3_600);
        assert!(openings.begin(PAYER, NOW + 3_600).is_ok());
        // What has paid for itself may leave.
        let mut openings = Openings::default();
        for number in 0..50 {
            open(&mut openings, number).expect("they pay");
            openings.look(channel(number), Standing { bought: GAS, is_over: true }, NOW);
        }
    }

    #[test]
    fn what_came_to_nothing_makes_room_and_what_cost_gas_counts_against_its_payer() {
        let mut openings = Openings::default();
        for _ in 0..50 {
            openings.begin(PAYER, NOW).expect("nothing is open");
            openings.ended(PAYER, Outcome::Unknown, NOW);
        }
        for _ in 0..3 {
            openings.begin(PAYER, NOW).expect("fewer than three failed");
            openings.ended(PAYER, Outcome::Failed, NOW);
        }
        assert!(openings.begin(PAYER, NOW).is_err());
    }

    #[test]
    fn what_an_earlier_process_opened_counts() {
        let mut openings = Openings::default();
        (0..6).for_each(|number| openings.recall(channel(number), PAYER, GAS, NOW));
        assert!(open(&mut openings, 6).is_err());
        (0..3).for_each(|number| openings.look(channel(number), bought(GAS), NOW));
        assert!(open(&mut openings, 6).is_ok());
        // The same again takes one place.
        let mut openings = Openings::default();
        (0..9).for_each(|_| openings.recall(channel(0), PAYER, GAS, NOW));
        assert!((1..4).all(|number| open(&mut openings, number).is_ok()));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for_and_places_are_given_back() {
        let mut openings = Openings::default();
        for number in 0..MOST + 5 {
            let payer = Address::from_word(channel(number / 4 + 1));
            openings.begin(payer, NOW).expect("four each");
            openings.opened(channel(number), payer, GAS, NOW + number as u64);
        }
        assert_eq!(openings.unpaid.len(), MOST);
        let first = Address::from_word(channel(1));
        assert!((0..4).all(|_| openings.begin(first, NOW).is_ok()), "its own were forgotten");
    }
}
