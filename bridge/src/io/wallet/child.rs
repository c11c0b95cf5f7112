//! How the wallet pays for a transaction that waits.

use bdk_wallet::{KeychainKind, LocalOutput, SignOptions};
use bitcoin::secp256k1::SECP256K1;
use bitcoin::{Amount, FeeRate, OutPoint, Transaction, TxOut, Weight, Witness, psbt};
use mainchain::P2TR_DUST;
use mainchain::header::Height;
use mainchain::io::rpc::BitcoinRpc;

use super::{Seed, Wallet, WalletError, create_error};
use crate::child::{MAX_CHILD_VSIZE, NoChild, Parent, child_vsize};
use crate::vault_tx::{ANCHOR, ANCHOR_SCRIPT};

/// Confirmations after which a block's reward can be spent (consensus).
const MATURITY: Height = 100;

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
