//! What was proven of the state of one block, and what is missing of it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};

use crate::state::Account;

/// Slots that are kept of one block: beyond it all are let go and asked for anew. Some 100 bytes each.
const MAX_SLOTS: usize = 50_000;
/// The same for accounts.
const MAX_ACCOUNTS: usize = 10_000;

/// Accounts and slots of one state, each proven. An account is `None` where it was proven that there is none.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    accounts: BTreeMap<Address, Option<Account>>,
    slots: BTreeMap<(Address, U256), U256>,
}

impl Rows {
    #[must_use]
    pub fn account(&self, address: Address) -> Option<Option<Account>> {
        self.accounts.get(&address).copied()
    }

    #[must_use]
    pub fn slot(&self, address: Address, slot: U256) -> Option<U256> {
        self.slots.get(&(address, slot)).copied()
    }

    /// An account with this code.
    #[must_use]
    pub fn with_code(&self, hash: B256) -> Option<Address> {
        let has = |account: &Option<Account>| account.is_some_and(|account| account.code_hash == hash);
        self.accounts.iter().find(|(_, account)| has(account)).map(|(address, _)| *address)
    }

    /// Takes an account and slots of it that were proven together.
    pub fn put(&mut self, address: Address, account: Option<Account>, slots: &[U256], values: &[U256]) {
        if self.slots.len() + slots.len() > MAX_SLOTS || self.accounts.len() > MAX_ACCOUNTS {
            *self = Self::default();
        }
        self.accounts.insert(address, account);
        self.slots.extend(slots.iter().zip(values).map(|(slot, value)| ((address, *slot), *value)));
    }
}

/// What a run asked for and did not find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Accounts, and the slots of each.
    pub accounts: BTreeMap<Address, BTreeSet<U256>>,
    /// Code, by its hash.
    pub codes: BTreeSet<B256>,
}

impl Missing {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.codes.is_empty()
    }

    /// How many accounts, slots and codes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.values().map(|slots| 1 + slots.len()).sum::<usize>() + self.codes.len()
    }
}
