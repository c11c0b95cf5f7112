//! A small Bitcoin wallet for regtest and the testnets: one mnemonic, its addresses, its coins.
//!
//! ```text
//!  folder/  seed.json   the mnemonic, encrypted by a passphrase; network, birthday and sidechain account readable
//!           chain.db    the wallet's view of the chain; can be deleted, the next sync reads it again. One of other keys is not used
//!           backup.json whether its owner showed to have a backup (`public.rs`)
//!           lock        held while a process uses the wallet
//!
//!  mnemonic (BIP39) --> m/86'/1'/0'/{0,1}/i    Bitcoin addresses, BIP86
//!                   --> m/44'/60'/0'/0/0       the account on the sidechain, as Ethereum wallets derive it
//!                   --> m/1008'/1'/0'/i        reclaim keys of deposits, a path of our own
//! ```
//!
//! Receiving, the balance and syncing need no passphrase; only signing does. The chain comes as whole blocks from the
//! user's own bitcoind, which learns nothing about which addresses are whose.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use alloy_primitives::Address as Account;
use bdk_wallet::chain::{BlockId, ChainPosition};
use bdk_wallet::error::CreateTxError;
use bdk_wallet::file_store::Store;
use bdk_wallet::template::{Bip86, DescriptorTemplate as _};
use bdk_wallet::{
    Balance, ChangeSet, CreateParams, FileStoreError, KeychainKind, LoadError, LoadParams, LoadWithPersistError,
    PersistedWallet, SignOptions,
};
use bip39::Mnemonic;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::{Keypair, PublicKey, SECP256K1, SecretKey};
use bitcoin::{Address, Amount, FeeRate, ScriptBuf, Transaction, Txid};
use mainchain::Network;
use mainchain::header::Height;
use mainchain::io::rpc::{BitcoinRpc, RpcError};
use payments::account_signature::address;
use rand::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::child::NoChild;
use crate::keystore::{KdfParams, Keystore, KeystoreError};
use files::{DirectoryLock, LockError};
use files::{read_optional, write_atomic};

mod child;
pub mod public;

const SEED_FILE: &str = "seed.json";

/// What `seed.json` tells without its passphrase, beside the descriptors: the network, the block before which nothing was paid, the account,
/// and the public half of all reclaim keys.
const NETWORK: &str = "network";
const BIRTHDAY: &str = "birthday";
const ACCOUNT: &str = "account";
const RECLAIM: &str = "reclaim";

/// Kind of the keystore file with a wallet's mnemonic.
pub const WALLET: &str = "wallet";

/// Purpose of the reclaim keys' path: no standard's, so that no other wallet derives addresses from these keys.
const RECLAIM_PURPOSE: u32 = 1008;

/// The fee rate above which a payment is not sent unless a higher one was asked for, whatever bitcoind estimates.
const HIGHEST_FEE_RATE: FeeRate = FeeRate::from_sat_per_vb_u32(1_000);

/// The wallet's two chains of addresses, with what `seed.json` calls their descriptors.
const KEYCHAINS: [(KeychainKind, &str); 2] = [(KeychainKind::External, "receive"), (KeychainKind::Internal, "change")];

/// First bytes of `chain.db`.
const MAGIC: &[u8] = b"causeway wallet 1";

/// Blocks after which a long sync is written to disk.
const PERSIST_EVERY: u32 = 500;

/// How often a sync starts over when the chain is reorganised while it reads.
const MAX_REORGANISATIONS: u32 = 10;

/// Unconfirmed transactions a sync looks at. A busier mempool is left out, and payments show once they are confirmed.
const MAX_MEMPOOL: usize = 5_000;

/// Why the wallet cannot do as asked. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error("this wallet is for regtest and testnets; keep mainnet coins in a wallet made for them")]
    Mainnet,
    #[error("there is already a wallet in {}; name another folder to make a second one", .0.display())]
    Exists(PathBuf),
    #[error("there is no wallet in {}; make one with `causeway wallet create`, or again from its words with `causeway wallet restore` (--home names another folder, --network another network)", .0.display())]
    Missing(PathBuf),
    #[error("another process uses the wallet in {}", .0.display())]
    Locked(PathBuf),
    #[error("the wallet in {} is one of {got}, not of {want}", folder.display())]
    OtherNetwork { folder: PathBuf, got: String, want: Network },
    #[error("these are not the words of a mnemonic: {0}")]
    BadMnemonic(bip39::Error),
    #[error("{}: {error}", path.display())]
    Keystore { path: PathBuf, error: KeystoreError },
    #[error("{} is damaged ({reason}); delete it, and the next sync reads the chain again", path.display())]
    DamagedChain { path: PathBuf, reason: String },
    #[error("the wallet's files cannot be used: {0}")]
    Disk(#[from] std::io::Error),
    #[error(transparent)]
    Bitcoin(#[from] RpcError),
    #[error("bitcoind has pruned block {height}, which the wallet still has to read; sync with one that keeps it")]
    Pruned { height: Height },
    #[error("the chain was reorganised {MAX_REORGANISATIONS} times while it was read; try again")]
    Restless,
    #[error("{amount} is below the dust limit of this address, {least}")]
    Dust { amount: Amount, least: Amount },
    #[error("the wallet has {available} to spend, but the payment and its fee need {needed}")]
    TooLittle { available: Amount, needed: Amount },
    #[error("the payment cannot be made: {0}")]
    Payment(String),
    #[error("no child can pay for this transaction: {0}")]
    NoChild(#[from] NoChild),
    #[error("the wallet in {} was never shown to have a backup, and it has no address before: `causeway wallet check` asks for its words, or with --backup FILE opens a copy of its seed.json. If a `causeway wallet create` that was interrupted made it and nobody has its words, nobody was shown an address of it either: move it away (mv '{}' '{}.unused') and make another", .0.display(), .0.display(), .0.display())]
    Unchecked(PathBuf),
    #[error("an earlier version made the wallet in {}, without keys of deposits: `causeway wallet check` asks for its words and its passphrase, and adds them", .0.display())]
    NoReclaimKeys(PathBuf),
    #[error("{} has other keys than its words make: it was changed; make the wallet again from its words", .0.display())]
    OtherKeys(PathBuf),
}

/// The mnemonic of a wallet, with the master key derived from it. It is wiped from memory when dropped.
pub struct Seed {
    words: Zeroizing<String>,
    master: Xpriv,
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.master.private_key.non_secure_erase();
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("account", &self.account_address()).finish_non_exhaustive()
    }
}

impl Seed {
    /// Twelve fresh words: 128 bits.
    pub fn generate<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut entropy = Zeroizing::new([0; 16]);
        rng.fill_bytes(entropy.as_mut_slice());
        let mnemonic = Mnemonic::from_entropy(entropy.as_slice()).expect("16 bytes make twelve words");
        Self::from_mnemonic(&mnemonic)
    }

    /// The words of an earlier wallet, English, in any spacing.
    ///
    /// # Errors
    ///
    /// `BadMnemonic`: a word is unknown, or the checksum does not match.
    pub fn parse(words: &str) -> Result<Self, WalletError> {
        let words = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        let mnemonic = Mnemonic::parse_normalized(&words).map_err(WalletError::BadMnemonic)?;
        Ok(Self::from_mnemonic(&mnemonic))
    }

    fn from_mnemonic(mnemonic: &Mnemonic) -> Self {
        let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
        // The network only changes how the key would be written, which it never is.
        let master = Xpriv::new_master(bitcoin::Network::Regtest, seed.as_slice())
            .expect("the chance that a seed is not a key is below 2^-127");
        Self { words: Zeroizing::new(mnemonic.to_string()), master }
    }

    /// The words, for their owner to write down.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The key of the account on the sidechain: m/44'/60'/0'/0/0.
    pub fn account(&self) -> SecretKey {
        self.derive(&[hardened(44), hardened(60), hardened(0), normal(0), normal(0)])
    }

    /// The address of that account.
    pub fn account_address(&self) -> Account {
        let mut key = self.account();
        let address = address(&PublicKey::from_secret_key(SECP256K1, &key));
        key.non_secure_erase();
        address
    }

    /// The reclaim key of deposit `index`: m/1008'/1'/0'/index.
    ///
    /// # Panics
    ///
    /// If `index` is 2^31 or more.
    pub fn reclaim_key(&self, index: u32) -> Keypair {
        let mut key = self.derive(&[hardened(RECLAIM_PURPOSE), hardened(1), hardened(0), normal(index)]);
        let pair = Keypair::from_secret_key(SECP256K1, &key);
        key.non_secure_erase();
        pair
    }

    /// The public half of all reclaim keys: m/1008'/1'/0'.
    fn reclaim_keys(&self) -> Xpub {
        let path = [hardened(RECLAIM_PURPOSE), hardened(1), hardened(0)];
        let mut keys = self.master.derive_priv(SECP256K1, &path).expect("the chance is below 2^-127");
        let public = Xpub::from_priv(SECP256K1, &keys);
        keys.private_key.non_secure_erase();
        public
    }

    /// What `seed.json` tells of the keys without the passphrase.
    fn public(&self) -> BTreeMap<String, String> {
        let mut public = BTreeMap::from([
            (ACCOUNT.to_owned(), self.account_address().to_string()),
            (RECLAIM.to_owned(), self.reclaim_keys().to_string()),
        ]);
        public.extend(KEYCHAINS.map(|(keychain, name)| (name.to_owned(), self.public_descriptor(keychain))));
        public
    }

    /// Whether these words make the keys that a wallet's file tells of; those of an earlier version are fewer.
    pub fn fits(&self, keystore: &Keystore) -> bool {
        let told = keystore.public();
        let fits = |(name, key): (String, String)| match told.get(&name) {
            Some(told) => *told == key,
            None => name == RECLAIM,
        };
        self.public().into_iter().all(fits)
    }

    fn derive(&self, path: &[ChildNumber]) -> SecretKey {
        let path = DerivationPath::from(path.to_vec());
        let key = self.master.derive_priv(SECP256K1, &path);
        key.expect("the chance that a child is not a key is below 2^-127").private_key
    }

    /// How addresses of `keychain` are made, without the keys that sign for them.
    fn public_descriptor(&self, keychain: KeychainKind) -> String {
        let (descriptor, _, _) = Bip86(self.master, keychain)
            .build(bitcoin::NetworkKind::Test)
            .expect("BIP86 of a master key is a descriptor");
        descriptor.to_string()
    }
}

fn hardened(index: u32) -> ChildNumber {
    ChildNumber::from_hardened_idx(index).expect("an index below 2^31")
}

fn normal(index: u32) -> ChildNumber {
    ChildNumber::from_normal_idx(index).expect("an index below 2^31")
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProgress {
    /// The last block read.
    pub height: Height,
    /// The last block there is.
    pub tip: Height,
}

/// A payment that was signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Id of the transaction.
    pub txid: Txid,
    /// The value paid to the script asked for.
    pub amount: Amount,
    /// Paid on top of it, to the miners.
    pub fee: Amount,
}

/// A wallet in its folder, locked against other processes.
#[derive(Debug)]
pub struct Wallet {
    folder: PathBuf,
    network: Network,
    keystore: Keystore,
    store: Store<ChangeSet>,
    wallet: PersistedWallet<Store<ChangeSet>>,
    /// Released when the wallet is dropped.
    _lock: DirectoryLock,
}

impl Wallet {
    /// Makes a wallet in `folder`, which must not have one. Payments before block `birthday` are not looked for.
    ///
    /// # Errors
    ///
    /// `Mainnet`, `Exists`, `Locked`, or those of the disk.
    pub fn create<R: RngCore + CryptoRng>(
        folder: &Path,
        network: Network,
        seed: &Seed,
        birthday: Height,
        passphrase: &str,
        kdf: KdfParams,
        rng: &mut R,
    ) -> Result<Self, WalletError> {
        if network == Network::Mainnet {
            return Err(WalletError::Mainnet);
        }
        let lock = lock(folder)?;
        let path = folder.join(SEED_FILE);
        if path.try_exists()? {
            return Err(WalletError::Exists(folder.to_owned()));
        }
        let mut public = seed.public();
        public.insert(NETWORK.to_owned(), network.to_string());
        public.insert(BIRTHDAY.to_owned(), birthday.to_string());
        let keystore = Keystore::seal(WALLET, public, seed.words().as_bytes(), passphrase, kdf, rng)
            .map_err(|error| WalletError::Keystore { path: path.clone(), error })?;
        write_atomic(&path, keystore.to_json().as_bytes())?;
        let (store, wallet) = open_chain(folder, network, &keystore)?;
        Ok(Self { folder: folder.to_owned(), network, keystore, store, wallet, _lock: lock })
    }

    /// Opens the wallet in `folder` to receive and look; [`Wallet::unlock`] is for signing.
    ///
    /// # Errors
    ///
    /// `Missing`, `Locked`, `OtherNetwork`, a damaged file, or those of the disk.
    pub fn open(folder: &Path, network: Network) -> Result<Self, WalletError> {
        let path = folder.join(SEED_FILE);
        let json = read_optional(&path)?.ok_or_else(|| WalletError::Missing(folder.to_owned()))?;
        let lock = lock(folder)?;
        let keystore = Keystore::parse(&json).map_err(|error| WalletError::Keystore { path, error })?;
        let got = keystore.public().get(NETWORK).cloned().unwrap_or_default();
        if got != network.name() {
            return Err(WalletError::OtherNetwork { folder: folder.to_owned(), got, want: network });
        }
        let (store, wallet) = open_chain(folder, network, &keystore)?;
        Ok(Self { folder: folder.to_owned(), network, keystore, store, wallet, _lock: lock })
    }

    /// The seed, for those who know the passphrase. A file that an earlier version made gets what is new in it.
    ///
    /// # Errors
    ///
    /// A wrong passphrase, or a file that is not a wallet's.
    pub fn unlock(&mut self, passphrase: &str) -> Result<Seed, WalletError> {
        let path = self.folder.join(SEED_FILE);
        let seed = open_seed(&path, &self.keystore, passphrase)?;
        let mut public = self.keystore.public().clone();
        public.extend(seed.public());
        if public != *self.keystore.public() {
            let (words, kdf, rng) = (seed.words().as_bytes(), self.keystore.kdf(), &mut rand::thread_rng());
            let sealed = Keystore::seal(WALLET, public, words, passphrase, kdf, rng);
            let sealed = sealed.map_err(|error| WalletError::Keystore { path: path.clone(), error })?;
            write_atomic(&path, sealed.to_json().as_bytes())?;
            self.keystore = sealed;
        }
        Ok(seed)
    }

    /// The account on the sidechain that belongs to the same mnemonic.
    pub fn account(&self) -> Option<Account> {
        self.keystore.public().get(ACCOUNT)?.parse().ok()
    }

    pub fn network(&self) -> Network {
        self.network
    }

    /// A fresh address to be paid at.
    pub fn address(&mut self) -> Result<Address, WalletError> {
        let address = self.wallet.reveal_next_address(KeychainKind::External).address;
        self.persist()?;
        Ok(address)
    }

    /// The sum of its coins, as of the last sync.
    pub fn balance(&self) -> Balance {
        self.wallet.balance()
    }

    /// The last block it has seen.
    pub fn height(&self) -> Height {
        self.wallet.latest_checkpoint().height()
    }

    /// Its transactions, newest first, with what each changed.
    pub fn history(&self) -> Vec<Movement> {
        let mut movements: Vec<Movement> = self
            .wallet
            .transactions()
            .map(|found| {
                let transaction = &found.tx_node.tx;
                let (sent, received) = self.wallet.sent_and_received(transaction);
                let height = found.chain_position.confirmation_height_upper_bound();
                let time = match found.chain_position {
                    ChainPosition::Confirmed { anchor, .. } => Some(anchor.confirmation_time),
                    ChainPosition::Unconfirmed { first_seen, last_seen } => first_seen.or(last_seen),
                };
                Movement { txid: found.tx_node.txid, height, time, sent, received }
            })
            .collect();
        movements.sort_by_key(|movement| std::cmp::Reverse((movement.height.unwrap_or(u32::MAX), movement.txid)));
        movements
    }

    /// Reads the blocks since the last sync, and the mempool. `progress` hears of each block.
    ///
    /// # Errors
    ///
    /// Those of bitcoind, `Pruned`, or those of the disk; blocks read before are kept.
    pub async fn sync(
        &mut self,
        bitcoin: &BitcoinRpc,
        now: u64,
        mut progress: impl FnMut(SyncProgress),
    ) -> Result<(), WalletError> {
        let read = self.sync_blocks(bitcoin, &mut progress).await;
        self.persist()?;
        read?;
        self.sync_mempool(bitcoin, now).await?;
        self.persist()
    }

    async fn sync_blocks(
        &mut self,
        bitcoin: &BitcoinRpc,
        progress: &mut impl FnMut(SyncProgress),
    ) -> Result<(), WalletError> {
        for _ in 0..MAX_REORGANISATIONS {
            let info = bitcoin.chain_info().await?;
            let Some((last, from)) = self.last_common(bitcoin).await? else {
                continue;
            };
            if self.read_blocks(bitcoin, last, from, info.height, progress).await? {
                return Ok(());
            }
        }
        Err(WalletError::Restless)
    }

    /// The last block that wallet and node share, and the next height to read.
    async fn last_common(&self, bitcoin: &BitcoinRpc) -> Result<Option<(BlockId, Height)>, WalletError> {
        for checkpoint in self.wallet.latest_checkpoint().iter() {
            let last = checkpoint.block_id();
            if bitcoin.block_hash(last.height).await? == Some(last.hash) {
                let next = last.height + 1;
                return Ok(Some((last, if last.height == 0 { next.max(self.birthday()) } else { next })));
            }
        }
        Ok(None)
    }

    /// Reads blocks up to `tip`; whether it got there on one chain.
    async fn read_blocks(
        &mut self,
        bitcoin: &BitcoinRpc,
        mut last: BlockId,
        from: Height,
        tip: Height,
        progress: &mut impl FnMut(SyncProgress),
    ) -> Result<bool, WalletError> {
        for height in from..=tip {
            let Some(hash) = bitcoin.block_hash(height).await? else {
                return Ok(false);
            };
            let block = match bitcoin.block(hash).await {
                Ok(Some(block)) => block,
                Ok(None) => return Ok(false),
                Err(RpcError::Refused { reason, .. }) if reason.contains("pruned") => {
                    return Err(WalletError::Pruned { height });
                }
                Err(error) => return Err(error.into()),
            };
            let connected = last.height + 1 != height || block.header.prev_blockhash == last.hash;
            if !connected || self.wallet.apply_block_connected_to(&block, height, last).is_err() {
                return Ok(false);
            }
            last = BlockId { height, hash };
            progress(SyncProgress { height, tip });
            if height % PERSIST_EVERY == 0 {
                self.persist()?;
            }
        }
        Ok(true)
    }

    /// Learns of unconfirmed payments, and forgets those that left the mempool.
    async fn sync_mempool(&mut self, bitcoin: &BitcoinRpc, now: u64) -> Result<(), WalletError> {
        let mempool: BTreeSet<Txid> = bitcoin.mempool().await?.into_iter().collect();
        let unconfirmed = self.wallet.transactions().filter(|found| found.chain_position.is_unconfirmed());
        let known: Vec<Txid> = unconfirmed.map(|found| found.tx_node.txid).collect();
        let gone: Vec<(Txid, u64)> =
            known.iter().filter(|txid| !mempool.contains(*txid)).map(|txid| (*txid, now)).collect();
        self.wallet.apply_evicted_txs(gone);
        let there = known.iter().filter(|txid| mempool.contains(*txid));
        let seen: Vec<(Transaction, u64)> =
            there.filter_map(|txid| Some((self.wallet.get_tx(*txid)?.tx_node.tx.as_ref().clone(), now))).collect();
        self.wallet.apply_unconfirmed_txs(seen);
        if mempool.len() > MAX_MEMPOOL {
            return Ok(());
        }
        let new: Vec<Txid> = mempool.into_iter().filter(|txid| !known.contains(txid)).collect();
        let transactions = bitcoin.mempool_transactions(&new).await?;
        self.wallet.apply_unconfirmed_txs(transactions.into_iter().map(|transaction| (transaction, now)));
        Ok(())
    }

    /// Pays `amount`, or everything if it is `None`, to `script`, and sends it.
    ///
    /// # Errors
    ///
    /// `Dust`, `TooLittle`, or what bitcoind says; nothing is spent then.
    pub async fn send(
        &mut self,
        bitcoin: &BitcoinRpc,
        seed: &Seed,
        script: ScriptBuf,
        amount: Option<Amount>,
        fee_rate: FeeRate,
        now: u64,
    ) -> Result<Sent, WalletError> {
        let (transaction, sent) = self.prepare(seed, script, amount, fee_rate)?;
        self.submit(bitcoin, transaction, HIGHEST_FEE_RATE.max(fee_rate), now).await?;
        Ok(sent)
    }

    /// A signed payment, and what it pays; not sent.
    ///
    /// # Errors
    ///
    /// As [`Wallet::send`].
    pub fn prepare(
        &mut self,
        seed: &Seed,
        script: ScriptBuf,
        amount: Option<Amount>,
        fee_rate: FeeRate,
    ) -> Result<(Transaction, Sent), WalletError> {
        let transaction = self.sign(seed, script.clone(), amount, fee_rate)?;
        let fee = self.wallet.calculate_fee(&transaction);
        let fee = fee.map_err(|error| WalletError::Payment(error.to_string()))?;
        let paid = transaction.output.iter().filter(|output| output.script_pubkey == script);
        let sent = Sent { txid: transaction.compute_txid(), amount: paid.map(|output| output.value).sum(), fee };
        Ok((transaction, sent))
    }

    /// Sends a payment, unless it pays more than `highest` to the miners.
    ///
    /// # Errors
    ///
    /// What bitcoind says; nothing is spent then.
    pub async fn submit(
        &mut self,
        bitcoin: &BitcoinRpc,
        transaction: Transaction,
        highest: FeeRate,
        now: u64,
    ) -> Result<(), WalletError> {
        bitcoin.broadcast_within(&transaction, highest).await?;
        self.wallet.apply_unconfirmed_txs([(transaction, now)]);
        self.persist()
    }

    /// A signed payment, not sent.
    ///
    /// # Errors
    ///
    /// As [`Wallet::send`].
    pub fn sign(
        &mut self,
        seed: &Seed,
        script: ScriptBuf,
        amount: Option<Amount>,
        fee_rate: FeeRate,
    ) -> Result<Transaction, WalletError> {
        let least = script.minimal_non_dust();
        if let Some(amount) = amount.filter(|amount| *amount < least) {
            return Err(WalletError::Dust { amount, least });
        }
        let mut payment = self.wallet.build_tx();
        payment.fee_rate(fee_rate);
        match amount {
            Some(amount) => payment.add_recipient(script, amount),
            None => payment.drain_wallet().drain_to(script),
        };
        let mut psbt = payment.finish().map_err(create_error)?;
        let failed = |reason: String| WalletError::Payment(reason);
        psbt.sign(&seed.master, SECP256K1).map_err(|(_, errors)| failed(format!("{errors:?}")))?;
        let finished = self.wallet.finalize_psbt(&mut psbt, SignOptions::default());
        if !finished.map_err(|error| failed(error.to_string()))? {
            return Err(failed("not every input could be signed".into()));
        }
        psbt.extract_tx().map_err(|error| failed(error.to_string()))
    }

    fn birthday(&self) -> Height {
        self.keystore.public().get(BIRTHDAY).and_then(|birthday| birthday.parse().ok()).unwrap_or(0)
    }

    fn persist(&mut self) -> Result<(), WalletError> {
        match self.wallet.persist(&mut self.store) {
            Ok(_) => Ok(()),
            Err(FileStoreError::Write(error)) => Err(error.into()),
            Err(error) => {
                Err(WalletError::DamagedChain { path: self.folder.join("chain.db"), reason: error.to_string() })
            }
        }
    }
}

/// The effect of one transaction on the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    pub txid: Txid,
    /// None while it is unconfirmed.
    pub height: Option<Height>,
    /// Of its block, or while it is unconfirmed of when it was first seen; in seconds since 1970.
    pub time: Option<u64>,
    /// Value of the wallet's coins that it spends.
    pub sent: Amount,
    /// Value of its outputs to the wallet, change included.
    pub received: Amount,
}

/// The seed in a wallet's keystore file: for a command that needs only a key of it, beside a running wallet.
///
/// # Errors
///
/// A wrong passphrase, or a file that is not a wallet's.
pub fn open_seed(path: &Path, keystore: &Keystore, passphrase: &str) -> Result<Seed, WalletError> {
    let failed = |error| WalletError::Keystore { path: path.to_owned(), error };
    let words = keystore.open(WALLET, passphrase).map_err(failed)?;
    let words = std::str::from_utf8(&words).map_err(|_| failed(KeystoreError::Content("a mnemonic")))?;
    let seed = Seed::parse(words)?;
    if seed.fits(keystore) { Ok(seed) } else { Err(WalletError::OtherKeys(path.to_owned())) }
}

fn lock(folder: &Path) -> Result<DirectoryLock, WalletError> {
    DirectoryLock::acquire(folder).map_err(|error| match error {
        LockError::InUse(folder) => WalletError::Locked(folder),
        LockError::Io { error, .. } => error.into(),
    })
}

type OpenChain = (Store<ChangeSet>, PersistedWallet<Store<ChangeSet>>);

/// The wallet's view of the chain, made anew if there is none, or one of other keys: of words that were in this folder before.
fn open_chain(folder: &Path, network: Network, keystore: &Keystore) -> Result<OpenChain, WalletError> {
    let path = folder.join("chain.db");
    if let Some(chain) = load_chain(&path, network, keystore)? {
        return Ok(chain);
    }
    // For its owner only: it tells which coins are theirs.
    write_atomic(&path, MAGIC)?;
    let damaged = |reason: String| WalletError::DamagedChain { path: path.clone(), reason };
    let (mut store, _) = Store::load(MAGIC, &path).map_err(|error| damaged(error.error.to_string()))?;
    let [receive, change] = KEYCHAINS.map(|(_, name)| descriptor(keystore, name));
    let params = CreateParams::new(receive, change).network(network.bitcoin());
    let wallet = PersistedWallet::create(&mut store, params).map_err(|error| damaged(error.to_string()))?;
    Ok((store, wallet))
}

/// The view that is there, if it is of these keys.
fn load_chain(path: &Path, network: Network, keystore: &Keystore) -> Result<Option<OpenChain>, WalletError> {
    let damaged = |reason: String| WalletError::DamagedChain { path: path.to_owned(), reason };
    if !path.try_exists()? {
        return Ok(None);
    }
    // One that an earlier version made could be read by everybody.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let (mut store, _) = Store::load(MAGIC, path).map_err(|error| damaged(error.error.to_string()))?;
    let params = LoadParams::new().check_network(network.bitcoin());
    let params = KEYCHAINS
        .into_iter()
        .fold(params, |params, (keychain, name)| params.descriptor(keychain, Some(descriptor(keystore, name))));
    match PersistedWallet::load(&mut store, params) {
        Ok(loaded) => Ok(loaded.map(|wallet| (store, wallet))),
        Err(LoadWithPersistError::InvalidChangeSet(LoadError::Mismatch(_))) => {
            tracing::warn!(path = %path.display(), "the wallet's view of the chain is of other words: it is made anew");
            Ok(None)
        }
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn descriptor(keystore: &Keystore, name: &str) -> String {
    keystore.public().get(name).cloned().unwrap_or_default()
}

fn create_error(error: CreateTxError) -> WalletError {
    match error {
        CreateTxError::CoinSelection(short) => {
            WalletError::TooLittle { available: short.available, needed: short.needed }
        }
        other => WalletError::Payment(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse";

    fn make(folder: &Path, seed: &Seed) -> Wallet {
        let quick = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let made = Wallet::create(folder, Network::Regtest, seed, 0, PASSPHRASE, quick, &mut rand::thread_rng());
        made.expect("a wallet")
    }

    fn first_address(seed: &Seed) -> Address {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make(folder.path(), seed).address().expect("an address")
    }

    #[test]
    fn after_other_words_are_restored_no_address_is_of_the_former_ones() {
        let (former, other) = (Seed::generate(&mut rand::thread_rng()), Seed::generate(&mut rand::thread_rng()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(make(folder.path(), &former).address().expect("an address"), first_address(&former));
        // The words are taken away, what was seen of the chain is left behind.
        let kept = folder.path().join("former.json");
        std::fs::rename(folder.path().join("seed.json"), &kept).expect("moved");
        assert_eq!(make(folder.path(), &other).address().expect("an address"), first_address(&other));
        // And back again, by hand.
        std::fs::rename(&kept, folder.path().join("seed.json")).expect("moved");
        let mut back = Wallet::open(folder.path(), Network::Regtest).expect("opens");
        assert_eq!(back.address().expect("an address"), first_address(&former));
        assert_eq!(back.unlock(PASSPHRASE).expect("its own").words(), former.words());
    }

    #[test]
    fn a_view_of_the_right_words_is_kept() {
        let (seed, folder) =
            (Seed::generate(&mut rand::thread_rng()), tempfile::tempdir().expect("a temporary folder"));
        let shown = make(folder.path(), &seed).address().expect("an address");
        let mut again = Wallet::open(folder.path(), Network::Regtest).expect("opens");
        assert_ne!(again.address().expect("an address"), shown, "addresses are not used twice");
    }

    #[test]
    fn the_view_of_the_chain_is_for_its_owner_only() {
        let (seed, folder) =
            (Seed::generate(&mut rand::thread_rng()), tempfile::tempdir().expect("a temporary folder"));
        let path = folder.path().join("chain.db");
        let mode = || std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        drop(make(folder.path(), &seed));
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
        drop(Wallet::open(folder.path(), Network::Regtest).expect("opens"));
        assert_eq!(mode(), 0o600);
    }
}
