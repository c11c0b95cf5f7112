//! Millions of gas a second for every instruction and precompile, used as somebody would who wants to spend the most time for the least gas. Prints a
//! table, the slowest first in each part, and marks what is below [`LEAST`]; asserts nothing about time.

mod code;
mod instructions;
mod network;
mod precompiles;
mod stopping;
mod transactions;

use network::Network;

/// Mgas/s below which one transaction of 16.7 M gas takes a good part of what validators have for a block.
const LEAST: u64 = 50;

/// A measured way to spend gas.
struct Row {
    name: String,
    mgas_per_second: u64,
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only == part;
    let network = Network::new();
    println!("the slowest first; * is below {LEAST} Mgas/s");
    if wanted("instructions") {
        table("instructions", instructions::measure(&network));
    }
    if wanted("precompiles") {
        table("precompiles", precompiles::measure(&network));
    }
    if wanted("stopping") {
        table("the means to stop an execution", stopping::measure(&network));
    }
    if wanted("transactions") {
        table("blocks with their state root", transactions::measure(&network));
    }
}

fn table(title: &str, mut rows: Vec<Row>) {
    rows.sort_by_key(|row| row.mgas_per_second);
    println!("\n{title}");
    for Row { name, mgas_per_second } in rows {
        let mark = if mgas_per_second < LEAST { "*" } else { " " };
        println!("{name:<72} {mgas_per_second:>9} Mgas/s {mark}");
    }
}
