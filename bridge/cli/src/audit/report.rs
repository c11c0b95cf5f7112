//! What an audit found: both sides, and whether they match.

use alloy_primitives::{B256, U256};
use bitcoin::{Amount, BlockHash};
use bridge::amount;
use contracts::Books;
use contracts::coin::WEI_PER_SAT;
use mainchain::header::Height;
use serde::Serialize;

use super::outputs::{Found, Output};
use super::sidechain::Ledger;

/// What was found; also what `--json` prints. Always: supply + unclaimed + owed + reserve + unminted = vault + unswept + lost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub block: u64,
    pub block_hash: B256,
    pub signers: usize,
    pub validators: usize,
    pub bitcoin_height: Height,
    pub bitcoin_tip: BlockHash,
    /// Coins outside the Bridge.
    pub supply_wei: U256,
    pub unclaimed_sat: u64,
    pub owed_sat: u64,
    /// Negative while overdrawn.
    pub reserve_sat: i64,
    pub unminted_sat: u64,
    pub vault_sat: u64,
    pub unswept_sat: u64,
    pub lost_sat: u64,
    /// Cover in force for what is unswept, which is smaller by it.
    pub cover_sat: u64,
    /// Backed beyond what anybody can claim: coins that somebody gave away.
    pub surplus_wei: U256,
    /// Lost, unswept and overdrawn.
    pub missing_by_books_sat: u64,
    pub outputs: Vec<Output>,
    /// Vault outputs that were looked for and not found.
    pub missing_sat: u64,
    /// Everything that is owed, or outside the Bridge, is accounted for by the books.
    pub balanced: bool,
    /// All of it is on Bitcoin.
    pub covered: bool,
}

impl Report {
    pub fn new(ledger: &Ledger, (bitcoin_height, bitcoin_tip): (Height, BlockHash), outputs: Vec<Output>) -> Self {
        let Ledger { header, supply_wei, books, .. } = ledger;
        let is_missing = |output: &&Output| output.found == Found::Missing;
        let missing_sat = outputs.iter().filter(is_missing).map(|output| output.amount_sat).sum();
        let Sums { balanced, covered, surplus_wei, missing_by_books_sat } = Sums::of(*supply_wei, books);
        Self {
            block: header.header.number,
            block_hash: header.hash,
            signers: header.signers,
            validators: header.validators,
            bitcoin_height,
            bitcoin_tip,
            supply_wei: *supply_wei,
            unclaimed_sat: books.unclaimed_sat,
            owed_sat: books.owed_sat,
            reserve_sat: books.reserve_sat,
            unminted_sat: books.unminted_sat,
            vault_sat: books.vault_sat,
            unswept_sat: books.unswept_sat,
            lost_sat: books.lost_sat,
            cover_sat: books.covered_sat,
            surplus_wei,
            missing_by_books_sat,
            outputs,
            missing_sat,
            balanced,
            covered: covered && missing_sat == 0,
        }
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "Sidechain block {} ({}), final by {} of {} validators",
                self.block, self.block_hash, self.signers, self.validators
            ),
            format!("Bitcoin block   {} ({})", self.bitcoin_height, self.bitcoin_tip),
            String::new(),
        ];
        lines.extend(self.sums());
        lines.extend([String::new(), "  vault outputs on Bitcoin".to_owned()]);
        lines.extend(self.outputs.iter().map(line));
        if self.missing_sat == 0 && self.balanced && self.covered {
            lines.extend([String::new(), "Every satoshi is there.".to_owned()]);
        }
        lines
    }

    fn sums(&self) -> Vec<String> {
        let sat = |sat: u64| amount::show(Amount::from_sat(sat));
        let of = |name: &str, value: String| format!("  {name:<44} {value:>20}");
        let mut lines = vec![
            of("coins outside the bridge", amount::show_wei(self.supply_wei)),
            of("unclaimed: refused by their recipients", sat(self.unclaimed_sat)),
            of("owed to withdrawals on their way", sat(self.owed_sat)),
            of("reserve, for what fees do not pay", amount::show_signed(self.reserve_sat)),
            of("unminted: of deposits not deep enough", sat(self.unminted_sat)),
            of("vault, by the ledger", sat(self.vault_sat)),
        ];
        for (name, value) in [
            ("MISSING by the books: lost", self.lost_sat),
            ("MISSING by the books: unswept at the moment", self.unswept_sat),
            ("covered by somebody, for what is unswept", self.cover_sat),
        ] {
            lines.extend((value > 0).then(|| of(name, sat(value))));
        }
        if !self.surplus_wei.is_zero() {
            lines.push(of("more than anybody can claim", amount::show_wei(self.surplus_wei)));
        }
        lines
    }
}

fn line(output: &Output) -> String {
    let state = match &output.found {
        Found::Unspent { confirmations } => format!("unspent, {confirmations} confirmations"),
        Found::Moved { number, txid } => format!("moved by vault transaction {number} ({txid}), not settled yet"),
        Found::Missing => "MISSING".into(),
    };
    format!("  {} {:>20}  {state}", output.outpoint, amount::show(Amount::from_sat(output.amount_sat)))
}

/// The two sides of the books, with coins in wei: gas is paid in parts of a satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    balanced: bool,
    covered: bool,
    surplus_wei: U256,
    missing_by_books_sat: u64,
}

impl Sums {
    fn of(supply_wei: U256, books: &Books) -> Self {
        let overdraft = books.reserve_sat.min(0).unsigned_abs();
        let reserve = books.reserve_sat.max(0).unsigned_abs();
        let wei =
            |parts: &[u64]| parts.iter().fold(U256::ZERO, |sum, sat| sum + U256::from(*sat) * U256::from(WEI_PER_SAT));
        let claims = supply_wei + wei(&[books.unclaimed_sat, books.owed_sat, books.unminted_sat, reserve]);
        let backing = wei(&[books.vault_sat, books.unswept_sat, books.lost_sat, overdraft]);
        let missing = [books.unswept_sat, books.lost_sat, overdraft].into_iter().fold(0, u64::saturating_add);
        Self {
            balanced: claims <= backing,
            covered: claims <= wei(&[books.vault_sat]),
            surplus_wei: backing.saturating_sub(claims),
            missing_by_books_sat: missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::coin::wei;

    fn balanced() -> (U256, Books) {
        let books = Books {
            vault_sat: 100,
            owed_sat: 20,
            unminted_sat: 10,
            reserve_sat: 5,
            unclaimed_sat: 7,
            ..Books::default()
        };
        (wei(58), books)
    }

    #[test]
    fn books_that_balance_without_a_loss_are_covered_to_the_satoshi() {
        let (supply, books) = balanced();
        let sums = Sums::of(supply, &books);
        assert!(sums.balanced && sums.covered && sums.surplus_wei.is_zero() && sums.missing_by_books_sat == 0);
        let sums = Sums::of(supply + U256::from(1), &books);
        assert!(!sums.balanced && !sums.covered, "a wei too much");
        let sums = Sums::of(supply - U256::from(3), &books);
        assert!(sums.balanced && sums.covered && sums.surplus_wei == U256::from(3));
    }

    #[test]
    fn what_the_books_say_is_missing_is_accounted_for_and_not_there() {
        let (supply, books) = balanced();
        for missing in [
            Books { vault_sat: 90, lost_sat: 10, ..books },
            Books { vault_sat: 90, unswept_sat: 10, ..books },
            Books { vault_sat: 85, reserve_sat: -10, ..books },
        ] {
            let sums = Sums::of(supply, &missing);
            assert!(sums.balanced && !sums.covered, "{missing:?}");
            assert_eq!((sums.missing_by_books_sat, sums.surplus_wei), (10, U256::ZERO), "{missing:?}");
        }
    }

    #[test]
    fn no_number_in_the_books_breaks_an_audit() {
        let all = u64::MAX;
        let books = Books {
            vault_sat: all,
            owed_sat: all,
            unminted_sat: all,
            unswept_sat: all,
            lost_sat: all,
            reserve_sat: i64::MIN,
            unclaimed_sat: all,
            covered_sat: all,
        };
        assert_eq!(Sums::of(U256::ZERO, &books).missing_by_books_sat, u64::MAX);
    }
}
