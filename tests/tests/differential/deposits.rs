//! Deposits and vault transactions: addresses made in Rust are swept by the bridge, and what it writes is what Rust reads.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolEvent, SolValue};
use api::peg::Terms;
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, PublicKey, SECP256K1, Scalar, SecretKey, XOnlyPublicKey};
use bitcoin::transaction::Version;
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, TapNodeHash, TapTweakHash, Transaction, Witness};
use contracts::bridge::{Bridge, IBitcoinLightClient, IBridge};
use contracts::coin::GENESIS_COINS_WEI;
use contracts::{
    BridgeArguments, Contract, Federation, FederationArguments, MemberArguments, TierArguments, creation_code,
};
use mainchain::deposit::{DepositOutput, DepositTerms, Peg};
use mainchain::proof::{InclusionProof, strip};
use mainchain::{Checkpoint, Network};
use proptest::prelude::*;
use tests::evm::word;

use crate::blocks::{LIMIT, START, block, block_on, hash, mine, transaction};
use crate::light_client::{LightClient, solidity_proof};

const NETWORK: B256 = B256::repeat_byte(0x77);
const MEMBER: Address = Address::repeat_byte(0xa1);

type Proposed = Bridge::VaultTransactionProposed;

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
        let federation =
            FederationArguments { network_id: NETWORK, threshold: 1, members: vec![member], recovery_leaf: leaf };
        let evm = &mut client.evm;
        let federation = evm
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
        let bridge = evm.create(creation_code(Contract::Bridge), &arguments, 2).expect("possible parameters");
        evm.set_balance(bridge, GENESIS_COINS_WEI);

        let vault = tweaked(group.x_only_public_key().0, leaf);
        let confirm = Federation::confirmKeyCall {
            network: NETWORK,
            epoch_: 1,
            groupKey_: x(&group.public_key()),
            vaultKeyX: x(&vault),
            vaultKeyY: y(&vault),
        };
        evm.call(MEMBER, federation, &confirm).expect("the vault key is the tweaked group key");
        let peg = Peg { network_id: NETWORK.0, bridge: bridge.into_array(), delay: delay.try_into().expect("not 0") };
        Self { client, bridge, group, peg }
    }

    /// A deposit's terms, and the output that they make.
    fn output(&self, recipient: [u8; 20], reclaim_key: XOnlyPublicKey) -> (DepositTerms, DepositOutput) {
        let terms = DepositTerms { recipient, reclaim_key, max_fee: Amount::from_sat(50_000), epoch: 1 };
        let output = terms.output(&self.peg, self.group.x_only_public_key().0);
        (terms, output)
    }

    /// The member proposes to sweep deposits: gas, and what the bridge says of the vault transaction.
    fn propose(&mut self, deposits: Vec<IBridge::DepositProof>, fee_sat: u64) -> Result<(u64, Proposed), String> {
        let proposal =
            IBridge::Proposal { network: NETWORK, deposits, vaultInputs: vec![], withdrawals: vec![], feeSat: fee_sat };
        let done = self.client.evm.call(MEMBER, self.bridge, &Bridge::proposeCall { proposal })?;
        let proposed = done.logs.iter().find_map(|log| Proposed::decode_log(log).ok());
        Ok((done.gas, proposed.expect("a proposal is an event").data))
    }

    /// Anybody settles the first vault transaction: gas.
    fn settle(&mut self, transaction: Bytes, proof: &InclusionProof) -> Result<u64, String> {
        let call = Bridge::settleCall { number: U256::from(1), transaction, inclusion: bridge_proof(proof) };
        self.client.evm.call(Address::ZERO, self.bridge, &call).map(|done| done.gas)
    }
}

fn tweaked(internal: XOnlyPublicKey, root: B256) -> PublicKey {
    let root = TapNodeHash::assume_hidden(root.0);
    let tweak: Scalar = TapTweakHash::from_key_and_tweak(internal, Some(root)).to_scalar();
    let (key, parity) = internal.add_tweak(SECP256K1, &tweak).expect("no such hash is known");
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
        terms: Terms::from(terms).into(),
        outputKeyY: B256::from(output_key_y),
        inclusion: bridge_proof(&proof),
    }
}

/// The same struct by another name: each contract's bindings have one of their own.
fn bridge_proof(proof: &InclusionProof) -> IBitcoinLightClient::InclusionProof {
    SolValue::abi_decode(&solidity_proof(proof).abi_encode()).expect("the same fields in the same order")
}

/// Pays an amount in satoshis to a script, in its output 0.
fn paying(amount: u64, to: ScriptBuf) -> Transaction {
    let mut payment = transaction(amount, 0);
    payment.output[0].script_pubkey = to;
    payment
}

/// Gas of the largest transaction (EIP-7825).
const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// Virtual bytes of a vault transaction that only sweeps, as the bridge counts them: 67, and 58 for each deposit.
fn sweep_vsize(deposits: usize) -> u64 {
    67 + 58 * deposits as u64
}

/// From a full block (4,000 transactions, proofs of 12 levels): what a sweep of 1 and of the most deposits costs to propose
/// and to settle.
#[test]
fn the_largest_sweep_fits_a_transaction() {
    for count in [1, 64] {
        let (submitted, proposed, settled) = gas_of_a_sweep(count);
        println!("{count} deposits: {submitted} gas for a header alone, {proposed} to propose, {settled} to settle");
        assert!(proposed < MAX_TRANSACTION_GAS, "propose {proposed}");
        assert!(settled < MAX_TRANSACTION_GAS, "settle {settled}");
    }
}

/// To submit the deposits' header, to propose the sweep, and to settle it.
fn gas_of_a_sweep(count: u8) -> (u64, u64, u64) {
    let group = Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range");
    let mut ledger = Ledger::new(group, 1008);
    let outputs: Vec<_> =
        (0..count).map(|number| ledger.output([0x10 + number; 20], group.x_only_public_key().0)).collect();
    let payments: Vec<_> =
        (0..).zip(&outputs).map(|(number, (_, output))| paying(1_000_000 + number, output.script_pubkey())).collect();
    let fillers = (0..4000 - u64::from(count)).map(|salt| transaction(salt, 34));
    let block = block(payments.iter().cloned().chain(fillers).collect());
    let submitted = ledger.client.submit(&[block.header], START).expect("valid");

    let proofs = payments.iter().zip(&outputs);
    let proofs = proofs.map(|(payment, (terms, output))| deposit_proof(payment, &block, terms, output.output_key_y()));
    let (proposed, event) = ledger.propose(proofs.collect(), 20 * sweep_vsize(count.into())).expect("a sweep");

    let swept: Transaction = encode::deserialize(&event.transaction).expect("one transaction");
    let others = block.txdata[1..4000].to_vec();
    let next = block_on(&block.header, START + 1, [vec![swept.clone()], others].concat());
    let last = mine(hash(&next.header), START + 2, LIMIT, 0, None);
    ledger.client.submit(&[next.header, last], START + 2).expect("valid");
    let proof = InclusionProof::build(&next, swept.compute_txid()).expect("in the block");
    let settled = ledger.settle(event.transaction, &proof).expect("confirmed");
    (submitted, proposed, settled)
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
        let key = |bytes: &[u8; 32]| SecretKey::from_slice(bytes).map(|secret| Keypair::from_secret_key(SECP256K1, &secret));
        let (Ok(group), Ok(owner)) = (key(&secret), key(&owner)) else { return Ok(()) };
        prop_assume!(recipient != [0; 20]);
        let mut ledger = Ledger::new(group, delay);
        let (terms, output) = ledger.output(recipient, owner.x_only_public_key().0);
        let payments: Vec<Transaction> =
            amounts.iter().map(|amount| paying(*amount, output.script_pubkey())).collect();
        let block = block(payments.clone());
        ledger.client.submit(&[block.header], START).expect("a valid header");

        let proofs = payments.iter().map(|payment| deposit_proof(payment, &block, &terms, output.output_key_y()));
        let fee_sat = rate * sweep_vsize(amounts.len());
        let (_, proposed) = ledger.propose(proofs.collect(), fee_sat).map_err(TestCaseError::fail)?;
        is_the_sweep_of(&proposed, &payments, &output, fee_sat)?;
    }
}

/// rust-bitcoin reads in the bridge's event the transaction that spends the payments, at this fee, and the keys to sign with.
fn is_the_sweep_of(
    proposed: &Proposed,
    payments: &[Transaction],
    output: &DepositOutput,
    fee_sat: u64,
) -> Result<(), TestCaseError> {
    let mut transaction: Transaction = encode::deserialize(&proposed.transaction).expect("one transaction");
    prop_assert_eq!(word(transaction.compute_txid().as_byte_array()), proposed.txid);
    prop_assert_eq!(transaction.version, Version::non_standard(3));
    prop_assert_eq!(transaction.input.len(), payments.len());
    for (input, payment) in transaction.input.iter_mut().zip(payments) {
        prop_assert_eq!(input.previous_output, OutPoint::new(payment.compute_txid(), 0));
        input.witness = Witness::from_slice(&[[0; 64]]);
    }
    let inputs: u64 = payments.iter().map(|payment| payment.output[0].value.to_sat()).sum();
    let outputs: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
    prop_assert_eq!(inputs - outputs, fee_sat);
    let vsize = sweep_vsize(payments.len());
    prop_assert!(transaction.vsize() as u64 <= vsize, "{} vB", transaction.vsize());
    prop_assert_eq!(proposed.inputs.len(), payments.len());
    for spent in &proposed.inputs {
        prop_assert_eq!(spent.merkleRoot, B256::from(output.merkle_root().to_byte_array()));
        prop_assert_eq!(spent.outputKey, B256::from(output.output_key().serialize()));
    }
    Ok(())
}
