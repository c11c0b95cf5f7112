//! A payer of streams that is killed with SIGKILL, again and again: no tick is given for two things, none that was given is forgotten, and nothing is given beyond the limit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Child;
use std::time::Duration;

use alloy_primitives::B256;
use payments::io::payee::{DurablePayee, PayeeError};
use payments::payee::streams::StreamOffer;
use payments::payee::{Offer, Refused};
use payments::stream::{SignedStream, TickRefused};
use payments::voucher::SignedVoucher;
use serde::Deserialize;

use crate::payers::{CHAIN_ID, CHANNEL, CONTRACT, PRICE, kill_after, next, payee, start};

mod payers;

const ROUNDS: u64 = 25;
const LIMIT: u128 = 20_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Tick { root: B256, number: u32, tick: B256 },
    Voucher { request: B256, voucher: SignedVoucher },
    Stream(SignedStream),
}

/// What the test remembers beside both.
#[derive(Default)]
struct Seen {
    streams: BTreeMap<B256, SignedStream>,
    /// The last tick of each stream that came.
    ticks: BTreeMap<B256, (u32, B256)>,
    /// What a total was first given for: a tick of a stream, or a request.
    given_for: BTreeMap<u128, (B256, u32)>,
    highest: u128,
    refused: usize,
}

impl Seen {
    /// Asks for ticks and now and then for a voucher, and takes what comes, until the payer is gone or so many lines were asked for.
    fn serve(&mut self, payee: &DurablePayee, child: &mut Child, asks: u64, state: &mut u64) {
        let mut input = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let asked: Vec<u64> = (0..asks).map(|_| next(state)).collect();
        let writer = std::thread::spawn(move || {
            // Until it is killed.
            let _ = asked.into_iter().try_for_each(|number| match number % 7 {
                0 => writeln!(input, "pay {number}"),
                _ => writeln!(input, "{}", 1 + number % 9),
            });
        });
        for line in lines.map_while(Result::ok) {
            self.take(payee, &line);
        }
        writer.join().expect("the writer");
    }

    fn take(&mut self, payee: &DurablePayee, line: &str) {
        if line.starts_with("error: ") {
            assert!(line.contains("are allowed"), "{line}");
            self.refused += 1;
            return;
        }
        // The last line of one that was killed may be half a line.
        let Ok(line) = serde_json::from_str(line) else { return };
        match line {
            Line::Stream(stream) => {
                let offer = StreamOffer { chain_id: CHAIN_ID, contract: CONTRACT, stream: stream.clone() };
                payee.open_stream(&offer, 0).expect("it is taken").wait().expect("a disk");
                self.streams.insert(stream.terms.root, stream);
            }
            Line::Tick { root, number, tick } => {
                let terms = self.streams[&root].terms;
                self.give(terms.total(number).expect("a total"), (root, number));
                match payee.tick(CHANNEL, root, number, tick, 0) {
                    Ok(ticket) => ticket.wait().expect("a disk"),
                    Err(PayeeError::Refused(Refused::Tick(TickRefused::NotNew { .. }))) => {}
                    Err(error) => panic!("tick {number}: {error}"),
                }
                let last = self.ticks.entry(root).or_default();
                *last = (*last).max((number, tick));
            }
            Line::Voucher { request, voucher } => {
                self.give(voucher.voucher.cumulative_amount, (request, 0));
                let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: PRICE, request };
                payee.accept(offer, 0).expect("it is taken").wait().expect("a disk");
            }
        }
    }

    fn give(&mut self, total: u128, what: (B256, u32)) {
        let before = *self.given_for.entry(total).or_insert(what);
        assert_eq!(before, what, "the total {total} was given for two things");
        self.highest = self.highest.max(total);
        assert!(total <= LIMIT, "{total} were given, {LIMIT} are allowed");
    }
}

#[test]
fn a_payer_that_is_killed_at_any_moment_gives_no_tick_twice_forgets_none_and_keeps_its_limit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let payee = payee(&directory.path().join("payee"));
    let arguments = [directory.path().join("payer").into(), OsString::from(LIMIT.to_string())];
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    let (mut seen, mut state) = (Seen::default(), seed);
    for _ in 0..ROUNDS {
        let delay = Duration::from_micros(2_000 + next(&mut state) % 60_000);
        let mut child = start("ticks_by_lines", &arguments);
        let killer = kill_after(delay, &child);
        seen.serve(&payee, &mut child, 2_000, &mut state);
        killer.join().expect("the killer").expect("kill exists");
        child.wait().expect("a child");
    }
    assert!(seen.given_for.len() > 100, "{} totals were given in all", seen.given_for.len());
    // One that is not killed comes to the limit and no further.
    let mut child = start("ticks_by_lines", &arguments);
    seen.serve(&payee, &mut child, 6_000, &mut state);
    assert!(child.wait().expect("a child").success());
    assert!(seen.refused > 0 && seen.highest + PRICE > LIMIT, "{} of {LIMIT} were given", seen.highest);
    let worth = |(root, (number, _)): (&B256, &(u32, B256))| seen.streams[root].terms.total(*number);
    assert!(seen.ticks.iter().filter_map(worth).all(|total| total <= LIMIT));
    println!("{} totals given, {} streams", seen.given_for.len(), seen.streams.len());
}
