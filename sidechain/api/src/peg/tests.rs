//! The JSON of every shape, frozen: clients in other languages read it.

use bitcoin::hashes::Hash as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "0x1111111111111111111111111111111111111111";
const TXID: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn account() -> Address {
    Address::repeat_byte(0x11)
}

fn hex(byte: u8) -> String {
    format!("0x{}", format!("{byte:02x}").repeat(32))
}

fn key(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// Shown as [`TXID`]: Bitcoin displays hashes in reverse.
fn txid() -> Txid {
    Txid::from_byte_array(std::array::from_fn(|i| 31 - u8::try_from(i).unwrap_or_default()))
}

fn terms() -> Terms {
    Terms { recipient: account(), reclaim_key: key(2), max_fee_sat: 5_000, epoch: 1 }
}

/// The shape is written as exactly this text, and read back.
#[track_caller]
fn frozen<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(shape: &T, text: &str) {
    assert_eq!(serde_json::to_string(shape).ok().as_deref(), Some(text));
    assert_eq!(serde_json::from_str::<T>(text).ok().as_ref(), Some(shape));
}

#[test]
fn info() {
    let info = Info {
        chain_id: 51_717,
        network_id: key(9),
        bitcoin_network: Network::Regtest,
        contracts: Contracts {
            light_client: account(),
            federation: account(),
            signing_board: account(),
            bridge: account(),
            micro_channel: account(),
        },
        epoch: 1,
        group_key: Some(key(3)),
        vault_key: None,
        threshold: 3,
        members: vec![Member { index: 1, name: "alice".to_owned(), account: account() }],
        reclaim_delay: 1008,
        min_deposit_sat: 10_000,
        min_withdrawal_sat: 10_001,
        min_fee_rate: 1,
        max_fee_rate: 500,
        tiers: vec![Tier { up_to_sat: u64::MAX, confirmations: 2 }],
        bitcoin_tip: BitcoinTip { hash: BlockHash::from_byte_array(txid().to_byte_array()), height: 7 },
        ledger: Ledger { vault_sat: 1, owed_sat: 2, held_sat: 3, deficit_sat: 4, supply_sat: 5 },
        head: Head { number: 6, hash: key(4), timestamp: 1_700_000_000 },
        version: "0.1.0".to_owned(),
    };
    let contracts = format!(
        r#"{{"lightClient":"{ACCOUNT}","federation":"{ACCOUNT}","signingBoard":"{ACCOUNT}","bridge":"{ACCOUNT}","microChannel":"{ACCOUNT}"}}"#
    );
    let text = [
        format!(r#"{{"chainId":51717,"networkId":"{}","bitcoinNetwork":"regtest","#, hex(9)),
        format!(r#""contracts":{contracts},"epoch":1,"#),
        format!(r#""groupKey":"{}","vaultKey":null,"threshold":3,"#, hex(3)),
        format!(r#""members":[{{"index":1,"name":"alice","account":"{ACCOUNT}"}}],"reclaimDelay":1008,"#),
        r#""minDepositSat":10000,"minWithdrawalSat":10001,"minFeeRate":1,"maxFeeRate":500,"#.to_owned(),
        r#""tiers":[{"upToSat":18446744073709551615,"confirmations":2}],"#.to_owned(),
        format!(r#""bitcoinTip":{{"hash":"{TXID}","height":7}},"#),
        r#""ledger":{"vaultSat":1,"owedSat":2,"heldSat":3,"deficitSat":4,"supplySat":5},"#.to_owned(),
        format!(r#""head":{{"number":6,"hash":"{}","timestamp":1700000000}},"version":"0.1.0"}}"#, hex(4)),
    ];
    frozen(&info, &text.concat());
}

#[test]
fn registrations() {
    let fields = format!(r#""recipient":"{ACCOUNT}","reclaimKey":"{}","maxFeeSat":5000,"epoch":1"#, hex(2));
    frozen(&terms(), &format!("{{{fields}}}"));
    let made = format!(r#""address":"bcrt1p","outputKey":"{}""#, hex(5));
    frozen(&Registered { address: "bcrt1p".to_owned(), output_key: key(5) }, &format!("{{{made}}}"));
    let one = Registration { cursor: 9, terms: terms(), address: "bcrt1p".to_owned(), output_key: key(5), paid: None };
    let two = Registration { paid: Some(OutPoint { txid: txid(), vout: 1 }), ..one.clone() };
    let page = Registrations { deposits: vec![one, two], next: 9 };
    let entry = format!(r#""cursor":9,{fields},{made}"#);
    frozen(&page, &format!(r#"{{"deposits":[{{{entry}}},{{{entry},"paid":"{TXID}:1"}}],"next":9}}"#));
}

#[test]
fn deposits() {
    let deposit = |status| Deposit {
        txid: txid(),
        vout: 1,
        amount_sat: 2,
        share_sat: 3,
        status,
        number: 4,
        recipient: account(),
    };
    let text = |status: &str| {
        let amounts = r#""vout":1,"amountSat":2,"shareSat":3"#;
        format!(r#"{{"txid":"{TXID}",{amounts},"status":"{status}","number":4,"recipient":"{ACCOUNT}"}}"#)
    };
    frozen(&deposit(DepositStatus::Sweeping), &text("sweeping"));
    frozen(&deposit(DepositStatus::Minted), &text("minted"));
    let report = DepositReport {
        registered: false,
        address: None,
        deposits: vec![deposit(DepositStatus::Minted)],
        next: None,
        since_block: 0,
    };
    let minted = text("minted");
    frozen(
        &report,
        &format!(r#"{{"registered":false,"address":null,"deposits":[{minted}],"next":null,"sinceBlock":0}}"#),
    );
    let report = DepositReport { next: Some(DepositPlace { block: 7, log_index: 8 }), deposits: vec![], ..report };
    let next = r#"{"registered":false,"address":null,"deposits":[],"next":{"block":7,"logIndex":8},"sinceBlock":0}"#;
    frozen(&report, next);
}

#[test]
fn withdrawals() {
    for (status, name) in [
        (WithdrawalStatus::Queued, "queued"),
        (WithdrawalStatus::Paying, "paying"),
        (WithdrawalStatus::Paid, "paid"),
        (WithdrawalStatus::Cancelled, "cancelled"),
    ] {
        let withdrawal = Withdrawal {
            id: 1,
            status,
            owner: account(),
            amount_sat: 2,
            max_fee_sat: 3,
            share_sat: 4,
            number: None,
            txid: Some(txid()),
            script: Bytes::from_static(&[0x51]),
        };
        let amounts = r#""amountSat":2,"maxFeeSat":3,"shareSat":4"#;
        let paid_by = format!(r#""number":null,"txid":"{TXID}","script":"0x51""#);
        frozen(&withdrawal, &format!(r#"{{"id":1,"status":"{name}","owner":"{ACCOUNT}",{amounts},{paid_by}}}"#));
    }
}

#[test]
fn vault_transactions() {
    let input = SpentOutput { txid: txid(), vout: 0, amount_sat: 5, output_key: key(6), merkle_root: key(7), epoch: 1 };
    let keys = format!(r#""outputKey":"{}","merkleRoot":"{}","epoch":1"#, hex(6), hex(7));
    let spent = format!(r#"{{"txid":"{TXID}","vout":0,"amountSat":5,{keys}}}"#);
    for (status, name) in
        [(VaultStatus::Proposed, "proposed"), (VaultStatus::Settled, "settled"), (VaultStatus::Unsettled, "unsettled")]
    {
        let vault = VaultTransaction {
            number: 1,
            status,
            txid: txid(),
            fee_sat: 2,
            change_sat: 3,
            value_sat: 4,
            required_confirmations: 6,
            confirmations: 0,
            block_hash: None,
            epoch: 1,
            transaction: Bytes::from_static(&[2, 0]),
            inputs: vec![input.clone()],
        };
        let amounts = r#""feeSat":2,"changeSat":3,"valueSat":4,"requiredConfirmations":6,"confirmations":0"#;
        let rest = format!(r#""blockHash":null,"epoch":1,"transaction":"0x0200","inputs":[{spent}]"#);
        frozen(&vault, &format!(r#"{{"number":1,"status":"{name}","txid":"{TXID}",{amounts},{rest}}}"#));
    }
}

#[test]
fn finality_and_followed_blocks() {
    let finality = Finality {
        number: 1,
        hash: key(1),
        header: Bytes::from_static(&[0xc0]),
        certificate: Bytes::from_static(&[1, 2]),
        certified: Certified { number: 2, hash: key(2) },
        descendants: vec![Bytes::from_static(&[0xc1])],
    };
    let certified = format!(r#"{{"number":2,"hash":"{}"}}"#, hex(2));
    let proof = format!(r#""header":"0xc0","certificate":"0x0102","certified":{certified},"descendants":["0xc1"]"#);
    let text = format!(r#"{{"number":1,"hash":"{}",{proof}}}"#, hex(1));
    frozen(&finality, &text);
    let block = Bytes::from_static(&[0xc2]);
    frozen(&FollowedBlock { block: block.clone(), finality: None }, r#"{"block":"0xc2","finality":null}"#);
    let followed = FollowedBlock { block, finality: Some(finality) };
    frozen(&followed, &format!(r#"{{"block":"0xc2","finality":{text}}}"#));
}

/// A newer node can say more. Only in the terms of a deposit, which a user writes, a field too many is a mistake.
#[test]
fn answers_may_have_more_fields_and_terms_may_not() {
    let with_more = |shape: Value| {
        let mut object = shape;
        object["more"] = json!(1);
        object
    };
    let registration =
        Registration { cursor: 9, terms: terms(), address: "bcrt1p".to_owned(), output_key: key(5), paid: None };
    let read = serde_json::from_value::<Registration>(with_more(json!(registration)));
    assert_eq!(read.ok(), Some(registration));
    let head = Head { number: 6, hash: key(4), timestamp: 1 };
    assert_eq!(serde_json::from_value::<Head>(with_more(json!(head))).ok(), Some(head));
    let refused = serde_json::from_value::<Terms>(with_more(json!(terms()))).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|error| error.contains("unknown field `more`")));
}

#[test]
fn hex_without_its_prefix_is_read_too() {
    let mut bare = json!(terms());
    bare["reclaimKey"] = json!("02".repeat(32));
    assert_eq!(serde_json::from_value::<Terms>(bare).ok(), Some(terms()));
}
