//! Which wallet, and how it reads the chain.

use std::path::PathBuf;

use bridge::io::wallet::public::PublicWallet;
use bridge::io::wallet::{Seed, SyncProgress, Wallet, WalletError};
use bridge::keystore::KdfParams;
use eyre::{Result, WrapErr};
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;

use crate::clock::now;
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::home::HomeArgs;
use crate::progress::Progress;

#[derive(Debug, clap::Args)]
pub struct Common {
    /// regtest, testnet4 or signet
    #[arg(long, value_name = "NET", default_value = "regtest")]
    pub network: Network,
    #[command(flatten)]
    pub bitcoin: BitcoinArgs,
    #[command(flatten)]
    pub home: HomeArgs,
}

impl Common {
    pub fn folder(&self) -> Result<PathBuf> {
        self.home.wallet(self.network)
    }

    pub fn make(&self, seed: &Seed, birthday: u32, passphrase: &str) -> Result<Wallet> {
        let (folder, kdf, rng) = (self.folder()?, KdfParams::default(), &mut rand::thread_rng());
        files::make_private_folder(&folder).wrap_err_with(|| format!("cannot use {}", folder.display()))?;
        Ok(Wallet::create(&folder, self.network, seed, birthday, passphrase, kdf, rng)?)
    }

    pub fn open(&self) -> Result<Wallet> {
        Ok(Wallet::open(&self.folder()?, self.network)?)
    }

    /// What the wallet tells without its passphrase.
    pub fn public(&self) -> Result<PublicWallet> {
        let folder = self.folder()?;
        Ok(PublicWallet::find(&folder, self.network)?.ok_or(WalletError::Missing(folder))?)
    }

    pub async fn newest_block(&self) -> Result<u32> {
        let bitcoin = self.bitcoin.connect(self.network).await;
        let bitcoin = bitcoin.wrap_err("the wallet's birthday is asked of bitcoind; without one, give --birthday HEIGHT of today's block (or 0: then a later sync reads the whole chain)")?;
        Ok(bitcoin.best_tip().await?.0)
    }

    pub async fn sync(&self, wallet: &mut Wallet, context: &Context) -> Result<BitcoinRpc> {
        let bitcoin = self.bitcoin.connect(self.network).await?;
        let progress = Progress::new(context);
        let show = |at: SyncProgress| progress.of("reading blocks", at.height.into(), at.tip.into());
        let synced = wallet.sync(&bitcoin, now()?, show).await;
        progress.clear();
        synced.wrap_err("the wallet cannot be synced")?;
        Ok(bitcoin)
    }
}
