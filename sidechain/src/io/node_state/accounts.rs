//! Accounts at the head, each read once while the head stays the same.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::Address;
use alloy_trie::KECCAK_EMPTY;

use crate::chain::{Chain, SimulateError, StateAt};
use crate::io::NodeStore;
use crate::mempool::{Account, Code};
use crate::state::StateReader;
use crate::state::store::StoreError;

/// Accounts kept: about 100 bytes each.
const MAX_ACCOUNTS: usize = 1 << 16;

/// EIP-7702: what the code of a delegated account begins with; the address that it runs follows.
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];
const DELEGATION_BYTES: usize = 23;

/// What was read at one head.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<Read>);

#[derive(Debug, Default)]
struct Read {
    /// Number of the head.
    head: u64,
    accounts: HashMap<Address, Account>,
}

impl Accounts {
    /// An account, and the number of the head whose state it is of.
    pub(super) fn get(&self, chain: &Chain<NodeStore>, address: Address) -> Result<(Account, u64), StoreError> {
        let head = chain.head().number;
        if let Some(known) = self.at(head).accounts.get(&address) {
            return Ok((*known, head));
        }
        let (account, number) = read_account(chain, address)?;
        let mut read = self.at(number);
        if read.head == number && read.accounts.len() < MAX_ACCOUNTS {
            read.accounts.insert(address, account);
        }
        Ok((account, number))
    }

    /// What was read at this head or a later one; older reads are forgotten.
    fn at(&self, head: u64) -> MutexGuard<'_, Read> {
        // A panic elsewhere does not spoil a map of plain values.
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.head < head {
            *read = Read { head, accounts: HashMap::new() };
        }
        read
    }
}

/// Nonce, balance (wei) and code at the head; and its number.
///
/// # Errors
///
/// When the store fails.
pub(super) fn read_account(chain: &Chain<NodeStore>, address: Address) -> Result<(Account, u64), StoreError> {
    let number = chain.head().number;
    let state = match chain.state_at(number) {
        Ok(state) => state,
        Err(SimulateError::Store(error)) => return Err(error),
        // The head's state is never pruned; when the head moved on meanwhile, the older one is still there.
        Err(error) => return Err(StoreError::Corrupt { table: "state of the head", detail: error.to_string() }),
    };
    let Some(account) = state.account(address)? else { return Ok((Account::default(), number)) };
    let code = if account.code_hash == KECCAK_EMPTY { Code::Nothing } else { kind(&state, &account)? };
    Ok((Account { nonce: account.nonce, balance: account.balance, code }, number))
}

fn kind(state: &StateAt<'_, NodeStore>, account: &crate::state::Account) -> Result<Code, StoreError> {
    let code = state.code(account.code_hash)?.unwrap_or_default();
    let delegates = code.len() == DELEGATION_BYTES && code.starts_with(&DELEGATION);
    Ok(if delegates { Code::Delegation } else { Code::Contract })
}
