//! How far a local network is, shown on the terminal and to whoever asks by the socket.

use std::path::Path;

use bridge::amount;
use serde_json::json;

use super::control::{SharedStatus, Status};
use super::layout::Layout;
use super::options::Options;
use crate::dev::accounts::{DEV_ACCOUNTS, DEV_FUNDS, DEV_MNEMONIC, dev_account};
use crate::progress::Progress as Bar;

/// Where commands ask that are told no other node.
const USUAL_RPC: &str = "http://127.0.0.1:8545";
/// An address of regtest, of BIP 173's examples.
const SOMEBODY: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Shows how far the network is: on the terminal, and in its status.
pub struct Progress {
    status: SharedStatus,
    json: bool,
    /// How long the present step takes already; a person sees it until the network is up.
    bar: Bar,
}

impl Progress {
    pub fn new(status: SharedStatus, json: bool) -> Self {
        Self { status, json, bar: Bar::of_this_command() }
    }

    /// What the network does from now on.
    pub fn step(&self, text: impl Into<String>) {
        let text = text.into();
        if self.json {
            println!("{}", json!({ "event": "step", "text": text }));
        } else {
            println!("{text}");
            self.bar.about(&text);
        }
        self.status.update(|status| status.step = text);
    }

    /// No step is under way any more.
    pub fn clear(&self) {
        self.bar.clear();
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
        self.clear();
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
    if let Some(page) = status.rpc.first() {
        println!("\nOpen {page}/ in a browser: reserves, requests and their progress, peg in and out");
    }
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
    println!("\nTry, in another terminal:");
    next_steps(status).iter().for_each(|(line, what)| println!("  {line}\n      {what}"));
}

/// What to try next: lines to copy, with all that they need where ports or folder are not the usual ones.
fn next_steps(status: &Status) -> Vec<(String, &'static str)> {
    let own = dev_account(0).address();
    let genesis = status.genesis.display();
    // Whole, because the other terminal is mostly in another folder.
    let folder = status.genesis.parent().unwrap_or(Path::new("")).display();
    let dev = format!(" --data-dir '{folder}'");
    let rpc = status.rpc.first().map_or("", String::as_str);
    let (asked, bitcoin) = if rpc == USUAL_RPC {
        (String::new(), String::new())
    } else {
        let cookie = status.bitcoin_cookie.display();
        (
            format!(" --rpc {rpc} --genesis '{genesis}'"),
            format!(" --bitcoin {} --bitcoin-cookie '{cookie}'", status.bitcoin),
        )
    };
    let node = if rpc == USUAL_RPC { String::new() } else { format!(" --rpc {rpc}") };
    vec![
        (format!("causeway status bridge{asked}"), "what the bridge holds, and what it can pay now"),
        (
            format!("causeway peg-in --to {own} --amount '0.1 BTC'{asked}{bitcoin}"),
            "shows an address, and says what it waits for; pay it by the next line",
        ),
        (format!("causeway dev{dev} pay ADDRESS '0.1 BTC'"), "from a wallet that never runs dry"),
        (
            format!("causeway peg-out --amount '0.5 BTC' --to {SOMEBODY} --dev-account 0{node}{bitcoin}"),
            "coins back to bitcoin, at a price that is quoted first",
        ),
        (format!("causeway dev{dev} kill relayer-2"), "the others go on; start brings it back"),
        (
            format!("causeway audit --genesis '{genesis}'{node}{bitcoin}"),
            "every satoshi on the sidechain matched with an output on Bitcoin",
        ),
        (format!("causeway doctor{asked}{bitcoin}"), "what is wrong with this machine's part, and what to do"),
        ("causeway help".to_owned(), "everything else"),
    ]
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
