//! `causeway pay serve`: a price on an HTTP server, paid by public clients of x402 and MPP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::Account;
use contracts::{CloseGrace, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use paywall::authorization::Token;
use paywall::io::serve::{SessionSettings, Settings, bind, start};
use paywall::mpp::Secret;
use paywall::origins::Origins;
use paywall::price::Rates;
use paywall::price_list::PriceList;
use paywall::session::offer::Channels;
use paywall::till::{DEFAULT_LIFETIME_S, MOST_LIFETIME_S, Till};

use super::batch::BatchArgs;
use super::channel::domain;
use super::event::Event;
use super::facilitator::FacilitatorArgs;
use super::state::ProvenState;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::stop::StopArgs;

/// In the home folder: payments that were taken, by network and account.
const FOLDER: &str = "paywall";
/// The chain may be silent for so small a part of the delay that a payee has when a payer closes.
const GRACE_PARTS: u64 = 144;
/// Where that delay is short, as on regtest: a node's blocks may come so late.
const LEAST_MOST_AGE_S: u64 = 30;
/// Each waiting answer has a connection.
const MOST_PATIENCE: Duration = Duration::from_secs(3_600);
const LEAST_CLAIM_AFTER: Duration = Duration::from_secs(60);

/// Put a price on an HTTP server: clients of x402 and MPP pay by request, in wrapped coins
///
/// A reverse proxy. A request without payment is answered by 402 with a demand in both protocols; one with payment is passed on
/// once its payment is final, or was spent of what a channel paid ahead (MPP's sessions). Your account sends the settlements, so
/// it needs coins for their gas. Paths without a price are not served. Clients have to reach it by HTTPS: put it behind whatever
/// ends TLS for you, and name its address by --public-url.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay serve --upstream http://127.0.0.1:3000 --price '/weather=25 sat' --dev-account 1
  causeway pay serve --upstream http://127.0.0.1:3000 --price 'POST /v1/chat=0.1 sat per event' --dev-account 1
  causeway pay serve --upstream http://127.0.0.1:3000 --rate USD=100000 --price '/api/*=0.02 USD' --price '/api/health=0 sat' \\
      --public-url https://api.example.com --metrics 127.0.0.1:9402 --keystore payee.keystore

A price by the unit is paid by sessions on channels (MPP's intent `session`), as the answer comes:
  '/page=1 sat per request'   '/file/*=0.5 sat per kilobyte'   '/raw=10 sat per byte'   'POST /chat=0.1 sat per event'
  'POST /v1/chat=0.1 sat per token, at least 50'
An event is a server-sent one. Of any other unit the upstream tells the number, in the field `Causeway-Units` of its answer's head or behind
its body; `at least` says how many must be paid for before it is asked.

A price list in a file (--prices):
  [rates]
  USD = \"100000\"
  [[price]]
  path = \"GET /reports/*\"
  amount = \"0.05 USD\"
  description = \"One report\"")]
pub struct ServeArgs {
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8402")]
    listen: SocketAddr,
    /// The server that answers what was paid for
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// What a path costs: `/weather=25 sat`, `/api/*=0.02 USD`, `GET /reports/*=0.001 BTC`, `/chat=0.1 sat per event`; zero is free. Repeatable
    #[arg(long = "price", value_name = "PATH=PRICE")]
    price: Vec<String>,
    /// A file with prices and rates
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What one bitcoin costs in a currency in which prices are: `USD=100000`. Repeatable
    #[arg(long = "rate", value_name = "CURRENCY=NUMBER")]
    rate: Vec<String>,
    /// Sell also for less than the gas of a page's own transaction costs at the moment. Otherwise such pages are paid by channels alone
    #[arg(long)]
    at_a_loss: bool,
    /// Who is paid; if somebody else, nothing is paid by sessions [default: the account that signs]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    pay_to: Option<Address>,
    /// How clients reach this server [default: http:// and the address it listens on]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Let web pages of this origin pay, `https://shop.example.com`, or of all: `*`. Repeatable [default: only pages of this server]
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Serve metrics for Prometheus here, at /metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Claim what a channel paid as soon as it is so much
    #[arg(long, value_name = "AMOUNT", default_value = "10000 sat", value_parser = amount::parse)]
    claim_at: Amount,
    /// Claim less after so long
    #[arg(long, value_name = "TIME", default_value = "1day", value_parser = humantime::parse_duration)]
    claim_after: Duration,
    /// The least that a channel must have in it: your account pays for the gas of opening it
    #[arg(long, value_name = "AMOUNT", default_value = "1000 sat", value_parser = amount::parse)]
    min_deposit: Amount,
    /// By how much each voucher of a channel must be larger than the last
    #[arg(long, value_name = "AMOUNT", default_value = "0 sat", value_parser = amount::parse)]
    min_voucher: Amount,
    /// How long an answer waits for more money before it ends
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Seconds for which a demand can be answered
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_LIFETIME_S, value_parser = clap::value_parser!(u64).range(30..=MOST_LIFETIME_S))]
    lifetime: u64,
    /// Seconds that the upstream may take to answer, and for each further part of its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    upstream_timeout: u64,
    /// Bytes of the longest request that is taken
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(0..=64 << 20))]
    max_body: u64,
    #[command(flatten)]
    facilitator: FacilitatorArgs,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    stop: StopArgs,
}

/// Serves until it is stopped.
///
/// # Errors
///
/// A price is none, an address is taken, the account does not open, or the node does not answer.
pub async fn serve(args: ServeArgs, context: &Context) -> Result<()> {
    let prices = args.prices()?;
    let origins = Origins::parse(&args.allow_origin).wrap_err("--allow-origin")?;
    let upstream = url("--upstream", &args.upstream)?;
    let network = args.network.connect(&args.account).await?;
    let account = args.account.open(&network.home, network.bitcoin)?;
    let facilitator = args.facilitator.access(args.listen, args.public_url.is_some())?;
    let listener = bind(args.listen)?;
    let network = Arc::new(network);
    let till = args.till(&network, &account, listener.local_addr()?)?;
    let sessions = args.sessions(&network, &account, &prices)?;
    let folder = folder(&network, account.address());
    let settings = Settings {
        listener,
        metrics: args.metrics.map(bind).transpose()?,
        upstream,
        upstream_patience: Duration::from_secs(args.upstream_timeout),
        prices,
        till: till.clone(),
        origins,
        claims: args.batch.claims(),
        facilitator,
        sessions,
        is_at_a_loss: args.at_a_loss,
        most_body_bytes: usize::try_from(args.max_body).wrap_err("--max-body is more than this machine can address")?,
        folder,
        account,
        client: network.client.clone(),
    };
    let paywall = start(settings).await?;
    let event = Event::Serving {
        address: paywall.address.to_string(),
        metrics: paywall.metrics.map(|address| address.to_string()),
        payee: till.payee,
        chain_id: till.token.chain_id,
        token: till.token.contract,
    };
    context.print(&event, || {
        println!("Serving {} at {}, paid to {}", args.upstream, paywall.address, till.payee);
    });
    let stopped = args.stop.stopped();
    tokio::select! {
        () = stopped => {}
        why = paywall.broken() => bail!("payments can no longer be kept: {why}"),
    }
    paywall.stop().await;
    Ok(())
}

/// Where an account's payments are.
pub fn folder(network: &KnownNetwork, account: Address) -> PathBuf {
    network.home.join(FOLDER).join(format!("{:x}-{account:x}", network.id))
}

impl ServeArgs {
    fn prices(&self) -> Result<PriceList> {
        let (mut prices, mut rates) = (PriceList::default(), Rates::default());
        for rate in &self.rate {
            rates.add(rate)?;
        }
        if let Some(path) = &self.prices {
            let text = std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
            prices.read(&text, &mut rates).wrap_err_with(|| format!("{} is no price list", path.display()))?;
        }
        for price in &self.price {
            prices.assign(price, &rates)?;
        }
        ensure!(
            !prices.is_empty(),
            "nothing has a price, so nothing would be served: --price '/path=25 sat', or --prices FILE"
        );
        Ok(prices)
    }

    /// None where somebody else is paid: only the payee itself can close a channel.
    fn sessions(
        &self,
        network: &Arc<KnownNetwork>,
        account: &Account,
        prices: &PriceList,
    ) -> Result<Option<SessionSettings>> {
        let payee = account.address();
        if self.pay_to.is_some_and(|other| other != payee) {
            ensure!(
                prices.entries().all(|entry| entry.meter.is_none()),
                "a price by the unit is paid by sessions, and those to the account that signs: leave --pay-to out"
            );
            return Ok(None);
        }
        ensure!(
            self.patience <= MOST_PATIENCE && self.claim_after >= LEAST_CLAIM_AFTER,
            "--patience is an hour at the most, --claim-after a minute at the least"
        );
        let grace = CloseGrace::of(network.bitcoin == mainchain::Network::Regtest);
        let wei = |amount| amount::wei(amount).saturating_to();
        Ok(Some(SessionSettings {
            state: Box::new(ProvenState(network.clone())),
            channels: Channels {
                domain: domain(network),
                network: network.network_id,
                payee,
                least_deposit: wei(self.min_deposit),
                least_delta: wei(self.min_voucher),
            },
            most_age_s: (grace.seconds / GRACE_PARTS).max(LEAST_MOST_AGE_S),
            claim_at: wei(self.claim_at),
            claim_after: self.claim_after,
            patience: self.patience,
        }))
    }

    fn till(&self, network: &KnownNetwork, account: &Account, listens: SocketAddr) -> Result<Till> {
        ensure!(
            self.pay_to.is_none_or(|other| !other.is_zero() && other != address::WRAPPED_BTC),
            "--pay-to names an account that cannot spend what it gets: wanted is one of yours"
        );
        let public = self.public_url.clone().unwrap_or_else(|| format!("http://{listens}"));
        let public = public.trim_end_matches('/').to_owned();
        let authority = url("--public-url", &public)?.authority().map(ToString::to_string);
        Ok(Till {
            token: Token::wrapped_btc(network.chain_id),
            payee: self.pay_to.unwrap_or_else(|| account.address()),
            realm: authority.ok_or_else(|| eyre!("--public-url names no server"))?,
            public_url: public,
            secret: Secret::derive(&account.secret().secret_bytes()),
            lifetime_s: self.lifetime,
            batch: self.batch.terms(account.address())?,
        })
    }
}

fn url(option: &str, text: &str) -> Result<paywall::io::http::Uri> {
    let url: paywall::io::http::Uri = text.parse().wrap_err_with(|| format!("{option} {text:?} is no URL"))?;
    ensure!(
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some() && url.query().is_none(),
        "{option} wants a URL as in http://127.0.0.1:3000"
    );
    Ok(url)
}
