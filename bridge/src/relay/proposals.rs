//! The deposits, withdrawals and vault outputs that the next vault transaction can be made of. How it is made is in [`crate::plan`].

use bitcoin::FeeRate;

use super::deposits::Deposits;
use super::ledger::LedgerView;
use crate::peg::VaultStatus;
use crate::plan::{Available, ReadyDeposit};

/// The candidates that the ledger does not know, with the withdrawals that wait in it.
///
/// While a part of the vault is lost (a deficit), nothing is paid out.
#[must_use]
pub fn available(
    ledger: &LedgerView,
    candidates: Vec<ReadyDeposit>,
    deposits: &Deposits,
    fee_rate: FeeRate,
) -> Available {
    let is_ready = |deposit: &ReadyDeposit| deposits.is_known(&deposit.outpoint) == Some(false);
    let deposits = candidates.into_iter().filter(is_ready).collect();
    let withdrawals = if ledger.info.ledger.deficit_sat > 0 { Vec::new() } else { ledger.withdrawals.clone() };
    Available {
        deposits,
        withdrawals,
        vault_outputs: ledger.vault_outputs.clone(),
        in_flight: ledger.open.values().any(|entry| entry.status != VaultStatus::Settled),
        fee_rate,
        min_fee_rate: FeeRate::from_sat_per_vb_u32(ledger.info.min_fee_rate),
        max_fee_rate: FeeRate::from_sat_per_vb_u32(ledger.info.max_fee_rate),
    }
}
