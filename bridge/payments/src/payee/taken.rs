//! A voucher that was taken.

use crate::receipt::Receipt;

/// Bytes of a voucher's signature.
pub type Signature = [u8; 65];

/// A voucher that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub receipt: Receipt,
    pub signature: Signature,
}
