//! The vault transaction: made as the ledger makes it ([`draft`]), and as a member sees it: checked, hashed, signed, completed.
//! Which are proposed is decided in [`crate::plan`], which are signed in [`crate::policy`].
//!
//! `Vault.bind` fixes a vault transaction byte for byte before anyone signs it:
//!
//! ```text
//!  version 3, locktime 0
//!  in    deposits, or vault outputs         sequence fffffffd, no scriptSig, one 64-byte signature each
//!  out   vault output  5120<vault key>      what is left, at least 330 sat; absent where the change goes to the miners
//!        withdrawals in order               amount - charge
//!        pay to anchor  51024e73, 240 sat   anybody may bump the fee by a child
//! ```

use std::collections::BTreeMap;

use bitcoin::hashes::Hash as _;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, Witness, XOnlyPublicKey, absolute, consensus,
    transaction,
};
use mainchain::P2TR_DUST;
use secp256k1::{Message, SECP256K1, schnorr};

use crate::{signing, vault};

pub mod draft;
pub mod facts;
pub mod layout;

pub use draft::{BindError, Built, build};
pub use facts::{Deposit, LedgerFacts, Output, Rules, Withdrawal};
pub use layout::{ANCHOR, ANCHOR_SCRIPT, MAX_VSIZE, vsize};

/// An output that a vault transaction spends, as the ledger's event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentOutput {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds; every input's signature commits to it (BIP341).
    pub amount: Amount,
    /// The key it pays to.
    pub output_key: XOnlyPublicKey,
    /// Root of its script tree: the hash of the deposit leaf or of the recovery leaf.
    pub merkle_root: [u8; 32],
    /// Epoch of the group key it is locked to.
    pub epoch: u32,
}

/// Why a transaction is not a vault transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultTxError {
    /// Not a transaction without witness.
    #[error("the ledger's transaction does not decode: {0}")]
    Encoding(String),
    /// A part that contradicts the layout.
    #[error("{what}: found {got}, expected {want}")]
    Layout {
        /// The part of the transaction.
        what: String,
        /// Its value in the transaction.
        got: String,
        /// Its value by the layout.
        want: String,
    },
    /// It pays more than it takes.
    #[error("outputs of {} sat from inputs of {} sat", out.to_sat(), inputs.to_sat())]
    Overspent {
        /// Sum of the inputs.
        inputs: Amount,
        /// Sum of the outputs.
        out: Amount,
    },
    /// An input that the group key of its epoch cannot spend.
    #[error("input {input} pays to key {got}, the group key of epoch {epoch} makes {want}")]
    OutputKey {
        /// Position of the input, from 0.
        input: usize,
        /// The epoch whose key it is locked to.
        epoch: u32,
        /// X-only key that the output pays to.
        got: String,
        /// X-only key that the group key and the output's script tree make.
        want: String,
    },
    /// No group key is known for the epoch.
    #[error("input {input} is of epoch {epoch}, whose group key is not known")]
    Epoch {
        /// Position of the input, from 0.
        input: usize,
        /// The epoch whose key it is locked to.
        epoch: u32,
    },
    /// A signature that Bitcoin would refuse.
    #[error("the signature of input {input} does not verify")]
    Signature {
        /// Position of the input, from 0.
        input: usize,
    },
}

/// A transaction that has the layout of a vault transaction, with the outputs that it spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultTransaction {
    unsigned: Transaction,
    inputs: Vec<SpentOutput>,
    change: Amount,
}

impl VaultTransaction {
    /// Reads the bytes of `Bound` and checks them against the inputs and the change of the same event; zero: it has no change.
    ///
    /// # Errors
    ///
    /// When the bytes are not a vault transaction over exactly these inputs, with this change.
    pub fn parse(bytes: &[u8], inputs: Vec<SpentOutput>, change: Amount) -> Result<Self, VaultTxError> {
        let unsigned: Transaction =
            consensus::deserialize(bytes).map_err(|error| VaultTxError::Encoding(error.to_string()))?;
        if consensus::serialize(&unsigned) != bytes || unsigned.input.iter().any(|input| !input.witness.is_empty()) {
            return Err(VaultTxError::Encoding("it carries a witness".to_owned()));
        }
        let vault_tx = Self { unsigned, inputs, change };
        vault_tx.check_layout()?;
        Ok(vault_tx)
    }

    /// The transaction without signatures.
    pub fn unsigned(&self) -> &Transaction {
        &self.unsigned
    }

    /// The outputs that it spends, in order.
    pub fn inputs(&self) -> &[SpentOutput] {
        &self.inputs
    }

    /// What goes back to the vault by output 0; zero: there is no such output, and payouts begin at output 0.
    pub fn change(&self) -> Amount {
        self.change
    }

    /// The outputs that pay withdrawals, in order.
    pub fn payouts(&self) -> &[TxOut] {
        let outputs = &self.unsigned.output;
        &outputs[usize::from(self.change > Amount::ZERO)..outputs.len() - 1]
    }

    /// Its id, which signatures do not change.
    pub fn txid(&self) -> Txid {
        self.unsigned.compute_txid()
    }

    /// The miners' part; the value of the anchor output is not in it.
    pub fn fee(&self) -> Amount {
        let (inputs, out) = self.sums();
        inputs - out
    }

    /// Size in virtual bytes once it is signed.
    pub fn vsize(&self) -> u64 {
        let scripts = self.unsigned.output.iter().map(|output| output.script_pubkey.len());
        vsize(self.unsigned.input.len(), scripts)
    }

    /// The outputs it spends, as Bitcoin sees them.
    pub fn prevouts(&self) -> Vec<TxOut> {
        let prevout =
            |input: &SpentOutput| TxOut { value: input.amount, script_pubkey: vault::script(input.output_key) };
        self.inputs.iter().map(prevout).collect()
    }

    /// The messages to sign, one for each input, in order (BIP341, key path, SIGHASH_DEFAULT).
    pub fn signing_inputs(&self) -> Vec<signing::Input> {
        let sighash = self.sighashes();
        let input = |(spent, sighash): (&SpentOutput, [u8; 32])| signing::Input {
            sighash,
            epoch: spent.epoch,
            merkle_root: spent.merkle_root,
            output_key: spent.output_key,
        };
        self.inputs.iter().zip(sighash).map(input).collect()
    }

    /// The transaction with its signatures, each verified by libsecp256k1.
    ///
    /// # Errors
    ///
    /// When a signature is missing or wrong.
    pub fn attach(&self, signatures: &[schnorr::Signature]) -> Result<Transaction, VaultTxError> {
        let mut signed = self.unsigned.clone();
        for (input, sighash) in self.sighashes().into_iter().enumerate() {
            let verifies = |signature: &&schnorr::Signature| {
                SECP256K1
                    .verify_schnorr(signature, &Message::from_digest(sighash), &self.inputs[input].output_key)
                    .is_ok()
            };
            let signature = signatures.get(input).filter(verifies).ok_or(VaultTxError::Signature { input })?;
            // SIGHASH_DEFAULT: 64 bytes, no type byte.
            signed.input[input].witness = Witness::from_slice(&[signature.as_ref()]);
        }
        Ok(signed)
    }

    fn sighashes(&self) -> Vec<[u8; 32]> {
        key_path_sighashes(&self.unsigned, &self.prevouts())
    }

    fn check_layout(&self) -> Result<(), VaultTxError> {
        let tx = &self.unsigned;
        expect("version", tx.version, transaction::Version(3))?;
        expect("locktime", tx.lock_time, absolute::LockTime::ZERO)?;
        expect("number of inputs", tx.input.len(), self.inputs.len())?;
        for (index, (input, spent)) in tx.input.iter().zip(&self.inputs).enumerate() {
            expect(&format!("outpoint of input {index}"), input.previous_output, spent.outpoint)?;
            expect(&format!("sequence of input {index}"), input.sequence, Sequence::ENABLE_RBF_NO_LOCKTIME)?;
            expect(&format!("script of input {index}"), &input.script_sig, &ScriptBuf::new())?;
        }
        let [first, .., anchor] = tx.output.as_slice() else {
            return Err(layout("number of outputs", tx.output.len(), "at least 2"));
        };
        self.check_change(first)?;
        expect("script of the last output", anchor.script_pubkey.as_bytes(), &ANCHOR_SCRIPT[..])?;
        expect("value of the last output", anchor.value, ANCHOR)?;
        self.check_sums()
    }

    fn check_change(&self, first: &TxOut) -> Result<(), VaultTxError> {
        if self.change == Amount::ZERO {
            return Ok(());
        }
        if !first.script_pubkey.is_p2tr() || first.value < P2TR_DUST {
            let got = format!("{} to {}", first.value, first.script_pubkey);
            return Err(layout("output 0", got, "330 sat or more to the vault key"));
        }
        expect("value of output 0", first.value, self.change)
    }

    fn check_sums(&self) -> Result<(), VaultTxError> {
        let (inputs, out) = self.sums();
        if out > inputs || inputs > Amount::MAX_MONEY { Err(VaultTxError::Overspent { inputs, out }) } else { Ok(()) }
    }

    /// Sums of inputs and outputs. The numbers are the ledger's claims until [`Self::check_sums`] has passed, so
    /// they add up without overflow.
    fn sums(&self) -> (Amount, Amount) {
        let sum = |values: &mut dyn Iterator<Item = Amount>| {
            values.fold(Amount::ZERO, |sum, value| sum.checked_add(value).unwrap_or(Amount::MAX))
        };
        let inputs = sum(&mut self.inputs.iter().map(|input| input.amount));
        let out = sum(&mut self.unsigned.output.iter().map(|output| output.value));
        (inputs, out)
    }
}

/// Whether every output is locked to the group key of its epoch, tweaked by its own tree.
///
/// # Errors
///
/// The first that is not.
pub fn check_keys(inputs: &[SpentOutput], group_keys: &BTreeMap<u32, XOnlyPublicKey>) -> Result<(), VaultTxError> {
    for (input, spent) in inputs.iter().enumerate() {
        let group_key = group_keys.get(&spent.epoch).ok_or(VaultTxError::Epoch { input, epoch: spent.epoch })?;
        let want = vault::output_key(*group_key, &spent.merkle_root);
        if want != spent.output_key {
            return Err(VaultTxError::OutputKey {
                input,
                epoch: spent.epoch,
                got: spent.output_key.to_string(),
                want: want.to_string(),
            });
        }
    }
    Ok(())
}

/// BIP341 hashes of all inputs for key path spends with SIGHASH_DEFAULT.
fn key_path_sighashes(unsigned: &Transaction, prevouts: &[TxOut]) -> Vec<[u8; 32]> {
    let mut cache = SighashCache::new(unsigned);
    let mut sighash = |input| {
        cache
            .taproot_key_spend_signature_hash(input, &Prevouts::All(prevouts), TapSighashType::Default)
            .expect("as many prevouts as inputs")
            .to_byte_array()
    };
    (0..unsigned.input.len()).map(&mut sighash).collect()
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), VaultTxError> {
    if got == want { Ok(()) } else { Err(layout(what, format!("{got:?}"), format!("{want:?}"))) }
}

fn layout(what: &str, got: impl ToString, want: impl ToString) -> VaultTxError {
    VaultTxError::Layout { what: what.to_owned(), got: got.to_string(), want: want.to_string() }
}

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
