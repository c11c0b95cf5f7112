//! A payer of streams as a process that reads lines and answers by lines: `ticks_by_lines DIRECTORY LIMIT`.
//!
//! A line is a number, and its answer so many ticks, each in a line (`{"root","number","tick"}`), given when its number is on disk; or a line is `pay NAME`, and its answer the
//! voucher for a request of that name, which costs 10 and takes the stream's place. Whenever a stream is opened, and at the start when one is under way, its signed terms are printed first, and
//! the last tick that was promised of it. A tick is worth 1. Nothing beyond LIMIT is ever given: then it says `error: ...`. Killed at any moment and started again, it
//! knows every tick and voucher that it gave (`tests/killed_streamer.rs`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, keccak256};
use payments::account_signature::address_of;
use payments::channel::Channel;
use payments::io::payer::{DurablePayer, OpenStream, PayerError};
use payments::payer::PayRefused;
use payments::payer::limits::Limits;
use payments::payer::streams::Tick;
use payments::typed_data::Domain;
use secp256k1::SecretKey;
use serde_json::json;

const CHANNEL: B256 = B256::repeat_byte(7);
const ENDPOINT: &str = "GET /stream";
const TICK: u128 = 1;
const PRICE: u128 = 10;
/// Ticks of a stream: so few that streams follow each other.
const TICKS: u32 = 200;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let usage = "usage: ticks_by_lines DIRECTORY LIMIT";
    let directory = PathBuf::from(std::env::args().nth(1).ok_or(usage)?);
    let limit = std::env::args().nth(2).ok_or(usage)?.parse()?;
    let secret = SecretKey::from_slice(&[1; 32])?;
    let payer = open(&directory, limit, &secret)?;
    let mut stream = if payer.streaming(CHANNEL).is_some() { Some(begin(&payer, &secret)?) } else { None };
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answered = match line.strip_prefix("pay ") {
            Some(name) => pay(&payer, name, &secret),
            None => give(&payer, &mut stream, line.parse()?, &secret),
        };
        if let Err(error) = answered {
            println!("error: {error}");
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn begin(payer: &DurablePayer, secret: &SecretKey) -> Result<OpenStream, PayerError> {
    let stream = payer.open_stream(CHANNEL, ENDPOINT, TICK, TICKS, secret)?.wait()?;
    println!("{}", json!(stream.signed));
    stream.given.iter().for_each(|tick| show(&stream, *tick));
    Ok(stream)
}

fn give(
    payer: &DurablePayer,
    stream: &mut Option<OpenStream>,
    count: u32,
    secret: &SecretKey,
) -> Result<(), PayerError> {
    let mut left = count;
    while left > 0 {
        let Some(open) = stream else {
            *stream = Some(begin(payer, secret)?);
            continue;
        };
        let some = payer.streaming(CHANNEL).map_or(0, |streaming| streaming.left()).min(left);
        match payer.give(open, some, 0) {
            Ok(pledge) => pledge.wait(open)?.into_iter().for_each(|tick| show(open, tick)),
            // It came to its end, or a voucher took its place.
            Err(PayerError::Refused(PayRefused::TooManyTicks { .. } | PayRefused::UnknownStream { .. })) => {
                *stream = None;
                continue;
            }
            Err(error) => return Err(error),
        }
        left -= some;
    }
    Ok(())
}

fn pay(payer: &DurablePayer, name: &str, secret: &SecretKey) -> Result<(), PayerError> {
    let request = keccak256(name);
    let voucher = payer.pay(CHANNEL, ENDPOINT, PRICE, request, secret, 0)?.wait()?;
    println!("{}", json!({ "request": request, "voucher": voucher }));
    payer.give_up(CHANNEL, request)
}

fn show(stream: &OpenStream, tick: Tick) {
    println!("{}", json!({ "root": stream.signed.terms.root, "number": tick.number, "tick": tick.tick }));
}

fn open(directory: &Path, limit: u128, secret: &SecretKey) -> Result<DurablePayer, Failed> {
    let limits = Limits { period_s: 86_400, in_all: limit, each: limit, endpoints: BTreeMap::new() };
    let payer = DurablePayer::open(directory, Domain::new(51_717, Address::repeat_byte(5)), limits)?;
    let payee = address_of(&SecretKey::from_slice(&[2; 32])?);
    let channel = Channel::opened(CHANNEL, payee, Address::ZERO, address_of(secret), u128::MAX);
    payer.observe(channel, payee)?;
    Ok(payer)
}
