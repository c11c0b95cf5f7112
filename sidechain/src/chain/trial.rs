//! Calls that are tried: on the state after a block, in its environment or in that of the next one, with whatever the caller would like to be otherwise.

use std::sync::Arc;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_trie::KECCAK_EMPTY;

use super::{
    error::SimulateError,
    open::Chain,
    preview::{Preview, StateIn},
};
use crate::{
    block::Header,
    execution::{self, Call, Outcome, Overrides, Simulated, Stop, child_header},
    limits::MAX_TRANSACTION_GAS,
    state::{StateReader as _, Working, store::Store},
};

/// Of any transaction.
const LEAST_GAS: u64 = 21_000;

/// Runs until an access list is that of the call with it: each adds what the last one found.
const MOST_LISTINGS: usize = 8;

/// Where a call is tried.
#[derive(Clone, Debug)]
pub enum Setting {
    /// On the state after a final block, in that block's environment.
    After(u64),
    /// On the head's state, in the environment of the next block at this time: as a transaction that is sent now would run.
    Next { now_ms: u64 },
    /// On the state after a block that nobody has agreed on, in that block's environment.
    In(Arc<Preview>),
}

/// How a call is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    pub setting: Setting,
    pub overrides: Overrides,
}

/// What a call touches besides its sender and what it calls, and what it uses when that is declared (EIP-2930).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub access_list: AccessList,
    pub outcome: Outcome,
}

impl Trial {
    /// As things are after a final block.
    #[must_use]
    pub fn after(number: u64) -> Self {
        Self { setting: Setting::After(number), overrides: Overrides::default() }
    }

    /// As things are for a transaction that is sent now.
    #[must_use]
    pub fn next(now_ms: u64) -> Self {
        Self { setting: Setting::Next { now_ms }, overrides: Overrides::default() }
    }
}

impl<S: Store> Chain<S> {
    /// Tries a call on the state after a final block, in that block's environment.
    ///
    /// # Errors
    ///
    /// `UnknownBlock`, `Pruned`, `Invalid`, `Stopped`. A revert is an outcome, not an error.
    pub fn simulate(&self, number: u64, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError> {
        self.try_call(&Trial::after(number), call, stop)
    }

    /// Tries a call.
    ///
    /// # Errors
    ///
    /// As [`Self::simulate`].
    pub fn try_call(&self, trial: &Trial, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError> {
        Ok(self.run(trial, call, stop)?.outcome)
    }

    fn run(&self, trial: &Trial, call: &Call, stop: &Stop) -> Result<Simulated, SimulateError> {
        let (state, header) = self.environment(&trial.setting)?;
        let mut working = Working::new(&state, &self.codes);
        trial.overrides.apply(&mut working)?;
        let (header, moved) = (trial.overrides.header(header), &trial.overrides.precompiles);
        Ok(execution::simulate(&self.rules, &header, working, (call, moved), stop)?)
    }

    /// The state, and the header that the call sees.
    pub(super) fn environment(&self, setting: &Setting) -> Result<(StateIn<'_, S>, Header), SimulateError> {
        match setting {
            Setting::After(number) => {
                let (number, head) = (*number, self.head().number);
                let header = self.header(number)?.ok_or(SimulateError::UnknownBlock { number, head })?;
                Ok((self.state_after(number)?, header))
            }
            Setting::In(preview) => Ok((self.state_in(preview.clone())?, preview.header().clone())),
            Setting::Next { now_ms } => {
                let head = self.head();
                let timestamp = head.timestamp.max(now_ms / 1_000);
                let next = child_header(&self.rules, &head, head.hash_slow(), timestamp, head.beneficiary);
                Ok((self.state_after(head.number)?, next))
            }
        }
    }

    /// A gas limit with which a call succeeds, at most 1.5 % above the smallest.
    ///
    /// # Errors
    ///
    /// As [`Self::simulate`]; `Failed` with the outcome when no gas limit makes it succeed.
    pub fn estimate_gas(&self, trial: &Trial, call: &Call, stop: &Stop) -> Result<u64, SimulateError> {
        let (state, _) = self.environment(&trial.setting)?;
        let try_with = |gas| self.try_call(trial, &Call { gas: Some(gas), ..call.clone() }, stop);
        // A plain transfer: to an account without code.
        if let (TxKind::Call(to), true) = (call.to, call.input.is_empty())
            && call.access_list.0.is_empty()
            && call.authorizations.is_empty()
            && !trial.overrides.accounts.contains_key(&to)
            && !trial.overrides.precompiles.is_at(&to)
            && state.account(to)?.is_none_or(|account| account.code_hash == KECCAK_EMPTY)
            && to.as_slice()[..18] != [0; 18]
            && try_with(LEAST_GAS).is_ok_and(|outcome| outcome.success)
        {
            return Ok(LEAST_GAS);
        }
        let mut high = call.gas.filter(|gas| *gas >= LEAST_GAS).unwrap_or(MAX_TRANSACTION_GAS).min(MAX_TRANSACTION_GAS);
        if call.gas_price > 0 {
            let replaced = trial.overrides.accounts.get(&call.from).and_then(|account| account.balance);
            let own = state.account(call.from)?.map_or(U256::ZERO, |account| account.balance);
            let left = replaced.unwrap_or(own).checked_sub(call.value).ok_or(SimulateError::Funds)?;
            let affordable: u64 = (left / U256::from(call.gas_price)).saturating_to();
            if affordable < LEAST_GAS {
                return Err(SimulateError::Allowance(affordable));
            }
            high = high.min(affordable);
        }
        let outcome = try_with(high).map_err(|error| match error {
            SimulateError::Invalid(error) => SimulateError::NoEstimate { gas: high, error },
            error => error,
        })?;
        if outcome.ran_out_of_gas() {
            return Err(SimulateError::Allowance(high));
        }
        if !outcome.success {
            return Err(SimulateError::Failed(Box::new(outcome)));
        }
        // What was used after refunds never suffices less one.
        let mut low = outcome.gas_used.saturating_sub(1);
        while high - low > 1 && (high - low) * 1000 > high * 15 {
            // The answer mostly lies just above what was used, so look there first.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            match try_with(middle) {
                Ok(outcome) if outcome.success => high = middle,
                Ok(_) | Err(SimulateError::Invalid(_)) => low = middle,
                Err(error) => return Err(error),
            }
        }
        Ok(high)
    }

    /// The access list of a call that has all of it declared, and what it does then.
    ///
    /// # Errors
    ///
    /// As [`Self::simulate`].
    pub fn access_list(&self, trial: &Trial, call: &Call, stop: &Stop) -> Result<Listed, SimulateError> {
        let mut call = call.clone();
        let beneficiary = trial.overrides.header(self.environment(&trial.setting)?.1).beneficiary;
        for _ in 1..MOST_LISTINGS {
            let Simulated { outcome, touched } = self.run(trial, &call, stop)?;
            let created = outcome.created;
            let is_warm_anyway = |address: &Address| {
                // The last by EIP-3651.
                [call.from, beneficiary].contains(address)
                    || call.to == TxKind::Call(*address)
                    || is_precompile(address)
                    || trial.overrides.precompiles.is_at(address)
            };
            let listed = touched.into_iter().filter(|(address, slots)| {
                Some(*address) != created && (!slots.is_empty() || !is_warm_anyway(address))
            });
            let item = |(address, slots): (Address, std::collections::BTreeSet<U256>)| AccessListItem {
                address,
                storage_keys: slots.into_iter().map(B256::from).collect(),
            };
            let access_list = AccessList(listed.map(item).collect());
            if access_list == call.access_list {
                return Ok(Listed { access_list, outcome });
            }
            call.access_list = access_list;
        }
        let outcome = self.run(trial, &call, stop)?.outcome;
        Ok(Listed { access_list: call.access_list, outcome })
    }
}

/// Addresses below 2^16 are kept for precompiles, which are always warm (EIP-2929).
fn is_precompile(address: &Address) -> bool {
    address.as_slice()[..18] == [0; 18]
}
