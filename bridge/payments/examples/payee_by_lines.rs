//! A payee as a process that reads requests by lines and answers by lines: `payee_by_lines DIRECTORY`.
//!
//! A line is a voucher in JSON, and its answer the receipt; or a signed stream, or a tick of one (`{"root","number","tick"}`), and its answer is `{"taken"}` with
//! the tick's number, zero for the stream; or the answer is an error. All are for one channel of the key 0x0101...01, a request costs 10, and the answers come as the
//! disk takes them: as many lines as are sent at once are written by one sync. Killed at any moment and started again, it knows every voucher and tick that it
//! answered (`tests/killed.rs`).

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::journal::Ticket;
use payments::io::payee::{Answer, DurablePayee, PayeeError};
use payments::payee::streams::StreamOffer;
use payments::payee::{Offer, Rules};
use payments::stream::SignedStream;
use payments::typed_data::Domain;
use payments::voucher::SignedVoucher;
use secp256k1::SecretKey;
use serde::Deserialize;

/// Requests in flight, as many as one channel is made for.
const IN_FLIGHT: usize = 64;

const CHAIN_ID: u64 = 51_717;
const CONTRACT: Address = Address::repeat_byte(5);
const CHANNEL: B256 = B256::repeat_byte(7);

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Voucher(SignedVoucher),
    Stream(SignedStream),
    Tick { root: B256, number: u32, tick: B256 },
}

/// What is on its way to the disk.
enum Waiting {
    Receipt(Answer),
    Taken { number: u32, ticket: Ticket },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: payee_by_lines DIRECTORY")?);
    let payee = open(&directory)?;
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let writer = std::thread::spawn(move || print_answers(&receiver));
    for line in std::io::stdin().lock().lines() {
        if sender.send(take(&payee, serde_json::from_str(&line?)?)).is_err() {
            break;
        }
    }
    drop(sender);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

fn take(payee: &DurablePayee, line: Line) -> Result<Waiting, PayeeError> {
    let taken = |number| move |ticket| Waiting::Taken { number, ticket };
    match line {
        Line::Voucher(voucher) => {
            let offer = Offer { chain_id: CHAIN_ID, contract: CONTRACT, voucher, price: 10, request: B256::ZERO };
            payee.accept(offer, now()).map(Waiting::Receipt)
        }
        Line::Stream(stream) => {
            let offer = StreamOffer { chain_id: CHAIN_ID, contract: CONTRACT, stream };
            payee.open_stream(&offer, now()).map(taken(0))
        }
        Line::Tick { root, number, tick } => payee.tick(CHANNEL, root, number, tick, now()).map(taken(number)),
    }
}

/// A payee that knows one channel, as if a proof of it had been checked. A small file, so that it is written anew often.
fn open(directory: &std::path::Path) -> Result<DurablePayee, Box<dyn std::error::Error>> {
    let secret = SecretKey::from_slice(&[2; 32])?;
    let own = address_of(&secret);
    let domain = Domain::new(CHAIN_ID, CONTRACT);
    let rules = Rules {
        payee: own,
        token: Address::ZERO,
        least_deposit: 1_000,
        confirmations: 0,
        max_age_s: 3_600,
        splits: false,
    };
    let payee = DurablePayee::open_with_slack(directory, domain, rules, secret, 100_000)?;
    let channel =
        Channel::opened(CHANNEL, own, Address::ZERO, address_of(&SecretKey::from_slice(&[1; 32])?), u128::MAX);
    payee.observe(channel, SeenAt { block: 1, unix_s: now() })?;
    Ok(payee)
}

fn print_answers(answers: &Receiver<Result<Waiting, PayeeError>>) -> Result<(), std::io::Error> {
    let mut out = std::io::stdout().lock();
    for waiting in answers {
        match waiting.and_then(answer) {
            Ok(line) => writeln!(out, "{line}")?,
            Err(error) => writeln!(out, "error: {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

/// The answer, once it is on disk.
fn answer(waiting: Waiting) -> Result<serde_json::Value, PayeeError> {
    match waiting {
        Waiting::Receipt(answer) => Ok(serde_json::json!(answer.wait()?)),
        Waiting::Taken { number, ticket } => {
            ticket.wait()?;
            Ok(serde_json::json!({ "taken": number }))
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
