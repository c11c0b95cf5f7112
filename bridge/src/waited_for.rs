//! Who keeps a federation waiting, by what everybody can read: the signing board and the confirmations of a key.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;

use crate::board::{Event, Kind, keygen_session, left_out, split_names};
use crate::dkg::MAX_ATTEMPTS;

/// What a key generation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Round1,
    Round2,
    Confirmation,
}

/// Members that more others name than could all be lying, with how many name them: by the last commitments of each member, with which it approved a proposal or took part in a later attempt.
#[must_use]
pub fn by_signers(board: &[Event], members: u16, threshold: u16) -> BTreeMap<u16, usize> {
    let is_commitment = |kind: u8| kind == Kind::Approval as u8 || kind == Kind::Commitments as u8;
    let commitments = board.iter().filter(|event| is_commitment(event.kind));
    let named: BTreeMap<u16, BTreeSet<u16>> =
        commitments.filter_map(|event| Some((event.member, split_names(&event.payload).ok()?.1))).collect();
    let late = left_out(named.iter().map(|(by, names)| (*by, names)), members, threshold.into());
    let namers = |member: u16| named.iter().filter(|(by, names)| **by != member && names.contains(&member)).count();
    late.into_iter().map(|member| (member, namers(member))).collect()
}

/// Seconds after which a gathering is late: some blocks, and a bitcoind that takes a while to answer.
const LATE_AFTER_S: u64 = 20;

/// Seconds for which a gathering counts that found too few: whoever is still waited for is so with a newer one.
pub const REMEMBERED_S: u64 = 600;

/// Where as many members as sign together have to appear: the approvals of a proposal, the commitments of an attempt at signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// What was to be done there, as in "has not approved proposal 7".
    pub what: String,
    pub there: BTreeSet<u16>,
    /// Seconds since it began.
    pub age_s: u64,
}

/// Members that were at none of the late gatherings to which too few came, with the last of these (the one given last). A gathering counts if more members came
/// than could all be lying: so nobody is named for not taking part in junk.
#[must_use]
pub fn by_gatherings(gatherings: &[Gathering], members: u16, threshold: u16) -> BTreeMap<u16, String> {
    let may_lie = usize::from(members.saturating_sub(threshold));
    let is_late = |gathering: &&Gathering| {
        let came = gathering.there.len();
        gathering.age_s >= LATE_AFTER_S && came > may_lie && came < usize::from(threshold)
    };
    let late: Vec<&Gathering> = gatherings.iter().filter(is_late).collect();
    let Some(last) = late.last() else { return BTreeMap::new() };
    let was_there = |member: &u16| late.iter().any(|gathering| gathering.there.contains(member));
    let text = format!("{} ({} of {threshold} have)", last.what, last.there.len());
    (1..=members).filter(|member| !was_there(member)).map(|member| (member, text.clone())).collect()
}

/// Members whose part in making the key of an epoch is missing; `confirmed` have confirmed it.
#[must_use]
pub fn by_key_generation(
    board: &[Event],
    network: B256,
    epoch: u32,
    members: u16,
    confirmed: &BTreeSet<u16>,
) -> (Step, Vec<u16>) {
    let posted = |attempt: u32, kind: Kind| -> BTreeSet<u16> {
        let session = keygen_session(network, epoch, attempt);
        let of_it = board.iter().filter(|event| event.session == session && event.kind == kind as u8);
        of_it.map(|event| event.member).collect()
    };
    // A complaint ends an attempt.
    let attempt = (0..MAX_ATTEMPTS).find(|attempt| posted(*attempt, Kind::DkgComplaint).is_empty());
    let attempt = attempt.unwrap_or(MAX_ATTEMPTS);
    let parts = [
        (Step::Round1, posted(attempt, Kind::DkgRound1)),
        (Step::Round2, posted(attempt, Kind::DkgRound2)),
        (Step::Confirmation, confirmed.clone()),
    ];
    let missing = parts.map(|(step, there)| {
        let missing: Vec<u16> = (1..=members).filter(|member| !there.contains(member)).collect();
        (step, missing)
    });
    let [first, second, third] = missing;
    [first, second].into_iter().find(|(_, missing)| !missing.is_empty()).unwrap_or(third)
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Round1 => "its first part of the key",
            Self::Round2 => "its second part of the key",
            Self::Confirmation => "its confirmation of the key",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::names;

    const NETWORK: B256 = B256::repeat_byte(5);

    fn event(session: B256, member: u16, kind: Kind, payload: Vec<u8>) -> Event {
        Event { session, member, kind: kind as u8, payload, timestamp: 0 }
    }

    #[test]
    fn whom_enough_members_named_last_keeps_others_waiting() {
        let commits = |member, named: &[u16]| {
            event(B256::ZERO, member, Kind::Commitments, names(&named.iter().copied().collect()))
        };
        let board = [commits(1, &[3]), commits(2, &[3]), commits(4, &[1])];
        assert_eq!(by_signers(&board, 4, 3), BTreeMap::from([(3, 2)]));
        let approves = event(B256::ZERO, 2, Kind::Approval, names(&BTreeSet::new()));
        assert_eq!(by_signers(&[&board[..], &[approves]].concat(), 4, 3), BTreeMap::new(), "by an approval too");
        let forgiven = [&board[..], &[commits(2, &[])]].concat();
        assert_eq!(by_signers(&forgiven, 4, 3), BTreeMap::new(), "one alone may be lying");
    }

    #[test]
    fn who_approves_nothing_is_named_when_too_few_do_and_nobody_for_leaving_junk_alone() {
        let gathering = |there: &[u16], age_s| Gathering {
            what: "has not approved proposal 7".to_owned(),
            there: there.iter().copied().collect(),
            age_s,
        };
        let named = |gatherings: &[Gathering]| by_gatherings(gatherings, 4, 3).into_keys().collect::<Vec<_>>();
        assert_eq!(named(&[gathering(&[1, 2], 20)]), [3, 4]);
        let told = by_gatherings(&[gathering(&[1, 2], 20)], 4, 3);
        assert_eq!(told[&3], "has not approved proposal 7 (2 of 3 have)");
        assert_eq!(named(&[gathering(&[1, 2], 19)]), [0_u16; 0], "it may still come");
        assert_eq!(named(&[gathering(&[1, 2, 4], 90)]), [0_u16; 0], "these are enough");
        assert_eq!(named(&[gathering(&[4], 90)]), [0_u16; 0], "one alone may propose anything");
        assert_eq!(named(&[gathering(&[1, 2], 90), gathering(&[1, 3], 60)]), [4], "3 is alive: it refused one");
    }

    #[test]
    fn a_key_generation_waits_for_whoever_has_not_done_its_part_in_the_attempt_that_runs() {
        let post = |attempt, member, kind| event(keygen_session(NETWORK, 1, attempt), member, kind, Vec::new());
        let missing = |board: &[Event], confirmed: &[u16]| {
            by_key_generation(board, NETWORK, 1, 3, &confirmed.iter().copied().collect())
        };
        assert_eq!(missing(&[], &[]), (Step::Round1, vec![1, 2, 3]));
        let mut board: Vec<Event> = (1..=3).map(|member| post(0, member, Kind::DkgRound1)).collect();
        board.push(post(0, 2, Kind::DkgRound2));
        assert_eq!(missing(&board, &[]), (Step::Round2, vec![1, 3]));
        board.push(post(0, 1, Kind::DkgComplaint));
        board.push(post(1, 1, Kind::DkgRound1));
        assert_eq!(missing(&board, &[]), (Step::Round1, vec![2, 3]), "another attempt");
        board.extend((1..=3).flat_map(|member| [post(1, member, Kind::DkgRound1), post(1, member, Kind::DkgRound2)]));
        assert_eq!(missing(&board, &[1, 3]), (Step::Confirmation, vec![2]));
        assert_eq!(missing(&board, &[1, 2, 3]), (Step::Confirmation, vec![]));
    }
}
