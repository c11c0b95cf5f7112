//! How far a local network is, shown on the terminal and to whoever asks by the socket.

use bridge::amount;
use serde_json::json;

use super::control::{SharedStatus, Status};
use super::layout::Layout;
use super::options::Options;
use crate::dev::accounts::{DEV_ACCOUNTS, DEV_FUNDS, DEV_MNEMONIC, dev_account};

/// Shows how far the network is: on the terminal, and in its status.
pub struct Progress {
    status: SharedStatus,
    json: bool,
}

impl Progress {
    pub fn new(status: SharedStatus, json: bool) -> Self {
        Self { status, json }
    }

    /// What the network does from now on.
    pub fn step(&self, text: impl Into<String>) {
        let text = text.into();
        if self.json {
            println!("{}", json!({ "event": "step", "text": text }));
        } else {
            println!("{text}");
        }
        self.status.update(|status| status.step = text);
    }

    /// How to reach what will run.
    pub fn endpoints(&self, layout: &Layout) {
        self.status.update(|status| {
            status.rpc = layout.validators().map(|index| layout.rpc_url(index)).collect();
            status.bitcoin = layout.bitcoin_url();
            status.bitcoin_cookie = layout.cookie();
            status.genesis = layout.genesis();
        });
    }

    /// The network is up.
    pub fn ready(&self, running: Vec<String>, options: &Options) {
        let status = self.status.update(|status| {
            status.ready = true;
            status.step = "ready".into();
            status.running = running;
        });
        if self.json {
            println!("{}", json!({ "event": "ready", "status": status }));
        } else {
            show_ready(&status, options);
        }
    }
}

/// As the tools that developers know do it.
fn show_ready(status: &Status, options: &Options) {
    if !options.no_fund {
        println!("\nAccounts, each funded by a peg-in of {}\n", amount::show(DEV_FUNDS));
        for index in 0..DEV_ACCOUNTS {
            let account = dev_account(index);
            println!("({index}) {}  0x{}", account.address(), account.secret().display_secret());
        }
        println!("\nMnemonic  {DEV_MNEMONIC}\nPath      m/44'/60'/0'/0/");
    }
    println!();
    show_status(status);
    if options.block_interval.is_zero() {
        println!("\nBitcoin blocks come on demand: causeway dev mine 1");
    } else {
        println!(
            "\nA Bitcoin block every {}; more: causeway dev mine 1",
            humantime::format_duration(options.block_interval)
        );
    }
    println!("Ctrl-C stops; the next start continues.");
}

pub fn show_status(status: &Status) {
    for (index, rpc) in status.rpc.iter().enumerate() {
        println!("Node {}    {rpc}  {}", index + 1, rpc.replacen("http", "ws", 1));
    }
    println!("Bitcoin   {}  cookie {}", status.bitcoin, status.bitcoin_cookie.display());
    println!("Genesis   {}", status.genesis.display());
    println!("Running   {}", status.running.join(" "));
    if !status.ready {
        println!("Not ready {}", status.step);
    }
}
