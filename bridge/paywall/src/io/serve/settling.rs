//! Payments on their way to the chain: those that wait go together, and each has its own end.
//!
//! ```text
//!   due -> queue -> together, kept on disk -> sent -> final:  each that the token carried out    paid
//!            ^                                  |             brought by somebody else           paid
//!            |                                  |             neither                            failed
//!            +------ not used, and in time -----+--- failed as a whole (then each alone), or its nonce was taken
//! ```
//! Nothing waits for another's inclusion: while one transaction is on its way the next is sent. That an authorization counts once is the token's promise, so one
//! that is sent twice costs gas and pays once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use bridge::io::sidechain::Pending;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::desk::{Desk, now};
use super::queue::Due;
use crate::authorization::Signed;
use crate::book::{Sent, Settled};
use crate::io::chain::Fate;
use crate::io::chain::bundle::{MOST_TOGETHER, Waited};
use crate::io::chain::outgoing::{Keep, Undone};
use crate::refusal::Refusal;

/// How long a payment waits for company while others are on their way. A block comes each half second or later.
const COMPANY: Duration = Duration::from_millis(20);
/// Between two tries when the chain cannot be asked, or says what makes no sense.
const PAUSE: Duration = Duration::from_secs(1);

/// What has to be known of a transaction after a start.
struct Kept<'a> {
    desk: &'a Desk,
    payments: &'a [Signed],
    was_kept: AtomicBool,
}

impl Keep for Kept<'_> {
    async fn keep(&self, pending: &Pending) -> Result<(), Refusal> {
        self.desk.keep_sent(self.payments, pending).await?;
        self.was_kept.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn payments(dues: &[Due]) -> Vec<Signed> {
    dues.iter().map(|due| due.payment.clone()).collect()
}

/// Sends what waits, for as long as there is a desk.
async fn send_all(desk: Weak<Desk>, mut queue: mpsc::UnboundedReceiver<Due>) {
    let mut dues = Vec::new();
    loop {
        let room = MOST_TOGETHER - dues.len();
        if dues.is_empty() && queue.recv_many(&mut dues, room).await == 0 {
            return;
        }
        sleep(COMPANY).await;
        while dues.len() < MOST_TOGETHER
            && let Ok(due) = queue.try_recv()
        {
            dues.push(due);
        }
        let Some(desk) = desk.upgrade() else { return };
        dues = desk.send(dues).await;
    }
}

/// Goes on with what was on its way when an earlier process ended, and sends what comes.
pub fn start(desk: &Arc<Desk>) {
    if let Some(waiting) = desk.queue.take() {
        tokio::spawn(send_all(Arc::downgrade(desk), waiting));
    }
    let mut together: BTreeMap<(Address, u64), Vec<Sent>> = BTreeMap::new();
    for (_, _, sent) in desk.on_their_way() {
        together.entry((sent.sender, sent.sender_nonce)).or_default().push(sent);
    }
    for sent in together.into_values() {
        tracing::info!(transaction = %sent[0].transaction, payments = sent.len(), "going on with a settlement");
        tokio::spawn(desk.clone().resume(sent));
    }
}

impl Desk {
    /// Sends as many as can go together; those that are left.
    async fn send(self: &Arc<Self>, dues: Vec<Due>) -> Vec<Due> {
        let most = match self.chain.most_together().await {
            Ok(most) => most,
            Err(refusal) => {
                self.not_sent(dues, &refusal, false);
                return Vec::new();
            }
        };
        let (over, mut dues): (Vec<_>, Vec<_>) = dues.into_iter().partition(|due| due.is_over(self.latest()));
        over.into_iter().for_each(|due| self.too_late(due));
        let lonely = dues.iter().position(|due| due.is_alone);
        let count = match lonely {
            Some(0) => 1,
            Some(first) => first.min(most),
            None => dues.len().min(most),
        };
        let rest = dues.split_off(count);
        if dues.is_empty() {
            return rest;
        }
        let payments = payments(&dues);
        let keep = Kept { desk: self, payments: &payments, was_kept: AtomicBool::new(false) };
        match self.chain.send_together(&payments, &keep).await {
            Ok(pending) => drop(tokio::spawn(self.clone().follow(dues, pending))),
            Err(undone) => {
                let refusal = match undone {
                    Undone::Here(refusal) => refusal,
                    // A pool runs nothing: it is full, or keeps this account waiting.
                    Undone::WouldFail(words) | Undone::Failed(words) => {
                        tracing::warn!(%words, "no settlement is taken");
                        Refusal::Busy
                    }
                };
                self.not_sent(dues, &refusal, keep.was_kept.into_inner());
            }
        }
        rest
    }

    /// The time after which nothing can be carried out that was valid until then.
    fn latest(&self) -> u64 {
        self.chain.head().map(|head| head.timestamp).unwrap_or_default()
    }

    /// What was never sent is forgotten. What a node was given, whatever it said, is only given up when the chain says so.
    fn not_sent(self: &Arc<Self>, dues: Vec<Due>, refusal: &Refusal, was_kept: bool) {
        let is_unclear = was_kept && matches!(refusal, Refusal::Busy | Refusal::ChainDown);
        for mut due in dues {
            due.was_sent |= is_unclear;
            if due.was_sent {
                // What may be there is looked for before it is sent once more.
                tokio::spawn(self.clone().look_later(due));
            } else {
                self.ended(due, Err(refusal.clone()));
            }
        }
    }

    async fn look_later(self: Arc<Self>, due: Due) {
        sleep(PAUSE).await;
        self.look_for(due, Next::Again).await;
    }

    fn too_late(self: &Arc<Self>, due: Due) {
        if due.was_sent {
            tokio::spawn(self.clone().look_for(due, Next::Fail));
            return;
        }
        let until = due.payment.authorization.valid_before;
        self.ended(due, Err(Refusal::Expired { until, now: now(), margin: 0 }));
    }

    /// Until a transaction with payments has its end, and each of them.
    async fn follow(self: Arc<Self>, mut dues: Vec<Due>, mut pending: Pending) {
        dues.iter_mut().for_each(|due| due.was_sent = true);
        let mut tries = 0;
        let waited = loop {
            match self.chain.wait(&pending).await {
                Waited::Still => {
                    tries += 1;
                    if let Some(more) = self.more_for(&dues, pending.nonce, tries).await {
                        pending = more;
                    }
                }
                Waited::Unknown => sleep(PAUSE).await,
                waited => break waited,
            }
        };
        self.conclude(dues, &waited);
    }

    /// What became of each payment of a transaction.
    fn conclude(self: &Arc<Self>, dues: Vec<Due>, waited: &Waited) {
        let next = match waited {
            Waited::Failed if dues.len() > 1 => Next::Alone,
            Waited::Failed | Waited::Final(..) => Next::Fail,
            _ => Next::Again,
        };
        for due in dues {
            match waited {
                Waited::Final(carried_out, transaction) if carried_out.has(&due.payment.authorization) => {
                    let settled = self.paid(due.id(), *transaction, due.begun);
                    due.tell(Ok(settled));
                }
                _ => drop(tokio::spawn(self.clone().look_for(due, next))),
            }
        }
    }

    /// The same payments under the same nonce, kept and sent.
    async fn more_for(&self, dues: &[Due], nonce: u64, tries: usize) -> Option<Pending> {
        let payments = payments(dues);
        let more = self.chain.again(&payments, nonce, tries)?;
        self.keep_sent(&payments, &more).await.ok()?;
        self.chain.send_again(&more).await;
        Some(more)
    }

    /// What became of a payment that its transaction did not carry out.
    async fn look_for(self: Arc<Self>, mut due: Due, next: Next) {
        let fate = loop {
            // An earlier time: what is over by then was over before the chain is asked.
            let at = self.latest();
            match self.chain.fate(&due.payment.authorization).await {
                Ok(fate) => break (fate, due.is_over(at)),
                Err(_) => sleep(PAUSE).await,
            }
        };
        match (fate, next) {
            ((Fate::Paid(transaction), _), _) => {
                let settled = self.paid(due.id(), transaction, due.begun);
                due.tell(Ok(settled));
            }
            ((Fate::Unused, false), Next::Again | Next::Alone) => {
                due.is_alone |= next == Next::Alone;
                self.queue.add(due);
            }
            _ => self.ended(due, Err(Refusal::TokenRefuses("it was sent and not carried out".to_owned()))),
        }
    }

    /// It will not be paid.
    fn ended(&self, due: Due, end: Result<Settled, Refusal>) {
        self.fail(due.id());
        due.tell(end);
    }

    /// Goes on with one transaction of an earlier process: under the same nonce, if that was the account's that sends now.
    async fn resume(self: Arc<Self>, sent: Vec<Sent>) {
        let due = |sent: &Sent| Due {
            payment: Signed { authorization: sent.authorization, signature: sent.signature.clone() },
            begun: Instant::now(),
            told: None,
            was_sent: true,
            is_alone: false,
        };
        let dues: Vec<Due> = sent.iter().map(due).collect();
        let Sent { sender, sender_nonce, transaction, .. } = sent[0];
        if let Ok(Some(receipt)) = self.chain.receipt(transaction).await {
            return self.conclude(dues, &Waited::of(&receipt));
        }
        if sender == self.chain.sender()
            && let Some(pending) = self.more_for(&dues, sender_nonce, 0).await
        {
            return self.follow(dues, pending).await;
        }
        for due in dues {
            tokio::spawn(self.clone().look_for(due, Next::Again));
        }
    }
}

/// What to do with a payment that was not carried out and still can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Fail,
    Alone,
    Again,
}
