//! Whether the ledger would take a vault transaction for one deposit or withdrawal alone, now: made with the very code that members make theirs with, so
//! that what is said of the reserve and of coins is right to the satoshi. Pure.
//!
//! What bounds first ties and the cap is told apart from this, so it is left out here.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, ScriptBuf, XOnlyPublicKey};
use bridge::peg::{Content, Deposit, LiveOutput, Withdrawal};
use bridge::vault_tx::draft::{BindError, build};
use bridge::vault_tx::facts::{self, LedgerFacts};
use contracts::address;

use super::outlook::Outlook;

/// What would become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alone {
    /// It would be made.
    Made,
    /// Its charge does not pay it, and the reserve has less than what is missing.
    Reserve { need_sat: u64 },
    /// The vault outputs that nothing is about to spend hold too little.
    Coins { free_sat: u64 },
    /// No vault output that is free can be tied to for the first time.
    Root,
    /// For another reason: it pays too little itself, most of all.
    Refused,
}

/// Vault outputs of the epoch in force that no vault transaction is about to spend, the largest first.
pub fn free(outlook: &Outlook) -> Vec<&LiveOutput> {
    let in_use: BTreeSet<u32> =
        outlook.vault.pending.iter().flat_map(|vault| &vault.content.outputs).copied().collect();
    let is_free = |output: &&LiveOutput| output.epoch == outlook.info.epoch && !in_use.contains(&output.number);
    let mut free: Vec<&LiveOutput> = outlook.vault.outputs.iter().filter(is_free).collect();
    free.sort_by_key(|output| (std::cmp::Reverse(output.amount_sat), output.number));
    free
}

/// A payout of one withdrawal: of a tied one another version, from its output.
pub fn payout(withdrawal: &Withdrawal, rate: u64, outlook: &Outlook) -> Alone {
    if withdrawal.tie.is_none() && !outlook.vault.outputs.iter().any(|output| output.rooted) {
        return Alone::Root;
    }
    let Some(mut ledger) = facts(outlook) else { return Alone::Refused };
    let one = facts::Withdrawal {
        amount: Amount::from_sat(withdrawal.amount_sat),
        max_fee: Amount::from_sat(withdrawal.max_fee_sat),
        script: ScriptBuf::from_bytes(withdrawal.script.to_vec()),
        tie: withdrawal.tie,
        asked_at: withdrawal.asked_at,
    };
    ledger.withdrawals.insert(withdrawal.id, one);
    let content = |outputs| Content {
        epoch: ledger.epoch,
        rate,
        reserve_sat: u64::MAX,
        outputs,
        withdrawals: vec![withdrawal.id],
        ..Content::default()
    };
    let Some(tie) = withdrawal.tie else { return first_payout(content, &ledger, outlook) };
    if ledger.outputs.contains_key(&tie) { verdict(&content(vec![tie]), &ledger, outlook) } else { Alone::Refused }
}

/// From the fewest outputs that suffice.
fn first_payout(content: impl Fn(Vec<u32>) -> Content, ledger: &LedgerFacts, outlook: &Outlook) -> Alone {
    let free = free(outlook);
    let Some(first) = free.iter().find(|output| output.rooted) else { return Alone::Coins { free_sat: 0 } };
    let others = free.iter().map(|output| output.number).filter(|number| *number != first.number);
    let others: Vec<u32> = others.take(ledger.rules.max_inputs.saturating_sub(1)).collect();
    let mut told = Alone::Refused;
    for count in 0..=others.len() {
        let mut further = others[..count].to_vec();
        further.sort_unstable();
        told = verdict(&content([&[first.number][..], &further].concat()), ledger, outlook);
        if !matches!(told, Alone::Coins { .. }) {
            break;
        }
    }
    told
}

/// A sweep of one deposit.
pub fn sweep(deposit: &Deposit, rate: u64, outlook: &Outlook) -> Alone {
    let Some(mut ledger) = facts(outlook) else { return Alone::Refused };
    let outpoint = OutPoint::new(deposit.txid, deposit.vout);
    let one = facts::Deposit {
        amount: Amount::from_sat(deposit.amount_sat),
        max_fee: Amount::from_sat(deposit.max_fee_sat),
        epoch: deposit.epoch,
        was_bound: deposit.bound,
        minted: deposit.minted_sat.map(Amount::from_sat),
        for_reserve: deposit.recipient == address::BRIDGE,
        height: deposit.height,
        in_use: false,
    };
    ledger.deposits.insert(outpoint, one);
    let (epoch, reserve_sat, deposits) = (deposit.epoch, u64::MAX, vec![outpoint]);
    verdict(&Content { epoch, rate, reserve_sat, deposits, ..Content::default() }, &ledger, outlook)
}

fn verdict(content: &Content, ledger: &LedgerFacts, outlook: &Outlook) -> Alone {
    match build(content, ledger) {
        Ok(_) => Alone::Made,
        Err(BindError::ReserveTooSmall { need, .. }) => Alone::Reserve { need_sat: need.to_sat() },
        Err(BindError::TooLittle { .. }) if content.deposits.is_empty() => {
            Alone::Coins { free_sat: free(outlook).iter().map(|output| output.amount_sat).sum() }
        }
        Err(_) => Alone::Refused,
    }
}

/// None while there is no vault.
fn facts(outlook: &Outlook) -> Option<LedgerFacts> {
    let info = &outlook.info;
    let vault_key = XOnlyPublicKey::from_slice(info.vault_key?.as_slice()).ok()?;
    let output = |output: &LiveOutput| {
        let fact = facts::Output {
            txid: output.txid,
            amount: Amount::from_sat(output.amount_sat),
            epoch: output.epoch,
            height: 0,
            is_rooted: output.rooted,
            in_use: false,
        };
        (output.number, fact)
    };
    let mut facts = LedgerFacts {
        rules: (&info.parameters).into(),
        deposits: BTreeMap::new(),
        outputs: outlook.vault.outputs.iter().map(output).collect(),
        withdrawals: BTreeMap::new(),
        coming: Vec::new(),
        bound: BTreeSet::new(),
        reserve_sat: outlook.reserve_sat(),
        credit: Amount::ZERO,
        cap_left: Amount::ZERO,
        window_left: Amount::ZERO,
        epoch: info.epoch,
        vault_key,
    };
    facts.limit(&outlook.limits);
    // Told apart from this.
    (facts.cap_left, facts.window_left) = (Amount::MAX_MONEY, Amount::MAX_MONEY);
    Some(facts)
}
