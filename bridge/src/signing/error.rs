//! Why an approval or a session cannot be opened.

use super::commitments::MAX_INPUTS;

/// Why an approval or a session cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// More inputs than one post carries, or none.
    #[error("{got} inputs, expected 1 to {MAX_INPUTS}")]
    Inputs {
        /// Inputs of the transaction, or of the content.
        got: usize,
    },
    /// An input of an epoch of which this member has no key share.
    #[error("input {input} is locked to the key of epoch {epoch}, of which there is no share here")]
    NoShare {
        /// Position of the input, from 0.
        input: usize,
        /// The epoch whose key it is locked to.
        epoch: u32,
    },
    /// An input that the key share cannot spend.
    #[error("input {input} pays to {want}, the key share of its epoch makes {got}")]
    OutputKey {
        /// Position of the input.
        input: usize,
        /// Key of the output.
        want: String,
        /// Key that the share leads to.
        got: String,
    },
    /// Key shares of different members or sizes in one session.
    #[error("the key shares do not belong to the same federation: {0}")]
    Federation(&'static str),
    /// The persisted state cannot be read.
    #[error(
        "the stored signing state is damaged ({0}); restore it or delete it, and the member sits out attempts it has begun"
    )]
    Damaged(&'static str),
    /// The persisted state is about other messages.
    #[error("the stored signing state belongs to another transaction; it must not be used for this one")]
    Foreign,
}
