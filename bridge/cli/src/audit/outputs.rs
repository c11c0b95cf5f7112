//! Bitcoin's side: each vault output that the ledger counts, looked for on the auditor's own bitcoind.
//!
//! ```text
//!   live in the ledger --unspent on Bitcoin--------------------------------------------------> there
//!          \--spent by a bound vault transaction that has confirmed, not settled--> its own output 0 counts in its place,
//!          |                                                                         or nothing does, where it has none
//!          \--else, or that output 0 is not there-----------------------------------> MISSING
//! ```
//! Both sides of a vault transaction balance, because Bitcoin checked it. What it pays out leaves the vault, and what it keeps is its output 0:
//! if that was taken, it is no comfort that another of its outputs is there.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{OutPoint, TxOut, Txid};
use eyre::Result;
use light::reserves::Shown;
use mainchain::header::Height;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use super::sidechain::Ledger;
use crate::progress::Progress;

/// Vault transactions in a row that have confirmed and are not settled yet: each further one was made after the ledger knew of the last.
const MOST_MOVES: u32 = 10;
/// Blocks in which a vault transaction is looked for of which nothing is unspent any more. One of before is settled long since.
const RECENT_BLOCKS: u32 = 144;

/// A vault output that the ledger counts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    pub number: u32,
    pub outpoint: OutPoint,
    pub amount_sat: u64,
    pub found: Found,
}

/// Where what a vault output holds is on Bitcoin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", rename_all_fields = "camelCase")]
pub enum Found {
    Unspent {
        confirmations: u32,
    },
    /// Spent by a vault transaction that has confirmed and is not settled yet, or by one after it: its output 0 is there.
    Moved {
        number: u32,
        txid: Txid,
        amount_sat: u64,
    },
    /// The same, of one without an output 0: all of it was paid out.
    PaidOut {
        number: u32,
        txid: Txid,
    },
    /// This output is neither there, nor spent by a vault transaction: it, or the one that should be in its place.
    Missing {
        number: u32,
        outpoint: OutPoint,
        amount_sat: u64,
    },
}

/// What bitcoind says at one tip.
#[derive(Clone, Debug, Default)]
struct Coins {
    /// Confirmed and unspent, of those that were asked for, with their confirmations.
    unspent: BTreeMap<OutPoint, (TxOut, u32)>,
    /// Vault transactions that are in a block.
    confirmed: BTreeSet<Txid>,
}

/// Looks for each output that the ledger counts.
///
/// # Errors
///
/// bitcoind does not answer.
pub async fn find(bitcoin: &BitcoinRpc, ledger: &Ledger, tip: Height, progress: &Progress) -> Result<Vec<Output>> {
    let coins = Coins::ask(bitcoin, &ledger.vault, tip, progress).await?;
    let output = |(number, shown): (u32, &Shown)| {
        let (outpoint, amount_sat) = (output_0(shown), shown.entry.change_sat);
        Output { number, outpoint, amount_sat, found: coins.find(&ledger.vault, number, shown) }
    };
    Ok(ledger.live().map(output).collect())
}

fn output_0(shown: &Shown) -> OutPoint {
    OutPoint::new(shown.entry.txid, 0)
}

/// Vault transactions that spend this output, and are not settled: at most one of them confirms.
fn spenders(vault: &BTreeMap<u32, Shown>, outpoint: OutPoint) -> impl Iterator<Item = (u32, &Shown)> {
    let spends = move |shown: &Shown| shown.transaction.input.iter().any(|input| input.previous_output == outpoint);
    let bound = vault.iter().filter(|(_, shown)| !shown.entry.is_settled && !shown.entry.is_void);
    bound.filter(move |(_, shown)| spends(shown)).map(|(number, shown)| (*number, shown))
}

impl Coins {
    /// Asks for each output that the ledger counts, and for what may be in the place of those that are not there.
    async fn ask(bitcoin: &BitcoinRpc, vault: &BTreeMap<u32, Shown>, tip: Height, progress: &Progress) -> Result<Self> {
        let mut coins = Self::default();
        let mut gone = BTreeSet::new();
        let live: Vec<&Shown> = vault.values().filter(|shown| shown.entry.is_live()).collect();
        for (done, shown) in (0..).zip(&live) {
            progress.of("asking bitcoind for outputs", done, live.len() as u64);
            if !coins.ask_for(bitcoin, output_0(shown)).await? {
                gone.insert(output_0(shown));
            }
        }
        let mut asked = BTreeSet::new();
        for _ in 0..MOST_MOVES {
            let next = gone.iter().flat_map(|outpoint| spenders(vault, *outpoint)).map(|(_, spender)| spender);
            let next: Vec<&Shown> = next.filter(|spender| asked.insert(spender.entry.txid)).collect();
            for spender in &next {
                coins.ask_for_transaction(bitcoin, spender, tip).await?;
            }
            let is_gone = |spender: &&&Shown| !coins.unspent.contains_key(&output_0(spender));
            gone = next.iter().filter(is_gone).map(|spender| output_0(spender)).collect();
        }
        Ok(coins)
    }

    async fn ask_for(&mut self, bitcoin: &BitcoinRpc, outpoint: OutPoint) -> Result<bool> {
        let Some(coin) = bitcoin.unspent(outpoint, false).await? else { return Ok(false) };
        let output = TxOut { value: coin.value, script_pubkey: coin.script_pubkey };
        self.unspent.insert(outpoint, (output, coin.confirmations));
        self.confirmed.insert(outpoint.txid);
        Ok(true)
    }

    /// Whether a block has it: any of its outputs is unspent, or it is in one of the last blocks. That is looked for where nothing need be left.
    async fn ask_for_transaction(&mut self, bitcoin: &BitcoinRpc, shown: &Shown, tip: Height) -> Result<()> {
        let txid = shown.entry.txid;
        for vout in (0u32..).take(shown.transaction.output.len()) {
            if self.ask_for(bitcoin, OutPoint { txid, vout }).await? {
                return Ok(());
            }
        }
        if shown.change.is_some() {
            return Ok(());
        }
        for height in (tip.saturating_sub(RECENT_BLOCKS)..=tip).rev() {
            let Some(block) = bitcoin.block_hash(height).await? else { continue };
            if bitcoin.transaction(txid, Some(block)).await?.is_some() {
                self.confirmed.insert(txid);
                return Ok(());
            }
        }
        Ok(())
    }

    fn find(&self, vault: &BTreeMap<u32, Shown>, number: u32, live: &Shown) -> Found {
        if let Some(confirmations) = self.confirmations(live) {
            return Found::Unspent { confirmations };
        }
        self.instead(vault, output_0(live), MOST_MOVES).unwrap_or_else(|| missing(number, live))
    }

    /// What is in the place of an output that is not there: of the vault transaction that spent it, as far as one has confirmed.
    fn instead(&self, vault: &BTreeMap<u32, Shown>, outpoint: OutPoint, moves: u32) -> Option<Found> {
        let moves = moves.checked_sub(1)?;
        spenders(vault, outpoint).find_map(|(number, spender)| {
            let txid = spender.entry.txid;
            let has_confirmed = self.confirmed.contains(&txid);
            if spender.change.is_none() {
                return has_confirmed.then_some(Found::PaidOut { number, txid });
            }
            if self.confirmations(spender).is_some() {
                return Some(Found::Moved { number, txid, amount_sat: spender.entry.change_sat });
            }
            // One of which nothing is left unspent has confirmed if its own spender has.
            self.instead(vault, output_0(spender), moves).or_else(|| has_confirmed.then(|| missing(number, spender)))
        })
    }

    /// Confirmations of a vault transaction's output 0, while it is unspent and as it should be.
    fn confirmations(&self, shown: &Shown) -> Option<u32> {
        let (output, confirmations) = self.unspent.get(&output_0(shown))?;
        (shown.change.as_ref() == Some(output)).then_some(*confirmations)
    }
}

fn missing(number: u32, shown: &Shown) -> Found {
    Found::Missing { number, outpoint: output_0(shown), amount_sat: shown.entry.change_sat }
}

/// Sums over what was found, in which each output counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What the vault has on Bitcoin.
    pub there_sat: u64,
    pub missing_sat: u64,
}

impl Tally {
    pub fn of(outputs: &[Output]) -> Self {
        let (mut there, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for output in outputs {
            match output.found {
                Found::Unspent { .. } => drop(there.insert(output.outpoint, output.amount_sat)),
                Found::Moved { txid, amount_sat, .. } => drop(there.insert(OutPoint { txid, vout: 0 }, amount_sat)),
                Found::PaidOut { .. } => {}
                Found::Missing { outpoint, amount_sat, .. } => drop(missing.insert(outpoint, amount_sat)),
            }
        }
        let sum = |amounts: BTreeMap<OutPoint, u64>| amounts.into_values().fold(0, u64::saturating_add);
        Self { there_sat: sum(there), missing_sat: sum(missing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, FixedBytes};
    use bitcoin::{Amount, ScriptBuf, Transaction, TxIn};
    use light::ledger::VaultTransaction;

    const LIVE_SAT: u64 = 100;

    /// A vault transaction that spends output 0 of others, keeps `change_sat`, and pays 10 sat out.
    fn shown(number: u32, spends: &[&Shown], change_sat: u64, is_settled: bool) -> (u32, Shown) {
        let script_pubkey = ScriptBuf::from_bytes(vec![0x51; 34]);
        let change = (change_sat != 0).then(|| TxOut { value: Amount::from_sat(change_sat), script_pubkey });
        let payout =
            TxOut { value: Amount::from_sat(10), script_pubkey: ScriptBuf::from_bytes(number.to_be_bytes().into()) };
        let input = |spent: &&Shown| TxIn { previous_output: output_0(spent), ..TxIn::default() };
        let transaction = Transaction {
            version: bitcoin::transaction::Version(3),
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: spends.iter().map(input).collect(),
            output: change.iter().cloned().chain([payout]).collect(),
        };
        let entry = VaultTransaction {
            number,
            txid: transaction.compute_txid(),
            content: B256::ZERO,
            change_sat,
            spent_by: None,
            is_settled,
            is_gone: false,
            is_void: false,
            height: 0,
            block_head: FixedBytes::ZERO,
            epoch: 1,
            script_version: 0,
        };
        (number, Shown { entry, transaction, change })
    }

    fn coins<'a>(unspent: impl IntoIterator<Item = (&'a Shown, u32)>) -> Coins {
        let mut coins = Coins::default();
        for (shown, vout) in unspent {
            let txid = shown.entry.txid;
            let output = shown.transaction.output[vout as usize].clone();
            coins.unspent.insert(OutPoint { txid, vout }, (output, 1));
            coins.confirmed.insert(txid);
        }
        coins
    }

    fn of(found: &Found) -> (&'static str, u32) {
        match found {
            Found::Unspent { .. } => ("unspent", 0),
            Found::Moved { number, .. } => ("moved", *number),
            Found::PaidOut { number, .. } => ("paid out", *number),
            Found::Missing { number, .. } => ("missing", *number),
        }
    }

    /// 1, which is live, and a payout of it, which is bound.
    fn payout(change_sat: u64) -> (Shown, Shown, BTreeMap<u32, Shown>) {
        let live = shown(1, &[], LIVE_SAT, true);
        let payout = shown(2, &[&live.1], change_sat, false);
        (live.1.clone(), payout.1.clone(), BTreeMap::from([live, payout]))
    }

    #[test]
    fn an_output_is_there_while_it_is_unspent_and_what_it_should_be() {
        let (live, _, vault) = payout(89);
        assert_eq!(coins([(&live, 0)]).find(&vault, 1, &live), Found::Unspent { confirmations: 1 });
        let mut other = coins([(&live, 0)]);
        other.unspent.values_mut().for_each(|(output, _)| output.value = Amount::from_sat(330));
        assert_eq!(of(&other.find(&vault, 1, &live)), ("missing", 1));
    }

    #[test]
    fn the_change_of_its_payout_counts_in_its_place_and_nothing_else_of_it_does() {
        let (live, payout, vault) = payout(89);
        let moved = Found::Moved { number: 2, txid: payout.entry.txid, amount_sat: 89 };
        assert_eq!(coins([(&payout, 0)]).find(&vault, 1, &live), moved);
        // The payout has confirmed: its other output is there. Its change was taken.
        let stolen = coins([(&payout, 1)]).find(&vault, 1, &live);
        assert_eq!(stolen, Found::Missing { number: 2, outpoint: output_0(&payout), amount_sat: 89 });
        assert_eq!(of(&coins([]).find(&vault, 1, &live)), ("missing", 1), "nothing has confirmed");
    }

    #[test]
    fn nothing_counts_in_the_place_of_what_was_paid_out_altogether() {
        let (live, payout, vault) = payout(0);
        let found = coins([(&payout, 0)]).find(&vault, 1, &live);
        assert_eq!(found, Found::PaidOut { number: 2, txid: payout.entry.txid });
        let output = Output { number: 1, outpoint: output_0(&live), amount_sat: LIVE_SAT, found };
        assert_eq!(Tally::of(&[output]), Tally::default());
    }

    // 1 - 2 - 3, of which all outputs of 2 are spent
    #[test]
    fn a_payout_of_which_nothing_is_left_has_confirmed_if_the_one_after_it_has() {
        let (live, payout, mut vault) = payout(89);
        let next = shown(3, &[&payout], 70, false);
        vault.insert(next.0, next.1.clone());
        assert_eq!(of(&coins([(&next.1, 0)]).find(&vault, 1, &live)), ("moved", 3));
        assert_eq!(of(&coins([(&next.1, 1)]).find(&vault, 1, &live)), ("missing", 3));
        assert_eq!(of(&coins([(&payout, 1), (&next.1, 0)]).find(&vault, 1, &live)), ("moved", 3));
    }

    // 1 \
    //     3     either of 1 and 2 is live
    // 2 /
    #[test]
    fn what_is_in_the_place_of_two_counts_once() {
        let (first, second) = (shown(1, &[], LIVE_SAT, true), shown(2, &[], LIVE_SAT, true));
        let joined = shown(3, &[&first.1, &second.1], 180, false);
        let vault = BTreeMap::from([first, second, joined.clone()]);
        let outputs = |coins: Coins| -> Vec<Output> {
            let live = vault.iter().filter(|(_, shown)| shown.entry.is_live());
            let output = |(number, shown): (&u32, &Shown)| Output {
                number: *number,
                outpoint: output_0(shown),
                amount_sat: LIVE_SAT,
                found: coins.find(&vault, *number, shown),
            };
            live.map(output).collect()
        };
        assert_eq!(Tally::of(&outputs(coins([(&joined.1, 0)]))), Tally { there_sat: 180, missing_sat: 0 });
        assert_eq!(Tally::of(&outputs(coins([(&joined.1, 1)]))), Tally { there_sat: 0, missing_sat: 180 });
        assert_eq!(Tally::of(&outputs(coins([]))), Tally { there_sat: 0, missing_sat: 200 });
    }
}
