//! Payments to one's own deposit addresses, as one's own bitcoind has them: in its mempool, and in the newest blocks. bitcoind keeps no index
//! of addresses, so each block and each new transaction is read once, and what was found is kept in the home folder: one that the bridge never
//! takes is still told months later, by asking for its output alone. How far blocks were read is kept, too, and the next look reads on from there.
//!
//! ```text
//!   made, or looked at last       unread: some of it at each look          tip - BACK      tip
//!          |------------------------->- - - - - - - - - - - - - - - - - - -|===============|   read first
//! ```

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
use super::payment::{Awaited, Blocks, Payment, Terms};

/// Blocks before the tip that are read at first: an address is mostly looked at within an hour of its payment.
const BACK: Height = 6;
/// Blocks that one look reads: the rest is read by the next ones.
const MOST_BLOCKS: u32 = 50;
/// It goes on with blocks as long as together they have no more transactions than a full one.
const MOST_IN_SMALL_BLOCKS: usize = 5_000;
/// And are no more than these.
const MOST_SMALL_BLOCKS: u32 = 2_000;
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
    let mut kept = Kept::read(&path);
    // The dearest first: anybody can send dust.
    let mut unspents: Vec<_> = scan.unspents.iter().collect();
    unspents.sort_by_key(|unspent| Reverse(unspent.value));
    let mut has_all = true;
    for unspent in unspents {
        let Some(address) = scripts.get(&unspent.script_pubkey).cloned() else { continue };
        let height = (scan.height + 1).saturating_sub(unspent.confirmations);
        let hash = bitcoin.block_hash(height).await?;
        // What left the best chain meanwhile is found again by its next block.
        let Some(hash) = hash.filter(|_| kept.payments.len() < MOST_KEPT) else {
            has_all = false;
            continue;
        };
        let (amount_sat, coinbase) = (unspent.value.to_sat(), unspent.coinbase);
        kept.payments.insert(unspent.outpoint, Found { address, amount_sat, coinbase, block: Some((height, hash)) });
    }
    if has_all {
        let read = Read { from: 0, to: scan.height };
        kept.read.extend(scripts.into_values().map(|address| (address, read)));
    }
    kept.write(&path).wrap_err_with(|| format!("payments that were found are not kept in {}", path.display()))
}

/// An address is made: nobody has paid it in blocks up to `height`, and those after it are read whenever it is looked at.
///
/// # Errors
///
/// Those of the disk.
pub fn begin(home: &Path, address: &str, height: Height) -> Result<()> {
    let path = home.join(KEPT);
    let mut kept = Kept::read(&path);
    kept.read.entry(address.to_owned()).or_insert(Read { from: height + 1, to: height });
    kept.write(&path).wrap_err_with(|| format!("when {address} was made is not kept in {}", path.display()))
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
    /// Of those, what a transaction in the mempool spends.
    being_spent: BTreeSet<OutPoint>,
    /// The first of the newest blocks, which are read first.
    recent: Option<Height>,
    /// What was read for each of these addresses.
    blocks: BTreeMap<String, Read>,
    /// Where what was found is kept, and what it holds.
    kept: (PathBuf, Kept),
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

/// Blocks that were read for payments to an address, all of them; none where the last is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    from: Height,
    to: Height,
}

impl Read {
    /// Adds blocks that were read without any between.
    fn join(&mut self, from: Height, to: Height) {
        if from <= self.to.saturating_add(1) && to.saturating_add(1) >= self.from {
            (self.from, self.to) = (self.from.min(from), self.to.max(to));
        }
    }
}

/// What is in the home folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    payments: BTreeMap<OutPoint, Found>,
    /// By address.
    read: BTreeMap<String, Read>,
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
        let kept = Kept::read(&path);
        let is_ours = |address: &String| scripts.values().any(|own| own == address);
        let payments = kept.payments.iter().filter(|(_, found)| is_ours(&found.address));
        let found = payments.map(|(outpoint, found)| (*outpoint, found.clone())).collect();
        let blocks = kept.read.iter().filter(|(address, _)| is_ours(address));
        let blocks = blocks.map(|(address, read)| (address.clone(), *read)).collect();
        let (kept, asked, being_spent) = ((path, kept), BTreeMap::new(), BTreeSet::new());
        let (recent, last, read, tip) = (None, None, None, 0);
        Ok(Self { bitcoin, scripts, last, read, found, being_spent, recent, blocks, kept, asked, tip })
    }

    /// What was paid, as far as it was read, the oldest first.
    ///
    /// # Errors
    ///
    /// bitcoind does not answer.
    pub async fn look(&mut self) -> Result<Vec<Payment>, RpcError> {
        self.tip = self.bitcoin.best_tip().await?.0;
        self.forget_what_left().await?;
        self.read_newest().await?;
        self.read_behind().await?;
        self.read_mempool().await?;
        self.forget_what_was_spent().await?;
        self.keep_found();
        let unspent = self.found.iter().filter(|(outpoint, _)| !self.being_spent.contains(outpoint));
        let mut payments: Vec<Payment> = unspent.map(|(outpoint, found)| self.payment(*outpoint, found)).collect();
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

    async fn read_newest(&mut self) -> Result<(), RpcError> {
        let first = self.last.map_or_else(|| self.tip.saturating_sub(BACK), |(height, _)| height + 1);
        let recent = if self.last.is_some() { self.recent.unwrap_or(first) } else { first };
        self.recent = Some(recent);
        for height in (first..=self.tip).take(MOST_BLOCKS as usize) {
            let Some((hash, _)) = self.read_block(height).await? else { break };
            self.last = Some((height, hash));
        }
        self.join_newest();
        Ok(())
    }

    /// The newest blocks beside what was read of each address: where nothing was read, that begins with them.
    fn join_newest(&mut self) {
        let (Some(from), Some((to, _))) = (self.recent, self.last) else { return };
        for address in self.scripts.values() {
            let read = self.blocks.entry(address.clone()).or_insert(Read { from, to });
            // After a reorganisation, or as the node told it that the address was made by, it may be beyond the tip.
            if read.to > to {
                *read = Read { from: read.from.min(to + 1), to };
            }
            read.join(from, to);
        }
    }

    /// Reads on from what was read before, up to the newest: some of it, and the next looks the rest.
    async fn read_behind(&mut self) -> Result<(), RpcError> {
        let Some(recent) = self.recent else { return Ok(()) };
        let next = self.blocks.values().map(|read| read.to + 1).filter(|next| *next < recent).min();
        let (mut blocks, mut transactions) = (0, 0);
        for height in next.unwrap_or(recent)..recent {
            if !goes_on(blocks, transactions) {
                break;
            }
            let Some((_, count)) = self.read_block(height).await? else { break };
            (blocks, transactions) = (blocks + 1, transactions + count);
            self.blocks.values_mut().for_each(|read| read.join(height, height));
        }
        self.join_newest();
        Ok(())
    }

    /// Its hash, and how many transactions it has; none if the chain is shorter by now.
    async fn read_block(&mut self, height: Height) -> Result<Option<(BlockHash, usize)>, RpcError> {
        let Some(hash) = self.bitcoin.block_hash(height).await? else { return Ok(None) };
        // One that was pruned meanwhile has nothing new.
        let transactions = self.bitcoin.block(hash).await?.map_or_else(Vec::new, |block| block.txdata);
        transactions.iter().for_each(|transaction| self.keep(transaction, Some((height, hash))));
        Ok(Some((hash, transactions.len())))
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

    /// What is spent is swept, and in the ledger; or its owner took it back. Until a block has that it may be there again: its own block is not
    /// read a second time.
    async fn forget_what_was_spent(&mut self) -> Result<(), RpcError> {
        self.being_spent.clear();
        for outpoint in self.found.keys() {
            if self.bitcoin.unspent(*outpoint, true).await?.is_none() {
                self.being_spent.insert(*outpoint);
            }
        }
        for outpoint in &self.being_spent {
            if self.bitcoin.unspent(*outpoint, false).await?.is_none() {
                self.found.remove(outpoint);
            }
        }
        Ok(())
    }

    /// What cannot be kept is told: it is found again in the next hour, or by `--prove`.
    fn keep_found(&mut self) {
        let addresses: BTreeSet<&String> = self.scripts.values().collect();
        let (path, kept) = &self.kept;
        let others = kept.payments.iter().filter(|(_, found)| !addresses.contains(&found.address));
        let own = self.found.iter().filter(|(_, found)| found.block.is_some());
        let mut payments: Vec<(&OutPoint, &Found)> = others.chain(own).collect();
        payments.sort_by_key(|(_, found)| Reverse(found.amount_sat));
        let payments = payments.into_iter().take(MOST_KEPT).map(|(outpoint, found)| (*outpoint, found.clone()));
        let mut read = kept.read.clone();
        read.extend(self.blocks.iter().map(|(address, read)| (address.clone(), *read)));
        let all = Kept { payments: payments.collect(), read };
        if all == *kept {
            return;
        }
        match all.write(path) {
            Ok(()) => self.kept.1 = all,
            Err(error) => tracing::warn!("payments that were seen are not kept: {error}"),
        }
    }

    /// Which blocks were read for payments to an address.
    pub fn asked(&self, address: &str) -> Option<Blocks> {
        let (recent, (last, _)) = (self.recent?, self.last?);
        let read = self.blocks.get(address)?;
        let unread = (read.to + 1 < recent).then(|| (read.to + 1, recent - 1));
        Some(Blocks { read: if unread.is_some() { (recent, last) } else { (read.from, read.to) }, unread })
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

/// Whether one look reads another block.
fn goes_on(blocks: u32, transactions: usize) -> bool {
    blocks < MOST_BLOCKS || (blocks < MOST_SMALL_BLOCKS && transactions < MOST_IN_SMALL_BLOCKS)
}

/// As it is written.
#[derive(Default, Serialize, Deserialize)]
struct File {
    payments: Vec<(OutPoint, Found)>,
    read: BTreeMap<String, Read>,
}

impl Kept {
    /// What was found before; nothing where that cannot be read: all of it can be found again.
    fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        // An earlier version kept the payments alone.
        let list = || serde_json::from_slice(&text).map(|payments| File { payments, read: BTreeMap::new() });
        let file = serde_json::from_slice(&text).or_else(|_| list());
        let File { payments, read } = file.unwrap_or_default();
        Self { payments: payments.into_iter().collect(), read }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let payments = self.payments.iter().map(|(outpoint, found)| (*outpoint, found.clone())).collect();
        let file = File { payments, read: self.read.clone() };
        write_atomic(path, &serde_json::to_vec(&file).expect("text and numbers always serialise"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_join_what_was_read_before_only_where_none_is_left_out_between() {
        let mut read = Read { from: 11, to: 10 };
        read.join(15, 20);
        assert_eq!(read, Read { from: 11, to: 10 }, "11 to 14 were not read");
        (11..15).for_each(|height| read.join(height, height));
        read.join(15, 20);
        assert_eq!(read, Read { from: 11, to: 20 });
        read.join(8, 12);
        assert_eq!(read, Read { from: 8, to: 20 });
        read.join(3, 3);
        assert_eq!(read, Read { from: 8, to: 20 }, "4 to 7 were not read");
    }

    #[test]
    fn a_look_reads_fifty_blocks_and_more_only_while_they_are_small() {
        assert!(goes_on(49, 1_000_000) && !goes_on(50, 5_000) && goes_on(1_999, 4_999) && !goes_on(2_000, 0));
    }

    #[test]
    fn what_was_read_is_kept_and_an_address_that_was_known_begins_no_later() {
        let home = tempfile::tempdir().expect("a temporary folder");
        begin(home.path(), "bcrt1q", 100).expect("written");
        begin(home.path(), "bcrt1q", 200).expect("written");
        begin(home.path(), "bcrt1p", 200).expect("written");
        let kept = Kept::read(&home.path().join(KEPT));
        let read = BTreeMap::from([
            ("bcrt1p".into(), Read { from: 201, to: 200 }),
            ("bcrt1q".into(), Read { from: 101, to: 100 }),
        ]);
        assert_eq!(kept.read, read);
    }
}
