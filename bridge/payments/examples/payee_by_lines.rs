//! A payee as a process that reads requests by lines and answers by lines: `payee_by_lines DIRECTORY`.
//!
//! A line is a voucher in JSON; its answer is the receipt in JSON, or an error. Vouchers are for one channel of the key 0x0101...01, a request costs 10, and the
//! answers come as the disk takes them: as many lines as are sent at once are written by one sync. Killed at any moment and started again, it knows every voucher
//! that it answered (`tests/killed.rs`).

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{Answer, DurablePayee, PayeeError};
use payments::payee::{Offer, Rules};
use payments::typed_data::Domain;
use secp256k1::SecretKey;

/// Requests in flight, as many as one channel is made for.
const IN_FLIGHT: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: payee_by_lines DIRECTORY")?);
    let payee = open(&directory)?;
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let writer = std::thread::spawn(move || print_answers(&receiver));
    for line in std::io::stdin().lock().lines() {
        let offer = Offer {
            chain_id: 51_717,
            contract: Address::repeat_byte(5),
            voucher: serde_json::from_str(&line?)?,
            price: 10,
            request: B256::ZERO,
        };
        if sender.send(payee.accept(offer, now())).is_err() {
            break;
        }
    }
    drop(sender);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

/// A payee that knows one channel, as if a proof of it had been checked. A small file, so that it is written anew often.
fn open(directory: &std::path::Path) -> Result<DurablePayee, Box<dyn std::error::Error>> {
    let secret = SecretKey::from_slice(&[2; 32])?;
    let own = address_of(&secret);
    let domain = Domain::new(51_717, Address::repeat_byte(5));
    let rules = Rules {
        payee: own,
        token: Address::ZERO,
        least_deposit: 1_000,
        confirmations: 0,
        max_age_s: 3_600,
        splits: false,
    };
    let payee = DurablePayee::open_with_slack(directory, domain, rules, secret, 100_000)?;
    let channel = Channel {
        id: B256::repeat_byte(7),
        payee: own,
        token: Address::ZERO,
        signer: address_of(&SecretKey::from_slice(&[1; 32])?),
        deposit: u128::MAX,
        settled: 0,
        has_splits: false,
        closing: None,
        finalized: false,
    };
    payee.observe(channel, SeenAt { block: 1, unix_s: now() })?;
    Ok(payee)
}

fn print_answers(answers: &Receiver<Result<Answer, PayeeError>>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for answer in answers {
        match answer.and_then(Answer::wait) {
            Ok(receipt) => writeln!(out, "{}", serde_json::to_string(&receipt)?)?,
            Err(error) => writeln!(out, "error: {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
