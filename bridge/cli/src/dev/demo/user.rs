//! The person of the demo: a Bitcoin wallet and a sidechain account of the same words.

use bitcoin::{Amount, FeeRate, ScriptBuf, Txid};
use bridge::io::sidechain::Account;
use bridge::io::wallet::{Seed, Wallet};
use bridge::keystore::KdfParams;
use eyre::Result;

use super::amounts::INITIAL_FUNDS;
use super::network::Network;
use crate::clock::now;
use crate::dev::local_network::setup::PASSPHRASE;
use crate::user::deposit_record::Records;

pub struct User {
    pub wallet: Wallet,
    seed: Seed,
    /// What left the wallet, fees included.
    pub paid: Amount,
    pub account: Account,
    pub records: Records,
}

impl User {
    /// With [`INITIAL_FUNDS`] in the wallet, and an account that has nothing yet.
    pub async fn new(network: &Network) -> Result<Self> {
        let folder = network.folder.join("user");
        let mut rng = rand::thread_rng();
        let (seed, kdf) = (Seed::generate(&mut rng), KdfParams::default());
        let regtest = mainchain::Network::Regtest;
        let mut wallet = Wallet::create(&folder.join("wallet"), regtest, &seed, 0, PASSPHRASE, kdf, &mut rng)?;
        network.fund(&wallet.address()?, INITIAL_FUNDS).await?;
        let account = Account::from_key(seed.account());
        let records = Records::in_home(&folder);
        let mut user = Self { wallet, seed, paid: Amount::ZERO, account, records };
        user.sync(network).await?;
        Ok(user)
    }

    /// Pays on Bitcoin.
    pub async fn pay(&mut self, network: &Network, script: ScriptBuf, value: Amount) -> Result<Txid> {
        let rate = FeeRate::from_sat_per_vb_u32(2);
        let sent = self.wallet.send(&network.bitcoin, &self.seed, script, Some(value), rate, now()?).await?;
        self.paid += sent.amount + sent.fee;
        Ok(sent.txid)
    }

    /// Reads Bitcoin's new blocks.
    pub async fn sync(&mut self, network: &Network) -> Result<()> {
        Ok(self.wallet.sync(&network.bitcoin, now()?, |_| {}).await?)
    }
}
