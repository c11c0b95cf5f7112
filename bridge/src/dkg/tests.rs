//! Key generation over a simulated board: all members end with shares of one key, whatever order, crashes and lies.

use super::*;
use crate::board::{Blame, Post, keygen_session};
use crate::simulation::{Machine, World};
use crate::threshold::Share;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secp256k1::SECP256K1;

const START: u64 = 1_700_000_000;
const NETWORK: B256 = B256::repeat_byte(0x51);

#[derive(Clone)]
pub(crate) struct Member {
    config: Config,
    secret: SecretKey,
}

impl Machine for Dkg {
    type Config = Member;
    type Output = KeyShare;

    fn open(member: &Member, stored: Option<&[u8]>) -> Self {
        Self::new(member.config.clone(), member.secret, stored).expect("what was persisted can be read")
    }

    fn advance(&mut self, events: &[Event], now: u64, rng: &mut StdRng) -> Vec<Effect> {
        self.step(events, now, rng)
    }
}

fn members(threshold: u16, count: u16) -> Vec<Member> {
    members_of(NETWORK, threshold, count)
}

/// The same operators with the same keys on any network.
fn members_of(network: B256, threshold: u16, count: u16) -> Vec<Member> {
    let secret = |index: u16| SecretKey::from_slice(&[u8::try_from(index).expect("few members"); 32]).expect("a key");
    let encryption_keys: Vec<PublicKey> =
        (1..=count).map(|index| PublicKey::from_secret_key(SECP256K1, &secret(index))).collect();
    let config = |me| Config { network, epoch: 1, threshold, encryption_keys: encryption_keys.clone(), me };
    (1..=count).map(|me| Member { config: config(me), secret: secret(me) }).collect()
}

fn world(threshold: u16, count: u16, seed: u64) -> World<Dkg> {
    World::new(seed, START, members(threshold, count))
}

/// All have shares of the same key, of their own index, and any t of them sign.
fn assert_key(world: &World<Dkg>, threshold: usize) {
    let shares: Vec<KeyShare> = world.honest().map(|member| member.output.clone().expect("done")).collect();
    let group_key = shares[0].group_key();
    for (share, index) in shares.iter().zip(1..) {
        assert_eq!((share.group_key(), share.index(), share.epoch()), (group_key, index, 1));
        assert_eq!(share.public_share(1), shares[0].public_share(1));
        assert_eq!(KeyShare::from_bytes(&share.to_bytes()).expect("its own bytes"), *share);
    }
    assert_signs(&shares[..threshold]);
    assert_signs(&shares[shares.len() - threshold..]);
    world.assert_nobody_contradicts_itself();
}

fn assert_signs(shares: &[KeyShare]) {
    let mut rng = StdRng::seed_from_u64(9);
    let (root, message) = ([3; 32], [4; 32]);
    let keys: Vec<_> = shares.iter().map(|share| share.for_input(&root)).collect();
    let nonces: Vec<_> = keys.iter().map(|key| key.commit(&mut rng)).collect();
    let set = keys.iter().zip(&nonces).map(|(key, nonces)| (key.index(), nonces.commitment())).collect();
    let sign = |(key, nonces): (&crate::threshold::InputKey, &crate::threshold::Nonces)| {
        (key.index(), key.sign(&message, &set, nonces).expect("a share"))
    };
    let signature_shares: BTreeMap<u16, Share> = keys.iter().zip(&nonces).map(sign).collect();
    // Verified by libsecp256k1 inside.
    keys[0].aggregate(&message, &set, &signature_shares).expect("a signature");
    assert_eq!(keys[0].output_key(), crate::vault::output_key(shares[0].group_key(), &root));
}

#[test]
fn four_members_make_a_key_of_which_three_sign() {
    for seed in 0..10 {
        let mut world = world(3, 4, seed);
        world.run(200);
        assert_key(&world, 3);
    }
}

#[test]
fn fifteen_members_make_a_key_of_which_eleven_sign() {
    let mut world = world(11, 15, 1);
    world.run(300);
    assert_key(&world, 11);
}

#[test]
fn members_that_crash_at_random_end_with_one_key() {
    for seed in 0..20 {
        let mut world = world(3, 4, seed);
        for member in &mut world.members {
            member.diligence = 0.5;
            member.crash_chance = 0.2;
        }
        world.run(2000);
        assert_key(&world, 3);
    }
}

#[test]
fn a_crash_between_any_two_steps_is_survived() {
    for seed in 0..4 {
        let mut crashed = 0;
        for crash_before in 0.. {
            let mut world = world(3, 4, seed);
            world.members[0].crash_before = Some(crash_before);
            world.run(1000);
            assert_key(&world, 3);
            assert_eq!(world.members[1].machine().attempt(), 0, "no attempt is lost by a crash");
            crashed += world.members[0].crashes;
            if world.members[0].crashes == 0 {
                break;
            }
        }
        // Persist, post, persist, post, persist, done.
        assert!(crashed >= 6, "{crashed} crashes");
    }
}

#[test]
fn a_member_that_lost_its_secrets_says_so_and_the_next_attempt_makes_the_key() {
    // Before its round 2 is persisted, before it is posted: the secret of the board's round 1 is gone.
    for crash_before in [2, 3] {
        let mut world = world(3, 4, 1);
        world.members[2].crash_before = Some(crash_before);
        world.members[2].lose_disk = true;
        world.run(1000);
        let shares: Vec<_> = world.honest().map(|member| member.output.clone().expect("done").group_key()).collect();
        assert!(shares.iter().all(|key| *key == shares[0]));
        assert_eq!(world.members[0].machine().attempt(), 1);
        assert!(world.members[0].blames.iter().any(|blame| blame.member == 3 && blame.fault == Fault::LostSecrets));
    }
}

/// What each member stores and posts first, as the board shows it.
fn first_round(members: &[Member], rng: &mut StdRng) -> (Vec<Zeroizing<Vec<u8>>>, Vec<Event>) {
    let first = |member: &Member| match Dkg::open(member, None).step(&[], START, rng).as_slice() {
        [Effect::Persist(stored), Effect::Post(post)] => (stored.clone(), on_board(member.config.me, post)),
        other => panic!("{other:?}"),
    };
    members.iter().map(first).unzip()
}

fn on_board(member: u16, post: &Post) -> Event {
    Event { session: post.session, member, kind: post.kind as u8, payload: post.payload.clone(), timestamp: START }
}

#[test]
fn a_stored_secret_that_does_not_fit_the_board_ends_the_attempt_with_a_complaint() {
    let members = members(3, 4);
    let mut rng = StdRng::seed_from_u64(1);
    let (stored, mut board) = first_round(&members, &mut rng);
    let mut own = Own::from_bytes(&stored[0], &members[0].config).expect("its own state");
    own.secret.truncate(own.secret.len() / 2);
    let cut = Dkg::new(members[0].config.clone(), members[0].secret, Some(&own.to_bytes()));
    assert!(matches!(cut, Err(DkgError::Damaged(_))), "what is not a secret at all is refused when it is opened");
    // This one is of a polynomial of another degree than the commitments on the board.
    let (other, _) = frost::part1(identifier(1).expect("a member"), 4, 2, &mut rng).expect("sound");
    own.secret = other.serialize().expect("serializes");
    let effects = Dkg::open(&members[0], Some(&own.to_bytes())).step(&board, START, &mut rng);
    let [Effect::Post(complaint)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((complaint.kind, complaint.payload.as_slice()), (Kind::DkgComplaint, &[0, 1][..]));
    board.push(on_board(1, complaint));
    let mut other_member = Dkg::open(&members[1], Some(&stored[1]));
    let effects = other_member.step(&board, START, &mut rng);
    assert_eq!(other_member.attempt(), 1);
    let lost = Blame { member: 1, attempt: 0, fault: Fault::LostSecrets };
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Blame(blame) if *blame == lost)), "{effects:?}");
}

/// Who has all keystores, and all that members kept, and reads the board: it has the members' shares, but nothing opens that was
/// sealed to them, so it learns nothing of a member whose state it does not have.
#[test]
fn keystores_that_are_stolen_after_a_key_was_made_open_nothing_on_the_board() {
    let mut world = world(3, 4, 3);
    world.run(200);
    assert_key(&world, 3);
    let members = members(3, 4);
    let kept: Vec<_> = world.honest().map(|member| &member.machine().own).collect();
    assert!(kept.iter().all(|own| own.once.is_empty() && own.secret.is_empty()), "wiped with the key's making");
    let secrets: Vec<_> = members.iter().map(|member| member.secret).collect();
    let (mut tried, mut board) = (0, world.board());
    board.retain(|event| event.kind == Kind::DkgRound2 as u8);
    for event in &board {
        let others = (1..=4).filter(|other| *other != event.member);
        for (receiver, sealed) in others.zip(event.payload.chunks(SEALED_LEN)) {
            let context = seal::Context { session: event.session, sender: event.member, receiver };
            for once in &secrets {
                let keys = [secrets[usize::from(receiver) - 1], *once];
                assert!(seal::open(&keys, &context, sealed).is_err());
                tried += 1;
            }
        }
    }
    assert!(tried >= 4 * 3 * 4, "all packages, some posted twice: {tried}");
}

#[test]
fn a_wrong_package_is_complained_about_and_its_sender_named() {
    for seed in 0..5 {
        let mut world = world(3, 4, seed);
        let mut first = None;
        // What member 2 sends to member 4 in its first attempt does not open, however often it is sent.
        world.members[1].tamper = Some(Box::new(move |mut post, _| {
            if post.kind == Kind::DkgRound2 && *first.get_or_insert(post.session) == post.session {
                *post.payload.last_mut().expect("packages") ^= 1;
            }
            vec![post]
        }));
        world.run_until(1000, |member| member.machine().share().is_some());
        let keys: Vec<_> = world.honest().map(|member| member.machine().share().expect("done").group_key()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert!(
            world.members[3].blames.iter().any(|blame| blame.member == 2 && matches!(blame.fault, Fault::Package(_))),
            "seed {seed}: {:?}",
            world.members[3].blames
        );
        assert!(world.members[0].blames.contains(&Blame { member: 2, attempt: 0, fault: Fault::Accused { by: 4 } }));
    }
}

#[test]
fn what_everybody_sees_to_be_wrong_is_named_and_may_be_posted_again() {
    let mut world = world(3, 4, 1);
    world.members[0].tamper = Some(Box::new(|post, _| {
        if post.kind != Kind::DkgRound1 {
            return vec![post];
        }
        let mut wrong_proof = post.clone();
        let proof_end = wrong_proof.payload.len() - ONCE_LEN - 1;
        wrong_proof.payload[proof_end] ^= 1;
        let mut no_key = post.clone();
        no_key.payload[proof_end + 1] = 0;
        let cut = Post { payload: post.payload[..40].to_vec(), ..post.clone() };
        let longer = Post { payload: [&post.payload[..], &[0]].concat(), ..post.clone() };
        // Blocks take posts in any order, so these come before or after the right one; after it they are ignored.
        vec![wrong_proof, no_key, cut, longer, post]
    }));
    world.run(1000);
    let keys: Vec<_> = world.members.iter().map(|member| member.output.clone().expect("done").group_key()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert!(world.members.iter().flat_map(|member| &member.blames).all(|blame| blame.member == 1));
}

fn round1_event(index: u16, threshold: u16) -> (Event, frost_secp256k1_tr::keys::dkg::round1::Package) {
    let mut rng = StdRng::seed_from_u64(5);
    let (_, package) = frost::part1(identifier(index).expect("a member"), 4, threshold, &mut rng).expect("sound");
    let once = members(2, 2)[0].config.encryption_keys[0];
    let payload = [package.serialize().expect("serializes"), once.serialize().to_vec()].concat();
    let session = keygen_session(NETWORK, 1, 0);
    (Event { session, member: index, kind: Kind::DkgRound1 as u8, payload, timestamp: START }, package)
}

#[test]
fn a_package_of_another_degree_or_copied_from_another_member_is_refused() {
    let (event, package) = round1_event(1, 3);
    assert_eq!(check_round1(&event, 3).map(|round1| round1.package), Ok(package));
    assert!(matches!(check_round1(&event, 2), Err(Fault::Malformed { .. })));
    // The proof of knowledge binds the member.
    assert_eq!(check_round1(&Event { member: 2, ..event }, 3).map(|round1| round1.package), Err(Fault::Proof));
}

#[test]
fn a_state_of_another_epoch_is_refused() {
    let member = members(2, 3).swap_remove(0);
    let mut rng = StdRng::seed_from_u64(1);
    let effects = Dkg::open(&member, None).step(&[], START, &mut rng);
    let Some(Effect::Persist(stored)) = effects.first() else { panic!("{effects:?}") };
    let other = Config { epoch: 2, ..member.config.clone() };
    assert!(matches!(Dkg::new(other, member.secret, Some(stored)), Err(DkgError::Foreign { epoch: 1, .. })));
    let cut = Dkg::new(member.config, member.secret, Some(&stored[..stored.len() / 2]));
    assert!(matches!(cut, Err(DkgError::Damaged(_))));
}

#[test]
fn a_key_share_with_a_flipped_bit_is_refused() {
    let share = crate::threshold::deal(1, 2, 3, &mut StdRng::seed_from_u64(1)).swap_remove(0);
    let bytes = share.to_bytes();
    for position in 5..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[position] ^= 1;
        // Shares of others are public and are checked when they are used; all that is this member's own must fit.
        if let Ok(read) = KeyShare::from_bytes(&changed) {
            assert_eq!((read.index(), read.group_key()), (share.index(), share.group_key()), "byte {position}");
        }
    }
}

/// The same operators start a second network with the same keys, chain id and epoch, and a stranger puts all that was posted on the first
/// one on the second one's board: its key would come into force with them, while the secrets belong to nobody there.
#[test]
fn posts_of_another_network_neither_make_its_key_nor_blame_anybody() {
    for seed in 0..5 {
        let mut first = world(3, 4, seed);
        first.run(200);
        assert_key(&first, 3);
        let posted = first.board();
        assert!(
            posted.iter().filter(|event| event.kind == Kind::DkgRound2 as u8).count() >= 4,
            "a whole key generation"
        );
        let second = World::<Dkg>::new(seed + 100, START, members_of(B256::repeat_byte(0x52), 3, 4));
        let mut second = second.with_board(posted);
        second.run(200);
        assert_key(&second, 3);
        let key = |world: &World<Dkg>| {
            world.honest().next().and_then(|member| member.output.clone()).map(|share| share.group_key())
        };
        assert_ne!(key(&second), key(&first));
        assert!(second.members.iter().all(|member| member.blames.is_empty() && member.machine().attempt() == 0));
    }
}

#[test]
fn a_state_of_another_network_is_refused() {
    let member = members(2, 3).swap_remove(0);
    let effects = Dkg::open(&member, None).step(&[], START, &mut StdRng::seed_from_u64(1));
    let Some(Effect::Persist(stored)) = effects.first() else { panic!("{effects:?}") };
    let other = Config { network: B256::repeat_byte(0x52), ..member.config.clone() };
    let refused = Dkg::new(other, member.secret, Some(stored));
    assert!(matches!(refused, Err(DkgError::Foreign { network: NETWORK, .. })));
}
