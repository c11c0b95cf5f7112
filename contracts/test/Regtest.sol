// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BitcoinLightClient} from "../src/BitcoinLightClient.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {Bitcoin} from "./Bitcoin.sol";

/// A regtest of its own, and a light client that knows its genesis block.
abstract contract Regtest is Bitcoin {
    BitcoinLightClient internal client;
    Block internal genesis;

    function createRegtest(uint256 time) internal {
        vm.warp(time);
        genesis = mineOn(bytes32(0), 0, START, REGTEST_BITS, new bytes[](0));
        client = open(regtest(), genesis, 2, START);
    }

    /// A light client that takes headers from anybody.
    function open(IBitcoinLightClient.Parameters memory rules, Block memory start, uint256 work, uint32 epochTime)
        internal
        returns (BitcoinLightClient)
    {
        return new BitcoinLightClient(rules, start.raw, start.height, work, epochTime, IFederation(address(0)));
    }

    function rulesOf(bool noRetarget, bool minDifficulty, bool bip94)
        internal
        pure
        returns (IBitcoinLightClient.Parameters memory)
    {
        return IBitcoinLightClient.Parameters(noRetarget, minDifficulty, bip94, false, REGTEST_BITS);
    }

    function regtest() internal pure returns (IBitcoinLightClient.Parameters memory) {
        return rulesOf(true, true, false);
    }

    function chain(Block memory parent, uint256 count) internal returns (Block[] memory blocks) {
        blocks = new Block[](count);
        for (uint256 i = 0; i < count; ++i) {
            parent = blocks[i] = mineOn(parent);
        }
    }
}
