//! A signed transaction in words: decoded from the very bytes that are sent, so that what is shown is what is signed.

use alloy_consensus::transaction::SignerRecoverable as _;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use bitcoin::{Amount, Script};
use bridge::amount::{show, show_wei};
use bridge::io::sidechain::Fees;
use contracts::{Bridge, MicroChannel, WrappedBtc, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};

sol! {
    function approve(address spender, uint256 value) external;
}

/// What a transaction does, and the most that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub chain_id: u64,
    pub signer: Address,
    pub nonce: u64,
    pub does: String,
    pub to: Address,
    /// Wei that go with it.
    pub value: U256,
    /// The most that its gas costs, in wei.
    pub cost: U256,
}

impl Words {
    /// Reads a signed transaction. Coins may also just go to `payee`.
    ///
    /// # Errors
    ///
    /// It is none, or says what this program does not know.
    pub fn of(raw: &Bytes, bitcoin: mainchain::Network, payee: Option<Address>) -> Result<Self> {
        let signed = TxEnvelope::decode_2718(&mut raw.as_ref()).wrap_err("not a transaction")?;
        let to = signed.to().unwrap_or_default();
        let cost = Fees::of(&signed).cost(signed.gas_limit());
        Ok(Self {
            chain_id: signed.chain_id().unwrap_or_default(),
            signer: signed.recover_signer().wrap_err("not signed")?,
            nonce: signed.nonce(),
            does: meaning(to, signed.input(), bitcoin, payee)?,
            to,
            value: signed.value(),
            cost,
        })
    }

    /// For people, one line each.
    pub fn lines(&self) -> Vec<String> {
        vec![
            format!("What       {}", self.does),
            format!("From       {} on chain {}, nonce {}", self.signer, self.chain_id, self.nonce),
            format!("To         {} {}", name(self.to), self.to),
            format!("Amount     {}", show_wei(self.value)),
            format!("Gas        at most {}", show_wei(self.cost)),
            format!("In all     at most {}", show_wei(self.value.saturating_add(self.cost))),
        ]
    }
}

fn name(to: Address) -> &'static str {
    match to {
        address::BRIDGE => "the contract Bridge",
        address::MICRO_CHANNEL => "the contract MicroChannel",
        address::WRAPPED_BTC => "the contract WrappedBtc",
        _ => "the address",
    }
}

/// What a call of one of our contracts does, or a transfer of coins to whom they are for. Nothing else is signed.
fn meaning(to: Address, input: &[u8], bitcoin: mainchain::Network, payee: Option<Address>) -> Result<String> {
    match to {
        address::BRIDGE => of_bridge(input, bitcoin),
        address::MICRO_CHANNEL => of_channels(input),
        address::WRAPPED_BTC => of_tokens(input, bitcoin),
        // A creation has the zero address here.
        _ if input.is_empty() && payee == Some(to) && !to.is_zero() => Ok("send coins, and call nothing".to_owned()),
        _ => of_any_token(to, input),
    }
}

fn of_bridge(input: &[u8], bitcoin: mainchain::Network) -> Result<String> {
    let unknown =
        || eyre!("the bridge has functions that this program does not sign for: 0x{}", hex::encode(selector(input)));
    match of_withdrawal(input, bitcoin)? {
        Some(meaning) => Ok(meaning),
        None => of_anybody(input)?.ok_or_else(unknown),
    }
}

/// What the owner of a withdrawal asks for, and `refund`.
fn of_withdrawal(input: &[u8], bitcoin: mainchain::Network) -> Result<Option<String>> {
    if let Some(call) = decoded::<Bridge::withdrawCall>(input)? {
        return Ok(Some(payout(&call.script, call.maxFeeSat, bitcoin)));
    }
    if let Some(call) = decoded::<Bridge::raiseCall>(input)? {
        let fee = show(Amount::from_sat(call.maxFeeSat));
        return Ok(Some(format!("let the payout of withdrawal {} cost at most {fee} of its amount", call.id)));
    }
    if let Some(call) = decoded::<Bridge::cancelCall>(input)? {
        return Ok(Some(format!("cancel withdrawal {}", call.id)));
    }
    let refund = decoded::<Bridge::refundCall>(input)?;
    Ok(refund.map(|call| format!("give the coins of withdrawal {} back to its owner", call.id)))
}

fn payout(script: &[u8], max_fee_sat: u64, bitcoin: mainchain::Network) -> String {
    let script = Script::from_bytes(script);
    let payee = bitcoin::Address::from_script(script, bitcoin.bitcoin())
        .map_or_else(|_| format!("script {script:x}"), |address| address.to_string());
    let fee = show(Amount::from_sat(max_fee_sat));
    format!("pay out to {payee} on Bitcoin ({bitcoin}); the payout costs at most {fee} of the amount")
}

/// What waits for the account, and what guardians and members do.
fn of_anybody(input: &[u8]) -> Result<Option<String>> {
    if let Some(call) = decoded::<Bridge::claimCall>(input)? {
        return Ok(Some(format!("take all coins that wait for this account in the bridge, to {}", call.to)));
    }
    if decoded::<Bridge::pauseCall>(input)?.is_some() {
        return Ok(Some("pause payouts that are not bound yet".to_owned()));
    }
    let lift = decoded::<Bridge::liftCall>(input)?;
    Ok(lift.map(|call| format!("vote to lift pause {} of network {}", call.number, call.network)))
}

fn of_channels(input: &[u8]) -> Result<String> {
    if let Some(call) = decoded::<MicroChannel::openOnNetworkCall>(input)? {
        return opening(&call);
    }
    if let Some(call) = decoded::<MicroChannel::openWithAuthorizationCall>(input)? {
        return opening_with(&call);
    }
    if let Some(call) = decoded::<MicroChannel::claimManyCall>(input)? {
        let totals = call.vouchers.iter().map(|voucher| U256::from(voucher.cumulativeAmount));
        let total = totals.fold(U256::ZERO, U256::saturating_add);
        return Ok(format!("claim {} voucher(s) over {} in all", call.vouchers.len(), of_its_token(total)));
    }
    if let Some(call) = decoded::<MicroChannel::closeCall>(input)? {
        let total = of_its_token(U256::from(call.cumulativeAmount));
        return Ok(format!("close channel {} with {total} paid in all, and give the rest back", call.channelId));
    }
    if let Some(call) = decoded::<MicroChannel::requestCloseCall>(input)? {
        return Ok(format!("ask to close channel {}", call.channelId));
    }
    if let Some(call) = decoded::<MicroChannel::withdrawCall>(input)? {
        return Ok(format!("take the rest of channel {} back", call.channelId));
    }
    bail!("channels have functions that this program does not sign for: 0x{}", hex::encode(selector(input)))
}

/// An amount in a token that the call does not name.
fn of_its_token(units: U256) -> String {
    format!("{units} units of its token ({} if that is the coin)", show_wei(units))
}

/// Only what `pay open` opens: for the payee alone.
fn opening(call: &MicroChannel::openOnNetworkCall) -> Result<String> {
    ensure!(call.splitRecipients.is_empty(), "a channel that this program does not open");
    let deposit = deposit_in(call.token, call.deposit);
    let signer = signed_by(call.authorizedSigner);
    Ok(format!("open a channel {deposit}for {}{signer}, on network {} alone", call.payee, call.network))
}

/// The same, with a deposit that the account signed for.
fn opening_with(call: &MicroChannel::openWithAuthorizationCall) -> Result<String> {
    ensure!(call.splitRecipients.is_empty() && !call.token.is_zero(), "a channel that this program does not open");
    let deposit = deposit_in(call.token, call.deposit);
    Ok(format!("open a channel {deposit}for {}{}", call.payee, signed_by(call.authorizedSigner)))
}

/// What is not in the transaction's amount.
fn deposit_in(token: Address, deposit: u128) -> String {
    match token {
        Address::ZERO => String::new(),
        address::WRAPPED_BTC => format!("with tokens of {} ", show_wei(U256::from(deposit))),
        token => format!("with {deposit} units of the token {token} "),
    }
}

fn signed_by(signer: Address) -> String {
    if signer.is_zero() { String::new() } else { format!(", whose vouchers {signer} signs") }
}

/// Of any token: what the channels may fetch.
fn of_any_token(to: Address, input: &[u8]) -> Result<String> {
    let call = decoded::<approveCall>(input)?.filter(|call| call.spender == address::MICRO_CHANNEL);
    let call = call.ok_or_else(|| eyre!("{to} is none of the contracts that this program signs for"))?;
    Ok(format!("let the channels' contract fetch {} units of the token {to}", call.value))
}

fn of_tokens(input: &[u8], bitcoin: mainchain::Network) -> Result<String> {
    if decoded::<WrappedBtc::depositCall>(input)?.is_some() {
        return Ok("turn the amount into tokens, which are this account's".to_owned());
    }
    if let Some(call) = decoded::<WrappedBtc::withdrawCall>(input)? {
        return Ok(format!("turn tokens of {} back into coins", show_wei(call.value)));
    }
    if let Some(call) = decoded::<WrappedBtc::withdrawToBitcoinCall>(input)? {
        let paid = payout(&call.script, call.maxFeeSat, bitcoin);
        return Ok(format!("turn tokens of {} into a withdrawal: {paid}", show_wei(call.value)));
    }
    if let Some(call) = decoded::<WrappedBtc::transferWithAuthorization_0Call>(input)? {
        return Ok(format!(
            "bring tokens of {} from {} to {}, as {} signed",
            show_wei(call.value),
            call.from,
            call.to,
            call.from
        ));
    }
    bail!("WrappedBtc has functions that this program does not sign for: 0x{}", hex::encode(selector(input)))
}

/// The call, if the input is one of this function.
fn decoded<C: SolCall>(input: &[u8]) -> Result<Option<C>> {
    if selector(input) != C::SELECTOR {
        return Ok(None);
    }
    let call = C::abi_decode(input).wrap_err_with(|| format!("not a call of {}", C::SIGNATURE))?;
    ensure!(call.abi_encode() == input, "a call of {} with bytes that mean nothing", C::SIGNATURE);
    Ok(Some(call))
}

fn selector(input: &[u8]) -> &[u8] {
    &input[..input.len().min(4)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::accounts::dev_account;
    use bridge::io::sidechain::Call;

    fn words(call: &Call) -> Result<Words> {
        words_at(Fees { max_fee: 2_000_000, priority_fee: 1 }, call)
    }

    fn words_at(fees: Fees, call: &Call) -> Result<Words> {
        Words::of(&dev_account(0).sign(7, 3, 100_000, fees, call).raw, mainchain::Network::Regtest, None)
    }

    #[test]
    fn what_is_free_costs_nothing_and_one_wei_beside_it_all_that_it_names() {
        let pause = Call::new(address::BRIDGE, &Bridge::pauseCall {});
        assert_eq!(words_at(Fees::FREE, &pause).expect("known").cost, U256::ZERO);
        let tip = Fees { priority_fee: 1, ..Fees::FREE };
        assert_eq!(words_at(tip, &pause).expect("known").cost, U256::from(100_000) * U256::from(u64::MAX));
    }

    #[test]
    fn a_withdrawal_is_told_with_payee_fee_and_all_that_it_takes() {
        let payee = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        let script = payee.parse::<bitcoin::Address<_>>().expect("an address").assume_checked().script_pubkey();
        let call = Bridge::withdrawCall { script: script.to_bytes().into(), maxFeeSat: 5_000 };
        let call = Call::new(address::BRIDGE, &call).with_value(bridge::amount::wei(Amount::from_sat(50_000_000)));
        let words = words(&call).expect("known");
        assert_eq!((words.chain_id, words.nonce, words.signer), (7, 3, dev_account(0).address()));
        let text = words.lines().join("\n");
        for told in [payee, "0.00005 BTC", "0.5 BTC", "0.0000002 BTC", "0.5000002 BTC", "the contract Bridge"] {
            assert!(text.contains(told), "{told:?} is not in\n{text}");
        }
    }

    #[test]
    fn what_the_channels_may_take_of_a_token_is_told_and_nobody_else_may_take_any() {
        let (token, payee) = (Address::repeat_byte(7), Address::repeat_byte(9));
        let told = |call: Call| words(&call).expect("known").does;
        let approve = |spender| Call::new(token, &approveCall { spender, value: U256::from(400) });
        let text = told(approve(address::MICRO_CHANNEL));
        assert!(text.contains("fetch 400 units") && text.contains(&token.to_string()), "{text}");
        assert!(words(&approve(Address::repeat_byte(1))).is_err());
        let mut open = MicroChannel::openWithAuthorizationCall {
            payee,
            token,
            deposit: 5,
            salt: alloy_primitives::B256::ZERO,
            authorizedSigner: Address::ZERO,
            from: Address::repeat_byte(2),
            validAfter: U256::ZERO,
            validBefore: U256::MAX,
            nonce: alloy_primitives::B256::ZERO,
            v: 27,
            r: alloy_primitives::B256::ZERO,
            s: alloy_primitives::B256::ZERO,
            splitRecipients: Vec::new(),
            splitBps: Vec::new(),
        };
        let text = told(Call::new(address::MICRO_CHANNEL, &open));
        assert_eq!(text, format!("open a channel with 5 units of the token {token} for {payee}"));
        open.token = address::WRAPPED_BTC;
        let text = told(Call::new(address::MICRO_CHANNEL, &open));
        assert!(text.contains("with tokens of 0 BTC and 5 wei"), "{text}");
        open.token = Address::ZERO;
        assert!(words(&Call::new(address::MICRO_CHANNEL, &open)).is_err(), "coins are not authorized");
    }

    #[test]
    fn every_call_of_the_bridge_that_is_signed_is_told_in_words() {
        let id = U256::from(7);
        let told = |call: Call| words(&call).expect("known").does;
        let raise = Bridge::raiseCall { id, maxFeeSat: 9_000 };
        assert!(told(Call::new(address::BRIDGE, &raise)).contains("withdrawal 7 cost at most 0.00009 BTC"));
        assert_eq!(told(Call::new(address::BRIDGE, &Bridge::cancelCall { id })), "cancel withdrawal 7");
        assert!(
            told(Call::new(address::BRIDGE, &Bridge::refundCall { id })).contains("withdrawal 7 back to its owner")
        );
        let to = Address::repeat_byte(9);
        assert!(told(Call::new(address::BRIDGE, &Bridge::claimCall { to })).contains(&to.to_string()));
        assert!(told(Call::new(address::BRIDGE, &Bridge::pauseCall {})).contains("pause payouts"));
        let lift = Bridge::liftCall { network: alloy_primitives::B256::repeat_byte(3), number: 4 };
        assert!(told(Call::new(address::BRIDGE, &lift)).contains("lift pause 4 of network 0x0303"));
    }

    #[test]
    fn every_call_of_a_channel_that_is_signed_is_told_in_words() {
        let id = alloy_primitives::B256::repeat_byte(7);
        let told = |call: Call| words(&call).expect("known").does;
        let mut open = MicroChannel::openOnNetworkCall {
            network: alloy_primitives::B256::repeat_byte(3),
            payee: Address::repeat_byte(9),
            token: Address::ZERO,
            deposit: 5,
            salt: alloy_primitives::B256::ZERO,
            authorizedSigner: Address::repeat_byte(8),
            splitRecipients: Vec::new(),
            splitBps: Vec::new(),
        };
        let text = told(Call::new(address::MICRO_CHANNEL, &open));
        let payee = Address::repeat_byte(9).to_string();
        assert!(text.contains(&payee) && text.contains("signs, on network 0x0303"), "{text}");
        open.splitRecipients.push(Address::repeat_byte(1));
        open.splitBps.push(1);
        assert!(words(&Call::new(address::MICRO_CHANNEL, &open)).is_err(), "others would be paid");
        let close =
            MicroChannel::closeCall { channelId: id, cumulativeAmount: 250_000_000_000, signature: Bytes::new() };
        let text = told(Call::new(address::MICRO_CHANNEL, &close));
        let amount = "250000000000 units of its token (0.00000025 BTC if that is the coin)";
        assert!(text.contains(&format!("{amount} paid in all")) && text.contains(&id.to_string()), "{text}");
        let request = MicroChannel::requestCloseCall { channelId: id };
        assert_eq!(told(Call::new(address::MICRO_CHANNEL, &request)), format!("ask to close channel {id}"));
        let withdraw = MicroChannel::withdrawCall { channelId: id };
        assert!(told(Call::new(address::MICRO_CHANNEL, &withdraw)).contains("the rest of channel"));
        let collect = MicroChannel::collectCall { account: Address::ZERO, token: Address::ZERO };
        assert!(words(&Call::new(address::MICRO_CHANNEL, &collect)).is_err());
    }

    #[test]
    fn coins_that_become_tokens_and_tokens_that_become_coins_are_told_in_words() {
        let value = bridge::amount::wei(Amount::from_sat(250));
        let wrap = Call::new(address::WRAPPED_BTC, &WrappedBtc::depositCall {}).with_value(value);
        let text = words(&wrap).expect("known").lines().join("\n");
        assert!(text.contains("tokens") && text.contains("0.0000025 BTC") && text.contains("WrappedBtc"), "{text}");
        let unwrap = Call::new(address::WRAPPED_BTC, &WrappedBtc::withdrawCall { value });
        assert!(words(&unwrap).expect("known").does.contains("tokens of 0.0000025 BTC back"));
        let script = hex::decode("00140102030405060708090a0b0c0d0e0f1011121314").expect("hex").into();
        let out = Call::new(address::WRAPPED_BTC, &WrappedBtc::withdrawToBitcoinCall { value, script, maxFeeSat: 7 });
        let told = words(&out).expect("known").does;
        assert!(told.contains("tokens of 0.0000025 BTC into") && told.contains("pay out to bcrt1q"), "{told}");
        let to = Address::repeat_byte(9);
        assert!(words(&Call::new(address::WRAPPED_BTC, &WrappedBtc::transferCall { to, value })).is_err());
    }

    #[test]
    fn coins_just_go_to_the_one_whom_they_are_for_and_call_nothing() {
        let (payee, other) = (Address::repeat_byte(9), Address::repeat_byte(8));
        let to_payee = |call: &Call| {
            let raw = dev_account(0).sign(7, 3, 100_000, Fees { max_fee: 1, priority_fee: 1 }, call).raw;
            Words::of(&raw, mainchain::Network::Regtest, Some(payee))
        };
        let told = to_payee(&Call::transfer(payee, U256::from(7))).expect("known").lines().join("\n");
        assert!(told.contains("send coins") && told.contains(&payee.to_string()), "{told}");
        assert!(to_payee(&Call::transfer(other, U256::from(7))).is_err());
        assert!(to_payee(&Call { input: vec![1].into(), ..Call::transfer(payee, U256::from(7)) }).is_err());
        assert!(to_payee(&Call { to: None, ..Call::transfer(payee, U256::from(7)) }).is_err());
    }

    #[test]
    fn nothing_is_signed_that_is_not_understood() {
        let stranger = Call::transfer(Address::repeat_byte(9), U256::from(7));
        assert!(words(&stranger).is_err());
        let unknown = Call { to: Some(address::BRIDGE), value: U256::ZERO, input: vec![1, 2, 3, 4].into() };
        assert!(words(&unknown).is_err());
        let mut padded = Call::new(address::BRIDGE, &Bridge::cancelCall { id: U256::from(7) });
        padded.input = [padded.input.as_ref(), &[0; 32]].concat().into();
        assert!(words(&padded).is_err());
    }
}
