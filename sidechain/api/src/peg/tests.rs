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
    Terms {
        recipient: account(),
        claimant: Address::repeat_byte(0x22),
        reclaim_key: key(2),
        max_fee_sat: 5_000,
        data_hash: key(3),
        epoch: 1,
    }
}

/// The shape is written as exactly this text, and read back.
#[track_caller]
fn frozen<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(shape: &T, text: &str) {
    assert_eq!(serde_json::to_string(shape).ok().as_deref(), Some(text));
    assert_eq!(serde_json::from_str::<T>(text).ok().as_ref(), Some(shape));
}

fn parameters() -> (Parameters, String) {
    let parameters = Parameters {
        reclaim_delay: 1,
        final_blocks: 2,
        alarm_blocks: 3,
        min_deposit_sat: 4,
        min_withdrawal_sat: 5,
        peg_in_fee_sat: 6,
        peg_out_fee_sat: 7,
        floor_rate: 8,
        min_rate: 9,
        max_rate: 10,
        stop_sat: 11,
        useful_sat: 12,
        cap_sat: 13,
        window_sat: 14,
        window_seconds: 15,
        refund_after: 16,
        pause_seconds: 17,
        pause_gap_seconds: 18,
        max_inputs: 19,
        max_payouts: 20,
        tiers: vec![Tier { confirmations: 2, up_to_sat: u64::MAX }],
        guardians: vec![account()],
    };
    let text = [
        r#"{"reclaimDelay":1,"finalBlocks":2,"alarmBlocks":3,"minDepositSat":4,"minWithdrawalSat":5,"#,
        r#""pegInFeeSat":6,"pegOutFeeSat":7,"floorRate":8,"minRate":9,"maxRate":10,"stopSat":11,"usefulSat":12,"#,
        r#""capSat":13,"windowSat":14,"windowSeconds":15,"refundAfter":16,"pauseSeconds":17,"pauseGapSeconds":18,"#,
        r#""maxInputs":19,"maxPayouts":20,"tiers":[{"confirmations":2,"upToSat":18446744073709551615}],"#,
        &format!(r#""guardians":["{ACCOUNT}"]}}"#),
    ];
    (parameters, text.concat())
}

#[test]
fn info() {
    let (parameters, rules) = parameters();
    let info = Info {
        chain_id: 51_717,
        network_id: key(9),
        bitcoin_network: Network::Regtest,
        contracts: Contracts {
            light_client: account(),
            federation: account(),
            signing_board: account(),
            bridge: account(),
            vault: account(),
            deposits: account(),
            micro_channel: account(),
            wrapped_btc: account(),
        },
        epoch: 1,
        group_key: Some(key(3)),
        vault_key: None,
        threshold: 3,
        members: vec![Member { index: 1, name: "alice".to_owned(), account: account() }],
        parameters,
        bitcoin_tip: BitcoinTip {
            hash: BlockHash::from_byte_array(txid().to_byte_array()),
            height: 7,
            time: 8,
            lag_seconds: 9,
        },
        books: Books {
            vault_sat: 1,
            owed_sat: 2,
            unminted_sat: 3,
            unswept_sat: 4,
            lost_sat: 5,
            reserve_sat: -6,
            unclaimed_sat: 7,
            covered_sat: 8,
            supply_sat: 9,
        },
        head: Head { number: 6, hash: key(4), timestamp: 1_700_000_000 },
        version: "0.1.0".to_owned(),
    };
    let contracts = [
        format!(r#"{{"lightClient":"{ACCOUNT}","federation":"{ACCOUNT}","signingBoard":"{ACCOUNT}","#),
        format!(r#""bridge":"{ACCOUNT}","vault":"{ACCOUNT}","deposits":"{ACCOUNT}","#),
        format!(r#""microChannel":"{ACCOUNT}","wrappedBtc":"{ACCOUNT}"}}"#),
    ]
    .concat();
    let text = [
        format!(r#"{{"chainId":51717,"networkId":"{}","bitcoinNetwork":"regtest","#, hex(9)),
        format!(r#""contracts":{contracts},"epoch":1,"#),
        format!(r#""groupKey":"{}","vaultKey":null,"threshold":3,"#, hex(3)),
        format!(r#""members":[{{"index":1,"name":"alice","account":"{ACCOUNT}"}}],"parameters":{rules},"#),
        format!(r#""bitcoinTip":{{"hash":"{TXID}","height":7,"time":8,"lagSeconds":9}},"#),
        r#""books":{"vaultSat":1,"owedSat":2,"unmintedSat":3,"unsweptSat":4,"lostSat":5,"reserveSat":-6,"#.to_owned(),
        r#""unclaimedSat":7,"coveredSat":8,"supplySat":9},"#.to_owned(),
        format!(r#""head":{{"number":6,"hash":"{}","timestamp":1700000000}},"version":"0.1.0"}}"#, hex(4)),
    ];
    frozen(&info, &text.concat());
}

#[test]
fn registrations() {
    let claimant = "22".repeat(20);
    let fields = [
        format!(r#""recipient":"{ACCOUNT}","claimant":"0x{claimant}","reclaimKey":"{}","#, hex(2)),
        format!(r#""maxFeeSat":5000,"dataHash":"{}","epoch":1"#, hex(3)),
    ]
    .concat();
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
    let deposit = |status, minted_sat, swept_by| Deposit {
        txid: txid(),
        vout: 1,
        status,
        recipient: account(),
        claimant: account(),
        amount_sat: 2,
        max_fee_sat: 3,
        minted_sat,
        bound: true,
        swept_by,
        height: 5,
        block_head: FixedBytes::repeat_byte(6),
        confirmations: 7,
        epoch: 8,
        has_left: false,
    };
    let text = |status: &str, minted: &str, swept: &str| {
        let who = format!(r#""recipient":"{ACCOUNT}","claimant":"{ACCOUNT}","amountSat":2,"maxFeeSat":3"#);
        let block = r#""height":5,"blockHead":"0x0606060606060606","confirmations":7,"epoch":8,"hasLeft":false"#;
        let fate = format!(r#""mintedSat":{minted},"bound":true,"sweptBy":{swept}"#);
        format!(r#"{{"txid":"{TXID}","vout":1,"status":"{status}",{who},{fate},{block}}}"#)
    };
    frozen(&deposit(DepositStatus::Proven, None, None), &text("proven", "null", "null"));
    frozen(&deposit(DepositStatus::Swept, None, Some(4)), &text("swept", "null", "4"));
    frozen(&deposit(DepositStatus::Gone, Some(1), None), &text("gone", "1", "null"));
    let minted = deposit(DepositStatus::Minted, Some(1), Some(4));
    let report =
        DepositReport { registered: Some(false), address: None, deposits: vec![minted], next: None, since_block: 0 };
    let minted = text("minted", "1", "4");
    frozen(&report, &format!(r#"{{"registered":false,"deposits":[{minted}],"next":null,"sinceBlock":0}}"#));
    let address = Some("bcrt1".to_owned());
    let next = Some(DepositPlace { block: 7, log_index: 8 });
    let report = DepositReport { registered: None, address, next, deposits: vec![], ..report };
    let next = r#"{"address":"bcrt1","deposits":[],"next":{"block":7,"logIndex":8},"sinceBlock":0}"#;
    frozen(&report, next);
}

#[test]
fn withdrawals() {
    let version = Version { number: 5, txid: txid(), status: VaultStatus::Bound, charge_sat: 6 };
    let bound = format!(r#"[{{"number":5,"txid":"{TXID}","status":"bound","chargeSat":6}}]"#);
    for (status, name) in [
        (WithdrawalStatus::Queued, "queued"),
        (WithdrawalStatus::Tied, "tied"),
        (WithdrawalStatus::Paid, "paid"),
        (WithdrawalStatus::Cancelled, "cancelled"),
        (WithdrawalStatus::Refunded, "refunded"),
    ] {
        let withdrawal = Withdrawal {
            id: 1,
            status,
            owner: account(),
            amount_sat: 2,
            max_fee_sat: 3,
            asked_at: 4,
            tie: Some(4),
            versions: vec![version],
            paid_by: None,
            script: Bytes::from_static(&[0x51]),
        };
        let amounts = r#""amountSat":2,"maxFeeSat":3,"askedAt":4,"tie":4"#;
        let paid = format!(r#""versions":{bound},"paidBy":null,"script":"0x51""#);
        frozen(&withdrawal, &format!(r#"{{"id":1,"status":"{name}","owner":"{ACCOUNT}",{amounts},{paid}}}"#));
    }
}

#[test]
fn vault_transactions() {
    let content = Content {
        epoch: 1,
        rate: 2_000,
        reserve_sat: 3,
        deposits: vec![OutPoint { txid: txid(), vout: 4 }],
        outputs: vec![5],
        withdrawals: vec![6],
    };
    let parts = format!(r#""deposits":["{TXID}:4"],"outputs":[5],"withdrawals":[6]"#);
    let made_of = format!(r#"{{"epoch":1,"rate":2000,"reserveSat":3,{parts}}}"#);
    for (status, output, names) in [
        (VaultStatus::Bound, OutputStatus::Pending, ("bound", "pending")),
        (VaultStatus::Settled, OutputStatus::Live, ("settled", "live")),
        (VaultStatus::Settled, OutputStatus::Spent, ("settled", "spent")),
        (VaultStatus::Settled, OutputStatus::Gone, ("settled", "gone")),
        (VaultStatus::Settled, OutputStatus::None, ("settled", "none")),
        (VaultStatus::Void, OutputStatus::Void, ("void", "void")),
    ] {
        let vault = VaultTransaction {
            number: 1,
            status,
            output,
            txid: txid(),
            fee_sat: 2,
            change_sat: 3,
            spent_by: None,
            height: Some(4),
            block_head: Some(FixedBytes::repeat_byte(6)),
            confirmations: 5,
            epoch: 1,
            script_version: 1,
            rooted: true,
            versions: vec![VaultVersion { number: 2, txid: txid(), status: VaultStatus::Void }],
            content: content.clone(),
            amounts_sat: vec![7],
            transaction: Bytes::from_static(&[2, 0]),
        };
        let amounts = r#""feeSat":2,"changeSat":3,"spentBy":null,"height":4,"blockHead":"0x0606060606060606""#;
        let versions = format!(r#""versions":[{{"number":2,"txid":"{TXID}","status":"void"}}]"#);
        let rest = format!(r#"{versions},"content":{made_of},"amountsSat":[7],"transaction":"0x0200""#);
        let (status, output) = names;
        let head = format!(r#""number":1,"status":"{status}","output":"{output}","txid":"{TXID}""#);
        frozen(
            &vault,
            &format!(r#"{{{head},{amounts},"confirmations":5,"epoch":1,"scriptVersion":1,"rooted":true,{rest}}}"#),
        );
    }
}

#[test]
fn the_vault() {
    let content = Content { epoch: 1, rate: 2_000, reserve_sat: 3, outputs: vec![5], ..Content::default() };
    let vault = Vault {
        outputs: vec![LiveOutput { number: 1, txid: txid(), amount_sat: 2, epoch: 3, rooted: true }],
        pending: vec![Pending { number: 4, txid: txid(), bound_at: 5, change_sat: 6, content }],
        looked_from: 7,
    };
    let output = format!(r#"{{"number":1,"txid":"{TXID}","amountSat":2,"epoch":3,"rooted":true}}"#);
    let content = r#"{"epoch":1,"rate":2000,"reserveSat":3,"deposits":[],"outputs":[5],"withdrawals":[]}"#;
    let pending = format!(r#"{{"number":4,"txid":"{TXID}","boundAt":5,"changeSat":6,"content":{content}}}"#);
    frozen(&vault, &format!(r#"{{"outputs":[{output}],"pending":[{pending}],"lookedFrom":7}}"#));
}

#[test]
fn limits_and_quotes() {
    let limits = Limits {
        cap_sat: 1,
        cap_used_sat: 2,
        window_sat: 3,
        window_left_sat: 4,
        window_seconds: 5,
        paused_until: 6,
        pause_allowed_from: 7,
        pause_number: 8,
        lift_votes: 9,
        alarmed: false,
        missing_sat: 10,
        stop_sat: 11,
        stopped: true,
        max_inputs: 12,
        max_payouts: 13,
        tier_used_sat: vec![14],
    };
    let text = [
        r#"{"capSat":1,"capUsedSat":2,"windowSat":3,"windowLeftSat":4,"windowSeconds":5,"pausedUntil":6,"#,
        r#""pauseAllowedFrom":7,"pauseNumber":8,"liftVotes":9,"alarmed":false,"missingSat":10,"stopSat":11,"#,
        r#""stopped":true,"maxInputs":12,"maxPayouts":13,"tierUsedSat":[14]}"#,
    ];
    frozen(&limits, &text.concat());
    let quote = Quote {
        rate: 2_000,
        peg_in: PegInQuote { charge_sat: 1, min_amount_sat: 2 },
        peg_out: PegOutQuote { charge_sat: 3, floor_fee_sat: 4, min_amount_sat: 5 },
    };
    let text = [
        r#"{"rate":2000,"pegIn":{"chargeSat":1,"minAmountSat":2},"#,
        r#""pegOut":{"chargeSat":3,"floorFeeSat":4,"minAmountSat":5}}"#,
    ];
    frozen(&quote, &text.concat());
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
