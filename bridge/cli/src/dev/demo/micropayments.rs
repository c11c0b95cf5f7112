//! Step "micropayments": vouchers off-chain, claimed by one transaction.

use std::time::Instant;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::micro_channel::{Channel, Domain, SignedVoucher, Verifier, Voucher};
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure, eyre};

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
    Ok(Channel { id, signer: payer.address(), deposit: amount::wei(total).saturating_to(), settled: 0 })
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
    let payment: u128 = amount::wei(PAYMENT).saturating_to();
    let mut payee = Verifier::new(domain, channel, payment);
    for number in 1..=PAYMENTS {
        let voucher = Voucher { channel_id: channel.id, cumulative_amount: payment * u128::from(number) };
        payee.accept(&voucher.sign(&domain, &secret)).wrap_err_with(|| format!("voucher {number}"))?;
    }
    story.fact("paid", format!("{PAYMENTS} vouchers signed and checked in {} ms", start.elapsed().as_millis()));
    payee.claim().ok_or_else(|| eyre!("no payment was made"))
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
