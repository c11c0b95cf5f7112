//! `causeway wallet history`: what came and went on both sides in one list, the newest first, a page of it; and what is not in the list, and why.

use std::cmp::Reverse;

use alloy_primitives::{Address, B256, U256};
use bitcoin::{Amount, Txid};
use bridge::amount;
use bridge::io::wallet::Movement;
use bridge::peg::{Deposit, DepositStatus, Withdrawal, WithdrawalStatus};
use eyre::Result;
use serde::Serialize;

use super::account_blocks::End;
use super::overview::{Look, NEWEST, OtherSide, Seen, outpoint};
use super::transfers::{Asked, How, Transfer, Transfers};
use crate::clock::time;
use crate::context::Context;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway wallet history --genesis genesis.json
  causeway wallet history --limit 100 --json")]
pub struct Args {
    /// Movements that are shown, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(NEWEST)))]
    limit: u32,
    #[command(flatten)]
    look: Look,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    movements: Vec<Entry>,
    /// There are older ones.
    more: bool,
    /// What is not among the movements, in words.
    unseen: Vec<String>,
    /// All payments on the sidechain behind this block are listed, or are older than this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    sidechain_behind: Option<u64>,
}

/// One line of the history.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// In seconds since 1970; of the block, or of when it was seen or asked for.
    time: Option<u64>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(tag = "side", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum What {
    Bitcoin {
        txid: Txid,
        height: Option<u32>,
        sent_sat: u64,
        received_sat: u64,
    },
    Deposit {
        txid: Txid,
        vout: u32,
        height: u32,
        status: DepositStatus,
        amount_sat: u64,
        minted_sat: Option<u64>,
        /// It is the wallet's on Bitcoin again, and no coins come of it.
        taken_back: bool,
    },
    Withdrawal {
        id: u64,
        status: WithdrawalStatus,
        amount_sat: u64,
    },
    Sidechain {
        block: u64,
        /// None: contracts moved the coins.
        transaction: Option<B256>,
        from: Option<Address>,
        to: Option<Address>,
        /// What an own transaction asked the bridge for.
        #[serde(skip_serializing_if = "Option::is_none")]
        asked: Option<Asked>,
        /// Own withdrawals whose coins came back.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        returned: Vec<u64>,
        #[serde(serialize_with = "amount::digits")]
        sent_wei: U256,
        #[serde(serialize_with = "amount::digits")]
        received_wei: U256,
        #[serde(serialize_with = "amount::digits")]
        fee_wei: U256,
    },
}

/// Shows what came and went.
///
/// # Errors
///
/// There is no wallet, or neither side answers.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let count = args.limit as usize;
    let Seen { wallet, bitcoin_error, sidechain } = args.look.see(Some(count), context)?;
    let mut unseen: Vec<String> =
        bitcoin_error.map(|error| format!("Bitcoin after block {}: {error:#}", wallet.height())).into_iter().collect();
    let mut entries: Vec<Entry> = wallet.history().iter().map(of_bitcoin).collect();
    let mut sidechain_behind = None;
    let mut ended = true;
    match &sidechain {
        Ok(other) => {
            entries.extend(of_other_side(other));
            sidechain_behind = other.transfers.as_ref().map(|transfers| transfers.behind);
            ended = other.transfers.as_ref().is_none_or(|transfers| transfers.end.is_some());
            unseen.extend(other.transfers.iter().flat_map(not_seen));
        }
        Err(error) => unseen.push(format!("the sidechain: {error:#}")),
    }
    // What has no time yet is the newest.
    entries.sort_by_key(|entry| Reverse(entry.time.unwrap_or(u64::MAX)));
    let more = entries.len() > count || !ended;
    entries.truncate(count);
    let page = Page { movements: entries, more, unseen, sidechain_behind };
    context.print(&page, || show(&page));
    Ok(())
}

fn of_other_side(other: &OtherSide) -> Vec<Entry> {
    let deposits = other.sidechain.deposits.iter().map(|deposit| of_deposit(deposit, other));
    let withdrawals = other.sidechain.withdrawals.iter().map(of_withdrawal);
    let transfers = other
        .transfers
        .iter()
        .flat_map(|transfers| &transfers.list)
        .map(|transfer| of_transfer(transfer, &other.sidechain.withdrawals));
    deposits.chain(withdrawals).chain(transfers).collect()
}

/// What was not looked at on the sidechain, and why.
fn not_seen(transfers: &Transfers) -> Vec<String> {
    let (block, when) = (transfers.behind, time(transfers.since));
    let before = format!("payments on the sidechain up to block {block} ({when})");
    let why = match transfers.end {
        None | Some(End::Genesis) => None,
        Some(End::NotKept) => Some(format!(
            "{before}: the nodes that were asked keep no older state (--rpc names others; one with `[retention]` state and proofs \"all\" has it)"
        )),
        Some(End::TooMany) => {
            Some(format!("{before}: it was asked often enough, the account moves much (a smaller --limit needs less)"))
        }
    };
    let lends = "what others did through the contract that the account lends code from (EIP-7702): coins that they moved, and moved back, leave no trace in its balance";
    why.into_iter().chain(transfers.lends_code.then(|| lends.to_owned())).collect()
}

fn of_bitcoin(movement: &Movement) -> Entry {
    let (sent_sat, received_sat) = (movement.sent.to_sat(), movement.received.to_sat());
    let what = What::Bitcoin { txid: movement.txid, height: movement.height, sent_sat, received_sat };
    Entry { time: movement.time, what }
}

fn of_deposit(deposit: &Deposit, other: &OtherSide) -> Entry {
    let Deposit { txid, vout, height, status, amount_sat, minted_sat, .. } = *deposit;
    let is_gone = status == DepositStatus::Gone && minted_sat.is_none();
    let taken_back = is_gone || other.taken_back.contains(&outpoint(deposit));
    let what = What::Deposit { txid, vout, height, status, amount_sat, minted_sat, taken_back };
    Entry { time: other.times.get(&height).copied(), what }
}

fn of_withdrawal(withdrawal: &Withdrawal) -> Entry {
    let Withdrawal { id, status, amount_sat, asked_at, .. } = *withdrawal;
    Entry { time: Some(asked_at), what: What::Withdrawal { id, status, amount_sat } }
}

fn of_transfer(transfer: &Transfer, withdrawals: &[Withdrawal]) -> Entry {
    let Transfer { block, time, ref how, sent: sent_wei, received: received_wei, fee: fee_wei } = *transfer;
    let is_own = |id: &&u64| withdrawals.iter().any(|withdrawal| withdrawal.id == **id);
    let (transaction, from, to, asked, returned) = match how {
        How::Paid { transaction, from, to, asked } => (Some(*transaction), Some(*from), *to, *asked, Vec::new()),
        How::Contracts { returned } => (None, None, None, None, returned.iter().filter(is_own).copied().collect()),
    };
    let what = What::Sidechain { block, transaction, from, to, asked, returned, sent_wei, received_wei, fee_wei };
    Entry { time: Some(time), what }
}

fn show(page: &Page) {
    page.movements.iter().for_each(|entry| println!("{}", line(entry)));
    if page.movements.is_empty() {
        println!("nothing yet");
    }
    if page.more {
        println!("There are older ones (--limit shows up to {NEWEST})");
    }
    page.unseen.iter().for_each(|what| println!("Not in this list: {what}"));
}

fn line(entry: &Entry) -> String {
    // When a deposit was paid is asked of bitcoind.
    let untimed = if matches!(entry.what, What::Deposit { .. }) { "time unknown" } else { "pending" };
    let when = entry.time.map_or(untimed.to_owned(), time);
    let (side, sign, amount, what) = match &entry.what {
        What::Bitcoin { txid, sent_sat, received_sat, .. } => match received_sat.checked_sub(*sent_sat) {
            Some(gain) => ("bitcoin", '+', sat(gain), txid.to_string()),
            None => ("bitcoin", '-', sat(sent_sat - received_sat), txid.to_string()),
        },
        What::Deposit { txid, vout, amount_sat, taken_back: true, .. } => {
            ("deposit", ' ', sat(*amount_sat), format!("{txid}:{vout} taken back"))
        }
        What::Deposit { txid, vout, status, amount_sat, minted_sat, .. } => {
            ("deposit", '+', sat(minted_sat.unwrap_or(*amount_sat)), format!("{txid}:{vout} {}", word(status)))
        }
        What::Withdrawal { id, status, amount_sat } => {
            ("withdrawal", '-', sat(*amount_sat), format!("number {id} {}", word(status)))
        }
        What::Sidechain { sent_wei, received_wei, fee_wei, .. } => {
            let (sign, wei) = match received_wei.checked_sub(*sent_wei) {
                // A transaction that moves nothing costs its gas alone; in the free lane not even that.
                Some(gain) if gain.is_zero() && fee_wei.is_zero() => (' ', gain),
                Some(gain) if gain.is_zero() => ('-', *fee_wei),
                Some(gain) => ('+', gain),
                None => ('-', sent_wei.saturating_sub(*received_wei)),
            };
            ("sidechain", sign, amount::show_wei(wei), with_whom(&entry.what))
        }
    };
    format!("{when:<20}  {side:<10}  {sign}{amount:<18} {what}")
}

/// Who paid, or was paid, and what the transaction cost.
fn with_whom(what: &What) -> String {
    let What::Sidechain { block, transaction, from, to, asked, returned, sent_wei, received_wei, fee_wei } = what
    else {
        return String::new();
    };
    let Some(transaction) = transaction else {
        let ids: Vec<String> = returned.iter().map(u64::to_string).collect();
        return match ids.is_empty() {
            true => format!("by contracts, in block {block}"),
            false => format!("back from withdrawal {}, in block {block}", ids.join(" and ")),
        };
    };
    let is_cost_alone = sent_wei == received_wei;
    let cost = match fee_wei.is_zero() || is_cost_alone {
        true => String::new(),
        false => format!(", gas {}", amount::show_wei(*fee_wei)),
    };
    if let Some(asked) = asked {
        let what = match asked {
            Asked::Raise { id } => format!("raise of withdrawal {id}"),
            Asked::Cancel { id } => format!("cancel of withdrawal {id}"),
            Asked::Refund { id } => format!("refund of withdrawal {id}"),
            Asked::Claim => "claim of refused coins".to_owned(),
        };
        return format!("gas of the {what} ({transaction})");
    }
    if is_cost_alone && from != to {
        let what = to.map_or_else(|| "a new contract".to_owned(), |to| format!("a call of {to}"));
        return format!("gas of {what} ({transaction})");
    }
    match (received_wei.is_zero(), from, to) {
        (false, Some(from), _) => format!("from {from}{cost} ({transaction})"),
        (_, _, Some(to)) => format!("to {to}{cost} ({transaction})"),
        _ => format!("to a new contract{cost} ({transaction})"),
    }
}

fn sat(sat: u64) -> String {
    amount::show(Amount::from_sat(sat))
}

fn word(status: &impl std::fmt::Debug) -> String {
    format!("{status:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash as _;

    #[test]
    fn a_deposit_that_was_taken_back_counts_for_nothing_beside_what_came_back_on_bitcoin() {
        let of = |status, taken_back| {
            let (txid, amount_sat) = (Txid::all_zeros(), 3_000_000);
            let what = What::Deposit { txid, vout: 0, height: 7, status, amount_sat, minted_sat: None, taken_back };
            line(&Entry { time: Some(0), what })
        };
        let coming = of(DepositStatus::Proven, false);
        assert!(coming.contains("+0.03 BTC") && coming.ends_with(":0 proven"), "{coming}");
        let back = of(DepositStatus::Gone, true);
        assert!(back.contains(" 0.03 BTC") && !back.contains('+') && back.ends_with(":0 taken back"), "{back}");
    }
}
