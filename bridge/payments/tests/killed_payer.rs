//! A payer that is killed with SIGKILL, again and again, while requests are in flight: no total is signed for two requests, and whatever was promised is sent again, so
//! that in the end exactly what was promised is what was charged.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};
use std::time::Duration;

use alloy_primitives::B256;
use payments::io::payee::{Answer, DurablePayee};
use payments::payee::Offer;
use payments::voucher::SignedVoucher;
use serde::Deserialize;

use crate::payers::{CHAIN_ID, CONTRACT, PRICE, kill_after, next, payee, start};

mod payers;

const ROUNDS: u64 = 25;
const IN_FLIGHT: usize = 64;

#[derive(Deserialize)]
struct Line {
    request: B256,
    voucher: SignedVoucher,
}

/// What the test remembers beside both: all that was ever signed, and all that was answered.
#[derive(Default)]
struct Seen {
    request_of: BTreeMap<u128, B256>,
    charged: BTreeMap<B256, u128>,
    named: u64,
}

impl Seen {
    /// Reads vouchers and answers each, and asks for more while fewer than 64 are in flight, until the payer is gone or `most` more were named and all were answered.
    fn serve(&mut self, payee: &DurablePayee, child: &mut Child, most: u64) {
        let mut input = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // What was not answered comes first, unasked.
        let again: usize = lines.next().and_then(|line| line.ok()?.parse().ok()).unwrap_or(0);
        assert!(again <= IN_FLIGHT, "{again} were in flight");
        let (end, mut waiting) = (self.named.saturating_add(most), again);
        waiting += self.ask(&mut input, IN_FLIGHT - again);
        while let Some(Ok(line)) = lines.next() {
            // Half a line, and the payer is gone: not signed, as nobody can use it.
            let Ok(Line { request, voucher }) = serde_json::from_str(&line) else { break };
            let total = voucher.voucher.cumulative_amount;
            let before = self.request_of.insert(total, request);
            assert!(before.is_none_or(|before| before == request), "total {total} was signed for two requests");
            let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: PRICE, request };
            let receipt = payee.accept(offer, 0).and_then(Answer::wait).expect("what a payer signs is taken");
            self.charged.insert(request, receipt.receipt.price);
            let told = writeln!(input, "{}", serde_json::to_string(&receipt).expect("json"));
            if told.is_err() {
                break;
            }
            waiting = waiting.saturating_sub(1);
            if self.named < end {
                waiting += self.ask(&mut input, 1);
            } else if waiting == 0 {
                break;
            }
        }
    }

    fn ask(&mut self, input: &mut ChildStdin, count: usize) -> usize {
        let first = self.named;
        self.named += count as u64;
        (first..self.named).take_while(|name| writeln!(input, "pay {name}").is_ok()).count()
    }
}

#[test]
fn a_payer_that_is_killed_at_any_moment_signs_no_total_twice_and_loses_nothing_that_it_promised() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let payee = payee(&directory.path().join("payee"));
    let promises = directory.path().join("payer");
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    let (mut seen, mut state) = (Seen::default(), seed);
    for _ in 0..ROUNDS {
        let delay = Duration::from_micros(2_000 + next(&mut state) % 100_000);
        let mut child = start("payer_by_lines", [&promises]);
        let killer = kill_after(delay, &child);
        seen.serve(&payee, &mut child, u64::MAX);
        assert!(killer.join().expect("the killer").expect("kill exists").success());
        child.wait().expect("a child");
    }
    // One that is not killed sends again what was not answered, and goes on.
    let mut child = start("payer_by_lines", [&promises]);
    seen.serve(&payee, &mut child, 1_000);
    assert!(child.wait().expect("a child").success());
    assert!(seen.request_of.len() > 1_000, "{} were signed in all", seen.request_of.len());

    let signed = *seen.request_of.last_key_value().expect("some").0;
    let charged: u128 = seen.charged.values().sum();
    assert_eq!(charged, signed, "what was charged is what was promised: no total was skipped, none was lost");
    assert_eq!(charged, PRICE * seen.charged.len() as u128, "each request was charged for once");
}
