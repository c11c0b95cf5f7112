//! Step "micropayments": vouchers off-chain, claimed by one transaction.

use std::time::Instant;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Client};
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure, eyre};
use payments::channel::{Channel, SeenAt};
use payments::payee::claims::{Claim, ClaimRules};
use payments::payee::{Examined, Offer, Payee, Rules};
use payments::typed_data::Domain;
use payments::voucher::{SignedVoucher, Voucher};

use super::amounts::{GAS_MONEY, PAYMENT, PAYMENTS};
use super::story::{PATIENCE, Story};

/// Pays the payee off-chain; it claims all at once. What the payer spent on the sidechain in wei, gas included.
pub async fn micropayments(client: &Client, payer: &Account, payee: &Account, story: &mut Story) -> Result<U256> {
    let before = client.balance(payer.address()).await?;
    payer.transact(client, &Call::transfer(payee.address(), amount::wei(GAS_MONEY)), PATIENCE).await?;
    let channel = open(client, payer, payee.address(), story).await?;
    let last = exchange_vouchers(client, payer, channel, story).await?;
    claim(client, payee, &last, story).await?;
    Ok(before - client.balance(payer.address()).await?)
}

async fn open(client: &Client, payer: &Account, payee: Address, story: &mut Story) -> Result<Channel> {
    let total = PAYMENT * PAYMENTS;
    let open = MicroChannel::openOnNetworkCall {
        network: client.info().await?.network_id,
        payee,
        token: Address::ZERO,
        deposit: amount::wei(total).saturating_to(),
        salt: B256::ZERO,
        authorizedSigner: Address::ZERO,
        splitRecipients: Vec::new(),
        splitBps: Vec::new(),
    };
    let open = Call::new(address::MICRO_CHANNEL, &open).with_value(amount::wei(total));
    let opened = payer.transact(client, &open, PATIENCE).await.wrap_err("the channel cannot be opened")?;
    let id = MicroChannel::ChannelOpened::decode_log(&opened.inner.logs()[0].inner)?.channelId;
    story.fact("channel", format!("{id} opened with {} for {payee}", amount::show(total)));
    Ok(Channel::opened(id, payee, Address::ZERO, payer.address(), amount::wei(total).saturating_to()))
}

/// The payer signs vouchers, the payee checks each; the last one, which is worth all of them.
async fn exchange_vouchers(
    client: &Client,
    payer: &Account,
    channel: Channel,
    story: &mut Story,
) -> Result<SignedVoucher> {
    let info = client.info().await?;
    let domain = Domain::new(info.chain_id, address::MICRO_CHANNEL);
    let (start, secret) = (Instant::now(), payer.secret());
    let price: u128 = amount::wei(PAYMENT).saturating_to();
    let mut payee = Payee::new(domain, rules(&channel));
    // Nothing here waits for the chain or for a time: one moment serves for all.
    let (now, seen) = (0, SeenAt { block: 0, unix_s: 0 });
    payee.observe(channel, seen).wrap_err("the payee does not take the channel")?;
    for number in 1..=PAYMENTS {
        let voucher = Voucher { channel_id: channel.id, cumulative_amount: price * u128::from(number) };
        let voucher = voucher.sign(&domain, &secret);
        let offer =
            Offer { chain_id: domain.chain_id(), contract: domain.contract(), voucher, price, request: B256::ZERO };
        let examined = payee.examine(offer, now).wrap_err_with(|| format!("voucher {number}"))?;
        let Examined::Check(check) = examined else { return Err(eyre!("voucher {number} was taken before")) };
        // A real payee writes it down first (`payments::io::payee`): this one lives as long as the demo.
        let verified = check.verify().wrap_err_with(|| format!("voucher {number}"))?;
        let _ = payee.accept(verified, now).wrap_err_with(|| format!("voucher {number}"))?;
    }
    story.fact("paid", format!("{PAYMENTS} vouchers signed and checked in {} ms", start.elapsed().as_millis()));
    let due = payee.due(&ClaimRules { cost: 0, worth: 1, wait_s: 0 }, now);
    match due.into_iter().next().map(|due| due.claim) {
        Some(Claim::Voucher(voucher)) => Ok(voucher),
        _ => Err(eyre!("no payment was made")),
    }
}

fn rules(channel: &Channel) -> Rules {
    let least_deposit = channel.deposit;
    Rules { payee: channel.payee, token: channel.token, least_deposit, confirmations: 0, max_age_s: 0, splits: false }
}

/// The payee cashes the last voucher in, and gets exactly what all payments are worth.
async fn claim(client: &Client, payee: &Account, last: &SignedVoucher, story: &mut Story) -> Result<()> {
    let total = PAYMENT * PAYMENTS;
    let before = client.balance(payee.address()).await?;
    let SignedVoucher { voucher, signature } = last;
    let claim = MicroChannel::settleCall {
        channelId: voucher.channel_id,
        cumulativeAmount: voucher.cumulative_amount,
        signature: signature.clone(),
    };
    let claim = Call::new(address::MICRO_CHANNEL, &claim);
    let claimed = payee.transact(client, &claim, PATIENCE).await.wrap_err("the voucher cannot be claimed")?;
    let gas = U256::from(claimed.gas_used) * U256::from(claimed.effective_gas_price);
    let earned = client.balance(payee.address()).await? + gas - before;
    ensure!(earned == amount::wei(total), "the payee got {earned} wei, expected {} wei", amount::wei(total));
    let (shown, hash) = (amount::show(total), claimed.transaction_hash);
    story.fact("claimed", format!("{shown} in one transaction ({hash}, {} gas)", claimed.gas_used));
    Ok(())
}
