//! Why a relayer stops, and what it waits for.

use alloy_primitives::Address;
use mainchain::io::rpc::RpcError;

use super::identity::Identity;
use crate::io::sidechain::Error;
use crate::io::sidechain::proven::ProvenError;
use crate::io::store::StoreError;
use crate::relay::fees::OnRegtestOnly;

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
        "{0}: the record of what this relayer has signed cannot be read, and it must not sign without it; never bring an old copy back: causeway operator restore makes a new one (docs/operators.md)"
    )]
    Record(String),
    #[error(transparent)]
    Dkg(Box<crate::dkg::DkgError>),
    #[error(transparent)]
    Session(Box<crate::signing::SessionError>),
    #[error("the federation's members cannot be used: {0}")]
    Federation(String),
    #[error(transparent)]
    FeeRate(#[from] OnRegtestOnly),
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
    #[error("the node at {url} says that the ledger has other rules than the genesis file makes: do not use this node")]
    OtherRules { url: String },
    #[error(transparent)]
    Proven(Box<ProvenError>),
    #[error(
        "this member was restored, and waits for a final block of {want_s} or later (seconds since 1970); the latest is of {got_s}"
    )]
    TooEarly { got_s: u64, want_s: u64 },
    #[error("the node at {url} does not prove vault transaction {number}, which it names")]
    Unproven { url: String, number: u32 },
    #[error(transparent)]
    Fatal(#[from] FatalError),
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<ProvenError> for RoundError {
    fn from(error: ProvenError) -> Self {
        match error {
            ProvenError::Node(error) => Self::Node(error),
            error => Self::Proven(Box::new(error)),
        }
    }
}

impl RoundError {
    /// Errors of one kind are one trouble, whatever is in them.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Bitcoin(error) => kind(error),
            Self::NoCommonBlock => "chain",
            Self::OtherNetwork { .. } | Self::OtherRules { .. } => "network",
            Self::Proven(_) | Self::Unproven { .. } => "proof",
            Self::TooEarly { .. } => "restored",
            Self::Fatal(_) => "fatal",
        }
    }
}

/// One that restarts is first not reachable, then without a cookie, then starting: one trouble.
pub fn kind(error: &RpcError) -> &'static str {
    match error {
        RpcError::Unreachable { .. } | RpcError::NoCookie { .. } | RpcError::Starting { .. } => "away",
        RpcError::Timeout { .. } => "silent",
        RpcError::Busy { .. } => "busy",
        RpcError::Unauthorized { .. } => "login",
        RpcError::WrongNetwork { .. } => "network",
        RpcError::NoBlock { .. } => "block",
        RpcError::Refused { .. } => "refusal",
        RpcError::BadAnswer { .. } => "answer",
    }
}
