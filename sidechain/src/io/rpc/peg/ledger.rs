//! Deposits, withdrawals and vault transactions, as the ledger has them.

use std::collections::BTreeMap;

use alloy_primitives::{B256, FixedBytes};
use api::peg::{self, DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::{Bridge, IVault, Vault};
use jsonrpsee::types::ErrorObjectOwned;
use mainchain::proof::parse_stripped;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use super::address::{address, output_key};
use crate::chain::LogPlace;
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, bound, paid_key, ties};

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getDeposit", |context, arguments| {
        let text: String = arguments.next("address or outpoint")?;
        let from: Option<peg::DepositPlace> = arguments.optional("from")?;
        match text.parse::<OutPoint>() {
            Ok(outpoint) => deposit_at(context, outpoint, arguments.stop()),
            Err(_) => {
                let key = output_key(&text, context.bitcoin_network())?;
                deposits_to(context, key, from.unwrap_or_default(), arguments.stop())
            }
        }
    })?;
    long(methods, "peg_getWithdrawal", |context, arguments| {
        let id = arguments.next("id")?;
        withdrawal(context, id, arguments.stop())
    })?;
    long(methods, "peg_getVaultTransaction", |context, arguments| {
        let number = arguments.next("number")?;
        vault_transaction(context, number, arguments.stop())
    })
}

fn deposit_at(context: &Context, outpoint: OutPoint, stop: &Stop) -> error::Result<peg::DepositReport> {
    let mut ledger = Deposits::new(context, stop);
    let found = ledger.get(outpoint)?;
    let key = match &found {
        Some(deposit) => {
            let head = ledger.contracts.header.number;
            paid_key(context.chain(), outpoint, deposit.recipient, head, stop).map_err(error::simulate)?
        }
        None => None,
    };
    report(context, key, found.into_iter().collect(), None)
}

fn deposits_to(
    context: &Context,
    output_key: B256,
    from: peg::DepositPlace,
    stop: &Stop,
) -> error::Result<peg::DepositReport> {
    let mut ledger = Deposits::new(context, stop);
    let from = LogPlace { block: from.block, log_index: from.log_index };
    let page = crate::peg::deposits_to(context.chain(), output_key, from, ledger.contracts.header.number, stop);
    let page = page.map_err(error::simulate)?;
    let mut deposits = Vec::with_capacity(page.outpoints.len());
    for outpoint in page.outpoints {
        deposits.extend(ledger.get(outpoint)?);
    }
    let next = page.next.map(|next| peg::DepositPlace { block: next.block, log_index: next.log_index });
    report(context, Some(output_key), deposits, next)
}

fn report(
    context: &Context,
    output_key: Option<B256>,
    deposits: Vec<peg::Deposit>,
    next: Option<peg::DepositPlace>,
) -> error::Result<peg::DepositReport> {
    let registered = match output_key {
        Some(key) => Some(context.chain().registration(key).map_err(|error| error::store(&error))?.is_some()),
        None => None,
    };
    Ok(peg::DepositReport {
        registered,
        address: output_key.and_then(|key| address(key, context.bitcoin_network())),
        deposits,
        next,
        since_block: context.chain().began(),
    })
}

/// Deposits at one block. Many to one address are often in few blocks of Bitcoin: of each it is asked once how deep it is.
struct Deposits<'a> {
    contracts: PegContracts<'a, NodeStore>,
    confirmations: BTreeMap<(u32, FixedBytes<8>), u32>,
}

impl<'a> Deposits<'a> {
    fn new(context: &'a Context, stop: &'a Stop) -> Self {
        Self { contracts: PegContracts::at_head(context.chain(), stop), confirmations: BTreeMap::new() }
    }

    /// `None`: there is no such deposit.
    fn get(&mut self, outpoint: OutPoint) -> error::Result<Option<peg::Deposit>> {
        let txid = B256::from(outpoint.txid.to_byte_array());
        let deposit = self.contracts.deposit(txid, outpoint.vout).map_err(error::simulate)?;
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

    fn confirmations(&mut self, height: u32, head: FixedBytes<8>) -> error::Result<u32> {
        if let Some(known) = self.confirmations.get(&(height, head)) {
            return Ok(*known);
        }
        let got = self.contracts.confirmations_of(height, head).map_err(error::simulate)?;
        self.confirmations.insert((height, head), got);
        Ok(got)
    }
}

fn withdrawal(context: &Context, id: u64, stop: &Stop) -> error::Result<Option<peg::Withdrawal>> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let withdrawal = contracts.withdrawal(id).map_err(error::simulate)?;
    use WithdrawalStatus::{Cancelled, Paid, Queued, Refunded, Tied};
    let Some(status) = named(withdrawal.status, [Queued, Tied, Paid, Cancelled, Refunded]) else {
        return Ok(None);
    };
    let versions = ties(context.chain(), id, contracts.header.number, stop).map_err(error::simulate)?;
    let versions = versions.iter().map(|tie| version(&contracts, tie)).collect::<error::Result<Vec<_>>>()?;
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

fn version(
    contracts: &PegContracts<'_, NodeStore>,
    tie: &Bridge::WithdrawalTied,
) -> error::Result<Option<peg::Version>> {
    let vault = contracts.vault_transaction(tie.number).map_err(error::simulate)?;
    let status = vault_status(&vault);
    Ok(status.map(|status| peg::Version {
        number: tie.number,
        txid: txid(vault.txid),
        status,
        charge_sat: tie.chargeSat,
    }))
}

fn vault_transaction(context: &Context, number: u32, stop: &Stop) -> error::Result<Option<peg::VaultTransaction>> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let vault = contracts.vault_transaction(number).map_err(error::simulate)?;
    let Some(status) = vault_status(&vault) else {
        return Ok(None);
    };
    let event = bound(context.chain(), number, contracts.header.number, stop).map_err(error::simulate)?;
    let event = event.ok_or_else(|| missing(number, context.chain().began()))?;
    let settled = (vault.height != 0).then_some((vault.height, vault.blockHead));
    let confirmations = settled.map_or(Ok(0), |(height, head)| contracts.confirmations_of(height, head));
    Ok(Some(peg::VaultTransaction {
        number,
        status,
        output: output_status(vault.output),
        txid: txid(vault.txid),
        fee_sat: fee_sat(&event)?,
        change_sat: vault.changeSat,
        spent_by: some(vault.spentBy),
        height: settled.map(|(height, _)| height),
        block_head: settled.map(|(_, head)| head),
        confirmations: confirmations.map_err(error::simulate)?,
        epoch: vault.epoch,
        script_version: vault.scriptVersion,
        rooted: vault.rooted,
        content: event.content.into(),
        amounts_sat: event.amountsSat,
        transaction: event.transaction,
    }))
}

/// What the inputs have more than the outputs.
fn fee_sat(event: &Vault::Bound) -> error::Result<u64> {
    let transaction = parse_stripped(&event.transaction).map_err(|why| {
        error::server(format!("the transaction of vault transaction {} is none: {why}", event.number))
    })?;
    let inputs: u64 = event.amountsSat.iter().fold(0, |sum, sat| sum.saturating_add(*sat));
    Ok(transaction.output.iter().fold(inputs, |left, output| left.saturating_sub(output.value.to_sat())))
}

/// Why there is no event of a vault transaction that the ledger has.
fn missing(number: u32, began: u64) -> ErrorObjectOwned {
    match began {
        0 => error::server(format!("the event of vault transaction {number} is missing")),
        began => error::not_found(format!(
            "vault transaction {number} was bound before block {began}, with which this node's history begins: ask another node"
        )),
    }
}

fn vault_status(vault: &IVault::VaultTransaction) -> Option<VaultStatus> {
    named(vault.status, [VaultStatus::Bound, VaultStatus::Settled, VaultStatus::Void])
}

fn output_status(status: u8) -> OutputStatus {
    use OutputStatus::{Gone, Live, None, Pending, Spent, Void};
    named(status, [Pending, Live, Spent, Gone, Void]).unwrap_or(None)
}

fn txid(internal: B256) -> Txid {
    Txid::from_byte_array(internal.0)
}

/// The contracts' numbers start at 1: 0 is none.
fn some(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

/// The name of a status of the contracts; their 0 is "none".
fn named<T: Copy, const N: usize>(status: u8, names: [T; N]) -> Option<T> {
    names.get(usize::from(status).checked_sub(1)?).copied()
}
