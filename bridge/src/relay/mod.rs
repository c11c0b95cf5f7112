//! The decisions of a relayer: facts go in with the time, questions and owed actions come out.
//!
//! The machine is level-triggered. It looks at where sidechain, Bitcoin and this relayer stand, not at what happened
//! since, so that after a crash, a reorganisation or a lost transaction the same facts give the same owed actions, and
//! an action performed twice does no harm (the ledger or the network refuses the second).
//!
//! ```text
//!   its own node ---logs, views----> ledger (reading, mailboxes) --> view --\
//!                                                                           machine --> owed actions --> outcome, back into the machine
//!   its own bitcoind -blocks-> following (deposit_tracker, past, spends) --/
//!                    -tips---> headers -> confirmations ------------------/
//!
//!   resubmitting    fundings that left the best chain and the mempool
//!   registrations   which addresses to look for in blocks;  past: blocks of before, for payments that came before their addresses
//!   proving, proposing, binding, settlement, minting, ends, refunds    what is owed, a file for each subject;  owed: all of it, in order
//!   drafting        the ledger's facts for whoever makes or checks a vault transaction
//!   contested       deposits that something else spends in the mempool
//!   versions        when another version replaces one that waits
//!   refusals, proposers    what was refused, and whose proposals come to nothing: neither stops the rest
//!   duty            whose turn it is, and how long what failed is left alone
//!   fees            what a vault transaction should pay;  places: where one is on Bitcoin;  fundings: what deposits were made of
//!   latecomers      which members kept others waiting;  absent: which approve nothing while too few do
//!   rereading       when all that is open is read once more, since its node may have left something out
//!   approval        when its own policy is asked, and asked again;  key_confirmation: when the federation's key is confirmed
//!   posts, outgoing what is sent to the sidechain, and what became of it;  tally: numbers for monitoring
//! ```
//! The shell around it is `io/relayer`: a gatherer asks node and bitcoind, a performer acts, a store keeps.

pub mod absent;
pub mod action;
pub mod approval;
pub mod binding;
pub mod confirmations;
pub mod contested;
pub mod deposit_tracker;
pub mod drafting;
pub mod duty;
pub mod ends;
#[cfg(test)]
pub(crate) mod example;
pub mod facts;
pub mod fees;
pub mod following;
pub mod fundings;
pub mod headers;
pub mod key_confirmation;
pub mod latecomers;
pub mod ledger;
pub mod machine;
pub mod mailboxes;
pub mod minting;
pub mod outgoing;
pub mod owed;
pub mod past;
pub mod places;
pub mod posts;
pub mod proposers;
pub mod proposing;
pub mod proving;
pub mod quiet;
pub mod reading;
pub mod refunds;
pub mod refusals;
pub mod registrations;
pub mod rereading;
pub mod resubmitting;
pub mod settlement;
pub mod spends;
pub mod tally;
pub mod versions;
pub mod view;
