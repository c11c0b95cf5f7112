//! What an invoice's account and address have: proven by the validators' signatures where the network is known.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::{SolCall as _, SolEvent as _};
use bitcoin::OutPoint;
use bitcoin::hashes::Hash as _;
use bridge::io::sidechain::{Block, Client, Error, proven};
use bridge::peg::{Deposit, DepositStatus};
use contracts::address::{DEPOSITS, WRAPPED_BTC};
use contracts::{Deposits, WrappedBtc};
use eyre::{Result, ensure};
use light::FinalHeader;
use serde_json::json;

use super::record::{AtExpiry, Facts, Invoice};
use crate::evidence::witness::{Witness, plain, young};
use crate::options::network::KnownNetwork;
use crate::user::deposit::expect_of;
use crate::user::deposit_record::Records;
use crate::user::registration::register;

/// Time between two tries to register an address that the node let go.
const REGISTER_AGAIN: Duration = Duration::from_secs(10);
/// Blocks of which nodes keep the state (docs/adr/0031).
const STATES: u64 = 50_000;

/// Looks at invoices of one network.
pub struct Looker<'a> {
    network: &'a KnownNetwork,
    witness: Option<Witness>,
    register_from: Instant,
}

impl<'a> Looker<'a> {
    /// # Errors
    ///
    /// The genesis file has no valid keys.
    pub fn new(network: &'a KnownNetwork) -> Result<Self> {
        Ok(Self { network, witness: network.witness()?, register_from: Instant::now() })
    }

    /// What there is now.
    ///
    /// # Errors
    ///
    /// The node does not answer, or does not prove what it says.
    pub async fn look(&mut self, invoice: &Invoice) -> Result<Facts> {
        let mut facts = self.account(invoice.terms.account).await?;
        if let Some(address) = &invoice.terms.bitcoin_address {
            facts.deposits = self.deposits(invoice, address).await?;
            if facts.block_time > invoice.expires_at && facts.deposits.iter().any(|deposit| !invoice.knows(deposit)) {
                facts.proven_at = self.proven_at(invoice, address, facts.block).await?;
            }
        }
        if invoice.asks_for_expiry(facts.block_time) {
            facts.at_expiry = Some(self.at_expiry(invoice, &facts).await?);
        }
        Ok(facts)
    }

    async fn account(&self, account: Address) -> Result<Facts> {
        let client = &self.network.client;
        let Some(header) = self.header().await? else { return told(client, account).await };
        let (nonce, coin_wei) = proven::coins(client, &header, account).await.map_err(plain)?;
        Ok(Facts {
            block: header.header.number,
            block_time: header.header.timestamp,
            coin_wei,
            token_wei: proven::wrapped_balance(client, &header, account).await.map_err(plain)?,
            nonce,
            ..Facts::default()
        })
    }

    /// As [`KnownNetwork::final_header`], with a node's silence told as such.
    async fn header(&self) -> Result<Option<FinalHeader>> {
        let Some(genesis) = &self.network.genesis else { return Ok(None) };
        let client = &self.network.client;
        let header = proven::latest(client, &genesis.validators()?).await.map_err(plain)?;
        young(header, client).map(Some)
    }

    /// Those whose coins were seen made are not proven again.
    async fn deposits(&mut self, invoice: &Invoice, address: &str) -> Result<Vec<Deposit>> {
        let client = &self.network.client;
        let record = Records::in_home(&self.network.home).find(address)?;
        let report = client.deposit(address).await?;
        // One that is over takes no place from those of others.
        let is_let_go = report.registered == Some(false) && !invoice.state().has_ended();
        if is_let_go && Instant::now() >= self.register_from {
            self.register_from = Instant::now() + REGISTER_AGAIN;
            if let Err(error) = register(client, &record).await {
                tracing::warn!("{error:#}");
            }
        }
        expect_of(client, &record, &report.deposits)?;
        let is_done =
            |deposit: &Deposit| invoice.arrival(deposit).is_some_and(|arrival| arrival.status == DepositStatus::Minted);
        let mut proven = Vec::new();
        for deposit in report.deposits.into_iter().filter(|deposit| !is_done(deposit)) {
            proven.push(match &mut self.witness {
                Some(witness) => witness.deposit(client, deposit).await?,
                None => deposit,
            });
        }
        Ok(proven)
    }

    /// When payments to the Bitcoin address were proven, as the node tells it, of those that were while the invoice was open: for those who look only later.
    async fn proven_at(&self, invoice: &Invoice, address: &str, head: u64) -> Result<Vec<(OutPoint, u64)>> {
        let client = &self.network.client;
        let oldest = head.saturating_sub(STATES).max(1);
        let Some(last) = last_until(client, oldest, head, invoice.expires_at).await? else { return Ok(Vec::new()) };
        let first = last_until(client, oldest, last, invoice.created_at).await?.unwrap_or(oldest);
        let script = address.parse::<bitcoin::Address<_>>()?.assume_checked().script_pubkey();
        ensure!(script.is_p2tr(), "{address} is no address of a deposit");
        let filter = Filter::new()
            .address(DEPOSITS)
            .event_signature(Deposits::DepositProven::SIGNATURE_HASH)
            .topic1(B256::from_slice(&script.as_bytes()[2..]));
        let mut proven = Vec::new();
        for log in client.logs(&filter, first, last).await? {
            let (Ok(event), Some(number)) = (Deposits::DepositProven::decode_log(&log.inner), log.block_number) else {
                continue;
            };
            let Some(block) = client.block(number).await? else { continue };
            let txid = bitcoin::Txid::from_byte_array(event.txid.0);
            proven.push((OutPoint::new(txid, event.vout), block.timestamp));
        }
        Ok(proven)
    }

    /// What the account had in the last block that was in time: for those who look only later.
    async fn at_expiry(&self, invoice: &Invoice, now: &Facts) -> Result<AtExpiry> {
        if now.coin_wei + now.token_wei == U256::ZERO && now.nonce == 0 {
            return Ok(AtExpiry::Had(U256::ZERO));
        }
        let client = &self.network.client;
        let seen = &invoice.seen;
        let was_in_time = seen.block > 0 && seen.block_time <= invoice.expires_at;
        let first = if was_in_time { seen.block } else { now.block.saturating_sub(STATES).max(1) };
        let found = match last_until(client, first, now.block, invoice.expires_at).await {
            Ok(Some(block)) => at(client, invoice.terms.account, block).await,
            Ok(None) => return Ok(AtExpiry::Forgotten),
            Err(error) => Err(error),
        };
        match found {
            Ok(had) => Ok(AtExpiry::Had(had)),
            Err(error) if error.retry() => Err(error.into()),
            Err(_) => Ok(AtExpiry::Forgotten),
        }
    }
}

/// As the node says it is at its head.
async fn told(client: &Client, account: Address) -> Result<Facts> {
    let head = client.head().await?;
    Ok(Facts {
        block: head.number,
        block_time: head.timestamp,
        coin_wei: client.balance(account).await?,
        token_wei: client.call(WRAPPED_BTC, &WrappedBtc::balanceOfCall { account }).await?,
        nonce: client.nonce(account).await?,
        ..Facts::default()
    })
}

/// The last block from `first` to `last` that is no later than `time`; none if not even the first is.
async fn last_until(client: &Client, first: u64, last: u64, time: u64) -> Result<Option<u64>, Error> {
    let is_in_time = |block: Option<Block>| block.is_some_and(|block| block.timestamp <= time);
    if !is_in_time(client.block(first).await?) {
        return Ok(None);
    }
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if is_in_time(client.block(middle).await?) { low = middle } else { high = middle - 1 }
    }
    Ok(Some(low))
}

/// Coins and tokens of an account in the state after a block.
async fn at(client: &Client, account: Address, block: u64) -> Result<U256, Error> {
    let block = json!(U64::from(block));
    let coins: U256 = client.request("eth_getBalance", vec![json!(account), block.clone()]).await?;
    let call = json!({ "to": WRAPPED_BTC, "input": alloy_primitives::Bytes::from(WrappedBtc::balanceOfCall { account }.abi_encode()) });
    let tokens: U256 = client.request("eth_call", vec![call, block]).await?;
    Ok(coins + tokens)
}
