//! The relayer's questions to its own sidechain node.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;

use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::SolCall;
use light::facts::{Facts, Wanted};
use light::finality::Validators;

use crate::io::sidechain::proven::{self, ProvenError};
use crate::io::sidechain::{Block, Call, Client, Error, Fees};
use crate::peg;
use crate::relay::view::{BlockLog, Head};

/// A sidechain node whose head is final. All errors are those of [`Client`]'s methods of the same names.
pub trait Node: Send + Sync + 'static {
    /// Where it is, for the operator's eyes.
    fn url(&self) -> &str;
    /// What the bridge is, and where it stands at the head.
    fn info(&self) -> impl Future<Output = Result<peg::Info, Error>> + Send;
    fn head(&self) -> impl Future<Output = Result<Block, Error>> + Send;
    /// None when there is no such block yet.
    fn block(&self, number: u64) -> impl Future<Output = Result<Option<Block>, Error>> + Send;
    /// What these contracts logged in the blocks `from..=to`, oldest first.
    fn logs(
        &self,
        contracts: &[Address],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<BlockLog>, Error>> + Send;
    /// At most `limit` registrations after `cursor`.
    fn registered_deposits(
        &self,
        cursor: u64,
        limit: u32,
    ) -> impl Future<Output = Result<peg::Registrations, Error>> + Send;
    /// Calls a contract at the head with ABI-encoded input; its encoded answer.
    fn call_encoded(&self, to: Address, input: Bytes) -> impl Future<Output = Result<Bytes, Error>> + Send;
    /// Facts of the ledger in the state after its latest block, once that is shown to be final and they are proven. A fault: it proves something else.
    fn proven(
        &self,
        validators: &Validators,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Facts, ProvenError>> + Send;
    /// The nonce of the account's next transaction, by final blocks.
    fn nonce(&self, account: Address) -> impl Future<Output = Result<u64, Error>> + Send;
    /// Whether it knows a transaction: in a block or in its mempool.
    fn knows(&self, hash: B256) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Gas that a transaction would use at the head.
    fn estimate_gas(&self, from: Address, call: &Call, fees: Fees) -> impl Future<Output = Result<u64, Error>> + Send;
    /// Hands it a signed transaction (EIP-2718 bytes).
    fn send_raw(&self, transaction: &Bytes) -> impl Future<Output = Result<B256, Error>> + Send;

    /// Calls a contract at the head.
    fn call<C: SolCall>(&self, to: Address, call: &C) -> impl Future<Output = Result<C::Return, Error>> + Send {
        let input = Bytes::from(call.abi_encode());
        async move {
            let answer = self.call_encoded(to, input).await?;
            C::abi_decode_returns(&answer).map_err(|error| Error::Malformed {
                method: "eth_call",
                reason: format!("{} answered {answer}: {error}", C::SIGNATURE),
            })
        }
    }
}

impl Node for Client {
    fn url(&self) -> &str {
        self.url()
    }

    async fn info(&self) -> Result<peg::Info, Error> {
        self.info().await
    }

    async fn head(&self) -> Result<Block, Error> {
        self.head().await
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        self.block(number).await
    }

    async fn logs(&self, contracts: &[Address], from: u64, to: u64) -> Result<Vec<BlockLog>, Error> {
        let filter = Filter::new().address(contracts.to_vec());
        let logs = self.logs(&filter, from, to).await?;
        with_blocks(self, logs).await
    }

    async fn registered_deposits(&self, cursor: u64, limit: u32) -> Result<peg::Registrations, Error> {
        self.registered_deposits(cursor, limit).await
    }

    async fn call_encoded(&self, to: Address, input: Bytes) -> Result<Bytes, Error> {
        self.call_encoded(to, input).await
    }

    async fn proven(&self, validators: &Validators, wanted: &Wanted) -> Result<Facts, ProvenError> {
        let header = proven::latest(self, validators).await?;
        proven::facts(self, &header, wanted).await
    }

    async fn nonce(&self, account: Address) -> Result<u64, Error> {
        self.nonce(account).await
    }

    async fn knows(&self, hash: B256) -> Result<bool, Error> {
        self.knows(hash).await
    }

    async fn estimate_gas(&self, from: Address, call: &Call, fees: Fees) -> Result<u64, Error> {
        self.estimate_gas(from, call, fees).await
    }

    async fn send_raw(&self, transaction: &Bytes) -> Result<B256, Error> {
        self.send_raw(transaction).await
    }
}

/// Logs with the times of their blocks, which some nodes do not tell with them.
async fn with_blocks(client: &Client, logs: Vec<Log>) -> Result<Vec<BlockLog>, Error> {
    let mut times = BTreeMap::new();
    let mut dated = Vec::new();
    for log in logs {
        let number = log.block_number.unwrap_or_default();
        if let Some(time_s) = log.block_timestamp {
            times.insert(number, time_s);
        }
        let time_s = match times.entry(number) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => *vacant.insert(block_time(client, number).await?),
        };
        dated.push(BlockLog { block: Head { number, time_s }, log: log.inner });
    }
    Ok(dated)
}

async fn block_time(client: &Client, number: u64) -> Result<u64, Error> {
    let block = client.block(number).await?.ok_or_else(|| Error::Malformed {
        method: "eth_getLogs",
        reason: format!("it answers a log of block {number}, which it does not have"),
    })?;
    Ok(block.timestamp)
}
