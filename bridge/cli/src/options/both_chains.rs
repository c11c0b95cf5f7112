//! Where both chains of a network are asked, and who makes the sidechain's blocks final.

use std::path::PathBuf;

use super::bitcoin::BitcoinArgs;
use super::sidechain::SidechainArgs;

/// For what proves to others: no genesis file that is kept somewhere counts, only the one that is named.
#[derive(Debug, clap::Args)]
pub struct BothChainsArgs {
    /// The network's genesis file: whose signatures make a block final
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: PathBuf,
    #[command(flatten)]
    pub sidechain: SidechainArgs,
    #[command(flatten)]
    pub bitcoin: BitcoinArgs,
}
