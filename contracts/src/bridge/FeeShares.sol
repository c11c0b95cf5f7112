// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// How a vault transaction's participants share its cost (in satoshi).
library FeeShares {
    /// Weight that a deposit adds: 41 bytes of input and 66 of witness (4 * 41 + 66).
    uint256 internal constant DEPOSIT_WEIGHT = 230;

    /// Weight that a withdrawal adds: amount, script length and script.
    function withdrawalWeight(uint256 scriptLength) internal pure returns (uint256) {
        return 4 * (9 + scriptLength);
    }

    /// Splits among at least one participant: in proportion to the weights, rounded down; the satoshis left over go one each to the first.
    /// The shares sum up to the cost exactly.
    function split(uint256 cost, uint256[] memory weights) internal pure returns (uint64[] memory shares) {
        uint256 total = 0;
        for (uint256 i = 0; i < weights.length; ++i) {
            total += weights[i];
        }
        shares = new uint64[](weights.length);
        uint256 left = cost;
        for (uint256 i = 0; i < weights.length; ++i) {
            shares[i] = uint64(cost * weights[i] / total);
            left -= shares[i];
        }
        // Each division left less than one satoshi, so fewer are left than there are participants.
        for (uint256 i = 0; i < left; ++i) {
            ++shares[i];
        }
    }
}
