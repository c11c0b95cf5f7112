//! `causeway pay invoice`: asks for an amount, and waits until it is paid.

use std::path::PathBuf;

use alloy_primitives::{Address, hex};
use bitcoin::Amount;
use bridge::amount;
use contracts::address;
use eyre::{Result, WrapErr, ensure};
use rand::RngCore as _;

use super::checkout;
use super::look::Looker;
use super::record::{Hook, Invoice, Seen, Terms};
use super::store::Store;
use super::text;
use super::till::{self, Place, Till};
use super::webhook::{self, Secret};
use crate::clock::now;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::user::charge::{present_of_deposit, usual_of_deposit};
use crate::user::deposit_record::{Receiver, ReclaimKey, Record, Records};
use crate::user::registration::register;

/// For how long payments are in time, unless it is said.
const USUAL_LIFETIME_S: u64 = 3_600;

/// Ask for an amount: links and codes to pay by, on the sidechain or from Bitcoin; waits until it is paid for good
///
/// Each invoice has an account and a Bitcoin address of its own, derived from your account: what arrives there was paid for it. The
/// passphrase is asked for once; later invoices need no secret, so a shop's server need not have your keystore. `causeway pay collect` brings
/// what came in to you. The same --reference is the same invoice: after Ctrl-C or a crash the same command goes on.
///
/// Exit status 3 if it expired and was not paid in full, 4 if it was paid in full, but too late.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay invoice '25000 sat' --reference order-17 --memo 'Two coffees' --keystore merchant.keystore
  causeway pay invoice '0.01 BTC' --reference order-18 --expires 15m --no-wait --json \\
      --webhook https://shop.example/paid --webhook-secret webhook.secret")]
pub struct InvoiceArgs {
    /// How much is asked for
    #[arg(value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Amount,
    /// Shown to the payer, at most 200 characters
    #[arg(long, value_name = "TEXT", value_parser = text::memo)]
    memo: Option<String>,
    /// Your own name of the order: the same name is the same invoice [default: a random one]
    #[arg(long, value_name = "REF", value_parser = text::reference)]
    reference: Option<String>,
    /// For how long payments are in time [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = text::lifetime)]
    expires: Option<u64>,
    /// Who gets what is paid [default: the account itself]
    #[arg(long, value_name = "ACCOUNT", value_parser = crate::options::address::parse)]
    to: Option<Address>,
    /// Offer no payment from Bitcoin
    #[arg(long)]
    no_bitcoin: bool,
    /// Post changes there, signed (docs/payments.md, "webhooks")
    #[arg(long, value_name = "URL", requires = "webhook_secret")]
    webhook: Option<String>,
    /// The file with the secret that posts are signed with
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_secret: Option<PathBuf>,
    /// Show the links and stop, without waiting
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Makes an invoice, or goes on with it.
///
/// # Errors
///
/// Another one has the reference, it could not be kept, the node does not answer or proves nothing, or it was not paid in time.
pub async fn invoice(args: InvoiceArgs, context: &Context) -> Result<()> {
    ensure!(args.amount > Amount::ZERO, "nobody can pay 0 sat");
    let network = args.network.connect_to_pay().await?;
    let store = Store::new(&network.home, network.network_id);
    let reference = args.reference.clone().unwrap_or_else(random_reference);
    let invoice = match store.find(&reference)? {
        Some(kept) => kept,
        None => store.add(&args.make(&network, reference).await?)?,
    };
    args.expect_same(&invoice)?;
    let invoice = args.with_hook(&store, invoice)?;
    let mut looker = Looker::new(&network)?;
    if let (Some(address), false) = (invoice.terms.bitcoin_address.as_deref(), invoice.state().has_ended()) {
        register(&network.client, &Records::in_home(&network.home).find(address)?).await?;
    }
    let facts = looker.look(&invoice).await?;
    let invoice = store.update(&invoice.reference, |kept| {
        let _ = kept.apply(&facts);
        true
    })?;
    checkout::show(&invoice, context);
    if args.no_wait {
        return Ok(());
    }
    checkout::wait(&mut looker, &store, invoice, context).await
}

/// Nobody guesses it.
fn random_reference() -> String {
    let mut bytes = [0; 8];
    rand::thread_rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

impl InvoiceArgs {
    /// A new invoice. The record of its Bitcoin address is on disk when this returns.
    async fn make(&self, network: &KnownNetwork, reference: String) -> Result<Invoice> {
        let webhook = self.hook()?;
        let till = till::of_merchant(&network.home, &self.account, network.bitcoin)?;
        let to = self.to.unwrap_or(till.owner);
        check_payee(to)?;
        let place = Place::of(network.network_id, &reference);
        let record = self.deposit(network, &till, place, to).await?;
        let created_at = now()?;
        let account = till.account(place);
        let earlier = network.client.nonce(account).await?;
        if earlier > 0 {
            eprintln!(
                "Beware: an invoice {reference} was paid and collected before, and its file is lost. What was paid then counts for nothing now"
            );
        }
        let terms = Terms {
            network_id: network.network_id,
            chain_id: network.chain_id,
            amount_sat: self.amount.to_sat(),
            memo: self.memo.clone(),
            owner: till.owner,
            to,
            account,
            bitcoin_address: record.map(|record| record.address),
        };
        Ok(Invoice {
            reference,
            terms,
            created_at,
            expires_at: created_at.saturating_add(self.expires.unwrap_or(USUAL_LIFETIME_S)),
            webhook,
            seen: Seen::default(),
            events: Vec::new(),
            earlier,
            collected: Vec::new(),
            moved_token_wei: alloy_primitives::U256::ZERO,
        })
    }

    /// The invoice with the webhook that is named now: where it is told is no part of the order.
    fn with_hook(&self, store: &Store, kept: Invoice) -> Result<Invoice> {
        let hook = self.hook()?;
        if hook.is_none() || hook == kept.webhook {
            return Ok(kept);
        }
        store.update(&kept.reference, |kept| {
            kept.webhook = hook;
            true
        })
    }

    /// The webhook, whose secret can be read now.
    fn hook(&self) -> Result<Option<Hook>> {
        let (Some(url), Some(secret)) = (self.webhook.clone(), &self.webhook_secret) else { return Ok(None) };
        webhook::check(&url)?;
        Secret::read(secret)?;
        let secret = std::path::absolute(secret).wrap_err("the folder that this runs in is gone")?;
        Ok(Some(Hook { url, secret }))
    }

    /// A Bitcoin address that credits the merchant, kept as `causeway peg-in` keeps them; none where Bitcoin cannot pay this.
    async fn deposit(&self, network: &KnownNetwork, till: &Till, place: Place, to: Address) -> Result<Option<Record>> {
        if self.no_bitcoin {
            return Ok(None);
        }
        let info = &network.info;
        if info.group_key.is_none() {
            eprintln!("Not offered from Bitcoin: the federation has no key yet");
            return Ok(None);
        }
        let least = Amount::from_sat(info.parameters.min_deposit_sat);
        if self.amount < least {
            eprintln!("Not offered from Bitcoin: the smallest deposit is {}", amount::show(least));
            return Ok(None);
        }
        network.prove_key().await?;
        let now = present_of_deposit(&network.client, &info.parameters).await?;
        let max_fee = match usual_of_deposit(Some(self.amount), now, &info.parameters) {
            Ok(max_fee) => max_fee,
            Err(_) => {
                eprintln!(
                    "Not offered from Bitcoin: a sweep costs {} now, too much of this amount",
                    amount::show(now.amount)
                );
                return Ok(None);
            }
        };
        // Should the code of --to refuse the coins, the merchant's own account fetches them (causeway claim).
        let receiver = Receiver { recipient: to, claimant: till.owner };
        let reclaim = ReclaimKey::Own(till.reclaim_key(place).x_only_public_key().0);
        let record = Record::new(info, network.bitcoin, receiver, max_fee, reclaim)?;
        Records::in_home(&network.home).keep(&record)?;
        Ok(Some(record))
    }

    /// A reference is one invoice: what was asked for cannot change under it.
    fn expect_same(&self, kept: &Invoice) -> Result<()> {
        let reference = &kept.reference;
        ensure!(
            kept.amount() == self.amount,
            "the invoice {reference} is of {}, not of {}: another order needs another --reference",
            amount::show(kept.amount()),
            amount::show(self.amount)
        );
        ensure!(
            self.to.is_none_or(|to| to == kept.terms.to),
            "the invoice {reference} pays {}: another order needs another --reference",
            kept.terms.to
        );
        let own = till::named(&self.account)?;
        ensure!(
            own.is_none_or(|own| own == kept.terms.owner),
            "the invoice {reference} is of account {}: another merchant's order needs another --reference, or another home folder",
            kept.terms.owner
        );
        ensure!(
            self.expires.is_none_or(|expires| kept.created_at.saturating_add(expires) == kept.expires_at),
            "the invoice {reference} was made for {} s: another order needs another --reference",
            kept.expires_at.saturating_sub(kept.created_at)
        );
        ensure!(
            self.memo.is_none() || self.memo == kept.terms.memo,
            "the invoice {reference} has another memo: another order needs another --reference"
        );
        Ok(())
    }
}

/// Somebody who can use the coins.
fn check_payee(to: Address) -> Result<()> {
    let contracts = [address::BRIDGE, address::VAULT, address::DEPOSITS, address::WRAPPED_BTC, address::MICRO_CHANNEL];
    ensure!(!to.is_zero() && !contracts.contains(&to), "--to is {to}, which nobody can spend from");
    Ok(())
}
