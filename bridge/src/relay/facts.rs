//! The facts that the machine decides from: the ledger, the answers of bitcoind, and the work that is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::{Amount, OutPoint, Txid};

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
    /// Deposits whose block has left, and whose funding is neither in its best chain nor in its mempool.
    pub lost: BTreeSet<OutPoint>,
    /// What spends deposits in its mempool.
    pub unconfirmed: Arc<BTreeMap<OutPoint, Txid>>,
    /// What is paid for vault transactions in its mempool, with their children; by number.
    pub packages: BTreeMap<u32, Package>,
    /// What its own bitcoind estimates; none while it has no estimate.
    pub rates: Option<Rates>,
    /// How far back it has read the best chain, for a start after this one.
    pub read: mainchain::header::Height,
}

/// A transaction in the mempool, and the fees of what spends its outputs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    pub fee: Amount,
    pub vsize: u64,
    /// The same of it and all its descendants.
    pub with_children: Amount,
    pub vsize_with_children: u64,
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
    /// Whether something that is no bound vault transaction spends a deposit in the mempool.
    #[must_use]
    pub fn contests(&self, ledger: &LedgerView, outpoint: &OutPoint) -> bool {
        let by = self.unconfirmed.get(outpoint);
        by.is_some_and(|by| !ledger.entries.values().any(|entry| entry.txid == *by))
    }

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

impl Package {
    /// What a miner gets for each 1,000 vB of it, alone or with what its children add.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let rate = |fee: Amount, vsize: u64| fee.to_sat().saturating_mul(1_000) / vsize.max(1);
        rate(self.fee, self.vsize).max(rate(self.with_children, self.vsize_with_children))
    }
}
