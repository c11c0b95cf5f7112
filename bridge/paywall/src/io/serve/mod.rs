//! The paywall: a reverse proxy that is paid for what it passes on.
//!
//! ```text
//!   request -> its price -> nothing to pay ----------------------------------------------> upstream -> answer
//!                 |
//!                 +-> no payment, or a bad one -> 402 with a demand in both protocols
//!                 |
//!                 +-> a payment -> checked -> sent, kept on disk before -> final -> upstream -> kept as given -> answer
//! ```
//! Or a payment by a session (`session`): spent of what a channel paid ahead, and given as far as that goes.
//!
//! The payment is settled before the upstream is asked: nothing has effects that was not paid for, as MPP demands. If the upstream then fails, the same payment
//! can be shown again for the same request (`book`).

mod batch;
mod bodies;
mod cross_origin;
mod desk;
mod facilitator;
mod metrics;
mod openings;
mod passing;
mod queue;
mod respond;
mod server;
mod session;
mod settling;

pub use batch::ClaimSettings;
pub use server::{Paywall, Settings, bind, start};
pub use session::{FinalState, Look, Looking, SessionSettings, sold_by};
