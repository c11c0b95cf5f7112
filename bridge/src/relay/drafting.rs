//! The ledger's facts as the makers of vault transactions want them ([`crate::vault_tx`], [`crate::plan`]): what can be had now, and what of it is in use.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, XOnlyPublicKey};

use super::facts::BitcoinView;
use super::view::{Deposit, Entry, LedgerView, Output, Withdrawal};
use crate::peg::Content;
use crate::vault;
use crate::vault_tx::SpentOutput;
use crate::vault_tx::facts::{self, LedgerFacts, Rules};

/// What other vault transactions are about to spend: only a planner asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    pub deposits: BTreeSet<OutPoint>,
    pub outputs: BTreeSet<u32>,
    pub withdrawals: BTreeSet<u64>,
    /// The highest rate of what spends a vault output.
    pub rates: BTreeMap<u32, u64>,
}

impl InUse {
    pub fn add(&mut self, content: &Content) {
        self.deposits.extend(&content.deposits);
        self.outputs.extend(&content.outputs);
        self.withdrawals.extend(&content.withdrawals);
        for output in &content.outputs {
            let rate = self.rates.entry(*output).or_default();
            *rate = content.rate.max(*rate);
        }
    }

    pub fn extend(&mut self, other: &Self) {
        self.deposits.extend(&other.deposits);
        self.outputs.extend(&other.outputs);
        self.withdrawals.extend(&other.withdrawals);
        for (output, other) in &other.rates {
            let rate = self.rates.entry(*output).or_default();
            *rate = (*other).max(*rate);
        }
    }

    /// Whether a content spends what is in use.
    #[must_use]
    pub fn overlaps(&self, content: &Content) -> bool {
        content.deposits.iter().any(|outpoint| self.deposits.contains(outpoint))
            || content.outputs.iter().any(|number| self.outputs.contains(number))
    }

    /// What bound vault transactions spend that may still confirm, by the ledger and by its own bitcoind: what waits for an input that is not to be
    /// had keeps nobody else waiting.
    #[must_use]
    pub fn by_bound(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Self {
        let mut in_use = Self::default();
        by_bound(ledger, bitcoin).for_each(|(_, entry)| in_use.add(&entry.content));
        in_use
    }
}

/// The bound vault transactions that may still confirm, by the ledger and by its own bitcoind.
pub fn by_bound<'a>(
    ledger: &'a LedgerView,
    bitcoin: Option<&'a BitcoinView>,
) -> impl Iterator<Item = (&'a u32, &'a Entry)> {
    let is_hopeless = move |entry: &Entry| bitcoin.is_some_and(|bitcoin| lacks_an_input(ledger, bitcoin, entry));
    ledger.entries.iter().filter(move |(_, entry)| ledger.may_confirm(entry) && !is_hopeless(entry))
}

/// Whether something else spends one of its inputs in the best chain, or the block of one of its deposits has left that; or its own mempool has something else that spends
/// one of several deposits: that may stay there for ever. One deposit alone waits for that, and is nobody else's affair.
fn lacks_an_input(ledger: &LedgerView, bitcoin: &BitcoinView, entry: &Entry) -> bool {
    let is_taken = |outpoint: OutPoint| bitcoin.spends.get(&outpoint).is_some_and(|spend| spend.by != entry.txid);
    let has_left = |outpoint: &OutPoint| {
        let deposit = ledger.deposits.get(outpoint);
        deposit.is_some_and(|deposit| ledger.confirmations(deposit.block) == Some(0))
    };
    let deposits = &entry.content.deposits;
    let is_contested = |outpoint: &OutPoint| deposits.len() > 1 && bitcoin.contests(ledger, outpoint);
    entry.outpoints().any(is_taken) || deposits.iter().any(has_left) || deposits.iter().any(is_contested)
}

/// All that can be had now; none before the key is in force, or before the ledger has said what limits it.
#[must_use]
pub fn ledger_facts(ledger: &LedgerView, in_use: &InUse) -> Option<LedgerFacts> {
    let vault_key = XOnlyPublicKey::from_slice(ledger.info.vault_key?.as_slice()).ok()?;
    let deposits = ledger.deposits.iter().filter(|(_, deposit)| can_be_swept(ledger, deposit));
    let deposit = |(outpoint, deposit): (&OutPoint, &Deposit)| {
        let in_use = in_use.deposits.contains(outpoint);
        (*outpoint, sweepable(deposit, in_use, ledger))
    };
    let output = |(number, output): (&u32, &Output)| (*number, live(output, in_use.outputs.contains(number)));
    let mut had = LedgerFacts {
        rules: Rules::from(&ledger.info.parameters),
        deposits: deposits.map(deposit).collect(),
        outputs: ledger.outputs.iter().map(output).collect(),
        withdrawals: open_withdrawals(ledger, &in_use.withdrawals),
        coming: coming(ledger),
        bound: ledger.entries.values().map(|entry| entry.txid).collect(),
        reserve_sat: ledger.info.books.reserve_sat,
        credit: Amount::ZERO,
        cap_left: Amount::ZERO,
        window_left: Amount::ZERO,
        epoch: ledger.info.epoch,
        vault_key,
    };
    had.limit(ledger.limits.as_ref()?);
    Some(had)
}

/// Withdrawals as vault transactions pay them, but for some.
#[must_use]
pub fn open_withdrawals(ledger: &LedgerView, without: &BTreeSet<u64>) -> BTreeMap<u64, facts::Withdrawal> {
    let open = |withdrawal: &Withdrawal| facts::Withdrawal {
        amount: Amount::from_sat(withdrawal.amount_sat),
        max_fee: Amount::from_sat(withdrawal.max_fee_sat),
        script: withdrawal.script.clone(),
        tie: withdrawal.tie.filter(|_| !withdrawal.is_queued()),
        asked_at: withdrawal.asked_at,
    };
    let others = ledger.withdrawals.iter().filter(|(id, _)| !without.contains(id));
    others.map(|(id, withdrawal)| (*id, open(withdrawal))).collect()
}

/// The change of bound vault transactions that may confirm, one for all that exclude each other.
fn coming(ledger: &LedgerView) -> Vec<Amount> {
    let mut spent = BTreeSet::new();
    let is_new = |entry: &&Entry| {
        let outpoints: Vec<OutPoint> = entry.outpoints().collect();
        let is_new = !outpoints.iter().any(|outpoint| spent.contains(outpoint));
        spent.extend(outpoints);
        is_new
    };
    let may_confirm = ledger.entries.values().filter(|entry| ledger.may_confirm(entry));
    may_confirm.filter(is_new).map(|entry| Amount::from_sat(entry.change_sat)).collect()
}

fn can_be_swept(ledger: &LedgerView, deposit: &Deposit) -> bool {
    deposit.is_sweepable() && ledger.confirmations(deposit.block).is_some_and(|confirmations| confirmations > 0)
}

fn sweepable(deposit: &Deposit, in_use: bool, ledger: &LedgerView) -> facts::Deposit {
    facts::Deposit {
        amount: Amount::from_sat(deposit.amount_sat),
        max_fee: Amount::from_sat(deposit.max_fee_sat),
        epoch: deposit.epoch,
        was_bound: deposit.bound,
        minted: deposit.minted.then(|| Amount::from_sat(deposit.minted_sat)),
        for_reserve: deposit.recipient == ledger.info.contracts.bridge,
        height: deposit.block.height,
        in_use,
    }
}

fn live(output: &Output, in_use: bool) -> facts::Output {
    facts::Output {
        txid: output.txid,
        amount: Amount::from_sat(output.amount_sat),
        epoch: output.epoch,
        height: output.block.height,
        is_rooted: output.rooted,
        in_use,
    }
}

/// The outputs that a content spends, in order; none while one of them is not known.
#[must_use]
pub fn spent_outputs(ledger: &LedgerView, content: &Content) -> Option<Vec<SpentOutput>> {
    let deposit = |outpoint: &OutPoint| {
        let deposit = ledger.deposits.get(outpoint)?;
        Some(SpentOutput {
            outpoint: *outpoint,
            amount: Amount::from_sat(deposit.amount_sat),
            output_key: deposit.key.output_key,
            merkle_root: deposit.key.leaf_hash,
            epoch: deposit.epoch,
        })
    };
    let deposits = content.deposits.iter().map(deposit);
    deposits.chain(content.outputs.iter().map(|number| spent_vault_output(ledger, *number))).collect()
}

fn spent_vault_output(ledger: &LedgerView, number: u32) -> Option<SpentOutput> {
    let live = ledger.outputs.get(&number).map(|output| (output.txid, output.amount_sat, output.epoch));
    let pending = |entry: &Entry| (entry.txid, entry.change_sat, entry.epoch);
    let (txid, amount_sat, epoch) = live.or_else(|| ledger.entries.get(&number).map(pending))?;
    let group_key = ledger.group_keys.get(&epoch)?;
    Some(SpentOutput {
        outpoint: OutPoint { txid, vout: 0 },
        amount: Amount::from_sat(amount_sat),
        output_key: vault::output_key(*group_key, &ledger.recovery_leaf),
        merkle_root: ledger.recovery_leaf,
        epoch,
    })
}
