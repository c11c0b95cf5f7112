// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BitcoinLightClient} from "../src/BitcoinLightClient.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {Bitcoin} from "./Bitcoin.sol";

/// A regtest of its own, and a light client that knows its genesis block.
abstract contract Regtest is Bitcoin {
    BitcoinLightClient internal client;
    Block internal genesis;

    function createRegtest(uint256 time) internal {
        vm.warp(time);
        genesis = mineOn(bytes32(0), 0, START, REGTEST_BITS, new bytes[](0));
        client = new BitcoinLightClient(regtest(), genesis.raw, 0, 2, START);
    }

    function regtest() internal pure returns (IBitcoinLightClient.Parameters memory) {
        return IBitcoinLightClient.Parameters(true, true, false, REGTEST_BITS);
    }
}
