//! Where vouchers are taken: the ledger, its journal and the chain together.
//!
//! A deposit or refund runs by itself once it is begun, with the channel in hand, whether or not its client still waits.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall as _, SolValue as _};
use bridge::io::sidechain::Call;
use contracts::standard::{X402_AUTHORIZED_DEPOSITS, X402_BATCH_SETTLEMENT};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::asked_once::AskedOnce;
use crate::batch::Terms;
use crate::batch::channel::{Config, DepositTerms};
use crate::batch::contract::BatchSettlement;
use crate::batch::ledger::{Asked, Ledger, Look, Mirror, Record, Row};
use crate::batch::payload::{Brought, Deposit, Voucher};
use crate::batch::refusal::Flaw;
use crate::batch::sponsored::Sponsored;
use crate::io::chain::channels::{cost, refunded};
use crate::io::chain::outgoing::Undone;
use crate::io::journal::Journal;
use crate::io::serve::desk::{Desk, now};
use crate::io::serve::openings::{self, Begun};
use crate::openings::Standing;
use crate::payers::Outcome;
use crate::refusal::Refusal;
use crate::till::Till;
use crate::x402::PaymentPayload;

/// Channels that are read from the chain at a time because a request names them.
const MOST_READS: usize = 32;
/// Gas of having the contract pay the payee what was claimed, at most.
pub(super) const SETTLE_GAS: u64 = 80_000;
/// Deposits and refunds on their way at a time.
const MOST_IN_FLIGHT: usize = 128;
/// Channels of one payer that are read anew before it is refused another: it has four at first.
const MOST_WEIGHED: usize = 16;
/// How long a client waits for its deposit or refund to be final.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a look at the chain for so long nothing is known of it.
const MOST_SILENT: Duration = Duration::from_secs(15);

/// When vouchers are claimed, beside when a payer takes its money back: then at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimSettings {
    /// Wei of one channel that are claimed at once.
    pub at: u128,
    /// Less is claimed when it has waited so long.
    pub after: Duration,
}

impl Default for ClaimSettings {
    /// Ten thousand satoshis, some two thousand times the gas of a claim; or an hour.
    fn default() -> Self {
        Self { at: 100_000_000_000_000, after: Duration::from_secs(3_600) }
    }
}

pub struct Channels {
    ledger: Mutex<Ledger>,
    journal: Journal<Record>,
    pub desk: Arc<Desk>,
    pub terms: Terms,
    pub claims: ClaimSettings,
    reads: Semaphore,
    places: Arc<Semaphore>,
    /// One claim at a time.
    pub(super) claiming: tokio::sync::Mutex<()>,
    /// Wei of gas of deposits that were brought for other servers, by channel.
    sponsored: Mutex<Sponsored>,
    /// First deposits that were brought here, until what is charged has paid for them.
    openings: openings::Shared,
    /// Deposits for other servers.
    pub(super) made: Arc<AskedOnce<Result<Settled, Refusal>>>,
    /// When it was last seen what happened on the chain.
    followed: Mutex<Option<Instant>>,
}

/// A channel in the hand of one request. Whatever ends that request lets it go.
pub struct Hand {
    pub channels: Arc<Channels>,
    pub id: B256,
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.channels.ledger().let_go(self.id);
    }
}

/// A deposit or a refund that was made.
pub struct Made {
    pub hand: Hand,
    /// None: somebody else brought it.
    pub transaction: Option<B256>,
    /// Wei that were deposited, or given back.
    pub amount: u128,
}

/// A transaction that was made for another server.
#[derive(Clone)]
pub struct Settled {
    pub transaction: B256,
    pub amount: String,
    pub payer: Option<Address>,
    pub channel: Option<B256>,
}

impl Channels {
    /// Opens with what its journal had.
    ///
    /// # Errors
    ///
    /// The folder is in use or damaged.
    pub fn open(folder: &Path, desk: Arc<Desk>, terms: Terms, claims: ClaimSettings) -> std::io::Result<Arc<Self>> {
        let (journal, records) = Journal::open(folder)?;
        let (ledger, openings) = (Ledger::replay(records), openings::Shared::default());
        for (channel, payer, gas) in ledger.unpaid() {
            openings::lock(&openings).recall(channel, payer, gas, now());
        }
        Ok(Arc::new(Self {
            ledger: Mutex::new(ledger),
            journal,
            desk,
            terms,
            claims,
            reads: Semaphore::new(MOST_READS),
            places: Arc::new(Semaphore::new(MOST_IN_FLIGHT)),
            claiming: tokio::sync::Mutex::default(),
            sponsored: Mutex::default(),
            openings,
            made: Arc::default(),
            followed: Mutex::default(),
        }))
    }

    /// That a payment looks right, before anything is looked up.
    ///
    /// # Errors
    ///
    /// Its terms are others, or its voucher is none of its payer's.
    pub fn check_head(&self, till: &Till, payload: &PaymentPayload) -> Result<(), Refusal> {
        let brought = Brought::read(payload)?;
        brought.check_terms(till, &self.terms, &payload.accepted)?;
        brought.check_voucher(&till.token).map(drop)
    }

    /// Takes a channel in hand.
    ///
    /// # Errors
    ///
    /// `ChannelBusy`.
    pub fn hold(self: &Arc<Self>, id: B256) -> Result<Hand, Refusal> {
        self.ledger().hold(id)?;
        Ok(Hand { channels: self.clone(), id })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sponsored(&self) -> MutexGuard<'_, Sponsored> {
        self.sponsored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the chain says of a channel is known from now on.
    pub fn is_followed(&self) {
        *self.followed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// As [`Journal::broken`].
    pub async fn broken(&self) -> String {
        self.journal.broken().await
    }

    /// Makes the journal anew, without what was forgotten.
    pub fn tidy(&self) {
        let ledger = self.ledger();
        self.journal.renew(&ledger.records());
        drop(ledger);
        openings::lock(&self.openings).expire(now());
    }

    fn check_followed(&self) -> Result<(), Refusal> {
        let followed = *self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.filter(|seen| seen.elapsed() < MOST_SILENT).map(drop).ok_or(Refusal::ChainDown)
    }

    /// Reads a channel if it is not known what the chain says of it. `least`: of a channel that is new here; none: a deposit is about to come.
    ///
    /// # Errors
    ///
    /// `ChainDown`, `ClockWrong`, `Busy`, `NotFound`, `ChannelTooSmall`.
    pub async fn ready(&self, brought: &Brought, least: Option<u128>) -> Result<(), Refusal> {
        self.desk.chain.clock(now())?.check()?;
        self.check_followed()?;
        let is_read = self.ledger().find(brought.channel).is_some_and(|known| known.mirror.is_some());
        if is_read { Ok(()) } else { self.read(brought, least).await }
    }

    /// What the chain says of any channel.
    ///
    /// # Errors
    ///
    /// `ChainDown`, `Busy`.
    pub async fn ask(&self, channel: B256) -> Result<Mirror, Refusal> {
        let _place = self.reads.try_acquire().map_err(|_| Refusal::Busy)?;
        self.desk.chain.channel(channel).await
    }

    async fn read(&self, brought: &Brought, least: Option<u128>) -> Result<(), Refusal> {
        let look = self.ledger().look();
        let mirror = self.ask(brought.channel).await?;
        self.seen(brought, mirror, look, least)
    }

    /// A channel that is new here is remembered from now on, if it has anything.
    fn seen(&self, brought: &Brought, mirror: Mirror, look: Look, least: Option<u128>) -> Result<(), Refusal> {
        let mut ledger = self.ledger();
        if !ledger.knows(brought.channel) && (mirror.balance > 0 || least.is_some()) {
            let opened = ledger.open(brought.channel, &brought.config, mirror, least.unwrap_or_default(), now())?;
            // What follows from it is another record: this one is durable before that.
            drop(self.journal.add(&opened));
        }
        ledger.seen(brought.channel, mirror, look);
        drop(ledger);
        self.weigh(brought.channel);
        Ok(())
    }

    /// Brings a deposit to the chain, and ends when it is final.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being final now.
    pub async fn deposit(&self, hand: Hand, brought: &Brought, deposit: &Deposit) -> Result<Made, Refusal> {
        let place = self.place()?;
        let (brought, deposit) = (brought.clone(), deposit.clone());
        waited(tokio::spawn(fill(hand, brought, deposit, place))).await
    }

    /// Gives back what is left of a channel or a part of it, and claims what was charged with the same transaction.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being final now.
    pub async fn refund(&self, hand: Hand, brought: &Brought, amount: u128) -> Result<Made, Refusal> {
        let place = self.place()?;
        waited(tokio::spawn(give_back(hand, brought.clone(), amount, place))).await
    }

    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)
    }

    /// Charges for a page that is about to be given: on disk when this returns.
    ///
    /// # Errors
    ///
    /// `NotKept`.
    pub async fn charge(
        &self,
        hand: &Hand,
        voucher: &Voucher,
        amount: u128,
        asked: Option<Asked>,
    ) -> Result<(), Refusal> {
        let durable = {
            let mut ledger = self.ledger();
            let record = ledger.charge(hand.id, voucher, amount, now(), asked).ok_or(Refusal::NotKept)?;
            self.journal.add(&record)
        };
        durable.await.map_err(|_| Refusal::NotKept)
    }

    fn keep(&self, change: impl FnOnce(&mut Ledger) -> Option<Record>) {
        let mut ledger = self.ledger();
        if let Some(record) = change(&mut ledger) {
            drop(self.journal.add(&record)); // If it is lost, the chain says the rest.
        }
    }

    /// Claims these, and has the contract pay what was claimed. What one of them makes fail is claimed without it.
    ///
    /// # Errors
    ///
    /// `ChainDown`, `NoGas`: later.
    pub async fn claim(&self, rows: &[Row]) -> Result<(), Refusal> {
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            match self.claim_together(part).await {
                Ok(()) => {}
                Err(Undone::Here(refusal)) => return Err(refusal),
                Err(Undone::WouldFail(why) | Undone::Failed(why)) if part.len() == 1 => {
                    tracing::error!(channel = %part[0].channel, %why, "a voucher cannot be claimed");
                    self.ledger().postpone(part[0].channel, now());
                }
                Err(_) => parts.extend([&part[..part.len() / 2], &part[part.len() / 2..]]),
            }
        }
        Ok(())
    }

    async fn claim_together(&self, rows: &[Row]) -> Result<(), Undone> {
        let chain = &self.desk.chain;
        let Some(first) = rows.first() else { return Ok(()) };
        let settle = BatchSettlement::settleCall { receiver: first.config.receiver, token: first.config.token };
        let call = many(vec![claim_of(rows.iter().map(parts)), settle.abi_encode()]);
        let gas = chain.gas_of(&call).await?;
        let receipt = chain.carry_out(&call, gas).await?;
        for row in rows {
            self.look(row.channel).await;
        }
        let amount = rows.iter().fold(0, |sum: u128, row| sum.saturating_add(row.amount));
        self.desk.count(|counters| counters.claimed(rows.len(), amount, cost(&receipt)));
        tracing::info!(channels = rows.len(), amount, transaction = %receipt.transaction_hash, "claimed");
        Ok(())
    }

    /// Reads a known channel; says so if it cannot be.
    pub async fn look(&self, channel: B256) {
        let look = self.ledger().look();
        match self.desk.chain.channel(channel).await {
            Ok(mirror) => self.ledger().seen(channel, mirror, look),
            Err(_) => self.ledger().is_old(channel),
        }
        self.weigh(channel);
    }
}

impl Channels {
    /// Begins a first deposit, if not too many of this payer are still to be paid for.
    ///
    /// # Errors
    ///
    /// `UnpaidOpenings`.
    pub(super) async fn begin_opening(&self, payer: Address) -> Result<Begun, Refusal> {
        let unpaid = openings::lock(&self.openings).unpaid_of(payer);
        unpaid.into_iter().for_each(|channel| self.weigh(channel));
        if let Ok(begun) = Begun::begin(&self.openings, payer) {
            return Ok(begun);
        }
        // Those of other servers' ledgers: what was claimed of them the chain knows.
        let unpaid = openings::lock(&self.openings).unpaid_of(payer);
        let foreign: Vec<_> = unpaid.into_iter().filter(|channel| !self.ledger().knows(*channel)).collect();
        for channel in foreign.into_iter().take(MOST_WEIGHED) {
            let mirror = self.ask(channel).await?;
            let standing = Standing { bought: mirror.claimed, is_over: mirror.is_left() };
            openings::lock(&self.openings).look(channel, standing, now());
        }
        let begun = Begun::begin(&self.openings, payer);
        begun.map_err(|too_many| Flaw::UnpaidOpenings { payer, wait_s: too_many.wait_s }.into())
    }

    /// Sees whether a channel has paid for its first deposit, or will not any more.
    fn weigh(&self, channel: B256) {
        let standing = self.ledger().standing(channel);
        if let Some(standing) = standing {
            openings::lock(&self.openings).look(channel, standing, now());
        }
    }
}

/// Ends with a task that goes on by itself if it takes too long.
async fn waited(task: JoinHandle<Result<Made, Refusal>>) -> Result<Made, Refusal> {
    timeout(PATIENCE, task).await.map_err(|_| Refusal::NotFinal)?.map_err(|_| Refusal::NotFinal)?
}

async fn fill(hand: Hand, brought: Brought, deposit: Deposit, _place: OwnedSemaphorePermit) -> Result<Made, Refusal> {
    let channels = hand.channels.clone();
    let (desk, payer) = (&channels.desk, brought.config.payer);
    let value = U256::from(deposit.terms.amount);
    // A later one is brought for who has paid for all before.
    let is_first = channels.ledger().is_unspent(brought.channel);
    let opening = if is_first { Some(channels.begin_opening(payer).await?) } else { None };
    let mut turn = desk.turn(payer).await?;
    let (promised, _promise) = desk.promise(payer, value);
    let call = deposit_call(&brought, &deposit);
    let gas = match desk.chain.gas_of(&call).await {
        Ok(gas) => gas,
        Err(undone) => return channels.brought_by_others(hand, &brought, &deposit, undone).await,
    };
    let free = desk.chain.tokens_of(payer).await?.saturating_sub(promised);
    if free < value {
        return Err(Flaw::Unfunded { payer, balance: free, want: deposit.terms.amount }.into());
    }
    let begun = Instant::now();
    let receipt = match desk.chain.carry_out(&call, gas).await {
        Ok(receipt) => receipt,
        Err(undone) => {
            let was_sent = matches!(undone, Undone::Failed(_));
            let made = channels.brought_by_others(hand, &brought, &deposit, undone).await;
            if was_sent && made.is_err() {
                turn.outcome = Outcome::Failed;
                opening.into_iter().for_each(Begun::failed);
            }
            return made;
        }
    };
    let read = channels.read_or_old(&brought).await;
    // What has landed has paid for nothing yet.
    opening.into_iter().for_each(|opening| opening.opened(brought.channel, cost(&receipt)));
    channels.keep(|ledger| ledger.spent(brought.channel, cost(&receipt)));
    read?;
    desk.count(|counters| counters.settled(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)));
    tracing::info!(%payer, channel = %brought.channel, amount = deposit.terms.amount, transaction = %receipt.transaction_hash, "deposited");
    Ok(Made { hand, transaction: Some(receipt.transaction_hash), amount: deposit.terms.amount })
}

impl Channels {
    /// Anybody may bring a deposit to the contract, and it fills the same channel: one that cannot be brought may be there.
    async fn brought_by_others(
        &self,
        hand: Hand,
        brought: &Brought,
        deposit: &Deposit,
        undone: Undone,
    ) -> Result<Made, Refusal> {
        let flaw = match undone {
            Undone::Here(refusal) => return Err(refusal),
            Undone::WouldFail(why) if why.contains("exceeds balance") => {
                let (payer, want) = (brought.config.payer, deposit.terms.amount);
                Flaw::Unfunded { payer, balance: self.desk.chain.tokens_of(payer).await?, want }
            }
            Undone::WouldFail(why) => Flaw::DepositRefused(why),
            Undone::Failed(_) => Flaw::DepositFailed,
        };
        self.read_or_old(brought).await?;
        let is_there = self.ledger().find(hand.id).and_then(|known| known.mirror);
        match is_there {
            Some(mirror) if mirror.available() >= brought.voucher.max => {
                Ok(Made { hand, transaction: None, amount: 0 })
            }
            _ => Err(flaw.into()),
        }
    }

    /// Reads a channel anew, whatever is known of it.
    async fn read_or_old(&self, brought: &Brought) -> Result<(), Refusal> {
        let look = self.ledger().look();
        let read = self.desk.chain.channel(brought.channel).await;
        let mirror = read.inspect_err(|_| self.ledger().is_old(brought.channel))?;
        self.seen(brought, mirror, look, None)
    }

    /// What can be given back of a channel whose charged total a voucher names, and what was asked of it.
    ///
    /// # Errors
    ///
    /// `Mismatch` and the like, `RefundAmount`, `NothingLeft`.
    pub async fn refundable(&self, brought: &Brought, asked: Option<&str>) -> Result<u128, Refusal> {
        let asked = match asked.map(crate::batch::payload::number) {
            None => u128::MAX,
            Some(Some(amount)) if amount > 0 => amount,
            Some(_) => return Err(Flaw::RefundAmount.into()),
        };
        self.desk.chain.clock(now())?.check()?;
        self.check_followed()?;
        self.read_or_old(brought).await?;
        let ledger = self.ledger();
        ledger.check(brought.channel, brought.voucher.max, 0, 0, now())?;
        let known = ledger.find(brought.channel).ok_or(Flaw::NotFound)?;
        let left = known.mirror.unwrap_or_default().balance.saturating_sub(known.charged);
        if left == 0 { Err(Flaw::NothingLeft.into()) } else { Ok(asked.min(left)) }
    }
}

async fn give_back(hand: Hand, brought: Brought, amount: u128, _place: OwnedSemaphorePermit) -> Result<Made, Refusal> {
    let channels = hand.channels.clone();
    let chain = &channels.desk.chain;
    let row = channels.ledger().row(hand.id);
    let claim = row.as_ref().map(|row| claim_of([parts(row)]));
    let refund = BatchSettlement::refundCall { config: brought.config.contract(), amount };
    let mut calls: Vec<Vec<u8>> = claim.into_iter().chain([refund.abi_encode()]).collect();
    let call = many(calls.clone());
    let failed = |undone: Undone| match undone {
        Undone::Here(refusal) => refusal,
        Undone::WouldFail(why) => Flaw::RefundRefused(why).into(),
        Undone::Failed(_) => Flaw::RefundFailed.into(),
    };
    let gas = chain.gas_of(&call).await.map_err(failed)?;
    let price = u128::try_from(chain.head()?.fees.cost(gas)).unwrap_or(u128::MAX);
    channels.ledger().check_gas(hand.id, price / 2, true)?;
    // What was claimed is the contract's until it is asked to pay: there may be no later claim that does.
    let payee = brought.config.receiver;
    let claimed = chain.unsettled(payee).await?.saturating_add(row.map_or(0, |row| row.amount));
    let is_worth = U256::from(claimed) > chain.head()?.fees.cost(SETTLE_GAS);
    let (call, gas) = if is_worth {
        calls.push(BatchSettlement::settleCall { receiver: payee, token: brought.config.token }.abi_encode());
        let call = many(calls);
        let gas = chain.gas_of(&call).await.map_err(failed)?;
        (call, gas)
    } else {
        (call, gas)
    };
    let receipt = chain.carry_out(&call, gas).await.map_err(failed)?;
    let amount = refunded(&receipt, hand.id);
    channels.look(hand.id).await;
    channels.keep(|ledger| ledger.spent(hand.id, cost(&receipt)));
    tracing::info!(channel = %hand.id, amount, transaction = %receipt.transaction_hash, "refunded");
    Ok(Made { hand, transaction: Some(receipt.transaction_hash), amount })
}

impl Hand {
    /// The channel's ledger entry is dropped if the chain knows all of it.
    pub fn close(&self) {
        self.channels.keep(|ledger| ledger.close(self.id));
    }

    pub fn mirror(&self) -> Mirror {
        self.channels.ledger().find(self.id).and_then(|known| known.mirror).unwrap_or_default()
    }
}

pub(super) fn deposit_call(brought: &Brought, deposit: &Deposit) -> Call {
    let DepositTerms { amount, valid_after, valid_before, salt } = deposit.terms;
    let proof =
        (U256::from(valid_after), U256::from(valid_before), U256::from_be_bytes(salt.0), deposit.signature.clone());
    let call = BatchSettlement::depositCall {
        config: brought.config.contract(),
        amount,
        collector: X402_AUTHORIZED_DEPOSITS,
        collectorData: proof.abi_encode_params().into(),
    };
    Call::new(X402_BATCH_SETTLEMENT, &call)
}

pub(super) fn claim_of<'a>(rows: impl IntoIterator<Item = (&'a Config, &'a Voucher, u128)>) -> Vec<u8> {
    let rows = rows.into_iter();
    let claims = rows.map(|(config, voucher, total)| config.claim(voucher.max, voucher.signature.clone(), total));
    BatchSettlement::claimCall { voucherClaims: claims.collect() }.abi_encode()
}

fn parts(row: &Row) -> (&Config, &Voucher, u128) {
    (&row.config, &row.voucher, row.total)
}

/// Several calls in one transaction, all or none.
pub(super) fn many(calls: Vec<Vec<u8>>) -> Call {
    let data = calls.into_iter().map(Into::into).collect();
    Call::new(X402_BATCH_SETTLEMENT, &BatchSettlement::multicallCall { data })
}
