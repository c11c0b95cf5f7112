//! Step "a page over HTTP": a price before a server, and who pays it.
//!
//! The same as `causeway pay serve` in this process. Any client of x402 or MPP is the payer, as a process of its own; without one it is done as by `causeway pay fetch`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use bridge::amount;
use bridge::io::sidechain::{Account, Call};
use contracts::{WrappedBtc, address};
use eyre::{Result, WrapErr as _, ensure, eyre};
use paywall::authorization::Token;
use paywall::io::fetch::{Page, Purse, fetch};
use paywall::io::http::{HeaderMap, Method};
use paywall::io::serve::{ClaimSettings, Paywall, Settings, bind, start};
use paywall::mpp::Secret;
use paywall::origins::Origins;
use paywall::price_list::PriceList;
use paywall::till::{DEFAULT_LIFETIME_S, Till};
use paywall::wallet::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::amounts::{PAGE, WRAPPED};
use super::network::Network;
use super::story::{PATIENCE, Story};

const TEXT: &str = "Sunny, 21 degrees.";
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// The payer buys a page of the payee. What that cost the payer in wei: coins that are tokens now, and gas.
pub async fn paid_page(
    network: &Network,
    payer: &Account,
    payee: &Account,
    buyer: Option<&Path>,
    story: &mut Story,
) -> Result<U256> {
    let client = &network.client;
    let before = client.balance(payer.address()).await?;
    let wrap = Call::new(address::WRAPPED_BTC, &WrappedBtc::depositCall {}).with_value(amount::wei(WRAPPED));
    payer.transact(client, &wrap, PATIENCE).await?;
    let after = client.balance(payer.address()).await?;
    story.fact("wrapped", format!("{} as tokens, for clients that know tokens", amount::show(WRAPPED)));

    let token = Token::wrapped_btc(client.chain_id().await?);
    let shop = open(network, payee, token).await?;
    story.fact("402", format!("http://{}/weather costs {}, by x402 or MPP", shop.address, amount::show(PAGE)));
    let (asked, url) = (Instant::now(), format!("http://{}/weather", shop.address));
    let (body, by) = match buyer {
        Some(program) => (bought_by(program, &url, payer, token).await?, program.display().to_string()),
        None => fetched(network, &url, payer, token).await?,
    };
    ensure!(body == TEXT.as_bytes(), "another page came: {:?}", String::from_utf8_lossy(&body));
    let took = asked.elapsed().as_millis();
    story.fact("200", format!("{TEXT:?}, paid by {by} and final in {took} ms, without gas for the payer"));
    shop.stop().await;
    let earned = WrappedBtc::balanceOfCall { account: payee.address() };
    let earned = client.call(address::WRAPPED_BTC, &earned).await?;
    ensure!(earned == amount::wei(PAGE), "the payee got {earned} wei of the token for the page");
    Ok(before - after)
}

/// The page, and the protocol by which it was paid here.
async fn fetched(network: &Network, url: &str, payer: &Account, token: Token) -> Result<(Vec<u8>, String)> {
    let (method, headers) = (Method::GET, HeaderMap::new());
    let page = Page { url: url.parse()?, method, headers, body: Vec::new(), most_bytes: 1 << 20 };
    let limits = Limits { token, most: amount::wei(PAGE) };
    let purse = Purse { account: payer.clone(), limits, folder: network.folder.join("fetching"), again: false };
    let fetched = fetch(&page, &purse, ANSWER_PATIENCE, async |_| Ok(()), |_| Ok(())).await?;
    let paid = fetched.paid.ok_or_else(|| eyre!("the page cost nothing"))?;
    Ok((fetched.body, paid.protocol.to_string()))
}

/// The page as another program prints it, which is told whose key pays. It is that of an account of this network alone.
async fn bought_by(program: &Path, url: &str, payer: &Account, token: Token) -> Result<Vec<u8>> {
    let mut command = tokio::process::Command::new(program);
    command
        .env("CAUSEWAY_PAGE", url)
        .env("CAUSEWAY_KEY", format!("0x{}", hex::encode(payer.secret().secret_bytes())))
        .env("CAUSEWAY_CHAIN", token.chain_id.to_string())
        .env("CAUSEWAY_AMOUNT", amount::wei(PAGE).to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let shown = program.display();
    let output = timeout(ANSWER_PATIENCE, command.output()).await;
    let output = output.wrap_err_with(|| format!("{shown} does not end"))?;
    let output = output.wrap_err_with(|| format!("cannot run {shown}"))?;
    ensure!(output.status.success(), "{shown} bought nothing: {}", output.status);
    Ok(output.stdout)
}

/// A server, and a price before it.
async fn open(network: &Network, payee: &Account, token: Token) -> Result<Paywall> {
    let upstream = TcpListener::bind(("127.0.0.1", 0)).await?;
    let upstream_url = format!("http://{}", upstream.local_addr()?);
    tokio::spawn(serve_text(upstream));
    let mut prices = PriceList::default();
    prices.add("/weather", amount::wei(PAGE), None)?;
    let listener = bind(([127, 0, 0, 1], 0).into())?;
    let till = Till {
        token,
        payee: payee.address(),
        realm: listener.local_addr()?.to_string(),
        public_url: format!("http://{}", listener.local_addr()?),
        secret: Secret::derive(&payee.secret().secret_bytes()),
        lifetime_s: DEFAULT_LIFETIME_S,
        batch: None,
    };
    let settings = Settings {
        sessions: None,
        listener,
        metrics: None,
        upstream: upstream_url.parse()?,
        upstream_patience: ANSWER_PATIENCE,
        prices,
        till,
        origins: Origins::Own,
        claims: ClaimSettings::default(),
        facilitator: None,
        is_at_a_loss: false,
        most_body_bytes: 0,
        folder: network.folder.join("paywall"),
        account: payee.clone(),
        client: network.client.clone(),
    };
    Ok(start(settings).await?)
}

/// Answers whatever is asked with the same page, until the runtime ends.
async fn serve_text(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = [0; 4_096];
        let _ = stream.read(&mut head).await; // What is asked does not matter.
        let length = TEXT.len();
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{TEXT}");
        let _ = stream.write_all(answer.as_bytes()).await; // Whoever is gone has no page.
    }
}
