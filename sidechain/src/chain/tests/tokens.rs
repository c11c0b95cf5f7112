//! The coin as a token, and Permit2, as clients use them: what they sign is hashed here by another implementation than the contracts'.

use alloy_primitives::{Signature, b256};
use contracts::{
    WrappedBtc,
    address::WRAPPED_BTC,
    alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol},
    standard::PERMIT2,
};

use super::*;

sol! {
    struct TransferWithAuthorization {
        address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce;
    }
    struct TokenPermissions { address token; uint256 amount; }
    /// What is signed.
    struct PermitTransferFrom { TokenPermissions permitted; address spender; uint256 nonce; uint256 deadline; }
    /// What is handed over: the spender is who calls.
    struct Permit { TokenPermissions permitted; uint256 nonce; uint256 deadline; }
    struct TransferDetails { address to; uint256 requestedAmount; }
    function permitTransferFrom(Permit permit, TransferDetails details, address owner, bytes signature) external;
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}

const PAYEE: Address = Address::repeat_byte(0x77);

pub(super) fn token_domain() -> Eip712Domain {
    eip712_domain! {
        name: "Causeway Wrapped BTC",
        version: "1",
        chain_id: CHAIN,
        verifying_contract: WRAPPED_BTC,
    }
}

pub(super) fn permit2_domain() -> Eip712Domain {
    eip712_domain! {
        name: "Permit2",
        chain_id: CHAIN,
        verifying_contract: PERMIT2,
    }
}

pub(super) fn ask<C: SolCall>(chain: &Chain<Memory>, to: Address, question: &C) -> C::Return {
    let call = Call { to: to.into(), input: question.abi_encode().into(), ..Call::default() };
    let outcome = chain.simulate(chain.head().number, &call, &Stop::never()).expect("the head's state is kept");
    assert!(outcome.success, "{outcome:?}");
    C::abi_decode_returns(&outcome.output).expect("its own answer")
}

pub(super) fn wrapped(chain: &Chain<Memory>, account: Address) -> U256 {
    ask(chain, WRAPPED_BTC, &WrappedBtc::balanceOfCall { account })
}

/// Account 1 wraps 1,000 wei by a plain transfer.
pub(super) fn wrap(chain: &Chain<Memory>) {
    let transfer = Key::new(1).send(CHAIN, 0, 200_000, WRAPPED_BTC.into(), U256::from(1_000), Bytes::new());
    assert!(next(chain, vec![transfer]).receipts[0].status());
}

pub(super) fn bytes(signature: Signature) -> Bytes {
    signature.as_bytes().into()
}

#[test]
fn both_domains_are_those_of_this_chain_from_the_first_block_on() {
    let chain = chain();
    for (place, domain) in [(WRAPPED_BTC, token_domain()), (PERMIT2, permit2_domain())] {
        assert_eq!(ask(&chain, place, &DOMAIN_SEPARATORCall {}), domain.separator(), "{place}");
    }
    // As viem's `hashDomain` has them.
    assert_eq!(token_domain().separator(), TOKEN_SEPARATOR);
    assert_eq!(permit2_domain().separator(), PERMIT2_SEPARATOR);
}

const TOKEN_SEPARATOR: B256 = b256!("6f2b48e092dbbd4ffbf11c84d2a139ad303657c0fbe4de18888b2732f2f2c98d");
const PERMIT2_SEPARATOR: B256 = b256!("30de74e2670984077f1de2f1d1d9165a41fad93a79ff84990440e27f84abf638");

#[test]
fn an_authorization_pays_from_an_account_that_sends_nothing() {
    let chain = chain();
    wrap(&chain);
    let from = Key::new(1);
    let terms = TransferWithAuthorization {
        from: from.address,
        to: PAYEE,
        value: U256::from(300),
        validAfter: U256::ZERO,
        validBefore: U256::MAX,
        nonce: B256::repeat_byte(5),
    };
    let signature = bytes(from.signature(terms.eip712_signing_hash(&token_domain())));
    let TransferWithAuthorization { from: payer, to, value, validAfter, validBefore, nonce } = terms;
    let bring = WrappedBtc::transferWithAuthorization_0Call {
        from: payer,
        to,
        value,
        validAfter,
        validBefore,
        nonce,
        signature,
    };
    let brought = |nonce| call(&Key::new(2), nonce, WRAPPED_BTC, bring.abi_encode());
    let block = next(&chain, vec![brought(0), brought(1)]);
    assert!(block.receipts[0].status() && !block.receipts[1].status(), "once");
    assert_eq!((wrapped(&chain, PAYEE), wrapped(&chain, payer)), (U256::from(300), U256::from(700)));
}

#[test]
fn a_permit_of_permit2_moves_wrapped_coins() {
    let chain = chain();
    wrap(&chain);
    let (owner, spender) = (Key::new(1), Key::new(2));
    let approve = WrappedBtc::approveCall { spender: PERMIT2, value: U256::MAX };
    let permitted = TokenPermissions { token: WRAPPED_BTC, amount: U256::from(500) };
    let (nonce, deadline) = (U256::from(9), U256::MAX);
    let signed = PermitTransferFrom { permitted: permitted.clone(), spender: spender.address, nonce, deadline };
    let bring = permitTransferFromCall {
        permit: Permit { permitted, nonce, deadline },
        details: TransferDetails { to: PAYEE, requestedAmount: U256::from(400) },
        owner: owner.address,
        signature: bytes(owner.signature(signed.eip712_signing_hash(&permit2_domain()))),
    };
    let transactions = vec![
        call(&owner, 1, WRAPPED_BTC, approve.abi_encode()),
        call(&spender, 0, PERMIT2, bring.abi_encode()),
        call(&spender, 1, PERMIT2, bring.abi_encode()),
    ];
    let block = next(&chain, transactions);
    let done: Vec<bool> = block.receipts.iter().map(|receipt| receipt.status()).collect();
    assert_eq!(done, [true, true, false], "once");
    assert_eq!((wrapped(&chain, PAYEE), wrapped(&chain, owner.address)), (U256::from(400), U256::from(600)));
}
