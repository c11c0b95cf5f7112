//! Signing over a simulated board: whatever at most n - t members do, the others sign, and nobody uses a nonce twice.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::board::{self, Event, Fault, Kind, Post};
use crate::simulation::{Machine, World};
use crate::threshold::{self, KeyShare};
use crate::vault;
use alloy_primitives::B256;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secp256k1::{Message, SECP256K1, schnorr};

const START: u64 = 1_700_000_000;
const NETWORK: B256 = B256::repeat_byte(0x51);

const CONTENT: B256 = B256::repeat_byte(0xc0);
/// One more than is left after the binding: one input is skipped.
const NAMED_INPUTS: usize = 3;

#[derive(Clone)]
pub(crate) struct Member {
    config: Config,
    keys: BTreeMap<u32, KeyShare>,
    /// Who kept it waiting before.
    late: Vec<u16>,
    /// Whether its policy agrees to the proposal.
    approves: bool,
}

impl Member {
    fn approval(&self) -> ApprovalConfig {
        let &Config { network, proposal, content, named_inputs: inputs, .. } = &self.config;
        ApprovalConfig { network, proposal, content, inputs }
    }
}

/// A member from the proposal on: it approves, sees the binding as soon as enough have approved, and signs. The ledger takes one approval of each member, and none later.
pub(crate) struct Signer {
    member: Member,
    stored: Option<Vec<u8>>,
    approval: Approval,
    approvals: Vec<Event>,
    session: Option<Session>,
}

impl Signer {
    fn attempt(&self) -> u32 {
        self.session.as_ref().expect("bound").attempt()
    }

    /// When it is bound, once that is known: at once, or after a patience where one of those that approved was late before.
    fn bound_at(&self, until: u64) -> Option<u64> {
        let share = &self.member.keys[&1];
        let enough =
            |count: usize| are_enough(&self.approvals[..count], NAMED_INPUTS, share.members(), share.threshold());
        let first = |wanted: &[Enough]| {
            let count = (0..=self.approvals.len()).find(|count| wanted.contains(&enough(*count)))?;
            Some(self.approvals[count - 1].timestamp)
        };
        let at_last = first(&[Enough::Yes, Enough::WithLatecomers]).map(|at| at + self.member.config.share_deadline_s);
        first(&[Enough::Yes]).or(at_last.filter(|at| *at <= until))
    }

    fn hear(&mut self, event: &Event) {
        let is_approval = event.kind == Kind::Approval as u8 && self.session.is_none();
        if is_approval && self.approvals.iter().all(|approval| approval.member != event.member) {
            self.approvals.push(event.clone());
        }
    }

    fn bind(&mut self, until: u64) {
        if self.session.is_some() {
            return;
        }
        if let Some(bound_at) = self.bound_at(until) {
            let config = Config { bound_at, approvals: self.approvals.clone(), ..self.member.config.clone() };
            let session = Session::new(config, &self.member.keys, self.stored.as_deref());
            self.session = Some(session.expect("what was persisted can be read"));
        }
    }

    fn approve(&mut self, now: u64, rng: &mut StdRng) -> Vec<Effect> {
        if !self.member.approves {
            return Vec::new();
        }
        let me = self.member.keys[&1].index();
        let is_on_board = self.approvals.iter().any(|approval| approval.member == me);
        self.approval.step(ApprovalFacts { now, is_on_board, late: &self.member.late }, rng)
    }
}

impl Machine for Signer {
    type Config = Member;
    type Output = Vec<schnorr::Signature>;

    fn open(member: &Member, stored: Option<&[u8]>) -> Self {
        let approval =
            Approval::new(member.approval(), &member.keys[&1], stored).expect("what was persisted can be read");
        let stored = stored.map(<[u8]>::to_vec);
        Self { member: member.clone(), stored, approval, approvals: Vec::new(), session: None }
    }

    fn advance(&mut self, events: &[Event], now: u64, rng: &mut StdRng) -> Vec<Effect> {
        let mut read = events.len();
        for (position, event) in events.iter().enumerate() {
            self.bind(event.timestamp.saturating_sub(1));
            self.hear(event);
            self.bind(event.timestamp.saturating_sub(1));
            if self.session.is_some() {
                read = position;
                break;
            }
        }
        // Blocks of the same second may follow.
        self.bind(now.saturating_sub(1));
        let effects = match &mut self.session {
            None => self.approve(now, rng),
            Some(session) => {
                let facts =
                    Facts { events: &events[read.min(events.len())..], now, may_sign: true, late: &self.member.late };
                session.step(facts, rng)
            }
        };
        let kept = effects.iter().rev().find_map(|effect| match effect {
            Effect::Persist(bytes) => Some(bytes.to_vec()),
            _ => None,
        });
        self.stored = kept.or(self.stored.take());
        effects
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
        proposal: 0x0100_0300,
        content: CONTENT,
        named_inputs: NAMED_INPUTS,
        approvals: Vec::new(),
        bound_at: START,
        share_deadline_s: 10,
        inputs: vec![input(1), input(2)],
    };
    let member = |share: &KeyShare| Member {
        config: config.clone(),
        keys: BTreeMap::from([(1, share.clone())]),
        late: Vec::new(),
        approves: true,
    };
    shares.iter().map(member).collect()
}

fn world(threshold: u16, count: u16, seed: u64) -> World<Signer> {
    World::new(seed, START, members(threshold, count, seed))
}

/// All honest members have the same signatures, valid under libsecp256k1, and nobody contradicted itself.
fn assert_signed(world: &World<Signer>, threshold: u16, count: u16, seed: u64) {
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
fn with_a_known_latecomer(seed: u64, knowing: &[usize]) -> World<Signer> {
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
        assert_eq!(attempts, Some(1), "seed {seed}");
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

/// Posts of a member's approval, and what it keeps.
fn approved(member: &Member, rng: &mut StdRng) -> (Post, Vec<u8>) {
    let mut approval = Approval::new(member.approval(), &member.keys[&1], None).expect("sound");
    let effects: Vec<Effect> = approval.step(ApprovalFacts { now: START, is_on_board: false, late: &member.late }, rng);
    let [Effect::Persist(kept), Effect::Post(post)] = effects.as_slice() else { panic!("{effects:?}") };
    (post.clone(), kept.to_vec())
}

/// Sessions of these members once their approvals are bound.
fn bound(members: &[Member], approving: &[usize], rng: &mut StdRng) -> Vec<Session> {
    let (mut approvals, mut kept) = (Vec::new(), vec![None; members.len()]);
    for position in approving {
        let (post, state) = approved(&members[*position], rng);
        approvals.push(on_board(u16::try_from(position + 1).expect("small"), &post));
        kept[*position] = Some(state);
    }
    let open = |(member, kept): (&Member, Option<Vec<u8>>)| {
        let config = Config { approvals: approvals.clone(), ..member.config.clone() };
        Session::new(config, &member.keys, kept.as_deref()).expect("sound")
    };
    members.iter().zip(kept).map(open).collect()
}

fn facts(events: &[Event], now: u64) -> Facts<'_> {
    Facts { events, now, may_sign: true, late: &[] }
}

#[test]
fn a_session_that_waits_too_long_says_for_whom() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut session = bound(&members, &[0, 1], &mut rng).swap_remove(0);
    let effects = session.step(facts(&[], START), &mut rng);
    let Some(Effect::Post(post)) = effects.last() else { panic!("{effects:?}") };
    session.step(facts(&[on_board(1, post)], START + 4), &mut rng);
    assert_eq!(session.missing(START + 4), None, "they have time");
    assert_eq!(session.missing(START + 5), Some((Missing::Shares, vec![2])));
    session.step(facts(&[], START + 10), &mut rng);
    assert_eq!(session.attempt(), 2);
    assert_eq!(session.missing(START + 15), Some((Missing::Commitments, vec![1, 2, 3])));
}

#[test]
fn the_commitments_of_the_first_approvals_sign_what_was_bound_without_another_round() {
    let members = members(3, 4, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut sessions = bound(&members, &[3, 1, 0, 2], &mut rng);
    assert_eq!(sessions[0].committed(), [1, 2, 4], "the first three in board order");
    let mut board = Vec::new();
    for position in [0, 1, 3] {
        let effects = sessions[position].step(facts(&[], START), &mut rng);
        let [Effect::Persist(_), Effect::Post(post)] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(post.to, board::Session::Signing { number: 7, attempt: 1 });
        board.push(on_board(u16::try_from(position + 1).expect("small"), post));
    }
    assert_eq!(sessions[2].step(facts(&[], START), &mut rng), [], "whoever is not in the set is silent");
    let effects = sessions[2].step(facts(&board, START), &mut rng);
    assert!(matches!(effects.as_slice(), [Effect::Done(signatures)] if signatures.len() == 2), "{effects:?}");
}

#[test]
fn approvals_without_commitments_count_for_the_ledger_and_cost_no_time() {
    let members = members(3, 4, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let garbage = |member: u16, payload: Vec<u8>| {
        let to = members[0].approval();
        let to = board::Session::Proposal { proposal: to.proposal, content: to.content };
        on_board(member, &Post { to, session: to.id(NETWORK), kind: Kind::Approval, payload })
    };
    let (post, kept) = approved(&members[0], &mut rng);
    let (second, _) = approved(&members[1], &mut rng);
    let approvals = vec![garbage(4, vec![7; 200]), on_board(1, &post), on_board(2, &second)];
    assert_eq!(are_enough(&approvals, NAMED_INPUTS, 4, 3), Enough::No);
    let config = Config { approvals, ..members[0].config.clone() };
    let mut session = Session::new(config, &members[0].keys, Some(&kept)).expect("sound");
    assert_eq!(session.attempt(), 2, "no set can be made of two");
    let effects = session.step(facts(&[], START), &mut rng);
    let [Effect::Blame(blame), Effect::Persist(_), Effect::Post(post)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(blame.member == 4 && matches!(blame.fault, Fault::Malformed { kind: 0, .. }), "{blame}");
    assert_eq!(post.to, board::Session::Signing { number: 7, attempt: 2 });
}

#[test]
fn an_approval_for_fewer_inputs_than_the_content_names_is_none() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let approvals: Vec<Event> = (1..)
        .zip(&members)
        .map(|(index, member)| {
            let mut post = approved(member, &mut rng).0;
            post.payload.drain(..crate::threshold::COMMITMENT_LEN);
            on_board(index, &post)
        })
        .collect();
    assert_eq!(are_enough(&approvals, NAMED_INPUTS, 3, 2), Enough::No);
    assert_eq!(are_enough(&approvals, NAMED_INPUTS - 1, 3, 2), Enough::Yes);
}

#[test]
fn a_second_approval_of_a_member_replaces_nothing() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let [one, again, two] = [0, 0, 1].map(|position| approved(&members[position], &mut rng).0);
    let approvals = vec![on_board(1, &one), on_board(1, &again)];
    assert_eq!(are_enough(&approvals, NAMED_INPUTS, 3, 2), Enough::No, "one member");
    let approvals = [approvals, vec![on_board(2, &two)]].concat();
    let config = Config { approvals, ..members[2].config.clone() };
    let session = Session::new(config, &members[2].keys, None).expect("sound");
    assert_eq!(session.committed(), [1, 2]);
}

// It lost its disk after it approved, and approved again before it saw the first: the ledger has the first one's commitments.
#[test]
fn nonces_that_are_not_those_on_the_board_sign_nothing() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let [first, second] = [0, 0].map(|position: usize| approved(&members[position], &mut rng));
    let other = approved(&members[1], &mut rng).0;
    let config = Config { approvals: vec![on_board(1, &first.0), on_board(2, &other)], ..members[0].config.clone() };
    let mut session = Session::new(config, &members[0].keys, Some(&second.1)).expect("sound");
    assert_eq!(session.step(facts(&[], START), &mut rng), []);
    let later = session.step(facts(&[], START + 10), &mut rng);
    assert!(matches!(later.last(), Some(Effect::Post(post)) if post.kind == Kind::Commitments), "it joins the next");
}

#[test]
fn a_member_whose_policy_refused_the_proposal_watches_and_signs_what_was_bound_when_it_is_needed() {
    for seed in 0..10 {
        let mut members = members(3, 4, seed);
        members[3].approves = false;
        let mut world = World::new(seed, START, members);
        // Of those that approved one never delivers.
        world.members[0].tamper = Some(Box::new(|post, _| if post.kind == Kind::Shares { vec![] } else { vec![post] }));
        world.run(2000);
        assert_signed(&world, 3, 4, seed);
    }
}

#[test]
fn after_the_binding_the_first_approvals_state_signs_once_and_is_gone() {
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut session = bound(&members, &[0, 1], &mut rng).swap_remove(0);
    let effects = session.step(facts(&[], START), &mut rng);
    let Some(Effect::Persist(kept)) = effects.first() else { panic!("{effects:?}") };
    // The same file, opened as an approval again: it has nothing to say any more.
    let approval = Approval::new(members[0].approval(), &members[0].keys[&1], Some(kept));
    let facts = ApprovalFacts { now: START, is_on_board: false, late: &[] };
    let said: Vec<Effect> = approval.expect("it is known").step(facts, &mut rng);
    assert_eq!(said, []);
    assert!(kept.len() < 38 + 2 * 64, "two shares, and no nonces");
}

#[test]
fn what_was_kept_for_another_proposal_is_refused() {
    let member = members(2, 3, 1).swap_remove(0);
    let (_, kept) = approved(&member, &mut StdRng::seed_from_u64(1));
    let share = &member.keys[&1];
    let other = |change: &dyn Fn(&mut ApprovalConfig)| {
        let mut config = member.approval();
        change(&mut config);
        Approval::new(config, share, Some(&kept)).err()
    };
    assert_eq!(other(&|_| ()), None);
    assert_eq!(other(&|config| config.proposal += 1 << 24), Some(SessionError::Foreign), "the same place again");
    assert_eq!(other(&|config| config.content = B256::ZERO), Some(SessionError::Foreign));
    assert_eq!(other(&|config| config.network = B256::ZERO), Some(SessionError::Foreign));
    assert!(matches!(other(&|config| config.inputs += 1), Some(SessionError::Damaged(_))));
    let session = Config { proposal: 5, ..member.config.clone() };
    assert_eq!(Session::new(session, &member.keys, Some(&kept)).err(), Some(SessionError::Foreign));
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
                (Kind::Approval, 200),
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
            if post.kind == Kind::Shares {
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
        // Persist and post of the approval, persist and post of the shares, done.
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
    let members = members(2, 3, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut session = bound(&members, &[0, 1], &mut rng).swap_remove(0);
    let watching = Facts { may_sign: false, ..facts(&[], START) };
    assert_eq!(session.step(watching, &mut rng), []);
    let effects = session.step(facts(&[], START), &mut rng);
    assert!(matches!(effects.as_slice(), [Effect::Persist(_), Effect::Post(_)]));
    // Not again with the next block, but when it is not seen for a while.
    assert_eq!(session.step(facts(&[], START + 1), &mut rng), []);
    let again = session.step(facts(&[], START + board::RESEND_AFTER_S), &mut rng);
    assert_eq!(again, effects[1..]);
}

#[test]
fn an_approval_is_said_again_word_for_word_until_it_is_seen() {
    let member = members(2, 3, 1).swap_remove(0);
    let mut rng = StdRng::seed_from_u64(1);
    let (post, kept) = approved(&member, &mut rng);
    let mut approval = Approval::new(member.approval(), &member.keys[&1], Some(&kept)).expect("its own");
    let facts = ApprovalFacts { now: START, is_on_board: false, late: &[] };
    let again: Vec<Effect> = approval.step(facts, &mut rng);
    assert_eq!(again, [Effect::Post(post.clone())]);
    let soon: Vec<Effect> = approval.step(ApprovalFacts { now: START + 1, ..facts }, &mut rng);
    let seen: Vec<Effect> = approval.step(ApprovalFacts { now: START + 100, is_on_board: true, ..facts }, &mut rng);
    assert!(soon.is_empty() && seen.is_empty());
    assert_eq!(post.to, board::Session::Proposal { proposal: 0x0100_0300, content: CONTENT });
}

#[test]
fn a_state_of_another_transaction_or_with_a_flipped_bit_is_refused() {
    let members = members(2, 3, 1);
    let member = &members[0];
    let mut rng = StdRng::seed_from_u64(1);
    let effects = bound(&members, &[0, 1], &mut rng)[0].step(facts(&[], START), &mut rng);
    let Some(Effect::Persist(stored)) = effects.first() else { panic!("{effects:?}") };
    assert!(Session::new(member.config.clone(), &member.keys, Some(stored)).is_ok());

    let mut other = member.config.clone();
    other.inputs[1].sighash = [9; 32];
    assert_eq!(Session::new(other, &member.keys, Some(stored)).err(), Some(SessionError::Foreign));
    let cut = Session::new(member.config.clone(), &member.keys, Some(&stored[..50]));
    assert!(matches!(cut, Err(SessionError::Damaged(_))));
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
    let (one, copy) = approved(&members[0], &mut rng);
    let (two, _) = approved(&members[1], &mut rng);
    let config = Config { approvals: vec![on_board(1, &one), on_board(2, &two)], ..members[0].config.clone() };
    let shares = |board: &[Event], rng: &mut StdRng| {
        let mut session = Session::new(config.clone(), &members[0].keys, Some(&copy)).expect("sound");
        let posts = session.step(facts(board, START), rng).into_iter().filter_map(|effect| match effect {
            Effect::Post(post) => Some(post),
            _ => None,
        });
        posts.collect::<Vec<_>>()
    };
    let first = shares(&[], &mut rng);
    assert_eq!(first.len(), 1);
    assert_eq!(shares(&[], &mut rng), first);
    assert_eq!(shares(&[on_board(1, &first[0])], &mut rng), []);
}

fn on_board(member: u16, post: &Post) -> Event {
    let kind = post.kind as u8;
    Event { session: post.session, member, kind, payload: post.payload.clone(), timestamp: START }
}

#[test]
fn a_session_of_another_network_has_other_posts_and_no_use_for_its_state() {
    let member = members(2, 3, 1).swap_remove(0);
    let mut rng = StdRng::seed_from_u64(1);
    let (post, stored) = approved(&member, &mut rng);
    let elsewhere = Config { network: B256::repeat_byte(0x52), ..member.config.clone() };
    let other = Member { config: elsewhere.clone(), ..member.clone() };
    assert_ne!(post.session, approved(&other, &mut rng).0.session);
    assert!(matches!(Session::new(elsewhere, &member.keys, Some(&stored)), Err(SessionError::Foreign)));
}
