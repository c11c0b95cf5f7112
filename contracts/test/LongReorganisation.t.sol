// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CompactTarget} from "../src/CompactTarget.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {Regtest} from "./Regtest.sol";

/// Reorganisations of any depth cost what their headers cost, and the last header of them no more than any other.
contract LongReorganisationTest is Regtest {
    /// Headers of one call, as relayers send them.
    uint256 private constant BATCH = 100;
    /// Execution alone: the call's data is 80 bytes a header, at most 128,000 gas a batch.
    uint256 private constant MOST_GAS_OF_A_BATCH = 6_000_000;
    uint256 private constant MOST_GAS_OF_A_HEADER = 65_000;

    function setUp() public {
        createRegtest(START + 10_000_000);
        client = open(rulesOf(false, false, false), genesis, 2, START);
    }

    /// A chain of `count` blocks on `parent`, `spacing` seconds apart, whose target follows the rule at block 2016.
    function grow(Block memory parent, uint256 count, uint32 spacing, uint32 bits) private returns (Block[] memory blocks) {
        blocks = new Block[](count);
        uint32 periodTime = START;
        for (uint256 i = 0; i < count; ++i) {
            uint32 height = parent.height + 1;
            if (height == 2016) {
                uint256 target = CompactTarget.decode(bits) / 1_209_600 * (parent.time - periodTime);
                bits = CompactTarget.encode(target);
            }
            parent = blocks[i] = mineOn(parent.hash, height, parent.time + spacing, bits, new bytes[](0));
        }
    }

    function some(Block[] memory blocks, uint256 from, uint256 to) private pure returns (bytes memory) {
        Block[] memory part = new Block[](to - from);
        for (uint256 i = from; i < to; ++i) {
            part[i - from] = blocks[i];
        }
        return join(part);
    }

    /// Submits in batches; the most gas of one call.
    function follow(Block[] memory blocks) private returns (uint256 most) {
        for (uint256 from = 0; from < blocks.length; from += BATCH) {
            bytes memory batch = some(blocks, from, from + BATCH < blocks.length ? from + BATCH : blocks.length);
            uint256 before = gasleft();
            client.submit(batch);
            if (before - gasleft() > most) most = before - gasleft();
        }
    }

    function requireBest(Block[] memory blocks) private view {
        (bytes32 hash, uint32 height,) = client.tip();
        vm.assertEq(hash, blocks[blocks.length - 1].hash);
        vm.assertEq(height, blocks.length);
        for (uint256 i = 0; i < blocks.length; i += 97) {
            vm.assertEq(client.hashAt(uint32(i + 1)), blocks[i].hash);
            vm.assertEq(client.confirmations(blocks[i].hash), blocks.length - i);
        }
        vm.assertEq(client.hashAt(height + 1), bytes32(0));
    }

    // 0 - a1 - ... - a2016 (target changes) - ... - a2100
    //   \ b1 - ... - b2016 (to another one) - ... - b2101
    function test_a_reorganisation_of_2100_blocks_is_followed_in_batches_of_bounded_gas() public {
        Block[] memory a = grow(genesis, 2100, 580, REGTEST_BITS);
        Block[] memory b = grow(genesis, 2101, 579, REGTEST_BITS);
        uint256 most = follow(a);
        requireBest(a);
        vm.assertLt(most, MOST_GAS_OF_A_BATCH);

        most = follow(b);
        vm.assertLt(most, MOST_GAS_OF_A_BATCH);
        requireBest(b);
        vm.assertEq(client.confirmations(a[1000].hash), 0);
        vm.assertEq(client.header(a[0].hash).previous, genesis.hash);
        vm.assertEq(client.header(a[2099].hash).previous, a[2098].hash);
        vm.assertEq(client.confirmations(genesis.hash), 2102);
    }

    /// The header that decides costs what a header alone costs.
    function test_the_header_that_reorganises_1000_blocks_costs_no_more_than_another() public {
        Block[] memory a = grow(genesis, 1000, 600, REGTEST_BITS);
        Block[] memory b = grow(genesis, 1001, 601, REGTEST_BITS);
        follow(a);
        client.submit(some(b, 0, 1000));
        requireBest(a);
        vm.expectEmit();
        emit IBitcoinLightClient.Reorganised(a[999].hash, b[1000].hash, 0);
        bytes memory last = b[1000].raw;
        uint256 before = gasleft();
        client.submit(last);
        uint256 used = before - gasleft();
        requireBest(b);
        vm.assertLt(used, 250_000);
    }

    /// Every second block is orphaned: 300 branches lie on each other. Nothing gets dear by that.
    function test_a_chain_of_300_reorganisations_leaves_every_question_cheap() public {
        client = open(rulesOf(true, true, false), genesis, 2, START);
        Block[] memory best = new Block[](300);
        Block memory parent = genesis;
        for (uint256 i = 0; i < 300; i += 2) {
            // Seen first, and left for two blocks on the same parent.
            client.submit(mineOn(parent.hash, parent.height + 1, parent.time + 300, REGTEST_BITS, new bytes[](0)).raw);
            best[i] = mineOn(parent);
            parent = best[i + 1] = mineOn(best[i]);
            uint256 start = gasleft();
            client.submit(bytes.concat(best[i].raw, best[i + 1].raw));
            vm.assertLt(start - gasleft(), 500_000);
        }
        for (uint256 i = 0; i < 300; i += 7) {
            uint256 before = gasleft();
            uint32 got = client.confirmations(best[i].hash);
            vm.assertLt(before - gasleft(), 60_000);
            vm.assertEq(got, 300 - i);
            vm.assertEq(client.hashAt(uint32(i + 1)), best[i].hash);
            vm.assertEq(client.header(best[i].hash).previous, i == 0 ? genesis.hash : best[i - 1].hash);
        }
    }

    function test_a_header_in_a_batch_of_100_costs_less_than_65000_gas() public {
        Block[] memory blocks = grow(genesis, 100, 600, REGTEST_BITS);
        bytes memory data = abi.encodeCall(IBitcoinLightClient.submit, (join(blocks)));
        uint256 used = 21_000;
        for (uint256 i = 0; i < data.length; ++i) {
            used += data[i] == 0 ? 4 : 16;
        }
        uint256 before = gasleft();
        (bool ok,) = address(client).call(data);
        used += before - gasleft();
        vm.assertTrue(ok);
        vm.assertLt(used / 100, MOST_GAS_OF_A_HEADER);
    }
}
