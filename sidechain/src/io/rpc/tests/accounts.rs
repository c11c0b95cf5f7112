//! The developer accounts of `causeway dev`, and what no other node does with them.

use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, Bytes, Signature, U256, address, eip191_hash_message, hex};
use serde_json::{Value, json};

use super::world::{CHAIN, COUNTER, NOBODY, World};
use crate::block::{TxEnvelope, recover};
use crate::testing::Key;

const FIRST: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const SECOND: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");

/// A node of `causeway dev` on which the first two have coins.
async fn world() -> World {
    let world = World::working(|settings| settings.developer_accounts = true).await;
    let key = Key::new(1);
    for (nonce, account) in [FIRST, SECOND].into_iter().enumerate() {
        let coins = U256::from(10).pow(U256::from(16));
        let payment = key.send(CHAIN, nonce as u64, 21_000, account.into(), coins, Bytes::new());
        assert_eq!(world.receipt(&payment).await["status"], "0x1");
    }
    world
}

async fn receipt(world: &World, hash: &Value) -> Value {
    for _ in 0..1_000 {
        let receipt = world.get("eth_getTransactionReceipt", json!([hash])).await;
        if !receipt.is_null() {
            return receipt;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{hash} gets no receipt")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_from_developer_accounts_without_a_wallet() {
    let world = world().await;
    let accounts = world.get("eth_accounts", json!([])).await;
    assert_eq!((accounts.as_array().map(Vec::len), &accounts[0]), (Some(10), &json!(format!("{FIRST:#x}"))));
    // A contract, and calls of it that are sent before it is there.
    let code = Bytes::from_static(&COUNTER);
    let created = world.get("eth_sendTransaction", json!([{ "from": FIRST, "data": code }])).await;
    let contract = FIRST.create(0);
    let call = json!([{ "from": FIRST, "to": contract }]);
    let calls = futures::future::join_all((0..5).map(|_| world.get("eth_sendTransaction", call.clone()))).await;
    assert_eq!(receipt(&world, &created).await["contractAddress"], json!(format!("{contract:#x}")));
    for sent in &calls {
        assert_eq!(receipt(&world, sent).await["status"], "0x1");
    }
    let counted = world.get("eth_getStorageAt", json!([contract, "0x0", "latest"])).await;
    assert_eq!(serde_json::from_value::<U256>(counted).unwrap(), U256::from(5));
    let legacy = json!([{ "from": SECOND, "to": NOBODY, "value": "0x5", "gasPrice": "0x989680" }]);
    let sent = world.get("eth_sendTransaction", legacy).await;
    assert_eq!(receipt(&world, &sent).await["type"], "0x0");
    let (code, message) = world.refusal("eth_sendTransaction", json!([{ "from": NOBODY, "to": FIRST }])).await;
    assert_eq!((code, message.as_str()), (-32000, "unknown account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_and_messages_are_signed_as_wallets_do_it() {
    let world = world().await;
    let signed = world.get("eth_signTransaction", json!([{ "from": FIRST, "to": NOBODY, "value": "0x5" }])).await;
    let raw: Bytes = serde_json::from_value(signed["raw"].clone()).unwrap();
    let sender = recover(TxEnvelope::decode_2718_exact(&raw).unwrap(), CHAIN).unwrap().signer();
    assert_eq!((sender, &signed["tx"]["nonce"], &signed["tx"]["type"]), (FIRST, &json!("0x0"), &json!("0x2")));
    assert_eq!(world.get("eth_getTransactionCount", json!([FIRST, "pending"])).await, "0x0", "it is not sent");
    let said = world.get("eth_sign", json!([FIRST, "0xdeadbeef"])).await;
    let said: Bytes = serde_json::from_value(said).unwrap();
    let signature = Signature::try_from(&said[..]).unwrap();
    let hash = eip191_hash_message(hex!("deadbeef"));
    assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), FIRST);
    // The example of EIP-712, whose hash is in the EIP.
    let mail = json!({
        "types": {
            "EIP712Domain": [{ "name": "name", "type": "string" }, { "name": "version", "type": "string" },
                { "name": "chainId", "type": "uint256" }, { "name": "verifyingContract", "type": "address" }],
            "Person": [{ "name": "name", "type": "string" }, { "name": "wallet", "type": "address" }],
            "Mail": [{ "name": "from", "type": "Person" }, { "name": "to", "type": "Person" }, { "name": "contents", "type": "string" }],
        },
        "primaryType": "Mail",
        "domain": { "name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC" },
        "message": {
            "from": { "name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
            "to": { "name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
            "contents": "Hello, Bob!",
        },
    });
    let hash = hex!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2").into();
    // web3.py asks by EIP-712's own name.
    let forms = [
        ("eth_signTypedData_v4", mail.clone()),
        ("eth_signTypedData_v4", json!(mail.to_string())),
        ("eth_signTypedData", mail),
    ];
    for (method, form) in forms {
        let said: Bytes = serde_json::from_value(world.get(method, json!([SECOND, form])).await).unwrap();
        let signature = Signature::try_from(&said[..]).unwrap();
        assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), SECOND);
    }
    assert_eq!(world.refusal("eth_signTypedData_v4", json!([SECOND, { "types": {} }])).await.0, -32602);
    assert_eq!(world.refusal("eth_signTypedData_v4", json!([SECOND, "x".repeat(70_000)])).await.0, -32602);
}

// The attack: a type of lists of lists, and one whose field is of the next type, as deep as 64 KiB allow. A stack that overflows ends the process.
#[tokio::test(flavor = "multi_thread")]
async fn typed_data_as_deep_as_it_may_be_is_answered() {
    let world = world().await;
    let typed = |types: Value| json!({ "types": types, "primaryType": "T0", "domain": {}, "message": { "a": [] } });
    let lists =
        json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "uint8".to_owned() + &"[]".repeat(30_000) }] });
    let mut chain = serde_json::Map::from_iter([("EIP712Domain".to_owned(), json!([]))]);
    for number in 0..1_600 {
        chain.insert(format!("T{number}"), json!([{ "name": "a", "type": format!("T{}", number + 1) }]));
    }
    chain.insert("T1600".to_owned(), json!([]));
    let tuples = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "(".repeat(60_000) }] });
    for types in [lists, Value::Object(chain), tuples] {
        let data = typed(types);
        assert!((50_000..65_536).contains(&data.to_string().len()), "{}", data.to_string().len());
        let answer = world.ask("eth_signTypedData_v4", json!([SECOND, data])).await;
        println!("{:?}", answer.map_err(|error| error.message().chars().take(100).collect::<String>()));
    }
    assert_eq!(world.get("eth_chainId", json!([])).await, "0xca05");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_any_other_network_holds_no_keys_and_says_so() {
    let world = World::halted(|_| ()).await;
    assert_eq!(world.get("eth_accounts", json!([])).await, json!([]));
    for (method, parameters) in [
        ("eth_sendTransaction", json!([{ "from": FIRST, "to": NOBODY }])),
        ("eth_signTransaction", json!([{ "from": FIRST, "to": NOBODY }])),
        ("eth_sign", json!([FIRST, "0xdeadbeef"])),
        ("eth_signTypedData", json!([FIRST, {}])),
        ("eth_signTypedData_v4", json!([FIRST, {}])),
    ] {
        let (code, message) = world.refusal(method, parameters).await;
        assert_eq!(code, -32601, "{method}");
        assert!(message.starts_with("this node holds no keys"), "{message}");
    }
    let developers = self::world().await;
    for method in ["evm_mine", "evm_increaseTime", "evm_snapshot", "anvil_setBalance", "hardhat_impersonateAccount"] {
        assert_eq!(world.refusal(method, json!([])).await, (-32601, "Method not found".to_owned()));
        let (code, message) = developers.refusal(method, json!([])).await;
        assert_eq!(code, -32601, "{method}");
        assert!(message.contains(method) && message.contains("consensus"), "{message}");
    }
}
