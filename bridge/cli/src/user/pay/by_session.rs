//! `--deposit`, `--channel`: paying by a channel, for `pay fetch` and `pay stream`.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Account;
use contracts::{WrappedBtc, address};
use eyre::{Result, ensure};
use payments::channel::Channel;
use paywall::io::fetch::FetchError;
use paywall::io::fetch::purse::{PayersChain, SessionPurse};

use super::channel::{channel, domain, find, for_vouchers, shown_amount};
use super::promises::folder;
use super::voucher::key_of;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};

/// How a channel pays.
#[derive(Debug, clap::Args)]
pub struct BySession {
    /// Pay by a channel, and lock so much in a new one where none is open for this server, or in the one that is when it is used up; it is kept for later commands
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    pub deposit: Option<Amount>,
    /// Pay by this channel (`causeway pay open --token wrapped`)
    #[arg(long, value_name = "ID", conflicts_with = "deposit")]
    pub channel: Option<B256>,
    /// The seed of --channel, whose key signs its vouchers; no account is needed then
    #[arg(long, value_name = "FILE", requires = "channel")]
    pub seed: Option<PathBuf>,
    /// How much may be promised beyond what was delivered [default: ten units, of a page that is not metered its price; or the server's least step]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    pub ahead: Option<Amount>,
    /// Open a channel although the server named another payee before, and the channel with that one has money left
    #[arg(long, requires = "deposit")]
    pub another_payee: bool,
    /// Close the channel afterwards: what was not spent comes back
    #[arg(long)]
    pub close: bool,
}

impl BySession {
    /// Whether a channel is to pay.
    pub fn is_wanted(&self) -> bool {
        self.deposit.is_some() || self.channel.is_some()
    }

    /// The network that is paid on.
    ///
    /// # Errors
    ///
    /// As [`NetworkArgs::connect`].
    pub async fn connect(&self, network: &NetworkArgs, account: &AccountArgs) -> Result<KnownNetwork> {
        if self.seed.is_some() { network.connect_to_pay().await } else { network.connect(account).await }
    }

    /// Who pays, and by what.
    ///
    /// # Errors
    ///
    /// The account does not open, or the channel is another's, closed, or in other coins.
    pub async fn purse(&self, network: &KnownNetwork, account: &AccountArgs, most: Amount) -> Result<SessionPurse> {
        let mut named = None;
        if let Some(id) = self.channel {
            let seen = channel(network, network.final_header().await?.as_ref(), id).await?;
            ensure!(!seen.finalized, "channel {id} is closed");
            ensure!(seen.close_requested.is_none(), "channel {id} is closing: its payer asked for what is left of it");
            named = Some(seen);
        }
        let signer = match (&self.seed, self.channel, &named) {
            (Some(path), Some(id), Some(seen)) => key_of(path, network, id, seen).await?,
            _ => account.open(&network.home, network.bitcoin)?,
        };
        if let (Some(id), Some(seen)) = (self.channel, &named) {
            let own = signer.address();
            ensure!(own == seen.signer, "channel {id} is paid by {}, you are {own}", seen.signer);
        }
        let payer = named.as_ref().map_or_else(|| signer.address(), |seen| seen.payer);
        let wei = |amount| amount::wei(amount).saturating_to();
        Ok(SessionPurse {
            account: Account::from_key(signer.secret()),
            token: named.as_ref().map_or(address::WRAPPED_BTC, |seen| seen.token),
            chain_id: network.chain_id,
            domain: domain(network),
            network: network.network_id,
            folder: folder(network, payer),
            most: wei(most),
            ahead: self.ahead.map(wei),
            supplies: false,
            deposit: self.deposit.map(wei),
            channel: self.channel.zip(named).map(|(id, seen)| for_vouchers(network, id, &seen)),
            by_ticks: false,
            another_payee: self.another_payee,
            signer,
        })
    }
}

/// The chain, for a payer.
pub struct OnChain<'a> {
    pub network: &'a KnownNetwork,
    /// Who locks deposits.
    pub own: Address,
}

impl PayersChain for OnChain<'_> {
    /// The account has what is to be locked, as far as the node tells: else nothing is signed.
    async fn agree(&self, _payee: Address, deposit: u128) -> Result<(), FetchError> {
        let own = self.own;
        let call = WrappedBtc::balanceOfCall { account: own };
        let balance = self.network.client.call(address::WRAPPED_BTC, &call).await;
        let balance = balance.map_err(|error| FetchError::NotPaid(error.to_string()))?;
        if balance >= U256::from(deposit) {
            return Ok(());
        }
        let (has, wants) = (amount::show_wei(balance), shown_amount(Address::ZERO, deposit));
        Err(FetchError::NotPaid(format!(
            "{own} has {has} of wrapped coins, the deposit is {wants} (causeway pay wrap makes some)"
        )))
    }

    async fn look(&self, id: B256) -> Result<Option<Channel>, FetchError> {
        let text = |error: eyre::Report| FetchError::NotPaid(format!("{error:#}"));
        let header = self.network.final_header().await.map_err(text)?;
        let seen = find(self.network, header.as_ref(), id).await.map_err(text)?;
        Ok(seen.map(|seen| for_vouchers(self.network, id, &seen)))
    }
}
