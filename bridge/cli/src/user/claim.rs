//! `causeway claim`: coins that a recipient's code refused, or cover that came back, wait in the bridge for an account.

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Take coins that wait for you in the bridge
///
/// Coins whose recipient's code refused them wait for the claimant that the deposit address commits to (causeway peg-in --claimant), or
/// for a withdrawal's owner. All that wait for the account are taken at once.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway claim --keystore me.keystore\n  causeway claim --to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --keystore me.keystore"
)]
pub struct Args {
    /// Who gets the coins [default: the account itself]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    to: Option<Address>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "claimed", rename_all = "camelCase")]
struct Claimed {
    account: Address,
    to: Address,
    transaction: B256,
    amount_sat: u64,
}

/// Runs `causeway claim`.
///
/// # Errors
///
/// Nothing waits for the account, `--to` refuses the coins too, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let spender = Spender::open(&network, &args.account, args.spending)?;
        let account = spender.account.address();
        let to = args.to.unwrap_or(account);
        ensure!(!to.is_zero(), "--to is the zero address: nobody could ever use the coins");
        let call = Call::new(address::BRIDGE, &Bridge::claimCall { to });
        if !spender.goes_on(&call)? {
            let waits = network.client.call(address::BRIDGE, &Bridge::claimableCall { account }).await?;
            ensure!(waits > 0, "no coins wait for {account} in the bridge");
            eprintln!("Waiting    {} for {account}, by the node's word", amount::show(Amount::from_sat(waits)));
        }
        let claimed = |receipt: &TransactionReceipt| {
            let claimed: Bridge::Claimed = emitted(receipt, address::BRIDGE)?;
            let same = claimed.account == account && claimed.to == to;
            ensure!(same, "coins of {} went to {}", claimed.account, claimed.to);
            Ok((receipt.transaction_hash, claimed.amountSat))
        };
        let (transaction, amount_sat) = spender.transact(&call, claimed).await.wrap_err("nothing is claimed")?;
        let value = amount::show(Amount::from_sat(amount_sat));
        let event = Claimed { account, to, transaction, amount_sat };
        context.print(&event, || println!("Claimed {value}: to {to} (transaction {transaction})"));
        Ok(())
    })
}
