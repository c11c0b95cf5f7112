//! A payee that is killed with SIGKILL, again and again, at moments that a seed chooses: no voucher that it answered is lost, and none is charged for twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::receipt::SignedReceipt;
use payments::stream::{MAX_TICKS, StreamTerms, chain};
use payments::typed_data::Domain;
use payments::voucher::Voucher;
use secp256k1::SecretKey;

const CHANNEL: B256 = B256::repeat_byte(7);
const ROUNDS: u64 = 25;

fn domain() -> Domain {
    Domain::new(51_717, Address::repeat_byte(5))
}

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let target = own.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    target.join("examples/payee_by_lines")
}

fn start(directory: &Path) -> Child {
    let mut command = Command::new(example());
    command.arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("the example is built with the tests: cargo build --examples")
}

fn line(total: u128, secret: &SecretKey) -> String {
    let voucher = Voucher { channel_id: CHANNEL, cumulative_amount: total };
    serde_json::to_string(&voucher.sign(&domain(), secret)).expect("it serialises")
}

/// Sends vouchers and reads answers until it is killed after `delay`; adds what was answered. Returns the last total that was sent.
fn pay_until_killed(
    directory: &Path,
    vouchers: &[(u128, String)],
    delay: Duration,
    answered: &mut BTreeMap<u128, SignedReceipt>,
) -> usize {
    let (sent, answers) = send_until_killed(directory, vouchers.iter().map(|(_, line)| line.as_str()), delay);
    let receipts = answers.iter().filter_map(|line| serde_json::from_str::<SignedReceipt>(line).ok());
    answered.extend(receipts.map(|signed| (signed.receipt.cumulative_amount, signed)));
    sent
}

/// How many lines were sent until it was killed, and all that it answered.
fn send_until_killed<'a>(
    directory: &Path,
    lines: impl Iterator<Item = &'a str>,
    delay: Duration,
) -> (usize, Vec<String>) {
    let mut child = start(directory);
    let mut input = child.stdin.take().expect("piped");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let reader = std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<_>>());
    let killer = std::thread::spawn(move || {
        std::thread::sleep(delay);
        // SIGKILL.
        child.kill().expect("it runs, or was not waited for");
        child.wait().expect("a child");
    });
    let sent = lines.take_while(|line| writeln!(input, "{line}").is_ok()).count();
    killer.join().expect("the killer");
    drop(input);
    // What is not a whole line was not answered, and is no JSON.
    (sent, reader.join().expect("the reader"))
}

/// Each number of a sequence that the seed chooses, as a time until a process is killed.
fn delays(seed: u64, most_us: u64) -> impl Iterator<Item = Duration> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros(2_000 + (state >> 33) % most_us)
    })
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    seed
}

/// The answers of a process that is not killed.
fn ask(directory: &Path, lines: &[String]) -> Vec<String> {
    let mut child = start(directory);
    let mut input = child.stdin.take().expect("piped");
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let answers = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok).collect();
    writer.join().expect("the writer").expect("it reads all");
    assert!(child.wait().expect("a child").success());
    answers
}

#[test]
fn a_payee_that_is_killed_at_any_moment_loses_no_voucher_that_it_answered() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let secret = SecretKey::from_slice(&[1; 32]).expect("a key");
    let signer = address_of(&SecretKey::from_slice(&[2; 32]).expect("a key"));
    let vouchers: Vec<_> = (1..=200_000_u128).map(|number| 10 * number).collect();
    let (mut answered, mut next) = (BTreeMap::new(), 0);
    for (round, delay) in (0..ROUNDS).zip(delays(seed(), 150_000)) {
        let some: Vec<_> = vouchers[next..].iter().take(2_000).map(|total| (*total, line(*total, &secret))).collect();
        let before = answered.len();
        next += pay_until_killed(directory.path(), &some, delay, &mut answered);
        // Whatever was answered last gets the same receipt from the next process: it was on disk.
        let last: Vec<u128> = answered.keys().rev().take(100).copied().collect();
        let lines: Vec<_> = last.iter().map(|total| line(*total, &secret)).collect();
        let again = ask(directory.path(), &lines);
        let again = again.iter().map(|line| serde_json::from_str::<SignedReceipt>(line).map(|signed| signed.receipt));
        let again: Vec<_> = again.collect::<Result<_, _>>().expect("receipts");
        let want: Vec<_> = last.iter().map(|total| answered[total].receipt).collect();
        assert!(again == want, "round {round}, killed after {delay:?}, {before} answered before");
    }
    assert!(answered.len() > 100, "{} were answered in all", answered.len());
    assert!(answered.values().all(|signed| signed.signer(&domain()) == Some(signer)));
    // Each was charged for once: the sum that receipts name grows by the price with each voucher that was taken, answered or not.
    let charged: Vec<u128> = answered.values().map(|signed| signed.receipt.charged).collect();
    assert!(charged.windows(2).all(|pair| pair[0] + 10 <= pair[1]));
    let last = answered.values().last().expect("some were answered").receipt;
    assert!(last.charged <= last.highest && last.highest <= 10 * next as u128);
    println!("{} answered of {next} sent", answered.len());
}

/// All that was paid before the first tick of the stream that is number `index`: each begins where the one before ends.
fn base(index: u32) -> u128 {
    u128::from(index) * u128::from(MAX_TICKS)
}

/// The lines that open a stream, and pay from its tick `from` on.
fn stream_lines(index: u32, from: u32, secret: &SecretKey) -> Vec<String> {
    let ticks = chain(B256::with_last_byte(u8::try_from(index).expect("few streams")), MAX_TICKS);
    let root = ticks[0];
    let terms =
        StreamTerms { channel_id: CHANNEL, cumulative_amount: base(index), tick_amount: 1, ticks: MAX_TICKS, root };
    let open = serde_json::to_string(&terms.sign(&domain(), secret)).expect("json");
    let ticks = (0..).zip(ticks).skip(from as usize);
    let lines =
        ticks.map(|(number, tick)| serde_json::json!({ "root": root, "number": number, "tick": tick }).to_string());
    std::iter::once(open).chain(lines).collect()
}

/// The last tick that it took, in answers.
fn last_taken(answers: &[String]) -> Option<u32> {
    let taken = |line: &String| serde_json::from_str::<serde_json::Value>(line).ok()?.get("taken")?.as_u64();
    answers.iter().filter_map(taken).max().and_then(|number| u32::try_from(number).ok())
}

#[test]
fn a_payee_that_is_killed_at_any_moment_loses_no_tick_that_it_answered_and_charges_none_twice() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let secret = SecretKey::from_slice(&[1; 32]).expect("a key");
    let (mut index, mut answered, mut taken) = (0, 0, 0);
    for (round, delay) in (0..ROUNDS).zip(delays(seed(), 60_000)) {
        let lines = stream_lines(index, answered + 1, &secret);
        let (_, answers) = send_until_killed(directory.path(), lines.iter().map(String::as_str), delay);
        let shown = last_taken(&answers).unwrap_or(0).max(answered);
        // The next process refuses what was answered, and names the last tick that it has: no earlier one. What is on disk need not have been answered.
        let again = ask(directory.path(), &stream_lines(index, shown.max(1), &secret)[..2]);
        let latest = match &again[1..] {
            [one] => last_taken(std::slice::from_ref(one)).unwrap_or_else(|| {
                one.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("it does not follow tick N")
            }),
            other => panic!("{other:?}"),
        };
        assert!(latest >= shown, "round {round}, killed after {delay:?}: has {latest}, answered {shown}");
        (answered, taken) = (latest, taken + latest - answered);
        if answered == MAX_TICKS {
            (index, answered) = (index + 1, 0);
        }
    }
    assert!(taken > 100, "{taken} were taken in all");
    // A receipt names the sum of all that was charged: ticks, each for one unit and once, and the voucher itself.
    let last = ask(directory.path(), &[line(base(index + 2), &secret)]);
    let receipt: SignedReceipt = serde_json::from_str(&last[0]).expect("a receipt");
    assert_eq!(receipt.receipt.charged, u128::from(taken) + 10);
}
