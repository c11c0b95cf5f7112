//! `causeway pay voucher`: a promise of everything paid so far, signed.

use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Account;
use eyre::{Result, ensure, eyre};
use light::micro_channel::Channel;
use payments::account_signature::address_of;
use payments::terms::Terms;
use paywall::io::fetch::sent::promise_in_all;

use super::channel::{channel, domain, for_vouchers, shown_amount};
use super::promises::folder;
use super::seed::{self, Side};
use super::token;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::user::spending::Spender;

/// Sign what was paid so far; prints the voucher for the payee
///
/// It counts as promised: `causeway pay send` adds to it, and no smaller total is signed after it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay voucher 0x6b62... --total '250 sat' --dev-account 0
  causeway pay voucher 0x6b62... --total '250 sat' --seed payments.seed")]
pub struct VoucherArgs {
    /// The channel's id
    channel: B256,
    /// Everything paid through the channel so far, this payment included
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "units")]
    total: Option<Amount>,
    /// The same in a token that is not bitcoin, in its smallest unit
    #[arg(long, value_name = "NUMBER", conflicts_with = "total")]
    units: Option<u128>,
    /// Sign by the channel's key of this seed, instead of an account
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
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
    let network = match &args.seed {
        Some(_) => args.network.connect_to_pay().await?,
        None => args.network.connect(&args.account).await?,
    };
    let id = args.channel;
    let spender = match &args.seed {
        Some(_) => None,
        None => Some(Spender::open(&network, &args.account, args.spending)?),
    };
    let channel = channel(&network, network.final_header().await?.as_ref(), id).await?;
    let secret = match (&args.seed, &spender) {
        (Some(path), _) => key_of(path, &network, id, &channel).await?.secret(),
        (None, spender) => spender.as_ref().expect("opened without a seed").account.secret(),
    };
    let own = address_of(&secret);
    ensure!(own == channel.signer, "channel {id} is paid by {}, you are {own}", channel.signer);
    ensure!(!channel.finalized, "channel {id} is closed");
    let token = channel.token;
    let total = token::units(token, args.total, args.units)?;
    ensure!(
        total > channel.settled,
        "{} were claimed already: a voucher says everything paid so far",
        shown_amount(token, channel.settled)
    );
    ensure!(total <= channel.deposit, "the channel's deposit is {}", shown_amount(token, channel.deposit));
    if let Some(spender) = &spender {
        spender.agree(&[
            format!(
                "What       promise {} in all through channel {id} to {}",
                shown_amount(token, total),
                channel.payee
            ),
            format!("From       {own} on chain {}", network.chain_id),
        ])?;
    }
    let known = for_vouchers(&network, id, &channel);
    let signed = promise_in_all(&folder(&network, channel.payer), domain(&network), known, total, &secret).await?;
    println!("{}", serde_json::to_string(&signed).expect("our own types always serialise"));
    Ok(())
}

/// The key of a seed that signs a channel's vouchers, found by the channel's salt on the chain.
///
/// # Errors
///
/// There is no seed, or it is not its channel.
pub async fn key_of(path: &Path, network: &KnownNetwork, id: B256, channel: &Channel) -> Result<Account> {
    let seed = seed::read(path)?;
    let opened = seed::opened(&network.client, network.chain_id, channel.payer, Side::Payer).await?;
    let terms: Vec<Terms> = opened.into_iter().map(|opened| opened.terms).collect();
    let mut found = seed.find(network.network_id, channel.payer, &terms).into_values();
    let key = found.find(|(_, terms)| terms.channel_id(&domain(network)) == id);
    let (key, _) = key.ok_or_else(|| eyre!("channel {id} is not of the seed {}", path.display()))?;
    Ok(Account::from_key(key.signer))
}
