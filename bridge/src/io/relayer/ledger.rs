//! What its own node says: the ledger, the signing board, the federation's keys, all in final blocks.
//!
//! Posts and vault transactions come from the logs of each new block, what they stand at from calls when a log says that
//! it changed. After a start the logs are read again from [`Ledger::from`], before which nothing is open.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::SolEvent;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid, XOnlyPublicKey};
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD};
use contracts::{BitcoinLightClient, Bridge, Federation, IBridge, SigningBoard};

use super::RoundError;
use crate::board::Event;
use crate::deposit_tracker::Position;
use crate::io::sidechain::{Block, Client, Error};
use crate::peg::{self, VaultStatus};
use crate::plan::{QueuedWithdrawal, VaultOutput};
use crate::vault_tx::{SpentOutput, VaultTransaction};

/// Confirmations after which a settled vault transaction is not looked at any more. One day, as many as can be undone
/// without a scan.
pub const SETTLED_FOR_GOOD: u32 = 144;
/// Most withdrawals and vault outputs taken into one decision: more than fit one vault transaction.
const MAX_QUEUE: u64 = 150;
/// Blocks read at once after a start.
const MAX_BLOCKS: u64 = 5_000;

/// The ledger, followed block by block.
pub struct Ledger {
    client: Client,
    chain_id: u64,
    /// The first block that is not read yet.
    next: u64,
    /// Posts and open vault transactions are known from this block on.
    pub from: u64,
    pub head: Block,
    pub info: peg::Info,
    /// The board, in order, with the number of each post's block.
    posts: Vec<(u64, Event)>,
    /// Posts that were forgotten before the first of `posts`.
    forgotten: usize,
    /// Vault transactions that are not settled for good.
    pub open: BTreeMap<u64, Entry>,
    pub count: u64,
    pub withdrawals: Vec<QueuedWithdrawal>,
    pub vault_outputs: Vec<VaultOutput>,
    /// The group keys that this member has confirmed, by epoch.
    pub confirmed: BTreeMap<u32, B256>,
    /// What logs said has changed, until it has been asked for.
    stale: BTreeSet<u64>,
    queues_stale: bool,
    seen_tip: BlockHash,
}

/// A vault transaction in the ledger.
pub struct Entry {
    pub transaction: VaultTransaction,
    pub proposed_in: u64,
    /// Time of that block.
    pub proposed_at: u64,
    pub status: VaultStatus,
    pub required_confirmations: u32,
    /// The block it settled in.
    pub settled_in: Option<BlockHash>,
    pub settled_confirmations: u32,
}

impl Ledger {
    /// Starts reading at block `from`.
    pub async fn start(client: Client, chain_id: u64, from: u64) -> Result<Self, RoundError> {
        let head = client.head().await?;
        let info = client.info().await?;
        Ok(Self {
            client,
            chain_id,
            next: from,
            from,
            head,
            stale: BTreeSet::new(),
            queues_stale: true,
            seen_tip: BlockHash::all_zeros(),
            info,
            posts: Vec::new(),
            forgotten: 0,
            open: BTreeMap::new(),
            count: 0,
            withdrawals: Vec::new(),
            vault_outputs: Vec::new(),
            confirmed: BTreeMap::new(),
        })
    }

    /// The light client's best block.
    pub fn light(&self) -> Position {
        Position { height: self.info.bitcoin_tip.height, hash: self.info.bitcoin_tip.hash }
    }

    /// Whether all blocks up to the head are read.
    pub fn is_current(&self) -> bool {
        self.next > self.head.number
    }

    /// Reads what is new. False when no block was.
    pub async fn follow(&mut self, me: u16) -> Result<bool, RoundError> {
        let head = self.client.head().await?;
        if head.number < self.next {
            self.refresh().await?;
            return Ok(false);
        }
        let info = self.client.info().await?;
        if info.chain_id != self.chain_id {
            let url = self.client.url().to_owned();
            return Err(Error::OtherChain { url, got: info.chain_id, want: self.chain_id }.into());
        }
        let last = head.number.min(self.next + MAX_BLOCKS - 1);
        let filter = Filter::new().address(vec![SIGNING_BOARD, BRIDGE, FEDERATION]);
        let logs = self.client.logs(&filter, self.next, last).await?;
        let times = self.block_times(&logs, head).await?;
        for log in &logs {
            self.take(log, &times, me);
        }
        (self.head, self.info, self.next) = (head, info, last + 1);
        self.refresh().await?;
        Ok(true)
    }

    async fn block_times(&self, logs: &[Log], head: Block) -> Result<BTreeMap<u64, u64>, Error> {
        let mut times = BTreeMap::from([(head.number, head.timestamp)]);
        for log in logs {
            let number = log.block_number.unwrap_or_default();
            if let Some(time) = log.block_timestamp {
                times.insert(number, time);
            } else if let MapEntry::Vacant(vacant) = times.entry(number) {
                let block = self.client.block(number).await?;
                vacant.insert(block.map_or(head.timestamp, |block| block.timestamp));
            }
        }
        Ok(times)
    }

    fn take(&mut self, log: &Log, times: &BTreeMap<u64, u64>, me: u16) {
        let block = log.block_number.unwrap_or_default();
        let time = times.get(&block).copied().unwrap_or_default();
        match log.address() {
            SIGNING_BOARD => self.take_post(log, block, time),
            FEDERATION => self.take_confirmation(log, me),
            BRIDGE => {
                self.queues_stale = true;
                self.take_proposal(log, block, time);
                self.stale.extend(vault_transaction_of(log));
            }
            _ => {}
        }
    }

    fn take_post(&mut self, log: &Log, block: u64, timestamp: u64) {
        if let Ok(post) = SigningBoard::Posted::decode_log(&log.inner) {
            let SigningBoard::Posted { session, member, kind, payload } = post.data;
            self.posts.push((block, Event { session, member, kind, payload: payload.to_vec(), timestamp }));
        }
    }

    fn take_confirmation(&mut self, log: &Log, me: u16) {
        if let Ok(confirmed) = Federation::KeyConfirmed::decode_log(&log.inner)
            && confirmed.member == me
        {
            self.confirmed.insert(confirmed.epoch, confirmed.groupKey);
        }
    }

    fn take_proposal(&mut self, log: &Log, block: u64, timestamp: u64) {
        let Ok(proposed) = Bridge::VaultTransactionProposed::decode_log(&log.inner) else {
            return;
        };
        let number = small(proposed.number);
        let inputs: Option<Vec<SpentOutput>> = proposed.inputs.iter().map(spent_output).collect();
        match inputs.map(|inputs| VaultTransaction::parse(&proposed.transaction, inputs)) {
            Some(Ok(transaction)) => {
                let entry = Entry {
                    transaction,
                    proposed_in: block,
                    proposed_at: timestamp,
                    status: VaultStatus::Proposed,
                    required_confirmations: u32::MAX,
                    settled_in: None,
                    settled_confirmations: 0,
                };
                self.open.insert(number, entry);
            }
            Some(Err(error)) => {
                tracing::error!(number, %error, "the ledger proposes what is no vault transaction; it is not signed")
            }
            None => tracing::error!(number, "the ledger proposes to spend what is no output; it is not signed"),
        }
    }

    /// Asks for what changed. What could not be asked for is asked for next time.
    async fn refresh(&mut self) -> Result<(), RoundError> {
        while let Some(number) = self.stale.first().copied() {
            self.refresh_entry(number).await?;
            self.stale.remove(&number);
        }
        // A new best chain can confirm or drop what is settled.
        let tip = self.light().hash;
        if tip != self.seen_tip {
            for (_, entry) in self.open.iter_mut().filter(|(_, entry)| entry.status == VaultStatus::Settled) {
                entry.settled_confirmations = confirmations(&self.client, entry.settled_in).await?;
            }
            self.seen_tip = tip;
        }
        if self.queues_stale {
            self.refresh_queues().await?;
            self.queues_stale = false;
        }
        Ok(())
    }

    async fn refresh_entry(&mut self, number: u64) -> Result<(), RoundError> {
        let call = Bridge::vaultTransactionCall { number: U256::from(number) };
        let now = self.client.call(BRIDGE, &call).await?;
        let settled_in = (now.blockHash != B256::ZERO).then(|| BlockHash::from_byte_array(now.blockHash.0));
        let status = vault_status(now.status).unwrap_or(VaultStatus::Proposed);
        let settled_confirmations = match status {
            VaultStatus::Settled => confirmations(&self.client, settled_in).await?,
            _ => 0,
        };
        if let Some(entry) = self.open.get_mut(&number) {
            entry.status = status;
            entry.required_confirmations = now.requiredConfirmations;
            entry.settled_in = settled_in;
            entry.settled_confirmations = settled_confirmations;
        }
        Ok(())
    }

    async fn refresh_queues(&mut self) -> Result<(), RoundError> {
        let limit = U256::from(MAX_QUEUE);
        self.count = small(self.client.call(BRIDGE, &Bridge::vaultTransactionCountCall {}).await?);
        let ids = self.client.call(BRIDGE, &Bridge::queuedWithdrawalsCall { limit }).await?;
        let mut withdrawals = Vec::new();
        for id in ids {
            let known = self.withdrawals.iter().find(|withdrawal| withdrawal.id == small(id));
            withdrawals.push(match known {
                Some(known) => known.clone(),
                None => self.withdrawal(id).await?,
            });
        }
        self.withdrawals = withdrawals;
        let numbers = self.client.call(BRIDGE, &Bridge::availableVaultOutputsCall { limit }).await?;
        let mut outputs = Vec::new();
        for number in numbers {
            let known = self.vault_outputs.iter().find(|output| output.number == small(number));
            outputs.push(match known {
                Some(known) => *known,
                None => {
                    let vault_transaction = self.client.call(BRIDGE, &Bridge::vaultTransactionCall { number }).await?;
                    VaultOutput { number: small(number), amount: Amount::from_sat(vault_transaction.changeSat) }
                }
            });
        }
        self.vault_outputs = outputs;
        Ok(())
    }

    async fn withdrawal(&self, id: U256) -> Result<QueuedWithdrawal, Error> {
        let withdrawal = self.client.call(BRIDGE, &Bridge::withdrawalCall { id }).await?;
        Ok(QueuedWithdrawal {
            id: small(id),
            amount: Amount::from_sat(withdrawal.amountSat),
            max_fee: Amount::from_sat(withdrawal.maxFeeSat),
            script: ScriptBuf::from_bytes(withdrawal.script.to_vec()),
        })
    }

    /// The id under which the ledger has a vault transaction as not settled, asked for apart from its event.
    pub async fn proposed_txid(&self, number: u64) -> Result<Option<Txid>, Error> {
        let call = Bridge::vaultTransactionCall { number: U256::from(number) };
        let now = self.client.call(BRIDGE, &call).await?;
        let open = matches!(vault_status(now.status), Some(VaultStatus::Proposed | VaultStatus::Unsettled));
        Ok(open.then(|| Txid::from_byte_array(now.txid.0)))
    }

    /// Whether the ledger knows a deposit, so that it cannot be swept again.
    pub async fn knows_deposit(&self, outpoint: OutPoint) -> Result<bool, Error> {
        let call = Bridge::depositCall { txid: to_b256(outpoint.txid), vout: outpoint.vout };
        let deposit = self.client.call(BRIDGE, &call).await?;
        Ok(deposit.status != 0)
    }

    /// The group key of an epoch; none until all members have confirmed it.
    pub async fn group_key(&self, epoch: u32) -> Result<Option<XOnlyPublicKey>, Error> {
        let key = self.client.call(FEDERATION, &Federation::groupKeyCall { epoch_: epoch }).await?;
        Ok(XOnlyPublicKey::from_slice(key.as_slice()).ok())
    }

    /// The members as the contract has them, in order of their indices.
    pub async fn members(&self) -> Result<Vec<contracts::IFederation::Member>, Error> {
        let count = self.client.call(FEDERATION, &Federation::memberCountCall {}).await?;
        let mut members = Vec::new();
        for index in 1..=count {
            members.push(self.client.call(FEDERATION, &Federation::memberCall { index }).await?);
        }
        Ok(members)
    }

    /// How many posts there are, counted from the first block that was read.
    pub fn posts_len(&self) -> usize {
        self.forgotten + self.posts.len()
    }

    /// The posts after the first `read`.
    pub fn posts_after(&self, read: usize) -> Vec<Event> {
        let skip = read.saturating_sub(self.forgotten);
        self.posts.iter().skip(skip).map(|(_, event)| event.clone()).collect()
    }

    /// Forgets what is settled for good, and the posts before all that is still open. Returns the numbers that were
    /// forgotten.
    pub fn prune(&mut self, keep_posts: bool) -> Vec<u64> {
        let for_good = |entry: &Entry| {
            entry.status == VaultStatus::Settled
                && entry.settled_confirmations >= SETTLED_FOR_GOOD.max(entry.required_confirmations)
        };
        let closed: Vec<u64> =
            self.open.iter().filter(|(_, entry)| for_good(entry)).map(|(number, _)| *number).collect();
        for number in &closed {
            self.open.remove(number);
        }
        if !keep_posts {
            self.from = self.open.values().map(|entry| entry.proposed_in).min().unwrap_or(self.next);
            let old = self.posts.partition_point(|(block, _)| *block < self.from);
            self.posts.drain(..old);
            self.forgotten += old;
        }
        closed
    }
}

/// Confirmations of a block by the light client; zero when it is not on its best chain.
async fn confirmations(client: &Client, block: Option<BlockHash>) -> Result<u32, Error> {
    let Some(block) = block else { return Ok(0) };
    let hash = B256::from(block.to_byte_array());
    client.call(LIGHT_CLIENT, &BitcoinLightClient::confirmationsCall { hash }).await
}

/// The Bridge's enumeration, in its order; none for a number that was not given out.
fn vault_status(status: u8) -> Option<VaultStatus> {
    [None, Some(VaultStatus::Proposed), Some(VaultStatus::Settled), Some(VaultStatus::Unsettled)]
        .get(usize::from(status))
        .copied()
        .flatten()
}

/// A number of the ledger's: it counts by ones.
fn small(number: U256) -> u64 {
    number.saturating_to()
}

/// A Bitcoin hash as contracts have it: in internal byte order.
pub fn to_b256(txid: Txid) -> B256 {
    B256::from(txid.to_byte_array())
}

fn spent_output(spent: &IBridge::SpentOutput) -> Option<SpentOutput> {
    Some(SpentOutput {
        outpoint: OutPoint { txid: Txid::from_byte_array(spent.txid.0), vout: spent.vout },
        amount: Amount::from_sat(spent.amountSat),
        output_key: XOnlyPublicKey::from_slice(spent.outputKey.as_slice()).ok()?,
        merkle_root: spent.merkleRoot.0,
        epoch: spent.epoch,
    })
}

/// The vault transaction whose state a log of the Bridge says has changed.
fn vault_transaction_of(log: &Log) -> Option<u64> {
    let number = match *log.topic0()? {
        Bridge::VaultTransactionProposed::SIGNATURE_HASH => {
            Bridge::VaultTransactionProposed::decode_log(&log.inner).ok()?.number
        }
        Bridge::VaultTransactionSettled::SIGNATURE_HASH => {
            Bridge::VaultTransactionSettled::decode_log(&log.inner).ok()?.number
        }
        Bridge::VaultTransactionUnsettled::SIGNATURE_HASH => {
            Bridge::VaultTransactionUnsettled::decode_log(&log.inner).ok()?.number
        }
        _ => return None,
    };
    Some(small(number))
}

/// The member whose account this is.
pub fn index_of(info: &peg::Info, account: Address) -> Option<u16> {
    info.members.iter().find(|member| member.account == account).map(|member| member.index)
}
