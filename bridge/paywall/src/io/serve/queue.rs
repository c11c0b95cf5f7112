//! Payments that wait to be brought to the chain, each with whoever waits for its end.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use alloy_primitives::U256;
use tokio::sync::{mpsc, oneshot};

use crate::authorization::Signed;
use crate::book::{Id, Settled};
use crate::refusal::Refusal;

/// A payment that is to be brought to the chain.
pub struct Due {
    pub payment: Signed,
    pub begun: Instant,
    /// Whoever waits for it. It may be gone.
    pub told: Option<oneshot::Sender<Result<Settled, Refusal>>>,
    /// A node was given it: only the chain says what becomes of it.
    pub was_sent: bool,
    /// The transaction in which it was with others failed.
    pub is_alone: bool,
}

/// Payments that wait. They are as many as there are places for settlements, and those of before the start.
pub struct Queue {
    sender: mpsc::UnboundedSender<Due>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Due>>>,
}

impl Default for Queue {
    fn default() -> Self {
        let (sender, waiting) = mpsc::unbounded_channel();
        Self { sender, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Due {
    /// Says how it ended.
    pub fn tell(self, end: Result<Settled, Refusal>) {
        if let Some(told) = self.told {
            let _ = told.send(end); // Whoever waited may be gone.
        }
    }

    pub fn id(&self) -> Id {
        Id::of(&self.payment.authorization)
    }

    /// Whether no block can carry it out any more.
    pub fn is_over(&self, at: u64) -> bool {
        self.payment.authorization.valid_before <= U256::from(at)
    }
}

impl Queue {
    /// What waits, for the one who sends it.
    pub fn take(&self) -> Option<mpsc::UnboundedReceiver<Due>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Its end; none if this process ends before.
    pub async fn bring(&self, payment: Signed, begun: Instant) -> Option<Result<Settled, Refusal>> {
        let (told, end) = oneshot::channel();
        self.add(Due { payment, begun, told: Some(told), was_sent: false, is_alone: false });
        end.await.ok()
    }

    /// Adds one.
    pub fn add(&self, due: Due) {
        let _ = self.sender.send(due); // Its reader ends with the desk.
    }
}
