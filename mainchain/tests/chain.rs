//! The header tree: reorganisations, ties, the window, and a comparison with a naive model on random trees.

mod mined;

use std::collections::HashMap;

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, CompactTarget, Work};
use mainchain::chain::{Block, Checkpoint};
use mainchain::header::{Tip, from_bytes, retarget};
use mainchain::params::PERIOD;
use mainchain::{Changes, HeaderChain, HeaderError, Network, Params};
use mined::{EASY, NOW, REAL_HEADERS, hash, mine};
use proptest::prelude::*;

const REGTEST: u32 = 0x207f_ffff;

fn child(parent: &Header, salt: u64) -> Header {
    mine(hash(parent), parent.time + 600, CompactTarget::from_consensus(REGTEST), salt)
}

/// `length` headers on top of `parent`.
fn branch(parent: &Header, length: usize, salt: u64) -> Vec<Header> {
    let mut headers = vec![child(parent, salt)];
    while headers.len() < length {
        let next = child(&headers[headers.len() - 1], salt);
        headers.push(next);
    }
    headers
}

fn hashes(blocks: &[Block]) -> Vec<BlockHash> {
    blocks.iter().map(|block| block.hash).collect()
}

fn regtest() -> (HeaderChain, Header) {
    (HeaderChain::from_genesis(Network::Regtest), Network::Regtest.genesis())
}

// best   0 - 1 - 2a - 3a
// rival        \ 2b - 3b - 4b
#[test]
fn a_reorganisation_is_one_value() {
    let (mut chain, genesis) = regtest();
    let one = child(&genesis, 0);
    let (a, b) = (branch(&one, 2, 1), branch(&one, 3, 2));
    let grown = chain.apply(&[&[one], a.as_slice()].concat(), NOW).expect("valid");
    assert_eq!(grown.connected.iter().map(|block| block.height).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(grown.fork_height(), None);

    let tie = chain.apply(&b[..2], NOW).expect("valid");
    assert_eq!((tie.added, tie.connected.len()), (2, 0), "of equal work the first seen stays");
    assert_eq!(chain.confirmations(&hash(&b[0])), 0);

    let reorganised = chain.apply(&b, NOW).expect("valid");
    assert_eq!(reorganised.added, 1);
    assert_eq!(hashes(&reorganised.disconnected), [hash(&a[1]), hash(&a[0])]);
    assert_eq!(hashes(&reorganised.connected), b.iter().map(hash).collect::<Vec<_>>());
    assert_eq!(reorganised.fork_height(), Some(1));
    assert_eq!((chain.height(), chain.tip().hash()), (4, hash(&b[2])));
    assert_eq!((chain.confirmations(&hash(&one)), chain.confirmations(&hash(&a[0]))), (4, 0));
    assert_eq!(chain.hash_at(3), Some(hash(&b[1])));
    assert_eq!(chain.hash_at(5), None);
    assert!(chain.apply(&b, NOW).expect("known").is_empty());
}

#[test]
fn nothing_changes_on_an_error() {
    let (mut chain, genesis) = regtest();
    let mut headers = branch(&genesis, 5, 0);
    headers[3].time = 0;
    let before = chain.clone();
    assert!(chain.apply(&headers, NOW).is_err());
    assert_eq!((chain.tip(), chain.len()), (before.tip(), before.len()));
    assert!(chain.apply(&headers[..3], NOW).is_ok());
}

/// Blocks come faster than clocks agree: what is valid is not held back by what comes too early.
#[test]
fn a_batch_whose_last_header_is_from_the_future_is_taken_up_to_it() {
    let (mut chain, genesis) = regtest();
    let headers = branch(&genesis, 14, 0);
    let now = headers[11].time - 7200;
    let taken = chain.apply(&headers, now).expect("twelve of them are in time");
    assert_eq!((taken.added, taken.too_new, chain.height()), (12, 2, 12));
    // Alone it is refused, behind known ones too.
    assert!(matches!(chain.apply(&headers, now), Err(HeaderError::TooNew { height: 13, .. })));
    assert_eq!(chain.apply(&headers, now + 1200).expect("in time by now").added, 2);
}

// 0 - a1 - ... - a2016 (target changes) - ... - a2100
//   \ b1 - ... - b2016 (to another one) - ... - b2101
#[test]
fn a_reorganisation_of_2100_blocks_is_followed_in_batches() {
    let header = mine(BlockHash::all_zeros(), 1_600_000_000, CompactTarget::from_consensus(REGTEST), 0);
    let start = Checkpoint { header, height: 0, work: header.work(), epoch_time: header.time };
    let mut chain = HeaderChain::from_checkpoint(EASY, &start).expect("a start");
    let grow = |spacing: u32, length: usize| {
        let mut ahead = HeaderChain::from_checkpoint(EASY, &start).expect("a start");
        let next = |_| {
            let tip = *ahead.tip();
            let bits = tip.next_bits(&EASY, tip.time() + spacing).expect("the period's time is known");
            let header = mine(tip.hash(), tip.time() + spacing, bits, 0);
            ahead.apply(&[header], NOW).expect("valid");
            header
        };
        (0..length).map(next).collect::<Vec<_>>()
    };
    let (a, b) = (grow(580, 2100), grow(579, 2101));
    for batch in a.chunks(100) {
        chain.apply(batch, NOW).expect("valid");
    }
    let mut left = 0;
    for batch in b.chunks(100) {
        left += chain.apply(batch, NOW).expect("valid").disconnected.len();
    }
    assert_eq!((left, chain.height(), chain.tip().hash()), (2100, 2101, hash(&b[2100])));
    assert_eq!((chain.confirmations(&hash(&a[0])), chain.confirmations(&hash(&b[0]))), (0, 2101));
}

// hard 0 - easy 1 - easy 2 - easy 3 - hard 4
#[test]
fn blocks_of_minimum_difficulty_are_no_confirmations_in_work() {
    let params = Params { min_difficulty: true, bip94: true, ..EASY };
    let hard = CompactTarget::from_consensus(0x1f7f_ffff);
    let header = mine(BlockHash::all_zeros(), 1_600_000_000, hard, 0);
    let start = Checkpoint { header, height: 100, work: header.work(), epoch_time: header.time };
    let mut chain = HeaderChain::from_checkpoint(params, &start).expect("a start");
    let mut headers = vec![header];
    for (seconds, bits) in [(1201, CompactTarget::from_consensus(REGTEST)); 3].into_iter().chain([(600, hard)]) {
        let last = headers[headers.len() - 1];
        headers.push(mine(hash(&last), last.time + seconds, bits, 0));
    }
    chain.apply(&headers[1..4], NOW).expect("valid");
    let in_work = |chain: &HeaderChain| {
        headers.iter().map(|header| chain.confirmations_in_work(&hash(header))).collect::<Vec<_>>()
    };
    assert_eq!(in_work(&chain), [1, 0, 0, 0, 0]);
    chain.apply(&headers[4..], NOW).expect("valid");
    assert_eq!(in_work(&chain), [2, 1, 1, 1, 1]);
}

#[test]
fn headers_come_after_the_first_one_known() {
    let (mut chain, genesis) = regtest();
    let headers = branch(&genesis, 10, 0);
    chain.apply(&headers, NOW).expect("valid");
    let unknown = BlockHash::all_zeros();
    assert_eq!(chain.after(&[unknown, hash(&headers[3]), hash(&headers[1])], 4), headers[4..8]);
    assert_eq!(chain.after(&[hash(&headers[9])], 4), []);
    assert_eq!(chain.after(&[unknown], 4), []);
}

// window 3   0 - 1 - 2 - 3 - 4 - 5 - 6
//                \ 2b      \ 5b... is kept while 4 is, and goes when 5 is the base
#[test]
fn old_headers_are_forgotten_with_the_forks_that_hang_on_them() {
    let (chain, genesis) = regtest();
    let mut chain = chain.with_window(3);
    let best = branch(&genesis, 4, 0);
    chain.apply(&best, NOW).expect("valid");
    assert_eq!((chain.base(), chain.len()), (1, 4));
    let old_fork = branch(&best[0], 2, 1);
    chain.apply(&old_fork, NOW).expect("forks off inside the window");
    assert_eq!(chain.len(), 6);

    let more = branch(&best[3], 2, 0);
    chain.apply(&more[..1], NOW).expect("valid");
    assert_eq!((chain.base(), chain.len()), (2, 4), "the fork lost its root at height 1");
    let orphan = branch(&old_fork[1], 1, 1);
    assert!(matches!(chain.apply(&orphan, NOW), Err(HeaderError::Unconnected { .. })));
    assert_eq!(chain.hash_at(1), None);
    assert_eq!(chain.confirmations(&hash(&best[0])), 0);

    chain.apply(&more, NOW).expect("valid");
    assert_eq!((chain.base(), chain.height(), chain.len()), (3, 6, 4));
}

#[test]
fn memory_is_bounded_by_the_window() {
    let (chain, genesis) = regtest();
    let mut chain = chain.with_window(50);
    for headers in branch(&genesis, 1000, 0).chunks(70) {
        chain.apply(headers, NOW).expect("valid");
    }
    assert_eq!((chain.height(), chain.base(), chain.len()), (1000, 950, 51));
}

#[test]
fn a_checkpoint_reads_back_from_its_json() {
    let checkpoint = Checkpoint::genesis(Network::Regtest);
    let json = serde_json::to_string(&checkpoint).expect("JSON");
    assert_eq!(
        json,
        concat!(
            r#"{"header":"0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"#,
            r#"67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000","height":0,"#,
            r#""work":"0x2","epochTime":1296688602}"#
        )
    );
    assert_eq!(serde_json::from_str::<Checkpoint>(&json).expect("own JSON"), checkpoint);
    assert!(serde_json::from_str::<Checkpoint>(&json.replace("height", "hight")).is_err());
    let decimal = serde_json::from_str::<Checkpoint>(&json.replace("0x2", "2")).expect_err("it could be decimal");
    assert!(decimal.to_string().contains("begins with 0x"), "{decimal}");
    assert!(HeaderChain::from_checkpoint(Network::Regtest.params(), &checkpoint).is_ok());
}

#[test]
fn real_headers_make_one_chain() {
    let headers: Vec<Header> =
        REAL_HEADERS.chunks_exact(80).map(|bytes| from_bytes(bytes.try_into().expect("80 bytes"))).collect();
    let checkpoint =
        Checkpoint { header: headers[0], height: 40_320, work: headers[0].work(), epoch_time: headers[0].time };
    let mut chain = HeaderChain::from_checkpoint(Network::Mainnet.params(), &checkpoint).expect("a real header");
    for part in headers.chunks(2000) {
        chain.apply(part, NOW).expect("real headers");
    }
    assert_eq!(chain.height(), 49_999);
    assert_eq!(chain.tip().hash().to_string(), "000000000845517b31c6820d83f25cff46429bf136a7515fe504116427e60f8e");
}

/// What the headers of one random tree are made from: which parent, how much later, and how it is spoilt.
#[derive(Clone, Debug)]
struct Step {
    /// How many headers back the parent is in the order of making.
    back: usize,
    seconds: i64,
    spoil: Spoil,
    /// Ends a batch for `apply`.
    last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoil {
    No,
    Bits,
    Work,
    Parent,
    Future,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spoil = prop_oneof![
        40 => Just(Spoil::No), 1 => Just(Spoil::Bits), 1 => Just(Spoil::Work), 1 => Just(Spoil::Parent), 1 => Just(Spoil::Future),
    ];
    let back = prop_oneof![6 => Just(0usize), 3 => 0usize..4, 1 => 0usize..40];
    let seconds = prop_oneof![4 => 1i64..1200, 1 => 1201i64..4000, 1 => -2000i64..0];
    let step = (back, seconds, spoil, prop::bool::weighted(0.3));
    prop::collection::vec(step.prop_map(|(back, seconds, spoil, last)| Step { back, seconds, spoil, last }), 1..60)
}

/// All headers ever accepted, in order, each asked about by walking back to the start.
struct Model {
    params: Params,
    start: Checkpoint,
    headers: Vec<Header>,
    index: HashMap<BlockHash, usize>,
    now: u32,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Bad(&'static str),
    Known,
    New,
}

impl Model {
    fn new(params: Params, start: Checkpoint, now: u32) -> Self {
        let index = HashMap::from([(hash(&start.header), 0)]);
        Self { params, headers: vec![start.header], start, index, now }
    }

    /// From a header back to the start.
    fn ancestors(&self, tip: &BlockHash) -> Vec<Header> {
        let mut chain = Vec::new();
        let mut next = self.index.get(tip);
        while let Some(&at) = next {
            chain.push(self.headers[at]);
            next = self.index.get(&self.headers[at].prev_blockhash);
        }
        chain
    }

    fn height(&self, tip: &BlockHash) -> u32 {
        self.start.height + self.ancestors(tip).len() as u32 - 1
    }

    fn work(&self, tip: &BlockHash) -> Work {
        let chain = self.ancestors(tip);
        let above = chain[..chain.len() - 1].iter().map(Header::work);
        above.fold(self.start.work, |sum, work| sum + work)
    }

    /// `GetNextWorkRequired` as Bitcoin Core writes it.
    fn wanted_bits(&self, parent: &BlockHash, time: u32) -> CompactTarget {
        let (chain, height) = (self.ancestors(parent), self.height(parent));
        let (params, last) = (&self.params, chain[0]);
        if (height + 1) % PERIOD != 0 {
            if !params.min_difficulty {
                return last.bits;
            }
            if i64::from(time) > i64::from(last.time) + 1200 {
                return params.pow_limit();
            }
            let mut at = 0;
            while at + 1 < chain.len()
                && !(height - at as u32).is_multiple_of(PERIOD)
                && chain[at].bits == params.pow_limit()
            {
                at += 1;
            }
            return chain[at].bits;
        }
        if params.no_retarget {
            return last.bits;
        }
        let first = chain.get(PERIOD as usize - 1);
        let first_time = first.map_or(self.start.epoch_time, |first| first.time);
        // The start has its period's bits: the tree never starts at a header of minimum difficulty.
        let first_bits = first.map_or(self.start.header.bits, |first| first.bits);
        let bits = if params.bip94 { first_bits } else { last.bits };
        retarget(bits, i64::from(last.time) - i64::from(first_time), params)
    }

    fn median(&self, parent: &BlockHash) -> u32 {
        let mut times: Vec<u32> = self.ancestors(parent).iter().take(11).map(|header| header.time).collect();
        let there = 11.min(self.height(parent) as usize + 1);
        times.resize(there, 0);
        times.sort_unstable();
        times[there / 2]
    }

    fn add(&mut self, header: &Header) -> Verdict {
        if self.index.contains_key(&hash(header)) {
            return Verdict::Known;
        }
        let parent = header.prev_blockhash;
        let Some(&at) = self.index.get(&parent) else {
            return Verdict::Bad("unconnected");
        };
        let (previous, height) = (self.headers[at].time, self.height(&parent) + 1);
        let checks = [
            ("target", header.bits == self.wanted_bits(&parent, header.time)),
            ("work", header.target().is_met_by(hash(header))),
            ("old", header.time > self.median(&parent)),
            ("timewarp", !self.params.bip94 || height % PERIOD != 0 || header.time + 600 >= previous),
            ("new", u64::from(header.time) <= u64::from(self.now) + 7200),
        ];
        if let Some((rule, _)) = checks.into_iter().find(|(_, kept)| !kept) {
            return Verdict::Bad(rule);
        }
        self.index.insert(hash(header), self.headers.len());
        self.headers.push(*header);
        Verdict::New
    }

    fn best(&self) -> BlockHash {
        let mut best = hash(&self.headers[0]);
        for header in &self.headers {
            if self.work(&hash(header)) > self.work(&best) {
                best = hash(header);
            }
        }
        best
    }

    /// All of the headers or none, but for those from the first on that is too new behind others.
    fn apply(&mut self, headers: &[Header]) -> Result<Changes, &'static str> {
        let (old, before) = (self.best(), self.headers.len());
        let mut too_new = 0;
        for (index, header) in headers.iter().enumerate() {
            if let Verdict::Bad(rule) = self.add(header) {
                if rule == "new" && self.headers.len() > before {
                    too_new = headers.len() - index;
                    break;
                }
                for gone in self.headers.split_off(before) {
                    self.index.remove(&hash(&gone));
                }
                return Err(rule);
            }
        }
        let (old, new) = (self.ancestors(&old), self.ancestors(&self.best()));
        let blocks = |chain: &[Header], other: &[Header]| -> Vec<Block> {
            let only = chain.iter().filter(|header| !other.contains(header));
            only.map(|header| Block { height: self.height(&hash(header)), hash: hash(header), header: *header })
                .collect()
        };
        let (disconnected, mut connected) = (blocks(&old, &new), blocks(&new, &old));
        connected.reverse();
        Ok(Changes { added: self.headers.len() - before, disconnected, connected, too_new })
    }
}

fn number(work: Work) -> u128 {
    u128::from_be_bytes(work.to_be_bytes()[16..].try_into().expect("the low half"))
}

fn rule(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::Unconnected { .. } => "unconnected",
        HeaderError::BadTarget { .. } => "target",
        HeaderError::BadWork { .. } => "work",
        HeaderError::TooOld { .. } => "old",
        HeaderError::Timewarp { .. } => "timewarp",
        HeaderError::TooNew { .. } => "new",
        other => panic!("a random tree cannot break this: {other}"),
    }
}

fn compare(params: Params, start: Checkpoint, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let now = start.header.time + 100_000;
    let mut chain = HeaderChain::from_checkpoint(params.clone(), &start).expect("a test's own start");
    let mut model = Model::new(params.clone(), start, now);
    let mut made = vec![*chain.tip()];
    let mut batch = Vec::new();
    let last = steps.len() - 1;
    for (salt, step) in steps.into_iter().enumerate() {
        let parent = made[made.len() - 1 - step.back.min(made.len() - 1)];
        let time = match step.spoil {
            Spoil::Future => now + 7201,
            _ => u32::try_from(i64::from(parent.time()) + step.seconds).expect("times stay near the start"),
        };
        let (previous, bits) = match step.spoil {
            Spoil::Parent => (BlockHash::all_zeros(), CompactTarget::from_consensus(REGTEST)),
            Spoil::Bits => (parent.hash(), CompactTarget::from_consensus(0x2012_3456)),
            _ => (parent.hash(), parent.next_bits(&params, time).expect("the start's period is known")),
        };
        let mut header = mine(previous, time, bits, salt as u64);
        while step.spoil == Spoil::Work && header.target().is_met_by(hash(&header)) {
            header.nonce += 1;
        }
        if let Ok(tip) = parent.next(&params, &header, hash(&header), now) {
            made.push(tip);
        }
        batch.push(header);
        if step.last || salt == last {
            let got = chain.apply(&batch, now);
            let want = model.apply(&batch);
            prop_assert_eq!(got.as_ref().map_err(rule), want.as_ref().map_err(|rule| *rule));
            // What follows on what was refused or left out would be unconnected: go on from what both know.
            made.retain(|tip: &Tip| chain.tip_at(&tip.hash()).is_some());
            batch.clear();
        }
        prop_assert_eq!(chain.tip().hash(), model.best());
        prop_assert_eq!(chain.tip().work(), model.work(&model.best()));
        prop_assert_eq!(chain.len(), model.headers.len());
    }
    let best = model.ancestors(&model.best());
    let mut on_top = 0;
    for (confirmations, header) in (1..).zip(&best) {
        prop_assert_eq!(chain.confirmations(&hash(header)), confirmations);
        on_top += number(header.work());
        let first = model.height(&hash(header)) / PERIOD * PERIOD;
        let first = best.iter().find(|other| model.height(&hash(other)) == first).unwrap_or(&model.headers[0]);
        prop_assert_eq!(u128::from(chain.confirmations_in_work(&hash(header))), on_top / number(first.work()));
    }
    for header in model.headers.iter().filter(|header| !best.contains(header)) {
        prop_assert_eq!(chain.confirmations(&hash(header)), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_trees_of_regtest_agree_with_the_model(steps in steps()) {
        compare(Network::Regtest.params(), Checkpoint::genesis(Network::Regtest), steps)?;
    }

    /// Near a retarget, with targets that differ, so that the longest chain is not the one with the most work.
    #[test]
    fn random_trees_with_retargets_agree_with_the_model(
        steps in steps(), before in 2u32..30, min_difficulty: bool, bip94: bool, period_seconds in 200_000u32..6_000_000,
    ) {
        let params = Params { min_difficulty, bip94, ..EASY };
        let header = mine(BlockHash::all_zeros(), 1_600_000_000, CompactTarget::from_consensus(0x2007_ffff), 0);
        let epoch_time = header.time - period_seconds;
        let start = Checkpoint { header, height: 5 * PERIOD - before, work: header.work(), epoch_time };
        compare(params, start, steps)?;
    }
}
