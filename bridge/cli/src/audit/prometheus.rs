//! A report in the text format of Prometheus (exposition format 0.0.4), for the textfile collector of a node exporter.

use std::fmt::Write as _;
use std::path::Path;

use eyre::{Result, WrapErr as _};
use files::write_atomic;

use super::findings::Kind;
use super::report::Report;

/// How the audits themselves went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the last one could be done.
    pub is_up: bool,
    /// How many could not.
    pub failures: u64,
}

impl Health {
    pub fn fail(&mut self) {
        *self = Self { is_up: false, failures: self.failures.saturating_add(1) };
    }
}

/// Writes all metrics where that is wanted.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_metrics(path: Option<&Path>, report: Option<&Report>, health: Health) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    write_atomic(path, text(report, health).as_bytes()).wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// All metrics: of the last report that there is, and whether there was one this time.
fn text(report: Option<&Report>, health: Health) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, kind: &str, value: &str| {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}").expect("a string takes all");
    };
    let up = u8::from(health.is_up).to_string();
    metric(
        "causeway_audit_up",
        "Whether the last audit could be done; the rest is of the last that could",
        "gauge",
        &up,
    );
    let failures = health.failures.to_string();
    metric("causeway_audit_failures_total", "Audits that could not be done", "counter", &failures);
    for (name, help, value) in report.map(gauges).into_iter().flatten() {
        metric(name, help, "gauge", &value);
    }
    text
}

fn gauges(report: &Report) -> [(&'static str, &'static str, String); 12] {
    let of = |kind: Kind| report.findings.iter().filter(|objection| objection.kind == kind).count();
    [
        ("causeway_audit_block", "Sidechain block that was audited", report.block.to_string()),
        ("causeway_audit_block_time_seconds", "Its time, in seconds since 1970", report.block_time.to_string()),
        ("causeway_audit_bitcoin_height", "Bitcoin block that was audited", report.bitcoin_height.to_string()),
        ("causeway_audit_supply_wei", "Coins outside the Bridge", report.supply_wei.to_string()),
        ("causeway_audit_vault_sat", "Vault outputs by the ledger", report.vault_sat.to_string()),
        ("causeway_audit_owed_sat", "Owed to open withdrawals", report.owed_sat.to_string()),
        ("causeway_audit_reserve_sat", "Reserve for fees, negative while overdrawn", report.reserve_sat.to_string()),
        ("causeway_audit_on_bitcoin_sat", "What the vault has on Bitcoin", report.on_bitcoin_sat.to_string()),
        ("causeway_audit_missing_sat", "Vault outputs missing on Bitcoin", report.missing_sat.to_string()),
        (
            "causeway_audit_missing_by_books_sat",
            "Lost, unswept and overdrawn by the books",
            report.missing_by_books_sat.to_string(),
        ),
        ("causeway_audit_safety_findings", "Findings that something is missing", of(Kind::Safety).to_string()),
        ("causeway_audit_liveness_findings", "Findings that something is late", of(Kind::Liveness).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_that_could_not_be_done_is_down_and_counted() {
        let mut health = Health { is_up: true, failures: 0 };
        health.fail();
        health.fail();
        let text = text(None, health);
        assert!(text.contains("\ncauseway_audit_up 0\n"), "{text}");
        assert!(
            text.ends_with("# TYPE causeway_audit_failures_total counter\ncauseway_audit_failures_total 2\n"),
            "{text}"
        );
    }
}
