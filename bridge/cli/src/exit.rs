//! How the process ends: one table, which `causeway help exit-codes` and docs/scripts.md show.

use std::fmt;

/// One way to end.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    pub status: u8,
    /// What `--json` calls it.
    pub code: &'static str,
    /// Which commands end so.
    pub of: &'static str,
    pub means: &'static str,
}

const ANY: &str = "any command";
const AUDIT: &str = "audit";
const INVOICE: &str = "pay invoice";
const DOCTOR: &str = "doctor";

pub const FAILED: Way = way(1, "failed", ANY, "it could not be done, or what was checked is wrong");
pub const NO_NODE: Way = way(1, "node", ANY, "the same, because the sidechain's node does not answer as it should");
pub const NO_BITCOIN: Way = way(1, "bitcoin", ANY, "the same, because bitcoind does not answer as it should");
pub const LIED_TO: Way = way(1, "lie", ANY, "the same, because the sidechain's node does not prove what it says");
pub const USAGE: Way = way(2, "usage", ANY, "the arguments make no sense: nothing was done");
pub const MISSING: Way = way(3, "missing", AUDIT, "a satoshi is missing, or proven entries contradict each other");
pub const LATE: Way = way(4, "late", AUDIT, "nothing is missing that can be judged, and something is late");
pub const AUDIT_LIE: Way = way(5, "lie", AUDIT, "the sidechain's node hides something, or does not prove what it says");
pub const AUDIT_NODE: Way = way(6, "node", AUDIT, "the sidechain's node does not answer as it should");
pub const AUDIT_BITCOIN: Way = way(7, "bitcoin", AUDIT, "bitcoind does not answer as it should");
pub const EXPIRED: Way = way(3, "expired", INVOICE, "the invoice expired, and was not paid in full");
pub const PAID_LATE: Way = way(4, "paidLate", INVOICE, "the invoice was paid in full after it had expired");
pub const UNWELL: Way = way(3, "unwell", DOCTOR, "something is wrong on this machine");
pub const BUG: Way = way(101, "bug", ANY, "a mistake in this program stopped it: please report what it says");

/// All of them that come with an error, in the order in which they are shown.
pub const WAYS: [&Way; 14] = [
    &FAILED,
    &NO_NODE,
    &NO_BITCOIN,
    &LIED_TO,
    &USAGE,
    &MISSING,
    &LATE,
    &AUDIT_LIE,
    &AUDIT_NODE,
    &AUDIT_BITCOIN,
    &EXPIRED,
    &PAID_LATE,
    &UNWELL,
    &BUG,
];

const fn way(status: u8, code: &'static str, of: &'static str, means: &'static str) -> Way {
    Way { status, code, of, means }
}

/// The outermost words of an error, with the way in which the process ends.
#[derive(Debug)]
pub struct Exit {
    pub way: &'static Way,
    pub words: &'static str,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

impl std::error::Error for Exit {}

/// The way in which an error says that the process ends, if it says so.
pub fn of(error: &eyre::Report) -> Option<&'static Way> {
    error.downcast_ref::<Exit>().map(|exit| exit.way)
}

/// The table, for people.
pub fn table() -> String {
    let mut text = String::from(
        "How causeway ends\n\n  status  code      command        what it says\n  0                 any command    done\n",
    );
    for Way { status, code, of, means } in WAYS {
        text.push_str(&format!("  {status:<6}  {code:<8}  {of:<13}  {means}\n"));
    }
    text.push_str(
        "  141               any command    nobody reads its output any more, as after `| head`\n
With --json each of these but 0 and 141 writes one object as the last line of standard error:
  {\"error\":{\"code\":\"node\",\"message\":\"...\",\"detail\":[\"...\"],\"help\":\"causeway help status\"}}
message says what failed, detail why (one cause each, the outermost first), help what shows more.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::eyre;

    #[test]
    fn an_error_ends_in_the_way_that_was_put_around_it() {
        assert_eq!(of(&eyre!("no such file")), None);
        let error = eyre!("connection refused").wrap_err(Exit { way: &AUDIT_NODE, words: "the node does not answer" });
        assert_eq!((of(&error), error.to_string().as_str()), (Some(&AUDIT_NODE), "the node does not answer"));
        assert_eq!(of(&error.wrap_err("later")), Some(&AUDIT_NODE));
    }

    #[test]
    fn no_command_ends_with_one_status_for_two_reasons_but_for_failures_whose_code_says_more() {
        for way in WAYS {
            let same =
                |other: &&&Way| other.status == way.status && (other.of == way.of || way.of == ANY || other.of == ANY);
            let others: Vec<&str> = WAYS.iter().filter(same).map(|other| other.code).collect();
            let distinct: std::collections::BTreeSet<&str> = others.iter().copied().collect();
            assert!(others.len() == 1 || (way.status == 1 && distinct.len() == others.len()), "{way:?}: {others:?}");
        }
    }

    #[test]
    fn the_table_for_people_and_the_page_have_every_way() {
        let page = include_str!("../../../docs/scripts.md");
        for Way { status, code, of, means } in WAYS {
            let row = format!("| {status} | `{code}` | {of} | {means} |");
            assert!(page.contains(&row), "docs/scripts.md has no row {row}");
            assert!(table().contains(means), "{means}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 5).count();
        assert_eq!(rows, 1 + 2 + WAYS.len(), "a heading, 0 and 141 besides");
    }
}
