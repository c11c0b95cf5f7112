//! A payer and a payee, each with its file, and 64 requests in flight on one channel: `many_in_flight`.
//!
//! What stands between them here is a function call; with HTTP, a voucher and a receipt go in headers. Opening the channel and reading it from the chain is left
//! out: both are told what a proof would say.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256, keccak256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{Answer, DurablePayee};
use payments::io::payer::DurablePayer;
use payments::payee::claims::ClaimRules;
use payments::payee::{Offer, Rules};
use payments::payer::limits::Limits;
use payments::seed::Seed;
use payments::terms::Terms;
use payments::typed_data::Domain;
use secp256k1::SecretKey;

const CHAIN_ID: u64 = 51_717;
const PRICE: u128 = 10;
const IN_FLIGHT: u64 = 64;
const EACH: u64 = 50;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let contract = Address::repeat_byte(5);
    let domain = Domain::new(CHAIN_ID, contract);
    let payee_key = SecretKey::from_slice(&[2; 32])?;
    let own = address_of(&payee_key);

    // The payer's account opens a channel whose vouchers are signed by a key of its seed.
    let (network, account) = (B256::repeat_byte(1), Address::repeat_byte(4));
    let key = Seed::new([3; 32]).channel(network, account, 0);
    let signer = address_of(&key.signer);
    let terms = Terms { payer: account, payee: own, token: Address::ZERO, salt: key.salt, authorized_signer: signer };
    let channel = Channel::opened(terms.channel_id(&domain), own, Address::ZERO, signer, 1_000_000);

    let directory = tempfile::tempdir()?;
    let rules = Rules {
        payee: own,
        token: Address::ZERO,
        least_deposit: 1_000,
        confirmations: 0,
        max_age_s: 600,
        splits: false,
    };
    let payee = DurablePayee::open(&directory.path().join("payee"), domain, rules, payee_key)?;
    payee.observe(channel, SeenAt { block: 1, unix_s: now() })?;
    let limits = Limits { period_s: 86_400, in_all: 100_000, each: 50_000, endpoints: BTreeMap::new() };
    let payer = DurablePayer::open(&directory.path().join("payer"), domain, limits)?;
    payer.observe(channel, own)?;

    let request = |name: String| -> Result<(), Failed> {
        let request = keccak256(&name);
        let voucher = payer.pay(channel.id, "GET /page", PRICE, request, &key.signer, now())?.wait()?;
        let offer = Offer { chain_id: CHAIN_ID, contract, voucher, price: PRICE, request };
        let receipt = payee.accept(offer, now()).and_then(Answer::wait)?;
        Ok(payer.answer(receipt)?)
    };
    std::thread::scope(|scope| {
        let client = |client: u64| (0..EACH).try_for_each(|number| request(format!("{client}/{number}")));
        let clients: Vec<_> = (0..IN_FLIGHT)
            .map(|number| scope.spawn(move || client(number).map_err(|error| error.to_string())))
            .collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
    })?;

    let due = payee.due(&ClaimRules { cost: 1, worth: 1_000, wait_s: 3_600 }, now());
    println!("{} requests, {} syncs of the payee's file", IN_FLIGHT * EACH, payee.syncs());
    println!("to claim: {}", due[0].amount);
    let last = payer.standing(channel.id).and_then(|standing| standing.receipt).ok_or("no receipt")?;
    println!("the payee confirmed: {}", last.receipt.charged);
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
