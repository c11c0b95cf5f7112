// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FeeShares} from "../src/bridge/FeeShares.sol";
import {Base} from "./Base.sol";

/// How the cost of a vault transaction is shared.
contract FeeSharesTest is Base {
    function testFuzz_shares_are_exact_and_proportional(uint256 cost, uint8 deposits, uint8 withdrawals, uint256 seed)
        public
        pure
    {
        cost = bound(cost, 240, 5_000_000_000);
        uint256 count = bound(deposits, 0, 64) + bound(withdrawals, 1, 64);
        uint256[] memory weights = new uint256[](count);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            weights[i] = i < bound(deposits, 0, 64)
                ? FeeShares.DEPOSIT_WEIGHT
                : FeeShares.withdrawalWeight(22 + uint256(keccak256(abi.encode(seed, i))) % 21);
            total += weights[i];
        }
        uint64[] memory shares = FeeShares.split(cost, weights);
        uint256 sum = 0;
        bool odd = true;
        for (uint256 i = 0; i < count; ++i) {
            uint256 floor = cost * weights[i] / total;
            if (shares[i] == floor) odd = false;
            // Once one participant pays no odd satoshi, none behind it does.
            vm.assertEq(shares[i], odd ? floor + 1 : floor);
            sum += shares[i];
        }
        vm.assertEq(sum, cost);
    }

    function test_the_odd_satoshis_go_to_the_first() public pure {
        uint256[] memory weights = new uint256[](3);
        (weights[0], weights[1], weights[2]) = (230, 230, 172);
        uint64[] memory shares = FeeShares.split(1001, weights);
        // 364.29, 364.29 and 272.42 of 1001
        vm.assertEq(shares[0], 365);
        vm.assertEq(shares[1], 364);
        vm.assertEq(shares[2], 272);
    }
}
