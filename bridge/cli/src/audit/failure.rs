//! Why an audit could not be done: who is at fault, and with which exit status its command ends.

use std::fmt;

use bridge::io::sidechain::Error;
use bridge::io::sidechain::proven::ProvenError;
use eyre::Report;
use light::reserves::ReservesError;
use mainchain::io::rpc::RpcError;
use serde::Serialize;

use crate::exit::{AUDIT_BITCOIN, AUDIT_LIE, AUDIT_NODE, Exit, FAILED, MISSING};

/// Who is at fault when an audit could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The sidechain's node does not prove what it says, or hides something.
    Lie,
    /// The sidechain's node does not answer, or refuses to.
    Node,
    /// Nor does the own bitcoind.
    Bitcoin,
    /// Proven entries of the ledger contradict each other.
    Ledger,
    /// Something of this machine: a file, the clock.
    Other,
}

/// A node hides something, or says what cannot be.
#[derive(Debug)]
pub struct Lie(pub String);

/// Somebody took longer than an audit may.
#[derive(Debug)]
pub struct TooSlow {
    pub fault: Fault,
    pub words: String,
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Lie {}
impl std::error::Error for TooSlow {}

impl Fault {
    /// Of an error that an audit ended with.
    pub fn of(error: &Report) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Other)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(TooSlow { fault, .. }) = cause.downcast_ref() {
            return Some(*fault);
        }
        if let Some(error) = cause.downcast_ref::<ReservesError>() {
            let is_broken = matches!(error, ReservesError::WrongSum { .. });
            return Some(if is_broken { Self::Ledger } else { Self::Lie });
        }
        match cause.downcast_ref::<ProvenError>() {
            Some(ProvenError::Node(error)) => return Some(Self::of_node(error)),
            Some(_) => return Some(Self::Lie),
            None => {}
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return Some(Self::of_node(error));
        }
        let lie = cause.is::<Lie>().then_some(Self::Lie);
        lie.or_else(|| cause.is::<RpcError>().then_some(Self::Bitcoin))
    }

    fn of_node(error: &Error) -> Self {
        if matches!(error, Error::Malformed { .. } | Error::OtherChain { .. }) { Self::Lie } else { Self::Node }
    }

    /// How the command ends.
    pub fn exit(self) -> Exit {
        let (way, words) = match self {
            Self::Other => (&FAILED, "the audit could not be done"),
            Self::Ledger => (&MISSING, "the ledger contradicts itself"),
            Self::Lie => (&AUDIT_LIE, "the audit could not be done: the sidechain's node is not to be believed"),
            Self::Node => {
                (&AUDIT_NODE, "the audit could not be done: the sidechain's node does not answer as it should")
            }
            Self::Bitcoin => (&AUDIT_BITCOIN, "the audit could not be done: bitcoind does not answer as it should"),
        };
        Exit { way, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::{WrapErr as _, eyre};

    #[test]
    fn a_theft_a_lie_a_dead_node_and_a_dead_bitcoind_end_with_different_statuses() {
        let down = || Error::Down { url: "http://node".to_owned(), reason: "refused".to_owned() };
        let dead = RpcError::Busy { url: "http://bitcoind".to_owned(), reason: "work queue".to_owned() };
        let hidden = ReservesError::NotAll { got: 1, want: 2 };
        let broken = ReservesError::WrongSum { got: 1, want: 2 };
        let cases = [
            (Report::from(down()), Fault::Node),
            (ProvenError::Node(down()).into(), Fault::Node),
            (Report::from(dead), Fault::Bitcoin),
            (Report::from(Lie("it hides some".to_owned())), Fault::Lie),
            (Err::<(), _>(hidden).wrap_err("it shows another vault").expect_err("an error"), Fault::Lie),
            (Report::from(broken), Fault::Ledger),
            (eyre!("the disk is full"), Fault::Other),
            (TooSlow { fault: Fault::Node, words: "too slow".to_owned() }.into(), Fault::Node),
        ];
        for (error, want) in cases {
            assert_eq!(Fault::of(&error), want, "{error:#}");
        }
        let all = [Fault::Lie, Fault::Node, Fault::Bitcoin, Fault::Ledger, Fault::Other];
        let statuses: std::collections::BTreeSet<u8> = all.map(|fault| fault.exit().way.status).into();
        assert_eq!(statuses, [1, 3, 5, 6, 7].into());
    }
}
