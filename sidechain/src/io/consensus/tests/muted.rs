//! A channel that lets only some messages through.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{CheckedSender, LimitedSender, Message, Receiver, Recipients};
use commonware_runtime::IoBufs;

/// Which messages pass.
pub type Passes = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Sends and hears only what passes.
#[derive(Clone)]
pub struct Muted<T> {
    pub inner: T,
    pub passes: Passes,
}

impl<T> fmt::Debug for Muted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Muted")
    }
}

pub struct Checked<'a, S: LimitedSender + 'a> {
    inner: S::Checked<'a>,
    passes: &'a Passes,
}

impl<S: LimitedSender> LimitedSender for Muted<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = Checked<'a, S>;

    fn check(&mut self, recipients: Recipients<S::PublicKey>) -> Result<Checked<'_, S>, SystemTime> {
        Ok(Checked { inner: self.inner.check(recipients)?, passes: &self.passes })
    }
}

impl<S: LimitedSender> CheckedSender for Checked<'_, S> {
    type PublicKey = S::PublicKey;

    fn recipients(&self) -> Vec<S::PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into().coalesce();
        if (self.passes)(message.as_ref()) { self.inner.send(message, priority) } else { Unreliable::Rejected }
    }
}

impl<R: Receiver> Receiver for Muted<R> {
    type Error = R::Error;
    type PublicKey = R::PublicKey;

    async fn recv(&mut self) -> Result<Message<R::PublicKey>, R::Error> {
        loop {
            let (peer, message) = self.inner.recv().await?;
            if (self.passes)(message.as_ref()) {
                return Ok((peer, message));
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}
