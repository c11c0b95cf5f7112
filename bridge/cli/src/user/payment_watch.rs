//! Payments to one's own deposit addresses, as one's own bitcoind has them: in its mempool, and in the newest blocks. bitcoind keeps no index
//! of addresses, so each block and each new transaction is read once, and what was found is kept in the home folder: one that the bridge never
//! takes is still told months later, by asking for its output alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
use bridge::io::sidechain::Client;
use contracts::deposits::IBitcoinLightClient;
use contracts::{Deposits, address};
use eyre::{Result, WrapErr, eyre};
use files::write_atomic;
use mainchain::header::Height;
use mainchain::io::rpc::{BitcoinRpc, RpcError, Scan};
use mainchain::proof::{InclusionProof, strip};
use serde::{Deserialize, Serialize};

use super::deposit_record::Record;
use super::outlook::Lookout;
use super::payment::{Awaited, Payment, Terms};

/// Blocks before the tip that are read at first: an address is mostly looked at within an hour of its payment.
const BACK: Height = 6;
/// Blocks that one look reads: the rest is read by the next ones.
const MOST_BLOCKS: u32 = 50;
/// Transactions of the mempool that one look reads; at first, a fuller mempool counts as read, and only what comes later is looked at.
const MOST_TRANSACTIONS: usize = 5_000;
/// Payments that are kept of those to one's own addresses: anybody can send dust.
const MOST_KEPT: usize = 1_000;
/// In the home folder.
const KEPT: &str = "payments.json";

/// Keeps unspent payments that bitcoind found in its whole chain by their addresses, so that they are told although their blocks are not read
/// again.
///
/// # Errors
///
/// bitcoind does not answer, or those of the disk.
pub async fn remember(bitcoin: &BitcoinRpc, home: &Path, scan: &Scan, records: &[Record]) -> Result<()> {
    let mut scripts = BTreeMap::new();
    for record in records {
        scripts.insert(record.output()?.script_pubkey(), record.address.clone());
    }
    let path = home.join(KEPT);
    let mut all = read_kept(&path);
    // The dearest first: anybody can send dust.
    let mut unspents: Vec<_> = scan.unspents.iter().collect();
    unspents.sort_by_key(|unspent| Reverse(unspent.value));
    for unspent in unspents {
        let Some(address) = scripts.get(&unspent.script_pubkey).cloned() else { continue };
        let height = (scan.height + 1).saturating_sub(unspent.confirmations);
        // What left the best chain meanwhile is found again by its next block.
        let Some(hash) = bitcoin.block_hash(height).await? else { continue };
        let (amount_sat, coinbase) = (unspent.value.to_sat(), unspent.coinbase);
        if all.len() < MOST_KEPT {
            all.insert(unspent.outpoint, Found { address, amount_sat, coinbase, block: Some((height, hash)) });
        }
    }
    write_kept(&path, &all).wrap_err_with(|| format!("payments that were found are not kept in {}", path.display()))
}

/// Looks again and again, and reads nothing twice.
#[derive(Debug)]
pub struct Watch {
    bitcoin: BitcoinRpc,
    /// What is paid, and the address that it is of.
    scripts: BTreeMap<ScriptBuf, String>,
    /// The last block that was read.
    last: Option<(Height, BlockHash)>,
    /// Those transactions of the mempool that were read.
    read: Option<BTreeSet<Txid>>,
    found: BTreeMap<OutPoint, Found>,
    /// The first block that was read.
    from: Option<Height>,
    /// Where what was found is kept, and what it holds.
    kept: (PathBuf, BTreeMap<OutPoint, Found>),
    /// What the ledger said of a payment, and at how many confirmations it was asked.
    asked: BTreeMap<OutPoint, (u32, Option<String>)>,
    tip: Height,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    address: String,
    amount_sat: u64,
    coinbase: bool,
    /// The block with it; none while it is in the mempool.
    block: Option<(Height, BlockHash)>,
}

impl Watch {
    /// For payments to the addresses of these records, of the user whose folder is `home`.
    ///
    /// # Errors
    ///
    /// A record is damaged.
    pub fn new<'a>(bitcoin: BitcoinRpc, home: &Path, records: impl IntoIterator<Item = &'a Record>) -> Result<Self> {
        let mut scripts = BTreeMap::new();
        for record in records {
            scripts.insert(record.output()?.script_pubkey(), record.address.clone());
        }
        let path = home.join(KEPT);
        let kept = read_kept(&path);
        let is_ours = |found: &Found| scripts.values().any(|address| *address == found.address);
        let found = kept.iter().filter(|(_, found)| is_ours(found)).map(|(outpoint, found)| (*outpoint, found.clone()));
        let found = found.collect();
        let kept = (path, kept);
        Ok(Self { bitcoin, scripts, from: None, kept, last: None, read: None, found, asked: BTreeMap::new(), tip: 0 })
    }

    /// What was paid, as far as it was read, the oldest first.
    ///
    /// # Errors
    ///
    /// bitcoind does not answer.
    pub async fn look(&mut self) -> Result<Vec<Payment>, RpcError> {
        self.tip = self.bitcoin.best_tip().await?.0;
        self.forget_what_left().await?;
        self.read_blocks().await?;
        self.read_mempool().await?;
        self.forget_what_was_spent().await?;
        self.keep_found();
        let mut payments: Vec<Payment> =
            self.found.iter().map(|(outpoint, found)| self.payment(*outpoint, found)).collect();
        payments.sort_by_key(|payment| (payment.height.unwrap_or(Height::MAX), payment.outpoint));
        Ok(payments)
    }

    fn payment(&self, outpoint: OutPoint, found: &Found) -> Payment {
        let height = found.block.map(|(height, _)| height);
        let confirmations = height.map_or(0, |height| (self.tip + 1).saturating_sub(height));
        let (address, amount_sat, coinbase) = (found.address.clone(), found.amount_sat, found.coinbase);
        Payment { outpoint, address, amount_sat, height, confirmations, coinbase }
    }

    /// After a reorganisation, what was in blocks that left is in no block, and what took their place is read.
    async fn forget_what_left(&mut self) -> Result<(), RpcError> {
        if let Some((height, hash)) = self.last {
            if self.bitcoin.block_hash(height).await? == Some(hash) {
                return Ok(());
            }
            self.read = Some(BTreeSet::new());
        }
        let mut kept = BTreeMap::new();
        for (outpoint, found) in std::mem::take(&mut self.found) {
            let is_there = match found.block {
                Some((height, hash)) => self.bitcoin.block_hash(height).await? == Some(hash),
                None => true,
            };
            kept.extend(is_there.then_some((outpoint, found)));
        }
        (self.found, self.last) = (kept, None);
        Ok(())
    }

    async fn read_blocks(&mut self) -> Result<(), RpcError> {
        let first = self.last.map_or_else(|| self.tip.saturating_sub(BACK), |(height, _)| height + 1);
        self.from = Some(self.from.unwrap_or(first).min(first));
        for height in (first..=self.tip).take(MOST_BLOCKS as usize) {
            let Some(hash) = self.bitcoin.block_hash(height).await? else { return Ok(()) };
            // One that was pruned meanwhile has nothing new.
            let transactions = self.bitcoin.block(hash).await?.map_or_else(Vec::new, |block| block.txdata);
            transactions.iter().for_each(|transaction| self.keep(transaction, Some((height, hash))));
            self.last = Some((height, hash));
        }
        Ok(())
    }

    async fn read_mempool(&mut self) -> Result<(), RpcError> {
        let there: BTreeSet<Txid> = self.bitcoin.mempool().await?.into_iter().collect();
        self.found.retain(|outpoint, found| found.block.is_some() || there.contains(&outpoint.txid));
        let is_small = there.len() <= MOST_TRANSACTIONS;
        let Some(read) = self.read.take().or_else(|| is_small.then(BTreeSet::new)) else {
            self.read = Some(there);
            return Ok(());
        };
        let fresh: Vec<Txid> = there.difference(&read).take(MOST_TRANSACTIONS).copied().collect();
        let read = there.intersection(&read).copied().chain(fresh.iter().copied()).collect();
        for transaction in self.bitcoin.mempool_transactions(&fresh).await? {
            self.keep(&transaction, None);
        }
        self.read = Some(read);
        Ok(())
    }

    /// What is spent is swept, and in the ledger; or its owner took it back.
    async fn forget_what_was_spent(&mut self) -> Result<(), RpcError> {
        let outpoints: Vec<OutPoint> = self.found.keys().copied().collect();
        for outpoint in outpoints {
            if self.bitcoin.unspent(outpoint, true).await?.is_none() {
                self.found.remove(&outpoint);
            }
        }
        Ok(())
    }

    /// What cannot be kept is told: it is found again in the next hour, or by `--prove`.
    fn keep_found(&mut self) {
        let addresses: BTreeSet<&String> = self.scripts.values().collect();
        let (path, kept) = &self.kept;
        let others = kept.iter().filter(|(_, found)| !addresses.contains(&found.address));
        let own = self.found.iter().filter(|(_, found)| found.block.is_some());
        let all: BTreeMap<OutPoint, Found> =
            others.chain(own).take(MOST_KEPT).map(|(outpoint, found)| (*outpoint, found.clone())).collect();
        if all == *kept {
            return;
        }
        match write_kept(path, &all) {
            Ok(()) => self.kept.1 = all,
            Err(error) => tracing::warn!("payments that were seen are not kept: {error}"),
        }
    }

    /// From which block to which it was asked.
    pub fn asked(&self) -> Option<(Height, Height)> {
        self.from.map(|from| (from, self.tip))
    }

    fn keep(&mut self, transaction: &Transaction, block: Option<(Height, BlockHash)>) {
        let ours = transaction.output.iter().zip(0..).filter_map(|(output, vout)| {
            Some((vout, output.value.to_sat(), self.scripts.get(&output.script_pubkey)?.clone()))
        });
        let ours: Vec<(u32, u64, String)> = ours.collect();
        let coinbase = transaction.is_coinbase();
        for (vout, amount_sat, address) in ours {
            let outpoint = OutPoint::new(transaction.compute_txid(), vout);
            self.found.insert(outpoint, Found { address, amount_sat, coinbase, block });
        }
    }

    /// What was paid and is not in the ledger, with what it waits for. A bitcoind that does not answer is done without.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn awaited(
        &mut self,
        lookout: &mut Lookout<'_>,
        records: &[Record],
        in_ledger: &BTreeSet<OutPoint>,
    ) -> Result<Vec<Awaited>> {
        let payments = self.look().await.unwrap_or_else(|error| {
            tracing::warn!("bitcoind is done without: {error}");
            Vec::new()
        });
        let mut all = Vec::new();
        for payment in payments.into_iter().filter(|payment| !in_ledger.contains(&payment.outpoint)) {
            let Some(record) = records.iter().find(|record| record.address == payment.address) else { continue };
            let terms = Terms::of(record);
            let mut awaited = Awaited::new(payment, terms, lookout.look().await?, None);
            if awaited.is_late() {
                let refused = self.refused(lookout.client, record, &awaited.payment).await?;
                awaited = Awaited::new(awaited.payment, terms, lookout.look().await?, refused);
            }
            all.push(awaited);
        }
        Ok(all)
    }

    /// Asks the ledger once for each number of confirmations.
    async fn refused(&mut self, client: &Client, record: &Record, payment: &Payment) -> Result<Option<String>> {
        let asked = self.asked.get(&payment.outpoint).filter(|(asked_at, _)| *asked_at == payment.confirmations);
        if let Some((_, refused)) = asked {
            return Ok(refused.clone());
        }
        let refused = self.refusal(client, record, payment).await?;
        self.asked.insert(payment.outpoint, (payment.confirmations, refused.clone()));
        Ok(refused)
    }

    async fn refusal(&self, client: &Client, record: &Record, payment: &Payment) -> Result<Option<String>> {
        let gone = || eyre!("Bitcoin's best chain changed while it was read: try again");
        let (_, hash) = self.found.get(&payment.outpoint).and_then(|found| found.block).ok_or_else(gone)?;
        let block = self.bitcoin.block(hash).await?.ok_or_else(gone)?;
        let txid = payment.outpoint.txid;
        let proof = InclusionProof::build(&block, txid).wrap_err_with(|| format!("{txid} cannot be proven"))?;
        let transaction = block.txdata.iter().find(|found| found.compute_txid() == txid).ok_or_else(gone)?;
        let call = Deposits::proveCall {
            transaction: strip(transaction).into(),
            vout: payment.outpoint.vout,
            terms: record.registration().into(),
            outputKeyY: record.output()?.output_key_y().into(),
            inclusion: inclusion(&proof),
        };
        match client.call(address::DEPOSITS, &call).await {
            Ok(_) => Ok(None),
            Err(error) => match error.revert() {
                Some(revert) => Ok(Some(revert.to_string())),
                None => Err(error.into()),
            },
        }
    }
}

/// What was found before; nothing where that cannot be read: all of it can be found again.
fn read_kept(path: &Path) -> BTreeMap<OutPoint, Found> {
    let text = std::fs::read(path).unwrap_or_default();
    let list: Vec<(OutPoint, Found)> = serde_json::from_slice(&text).unwrap_or_default();
    list.into_iter().collect()
}

fn write_kept(path: &Path, all: &BTreeMap<OutPoint, Found>) -> std::io::Result<()> {
    let list: Vec<(&OutPoint, &Found)> = all.iter().collect();
    write_atomic(path, &serde_json::to_vec(&list).expect("text and numbers always serialise"))
}

fn inclusion(proof: &InclusionProof) -> IBitcoinLightClient::InclusionProof {
    let branch = |hashes: &[[u8; 32]]| hashes.iter().copied().map(B256::from).collect();
    IBitcoinLightClient::InclusionProof {
        header: bitcoin::consensus::serialize(&proof.header).into(),
        index: proof.index,
        siblings: branch(&proof.siblings),
        leftmost: branch(&proof.leftmost),
    }
}
