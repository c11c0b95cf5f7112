//! The same rules, twice: `mainchain` in Rust and the contracts in Solidity judge random input alike.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, PublicKey, Scalar, Secp256k1, SecretKey, XOnlyPublicKey};
use bitcoin::transaction::Version as TransactionVersion;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, TapNodeHash, TapTweakHash, Target,
    Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness,
};
use contracts::bridge::{Bridge, IBridge};
use contracts::light_client::{BitcoinLightClient, IBitcoinLightClient};
use contracts::{
    BridgeArguments, Contract, Federation, FederationArguments, LightClientArguments, MemberArguments, TierArguments,
    creation_code,
};
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::header::{hash_bytes, to_bytes};
use mainchain::proof::{InclusionProof, strip};
use mainchain::{Checkpoint, HeaderChain, HeaderError, Network, Params};
use proptest::prelude::*;
use tests::evm::{World, word};

const CHAIN_ID: u64 = 51_717;
const LIMIT: u32 = 0x207f_ffff;
const START: u32 = 1_700_000_000;

/// The contract, asked and told as the Rust chain is.
struct LightClient {
    world: World,
    address: Address,
}

impl LightClient {
    fn new(params: &Params, checkpoint: &Checkpoint) -> Self {
        let mut world = World::new(CHAIN_ID);
        let arguments = LightClientArguments {
            no_retarget: params.no_retarget,
            min_difficulty: params.min_difficulty,
            bip94: params.bip94,
            pow_limit_bits: params.pow_limit_bits,
            header: to_bytes(&checkpoint.header),
            height: checkpoint.height,
            work: U256::from_be_bytes(checkpoint.work.to_be_bytes()),
            epoch_time: checkpoint.epoch_time,
        };
        let code = creation_code(Contract::LightClient);
        let address = world.create(code, &arguments.abi_encode(), 0).expect("the checkpoint is possible");
        Self { world, address }
    }

    fn submit(&mut self, headers: &[Header], now: u32) -> Result<u64, String> {
        self.world.set_time(now.into());
        let headers: Vec<u8> = headers.iter().flat_map(to_bytes).collect();
        let call = BitcoinLightClient::submitCall { headers: headers.into() };
        self.world.call(Address::ZERO, self.address, &call).map(|done| done.gas)
    }

    fn tip(&mut self) -> (B256, u32, U256) {
        let tip = self.world.ask(self.address, &BitcoinLightClient::tipCall {});
        (tip.hash, tip.height, tip.work)
    }

    fn hash_at(&mut self, height: u32) -> B256 {
        let call = BitcoinLightClient::hashAtCall { height };
        self.world.ask(self.address, &call)
    }

    fn confirmations(&mut self, hash: BlockHash) -> u32 {
        let hash = word(hash.as_byte_array());
        let call = BitcoinLightClient::confirmationsCall { hash };
        self.world.ask(self.address, &call)
    }

    fn require_included(&mut self, transaction: &[u8], proof: &InclusionProof) -> Result<B256, String> {
        let call = BitcoinLightClient::requireIncludedCall {
            strippedTransaction: Bytes::copy_from_slice(transaction),
            proof: IBitcoinLightClient::InclusionProof {
                blockHash: word(proof.block_hash.as_byte_array()),
                index: proof.index,
                siblings: proof.siblings.iter().map(word).collect(),
                coinbase: Bytes::copy_from_slice(&proof.coinbase),
                coinbaseSiblings: proof.coinbase_siblings.iter().map(word).collect(),
            },
        };
        self.world.call(Address::ZERO, self.address, &call).map(|done| done.returned)
    }
}

fn mine(previous: BlockHash, time: u32, bits: u32, salt: u64, root: Option<TxMerkleNode>) -> Header {
    let mut merkle_root = [0; 32];
    merkle_root[..8].copy_from_slice(&salt.to_le_bytes());
    let mut header = Header {
        version: Version::NO_SOFT_FORK_SIGNALLING,
        prev_blockhash: previous,
        merkle_root: root.unwrap_or_else(|| TxMerkleNode::from_byte_array(merkle_root)),
        time,
        bits: CompactTarget::from_consensus(bits),
        nonce: 0,
    };
    while !meets_target(&header) {
        header.nonce += 1;
    }
    header
}

fn hash(header: &Header) -> BlockHash {
    hash_bytes(&to_bytes(header))
}

fn meets_target(header: &Header) -> bool {
    Target::from_compact(header.bits).is_met_by(hash(header))
}

// ---------------------------------------------------------------------- headers

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn random_trees_of_headers_are_judged_alike(
        params in rules(),
        (height, epoch, easy) in start(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let hides = params.min_difficulty && !params.no_retarget && height % 2016 != 0;
        let bits = if easy && !hides { LIMIT } else { 0x201f_ffff };
        let first = mine(BlockHash::all_zeros(), START, bits, 0, None);
        let checkpoint = Checkpoint {
            header: first,
            height,
            work: Target::from_compact(first.bits).to_work() + Target::from_be_bytes([0x10; 32]).to_work(),
            epoch_time: if height % 2016 == 0 { START } else { START.saturating_add_signed(epoch) },
        };
        let mut chain = HeaderChain::from_checkpoint(params.clone(), &checkpoint).expect("possible");
        let mut client = LightClient::new(&params, &checkpoint);

        let mut known = vec![first];
        let mut batch: Vec<Header> = Vec::new();
        for (salt, step) in steps.iter().enumerate() {
            let parent = match batch.last() {
                Some(last) => *last,
                None => known[known.len() - 1 - step.back.min(known.len() - 1)],
            };
            let time = parent.time.saturating_add_signed(step.seconds);
            // A parent that waits in the batch is not in the chain yet: try it on a copy.
            let mut ahead = chain.clone();
            let judged = ahead.apply(&batch, u32::MAX);
            let wanted = judged.ok().and_then(|_| {
                let tip = ahead.tip_at(&hash(&parent))?;
                tip.next_bits(&params, time).ok()
            });
            let bits = match step.fault {
                Fault::Bits(bits) => bits,
                _ => wanted.map_or(LIMIT, CompactTarget::to_consensus),
            };
            let previous = if step.fault == Fault::Parent { BlockHash::from_byte_array([7; 32]) } else { hash(&parent) };
            let mut header = mine(previous, time, bits, salt as u64 + 1, None);
            while step.fault == Fault::Work && meets_target(&header) {
                header.nonce += 1;
            }
            batch.push(header);
            if step.waits && step.fault != Fault::Parent && salt + 1 != steps.len() {
                continue;
            }

            let now = time.saturating_add_signed(step.clock);
            let got = client.submit(&batch, now);
            match chain.apply(&batch, now) {
                Ok(changes) => {
                    prop_assert!(!changes.is_empty());
                    prop_assert!(got.is_ok(), "Rust accepts, Solidity says {:?}", got);
                    known.extend(&batch);
                }
                Err(error) => {
                    let got = got.expect_err("what Rust refuses, Solidity refuses");
                    prop_assert!(got.starts_with(name(&error)), "Rust: {}, Solidity: {}", error, got);
                }
            }
            batch.clear();

            let tip = chain.tip();
            let want = (word(tip.hash().as_byte_array()), tip.height(), U256::from_be_bytes(tip.work().to_be_bytes()));
            prop_assert_eq!(client.tip(), want);
        }
        let tip = chain.tip().height();
        for height in height..tip + 3 {
            let want = chain.hash_at(height).map_or(B256::ZERO, |hash| word(hash.as_byte_array()));
            prop_assert_eq!(client.hash_at(height), want);
        }
        for header in &known {
            prop_assert_eq!(client.confirmations(hash(header)), chain.confirmations(&hash(header)));
        }
    }
}

/// Mainnet from 40,320 on, over two retargets: every header accepted, and gas per header printed.
#[test]
fn real_headers_are_accepted_by_both() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/mainnet-headers-40000-49999.bin");
    let Ok(bytes) = std::fs::read(path) else {
        eprintln!("skipped: the real headers are not at {path}");
        return;
    };
    let headers: Vec<Header> = bytes[320 * 80..]
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
    assert!(gas / count < 100_000, "a batch of 100 must fit a transaction");
}

// ---------------------------------------------------------------------- inclusion proofs

fn transaction(salt: u64, script_bytes: usize) -> Transaction {
    Transaction {
        version: TransactionVersion::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), 1),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[salt as u8; 64]]),
        }],
        output: vec![TxOut { value: Amount::from_sat(salt), script_pubkey: ScriptBuf::from(vec![0x51; script_bytes]) }],
    }
}

fn coinbase() -> Transaction {
    let mut coinbase = transaction(5_000_000_000, 34);
    coinbase.input[0].previous_output = OutPoint::null();
    coinbase.input[0].script_sig = ScriptBuf::from(vec![1, 1, 0]);
    coinbase
}

/// A block on regtest's genesis.
fn block(transactions: Vec<Transaction>) -> Block {
    let genesis = Network::Regtest.genesis();
    let mut block = Block { header: genesis, txdata: [vec![coinbase()], transactions].concat() };
    let root = block.compute_merkle_root().expect("has transactions");
    block.header = mine(genesis.block_hash(), START, LIMIT, 0, Some(root));
    block
}

/// What is done to an honest proof before both judge it.
#[derive(Clone, Debug)]
enum Change {
    None,
    Bit(prop::sample::Index),
    Index(u32),
    Drop,
    DropBoth,
    /// The other place under the parent at this level.
    Copy(u32),
    Swap,
    Trailing,
    Short,
    Witness,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => Just(Change::None),
        4 => any::<prop::sample::Index>().prop_map(Change::Bit),
        3 => (0u32..80).prop_map(Change::Index),
        1 => Just(Change::Drop),
        1 => Just(Change::DropBoth),
        3 => (0u32..4).prop_map(Change::Copy),
        1 => Just(Change::Swap),
        1 => Just(Change::Trailing),
        1 => Just(Change::Short),
        1 => Just(Change::Witness),
    ]
}

fn apply(change: &Change, proof: &mut InclusionProof, raw: &mut Vec<u8>, whole: &Transaction) {
    match change {
        Change::None => {}
        Change::Bit(bit) => {
            let mut parts: Vec<&mut [u8]> = vec![raw, &mut proof.coinbase];
            parts.extend(proof.siblings.iter_mut().map(|hash| hash.as_mut_slice()));
            parts.extend(proof.coinbase_siblings.iter_mut().map(|hash| hash.as_mut_slice()));
            let mut bit = bit.index(parts.iter().map(|part| part.len() * 8).sum());
            for part in parts {
                if bit < part.len() * 8 {
                    part[bit / 8] ^= 1 << (bit % 8);
                    break;
                }
                bit -= part.len() * 8;
            }
        }
        Change::Index(index) => proof.index = *index,
        Change::Drop => {
            proof.siblings.pop();
        }
        Change::DropBoth => {
            proof.siblings.pop();
            proof.coinbase_siblings.pop();
        }
        Change::Copy(level) => proof.index ^= 1 << level,
        Change::Swap => std::mem::swap(&mut proof.siblings, &mut proof.coinbase_siblings),
        Change::Trailing => raw.push(0),
        Change::Short => {
            raw.pop();
        }
        Change::Witness => *raw = encode::serialize(whole),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn random_proofs_are_judged_alike(
        others in 0u64..70,
        // Often the last: on odd levels its copy is its sibling.
        index: prop::sample::Index,
        last in any::<bool>(),
        // Scripts of 4 bytes make transactions of 64.
        script_bytes in prop_oneof![5 => 3usize..40, 1 => Just(4usize)],
        changes in prop::collection::vec(change(), 1..3),
    ) {
        let block = block((0..others).map(|salt| transaction(salt, script_bytes)).collect());
        let index = if last { block.txdata.len() - 1 } else { index.index(block.txdata.len()) };
        let whole = &block.txdata[index];
        let mut raw = strip(whole);
        let built = InclusionProof::build(&block, whole.compute_txid());
        prop_assert_eq!(built.is_err(), raw.len() == 64);
        // For what cannot be proven: the coinbase's proof, at its place.
        let mut proof = built.unwrap_or_else(|_| {
            InclusionProof::build(&block, block.txdata[0].compute_txid()).expect("not of 64 bytes")
        });
        for change in &changes {
            apply(change, &mut proof, &mut raw, whole);
        }

        let mut client = LightClient::new(&Network::Regtest.params(), &Checkpoint::genesis(Network::Regtest));
        client.submit(&[block.header], START).expect("a valid header");
        let rust = proof.verify(&raw, block.header.merkle_root);
        let solidity = client.require_included(&raw, &proof);
        prop_assert_eq!(
            rust.as_ref().ok().map(|txid| word(txid.as_byte_array())),
            solidity.as_ref().ok().copied(),
            "Rust: {:?}, Solidity: {:?}", rust, solidity
        );
    }
}

// ---------------------------------------------------------------------- deposits and vault transactions

const MEMBER: Address = Address::repeat_byte(0xa1);

/// A bridge on a regtest with one member, whose group key is of a known secret.
struct Ledger {
    client: LightClient,
    bridge: Address,
    group: Keypair,
    peg: Peg,
}

impl Ledger {
    fn new(group: Keypair, delay: u16) -> Self {
        let mut client = LightClient::new(&Network::Regtest.params(), &Checkpoint::genesis(Network::Regtest));
        let leaf = B256::repeat_byte(0x42);
        let member = MemberArguments {
            account: MEMBER,
            encryption_key: group.public_key().serialize(),
            validator_key: [0; 96],
            p2p_key: B256::ZERO,
            name: "only".into(),
        };
        let federation = FederationArguments { threshold: 1, members: vec![member], recovery_leaf: leaf };
        let world = &mut client.world;
        let federation = world
            .create(creation_code(Contract::Federation), &federation.abi_encode(), 1)
            .expect("a possible federation");
        let parameters = BridgeArguments {
            reclaim_delay: delay,
            min_deposit_sat: 1000,
            min_withdrawal_sat: 1000,
            min_fee_rate: 1,
            max_fee_rate: 500,
            tiers: vec![TierArguments { up_to_sat: u64::MAX, confirmations: 2 }],
        };
        let arguments = parameters.abi_encode_with(client.address, federation);
        let bridge = world.create(creation_code(Contract::Bridge), &arguments, 2).expect("possible parameters");
        world.set_balance(bridge, contracts::coin::GENESIS_COINS_WEI);

        let vault = tweaked(group.x_only_public_key().0, leaf);
        let confirm = Federation::confirmKeyCall {
            epoch_: 1,
            groupKey_: x(&group.public_key()),
            vaultKeyX: x(&vault),
            vaultKeyY: y(&vault),
        };
        world.call(MEMBER, federation, &confirm).expect("the vault key is the tweaked group key");
        let peg = Peg { chain_id: CHAIN_ID, bridge: bridge.into_array(), delay: delay.try_into().expect("not 0") };
        Self { client, bridge, group, peg }
    }
}

fn tweaked(internal: XOnlyPublicKey, root: B256) -> PublicKey {
    let root = TapNodeHash::assume_hidden(root.0);
    let tweak: Scalar = TapTweakHash::from_key_and_tweak(internal, Some(root)).to_scalar();
    let (key, parity) = internal.add_tweak(&Secp256k1::new(), &tweak).expect("no such hash is known");
    key.public_key(parity)
}

fn x(key: &PublicKey) -> B256 {
    B256::from_slice(&key.serialize_uncompressed()[1..33])
}

fn y(key: &PublicKey) -> B256 {
    B256::from_slice(&key.serialize_uncompressed()[33..])
}

fn deposit_proof(
    payment: &Transaction,
    block: &Block,
    terms: &DepositTerms,
    output_key_y: [u8; 32],
) -> IBridge::DepositProof {
    let proof = InclusionProof::build(block, payment.compute_txid()).expect("in the block");
    IBridge::DepositProof {
        transaction: strip(payment).into(),
        vout: 0,
        terms: IBridge::DepositTerms {
            recipient: terms.recipient.into(),
            reclaimKey: B256::from(terms.reclaim_key.serialize()),
            maxFeeSat: terms.max_fee.to_sat(),
            epoch: 1,
        },
        outputKeyY: B256::from(output_key_y),
        inclusion: bridge_proof(&proof),
    }
}

fn bridge_proof(proof: &InclusionProof) -> contracts::bridge::IBitcoinLightClient::InclusionProof {
    contracts::bridge::IBitcoinLightClient::InclusionProof {
        blockHash: word(proof.block_hash.as_byte_array()),
        index: proof.index,
        siblings: proof.siblings.iter().map(word).collect(),
        coinbase: Bytes::copy_from_slice(&proof.coinbase),
        coinbaseSiblings: proof.coinbase_siblings.iter().map(word).collect(),
    }
}

fn sweep(deposits: Vec<IBridge::DepositProof>, fee_sat: u64) -> Bridge::proposeCall {
    Bridge::proposeCall {
        proposal: IBridge::Proposal { deposits, vaultInputs: vec![], withdrawals: vec![], feeSat: fee_sat },
    }
}

fn paying(amount: u64, to: ScriptBuf) -> Transaction {
    let mut payment = transaction(amount, 0);
    payment.output[0].script_pubkey = to;
    payment
}

/// EIP-7825
const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// From a full block (4,000 transactions, proofs of 12 levels): what a sweep of 1 and of the most deposits costs to propose and to settle.
#[test]
fn the_largest_sweep_fits_a_transaction() {
    let secp = Secp256k1::new();
    let group = Keypair::from_seckey_slice(&secp, &[3; 32]).expect("in range");
    for count in [1u64, 64] {
        let mut ledger = Ledger::new(group, 1008);
        let mut payments = Vec::new();
        let mut outputs = Vec::new();
        for number in 0..count {
            let terms = DepositTerms {
                recipient: [0x10 + number as u8; 20],
                reclaim_key: group.x_only_public_key().0,
                max_fee: Amount::from_sat(50_000),
                epoch: 1,
            };
            let output = terms.output(&ledger.peg, group.x_only_public_key().0);
            payments.push(paying(1_000_000 + number, output.script_pubkey()));
            outputs.push((terms, output.output_key_y()));
        }
        let fillers = (0..4000 - count).map(|salt| transaction(salt, 34));
        let block = block(payments.iter().cloned().chain(fillers).collect());
        let submitted = ledger.client.submit(&[block.header], START).expect("valid");

        let proofs = payments.iter().zip(&outputs);
        let proofs = proofs.map(|(payment, (terms, y))| deposit_proof(payment, &block, terms, *y));
        let call = sweep(proofs.collect(), 20 * (67 + 58 * count));
        let world = &mut ledger.client.world;
        let proposed = world.call(MEMBER, ledger.bridge, &call).expect("a sweep");
        let raw = proposed
            .logs
            .iter()
            .find_map(|log| Bridge::VaultTransactionProposed::decode_log(log).ok())
            .expect("a proposal is an event")
            .data
            .transaction;

        let swept: Transaction = encode::deserialize(&raw).expect("one transaction");
        let mut next = Block {
            header: block.header,
            txdata: [vec![coinbase(), swept.clone()], block.txdata[1..4000].to_vec()].concat(),
        };
        let root = next.compute_merkle_root().expect("has transactions");
        next.header = mine(hash(&block.header), START + 1, LIMIT, 0, Some(root));
        let last = mine(hash(&next.header), START + 2, LIMIT, 0, None);
        ledger.client.submit(&[next.header, last], START + 2).expect("valid");
        let proof = InclusionProof::build(&next, swept.compute_txid()).expect("in the block");
        let call = Bridge::settleCall { number: U256::from(1), transaction: raw, inclusion: bridge_proof(&proof) };
        let world = &mut ledger.client.world;
        let settled = world.call(Address::ZERO, ledger.bridge, &call).expect("confirmed");
        println!(
            "{count} deposits: {submitted} gas for a header alone, {} to propose, {} to settle",
            proposed.gas, settled.gas
        );
        assert!(proposed.gas < MAX_TRANSACTION_GAS, "propose {}", proposed.gas);
        assert!(settled.gas < MAX_TRANSACTION_GAS, "settle {}", settled.gas);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Addresses made in Rust are what the bridge expects, and the transaction it writes is what rust-bitcoin reads.
    #[test]
    fn deposits_made_in_rust_are_swept_by_the_bridge(
        secret in prop::array::uniform32(1u8..), owner in prop::array::uniform32(1u8..),
        recipient in prop::array::uniform20(any::<u8>()), delay in 2u16.., amounts in prop::collection::vec(100_000u64..1 << 40, 1..6),
        rate in 1u64..20,
    ) {
        let secp = Secp256k1::new();
        let key = |bytes: &[u8; 32]| SecretKey::from_slice(bytes).map(|secret| Keypair::from_secret_key(&secp, &secret));
        let (Ok(group), Ok(owner)) = (key(&secret), key(&owner)) else { return Ok(()) };
        prop_assume!(recipient != [0; 20]);
        let mut ledger = Ledger::new(group, delay);
        let terms = DepositTerms {
            recipient,
            reclaim_key: owner.x_only_public_key().0,
            max_fee: Amount::from_sat(50_000),
            epoch: 1,
        };
        let output = terms.output(&ledger.peg, ledger.group.x_only_public_key().0);
        let payments: Vec<Transaction> =
            amounts.iter().map(|amount| paying(*amount, output.script_pubkey())).collect();
        let block = block(payments.clone());
        ledger.client.submit(&[block.header], START).expect("a valid header");

        let proofs = payments.iter().map(|payment| deposit_proof(payment, &block, &terms, output.output_key_y()));
        let vsize = 67 + 58 * amounts.len() as u64;
        let call = sweep(proofs.collect(), rate * vsize);
        let done = ledger.client.world.call(MEMBER, ledger.bridge, &call);
        let done = match done {
            Ok(done) => done,
            Err(error) => return Err(TestCaseError::fail(error)),
        };
        let proposed = done.logs.iter()
            .find_map(|log| Bridge::VaultTransactionProposed::decode_log(log).ok())
            .expect("a proposal is an event");

        let mut transaction: Transaction = encode::deserialize(&proposed.transaction).expect("one transaction");
        prop_assert_eq!(word(transaction.compute_txid().as_byte_array()), proposed.txid);
        prop_assert_eq!(transaction.version, TransactionVersion::non_standard(3));
        for (input, payment) in transaction.input.iter_mut().zip(&payments) {
            prop_assert_eq!(input.previous_output, OutPoint::new(payment.compute_txid(), 0));
            input.witness = Witness::from_slice(&[[0; 64]]);
        }
        let inputs: u64 = amounts.iter().sum();
        let outputs: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        prop_assert_eq!(inputs - outputs, rate * vsize);
        prop_assert!(transaction.vsize() as u64 <= vsize, "{} vB", transaction.vsize());
        for spent in &proposed.inputs {
            prop_assert_eq!(spent.merkleRoot, B256::from(output.merkle_root().to_byte_array()));
            prop_assert_eq!(spent.outputKey, B256::from(output.output_key().serialize()));
        }
    }
}
