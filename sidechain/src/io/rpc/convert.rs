//! From the chain's types to Ethereum's JSON.

use alloy_consensus::Transaction as _;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::state::{AccountOverride as RpcAccountOverride, StateOverride};
use alloy_rpc_types_eth::{Block as RpcBlock, BlockOverrides, BlockTransactions, Header as RpcHeader, Log as RpcLog};
use alloy_rpc_types_eth::{Transaction as RpcTransaction, TransactionReceipt, TransactionRequest};
use api::free_lane;
use serde_json::{Map, Value};

use super::error;
use crate::block::{Header, Receipt, Transaction, gas_price};
use crate::chain::{Finalized, LogEntry, LogFilter, Stored};
use crate::execution::{AccountOverride, BlockOverride, Call, InclusionError, NO_MEMBER, Overrides, Rules};
use crate::geth::{self, Offer};

pub fn block(stored: &Stored, full: bool) -> RpcBlock {
    let Stored { block, hash, .. } = stored;
    let transactions = if full {
        let all = (0..block.transactions.len()).filter_map(|index| transaction(stored, index));
        BlockTransactions::Full(all.collect())
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect())
    };
    let withdrawals = block.header.withdrawals_root.map(|_| Withdrawals::default());
    RpcBlock {
        header: RpcHeader { size: Some(U256::from(block.length())), ..header(block.header.clone(), *hash) },
        uncles: Vec::new(),
        transactions,
        withdrawals,
    }
}

/// A block or header at `pending`, as geth shows it: without hash, nonce and miner (go-ethereum, internal/ethapi/api.go), for it is nobody's yet. Nor
/// do its transactions name a block by its hash.
///
/// # Errors
///
/// None that is known: everything here has a JSON form.
pub fn without_identity(shown: &impl serde::Serialize) -> error::Result<Value> {
    let mut shown = serde_json::to_value(shown).map_err(|_| error::server("internal error"))?;
    for name in ["hash", "nonce", "miner"] {
        shown[name] = Value::Null;
    }
    let transactions = shown.get_mut("transactions").and_then(Value::as_array_mut);
    for transaction in transactions.into_iter().flatten().filter_map(Value::as_object_mut) {
        transaction.insert("blockHash".to_owned(), Value::Null);
    }
    Ok(shown)
}

pub fn header(header: Header, hash: B256) -> RpcHeader {
    RpcHeader { hash, inner: header, total_difficulty: None, size: None }
}

/// The transaction at a position of a block.
pub fn transaction(stored: &Stored, index: usize) -> Option<RpcTransaction> {
    let transaction = stored.transaction(index)?;
    let header = &stored.block.header;
    Some(RpcTransaction {
        block_hash: Some(stored.hash),
        block_number: Some(header.number),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(gas_price(&transaction, header.base_fee_per_gas)),
        block_timestamp: Some(header.timestamp),
        inner: transaction,
    })
}

/// A transaction of the pool.
pub fn pending(transaction: Transaction) -> RpcTransaction {
    RpcTransaction {
        block_hash: None,
        block_number: None,
        transaction_index: None,
        // As geth: what it offers at most stands as its price until it has one.
        effective_gas_price: Some(gas_price(&transaction, None)),
        block_timestamp: None,
        inner: transaction,
    }
}

/// All receipts of a block, in order.
pub fn receipts(finalized: &Finalized) -> Vec<TransactionReceipt> {
    let mut before = Before::default();
    let all = finalized.receipts.iter().enumerate();
    all.filter_map(|(index, receipt)| {
        let shown = before.receipt(finalized, index, receipt);
        before.pass(receipt);
        shown
    })
    .collect()
}

/// The receipt at a position of a block.
pub fn receipt(finalized: &Finalized, index: usize) -> Option<TransactionReceipt> {
    let mut before = Before::default();
    finalized.receipts.iter().take(index).for_each(|receipt| before.pass(receipt));
    before.receipt(finalized, index, finalized.receipts.get(index)?)
}

/// What the transactions before one in its block used.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    gas: u64,
    logs: u64,
}

impl Before {
    fn pass(&mut self, receipt: &Receipt) {
        self.gas = receipt.cumulative_gas_used();
        self.logs += receipt.logs().len() as u64;
    }

    fn receipt(self, finalized: &Finalized, index: usize, receipt: &Receipt) -> Option<TransactionReceipt> {
        let (transaction, from) = finalized.block.transactions.get(index).zip(finalized.senders.get(index).copied())?;
        let header = &finalized.block.header;
        let mut log_index = self.logs;
        let inner = receipt.clone().map_logs(|log| {
            let entry = LogEntry {
                log,
                block_number: header.number,
                block_hash: finalized.hash,
                block_timestamp: header.timestamp,
                transaction_hash: *transaction.tx_hash(),
                transaction_index: index as u64,
                log_index,
            };
            log_index += 1;
            self::log(entry)
        });
        Some(TransactionReceipt {
            inner,
            transaction_hash: *transaction.tx_hash(),
            transaction_index: Some(index as u64),
            block_hash: Some(finalized.hash),
            block_number: Some(header.number),
            gas_used: receipt.cumulative_gas_used() - self.gas,
            effective_gas_price: gas_price(transaction, header.base_fee_per_gas),
            blob_gas_used: None,
            blob_gas_price: None,
            from,
            to: transaction.to(),
            contract_address: transaction.is_create().then(|| from.create(transaction.nonce())),
        })
    }
}

pub fn log(entry: LogEntry) -> RpcLog {
    RpcLog {
        inner: entry.log,
        block_hash: Some(entry.block_hash),
        block_number: Some(entry.block_number),
        block_timestamp: Some(entry.block_timestamp),
        transaction_hash: Some(entry.transaction_hash),
        transaction_index: Some(entry.transaction_index),
        log_index: Some(entry.log_index),
        removed: false,
    }
}

/// The logs of a block that just became final and match, each built when it is asked for.
pub fn logs<'a>(finalized: &'a Finalized, filter: &'a LogFilter) -> impl Iterator<Item = RpcLog> + 'a {
    let may_match = filter.may_match(&finalized.block.header.logs_bloom).then_some(finalized);
    let matching =
        may_match.into_iter().flat_map(move |finalized| finalized.logs(move |_, _, log| filter.matches(log)));
    matching.map(log)
}

/// A call of at most `max_gas`.
///
/// # Errors
///
/// What is not of this chain, or contradicts itself, in geth's words.
pub fn call(request: TransactionRequest, max_gas: u64, rules: &Rules) -> error::Result<Call> {
    if let Some(have) = request.chain_id.filter(|have| *have != rules.chain_id) {
        return Err(error::server(format!("chainId does not match node's (have={have}, want={})", rules.chain_id)));
    }
    let gas_price = price(&request, rules)?;
    check_authorizations(&request)?;
    let input = request.input.try_into_unique_input().map_err(|error| error::invalid(error.to_string()))?;
    Ok(Call {
        from: request.from.unwrap_or_default(),
        to: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        input: input.unwrap_or_default(),
        gas: Some(request.gas.unwrap_or(u64::MAX).min(max_gas)),
        gas_price,
        access_list: request.access_list.unwrap_or_default(),
        authorizations: request.authorization_list.unwrap_or_default(),
    })
}

/// What a call offers, in wei per gas; nothing, if a member's is to be free. Others are charged that price as any.
fn price(request: &TransactionRequest, rules: &Rules) -> error::Result<u128> {
    let (most, tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    if request.gas_price.is_some() && (most.is_some() || tip.is_some()) {
        return Err(error::server("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
    }
    if let (Some(most), Some(tip)) = (most, tip)
        && tip > most
    {
        let offer = Offer { from: request.from.unwrap_or_default(), most, tip, base_fee: 0 };
        return Err(error::server(offer.tip_above_fee_cap()));
    }
    let is_free = names_free_lane(request) && is_of_member(request, rules);
    Ok(if is_free { 0 } else { request.gas_price.or(most).unwrap_or_default() })
}

/// Refuses the free lane's price to whoever may not have it: a call is charged it, but what is to be signed and sent would only be refused later.
///
/// # Errors
///
/// As the pool's.
pub fn require_member_for_free_lane(request: &TransactionRequest, rules: &Rules) -> error::Result<()> {
    if names_free_lane(request) && !is_of_member(request, rules) {
        return Err(error::server(InclusionError::NotFree(NO_MEMBER).to_string()));
    }
    Ok(())
}

fn names_free_lane(request: &TransactionRequest) -> bool {
    let free = (Some(free_lane::MAX_FEE_PER_GAS), Some(free_lane::MAX_PRIORITY_FEE_PER_GAS));
    (request.max_fee_per_gas, request.max_priority_fee_per_gas) == free
}

fn is_of_member(request: &TransactionRequest, rules: &Rules) -> bool {
    request.from.is_some_and(|from| rules.members.contains(&from))
}

/// A list of authorizations that is there is not empty, and what has one calls somebody (EIP-7702).
fn check_authorizations(request: &TransactionRequest) -> error::Result<()> {
    let Some(list) = &request.authorization_list else { return Ok(()) };
    let from = request.from.unwrap_or_default();
    if request.to.is_none_or(|to| to.is_create()) {
        return Err(error::server(geth::of_sender(geth::AUTHORIZATIONS_CREATE, from)));
    }
    if list.is_empty() { Err(error::server(geth::of_sender(geth::NO_AUTHORIZATIONS, from))) } else { Ok(()) }
}

/// What a call is tried with in the place of what is there; in geth's words where it contradicts itself.
///
/// # Errors
///
/// What this chain has not, or cannot pretend.
pub fn overrides(accounts: Option<StateOverride>, block: Option<BlockOverrides>) -> error::Result<Overrides> {
    let accounts = accounts.unwrap_or_default().into_iter();
    let accounts = accounts.map(|(address, account)| Ok((address, account_override(address, account)?)));
    let accounts = accounts.collect::<error::Result<_>>()?;
    let block = block.map_or(Ok(BlockOverride::default()), block_override)?;
    Overrides::new(accounts, block).map_err(error::moved)
}

fn account_override(address: Address, account: RpcAccountOverride) -> error::Result<AccountOverride> {
    let RpcAccountOverride { balance, nonce, code, state, state_diff, move_precompile_to } = account;
    if state.is_some() && state_diff.is_some() {
        return Err(error::invalid(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    let is_whole = state.is_some();
    let slots = state.or(state_diff).unwrap_or_default().into_iter();
    let slots = slots.map(|(slot, value)| (slot.into(), value.into())).collect();
    Ok(AccountOverride { nonce, balance, code, is_whole, slots, precompile_to: move_precompile_to })
}

/// What block overrides may say, by all names that it goes by; some of it is refused afterwards.
const BLOCK_FIELDS: [&str; 16] = [
    "number",
    "blockNumber",
    "difficulty",
    "time",
    "timestamp",
    "gasLimit",
    "coinbase",
    "feeRecipient",
    "random",
    "prevRandao",
    "baseFee",
    "baseFeePerGas",
    "blobBaseFee",
    "beaconRoot",
    "parentBeaconBlockRoot",
    "blockHash",
];

/// Refuses block overrides that their type would ignore: the answer would be of something else.
///
/// # Errors
///
/// The first field that is neither one of a block's nor among `more`.
pub fn require_block_fields(said: &Value, more: &[&str]) -> error::Result<()> {
    let fields = said.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let is_known = |name: &str| BLOCK_FIELDS.contains(&name) || more.contains(&name);
    match fields.map(|(name, _)| name).find(|name| !is_known(name)) {
        Some(name) => Err(error::invalid(format!("block override {name} is not supported"))),
        None => Ok(()),
    }
}

fn block_override(block: BlockOverrides) -> error::Result<BlockOverride> {
    let BlockOverrides { number, difficulty, time, gas_limit, coinbase, random, base_fee, .. } = block;
    let unsupported = [
        ("difficulty", difficulty.is_some()),
        ("blobBaseFee", block.blob_base_fee.is_some()),
        ("beaconRoot", block.beacon_root.is_some()),
        ("blockHash", block.block_hash.is_some()),
    ];
    if let Some((name, _)) = unsupported.into_iter().find(|(_, is_there)| *is_there) {
        return Err(error::invalid(format!("block override {name} is not supported")));
    }
    let small = |name: &str, value: Option<U256>| {
        let value = value.map(u64::try_from).transpose();
        value.map_err(|_| error::invalid(format!("block override {name} does not fit 64 bits")))
    };
    Ok(BlockOverride {
        number: small("number", number)?,
        timestamp: time,
        gas_limit,
        beneficiary: coinbase,
        random,
        base_fee: small("baseFeePerGas", base_fee)?,
    })
}

/// State and block overrides, in this order: they would change the answer, so they are not ignored.
///
/// # Errors
///
/// There are some.
pub fn refuse_overrides(overrides: [Option<Map<String, Value>>; 2]) -> error::Result<()> {
    let named = ["state overrides", "block overrides"].into_iter().zip(overrides);
    match named.into_iter().find(|(_, overrides)| overrides.as_ref().is_some_and(|overrides| !overrides.is_empty())) {
        Some((name, _)) => Err(error::invalid(format!("{name} are not supported"))),
        None => Ok(()),
    }
}
