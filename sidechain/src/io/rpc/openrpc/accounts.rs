//! Methods of the `eth` namespace that complete transactions, and sign for the developer accounts of `causeway dev`.

use serde_json::json;

use super::description::{Description, Shape, list, method, named};
use super::schema::{Schemas, array, link, map, nullable, object};

pub fn methods() -> Vec<Description> {
    let of_transaction =
        |name, summary, result| method(name, summary, result).wants("transaction", named("transactionCall"));
    let signed = |name, summary| method(name, summary, named("bytes")).wants("address", named("address"));
    let typed_data = Shape::Json(json!({ "anyOf": [link("typedData"), link("string")] }));
    vec![
        method("eth_accounts", "Accounts that the node signs for: those of causeway dev, or none.", list("address")),
        of_transaction(
            "eth_fillTransaction",
            "A transaction with what was left out of it, and its bytes with a signature of zeros.",
            named("filledTransaction"),
        ),
        of_transaction(
            "eth_signTransaction",
            "A transaction with what was left out of it, signed.",
            named("signedTransaction"),
        ),
        of_transaction(
            "eth_sendTransaction",
            "Completes, signs and hands in a transaction; its hash.",
            named("hash32"),
        ),
        signed("eth_sign", "The signature of a message (EIP-191).").wants("message", named("bytes")),
        signed("eth_signTypedData", "The same as eth_signTypedData_v4, by EIP-712's name.")
            .wants("typed data", typed_data.clone()),
        signed("eth_signTypedData_v4", "The signature of typed data (EIP-712).").wants("typed data", typed_data),
    ]
}

pub fn schemas() -> Schemas {
    let unsigned = [
        ("type", link("byte")),
        ("chainId", link("uint")),
        ("nonce", link("uint")),
        ("gas", link("uint")),
        ("gasPrice", link("uint")),
        ("value", link("uint")),
        ("input", link("bytes")),
        ("to", nullable(link("address"))),
    ];
    let of_some_types = [
        ("maxFeePerGas", link("uint")),
        ("maxPriorityFeePerGas", link("uint")),
        ("accessList", link("accessList")),
        ("authorizationList", array(link("authorization"))),
    ];
    let signature = [("r", link("uint")), ("s", link("uint")), ("hash", link("hash32"))];
    let parities = [("v", link("uint")), ("yParity", link("uint"))];
    let signed = unsigned.iter().cloned().chain(signature).collect::<Schemas>();
    let of_signed = of_some_types.iter().cloned().chain(parities).collect::<Schemas>();
    let with_bytes = |shape| object(&[("raw", link("bytes")), ("tx", shape)], &[]);
    let field = object(&[("name", link("string")), ("type", link("string"))], &[]);
    let anything = json!({ "type": "object", "additionalProperties": true });
    let typed = [
        ("types", map(array(field))),
        ("primaryType", link("string")),
        ("domain", anything.clone()),
        ("message", anything),
    ];
    vec![
        ("filledTransaction", with_bytes(object(&unsigned, &of_some_types))),
        ("signedTransaction", with_bytes(object(&signed, &of_signed))),
        ("typedData", object(&typed, &[])),
    ]
}
