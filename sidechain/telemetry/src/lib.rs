//! How a service tells its operator's monitoring how it is: metrics for Prometheus, whether it lives, whether it is ready.
//!
//! ```text
//!   node    --+                  GET /metrics   numbers, in Prometheus' text format          exposition
//!             +-> io::server --> GET /livez     503 only when a restart would help           verdict
//!   relayer --+                  GET /readyz    503 with the reasons: it cannot do its work
//! ```
//! Nobody is believed and nothing is taken but a path. What is told is no secret, and belongs on an address that strangers do not reach.
//! Names of metrics and labels are fixed in the source: nobody outside can make one more.

pub mod exposition;
pub mod heartbeat;
pub mod verdict;

#[cfg(feature = "io")]
pub mod io;
