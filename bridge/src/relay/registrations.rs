//! Registered deposit terms, and the scripts that pay them: computed here, whatever the node says they are.

use std::collections::BTreeMap;

use bitcoin::{Amount, ScriptBuf, XOnlyPublicKey};
use mainchain::deposit::{DepositTerms, Peg};

use crate::peg;

/// Registrations asked for at once.
pub const PAGE: u32 = 500;

/// The registrations read so far.
#[derive(Clone, Debug, Default)]
pub struct Registrations {
    cursor: u64,
    /// Those whose group key is not known yet. A node takes none before the key is in force, so there are few.
    keyless: Vec<DepositTerms>,
}

impl Registrations {
    /// The cursor to ask for next.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Takes in a page; says whether there is more.
    pub fn add(&mut self, page: peg::Registrations) -> bool {
        let more = page.deposits.len() == PAGE as usize && page.next > self.cursor;
        self.cursor = page.next;
        self.keyless.extend(page.deposits.iter().filter_map(|registration| terms(&registration.terms)));
        more
    }

    /// The scripts of all terms whose group key is known by now; each comes out once.
    pub fn scripts(&mut self, peg: &Peg, group_keys: &BTreeMap<u32, XOnlyPublicKey>) -> Vec<(ScriptBuf, DepositTerms)> {
        let (known, keyless) =
            std::mem::take(&mut self.keyless).into_iter().partition(|terms| group_keys.contains_key(&terms.epoch));
        self.keyless = keyless;
        let known: Vec<DepositTerms> = known;
        known.into_iter().map(|terms| (terms.output(peg, group_keys[&terms.epoch]).script_pubkey(), terms)).collect()
    }
}

/// None when the reclaim key is no key: nobody can have paid such an address.
fn terms(terms: &peg::Terms) -> Option<DepositTerms> {
    Some(DepositTerms {
        recipient: terms.recipient.into_array(),
        reclaim_key: XOnlyPublicKey::from_slice(terms.reclaim_key.as_slice()).ok()?,
        max_fee: Amount::from_sat(terms.max_fee_sat),
        epoch: terms.epoch,
    })
}
