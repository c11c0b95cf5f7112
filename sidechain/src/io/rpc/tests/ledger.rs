//! What a client sees of the ledger: a deposit on its way to coins, and coins on their way to Bitcoin.

use alloy_primitives::{Bytes, U256};
use api::peg::{
    Books, DepositReport, DepositStatus, Limits, OutputStatus, Quote, Vault, VaultStatus, VaultTransaction, Withdrawal,
    WithdrawalStatus,
};
use bitcoin::OutPoint;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolCall;
use contracts::coin::wei;
use contracts::{Bridge, IVault};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ledger_world::{BoundTransaction, LedgerWorld};
use super::world::{COIN_SAT, call};
use crate::testing::{Key, genesis, stranger};

const RESERVE_SAT: u64 = 1_000_000;
const DEPOSIT_SAT: u64 = 2_000_000;
/// At 1 sat/vB.
const CHARGE_SAT: u64 = 493;

pub async fn read<T: DeserializeOwned>(peg: &LedgerWorld, method: &str, parameters: Value) -> T {
    serde_json::from_value(peg.get(method, parameters).await).expect("the shape that clients read")
}

pub fn sweep(mut deposits: Vec<OutPoint>, rate: u64) -> IVault::Content {
    deposits.sort_by_key(|outpoint| *<bitcoin::Txid as AsRef<[u8; 32]>>::as_ref(&outpoint.txid));
    let content = api::peg::Content { epoch: 1, rate, reserve_sat: 10_000, deposits, ..Default::default() };
    (&content).into()
}

pub fn payout(output: u32, withdrawals: Vec<u64>, rate: u64) -> IVault::Content {
    let outputs = vec![output];
    let content = api::peg::Content { epoch: 1, rate, reserve_sat: 10_000, outputs, withdrawals, ..Default::default() };
    (&content).into()
}

/// The reserve's deposit and one of a user, both swept by vault transaction 1 at 1 sat/vB.
async fn swept() -> (LedgerWorld, BoundTransaction, OutPoint) {
    let mut peg = LedgerWorld::new().await;
    let paid = peg.pay(&[(BRIDGE, RESERVE_SAT), (stranger(9), DEPOSIT_SAT)]).await;
    let bound = peg.bind(sweep(paid.clone(), 1_000)).await;
    (peg, bound, paid[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_shown_from_its_proof_to_its_coins() {
    let mut peg = LedgerWorld::new().await;
    let (terms, output) = peg.deposit(stranger(9));
    let address = output.address(mainchain::Network::Regtest).to_string();
    assert_eq!(peg.get("peg_registerDeposit", json!([terms])).await["address"], json!(address));
    let (reserve, _) = peg.deposit(BRIDGE);
    assert!(peg.get("peg_registerDeposit", json!([reserve])).await["address"].is_string(), "the reserve's is one too");
    let paid = peg.pay(&[(BRIDGE, RESERVE_SAT), (stranger(9), DEPOSIT_SAT)]).await;

    let report: DepositReport = read(&peg, "peg_getDeposit", json!([address])).await;
    assert!(report.registered == Some(true) && report.next.is_none() && report.deposits.len() == 1, "{report:?}");
    let deposit = &report.deposits[0];
    assert_eq!((deposit.txid, deposit.vout), (paid[1].txid, 0));
    assert_eq!(
        (deposit.status, deposit.recipient, deposit.claimant),
        (DepositStatus::Proven, stranger(9), stranger(9))
    );
    assert_eq!((deposit.amount_sat, deposit.max_fee_sat, deposit.minted_sat), (DEPOSIT_SAT, 5_000, None));
    assert_eq!((deposit.height, deposit.confirmations, deposit.epoch), (1, 1, 1));
    assert!(!deposit.bound && !deposit.has_left && deposit.swept_by.is_none());
    let by_outpoint: DepositReport = read(&peg, "peg_getDeposit", json!([paid[1].to_string()])).await;
    assert_eq!(by_outpoint, report, "the same, with the address");
    let reserve: DepositReport = read(&peg, "peg_getDeposit", json!([paid[0].to_string()])).await;
    let (_, reserves) = peg.deposit(BRIDGE);
    assert_eq!(reserve.address, Some(reserves.address(mainchain::Network::Regtest).to_string()));

    let bound = peg.bind(sweep(paid.clone(), 1_000)).await;
    let report: DepositReport = read(&peg, "peg_getDeposit", json!([address])).await;
    assert!(report.deposits[0].bound && report.deposits[0].status == DepositStatus::Proven);
    peg.settle(&bound).await;
    let report: DepositReport = read(&peg, "peg_getDeposit", json!([address])).await;
    let deposit = &report.deposits[0];
    assert_eq!((deposit.status, deposit.swept_by), (DepositStatus::Minted, Some(1)));
    assert_eq!((deposit.minted_sat, deposit.confirmations), (Some(DEPOSIT_SAT - CHARGE_SAT), 2));
    let coins: U256 = serde_json::from_value(peg.get("eth_getBalance", json!([stranger(9), "latest"])).await).unwrap();
    assert_eq!(coins, wei(DEPOSIT_SAT - CHARGE_SAT));
    // The relayers have no registration to look for any more, whoever wants the place.
    assert!(crate::peg::is_done(
        &peg.world.state.chain,
        &crate::chain::Payment { txid: <[u8; 32]>::from(bound.content.deposits[0].txid).into(), vout: 0 }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_say_where_each_satoshi_is_and_every_block_holds_them() {
    let (mut peg, bound, _) = swept().await;
    let begun = Books { vault_sat: 5 * COIN_SAT, supply_sat: 5 * COIN_SAT, ..Books::default() };
    assert_eq!(peg.books().await, begun, "what is bound moves nothing");
    peg.settle(&bound).await;
    let change_sat = bound.transaction.output[0].value.to_sat();
    let books = peg.books().await;
    assert_eq!(books.vault_sat, 5 * COIN_SAT + change_sat);
    assert_eq!(books.supply_sat, 5 * COIN_SAT + DEPOSIT_SAT - CHARGE_SAT);
    let reserve = i64::try_from(change_sat - (DEPOSIT_SAT - CHARGE_SAT)).unwrap();
    assert_eq!((books.reserve_sat, books.unminted_sat, books.lost_sat, books.unswept_sat), (reserve, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_transaction_is_shown_with_what_settles_it() {
    let (mut peg, bound, _) = swept().await;
    let shown: VaultTransaction = read(&peg, "peg_getVaultTransaction", json!([1])).await;
    assert_eq!((shown.number, shown.status, shown.output), (1, VaultStatus::Bound, OutputStatus::Pending));
    assert_eq!(shown.txid, bound.transaction.compute_txid());
    assert_eq!(IVault::Content::from(&shown.content), bound.content);
    assert_eq!(shown.transaction, Bytes::from(mainchain::proof::strip(&bound.transaction)));
    let outputs: u64 = bound.transaction.output.iter().map(|output| output.value.to_sat()).sum();
    assert_eq!(shown.fee_sat, RESERVE_SAT + DEPOSIT_SAT - outputs);
    assert_eq!(shown.amounts_sat.iter().sum::<u64>(), RESERVE_SAT + DEPOSIT_SAT);
    assert_eq!(shown.change_sat, bound.transaction.output[0].value.to_sat());
    assert_eq!((shown.height, shown.block_head, shown.confirmations, shown.rooted), (None, None, 0, false));

    peg.settle(&bound).await;
    let shown: VaultTransaction = read(&peg, "peg_getVaultTransaction", json!([1])).await;
    assert_eq!((shown.status, shown.output), (VaultStatus::Settled, OutputStatus::Live));
    assert_eq!((shown.height, shown.confirmations, shown.rooted), (Some(2), 1, false));
    for _ in 1..genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
    }
    let shown: VaultTransaction = read(&peg, "peg_getVaultTransaction", json!([1])).await;
    assert_eq!((shown.confirmations, shown.rooted), (genesis().bridge.final_blocks, true));
    for number in [0, 2, u64::from(u32::MAX)] {
        assert_eq!(peg.get("peg_getVaultTransaction", json!([number])).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_shown_with_all_versions_that_pay_it() {
    let (mut peg, bound, _) = swept().await;
    peg.settle(&bound).await;
    for _ in 1..genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
    }
    let script: Bytes = [&[0x51, 0x20][..], &Key::new(8).public()[1..]].concat().into();
    let input = Bridge::withdrawCall { script, maxFeeSat: 2_000 }.abi_encode();
    peg.world.receipt(&call(&Key::new(1), 0, BRIDGE, wei(50_000), input)).await;

    let cheap = peg.bind(payout(1, vec![1], 1_000)).await;
    let dear = peg.bind(payout(1, vec![1], 5_000)).await;
    let shown: Withdrawal = read(&peg, "peg_getWithdrawal", json!([1])).await;
    assert_eq!((shown.status, shown.tie, shown.paid_by), (WithdrawalStatus::Tied, Some(1), None));
    let versions: Vec<_> = shown.versions.iter().map(|version| (version.number, version.charge_sat)).collect();
    assert_eq!(versions, [(2, 678), (3, 990)], "the newest last");
    assert_eq!(shown.versions[1].txid, dear.transaction.compute_txid());
    assert!(shown.versions.iter().all(|version| version.status == VaultStatus::Bound));
    let quote: Quote = read(&peg, "peg_quote", json!([])).await;
    assert_eq!((quote.rate, quote.peg_out.charge_sat), (5_000, 990), "that of the last one bound");

    peg.settle(&cheap).await;
    let shown: Withdrawal = read(&peg, "peg_getWithdrawal", json!([1])).await;
    assert_eq!((shown.status, shown.paid_by), (WithdrawalStatus::Paid, Some(2)));
    assert_eq!(
        shown.versions.iter().map(|version| version.status).collect::<Vec<_>>(),
        [VaultStatus::Settled, VaultStatus::Bound]
    );
    let spent: VaultTransaction = read(&peg, "peg_getVaultTransaction", json!([1])).await;
    assert_eq!((spent.output, spent.spent_by), (OutputStatus::Spent, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_is_shown_with_what_it_can_spend_and_what_waits_for_bitcoin() {
    let mut peg = LedgerWorld::new().await;
    assert_eq!(read::<Vault>(&peg, "peg_getVault", json!([])).await.outputs, []);
    let paid = peg.pay(&[(BRIDGE, RESERVE_SAT), (stranger(9), DEPOSIT_SAT)]).await;
    let bound = peg.bind(sweep(paid, 1_000)).await;
    let shown: Vault = read(&peg, "peg_getVault", json!([])).await;
    assert_eq!((shown.outputs.len(), shown.pending.len(), shown.looked_from), (0, 1, 1));
    let pending = &shown.pending[0];
    assert_eq!((pending.number, pending.txid), (1, bound.transaction.compute_txid()));
    assert_eq!(IVault::Content::from(&pending.content), bound.content);
    let change_sat = bound.transaction.output[0].value.to_sat();
    assert!(pending.change_sat == change_sat && pending.bound_at > 0, "{pending:?}");

    peg.settle(&bound).await;
    let shown: Vault = read(&peg, "peg_getVault", json!([])).await;
    assert_eq!(shown.pending, []);
    let output = &shown.outputs[..];
    assert!(output.len() == 1 && output[0].number == 1 && output[0].amount_sat == change_sat, "{output:?}");
    assert!(!output[0].rooted && output[0].epoch == 1 && output[0].txid == pending.txid, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_quotes_are_what_the_contracts_compute() {
    let peg = LedgerWorld::new().await;
    let bridge = genesis().bridge;
    let limits: Limits = read(&peg, "peg_getLimits", json!([])).await;
    assert_eq!((limits.cap_sat, limits.cap_used_sat), (bridge.cap_sat, 5 * COIN_SAT));
    assert_eq!((limits.window_sat, limits.window_left_sat), (bridge.window_sat, bridge.window_sat));
    assert_eq!((limits.missing_sat, limits.stop_sat, limits.stopped), (0, bridge.stop_sat, false));
    assert_eq!((limits.max_inputs, limits.max_payouts), (bridge.max_inputs, bridge.max_payouts));
    assert_eq!(limits.tier_used_sat, [0, 0, 0]);

    let quote: Quote = read(&peg, "peg_quote", json!([])).await;
    assert_eq!(quote.rate, bridge.min_rate, "nothing is bound yet");
    assert_eq!((quote.peg_in.charge_sat, quote.peg_in.min_amount_sat), (CHARGE_SAT, 1_400));
    assert_eq!((quote.peg_out.charge_sat, quote.peg_out.floor_fee_sat), (678, 678));
    assert_eq!(quote.peg_out.min_amount_sat, 1_600);
    let dear: Quote = read(&peg, "peg_quote", json!([25, 100_000])).await;
    assert_eq!((dear.peg_in.charge_sat, dear.peg_in.min_amount_sat), (9_650, 9_651));
    // P2PKH: 69 vB, 600 for the reserve, and an output of 546 sat or more.
    assert_eq!((dear.peg_out.charge_sat, dear.peg_out.floor_fee_sat), (7_500, 669));
    assert_eq!(dear.peg_out.min_amount_sat, 7_500 + 546);
    for (parameters, words) in [
        (json!([21]), "scriptLength is 21, expected 22 to 42 bytes"),
        (json!([43]), "scriptLength is 43"),
        (json!([34, 999]), "rate is 999, expected 1000 to 1000000 satoshis per 1,000 virtual bytes"),
        (json!([null, u64::MAX]), "rate is 18446744073709551615"),
        (json!([-1]), "scriptLength"),
    ] {
        let (code, message) = peg.world.refusal("peg_quote", parameters).await;
        assert!(code == -32602 && message.contains(words), "{code} {message}");
    }
}
