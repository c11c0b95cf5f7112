//! `batch-settlement` for resource servers of the same payee, which keep their own ledgers: `/verify` and `/settle`.
//!
//! Anybody can ask, so nothing is done that a stranger could turn against the payee. Its money goes nowhere but to it; what is sent is worth its gas; and since nobody here
//! knows what a channel owes elsewhere, what it gives back has to be signed by the payee's key. Channels with this server's own delay are its own, and are served by its pages alone: one channel has
//! one ledger.

use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::{B256, Bytes, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolCall as _;
use bitcoin::hashes::{Hash as _, sha256};
use bridge::io::sidechain::Call;
use contracts::standard::X402_BATCH_SETTLEMENT;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Channels;
use super::channels::{SETTLE_GAS, Settled, claim_of, deposit_call, many};
use crate::batch::Terms;
use crate::batch::channel::{Config, Domain, LEAST_DELAY_S, MOST_DELAY_S};
use crate::batch::contract::BatchSettlement;
use crate::batch::ledger::Mirror;
use crate::batch::payload::{Brought, Purpose, Voucher, number};
use crate::batch::refusal::Flaw;
use crate::io::chain::channels::refunded;
use crate::io::chain::outgoing::Undone;
use crate::io::serve::desk::now;
use crate::io::serve::openings::Begun;
use crate::payers::Outcome;
use crate::refusal::Refusal;
use crate::till::Till;
use crate::x402::{self, PaymentPayload, Requirements};

/// Channels in one claim.
const MOST_CLAIMS: usize = 100;
/// Gas of one channel's part of a claim, and of a deposit.
const CLAIM_GAS: u64 = 45_000;
const DEPOSIT_GAS: u64 = 160_000;

/// A question of a resource server.
pub struct Facilitated<'a> {
    pub channels: &'a Arc<Channels>,
    pub till: &'a Till,
    pub payload: &'a PaymentPayload,
    pub wanted: &'a Requirements,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawClaim {
    voucher: RawVoucher,
    signature: Bytes,
    total_claimed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVoucher {
    channel: Config,
    max_claimable_amount: String,
}

/// A part of a claim, as it came.
struct Claim {
    id: B256,
    config: Config,
    voucher: Voucher,
    total: u128,
}

impl Claim {
    fn parts(&self) -> (&Config, &Voucher, u128) {
        (&self.config, &self.voucher, self.total)
    }
}

impl Facilitated<'_> {
    /// The answer to `/verify`, or to `/settle`.
    pub async fn said(&self, is_to_settle: bool) -> Value {
        if is_to_settle {
            return self.settled().await;
        }
        match self.verify().await {
            Ok((brought, mirror)) => json!({
                "isValid": true, "payer": brought.config.payer.to_string(), "extra": mirror.json(brought.channel),
            }),
            Err(refusal) => {
                json!({ "isValid": false, "invalidReason": refusal.x402_reason(), "invalidMessage": refusal.to_string() })
            }
        }
    }

    async fn settled(&self) -> Value {
        let network = x402::network(self.till.token.chain_id);
        match self.settle().await {
            Ok(Settled { transaction, amount, payer, channel }) => {
                let mut said = json!({
                    "success": true, "transaction": transaction.to_string(), "network": network, "amount": amount,
                });
                if let Some(payer) = payer {
                    said["payer"] = payer.to_string().into();
                }
                if let Some(channel) = channel
                    && let Ok(mirror) = self.channels.desk.chain.channel(channel).await
                {
                    said["extra"] = json!({ "channelState": mirror.json(channel) });
                }
                said
            }
            Err(refusal) => {
                let code = refusal.code();
                self.channels.desk.count(|counters| counters.refused(code));
                json!({
                    "success": false, "errorReason": refusal.x402_reason(), "errorMessage": refusal.to_string(), "transaction": "",
                    "network": network,
                })
            }
        }
    }

    async fn verify(&self) -> Result<(Brought, Mirror), Refusal> {
        let mut brought = Brought::read(self.payload)?;
        let terms = self.terms_of(&brought.config)?;
        for asked in [self.wanted, &self.payload.accepted] {
            brought.check_terms(self.till, &terms, asked)?;
        }
        brought.voucher = brought.check_voucher(&self.till.token)?;
        let chain = &self.channels.desk.chain;
        let clock = chain.clock(now())?;
        if let Purpose::Deposit(deposit) = &brought.purpose {
            let checked = deposit.check(&brought, terms.least_deposit, clock, &self.till.token)?;
            brought.purpose = Purpose::Deposit(checked);
        }
        let mirror = self.channels.ask(brought.channel).await?;
        let deposit = brought.deposit().map_or(0, |deposit| deposit.terms.amount);
        mirror.check(brought.voucher.max, deposit, matches!(brought.purpose, Purpose::Refund(_)))?;
        if let Some(deposit) = brought.deposit() {
            chain
                .gas_of(&deposit_call(&brought, deposit))
                .await
                .map_err(|undone| refusal_of(undone, Flaw::DepositRefused))?;
        }
        Ok((brought, mirror))
    }

    /// The terms of a channel of another server: the same authorizer, another delay.
    fn terms_of(&self, config: &Config) -> Result<Terms, Refusal> {
        let (own, got_s) = (self.channels.terms, config.withdraw_delay);
        let is_taken = got_s != own.delay_s && (LEAST_DELAY_S..=MOST_DELAY_S).contains(&got_s);
        let asked = self.wanted.extra.as_ref().and_then(|extra| extra.get("withdrawDelay")).and_then(Value::as_u64);
        match asked {
            _ if !is_taken => Err(Flaw::DelayNotTaken { got_s }.into()),
            Some(want_s) if want_s != got_s => Err(Flaw::OtherDelay { got_s, want_s }.into()),
            _ => Ok(Terms { delay_s: got_s, ..own }),
        }
    }

    async fn settle(&self) -> Result<Settled, Refusal> {
        if self.payload.x402_version != x402::VERSION {
            let got = format!("x402 version {}", self.payload.x402_version);
            return Err(Refusal::Unsupported { got, want: "version 2" });
        }
        match self.payload.payload.get("type").and_then(Value::as_str) {
            Some("deposit") => self.deposit().await,
            Some("claim") => self.claim().await,
            Some("settle") => self.pay_out().await,
            Some("refund") => self.give_back().await,
            _ => Err(Flaw::UnknownType.into()),
        }
    }

    /// One that several ask for at once is made once, and each learns of it.
    async fn deposit(&self) -> Result<Settled, Refusal> {
        let (made, key, since) = (&self.channels.made, self.key(), Instant::now());
        if let Some(made) = made.find(key, since).await {
            return made;
        }
        let verified = self.verify().await;
        // It may have been made meanwhile: then there is nothing left that could be made.
        if verified.is_err()
            && let Some(made) = made.find(key, since).await
        {
            return made;
        }
        let (brought, mirror) = verified?;
        let place = self.channels.place()?;
        let filling = fill(self.channels.clone(), brought, mirror, place);
        made.ask(key, since, filling).await.unwrap_or(Err(Refusal::NotFinal))
    }

    /// Of all that is asked.
    fn key(&self) -> B256 {
        let all = serde_json::to_vec(&(self.payload, self.wanted)).expect("it came as JSON");
        sha256::Hash::hash(&all).to_byte_array().into()
    }

    async fn claim(&self) -> Result<Settled, Refusal> {
        let claims = self.claims()?;
        let mut brings: u128 = 0;
        for claim in &claims {
            let mirror = self.channels.ask(claim.id).await?;
            brings = brings.saturating_add(claim.total.saturating_sub(mirror.claimed));
        }
        self.check_worth(brings, CLAIM_GAS.saturating_mul(claims.len() as u64))?;
        let failed = Flaw::ClaimRefused("the claim was sent and not carried out".to_owned());
        let receipt =
            self.send(&many(vec![claim_of(claims.iter().map(Claim::parts))]), Flaw::ClaimRefused, failed).await?;
        Ok(Settled { transaction: receipt.transaction_hash, amount: String::new(), payer: None, channel: None })
    }

    /// The rows of a claim, each signed by its channel's key. Who authorizes them is the account that sends.
    fn claims(&self) -> Result<Vec<Claim>, Refusal> {
        let malformed = |why: &str| Refusal::from(Flaw::Malformed { kind: "claim", why: why.to_owned() });
        let rows =
            self.payload.payload.get("claims").and_then(Value::as_array).ok_or_else(|| malformed("no claims"))?;
        if rows.is_empty() || rows.len() > MOST_CLAIMS {
            return Err(malformed("it has no claim, or more than a hundred"));
        }
        let row = |row: &Value| {
            let raw =
                RawClaim::deserialize(row).map_err(|error| malformed(&bridge::foreign::shown(&error.to_string())))?;
            let amounts = number(&raw.voucher.max_claimable_amount).zip(number(&raw.total_claimed));
            let (max, total) = amounts.ok_or_else(|| malformed("its amounts are no whole numbers below 2^128"))?;
            let config = raw.voucher.channel;
            let id = config.id(Domain::new(self.till.token.chain_id));
            let signed = Voucher { max, signature: raw.signature };
            let brought = Brought { config, channel: id, voucher: signed, purpose: Purpose::Pay };
            let terms = self.terms_of(&brought.config)?;
            brought.check_terms(self.till, &terms, self.wanted)?;
            let voucher = brought.check_voucher(&self.till.token)?;
            if total > max {
                return Err(Flaw::ExceedsBalance { max: total, balance: max }.into());
            }
            Ok(Claim { id, config: brought.config, voucher, total })
        };
        rows.iter().map(row).collect()
    }

    /// Has the contract pay the payee what was claimed.
    async fn pay_out(&self) -> Result<Settled, Refusal> {
        let chain = &self.channels.desk.chain;
        let unsettled = chain.unsettled(self.till.payee).await?;
        self.check_worth(unsettled, SETTLE_GAS)?;
        let call = BatchSettlement::settleCall { receiver: self.till.payee, token: self.till.token.contract };
        let failed = Flaw::SettleRefused("it was sent and not carried out".to_owned());
        let receipt = self.send(&Call::new(X402_BATCH_SETTLEMENT, &call), Flaw::SettleRefused, failed).await?;
        Ok(Settled { transaction: receipt.transaction_hash, amount: unsettled.to_string(), payer: None, channel: None })
    }

    async fn give_back(&self) -> Result<Settled, Refusal> {
        let (brought, mirror) = self.verify().await?;
        let text = |name: &str| self.payload.payload.get(name).and_then(Value::as_str);
        let amount = text("amount").and_then(number).filter(|amount| *amount > 0).ok_or(Flaw::RefundAmount)?;
        let signature = text("refundAuthorizerSignature").and_then(|text| text.parse::<Bytes>().ok());
        let signature = signature.ok_or(Flaw::NotAuthorized)?;
        let (channel, config) = (brought.channel, &brought.config);
        let digest = Domain::new(self.till.token.chain_id).refund(channel, mirror.refund_nonce, amount);
        let signature = crate::authorization::signed_by(digest, &signature, config.receiver_authorizer)
            .map_err(|_| Flaw::NotAuthorized)?;
        let nonce = mirror.refund_nonce;
        let refund = BatchSettlement::refundWithSignatureCall {
            config: config.contract(),
            amount,
            nonce,
            receiverAuthorizerSignature: signature,
        };
        let claims = if self.payload.payload.get("claims").is_some_and(|claims| claims != &json!([])) {
            Some(claim_of(self.claims()?.iter().map(Claim::parts)))
        } else {
            None
        };
        let call = many(claims.into_iter().chain([refund.abi_encode()]).collect());
        let receipt = self.send(&call, Flaw::RefundRefused, Flaw::RefundFailed).await?;
        let amount = refunded(&receipt, channel).to_string();
        Ok(Settled { transaction: receipt.transaction_hash, amount, payer: Some(config.payer), channel: Some(channel) })
    }

    /// That an amount is worth the gas that it takes.
    fn check_worth(&self, amount: u128, gas: u64) -> Result<(), Refusal> {
        let cost = self.channels.desk.chain.head()?.fees.cost(gas);
        if U256::from(amount) > cost { Ok(()) } else { Err(Flaw::NothingToSettle.into()) }
    }

    async fn send(
        &self,
        call: &Call,
        refused: impl FnOnce(String) -> Flaw,
        failed: Flaw,
    ) -> Result<TransactionReceipt, Refusal> {
        let _place = self.channels.place()?;
        send(self.channels, call, refused, failed).await
    }
}

/// Brings a deposit that was verified to the chain. One at a time, and not beyond what its payer has.
async fn fill(
    channels: Arc<Channels>,
    brought: Brought,
    mirror: Mirror,
    _place: OwnedSemaphorePermit,
) -> Result<Settled, Refusal> {
    let Some(deposit) = brought.deposit() else { return Err(Flaw::UnknownType.into()) };
    let _hand = channels.hold(brought.channel)?;
    let desk = &channels.desk;
    let (payer, value) = (brought.config.payer, U256::from(deposit.terms.amount));
    let is_first = channels.sponsored().is_new(brought.channel);
    let opening = if is_first { Some(channels.begin_opening(payer).await?) } else { None };
    let mut turn = desk.turn(payer).await?;
    let (promised, _promise) = desk.promise(payer, value);
    let free = desk.chain.tokens_of(payer).await?.saturating_sub(promised);
    if free < value {
        return Err(Flaw::Unfunded { payer, balance: free, want: deposit.terms.amount }.into());
    }
    let call = deposit_call(&brought, deposit);
    let price = u128::try_from(desk.chain.head()?.fees.cost(DEPOSIT_GAS)).unwrap_or(u128::MAX);
    channels.sponsored().check(brought.channel, mirror.claimed, price)?;
    let sent = send(&channels, &call, Flaw::DepositRefused, Flaw::DepositFailed).await;
    if matches!(&sent, Err(Refusal::Batch(flaw)) if **flaw == Flaw::DepositFailed) {
        turn.outcome = Outcome::Failed;
        opening.into_iter().for_each(Begun::failed);
        return Err(Flaw::DepositFailed.into());
    }
    let receipt = sent?;
    opening.into_iter().for_each(|opening| opening.opened(brought.channel, price));
    channels.sponsored().spent(brought.channel, price);
    let (transaction, amount) = (receipt.transaction_hash, deposit.terms.amount.to_string());
    Ok(Settled { transaction, amount, payer: Some(payer), channel: Some(brought.channel) })
}

async fn send(
    channels: &Channels,
    call: &Call,
    refused: impl FnOnce(String) -> Flaw,
    failed: Flaw,
) -> Result<TransactionReceipt, Refusal> {
    let chain = &channels.desk.chain;
    let gas = chain.gas_of(call).await.map_err(|undone| refusal_of(undone, refused))?;
    chain.carry_out(call, gas).await.map_err(|undone| refusal_of(undone, |_| failed))
}

fn refusal_of(undone: Undone, why: impl FnOnce(String) -> Flaw) -> Refusal {
    match undone {
        Undone::Here(refusal) => refusal,
        Undone::WouldFail(words) | Undone::Failed(words) => why(words).into(),
    }
}
