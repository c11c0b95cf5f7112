//! Deposits, withdrawals and vault transactions, as the Bridge has them.

use alloy_primitives::{B256, U256};
use api::peg::{self, DepositStatus, VaultStatus, WithdrawalStatus};
use bitcoin::hashes::Hash;
use bitcoin::{Address, OutPoint, Txid};
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolEvent;
use contracts::{Bridge, IBridge};
use jsonrpsee::RpcModule;
use mainchain::params::Network;

use super::super::method::{Registered, worker};
use super::super::reader::Reader;
use super::super::{context::Context as Node, error};
use crate::app::LogFilter;

/// Deposits to one address that are answered. An address is for one payment; more than this is a mistake or an attack.
const MAX_DEPOSITS: usize = 1_000;

pub fn register(module: &mut RpcModule<Node>) -> Registered {
    worker(module, "peg_getDeposit", |node, arguments| {
        let text: String = arguments.next("address or outpoint")?;
        match text.parse::<OutPoint>() {
            Ok(outpoint) => deposit_at(node, outpoint),
            Err(_) => deposits_to(node, output_key(&text, node.bitcoin_network())?),
        }
    })?;
    worker(module, "peg_getWithdrawal", |node, arguments| withdrawal(node, arguments.next("id")?))?;
    worker(module, "peg_getVaultTransaction", |node, arguments| vault_transaction(node, arguments.next("number")?))
}

/// The address of an output key.
pub fn address(output_key: B256, network: Network) -> Option<String> {
    let key = bitcoin::XOnlyPublicKey::from_slice(output_key.as_slice()).ok()?;
    let key = bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(key);
    Some(Address::p2tr_tweaked(key, network.bitcoin()).to_string())
}

/// The output key of a taproot address of this network, or of its hex.
fn output_key(text: &str, network: Network) -> error::Result<B256> {
    if let Ok(key) = text.parse::<B256>() {
        return Ok(key);
    }
    let address: Address<_> = text
        .parse()
        .map_err(|error| error::invalid(format!("{text} is neither an address nor an outpoint: {error}")))?;
    let address = address
        .require_network(network.bitcoin())
        .map_err(|_| error::invalid(format!("{text} is not an address of {}", network.name())))?;
    let script = address.script_pubkey();
    if !script.is_p2tr() {
        return Err(error::invalid(format!("{text} is not a taproot address, so not a deposit address")));
    }
    Ok(B256::from_slice(&script.as_bytes()[2..]))
}

fn deposit_at(node: &Node, outpoint: OutPoint) -> error::Result<peg::DepositReport> {
    let reader = Reader::new(&node.state);
    let found = deposit(&reader, outpoint)?;
    let key = found.as_ref().map(|(key, _)| *key);
    report(node, key, found.into_iter().map(|(_, deposit)| deposit).collect())
}

fn deposits_to(node: &Node, output_key: B256) -> error::Result<peg::DepositReport> {
    let reader = Reader::new(&node.state);
    let filter = LogFilter {
        from: 0,
        to: reader.header.number,
        addresses: vec![BRIDGE],
        topics: [vec![Bridge::DepositSweeping::SIGNATURE_HASH], vec![output_key], Vec::new(), Vec::new()],
    };
    let logs = node.chain().logs(&filter, MAX_DEPOSITS).map_err(error::logs)?;
    let mut deposits = Vec::with_capacity(logs.len());
    for entry in logs {
        let Ok(event) = Bridge::DepositSweeping::decode_log(&entry.log) else {
            continue;
        };
        let outpoint = OutPoint::new(Txid::from_byte_array(event.txid.0), event.vout);
        deposits.extend(deposit(&reader, outpoint)?.map(|(_, deposit)| deposit));
    }
    report(node, Some(output_key), deposits)
}

fn report(node: &Node, output_key: Option<B256>, deposits: Vec<peg::Deposit>) -> error::Result<peg::DepositReport> {
    let registration = match output_key {
        Some(key) => node.chain().registration(key).map_err(|error| error::store(&error))?,
        None => None,
    };
    Ok(peg::DepositReport {
        registered: registration.is_some(),
        address: output_key.and_then(|key| address(key, node.bitcoin_network())),
        deposits,
    })
}

/// A deposit in the ledger, with its output key.
fn deposit(reader: &Reader<'_>, outpoint: OutPoint) -> error::Result<Option<(B256, peg::Deposit)>> {
    let txid = B256::from(outpoint.txid.to_byte_array());
    let deposit = reader.deposit(txid, outpoint.vout).map_err(error::simulate)?;
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

fn withdrawal(node: &Node, id: u64) -> error::Result<Option<peg::Withdrawal>> {
    let reader = Reader::new(&node.state);
    let withdrawal = reader.withdrawal(id).map_err(error::simulate)?;
    use WithdrawalStatus::{Cancelled, Paid, Paying, Queued};
    let Some(status) = named(withdrawal.status, [Queued, Paying, Paid, Cancelled]) else {
        return Ok(None);
    };
    let number = (!withdrawal.number.is_zero()).then_some(withdrawal.number);
    let txid = match number {
        Some(number) => Some(txid(reader.vault_transaction(number).map_err(error::simulate)?.txid)),
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

fn vault_transaction(node: &Node, number: u64) -> error::Result<Option<peg::VaultTransaction>> {
    let reader = Reader::new(&node.state);
    let vault = reader.vault_transaction(U256::from(number)).map_err(error::simulate)?;
    let Some(status) = named(vault.status, [VaultStatus::Proposed, VaultStatus::Settled, VaultStatus::Unsettled])
    else {
        return Ok(None);
    };
    let proposed = proposal(node, number, reader.header.number)?;
    let block = (!vault.blockHash.is_zero()).then_some(vault.blockHash);
    let confirmations = block.map_or(Ok(0), |block| reader.confirmations(block)).map_err(error::simulate)?;
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

/// The event of a proposal, which alone holds the whole transaction.
fn proposal(node: &Node, number: u64, head: u64) -> error::Result<Bridge::VaultTransactionProposed> {
    let filter = LogFilter {
        from: 0,
        to: head,
        addresses: vec![BRIDGE],
        topics: [
            vec![Bridge::VaultTransactionProposed::SIGNATURE_HASH],
            vec![U256::from(number).into()],
            Vec::new(),
            Vec::new(),
        ],
    };
    let logs = node.chain().logs(&filter, 1).map_err(error::logs)?;
    let event = logs.first().and_then(|entry| Bridge::VaultTransactionProposed::decode_log(&entry.log).ok());
    let event = event.ok_or_else(|| error::server(format!("the event of vault transaction {number} is missing")))?;
    Ok(event.data)
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
