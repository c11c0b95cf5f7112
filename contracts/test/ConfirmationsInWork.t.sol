// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BitcoinLightClient} from "../src/BitcoinLightClient.sol";
import {CompactTarget} from "../src/CompactTarget.sol";
import {Regtest} from "./Regtest.sol";

/// How deep a block lies by work, where headers have very different amounts of it.
contract ConfirmationsInWorkTest is Regtest {
    /// 256 times as hard as the limit.
    uint32 private constant HARD = 0x1f7fffff;

    function setUp() public {
        createRegtest(START + 1_000_000);
    }

    function test_where_all_blocks_are_alike_they_are_the_confirmations() public {
        Block[] memory blocks = chain(genesis, 20);
        client.submit(join(blocks));
        for (uint256 i = 0; i < 20; ++i) {
            vm.assertEq(client.confirmationsInWork(blocks[i].hash), 20 - i);
        }
        vm.assertEq(client.confirmationsInWork(genesis.hash), 21);
        vm.assertEq(client.confirmationsInWork(keccak256("nothing")), 0);
    }

    // hard 0 - easy 1 - easy 2 - easy 3       then instead       hard 0 - hard 1'
    function test_blocks_of_minimum_difficulty_are_no_confirmations() public {
        Block memory start = mineOn(keccak256("p"), 100, START, HARD, new bytes[](0));
        client = open(rulesOf(false, true, true), start, 1e6, START);
        Block[] memory easy = new Block[](3);
        Block memory parent = start;
        for (uint32 i = 0; i < 3; ++i) {
            parent = easy[i] = mineOn(parent.hash, 101 + i, parent.time + 1201, REGTEST_BITS, new bytes[](0));
        }
        client.submit(join(easy));
        vm.assertEq(client.confirmations(easy[0].hash), 3);
        vm.assertEq(client.confirmationsInWork(easy[0].hash), 0);
        vm.assertEq(client.confirmationsInWork(start.hash), 1);

        // One block of the period's own target is one, and all below it are as deep.
        Block memory hard = mineOn(easy[2].hash, 104, easy[2].time + 600, HARD, new bytes[](0));
        client.submit(hard.raw);
        vm.assertEq(client.confirmationsInWork(easy[0].hash), 1);
        vm.assertEq(client.confirmationsInWork(hard.hash), 1);
        vm.assertEq(client.confirmationsInWork(start.hash), 2);

        Block memory rival = mineOn(start.hash, 101, START + 600, HARD, new bytes[](0));
        Block memory better = mineOn(rival.hash, 102, START + 1200, HARD, new bytes[](0));
        client.submit(bytes.concat(rival.raw, better.raw));
        vm.assertEq(client.confirmationsInWork(easy[0].hash), 0);
        vm.assertEq(client.confirmationsInWork(rival.hash), 2);
    }

    /// 256 blocks of minimum difficulty have the work of one that the period asks for.
    function test_their_work_adds_up() public {
        Block memory start = mineOn(keccak256("p"), 100, START, HARD, new bytes[](0));
        client = open(rulesOf(false, true, true), start, 1e6, START);
        vm.warp(START + 10_000_000);
        Block[] memory easy = new Block[](300);
        Block memory parent = start;
        for (uint32 i = 0; i < 300; ++i) {
            parent = easy[i] = mineOn(parent.hash, 101 + i, parent.time + 1201, REGTEST_BITS, new bytes[](0));
        }
        client.submit(join(easy));
        uint256 one = CompactTarget.work(CompactTarget.decode(HARD));
        for (uint256 i = 0; i < 300; i += 13) {
            vm.assertEq(client.confirmationsInWork(easy[i].hash), (300 - i) * 2 / one);
        }
    }
}
