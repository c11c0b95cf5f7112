//! Blocks that were executed here and are not final: a tree that stands on the head, and the state after each of them.
//!
//! While nothing becomes final it grows, for as long as that lasts. What it takes of memory is bounded nevertheless, by what
//! the blocks may hold ([`super::unfinal`]) and not by their number: the oldest blocks of a long chain are folded into one
//! trunk, of which only the rows at its end are kept.
//!
//! ```text
//!   head - 1 - 2 - ... - 64 - 65 - ... - 128       the newest, each with its own changes
//!         \____ trunk ____/  \        \
//!              rows at 64     65b      66b          rivals that got no quorum
//! ```
//!
//! Whatever is in it can be built on: nothing that anything stands on is let go. What was let go (a rival, when there is too
//! much; or a block that is in the trunk, when it becomes final) is executed again when it is needed.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use alloy_primitives::{Address, B256};
use alloy_rlp::Encodable as _;

use super::unfinal::Burden;
use crate::{
    block::{Header, Receipt, TxEnvelope},
    execution::Executed,
    state::{Folded, store::Table},
};

/// Blocks of one chain that keep their own changes. Beyond twice as many, the older half goes into the trunk. More than ever
/// wait for finality while all is well (two or three), so that rounds and votes that are late meet them whole.
const RECENT: usize = 32;

/// Bytes from which on rivals are let go, the lowest first. Above what one chain takes at most ([`super::unfinal`]).
const MAX_BYTES: usize = 1 << 30;

/// Memory of a row of a hash map besides its bytes, about.
const ROW_BYTES: usize = 128;

/// The blocks above the head that were executed here.
#[derive(Default)]
pub(super) struct Pending {
    blocks: HashMap<B256, Arc<Executed>>,
    trunk: Option<Arc<Trunk>>,
    /// Memory of `blocks`, about.
    bytes: usize,
}

/// The oldest blocks of a long chain: what they left, and little of themselves.
#[derive(Clone)]
pub(super) struct Trunk {
    /// The last of them.
    tip: Header,
    hash: B256,
    rows: Folded,
    /// All of them, from the block after the head on.
    blocks: VecDeque<Past>,
}

/// What is remembered of a block in the trunk.
#[derive(Clone)]
struct Past {
    hash: B256,
    burden: Burden,
    transactions: Vec<B256>,
}

/// A chain of executed blocks from one of them down to the head.
pub(super) struct Branch {
    /// Newest first.
    recent: Vec<Arc<Executed>>,
    trunk: Option<Arc<Trunk>>,
}

impl Pending {
    /// The chain that ends in `block`: empty for the head, `None` when it cannot be built on here.
    pub(super) fn branch(&self, block: B256, head: B256) -> Option<Branch> {
        let mut recent = Vec::new();
        let mut next = block;
        loop {
            if next == head {
                return Some(Branch { recent, trunk: None });
            }
            if let Some(trunk) = self.trunk.as_ref().filter(|trunk| trunk.hash == next) {
                return Some(Branch { recent, trunk: Some(trunk.clone()) });
            }
            let executed = self.blocks.get(&next)?;
            next = executed.block.header.parent_hash;
            recent.push(executed.clone());
        }
    }

    /// A block with its own changes.
    pub(super) fn get(&self, hash: B256) -> Option<&Arc<Executed>> {
        self.blocks.get(&hash)
    }

    /// Keeps a block, unless what it stands on is gone meanwhile.
    pub(super) fn insert(&mut self, executed: Executed, head: B256) {
        let hash = executed.hash;
        if self.blocks.contains_key(&hash) || self.branch(executed.block.header.parent_hash, head).is_none() {
            return;
        }
        self.bytes += memory(&executed);
        self.blocks.insert(hash, Arc::new(executed));
        if let Some(branch) = self.branch(hash, head).filter(|branch| branch.recent.len() > 2 * RECENT) {
            self.fold(branch, head);
        }
        while self.bytes > MAX_BYTES
            && let Some(rival) = self.lowest_rival(hash)
        {
            self.remove(rival);
        }
    }

    /// The block with this number and hash is the head now. What does not stand on it goes.
    pub(super) fn advance(&mut self, number: u64, head: B256) {
        self.trunk = self.trunk.take().and_then(|trunk| trunk.after(number, head));
        self.keep_standing(head);
    }

    /// Puts the older half of a chain into the trunk. What stands on one of its blocks, instead of on its end, goes.
    fn fold(&mut self, branch: Branch, head: B256) {
        let Branch { mut recent, trunk } = branch;
        let old = recent.split_off(RECENT);
        let Some(last) = old.first().cloned() else { return };
        // The trunk is shared with executions that run now; they keep what they started with.
        self.trunk = None;
        let (mut rows, mut blocks) = match trunk.map(Arc::unwrap_or_clone) {
            Some(Trunk { rows, blocks, .. }) => (rows, blocks),
            None => Default::default(),
        };
        for executed in old.iter().rev() {
            rows.add(&executed.overlay);
            blocks.push_back(Past::of(executed));
            self.remove(executed.hash);
        }
        self.trunk = Some(Arc::new(Trunk { tip: last.block.header.clone(), hash: last.hash, rows, blocks }));
        self.keep_standing(head);
    }

    fn keep_standing(&mut self, head: B256) {
        let mut standing: HashSet<B256> = self.trunk.iter().map(|trunk| trunk.hash).chain([head]).collect();
        let mut blocks: Vec<_> = self.blocks.values().cloned().collect();
        blocks.sort_by_key(|executed| executed.block.number());
        for executed in blocks {
            if standing.contains(&executed.block.header.parent_hash) {
                standing.insert(executed.hash);
            } else {
                self.remove(executed.hash);
            }
        }
    }

    /// The lowest block that nothing stands on, except for `newest`.
    fn lowest_rival(&self, newest: B256) -> Option<B256> {
        let parents: HashSet<B256> = self.blocks.values().map(|executed| executed.block.header.parent_hash).collect();
        let rivals =
            self.blocks.values().filter(|executed| executed.hash != newest && !parents.contains(&executed.hash));
        rivals.min_by_key(|executed| (executed.block.number(), executed.hash)).map(|executed| executed.hash)
    }

    fn remove(&mut self, hash: B256) {
        if let Some(executed) = self.blocks.remove(&hash) {
            self.bytes -= memory(&executed);
        }
    }

    /// Blocks with their own changes.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.trunk.is_none() && self.bytes == 0
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Trunk {
    /// What is left of it above a new head; `None` when it does not stand on it, or ends there.
    fn after(mut self: Arc<Self>, number: u64, head: B256) -> Option<Arc<Self>> {
        let first = self.first();
        let position = usize::try_from(number.checked_sub(first)?).ok()?;
        let stands = self.blocks.get(position).is_some_and(|past| past.hash == head);
        if !stands || position + 1 == self.blocks.len() {
            return None;
        }
        Arc::make_mut(&mut self).blocks.drain(..=position);
        Some(self)
    }

    /// Number of its first block.
    fn first(&self) -> u64 {
        self.tip.number + 1 - self.blocks.len() as u64
    }
}

impl Past {
    fn of(executed: &Executed) -> Self {
        let transactions = executed.block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect();
        Self { hash: executed.hash, burden: Burden::of(&executed.block), transactions }
    }
}

impl Branch {
    /// Header of its newest block; `None` when it is empty.
    pub(super) fn tip(&self) -> Option<&Header> {
        let recent = self.recent.first().map(|executed| &executed.block.header);
        recent.or_else(|| self.trunk.as_ref().map(|trunk| &trunk.tip))
    }

    /// The row, if one of the blocks changed it.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let recent = self.recent.iter().find_map(|executed| executed.overlay.get(table, key));
        recent.or_else(|| self.trunk.as_ref()?.rows.get(table, key))
    }

    /// The hash of its block with this number, if it has one.
    pub(super) fn hash_of(&self, number: u64) -> Option<B256> {
        let depth = usize::try_from(self.tip()?.number.checked_sub(number)?).ok()?;
        match self.recent.get(depth) {
            Some(executed) => Some(executed.hash),
            None => {
                let trunk = self.trunk.as_ref()?;
                let position = usize::try_from(number.checked_sub(trunk.first())?).ok()?;
                trunk.blocks.get(position).map(|past| past.hash)
            }
        }
    }

    /// What its blocks with a higher number than this hold together.
    pub(super) fn burden_above(&self, number: u64) -> Burden {
        let recent = self.recent.iter().filter(|executed| executed.block.number() > number);
        let recent = recent.map(|executed| Burden::of(&executed.block));
        let past = self.trunk.iter().flat_map(|trunk| (trunk.first()..).zip(&trunk.blocks));
        recent.chain(past.filter(|(of, _)| *of > number).map(|(_, past)| past.burden)).sum()
    }

    /// Hashes of the transactions in its blocks.
    pub(super) fn transactions(&self) -> BTreeSet<B256> {
        let recent = self.recent.iter().flat_map(|executed| &executed.block.transactions).map(|sent| *sent.tx_hash());
        let past = self.trunk.iter().flat_map(|trunk| trunk.blocks.iter().flat_map(|past| &past.transactions)).copied();
        recent.chain(past).collect()
    }
}

/// Memory that a block takes while it is pending, about.
fn memory(executed: &Executed) -> usize {
    let transactions: usize =
        executed.block.transactions.iter().map(|sent| size_of::<TxEnvelope>() + sent.length()).sum();
    let senders = executed.senders.len() * size_of::<Address>();
    let receipts: usize = executed.receipts.iter().map(|receipt| size_of::<Receipt>() + 2 * receipt.length()).sum();
    let row = |row: &Option<Vec<u8>>| row.as_ref().map_or(0, Vec::len);
    let changes = executed.overlay.changes();
    let rows: usize =
        changes.map(|(_, key, change)| ROW_BYTES + key.len() + row(&change.before) + row(&change.after)).sum();
    let codes: usize = executed.overlay.codes.values().map(|code| ROW_BYTES + code.len()).sum();
    size_of::<Executed>() + transactions + senders + receipts + rows + codes
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{block::Block, state::Overlay};

    const HEAD: B256 = B256::repeat_byte(0xaa);

    /// A block that changes one row (a code, named by its own hash) of some bytes, which are shared.
    fn executed(number: u64, rival: u64, parent_hash: B256, code: &Bytes) -> Executed {
        let header = Header { number, parent_hash, gas_used: rival, ..Header::default() };
        let hash = header.hash_slow();
        let mut overlay = Overlay::default();
        overlay.codes.insert(hash, code.clone());
        let block = Block { header, transactions: Vec::new() };
        Executed { hash, block, senders: Vec::new(), receipts: Vec::new(), overlay }
    }

    // head - 1 - 2 - 3 - ...       each with a rival of 64 MiB
    //     \ 1b \ 2b \ 3b
    #[test]
    fn rivals_go_when_there_is_too_much_and_the_chain_never_does() {
        let (small, large) = (Bytes::from_static(&[1]), Bytes::from(vec![2; 64 << 20]));
        let mut pending = Pending::default();
        let mut chain = vec![HEAD];
        for number in 1..=60 {
            let parent = chain[chain.len() - 1];
            let rival = executed(number, 1, parent, &large);
            let hash = rival.hash;
            pending.insert(rival, HEAD);
            assert!(pending.branch(hash, HEAD).is_some(), "the newest is kept");
            let block = executed(number, 0, parent, &small);
            chain.push(block.hash);
            pending.insert(block, HEAD);
            assert!(pending.bytes() <= MAX_BYTES + (64 << 20) + (1 << 20), "{} at {number}", pending.bytes());
            assert!(chain.iter().all(|block| pending.branch(*block, HEAD).is_some()));
        }
        assert!(pending.len() < 60 + 17);
    }

    #[test]
    fn a_block_without_its_ancestors_is_not_kept() {
        let mut pending = Pending::default();
        let orphan = executed(5, 0, B256::repeat_byte(5), &Bytes::new());
        let hash = orphan.hash;
        pending.insert(orphan, HEAD);
        assert!(pending.is_empty() && pending.branch(hash, HEAD).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        // A chain grows, with rivals that grow too; now and then its next block becomes final. Compared with a list of it.
        #[test]
        fn a_chain_with_rivals_reads_like_a_list(steps in proptest::collection::vec(0u8..8, 1..300)) {
            let code = Bytes::from_static(&[1]);
            let mut pending = Pending::default();
            let mut chain = vec![HEAD];
            let (mut head, mut rivals) = (0, 0);
            for step in steps {
                let tip = chain.len() - 1;
                match step {
                    0 if head < tip => {
                        head += 1;
                        pending.advance(head as u64, chain[head]);
                    }
                    1 => {
                        rivals += 1;
                        pending.insert(executed(tip as u64 + 1, rivals, chain[tip], &code), chain[head]);
                    }
                    _ => {
                        let block = executed(tip as u64 + 1, 0, chain[tip], &code);
                        chain.push(block.hash);
                        pending.insert(block, chain[head]);
                    }
                }
                let tip = chain.len() - 1;
                let branch = pending.branch(chain[tip], chain[head]).expect("the chain is usable");
                for (number, hash) in chain.iter().enumerate().skip(head + 1) {
                    prop_assert!(branch.get(Table::Code, hash.as_slice()).is_some());
                    prop_assert_eq!(branch.hash_of(number as u64), Some(*hash));
                }
                prop_assert_eq!(branch.hash_of(head as u64), None);
                prop_assert!(pending.len() <= 2 * RECENT + rivals as usize);
                let kept: usize = pending.blocks.values().map(|executed| memory(executed)).sum();
                prop_assert_eq!(pending.bytes(), kept);
            }
        }
    }
}
