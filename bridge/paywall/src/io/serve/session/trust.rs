//! Channels that are opened at the payee's cost, until what is spent of them has paid for it ([`crate::openings`]).

use std::sync::Arc;

use alloy_primitives::{Address, B256};

use super::super::desk::now;
use super::super::openings::{Begun, lock};
use super::state::Sessions;
use crate::openings::Standing;
use crate::refusal::Refusal;
use crate::session::refused::{SessionRefused, Why};

/// An opening that counts against its payer until it is said what became of it.
pub struct Trusted {
    sessions: Arc<Sessions>,
    begun: Begun,
}

impl Trusted {
    /// Begins an opening, if not too many of this payer are still to be paid for.
    ///
    /// # Errors
    ///
    /// `UnpaidOpenings`.
    pub fn begin(sessions: &Arc<Sessions>, payer: Address, channel: B256) -> Result<Self, Refusal> {
        let unpaid = lock(&sessions.trusted).unpaid_of(payer);
        unpaid.into_iter().for_each(|id| sessions.settle_trust(id, false));
        let begun = Begun::begin(&sessions.trusted, payer);
        let begun = begun.map_err(|_| SessionRefused::new(channel, Why::UnpaidOpenings))?;
        Ok(Self { sessions: sessions.clone(), begun })
    }

    /// It is open, for so much gas.
    pub fn opened(self, channel: B256, gas_wei: u128) {
        self.sessions.known().entry(channel).and_modify(|known| known.gas_wei = gas_wei);
        self.begun.opened(channel, gas_wei);
    }

    /// It failed, and cost gas.
    pub fn failed(self) {
        self.begun.failed();
    }
}

impl Sessions {
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
