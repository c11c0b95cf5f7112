//! `causeway headers verify`: checks raw Bitcoin headers, from genesis or from an anchor.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use eyre::{Result, WrapErr};
use mainchain::Network;
use mainchain::verify::{Start, Summary, Verifier};
use serde_json::json;

use crate::clock::now;
use crate::context::Context;
use crate::progress::Progress;

/// Bytes read at once: 8192 headers.
const CHUNK: usize = 80 * 8192;

/// Check Bitcoin block headers
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway headers verify --network mainnet --anchor-height 40320 headers.bin")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that raw 80-byte headers are one chain that keeps every rule of its network
    ///
    /// The first header is the network's genesis block, or, with --anchor-height, one that is trusted apart from its own
    /// work. Prints the hash and height of the last header and the work of all of them. For a bad file it says which header
    /// breaks which rule, and exits with 1.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// mainnet, testnet4, signet or regtest
    #[arg(long, value_name = "NET")]
    network: Network,
    /// The first header is at this height, and trusted apart from its own work
    #[arg(long, value_name = "H")]
    anchor_height: Option<u32>,
    /// Time of the first block of the anchor's difficulty period, in seconds since 1970 (not needed where the anchor is it)
    #[arg(long, value_name = "T", requires = "anchor_height")]
    epoch_time: Option<u32>,
    /// Raw headers, one after the other; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Runs `causeway headers`.
///
/// # Errors
///
/// The file cannot be read, or a header in it breaks a rule.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Verify(args) => verify(&args, context),
    }
}

fn verify(args: &Verify, context: &Context) -> Result<()> {
    let start = match args.anchor_height {
        None => Start::Genesis,
        Some(height) => Start::Anchor { height, period_time: args.epoch_time },
    };
    let verifier = Verifier::new(args.network, start, header_time()?);
    let summary = if args.file == Path::new("-") {
        check(verifier, io::stdin().lock(), "standard input", &|_| ())
    } else {
        let name = args.file.display().to_string();
        let file = File::open(&args.file).wrap_err_with(|| format!("cannot open {name}"))?;
        let bytes = file.metadata().map(|facts| facts.len()).unwrap_or_default();
        let progress = Progress::new(context);
        let checked = check(verifier, file, &name, &|read| progress.of("checking headers, bytes", read, bytes));
        progress.clear();
        checked
    }?;
    let work = format!("{:064x}", summary.work);
    let object = json!({
        "network": args.network,
        "headers": summary.headers,
        "tip": summary.tip,
        "height": summary.height,
        "workAdded": work,
    });
    context.print(&object, || {
        println!("headers     {}", summary.headers);
        println!("tip         {}", summary.tip);
        println!("height      {}", summary.height);
        println!("work added  {work}");
    });
    Ok(())
}

fn check(mut verifier: Verifier, mut input: impl Read, name: &str, show: &dyn Fn(u64)) -> Result<Summary> {
    let (mut chunk, mut done) = (vec![0; CHUNK], 0);
    loop {
        let read = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {name}")),
        };
        done += read as u64;
        show(done);
        verifier.feed(&chunk[..read]).wrap_err_with(|| name.to_owned())?;
    }
    verifier.finish().wrap_err_with(|| name.to_owned())
}

/// Now, as far as a header can count the seconds since 1970.
fn header_time() -> Result<u32> {
    Ok(u32::try_from(now()?).unwrap_or(u32::MAX))
}
