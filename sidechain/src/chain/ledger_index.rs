//! Lists of the index of logs for what the ledger's logs name in their data, where topics do not find it, or in a topic that other events share,
//! so that strangers could lengthen its list.
//!
//! ```text
//!  DepositProven       who may claim the coins, the outpoint
//!  WithdrawalQueued    its owner, the script that it pays
//!  Bound               each deposit and each vault output that it spends
//! ```
//! The ledger alone writes them, and a list has only logs of the one event: they are about as long as what is asked for.

use alloy_primitives::{Address, B256, Log};
use contracts::alloy_sol_types::SolEvent as _;
use contracts::{
    Bridge, Deposits, Vault,
    address::{BRIDGE, DEPOSITS, VAULT},
};

/// What the ledger's logs name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// Proofs of deposits whose coins this account may claim: the recipient where the terms name none.
    Claimant(Address),
    /// Proofs of the deposit at an outpoint, with the txid in the byte order of hashing.
    Funding(B256, u32),
    /// Withdrawals of an account.
    Owner(Address),
    /// Withdrawals to an output script.
    Script(&'a [u8]),
    /// Bound vault transactions that spend a deposit.
    SpentDeposit(B256, u32),
    /// Bound vault transactions that spend a vault output.
    SpentOutput(u32),
}

impl Named<'_> {
    /// The words that name the list, behind those of all other kinds.
    pub(super) fn words(self) -> Vec<u8> {
        match self {
            Self::Claimant(account) => [&[10], account.as_slice()].concat(),
            Self::Funding(txid, vout) => [&[11], txid.as_slice(), &vout.to_be_bytes()].concat(),
            Self::Owner(account) => [&[12], account.as_slice()].concat(),
            Self::Script(script) => [&[13], script].concat(),
            Self::SpentDeposit(txid, vout) => [&[14], txid.as_slice(), &vout.to_be_bytes()].concat(),
            Self::SpentOutput(number) => [&[15][..], &number.to_be_bytes()].concat(),
        }
    }
}

/// Tells what a log names, if it is one of the ledger's.
pub(super) fn named(log: &Log, mut tell: impl FnMut(Named<'_>)) {
    match (log.address, log.topics().first().copied()) {
        (DEPOSITS, Some(Deposits::DepositProven::SIGNATURE_HASH)) => {
            let Ok(event) = Deposits::DepositProven::decode_log(log) else { return };
            let claimant = event.terms.claimant;
            tell(Named::Claimant(if claimant.is_zero() { event.recipient } else { claimant }));
            tell(Named::Funding(event.txid, event.vout));
        }
        (BRIDGE, Some(Bridge::WithdrawalQueued::SIGNATURE_HASH)) => {
            let Ok(event) = Bridge::WithdrawalQueued::decode_log(log) else { return };
            tell(Named::Owner(event.owner));
            tell(Named::Script(&event.script));
        }
        (VAULT, Some(Vault::Bound::SIGNATURE_HASH)) => {
            let Ok(event) = Vault::Bound::decode_log(log) else { return };
            event.content.deposits.iter().for_each(|spent| tell(Named::SpentDeposit(spent.txid, spent.vout)));
            event.content.outputs.iter().for_each(|output| tell(Named::SpentOutput(*output)));
        }
        _ => {}
    }
}
