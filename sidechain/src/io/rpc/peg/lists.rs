//! Deposits, withdrawals and vault transactions, the newest first, page by page. What a page costs is bounded by its length, however many there are
//! and however long the chain is.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use api::peg::{self, DepositPlace, DepositsWanted, WithdrawalsWanted};
use bitcoin::OutPoint;

use super::super::method::{Methods, Registered, long};
use super::super::{context::Context, error};
use super::address::address;
use super::ledger::{Shown, vault_transaction, withdrawal};
use crate::chain::{Chain, LogPlace, SimulateError};
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{
    Deposits, DepositsOf, Newest, PegContracts, WithdrawalsOf, asked_in, newest_deposits, newest_withdrawals, txid,
    whole,
};

/// Deposits and withdrawals of a page: the default, and the most.
const USUAL_PAGE: usize = 20;
const MAX_PAGE: usize = 100;
/// Vault transactions of a page, of which each has some kilobytes and up to 64 inputs that others may spend: the default, and the most.
const USUAL_VAULT_PAGE: usize = 10;
const MAX_VAULT_PAGE: usize = 50;
/// Withdrawals that are looked at for open ones, in steps that one call of the contract can do.
const OPEN_STEP: u64 = 500;
const OPEN_STEPS: usize = 4;

type Contracts<'a> = PegContracts<'a, Chain<NodeStore>>;

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getDeposits", |context, arguments| {
        let wanted: DepositsWanted = arguments.optional("wanted")?.unwrap_or_default();
        let before: Option<DepositPlace> = arguments.optional("before")?;
        let most = limit(arguments.optional("limit")?, USUAL_PAGE, MAX_PAGE)?;
        deposits(context, wanted, before, most, arguments.stop())
    })?;
    long(methods, "peg_getWithdrawals", |context, arguments| {
        let wanted: WithdrawalsWanted = arguments.optional("wanted")?.unwrap_or_default();
        let below: Option<u64> = arguments.optional("below")?;
        let most = limit(arguments.optional("limit")?, USUAL_PAGE, MAX_PAGE)?;
        withdrawals(context, wanted, below, most, arguments.stop())
    })?;
    long(methods, "peg_getVaultTransactions", |context, arguments| {
        let below: Option<u32> = arguments.optional("below")?;
        let most = limit(arguments.optional("limit")?, USUAL_VAULT_PAGE, MAX_VAULT_PAGE)?;
        vault_transactions(context, below, most, arguments.stop())
    })
}

fn limit(asked: Option<usize>, usual: usize, most: usize) -> error::Result<usize> {
    let got = asked.unwrap_or(usual);
    if (1..=most).contains(&got) {
        Ok(got)
    } else {
        Err(error::invalid(format!("limit is {got}, expected 1 to {most}")))
    }
}

fn deposits(
    context: &Context,
    wanted: DepositsWanted,
    before: Option<DepositPlace>,
    most: usize,
    stop: &Stop,
) -> error::Result<peg::DepositList> {
    let of = match (wanted.recipient, wanted.claimant) {
        (None, None) => DepositsOf::Anyone,
        (Some(recipient), None) => DepositsOf::Recipient(recipient),
        (None, Some(claimant)) => DepositsOf::Claimant(claimant),
        (Some(_), Some(_)) => return Err(error::invalid("recipient and claimant: one of them")),
    };
    let mut ledger = Deposits::new(PegContracts::at_head(context.chain(), stop));
    let end = whole(ledger.contracts.header.number);
    let before = before.map_or(end, |place| LogPlace { block: place.block, log_index: place.log_index }.min(end));
    let found = newest_deposits(context.chain(), of, Newest { before, most }, stop).map_err(error::simulate)?;
    let (events, next) = found;
    let mut seen = BTreeSet::new();
    let mut deposits = Vec::with_capacity(events.len());
    for event in events {
        let outpoint = OutPoint::new(txid(event.txid), event.vout);
        // Proven again, it stands where it was proven last.
        if !seen.insert(outpoint) {
            continue;
        }
        let address = address(event.outputKey, context.bitcoin_network()).unwrap_or_default();
        let deposit = ledger.get(outpoint).map_err(error::simulate)?;
        deposits.extend(deposit.map(|deposit| peg::ListedDeposit { address, deposit }));
    }
    let next = next.map(|place| DepositPlace { block: place.block, log_index: place.log_index });
    Ok(peg::DepositList { deposits, next, since_block: context.chain().began() })
}

fn withdrawals(
    context: &Context,
    wanted: WithdrawalsWanted,
    below: Option<u64>,
    most: usize,
    stop: &Stop,
) -> error::Result<peg::WithdrawalList> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let end = contracts.withdrawal_count().map_err(error::simulate)?.saturating_add(1);
    let below = below.unwrap_or(end).min(end);
    let found = match (wanted.owner, wanted.script, wanted.open) {
        (None, None, false) => Ok(newest(below, most)),
        (Some(owner), None, false) => named(context, &contracts, &WithdrawalsOf::Owner(owner), below, most, stop),
        (None, Some(script), false) => named(context, &contracts, &WithdrawalsOf::Script(script), below, most, stop),
        (None, None, true) => open(&contracts, below, most),
        _ => return Err(error::invalid("owner, script and open: one of them")),
    };
    let (ids, next) = found.map_err(error::simulate)?;
    let shown = ids.into_iter().map(|id| withdrawal(context, &contracts, id, stop));
    let withdrawals = shown.filter_map(Result::transpose).collect::<error::Result<_>>()?;
    Ok(peg::WithdrawalList { withdrawals, next, since_block: context.chain().began() })
}

/// Ids, and below which the others are.
type Ids = (Vec<u64>, Option<u64>);

/// All have a number: no index is needed.
fn newest(below: u64, most: usize) -> Ids {
    let ids: Vec<u64> = (1..below).rev().take(most).collect();
    let next = ids.last().copied().filter(|last| *last > 1);
    (ids, next)
}

fn named(
    context: &Context,
    contracts: &Contracts<'_>,
    of: &WithdrawalsOf,
    below: u64,
    most: usize,
    stop: &Stop,
) -> Result<Ids, SimulateError> {
    let head = contracts.header.number;
    // Ids rise with their blocks. What is below one of before this node's history is older still.
    let before = match asked_in(context.chain(), below, head, stop)? {
        Some(place) => place,
        None if below > contracts.withdrawal_count()? => whole(head),
        None => return Ok((Vec::new(), None)),
    };
    let (events, next) = newest_withdrawals(context.chain(), of, U256::from(below), Newest { before, most }, stop)?;
    let ids: Vec<u64> = events.iter().map(|event| event.id.saturating_to()).collect();
    let next = next.and_then(|_| ids.last().copied());
    Ok((ids, next))
}

/// Most open withdrawals are among the newest: those that were looked at are a page, also when few of them are open.
fn open(contracts: &Contracts<'_>, below: u64, most: usize) -> Result<Ids, SimulateError> {
    let (mut ids, mut below) = (Vec::new(), below);
    for _ in 0..OPEN_STEPS {
        let after = below.saturating_sub(1 + OPEN_STEP);
        let found = contracts.open_withdrawals(after, below.saturating_sub(1 + after))?;
        ids.extend(found.into_iter().rev());
        below = after + 1;
        if ids.len() > most {
            ids.truncate(most);
            let last = ids.last().copied();
            return Ok((ids, last));
        }
        if after == 0 {
            return Ok((ids, None));
        }
    }
    Ok((ids, Some(below)))
}

fn vault_transactions(
    context: &Context,
    below: Option<u32>,
    most: usize,
    stop: &Stop,
) -> error::Result<peg::VaultTransactionList> {
    let contracts = PegContracts::at_head(context.chain(), stop);
    let end = contracts.vault_transaction_count().map_err(error::simulate)?.saturating_add(1);
    let below = below.unwrap_or(end).min(end);
    let mut list =
        peg::VaultTransactionList { vault_transactions: Vec::new(), next: None, since_block: context.chain().began() };
    for number in (1..below).rev() {
        if list.vault_transactions.len() == most {
            list.next = Some(number + 1);
            break;
        }
        // Those before this node's history are behind all others.
        let Shown::Is(shown) = vault_transaction(context, &contracts, number, stop)? else { break };
        list.vault_transactions.push(*shown);
    }
    Ok(list)
}
