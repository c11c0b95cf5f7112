//! Work that one relayer does for all.

use bitcoin::{BlockHash, OutPoint, Txid};

use super::duty::{Kind, Offer, Task};
use super::spends::Spend;
use crate::peg::Content;

/// One step, with what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring the light client to bitcoind's best chain.
    SubmitHeaders,
    /// Hand a signed vault transaction to Bitcoin.
    Broadcast {
        number: u32,
    },
    /// Prove to the ledger that a vault transaction is in this block.
    Settle {
        number: u32,
        block: BlockHash,
    },
    /// Show the ledger that a settled vault transaction's block left the best chain.
    Unsettle {
        number: u32,
    },
    /// Fix an approved proposal as a vault transaction.
    Bind {
        proposal: u64,
    },
    Propose {
        kind: Kind,
        content: Content,
    },
    /// Show the ledger a deposit.
    Prove {
        outpoint: OutPoint,
    },
    /// Make the coins of deposits, by their places in a sweep.
    Mint {
        number: u32,
        which: Vec<u32>,
    },
    /// Show that a vault transaction can never confirm, by one of its inputs.
    Void {
        number: u32,
        input: u32,
    },
    /// Hand what made a deposit to Bitcoin again.
    Resubmit {
        outpoint: OutPoint,
    },
    /// Show that the block of a deposit has left the best chain, so that it gives up its place in the cap.
    Left {
        outpoint: OutPoint,
    },
    /// Show that a deposit can never be swept.
    DepositGone {
        outpoint: OutPoint,
        killed: Killed,
    },
    /// Show that a vault output was spent by something that is not bound: finally, or as an alarm.
    OutputGone {
        number: u32,
        spend: Spend,
    },
    Alarm {
        number: u32,
        spend: Spend,
    },
    /// Give a withdrawal back that waited too long.
    Refund {
        id: u64,
    },
}

/// What ended a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// This spends it.
    Spent(Spend),
    /// This spends what an input of its funding, or of an ancestor of that, spent in a block that was left.
    Ancestor { ancestor: Txid, input: u32, spend: Spend },
}

/// An offer of work that nobody lets wait but for its turn.
#[must_use]
pub fn offer(task: Task, work: Action) -> Offer<Action> {
    Offer { task, patience_ms: 0, work }
}
