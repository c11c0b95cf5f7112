//! `causeway pay voucher`: a promise of everything paid so far, signed; and vouchers read back.

use std::io::{BufRead, BufReader};
use std::path::Path;

use alloy_primitives::B256;
use bitcoin::Amount;
use bridge::amount;
use contracts::address;
use eyre::{Result, WrapErr, ensure};
use payments::voucher::{SignedVoucher, Voucher};

use super::channel::{channel, domain, shown_amount};
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Sign what was paid so far; prints the voucher for the payee
#[derive(Debug, clap::Args)]
pub struct VoucherArgs {
    /// The channel's id
    channel: B256,
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
/// The account does not sign its vouchers, the channel is closed, or the total is not between what was claimed and the deposit.
pub async fn voucher(args: VoucherArgs) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let account = &spender.account;
    let channel = channel(&network, network.final_header().await?.as_ref(), args.channel).await?;
    let (id, token) = (args.channel, channel.token);
    let total: u128 = amount::wei(args.total).saturating_to();
    ensure!(
        account.address() == channel.signer,
        "channel {id} is paid by {}, you are {}",
        channel.signer,
        account.address()
    );
    ensure!(!channel.finalized, "channel {id} is closed");
    ensure!(token.is_zero() || token == address::WRAPPED_BTC, "channel {id} pays in the token {token}, not in bitcoin");
    ensure!(
        total > channel.settled,
        "{} were claimed already: a voucher says everything paid so far",
        shown_amount(token, channel.settled)
    );
    ensure!(total <= channel.deposit, "the channel's deposit is {}", shown_amount(token, channel.deposit));
    let voucher = Voucher { channel_id: id, cumulative_amount: total };
    spender.agree(&[
        format!("What       promise {} in all through channel {id} to {}", shown_amount(token, total), channel.payee),
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
