//! The newest final header, and some before it. It only goes forward.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::B256;
use light::FinalHeader;

/// Headers that are kept besides the newest: for whoever asked for one a moment ago and goes on with it.
pub const RECENT: usize = 256;

/// What became of a header that a node shows as its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is newer than the one before.
    Newer,
    /// It is the one that is kept.
    Known,
}

/// Why a final header is not taken. The node that shows it is behind, or lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// A quorum signed it, and a later one: what happened since must not be hidden.
    #[error("shows block {got} as its newest, and block {kept} was final before: it is behind, or hides what is newer")]
    Older { got: u64, kept: u64 },
    /// Two blocks of one height that a quorum signed: more than a third of the validators are faulty. There is nothing to choose.
    #[error(
        "shows a block {number} that was signed, {got}, and another one was final already, {kept}: a third of the validators signed both"
    )]
    Fork { number: u64, got: B256, kept: B256 },
}

/// The newest final header, and recent ones by number.
#[derive(Clone, Debug)]
pub struct Heads {
    newest: Arc<FinalHeader>,
    recent: BTreeMap<u64, Arc<FinalHeader>>,
}

impl Heads {
    /// Begins with the genesis block, or with what was kept before.
    #[must_use]
    pub fn new(first: FinalHeader) -> Self {
        let newest = Arc::new(first);
        Self { recent: [(newest.header.number, newest.clone())].into(), newest }
    }

    #[must_use]
    pub fn newest(&self) -> Arc<FinalHeader> {
        self.newest.clone()
    }

    /// A header that is kept, by its number.
    #[must_use]
    pub fn at(&self, number: u64) -> Option<Arc<FinalHeader>> {
        self.recent.get(&number).cloned()
    }

    /// A header that is kept, by its hash.
    #[must_use]
    pub fn of(&self, hash: B256) -> Option<Arc<FinalHeader>> {
        self.recent.values().rev().find(|header| header.hash == hash).cloned()
    }

    /// Takes a header that its node shows as the newest.
    ///
    /// # Errors
    ///
    /// `Older`, `Fork`. Nothing changes then.
    pub fn take(&mut self, header: FinalHeader) -> Result<Taken, NotTaken> {
        let (got, kept) = (header.header.number, self.newest.header.number);
        if got < kept {
            return Err(NotTaken::Older { got, kept });
        }
        let header = self.remember(header)?;
        if got == kept {
            return Ok(Taken::Known);
        }
        self.newest = header;
        Ok(Taken::Newer)
    }

    /// Keeps a header for a while that somebody asked for. Of several thousand blocks ago none is kept long.
    ///
    /// # Errors
    ///
    /// `Fork`. Nothing changes then.
    pub fn remember(&mut self, header: FinalHeader) -> Result<Arc<FinalHeader>, NotTaken> {
        let number = header.header.number;
        if let Some(known) = self.recent.get(&number) {
            if known.hash != header.hash {
                return Err(NotTaken::Fork { number, got: header.hash, kept: known.hash });
            }
            return Ok(known.clone());
        }
        let header = Arc::new(header);
        self.recent.insert(number, header.clone());
        while self.recent.len() > RECENT {
            // The oldest goes, and never the newest: that is the last in the order, or this one.
            self.recent.pop_first();
        }
        Ok(header)
    }
}
