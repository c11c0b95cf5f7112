//! What is wrong with a node's answer, and what a user hears of it.

use jsonrpsee::types::ErrorObjectOwned;

use crate::genesis::GenesisError;
use crate::io::rpc::error;

/// Characters of a node's own words that are passed on.
const MAX_WORDS: usize = 300;

/// What is wrong with one node's answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It did not come, or is none.
    NoAnswer(String),
    /// The node refuses: it may be behind, or not keep what was asked for. No fault of its own.
    Refused(ErrorObjectOwned),
    /// It shows less than it, or another, proved before. Nodes are behind now and then: it is not left out for that.
    Behind(String),
    /// It does not prove what it says.
    Lie(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unproven {
    /// No node answers. Ask again later.
    #[error("{0}")]
    Down(String),
    /// An error for the user: of the request, of the nodes that were asked, or what a node lied about.
    #[error("{}", .0.message())]
    Refused(ErrorObjectOwned),
}

impl From<ErrorObjectOwned> for Unproven {
    fn from(error: ErrorObjectOwned) -> Self {
        Self::Refused(error)
    }
}

/// What several nodes said instead of an answer.
#[derive(Debug, Default)]
pub(super) struct Told {
    words: Vec<String>,
    refusal: Option<ErrorObjectOwned>,
    /// Whether a node says what others disprove: that is told in any case.
    named: bool,
}

impl Told {
    pub(super) fn note(&mut self, url: &str, fault: Fault) {
        match fault {
            Fault::NoAnswer(reason) => {
                self.words.push(format!("the node at {url} does not answer: {}", short(&reason)))
            }
            Fault::Refused(refusal) => {
                self.words.push(format!("the node at {url} refuses: {}", short(refusal.message())));
                self.refusal.get_or_insert(refusal);
            }
            Fault::Behind(what) | Fault::Lie(what) => {
                self.named = true;
                self.words.push(format!("the node at {url} {}", short(&what)));
            }
        }
    }

    /// A lie is told first of all; then what a node refuses, in its words; else nobody is there.
    pub(super) fn into_error(self) -> Unproven {
        let words = self.words.join("; ");
        match self.refusal {
            _ if self.named => error::server(words).into(),
            Some(refusal) => refusal.into(),
            None => Unproven::Down(words),
        }
    }
}

fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

/// Why a light node cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{url:?} is not the http address of a node: {reason}")]
    Url {
        url: String,
        /// The client's error.
        reason: String,
    },
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    #[error("a light node needs the address of at least one node to ask")]
    NoNode,
    /// Something else wrote it, or the disk is damaged: without it nobody knows how far the chain was already.
    #[error(
        "{path} does not hold the newest final header that was seen: {reason}. Remove it if you know why; until a node shows a newer one, an older one would then be taken"
    )]
    Kept { path: String, reason: String },
    #[error(transparent)]
    Disk(#[from] std::io::Error),
}
