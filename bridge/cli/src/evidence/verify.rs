//! `causeway verify`: what a receipt shows, by the genesis file alone.

use std::io::Read as _;
use std::path::PathBuf;

use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, WrapErr, ensure};
use light::receipt::{Paid, Receipt, Shown, What};
use serde::Serialize;

use crate::clock::time;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::progress::Progress;

/// Most bytes of a receipt: one of the reserves with 10,000 vault transactions has a fifth.
const MAX_BYTES: u64 = 1 << 28;

/// Check a receipt offline, with the network's genesis file alone
///
/// A receipt shows what the chain had made final about a deposit, a withdrawal or the reserves in one block. No node is asked: the validators'
/// signatures, the proofs of the ledger's storage and Bitcoin's Merkle branches are in the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway verify withdrawal-7.json --genesis genesis.json")]
pub struct Args {
    /// What `causeway receipt` or `causeway audit --receipt` wrote
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// The network's genesis file: whose signatures make a block final
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    block: u64,
    block_hash: alloy_primitives::B256,
    block_time: u64,
    signers: usize,
    validators: usize,
    shows: Vec<(String, String)>,
}

/// Runs `causeway verify`.
///
/// # Errors
///
/// The file shows nothing, or says that something is missing.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let genesis = read_genesis(&args.genesis)?;
    let receipt = read(&args.receipt)?;
    let progress = Progress::new(context);
    progress.about("checking signatures and proofs");
    let shown = receipt.verify(genesis.build()?.hash, &genesis.validators()?);
    progress.clear();
    let shown = shown.wrap_err_with(|| format!("{} shows nothing", args.receipt.display()))?;
    let verified = Verified::of(&shown);
    context.print(&verified, || verified.print());
    match shown.what {
        What::Reserves { sums, .. } if !sums.covered => {
            eyre::bail!("the books say that something is missing: {} sat", sums.missing_sat)
        }
        _ => Ok(()),
    }
}

/// A receipt, and nothing else: what is not of its form is not passed over. A pipe or a device need not end.
fn read(path: &std::path::Path) -> Result<Receipt> {
    let unreadable = || format!("cannot read the receipt {}", path.display());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).wrap_err_with(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text).wrap_err_with(unreadable)?;
    ensure!(
        text.len() as u64 <= MAX_BYTES,
        "{} has more than {MAX_BYTES} bytes, which is the most that a receipt has",
        path.display()
    );
    let not_a_receipt = || format!("{} is not a receipt", path.display());
    let receipt: Receipt = serde_json::from_slice(&text).wrap_err_with(not_a_receipt)?;
    let written: serde_json::Value = serde_json::from_slice(&text).wrap_err_with(not_a_receipt)?;
    ensure!(serde_json::to_value(&receipt)? == written, "{} says more than a receipt does", path.display());
    Ok(receipt)
}

impl Verified {
    fn of(shown: &Shown) -> Self {
        let header = &shown.header;
        Self {
            block: header.header.number,
            block_hash: header.hash,
            block_time: header.header.timestamp,
            signers: header.signers,
            validators: header.validators,
            shows: lines(&shown.what),
        }
    }

    fn print(&self) {
        println!(
            "Sidechain block {} of {} ({}), final by {} of {} validators, shows:",
            self.block,
            time(self.block_time),
            self.block_hash,
            self.signers,
            self.validators
        );
        for (name, value) in &self.shows {
            println!("  {name:<14} {value}");
        }
    }
}

fn lines(what: &What) -> Vec<(String, String)> {
    let sat = |sat: u64| amount::show(Amount::from_sat(sat));
    let line = |name: &str, value: String| (name.to_owned(), value);
    match what {
        What::Deposit { outpoint, deposit, paid } => {
            let coins = match (deposit.minted_sat, deposit.is_gone) {
                (Some(minted), _) => format!("{} were made", sat(minted)),
                (None, true) => "none: it can never be swept any more".to_owned(),
                (None, false) => "none yet".to_owned(),
            };
            vec![
                line("deposit", outpoint.to_string()),
                line("paid", bitcoin_line(paid)),
                line("recipient", deposit.recipient.to_string()),
                line("coins", coins),
            ]
        }
        What::Withdrawal { id, withdrawal, number, paid } => vec![
            line("withdrawal", format!("{id}, of {} by {}", sat(withdrawal.amount_sat), withdrawal.owner)),
            line("paid", format!("by vault transaction {number}, {}", bitcoin_line(paid))),
            line("output", paid.outpoint.to_string()),
            line("script", paid.output.script_pubkey.to_hex_string()),
        ],
        What::Reserves { supply_wei, books, sums, outputs } => {
            let mut lines = vec![
                line("supply", amount::show_wei(*supply_wei)),
                line("owed", sat(books.owed_sat)),
                line("reserve", amount::show_signed(books.reserve_sat)),
                line("vault", sat(books.vault_sat)),
                line("missing", format!("{} by the books", sat(sums.missing_sat))),
            ];
            let output = |(number, (outpoint, worth)): (&u32, &(bitcoin::OutPoint, u64))| {
                line("vault output", format!("{number}  {outpoint}  {}", sat(*worth)))
            };
            lines.extend(outputs.iter().map(output));
            lines
        }
    }
}

fn bitcoin_line(paid: &Paid) -> String {
    format!("{} in Bitcoin block {} ({})", amount::show(paid.output.value), paid.height, paid.block)
}
