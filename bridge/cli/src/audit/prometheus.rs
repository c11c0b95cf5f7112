//! A report in the text format of Prometheus (exposition format 0.0.4), for the textfile collector of a node exporter.

use std::fmt::Write as _;

use super::findings::Kind;
use super::report::Report;

/// All gauges of a report.
pub fn text(report: &Report) -> String {
    let of = |kind: Kind| report.findings.iter().filter(|objection| objection.kind == kind).count();
    let gauges = [
        ("causeway_audit_block", "Sidechain block that was audited", report.block.to_string()),
        ("causeway_audit_block_time_seconds", "Its time, in seconds since 1970", report.block_time.to_string()),
        ("causeway_audit_bitcoin_height", "Bitcoin block that was audited", report.bitcoin_height.to_string()),
        ("causeway_audit_supply_wei", "Coins outside the Bridge", report.supply_wei.to_string()),
        ("causeway_audit_vault_sat", "Vault outputs by the ledger", report.vault_sat.to_string()),
        ("causeway_audit_owed_sat", "Owed to open withdrawals", report.owed_sat.to_string()),
        ("causeway_audit_reserve_sat", "Reserve for fees, negative while overdrawn", report.reserve_sat.to_string()),
        ("causeway_audit_missing_sat", "Vault outputs missing on Bitcoin", report.missing_sat.to_string()),
        (
            "causeway_audit_missing_by_books_sat",
            "Lost, unswept and overdrawn by the books",
            report.missing_by_books_sat.to_string(),
        ),
        ("causeway_audit_safety_findings", "Findings that something is missing", of(Kind::Safety).to_string()),
        ("causeway_audit_liveness_findings", "Findings that something is late", of(Kind::Liveness).to_string()),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}").expect("a string takes all");
    }
    text
}
