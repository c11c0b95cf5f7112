//! Contracts run alone, in an EVM without a chain: what differential tests compare the Rust side with.

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_sol_types::SolCall;
use contracts::{Contract, creation_code, explain_revert};
use revm::bytecode::Bytecode;
use revm::context::{BlockEnv, CfgEnv, Journal, TxEnv, result::ExecutionResult};
use revm::database::InMemoryDB;
use revm::primitives::TxKind;
use revm::state::AccountInfo;
use revm::{Context, Database as _, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};

/// What a call that succeeded left.
#[derive(Debug)]
pub struct Done<R> {
    pub returned: R,
    pub logs: Vec<Log>,
    pub gas: u64,
}

/// An EVM whose transactions cost nothing and whose clock is set by hand.
pub struct Evm {
    mainnet: MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, InMemoryDB, Journal<InMemoryDB>, ()>>,
}

impl Evm {
    /// An empty one.
    pub fn new(chain_id: u64) -> Self {
        let context = Context::mainnet()
            .with_db(InMemoryDB::default())
            .modify_cfg_chained(|cfg| {
                cfg.chain_id = chain_id;
                cfg.disable_nonce_check = true;
                cfg.tx_gas_limit_cap = Some(u64::MAX);
            })
            .modify_block_chained(|block| block.gas_limit = u64::MAX);
        Self { mainnet: context.build_mainnet() }
    }

    /// The clock of what follows, in seconds since 1970.
    pub fn set_time(&mut self, now: u64) {
        self.mainnet.ctx.block.timestamp = U256::from(now);
    }

    /// Gives an account coins; its code stays.
    pub fn set_balance(&mut self, account: Address, wei: U256) {
        self.change(account, |info| info.balance = wei);
    }

    /// Creates a contract; `nonce` makes its address unique.
    ///
    /// # Errors
    ///
    /// What the constructor reverted with.
    pub fn create(&mut self, code: Bytes, arguments: &[u8], nonce: u64) -> Result<Address, String> {
        let data = [&code[..], arguments].concat();
        let caller = Address::with_last_byte(0xc0).create(nonce);
        let result = self.run(caller, TxKind::Create, U256::ZERO, data.into())?;
        Ok(result.created_address().expect("a creation that succeeds has an address"))
    }

    /// Puts a contract where genesis puts it, as genesis does: its creation code runs at its own address, and what it returns stays
    /// there.
    ///
    /// # Errors
    ///
    /// What the constructor reverted with.
    pub fn put(&mut self, contract: Contract, arguments: &[u8]) -> Result<(), String> {
        self.set_code(contract.address(), [&creation_code(contract)[..], arguments].concat());
        let result = self.run(Address::ZERO, TxKind::Call(contract.address()), U256::ZERO, Bytes::new())?;
        self.set_code(contract.address(), result.output().unwrap_or_default().to_vec());
        Ok(())
    }

    fn set_code(&mut self, account: Address, code: Vec<u8>) {
        let code = Bytecode::new_raw(code.into());
        self.change(account, |info| (info.code_hash, info.code) = (code.hash_slow(), Some(code)));
    }

    /// Changes an account, which exists from then on; its storage stays.
    fn change(&mut self, account: Address, change: impl FnOnce(&mut AccountInfo)) {
        let database = &mut self.mainnet.ctx.journaled_state.database;
        let mut info = database.basic(account).expect("memory does not fail").unwrap_or_default();
        change(&mut info);
        database.insert_account_info(account, info);
    }

    /// Calls a contract and keeps what it changed.
    ///
    /// # Errors
    ///
    /// What it reverted with, in words.
    pub fn call<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<Done<C::Return>, String> {
        self.pay(from, to, U256::ZERO, call)
    }

    /// The same with coins sent along, which the caller must have.
    ///
    /// # Errors
    ///
    /// What it reverted with, in words.
    pub fn pay<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        wei: U256,
        call: &C,
    ) -> Result<Done<C::Return>, String> {
        let result = self.run(from, TxKind::Call(to), wei, call.abi_encode().into())?;
        let returned = C::abi_decode_returns(result.output().unwrap_or_default())
            .expect("a contract returns what its artifact says");
        Ok(Done { returned, gas: result.tx_gas_used(), logs: result.into_logs() })
    }

    /// The value of a view.
    pub fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        match self.call(Address::ZERO, to, call) {
            Ok(done) => done.returned,
            Err(error) => panic!("a view reverted: {error}"),
        }
    }

    /// What is stored in an account, by its slots.
    pub fn storage(&mut self, account: Address, slots: &[U256]) -> Vec<U256> {
        let database = &mut self.mainnet.ctx.journaled_state.database;
        slots.iter().map(|slot| database.storage(account, *slot).expect("memory does not fail")).collect()
    }

    fn run(&mut self, caller: Address, kind: TxKind, value: U256, data: Bytes) -> Result<ExecutionResult, String> {
        let transaction = TxEnv {
            caller,
            kind,
            value,
            data,
            gas_limit: u64::MAX / 4,
            chain_id: Some(self.mainnet.ctx.cfg.chain_id),
            ..TxEnv::default()
        };
        let result = self.mainnet.transact_commit(transaction).map_err(|error| format!("{error:?}"))?;
        match result {
            ExecutionResult::Success { .. } => Ok(result),
            ExecutionResult::Revert { output, .. } => {
                Err(explain_revert(&output).unwrap_or_else(|| format!("reverted with {output}")))
            }
            ExecutionResult::Halt { reason, .. } => Err(format!("halted: {reason:?}")),
        }
    }
}

/// Bitcoin's hashes are `bytes32` in internal order.
pub fn word(bytes: &[u8; 32]) -> B256 {
    B256::from(*bytes)
}
