//! Taking a deposit back by a key that is elsewhere: a PSBT goes out unsigned (BIP174, BIP371), and comes back with signatures.
//!
//! What comes back may have been anybody's: it is finalised only if each signature is the owner's, of this leaf and this transaction.

use std::collections::BTreeMap;

use bitcoin::bip32::{DerivationPath, Fingerprint};
use bitcoin::psbt::Input;
use bitcoin::secp256k1::{Message, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{LeafVersion, TapLeafHash};
use bitcoin::{Amount, FeeRate, OutPoint, Psbt, ScriptBuf, Transaction, TxOut};

use super::{DepositOutput, ReclaimError, secp};

/// Why a PSBT does not take a deposit back. Each says what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedReclaimError {
    #[error("input {0} does not say what it spends (witness UTXO)")]
    NoUtxo(usize),
    #[error("input {0} spends another output than one of this deposit address")]
    OtherOutput(usize),
    #[error("input {input} is not signed by the reclaim key {owner}")]
    Unsigned { input: usize, owner: XOnlyPublicKey },
    #[error("the signature of input {input} is not one of the reclaim key {owner} for this transaction")]
    WrongSignature { input: usize, owner: XOnlyPublicKey },
    #[error("there is no input")]
    Empty,
}

impl DepositOutput {
    /// As [`DepositOutput::reclaim`], unsigned: with all that a signer needs to know of the leaf.
    ///
    /// # Errors
    ///
    /// There are no coins, or they do not cover the fee and a standard output.
    ///
    /// # Panics
    ///
    /// Never: the transaction has no witness any more.
    pub fn reclaim_psbt(
        &self,
        coins: &[(OutPoint, Amount)],
        destination: ScriptBuf,
        fee_rate: FeeRate,
    ) -> Result<Psbt, ReclaimError> {
        let mut transaction = self.funded_reclaim(coins, destination, fee_rate)?;
        transaction.input.iter_mut().for_each(|input| input.witness.clear());
        let mut psbt = Psbt::from_unsigned_tx(transaction).expect("no input has a script or a witness");
        for (input, (_, value)) in psbt.inputs.iter_mut().zip(coins) {
            *input = self.reclaim_input(*value);
        }
        Ok(psbt)
    }

    fn reclaim_input(&self, value: Amount) -> Input {
        // Whose key it is only its owner knows: no fingerprint, no path.
        let origin = (vec![self.leaf_hash()], (Fingerprint::default(), DerivationPath::master()));
        Input {
            witness_utxo: Some(TxOut { value, script_pubkey: self.script_pubkey() }),
            tap_internal_key: Some(self.group_key),
            tap_merkle_root: Some(self.merkle_root),
            tap_scripts: BTreeMap::from([(self.control_block(), (self.leaf.clone(), LeafVersion::TapScript))]),
            tap_key_origins: BTreeMap::from([(self.owner(), origin)]),
            ..Input::default()
        }
    }

    /// The transaction of a signed PSBT, and what it says that it spends: to be compared with what is there.
    ///
    /// # Errors
    ///
    /// An input is not of this output, or its signature is missing or wrong.
    pub fn signed_reclaim(&self, psbt: &Psbt) -> Result<(Transaction, Vec<(OutPoint, Amount)>), SignedReclaimError> {
        let mut transaction = psbt.unsigned_tx.clone();
        if transaction.input.is_empty() {
            return Err(SignedReclaimError::Empty);
        }
        let utxos: Vec<TxOut> = psbt.inputs.iter().filter_map(|input| input.witness_utxo.clone()).collect();
        if utxos.len() < psbt.inputs.len() {
            let input = psbt.inputs.iter().position(|input| input.witness_utxo.is_none()).unwrap_or_default();
            return Err(SignedReclaimError::NoUtxo(input));
        }
        if let Some(other) = utxos.iter().position(|utxo| utxo.script_pubkey != self.script_pubkey()) {
            return Err(SignedReclaimError::OtherOutput(other));
        }
        for (number, input) in psbt.inputs.iter().enumerate() {
            let signature = self.signature(number, input)?;
            self.check_signature(&psbt.unsigned_tx, number, &utxos, &signature)?;
            let mut witness = self.reclaim_witness(&[0; 64]).to_vec();
            witness[0] = signature.to_vec();
            transaction.input[number].witness = witness.into();
        }
        let coins = transaction.input.iter().zip(&utxos).map(|(input, utxo)| (input.previous_output, utxo.value));
        let coins = coins.collect();
        Ok((transaction, coins))
    }

    /// Where a signer left it: among the script path's signatures, or in a final witness.
    fn signature(&self, number: usize, input: &Input) -> Result<bitcoin::taproot::Signature, SignedReclaimError> {
        let owner = self.owner();
        let unsigned = SignedReclaimError::Unsigned { input: number, owner };
        if let Some(signature) = input.tap_script_sigs.get(&(owner, self.leaf_hash())) {
            return Ok(*signature);
        }
        let first = input.final_script_witness.as_ref().and_then(|witness| witness.nth(0)).ok_or(unsigned)?;
        bitcoin::taproot::Signature::from_slice(first)
            .map_err(|_| SignedReclaimError::WrongSignature { input: number, owner })
    }

    /// It signs all inputs and outputs, as the owner.
    fn check_signature(
        &self,
        transaction: &Transaction,
        number: usize,
        utxos: &[TxOut],
        signature: &bitcoin::taproot::Signature,
    ) -> Result<(), SignedReclaimError> {
        let owner = self.owner();
        let wrong = SignedReclaimError::WrongSignature { input: number, owner };
        if !matches!(signature.sighash_type, TapSighashType::Default | TapSighashType::All) {
            return Err(wrong);
        }
        let prevouts = Prevouts::All(utxos);
        let hash = SighashCache::new(transaction)
            .taproot_script_spend_signature_hash(number, &prevouts, self.leaf_hash(), signature.sighash_type)
            .map_err(|_| wrong.clone())?;
        let signature: &schnorr::Signature = &signature.signature;
        secp().verify_schnorr(signature, &Message::from(hash), &owner).map_err(|_| wrong)
    }

    fn leaf_hash(&self) -> TapLeafHash {
        TapLeafHash::from_script(&self.leaf, LeafVersion::TapScript)
    }

    /// The reclaim key: the leaf ends with it and OP_CHECKSIG.
    fn owner(&self) -> XOnlyPublicKey {
        let bytes = self.leaf.as_bytes();
        XOnlyPublicKey::from_slice(&bytes[bytes.len() - 33..bytes.len() - 1]).expect("the leaf was made with this key")
    }
}
