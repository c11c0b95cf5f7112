//! A Bitcoin Core node by its JSON-RPC: the calls that Causeway makes, with a timeout on each.
//!
//! The node is its operator's own and trusted for availability; headers and proofs built from its answers are checked by
//! whoever receives them. The cookie is read again for each call, so a restarted node (which writes a new one) is not
//! lost. An error says the reason, and [`RpcError::retry`] whether waiting can help: a relayer keeps asking then.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::consensus::encode;
use bitcoin::{
    Address, Amount, Block, BlockHash, Denomination, FeeRate, OutPoint, ScriptBuf, SignedAmount, Transaction, Txid,
};
use jsonrpc::bitreq_http_async::{Builder, Error as HttpError};
use jsonrpc::client_async::Client;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::header::Height;
use crate::params::{Network, UnknownNetwork};

/// How long an ordinary call may take. A loaded node answers the cheap ones within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long a call that carries or connects a block may take.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a scan of all unspent outputs may take: minutes on mainnet.
const SCAN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Between two tries to begin a scan while another one runs.
const SCAN_TURN: Duration = Duration::from_millis(200);

/// Calls in one HTTP request of a batch: headers of this many blocks are some 100 kB.
const BATCH: usize = 500;

/// Core's codes that decisions depend on (`rpc/protocol.h`).
mod code {
    /// Among others: a block that was deleted or is not downloaded yet, and an index that is not there or not ready.
    pub const MISC_ERROR: i32 = -1;
    /// No such block or transaction.
    pub const INVALID_ADDRESS_OR_KEY: i32 = -5;
    /// No such height.
    pub const INVALID_PARAMETER: i32 = -8;
    /// A transaction that cannot be valid now: inputs missing or spent.
    pub const VERIFY_ERROR: i32 = -25;
    pub const VERIFY_ALREADY_IN_UTXO_SET: i32 = -27;
    pub const IN_WARMUP: i32 = -28;
}

/// Why the node gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// Not running, or not there.
    #[error("bitcoind at {url} is not reachable: {reason}")]
    Unreachable { url: String, reason: String },
    /// Whether the call was carried out is not known.
    #[error("bitcoind at {url} did not answer {method} within {} s", .after.as_secs())]
    Timeout { url: String, method: &'static str, after: Duration },
    /// Running, but reading its chain first.
    #[error("bitcoind at {url} is still starting: {reason}")]
    Starting { url: String, reason: String },
    /// Too many requests at once.
    #[error("bitcoind at {url} is overloaded: {reason}")]
    Busy { url: String, reason: String },
    /// bitcoind writes the cookie at its start: it may not have started yet.
    #[error("bitcoind's cookie {} cannot be read (is bitcoind running?): {reason}", .path.display())]
    NoCookie { path: PathBuf, reason: String },
    /// HTTP status 401 or 403.
    #[error("bitcoind at {url} refuses the user and password or cookie")]
    Unauthorized { url: String },
    /// Another network than the one configured: waiting does not help.
    #[error("bitcoind at {url} is on {got}, expected {want}")]
    WrongNetwork { url: String, got: String, want: Network },
    /// Its header is known, the block is not there: deleted by a pruned node, or not downloaded yet.
    #[error("bitcoind at {url} does not have block {hash} any more, or not yet: {reason}")]
    NoBlock { url: String, hash: BlockHash, reason: String },
    /// The node understood and said no.
    #[error("bitcoind refuses {method}: {reason} (code {code})")]
    Refused { method: &'static str, code: i32, reason: String },
    /// Another shape than Bitcoin Core documents.
    #[error("bitcoind's answer to {method} is not understood: {reason}")]
    BadAnswer { method: &'static str, reason: String },
}

impl RpcError {
    /// Whether the same call may succeed later without anybody changing the configuration.
    pub fn retry(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Starting { .. }
            | Self::Busy { .. }
            | Self::NoCookie { .. } => true,
            Self::Unauthorized { .. }
            | Self::WrongNetwork { .. }
            | Self::NoBlock { .. }
            | Self::Refused { .. }
            | Self::BadAnswer { .. } => false,
        }
    }

    /// Whether it is the node as a whole that cannot be asked, whatever the question. An answer that takes too long or is refused may
    /// be that question's alone.
    pub fn is_of_the_node(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Starting { .. }
            | Self::NoCookie { .. }
            | Self::Unauthorized { .. }
            | Self::WrongNetwork { .. } => true,
            Self::Timeout { .. }
            | Self::Busy { .. }
            | Self::NoBlock { .. }
            | Self::Refused { .. }
            | Self::BadAnswer { .. } => false,
        }
    }

    /// Core's error code, if the node answered with one.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// How to prove to the node that its RPC may be used.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all: the node asks for nothing.
    None,
    /// The file `.cookie` that bitcoind writes at each start.
    Cookie(PathBuf),
    UserPassword {
        user: String,
        password: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Cookie(path) => f.debug_tuple("Cookie").field(path).finish(),
            Self::UserPassword { user, .. } => {
                f.debug_struct("UserPassword").field("user", user).finish_non_exhaustive()
            }
        }
    }
}

/// The answer to `getblockchaininfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// Its network, which is the one configured.
    pub network: Network,
    /// Height of the best block.
    pub height: Height,
    /// Hash of the best block.
    pub tip: BlockHash,
    /// Height of the best header, whose block may still be missing.
    pub headers: Height,
    /// The node is catching up; its tip is old.
    pub catching_up: bool,
    /// Old blocks are deleted: all below this height, if the node is pruned at all.
    pub pruned_below: Option<Height>,
}

/// The verdict of `testmempoolaccept` on one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The transaction asked about.
    pub txid: Txid,
    /// Virtual size and fee, or why it would be refused.
    pub verdict: Result<Accepted, String>,
}

/// Size and fee of a transaction that the mempool would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Virtual bytes (BIP141).
    pub vsize: u64,
    /// Inputs less outputs.
    pub fee: Amount,
}

/// An unconfirmed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MempoolEntry {
    /// Virtual bytes (BIP141).
    pub vsize: u64,
    /// Inputs less outputs.
    pub fee: Amount,
    /// Fees of it and its unconfirmed descendants.
    pub descendant_fee: Amount,
    /// Virtual bytes of all of these.
    pub descendant_vsize: u64,
    /// Unix time at which it entered.
    pub time: u64,
}

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub value: Amount,
    /// The script it pays to.
    pub script_pubkey: ScriptBuf,
    /// 0 while it is in the mempool.
    pub confirmations: u32,
    /// Whether it is of a coinbase, which can be spent after 100 confirmations only.
    pub coinbase: bool,
    /// The best block when it was looked for.
    pub tip: BlockHash,
}

/// The result of a scan of all unspent outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The block after which it holds.
    pub height: Height,
    /// Hash of that block.
    pub tip: BlockHash,
    /// In no particular order.
    pub unspents: Vec<Unspent>,
}

/// A Bitcoin Core node on a known network.
#[derive(Clone, Debug)]
pub struct BitcoinRpc {
    url: String,
    auth: Auth,
    network: Network,
}

impl BitcoinRpc {
    /// Nothing is sent yet. `url` as in `http://127.0.0.1:8332`.
    pub fn new(url: impl Into<String>, auth: Auth, network: Network) -> Self {
        let url: String = url.into();
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        Self { url, auth, network }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn network(&self) -> Network {
        self.network
    }

    /// The state of the node's chain.
    ///
    /// # Errors
    ///
    /// `WrongNetwork`, if it is not on the network it was configured for.
    pub async fn chain_info(&self) -> Result<ChainInfo, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            chain: String,
            blocks: Height,
            headers: Height,
            bestblockhash: BlockHash,
            initialblockdownload: bool,
            pruned: bool,
            pruneheight: Option<Height>,
        }
        let answer: Answer = self.call("getblockchaininfo", json!([])).await?;
        let got: Result<Network, UnknownNetwork> = answer.chain.parse();
        if got != Ok(self.network) {
            return Err(RpcError::WrongNetwork { url: self.url.clone(), got: answer.chain, want: self.network });
        }
        Ok(ChainInfo {
            network: self.network,
            height: answer.blocks,
            tip: answer.bestblockhash,
            headers: answer.headers,
            catching_up: answer.initialblockdownload,
            pruned_below: answer.pruned.then(|| answer.pruneheight.unwrap_or_default()),
        })
    }

    /// How many other nodes it is connected to.
    pub async fn connections(&self) -> Result<u32, RpcError> {
        self.call("getconnectioncount", json!([])).await
    }

    /// Height and hash of the best block.
    pub async fn best_tip(&self) -> Result<(Height, BlockHash), RpcError> {
        let info = self.chain_info().await?;
        Ok((info.height, info.tip))
    }

    /// The best chain's block at a height, if it is that long.
    pub async fn block_hash(&self, height: Height) -> Result<Option<BlockHash>, RpcError> {
        none_on(code::INVALID_PARAMETER, self.call("getblockhash", json!([height])).await)
    }

    /// A header, on the best chain or not.
    pub async fn header(&self, hash: BlockHash) -> Result<Option<Header>, RpcError> {
        let answer = self.call::<String>("getblockheader", json!([hash, false])).await;
        let Some(hex) = none_on(code::INVALID_ADDRESS_OR_KEY, answer)? else {
            return Ok(None);
        };
        decode("getblockheader", &hex).map(Some)
    }

    /// How often a block is confirmed: 1 for the tip, 0 off the best chain or unknown.
    pub async fn confirmations(&self, hash: BlockHash) -> Result<u32, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            confirmations: i64,
        }
        let answer = self.call::<Answer>("getblockheader", json!([hash])).await;
        let answer = none_on(code::INVALID_ADDRESS_OR_KEY, answer)?;
        Ok(answer.map_or(0, |answer| u32::try_from(answer.confirmations).unwrap_or(0)))
    }

    /// The best chain's headers at `heights`, as many as there are. In order; a reorganisation while it runs can make
    /// neighbours that do not connect, which whoever checks them notices.
    pub async fn headers(&self, heights: Range<Height>) -> Result<Vec<Header>, RpcError> {
        let mut headers = Vec::new();
        let mut from = heights.start;
        while from < heights.end {
            let to = heights.end.min(from.saturating_add(BATCH as u32));
            let asked = (from..to).map(|height| json!([height])).collect();
            let hashes = self.batch::<BlockHash>("getblockhash", asked).await?;
            let hashes = while_there(hashes, code::INVALID_PARAMETER)?;
            let asked = hashes.iter().map(|hash| json!([hash, false])).collect();
            for hex in while_there(self.batch::<String>("getblockheader", asked).await?, code::INVALID_ADDRESS_OR_KEY)?
            {
                headers.push(decode("getblockheader", &hex)?);
            }
            if hashes.len() < (to - from) as usize {
                break;
            }
            from = to;
        }
        Ok(headers)
    }

    /// A whole block, if the node knows it.
    ///
    /// # Errors
    ///
    /// `NoBlock`, if it is known and not there.
    pub async fn block(&self, hash: BlockHash) -> Result<Option<Block>, RpcError> {
        let answer = self.call_within::<String>("getblock", json!([hash, 0]), BLOCK_TIMEOUT).await;
        let answer = answer.map_err(|error| match error {
            RpcError::Refused { code: code::MISC_ERROR, reason, .. } => {
                RpcError::NoBlock { url: self.url.clone(), hash, reason }
            }
            error => error,
        });
        let Some(hex) = none_on(code::INVALID_ADDRESS_OR_KEY, answer)? else {
            return Ok(None);
        };
        decode("getblock", &hex).map(Some)
    }

    /// The filters (BIP 158, basic) of the best chain's blocks at `heights`, with the blocks' hashes, as many as there are in a row.
    /// Only a node with `-blockfilterindex` has them; also a pruned one, of blocks that it has deleted.
    pub async fn block_filters(&self, heights: Range<Height>) -> Result<Vec<(BlockHash, Vec<u8>)>, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            filter: String,
        }
        let asked = heights.take(BATCH).map(|height| json!([height])).collect();
        let hashes = self.batch::<BlockHash>("getblockhash", asked).await?;
        let hashes = while_there(hashes, code::INVALID_PARAMETER)?;
        let asked = hashes.iter().map(|hash| json!([hash, "basic"])).collect();
        let filters = self.batch::<Answer>("getblockfilter", asked).await?;
        let decoded = while_there(filters, code::MISC_ERROR)?.into_iter().map(|answer| {
            use bitcoin::hex::FromHex;
            Vec::from_hex(&answer.filter)
                .map_err(|error| RpcError::BadAnswer { method: "getblockfilter", reason: error.to_string() })
        });
        hashes.into_iter().zip(decoded).map(|(hash, filter)| Ok((hash, filter?))).collect()
    }

    /// A transaction: from the mempool, or from the block `within`. Without `within`, a confirmed one is found only by a
    /// node with `-txindex`.
    pub async fn transaction(&self, txid: Txid, within: Option<BlockHash>) -> Result<Option<Transaction>, RpcError> {
        let params = match within {
            Some(block) => json!([txid, 0, block]),
            None => json!([txid, 0]),
        };
        let answer = self.call::<String>("getrawtransaction", params).await;
        let Some(hex) = none_on(code::INVALID_ADDRESS_OR_KEY, answer)? else {
            return Ok(None);
        };
        decode("getrawtransaction", &hex).map(Some)
    }

    /// Sends a transaction to the network. One that is already in the mempool or confirmed counts as sent.
    ///
    /// # Errors
    ///
    /// `Refused` with the node's reason, as `min relay fee not met` or `bad-txns-inputs-missingorspent`.
    pub async fn broadcast(&self, transaction: &Transaction) -> Result<Txid, RpcError> {
        // No limit on the fee rate: the ledger has its own.
        self.send(transaction, None).await
    }

    /// The same for a transaction that no ledger checked: refused when it pays more than `highest`.
    ///
    /// # Errors
    ///
    /// As [`BitcoinRpc::broadcast`].
    pub async fn broadcast_within(&self, transaction: &Transaction, highest: FeeRate) -> Result<Txid, RpcError> {
        self.send(transaction, Some(highest)).await
    }

    async fn send(&self, transaction: &Transaction, highest: Option<FeeRate>) -> Result<Txid, RpcError> {
        let txid = transaction.compute_txid();
        let hex = encode::serialize_hex(transaction);
        let sat_per_kvb = highest.map_or(0, |rate| rate.to_sat_per_kwu().saturating_mul(4));
        let btc_per_kvb = Amount::from_sat(sat_per_kvb).to_string_in(Denomination::Bitcoin);
        match self.call::<Txid>("sendrawtransaction", json!([hex, btc_per_kvb])).await {
            Ok(sent) => Ok(sent),
            Err(RpcError::Refused { code: code::VERIFY_ALREADY_IN_UTXO_SET, .. }) => Ok(txid),
            Err(RpcError::Refused { code: code::VERIFY_ERROR, reason, .. })
                if self.mempool_entry(txid).await?.is_none() =>
            {
                Err(RpcError::Refused { method: "sendrawtransaction", code: code::VERIFY_ERROR, reason })
            }
            Err(RpcError::Refused { code: code::VERIFY_ERROR, .. }) => Ok(txid),
            Err(error) => Err(error),
        }
    }

    /// Sends a child together with its parents, which alone may pay too little. What is in the mempool already counts as sent.
    ///
    /// # Errors
    ///
    /// `Refused` with the node's reason for the package, or else for the first of them that it did not take.
    pub async fn submit_package(&self, transactions: &[&Transaction]) -> Result<(), RpcError> {
        #[derive(Deserialize)]
        struct One {
            error: Option<String>,
        }
        #[derive(Deserialize)]
        struct Answer {
            package_msg: String,
            #[serde(rename = "tx-results", default)]
            results: BTreeMap<String, One>,
        }
        let raw: Vec<String> = transactions.iter().map(encode::serialize_hex).collect();
        // No limit on the fee rate: a child's own is high on purpose.
        let answer: Answer = self.call("submitpackage", json!([raw, 0])).await?;
        if answer.package_msg == "success" {
            return Ok(());
        }
        let of_one = transactions.iter().find_map(|transaction| {
            let error = answer.results.get(&transaction.compute_wtxid().to_string())?.error.as_ref()?;
            Some(format!("{}: {error}", transaction.compute_txid()))
        });
        let reason = of_one.unwrap_or(answer.package_msg);
        Err(RpcError::Refused { method: "submitpackage", code: code::VERIFY_ERROR, reason })
    }

    /// Whether the mempool would take these transactions, each of which may spend those before it.
    pub async fn test_accept(&self, transactions: &[Transaction]) -> Result<Vec<Acceptance>, RpcError> {
        #[derive(Deserialize)]
        struct Fees {
            base: Box<RawValue>,
        }
        #[derive(Deserialize)]
        struct Answer {
            txid: Txid,
            #[serde(default)]
            allowed: bool,
            vsize: Option<u64>,
            fees: Option<Fees>,
            #[serde(rename = "reject-reason")]
            reject_reason: Option<String>,
            #[serde(rename = "package-error")]
            package_error: Option<String>,
        }
        let raw: Vec<String> = transactions.iter().map(encode::serialize_hex).collect();
        let answers: Vec<Answer> = self.call("testmempoolaccept", json!([raw, 0])).await?;
        let verdict = |answer: Answer| -> Result<Acceptance, RpcError> {
            let verdict = match (answer.allowed, answer.vsize, &answer.fees) {
                (true, Some(vsize), Some(fees)) => {
                    Ok(Accepted { vsize, fee: bitcoins("testmempoolaccept", &fees.base)? })
                }
                _ => Err(answer.reject_reason.or(answer.package_error).unwrap_or_else(|| "no reason given".into())),
            };
            Ok(Acceptance { txid: answer.txid, verdict })
        };
        answers.into_iter().map(verdict).collect()
    }

    /// An unconfirmed transaction, if it is in the mempool.
    pub async fn mempool_entry(&self, txid: Txid) -> Result<Option<MempoolEntry>, RpcError> {
        #[derive(Deserialize)]
        struct Fees {
            base: Box<RawValue>,
            modified: Box<RawValue>,
            descendant: Box<RawValue>,
        }
        #[derive(Deserialize)]
        struct Answer {
            vsize: u64,
            #[serde(rename = "descendantsize")]
            descendant_vsize: u64,
            time: u64,
            fees: Fees,
        }
        let answer = self.call::<Answer>("getmempoolentry", json!([txid])).await;
        let Some(answer) = none_on(code::INVALID_ADDRESS_OR_KEY, answer)? else {
            return Ok(None);
        };
        let Fees { base, modified, descendant } = answer.fees;
        let fee = bitcoins("getmempoolentry", &base)?;
        let signed = |json: &RawValue| signed_bitcoins("getmempoolentry", json);
        // What its operator would like it to pay (`prioritisetransaction`) counts in both, and is paid by nobody.
        let of_descendants =
            signed(&descendant)?.checked_sub(signed(&modified)?).and_then(|fee| fee.to_unsigned().ok());
        Ok(Some(MempoolEntry {
            vsize: answer.vsize,
            fee,
            descendant_fee: of_descendants.and_then(|of_others| fee.checked_add(of_others)).unwrap_or(fee),
            descendant_vsize: answer.descendant_vsize,
            time: answer.time,
        }))
    }

    /// What spends each of these outputs in the mempool, in their order.
    pub async fn spending(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "spendingtxid")]
            by: Option<Txid>,
        }
        if outpoints.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Value> =
            outpoints.iter().map(|outpoint| json!({ "txid": outpoint.txid, "vout": outpoint.vout })).collect();
        let answers: Vec<Answer> = self.call("gettxspendingprevout", json!([asked])).await?;
        Ok(answers.into_iter().map(|answer| answer.by).collect())
    }

    /// All unconfirmed transactions' ids.
    pub async fn mempool(&self) -> Result<Vec<Txid>, RpcError> {
        self.call("getrawmempool", json!([])).await
    }

    /// Those of these unconfirmed transactions that are still there.
    pub async fn mempool_transactions(&self, txids: &[Txid]) -> Result<Vec<Transaction>, RpcError> {
        let mut transactions = Vec::new();
        for txids in txids.chunks(BATCH) {
            let asked = txids.iter().map(|txid| json!([txid, 0])).collect();
            for hex in self.batch::<String>("getrawtransaction", asked).await? {
                match none_on(code::INVALID_ADDRESS_OR_KEY, hex)? {
                    Some(hex) => transactions.push(decode("getrawtransaction", &hex)?),
                    None => continue,
                }
            }
        }
        Ok(transactions)
    }

    /// The fee rate at which a transaction should confirm within `blocks` (1 to 1008); none from a node that has not seen enough
    /// blocks, as on regtest.
    pub async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            feerate: Option<Box<RawValue>>,
        }
        let answer: Answer = self.call("estimatesmartfee", json!([blocks.clamp(1, 1008)])).await?;
        let Some(feerate) = answer.feerate else {
            return Ok(None);
        };
        // A thousand virtual bytes are four thousand weight units.
        let sat_per_kvb = bitcoins("estimatesmartfee", &feerate)?.to_sat();
        Ok(Some(FeeRate::from_sat_per_kwu(sat_per_kvb.div_ceil(4))))
    }

    /// An output, while it is unspent: also of unconfirmed transactions if `mempool`.
    pub async fn unspent(&self, outpoint: OutPoint, mempool: bool) -> Result<Option<Unspent>, RpcError> {
        #[derive(Deserialize)]
        struct Script {
            hex: ScriptBuf,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            confirmations: u32,
            value: Box<RawValue>,
            script_pub_key: Script,
            coinbase: bool,
            #[serde(rename = "bestblock")]
            tip: BlockHash,
        }
        let params = json!([outpoint.txid, outpoint.vout, mempool]);
        let answer: Option<Answer> = self.call("gettxout", params).await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        Ok(Some(Unspent {
            outpoint,
            value: bitcoins("gettxout", &answer.value)?,
            script_pubkey: answer.script_pub_key.hex,
            confirmations: answer.confirmations,
            coinbase: answer.coinbase,
            tip: answer.tip,
        }))
    }

    /// All confirmed unspent outputs with one of these scripts. Reads the whole set: minutes on mainnet. A node does one scan
    /// at a time; while another client's runs, this one waits for its turn, [`SCAN_TIMEOUT`] at most.
    pub async fn scan(&self, scripts: &[ScriptBuf]) -> Result<Scan, RpcError> {
        let answer = self.scan_in_turn(scripts).await?;
        if !answer.success {
            return Err(RpcError::BadAnswer { method: "scantxoutset", reason: "the scan was aborted".into() });
        }
        let unspent = |found: ScannedOutput| -> Result<Unspent, RpcError> {
            Ok(Unspent {
                outpoint: OutPoint::new(found.txid, found.vout),
                value: bitcoins("scantxoutset", &found.amount)?,
                script_pubkey: found.script_pub_key,
                confirmations: (answer.height + 1).saturating_sub(found.height),
                coinbase: found.coinbase,
                tip: answer.bestblock,
            })
        };
        let unspents: Result<_, _> = answer.unspents.into_iter().map(unspent).collect();
        Ok(Scan { height: answer.height, tip: answer.bestblock, unspents: unspents? })
    }

    /// Starts a scan, again and again while another one runs.
    async fn scan_in_turn(&self, scripts: &[ScriptBuf]) -> Result<ScanAnswer, RpcError> {
        let descriptors: Vec<String> = scripts.iter().map(|script| format!("raw({script:x})")).collect();
        let turn_by = tokio::time::Instant::now() + SCAN_TIMEOUT;
        loop {
            let answer = self.call_within("scantxoutset", json!(["start", descriptors]), SCAN_TIMEOUT).await;
            match answer {
                // The descriptors are well-formed, so of the reasons Core has for this code only a running scan is left.
                Err(RpcError::Refused { code: code::INVALID_PARAMETER, .. })
                    if tokio::time::Instant::now() < turn_by =>
                {
                    tokio::time::sleep(SCAN_TURN).await;
                }
                answer => return answer,
            }
        }
    }

    /// Hands the node a block, as a miner does.
    ///
    /// # Errors
    ///
    /// `Refused` with the rule it breaks. A block that is known already is not an error.
    pub async fn submit_block(&self, block: &Block) -> Result<(), RpcError> {
        let hex = encode::serialize_hex(block);
        let verdict: Option<String> = self.call_within("submitblock", json!([hex]), BLOCK_TIMEOUT).await?;
        match verdict {
            None => Ok(()),
            Some(reason) if reason == "duplicate" => Ok(()),
            Some(reason) => Err(RpcError::Refused { method: "submitblock", code: 0, reason }),
        }
    }

    /// Mines blocks that pay `address`: regtest only.
    pub async fn generate(&self, blocks: u32, address: &Address) -> Result<Vec<BlockHash>, RpcError> {
        self.call_within("generatetoaddress", json!([blocks, address.to_string()]), BLOCK_TIMEOUT).await
    }

    /// Has the node write its block index and coins to disk, which it else does about once an hour: to count coins without a hash, it first
    /// writes them (`ForceFlushStateToDisk` in Bitcoin Core's `gettxoutsetinfo`). Reads all coins: regtest only.
    pub async fn write_out(&self) -> Result<(), RpcError> {
        self.call_within::<IgnoredAny>("gettxoutsetinfo", json!(["none"]), BLOCK_TIMEOUT).await.map(drop)
    }

    /// Asks the node to stop.
    pub async fn stop(&self) -> Result<(), RpcError> {
        self.call::<String>("stop", json!([])).await.map(drop)
    }

    /// Any other call.
    pub async fn call<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, RpcError> {
        self.call_within(method, params, TIMEOUT).await
    }

    /// Any other call, with a timeout of its own.
    pub async fn call_within<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        timeout: Duration,
    ) -> Result<T, RpcError> {
        let client = self.client(timeout)?;
        let params = raw(&params);
        let answer = tokio::time::timeout(timeout, client.call(method, Some(&params))).await;
        answer.map_err(|_| self.timeout(method, timeout))?.map_err(|error| self.error(method, timeout, error))
    }

    /// The same call with different parameters, in one request; each answer by itself.
    async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        if params.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client(BLOCK_TIMEOUT)?;
        let params: Vec<_> = params.iter().map(raw).collect();
        let requests: Vec<_> = params.iter().map(|params| client.build_request(method, Some(params))).collect();
        let answers = tokio::time::timeout(BLOCK_TIMEOUT, client.send_batch(&requests)).await;
        let answers = answers
            .map_err(|_| self.timeout(method, BLOCK_TIMEOUT))?
            .map_err(|error| self.error(method, BLOCK_TIMEOUT, error))?;
        let missing = || RpcError::BadAnswer { method, reason: "part of a batch is missing".into() };
        let result = |answer: Option<jsonrpc::Response>| {
            answer.ok_or_else(missing)?.result().map_err(|error| self.error(method, BLOCK_TIMEOUT, error))
        };
        Ok(answers.into_iter().map(result).collect())
    }

    fn client(&self, timeout: Duration) -> Result<Client, RpcError> {
        let builder = Builder::new().timeout(timeout).url(&self.url);
        let builder =
            builder.map_err(|error| RpcError::Unreachable { url: self.url.clone(), reason: error.to_string() })?;
        let builder = match &self.auth {
            Auth::None => builder,
            Auth::UserPassword { user, password } => builder.basic_auth(user.clone(), Some(password.clone())),
            Auth::Cookie(path) => {
                let cookie = std::fs::read_to_string(path)
                    .map_err(|error| RpcError::NoCookie { path: path.clone(), reason: error.to_string() })?;
                builder.cookie_auth(cookie.trim_end())
            }
        };
        Ok(Client::with_transport(builder.build()))
    }

    fn timeout(&self, method: &'static str, after: Duration) -> RpcError {
        RpcError::Timeout { url: self.url.clone(), method, after }
    }

    fn error(&self, method: &'static str, timeout: Duration, error: jsonrpc::Error) -> RpcError {
        let url = self.url.clone();
        match error {
            jsonrpc::Error::Rpc(rpc) if rpc.code == code::IN_WARMUP => RpcError::Starting { url, reason: rpc.message },
            jsonrpc::Error::Rpc(rpc) => RpcError::Refused { method, code: rpc.code, reason: rpc.message },
            jsonrpc::Error::Transport(error) => match error.downcast_ref::<HttpError>() {
                Some(HttpError::Http(http)) => match http.status_code {
                    401 | 403 => RpcError::Unauthorized { url },
                    503 => RpcError::Busy { url, reason: http.body.trim().to_owned() },
                    status => RpcError::BadAnswer { method, reason: format!("HTTP status {status}") },
                },
                _ if error.to_string().contains("the timeout of the request was reached") => {
                    self.timeout(method, timeout)
                }
                _ => RpcError::Unreachable { url, reason: error.to_string() },
            },
            other => RpcError::BadAnswer { method, reason: other.to_string() },
        }
    }
}

/// Core's answer to `scantxoutset`.
#[derive(Deserialize)]
struct ScanAnswer {
    success: bool,
    height: Height,
    bestblock: BlockHash,
    unspents: Vec<ScannedOutput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedOutput {
    txid: Txid,
    vout: u32,
    script_pub_key: ScriptBuf,
    amount: Box<RawValue>,
    height: Height,
    coinbase: bool,
}

/// Turns the refusal that means "there is none" into `None`.
fn none_on<T>(code: i32, answer: Result<T, RpcError>) -> Result<Option<T>, RpcError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(RpcError::Refused { code: got, .. }) if got == code => Ok(None),
        Err(error) => Err(error),
    }
}

/// The answers before the first refusal that means "there is none".
fn while_there<T>(answers: Vec<Result<T, RpcError>>, code: i32) -> Result<Vec<T>, RpcError> {
    answers.into_iter().map_while(|answer| none_on(code, answer).transpose()).collect()
}

fn raw(params: &Value) -> Box<RawValue> {
    RawValue::from_string(params.to_string()).expect("a JSON value displays as JSON")
}

fn decode<T: encode::Decodable>(method: &'static str, hex: &str) -> Result<T, RpcError> {
    encode::deserialize_hex(hex).map_err(|error| RpcError::BadAnswer { method, reason: error.to_string() })
}

/// Reads an amount from the digits of the JSON text: it never becomes a float.
fn bitcoins(method: &'static str, json: &RawValue) -> Result<Amount, RpcError> {
    let amount = satoshis(json.get()).map(Amount::from_sat).filter(|amount| *amount <= Amount::MAX_MONEY);
    amount.ok_or_else(|| RpcError::BadAnswer {
        method,
        reason: format!("{} is no amount of whole satoshis, written in bitcoins", json.get()),
    })
}

/// The same, of either sign.
fn signed_bitcoins(method: &'static str, json: &RawValue) -> Result<SignedAmount, RpcError> {
    let text = json.get();
    let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
    let sat = satoshis(digits).and_then(|sat| i64::try_from(sat).ok());
    sat.map(|sat| SignedAmount::from_sat(sign * sat)).ok_or_else(|| RpcError::BadAnswer {
        method,
        reason: format!("{text} is no amount of whole satoshis, written in bitcoins"),
    })
}

/// Bitcoins as JSON writes numbers (RFC 8259, section 6), in satoshis: `0.00002` and `2e-5` are the same. None for anything else, and for parts of a satoshi.
fn satoshis(text: &str) -> Option<u64> {
    const DECIMALS: i64 = 8;
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let digits = format!("{whole}{part}");
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some(0);
    }
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let decimals = i64::try_from(part.len()).ok()?;
    // The last digit that counts is of so many satoshis.
    let power = i64::from(exponent.parse::<i32>().ok()?) + DECIMALS + dropped - decimals;
    kept.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(u32::try_from(power).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_may_be_negative_is_read_with_its_sign() {
        let read = |text: &str| signed_bitcoins("", &RawValue::from_string(text.to_owned()).expect("JSON")).ok();
        assert_eq!(read("-0.99999833"), Some(SignedAmount::from_sat(-99_999_833)));
        assert_eq!(read("2e-5"), Some(SignedAmount::from_sat(2_000)));
        assert_eq!(read("1e-9"), None);
    }

    #[test]
    fn amounts_are_read_from_their_digits_with_or_without_exponent_and_never_rounded() {
        for (text, sat) in [
            ("0", 0),
            ("0.00000000", 0),
            ("0e5", 0),
            ("0.00002", 2_000),
            ("2e-5", 2_000),
            ("2E-05", 2_000),
            ("2.0e-5", 2_000),
            ("1.234e-5", 1_234),
            ("1e-8", 1),
            ("1.5e+3", 150_000_000_000),
            ("12345e-8", 12_345),
            ("20999999.97690000", 2_099_999_997_690_000),
            ("21000000", 2_100_000_000_000_000),
            ("0.1", 10_000_000),
            ("0.30000000", 30_000_000),
        ] {
            assert_eq!(satoshis(text), Some(sat), "{text}");
        }
        for text in [
            "1e-9",
            "0.000000001",
            "2.00000001e-5",
            "-1",
            "-2e-5",
            "",
            ".",
            "1.",
            ".5",
            "1e",
            "1e-5x",
            "0x1",
            "1e99",
            "\"0.1\"",
            "null",
            "1 ",
        ] {
            assert_eq!(satoshis(text), None, "{text}");
        }
    }

    #[test]
    fn more_than_there_can_be_is_no_amount() {
        let read = |text: &str| {
            let json = RawValue::from_string(text.to_owned()).expect("a JSON number");
            bitcoins("getmempoolentry", &json)
        };
        assert_eq!(read("2.1e7").expect("all there is"), Amount::MAX_MONEY);
        let error = read("21000000.00000001").expect_err("more").to_string();
        assert!(error.contains("getmempoolentry") && error.contains("21000000.00000001"), "{error}");
    }
}
