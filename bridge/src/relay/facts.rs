//! The facts that the machine decides from: the ledger, the answers of bitcoind, and the work that is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::{FeeRate, OutPoint};

use super::confirmations::Depths;
use super::deposit_tracker::TrackedDeposit;
use super::duty::Task;
use super::headers::Comparison;
use super::ledger::{Entry, LedgerView};
use super::owed::KeyState;
use super::vault_transactions::{Place, Progress, Seen};

/// Bitcoin as its own bitcoind sees it.
#[derive(Clone, Debug)]
pub struct BitcoinView {
    /// Unspent outputs that pay a registered address.
    pub tracked: Arc<BTreeMap<OutPoint, TrackedDeposit>>,
    /// Its best chain against the light client's.
    pub comparison: Option<Comparison>,
    /// The first headers that the light client lacks, as many as one transaction carries.
    pub headers: Vec<Header>,
    /// Where the vault transactions are that are not settled, by number; without those of which it does not say.
    pub places: BTreeMap<u64, Place>,
    /// What its own bitcoind estimates for confirmation within [`CONFIRM_WITHIN`](super::fees::CONFIRM_WITHIN) blocks; none
    /// while it has no estimate.
    pub fee_rate: Option<FeeRate>,
}

/// The facts of one decision.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Milliseconds of a clock that never goes back.
    pub clock_ms: u64,
    pub ledger: &'a LedgerView,
    /// None while bitcoind does not answer.
    pub bitcoin: Option<&'a BitcoinView>,
    /// Work whose transaction was sent, and is neither included nor given up yet.
    pub in_flight: &'a BTreeSet<Task>,
}

impl BitcoinView {
    /// How many headers the light client lacks; none while that is being found out.
    #[must_use]
    pub fn headers_ahead(&self, ledger: &LedgerView) -> u32 {
        let comparison = self.comparison.filter(|comparison| comparison.light == ledger.light());
        comparison.map_or(0, |comparison| comparison.ahead())
    }
}

/// How deep blocks are for the light client.
#[must_use]
pub fn depths(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Depths {
    Depths::new(ledger.light(), bitcoin.and_then(|bitcoin| bitcoin.comparison.as_ref()))
}

/// Where the key of the current epoch stands.
#[must_use]
pub fn key_state(ledger: &LedgerView) -> KeyState {
    if ledger.key_is_active() { KeyState::Active } else { KeyState::Missing { epoch: ledger.info.epoch } }
}

/// Where the open vault transactions stand, by number.
#[must_use]
pub fn progress(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> BTreeMap<u64, Progress> {
    let depths = depths(ledger, bitcoin);
    let progress = |(number, entry): (&u64, &Entry)| {
        let place = bitcoin.and_then(|bitcoin| bitcoin.places.get(number)).copied();
        let progress = Progress {
            status: entry.status,
            required_confirmations: entry.required_confirmations,
            settled_confirmations: entry.settled_confirmations,
            signed: ledger.signed.contains_key(number),
            seen: Seen::at(place, entry.status, &depths),
        };
        (*number, progress)
    };
    ledger.open.iter().map(progress).collect()
}
