//! Channels of x402's scheme `batch-settlement`, served.
//!
//! ```text
//!   channels   the ledger, its journal and the chain together: deposits, charges, refunds
//!   follow     looks at what happens to channels on the chain; claims what is due
//!   respond    one request
//!   facilitate what other servers of the same payee ask      asked_once   is done once, however many ask
//! ```

mod asked_once;
mod channels;
mod facilitate;
mod follow;
mod respond;

pub use channels::{Channels, ClaimSettings};
pub use facilitate::Facilitated;
pub use follow::start;
