//! What it costs that an execution can be stopped: a loop of jumps by our EVM, and by revm's, whose jumps look at nothing.

use std::time::Duration;

use revm::{
    Context, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    context::TxEnv,
    primitives::{TxKind, hardfork::SpecId},
};
use sidechain::limits::MAX_TRANSACTION_GAS;

use super::{
    Row,
    code::{Loop, run_as_constructor},
    network::{Network, clock, often},
};

pub fn measure(network: &Network) -> Vec<Row> {
    // To JUMPDEST, PUSH0, POP, and back: one jump in 14 gas.
    let jumps = Loop::new("jumps that look whether the execution was stopped", "", "5f50");
    let code = run_as_constructor(&jumps.code_of(1), &[]);
    let theirs = often("the same without looking", || plain(&code));
    vec![network.measure_code(&jumps.name, &code), theirs]
}

fn plain(code: &[u8]) -> (Duration, u64) {
    let mut evm =
        Context::mainnet().modify_cfg_chained(|cfg| cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA)).build_mainnet();
    let transaction = TxEnv {
        kind: TxKind::Create,
        data: code.to_vec().into(),
        gas_limit: MAX_TRANSACTION_GAS,
        chain_id: Some(1),
        ..TxEnv::default()
    };
    let start = clock();
    let gas = evm.transact(transaction).expect("starts").result.tx_gas_used();
    (clock().saturating_sub(start), gas)
}
