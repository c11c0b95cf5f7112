//! Vault transactions: what a relayer makes of a content and of the ledger's answers is what `bind` makes of it, byte for byte, and it refuses what that refuses.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U256};
use api::peg::{Content, Limits, Parameters};
use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, SECP256K1};
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Transaction, Txid, XOnlyPublicKey};
use bridge::vault_tx::draft::{BindError, build, deposit_order};
use bridge::vault_tx::facts::{Deposit, LedgerFacts, Output, Rules, Withdrawal};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, VAULT};
use contracts::{Bridge, Deposits, Federation, IBridge, IDeposits, IVault, Vault};
use mainchain::deposit::DepositTerms;
use proptest::prelude::*;
use tests::ledger::{Ledger, parameters};

use crate::blocks::{START, block_on, transaction};

/// Scripts to pay to: P2WPKH, P2SH, P2PKH, P2TR, and the longest program.
const SCRIPTS: [&str; 5] = [
    "0014751e76e8199196d454941c45d1b3a323f1433bd6",
    "a914751e76e8199196d454941c45d1b3a323f1433bd687",
    "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac",
    "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "522879be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f817980102030405060708",
];

/// `IVault.OutputStatus` and `IBridge.WithdrawalStatus`, as they are encoded.
const LIVE: u8 = 2;
const QUEUED: u8 = 1;
const TIED: u8 = 2;

/// What is done next.
#[derive(Clone, Debug)]
enum Step {
    /// A sweep of the deposits whose place is in the bits.
    Sweep { which: u64, rate: u64, reserve_sat: u64 },
    /// A payout, or a consolidation where no withdrawal is named. The outputs are named from one on.
    Payout { first: usize, outputs: u64, withdrawals: u64, rate: u64, reserve_sat: u64 },
    /// A block with the bound transaction at this place, counted from the last, which is settled.
    Settle { back: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let rate = || prop_oneof![4 => 1_000u64..6_000, 1 => 500u64..200_000];
    let reserve = || prop_oneof![3 => 0u64..3_000, 2 => Just(1_000_000u64)];
    prop_oneof![
        3 => (any::<u64>(), rate(), reserve()).prop_map(|(which, rate, reserve_sat)| Step::Sweep { which, rate, reserve_sat }),
        5 => (0usize..6, any::<u64>(), prop_oneof![4 => any::<u64>(), 1 => Just(0)], rate(), reserve()).prop_map(
            |(first, outputs, withdrawals, rate, reserve_sat)| Step::Payout { first, outputs, withdrawals, rate, reserve_sat }
        ),
        4 => (0usize..3).prop_map(|back| Step::Settle { back }),
    ]
}

/// A ledger, and what was done with it.
struct Made {
    ledger: Ledger,
    parameters: IBridge::Parameters,
    deposits: Vec<OutPoint>,
    withdrawals: u64,
    bound: Vec<Vault::Bound>,
    tip: Block,
    time: u32,
}

impl Made {
    fn new(amounts: &[(u64, u64)], asked: &[(u64, u64, usize)], parameters: IBridge::Parameters) -> Self {
        let group = Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range");
        let mut ledger = Ledger::new(group, parameters.clone());
        let terms = |max_fee: u64, recipient: [u8; 20]| DepositTerms {
            recipient,
            claimant: [0; 20],
            reclaim_key: group.x_only_public_key().0,
            max_fee: Amount::from_sat(max_fee),
            data_hash: [0; 32],
            epoch: 1,
        };
        let mut all = vec![(30_000, terms(5_000, BRIDGE.into_array()))];
        all.extend(amounts.iter().map(|(amount, max_fee)| (*amount, terms(*max_fee, [9; 20]))));
        let payment = |(amount, terms): &(u64, DepositTerms)| {
            let mut payment = transaction(*amount, 0);
            payment.output[0].script_pubkey = ledger.output(terms).script_pubkey();
            payment
        };
        let payments: Vec<Transaction> = all.iter().map(payment).collect();
        let block = crate::blocks::block(payments.clone());
        ledger.submit(&[block.header], START).expect("valid");
        for (payment, (_, terms)) in payments.iter().zip(&all) {
            ledger.prove(payment, &block, terms).expect("it pays the address");
        }
        let deposits = payments.iter().map(|payment| OutPoint::new(payment.compute_txid(), 0)).collect();
        let (bound, withdrawals) = (Vec::new(), 0);
        let mut made = Self { ledger, parameters, deposits, withdrawals, bound, tip: block, time: START };
        for (amount, max_fee, script) in asked {
            let script = ScriptBuf::from_hex(SCRIPTS[*script]).expect("hex").into_bytes();
            made.withdrawals += u64::from(made.ledger.withdraw(script.into(), *amount, *max_fee).is_ok());
        }
        made
    }

    /// What the contracts answer, as a relayer keeps it.
    fn facts(&mut self) -> LedgerFacts {
        let evm = &mut self.ledger.evm;
        let vault_key = evm.ask(FEDERATION, &Federation::vaultKeyCall { epoch_: 1 });
        let limits = Limits::from(evm.ask(BRIDGE, &Bridge::limitsCall {}));
        let mut facts = LedgerFacts {
            rules: Rules::from(&Parameters::from(self.parameters.clone())),
            deposits: BTreeMap::new(),
            outputs: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            coming: Vec::new(),
            bound: self.bound.iter().map(|bound| Txid::from_byte_array(bound.txid.0)).collect::<BTreeSet<_>>(),
            reserve_sat: evm.ask(BRIDGE, &Bridge::booksCall {}).reserve,
            credit: Amount::ZERO,
            cap_left: Amount::ZERO,
            window_left: Amount::ZERO,
            epoch: 1,
            vault_key: XOnlyPublicKey::from_slice(vault_key.as_slice()).expect("a key"),
        };
        facts.limit(&limits);
        for outpoint in &self.deposits {
            let call = Deposits::depositCall { txid: B256::from(outpoint.txid.to_byte_array()), vout: outpoint.vout };
            facts.deposits.extend(sweepable(&evm.ask(DEPOSITS, &call)).map(|deposit| (*outpoint, deposit)));
        }
        for bound in &self.bound {
            let found = evm.ask(VAULT, &Vault::vaultTransactionCall { number: bound.number });
            facts.outputs.extend(live(&found).map(|output| (bound.number, output)));
        }
        for id in 1..=self.withdrawals {
            let found = evm.ask(BRIDGE, &Bridge::withdrawalCall { id: U256::from(id) });
            facts.withdrawals.extend(open(&found).map(|withdrawal| (id, withdrawal)));
        }
        facts
    }

    /// Of outputs: mostly those that are live, so that more is bound than refused.
    fn numbers(&mut self, all: bool) -> Vec<u32> {
        let live: Vec<u32> = self.facts().outputs.into_keys().collect();
        if all || live.is_empty() { self.bound.iter().map(|bound| bound.number).collect() } else { live }
    }

    fn content(&mut self, step: &Step) -> Option<Content> {
        match *step {
            Step::Sweep { which, rate, reserve_sat } => {
                let mut deposits: Vec<OutPoint> = chosen(which, &self.deposits);
                deposits.sort_by_key(deposit_order);
                Some(Content { epoch: 1, rate, reserve_sat, deposits, ..Content::default() })
            }
            Step::Payout { first, outputs, withdrawals, rate, reserve_sat } => {
                let numbers = self.numbers(first == 0);
                let first = *numbers.get(first % numbers.len().max(1))?;
                let further = chosen(outputs, &numbers).into_iter().filter(|number| *number != first);
                let outputs = [first].into_iter().chain(further).collect();
                let withdrawals = chosen(withdrawals, &(1..=self.withdrawals).collect::<Vec<_>>());
                Some(Content { epoch: 1, rate, reserve_sat, deposits: vec![], outputs, withdrawals })
            }
            Step::Settle { .. } => None,
        }
    }

    /// Binds a content in both, and compares.
    fn bind(&mut self, content: &Content) -> Result<(), TestCaseError> {
        let ours = build(content, &self.facts());
        match (self.ledger.bind(&IVault::Content::from(content)), ours) {
            (Ok(bound), Ok(ours)) => {
                let bound = bound.event;
                prop_assert_eq!(encode::serialize(&ours.transaction), bound.transaction.to_vec());
                prop_assert_eq!(&ours.content, &Content::from(bound.content.clone()));
                prop_assert_eq!(ours.change.to_sat(), bound.changeSat);
                let amounts: Vec<u64> = ours.amounts.iter().map(|amount| amount.to_sat()).collect();
                prop_assert_eq!(&amounts, &bound.amountsSat);
                self.bound.push(bound);
                Ok(())
            }
            (Err(theirs), Err(ours)) => {
                prop_assert!(theirs.starts_with(name(&ours)), "{theirs}, here {ours:?}");
                Ok(())
            }
            (theirs, ours) => Err(TestCaseError::fail(format!("{theirs:?}, here {ours:?}"))),
        }
    }

    fn settle(&mut self, step: &Step) {
        let Step::Settle { back } = step else { return };
        let Some(bound) = self.bound.iter().rev().nth(*back).cloned() else { return };
        self.time += 600;
        let transaction: Transaction = encode::deserialize(&bound.transaction).expect("a transaction");
        let next = block_on(&self.tip.header, self.time, vec![transaction]);
        self.ledger.submit(&[next.header], self.time).expect("valid");
        // Refused where its inputs are spent: then nothing changes.
        let _ = self.ledger.settle(&bound, &next);
        self.tip = next;
    }
}

fn chosen<T: Copy>(which: u64, all: &[T]) -> Vec<T> {
    all.iter().enumerate().filter(|(place, _)| which >> (place % 64) & 1 == 1).map(|(_, one)| *one).collect()
}

fn sweepable(found: &IDeposits::Deposit) -> Option<Deposit> {
    let proven = found.sweptBy == 0;
    proven.then(|| Deposit {
        amount: Amount::from_sat(found.amountSat),
        max_fee: Amount::from_sat(found.maxFeeSat),
        epoch: found.epoch,
        was_bound: found.bound,
        minted: found.minted.then(|| Amount::from_sat(found.mintedSat)),
        for_reserve: found.recipient == BRIDGE,
        height: found.height,
        in_use: false,
    })
}

fn live(found: &IVault::VaultTransaction) -> Option<Output> {
    (found.output == LIVE).then(|| Output {
        txid: Txid::from_byte_array(found.txid.0),
        amount: Amount::from_sat(found.changeSat),
        epoch: found.epoch,
        height: found.height,
        is_rooted: found.rooted,
        in_use: false,
    })
}

fn open(found: &IBridge::Withdrawal) -> Option<Withdrawal> {
    [QUEUED, TIED].contains(&found.status).then(|| Withdrawal {
        amount: Amount::from_sat(found.amountSat),
        max_fee: Amount::from_sat(found.maxFeeSat),
        script: ScriptBuf::from_bytes(found.script.to_vec()),
        tie: (found.status == TIED).then_some(found.tie),
        asked_at: found.askedAt.to(),
    })
}

/// Of the contract's error.
fn name(error: &BindError) -> &'static str {
    match error {
        BindError::MixedOrEmpty => "MixedOrEmpty",
        BindError::TooMany { .. } => "TooMany",
        BindError::NotAscending => "NotAscending",
        BindError::Rate { .. } => "RateOutOfBounds",
        BindError::OutputNotLive(_) => "OutputNotLive",
        BindError::WrongEpoch { .. } => "WrongEpoch",
        BindError::NothingLeft => "NothingLeft",
        BindError::NotRooted(_) => "NotRooted",
        BindError::TooLittle { .. } => "TooLittle",
        BindError::ReserveTooSmall { .. } => "ReserveTooSmall",
        BindError::TooLarge(_) => "TransactionTooLarge",
        BindError::AlreadyBound(_) => "AlreadyBound",
    }
}

fn rules(cap: u64, window: u64) -> IBridge::Parameters {
    let mut rules = parameters();
    (rules.pegInFeeSat, rules.pegOutFeeSat, rules.floorRate) = (20, 50, 100);
    (rules.minRate, rules.maxRate, rules.usefulSat) = (600, 150_000, 5_000);
    (rules.capSat, rules.windowSat) = (cap, window);
    (rules.maxInputs, rules.maxPayouts) = (20, 30);
    rules
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is proposed in whatever order: skipped, made and refused alike.
    #[test]
    fn a_member_makes_of_a_content_what_bind_makes_of_it(
        amounts in prop::collection::vec((1_000u64..400_000, 50u64..20_000), 1..24),
        asked in prop::collection::vec((1_000u64..150_000, 60u64..5_000, 0usize..5), 0..40),
        steps in prop::collection::vec(any_step(), 6..30),
        (cap, window) in (1_000_000u64..9_000_000, 200_000u64..4_000_000),
        (first, stop) in (prop_oneof![Just(u64::MAX), Just(0b10)], prop_oneof![Just(u64::MAX), 2u64..40_000]),
    ) {
        // With a reserve, or none but credit.
        let rules = IBridge::Parameters { stopSat: stop, ..rules(cap, window) };
        let mut made = Made::new(&amounts, &asked, rules);
        let first = [Step::Sweep { which: first, rate: 1_000, reserve_sat: 1_000_000 }, Step::Settle { back: 0 }];
        for step in first.iter().chain(&steps) {
            match made.content(step) {
                Some(content) => made.bind(&content)?,
                None => made.settle(step),
            }
        }
    }
}
