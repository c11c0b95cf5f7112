//! Deposits, withdrawals and vault transactions, as the ledger has them.

use alloy_primitives::B256;
use api::peg;
use bitcoin::OutPoint;
use jsonrpsee::types::ErrorObjectOwned;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use super::address::{address, output_key};
use crate::chain::{Chain, LogPlace};
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{BoundAs, Deposits, PegContracts, bound, paid_key, spenders, ties, vault_status};

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
        let contracts = PegContracts::at_head(context.chain(), arguments.stop());
        withdrawal(context, &contracts, id, arguments.stop())
    })?;
    long(methods, "peg_getVaultTransaction", |context, arguments| {
        let number = arguments.next("number")?;
        let contracts = PegContracts::at_head(context.chain(), arguments.stop());
        match vault_transaction(context, &contracts, number, arguments.stop())? {
            Shown::Is(shown) => Ok(Some(shown)),
            Shown::No => Ok(None),
            Shown::BeforeHistory => Err(missing(number, context.chain().began())),
        }
    })
}

fn deposit_at(context: &Context, outpoint: OutPoint, stop: &Stop) -> error::Result<peg::DepositReport> {
    let mut ledger = Deposits::new(PegContracts::at_head(context.chain(), stop));
    let found = ledger.get(outpoint).map_err(error::simulate)?;
    let head = ledger.contracts.header.number;
    let key = match &found {
        Some(_) => paid_key(context.chain(), outpoint, head, stop).map_err(error::simulate)?,
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
    let mut ledger = Deposits::new(PegContracts::at_head(context.chain(), stop));
    let from = LogPlace { block: from.block, log_index: from.log_index };
    let page = crate::peg::deposits_to(context.chain(), output_key, from, ledger.contracts.header.number, stop);
    let page = page.map_err(error::simulate)?;
    let mut deposits = Vec::with_capacity(page.outpoints.len());
    for outpoint in page.outpoints {
        deposits.extend(ledger.get(outpoint).map_err(error::simulate)?);
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

/// A withdrawal with what pays it.
pub fn withdrawal(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    id: u64,
    stop: &Stop,
) -> error::Result<Option<peg::Withdrawal>> {
    let versions = || {
        let ties = ties(context.chain(), id, contracts.header.number, stop)?;
        Ok(ties.iter().map(|tie| (tie.number, tie.chargeSat)).collect())
    };
    crate::peg::withdrawal(contracts, id, versions).map_err(error::simulate)
}

/// What the ledger and the event of its binding say of a vault transaction.
pub enum Shown {
    Is(Box<peg::VaultTransaction>),
    /// There is none of this number.
    No,
    /// It was bound before this node's history begins.
    BeforeHistory,
}

/// A vault transaction with others over its inputs.
pub fn vault_transaction(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    number: u32,
    stop: &Stop,
) -> error::Result<Shown> {
    let head = contracts.header.number;
    let vault = contracts.vault_transaction(number).map_err(error::simulate)?;
    if vault_status(&vault).is_none() {
        return Ok(Shown::No);
    }
    let event = bound(context.chain(), number, head, stop).map_err(error::simulate)?;
    let Some(event) = event else { return Ok(Shown::BeforeHistory) };
    let versions = spenders(context.chain(), &event.content, head, stop).map_err(error::simulate)?;
    let bound = BoundAs::new(event.content.into(), event.amountsSat, event.transaction);
    let bound =
        bound.map_err(|why| error::server(format!("the transaction of vault transaction {number} is none: {why}")))?;
    let shown = crate::peg::vault_transaction(contracts, number, bound, &versions).map_err(error::simulate)?;
    Ok(shown.map_or(Shown::No, |shown| Shown::Is(Box::new(shown))))
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
