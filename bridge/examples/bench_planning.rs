//! What deciding on the next proposals costs with long queues, on one core: `cargo run --release -p causeway-bridge --example bench_planning`.
//!
//! 10,000 withdrawals and 10,000 deposits wait, half of which cannot pay at the present rate, and 40 vault outputs are there. Each is the median of several runs. Prints one line a case:
//! `name <tab> microseconds`.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid, XOnlyPublicKey};
use bridge::peg::Content;
use bridge::plan::{Budget, Conditions, Replaced, consolidation, payout, sweep, version};
use bridge::vault_tx::{Deposit, LedgerFacts, Output, Rules, Withdrawal, build};

const RUNS: usize = 21;
const QUEUE: u32 = 10_000;
const OUTPUTS: u32 = 40;
const RATE: u64 = 2_000;

fn main() {
    let ledger = ledger();
    let on = Conditions {
        rate: RATE,
        usual_rate: 2 * RATE,
        low_rate: 1_000,
        now_s: 100_000,
        tip: 2_000,
        recovery_delay: 26_000,
        budget: Budget::default(),
    };
    report("sweep", || sweep(&ledger, &on));
    report("payout", || payout(&ledger, &on));
    report("consolidation", || consolidation(&ledger, &on));
    let content = payout(&ledger, &on).expect("there is enough to pay");
    let built = build(&content, &ledger).expect("the ledger takes what is planned");
    let ledger = bound(ledger, &content);
    let replaced = Replaced { content: &content, fee: built.fee, vsize: built.vsize, bound_rate: content.rate };
    report("another version of the payout", || version(&replaced, &ledger, &Conditions { rate: 2 * RATE, ..on }));
}

/// Withdrawals and deposits of which every second one is too poor.
fn ledger() -> LedgerFacts {
    let poor = |number: u32| if number.is_multiple_of(2) { sat(100) } else { sat(9_000) };
    let deposit = |number: u32| {
        let deposit = Deposit {
            amount: sat(100_000),
            max_fee: poor(number),
            epoch: 1,
            was_bound: false,
            minted: None,
            for_reserve: false,
            height: 1_000 + number % 500,
            in_use: false,
        };
        (outpoint(number), deposit)
    };
    let withdrawal = |number: u32| {
        let script = ScriptBuf::from_bytes(vec![0x51; 34]);
        let withdrawal = Withdrawal { amount: sat(50_000), max_fee: poor(number), script, tie: None, asked_at: 50_000 };
        (number.into(), withdrawal)
    };
    let output = |number: u32| {
        let (txid, amount) = (outpoint(number).txid, sat(400_000));
        (number, Output { txid, amount, epoch: 1, height: 1_000, is_rooted: true, in_use: false })
    };
    LedgerFacts {
        rules: rules(),
        deposits: (1..=QUEUE).map(deposit).collect(),
        outputs: (1..=OUTPUTS).map(output).collect(),
        withdrawals: (1..=QUEUE).map(withdrawal).collect::<BTreeMap<_, _>>(),
        coming: Vec::new(),
        bound: BTreeSet::new(),
        reserve_sat: 10_000_000,
        credit: Amount::ZERO,
        cap_left: sat(100_000_000_000),
        window_left: sat(10_000_000_000),
        epoch: 1,
        vault_key: XOnlyPublicKey::from_slice(&[2; 32]).expect("a point"),
    }
}

fn rules() -> Rules {
    Rules {
        peg_in_fee: sat(20),
        peg_out_fee: sat(50),
        useful: sat(5_000),
        min_rate: 1_000,
        max_rate: 1_000_000,
        max_inputs: 64,
        max_payouts: 250,
        window: sat(10_000_000_000),
        window_s: 86_400,
        reclaim_delay: 1_008,
    }
}

fn bound(mut ledger: LedgerFacts, content: &Content) -> LedgerFacts {
    for id in &content.withdrawals {
        if let Some(withdrawal) = ledger.withdrawals.get_mut(id) {
            withdrawal.tie = content.outputs.first().copied();
        }
    }
    ledger
}

fn sat(sat: u64) -> Amount {
    Amount::from_sat(sat)
}

fn outpoint(number: u32) -> OutPoint {
    let mut txid = [0xaa; 32];
    txid[..4].copy_from_slice(&number.to_be_bytes());
    OutPoint { txid: Txid::from_byte_array(txid), vout: 0 }
}

fn report(what: &str, mut plan: impl FnMut() -> Option<Content>) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let content = black_box(plan());
            assert!(content.is_some(), "{what}: there is something to propose");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("plan with {QUEUE} in each queue: {what}\t{}", times[RUNS / 2].as_micros());
}
