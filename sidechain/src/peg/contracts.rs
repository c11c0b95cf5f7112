//! Reads the peg's contracts, by calls simulated on the state of one final block, so that an answer never mixes two.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, TxKind, U256};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, VAULT};
use contracts::alloy_sol_types::SolCall;
use contracts::coin::{GENESIS_COINS_WEI, WEI_PER_SAT};
use contracts::{
    BitcoinLightClient, Books, Bridge, Deposits, Federation, IBridge, IDeposits, IFederation, IVault, Vault,
};

use crate::block::Header;
use crate::chain::{Chain, SimulateError};
use crate::execution::{Call, InclusionError, Outcome, Stop};
use crate::state::StateReader;
use crate::state::store::{Store, StoreError};

/// Where calls are tried, and state is read: a chain, or what was proven of one.
pub trait States {
    /// Tries a call on the state after the block of `header`.
    ///
    /// # Errors
    ///
    /// Those of [`Chain::simulate`].
    fn simulate(&self, header: &Header, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError>;

    /// The balance of an account after the block of `header`, and slots of its storage.
    ///
    /// # Errors
    ///
    /// Those of [`Chain::state_at`].
    fn read<const N: usize>(
        &self,
        header: &Header,
        address: Address,
        slots: [U256; N],
    ) -> Result<(U256, [U256; N]), SimulateError>;
}

impl<S: Store> States for Chain<S> {
    fn simulate(&self, header: &Header, call: &Call, stop: &Stop) -> Result<Outcome, SimulateError> {
        Self::simulate(self, header.number, call, stop)
    }

    fn read<const N: usize>(
        &self,
        header: &Header,
        address: Address,
        slots: [U256; N],
    ) -> Result<(U256, [U256; N]), SimulateError> {
        Ok(read(&self.state_at(header.number)?, address, slots)?)
    }
}

/// The balance of an account, and slots of its storage.
///
/// # Errors
///
/// When the store fails.
pub fn read<const N: usize>(
    state: &impl StateReader,
    address: Address,
    slots: [U256; N],
) -> Result<(U256, [U256; N]), StoreError> {
    let mut values = [U256::ZERO; N];
    for (value, slot) in values.iter_mut().zip(slots) {
        *value = state.storage(address, slot)?;
    }
    Ok((state.account(address)?.map_or(U256::ZERO, |account| account.balance), values))
}

/// The contracts at one block. Every method fails only when the store does, when the state of the block was pruned meanwhile, or when it is
/// stopped.
pub struct PegContracts<'a, C> {
    chain: &'a C,
    stop: &'a Stop,
    /// Header of the block whose state is read.
    pub header: Header,
}

/// The peg's books, and the coins outside the Bridge, in satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// From the Bridge's storage.
    pub books: Books,
    /// Coins outside the Bridge, rounded up.
    pub supply_sat: u64,
}

impl<'a, S: Store> PegContracts<'a, Chain<S>> {
    /// The contracts at the head, asked until whoever waits for it stops that.
    pub fn at_head(chain: &'a Chain<S>, stop: &'a Stop) -> Self {
        Self::at(chain, chain.head(), stop)
    }
}

impl<'a, C: States> PegContracts<'a, C> {
    /// The contracts at a block.
    pub fn at(chain: &'a C, header: Header, stop: &'a Stop) -> Self {
        Self { chain, stop, header }
    }

    /// Books and supply, read from the Bridge's storage and balance.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn balances(&self) -> Result<Balances, SimulateError> {
        let (balance, slots) = self.chain.read(&self.header, BRIDGE, Books::slots())?;
        let books = Books::from_slots(slots);
        let supply_wei = GENESIS_COINS_WEI.saturating_sub(balance);
        // Rounded up: a fraction of a satoshi outside is covered by a whole one.
        let supply_sat = supply_wei.div_ceil(U256::from(WEI_PER_SAT));
        Ok(Balances { books, supply_sat: supply_sat.saturating_to() })
    }

    /// What the Bridge was made with.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn parameters(&self) -> Result<IBridge::Parameters, SimulateError> {
        self.ask(BRIDGE, Bridge::parametersCall {})
    }

    /// What bounds deposits and withdrawals now.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn limits(&self) -> Result<IBridge::Limits, SimulateError> {
        self.ask(BRIDGE, Bridge::limitsCall {})
    }

    /// What any deposit pays for its sweep at a rate, in satoshi.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn deposit_charge(&self, rate: u64) -> Result<u64, SimulateError> {
        self.ask(DEPOSITS, Deposits::chargeCall { rate })
    }

    /// What a withdrawal to a script of this length pays at a rate, in satoshi.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn withdrawal_charge(&self, script_length: u64, rate: u64) -> Result<u64, SimulateError> {
        self.ask(BRIDGE, Bridge::chargeCall { scriptLength: U256::from(script_length), rate })
    }

    /// The least maximum of a new withdrawal to a script of this length, in satoshi.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn floor_fee(&self, script_length: u64) -> Result<u64, SimulateError> {
        self.ask(BRIDGE, Bridge::floorFeeCall { scriptLength: U256::from(script_length) })
    }

    /// A deposit by its outpoint; `txid` in the byte order of hashing. Status 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn deposit(&self, txid: B256, vout: u32) -> Result<IDeposits::Deposit, SimulateError> {
        self.ask(DEPOSITS, Deposits::depositCall { txid, vout })
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
    pub fn vault_transaction(&self, number: u32) -> Result<IVault::VaultTransaction, SimulateError> {
        self.ask(VAULT, Vault::vaultTransactionCall { number })
    }

    /// The number of the last withdrawal; 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn withdrawal_count(&self) -> Result<u64, SimulateError> {
        Ok(self.ask(BRIDGE, Bridge::withdrawalCountCall {})?.saturating_to())
    }

    /// Of the next `limit` withdrawals above `after` those that are queued or tied, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn open_withdrawals(&self, after: u64, limit: u64) -> Result<Vec<u64>, SimulateError> {
        let (after_, limit) = (U256::from(after), U256::from(limit));
        let queued = self.ask(BRIDGE, Bridge::queuedWithdrawalsCall { after_, limit })?._0;
        let tied = self.ask(BRIDGE, Bridge::tiedWithdrawalsCall { after_, limit })?._0;
        let mut ids: Vec<u64> = queued.into_iter().chain(tied).map(|id| id.saturating_to()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The number of the last vault transaction; 0: there is none.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn vault_transaction_count(&self) -> Result<u32, SimulateError> {
        self.ask(VAULT, Vault::vaultTransactionCountCall {})
    }

    /// Numbers of live vault outputs above `after`, of the next `limit` numbers.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn live_outputs(&self, after: u32, limit: u32) -> Result<Vec<u32>, SimulateError> {
        Ok(self.ask(VAULT, Vault::liveOutputsCall { after_: after, limit })?.numbers)
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

    /// The time of a header that the light client has, as its miner states it, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn bitcoin_time(&self, block: B256) -> Result<u64, SimulateError> {
        Ok(self.ask(LIGHT_CLIENT, BitcoinLightClient::headerCall { hash: block })?.time.into())
    }

    /// Confirmations of a Bitcoin block by the light client; 0 when it is not in the best chain.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn confirmations(&self, block: B256) -> Result<u32, SimulateError> {
        self.ask(LIGHT_CLIENT, BitcoinLightClient::confirmationsCall { hash: block })
    }

    /// Confirmations of the block that the ledger remembers by its height and the start of its hash; 0 when it is not in the best chain.
    ///
    /// # Errors
    ///
    /// Those of the type.
    pub fn confirmations_of(&self, height: u32, head: FixedBytes<8>) -> Result<u32, SimulateError> {
        let hash = self.ask(LIGHT_CLIENT, BitcoinLightClient::hashAtCall { height })?;
        if hash.is_zero() || hash[..8] != head[..] { Ok(0) } else { self.confirmations(hash) }
    }

    fn ask<Q: SolCall>(&self, to: Address, call: Q) -> Result<Q::Return, SimulateError> {
        let call = Call { to: TxKind::Call(to), input: Bytes::from(call.abi_encode()), ..Call::default() };
        let outcome = self.chain.simulate(&self.header, &call, self.stop)?;
        if !outcome.success {
            return Err(SimulateError::Failed(Box::new(outcome)));
        }
        Q::abi_decode_returns(&outcome.output).map_err(|error| {
            InclusionError::Invalid(format!("contract {to} answers {} with {error}", Q::SIGNATURE)).into()
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
