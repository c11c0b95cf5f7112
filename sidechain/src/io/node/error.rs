//! Why a node does not run.

use std::{net::SocketAddr, path::PathBuf};

use files::LockError;
use light::finality::FinalityError;

use crate::{
    chain::{OpenError, snapshot::RestoreError},
    io::{
        consensus::{ConsensusError, network::NetworkError},
        follower::FollowError,
        light_node,
    },
    state::store::StoreError,
};

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another process has the data directory, or it cannot be made.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A node is a validator, with keys, or follows another, without.
    #[error("a node needs either validator keys or the address of a node to follow")]
    NoRole,
    /// A network that begins in the future, or whose time was made up.
    #[error(
        "the genesis file's timestamp is {ahead_s} s ahead of this machine's clock: look at both, one of them is wrong"
    )]
    FromTheFuture { ahead_s: u64 },
    /// `NodeConfig::peers` has a name that no member has.
    #[error("there is no validator named {0:?} in the genesis file")]
    UnknownPeer(String),
    /// The genesis file has a key of the wrong length, or one that is not a point.
    #[error("the keys in the genesis file: {0}")]
    Keys(#[from] FinalityError),
    /// What is to be kept contradicts itself or is too little: see [`Retention::check`](crate::chain::Retention::check).
    #[error("retention: {0}")]
    Retention(String),
    /// The chain cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The validators' network cannot be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An address is taken, or not of this machine.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        /// The operating system's error.
        error: std::io::Error,
    },
    /// The engine did not start, or stopped.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The followed node is of another network, or its blocks cannot be kept.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// What a light node kept cannot be read, or the address of a node is none.
    #[error(transparent)]
    Light(#[from] light_node::OpenError),
    /// The copied state cannot be taken: it breaks the block rule, or the disk failed.
    #[error(transparent)]
    Snapshot(#[from] RestoreError),
    /// The old chain is still read by somebody. The copy is whole.
    #[error(
        "the snapshot is whole, but the old chain is still in use: start the node again, it goes on from the snapshot"
    )]
    StartAgain,
    /// The note where a validator that lost its votes goes on cannot be kept.
    #[error(transparent)]
    Rejoin(std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No more can be written. Nothing is lost: free some space and start again.
    #[error("the disk of {} is full: {reason}; what is final is kept: free some space and start the node again", path.display())]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// The error of the write that failed.
        reason: String,
    },
    /// The engine keeps no promise it cannot keep: it dies when its files fail it.
    #[error("the consensus engine broke down: {reason}; what is final is kept: look whether the disk of {} is full or damaged, and start the node again", path.display())]
    Broken {
        /// The data directory.
        path: PathBuf,
        /// Its last message.
        reason: String,
    },
    /// Keys that everybody knows, where coins are worth something.
    #[error("developer_accounts is for networks on regtest only: everybody knows those keys")]
    DeveloperAccounts,
    /// The operating system gives no threads.
    #[error("cannot start the async runtime: {0}")]
    Runtime(std::io::Error),
}
