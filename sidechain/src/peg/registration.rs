//! Checks the terms that a deposit address commits to against this chain: recipient, limit of fees, and the federation's key.

use std::num::NonZeroU16;

use alloy_primitives::{B256, Log};
use api::peg::{PaymentProof, Terms};
use bitcoin::XOnlyPublicKey;
use bitcoin::hashes::Hash as _;
use contracts::address::{BRIDGE, DEPOSITS, VAULT};
use contracts::alloy_sol_types::SolEvent as _;
use contracts::{Contract, Deposits};
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::header;
use mainchain::proof::{InclusionProof, parse_stripped};

use super::contracts::PegContracts;
use crate::chain::{Chain, Payment, Registration, SimulateError};
use crate::execution::Stop;
use crate::state::store::Store;

/// A fee limit of more than 1 BTC is a mistake.
pub const MAX_FEE_SAT: u64 = 100_000_000;

/// Bytes of a payment that are looked at: the largest transaction that Bitcoin's nodes relay.
const MAX_TRANSACTION_BYTES: usize = 200_000;

/// Why a deposit registration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The terms make no deposit address.
    #[error("{0}")]
    Terms(String),
    /// The output key is not the one the terms make on this chain.
    #[error("output key {got} does not belong to the terms, expected {want}")]
    OutputKey {
        /// The key that came with the terms, x-only.
        got: B256,
        /// The key that the terms make, x-only.
        want: B256,
    },
    /// The federation's key could not be read.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The proof does not show a payment to the address.
    #[error("the proof shows no payment to the address: {0}")]
    Payment(String),
}

/// The registration of terms, with the output key that they make at the head. Keeps nothing.
///
/// # Errors
///
/// `Terms`, with the reason. `Simulate`: the federation's key could not be read.
pub fn registration<S: Store>(chain: &Chain<S>, terms: &Terms, stop: &Stop) -> Result<Registration, RegisterError> {
    let genesis = chain.genesis();
    let deposit = check(terms, genesis.bridge.least_deposit_charge_sat())?;
    let group_key = group_key(chain, terms.epoch, stop)?;
    let delay = NonZeroU16::new(genesis.bridge.reclaim_delay)
        .ok_or_else(|| RegisterError::Terms("the reclaim delay of this chain is zero".into()))?;
    let peg = Peg { network_id: chain.network_id().0, bridge: BRIDGE.into_array(), delay };
    let output_key = B256::from(deposit.output(&peg, group_key).output_key().serialize());
    Ok(Registration { terms: *terms, output_key })
}

/// Checks that a registration's output key is the one that its terms make.
///
/// # Errors
///
/// `Terms`, `OutputKey`: whoever sent it is at fault.
pub fn check_registration<S: Store>(
    chain: &Chain<S>,
    registration: &Registration,
    stop: &Stop,
) -> Result<(), RegisterError> {
    let want = self::registration(chain, &registration.terms, stop)?;
    if want.output_key != registration.output_key {
        return Err(RegisterError::OutputKey { got: registration.output_key, want: want.output_key });
    }
    Ok(())
}

/// Checks that a transaction in a block of Bitcoin's best chain, as the light client has it, pays an address what the bridge
/// takes. One confirmation is enough: nothing but a place in a list depends on it.
///
/// # Errors
///
/// `Payment`, with what is wrong. `Simulate`: the contracts could not be read.
pub fn payment<S: Store>(
    chain: &Chain<S>,
    output_key: B256,
    payment: &PaymentProof,
    stop: &Stop,
) -> Result<Payment, RegisterError> {
    let wrong = |reason: String| RegisterError::Payment(reason);
    let bytes = payment.transaction.len();
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(wrong(format!("the transaction has {bytes} bytes, at most {MAX_TRANSACTION_BYTES} are looked at")));
    }
    let transaction = parse_stripped(&payment.transaction).map_err(|error| wrong(error.to_string()))?;
    let output = usize::try_from(payment.vout).ok().and_then(|vout| transaction.output.get(vout));
    let output = output.ok_or_else(|| wrong(format!("the transaction has no output {}", payment.vout)))?;
    if output.script_pubkey.as_bytes() != [&[0x51, 0x20][..], output_key.as_slice()].concat() {
        return Err(wrong(format!("output {} pays another address", payment.vout)));
    }
    let least = chain.genesis().bridge.min_deposit_sat;
    if output.value.to_sat() < least {
        return Err(wrong(format!(
            "output {} pays {}, the bridge takes {least} sat or more",
            payment.vout, output.value
        )));
    }
    let proof = inclusion(payment).map_err(|bytes| wrong(format!("the header has {bytes} bytes, expected 80")))?;
    let (block, hash) = (proof.block_hash(), B256::from(proof.block_hash().to_byte_array()));
    if PegContracts::at_head(chain, stop).confirmations(hash)? == 0 {
        return Err(wrong(format!("block {block} is not in the light client's best chain")));
    }
    let txid = proof.verify(&payment.transaction).map_err(|error| wrong(error.to_string()))?;
    Ok(Payment { txid: B256::from(txid.to_byte_array()), vout: payment.vout })
}

/// The length of the header, if it is none.
fn inclusion(proof: &PaymentProof) -> Result<InclusionProof, usize> {
    let branch = |hashes: &[B256]| hashes.iter().map(|hash| hash.0).collect();
    let header = <&[u8; 80]>::try_from(&proof.header[..]).map_err(|_| proof.header.len())?;
    Ok(InclusionProof {
        header: header::from_bytes(header),
        index: proof.index,
        siblings: branch(&proof.siblings),
        leftmost: branch(&proof.leftmost),
    })
}

/// The address and the payment of a log, if it says that a deposit is in the ledger.
pub fn proven(log: &Log) -> Option<(B256, Payment)> {
    if log.address != DEPOSITS {
        return None;
    }
    let event = Deposits::DepositProven::decode_log(log).ok()?.data;
    Some((event.outputKey, Payment { txid: event.txid, vout: event.vout }))
}

/// Whether nobody has to look for a payment any more: the ledger has minted it, or knows that it is gone. A ledger that cannot be read does
/// not say so.
pub fn is_done<S: Store>(chain: &Chain<S>, payment: &Payment) -> bool {
    /// In the contract: none, proven, swept, minted, gone.
    const GONE: u8 = 4;
    // Asked for a batch that is on its way to disk, a bounded number of times.
    let stop = Stop::never();
    let deposit = PegContracts::at_head(chain, &stop).deposit(payment.txid, payment.vout);
    deposit.is_ok_and(|deposit| deposit.minted || deposit.status == GONE)
}

/// Checks the terms by themselves, and reads them. `least_fee_sat` is what a sweep costs at the lowest rate.
fn check(terms: &Terms, least_fee_sat: u64) -> Result<DepositTerms, RegisterError> {
    check_accounts(terms)?;
    let deposit = DepositTerms::try_from(terms)
        .map_err(|_| RegisterError::Terms(format!("reclaimKey {} is not an x-only public key", terms.reclaim_key)))?;
    if !(least_fee_sat..=MAX_FEE_SAT).contains(&terms.max_fee_sat) {
        let got = terms.max_fee_sat;
        return Err(RegisterError::Terms(format!("maxFeeSat is {got}, expected {least_fee_sat} to {MAX_FEE_SAT} sat")));
    }
    Ok(deposit)
}

/// The ledger takes no deposit for the zero address or for another contract of its own than the Bridge, whose deposits are the
/// reserve's; and no contract of the peg ever fetches coins.
fn check_accounts(terms: &Terms) -> Result<(), RegisterError> {
    let Terms { recipient, claimant, .. } = terms;
    if recipient.is_zero() {
        return Err(RegisterError::Terms("the recipient is the zero address".into()));
    }
    if [VAULT, DEPOSITS].contains(recipient) {
        return Err(RegisterError::Terms(format!(
            "the recipient {recipient} is a contract of the ledger, which takes no coins: no deposit for it is ever minted"
        )));
    }
    let fetching = if claimant.is_zero() { recipient } else { claimant };
    let never_fetches = Contract::ALL.iter().any(|contract| contract.address() == *fetching);
    let for_the_reserve = *recipient == BRIDGE && *fetching == BRIDGE;
    if never_fetches && !for_the_reserve {
        return Err(RegisterError::Terms(format!(
            "the claimant {fetching} is a contract of the peg, which never fetches coins; the zero address names the recipient"
        )));
    }
    Ok(())
}

fn group_key<S: Store>(chain: &Chain<S>, epoch: u32, stop: &Stop) -> Result<XOnlyPublicKey, RegisterError> {
    let key = PegContracts::at_head(chain, stop).group_key(epoch)?;
    key.and_then(|key| XOnlyPublicKey::from_slice(key.as_slice()).ok())
        .ok_or_else(|| RegisterError::Terms(format!("epoch {epoch} has no group key yet")))
}
