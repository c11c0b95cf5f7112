//! Channels whose payers chose code that is in the way of others' claims, and contracts that sign.

use alloy_primitives::{B256, Bytes};
use contracts::MicroChannel;
use serde_json::json;

use super::*;

/// Burns whatever gas it is given: `for (;;) {}`.
const BURNER: [u8; 11] = hex!("625b5f565f526003601df3");
/// Says that it signed whatever it is asked about (EIP-1271).
const WALLET: [u8; 22] = hex!("6d631626ba7e60e01b5f5260205ff35f52600e6012f3");

/// Opens a channel of coins for developer account 1, and gives its id.
fn open(payments: &Payments, salt: u8, sat: u64, signer: Address, splits: &[Address]) -> String {
    let (token, salt) = (Address::ZERO, B256::with_last_byte(salt));
    let deposit = coin::wei(sat);
    let call = MicroChannel::openCall {
        payee: DEVELOPER_1,
        token,
        deposit: deposit.to(),
        salt,
        authorizedSigner: signer,
        splitRecipients: splits.to_vec(),
        splitBps: vec![1; splits.len()],
    };
    payments.transact(&Call::new(MICRO_CHANNEL, &call).with_value(deposit));
    let id = MicroChannel::computeChannelIdCall {
        payer: DEVELOPER_0,
        payee: DEVELOPER_1,
        token,
        salt,
        authorizedSigner: signer,
    };
    let client = Client::new(&payments.node.url()).expect("a URL");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(client.call(MICRO_CHANNEL, &id)).expect("the node answers").to_string()
}

#[test]
fn channels_that_burn_gas_keep_no_other_from_being_claimed_and_are_claimed_if_they_are_worth_it() {
    let payments = Payments::new();
    let burner = payments.deploy(BURNER.to_vec());
    let mut vouchers = String::new();
    for salt in 1..=25 {
        let channel = open(&payments, salt, 500, Address::ZERO, &[burner; 16]);
        let total = if salt <= 5 { "100 sat" } else { "400 sat" };
        vouchers += &format!("{}\n", payments.done(0, &["voucher", &channel, "--total", total], ""));
    }
    let channel = payments.open();
    vouchers += &format!("{}\n", payments.done(0, &["voucher", &channel, "--total", "50000 sat"], ""));
    let claimed = payments.pay(1, &["claim", "-"], &vouchers);
    let amounts: Vec<U256> =
        claimed.json().iter().map(|event| event["amount"].as_str().expect("digits").parse().expect("wei")).collect();
    assert!(amounts.len() > 1, "more than one transaction: {claimed}");
    let sum: U256 = amounts.into_iter().sum();
    assert_eq!(sum, coin::wei(20 * 400 + 50_000), "all but those that cost more than they bring: {claimed}");
    let status = payments.done(1, &["status", &channel], "");
    assert_eq!(status["claimed"], wei(50_000));
}

#[test]
fn what_a_contract_signed_is_claimed_and_closed_with() {
    let payments = Payments::new();
    let wallet = payments.deploy(WALLET.to_vec());
    let channel = open(&payments, 1, 1_000, wallet, &[]);
    let voucher = |sat: u64| json!({ "channelId": channel, "cumulativeAmount": wei(sat), "signature": Bytes::from_static(b"any") });
    let claimed = payments.done(1, &["claim", "-"], &format!("{}\n", voucher(400)));
    assert_eq!(claimed["amount"], wei(400));
    let file = payments.file("last.json");
    std::fs::write(&file, format!("{}\n", voucher(700))).expect("written");
    let closed = payments.done(1, &["close", &channel, "--voucher", &file.display().to_string()], "");
    assert_eq!(closed["refund"], wei(300));
    // Its code is not asked about what its channel does not hold.
    let refused = payments.refused(1, &["claim", "-"], &format!("{}\n", voucher(1_001)));
    assert!(refused.contains("no voucher is worth anything"), "{refused}");
}

#[test]
fn a_faulty_line_and_an_unknown_channel_keep_no_voucher_from_being_claimed() {
    let payments = Payments::new();
    let channel = payments.open();
    let good = payments.done(0, &["voucher", &channel, "--total", "50000 sat"], "");
    let unknown =
        json!({ "channelId": B256::repeat_byte(9), "cumulativeAmount": wei(9), "signature": good["signature"] });
    let file = format!("{{\"channelId\": \"0x6b\n{unknown}\n{good}\n");
    // Not closed by: among what cannot be read may be one of a higher total.
    let kept = payments.file("cut.jsonl");
    std::fs::write(&kept, &file).expect("written");
    let closed = payments.refused(1, &["close", &channel, "--voucher", &kept.display().to_string()], "");
    assert!(closed.contains("line 1 is not a voucher"), "{closed}");

    let claimed = payments.pay(1, &["claim", "-"], &file);
    assert!(claimed.stdout.contains(&format!("\"amount\":\"{}\"", wei(50_000))), "{claimed}");
    claimed.fails_saying(&["line 1 is not a voucher", "there is no channel 0x0909", "1 line(s) of - are no vouchers"]);
}
