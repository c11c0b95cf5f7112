//! Tokens, as a payer meets them: the coin, the wrapped coin, and any ERC-20.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::sol;
use bitcoin::Amount;
use bridge::amount;
use bridge::io::sidechain::{Call, Client, Error};
use contracts::address;
use eyre::{Result, WrapErr, bail, ensure};
use payments::typed_data::separator;

use crate::options::network::KnownNetwork;
use crate::user::spending::Spender;

sol! {
    /// What is asked of any token; the last two of one with authorizations (EIP-3009).
    interface Erc20 {
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 value) external;
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
    }
}

/// Reads `--token`.
///
/// # Errors
///
/// It is neither `coin`, `wrapped` nor an address.
pub fn parse(text: &str) -> Result<Address, String> {
    match text {
        "coin" => Ok(Address::ZERO),
        "wrapped" => Ok(address::WRAPPED_BTC),
        _ => crate::options::address::parse(text)
            .map_err(|error| format!("`coin`, `wrapped` or a token's address: {error}")),
    }
}

/// Whether its amounts are bitcoin.
pub fn is_bitcoin(token: Address) -> bool {
    token.is_zero() || token == address::WRAPPED_BTC
}

/// How much of a token: bitcoin by `--amount`, others by `--units`.
///
/// # Errors
///
/// It is said the other way, or is more than a channel takes.
pub fn units(token: Address, bitcoin: Option<Amount>, units: Option<u128>) -> Result<u128> {
    match (bitcoin, units) {
        (Some(bitcoin), None) if is_bitcoin(token) => Ok(amount::wei(bitcoin).saturating_to()),
        (None, Some(units)) if !is_bitcoin(token) => Ok(units),
        _ if is_bitcoin(token) => bail!("coins and wrapped coins are counted in bitcoin: say how much in sat or BTC"),
        _ => bail!("the token {token} is counted in its smallest unit: say how much by --units"),
    }
}

/// How a token's deposit gets to the channel.
pub enum Way {
    /// It goes with the transaction.
    Coin,
    /// The contract fetches it by what the payer signs (EIP-3009) in this domain.
    Authorization { separator: B256 },
    /// The contract fetches it by what it was allowed before.
    Approval,
}

impl Way {
    /// The best one that the token has. What it says of its own domain is believed: see [`payments::authorization::Authorization::digest`].
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn of(network: &KnownNetwork, token: Address) -> Result<Self> {
        if token.is_zero() {
            return Ok(Self::Coin);
        }
        if token == address::WRAPPED_BTC {
            let separator = separator("Causeway Wrapped BTC", "1", network.chain_id, token);
            return Ok(Self::Authorization { separator });
        }
        let state = Erc20::authorizationStateCall { authorizer: Address::ZERO, nonce: B256::ZERO };
        if said(network.client.call(token, &state).await)?.is_none() {
            return Ok(Self::Approval);
        }
        let separator = said(network.client.call(token, &Erc20::DOMAIN_SEPARATORCall {}).await)?;
        Ok(separator.map_or(Self::Approval, |separator| Self::Authorization { separator }))
    }
}

/// None: the token has no such function.
fn said<T>(answer: Result<T, Error>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.retry() => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// The account has as much.
///
/// # Errors
///
/// It has less, or there is no such token.
pub async fn afford(client: &Client, token: Address, account: Address, value: u128) -> Result<()> {
    let call = Erc20::balanceOfCall { account };
    let balance =
        client.call(token, &call).await.wrap_err_with(|| format!("cannot read a balance of the token {token}"))?;
    ensure!(
        balance >= U256::from(value),
        "{account} has {}",
        super::channel::shown_amount(token, balance.saturating_to())
    );
    Ok(())
}

/// Allows the contract as much, and no more.
///
/// # Errors
///
/// The token refuses.
pub async fn allow(spender: &Spender<'_>, token: Address, value: u128) -> Result<()> {
    let (owner, contract) = (spender.account.address(), address::MICRO_CHANNEL);
    let allowance = spender.network.client.call(token, &Erc20::allowanceCall { owner, spender: contract }).await?;
    if allowance >= U256::from(value) {
        return Ok(());
    }
    // Some tokens change an allowance only from or to nothing.
    let steps = [(!allowance.is_zero()).then_some(U256::ZERO), Some(U256::from(value))];
    for value in steps.into_iter().flatten() {
        let call = Call::new(token, &Erc20::approveCall { spender: contract, value });
        spender.transact(&call, |_| Ok(())).await.wrap_err_with(|| format!("the token {token} allows nothing"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoin_is_said_in_bitcoin_and_other_tokens_in_their_units() {
        let (sat, other) = (Amount::from_sat(7), Address::repeat_byte(1));
        assert_eq!(units(Address::ZERO, Some(sat), None).ok(), Some(70_000_000_000));
        assert_eq!(units(address::WRAPPED_BTC, Some(sat), None).ok(), Some(70_000_000_000));
        assert_eq!(units(other, None, Some(7)).ok(), Some(7));
        for (token, bitcoin, count) in [(other, Some(sat), None), (Address::ZERO, None, Some(7)), (other, None, None)] {
            assert!(units(token, bitcoin, count).is_err(), "{token} {bitcoin:?} {count:?}");
        }
    }
}
