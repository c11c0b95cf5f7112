//! Deposits, withdrawals and vault transactions, as the Bridge has them.

use alloy_primitives::{B256, U256};
use api::peg::{self, DepositStatus, VaultStatus, WithdrawalStatus};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use contracts::IBridge;
use jsonrpsee::types::ErrorObjectOwned;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use super::address::{address, output_key};
use crate::chain::LogPlace;
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{PegContracts, proposal};

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
    let contracts = PegContracts::at_head(context.chain(), stop);
    let found = deposit(&contracts, outpoint)?;
    let key = found.as_ref().map(|(key, _)| *key);
    report(context, key, found.into_iter().map(|(_, deposit)| deposit).collect(), None)
}

fn deposits_to(
    context: &Context,
    output_key: B256,
    from: peg::DepositPlace,
    stop: &Stop,
) -> error::Result<peg::DepositReport> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let from = LogPlace { block: from.block, log_index: from.log_index };
    let page = crate::peg::deposits_to(context.chain(), output_key, from, contracts.header.number, stop);
    let page = page.map_err(error::simulate)?;
    let mut deposits = Vec::with_capacity(page.outpoints.len());
    for outpoint in page.outpoints {
        deposits.extend(deposit(&contracts, outpoint)?.map(|(_, deposit)| deposit));
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
    let registration = match output_key {
        Some(key) => context.chain().registration(key).map_err(|error| error::store(&error))?,
        None => None,
    };
    Ok(peg::DepositReport {
        registered: registration.is_some(),
        address: output_key.and_then(|key| address(key, context.bitcoin_network())),
        deposits,
        next,
        since_block: context.chain().began(),
    })
}

/// A deposit in the ledger, with its output key.
fn deposit(contracts: &PegContracts<'_, NodeStore>, outpoint: OutPoint) -> error::Result<Option<(B256, peg::Deposit)>> {
    let txid = B256::from(outpoint.txid.to_byte_array());
    let deposit = contracts.deposit(txid, outpoint.vout).map_err(error::simulate)?;
    let Some(status) = named(deposit.status, [DepositStatus::Sweeping, DepositStatus::Minted]) else {
        return Ok(None);
    };
    let shape = peg::Deposit {
        txid: outpoint.txid,
        vout: outpoint.vout,
        amount_sat: deposit.amountSat,
        share_sat: deposit.shareSat,
        status,
        number: deposit.number.saturating_to(),
        recipient: deposit.recipient,
    };
    Ok(Some((deposit.outputKey, shape)))
}

fn withdrawal(context: &Context, id: u64, stop: &Stop) -> error::Result<Option<peg::Withdrawal>> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let withdrawal = contracts.withdrawal(id).map_err(error::simulate)?;
    use WithdrawalStatus::{Cancelled, Paid, Paying, Queued};
    let Some(status) = named(withdrawal.status, [Queued, Paying, Paid, Cancelled]) else {
        return Ok(None);
    };
    let number = (!withdrawal.number.is_zero()).then_some(withdrawal.number);
    let txid = match number {
        Some(number) => Some(txid(contracts.vault_transaction(number).map_err(error::simulate)?.txid)),
        None => None,
    };
    Ok(Some(peg::Withdrawal {
        id,
        status,
        owner: withdrawal.owner,
        amount_sat: withdrawal.amountSat,
        max_fee_sat: withdrawal.maxFeeSat,
        share_sat: withdrawal.shareSat,
        number: number.map(|number| number.saturating_to()),
        txid,
        script: withdrawal.script,
    }))
}

fn vault_transaction(context: &Context, number: u64, stop: &Stop) -> error::Result<Option<peg::VaultTransaction>> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let vault = contracts.vault_transaction(U256::from(number)).map_err(error::simulate)?;
    let Some(status) = named(vault.status, [VaultStatus::Proposed, VaultStatus::Settled, VaultStatus::Unsettled])
    else {
        return Ok(None);
    };
    let proposed = proposal(context.chain(), number, contracts.header.number, stop).map_err(error::simulate)?;
    let proposed = proposed.ok_or_else(|| missing(number, context.chain().began()))?;
    let block = (!vault.blockHash.is_zero()).then_some(vault.blockHash);
    let confirmations = block.map_or(Ok(0), |block| contracts.confirmations(block)).map_err(error::simulate)?;
    Ok(Some(peg::VaultTransaction {
        number,
        status,
        txid: txid(vault.txid),
        fee_sat: vault.feeSat,
        change_sat: vault.changeSat,
        value_sat: vault.valueSat,
        required_confirmations: vault.requiredConfirmations,
        confirmations,
        block_hash: block.map(|block| bitcoin::BlockHash::from_byte_array(block.0)),
        epoch: vault.epoch,
        transaction: proposed.transaction,
        inputs: proposed.inputs.iter().map(spent_output).collect(),
    }))
}

/// Why there is no event of a vault transaction that the ledger has.
fn missing(number: u64, began: u64) -> ErrorObjectOwned {
    match began {
        0 => error::server(format!("the event of vault transaction {number} is missing")),
        began => error::not_found(format!(
            "vault transaction {number} was proposed before block {began}, with which this node's history begins: ask another node"
        )),
    }
}

fn spent_output(output: &IBridge::SpentOutput) -> peg::SpentOutput {
    peg::SpentOutput {
        txid: txid(output.txid),
        vout: output.vout,
        amount_sat: output.amountSat,
        output_key: output.outputKey,
        merkle_root: output.merkleRoot,
        epoch: output.epoch,
    }
}

fn txid(internal: B256) -> Txid {
    Txid::from_byte_array(internal.0)
}

/// The name of a status of the contract; its 0 is "none".
fn named<T: Copy, const N: usize>(status: u8, names: [T; N]) -> Option<T> {
    names.get(usize::from(status).checked_sub(1)?).copied()
}
