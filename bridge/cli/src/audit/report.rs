//! What an audit found: both sides, and whether they match.

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use bitcoin::{Amount, BlockHash};
use bridge::amount;
use light::facts::Facts;
use light::reserves::Sums;
use mainchain::header::Height;
use serde::Serialize;

use super::findings::{Finding, Kind, Limits, Moment, findings};
use super::outputs::{Found, Output, Tally};
use super::sidechain::Ledger;

/// What was found; also what `--json` prints. Always: supply + unclaimed + owed + reserve + unminted = vault + unswept + lost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub block: u64,
    pub block_hash: B256,
    /// Seconds since 1970.
    pub block_time: u64,
    /// How old the block was when it was shown, in seconds.
    pub age_s: u64,
    pub signers: usize,
    pub validators: usize,
    pub bitcoin_height: Height,
    pub bitcoin_tip: BlockHash,
    /// Coins outside the Bridge.
    #[serde(serialize_with = "amount::digits")]
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
    #[serde(serialize_with = "amount::digits")]
    pub surplus_wei: U256,
    /// Lost, unswept and overdrawn.
    pub missing_by_books_sat: u64,
    pub outputs: Vec<Output>,
    /// What the vault has on Bitcoin: its outputs, and what is in the place of those that were spent.
    pub on_bitcoin_sat: u64,
    /// Vault outputs that were looked for and not found, also such as cannot be judged yet.
    pub missing_sat: u64,
    /// Everything that is owed, or outside the Bridge, is accounted for by the books.
    pub balanced: bool,
    /// All of it is on Bitcoin.
    pub covered: bool,
    /// All that is to be objected to.
    pub findings: Vec<Objection>,
    /// By what each amount is known.
    pub proven_by: BTreeMap<&'static str, &'static str>,
}

/// A finding with its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objection {
    pub kind: Kind,
    #[serde(flatten)]
    pub finding: Finding,
}

const BALANCE: &str = "balance of the Bridge, by a proof of its account";
const BOOKS: &str = "books of the Bridge, by a proof of its storage";
const OUTPUTS: &str =
    "entry of the Vault by a proof of its storage, bytes that hash to its txid, and gettxout of the own bitcoind";

/// By what each amount is known: its name in the report, and the evidence.
const EVIDENCE: [(&str, &str); 11] = [
    ("supplyWei", BALANCE),
    ("unclaimedSat", BOOKS),
    ("owedSat", "books of the Bridge, and the same by the entries of all open withdrawals, by proofs of its storage"),
    ("reserveSat", BOOKS),
    ("unmintedSat", BOOKS),
    ("vaultSat", "books of the Bridge, and the same by the entries of all live outputs, by proofs of storage"),
    ("unsweptSat", BOOKS),
    ("lostSat", BOOKS),
    ("coverSat", BOOKS),
    ("outputs", OUTPUTS),
    ("onBitcoinSat", OUTPUTS),
];

impl Report {
    pub fn new(ledger: &Ledger, moment: Moment, outputs: Vec<Output>, limits: Limits) -> Self {
        let Facts { header, supply_wei, books, .. } = &ledger.facts;
        let Tally { there_sat, missing_sat } = Tally::of(&outputs);
        let Sums { balanced, covered, surplus_wei, missing_sat: missing_by_books_sat } = Sums::of(*supply_wei, books);
        let findings = findings(ledger, &outputs, moment, limits);
        let objection = |finding: Finding| Objection { kind: finding.kind(), finding };
        Self {
            block: header.header.number,
            block_hash: header.hash,
            block_time: header.header.timestamp,
            age_s: moment.now.saturating_sub(header.header.timestamp),
            signers: header.signers,
            validators: header.validators,
            bitcoin_height: moment.bitcoin_height,
            bitcoin_tip: moment.bitcoin_tip,
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
            on_bitcoin_sat: there_sat,
            missing_sat,
            balanced,
            covered: covered && missing_sat == 0,
            findings: findings.into_iter().map(objection).collect(),
            proven_by: BTreeMap::from(EVIDENCE),
        }
    }

    /// Whether something is missing.
    pub fn is_unsafe(&self) -> bool {
        self.findings.iter().any(|objection| objection.kind == Kind::Safety)
    }

    /// Whether something was not found of which this header cannot say that it should be there.
    pub fn is_unjudged(&self) -> bool {
        self.findings.iter().any(|objection| matches!(objection.finding, Finding::OutputUnjudged { .. }))
    }

    /// Whether the header is older than it may be.
    pub fn is_old(&self) -> bool {
        self.findings.iter().any(|objection| matches!(objection.finding, Finding::HeaderOld { .. }))
    }

    /// Findings that an earlier report has not.
    pub fn news_since(&self, before: Option<&Self>) -> Vec<Objection> {
        let known = before.map_or(&[][..], |before| &before.findings);
        let is_new = |objection: &&Objection| !known.iter().any(|known| known.finding.is_same(&objection.finding));
        self.findings.iter().filter(is_new).cloned().collect()
    }

    /// For people who look at one after the other, where there is nothing new to object to.
    pub fn line(&self) -> String {
        let supply = amount::show_wei(self.supply_wei);
        let of = |kind: Kind| self.findings.iter().filter(|objection| objection.kind == kind).count();
        let there = match (of(Kind::Safety), self.is_unjudged()) {
            (0, false) => format!("every satoshi of {supply} is there"),
            (0, true) => format!("not every satoshi of {supply} was found, and the header is too old to judge"),
            (missing, _) => format!("{missing} findings that something of {supply} is missing"),
        };
        let late = match of(Kind::Liveness) {
            0 => String::new(),
            late => format!("; late as before: {late}"),
        };
        format!("Sidechain block {}, Bitcoin block {}: {there}{late}", self.block, self.bitcoin_height)
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let age = humantime::format_duration(std::time::Duration::from_secs(self.age_s));
        let mut lines = vec![
            format!(
                "Sidechain block {} ({}), {age} old, final by {} of {} validators",
                self.block, self.block_hash, self.signers, self.validators
            ),
            format!("Bitcoin block   {} ({})", self.bitcoin_height, self.bitcoin_tip),
            String::new(),
        ];
        lines.extend(self.sums());
        lines.extend([String::new(), "  vault outputs: entries of the Vault, looked for on Bitcoin".to_owned()]);
        lines.extend(self.outputs.iter().map(line));
        lines.push(String::new());
        let (mut missing, mut late) = (Vec::new(), Vec::new());
        for Objection { kind, finding } in &self.findings {
            match kind {
                Kind::Safety => missing.push(format!("MISSING  {}", finding.line())),
                Kind::Liveness => late.push(format!("LATE     {}", finding.line())),
            }
        }
        if missing.is_empty() && !self.is_unjudged() {
            lines.push("Every satoshi is there.".to_owned());
        }
        lines.extend(missing.into_iter().chain(late));
        lines
    }

    fn sums(&self) -> Vec<String> {
        let sat = |sat: u64| amount::show(Amount::from_sat(sat));
        let of = |name: &str, value: String, by: &str| format!("  {name:<44} {value:>20}  by {by}");
        let mut lines = vec![
            of("coins outside the bridge", amount::show_wei(self.supply_wei), "the Bridge's balance"),
            of("unclaimed: refused by their recipients", sat(self.unclaimed_sat), "its books"),
            of("owed to withdrawals on their way", sat(self.owed_sat), "its books and their entries"),
            of("reserve, for what fees do not pay", amount::show_signed(self.reserve_sat), "its books"),
            of("unminted: of deposits not deep enough", sat(self.unminted_sat), "its books"),
            of("vault, by the ledger", sat(self.vault_sat), "its books and the Vault's entries"),
        ];
        lines.push(of("vault, on Bitcoin", sat(self.on_bitcoin_sat), "the own bitcoind"));
        let gone_sat = self.vault_sat.saturating_sub(self.on_bitcoin_sat).saturating_sub(self.missing_sat);
        let paid_out = of("paid out or spent as fees, not settled yet", sat(gone_sat), "what is in its place");
        lines.extend((gone_sat > 0).then_some(paid_out));
        for (name, value) in [
            ("MISSING by the books: lost", self.lost_sat),
            ("MISSING by the books: unswept at the moment", self.unswept_sat),
            ("covered by somebody, for what is unswept", self.cover_sat),
        ] {
            lines.extend((value > 0).then(|| of(name, sat(value), "its books")));
        }
        if !self.surplus_wei.is_zero() {
            lines.push(of(
                "more than anybody can claim",
                amount::show_wei(self.surplus_wei),
                "both sides of the books",
            ));
        }
        lines
    }
}

fn line(output: &Output) -> String {
    let state = match &output.found {
        Found::Unspent { confirmations } => format!("unspent, {confirmations} confirmations"),
        Found::Moved { number, txid, amount_sat } => {
            let left = amount::show(Amount::from_sat(*amount_sat));
            format!("moved by vault transaction {number} ({txid}), not settled yet: {left} in its place")
        }
        Found::PaidOut { number, txid } => {
            format!("paid out by vault transaction {number} ({txid}), not settled yet: nothing in its place")
        }
        Found::Missing { outpoint, .. } if outpoint == &output.outpoint => "MISSING".to_owned(),
        Found::Missing { number, outpoint, .. } => {
            format!("moved by vault transaction {number}, whose {outpoint} is MISSING")
        }
    };
    format!("  {} {:>20}  {state}", output.outpoint, amount::show(Amount::from_sat(output.amount_sat)))
}
