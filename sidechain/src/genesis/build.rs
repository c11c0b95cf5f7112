//! The genesis block: the contracts' constructors are run, and all coins are the Bridge's.

use alloy_consensus::constants::{EMPTY_RECEIPTS, EMPTY_TRANSACTIONS, EMPTY_WITHDRAWALS};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use contracts::{
    Books, CloseGrace, Contract, FederationArguments, LightClientArguments, MemberArguments, bridge_arguments,
    coin::{GENESIS_COINS_WEI, wei},
    creation_code, deposits_arguments, micro_channel_arguments, signing_board_arguments, vault_arguments,
    wrapped_btc_arguments,
};

use mainchain::{Checkpoint, header::to_bytes};

use super::{
    create::create,
    error::GenesisError,
    file::{Bitcoin, Federation, Genesis, fixed},
    standard,
};
use crate::{
    block::{Block, Header},
    execution::Executed,
    limits::MIN_BASE_FEE,
    state::{CodeCache, Nothing, StateReader, Working, store::StoreError},
    stop::Stop,
};

impl Genesis {
    /// Runs the contracts' constructors: the genesis block and its state.
    ///
    /// # Errors
    ///
    /// When the file is wrong or a constructor refuses it.
    pub fn build(&self) -> Result<Executed, GenesisError> {
        self.build_with_allocation(&[])
    }

    /// The same with some coins outside the Bridge, booked in its books as if a vault output covered them. For tests and
    /// benchmarks: the block has another hash, so it is never taken for a real network's.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    pub fn build_with_allocation(&self, allocation: &[(Address, u64)]) -> Result<Executed, GenesisError> {
        self.check()?;
        let cache = CodeCache::default();
        let never = |error: StoreError| GenesisError(format!("no store is read, but: {error}"));
        let mut working = Working::new(&Nothing, &cache);
        for contract in Contract::ALL {
            working = self.deploy(working, contract)?;
        }
        working = standard::deploy(self.chain_id, self.timestamp, working)?;
        let total: u64 = allocation.iter().map(|(_, sat)| sat).sum();
        for (address, sat) in allocation {
            working.set_balance(*address, wei(*sat)).map_err(never)?;
        }
        let bridge = Contract::Bridge.address();
        working.set_balance(bridge, GENESIS_COINS_WEI - wei(total)).map_err(never)?;
        if total > 0 {
            let books = Books { vault_sat: total, ..Books::default() };
            for (slot, value) in Books::slots().into_iter().zip(books.to_slots()) {
                working.set_storage(bridge, slot, value).map_err(never)?;
            }
        }
        let (state_root, overlay) = working
            .commit_block(EMPTY_ROOT_HASH, &Stop::never())
            .map_err(|error| GenesisError(format!("nobody stops it and no store is read, but: {error}")))?;
        let header = Header { state_root, ..self.header() };
        let hash = header.hash_slow();
        let block = Block { header, transactions: Vec::new() };
        Ok(Executed { hash, block, senders: Vec::new(), receipts: Vec::new(), overlay })
    }

    /// The first header, except for its state root.
    fn header(&self) -> Header {
        Header {
            timestamp: self.timestamp,
            gas_limit: self.block.gas_limit,
            transactions_root: EMPTY_TRANSACTIONS,
            receipts_root: EMPTY_RECEIPTS,
            base_fee_per_gas: Some(MIN_BASE_FEE),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            // All that was agreed on, also what is nowhere in the state: chain id, pace, addresses of peers.
            extra_data: self.network_id().into(),
            ..Header::default()
        }
    }

    fn deploy<'a, R: StateReader>(
        &self,
        working: Working<'a, R>,
        contract: Contract,
    ) -> Result<Working<'a, R>, GenesisError> {
        let refuse = |error: String| GenesisError(format!("the constructor of {contract:?} fails: {error}"));
        let arguments = match contract {
            Contract::LightClient => self.bitcoin.arguments()?.abi_encode(),
            Contract::Federation => self.federation.arguments(self.network_id())?.abi_encode(),
            Contract::SigningBoard => signing_board_arguments(),
            Contract::Bridge => bridge_arguments(self.bridge.parameters()),
            Contract::Vault => vault_arguments(),
            Contract::Deposits => deposits_arguments(),
            Contract::MicroChannel => micro_channel_arguments(self.network_id(), self.bitcoin.close_grace()),
            Contract::WrappedBtc => wrapped_btc_arguments(),
        };
        let code = [creation_code(contract), arguments].concat();
        create(self.chain_id, self.timestamp, working, contract.address(), code.into()).map_err(refuse)
    }
}

impl Bitcoin {
    fn close_grace(&self) -> CloseGrace {
        CloseGrace::of(self.network == mainchain::Network::Regtest)
    }

    fn arguments(&self) -> Result<LightClientArguments, GenesisError> {
        let params = self.network.params();
        let Checkpoint { header, height, work, epoch_time } = self.checkpoint;
        Ok(LightClientArguments {
            no_retarget: params.no_retarget,
            min_difficulty: params.min_difficulty,
            bip94: params.bip94,
            signed_blocks: params.signed_blocks,
            pow_limit_bits: params.pow_limit_bits,
            header: to_bytes(&header),
            height,
            work: U256::from_be_bytes(work.to_be_bytes()),
            epoch_time,
        })
    }
}

impl Federation {
    fn arguments(&self, network_id: B256) -> Result<FederationArguments, GenesisError> {
        let members = self.members.iter().map(|member| {
            Ok(MemberArguments {
                account: member.account,
                encryption_key: fixed("encryptionKey", &member.encryption_key)?,
                validator_key: fixed("validatorKey", &member.validator_key)?,
                p2p_key: member.p2p_key,
                name: member.name.clone(),
            })
        });
        Ok(FederationArguments {
            network_id,
            threshold: self.threshold,
            members: members.collect::<Result<_, _>>()?,
            recovery_leaf: self.recovery_leaf()?,
        })
    }
}
