//! The way back to the head of a validator that has hundreds of blocks to execute, each of which a quorum accepted, on a machine on
//! which that takes longer than a round. The chain is real, and so is the time.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use commonware_consensus::{
    Application as _,
    marshal::ancestry::{Ancestry, from_iter},
    simplex::types::Context as Round,
    types::{Epoch, Round as Number, View},
};
use commonware_cryptography::{Digested, Digestible as _, ed25519::PublicKey, keccak256::Digest};
use commonware_runtime::{
    Clock as _, Handle, Runner as _, Spawner as _, Supervisor as _,
    tokio::{Context as Runtime, Runner},
};
use futures::{
    Stream,
    future::{Either, select},
};

use super::{
    chain::{Real, START},
    network::peer,
};
use crate::{
    block::Block,
    io::{
        consensus::{
            Application as _, Pacing,
            adapter::Adapter,
            application::CHECK_LIMIT,
            catch_up::{CatchUp, Judgement},
            payload::Payload,
        },
        keys::ValidatorKeys,
    },
    testing::Key,
};

const PACING: Pacing = Pacing { interval: Duration::from_millis(100), heartbeat: Duration::from_millis(300) };

/// Too short for what is to do here.
const ROUND: Duration = Duration::from_millis(150);

/// More than any number of blocks that a round suffices for.
const HUNDREDS: u64 = 300;

/// Much more memory than anything here takes.
const ROOMY: usize = 1 << 30;

/// The ancestors of a block, newest first, each after a pause: they come from a busy disk, or from a peer.
struct Slowly {
    blocks: Arc<Vec<Digested<Payload>>>,
    left: usize,
    pause: Duration,
    pausing: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Clone for Slowly {
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone(), left: self.left, pause: self.pause, pausing: None }
    }
}

impl Stream for Slowly {
    type Item = Digested<Payload>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = self.pause;
        ready!(self.pausing.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause))).as_mut().poll(cx));
        self.pausing = None;
        self.left -= 1;
        Poll::Ready(Some(self.blocks[self.left].clone()))
    }
}

impl Ancestry<Payload> for Slowly {
    fn peek(&self) -> Option<&Digested<Payload>> {
        None
    }
}

/// The blocks that the others made meanwhile: as many of them hold transactions as may before more is final.
fn chain_of(length: u64) -> Vec<Digested<Payload>> {
    let proposer = Real::slow(|_| Duration::ZERO);
    let mut parent = proposer.genesis().hash();
    let blocks = (1..=length).map(|number| {
        let block = proposer.grow(&Key::new(1), number, parent);
        parent = block.hash();
        sealed(block)
    });
    blocks.collect()
}

fn sealed(block: Block) -> Digested<Payload> {
    let payload = Payload::new(block);
    let digest = payload.digest();
    Digested::precomputed(payload, digest)
}

/// The last of the blocks asks for a vote.
fn ancestry(blocks: &[Digested<Payload>], pause: Duration) -> Slowly {
    Slowly { blocks: Arc::new(blocks.to_vec()), left: blocks.len(), pause, pausing: None }
}

/// A validator with the parts of its engine that judge blocks.
struct Validator {
    runtime: Runtime,
    application: Arc<Real>,
    final_tip: Arc<AtomicU64>,
    adapter: Adapter<Real>,
    catch_up: CatchUp<Real>,
    background: Handle<()>,
}

impl Validator {
    fn new(runtime: Runtime, takes: fn(u64) -> Duration, patience: Duration, max_bytes: usize) -> Self {
        let (application, final_tip) = (Real::slow(takes), Arc::<AtomicU64>::default());
        let catch_up = CatchUp::new(application.clone(), final_tip.clone(), patience).within(max_bytes);
        let running = catch_up.clone();
        let background = runtime.child("catch_up").spawn(move |runtime| running.run(runtime));
        let adapter = Adapter::new(application.clone(), PACING, Address::ZERO, final_tip.clone(), catch_up.clone());
        Self { runtime, application, final_tip, adapter, catch_up, background }
    }

    /// The vote that a round gets, if it gets one in time. As in the engine, the question ends with the round.
    async fn vote(&mut self, ancestry: impl Ancestry<Payload>, round: Duration) -> Option<bool> {
        let (runtime, ends) = (self.runtime.child("round"), pin!(self.runtime.sleep(round)));
        match select(pin!(self.adapter.verify((runtime, context()), ancestry)), ends).await {
            Either::Left((vote, _)) => Some(vote),
            Either::Right(_) => None,
        }
    }

    /// Rounds until one gets a vote.
    async fn rounds_until_vote(&mut self, ancestry: &Slowly) -> u64 {
        for round in 1..=400 {
            match self.vote(ancestry.clone(), ROUND).await {
                Some(vote) => {
                    assert!(vote, "all blocks are valid");
                    return round;
                }
                None => continue,
            }
        }
        panic!("no vote in hundreds of rounds; block {} is reached", self.application.highest.load(Ordering::Relaxed));
    }

    async fn wait_for(&self, what: &str, done: impl Fn(&Real) -> bool) {
        let started = Instant::now();
        while !done(&self.application) {
            assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            self.runtime.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What the engine tells of a round besides the block.
fn context() -> Round<Digest, PublicKey> {
    let key = ValidatorKeys::generate().public().p2p_key;
    Round {
        round: Number::new(Epoch::zero(), View::new(2)),
        leader: peer(&key),
        parent: (View::new(1), Digest([0; 32])),
    }
}

// final 0 - 1 - 2 - ... - 299 - 300       restarted at 0; 300 asks for a vote again and again
#[test]
fn a_validator_arrives_at_the_head_although_no_round_is_long_enough_for_the_way() {
    let blocks = chain_of(HUNDREDS);
    assert!(blocks[..60].iter().all(|block| block.inner().block().transactions.len() == 10));
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::from_millis(2), Duration::from_secs(60), ROOMY);
        let started = Instant::now();
        let rounds = validator.rounds_until_vote(&ancestry(&blocks, Duration::from_millis(1))).await;
        println!("{HUNDREDS} blocks in {rounds} rounds of {ROUND:?}, {:?}", started.elapsed());
        assert!(rounds > 3, "a round is too short for it: {rounds}");
        assert_eq!(validator.application.highest.load(Ordering::Relaxed), HUNDREDS);
    });
}

#[test]
fn a_block_that_a_quorum_accepted_is_executed_however_long_it_takes() {
    let blocks = chain_of(3);
    Runner::default().start(|runtime| async move {
        let takes = |number| if number == 2 { CHECK_LIMIT + ROUND } else { Duration::ZERO };
        let mut validator = Validator::new(runtime, takes, Duration::from_secs(60), ROOMY);
        let rounds = validator.rounds_until_vote(&ancestry(&blocks, Duration::ZERO)).await;
        assert!(rounds > 3, "{rounds}");
    });
}

#[test]
fn a_proposal_that_takes_longer_than_the_limit_gets_no_vote() {
    let blocks = chain_of(1);
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::from_secs(600), Duration::from_secs(60), ROOMY);
        let vote = validator.vote(ancestry(&blocks, Duration::ZERO), CHECK_LIMIT + Duration::from_secs(1)).await;
        assert_eq!(vote, None, "it cannot tell");
        validator.wait_for("the execution ended", |real| real.checking.load(Ordering::SeqCst) == 0).await;
    });
}

#[test]
fn a_way_that_does_not_fit_into_memory_is_gone_in_parts() {
    let blocks = chain_of(HUNDREDS);
    Runner::default().start(|runtime| async move {
        // A few dozen of the small ones.
        let mut validator = Validator::new(runtime, |_| Duration::ZERO, Duration::from_secs(60), 100_000);
        let rounds = validator.rounds_until_vote(&ancestry(&blocks, Duration::ZERO)).await;
        println!("{rounds} rounds");
        assert_eq!(validator.application.highest.load(Ordering::Relaxed), HUNDREDS);
    });
}

#[test]
fn the_way_ends_with_the_engine() {
    let blocks = chain_of(2);
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::from_secs(600), Duration::from_secs(60), ROOMY);
        assert_eq!(validator.vote(ancestry(&blocks, Duration::ZERO), ROUND).await, None);
        validator.wait_for("it computes", |real| real.checking.load(Ordering::SeqCst) == 1).await;
        validator.background.abort();
        validator.wait_for("it has ended", |real| real.checking.load(Ordering::SeqCst) == 0).await;
    });
}

// 1b is nowhere to be found; what stands on it asks first.
#[test]
fn an_ancestor_that_nobody_has_keeps_nobody_else_waiting_for_long() {
    let blocks = chain_of(3);
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::ZERO, Duration::from_millis(50), ROOMY);
        let hangs = ancestry(&blocks, Duration::from_secs(600));
        let judgement = validator.catch_up.reach(blocks[1].inner(), hangs).await;
        assert_eq!(judgement, Judgement::Unknown);
        assert_eq!(validator.vote(ancestry(&blocks, Duration::ZERO), Duration::from_secs(60)).await, Some(true));
    });
}

#[test]
fn a_chain_that_conflicts_with_what_is_final_is_refused_and_not_executed() {
    let blocks = chain_of(3);
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::ZERO, Duration::from_secs(60), ROOMY);
        let other = validator.application.grow(&Key::new(2), 1, validator.application.genesis().hash());
        validator.application.commit(&other, None, START * 1000).expect("it is the next");
        assert_eq!(validator.vote(ancestry(&blocks, Duration::ZERO), Duration::from_secs(60)).await, Some(false));
        assert_eq!(validator.application.highest.load(Ordering::Relaxed), 0);
    });
}

// written 0, final 0 - 1 - 2, the engine delivers them
#[test]
fn what_is_final_is_waited_for_and_not_executed_twice() {
    let blocks = chain_of(4);
    Runner::default().start(|runtime| async move {
        let mut validator = Validator::new(runtime, |_| Duration::ZERO, Duration::from_secs(60), ROOMY);
        validator.final_tip.store(2, Ordering::Relaxed);
        assert_eq!(validator.vote(ancestry(&blocks, Duration::ZERO), ROUND).await, None);
        assert_eq!(validator.application.highest.load(Ordering::Relaxed), 0, "nothing was executed");
        for block in &blocks[..2] {
            validator.application.commit(block.inner().block(), None, START * 1000).expect("it is the next");
        }
        assert_eq!(validator.vote(ancestry(&blocks, Duration::ZERO), Duration::from_secs(60)).await, Some(true));
    });
}

// The others write and make final as they go; the disk of this validator stands still.
#[test]
fn a_voter_whose_disk_stands_still_refuses_nothing_and_votes_again_when_it_follows() {
    Runner::default().start(|runtime| async move {
        let proposer = Real::slow(|_| Duration::ZERO);
        let mut validator = Validator::new(runtime, |_| Duration::ZERO, Duration::from_secs(60), ROOMY);
        let (mut parent, mut blocks): (B256, Vec<Digested<Payload>>) = (proposer.genesis().hash(), Vec::new());
        for number in 1..=193 {
            let block = proposer.grow(&Key::new(1), number, parent);
            assert!(!block.transactions.is_empty());
            parent = block.hash();
            proposer.commit(&block, None, START * 1000).expect("it is the next");
            blocks.push(sealed(block));
            validator.final_tip.store(number - 1, Ordering::Relaxed);
            let last = blocks[blocks.len().saturating_sub(2)..].iter().rev().cloned();
            let last: Vec<_> = last.chain((number == 1).then(|| sealed(proposer.genesis()))).collect();
            let round = if number == 193 { ROUND } else { Duration::from_secs(60) };
            let vote = validator.vote(from_iter(last), round).await;
            assert_eq!(vote, (number < 193).then_some(true), "block {number}");
        }
        validator.application.commit(blocks[0].inner().block(), None, START * 1000).expect("it is the next");
        let last = blocks[191..].iter().rev().cloned();
        assert_eq!(validator.vote(from_iter(last), Duration::from_secs(60)).await, Some(true));
    });
}
