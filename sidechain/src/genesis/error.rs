//! What is wrong with a genesis file.

/// What a genesis file says wrong, and what it should say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("genesis: {0}")]
pub struct GenesisError(pub String);

pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T, GenesisError> {
    Err(GenesisError(what.into()))
}
