//! Money into channels, and channels closed: transactions of the payer that are looked at, and of the payee that are sent.
//!
//! Nothing has to be written down before a transaction is sent: what it does is in the chain, under a name (the channel, the nonce) by which the same credential finds it
//! when it comes again after a crash.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use bridge::io::sidechain::Call;
use contracts::MicroChannel;
use contracts::address::MICRO_CHANNEL;
use payments::voucher::SignedVoucher;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::super::desk::now;
use super::state::{Known, MOST_CLOSED, MOST_FUNDED_BY_ONE, Sessions, lock};
use crate::authorization::Authorization;
use crate::io::chain::Fate;
use crate::io::chain::calls::NotDone;
use crate::refusal::Refusal;
use crate::session::credential::{Funding, Proof, Steps};
use crate::session::funding::Opening;
use crate::session::receipt::{SessionReceipt, Standing};
use crate::session::refused::{SessionRefused, Why};

/// The most gas that is given for opening a channel by an authorization, for topping it up, and for closing it. More than they take (contracts/README.md): each payment
/// that the contract makes wants some left, so that nobody has it fail.
const OPEN_GAS: u64 = 600_000;
const TOP_UP_GAS: u64 = 600_000;
const CLOSE_GAS: u64 = 900_000;
/// What they take as a rule.
pub const USUAL_OPEN_GAS: u64 = 170_000;
const USUAL_TOP_UP_GAS: u64 = 120_000;
const USUAL_CLOSE_GAS: u64 = 90_000;
/// Top-ups that are known again when they come once more.
const MOST_TOPPED: usize = 4_096;

/// How long a final state may be behind a transaction that is final: a node proves a block a moment after it has it.
const BEHIND: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A payer's opening that is under way.
struct UnderWay {
    sessions: Arc<Sessions>,
    payer: Address,
    _place: OwnedSemaphorePermit,
}

impl UnderWay {
    fn begin(sessions: &Arc<Sessions>, payer: Address, channel: B256) -> Result<Self, Refusal> {
        let too_many = || Refusal::from(SessionRefused::new(channel, Why::TooMany));
        let place = sessions.funding.clone().try_acquire_owned().map_err(|_| too_many())?;
        let mut funded = lock(&sessions.funded);
        let of_one = funded.entry(payer).or_default();
        if *of_one >= MOST_FUNDED_BY_ONE {
            return Err(too_many());
        }
        *of_one += 1;
        Ok(Self { sessions: sessions.clone(), payer, _place: place })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut funded = lock(&self.sessions.funded);
        if let Some(count) = funded.get_mut(&self.payer) {
            *count -= 1;
            if *count == 0 {
                funded.remove(&self.payer);
            }
        }
    }
}

/// Puts money into a channel, or sees that it was put in. It goes on when nobody waits for it any more.
pub async fn fund(
    sessions: &Arc<Sessions>,
    steps: &Steps,
    funding: Funding,
    source: Option<Address>,
) -> Result<(), Refusal> {
    let (sessions, steps) = (sessions.clone(), steps.clone());
    let funded = tokio::spawn(async move {
        match funding {
            Funding::OpenedBy { hash, salt, authorized_signer } => {
                opened_by(&sessions, steps.channel, hash, (salt, authorized_signer), source).await
            }
            Funding::ToppedUpBy { hash, additional } => {
                topped_up_by(&sessions, steps.channel, hash, additional, source).await
            }
            Funding::Open { authorization, signature, salt, authorized_signer } => {
                let channel = steps.channel;
                let opening =
                    Opening { channel, authorization: &authorization, signature: &signature, salt, authorized_signer };
                let Proof::Voucher(voucher) = &steps.proof else { return Err(Refusal::NotFinal) };
                open(&sessions, &opening, voucher).await
            }
            Funding::TopUp { authorization, signature } => {
                top_up(&sessions, steps.channel, &authorization, &signature).await
            }
        }
    });
    funded.await.map_err(|_| Refusal::NotFinal)?
}

async fn opened_by(
    sessions: &Sessions,
    channel: B256,
    hash: B256,
    (salt, authorized_signer): (B256, Address),
    source: Option<Address>,
) -> Result<(), Refusal> {
    let payer = source.unwrap_or_default();
    sessions.channels().check_id(&sessions.token, channel, payer, salt, authorized_signer)?;
    if sessions.payee.balance(channel).is_some() {
        return Ok(());
    }
    let receipt = by_transaction(sessions, channel, hash).await?;
    let did = events::<MicroChannel::ChannelOpened>(&receipt).any(|opened| opened.channelId == channel);
    if !did {
        return Err(SessionRefused::new(channel, Why::OtherTransaction).into());
    }
    appears(sessions, channel).await?;
    sessions.count(|counters| counters.opened += 1);
    Ok(())
}

/// Waits for a channel that a final transaction opened.
async fn appears(sessions: &Sessions, channel: B256) -> Result<(), Refusal> {
    let until = Instant::now() + BEHIND;
    loop {
        match sessions.find(channel).await {
            Err(Refusal::Session(refused)) if matches!(refused.why, Why::NotFound | Why::TooMany) => {
                if Instant::now() > until {
                    return Err(Refusal::NotFinal);
                }
            }
            found => return found,
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Waits for a deposit that a final transaction made as large.
async fn grows(sessions: &Sessions, channel: B256, deposit: u128) -> Result<bool, Refusal> {
    let until = Instant::now() + BEHIND;
    loop {
        sessions.observe(&[channel]).await?;
        let is_there = sessions.payee.balance(channel).is_some_and(|balance| balance.deposit >= deposit);
        if is_there || Instant::now() > until {
            return Ok(is_there);
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn topped_up_by(
    sessions: &Sessions,
    channel: B256,
    hash: B256,
    additional: u128,
    source: Option<Address>,
) -> Result<(), Refusal> {
    sessions.find(channel).await?;
    let (got, want) = (source.unwrap_or_default(), sessions.who(channel).map_or(Address::ZERO, |known| known.payer));
    if got != want {
        return Err(SessionRefused::new(channel, Why::OtherSource { got, want }).into());
    }
    let receipt = by_transaction(sessions, channel, hash).await?;
    let enough = |topped: &MicroChannel::ToppedUp| {
        topped.channelId == channel && topped.amount >= alloy_primitives::U256::from(additional)
    };
    let Some(topped) = events::<MicroChannel::ToppedUp>(&receipt).find(enough) else {
        return Err(SessionRefused::new(channel, Why::OtherTransaction).into());
    };
    if !grows(sessions, channel, topped.deposit.saturating_to()).await? {
        return Err(Refusal::NotFinal);
    }
    sessions.count(|counters| counters.topped_up += 1);
    Ok(())
}

async fn by_transaction(sessions: &Sessions, channel: B256, hash: B256) -> Result<TransactionReceipt, Refusal> {
    let _place = sessions.place_to_look(channel).await?;
    let receipt = sessions.chain.receipt(hash).await?.filter(|receipt| receipt.inner.status());
    receipt.ok_or_else(|| SessionRefused::new(channel, Why::OtherTransaction).into())
}

fn events<E: SolEvent>(receipt: &TransactionReceipt) -> impl Iterator<Item = E> + '_ {
    let logs = receipt.inner.logs().iter().filter(|log| log.inner.address == MICRO_CHANNEL);
    logs.filter_map(|log| E::decode_log(&log.inner).ok().map(|event| event.data))
}

/// Opens a channel; one that is open already, as when the same comes again, is as good.
async fn open(sessions: &Arc<Sessions>, opening: &Opening<'_>, voucher: &SignedVoucher) -> Result<(), Refusal> {
    let (channel, payer) = (opening.channel, opening.authorization.from);
    let terms = sessions.channels();
    terms.check_id(&sessions.token, channel, payer, opening.salt, opening.authorized_signer)?;
    if sessions.payee.balance(channel).is_some() {
        return Ok(());
    }
    let clock = sessions.chain.clock(now())?;
    let brought = terms.check_opening(&sessions.token, opening, voucher, clock)?;
    let cost = sessions.chain.cost(USUAL_OPEN_GAS)?;
    if brought.amount < cost {
        let why = Why::SmallDeposit { got: brought.amount, least: cost };
        return Err(SessionRefused::new(channel, why).into());
    }
    let opening = sessions.begin_opening(payer, channel)?;
    let _under_way = UnderWay::begin(sessions, payer, channel)?;
    match bring(sessions, brought.input, OPEN_GAS).await {
        Ok(receipt) => {
            match appears(sessions, channel).await {
                Ok(()) => {
                    let gas_wei = paid_for(&receipt);
                    sessions.known().entry(channel).and_modify(|known| known.gas_wei = gas_wei);
                    opening.opened(channel, gas_wei);
                }
                Err(Refusal::NotFinal) => return Err(Refusal::NotFinal),
                // As when its payer asked to close it in the same block.
                Err(refusal) => {
                    opening.failed();
                    return Err(refusal);
                }
            }
        }
        Err(NotDone::Not(refusal)) => return Err(refusal),
        // It may have been opened by somebody else, or before a crash.
        Err(not_done) if sessions.find(channel).await.is_err() => {
            if matches!(not_done, NotDone::Failed(_)) {
                opening.failed();
            }
            return Err(refusal(channel, not_done));
        }
        Err(_) => {}
    }
    sessions.count(|counters| counters.opened += 1);
    tracing::info!(%channel, %payer, deposit = brought.amount, "opened");
    Ok(())
}

async fn top_up(
    sessions: &Arc<Sessions>,
    channel: B256,
    authorization: &Authorization,
    signature: &Bytes,
) -> Result<(), Refusal> {
    sessions.find(channel).await?;
    // Its answer was lost.
    if lock(&sessions.topped).contains(&(channel, authorization.nonce)) {
        return Ok(());
    }
    let Some(Known { payer, signer, gas_wei, .. }) = sessions.who(channel) else {
        return Err(SessionRefused::new(channel, Why::NotFound).into());
    };
    if authorization.from == payer && was_topped_up(sessions, channel, authorization).await? {
        return Ok(());
    }
    let clock = sessions.chain.clock(now())?;
    let terms = sessions.channels();
    let brought = terms.check_top_up(&sessions.token, (channel, payer, signer), authorization, signature, clock)?;
    let cost = sessions.chain.usual_cost(USUAL_TOP_UP_GAS)?;
    // Who never spends has nothing topped up at the payee's cost: the money would come back, and the gas not.
    let spent = sessions.payee.balance(channel).map_or(0, |balance| balance.spent);
    // What was brought before has been paid for, and this will be: else who tops up and leaves costs the payee each time.
    if spent < gas_wei.saturating_add(cost) || brought.amount < cost {
        let least = if brought.amount < cost { cost } else { gas_wei.saturating_add(cost) };
        let why = Why::SmallDeposit { got: brought.amount.min(spent), least };
        return Err(SessionRefused::new(channel, why).into());
    }
    let _under_way = UnderWay::begin(sessions, payer, channel)?;
    let before = sessions.payee.balance(channel).map_or(0, |balance| balance.deposit);
    let done = bring(sessions, brought.input, TOP_UP_GAS).await.map_err(|not_done| refusal(channel, not_done));
    let wanted = before.saturating_add(brought.amount);
    match done {
        Ok(receipt) => {
            let more = paid_for(&receipt);
            if !grows(sessions, channel, wanted).await? {
                return Err(Refusal::NotFinal);
            }
            sessions.known().entry(channel).and_modify(|known| known.gas_wei = known.gas_wei.saturating_add(more));
            let mut topped = lock(&sessions.topped);
            topped.push_back((channel, authorization.nonce));
            if topped.len() > MOST_TOPPED {
                topped.pop_front();
            }
        }
        // Somebody else brought it.
        Err(refusal) => {
            sessions.observe(&[channel]).await?;
            if sessions.payee.balance(channel).is_none_or(|balance| balance.deposit < wanted) {
                return Err(refusal);
            }
        }
    }
    sessions.count(|counters| counters.topped_up += 1);
    Ok(())
}

/// Whether the chain has it, as when this process was started since, or somebody else brought it.
async fn was_topped_up(sessions: &Sessions, channel: B256, authorization: &Authorization) -> Result<bool, Refusal> {
    let fate = {
        let _place = sessions.place_to_look(channel).await?;
        sessions.chain.fate(authorization).await?
    };
    let Fate::Paid(transaction) = fate else { return Ok(false) };
    let receipt = by_transaction(sessions, channel, transaction).await?;
    let is_of_it = events::<MicroChannel::ToppedUp>(&receipt).any(|topped| topped.channelId == channel);
    if is_of_it {
        sessions.observe(&[channel]).await?;
    }
    Ok(is_of_it)
}

/// What a transaction cost its sender, in wei.
fn paid_for(receipt: &TransactionReceipt) -> u128 {
    u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price)
}

async fn bring(sessions: &Sessions, input: Bytes, gas: u64) -> Result<TransactionReceipt, NotDone> {
    let call = Call { to: Some(MICRO_CHANNEL), value: alloy_primitives::U256::ZERO, input };
    sessions.chain.transact(&call, gas).await
}

fn refusal(channel: B256, not_done: NotDone) -> Refusal {
    match not_done {
        NotDone::Refuses(why) | NotDone::Failed(why) => {
            SessionRefused::new(channel, Why::ContractRefuses(bridge::foreign::shown(&why))).into()
        }
        NotDone::Not(refusal) => refusal,
    }
}

/// Closes a channel whose last voucher was taken: the payee is paid what was spent, the rest goes back.
pub async fn close(
    sessions: &Arc<Sessions>,
    voucher: &SignedVoucher,
    standing: &Standing,
) -> Result<SessionReceipt, Refusal> {
    let (sessions, voucher, standing) = (sessions.clone(), voucher.clone(), standing.clone());
    let closed = tokio::spawn(async move { close_now(&sessions, &voucher, &standing).await });
    closed.await.map_err(|_| Refusal::NotFinal)?
}

async fn close_now(
    sessions: &Arc<Sessions>,
    voucher: &SignedVoucher,
    standing: &Standing,
) -> Result<SessionReceipt, Refusal> {
    let id = standing.channel;
    let not_found = || Refusal::from(SessionRefused::new(id, Why::NotFound));
    let balance = sessions.payee.balance(id).ok_or_else(not_found)?;
    let gas = sessions.who(id).map_or(0, |known| known.gas_wei);
    let cost = gas.saturating_add(sessions.chain.usual_cost(USUAL_CLOSE_GAS)?);
    if balance.spent < cost {
        // Else whoever opens and closes would cost the payee gas, and pay nothing.
        return Err(SessionRefused::new(id, Why::CloseTooDear { spent: balance.spent, cost }).into());
    }
    let last = sessions.payee.end(id, voucher).map_err(|refused| sessions.short(id, &refused, 0))?;
    let done = async {
        let (total, signature) = match &last {
            Some(last) => (last.voucher.cumulative_amount, last.signature.clone()),
            None => (balance.spent, Bytes::new()),
        };
        let ticket = sessions.payee.publish(id, total).map_err(|error| sessions.refused(id, error))?;
        ticket.await.map_err(|_| Refusal::NotKept)?;
        let call = MicroChannel::closeCall { channelId: id, cumulativeAmount: total, signature };
        let input = Call::new(MICRO_CHANNEL, &call).input;
        let done = bring(sessions, input, CLOSE_GAS).await;
        done.map(|receipt| (receipt, total)).map_err(|not_done| refusal(id, not_done))
    };
    match done.await {
        Ok((receipt, total)) => {
            let settled = payments::payee::sessions::Balance { accepted: total, ..balance };
            let answer = standing.receipt(&settled, None, Some(receipt.transaction_hash), now());
            remember(sessions, id, answer.clone());
            sessions.count(|counters| counters.closed += 1);
            // Whether or not it is seen now: the watch sees it later.
            let _ = sessions.observe(&[id]).await;
            tracing::info!(channel = %id, spent = balance.spent, "closed");
            Ok(answer)
        }
        Err(refusal) => {
            sessions.payee.go_on(id);
            Err(refusal)
        }
    }
}

fn remember(sessions: &Sessions, id: B256, receipt: SessionReceipt) {
    let mut closed = lock(&sessions.closed);
    if closed.len() == MOST_CLOSED {
        closed.pop_front();
    }
    closed.push_back((id, receipt));
}

/// The receipt of a channel that was closed here.
pub fn closed_before(sessions: &Sessions, id: B256) -> Option<SessionReceipt> {
    let closed = lock(&sessions.closed);
    closed.iter().find(|(closed, _)| *closed == id).map(|(_, receipt)| receipt.clone())
}
