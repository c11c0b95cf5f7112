//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not the database's: connections, the engine's files, logs.
const OTHERS: u64 = 1024;

/// Most files of a database that are kept open: 4 TB in files of 64 MB. Each costs a few KB of memory.
const MOST: u64 = 65_536;

/// Fewest. Systems give at least 1024 to a process.
const FEWEST: u64 = 256;

/// Raises the process's limit as far as it may, and returns how many of them a database can have. A database with fewer than its
/// files closes and opens them with every read that it does not find in memory: with files of 64 MB, 256 of them are 16 GB.
pub(super) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // What counts is what the system says afterwards.
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if raised.is_err() {
        tracing::warn!(?current, ?maximum, now, "cannot raise the limit of open files");
    }
    let files = share(now);
    if files < MOST / 16 {
        tracing::warn!(
            limit = now,
            files,
            "few files may be open: reads slow down when the chain has more; raise LimitNOFILE"
        );
    }
    files
}

/// The part of a process's open files that the database gets.
fn share(limit: u64) -> u64 {
    limit.saturating_sub(OTHERS).clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_the_system_lets_it_and_the_database_gets_the_most_of_it() {
        let files = raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(files, share(current.unwrap_or(u64::MAX)));
        assert_eq!([0, 1024, 4096, u64::MAX].map(share), [256, 256, 3072, 65_536]);
    }
}
