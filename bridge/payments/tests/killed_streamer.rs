//! A payer of streams that is killed with SIGKILL, again and again: no tick is given for two things, none that was given is forgotten, and nothing is given beyond the limit.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{DurablePayee, PayeeError};
use payments::payee::streams::StreamOffer;
use payments::payee::{Offer, Refused, Rules};
use payments::stream::{SignedStream, TickRefused};
use payments::typed_data::Domain;
use payments::voucher::SignedVoucher;
use secp256k1::SecretKey;
use serde::Deserialize;

const ROUNDS: u64 = 25;
const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const CHANNEL: B256 = B256::repeat_byte(7);
const PRICE: u128 = 10;
const LIMIT: u128 = 20_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Tick { root: B256, number: u32, tick: B256 },
    Voucher { request: B256, voucher: SignedVoucher },
    Stream(SignedStream),
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).expect("a key")
}

fn start(directory: &Path) -> Child {
    let own = std::env::current_exe().expect("a test has a path");
    let target: PathBuf = own.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST").into();
    let mut command = Command::new(target.join("examples/ticks_by_lines"));
    command.arg(directory).arg(LIMIT.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("the example is built with the tests: cargo build --examples")
}

fn payee(directory: &Path) -> DurablePayee {
    let (payee, token) = (address_of(&key(2)), Address::ZERO);
    let rules = Rules { payee, token, least_deposit: 0, confirmations: 0, max_age_s: 600, splits: false };
    let durable = DurablePayee::open(directory, Domain::new(CHAIN_ID, CONTRACT), rules, key(2)).expect("a payee");
    let channel = Channel::opened(CHANNEL, payee, token, address_of(&key(1)), u128::MAX);
    durable.observe(channel, SeenAt { block: 1, unix_s: 0 }).expect("it is taken");
    durable
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

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn a_payer_that_is_killed_at_any_moment_gives_no_tick_twice_forgets_none_and_keeps_its_limit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let payee = payee(&directory.path().join("payee"));
    let promises = directory.path().join("payer");
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    let (mut seen, mut state) = (Seen::default(), seed);
    for _ in 0..ROUNDS {
        let delay = Duration::from_micros(2_000 + next(&mut state) % 60_000);
        let mut child = start(&promises);
        let id = child.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            Command::new("kill").args(["-KILL", &id.to_string()]).status()
        });
        seen.serve(&payee, &mut child, 2_000, &mut state);
        killer.join().expect("the killer").expect("kill exists");
        child.wait().expect("a child");
    }
    assert!(seen.given_for.len() > 100, "{} totals were given in all", seen.given_for.len());
    // One that is not killed comes to the limit and no further.
    let mut child = start(&promises);
    seen.serve(&payee, &mut child, 6_000, &mut state);
    assert!(child.wait().expect("a child").success());
    assert!(seen.refused > 0 && seen.highest + PRICE > LIMIT, "{} of {LIMIT} were given", seen.highest);
    let worth = |(root, (number, _)): (&B256, &(u32, B256))| seen.streams[root].terms.total(*number);
    assert!(seen.ticks.iter().filter_map(worth).all(|total| total <= LIMIT));
    println!("{} totals given, {} streams", seen.given_for.len(), seen.streams.len());
}
