//! An account: a key that signs transactions, and the care it takes to get one included.
//!
//! ```text
//!   call --estimate, nonce--> signed --send--> pending --receipt--> included
//!                               ^                 | forgotten by the node (restart, full mempool)
//!                               +---- sent again -+
//! ```
//! A transaction keeps its nonce while it is sent again, so that it can be included only once.

use std::fmt;
use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::Encodable2718;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind};
use alloy_rpc_types_eth::TransactionReceipt;
use payments::account_signature::address;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::error::Error;
use super::revert::Revert;
use super::transaction::{Call, Fees, MAX_GAS, Pending};

/// How often a receipt is asked for.
const RECEIPT_POLL: Duration = Duration::from_millis(100);
/// How often it is checked that the node still knows a transaction.
const STILL_KNOWN_POLL: Duration = Duration::from_secs(2);

/// A secp256k1 key with its address. The key is wiped from memory when dropped.
#[derive(Clone)]
pub struct Account {
    secret: SecretKey,
    address: Address,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

/// The bytes are not a secp256k1 secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secp256k1 secret key: 32 bytes between 1 and the order of the group are wanted")]
pub struct BadSecret;

impl Account {
    /// # Errors
    ///
    /// [`BadSecret`] when the bytes are zero or not below the order of the group.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, BadSecret> {
        SecretKey::from_slice(secret).map(Self::from_key).map_err(|_| BadSecret)
    }

    /// A fresh account.
    #[must_use]
    pub fn random() -> Self {
        Self::from_key(SecretKey::new(&mut rand::thread_rng()))
    }

    #[must_use]
    pub fn from_key(secret: SecretKey) -> Self {
        let address = address(&PublicKey::from_secret_key(SECP256K1, &secret));
        Self { secret, address }
    }

    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The secret, for whoever keeps it (encrypted).
    #[must_use]
    pub fn secret(&self) -> SecretKey {
        self.secret
    }

    /// Signs a 32-byte digest (EIP-712 vouchers, transactions): a low-s signature with its parity.
    #[must_use]
    pub fn sign_digest(&self, digest: B256) -> Signature {
        let (recovery, compact) =
            SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(digest.0), &self.secret).serialize_compact();
        Signature::from_bytes_and_parity(&compact, recovery.to_i32() == 1)
    }

    /// Signs an EIP-1559 transaction.
    #[must_use]
    pub fn sign(&self, chain_id: u64, nonce: u64, gas_limit: u64, fees: Fees, call: &Call) -> Pending {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.priority_fee,
            to: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            access_list: AccessList::default(),
            input: call.input.clone(),
        };
        let signature = self.sign_digest(transaction.signature_hash());
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Pending { hash: *envelope.tx_hash(), sender: self.address, nonce, raw: envelope.encoded_2718().into() }
    }

    /// The gas limit for an estimate: the state may change before inclusion, so a quarter more, within what a transaction
    /// may use.
    #[must_use]
    pub fn gas_limit(estimate: u64) -> u64 {
        estimate.saturating_add(estimate / 4).min(MAX_GAS).max(estimate)
    }

    /// Sends a paid transaction behind those that already wait, and returns without waiting for it.
    ///
    /// # Errors
    ///
    /// [`Error::Reverted`] when it would fail; it is not sent then.
    pub async fn send(&self, client: &Client, call: &Call) -> Result<Pending, Error> {
        let fees = client.fees().await?;
        let nonce = client.pending_nonce(self.address).await?;
        self.send_with(client, call, fees, nonce).await
    }

    /// Sends a transaction with a chosen nonce and chosen fees ([`Fees::FREE`] for the free lane).
    ///
    /// # Errors
    ///
    /// As [`Account::send`].
    pub async fn send_with(&self, client: &Client, call: &Call, fees: Fees, nonce: u64) -> Result<Pending, Error> {
        let chain_id = client.chain_id().await?;
        let gas = client.estimate_gas(self.address, call, fees).await?;
        let pending = self.sign(chain_id, nonce, Self::gas_limit(gas), fees, call);
        client.send_raw(&pending.raw).await?;
        Ok(pending)
    }

    /// Sends a paid transaction and waits until it is final.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when it was included and failed, [`Error::NotIncluded`] after `timeout`.
    pub async fn transact(&self, client: &Client, call: &Call, timeout: Duration) -> Result<TransactionReceipt, Error> {
        let pending = self.send(client, call).await?;
        client.wait(&pending, timeout).await
    }
}

impl Client {
    /// Prices at which a transaction that is sent now is included soon, as far as the node tells the truth.
    ///
    /// # Errors
    ///
    /// As [`Client::head`].
    pub async fn fees(&self) -> Result<Fees, Error> {
        let head = self.head().await?;
        Ok(fees_at(head.base_fee, self.suggested_tip().await?))
    }

    /// Waits until a transaction is final, and sends it again when the node forgot it.
    ///
    /// # Errors
    ///
    /// [`Error::NotIncluded`] after `timeout`, [`Error::Replaced`] when another one took its nonce, [`Error::Failed`]
    /// when it was included and failed.
    pub async fn wait(&self, pending: &Pending, timeout: Duration) -> Result<TransactionReceipt, Error> {
        let start = Instant::now();
        let mut checked = start;
        loop {
            match self.receipt(pending.hash).await {
                Ok(Some(receipt)) if receipt.inner.status() => return Ok(receipt),
                Ok(Some(receipt)) => return Err(self.failure(pending, &receipt).await),
                Ok(None) => {}
                Err(error) if error.retry() => {}
                Err(error) => return Err(error),
            }
            if start.elapsed() > timeout {
                return Err(Error::NotIncluded { hash: pending.hash, nonce: pending.nonce, waited: timeout });
            }
            if checked.elapsed() > STILL_KNOWN_POLL {
                checked = Instant::now();
                self.remind(pending).await?;
            }
            sleep(RECEIPT_POLL).await;
        }
    }

    /// Sends a transaction again when the node forgot it.
    async fn remind(&self, pending: &Pending) -> Result<(), Error> {
        let answer = async {
            if self.knows(pending.hash).await? {
                return Ok(());
            }
            let nonce = self.nonce(pending.sender).await?;
            // It may have been included between the two questions: only a receipt that is still missing tells.
            if nonce > pending.nonce && self.receipt(pending.hash).await?.is_none() {
                return Err(Error::Replaced { hash: pending.hash, nonce: pending.nonce });
            }
            self.send_raw(&pending.raw).await.map(|_| ())
        };
        match answer.await {
            Err(Error::Refused { .. }) => Ok(()), // Its nonce or price does not fit now; the next reminder tells.
            Err(error) if error.retry() => Ok(()),
            other => other,
        }
    }

    async fn failure(&self, pending: &Pending, receipt: &TransactionReceipt) -> Error {
        let block = receipt.block_number.unwrap_or_default();
        let revert = self.why(pending, block).await.unwrap_or_else(|| Revert::decode(Bytes::new()));
        Error::Failed { hash: pending.hash, block, revert }
    }

    /// Runs a failed transaction again on the state before its block, to learn its reason. Best effort.
    async fn why(&self, pending: &Pending, block: u64) -> Option<Revert> {
        use alloy_consensus::Transaction as _;
        use alloy_eips::Decodable2718;
        let envelope = TxEnvelope::decode_2718(&mut pending.raw.as_ref()).ok()?;
        let request = serde_json::json!({
            "from": pending.sender, "to": envelope.to(), "value": envelope.value(), "input": envelope.input(),
        });
        let parent = alloy_primitives::U64::from(block.checked_sub(1)?);
        let answer: Result<Bytes, Error> = self.request("eth_call", vec![request, serde_json::json!(parent)]).await;
        answer.err()?.revert().cloned()
    }
}

/// Room for six full blocks of rising base fee (each at most 12.5 % more), and the tip that the node suggests; never more
/// than the base fee, so that a node cannot make a user pay as much as it likes.
fn fees_at(base_fee: u64, suggested_tip: u64) -> Fees {
    let priority_fee = u128::from(suggested_tip.min(base_fee));
    Fees { max_fee: u128::from(base_fee) * 2 + priority_fee, priority_fee }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Account").field(&self.address).finish()
    }
}

#[cfg(test)]
mod fee_tests {
    use super::*;

    #[test]
    fn a_node_cannot_make_a_user_tip_more_than_the_base_fee() {
        let modest = fees_at(1_000_000, 100_000);
        assert_eq!((modest.max_fee, modest.priority_fee), (2_100_000, 100_000));
        let greedy = fees_at(1_000_000, u64::MAX);
        assert_eq!((greedy.max_fee, greedy.priority_fee), (3_000_000, 1_000_000));
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Transaction as _;
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_eips::Decodable2718;
    use alloy_primitives::{U256, address, hex};

    use super::*;

    /// The first account of the mnemonic "test test ... junk", as every developer tool derives it.
    fn first_developer_account() -> Account {
        let secret = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        Account::from_secret(&secret).expect("a key")
    }

    #[test]
    fn an_account_has_the_address_that_other_tools_derive() {
        assert_eq!(first_developer_account().address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(Account::from_secret(&[0; 32]).expect_err("zero is no key"), BadSecret);
    }

    #[test]
    fn a_signed_transaction_says_what_was_asked_and_who_signed_it() {
        let account = first_developer_account();
        let call = Call::transfer(address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"), U256::from(7));
        let pending = account.sign(51_717, 3, 21_000, Fees::FREE, &call);
        let read = TxEnvelope::decode_2718(&mut pending.raw.as_ref()).expect("well-formed");
        assert_eq!(read.recover_signer().expect("signed"), account.address());
        assert_eq!((read.chain_id(), read.nonce(), read.gas_limit()), (Some(51_717), 3, 21_000));
        assert_eq!((Fees::of(&read), read.value(), read.to()), (Fees::FREE, U256::from(7), call.to));
        assert_eq!(*read.tx_hash(), pending.hash);
    }

    #[test]
    fn gas_is_reserved_up_to_what_a_transaction_may_use() {
        assert_eq!(Account::gas_limit(100_000), 125_000);
        assert_eq!(Account::gas_limit(MAX_GAS - 1), MAX_GAS);
    }
}
