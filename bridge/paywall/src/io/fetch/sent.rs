//! Amounts that are sent for nothing but a receipt: each waits for it, also when another command is run between.

use std::path::Path;

use alloy_primitives::{B256, keccak256};
use hyper::StatusCode;
use payments::channel::Channel;
use payments::io::payer::PayerError;
use payments::payer::EvidenceRefused;
use payments::payer::payment::Payment;
use payments::receipt::SignedReceipt;
use payments::typed_data::Domain;
use payments::voucher::{SignedVoucher, Voucher};
use secp256k1::SecretKey;
use serde_json::Value;
use tokio::time::sleep;

use super::kept::{FOLDER_PATIENCE, Folder, SENT};
use super::purse::{PayersChain, SessionPurse};
use super::session::{MOST_ANSWER_BYTES, MOST_TRIES, PAUSE, Session, is_silent};
use super::{FetchError, Page, now, random};
use crate::io::http::read;
use crate::payer::payload;
use crate::text::{base64url, sat};

/// An amount that was sent.
#[derive(Debug)]
pub struct Sent {
    pub voucher: SignedVoucher,
    pub amount: u128,
    /// It was promised by an earlier command, which did not get an answer.
    pub is_again: bool,
    /// Signed by the payee; none from one that gives none.
    pub receipt: Option<SignedReceipt>,
}

impl<C: PayersChain> Session<C> {
    /// Gives the payee an amount, for nothing but its receipt. What an earlier command promised and no answer came for is given first; if that was the same amount, nothing more is.
    ///
    /// # Errors
    ///
    /// [`FetchError`]. What was promised is kept, and the same command gives it again.
    pub async fn send(&mut self, page: &Page, amount: u128) -> Result<Vec<Sent>, FetchError> {
        let mut sent = Vec::new();
        for payment in sent_before(&self.folder, self.channel) {
            match self.deliver(page, &payment, true).await {
                // It is no longer wanted: a larger total came first, which pays it too. It stays promised.
                Err(FetchError::Refused { problem }) => {
                    tracing::warn!(total = %payment.total, problem, "an earlier payment is not taken any more");
                    self.folder.payer.give_up(self.channel, payment.request)?;
                }
                delivered => sent.push(delivered?),
            }
        }
        if sent.last().is_none_or(|last| last.amount != amount) {
            let payment = promise_sent(&mut self.folder, &self.purse, self.channel, amount).await?;
            sent.push(self.deliver(page, &payment, false).await?);
        }
        Ok(sent)
    }

    async fn deliver(&mut self, page: &Page, payment: &Payment, is_again: bool) -> Result<Sent, FetchError> {
        let (request, amount) = (payment.request, payment.price);
        let key = self.folder.key(request, String::new)?;
        let voucher = self.folder.payer.again(self.channel, payment.total, &self.purse.signer.secret());
        let voucher = voucher.expect("it was promised");
        let said = self.submit_for_words(&payload::voucher(&voucher, false), page, &key).await?;
        let receipt: Option<SignedReceipt> = serde_json::from_value(said["receipt"].clone()).ok();
        let receipt = receipt.map(|receipt| self.keep_receipt(receipt, payment)).transpose()?.flatten();
        if receipt.is_none() {
            self.folder.payer.give_up(self.channel, request)?;
        }
        self.folder.answered(request);
        self.folder.keep()?;
        Ok(Sent { voucher, amount, is_again, receipt })
    }

    /// Keeps a payee's receipt for a payment; none where it shows nothing.
    fn keep_receipt(&self, receipt: SignedReceipt, payment: &Payment) -> Result<Option<SignedReceipt>, FetchError> {
        let payer = &self.folder.payer;
        match payer.answer(receipt.clone()) {
            Ok(()) => Ok(Some(receipt)),
            // It took at once what was signed by hand before: the total is what was promised, and its signature stands.
            Err(PayerError::Evidence(EvidenceRefused::Overcharged { .. }))
                if receipt.receipt.cumulative_amount == payment.total =>
            {
                payer.recover(receipt.clone())?;
                Ok(Some(receipt))
            }
            // The payee has the voucher: no other receipt is waited for.
            Err(error @ PayerError::Evidence(_)) => {
                tracing::warn!(%error, "the payee's receipt is none");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a payee answers to a voucher, in JSON.
    async fn submit_for_words(&mut self, payload: &Value, page: &Page, key: &str) -> Result<Value, FetchError> {
        let (mut pause, mut tries) = (PAUSE, 1);
        loop {
            let is_last = tries == MOST_TRIES;
            match self.ask(page, page.method.clone(), payload, Some(key)).await {
                Err(error) if is_last || is_silent(&error) => return Err(error),
                Err(_) => {}
                Ok(response) if response.status().is_success() => {
                    let body = read(response.into_body(), MOST_ANSWER_BYTES, self.upstream.patience).await;
                    if let Ok(body) = body {
                        return Ok(serde_json::from_slice(&body).unwrap_or_default());
                    }
                    if is_last {
                        return Err(FetchError::BrokenOff);
                    }
                }
                Ok(response) => {
                    let refused = self.refused(response).await?;
                    // The same voucher is refused again, whatever the challenge.
                    if is_last || refused.status == StatusCode::PAYMENT_REQUIRED || !refused.may_go_on {
                        return Err(refused.into_error());
                    }
                }
            }
            sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }
}

/// Promises an amount over the purse's channel, to be brought to its payee by whatever joins both; one that was promised for this before and not shown, again.
///
/// # Errors
///
/// [`FetchError`].
pub async fn promise_by_hand<T>(
    purse: &SessionPurse,
    amount: u128,
    show: impl FnOnce(&Sent) -> Result<T, FetchError>,
) -> Result<T, FetchError> {
    let Some(channel) = purse.channel else { return Err(FetchError::NotPaid("no channel is named".to_owned())) };
    let path = purse.folder.join(format!("{:x}", channel.payee));
    let mut folder = Folder::open(&path, purse.domain, FOLDER_PATIENCE).await?;
    folder.know(channel)?;
    let before = sent_before(&folder, channel.id).into_iter().next_back().filter(|payment| payment.price == amount);
    let is_again = before.is_some();
    let payment = match before {
        Some(payment) => payment,
        None => promise_sent(&mut folder, purse, channel.id, amount).await?,
    };
    let voucher = folder.payer.again(channel.id, payment.total, &purse.signer.secret()).expect("it was promised");
    let shown = show(&Sent { voucher, amount, is_again, receipt: None })?;
    folder.payer.give_up(channel.id, payment.request)?;
    folder.answered(payment.request);
    folder.keep()?;
    Ok(shown)
}

/// Promises a total over a channel, to be brought to its payee by whatever joins both. It is counted with what was promised by amounts: the next adds to it.
/// `path` is the payer's folder.
///
/// # Errors
///
/// More is promised already, or [`FetchError`].
pub async fn promise_in_all(
    path: &Path,
    domain: Domain,
    channel: Channel,
    total: u128,
    secret: &SecretKey,
) -> Result<SignedVoucher, FetchError> {
    let mut folder = Folder::open(&path.join(format!("{:x}", channel.payee)), domain, FOLDER_PATIENCE).await?;
    folder.know(channel)?;
    let promised = folder.payer.standing(channel.id).map_or(0, |standing| standing.signed);
    if total < promised {
        let promised = sat(promised);
        return Err(FetchError::NotPaid(format!(
            "{promised} are promised through this channel already: a voucher says everything paid so far, so wanted is a larger total"
        )));
    }
    let voucher = Voucher { channel_id: channel.id, cumulative_amount: total }.sign(&domain, secret);
    folder.payer.recall(&voucher)?;
    folder.keep()?;
    Ok(voucher)
}

/// Amounts that were promised and not answered, in the order of their promises.
fn sent_before(folder: &Folder, channel: B256) -> Vec<Payment> {
    let mut sent: Vec<_> =
        folder.payer.unanswered(channel).into_iter().filter(|payment| payment.endpoint == SENT).collect();
    sent.sort_by_key(|payment| payment.total);
    sent
}

async fn promise_sent(
    folder: &mut Folder,
    purse: &SessionPurse,
    channel: B256,
    amount: u128,
) -> Result<Payment, FetchError> {
    let key = base64url(random().as_slice());
    let request = keccak256(&key);
    folder.key(request, || key)?;
    let signed = folder.payer.pay(channel, SENT, amount, request, &purse.signer.secret(), now())?.await?;
    let total = signed.voucher.cumulative_amount;
    Ok(Payment { channel, request, total, price: amount, at_unix_s: now(), endpoint: SENT.to_owned() })
}
