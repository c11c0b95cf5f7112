//! Channels that are opened at the payee's cost, until what is spent of them has paid for it.
//!
//! An opening counts like a settlement of its payer ([`crate::payers`]): four at first, one more for each that paid for itself, and fewer for whoever closes before.

use std::sync::Arc;

use alloy_primitives::{Address, B256};

use super::super::desk::now;
use super::state::{Known, Sessions, lock};
use crate::payers::{Outcome, Turn};
use crate::refusal::Refusal;
use crate::session::refused::{SessionRefused, Why};

/// An opening that counts against its payer until it is said what became of it.
pub struct Trusted {
    sessions: Arc<Sessions>,
    payer: Address,
    /// Whether it has to be told that nothing came of it.
    needs_end: bool,
}

impl Trusted {
    /// Begins an opening, if not too many of this payer are still to be paid for.
    ///
    /// # Errors
    ///
    /// `UnpaidOpenings`.
    pub fn begin(sessions: &Arc<Sessions>, payer: Address, channel: B256) -> Result<Self, Refusal> {
        let of_it: Vec<B256> = {
            let known = sessions.known();
            known.iter().filter(|(_, known)| known.payer == payer && known.is_on_trust).map(|(id, _)| *id).collect()
        };
        of_it.into_iter().for_each(|id| sessions.settle_trust(id, false));
        let mut payers = lock(&sessions.trusted);
        match payers.turn(payer, false, now()) {
            Turn::Begin => Ok(Self { sessions: sessions.clone(), payer, needs_end: true }),
            turn => {
                if turn == Turn::Wait {
                    payers.gives_up(payer);
                }
                Err(SessionRefused::new(channel, Why::UnpaidOpenings).into())
            }
        }
    }

    /// It is open, for so much gas.
    pub fn opened(mut self, channel: B256, gas_wei: u128) {
        if let Some(known) = self.sessions.known().get_mut(&channel) {
            (known.gas_wei, known.is_on_trust) = (gas_wei, true);
            self.needs_end = false;
        }
    }

    /// It failed, and cost gas.
    pub fn failed(mut self) {
        self.needs_end = false;
        lock(&self.sessions.trusted).ended(self.payer, Outcome::Failed, now());
    }
}

impl Drop for Trusted {
    fn drop(&mut self) {
        if self.needs_end {
            lock(&self.sessions.trusted).ended(self.payer, Outcome::Unknown, now());
        }
    }
}

impl Sessions {
    /// Sees whether a channel has paid for its opening, or will not any more.
    pub(super) fn settle_trust(&self, id: B256, is_ending: bool) {
        let spent = self.payee.balance(id).map_or(0, |balance| balance.spent);
        let mut known = self.known();
        let Some(Known { payer, gas_wei, is_on_trust, .. }) = known.get_mut(&id).filter(|known| known.is_on_trust)
        else {
            return;
        };
        let outcome = match spent >= *gas_wei {
            true => Outcome::Paid,
            false if is_ending => Outcome::Failed,
            false => return,
        };
        *is_on_trust = false;
        lock(&self.trusted).ended(*payer, outcome, now());
    }

    /// Forgets payers who were not here for long.
    pub(super) fn expire_trust(&self) {
        lock(&self.trusted).expire(now());
    }
}
