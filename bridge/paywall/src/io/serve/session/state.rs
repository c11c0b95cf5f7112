//! All sessions: the payee's books, and what is known of channels beside them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{DurablePayee, PayeeError};
use payments::payee::Refused;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::super::desk::Desk;
use super::super::openings;
use super::super::passing::Passing;
use crate::authorization::Token;
use crate::counters::{family, line};
use crate::io::chain::Chain;
use crate::refusal::Refusal;
use crate::session::offer::Channels;
use crate::session::places::Places;
use crate::session::receipt::{NeedVoucher, SessionReceipt};
use crate::session::refused::{SessionRefused, Why};
use crate::till::Till;

/// Channels that are opened or topped up at a time, each by a transaction that the payee pays for.
pub const MOST_FUNDED: usize = 32;
/// Of one payer: with two at once one authorization could be signed for both, and the second would fail at the payee's cost.
pub const MOST_FUNDED_BY_ONE: usize = 1;
/// The most gas that is given for one claim: more than it takes (contracts/README.md), as the contract wants some left.
pub const CLAIM_GAS: u64 = 600_000;
/// Channels that are looked up in the chain at a time because a stranger named them.
const MOST_LOOKED_UP: usize = 8;
/// How long one waits for that.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(5);
/// Closed channels whose last receipt is kept for who asks again.
pub const MOST_CLOSED: usize = 1_024;

/// What is asked of the chain's last final state.
pub trait FinalState: Send + Sync {
    /// The last final block, and those of these channels that are there in its state.
    fn look<'a>(&'a self, channels: &'a [B256]) -> Looking<'a>;
}

/// An answer that is waited for; else the reason in words.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<Look, String>> + Send + 'a>>;

/// What a final state says.
#[derive(Clone, Debug)]
pub struct Look {
    pub at: SeenAt,
    /// With their payers.
    pub channels: Vec<(Address, Channel)>,
}

/// How sessions are served.
pub struct SessionSettings {
    pub state: Box<dyn FinalState>,
    pub channels: Channels,
    /// Seconds since the chain was heard of until nothing is given any more: a small part of the delay after a request to close.
    pub most_age_s: u64,
    /// Wei of one channel that are claimed at once.
    pub claim_at: u128,
    /// After so long less is claimed, too.
    pub claim_after: Duration,
    /// How long a metered answer waits for money.
    pub patience: Duration,
}

/// A channel's payer, and what was spent on gas for it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub payer: Address,
    pub signer: Address,
    pub gas_wei: u128,
}

/// Someone waits for a channel's money.
pub struct Bell {
    pub rings: Arc<Notify>,
    /// Metered answers that listen.
    pub answers: usize,
}

/// All sessions.
pub struct Sessions {
    pub payee: DurablePayee,
    pub chain: Arc<Chain>,
    pub desk: Arc<Desk>,
    pub passing: Arc<Passing>,
    pub till: Arc<Till>,
    pub settings: SessionSettings,
    pub token: Token,
    known: Mutex<BTreeMap<B256, Known>>,
    bells: Mutex<BTreeMap<B256, Bell>>,
    /// Openings by payer that are under way.
    pub funded: Mutex<BTreeMap<Address, usize>>,
    pub funding: Arc<Semaphore>,
    looking_up: Semaphore,
    /// Openings of payers who have not paid for them yet.
    pub trusted: openings::Shared,
    pub metered: Mutex<Places>,
    /// Requests that are being answered, by channel and name.
    pub in_hand: Mutex<BTreeSet<(B256, B256)>>,
    /// Channels and nonces of top-ups that were brought lately.
    pub topped: Mutex<VecDeque<(B256, B256)>>,
    /// For which paid requests the upstream was asked again.
    pub again: Mutex<BTreeSet<B256>>,
    pub closed: Mutex<VecDeque<(B256, SessionReceipt)>>,
    /// Up to which block changes were read.
    pub read_up_to: Mutex<u64>,
    pub counters: Mutex<Counters>,
}

/// What was done, for Prometheus.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub opened: u64,
    pub topped_up: u64,
    pub closed: u64,
    pub vouchers: u64,
    pub ticks: u64,
    pub claims: u64,
    pub claimed_wei: u128,
    pub spent_wei: u128,
    pub paused: u64,
}

impl Sessions {
    /// With the payee's books.
    pub fn new(
        payee: DurablePayee,
        (desk, passing, till): (Arc<Desk>, Arc<Passing>, Arc<Till>),
        settings: SessionSettings,
    ) -> Self {
        Self {
            payee,
            chain: desk.chain.clone(),
            desk,
            passing,
            token: till.token,
            till,
            settings,
            known: Mutex::default(),
            bells: Mutex::default(),
            funded: Mutex::default(),
            funding: Arc::new(Semaphore::new(MOST_FUNDED)),
            looking_up: Semaphore::new(MOST_LOOKED_UP),
            trusted: openings::Shared::default(),
            metered: Mutex::default(),
            in_hand: Mutex::default(),
            topped: Mutex::default(),
            again: Mutex::default(),
            closed: Mutex::default(),
            read_up_to: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    pub fn channels(&self) -> &Channels {
        &self.settings.channels
    }

    /// A channel that is not known is looked for in the chain: opened by its payer alone, or before this payee lost its files.
    pub async fn find(&self, id: B256) -> Result<(), Refusal> {
        if self.payee.balance(id).is_some() {
            return Ok(());
        }
        let _place = self.place_to_look(id).await?;
        self.observe(&[id]).await?;
        match self.payee.balance(id) {
            Some(_) => Ok(()),
            None => Err(SessionRefused::new(id, Why::NotFound).into()),
        }
    }

    /// Whoever names channels that are not there takes places in turn with those whose are.
    pub async fn place_to_look(&self, id: B256) -> Result<SemaphorePermit<'_>, Refusal> {
        let place = timeout(LOOK_UP_PATIENCE, self.looking_up.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| SessionRefused::new(id, Why::TooMany).into())
    }

    /// Reads channels from the chain. What is new and not taken is told if it is the only one.
    pub async fn observe(&self, ids: &[B256]) -> Result<SeenAt, Refusal> {
        let look = self.settings.state.look(ids).await.map_err(|why| {
            tracing::warn!(%why, "the chain's final state cannot be read");
            Refusal::ChainDown
        })?;
        for (payer, channel) in look.channels {
            let (id, is_over) = (channel.id, channel.finalized);
            let signer = channel.signer;
            // What was spent of it is forgotten with it.
            self.settle_trust(id, is_over || channel.closing.is_some());
            match self.payee.observe(channel, look.at) {
                Ok(()) if is_over => drop(self.known().remove(&id)),
                Ok(()) => {
                    let new = Known { payer, signer, gas_wei: 0 };
                    self.known().entry(id).or_insert(new);
                }
                Err(PayeeError::Refused(refused)) if ids.len() == 1 => {
                    return Err(SessionRefused::from_books(id, &refused).into());
                }
                Err(PayeeError::Refused(_)) => {}
                Err(error) => return Err(self.refused(id, error)),
            }
            self.ring(id);
        }
        Ok(look.at)
    }

    /// What the books refuse, with where the channel stands.
    pub fn refused(&self, id: B256, error: PayeeError) -> Refusal {
        match error {
            PayeeError::Refused(refused) => self.short(id, &refused, 0),
            error => {
                tracing::error!(%error, "sessions cannot be kept");
                Refusal::NotKept
            }
        }
    }

    /// The same for a request that costs so much.
    pub fn short(&self, id: B256, refused: &Refused, cost: u128) -> Refusal {
        let why = SessionRefused::from_books(id, refused);
        // Whoever signs for it may know where it stands, and nobody else.
        let is_signers = !matches!(why.why, Why::OtherSigner | Why::BadSignature);
        match self.payee.balance(id).filter(|_| is_signers) {
            Some(balance) => {
                let need = NeedVoucher::new(id, &balance, cost, self.settings.channels.least_delta);
                why.standing(balance, need.required_cumulative).into()
            }
            None => why.into(),
        }
    }

    /// Nothing is given for what could not be claimed: a payer may take it back meanwhile.
    ///
    /// # Errors
    ///
    /// `NoGas`, `ChainDown`.
    pub fn can_claim(&self) -> Result<(), Refusal> {
        let (has, wants) = (self.chain.gas_balance().ok_or(Refusal::ChainDown)?, self.chain.cost(CLAIM_GAS)?);
        if has < U256::from(wants) { Err(Refusal::NoGas) } else { Ok(()) }
    }

    /// Who paid the channel in, and who signs its vouchers.
    pub fn who(&self, id: B256) -> Option<Known> {
        self.known().get(&id).copied()
    }

    /// There may be more money in this channel.
    pub fn ring(&self, id: B256) {
        if let Some(bell) = self.bells().get(&id) {
            bell.rings.notify_waiters();
        }
    }

    pub fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut lock(&self.counters));
    }

    /// As Prometheus reads it.
    pub fn metrics(&self) -> String {
        let Counters { opened, topped_up, closed, vouchers, ticks, claims, claimed_wei, spent_wei, paused } =
            *lock(&self.counters);
        let mut text = String::new();
        for (name, help, value) in [
            ("opened_total", "Channels that were opened for sessions.", u128::from(opened)),
            ("topped_up_total", "Top-ups of channels.", u128::from(topped_up)),
            ("closed_total", "Channels that were closed at their payers' word.", u128::from(closed)),
            ("vouchers_total", "Vouchers that raised a total.", u128::from(vouchers)),
            ("ticks_total", "Ticks that were sent.", u128::from(ticks)),
            ("paused_total", "Times that an answer waited for money.", u128::from(paused)),
            ("spent_wei_total", "Wei that were spent.", spent_wei),
            ("claims_total", "Transactions that claimed.", u128::from(claims)),
            ("claimed_wei_total", "Wei that were claimed.", claimed_wei),
        ] {
            family(&mut text, &format!("session_{name}"), "counter", help);
            line(&mut text, &format!("session_{name}"), value);
        }
        let metered = lock(&self.metered).taken();
        for (name, help, value) in [
            ("channels", "Channels that are known.", self.payee.channels().len()),
            ("metered_answers", "Answers that are being given by the unit.", metered),
        ] {
            family(&mut text, &format!("session_{name}"), "gauge", help);
            line(&mut text, &format!("session_{name}"), value);
        }
        text
    }

    pub fn known(&self) -> MutexGuard<'_, BTreeMap<B256, Known>> {
        lock(&self.known)
    }

    pub fn bells(&self) -> MutexGuard<'_, BTreeMap<B256, Bell>> {
        lock(&self.bells)
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
