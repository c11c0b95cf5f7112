//! For auditors: `causeway audit`, every satoshi on the sidechain matched with an output on Bitcoin, trusting neither node.
//!
//! ```text
//! genesis file --> validators' keys --> finality certificate --> header --> state root
//!                                                                             | eth_getProof
//!                                   Bridge's balance and books, Federation's vault keys          (sidechain)
//! vault transactions (raw, hashed here) --> outputs --> own bitcoind's gettxout, all at one tip  (outputs)
//! both sides compared                                                                            (report)
//! ```
//! The sidechain node only supplies what is then checked: a certificate, Merkle proofs, raw transactions. bitcoind is the
//! auditor's own, and is believed.

pub mod command;
mod outputs;
mod report;
mod sidechain;
