//! Lists of the ledger as a client pages through them, the newest first.

use alloy_primitives::Bytes;
use api::peg::{DepositList, DepositStatus, VaultStatus, VaultTransactionList, WithdrawalList, WithdrawalStatus};
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolCall;
use contracts::coin::wei;
use serde_json::{Value, json};

use super::ledger::{payout, read, sweep};
use super::ledger_world::LedgerWorld;
use super::world::call;
use crate::testing::{Key, genesis, stranger};

fn script(of: u64) -> Bytes {
    [&[0x51, 0x20][..], &Key::new(of).public()[1..]].concat().into()
}

async fn withdraw(peg: &LedgerWorld, from: u64, nonce: u64, to: u64) {
    let input = Bridge::withdrawCall { script: script(to), maxFeeSat: 2_000 }.abi_encode();
    let receipt = peg.world.receipt(&call(&Key::new(from), nonce, BRIDGE, wei(50_000), input)).await;
    assert_eq!(receipt["status"], "0x1");
}

fn ids(list: &WithdrawalList) -> Vec<u64> {
    list.withdrawals.iter().map(|withdrawal| withdrawal.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_are_listed_the_newest_first_of_all_of_a_recipient_and_of_a_claimant() {
    let mut peg = LedgerWorld::new().await;
    let first = peg.pay(&[(BRIDGE, 1_000_000), (stranger(9), 2_000_000), (stranger(8), 3_000_000)]).await;
    let second = peg.pay(&[(stranger(9), 4_000_000)]).await;
    let all: DepositList = read(&peg, "peg_getDeposits", json!([])).await;
    let outpoints: Vec<_> = all.deposits.iter().map(|listed| listed.deposit.txid).collect();
    assert_eq!(outpoints, [second[0].txid, first[2].txid, first[1].txid, first[0].txid]);
    assert!(all.next.is_none() && all.since_block == 0);
    assert!(all.deposits.iter().all(|listed| listed.deposit.status == DepositStatus::Proven));
    for query in [json!({ "recipient": stranger(9) }), json!({ "claimant": stranger(9) })] {
        let page: DepositList = read(&peg, "peg_getDeposits", json!([query, null, 1])).await;
        assert_eq!(page.deposits[0].deposit.txid, second[0].txid);
        let rest: DepositList = read(&peg, "peg_getDeposits", json!([query, page.next, 1])).await;
        assert_eq!(rest.deposits[0].deposit.txid, first[1].txid);
        assert_eq!(rest.next, None, "no page is empty");
        let (_, output) = peg.deposit(stranger(9));
        assert_eq!(rest.deposits[0].address, output.address(mainchain::Network::Regtest).to_string());
    }
    for (parameters, words) in [
        (json!([{ "recipient": stranger(9), "claimant": stranger(9) }]), "one of them"),
        (json!([{ "owner": stranger(9) }]), "unknown field `owner`"),
        (json!([{}, null, 0]), "limit is 0, expected 1 to 100"),
        (json!([{}, null, 101]), "limit is 101"),
    ] {
        let (code, message) = peg.world.refusal("peg_getDeposits", parameters).await;
        assert!(code == -32602 && message.contains(words), "{code} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawals_are_listed_of_all_of_an_owner_to_a_script_and_those_that_are_open() {
    let peg = LedgerWorld::new().await;
    for (nonce, (from, to)) in [(0, (1, 8)), (1, (1, 9)), (0, (2, 8)), (2, (1, 8))] {
        withdraw(&peg, from, nonce, to).await;
    }
    let cancel = Bridge::cancelCall { id: alloy_primitives::U256::from(2) }.abi_encode();
    peg.world.receipt(&call(&Key::new(1), 3, BRIDGE, wei(0), cancel)).await;
    let page = async |parameters: Value| read::<WithdrawalList>(&peg, "peg_getWithdrawals", parameters).await;
    assert_eq!(ids(&page(json!([])).await), [4, 3, 2, 1]);
    let first = page(json!([{}, null, 3])).await;
    assert_eq!((ids(&first), first.next), (vec![4, 3, 2], Some(2)));
    let last = page(json!([{}, 2, 3])).await;
    assert_eq!((ids(&last), last.next), (vec![1], None));

    let owner = json!({ "owner": Key::new(1).address });
    let first = page(json!([owner, null, 2])).await;
    assert_eq!((ids(&first), first.next), (vec![4, 2], Some(2)));
    let last = page(json!([owner, 2, 2])).await;
    assert_eq!((ids(&last), last.next), (vec![1], None));
    assert_eq!(ids(&page(json!([{ "owner": stranger(1) }])).await), [0; 0]);
    assert_eq!(ids(&page(json!([{ "script": script(8) }])).await), [4, 3, 1]);
    assert_eq!(ids(&page(json!([{ "script": script(9) }])).await), [2]);

    let open = page(json!([{ "open": true }])).await;
    assert_eq!((ids(&open), open.next), (vec![4, 3, 1], None));
    assert!(open.withdrawals.iter().all(|withdrawal| withdrawal.status == WithdrawalStatus::Queued));
    let open = page(json!([{ "open": true }, null, 2])).await;
    assert_eq!((ids(&open), open.next), (vec![4, 3], Some(3)));
    assert_eq!(ids(&page(json!([{ "open": true }, 3, 2])).await), [1]);
    let both = json!([{ "open": true, "owner": Key::new(1).address }]);
    let (code, message) = peg.world.refusal("peg_getWithdrawals", both).await;
    assert_eq!((code, message.as_str()), (-32602, "owner, script and open: one of them"));
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_transactions_are_listed_with_the_versions_over_their_inputs() {
    let mut peg = LedgerWorld::new().await;
    let paid = peg.pay(&[(BRIDGE, 1_000_000), (stranger(9), 2_000_000)]).await;
    peg.bind(sweep(paid.clone(), 5_000)).await;
    let again = peg.bind(sweep(paid.clone(), 1_000)).await;
    peg.settle(&again).await;
    for _ in 1..genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
    }
    withdraw(&peg, 1, 0, 8).await;
    peg.bind(payout(2, vec![1], 1_000)).await;
    let all: VaultTransactionList = read(&peg, "peg_getVaultTransactions", json!([])).await;
    let numbers: Vec<_> = all.vault_transactions.iter().map(|shown| shown.number).collect();
    assert_eq!((numbers, all.next), (vec![3, 2, 1], None));
    let versions = |at: usize| {
        let versions = &all.vault_transactions[at].versions;
        versions.iter().map(|version| (version.number, version.status)).collect::<Vec<_>>()
    };
    assert_eq!(versions(0), []);
    assert_eq!(versions(1), [(1, VaultStatus::Bound)]);
    assert_eq!(versions(2), [(2, VaultStatus::Settled)]);
    let one = peg.get("peg_getVaultTransaction", json!([2])).await;
    assert_eq!(one, json!(all.vault_transactions[1]), "as it is shown alone");
    let first: VaultTransactionList = read(&peg, "peg_getVaultTransactions", json!([null, 2])).await;
    assert_eq!((first.vault_transactions.len(), first.next), (2, Some(2)));
    let last: VaultTransactionList = read(&peg, "peg_getVaultTransactions", json!([2, 2])).await;
    assert_eq!((last.vault_transactions[0].number, last.next), (1, None));
    let (code, message) = peg.world.refusal("peg_getVaultTransactions", json!([null, 51])).await;
    assert_eq!((code, message.as_str()), (-32602, "limit is 51, expected 1 to 50"));
}
