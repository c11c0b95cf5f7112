//! The calls that members make in the free lane: those that tell the peg something. What they say is kept for ever, so each is said
//! in the one encoding that it has, with nothing behind it; what only answers is asked without a transaction.

use alloy_primitives::Address;
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, LIGHT_CLIENT, SIGNING_BOARD, VAULT};
use contracts::alloy_sol_types::SolCall;
use contracts::{BitcoinLightClient, Bridge, Deposits, Federation, SigningBoard, Vault};

/// Contracts that may be called in the free lane: the peg's.
pub const FREE_CONTRACTS: [Address; 6] = [LIGHT_CLIENT, FEDERATION, SIGNING_BOARD, BRIDGE, VAULT, DEPOSITS];

/// Whether this is a call of one of the peg's contracts that a member may make free of gas, as it is encoded.
pub fn is_free_call(to: Address, input: &[u8]) -> bool {
    let calls: &[fn(&[u8]) -> bool] = match to {
        LIGHT_CLIENT => &[is::<BitcoinLightClient::submitCall>],
        FEDERATION => &[is::<Federation::confirmKeyCall>],
        SIGNING_BOARD => {
            &[is::<SigningBoard::approveCall>, is::<SigningBoard::postSigningCall>, is::<SigningBoard::postKeygenCall>]
        }
        BRIDGE => &[
            is::<Bridge::pauseCall>,
            is::<Bridge::liftCall>,
            is::<Bridge::raiseCall>,
            is::<Bridge::cancelCall>,
            is::<Bridge::refundCall>,
            is::<Bridge::endCall>,
            is::<Bridge::repayCall>,
            is::<Bridge::claimCall>,
        ],
        VAULT => &[
            is::<Vault::proposeCall>,
            is::<Vault::bindCall>,
            is::<Vault::settleCall>,
            is::<Vault::unsettleCall>,
            is::<Vault::voidOutputCall>,
            is::<Vault::goneCall>,
            is::<Vault::alarmCall>,
        ],
        DEPOSITS => {
            &[is::<Deposits::proveCall>, is::<Deposits::leftCall>, is::<Deposits::goneCall>, is::<Deposits::mintCall>]
        }
        _ => &[],
    };
    calls.iter().any(|is| is(input))
}

/// Whether this is a call of this function, byte for byte as it is encoded.
fn is<C: SolCall>(input: &[u8]) -> bool {
    let selected = input.starts_with(&C::SELECTOR);
    selected && C::abi_decode(input).is_ok_and(|call| call.abi_encode() == input)
}
