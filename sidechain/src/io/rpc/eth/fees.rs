//! Gas prices: suggested ones, and those that were paid.

use alloy_consensus::Transaction as _;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::FeeHistory;
use jsonrpsee::RpcModule;

use super::super::method::{Arguments, Registered, worker};
use super::super::{context::Context, error};
use super::block_id::number;
use crate::block::{is_free, next_base_fee};
use crate::chain::Stored;
use crate::limits::MIN_BASE_FEE;

/// Blocks one `eth_feeHistory` answers, as geth's limit.
const MAX_HISTORY: u64 = 1_024;

/// Percentiles one `eth_feeHistory` answers, as geth's limit.
const MAX_PERCENTILES: usize = 100;

/// Blocks that a suggested tip is taken from.
const TIP_BLOCKS: u64 = 20;

/// Lowest tip suggested, in wei per gas: a tenth of the lowest base fee, so that it matters little.
const MIN_TIP: u128 = MIN_BASE_FEE as u128 / 10;

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    worker(module, "eth_gasPrice", gas_price)?;
    worker(module, "eth_maxPriorityFeePerGas", |context, _| tip(context).map(U256::from))?;
    worker(module, "eth_blobBaseFee", |_, _| -> error::Result<U256> {
        Err(error::server("blob transactions (type 3) are not supported by this chain"))
    })?;
    worker(module, "eth_feeHistory", fee_history)
}

/// Base fee and tip, with a quarter of room: two full blocks may pass until a transaction gets in.
fn gas_price(context: &Context, _: &mut Arguments) -> error::Result<U256> {
    let base_fee = u128::from(next_base_fee(&context.chain().head()));
    Ok(U256::from(base_fee + base_fee / 4 + tip(context)?))
}

/// The median of tips paid in the last blocks.
fn tip(context: &Context) -> error::Result<u128> {
    let head = context.chain().head().number;
    let mut tips = Vec::new();
    for number in head.saturating_sub(TIP_BLOCKS - 1)..=head {
        if let Some(stored) = context.chain().stored(number).map_err(|error| error::store(&error))? {
            let base_fee = stored.block.header.base_fee_per_gas.unwrap_or_default();
            let paid = stored.block.transactions.iter().filter(|transaction| !is_free(transaction));
            tips.extend(paid.filter_map(|transaction| transaction.effective_tip_per_gas(base_fee)));
        }
    }
    tips.sort_unstable();
    Ok(tips.get(tips.len() / 2).copied().unwrap_or_default().max(MIN_TIP))
}

fn fee_history(context: &Context, arguments: &mut Arguments) -> error::Result<FeeHistory> {
    let count: Count = arguments.next("block count")?;
    let newest: BlockNumberOrTag = arguments.next("newest block")?;
    let percentiles: Vec<f64> = arguments.optional("reward percentiles")?.unwrap_or_default();
    if percentiles.len() > MAX_PERCENTILES
        || !percentiles.is_sorted()
        || percentiles.iter().any(|p| !(0.0..=100.0).contains(p))
    {
        return Err(error::invalid("invalid reward percentile: at most 100 rising numbers from 0 to 100"));
    }
    let newest = number(context, BlockId::Number(newest))?;
    let oldest = (newest + 1).saturating_sub(count.number().min(MAX_HISTORY));
    let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    for number in oldest..=newest {
        let stored = context.chain().stored(number).map_err(|error| error::store(&error))?;
        let stored = stored.ok_or_else(|| error::not_found(format!("block {number} not found")))?;
        let header = &stored.block.header;
        history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        history.base_fee_per_blob_gas.push(0);
        history.blob_gas_used_ratio.push(0.0);
        if !percentiles.is_empty() {
            rewards.push(block_rewards(context, &stored, &percentiles)?);
        }
        if number == newest {
            history.base_fee_per_gas.push(next_base_fee(header).into());
            history.base_fee_per_blob_gas.push(0);
        }
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// Tips at percentiles of the gas used, in the order of tips.
fn block_rewards(context: &Context, stored: &Stored, percentiles: &[f64]) -> error::Result<Vec<u128>> {
    let header = &stored.block.header;
    let receipts = context.chain().receipts(header.number).map_err(|error| error::store(&error))?.unwrap_or_default();
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let mut before = 0;
    let mut tips: Vec<(u128, u64)> = Vec::with_capacity(receipts.len());
    for (transaction, receipt) in stored.block.transactions.iter().zip(&receipts) {
        let gas = receipt.cumulative_gas_used() - before;
        before = receipt.cumulative_gas_used();
        tips.push((transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), gas));
    }
    tips.sort_unstable();
    Ok(percentiles.iter().map(|percentile| at_percentile(&tips, threshold(before, *percentile))).collect())
}

fn at_percentile(tips: &[(u128, u64)], threshold: u64) -> u128 {
    let mut sum = 0;
    let reached = tips.iter().find(|(_, gas)| {
        sum += gas;
        sum >= threshold
    });
    reached.or(tips.last()).map_or(0, |(tip, _)| *tip)
}

/// The JSON-RPC asks for floats here; nothing is decided by them.
#[allow(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn threshold(gas: u64, percentile: f64) -> u64 {
    (gas as f64 * percentile / 100.0) as u64
}

/// As `threshold`.
#[allow(clippy::float_arithmetic)]
fn ratio(used: u64, limit: u64) -> f64 {
    used as f64 / limit.max(1) as f64
}

/// A block count: a quantity, or (as ethers and others send it) a plain number.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(untagged)]
enum Count {
    Plain(u64),
    Quantity(U64),
}

impl Count {
    fn number(self) -> u64 {
        match self {
            Self::Plain(number) => number,
            Self::Quantity(number) => number.to(),
        }
    }
}
