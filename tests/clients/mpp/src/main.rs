//! The crate `mpp` pays for a page: CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... causeway-mpp-client
//!
//! The crate has the protocol and the flow of a paid request, and methods for its own chain. Its way to add another method is the trait
//! `PaymentProvider`, which is implemented here for `evm/charge` with EIP-3009, as draft-evm-charge-01 says.

use std::env::var;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolStruct as _, eip712_domain, sol};
use mpp::MppError;
use mpp::client::{Fetch as _, PaymentProvider};
use mpp::protocol::core::{PaymentChallenge, PaymentCredential, Receipt, parse_receipt};
use serde_json::{Value, json};

sol! {
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

#[derive(Clone)]
struct Eip3009 {
    signer: PrivateKeySigner,
    chain_id: u64,
    most: U256,
}

impl PaymentProvider for Eip3009 {
    fn supports(&self, method: &str, intent: &str) -> bool {
        (method, intent) == ("evm", "charge")
    }

    async fn pay(&self, challenge: &PaymentChallenge) -> Result<PaymentCredential, MppError> {
        let request: Value = challenge.request.decode()?;
        let text = |member: &str| request[member].as_str().unwrap_or_default().to_owned();
        let address =
            |member: &str| text(member).parse::<Address>().map_err(|_| MppError::InvalidConfig(format!("no {member}")));
        let value: U256 = text("amount").parse().map_err(|_| MppError::InvalidAmount(text("amount")))?;
        if value > self.most || request["methodDetails"]["chainId"] != self.chain_id {
            return Err(MppError::InvalidConfig("more than is allowed, or for another chain".to_owned()));
        }
        let nonce = keccak256(format!("{}{}", challenge.id, challenge.realm));
        // As the challenge's own time, which this program does not read, may be any: five minutes.
        let until =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() + 300;
        let (from, to) = (self.signer.address(), address("recipient")?);
        let domain = eip712_domain! {
            name: "Causeway Wrapped BTC",
            version: "1",
            chain_id: self.chain_id,
            verifying_contract: address("currency")?,
        };
        let message = TransferWithAuthorization {
            from,
            to,
            value,
            validAfter: U256::ZERO,
            validBefore: U256::from(until),
            nonce: B256::from(nonce),
        };
        let digest = message.eip712_signing_hash(&domain);
        let signature =
            self.signer.sign_hash_sync(&digest).map_err(|error| MppError::InvalidConfig(error.to_string()))?;
        let payload = json!({
            "type": "authorization", "from": from, "to": to, "value": value.to_string(), "validAfter": "0", "validBefore": until.to_string(),
            "nonce": nonce, "signature": format!("0x{}", alloy_primitives::hex::encode(signature.as_bytes())),
        });
        let source = format!("did:pkh:eip155:{}:{from}", self.chain_id);
        Ok(PaymentCredential::with_source(challenge.to_echo(), source, payload))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let need = |name: &str| var(name).unwrap_or_else(|_| panic!("set {name}"));
    let provider = Eip3009 {
        signer: need("CAUSEWAY_KEY").parse().expect("a key"),
        chain_id: need("CAUSEWAY_CHAIN").parse().expect("a number"),
        most: need("CAUSEWAY_AMOUNT").parse().expect("a number"),
    };
    let client = reqwest::Client::new();
    let request = client.get(need("CAUSEWAY_PAGE")).header("Accept-Payment", "evm/charge");
    let response = request.send_with_payment(&provider).await.expect("it is paid");
    assert_eq!(response.status(), 200);
    let receipt = response.headers().get("payment-receipt").and_then(|value| value.to_str().ok()).expect("a receipt");
    let receipt: Receipt = parse_receipt(receipt).expect("a receipt");
    assert_eq!(receipt.reference.len(), 66, "{receipt:?}");
    assert_eq!(response.text().await.expect("a page"), need("CAUSEWAY_TEXT"));
    println!("mpp: paid and got the page");
}
