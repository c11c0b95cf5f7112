//! The ledger of channels: what was charged, by which voucher, and what the chain says of each.
//!
//! ```text
//!            opened                charged (on disk before the page leaves)
//!   (none) ----------> channel ------------------------------------------> channel, `charged` larger by the price
//!                         |  ^                                                 |
//!                         |  +------------------- claimed ---------------------+
//!                         +--> forgotten, once all that was charged is claimed: the chain then knows all that the ledger knew
//! ```
//! One request has a channel in hand at a time, as the specification wants it; channels do not wait for each other. What the chain says (`Mirror`) is read when a
//! channel is first seen, when one of its events is seen, and before anything is sent for it; it is not kept on disk.
//!
//! What can be claimed is `charged`, never the voucher's ceiling.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256};
use payments::payee::claims::{ClaimRules, Reason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::channel::Config;
use super::payload::Voucher;
use super::refusal::{Correction, Flaw};
use crate::openings::Standing;
use crate::refusal::Refusal;

/// Channels that are remembered, at 700 bytes or so each.
pub const MOST_CHANNELS: usize = 100_000;
/// How many make room at once when there are so many.
const ROOM: usize = MOST_CHANNELS / 8;
/// How often the upstream may fail for a channel within a while: whoever asks for what fails pays nothing for it.
const MOST_FAILURES: u32 = 8;
const FAILURES_WITHIN_S: u64 = 60;
/// How long a claim that failed waits.
const POSTPONED_S: u64 = 60;
/// How often one voucher gets its answer again.
const MOST_REPEATS: u32 = 8;

/// What the chain says of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// All deposits less withdrawals and refunds.
    pub balance: u128,
    pub claimed: u128,
    /// What the payer has announced to take back; it can take it at some later time without another word.
    pub withdrawal: u128,
    /// When it announced it, in Unix seconds; zero: it did not.
    pub withdrawal_at: u64,
    pub refund_nonce: U256,
}

/// A request that was answered for a voucher: a retry of it with the same key gets the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub purpose: B256,
    /// Hash of its `Idempotency-Key`.
    pub key: B256,
}

/// A change that must not be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    Opened {
        channel: B256,
        config: Box<Config>,
        charged: u128,
        gas: u128,
    },
    Charged {
        channel: B256,
        charged: u128,
        max: u128,
        signature: Bytes,
        at: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Asked>,
    },
    /// Wei that transactions for this channel alone have cost.
    Gas {
        channel: B256,
        gas: u128,
    },
    Closed {
        channel: B256,
    },
}

/// When a look at the chain began, among others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look(u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub config: Config,
    pub charged: u128,
    /// The one that covers what was charged here; none before the first.
    pub voucher: Option<Voucher>,
    /// None: to be read.
    pub mirror: Option<Mirror>,
    look: Look,
    /// Wei that transactions for it alone have cost.
    pub gas: u128,
    /// When the oldest payment came that is not claimed.
    waits_since: Option<u64>,
    claim_after: u64,
    asked: Option<Asked>,
    repeats: u32,
    failures: u32,
    failing_since: u64,
    used_at: u64,
}

/// A part of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub channel: B256,
    pub config: Config,
    pub voucher: Voucher,
    /// What the channel's claimed total becomes.
    pub total: u128,
    /// What that adds.
    pub amount: u128,
    pub reason: Reason,
}

/// All channels that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    channels: BTreeMap<B256, Channel>,
    /// Those that a request has in hand, known or not.
    held: BTreeSet<B256>,
    /// Looks at the chain that were begun.
    looks: u64,
}

impl Mirror {
    /// What vouchers may be for: the payer can take the rest whenever its delay is over.
    #[must_use]
    pub fn available(&self) -> u128 {
        self.balance.saturating_sub(self.withdrawal)
    }

    /// Whether its payer takes its money back, or has it.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.withdrawal_at != 0 || self.balance <= self.claimed
    }

    /// Whether a voucher for so much in all can be claimed (the specification's rules 7, 9 and 10). `deposit` is about to be added to the balance; one that charges
    /// nothing may name what is claimed already.
    ///
    /// # Errors
    ///
    /// `NotFound`, `BelowClaimed`, `ExceedsBalance`, `Closing`.
    pub fn check(&self, max: u128, deposit: u128, is_refund: bool) -> Result<(), Flaw> {
        let balance = self.balance.saturating_add(deposit);
        if balance == 0 {
            return Err(Flaw::NotFound);
        }
        if max < self.claimed || (max == self.claimed && !is_refund) {
            return Err(Flaw::BelowClaimed { max, claimed: self.claimed });
        }
        if max > balance {
            return Err(Flaw::ExceedsBalance { max, balance });
        }
        if max > self.available().saturating_add(deposit) {
            return Err(Flaw::Closing { max, balance, withdrawal: self.withdrawal });
        }
        Ok(())
    }

    /// `channelState` as the specification has it.
    #[must_use]
    pub fn json(&self, channel: B256) -> Value {
        json!({
            "channelId": channel,
            "balance": self.balance.to_string(),
            "totalClaimed": self.claimed.to_string(),
            "withdrawRequestedAt": self.withdrawal_at,
            "refundNonce": self.refund_nonce.to_string(),
        })
    }
}

impl Channel {
    fn new(config: Config, charged: u128, gas: u128, used_at: u64) -> Self {
        let (voucher, mirror, waits_since, asked) = (None, None, None, None);
        let (claim_after, repeats, failures, failing_since) = (0, 0, 0, 0);
        Self {
            config,
            charged,
            voucher,
            mirror,
            look: Look::default(),
            gas,
            waits_since,
            claim_after,
            asked,
            repeats,
            failures,
            failing_since,
            used_at,
        }
    }

    fn claimed(&self) -> u128 {
        self.mirror.map_or(0, |mirror| mirror.claimed)
    }

    /// What can be claimed still. A payer that took its money before leaves less than was charged.
    fn unclaimed(&self) -> u128 {
        let (Some(mirror), Some(_)) = (self.mirror, &self.voucher) else { return 0 };
        self.charged.min(mirror.balance).saturating_sub(mirror.claimed)
    }

    /// Whether the chain alone knows all that is known here.
    fn is_claimed(&self) -> bool {
        self.mirror.is_some_and(|mirror| mirror.claimed >= self.charged)
    }
}

impl Ledger {
    /// The ledger after a start.
    #[must_use]
    pub fn replay(records: impl IntoIterator<Item = Record>) -> Self {
        let mut ledger = Self::default();
        records.into_iter().for_each(|record| ledger.take(record));
        ledger
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Opened { channel, config, charged, gas } => {
                self.channels.insert(channel, Channel::new(*config, charged, gas, 0));
            }
            Record::Charged { channel, charged, max, signature, at, asked } => {
                let voucher = Voucher { max, signature };
                self.change(channel, |known| known.charge(charged, voucher, at, asked));
            }
            Record::Gas { channel, gas } => self.change(channel, |known| known.gas = gas),
            Record::Closed { channel } => drop(self.channels.remove(&channel)),
        }
    }

    fn change(&mut self, channel: B256, change: impl FnOnce(&mut Channel)) {
        if let Some(known) = self.channels.get_mut(&channel) {
            change(known);
        }
    }

    /// Takes a channel in hand for one request.
    ///
    /// # Errors
    ///
    /// `ChannelBusy`.
    pub fn hold(&mut self, channel: B256) -> Result<(), Refusal> {
        if self.held.insert(channel) { Ok(()) } else { Err(Flaw::ChannelBusy.into()) }
    }

    /// The request that had it in hand is done with it, or gone.
    pub fn let_go(&mut self, channel: B256) {
        self.held.remove(&channel);
    }

    #[must_use]
    pub fn find(&self, channel: B256) -> Option<&Channel> {
        self.channels.get(&channel)
    }

    /// A channel that is new here. Its baseline is what was claimed: whatever else was charged before is lost with the record of it.
    ///
    /// # Errors
    ///
    /// `NotFound`, `ChannelTooSmall`, `Busy`.
    pub fn open(
        &mut self,
        channel: B256,
        config: &Config,
        mirror: Mirror,
        least: u128,
        now: u64,
    ) -> Result<Record, Refusal> {
        if mirror.balance == 0 {
            return Err(Flaw::NotFound.into());
        }
        // Whoever has paid once was large enough.
        if mirror.claimed == 0 && mirror.available() < least {
            return Err(Flaw::ChannelTooSmall { balance: mirror.balance, least }.into());
        }
        if self.channels.len() >= MOST_CHANNELS {
            self.make_room();
        }
        if self.channels.len() >= MOST_CHANNELS {
            return Err(Refusal::Busy);
        }
        let mut known = Channel::new(config.clone(), mirror.claimed, 0, now);
        known.mirror = Some(mirror);
        self.channels.insert(channel, known);
        Ok(Record::Opened { channel, config: Box::new(config.clone()), charged: mirror.claimed, gas: 0 })
    }

    /// Forgets those that were not used for longest, of which the chain knows all.
    fn make_room(&mut self) {
        let claimed = |(channel, known): (&B256, &Channel)| {
            (known.is_claimed() && !self.held.contains(channel)).then_some((known.used_at, *channel))
        };
        let mut claimed: Vec<_> = self.channels.iter().filter_map(claimed).collect();
        if claimed.len() > ROOM {
            claimed.select_nth_unstable(ROOM);
            claimed.truncate(ROOM);
        }
        for (_, channel) in claimed {
            self.channels.remove(&channel);
        }
    }

    /// A look at the chain begins. Of two, what the later one saw counts, whichever ends first.
    pub fn look(&mut self) -> Look {
        self.looks += 1;
        Look(self.looks)
    }

    /// What the chain says of it.
    pub fn seen(&mut self, channel: B256, mirror: Mirror, look: Look) {
        self.change(channel, |known| {
            if look < known.look {
                return;
            }
            (known.mirror, known.look) = (Some(mirror), look);
            // Somebody else claimed more with the payer's consent.
            known.charged = known.charged.max(mirror.claimed);
            if mirror.claimed >= known.charged {
                known.waits_since = None;
            }
        });
    }

    /// Something happened to it on the chain: what was read is old.
    pub fn is_old(&mut self, channel: B256) {
        self.change(channel, |known| known.mirror = None);
    }

    /// What was read of any channel is old.
    pub fn all_are_old(&mut self) {
        self.channels.values_mut().for_each(|known| known.mirror = None);
    }

    /// Its claim failed, which another try does not mend at once.
    pub fn postpone(&mut self, channel: B256, now: u64) {
        self.change(channel, |known| known.claim_after = now.saturating_add(POSTPONED_S));
    }

    /// Whether a voucher pays an amount (the specification's equality, and rules 7, 9 and 10). `deposit` is about to be added to the balance.
    ///
    /// # Errors
    ///
    /// `Mismatch`, `NotFound`, `BelowClaimed`, `ExceedsBalance`, `Closing`, `Failing`.
    pub fn check(&self, channel: B256, max: u128, amount: u128, deposit: u128, now: u64) -> Result<(), Refusal> {
        let known = self.channels.get(&channel);
        let mirror = known.and_then(|known| known.mirror).unwrap_or_default();
        let charged = known.map_or(mirror.claimed, |known| known.charged);
        let want = charged.saturating_add(amount);
        if max != want {
            return Err(Flaw::Mismatch { got: max, want, correction: self.correction(channel, max) }.into());
        }
        mirror.check(max, deposit, amount == 0)?;
        if known.is_some_and(|known| known.is_failing(now)) {
            return Err(Flaw::Failing { failures: MOST_FAILURES, within_s: FAILURES_WITHIN_S }.into());
        }
        Ok(())
    }

    /// Whether a total is below what was charged: nobody has the channel in hand for it.
    #[must_use]
    pub fn is_behind(&self, channel: B256, max: u128) -> bool {
        self.channels.get(&channel).is_some_and(|known| max < known.charged)
    }

    /// How often an answer was asked for again.
    #[must_use]
    pub fn repeated(&self, channel: B256) -> u32 {
        self.channels.get(&channel).map_or(0, |known| known.repeats)
    }

    /// Whether this request was answered for this voucher already: its answer is given again, some times.
    pub fn repeats(&mut self, channel: B256, voucher: &Voucher, asked: Option<Asked>) -> bool {
        let Some(known) = self.channels.get_mut(&channel) else { return false };
        // What was claimed everybody can read, and a key may be guessed.
        let is_secret = known.claimed() < voucher.max;
        let is_same = asked.is_some() && known.asked == asked && known.voucher.as_ref() == Some(voucher) && is_secret;
        if !is_same || known.repeats >= MOST_REPEATS {
            return false;
        }
        known.repeats += 1;
        true
    }

    /// A page is about to be given for a voucher that was checked. To be on disk before it is.
    #[must_use]
    pub fn charge(
        &mut self,
        channel: B256,
        voucher: &Voucher,
        amount: u128,
        at: u64,
        asked: Option<Asked>,
    ) -> Option<Record> {
        let known = self.channels.get_mut(&channel)?;
        // Never more than was promised, whatever else is wrong.
        let charged = known.charged.saturating_add(amount).min(voucher.max);
        known.charge(charged, voucher.clone(), at, asked);
        let Voucher { max, signature } = voucher.clone();
        Some(Record::Charged { channel, charged, max, signature, at, asked })
    }

    /// The upstream gave nothing, so nothing was charged.
    pub fn failed(&mut self, channel: B256, now: u64) {
        self.change(channel, |known| {
            if now.saturating_sub(known.failing_since) >= FAILURES_WITHIN_S {
                (known.failures, known.failing_since) = (0, now);
            }
            known.failures = known.failures.saturating_add(1);
        });
    }

    /// A transaction for this channel alone has cost so much.
    pub fn spent(&mut self, channel: B256, wei: u128) -> Option<Record> {
        let known = self.channels.get_mut(&channel)?;
        known.gas = known.gas.saturating_add(wei);
        Some(Record::Gas { channel, gas: known.gas })
    }

    /// How a channel stands for whoever paid the gas of its deposit; none: it is not known here.
    #[must_use]
    pub fn standing(&self, channel: B256) -> Option<Standing> {
        let known = self.channels.get(&channel)?;
        let is_over = known.mirror.is_some_and(|mirror| mirror.is_left());
        Some(Standing { bought: known.charged, is_over })
    }

    /// Channels that have not yet paid for their gas, with their payers and what it cost.
    pub fn unpaid(&self) -> impl Iterator<Item = (B256, Address, u128)> {
        let unpaid = self.channels.iter().filter(|(_, known)| known.charged < known.gas);
        unpaid.map(|(channel, known)| (*channel, known.config.payer, known.gas))
    }

    /// Whatever is brought for it next is the first that costs this payee gas.
    #[must_use]
    pub fn is_unspent(&self, channel: B256) -> bool {
        self.channels.get(&channel).is_none_or(|known| known.gas == 0)
    }

    /// Whether what a channel paid covers what it has cost, and this transaction. The first deposit has credit.
    ///
    /// # Errors
    ///
    /// `GasNotPaid`.
    pub fn check_gas(&self, channel: B256, next: u128, is_refund: bool) -> Result<(), Refusal> {
        let Some(known) = self.channels.get(&channel) else { return Ok(()) };
        let (paid, gas) = (known.charged, known.gas.saturating_add(next));
        if known.gas == 0 && !is_refund || paid >= gas {
            return Ok(());
        }
        Err(Flaw::GasNotPaid { paid, gas, is_refund }.into())
    }

    /// Forgets a channel of which the chain knows all.
    pub fn close(&mut self, channel: B256) -> Option<Record> {
        self.channels.get(&channel).filter(|known| known.is_claimed())?;
        self.channels.remove(&channel);
        Some(Record::Closed { channel })
    }

    /// A channel as its payer is told of it (`channelState`).
    #[must_use]
    pub fn channel_state(&self, channel: B256) -> Option<Value> {
        let known = self.channels.get(&channel)?;
        let mut state = known.mirror.unwrap_or_default().json(channel);
        state["chargedCumulativeAmount"] = known.charged.to_string().into();
        Some(state)
    }

    /// What a client that has lost its state is told: of vouchers, if it shows one that is not on the chain for everybody to read.
    fn correction(&self, channel: B256, shown: u128) -> Option<Box<Correction>> {
        let known = self.channels.get(&channel)?;
        let is_secret = shown > known.claimed() || known.claimed() == 0;
        let voucher = known.voucher.as_ref().filter(|_| is_secret);
        let voucher_state = voucher
            .map(|Voucher { max, signature }| json!({ "signedMaxClaimable": max.to_string(), "signature": signature }));
        Some(Box::new(Correction { channel_state: self.channel_state(channel)?, voucher_state }))
    }

    /// The voucher of a channel with all that can be claimed by it.
    #[must_use]
    pub fn row(&self, channel: B256) -> Option<Row> {
        let known = self.channels.get(&channel)?;
        let amount = known.unclaimed();
        let voucher = known.voucher.clone().filter(|_| amount > 0)?;
        let (config, total) = (known.config.clone(), known.claimed() + amount);
        Some(Row { channel, config, voucher, total, amount, reason: Reason::Worth })
    }

    /// What should be claimed now: first where the payer takes its rest back, then the largest.
    #[must_use]
    pub fn due(&self, rules: &ClaimRules, now: u64, most: usize) -> Vec<Row> {
        let due = |(channel, known): (&B256, &Channel)| {
            if known.claim_after > now {
                return None;
            }
            let is_closing = known.mirror.is_some_and(|mirror| mirror.withdrawal_at != 0);
            let reason = rules.reason(known.unclaimed(), known.waits_since, is_closing, now)?;
            self.row(*channel).map(|row| Row { reason, ..row })
        };
        let mut due: Vec<_> = self.channels.iter().filter_map(due).collect();
        due.sort_by_key(|row| (row.reason, std::cmp::Reverse(row.amount)));
        due.truncate(most);
        due
    }

    /// Some channels with a voucher of which it is not known what the chain says: to be read after a start.
    #[must_use]
    pub fn unread(&self, most: usize) -> Vec<B256> {
        let is_unread = |known: &Channel| known.mirror.is_none() && known.voucher.is_some();
        let unread = self.channels.iter().filter(|(_, known)| is_unread(known)).map(|(channel, _)| *channel);
        unread.take(most).collect()
    }

    /// What was charged and can be claimed still, in wei.
    #[must_use]
    pub fn unclaimed(&self) -> u128 {
        self.channels.values().map(Channel::unclaimed).fold(0, u128::saturating_add)
    }

    #[must_use]
    pub fn knows(&self, channel: B256) -> bool {
        self.channels.contains_key(&channel)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The shortest records that replay to this ledger.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (channel, known) in &self.channels {
            let (channel, charged) = (*channel, known.charged);
            records.push(Record::Opened { channel, config: Box::new(known.config.clone()), charged, gas: known.gas });
            if let Some(Voucher { max, signature }) = known.voucher.clone() {
                let (at, asked) = (known.waits_since.unwrap_or(known.used_at), known.asked);
                records.push(Record::Charged { channel, charged, max, signature, at, asked });
            }
        }
        records
    }
}

impl Channel {
    fn charge(&mut self, charged: u128, voucher: Voucher, at: u64, asked: Option<Asked>) {
        (self.charged, self.voucher, self.asked) = (charged, Some(voucher), asked);
        (self.repeats, self.failures, self.used_at) = (0, 0, at);
        self.waits_since.get_or_insert(at);
    }

    fn is_failing(&self, now: u64) -> bool {
        self.failures >= MOST_FAILURES && now.saturating_sub(self.failing_since) < FAILURES_WITHIN_S
    }
}

#[cfg(test)]
mod tests;
