//! The sidechain's coin: 1 coin = 1 BTC = 10^8 sat = 10^18 wei.

use alloy_primitives::U256;

/// Wei per satoshi. `Bridge.sol` calls it `WEI_PER_SAT` too.
pub const WEI_PER_SAT: u64 = 10_000_000_000;

/// Coins that the Bridge holds at genesis, in wei: 21 million, as many as there can be bitcoin. What it holds less than this
/// is the supply outside it.
pub const GENESIS_COINS_WEI: U256 = U256::from_limbs([5_185_560_161_925_726_208, 1_138_412, 0, 0]);

/// Satoshis in wei.
#[must_use]
pub fn wei(sat: u64) -> U256 {
    U256::from(sat) * U256::from(WEI_PER_SAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_holds_21_million_coins() {
        assert_eq!(GENESIS_COINS_WEI, U256::from(21_000_000u64) * U256::from(10u64).pow(U256::from(18)));
        assert_eq!(GENESIS_COINS_WEI, wei(21_000_000 * 100_000_000));
    }
}
