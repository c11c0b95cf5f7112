//! A user's own record of withdrawals: which ones to look after. Everything that counts is in the ledger; the record only says what to ask for.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use eyre::{Result, WrapErr};
use files::write_new;
use serde::{Deserialize, Serialize};

use super::deposit_record::newest_files;
use crate::options::network::KnownNetwork;

/// A withdrawal that a command of this user queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawn {
    /// The sidechain's: hash of all that its operators agreed on.
    pub network_id: B256,
    pub id: u64,
    pub owner: Address,
    /// The transaction that queued it.
    pub transaction: B256,
    /// What it took from the owner.
    #[serde(default)]
    pub from: Source,
}

/// Of what a withdrawal was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    #[default]
    Coins,
    /// Of WrappedBtc.
    Tokens,
}

/// Keeps that a withdrawal was queued. One that cannot be kept is told: it is queued all the same.
pub fn remember(network: &KnownNetwork, id: u64, owner: Address, transaction: B256, from: Source) {
    let withdrawn = Withdrawn { network_id: network.network_id, id, owner, transaction, from };
    if let Err(error) = WithdrawnRecords::in_home(&network.home, network.network_id).keep(&withdrawn) {
        tracing::warn!("{error:#}: causeway status {id} shows the withdrawal, causeway status alone does not");
    }
}

/// A folder of records, by network.
#[derive(Clone, Debug)]
pub struct WithdrawnRecords {
    folder: PathBuf,
}

impl WithdrawnRecords {
    /// Those of the user whose folder is `home`, on a network.
    pub fn in_home(home: &Path, network_id: B256) -> Self {
        Self { folder: home.join("withdrawals").join(format!("{network_id:x}")) }
    }

    /// Keeps a record; one that is there stays.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn keep(&self, withdrawn: &Withdrawn) -> Result<()> {
        let path = self.folder.join(format!("{}.json", withdrawn.id));
        let json = serde_json::to_vec_pretty(withdrawn).expect("text and numbers always serialise");
        files::make_private_folder(&self.folder)
            .and_then(|()| write_new(&path, &json))
            .wrap_err_with(|| format!("cannot keep {}", path.display()))?;
        Ok(())
    }

    /// What was kept of a withdrawal, if anything was.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn get(&self, id: u64) -> Result<Option<Withdrawn>> {
        let path = self.folder.join(format!("{id}.json"));
        let read = || format!("cannot read {}", path.display());
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            json => serde_json::from_slice(&json.wrap_err_with(read)?).map(Some).wrap_err_with(read),
        }
    }

    /// Numbers of the newest, and how many there are besides these `most`.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn newest(&self, most: usize) -> Result<(Vec<u64>, usize)> {
        let number =
            |path: &PathBuf| path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let mut ids: Vec<u64> = newest_files(&self.folder)?.iter().filter_map(number).collect();
        let others = ids.len().saturating_sub(most);
        ids.truncate(most);
        Ok((ids, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawals_are_remembered_by_network() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let network_id = B256::repeat_byte(1);
        let records = WithdrawnRecords::in_home(home.path(), network_id);
        assert_eq!(records.newest(9).expect("none"), (vec![], 0));
        let withdrawn =
            Withdrawn { network_id, id: 7, owner: Address::ZERO, transaction: B256::ZERO, from: Source::Tokens };
        records.keep(&withdrawn).expect("kept");
        records.keep(&withdrawn).expect("kept already");
        assert_eq!(records.newest(9).expect("one"), (vec![7], 0));
        assert_eq!((records.get(7).expect("kept"), records.get(8).expect("none")), (Some(withdrawn), None));
        assert_eq!(records.newest(0).expect("one"), (vec![], 1));
        // As it was kept before there were others.
        let before =
            serde_json::json!({ "networkId": network_id, "id": 9, "owner": Address::ZERO, "transaction": B256::ZERO });
        let before: Withdrawn = serde_json::from_value(before).expect("of coins");
        assert_eq!(before.from, Source::Coins);
        let others = WithdrawnRecords::in_home(home.path(), B256::ZERO);
        assert_eq!(others.newest(9).expect("none"), (vec![], 0));
    }
}
