//! Blocks that are tried on top of one that is there, each on the state after the one before.
//!
//! ```text
//!   ... - N      N+1 - N+2 - ... - N+256      each with overrides of its own; gaps between numbers are empty blocks
//!          \____/
//! ```
//! Nothing of them is kept.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, keccak256};

use super::{error::SimulateError, open::Chain, stored::Stored, trial::Setting};
use crate::{
    block::Header,
    execution::{Intent, Overrides, Rules, Simulation, SimulationError, Stop, Tried, child_header},
    state::{
        Folded, Overlay, StateReader, Working,
        store::{Store, StoreError, Table},
    },
};

/// Blocks of a simulation, as the specification suggests: as far as BLOCKHASH sees.
pub const MAX_SIMULATED_BLOCKS: u64 = 256;

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct Plan {
    pub blocks: Vec<PlannedBlock>,
    /// Whether nonces and fees are as in a block.
    pub validates: bool,
    /// Whether transfers of coins are among the logs.
    pub shows_transfers: bool,
    /// Gas of all calls together.
    pub most_gas: u64,
}

/// One block of it.
#[derive(Clone, Debug, Default)]
pub struct PlannedBlock {
    pub overrides: Overrides,
    pub calls: Vec<Intent>,
}

/// A block that was tried.
#[derive(Clone, Debug)]
pub struct SimulatedBlock {
    pub stored: Stored,
    /// What each of its transactions did.
    pub calls: Vec<Tried>,
}

/// State after blocks that were tried, over that of the block below them.
struct Above<R> {
    base: R,
    rows: Folded,
    /// Accounts, by the hash of their address, whose storage below does not count any more.
    emptied: BTreeSet<B256>,
    hashes: BTreeMap<u64, B256>,
}

impl<R: StateReader> StateReader for Above<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(row) = self.rows.get(table, key) {
            return Ok(row);
        }
        let of_storage = matches!(table, Table::Slot | Table::StorageNode);
        let account = key.get(..32).filter(|_| of_storage).map(B256::from_slice);
        if account.is_some_and(|account| self.emptied.contains(&account)) {
            return Ok(None);
        }
        self.base.get(table, key)
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.hashes.get(&number).map_or_else(|| self.base.block_hash(number), |hash| Ok(Some(*hash)))
    }
}

impl<R> Above<R> {
    fn add(&mut self, overrides: &Overrides, overlay: &Overlay) {
        for (address, account) in &overrides.accounts {
            if account.is_whole {
                let hash = keccak256(address);
                self.rows.empty_storage(hash);
                self.emptied.insert(hash);
            }
        }
        self.rows.add(overlay);
    }
}

impl<S: Store> Chain<S> {
    /// Tries blocks on one that is there.
    ///
    /// # Errors
    ///
    /// As [`Self::state_at`] for the block they stand on; `SimulationError` for what is tried.
    pub fn simulate_blocks(
        &self,
        setting: &Setting,
        plan: &Plan,
        stop: &Stop,
    ) -> Result<Result<Vec<SimulatedBlock>, SimulationError>, SimulateError> {
        let (base, parent) = self.environment(setting)?;
        let hash = parent.hash_slow();
        let above = Above {
            base,
            rows: Folded::default(),
            emptied: BTreeSet::new(),
            hashes: BTreeMap::from([(parent.number, hash)]),
        };
        let simulation = Simulation {
            rules: &self.rules,
            validates: plan.validates,
            shows_transfers: plan.shows_transfers,
            most_gas: plan.most_gas,
            gas_left: plan.most_gas,
        };
        let mut run = Run { simulation, above, first: parent.number, parent, hash, blocks: Vec::new() };
        let tried = plan.blocks.iter().try_for_each(|planned| self.try_planned(&mut run, planned, stop));
        Ok(tried.map(|()| run.blocks))
    }

    /// Tries the next block that was planned, and empty ones before it up to its number.
    fn try_planned<R: StateReader>(
        &self,
        run: &mut Run<'_, R>,
        planned: &PlannedBlock,
        stop: &Stop,
    ) -> Result<(), SimulationError> {
        let parent = run.parent.number;
        let number = planned.overrides.block.number.unwrap_or(parent.saturating_add(1));
        if number <= parent {
            return Err(SimulationError::Number { got: number, parent });
        }
        if number - run.first > MAX_SIMULATED_BLOCKS {
            return Err(SimulationError::TooManyBlocks { most: MAX_SIMULATED_BLOCKS });
        }
        let empty = PlannedBlock::default();
        for _ in parent + 1..number {
            self.try_block(run, &empty, stop)?;
        }
        self.try_block(run, planned, stop)
    }

    fn try_block<R: StateReader>(
        &self,
        run: &mut Run<'_, R>,
        PlannedBlock { overrides, calls }: &PlannedBlock,
        stop: &Stop,
    ) -> Result<(), SimulationError> {
        let parent = run.parent.timestamp;
        // Time may be named; without that it is a second later, for which there may be no room.
        if overrides.block.timestamp.is_none() && parent == u64::MAX {
            return Err(SimulationError::EndOfTime { parent });
        }
        let header = overrides.header(run.next_header(&self.rules));
        if header.timestamp < run.parent.timestamp {
            return Err(SimulationError::Time { got: header.timestamp, parent: run.parent.timestamp });
        }
        let working = Working::new(&run.above, &self.codes);
        let (executed, calls) =
            run.simulation.block(header, run.parent.state_root, working, (overrides, calls), stop)?;
        run.above.add(overrides, &executed.overlay);
        run.above.hashes.insert(executed.block.number(), executed.hash);
        (run.parent, run.hash) = (executed.block.header.clone(), executed.hash);
        let stored = Stored { block: executed.block, hash: executed.hash, senders: executed.senders };
        run.blocks.push(SimulatedBlock { stored, calls });
        Ok(())
    }
}

/// How far a simulation is.
struct Run<'a, R> {
    simulation: Simulation<'a>,
    above: Above<R>,
    /// Number of the block below all that are tried.
    first: u64,
    parent: Header,
    hash: B256,
    blocks: Vec<SimulatedBlock>,
}

impl<R> Run<'_, R> {
    /// The header of the next block by the specification's defaults: a second later, for nobody, without randomness; and without a base fee, unless
    /// it is asked for what would be.
    fn next_header(&self, rules: &Rules) -> Header {
        let timestamp = self.parent.timestamp.saturating_add(1);
        let next = child_header(rules, &self.parent, self.hash, timestamp, Address::ZERO);
        let base_fee = if self.simulation.validates { next.base_fee_per_gas } else { Some(0) };
        Header { gas_limit: self.parent.gas_limit, mix_hash: B256::ZERO, base_fee_per_gas: base_fee, ..next }
    }
}
