//! The blocks of the sidechain that changed an account, the newest first. No node has a list of them: they are found by what the account had after
//! blocks that are further and further back.
//!
//! ```text
//!   genesis ............ 64x ............ 16x ...... 4x .. 1x  head     each stretch is looked at once, and halved as long as its ends differ
//! ```
//! That nothing is missed between two blocks after which an account had the same follows from this: its coins become less only by transactions that
//! it signs, and each of them takes a nonce. So under one nonce the balance only grows, and one that did not grow did not move. (Not so for an
//! account that lends code from a contract, EIP-7702, which others may call: [`super::transfers`] says so.)

use alloy_primitives::U256;
use eyre::{Result, ensure};

/// Blocks of the first stretch, behind the head; each other one has [`WIDER`] times as many.
const FIRST: u64 = 16;
const WIDER: u64 = 4;

/// What an account had after a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub nonce: u64,
    pub balance: U256,
}

/// A block that changed the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    pub block: u64,
    pub before: Standing,
    pub after: Standing,
}

/// Why nothing older was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is nothing older.
    Genesis,
    /// No node that was asked keeps what accounts had before.
    NotKept,
    /// So many questions were asked.
    TooMany,
}

/// A block and what the account had after it.
type Point = (u64, Standing);

/// A search from a block on, backwards.
#[derive(Debug)]
pub struct Search {
    /// Stretches that may hold changes, each from after its older end to its newer one, the newest on top.
    open: Vec<(Point, Point)>,
    /// Up to here stretches were begun.
    bottom: Point,
    width: u64,
    /// Questions that may still be asked.
    left: u32,
    end: Option<End>,
}

impl Search {
    /// From the newest block on, with so many questions at most.
    pub fn new(head: u64, now: Standing, questions: u32) -> Self {
        Self { open: Vec::new(), bottom: (head, now), width: FIRST, left: questions, end: None }
    }

    /// The next older block that changed the account. `standing` tells what it had after a block, and none where nobody knows any more.
    ///
    /// # Errors
    ///
    /// Those of `standing`, and answers that cannot be together.
    pub async fn next(
        &mut self,
        standing: &mut impl AsyncFnMut(u64) -> Result<Option<Standing>>,
    ) -> Result<Option<Changed>> {
        loop {
            let Some((older, newer)) = self.open.pop() else {
                if self.end.is_some() || !self.widen(standing).await? {
                    return Ok(None);
                }
                continue;
            };
            ensure!(
                older.1.nonce <= newer.1.nonce,
                "the node says that the account had nonce {} after block {} and {} after block {}: nonces only grow, so it is wrong",
                older.1.nonce,
                older.0,
                newer.1.nonce,
                newer.0
            );
            if older.1 == newer.1 {
                continue;
            }
            if newer.0 - older.0 == 1 {
                return Ok(Some(Changed { block: newer.0, before: older.1, after: newer.1 }));
            }
            let middle = older.0 + (newer.0 - older.0) / 2;
            match self.ask(middle, standing).await? {
                Some(found) => self.open.extend([(older, (middle, found)), ((middle, found), newer)]),
                None => {
                    self.stop_at(newer);
                    return Ok(None);
                }
            }
        }
    }

    /// All blocks behind this one were looked at, up to the one from which the search began.
    pub fn reached(&self) -> u64 {
        self.open.last().map_or(self.bottom.0, |(_, newer)| newer.0)
    }

    /// Why nothing older will be found, once that is so.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// One stretch more; whether there is one.
    async fn widen(&mut self, standing: &mut impl AsyncFnMut(u64) -> Result<Option<Standing>>) -> Result<bool> {
        let newer = self.bottom;
        if newer.0 == 0 {
            self.end = Some(End::Genesis);
            return Ok(false);
        }
        let wanted = newer.0.saturating_sub(self.width);
        self.width = self.width.saturating_mul(WIDER);
        let older = match self.ask(wanted, standing).await? {
            Some(found) => (wanted, found),
            None => self.oldest(wanted, standing).await?,
        };
        if older.0 == newer.0 {
            return Ok(false);
        }
        self.bottom = older;
        self.open.push((older, newer));
        Ok(true)
    }

    /// The oldest block whose state is still known, behind one whose state is not; that ends the search.
    async fn oldest(
        &mut self,
        mut unknown: u64,
        standing: &mut impl AsyncFnMut(u64) -> Result<Option<Standing>>,
    ) -> Result<Point> {
        let mut known = self.bottom;
        while self.end != Some(End::TooMany) && known.0 - unknown > 1 {
            let middle = unknown + (known.0 - unknown) / 2;
            match self.ask(middle, standing).await? {
                Some(found) => known = (middle, found),
                None => unknown = middle,
            }
        }
        Ok(known)
    }

    /// None, and the reason noted, when it is not known or nothing may be asked any more.
    async fn ask(
        &mut self,
        block: u64,
        standing: &mut impl AsyncFnMut(u64) -> Result<Option<Standing>>,
    ) -> Result<Option<Standing>> {
        let Some(left) = self.left.checked_sub(1) else {
            self.end = Some(End::TooMany);
            return Ok(None);
        };
        self.left = left;
        let found = standing(block).await?;
        if found.is_none() {
            self.end = Some(End::NotKept);
        }
        Ok(found)
    }

    /// Nothing older than this is looked at.
    fn stop_at(&mut self, newer: Point) {
        self.open.clear();
        self.bottom = newer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    /// What an account had after each block, from genesis on.
    type Chain = Vec<Standing>;

    /// Changes of all kinds: coins come, coins go under a new nonce, both at once, and nothing.
    fn random(rng: &mut StdRng, blocks: usize) -> Chain {
        let rare = rng.gen_range(1..40);
        let mut chain = vec![Standing { nonce: 0, balance: U256::from(1_000) }];
        for _ in 1..blocks {
            let mut next = chain[chain.len() - 1];
            if rng.gen_range(0..rare) == 0 {
                let is_sent = rng.gen_bool(0.5);
                next.nonce += u64::from(is_sent);
                let most = next.balance.to::<u64>();
                next.balance =
                    U256::from(if is_sent { rng.gen_range(0..=most + 5) } else { most + rng.gen_range(0..3) });
            }
            chain.push(next);
        }
        chain
    }

    /// Blocks found, from where on all were looked at, and why the search ended.
    fn found(chain: &Chain, oldest_kept: usize, questions: u32) -> (Vec<u64>, u64, Option<End>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let head = chain.len() - 1;
            let mut search = Search::new(head as u64, chain[head], questions);
            let mut standing = async |block: u64| {
                let block = usize::try_from(block).expect("small");
                Ok((block >= oldest_kept).then(|| chain[block]))
            };
            let mut blocks = Vec::new();
            while let Some(changed) = search.next(&mut standing).await.expect("a sound chain") {
                let block = usize::try_from(changed.block).expect("small");
                assert_eq!((changed.before, changed.after), (chain[block - 1], chain[block]));
                blocks.push(changed.block);
            }
            (blocks, search.reached(), search.end())
        })
    }

    /// The model: every block is looked at.
    fn changed(chain: &Chain, behind: u64) -> Vec<u64> {
        let blocks = (1..chain.len()).rev().filter(|block| chain[*block] != chain[block - 1]);
        blocks.map(|block| block as u64).filter(|block| *block > behind).collect()
    }

    #[test]
    fn every_block_that_changed_the_account_is_found_and_the_newest_first() {
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let blocks = rng.gen_range(1..600);
            let chain = random(rng, blocks);
            assert_eq!(found(&chain, 0, u32::MAX), (changed(&chain, 0), 0, Some(End::Genesis)), "seed {seed}");
        }
    }

    #[test]
    fn where_the_state_is_not_kept_all_behind_it_is_found_and_the_rest_is_said_to_be_unseen() {
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let chain = random(rng, 500);
            let oldest = rng.gen_range(1..500);
            let want = (changed(&chain, oldest as u64), oldest as u64, Some(End::NotKept));
            assert_eq!(found(&chain, oldest, u32::MAX), want, "seed {seed}");
        }
    }

    #[test]
    fn questions_are_bounded_and_what_was_reached_is_whole() {
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let chain = random(rng, 500);
            let questions = rng.gen_range(0..60);
            let (blocks, reached, end) = found(&chain, rng.gen_range(0..300), questions);
            assert_eq!(blocks, changed(&chain, reached), "seed {seed}");
            assert!(reached == 0 || end.is_some(), "seed {seed}: {reached} {end:?}");
        }
    }

    #[test]
    fn an_account_that_rests_costs_few_questions_however_long_the_chain_is() {
        let chain = vec![Standing::default(); 1_000_000];
        let (blocks, reached, _) = found(&chain, 0, 12);
        assert_eq!((blocks, reached), (vec![], 0));
    }

    #[test]
    fn a_nonce_that_falls_is_an_answer_that_cannot_be() {
        let chain = [3, 2, 2].map(|nonce| Standing { nonce, balance: U256::ZERO });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut search = Search::new(2, chain[2], 100);
        let mut standing = async |block: u64| Ok(chain.get(usize::try_from(block).expect("small")).copied());
        let error = runtime.block_on(search.next(&mut standing)).expect_err("it cannot be").to_string();
        assert!(error.contains("nonces only grow"), "{error}");
    }
}
