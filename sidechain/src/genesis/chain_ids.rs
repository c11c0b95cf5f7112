//! Chain ids that a new network must not take: a transaction is separated from those of other chains by nothing else (EIP-155), so
//! whoever signs on both would see it repeated on the other.

use mainchain::Network;

use super::error::{GenesisError, wrong};

/// The chain id of networks on regtest. Its transactions are worth nothing, and are everywhere.
pub const DEV_CHAIN_ID: u64 = 51_717;

/// Chains that people have accounts on, and those of developers' tools, with their names. From chainid.network, the register that
/// wallets use.
const WELL_KNOWN: [(u64, &str); 70] = [
    (1, "Ethereum"),
    (2, "Expanse"),
    (3, "Ropsten"),
    (4, "Rinkeby"),
    (5, "Goerli"),
    (8, "Ubiq"),
    (10, "OP Mainnet"),
    (14, "Flare"),
    (25, "Cronos"),
    (30, "Rootstock"),
    (31, "Rootstock testnet"),
    (42, "Kovan"),
    (50, "XDC"),
    (56, "BNB Smart Chain"),
    (61, "Ethereum Classic"),
    (97, "BNB Smart Chain testnet"),
    (100, "Gnosis"),
    (106, "Velas"),
    (122, "Fuse"),
    (128, "Heco"),
    (130, "Unichain"),
    (137, "Polygon"),
    (146, "Sonic"),
    (169, "Manta Pacific"),
    (196, "X Layer"),
    (199, "BitTorrent"),
    (204, "opBNB"),
    (223, "B2"),
    (250, "Fantom"),
    (252, "Fraxtal"),
    (288, "Boba"),
    (321, "KCC"),
    (324, "zkSync Era"),
    (480, "World Chain"),
    (592, "Astar"),
    (999, "HyperEVM"),
    (1_030, "Conflux eSpace"),
    (1_088, "Metis"),
    (1_101, "Polygon zkEVM"),
    (1_116, "Core"),
    (1_135, "Lisk"),
    (1_284, "Moonbeam"),
    (1_285, "Moonriver"),
    (1_329, "Sei"),
    (1_337, "geth and Ganache, for developers"),
    (1_868, "Soneium"),
    (2_020, "Ronin"),
    (2_222, "Kava"),
    (4_200, "Merlin"),
    (4_689, "IoTeX"),
    (5_000, "Mantle"),
    (7_700, "Canto"),
    (8_217, "Kaia"),
    (8_453, "Base"),
    (17_000, "Holesky"),
    (31_337, "Anvil and Hardhat, for developers"),
    (33_139, "ApeChain"),
    (34_443, "Mode"),
    (42_161, "Arbitrum One"),
    (42_170, "Arbitrum Nova"),
    (42_220, "Celo"),
    (43_113, "Avalanche Fuji"),
    (43_114, "Avalanche"),
    (57_073, "Ink"),
    (59_144, "Linea"),
    (60_808, "BOB"),
    (80_002, "Polygon Amoy"),
    (80_094, "Berachain"),
    (81_457, "Blast"),
    (84_532, "Base Sepolia"),
];

/// Above the first hundred thousand, in the same order.
const WELL_KNOWN_LARGE: [(u64, &str); 12] = [
    (167_000, "Taiko"),
    (200_901, "Bitlayer"),
    (421_614, "Arbitrum Sepolia"),
    (534_352, "Scroll"),
    (560_048, "Hoodi"),
    (660_279, "Xai"),
    (810_180, "zkLink Nova"),
    (7_777_777, "Zora"),
    (11_155_111, "Sepolia"),
    (11_155_420, "OP Sepolia"),
    (666_666_666, "Degen"),
    (1_313_161_554, "Aurora"),
];

/// Checks that a network on this Bitcoin network may have this chain id.
///
/// # Errors
///
/// It is out of range, or another chain's.
pub fn check_chain_id(chain_id: u64, bitcoin: Network) -> Result<(), GenesisError> {
    if chain_id == 0 || chain_id > u64::MAX / 2 - 36 {
        return wrong(format!("chainId {chain_id} is not between 1 and 2^63 - 37 (EIP-2294)"));
    }
    match taken(chain_id, bitcoin) {
        Some(whose) => wrong(format!("chainId {chain_id} is {whose}: what is signed there could be repeated here")),
        None => Ok(()),
    }
}

/// Whose chain id it is already, if anybody's.
fn taken(chain_id: u64, bitcoin: Network) -> Option<String> {
    if chain_id == DEV_CHAIN_ID && bitcoin != Network::Regtest {
        return Some("that of every network on regtest".to_owned());
    }
    let known = WELL_KNOWN.iter().chain(&WELL_KNOWN_LARGE).find(|(known, _)| *known == chain_id);
    known.map(|(_, name)| format!("that of {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_ascend_so_that_nothing_is_in_them_twice() {
        let all: Vec<u64> = WELL_KNOWN.iter().chain(&WELL_KNOWN_LARGE).map(|(id, _)| *id).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }

    #[test]
    fn a_number_of_one_s_own_may_be_taken_on_every_bitcoin_network() {
        assert!(Network::ALL.into_iter().all(|network| taken(51_718, network).is_none()));
        assert_eq!(taken(DEV_CHAIN_ID, Network::Regtest), None);
        assert!(taken(DEV_CHAIN_ID, Network::Signet).is_some());
        assert_eq!(taken(1, Network::Regtest).as_deref(), Some("that of Ethereum"));
    }
}
