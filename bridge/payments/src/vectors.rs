//! Digests against those of the contract and of viem, which read or write the same file (`contracts/test/MicroChannelVectors.t.sol`, `tests/clients/vectors.mjs`), and
//! against the ones that alloy derives from the same Solidity.

use alloy_primitives::{Address, B256, U256, address, b256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain, sol};
use secp256k1::SecretKey;
use serde::Deserialize;

use crate::account_signature::address_of;
use crate::authorization::Authorization;
use crate::locked::{LockRefused, LockedVoucher, SignedLockedVoucher};
use crate::merkle::Tree;
use crate::receipt::{Receipt, SignedReceipt, root_digest};
use crate::stream::{SignedStream, StreamTerms};
use crate::terms::{Split, Terms, open_nonce, top_up_nonce};
use crate::typed_data::{Domain, separator};
use crate::voucher::{SignedVoucher, Voucher};

const CONTRACT: Address = address!("CA05000000000000000000000000000000000005");
const CHAIN_ID: u64 = 51_717;
const ID: B256 = b256!("6b62fb90efb02ddf8d7fe5d1b9cbb5ec690ee84d63ff1954a549d02d249e74e6");

fn domain() -> Domain {
    Domain::new(CHAIN_ID, CONTRACT)
}

/// The first development account of the mnemonic "test test ... junk".
fn payer() -> SecretKey {
    let bytes = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    SecretKey::from_slice(bytes.as_slice()).unwrap()
}

fn voucher() -> Voucher {
    Voucher { channel_id: ID, cumulative_amount: 1_000_000_000_000 }
}

fn locked() -> LockedVoucher {
    LockedVoucher {
        channel_id: ID,
        cumulative_amount: 1_000,
        locked_amount: 50,
        // SHA-256 of 32 bytes of seven.
        sha256_hash: b256!("4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0"),
        lock_expiry: 2_000,
    }
}

fn stream() -> StreamTerms {
    let root = B256::repeat_byte(4);
    StreamTerms { channel_id: ID, cumulative_amount: 1_000, tick_amount: 3, ticks: 1_024, root }
}

fn receipt() -> Receipt {
    Receipt {
        channel_id: ID,
        cumulative_amount: 40,
        price: 10,
        charged: 30,
        highest: 60,
        accepted_at: 1_700_000_000,
        request: keccak256("a key"),
    }
}

mod theirs {
    use super::*;

    sol! {
        struct Voucher { bytes32 channelId; uint128 cumulativeAmount; }
        struct LockedVoucher { bytes32 channelId; uint128 cumulativeAmount; uint128 lockedAmount; bytes32 sha256Hash; uint64 lockExpiry; }
        struct Stream { bytes32 channelId; uint128 cumulativeAmount; uint128 tickAmount; uint32 ticks; bytes32 root; }
        struct Open { bytes32 networkId; bytes32 channelId; address[] splitRecipients; uint16[] splitBps; }
        struct TopUp { bytes32 networkId; bytes32 channelId; uint96 number; }
        struct Receipt { bytes32 channelId; uint128 cumulativeAmount; uint128 price; uint128 charged; uint128 highest; uint64 acceptedAt; bytes32 request; }
        struct Receipts { bytes32 root; }
    }

    pub fn domain(name: &'static str) -> Eip712Domain {
        eip712_domain! { name: name, version: "1", chain_id: CHAIN_ID, verifying_contract: CONTRACT, }
    }
}

#[test]
fn a_voucher_keeps_its_bytes() {
    // Frozen; id, domain and digest were computed apart by npm's js-sha3, the signature by Foundry's cast; all but the signature are frozen in the contract's tests too.
    let terms = Terms {
        payer: address!("00000000000000000000000000000000000000A1"),
        payee: address!("00000000000000000000000000000000000000B2"),
        token: Address::ZERO,
        salt: keccak256("salt"),
        authorized_signer: Address::ZERO,
    };
    assert_eq!(terms.channel_id(&domain()), ID);
    assert_eq!(domain().separator(), b256!("f6b70e2b390ea2585e4dcb023488c7f90fe8a0427368f143c352cd79af18803c"));
    assert_eq!(voucher().digest(&domain()), b256!("f469f6f460d0192d51b6c7d843cae4ab5941d9057d06af07e58eaef43bb688fa"));
    let signed = voucher().sign(&domain(), &payer());
    assert_eq!(
        alloy_primitives::hex::encode(&signed.signature),
        "8da5e9e427e6769a38ed64b41f72858dce39d0a067bc43fe61a077eca12d7a9b69edbbe0973cebebf409f32bf54678177c14c6cd2eec8232909d7afb9f99821b1b"
    );
    let json = serde_json::to_string(&signed).unwrap();
    let want =
        format!(r#"{{"channelId":"{ID}","cumulativeAmount":"1000000000000","signature":"{}"}}"#, signed.signature);
    assert_eq!(json, want);
    assert_eq!(serde_json::from_str::<SignedVoucher>(&json).unwrap(), signed);
}

#[test]
fn every_digest_is_the_one_that_alloy_derives_from_the_contracts_structs() {
    let ours = theirs::domain("EVM Payment Channel");
    assert_eq!(domain().separator(), ours.separator());
    let v = theirs::Voucher { channelId: ID, cumulativeAmount: voucher().cumulative_amount };
    assert_eq!(voucher().digest(&domain()), v.eip712_signing_hash(&ours));
    let l = locked();
    let theirs_locked = theirs::LockedVoucher {
        channelId: ID,
        cumulativeAmount: l.cumulative_amount,
        lockedAmount: l.locked_amount,
        sha256Hash: l.sha256_hash,
        lockExpiry: l.lock_expiry,
    };
    assert_eq!(l.digest(&domain()), theirs_locked.eip712_signing_hash(&ours));
    let s = stream();
    let theirs_stream = theirs::Stream {
        channelId: ID,
        cumulativeAmount: s.cumulative_amount,
        tickAmount: s.tick_amount,
        ticks: s.ticks,
        root: s.root,
    };
    assert_eq!(s.digest(&domain()), theirs_stream.eip712_signing_hash(&ours));
    let r = receipt();
    let theirs_receipt = theirs::Receipt {
        channelId: ID,
        cumulativeAmount: r.cumulative_amount,
        price: r.price,
        charged: r.charged,
        highest: r.highest,
        acceptedAt: r.accepted_at,
        request: r.request,
    };
    assert_eq!(r.leaf(), keccak256(theirs_receipt.eip712_hash_struct()));
    let root = B256::repeat_byte(9);
    let signed = theirs::Receipts { root }.eip712_signing_hash(&theirs::domain("Causeway Payment Receipt"));
    assert_eq!(root_digest(root, &domain()), signed);
}

/// A case of the file. Amounts are decimal digits in quotes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    chain_id: u64,
    contract: Address,
    network: B256,
    payer: Address,
    payee: Address,
    token: Address,
    salt: B256,
    authorized_signer: Address,
    channel_id: B256,
    domain_separator: B256,
    #[serde(with = "crate::decimal")]
    cumulative_amount: u128,
    voucher_digest: B256,
    #[serde(with = "crate::decimal")]
    locked_amount: u128,
    sha256_hash: B256,
    lock_expiry: String,
    locked_voucher_digest: B256,
    #[serde(with = "crate::decimal")]
    tick_amount: u128,
    ticks: u32,
    root: B256,
    stream_digest: B256,
    split_recipients: Vec<Address>,
    split_bps: Vec<u16>,
    open_nonce: B256,
    authorization_digest: B256,
    #[serde(with = "crate::decimal")]
    top_up_number: u128,
    top_up_nonce: B256,
    receipts: Vec<Receipt>,
    receipt_leaf: B256,
    receipt_path: Vec<B256>,
    receipt_root: B256,
    receipt_root_digest: B256,
}

#[test]
fn names_nonces_digests_and_trees_are_those_of_viem_and_of_the_contract() {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let file = include_str!("../../../contracts/test/vectors/payments.json");
    let File { cases } = serde_json::from_str(file).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        check(case);
    }
}

fn check(case: Case) {
    let domain = Domain::new(case.chain_id, case.contract);
    assert_eq!(domain.separator(), case.domain_separator);
    let Case { payer, payee, token, salt, authorized_signer, channel_id, cumulative_amount, .. } = case;
    assert_eq!(Terms { payer, payee, token, salt, authorized_signer }.channel_id(&domain), channel_id);
    assert_eq!(Voucher { channel_id, cumulative_amount }.digest(&domain), case.voucher_digest);
    let Case { locked_amount, sha256_hash, tick_amount, ticks, root, .. } = case;
    let lock_expiry = case.lock_expiry.parse().unwrap();
    let locked = LockedVoucher { channel_id, cumulative_amount, locked_amount, sha256_hash, lock_expiry };
    assert_eq!(locked.digest(&domain), case.locked_voucher_digest);
    let stream = StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root };
    assert_eq!(stream.digest(&domain), case.stream_digest);
    let splits = case.split_recipients.into_iter().zip(case.split_bps);
    let splits: Vec<Split> = splits.map(|(recipient, bps)| Split { recipient, bps }).collect();
    assert_eq!(open_nonce(case.network, channel_id, &splits), case.open_nonce);
    assert_eq!(top_up_nonce(case.network, channel_id, case.top_up_number), case.top_up_nonce);
    let wrapped = address!("CA05000000000000000000000000000000000008");
    let wrapped = separator("Causeway Wrapped BTC", "1", case.chain_id, wrapped);
    let authorization = Authorization {
        from: payer,
        to: case.contract,
        value: cumulative_amount,
        valid_after: 0,
        valid_before: lock_expiry,
        nonce: case.open_nonce,
    };
    assert_eq!(authorization.digest(wrapped), case.authorization_digest);

    let leaves: Vec<B256> = case.receipts.iter().map(Receipt::leaf).collect();
    assert_eq!(leaves[0], case.receipt_leaf);
    let tree = Tree::of(leaves).unwrap();
    assert_eq!((tree.root(), tree.path(0)), (case.receipt_root, case.receipt_path));
    assert_eq!(root_digest(tree.root(), &domain), case.receipt_root_digest);
}

#[test]
fn ids_and_nonces_are_those_of_the_contract() {
    let (network, token, signer) = (B256::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    let (payer, payee, salt) = (Address::repeat_byte(4), Address::repeat_byte(5), B256::repeat_byte(6));
    let terms = Terms { payer, payee, token, salt, authorized_signer: signer };
    let encoded = (payer, payee, token, salt, signer, CONTRACT, U256::from(CHAIN_ID)).abi_encode();
    assert_eq!(terms.channel_id(&domain()), keccak256(encoded));
    let splits = [Split { recipient: token, bps: 500 }, Split { recipient: signer, bps: 9_000 }];
    for splits in [&splits[..], &[]] {
        let open = theirs::Open {
            networkId: network,
            channelId: ID,
            splitRecipients: splits.iter().map(|split| split.recipient).collect(),
            splitBps: splits.iter().map(|split| split.bps).collect(),
        };
        assert_eq!(open_nonce(network, ID, splits), open.eip712_hash_struct());
    }
    let number = (1_u128 << 96) - 3;
    let top_up = theirs::TopUp { networkId: network, channelId: ID, number: alloy_primitives::Uint::from(number) };
    let nonce = top_up_nonce(network, ID, number);
    assert_eq!(nonce[..20], top_up.eip712_hash_struct()[..20]);
    assert_eq!(nonce[20..], number.to_be_bytes()[4..]);
}

#[test]
fn what_is_signed_names_its_signer_and_comes_back_from_json() {
    let me = address_of(&payer());
    let signed = locked().sign(&domain(), &payer());
    let json = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedLockedVoucher>(&json).unwrap(), signed);
    assert_eq!(signed.signer(&domain()), Ok(Some(me)));
    let signed = stream().sign(&domain(), &payer());
    let json = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedStream>(&json).unwrap(), signed);
    assert_eq!(signed.signer(&domain()), Ok(Some(me)));
    let signed = receipt().sign(&domain(), &payer());
    let json = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedReceipt>(&json).unwrap(), signed);
    assert_eq!(signed.signer(&domain()), Some(me));
    assert_ne!(signed.signer(&Domain::new(1, CONTRACT)), Some(me), "on another chain it says nothing");
}

#[test]
fn a_lock_opens_for_its_secret_before_its_time() {
    let secret = B256::repeat_byte(7);
    assert_eq!(locked().opened(secret, 1_999), Ok(1_050));
    assert_eq!(locked().opened(secret, 2_000), Err(LockRefused::Expired { expiry: 2_000, now: 2_000 }));
    assert!(matches!(locked().opened(B256::ZERO, 0), Err(LockRefused::WrongSecret { .. })));
    let large = LockedVoucher { cumulative_amount: u128::MAX, ..locked() };
    assert_eq!(large.opened(secret, 0), Err(LockRefused::TooLarge));
}

#[test]
fn an_amount_is_written_in_one_way() {
    for text in ["1000", "\"01000\"", "\"+1000\"", "\"\"", "\"340282366920938463463374607431768211456\""] {
        let json = format!(r#"{{"channelId":"{ID}","cumulativeAmount":{text}}}"#);
        assert!(serde_json::from_str::<Voucher>(&json).is_err(), "{text}");
    }
    let most = format!(r#"{{"channelId":"{ID}","cumulativeAmount":"340282366920938463463374607431768211455"}}"#);
    assert_eq!(serde_json::from_str::<Voucher>(&most).unwrap().cumulative_amount, u128::MAX);
}
