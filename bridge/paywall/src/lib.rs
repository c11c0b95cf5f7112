//! A price on HTTP requests: what is asked, in two public protocols at once, and what it takes to be served.
//!
//! One endpoint speaks x402 (version 2, scheme `exact`) and MPP (the HTTP authentication scheme `Payment`, intent `charge`, method `evm`). In both the payer
//! signs the same thing, an EIP-3009 authorization of the token WrappedBtc; the payee brings it to the chain and answers when it is final. So one
//! authorization pays once, whichever protocol brings it: the chain knows which nonces are used, and the book knows what each gave.
//!
//! ```text
//!   price, price_list, path    what a request costs
//!   till                       what is asked for it, and what a payment has to contain: the order of all checks
//!   authorization              what is signed
//!   x402, mpp                  the two protocols
//!   batch                      x402's scheme `batch-settlement`: channels, and vouchers by request
//!   session, meter             MPP's sessions on channels; prices by the unit
//!   sse                        events of a streamed answer
//!   refusal                    why a request is not served, each a problem document of its own
//!   clock                      what time it is
//!   book                       payments and what was given for them, as a machine; answers: those kept for a retry
//!   wallet, payer              the payer's side: of charges, of sessions
//!   receive                    a payee of amounts that payers choose
//!   payers, openings           how much of one payer is settled at a time, and how many of its channels are opened at the payee's cost
//!   discovery, counters        what is sold here; what was done
//!   origins, access            whose web pages may pay; who may ask the facilitator
//!   crowd, room                who holds connections, and whose bodies are kept
//!   io                         the server and its upstream, the chain, the disk; the payer's client
//! ```
//! Decisions are pure: facts and the time in, changes out.

pub mod access;
pub mod answers;
pub mod authorization;
pub mod batch;
pub mod book;
pub mod clock;
pub mod counters;
pub mod crowd;
pub mod discovery;
#[cfg(feature = "io")]
pub mod io;
pub mod meter;
pub mod mpp;
pub mod openings;
pub mod origins;
pub mod path;
pub mod payer;
pub mod payers;
pub mod price;
pub mod price_list;
pub mod receive;
pub mod refusal;
pub mod room;
pub mod session;
pub mod sse;
#[cfg(test)]
mod testing;
mod text;
pub mod till;
pub mod wallet;
mod words;
pub mod x402;
