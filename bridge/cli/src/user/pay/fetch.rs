//! `causeway pay fetch`: a page, paid for when the server asks for it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{B256, U256};
use bitcoin::Amount;
use bridge::amount;
use bridge::foreign::shown;
use contracts::{WrappedBtc, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use paywall::authorization::Token;
use paywall::io::fetch::session::{Begun, Session};
use paywall::io::fetch::{FetchError, Fetched, Page, Paid, Purse, check_encrypted, fetch};
use paywall::io::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use paywall::payer::tally::Stop;
use paywall::wallet::{Bill, Limits, Unpayable};

use super::by_session::{BySession, OnChain};
use super::event::Event;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};

/// Bytes of the longest page, unless another number is said.
const MOST_BYTES: usize = 64 << 20;

/// In the home folder: payments that were signed and whose answer did not come yet.
const FOLDER: &str = "fetching";

/// Fetch a page and pay for it, by x402 or MPP, whichever the server asks by
///
/// Pays in wrapped coins (`causeway pay wrap`), without gas: each page by itself, or by a channel that stays open (--deposit, --channel), where
/// the server offers it. What was signed is kept until the answer came: if this is interrupted, the
/// same command again shows the same payment, and not a second one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay fetch http://127.0.0.1:8402/weather --max '100 sat' --dev-account 0
  causeway pay fetch https://api.example.com/reports -d '{\"year\":2026}' -H 'content-type: application/json' --max '0.0001 BTC' \\
      --keystore payer.keystore --output report.json
  causeway pay fetch https://api.example.com/quotes/BTC --max '10 sat' --deposit '10000 sat' --keystore payer.keystore
  causeway pay fetch https://api.example.com/quotes/BTC --max '10 sat' --deposit '10000 sat' --close --keystore payer.keystore")]
pub struct FetchArgs {
    #[command(flatten)]
    page: PageArgs,
    /// The most that it may cost; more is not signed
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max: Amount,
    /// Write the page here instead of to standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Bytes of the longest page that is taken
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    max_bytes: u64,
    /// Keep what came of an answer that is paid for as it comes and costs more than --max, and call that done. Otherwise nothing is written
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    session: BySession,
    /// Sign another payment although the server refused one that it may still have carried out
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// A request, for `pay fetch` and `pay stream`.
#[derive(Debug, clap::Args)]
pub struct PageArgs {
    /// What to fetch
    #[arg(value_name = "URL")]
    pub url: Uri,
    /// The method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// A header to send, as in `accept: text/plain`. Repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A body to send; `@FILE` sends a file
    #[arg(short = 'd', long, value_name = "TEXT")]
    data: Option<String>,
    /// Seconds that the server may take for each part of its answer; a payment takes some
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Pay over a connection that is not encrypted
    #[arg(long)]
    pub insecure: bool,
}

/// Fetches a page.
///
/// # Errors
///
/// The server does not answer, asks for more or for something else, or refuses the payment; or the account has too little.
pub async fn run(args: FetchArgs, context: &Context) -> Result<()> {
    let mut page = args.page.page()?;
    page.most_bytes = usize::try_from(args.max_bytes).wrap_err("--max-bytes is more than this machine can address")?;
    if !args.page.insecure {
        check_encrypted(&page.url)?;
    }
    if let Some(path) = &args.output {
        check_writable(path).wrap_err_with(|| format!("cannot write {}: nothing was paid", path.display()))?;
    }
    let network = args.session.connect(&args.network, &args.account).await?;
    // What is to be closed is looked for first.
    if args.session.is_wanted() || args.session.close {
        match by_session(&args, &page, &network, context).await {
            // It takes charges alone, which the account pays; a channel's own key cannot.
            Err(error) if args.session.channel.is_none() && is_unpayable(&error) => {}
            Err(error) if matches!(error.downcast_ref(), Some(FetchError::NoChannel(_))) => {}
            fetched => return fetched,
        }
    }
    let account = args.account.open(&network.home, network.bitcoin)?;
    let own = account.address();
    let limits = Limits { token: Token::wrapped_btc(network.chain_id), most: amount::wei(args.max) };
    let folder = network.home.join(FOLDER).join(format!("{:x}", network.id));
    let purse = Purse { account, limits, folder, again: args.again };
    let agree = async |bill: &Bill| afford(&network, own, bill).await;
    let fetched = match fetch(&page, &purse, Duration::from_secs(args.page.timeout), agree, |fetched| {
        args.write(&fetched.body, context)
    })
    .await
    {
        // What takes no charge is paid by the channel that is kept for this server, if there is one.
        Err(error @ FetchError::Unpayable(Unpayable::Foreign(_))) if !args.session.is_wanted() => {
            return match by_session(&args, &page, &network, context).await {
                Err(none) if is_unpayable(&none) => Err(error.into()),
                fetched => fetched,
            };
        }
        fetched => fetched?,
    };
    args.tell_of_charge(&fetched, context)
}

/// Fails where a file could not be written afterwards; leaves it as it is.
fn check_writable(path: &Path) -> io::Result<()> {
    let is_there = path.exists();
    std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    if is_there { Ok(()) } else { std::fs::remove_file(path) }
}

/// The server offers no session that this payer can answer.
fn is_unpayable(error: &eyre::Report) -> bool {
    matches!(error.downcast_ref(), Some(FetchError::Unpayable(_)))
}

async fn by_session(args: &FetchArgs, page: &Page, network: &KnownNetwork, context: &Context) -> Result<()> {
    let purse = args.session.purse(network, &args.account, args.max).await?;
    let chain = OnChain { network, own: purse.account.address() };
    let mut session = match Session::begin(purse, page, Duration::from_secs(args.page.timeout), chain).await? {
        Begun::Asked(session) => session,
        Begun::Free(response) => {
            let fetched = Fetched::read(response, page, Duration::from_secs(args.page.timeout)).await?;
            args.write(&fetched.body, context)?;
            return args.tell_of_charge(&fetched, context);
        }
    };
    let response = match session.answer(page).await {
        Err(FetchError::NotCharged(fetched)) => {
            args.write(&fetched.body, context)?;
            if args.session.close
                && let Err(error) = session.close(page).await
            {
                eprintln!("{}", not_closed(session.channel(), &error));
            }
            // What was promised for it pays for another page.
            let by = ByChannel { channel: session.channel(), cost: Some(0), stop: None };
            return args.tell(&Fetched { paid: Some(paid(&session, None)), ..*fetched }, Some(&by), context);
        }
        answered => answered?,
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let (body, stop) = session.body(response, page).await?;
    let stop = stop.map(|stop| part_only(&session, stop, body.len()));
    let is_wanted = stop.is_none() || args.partial;
    let fetched = Fetched { status, headers, body, paid: None };
    // The page first: it is paid for, whatever becomes of the channel.
    if is_wanted {
        args.write(&fetched.body, context)?;
    }
    let closed = if args.session.close { session.close(page).await } else { Ok(None) };
    if let (false, Err(error)) = (is_wanted, &closed) {
        eprintln!("{}", not_closed(session.channel(), error));
    }
    let stop = match stop {
        Some(stop) if !is_wanted => return Err(stop.into()),
        stop => stop,
    };
    let paid = paid(&session, closed.as_ref().ok().cloned().flatten());
    let cost = session.tally().cost().map(|cost| cost.saturating_sub(session.tally().cost_before()));
    let by = ByChannel { channel: session.channel(), cost, stop };
    let told = args.tell(&Fetched { paid: Some(paid), ..fetched }, Some(&by), context);
    if let Err(error) = closed {
        bail!("the page is paid for, and {}", not_closed(by.channel, &error));
    }
    told
}

/// What was promised for an answer, and the transaction that closed the channel after it.
fn paid(session: &Session<OnChain<'_>>, transaction: Option<String>) -> Paid {
    Paid {
        protocol: "mpp session".to_owned(),
        amount: U256::from(session.tally().promised()),
        payee: session.demand().payee,
        transaction,
    }
}

/// What is said of a channel that the server did not close.
fn not_closed(id: B256, error: &FetchError) -> String {
    let why = match error {
        FetchError::NotServed { status, problem } if problem.is_empty() => format!("the server answered {status}"),
        FetchError::NotServed { status, problem } => format!("the server answered {status} ({problem})"),
        error => error.to_string(),
    };
    format!("channel {id} is not closed: {why}. `causeway pay close {id}` closes it without the server")
}

/// How a channel paid for a page.
struct ByChannel {
    channel: B256,
    /// Of what came, by our own count.
    cost: Option<u128>,
    /// Why it is only a part, if it is.
    stop: Option<FetchError>,
}

/// Why no more of an answer came.
fn part_only(session: &Session<OnChain<'_>>, stop: Stop, bytes: usize) -> FetchError {
    let demand = session.demand();
    match stop {
        Stop::Limit { .. } => {
            FetchError::PartOnly { stop, bytes, unit: demand.measure.name().to_owned(), price: demand.price }
        }
        stop => session.stopped(stop),
    }
}

/// The account has what is asked for, as far as the node tells: else nothing is signed.
async fn afford(network: &KnownNetwork, own: alloy_primitives::Address, bill: &Bill) -> Result<(), FetchError> {
    let call = WrappedBtc::balanceOfCall { account: own };
    let balance = network.client.call(address::WRAPPED_BTC, &call).await;
    let balance = balance.map_err(|error| FetchError::NotPaid(error.to_string()))?;
    if balance >= bill.amount {
        return Ok(());
    }
    Err(FetchError::NotPaid(format!(
        "{own} has {} of wrapped coins, asked for is {} (causeway pay wrap makes some)",
        amount::show_wei(balance),
        amount::show_wei(bill.amount)
    )))
}

impl PageArgs {
    /// The request.
    ///
    /// # Errors
    ///
    /// The URL, a header or the body is none.
    pub fn page(&self) -> Result<Page> {
        ensure!(
            matches!(self.url.scheme_str(), Some("http" | "https")) && self.url.host().is_some(),
            "wanted is a URL as in https://api.example.com/page"
        );
        let body = match self.data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
            None => Vec::new(),
            Some((_, Some(file))) => std::fs::read(file).wrap_err_with(|| format!("cannot read {file}"))?,
            Some((text, None)) => text.as_bytes().to_vec(),
        };
        let usual = if self.data.is_some() { Method::POST } else { Method::GET };
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let wrong = || eyre!("--header {header:?} is not of the form `name: value`");
            let (name, value) = header.split_once(':').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
        }
        Ok(Page {
            url: self.url.clone(),
            method: self.method.clone().unwrap_or(usual),
            headers,
            body,
            most_bytes: MOST_BYTES,
        })
    }
}

impl FetchArgs {
    fn tell_of_charge(&self, fetched: &Fetched, context: &Context) -> Result<()> {
        if self.session.close {
            eprintln!("Nothing to close: no channel paid for this page");
        }
        self.tell(fetched, None, context)
    }

    fn write(&self, body: &[u8], context: &Context) -> io::Result<()> {
        let said = |what: String| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        match &self.output {
            Some(path) => std::fs::write(path, body).map_err(said(format!("{} cannot be written", path.display()))),
            // Then it is in the event.
            None if context.json => Ok(()),
            None => crate::terminal::page(body).map_err(said("standard output takes no more".to_owned())),
        }
    }

    /// What was paid for it.
    fn tell(&self, fetched: &Fetched, by: Option<&ByChannel>, context: &Context) -> Result<()> {
        let paid = fetched.paid.as_ref();
        let stop = by.and_then(|by| by.stop.as_ref());
        if context.json {
            let event = Event::Fetched {
                status: fetched.status.as_u16(),
                bytes: fetched.body.len(),
                protocol: paid.map(|paid| paid.protocol.clone()),
                amount: paid.map(|paid| paid.amount.to_string()),
                cost: by.and_then(|by| by.cost).map(|cost| cost.to_string()),
                payee: paid.map(|paid| paid.payee),
                channel: by.map(|by| by.channel),
                transaction: paid.and_then(|paid| paid.transaction.clone()),
                stopped: stop.map(ToString::to_string),
                body: self.output.is_none().then(|| String::from_utf8_lossy(&fetched.body).into_owned()),
            };
            context.print(&event, || ());
        } else if let Some(paid) = paid {
            eprintln!("{}", sentence(paid, by));
            if let Some(stop) = stop {
                eprintln!("Only a part: {stop}");
            }
        }
        let status = fetched.status;
        if let (true, Some(to)) = (status.is_redirection(), fetched.headers.get("location")) {
            bail!("the server answered {status}: it leads to {}", shown(&String::from_utf8_lossy(to.as_bytes())));
        }
        let is_good_again = status.is_client_error() && paid.is_some() && by.is_none();
        ensure!(
            !is_good_again,
            "the server answered {status} to a payment that it has: the same command shows it the same one again"
        );
        ensure!(status.is_success(), "the server answered {status}");
        Ok(())
    }
}

fn sentence(paid: &Paid, by: Option<&ByChannel>) -> String {
    let (amount, payee, protocol) = (amount::show_wei(paid.amount), paid.payee, &paid.protocol);
    let transaction = paid.transaction.as_deref().map(shown);
    match (by, transaction) {
        (Some(ByChannel { channel, cost, .. }), transaction) => {
            let cost = cost.map_or_else(String::new, |cost| {
                format!(", what came costs {} by our own count", amount::show_wei(U256::from(cost)))
            });
            let closed = transaction
                .map_or_else(String::new, |transaction| format!(", which closed by transaction {transaction}"));
            format!("Promised {amount} to {payee} by {protocol}{cost} (channel {channel}{closed})")
        }
        (None, Some(transaction)) => format!("Paid {amount} to {payee} by {protocol} (transaction {transaction})"),
        (None, None) => {
            format!("Signed {amount} for {payee} by {protocol}; the server does not say that it was carried out")
        }
    }
}
