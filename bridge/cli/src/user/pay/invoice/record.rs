//! An invoice as it is kept, and how what is seen changes it. Pure.

use alloy_primitives::{Address, B256, U256, keccak256};
use bitcoin::{Amount, OutPoint};
use bridge::amount;
use bridge::peg::{Deposit, DepositStatus};
use serde::{Deserialize, Serialize};

use super::state::{Standing, State};

/// Payments to the Bitcoin address that are kept one by one. Each is at least the smallest deposit, all of it the merchant's.
const MAX_DEPOSITS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invoice {
    /// The merchant's own name of the order.
    pub reference: String,
    pub terms: Terms,
    /// Seconds since 1970, by this machine's clock.
    pub created_at: u64,
    /// The last time of a block whose payments are in time.
    pub expires_at: u64,
    pub webhook: Option<Hook>,
    #[serde(default)]
    pub seen: Seen,
    /// What was told, or is to be: one a state.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Transactions that the account had sent before this file was made: of an order whose file was lost after it was collected.
    #[serde(default)]
    pub earlier: u64,
    /// What was taken from the account since, the oldest first: one for each of its transactions.
    #[serde(default)]
    pub collected: Vec<Collected>,
    /// Tokens that were taken: by what the account's key signed, and the merchant's account brought.
    #[serde(default)]
    pub moved_token_wei: U256,
}

/// What is asked for, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    pub network_id: B256,
    pub chain_id: u64,
    pub amount_sat: u64,
    pub memo: Option<String>,
    /// Whose key all others are derived from.
    pub owner: Address,
    /// Who gets what is paid.
    pub to: Address,
    /// The account that is paid on the sidechain, of this invoice alone.
    pub account: Address,
    /// The deposit address, of this invoice alone: its record is among the user's deposits.
    pub bitcoin_address: Option<String>,
}

/// Where changes are posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    pub url: String,
    /// The file with the secret that signs posts.
    pub secret: std::path::PathBuf,
}

/// What arrived, as far as it is final.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seen {
    /// All that ever came, with what was collected since.
    pub coin_wei: U256,
    pub token_wei: U256,
    pub deposits: Vec<Arrival>,
    /// Of it, what had come when the invoice expired.
    pub in_time_wei: U256,
    /// Whether nothing can be added to that any more.
    pub is_expiry_known: bool,
    /// Time of the block in which it was first seen paid in full.
    pub paid_at: Option<u64>,
    /// The last block that was looked at, and its time.
    pub block: u64,
    pub block_time: u64,
}

/// A payment to the Bitcoin address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arrival {
    pub outpoint: OutPoint,
    /// What was paid; the sweep's cost is the merchant's.
    pub amount_sat: u64,
    pub status: DepositStatus,
    /// What came of it on the sidechain.
    pub minted_sat: Option<u64>,
    /// Time of the block in which it was proven, or of the first in which it was seen so.
    pub first_seen: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// The same however often it is posted.
    pub id: String,
    pub state: State,
    pub at: u64,
    pub is_delivered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collected {
    pub transaction: B256,
    /// With its gas.
    pub spent_wei: U256,
}

/// What a look brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub block: u64,
    pub block_time: u64,
    /// What the account has now.
    pub coin_wei: U256,
    pub token_wei: U256,
    /// Transactions that it sent.
    pub nonce: u64,
    pub deposits: Vec<Deposit>,
    /// Of those that are new: the time of the block in which they were proven, where it was found.
    pub proven_at: Vec<(OutPoint, u64)>,
    /// What it had when the invoice expired; none before that, or if it was not asked for.
    pub at_expiry: Option<AtExpiry>,
}

/// What the account had in the last block that was in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtExpiry {
    Had(U256),
    /// No node keeps that block's state any more.
    Forgotten,
}

impl Invoice {
    pub fn amount(&self) -> Amount {
        Amount::from_sat(self.terms.amount_sat)
    }

    pub fn amount_wei(&self) -> U256 {
        amount::wei(self.amount())
    }

    /// What is there for good: coins, tokens, and deposits whose coins were made.
    pub fn final_wei(&self) -> U256 {
        self.seen.coin_wei + self.seen.token_wei + self.deposits_wei(|arrival| arrival.minted_sat.is_some())
    }

    /// Deposits on their way.
    pub fn coming_wei(&self) -> U256 {
        self.deposits_wei(Arrival::is_coming)
    }

    fn deposits_wei(&self, counts: impl Fn(&Arrival) -> bool) -> U256 {
        let counted = self.seen.deposits.iter().filter(|arrival| counts(arrival));
        counted.map(|arrival| amount::wei(Amount::from_sat(arrival.amount_sat))).sum()
    }

    /// A payment to the Bitcoin address, as it was seen.
    pub fn arrival(&self, deposit: &Deposit) -> Option<&Arrival> {
        let outpoint = OutPoint::new(deposit.txid, deposit.vout);
        self.seen.deposits.iter().find(|arrival| arrival.outpoint == outpoint)
    }

    pub fn knows(&self, deposit: &Deposit) -> bool {
        self.arrival(deposit).is_some()
    }

    /// Takes in what was seen; whether anything of it is new.
    pub fn apply(&mut self, facts: &Facts) -> bool {
        if facts.block < self.seen.block {
            return false; // From a node that is behind: nothing is taken back.
        }
        let before = self.clone();
        self.count_account(facts);
        facts.deposits.iter().for_each(|deposit| self.count_deposit(deposit, facts));
        self.count_in_time(facts);
        if self.final_wei() >= self.amount_wei() {
            self.seen.paid_at.get_or_insert(facts.block_time);
        }
        self.tell(facts.block_time);
        let is_new = *self != before;
        (self.seen.block, self.seen.block_time) = (facts.block, facts.block_time);
        is_new
    }

    /// What came is what is there and what was taken. A transaction that is not noted yet makes it look like less: then what was seen before
    /// stays.
    fn count_account(&mut self, facts: &Facts) {
        if facts.nonce == self.earlier.saturating_add(self.collected.len() as u64) {
            let taken: U256 = self.collected.iter().map(|collected| collected.spent_wei).sum();
            self.seen.coin_wei = self.seen.coin_wei.max(facts.coin_wei + taken);
        }
        self.seen.token_wei = self.seen.token_wei.max(facts.token_wei + self.moved_token_wei);
        // Fewer than were seen: some were moved, and that is not noted yet.
        self.moved_token_wei = self.moved_token_wei.max(self.seen.token_wei - facts.token_wei.min(self.seen.token_wei));
    }

    fn count_deposit(&mut self, deposit: &Deposit, facts: &Facts) {
        let outpoint = OutPoint::new(deposit.txid, deposit.vout);
        let arrivals = &mut self.seen.deposits;
        if let Some(known) = arrivals.iter_mut().find(|arrival| arrival.outpoint == outpoint) {
            (known.status, known.minted_sat) = (deposit.status, deposit.minted_sat);
        } else if arrivals.len() < MAX_DEPOSITS {
            let Deposit { amount_sat, status, minted_sat, .. } = *deposit;
            let proven = facts.proven_at.iter().find(|(proven, _)| *proven == outpoint).map(|(_, at)| *at);
            let first_seen = proven.unwrap_or(facts.block_time).min(facts.block_time);
            arrivals.push(Arrival { outpoint, amount_sat, status, minted_sat, first_seen });
        }
    }

    fn count_in_time(&mut self, facts: &Facts) {
        let now = self.seen.coin_wei + self.seen.token_wei;
        match facts.at_expiry {
            _ if facts.block_time <= self.expires_at => self.seen.in_time_wei = now,
            Some(AtExpiry::Had(had)) => {
                // No more than came at all: what it had then is in that.
                self.seen.in_time_wei = self.seen.in_time_wei.max(had.min(now));
                self.seen.is_expiry_known = true;
            }
            Some(AtExpiry::Forgotten) => self.seen.is_expiry_known = true,
            None => {}
        }
    }

    /// As of the last look.
    pub fn state(&self) -> State {
        let standing = Standing {
            want: self.amount_wei(),
            done: self.final_wei(),
            coming: self.coming_wei(),
            in_time: self.in_time_wei(),
            is_over: self.seen.block_time > self.expires_at || self.seen.is_expiry_known,
        };
        standing.state()
    }

    /// Whether a look in a block of this time has to ask what the account had when the invoice expired.
    pub fn asks_for_expiry(&self, block_time: u64) -> bool {
        block_time > self.expires_at && !self.seen.is_expiry_known
    }

    /// What came in time, final or on its way.
    pub fn in_time_wei(&self) -> U256 {
        let is_in_time = |arrival: &Arrival| arrival.first_seen <= self.expires_at && !arrival.is_gone();
        self.seen.in_time_wei + self.deposits_wei(is_in_time)
    }

    /// Of what came to the account, what was not collected.
    pub fn uncollected_wei(&self) -> U256 {
        let taken: U256 = self.collected.iter().map(|collected| collected.spent_wei).sum();
        self.seen.coin_wei.saturating_sub(taken) + self.seen.token_wei.saturating_sub(self.moved_token_wei)
    }

    /// Events that wait to be posted, the oldest first; none without a webhook.
    pub fn undelivered(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| self.webhook.is_some() && !event.is_delivered)
    }

    /// Each state is told once: who pays in a thousand parts makes no thousand posts.
    fn tell(&mut self, now: u64) {
        let state = self.state();
        if state == State::Open || self.events.iter().any(|event| event.state == state) {
            return;
        }
        let named = [self.terms.account.as_slice(), state.name().as_bytes()].concat();
        let id = alloy_primitives::hex::encode(&keccak256(named)[..16]);
        self.events.push(Event { id, state, at: now, is_delivered: false });
    }
}

impl Arrival {
    fn is_gone(&self) -> bool {
        self.minted_sat.is_none() && self.status == DepositStatus::Gone
    }

    fn is_coming(&self) -> bool {
        self.minted_sat.is_none() && self.status != DepositStatus::Gone
    }
}

#[cfg(test)]
pub mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash as _;

    use super::*;

    /// Of 1,000 sat, open until second 100.
    pub fn invoice() -> Invoice {
        Invoice {
            reference: "order-1".into(),
            terms: Terms {
                network_id: B256::repeat_byte(1),
                chain_id: 51_717,
                amount_sat: 1_000,
                memo: None,
                owner: Address::repeat_byte(2),
                to: Address::repeat_byte(2),
                account: Address::repeat_byte(3),
                bitcoin_address: None,
            },
            created_at: 0,
            expires_at: 100,
            webhook: None,
            seen: Seen::default(),
            events: Vec::new(),
            earlier: 0,
            collected: Vec::new(),
            moved_token_wei: U256::ZERO,
        }
    }

    pub fn wei(sat: u64) -> U256 {
        amount::wei(Amount::from_sat(sat))
    }

    /// The account has so many satoshis, in a block of a time.
    fn has(block_time: u64, sat: u64) -> Facts {
        Facts { block: block_time, block_time, coin_wei: wei(sat), ..Facts::default() }
    }

    fn deposit(number: u32, sat: u64, status: DepositStatus) -> Deposit {
        Deposit {
            txid: Txid::all_zeros(),
            vout: number,
            status,
            recipient: Address::ZERO,
            claimant: Address::ZERO,
            amount_sat: sat,
            max_fee_sat: 0,
            minted_sat: (status == DepositStatus::Minted).then(|| sat - 10),
            bound: false,
            swept_by: None,
            height: 1,
            block_head: Default::default(),
            confirmations: 1,
            epoch: 0,
            has_left: false,
        }
    }

    fn after(all: &[Facts]) -> Invoice {
        let mut invoice = invoice();
        all.iter().for_each(|facts| {
            let _ = invoice.apply(facts);
        });
        invoice
    }

    #[test]
    fn dust_and_parts_confirm_nothing_until_all_of_it_is_there() {
        assert_eq!(after(&[has(1, 0)]).state(), State::Open);
        assert_eq!(after(&[has(1, 1)]).state(), State::Partial);
        assert_eq!(after(&[has(1, 999)]).state(), State::Partial);
        let short = Facts { coin_wei: wei(1_000) - U256::ONE, ..has(1, 0) };
        assert_eq!(after(&[short]).state(), State::Partial);
        let mixed = Facts { token_wei: wei(400), ..has(2, 600) };
        assert_eq!(after(&[has(1, 600), mixed]).state(), State::Paid);
        assert_eq!(after(&[has(1, 1_000), has(2, 2_000)]).state(), State::Overpaid);
    }

    #[test]
    fn what_comes_after_the_expiry_is_late_and_what_came_before_is_not_though_nobody_looked() {
        let at_expiry = |facts: Facts, had| Facts { at_expiry: Some(had), ..facts };
        let late = after(&[has(100, 0), at_expiry(has(101, 1_000), AtExpiry::Had(U256::ZERO))]);
        assert_eq!(late.state(), State::PaidLate);
        let in_time = after(&[at_expiry(has(5_000, 1_000), AtExpiry::Had(wei(1_000)))]);
        assert_eq!(in_time.state(), State::Paid);
        let forgotten = after(&[at_expiry(has(5_000, 1_000), AtExpiry::Forgotten)]);
        assert_eq!(forgotten.state(), State::PaidLate);
        assert_eq!(after(&[at_expiry(has(101, 0), AtExpiry::Had(U256::ZERO))]).state(), State::Expired);
        let part = after(&[has(100, 400), at_expiry(has(101, 400), AtExpiry::Had(wei(400)))]);
        assert_eq!(part.state(), State::Underpaid);
        let mut filled = part;
        filled.apply(&has(102, 1_000));
        assert_eq!(filled.state(), State::PaidLate);
    }

    #[test]
    fn bitcoin_counts_when_its_coins_are_made_and_not_when_it_is_spent_otherwise() {
        let with = |time, status| Facts { deposits: vec![deposit(0, 1_000, status)], ..has(time, 0) };
        let coming = after(&[with(90, DepositStatus::Proven)]);
        assert_eq!((coming.state(), coming.final_wei()), (State::Confirming, U256::ZERO));
        let mut expired = coming.clone();
        expired.apply(&Facts { at_expiry: Some(AtExpiry::Had(U256::ZERO)), ..with(200, DepositStatus::Swept) });
        assert_eq!(expired.state(), State::Confirming, "seen in time, deep enough later");
        expired.apply(&with(300, DepositStatus::Minted));
        assert_eq!(expired.state(), State::Paid, "the sweep's cost is the merchant's");
        let mut gone = coming;
        gone.apply(&with(95, DepositStatus::Gone));
        assert_eq!(gone.state(), State::Open);
    }

    #[test]
    fn what_was_collected_is_not_paid_again_and_a_second_payment_is_not_lost() {
        let mut invoice = after(&[has(1, 1_000)]);
        // Collected, and not noted yet: what was seen stays.
        invoice.apply(&Facts { nonce: 1, ..has(2, 3) });
        assert_eq!(invoice.seen.coin_wei, wei(1_000));
        invoice.collected.push(Collected { transaction: B256::ZERO, spent_wei: wei(997) });
        assert!(!invoice.apply(&Facts { nonce: 1, ..has(3, 3) }), "nothing is new");
        assert_eq!((invoice.state(), invoice.seen.coin_wei), (State::Paid, wei(1_000)));
        invoice.apply(&Facts { nonce: 1, ..has(4, 1_003) });
        assert_eq!((invoice.state(), invoice.seen.coin_wei), (State::Overpaid, wei(2_000)));
        assert!(!invoice.apply(&has(2, 0)), "a node that is behind takes nothing back");
    }

    #[test]
    fn bitcoin_that_was_proven_in_time_is_in_time_though_nobody_looked() {
        let deposits = vec![deposit(0, 1_000, DepositStatus::Minted)];
        let outpoint = OutPoint::new(deposits[0].txid, 0);
        let late = Facts { deposits, at_expiry: Some(AtExpiry::Had(U256::ZERO)), ..has(5_000, 0) };
        assert_eq!(after(std::slice::from_ref(&late)).state(), State::PaidLate);
        assert_eq!(after(&[Facts { proven_at: vec![(outpoint, 99)], ..late.clone() }]).state(), State::Paid);
        assert_eq!(after(&[Facts { proven_at: vec![(outpoint, 101)], ..late }]).state(), State::PaidLate);
    }

    #[test]
    fn an_order_whose_file_was_lost_after_it_was_collected_is_paid_by_what_comes_then() {
        let mut invoice = Invoice { earlier: 2, ..invoice() };
        invoice.apply(&Facts { nonce: 2, ..has(1, 0) });
        assert_eq!(invoice.state(), State::Open);
        invoice.apply(&Facts { nonce: 2, ..has(2, 1_000) });
        assert_eq!(invoice.state(), State::Paid);
        invoice.collected.push(Collected { transaction: B256::ZERO, spent_wei: wei(1_000) });
        assert!(!invoice.apply(&Facts { nonce: 3, ..has(3, 0) }), "taken, and counted once");
    }

    #[test]
    fn each_state_is_told_once_under_one_id() {
        let many: Vec<Facts> = (1..50).map(|time| has(time, time)).collect();
        let mut invoice = after(&many);
        invoice.apply(&has(60, 1_000));
        let told: Vec<State> = invoice.events.iter().map(|event| event.state).collect();
        assert_eq!(told, [State::Partial, State::Paid]);
        assert_ne!(invoice.events[0].id, invoice.events[1].id);
    }

    #[test]
    fn payments_to_the_bitcoin_address_are_kept_up_to_a_bound() {
        let deposits = (0..300).map(|number| deposit(number, 1, DepositStatus::Proven)).collect();
        let invoice = after(&[Facts { deposits, ..has(1, 0) }]);
        assert_eq!(invoice.seen.deposits.len(), MAX_DEPOSITS);
    }
}
