//! A voucher that was taken.

use alloy_primitives::Bytes;

use crate::receipt::Receipt;

/// A signature: of a key 65 bytes, of a contract at most [`super::MAX_SIGNATURE_BYTES`].
pub type Signature = Bytes;

/// A voucher that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub receipt: Receipt,
    pub signature: Signature,
}
