//! Many blocks over many accounts on rocksdb, restarted on the way: any account and slot of any kept block is read and proved.

use super::*;
use crate::io::db::Database;

/// splitmix64: the seed decides everything.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

const BLOCKS: u64 = 120;
const RECEIVERS: u64 = 400;
const SLOTS: u64 = 60;

fn receiver(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[12..])
}

/// What a naive reader keeps of every block: all of it.
#[derive(Clone, Default)]
struct Model {
    balances: BTreeMap<u64, u64>,
    slots: BTreeMap<u64, u64>,
}

/// A block of transfers and writes, some of them back to zero; its effects are in the model.
fn block(random: &mut Random, model: &mut Model, nonces: &mut [u64; 4], writer: Address) -> Vec<Transaction> {
    (0..random.below(12))
        .map(|_| {
            let from = random.below(4);
            let nonce = &mut nonces[from as usize];
            *nonce += 1;
            let (key, nonce) = (Key::new(from + 1), *nonce - 1);
            if random.below(2) == 0 {
                let to = random.below(RECEIVERS);
                *model.balances.entry(to).or_default() += 5;
                key.transfer(CHAIN, nonce, receiver(to), 5)
            } else {
                let (slot, value) = (random.below(SLOTS), random.below(3));
                model.slots.insert(slot, value);
                write(&key, nonce, writer, slot, value)
            }
        })
        .collect()
}

fn check(chain: &Chain<Database>, number: u64, model: &Model, writer: Address, random: &mut Random) {
    let state = chain.state_at(number).expect("kept");
    let root = chain.header(number).expect("kept").expect("final").state_root;
    let (to, slot) = (random.below(RECEIVERS), random.below(SLOTS));
    let proof = state.proof(receiver(to), &[]).expect("in the window");
    let want = model.balances.get(&to).map(|balance| U256::from(*balance));
    assert_eq!(proof.account.map(|account| account.balance), want, "receiver {to} at {number}");
    let leaf = proof.account.map(alloy_rlp::encode);
    verify_proof(root, Nibbles::unpack(keccak256(receiver(to))), leaf, &proof.proof).expect("proved");
    let proof = state.proof(writer, &[U256::from(slot)]).expect("in the window");
    let account = proof.account.expect("deployed");
    verify_proof(root, Nibbles::unpack(keccak256(writer)), Some(alloy_rlp::encode(account)), &proof.proof)
        .expect("proved");
    let value = U256::from(model.slots.get(&slot).copied().unwrap_or_default());
    assert_eq!(proof.storage[0].value, value, "slot {slot} at {number}");
    let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
    let key = Nibbles::unpack(slot_hash(U256::from(slot)));
    verify_proof(account.storage_root, key, leaf, &proof.storage[0].proof).expect("proved");
}

#[test]
fn any_account_and_slot_of_any_kept_block_is_read_and_proved_across_restarts_and_pruning() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64));
    println!("SEED={seed}");
    let mut random = Random(seed);
    let directory = tempfile::tempdir().expect("a place for files");
    let retention = Retention { state_blocks: Some(70), proof_blocks: Some(60), body_blocks: Some(30) };
    let open = || {
        let database = Database::open_with(directory.path(), 1 << 20).expect("free");
        Chain::open_with(genesis(), database, retention, &allocation()).expect("the genesis is right")
    };
    let mut chain = open();
    let deployer = Key::new(9);
    next(&chain, vec![create(&deployer, 0, &WRITER)]);
    let writer = deployer.address.create(0);
    let (mut models, mut nonces) = (vec![Model::default(); 2], [0; 4]);
    for number in 2..=BLOCKS {
        let mut model = models.last().expect("not empty").clone();
        let transactions = block(&mut random, &mut model, &mut nonces, writer);
        let count = transactions.len();
        assert_eq!(next(&chain, transactions).block.transactions.len(), count);
        models.push(model);
        if random.below(15) == 0 {
            // What is in memory goes to files.
            drop(chain);
            chain = open();
        }
        let oldest = number.saturating_sub(60).max(1);
        let old = oldest + random.below(number - oldest + 1);
        check(&chain, old, &models[old as usize], writer, &mut random);
    }
    for number in BLOCKS - 60..=BLOCKS {
        check(&chain, number, &models[number as usize], writer, &mut random);
    }
    assert!(matches!(chain.state_at(BLOCKS - 71), Err(SimulateError::Store(StoreError::Pruned { oldest: 50, .. }))));
}
