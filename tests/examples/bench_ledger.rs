//! What the ledger's calls cost as transactions of their own, in gas, alone and in the largest batch; and what payouts weigh and cost on Bitcoin.
//! Proofs are of full blocks (4,000 transactions, 12 levels). Prints lines: `name <tab> value`, the unit in the name.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue as _};
use bitcoin::block::Header;
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Keypair, SECP256K1};
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Transaction, TxOut, Witness};
use contracts::address::{BRIDGE, DEPOSITS, VAULT};
use contracts::coin::wei;
use contracts::{Bridge, Deposits, IBridge, IVault, Vault, deposits};
use mainchain::Network;
use mainchain::deposit::DepositTerms;
use tests::blocks::{LIMIT, START, block_on, hash, mine, transaction};
use tests::ledger::{Bound, Ledger, parameters};

/// Transactions of a block, without its coinbase.
const FULL: usize = 3_999;
/// 1 sat/vB.
const RATE: u64 = 1_000;
const RESERVE_SAT: u64 = 100_000_000;
const DEPOSIT_SAT: u64 = 1_000_000;
const WITHDRAWAL_SAT: u64 = 10_000;
const MAX_FEE_SAT: u64 = 1_000;
/// Of what the reserve adds.
const NO_BOUND: u64 = u64::MAX;
/// Blocks that no reorganisation takes.
const FINAL_BLOCKS: u32 = 7;
/// The most that a genesis file has by default.
const DEPOSITS_OF_A_SWEEP: usize = 64;
/// How many withdrawals a payout has; the last is the most that a genesis file has by default.
const WITHDRAWALS_OF_A_PAYOUT: [usize; 4] = [1, 10, 100, 200];
/// A signature for a taproot output.
const SIGNATURE_BYTES: usize = 64;
const OWNER: Address = Address::repeat_byte(0x0e);

fn main() {
    headers();
    sweeps();
    withdrawals();
    later_mints();
    let mut chain = Chain::new(parameters());
    chain.reserve();
    let payouts = WITHDRAWALS_OF_A_PAYOUT.map(|count| chain.payout(count));
    chain.unsettle(&payouts);
}

fn gas(what: &str, gas: u64) {
    println!("gas: {what}\t{gas}");
}

/// In batches of one and of a hundred.
fn headers() {
    let mut ledger = Ledger::new(group(), parameters());
    let (mut previous, mut all) = (Network::Regtest.genesis(), Vec::new());
    for salt in 0..101 {
        previous = mine(hash(&previous), START + salt, LIMIT, salt.into(), None);
        all.push(previous);
    }
    gas("a header alone", ledger.submit(&all[..1], START).expect("valid"));
    let batch = ledger.submit(&all[1..], START + 100).expect("valid");
    gas("a header in a batch of 100", batch / 100);
}

/// What deposits cost from their proof to their coins.
fn sweeps() {
    let mut chain = Chain::new(parameters());
    chain.reserve();
    for count in [1, DEPOSITS_OF_A_SWEEP] {
        let (prove, outpoints) = chain.prove(count);
        gas(&format!("prove one of {count} deposits of a block"), prove);
        let bound = chain.bind(&swept(outpoints), &format!("a sweep of {count}"));
        let settled = chain.settle(&bound);
        gas(&format!("settle a sweep of {count}, which mints"), settled);
        assert_eq!(chain.ledger.books().unminted_sat, 0, "all are minted at once");
    }
}

/// Coins of deposits that were not deep enough when their sweep settled.
fn later_mints() {
    let tier = |confirmations, up_to_sat| IBridge::Tier { confirmations, upToSat: up_to_sat };
    let tiers = vec![tier(FINAL_BLOCKS - 1, 2_100_000_000_000_000), tier(FINAL_BLOCKS, u64::MAX)];
    let mut chain = Chain::new(IBridge::Parameters { finalBlocks: FINAL_BLOCKS, tiers, ..parameters() });
    chain.reserve();
    for count in [1, DEPOSITS_OF_A_SWEEP] {
        let (_, outpoints) = chain.prove(count);
        let bound = chain.ledger.bind(&swept(outpoints)).expect("a sweep");
        gas(&format!("settle a sweep of {count}, which is not deep enough"), chain.settle(&bound));
        chain.pass(FINAL_BLOCKS);
        let number = bound.event.number;
        let content = deposits::IVault::Content::abi_decode(&bound.event.content.abi_encode()).expect("the same type");
        let call = Deposits::mintCall { number, content, which: (0..count).map(U256::from).collect() };
        gas(&format!("mint {count} later"), chain.call(DEPOSITS, &call));
    }
}

/// What its owner does with a withdrawal.
fn withdrawals() {
    let mut chain = Chain::new(parameters());
    chain.reserve();
    // Who asks first pays for a page of the queue.
    chain.withdraw();
    gas("withdraw to P2TR", chain.withdraw());
    let id = U256::from(2);
    gas("raise a maximum", chain.owner(&Bridge::raiseCall { id, maxFeeSat: 2 * MAX_FEE_SAT }));
    gas("cancel", chain.owner(&Bridge::cancelCall { id }));
    chain.withdraw();
    let bound = chain.ledger.bind(&chain.paying(&[1])).expect("a payout");
    let dearer = IVault::Content { rate: 2 * RATE, ..bound.event.content.clone() };
    let dearer = chain.ledger.bind(&dearer).expect("another version");
    chain.settle(&dearer);
    chain.pass(FINAL_BLOCKS);
    let (number, content) = (bound.event.number, bound.event.content);
    let void = Vault::voidOutputCall { number, content, input: U256::ZERO };
    gas("show that a version can never confirm", chain.call(VAULT, &void));
    chain.ledger.evm.set_time(u64::from(chain.time + parameters().refundAfter) + 1);
    gas("refund", chain.call(BRIDGE, &Bridge::refundCall { id: U256::from(3) }));
}

/// A ledger on a chain of full blocks.
struct Chain {
    ledger: Ledger,
    group: Keypair,
    tip: Header,
    time: u32,
    /// Deposits and fillers so far: no two are alike.
    made: u64,
    /// The vault output to spend.
    last: u32,
    withdrawals: u64,
}

/// A settled payout, and the block before.
struct Paid {
    count: usize,
    bound: Bound,
    before: Header,
}

impl Chain {
    fn new(parameters: IBridge::Parameters) -> Self {
        let group = group();
        let ledger = Ledger::new(group, parameters);
        Self { ledger, group, tip: Network::Regtest.genesis(), time: START, made: 0, last: 1, withdrawals: 0 }
    }

    /// A full block with these.
    fn block(&mut self, mut transactions: Vec<Transaction>) -> Block {
        transactions.extend((transactions.len() as u64..FULL as u64).map(|salt| transaction(salt, 34)));
        self.time += 1;
        let block = block_on(&self.tip, self.time, transactions);
        self.ledger.submit(&[block.header], self.time).expect("valid");
        self.tip = block.header;
        block
    }

    /// Blocks without transactions of ours.
    fn pass(&mut self, blocks: u32) {
        for _ in 0..blocks {
            self.block(Vec::new());
        }
    }

    /// A deposit to the reserve, swept and final: the first vault output.
    fn reserve(&mut self) {
        let terms = terms(BRIDGE.into_array(), &self.group);
        let (_, outpoints) = self.prove_all(&[(RESERVE_SAT, terms)]);
        self.pass(FINAL_BLOCKS);
        let bound = self.ledger.bind(&swept(outpoints)).expect("the reserve is exempt");
        self.settle(&bound);
        self.pass(FINAL_BLOCKS);
    }

    /// Deposits in one block, each proven: the most that one cost, and which.
    fn prove(&mut self, count: usize) -> (u64, Vec<OutPoint>) {
        let deposits: Vec<_> = (0..count).map(|_| self.deposit()).collect();
        self.prove_all(&deposits)
    }

    fn deposit(&mut self) -> (u64, DepositTerms) {
        self.made += 1;
        let mut recipient = [0x10; 20];
        recipient[..8].copy_from_slice(&self.made.to_be_bytes());
        (DEPOSIT_SAT + self.made, terms(recipient, &self.group))
    }

    fn prove_all(&mut self, deposits: &[(u64, DepositTerms)]) -> (u64, Vec<OutPoint>) {
        let payments: Vec<Transaction> = deposits.iter().map(|(sat, terms)| self.payment(*sat, terms)).collect();
        let block = self.block(payments.clone());
        let proven = payments.iter().zip(deposits).map(|(payment, (_, terms))| {
            let (gas, _) = self.ledger.prove(payment, &block, terms).expect("it pays the address");
            (gas, OutPoint::new(payment.compute_txid(), 0))
        });
        let (gas, outpoints): (Vec<u64>, _) = proven.unzip();
        (gas.into_iter().max().unwrap_or_default(), outpoints)
    }

    fn payment(&self, sat: u64, terms: &DepositTerms) -> Transaction {
        let mut payment = transaction(sat, 0);
        payment.output[0].script_pubkey = self.ledger.output(terms).script_pubkey();
        payment
    }

    fn bind(&mut self, content: &IVault::Content, what: &str) -> Bound {
        let bound = self.ledger.bind(content).expect("the ledger takes it");
        gas(&format!("propose {what}"), bound.propose_gas);
        gas(&format!("approve {what}, without commitments"), bound.approve_gas);
        gas(&format!("bind {what}"), bound.bind_gas);
        bound
    }

    fn settle(&mut self, bound: &Bound) -> u64 {
        let block = self.block(vec![read(&bound.event.transaction)]);
        self.ledger.settle(&bound.event, &block).expect("confirmed")
    }

    /// Asks for a payout to a P2TR output: gas.
    fn withdraw(&mut self) -> u64 {
        self.withdrawals += 1;
        self.ledger.evm.set_balance(OWNER, wei(WITHDRAWAL_SAT));
        let script = [&[0x51, 32][..], &B256::from(U256::from(self.withdrawals)).0].concat();
        let call = Bridge::withdrawCall { script: script.into(), maxFeeSat: MAX_FEE_SAT };
        self.ledger.evm.pay(OWNER, BRIDGE, wei(WITHDRAWAL_SAT), &call).expect("it is relayed").gas
    }

    fn paying(&self, withdrawals: &[u64]) -> IVault::Content {
        let (outputs, withdrawals) = (vec![self.last], withdrawals.to_vec());
        IVault::Content { epoch: 1, rate: RATE, reserveSat: NO_BOUND, deposits: Vec::new(), outputs, withdrawals }
    }

    /// From requests to settlement.
    fn payout(&mut self, count: usize) -> Paid {
        let first = self.withdrawals + 1;
        for _ in 0..count {
            self.withdraw();
        }
        let content = self.paying(&(first..first + count as u64).collect::<Vec<_>>());
        let bound = self.bind(&content, &format!("a payout of {count}"));
        assert_eq!(bound.event.content.withdrawals.len(), count, "none is skipped");
        let before = self.tip;
        gas(&format!("settle a payout of {count}"), self.settle(&bound));
        self.last = bound.event.number;
        self.print_size(count, &bound.event);
        Paid { count, bound, before }
    }

    /// Signed, as Bitcoin counts it.
    fn print_size(&mut self, count: usize, bound: &Vault::Bound) {
        let mut signed = read(&bound.transaction);
        for input in &mut signed.input {
            input.witness = Witness::from_slice(&[[0; SIGNATURE_BYTES]]);
        }
        let paid: Amount = signed.output.iter().map(|output: &TxOut| output.value).sum();
        let fee = bound.amountsSat.iter().sum::<u64>() - paid.to_sat();
        let script = &signed.output.last().expect("it pays somebody").script_pubkey;
        let charged = self.charge(script);
        println!("virtual bytes: a payout of {count} to P2TR\t{}", signed.vsize());
        println!("satoshis at 1 sat/vB: the fee of a payout of {count}\t{fee}");
        println!("satoshis at 1 sat/vB: what each withdrawal of it is charged\t{charged}");
    }

    fn charge(&mut self, script: &ScriptBuf) -> u64 {
        self.ledger.evm.ask(BRIDGE, &Bridge::chargeCall { scriptLength: U256::from(script.len()), rate: RATE })
    }

    // before the first payout - payouts, one a block
    //                        \ one more, empty
    fn unsettle(&mut self, payouts: &[Paid]) {
        self.tip = payouts.first().expect("there are some").before;
        self.pass(payouts.len() as u32 + 1);
        for Paid { count, bound, .. } in payouts.iter().rev() {
            let (number, content) = (bound.event.number, bound.event.content.clone());
            let unsettled = self.call(VAULT, &Vault::unsettleCall { number, content });
            gas(&format!("unsettle a payout of {count}"), unsettled);
        }
    }

    fn owner(&mut self, call: &impl SolCall) -> u64 {
        self.ledger.evm.call(OWNER, BRIDGE, call).expect("it is the owner's").gas
    }

    /// By anybody.
    fn call(&mut self, to: Address, call: &impl SolCall) -> u64 {
        self.ledger.evm.call(Address::ZERO, to, call).expect("the ledger takes it").gas
    }
}

fn group() -> Keypair {
    Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range")
}

fn terms(recipient: [u8; 20], owner: &Keypair) -> DepositTerms {
    DepositTerms {
        recipient,
        claimant: [0; 20],
        reclaim_key: owner.x_only_public_key().0,
        max_fee: Amount::from_sat(50_000),
        data_hash: [0; 32],
        epoch: 1,
    }
}

fn swept(mut outpoints: Vec<OutPoint>) -> IVault::Content {
    outpoints.sort_by_key(|outpoint| (outpoint.txid.to_byte_array(), outpoint.vout));
    let outpoint =
        |outpoint: &OutPoint| IVault::Outpoint { txid: B256::from(outpoint.txid.to_byte_array()), vout: outpoint.vout };
    let deposits = outpoints.iter().map(outpoint).collect();
    IVault::Content {
        epoch: 1,
        rate: RATE,
        reserveSat: NO_BOUND,
        deposits,
        outputs: Vec::new(),
        withdrawals: Vec::new(),
    }
}

fn read(bytes: &Bytes) -> Transaction {
    encode::deserialize(bytes).expect("one transaction")
}
