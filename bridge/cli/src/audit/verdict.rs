//! What a report comes to: how the command ends.

use eyre::{Result, eyre};

use super::findings::Kind;
use super::report::Report;
use crate::exit::{Exit, LATE, MISSING};

/// An error if a satoshi is missing.
///
/// # Errors
///
/// Says where.
pub fn judge(report: &Report) -> Result<()> {
    refuse(report, Kind::Safety, Exit { way: &MISSING, words: "a satoshi is missing" })
}

/// An error if something is late.
///
/// # Errors
///
/// Says what.
pub fn punctual(report: &Report) -> Result<()> {
    refuse(report, Kind::Liveness, Exit { way: &LATE, words: "something is late" })
}

fn refuse(report: &Report, kind: Kind, exit: Exit) -> Result<()> {
    let first = report.findings.iter().find(|objection| objection.kind == kind);
    first.map_or(Ok(()), |objection| Err(eyre!("{}", objection.finding.line()).wrap_err(exit)))
}
