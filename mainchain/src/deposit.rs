//! The deposit address: an output that the federation can sweep at once and its owner can take back later.
//!
//! ```text
//! output key Q = P + tG      P  group key of the epoch: the federation spends by the key path
//!                            t  = TapTweak(P || leaf hash), BIP341, one leaf of version 0xc0:
//!                               <d> DROP <delay> CSV DROP <U> CHECKSIG
//! d  tagged hash of (network id, bridge, recipient, max fee, claimant, data hash): which sidechain, who gets the coins, at which cost
//! U  the owner's reclaim key: after `delay` blocks it alone takes the money back
//! ```
//!
//! Everything in Q is public, so the ledger recomputes it from the terms that travel with the proof, and no server has to
//! remember an address. The bytes are frozen by vectors in this file.

mod psbt;

use std::num::NonZeroU16;
use std::sync::OnceLock;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CSV, OP_DROP};
use bitcoin::secp256k1::{All, Keypair, Message, Parity, PublicKey, Secp256k1, XOnlyPublicKey};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TapNodeHash, TaprootMerkleBranch};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, FeeRate, OutPoint, Script, ScriptBuf, Sequence, TapTweakHash, Transaction, TxIn, TxOut, Weight,
    Witness,
};

use crate::params::Network;

/// The least value of a P2TR output that nodes relay: Bitcoin Core's dust limit (`GetDustThreshold`, policy/policy.cpp), at
/// its default of 3 sat/vB for the 43 bytes of the output and the 67 that spend it.
pub const P2TR_DUST: Amount = Amount::from_sat(330);

/// What a deposit adds to the transaction that sweeps it: the input's 41 bytes, and a witness of one Schnorr signature (BIP 341's
/// key path) with its two lengths, 66 bytes at a weight of one.
pub const DEPOSIT_WEIGHT: Weight = Weight::from_wu(4 * 41 + 66);

/// Tag of the hash that binds an output to its recipient.
pub const DEPOSIT_TAG: &str = "causeway/deposit";

/// Which sidechain a deposit goes to, and how long the federation has to sweep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peg {
    /// The sidechain's network id: hash of all that its operators agreed on. Two networks with the same keys differ in it.
    pub network_id: [u8; 32],
    /// Address of the contract Bridge.
    pub bridge: [u8; 20],
    /// Blocks after which the owner can take an unswept deposit back (BIP112, counted from its confirmation).
    pub delay: NonZeroU16,
}

/// The terms that a depositor commits to with the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepositTerms {
    /// Who gets the coins on the sidechain.
    pub recipient: [u8; 20],
    /// Who can fetch them should the recipient's code refuse them.
    pub claimant: [u8; 20],
    /// Who can take the deposit back after the delay.
    pub reclaim_key: XOnlyPublicKey,
    /// The most that may be taken off for sweeping it.
    pub max_fee: Amount,
    /// Hash of data for the recipient; zero when there is none.
    pub data_hash: [u8; 32],
    /// Whose group key it is: the federation's epoch.
    pub epoch: u32,
}

impl DepositTerms {
    /// The tagged hash `d` of who gets the coins where.
    pub fn commitment(&self, peg: &Peg) -> [u8; 32] {
        let tag = sha256::Hash::hash(DEPOSIT_TAG.as_bytes());
        let mut engine = sha256::Hash::engine();
        engine.input(tag.as_byte_array());
        engine.input(tag.as_byte_array());
        engine.input(&peg.network_id);
        engine.input(&peg.bridge);
        engine.input(&self.recipient);
        engine.input(&self.max_fee.to_sat().to_be_bytes());
        engine.input(&self.claimant);
        engine.input(&self.data_hash);
        sha256::Hash::from_engine(engine).to_byte_array()
    }

    /// The one leaf: `<d> DROP <delay> CSV DROP <U> CHECKSIG`.
    pub fn leaf_script(&self, peg: &Peg) -> ScriptBuf {
        Script::builder()
            .push_slice(self.commitment(peg))
            .push_opcode(OP_DROP)
            .push_int(i64::from(peg.delay.get()))
            .push_opcode(OP_CSV)
            .push_opcode(OP_DROP)
            .push_x_only_key(&self.reclaim_key)
            .push_opcode(OP_CHECKSIG)
            .into_script()
    }

    /// The output to pay, for the group key of the terms' epoch.
    pub fn output(&self, peg: &Peg, group_key: XOnlyPublicKey) -> DepositOutput {
        let leaf = self.leaf_script(peg);
        let merkle_root = TapNodeHash::from(TapLeafHash::from_script(&leaf, LeafVersion::TapScript));
        let tweak = TapTweakHash::from_key_and_tweak(group_key, Some(merkle_root)).to_scalar();
        let (key, parity) = group_key
            .add_tweak(secp(), &tweak)
            .expect("a hash that is the key's negation cannot be found, nor one above the group's order");
        DepositOutput { group_key, leaf, merkle_root, key: key.public_key(parity), delay: peg.delay }
    }
}

/// The taproot output of a deposit, with the parts needed to spend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositOutput {
    group_key: XOnlyPublicKey,
    leaf: ScriptBuf,
    merkle_root: TapNodeHash,
    key: PublicKey,
    delay: NonZeroU16,
}

impl DepositOutput {
    /// The taproot output key, x-only.
    pub fn output_key(&self) -> XOnlyPublicKey {
        self.key.x_only_public_key().0
    }

    /// The second coordinate of the output key's point, as the ledger wants it beside the terms.
    pub fn output_key_y(&self) -> [u8; 32] {
        let point = self.key.serialize_uncompressed();
        point[33..].try_into().expect("an uncompressed key has 65 bytes")
    }

    /// The leaf's hash, which is the root of the tree; the group key is tweaked with it (BIP341).
    pub fn merkle_root(&self) -> TapNodeHash {
        self.merkle_root
    }

    /// The one leaf of its script tree.
    pub fn leaf_script(&self) -> &Script {
        &self.leaf
    }

    /// The script to pay: `5120<output key>`.
    pub fn script_pubkey(&self) -> ScriptBuf {
        let key = bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(self.output_key());
        ScriptBuf::new_p2tr_tweaked(key)
    }

    /// The address to pay on `network` (BIP350).
    pub fn address(&self, network: Network) -> Address {
        let key = bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(self.output_key());
        Address::p2tr_tweaked(key, network.bitcoin())
    }

    /// Takes unswept coins of this output back, once each has `delay` confirmations: a signed transaction that pays all
    /// of them, less the fee, to `destination`.
    ///
    /// # Errors
    ///
    /// The key is not the reclaim key, there are no coins, or they do not cover the fee and a standard output.
    pub fn reclaim(
        &self,
        coins: &[(OutPoint, Amount)],
        destination: ScriptBuf,
        fee_rate: FeeRate,
        reclaim_key: &Keypair,
    ) -> Result<Transaction, ReclaimError> {
        let (owner, _) = reclaim_key.x_only_public_key();
        if !self.leaf.as_bytes().ends_with(&reclaim_ending(&owner)) {
            return Err(ReclaimError::WrongKey { got: owner });
        }
        let mut transaction = self.funded_reclaim(coins, destination, fee_rate)?;
        for (input, signature) in self.reclaim_signatures(&transaction, coins, reclaim_key).into_iter().enumerate() {
            transaction.input[input].witness = self.reclaim_witness(&signature);
        }
        Ok(transaction)
    }

    /// The transaction with its value, and signatures of the right size.
    fn funded_reclaim(
        &self,
        coins: &[(OutPoint, Amount)],
        destination: ScriptBuf,
        fee_rate: FeeRate,
    ) -> Result<Transaction, ReclaimError> {
        let total = coins.iter().try_fold(Amount::ZERO, |sum, (_, value)| sum.checked_add(*value));
        let total = total.filter(|total| *total > Amount::ZERO).ok_or(ReclaimError::NoCoins)?;

        let mut transaction = self.unsigned_reclaim(coins, destination);
        let fee = fee_rate.fee_wu(transaction.weight());
        let least = transaction.output[0].script_pubkey.minimal_non_dust();
        let value = fee.and_then(|fee| total.checked_sub(fee)).filter(|value| *value >= least);
        transaction.output[0].value = value.ok_or(ReclaimError::TooLittle { total, fee, least })?;
        Ok(transaction)
    }

    /// What one more coin adds to a transaction that takes coins of this output back.
    pub fn reclaim_input_weight(&self) -> Weight {
        let witness = self.reclaim_witness(&[0; 64]).size();
        // Outpoint, an empty script with its length, sequence: 41 bytes at a weight of four.
        Weight::from_wu_usize(4 * 41 + witness)
    }

    /// The transaction with signatures of the right size and no value yet.
    fn unsigned_reclaim(&self, coins: &[(OutPoint, Amount)], destination: ScriptBuf) -> Transaction {
        let input = coins.iter().map(|(outpoint, _)| TxIn {
            previous_output: *outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::from_height(self.delay.get()),
            witness: self.reclaim_witness(&[0; 64]),
        });
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: input.collect(),
            output: vec![TxOut { value: Amount::ZERO, script_pubkey: destination }],
        }
    }

    fn reclaim_signatures(
        &self,
        transaction: &Transaction,
        coins: &[(OutPoint, Amount)],
        key: &Keypair,
    ) -> Vec<[u8; 64]> {
        let spent: Vec<TxOut> =
            coins.iter().map(|(_, value)| TxOut { value: *value, script_pubkey: self.script_pubkey() }).collect();
        let leaf_hash = TapLeafHash::from_script(&self.leaf, LeafVersion::TapScript);
        let mut cache = SighashCache::new(transaction);
        let sign = |input| {
            let hash = cache
                .taproot_script_spend_signature_hash(input, &Prevouts::All(&spent), leaf_hash, TapSighashType::Default)
                .expect("each input has its previous output");
            // Without auxiliary randomness a signature depends on its key and message alone (BIP340 allows it).
            secp().sign_schnorr_no_aux_rand(&Message::from(hash), key).serialize()
        };
        (0..coins.len()).map(sign).collect()
    }

    /// Spends the leaf with a signature of the reclaim key: signature, script, control block.
    pub fn reclaim_witness(&self, signature: &[u8; 64]) -> Witness {
        Witness::from_slice(&[signature.as_slice(), self.leaf.as_bytes(), &self.control_block().serialize()])
    }

    fn control_block(&self) -> ControlBlock {
        let (_, parity): (_, Parity) = self.key.x_only_public_key();
        ControlBlock {
            leaf_version: LeafVersion::TapScript,
            output_key_parity: parity,
            internal_key: self.group_key,
            merkle_branch: TaprootMerkleBranch::default(),
        }
    }
}

/// How the leaf of an owner ends: `<U> CHECKSIG`.
fn reclaim_ending(owner: &XOnlyPublicKey) -> Vec<u8> {
    Script::builder().push_x_only_key(owner).push_opcode(OP_CHECKSIG).into_script().into_bytes()
}

/// Why a deposit cannot be taken back like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReclaimError {
    #[error("{got} is not the reclaim key of this deposit")]
    WrongKey { got: XOnlyPublicKey },
    #[error("there are no coins on this deposit address")]
    NoCoins,
    #[error("{total} does not cover the fee and an output of at least {least}")]
    TooLittle { total: Amount, fee: Option<Amount>, least: Amount },
}

fn secp() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}
