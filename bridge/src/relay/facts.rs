//! The facts that the machine decides from: the ledger, the answers of bitcoind, and the work that is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::OutPoint;
use bitcoin::block::Header;

use super::confirmations::Depths;
use super::deposit_tracker::TrackedDeposit;
use super::duty::Task;
use super::fees::Rates;
use super::fundings::Fundings;
use super::headers::Comparison;
use super::places::Place;
use super::spends::Spend;
use super::view::LedgerView;

/// Bitcoin as its own bitcoind sees it.
#[derive(Clone, Debug)]
pub struct BitcoinView {
    /// Unspent outputs that pay a registered address.
    pub tracked: Arc<BTreeMap<OutPoint, TrackedDeposit>>,
    /// What spends outputs that are watched, in its best chain.
    pub spends: Arc<BTreeMap<OutPoint, Spend>>,
    /// What deposits were made of whose block has left the best chain.
    pub fundings: Arc<Fundings>,
    /// Its best chain against the light client's.
    pub comparison: Option<Comparison>,
    /// The first headers that the light client lacks, as many as one transaction carries.
    pub headers: Vec<Header>,
    /// Where the vault transactions are that may confirm, by number; without those of which it does not say.
    pub places: BTreeMap<u32, Place>,
    /// What its own bitcoind estimates; none while it has no estimate.
    pub rates: Option<Rates>,
    /// How far back it has read the best chain, for a start after this one.
    pub read: mainchain::header::Height,
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

    /// How deep blocks are for the light client.
    #[must_use]
    pub fn depths(&self, ledger: &LedgerView) -> Depths {
        Depths::new(ledger.light(), self.comparison.as_ref())
    }
}
