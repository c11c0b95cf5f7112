//! For auditors: `causeway audit`, every satoshi on the sidechain matched with an output on Bitcoin, trusting neither node.
//!
//! ```text
//! genesis file --> validators' keys --> finality certificate --> header --> state root
//!                                                                             | eth_getProof
//!          Bridge's balance, books and open withdrawals, all entries of the Vault, its keys       (sidechain)
//! vault transactions (raw, hashed here) --> outputs --> own bitcoind's gettxout, all at one tip  (outputs)
//! both sides compared: what is missing, and what is late                                         (findings)
//! shown to people, scripts, monitors and whoever is to be woken                                  (report, prometheus, webhook)
//! once, so that one side can be judged by the other; or at each block                            (auditor, watch)
//! who is at fault if it cannot be done, and how the command ends                                   (failure, verdict)
//! ```
//! The sidechain node only supplies what is then checked: a certificate, Merkle proofs, raw transactions. bitcoind is the
//! auditor's own, and is believed.

mod auditor;
pub mod command;
pub mod failure;
mod findings;
mod options;
mod outputs;
mod prometheus;
mod report;
mod sidechain;
mod verdict;
mod watch;
mod webhook;
