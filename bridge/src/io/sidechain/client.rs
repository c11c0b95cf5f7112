//! The questions that a node answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Filter, Log, Transaction, TransactionReceipt};
use alloy_sol_types::SolCall;
use jsonrpsee::core::client::{ClientT, Error as RpcError};
use jsonrpsee::http_client::HttpClient;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{self, Error};
use super::log_pages::LogPages;
use super::transaction::{Call, Fees};
use crate::peg;

/// How long one request may take. A node answers in milliseconds; ten seconds allow for a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer accepted, in bytes: a page of logs with the federation's longest payloads.
const MAX_ANSWER_BYTES: u32 = 32 << 20;
/// Largest request sent, in bytes: a transaction's calldata as hex, and room.
const MAX_REQUEST_BYTES: u32 = 4 << 20;
/// Pages of an address's deposits that are read together, of a thousand each: an address is for one payment.
pub const MAX_DEPOSIT_PAGES: usize = 10;

/// The JSON-RPC error code of an answer that would be too large (EIP-1474).
const LIMIT: i32 = -32005;

/// A sidechain node, reached by JSON-RPC over HTTP, or whoever answers in this process as one would.
#[derive(Clone, Debug)]
pub struct Client {
    node: Node,
    url: String,
}

#[derive(Clone, Debug)]
enum Node {
    Http(HttpClient),
    Here(Arc<dyn Answers>),
}

/// An answer that is waited for.
pub type Awaited<'a> = Pin<Box<dyn Future<Output = Result<Value, RpcError>> + Send + 'a>>;

/// Answers requests of JSON-RPC in this process.
pub trait Answers: fmt::Debug + Send + Sync {
    /// The result, or the error that a node's client has.
    fn answer<'a>(&'a self, method: &'static str, params: Vec<Value>) -> Awaited<'a>;
}

/// A finalized block, as far as a client needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// Wei per gas.
    pub base_fee: u64,
    pub gas_limit: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    number: U64,
    hash: B256,
    timestamp: U64,
    gas_limit: U64,
    base_fee_per_gas: Option<U64>,
}

impl Client {
    /// A client of the node at `url` (`http://` or `ws://`, the port is the same). Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::BadUrl`] when `url` is none.
    pub fn new(url: &str) -> Result<Self, Error> {
        let target = match url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => url.to_owned(),
        };
        let http = HttpClient::builder()
            .request_timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .max_response_size(MAX_ANSWER_BYTES)
            .max_request_size(MAX_REQUEST_BYTES)
            .build(&target)
            .map_err(|error| Error::BadUrl { url: url.to_owned(), reason: error::chain(&error) })?;
        Ok(Self { node: Node::Http(http), url: url.to_owned() })
    }

    /// A client of somebody in this process, who asks the nodes at `url`.
    #[must_use]
    pub fn here(answers: Arc<dyn Answers>, url: String) -> Self {
        Self { node: Node::Here(answers), url }
    }

    /// Where the node is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One request. The building block of all others, public for methods that have no name here.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] without an answer, [`Error::Reverted`] and [`Error::Refused`] for the node's error answers,
    /// [`Error::Malformed`] for an answer of another shape.
    pub async fn request<R: DeserializeOwned>(&self, method: &'static str, params: Vec<Value>) -> Result<R, Error> {
        let answer = match &self.node {
            Node::Http(http) => {
                let mut array = jsonrpsee::core::params::ArrayParams::new();
                for param in params {
                    array.insert(param).expect("a JSON value always serialises");
                }
                http.request(method, array).await
            }
            Node::Here(answers) => answers
                .answer(method, params)
                .await
                .and_then(|answer| serde_json::from_value(answer).map_err(RpcError::ParseError)),
        };
        answer.map_err(|error| Error::from_rpc(&self.url, method, error))
    }

    // --- peg_* ---

    /// What the bridge is, and where it stands.
    pub async fn info(&self) -> Result<peg::Info, Error> {
        self.request("peg_getInfo", vec![]).await
    }

    /// Registers a deposit address with the relayers. Idempotent.
    pub async fn register_deposit(&self, terms: &peg::Terms) -> Result<peg::Registered, Error> {
        self.request("peg_registerDeposit", vec![json!(terms)]).await
    }

    /// The same with the proof of a payment, which a node always takes.
    pub async fn register_paid_deposit(
        &self,
        terms: &peg::Terms,
        payment: &peg::PaymentProof,
    ) -> Result<peg::Registered, Error> {
        self.request("peg_registerDeposit", vec![json!(terms), json!(payment)]).await
    }

    /// At most `limit` registrations from `cursor` on.
    pub async fn registered_deposits(&self, cursor: u64, limit: u32) -> Result<peg::Registrations, Error> {
        self.request("peg_getRegisteredDeposits", vec![json!(cursor), json!(limit)]).await
    }

    /// The deposits of an address, or the one at an outpoint (`txid:vout`). Of an address with very many the first
    /// [`MAX_DEPOSIT_PAGES`] pages; [`Client::deposits_from`] has the others.
    pub async fn deposit(&self, address_or_outpoint: &str) -> Result<peg::DepositReport, Error> {
        let mut report: peg::DepositReport = self.request("peg_getDeposit", vec![json!(address_or_outpoint)]).await?;
        for _ in 1..MAX_DEPOSIT_PAGES {
            let Some(next) = report.next else { break };
            let page = self.deposits_from(address_or_outpoint, next).await?;
            report.deposits.extend(page.deposits);
            report.next = page.next;
        }
        Ok(report)
    }

    /// A page of the deposits of an address, from where the one before ended.
    pub async fn deposits_from(&self, address: &str, from: peg::DepositPlace) -> Result<peg::DepositReport, Error> {
        self.request("peg_getDeposit", vec![json!(address), json!(from)]).await
    }

    /// A withdrawal; none when there is no such id.
    pub async fn withdrawal(&self, id: u64) -> Result<Option<peg::Withdrawal>, Error> {
        self.request("peg_getWithdrawal", vec![json!(id)]).await
    }

    /// A vault transaction; none when there is no such number.
    pub async fn vault_transaction(&self, number: u32) -> Result<Option<peg::VaultTransaction>, Error> {
        self.request("peg_getVaultTransaction", vec![json!(number)]).await
    }

    /// What the vault has to spend, and what waits for Bitcoin.
    pub async fn vault(&self) -> Result<peg::Vault, Error> {
        self.request("peg_getVault", vec![]).await
    }

    /// What bounds the peg now, and what stops payouts.
    pub async fn limits(&self) -> Result<peg::Limits, Error> {
        self.request("peg_getLimits", vec![]).await
    }

    /// What a deposit, and a withdrawal to a script of so many bytes, pay at a rate in sat per 1,000 vB; without one, at that of the
    /// last bound vault transaction.
    pub async fn quote(&self, script_length: usize, rate: Option<u64>) -> Result<peg::Quote, Error> {
        self.request("peg_quote", vec![json!(script_length), json!(rate)]).await
    }

    /// A block with the proof that it is final. `block` is a number, a hash, or `latest`.
    pub async fn finality(&self, block: &str) -> Result<peg::Finality, Error> {
        self.request("peg_getFinality", vec![json!(block)]).await
    }

    // --- eth_* ---

    pub async fn chain_id(&self) -> Result<u64, Error> {
        self.number("eth_chainId", vec![]).await
    }

    /// The number of the last final block.
    pub async fn block_number(&self) -> Result<u64, Error> {
        self.number("eth_blockNumber", vec![]).await
    }

    /// The last final block.
    pub async fn head(&self) -> Result<Block, Error> {
        self.find_block(json!("latest"))
            .await?
            .ok_or_else(|| Error::malformed("eth_getBlockByNumber", "no latest block"))
    }

    /// The block at `number`; none when it is ahead of the head.
    pub async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        self.find_block(json!(U64::from(number))).await
    }

    async fn find_block(&self, tag: Value) -> Result<Option<Block>, Error> {
        let raw: Option<RawBlock> = self.request("eth_getBlockByNumber", vec![tag, json!(false)]).await?;
        Ok(raw.map(|raw| Block {
            number: raw.number.to(),
            hash: raw.hash,
            timestamp: raw.timestamp.to(),
            base_fee: raw.base_fee_per_gas.unwrap_or_default().to(),
            gas_limit: raw.gas_limit.to(),
        }))
    }

    /// Wei.
    pub async fn balance(&self, account: Address) -> Result<U256, Error> {
        self.request("eth_getBalance", vec![json!(account), json!("latest")]).await
    }

    /// Transactions of `account` in final blocks: the nonce of its next one.
    pub async fn nonce(&self, account: Address) -> Result<u64, Error> {
        self.number("eth_getTransactionCount", vec![json!(account), json!("latest")]).await
    }

    /// The next nonce, counting also what waits in the node's mempool.
    pub async fn pending_nonce(&self, account: Address) -> Result<u64, Error> {
        self.number("eth_getTransactionCount", vec![json!(account), json!("pending")]).await
    }

    pub async fn code(&self, account: Address) -> Result<Bytes, Error> {
        self.request("eth_getCode", vec![json!(account), json!("latest")]).await
    }

    /// Calls a contract at the head, without a transaction.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] when the contract refuses, with its error decoded.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, Error> {
        self.call_from(None, to, call).await
    }

    /// As [`Client::call`], for functions that look at their caller.
    pub async fn call_from<C: SolCall>(
        &self,
        from: Option<Address>,
        to: Address,
        call: &C,
    ) -> Result<C::Return, Error> {
        let answer = self.call_encoded_from(from, to, call.abi_encode().into()).await?;
        C::abi_decode_returns(&answer)
            .map_err(|error| Error::malformed("eth_call", format!("{} answered {answer}: {error}", C::SIGNATURE)))
    }

    /// As [`Client::call`], with ABI-encoded input and answer.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn call_encoded(&self, to: Address, input: Bytes) -> Result<Bytes, Error> {
        self.call_encoded_from(None, to, input).await
    }

    async fn call_encoded_from(&self, from: Option<Address>, to: Address, input: Bytes) -> Result<Bytes, Error> {
        let mut request = json!({ "to": to, "input": input });
        if let Some(from) = from {
            request["from"] = json!(from);
        }
        self.request("eth_call", vec![request, json!("latest")]).await
    }

    /// What the node suggests as tip, in wei per gas.
    ///
    /// # Errors
    ///
    /// As [`Client::head`].
    pub async fn suggested_tip(&self) -> Result<u64, Error> {
        self.number("eth_maxPriorityFeePerGas", vec![]).await
    }

    /// Gas that a transaction would use at the head.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] when it would fail.
    pub async fn estimate_gas(&self, from: Address, call: &Call, fees: Fees) -> Result<u64, Error> {
        let request = json!({
            "from": from, "to": call.to, "value": call.value, "input": call.input,
            "maxFeePerGas": U256::from(fees.max_fee), "maxPriorityFeePerGas": U256::from(fees.priority_fee),
        });
        self.number("eth_estimateGas", vec![request]).await
    }

    /// Logs that match `filter` in the blocks `from..=to`, oldest first.
    pub async fn logs(&self, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, Error> {
        let mut logs = Vec::new();
        let mut pages = LogPages::new(from, to);
        while let Some((start, end)) = pages.next() {
            let filter = filter.clone().from_block(start).to_block(end);
            match self.request::<Vec<Log>>("eth_getLogs", vec![json!(filter)]).await {
                Ok(found) => {
                    logs.extend(found);
                    pages.answered();
                }
                Err(Error::Refused { code: LIMIT, ref message, .. }) if pages.too_many(message) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(logs)
    }

    /// The receipt of an included transaction; none while it is not included.
    pub async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, Error> {
        let receipt: Option<TransactionReceipt> = self.request("eth_getTransactionReceipt", vec![json!(hash)]).await?;
        match receipt {
            Some(receipt) if receipt.transaction_hash != hash => Err(Error::malformed(
                "eth_getTransactionReceipt",
                format!("the receipt is of transaction {}, asked was for {hash}", receipt.transaction_hash),
            )),
            receipt => Ok(receipt),
        }
    }

    /// Whether the node knows a transaction: in a block or in its mempool.
    pub async fn knows(&self, hash: B256) -> Result<bool, Error> {
        let found: Option<Transaction> = self.request("eth_getTransactionByHash", vec![json!(hash)]).await?;
        Ok(found.is_some())
    }

    /// Hands a signed transaction (EIP-2718 bytes) to the node.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] for a free-lane transaction that would fail, [`Error::Refused`] when the mempool refuses it.
    pub async fn send_raw(&self, transaction: &Bytes) -> Result<B256, Error> {
        self.request("eth_sendRawTransaction", vec![json!(transaction)]).await
    }

    async fn number(&self, method: &'static str, params: Vec<Value>) -> Result<u64, Error> {
        let number: U64 = self.request(method, params).await?;
        Ok(number.to())
    }

    /// Whether the node is the wanted chain and up to date.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] when it does not answer, [`Error::OtherChain`] for another chain id, [`Error::Lagging`] when its
    /// head is more than `max_age_s` behind `now` (unix seconds).
    pub async fn ready(&self, chain_id: u64, now: u64, max_age_s: u64) -> Result<Block, Error> {
        let got = self.chain_id().await?;
        if got != chain_id {
            return Err(Error::OtherChain { url: self.url.clone(), got, want: chain_id });
        }
        let head = self.head().await?;
        let behind_s = now.saturating_sub(head.timestamp);
        if behind_s > max_age_s {
            return Err(Error::Lagging { url: self.url.clone(), number: head.number, behind_s });
        }
        Ok(head)
    }
}
