//! Payment links: EIP-681 for wallets on the sidechain, BIP21 for those on Bitcoin.

use alloy_primitives::{Address, U256};
use bitcoin::Amount;
use contracts::address::WRAPPED_BTC;

use crate::user::peg_in;

/// The coin, to an account.
pub fn coin(account: Address, chain_id: u64, wei: U256) -> String {
    format!("ethereum:{account}@{chain_id}?value={wei}")
}

/// The same in tokens of WrappedBtc.
pub fn token(account: Address, chain_id: u64, wei: U256) -> String {
    format!("ethereum:{WRAPPED_BTC}@{chain_id}/transfer?address={account}&uint256={wei}")
}

/// From Bitcoin, to a deposit address.
pub fn bitcoin(address: &str, amount: Amount, memo: Option<&str>) -> String {
    let link = peg_in::uri(address, Some(amount));
    memo.map_or(link.clone(), |memo| format!("{link}&message={}", percent_encoded(memo)))
}

/// RFC 3986: everything but the unreserved characters.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_chain_account_and_amount_and_a_memo_cannot_add_to_them() {
        let (account, wei) = (Address::repeat_byte(0x11), U256::from(250_000_000_000_000_u64));
        let shown = "0x1111111111111111111111111111111111111111";
        assert_eq!(coin(account, 51_717, wei), format!("ethereum:{shown}@51717?value=250000000000000"));
        let token = token(account, 51_717, wei);
        assert_eq!(token, format!("ethereum:{WRAPPED_BTC}@51717/transfer?address={shown}&uint256=250000000000000"));
        let link = bitcoin("bcrt1pxyz", Amount::from_sat(25_000), Some("tea & cake?amount=1"));
        assert_eq!(link, "bitcoin:bcrt1pxyz?amount=0.00025&message=tea%20%26%20cake%3Famount%3D1");
    }
}
