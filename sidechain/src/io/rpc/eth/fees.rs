//! Gas prices: suggested ones, and those that were paid.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::FeeHistory;

use super::super::method::{Arguments, Methods, Registered, inline, long, worker};
use super::super::{context::Context, error, numbers::Form};
use super::block_id::number;
use crate::block::next_base_fee;
use crate::chain::{BlockFees, SimulateError};
use crate::execution::Stop;
use crate::limits::MIN_BASE_FEE;

/// Blocks one `eth_feeHistory` answers, as geth's limit.
const MAX_HISTORY: u64 = 1_024;

/// Blocks whose fees are read before it is asked again whether somebody waits for them.
const FEES_AT_ONCE: usize = 64;

/// Percentiles one `eth_feeHistory` answers, as geth's limit.
const MAX_PERCENTILES: usize = 100;

/// Blocks that a suggested tip is taken from.
const TIP_BLOCKS: u64 = 20;

/// Lowest tip suggested, in wei per gas: a tenth of the lowest base fee, so that it matters little.
const MIN_TIP: u128 = MIN_BASE_FEE as u128 / 10;

/// Wei per blob gas: the least that EIP-4844 knows, as the instruction BLOBBASEFEE says it. There are no blobs, so it never rises.
const BLOB_BASE_FEE: u64 = 1;

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "eth_gasPrice", gas_price)?;
    worker(methods, "eth_maxPriorityFeePerGas", |context, arguments| tip(context, arguments.stop()).map(U256::from))?;
    inline(methods, "eth_baseFee", |context, _| Ok(U64::from(next_base_fee(&context.chain().head()))))?;
    inline(methods, "eth_blobBaseFee", |_, _| Ok(U64::from(BLOB_BASE_FEE)))?;
    long(methods, "eth_feeHistory", fee_history)
}

/// Base fee and tip, with a quarter of room: two full blocks may pass until a transaction gets in.
fn gas_price(context: &Context, arguments: &mut Arguments) -> error::Result<U256> {
    let base_fee = u128::from(next_base_fee(&context.chain().head()));
    Ok(U256::from(base_fee + base_fee / 4 + tip(context, arguments.stop())?))
}

/// The tip that half of the gas of the last blocks was paid with, or less.
pub fn tip(context: &Context, stop: &Stop) -> error::Result<u128> {
    let (head, kept) = (context.chain().head().number, context.chain().first_block());
    let first = head.saturating_sub(TIP_BLOCKS - 1).max(kept.min(head));
    let mut tips: Vec<_> = fees(context, first, TIP_BLOCKS, stop)?.into_iter().flat_map(|fees| fees.tips).collect();
    tips.sort_unstable();
    let all = BlockFees { tips, ..BlockFees::default() };
    Ok(all.tip_at(all.paid_gas().div_ceil(2)).max(MIN_TIP))
}

/// Fees of `count` blocks, read some at a time while somebody waits for them.
fn fees(context: &Context, first: u64, count: u64, stop: &Stop) -> error::Result<Vec<BlockFees>> {
    let mut all = Vec::new();
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    while left > 0 {
        wanted(stop)?;
        let page = context.chain().fees(first + all.len() as u64, left.min(FEES_AT_ONCE));
        let page = page.map_err(|error| error::store(&error))?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len());
        all.extend(page);
    }
    Ok(all)
}

fn wanted(stop: &Stop) -> error::Result<()> {
    if stop.is_stopped() { Err(error::simulate(SimulateError::Stopped)) } else { Ok(()) }
}

fn fee_history(context: &Context, arguments: &mut Arguments) -> error::Result<FeeHistory> {
    let count: Count = arguments.next_as(Form::QuantityOrInteger, "block count")?;
    let newest: BlockNumberOrTag = arguments.next_as(Form::Number, "newest block")?;
    let percentiles: Vec<f64> = arguments.optional("reward percentiles")?.unwrap_or_default();
    if percentiles.len() > MAX_PERCENTILES
        || !percentiles.is_sorted()
        || percentiles.iter().any(|p| !(0.0..=100.0).contains(p))
    {
        return Err(error::invalid("invalid reward percentile: at most 100 rising numbers from 0 to 100"));
    }
    let newest = number(context, BlockId::Number(newest))?;
    let kept = context.chain().first_block().min(newest);
    let oldest = (newest + 1).saturating_sub(count.number().min(MAX_HISTORY)).max(kept);
    let blocks = fees(context, oldest, newest + 1 - oldest, arguments.stop())?;
    let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    for fees in &blocks {
        history.base_fee_per_gas.push(fees.base_fee.into());
        history.gas_used_ratio.push(ratio(fees.gas_used, fees.gas_limit));
    }
    if let Some(newest) = blocks.last() {
        history.base_fee_per_gas.push(newest.next_base_fee().into());
    }
    history.base_fee_per_blob_gas = vec![BLOB_BASE_FEE.into(); history.base_fee_per_gas.len()];
    history.blob_gas_used_ratio = vec![0.0; blocks.len()];
    if !percentiles.is_empty() {
        history.reward = Some(rewards(&blocks, &percentiles, arguments.stop())?);
    }
    Ok(history)
}

fn rewards(blocks: &[BlockFees], percentiles: &[f64], stop: &Stop) -> error::Result<Vec<Vec<u128>>> {
    let of_one = |fees: &BlockFees| {
        wanted(stop)?;
        Ok(percentiles.iter().map(|p| fees.tip_at(threshold(fees.paid_gas(), *p))).collect())
    };
    blocks.iter().map(of_one).collect()
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
pub enum Count {
    Plain(u64),
    Quantity(U64),
}

impl Count {
    pub fn number(self) -> u64 {
        match self {
            Self::Plain(number) => number,
            Self::Quantity(number) => number.to(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_many_blocks_end_with_their_request() {
        let block = BlockFees { tips: vec![(1, 21_000), (9, 21_000)], ..BlockFees::default() };
        let (blocks, stop) = (vec![block; 3], Stop::default());
        assert_eq!(rewards(&blocks, &[0.0, 100.0], &stop).expect("it is waited for"), vec![vec![1, 9]; 3]);
        stop.stop();
        rewards(&blocks, &[0.0, 100.0], &stop).expect_err("nobody waits");
        wanted(&stop).expect_err("nor is any page of fees read");
    }
}
