//! Openings at the payee's cost, while they are under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256};

use super::desk::now;
use crate::openings::{Openings, TooMany};
use crate::payers::Outcome;

/// Openings of all payers, shared with those that are under way.
pub type Shared = Arc<Mutex<Openings>>;

/// An opening that counts against its payer until it is said what became of it.
pub struct Begun {
    openings: Shared,
    payer: Address,
    /// What is said if nothing else is.
    outcome: Option<Outcome>,
}

impl Begun {
    /// Begins an opening, if not too many of this payer are still to be paid for.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub fn begin(openings: &Shared, payer: Address) -> Result<Self, TooMany> {
        lock(openings).begin(payer, now())?;
        Ok(Self { openings: openings.clone(), payer, outcome: Some(Outcome::Unknown) })
    }

    /// It is open, for so much gas.
    pub fn opened(mut self, channel: B256, gas_wei: u128) {
        self.outcome = None;
        lock(&self.openings).opened(channel, self.payer, gas_wei, now());
    }

    /// It failed, and cost gas.
    pub fn failed(mut self) {
        self.outcome = Some(Outcome::Failed);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            lock(&self.openings).ended(self.payer, outcome, now());
        }
    }
}

pub fn lock(openings: &Shared) -> MutexGuard<'_, Openings> {
    openings.lock().unwrap_or_else(PoisonError::into_inner)
}
