//! The rules in which Bitcoin's networks differ.
//!
//! Source: `kernel/chainparams.cpp` and `pow.cpp` of Bitcoin Core, BIP94 for testnet4. The five values that the contract
//! BitcoinLightClient takes are the public fields of [`Params`], so that both sides are configured alike.

use std::fmt;
use std::str::FromStr;

use bitcoin::CompactTarget;
use bitcoin::block::Header;
use bitcoin::constants::genesis_block;
use serde::{Deserialize, Serialize};

/// Blocks of one difficulty period. All four networks; regtest never retargets, so its own interval does not matter.
pub const PERIOD: u32 = 2016;

/// Seconds one period should take: two weeks.
pub const PERIOD_SECONDS: u32 = 14 * 24 * 60 * 60;

/// Seconds after which networks with the 20-minute rule allow a block of minimum difficulty.
pub const MIN_DIFFICULTY_SECONDS: u32 = 20 * 60;

/// Seconds by which BIP94 lets the first block of a period precede the block before it.
pub const MAX_TIMEWARP_SECONDS: u32 = 600;

/// Seconds by which a block's time may be ahead of the clock (`MAX_FUTURE_BLOCK_TIME`).
pub const MAX_FUTURE_SECONDS: u32 = 2 * 60 * 60;

/// A Bitcoin network that Causeway can be built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    Mainnet,
    Testnet4,
    /// The default signet. Its blocks are valid by a signature in the coinbase, which headers do not show: a header chain of signet
    /// is only as good as whoever tells it, so the contract takes it from members of the federation alone.
    Signet,
    Regtest,
}

impl Network {
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet4, Self::Signet, Self::Regtest];

    /// The rules of this network's headers.
    pub const fn params(self) -> Params {
        match self {
            Self::Mainnet => Params {
                pow_limit_bits: 0x1d00_ffff,
                no_retarget: false,
                min_difficulty: false,
                bip94: false,
                signed_blocks: false,
                versions: &[(227_931, 2), (363_725, 3), (388_381, 4)],
            },
            Self::Testnet4 => Params {
                pow_limit_bits: 0x1d00_ffff,
                no_retarget: false,
                min_difficulty: true,
                bip94: true,
                signed_blocks: false,
                versions: &[(1, 4)],
            },
            Self::Signet => Params {
                pow_limit_bits: 0x1e03_77ae,
                no_retarget: false,
                min_difficulty: false,
                bip94: false,
                signed_blocks: true,
                versions: &[(1, 4)],
            },
            Self::Regtest => Params {
                pow_limit_bits: 0x207f_ffff,
                no_retarget: true,
                min_difficulty: true,
                bip94: false,
                signed_blocks: false,
                // Core lets a regtest node choose these heights (`-testactivationheight`): they are not a rule of the network.
                versions: &[],
            },
        }
    }

    /// The first header of this network.
    pub fn genesis(self) -> Header {
        genesis_block(self.bitcoin()).header
    }

    /// The same network as the `bitcoin` crate names it.
    pub const fn bitcoin(self) -> bitcoin::Network {
        match self {
            Self::Mainnet => bitcoin::Network::Bitcoin,
            Self::Testnet4 => bitcoin::Network::Testnet4,
            Self::Signet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }

    /// The name in commands, configuration and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The name Bitcoin Core gives this network in `getblockchaininfo` and `-chain=`.
    pub const fn core_name(self) -> &'static str {
        match self {
            Self::Mainnet => "main",
            other => other.name(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    /// Reads a name of ours, or Core's `main`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|network| name == network.name() || name == network.core_name())
            .ok_or_else(|| UnknownNetwork(name.to_owned()))
    }
}

/// A name that is none of the networks'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown bitcoin network {0:?}, expected mainnet, testnet4, signet or regtest")]
pub struct UnknownNetwork(pub String);

/// The parameters of a network's header rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// The easiest target, in compact form.
    pub pow_limit_bits: u32,
    /// The target never changes (regtest).
    pub no_retarget: bool,
    /// A block more than 20 minutes after its parent may have the easiest target (testnets, regtest).
    pub min_difficulty: bool,
    /// Retarget from the bits of the period's first block, and limit the timewarp at its border (testnet4).
    pub bip94: bool,
    /// Blocks are valid by a signature that headers do not show (signet): the contract takes headers from members only.
    pub signed_blocks: bool,
    /// From which height on which block version is the least allowed, ascending (BIP34, BIP66, BIP65). The contract leaves
    /// this rule out: to break it costs as much work as any other invalid block, and headers show only this one kind.
    pub versions: &'static [(u32, i32)],
}

impl Params {
    /// The easiest target, in compact form.
    pub fn pow_limit(&self) -> CompactTarget {
        CompactTarget::from_consensus(self.pow_limit_bits)
    }

    /// The least block version at `height`, if there is one.
    pub(crate) fn least_version(&self, height: u32) -> Option<i32> {
        self.versions.iter().rev().find(|(from, _)| *from <= height).map(|(_, version)| *version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_name_everywhere() {
        for network in Network::ALL {
            assert_eq!(network.name().parse(), Ok(network));
            assert_eq!(network.core_name().parse(), Ok(network));
            assert_eq!(network.bitcoin().to_core_arg(), network.core_name());
        }
        assert!("testnet3".parse::<Network>().is_err());
    }

    #[test]
    fn versions_rise_with_the_soft_forks() {
        let params = Network::Mainnet.params();
        assert_eq!(params.least_version(227_930), None);
        assert_eq!(params.least_version(227_931), Some(2));
        assert_eq!(params.least_version(363_725), Some(3));
        assert_eq!(params.least_version(1_000_000), Some(4));
    }
}
