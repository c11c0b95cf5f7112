//! A simulated board for tests: members that lag, crash, lie or fall silent, one seed for all of it.
//!
//! Posts wait in a pool; each block takes some of them in random order and advances the time at random. Members read
//! blocks at their own pace and perform effects as a shell does: persist, then speak. A crash drops the effects
//! not performed yet and restarts the machine from the state persisted last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use alloy_primitives::B256;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::board::{Blame, Effect, Event, Kind, Post};

/// A machine over the board, opened from its persisted state.
pub(crate) trait Machine: Sized {
    type Config;
    type Output: Clone + PartialEq + Debug;

    fn open(config: &Self::Config, stored: Option<&[u8]>) -> Self;
    fn advance(&mut self, events: &[Event], now: u64, rng: &mut StdRng) -> Vec<Effect<Self::Output>>;
}

/// Turns a post into those that a dishonest member sends instead.
type Tamper = Box<dyn FnMut(Post, &mut StdRng) -> Vec<Post>>;

pub(crate) struct Member<M: Machine> {
    config: M::Config,
    machine: M,
    disk: Option<Vec<u8>>,
    blocks_read: usize,
    /// Whether it runs at all.
    pub alive: bool,
    /// Chance to read new blocks when asked.
    pub diligence: f64,
    /// Chance to crash before each effect.
    pub crash_chance: f64,
    /// Crash once, before the effect of this number.
    pub crash_before: Option<usize>,
    /// Lose the disk in that crash.
    pub lose_disk: bool,
    pub tamper: Option<Tamper>,
    pub effects: usize,
    pub crashes: usize,
    pub output: Option<M::Output>,
    pub blames: Vec<Blame>,
    /// Everything it ever said, before tampering.
    said: BTreeMap<(B256, Kind), BTreeSet<Vec<u8>>>,
}

pub(crate) struct World<M: Machine> {
    pub members: Vec<Member<M>>,
    blocks: Vec<(u64, Vec<Event>)>,
    pool: Vec<(u16, Post)>,
    rng: StdRng,
    seed: u64,
}

/// Prints the seed when a test fails.
impl<M: Machine> Drop for World<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: {}, after {} blocks", self.seed, self.blocks.len());
        }
    }
}

impl<M: Machine> World<M> {
    pub(crate) fn new(seed: u64, start: u64, configs: Vec<M::Config>) -> Self {
        let member = |config: M::Config| Member {
            machine: M::open(&config, None),
            config,
            disk: None,
            blocks_read: 0,
            alive: true,
            diligence: 0.8,
            crash_chance: 0.0,
            crash_before: None,
            lose_disk: false,
            tamper: None,
            effects: 0,
            crashes: 0,
            output: None,
            blames: Vec::new(),
            said: BTreeMap::new(),
        };
        let members = configs.into_iter().map(member).collect();
        Self { members, blocks: vec![(start, Vec::new())], pool: Vec::new(), rng: StdRng::seed_from_u64(seed), seed }
    }

    /// All posts so far, in board order.
    pub(crate) fn board(&self) -> Vec<Event> {
        self.blocks.iter().flat_map(|(_, events)| events.clone()).collect()
    }

    /// The same with posts on the board before anybody reads it.
    pub(crate) fn with_board(mut self, posts: Vec<Event>) -> Self {
        let (_, first) = self.blocks.first_mut().expect("a first block");
        first.extend(posts);
        self
    }

    /// Runs until all living members that do not lie have their result; gives up after `blocks`.
    pub(crate) fn run(&mut self, blocks: usize) {
        self.run_until(blocks, |member| member.output.is_some());
    }

    /// Runs until all living members that do not lie are `done`; gives up after `blocks`.
    pub(crate) fn run_until(&mut self, blocks: usize, done: impl Fn(&Member<M>) -> bool) {
        for _ in 0..blocks {
            self.block();
            for position in 0..self.members.len() {
                self.turn(position);
            }
            if self.honest().all(&done) {
                return;
            }
        }
        panic!("not done after {blocks} blocks");
    }

    pub(crate) fn honest(&self) -> impl Iterator<Item = &Member<M>> {
        self.members.iter().filter(|member| member.alive && member.tamper.is_none())
    }

    /// The next block: some posts of the pool in any order, some time later.
    fn block(&mut self) {
        self.pool.shuffle(&mut self.rng);
        let taken = self.rng.gen_range(0..=self.pool.len());
        let timestamp = self.blocks.last().expect("a first block").0 + self.rng.gen_range(0..=2);
        let event = |(member, post): (u16, Post)| Event {
            session: post.session,
            member,
            kind: post.kind as u8,
            payload: post.payload,
            timestamp,
        };
        let events = self.pool.drain(..taken).map(event).collect();
        self.blocks.push((timestamp, events));
    }

    fn turn(&mut self, position: usize) {
        let index = u16::try_from(position + 1).expect("few members");
        let member = &mut self.members[position];
        if !member.alive || !self.rng.gen_bool(member.diligence) {
            return;
        }
        // A machine that was just opened reads the board to its end, others to anywhere.
        let end = if member.blocks_read == 0 {
            self.blocks.len()
        } else {
            self.rng.gen_range(member.blocks_read..=self.blocks.len())
        };
        if end == 0 {
            return;
        }
        let events: Vec<Event> =
            self.blocks[member.blocks_read..end].iter().flat_map(|(_, events)| events.clone()).collect();
        member.blocks_read = end;
        let effects = member.machine.advance(&events, self.blocks[end - 1].0, &mut self.rng);
        for effect in effects {
            // A line in the log: history repeats them after every crash, so they must not crash it again.
            if let Effect::Blame(blame) = effect {
                member.blames.push(blame);
                continue;
            }
            let planned = member.crash_before == Some(member.effects);
            if planned || (member.crash_chance > 0.0 && self.rng.gen_bool(member.crash_chance)) {
                member.crash(planned);
                return;
            }
            member.effects += 1;
            match effect {
                Effect::Persist(bytes) => member.disk = Some(bytes.to_vec()),
                Effect::Blame(_) => unreachable!("handled above"),
                Effect::Done(output) => member.output = Some(output),
                Effect::Post(post) => {
                    member.said.entry((post.session, post.kind)).or_default().insert(post.payload.clone());
                    let posts = match &mut member.tamper {
                        Some(tamper) => tamper(post, &mut self.rng),
                        None => vec![post],
                    };
                    self.pool.extend(posts.into_iter().map(|post| (index, post)));
                }
            }
        }
    }

    /// The safety of every run: no member ever said two different things in one session, nor the same commitments in
    /// two (a nonce used twice would show as either).
    pub(crate) fn assert_nobody_contradicts_itself(&self) {
        for (position, member) in self.members.iter().enumerate() {
            let mut commitments = BTreeSet::new();
            for ((session, kind), said) in &member.said {
                assert_eq!(
                    said.len(),
                    1,
                    "member {} said different things of kind {kind:?} in session {session}",
                    position + 1
                );
                if matches!(kind, Kind::Approval | Kind::Commitments) {
                    let fresh = commitments.insert(said.first().expect("one").clone());
                    assert!(fresh, "member {} used its nonces in two attempts", position + 1);
                }
            }
        }
    }
}

impl<M: Machine> Member<M> {
    fn crash(&mut self, planned: bool) {
        self.crashes += 1;
        if planned {
            self.crash_before = None;
            if self.lose_disk {
                self.disk = None;
            }
        }
        self.blocks_read = 0;
        self.machine = M::open(&self.config, self.disk.as_deref());
    }

    pub(crate) fn machine(&self) -> &M {
        &self.machine
    }
}
