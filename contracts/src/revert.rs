//! The reason of a reverted contract call, in words.

use crate::bindings::{
    bridge::Bridge::BridgeErrors, deposits::Deposits::DepositsErrors, federation::Federation::FederationErrors,
    light_client::BitcoinLightClient::BitcoinLightClientErrors, micro_channel::MicroChannel::MicroChannelErrors,
    signing_board::SigningBoard::SigningBoardErrors, vault::Vault::VaultErrors,
    wrapped_btc::WrappedBtc::WrappedBtcErrors,
};
use alloy_sol_types::{Panic, Revert, SolError, SolInterface};

/// The error's name and arguments, as far as one of our contracts (or Solidity itself) defines it.
///
/// `None` when it is of none of them.
pub fn explain_revert(data: &[u8]) -> Option<String> {
    fn known<E: SolInterface + std::fmt::Debug>(data: &[u8]) -> Option<String> {
        E::abi_decode(data).ok().map(|error| format!("{error:?}"))
    }
    known::<BridgeErrors>(data)
        .or_else(|| known::<VaultErrors>(data))
        .or_else(|| known::<DepositsErrors>(data))
        .or_else(|| known::<BitcoinLightClientErrors>(data))
        .or_else(|| known::<FederationErrors>(data))
        .or_else(|| known::<SigningBoardErrors>(data))
        .or_else(|| known::<MicroChannelErrors>(data))
        .or_else(|| known::<WrappedBtcErrors>(data))
        .map(|text| inner(&text).to_owned())
        .or_else(|| Revert::abi_decode(data).ok().map(|revert| revert.reason))
        .or_else(|| Panic::abi_decode(data).ok().map(|panic| in_geths_words(&panic)))
}

/// What Solidity panics for, in the words that clients look for (go-ethereum, accounts/abi/abi.go).
fn in_geths_words(panic: &Panic) -> String {
    let code = panic.code;
    let reason = match u8::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    reason.to_owned()
}

/// `Variant(Error { .. })` without the enum's variant around it.
fn inner(text: &str) -> &str {
    match (text.find('('), text.ends_with(')')) {
        (Some(open), true) => &text[open + 1..text.len() - 1],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};

    #[test]
    fn a_custom_error_is_told_with_its_arguments() {
        let error = crate::bindings::Vault::NotAMember { account: Address::ZERO };
        let text = explain_revert(&error.abi_encode()).expect("it is one of ours");
        assert!(text.starts_with("NotAMember {"), "{text}");
        let error = crate::bindings::Deposits::DepositTooSmall { gotSat: 5, minSat: 7 };
        assert_eq!(explain_revert(&error.abi_encode()).as_deref(), Some("DepositTooSmall { gotSat: 5, minSat: 7 }"));
    }

    #[test]
    fn a_plain_revert_reason_is_told_and_strange_bytes_are_not() {
        let reason = Revert::from("why").abi_encode();
        assert_eq!(explain_revert(&reason).as_deref(), Some("why"));
        let code = U256::from(0x11);
        let overflow = explain_revert(&Panic { code }.abi_encode()).expect("a panic");
        assert_eq!(overflow, "arithmetic underflow or overflow");
        let failed = Panic { code: U256::from(1) }.abi_encode();
        assert_eq!(explain_revert(&failed).as_deref(), Some("assert(false)"));
        assert_eq!(explain_revert(&[1, 2, 3, 4]), None);
    }
}
