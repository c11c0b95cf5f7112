//! Why the engine cannot run.

/// Why the engine did not start, or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    /// The genesis file lists a key that no secret belongs to.
    #[error("validator {index} has a key that is not a valid point")]
    BadKey {
        /// Position in the list of validators, from 0.
        index: usize,
    },
    /// The genesis file lists a key twice.
    #[error("two validators have the same key")]
    DuplicateKey,
    /// This node has keys, but the genesis file does not list them.
    #[error("the keys of this node are not those of a validator in the genesis file")]
    NotValidator,
    /// The engine's own files cannot be opened: the disk is damaged or full.
    #[error("cannot open the consensus archive {archive:?}: {reason}")]
    Archive {
        /// Name of the archive in the engine's storage.
        archive: String,
        /// The error of the engine's storage.
        reason: String,
    },
    /// A certificate of this node's own store, by which it would begin, does not decode.
    #[error("the certificate of the block to begin with does not decode: {0}")]
    Floor(String),
    /// The application could not make a final block durable.
    #[error("cannot commit a final block: {0}")]
    Commit(String),
    /// A part of the engine ended by itself.
    #[error("the consensus engine stopped")]
    Stopped,
}
