//! `causeway pay voucher`: a promise of everything paid so far, signed; and vouchers read back.

use std::io::{BufRead, BufReader};
use std::path::Path;

use alloy_primitives::U256;
use bitcoin::Amount;
use bridge::amount;
use bridge::micro_channel::{SignedVoucher, Voucher};
use eyre::{Result, WrapErr, ensure};

use super::channel::{channel, domain};
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Sign what was paid so far; prints the voucher for the payee
#[derive(Debug, clap::Args)]
pub struct VoucherArgs {
    /// The channel's number
    channel: u64,
    /// Everything paid through the channel so far, this payment included
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    total: Amount,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Signs a voucher. Always prints one line of JSON: that is what the payee wants.
///
/// # Errors
///
/// The account is not the payer, the channel is closed, or the total is not between what was claimed and the deposit.
pub async fn voucher(args: VoucherArgs) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let account = &spender.account;
    let channel = channel(&network, network.final_header().await?.as_ref(), args.channel).await?;
    let (id, total) = (args.channel, amount::wei(args.total));
    ensure!(
        account.address() == channel.payer,
        "channel {id} is paid by {}, you are {}",
        channel.payer,
        account.address()
    );
    ensure!(!channel.closed, "channel {id} is closed");
    let (claimed, deposit) = (U256::from(channel.claimed), U256::from(channel.deposit));
    ensure!(
        total > claimed,
        "{} were claimed already: a voucher says everything paid so far",
        amount::show_wei(claimed)
    );
    ensure!(total <= deposit, "the channel's deposit is {}", amount::show_wei(deposit));
    let voucher = Voucher { channel: U256::from(id), total };
    spender.agree(&[
        format!("What       promise {} in all through channel {id} to {}", amount::show_wei(total), channel.payee),
        format!("From       {} on chain {}", account.address(), network.chain_id),
    ])?;
    let signed = voucher.sign(&domain(&network), &account.secret());
    println!("{}", serde_json::to_string(&signed).expect("our own types always serialise"));
    Ok(())
}

/// Vouchers of a file, one a line, or of standard input for `-`.
///
/// # Errors
///
/// The file cannot be read, or a line is not a voucher.
pub fn read_vouchers(path: &Path) -> Result<Vec<SignedVoucher>> {
    let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file =
            std::fs::File::open(path).wrap_err_with(|| format!("cannot read vouchers from {}", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut vouchers = Vec::new();
    for (number, line) in (1..).zip(input.lines()) {
        let line = line.wrap_err("cannot read vouchers")?;
        if !line.trim().is_empty() {
            vouchers.push(serde_json::from_str(&line).wrap_err_with(|| format!("line {number} is not a voucher"))?);
        }
    }
    Ok(vouchers)
}
