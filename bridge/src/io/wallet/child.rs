//! How the wallet pays for a transaction that waits.

use std::collections::{BTreeMap, BTreeSet};

use bdk_wallet::{KeychainKind, LocalOutput, SignOptions};
use bitcoin::secp256k1::SECP256K1;
use bitcoin::{Amount, FeeRate, OutPoint, Psbt, Transaction, TxOut, Txid, Weight, Witness, psbt};
use mainchain::P2TR_DUST;
use mainchain::header::Height;
use mainchain::io::rpc::BitcoinRpc;

use super::{Seed, Wallet, WalletError, create_error};
use crate::child::{MAX_CHILD_VSIZE, NoChild, Parent, Waiting, child_vsize};
use crate::vault_tx::{ANCHOR, ANCHOR_SCRIPT};

/// Confirmations after which a block's reward can be spent (consensus).
const MATURITY: Height = 100;

/// Of the witness of a key path spend (BIP341): one item of 64 bytes.
const KEY_PATH: Weight = Weight::from_wu(66);

/// What a child spends besides the anchor, and what it pays.
struct Funding {
    /// Coins that an earlier child of this wallet spends, which this one takes from it.
    taken: Vec<LocalOutput>,
    coins: Vec<OutPoint>,
    fee: Amount,
}

impl Wallet {
    /// A signed child with which its parent pays `rate`, and the child's fee; not sent. It replaces a child that the wallet made before and that still waits,
    /// and spends that one's coins again.
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
        let Funding { taken, coins, fee } = self.fund_child(parent, rate)?;
        let failed = |reason: String| WalletError::Payment(reason);
        let input = |coin: LocalOutput| Ok((coin.outpoint, self.wallet.get_psbt_input(coin, None, true)?));
        let taken = taken.into_iter().map(input).collect::<Result<Vec<_>, _>>().map_err(create_error)?;
        let script = self.wallet.reveal_next_address(KeychainKind::Internal).script_pubkey();
        let mut child = self.wallet.build_tx();
        child.version(3).only_witness_utxo().manually_selected_only().fee_absolute(fee).drain_to(script);
        // To the wallet these are spent.
        for (outpoint, input) in taken {
            child.add_foreign_utxo(outpoint, input, KEY_PATH).map_err(|error| failed(error.to_string()))?;
        }
        let spent = TxOut { value: ANCHOR, script_pubkey: ANCHOR_SCRIPT.to_vec().into() };
        // Spent by nothing at all (BIP433).
        let input = psbt::Input {
            witness_utxo: Some(spent),
            final_script_witness: Some(Witness::new()),
            ..psbt::Input::default()
        };
        child.add_foreign_utxo(anchor, input, Weight::ZERO).map_err(|error| failed(error.to_string()))?;
        child.add_utxos(&coins).map_err(|error| failed(error.to_string()))?;
        let child = child.finish().map_err(create_error)?;
        Ok((self.sign_child(seed, child)?, fee))
    }

    fn sign_child(&mut self, seed: &Seed, mut child: Psbt) -> Result<Transaction, WalletError> {
        let failed = |reason: String| WalletError::Payment(reason);
        // Others' inputs are left alone, and said to be missing: finalising tells whether all are signed.
        let _ = child.sign(&seed.master, SECP256K1);
        let finished = self.wallet.finalize_psbt(&mut child, SignOptions::default());
        if !finished.map_err(|error| failed(error.to_string()))? {
            return Err(failed("not every input could be signed".into()));
        }
        self.persist()?;
        // Its own rate is high on purpose: the caller has looked at what both pay together.
        Ok(child.extract_tx_unchecked_fee_rate())
    }

    /// The child that this wallet made for a transaction, as long as it waits.
    #[must_use]
    pub fn own_child(&self, parent: &Parent) -> Option<Waiting> {
        self.earlier_child(parent).map(|(waiting, _)| waiting)
    }

    /// The same, with the coins that it spends.
    fn earlier_child(&self, parent: &Parent) -> Option<(Waiting, Vec<LocalOutput>)> {
        let anchor = parent.anchor().ok()?;
        let spends = |transaction: &Transaction| transaction.input.iter().any(|input| input.previous_output == anchor);
        let mut unconfirmed = self.wallet.transactions().filter(|found| found.chain_position.is_unconfirmed());
        let found = unconfirmed.find(|found| spends(&found.tx_node.tx))?;
        let transaction = &found.tx_node.tx;
        let others = transaction.input.iter().map(|input| input.previous_output).filter(|outpoint| *outpoint != anchor);
        let own: BTreeMap<OutPoint, LocalOutput> =
            self.wallet.list_output().map(|output| (output.outpoint, output)).collect();
        // None, if somebody else made it and pays this wallet.
        let coins = others.map(|outpoint| own.get(&outpoint).cloned()).collect::<Option<Vec<_>>>()?;
        let spent: Amount = coins.iter().map(|coin| coin.txout.value).sum();
        let paid: Amount = transaction.output.iter().map(|output| output.value).sum();
        let fee = (spent + ANCHOR).checked_sub(paid)?;
        Some((Waiting { txid: found.tx_node.txid, fee, vsize: transaction.vsize() as u64 }, coins))
    }

    /// The coins of an earlier child, and the fewest others that can pay a child's fee with them; and that fee.
    fn fund_child(&self, parent: &Parent, rate: FeeRate) -> Result<Funding, WalletError> {
        let (earlier, taken) = self.earlier_child(parent).unzip();
        let taken: Vec<LocalOutput> = taken.unwrap_or_default();
        let fee = |coins: u64| -> Result<Amount, NoChild> {
            let asked = parent.child_fee(coins, rate)?;
            let least = earlier.map(|earlier: Waiting| (earlier, earlier.least_fee(child_vsize(coins))));
            match least.filter(|(_, least)| asked < *least) {
                Some((Waiting { txid: child, fee: paid, .. }, least)) => {
                    Err(NoChild::PaysLess { child, paid, least, asked })
                }
                None => Ok(asked),
            }
        };
        let mut others: Vec<LocalOutput> = self.wallet.list_unspent().filter(|coin| self.is_mature(coin)).collect();
        others.sort_by_key(|coin| (std::cmp::Reverse(coin.txout.value), coin.outpoint));
        let mut sum = taken.iter().map(|coin| coin.txout.value).sum::<Amount>() + ANCHOR;
        let mut coins = Vec::new();
        let mut others = others.into_iter();
        loop {
            let count = (taken.len() + coins.len()) as u64;
            if child_vsize(count) > MAX_CHILD_VSIZE {
                return Err(NoChild::TooManyCoins.into());
            }
            let fee = fee(count.max(1))?;
            let needed = fee + P2TR_DUST;
            if count > 0 && sum >= needed {
                return Ok(Funding { taken, coins, fee });
            }
            let Some(coin) = others.next() else {
                return Err(WalletError::TooLittle { available: sum - ANCHOR, needed: needed - ANCHOR });
            };
            sum += coin.txout.value;
            coins.push(coin.outpoint);
        }
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
        // Two of one second would be one as good as the other to the wallet.
        let replaced = self.replaced_by(&child);
        self.wallet.apply_evicted_txs(replaced.into_iter().map(|txid| (txid, now)));
        self.wallet.apply_unconfirmed_txs([(child, now)]);
        self.persist()
    }

    /// What waits, and spends something that a transaction in the mempool spends.
    fn replaced_by(&self, taken: &Transaction) -> Vec<Txid> {
        let (spent, by): (BTreeSet<OutPoint>, Txid) =
            (taken.input.iter().map(|input| input.previous_output).collect(), taken.compute_txid());
        let conflicts =
            |transaction: &Transaction| transaction.input.iter().any(|input| spent.contains(&input.previous_output));
        let unconfirmed = self.wallet.transactions().filter(|found| found.chain_position.is_unconfirmed());
        let conflicting = unconfirmed.filter(|found| found.tx_node.txid != by && conflicts(&found.tx_node.tx));
        conflicting.map(|found| found.tx_node.txid).collect()
    }
}
