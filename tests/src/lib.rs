//! What the end-to-end tests stand on. Nothing here decides anything of Causeway's: it starts real processes, asks them,
//! and waits with a bound.
//!
//! | module | owns |
//! |---|---|
//! | [`waiting`] | every wait: how long, how often, and the words when it was in vain |
//! | [`known`] | accounts, addresses and keys that tests name |
//! | [`port`], [`process`], [`proc`] | free ports, processes that end with their test, and what Linux says of them |
//! | [`binary`] | the built `causeway`, run as a user runs it |
//! | [`bitcoind`], [`user`] | a real bitcoind on regtest, and somebody with bitcoin on it |
//! | [`federation`] | whole relayers in this process, with real bitcoinds |
//! | [`network`] | a whole network of real processes: `causeway dev` |
//! | [`prometheus`] | a real Prometheus that watches a network |
//! | [`load`] | transfers as fast as a network takes them |
//! | [`presigned`] | the same, signed before the clock starts |
//! | [`validators`] | validators alone, as real processes |
//! | [`relay`] | somebody between a node and who asks it, who counts and lies |
//! | [`lone_node`] | one node without consensus, in this process |
//! | [`http`] | requests as they are on the wire |
//! | [`shop`] | an HTTP server with a paywall before it, as real processes |
//! | [`channel_payer`] | who pays there by sessions, by hand |
//! | [`simulated`] | whole relayers in this process, with a simulated node, bitcoind and time |
//! | [`evm`], [`ledger`], [`blocks`] | contracts alone, without a chain; the whole ledger of them; and the blocks that they are shown |

pub mod binary;
pub mod bitcoind;
pub mod blocks;
pub mod channel_payer;
pub mod disk;
pub mod evm;
pub mod federation;
pub mod http;
pub mod known;
pub mod ledger;
pub mod load;
pub mod lone_node;
pub mod network;
pub mod page;
pub mod port;
pub mod presigned;
pub mod proc;
pub mod process;
pub mod prometheus;
pub mod relay;
pub mod shop;
pub mod simulated;
pub mod user;
pub mod validators;
pub mod waiting;
pub mod wrong_clock;
