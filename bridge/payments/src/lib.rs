//! Micropayments through channels of the contract `MicroChannel`: for who pays, and for who is paid.
//!
//! ```text
//!   payer                                  payee                            contract
//!   open(payee, deposit) ---------------------------------------------------> channel
//!   plan, write down, sign: total 10  -->  check, write down     --> receipt
//!   plan, write down, sign: total 25  -->  check, write down     --> receipt  (nothing happens on chain)
//!                                          claim(the last voucher) ---------> pays 25, once
//! ```
//! A voucher is an EIP-712 signature over (channel, total paid so far), as the public draft "EVM Session" (draft-evm-session-00) has it.
//! Only the largest counts, so a payee keeps one, and losing one costs at most its addition.
//!
//! What decides is pure, with what the chain says and the time as arguments; files and threads are in `io`, behind the feature `io`.
//!
//! ```text
//!   account_signature, typed_data, terms    what accounts sign, and names of channels
//!   voucher, locked, stream, authorization  what payers sign
//!   receipt, merkle                         what payees sign
//!   audit                                   what it shows against them
//!   seals                                   one signature for many of them
//!   best                                    the voucher to claim with, of many
//!   free_totals, payee                      the payee: vouchers for requests, claims
//!   payer, seed                             the payer: totals, limits, keys
//!   frame, io::journal                      the file of either
//!   io::payee, io::payer                    either with its file
//! ```
//! Who reads the chain is not in here: whoever calls has checked proofs of it (`causeway-light` does).

pub mod account_signature;
pub mod audit;
pub mod authorization;
pub mod best;
mod bytes;
pub mod channel;
mod decimal;
pub mod frame;
pub mod free_totals;
pub mod locked;
pub mod merkle;
pub mod payee;
pub mod payer;
pub mod receipt;
#[cfg(feature = "io")]
mod seals;
pub mod seed;
pub mod stream;
pub mod terms;
pub mod typed_data;
pub mod voucher;

#[cfg(feature = "io")]
pub mod io;

#[cfg(test)]
mod vectors;
