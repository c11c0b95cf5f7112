//! Against a real bitcoind, under the policy of mainnet: every script template is standard, and what we say about its headers,
//! blocks and refusals is what it does.

mod children;
mod deposits;
mod federation;
mod genesis;
mod headers;
mod node_errors;
mod rescue;
mod spending;
mod vault;
mod wallet;
