//! `causeway raise`: a withdrawal may cost more than its owner said at first.

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bitcoin::{Amount, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::Call;
use bridge::peg::{Withdrawal, WithdrawalStatus};
use contracts::{Bridge, address};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use super::charge::{present_of_withdrawal, rate_shown};
use super::peg_out::check_maximum;
use super::withdrawal::{find, why_not_queued};
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Let a withdrawal's payout cost more, so that it is paid sooner
///
/// For one that waits because it costs more now than its maximum (causeway status says so), or whose payout waits on Bitcoin: a version of
/// it that pays more can take its place. What is bound already keeps its price. Nothing is sent along: it is taken off the amount.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway raise 7 --max-fee '9000 sat' --keystore me.keystore")]
pub struct Args {
    /// The withdrawal's number, as `causeway peg-out` printed it
    #[arg(value_parser = crate::options::number::withdrawal)]
    id: u64,
    /// The most that its payout may cost from now on
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max_fee: Amount,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "raised", rename_all = "camelCase")]
struct Raised {
    id: u64,
    transaction: B256,
    max_fee_sat: u64,
}

/// Runs `causeway raise`.
///
/// # Errors
///
/// There is no such withdrawal, it is another account's or has ended, the bridge would refuse the maximum, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect(&args.account).await?;
        let (id, max_fee_sat) = (args.id, args.max_fee.to_sat());
        let withdrawal = find(&network.client, id).await?;
        let call = Call::new(address::BRIDGE, &Bridge::raiseCall { id: U256::from(id), maxFeeSat: max_fee_sat });
        let spender = Spender::open(&network, &args.account, args.spending)?;
        if !spender.goes_on(&call)? {
            let own = spender.account.address();
            ensure!(own == withdrawal.owner, "withdrawal {id} belongs to {}, you are {own}", withdrawal.owner);
            args.check(&network, &withdrawal).await?;
        }
        let raised = |receipt: &TransactionReceipt| {
            let raised: Bridge::MaximumRaised = emitted(receipt, address::BRIDGE)?;
            let same = raised.id == U256::from(id) && raised.maxFeeSat == max_fee_sat;
            ensure!(same, "the maximum of withdrawal {} was raised to {} sat", raised.id, raised.maxFeeSat);
            Ok(receipt.transaction_hash)
        };
        let transaction = spender.transact(&call, raised).await.wrap_err("the maximum is not raised")?;
        context.print(&Raised { id, transaction, max_fee_sat }, || {
            println!("Withdrawal {id} may cost up to {} now", amount::show(args.max_fee));
        });
        Ok(())
    })
}

impl Args {
    /// Says before anything is sent what the bridge would refuse, and what it costs now.
    async fn check(&self, network: &KnownNetwork, withdrawal: &Withdrawal) -> Result<()> {
        let open = matches!(withdrawal.status, WithdrawalStatus::Queued | WithdrawalStatus::Tied);
        ensure!(open, "{}: its maximum is of no use any more", why_not_queued(withdrawal));
        let before = Amount::from_sat(withdrawal.max_fee_sat);
        ensure!(
            self.max_fee > before,
            "--max-fee {} is not more than its maximum of {}: it can only be raised",
            amount::show(self.max_fee),
            amount::show(before)
        );
        let script = ScriptBuf::from_bytes(withdrawal.script.to_vec());
        let parameters = &network.info.parameters;
        check_maximum(Amount::from_sat(withdrawal.amount_sat), self.max_fee, &script, parameters)?;
        let now = present_of_withdrawal(&network.client, script.len(), parameters).await?;
        eprintln!(
            "Quote      at {} sat/vB, the node's word, it costs {}",
            rate_shown(now.rate),
            amount::show(now.amount)
        );
        Ok(())
    }
}
