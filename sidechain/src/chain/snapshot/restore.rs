//! The fetching side: which part comes next, whether an answer is the truth, and what is written for it.

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable as _, Encodable as _};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use api::snapshot::Part;
use contracts::{Books, Contract};

use super::{
    answer::{ANCESTORS, MAX_ACCOUNTS, MAX_CODES},
    part::{Malformed, Range, WholeBlock, decode_block, decode_codes, decode_ranges},
};
use crate::{
    block::{Header, recover},
    chain::receipts::receipts_batch,
    chain::rows::{
        META_BEGAN, META_BODIES_OLDEST, META_BODIES_SWEPT, META_LAST_CURSOR, META_NODES_OLDEST, META_STATE_OLDEST,
        block_batch, corrupt, put_head, stamp_format,
    },
    execution::{Executed, Supply},
    state::{
        Account, StateReader, account_node_key, encode_account, slot_key, storage_node_key,
        store::{Batch, Store, StoreError, Table},
        trie::range::{LAST_KEY, RangeError, StoredNode, verify_range},
    },
};

/// Where the header and the place to go on are kept.
const META_SNAPSHOT: &[u8] = b"snapshot";

/// Tables that no block has: deposit registrations.
const CARRIED: [Table; 2] = [Table::Registration, Table::RegistrationKey];

/// There when everything was copied.
const META_COMPLETE: &[u8] = b"snapshot_complete";

/// Accounts looked at for one question about storage or codes.
const PAGE: usize = 4096;

/// Why an answer is not taken. Whoever gave it lies, or its disk does; another may be better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Leaves that are not those of the state.
    #[error("{what}: {error}")]
    Range { what: String, error: Box<RangeError> },
    #[error("a value at {key} of {what} is not what a node stores there")]
    Value { what: String, key: B256 },
    #[error("{got} ranges or codes for {want} that were asked for")]
    Count { got: usize, want: usize },
    #[error("storage of {account} is cut off although that of the account after it is shown")]
    CutOff { account: B256 },
    #[error("code has hash {got}, expected {want}")]
    Code { got: B256, want: B256 },
    #[error("block has hash {got}, expected {want}")]
    Block { got: B256, want: B256 },
    #[error("receipts have root {got}, expected {want}")]
    Receipts { got: B256, want: B256 },
    #[error("headers do not lead to the block: {0}")]
    Ancestors(String),
    #[error("transaction {0} of the block is not one of this chain")]
    Transaction(usize),
}

/// Why a snapshot cannot be taken on.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The answer is wrong; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The validators certified a state that breaks the block rule.
    #[error("the state of block {number} is certified, but breaks the block rule: {supply}")]
    NotCovered { number: u64, supply: Box<Supply> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Ask for it, and give the answer to [`Restore::take`].
    Part(Part),
    /// Everything is here: [`Restore::finish`].
    Finish,
}

/// A state being copied into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    header: Header,
    hash: B256,
    cursor: Cursor,
}

/// Where to go on. Everything before is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    Block,
    Accounts { from: B256 },
    Slots { account: B256, slot: B256 },
    Codes { account: B256 },
    Done,
}

impl Restore {
    /// Begins with the header of a block that a certificate of its own makes final, in an empty store. Write the batch.
    #[must_use]
    pub fn begin(header: Header, certificate: &[u8]) -> (Self, Batch) {
        let restore = Self { hash: header.hash_slow(), header, cursor: Cursor::Block };
        let mut batch = Batch::default();
        // A validator's engine begins with it.
        batch.put(Table::Finality, restore.header.number.to_be_bytes(), certificate);
        restore.note(&mut batch);
        (restore, batch)
    }

    /// Goes on where a store was left; `None` when nothing was begun in it.
    ///
    /// # Errors
    ///
    /// When the store fails or is damaged.
    pub fn resume<S: Store>(store: &S) -> Result<Option<Self>, StoreError> {
        let Some(row) = store.get(Table::Meta, META_SNAPSHOT)? else { return Ok(None) };
        let wrong = || corrupt(Table::Meta, "the place in the snapshot does not decode".to_owned());
        let (place, mut header) = row.split_first_chunk::<65>().ok_or_else(wrong)?;
        let header = Header::decode(&mut header).map_err(|_| wrong())?;
        let (first, second) = (B256::from_slice(&place[1..33]), B256::from_slice(&place[33..]));
        let cursor = match place[0] {
            0 => Cursor::Block,
            1 => Cursor::Accounts { from: first },
            2 => Cursor::Slots { account: first, slot: second },
            3 => Cursor::Codes { account: first },
            4 => Cursor::Done,
            _ => return Err(wrong()),
        };
        Ok(Some(Self { hash: header.hash_slow(), header, cursor }))
    }

    /// Whether a store holds a whole snapshot, which became a chain.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn is_complete<S: Store>(store: &S) -> Result<bool, StoreError> {
        Ok(store.get(Table::Meta, META_COMPLETE)?.is_some())
    }

    /// The block whose state it is.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How much is done, in thousandths: a guess from where the hashes are, which are spread evenly.
    pub fn done(&self) -> u64 {
        let share = |key: B256| u64::from(u16::from_be_bytes([key[0], key[1]])) * 1000 / (1 << 16);
        match self.cursor {
            Cursor::Block => 0,
            Cursor::Accounts { from } => share(from) * 4 / 10,
            Cursor::Slots { account, .. } => 400 + share(account) * 5 / 10,
            Cursor::Codes { account } => 900 + share(account) / 10,
            Cursor::Done => 1000,
        }
    }

    /// What to ask for.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn next<S: Store>(&mut self, store: &S) -> Result<Want, StoreError> {
        loop {
            match self.cursor {
                Cursor::Block => return Ok(Want::Part(Part::Block {})),
                Cursor::Accounts { from } => return Ok(Want::Part(Part::Accounts { from })),
                Cursor::Slots { account, slot } => match with_storage(store, account)? {
                    Found::Some(accounts) => {
                        // A place within an account is only kept while that account has more.
                        let from = if accounts[0] == account { slot } else { B256::ZERO };
                        return Ok(Want::Part(Part::Slots { accounts, from }));
                    }
                    Found::NotBefore(next) => self.cursor = Cursor::Slots { account: next, slot: B256::ZERO },
                    Found::End => self.cursor = Cursor::Codes { account: B256::ZERO },
                },
                Cursor::Codes { account } => match without_code(store, account)? {
                    Found::Some(hashes) => return Ok(Want::Part(Part::Codes { hashes })),
                    Found::NotBefore(next) => self.cursor = Cursor::Codes { account: next },
                    Found::End => self.cursor = Cursor::Done,
                },
                Cursor::Done => return Ok(Want::Finish),
            }
        }
    }

    /// Checks the answer to a question of [`Self::next`], and says what to write. Then that part is never asked for again.
    ///
    /// # Errors
    ///
    /// `Refused`, and nothing changed; `Store`.
    pub fn take<S: Store>(
        &mut self,
        store: &S,
        chain_id: u64,
        part: &Part,
        answer: &[u8],
    ) -> Result<Batch, RestoreError> {
        let mut batch = Batch::default();
        let next = match part {
            Part::Block {} => self.take_block(&mut batch, chain_id, answer)?,
            Part::Accounts { from } => self.take_accounts(&mut batch, *from, answer)?,
            Part::Slots { accounts, from } => take_slots(store, &mut batch, accounts, *from, answer)?,
            Part::Codes { hashes } => self.take_codes(&mut batch, hashes, answer)?,
        };
        self.cursor = next;
        self.note(&mut batch);
        Ok(batch)
    }

    /// Makes a chain of the copied state: it begins with `genesis`, and goes on after the snapshot's block.
    ///
    /// # Errors
    ///
    /// `NotCovered`, `Store`.
    pub fn finish<S: Store>(&self, store: &S, genesis: &Executed) -> Result<Batch, RestoreError> {
        self.check_supply(store)?;
        let mut batch = block_batch(genesis);
        receipts_batch(&mut batch, genesis);
        put_head(&mut batch, self.header.number);
        for meta in [META_NODES_OLDEST, META_STATE_OLDEST, META_BODIES_OLDEST] {
            batch.put(Table::Meta, meta, self.header.number.to_be_bytes());
        }
        batch.put(Table::Meta, META_BEGAN, self.header.number.to_be_bytes());
        // Nothing before it is there to be removed.
        batch.put(Table::Meta, META_BODIES_SWEPT, self.header.number.saturating_sub(1).to_be_bytes());
        stamp_format(&mut batch);
        batch.delete(Table::Meta, META_SNAPSHOT);
        batch.put(Table::Meta, META_COMPLETE, []);
        Ok(batch)
    }

    /// Takes over from an earlier chain what no block has. Call it before [`Self::finish`].
    ///
    /// # Errors
    ///
    /// When a store fails.
    pub fn carry<S: Store>(earlier: &S, store: &S) -> Result<(), StoreError> {
        for table in CARRIED {
            let mut from = Vec::new();
            loop {
                let page = earlier.scan(table, &from, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                let mut batch = Batch::default();
                page.into_iter().for_each(|(key, row)| batch.put(table, key, row));
                store.write(batch)?;
            }
        }
        let Some(last) = earlier.get(Table::Meta, META_LAST_CURSOR)? else { return Ok(()) };
        let mut batch = Batch::default();
        batch.put(Table::Meta, META_LAST_CURSOR, last);
        store.write(batch)
    }

    /// The block rule holds in the state: else the validators agreed on a lie, which no node follows.
    fn check_supply<S: Store>(&self, store: &S) -> Result<(), RestoreError> {
        let (state, bridge) = (Copied(store), Contract::Bridge.address());
        let balance = state.account(bridge)?.map_or(U256::ZERO, |account| account.balance);
        let [first, second] = Books::slots();
        let supply = Supply::new(balance, [state.storage(bridge, first)?, state.storage(bridge, second)?]);
        if supply.is_covered() {
            return Ok(());
        }
        Err(RestoreError::NotCovered { number: self.header.number, supply: Box::new(supply) })
    }

    fn note(&self, batch: &mut Batch) {
        let zero = B256::ZERO;
        let (kind, first, second) = match self.cursor {
            Cursor::Block => (0, zero, zero),
            Cursor::Accounts { from } => (1, from, zero),
            Cursor::Slots { account, slot } => (2, account, slot),
            Cursor::Codes { account } => (3, account, zero),
            Cursor::Done => (4, zero, zero),
        };
        let mut row = [&[kind], first.as_slice(), second.as_slice()].concat();
        self.header.encode(&mut row);
        batch.put(Table::Meta, META_SNAPSHOT, row);
    }

    fn take_block(&self, batch: &mut Batch, chain_id: u64, answer: &[u8]) -> Result<Cursor, Refused> {
        let WholeBlock { block, receipts, ancestors } = decode_block(answer)?;
        let (got, want) = (block.hash(), self.hash);
        if got != want {
            return Err(Refused::Block { got, want });
        }
        let (got, want) = (calculate_receipt_root(&receipts), self.header.receipts_root);
        if got != want {
            return Err(Refused::Receipts { got, want });
        }
        check_ancestors(&self.header, &ancestors)?;
        let sender = |(index, envelope): (usize, &_)| match recover(Clone::clone(envelope), chain_id) {
            Ok(transaction) => Ok(transaction.signer()),
            Err(_) => Err(Refused::Transaction(index)),
        };
        let senders = block.transactions.iter().enumerate().map(sender).collect::<Result<_, _>>()?;
        for header in &ancestors {
            batch.put(Table::Header, header.number.to_be_bytes(), alloy_rlp::encode(header));
        }
        let overlay = Default::default();
        let executed = Executed { hash: self.hash, block, senders, receipts, overlay };
        batch.writes.extend(block_batch(&executed).writes);
        receipts_batch(batch, &executed);
        Ok(Cursor::Accounts { from: B256::ZERO })
    }

    fn take_accounts(&self, batch: &mut Batch, from: B256, answer: &[u8]) -> Result<Cursor, Refused> {
        let mut ranges = decode_ranges(answer)?;
        let (Some(range), true) = (ranges.pop(), ranges.is_empty()) else {
            return Err(Refused::Count { got: ranges.len(), want: 1 });
        };
        let end = range.end();
        for (path, row) in checked(self.header.state_root, from, &range, || "accounts".to_owned())? {
            batch.put(Table::AccountNode, account_node_key(&path), row);
        }
        for (key, leaf) in range.leaves {
            let account = Account::decode(&mut leaf.as_slice());
            let account = account.map_err(|_| Refused::Value { what: "the accounts".to_owned(), key })?;
            batch.put(Table::Account, key.to_vec(), encode_account(&account));
        }
        Ok(following(end).map_or(START_OF_SLOTS, |from| Cursor::Accounts { from }))
    }

    fn take_codes(&self, batch: &mut Batch, hashes: &[B256], answer: &[u8]) -> Result<Cursor, Refused> {
        let codes: Vec<Bytes> = decode_codes(answer)?;
        check_count(codes.len(), hashes.len())?;
        for (code, want) in codes.into_iter().zip(hashes) {
            let got = keccak256(&code);
            if got != *want {
                return Err(Refused::Code { got, want: *want });
            }
            batch.put(Table::Code, want.to_vec(), code);
        }
        // Those that did not fit are found missing again.
        Ok(self.cursor)
    }
}

const START_OF_SLOTS: Cursor = Cursor::Slots { account: B256::ZERO, slot: B256::ZERO };

fn take_slots<S: Store>(
    store: &S,
    batch: &mut Batch,
    accounts: &[B256],
    from: B256,
    answer: &[u8],
) -> Result<Cursor, RestoreError> {
    let ranges = decode_ranges(answer).map_err(Refused::from)?;
    check_count(ranges.len(), accounts.len())?;
    let (last, mut next) = (ranges.len() - 1, START_OF_SLOTS);
    for (index, (range, account)) in ranges.iter().zip(accounts).enumerate() {
        let from = if index == 0 { from } else { B256::ZERO };
        if range.more && index < last {
            return Err(Refused::CutOff { account: *account }.into());
        }
        take_storage(store, batch, *account, from, range)?;
        next = match (following(range.end()), following(*account)) {
            (Some(slot), _) => Cursor::Slots { account: *account, slot },
            (None, Some(account)) => Cursor::Slots { account, slot: B256::ZERO },
            (None, None) => Cursor::Codes { account: B256::ZERO },
        };
    }
    Ok(next)
}

/// Slots of one account, against the storage root that its account has.
fn take_storage<S: Store>(
    store: &S,
    batch: &mut Batch,
    account: B256,
    from: B256,
    range: &Range,
) -> Result<(), RestoreError> {
    let what = || format!("storage of account {account}");
    let root = Copied(store).account_by_hash(account)?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    for (path, row) in checked(root, from, range, what)? {
        batch.put(Table::StorageNode, storage_node_key(account, &path), row);
    }
    for (key, leaf) in &range.leaves {
        let value = U256::decode(&mut leaf.as_slice()).ok().filter(|value| !value.is_zero());
        let value = value.ok_or_else(|| Refused::Value { what: what(), key: *key })?;
        batch.put(Table::Slot, slot_key(account, *key), value.to_be_bytes_trimmed_vec());
    }
    Ok(())
}

fn checked(root: B256, from: B256, range: &Range, what: impl Fn() -> String) -> Result<Vec<StoredNode>, Refused> {
    verify_range(root, (from, range.end()), &range.leaves, &range.proof)
        .map_err(|error| Refused::Range { what: what(), error: Box::new(error) })
}

/// At least one, at most as many as were asked for.
fn check_count(got: usize, want: usize) -> Result<(), Refused> {
    if (1..=want).contains(&got) { Ok(()) } else { Err(Refused::Count { got, want }) }
}

/// The headers that `BLOCKHASH` reaches lead to the block by their parent hashes.
fn check_ancestors(header: &Header, ancestors: &[Header]) -> Result<(), Refused> {
    let want = header.number.min(ANCESTORS);
    if ancestors.len() as u64 != want {
        return Err(Refused::Ancestors(format!("{} headers, expected {want}", ancestors.len())));
    }
    let mut child = header;
    for parent in ancestors.iter().rev() {
        let got = parent.hash_slow();
        if got != child.parent_hash || parent.number + 1 != child.number {
            return Err(Refused::Ancestors(format!(
                "before block {} comes {}, got {got}",
                child.number, child.parent_hash
            )));
        }
        child = parent;
    }
    Ok(())
}

/// The key after a key.
fn following(key: B256) -> Option<B256> {
    (key != LAST_KEY).then(|| B256::from(U256::from_be_bytes(key.0) + U256::from(1)))
}

enum Found<T> {
    Some(T),
    /// None so far: look from here on.
    NotBefore(B256),
    End,
}

/// The next accounts that have storage.
fn with_storage<S: Store>(store: &S, from: B256) -> Result<Found<Vec<B256>>, StoreError> {
    select(store, from, MAX_ACCOUNTS, |key, account| Ok((account.storage_root != EMPTY_ROOT_HASH).then_some(key)))
}

/// The next codes that are not here yet.
fn without_code<S: Store>(store: &S, from: B256) -> Result<Found<Vec<B256>>, StoreError> {
    let found = select(store, from, MAX_CODES, |_, Account { code_hash, .. }| {
        let here = code_hash == KECCAK_EMPTY || store.get(Table::Code, code_hash.as_slice())?.is_some();
        Ok((!here).then_some(code_hash))
    })?;
    Ok(match found {
        Found::Some(mut hashes) => {
            hashes.sort_unstable();
            hashes.dedup();
            Found::Some(hashes)
        }
        found => found,
    })
}

/// What `choose` takes of the accounts from a key on, at most `limit`.
fn select<S: Store>(
    store: &S,
    from: B256,
    limit: usize,
    choose: impl Fn(B256, Account) -> Result<Option<B256>, StoreError>,
) -> Result<Found<Vec<B256>>, StoreError> {
    let page = store.scan(Table::Account, from.as_slice(), PAGE)?;
    let (full, mut chosen, mut last) = (page.len() == PAGE, Vec::new(), from);
    for (key, _) in page {
        last = B256::try_from(key.as_slice())
            .map_err(|_| corrupt(Table::Account, format!("a key of {} bytes", key.len())))?;
        if let Some(account) = Copied(store).account_by_hash(last)?
            && let Some(found) = choose(last, account)?
        {
            chosen.push(found);
        }
        if chosen.len() == limit {
            break;
        }
    }
    match (chosen.is_empty(), following(last).filter(|_| full)) {
        (false, _) => Ok(Found::Some(chosen)),
        (true, Some(next)) => Ok(Found::NotBefore(next)),
        (true, None) => Ok(Found::End),
    }
}

/// What was copied so far, read as a state.
struct Copied<'a, S>(&'a S);

impl<S: Store> StateReader for Copied<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn block_hash(&self, _number: u64) -> Result<Option<B256>, StoreError> {
        Ok(None)
    }
}
