//! `causeway pay open`: a deposit is locked for a payee.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolCall;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Call;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure};
use rand::RngCore as _;

use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Lock a deposit for a payee
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// Who can claim it
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    payee: Address,
    /// The deposit: the most that can be paid through the channel
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    /// Who signs vouchers instead of you
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    signer: Option<Address>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Opens a channel.
///
/// # Errors
///
/// The account does not open or has too little, or the channel is not opened.
pub async fn open(args: OpenArgs, context: &Context) -> Result<()> {
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let value = amount::wei(args.amount);
    let terms = OpenTerms { network: network.network_id, payee: args.payee, value, signer: args.signer };
    // A command that was interrupted goes on with its own channel: the salt of another would open a second one.
    let kept = spender.kept(|call| terms.are_of(call))?;
    let call = kept.unwrap_or_else(|| terms.call());
    if !spender.goes_on(&call)? {
        spender.afford(call.value, "to deposit").await?;
    }
    let own = spender.account.address();
    let opened = |receipt: &TransactionReceipt| {
        let opened: MicroChannel::ChannelOpened = emitted(receipt, address::MICRO_CHANNEL)?;
        let right = opened.payer == own && opened.payee == args.payee && opened.deposit == value;
        ensure!(right, "another channel was opened than was asked for");
        Ok((opened, receipt.transaction_hash))
    };
    let (opened, transaction) = spender.transact(&call, opened).await.wrap_err("the channel is not opened")?;
    let event = Event::Opened {
        channel: opened.channelId,
        payer: opened.payer,
        payee: opened.payee,
        deposit: opened.deposit.to_string(),
        transaction,
    };
    context.print(&event, || {
        println!("Channel {} open: up to {} for {}", opened.channelId, amount::show(args.amount), opened.payee);
    });
    Ok(())
}

/// What a channel of coins is opened with, but for its salt.
struct OpenTerms {
    network: B256,
    payee: Address,
    value: U256,
    signer: Option<Address>,
}

impl OpenTerms {
    fn call(&self) -> Call {
        let mut salt = B256::ZERO;
        rand::thread_rng().fill_bytes(salt.as_mut_slice());
        let open = MicroChannel::openOnNetworkCall {
            network: self.network,
            payee: self.payee,
            token: Address::ZERO,
            deposit: self.value.saturating_to(),
            salt,
            authorizedSigner: self.signer.unwrap_or_default(),
            splitRecipients: Vec::new(),
            splitBps: Vec::new(),
        };
        Call::new(address::MICRO_CHANNEL, &open).with_value(self.value)
    }

    fn are_of(&self, call: &Call) -> bool {
        if call.to != Some(address::MICRO_CHANNEL) || call.value != self.value {
            return false;
        }
        MicroChannel::openOnNetworkCall::abi_decode(&call.input).is_ok_and(|open| {
            (open.network, open.payee, open.token) == (self.network, self.payee, Address::ZERO)
                && open.authorizedSigner == self.signer.unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_being_opened_is_known_again_whatever_its_salt() {
        let terms = |payee: u8, value: u64| OpenTerms {
            network: B256::repeat_byte(1),
            payee: Address::repeat_byte(payee),
            value: U256::from(value),
            signer: None,
        };
        let call = terms(2, 7).call();
        assert_ne!(call, terms(2, 7).call(), "two channels");
        assert!(terms(2, 7).are_of(&call));
        assert!(!terms(3, 7).are_of(&call) && !terms(2, 8).are_of(&call));
        assert!(!OpenTerms { signer: Some(Address::repeat_byte(4)), ..terms(2, 7) }.are_of(&call));
    }
}
