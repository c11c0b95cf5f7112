//! A child that pays for its parent: it spends the anchor that anybody may spend, and coins of the wallet.
//!
//! ```text
//!  parent  (version 3, waits)   [.., anchor 240 sat] --\
//!  coin of the wallet, confirmed ----------------------+--> child (version 3, at most 1,000 vB) --> back to the wallet
//! ```
//! Miners look at both together: the child's fee makes up for what the parent's lacks. BIP431 allows one child for a parent that
//! waits; a second one replaces the first if it pays more.

use bdk_wallet::KeychainKind;
use bdk_wallet::LocalOutput;
use bdk_wallet::SignOptions;
use bitcoin::secp256k1::SECP256K1;
use bitcoin::{Amount, FeeRate, OutPoint, Transaction, TxOut, Weight, Witness, psbt};
use mainchain::P2TR_DUST;
use mainchain::header::Height;
use mainchain::io::rpc::BitcoinRpc;

use super::{Seed, Wallet, WalletError, create_error};
use crate::vault_tx::{ANCHOR, ANCHOR_SCRIPT};

/// Virtual bytes of a child at most, so that it is cheap to replace (BIP431, rule 5).
pub const MAX_CHILD_VSIZE: u64 = 1_000;

/// Confirmations after which a block's reward can be spent (consensus).
const MATURITY: Height = 100;

/// A transaction that waits, and what it pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pub transaction: Transaction,
    pub fee: Amount,
}

/// Why no child helps a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChild {
    #[error("it has no anchor output (240 sat to 51024e73): only its owner can raise its fee")]
    NoAnchor,
    #[error("it pays {paid_sat_per_kvb} sat/kvB already, and {asked_sat_per_kvb} sat/kvB were asked for")]
    PaysEnough { paid_sat_per_kvb: u64, asked_sat_per_kvb: u64 },
    #[error(
        "the coins of the wallet are too small: more than a child of {MAX_CHILD_VSIZE} vB may spend would be needed"
    )]
    TooManyCoins,
}

impl Parent {
    /// What the transaction pays by itself, in sat for 1,000 vB.
    #[must_use]
    pub fn sat_per_kvb(&self) -> u64 {
        self.fee.to_sat().saturating_mul(1_000) / self.vsize().max(1)
    }

    fn vsize(&self) -> u64 {
        self.transaction.vsize() as u64
    }

    fn anchor(&self) -> Result<OutPoint, NoChild> {
        let is_anchor =
            |output: &TxOut| output.value == ANCHOR && output.script_pubkey.as_bytes() == ANCHOR_SCRIPT.as_slice();
        let vout = self.transaction.output.iter().position(is_anchor).ok_or(NoChild::NoAnchor)?;
        let vout = u32::try_from(vout).map_err(|_| NoChild::NoAnchor)?;
        Ok(OutPoint::new(self.transaction.compute_txid(), vout))
    }

    /// The fee of a child that spends so many coins, so that both together pay `rate`; at least what makes nodes relay it.
    fn child_fee(&self, coins: u64, rate: FeeRate) -> Result<Amount, NoChild> {
        let size = child_vsize(coins);
        let together = rate.fee_vb(self.vsize() + size).unwrap_or(Amount::MAX_MONEY);
        let alone = FeeRate::BROADCAST_MIN.fee_vb(size).unwrap_or(Amount::MAX_MONEY);
        match together.checked_sub(self.fee) {
            Some(fee) if rate.fee_vb(self.vsize()).unwrap_or(Amount::MAX_MONEY) > self.fee => Ok(fee.max(alone)),
            _ => Err(NoChild::PaysEnough {
                paid_sat_per_kvb: self.sat_per_kvb(),
                asked_sat_per_kvb: rate.to_sat_per_kwu().saturating_mul(4),
            }),
        }
    }
}

/// Size of a child with the anchor, so many coins of key path spends, and one P2TR output.
fn child_vsize(coins: u64) -> u64 {
    const BASE: u64 = 4 + 1 + 41 + 1 + 43 + 4;
    // Marker and flag; the anchor's empty witness; 64-byte signatures.
    let weight = 4 * (BASE + 41 * coins) + 2 + 1 + 66 * coins;
    weight.div_ceil(4)
}

impl Wallet {
    /// A signed child with which its parent pays `rate`, and the child's fee; not sent.
    ///
    /// # Errors
    ///
    /// `NoChild`; `TooLittle` in confirmed coins.
    pub fn prepare_child(
        &mut self,
        seed: &Seed,
        parent: &Parent,
        rate: FeeRate,
    ) -> Result<(Transaction, Amount), WalletError> {
        let anchor = parent.anchor()?;
        let (coins, fee) = self.coins_for(parent, rate)?;
        let script = self.wallet.reveal_next_address(KeychainKind::Internal).script_pubkey();
        let mut child = self.wallet.build_tx();
        child.version(3).only_witness_utxo().manually_selected_only().fee_absolute(fee).drain_to(script);
        let spent = TxOut { value: ANCHOR, script_pubkey: ANCHOR_SCRIPT.to_vec().into() };
        // Spent by nothing at all (BIP433).
        let input = psbt::Input {
            witness_utxo: Some(spent),
            final_script_witness: Some(Witness::new()),
            ..psbt::Input::default()
        };
        let failed = |reason: String| WalletError::Payment(reason);
        child.add_foreign_utxo(anchor, input, Weight::ZERO).map_err(|error| failed(error.to_string()))?;
        child.add_utxos(&coins).map_err(|error| failed(error.to_string()))?;
        let mut child = child.finish().map_err(create_error)?;
        // Others' inputs are left alone, and said to be missing: finalising tells whether all are signed.
        let _ = child.sign(&seed.master, SECP256K1);
        let finished = self.wallet.finalize_psbt(&mut child, SignOptions::default());
        if !finished.map_err(|error| failed(error.to_string()))? {
            return Err(failed("not every input could be signed".into()));
        }
        self.persist()?;
        // Its own rate is high on purpose: the caller has looked at what both pay together.
        Ok((child.extract_tx_unchecked_fee_rate(), fee))
    }

    /// The fewest confirmed coins that can pay a child's fee, and that fee.
    fn coins_for(&self, parent: &Parent, rate: FeeRate) -> Result<(Vec<OutPoint>, Amount), WalletError> {
        let mut coins: Vec<LocalOutput> = self.wallet.list_unspent().filter(|coin| self.is_mature(coin)).collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.txout.value), coin.outpoint));
        let (mut chosen, mut sum) = (Vec::new(), ANCHOR);
        let mut needed = parent.child_fee(1, rate)? + P2TR_DUST;
        for coin in coins {
            chosen.push(coin.outpoint);
            sum += coin.txout.value;
            let fee = parent.child_fee(chosen.len() as u64, rate)?;
            if child_vsize(chosen.len() as u64) > MAX_CHILD_VSIZE {
                return Err(NoChild::TooManyCoins.into());
            }
            needed = fee + P2TR_DUST;
            if sum >= needed {
                return Ok((chosen, fee));
            }
        }
        Err(WalletError::TooLittle { available: sum - ANCHOR, needed: needed - ANCHOR })
    }

    /// A child of a transaction that waits may spend nothing else that waits (BIP431, rule 4).
    fn is_mature(&self, coin: &LocalOutput) -> bool {
        let Some(height) = coin.chain_position.confirmation_height_upper_bound() else { return false };
        let is_reward = self.wallet.get_tx(coin.outpoint.txid).is_some_and(|found| found.tx_node.tx.is_coinbase());
        !is_reward || self.height() + 1 >= height + MATURITY
    }

    /// Sends a child with its parent, which may be known to nobody any more.
    ///
    /// # Errors
    ///
    /// What bitcoind says; nothing is spent then.
    pub async fn submit_child(
        &mut self,
        bitcoin: &BitcoinRpc,
        parent: &Transaction,
        child: Transaction,
        now: u64,
    ) -> Result<(), WalletError> {
        bitcoin.submit_package(&[parent, &child]).await?;
        self.wallet.apply_unconfirmed_txs([(child, now)]);
        self.persist()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus;

    use crate::vault_tx::example;

    fn parent(fee: u64) -> Parent {
        let (bytes, _) = example::example();
        Parent { transaction: consensus::deserialize(&bytes).expect("a transaction"), fee: Amount::from_sat(fee) }
    }

    #[test]
    fn both_together_pay_what_is_asked_and_the_child_no_less_than_what_is_relayed() {
        let rate = FeeRate::from_sat_per_vb_u32(20);
        let parent_vsize = parent(0).vsize();
        for paid in [0, 100, parent_vsize, 20 * parent_vsize - 1] {
            let fee = parent(paid).child_fee(1, rate).expect("it lacks something");
            let together = fee + Amount::from_sat(paid);
            assert!(together >= rate.fee_vb(parent_vsize + child_vsize(1)).expect("small"), "{together}");
            assert!(fee >= Amount::from_sat(child_vsize(1)));
        }
    }

    #[test]
    fn who_pays_enough_already_gets_no_child() {
        let rate = FeeRate::from_sat_per_vb_u32(20);
        let vsize = parent(0).vsize();
        let refused = parent(20 * vsize).child_fee(1, rate).expect_err("it pays that");
        assert_eq!(refused, NoChild::PaysEnough { paid_sat_per_kvb: 20_000, asked_sat_per_kvb: 20_000 });
    }

    #[test]
    fn a_transaction_without_anchor_has_no_child() {
        let mut parent = parent(1);
        assert!(parent.anchor().is_ok());
        parent.transaction.output.pop();
        assert_eq!(parent.anchor(), Err(NoChild::NoAnchor));
    }
}
