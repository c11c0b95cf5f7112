//! The task that follows bitcoind for all others.

use std::sync::Arc;

use tokio::sync::watch;

use super::bitcoind::Bitcoind;
use super::error::{FatalError, RoundError};
use super::gather_bitcoin::BitcoinGatherer;
use super::health::{Health, Pulse};
use super::node::Node;
use crate::relay::facts::BitcoinView;
use crate::relay::view::LedgerView;

/// What the task is made of.
pub struct BitcoinTask<N, B> {
    pub gatherer: BitcoinGatherer<N, B>,
    pub ledger: watch::Receiver<Option<Arc<LedgerView>>>,
    /// None while bitcoind does not answer.
    pub bitcoin: watch::Sender<Option<Arc<BitcoinView>>>,
    pub health: Health,
    pub pulse: Pulse,
}

impl<N: Node, B: Bitcoind> BitcoinTask<N, B> {
    /// Looks once for each round of the ledger, until that is not followed any more.
    pub async fn run(mut self) -> Result<(), FatalError> {
        while self.ledger.changed().await.is_ok() {
            self.pulse.beat();
            let ledger = self.ledger.borrow_and_update().clone();
            let Some(ledger) = ledger else { continue };
            match self.gatherer.gather(&ledger).await {
                Ok(view) => {
                    self.health.recovered();
                    self.bitcoin.send_replace(Some(Arc::new(view)));
                }
                Err(RoundError::Fatal(error)) => return Err(error),
                Err(error) => {
                    self.health.failed(error.kind(), &error);
                    self.bitcoin.send_replace(None);
                }
            }
        }
        Ok(())
    }
}
