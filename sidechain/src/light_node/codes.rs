//! Code by its hash, which proves it: it is right for good.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{B256, Bytes};

/// Code, the least recently used of which is let go beyond a number of bytes.
#[derive(Clone, Debug)]
pub struct Codes {
    codes: HashMap<B256, (u64, Bytes)>,
    /// Hash by time of use: a counter.
    used: BTreeMap<u64, B256>,
    bytes: usize,
    most_bytes: usize,
    now: u64,
}

impl Codes {
    /// At most so many bytes, and what is used last in any case.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self { codes: HashMap::new(), used: BTreeMap::new(), bytes: 0, most_bytes, now: 0 }
    }

    /// The code of a hash, if it is here.
    pub fn get(&mut self, hash: B256) -> Option<Bytes> {
        let (used, code) = self.codes.get_mut(&hash)?;
        self.now += 1;
        self.used.remove(used);
        self.used.insert(self.now, hash);
        *used = self.now;
        Some(code.clone())
    }

    /// Takes code whose hash was checked.
    pub fn put(&mut self, hash: B256, code: Bytes) {
        if self.get(hash).is_some() {
            return;
        }
        self.now += 1;
        self.bytes += code.len();
        self.used.insert(self.now, hash);
        self.codes.insert(hash, (self.now, code));
        while self.bytes > self.most_bytes && self.codes.len() > 1 {
            let Some((_, oldest)) = self.used.pop_first() else { return };
            self.bytes -= self.codes.remove(&oldest).map_or(0, |(_, code)| code.len());
        }
    }

    /// Bytes that are kept.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}
