//! Payment channels as a client and a server of the public draft use them (draft-evm-session-00), on a network's first block: what they sign is hashed here
//! by another implementation than the contracts', and the calls are written as the draft writes them.

use alloy_primitives::Signature;
use contracts::{
    MicroChannel, WrappedBtc,
    address::{MICRO_CHANNEL, WRAPPED_BTC},
    alloy_sol_types::{SolStruct, SolValue, eip712_domain, sol},
};

use super::*;
use crate::testing::network;

sol! {
    struct TransferWithAuthorization {
        address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce;
    }
    struct Voucher { bytes32 channelId; uint128 cumulativeAmount; }

    /// The draft's, word for word.
    #[allow(clippy::too_many_arguments)]
    interface Draft {
        function openWithAuthorization(
            address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner, address from, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, uint8 v, bytes32 r, bytes32 s, address[] calldata splitRecipients, uint16[] calldata splitBps
        ) external returns (bytes32 channelId);
        function settle(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external;
        function close(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external;
    }
}

const SALT: B256 = B256::repeat_byte(0x5a);

/// By the draft's formula.
fn channel_id(payer: Address, payee: Address) -> B256 {
    let words = (payer, payee, WRAPPED_BTC, SALT, Address::ZERO, MICRO_CHANNEL, U256::from(CHAIN));
    keccak256(words.abi_encode())
}

fn voucher(payer: &Key, id: B256, total: u128) -> Bytes {
    let domain = eip712_domain! {
        name: "EVM Payment Channel",
        version: "1",
        chain_id: CHAIN,
        verifying_contract: MICRO_CHANNEL,
    };
    let voucher = Voucher { channelId: id, cumulativeAmount: total };
    payer.signature(voucher.eip712_signing_hash(&domain)).as_bytes().into()
}

fn deposit(payer: &Key, value: u64) -> (TransferWithAuthorization, Signature) {
    let domain = eip712_domain! {
        name: "Causeway Wrapped BTC",
        version: "1",
        chain_id: CHAIN,
        verifying_contract: WRAPPED_BTC,
    };
    let terms = TransferWithAuthorization {
        from: payer.address,
        to: MICRO_CHANNEL,
        value: U256::from(value),
        validAfter: U256::ZERO,
        validBefore: U256::MAX,
        nonce: B256::repeat_byte(0x77),
    };
    let signature = payer.signature(terms.eip712_signing_hash(&domain));
    (terms, signature)
}

fn wrapped(chain: &Chain<Memory>, account: Address) -> U256 {
    let question = WrappedBtc::balanceOfCall { account }.abi_encode();
    let call = Call { to: WRAPPED_BTC.into(), input: question.into(), ..Call::default() };
    let outcome = chain.simulate(chain.head().number, &call, &Stop::never()).expect("the head's state is kept");
    U256::abi_decode(&outcome.output).expect("a number")
}

#[test]
fn a_server_of_the_draft_opens_settles_and_closes_for_a_client_that_sends_nothing() {
    let chain = chain();
    let (client, server) = (Key::new(1), Key::new(2));
    let wrap = client.send(CHAIN, 0, 200_000, WRAPPED_BTC.into(), U256::from(1_000), Bytes::new());
    assert!(next(&chain, vec![wrap]).receipts[0].status());
    let (terms, signature) = deposit(&client, 900);
    // Brought to the token by a stranger it would arrive for no channel.
    let diverted = WrappedBtc::transferWithAuthorization_0Call {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: terms.validAfter,
        validBefore: terms.validBefore,
        nonce: terms.nonce,
        signature: signature.as_bytes().into(),
    };
    let open = Draft::openWithAuthorizationCall {
        payee: server.address,
        token: WRAPPED_BTC,
        deposit: 900,
        salt: SALT,
        authorizedSigner: Address::ZERO,
        from: terms.from,
        validAfter: terms.validAfter,
        validBefore: terms.validBefore,
        nonce: terms.nonce,
        v: if signature.v() { 28 } else { 27 },
        r: signature.r().into(),
        s: signature.s().into(),
        splitRecipients: Vec::new(),
        splitBps: Vec::new(),
    };
    let id = channel_id(client.address, server.address);
    let settle = Draft::settleCall { channelId: id, cumulativeAmount: 300, signature: voucher(&client, id, 300) };
    let close = Draft::closeCall { channelId: id, cumulativeAmount: 450, signature: voucher(&client, id, 450) };
    let send =
        |nonce, input: Vec<u8>| server.send(CHAIN, nonce, 1_000_000, MICRO_CHANNEL.into(), U256::ZERO, input.into());
    let block = next(
        &chain,
        vec![
            call(&Key::new(3), 0, WRAPPED_BTC, diverted.abi_encode()),
            send(0, open.abi_encode()),
            send(1, settle.abi_encode()),
            send(2, close.abi_encode()),
            send(3, settle.abi_encode()),
        ],
    );
    let done: Vec<bool> = block.receipts.iter().map(|receipt| receipt.status()).collect();
    assert_eq!(done, [false, true, true, true, false], "not by a stranger, and not once it is closed");
    assert_eq!(wrapped(&chain, server.address), U256::from(450));
    assert_eq!(wrapped(&chain, client.address), U256::from(550));
}

#[test]
fn what_channels_are_made_with_is_this_networks() {
    let chain = chain();
    let answer = |input: Vec<u8>| {
        let call = Call { to: MICRO_CHANNEL.into(), input: input.into(), ..Call::default() };
        chain.simulate(chain.head().number, &call, &Stop::never()).expect("the head's state is kept").output
    };
    assert_eq!(B256::from_slice(&answer(MicroChannel::networkIdCall {}.abi_encode())), network());
    assert_eq!(
        Address::from_word(B256::from_slice(&answer(MicroChannel::wrappedCoinCall {}.abi_encode()))),
        WRAPPED_BTC
    );
    let grace = contracts::CloseGrace::of(true);
    let seconds = U256::from_be_slice(&answer(MicroChannel::CLOSE_GRACE_PERIODCall {}.abi_encode()));
    let blocks = U256::from_be_slice(&answer(MicroChannel::CLOSE_GRACE_BLOCKSCall {}.abi_encode()));
    assert_eq!((seconds, blocks), (U256::from(grace.seconds), U256::from(grace.blocks)));
}
