//! What the vault has to spend, and its transactions, as the ledger has them.

use alloy_primitives::{B256, Bytes, keccak256};
use api::peg::{self, OutputStatus, VaultStatus};
use bitcoin::hashes::Hash as _;
use bitcoin::{Transaction, Txid};
use contracts::IVault;
use contracts::alloy_sol_types::SolValue as _;
use mainchain::proof::parse_stripped;

use super::contracts::{PegContracts, States};
use super::ledger::{output_status, some, txid, vault_status};
use crate::chain::SimulateError;

/// Numbers of the newest vault outputs among which live ones are looked for, in steps that one call of a contract can do. A vault has some tens; what is older than so many transactions
/// was refreshed since.
const OUTPUTS_BACK: u32 = 2_000;
const STEP: u32 = 500;
/// Live outputs that are answered at most: the newest.
const MAX_OUTPUTS: usize = 256;
/// The newest vault transactions that are looked at. What is older settled, or another version did.
const PENDING_BACK: u32 = 64;

/// The least number of an output that [`outputs`] looks at, of so many.
#[must_use]
pub const fn looked_from(count: u32) -> u32 {
    count.saturating_sub(OUTPUTS_BACK).saturating_add(1)
}

/// Live vault outputs, of so many vault transactions.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn outputs<C: States>(contracts: &PegContracts<'_, C>, count: u32) -> Result<Vec<peg::LiveOutput>, SimulateError> {
    let mut numbers = Vec::new();
    let mut after = count.saturating_sub(OUTPUTS_BACK);
    while after < count {
        numbers.extend(contracts.live_outputs(after, STEP)?);
        after = after.saturating_add(STEP);
    }
    let newest = &numbers[numbers.len().saturating_sub(MAX_OUTPUTS)..];
    let output = |number: &u32| {
        let made = contracts.vault_transaction(*number)?;
        let (amount_sat, epoch, rooted) = (made.changeSat, made.epoch, made.rooted);
        Ok(peg::LiveOutput { number: *number, txid: txid(made.txid), amount_sat, epoch, rooted })
    };
    newest.iter().map(output).collect()
}

/// Vault transactions that are bound and neither settled nor void, by number, the newest last, of so many.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn unsettled<C: States>(
    contracts: &PegContracts<'_, C>,
    count: u32,
) -> Result<Vec<(u32, IVault::VaultTransaction)>, SimulateError> {
    let first = count.saturating_sub(PENDING_BACK).saturating_add(1);
    let mut found = Vec::new();
    for number in first..=count {
        let made = contracts.vault_transaction(number)?;
        if vault_status(&made) == Some(VaultStatus::Bound) {
            found.push((number, made));
        }
    }
    Ok(found)
}

/// Whether the ledger has a vault transaction with this content.
#[must_use]
pub fn is_content(made: &IVault::VaultTransaction, content: &peg::Content) -> bool {
    keccak256(IVault::Content::from(content).abi_encode()) == made.content
}

/// Whether something that settled spends one of its inputs, so that it confirms only if that leaves the best chain.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn is_spent_by_another<C: States>(
    contracts: &PegContracts<'_, C>,
    content: &peg::Content,
) -> Result<bool, SimulateError> {
    for output in &content.outputs {
        let made = contracts.vault_transaction(*output)?;
        if !matches!(output_status(made.output), OutputStatus::Pending | OutputStatus::Live) {
            return Ok(true);
        }
    }
    for outpoint in &content.deposits {
        let txid = B256::from(outpoint.txid.to_byte_array());
        if contracts.deposit(txid, outpoint.vout)?.sweptBy != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What was bound, of which the ledger keeps hashes only.
#[derive(Clone, Debug)]
pub struct BoundAs {
    content: peg::Content,
    amounts_sat: Vec<u64>,
    bytes: Bytes,
    transaction: Transaction,
}

impl BoundAs {
    /// From what was logged, or told.
    ///
    /// # Errors
    ///
    /// The bytes are no transaction.
    pub fn new(content: peg::Content, amounts_sat: Vec<u64>, bytes: Bytes) -> Result<Self, String> {
        let transaction = parse_stripped(&bytes).map_err(|why| why.to_string())?;
        Ok(Self { content, amounts_sat, bytes, transaction })
    }

    /// Whether the ledger has just this.
    #[must_use]
    pub fn is_of(&self, made: &IVault::VaultTransaction) -> bool {
        txid(made.txid) == self.txid() && is_content(made, &self.content)
    }

    fn txid(&self) -> Txid {
        self.transaction.compute_txid()
    }

    /// What the inputs have more than the outputs.
    fn fee_sat(&self) -> u64 {
        let inputs: u64 = self.amounts_sat.iter().fold(0, |sum, sat| sum.saturating_add(*sat));
        self.transaction.output.iter().fold(inputs, |left, output| left.saturating_sub(output.value.to_sat()))
    }
}

/// A vault transaction; `None` when there is none of this number. `versions` are numbers of those that spend an input of it.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn vault_transaction<C: States>(
    contracts: &PegContracts<'_, C>,
    number: u32,
    bound: BoundAs,
    versions: &[u32],
) -> Result<Option<peg::VaultTransaction>, SimulateError> {
    let vault = contracts.vault_transaction(number)?;
    let Some(status) = vault_status(&vault) else { return Ok(None) };
    let settled = (vault.height != 0).then_some((vault.height, vault.blockHead));
    let versions = versions.iter().filter(|other| **other != number).map(|other| version(contracts, *other));
    let versions = versions.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let confirmations = settled.map_or(Ok(0), |(height, head)| contracts.confirmations_of(height, head))?;
    Ok(Some(peg::VaultTransaction {
        number,
        status,
        output: output_status(vault.output),
        txid: txid(vault.txid),
        fee_sat: bound.fee_sat(),
        change_sat: vault.changeSat,
        spent_by: some(vault.spentBy),
        height: settled.map(|(height, _)| height),
        block_head: settled.map(|(_, head)| head),
        confirmations,
        epoch: vault.epoch,
        script_version: vault.scriptVersion,
        rooted: vault.rooted,
        versions,
        content: bound.content,
        amounts_sat: bound.amounts_sat,
        transaction: bound.bytes,
    }))
}

fn version<C: States>(
    contracts: &PegContracts<'_, C>,
    number: u32,
) -> Result<Option<peg::VaultVersion>, SimulateError> {
    let vault = contracts.vault_transaction(number)?;
    Ok(vault_status(&vault).map(|status| peg::VaultVersion { number, txid: txid(vault.txid), status }))
}
