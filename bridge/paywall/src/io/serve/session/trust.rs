//! Channels that are opened at the payee's cost, until what is spent of them has paid for it ([`crate::openings`]).

use alloy_primitives::{Address, B256};

use super::super::desk::now;
use super::super::openings::{Begun, lock};
use super::state::Sessions;
use crate::openings::Standing;
use crate::refusal::Refusal;
use crate::session::refused::{SessionRefused, Why};

impl Sessions {
    /// Begins an opening, if not too many of this payer are still to be paid for.
    ///
    /// # Errors
    ///
    /// `UnpaidOpenings`.
    pub(super) fn begin_opening(&self, payer: Address, channel: B256) -> Result<Begun, Refusal> {
        let unpaid = lock(&self.trusted).unpaid_of(payer);
        unpaid.into_iter().for_each(|id| self.settle_trust(id, false));
        let begun = Begun::begin(&self.trusted, payer);
        begun.map_err(|_| SessionRefused::new(channel, Why::UnpaidOpenings).into())
    }

    /// Counts the openings of an earlier process that have not paid for themselves yet.
    pub(super) fn recall_openings(&self) {
        let known: Vec<_> = self.known().iter().map(|(id, known)| (*id, known.payer, known.gas_wei)).collect();
        for (id, payer, gas_wei) in known {
            if self.payee.balance(id).is_some_and(|balance| balance.spent < gas_wei) {
                lock(&self.trusted).recall(id, payer, gas_wei, now());
            }
        }
    }

    /// Sees whether a channel has paid for its opening, or will not any more.
    pub(super) fn settle_trust(&self, id: B256, is_over: bool) {
        let bought = self.payee.balance(id).map_or(0, |balance| balance.spent);
        lock(&self.trusted).look(id, Standing { bought, is_over }, now());
    }

    /// Forgets payers who were not here for long.
    pub(super) fn expire_trust(&self) {
        lock(&self.trusted).expire(now());
    }
}
