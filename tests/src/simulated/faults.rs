//! What goes wrong with a simulated server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridge::relay::view::BlockLog;

/// Logs as a node that lies tells them.
pub type Lie = fn(Vec<BlockLog>) -> Vec<BlockLog>;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// At once: nobody listens.
    Refuses,
    /// After the caller's patience.
    Hangs,
    /// By an answer that is an error of its own.
    Errs,
}

/// The faults of one server, which tests switch while it runs. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    faults: Arc<Mutex<Switched>>,
}

#[derive(Debug, Default)]
struct Switched {
    all: Option<Fault>,
    methods: BTreeMap<&'static str, Fault>,
    lie: Option<Lie>,
}

impl Faults {
    /// All calls fail so from now on, or none do.
    pub fn set(&self, fault: Option<Fault>) {
        self.lock().all = fault;
    }

    /// Calls of one method fail so from now on, or do not.
    pub fn set_method(&self, method: &'static str, fault: Option<Fault>) {
        let mut faults = self.lock();
        faults.methods.remove(method);
        faults.methods.extend(fault.map(|fault| (method, fault)));
    }

    /// How a call of this method fails now.
    #[must_use]
    pub fn of(&self, method: &'static str) -> Option<Fault> {
        let faults = self.lock();
        faults.all.or_else(|| faults.methods.get(method).copied())
    }

    /// Logs are told so from now on, or as they are.
    pub fn set_lie(&self, lie: Option<Lie>) {
        self.lock().lie = lie;
    }

    /// How these logs are told now.
    #[must_use]
    pub fn tell(&self, logs: Vec<BlockLog>) -> Vec<BlockLog> {
        let lie = self.lock().lie;
        match lie {
            Some(lie) => lie(logs),
            None => logs,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Switched> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
