//! The decisions of a relayer: facts go in with the time, questions and owed actions come out.
//!
//! The machine is level-triggered. It looks at where sidechain, Bitcoin and this relayer stand, not at what happened
//! since, so that after a crash, a reorganisation or a lost transaction the same facts give the same owed actions, and
//! an action performed twice does no harm (the ledger or the network refuses the second).
//!
//! ```text
//!   its own node ---logs----> ledger --------------------\
//!                                                          machine --> owed actions --> outcome, back into the machine
//!   its own bitcoind -blocks-> deposit_tracker -> deposits /    |
//!                    -tips---> headers -> confirmations --/     +---> "does the ledger know this outpoint?"
//!
//!   registrations   which addresses to look for in blocks
//!   past            blocks of before, for payments that came before their addresses
//!   deposits        which payments the ledger would take now; refusals: what it refused, and what is tried instead
//!   proposals       what the next vault transaction can be made of
//!   vault_transactions, owed    what each needs next;  duty: whose turn it is
//!   fees            what a vault transaction should pay
//!   latecomers      which members kept others waiting
//!   approval        when its own policy is asked, and asked again;  key_confirmation: when the federation's key is confirmed
//!   posts, outgoing what is sent to the sidechain, and what became of it
//! ```
//! The shell around it is `io/relayer`: a gatherer asks node and bitcoind, a performer acts, a store keeps.

pub mod approval;
pub mod confirmations;
pub mod deposit_tracker;
pub mod deposits;
pub mod duty;
#[cfg(test)]
pub(crate) mod example;
pub mod facts;
pub mod fees;
pub mod following;
pub mod headers;
pub mod key_confirmation;
pub mod latecomers;
pub mod ledger;
pub mod machine;
pub mod outgoing;
pub mod owed;
pub mod past;
pub mod posts;
pub mod proposals;
pub mod refusals;
pub mod registrations;
pub mod vault_transactions;
