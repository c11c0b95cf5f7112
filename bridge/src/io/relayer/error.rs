//! Why a relayer stops, and what it waits for.

use alloy_primitives::Address;
use mainchain::io::rpc::RpcError;

use super::identity::Identity;
use crate::io::sidechain::Error;
use crate::io::store::StoreError;

/// Why a relayer stops.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("account {account} is not a member of the federation; its members are {members}")]
    NotAMember { account: Address, members: String },
    #[error(
        "the data directory belongs to {got}, the genesis file makes {want}: name another data_dir, or the other genesis file"
    )]
    OtherNetwork { got: Box<Identity>, want: Box<Identity> },
    #[error(
        "{0}: the record of what this relayer has signed cannot be read; restore it from a backup, it must not sign without it"
    )]
    Record(String),
    #[error(transparent)]
    Dkg(Box<crate::dkg::DkgError>),
    #[error(transparent)]
    Session(Box<crate::signing::SessionError>),
    #[error("the federation's members cannot be used: {0}")]
    Federation(String),
    #[error("{0}")]
    Configuration(String),
    /// A part of the relayer ended where none should.
    #[error("the relayer's task broke down: {0}")]
    Task(String),
}

/// What keeps a round of work from being finished.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    #[error(transparent)]
    Node(#[from] Error),
    #[error(transparent)]
    Bitcoin(#[from] RpcError),
    #[error("bitcoind's chain and the light client's have no block in common: bitcoind is on another network")]
    NoCommonBlock,
    #[error("the node at {url} is of {got}, the genesis file makes {want}")]
    OtherNetwork { url: String, got: String, want: String },
    #[error(transparent)]
    Fatal(#[from] FatalError),
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        Self::Fatal(error.into())
    }
}
