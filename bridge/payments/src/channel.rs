//! A channel as the chain has it.

use alloy_primitives::{Address, B256};

/// What a final state says of a channel, by a proof that whoever builds this has checked. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: B256,
    pub payee: Address,
    /// Zero: the coin.
    pub token: Address,
    /// The account that signs its vouchers: the payer, or whom it named.
    pub signer: Address,
    /// The signer is a contract, whose code is asked for what its key did not sign (EIP-1271).
    pub signer_has_code: bool,
    /// All that was locked so far; no voucher is worth more.
    pub deposit: u128,
    /// All that was paid out so far.
    pub settled: u128,
    /// Others get parts of what the payee is paid.
    pub has_splits: bool,
    /// The payer asked to close it, and takes the rest after the delays.
    pub closing: Option<Closing>,
    /// The rest went back to the payer.
    pub finalized: bool,
}

impl Channel {
    /// One that was just opened: nothing is paid out, a key signs, and the payee gets it all.
    #[must_use]
    pub const fn opened(id: B256, payee: Address, token: Address, signer: Address, deposit: u128) -> Self {
        Self {
            id,
            payee,
            token,
            signer,
            signer_has_code: false,
            deposit,
            settled: 0,
            has_splits: false,
            closing: None,
            finalized: false,
        }
    }
}

/// From when on a payer can take the rest: both must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Seconds since 1970.
    pub from_unix_s: u64,
    pub from_block: u64,
}

/// The block whose state was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAt {
    pub block: u64,
    /// The block's time, in seconds since 1970.
    pub unix_s: u64,
}
