//! Which unspent outputs pay a registered deposit address: blocks and hints go in, deposits come out.
//!
//! ```text
//!   register ----> wanted scripts
//!                        |
//!   connect(block) ------+-----------------------------------------------> found      paid after it was registered
//!   look_through(an older block), hint(outpoint) --"is it unspent?" yes--> found      paid before; `past` says in which blocks
//!   disconnect() <- the block is not on the best chain any more: what it paid is forgotten, what it spent is back
//! ```
//! It also remembers in which block a tracked transaction is (the vault transactions under way), which an unspent output
//! cannot tell once it is spent.
//!
//! Addresses are looked for as long as the node has their registrations, and while something that was paid to them is unspent.
//! It holds what can be asked again: after a restart the registrations come from the node, and the payments from the last blocks.

use mainchain::header::Height;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use bitcoin::{Amount, Block, BlockHash, OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use mainchain::deposit::DepositTerms;

/// Blocks that can be disconnected. A deeper reorganisation starts anew.
pub const UNDO_BLOCKS: usize = 144;

/// An unspent output that pays a registered address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedDeposit {
    pub terms: DepositTerms,
    pub amount: Amount,
    /// Of the block it is in.
    pub height: Height,
    pub coinbase: bool,
}

/// An unspent output of the best chain, as bitcoind reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub script: ScriptBuf,
    pub amount: Amount,
    /// At least 1.
    pub confirmations: u32,
    pub coinbase: bool,
    /// The best block when it was asked for.
    pub tip: BlockHash,
}

/// The block up to which everything was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub height: Height,
    pub hash: BlockHash,
}

/// The deposits of one best chain.
#[derive(Clone, Debug)]
pub struct DepositTracker {
    position: Position,
    wanted: BTreeMap<ScriptBuf, Wanted>,
    /// Outputs that may be unspent payments, to be asked for.
    hints: BTreeSet<OutPoint>,
    /// To be forgotten when nothing that was paid to them is unspent.
    lingering: Vec<(ScriptBuf, u64)>,
    /// Shared with whoever decides, so that a round in which nothing changes copies nothing.
    found: Arc<BTreeMap<OutPoint, TrackedDeposit>>,
    tracked: BTreeSet<Txid>,
    mined: BTreeMap<Txid, Position>,
    undo: VecDeque<Undo>,
}

/// What a script commits to, and the place of its registration in the node's list.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    terms: DepositTerms,
    cursor: u64,
}

#[derive(Clone, Debug)]
struct Undo {
    before: Position,
    spent: Vec<(OutPoint, TrackedDeposit)>,
}

/// A block that does not follow the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {got} follows {parent}, expected one that follows {want}")]
pub struct Unconnected {
    pub got: BlockHash,
    pub parent: BlockHash,
    pub want: BlockHash,
}

impl DepositTracker {
    /// Starts at a block; older outputs come from hints.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self {
            position,
            wanted: BTreeMap::new(),
            hints: BTreeSet::new(),
            lingering: Vec::new(),
            found: Arc::default(),
            tracked: BTreeSet::new(),
            mined: BTreeMap::new(),
            undo: VecDeque::new(),
        }
    }

    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Adds a registered address; whether it is a new one. Registering it again changes only its place in the list.
    pub fn register(&mut self, script: ScriptBuf, terms: DepositTerms, cursor: u64) -> bool {
        self.wanted.insert(script, Wanted { terms, cursor }).is_none()
    }

    /// Looks no longer for payments to addresses whose registrations the node has let go, by their places in its list. What is
    /// unspent of earlier payments to them stays, and so do their addresses: a reorganisation brings them back.
    pub fn forget(&mut self, gone: &[(ScriptBuf, u64)]) {
        let unspent: HashSet<DepositTerms> = self.found.values().map(|found| found.terms).collect();
        let mut gone = [std::mem::take(&mut self.lingering), gone.to_vec()].concat();
        gone.retain(|(script, cursor)| self.wanted.get(script).is_some_and(|wanted| wanted.cursor == *cursor));
        for (script, cursor) in gone {
            if unspent.contains(&self.wanted[&script].terms) {
                self.lingering.push((script, cursor));
            } else {
                self.wanted.remove(&script);
            }
        }
    }

    /// Addresses that are looked for.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.wanted.len()
    }

    /// The scripts that are looked for.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.wanted.keys().map(ScriptBuf::as_script)
    }

    /// Notes an output that may be an unspent payment to a registered address.
    pub fn hint(&mut self, outpoint: OutPoint) {
        if !self.found.contains_key(&outpoint) {
            self.hints.insert(outpoint);
        }
    }

    /// Notes the payments in a block that was connected before their addresses were known.
    pub fn look_through(&mut self, block: &Block) {
        for transaction in &block.txdata {
            let wanted = |output: &TxOut| self.wanted.contains_key(&output.script_pubkey);
            let paid: Vec<u32> =
                (0u32..).zip(&transaction.output).filter(|(_, output)| wanted(output)).map(|(vout, _)| vout).collect();
            if !paid.is_empty() {
                let txid = transaction.compute_txid();
                paid.into_iter().for_each(|vout| self.hint(OutPoint { txid, vout }));
            }
        }
    }

    /// The outputs to ask for, at most so many: are they in the best chain and unspent?
    #[must_use]
    pub fn hints(&self, most: usize) -> Vec<OutPoint> {
        self.hints.iter().take(most).copied().collect()
    }

    /// Takes in the answer about a hint: none when it is spent or not confirmed. One of another block than the last connected one is
    /// dropped, because outputs may have been spent in between: it is asked for again.
    pub fn answer_hint(&mut self, outpoint: OutPoint, output: Option<Output>) {
        if output.as_ref().is_some_and(|output| output.tip != self.position.hash) {
            return;
        }
        self.hints.remove(&outpoint);
        let Some(Output { script, amount, confirmations, coinbase, .. }) = output else { return };
        let Some(Wanted { terms, .. }) = self.wanted.get(&script) else { return };
        let height = (self.position.height + 1).saturating_sub(confirmations);
        let found = TrackedDeposit { terms: *terms, amount, height, coinbase };
        Arc::make_mut(&mut self.found).insert(outpoint, found);
    }

    /// Takes in the next block.
    ///
    /// # Errors
    ///
    /// [`Unconnected`] when it does not follow the last one. Nothing changes then.
    pub fn connect(&mut self, block: &Block) -> Result<(), Unconnected> {
        let hash = block.block_hash();
        let parent = block.header.prev_blockhash;
        if parent != self.position.hash {
            return Err(Unconnected { got: hash, parent, want: self.position.hash });
        }
        let before = self.position;
        self.position = Position { height: before.height + 1, hash };
        let mut spent = Vec::new();
        for transaction in &block.txdata {
            for outpoint in transaction.input.iter().map(|input| input.previous_output) {
                if self.found.contains_key(&outpoint) {
                    spent.extend(Arc::make_mut(&mut self.found).remove(&outpoint).map(|found| (outpoint, found)));
                }
            }
            self.find_in(transaction);
            self.note_mined(transaction);
        }
        self.undo.push_back(Undo { before, spent });
        if self.undo.len() > UNDO_BLOCKS {
            self.undo.pop_front();
        }
        Ok(())
    }

    fn find_in(&mut self, transaction: &Transaction) {
        let height = self.position.height;
        let mut txid = None;
        for (vout, output) in (0u32..).zip(&transaction.output) {
            if let Some(Wanted { terms, .. }) = self.wanted.get(&output.script_pubkey) {
                let txid = *txid.get_or_insert_with(|| transaction.compute_txid());
                let found =
                    TrackedDeposit { terms: *terms, amount: output.value, height, coinbase: transaction.is_coinbase() };
                Arc::make_mut(&mut self.found).insert(OutPoint { txid, vout }, found);
            }
        }
    }

    /// Vault transactions are of version 3, which few others are.
    fn note_mined(&mut self, transaction: &Transaction) {
        if transaction.version.0 == 3 {
            let txid = transaction.compute_txid();
            if self.tracked.contains(&txid) {
                self.mined.insert(txid, self.position);
            }
        }
    }

    /// Takes back the last block. False when it is too old to be taken back: start again with [`DepositTracker::restart`].
    pub fn disconnect(&mut self) -> bool {
        let Some(undo) = self.undo.pop_back() else {
            return false;
        };
        let gone = self.position.height;
        self.mined.retain(|_, block| block.height < gone);
        let found = Arc::make_mut(&mut self.found);
        found.retain(|_, found| found.height < gone);
        found.extend(undo.spent.into_iter().filter(|(_, found)| found.height < gone));
        self.position = undo.before;
        true
    }

    /// Forgets what was found and starts at another block; the registrations stay.
    pub fn restart(&mut self, position: Position) {
        let wanted = std::mem::take(&mut self.wanted);
        let tracked = std::mem::take(&mut self.tracked);
        let lingering = std::mem::take(&mut self.lingering);
        // What was found may be there still, on the other branch.
        let hints = std::mem::take(&mut self.hints).into_iter().chain(self.found.keys().copied()).collect();
        *self = Self { wanted, tracked, lingering, hints, ..Self::new(position) };
    }

    /// Says in which block these transactions are, from the next block on; those left out are forgotten.
    pub fn track(&mut self, transactions: BTreeSet<Txid>) {
        self.mined.retain(|txid, _| transactions.contains(txid));
        self.tracked = transactions;
    }

    /// The block of a tracked transaction, if it was seen in one.
    #[must_use]
    pub fn mined(&self, txid: &Txid) -> Option<Position> {
        self.mined.get(txid).copied()
    }

    /// The deposits that are unspent after the last block.
    #[must_use]
    pub fn tracked(&self) -> &Arc<BTreeMap<OutPoint, TrackedDeposit>> {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::block::{Header, Version};
    use bitcoin::hashes::Hash;
    use bitcoin::secp256k1::XOnlyPublicKey;
    use bitcoin::{CompactTarget, Sequence, TxIn, TxMerkleNode, TxOut, Witness, transaction};

    use super::*;

    fn start() -> DepositTracker {
        DepositTracker::new(Position { height: 100, hash: BlockHash::all_zeros() })
    }

    fn terms() -> DepositTerms {
        let key = XOnlyPublicKey::from_slice(&[2; 32]).expect("an x coordinate on the curve");
        DepositTerms {
            recipient: [7; 20],
            claimant: [8; 20],
            data_hash: [0; 32],
            reclaim_key: key,
            max_fee: Amount::from_sat(1_000),
            epoch: 1,
        }
    }

    fn script(byte: u8) -> ScriptBuf {
        ScriptBuf::from_bytes(vec![byte; 34])
    }

    /// Pays `sat` to each script, out of `spends`.
    fn pay(scripts: &[ScriptBuf], sat: u64, spends: &[OutPoint]) -> Transaction {
        let input = |previous_output: &OutPoint| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: spends.iter().map(input).collect(),
            output: scripts
                .iter()
                .map(|script| TxOut { value: Amount::from_sat(sat), script_pubkey: script.clone() })
                .collect(),
        }
    }

    fn block(tracker: &DepositTracker, txdata: Vec<Transaction>) -> Block {
        let header = Header {
            version: Version::ONE,
            prev_blockhash: tracker.position().hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: u32::try_from(txdata.len()).expect("few"),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        Block { header, txdata }
    }

    fn mine(tracker: &mut DepositTracker, txdata: Vec<Transaction>) {
        let block = block(tracker, txdata);
        tracker.connect(&block).expect("it follows");
    }

    fn outpoints(tracker: &DepositTracker) -> Vec<OutPoint> {
        tracker.tracked().keys().copied().collect()
    }

    // 100 - 101[pays a registered and a strange script] - 102[spends the deposit]
    #[test]
    fn a_deposit_is_found_in_its_block_and_gone_when_it_is_spent() {
        let mut tracker = start();
        tracker.register(script(1), terms(), 1);
        let payment = pay(&[script(9), script(1)], 50_000, &[]);
        let deposit = OutPoint { txid: payment.compute_txid(), vout: 1 };
        mine(&mut tracker, vec![payment]);
        let found = TrackedDeposit { terms: terms(), amount: Amount::from_sat(50_000), height: 101, coinbase: false };
        assert_eq!(tracker.tracked().iter().collect::<Vec<_>>(), [(&deposit, &found)]);
        mine(&mut tracker, vec![pay(&[], 0, &[deposit])]);
        assert_eq!(outpoints(&tracker), []);
    }

    // 100 - 101a[deposit] - 102a[spends it]        both blocks leave the best chain, one after the other
    #[test]
    fn a_reorg_brings_back_what_was_spent_and_forgets_what_was_paid() {
        let mut tracker = start();
        tracker.register(script(1), terms(), 1);
        let payment = pay(&[script(1)], 50_000, &[]);
        let deposit = OutPoint { txid: payment.compute_txid(), vout: 0 };
        mine(&mut tracker, vec![payment]);
        mine(&mut tracker, vec![pay(&[], 0, &[deposit])]);
        assert!(tracker.disconnect());
        assert_eq!(outpoints(&tracker), [deposit]);
        assert!(tracker.disconnect());
        assert_eq!(outpoints(&tracker), []);
        assert_eq!(tracker.position(), start().position());
        assert!(!tracker.disconnect(), "nothing is known of older blocks");
    }

    // 100 - 101[vault tx] - 102[spends its output]
    #[test]
    fn a_tracked_transaction_is_known_by_its_block_even_when_its_output_is_spent() {
        let mut tracker = start();
        let vault_tx = Transaction { version: transaction::Version(3), ..pay(&[script(9)], 50_000, &[]) };
        let txid = vault_tx.compute_txid();
        tracker.track(BTreeSet::from([txid]));
        mine(&mut tracker, vec![vault_tx]);
        let block = tracker.position();
        mine(&mut tracker, vec![pay(&[], 0, &[OutPoint { txid, vout: 0 }])]);
        assert_eq!(tracker.mined(&txid), Some(block));
        assert!(tracker.disconnect() && tracker.disconnect());
        assert_eq!(tracker.mined(&txid), None);
    }

    fn output(tracker: &DepositTracker, script: ScriptBuf, confirmations: u32) -> Output {
        Output { script, amount: Amount::from_sat(9), confirmations, coinbase: false, tip: tracker.position().hash }
    }

    // 100 is the last block; 81 has paid 1, twice, and once that is spent since
    #[test]
    fn a_payment_that_came_before_its_registration_is_found_in_its_block_if_it_is_unspent() {
        let mut tracker = start();
        assert!(tracker.register(script(1), terms(), 1) && !tracker.register(script(1), terms(), 2));
        let payment = pay(&[script(9), script(1), script(1)], 9, &[]);
        let paid = |vout| OutPoint { txid: payment.compute_txid(), vout };
        tracker.look_through(&block(&tracker, vec![payment.clone()]));
        assert_eq!(tracker.hints(10), [paid(1), paid(2)]);
        assert_eq!(tracker.hints(1), [paid(1)]);
        tracker.answer_hint(paid(1), Some(output(&tracker, script(1), 20)));
        tracker.answer_hint(paid(2), None);
        let found = TrackedDeposit { terms: terms(), amount: Amount::from_sat(9), height: 81, coinbase: false };
        assert_eq!(tracker.tracked().iter().collect::<Vec<_>>(), [(&paid(1), &found)]);
        assert_eq!(tracker.hints(10), []);
    }

    #[test]
    fn an_answer_of_another_block_is_asked_for_again_and_a_strange_output_is_no_deposit() {
        let mut tracker = start();
        tracker.register(script(1), terms(), 1);
        let outpoint = OutPoint { vout: 3, ..OutPoint::null() };
        tracker.hint(outpoint);
        let before = output(&tracker, script(1), 1);
        mine(&mut tracker, vec![]);
        tracker.answer_hint(outpoint, Some(before));
        assert_eq!((outpoints(&tracker), tracker.hints(10)), (vec![], vec![outpoint]));
        tracker.answer_hint(outpoint, Some(output(&tracker, script(2), 1)));
        assert_eq!((outpoints(&tracker), tracker.hints(10)), (vec![], vec![]));
    }

    #[test]
    fn a_block_that_does_not_follow_is_refused() {
        let mut tracker = start();
        let old = block(&tracker, vec![]);
        mine(&mut tracker, vec![]);
        let before = tracker.position();
        assert_eq!(tracker.connect(&old).expect_err("old").want, before.hash);
        assert_eq!(tracker.position(), before);
    }

    #[test]
    fn after_a_deep_reorg_all_addresses_are_wanted_and_all_deposits_asked_for_again() {
        let mut tracker = start();
        tracker.register(script(1), terms(), 1);
        let payment = pay(&[script(1)], 50_000, &[]);
        let deposit = OutPoint { txid: payment.compute_txid(), vout: 0 };
        mine(&mut tracker, vec![payment]);
        tracker.restart(Position { height: 7, hash: BlockHash::all_zeros() });
        assert_eq!((tracker.addresses(), outpoints(&tracker), tracker.hints(10)), (1, vec![], vec![deposit]));
    }

    // 100 - 101[pays 1]; the node lets 1, 2 and the old place of 3 go
    #[test]
    fn an_address_is_forgotten_with_its_registration_unless_something_is_paid_to_it_or_it_is_registered_anew() {
        let mut tracker = start();
        let of = |recipient| DepositTerms { recipient: [recipient; 20], ..terms() };
        assert!((1..=3).all(|number| tracker.register(script(number), of(number), number.into())));
        let payment = pay(&[script(1)], 50_000, &[]);
        let deposit = OutPoint { txid: payment.compute_txid(), vout: 0 };
        mine(&mut tracker, vec![payment.clone()]);
        tracker.register(script(3), of(3), 7);
        let gone: Vec<_> = (1..=3).map(|number| (script(number), number.into())).collect();
        tracker.forget(&gone);
        assert_eq!(tracker.scripts().collect::<Vec<_>>(), [&*script(1), &*script(3)]);
        // The block of the payment leaves the best chain, and the payment is in the next.
        assert!(tracker.disconnect());
        mine(&mut tracker, vec![payment]);
        assert_eq!(outpoints(&tracker), [deposit]);
        // It is swept, and then there is nothing to remember.
        mine(&mut tracker, vec![pay(&[], 0, &[deposit])]);
        tracker.forget(&[]);
        assert_eq!(tracker.scripts().collect::<Vec<_>>(), [&*script(3)]);
        mine(&mut tracker, vec![pay(&[script(2)], 50_000, &[])]);
        assert_eq!(outpoints(&tracker), []);
        // The past is looked through again for a user who registers again.
        assert!(tracker.register(script(2), of(2), 8));
    }
}
