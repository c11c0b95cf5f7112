//! Signing over a simulated board: whatever at most n - t members do, the others sign, and nobody uses a nonce twice.

use super::*;
use crate::board::Post;
use crate::simulation::{Machine, World};
use crate::threshold;
use crate::vault;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secp256k1::{Message, SECP256K1};

const START: u64 = 1_700_000_000;
const NETWORK: B256 = B256::repeat_byte(0x51);

#[derive(Clone)]
pub(crate) struct Member {
    config: Config,
    keys: BTreeMap<u32, KeyShare>,
    /// Who kept it waiting before.
    late: Vec<u16>,
}

/// A session, and whom its member names.
#[derive(Debug)]
pub(crate) struct Named(Session, Vec<u16>);

impl Named {
    fn attempt(&self) -> u32 {
        self.0.attempt()
    }
}

impl Machine for Named {
    type Config = Member;
    type Output = Vec<schnorr::Signature>;

    fn open(member: &Member, stored: Option<&[u8]>) -> Self {
        let session =
            Session::new(member.config.clone(), &member.keys, stored).expect("what was persisted can be read");
        Self(session, member.late.clone())
    }

    fn advance(&mut self, events: &[Event], now: u64, rng: &mut StdRng) -> Vec<Effect> {
        self.0.step(Facts { events, now, may_sign: true, late: &self.1 }, rng)
    }
}

/// Two inputs with different trees, locked to a key of epoch 1.
fn members(threshold: u16, members: u16, seed: u64) -> Vec<Member> {
    let mut rng = StdRng::seed_from_u64(seed);
    let shares = threshold::deal(1, threshold, members, &mut rng);
    let input = |byte: u8| Input {
        sighash: [byte; 32],
        epoch: 1,
        merkle_root: [byte + 100; 32],
        output_key: vault::output_key(shares[0].group_key(), &[byte + 100; 32]),
    };
    let config = Config {
        network: NETWORK,
        number: 7,
        proposed_at: START,
        share_deadline_s: 10,
        inputs: vec![input(1), input(2)],
    };
    shares
        .iter()
        .map(|share| Member { config: config.clone(), keys: BTreeMap::from([(1, share.clone())]), late: Vec::new() })
        .collect()
}

fn world(threshold: u16, count: u16, seed: u64) -> World<Named> {
    World::new(seed, START, members(threshold, count, seed))
}

/// All honest members have the same signatures, valid under libsecp256k1, and nobody contradicted itself.
fn assert_signed(world: &World<Named>, threshold: u16, count: u16, seed: u64) {
    let inputs = members(threshold, count, seed).swap_remove(0).config.inputs;
    let signatures = world.honest().next().expect("an honest member").output.clone().expect("done");
    assert!(world.honest().all(|member| member.output.as_ref() == Some(&signatures)), "members disagree");
    for (input, signature) in inputs.iter().zip(&signatures) {
        SECP256K1.verify_schnorr(signature, &Message::from_digest(input.sighash), &input.output_key).expect("valid");
    }
    world.assert_nobody_contradicts_itself();
}

#[test]
fn three_of_four_sign_both_inputs() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        world.run(200);
        assert_signed(&world, 3, 4, seed);
    }
}

#[test]
fn eleven_of_fifteen_sign_with_four_dead() {
    let mut world = world(11, 15, 1);
    for dead in [0, 4, 9, 14] {
        world.members[dead].alive = false;
    }
    world.run(200);
    assert_signed(&world, 11, 15, 1);
}

#[test]
fn a_member_that_commits_and_falls_silent_is_left_out_of_the_next_attempt() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        world.members[2].tamper = Some(Box::new(|post, _| if post.kind == Kind::Shares { vec![] } else { vec![post] }));
        // It is always in the first set.
        world.members[3].diligence = 0.1;
        world.run(1000);
        assert_signed(&world, 3, 4, seed);
        for blame in world.honest().flat_map(|member| &member.blames) {
            assert_eq!(blame.fault, Fault::Late);
        }
    }
}

/// A member that always commits first, and never delivers its shares; those that know it from before name it.
fn with_a_known_latecomer(seed: u64, knowing: &[usize]) -> World<Named> {
    let mut members = members(3, 4, seed);
    knowing.iter().for_each(|position| members[*position].late = vec![3]);
    // Long enough for all that want to commit, in the slowest of these worlds.
    members.iter_mut().for_each(|member| member.config.share_deadline_s = 60);
    let mut world = World::new(seed, START, members);
    world.members[2].tamper = Some(Box::new(|post, _| if post.kind == Kind::Shares { vec![] } else { vec![post] }));
    world.members[2].diligence = 1.0;
    world
}

#[test]
fn a_member_that_kept_others_waiting_in_other_sessions_costs_the_next_one_no_attempt() {
    for seed in 0..20 {
        let mut world = with_a_known_latecomer(seed, &[0, 1, 3]);
        world.run(1000);
        assert_signed(&world, 3, 4, seed);
        let attempts = world.honest().map(|member| member.machine().attempt()).max();
        assert_eq!(attempts, Some(0), "seed {seed}");
    }
}

#[test]
fn whoever_was_late_before_is_tried_again_when_the_others_are_too_few() {
    for seed in 0..10 {
        let mut world = with_a_known_latecomer(seed, &[0, 1, 3]);
        world.members[2].tamper = None;
        world.members[3].alive = false;
        world.run(2000);
        assert_signed(&world, 3, 4, seed);
    }
}

#[test]
fn liars_who_name_honest_members_leave_nobody_out() {
    let names = |named: &[u16]| named.iter().copied().collect::<BTreeSet<u16>>();
    let left_out = |named: &[(u16, &[u16])], members, threshold| {
        let named: Vec<(u16, BTreeSet<u16>)> = named.iter().map(|(by, named)| (*by, names(named))).collect();
        board::left_out(named.iter().map(|(by, named)| (*by, named)), members, threshold)
    };
    assert_eq!(left_out(&[(4, &[1, 2, 3])], 4, 3), names(&[]), "one liar of four");
    assert_eq!(left_out(&[(4, &[1, 2, 3]), (1, &[3])], 4, 3), names(&[3]), "an honest one agrees");
    assert_eq!(left_out(&[(1, &[1]), (2, &[1])], 4, 3), names(&[]), "nobody names itself");
    assert_eq!(left_out(&[(1, &[2, 3]), (4, &[2, 3]), (2, &[3])], 4, 3), names(&[3]), "one may be missing, not two");
    assert_eq!(left_out(&[(1, &[2]), (2, &[1]), (3, &[1, 2])], 3, 3), names(&[]), "all are needed");
    for named in [names(&[]), names(&[1]), names(&[2, 700])] {
        let payload = [vec![9; 66], board::names(&named)].concat();
        assert_eq!(board::split_names(&payload), Ok((&[9; 66][..], named)));
    }
    assert!(board::split_names(&[]).is_err() && board::split_names(&[0, 9]).is_err());
}

#[test]
fn a_session_that_waits_too_long_says_for_whom() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut session = Named::open(&members[0], None);
    let effects = session.advance(&[], START, &mut rng);
    let Some(Effect::Post(post)) = effects.last() else { panic!("{effects:?}") };
    session.advance(&[on_board(1, post)], START + 4, &mut rng);
    assert_eq!(session.0.missing(START + 4), None, "they have time");
    assert_eq!(session.0.missing(START + 5), Some((Missing::Commitments, vec![2, 3])));
    let effects = Named::open(&members[1], None).advance(&[], START, &mut rng);
    let Some(Effect::Post(post)) = effects.last() else { panic!("{effects:?}") };
    session.advance(&[on_board(2, post)], START, &mut rng);
    assert_eq!(session.0.missing(START + 5), Some((Missing::Shares, vec![1, 2])));
}

#[test]
fn a_bad_share_is_named_and_costs_one_attempt() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        world.members[1].tamper = Some(Box::new(|mut post, _| {
            if post.kind == Kind::Shares {
                // The share of the second input becomes that of the first.
                let (first, second) = post.payload.split_at_mut(32);
                second.copy_from_slice(first);
            }
            vec![post]
        }));
        world.run(1000);
        assert_signed(&world, 3, 4, seed);
        let attempts = world.honest().map(|member| member.machine().attempt()).max();
        for blame in world.honest().flat_map(|member| &member.blames) {
            let named = blame.member == 2 && blame.fault == Fault::Share { input: 1 };
            assert!(named || blame.fault == Fault::Late, "{blame}");
        }
        assert!(attempts < Some(20));
    }
}

#[test]
fn garbage_on_the_board_changes_nothing() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        world.members[0].tamper = Some(Box::new(|post, rng| {
            let garbage = |kind, length: usize| Post {
                kind,
                payload: (0..length).map(|_| rand::Rng::r#gen(rng)).collect(),
                ..post.clone()
            };
            [
                (Kind::Commitments, 134),
                (Kind::Commitments, 3),
                (Kind::Shares, 64),
                (Kind::Shares, 0),
                (Kind::DkgRound1, 50),
            ]
            .map(garbage_of(garbage))
            .to_vec()
        }));
        world.run(1000);
        assert_signed(&world, 3, 4, seed);
    }
}

fn garbage_of(mut garbage: impl FnMut(Kind, usize) -> Post) -> impl FnMut((Kind, usize)) -> Post {
    move |(kind, length)| garbage(kind, length)
}

// A second commitment of the same member must not replace the first: shares made for the first would look bad.
#[test]
fn only_the_first_commitment_of_a_member_counts() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        let mut first: Option<Vec<u8>> = None;
        world.members[0].tamper = Some(Box::new(move |post, _| {
            if post.kind != Kind::Commitments {
                return vec![post];
            }
            let earlier = first.get_or_insert_with(|| post.payload.clone()).clone();
            vec![post.clone(), Post { payload: earlier, ..post }]
        }));
        world.run(1000);
        assert_signed(&world, 3, 4, seed);
    }
}

#[test]
fn exclusions_are_lifted_when_the_rest_is_too_few() {
    for seed in 0..5 {
        let mut world = world(3, 4, seed);
        world.members[3].alive = false;
        // Silent in the first attempt only: without it nothing can be signed.
        let mut silent = true;
        world.members[2].tamper =
            Some(Box::new(
                move |post, _| {
                    if post.kind == Kind::Shares && std::mem::take(&mut silent) { vec![] } else { vec![post] }
                },
            ));
        world.run(2000);
        assert_signed(&world, 3, 4, seed);
    }
}

/// Every run of this many members crashes at random, one lies, all lag.
#[test]
fn members_that_crash_at_random_still_sign_and_use_no_nonce_twice() {
    for seed in 0..20 {
        let mut world = world(3, 4, seed);
        for (position, member) in world.members.iter_mut().enumerate() {
            member.diligence = 0.4;
            member.crash_chance = if position == 3 { 0.0 } else { 0.2 };
        }
        world.members[3].tamper = Some(Box::new(|mut post, rng| {
            if rand::Rng::gen_bool(rng, 0.5) && !post.payload.is_empty() {
                post.payload[5] ^= 1;
            }
            vec![post]
        }));
        world.run(3000);
        assert_signed(&world, 3, 4, seed);
    }
}

// The set is members 1 to 3, for 4 is dead: member 1 is always needed. It crashes once, before each effect in turn
// (before and after each persisted step), and is restarted from the bytes persisted last.
#[test]
fn a_crash_between_any_two_steps_is_survived_without_using_a_nonce_twice() {
    for seed in 0..4 {
        let mut crashed = 0;
        for crash_before in 0.. {
            let mut world = world(3, 4, seed);
            world.members[3].alive = false;
            world.members[0].crash_before = Some(crash_before);
            world.run(1000);
            assert_signed(&world, 3, 4, seed);
            crashed += world.members[0].crashes;
            if world.members[0].crashes == 0 {
                break;
            }
        }
        // Persist, post, persist, post, done.
        assert!(crashed >= 5, "{crashed} crashes");
    }
}

#[test]
fn a_member_that_lost_its_disk_sits_out_the_attempt_and_joins_the_next() {
    for seed in 0..4 {
        for crash_before in 0..5 {
            let mut world = world(3, 4, seed);
            world.members[3].alive = false;
            world.members[0].crash_before = Some(crash_before);
            world.members[0].lose_disk = true;
            world.run(3000);
            let signatures = world.members[1].output.clone();
            assert!(world.honest().all(|member| member.output == signatures));
        }
    }
}

#[test]
fn without_the_policys_consent_nothing_is_said() {
    let member = members(2, 3, 1).swap_remove(0);
    let mut session = Named::open(&member, None);
    let mut rng = StdRng::seed_from_u64(1);
    assert_eq!(session.0.step(Facts { events: &[], now: START, may_sign: false, late: &[] }, &mut rng), []);
    let effects = session.0.step(Facts { events: &[], now: START, may_sign: true, late: &[] }, &mut rng);
    assert!(matches!(effects.as_slice(), [Effect::Persist(_), Effect::Post(_)]));
    // Not again with the next block, but when it is not seen for a while.
    assert_eq!(session.0.step(Facts { events: &[], now: START + 1, may_sign: true, late: &[] }, &mut rng), []);
    let again =
        session.0.step(Facts { events: &[], now: START + board::RESEND_AFTER_S, may_sign: true, late: &[] }, &mut rng);
    assert_eq!(again, effects[1..]);
}

#[test]
fn a_state_of_another_transaction_or_with_a_flipped_bit_is_refused() {
    let member = members(2, 3, 1).swap_remove(0);
    let mut rng = StdRng::seed_from_u64(1);
    let effects = Named::open(&member, None).advance(&[], START, &mut rng);
    let Some(Effect::Persist(stored)) = effects.first() else { panic!("{effects:?}") };
    assert!(Session::new(member.config.clone(), &member.keys, Some(stored)).is_ok());

    let mut other = member.config.clone();
    other.inputs[1].sighash = [9; 32];
    assert_eq!(Session::new(other, &member.keys, Some(stored)).err(), Some(SessionError::Foreign));
    assert!(matches!(
        Session::new(member.config.clone(), &member.keys, Some(&stored[..50])),
        Err(SessionError::Damaged(_))
    ));
}

#[test]
fn an_input_that_the_share_cannot_spend_is_refused() {
    let mut member = members(2, 3, 1).swap_remove(0);
    member.config.inputs[1].merkle_root = [0; 32];
    assert!(matches!(
        Session::new(member.config.clone(), &member.keys, None),
        Err(SessionError::OutputKey { input: 1, .. })
    ));
    member.config.inputs[1].epoch = 2;
    let missing = Session::new(member.config, &member.keys, None);
    assert_eq!(missing.err(), Some(SessionError::NoShare { input: 1, epoch: 2 }));
}

// A backup that is put back is the worst crash: it still holds nonces whose shares have left.
#[test]
fn an_old_copy_of_the_state_repeats_the_same_shares_or_nothing() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut board = Vec::new();
    let mut copies = Vec::new();
    for (index, member) in (1..).zip(&members[..2]) {
        let effects = Named::open(member, None).advance(&board, START, &mut rng);
        let [Effect::Persist(copy), Effect::Post(post)] = effects.as_slice() else { panic!("{effects:?}") };
        copies.push(copy.clone());
        board.push(on_board(index, post));
    }

    let shares = |board: &[Event], rng: &mut StdRng| {
        let mut session = Named::open(&members[0], Some(&copies[0]));
        let posts = session.advance(board, START, rng).into_iter().filter_map(|effect| match effect {
            Effect::Post(post) => Some(post),
            _ => None,
        });
        posts.collect::<Vec<_>>()
    };
    let first = shares(&board, &mut rng);
    assert_eq!(first.len(), 1);
    assert_eq!(shares(&board, &mut rng), first);
    board.push(on_board(1, &first[0]));
    assert_eq!(shares(&board, &mut rng), []);
}

fn on_board(member: u16, post: &Post) -> Event {
    let kind = post.kind as u8;
    Event { session: post.session, member, kind, payload: post.payload.clone(), timestamp: START }
}

#[test]
fn a_session_of_another_network_has_other_posts_and_no_use_for_its_state() {
    let member = members(2, 3, 1).swap_remove(0);
    let step = |member: &Member| Named::open(member, None).advance(&[], START, &mut StdRng::seed_from_u64(1));
    let elsewhere = Config { network: B256::repeat_byte(0x52), ..member.config.clone() };
    let other = Member { config: elsewhere.clone(), ..member.clone() };
    let sessions = [&member, &other].map(|member| match step(member).last() {
        Some(Effect::Post(post)) => post.session,
        effect => panic!("{effect:?}"),
    });
    assert_ne!(sessions[0], sessions[1]);
    let Some(Effect::Persist(stored)) = step(&member).into_iter().next() else { panic!("nonces are kept first") };
    assert!(matches!(Session::new(elsewhere, &member.keys, Some(&stored)), Err(SessionError::Foreign)));
}
