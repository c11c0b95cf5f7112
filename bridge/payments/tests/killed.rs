//! A payee that is killed with SIGKILL, again and again, at moments that a seed chooses: no voucher that it answered is lost, and none is charged for twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::receipt::SignedReceipt;
use payments::typed_data::Domain;
use payments::voucher::Voucher;
use secp256k1::SecretKey;

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
    let voucher = Voucher { channel_id: B256::repeat_byte(7), cumulative_amount: total };
    serde_json::to_string(&voucher.sign(&domain(), secret)).expect("it serialises")
}

/// Sends vouchers and reads answers until it is killed after `delay`; adds what was answered. Returns the last total that was sent.
fn pay_until_killed(
    directory: &Path,
    vouchers: &[(u128, String)],
    delay: Duration,
    answered: &mut BTreeMap<u128, SignedReceipt>,
) -> usize {
    let mut child = start(directory);
    let mut input = child.stdin.take().expect("piped");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let reader = std::thread::spawn(move || {
        // What is not a whole line was not answered.
        let whole = output.lines().map_while(Result::ok);
        whole.filter_map(|line| serde_json::from_str::<SignedReceipt>(&line).ok()).collect::<Vec<_>>()
    });
    let killer = std::thread::spawn(move || {
        std::thread::sleep(delay);
        // SIGKILL.
        child.kill().expect("it runs, or was not waited for");
        child.wait().expect("a child");
    });
    let sent = vouchers.iter().take_while(|(_, line)| writeln!(input, "{line}").is_ok()).count();
    killer.join().expect("the killer");
    drop(input);
    let receipts = reader.join().expect("the reader");
    answered.extend(receipts.into_iter().map(|signed| (signed.receipt.cumulative_amount, signed)));
    sent
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
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    let vouchers: Vec<_> = (1..=200_000_u128).map(|number| 10 * number).collect();
    let (mut answered, mut next, mut state) = (BTreeMap::new(), 0, seed);
    for round in 0..ROUNDS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_micros(2_000 + (state >> 33) % 150_000);
        let some: Vec<_> = vouchers[next..].iter().take(2_000).map(|total| (*total, line(*total, &secret))).collect();
        let before = answered.len();
        next += pay_until_killed(directory.path(), &some, delay, &mut answered);
        // Whatever was answered last gets the same receipt from the next process: it was on disk.
        let last: Vec<u128> = answered.keys().rev().take(100).copied().collect();
        let lines: Vec<_> = last.iter().map(|total| line(*total, &secret)).collect();
        let again = ask(directory.path(), &lines);
        let want: Vec<_> = last.iter().map(|total| serde_json::to_string(&answered[total]).expect("json")).collect();
        assert_eq!(again, want, "round {round}, killed after {delay:?}, {before} answered before");
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
