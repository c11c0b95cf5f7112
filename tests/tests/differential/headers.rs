//! Headers: random trees of them, and real ones of mainnet, are judged by the contract as by `HeaderChain`.

use alloy_primitives::{Address, B256, U256, hex};
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, CompactTarget, Target};
use contracts::{Contract, FederationArguments, MemberArguments, creation_code};
use light::branches::Place;
use mainchain::{Checkpoint, HeaderChain, HeaderError, Network, Params};
use proptest::prelude::*;
use tests::evm::{Evm, word};

use crate::blocks::{LIMIT, START, hash, meets_target, mine};
use crate::light_client::{CHAIN_ID, LightClient};

/// Which error of the contract says the same.
fn name(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::Unconnected { .. } => "Unconnected",
        HeaderError::BadTarget { .. } => "BadTarget",
        HeaderError::BadWork { .. } => "BadWork",
        HeaderError::TooOld { .. } => "TooOld",
        HeaderError::Timewarp { .. } => "Timewarp",
        HeaderError::TooNew { .. } => "TooNew",
        other => panic!("the contract has no such rule: {other}"),
    }
}

/// One more header on a random earlier one, right or wrong in some way.
#[derive(Clone, Debug)]
struct Step {
    /// How far back the parent is in the order of arrival; mostly 0.
    back: usize,
    /// Seconds after the parent's time.
    seconds: i32,
    fault: Fault,
    /// Whether it waits to be submitted together with the next.
    waits: bool,
    /// Seconds of the clock after the header's time.
    clock: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Bits(u32),
    Work,
    Parent,
}

fn step() -> impl Strategy<Value = Step> {
    let back = prop_oneof![6 => Just(0usize), 2 => 1usize..4, 1 => 4usize..20];
    let seconds = prop_oneof![
        4 => 1i32..1300, 2 => 1199i32..1203, 2 => -3000i32..3000, 2 => -602i32..-598,
        1 => -3_000_000i32..3_000_000
    ];
    let fault = prop_oneof![
        24 => Just(Fault::None), 2 => Just(Fault::Bits(LIMIT)), 1 => Just(Fault::Bits(0x203f_ffff)),
        1 => Just(Fault::Work), 1 => Just(Fault::Parent)
    ];
    let clock = prop_oneof![8 => Just(10_000_000i32), 1 => -7202i32..-7198];
    (back, seconds, fault, prop::bool::weighted(0.3), clock).prop_map(|(back, seconds, fault, waits, clock)| Step {
        back,
        seconds,
        fault,
        waits,
        clock,
    })
}

fn rules() -> impl Strategy<Value = Params> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(no_retarget, min_difficulty, bip94)| Params {
        pow_limit_bits: LIMIT,
        no_retarget,
        min_difficulty,
        bip94,
        signed_blocks: false,
        versions: &[],
    })
}

/// Mostly near the border of a difficulty period, where the rules are.
fn start() -> impl Strategy<Value = (u32, i32, bool)> {
    let height = prop_oneof![
        1 => Just(0u32), 1 => 1u32..12, 6 => 2010u32..2016, 1 => Just(2016u32), 2 => 102_812u32..102_816
    ];
    (height, -4_000_000i32..4_000_000, any::<bool>())
}

/// What such a tree grows from.
fn checkpoint(params: &Params, (height, epoch, easy): (u32, i32, bool)) -> Checkpoint {
    let hides = params.min_difficulty && !params.no_retarget && height % 2016 != 0;
    let bits = if easy && !hides { LIMIT } else { 0x201f_ffff };
    let header = mine(BlockHash::all_zeros(), START, bits, 0, None);
    Checkpoint {
        header,
        height,
        work: Target::from_compact(header.bits).to_work() + Target::from_be_bytes([0x10; 32]).to_work(),
        epoch_time: if height % 2016 == 0 { START } else { START.saturating_add_signed(epoch) },
    }
}

/// Both, and what they were told.
struct Pair {
    params: Params,
    chain: HeaderChain,
    client: LightClient,
    /// What both accepted, in the order of arrival.
    known: Vec<Header>,
    /// What waits to be submitted together.
    batch: Vec<Header>,
}

impl Pair {
    fn new(params: Params, checkpoint: &Checkpoint) -> Self {
        let chain = HeaderChain::from_checkpoint(params.clone(), checkpoint).expect("possible");
        let client = LightClient::new(&params, checkpoint);
        Self { params, chain, client, known: vec![checkpoint.header], batch: Vec::new() }
    }

    /// The step's header joins the batch.
    fn grow(&mut self, step: &Step, salt: u64) {
        let parent = match self.batch.last() {
            Some(last) => *last,
            None => self.known[self.known.len() - 1 - step.back.min(self.known.len() - 1)],
        };
        let time = parent.time.saturating_add_signed(step.seconds);
        let bits = match step.fault {
            Fault::Bits(bits) => bits,
            _ => self.wanted_bits(&parent, time).map_or(LIMIT, CompactTarget::to_consensus),
        };
        let previous = if step.fault == Fault::Parent { BlockHash::from_byte_array([7; 32]) } else { hash(&parent) };
        let mut header = mine(previous, time, bits, salt, None);
        while step.fault == Fault::Work && meets_target(&header) {
            header.nonce += 1;
        }
        self.batch.push(header);
    }

    /// A parent that waits in the batch is not in the chain yet: tried on a copy.
    fn wanted_bits(&self, parent: &Header, time: u32) -> Option<CompactTarget> {
        let mut ahead = self.chain.clone();
        ahead.apply(&self.batch, u32::MAX).ok()?;
        ahead.tip_at(&hash(parent))?.next_bits(&self.params, time).ok()
    }

    /// Submits the batch to both, who agree about it and about the tip after it.
    fn submit(&mut self, now: u32) -> Result<(), TestCaseError> {
        let batch = std::mem::take(&mut self.batch);
        let got = self.client.submit(&batch, now);
        match self.chain.apply(&batch, now) {
            Ok(changes) => {
                prop_assert!(!changes.is_empty());
                prop_assert!(got.is_ok(), "Rust accepts, Solidity says {:?}", got);
                self.known.extend(&batch[..batch.len() - changes.too_new]);
            }
            Err(error) => {
                let got = got.expect_err("what Rust refuses, Solidity refuses");
                prop_assert!(got.starts_with(name(&error)), "Rust: {}, Solidity: {}", error, got);
            }
        }
        let tip = self.chain.tip();
        let want = (word(tip.hash().as_byte_array()), tip.height(), U256::from_be_bytes(tip.work().to_be_bytes()));
        prop_assert_eq!(self.client.tip(), want);
        Ok(())
    }

    /// Both have the same best chain from `height` on, and the same confirmations of all that they know.
    fn compare(&mut self, height: u32) -> Result<(), TestCaseError> {
        for height in height..self.chain.tip().height() + 3 {
            let want = self.chain.hash_at(height).map_or(B256::ZERO, |hash| word(hash.as_byte_array()));
            prop_assert_eq!(self.client.hash_at(height), want);
        }
        for header in &self.known {
            let confirmations = self.client.confirmations(hash(header));
            prop_assert_eq!(confirmations, self.chain.confirmations(&hash(header)));
            let is_best = self.client.place(hash(header)) == Some(Place::Best);
            prop_assert_eq!(is_best, confirmations > 0, "by proofs of its storage");
            let in_work = self.chain.confirmations_in_work(&hash(header));
            prop_assert_eq!(self.client.confirmations_in_work(hash(header)), in_work);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn random_trees_of_headers_are_judged_alike(
        params in rules(),
        (height, epoch, easy) in start(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let checkpoint = checkpoint(&params, (height, epoch, easy));
        let mut pair = Pair::new(params, &checkpoint);
        for (salt, step) in steps.iter().enumerate() {
            pair.grow(step, salt as u64 + 1);
            if step.waits && step.fault != Fault::Parent && salt + 1 != steps.len() {
                continue;
            }
            let time = pair.batch.last().expect("just grown").time;
            pair.submit(time.saturating_add_signed(step.clock))?;
        }
        pair.compare(height)?;
    }
}

/// Mainnet's headers from 40,320 to 49,999, 80 bytes each.
const MAINNET: &[u8] = include_bytes!("../../../mainchain/tests/data/mainnet-headers-40320-49999.bin");

/// Over two retargets; gas per header printed.
#[test]
fn real_headers_are_accepted_by_both() {
    let headers: Vec<Header> = MAINNET
        .chunks_exact(80)
        .take(4100)
        .map(|raw| mainchain::header::from_bytes(raw.try_into().expect("80 bytes")))
        .collect();
    let checkpoint =
        Checkpoint { header: headers[0], height: 40_320, work: headers[0].work(), epoch_time: headers[0].time };
    let params = Params { versions: &[], ..Network::Mainnet.params() };
    let mut chain = HeaderChain::from_checkpoint(params.clone(), &checkpoint).expect("possible");
    let mut client = LightClient::new(&params, &checkpoint);
    let (mut gas, mut count) = (0, 0);
    for batch in headers[1..].chunks(100) {
        chain.apply(batch, START).expect("real headers");
        gas += client.submit(batch, START).expect("real headers");
        count += batch.len() as u64;
    }
    assert_eq!(client.tip().0, word(chain.tip().hash().as_byte_array()));
    println!("{} gas a header in batches of 100", gas / count);
    assert!(gas / count < 65_000, "a header in a batch of 100 costs {} gas", gas / count);
    for height in [40_320, 42_335, 42_336, 44_000] {
        let block = chain.hash_at(height).expect("in the window");
        assert_eq!(client.confirmations_in_work(block), chain.confirmations_in_work(&block));
    }
}

// real    40320 - ... - 42400 - ... - 44419
// made            \ at regtest's target, one block longer: 2,100 blocks and more leave
/// Both follow a reorganisation across a retarget, in batches of bounded gas; the gas of the dearest printed.
#[test]
fn a_reorganisation_of_2100_blocks_is_followed_by_both_in_batches_of_bounded_gas() {
    let params = Params {
        pow_limit_bits: LIMIT,
        no_retarget: false,
        min_difficulty: false,
        bip94: false,
        signed_blocks: false,
        versions: &[],
    };
    let start = mine(BlockHash::all_zeros(), START, LIMIT, 0, None);
    let checkpoint = Checkpoint { header: start, height: 0, work: start.work(), epoch_time: START };
    let mut chain = HeaderChain::from_checkpoint(params.clone(), &checkpoint).expect("possible");
    let mut client = LightClient::new(&params, &checkpoint);
    let (now, mut dearest) = (START + 10_000_000, 0);
    for (spacing, length) in [(580, 2_100), (579, 2_101)] {
        let branch = branch(&params, &checkpoint, spacing, length);
        for batch in branch.chunks(100) {
            chain.apply(batch, now).expect("valid");
            dearest = dearest.max(client.submit(batch, now).expect("valid"));
            assert_eq!(client.tip().0, word(chain.tip().hash().as_byte_array()));
        }
        assert_eq!(chain.tip().hash(), hash(branch.last().expect("not empty")));
    }
    println!("{dearest} gas for the dearest batch of 100 headers in a reorganisation of 2,100 blocks");
    assert!(dearest < 6_500_000, "{dearest}");
}

/// A chain of headers on a checkpoint, `spacing` seconds apart, with the targets that the rules ask for.
fn branch(params: &Params, checkpoint: &Checkpoint, spacing: u32, length: usize) -> Vec<Header> {
    let mut chain = HeaderChain::from_checkpoint(params.clone(), checkpoint).expect("possible");
    (0..length)
        .map(|_| {
            let tip = *chain.tip();
            let time = tip.time() + spacing;
            let bits = tip.next_bits(params, time).expect("the period's time is known").to_consensus();
            let header = mine(tip.hash(), time, bits, 0, None);
            chain.apply(&[header], u32::MAX).expect("valid");
            header
        })
        .collect()
}

/// Blocks of signet are valid by a signature that headers do not show, and their work is little: anybody could make them.
#[test]
fn signet_headers_from_a_stranger_are_refused_and_from_a_member_taken() {
    let (member, stranger) = (Address::repeat_byte(0xa1), Address::repeat_byte(0x57));
    let mut evm = Evm::new(CHAIN_ID);
    let only = MemberArguments {
        account: member,
        encryption_key: SECP256K1_GENERATOR,
        validator_key: [0; 96],
        p2p_key: B256::ZERO,
        name: "only".into(),
    };
    let federation = FederationArguments {
        network_id: B256::repeat_byte(0x77),
        threshold: 1,
        members: vec![only],
        recovery_leaf: B256::repeat_byte(0x42),
    };
    let code = creation_code(Contract::Federation);
    let federation = evm.create(code, &federation.abi_encode(), 1).expect("a possible federation");
    let params = Params { signed_blocks: true, ..Network::Regtest.params() };
    let genesis = Checkpoint::genesis(Network::Regtest);
    let mut client = LightClient::among(evm, &params, &genesis, federation);
    let header = mine(hash(&genesis.header), START, LIMIT, 0, None);
    let refused = client.submit_from(stranger, &[header], START).expect_err("a stranger");
    assert!(refused.starts_with("NotAMember"), "{refused}");
    assert_eq!(client.confirmations(hash(&header)), 0);
    client.submit_from(member, &[header], START).expect("a member");
    assert_eq!(client.confirmations(hash(&header)), 1);
}

/// A compressed point.
const SECP256K1_GENERATOR: [u8; 33] = hex!("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
