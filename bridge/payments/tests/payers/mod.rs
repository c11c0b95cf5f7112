//! What tests of a payer share that runs as a process of its own and is killed: the process, its payee, and the moments.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use payments::account_signature::address_of;
use payments::channel::{Channel, SeenAt};
use payments::io::payee::DurablePayee;
use payments::payee::Rules;
use payments::typed_data::Domain;
use secp256k1::SecretKey;

pub const CHAIN_ID: u64 = 51_717;
pub const CONTRACT: Address = Address::repeat_byte(5);
pub const CHANNEL: B256 = B256::repeat_byte(7);
pub const PRICE: u128 = 10;

/// Starts an example, which cargo builds beside the tests.
pub fn start<A: AsRef<OsStr>>(example: &str, arguments: impl IntoIterator<Item = A>) -> Child {
    let own = std::env::current_exe().expect("a test has a path");
    let target = own.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let mut command = Command::new(target.join("examples").join(example));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("the example is built with the tests: cargo build --examples")
}

/// Whom it pays, and who knows its channel.
pub fn payee(directory: &Path) -> DurablePayee {
    let key = |byte: u8| SecretKey::from_slice(&[byte; 32]).expect("a key");
    let (payee, token) = (address_of(&key(2)), Address::ZERO);
    let rules = Rules { payee, token, least_deposit: 0, confirmations: 0, max_age_s: 600, splits: false };
    let durable = DurablePayee::open(directory, Domain::new(CHAIN_ID, CONTRACT), rules, key(2)).expect("a payee");
    let channel = Channel::opened(CHANNEL, payee, token, address_of(&key(1)), u128::MAX);
    durable.observe(channel, SeenAt { block: 1, unix_s: 0 }).expect("it is taken");
    durable
}

/// Kills a process after a while. It tells whether it could.
pub fn kill_after(delay: Duration, child: &Child) -> JoinHandle<io::Result<ExitStatus>> {
    let id = child.id().to_string();
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        Command::new("kill").args(["-KILL", &id]).status()
    })
}

/// The next number of a sequence that the seed chooses.
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
