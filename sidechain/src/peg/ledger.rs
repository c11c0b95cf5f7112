//! Deposits, withdrawals and vault transactions, as the ledger has them.

use std::collections::BTreeMap;

use alloy_primitives::{B256, FixedBytes};
use api::peg::{self, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::IVault;

use super::contracts::{PegContracts, States};
use crate::chain::SimulateError;

/// Deposits at one block. Many to one address are often in few blocks of Bitcoin: of each it is asked once how deep it is.
pub struct Deposits<'a, C> {
    /// Where they are.
    pub contracts: PegContracts<'a, C>,
    confirmations: BTreeMap<(u32, FixedBytes<8>), u32>,
}

impl<'a, C: States> Deposits<'a, C> {
    /// None is asked for yet.
    #[must_use]
    pub const fn new(contracts: PegContracts<'a, C>) -> Self {
        Self { contracts, confirmations: BTreeMap::new() }
    }

    /// `None`: there is no such deposit.
    ///
    /// # Errors
    ///
    /// Those of [`PegContracts`].
    pub fn get(&mut self, outpoint: OutPoint) -> Result<Option<peg::Deposit>, SimulateError> {
        let txid = B256::from(outpoint.txid.to_byte_array());
        let deposit = self.contracts.deposit(txid, outpoint.vout)?;
        use DepositStatus::{Gone, Minted, Proven, Swept};
        let Some(status) = named(deposit.status, [Proven, Swept, Minted, Gone]) else {
            return Ok(None);
        };
        Ok(Some(peg::Deposit {
            txid: outpoint.txid,
            vout: outpoint.vout,
            status,
            recipient: deposit.recipient,
            claimant: deposit.claimant,
            amount_sat: deposit.amountSat,
            max_fee_sat: deposit.maxFeeSat,
            minted_sat: deposit.minted.then_some(deposit.mintedSat),
            bound: deposit.bound,
            swept_by: some(deposit.sweptBy),
            height: deposit.height,
            block_head: deposit.blockHead,
            confirmations: self.confirmations(deposit.height, deposit.blockHead)?,
            has_left: deposit.hasLeft,
            epoch: deposit.epoch,
        }))
    }

    fn confirmations(&mut self, height: u32, head: FixedBytes<8>) -> Result<u32, SimulateError> {
        if let Some(known) = self.confirmations.get(&(height, head)) {
            return Ok(*known);
        }
        let got = self.contracts.confirmations_of(height, head)?;
        self.confirmations.insert((height, head), got);
        Ok(got)
    }
}

/// A withdrawal, or `None` when there is none of this number. `versions` are numbers of vault transactions that pay it, with what it pays if
/// that one confirms.
///
/// # Errors
///
/// Those of [`PegContracts`] and of `versions`.
pub fn withdrawal<C: States>(
    contracts: &PegContracts<'_, C>,
    id: u64,
    versions: impl FnOnce() -> Result<Vec<(u32, u64)>, SimulateError>,
) -> Result<Option<peg::Withdrawal>, SimulateError> {
    let withdrawal = contracts.withdrawal(id)?;
    use WithdrawalStatus::{Cancelled, Paid, Queued, Refunded, Tied};
    let Some(status) = named(withdrawal.status, [Queued, Tied, Paid, Cancelled, Refunded]) else {
        return Ok(None);
    };
    let versions = versions()?.into_iter().map(|paid| version(contracts, paid)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(peg::Withdrawal {
        id,
        status,
        owner: withdrawal.owner,
        amount_sat: withdrawal.amountSat,
        max_fee_sat: withdrawal.maxFeeSat,
        asked_at: withdrawal.askedAt.to(),
        // The ledger may still have one that has ended.
        tie: some(withdrawal.tie).filter(|_| matches!(status, Tied | Paid)),
        versions: versions.into_iter().flatten().collect(),
        paid_by: some(withdrawal.paidBy),
        script: withdrawal.script,
    }))
}

fn version<C: States>(
    contracts: &PegContracts<'_, C>,
    (number, charge_sat): (u32, u64),
) -> Result<Option<peg::Version>, SimulateError> {
    let vault = contracts.vault_transaction(number)?;
    let status = vault_status(&vault);
    Ok(status.map(|status| peg::Version { number, txid: txid(vault.txid), status, charge_sat }))
}

/// The status of a vault transaction; `None`: there is no such one.
#[must_use]
pub fn vault_status(vault: &IVault::VaultTransaction) -> Option<VaultStatus> {
    named(vault.status, [VaultStatus::Bound, VaultStatus::Settled, VaultStatus::Void])
}

/// The status of a vault transaction's output 0.
#[must_use]
pub fn output_status(status: u8) -> OutputStatus {
    use OutputStatus::{Gone, Live, None, Pending, Spent, Void};
    named(status, [Pending, Live, Spent, Gone, Void]).unwrap_or(None)
}

/// From the byte order of hashing.
#[must_use]
pub fn txid(internal: B256) -> Txid {
    Txid::from_byte_array(internal.0)
}

/// The contracts' numbers start at 1: 0 is none.
#[must_use]
pub fn some(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

/// The name of a status of the contracts; their 0 is "none".
fn named<T: Copy, const N: usize>(status: u8, names: [T; N]) -> Option<T> {
    names.get(usize::from(status).checked_sub(1)?).copied()
}
