//! All that an account has, to the wei: one transaction behind which nothing stays.
//!
//! A transaction usually costs less than it may, and what it does not cost stays. So this one offers all of its price to the proposer: then it is paid in
//! full, whatever the base fee of its block is. And it just sends coins, for which gas is always the same. Both are known before it is signed, and the
//! amount is exactly the rest.

use alloy_primitives::{Address, U256};
use bridge::amount;
use bridge::io::sidechain::{Call, Fees};
use eyre::{Result, ensure};

use super::exact::{Exact, LEAST_GAS};
use super::send::Spender;

impl Spender<'_> {
    /// The call that sends all that the account has to `to`, for [`Spender::transact`]; the same as before if one was sent whose end is not known.
    ///
    /// # Errors
    ///
    /// There is nothing to send, a contract would be paid, or transactions of the account still wait.
    pub async fn everything(&mut self, to: Address) -> Result<Call> {
        let is_same = |call: &Call| call.to == Some(to) && call.input.is_empty();
        let earlier = self.requests.search(|call, request| is_same(call) && request.empties())?;
        if let (Some((call, _)), false) = (&earlier, self.allowed.again) {
            return Ok(call.clone());
        }
        let (client, own) = (&self.network.client, self.account.address());
        let (used, next) = (self.used_nonces().await?, client.pending_nonce(own).await?);
        let replaced = earlier.as_ref().map(|(_, request)| request).filter(|request| request.nonce == used);
        let nonce = replaced.map_or(next, |request| request.nonce);
        ensure!(
            nonce == used,
            "{} transaction(s) of {own} wait for a block, and nobody knows before what they leave: give this command again when they are in one",
            next.saturating_sub(used)
        );
        let usual = client.fees().await?;
        let price = replaced.map_or(usual, |request| request.outbid(usual)).max_fee;
        let fees = Fees { max_fee: price, priority_fee: price };
        let (balance, cost) = (client.balance(own).await?, fees.cost(LEAST_GAS));
        ensure!(
            balance > cost,
            "{own} has {}, and sending it costs {}: nothing would arrive",
            amount::show_wei(balance),
            amount::show_wei(cost)
        );
        self.check_cost(cost, balance.saturating_sub(cost))?;
        let gas = client.estimate_gas(own, &Call::transfer(to, U256::ONE), fees).await?;
        ensure!(
            gas == LEAST_GAS,
            "{to} is a contract, or lends code from one: its payment takes {gas} gas now, and maybe other gas then, so what is left cannot be named to the wei before; give an --amount"
        );
        self.exact = Some(Exact { nonce, fees, instead_of: earlier.map(|(call, _)| call) });
        let call = Call::transfer(to, balance.saturating_sub(cost));
        eprintln!(
            "All        {} of {}; {} are its gas, and nothing stays in the account",
            amount::show_wei(call.value),
            amount::show_wei(balance),
            amount::show_wei(cost)
        );
        Ok(call)
    }
}
