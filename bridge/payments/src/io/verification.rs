//! Signatures on all cores.

use std::num::NonZero;
use std::thread;

use crate::payee::{Check, Refused, Verified};

/// Checks on one core that are worth a thread of their own: a thread takes as long to start as one signature to check.
const LEAST_A_THREAD: usize = 8;

/// Checks signatures on as many cores as there are; the answers in the order of the checks.
#[must_use]
pub fn verify_all(checks: Vec<Check>) -> Vec<Result<Verified, Refused>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = checks.len().div_ceil(cores).max(LEAST_A_THREAD);
    if checks.len() <= share {
        return checks.into_iter().map(Check::verify).collect();
    }
    let mut rest = checks;
    let mut shares = Vec::new();
    while rest.len() > share {
        let tail = rest.split_off(share);
        shares.push(std::mem::replace(&mut rest, tail));
    }
    thread::scope(|scope| {
        let others: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(|| share.into_iter().map(Check::verify).collect::<Vec<_>>()))
            .collect();
        let last: Vec<_> = rest.into_iter().map(Check::verify).collect();
        let others = others.into_iter().flat_map(|thread| thread.join().expect("verifying does not panic"));
        others.chain(last).collect()
    })
}
