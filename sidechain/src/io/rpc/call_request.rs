//! What a client wants to be called or sent, as it says it.
//!
//! The library's type knows transactions with blobs, takes any number for a type, and reads over blobs that lack a part. What it reads over would be
//! something else than what was asked for.

use alloy_consensus::TxType;
use alloy_rpc_types_eth::TransactionRequest;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A transaction of a type that this chain has.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Said")]
pub struct CallRequest(pub TransactionRequest);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(flatten)]
    request: TransactionRequest,
    max_fee_per_blob_gas: Option<IgnoredAny>,
    blob_versioned_hashes: Option<IgnoredAny>,
    blobs: Option<IgnoredAny>,
    commitments: Option<IgnoredAny>,
    proofs: Option<IgnoredAny>,
}

impl TryFrom<Said> for CallRequest {
    type Error = String;

    fn try_from(said: Said) -> Result<Self, String> {
        let Said { request, max_fee_per_blob_gas, blob_versioned_hashes, blobs, commitments, proofs } = said;
        let named = [max_fee_per_blob_gas, blob_versioned_hashes, blobs, commitments, proofs];
        match request.transaction_type.map(TxType::try_from) {
            Some(Ok(TxType::Eip4844)) => return Err(NO_BLOBS.to_owned()),
            Some(Err(_)) => {
                let seen = request.transaction_type.unwrap_or_default();
                return Err(format!("transactions of type {seen} are not supported by this chain: 0, 1, 2 and 4 are"));
            }
            Some(Ok(_)) | None => {}
        }
        if named.iter().any(Option::is_some) { Err(NO_BLOBS.to_owned()) } else { Ok(Self(request)) }
    }
}

const NO_BLOBS: &str = "blob transactions (type 3) are not supported by this chain";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_transactions_that_this_chain_has_are_read() {
        let read = |said: Value| serde_json::from_value::<CallRequest>(said).map(|CallRequest(request)| request);
        for kind in ["0x0", "0x1", "0x2", "0x4"] {
            let read = read(json!({ "type": kind, "blobs": null, "gas": "0x5", "data": "0x01" })).expect(kind);
            assert_eq!((read.gas, read.input.data), (Some(5), Some(alloy_primitives::Bytes::from_static(&[1]))));
        }
        for blob in [
            json!({ "type": "0x3" }),
            json!({ "maxFeePerBlobGas": "0x1" }),
            json!({ "blobs": [] }),
            json!({ "blobVersionedHashes": [] }),
            json!({ "proofs": [] }),
        ] {
            assert_eq!(read(blob.clone()).expect_err("a blob").to_string(), NO_BLOBS, "{blob}");
        }
        let refused = read(json!({ "type": "0x5" })).expect_err("no type").to_string();
        assert!(refused.starts_with("transactions of type 5 are not supported"), "{refused}");
    }
}
