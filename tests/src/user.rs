//! Somebody with bitcoin: the wallet of `causeway wallet`, filled by mining on a [`Bitcoind`].

use std::path::Path;

use bitcoin::{Address, Amount, BlockHash, ScriptBuf, Transaction, Txid};
use bridge::io::wallet::{Seed, Wallet};
use bridge::keystore::KdfParams;
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;
use tempfile::TempDir;

use crate::bitcoind::Bitcoind;

/// Blocks after which a coinbase can be spent (Bitcoin's consensus).
const MATURITY: u32 = 100;

/// Key derivation that takes no time: these secrets are worth nothing.
pub const QUICK: KdfParams = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };

/// The passphrase of a [`User`]'s wallet.
pub const PASSPHRASE: &str = "correct horse";

/// A wallet that mined enough to pay.
#[derive(Debug)]
pub struct User {
    pub rpc: BitcoinRpc,
    pub wallet: Wallet,
    pub seed: Seed,
    folder: TempDir,
    /// Advances with each sync, as evictions are ordered by it.
    now: u64,
}

impl User {
    /// A fresh wallet to which `blocks` spendable rewards of 50 BTC belong.
    pub async fn with_rewards(bitcoind: &Bitcoind, blocks: u32) -> Self {
        let mut rng = rand::thread_rng();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let seed = Seed::generate(&mut rng);
        let wallet = Wallet::create(folder.path(), Network::Regtest, &seed, 0, PASSPHRASE, QUICK, &mut rng);
        let mut user =
            Self { rpc: bitcoind.rpc(), wallet: wallet.expect("a new wallet"), seed, folder, now: 1_700_000_000 };
        if blocks > 0 {
            let address = user.address();
            user.rpc.generate(blocks, &address).await.expect("regtest mines");
            user.mine(MATURITY).await;
            user.sync().await;
        }
        user
    }

    /// Where the wallet's files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The wallet alone, with the folder that must outlive it.
    pub fn into_parts(self) -> (Wallet, BitcoinRpc, TempDir) {
        (self.wallet, self.rpc, self.folder)
    }

    /// A fresh address of the wallet.
    pub fn address(&mut self) -> Address {
        self.wallet.address().expect("the disk is not full")
    }

    /// Mines to nobody.
    pub async fn mine(&self, blocks: u32) -> Vec<BlockHash> {
        let nobody = ScriptBuf::new_p2wsh(&bitcoin::WScriptHash::from_raw_hash(bitcoin::hashes::Hash::all_zeros()));
        let nobody = Address::from_script(&nobody, bitcoin::Network::Regtest).expect("a standard script");
        self.rpc.generate(blocks, &nobody).await.expect("regtest mines")
    }

    /// Reads what is new on Bitcoin.
    pub async fn sync(&mut self) {
        self.now += 1;
        self.wallet.sync(&self.rpc, self.now, |_| {}).await.expect("bitcoind answers");
    }

    /// Pays, and returns the transaction and which output of it pays `script`.
    pub async fn pay(&mut self, script: &ScriptBuf, amount: Amount) -> (Transaction, u32) {
        let rate = bitcoin::FeeRate::from_sat_per_vb_u32(2);
        self.now += 1;
        let sent = self.wallet.send(&self.rpc, &self.seed, script.clone(), Some(amount), rate, self.now).await;
        let txid: Txid = sent.expect("the user has enough").txid;
        let transaction = self.rpc.transaction(txid, None).await.expect("bitcoind answers").expect("it was just sent");
        let vout = transaction.output.iter().position(|output| output.script_pubkey == *script);
        (transaction, vout.expect("it pays the script") as u32)
    }
}
