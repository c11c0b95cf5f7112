//! Entries of the ledger by proofs of its storage: the books, a withdrawal, a deposit, a vault transaction with its output 0.
//!
//! Where each value is comes from the compiler ([`contracts::layout`]). Each entry has a function for the slots to ask `eth_getProof` for, and one that reads them.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use alloy_sol_types::SolValue as _;
use api::peg::{DepositStatus, WithdrawalStatus};
use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, Txid};
use contracts::Books;
use contracts::layout::{bridge, deposits, vault};
use contracts::storage::{Field, entry, numbered, slots_from};

use crate::script::{self, NotAScript};

/// Slots of a withdrawal, and of a deposit.
const SLOTS: usize = 3;
const _: () = assert!(bridge::record::SLOTS == SLOTS as u64);
const _: () = assert!(deposits::record::SLOTS == SLOTS as u64);
/// Slots of a vault transaction.
const VAULT_SLOTS: usize = 2;
const _: () = assert!(vault::output::SLOTS == VAULT_SLOTS as u64);

/// Why slots are no entry of the ledger, although they are proven: this library is for another version of the contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    #[error("{got} slots, expected {want}")]
    SlotCount { got: usize, want: usize },
    #[error(transparent)]
    Script(#[from] NotAScript),
    #[error("a withdrawal was closed for reason {0}, which is not known here")]
    Closed(u64),
}

/// The books, of the slots [`Books::slots`] of `Bridge`.
///
/// # Errors
///
/// [`NotAnEntry::SlotCount`].
pub fn books(slots: &[U256]) -> Result<Books, NotAnEntry> {
    let slots = slots.try_into().map_err(|_| NotAnEntry::SlotCount { got: slots.len(), want: 2 })?;
    Ok(Books::from_slots(slots))
}

// ---------------------------------------------------------------- limits

/// What bounds payouts, as `Bridge` keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What could be tied for the first time at `window_since`, in seconds since 1970; it grows with time.
    pub window_left_sat: u64,
    pub window_since: u64,
    /// Payouts are paused until then, in seconds since 1970.
    pub paused_until: u64,
}

/// The slots of `Bridge` that hold what bounds payouts.
#[must_use]
pub fn limit_slots() -> [U256; 2] {
    [bridge::WINDOW, bridge::PAUSE].map(U256::from)
}

const _: () = assert!(bridge::window::SLOTS == 1 && bridge::pause::SLOTS == 1);

impl Limits {
    /// From their slots.
    #[must_use]
    pub fn read([window, pause]: &[U256; 2]) -> Self {
        Self {
            window_left_sat: bridge::window::LEFT_SAT.of(*window).saturating_to(),
            window_since: bridge::window::SINCE.of(*window).saturating_to(),
            paused_until: bridge::pause::UNTIL.of(*pause).saturating_to(),
        }
    }
}

// ---------------------------------------------------------------- withdrawals

/// A withdrawal, as `Bridge` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    pub owner: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    /// In seconds since 1970.
    pub asked_at: u64,
    /// The vault output it was tied to last; that may have ended.
    pub tie: Option<u32>,
    /// The settled vault transaction that pays it.
    pub paid_by: Option<u32>,
    /// How its owner got the coins back.
    pub given_back: Option<GivenBack>,
    /// The script it is paid to.
    pub script: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    Cancelled,
    Refunded,
}

/// The slots of `Bridge` that hold a withdrawal.
#[must_use]
pub fn withdrawal_slots(id: u64) -> [U256; SLOTS] {
    slots_from(numbered(bridge::RECORDS, id))
}

impl Withdrawal {
    /// From the slots of one; `None`: there is no such withdrawal.
    ///
    /// # Errors
    ///
    /// What no version of the contracts that this library knows writes.
    pub fn read(slots: &[U256]) -> Result<Option<Self>, NotAnEntry> {
        use bridge::record;
        let slots = Slots::<SLOTS>::new(slots)?;
        let owner = slots.address(record::OWNER);
        if owner.is_zero() {
            return Ok(None);
        }
        let packed = script::Packed {
            kind: slots.byte(record::KIND),
            length: slots.byte(record::LENGTH),
            program: slots.word(record::PROGRAM),
            tail: slots.tail(record::TAIL),
        };
        Ok(Some(Self {
            owner,
            amount_sat: slots.number(record::AMOUNT_SAT),
            max_fee_sat: slots.number(record::MAX_FEE_SAT),
            asked_at: slots.number(record::ASKED_AT),
            tie: slots.reference(record::TIE),
            paid_by: slots.reference(record::PAID_BY),
            given_back: GivenBack::read(slots.number(record::CLOSED))?,
            script: packed.script()?,
        }))
    }
}

impl Withdrawal {
    /// Whether it is still to be paid, or given back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.paid_by.is_none() && self.given_back.is_none()
    }

    /// Where it is. Whether its tie still holds, the vault output that it was tied to last says.
    #[must_use]
    pub const fn status(&self, tie_holds: bool) -> WithdrawalStatus {
        match (self.given_back, self.paid_by, self.tie) {
            (Some(GivenBack::Cancelled), ..) => WithdrawalStatus::Cancelled,
            (Some(GivenBack::Refunded), ..) => WithdrawalStatus::Refunded,
            (None, Some(_), _) => WithdrawalStatus::Paid,
            (None, None, Some(_)) if tie_holds => WithdrawalStatus::Tied,
            (None, None, _) => WithdrawalStatus::Queued,
        }
    }
}

impl GivenBack {
    /// `IBridge.WithdrawalStatus`, as a record's `closed` has it.
    fn read(closed: u64) -> Result<Option<Self>, NotAnEntry> {
        match closed {
            0 => Ok(None),
            4 => Ok(Some(Self::Cancelled)),
            5 => Ok(Some(Self::Refunded)),
            other => Err(NotAnEntry::Closed(other)),
        }
    }
}

// ---------------------------------------------------------------- deposits

/// A deposit, as `Deposits` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub recipient: Address,
    pub claimant: Address,
    pub amount_sat: u64,
    pub max_fee_sat: u64,
    /// Whether it was in a bound vault transaction.
    pub was_bound: bool,
    /// Coins that were made for it.
    pub minted_sat: Option<u64>,
    /// The settled vault transaction that sweeps it.
    pub swept_by: Option<u32>,
    /// It can never be swept any more.
    pub is_gone: bool,
    /// The block that holds its funding: height, and the first 8 bytes of the hash in internal byte order.
    pub height: u32,
    pub block_head: FixedBytes<8>,
    pub epoch: u32,
}

/// Flags of a deposit (`Deposits.sol`).
const BOUND: u8 = 1;
const MINTED: u8 = 2;
const GONE: u8 = 4;

/// The slots of `Deposits` that hold a deposit.
#[must_use]
pub fn deposit_slots(outpoint: OutPoint) -> [U256; SLOTS] {
    let key = keccak256((B256::from(outpoint.txid.to_byte_array()), outpoint.vout).abi_encode());
    slots_from(entry(U256::from(deposits::RECORDS), key))
}

impl Deposit {
    /// From the slots of one; `None`: the ledger does not know it.
    ///
    /// # Errors
    ///
    /// [`NotAnEntry::SlotCount`].
    pub fn read(slots: &[U256]) -> Result<Option<Self>, NotAnEntry> {
        use deposits::record;
        let slots = Slots::<SLOTS>::new(slots)?;
        let recipient = slots.address(record::RECIPIENT);
        if recipient.is_zero() {
            return Ok(None);
        }
        let flags = slots.byte(record::FLAGS);
        Ok(Some(Self {
            recipient,
            claimant: slots.address(record::CLAIMANT),
            amount_sat: slots.number(record::AMOUNT_SAT),
            max_fee_sat: slots.number(record::MAX_FEE_SAT),
            was_bound: flags & BOUND != 0,
            minted_sat: (flags & MINTED != 0).then(|| slots.number(record::MINTED_SAT)),
            swept_by: slots.reference(record::SWEPT_BY),
            is_gone: flags & GONE != 0,
            height: slots.small(record::HEIGHT),
            block_head: slots.tail(record::BLOCK_HEAD),
            epoch: slots.small(record::EPOCH),
        }))
    }
}

impl Deposit {
    /// Where it is.
    #[must_use]
    pub const fn status(&self) -> DepositStatus {
        DepositStatus::of(self.is_gone, self.minted_sat.is_some(), self.swept_by.is_some())
    }
}

// ---------------------------------------------------------------- vault transactions

/// A bound vault transaction with its output 0, as `Vault` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultTransaction {
    pub number: u32,
    pub txid: Txid,
    /// Hash of its content (`Vault.hashOf`).
    pub content: B256,
    /// Of output 0; 0: there is no such output.
    pub change_sat: u64,
    /// The settled vault transaction that spends output 0.
    pub spent_by: Option<u32>,
    pub is_settled: bool,
    /// Output 0 was spent for good by something that is no vault transaction.
    pub is_gone: bool,
    /// It can never confirm.
    pub is_void: bool,
    /// The block it settled in: height, and the first 8 bytes of the hash in internal byte order.
    pub height: u32,
    pub block_head: FixedBytes<8>,
    pub epoch: u32,
    pub script_version: u8,
}

/// Flags of a vault transaction (`Binding.sol`).
const OUTPUT_SETTLED: u8 = 1;
const OUTPUT_GONE: u8 = 2;
const OUTPUT_VOID: u8 = 4;

/// Of these bits of the flags upwards, the version of its output's script.
const SCRIPT_VERSION_AT: u32 = 4;

/// The slot of `Vault` that holds the txid of a vault transaction; zero: no transaction has the number.
#[must_use]
pub fn vault_transaction_txid_slot(number: u32) -> U256 {
    numbered(vault::TXIDS, number)
}

/// The slots of `Vault` that hold a vault transaction.
#[must_use]
pub fn vault_transaction_slots(txid: Txid) -> [U256; VAULT_SLOTS] {
    slots_from(entry(U256::from(vault::OUTPUTS), B256::from(txid.to_byte_array())))
}

impl VaultTransaction {
    /// From the slots of the one with this txid; `None`: there is no such vault transaction.
    ///
    /// # Errors
    ///
    /// [`NotAnEntry::SlotCount`].
    pub fn read(txid: Txid, slots: &[U256]) -> Result<Option<Self>, NotAnEntry> {
        use vault::output;
        let slots = Slots::<VAULT_SLOTS>::new(slots)?;
        let Some(number) = slots.reference(output::NUMBER) else { return Ok(None) };
        let flags = slots.byte(output::FLAGS);
        Ok(Some(Self {
            number,
            txid,
            content: slots.word(output::CONTENT),
            change_sat: slots.number(output::CHANGE_SAT),
            spent_by: slots.reference(output::SPENT_BY),
            is_settled: flags & OUTPUT_SETTLED != 0,
            is_gone: flags & OUTPUT_GONE != 0,
            is_void: flags & OUTPUT_VOID != 0,
            height: slots.small(output::HEIGHT),
            block_head: slots.tail(output::BLOCK_HEAD),
            epoch: slots.small(output::EPOCH),
            script_version: flags >> SCRIPT_VERSION_AT,
        }))
    }

    /// Whether the books count output 0: settled, and unspent as far as the ledger knows.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.change_sat != 0 && self.is_settled && self.spent_by.is_none() && !self.is_gone && !self.is_void
    }

    /// Where output 0 stands on Bitcoin; `None`: there is no such output.
    #[must_use]
    pub fn output(&self) -> Option<OutPoint> {
        (self.change_sat != 0).then_some(OutPoint { txid: self.txid, vout: 0 })
    }
}

// ---------------------------------------------------------------- proposals

/// An open proposal, as `Vault` keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Hash of its content (`Vault.hashOf`).
    pub content: B256,
    /// In seconds since 1970.
    pub opened_at: u64,
    pub epoch: u32,
}

/// The slots of `Vault` that hold the place of a proposal. Its number has the place's generation in the upper 40 bits, the member in 16 and the
/// place in 8 (`Proposals.sol`).
#[must_use]
pub fn proposal_slots(number: u64) -> [U256; 2] {
    let places = numbered(vault::PLACES, number >> 8 & 0xffff);
    slots_from(entry(places, U256::from(number & 0xff).into()))
}

const _: () = assert!(vault::place::SLOTS == 2);

impl Proposal {
    /// From the slots of its place; `None`: it is not open there any more, or not yet.
    #[must_use]
    pub fn read(number: u64, slots: &[U256; 2]) -> Option<Self> {
        use vault::place;
        let value = |field: Field| field.in_slots(slots).unwrap_or_default();
        let found = Self {
            content: value(place::CONTENT).into(),
            opened_at: value(place::OPENED_AT).saturating_to(),
            epoch: value(place::EPOCH).saturating_to(),
        };
        let is_it = value(place::GENERATION) == U256::from(number >> 24);
        (is_it && found.epoch != 0).then_some(found)
    }
}

// ---------------------------------------------------------------- slots

/// The slots of one entry.
struct Slots<const N: usize>([U256; N]);

impl<const N: usize> Slots<N> {
    fn new(slots: &[U256]) -> Result<Self, NotAnEntry> {
        let read = slots.try_into().map_err(|_| NotAnEntry::SlotCount { got: slots.len(), want: N })?;
        Ok(Self(read))
    }

    /// Zero of a field beyond the entry: the layout has none.
    fn value(&self, field: Field) -> U256 {
        field.in_slots(&self.0).unwrap_or_default()
    }

    fn word(&self, field: Field) -> B256 {
        self.value(field).into()
    }

    fn address(&self, field: Field) -> Address {
        Address::from_word(self.word(field))
    }

    fn number(&self, field: Field) -> u64 {
        self.value(field).saturating_to()
    }

    fn small(&self, field: Field) -> u32 {
        self.value(field).saturating_to()
    }

    fn byte(&self, field: Field) -> u8 {
        self.value(field).saturating_to()
    }

    /// A number of which 0 means none.
    fn reference(&self, field: Field) -> Option<u32> {
        Some(self.small(field)).filter(|number| *number != 0)
    }

    fn tail(&self, field: Field) -> FixedBytes<8> {
        FixedBytes::from(self.number(field).to_be_bytes())
    }
}

#[cfg(test)]
mod tests;
