//! x402's contracts, as its public clients use them: what they sign is hashed here by another implementation than the contracts'.

use alloy_primitives::aliases::U40;
use contracts::{
    WrappedBtc,
    address::WRAPPED_BTC,
    alloy_sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain, sol},
    standard::{
        PERMIT2, X402_AUTHORIZED_DEPOSITS, X402_BATCH_SETTLEMENT, X402_EXACT, X402_PERMITTED_DEPOSITS, X402_UP_TO,
    },
};

use super::{
    tokens::{ask, bytes, permit2_domain, token_domain, wrap, wrapped},
    *,
};

sol! {
    struct ChannelConfig {
        address payer; address payerAuthorizer; address receiver; address receiverAuthorizer;
        address token; uint40 withdrawDelay; bytes32 salt;
    }
    struct Voucher { bytes32 channelId; uint128 maxClaimableAmount; }
    struct ReceiveWithAuthorization {
        address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce;
    }
    struct TokenPermissions { address token; uint256 amount; }
    struct Witness { address to; uint256 validAfter; }
    struct PermitWitnessTransferFrom {
        TokenPermissions permitted; address spender; uint256 nonce; uint256 deadline; Witness witness;
    }
    struct Permit { TokenPermissions permitted; uint256 nonce; uint256 deadline; }

    struct Claimed { ChannelConfig channel; uint128 maxClaimableAmount; }
    struct VoucherClaim { Claimed voucher; bytes signature; uint128 totalClaimed; }
    function deposit(ChannelConfig config, uint128 amount, address collector, bytes collectorData) external;
    function claim(VoucherClaim[] claims) external;
    function settle(address receiver, address token) external;

    interface Proxy {
        function settle(Permit permit, address owner, Witness witness, bytes signature) external;
        function PERMIT2() external view returns (address);
    }
    interface Collector {
        function x402BatchSettlement() external view returns (address);
    }
}

const RECEIVER: Address = Address::repeat_byte(0x77);
const HOUR_S: u64 = 3_600;

fn batch_domain() -> Eip712Domain {
    eip712_domain! {
        name: "x402 Batch Settlement", version: "1", chain_id: CHAIN, verifying_contract: X402_BATCH_SETTLEMENT,
    }
}

fn done(block: &Finalized) -> Vec<bool> {
    block.receipts.iter().map(|receipt| receipt.status()).collect()
}

#[test]
fn what_brings_deposits_and_permits_knows_the_contracts_of_this_chain() {
    let chain = chain();
    for collector in [X402_AUTHORIZED_DEPOSITS, X402_PERMITTED_DEPOSITS] {
        assert_eq!(ask(&chain, collector, &Collector::x402BatchSettlementCall {}), X402_BATCH_SETTLEMENT);
    }
    for proxy in [X402_EXACT, X402_UP_TO, X402_PERMITTED_DEPOSITS] {
        assert_eq!(ask(&chain, proxy, &Proxy::PERMIT2Call {}), PERMIT2, "{proxy}");
    }
}

#[test]
fn a_channel_of_batch_settlement_is_filled_by_an_authorization_and_pays_by_a_voucher() {
    let chain = chain();
    wrap(&chain);
    let (payer, payee) = (Key::new(1), Key::new(2));
    let config = ChannelConfig {
        payer: payer.address,
        payerAuthorizer: payer.address,
        receiver: RECEIVER,
        receiverAuthorizer: payee.address,
        token: WRAPPED_BTC,
        withdrawDelay: U40::from(HOUR_S),
        salt: B256::repeat_byte(3),
    };
    let channel = config.eip712_signing_hash(&batch_domain());
    let salt = U256::from(5);
    let authorization = ReceiveWithAuthorization {
        from: payer.address,
        to: X402_AUTHORIZED_DEPOSITS,
        value: U256::from(600),
        validAfter: U256::ZERO,
        validBefore: U256::MAX,
        nonce: keccak256((channel, salt).abi_encode()),
    };
    let signature = bytes(payer.signature(authorization.eip712_signing_hash(&token_domain())));
    let fill = depositCall {
        config: config.clone(),
        amount: 600,
        collector: X402_AUTHORIZED_DEPOSITS,
        collectorData: (U256::ZERO, U256::MAX, salt, signature).abi_encode_params().into(),
    };
    let voucher = Voucher { channelId: channel, maxClaimableAmount: 250 };
    let claims = vec![VoucherClaim {
        voucher: Claimed { channel: config, maxClaimableAmount: voucher.maxClaimableAmount },
        signature: bytes(payer.signature(voucher.eip712_signing_hash(&batch_domain()))),
        totalClaimed: 250,
    }];
    let settle = settleCall { receiver: RECEIVER, token: WRAPPED_BTC };
    let transactions = vec![
        call(&payee, 0, X402_BATCH_SETTLEMENT, fill.abi_encode()),
        call(&payee, 1, X402_BATCH_SETTLEMENT, claimCall { claims }.abi_encode()),
        call(&payee, 2, X402_BATCH_SETTLEMENT, settle.abi_encode()),
    ];
    assert_eq!(done(&next(&chain, transactions)), [true, true, true]);
    let left = [RECEIVER, payer.address, X402_BATCH_SETTLEMENT].map(|account| wrapped(&chain, account));
    assert_eq!(left, [250, 400, 350].map(U256::from));
}

#[test]
fn a_permit_that_names_the_payee_pays_it_exactly() {
    let chain = chain();
    wrap(&chain);
    let (owner, facilitator) = (Key::new(1), Key::new(2));
    let approve = WrappedBtc::approveCall { spender: PERMIT2, value: U256::MAX };
    let permitted = TokenPermissions { token: WRAPPED_BTC, amount: U256::from(500) };
    let witness = Witness { to: RECEIVER, validAfter: U256::ZERO };
    let (nonce, deadline) = (U256::from(9), U256::MAX);
    let signed = PermitWitnessTransferFrom {
        permitted: permitted.clone(),
        spender: X402_EXACT,
        nonce,
        deadline,
        witness: witness.clone(),
    };
    let settle = |witness: Witness| Proxy::settleCall {
        permit: Permit { permitted: permitted.clone(), nonce, deadline },
        owner: owner.address,
        witness,
        signature: bytes(owner.signature(signed.eip712_signing_hash(&permit2_domain()))),
    };
    let elsewhere = Witness { to: facilitator.address, ..witness.clone() };
    let transactions = vec![
        call(&owner, 1, WRAPPED_BTC, approve.abi_encode()),
        call(&facilitator, 0, X402_EXACT, settle(elsewhere).abi_encode()),
        call(&facilitator, 1, X402_EXACT, settle(witness.clone()).abi_encode()),
        call(&facilitator, 2, X402_EXACT, settle(witness).abi_encode()),
    ];
    assert_eq!(done(&next(&chain, transactions)), [true, false, true, false], "to nobody else, and once");
    assert_eq!((wrapped(&chain, RECEIVER), wrapped(&chain, owner.address)), (U256::from(500), U256::from(500)));
}
