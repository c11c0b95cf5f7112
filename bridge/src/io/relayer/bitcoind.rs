//! The relayer's questions to its own bitcoind.

use mainchain::header::Height;
use std::future::Future;
use std::ops::Range;

use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, FeeRate, OutPoint, Transaction, Txid};
use mainchain::io::rpc::{BitcoinRpc, ChainInfo, RpcError, Unspent};

use crate::relay::facts::Package;

/// A Bitcoin Core node. All errors are those of [`BitcoinRpc`]'s methods of the same names.
pub trait Bitcoind: Send + Sync + 'static {
    /// Where it is, for the operator's eyes.
    fn url(&self) -> &str;
    /// What it knows of its chain.
    fn chain_info(&self) -> impl Future<Output = Result<ChainInfo, RpcError>> + Send;
    /// The best chain's block at a height, if it is that long.
    fn block_hash(&self, height: Height) -> impl Future<Output = Result<Option<BlockHash>, RpcError>> + Send;
    /// A whole block, if it has it.
    fn block(&self, hash: BlockHash) -> impl Future<Output = Result<Option<Block>, RpcError>> + Send;
    /// A header, on the best chain or not.
    fn header(&self, hash: BlockHash) -> impl Future<Output = Result<Option<Header>, RpcError>> + Send;
    /// The best chain's headers at `heights`, as many as there are.
    fn headers(&self, heights: Range<u32>) -> impl Future<Output = Result<Vec<Header>, RpcError>> + Send;
    /// An output while it is unspent: also of unconfirmed transactions if `mempool`.
    fn unspent(
        &self,
        outpoint: OutPoint,
        mempool: bool,
    ) -> impl Future<Output = Result<Option<Unspent>, RpcError>> + Send;
    /// Whether a transaction is in the mempool.
    fn is_in_mempool(&self, txid: Txid) -> impl Future<Output = Result<bool, RpcError>> + Send;
    /// What is paid for a transaction in the mempool.
    fn package(&self, txid: Txid) -> impl Future<Output = Result<Option<Package>, RpcError>> + Send;
    /// What spends each of these outputs in the mempool.
    fn spending(&self, outpoints: &[OutPoint]) -> impl Future<Output = Result<Vec<Option<Txid>>, RpcError>> + Send;
    /// The rate at which a transaction should confirm within `blocks`; none where that is not known.
    fn fee_rate(&self, blocks: u16) -> impl Future<Output = Result<Option<FeeRate>, RpcError>> + Send;
    /// The filters (BIP 158) of the best chain's blocks at `heights`, as many as it has in a row.
    fn block_filters(
        &self,
        heights: Range<u32>,
    ) -> impl Future<Output = Result<Vec<(BlockHash, Vec<u8>)>, RpcError>> + Send;
    /// Sends a transaction to the network; one that is there already counts as sent.
    fn broadcast(&self, transaction: &Transaction) -> impl Future<Output = Result<Txid, RpcError>> + Send;
}

impl Bitcoind for BitcoinRpc {
    fn url(&self) -> &str {
        self.url()
    }

    async fn chain_info(&self) -> Result<ChainInfo, RpcError> {
        self.chain_info().await
    }

    async fn block_hash(&self, height: Height) -> Result<Option<BlockHash>, RpcError> {
        self.block_hash(height).await
    }

    async fn block(&self, hash: BlockHash) -> Result<Option<Block>, RpcError> {
        self.block(hash).await
    }

    async fn header(&self, hash: BlockHash) -> Result<Option<Header>, RpcError> {
        self.header(hash).await
    }

    async fn headers(&self, heights: Range<u32>) -> Result<Vec<Header>, RpcError> {
        self.headers(heights).await
    }

    async fn unspent(&self, outpoint: OutPoint, mempool: bool) -> Result<Option<Unspent>, RpcError> {
        self.unspent(outpoint, mempool).await
    }

    async fn is_in_mempool(&self, txid: Txid) -> Result<bool, RpcError> {
        Ok(self.mempool_entry(txid).await?.is_some())
    }

    async fn package(&self, txid: Txid) -> Result<Option<Package>, RpcError> {
        let entry = self.mempool_entry(txid).await?;
        Ok(entry.map(|entry| Package {
            fee: entry.fee,
            vsize: entry.vsize,
            with_children: entry.descendant_fee,
            vsize_with_children: entry.descendant_vsize,
        }))
    }

    async fn spending(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, RpcError> {
        self.spending(outpoints).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, RpcError> {
        self.fee_rate(blocks).await
    }

    async fn block_filters(&self, heights: Range<u32>) -> Result<Vec<(BlockHash, Vec<u8>)>, RpcError> {
        self.block_filters(heights).await
    }

    async fn broadcast(&self, transaction: &Transaction) -> Result<Txid, RpcError> {
        self.broadcast(transaction).await
    }
}
