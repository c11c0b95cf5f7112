//! The transactions that bring what an invoice's account has to the merchant.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolValue as _;
use bridge::io::sidechain::{Account, Call};
use contracts::WrappedBtc;
use contracts::address::WRAPPED_BTC;
use eyre::{Result, ensure};
use paywall::authorization::{Authorization, Token};

use super::record::{Collected, Invoice};
use super::store::Store;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// The base fee may rise by an eighth a block until the transaction is made: room for two.
const ROOM: (u64, u64) = (4, 3);

/// Coins of the invoice's account, less what the transaction may cost; how many went. None are left alone whose way costs more than they are.
///
/// # Errors
///
/// The node does not answer, or the transaction is not final.
pub async fn coins(spender: &Spender<'_>, store: &Store, invoice: &Invoice) -> Result<Option<U256>> {
    let (own, to) = (spender.account.address(), invoice.terms.to);
    // A command that was interrupted goes on with its own transaction: another amount would be a second one.
    let kept = spender.kept(|call| call.to == Some(to) && call.input.is_empty())?;
    let call = match kept {
        Some(call) => call,
        None => match worth(spender, own, to).await? {
            Some(value) => Call::transfer(to, value),
            None => return Ok(None),
        },
    };
    let note = |receipt: &TransactionReceipt| {
        let gas = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
        let collected = Collected { transaction: receipt.transaction_hash, spent_wei: call.value + gas };
        store.update(&invoice.reference, |kept| {
            kept.seen.block = kept.seen.block.max(receipt.block_number.unwrap_or_default());
            let is_new = kept.collected.iter().all(|known| known.transaction != collected.transaction);
            kept.collected.extend(is_new.then_some(collected));
            true
        })
    };
    spender.transact(&call, note).await?;
    Ok(Some(call.value))
}

async fn worth(spender: &Spender<'_>, own: Address, to: Address) -> Result<Option<U256>> {
    let client = &spender.network.client;
    let balance = client.balance(own).await?;
    let fees = client.fees().await?;
    if balance <= fees.cost(Account::gas_limit(21_000)) {
        return Ok(None);
    }
    let gas = Account::gas_limit(client.estimate_gas(own, &Call::transfer(to, U256::ONE), fees).await?);
    let cost = fees.cost(gas) * U256::from(ROOM.0) / U256::from(ROOM.1);
    Ok(balance.checked_sub(cost).filter(|value| *value > cost))
}

/// Tokens of the invoice's account, by an authorization (EIP-3009) that its key signs and the merchant's account brings: it needs no coins for
/// gas. How many went.
///
/// # Errors
///
/// The node does not answer, or the transaction is not final.
pub async fn tokens(
    merchant: &Spender<'_>,
    key: &Account,
    store: &Store,
    invoice: &Invoice,
    value: U256,
) -> Result<()> {
    let (own, to) = (key.address(), invoice.terms.to);
    let after = invoice.moved_token_wei + value;
    // Of the same tokens, the same nonce: however often it is brought, they go once.
    let nonce = keccak256((own, invoice.moved_token_wei).abi_encode());
    let (valid_after, valid_before) = (U256::ZERO, U256::MAX);
    let signed = Authorization { from: own, to, value, valid_after, valid_before, nonce };
    let digest = Token::wrapped_btc(invoice.terms.chain_id).digest(&signed);
    let transfer = WrappedBtc::transferWithAuthorization_0Call {
        from: own,
        to,
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
        signature: Bytes::from(key.sign_digest(digest).as_bytes()),
    };
    let note = |receipt: &TransactionReceipt| {
        let moved: WrappedBtc::Transfer = emitted(receipt, WRAPPED_BTC)?;
        ensure!((moved.from, moved.to, moved.value) == (own, to, value), "other tokens were moved than was asked for");
        store.update(&invoice.reference, |kept| {
            kept.seen.block = kept.seen.block.max(receipt.block_number.unwrap_or_default());
            kept.moved_token_wei = kept.moved_token_wei.max(after);
            true
        })
    };
    merchant.transact(&Call::new(WRAPPED_BTC, &transfer), note).await?;
    Ok(())
}
