//! A payer as a process that reads lines and answers by lines: `payer_by_lines DIRECTORY`.
//!
//! A line is `pay NAME`, and its answer the voucher for the request of that name (the keccak256 of it) in JSON, signed when its total is on disk; or a line is a receipt
//! in JSON, and has no answer. At its start it prints how many requests were not answered, and the vouchers of these, to be sent again. Its channel is of the key 0x0101...01, and a
//! request costs 10. Killed at any moment and started again, it knows every voucher that it signed (`tests/killed_payer.rs`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use alloy_primitives::{Address, B256, keccak256};
use payments::account_signature::address_of;
use payments::channel::Channel;
use payments::io::payer::{DurablePayer, Pledge};
use payments::payer::limits::Limits;
use payments::typed_data::Domain;
use secp256k1::SecretKey;

/// Requests in flight, as many as one channel is made for.
const IN_FLIGHT: usize = 64;
const CHANNEL: B256 = B256::repeat_byte(7);
const PRICE: u128 = 10;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: payer_by_lines DIRECTORY")?);
    let secret = SecretKey::from_slice(&[1; 32])?;
    let payer = open(&directory, &secret)?;
    let before = payer.unanswered(CHANNEL);
    println!("{}", before.len());
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let writer = std::thread::spawn(move || print_vouchers(&receiver));
    let pay = |request: B256| -> Result<(), Failed> {
        let pledge = payer.pay(CHANNEL, "GET /page", PRICE, request, &secret, 0)?;
        Ok(sender.send((request, pledge))?)
    };
    before.into_iter().try_for_each(|payment| pay(payment.request))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.strip_prefix("pay ") {
            Some(name) => pay(keccak256(name))?,
            None => payer.answer(serde_json::from_str(&line)?)?,
        }
    }
    drop(sender);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

fn open(directory: &std::path::Path, secret: &SecretKey) -> Result<DurablePayer, Failed> {
    let domain = Domain::new(51_717, Address::repeat_byte(5));
    let limits = Limits { period_s: 86_400, in_all: u128::MAX, each: u128::MAX, endpoints: BTreeMap::new() };
    let payer = DurablePayer::open(directory, domain, limits)?;
    let payee = address_of(&SecretKey::from_slice(&[2; 32])?);
    let channel = Channel::opened(CHANNEL, payee, Address::ZERO, address_of(secret), u128::MAX);
    payer.observe(channel, payee)?;
    Ok(payer)
}

fn print_vouchers(pledges: &Receiver<(B256, Pledge)>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (request, pledge) in pledges {
        match pledge.wait() {
            Ok(voucher) => writeln!(out, "{}", serde_json::json!({ "request": request, "voucher": voucher }))?,
            Err(error) => writeln!(out, "error: {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}
