//! The miner of the local network: one key that every block pays, and the payments made from it.
//!
//! Its coins are found by asking bitcoind for all unspent outputs of its one script, which is quick on regtest: nothing to
//! keep but the key. The key protects coins that anybody can mine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bitcoin::absolute::LockTime;
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, BlockHash, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
};
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::io::rpc::{BitcoinRpc, Unspent};

/// Blocks after which a coinbase may be spent (consensus), the spending block included.
const MATURITY: u32 = 100;
/// Above the relay minimum, so that no rounding falls below it.
const FEE_RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
/// What is worth an output of its own: far above the dust limit.
const LEAST_CHANGE: Amount = Amount::from_sat(1_000);
/// Virtual bytes: of a transaction without inputs, of a P2TR key-path input, of an output of any standard kind (BIP141 sizes, rounded up).
const BASE_VB: u64 = 12;
const INPUT_VB: u64 = 58;
const OUTPUT_VB: u64 = 43;

/// The miner's key and what it spent that bitcoind's unspent outputs do not show yet.
#[derive(Debug)]
pub struct Miner {
    key: Keypair,
    secp: Secp256k1<All>,
    spent: BTreeSet<OutPoint>,
}

impl Miner {
    /// Reads the key, or makes one at the first start.
    ///
    /// # Errors
    ///
    /// The file is damaged, or cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let secp = Secp256k1::new();
        let key = match fs::read_to_string(path) {
            Ok(text) => Keypair::from_secret_key(
                &secp,
                &text.trim().parse::<SecretKey>().wrap_err_with(|| format!("{} is damaged", path.display()))?,
            ),
            Err(_) => {
                let key = Keypair::new(&secp, &mut rand::thread_rng());
                fs::write(path, key.display_secret().to_string())
                    .wrap_err_with(|| format!("cannot write {}", path.display()))?;
                key
            }
        };
        Ok(Self { key, secp, spent: BTreeSet::new() })
    }

    /// Where blocks pay.
    pub fn address(&self) -> Address {
        Address::p2tr(&self.secp, self.key.x_only_public_key().0, None, bitcoin::Network::Regtest)
    }

    /// Mines blocks that pay the miner, and that a bitcoind which is killed does not lose: it is the only one of its network, so nobody
    /// could hand it again what it has not written.
    pub async fn mine(&self, bitcoin: &BitcoinRpc, blocks: u32) -> Result<Vec<BlockHash>> {
        let mined = bitcoin.generate(blocks, &self.address()).await.wrap_err("bitcoind does not mine")?;
        bitcoin.write_out().await.wrap_err("bitcoind does not write its blocks")?;
        Ok(mined)
    }

    /// Pays, confirmed by the next block.
    ///
    /// # Errors
    ///
    /// Too little is spendable: mine more blocks.
    pub async fn pay(&mut self, bitcoin: &BitcoinRpc, outputs: &[(ScriptBuf, Amount)]) -> Result<Txid> {
        let coins = self.coins(bitcoin).await?;
        let (coins, change) = select(coins, outputs)?;
        let transaction = self.sign(&coins, outputs, change);
        let txid = bitcoin.broadcast(&transaction).await.wrap_err("bitcoind does not take the miner's payment")?;
        self.spent.extend(coins.iter().map(|coin| coin.outpoint));
        Ok(txid)
    }

    async fn coins(&self, bitcoin: &BitcoinRpc) -> Result<Vec<Unspent>> {
        let scan = bitcoin
            .scan(&[self.address().script_pubkey()])
            .await
            .wrap_err("bitcoind does not find the miner's coins")?;
        let spendable =
            |coin: &Unspent| (!coin.coinbase || coin.confirmations >= MATURITY) && !self.spent.contains(&coin.outpoint);
        Ok(scan.unspents.into_iter().filter(spendable).collect())
    }

    /// A signed transaction that spends `coins` for `outputs`, with the rest back to this key.
    fn sign(&self, coins: &[Unspent], outputs: &[(ScriptBuf, Amount)], change: Amount) -> Transaction {
        let own = self.address().script_pubkey();
        let mut transaction = unsigned(coins, outputs, (own.clone(), change));
        let output = |coin: &Unspent| TxOut { value: coin.value, script_pubkey: own.clone() };
        let spent: Vec<TxOut> = coins.iter().map(output).collect();
        let key = self.key.tap_tweak(&self.secp, None).to_keypair();
        let mut cache = SighashCache::new(transaction.clone());
        for (index, input) in transaction.input.iter_mut().enumerate() {
            let hash = cache
                .taproot_key_spend_signature_hash(index, &Prevouts::All(&spent), TapSighashType::Default)
                .expect("each input has its previous output");
            let signature = self.secp.sign_schnorr_no_aux_rand(&Message::from(hash), &key);
            input.witness = Witness::from_slice(&[signature.as_ref()]);
        }
        transaction
    }
}

fn unsigned(coins: &[Unspent], outputs: &[(ScriptBuf, Amount)], change: (ScriptBuf, Amount)) -> Transaction {
    let input = coins.iter().map(|coin| TxIn {
        previous_output: coin.outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    });
    let output = outputs
        .iter()
        .chain(std::iter::once(&change))
        .map(|(script_pubkey, value)| TxOut { value: *value, script_pubkey: script_pubkey.clone() });
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: input.collect(), output: output.collect() }
}

/// The largest coins first, until they pay for everything: those, and what is left over.
fn select(mut coins: Vec<Unspent>, outputs: &[(ScriptBuf, Amount)]) -> Result<(Vec<Unspent>, Amount)> {
    let wanted: Amount = outputs.iter().map(|(_, value)| *value).sum();
    coins.sort_by_key(|coin| (std::cmp::Reverse(coin.value), coin.outpoint));
    let available: Amount = coins.iter().map(|coin| coin.value).sum();
    let outputs = u64::try_from(outputs.len()).map_err(|_| eyre!("too many outputs"))? + 1;
    let mut total = Amount::ZERO;
    for (count, coin) in (1..).zip(&coins) {
        total += coin.value;
        let fee = FEE_RATE.fee_vb(BASE_VB + INPUT_VB * count + OUTPUT_VB * outputs).unwrap_or(Amount::MAX_MONEY);
        if let Some(change) = total.checked_sub(wanted + fee).filter(|change| *change >= LEAST_CHANGE) {
            let count = usize::try_from(count).expect("there are as many coins");
            coins.truncate(count);
            return Ok((coins, change));
        }
    }
    bail!(
        "the miner has {available} to spend, {wanted} and the fee are wanted: mine more blocks (a block's reward can be spent {MATURITY} blocks later)"
    )
}
