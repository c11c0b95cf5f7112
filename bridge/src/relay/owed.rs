//! Which work waits: a view of sidechain, Bitcoin and this relayer goes in, offers come out, the most urgent kind first. A file for each subject.

use std::collections::BTreeMap;

use super::action::{Action, offer};
use super::duty::{Duty, Offer, Task};
use super::facts::{BitcoinView, Facts};
use super::places::Place;
use super::view::{Entry, LedgerView};
use super::{binding, ends, minting, proving, refunds, resubmitting, settlement};
use crate::peg::VaultStatus;

/// Work that every member takes part in, at once: it is not a matter of duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Make the key of an epoch together.
    MakeKey { epoch: u32 },
    /// Approve a proposal, if its policy agrees.
    Approve { proposal: u64 },
    /// Sign a vault transaction together.
    Sign { number: u32 },
}

/// All work that waits for whoever is on duty, but for proposals.
#[must_use]
pub fn waiting(facts: &Facts<'_>, duty: &Duty) -> Vec<Offer<Action>> {
    let Facts { ledger, bitcoin, .. } = *facts;
    let mut offers = Vec::new();
    // The light client comes first: settlement waits for its headers.
    if bitcoin.is_some_and(|bitcoin| bitcoin.headers_ahead(ledger) > 0) {
        offers.push(offer(Task::Headers(ledger.light().hash), Action::SubmitHeaders));
    }
    offers.extend(settlement::offers(ledger, bitcoin, duty));
    offers.extend(binding::offers(ledger, bitcoin));
    if let Some(bitcoin) = bitcoin {
        offers.extend(proving::offers(ledger, bitcoin));
        offers.extend(resubmitting::offers(ledger, bitcoin));
    }
    offers.extend(minting::offers(ledger, duty));
    offers.extend(ends::offers(ledger, bitcoin));
    offers.extend(refunds::offers(ledger));
    offers
}

/// What this member takes part in now.
#[must_use]
pub fn parts(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Vec<Part> {
    let mut parts = Vec::new();
    if !ledger.key_is_active() {
        parts.push(Part::MakeKey { epoch: ledger.info.epoch });
    }
    parts.extend(ledger.proposals.keys().map(|proposal| Part::Approve { proposal: *proposal }));
    let places = bitcoin.map(|bitcoin| &bitcoin.places);
    let unsigned = |(number, entry): &(&u32, &Entry)| wants_signatures(ledger, places, **number, entry);
    parts.extend(ledger.entries.iter().filter(unsigned).map(|(number, _)| Part::Sign { number: *number }));
    parts
}

/// Once bitcoind has seen it, somebody had all its signatures.
fn wants_signatures(ledger: &LedgerView, places: Option<&BTreeMap<u32, Place>>, number: u32, entry: &Entry) -> bool {
    let is_seen = places.and_then(|places| places.get(&number)).is_some_and(|place| *place != Place::Nowhere);
    entry.status == VaultStatus::Bound && !ledger.signed.contains_key(&number) && !is_seen && ledger.may_confirm(entry)
}
