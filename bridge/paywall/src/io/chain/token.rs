//! The token's function, and what its logs say.

use alloy_rpc_types_eth::TransactionReceipt;
use contracts::WrappedBtc;

use crate::authorization::{CarriedOut, Signed};

/// What a transaction carried out; nothing if it failed.
pub fn carried_out(receipt: &TransactionReceipt) -> CarriedOut {
    if !receipt.inner.status() {
        return CarriedOut::default();
    }
    CarriedOut::read(receipt.inner.logs().iter().map(|log| &log.inner))
}

/// The token's function that carries a payment out.
pub fn transfer(payment: &Signed) -> WrappedBtc::transferWithAuthorization_0Call {
    let authorization = payment.authorization;
    WrappedBtc::transferWithAuthorization_0Call {
        from: authorization.from,
        to: authorization.to,
        value: authorization.value,
        validAfter: authorization.valid_after,
        validBefore: authorization.valid_before,
        nonce: authorization.nonce,
        signature: payment.signature.clone(),
    }
}
