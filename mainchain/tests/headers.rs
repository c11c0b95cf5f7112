//! The header rules: known values, real headers, and each rule broken once.

mod mined;

use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, CompactTarget, Target, TxMerkleNode, Work};
use mainchain::header::{Difficulty, StartError, Tip, from_bytes, hash_bytes, retarget, to_bytes};
use mainchain::params::{PERIOD, PERIOD_SECONDS};
use mainchain::verify::{FileError, Start, Summary, Verifier};
use mainchain::{HeaderError, Network, Params};
use mined::{EASY, NOW, REAL_HEADERS, hash, mine};
use proptest::prelude::*;

fn bits(bits: u32) -> CompactTarget {
    CompactTarget::from_consensus(bits)
}

fn work(hex: &str) -> Work {
    Work::from_unprefixed_hex(hex).expect("a test's own constant")
}

/// Mainnet block 1.
fn block_1() -> Header {
    Header {
        version: Version::ONE,
        prev_blockhash: Network::Mainnet.genesis().block_hash(),
        merkle_root: "0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098".parse().expect("hex"),
        time: 1_231_469_665,
        bits: bits(0x1d00_ffff),
        nonce: 2_573_394_689,
    }
}

#[test]
fn the_genesis_blocks_have_their_known_hashes() {
    let known = [
        (Network::Mainnet, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
        (Network::Testnet4, "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
        (Network::Signet, "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"),
        (Network::Regtest, "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
    ];
    for (network, want) in known {
        let genesis = network.genesis();
        assert_eq!(hash(&genesis).to_string(), want, "{network}");
        assert_eq!(from_bytes(&to_bytes(&genesis)), genesis, "{network}");
        let tip = Tip::start(&network.params(), &genesis, 0, genesis.work(), None).expect("keeps its own rules");
        assert_eq!((tip.height(), tip.median_time_past()), (0, genesis.time), "{network}");
    }
}

#[test]
fn block_1_of_mainnet_follows_genesis() {
    let params = Network::Mainnet.params();
    let genesis = Network::Mainnet.genesis();
    let start = Tip::start(&params, &genesis, 0, genesis.work(), None).expect("genesis");
    let tip = start.next(&params, &block_1(), hash(&block_1()), NOW).expect("block 1");
    assert_eq!(tip.hash().to_string(), "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048");
    // `chainwork` of block 1 as every node reports it.
    assert_eq!(tip.work(), work("0000000000000000000000000000000000000000000000000000000200020002"));
}

/// Bitcoin Core's `pow_tests.cpp`: first and last time of a period, its bits, and the bits that follow.
#[test]
fn retargets_agree_with_bitcoin_core() {
    let known = [
        // Blocks 30240 to 32255: the first retarget of mainnet that changed anything.
        (1_261_130_161, 1_262_152_739, 0x1d00_ffff, 0x1d00_d86a),
        // Blocks 0 to 2015: the limit holds.
        (1_231_006_505, 1_233_061_996, 0x1d00_ffff, 0x1d00_ffff),
        // Blocks 66528 to 68543: at most four times harder.
        (1_279_008_237, 1_279_297_671, 0x1c05_a3f4, 0x1c01_68fd),
        // At most four times easier.
        (1_263_163_443, 1_269_211_443, 0x1c38_7f6f, 0x1d00_e1fd),
    ];
    for (first, last, old, new) in known {
        let got = retarget(bits(old), last - first, &Network::Mainnet.params());
        assert_eq!(got, bits(new), "{old:#x}");
    }
}

#[test]
fn a_period_that_ends_before_it_began_counts_as_a_quarter() {
    let params = Network::Mainnet.params();
    let quarter = i64::from(PERIOD_SECONDS / 4);
    assert_eq!(retarget(bits(0x1c05_a3f4), -1_000_000, &params), retarget(bits(0x1c05_a3f4), quarter, &params));
}

#[test]
fn compact_targets_that_are_negative_zero_overflowing_or_too_easy_are_none() {
    let params = Network::Regtest.params();
    for good in [0x207f_ffff, 0x1d00_ffff, 0x0312_3456] {
        assert!(Difficulty::from_bits(bits(good), &params).is_some(), "{good:#x}");
    }
    for bad in
        [0, 0x0100_0000, 0x0180_0001, 0x1d80_ffff, 0x2100_ffff, 0x2201_0000, 0x2300_0001, 0xff00_0001, 0xffff_ffff]
    {
        assert!(Difficulty::from_bits(bits(bad), &params).is_none(), "{bad:#x}");
    }
    assert!(Difficulty::from_bits(bits(0x1d01_0000), &Network::Mainnet.params()).is_none());
}

proptest! {
    #[test]
    fn retargets_agree_with_the_bitcoin_crate_where_it_does_not_overflow(
        mantissa in 0x8000u32..0x80_0000, size in 4u32..29, seconds in 0u64..10_000_000,
    ) {
        let old = bits(size << 24 | mantissa);
        let mainnet = Network::Mainnet;
        prop_assume!(Difficulty::from_bits(old, &mainnet.params()).is_some());
        let want = CompactTarget::from_next_work_required(old, seconds, bitcoin::Network::Bitcoin);
        prop_assert_eq!(retarget(old, seconds as i64, &mainnet.params()), want);
    }

    #[test]
    fn the_hash_is_that_of_the_bitcoin_crate(bytes in prop::array::uniform32(any::<u8>()), nonce: u32, time: u32) {
        let header = Header {
            version: Version::from_consensus(nonce as i32),
            prev_blockhash: BlockHash::from_byte_array(bytes),
            merkle_root: TxMerkleNode::from_byte_array(bytes),
            time,
            bits: bits(time),
            nonce,
        };
        prop_assert_eq!(hash_bytes(&to_bytes(&header)), header.block_hash());
        prop_assert_eq!(bitcoin::consensus::serialize(&header), to_bytes(&header));
    }
}

/// The rules around one header on top of a few others.
struct Chain {
    params: Params,
    tip: Tip,
}

impl Chain {
    fn new(params: Params, height: u32, header: Header, period_time: Option<u32>) -> Self {
        let tip = Tip::start(&params, &header, height, header.work(), period_time).expect("a test's own start");
        Self { params, tip }
    }

    fn header(&self, time: u32) -> Header {
        mine(self.tip.hash(), time, self.tip.next_bits(&self.params, time).expect("known"), 0)
    }

    fn check(&self, header: &Header) -> Result<Tip, HeaderError> {
        self.tip.next(&self.params, header, hash(header), NOW)
    }

    fn push(&mut self, time: u32) {
        self.tip = self.check(&self.header(time)).expect("a test's own header");
    }
}

fn easy(height: u32, period_time: Option<u32>) -> Chain {
    let anchor = mine(BlockHash::all_zeros(), 1_000_000_000, bits(0x207f_ffff), 0);
    Chain::new(EASY, height, anchor, period_time)
}

#[test]
fn each_rule_is_checked() {
    let mut chain = Chain::new(Network::Regtest.params(), 0, Network::Regtest.genesis(), None);
    let genesis_time = chain.tip.time();
    for minute in 1..=20 {
        chain.push(genesis_time + 60 * minute);
    }
    let time = genesis_time + 60 * 21;
    let good = chain.header(time);
    assert!(chain.check(&good).is_ok());

    let orphan = mine(BlockHash::all_zeros(), time, good.bits, 0);
    assert!(matches!(chain.check(&orphan), Err(HeaderError::Unconnected { .. })));

    let harder = mine(chain.tip.hash(), time, bits(0x2000_ffff), 0);
    let error = chain.check(&harder).expect_err("regtest has one target");
    assert_eq!(error, HeaderError::BadTarget { height: 21, got: bits(0x2000_ffff), want: bits(0x207f_ffff) });
    assert!(error.blames_sender() && !error.may_pass_later());
    assert_eq!(error.to_string(), "target 0x2000ffff at height 21, expected 0x207fffff");

    let mut unworked = good;
    while Target::from_compact(good.bits).is_met_by(hash(&unworked)) {
        unworked.nonce += 1;
    }
    assert!(matches!(chain.check(&unworked), Err(HeaderError::BadWork { height: 21, .. })));

    // Blocks 10 to 20 are at minutes 10 to 20: the median is minute 15, and the next one has to be after it.
    let median = genesis_time + 60 * 15;
    assert_eq!(chain.tip.median_time_past(), median);
    assert!(chain.check(&chain.header(median + 1)).is_ok());
    let error = chain.check(&chain.header(median)).expect_err("not after the median");
    assert_eq!(error, HeaderError::TooOld { height: 21, time: median, median });

    let now = time - 7200;
    assert!(chain.tip.next(&chain.params, &good, hash(&good), now).is_ok());
    let error = chain.tip.next(&chain.params, &good, hash(&good), now - 1).expect_err("two hours ahead");
    assert_eq!(error, HeaderError::TooNew { height: 21, time, now: now - 1 });
    assert!(error.may_pass_later() && !error.blames_sender());
}

#[test]
fn versions_of_before_a_soft_fork_are_refused_after_it() {
    let params = Params { versions: &[(2, 4)], ..EASY };
    let mut chain = Chain { params, ..easy(0, None) };
    let old = |chain: &Chain| {
        let mut header = chain.header(1_000_000_601);
        header.version = Version::from_consensus(3);
        while !Target::from_compact(header.bits).is_met_by(hash(&header)) {
            header.nonce += 1;
        }
        header
    };
    assert!(chain.check(&old(&chain)).is_ok());
    chain.push(1_000_000_600);
    let error = chain.check(&old(&chain)).expect_err("from height 2 on at least version 4");
    assert_eq!(error, HeaderError::BadVersion { height: 2, got: 3, want: 4 });
}

#[test]
fn near_genesis_the_median_is_of_the_blocks_there_are() {
    // Core takes the element in the middle, the later one of an even number.
    let mut chain = easy(0, None);
    let start = chain.tip.time();
    assert_eq!(chain.tip.median_time_past(), start);
    chain.push(start + 100);
    assert_eq!(chain.tip.median_time_past(), start + 100);
    chain.push(start + 200);
    assert_eq!(chain.tip.median_time_past(), start + 100);
}

#[test]
fn after_an_anchor_unknown_times_refuse_nothing() {
    // The anchor's time may lie far ahead of the median of the eleven blocks that end with it.
    let mut chain = easy(100_000, Some(999_000_000));
    let start = chain.tip.time();
    for block in 1..=5 {
        chain.push(start - 1000 + block);
    }
    // The anchor and five more are known: with five unknown ones the median is the lowest of the six.
    assert_eq!(chain.tip.median_time_past(), start - 999);
    assert!(matches!(chain.check(&chain.header(start - 999)), Err(HeaderError::TooOld { .. })));
}

#[test]
fn the_first_block_of_a_period_retargets() {
    let first_time = 1_000_000_000 - 500_000;
    let mut chain = easy(PERIOD - 1, Some(first_time));
    let want = retarget(bits(0x207f_ffff), 500_000, &EASY);
    assert_ne!(want, bits(0x207f_ffff));
    chain.push(1_000_000_600);
    assert_eq!(chain.tip.difficulty().bits(), want);
    assert_eq!(chain.tip.period_time(), Some(1_000_000_600));

    let unknown = easy(PERIOD - 1, None);
    let header = mine(unknown.tip.hash(), 1_000_000_600, want, 0);
    assert_eq!(unknown.check(&header), Err(HeaderError::PeriodTimeUnknown { height: PERIOD, first: 0 }));
}

/// Testnet4's rules at a target that a few hashes meet.
const EASY_TESTNET4: Params = Params { min_difficulty: true, bip94: true, ..EASY };

fn testnet4(height: u32, period_time: u32) -> Chain {
    let anchor = mine(BlockHash::all_zeros(), 1_000_000_000, bits(0x2000_ffff), 0);
    Chain::new(EASY_TESTNET4, height, anchor, Some(period_time))
}

#[test]
fn twenty_minutes_allow_minimum_difficulty_for_one_block() {
    let mut chain = testnet4(10 * PERIOD + 5, 999_000_000);
    let (start, limit, real) = (chain.tip.time(), bits(0x207f_ffff), bits(0x2000_ffff));
    assert_eq!(chain.tip.next_bits(&chain.params, start + 1200), Ok(real));
    assert_eq!(chain.tip.next_bits(&chain.params, start + 1201), Ok(limit));
    chain.push(start + 1201);
    assert_eq!(chain.tip.difficulty().bits(), limit);
    assert_eq!(chain.tip.next_bits(&chain.params, start + 1202), Ok(real));
}

#[test]
fn bip94_retargets_from_the_first_block_of_the_period() {
    let mut chain = testnet4(11 * PERIOD - 2, 999_000_000);
    let start = chain.tip.time();
    chain.push(start + 1201);
    assert_eq!(chain.tip.difficulty().bits(), bits(0x207f_ffff));
    // 1,001,201 s after its first block; from its last block's bits it would stay at the limit.
    let want = retarget(bits(0x2000_ffff), 1_001_201, &EASY_TESTNET4);
    assert_eq!(chain.tip.next_bits(&chain.params, start + 5000), Ok(want));
    let mut before_bip94 = chain.params.clone();
    before_bip94.bip94 = false;
    assert_ne!(chain.tip.next_bits(&before_bip94, start + 5000), Ok(want));
}

#[test]
fn bip94_limits_how_far_a_period_starts_before_the_one_before_ended() {
    let mut chain = testnet4(11 * PERIOD - 12, 999_000_000);
    let start = chain.tip.time();
    for block in 1..=10 {
        chain.push(start + block);
    }
    chain.push(start + 10_000);
    assert_eq!(chain.tip.height(), 11 * PERIOD - 1);
    assert!(chain.check(&chain.header(start + 9_400)).is_ok());
    let error = chain.check(&chain.header(start + 9_399)).expect_err("601 s before its parent");
    assert_eq!(error, HeaderError::Timewarp { height: 11 * PERIOD, time: start + 9_399, previous: start + 10_000 });
}

#[test]
fn a_start_that_hides_or_contradicts_its_period_is_refused() {
    let anchor = mine(BlockHash::all_zeros(), 1_000_000_000, bits(0x207f_ffff), 0);
    let start = |params: &Params, height, period_time| Tip::start(params, &anchor, height, anchor.work(), period_time);
    let hidden = start(&EASY_TESTNET4, PERIOD + 7, Some(1));
    assert_eq!(hidden, Err(StartError::MinimumDifficulty { height: PERIOD + 7, first: PERIOD }));
    assert!(start(&EASY_TESTNET4, PERIOD, None).is_ok());
    assert!(start(&Network::Regtest.params(), PERIOD + 7, Some(1)).is_ok());
    let contradiction = StartError::PeriodTime { height: PERIOD, time: 1_000_000_000, given: 1 };
    assert_eq!(start(&EASY, PERIOD, Some(1)), Err(contradiction));
    assert_eq!(start(&Network::Mainnet.params(), 1, None), Err(StartError::BadTarget { bits: anchor.bits }));
}

/// Chunks of awkward sizes, as a pipe delivers them.
fn verify(network: Network, start: Start, file: &[u8], chunk: usize) -> Result<Summary, FileError> {
    let mut verifier = Verifier::new(network, start, NOW);
    for chunk in file.chunks(chunk) {
        verifier.feed(chunk)?;
    }
    verifier.finish()
}

#[test]
fn real_headers_keep_every_rule() {
    let last = "000000000845517b31c6820d83f25cff46429bf136a7515fe504116427e60f8e";
    let start = Start::Anchor { height: 40_320, period_time: None };
    for chunk in [1_000_000, 80, 79, 81, 7] {
        let summary = verify(Network::Mainnet, start, REAL_HEADERS, chunk).expect("real headers");
        assert_eq!((summary.headers, summary.height, summary.tip.to_string().as_str()), (9_680, 49_999, last));
    }
    // The file's work, counted apart: the sum of each header's.
    let sum = REAL_HEADERS.chunks_exact(80).map(|header| from_bytes(header.try_into().expect("80 bytes")).work());
    let sum = sum.reduce(|sum, work| sum + work).expect("there are headers");
    assert_eq!(verify(Network::Mainnet, start, REAL_HEADERS, 8000).map(|summary| summary.work), Ok(sum));

    // The same file as one of heights it has not: the first retarget shows it.
    let shifted = Start::Anchor { height: 40_321, period_time: Some(1_266_191_579) };
    let error = verify(Network::Mainnet, shifted, REAL_HEADERS, 8000).expect_err("retargets a block early");
    assert!(
        matches!(error, FileError::BadHeader { height: 42_336, error: HeaderError::BadTarget { .. }, .. }),
        "{error}"
    );
}

#[test]
fn real_headers_with_one_bit_flipped_are_refused_where_it_is() {
    let file = &REAL_HEADERS[..640 * 80];
    let start = Start::Anchor { height: 40_320, period_time: None };
    for bit in (0..640).chain((300 * 640..301 * 640).step_by(7)) {
        let mut bad = file.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        let at = (bit / 640) as u64;
        match verify(Network::Mainnet, start, &bad, 8000) {
            Err(FileError::BadHeader { index, .. }) => assert_eq!(index, at, "bit {bit}"),
            Err(FileError::BadAnchor { .. }) => assert_eq!(at, 0, "bit {bit}"),
            other => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn a_file_starts_where_it_says_and_ends_with_a_whole_header() {
    let genesis = to_bytes(&Network::Mainnet.genesis());
    let mut file = genesis.to_vec();
    file.extend(to_bytes(&block_1()));
    let summary = verify(Network::Mainnet, Start::Genesis, &file, 50).expect("blocks 0 and 1");
    assert_eq!((summary.headers, summary.height), (2, 1));
    assert_eq!(summary.work, work("0200020002"));

    let not_genesis = verify(Network::Mainnet, Start::Genesis, &file[80..], 50);
    assert!(matches!(not_genesis, Err(FileError::NotGenesis { .. })));
    let incomplete = verify(Network::Mainnet, Start::Genesis, &file[..159], 50);
    assert_eq!(incomplete, Err(FileError::Incomplete { headers: 1, bytes: 79 }));
    assert_eq!(verify(Network::Mainnet, Start::Genesis, &[], 50), Err(FileError::Empty));
}
