//! The deposits, withdrawals and vault outputs that the next vault transaction can be made of. How it is made is in [`crate::plan`].

use bitcoin::FeeRate;

use super::deposits::Deposits;
use super::ledger::LedgerView;
use super::refused_deposits::RefusedDeposits;
use crate::peg::VaultStatus;
use crate::plan::{Available, ReadyDeposit};

/// The candidates that the ledger neither knows nor refused lately, with the withdrawals that wait in it.
///
/// While a part of the vault is lost (a deficit), nothing is paid out.
#[must_use]
pub fn available(
    ledger: &LedgerView,
    candidates: Vec<ReadyDeposit>,
    deposits: &Deposits,
    refused: &RefusedDeposits,
    fee_rate: FeeRate,
) -> Available {
    let is_ready = |deposit: &ReadyDeposit| {
        deposits.is_known(&deposit.outpoint) == Some(false) && !refused.is_left_out(&deposit.outpoint)
    };
    let mut deposits: Vec<ReadyDeposit> = candidates.into_iter().filter(is_ready).take(ledger.max_deposits).collect();
    let mut withdrawals = if ledger.info.ledger.deficit_sat > 0 { Vec::new() } else { ledger.withdrawals.clone() };
    if refused.one_by_one() && !deposits.is_empty() {
        deposits.truncate(1);
        withdrawals.clear();
    }
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
