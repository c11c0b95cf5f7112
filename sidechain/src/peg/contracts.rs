//! Reads the peg's contracts, by calls simulated on the state of one final block, so that an answer never mixes two.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use contracts::address::{BRIDGE, FEDERATION, LIGHT_CLIENT};
use contracts::alloy_sol_types::SolCall;
use contracts::coin::{GENESIS_COINS_WEI, WEI_PER_SAT};
use contracts::{BitcoinLightClient, Bridge, Federation, IBridge, IFederation, Ledger};

use crate::block::Header;
use crate::chain::{Chain, SimulateError};
use crate::execution::{Call, InclusionError, Stop};
use crate::state::StateReader;
use crate::state::store::Store;

/// The contracts at one block. Every method fails only when the store does, when the state of the block was pruned meanwhile, or when it is
/// stopped.
pub struct PegContracts<'a, S> {
    chain: &'a Chain<S>,
    stop: &'a Stop,
    /// Header of the block whose state is read.
    pub header: Header,
}

/// Amounts of the ledger, and the coins outside the Bridge, in satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// The Bridge's accounts, from its storage.
    pub ledger: Ledger,
    /// Coins outside the Bridge, rounded up.
    pub supply_sat: u64,
}

impl<'a, S: Store> PegContracts<'a, S> {
    /// The contracts at the head, asked until whoever waits for it stops that.
    pub fn at_head(chain: &'a Chain<S>, stop: &'a Stop) -> Self {
        Self { chain, stop, header: chain.head() }
    }

    /// Ledger and supply, read from the Bridge's storage and balance.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn balances(&self) -> Result<Balances, SimulateError> {
        let state = self.chain.state_at(self.header.number)?;
        let slot = state.storage(BRIDGE, Ledger::SLOT)?;
        let balance = state.account(BRIDGE)?.map_or(U256::ZERO, |account| account.balance);
        let supply_wei = GENESIS_COINS_WEI.saturating_sub(balance);
        // Rounded up: a fraction of a satoshi outside is covered by a whole one.
        let supply_sat = supply_wei.div_ceil(U256::from(WEI_PER_SAT));
        Ok(Balances { ledger: Ledger::from_slot(slot), supply_sat: supply_sat.saturating_to() })
    }

    /// Limits, fee rates and confirmations of the Bridge.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn parameters(&self) -> Result<IBridge::Parameters, SimulateError> {
        self.ask(BRIDGE, Bridge::parametersCall {})
    }

    /// A deposit by its outpoint; `txid` in the byte order of hashing. Status 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn deposit(&self, txid: B256, vout: u32) -> Result<IBridge::Deposit, SimulateError> {
        self.ask(BRIDGE, Bridge::depositCall { txid, vout })
    }

    /// A withdrawal by its number. Status 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn withdrawal(&self, id: u64) -> Result<IBridge::Withdrawal, SimulateError> {
        self.ask(BRIDGE, Bridge::withdrawalCall { id: U256::from(id) })
    }

    /// A vault transaction by its number. Status 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn vault_transaction(&self, number: U256) -> Result<IBridge::VaultTransaction, SimulateError> {
        self.ask(BRIDGE, Bridge::vaultTransactionCall { number })
    }

    /// The current epoch of the federation, from 1.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn epoch(&self) -> Result<u32, SimulateError> {
        self.ask(FEDERATION, Federation::epochCall {})
    }

    /// X-only group key of an epoch; `None` until its key generation is done.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn group_key(&self, epoch: u32) -> Result<Option<B256>, SimulateError> {
        let key = self.ask(FEDERATION, Federation::groupKeyCall { epoch_: epoch })?;
        Ok((!key.is_zero()).then_some(key))
    }

    /// X-only output key of the vault in an epoch; `None` until its key generation is done.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn vault_key(&self, epoch: u32) -> Result<Option<B256>, SimulateError> {
        let key = self.ask(FEDERATION, Federation::vaultKeyCall { epoch_: epoch })?;
        Ok((!key.is_zero()).then_some(key))
    }

    /// How many members sign a vault transaction.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn threshold(&self) -> Result<u16, SimulateError> {
        self.ask(FEDERATION, Federation::thresholdCall {})
    }

    /// All members, in the order of their FROST identifiers (from 1).
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn members(&self) -> Result<Vec<IFederation::Member>, SimulateError> {
        let count = self.ask(FEDERATION, Federation::memberCountCall {})?;
        (1..=count).map(|index| self.ask(FEDERATION, Federation::memberCall { index })).collect()
    }

    /// Hash and height of the light client's best header.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn bitcoin_tip(&self) -> Result<(B256, u32), SimulateError> {
        let tip = self.ask(LIGHT_CLIENT, BitcoinLightClient::tipCall {})?;
        Ok((tip.hash, tip.height))
    }

    /// Confirmations of a Bitcoin block by the light client; 0 when it is not in the best chain.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn confirmations(&self, block: B256) -> Result<u32, SimulateError> {
        self.ask(LIGHT_CLIENT, BitcoinLightClient::confirmationsCall { hash: block })
    }

    fn ask<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, SimulateError> {
        let call = Call { to: TxKind::Call(to), input: Bytes::from(call.abi_encode()), ..Call::default() };
        let outcome = self.chain.simulate(self.header.number, &call, self.stop)?;
        if !outcome.success {
            return Err(SimulateError::Failed(Box::new(outcome)));
        }
        C::abi_decode_returns(&outcome.output).map_err(|error| {
            InclusionError::Invalid(format!("contract {to} answers {} with {error}", C::SIGNATURE)).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::store::Memory;
    use crate::testing::genesis;

    #[test]
    fn nothing_is_asked_for_whom_nobody_waits_any_more() {
        let chain = Chain::open(genesis(), Arc::new(Memory::default())).expect("the genesis is right");
        let stop = Stop::default();
        let contracts = PegContracts::at_head(&chain, &stop);
        assert_eq!(contracts.epoch().expect("it is waited for"), 1);
        stop.stop();
        assert!(matches!(contracts.epoch(), Err(SimulateError::Stopped)));
        assert!(matches!(contracts.members(), Err(SimulateError::Stopped)));
    }
}
