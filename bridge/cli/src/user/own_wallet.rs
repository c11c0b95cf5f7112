//! The user's wallet, as other commands see it: whose account is paid, which key takes a deposit back.
//!
//! Reclaim keys are used one after another. A search for lost deposits stops [`GAP`] keys after the last that was paid, so no key further away
//! is used: once so many addresses in a row were not paid, their keys are used again.

use std::path::Path;

use alloy_primitives::B256;
use bitcoin::secp256k1::{Keypair, XOnlyPublicKey};
use bridge::io::sidechain::Client;
use bridge::io::wallet::open_seed;
use bridge::io::wallet::public::PublicWallet;
use eyre::{Result, bail, ensure, eyre};
use mainchain::Network;

use super::deposit_record::{ReclaimKey, Record, Records};
use crate::options::home::wallet_folder;
use crate::options::passphrase::PassphraseArgs;

/// Keys in a row of which no deposit is found before a search stops; the gap limit of BIP44.
pub const GAP: u32 = 20;

/// The wallet of a network, if there is one, whose backup was checked.
///
/// # Errors
///
/// It was not, the file is damaged or of an earlier version, or those of the disk.
pub fn find(home: &Path, network: Network) -> Result<Option<PublicWallet>> {
    let wallet = PublicWallet::find(&wallet_folder(home, network), network)?;
    wallet.iter().try_for_each(PublicWallet::require_backup)?;
    Ok(wallet)
}

/// The key of a new deposit.
///
/// # Errors
///
/// The node does not answer, or those of the disk.
pub async fn next_key(
    wallet: &PublicWallet,
    client: &Client,
    records: &Records,
    network_id: B256,
) -> Result<ReclaimKey> {
    let mut used = Vec::new();
    for record in records.all()?.into_iter().filter(|record| record.network_id == network_id) {
        if let Some(index) = record.reclaim_index.filter(|index| is_key(wallet, *index, &record)) {
            used.push((index, record.address));
        }
    }
    used.sort();
    let index = next_index(&used, async |address| Ok(!client.deposit(address).await?.deposits.is_empty())).await?;
    Ok(ReclaimKey::Wallet { key: wallet.reclaim_key(index)?, index })
}

fn is_key(wallet: &PublicWallet, index: u32, record: &Record) -> bool {
    let key = (index < 1 << 31).then(|| wallet.reclaim_key(index).ok()).flatten();
    key.is_some_and(|key: XOnlyPublicKey| key.serialize() == record.reclaim_key.0)
}

/// The next index, unless that would be too far behind the last one that was paid. `used` ascends; `is_paid` tells whether a deposit to an
/// address is known.
async fn next_index(used: &[(u32, String)], is_paid: impl AsyncFn(&str) -> Result<bool>) -> Result<u32> {
    let next = used.last().map_or(0, |(last, _)| last + 1);
    let first_of_gap = next.saturating_sub(GAP);
    if next < GAP {
        return Ok(next);
    }
    for (_, address) in used.iter().rev().take_while(|(index, _)| *index >= first_of_gap) {
        if is_paid(address).await? {
            return Ok(next);
        }
    }
    Ok(first_of_gap)
}

/// The key of a record that is one of the wallet's, by the wallet's passphrase.
///
/// # Errors
///
/// There is no wallet, it is another, or the passphrase is wrong.
pub fn reclaim_key(home: &Path, record: &Record, index: u32, passphrase: &PassphraseArgs) -> Result<Keypair> {
    let wallet = check_key(home, record, index)?;
    let passphrase = passphrase.ask("your wallet, which can reclaim the deposit")?;
    Ok(open_seed(&wallet.path(), wallet.keystore(), &passphrase)?.reclaim_key(index))
}

/// The wallet has the key of a record; asked before anything else is done.
///
/// # Errors
///
/// There is no wallet, or it is another.
pub fn check_key(home: &Path, record: &Record, index: u32) -> Result<PublicWallet> {
    let folder = wallet_folder(home, record.network);
    let Some(wallet) = PublicWallet::find(&folder, record.network)? else {
        bail!(
            "{} can be reclaimed by key {index} of a wallet, and there is none in {}: make it again from its words by `causeway wallet restore`",
            record.address,
            folder.display()
        );
    };
    ensure!(index < 1 << 31, "the record of {} is damaged: there is no key {index} of a wallet", record.address);
    // A file of an earlier version does not tell its keys; what is signed by a wrong one is refused later.
    let key = wallet.reclaim_key(index);
    ensure!(
        key.as_ref().map_or(true, |key| key.serialize() == record.reclaim_key.0),
        "{} was made by another wallet than the one in {}, whose key {index} is another: restore that one in a folder of its own (--home)",
        record.address,
        folder.display()
    );
    Ok(wallet)
}

/// What to say where a wallet is wanted.
pub fn missing(home: &Path, network: Network) -> eyre::Report {
    eyre!(
        "there is no wallet in {}: `causeway wallet create` makes one, `causeway wallet restore` makes one again",
        wallet_folder(home, network).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for the next index after `count` addresses of which `paid` were paid.
    fn next(count: u32, paid: &[u32]) -> u32 {
        let used: Vec<_> = (0..count).map(|index| (index, index.to_string())).collect();
        let is_paid = async |address: &str| Ok(paid.iter().any(|index| index.to_string() == address));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(next_index(&used, is_paid)).expect("an index")
    }

    #[test]
    fn keys_are_used_one_after_another_and_never_too_far_behind_the_last_that_was_paid() {
        assert_eq!([next(0, &[]), next(1, &[]), next(19, &[])], [0, 1, 19]);
        // Keys 0 to 19 were never paid: after them a search would not go on.
        assert_eq!(next(20, &[]), 0);
        assert_eq!([next(20, &[0]), next(20, &[19])], [20, 20]);
        assert_eq!([next(21, &[0]), next(45, &[30]), next(45, &[24])], [1, 45, 25]);
    }
}
