//! Facts of the ledger under one final header: which slots to ask for, and what the answers prove.
//!
//! ```text
//!   Wanted --questions--> eth_getProof, once for each contract --answers--> Facts
//! ```

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use bitcoin::{BlockHash, OutPoint, Txid};
use contracts::Books;
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, VAULT};
use contracts::coin::GENESIS_COINS_WEI;
use contracts::layout::bridge::LAST_WITHDRAWAL;
use contracts::layout::vault::VAULT_TRANSACTION_COUNT;

use crate::branches::{self, Branch, Branches, KnownBlock, best_slot, block_slot, branch_slot};
use crate::federation::{FederationKeys, key_slots};
use crate::ledger::{
    self, Deposit, Limits, NotAnEntry, Proposal, VaultTransaction, Withdrawal, deposit_slots, limit_slots,
    proposal_slots, vault_transaction_slots, withdrawal_slots,
};
use crate::{FinalHeader, ProofError, ProvenAccount};

/// Slots of one question at most; nodes answer no more (geth's limit).
pub const MAX_SLOTS: usize = 1_024;

/// What of the ledger is to be proven. The books, the coins and the number of vault transactions always are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By id.
    pub withdrawals: BTreeSet<u64>,
    pub deposits: BTreeSet<OutPoint>,
    /// Vault transactions.
    pub vault: BTreeSet<Txid>,
    /// By number.
    pub proposals: BTreeSet<u64>,
    /// Epochs of the federation whose keys are wanted.
    pub epochs: BTreeSet<u32>,
    /// Blocks of Bitcoin that the ledger's light client is to know.
    pub blocks: BTreeSet<BlockHash>,
    /// Branches of that light client, by number: with any, also which one ends its best chain.
    pub branches: BTreeSet<u32>,
    /// The last withdrawal's id is wanted.
    pub last_withdrawal: bool,
}

/// A question for `eth_getProof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub account: Address,
    pub slots: Vec<U256>,
}

/// Facts in the state of one final header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub header: FinalHeader,
    /// Coins outside the Bridge.
    pub supply_wei: U256,
    pub books: Books,
    pub limits: Limits,
    /// How many vault transactions were ever bound.
    pub vault_count: u32,
    /// What was wanted; none where the ledger has nothing.
    pub withdrawals: BTreeMap<u64, Option<Withdrawal>>,
    pub deposits: BTreeMap<OutPoint, Option<Deposit>>,
    pub vault: BTreeMap<Txid, Option<VaultTransaction>>,
    pub proposals: BTreeMap<u64, Option<Proposal>>,
    /// Zero until every member has confirmed them.
    pub keys: BTreeMap<u32, FederationKeys>,
    /// Each block that is known, in the best chain or not.
    pub blocks: BTreeMap<BlockHash, Option<KnownBlock>>,
    pub branches: Branches,
    /// How many withdrawals were ever asked for: their ids are from 1 on.
    pub last_withdrawal: Option<u64>,
}

/// Why answers prove nothing: the node that gave them is at fault, or of another version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    #[error("{got} accounts were proved, {want} asked for")]
    AnswerCount { got: usize, want: usize },
    #[error("the state of {account} is not proved")]
    Proof { account: Address, source: Box<ProofError> },
    #[error(transparent)]
    Entry(#[from] NotAnEntry),
}

impl Wanted {
    /// What to ask for, in the order in which [`Facts::read`] wants the answers.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        let parts = [
            (BRIDGE, self.of_bridge()),
            (VAULT, self.of_vault()),
            (DEPOSITS, self.deposits.iter().flat_map(|outpoint| deposit_slots(*outpoint)).collect()),
            (FEDERATION, self.epochs.iter().flat_map(|epoch| key_slots(*epoch)).collect()),
            (LIGHT_CLIENT, self.of_light_client()),
        ];
        parts.into_iter().flat_map(|(account, slots)| pages(account, &slots)).collect()
    }

    fn of_bridge(&self) -> Vec<U256> {
        let withdrawals = self.withdrawals.iter().flat_map(|id| withdrawal_slots(*id));
        let last = self.last_withdrawal.then_some(U256::from(LAST_WITHDRAWAL.slot));
        Books::slots().into_iter().chain(limit_slots()).chain(withdrawals).chain(last).collect()
    }

    fn of_vault(&self) -> Vec<U256> {
        let count = U256::from(VAULT_TRANSACTION_COUNT.slot);
        let vault = self.vault.iter().flat_map(|txid| vault_transaction_slots(*txid));
        let proposals = self.proposals.iter().flat_map(|number| proposal_slots(*number));
        [count].into_iter().chain(vault).chain(proposals).collect()
    }

    fn of_light_client(&self) -> Vec<U256> {
        let blocks = self.blocks.iter().map(block_slot);
        let best = (!self.branches.is_empty()).then(best_slot);
        blocks.chain(best).chain(self.branches.iter().map(|number| branch_slot(*number))).collect()
    }
}

fn pages(account: Address, slots: &[U256]) -> Vec<Question> {
    slots.chunks(MAX_SLOTS).map(|slots| Question { account, slots: slots.to_vec() }).collect()
}

impl Facts {
    /// The vault transaction with this txid and number, if the ledger has it.
    #[must_use]
    pub fn vault_transaction(&self, number: u32, txid: Txid) -> Option<&VaultTransaction> {
        self.vault.get(&txid)?.as_ref().filter(|found| found.number == number)
    }

    /// Checks the answers to all of [`Wanted::questions`], in their order.
    ///
    /// # Errors
    ///
    /// Whoever gave an answer is at fault.
    pub fn read(
        header: FinalHeader,
        wanted: &Wanted,
        answers: &[EIP1186AccountProofResponse],
    ) -> Result<Self, FactsError> {
        let proven = Proven::check(&header, &wanted.questions(), answers)?;
        let (mut bridge, mut vault) = (proven.slots(BRIDGE), proven.slots(VAULT));
        let (mut deposits, mut federation) = (proven.slots(DEPOSITS), proven.slots(FEDERATION));
        let mut light_client = proven.slots(LIGHT_CLIENT);
        Ok(Self {
            header,
            // More than at genesis: coins were given to the Bridge by force. None are outside then.
            supply_wei: GENESIS_COINS_WEI.saturating_sub(proven.balance(BRIDGE)),
            books: ledger::books(&bridge.next::<2>())?,
            limits: Limits::read(&bridge.next::<2>()),
            vault_count: VAULT_TRANSACTION_COUNT.of(vault.next::<1>()[0]).saturating_to(),
            withdrawals: each(&wanted.withdrawals, |_| Withdrawal::read(&bridge.next::<3>()))?,
            deposits: each(&wanted.deposits, |_| Deposit::read(&deposits.next::<3>()))?,
            vault: each(&wanted.vault, |txid| VaultTransaction::read(txid, &vault.next::<2>()))?,
            proposals: each(&wanted.proposals, |number| Ok(Proposal::read(number, &vault.next::<2>())))?,
            keys: each(&wanted.epochs, |_| Ok(FederationKeys::read(&federation.next::<2>())))?,
            blocks: each(&wanted.blocks, |_| Ok(KnownBlock::read(light_client.next::<1>()[0])))?,
            branches: Branches {
                best: (!wanted.branches.is_empty()).then(|| branches::best(light_client.next::<1>()[0])),
                known: each(&wanted.branches, |_| Ok(Branch::read(light_client.next::<1>()[0])))?,
            },
            last_withdrawal: wanted.last_withdrawal.then(|| LAST_WITHDRAWAL.of(bridge.next::<1>()[0]).saturating_to()),
        })
    }
}

fn each<K: Copy + Ord, V>(
    wanted: &BTreeSet<K>,
    mut read: impl FnMut(K) -> Result<V, NotAnEntry>,
) -> Result<BTreeMap<K, V>, NotAnEntry> {
    wanted.iter().map(|key| Ok((*key, read(*key)?))).collect()
}

/// Accounts with all their proven slots, in the order of the questions.
struct Proven(BTreeMap<Address, ProvenAccount>);

impl Proven {
    fn check(
        header: &FinalHeader,
        questions: &[Question],
        answers: &[EIP1186AccountProofResponse],
    ) -> Result<Self, FactsError> {
        let (got, want) = (answers.len(), questions.len());
        if got != want {
            return Err(FactsError::AnswerCount { got, want });
        }
        let mut accounts = BTreeMap::<Address, ProvenAccount>::new();
        for (Question { account, slots }, answer) in questions.iter().zip(answers) {
            let proven = header.verify_account(answer, *account, slots);
            let proven = proven.map_err(|source| FactsError::Proof { account: *account, source: Box::new(source) })?;
            match accounts.get_mut(account) {
                Some(known) => known.slots.extend(proven.slots),
                None => drop(accounts.insert(*account, proven)),
            }
        }
        Ok(Self(accounts))
    }

    fn balance(&self, account: Address) -> U256 {
        self.0.get(&account).map_or(U256::ZERO, |proven| proven.balance)
    }

    fn slots(&self, account: Address) -> Slots<'_> {
        Slots(self.0.get(&account).map_or(&[], |proven| &proven.slots))
    }
}

/// Slots that were not read yet.
struct Slots<'a>(&'a [U256]);

impl Slots<'_> {
    /// The next ones. [`Proven::check`] has seen to it that there are as many as were asked for.
    fn next<const N: usize>(&mut self) -> [U256; N] {
        let (next, rest) = self.0.split_first_chunk().expect("as many slots were proven as were asked for");
        self.0 = rest;
        *next
    }
}
