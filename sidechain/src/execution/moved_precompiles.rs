//! Precompiles that answer at another address while calls are tried, or nowhere.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use revm::{
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, InterpreterResult},
    primitives::{AddressSet, hardfork::SpecId},
};

use super::{environment::Environment, precompiles::precompiles};
use crate::state::StateReader;

/// What answers at an address, where it is something else than usual: the precompile of another one, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedPrecompiles(BTreeMap<Address, Option<Address>>);

impl MovedPrecompiles {
    /// Lets the precompile of another address answer at this one, or none.
    pub(super) fn put(&mut self, address: Address, from: Option<Address>) {
        self.0.insert(address, from);
    }

    /// Whether a precompile was moved to the address.
    #[must_use]
    pub fn is_at(&self, address: &Address) -> bool {
        self.0.get(address).is_some_and(Option::is_some)
    }
}

/// The precompiles as an EVM has them.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    usual: EthPrecompiles,
    moved: MovedPrecompiles,
    /// All of them, if some are moved.
    addresses: Option<AddressSet>,
}

impl Placed {
    /// Where they belong.
    pub fn usual() -> Self {
        Self { usual: precompiles(), moved: MovedPrecompiles::default(), addresses: None }
    }

    pub fn moved(moved: &MovedPrecompiles) -> Self {
        let usual = precompiles();
        let addresses = (!moved.0.is_empty()).then(|| {
            let stay = usual.warm_addresses().iter().filter(|address| !moved.0.contains_key(*address));
            stay.chain(moved.0.keys().filter(|address| moved.is_at(address))).copied().collect()
        });
        Self { usual, moved: moved.clone(), addresses }
    }
}

impl<'a, R: StateReader> PrecompileProvider<Environment<'a, R>> for Placed {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<Environment<'a, R>>::set_spec(&mut self.usual, spec)
    }

    fn run(
        &mut self,
        context: &mut Environment<'a, R>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        match self.moved.0.get(&inputs.bytecode_address) {
            None => self.usual.run(context, inputs),
            Some(None) => Ok(None),
            Some(Some(from)) => self.usual.run(context, &CallInputs { bytecode_address: *from, ..inputs.clone() }),
        }
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.addresses.as_ref().unwrap_or_else(|| self.usual.warm_addresses())
    }
}
