//! The wiring of a node: the only place where disk, engine, network and RPC know of each other. Everything in this folder is wiring.
//!
//! ```text
//!                           +--> Database <- Chain ----+
//! users -> RPC -> NodeState +                          +-> engine <-> other validators     (a validator)
//!                           +--> Mempool <-> gossip ---+
//!                           +--> upstream <--- blocks and their certificates by RPC         (a follower)
//!          HTTP -> LightNode ----> upstream <--- headers, certificates, proofs by RPC       (a light node)
//! ```
//! A validator runs on the engine's runtime, which is tokio underneath, so that its clock and its disk are the engine's too.

mod application;
mod commit;
mod config;
mod disk;
mod error;
mod far_behind;
mod follower;
mod light;
mod members;
mod monitoring;
mod rejoin;
mod run;
mod services;
#[cfg(test)]
mod tests;
mod validator;

#[cfg(test)]
pub(in crate::io) use application::NodeApplication;
pub use config::{AskBitcoin, NodeConfig, SyncConfig, SyncMode};
pub use error::NodeError;
pub use light::{LightConfig, run_light};
pub use run::run;
